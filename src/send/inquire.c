/* inquire: one connection without a message. What is said, and in which order, is the session's to know, as ever. */
#include "send/inquire.h"

#include <string.h>

#include "send/credentials.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/route.h"

static bool check_before_connecting(const struct inquire_params *p, const struct hop *hop, struct credentials *c,
                                    struct err *e)
{
    struct tls_params tls = deliver_tls_params(p->account, hop, c);
    const struct buf *secret;
    if (hop->tls != SESSION_TLS_OFF && !tls_params_check(&tls, e))
        return false;
    return !p->etrn || !credentials_needed(p->account) || credentials_secret(c, &secret, e);
}

static void tell_result(const struct inquire_params *p, const struct reply *r, const struct err *e)
{
    const struct account *a = p->account;
    const bool ok = !err_is_set(e);
    struct buf reply = BUF_INIT;
    if (r)
        reply_format(r, &reply);
    emit(p->hub, 0, EV_RESULT,
         F_STR("account", a->name),
         F_STR("host", a->socket ? a->socket : a->host),
         F_INT_IF("port", !a->socket, a->port),
         F_STR("queue", p->etrn),
         F_INT_IF("smtpstatus", r, r ? r->code : 0),
         F_STR("smtpmsg", r ? reply.data : NULL),
         F_STR("errormsg", ok ? NULL : e->text),
         F_STR("hint", ok ? NULL : e->hint),
         F_STR("exitcode", fault_sysexit_name(e->fault)),
         F_INT("exit", fault_exit(e->fault)),
         F_STR("fault", ok ? NULL : fault_word(e->fault)),
         F_STR("stage", ok ? NULL : stage_word(e->stage)),
         F_INT("ms", (clock_now() - p->started) / 1000));
    buf_free(&reply);
}

static void connect_once(const struct inquire_params *p, const struct hop *hop, struct credentials *c, struct err *e)
{
    const struct deliver_params params = {
        .account = p->account,
        .hop = hop,
        .etrn = p->etrn,
        .look = !p->etrn,
        .credentials = c,
        .hub = p->hub,
        .connection = 1,
        .deadline = c->deadline,
    };
    struct deliver *d = deliver_new(&params);
    deliver_run(d, e);
    hint_add(e);
    tell_result(p, deliver_etrn_reply(d), e);
    deliver_free(d);
}

bool inquire(const struct inquire_params *p, struct err *e)
{
    struct route route = ROUTE_INIT;
    struct credentials credentials;
    credentials_init(&credentials, p->account, p->hub, clock_deadline(p->account->deadline));
    if (route_find(&route, p->account, e) && check_before_connecting(p, &route.v[0], &credentials, e))
        connect_once(p, &route.v[0], &credentials, e);
    else
        tell_result(p, NULL, e);
    credentials_mask(&credentials, e);
    credentials_free(&credentials);
    route_free(&route);
    return !err_is_set(e);
}
