/* advance: decides from the facts what the client says next, and releases waiting commands as PIPELINING allows.
 * It must not know what a reply looks like. */
#include "smtp/session_private.h"

#include "base/ascii.h"

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
    return s->hello == HELLO_REFUSED || s->p.probe.helo ? CMD_HELO : CMD_EHLO;
}

/* With PIPELINING, QUIT leaves together with the end of the message. */
static bool quit_due(const struct session *s)
{
    return s->t.data == DATA_SENDING && s->body.ended && s->t.job.last && session_has(s, CAP_PIPELINING)
        && !stops_at(s, STOP_DOT);
}

static void ask(struct session *s, enum ask what)
{
    s->ask = what;
    s->step_id++;
}

static void quit(struct session *s)
{
    const struct session_probe *probe = &s->p.probe;

    if (probe->leaving && err_is_set(&s->err))
        probe->leaving(probe->leaving_ctx, &s->err);
    advance_push(s, CMD_QUIT, 0);
    s->left = true;
}

static void drop(struct session *s)
{
    s->dropped = true;
    session_hang_up(s);
}

/* The order of the dialogue. One step; false: there is nothing to do before the driver or the peer did something. */
static bool advance(struct session *s)
{
    struct transaction *t = &s->t;
    bool idle = s->sent == s->end;

    if (s->gone || s->left || s->ask != ASK_NOTHING || s->todo < s->end)
        return false;

    if (stops_drop_due(s))
        drop(s);
    else if (t->data == DATA_OVER && s->ahead.active)
        transaction_follow(s);
    else if (!idle && (s->leaving || !t->begun))
        return false;
    else if (s->leaving)
        quit(s);
    else if (stops_reached(s, s->p.probe.quit_after))
        session_leave(s);
    else if (!s->greeted)
        advance_push(s, CMD_GREETING, 0);
    else if (s->hello != HELLO_DONE)
        advance_push(s, hello_kind(s), 0);
    else if (!t->begun && features_missing(s))
        return true;
    else if (tls_due(s))
        advance_push(s, CMD_STARTTLS, 0);
    else if (xclient_due(s))
        advance_push(s, CMD_XCLIENT, 0);
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

static void show_line(struct session *s, const char *line, size_t n, bool secret)
{
    struct buf decoded = BUF_SECRET_INIT;
    size_t cut = SIZE_MAX;
    bool known = secret && s->p.probe.decode_auth && login_decode(s, line, n, &decoded, &cut);

    emit(s->p.hub, s->p.connection, EV_CLIENT, F_CUT("line", line, n, secret ? s->login.cut : SIZE_MAX),
         F_CUT("decoded", known ? decoded.data : NULL, decoded.len, cut));
    buf_free(&decoded);
}

/* Writes the command's line to the wire. What would break the line framing must have been refused long before;
 * here is the last place to stop it. */
static void write_line(struct session *s, const struct command *c)
{
    bool secret = c->kind == CMD_AUTH || c->kind == CMD_RESPONSE;
    struct buf *wire = session_wire(s);
    size_t begin = wire->len;

    rows[c->kind].write(s, c, wire);
    if (!ascii_line_safe(wire->data + begin, wire->len - begin)) {
        err_set(&s->err, FAULT_SOFTWARE, "a line end or NUL in the argument of %s", rows[c->kind].word);
        err_stage(&s->err, rows[c->kind].stage);
        session_hang_up(s);
    } else {
        show_line(s, wire->data + begin, wire->len - begin, secret);
        buf_adds(wire, "\r\n");
        s->text_queued += wire->len - begin;
    }
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
