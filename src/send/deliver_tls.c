/* deliver_tls: what an account and a hop ask of TLS, the name of a session that may be kept for another run, and what
 * TLS turned out to be, as events. It knows no connection. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "net/digest.h"
#include "send/deliver.h"

enum { SECONDS_PER_DAY = 24 * 60 * 60 };

/* A mail exchanger has what was decided for it, and no more. A level that wants a peer proven never comes out as one
 * that does not. */
static void protect_exchanger(struct tls_params *p, const struct hop *hop)
{
    const bool dane = hop->wanted == LEVEL_DANE || hop->wanted == LEVEL_DANE_ONLY;
    p->host = hop->host;
    p->verify = hop->wanted >= LEVEL_DANE || hop->report;
    p->tolerate = hop->report && hop->wanted < LEVEL_DANE;
    p->tlsa = dane ? hop->tlsa : NULL;
    p->names = dane ? &hop->names : NULL;
    p->exchanger = true;
    if (hop->wanted != LEVEL_FINGERPRINT)
        p->fingerprints = NULL;
}

struct tls_params deliver_tls_params(const struct account *a, const struct hop *hop, struct credentials *c)
{
    const char *host = a->tls_host_override ? a->tls_host_override : hop->host;
    struct tls_params p = {
        .host = host ? host : "localhost",
        .verify = hop->verify,
        .trust_file = a->tls_trust_file,
        .crl_file = a->tls_crl_file,
        .fingerprints = &a->tls_fingerprint,
        .key_file = a->tls_key_file,
        .cert_file = a->tls_cert_file,
        .priorities = a->tls_priorities,
        .key_password = credentials_key_password,
        .ctx = c,
    };
    if (hop->exchanger)
        protect_exchanger(&p, hop);
    return p;
}

bool deliver_check(const struct account *a, const struct hop *hop, struct credentials *c, struct err *e)
{
    struct tls_params tls = deliver_tls_params(a, hop, c);
    const struct buf *secret;
    if (hop->tls != SESSION_TLS_OFF && !tls_params_check(&tls, e))
        return false;
    return !credentials_needed(a) || credentials_secret(c, &secret, e);
}

/* ---- the name of a session ---- */

/* Whoever runs with another's rights keeps nothing there; what root and daemons send is nobody's login. */
static bool keeps_sessions(const struct account *a, const struct hop *hop)
{
    if (!hop->host || a->tls_session_cache == TRI_OFF)
        return false;
    if (a->tls_session_cache == TRI_AUTO && (a->system || geteuid() == 0))
        return false;
    return getuid() == geteuid() && getgid() == getegid();
}

/* A verdict that may stand for a later run: somebody's identity is wanted and nothing less will do; and it does not end
 * with a revocation list, of which nobody knows when the next is due. */
static bool is_wanted_verified(const struct tls_params *p)
{
    const bool by = p->verify || p->tlsa || (p->fingerprints && p->fingerprints->n > 0);
    return by && !p->tolerate && !p->any_name && !p->any_issuer && !p->crl_file;
}

static void add_octets(struct digest *d, const void *p, size_t n)
{
    digest_add(d, &n, sizeof n);
    digest_add(d, p, n);
}

/* NULL is not "". */
static void add_text(struct digest *d, const char *s)
{
    add_octets(d, s ? s : "\xff", s ? strlen(s) : 1);
}

static void add_number(struct digest *d, long long n)
{
    digest_add(d, &n, sizeof n);
}

static void add_list(struct digest *d, const struct strlist *l)
{
    add_number(d, l ? (long long)l->n : -1);
    for (size_t i = 0; l && i < l->n; i++)
        add_text(d, l->v[i]);
}

/* Another file of that name, or the same written anew, is another file. false: nobody can see here whether it changes:
 * a directory, a pipe, a PKCS#11 URL. */
static bool add_file(struct digest *d, const char *path)
{
    struct stat st;
    add_text(d, path);
    if (!path)
        return true;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    const long long is[] = { (long long)st.st_dev, (long long)st.st_ino, st.st_size, st.st_mtim.tv_sec,
                             st.st_mtim.tv_nsec, st.st_ctim.tv_sec, st.st_ctim.tv_nsec };
    digest_add(d, is, sizeof is);
    return true;
}

static void add_tlsa(struct digest *d, const struct dns_answer *tlsa)
{
    add_number(d, tlsa ? (long long)tlsa->n : -1);
    for (size_t i = 0; tlsa && i < tlsa->n; i++) {
        const struct dns_record *r = &tlsa->v[i];
        const int is[] = { r->usage, r->selector, r->matching };
        digest_add(d, is, sizeof is);
        add_octets(d, r->association.data, r->association.len);
    }
}

static void add_peer(struct digest *d, const struct account *a, const struct hop *hop, const struct tls_params *p)
{
    add_text(d, hop->host);
    add_number(d, hop->port);
    add_number(d, hop->tls);
    add_text(d, a->user);
    add_text(d, a->source_ip);
    add_number(d, a->proxy_type);
    add_text(d, a->proxy_host);
    add_number(d, a->proxy_port);
    add_text(d, a->proxy_user);
    add_text(d, p->host);
    add_text(d, p->sni);
    add_text(d, p->priorities);
}

static void add_verdict(struct digest *d, const struct hop *hop, const struct tls_params *p)
{
    const bool flags[] = { p->verify, hop->exchanger, hop->report };
    add_text(d, PACKAGE_VERSION); /* which verdict was found how */
    digest_add(d, flags, sizeof flags);
    add_number(d, hop->wanted);
    add_list(d, p->fingerprints);
    add_list(d, p->names);
    add_tlsa(d, p->tlsa);
}

static bool add_files(struct digest *d, const struct tls_params *p)
{
    const bool system = !p->trust_file || ascii_ieq(p->trust_file, "system");
    const char *const files[] = { system ? SYSTEM_TRUST_FILE : p->trust_file, p->cert_file, p->key_file };
    bool seen = true;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        seen = add_file(d, files[i]) && seen;
    return seen;
}

bool deliver_tls_session_name(const struct account *a, const struct hop *hop, const struct tls_params *p,
                              struct buf *name)
{
    struct digest *d = keeps_sessions(a, hop) && is_wanted_verified(p) ? digest_new() : NULL;
    if (!d)
        return false;
    add_peer(d, a, hop, p);
    add_verdict(d, hop, p);
    const bool seen = add_files(d, p);
    if (seen)
        buf_printf(name, "%s_%d_", hop->host, hop->port);
    digest_free(d, seen ? name : NULL);
    return seen;
}

/* ---- what came of it ---- */

static void tell_certificate(struct hub *hub, unsigned connection, size_t depth, const struct tls_certificate *c)
{
    const long long now = time(NULL);
    emit(hub, connection, EV_CERTIFICATE, F_INT("depth", (int64_t)depth), F_STR("subject", c->subject),
         F_STR("issuer", c->issuer), F_LIST("names", &c->names), F_TIME("not_before", c->not_before),
         F_TIME("not_after", c->not_after), F_INT("days_left", (c->not_after - now) / SECONDS_PER_DAY),
         F_STR("key", c->key), F_STR("sha256", c->sha256), F_STR("spki_sha256", c->spki_sha256), F_STR("sha1", c->sha1),
         F_STR("pem", c->pem));
}

void deliver_tls_tell(struct hub *hub, unsigned connection, const struct tls_facts *f)
{
    if (!f)
        return;
    if (f->version)
        emit(hub, connection, EV_TLS, F_STR("version", f->version), F_STR("cipher", f->cipher),
             F_STR("group", f->group), F_BOOL("resumed", f->resumed), F_BOOL("verified", f->verified),
             F_STR("how", f->how), F_STR("problem", f->problem), F_LIST("problems", &f->problems),
             F_STR("description", f->description), F_STR("local", f->local));
    for (size_t i = 0; i < f->n; i++)
        tell_certificate(hub, connection, i, &f->chain[i]);
}

void deliver_tls_report(struct hub *hub, unsigned connection, const struct hop *hop, const struct tls_facts *f)
{
    if (!hop->report || (f && !f->problem))
        return;
    char *clear = f ? NULL : xasprintf("the connection to '%s' is not encrypted", hop->host);
    char *text = xasprintf("%s; the MTA-STS policy of its domain would not allow that, but it is in testing mode: the "
                           "message goes there",
                           clear ? clear : f->problem);
    emit(hub, connection, EV_WARNING, F_STR("text", text));
    free(text);
    free(clear);
}
