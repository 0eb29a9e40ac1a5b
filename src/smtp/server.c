/* server: the flow of a server session: input into lines and messages, replies out. What the commands mean is in
 * server_rows.c. It knows no socket, no clock and no file. */
#include "smtp/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "smtp/caps.h"
#include "smtp/server_state.h"

struct server *server_new(const struct server_params *p)
{
    struct server *s = xcalloc(1, sizeof *s);

    s->p = *p;
    s->tls = p->tls_up;
    s->kept = (struct buf)BUF_SECRET_INIT; /* lines of AUTH pass through it */
    s->line = (struct buf)BUF_SECRET_INIT;
    s->user = (struct buf)BUF_INIT;
    s->password = (struct buf)BUF_SECRET_INIT;
    s->response = (struct buf)BUF_SECRET_INIT;
    s->out = (struct buf)BUF_INIT;
    s->helo = (struct buf)BUF_INIT;
    s->about = (struct buf)BUF_INIT;
    if (p->stages)
        server_ask(s, SERVER_AT_CONNECT, NULL);
    else
        server_greet(s);
    return s;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    envelope_free(&s->env);
    strlist_free(&s->parameters);
    buf_free(&s->kept);
    buf_free(&s->line);
    buf_free(&s->out);
    buf_free(&s->helo);
    buf_free(&s->about);
    buf_free(&s->user);
    buf_free(&s->password);
    buf_free(&s->response);
    free(s);
}

/* A line of a reply begins; its text follows. Most are the same short texts again and again: no printf. */
static size_t begin_line(struct server *s, int code, bool more)
{
    const char head[] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10), (char)('0' + code % 10),
                          more ? '-' : ' ' };
    size_t begin = s->out.len;

    buf_add(&s->out, head, sizeof head);
    return begin;
}

static void end_line(struct server *s, size_t begin)
{
    emit(s->p.hub, s->p.connection, EV_SERVER, F_STRN("line", s->out.data + begin, s->out.len - begin));
    buf_add(&s->out, "\r\n", 2);
}

void server_reply_text(struct server *s, int code, bool more, const char *text)
{
    size_t begin = begin_line(s, code, more);

    buf_adds(&s->out, text);
    end_line(s, begin);
}

void server_reply(struct server *s, int code, const char *enhanced, const char *fmt, ...)
{
    size_t begin = begin_line(s, code, false);
    va_list ap;

    if (enhanced && server_offers(s, CAP_ENHANCED)) {
        buf_adds(&s->out, enhanced);
        buf_addc(&s->out, ' ');
    }
    va_start(ap, fmt);
    buf_vprintf(&s->out, fmt, ap);
    va_end(ap);
    end_line(s, begin);
}

void server_reply_said(struct server *s, int code, const char *text)
{
    int enhanced[3];

    if (!server_offers(s, CAP_ENHANCED)) {
        text += reply_enhanced(text, enhanced);
        text += strspn(text, " ");
    }
    server_reply_text(s, code, false, text);
    if (code == 421) /* RFC 5321 3.8 */
        s->phase = PHASE_CLOSE;
}

void server_greet(struct server *s)
{
    server_reply(s, 220, NULL, "%s %s envoi", s->p.name, s->p.lmtp ? "LMTP" : "ESMTP");
}

void server_ask(struct server *s, enum server_stage stage, const struct row *row)
{
    s->stage = stage;
    s->row = row;
    s->asked = SERVER_STAGE;
}

enum server_stage server_stage(const struct server *s, const char **about)
{
    *about = s->about.data;
    return s->stage;
}

void server_stage_answer(struct server *s, int code, const char *text)
{
    s->asked = SERVER_READ;
    buf_reset(&s->about);
    if (s->row) {
        if (code)
            server_command_refused(s, code, text);
        else
            server_command_run(s);
        buf_reset(&s->line);
    } else if (code) {
        server_reply_said(s, code, text);
        s->turned_away = true;
    } else {
        server_greet(s);
    }
}

void server_reset(struct server *s)
{
    envelope_free(&s->env);
    s->env = (struct envelope)ENVELOPE_INIT;
    strlist_free(&s->parameters);
    s->envelope_octets = 0;
    s->mail = s->utf8 = s->binary = s->chunks = s->too_big = false;
    s->octets = 0;
    if (s->begun)
        s->asked = SERVER_DROP;
    s->begun = false;
}

/* Input. */

void server_input(struct server *s, const char *p, size_t n)
{
    if (s->kept.len > 0) {
        buf_add(&s->kept, p, n);
        s->at = s->kept.data;
        s->end = s->at + s->kept.len;
    } else {
        s->at = p;
        s->end = p + n;
    }
}

void server_eof(struct server *s)
{
    s->phase = PHASE_CLOSE;
}

/* The driver's block is its own again: what was not eaten is kept. */
void server_hold(struct server *s)
{
    size_t left = (size_t)(s->end - s->at);

    if (s->kept.len > 0) {
        buf_drop(&s->kept, s->kept.len - left);
    } else if (left > 0) {
        buf_add(&s->kept, s->at, left);
    }
    if (s->kept.len == 0 && s->kept.cap > 4 * SERVER_LINE_MAX)
        buf_free(&s->kept); /* it held a large flight once */
    s->at = s->kept.data;
    s->end = s->at + s->kept.len;
}

static void forget_input(struct server *s)
{
    s->at = s->end;
    buf_reset(&s->kept);
    s->at = s->end = s->kept.data;
    s->skipping = false;
}

static bool controls(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
            return true;
    return false;
}

/* Moves the next line into s->line. false: there is no whole line. *why: it cannot be a command. */
static bool take_line(struct server *s, const char **why)
{
    size_t n = (size_t)(s->end - s->at);
    const char *lf = n ? memchr(s->at, '\n', n) : NULL;
    const char *begin = s->at;

    if (!lf) {
        if (n > SERVER_LINE_MAX || s->skipping) {
            s->skipping = true;
            s->at = s->end;
        }
        return false;
    }
    n = (size_t)(lf - begin);
    s->at = lf + 1;
    buf_reset(&s->line);
    *why = NULL;
    if (s->skipping || n > SERVER_LINE_MAX) {
        s->skipping = false;
        *why = "the line is too long";
        return true;
    }
    if (n == 0 || begin[n - 1] != '\r')
        *why = "a line ends with CR LF, not with LF alone";
    else
        n--;
    buf_add(&s->line, begin, n);
    if (!*why && controls(begin, n))
        *why = "control octets in a command";
    return true;
}

static size_t secret_from(const struct server *s)
{
    const char *p = s->line.data;

    if (s->phase == PHASE_AUTH)
        return 0;
    if (!ascii_istarts(p, "AUTH"))
        return SIZE_MAX;
    p += strcspn(p, " \t");
    p += strspn(p, " \t");
    p += strcspn(p, " \t");
    return (size_t)(p - s->line.data) + (*p != '\0');
}

static bool line_step(struct server *s)
{
    const char *why;

    if (!take_line(s, &why))
        return false;
    emit(s->p.hub, s->p.connection, EV_CLIENT, F_CUT("line", s->line.data, s->line.len, secret_from(s)));
    if (why) {
        server_reply(s, 500, "5.5.2", "%s", why);
        s->phase = PHASE_COMMAND;
    } else if (s->phase == PHASE_AUTH) {
        server_auth_line(s);
    } else {
        server_command(s);
    }
    if (s->asked != SERVER_STAGE)
        buf_reset(&s->line);
    return true;
}

/* The message. */

/* The next dot behind CRLF in [p, end). Looks for dots first: most text has fewer of them than lines, base64 none;
 * behind a dot that does not count it goes on at the next line, so a line of dots costs no more than another. */
static const char *find_dot(const char *p, const char *end)
{
    const char *q = p;

    while (q < end && (q = memchr(q, '.', (size_t)(end - q)))) {
        if (q - p >= 2 && q[-1] == '\n' && q[-2] == '\r')
            return q;
        q = memchr(q, '\n', (size_t)(end - q));
        if (!q)
            return NULL;
        q++;
    }
    return NULL;
}

static enum line_place place_behind(const char *p, size_t n)
{
    if (p[n - 1] == '\r')
        return PLACE_CR;
    return n >= 2 && p[n - 1] == '\n' && p[n - 2] == '\r' ? PLACE_START : PLACE_MIDDLE;
}

/* Octets for the driver; those beyond the size limit are only counted. */
static void hand_over(struct server *s, const char *p, size_t n)
{
    s->octets += (int64_t)n;
    if (s->too_big)
        return;
    if (s->p.size_max > 0 && s->octets > s->p.size_max) {
        s->too_big = true;
        if (s->begun)
            s->asked = SERVER_DROP;
        s->begun = false;
        return;
    }
    s->data = p;
    s->data_n = n;
    s->begun = true;
    s->asked = SERVER_DATA;
}

static void hand_over_to(struct server *s, const char *to)
{
    const char *begin = s->at;

    s->at = to;
    hand_over(s, begin, (size_t)(to - begin));
}

static void message_end(struct server *s)
{
    emit(s->p.hub, s->p.connection, EV_BODY, F_INT("octets", s->octets));
    s->phase = PHASE_COMMAND;
    if (s->too_big)
        server_message_answer(s, 552, "5.3.4 the message is too big");
    else
        s->asked = SERVER_MESSAGE;
}

/* One step through the text of DATA (RFC 5321 4.5.2). Only CRLF "." CRLF ends it; everything else, bare CR and LF too,
 * is content and kept as it came. */
static bool data_step(struct server *s)
{
    const char *dot;

    if (s->at == s->end)
        return false;
    switch (s->place) {
    case PLACE_START:
        if (*s->at != '.')
            break;
        s->at++;
        s->place = PLACE_DOT;
        return true;
    case PLACE_DOT:
        if (*s->at != '\r')
            break;
        s->at++;
        s->place = PLACE_DOT_CR;
        return true;
    case PLACE_DOT_CR:
        if (*s->at == '\n') {
            s->at++;
            message_end(s);
        } else { /* no end: the CR held back is content */
            s->place = PLACE_CR;
            hand_over(s, "\r", 1);
        }
        return true;
    case PLACE_CR:
        if (*s->at != '\n')
            break;
        s->place = PLACE_START;
        hand_over_to(s, s->at + 1);
        return true;
    case PLACE_MIDDLE:
        break;
    }
    dot = find_dot(s->at, s->end);
    if (dot) {
        s->place = PLACE_START;
        hand_over_to(s, dot);
    } else {
        s->place = place_behind(s->at, (size_t)(s->end - s->at));
        hand_over_to(s, s->end);
    }
    return true;
}

/* RFC 2033 4.2: the end of a message has one reply for each recipient. */
static void answer_each(struct server *s, int code, const char *text)
{
    size_t replies = s->p.lmtp && s->env.n > 0 ? s->env.n : 1;

    for (size_t i = 0; i < replies; i++)
        server_reply_said(s, code, text);
}

static void chunk_end(struct server *s)
{
    s->phase = PHASE_COMMAND;
    if (s->chunk_refused) {
        (s->chunk_last ? answer_each : server_reply_said)(s, s->chunk_answer.code, s->chunk_answer.text);
        if (s->chunks) /* what has a hole is no message: chunks on their way already belong to none */
            server_reset(s);
    } else if (s->chunk_last) {
        message_end(s);
    } else if (s->too_big) {
        server_reply(s, 552, "5.3.4", "the message is too big");
        server_reset(s);
    } else {
        server_reply(s, 250, "2.0.0", "chunk received");
    }
}

static bool chunk_step(struct server *s)
{
    size_t n = (size_t)(s->end - s->at);

    if (s->chunk_left == 0) {
        chunk_end(s);
        return true;
    }
    if (n == 0)
        return false;
    if ((int64_t)n > s->chunk_left)
        n = (size_t)s->chunk_left;
    s->chunk_left -= (int64_t)n;
    if (s->chunk_refused)
        s->at += n;
    else
        hand_over_to(s, s->at + n);
    return true;
}

/* true: something changed, go on. */
static bool step(struct server *s)
{
    switch (s->phase) {
    case PHASE_COMMAND:
    case PHASE_AUTH: return line_step(s);
    case PHASE_DATA: return data_step(s);
    case PHASE_BDAT: return chunk_step(s);
    case PHASE_TLS:
    case PHASE_CLOSE: return false;
    }
    return false;
}

enum server_want server_next(struct server *s)
{
    while (s->asked == SERVER_READ && s->out.len < SERVER_OUTPUT_MAX && step(s))
        ;
    if (s->asked != SERVER_READ)
        return s->asked;
    server_hold(s);
    if (s->out.len > 0)
        return SERVER_WRITE;
    if (s->phase == PHASE_TLS)
        return SERVER_TLS;
    if (s->phase == PHASE_CLOSE)
        return SERVER_CLOSE;
    return SERVER_READ;
}

const struct buf *server_output(const struct server *s)
{
    return &s->out;
}

void server_wrote(struct server *s, size_t n)
{
    buf_drop(&s->out, n);
}

void server_tls_up(struct server *s)
{
    forget_input(s);
    server_reset(s);
    buf_reset(&s->helo);
    s->extended = s->logged_in = false;
    s->tls = true;
    s->phase = PHASE_COMMAND;
}

void server_end(struct server *s, const char *text)
{
    forget_input(s);
    s->asked = SERVER_READ;
    server_reset(s);
    server_reply(s, 421, "4.4.2", "%s", text);
    s->phase = PHASE_CLOSE;
}

void server_data(const struct server *s, const char **p, size_t *n)
{
    *p = s->data;
    *n = s->data_n;
}

void server_data_taken(struct server *s)
{
    s->asked = SERVER_READ;
}

static void message_done(struct server *s)
{
    s->asked = SERVER_READ;
    s->begun = false;
    server_reset(s);
}

void server_message_answer(struct server *s, int code, const char *text)
{
    answer_each(s, code, text);
    message_done(s);
}

void server_message_answers(struct server *s, const struct server_answer *answers)
{
    size_t replies = s->p.lmtp ? s->env.n : 1;

    for (size_t i = 0; i < replies; i++)
        server_reply_said(s, answers[i].code, answers[i].text);
    message_done(s);
}

const struct envelope *server_envelope(const struct server *s)
{
    return &s->env;
}

const struct strlist *server_parameters(const struct server *s)
{
    return &s->parameters;
}

const char *server_user(const struct server *s)
{
    return s->logged_in ? s->user.data : NULL;
}

const char *server_helo(const struct server *s)
{
    return s->helo.data;
}

int64_t server_octets(const struct server *s)
{
    return s->octets;
}

void server_protocol(const struct server *s, struct buf *out)
{
    const char *base = s->p.lmtp ? "LMTP" : s->extended ? "ESMTP" : "SMTP";

    if (s->utf8) /* RFC 6531 4.3: UTF8SMTP, UTF8LMTP */
        base = s->p.lmtp ? "UTF8LMTP" : "UTF8SMTP";
    buf_printf(out, "%s%s%s", base, s->tls ? "S" : "", s->logged_in ? "A" : "");
}
