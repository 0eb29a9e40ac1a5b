/* Fuzzing the reply parser: whatever comes, in blocks of any size, gives the same replies within the limits; and what
 * they may say about when to come back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/reply.h"
#include "send/delay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void count(void *ctx, const char *text, size_t n)
{
    require(n <= REPLY_LINE_MAX && !memchr(text, '\n', n));
    ++*(size_t *)ctx;
}

/* What was parsed, in words that can be compared. */
static void parse(const char *data, size_t size, size_t block, struct buf *out)
{
    struct reply_parser p = REPLY_PARSER_INIT;
    enum reply_status status = REPLY_MORE;
    size_t lines = 0;
    for (size_t at = 0, used; at < size && status != REPLY_BAD; at += used) {
        struct reply r = REPLY_INIT;
        size_t n = block < size - at ? block : size - at;
        status = reply_feed(&p, data + at, n, &used, &r, count, &lines);
        require(used > 0 && used <= n);
        require(status != REPLY_MORE || used == n);
        if (status == REPLY_DONE) {
            require(r.code >= 200 && r.code <= 599 && r.lines <= REPLY_LINES_MAX && r.text.len <= REPLY_TOTAL_MAX);
            require(!reply_pending(&p));
            reply_format(&r, out);
            buf_addc(out, '|');
            size_t line = out->len;
            reply_format_line(&r, out);
            long delay = delay_asked(out->data + line);
            require(delay >= 0 && delay <= DELAY_MAX && (r.code / 100 == 4 || strchr(out->data + line, ':') || delay == 0));
            buf_addc(out, '\n');
            reply_free(&r);
        }
    }
    if (status == REPLY_BAD)
        require(p.why != NULL);
    buf_printf(out, "%d %zu", status == REPLY_BAD, lines);
    reply_parser_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct buf whole = BUF_INIT, parts = BUF_INIT;
    parse((const char *)data + 1, size - 1, size, &whole);
    parse((const char *)data + 1, size - 1, data[0] % 17 + 1u, &parts);
    require(whole.len == parts.len && !memcmp(whole.data, parts.data, whole.len));
    buf_free(&whole);
    buf_free(&parts);
    return 0;
}
