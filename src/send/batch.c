/* batch: runners, each with a connection of its own, take messages from one box, one after the other. What is said on a
 * connection is the delivery's to know, what a failure to connect means the route's. */
#include "send/batch.h"

#include <stdlib.h>
#include <string.h>

#include "net/loop.h"
#include "send/credentials.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/postmortem.h"
#include "send/report.h"
#include "send/route.h"

enum {
    TURNS = 64,       /* messages that need no connection, or connections that end at once, before others' turn */
    TRIES = 3,        /* connections that one message is begun on */
    CONNECT_TRIES = 4 /* rounds of connections of which none carried a message, before the batch is given up */
};

static const usec pauses[CONNECT_TRIES] = { 0, 1 * USEC_PER_SEC, 3 * USEC_PER_SEC, 9 * USEC_PER_SEC };

/* A connection that has nothing to do for longer is closed: many servers would not wait much more. */
static const usec IDLE_MOST = 10 * USEC_PER_SEC;

struct item {
    struct box_item box;
    struct message message;
    struct envelope env;
    struct journal_entry *entry; /* borrowed; NULL: there is no journal */
    int tries;
    usec began;
};

struct runner;

struct batch {
    const struct batch_params *p;
    struct batch_end *end;
    struct credentials credentials;
    struct runner *runners;
    size_t n;
    struct item **returned;   /* own: taken, and given back by a runner */
    size_t n_returned;
    unsigned connections;
    bool box_empty;
    long taken;               /* number of the last message that was taken */
    long first;               /* … of the first that is not over */
    bool over[BATCH_WINDOW];  /* of the message with number % BATCH_WINDOW */
    usec next_at;             /* by the rate */
    long per_connection;      /* messages; 0: no limit … */
    long lost_after;          /* … of ours: the server ended the last connection that it did end after so many */
    usec failed_at, retry_at; /* connections */
    int failures;
    unsigned changes;         /* of what a runner may wait for */
    int signal;
    usec deadline;
    struct err err;           /* what ends the batch */
    struct hop *failed;       /* … over this hop, of a runner's route; NULL: not by a connection */
    struct err first_failure; /* of a message … */
    char *first_id;           /* own: … this one … */
    bool alike;               /* … and of all others, by exit status */
    bool retry_helps;         /* for one of them at least */
};

struct runner {
    struct task task;
    struct batch *b;
    struct route route;
    size_t at;               /* the hop of the present connection */
    struct deliver *deliver; /* own; NULL: none */
    struct deliver_feed feed;
    struct item *item;       /* own: taken */
    bool handed;             /* … and with the delivery */
    struct item *ahead;      /* own: the one behind it; only its envelope was sent */
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

/* No message is begun any more. */
static bool ends(const struct batch *b)
{
    return b->signal || err_is_set(&b->err);
}

static void give_up(struct batch *b, struct err *why, struct hop *hop)
{
    if (!err_is_set(&b->err))
        b->failed = hop;
    err_move(&b->err, why);
    b->changes++;
}

/* ---- a message is over ---- */

static void item_free(struct item *item)
{
    if (!item)
        return;
    box_item_free(&item->box);
    message_free(&item->message);
    envelope_free(&item->env);
    free(item);
}

/* The window moves on. */
static void mark_over(struct batch *b, long number)
{
    b->over[number % BATCH_WINDOW] = true;
    while (b->over[b->first % BATCH_WINDOW])
        b->over[b->first++ % BATCH_WINDOW] = false;
    b->changes++;
}

static void count(struct batch *b, const char *id, enum batch_outcome outcome, const struct err *why)
{
    b->end->n[outcome]++;
    b->end->some |= outcome == BATCH_PARTIAL;
    if (!err_is_set(why) || outcome == BATCH_SENT || outcome == BATCH_SKIPPED)
        return;
    if (!err_is_set(&b->first_failure)) {
        err_copy(&b->first_failure, why);
        b->first_id = xstrdup(id);
        b->alike = true;
    }
    b->alike &= fault_exit(why->fault) == fault_exit(b->first_failure.fault);
    b->retry_helps |= fault_retry_helps(why->fault);
}

static void tell(struct batch *b, const struct box_item *box, enum batch_outcome outcome, const struct err *why)
{
    const int64_t total = box_total(b->p->box), octets = box_octets(b->p->box);
    emit(b->p->hub, 0, EV_MESSAGE, F_INT("number", box->number), F_INT_IF("total", total >= 0, total),
         F_STR("id", box->id), F_STR("outcome", batch_outcome_word(outcome)),
         F_INT_IF("octets", total < 0, box_done(b->p->box)), F_INT_IF("octets_total", octets >= 0, octets),
         F_BOOL("failed", outcome != BATCH_SENT && outcome != BATCH_SKIPPED), F_STR("errormsg", why->text),
         F_STR("hint", why->hint), F_STR("fault", err_is_set(why) ? fault_word(why->fault) : NULL));
    count(b, box->id, outcome, why);
    mark_over(b, box->number);
}

/* Of one that no server was asked about; *why is cleared. */
static void finish_untried(struct batch *b, struct item *item, enum batch_outcome outcome, struct err *why)
{
    tell(b, &item->box, outcome, why);
    err_clear(why);
    item_free(item);
}

static enum batch_outcome outcome_of(const struct envelope *env, const struct err *verdict)
{
    if (!err_is_set(verdict))
        return BATCH_SENT;
    if (envelope_count(env, RCPT_UNCERTAIN) > 0)
        return BATCH_UNCERTAIN;
    if (envelope_count(env, RCPT_ACCEPTED) > 0)
        return BATCH_PARTIAL;
    return envelope_count(env, RCPT_REFUSED) == env->n ? BATCH_REFUSED : BATCH_DEFERRED;
}

/* why: what was wrong with the message as a whole, or with its connection. */
static void finish(struct runner *r, const struct err *why)
{
    struct batch *b = r->b;
    struct item *item = r->item;
    struct err verdict = ERR_INIT;
    const char *queue_id = deliver_queue_id(r->deliver);
    struct report_params report = {
        .account = b->p->account, .env = &item->env, .message = &item->message, .tls = deliver_is_tls(r->deliver),
        .port = r->route.v[r->at].port, .octets = deliver_octets(r->deliver), .started = item->began, .hub = b->p->hub,
        .queue_id = xstrdup(queue_id),
    };
    r->item = NULL;
    r->handed = false;
    if (b->p->journal && !journal_end(b->p->journal, item->entry, &item->env, &verdict)) {
        struct err fatal = ERR_INIT;
        err_move(&fatal, &verdict);
        give_up(b, &fatal, NULL);
    }
    report_verdict(&item->env, why, &verdict);
    hint_add(&verdict);
    credentials_mask(&b->credentials, &verdict);
    report_emit(&report, &verdict);
    report_free(&report);
    finish_untried(b, item, outcome_of(&item->env, &verdict), &verdict);
}

/* ---- taking one ---- */

/* Whom an earlier run left. */
static void keep_rest(struct envelope *env, const struct strlist *rest)
{
    size_t kept = 0, *at = xcalloc(env->n + 1, sizeof *at);
    struct envelope few = ENVELOPE_INIT;
    for (size_t i = 0; i < env->n; i++)
        for (size_t k = 0; k < rest->n; k++)
            if (strcmp(env->rcpts[i].address, rest->v[k] + 1) == 0) {
                at[kept++] = i;
                break;
            }
    envelope_pick(&few, env, at, kept);
    envelope_free(env);
    *env = few;
    free(at);
}

/* false: the journal leaves nothing to do. */
static bool is_due(struct batch *b, struct item *item)
{
    struct err why = ERR_INIT;
    if (!b->p->journal)
        return true;
    item->entry = journal_find(b->p->journal, item->box.key);
    if (item->entry->state == JOURNAL_DONE) {
        finish_untried(b, item, BATCH_SKIPPED, &why);
        return false;
    }
    if (item->entry->state != JOURNAL_UNCERTAIN || b->p->retry_uncertain)
        return true;
    err_set(&why, FAULT_TEMPORARY, "an earlier run may have sent the message");
    err_hint(&why, "look whether it arrived; --retry-uncertain sends it again");
    finish_untried(b, item, BATCH_UNCERTAIN, &why);
    return false;
}

static bool make_ready(struct batch *b, struct item *item, struct err *e)
{
    if (!box_message(&item->box, &item->message, e) || !b->p->prepare(b->p->ctx, &item->message, &item->env, e))
        return false;
    if (item->entry && item->entry->rest.n > 0)
        keep_rest(&item->env, &item->entry->rest);
    return item->env.n > 0 || err_set(e, FAULT_USAGE, "nobody whom an earlier run left is a recipient any more");
}

static struct item *item_new(const struct box_item *box)
{
    struct item *item = xcalloc(1, sizeof *item);
    *item = (struct item){ .box = *box, .env = ENVELOPE_INIT, .began = clock_now() };
    message_init(&item->message);
    return item;
}

/* The next message that has to be sent, and can be. */
static enum deliver_fed take_from_box(struct batch *b, struct item **taken, usec *until, int *fd)
{
    for (int turn = 0; turn < TURNS; turn++) {
        struct box_item box;
        struct err e = ERR_INIT;
        if (b->taken + 1 - b->first >= BATCH_WINDOW)
            return FED_WAIT;
        switch (box_next(b->p->box, &box, &e)) {
        case BOX_WAIT:
            *fd = box_wait_fd(b->p->box);
            return FED_WAIT;
        case BOX_FAILED:
            give_up(b, &e, NULL);
            /* fall through */
        case BOX_END:
            b->box_empty = true;
            b->changes++;
            return FED_END;
        case BOX_ITEM:
            break;
        }
        b->taken = box.number;
        struct item *item = item_new(&box);
        if (!is_due(b, item))
            continue;
        if (make_ready(b, item, &e)) {
            *taken = item;
            return FED_MESSAGE;
        }
        finish_untried(b, item, fault_retry_helps(e.fault) ? BATCH_DEFERRED : BATCH_REFUSED, &e);
    }
    *until = 0;
    return FED_WAIT;
}

/* A message counts from when it is taken, and once more from when the server gets to see it. */
static void pace(struct batch *b)
{
    if (b->p->account->rate_interval > 0)
        b->next_at = clock_now() + b->p->account->rate_interval;
}

static enum deliver_fed take(struct batch *b, struct item **item, usec *until, int *fd)
{
    b->box_empty = b->box_empty || box_ended(b->p->box);
    if (ends(b) || (b->box_empty && b->n_returned == 0))
        return FED_END;
    if (clock_now() < b->next_at) {
        *until = b->next_at;
        *fd = box_wait_fd(b->p->box);
        return FED_WAIT;
    }
    enum deliver_fed fed = FED_MESSAGE;
    if (b->n_returned > 0)
        *item = b->returned[--b->n_returned];
    else
        fed = take_from_box(b, item, until, fd);
    if (fed == FED_MESSAGE)
        pace(b);
    return fed;
}

/* ---- the feed of a connection ---- */

static struct deliver_item item_of(struct item *item, bool last)
{
    return (struct deliver_item){ &item->env, &item->message, last };
}

/* From here on the server may have it. */
static bool begin(struct runner *r)
{
    struct batch *b = r->b;
    struct err e = ERR_INIT;
    if (b->p->journal && !journal_begin(b->p->journal, r->item->entry, &e)) {
        give_up(b, &e, NULL);
        return false;
    }
    pace(b);
    r->handed = true;
    r->item->tries++;
    return true;
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
    if (another_is_free(r))
        return FED_WAIT;
    enum deliver_fed fed = take(b, &r->ahead, until, fd);
    if (fed == FED_MESSAGE)
        *out = item_of(r->ahead, r->carried + 2 == b->per_connection);
    return fed;
}

static enum deliver_fed next_message(struct runner *r, struct deliver_item *out, usec *until, int *fd)
{
    struct batch *b = r->b;
    r->seen = b->changes;
    if (ends(b) || (b->per_connection > 0 && r->carried >= b->per_connection))
        return FED_END;
    if (!r->item) {
        enum deliver_fed fed = take(b, &r->item, until, fd);
        r->seen = b->changes;
        if (fed == FED_WAIT && *until != USEC_NEVER && *until - clock_now() > IDLE_MOST)
            return FED_END;
        if (fed != FED_MESSAGE)
            return fed;
    }
    *out = item_of(r->item, r->carried + 1 == b->per_connection);
    return begin(r) ? FED_MESSAGE : FED_END;
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

static bool done(void *ctx, const struct err *e)
{
    struct runner *r = ctx;
    r->carried++;
    r->b->failures = 0;
    finish(r, e);
    r->item = r->ahead;
    r->ahead = NULL;
    if (!r->item)
        return true;
    r->leaves = !begin(r) || (r->b->per_connection > 0 && r->carried + 1 == r->b->per_connection);
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

/* May it go to him over another connection, as nothing was said of him but that this one is at its end? */
static bool is_left(const struct rcpt *rcpt)
{
    return rcpt->fate == RCPT_PENDING
           || (rcpt->fate == RCPT_DEFERRED && (rcpt->reply.code == 0 || rcpt->reply.code == 421));
}

static bool goes_again(const struct runner *r, const struct err *why)
{
    const struct item *item = r->item;
    bool left = false;
    for (size_t i = 0; i < item->env.n; i++)
        left |= is_left(&item->env.rcpts[i]);
    bool helps = !err_is_set(why) || (fault_retry_helps(why->fault) && why->fault != FAULT_INTERRUPTED);
    return left && helps && item->tries < TRIES && clock_now() < r->b->deadline;
}

/* The same message, from its start. */
static bool begin_anew(struct runner *r, struct err *e)
{
    struct item *item = r->item;
    for (size_t i = 0; i < item->env.n; i++)
        if (is_left(&item->env.rcpts[i]))
            item->env.rcpts[i].fate = RCPT_PENDING;
    if (message_can_rewind(&item->message))
        return true;
    struct envelope same = ENVELOPE_INIT; /* who gets it is known */
    message_free(&item->message);
    message_init(&item->message);
    bool ok = box_message(&item->box, &item->message, e)
              && r->b->p->prepare(r->b->p->ctx, &item->message, &same, e);
    envelope_free(&same);
    return ok;
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
    bool more = goes_again(r, why) && begin_anew(r, &again);
    r->handed = false;
    if (!more) {
        if (was_answered(&r->item->env)) {
            r->carried++;
            r->b->failures = 0;
        }
        finish(r, err_is_set(&again) ? &again : why);
    } else if (r->b->p->journal) {
        struct err e = ERR_INIT;
        bool everybody = envelope_count(&r->item->env, RCPT_PENDING) == r->item->env.n;
        if (!(everybody ? journal_undo(r->b->p->journal, r->item->entry, &e)
                        : journal_end(r->b->p->journal, r->item->entry, &r->item->env, &e)))
            give_up(r->b, &e, NULL);
    }
    err_clear(&again);
}

static bool another_talks(const struct runner *r)
{
    for (size_t i = 0; i < r->b->n; i++)
        if (&r->b->runners[i] != r && r->b->runners[i].deliver && r->b->runners[i].talks)
            return true;
    return false;
}

/* For whoever is free next. */
static void give_back(struct batch *b, struct item **item)
{
    if (!*item)
        return;
    b->returned = xrealloc(b->returned, (b->n_returned + 1) * sizeof *b->returned);
    b->returned[b->n_returned++] = *item;
    *item = NULL;
    b->changes++;
}

/* A server that takes fewer connections gets fewer. */
static void retire(struct runner *r)
{
    give_back(r->b, &r->item);
    r->over = true;
    r->b->changes++;
}

/* A round of failures counts once, however many connections were begun in it. */
static void failed_to_connect(struct runner *r, struct err *why)
{
    struct batch *b = r->b;
    const size_t at = r->at;
    if (another_talks(r) && !b->box_empty) {
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
    give_back(r->b, &r->ahead);
    if (before > 0 && !r->leaves)
        learn(r->b, before);
    end.err = &why;
    bool other_way = r->carried == 0 && err_is_set(&why) && !ends(r->b) && route_goes_on(&r->route, &r->at, &end);
    if (r->carried == 0 && err_is_set(&why) && !other_way && !ends(r->b))
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
    r->seen = b->changes;
    if (!r->item) {
        enum deliver_fed fed = take(b, &r->item, &r->wait_until, &r->wait_fd);
        r->seen = b->changes;
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
        if (ends(r->b) && !r->handed && !(r->deliver && r->talks)) {
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
    if (r->turned || (asks && r->seen != r->b->changes))
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
    b->signal = signal_number;
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

/* What ended the batch, said of a message that it did not come to. */
static void say_why(const struct batch *b, struct err *why)
{
    if (b->signal)
        deliver_interrupted(b->signal, why);
    else
        err_copy(why, &b->err);
}

static void leave(struct batch *b, struct item *item)
{
    struct err why = ERR_INIT;
    say_why(b, &why);
    finish_untried(b, item, b->signal ? BATCH_NOT_TRIED : BATCH_DEFERRED, &why);
}

/* The messages that the batch did not come to. What is still to come through a pipe is not waited for. */
static void leave_rest(struct batch *b)
{
    struct box_item box;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < b->n; i++) {
        if (b->runners[i].item)
            leave(b, b->runners[i].item);
        b->runners[i].item = NULL;
    }
    while (b->n_returned > 0)
        leave(b, b->returned[--b->n_returned]);
    while (!b->box_empty && !box_is_pipe(b->p->box) && box_next(b->p->box, &box, &e) == BOX_ITEM) {
        struct item *item = item_new(&box);
        if (is_due(b, item))
            leave(b, item);
    }
    err_clear(&e);
}

static bool verdict(struct batch *b, struct err *e)
{
    const long sent = b->end->n[BATCH_SENT] + b->end->n[BATCH_PARTIAL];
    long all = 0;
    for (int i = 0; i < BATCH_OUTCOMES; i++)
        all += b->end->n[i];
    const long failed = all - b->end->n[BATCH_SENT] - b->end->n[BATCH_SKIPPED];
    err_copy(e, &b->err);
    if (failed == 0)
        return !err_is_set(e);
    if (b->signal && b->end->n[BATCH_NOT_TRIED] > 0)
        deliver_interrupted(b->signal, e);
    enum fault fault = b->alike ? b->first_failure.fault : b->retry_helps ? FAULT_TEMPORARY : b->first_failure.fault;
    err_set(e, fault, "%ld of %ld messages were not sent to everybody", failed, all);
    if (b->first_id)
        err_hint(e, "the first was '%s': %s", b->first_id, b->first_failure.text);
    if (sent > 0)
        e->fault = FAULT_PARTIAL;
    return false;
}

bool batch_run(const struct batch_params *p, struct batch_end *end, struct err *e)
{
    struct batch b = { .p = p, .end = end, .first = 1, .deadline = clock_deadline(p->account->deadline) };
    *end = (struct batch_end){ 0 };
    b.per_connection = p->account->max_per_connection;
    credentials_init(&b.credentials, p->account, p->hub, b.deadline);
    if (init(&b, e)) {
        run_tasks(&b);
        leave_rest(&b);
        if (b.failed)
            postmortem(p->account, b.failed, b.deadline, &b.err);
        hint_add(&b.err);
        credentials_mask(&b.credentials, &b.err);
        verdict(&b, e);
    }
    for (size_t i = 0; i < b.n; i++) {
        deliver_free(b.runners[i].deliver);
        route_free(&b.runners[i].route);
    }
    free(b.runners);
    free(b.returned);
    credentials_free(&b.credentials);
    err_clear(&b.err);
    err_clear(&b.first_failure);
    free(b.first_id);
    return !err_is_set(e);
}
