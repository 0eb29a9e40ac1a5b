/* err: the first failure wins, and the tables are whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"

static void first_wins(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_false(err_is_set(&e));
    assert_false(err_hint(&e, "nothing to complete"));
    assert_false(err_server(&e, "250"));
    assert_false(err_stage(&e, STAGE_RCPT));
    assert_null(e.hint);
    assert_int_equal(e.stage, STAGE_NONE);

    assert_false(err_set(&e, FAULT_TIMEOUT, "no reply in %d seconds", 5));
    assert_false(err_set(&e, FAULT_LOST, "later"));
    assert_false(err_sys(&e, FAULT_IO, EIO, "later"));
    assert_int_equal(e.fault, FAULT_TIMEOUT);
    assert_string_equal(e.text, "no reply in 5 seconds");
    err_hint(&e, "wait %s", "longer");
    err_hint(&e, "other");
    assert_string_equal(e.hint, "wait longer");
    err_server(&e, "421 bye");
    err_server(&e, "221");
    assert_string_equal(e.server, "421 bye");
    err_stage(&e, STAGE_EHLO);
    err_stage(&e, STAGE_QUIT);
    assert_int_equal(e.stage, STAGE_EHLO);
    err_clear(&e);
    err_clear(&e);
    assert_false(err_is_set(&e));

    err_sys(&e, FAULT_NO_INPUT, ENOENT, "cannot read '%s'", "x");
    assert_string_equal(e.text, "cannot read 'x': No such file or directory");
    err_clear(&e);
}

static void moving(void **state)
{
    (void)state;
    struct err a = ERR_INIT, b = ERR_INIT, c = ERR_INIT;
    err_copy(&a, &b);
    err_move(&a, &b);
    assert_false(err_is_set(&a));
    err_set(&a, FAULT_AUTH, "one");
    err_hint(&a, "hint");
    a.fate = FATE_MAYBE_SENT;
    err_copy(&b, &a);
    assert_string_equal(b.text, "one");
    assert_string_equal(b.hint, "hint");
    assert_null(b.server);
    assert_int_equal(b.fate, FATE_MAYBE_SENT);
    assert_ptr_not_equal(b.text, a.text);
    err_set(&c, FAULT_DNS, "three");
    err_copy(&c, &a);
    assert_string_equal(c.text, "three");
    err_move(&c, &a);
    assert_string_equal(c.text, "three");
    assert_false(err_is_set(&a));
    err_move(&a, &c);
    assert_string_equal(a.text, "three");
    assert_false(err_is_set(&c));
    err_move(&a, &a);
    assert_true(err_is_set(&a));
    err_clear(&a);
    err_clear(&b);
}

static void tables(void **state)
{
    (void)state;
    static const struct { enum fault fault; int exit; const char *name; bool retry; } rows[] = {
        { FAULT_NONE, 0, "EX_OK", false }, { FAULT_USAGE, 64, "EX_USAGE", false }, { FAULT_MESSAGE, 65, "EX_DATAERR", false },
        { FAULT_NO_INPUT, 66, "EX_NOINPUT", false }, { FAULT_RECIPIENTS, 67, "EX_NOUSER", false },
        { FAULT_NO_HOST, 68, "EX_NOHOST", false }, { FAULT_UNAVAILABLE, 69, "EX_UNAVAILABLE", false },
        { FAULT_SOFTWARE, 70, "EX_SOFTWARE", false }, { FAULT_SYSTEM, 71, "EX_OSERR", false },
        { FAULT_CANT_CREATE, 73, "EX_CANTCREAT", false }, { FAULT_IO, 74, "EX_IOERR", false },
        { FAULT_TEMPORARY, 75, "EX_TEMPFAIL", true }, { FAULT_TIMEOUT, 75, "EX_TEMPFAIL", true },
        { FAULT_CONNECT, 75, "EX_TEMPFAIL", true }, { FAULT_LOST, 75, "EX_TEMPFAIL", true },
        { FAULT_INTERRUPTED, 75, "EX_TEMPFAIL", true }, { FAULT_DNS, 75, "EX_TEMPFAIL", true },
        { FAULT_PROTOCOL, 76, "EX_PROTOCOL", false }, { FAULT_TLS, 76, "EX_PROTOCOL", false },
        { FAULT_CERTIFICATE, 77, "EX_NOPERM", false }, { FAULT_AUTH, 77, "EX_NOPERM", false }, { FAULT_CONFIG, 78, "EX_CONFIG", false },
        { FAULT_PARTIAL, 79, "EX_PARTIAL", false },
    };
    assert_int_equal(sizeof rows / sizeof *rows, FAULT_COUNT);
    for (size_t i = 0; i < FAULT_COUNT; i++) {
        assert_int_equal(fault_exit(rows[i].fault), rows[i].exit);
        assert_string_equal(fault_sysexit_name(rows[i].fault), rows[i].name);
        assert_int_equal(fault_retry_helps(rows[i].fault), rows[i].retry);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(fault_word((enum fault)i), fault_word((enum fault)k));
    }
    for (size_t i = 0; i < STAGE_COUNT; i++) {
        assert_non_null(stage_phrase((enum stage)i));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(stage_word((enum stage)i), stage_word((enum stage)k));
    }
    assert_string_equal(fate_word(FATE_MAYBE_SENT), "maybe-sent");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(first_wins), cmocka_unit_test(moving), cmocka_unit_test(tables) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
