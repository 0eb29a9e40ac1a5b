/* transaction: one job: MAIL with its parameters, RCPT for each recipient, the message, and what the replies make of
 * the recipients' fates. */
#include "smtp/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "mail/address.h"

enum { BDAT_JOINS_MAX = 64 << 10 }; /* so much may be sent in vain with MAIL and RCPT */

static struct rcpt *rcpt_at(const struct session *s, size_t i)
{
    return &s->t.job.env->rcpts[s->t.job.rcpts[i]];
}

static const char *sender(const struct session *s)
{
    return s->t.job.env->sender ? s->t.job.env->sender : "";
}

static void set_fate(struct session *s, size_t i, enum rcpt_fate fate, const struct reply *r)
{
    struct rcpt *rcpt = rcpt_at(s, i);

    s->t.state[i] = RCPT_STATE_OVER;
    rcpt->fate = fate;
    rcpt->unasked = false;
    if (r)
        reply_copy(&rcpt->reply, r);
    else if (fate != RCPT_DEFERRED) /* what another server said before stays */
        reply_free(&rcpt->reply);
}

static enum rcpt_fate fate_of(const struct reply *r)
{
    if (reply_ok(r))
        return RCPT_ACCEPTED;
    return reply_temporary(r) ? RCPT_DEFERRED : RCPT_REFUSED;
}

/* The reply decides for everybody who has no fate yet. */
void transaction_settle_all(struct session *s, const struct reply *r)
{
    for (size_t i = 0; s->t.active && i < s->t.job.n; i++)
        if (s->t.state[i] != RCPT_STATE_OVER)
            set_fate(s, i, fate_of(r), r);
}

/* The connection will tell nothing more. Once the end of the message is out the server may have taken it. */
void transaction_abandon(struct session *s)
{
    struct transaction *t = &s->t;
    bool maybe = t->data == DATA_SENDING && body_handed_out(s);

    for (size_t i = 0; t->active && i < t->job.n; i++) {
        if (t->state[i] == RCPT_STATE_OVER)
            continue;
        set_fate(s, i, maybe ? RCPT_UNCERTAIN : RCPT_DEFERRED, NULL);
        if (maybe && err_is_set(&s->err)) {
            s->err.fate = FATE_MAYBE_SENT;
            err_hint(&s->err, "the message may have been delivered; look before you send it again");
        }
    }
    t->active = false;
}

/* A refusal that never went over the wire, worded as the server would have. */
static void refuse_locally(struct session *s, size_t i, int code, const int enhanced[3], const char *text)
{
    struct reply r = REPLY_INIT;

    r.code = code;
    r.lines = 1;
    memcpy(r.enhanced, enhanced, sizeof r.enhanced);
    buf_printf(&r.text, "%d.%d.%d %s", enhanced[0], enhanced[1], enhanced[2], text);
    set_fate(s, i, RCPT_REFUSED, &r);
    rcpt_at(s, i)->unasked = true;
    reply_free(&r);
}

/* The job as a whole cannot be done here; *e says why. */
static void fail_locally(struct session *s, struct err *e, int code, const int enhanced[3])
{
    for (size_t i = 0; i < s->t.job.n; i++)
        refuse_locally(s, i, code, enhanced, e->text);
    err_move(&s->err, e);
    err_stage(&s->err, STAGE_MAIL);
    s->t.failed = true;
}

static long long announced_size(const struct session_job *job)
{
    return job->size >= 0 ? job->size : job->size_about > 0 ? job->size_about : -1;
}

static bool fits(struct session *s)
{
    long long size = announced_size(&s->t.job), max = s->caps.size_max;
    struct err e = ERR_INIT;

    if (s->p.probe.as_is || !session_has(s, CAP_SIZE) || max <= 0 || size <= max)
        return true;
    err_set(&e, FAULT_MESSAGE, "the message is larger than the server takes");
    err_hint(&e, "it has %lld octets, the server takes %lld: send less at once, or a link", size, max);
    fail_locally(s, &e, 552, (const int[]){ 5, 3, 4 });
    return false;
}

/* RFC 8689 4.2.1. What is offered in clear promises nothing. */
static bool keeps_to_tls(struct session *s)
{
    struct err e = ERR_INIT;

    if (!s->p.requiretls || (s->tls_up && session_has(s, CAP_REQUIRETLS)))
        return true;
    err_set(&e, FAULT_UNAVAILABLE, "the server does not offer REQUIRETLS%s, which the message demands",
            s->tls_up ? "" : " under TLS");
    err_hint(&e, "it might pass the message on in clear, and few servers promise not to; if that will do, send it with "
                 "'requiretls off'");
    fail_locally(s, &e, 550, (const int[]){ 5, 7, 30 });
    return false;
}

static bool needs_utf8(const struct session *s)
{
    if (s->t.job.utf8_headers || !address_is_ascii(sender(s)))
        return true;
    for (size_t i = 0; i < s->t.job.n; i++)
        if (!address_is_ascii(rcpt_at(s, i)->address))
            return true;
    return false;
}

/* Without SMTPUTF8 each address must have an ASCII form. A sender without one fails the job, a recipient only
 * itself. */
static bool addresses_fit(struct session *s)
{
    struct buf ascii = BUF_INIT;
    struct err e = ERR_INIT;

    if (!address_to_ascii(sender(s), &ascii, &e)) {
        err_hint(&e, "the server does not offer SMTPUTF8, which this sender needs");
        fail_locally(s, &e, 553, (const int[]){ 5, 6, 7 });
    }
    for (size_t i = 0; !s->t.failed && i < s->t.job.n; i++) {
        buf_reset(&ascii);
        if (address_to_ascii(rcpt_at(s, i)->address, &ascii, &e))
            continue;
        refuse_locally(s, i, 553, (const int[]){ 5, 6, 7 },
                       "the server does not offer SMTPUTF8, which this address needs");
        s->t.refused++;
        err_clear(&e);
    }
    buf_free(&ascii);
    return !s->t.failed;
}

static void warn_without_dsn(const struct session *s)
{
    const struct envelope *env = s->t.job.env;
    bool wished = env->dsn_notify != 0 || env->dsn_return != DSN_RETURN_UNSET || env->dsn_envid;

    if (wished && !session_has(s, CAP_DSN))
        emit(s->p.hub, s->p.connection, EV_WARNING,
             F_STR("text", "the server does not offer DSN; reports come as it likes"));
}

/* Queues the envelope, unless it is clear before that the job cannot be done. */
void transaction_begin(struct session *s)
{
    struct transaction *t = &s->t;

    t->begun = true;
    bool utf8 = needs_utf8(s);
    t->utf8 = utf8 && session_has(s, CAP_SMTPUTF8);
    t->as_they_stand = !utf8 || t->utf8 || s->p.probe.as_is;
    if (!fits(s) || !keeps_to_tls(s) || (!t->as_they_stand && !addresses_fit(s))
        || (s->p.all_or_nothing && t->refused > 0))
        return;
    warn_without_dsn(s);
    for (size_t i = 0; i < t->job.n; i++) {
        if (t->state[i] == RCPT_STATE_OVER)
            continue;
        if (t->unanswered == 0) {
            if (s->open)
                advance_push(s, CMD_RSET, 0);
            advance_push(s, CMD_MAIL, 0);
            if (stops_at(s, STOP_MAIL))
                return;
        }
        t->unanswered++;
        advance_push(s, CMD_RCPT, i);
    }
}

static void add_parameters(struct buf *line, const struct strlist *parameters)
{
    for (size_t i = 0; parameters && i < parameters->n; i++) {
        buf_addc(line, ' ');
        buf_adds(line, parameters->v[i]);
    }
}

static void add_address(const struct session *s, struct buf *line, const char *address)
{
    struct err e = ERR_INIT;

    if (s->t.as_they_stand)
        buf_adds(line, address);
    else
        address_to_ascii(address, line, &e); /* cannot fail: addresses_fit() has tried */
    err_clear(&e);
}

static void add_mail_parameters(const struct session *s, struct buf *line)
{
    const struct session_job *job = &s->t.job;
    const struct envelope *env = job->env;

    if (session_has(s, CAP_SIZE) && announced_size(job) >= 0)
        buf_printf(line, " SIZE=%lld", announced_size(job));
    if (session_has(s, CAP_8BITMIME) && (job->eight_bit || job->utf8_headers))
        buf_adds(line, " BODY=8BITMIME");
    if (s->t.utf8)
        buf_adds(line, " SMTPUTF8");
    if (s->p.requiretls)
        buf_adds(line, " REQUIRETLS");
    if (!session_has(s, CAP_DSN))
        return;
    if (env->dsn_return != DSN_RETURN_UNSET)
        buf_adds(line, env->dsn_return == DSN_RETURN_FULL ? " RET=FULL" : " RET=HDRS");
    if (env->dsn_envid) {
        buf_adds(line, " ENVID=");
        xtext_encode(line, env->dsn_envid, strlen(env->dsn_envid));
    }
}

void transaction_write_mail(struct session *s, const struct command *c, struct buf *line)
{
    (void)c;
    buf_adds(line, "MAIL FROM:<");
    add_address(s, line, sender(s));
    buf_addc(line, '>');
    if (s->p.probe.prdr)
        buf_adds(line, " PRDR");
    add_mail_parameters(s, line);
    add_parameters(line, s->p.probe.mail_params);
}

static void add_notify(struct buf *line, unsigned notify)
{
    static const struct { unsigned bit; const char *word; } words[] = {
        { DSN_NOTIFY_NEVER, "NEVER" }, { DSN_NOTIFY_SUCCESS, "SUCCESS" },
        { DSN_NOTIFY_FAILURE, "FAILURE" }, { DSN_NOTIFY_DELAY, "DELAY" },
    };
    const char *before = " NOTIFY=";

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!(notify & words[i].bit))
            continue;
        buf_adds(line, before);
        buf_adds(line, words[i].word);
        before = ",";
    }
}

static void add_rcpt_parameters(const struct session *s, const struct rcpt *rcpt, struct buf *line)
{
    const char *type_end;

    if (!session_has(s, CAP_DSN))
        return;
    add_notify(line, s->t.job.env->dsn_notify);
    if (!rcpt->orcpt || !address_is_ascii(rcpt->orcpt) || (type_end = strchr(rcpt->orcpt, ';')) == NULL)
        return;
    buf_adds(line, " ORCPT=");
    buf_add(line, rcpt->orcpt, (size_t)(type_end - rcpt->orcpt) + 1);
    xtext_encode(line, type_end + 1, strlen(type_end + 1));
}

void transaction_write_rcpt(struct session *s, const struct command *c, struct buf *line)
{
    const struct rcpt *rcpt = rcpt_at(s, c->arg);

    buf_adds(line, "RCPT TO:<");
    add_address(s, line, rcpt->address);
    buf_addc(line, '>');
    add_rcpt_parameters(s, rcpt, line);
    add_parameters(line, s->p.probe.rcpt_params);
}

static bool is_about_size(const struct reply *r)
{
    bool status = r->enhanced[0] == 5 && ((r->enhanced[1] == 3 && r->enhanced[2] == 4)
                                          || (r->enhanced[1] == 2 && r->enhanced[2] == 3));
    return r->code == 552 || status;
}

bool transaction_mail_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_ok(r)) {
        s->open = s->t.mailed = true;
        return true;
    }
    if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to MAIL makes no sense");
        return true;
    }
    if (is_about_size(r))
        session_refused(s, r, FAULT_MESSAGE, "the message is larger than the server takes");
    else
        session_refused(s, r, FAULT_UNAVAILABLE, "the server refused the sender '%s'", sender(s));
    transaction_settle_all(s, r);
    s->t.failed = true;
    s->end = s->todo;
    return true;
}

/* 552 to RCPT means too many recipients in old servers: the others are for later (RFC 5321 4.5.3.1.10). */
static bool is_too_many(const struct reply *r)
{
    bool status = r->enhanced[0] == 5 && r->enhanced[1] == 5 && r->enhanced[2] == 3;
    return r->code == 552 && (status || ascii_icontains(r->text.data, "too many") != NULL);
}

bool transaction_rcpt_reply(struct session *s, const struct command *c, const struct reply *r)
{
    struct transaction *t = &s->t;

    t->unanswered--;
    if (t->failed)
        return true;
    if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to RCPT makes no sense");
    } else if (reply_ok(r)) {
        t->accepted++;
        t->state[c->arg] = RCPT_STATE_OK;
    } else {
        t->refused++;
        set_fate(s, c->arg, is_too_many(r) ? RCPT_DEFERRED : fate_of(r), r);
    }
    return true;
}

static enum command_kind data_kind(const struct session *s)
{
    bool no_chunk = stops_at(s, STOP_DATA) || (s->p.probe.raw_body && s->t.job.size < 0);

    if (!session_has(s, CAP_CHUNKING) || !session_has(s, CAP_PIPELINING) || no_chunk)
        return CMD_DATA;
    return s->t.job.size >= 0 ? CMD_BDAT_LAST : CMD_BDAT;
}

bool transaction_serves(const struct session *s)
{
    return s->t.accepted > 0 && !(s->p.all_or_nothing && s->t.refused > 0);
}

/* May the message's command be written: because the envelope is answered and somebody gets it, or because it joins
 * the envelope's flight? */
bool transaction_data_due(const struct session *s)
{
    const struct transaction *t = &s->t;
    enum command_kind kind = data_kind(s);

    if (t->data != DATA_NOT_YET || t->failed)
        return false;
    if (t->unanswered == 0)
        return transaction_serves(s);
    return session_has(s, CAP_PIPELINING) && !s->p.all_or_nothing && !stops_at(s, STOP_RCPT)
        && (kind == CMD_DATA || (kind == CMD_BDAT_LAST && t->job.size <= BDAT_JOINS_MAX));
}

/* The next step on the message's way: the command, or behind 354 the text. */
void transaction_data(struct session *s)
{
    struct transaction *t = &s->t;
    enum command_kind kind = t->data == DATA_GO ? CMD_MESSAGE : data_kind(s);

    t->data = kind == CMD_DATA ? DATA_ASKED : DATA_SENDING;
    if (kind != CMD_BDAT) {
        advance_push(s, kind, 0);
        advance_release(s);
    }
    if (kind == CMD_DATA)
        return;
    bool nobody = t->accepted == 0 && kind == CMD_MESSAGE;
    if (nobody)
        t->job.size = 0; /* a lone dot ends it */
    body_start(s, kind == CMD_MESSAGE && (nobody || !s->p.probe.raw_body), kind == CMD_BDAT);
}

bool transaction_data_reply(struct session *s, const struct command *c, const struct reply *r)
{
    struct transaction *t = &s->t;

    (void)c;
    if (reply_ok(r)) {
        session_protocol_error(s, r, "the server answered DATA as if it had the message");
    } else if (reply_more(r)) {
        t->data = DATA_GO;
        if (t->accepted == 0 && s->p.lmtp)
            session_hang_up(s); /* how many replies would follow the dot is nowhere said */
    } else {
        t->data = DATA_OVER;
        if (t->accepted > 0 && !t->failed) {
            session_refused(s, r, FAULT_MESSAGE, "the server refused to take the message");
            transaction_settle_all(s, r);
        }
    }
    return true;
}

/* A refusal before the message was out: it cannot be completed, and nothing else can be said in its place. */
static void refused_early(struct session *s, const struct reply *r)
{
    if (s->t.accepted > 0 || s->t.unanswered > 0) {
        session_refused(s, r, FAULT_MESSAGE, "the server refused the message while it was sent");
        s->err.stage = STAGE_BODY;
        transaction_settle_all(s, r);
    }
    session_hang_up(s);
}

bool transaction_chunk_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_more(r))
        session_protocol_error(s, r, "the server's answer to BDAT makes no sense");
    else if (!reply_ok(r))
        refused_early(s, r);
    return true;
}

/* All final replies are there; the best of them speaks for the message. What a refused chunk leaves of the transaction
 * is not said (RFC 3030 2). */
static void conclude(struct session *s, const struct command *c)
{
    const struct reply *r = &s->data_reply;

    s->t.data = DATA_OVER;
    s->open = c->kind == CMD_BDAT_LAST && !reply_ok(r);
    if (s->t.accepted > 0 && !reply_ok(r))
        session_refused(s, r, FAULT_MESSAGE, reply_temporary(r) ? "the server does not take the message now"
                                                                : "the server refused the message");
}

/* The first recipient from the i-th on whose own reply to the message is still to come; n: none. */
static size_t next_waiting(const struct transaction *t, size_t i)
{
    while (i < t->job.n && t->state[i] != RCPT_STATE_OK)
        i++;
    return i;
}

/* LMTP has a reply for each recipient that was accepted. true: this was the last of them. */
static bool settle_next(struct session *s, const struct reply *r)
{
    size_t i = next_waiting(&s->t, 0);

    if (i < s->t.job.n)
        set_fate(s, i, fate_of(r), r);
    return next_waiting(&s->t, i) == s->t.job.n;
}

/* PRDR has one more, for the message: what it refuses nobody gets. true: this was it. */
static bool settle_prdr(struct session *s, const struct reply *r)
{
    struct transaction *t = &s->t;
    size_t i = next_waiting(t, 0);

    if (i < t->job.n) {
        set_fate(s, i, reply_ok(r) ? RCPT_PENDING : fate_of(r), r);
        if (reply_ok(r))
            t->state[i] = RCPT_STATE_KEPT;
        return false;
    }
    for (i = 0; reply_ok(r) && i < t->job.n; i++) {
        if (t->state[i] != RCPT_STATE_KEPT)
            continue;
        t->state[i] = RCPT_STATE_OVER;
        rcpt_at(s, i)->fate = RCPT_ACCEPTED;
    }
    transaction_settle_all(s, r);
    return true;
}

static void keep_best(struct session *s, const struct reply *r)
{
    if (s->data_reply.code != 0 && r->code / 100 >= s->data_reply.code / 100)
        return;
    reply_free(&s->data_reply);
    reply_copy(&s->data_reply, r);
}

bool transaction_message_reply(struct session *s, const struct command *c, const struct reply *r)
{
    struct transaction *t = &s->t;

    if (r->code == 353 && s->p.probe.prdr && !t->prdr && body_handed_out(s)) {
        t->prdr = true;
        return false;
    }
    if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to the message makes no sense");
        return true;
    }
    if (!body_handed_out(s)) {
        if (reply_ok(r) && t->accepted > 0)
            session_protocol_error(s, r, "the server accepted the message before it had all of it");
        else
            refused_early(s, r);
        return true;
    }
    if (t->prdr && !settle_prdr(s, r))
        return false;
    keep_best(s, r);
    if (s->p.lmtp && !settle_next(s, r))
        return false;
    transaction_settle_all(s, r);
    conclude(s, c);
    return true;
}

/* all_or_nothing: the first recipient that was refused for good, or else put off, stands for the failure. */
static void nothing_for_anybody(struct session *s)
{
    const struct rcpt *culprit = NULL;

    for (size_t i = 0; i < s->t.job.n; i++) {
        const struct rcpt *rcpt = rcpt_at(s, i);
        bool worse = !culprit || (culprit->fate == RCPT_DEFERRED && rcpt->fate == RCPT_REFUSED);
        if (worse && (rcpt->fate == RCPT_REFUSED || rcpt->fate == RCPT_DEFERRED))
            culprit = rcpt;
    }
    if (!culprit)
        return;
    session_refused(s, &culprit->reply, FAULT_RECIPIENTS,
                    "the server refused the recipient '%s', so nobody gets the message", culprit->address);
    err_stage(&s->err, STAGE_RCPT);
}

/* The job is done: as it was concluded, or because it could not go on. */
void transaction_end(struct session *s)
{
    struct transaction *t = &s->t;

    if (s->p.all_or_nothing && t->data == DATA_NOT_YET && t->refused > 0)
        nothing_for_anybody(s);
    transaction_abandon(s);
    if (t->job.last)
        session_leave(s);
}

/* ---- jobs ---- */

static struct transaction transaction_new(const struct session_job *job)
{
    return (struct transaction){ .job = *job, .active = true, .state = xcalloc(job->n + 1, 1) };
}

bool session_takes_next(const struct session *s)
{
    const struct transaction *t = &s->t;

    return s->p.over && t->active && !t->job.last && t->data == DATA_SENDING && s->body.ended && !body_handed_out(s)
        && t->unanswered == 0 && transaction_serves(s) && !s->ahead.active && session_has(s, CAP_PIPELINING)
        && !stops_at(s, STOP_DOT);
}

/* All that can be said before the present message is answered is written at once. Behind BDAT stands RSET: what a
 * chunk that is refused leaves of the transaction is not said (RFC 3030 2). */
static void begin_ahead(struct session *s, const struct session_job *job)
{
    struct transaction present = s->t;

    s->open = s->queue[s->end - 1].kind == CMD_BDAT_LAST;
    s->t = transaction_new(job);
    transaction_begin(s);
    advance_release(s);
    if (transaction_data_due(s) && data_kind(s) == CMD_DATA)
        transaction_data(s);
    s->ahead = s->t;
    s->t = present;
    if (s->gone)
        session_hang_up(s);
    else
        err_move(&s->ahead_err, &s->err);
}

void transaction_follow(struct session *s)
{
    s->p.over(s->p.over_ctx);
    if (s->gone)
        return;
    err_clear(&s->err);
    err_move(&s->err, &s->ahead_err);
    reply_free(&s->data_reply);
    free(s->t.state);
    s->t = s->ahead;
    s->ahead = (struct transaction){ 0 };
}

void transaction_withdraw(struct session *s)
{
    for (size_t i = 0; s->ahead.active && i < s->ahead.job.n; i++) {
        struct rcpt *rcpt = &s->ahead.job.env->rcpts[s->ahead.job.rcpts[i]];
        if (rcpt->unasked)
            reply_free(&rcpt->reply);
        rcpt->fate = RCPT_PENDING;
        rcpt->unasked = false;
    }
    s->ahead.active = false;
}

void session_job(struct session *s, const struct session_job *job)
{
    struct transaction *t = &s->t;

    if (session_takes_next(s)) {
        s->jobs++;
        begin_ahead(s, job);
        return;
    }
    if (s->ask != ASK_JOB && !s->gone)
        return;
    err_clear(&s->err);
    free(t->state);
    *t = transaction_new(job);
    reply_free(&s->data_reply);
    s->jobs++;
    s->ask = ASK_NOTHING;
    if (s->gone) {
        err_set(&s->err, FAULT_LOST, "the server closed the connection before this message");
        transaction_abandon(s);
    }
}

void session_no_job(struct session *s)
{
    if (s->ask != ASK_JOB)
        return;
    s->ask = ASK_NOTHING;
    session_leave(s);
}
