/* submit: one message through one account, from the last checks to the report. */
#include "send/submit.h"

#include <stdlib.h>

#include "net/tls.h"
#include "send/credentials.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/postmortem.h"
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
static struct hop_end deliver_over(struct submission *s, const struct hop *hop, unsigned connection, struct err *e)
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
    struct hop_end end = deliver_hop_end(d);
    end.err = e;
    s->report.tls = deliver_is_tls(d);
    s->report.port = hop->port;
    s->report.octets = deliver_octets(d);
    if (!s->report.queue_id)
        s->report.queue_id = xstrdup(deliver_queue_id(d));
    deliver_free(d);
    return end;
}

/* Nobody has the message; who was not served as the connection broke is asked about again. */
static bool begin_anew(const struct submission *s)
{
    struct envelope *env = s->p->env;
    size_t served = envelope_count(env, RCPT_ACCEPTED) + envelope_count(env, RCPT_UNCERTAIN);
    if (served > 0 || !message_can_rewind(s->p->message))
        return false;
    for (size_t i = 0; i < env->n; i++)
        if (env->rcpts[i].fate == RCPT_DEFERRED && env->rcpts[i].reply.code == 0)
            env->rcpts[i].fate = RCPT_PENDING;
    return true;
}

static void advise(const struct submission *s, size_t at)
{
    struct buf text = BUF_INIT;
    route_advise(&s->route, at, &text);
    emit(s->p->hub, 0, EV_ADVICE, F_STR("text", text.data));
    buf_free(&text);
}

static void tell_other_ports(struct submission *s)
{
    struct buf text = BUF_INIT;
    buf_adds(&text, s->failure.text);
    route_tell_others(&s->route, s->failed, &text);
    free(s->failure.text);
    s->failure.text = buf_steal(&text);
}

/* Over the next way, where one failed that another can mend; and a server may end a connection after a transaction or
 * two (421, MAILMAX): who is left is served over the next one. */
static void deliver_all(struct submission *s, struct err *e)
{
    const struct envelope *env = s->p->env;
    size_t at = 0, told = 0, before, left = envelope_count(env, RCPT_PENDING);
    unsigned number = 0;
    bool again;
    do {
        struct err why = ERR_INIT;
        const struct hop_end end = deliver_over(s, &s->route.v[at], ++number, &why);
        const size_t tried = at;
        if (at > told && route_is_mended(&s->route, at, &why)) {
            advise(s, at);
            told = at;
        }
        before = left;
        left = envelope_count(env, RCPT_PENDING);
        if (err_is_set(&why))
            again = clock_now() < s->deadline && route_goes_on(&s->route, &at, &end) && begin_anew(s);
        else
            again = left > 0 && left < before && message_can_rewind(s->p->message);
        left = envelope_count(env, RCPT_PENDING);
        if (route_keep_farthest(&s->failure, &why))
            s->failed = tried;
    } while (again);
    if (err_is_set(&s->failure))
        tell_other_ports(s);
    report_verdict(env, &s->failure, e);
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
    if (err_is_set(&s.failure))
        postmortem(p->account, &s.route.v[s.failed], s.deadline, e);
    hint_add(e);
    report_emit(&s.report, e);
    credentials_mask(&s.credentials, e);
    free(s.report.queue_id);
    credentials_free(&s.credentials);
    err_clear(&s.failure);
    route_free(&s.route);
    return !err_is_set(e);
}
