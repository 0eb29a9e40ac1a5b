/* test_sasl: the choice of a mechanism and those made by ourselves, against the examples of their RFCs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/sasl.h"

static bool give(void *ctx, const struct buf **secret, struct err *e)
{
    (void)e;
    *secret = ctx;
    return true;
}

static bool give_nothing(void *ctx, const struct buf **secret, struct err *e)
{
    (void)secret;
    (void)ctx;
    return err_set(e, FAULT_AUTH, "no password");
}

static void secret_set(struct buf *b, const char *s)
{
    buf_reset(b);
    buf_adds(b, s);
}

/* Needs no library: SCRAM and the like are in test_gsasl. */
static void test_choose(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *wanted, *tried, *user;
        bool tls, clear_ok, certificate;
        const char *choice; /* NULL: none */
        const char *words;  /* then in text or hint */
    } rows[] = {
        { "LOGIN PLAIN", "on", "", "u", true, false, false, "PLAIN", NULL },
        { "login plain", NULL, "", "u", true, false, false, "PLAIN", NULL },
        { "LOGIN PLAIN", "on", "PLAIN", "u", true, false, false, "LOGIN", NULL },
        { "LOGIN PLAIN", "on", "PLAIN LOGIN", "u", true, false, false, NULL, "PLAIN (already tried)" },
        { "LOGIN PLAIN", "on", "", "u", false, false, false, NULL, "PLAIN (needs TLS)" },
        { "LOGIN PLAIN", "on", "", "u", false, true, false, "PLAIN", NULL },
        { "LOGIN PLAIN", "login", "", "u", true, false, false, "LOGIN", NULL },
        { "LOGIN PLAIN", "plain", "", "u", false, false, false, NULL, "tls on" },
        { "LOGIN PLAIN", "plain", "PLAIN", "u", true, false, false, NULL, "refuses to use it" },
        { "LOGIN PLAIN", "xoauth2", "", "u", true, false, false, NULL, "it offers LOGIN, PLAIN" },
        { "LOGIN PLAIN", "PLAIM", "", "u", true, false, false, NULL, "did you mean 'PLAIN'?" },
        { "LOGIN PLAIN", "on", "", NULL, true, false, false, NULL, "needs 'user'" },
        { "XOAUTH2 PLAIN OAUTHBEARER", "on", "", "u", true, false, false, "PLAIN", NULL },
        { "XOAUTH2 OAUTHBEARER", "on", "", "u", true, false, false, NULL, "only when 'auth' names it" },
        { "XOAUTH2 OAUTHBEARER", "xoauth2", "", "u", true, false, false, "XOAUTH2", NULL },
        { "PLAIN EXTERNAL", "on", "", "u", true, false, true, "PLAIN", NULL },
        { "PLAIN EXTERNAL", "on", "", NULL, true, false, true, "EXTERNAL", NULL },
        { "EXTERNAL", "on", "", NULL, true, false, false, NULL, "needs a client certificate" },
        { "EXTERNAL", "external", "", NULL, true, false, false, "EXTERNAL", NULL },
        { "FOO", "on", "", "u", true, false, false, NULL, "FOO (unknown to envoi)" },
        { "", "on", "", "u", false, false, false, NULL, "does not offer authentication" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strlist offered = STRLIST_INIT, tried = STRLIST_INIT;
        struct err e = ERR_INIT;
        strlist_split(&offered, rows[i].offered, " ");
        strlist_split(&tried, rows[i].tried, " ");
        struct sasl_params p = { .user = rows[i].user, .tls = rows[i].tls, .clear_ok = rows[i].clear_ok,
                                 .client_certificate = rows[i].certificate, .offered = &offered };
        const char *choice = sasl_choose(&offered, rows[i].wanted, &tried, &p, &e);
        if (rows[i].choice) {
            assert_non_null(choice);
            assert_string_equal(choice, rows[i].choice);
            assert_false(err_is_set(&e));
        } else {
            assert_null(choice);
            assert_true(err_is_set(&e));
            if (!strstr(e.text, rows[i].words) && !(e.hint && strstr(e.hint, rows[i].words)))
                fail_msg("row %zu: '%s' / '%s' lacks '%s'", i, e.text, e.hint ? e.hint : "", rows[i].words);
        }
        err_clear(&e);
        strlist_free(&offered);
        strlist_free(&tried);
    }
}

#define LITERAL(s) (s), sizeof(s) - 1

static void test_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *user, *authzid, *secret, *host;
        int port;
        const char *initial; /* NULL: none */
        size_t initial_len;
        const char *challenge[2];
        const char *response[2];
    } rows[] = {
        /* RFC 4616 4 */
        { "PLAIN", "tim", NULL, "tanstaaftanstaaf", NULL, 0, LITERAL("\0tim\0tanstaaftanstaaf"), { 0 }, { 0 } },
        { "PLAIN", "Kurt", "Ursel", "xipj3plmq", NULL, 0, LITERAL("Ursel\0Kurt\0xipj3plmq"), { 0 }, { 0 } },
        { "PLAIN", "ü", NULL, "pässwörd €", NULL, 0, LITERAL("\0ü\0pässwörd €"), { 0 }, { 0 } },
        { "LOGIN", "tim", NULL, "secret", NULL, 0, NULL, 0, { "Username:", "Password:" }, { "tim", "secret" } },
        { "LOGIN", "tim", NULL, "secret", NULL, 0, NULL, 0, { "", "" }, { "tim", "secret" } },
        { "EXTERNAL", NULL, NULL, "", NULL, 0, LITERAL(""), { "" }, { "" } },
        { "EXTERNAL", "tim", NULL, "", NULL, 0, LITERAL("tim"), { 0 }, { 0 } },
        { "EXTERNAL", "tim", "boss", "", NULL, 0, LITERAL("boss"), { "" }, { "boss" } },
        /* RFC 7628 4.1 and 4.3 */
        { "OAUTHBEARER", "user@example.com", NULL, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "server.example.com", 587,
          LITERAL("n,a=user@example.com,\1host=server.example.com\1port=587\1"
                  "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1"),
          { "{\"status\":\"invalid_token\",\"scope\":\"example_scope\"}" }, { "\1" } },
        { "OAUTHBEARER", "a=b,c", NULL, "t", NULL, 0, LITERAL("n,a=a=3Db=2Cc,\1auth=Bearer t\1\1"), { 0 }, { 0 } },
        /* Google's manual of XOAUTH2 */
        { "XOAUTH2", "someuser@example.com", NULL, "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg", NULL, 0,
          LITERAL("user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1"),
          { "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"https://mail.google.com/\"}" }, { "" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        bool has_initial;
        secret_set(&secret, rows[i].secret);
        struct sasl_params p = { .user = rows[i].user, .authzid = rows[i].authzid, .host = rows[i].host,
                                 .port = rows[i].port, .tls = true, .secret = give, .ctx = &secret };
        struct sasl *s = sasl_start(rows[i].mechanism, &p, &out, &has_initial, &e);
        assert_non_null(s);
        assert_int_equal(has_initial, rows[i].initial != NULL);
        assert_int_equal(out.len, rows[i].initial_len);
        if (rows[i].initial)
            assert_memory_equal(out.data, rows[i].initial, out.len);
        for (int n = 0; n < 2 && rows[i].challenge[n]; n++) {
            struct buf challenge = BUF_INIT;
            buf_adds(&challenge, rows[i].challenge[n]);
            buf_reset(&out);
            assert_true(sasl_step(s, &challenge, &out, &e));
            assert_string_equal(out.data, rows[i].response[n]);
            buf_free(&challenge);
        }
        assert_true(sasl_finish(s, NULL, &e));
        sasl_free(s);
        buf_free(&out);
        buf_free(&secret);
    }
}

static void test_failed_token(void **state)
{
    (void)state;
    static const struct {
        const char *challenge, *words;
    } rows[] = {
        { "{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}",
          "status 400, schemes Bearer, scope https://mail.google.com/" },
        { "{\"error\":\"invalid_grant\",\"error_description\":\"token expired\"}",
          "error invalid_grant, error description token expired" },
        { "not JSON\r\nat all\033", "not JSON??at all?" },
        { "{\"other\":1}", "{\"other\":1}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT, challenge = BUF_INIT;
        struct err e = ERR_INIT;
        bool has_initial;
        secret_set(&secret, "token");
        buf_adds(&challenge, rows[i].challenge);
        struct sasl_params p = { .user = "u", .tls = true, .secret = give, .ctx = &secret };
        struct sasl *s = sasl_start("XOAUTH2", &p, &out, &has_initial, &e);
        assert_null(sasl_failure(s));
        assert_true(sasl_step(s, &challenge, &out, &e));
        assert_string_equal(sasl_failure(s), rows[i].words);
        assert_false(sasl_step(s, &challenge, &out, &e)); /* nothing is left to say */
        assert_int_equal(e.fault, FAULT_PROTOCOL);
        assert_int_equal(e.stage, STAGE_AUTH);
        err_clear(&e);
        sasl_free(s);
        buf_free(&out);
        buf_free(&secret);
        buf_free(&challenge);
    }
}

static void test_endless_failure_text_is_cut(void **state)
{
    (void)state;
    struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT, challenge = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    secret_set(&secret, "token");
    for (int i = 0; i < 3000; i++)
        buf_adds(&challenge, "€");
    struct sasl_params p = { .user = "u", .tls = true, .secret = give, .ctx = &secret };
    struct sasl *s = sasl_start("OAUTHBEARER", &p, &out, &has_initial, &e);
    assert_true(sasl_step(s, &challenge, &out, &e));
    assert_int_equal(strlen(sasl_failure(s)), 300);
    sasl_free(s);
    buf_free(&out);
    buf_free(&secret);
    buf_free(&challenge);
}

static void test_refused_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *secret;
        size_t n;
        bool ok;
    } rows[] = {
        { "PLAIN", LITERAL("a\0b"), false },   { "LOGIN", LITERAL("a\0b"), false },
        { "XOAUTH2", LITERAL("a\1b"), false }, { "OAUTHBEARER", LITERAL("a\nb"), false },
        { "PLAIN", LITERAL("a\tb"), true },    { "PLAIN", LITERAL("\xff"), true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        bool has_initial;
        buf_add(&secret, rows[i].secret, rows[i].n);
        struct sasl_params p = { .user = "u", .tls = true, .secret = give, .ctx = &secret };
        struct sasl *s = sasl_start(rows[i].mechanism, &p, &out, &has_initial, &e);
        assert_int_equal(s != NULL, rows[i].ok);
        assert_int_equal(err_is_set(&e), !rows[i].ok);
        if (!rows[i].ok)
            assert_int_equal(out.len, 0);
        err_clear(&e);
        sasl_free(s);
        buf_free(&out);
        buf_free(&secret);
    }
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    struct sasl_params p = { .user = "u", .tls = true, .secret = give_nothing };
    assert_null(sasl_start("PLAIN", &p, &out, &has_initial, &e));
    assert_string_equal(e.text, "no password");
    err_clear(&e);
}

static void test_long_token(void **state)
{
    (void)state;
    struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    for (int i = 0; i < 10240; i++)
        buf_addc(&secret, 'x');
    struct sasl_params p = { .user = "u", .tls = true, .secret = give, .ctx = &secret };
    struct sasl *s = sasl_start("XOAUTH2", &p, &out, &has_initial, &e);
    assert_non_null(s);
    assert_int_equal(out.len, 10240 + strlen("user=u\1auth=Bearer \1\1"));
    sasl_free(s);
    buf_free(&out);
    buf_free(&secret);
}

static void test_try_next(void **state)
{
    (void)state;
    static const struct {
        int code, enhanced[3];
        bool next;
    } rows[] = {
        { 504, { 5, 5, 4 }, true }, { 538, { 0 }, true },        { 500, { 0 }, true },         { 501, { 5, 5, 2 }, true },
        { 503, { 0 }, true },       { 535, { 5, 7, 4 }, true },  { 535, { 5, 7, 8 }, false },  { 535, { 0 }, false },
        { 534, { 5, 7, 9 }, false }, { 454, { 4, 7, 0 }, false }, { 530, { 5, 7, 0 }, false }, { 421, { 4, 7, 4 }, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct reply r = REPLY_INIT;
        r.code = rows[i].code;
        memcpy(r.enhanced, rows[i].enhanced, sizeof r.enhanced);
        assert_int_equal(sasl_try_next(&r), rows[i].next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),          cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_failed_token),    cmocka_unit_test(test_endless_failure_text_is_cut),
        cmocka_unit_test(test_refused_secrets), cmocka_unit_test(test_long_token),
        cmocka_unit_test(test_try_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
