/* reply: what is a reply and what is not, whole and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/reply.h"

static const struct row {
    const char *in;
    int code;
    const char *text;
    size_t lines;
    const char *enhanced;
    const char *line; /* by reply_format_line */
} good[] = {
    { "220 mail.example ESMTP\r\n", 220, "mail.example ESMTP", 1, "", "220 mail.example ESMTP" },
    { "250\r\n", 250, "", 1, "", "250" },
    { "250 \r\n", 250, "", 1, "", "250" },
    { "250\n", 250, "", 1, "", "250" },
    { "354 go\n", 354, "go", 1, "", "354 go" },
    { "250-a\r\n250-\r\n250 B\r\n", 250, "a\n\nB", 3, "", "250 a B" },
    { "250-a\r\n250\r\n", 250, "a\n", 2, "", "250 a" },
    { "250-a\n250 b\r\n", 250, "a\nb", 2, "", "250 a b" },
    { "553-5.7.1 not yours\r\n553 5.7.1 at all\r\n", 553, "5.7.1 not yours\n5.7.1 at all", 2, "5.7.1", "553 5.7.1 not yours at all" },
    { "553-first\r\n553 5.1.3\r\n", 553, "first\n5.1.3", 2, "5.1.3", "553 first" },
    { "450 4.7.25 x\r\n", 450, "4.7.25 x", 1, "4.7.25", "450 4.7.25 x" },
    { "599 5.7.1x\r\n", 599, "5.7.1x", 1, "", "599 5.7.1x" },
    { "250 gr\xc3\xbc\xc3\x9f \xff\r\n", 250, "gr\xc3\xbc\xc3\x9f \xff", 1, "", "250 gr\xc3\xbc\xc3\x9f \xff" },
};

static void check(const struct row *row, const struct reply *r)
{
    char enhanced[32] = "";
    struct buf line = BUF_INIT;
    assert_int_equal(r->code, row->code);
    assert_string_equal(r->text.data, row->text);
    assert_int_equal(r->lines, row->lines);
    if (r->enhanced[0])
        snprintf(enhanced, sizeof enhanced, "%d.%d.%d", r->enhanced[0], r->enhanced[1], r->enhanced[2]);
    assert_string_equal(enhanced, row->enhanced);
    reply_format_line(r, &line);
    assert_string_equal(line.data, row->line);
    buf_free(&line);
}

static void count_line(void *ctx, const char *text, size_t n)
{
    assert_true(!memchr(text, '\n', n));
    ++*(size_t *)ctx;
}

static void legal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        for (size_t step = 1; step < 8; step++) {
            struct reply_parser p = REPLY_PARSER_INIT;
            struct reply r = REPLY_INIT;
            size_t used, lines = 0, len = strlen(good[i].in), at = 0;
            enum reply_status status = REPLY_MORE;
            while (status == REPLY_MORE && at < len) {
                size_t n = step == 7 || at + step > len ? len - at : step;
                status = reply_feed(&p, good[i].in + at, n, &used, &r, count_line, &lines);
                at += used;
                assert_int_equal(reply_pending(&p), status == REPLY_MORE);
            }
            assert_int_equal(status, REPLY_DONE);
            assert_int_equal(at, len);
            assert_int_equal(lines, good[i].lines);
            check(&good[i], &r);
            reply_free(&r);
            reply_parser_free(&p);
        }
    }
}

static void control_octets(void **state)
{
    (void)state;
    static const char in[] = "200 \x1b[31m\0\t.\x7f\r\r\n";
    struct reply_parser p = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    size_t used;
    assert_int_equal(reply_feed(&p, in, sizeof in - 1, &used, &r, NULL, NULL), REPLY_DONE);
    assert_string_equal(r.text.data, "?[31m? .??");
    reply_free(&r);
    reply_parser_free(&p);
}

static void several_in_one_block(void **state)
{
    (void)state;
    static const char in[] = "250 one\r\n250-two\r\n250 2\r\n354 three\r\n22";
    struct reply_parser p = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    size_t used, at = 0;
    assert_int_equal(reply_feed(&p, in, strlen(in), &used, &r, NULL, NULL), REPLY_DONE);
    assert_string_equal(r.text.data, "one");
    reply_free(&r);
    at += used;
    assert_int_equal(reply_feed(&p, in + at, strlen(in + at), &used, &r, NULL, NULL), REPLY_DONE);
    assert_string_equal(r.text.data, "two\n2");
    reply_free(&r);
    at += used;
    assert_int_equal(reply_feed(&p, in + at, strlen(in + at), &used, &r, NULL, NULL), REPLY_DONE);
    assert_true(reply_more(&r));
    assert_false(reply_pending(&p));
    reply_free(&r);
    at += used;
    assert_int_equal(reply_feed(&p, in + at, strlen(in + at), &used, &r, NULL, NULL), REPLY_MORE);
    assert_int_equal(used, 2);
    assert_true(reply_pending(&p));
    reply_parser_free(&p);
    assert_false(reply_pending(&p));
}

static void illegal(void **state)
{
    (void)state;
    static const struct { const char *in, *why, *excerpt; } rows[] = {
        { "\r\n", "the reply does not begin with three digits", "" },
        { "HTTP/1.1 400 Bad\r\n", "the reply does not begin with three digits", "HTTP/1.1 400 Bad" },
        { "25\r\n", "the reply does not begin with three digits", "25" },
        { "\x1b]0;x\x07\r\n", "the reply does not begin with three digits", "?]0;x?" },
        { "150 x\r\n", "the reply code is not between 200 and 599", "150 x" },
        { "600 x\r\n", "the reply code is not between 200 and 599", "600 x" },
        { "2500 x\r\n", "the reply code is not followed by a blank or a hyphen", "2500 x" },
        { "250_x\r\n", "the reply code is not followed by a blank or a hyphen", "250_x" },
        { "250-a\r\n550 b\r\n", "the lines of the reply have different codes", "550 b" },
        { "250-a\r\n251-b\r\n", "the lines of the reply have different codes", "251-b" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reply_parser p = REPLY_PARSER_INIT;
        struct reply r = REPLY_INIT;
        size_t used;
        assert_int_equal(reply_feed(&p, rows[i].in, strlen(rows[i].in), &used, &r, NULL, NULL), REPLY_BAD);
        assert_string_equal(p.why, rows[i].why);
        assert_string_equal(p.excerpt, rows[i].excerpt);
        assert_int_equal(reply_feed(&p, "250 ok\r\n", 8, &used, &r, NULL, NULL), REPLY_BAD);
        assert_int_equal(used, 0);
        reply_parser_free(&p);
    }
}

/* Feeds `unit` until the parser has had enough; how many octets it took. */
static size_t endless(const char *unit, size_t block, const char **why)
{
    struct reply_parser p = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    struct buf in = BUF_INIT;
    size_t used, total = 0, at = 0;
    while (in.len < 1000000)
        buf_adds(&in, unit);
    while (at < in.len) {
        enum reply_status s = reply_feed(&p, in.data + at, block < in.len - at ? block : in.len - at, &used, &r, NULL, NULL);
        total += used;
        at += used;
        if (s != REPLY_MORE)
            break;
        assert_true(p.line.cap <= 2 * REPLY_LINE_MAX);
    }
    *why = p.why;
    reply_parser_free(&p);
    buf_free(&in);
    return total;
}

static void limits(void **state)
{
    (void)state;
    static const size_t blocks[] = { 1, 7, 512, 16384, 2000000 };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *why;
        endless("x", blocks[i], &why);
        assert_string_equal(why, "a line of the reply is too long");
        assert_true(endless("250-x\r\n", blocks[i], &why) <= 7 * (REPLY_LINES_MAX + 1));
        assert_string_equal(why, "the reply has too many lines");
        struct buf unit = BUF_INIT;
        buf_printf(&unit, "250-%0*d\r\n", 8000, 0);
        assert_true(endless(unit.data, blocks[i], &why) <= REPLY_TOTAL_MAX + unit.len);
        assert_string_equal(why, "the reply is too long");
        buf_free(&unit);
    }
    /* The longest line and the most lines that are allowed. */
    struct buf in = BUF_INIT;
    struct reply_parser p = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    size_t used;
    buf_printf(&in, "250-%0*d\r\n", REPLY_LINE_MAX - 5, 0);
    for (int i = 0; i < REPLY_LINES_MAX - 2; i++)
        buf_adds(&in, "250-x\r\n");
    buf_adds(&in, "250 y\r\n");
    assert_int_equal(reply_feed(&p, in.data, in.len, &used, &r, NULL, NULL), REPLY_DONE);
    assert_int_equal(r.lines, REPLY_LINES_MAX);
    reply_free(&r);
    reply_parser_free(&p);
    buf_free(&in);
}

static void formats(void **state)
{
    (void)state;
    struct reply_parser p = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT, copy = REPLY_INIT;
    struct buf out = BUF_INIT;
    size_t used;
    const char *in = "553-5.7.1 first line\r\n553-\r\n553 second\r\n";
    assert_int_equal(reply_feed(&p, in, strlen(in), &used, &r, NULL, NULL), REPLY_DONE);
    reply_copy(&copy, &r);
    reply_copy(&copy, &r);
    reply_free(&r);
    reply_free(&r);
    reply_format(&copy, &out);
    assert_string_equal(out.data, "553-5.7.1 first line\n553-\n553 second");
    buf_reset(&out);
    reply_format_line(&copy, &out);
    assert_string_equal(out.data, "553 5.7.1 first line second");
    assert_true(reply_permanent(&copy) && !reply_ok(&copy) && !reply_temporary(&copy));
    buf_free(&out);
    reply_free(&copy);
    reply_parser_free(&p);
}

static void enhanced_codes(void **state)
{
    (void)state;
    static const struct { const char *text; size_t len; } rows[] = {
        { "2.0.0", 5 }, { "5.7.1 x", 5 }, { "4.123.456\tx", 9 }, { "2.0.0\nx", 5 }, { "2.0.0x", 0 }, { "3.0.0 x", 0 }, { "2.0 x", 0 },
        { "2..0", 0 }, { "22.0.0", 0 }, { "2.1234.0", 0 }, { "", 0 }, { "2", 0 }, { "2.0.0.1", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int out[3] = { -1, -1, -1 };
        assert_int_equal(reply_enhanced(rows[i].text, out), rows[i].len);
        assert_true(rows[i].len ? out[0] > 0 : out[0] == -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal), cmocka_unit_test(control_octets), cmocka_unit_test(several_in_one_block), cmocka_unit_test(illegal),
        cmocka_unit_test(limits), cmocka_unit_test(formats), cmocka_unit_test(enhanced_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
