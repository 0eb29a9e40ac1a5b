/* talk_steps: what each line and directive of a script does on the client's side. One row per directive;
 * envoi-dialogue(7) has them for people. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/talk_player.h"

enum {
    FILLER_MOST = 16 << 20, /* octets */
    GOT_MOST = 500,
};

static const struct cue *cue_now(const struct player *p)
{
    return &p->reel->cues[p->reel->at];
}

static enum play mismatch(struct player *p, const struct script_step *s, const char *got)
{
    err_set(&p->err, FAULT_MESSAGE, "%s:%d: expected '%s%s', got %s", p->reel->script->name, s->number,
            s->op->word ? "@" : "", s->op->word ? s->op->word : s->line, got);
    p->mismatch = true;
    return PLAY_END;
}

/* ---- saying ---- */

/* What a transcript must not show: the answer to a challenge, also to one that is yet to come, and what AUTH brings
 * with it. */
static size_t secret_in(const struct player *p, const char *line)
{
    if (p->message)
        return SIZE_MAX;
    return player_is_secret(p) && strcmp(line, "*") != 0 ? 0 : talk_secret_from(line);
}

static void say(struct player *p, const struct buf *line, size_t secret_from)
{
    emit(p->p.hub, 1, EV_CLIENT, F_CUT("line", line->data, line->len, secret_from));
    buf_addbuf(&p->out, line);
    buf_add(&p->out, "\r\n", 2);
    p->inside_open = false;
    p->said = true;
}

static void note(struct player *p, const struct script_step *s)
{
    char *text = xasprintf("@%s%s%s", s->op->word, *s->line ? " " : "", s->line);
    emit(p->p.hub, 1, EV_NOTE, F_STR("text", text));
    free(text);
}

/* The end of a message: LMTP answers for each recipient. */
static void end_message(struct player *p, bool claimed)
{
    p->message = false;
    for (size_t i = 0; i == 0 || (p->lmtp && i < p->rcpts); i++)
        player_owe(p, ".", claimed);
}

/* Does the message of the DATA at p->reel->at end with a line whose reply is claimed? */
static bool dot_is_claimed(const struct player *p)
{
    size_t i = p->reel->at + 1;
    while (i < p->reel->script->n && p->reel->cues[i].part != PART_DOT)
        i++;
    return i < p->reel->script->n && p->reel->cues[i].claimed;
}

static void fill(struct player *p, const char *bdat)
{
    long long left = strtoll(bdat + 5, NULL, 10);

    emit(p->p.hub, 1, EV_NOTE, F_STR("text", "empty lines stand for the message, which the script does not have"));
    if (left % 2)
        buf_addc(&p->out, ' ');
    for (left /= 2; left > 0 && left < FILLER_MOST; left--)
        buf_add(&p->out, "\r\n", 2);
}

static void say_command(struct player *p, const struct buf *line, const struct cue *cue)
{
    const char *verb = player_is_secret(p) ? "AUTH" : line->data;

    say(p, line, secret_in(p, line->data));
    p->challenged = false;
    if (p->message && strcmp(line->data, ".") == 0) {
        end_message(p, cue->claimed);
    } else if (!p->message && cue->part != PART_CONTENT) {
        player_owe(p, verb, cue->claimed);
        if (ascii_ieq(line->data, "DATA"))
            p->debts[p->paid + p->owed - 1].dot_claimed = dot_is_claimed(p);
    }
    if (cue->filler)
        fill(p, line->data);
}

static enum play log_in(struct player *p, const char *mechanism, bool clear_ok);

/* The octets behind BDAT belong to it; a message waits for what DATA is answered. */
static bool waits_for_reply(const struct player *p, const struct cue *cue)
{
    if (p->pipelining || p->message)
        return false;
    return cue->part != PART_CONTENT || (p->owed > 0 && ascii_ieq(p->debts[p->paid + p->owed - 1].verb, "DATA"));
}

static enum play do_client(struct player *p, const struct script_step *s)
{
    const struct cue *cue = cue_now(p);
    bool body = cue->part == PART_CONTENT || cue->part == PART_DOT;
    struct buf line = BUF_INIT;
    enum play play = PLAY_NEXT;

    if (cue->part == PART_OMITTED || (body && p->refused))
        return PLAY_NEXT;
    if (cue->part == PART_LOGIN) {
        char *mechanism = xstrndup(s->line + 5, strcspn(s->line + 5, " "));
        play = log_in(p, mechanism, false);
        free(mechanism);
        return play;
    }
    if (waits_for_reply(p, cue))
        play = player_settled(p);
    if (play != PLAY_NEXT || (body && p->refused))
        return play;
    script_expand(p->reel->script, &p->vars, s->line, strlen(s->line), &line);
    if (!ascii_line_safe(line.data, line.len))
        play = mismatch(p, s, "a line with CR, LF or NUL");
    else
        say_command(p, &line, cue);
    buf_free(&line);
    if (play == PLAY_NEXT && !p->pipelining && !p->message && cue->part != PART_CONTENT)
        player_write(p); /* what does not leave now is waited for with the reply */
    return play;
}

/* ---- expecting ---- */

static enum play compare(struct player *p, const struct script_step *s, size_t at)
{
    if (script_match(p->reel->script, s, &p->vars, p->heard[p->seen + at].text)) {
        p->inside = !p->heard[p->seen + at].last;
        p->inside_open = strlen(s->line) > 3 && s->line[3] == '-';
        p->said = false;
        player_forget(p, at + 1);
        return PLAY_NEXT;
    }
    if (s->pattern && !p->heard[p->seen + at].last) /* one of the lines is enough */
        return PLAY_WAIT;
    struct buf got = BUF_INIT;
    buf_addc(&got, '\'');
    visible_encode(&got, p->heard[p->seen + at].text, strnlen(p->heard[p->seen + at].text, GOT_MOST));
    buf_addc(&got, '\'');
    hub_mask(p->p.hub, &got);
    enum play play = mismatch(p, s, got.data);
    buf_free(&got);
    return play;
}

/* What is left of a reply that was seen, unless the line is about it, too. PLAY_NEXT: done. */
static enum play leave_reply(struct player *p)
{
    size_t end = 0;

    if (!p->inside || p->inside_open)
        return PLAY_NEXT;
    while (p->begun && !p->eof && !player_is_late(p)) {
        enum play play = player_read(p);
        if (play != PLAY_NEXT)
            return play;
    }
    while (end < p->heard_n && !p->heard[p->seen + end].last)
        end++;
    if (end < p->heard_n && (end + 1 < p->heard_n || p->owed > 0 || p->said))
        player_forget(p, end + 1);
    p->inside = false;
    return PLAY_NEXT;
}

static enum play do_server(struct player *p, const struct script_step *s)
{
    enum play play = player_write(p);

    if (cue_now(p)->part == PART_OMITTED)
        return PLAY_NEXT;
    player_wait_for(p, p->patience);
    if (play == PLAY_NEXT)
        play = leave_reply(p);
    for (size_t at = 0; play == PLAY_NEXT;) {
        while (at < p->heard_n) {
            enum play compared = compare(p, s, at);
            if (compared != PLAY_WAIT)
                return compared;
            at++;
        }
        if (p->eof)
            return mismatch(p, s, "the end of the connection");
        if (player_is_late(p))
            return mismatch(p, s, "nothing in time");
        play = player_read(p);
    }
    return play;
}

/* ---- directives ---- */

static enum play do_tls(struct player *p, const struct script_step *s)
{
    enum play play;

    if (stream_is_tls(p->stream) && !p->handshaking)
        return PLAY_NEXT;
    if (!p->handshaking) {
        note(p, s);
        play = player_write(p);
        if (play != PLAY_NEXT)
            return play;
    }
    player_wait_for(p, p->patience);
    return player_handshake(p);
}

/* Behind STARTTLS and its reply there is nothing left to do. */
static enum play do_starttls(struct player *p, const struct script_step *s)
{
    const struct buf line = { .data = (char[]){ "STARTTLS" }, .len = strlen("STARTTLS") };
    enum play play = player_settled(p);

    (void)s;
    if (play == PLAY_NEXT && !stream_is_tls(p->stream) && p->stage == 0) {
        p->stage = 1;
        p->entered = false;
        say(p, &line, SIZE_MAX);
        player_owe(p, line.data, cue_now(p)->claimed);
        play = player_settled(p);
    }
    if (play != PLAY_NEXT || stream_is_tls(p->stream) || cue_now(p)->claimed)
        return play;
    err_set(&p->err, FAULT_UNAVAILABLE, "the server refused STARTTLS");
    err_server(&p->err, p->last_reply);
    return PLAY_END;
}

/* The last reply is the script's to judge, if it wants to. */
static enum play end_login(struct player *p)
{
    struct err e = ERR_INIT;
    bool judged = cue_now(p)->claimed && p->last_reply[0] != '2';

    talk_login_end(&p->authn, p->last_reply, &e);
    p->logging_in = false;
    if (cue_now(p)->claimed) /* nobody knew that it would be the last */
        player_hear(p, p->last_reply, true);
    if (!judged)
        err_move(&p->err, &e);
    err_clear(&e);
    return err_is_set(&p->err) ? PLAY_END : PLAY_NEXT;
}

/* Its next line: the first, or the answer to what was said. */
static enum play go_on_with_login(struct player *p, const char *mechanism, bool clear_ok)
{
    const struct talk_login_params params = {
        .stream = p->stream, .offered = &p->caps.auth, .mechanism = mechanism, .clear_ok = clear_ok,
    };
    struct buf line = BUF_SECRET_INIT;
    size_t secret_from = 0;

    if (p->logging_in)
        talk_login_answer(&p->authn, p->last_reply + (p->last_reply[3] ? 4 : 3), &line, &p->err);
    else
        p->logging_in = talk_login_start(&p->authn, &params, &line, &secret_from, &p->err);
    p->challenged = p->entered = false;
    if (p->logging_in) {
        say(p, &line, err_is_set(&p->err) ? SIZE_MAX : secret_from);
        player_owe(p, "AUTH", false);
    }
    buf_free(&line);
    if (!err_is_set(&p->err))
        return PLAY_NEXT;
    p->logging_in = false;
    if (p->out.len > 0) /* "*" */
        player_write(p);
    return PLAY_END;
}

static enum play log_in(struct player *p, const char *mechanism, bool clear_ok)
{
    enum play play = player_settled(p);

    while (play == PLAY_NEXT) {
        if (p->logging_in && !p->challenged)
            return end_login(p);
        play = go_on_with_login(p, mechanism, clear_ok);
        if (play == PLAY_NEXT)
            play = player_settled(p);
    }
    return play;
}

static enum play do_auth(struct player *p, const struct script_step *s)
{
    char *mechanism = s->words.n > 0 ? xstrdup(s->words.v[0]) : NULL;

    if (s->words.n > 1 && !p->logging_in && (!p->p.account->user || strcmp(p->p.account->user, s->words.v[1]) != 0)) {
        free(p->p.account->user);
        p->p.account->user = xstrdup(s->words.v[1]);
        credentials_again(p->p.credentials);
    }
    for (char *c = mechanism; c && *c; c++)
        *c = ascii_upper(*c);
    enum play play = log_in(p, mechanism, mechanism != NULL);
    free(mechanism);
    return play;
}

static enum play do_wait(struct player *p, const struct script_step *s)
{
    bool over = p->entered && player_is_late(p);
    enum play play = p->stream && !over ? player_write(p) : PLAY_NEXT;

    if (!p->entered)
        note(p, s);
    player_wait_for(p, s->time);
    while (play == PLAY_NEXT && p->stream && !p->eof && !player_is_late(p))
        play = player_read(p);
    if (play == PLAY_END)
        return PLAY_END;
    return player_is_late(p) ? PLAY_NEXT : PLAY_WAIT;
}

static enum play do_timeout(struct player *p, const struct script_step *s)
{
    note(p, s);
    p->patience = s->time > 0 ? s->time : 1;
    return PLAY_NEXT;
}

static bool ends_message(const struct buf *b)
{
    return b->len >= 3 && memcmp(b->data + b->len - 3, ".\r\n", 3) == 0 && (b->len == 3 || b->data[b->len - 4] == '\n');
}

static enum play do_raw(struct player *p, const struct script_step *s)
{
    enum play play = p->pipelining || p->message || p->reel->at == 0 ? PLAY_NEXT : player_settle(p);
    size_t before = p->out.len;

    if (play != PLAY_NEXT)
        return play;
    note(p, s);
    p->inside_open = false;
    p->said = true;
    script_expand(p->reel->script, &p->vars, s->octets.data, s->octets.len, &p->out);
    const struct buf said = { .data = p->out.data + before, .len = p->out.len - before };
    p->message = p->message && !ends_message(&said);
    if (!p->pipelining)
        player_write(p);
    return PLAY_NEXT;
}

static enum play do_pipeline(struct player *p, const struct script_step *s)
{
    enum play play = p->reel->at == 0 ? PLAY_NEXT : player_settled(p); /* a script may begin before the greeting */

    if (play != PLAY_NEXT)
        return play;
    note(p, s);
    p->pipelining = true;
    return PLAY_NEXT;
}

static enum play do_repeat(struct player *p, const struct script_step *s)
{
    p->reel->rounds[p->reel->at] = s->count;
    if (s->count == 0)
        p->reel->at = s->partner;
    return PLAY_NEXT;
}

static enum play do_end(struct player *p, const struct script_step *s)
{
    long long *rounds = &p->reel->rounds[s->partner];

    if (p->reel->script->v[s->partner].op->run == do_pipeline) {
        note(p, s);
        p->pipelining = false;
        player_write(p);
    } else if (*rounds < 0 || --*rounds > 0) {
        p->reel->at = s->partner;
    }
    if (--p->turns >= 0)
        return PLAY_NEXT;
    p->reel->at++; /* the signals' turn, then on with the loop */
    p->turned = true;
    return PLAY_WAIT;
}

static enum play do_set(struct player *p, const struct script_step *s)
{
    return script_assign(p->reel->script, s, &p->vars) ? PLAY_NEXT : mismatch(p, s, "a value that is too long");
}

static bool open_body(struct player *p, const struct script_step *s)
{
    struct buf path = BUF_INIT;
    struct stat st;

    script_expand(p->reel->script, &p->vars, s->octets.data, s->octets.len, &path);
    p->body_fd = open(path.data, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (p->body_fd < 0 || fstat(p->body_fd, &st) < 0)
        err_sys(&p->err, FAULT_NO_INPUT, errno, "cannot read '%s'", path.data);
    else if (!S_ISREG(st.st_mode)) /* a pipe may keep us for ever, deaf to signals */
        err_set(&p->err, FAULT_NO_INPUT, "cannot read '%s': it is no regular file", path.data);
    buf_free(&path);
    if (err_is_set(&p->err))
        return false;
    p->body_done = false;
    p->dot = (struct dot)DOT_INIT;
    return message_read(&p->body, p->body_fd, &p->err);
}

/* A block of the message, or its end, into p->out. */
static bool next_block(struct player *p)
{
    const char *block;
    size_t n;

    if (!message_next(&p->body, &block, &n, &p->err))
        return false;
    p->body_done = n == 0;
    if (p->body_done)
        buf_adds(&p->out, ".\r\n");
    while (n > 0) {
        bool again;
        size_t slice = dot_slice(&p->dot, block, n, &again);
        buf_add(&p->out, block, slice);
        block += slice - again;
        n -= slice - again;
    }
    return true;
}

static enum play do_body(struct player *p, const struct script_step *s)
{
    enum play play = p->body_fd >= 0 ? player_write(p) : player_settled(p);

    if (play != PLAY_NEXT || (p->refused && p->body_fd < 0))
        return play;
    if (p->body_fd < 0) {
        note(p, s);
        if (!open_body(p, s))
            return PLAY_END;
    }
    while (!p->body_done) {
        if (!next_block(p))
            return player_broken(p);
        p->entered = false; /* each block has its time */
        player_wait_for(p, p->patience);
        play = player_write(p);
        if (play != PLAY_NEXT)
            return play;
    }
    player_close_body(p);
    end_message(p, cue_now(p)->claimed);
    return PLAY_NEXT;
}

static enum play do_close(struct player *p, const struct script_step *s)
{
    enum play play = player_write(p);

    if (play != PLAY_NEXT)
        return play;
    note(p, s);
    p->greeting = cue_now(p)->claimed;
    player_drop(p, false);
    return PLAY_NEXT;
}

static enum play do_reset(struct player *p, const struct script_step *s)
{
    enum play play = player_write(p);

    if (play != PLAY_NEXT)
        return play;
    note(p, s);
    p->greeting = cue_now(p)->claimed;
    player_drop(p, true);
    return PLAY_NEXT;
}

static enum play do_expect_close(struct player *p, const struct script_step *s)
{
    enum play play = player_settle(p);

    if (play == PLAY_NEXT && p->stage == 0) {
        player_forget(p, p->heard_n);
        p->stage = 1;
        p->entered = false;
    }
    player_wait_for(p, p->patience);
    while (play == PLAY_NEXT && !p->eof && p->heard_n == 0) {
        if (player_is_late(p))
            return mismatch(p, s, "an open connection");
        play = player_read(p);
    }
    if (play != PLAY_NEXT)
        return play;
    if (p->heard_n > 0) {
        return mismatch(p, s, "another reply");
    }
    note(p, s);
    p->greeting = cue_now(p)->claimed;
    player_drop(p, false);
    return PLAY_NEXT;
}

/* flushes: needs the connection, which is made where there is none. */
const struct script_op talk_server_line = { .argument = SCRIPT_LINE, .flushes = true, .run = do_server };
const struct script_op talk_client_line = { .argument = SCRIPT_LINE, .flushes = true, .run = do_client };
const struct script_op talk_ops[] = {
    { "starttls", SCRIPT_NONE, .flushes = true, .run = do_starttls, .help = "say STARTTLS, and encrypt" },
    { "tls", SCRIPT_NONE, .flushes = true, .run = do_tls, .help = "encrypt now, without a word" },
    { "auth", SCRIPT_WORDS, .flushes = true, .run = do_auth, .synopsis = "[MECHANISM [USER]]", .help = "log in" },
    { "raw", SCRIPT_OCTETS, .flushes = true, .run = do_raw, .synopsis = "\"OCTETS\"",
      .help = "send exactly this: \\r \\n \\0 \\xHH" },
    { "body", SCRIPT_OCTETS, .flushes = true, .run = do_body, .synopsis = "FILE",
      .help = "send the message in a file, behind DATA" },
    { "wait", SCRIPT_SECONDS, .run = do_wait, .synopsis = "SECONDS", .help = "do nothing but listen" },
    { "delay", SCRIPT_SECONDS, .run = do_wait },
    { "timeout", SCRIPT_SECONDS, .run = do_timeout, .synopsis = "SECONDS", .help = "longest wait for a reply" },
    { "set", SCRIPT_NAME_OCTETS, .run = do_set, .synopsis = "NAME VALUE", .help = "what $NAME stands for" },
    { "pipeline", SCRIPT_NONE, .flushes = true, .block = SCRIPT_OPENS, .run = do_pipeline },
    { "repeat", SCRIPT_COUNT, .block = SCRIPT_OPENS, .run = do_repeat },
    { "end", SCRIPT_NONE, .block = SCRIPT_CLOSES, .run = do_end },
    { "expect-close", SCRIPT_NONE, .flushes = true, .run = do_expect_close },
    { "close", SCRIPT_NONE, .flushes = true, .run = do_close, .help = "close the connection" },
    { "drop", SCRIPT_NONE, .flushes = true, .run = do_close },
    { "reset", SCRIPT_NONE, .flushes = true, .run = do_reset, .help = "close it with a reset" },
    { .word = NULL },
};

struct script *talk_compile(const char *name, const char *text, size_t n, const struct script_vars *vars, struct err *e)
{
    const struct script_params params = {
        .name = name, .whose = "talk", .ops = talk_ops, .client = &talk_client_line, .server = &talk_server_line,
        .vars = vars, .plain = true,
    };
    return script_compile(&params, text, n, e);
}
