/* test_dialogue: the dialogue format's lines, expectations and escapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "smtp/dialogue.h"

static const struct {
    const char *text;
    bool plain;
    enum dialogue_kind kind;
    const char *word, *line;
} lines[] = {
    { "C: EHLO x", false, DIALOGUE_CLIENT, NULL, "EHLO x" },
    { "C:EHLO x", false, DIALOGUE_CLIENT, NULL, "EHLO x" },
    { "C:  EHLO x\r", false, DIALOGUE_CLIENT, NULL, " EHLO x" },
    { "C:", false, DIALOGUE_CLIENT, NULL, "" },
    { "S: 250-a", false, DIALOGUE_SERVER, NULL, "250-a" },
    { "# a note", false, DIALOGUE_NOTE, NULL, "a note" },
    { "#", false, DIALOGUE_NOTE, NULL, "" },
    { "# @ no directive", false, DIALOGUE_NOTE, NULL, "@ no directive" },
    { "# @starttls", false, DIALOGUE_DIRECTIVE, "starttls", "" },
    { "# @set  tls on", false, DIALOGUE_DIRECTIVE, "set", "tls on" },
    { "#@eof", false, DIALOGUE_DIRECTIVE, "eof", "" },
    { "EHLO x", true, DIALOGUE_CLIENT, NULL, "EHLO x" },
    { "C: EHLO x", true, DIALOGUE_CLIENT, NULL, "EHLO x" },
};

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct dialogue d = DIALOGUE_INIT;
        struct err e = ERR_INIT;
        assert_true(dialogue_parse(&d, "t", lines[i].text, strlen(lines[i].text), lines[i].plain, &e));
        assert_int_equal(d.n, 1);
        assert_int_equal(d.v[0].kind, lines[i].kind);
        assert_int_equal(d.v[0].number, 1);
        assert_string_equal(d.v[0].text, lines[i].line);
        if (lines[i].word != NULL)
            assert_string_equal(d.v[0].word, lines[i].word);
        else
            assert_null(d.v[0].word);
        dialogue_free(&d);
    }
}

static void test_numbers(void **state)
{
    const char *text = "# one\n\n \t\nC: QUIT\nS: 221 bye";
    struct dialogue d = DIALOGUE_INIT;
    struct err e = ERR_INIT;

    (void)state;
    assert_true(dialogue_parse(&d, "t", text, strlen(text), false, &e));
    assert_int_equal(d.n, 3);
    assert_int_equal(d.v[1].number, 4);
    assert_int_equal(d.v[2].number, 5);
    dialogue_free(&d);
    dialogue_free(&d);
}

static void test_errors(void **state)
{
    static const struct { const char *text; size_t n; const char *part; } bad[] = {
        { "C: a\nEHLO x", 11, "t:2: 'EHLO x'" },
        { "X: a", 4, "t:1: 'X: a'" },
        { "C: a\rb", 6, "t:1: a CR or NUL" },
        { "S: a\0b", 6, "t:1: a CR or NUL" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct dialogue d = DIALOGUE_INIT;
        struct err e = ERR_INIT;
        assert_false(dialogue_parse(&d, "t", bad[i].text, bad[i].n, false, &e));
        assert_int_equal(e.fault, FAULT_CONFIG);
        assert_non_null(strstr(e.text, bad[i].part));
        assert_non_null(e.hint);
        err_clear(&e);
        dialogue_free(&d);
    }
}

static void test_unquote(void **state)
{
    static const struct { const char *text; bool ok; const char *out; size_t n; } cases[] = {
        { "as it \\n is", true, "as it \\n is", 11 }, { "", true, "", 0 }, { "\"\"", true, "", 0 },
        { "\"a\\r\\n\\t\\0\\\\\\\"\\x7fz\"  ", true, "a\r\n\t\0\\\"\x7fz", 9 },
        { "\"a", false, "", 0 }, { "\"a\" b", false, "", 0 }, { "\"\\q\"", false, "", 0 },
        { "\"\\x\"", false, "", 0 }, { "\"\\xg0\"", false, "", 0 }, { "\"\\", false, "", 0 }, { "\"\\x1", false, "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT;
        struct err e = ERR_INIT;
        assert_int_equal(dialogue_unquote(cases[i].text, &out, &e), cases[i].ok);
        assert_int_equal(err_is_set(&e), !cases[i].ok);
        if (cases[i].ok) {
            assert_int_equal(out.len, cases[i].n);
            assert_memory_equal(out.data, cases[i].out, cases[i].n);
        }
        err_clear(&e);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines), cmocka_unit_test(test_numbers), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_unquote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
