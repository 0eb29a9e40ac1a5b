/* The dot filter against unstuffing, in blocks of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/dot.h"

static void stuff(const char *p, size_t n, size_t block, struct buf *out)
{
    struct dot d = DOT_INIT;
    while (n > 0) {
        bool again;
        size_t part = n < block ? n : block, len = dot_slice(&d, p, part, &again);
        assert_true(len > 0 && len <= part);
        buf_add(out, p, len);
        p += again ? len - 1 : len;
        n -= again ? len - 1 : len;
    }
}

/* What a receiver does, line by line (RFC 5321 4.5.2). A lone dot would end the message. */
static void unstuff(const struct buf *in, struct buf *out)
{
    for (size_t i = 0; i < in->len;) {
        const char *lf = memchr(in->data + i, '\n', in->len - i);
        size_t end = lf ? (size_t)(lf - in->data) + 1 : in->len;
        assert_false(end - i == 3 && memcmp(in->data + i, ".\r\n", 3) == 0);
        if (in->data[i] == '.')
            i++;
        buf_add(out, in->data + i, end - i);
        i = end;
    }
}

static void test_rows(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "a\r\n", "a\r\n" },
        { ".\r\n", "..\r\n" },
        { "..\r\n", "...\r\n" },
        { "a.b\r\n.c\r\n", "a.b\r\n..c\r\n" },
        { "a\r\n.\r\n.\r\n", "a\r\n..\r\n..\r\n" },
        { "\r\n.", "\r\n.." },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t block = 1; block < 12; block++) {
            struct buf got = BUF_INIT;
            stuff(rows[i].in, strlen(rows[i].in), block, &got);
            assert_string_equal(got.data, rows[i].out);
            buf_free(&got);
        }
}

static void test_round_trip(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 5000; run++) {
        unsigned seed = run;
        struct buf text = BUF_INIT, stuffed = BUF_INIT, back = BUF_INIT;
        for (size_t i = 0; i < run % 200; i++) {
            int r = rand_r(&seed) % 3;
            buf_adds(&text, r == 0 ? "." : r == 1 ? "\r\n" : "x");
        }
        buf_adds(&text, "\r\n");
        stuff(text.data, text.len, 1 + run % 17, &stuffed);
        unstuff(&stuffed, &back);
        assert_int_equal(back.len, text.len);
        assert_memory_equal(back.data, text.data, text.len);
        buf_free(&text);
        buf_free(&stuffed);
        buf_free(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_round_trip) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
