/* gsasl: the cryptographic mechanisms, made by libgsasl. */
#include "auth/gsasl_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/mechanism.h"
#include "base/codec.h"

DOOR_DEFINE(gsasl_door, gsasl_api, GSASL_SYMBOLS, "libgsasl.so.18", "libgsasl18",
            "recommended", "sasl", "SCRAM, CRAM-MD5, DIGEST-MD5, GSSAPI and NTLM")

struct libgsasl {
    const struct gsasl_api *api;
    Gsasl *context;
    Gsasl_session *session;
};

enum {
    /* Key derivation is the server's to order and ours to pay: a second for each million on a machine of 2020. */
    ITERATIONS_MAX = 2000000,
    ITERATIONS_MIN_CLEAR = 4096, /* RFC 7677 4; whoever reads along must not get the password for less */
};

static bool report(const struct sasl *s, const struct gsasl_api *api, int code, struct err *e)
{
    const char *name = s->m->name;
    switch (code) {
    case GSASL_AUTHENTICATION_ERROR:
        err_set(e, FAULT_AUTH, "the server's part of '%s' is wrong: it does not know the password", name);
        return err_hint(e, "the password may be wrong, or the peer is not the server you mean");
    case GSASL_SASLPREP_ERROR:
        err_set(e, FAULT_AUTH, "user name or password cannot be used with '%s'", name);
        return err_hint(e, "they have to be UTF-8 without control characters; 'auth plain' sends them as they are");
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_BASE64_ERROR:
        return err_set(e, FAULT_PROTOCOL, "the server's challenge is not one of '%s'", name);
    case GSASL_GSSAPI_INIT_SEC_CONTEXT_ERROR:
    case GSASL_GSSAPI_ACQUIRE_CRED_ERROR:
        err_set(e, FAULT_AUTH, "there is no Kerberos ticket for smtp/%s", s->p.host ? s->p.host : "the server");
        return err_hint(e, "get one with kinit; 'auth on' uses a password");
    default:
        return err_set(e, FAULT_AUTH, "authentication by '%s' failed: %s", name, api->gsasl_strerror(code));
    }
}

bool libgsasl_usable(const char *name, struct err *e)
{
    const struct gsasl_api *api = gsasl_door(e);
    Gsasl *context;
    if (!api)
        return false;
    int code = api->gsasl_init(&context);
    if (code != GSASL_OK)
        return err_set(e, FAULT_SYSTEM, "cannot start libgsasl: %s", api->gsasl_strerror(code));
    bool usable = api->gsasl_client_support_p(context, name) != 0;
    api->gsasl_done(context);
    if (!usable)
        err_set(e, FAULT_AUTH, "this libgsasl was built without '%s'", name);
    return usable;
}

/* The GS2 flag of SCRAM is 'p' in the -PLUS forms; 'y' where we could bind but the server does not offer it, so that it
 * can notice an offer cut by somebody between us; 'n' where we cannot bind. The library says 'y' when it is given a
 * binding it was not asked to use. */
static bool may_bind(const struct sasl *s)
{
    const struct strlist *o = s->p.offered;
    if (!s->p.binding_type || !s->p.binding)
        return false;
    return (s->m->needs & NEEDS_BINDING)
           || (o && !strlist_has_nocase(o, "SCRAM-SHA-256-PLUS") && !strlist_has_nocase(o, "SCRAM-SHA-1-PLUS"));
}

static int set_properties(const struct sasl *s, const struct libgsasl *g, bool bind)
{
    const bool tickets = !(s->m->needs & NEEDS_SECRET);
    struct buf binding = BUF_INIT;
    if (bind)
        base64_encode(&binding, s->p.binding->data, s->p.binding->len);
    const bool exporter = bind && strcmp(s->p.binding_type, "tls-exporter") == 0;
    const struct {
        Gsasl_property property;
        const char *value;
    } rows[] = {
        { GSASL_AUTHID, s->p.user },
        { GSASL_AUTHZID, s->p.authzid ? s->p.authzid : tickets ? s->p.user : NULL },
        { GSASL_PASSWORD, s->secret ? s->secret->data : NULL },
        { GSASL_SERVICE, "smtp" },
        { GSASL_HOSTNAME, s->p.host },
        { GSASL_REALM, strcmp(s->m->name, "NTLM") == 0 ? s->p.ntlm_domain : NULL },
        { exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE, bind ? binding.data : NULL },
    };
    int code = GSASL_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && code == GSASL_OK; i++)
        if (rows[i].value)
            code = g->api->gsasl_property_set(g->session, rows[i].property, rows[i].value);
    buf_free(&binding);
    return code;
}

void gsasl_door_finish(const struct gsasl_api *api, Gsasl_session *session)
{
    static const Gsasl_property secrets[] = { GSASL_PASSWORD, GSASL_SCRAM_SALTED_PASSWORD };
    if (!session)
        return;
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        char *copy = (char *)api->gsasl_property_fast(session, secrets[i]);
        if (copy)
            explicit_bzero(copy, strlen(copy));
    }
    api->gsasl_finish(session);
}

static void close_session(struct libgsasl *g)
{
    gsasl_door_finish(g->api, g->session);
    g->session = NULL;
}

static int open_session(struct sasl *s, bool bind)
{
    struct libgsasl *g = s->gsasl;
    close_session(g);
    int code = g->api->gsasl_client_start(g->context, s->m->name, &g->session);
    return code == GSASL_OK ? set_properties(s, g, bind) : code;
}

static int talk(struct sasl *s, const struct buf *challenge, struct buf *response)
{
    const struct libgsasl *g = s->gsasl;
    char *out = NULL;
    size_t n = 0;
    int code = g->api->gsasl_step(g->session, challenge ? challenge->data : NULL, challenge ? challenge->len : 0, &out,
                                  &n);
    if (out) {
        if (code == GSASL_OK || code == GSASL_NEEDS_MORE)
            buf_add(response, out, n);
        explicit_bzero(out, n);
        g->api->gsasl_free(out);
    }
    return code;
}

static int begin(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    const struct gsasl_api *api = gsasl_door(e);
    if (!api)
        return GSASL_UNKNOWN_MECHANISM;
    s->gsasl = xcalloc(1, sizeof *s->gsasl);
    s->gsasl->api = api;
    int code = api->gsasl_init(&s->gsasl->context);
    bool bind = may_bind(s);
    if (code == GSASL_OK)
        code = open_session(s, bind);
    if (code == GSASL_OK)
        code = talk(s, challenge, response);
    if (code == GSASL_AUTHENTICATION_ERROR && bind && !(s->m->needs & NEEDS_BINDING)) {
        /* libgsasl 2.2.0 cannot print 'y' and fails before a word is said: 'n' is then the next best. */
        code = open_session(s, false);
        if (code == GSASL_OK)
            code = talk(s, challenge, response);
    }
    return code;
}

/* What has to be looked at in a SCRAM challenge before the library works on it. */
static bool scram_check(const struct sasl *s, const struct buf *challenge, struct err *e)
{
    if (memchr(challenge->data, 0, challenge->len)) /* the library reads on behind it, what follows here would not */
        return report(s, NULL, GSASL_MECHANISM_PARSE_ERROR, e);
    if (strncmp(challenge->data, "e=", 2) == 0) {
        char words[41];
        size_t n = strspn(challenge->data + 2, "abcdefghijklmnopqrstuvwxyz-");
        snprintf(words, sizeof words, "%.*s", n < 40 ? (int)n : 40, challenge->data + 2);
        return err_set(e, FAULT_AUTH, "authentication by '%s' failed, says the server: %s", s->m->name, words);
    }
    const char *at = s->round == 1 ? strstr(challenge->data, ",i=") : NULL;
    if (!at)
        return true;
    unsigned long iterations = strtoul(at + 3, NULL, 10);
    if (iterations > ITERATIONS_MAX) {
        err_set(e, FAULT_AUTH, "the server asks for %lu rounds of key derivation, more than %d", iterations,
                ITERATIONS_MAX);
        return err_hint(e, "this would keep the processor busy for long; another mechanism may do, "
                           "such as 'auth plain' under TLS");
    }
    if (!s->p.tls && iterations < ITERATIONS_MIN_CLEAR) {
        err_set(e, FAULT_AUTH, "the server asks for %lu rounds of key derivation, less than %d", iterations,
                ITERATIONS_MIN_CLEAR);
        return err_hint(e, "without TLS this would make the password easy to guess: set 'tls on'");
    }
    return true;
}

bool libgsasl_step(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    if (s->done) {
        /* DIGEST-MD5 and SCRAM are done with the server's proof; nothing may follow but the reply. */
        return err_set(e, FAULT_PROTOCOL, "the server asks for more than '%s' has to say", s->m->name);
    }
    if (challenge && strncmp(s->m->name, "SCRAM-", 6) == 0 && !scram_check(s, challenge, e))
        return false;
    int code = s->gsasl ? talk(s, challenge, response) : begin(s, challenge, response, e);
    if (err_is_set(e))
        return false;
    if (code != GSASL_OK && code != GSASL_NEEDS_MORE)
        return report(s, s->gsasl->api, code, e);
    s->done = code == GSASL_OK;
    return true;
}

void libgsasl_free(struct sasl *s)
{
    if (!s->gsasl)
        return;
    close_session(s->gsasl);
    if (s->gsasl->context)
        s->gsasl->api->gsasl_done(s->gsasl->context);
    free(s->gsasl);
    s->gsasl = NULL;
}
