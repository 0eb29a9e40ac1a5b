/* test_session: what dialogue files cannot say: steps and their deadlines, and what must not stay in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/session.h"

static void input(struct session *s, const char *text)
{
    session_input(s, text, strlen(text));
}

static size_t write_all(struct session *s, struct buf *out)
{
    struct iovec iov[16];
    size_t writes = 0;

    for (; session_next(s) == WANT_WRITE; writes++) {
        size_t n = 0;
        for (int i = 0, count = session_output(s, iov, 16); i < count; i++) {
            buf_add(out, iov[i].iov_base, iov[i].iov_len);
            n += iov[i].iov_len;
        }
        session_wrote(s, n);
    }
    return writes;
}

static void test_drip_is_no_step(void **state)
{
    struct session *s = session_new(&(struct session_params){ .domain = "x" });
    struct buf out = BUF_INIT;

    (void)state;
    assert_int_equal(session_next(s), WANT_READ);
    assert_int_equal(session_stage(s), STAGE_GREETING);
    assert_int_equal(session_timeout(s), 60 * USEC_PER_SEC);
    unsigned step = session_step_id(s);
    input(s, "220-he");
    input(s, "llo\r\n220");
    input(s, " again");
    assert_int_equal(session_next(s), WANT_READ);
    assert_int_equal(session_step_id(s), step);
    input(s, "\r\n");
    assert_int_not_equal(session_step_id(s), step);
    write_all(s, &out);
    assert_string_equal(out.data, "EHLO x\r\n");
    assert_int_equal(session_stage(s), STAGE_EHLO);
    assert_string_equal(session_greeting(s), "hello\nagain");
    session_free(s);
    buf_free(&out);
}

/* Greeting and EHLO done, the job given. */
static struct session *at_job(struct envelope *env, const char *ehlo, int64_t size, struct buf *out)
{
    static const size_t first[] = { 0 };
    struct session *s = session_new(&(struct session_params){ .domain = "x" });

    env->sender = xstrdup("a@b");
    envelope_add(env, "c@d");
    assert_int_equal(session_next(s), WANT_READ);
    input(s, "220 x\r\n");
    write_all(s, out);
    input(s, ehlo);
    assert_int_equal(session_next(s), WANT_JOB);
    session_job(s, &(struct session_job){ .env = env, .rcpts = first, .n = 1, .size = size, .last = true });
    return s;
}

static void test_deadlines_of_a_message(void **state)
{
    struct envelope env = ENVELOPE_INIT;
    struct buf out = BUF_INIT;
    struct session *s = at_job(&env, "250-x\r\n250 PIPELINING\r\n", 40000, &out);
    static char block[20000];

    (void)state;
    memset(block, 'x', sizeof block);
    write_all(s, &out);
    input(s, "250 a\r\n250 b\r\n354 go\r\n");
    assert_int_equal(session_next(s), WANT_BODY);
    assert_int_equal(session_stage(s), STAGE_BODY);
    session_body(s, block, sizeof block);
    unsigned step = session_step_id(s);
    assert_int_equal(session_next(s), WANT_WRITE);
    session_wrote(s, 1);
    assert_int_equal(session_step_id(s), step); /* a peer that takes an octet a second moves nothing */
    assert_int_equal(session_timeout(s), 180 * USEC_PER_SEC);
    write_all(s, &out);
    assert_int_not_equal(session_step_id(s), step);
    assert_int_equal(session_next(s), WANT_BODY);
    session_body(s, block, sizeof block);
    buf_reset(&out);
    assert_int_equal(write_all(s, &out), 1); /* block, CRLF, dot and QUIT in one write */
    assert_int_equal(out.len, sizeof block + strlen("\r\n.\r\nQUIT\r\n"));
    assert_int_equal(session_stage(s), STAGE_DOT);
    assert_int_equal(session_timeout(s), 600 * USEC_PER_SEC);
    input(s, "250 queued\r\n");
    assert_int_equal(session_next(s), WANT_CLOSE);
    assert_int_equal(env.rcpts[0].fate, RCPT_ACCEPTED);
    session_free(s);
    envelope_free(&env);
    buf_free(&out);
}

static void test_wrong_size(void **state)
{
    (void)state;
    for (int shorter = 0; shorter < 2; shorter++) {
        struct envelope env = ENVELOPE_INIT;
        struct buf out = BUF_INIT;
        struct session *s = at_job(&env, "250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n", 6, &out);
        assert_int_equal(session_next(s), WANT_BODY);
        session_body(s, "abcdefgh", shorter ? 4 : 8);
        if (shorter)
            session_body_end(s);
        assert_int_equal(session_next(s), WANT_CLOSE);
        assert_int_equal(session_error(s)->fault, FAULT_SOFTWARE);
        assert_int_equal(env.rcpts[0].fate, RCPT_DEFERRED);
        session_free(s);
        envelope_free(&env);
        buf_free(&out);
    }
}

static void test_fail_while_sending(void **state)
{
    struct envelope env = ENVELOPE_INIT;
    struct buf out = BUF_INIT;
    struct session *s = at_job(&env, "250-x\r\n250 PIPELINING\r\n", -1, &out);
    struct err e = ERR_INIT;

    (void)state;
    write_all(s, &out);
    input(s, "250 a\r\n250 b\r\n354 go\r\n");
    assert_int_equal(session_next(s), WANT_BODY);
    err_set(&e, FAULT_IO, "cannot read the message");
    session_fail(s, &e);
    assert_false(err_is_set(&e));
    assert_int_equal(session_next(s), WANT_CLOSE);
    assert_int_equal(session_error(s)->fault, FAULT_IO);
    assert_int_equal(session_error(s)->stage, STAGE_BODY);
    assert_int_equal(env.rcpts[0].fate, RCPT_DEFERRED);
    session_free(s);
    session_free(NULL);
    envelope_free(&env);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drip_is_no_step), cmocka_unit_test(test_deadlines_of_a_message),
        cmocka_unit_test(test_wrong_size), cmocka_unit_test(test_fail_while_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
