/* strlist: order, ownership, splitting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/strlist.h"

static void adding(void **state)
{
    (void)state;
    struct strlist l = STRLIST_INIT, copy = STRLIST_INIT;
    for (int i = 0; i < 100; i++) {
        strlist_add(&l, i % 2 ? "odd" : "even");
        assert_null(l.v[l.n]);
    }
    strlist_addn(&l, "abcdef", 3);
    strlist_add_own(&l, strdup("own"));
    assert_int_equal(l.n, 102);
    assert_string_equal(l.v[99], "odd");
    assert_string_equal(l.v[100], "abc");
    assert_true(strlist_has(&l, "own"));
    assert_false(strlist_has(&l, "OWN"));
    assert_true(strlist_has_nocase(&l, "OWN"));
    assert_false(strlist_has_nocase(&l, "ow"));
    strlist_add(&copy, "gone");
    strlist_copy(&copy, &l);
    strlist_copy(&copy, &copy);
    assert_int_equal(copy.n, 102);
    assert_string_equal(copy.v[0], "even");
    strlist_free(&l);
    strlist_copy(&copy, &l);
    assert_int_equal(copy.n, 0);
    strlist_free(&copy);
    strlist_free(&copy);
}

static void splitting(void **state)
{
    (void)state;
    static const struct { const char *s; const char *want; } rows[] = {
        { "", "" }, { " , ,", "" }, { "a", "a|" }, { "a,b c", "a|b|c|" }, { ",,a,,b, ", "a|b|" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strlist l = STRLIST_INIT;
        char got[64] = "";
        strlist_split(&l, rows[i].s, ", ");
        for (size_t k = 0; k < l.n; k++)
            strcat(strcat(got, l.v[k]), "|");
        assert_string_equal(got, rows[i].want);
        strlist_free(&l);
    }
}

static void words(void **state)
{
    (void)state;
    static const struct { const char *s; bool ok; const char *want; } rows[] = {
        { "", false, "" }, { "  ", false, "" }, { "exim -bh  192.0.2.1 ", true, "exim|-bh|192.0.2.1|" }, { "a 'b c'\"d e\"f", true, "a|b cd ef|" },
        { "a '' \"\"", true, "a|||" }, { "a\\ b \"c\\\"d\" 'e\\f'", true, "a b|c\"d|e\\f|" }, { "a 'b", false, "a|b|" }, { "a\\", true, "a\\|" },
        { "a; b $c", true, "a;|b|$c|" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strlist l = STRLIST_INIT;
        char got[64] = "";
        assert_int_equal(strlist_words(&l, rows[i].s), rows[i].ok);
        for (size_t k = 0; k < l.n; k++)
            strcat(strcat(got, l.v[k]), "|");
        assert_string_equal(got, rows[i].want);
        strlist_free(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(adding), cmocka_unit_test(splitting), cmocka_unit_test(words) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
