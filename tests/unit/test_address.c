/* Address lists of every kind, what must be refused, and what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mail/address.h"

#define X10 "xxxxxxxxxx"
#define X60 X10 X10 X10 X10 X10 X10
#define LABEL50 X10 X10 X10 X10 X10 "."

/* Lists are shown as "name<address>|…". */
static void assert_reads(const char *in, const char *behind, const char *out)
{
    struct mailbox_list l = MAILBOX_LIST_INIT;
    struct err e = ERR_INIT;
    struct buf text = BUF_INIT, got = BUF_INIT;
    buf_printf(&text, "%s%s", in, behind);
    bool good = address_list_parse(&l, text.data, text.len, &e);
    for (size_t k = 0; k < l.n; k++)
        buf_printf(&got, "%s%s<%s>", k ? "|" : "", l.v[k].name ? l.v[k].name : "", l.v[k].address);
    if (!good)
        print_error("%s: %s\n", text.data, e.text);
    assert_true(good);
    assert_string_equal(got.data, out);
    mailbox_list_free(&l);
    buf_free(&text);
    buf_free(&got);
}

static void test_lists(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "", "" },
        { " , ,\r\n ,", "" },
        { "joe@example.org", "<joe@example.org>" },
        { "root", "<root>" },
        { "<joe@example.org>", "<joe@example.org>" },
        { "Joe <joe@example.org>, , b@c,", "Joe<joe@example.org>|<b@c>" },
        { "Joe Q. Public <john.q.public@example.com>", "Joe Q. Public<john.q.public@example.com>" },
        { "\"Doe, Joe\" <joe@x>", "Doe, Joe<joe@x>" },
        { "\"Joe \\\"J\\\" Doe\" <joe@x>", "Joe \"J\" Doe<joe@x>" },
        { "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete<pete@silly.test>" },
        { "(a (nested (deep) one) too) joe@x (end)", "<joe@x>" },
        { "A Group:Ed Jones <joe@where.test>,john@jdoe.test;, last@x",
          "Ed Jones<joe@where.test>|<john@jdoe.test>|<last@x>" },
        { "Undisclosed recipients:(nobody(that I know)) ;", "" },
        { "undisclosed-recipients:", "" },
        { "joe . doe @ example . org", "<joe.doe@example.org>" },
        { "Mary <@node.test,@b.test:mary@example.net>", "Mary<mary@example.net>" },
        { "<@node.test:mary@example.net>", "<mary@example.net>" },
        { "\"joe\"@x", "<joe@x>" },
        { "\"joe.doe\"@x", "<joe.doe@x>" },
        { "\"joe\".doe@x", "<joe.doe@x>" },
        { "\"joe doe\"@x", "<\"joe doe\"@x>" },
        { "\"a@b\"@x", "<\"a@b\"@x>" },
        { "\"a\\\"\\\\b\"@x", "<\"a\\\"\\\\b\"@x>" },
        { "\"\"@x", "<\"\"@x>" },
        { "a..b@x", "<\"a..b\"@x>" },
        { "joe@[192.0.2.1]", "<joe@[192.0.2.1]>" },
        { "joe@[IPv6:2001:db8::1]", "<joe@[IPv6:2001:db8::1]>" },
        { "=?UTF-8?B?SsO8cmdlbg==?= <j@x>", "Jürgen<j@x>" },
        { "=?utf-8?q?J=C3=BCrgen?= =?utf-8?q?_M=C3=BCller?= <j@x>", "Jürgen Müller<j@x>" },
        { "\"=?utf-8?q?J=C3=BCrgen?=\" <j@x>", "=?utf-8?q?J=C3=BCrgen?=<j@x>" },
        { "=?utf-8?q?evil=0D=0Aname?= <j@x>", "evil??name<j@x>" },
        { "=?utf-8?q?=C2=9B31m?= <j@x>", "?31m<j@x>" },
        { "Jürgen Müller <jürgen@müller.example>", "Jürgen Müller<jürgen@müller.example>" },
        { "J\xfcrgen <j@x>", "J?rgen<j@x>" },
        { "Joe\r\n Doe\r\n\t<joe@x>,\r\n b@y", "Joe Doe<joe@x>|<b@y>" },
        { "\"Joe\r\n Doe\" <joe@x>", "Joe Doe<joe@x>" },
        { X60 "xxxx@x", "<" X60 "xxxx@x>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_reads(rows[i].in, "", rows[i].out);
        assert_reads(rows[i].in, " (to be looked at twice)", rows[i].out);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct { const char *in, *why; } rows[] = {
        { "Joe Doe", "words that are neither an address nor followed by one in '<>' at column 1: 'Joe Doe'" },
        { "a@b, joe doe@x", "at column 6: 'joe doe@x'" },
        { "joe@", "a domain name was expected at column 5 (the end)" },
        { "@x", "no address at column 1: '@x'" },
        { "<>", "no address at column 2: '>'" },
        { "a@b@c", "a comma was expected at column 4: '@c'" },
        { "joe@x..y", "a domain name was expected at column 7: '.y'" },
        { "joe@x.", "a domain name was expected at column 7 (the end)" },
        { "<joe@x", "no '>' behind the address at column 1: '<joe@x'" },
        { "joe@x>", "a comma was expected at column 6: '>'" },
        { "(joe@x", "a comment without its closing parenthesis at column 1" },
        { "\"joe@x", "a quoted name without its closing quote at column 1" },
        { "a@b; c@d", "a comma was expected at column 4: '; c@d'" },
        { "g:h:a@b;;", "a group inside a group at column 3" },
        { "joe@[300.1.1.1]", "not a domain literal" },
        { "joe@[192.0.2.1", "not a domain literal" },
        { "joe@ex!mple", "a comma was expected" },
        { "\"a\tb\"@x", "a control octet in an address" },
        { "\"a\\\rb\"@x", "a control octet in an address" },
        { "a\x01@x", "a comma was expected" },
        { "\xc2\x9b@x", "a control octet in an address" },
        { "\xff@x", "an address that is not valid UTF-8" },
        { "a@\xff", "a domain that is not valid UTF-8" },
        { "<@a,@b mary@x>", "a route without its colon" },
        { X60 "xxxxx@x", "a local part longer than 64 octets" },
        { "a@" X60 "xxxx", "a part of a domain name longer than 63 octets" },
        { "a@" LABEL50 LABEL50 LABEL50 LABEL50 LABEL50 "org", "a domain longer than 255 octets" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailbox_list l = MAILBOX_LIST_INIT;
        struct err e = ERR_INIT;
        if (address_list_parse(&l, rows[i].in, strlen(rows[i].in), &e))
            print_error("taken: %s\n", rows[i].in);
        assert_int_equal(e.fault, FAULT_MESSAGE);
        if (!strstr(e.text, rows[i].why))
            print_error("%s: %s\n", rows[i].in, e.text);
        assert_non_null(strstr(e.text, rows[i].why));
        assert_non_null(e.hint);
        err_clear(&e);
        mailbox_list_free(&l);
    }
}

static void test_nul(void **state)
{
    (void)state;
    struct mailbox_list l = MAILBOX_LIST_INIT;
    struct err e = ERR_INIT;
    assert_false(address_list_parse(&l, "a@b, \0d@e", 9, &e));
    assert_int_equal(l.n, 1); /* what came before stays */
    err_clear(&e);
    mailbox_list_free(&l);
}

static void test_one(void **state)
{
    (void)state;
    static const struct { const char *in; bool null_ok; const char *out; } rows[] = {
        { "a@b", false, "a@b" },
        { " a@b ", false, "a@b" },
        { "<a@b>", false, "a@b" },
        { "Name <a@b>", false, "a@b" },
        { "root", false, "root" },
        { "<>", true, "" },
        { "", true, "" },
        { "<>", false, NULL },
        { "", false, NULL },
        { "a@b, c@d", true, NULL },
        { "a@b\n", false, NULL },
        { "a@b\r\nRCPT TO:<c@d>", false, NULL },
        { "a\tb@c", false, NULL },
        { "\"a\\\nb\"@c", false, NULL },
        { "a b", false, NULL },
        { "a@b> SIZE=1", false, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        char *got = NULL;
        bool good = address_parse_one(rows[i].in, rows[i].null_ok, &got, &e);
        assert_int_equal(good, rows[i].out != NULL);
        if (good) {
            assert_string_equal(got, rows[i].out);
        } else {
            assert_null(got);
            assert_int_equal(e.fault, FAULT_USAGE);
            assert_non_null(e.hint);
        }
        err_clear(&e);
        free(got);
    }
}

static void test_domain(void **state)
{
    (void)state;
    assert_string_equal(address_domain("a@b"), "b");
    assert_string_equal(address_domain("\"a@b\"@c"), "c");
    assert_string_equal(address_domain("\"a\\\"@b\"@c"), "c");
    assert_null(address_domain("root"));
    assert_null(address_domain("\"a@b\""));
    assert_null(address_domain(""));
}

/* Built with libidn2? */
static bool idn_works(void)
{
    struct err e = ERR_INIT;
    struct buf got = BUF_INIT;
    bool works = domain_to_ascii("ü.example", &got, &e);
    assert_int_equal(e.fault, works ? FAULT_NONE : FAULT_SYSTEM);
    err_clear(&e);
    buf_free(&got);
    return works;
}

/* Rows without a result must fail with the fault. */
static void test_to_ascii(void **state)
{
    (void)state;
    if (!idn_works())
        skip();
    static const struct { const char *in, *out; } rows[] = {
        { "a@b", "a@b" },
        { "", "" },
        { "root", "root" },
        { "joe@müller.example", "joe@xn--mller-kva.example" },
        { "joe@MÜLLER.example", "joe@xn--mller-kva.example" },
        { "joe@faß.example", "joe@xn--fa-hia.example" },
        { "joe@例え。テスト", "joe@xn--r8jz45g.xn--zckzah" },
        { "\"a b\"@ü.example", "\"a b\"@xn--tda.example" },
        { "jü@b", NULL },
        { "jü@ü.example", NULL },
        { "a@\xe2\x98\x83\xe2\x80\xae.example", NULL },
        { "a@ü＠evil.example", NULL },
        { "a@ü evil.example", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct buf got = BUF_INIT;
        bool good = address_to_ascii(rows[i].in, &got, &e);
        if (good != (rows[i].out != NULL))
            print_error("%s: %s\n", rows[i].in, good ? got.data : e.text);
        assert_int_equal(good, rows[i].out != NULL);
        assert_string_equal(got.data, rows[i].out ? rows[i].out : "");
        assert_int_equal(e.fault, good ? FAULT_NONE : FAULT_MESSAGE);
        err_clear(&e);
        buf_free(&got);
    }
}

static void test_format(void **state)
{
    (void)state;
    static const struct { const char *name, *out; } rows[] = {
        { NULL, "a@b" },
        { "", "a@b" },
        { "Joe Doe", "Joe Doe <a@b>" },
        { "Doe, Joe", "\"Doe, Joe\" <a@b>" },
        { "Joe Q. Doe", "\"Joe Q. Doe\" <a@b>" },
        { "Joe \"J\\\" Doe", "\"Joe \\\"J\\\\\\\" Doe\" <a@b>" },
        { " Joe", "\" Joe\" <a@b>" },
        { "=?utf-8?q?x?=", "\"=?utf-8?q?x?=\" <a@b>" },
        { "Joe\r\nBcc: x", "\"Joe  Bcc: x\" <a@b>" },
        { "Jürgen", "=?UTF-8?Q?J=C3=BCrgen?= <a@b>" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf got = BUF_INIT;
        mailbox_format(&got, rows[i].name, "a@b");
        assert_string_equal(got.data, rows[i].out);

        struct mailbox_list l = MAILBOX_LIST_INIT;
        struct err e = ERR_INIT;
        assert_true(address_list_parse(&l, got.data, got.len, &e));
        assert_int_equal(l.n, 1);
        assert_string_equal(l.v[0].address, "a@b");
        mailbox_list_free(&l);
        buf_free(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),  cmocka_unit_test(test_refusals), cmocka_unit_test(test_nul),
        cmocka_unit_test(test_one),    cmocka_unit_test(test_domain),   cmocka_unit_test(test_to_ascii),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
