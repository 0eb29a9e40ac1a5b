/* tls_resume: a session that a server gave a ticket for is kept for a later run, which then needs no certificate and no
 * verdict on one. It knows no account; what must be the same for a session to be taken up again is in its name. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cache.h"
#include "net/digest.h"
#include "net/tls_session.h"

#define KIND "tls"
#define FIRST_LINE "envoi TLS session 1\n"

enum {
    FILE_MAX = 64 << 10,
    FILES_MAX = 64,
    AGE_MAX = 24 * 60 * 60, /* seconds since the server last proved who it is */
};

/* --- the file ---------------------------------------------------------------------------------------------------- */

/*     envoi TLS session 1
 *     sha256 HEX             of all that follows
 *     proved 1700000000      when the server last proved who it is
 *     until 1700086400       from then on it is not used
 *     how trust              by what it did; none: it cannot stand to be offered a session, and no data follows
 *     version 1.3            of TLS, or 1.2
 *     …                      GnuTLS's session data */

static const char *const ways[] = { "trust", "dane", "fingerprint", "none" };

/* The word among ways; NULL: what it says is not enough for a session to be kept. */
static const char *way_of(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strlen(ways[i]) == n && memcmp(ways[i], word, n) == 0)
            return ways[i];
    return NULL;
}

static bool take_text(struct tls_saved *s, const char *text)
{
    size_t n = strlen(text);
    if (s->n < n || memcmp(s->data, text, n) != 0)
        return false;
    s->data += n;
    s->n -= n;
    return true;
}

static bool take_time(struct tls_saved *s, const char *label, long long *time)
{
    enum { DIGITS_MAX = 15 };
    size_t n = 0;
    *time = 0;
    if (!take_text(s, label))
        return false;
    for (; n < s->n && n < DIGITS_MAX && s->data[n] >= '0' && s->data[n] <= '9'; n++)
        *time = *time * 10 + (s->data[n] - '0');
    s->data += n;
    s->n -= n;
    return n > 0 && take_text(s, "\n");
}

static bool take_way(struct tls_saved *s)
{
    if (!take_text(s, "how "))
        return false;
    const char *end = memchr(s->data, '\n', s->n);
    s->how = end ? way_of(s->data, (size_t)(end - s->data)) : NULL;
    return s->how && take_text(s, s->how) && take_text(s, "\n");
}

static bool take_version(struct tls_saved *s)
{
    s->tls13 = take_text(s, "version 1.3\n");
    return s->tls13 || take_text(s, "version 1.2\n");
}

static bool digest_line(const char *p, size_t n, struct buf *out)
{
    struct digest *d = digest_new();
    const bool ok = d != NULL;
    buf_adds(out, "sha256 ");
    digest_add(d, p, n);
    digest_free(d, out);
    buf_addc(out, '\n');
    return ok;
}

bool tls_saved_read(const char *p, size_t n, long long now, struct tls_saved *s)
{
    enum { DIGEST_LINE = 7 + 64 + 1 };
    struct buf line = BUF_INIT;
    *s = (struct tls_saved){ .data = p, .n = n };
    bool ok = take_text(s, FIRST_LINE) && s->n >= DIGEST_LINE
              && digest_line(s->data + DIGEST_LINE, s->n - DIGEST_LINE, &line) && take_text(s, line.data)
              && take_time(s, "proved ", &s->proved) && take_time(s, "until ", &s->until) && take_way(s)
              && take_version(s);
    buf_free(&line);
    return ok && s->proved <= now /* else somebody set the clock back */ && now < s->until
           && now - s->proved < AGE_MAX && (s->n > 0) == (strcmp(s->how, "none") != 0);
}

bool tls_saved_write(const struct tls_saved *s, struct buf *out)
{
    struct buf rest = BUF_SECRET_INIT;
    buf_printf(&rest, "proved %lld\nuntil %lld\nhow %s\nversion %s\n", s->proved, s->until, s->how,
               s->tls13 ? "1.3" : "1.2");
    buf_add(&rest, s->data, s->n);
    buf_adds(out, FIRST_LINE);
    bool ok = digest_line(rest.data, rest.len, out);
    buf_addbuf(out, &rest);
    buf_free(&rest);
    return ok && out->len <= FILE_MAX;
}

/* --- its life ---------------------------------------------------------------------------------------------------- */

struct tls_resume {
    char *name;             /* own */
    long long began;        /* this handshake */
    struct tls_saved saved; /* of the session that was offered, without the data */
};

static bool save(const struct tls_resume *r, const struct tls_saved *s)
{
    struct buf file = BUF_SECRET_INIT;
    bool ok = tls_saved_write(s, &file) && cache_write(KIND, r->name, file.data, file.len);
    buf_free(&file);
    return ok;
}

/* Which version it shall be is said in clear. Only in its own is a session taken up with what it holds. */
static bool stay_in_tls13(const struct tls *t)
{
    const char *usual = t->params->priorities ? t->params->priorities : tls_priorities_default(t->api);
    char *priorities = xasprintf("%s:-VERS-ALL:+VERS-TLS1.3", usual);
    bool ok = t->api->gnutls_priority_set_direct(t->session, priorities, NULL) >= 0;
    free(priorities);
    return ok;
}

/* A ticket of TLS 1.3 is good for one connection (RFC 8446 C.4), so the file goes before it is offered; that of TLS 1.2
 * comes back when the connection ends. */
bool tls_resume_offer(struct tls *t)
{
    struct buf file = BUF_SECRET_INIT;
    struct tls_resume *r = t->resume = xcalloc(1, sizeof *r);
    struct tls_saved *s = &r->saved;
    bool intact = true;
    *r = (struct tls_resume){ .name = xstrdup(t->params->session_name), .began = time(NULL) };
    t->api->gnutls_db_set_cache_expiration(t->session, AGE_MAX); /* GnuTLS has less; a ticket's own lifetime it minds */
    if (cache_take(KIND, r->name, FILE_MAX, &file) && tls_saved_read(file.data, file.len, r->began, s)) {
        if (s->n == 0) {
            save(r, s);
            tls_resume_free(t);
        } else {
            intact = t->facts.offered = (!s->tls13 || stay_in_tls13(t))
                                        && t->api->gnutls_session_set_data(t->session, s->data, s->n) >= 0;
            s->data = NULL;
        }
    }
    buf_free(&file);
    return intact;
}

bool tls_resume_is_proved(struct tls *t)
{
    if (!t->facts.offered || !t->api->gnutls_session_is_resumed(t->session))
        return false;
    t->facts.verified = true;
    t->facts.how = t->resume->saved.how;
    if (t->params->describe)
        tls_facts_chain(t);
    return true;
}

/* As long as nobody knows better, some servers would break off each handshake that offers a session. */
static void keep_away(const struct tls_resume *r)
{
    save(r, &(struct tls_saved){ .proved = r->began, .until = r->began + AGE_MAX, .how = "none", .data = "" });
}

/* What had ended before the handshake began is no part of what was verified, or its end was of no account. */
static void ends_with(gnutls_x509_crt_t crt, const struct tls *t, long long *until)
{
    const long long end = t->api->gnutls_x509_crt_get_expiration_time(crt);
    if (end > t->resume->began && end < *until)
        *until = end;
}

/* The verdict ends with the first certificate of the chain, or of the trusted ones that it leads to. */
static long long verdict_until(const struct tls *t)
{
    const struct gnutls_api *api = t->api;
    long long until = t->resume->began + AGE_MAX;
    unsigned n = 0;
    const gnutls_datum_t *der = api->gnutls_certificate_get_peers(t->session, &n);
    gnutls_x509_crt_t crt, issuer;
    for (unsigned i = 0; i < n && api->gnutls_x509_crt_init(&crt) >= 0; i++) {
        if (api->gnutls_x509_crt_import(crt, &der[i], GNUTLS_X509_FMT_DER) >= 0) {
            ends_with(crt, t, &until);
            if (api->gnutls_certificate_get_issuer(t->credentials, crt, &issuer, 0) >= 0)
                ends_with(issuer, t, &until);
        }
        api->gnutls_x509_crt_deinit(crt);
    }
    return until;
}

/* To ask for a ticket that did not come would make GnuTLS wait for it. A session of TLS 1.2 without the extended master
 * secret is not to be taken up (RFC 7627 5.3). */
static bool is_resumable(const struct tls *t, bool tls13)
{
    if (!tls13)
        return t->api->gnutls_session_ext_master_secret_status(t->session);
    return t->api->gnutls_session_get_flags(t->session) & GNUTLS_SFLAGS_SESSION_TICKET;
}

/* Being taken up again prolongs nothing. */
static void keep(const struct tls *t)
{
    const struct tls_resume *r = t->resume;
    const struct tls_facts *f = &t->facts;
    const bool tls13 = t->api->gnutls_protocol_get_version(t->session) >= GNUTLS_TLS1_3;
    gnutls_datum_t data = { 0 };
    if (!f->verified || t->whole_trust || !way_of(f->how, strlen(f->how)) || !is_resumable(t, tls13))
        return;
    struct tls_saved s = { .proved = r->began, .how = f->how, .tls13 = tls13 };
    if (f->resumed)
        s = r->saved;
    else
        s.until = verdict_until(t);
    if (s.until <= time(NULL) || t->api->gnutls_session_get_data2(t->session, &data) < 0)
        return;
    s.data = (const char *)data.data;
    s.n = data.size;
    if (save(r, &s) && !f->offered) /* else it took another's place */
        cache_trim(KIND, FILES_MAX);
    explicit_bzero(data.data, data.size);
    free(data.data);
}

void tls_resume_end(const struct tls *t)
{
    if (t->resume && t->up)
        keep(t);
    else if (t->resume && t->facts.offered && t->facts.problems.n == 0)
        keep_away(t->resume);
}

void tls_resume_free(struct tls *t)
{
    if (t->resume)
        free(t->resume->name);
    free(t->resume);
    t->resume = NULL;
}
