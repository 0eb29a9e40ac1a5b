/* split: cuts a stream into its messages, octet by octet at the starts of lines, in one piece behind them. */
#include "mail/split.h"

#include <string.h>

enum { LINE_START, IN_LINE, IN_SEPARATOR, AFTER_CR };

static const char from[] = "From ";
enum { FROM_LENGTH = sizeof from - 1 };

/* ---- NUL-separated ---- */

static enum split_found take_nul(struct split *s, const char *p, size_t n, size_t *used, struct buf *out)
{
    const char *nul = memchr(p, '\0', n);
    *used = nul ? (size_t)(nul - p) + 1 : n;
    buf_add(out, p, nul ? *used - 1 : n);
    s->inside = !nul && (s->inside || n > 0);
    return nul ? SPLIT_END : SPLIT_MORE;
}

/* ---- mbox ---- */

static void give_blank(struct split *s, struct buf *out)
{
    if (s->blank && s->inside)
        buf_adds(out, s->blank);
    s->blank = NULL;
}

/* A line began like a separator and is none, or was quoted. */
static void give_start(struct split *s, size_t quotes, struct buf *out)
{
    give_blank(s, out);
    for (size_t i = 0; i < quotes; i++)
        buf_addc(out, '>');
    buf_add(out, from, s->matched);
    s->quotes = s->matched = 0;
    s->at = IN_LINE;
}

static void blank_line(struct split *s, const char *line, struct buf *out)
{
    give_blank(s, out);
    s->blank = line;
    s->at = LINE_START;
}

/* One octet at the start of a line. false: it is not taken yet. */
static bool start_octet(struct split *s, char c, bool *separator, struct buf *out)
{
    if (s->at == AFTER_CR) {
        if (c == '\n') {
            blank_line(s, "\r\n", out);
            return true;
        }
        give_start(s, 0, out);
        buf_addc(out, '\r');
        return false;
    }
    bool fresh = s->quotes == 0 && s->matched == 0;
    if (fresh && c == '\n') {
        blank_line(s, "\n", out);
    } else if (fresh && c == '\r') {
        s->at = AFTER_CR;
    } else if (c == '>' && s->matched == 0) {
        s->quotes++;
    } else if (c == from[s->matched]) {
        if (++s->matched < FROM_LENGTH)
            return true;
        *separator = s->quotes == 0;
        if (!*separator)
            give_start(s, s->quotes - 1, out);
    } else {
        give_start(s, s->quotes, out);
        return false;
    }
    return true;
}

/* The rest of a line, as far as it is there. */
static size_t rest_of_line(struct split *s, const char *p, size_t n, struct buf *out)
{
    const char *lf = memchr(p, '\n', n);
    size_t len = lf ? (size_t)(lf - p) + 1 : n;
    if (s->at == IN_LINE)
        buf_add(out, p, len);
    if (lf)
        s->at = LINE_START;
    return len;
}

static enum split_found take_mbox(struct split *s, const char *p, size_t n, size_t *used, struct buf *out)
{
    size_t i = 0;
    while (i < n) {
        bool separator = false, ended = s->inside;
        if (s->at == LINE_START || s->at == AFTER_CR)
            i += start_octet(s, p[i], &separator, out);
        else
            i += rest_of_line(s, p + i, n - i, out);
        if (separator) {
            s->blank = NULL;
            s->matched = 0;
            s->inside = true;
            s->at = IN_SEPARATOR;
        } else if (!s->inside && s->at == IN_LINE) {
            return SPLIT_ALIEN;
        }
        if (separator && ended) {
            *used = i;
            return SPLIT_END;
        }
    }
    *used = n;
    return SPLIT_MORE;
}

enum split_found split_take(struct split *s, const char *p, size_t n, size_t *used, struct buf *out)
{
    *used = 0;
    return (s->format == SPLIT_NUL ? take_nul : take_mbox)(s, p, n, used, out);
}

bool split_finish(struct split *s, struct buf *out)
{
    bool inside = s->inside;
    if (inside && s->format == SPLIT_MBOX) {
        bool cr = s->at == AFTER_CR;
        if (s->quotes || s->matched || cr)
            give_start(s, s->quotes, out);
        if (cr)
            buf_addc(out, '\r');
    }
    *s = (struct split)SPLIT_INIT(s->format);
    return inside;
}
