/* buf: bytes that grow, and allocation that never returns NULL. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"

char buf_empty[1];

static _Noreturn void out_of_memory(void)
{
    static const char message[] = "envoi: out of memory\n";
    file_write_all(STDERR_FILENO, message, sizeof message - 1);
    exit(EX_OSERR);
}

void buf_init(struct buf *b)
{
    *b = (struct buf)BUF_INIT;
}

void buf_free(struct buf *b)
{
    if (b->cap) {
        if (b->secret)
            explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    *b = (struct buf){ .data = buf_empty, .secret = b->secret };
}

void buf_reset(struct buf *b)
{
    buf_cut(b, 0);
}

/* realloc() may leave a copy of the old block behind: a secret is moved by hand. */
static char *regrow(struct buf *b, size_t cap)
{
    if (!b->cap)
        return xmalloc(cap);
    if (!b->secret)
        return xrealloc(b->data, cap);
    char *data = xmalloc(cap);
    memcpy(data, b->data, b->len);
    explicit_bzero(b->data, b->cap);
    free(b->data);
    return data;
}

/* Also for the NUL. */
static inline bool has_room(const struct buf *b, size_t more)
{
    return b->cap && more < b->cap - b->len;
}

void buf_reserve(struct buf *b, size_t more)
{
    if (has_room(b, more))
        return;
    size_t need;
    if (__builtin_add_overflow(b->len, more, &need) || need > PTRDIFF_MAX / 2)
        out_of_memory();
    size_t cap = b->cap ? b->cap : 32;
    while (cap <= need)
        cap += cap / 2;
    b->data = regrow(b, cap);
    b->cap = cap;
    b->data[b->len] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (!n)
        return;
    if (!has_room(b, n))
        buf_reserve(b, n);
    memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
    if (!has_room(b, 1))
        buf_reserve(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

void buf_addbuf(struct buf *b, const struct buf *from)
{
    buf_add(b, from->data, from->len);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    buf_reserve(b, 64);
    size_t room = b->cap - b->len;
    int n = vsnprintf(b->data + b->len, room, fmt, ap);
    if (n < 0)
        out_of_memory();
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    }
    b->len += (size_t)n;
    va_end(again);
}

void buf_drop(struct buf *b, size_t n)
{
    if (!n)
        return;
    memmove(b->data, b->data + n, b->len - n);
    buf_cut(b, b->len - n);
}

void buf_cut(struct buf *b, size_t n)
{
    if (n == b->len)
        return;
    if (b->secret)
        explicit_bzero(b->data + n, b->len - n);
    b->len = n;
    b->data[n] = '\0';
}

void buf_trim(struct buf *b)
{
    size_t end = b->len;
    while (end > 0 && strchr(" \t\r\n", b->data[end - 1]) && b->data[end - 1])
        end--;
    buf_cut(b, end);
    buf_drop(b, strspn(b->data, " \t\r\n"));
}

char *buf_steal(struct buf *b)
{
    char *s = b->cap ? b->data : xstrdup("");
    *b = (struct buf){ .data = buf_empty, .secret = b->secret };
    return s;
}

void *xmalloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *xrealloc(void *p, size_t n)
{
    void *q = realloc(p, n ? n : 1);
    if (!q)
        out_of_memory();
    return q;
}

char *xstrdup(const char *s)
{
    return s ? xstrndup(s, strlen(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = xmalloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *xasprintf(const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    return buf_steal(&b);
}

void secret_free(char *s)
{
    if (!s)
        return;
    explicit_bzero(s, strlen(s));
    free(s);
}
