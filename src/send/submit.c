/* submit: one message through one account, from the last checks to the report. */
#include "send/submit.h"

#include <stdlib.h>

#include "net/tls.h"
#include "send/credentials.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/report.h"
#include "send/route.h"

struct submission {
    const struct submit_params *p;
    struct route route;
    struct credentials credentials;
    struct report_params report;
    usec deadline; /* of the whole run */
};

/* A mistake that needs no connection to be found must not cost one; nor must a server wait for a password to be
 * typed. */
static bool check_before_connecting(struct submission *s, struct err *e)
{
    const struct account *a = s->p->account;
    struct tls_params tls = deliver_tls_params(a, &s->route.v[0], &s->credentials);
    const struct buf *secret;
    if (s->route.v[0].tls != SESSION_TLS_OFF && !tls_params_check(&tls, e))
        return false;
    return !credentials_needed(a) || credentials_secret(&s->credentials, &secret, e);
}

/* One connection. */
static void deliver_over(struct submission *s, const struct hop *hop, unsigned connection, struct err *e)
{
    const struct deliver_params params = {
        .account = s->p->account,
        .hop = hop,
        .env = s->p->env,
        .message = s->p->message,
        .credentials = &s->credentials,
        .hub = s->p->hub,
        .connection = connection,
        .deadline = s->deadline,
    };
    struct deliver *d = deliver_new(&params);
    deliver_run(d, e);
    s->report.tls = deliver_is_tls(d);
    s->report.octets = deliver_octets(d);
    if (!s->report.queue_id)
        s->report.queue_id = xstrdup(deliver_queue_id(d));
    deliver_free(d);
}

/* A server may end a connection after a transaction or two (421, MAILMAX): who is left is served over the next one. */
static void deliver_all(struct submission *s, struct err *e)
{
    struct err connection = ERR_INIT;
    const struct envelope *env = s->p->env;
    size_t before, left = envelope_count(env, RCPT_PENDING);
    unsigned number = 0;
    do {
        before = left;
        deliver_over(s, &s->route.v[0], ++number, &connection);
        left = envelope_count(env, RCPT_PENDING);
    } while (!err_is_set(&connection) && left > 0 && left < before && message_can_rewind(s->p->message));
    report_verdict(env, &connection, e);
    err_clear(&connection);
}

bool submit(const struct submit_params *p, struct err *e)
{
    struct submission s = {
        .p = p,
        .report = { .account = p->account, .env = p->env, .message = p->message, .started = p->started, .hub = p->hub },
        .deadline = clock_deadline(p->account->deadline),
    };
    credentials_init(&s.credentials, p->account, p->hub, s.deadline);
    if (route_find(&s.route, p->account, e) && check_before_connecting(&s, e))
        deliver_all(&s, e);
    hint_add(e);
    report_emit(&s.report, e);
    credentials_mask(&s.credentials, e);
    free(s.report.queue_id);
    credentials_free(&s.credentials);
    route_free(&s.route);
    return !err_is_set(e);
}
