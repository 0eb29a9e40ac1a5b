/* batch: runners, each with a connection of its own, take messages from one stock. What is said on a connection is the
 * delivery's to know, what a failure to connect means the route's, what is sent next the stock's. */
#include "send/batch.h"

#include <stdlib.h>

#include "net/loop.h"
#include "send/credentials.h"
#include "send/hint.h"
#include "send/postmortem.h"
#include "send/report.h"
#include "send/route.h"
#include "send/stock.h"

enum {
    TURNS = 64,       /* connections that end at once, before others' turn */
    TRIES = 3,        /* connections that one message is begun on */
    CONNECT_TRIES = 4 /* rounds of connections of which none carried a message, before the batch is given up */
};

static const usec pauses[CONNECT_TRIES] = { 0, 1 * USEC_PER_SEC, 3 * USEC_PER_SEC, 9 * USEC_PER_SEC };

/* A connection that has nothing to do for longer is closed: many servers would not wait much more. */
static const usec IDLE_MOST = 10 * USEC_PER_SEC;

struct runner;

struct batch {
    const struct batch_params *p;
    struct stock stock;
    struct credentials credentials;
    struct runner *runners;
    size_t n;
    unsigned connections;
    bool one_by_one;          /* what was sent behind a message was not heard: nothing is any more */
    long per_connection;      /* messages; 0: no limit … */
    long lost_after;          /* … of ours: the server ended the last connection that it did end after so many */
    usec failed_at, retry_at; /* connections */
    int failures;
    usec deadline;
    struct hop *failed;       /* the batch is given up because of this one of a runner's route; NULL: of none */
};

struct runner {
    struct task task;
    struct batch *b;
    struct route route;
    size_t at;               /* the hop of the present connection */
    struct deliver *deliver; /* own; NULL: none */
    struct deliver_feed feed;
    struct stock_item *item; /* own: taken */
    bool handed;             /* … and with the delivery */
    struct stock_item *ahead; /* own: the one behind it; only its envelope was sent */
    bool rode;               /* the present one's was sent so */
    bool talks;              /* the connection is good for messages … */
    bool leaves;             /* … and we end it */
    long carried;            /* messages over it, finished */
    usec connected_at;
    bool over, turned;
    usec wait_until;
    int wait_fd;
    unsigned seen;           /* changes */
};

const char *batch_outcome_word(enum batch_outcome o)
{
    static const char *const words[BATCH_OUTCOMES] = {
        [BATCH_SENT] = "sent", [BATCH_PARTIAL] = "partial", [BATCH_REFUSED] = "refused", [BATCH_DEFERRED] = "deferred",
        [BATCH_UNCERTAIN] = "uncertain", [BATCH_SKIPPED] = "skipped", [BATCH_NOT_TRIED] = "not-tried",
    };
    return words[o];
}

/* why: what was wrong with the message as a whole, or with its connection. */
static void finish(struct runner *r, const struct err *why)
{
    struct batch *b = r->b;
    struct stock_item *item = r->item;
    struct err verdict = ERR_INIT;
    const char *queue_id = deliver_queue_id(r->deliver);
    struct report_params report = {
        .account = b->p->account, .env = &item->env, .message = &item->message, .tls = deliver_is_tls(r->deliver),
        .port = r->route.v[r->at].port, .octets = deliver_octets(r->deliver), .started = item->began, .hub = b->p->hub,
        .queue_id = xstrdup(queue_id),
    };
    r->item = NULL;
    r->handed = false;
    stock_write(&b->stock, item);
    report_verdict(&item->env, why, &verdict);
    hint_add(&verdict);
    credentials_mask(&b->credentials, &verdict);
    report_emit(&report, &verdict);
    report_free(&report);
    stock_over(&b->stock, item, stock_outcome(&item->env, &verdict), &verdict);
}

/* ---- the feed of a connection ---- */

static struct deliver_item item_of(struct stock_item *item, bool last)
{
    return (struct deliver_item){ &item->env, &item->message, last };
}

/* Does a connection wait for a message, or nobody for a connection? Then what comes next is theirs. */
static bool another_is_free(const struct runner *r)
{
    for (size_t i = 0; i < r->b->n; i++)
        if (!r->b->runners[i].item && !r->b->runners[i].over)
            return true;
    return false;
}

static enum deliver_fed next_ahead(struct runner *r, struct deliver_item *out, usec *until, int *fd)
{
    struct batch *b = r->b;
    if (b->per_connection > 0 && r->carried + 1 >= b->per_connection)
        return FED_END;
    if (b->one_by_one || another_is_free(r))
        return FED_WAIT;
    enum deliver_fed fed = stock_take(&b->stock, &r->ahead, until, fd);
    if (fed == FED_MESSAGE)
        *out = item_of(r->ahead, r->carried + 2 == b->per_connection);
    return fed;
}

static enum deliver_fed next_message(struct runner *r, struct deliver_item *out, usec *until, int *fd)
{
    struct batch *b = r->b;
    r->seen = b->stock.changes;
    if (stock_ends(&b->stock) || (b->per_connection > 0 && r->carried >= b->per_connection))
        return FED_END;
    if (!r->item) {
        enum deliver_fed fed = stock_take(&b->stock, &r->item, until, fd);
        r->seen = b->stock.changes;
        if (fed == FED_WAIT && *until != USEC_NEVER && *until - clock_now() > IDLE_MOST)
            return FED_END;
        if (fed != FED_MESSAGE)
            return fed;
    }
    *out = item_of(r->item, r->carried + 1 == b->per_connection);
    r->handed = stock_begin(&b->stock, r->item);
    return r->handed ? FED_MESSAGE : FED_END;
}

static enum deliver_fed next(void *ctx, struct deliver_item *out, usec *until, int *fd)
{
    struct runner *r = ctx;
    if (r->handed)
        return next_ahead(r, out, until, fd);
    r->talks = true;
    enum deliver_fed fed = next_message(r, out, until, fd);
    r->leaves = fed == FED_END || (fed == FED_MESSAGE && out->last);
    return fed;
}

static bool may_try_again(const struct runner *r)
{
    return r->item->tries < TRIES && clock_now() < r->b->deadline;
}

static bool nobody_has_it(const struct envelope *env)
{
    return envelope_count(env, RCPT_ACCEPTED) == 0 && envelope_count(env, RCPT_UNCERTAIN) == 0;
}

/* The server lost the beginning of what was sent behind a message, and does not know what to make of the rest. */
static bool was_misheard(const struct runner *r)
{
    const struct envelope *env = &r->item->env;
    bool lost_thread = false;
    for (size_t i = 0; i < env->n; i++) {
        const int code = env->rcpts[i].reply.code;
        lost_thread |= code == 500 || code == 502 || code == 503;
    }
    return r->rode && lost_thread && nobody_has_it(env);
}

static bool begin_again(struct runner *r, struct err *e)
{
    r->b->one_by_one = true;
    stock_forget(r->item);
    if (!stock_again(&r->b->stock, r->item, e))
        return false;
    r->handed = false;
    stock_give_back(&r->b->stock, &r->item);
    return true;
}

static bool done(void *ctx, const struct err *e)
{
    struct runner *r = ctx;
    struct err again = ERR_INIT;
    r->carried++;
    r->b->failures = 0;
    if (!was_misheard(r) || !may_try_again(r) || !begin_again(r, &again))
        finish(r, err_is_set(&again) ? &again : e);
    err_clear(&again);
    r->item = r->ahead;
    r->ahead = NULL;
    r->rode = r->item != NULL;
    if (!r->item)
        return true;
    r->handed = stock_begin(&r->b->stock, r->item);
    r->leaves = !r->handed || r->carried + 1 == r->b->per_connection;
    return r->handed;
}

/* ---- connections ---- */

static void connect_to(struct runner *r)
{
    struct batch *b = r->b;
    const struct deliver_params params = {
        .account = b->p->account,
        .hop = &r->route.v[r->at],
        .feed = &r->feed,
        .credentials = &b->credentials,
        .hub = b->p->hub,
        .connection = ++b->connections,
        .deadline = b->deadline,
    };
    r->talks = r->leaves = false;
    r->carried = 0;
    r->connected_at = clock_now();
    r->deliver = deliver_new(&params);
}

/* A server that answers twice, or not at all, is out of step with what follows a message: what it seemed to say of the
 * next one before its text it may have said of something else. */
static bool is_doubtful(const struct runner *r, const struct err *why)
{
    return r->carried > 0 && why->stage < STAGE_BODY && nobody_has_it(&r->item->env);
}

static bool goes_again(const struct runner *r, const struct err *why)
{
    bool helps = !err_is_set(why) || fault_retry_helps(why->fault);
    bool asks = is_doubtful(r, why) || (helps && stock_is_left(r->item));
    return asks && why->fault != FAULT_INTERRUPTED && may_try_again(r);
}

/* The server said what it thinks of the message. */
static bool was_answered(const struct envelope *env)
{
    for (size_t i = 0; i < env->n; i++)
        if (env->rcpts[i].reply.code == 0 || env->rcpts[i].reply.code == 421)
            return false;
    return true;
}

/* The connection ended with a message under way. */
static void settle(struct runner *r, const struct err *why)
{
    struct err again = ERR_INIT;
    r->handed = false;
    r->b->one_by_one |= r->rode && (why->fault == FAULT_TIMEOUT || why->fault == FAULT_PROTOCOL);
    r->rode = false;
    bool goes = goes_again(r, why);
    if (goes && is_doubtful(r, why))
        stock_forget(r->item);
    if (goes && stock_again(&r->b->stock, r->item, &again))
        return;
    if (was_answered(&r->item->env)) {
        r->carried++;
        r->b->failures = 0;
    }
    finish(r, err_is_set(&again) ? &again : why);
    err_clear(&again);
}

static bool another_talks(const struct runner *r)
{
    for (size_t i = 0; i < r->b->n; i++)
        if (&r->b->runners[i] != r && r->b->runners[i].deliver && r->b->runners[i].talks)
            return true;
    return false;
}

/* A server that takes fewer connections gets fewer. */
static void retire(struct runner *r)
{
    stock_give_back(&r->b->stock, &r->item);
    r->over = true;
    r->b->stock.changes++;
}

static void give_up(struct batch *b, struct err *why, struct hop *hop)
{
    if (!err_is_set(&b->stock.err))
        b->failed = hop;
    stock_give_up(&b->stock, why);
}

/* A round of failures counts once, however many connections were begun in it. */
static void failed_to_connect(struct runner *r, struct err *why)
{
    struct batch *b = r->b;
    const size_t at = r->at;
    if (another_talks(r) && !b->stock.box_empty) {
        retire(r);
        return;
    }
    r->at = 0;
    if (r->connected_at >= b->failed_at) {
        b->failures++;
        b->failed_at = clock_now();
        if (b->failures < CONNECT_TRIES)
            b->retry_at = b->failed_at + pauses[b->failures];
    }
    if (b->failures >= CONNECT_TRIES || !fault_retry_helps(why->fault) || clock_now() >= b->deadline)
        give_up(b, why, &r->route.v[at]);
}

/* A server that twice ended a connection after so many messages will do so again: it is we who leave then, in time. */
static void learn(struct batch *b, long carried)
{
    if (carried == b->lost_after)
        b->per_connection = carried;
    b->lost_after = carried;
}

static void connection_over(struct runner *r)
{
    struct err why = ERR_INIT;
    const long before = r->carried;
    deliver_result(r->deliver, &why);
    struct hop_end end = deliver_hop_end(r->deliver);
    if (r->handed)
        settle(r, &why);
    stock_give_back(&r->b->stock, &r->ahead);
    if (before > 0 && !r->leaves && why.fault != FAULT_TIMEOUT)
        learn(r->b, before);
    end.err = &why;
    bool failed = r->carried == 0 && err_is_set(&why) && !stock_ends(&r->b->stock);
    if (failed && !route_goes_on(&r->route, &r->at, &end))
        failed_to_connect(r, &why);
    deliver_free(r->deliver);
    r->deliver = NULL;
    err_clear(&why);
}

/* ---- the task ---- */

/* true: there is a message to connect for, and it is time to. */
static bool may_connect(struct runner *r)
{
    struct batch *b = r->b;
    r->wait_until = USEC_NEVER;
    r->wait_fd = -1;
    r->seen = b->stock.changes;
    if (!r->item) {
        enum deliver_fed fed = stock_take(&b->stock, &r->item, &r->wait_until, &r->wait_fd);
        r->seen = b->stock.changes;
        r->over = fed == FED_END;
        if (fed != FED_MESSAGE)
            return false;
    }
    r->wait_until = b->retry_at;
    return clock_now() >= b->retry_at;
}

static bool step(struct task *t)
{
    struct runner *r = (struct runner *)t;
    r->turned = false;
    for (int turn = 0; turn < TURNS && !r->over; turn++) {
        if (stock_ends(&r->b->stock) && !r->handed && !(r->deliver && r->talks)) {
            deliver_free(r->deliver);
            r->deliver = NULL;
            return r->over = true;
        }
        if (!r->deliver && !may_connect(r))
            return r->over;
        if (!r->deliver)
            connect_to(r);
        struct task *task = deliver_task(r->deliver);
        if (!task->step(task))
            return false;
        connection_over(r);
    }
    r->turned = true;
    return r->over;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct runner *r = (const struct runner *)t;
    bool asks = !r->deliver || (r->talks && !r->handed);
    if (r->turned || (asks && r->seen != r->b->stock.changes))
        pollset_until(ps, 0);
    if (r->deliver) {
        deliver_task(r->deliver)->waits(deliver_task(r->deliver), ps);
        return;
    }
    pollset_until(ps, r->wait_until);
    if (r->wait_fd >= 0)
        pollset_add(ps, r->wait_fd, POLLIN);
}

/* ---- the run ---- */

static bool init(struct batch *b, struct err *e)
{
    b->n = b->p->connections;
    b->runners = xcalloc(b->n, sizeof *b->runners);
    for (size_t i = 0; i < b->n; i++) {
        struct runner *r = &b->runners[i];
        *r = (struct runner){ .task = { step, waits }, .b = b, .feed = { r, next, done }, .wait_fd = -1 };
        if (!route_find(&r->route, b->p->account, e))
            return false;
    }
    return deliver_check(b->p->account, &b->runners[0].route.v[0], &b->credentials, e);
}

static void end_soon(void *ctx, int signal_number)
{
    struct batch *b = ctx;
    b->stock.signal = signal_number;
    emit(b->p->hub, 0, EV_ADVICE, F_STR("text", "what is under way is finished; a second signal ends it at once"));
}

static void run_tasks(struct batch *b)
{
    struct task **tasks = xcalloc(b->n, sizeof *tasks);
    int number = 0;
    for (size_t i = 0; i < b->n; i++)
        tasks[i] = &b->runners[i].task;
    loop_run_patiently(tasks, b->n, &(struct loop_patience){ end_soon, b }, &number);
    for (size_t i = 0; i < b->n; i++) {
        struct runner *r = &b->runners[i];
        if (!r->deliver || !r->handed)
            continue;
        struct err interrupted = ERR_INIT;
        deliver_interrupted(number, &interrupted);
        deliver_abort(r->deliver, &interrupted);
        connection_over(r);
    }
    free(tasks);
}

bool batch_run(const struct batch_params *p, struct batch_end *end, struct err *e)
{
    struct batch b = { .p = p, .stock = STOCK_INIT(p, end), .deadline = clock_deadline(p->account->deadline) };
    struct stock *stock = &b.stock;
    *end = (struct batch_end){ 0 };
    b.per_connection = p->account->max_per_connection;
    credentials_init(&b.credentials, p->account, p->hub, b.deadline);
    if (init(&b, e)) {
        run_tasks(&b);
        for (size_t i = 0; i < b.n; i++)
            stock_leave(stock, &b.runners[i].item);
        stock_leave_rest(stock);
        if (b.failed)
            postmortem(p->account, b.failed, b.deadline, &stock->err);
        hint_add(&stock->err);
        credentials_mask(&b.credentials, &stock->err);
        stock_verdict(stock, e);
    }
    for (size_t i = 0; i < b.n; i++) {
        deliver_free(b.runners[i].deliver);
        route_free(&b.runners[i].route);
    }
    free(b.runners);
    credentials_free(&b.credentials);
    stock_free(stock);
    return !err_is_set(e);
}
