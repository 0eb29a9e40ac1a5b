/* session: octets in, octets out, and what is wanted next. The order of the dialogue is advance.c's, the meaning of
 * each command rows.c's. */
#include "smtp/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

struct session *session_new(const struct session_params *p)
{
    struct session *s = xcalloc(1, sizeof *s);

    s->p = *p;
    s->tls_up = p->tls == SESSION_TLS_IMPLICIT;
    s->data_reply = s->etrn_reply = s->login.refusal = (struct reply)REPLY_INIT;
    s->login.challenge = s->login.line = s->login.held = (struct buf)BUF_SECRET_INIT;
    s->out = s->tail = (struct buf)BUF_SECRET_INIT;
    s->body.line = (struct buf)BUF_INIT;
    s->parser = (struct reply_parser)REPLY_PARSER_INIT;
    return s;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    caps_free(&s->caps);
    free(s->greeting);
    reply_free(&s->data_reply);
    reply_free(&s->etrn_reply);
    err_clear(&s->err);
    err_clear(&s->ahead_err);
    free(s->t.state);
    free(s->ahead.state);
    login_free(&s->login);
    free(s->queue);
    buf_free(&s->out);
    buf_free(&s->tail);
    buf_free(&s->body.line);
    reply_parser_free(&s->parser);
    free(s);
}

const struct command *session_head(const struct session *s)
{
    return s->sent < s->todo ? &s->queue[s->sent] : NULL;
}

bool session_parting(const struct session *s)
{
    const struct command *head = session_head(s);
    return head && head->kind == CMD_QUIT && !s->p.probe.hear_quit;
}

static bool output_waits(const struct session *s)
{
    return s->out_done < s->out.len || body_waits(s);
}

enum want session_next(struct session *s)
{
    static const enum want asked[] = {
        [ASK_NOTHING] = WANT_READ, [ASK_TLS] = WANT_TLS, [ASK_AUTH] = WANT_AUTH, [ASK_JOB] = WANT_JOB,
    };

    advance_run(s);
    if (s->gone)
        return WANT_CLOSE;
    if (body_wanted(s))
        return WANT_BODY;
    if (output_waits(s))
        return WANT_WRITE;
    if (session_parting(s))
        return WANT_CLOSE;
    return asked[s->ask];
}

/* Is the message itself on its way, and its own reply the next that can come? */
static bool body_under_way(const struct session *s)
{
    const struct command *head = session_head(s);
    bool before = head && !rows[head->kind].body && head->kind != CMD_BDAT;

    return s->t.data == DATA_SENDING && !before && !body_handed_out(s);
}

enum stage session_stage(const struct session *s)
{
    const struct command *head = session_head(s);

    if (s->ask == ASK_TLS)
        return STAGE_TLS;
    if (s->ask == ASK_AUTH)
        return STAGE_AUTH;
    if (body_under_way(s))
        return STAGE_BODY;
    return head ? rows[head->kind].stage : STAGE_NONE;
}

usec session_timeout(const struct session *s)
{
    enum { STEP = 60, BLOCK = 180 };
    const struct command *head = session_head(s);

    if (s->p.timeout > 0)
        return s->p.timeout;
    if (body_under_way(s))
        return BLOCK * USEC_PER_SEC;
    return head ? rows[head->kind].timeout : STEP * USEC_PER_SEC;
}

unsigned session_step_id(const struct session *s)
{
    return s->step_id;
}

struct buf *session_wire(struct session *s)
{
    return body_waits(s) ? &s->tail : &s->out;
}

void session_text(struct session *s, const char *p, size_t n)
{
    buf_add(session_wire(s), p, n);
    s->text_queued += n;
}

int session_output(struct session *s, struct iovec *iov, int max)
{
    bool all = true;
    int n = 0;

    if (n < max && s->out_done < s->out.len)
        iov[n++] = (struct iovec){ s->out.data + s->out_done, s->out.len - s->out_done };
    n += body_slices(s, iov + n, max - n, &all);
    if (n < max && s->tail.len > 0 && all)
        iov[n++] = (struct iovec){ s->tail.data, s->tail.len };
    return n;
}

void session_wrote(struct session *s, size_t n)
{
    if (s->gone)
        return;
    while (n > 0 && output_waits(s)) {
        size_t text = s->out.len - s->out_done < n ? s->out.len - s->out_done : n;
        s->out_done += text;
        s->text_written += text;
        n -= text;
        if (s->out_done < s->out.len)
            break;
        n -= body_wrote(s, n);
        if (body_waits(s))
            break;
        struct buf written = s->out;
        s->out = s->tail;
        s->out_done = 0;
        s->tail = written;
        buf_reset(&s->tail);
    }
    if (!output_waits(s))
        s->step_id++;
}

void session_leave(struct session *s)
{
    s->leaving = true;
    s->end = s->todo;
    transaction_abandon(s);
}

void session_hang_up(struct session *s)
{
    transaction_abandon(s);
    transaction_withdraw(s);
    s->gone = true;
    s->ask = ASK_NOTHING;
    body_drop(s);
    s->sent = s->todo = s->end = 0;
    buf_free(&s->out);
    buf_free(&s->tail);
    s->out_done = 0;
}

static void add_server_words(struct session *s, const struct reply *r)
{
    struct buf words = BUF_INIT;

    reply_format(r, &words);
    err_server(&s->err, words.data);
    buf_free(&words);
}

void session_refused(struct session *s, const struct reply *r, enum fault permanent, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    if (err_is_set(&s->err))
        return;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(&s->err, reply_temporary(r) ? FAULT_TEMPORARY : permanent, "%s", text.data);
    err_stage(&s->err, session_stage(s));
    add_server_words(s, r);
    buf_free(&text);
}

/* An error of ours at the present stage, and the end. */
__attribute__((format(printf, 3, 4))) static void fail(struct session *s, enum fault fault, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(&s->err, fault, "%s", text.data);
    err_stage(&s->err, session_stage(s));
    session_hang_up(s);
    buf_free(&text);
}

void session_protocol_error(struct session *s, const struct reply *r, const char *text)
{
    bool first = !err_is_set(&s->err);

    err_set(&s->err, FAULT_PROTOCOL, "%s", text);
    err_stage(&s->err, session_stage(s));
    if (first && r)
        add_server_words(s, r);
    session_hang_up(s);
}

/* Who answers where no SMTP server does, by the first octets. */
static const struct { const char *start, *what, *hint; } strangers[] = {
    { "\x15\x03", "TLS from the start",
      "this is the port for TLS from the start: set 'tls' to on and 'tls_starttls' to off" },
    { "\x16\x03", "TLS from the start",
      "this is the port for TLS from the start: set 'tls' to on and 'tls_starttls' to off" },
    { "HTTP/", "HTTP", "the host or port is wrong, or a portal on the way wants you to log in with a browser first" },
    { "<", "HTTP", "the host or port is wrong, or a portal on the way wants you to log in with a browser first" },
    { "SSH-", "SSH", "the port is wrong: mail is submitted on 587 or 465" },
    { "* ", "IMAP", "that port is for reading mail: mail is submitted on 587 or 465" },
    { "+OK", "POP3", "that port is for reading mail: mail is submitted on 587 or 465" },
};

/* Ends the session if what greeted us is known and not an SMTP server. */
static bool is_stranger(struct session *s)
{
    for (size_t i = 0; !s->greeted && i < sizeof strangers / sizeof *strangers; i++) {
        size_t n = strlen(strangers[i].start);
        if (s->first_n < n || memcmp(s->first, strangers[i].start, n) != 0)
            continue;
        err_set(&s->err, FAULT_PROTOCOL, "the peer does not speak SMTP: it speaks %s", strangers[i].what);
        err_hint(&s->err, "%s", strangers[i].hint);
        err_stage(&s->err, STAGE_GREETING);
        session_hang_up(s);
        return true;
    }
    return false;
}

static void not_a_reply(struct session *s)
{
    char excerpt[sizeof s->parser.excerpt];

    if (is_stranger(s))
        return;
    memcpy(excerpt, s->parser.excerpt, sizeof excerpt);
    err_set(&s->err, FAULT_PROTOCOL, s->greeted ? "the server breaks the protocol: %s"
                                                : "the peer does not speak SMTP: %s", s->parser.why);
    err_stage(&s->err, session_stage(s));
    err_server(&s->err, excerpt);
    session_hang_up(s);
}

/* Does this line of a reply let the dialogue go on? Only 353 is more than its row says: to a message sent with PRDR. */
static bool is_good(const struct session *s, const char *line, size_t n)
{
    const struct command *head = session_head(s);

    if (!head || s->text_written < head->mark || n < 3 || memcmp(line, "421", 3) == 0)
        return false;
    if (s->p.probe.prdr && rows[head->kind].stage == STAGE_DOT && memcmp(line, "353", 3) == 0)
        return true;
    return memchr(rows[head->kind].good, line[0], strlen(rows[head->kind].good)) != NULL;
}

static void show_server_line(void *ctx, const char *line, size_t n)
{
    const struct session *s = ctx;

    if (hub_wants(s->p.hub, EV_SERVER))
        emit(s->p.hub, s->p.connection, EV_SERVER, F_STRN("line", line, n), F_BOOL("unexpected", !is_good(s, line, n)));
}

/* 421 may come at any time and ends the session (RFC 5321 3.8). Between two jobs it is none's error. */
static void server_leaves(struct session *s, const struct reply *r)
{
    if (s->ask != ASK_JOB || s->jobs == 0) {
        session_refused(s, r, FAULT_TEMPORARY, "the server ends the session");
        transaction_settle_all(s, r);
    }
    session_hang_up(s);
}

static void take_reply(struct session *s, const struct reply *r)
{
    const struct command *head = session_head(s);

    s->step_id++;
    if (r->code == 421) {
        server_leaves(s, r);
        return;
    }
    if (!head || s->text_written < head->mark) {
        session_protocol_error(s, r, "the server sent a reply that nothing asked for");
        return;
    }
    struct command c = *head;
    if (!rows[c.kind].reply(s, &c, r) || s->gone)
        return;
    s->sent++;
    if (s->sent == s->end)
        s->sent = s->todo = s->end = 0;
}

static void remember_first(struct session *s, const char *p, size_t n)
{
    while (n-- > 0 && s->first_n < sizeof s->first)
        s->first[s->first_n++] = *p++;
}

void session_input(struct session *s, const char *p, size_t n)
{
    struct reply r = REPLY_INIT;

    advance_run(s);
    remember_first(s, p, n);
    if (!s->greeted && s->first[0] < ' ' && s->first_n > 1 && is_stranger(s))
        return;
    while (n > 0 && !s->gone && !session_parting(s)) {
        size_t used = 0;
        if (s->ask == ASK_TLS) {
            session_protocol_error(s, NULL, "the server, or somebody on the way, sent more behind its answer to "
                                            "STARTTLS");
            err_hint(&s->err, "nothing was sent; this looks like an attempt to inject commands into the session");
            break;
        }
        enum reply_status status = reply_feed(&s->parser, p, n, &used, &r, show_server_line, s);
        p += used;
        n -= used;
        if (status == REPLY_BAD)
            not_a_reply(s);
        if (status != REPLY_DONE)
            break;
        take_reply(s, &r);
        advance_run(s);
    }
    reply_free(&r);
}

void session_eof(struct session *s)
{
    const struct command *head = session_head(s);

    if (s->gone || session_parting(s) || (s->ask == ASK_JOB && s->jobs > 0))
        session_hang_up(s);
    else if (!s->greeted && is_stranger(s))
        return;
    else if (!s->greeted)
        fail(s, FAULT_LOST, "the server closed the connection without a greeting");
    else if (body_under_way(s))
        fail(s, FAULT_LOST, "the server closed the connection while the message was sent");
    else if (head)
        fail(s, FAULT_LOST, "the server closed the connection instead of answering %s", rows[head->kind].word);
    else
        fail(s, FAULT_LOST, "the server closed the connection");
}

void session_timed_out(struct session *s)
{
    const struct command *head = session_head(s);
    long long seconds = (session_timeout(s) + USEC_PER_SEC - 1) / USEC_PER_SEC;

    if (s->gone || session_parting(s)) {
        session_hang_up(s);
    } else if (!s->greeted) {
        err_set(&s->err, FAULT_TIMEOUT, "the server said nothing within %lld s", seconds);
        if (!s->tls_up && s->first_n == 0)
            err_hint(&s->err, "a server that waits for TLS from the start is silent like that: "
                              "if this is port 465, set 'tls' to on and 'tls_starttls' to off");
        err_stage(&s->err, STAGE_GREETING);
        session_hang_up(s);
    } else if (body_under_way(s)) {
        fail(s, FAULT_TIMEOUT, "the server took no more of the message for %lld s", seconds);
    } else {
        fail(s, FAULT_TIMEOUT, "the server did not answer %s within %lld s",
             head ? rows[head->kind].word : "in the TLS handshake", seconds);
    }
}

void session_fail(struct session *s, struct err *e)
{
    if (s->gone || session_parting(s)) {
        err_clear(e);
    } else {
        err_move(&s->err, e);
        err_stage(&s->err, session_stage(s));
    }
    session_hang_up(s);
}

void session_tls_up(struct session *s)
{
    if (s->ask != ASK_TLS)
        return;
    s->ask = ASK_NOTHING;
    s->tls_up = true;
    session_begin_anew(s);
    s->step_id++;
}

void session_begin_anew(struct session *s)
{
    s->hello = HELLO_NOT_YET;
    caps_free(&s->caps);
}

const struct caps *session_caps(const struct session *s)
{
    return &s->caps;
}

const char *session_greeting(const struct session *s)
{
    return s->greeting ? s->greeting : "";
}

bool session_is_tls(const struct session *s)
{
    return s->tls_up;
}

bool session_dropped(const struct session *s)
{
    return s->dropped;
}

bool session_had_xclient(const struct session *s)
{
    return s->had_xclient;
}

const struct reply *session_data_reply(const struct session *s)
{
    return &s->data_reply;
}

const struct reply *session_etrn_reply(const struct session *s)
{
    return &s->etrn_reply;
}

const struct err *session_error(const struct session *s)
{
    return &s->err;
}
