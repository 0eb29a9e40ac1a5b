/* stock: messages come from a box or are given back, and are told and counted when they are over. */
#include "send/stock.h"

#include <stdlib.h>
#include <string.h>

enum { TURNS = 64 }; /* messages that need no connection are told at once, before others' turn */

bool stock_ends(const struct stock *s)
{
    return s->signal || err_is_set(&s->err);
}

void stock_give_up(struct stock *s, struct err *why)
{
    err_move(&s->err, why);
    s->changes++;
}

/* ---- a message is over ---- */

static void item_free(struct stock_item *item)
{
    if (!item)
        return;
    box_item_free(&item->box);
    message_free(&item->message);
    envelope_free(&item->env);
    free(item);
}

/* The window moves on. */
static void mark_over(struct stock *s, long number)
{
    s->over[number % BATCH_WINDOW] = true;
    while (s->over[s->first % BATCH_WINDOW])
        s->over[s->first++ % BATCH_WINDOW] = false;
    s->changes++;
}

static void count(struct stock *s, const char *id, enum batch_outcome outcome, const struct err *why)
{
    s->end->n[outcome]++;
    s->end->some |= outcome == BATCH_PARTIAL;
    if (!err_is_set(why) || outcome == BATCH_SENT || outcome == BATCH_SKIPPED)
        return;
    if (!err_is_set(&s->first_failure)) {
        err_copy(&s->first_failure, why);
        s->first_id = xstrdup(id);
        s->alike = true;
    }
    s->alike &= fault_exit(why->fault) == fault_exit(s->first_failure.fault);
    s->retry_helps |= fault_retry_helps(why->fault);
}

void stock_over(struct stock *s, struct stock_item *item, enum batch_outcome outcome, struct err *verdict)
{
    const struct box_item *box = &item->box;
    const int64_t total = box_total(s->p->box), octets = box_octets(s->p->box);
    emit(s->p->hub, 0, EV_MESSAGE, F_INT("number", box->number), F_INT_IF("total", total >= 0, total),
         F_STR("id", box->id), F_STR("outcome", batch_outcome_word(outcome)),
         F_INT_IF("octets", total < 0, box_done(s->p->box)), F_INT_IF("octets_total", octets >= 0, octets),
         F_BOOL("failed", outcome != BATCH_SENT && outcome != BATCH_SKIPPED), F_STR("errormsg", verdict->text),
         F_STR("hint", verdict->hint), F_STR("fault", err_is_set(verdict) ? fault_word(verdict->fault) : NULL));
    count(s, box->id, outcome, verdict);
    mark_over(s, box->number);
    err_clear(verdict);
    item_free(item);
}

enum batch_outcome stock_outcome(const struct envelope *env, const struct err *verdict)
{
    if (!err_is_set(verdict))
        return BATCH_SENT;
    if (envelope_count(env, RCPT_UNCERTAIN) > 0)
        return BATCH_UNCERTAIN;
    if (envelope_count(env, RCPT_ACCEPTED) > 0)
        return BATCH_PARTIAL;
    return envelope_count(env, RCPT_REFUSED) == env->n ? BATCH_REFUSED : BATCH_DEFERRED;
}

void stock_write(struct stock *s, const struct stock_item *item)
{
    struct err e = ERR_INIT;
    if (s->p->journal && !journal_end(s->p->journal, item->entry, &item->env, &e))
        stock_give_up(s, &e);
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
static bool is_due(struct stock *s, struct stock_item *item)
{
    struct err why = ERR_INIT;
    if (!s->p->journal)
        return true;
    item->entry = journal_find(s->p->journal, item->box.key);
    if (item->entry->state == JOURNAL_DONE) {
        stock_over(s, item, BATCH_SKIPPED, &why);
        return false;
    }
    if (item->entry->state != JOURNAL_UNCERTAIN || s->p->retry_uncertain)
        return true;
    err_set(&why, FAULT_TEMPORARY, "an earlier run may have sent the message");
    err_hint(&why, "look whether it arrived; --retry-uncertain sends it again");
    stock_over(s, item, BATCH_UNCERTAIN, &why);
    return false;
}

static bool make_ready(struct stock *s, struct stock_item *item, struct err *e)
{
    if (!box_message(&item->box, &item->message, e) || !s->p->prepare(s->p->ctx, &item->message, &item->env, e))
        return false;
    if (item->entry && item->entry->rest.n > 0)
        keep_rest(&item->env, &item->entry->rest);
    return item->env.n > 0 || err_set(e, FAULT_USAGE, "nobody whom an earlier run left is a recipient any more");
}

static struct stock_item *item_new(const struct box_item *box)
{
    struct stock_item *item = xcalloc(1, sizeof *item);
    *item = (struct stock_item){ .box = *box, .env = ENVELOPE_INIT, .began = clock_now() };
    message_init(&item->message);
    return item;
}

/* The next message that has to be sent, and can be. */
static enum deliver_fed take_from_box(struct stock *s, struct stock_item **taken, usec *until, int *fd)
{
    for (int turn = 0; turn < TURNS; turn++) {
        struct box_item box;
        struct err e = ERR_INIT;
        if (s->taken + 1 - s->first >= BATCH_WINDOW)
            return FED_WAIT;
        switch (box_next(s->p->box, &box, &e)) {
        case BOX_WAIT:
            *fd = box_wait_fd(s->p->box);
            return FED_WAIT;
        case BOX_FAILED:
            stock_give_up(s, &e);
            /* fall through */
        case BOX_END:
            s->box_empty = true;
            s->changes++;
            return FED_END;
        case BOX_ITEM:
            break;
        }
        s->taken = box.number;
        struct stock_item *item = item_new(&box);
        if (!is_due(s, item))
            continue;
        if (make_ready(s, item, &e)) {
            *taken = item;
            return FED_MESSAGE;
        }
        stock_over(s, item, fault_retry_helps(e.fault) ? BATCH_DEFERRED : BATCH_REFUSED, &e);
    }
    *until = 0;
    return FED_WAIT;
}

/* A message counts from when it is taken, and once more from when the server gets to see it. */
static void pace(struct stock *s)
{
    if (s->p->account->rate_interval > 0)
        s->next_at = clock_now() + s->p->account->rate_interval;
}

enum deliver_fed stock_take(struct stock *s, struct stock_item **item, usec *until, int *fd)
{
    s->box_empty = s->box_empty || box_ended(s->p->box);
    if (stock_ends(s) || (s->box_empty && s->n_returned == 0))
        return FED_END;
    if (clock_now() < s->next_at) {
        *until = s->next_at;
        *fd = box_wait_fd(s->p->box);
        return FED_WAIT;
    }
    enum deliver_fed fed = FED_MESSAGE;
    if (s->n_returned > 0)
        *item = s->returned[--s->n_returned];
    else
        fed = take_from_box(s, item, until, fd);
    if (fed == FED_MESSAGE)
        pace(s);
    return fed;
}

void stock_give_back(struct stock *s, struct stock_item **item)
{
    if (!*item)
        return;
    s->returned = xrealloc(s->returned, (s->n_returned + 1) * sizeof *s->returned);
    s->returned[s->n_returned++] = *item;
    *item = NULL;
    s->changes++;
}

/* ---- with a server ---- */

bool stock_begin(struct stock *s, struct stock_item *item)
{
    struct err e = ERR_INIT;
    if (s->p->journal && !journal_begin(s->p->journal, item->entry, &e)) {
        stock_give_up(s, &e);
        return false;
    }
    pace(s);
    item->tries++;
    return true;
}

static bool is_left(const struct rcpt *rcpt)
{
    return rcpt->fate == RCPT_PENDING
           || (rcpt->fate == RCPT_DEFERRED && (rcpt->reply.code == 0 || rcpt->reply.code == 421));
}

bool stock_is_left(const struct stock_item *item)
{
    for (size_t i = 0; i < item->env.n; i++)
        if (is_left(&item->env.rcpts[i]))
            return true;
    return false;
}

void stock_forget(struct stock_item *item)
{
    for (size_t i = 0; i < item->env.n; i++) {
        item->env.rcpts[i].fate = RCPT_PENDING;
        item->env.rcpts[i].unasked = false;
    }
}

/* Who gets it is known. */
static bool read_anew(struct stock *s, struct stock_item *item, struct err *e)
{
    struct envelope same = ENVELOPE_INIT;
    message_free(&item->message);
    message_init(&item->message);
    bool ok = box_message(&item->box, &item->message, e) && s->p->prepare(s->p->ctx, &item->message, &same, e);
    envelope_free(&same);
    return ok;
}

static void write_undone(struct stock *s, const struct stock_item *item)
{
    struct err e = ERR_INIT;
    if (!s->p->journal)
        return;
    bool everybody = envelope_count(&item->env, RCPT_PENDING) == item->env.n;
    if (!(everybody ? journal_undo(s->p->journal, item->entry, &e)
                    : journal_end(s->p->journal, item->entry, &item->env, &e)))
        stock_give_up(s, &e);
}

bool stock_again(struct stock *s, struct stock_item *item, struct err *e)
{
    for (size_t i = 0; i < item->env.n; i++)
        if (is_left(&item->env.rcpts[i]))
            item->env.rcpts[i].fate = RCPT_PENDING;
    if (!message_can_rewind(&item->message) && !read_anew(s, item, e))
        return false;
    write_undone(s, item);
    return true;
}

/* ---- the end ---- */

void stock_leave(struct stock *s, struct stock_item **item)
{
    struct err why = ERR_INIT;
    if (!*item)
        return;
    if (s->signal)
        deliver_interrupted(s->signal, &why);
    else
        err_copy(&why, &s->err);
    stock_over(s, *item, s->signal ? BATCH_NOT_TRIED : BATCH_DEFERRED, &why);
    *item = NULL;
}

void stock_leave_rest(struct stock *s)
{
    struct box_item box;
    struct err e = ERR_INIT;
    while (s->n_returned > 0)
        stock_leave(s, &s->returned[--s->n_returned]);
    if (s->box_empty)
        return;
    box_read_no_more(s->p->box);
    while (box_next(s->p->box, &box, &e) == BOX_ITEM) {
        struct stock_item *item = item_new(&box);
        s->taken = box.number;
        if (is_due(s, item))
            stock_leave(s, &item);
    }
    s->end->unread = box_is_pipe(s->p->box) && !box_ended(s->p->box);
    err_clear(&e);
}

/* What a signal left, and how to get at it. */
static void hint_rest(const struct stock *s, struct err *e)
{
    char *unread = s->end->unread ? xasprintf(", nor was what follows message %ld read", s->taken) : NULL;
    err_hint(e, "%ld messages were not begun%s; %s", s->end->n[BATCH_NOT_TRIED], unread ? unread : "",
             s->p->journal ? "the same command goes on from here"
                           : "the report tells which; --resume=FILE, from the start, lets the same command go on");
    free(unread);
}

static const char *what_to_look_for(const struct stock *s)
{
    if (s->end->n[BATCH_UNCERTAIN] == 0)
        return "";
    return s->p->journal ? "; look whether the uncertain ones arrived; --retry-uncertain sends them again"
                         : "; look whether the uncertain ones arrived before you send them again";
}

bool stock_verdict(const struct stock *s, struct err *e)
{
    const long sent = s->end->n[BATCH_SENT] + s->end->n[BATCH_PARTIAL];
    long all = 0;
    for (int i = 0; i < BATCH_OUTCOMES; i++)
        all += s->end->n[i];
    const long failed = all - s->end->n[BATCH_SENT] - s->end->n[BATCH_SKIPPED];
    err_copy(e, &s->err);
    if (s->signal && (s->end->n[BATCH_NOT_TRIED] > 0 || s->end->unread)) {
        deliver_interrupted(s->signal, e);
        hint_rest(s, e);
    }
    if (failed == 0 && !s->end->unread)
        return !err_is_set(e);
    enum fault fault = s->alike ? s->first_failure.fault : s->retry_helps ? FAULT_TEMPORARY : s->first_failure.fault;
    err_set(e, fault, "%ld of %ld messages were not sent to everybody", failed, all);
    if (s->first_id)
        err_hint(e, "the first was '%s': %s%s", s->first_id, s->first_failure.text, what_to_look_for(s));
    if (sent > 0)
        e->fault = FAULT_PARTIAL;
    return false;
}

void stock_free(struct stock *s)
{
    free(s->returned);
    free(s->first_id);
    err_clear(&s->err);
    err_clear(&s->first_failure);
}
