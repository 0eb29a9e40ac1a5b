/* submit: one message through one account, from the last checks to the report: to its smarthost, or straight to the
 * mail exchangers (direct). */
#include "send/submit.h"

#include <stdlib.h>

#include "net/loop.h"
#include "net/tls.h"
#include "send/credentials.h"
#include "send/deliver.h"
#include "send/direct.h"
#include "send/hint.h"
#include "send/postmortem.h"
#include "send/relay.h"
#include "send/report.h"
#include "send/route.h"

struct submission {
    const struct submit_params *p;
    struct route route;
    struct credentials credentials;
    struct report_params report;
    struct err failure;    /* what ended the deliveries; unset: nothing */
    size_t failed;         /* … over this hop */
    usec deadline; /* of the whole run */
};

static void run_alone(struct relay *r)
{
    struct task *task = relay_task(r);
    int number = 0;
    if (!loop_run(&task, 1, &number)) {
        struct err interrupted = ERR_INIT;
        deliver_interrupted(number, &interrupted);
        relay_abort(r, &interrupted);
    }
}

/* One relay for everybody. */
static void deliver_to_smarthost(struct submission *s)
{
    unsigned connections = 0;
    struct relay_end end;
    const struct relay_params params = {
        .account = s->p->account,
        .route = &s->route,
        .env = s->p->env,
        .message = s->p->message,
        .credentials = &s->credentials,
        .hub = s->p->hub,
        .connections = &connections,
        .deadline = s->deadline,
    };
    struct relay *r = relay_new(&params);
    run_alone(r);
    relay_take(r, &end);
    relay_free(r);
    s->report.tls = end.tls;
    s->report.port = s->route.v[end.hop].port;
    s->report.octets = end.octets;
    s->report.queue_id = end.queue_id;
    end.queue_id = NULL;
    s->failed = end.hop;
    err_move(&s->failure, &end.err);
    relay_end_free(&end);
}

/* false: it did not come to a connection. */
static bool deliver(struct submission *s, struct err *e)
{
    if (s->p->account->mx) {
        direct_deliver(s->p, &s->credentials, s->deadline, &s->report, &s->failure);
        return true;
    }
    if (!route_find(&s->route, s->p->account, e) || !deliver_check(s->p->account, &s->route.v[0], &s->credentials, e))
        return false;
    deliver_to_smarthost(s);
    return true;
}

bool submit(const struct submit_params *p, struct err *e)
{
    struct submission s = {
        .p = p,
        .report = { .account = p->account, .env = p->env, .message = p->message, .started = p->started, .hub = p->hub },
        .deadline = clock_deadline(p->account->deadline),
    };
    credentials_init(&s.credentials, p->account, p->hub, s.deadline);
    if (deliver(&s, e))
        report_verdict(p->env, &s.failure, e);
    if (err_is_set(&s.failure) && s.route.n > 0)
        postmortem(p->account, &s.route.v[s.failed], s.deadline, e);
    hint_add(e);
    report_emit(&s.report, e);
    credentials_mask(&s.credentials, e);
    report_free(&s.report);
    credentials_free(&s.credentials);
    err_clear(&s.failure);
    route_free(&s.route);
    return !err_is_set(e);
}
