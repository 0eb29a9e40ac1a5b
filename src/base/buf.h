/* buf: bytes that grow.
 *
 * Invariant: data is never NULL and data[len] is NUL, so a buf without NUL
 * bytes inside is a C string at any time. Out of memory ends the program
 * (exit 71). A buf made with BUF_SECRET_INIT is wiped whenever its memory is
 * given back or moved, so no copy of a secret stays behind in the heap. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* own, unless cap == 0 */
    size_t len;
    size_t cap; /* allocated octets, 0: data is the shared empty string */
    bool secret;
};

extern char buf_empty[1]; /* never written to */

#define BUF_INIT { .data = buf_empty }
#define BUF_SECRET_INIT { .data = buf_empty, .secret = true }

void buf_init(struct buf *b);

/* Frees the memory and makes b an empty buf again. Harmless when repeated. */
void buf_free(struct buf *b);

/* len becomes 0, the memory stays (wiped first when secret). */
void buf_reset(struct buf *b);

/* Room for at least `more` octets beyond len, without changing len. */
void buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addbuf(struct buf *b, const struct buf *from);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *fmt, ...);
__attribute__((format(printf, 2, 0))) void buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Removes the first n octets (n <= len). */
void buf_drop(struct buf *b, size_t n);

/* Shortens to n octets (n <= len). */
void buf_cut(struct buf *b, size_t n);

/* Removes blanks, tabs, CR and LF from both ends. */
void buf_trim(struct buf *b);

/* Gives the string away: the caller frees it with free(). b is empty after. */
char *buf_steal(struct buf *b);

/* malloc, strdup … that end the program instead of returning NULL. */
void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s);               /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *fmt, ...);

/* Overwrites, then frees, a NUL-terminated secret; NULL is allowed. */
void secret_free(char *s);

#endif
