/* header: splits a header section into fields, and writes it again octet for octet.
 * Only header_insert makes text; it lets no control octet through. */
#include "mail/header.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

enum { FOLD_COLUMN = 78 }; /* RFC 5322 2.1.1 */

void header_list_free(struct header_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].raw);
    free(l->v);
    *l = (struct header_list)HEADER_LIST_INIT;
}

static struct header *make_room(struct header_list *l, size_t at)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof *l->v);
    l->n++;
    return &l->v[at];
}

/* The length of the line at p, its LF included; n where it has none. */
static size_t line_length(const char *p, size_t n)
{
    const char *lf = memchr(p, '\n', n);
    return lf ? (size_t)(lf - p) + 1 : n;
}

/* Fills in name_len and value when the line begins a field. RFC 5322 4.5 allows blanks before the colon. */
static bool field_start(const char *p, size_t n, struct header *h)
{
    size_t i = 0;
    while (i < n && p[i] > ' ' && p[i] < 127 && p[i] != ':')
        i++;
    h->name_len = i;
    while (i < n && ascii_isblank(p[i]))
        i++;
    h->value = i + 1;
    return h->name_len > 0 && i < n && p[i] == ':';
}

static bool mbox_line(const char *p, size_t n)
{
    struct header h;
    return n >= 5 && memcmp(p, "From ", 5) == 0 && !(field_start(p, n, &h) && h.name_len == 4);
}

void header_list_parse(struct header_list *l, const char *text, size_t n, size_t *used)
{
    size_t at = 0;
    if (mbox_line(text, line_length(text, n)))
        at = line_length(text, n);
    while (at < n) {
        struct header h;
        size_t len = line_length(text + at, n - at);
        if (text[at] == '\r' && len == 2) {
            at += 2;
            break;
        }
        if (!field_start(text + at, len, &h))
            break;
        while (at + len < n && ascii_isblank(text[at + len]))
            len += line_length(text + at + len, n - at - len);
        h.raw = memcpy(xmalloc(len), text + at, len);
        h.len = len;
        *make_room(l, l->n) = h;
        at += len;
    }
    *used = at;
}

long header_find(const struct header_list *l, const char *name, size_t from)
{
    size_t len = strlen(name);
    for (size_t i = from; i < l->n; i++)
        if (l->v[i].name_len == len && ascii_ieqn(l->v[i].raw, name, len))
            return (long)i;
    return -1;
}

size_t header_remove(struct header_list *l, const char *name)
{
    size_t kept = 0, removed = 0, len = strlen(name);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].name_len == len && ascii_ieqn(l->v[i].raw, name, len)) {
            free(l->v[i].raw);
            removed++;
        } else {
            l->v[kept++] = l->v[i];
        }
    }
    l->n = kept;
    return removed;
}

/* Blanks and the word behind them are one piece: a fold goes in front of the blanks and changes nothing else. */
static void add_folded(struct buf *out, const char *value)
{
    size_t column = out->len;
    for (bool first = true; *value; first = false) {
        size_t len = strspn(value, " ");
        len += strcspn(value + len, " ");
        if (!first && column + len > FOLD_COLUMN) {
            buf_adds(out, "\r\n");
            column = 0;
        }
        buf_add(out, value, len);
        column += len;
        value += len;
    }
}

void header_insert(struct header_list *l, size_t at, const char *name, const char *value)
{
    struct buf clean = BUF_INIT, raw = BUF_INIT;
    buf_adds(&clean, value);
    for (size_t i = 0; i < clean.len; i++)
        if ((unsigned char)clean.data[i] < ' ' || clean.data[i] == 127)
            clean.data[i] = ' ';
    buf_trim(&clean);
    buf_printf(&raw, "%s: ", name);
    add_folded(&raw, clean.data);
    buf_adds(&raw, "\r\n");
    size_t len = raw.len, name_len = strlen(name);
    *make_room(l, at) = (struct header){ buf_steal(&raw), len, name_len, name_len + 1 };
    buf_free(&clean);
}

void header_value(const struct header *h, struct buf *out)
{
    struct buf value = BUF_INIT;
    for (size_t i = h->value; i < h->len; i++)
        if (h->raw[i] != '\r' && h->raw[i] != '\n')
            buf_addc(&value, h->raw[i]);
    buf_trim(&value);
    buf_addbuf(out, &value);
    buf_free(&value);
}

void header_list_write(const struct header_list *l, struct buf *out)
{
    buf_reserve(out, header_list_size(l));
    for (size_t i = 0; i < l->n; i++)
        buf_add(out, l->v[i].raw, l->v[i].len);
}

size_t header_list_size(const struct header_list *l)
{
    size_t size = 0;
    for (size_t i = 0; i < l->n; i++)
        size += l->v[i].len;
    return size;
}
