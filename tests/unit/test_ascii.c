/* ascii: comparisons, numbers, wildcards, the nearest word, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

static void comparing(void **state)
{
    (void)state;
    assert_true(ascii_ieq("StartTLS", "STARTTLS"));
    assert_false(ascii_ieq("STARTTL", "STARTTLS"));
    assert_false(ascii_ieq("STARTTLS", "STARTTL"));
    assert_true(ascii_ieq("", ""));
    assert_false(ascii_ieq("\xc4", "\xe4")); /* letters in Latin-1 only */
    assert_false(ascii_ieq("[", "{"));
    assert_true(ascii_ieqn("size 10", "SIZE=10", 4));
    assert_false(ascii_ieqn("size", "sizf", 4));
    assert_true(ascii_istarts("AUTH PLAIN", "auth"));
    assert_false(ascii_istarts("AU", "auth"));
    assert_string_equal(ascii_icontains("a Message-ID: x", "message-id"), "Message-ID: x");
    assert_null(ascii_icontains("abc", "abcd"));
    assert_string_equal(ascii_icontains("abc", ""), "abc");
    assert_string_equal(ascii_icontains("", ""), "");
}

static void seven_bit(void **state)
{
    (void)state;
    char text[200];
    for (size_t n = 0; n < sizeof text; n++) {
        memset(text, 'a', sizeof text);
        if (n < sizeof text)
            text[n] = '\xff'; /* just outside */
        assert_true(ascii_only(text, n));
        for (size_t i = 0; i < n; i++) {
            text[i] = '\x80';
            assert_false(ascii_only(text, n));
            text[i] = 0x7f;
        }
    }
    assert_true(ascii_line_safe("abc", 3));
    assert_true(ascii_line_safe(NULL, 0));
    assert_false(ascii_line_safe("a\rb", 3));
    assert_false(ascii_line_safe("ab\n", 3));
    assert_false(ascii_line_safe("\0ab", 3));
}

static void wildcards(void **state)
{
    (void)state;
    static const struct { const char *pattern, *s; bool match; } rows[] = {
        { "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "abc", true }, { "?", "", false },
        { "*@example.org", "Joe@EXAMPLE.org", true }, { "*@example.org", "joe@example.com", false },
        { "a*b*c", "aXbXbYc", true }, { "a*b*c", "aXbXbY", false }, { "a?c", "abc", true }, { "a?c", "ac", false },
        { "**a", "ba", true }, { "*.*", "a", false }, { "a*", "a", true }, { "abc", "abcd", false },
        { "*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
        { "\\*", "*", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(ascii_wildmatch(rows[i].pattern, rows[i].s), rows[i].match);
}

static void numbers(void **state)
{
    (void)state;
    static const struct { const char *s; bool ok; long long value; } rows[] = {
        { "0", true, 0 }, { "65535", true, 65535 }, { "65536", false, 0 }, { "-1", false, 0 }, { "-5", false, 0 },
        { "", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 }, { "+1", false, 0 }, { "0x10", false, 0 }, { "1e3", false, 0 },
        { "99999999999999999999", false, 0 }, { "007", true, 7 }, { "-", false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        long long v = -77;
        assert_int_equal(ascii_number(rows[i].s, 0, 65535, &v), rows[i].ok);
        assert_int_equal(v, rows[i].ok ? rows[i].value : -77);
    }
    long long v;
    assert_true(ascii_number("-9223372036854775808", INT64_MIN, INT64_MAX, &v));
    assert_true(v == INT64_MIN);
}

static void nearest(void **state)
{
    (void)state;
    static const char *const words[] = { "host", "port", "tls_starttls", "tls", "timeout", "from", NULL };
    static const struct { const char *word, *want; } rows[] = {
        { "hots", "host" }, { "tls_starttl", "tls_starttls" }, { "TIMEUOT", "timeout" }, { "form", "from" },
        { "tsl", "tls" }, { "xyz", NULL }, { "", NULL }, { "posrt", "port" }, { "completely", NULL },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = ascii_nearest(rows[i].word, words);
        assert_string_equal(got ? got : "(none)", rows[i].want ? rows[i].want : "(none)");
    }
}

static void utf8(void **state)
{
    (void)state;
    static const struct { const char *s; bool valid; } rows[] = {
        { "", true }, { "abc", true }, { "gr\xc3\xbc\xc3\x9f", true }, { "\xe2\x82\xac", true }, { "\xf0\x9f\x93\xa7", true },
        { "\xf4\x8f\xbf\xbf", true }, { "\xf4\x90\x80\x80", false }, { "\xf5\x80\x80\x80", false },
        { "\xc0\x80", false }, { "\xc1\xbf", false }, { "\xe0\x9f\xbf", false }, { "\xf0\x8f\xbf\xbf", false },
        { "\xed\x9f\xbf", true }, { "\xed\xa0\x80", false }, { "\xee\x80\x80", true }, { "\x80", false },
        { "\xc3", false }, { "\xe2\x82", false }, { "\xe2(\xa1", false }, { "a\xffz", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(utf8_valid(rows[i].s, strlen(rows[i].s)), rows[i].valid);
    assert_true(utf8_valid("a\0b", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comparing), cmocka_unit_test(seven_bit), cmocka_unit_test(wildcards),
        cmocka_unit_test(numbers), cmocka_unit_test(nearest), cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
