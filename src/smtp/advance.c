/* advance: decides from the facts what the client says next, and releases waiting commands as PIPELINING allows.
 * It must not know what a reply looks like. */
#include "smtp/session_private.h"

#include "base/ascii.h"

bool session_has(const struct session *s, enum cap cap)
{
    return (s->caps.have & cap) != 0;
}

void advance_push(struct session *s, enum command_kind kind, size_t arg)
{
    if (s->end == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 16;
        s->queue = xrealloc(s->queue, s->cap * sizeof *s->queue);
    }
    s->queue[s->end++] = (struct command){ .kind = kind, .arg = arg };
}

static enum command_kind hello_kind(const struct session *s)
{
    if (s->p.lmtp)
        return CMD_LHLO;
    return s->hello == HELLO_REFUSED ? CMD_HELO : CMD_EHLO;
}

static bool tls_due(const struct session *s)
{
    bool wished = s->p.tls == SESSION_TLS_MAY || s->p.tls == SESSION_TLS_REQUIRED;
    return wished && !s->tls_up && !s->starttls_refused && session_has(s, CAP_STARTTLS);
}

static bool auth_due(const struct session *s)
{
    return s->p.auth && !s->authenticated;
}

static bool etrn_due(const struct session *s)
{
    return s->p.etrn && s->etrn_reply.code == 0;
}

/* Is something asked for that this server does not have? Then the error is set. */
static bool feature_missing(struct session *s)
{
    const char *masked = rows_masked(&s->caps);

    if (s->p.tls == SESSION_TLS_REQUIRED && !s->tls_up) {
        err_set(&s->err, FAULT_UNAVAILABLE, "the server does not offer STARTTLS, and TLS is required");
        err_stage(&s->err, STAGE_STARTTLS);
        if (masked)
            err_hint(&s->err, "its reply to EHLO holds '%s': a firewall on the way masks STARTTLS; "
                              "have it switched off there, or try TLS from the start (port 465)", masked);
        else
            err_hint(&s->err, "the server may want TLS from the start (port 465) or offer STARTTLS on port 587");
        return true;
    }
    if (auth_due(s) && !session_has(s, CAP_AUTH)) {
        err_set(&s->err, FAULT_UNAVAILABLE, "the server does not offer AUTH, and a login is required");
        err_stage(&s->err, STAGE_AUTH);
        if (s->tls_up)
            err_hint(&s->err, "this port may not be for submission: try 587 or 465, or set 'auth' to off");
        else
            err_hint(&s->err, "the server may offer AUTH only under TLS: set 'tls on'; or leave out 'user' if it wants no login");
        return true;
    }
    if (etrn_due(s) && !session_has(s, CAP_ETRN)) {
        err_set(&s->err, FAULT_UNAVAILABLE, "the server does not offer ETRN, so it cannot be asked to start a queue");
        err_stage(&s->err, STAGE_ETRN);
        err_hint(&s->err, s->tls_up ? "ask its administrator which server holds the mail for '%s'"
                                    : "the server may offer ETRN for '%s' only under TLS", s->p.etrn);
        return true;
    }
    return false;
}

/* With PIPELINING, QUIT leaves together with the end of the message. */
static bool quit_due(const struct session *s)
{
    return s->t.data == DATA_SENDING && s->body.ended && s->t.job.last && session_has(s, CAP_PIPELINING);
}

static void ask(struct session *s, enum ask what)
{
    s->ask = what;
    s->step_id++;
}

static void quit(struct session *s)
{
    advance_push(s, CMD_QUIT, 0);
    s->left = true;
}

/* The order of the dialogue. One step; false: there is nothing to do before the driver or the peer did something. */
static bool advance(struct session *s)
{
    struct transaction *t = &s->t;
    bool idle = s->sent == s->end;

    if (s->gone || s->left || s->ask != ASK_NOTHING || s->todo < s->end)
        return false;
    if (!idle && (s->leaving || !t->begun))
        return false;

    if (s->leaving)
        quit(s);
    else if (!s->greeted)
        advance_push(s, CMD_GREETING, 0);
    else if (s->hello != HELLO_DONE)
        advance_push(s, hello_kind(s), 0);
    else if (tls_due(s))
        advance_push(s, CMD_STARTTLS, 0);
    else if (!t->begun && feature_missing(s))
        session_leave(s);
    else if (auth_due(s))
        ask(s, ASK_AUTH);
    else if (etrn_due(s))
        advance_push(s, CMD_ETRN, 0);
    else if (!t->active)
        ask(s, ASK_JOB);
    else if (!t->begun)
        transaction_begin(s);
    else if (transaction_data_due(s) || t->data == DATA_GO)
        transaction_data(s);
    else if (quit_due(s))
        quit(s);
    else if (idle && t->data != DATA_SENDING)
        transaction_end(s);
    else
        return false;
    return true;
}

/* May the first command that waits be written now? */
static bool releasable(const struct session *s)
{
    if (s->todo == s->end)
        return false;
    if (s->sent == s->todo)
        return true;
    const struct row *before = &rows[s->queue[s->todo - 1].kind];
    return session_has(s, CAP_PIPELINING) && !before->last && (!before->body || s->body.ended);
}

/* Writes the command's line to the wire. What would break the line framing must have been refused long before;
 * here is the last place to stop it. */
static void write_line(struct session *s, const struct command *c)
{
    struct buf line = BUF_SECRET_INIT;
    bool secret = c->kind == CMD_AUTH || c->kind == CMD_RESPONSE;

    rows[c->kind].write(s, c, &line);
    if (!ascii_line_safe(line.data, line.len)) {
        err_set(&s->err, FAULT_SOFTWARE, "a line end or NUL in the argument of %s", rows[c->kind].word);
        err_stage(&s->err, rows[c->kind].stage);
        session_hang_up(s);
    } else {
        emit(s->p.hub, s->p.connection, EV_CLIENT, F_CUT("line", line.data, line.len, secret ? s->login.cut : SIZE_MAX));
        buf_adds(&line, "\r\n");
        session_text(s, line.data, line.len);
    }
    buf_free(&line);
}

void advance_release(struct session *s)
{
    while (releasable(s)) {
        struct command *c = &s->queue[s->todo++];
        if (rows[c->kind].write)
            write_line(s, c);
        c->mark = s->text_queued;
    }
}

void advance_run(struct session *s)
{
    do
        advance_release(s);
    while (advance(s));
}
