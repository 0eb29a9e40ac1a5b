/* relay: one connection after another over the hops of a route. What a failure means for the next hop is the route's to
 * know, what is said on a connection the delivery's. */
#include "send/relay.h"

#include <stdint.h>
#include <stdlib.h>

#include "send/deliver.h"

enum { TURNS = 8 }; /* connections that end at once, before other tasks get their turn */

struct relay {
    struct task task;
    struct relay_params p;
    struct deliver *deliver; /* own; NULL: none under way */
    size_t at;               /* the hop of the present connection */
    size_t told;             /* … of the last advice */
    size_t pending;          /* recipients without a fate as the connection began … */
    bool *asked;             /* own: … and which */
    bool heard;              /* a connection went through all its recipients */
    bool over, turned;
    struct relay_end end;    /* own */
};

static struct hop *hop_now(const struct relay *r)
{
    return &r->p.route->v[r->at];
}

/* ---- recipients ---- */

static size_t count(const struct relay *r, enum rcpt_fate fate)
{
    return envelope_count(r->p.env, fate);
}

/* May another exchanger serve him, whom this one puts off, or was not even asked about? */
static bool is_left(const struct rcpt *rcpt)
{
    return rcpt->fate == RCPT_PENDING || rcpt->fate == RCPT_DEFERRED || (rcpt->fate == RCPT_REFUSED && rcpt->unasked);
}

static bool somebody_is_left(const struct relay *r)
{
    for (size_t i = 0; i < r->p.env->n; i++)
        if (is_left(&r->p.env->rcpts[i]))
            return true;
    return false;
}

/* The next exchanger is asked about everybody whom this one left; another way to the same server only where nobody was
 * served, about those it said nothing about. */
static bool begin_anew(const struct relay *r)
{
    struct envelope *env = r->p.env;
    bool exchanger = hop_now(r)->exchanger, served = count(r, RCPT_ACCEPTED) + count(r, RCPT_UNCERTAIN) > 0;
    if (!message_can_rewind(r->p.message) || (served && !exchanger))
        return false;
    for (size_t i = 0; i < env->n; i++) {
        struct rcpt *rcpt = &env->rcpts[i];
        if (exchanger ? is_left(rcpt) : rcpt->fate == RCPT_DEFERRED && rcpt->reply.code == 0)
            rcpt->fate = RCPT_PENDING;
    }
    return true;
}

/* No further exchanger: what one said of somebody last is his fate. */
static void settle(const struct relay *r, size_t tried)
{
    struct envelope *env = r->p.env;
    for (size_t i = 0; i < env->n && r->p.route->v[tried].exchanger; i++) {
        struct rcpt *rcpt = &env->rcpts[i];
        if (rcpt->fate == RCPT_PENDING && rcpt->reply.code > 0)
            rcpt->fate = reply_permanent(&rcpt->reply) ? RCPT_REFUSED : RCPT_DEFERRED;
    }
}

static bool everybody_was_answered(const struct relay *r)
{
    for (size_t i = 0; i < r->p.env->n; i++)
        if (r->p.env->rcpts[i].reply.code == 0)
            return false;
    return true;
}

/* Of those asked about, whom did this server say something of? */
static void keep_who_answered(struct relay *r)
{
    for (size_t i = 0; i < r->p.env->n; i++) {
        const struct rcpt *rcpt = &r->p.env->rcpts[i];
        if (r->asked[i] && rcpt->fate != RCPT_PENDING && (rcpt->reply.code > 0 || rcpt->fate == RCPT_UNCERTAIN))
            r->end.over[i] = r->at;
    }
}

/* ---- connections ---- */

static void connect_to(struct relay *r)
{
    const struct deliver_params params = {
        .account = r->p.account,
        .hop = hop_now(r),
        .env = r->p.env,
        .message = r->p.message,
        .credentials = r->p.credentials,
        .hub = r->p.hub,
        .connection = ++*r->p.connections,
        .deadline = r->p.deadline,
    };
    r->pending = count(r, RCPT_PENDING);
    for (size_t i = 0; i < r->p.env->n; i++)
        r->asked[i] = r->p.env->rcpts[i].fate == RCPT_PENDING;
    r->deliver = deliver_new(&params);
}

static void advise(const struct relay *r)
{
    struct buf text = BUF_INIT;
    route_advise(r->p.route, r->at, &text);
    emit(r->p.hub, 0, EV_ADVICE, F_STR("text", text.data));
    buf_free(&text);
}

static void warn_of_clear_text(const struct relay *r)
{
    const struct hop *before = hop_now(r) - 1;
    char *text = xasprintf("port %d of '%s' %s; it is tried once more in clear", before->port, before->host,
                           before->failed);
    emit(r->p.hub, 0, EV_WARNING, F_STR("text", text));
    free(text);
}

/* What a server said about everybody tells more than that a later one was not to be had. */
static void keep(struct relay *r, struct err *why, size_t tried)
{
    if (err_is_set(why) && r->heard && everybody_was_answered(r))
        err_clear(why);
    r->heard |= r->p.route->v[tried].exchanger && !err_is_set(why);
    if (route_keep_farthest(&r->end.err, why))
        r->end.hop = tried;
}

/* Over the next way, where one failed that another can mend; and a server may end a connection after a transaction or
 * two (421, MAILMAX): who is left is served over the next one. */
static bool goes_on(struct relay *r, const struct hop_end *end)
{
    const bool failed = err_is_set(end->err), exchanger = hop_now(r)->exchanger;
    const size_t pending = count(r, RCPT_PENDING);
    if (!failed && pending > 0 && pending < r->pending)
        return message_can_rewind(r->p.message);
    if (exchanger ? !somebody_is_left(r) : !failed)
        return false;
    if (clock_now() >= r->p.deadline || !route_goes_on(r->p.route, &r->at, end) || !begin_anew(r))
        return false;
    if (hop_now(r)->wanted == LEVEL_MAY && hop_now(r)->tls == SESSION_TLS_OFF)
        warn_of_clear_text(r);
    return true;
}

/* true: that was the last one. */
static bool connection_over(struct relay *r, bool last)
{
    struct err why = ERR_INIT;
    deliver_result(r->deliver, &why);
    struct hop_end end = deliver_hop_end(r->deliver);
    end.err = &why;
    r->end.tls = deliver_is_tls(r->deliver);
    r->end.octets = deliver_octets(r->deliver);
    if (!r->end.queue_id)
        r->end.queue_id = xstrdup(deliver_queue_id(r->deliver));
    hop_now(r)->got = deliver_level(r->deliver);
    if (!hop_now(r)->queue_id)
        hop_now(r)->queue_id = xstrdup(deliver_queue_id(r->deliver));
    keep_who_answered(r);
    deliver_free(r->deliver);
    r->deliver = NULL;

    const size_t tried = r->at;
    if (r->at > r->told && route_is_mended(r->p.route, r->at, &why)) {
        advise(r);
        r->told = r->at;
    }
    r->over = last || !goes_on(r, &end);
    if (r->over)
        settle(r, tried);
    keep(r, &why, tried);
    return r->over;
}

/* ---- the task ---- */

static bool step(struct task *t)
{
    struct relay *r = (struct relay *)t;
    r->turned = false;
    for (int turn = 0; turn < TURNS; turn++) {
        if (!r->deliver)
            connect_to(r);
        struct task *task = deliver_task(r->deliver);
        if (!task->step(task))
            return false;
        if (connection_over(r, false))
            return true;
    }
    r->turned = true;
    return false;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct relay *r = (const struct relay *)t;
    if (r->turned)
        pollset_until(ps, 0);
    else
        deliver_task(r->deliver)->waits(deliver_task(r->deliver), ps);
}

struct relay *relay_new(const struct relay_params *p)
{
    struct relay *r = xcalloc(1, sizeof *r);
    *r = (struct relay){ .task = { step, waits }, .p = *p };
    r->asked = xcalloc(p->env->n + 1, sizeof *r->asked);
    r->end.over = xcalloc(p->env->n + 1, sizeof *r->end.over);
    for (size_t i = 0; i < p->env->n; i++)
        r->end.over[i] = SIZE_MAX;
    return r;
}

struct task *relay_task(struct relay *r)
{
    return &r->task;
}

void relay_abort(struct relay *r, struct err *e)
{
    if (r->deliver) {
        deliver_abort(r->deliver, e);
        connection_over(r, true);
    }
    r->over = true;
    err_move(&r->end.err, e);
}

void relay_take(struct relay *r, struct relay_end *end)
{
    if (err_is_set(&r->end.err)) {
        struct buf text = BUF_INIT;
        buf_adds(&text, r->end.err.text);
        route_tell_others(r->p.route, r->end.hop, &text);
        free(r->end.err.text);
        r->end.err.text = buf_steal(&text);
    }
    *end = r->end;
    r->end = (struct relay_end){ 0 };
}

void relay_end_free(struct relay_end *end)
{
    err_clear(&end->err);
    free(end->queue_id);
    free(end->over);
    *end = (struct relay_end){ 0 };
}

void relay_free(struct relay *r)
{
    if (!r)
        return;
    deliver_free(r->deliver);
    relay_end_free(&r->end);
    free(r->asked);
    free(r);
}
