/* The header section: what belongs to it, what is kept, what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "mail/header.h"

static void test_parse(void **state)
{
    (void)state;
    static const struct { const char *in, *headers, *body; size_t n; } rows[] = {
        { "", "", "", 0 },
        { "\r\n", "", "", 0 },
        { "\r\nbody\r\n", "", "body\r\n", 0 },
        { "A: b\r\n\r\nbody\r\n", "A: b\r\n", "body\r\n", 1 },
        { "A: b\r\n c\r\n\td\r\nE:f\r\n\r\n\r\nx\r\n", "A: b\r\n c\r\n\td\r\nE:f\r\n", "\r\nx\r\n", 2 },
        { "A : b\r\n\r\n", "A : b\r\n", "", 1 },
        { "A: b\r\n", "A: b\r\n", "", 1 },
        { "plain text\r\n", "", "plain text\r\n", 0 },
        { " A: b\r\n", "", " A: b\r\n", 0 },
        { ": b\r\n", "", ": b\r\n", 0 },
        { "A b: c\r\n", "", "A b: c\r\n", 0 },
        { "\xc3\xa4: c\r\n", "", "\xc3\xa4: c\r\n", 0 },
        { "A: b\r\n--\r\nC: d\r\n", "A: b\r\n", "--\r\nC: d\r\n", 1 },
        { "From me@x Sat Nov 21 21:00:00 2026\r\nA: b\r\n\r\nx\r\n", "A: b\r\n", "x\r\n", 1 },
        { "From : me@x\r\nA: b\r\n\r\n", "From : me@x\r\nA: b\r\n", "", 2 },
        { "A: b\r\nFrom me@x Sat\r\nC: d\r\n", "A: b\r\n", "From me@x Sat\r\nC: d\r\n", 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct header_list l = HEADER_LIST_INIT;
        struct buf out = BUF_INIT;
        size_t used;
        header_list_parse(&l, rows[i].in, strlen(rows[i].in), &used);
        assert_int_equal(l.n, rows[i].n);
        assert_string_equal(rows[i].in + used, rows[i].body);
        header_list_write(&l, &out);
        assert_string_equal(out.data, rows[i].headers);
        assert_int_equal(out.len, header_list_size(&l));
        header_list_free(&l);
        buf_free(&out);
    }
}

static void test_find_and_remove(void **state)
{
    (void)state;
    static const char text[] = "To: a\r\nbCC  : x\r\nBcc: y\r\n z\r\nBccx: q\r\nto: c\r\nBCC\t:w\r\n\r\n";
    struct header_list l = HEADER_LIST_INIT;
    size_t used;
    header_list_parse(&l, text, strlen(text), &used);
    assert_int_equal(header_find(&l, "TO", 0), 0);
    assert_int_equal(header_find(&l, "TO", 1), 4);
    assert_int_equal(header_find(&l, "Cc", 0), -1);
    assert_int_equal(header_remove(&l, "Bcc"), 3);
    assert_int_equal(header_remove(&l, "Bcc"), 0);
    struct buf out = BUF_INIT;
    header_list_write(&l, &out);
    assert_string_equal(out.data, "To: a\r\nBccx: q\r\nto: c\r\n");
    buf_free(&out);
    header_list_free(&l);
}

static void test_value(void **state)
{
    (void)state;
    static const char text[] = "Subject:  a\r\n  b\r\n\tc \r\n\r\n";
    struct header_list l = HEADER_LIST_INIT;
    struct buf out = BUF_INIT;
    size_t used;
    header_list_parse(&l, text, strlen(text), &used);
    header_value(&l.v[0], &out);
    assert_string_equal(out.data, "a  b\tc");
    buf_free(&out);
    header_list_free(&l);
}

#define W9 "123456789 "

static void test_insert(void **state)
{
    (void)state;
    static const struct { const char *value, *out; } rows[] = {
        { "v", "Name: v\r\n" },
        { "  v  ", "Name: v\r\n" },
        { "", "Name: \r\n" },
        { "a\r\nBcc: evil\t\x01x", "Name: a  Bcc: evil  x\r\n" },
        { W9 W9 W9 W9 W9 W9 W9 W9 "end", "Name: " W9 W9 W9 W9 W9 W9 "123456789\r\n 123456789 end\r\n" },
        { W9 W9 W9 W9 W9 W9 "  end", "Name: " W9 W9 W9 W9 W9 "123456789   end\r\n" },
        { W9 W9 W9 W9 W9 W9 W9 "  ending", "Name: " W9 W9 W9 W9 W9 W9 "123456789\r\n   ending\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct header_list l = HEADER_LIST_INIT;
        struct buf out = BUF_INIT;
        size_t used;
        header_insert(&l, 0, "Name", rows[i].value);
        header_list_write(&l, &out);
        assert_string_equal(out.data, rows[i].out);
        header_list_free(&l);
        header_list_parse(&l, out.data, out.len, &used);
        assert_int_equal(l.n, 1);
        header_list_free(&l);
        buf_free(&out);
    }
}

static void test_insert_order(void **state)
{
    (void)state;
    struct header_list l = HEADER_LIST_INIT;
    struct buf out = BUF_INIT;
    header_insert(&l, 0, "B", "2");
    header_insert(&l, 0, "A", "1");
    header_insert(&l, 2, "D", "4");
    header_insert(&l, 2, "C", "3");
    header_list_write(&l, &out);
    assert_string_equal(out.data, "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n");
    header_list_free(&l);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),  cmocka_unit_test(test_find_and_remove), cmocka_unit_test(test_value),
        cmocka_unit_test(test_insert), cmocka_unit_test(test_insert_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
