/* probe_exit: how a delivery ended, in swaks's numbers and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/probe.h"

#define SAID "our sentence"

static const struct {
    enum stage stage;
    enum fault fault;
    const char *server; /* its words; NULL: it did not refuse */
    int status;
    const char *told;
} rows[] = {
    { STAGE_NONE, FAULT_USAGE, NULL, 1, "*** " SAID "\n" },
    { STAGE_NONE, FAULT_CONFIG, NULL, 1, "*** " SAID "\n" },
    { STAGE_NONE, FAULT_NO_INPUT, NULL, 1, "*** " SAID "\n" },
    { STAGE_LOOKUP, FAULT_NO_HOST, NULL, 2, "*** Error connecting to mail:25:\n*** \t" SAID "\n" },
    { STAGE_CONNECT, FAULT_CONNECT, NULL, 2, "*** Error connecting to mail:25:\n*** \t" SAID "\n" },
    { STAGE_CONNECT, FAULT_TIMEOUT, NULL, 2, "*** Error connecting to mail:25:\n*** \t" SAID "\n" },
    { STAGE_PROXY, FAULT_USAGE, NULL, 35, "*** " SAID "\n" },
    { STAGE_PROXY, FAULT_LOST, NULL, 36, "*** " SAID "\n" },
    { STAGE_GREETING, FAULT_UNAVAILABLE, "554 no", 21, "" },
    { STAGE_GREETING, FAULT_TIMEOUT, NULL, 21, "<** Timeout (7 secs) waiting for server response\n" },
    { STAGE_GREETING, FAULT_LOST, NULL, 6, "*** Remote host closed connection unexpectedly.\n" },
    { STAGE_EHLO, FAULT_UNAVAILABLE, "550 no", 22, "" },
    { STAGE_STARTTLS, FAULT_UNAVAILABLE, NULL, 29, "*** Host did not advertise STARTTLS\n" },
    { STAGE_STARTTLS, FAULT_UNAVAILABLE, "454 later", 29, "*** STARTTLS attempted but failed\n" },
    { STAGE_STARTTLS, FAULT_TEMPORARY, "454 later", 29, "*** STARTTLS attempted but failed\n" },
    { STAGE_STARTTLS, FAULT_PROTOCOL, NULL, 29, "*** " SAID "\n" },
    { STAGE_TLS, FAULT_CERTIFICATE, NULL, 29, "*** TLS startup failed (" SAID ")\n" },
    { STAGE_TLS, FAULT_TIMEOUT, NULL, 29, "*** TLS startup failed (" SAID ")\n" },
    { STAGE_XCLIENT, FAULT_UNAVAILABLE, "550 no", 33, "*** XCLIENT attempted but failed.  Exiting\n" },
    { STAGE_XCLIENT, FAULT_UNAVAILABLE, NULL, 33, "*** " SAID "\n" },
    { STAGE_AUTH, FAULT_USAGE, NULL, 10, "*** " SAID "\n" },
    { STAGE_AUTH, FAULT_UNAVAILABLE, NULL, 28, "*** Host did not advertise authentication\n" },
    { STAGE_AUTH, FAULT_AUTH, "535 no", 28, "*** No authentication type succeeded\n" },
    { STAGE_AUTH, FAULT_AUTH, NULL, 28, "*** " SAID "\n" },
    { STAGE_MAIL, FAULT_UNAVAILABLE, "550 no", 23, "" },
    { STAGE_MAIL, FAULT_INTERRUPTED, NULL, 6, "*** " SAID "\n" },
    { STAGE_RCPT, FAULT_RECIPIENTS, "550 no", 24, "" },
    { STAGE_DATA, FAULT_TEMPORARY, "451 no", 25, "" },
    { STAGE_DOT, FAULT_MESSAGE, "554 no", 26, "" },
    { STAGE_DOT, FAULT_LOST, NULL, 6, "*** Remote host closed connection unexpectedly.\n" },
    { STAGE_BODY, FAULT_IO, NULL, 26, "*** " SAID "\n" },
    { STAGE_QUIT, FAULT_PROTOCOL, "500 no", 27, "" },
    { STAGE_NONE, FAULT_SYSTEM, NULL, 10, "*** " SAID "\n" },
};

static char *told(const struct err *e, const struct probe_plan *p)
{
    char *text;
    size_t n;
    struct show_probe show = { .target = "mail:25" };
    show.out = show.err = open_memstream(&text, &n);
    probe_exit_tell(&show, e, p);
    fclose(show.out);
    return text;
}

static struct err failure(enum stage stage, enum fault fault, const char *server)
{
    struct err e = ERR_INIT;
    err_set(&e, fault, SAID);
    err_stage(&e, stage);
    if (server)
        err_server(&e, server);
    return e;
}

static void test_rows(void **state)
{
    (void)state;
    struct probe_plan p = { .account = { .timeout = 7 * USEC_PER_SEC } };
    struct envelope env = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = failure(rows[i].stage, rows[i].fault, rows[i].server);
        assert_int_equal(probe_exit(&e, NULL, &env, &p), rows[i].status);
        assert_string_not_equal(probe_exit_meaning(rows[i].status), "unknown");
        char *text = told(&e, &p);
        assert_string_equal(text, rows[i].told);
        free(text);
        err_clear(&e);
    }
}

static void test_prdr(void **state)
{
    (void)state;
    struct probe_plan p = { .probe.session.prdr = true };
    struct envelope env = { 0 };
    struct err e = failure(STAGE_MAIL, FAULT_UNAVAILABLE, NULL);
    assert_int_equal(probe_exit(&e, NULL, &env, &p), 30);
    char *text = told(&e, &p);
    assert_string_equal(text, "*** Host did not advertise PRDR support\n");
    free(text);
    err_clear(&e);
}

/* Without an error the recipients' fates count. */
static void test_recipients(void **state)
{
    static const struct {
        int first, second, status;
    } fates[] = { { 250, 250, 0 }, { 250, 550, 0 }, { 251, 550, 0 }, { 550, 450, 24 }, { 0, 550, 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct probe_plan p = { 0 };
        struct envelope env = { 0 };
        struct err none = ERR_INIT;
        envelope_add(&env, "a@example.org");
        envelope_add(&env, "b@example.org");
        env.rcpts[0].reply.code = fates[i].first;
        env.rcpts[1].reply.code = fates[i].second;
        assert_int_equal(probe_exit(&none, NULL, &env, &p), fates[i].status);
        envelope_free(&env);
    }
}

static void test_hints(void **state)
{
    static const struct {
        const char *hint, *want;
    } hints[] = {
        { "if this is port 465, set 'tls' to on and 'tls_starttls' to off", "if this is port 465, use '-tlsc'" },
        { "the server may offer AUTH only under TLS: set 'tls on'; or leave out 'user' if it wants no login",
          "the server may offer AUTH only under TLS: use '-tls'; or go on without a login ('-ao')" },
        { "'tls_trust_file' is a file", "'--tls-ca-path' is a file" },
        { "is the name spelt right?", "is the name spelt right?" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        struct probe_plan p = { 0 };
        struct err e = failure(STAGE_MAIL, FAULT_UNAVAILABLE, "550 no");
        err_hint(&e, "%s", hints[i].hint);
        probe_exit_words(&e);
        assert_string_equal(e.hint, hints[i].want);
        char *text = told(&e, &p);
        assert_memory_equal(text, "*** hint: ", 10);
        free(text);
        err_clear(&e);
    }
}

static void test_next_hop(void **state)
{
    static const struct {
        bool all, on;
        int before, status, all_in_all;
    } hops[] = { { false, true, 0, 2, 2 }, { false, false, 2, 0, 0 }, { false, false, 2, 23, 23 }, { true, true, 0, 0, 0 }, { true, true, 23, 0, 23 } };
    (void)state;
    for (size_t i = 0; i < sizeof hops / sizeof *hops; i++) {
        struct probe_plan p = { .all_mx = hops[i].all };
        assert_int_equal(probe_next_status(&p, hops[i].before, hops[i].status), hops[i].all_in_all);
        assert_int_equal(probe_goes_on(&p, hops[i].status), hops[i].on);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_prdr),     cmocka_unit_test(test_recipients),
        cmocka_unit_test(test_hints), cmocka_unit_test(test_next_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
