/* What the octets of DNS records mean, names for services and addresses; questions where nobody answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "net/dns.h"
#include "net/dns_why.h"

#define OCTETS(s_) (s_), sizeof(s_) - 1

static const struct {
    enum dns_type type;
    const char *octets;
    size_t n;
    const char *text; /* NULL: no record */
    int preference, weight, port;
} rows[] = {
    { DNS_A, OCTETS("\xc0\0\2\1"), "192.0.2.1", 0, 0, 0 },
    { DNS_A, OCTETS("\xc0\0\2"), NULL, 0, 0, 0 },
    { DNS_A, OCTETS("\xc0\0\2\1\1"), NULL, 0, 0, 0 },
    { DNS_AAAA, OCTETS("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1", 0, 0, 0 },
    { DNS_AAAA, OCTETS("\x20\1"), NULL, 0, 0, 0 },
    { DNS_MX, OCTETS("\0\012\2mx\7example\0"), "mx.example", 10, 0, 0 },
    { DNS_MX, OCTETS("\0\0\0"), "", 0, 0, 0 },
    { DNS_MX, OCTETS("\0\0"), NULL, 0, 0, 0 },
    { DNS_MX, OCTETS("\0"), NULL, 0, 0, 0 },
    { DNS_MX, OCTETS("\0\012\2mx\7example"), NULL, 0, 0, 0 },        /* no end */
    { DNS_MX, OCTETS("\0\012\2mx\7example\0x"), NULL, 0, 0, 0 },     /* more behind the end */
    { DNS_MX, OCTETS("\0\012\2m\r\7example\0"), NULL, 0, 0, 0 },     /* nothing that could not stand in a line */
    { DNS_MX, OCTETS("\0\012\2m.\7example\0"), NULL, 0, 0, 0 },
    { DNS_MX, OCTETS("\0\012\2m\0\7example\0"), NULL, 0, 0, 0 },
    { DNS_MX, OCTETS("\0\012\xc0\014"), NULL, 0, 0, 0 },             /* no pointers */
    { DNS_CNAME, OCTETS("\1a\1b\0"), "a.b", 0, 0, 0 },
    { DNS_PTR, OCTETS("\4mail\7example\0"), "mail.example", 0, 0, 0 },
    { DNS_SRV, OCTETS("\0\1\0\2\0\x19\1a\0"), "a", 1, 2, 25 },
    { DNS_SRV, OCTETS("\0\1\0\2\0"), NULL, 0, 0, 0 },
    { DNS_TXT, OCTETS("\3v=S\3TSv"), "v=STSv", 0, 0, 0 },
    { DNS_TXT, OCTETS("\0"), "", 0, 0, 0 },
    { DNS_TXT, OCTETS("\4abc"), NULL, 0, 0, 0 },
    { DNS_TXT, OCTETS(""), NULL, 0, 0, 0 },
};

static void test_records(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dns_answer a = { 0 };
        bool ok = dns_answer_add(&a, rows[i].type, rows[i].octets, rows[i].n);
        if (ok != (rows[i].text != NULL))
            fail_msg("row %zu: %s", i, ok ? "a record" : "no record");
        if (ok) {
            assert_string_equal(a.v[0].text, rows[i].text);
            assert_int_equal(a.v[0].len, strlen(rows[i].text));
            assert_int_equal(a.v[0].preference, rows[i].preference);
            assert_int_equal(a.v[0].weight, rows[i].weight);
            assert_int_equal(a.v[0].port, rows[i].port);
        }
        dns_answer_free(&a);
    }
}

static void test_tlsa(void **state)
{
    struct dns_answer a = { 0 };
    (void)state;
    assert_true(dns_answer_add(&a, DNS_TLSA, "\3\1\1\xaa\0\xbb", 6));
    assert_false(dns_answer_add(&a, DNS_TLSA, "\3\1\1", 3));
    assert_int_equal(a.n, 1);
    assert_int_equal(a.v[0].usage, 3);
    assert_int_equal(a.v[0].selector, 1);
    assert_int_equal(a.v[0].matching, 1);
    assert_int_equal(a.v[0].association.len, 3);
    assert_memory_equal(a.v[0].association.data, "\xaa\0\xbb", 3);
    dns_answer_free(&a);
}

static void test_names(void **state)
{
    static const struct { const char *address, *name; } reverse[] = {
        { "192.0.2.1", "1.2.0.192.in-addr.arpa" },
        { "2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
        { "mail.example", NULL },
        { "192.0.2", NULL },
    };
    struct buf name = BUF_INIT;
    (void)state;
    dns_service_name(&name, 25, "mx.example");
    assert_string_equal(name.data, "_25._tcp.mx.example");
    for (size_t i = 0; i < sizeof reverse / sizeof *reverse; i++) {
        buf_reset(&name);
        assert_int_equal(dns_reverse_name(&name, reverse[i].address), reverse[i].name != NULL);
        assert_string_equal(name.data, reverse[i].name ? reverse[i].name : "");
    }
    buf_free(&name);
}

#define HEAD(questions_, answers_, more_) "\0\1\x81\x80\0" questions_ "\0" answers_ "\0\0\0" more_
#define NAME "\2mx\4test\0"
#define A_RECORD "\xc0\014\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define RRSIG_RECORD "\xc0\014\0\x2e\0\1\0\0\0\x3c\0\3abc"

static void test_messages(void **state)
{
    static const struct { const char *octets; size_t n; bool has; } messages[] = {
        { OCTETS(""), false },
        { OCTETS("\0\1\x81\x80\0\1\0\1\0\0\0"), false },
        { OCTETS(HEAD("\0", "\0", "\0")), false },
        { OCTETS(HEAD("\1", "\1", "\0") NAME "\0\1\0\1" A_RECORD), false },
        { OCTETS(HEAD("\1", "\1", "\0") NAME "\0\1\0\1" RRSIG_RECORD), true },
        { OCTETS(HEAD("\1", "\2", "\0") NAME "\0\1\0\1" A_RECORD RRSIG_RECORD), true },
        { OCTETS(HEAD("\1", "\1", "\1") NAME "\0\1\0\1" A_RECORD RRSIG_RECORD), true },  /* in another section */
        { OCTETS(HEAD("\1", "\1", "\0") NAME "\0\1\0\1" A_RECORD RRSIG_RECORD), false }, /* behind the last record */
        { OCTETS(HEAD("\1", "\2", "\0") NAME "\0\x2e\0\1" A_RECORD), false },           /* only asked for; cut */
        { OCTETS(HEAD("\0", "\2", "\0") "\0\0\1\0\1\0\0\0\x3c\xff\xff" RRSIG_RECORD), false }, /* longer than all */
        { OCTETS(HEAD("\0", "\1", "\0") "\x3fshort"), false },
        { OCTETS(HEAD("\0", "\1", "\0") "\xc0"), false },
    };
    (void)state;
    assert_false(dns_message_has(NULL, 0, 46));
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        if (dns_message_has(messages[i].octets, messages[i].n, 46) != messages[i].has)
            fail_msg("message %zu", i);
}

static void test_explanations(void **state)
{
    static const struct {
        enum dns_status status;
        bool secure;
        enum dns_root root;
        const char *server;
        enum dns_status then;
        const char *why, *hint; /* NULL: none; hint: a part of it */
    } cases[] = {
        { DNS_FOUND, true, ROOT_GOOD, NULL, DNS_FOUND, NULL, NULL },
        { DNS_FOUND, false, ROOT_GOOD, NULL, DNS_FOUND, NULL, NULL },
        { DNS_NO_NAME, false, ROOT_UNKNOWN, NULL, DNS_NO_NAME, NULL, NULL },
        { DNS_NO_DATA, false, ROOT_FAILED, NULL, DNS_NO_DATA, NULL, NULL },
        { DNS_NO_DATA, true, ROOT_NO_ANCHOR, NULL, DNS_NO_DATA, NULL, NULL },
        { DNS_NO_DATA, false, ROOT_NO_ANCHOR, NULL, DNS_FAILED,
          "the trust anchor holds no key of the root that can be used", "dns_anchor" },
        { DNS_BOGUS, false, ROOT_GOOD, NULL, DNS_BOGUS, "WHY", "owner" },
        { DNS_BOGUS, false, ROOT_UNKNOWN, NULL, DNS_BOGUS, "WHY", "owner" },
        { DNS_BOGUS, false, ROOT_BOGUS, NULL, DNS_BOGUS, "the root's own key cannot be validated: ROOT", "clock" },
        { DNS_BOGUS, false, ROOT_STRIPPED, NULL, DNS_BOGUS,
          "the name server of /etc/resolv.conf removes DNSSEC signatures", "'dnssec off'" },
        { DNS_BOGUS, false, ROOT_STRIPPED, "[::1]:53", DNS_BOGUS,
          "the name server at [::1]:53 removes DNSSEC signatures", "'dnssec off'" },
        { DNS_BOGUS, false, ROOT_FAILED, "192.0.2.1", DNS_BOGUS,
          "the name server at 192.0.2.1 does not answer what DNSSEC has to ask", "'dnssec off'" },
        { DNS_FAILED, false, ROOT_UNKNOWN, "192.0.2.1", DNS_FAILED,
          "the name server at 192.0.2.1 gives no usable answer (WHY)", "dns_server" },
        { DNS_FAILED, false, ROOT_STRIPPED, "192.0.2.1", DNS_FAILED,
          "the name server at 192.0.2.1 gives no usable answer (WHY)", "dns_server" },
        { DNS_FAILED, false, ROOT_GOOD, "192.0.2.1", DNS_FAILED,
          "the name servers of that domain give no usable answer (WHY)", "owner" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool failure = cases[i].status == DNS_BOGUS || cases[i].status == DNS_FAILED;
        struct dns_answer a = {
            .status = cases[i].status, .secure = cases[i].secure, .why = failure ? xstrdup("WHY") : NULL,
        };
        dns_explain(&a, cases[i].root, "ROOT", cases[i].server);
        assert_int_equal(a.status, cases[i].then);
        assert_int_equal(a.why != NULL, cases[i].why != NULL);
        assert_int_equal(a.hint != NULL, cases[i].hint != NULL);
        if (a.why)
            assert_string_equal(a.why, cases[i].why);
        if (a.hint && !strstr(a.hint, cases[i].hint))
            fail_msg("case %zu: %s", i, a.hint);
        dns_answer_free(&a);
    }
}

static void test_bad_parameters(void **state)
{
    static const struct { struct dns_params p; enum fault fault; } bad[] = {
        { { .server = "nobody" }, FAULT_CONFIG },
        { { .server = "127.0.0.1:0" }, FAULT_CONFIG },
        { { .server = "[::1" }, FAULT_CONFIG },
        { { .server = "127.0.0.1:1", .validate = true, .anchor = "/" }, FAULT_CONFIG },
        { { .server = "127.0.0.1:1", .validate = true, .anchor = "/nowhere/root.key" }, FAULT_CONFIG },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_null(dns_new(&bad[i].p, &e));
        if (e.fault != FAULT_SYSTEM) /* built without the library */
            assert_int_equal(e.fault, bad[i].fault);
        assert_non_null(e.hint);
        err_clear(&e);
    }
}

/* Nobody listens on the discard port: the question ends at its deadline, or by itself before. */
static void test_nobody_answers(void **state)
{
    const struct dns_params p = { .server = "127.0.0.1:9" };
    struct err e = ERR_INIT;
    struct pollset ps = POLLSET_INIT;
    struct dns *d = dns_new(&p, &e);
    (void)state;
    if (!d) {
        assert_int_equal(e.fault, FAULT_SYSTEM);
        err_clear(&e);
        return;
    }
    const usec deadline = clock_deadline(USEC_PER_SEC / 5);
    struct dns_question *q = dns_ask(d, "example.test", DNS_MX), *other = dns_ask(d, "example.org", DNS_A);
    const struct dns_answer *a;
    dns_question_free(other);
    while (!(a = dns_answer(q, deadline))) {
        pollset_reset(&ps);
        dns_waits(d, &ps);
        pollset_until(&ps, deadline);
        pollset_wait(&ps);
    }
    assert_int_equal(a->status, DNS_FAILED);
    assert_non_null(a->why);
    dns_question_free(q);
    dns_free(d);
    pollset_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records), cmocka_unit_test(test_tlsa), cmocka_unit_test(test_names),
        cmocka_unit_test(test_messages), cmocka_unit_test(test_explanations),
        cmocka_unit_test(test_bad_parameters), cmocka_unit_test(test_nobody_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
