/* Recipients once each, and what their fates amount to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "mail/envelope.h"

static void test_add(void **state)
{
    (void)state;
    static const char *const given[] = { "a@b", "a@B", "A@b", "a@b", "root", "Root", "\"x@y\"@z", "\"x@y\"@Z", "a@c" };
    static const char *const kept[] = { "a@b", "A@b", "root", "Root", "\"x@y\"@z", "a@c" };
    struct envelope env = ENVELOPE_INIT;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        envelope_add(&env, given[i]);
    assert_int_equal(env.n, sizeof kept / sizeof *kept);
    for (size_t i = 0; i < env.n; i++)
        assert_string_equal(env.rcpts[i].address, kept[i]);
    envelope_free(&env);
    envelope_free(&env);
}

/* Takes minutes where each address is compared with all before it. */
static void test_many(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct envelope env = ENVELOPE_INIT;
    char address[64];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MANY; i++) {
            snprintf(address, sizeof address, "user%d@example.%s", i, round ? "ORG" : "org");
            envelope_add(&env, address);
        }
    assert_int_equal(env.n, MANY);
    assert_string_equal(env.rcpts[MANY - 1].address, "user99999@example.org");
    envelope_free(&env);
}

static void test_verdict(void **state)
{
    (void)state;
    enum { P = RCPT_PENDING, A = RCPT_ACCEPTED, D = RCPT_DEFERRED, R = RCPT_REFUSED, U = RCPT_UNCERTAIN };
    static const struct { int a, b; enum fault verdict; } rows[] = {
        { A, A, FAULT_NONE },       { A, R, FAULT_PARTIAL },   { A, D, FAULT_PARTIAL },   { A, P, FAULT_PARTIAL },
        { R, R, FAULT_RECIPIENTS }, { R, D, FAULT_TEMPORARY }, { D, D, FAULT_TEMPORARY }, { P, P, FAULT_TEMPORARY },
        { U, U, FAULT_TEMPORARY },  { R, U, FAULT_TEMPORARY },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope env = ENVELOPE_INIT;
        envelope_add(&env, "a@x");
        envelope_add(&env, "b@x");
        env.rcpts[0].fate = (enum rcpt_fate)rows[i].a;
        env.rcpts[1].fate = (enum rcpt_fate)rows[i].b;
        assert_int_equal(envelope_verdict(&env), rows[i].verdict);
        envelope_free(&env);
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(rcpt_fate_word(RCPT_PENDING), "not-tried");
    assert_string_equal(rcpt_fate_word(RCPT_UNCERTAIN), "uncertain");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
