/* body: the message's octets on their way to the wire: small blocks are copied, so that they share a write with what
 * stands before and behind them, large ones are borrowed. It must not know what replies say. */
#include "smtp/session_private.h"

#include <string.h>

enum {
    COPY_MAX = 16 << 10,  /* a block up to this size is copied */
    FILL = 64 << 10,      /* so much waiting text is worth a write of its own */
    CHUNKS_UNANSWERED = 32,
};

void body_start(struct session *s, bool dotted, bool chunked)
{
    struct body *b = &s->body;

    buf_free(&b->line);
    *b = (struct body){ .active = true, .dotted = dotted, .chunked = chunked, .dot = DOT_INIT, .line = BUF_INIT,
                        .last = '\n' };
    if (s->t.job.size == 0)
        session_body_end(s);
}

bool body_handed_out(const struct session *s)
{
    return s->body.ended && !body_waits(s) && s->text_written >= s->body.end_mark;
}

bool body_wanted(const struct session *s)
{
    const struct body *b = &s->body;

    return b->active && !b->ended && !body_waits(s) && s->out.len - s->out_done < FILL
        && !(b->chunked && s->end - s->sent >= CHUNKS_UNANSWERED);
}

/* Hands out the next slice of at most n octets and moves on behind it. */
static size_t slice(struct body *b, const char **p, size_t n)
{
    bool again = false;
    size_t len = b->dotted ? dot_slice(&b->dot, *p, n, &again) : n;

    *p += len - again;
    return len;
}

static void cut(struct body *b)
{
    const char *end = b->p + b->n;

    for (b->at = b->end = 0; b->n > 0 && b->end < BODY_SLICES; b->n = (size_t)(end - b->p)) {
        struct iovec *v = &b->slices[b->end++];
        v->iov_base = (void *)b->p;
        v->iov_len = slice(b, &b->p, b->n);
    }
}

bool body_waits(const struct session *s)
{
    return s->body.at < s->body.end;
}

void body_drop(struct session *s)
{
    s->body.n = 0;
    s->body.at = s->body.end = 0;
}

int body_slices(const struct session *s, struct iovec *iov, int max, bool *all)
{
    const struct body *b = &s->body;
    int n = b->end - b->at < max ? b->end - b->at : max;

    if (n > 0)
        memcpy(iov, &b->slices[b->at], (size_t)n * sizeof *iov);
    *all = b->n == 0 && b->at + n == b->end;
    return n;
}

size_t body_wrote(struct session *s, size_t n)
{
    struct body *b = &s->body;
    size_t rest = n;

    while (rest > 0 && body_waits(s)) {
        struct iovec *v = &b->slices[b->at];
        size_t part = v->iov_len < rest ? v->iov_len : rest;
        v->iov_base = (char *)v->iov_base + part;
        v->iov_len -= part;
        rest -= part;
        b->at += v->iov_len == 0;
        if (!body_waits(s))
            cut(b);
    }
    return n - rest;
}

static void copy(struct session *s, const char *p, size_t n)
{
    const char *end = p + n;

    while (p < end) {
        const char *from = p;
        session_text(s, from, slice(&s->body, &p, (size_t)(end - p)));
    }
}

/* As it goes over the wire: a transcript is a script. */
static void show_content(struct session *s, const char *p, size_t n)
{
    struct buf *line = &s->body.line;

    if (!s->p.hub || !hub_wants(s->p.hub, EV_CONTENT))
        return;
    while (n > 0) {
        const char *lf = memchr(p, '\n', n);
        size_t len = lf ? (size_t)(lf - p) + 1 : n;
        if (s->body.dotted && line->len == 0 && *p == '.')
            buf_addc(line, '.');
        buf_add(line, p, len);
        p += len;
        n -= len;
        if (!lf)
            return;
        buf_cut(line, line->len - (line->len > 1 && line->data[line->len - 2] == '\r' ? 2 : 1));
        emit(s->p.hub, s->p.connection, EV_CONTENT, F_STRN("line", line->data, line->len));
        buf_reset(line);
    }
}

void session_body(struct session *s, const char *p, size_t n)
{
    struct body *b = &s->body;
    int64_t size = s->t.job.size;

    if (s->gone || !b->active || b->ended || n == 0)
        return;
    if (size >= 0 && (int64_t)n > size - b->given) {
        err_set(&s->err, FAULT_SOFTWARE, "the message is longer than the %lld octets it was said to have",
                (long long)size);
        err_stage(&s->err, STAGE_BODY);
        session_hang_up(s);
        return;
    }
    s->step_id++;
    show_content(s, p, n);
    b->given += (int64_t)n;
    b->last = p[n - 1];
    if (b->chunked) {
        advance_push(s, CMD_BDAT, n);
        advance_run(s);
    }
    if (n <= COPY_MAX) {
        copy(s, p, n);
    } else {
        b->p = p;
        b->n = n;
        cut(b);
    }
    if (b->given == size)
        session_body_end(s);
}

void session_body_end(struct session *s)
{
    struct body *b = &s->body;

    if (s->gone || !b->active || b->ended)
        return;
    if (s->t.job.size > b->given) {
        err_set(&s->err, FAULT_SOFTWARE, "the message is shorter than the %lld octets it was said to have",
                (long long)s->t.job.size);
        err_stage(&s->err, STAGE_BODY);
        session_hang_up(s);
        return;
    }
    b->ended = true;
    if (b->line.len > 0)
        emit(s->p.hub, s->p.connection, EV_CONTENT, F_STRN("line", b->line.data, b->line.len));
    if (b->given > 0)
        emit(s->p.hub, s->p.connection, EV_BODY, F_INT("octets", b->given));
    if (b->chunked) {
        advance_push(s, CMD_BDAT_LAST, 0);
        advance_release(s);
    } else if (b->dotted) {
        if (b->last != '\n')
            session_text(s, "\r\n", 2);
        session_text(s, ".\r\n", 3);
        emit(s->p.hub, s->p.connection, EV_CLIENT, F_STR("line", "."));
    }
    b->end_mark = s->text_queued;
    advance_run(s);
}
