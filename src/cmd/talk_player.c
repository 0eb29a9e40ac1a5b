/* talk_player: the connection of a dialogue: dials, reads replies and knows whose they are, and has the steps
 * played one after the other. What a step does is in talk_steps.c. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "cmd/talk_player.h"
#include "send/deliver.h"
#include "send/hint.h"

enum {
    READ_BLOCK = 16 << 10,
    LINE_LONGEST = 256 << 10, /* octets of a server's line */
    REPLY_LONGEST = 1 << 20,  /* octets of all its lines */
    HEARD_MOST = 64 << 10,    /* lines of replies that no line 'S:' has seen yet */
    OUT_MOST = 1 << 20,       /* octets that wait to be written */
    TURNS = 64,               /* reads and writes before deadlines are looked at again */
    PATIENCE = 300,           /* seconds for a reply, unless @timeout or the account says otherwise */
};

/* ---- debts ---- */

/* Room for one more at the end, in place of what has gone from the beginning where that is half of it. */
static void *make_room(void *v, size_t size, size_t *gone, size_t n, size_t *cap)
{
    if (*gone > n) {
        memmove(v, (char *)v + *gone * size, n * size);
        *gone = 0;
    }
    if (*gone + n < *cap)
        return v;
    *cap = *cap ? *cap * 2 : 16;
    return xrealloc(v, *cap * size);
}

void player_owe(struct player *p, const char *verb, bool claimed)
{
    p->debts = make_room(p->debts, sizeof *p->debts, &p->paid, p->owed, &p->debts_cap);
    struct debt *debt = &p->debts[p->paid + p->owed++];
    *debt = (struct debt){ .verb = xstrndup(verb, strcspn(verb, " ")), .claimed = claimed };
    p->logins += ascii_ieq(debt->verb, "AUTH");
}

static void pay(struct player *p)
{
    p->logins -= ascii_ieq(p->debts[p->paid].verb, "AUTH");
    free(p->debts[p->paid++].verb);
    p->owed--;
}

void player_hear(struct player *p, const char *text, bool last)
{
    p->heard = make_room(p->heard, sizeof *p->heard, &p->seen, p->heard_n, &p->heard_cap);
    p->heard[p->seen + p->heard_n++] = (struct heard){ .text = xstrdup(text), .last = last };
}

void player_forget(struct player *p, size_t n)
{
    for (; n > 0; n--, p->heard_n--)
        free(p->heard[p->seen++].text);
}

/* ---- replies ---- */

static void take_caps(struct player *p)
{
    struct reply_parser parser = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    size_t used;

    if (reply_feed(&parser, p->reply.data, p->reply.len, &used, &r, NULL, NULL) == REPLY_DONE)
        caps_parse(&p->caps, &r);
    reply_free(&r);
    reply_parser_free(&parser);
}

/* What a reply changes, whatever the script thinks of it. */
static void understand(struct player *p, const struct debt *d)
{
    char first = p->reply.data[0];
    bool hello = ascii_ieq(d->verb, "EHLO") || ascii_ieq(d->verb, "LHLO");

    p->challenged = strncmp(p->reply.data, "334", 3) == 0;
    if (hello && first == '2') {
        p->lmtp = ascii_ieq(d->verb, "LHLO");
        take_caps(p);
    } else if (ascii_ieq(d->verb, "STARTTLS")) {
        p->starttls = first == '2';
    } else if (ascii_ieq(d->verb, "MAIL")) {
        p->rcpts = 0;
    } else if (ascii_ieq(d->verb, "RCPT")) {
        p->rcpts += first == '2';
    } else if (ascii_ieq(d->verb, "DATA")) {
        p->message = first == '3';
        p->refused = !p->message;
    }
}

/* Does the script have something to say about the reply that begins with this line? */
static bool is_claimed(const struct player *p, const char *line)
{
    if (p->p.stays)
        return false;
    if (p->owed == 0)
        return true;
    return p->debts[p->paid].claimed || (p->debts[p->paid].dot_claimed && line[0] != '3');
}

static void take_line(struct player *p, const char *line, size_t n)
{
    bool more = n > 3 && line[3] == '-' && ascii_isdigit(line[0]) && ascii_isdigit(line[1]) && ascii_isdigit(line[2]);
    struct debt stray = { .verb = "" };

    emit(p->p.hub, 1, EV_SERVER, F_STRN("line", line, n));
    if (!p->begun)
        buf_reset(&p->reply);
    p->begun = more;
    size_t start = p->reply.len;
    buf_add(&p->reply, line, n);
    if (is_claimed(p, p->reply.data))
        player_hear(p, p->reply.data + start, !more);
    buf_addc(&p->reply, '\n');
    if (more)
        return;
    understand(p, p->owed > 0 ? &p->debts[p->paid] : &stray);
    free(p->last_reply);
    p->last_reply = xstrndup(p->reply.data, strcspn(p->reply.data, "\n"));
    if (p->owed > 0)
        pay(p);
    while (p->starttls && p->owed > 0) /* a server that is worth its salt has thrown away what came behind STARTTLS */
        pay(p);
}

static bool take_lines(struct player *p)
{
    const char *lf;
    size_t start = 0;

    while ((lf = memchr(p->in.data + start, '\n', p->in.len - start))) {
        size_t n = (size_t)(lf - p->in.data) - start;
        take_line(p, p->in.data + start, n > 0 && lf[-1] == '\r' ? n - 1 : n);
        start += (size_t)(lf - p->in.data) - start + 1;
        if (p->starttls) /* what comes with it is not a line of the dialogue */
            break;
    }
    buf_drop(&p->in, start);
    if (p->eof && p->in.len > 0 && !p->starttls) {
        take_line(p, p->in.data, p->in.len);
        buf_reset(&p->in);
    }
    if (p->in.len > LINE_LONGEST)
        return err_set(&p->err, FAULT_PROTOCOL, "the server says a line that does not end");
    if (p->reply.len > REPLY_LONGEST || p->heard_n > HEARD_MOST)
        return err_set(&p->err, FAULT_PROTOCOL, "the server says more than a reply can be");
    return true;
}

/* ---- input and output ---- */

enum play player_broken(struct player *p)
{
    p->eof = true;
    return PLAY_END;
}

enum play player_read(struct player *p)
{
    char block[READ_BLOCK];
    struct err e = ERR_INIT;
    size_t n;

    if (--p->turns < 0) {
        p->turned = true;
        return PLAY_WAIT;
    }
    switch (stream_read(p->stream, block, sizeof block, &n, &e)) {
    case IO_DONE:
        buf_add(&p->in, block, n);
        break;
    case IO_AGAIN:
        return PLAY_WAIT;
    case IO_EOF:
        p->eof = true;
        break;
    case IO_ERROR:
        emit(p->p.hub, 1, EV_NOTE, F_STR("text", e.text));
        err_clear(&e);
        p->eof = true;
        break;
    }
    return take_lines(p) ? PLAY_NEXT : player_broken(p);
}

bool player_is_late(const struct player *p)
{
    return clock_now() >= p->until;
}

void player_wait_for(struct player *p, usec time)
{
    if (!p->entered)
        p->until = time > 0 ? clock_deadline(time) : clock_now();
    p->entered = true;
}

static enum play too_late(struct player *p, enum stage stage, const char *what)
{
    err_set(&p->err, FAULT_TIMEOUT, "%s", what);
    err_stage(&p->err, stage);
    return player_broken(p);
}

/* Writes all that is to be said; what the server says meanwhile is heard, or both sides wait for ever. */
enum play player_write(struct player *p)
{
    struct err e = ERR_INIT;
    size_t n = 0;

    while (p->out.len > 0 || stream_pending(p->stream)) {
        const struct iovec iov = { p->out.data, p->out.len };
        enum io io = p->out.len > 0 ? stream_writev(p->stream, &iov, 1, &n, &e) : stream_flush(p->stream, &e);
        if (io == IO_DONE && p->out.len > 0)
            buf_drop(&p->out, n);
        if (io == IO_DONE && --p->turns >= 0)
            continue;
        if (io == IO_DONE || io == IO_AGAIN) {
            enum play play = player_read(p); /* has no turn left either, if that is what ends the writing */
            if (play == PLAY_WAIT && p->entered && player_is_late(p))
                return too_late(p, STAGE_NONE, "the server does not read what it is sent");
            if (play != PLAY_NEXT)
                return play;
            if (!p->eof)
                continue;
        }
        buf_reset(&p->out); /* nobody reads it: what comes next finds the end */
        err_clear(&e);
        while (!p->eof && player_read(p) == PLAY_NEXT)
            ;
        p->eof = true;
        return PLAY_NEXT;
    }
    return PLAY_NEXT;
}

enum play player_handshake(struct player *p)
{
    struct err e = ERR_INIT;

    if (!p->handshaking && p->in.len > 0) {
        emit(p->p.hub, 1, EV_NOTE, F_STR("text", "octets that came in clear before TLS are left out"));
        buf_reset(&p->in);
    }
    p->handshaking = true;
    switch (stream_tls_client(p->stream, &p->tls, &e)) {
    case IO_AGAIN:
        if (!p->entered || !player_is_late(p))
            return PLAY_WAIT;
        return too_late(p, STAGE_TLS, "the TLS handshake did not end in time");
    case IO_DONE:
        break;
    case IO_EOF:
    case IO_ERROR:
        deliver_tls_tell(p->p.hub, 1, stream_tls_facts(p->stream));
        err_stage(&e, STAGE_TLS);
        err_move(&p->err, &e);
        return player_broken(p);
    }
    p->handshaking = p->starttls = false;
    caps_free(&p->caps);
    deliver_tls_tell(p->p.hub, 1, stream_tls_facts(p->stream));
    return PLAY_NEXT;
}

enum play player_settle(struct player *p)
{
    player_wait_for(p, p->patience);
    enum play play = player_write(p);
    while (play == PLAY_NEXT && p->owed > 0 && !p->eof) {
        const char *verb = p->debts[p->paid].verb;
        if (player_is_late(p)) {
            err_set(&p->err, FAULT_TIMEOUT, "the server did not %s%s in time", *verb ? "answer " : "greet us", verb);
            err_stage(&p->err, *verb ? STAGE_NONE : STAGE_GREETING);
            return player_broken(p);
        }
        play = player_read(p);
    }
    if (play == PLAY_NEXT && p->starttls && !p->eof)
        play = player_handshake(p);
    return play;
}

enum play player_settled(struct player *p)
{
    enum play play = player_settle(p);

    if (play != PLAY_NEXT || !p->eof)
        return play;
    err_set(&p->err, FAULT_LOST, "the server closed the connection");
    if (p->last_reply)
        err_server(&p->err, p->last_reply);
    else
        err_stage(&p->err, STAGE_GREETING);
    return player_broken(p);
}

/* ---- the connection ---- */

void player_drop(struct player *p, bool reset)
{
    if (!p->stream)
        return;
    if (reset)
        stream_reset(p->stream);
    else
        stream_free(p->stream);
    p->stream = NULL;
    while (p->owed > 0)
        pay(p);
    player_forget(p, p->heard_n);
    buf_reset(&p->in);
    buf_reset(&p->out);
    p->message = p->refused = p->challenged = p->starttls = p->handshaking = false;
    p->begun = p->inside = p->eof = p->opened = p->logging_in = false;
    authn_free(&p->authn);
    caps_free(&p->caps);
    emit(p->p.hub, 1, EV_CLOSED, F_STR("reason", NULL));
}

static void start_dialling(struct player *p)
{
    struct dial_params dial = deliver_dial_params(p->p.account, p->p.hop);
    dial.hub = p->p.hub;
    dial.connection = 1;
    p->dial = dial_start(&dial);
}

/* PLAY_NEXT: the connection is there, under TLS if it has to be. */
static enum play connect_now(struct player *p)
{
    if (!p->stream) {
        if (!p->dial)
            start_dialling(p);
        enum io io = dial_step(p->dial, &p->err);
        if (io == IO_AGAIN)
            return PLAY_WAIT;
        if (io == IO_DONE)
            p->stream = dial_take(p->dial);
        dial_free(p->dial);
        p->dial = NULL;
        if (!p->stream)
            return PLAY_END;
        player_owe(p, "", p->greeting);
    }
    if (p->p.tls && !stream_is_tls(p->stream)) {
        player_wait_for(p, p->patience);
        return player_handshake(p);
    }
    return PLAY_NEXT;
}

/* ---- the task ---- */

static void reel_free(struct reel *r)
{
    free(r->cues);
    free(r->rounds);
    *r = (struct reel){ 0 };
}

static void reel_load(struct reel *r, const struct script *s)
{
    reel_free(r);
    r->script = s;
    r->cues = talk_cues(s, &r->greeting);
    r->rounds = xcalloc(s->n + 1, sizeof *r->rounds);
}

void player_play(struct player *p, const struct script *s)
{
    reel_load(&p->main, s);
    if (!p->stream)
        p->greeting = p->main.greeting;
    p->entered = false;
    p->stage = 0;
}

bool player_is_idle(const struct player *p)
{
    return !p->main.script || p->main.at == p->main.script->n;
}

static enum play open_connection(struct player *p)
{
    enum play play = connect_now(p);

    if (play != PLAY_NEXT || p->opened)
        return play;
    p->opened = p->met = true;
    p->entered = false;
    if (p->opening) {
        reel_load(&p->prologue, p->opening);
        p->reel = &p->prologue;
    }
    return PLAY_NEXT;
}

/* A message or a pipeline may be larger than what should wait in memory. */
static enum play write_surplus(struct player *p)
{
    if (!p->stream || p->out.len <= OUT_MOST)
        return PLAY_NEXT;
    player_wait_for(p, p->patience);
    enum play play = player_write(p);
    if (play == PLAY_NEXT)
        p->entered = false;
    return play;
}

/* One step after the other. PLAY_END: the script is over, or something is wrong. */
static enum play play_on(struct player *p)
{
    for (;;) {
        struct reel *r = p->reel;
        bool over = !r->script || r->at == r->script->n;

        if (over && r == &p->main && p->met)
            return PLAY_END;
        if (over && r != &p->main) {
            p->reel = &p->main;
            continue;
        }
        if (over) { /* the greeting, and TLS, are worth seeing without a word of ours */
            enum play play = open_connection(p);
            if (play != PLAY_NEXT)
                return play;
            continue;
        }
        const struct script_step *s = &r->script->v[r->at];
        if (s->op->flushes && (!p->stream || !p->opened)) {
            enum play play = open_connection(p);
            if (play != PLAY_NEXT)
                return play;
            continue;
        }
        enum play play = write_surplus(p);
        if (play == PLAY_NEXT)
            play = s->op->run(p, s);
        if (play != PLAY_NEXT)
            return play;
        r->at++;
        p->entered = false;
        p->stage = 0;
    }
}

static bool finish(struct player *p)
{
    p->finished = true;
    player_drop(p, false);
    return true;
}

/* The last replies. Many servers do not wait for ours to their 221. */
static bool end(struct player *p)
{
    enum play play = p->stream && !err_is_set(&p->err) ? player_settle(p) : PLAY_END;

    if (play == PLAY_WAIT)
        return false;
    if (play == PLAY_NEXT && p->owed > 0 && !ascii_ieq(p->debts[p->paid + p->owed - 1].verb, "QUIT"))
        err_set(&p->err, FAULT_LOST, "the server closed the connection and did not answer %s",
                p->debts[p->paid].verb[0] ? p->debts[p->paid].verb : "at all");
    if (!p->last_reply)
        err_stage(&p->err, STAGE_GREETING);
    return finish(p);
}

/* On a terminal: what comes while nobody says anything. */
static bool idle(struct player *p)
{
    enum play play = PLAY_NEXT;

    if (err_is_set(&p->err) && !p->eof && p->stream) {
        hint_add(&p->err);
        emit(p->p.hub, 1, EV_WARNING, F_STR("text", p->err.text));
        if (p->err.hint)
            emit(p->p.hub, 1, EV_NOTE, F_STR("text", p->err.hint));
        err_clear(&p->err);
        p->main.at = p->main.script ? p->main.script->n : 0;
        p->reel = &p->main;
    }
    if (!p->stream)
        return err_is_set(&p->err) && finish(p);
    play = player_write(p);
    while (play == PLAY_NEXT && !p->eof && !p->turned)
        play = p->starttls ? player_handshake(p) : player_read(p);
    return p->eof && finish(p);
}

static bool step(struct task *t)
{
    struct player *p = (struct player *)t;

    p->turned = false;
    p->turns = TURNS;
    if (play_on(p) == PLAY_WAIT)
        return false;
    return p->p.stays ? idle(p) : end(p);
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct player *p = (const struct player *)t;

    if (p->dial)
        dial_waits(p->dial, ps);
    if (p->entered)
        pollset_until(ps, p->until);
    if (p->turned)
        pollset_until(ps, 0);
    if (p->stream && (!p->eof || p->out.len > 0))
        stream_waits(p->stream, !p->eof, p->out.len > 0, ps);
}

struct player *player_new(const struct talk_params *params)
{
    struct player *p = xcalloc(1, sizeof *p);
    const struct account *a = params->account;

    *p = (struct player){
        .task = { step, waits }, .p = *params, .reel = &p->main,
        .authn = AUTHN_INIT(.account = a, .hop = params->hop, .credentials = params->credentials, .hub = params->hub,
                            .connection = 1),
        .in = BUF_INIT, .out = BUF_INIT, .reply = BUF_INIT, .body_fd = -1,
        .patience = a->timeout > 0 ? a->timeout : PATIENCE * USEC_PER_SEC,
    };
    message_init(&p->body);
    p->tls = deliver_tls_params(a, params->hop, params->credentials);
    p->tls.verify = a->tls_certcheck;
    p->tls.describe = true;
    if (params->starttls) {
        struct err e = ERR_INIT;
        char *text = xasprintf("C: %s %s\n# @starttls\n", a->protocol == ACCOUNT_LMTP ? "LHLO" : "EHLO", a->domain);
        p->opening = talk_compile("starttls", text, strlen(text), NULL, &e);
        free(text);
        err_move(&p->err, &e);
    }
    return p;
}

struct task *player_task(struct player *p)
{
    return &p->task;
}

struct script_vars *player_vars(struct player *p)
{
    return &p->vars;
}

const struct caps *player_caps(const struct player *p)
{
    return &p->caps;
}

bool player_is_secret(const struct player *p)
{
    return p->logins > 0 || p->challenged;
}

size_t talk_secret_from(const char *line)
{
    const char *at = line + 4;

    if (!ascii_istarts(line, "AUTH") || !ascii_isblank(*at))
        return SIZE_MAX;
    at += strspn(at, " \t");
    at += strcspn(at, " \t");
    at += strspn(at, " \t");
    return *at ? (size_t)(at - line) : SIZE_MAX;
}

bool player_in_message(const struct player *p)
{
    return p->message;
}

bool player_mismatch(const struct player *p, struct err *e)
{
    err_copy(e, &p->err);
    return p->mismatch;
}

void player_close_body(struct player *p)
{
    message_free(&p->body);
    message_init(&p->body);
    if (p->body_fd >= 0)
        close(p->body_fd);
    p->body_fd = -1;
}

void player_free(struct player *p)
{
    if (!p)
        return;
    dial_free(p->dial);
    player_drop(p, false);
    reel_free(&p->main);
    reel_free(&p->prologue);
    script_free(p->opening);
    script_vars_free(&p->vars);
    player_close_body(p);
    message_free(&p->body);
    authn_free(&p->authn);
    buf_free(&p->in);
    buf_free(&p->out);
    buf_free(&p->reply);
    caps_free(&p->caps);
    free(p->last_reply);
    free(p->debts);
    free(p->heard);
    err_clear(&p->err);
    free(p);
}
