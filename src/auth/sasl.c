/* sasl: the mechanisms, the choice among them and the frame of an exchange. What a mechanism says is in native.c and
 * gsasl.c; nothing here knows SMTP but for the replies that make another mechanism worth a try. */
#include "auth/sasl.h"

#include <stdlib.h>
#include <string.h>

#include "auth/mechanism.h"
#include "base/ascii.h"

#define SCRAM (NEEDS_USER | NEEDS_SECRET | NEEDS_LIBRARY | CLIENT_FIRST | PROVES_SERVER)
#define CLEAR (NEEDS_USER | NEEDS_SECRET | NEEDS_PRIVACY)

/* Strongest first. */
static const struct mechanism mechanisms[] = {
    { "SCRAM-SHA-256-PLUS", SCRAM | NEEDS_BINDING, libgsasl_step },  /* RFC 7677 */
    { "SCRAM-SHA-1-PLUS", SCRAM | NEEDS_BINDING, libgsasl_step },    /* RFC 5802 */
    { "SCRAM-SHA-256", SCRAM, libgsasl_step },
    { "SCRAM-SHA-1", SCRAM, libgsasl_step },
    { "PLAIN", CLEAR | CLIENT_FIRST, native_plain },                        /* RFC 4616 */
    { "LOGIN", CLEAR, native_login },                                       /* draft-murchison-sasl-login-00 */
    { "CRAM-MD5", NEEDS_USER | NEEDS_SECRET | NEEDS_LIBRARY, libgsasl_step },                   /* RFC 2195 */
    { "DIGEST-MD5", NEEDS_USER | NEEDS_SECRET | NEEDS_LIBRARY | PROVES_SERVER, libgsasl_step }, /* RFC 2831 */
    { "EXTERNAL", NEEDS_CERTIFICATE | CLIENT_FIRST, native_external },      /* RFC 4422 A */
    { "OAUTHBEARER", CLEAR | NEEDS_NAMING | CLIENT_FIRST, native_oauthbearer }, /* RFC 7628 */
    { "XOAUTH2", CLEAR | NEEDS_NAMING | CLIENT_FIRST, native_xoauth2 },     /* Google's and Microsoft's manuals */
    { "GSSAPI", NEEDS_LIBRARY | NEEDS_NAMING | CLIENT_FIRST | PROVES_SERVER, libgsasl_step },   /* RFC 4752 */
    { "NTLM", NEEDS_USER | NEEDS_SECRET | NEEDS_LIBRARY | NEEDS_NAMING | CLIENT_FIRST,
      libgsasl_step },                                                      /* MS-SMTPNTLM */
};
enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

const char *const *sasl_mechanisms(void)
{
    static const char *names[MECHANISMS + 1];
    for (size_t i = 0; i < MECHANISMS; i++)
        names[i] = mechanisms[i].name;
    return names;
}

static const struct mechanism *find(const char *name)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (ascii_ieq(mechanisms[i].name, name))
            return &mechanisms[i];
    return NULL;
}

/* Why m cannot be used here, as a static text; NULL: it can. */
static const char *obstacle(const struct mechanism *m, bool named, const struct sasl_params *p)
{
    const struct {
        unsigned need;
        bool met;
        const char *words;
    } rows[] = {
        { NEEDS_NAMING, named, "only when 'auth' names it" },
        { NEEDS_USER, p->user, "needs 'user'" },
        { NEEDS_PRIVACY, p->tls || p->clear_ok, "needs TLS" },
        { NEEDS_CERTIFICATE, named || p->client_certificate, "needs a client certificate" },
        { NEEDS_BINDING, p->binding_type && p->binding, "needs channel binding, which this connection does not have" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((m->needs & rows[i].need) && !rows[i].met)
            return rows[i].words;
    if (m->needs & NEEDS_LIBRARY) {
        struct err e = ERR_INIT;
        bool usable = libgsasl_usable(m->name, &e);
        err_clear(&e);
        if (!usable)
            return "needs libgsasl with this mechanism";
    }
    return NULL;
}

/* "PLAIN (needs TLS), FOO (unknown to envoi)". Names are the server's: not more than fits on a screen. */
static void describe_offer(const struct strlist *offered, const struct strlist *tried, const struct sasl_params *p,
                           struct buf *out)
{
    enum { SHOWN = 16 };
    for (size_t i = 0; i < offered->n && i < SHOWN; i++) {
        const struct mechanism *m = find(offered->v[i]);
        const char *why = !m                                                ? "unknown to envoi"
                          : tried && strlist_has_nocase(tried, offered->v[i]) ? "already tried"
                                                                            : obstacle(m, false, p);
        buf_printf(out, "%s%.40s", i ? ", " : "", offered->v[i]);
        if (why)
            buf_printf(out, " (%s)", why);
    }
}

static const char *refuse_named(const char *wanted, const struct strlist *offered, struct err *e)
{
    struct buf list = BUF_INIT;
    const char *near = find(wanted) ? NULL : ascii_nearest(wanted, sasl_mechanisms());
    for (size_t i = 0; i < offered->n && i < 16; i++)
        buf_printf(&list, "%s%.40s", i ? ", " : "", offered->v[i]);
    if (find(wanted)) {
        err_set(e, FAULT_AUTH, "the server does not offer the authentication mechanism '%s'", wanted);
        err_hint(e, "it offers %s; 'auth on' chooses among them", list.len ? list.data : "none");
    } else {
        err_set(e, FAULT_CONFIG, "unknown authentication mechanism '%s'", wanted);
        if (near)
            err_hint(e, "did you mean '%s'?", near);
        else
            err_hint(e, "the server offers %s; 'auth on' chooses among them", list.len ? list.data : "none");
    }
    buf_free(&list);
    return NULL;
}

static const char *choose_named(const char *wanted, const struct strlist *offered, const struct strlist *tried,
                                const struct sasl_params *p, struct err *e)
{
    const struct mechanism *m = find(wanted);
    if (!m || !strlist_has_nocase(offered, wanted))
        return refuse_named(wanted, offered, e);
    if (tried && strlist_has_nocase(tried, wanted)) {
        err_set(e, FAULT_AUTH, "the server offers '%s' but refuses to use it", m->name);
        err_hint(e, "'auth on' chooses among all it offers");
        return NULL;
    }
    if ((m->needs & NEEDS_LIBRARY) && !libgsasl_usable(m->name, e))
        return NULL;
    const char *why = obstacle(m, true, p);
    if (!why)
        return m->name;
    err_set(e, FAULT_AUTH, "authentication by '%s' %s", m->name, why);
    if (m->needs & NEEDS_PRIVACY)
        err_hint(e, "set 'tls on'; a secret goes out for anyone to read only where both 'auth %s' and 'tls off' are "
                    "said", m->name);
    return NULL;
}

const char *sasl_choose(const struct strlist *offered, const char *wanted, const struct strlist *tried,
                        const struct sasl_params *p, struct err *e)
{
    if (wanted && *wanted && !ascii_ieq(wanted, "on"))
        return choose_named(wanted, offered, tried, p, e);

    /* In clear, what hides the password goes before what does not. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < MECHANISMS; i++) {
            const struct mechanism *m = &mechanisms[i];
            bool second = (m->needs & NEEDS_PRIVACY) && !p->tls;
            if (second == (pass == 1) && strlist_has_nocase(offered, m->name)
                && !(tried && strlist_has_nocase(tried, m->name)) && !obstacle(m, false, p))
                return m->name;
        }
    }
    if (offered->n == 0) {
        err_set(e, FAULT_AUTH, "the server does not offer authentication");
        err_hint(e, p->tls ? "servers for sending mail listen on port 587 or 465; 'auth off' sends without logging in"
                           : "many servers offer it only under TLS: set 'tls on'");
        return NULL;
    }
    struct buf list = BUF_INIT;
    describe_offer(offered, tried, p, &list);
    err_set(e, FAULT_AUTH, "none of the authentication mechanisms that the server offers can be used");
    err_hint(e, "%sit offers %s", p->tls || p->clear_ok ? "" : "set 'tls on': ", list.data);
    buf_free(&list);
    return NULL;
}

static bool fetch_secret(struct sasl *s, struct err *e)
{
    if (!s->p.secret)
        return err_set(e, FAULT_AUTH, "authentication by '%s' needs a password", s->m->name);
    if (!s->p.secret(s->p.ctx, &s->secret, e))
        return false;
    if (memchr(s->secret->data, 0, s->secret->len)) {
        err_set(e, FAULT_AUTH, "the password holds a NUL octet, which no mechanism can carry");
        return err_hint(e, "look at where it comes from: a file in UTF-16?");
    }
    return true;
}

struct sasl *sasl_start(const char *mechanism, const struct sasl_params *p, struct buf *initial, bool *has_initial,
                        struct err *e)
{
    const struct mechanism *m = find(mechanism);
    if (!m) {
        err_set(e, FAULT_SOFTWARE, "no such mechanism: '%s'", mechanism);
        return NULL;
    }
    struct sasl *s = xcalloc(1, sizeof *s);
    s->m = m;
    s->p = *p;
    buf_init(&s->failure);
    *has_initial = (m->needs & CLIENT_FIRST) != 0;
    if ((!(m->needs & NEEDS_SECRET) || fetch_secret(s, e)) && (!*has_initial || m->step(s, NULL, initial, e))) {
        s->round += *has_initial;
        return s;
    }
    err_stage(e, STAGE_AUTH);
    sasl_free(s);
    return NULL;
}

bool sasl_step(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    enum { ROUNDS_MAX = 16 }; /* GSSAPI may need a few; nothing needs this many */
    bool ok = s->round < ROUNDS_MAX ? s->m->step(s, challenge, response, e)
                                    : err_set(e, FAULT_PROTOCOL, "the server's authentication challenges do not end");
    s->round++;
    return ok || err_stage(e, STAGE_AUTH);
}

bool sasl_finish(struct sasl *s, const struct buf *last, struct err *e)
{
    if (!(s->m->needs & PROVES_SERVER) || s->done)
        return true;
    struct buf rest = BUF_SECRET_INIT;
    bool ok = last && last->len > 0 ? s->m->step(s, last, &rest, e) : true;
    buf_free(&rest);
    if (ok && !s->done) {
        ok = err_set(e, FAULT_AUTH, "the server says yes but has not proved that it knows the password");
        err_hint(e, "'%s' asks for this proof: the peer may not be the server you mean", s->m->name);
    }
    return ok || err_stage(e, STAGE_AUTH);
}

void sasl_free(struct sasl *s)
{
    if (!s)
        return;
    libgsasl_free(s);
    buf_free(&s->failure);
    free(s);
}

bool sasl_try_next(const struct reply *r)
{
    static const int codes[] = { 500, 501, 502, 503, 504, 538 };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (r->code == codes[i])
            return true;
    const int *x = r->enhanced;
    return x[0] == 5 && ((x[1] == 7 && x[2] == 4) || (x[1] == 5 && x[2] == 4));
}

const char *sasl_failure(const struct sasl *s)
{
    return s->failure.len ? s->failure.data : NULL;
}
