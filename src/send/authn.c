/* authn: one login at a server, between the account and auth/sasl's mechanisms. */
#include "send/authn.h"

#include <string.h>

#include "net/dial.h"

void authn_free(struct authn *l)
{
    sasl_free(l->sasl);
    l->sasl = NULL;
    buf_free(&l->binding);
}

/* Behind a proxy the server may be anywhere, wherever the proxy is. */
bool authn_is_local(const struct authn *l, const struct stream *stream)
{
    const char *peer = stream_peer(stream);
    if (l->p.hop->socket || l->p.hop->command.n > 0)
        return true;
    return l->p.account->proxy_type == PROXY_NONE && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0);
}

struct sasl_params authn_sasl_params(struct authn *l, const struct stream *stream, const struct strlist *offered)
{
    const struct account *a = l->p.account;
    struct sasl_params p = {
        .user = a->user && *a->user ? a->user : NULL,
        .ntlm_domain = a->ntlmdomain,
        .host = l->p.hop->host ? l->p.hop->host : "localhost",
        .port = l->p.hop->port,
        .tls = stream_is_tls(stream),
        .clear_ok = authn_is_local(l, stream) || (a->auth_explicit && a->tls_explicit_off),
        .client_certificate = a->tls_cert_file != NULL,
        .offered = offered->n > 0 ? offered : NULL,
        .secret = credentials_secret,
        .ctx = l->p.credentials,
    };
    if (l->binding.len == 0)
        stream_channel_binding(stream, &l->binding_type, &l->binding);
    if (l->binding.len > 0) {
        p.binding_type = l->binding_type;
        p.binding = &l->binding;
    }
    return p;
}

bool authn_start(struct authn *l, const char *mechanism, const struct sasl_params *p, struct buf *initial,
                 bool *has_initial, struct err *e)
{
    sasl_free(l->sasl);
    l->mechanism = mechanism;
    l->sasl = sasl_start(mechanism, p, initial, has_initial, e);
    err_stage(e, STAGE_AUTH);
    return l->sasl != NULL;
}

bool authn_step(struct authn *l, const struct buf *challenge, struct buf *response, struct err *e)
{
    bool ok = sasl_step(l->sasl, challenge, response, e);
    err_stage(e, STAGE_AUTH);
    return ok;
}

static void tell(const struct authn *l, bool ok)
{
    emit(l->p.hub, l->p.connection, EV_AUTH, F_STR("mechanism", l->mechanism), F_STR("user", l->p.account->user),
         F_BOOL("ok", ok));
}

bool authn_accepted(struct authn *l, const struct buf *last, struct err *e)
{
    bool ok = sasl_finish(l->sasl, last, e);
    err_stage(e, STAGE_AUTH);
    if (ok)
        tell(l, true);
    return ok;
}

void authn_tell_refusal(const struct authn *l)
{
    tell(l, false);
}

void authn_refused(const struct authn *l, const char *reply, bool temporary, struct err *e)
{
    const char *why = l->sasl ? sasl_failure(l->sasl) : NULL;
    err_set(e, temporary ? FAULT_TEMPORARY : FAULT_AUTH, "the server refused the login of '%s' with %s%s%s%s",
            l->p.account->user ? l->p.account->user : "", l->mechanism,
            why ? " (" : "", why ? why : "", why ? ")" : "");
    err_stage(e, STAGE_AUTH);
    if (why) /* only what takes tokens says more than the reply */
        err_hint(e, "the token may have expired, or be for another user or scope: get a new one,"
                    " or let 'passwordeval' renew it");
    err_server(e, reply);
}
