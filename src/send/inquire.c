/* inquire: one connection without a message. What is said, and in which order, is the session's to know, as ever. */
#include "send/inquire.h"

#include <string.h>

#include "send/credentials.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/postmortem.h"
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

static void tell_result(const struct inquire_params *p, const struct hop *hop, const struct reply *r,
                        const struct err *e)
{
    const struct account *a = p->account;
    const bool ok = !err_is_set(e);
    struct buf reply = BUF_INIT;
    if (r)
        reply_format(r, &reply);
    emit(p->hub, 0, EV_RESULT,
         F_STR("account", a->name),
         F_STR("host", a->socket ? a->socket : a->host),
         F_INT_IF("port", !a->socket, hop ? hop->port : a->port),
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

/* Over the next way, where one failed that another can mend. */
static void connect_by(const struct inquire_params *p, struct route *route, struct credentials *c, struct err *e)
{
    size_t at = 0, failed = 0;
    struct deliver *d = NULL;
    bool again;
    unsigned number = 0;
    do {
        const struct deliver_params params = {
            .account = p->account,
            .hop = &route->v[at],
            .etrn = p->etrn,
            .look = !p->etrn,
            .credentials = c,
            .hub = p->hub,
            .connection = ++number,
            .deadline = c->deadline,
        };
        struct err why = ERR_INIT;
        const size_t tried = at;
        deliver_free(d);
        d = deliver_new(&params);
        deliver_run(d, &why);
        struct hop_end end = deliver_hop_end(d);
        again = route_goes_on(route, &at, &end);
        if (route_keep_farthest(e, &why))
            failed = tried;
    } while (again);
    postmortem(p->account, &route->v[failed], c->deadline, e);
    hint_add(e);
    tell_result(p, &route->v[failed], deliver_etrn_reply(d), e);
    deliver_free(d);
}

bool inquire(const struct inquire_params *p, struct err *e)
{
    struct route route = ROUTE_INIT;
    struct credentials credentials;
    credentials_init(&credentials, p->account, p->hub, clock_deadline(p->account->deadline));
    if (route_find(&route, p->account, e) && check_before_connecting(p, &route.v[0], &credentials, e))
        connect_by(p, &route, &credentials, e);
    else
        tell_result(p, NULL, NULL, e);
    credentials_mask(&credentials, e);
    credentials_free(&credentials);
    route_free(&route);
    return !err_is_set(e);
}
