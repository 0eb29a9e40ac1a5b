/* sts: records, policies and patterns of MTA-STS, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "send/sts.h"

#define ID32 "abcdefghijklmnopqrstuvwxyz012345"

enum { MOST = 3 };

/* The TXT records at the name, and the id; NULL: there is no policy. */
static const struct { const char *records[MOST], *id; } records[] = {
    { { "v=STSv1; id=20160831085700Z;" }, "20160831085700Z" }, /* RFC 8461 3.1 */
    { { "v=STSv1; id=1" }, "1" },
    { { "v=STSv1;id=1" }, "1" },
    { { "v=STSv1 \t;\t id=1 ; " }, "1" },
    { { "v=STSv1; id=" ID32 }, ID32 },
    { { "v=STSv1; id=" ID32 "6" }, NULL },
    { { "v=STSv1; id=" }, NULL },
    { { "v=STSv1; id" }, NULL },
    { { "v=STSv1; id=a-b" }, NULL },
    { { "v=STSv1; id= 1" }, NULL },
    { { "v=STSv1; id =1" }, NULL },
    { { "v=STSv1; ID=1" }, NULL },
    { { "v=STSv1; id=1; id=2" }, "1" }, /* the first counts */
    { { "v=STSv1; id=1; id=-" }, "1" },
    { { "v=STSv1; a=b; id=1; c.d-e_f=!$%&/:" }, "1" },
    { { "v=STSv1; a=b=c; id=1" }, NULL },
    { { "v=STSv1; a=; id=1" }, NULL },
    { { "v=STSv1; a=b c; id=1" }, NULL },
    { { "v=STSv1; -a=b; id=1" }, NULL },
    { { "v=STSv1; " ID32 "=b; id=1" }, "1" },
    { { "v=STSv1; " ID32 "6=b; id=1" }, NULL },
    { { "v=STSv1; a=\xc3\xbc; id=1" }, NULL },
    { { "v=STSv1; a=b" }, NULL },
    { { "v=STSv1;; id=1" }, NULL },
    { { "v=STSv1; id=1;;" }, NULL },
    { { "v=STSv1;" }, NULL },
    { { "v=STSv1" }, NULL },
    { { "v=STSv1 id=1" }, NULL },
    { { "v=stsv1; id=1" }, NULL },
    { { "V=STSv1; id=1" }, NULL },
    { { " v=STSv1; id=1" }, NULL },
    { { "v = STSv1; id=1" }, NULL },
    { { "id=1; v=STSv1" }, NULL },
    { { "v=STSv2; id=1" }, NULL },
    { { "v=STSv11; id=1" }, NULL },
    { { "" }, NULL },
    { { NULL }, NULL },
    { { "v=STSv1; id=1", "v=STSv1; id=1" }, NULL }, /* more than one: none */
    { { "v=STSv1; id=1", "v=STSv1; nothing" }, NULL },
    { { "v=STSv1; nothing", "v=STSv1; id=1" }, NULL },
    { { "v=spf1 -all", "v=STSv1; id=1", "v=STSv2; id=2" }, "1" }, /* others do not count */
    { { "v=STSv1", "v=STSv1; id=1" }, "1" },
};

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct dns_record v[MOST] = { 0 };
        struct dns_answer a = { .v = v };
        struct buf id = BUF_INIT;
        for (; a.n < MOST && records[i].records[a.n]; a.n++)
            v[a.n] = (struct dns_record){ .text = xstrdup(records[i].records[a.n]),
                                          .len = strlen(records[i].records[a.n]) };
        buf_adds(&id, "=");
        bool ok = sts_record_id(&a, &id);
        if (ok != (records[i].id != NULL))
            fail_msg("'%s': %s", a.n ? v[0].text : "", ok ? id.data : "no id");
        assert_string_equal(id.data + 1, ok ? records[i].id : "");
        buf_free(&id);
        for (size_t k = 0; k < a.n; k++)
            free(v[k].text);
    }
    struct dns_record nul = { .text = (char[]){ "v=STSv1; id=1;\0" }, .len = 15 };
    struct buf id = BUF_INIT;
    assert_false(sts_record_id(&(struct dns_answer){ .v = &nul, .n = 1 }, &id));
    buf_free(&id);
}

#define HEAD "version: STSv1\n"
#define REST "max_age: 60\nmx: mx.example\n"

/* A policy: "MODE MAX_AGE MX…", or what is wrong with it. */
static const struct { const char *text, *is, *wrong; } policies[] = {
    { "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\n"
      "max_age: 604800\r\n", /* RFC 8461 3.2 */
      "enforce 604800 mail.example.com *.example.net backupmx.example.com", NULL },
    { HEAD "mode: testing\n" REST, "testing 60 mx.example", NULL },
    { HEAD "mode: none\n" REST, "none 60 mx.example", NULL },
    { HEAD "mode: none\nmax_age: 60", "none 60", NULL },
    { "mx: mx.example\nmax_age: 60\nmode: enforce\nversion: STSv1", "enforce 60 mx.example", NULL },
    { "version:STSv1\nmode:\tenforce \nmax_age:60\t \nmx:   mx.example  ", "enforce 60 mx.example", NULL },
    { HEAD "mode: enforce\r\n" REST, "enforce 60 mx.example", NULL }, /* both ends of line */
    { "\r\n" HEAD "\n \nmode: enforce\n" REST "\n\r\n", "enforce 60 mx.example", NULL },
    { HEAD "mode: enforce\nmx: MX.Example\nmx: *.XN--BCHER-KVA.example\nmax_age: 60",
      "enforce 60 mx.example *.xn--bcher-kva.example", NULL },
    { HEAD "mode: enforce\nmx: example\nmx: 1.2-3.x\nmax_age: 60", "enforce 60 example 1.2-3.x", NULL },
    /* the first counts */
    { HEAD "mode: enforce\nmode: none\n" REST "max_age: 70\nversion: STSv2\nmode: no\nmax_age: -\n",
      "enforce 60 mx.example", NULL },
    { HEAD "mode: enforce\nx-any.thing_else: \xc3\xbc ber: all = 1; 2\n" REST, "enforce 60 mx.example", NULL },
    { HEAD "mode: enforce\nMode: none\n" REST, "enforce 60 mx.example", NULL }, /* another key */
    { HEAD "mode: none\nmax_age: 0", "none 0", NULL },
    { HEAD "mode: none\nmax_age: 0000000060", "none 60", NULL },
    { HEAD "mode: none\nmax_age: 31557600", "none 31557600", NULL },
    { HEAD "mode: none\nmax_age: 31557601", "none 31557600", NULL },
    { HEAD "mode: none\nmax_age: 9999999999", "none 31557600", NULL },
    { HEAD "mode: none\nmax_age: 10000000000", NULL, "no number of seconds in 'max_age: 10000000000'" },
    { HEAD "mode: none\nmax_age: -1", NULL, "no number of seconds" },
    { HEAD "mode: none\nmax_age: 60s", NULL, "no number of seconds" },
    { HEAD "mode: none\nmax_age: 6 0", NULL, "no number of seconds" },
    { HEAD "mode: none\nmax_age:", NULL, "no proper value in 'max_age:'" },
    { "mode: enforce\n" REST, NULL, "it has no 'version'" },
    { HEAD REST, NULL, "it has no 'mode'" },
    { HEAD "mode: enforce\nmx: mx.example", NULL, "it has no 'max_age'" },
    { HEAD "mode: enforce\nmax_age: 60", NULL, "it has no 'mx'" },
    { HEAD "mode: testing\nmax_age: 60", NULL, "it has no 'mx'" },
    { "", NULL, "it has no 'version'" },
    { "version: STSv2\nmode: enforce\n" REST, NULL, "an unknown version in 'version: STSv2'" },
    { "version: stsv1\nmode: enforce\n" REST, NULL, "an unknown version" },
    { "version : STSv1\nmode: enforce\n" REST, NULL, "no 'key: value' in 'version : STSv1'" },
    { " version: STSv1\nmode: enforce\n" REST, NULL, "no 'key: value'" },
    { HEAD "mode: Enforce\n" REST, NULL, "an unknown mode in 'mode: Enforce'" },
    { HEAD "mode: report\n" REST, NULL, "an unknown mode" },
    { HEAD "mode: enforce\nnothing\n" REST, NULL, "no 'key: value' in 'nothing'" },
    { HEAD "mode: enforce\n: x\n" REST, NULL, "no 'key: value' in ': x'" },
    { HEAD "mode: enforce\na b: x\n" REST, NULL, "no 'key: value' in 'a b: x'" },
    { HEAD "mode: enforce\n" ID32 "6: x\n" REST, NULL, "no 'key: value'" },
    { HEAD "mode: enforce\n<html>\n" REST, NULL, "no 'key: value' in '<html>'" },
    { HEAD "mode: enforce\nx: \x1b[1m\n" REST, NULL, "no proper value in 'x: \\x1B[1m'" },
    { HEAD "mode: enforce\nx: a\rb\n" REST, NULL, "no proper value" },
    { HEAD "mode: enforce\nx: \xff\n" REST, NULL, "no proper value" },
    { HEAD "mode: enforce\r" REST, NULL, "no proper value" },
    { HEAD "mode: none\nmax_age: 60\r", NULL, "no proper value" },
    { HEAD "mode: none\nmax_age: 60\nmx: mx.example.", NULL, "no host name or pattern in 'mx: mx.example.'" },
    { HEAD "mode: none\nmax_age: 60\nmx: .example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: *", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: *.", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: *.*.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: mx*.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: mx.*.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: -a.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: a-.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: a..example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: a b", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: a.example, b.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: b\xc3\xbc""cher.example", NULL, "no host name" },
    { HEAD "mode: none\nmax_age: 60\nmx: abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01", NULL,
      "no host name" },
};

static void test_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        struct sts_policy p;
        struct err e = ERR_INIT;
        struct buf is = BUF_INIT;
        if (!sts_policy_parse(&p, policies[i].text, strlen(policies[i].text), &e)) {
            if (!policies[i].wrong || !strstr(e.text, policies[i].wrong))
                fail_msg("row %zu: %s", i, e.text);
            assert_int_equal(e.fault, FAULT_PROTOCOL);
            assert_int_equal(p.mx.n, 0);
            err_clear(&e);
            continue;
        }
        buf_printf(&is, "%s %ld", sts_mode_word(p.mode), p.max_age);
        for (size_t k = 0; k < p.mx.n; k++)
            buf_printf(&is, " %s", p.mx.v[k]);
        if (!policies[i].is)
            fail_msg("row %zu is good: %s", i, is.data);
        assert_string_equal(is.data, policies[i].is);
        sts_policy_free(&p);
        buf_free(&is);
    }
}

static void test_size(void **state)
{
    (void)state;
    struct sts_policy p;
    struct err e = ERR_INIT;
    struct buf text = BUF_INIT;
    buf_adds(&text, HEAD "mode: enforce\n" REST);
    while (text.len + 14 <= STS_POLICY_MAX)
        buf_adds(&text, "mx: a.example\n");
    while (text.len < STS_POLICY_MAX)
        buf_addc(&text, '\n');
    assert_true(sts_policy_parse(&p, text.data, text.len, &e));
    sts_policy_free(&p);
    buf_addc(&text, '\n');
    assert_false(sts_policy_parse(&p, text.data, text.len, &e));
    assert_string_equal(e.text, "the MTA-STS policy is longer than 65536 octets");
    err_clear(&e);
    assert_false(sts_policy_parse(&p, HEAD "mode: none\0\nmax_age: 60", strlen(HEAD) + 23, &e));
    err_clear(&e);
    buf_free(&text);
}

static const struct { const char *pattern, *host; bool good; } matches[] = {
    { "mx.example", "mx.example", true },
    { "mx.example", "MX.Example", true },
    { "mx.example", "mx.example.net", false },
    { "mx.example", "a.mx.example", false },
    { "mx.example", "x.example", false },
    { "*.example.com", "mail.example.com", true }, /* RFC 8461 4.1 */
    { "*.example.com", "example.com", false },
    { "*.example.com", "foo.bar.example.com", false },
    { "*.example.com", ".example.com", false },
    { "*.example.com", "mailexample.com", false },
    { "*.example.com", "MAIL.EXAMPLE.COM", true },
    { "*.example.com", "com", false },
    { "*.example.com", "", false },
    { "*.xn--bcher-kva.example", "mx.xn--bcher-kva.example", true },
};

static void test_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        struct sts_policy p = { 0 };
        strlist_add(&p.mx, "other.example");
        strlist_add(&p.mx, matches[i].pattern);
        if (sts_policy_matches(&p, matches[i].host) != matches[i].good)
            fail_msg("'%s' and '%s'", matches[i].pattern, matches[i].host);
        sts_policy_free(&p);
    }
    assert_false(sts_policy_matches(&(struct sts_policy){ 0 }, "mx.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records), cmocka_unit_test(test_policies), cmocka_unit_test(test_size),
        cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
