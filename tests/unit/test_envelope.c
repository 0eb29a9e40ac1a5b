/* Recipients once each, and what their fates amount to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
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

/* Some of the recipients on a way of their own, and their fates back. */
static void test_pick(void **state)
{
    (void)state;
    static const char *const given[] = { "a@x", "b@y", "c@x", "d@z" };
    static const size_t at[] = { 2, 0 };
    struct envelope env = { .sender = xstrdup("me@x"), .dsn_notify = DSN_NOTIFY_NEVER, .dsn_envid = xstrdup("id") }, some;
    for (size_t i = 0; i < 4; i++)
        envelope_add(&env, given[i]);
    env.rcpts[2].orcpt = xstrdup("rfc822;c@x");
    env.rcpts[0].fate = RCPT_DEFERRED;
    env.rcpts[0].reply.code = 450;
    buf_adds(&env.rcpts[0].reply.text, "later");
    env.rcpts[1].fate = RCPT_REFUSED;

    envelope_pick(&some, &env, at, 2);
    assert_int_equal(some.n, 2);
    assert_string_equal(some.sender, "me@x");
    assert_string_equal(some.dsn_envid, "id");
    assert_int_equal(some.dsn_notify, DSN_NOTIFY_NEVER);
    assert_string_equal(some.rcpts[0].address, "c@x");
    assert_string_equal(some.rcpts[0].orcpt, "rfc822;c@x");
    assert_string_equal(some.rcpts[1].address, "a@x");
    assert_int_equal(some.rcpts[1].fate, RCPT_PENDING);
    assert_int_equal(some.rcpts[1].reply.code, 0);

    some.rcpts[0].fate = RCPT_ACCEPTED;
    some.rcpts[0].reply.code = 250;
    buf_adds(&some.rcpts[0].reply.text, "2.0.0 ok");
    some.rcpts[1].fate = RCPT_UNCERTAIN;
    envelope_put_back(&env, &some, at);
    assert_int_equal(env.rcpts[2].fate, RCPT_ACCEPTED);
    assert_string_equal(env.rcpts[2].reply.text.data, "2.0.0 ok");
    assert_int_equal(env.rcpts[0].fate, RCPT_UNCERTAIN);
    assert_int_equal(env.rcpts[0].reply.code, 0);
    assert_int_equal(env.rcpts[1].fate, RCPT_REFUSED);
    assert_int_equal(env.rcpts[3].fate, RCPT_PENDING);
    envelope_free(&some);
    envelope_free(&env);
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
        cmocka_unit_test(test_pick),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
