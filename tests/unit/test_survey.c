/* What a survey means: scenes of one host as rows, then what only several hosts or the domain can show. TLSRPT
 * records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "send/survey_judge.h"

/* ---- scenes ---- */

enum { CLOSED = 1, MUTE = 2, REFUSED = 4, NO_STARTTLS = 8, NO_TLS = 16, UNTRUSTED = 32, NO_FAMILY = 64,
       NOT_LOOKED = 128 };

static struct sight *add_sight(struct survey *s, unsigned is, int days)
{
    struct sight *v = scene_add_sight(&s->looks);
    *v = (struct sight){ .host = xstrdup("mx.test"), .address = xstrdup("192.0.2.1"), .family = AF_INET, .port = 25,
                         .done = true, .looked = true };
    v->reach = is & CLOSED ? REACH_SILENT : is & NO_FAMILY ? REACH_NO_FAMILY : REACH_OPEN;
    if (is & (CLOSED | NO_FAMILY))
        return v;
    if (is & (MUTE | REFUSED)) {
        err_set(&v->err, is & MUTE ? FAULT_TIMEOUT : FAULT_UNAVAILABLE, "nothing came");
        if (is & REFUSED)
            err_server(&v->err, "554 5.7.1 no");
        return v;
    }
    v->greeting = xstrdup("mx");
    v->ehlo_answered = true;
    v->starttls_offered = !(is & NO_STARTTLS);
    v->tls.up = !(is & (NO_STARTTLS | NO_TLS));
    if (is & NO_TLS)
        err_set(&v->err, FAULT_TLS, "no common cipher");
    v->tls.verified = v->tls.up && !(is & UNTRUSTED);
    if (v->tls.up && !v->tls.verified)
        v->tls.problem = xstrdup("it is self-signed");
    if (v->tls.up) {
        v->tls.sha256 = xstrdup("AA");
        v->tls.days_left = days;
    }
    return v;
}

static void add_host(struct survey *s, const char *name, enum tls_level wanted)
{
    struct destination *d = &s->destination;
    d->v = xrealloc(d->v, (d->n + 1) * sizeof *d->v);
    s->hosts = xrealloc(s->hosts, (d->n + 1) * sizeof *s->hosts);
    s->hosts[d->n] = (struct survey_host){ 0 };
    d->v[d->n++] = (struct destination_host){ .name = xstrdup(name),
                                              .decision = { .wanted = wanted, .why = "a test" } };
}

/* To the last host. */
static void add_address(struct survey *s, unsigned is, unsigned dane_is, int days)
{
    struct survey_host *h = &s->hosts[s->destination.n - 1];
    const enum tls_level wanted = s->destination.v[s->destination.n - 1].decision.wanted;
    h->v = xrealloc(h->v, (h->n + 1) * sizeof *h->v);
    h->v[h->n] = (struct survey_address){ .address = xstrdup("192.0.2.1") };
    if (!(is & NOT_LOOKED)) {
        add_sight(s, is, days);
        h->v[h->n].look = s->looks.n_sights;
        if (wanted == LEVEL_DANE || wanted == LEVEL_DANE_ONLY) {
            add_sight(s, dane_is, days);
            h->v[h->n].dane_look = s->looks.n_sights;
        }
    }
    h->n++;
}

static const struct {
    enum tls_level wanted;
    unsigned is, dane_is;
    enum survey_word word;
    bool clear;
    int exit;
    const char *why;
} rows[] = {
    { LEVEL_NONE, 0, 0, SURVEY_WORKS, true, 0, NULL },
    { LEVEL_MAY, 0, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_MAY, UNTRUSTED, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_MAY, NO_STARTTLS, 0, SURVEY_WORKS, true, 0, NULL },
    { LEVEL_MAY, NO_TLS, 0, SURVEY_WORKS, true, 0, NULL },
    { LEVEL_MAY, CLOSED, 0, SURVEY_UNREACHABLE, false, 1, "port 25 does not answer" },
    { LEVEL_MAY, MUTE, 0, SURVEY_UNREACHABLE, false, 1, "nothing came" },
    { LEVEL_MAY, REFUSED, 0, SURVEY_REFUSES, false, 1, "it says '554 5.7.1 no'" },
    { LEVEL_MAY, NO_FAMILY, 0, SURVEY_UNKNOWN, false, 1, "this machine has no IPv4" },
    { LEVEL_MAY, NOT_LOOKED, 0, SURVEY_UNKNOWN, false, 1, "there was no time to look" },
    { LEVEL_ENCRYPT, UNTRUSTED, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_ENCRYPT, NO_STARTTLS, 0, SURVEY_NO_TLS, false, 1, "STARTTLS is not offered" },
    { LEVEL_ENCRYPT, NO_TLS, 0, SURVEY_NO_TLS, false, 1, "no common cipher" },
    { LEVEL_VERIFY, 0, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_VERIFY, UNTRUSTED, 0, SURVEY_UNTRUSTED, false, 1, "it is self-signed" },
    { LEVEL_VERIFY, NO_STARTTLS, 0, SURVEY_NO_TLS, false, 1, "STARTTLS is not offered" },
    { LEVEL_FINGERPRINT, UNTRUSTED, 0, SURVEY_UNTRUSTED, false, 1, "it is self-signed" },
    { LEVEL_DANE, UNTRUSTED, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_DANE, 0, UNTRUSTED, SURVEY_UNTRUSTED, false, 1, "it is self-signed" },
    { LEVEL_DANE, 0, NO_TLS, SURVEY_NO_TLS, false, 1, "no common cipher" },
    { LEVEL_DANE_ONLY, UNTRUSTED, 0, SURVEY_WORKS, false, 0, NULL },
    { LEVEL_DANE_ONLY, CLOSED, CLOSED, SURVEY_UNREACHABLE, false, 1, "port 25 does not answer" },
};

static void test_one_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct survey s = { .connect = true };
        struct survey_verdict v;
        add_host(&s, "mx.test", rows[i].wanted);
        add_address(&s, rows[i].is, rows[i].dane_is, 90);
        survey_judge(&s, 21, &v);
        const struct survey_opinion *o = &v.hosts[0].opinion;
        if (o->word != rows[i].word || o->clear != rows[i].clear || v.exit != rows[i].exit || !o->why != !rows[i].why
            || (o->why && strcmp(o->why, rows[i].why) != 0))
            fail_msg("row %zu: %s%s, exit %d, %s", i, survey_word(o->word), o->clear ? " in clear" : "", v.exit,
                     o->why ? o->why : "no reason");
        assert_int_equal(v.problems.n > 0, v.exit == 1);
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

/* A machine without one family says nothing against a host that has both. */
static void test_two_addresses(void **state)
{
    (void)state;
    static const struct { unsigned first, second; enum survey_word word; int exit; } pairs[] = {
        { 0, 0, SURVEY_WORKS, 0 },
        { NO_FAMILY, 0, SURVEY_WORKS, 0 },
        { 0, CLOSED, SURVEY_WORKS, 1 },
        { NO_FAMILY, CLOSED, SURVEY_UNREACHABLE, 1 },
        { NO_FAMILY, NO_FAMILY, SURVEY_UNKNOWN, 1 },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct survey s = { .connect = true };
        struct survey_verdict v;
        add_host(&s, "mx.test", LEVEL_MAY);
        add_address(&s, pairs[i].first, 0, 90);
        add_address(&s, pairs[i].second, 0, 90);
        survey_judge(&s, 21, &v);
        if (v.hosts[0].opinion.word != pairs[i].word || v.exit != pairs[i].exit)
            fail_msg("pair %zu: %s, exit %d", i, survey_word(v.hosts[0].opinion.word), v.exit);
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

static void test_days(void **state)
{
    (void)state;
    static const struct { int days; long warn; const char *problem; } cases[] = {
        { 21, 21, NULL },
        { 20, 21, "the certificate of 'mx.test' is good for 20 more days only" },
        { 1, 21, "the certificate of 'mx.test' is good for 1 more day only" },
        { -1, 21, "the certificate of 'mx.test' has expired" },
        { -1, 0, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct survey s = { .connect = true };
        struct survey_verdict v;
        add_host(&s, "mx.test", LEVEL_MAY);
        add_address(&s, 0, 0, 90);
        add_address(&s, 0, 0, cases[i].days);
        survey_judge(&s, cases[i].warn, &v);
        assert_int_equal(v.problems.n, cases[i].problem != NULL);
        if (cases[i].problem)
            assert_string_equal(v.problems.v[0], cases[i].problem);
        assert_int_equal(v.exit, cases[i].problem != NULL);
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

static void test_several_hosts(void **state)
{
    (void)state;
    struct survey s = { .connect = true };
    struct survey_verdict v;
    add_host(&s, "mx1.test", LEVEL_DANE);
    s.destination.v[0].decision.skip = true;
    err_set(&s.destination.v[0].decision.trouble, FAULT_TEMPORARY, "its TLSA records cannot be looked up");
    add_address(&s, 0, 0, 90);
    add_host(&s, "mx2.test", LEVEL_MAY);
    err_set(&s.destination.v[1].trouble, FAULT_NO_HOST, "there is no host 'mx2.test'");
    add_host(&s, "mx3.test", LEVEL_MAY);
    add_address(&s, NO_STARTTLS, 0, 90);
    survey_judge(&s, 21, &v);
    assert_int_equal(v.hosts[0].opinion.word, SURVEY_SKIPPED);
    assert_int_equal(v.hosts[1].opinion.word, SURVEY_NO_ADDRESS);
    assert_int_equal(v.hosts[2].opinion.word, SURVEY_WORKS);
    assert_int_equal(v.problems.n, 2);
    assert_string_equal(v.problems.v[0], "its TLSA records cannot be looked up, so it is not used");
    assert_string_equal(v.problems.v[1], "there is no host 'mx2.test', so it is not used");
    assert_string_equal(v.remarks.v[0], "mail to 'mx3.test' goes in clear");
    assert_string_equal(v.summary, "mail can be delivered, to 1 of 3 hosts; 2 problems");
    assert_int_equal(v.exit, 1);
    survey_verdict_free(&v);
    survey_free(&s);
}

/* A host by DANE has to keep to the policy as well: not all senders know DANE. */
static void test_sts(void **state)
{
    (void)state;
    static const struct {
        enum sts_mode mode;
        const char *pattern;
        unsigned is;
        enum tls_level wanted;
        const char *problem;
    } cases[] = {
        { STS_ENFORCE, "mx.test", 0, LEVEL_VERIFY, NULL },
        { STS_ENFORCE, "mx.test", UNTRUSTED, LEVEL_VERIFY, "'mx.test' [192.0.2.1]: it is self-signed" },
        { STS_ENFORCE, "mx.test", 0, LEVEL_DANE, NULL },
        { STS_ENFORCE, "mx.test", UNTRUSTED, LEVEL_DANE,
          "'mx.test' [192.0.2.1] does not keep to the MTA-STS policy (enforce): it is self-signed" },
        { STS_ENFORCE, "*.other.test", 0, LEVEL_DANE, "the MTA-STS policy (enforce) does not name 'mx.test'" },
        { STS_TESTING, "*.test", 0, LEVEL_MAY, NULL },
        { STS_TESTING, "*.test", NO_STARTTLS, LEVEL_MAY,
          "'mx.test' [192.0.2.1] does not keep to the MTA-STS policy (testing): STARTTLS is not offered" },
        { STS_TESTING, "other.test", 0, LEVEL_MAY, "the MTA-STS policy (testing) does not name 'mx.test'" },
        { STS_NONE, "other.test", UNTRUSTED, LEVEL_MAY, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct survey s = { .connect = true,
                            .destination.sts = { .source = STS_FETCHED, .policy.mode = cases[i].mode } };
        struct survey_verdict v;
        strlist_add(&s.destination.sts.policy.mx, cases[i].pattern);
        add_host(&s, "mx.test", cases[i].wanted);
        s.destination.v[0].decision.report = cases[i].mode == STS_TESTING;
        add_address(&s, cases[i].is, 0, 90);
        survey_judge(&s, 21, &v);
        if (v.problems.n != (cases[i].problem != NULL)
            || (cases[i].problem && strcmp(v.problems.v[0], cases[i].problem) != 0))
            fail_msg("case %zu: %s", i, v.problems.n ? v.problems.v[0] : "no problem");
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

static void test_domain(void **state)
{
    (void)state;
    static const struct { enum fault fault; int exit; } cases[] = {
        { FAULT_NO_HOST, 68 }, { FAULT_DNS, 75 }, { FAULT_MESSAGE, 64 }, { FAULT_CERTIFICATE, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct survey s = { .connect = true };
        struct survey_verdict v;
        err_set(&s.destination.err, cases[i].fault, "so it is");
        survey_judge(&s, 21, &v);
        assert_int_equal(v.exit, cases[i].exit ? cases[i].exit : 1);
        assert_string_equal(v.summary, "no mail can be delivered: so it is");
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

static void test_spf(void **state)
{
    (void)state;
    static const struct { enum spf_result result; size_t problems, remarks; } cases[] = {
        { SPF_PASS, 0, 0 }, { SPF_FAIL, 1, 0 },      { SPF_PERMERROR, 1, 0 }, { SPF_SOFTFAIL, 0, 1 },
        { SPF_NONE, 0, 1 }, { SPF_TEMPERROR, 0, 1 }, { SPF_NEUTRAL, 0, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct survey s = { .connect = true, .spf.asked = SURVEY_SPF_JUDGED, .spf.verdict.result = cases[i].result };
        struct survey_verdict v;
        s.spf.domain = xstrdup("from.test");
        s.spf.address = xstrdup("192.0.2.9");
        add_host(&s, "mx.test", LEVEL_MAY);
        add_address(&s, 0, 0, 90);
        survey_judge(&s, 21, &v);
        assert_int_equal(v.problems.n, cases[i].problems);
        assert_int_equal(v.remarks.n, cases[i].remarks);
        survey_verdict_free(&v);
        survey_free(&s);
    }
}

/* ---- TLSRPT ---- */

static const struct {
    const char *records[3];
    enum tlsrpt result;
    const char *first;
    size_t n;
} reports[] = {
    { { "v=TLSRPTv1; rua=mailto:a@b.test" }, TLSRPT_FOUND, "mailto:a@b.test", 1 },
    { { "v=TLSRPTv1;rua=mailto:a@b.test , https://b.test/x?y;" }, TLSRPT_FOUND, "mailto:a@b.test", 2 },
    { { "v=TLSRPTv1; x=y; rua = https://b.test/" }, TLSRPT_FOUND, "https://b.test/", 1 },
    { { "v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@b.test" }, TLSRPT_FOUND, "mailto:a@b.test", 1 },
    { { "v=TLSRPTv1; rua=mailto:a@b.test", "v=TLSRPTv1; rua=mailto:c@b.test" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv1; rua=ftp://b.test" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv1; rua=mailto:" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv1; rua=" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv1;" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv1; rua" }, TLSRPT_FAULTY, NULL, 0 },
    { { "v=TLSRPTv10; rua=mailto:a@b.test" }, TLSRPT_ABSENT, NULL, 0 },
    { { "v=TLSRPTv1" }, TLSRPT_ABSENT, NULL, 0 },
    { { NULL }, TLSRPT_ABSENT, NULL, 0 },
};

static void test_tlsrpt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof reports / sizeof *reports; i++) {
        struct dns_answer a = { .status = DNS_FOUND };
        struct strlist rua = STRLIST_INIT;
        for (size_t k = 0; k < 3 && reports[i].records[k]; k++) {
            struct buf rdata = BUF_INIT;
            buf_addc(&rdata, (char)strlen(reports[i].records[k]));
            buf_adds(&rdata, reports[i].records[k]);
            assert_true(dns_answer_add(&a, DNS_TXT, rdata.data, rdata.len));
            buf_free(&rdata);
        }
        enum tlsrpt result = tlsrpt_read(&a, &rua);
        if (result != reports[i].result || rua.n != reports[i].n
            || (rua.n > 0 && strcmp(rua.v[0], reports[i].first) != 0))
            fail_msg("row %zu: %s, %zu addresses", i, tlsrpt_word(result), rua.n);
        strlist_free(&rua);
        dns_answer_free(&a);
    }
    struct dns_answer failed = { .status = DNS_FAILED };
    struct strlist rua = STRLIST_INIT;
    assert_int_equal(tlsrpt_read(&failed, &rua), TLSRPT_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_host), cmocka_unit_test(test_two_addresses), cmocka_unit_test(test_days),
        cmocka_unit_test(test_several_hosts), cmocka_unit_test(test_sts), cmocka_unit_test(test_domain),
        cmocka_unit_test(test_spf), cmocka_unit_test(test_tlsrpt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
