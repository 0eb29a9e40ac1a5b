/* test_caps: EHLO replies and what is learnt from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/caps.h"

static void parse(struct caps *c, const char *text)
{
    struct reply r = REPLY_INIT;

    buf_adds(&r.text, text);
    caps_parse(c, &r);
    reply_free(&r);
}

static const struct {
    const char *text;
    uint32_t have;
    const char *auth; /* joined by blanks */
    int64_t size;
    long rcpt_max, mail_max, rcpt_domain_max;
} cases[] = {
    { "mail.example", 0, "", 0, 0, 0, 0 },
    { "STARTTLS", 0, "", 0, 0, 0, 0 }, /* the first line is a name and a greeting */
    { "m\nSTARTTLS\nPIPELINING\nCHUNKING", CAP_STARTTLS | CAP_PIPELINING | CAP_CHUNKING, "", 0, 0, 0, 0 },
    { "m\nstarttls\n8bitMime\nsmtputf8", CAP_STARTTLS | CAP_8BITMIME | CAP_SMTPUTF8, "", 0, 0, 0, 0 },
    { "m\nSTARTTLSX\nXSTARTTLS\nX-DSN", 0, "", 0, 0, 0, 0 },
    { "m\nAUTH PLAIN login  CRAM-MD5 ", CAP_AUTH, "PLAIN LOGIN CRAM-MD5", 0, 0, 0, 0 },
    { "m\nAUTH=LOGIN PLAIN\nAUTH PLAIN LOGIN", CAP_AUTH, "LOGIN PLAIN", 0, 0, 0, 0 },
    { "m\nAUTH", CAP_AUTH, "", 0, 0, 0, 0 },
    { "m\nSIZE", CAP_SIZE, "", 0, 0, 0, 0 },
    { "m\nSIZE 52428800", CAP_SIZE, "", 52428800, 0, 0, 0 },
    { "m\nSIZE 99999999999999999999", CAP_SIZE, "", 0, 0, 0, 0 },
    { "m\nSIZE -1", CAP_SIZE, "", 0, 0, 0, 0 },
    { "m\nSIZE ten", CAP_SIZE, "", 0, 0, 0, 0 },
    { "m\nLIMITS MAILMAX=5 rcptmax=100 RCPTDOMAINMAX=1", CAP_LIMITS, "", 0, 100, 5, 1 },
    { "m\nLIMITS RCPTMAX=0 MAILMAX=x RCPTMAX", CAP_LIMITS, "", 0, 0, 0, 0 },
    { "m\nDSN\nENHANCEDSTATUSCODES\nBINARYMIME\nREQUIRETLS\nETRN\nVRFY\nHELP",
      CAP_DSN | CAP_ENHANCED | CAP_BINARYMIME | CAP_REQUIRETLS | CAP_ETRN | CAP_VRFY | CAP_HELP, "", 0, 0, 0, 0 },
    { "m\nXCLIENT\nprdr", CAP_XCLIENT | CAP_PRDR, "", 0, 0, 0, 0 },
    { "m\n\n \n=\nAUTH=", CAP_AUTH, "", 0, 0, 0, 0 },
};

static void test_rows(void **state)
{
    struct caps c = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf auth = BUF_INIT;
        parse(&c, cases[i].text); /* what the row before left is emptied */
        for (size_t k = 0; k < c.auth.n; k++)
            buf_printf(&auth, "%s%s", k ? " " : "", c.auth.v[k]);
        assert_string_equal(auth.data, cases[i].auth);
        assert_int_equal(c.have, cases[i].have);
        assert_int_equal(c.size_max, cases[i].size);
        assert_int_equal(c.rcpt_max, cases[i].rcpt_max);
        assert_int_equal(c.mail_max, cases[i].mail_max);
        assert_int_equal(c.rcpt_domain_max, cases[i].rcpt_domain_max);
        buf_free(&auth);
    }
    caps_free(&c);
    assert_int_equal(c.have, 0);
}

static void test_xclient(void **state)
{
    struct caps c = { 0 };

    (void)state;
    parse(&c, "m\nXCLIENT NAME addr  Port NAME");
    assert_int_equal(c.xclient.n, 3);
    assert_string_equal(c.xclient.v[0], "NAME");
    assert_string_equal(c.xclient.v[1], "ADDR");
    assert_string_equal(c.xclient.v[2], "PORT");
    parse(&c, "m\nXCLIENT");
    assert_int_equal(c.xclient.n, 0);
    caps_free(&c);
}

static void test_lines(void **state)
{
    struct caps c = { 0 };

    (void)state;
    parse(&c, "mail.example at your service\nXXXXXXXA\nSIZE 10 ");
    assert_int_equal(c.lines.n, 2);
    assert_string_equal(c.lines.v[0], "XXXXXXXA");
    assert_string_equal(c.lines.v[1], "SIZE 10");
    caps_free(&c);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(cap_word(CAP_ENHANCED), "ENHANCEDSTATUSCODES");
    for (int bit = 0; bit < 15; bit++)
        assert_string_not_equal(cap_word((enum cap)(1 << bit)), "");
    assert_string_equal(cap_word((enum cap)(1 << 30)), "");
}

static void test_explained(void **state)
{
    static const struct { const char *line, *keyword, *parameters; bool known; } rows[] = {
        { "SIZE 1000", "SIZE", "1000", true },
        { "size", "size", "", true },
        { "AUTH=LOGIN PLAIN", "AUTH", "LOGIN PLAIN", true },
        { "MT-PRIORITY\tMIXER", "MT-PRIORITY", "MIXER", true },
        { "X-FOO a b", "X-FOO", "a b", false },
        { "SIZES", "SIZES", "", false },
        { "", "", "", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf keyword = BUF_INIT;
        const char *parameters, *meaning = caps_explain(rows[i].line, &keyword, &parameters);
        assert_string_equal(keyword.data, rows[i].keyword);
        assert_string_equal(parameters, rows[i].parameters);
        assert_int_equal(meaning != NULL, rows[i].known);
        buf_free(&keyword);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_xclient), cmocka_unit_test(test_lines),
                                       cmocka_unit_test(test_words), cmocka_unit_test(test_explained) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
