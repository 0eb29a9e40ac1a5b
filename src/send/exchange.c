/* exchange: AUTH, between the session, which knows the wire, and sasl, which knows the mechanisms. */
#include "send/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"
#include "net/dial.h"

struct exchange {
    struct exchange_params p;
    struct sasl *sasl;
    const char *mechanism;
    struct strlist tried;
    const char *binding_type;
    struct buf binding;
    struct err err; /* a server that cannot prove itself gets no other mechanism to try */
};

struct exchange *exchange_new(const struct exchange_params *p)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    *x = (struct exchange){ .p = *p, .binding = BUF_INIT };
    return x;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    sasl_free(x->sasl);
    strlist_free(&x->tried);
    buf_free(&x->binding);
    err_clear(&x->err);
    free(x);
}

const struct err *exchange_error(const struct exchange *x)
{
    return &x->err;
}

/* Behind a proxy the server may be anywhere, wherever the proxy is. */
static bool server_is_local(const struct exchange *x, const struct stream *stream)
{
    const char *peer = stream_peer(stream);
    if (x->p.hop->socket)
        return true;
    return x->p.account->proxy_type == PROXY_NONE && (strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0);
}

static struct sasl_params sasl_params(struct exchange *x, const struct session *s, const struct stream *stream)
{
    const struct account *a = x->p.account;
    struct sasl_params p = {
        .user = a->user,
        .ntlm_domain = a->ntlmdomain,
        .host = x->p.hop->host ? x->p.hop->host : "localhost",
        .port = x->p.hop->port,
        .tls = stream_is_tls(stream),
        .clear_ok = server_is_local(x, stream) || (a->auth_explicit && a->tls_explicit_off),
        .client_certificate = a->tls_cert_file != NULL,
        .offered = &session_caps(s)->auth,
        .secret = credentials_secret,
        .ctx = x->p.credentials,
    };
    if (x->binding.len == 0)
        stream_channel_binding(stream, &x->binding_type, &x->binding);
    if (x->binding.len > 0) {
        p.binding_type = x->binding_type;
        p.binding = &x->binding;
    }
    return p;
}

static void refused(struct exchange *x, const struct reply *r, struct err *e)
{
    const char *why = x->sasl ? sasl_failure(x->sasl) : NULL;
    err_set(e, reply_temporary(r) ? FAULT_TEMPORARY : FAULT_AUTH, "the server refused the login of '%s' with %s%s%s%s",
            x->p.account->user ? x->p.account->user : "", x->mechanism, why ? " (" : "", why ? why : "", why ? ")" : "");
    err_stage(e, STAGE_AUTH);
    if (why) /* only what takes tokens says more than the reply */
        err_hint(e, "the token may have expired, or be for another user or scope: get a new one, or let 'passwordeval' renew it");
    struct buf words = BUF_INIT;
    reply_format(r, &words);
    err_server(e, words.data);
    buf_free(&words);
}

static void choose(struct exchange *x, struct session *s, const struct stream *stream)
{
    struct err e = ERR_INIT;
    const struct reply *refusal = session_auth_reply(s);
    struct sasl_params p = sasl_params(x, s, stream);
    if (err_is_set(&x->err)) {
        err_copy(&e, &x->err);
        session_auth_give_up(s, &e);
        return;
    }
    if (refusal) {
        emit(x->p.hub, x->p.connection, EV_AUTH, F_STR("mechanism", x->mechanism), F_STR("user", p.user), F_BOOL("ok", false));
        if (!sasl_try_next(refusal)) {
            refused(x, refusal, &e);
            session_auth_give_up(s, &e);
            return;
        }
    }
    const char *mechanism = sasl_choose(&session_caps(s)->auth, x->p.account->auth, &x->tried, &p, &e);
    if (!mechanism) {
        if (refusal) { /* what the server said tells more than that nothing is left to try */
            err_clear(&e);
            refused(x, refusal, &e);
        }
        err_stage(&e, STAGE_AUTH);
        session_auth_give_up(s, &e);
        return;
    }
    sasl_free(x->sasl);
    strlist_add(&x->tried, mechanism);
    x->mechanism = mechanism;
    struct buf initial = BUF_SECRET_INIT;
    bool has_initial = false;
    x->sasl = sasl_start(mechanism, &p, &initial, &has_initial, &e);
    if (x->sasl) {
        session_auth_start(s, mechanism, has_initial ? &initial : NULL);
    } else {
        err_stage(&e, STAGE_AUTH);
        session_auth_give_up(s, &e);
    }
    buf_free(&initial);
}

static void answer(struct exchange *x, struct session *s)
{
    struct err e = ERR_INIT;
    struct buf response = BUF_SECRET_INIT;
    if (sasl_step(x->sasl, session_auth_challenge(s), &response, &e)) {
        session_auth_respond(s, &response);
    } else {
        err_stage(&e, STAGE_AUTH);
        err_move(&x->err, &e);
        session_auth_cancel(s);
    }
    buf_free(&response);
}

void exchange_serve(struct exchange *x, struct session *s, const struct stream *stream)
{
    struct err e = ERR_INIT;
    switch (session_auth_state(s)) {
    case SESSION_AUTH_CHOOSE:
        choose(x, s, stream);
        return;
    case SESSION_AUTH_CHALLENGE:
        answer(x, s);
        return;
    case SESSION_AUTH_SUCCESS:
        if (!sasl_finish(x->sasl, session_auth_challenge(s), &e)) {
            err_stage(&e, STAGE_AUTH);
            session_fail(s, &e);
            return;
        }
        emit(x->p.hub, x->p.connection, EV_AUTH, F_STR("mechanism", x->mechanism), F_STR("user", x->p.account->user),
             F_BOOL("ok", true));
        session_auth_accept(s);
        return;
    }
}
