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
    return s->body.ended && s->body.n == 0 && s->text_written >= s->body.end_mark;
}

bool body_wanted(const struct session *s)
{
    const struct body *b = &s->body;

    return b->active && !b->ended && b->n == 0 && s->out.len - s->out_done < FILL
        && !(b->chunked && s->end - s->sent >= CHUNKS_UNANSWERED);
}

/* Hands out the next slice of at most n octets and moves on behind it. */
static size_t slice(const struct body *b, struct dot *dot, const char **p, size_t n)
{
    bool again = false;
    size_t len = b->dotted ? dot_slice(dot, *p, n, &again) : n;

    *p += len - again;
    return len;
}

int body_slices(const struct session *s, struct iovec *iov, int max, bool *all)
{
    const struct body *b = &s->body;
    int n = 0;

    *all = true;
    if (b->n == 0)
        return 0;
    const char *p = b->p, *end = b->p + b->n;
    struct dot dot = b->dot;
    while (p < end && n < max) {
        iov[n].iov_base = (void *)p;
        iov[n].iov_len = slice(b, &dot, &p, (size_t)(end - p));
        n++;
    }
    *all = p == end;
    return n;
}

size_t body_wrote(struct session *s, size_t n)
{
    struct body *b = &s->body;
    size_t rest = n;

    if (b->n == 0)
        return 0;
    for (const char *end = b->p + b->n; b->n > 0 && rest > 0;) {
        rest -= slice(b, &b->dot, &b->p, b->n < rest ? b->n : rest);
        b->n = (size_t)(end - b->p);
    }
    return n - rest;
}

static void copy(struct session *s, const char *p, size_t n)
{
    struct body *b = &s->body;
    const char *end = p + n;

    while (p < end) {
        const char *from = p;
        session_text(s, from, slice(b, &b->dot, &p, (size_t)(end - p)));
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
