/* Whatever comes in: what goes out is canonical, of the size announced, and survives the dot filter. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/dot.h"
#include "mail/message.h"
#include "mail/prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(struct message *m, struct buf *out)
{
    struct err e = ERR_INIT;
    const char *p;
    size_t n;
    do {
        if (!message_next(m, &p, &n, &e))
            abort();
        buf_add(out, p, n);
    } while (n);
    if ((int64_t)out->len != message_size(m))
        abort();
}

static void check_canonical(const struct buf *b)
{
    if (b->len < 2 || memcmp(b->data + b->len - 2, "\r\n", 2) != 0 || memchr(b->data, '\0', b->len))
        abort();
    for (size_t i = 0; i < b->len; i++)
        if ((b->data[i] == '\n' && (i == 0 || b->data[i - 1] != '\r')) || (b->data[i] == '\r' && b->data[i + 1] != '\n'))
            abort();
}

/* Behind the filter no line is a lone dot. */
static void check_dots(const struct buf *b, size_t block)
{
    struct buf out = BUF_INIT;
    struct dot d = DOT_INIT;
    const char *p = b->data;
    for (size_t left = b->len; left > 0;) {
        bool again;
        size_t n = dot_slice(&d, p, left < block ? left : block, &again);
        buf_add(&out, p, n);
        n -= again;
        p += n;
        left -= n;
    }
    if (memmem(out.data, out.len, "\n.\r\n", 4) || memcmp(out.data, ".\r\n", 3) == 0)
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message m;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT, again = BUF_INIT;
    message_init(&m);
    if (message_from_memory(&m, (const char *)data, size, &e)) {
        drain(&m, &out);
        check_canonical(&out);
        check_dots(&out, 1 + size % 7);
        if (!message_rewind(&m))
            abort();
        drain(&m, &again);
        if (again.len != out.len || memcmp(again.data, out.data, out.len) != 0)
            abort();

        struct envelope env = ENVELOPE_INIT;
        struct mailbox_list named = MAILBOX_LIST_INIT;
        const struct prepare_params p = { .from = "me@example.org", .set_from = TRI_ON, .set_date = TRI_AUTO,
                                          .set_msgid = TRI_ON, .set_to_undisclosed = true, .remove_bcc = true };
        prepare_recipients(&named, &m, &e);
        for (size_t i = 0; i < named.n; i++)
            envelope_add(&env, named.v[i].address);
        prepare_message(&m, &p, &env, &e);
        if (header_find(&m.headers, "Bcc", 0) >= 0 || header_find(&m.headers, "Return-Path", 0) >= 0)
            abort();
        buf_reset(&out);
        message_rewind(&m);
        drain(&m, &out);
        check_canonical(&out);
        mailbox_list_free(&named);
        envelope_free(&env);
    }
    err_clear(&e);
    message_free(&m);
    buf_free(&out);
    buf_free(&again);
    return 0;
}
