/* talk_login: a login in the middle of a dialogue. It makes lines and reads replies; the mechanisms are auth/sasl's. */
#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"
#include "base/codec.h"
#include "cmd/talk.h"
#include "net/dial.h"

struct login {
    struct sasl *sasl;
    const char *mechanism;
    const char *binding_type;
    struct buf binding;
};

/* Behind a proxy the server may be anywhere, wherever the proxy is. */
static bool server_is_local(const struct talk_params *p, const struct stream *stream)
{
    const char *peer = stream_peer(stream);
    if (p->hop->socket || p->hop->command.n > 0)
        return true;
    return p->account->proxy_type == PROXY_NONE && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0);
}

struct login *talk_login_start(const struct login_params *lp, struct buf *line, size_t *secret_from, struct err *e)
{
    const struct talk_params *p = lp->talk;
    const struct stream *stream = lp->stream;
    const char *mechanism = lp->mechanism;
    struct login *l = xcalloc(1, sizeof *l);
    struct strlist tried = STRLIST_INIT, named = STRLIST_INIT;
    struct buf initial = BUF_SECRET_INIT;
    bool has_initial = false;

    *l = (struct login){ .binding = BUF_INIT };
    struct sasl_params params = {
        .user = p->account->user,
        .ntlm_domain = p->account->ntlmdomain,
        .host = p->hop->host ? p->hop->host : "localhost",
        .port = p->hop->port,
        .tls = stream_is_tls(stream),
        .clear_ok = lp->clear_ok || server_is_local(p, stream) || (p->account->auth_explicit && p->account->tls_explicit_off),
        .client_certificate = p->account->tls_cert_file != NULL,
        .offered = &lp->caps->auth,
        .secret = credentials_secret,
        .ctx = p->credentials,
    };
    if (stream_channel_binding(stream, &l->binding_type, &l->binding)) {
        params.binding_type = l->binding_type;
        params.binding = &l->binding;
    }
    if (mechanism) /* whoever names one may mean a server that does not offer it */
        strlist_add(&named, mechanism);
    l->mechanism = sasl_choose(mechanism ? &named : &lp->caps->auth, mechanism ? mechanism : p->account->auth, &tried, &params, e);
    if (l->mechanism)
        l->sasl = sasl_start(l->mechanism, &params, &initial, &has_initial, e);
    if (l->sasl) {
        buf_printf(line, "AUTH %s", l->mechanism);
        *secret_from = SIZE_MAX;
        if (has_initial) {
            buf_addc(line, ' ');
            *secret_from = line->len;
            if (initial.len > 0)
                base64_encode(line, initial.data, initial.len);
            else
                buf_addc(line, '=');
        }
    }
    buf_free(&initial);
    strlist_free(&named);
    strlist_free(&tried);
    if (l->sasl)
        return l;
    err_stage(e, STAGE_AUTH);
    talk_login_free(l);
    return NULL;
}

void talk_login_answer(struct login *l, const char *challenge, struct buf *line, struct err *e)
{
    struct buf octets = BUF_SECRET_INIT, response = BUF_SECRET_INIT;

    if (!base64_decode(&octets, challenge, strlen(challenge)))
        err_set(e, FAULT_PROTOCOL, "the server's challenge is not base64");
    else if (sasl_step(l->sasl, &octets, &response, e))
        base64_encode(line, response.data, response.len);
    if (err_is_set(e))
        buf_addc(line, '*');
    err_stage(e, STAGE_AUTH);
    buf_free(&octets);
    buf_free(&response);
}

void talk_login_end(struct login *l, const struct talk_params *p, const char *reply, struct err *e)
{
    const struct buf nothing = BUF_INIT;
    bool ok = reply[0] == '2';

    emit(p->hub, 1, EV_AUTH, F_STR("mechanism", l->mechanism), F_STR("user", p->account->user), F_BOOL("ok", ok));
    if (!ok) {
        err_set(e, reply[0] == '4' ? FAULT_TEMPORARY : FAULT_AUTH, "the server refused the login of '%s' with %s",
                p->account->user ? p->account->user : "", l->mechanism);
        err_server(e, reply);
    } else {
        sasl_finish(l->sasl, &nothing, e);
    }
    err_stage(e, STAGE_AUTH);
}

void talk_login_free(struct login *l)
{
    if (!l)
        return;
    sasl_free(l->sasl);
    buf_free(&l->binding);
    free(l);
}
