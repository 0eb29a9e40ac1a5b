/* Whatever the parts: what goes out has no bare CR or LF, no NUL, no line over 998 octets, ends with CRLF, is of the size announced, and comes
 * again after a rewind. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/compose.h"
#include "mail/message.h"
#include "mail/mime_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS = 6 };

/* The strings of the input, one after the other, each ended by 0xFF. */
struct reader {
    const uint8_t *p, *end;
    char *strings[4 * PARTS + 2];
    size_t n;
};

static const char *next(struct reader *r, size_t *len)
{
    size_t n = 0;
    while (r->p + n < r->end && r->p[n] != 0xff)
        n++;
    char *s = malloc(n + 1);
    memcpy(s, r->p, n);
    s[n] = '\0';
    r->p += n < (size_t)(r->end - r->p) ? n + 1 : n;
    r->strings[r->n++] = s;
    if (len)
        *len = n;
    return s;
}

static const char *unless_empty(const char *s)
{
    return *s ? s : NULL;
}

static void check(const struct buf *b)
{
    size_t line = 0;
    if (b->len < 2 || memcmp(b->data + b->len - 2, "\r\n", 2) != 0 || memchr(b->data, '\0', b->len))
        abort();
    for (size_t i = 0; i < b->len; i++) {
        bool cr = b->data[i] == '\r', lf = b->data[i] == '\n';
        if ((lf && (i == 0 || b->data[i - 1] != '\r')) || (cr && b->data[i + 1] != '\n'))
            abort();
        line = lf ? 0 : line + !cr;
        if (line > 998)
            abort();
    }
}

static void drain(struct compose *c, size_t portion, struct buf *out)
{
    struct err e = ERR_INIT;
    size_t n;
    do {
        buf_reserve(out, portion);
        if (!compose_read(c, out->data + out->len, portion, &n, &e))
            abort();
        buf_cut(out, out->len + n);
    } while (n > 0);
}

static void check_composer(struct compose *c, size_t portion)
{
    struct buf first = BUF_INIT, second = BUF_INIT;
    struct err e = ERR_INIT;
    drain(c, portion, &first);
    if ((int64_t)first.len != compose_size(c) || !compose_rewind(c))
        abort();
    check(&first);
    struct message m;
    message_init(&m);
    if (!message_compose(&m, c, &e) || message_size(&m) != (int64_t)first.len)
        abort();
    const char *p;
    size_t n;
    do {
        if (!message_next(&m, &p, &n, &e))
            abort();
        buf_add(&second, p, n);
    } while (n > 0);
    if (second.len != first.len || memcmp(second.data, first.data, first.len) != 0)
        abort();
    message_free(&m);
    buf_free(&first);
    buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader r = { .p = data, .end = data + size };
    struct compose_part parts[PARTS];
    struct buf headers = BUF_INIT;
    struct err e = ERR_INIT;
    size_t n = 0;
    mime_header(&headers, "To", next(&r, NULL));
    mime_header(&headers, "Subject", next(&r, NULL));
    for (; n < PARTS && r.p < r.end; n++) {
        parts[n] = (struct compose_part){ .role = *r.p++ % 3 };
        parts[n].type = unless_empty(next(&r, NULL));
        parts[n].name = unless_empty(next(&r, NULL));
        parts[n].content_id = unless_empty(next(&r, NULL));
        parts[n].text = next(&r, &parts[n].text_n);
    }
    struct compose *c = compose_new(headers.data, parts, n, &e);
    if (c) {
        compose_seed(c, "fuzz");
        check_composer(c, 1 + size % 7);
    }
    err_clear(&e);
    buf_free(&headers);
    for (size_t i = 0; i < r.n; i++)
        free(r.strings[i]);
    return 0;
}
