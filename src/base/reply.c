/* reply: an SMTP reply and its parser (RFC 5321 4.2, RFC 3463). */
#include "base/reply.h"

#include <string.h>

#include "base/ascii.h"

void reply_free(struct reply *r)
{
    buf_free(&r->text);
    *r = (struct reply)REPLY_INIT;
}

/* The memory of the text stays. */
static void reply_reset(struct reply *r)
{
    struct buf text = r->text;
    buf_reset(&text);
    *r = (struct reply){ .text = text };
}

void reply_copy(struct reply *to, const struct reply *from)
{
    if (to == from)
        return;
    struct buf text = to->text;
    *to = *from;
    to->text = text;
    buf_reset(&to->text);
    buf_addbuf(&to->text, &from->text);
}

void reply_format(const struct reply *r, struct buf *out)
{
    const char *line = r->text.data, *end;
    for (; (end = strchr(line, '\n')); line = end + 1)
        buf_printf(out, "%03d-%.*s\n", r->code, (int)(end - line), line);
    buf_printf(out, *line ? "%03d %s" : "%03d", r->code, line);
}

void reply_format_line(const struct reply *r, struct buf *out)
{
    buf_printf(out, "%03d", r->code);
    const char *line = r->text.data;
    for (bool first = true;; first = false) {
        size_t n = strcspn(line, "\n");
        int enhanced[3];
        size_t skip = first ? 0 : reply_enhanced(line, enhanced); /* most servers repeat it on each line */
        if (skip && memcmp(enhanced, r->enhanced, sizeof enhanced) == 0)
            skip += line[skip] == ' ';
        else
            skip = 0;
        if (n > skip) {
            buf_addc(out, ' ');
            buf_add(out, line + skip, n - skip);
        }
        if (!line[n])
            return;
        line += n + 1;
    }
}

size_t reply_enhanced(const char *text, int out[3])
{
    int v[3];
    const char *p = text;
    for (int i = 0; i < 3; i++) {
        if (i && *p++ != '.')
            return 0;
        int digits = 0;
        for (v[i] = 0; ascii_isdigit(*p) && digits < 3; digits++)
            v[i] = 10 * v[i] + (*p++ - '0');
        if (!digits)
            return 0;
    }
    bool class_known = text[1] == '.' && (v[0] == 2 || v[0] == 4 || v[0] == 5);
    if (!class_known || (*p && *p != ' ' && *p != '\t' && *p != '\n'))
        return 0;
    memcpy(out, v, sizeof v);
    return (size_t)(p - text);
}

static enum reply_status bad(struct reply_parser *p, const char *line, size_t n, const char *why)
{
    if (n > sizeof p->excerpt - 1)
        n = sizeof p->excerpt - 1;
    for (size_t i = 0; i < n; i++)
        p->excerpt[i] = line[i] >= ' ' && line[i] < 0x7f ? line[i] : '?';
    p->excerpt[n] = '\0';
    p->why = why;
    return REPLY_BAD;
}

/* The text of one line joins the reply; RFC 3463 codes are looked for until one is found. */
static void take_text(struct reply *r, const char *text, size_t n)
{
    if (r->lines++)
        buf_addc(&r->text, '\n');
    buf_add(&r->text, text, n);
    char *end = r->text.data + r->text.len, *start = end - n;
    for (char *p = start; p < end; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = *p == '\t' ? ' ' : '?';
    if (!r->enhanced[0])
        reply_enhanced(start, r->enhanced);
}

static enum reply_status take_line(struct reply_parser *p, const char *line, size_t n)
{
    if (n < 3 || !ascii_isdigit(line[0]) || !ascii_isdigit(line[1]) || !ascii_isdigit(line[2]))
        return bad(p, line, n, "the reply does not begin with three digits");
    int code = 100 * (line[0] - '0') + 10 * (line[1] - '0') + (line[2] - '0');
    if (code < 200 || code > 599)
        return bad(p, line, n, "the reply code is not between 200 and 599");
    if (n > 3 && line[3] != ' ' && line[3] != '-')
        return bad(p, line, n, "the reply code is not followed by a blank or a hyphen");
    if (p->reply.lines && code != p->reply.code)
        return bad(p, line, n, "the lines of the reply have different codes");
    if (p->reply.lines >= REPLY_LINES_MAX)
        return bad(p, line, n, "the reply has too many lines");

    p->reply.code = code;
    take_text(&p->reply, line + (n > 3 ? 4 : 3), n > 3 ? n - 4 : 0);
    return n > 3 && line[3] == '-' ? REPLY_MORE : REPLY_DONE;
}

/* Adds [data, data+n) to the line begun earlier. False: too long. */
static bool keep(struct reply_parser *p, const char *data, size_t n)
{
    if (n > REPLY_LINE_MAX || p->line.len + n > REPLY_LINE_MAX)
        return false;
    buf_add(&p->line, data, n);
    return true;
}

enum reply_status reply_feed(struct reply_parser *p, const char *data, size_t len, size_t *used, struct reply *r,
                             void (*line_fn)(void *ctx, const char *text, size_t n), void *ctx)
{
    *used = 0;
    if (p->why)
        return REPLY_BAD;
    while (*used < len) {
        const char *line = data + *used;
        const char *lf = memchr(line, '\n', len - *used);
        size_t n = lf ? (size_t)(lf - line) : len - *used;
        size_t eaten = n + (lf != NULL);
        *used += eaten;
        p->total += eaten;
        if (p->line.len || !lf) { /* the usual whole line needs no copy */
            if (!keep(p, line, n))
                return bad(p, p->line.len ? p->line.data : line, p->line.len ? p->line.len : n,
                           "a line of the reply is too long");
            line = p->line.data;
            n = p->line.len;
        }
        if (n > REPLY_LINE_MAX)
            return bad(p, line, n, "a line of the reply is too long");
        if (p->total > REPLY_TOTAL_MAX)
            return bad(p, line, n, "the reply is too long");
        if (!lf)
            return REPLY_MORE;
        if (n && line[n - 1] == '\r')
            n--;
        if (line_fn)
            line_fn(ctx, line, n);
        enum reply_status status = take_line(p, line, n);
        buf_reset(&p->line);
        if (status == REPLY_MORE)
            continue;
        if (status == REPLY_DONE) {
            struct reply done = p->reply;
            p->reply = *r;
            reply_reset(&p->reply);
            *r = done;
            p->total = 0;
        }
        return status;
    }
    return REPLY_MORE;
}

bool reply_pending(const struct reply_parser *p)
{
    return p->total > 0;
}

void reply_parser_free(struct reply_parser *p)
{
    buf_free(&p->line);
    reply_free(&p->reply);
    *p = (struct reply_parser)REPLY_PARSER_INIT;
}
