/* sink_script: plays the server's side of a dialogue on a connection, so that any misbehaviour can be written down.
 * One row per directive; envoi-dialogue(7) has them for people. What is wrong with a script smtp/script finds. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/sink.h"
#include "smtp/script.h"

enum {
    SCRIPT_MAX = 16 << 20,   /* octets of a script */
    LINE_MAX_IN = 256 << 10, /* octets of a client's line */
    OUT_MAX = 64 << 10,      /* octets that wait to be written */
    PATIENCE = 300,          /* seconds for a client's line, unless @timeout says otherwise */
};

struct player {
    struct client client; /* first */
    const struct script *script;
    size_t at;            /* the present step */
    bool entered;         /* it has begun to wait */
    struct buf in, out;
    struct buf last;      /* the client's last line */
    usec drip;            /* between the octets of out; 0: at once */
    usec patience;
    usec until;           /* @delay, @drip: when to go on */
    long long left;       /* octets or rounds of the present step */
    struct script_vars vars;
    int matched;          /* octets of CRLF.CRLF seen by @body */
    long long *rounds;    /* own: left of each @repeat */
    bool eof;
    int turns;
};

/* ---- input and output ---- */

static enum play lost(enum io io)
{
    return io == IO_AGAIN ? PLAY_WAIT : PLAY_END;
}

/* More input at the end of p->in. PLAY_NEXT: some came, or the end. */
static enum play read_more(struct player *p)
{
    size_t n;
    enum io io;

    if (--p->turns < 0) {
        p->client.reading = true;
        return PLAY_WAIT;
    }
    io = client_read(&p->client, &n);
    if (io == IO_DONE)
        buf_add(&p->in, p->client.sink->block, n);
    else if (io == IO_AGAIN)
        return PLAY_WAIT;
    else
        p->eof = true; /* a reset ends the client's octets as well */
    return PLAY_NEXT;
}

static enum play write_some(struct player *p, size_t most)
{
    struct buf part = p->out;
    size_t n;
    enum io io;

    if (--p->turns < 0) {
        p->client.writing = true;
        return PLAY_WAIT;
    }
    if (part.len > most)
        part.len = most;
    io = client_write(&p->client, &part, &n);
    if (io != IO_DONE)
        return lost(io);
    buf_drop(&p->out, n);
    return PLAY_NEXT;
}

static enum play write_all(struct player *p)
{
    enum play play = PLAY_NEXT;

    while (play == PLAY_NEXT && p->out.len > 0)
        play = write_some(p, p->out.len);
    if (play != PLAY_NEXT)
        return play;
    switch (client_flush(&p->client)) {
    case IO_DONE: return PLAY_NEXT;
    case IO_AGAIN: return PLAY_WAIT;
    default: return PLAY_END;
    }
}

/* false: not yet; the client waits for it. */
static bool has_passed(struct player *p, usec when)
{
    p->client.deadline = when;
    return clock_now() >= when;
}

/* One octet, a pause, one octet … */
static enum play drip_out(struct player *p)
{
    while (p->out.len > 0) {
        enum play play;
        if (!has_passed(p, p->until))
            return PLAY_WAIT;
        play = write_some(p, 1);
        if (play != PLAY_NEXT)
            return play;
        p->until = clock_deadline(p->drip);
    }
    p->drip = 0;
    return PLAY_NEXT;
}

static void say(struct player *p, const char *octets, size_t n)
{
    buf_add(&p->out, octets, n);
}

static enum play mismatch(struct player *p, const struct script_step *s, const char *got)
{
    struct buf text = BUF_INIT;

    buf_printf(&text, "%s:%d: expected '%s%s', %s", p->script->name, s->number, s->op->word ? "@" : "",
               s->op->word ? s->op->word : s->line, got);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            text.data[i] = '?';
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, text.data);
    emit(&p->client.sink->hub, p->client.number, EV_WARNING, F_STR("text", text.data));
    buf_free(&text);
    p->client.sink->mismatch = true;
    return PLAY_END;
}

/* ---- lines ---- */

static void say_line(struct player *p, const char *line, size_t n)
{
    emit(&p->client.sink->hub, p->client.number, EV_SERVER, F_STRN("line", line, n));
    say(p, line, n);
    say(p, "\r\n", 2);
}

static enum play do_server(struct player *p, const struct script_step *s)
{
    struct buf line = BUF_INIT;

    script_expand(p->script, &p->vars, s->line, strlen(s->line), &line);
    bool safe = ascii_line_safe(line.data, line.len); /* a group may have caught what a client sent */
    if (safe)
        say_line(p, line.data, line.len);
    buf_free(&line);
    return safe ? PLAY_NEXT : mismatch(p, s, "the line has a CR or NUL");
}

static void take_line(struct player *p, const char *lf)
{
    size_t n = (size_t)(lf - p->in.data);

    buf_reset(&p->last);
    buf_add(&p->last, p->in.data, n > 0 && lf[-1] == '\r' ? n - 1 : n);
    buf_drop(&p->in, n + 1);
    emit(&p->client.sink->hub, p->client.number, EV_CLIENT, F_STRN("line", p->last.data, p->last.len));
}

static enum play compare(struct player *p, const struct script_step *s)
{
    char *got;
    enum play play;

    if (script_match(p->script, s, &p->vars, p->last.data))
        return PLAY_NEXT;
    got = xasprintf("got '%.200s'", p->last.data);
    play = mismatch(p, s, got);
    free(got);
    return play;
}

static enum play do_client(struct player *p, const struct script_step *s)
{
    if (!p->entered)
        p->until = clock_deadline(p->patience);
    p->entered = true;
    for (;;) {
        const char *lf = memchr(p->in.data, '\n', p->in.len);
        enum play play;
        if (lf) {
            take_line(p, lf);
            return compare(p, s);
        }
        if (p->in.len > LINE_MAX_IN)
            return mismatch(p, s, "got a line that does not end");
        if (p->eof)
            return mismatch(p, s, "the client closed the connection");
        if (has_passed(p, p->until))
            return mismatch(p, s, "the client said nothing in time");
        play = read_more(p);
        if (play != PLAY_NEXT)
            return play;
    }
}

/* ---- directives ---- */

static enum play do_tls(struct player *p, const struct script_step *s)
{
    enum io io;

    (void)s;
    buf_reset(&p->in); /* what came before TLS is forgotten */
    io = client_handshake(&p->client);
    return io == IO_DONE ? PLAY_NEXT : lost(io);
}

static enum play do_close(struct player *p, const struct script_step *s)
{
    (void)p, (void)s;
    return PLAY_END;
}

static enum play do_reset(struct player *p, const struct script_step *s)
{
    (void)s;
    stream_reset(p->client.stream);
    p->client.stream = NULL;
    return PLAY_END;
}

static enum play do_delay(struct player *p, const struct script_step *s)
{
    if (!p->entered)
        p->until = s->time > 0 ? clock_deadline(s->time) : clock_now();
    p->entered = true;
    return has_passed(p, p->until) ? PLAY_NEXT : PLAY_WAIT;
}

static enum play do_drip(struct player *p, const struct script_step *s)
{
    p->drip = s->time > 0 ? s->time : 1;
    p->until = clock_now();
    return PLAY_NEXT;
}

static enum play do_timeout(struct player *p, const struct script_step *s)
{
    p->patience = s->time;
    return PLAY_NEXT;
}

static enum play do_raw(struct player *p, const struct script_step *s)
{
    script_expand(p->script, &p->vars, s->octets.data, s->octets.len, &p->out);
    return PLAY_NEXT;
}

static enum play do_set(struct player *p, const struct script_step *s)
{
    return script_assign(p->script, s, &p->vars) ? PLAY_NEXT : mismatch(p, s, "got a value that is too long");
}

/* A whole reply: each line of the text with the code in front. */
static enum play do_reply(struct player *p, const struct script_step *s)
{
    struct buf whole = BUF_INIT;
    const char *text;

    script_expand(p->script, &p->vars, s->octets.data, s->octets.len, &whole);
    text = whole.data;
    for (bool more = true; more;) {
        size_t n = strcspn(text, "\n");
        char *line;
        more = text[n] == '\n';
        line = xasprintf("%03lld%c%.*s", s->count, more ? '-' : ' ', (int)n, text);
        say_line(p, line, strlen(line));
        free(line);
        text += n + more;
    }
    buf_free(&whole);
    return PLAY_NEXT;
}

static enum play do_fill(struct player *p, const struct script_step *s)
{
    if (!p->entered)
        p->left = s->count;
    p->entered = true;
    while (p->left > 0 && s->octets.len > 0) {
        say(p, s->octets.data, s->octets.len);
        p->left--;
        if (p->out.len > OUT_MAX) {
            enum play play = write_all(p);
            if (play != PLAY_NEXT)
                return play;
        }
    }
    return PLAY_NEXT;
}

static enum play do_flush(struct player *p, const struct script_step *s)
{
    (void)p, (void)s;
    return PLAY_NEXT;
}

/* More of what the client has to send; that it has gone is a mismatch. */
static enum play read_on(struct player *p, const struct script_step *s)
{
    return p->eof ? mismatch(p, s, "the client closed the connection") : read_more(p);
}

/* Eats up to `left` octets of input. PLAY_NEXT: all came. */
static enum play skip(struct player *p, const struct script_step *s)
{
    for (;;) {
        long long n = (long long)p->in.len < p->left ? (long long)p->in.len : p->left;
        enum play play;
        buf_drop(&p->in, (size_t)n);
        p->left -= n;
        if (p->left == 0)
            return PLAY_NEXT;
        play = read_on(p, s);
        if (play != PLAY_NEXT)
            return play;
    }
}

/* How many octets of p->in belong to the message; *ended: CRLF.CRLF was there. */
static size_t scan_body(struct player *p, bool *ended)
{
    static const char end[] = "\r\n.\r\n";
    size_t i = 0;

    while (i < p->in.len && p->matched < 5) {
        char c = p->in.data[i++];
        p->matched = c == end[p->matched] ? p->matched + 1 : c == '\r';
    }
    *ended = p->matched == 5;
    return i;
}

static enum play do_body(struct player *p, const struct script_step *s)
{
    bool ended;

    if (!p->entered) {
        p->matched = 2; /* as if behind a line's end */
        p->left = s->count;
    }
    p->entered = true;
    if (s->count >= 0)
        return skip(p, s);
    for (;;) {
        enum play play;
        buf_drop(&p->in, scan_body(p, &ended));
        if (ended)
            return PLAY_NEXT;
        play = read_on(p, s);
        if (play != PLAY_NEXT)
            return play;
    }
}

/* The octets that the client's last line, BDAT, announced. */
static enum play do_chunk(struct player *p, const struct script_step *s)
{
    if (!p->entered && (!ascii_istarts(p->last.data, "BDAT ") || sscanf(p->last.data + 5, "%lld", &p->left) != 1 ||
                        p->left < 0))
        return mismatch(p, s, "the client's last line was not BDAT");
    p->entered = true;
    return skip(p, s);
}

static enum play do_silence(struct player *p, const struct script_step *s)
{
    enum play play = PLAY_NEXT;

    (void)s;
    p->client.deadline = USEC_NEVER;
    while (play == PLAY_NEXT && !p->eof) {
        buf_reset(&p->in);
        play = read_more(p);
    }
    return play == PLAY_WAIT ? PLAY_WAIT : PLAY_END;
}

static enum play do_expect_close(struct player *p, const struct script_step *s)
{
    if (!p->entered)
        p->until = clock_deadline(p->patience);
    p->entered = true;
    while (p->in.len == 0 && !p->eof) {
        enum play play;
        if (has_passed(p, p->until))
            return mismatch(p, s, "the client did not close in time");
        play = read_more(p);
        if (play != PLAY_NEXT)
            return play;
    }
    return p->in.len > 0 ? mismatch(p, s, "the client went on") : PLAY_END;
}

static enum play do_repeat(struct player *p, const struct script_step *s)
{
    p->rounds[p->at] = s->count;
    if (s->count == 0)
        p->at = s->partner;
    return PLAY_NEXT;
}

static enum play do_end(struct player *p, const struct script_step *s)
{
    long long *rounds = &p->rounds[s->partner];

    if (*rounds < 0 || --*rounds > 0)
        p->at = s->partner;
    if (--p->turns >= 0)
        return PLAY_NEXT;
    p->at++; /* the others' turn, then on with the loop */
    p->client.deadline = clock_now();
    return PLAY_WAIT;
}

static const struct script_op server_line = { .argument = SCRIPT_LINE, .run = do_server };
static const struct script_op client_line = { .argument = SCRIPT_LINE, .flushes = true, .run = do_client };
static const struct script_op ops[] = {
    { "starttls", SCRIPT_NONE, .flushes = true, .run = do_tls },
    { "tls", SCRIPT_NONE, .flushes = true, .run = do_tls },
    { "close", SCRIPT_NONE, .flushes = true, .run = do_close },
    { "drop", SCRIPT_NONE, .flushes = true, .run = do_close },
    { "reset", SCRIPT_NONE, .flushes = true, .run = do_reset },
    { "delay", SCRIPT_SECONDS, .flushes = true, .run = do_delay },
    { "wait", SCRIPT_SECONDS, .flushes = true, .run = do_delay },
    { "drip", SCRIPT_SECONDS, .flushes = true, .run = do_drip },
    { "timeout", SCRIPT_SECONDS, .run = do_timeout },
    { "set", SCRIPT_NAME_OCTETS, .run = do_set },
    { "reply", SCRIPT_COUNT_OCTETS, .run = do_reply },
    { "raw", SCRIPT_OCTETS, .run = do_raw },
    { "fill", SCRIPT_COUNT_OCTETS, .run = do_fill },
    { "flush", SCRIPT_NONE, .flushes = true, .run = do_flush },
    { "body", SCRIPT_COUNT, .flushes = true, .run = do_body },
    { "chunk", SCRIPT_NONE, .flushes = true, .run = do_chunk },
    { "silence", SCRIPT_NONE, .flushes = true, .run = do_silence },
    { "expect-close", SCRIPT_NONE, .flushes = true, .run = do_expect_close },
    { "repeat", SCRIPT_COUNT, .block = SCRIPT_OPENS, .run = do_repeat },
    { "end", SCRIPT_NONE, .block = SCRIPT_CLOSES, .run = do_end },
    { .word = NULL },
};

/* ---- playing ---- */

static enum play play_on(struct player *p)
{
    for (;;) {
        const struct script_step *s = p->at < p->script->n ? &p->script->v[p->at] : NULL;
        enum play play = PLAY_NEXT;

        if (p->drip > 0 && p->out.len > 0)
            play = drip_out(p);
        else if (p->out.len > 0 && (!s || s->op->flushes || p->out.len > OUT_MAX))
            play = write_all(p);
        if (play == PLAY_NEXT && !s)
            return PLAY_END;
        if (play == PLAY_NEXT)
            play = s->op->run(p, s);
        if (play != PLAY_NEXT)
            return play;
        p->at++;
        p->entered = false;
    }
}

/* Octets that nobody read would turn the close into a reset, which takes our last reply away from the client. */
static void drain(struct player *p)
{
    for (p->turns = SINK_TURN; p->client.stream && !p->eof && read_more(p) == PLAY_NEXT;)
        buf_reset(&p->in);
}

static bool step(struct client *c)
{
    struct player *p = (struct player *)c;
    enum play play = PLAY_NEXT;

    c->reading = c->writing = false;
    c->deadline = USEC_NEVER;
    p->turns = SINK_TURN;
    if (c->implicit_tls && !stream_is_tls(c->stream)) {
        enum io io = client_handshake(c);
        play = io == IO_DONE ? PLAY_NEXT : lost(io);
    }
    if (play == PLAY_NEXT)
        play = play_on(p);
    if (play == PLAY_WAIT)
        return false;
    drain(p);
    sink_counts(c->sink);
    return true;
}

static void free_player(struct client *c)
{
    struct player *p = (struct player *)c;

    buf_free(&p->in);
    buf_free(&p->out);
    buf_free(&p->last);
    script_vars_free(&p->vars);
    free(p->rounds);
}

struct client *script_client_new(struct sink *s)
{
    struct player *p = xcalloc(1, sizeof *p);

    p->client = (struct client){ .step = step, .free = free_player, .sink = s, .deadline = USEC_NEVER };
    p->script = s->script;
    p->in = p->out = p->last = (struct buf)BUF_INIT;
    p->patience = PATIENCE * USEC_PER_SEC;
    p->rounds = xcalloc(s->script->n + 1, sizeof *p->rounds);
    return &p->client;
}

/* ---- reading ---- */

struct script *script_load(const char *path, struct err *e)
{
    const struct script_params params = {
        .name = path, .whose = "the sink", .ops = ops, .client = &client_line, .server = &server_line,
    };
    struct script *sc = NULL;
    struct buf text = BUF_INIT;

    if (file_read(path, SCRIPT_MAX, &text, FAULT_NO_INPUT, e))
        sc = script_compile(&params, text.data, text.len, e);
    buf_free(&text);
    return sc;
}

bool script_wants_tls(const struct script *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i].op->run == do_tls)
            return true;
    return false;
}
