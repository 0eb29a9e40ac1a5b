/* deliver_jobs: which message a session gets next, and to how many of its recipients at once. What is said of it is the
 * session's to know. */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "send/deliver_private.h"

enum {
    RCPTS_EVERY_SERVER_TAKES = 100, /* RFC 5321 4.5.3.1.8 */
    RCPTS_AT_ONCE = 1000,           /* some servers end the session when they are asked for many more than they take */
};

static size_t pending_of(const struct errand *w)
{
    return w->item.env ? envelope_count(w->item.env, RCPT_PENDING) : 0;
}

/* ---- what a transaction leaves ---- */

/* 452 also says that a mailbox or a disk is full; then there is a status that tells (RFC 3463 3.6). */
static bool is_too_many(const struct reply *r)
{
    bool status = r->enhanced[0] == 0 || (r->enhanced[1] == 5 && r->enhanced[2] == 3);
    return r->code == 452 && status;
}

static bool was_too_many(const struct rcpt *r)
{
    return r->fate == RCPT_DEFERRED && is_too_many(&r->reply);
}

/* RFC 5321 4.5.3.1.10: 452 means that this transaction is full, not that the recipient is refused. */
static void requeue_too_many(struct deliver *d)
{
    const struct errand *w = &d->now;
    bool accepted = false;
    for (size_t i = 0; i < w->job.n; i++)
        accepted |= w->item.env->rcpts[w->slice[i]].fate == RCPT_ACCEPTED;
    if (!accepted || w->job.last || !message_can_rewind(w->item.message))
        return;
    for (size_t i = 0; i < w->job.n; i++) {
        struct rcpt *r = &w->item.env->rcpts[w->slice[i]];
        if (was_too_many(r))
            r->fate = RCPT_PENDING;
    }
}

/* May the message need another transaction behind the present one, whose recipients are answered? */
static bool needs_more(const struct errand *w)
{
    size_t here = 0;
    for (size_t i = 0; i < w->job.n; i++) {
        const struct rcpt *r = &w->item.env->rcpts[w->slice[i]];
        if (was_too_many(r))
            return true;
        here += r->fate == RCPT_PENDING;
    }
    return here < pending_of(w);
}

void deliver_keep_queue_id(struct deliver *d)
{
    static const char *const marks[] = { "queued as ", "queued for delivery as ", "id=",
                                         "Message accepted for delivery: ", NULL };
    const struct reply *r = session_data_reply(d->session);
    if (!r || !reply_ok(r) || d->queue_id)
        return;
    for (const char *const *mark = marks; *mark; mark++) {
        const char *id = ascii_icontains(r->text.data, *mark);
        if (!id)
            continue;
        id += strlen(*mark);
        size_t n = strcspn(id, " \t\n;,)>");
        if (n > 0)
            d->queue_id = xstrndup(id, n);
        return;
    }
}

/* ---- one transaction ---- */

static size_t most_at_once(const struct deliver *d)
{
    const struct caps *caps = session_caps(d->session);
    if (d->p.probe) /* a test is one transaction */
        return SIZE_MAX;
    if (caps->rcpt_max > 0)
        return (size_t)caps->rcpt_max;
    return d->p.account->all_or_nothing ? SIZE_MAX : RCPTS_AT_ONCE;
}

/* Are all who are left sure to be taken in one transaction? */
static bool is_whole(const struct deliver *d, size_t pending)
{
    return pending <= most_at_once(d)
           && (pending <= RCPTS_EVERY_SERVER_TAKES || session_caps(d->session)->rcpt_max > 0 || d->p.probe);
}

/* RFC 9422. */
static bool is_full(const struct deliver *d)
{
    const struct caps *caps = session_caps(d->session);
    return caps->mail_max > 0 && d->transactions >= (size_t)caps->mail_max;
}

static void begin_job(struct deliver *d, struct errand *w)
{
    struct envelope *env = w->item.env;
    const size_t pending = pending_of(w), most = most_at_once(d);
    w->slice = xrealloc(w->slice, pending * sizeof *w->slice);
    w->job = (struct session_job){
        .env = env,
        .rcpts = w->slice,
        .size = message_size(w->item.message),
        .size_about = w->item.message->size_hint,
        .eight_bit = w->item.message->eight_bit || !w->item.message->complete,
        .utf8_headers = message_headers_eight_bit(w->item.message),
        .last = is_whole(d, pending) && w->item.last,
    };
    for (size_t i = 0; i < env->n && w->job.n < most; i++)
        if (env->rcpts[i].fate == RCPT_PENDING)
            w->slice[w->job.n++] = i;
    if (d->transactions++ == 0)
        deliver_tls_report(d->p.hub, d->p.connection, d->p.hop, deliver_tls_now(d));
    session_job(d->session, &w->job);
}

/* ---- the feed ---- */

/* The one that was asked for ahead is the present one. */
static void follow(struct deliver *d)
{
    free(d->now.slice);
    d->now = d->ahead;
    d->ahead = (struct errand){ .slice = NULL };
    d->fed = d->now.item.env != NULL;
    if (d->p.deadline == USEC_NEVER)
        d->run_deadline = d->fed ? clock_deadline(DELIVER_RUN_SECONDS * USEC_PER_SEC) : USEC_NEVER;
}

/* false: so is the session. */
static bool item_over(struct deliver *d)
{
    const struct deliver_feed *feed = d->p.feed;
    struct err e = ERR_INIT;
    d->fed = false;
    bool goes_on = feed->done(feed->ctx, session_error(d->session));
    if (!goes_on) {
        err_set(&e, FAULT_TEMPORARY, "the next message was not begun");
        session_fail(d->session, &e);
    }
    free(d->queue_id);
    d->queue_id = NULL;
    d->octets = 0;
    return goes_on;
}

void deliver_job_over(void *ctx)
{
    struct deliver *d = ctx;
    deliver_keep_queue_id(d);
    if (item_over(d))
        follow(d);
}

void deliver_job_ahead(struct deliver *d)
{
    const struct deliver_feed *feed = d->p.feed;
    struct errand *w = &d->ahead;
    usec until;
    int fd;
    if (!feed || w->item.env || !session_takes_next(d->session) || is_full(d) || needs_more(&d->now)
        || feed->next(feed->ctx, &w->item, &until, &fd) != FED_MESSAGE)
        return;
    if (is_whole(d, pending_of(w)) && message_rewind(w->item.message))
        begin_job(d, w);
}

/* The next message of the feed. true: wait, or see what became of the session. */
static bool next_item(struct deliver *d)
{
    const struct deliver_feed *feed = d->p.feed;
    if (d->fed && !item_over(d))
        return true;
    follow(d);
    /* a message is not entrusted to a connection that the server has closed meanwhile */
    while (!is_full(d) && d->transactions > 0 && !deliver_read(d))
        if (session_next(d->session) != WANT_JOB)
            return true;
    if (d->fed)
        return false;
    usec until = USEC_NEVER;
    switch (is_full(d) ? FED_END : feed->next(feed->ctx, &d->ahead.item, &until, &d->source_fd)) {
    case FED_MESSAGE:
        follow(d);
        d->step_deadline = 0;
        return false;
    case FED_WAIT:
        d->idle_until = until;
        d->step_deadline = USEC_NEVER;
        return true;
    case FED_END:
        break;
    }
    return false;
}

/* ---- the want ---- */

/* The message is needed more than once. */
static bool spool(struct deliver *d)
{
    struct err e = ERR_INIT;
    if (deliver_source_waits(d, message_source_fd(d->now.item.message)))
        return deliver_read(d);
    if (!message_spool_step(d->now.item.message, &e))
        session_fail(d->session, &e);
    return false;
}

/* The first part would be delivered before the last is answered. */
static void refuse_parts(struct deliver *d, size_t pending)
{
    struct err e = ERR_INIT;
    err_set(&e, FAULT_UNAVAILABLE, "the server takes %zu recipients at a time, so all or nothing cannot be promised to "
                                   "%zu", most_at_once(d), pending);
    err_hint(&e, "send to fewer, or without 'all_or_nothing'");
    err_stage(&e, STAGE_MAIL);
    session_fail(d->session, &e);
}

bool deliver_job(struct deliver *d)
{
    struct err e = ERR_INIT;
    if (d->job_open) {
        d->job_open = false;
        deliver_keep_queue_id(d);
        requeue_too_many(d);
    }
    if (d->p.feed && pending_of(&d->now) == 0 && next_item(d))
        return session_next(d->session) == WANT_JOB;
    const size_t pending = pending_of(&d->now);
    if (pending == 0 || is_full(d)) {
        session_no_job(d->session);
        return false;
    }
    if (d->p.account->all_or_nothing && pending > most_at_once(d)) {
        refuse_parts(d, pending);
        return false;
    }
    if (!is_whole(d, pending) && !d->now.item.message->complete)
        return spool(d);
    if (!message_rewind(d->now.item.message)) {
        err_set(&e, FAULT_TEMPORARY, "the message cannot be read a second time for the recipients that are left");
        session_fail(d->session, &e);
        return false;
    }
    d->octets = 0;
    d->job_open = true;
    begin_job(d, &d->now);
    return false;
}
