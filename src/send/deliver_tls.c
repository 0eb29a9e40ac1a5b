/* deliver_tls: what an account and a hop ask of TLS, and what TLS turned out to be, as events. */
#include <stdlib.h>
#include <time.h>

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
