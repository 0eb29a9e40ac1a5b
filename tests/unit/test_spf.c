/* SPF: records, macros (the examples of RFC 7208 7.4), and check_host() over a zone of our own: RFC 7208's appendix A,
 * its limits, and failing name servers. Each answer comes a step later than it was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "send/spf.h"
#include "send/spf_record.h"

/* ---- name servers: dns.c's part ---- */

struct zone_row {
    const char *name;
    enum dns_type type;
    const char *text; /* NULL: the name servers fail */
};

#define LONG_TXT "v=spf1 include:i1.long.test include:i2.long.test include:i3.long.test include:i4.long.test " \
                 "include:i5.long.test include:i6.long.test include:i7.long.test include:i8.long.test "           \
                 "include:i9.long.test a:amy.example.com "

static const struct zone_row zone[] = {
    { "example.com", DNS_MX, "mail-a.example.com" },
    { "example.com", DNS_MX, "mail-b.example.com" },
    { "example.com", DNS_A, "192.0.2.10" },
    { "example.com", DNS_A, "192.0.2.11" },
    { "example.com", DNS_AAAA, "2001:db8::10" },
    { "amy.example.com", DNS_A, "192.0.2.65" },
    { "bob.example.com", DNS_A, "192.0.2.66" },
    { "mail-a.example.com", DNS_A, "192.0.2.129" },
    { "mail-b.example.com", DNS_A, "192.0.2.130" },
    { "example.org", DNS_MX, "mail-c.example.org" },
    { "mail-c.example.org", DNS_A, "192.0.2.140" },
    { "10.2.0.192.in-addr.arpa", DNS_PTR, "example.com" },
    { "65.2.0.192.in-addr.arpa", DNS_PTR, "amy.example.com" },
    { "129.2.0.192.in-addr.arpa", DNS_PTR, "mail-a.example.com" },
    { "140.2.0.192.in-addr.arpa", DNS_PTR, "mail-c.example.org" },
    { "4.0.0.10.in-addr.arpa", DNS_PTR, "bob.example.com" }, /* and bob is elsewhere */
    { "mary.mobile-users._spf.example.com", DNS_A, "127.0.0.2" },
    { "15.15.168.192.joel.remote-users._spf.example.com", DNS_A, "127.0.0.2" },
    { "mobile-users._spf.example.com", DNS_TXT, "v=spf1 exists:%{l1r+}.%{d}" },
    { "remote-users._spf.example.com", DNS_TXT, "v=spf1 exists:%{ir}.%{l1r+}.%{d}" },
    { "ip4._spf.example.com", DNS_TXT, "v=spf1 -ip4:192.0.2.0/24 +all" },
    { "ptr._spf.example.com", DNS_TXT, "v=spf1 -ptr:example.com +all" },
    { "proven.amy.example.com", DNS_A, "127.0.0.2" },
    { "pass.test", DNS_TXT, "v=spf1 ip4:192.0.2.1 -all" },
    { "la.test", DNS_TXT, "v=spf1 redirect=pass.test" },
    { "loop.test", DNS_TXT, "v=spf1 include:loop.test -all" },
    { "round.test", DNS_TXT, "v=spf1 redirect=round.test" },
    { "twice.test", DNS_TXT, "v=spf1 -all" },
    { "twice.test", DNS_TXT, "v=spf1 +all" },
    { "mixed.test", DNS_TXT, "google-site-verification=1" },
    { "mixed.test", DNS_TXT, "v=spf10 +all" },
    { "mixed.test", DNS_TXT, "V=SPF1 -ALL" },
    { "none.test", DNS_TXT, "v=spf2.0/pra +all" },
    { "broken.test", DNS_TXT, "v=spf1 ip4:1.2.3 -all" },
    { "down.test", DNS_TXT, NULL },
    { "down.test", DNS_A, NULL },
    { "down.test", DNS_MX, "down.test" },
    { "1.113.0.203.in-addr.arpa", DNS_PTR, NULL },
    { "many.test", DNS_MX, "1" }, { "many.test", DNS_MX, "2" }, { "many.test", DNS_MX, "3" },
    { "many.test", DNS_MX, "4" }, { "many.test", DNS_MX, "5" }, { "many.test", DNS_MX, "6" },
    { "many.test", DNS_MX, "7" }, { "many.test", DNS_MX, "8" }, { "many.test", DNS_MX, "9" },
    { "many.test", DNS_MX, "10" }, { "many.test", DNS_MX, "11" },
    { "i1.long.test", DNS_TXT, "v=spf1 -all" }, { "i2.long.test", DNS_TXT, "v=spf1 -all" },
    { "i3.long.test", DNS_TXT, "v=spf1 -all" }, { "i4.long.test", DNS_TXT, "v=spf1 -all" },
    { "i5.long.test", DNS_TXT, "v=spf1 -all" }, { "i6.long.test", DNS_TXT, "v=spf1 -all" },
    { "i7.long.test", DNS_TXT, "v=spf1 -all" }, { "i8.long.test", DNS_TXT, "v=spf1 -all" },
    { "i9.long.test", DNS_TXT, "v=spf1 -all" },
};

/* The record of the domain that a case is about. */
static const char *at_example_com;

struct dns_question {
    struct dns_answer answer;
    int looked;
};

static int asked, left;

struct dns_question *dns_ask(struct dns *d, const char *name, enum dns_type type)
{
    struct dns_question *q = xcalloc(1, sizeof *q);
    bool exists = false;
    (void)d;
    asked++;
    left++;
    q->answer.status = DNS_NO_NAME;
    q->answer.name = xstrdup(name);
    for (size_t i = 0; i <= sizeof zone / sizeof *zone; i++) {
        const bool own = i == sizeof zone / sizeof *zone;
        const struct zone_row row = own ? (struct zone_row){ "example.com", DNS_TXT, at_example_com } : zone[i];
        if (!ascii_ieq(row.name, name))
            continue;
        exists = true;
        if (row.type != type)
            continue;
        if (!row.text) {
            q->answer.status = DNS_FAILED;
            q->answer.why = xstrdup("nobody answers");
            return q;
        }
        q->answer.status = DNS_FOUND;
        q->answer.v = xrealloc(q->answer.v, (q->answer.n + 1) * sizeof *q->answer.v);
        q->answer.v[q->answer.n++] = (struct dns_record){ .text = xstrdup(row.text), .len = strlen(row.text) };
    }
    if (exists && q->answer.n == 0)
        q->answer.status = DNS_NO_DATA;
    return q;
}

const struct dns_answer *dns_answer(struct dns_question *q, usec deadline)
{
    (void)deadline;
    return q->looked++ ? &q->answer : NULL;
}

void dns_waits(struct dns *d, struct pollset *ps)
{
    (void)d, (void)ps;
}

void dns_question_free(struct dns_question *q)
{
    if (!q)
        return;
    left--;
    dns_answer_free(&q->answer);
    free(q);
}

/* ---- check_host() ---- */

static const struct {
    const char *record; /* of example.com; NULL: of `domain` */
    const char *domain; /* NULL: example.com */
    const char *ip;
    const char *sender;
    enum spf_result result;
    const char *why;
} cases[] = {
    /* appendix A.1 */
    { "v=spf1 +all", NULL, "203.0.113.9", NULL, SPF_PASS, "+all" },
    { "v=spf1 a -all", NULL, "192.0.2.10", NULL, SPF_PASS, "a" },
    { "v=spf1 a -all", NULL, "192.0.2.11", NULL, SPF_PASS, "a" },
    { "v=spf1 a -all", NULL, "192.0.2.12", NULL, SPF_FAIL, "-all" },
    { "v=spf1 a:example.org -all", NULL, "192.0.2.10", NULL, SPF_FAIL, "-all" },
    { "v=spf1 mx -all", NULL, "192.0.2.129", NULL, SPF_PASS, "mx" },
    { "v=spf1 mx -all", NULL, "192.0.2.130", NULL, SPF_PASS, "mx" },
    { "v=spf1 mx:example.org -all", NULL, "192.0.2.140", NULL, SPF_PASS, "mx:example.org" },
    { "v=spf1 mx mx:example.org -all", NULL, "192.0.2.140", NULL, SPF_PASS, "mx:example.org" },
    { "v=spf1 mx/30 mx:example.org/30 -all", NULL, "192.0.2.131", NULL, SPF_PASS, "mx/30" },
    { "v=spf1 mx/30 mx:example.org/30 -all", NULL, "192.0.2.143", NULL, SPF_PASS, "mx:example.org/30" },
    { "v=spf1 mx/30 mx:example.org/30 -all", NULL, "192.0.2.144", NULL, SPF_FAIL, "-all" },
    { "v=spf1 ptr -all", NULL, "192.0.2.65", NULL, SPF_PASS, "ptr" },
    { "v=spf1 ptr -all", NULL, "192.0.2.10", NULL, SPF_PASS, "ptr" },
    { "v=spf1 ptr -all", NULL, "192.0.2.140", NULL, SPF_FAIL, "-all" },
    { "v=spf1 ptr -all", NULL, "10.0.0.4", NULL, SPF_FAIL, "-all" },
    { "v=spf1 ip4:192.0.2.128/28 -all", NULL, "192.0.2.65", NULL, SPF_FAIL, "-all" },
    { "v=spf1 ip4:192.0.2.128/28 -all", NULL, "192.0.2.129", NULL, SPF_PASS, "ip4:192.0.2.128/28" },
    /* A.2 */
    { NULL, "la.test", "192.0.2.1", NULL, SPF_PASS, "ip4:192.0.2.1" },
    { NULL, "la.test", "192.0.2.2", NULL, SPF_FAIL, "-all" },
    { "v=spf1 include:pass.test ~all", NULL, "192.0.2.1", NULL, SPF_PASS, "include:pass.test" },
    { "v=spf1 include:pass.test ~all", NULL, "192.0.2.2", NULL, SPF_SOFTFAIL, "~all" },
    { "v=spf1 redirect=pass.test ?all", NULL, "192.0.2.1", NULL, SPF_NEUTRAL, "?all" },
    /* A.3 */
    { "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all", NULL, "203.0.113.7",
      "mary+work@example.com", SPF_PASS, "include:mobile-users._spf.%{d}" },
    { "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all", NULL, "192.168.15.15",
      "joel@example.com", SPF_PASS, "include:remote-users._spf.%{d}" },
    { "v=spf1 mx include:mobile-users._spf.%{d} include:remote-users._spf.%{d} -all", NULL, "192.168.15.17",
      "joel@example.com", SPF_FAIL, "-all" },
    /* A.4 */
    { "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", NULL, "192.0.2.65", NULL, SPF_PASS, "+all" },
    { "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", NULL, "192.0.2.140", NULL, SPF_FAIL,
      "-include:ptr._spf.%{d}" },
    { "v=spf1 -include:ip4._spf.%{d} -include:ptr._spf.%{d} +all", NULL, "203.0.113.7", NULL, SPF_FAIL,
      "-include:ip4._spf.%{d}" },
    /* both families */
    { "v=spf1 a//64 -all", NULL, "2001:db8::ffff", NULL, SPF_PASS, "a//64" },
    { "v=spf1 a/24//128 -all", NULL, "2001:db8::ffff", NULL, SPF_FAIL, "-all" },
    { "v=spf1 a/24//128 -all", NULL, "192.0.2.200", NULL, SPF_PASS, "a/24//128" },
    { "v=spf1 ip6:2001:db8::/33 -all", NULL, "2001:db8:7fff::1", NULL, SPF_PASS, "ip6:2001:db8::/33" },
    { "v=spf1 ip6:2001:db8::/33 -all", NULL, "2001:db8:8000::1", NULL, SPF_FAIL, "-all" },
    { "v=spf1 ip4:192.0.2.1 -all", NULL, "::ffff:192.0.2.1", NULL, SPF_PASS, "ip4:192.0.2.1" },
    { "v=spf1 ip4:0.0.0.0/0 -all", NULL, "2001:db8::1", NULL, SPF_FAIL, "-all" },
    { "v=spf1 exists:proven.%{p} -all", NULL, "192.0.2.65", NULL, SPF_PASS, "exists:proven.%{p}" },
    /* which record, and none */
    { "v=spf1", NULL, "192.0.2.1", NULL, SPF_NEUTRAL, "nothing in it matches" },
    { NULL, "mixed.test", "192.0.2.1", NULL, SPF_FAIL, "-ALL" },
    { NULL, "none.test", "192.0.2.1", NULL, SPF_NONE, NULL },
    { NULL, "nowhere.test", "192.0.2.1", NULL, SPF_NONE, NULL },
    { NULL, "test", "192.0.2.1", NULL, SPF_NONE, NULL },
    { NULL, "twice.test", "192.0.2.1", NULL, SPF_PERMERROR, "there is more than one SPF record at 'twice.test'" },
    { NULL, "broken.test", "192.0.2.1", NULL, SPF_PERMERROR,
      "the record is faulty at 'broken.test': its term 'ip4:1.2.3' is not valid" },
    { "v=spf1 all include:broken.test", NULL, "192.0.2.1", NULL, SPF_PASS, "all" },
    { "v=spf1 include:broken.test all", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "the record is faulty at 'broken.test': its term 'ip4:1.2.3' is not valid" },
    { "v=spf1 include:nowhere.test all", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "there is no SPF record at the included 'nowhere.test'" },
    { "v=spf1 redirect=nowhere.test", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "there is no SPF record at the domain of 'nowhere.test'" },
    /* the name servers fail */
    { NULL, "down.test", "192.0.2.1", NULL, SPF_TEMPERROR, "cannot look up 'down.test': nobody answers" },
    { "v=spf1 a:down.test all", NULL, "192.0.2.1", NULL, SPF_TEMPERROR, "cannot look up 'down.test': nobody answers" },
    { "v=spf1 mx:down.test all", NULL, "192.0.2.1", NULL, SPF_TEMPERROR, "cannot look up 'down.test': nobody answers" },
    { "v=spf1 include:down.test all", NULL, "192.0.2.1", NULL, SPF_TEMPERROR,
      "cannot look up 'down.test': nobody answers" },
    { "v=spf1 ptr -all", NULL, "203.0.113.1", NULL, SPF_FAIL, "-all" },
    /* limits */
    { NULL, "loop.test", "192.0.2.1", NULL, SPF_PERMERROR,
      "more than ten terms ask the name servers: too many for 'loop.test'" },
    { NULL, "round.test", "192.0.2.1", NULL, SPF_PERMERROR,
      "more than ten terms ask the name servers: too many for 'round.test'" },
    { LONG_TXT "-all", NULL, "192.0.2.1", NULL, SPF_FAIL, "-all" },
    { LONG_TXT "a -all", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "more than ten terms ask the name servers: too many for 'example.com'" },
    { "v=spf1 a:n1.test a:n2.test -all", NULL, "192.0.2.1", NULL, SPF_FAIL, "-all" },
    { "v=spf1 a:n1.test a:n2.test exists:n3.test -all", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "more than two names that it asks for do not exist, the last is 'n3.test'" },
    { "v=spf1 mx:many.test -all", NULL, "192.0.2.1", NULL, SPF_PERMERROR,
      "more than ten hosts take mail for 'many.test'" },
    /* what is no name matches nothing */
    { "v=spf1 a:%{l}.example.com -all", NULL, "192.0.2.1",
      "a-local-part-of-more-than-sixty-three-octets-is-longer-than-a-label@example.com", SPF_FAIL, "-all" },
    { "v=spf1 -all", NULL, "mail", NULL, SPF_PERMERROR, "this is no address: 'mail'" },
};

static void test_check_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        at_example_com = cases[i].record;
        const struct spf_params p = { .ip = cases[i].ip, .sender = cases[i].sender, .helo = "client.example.com",
                                      .domain = cases[i].domain ? cases[i].domain : "example.com" };
        struct spf_verdict v;
        struct spf *s = spf_start(&p);
        int steps = 0;
        asked = 0;
        while (!spf_step(s, &v))
            assert_true(++steps < 200);
        spf_free(s);
        if (v.result != cases[i].result || !v.why != !cases[i].why || (v.why && strcmp(v.why, cases[i].why) != 0))
            fail_msg("%s of %s: %s, %s", cases[i].ip, cases[i].record ? cases[i].record : cases[i].domain,
                     spf_word(v.result), v.why ? v.why : "no reason");
        assert_true(v.lookups <= 10 && asked <= 120);
        if (cases[i].record && v.result != SPF_PERMERROR)
            assert_string_equal(v.record, cases[i].record);
        spf_verdict_free(&v);
        assert_int_equal(left, 0);
    }
}

static void test_given_up(void **state)
{
    (void)state;
    const struct spf_params p = { .ip = "192.0.2.1", .domain = "pass.test" };
    struct spf_verdict v;
    struct spf *s = spf_start(&p);
    assert_false(spf_step(s, &v));
    spf_free(s);
    spf_free(NULL);
    assert_int_equal(left, 0);
}

/* ---- records ---- */

static const char *const good[] = {
    "v=spf1", "v=spf1 ", "v=spf1  a   mx ", "v=spf1 -ALL", "v=spf1 A:Example.Org/0", "v=spf1 a/24//64",
    "v=spf1 mx:example.org//0", "v=spf1 ptr:example.org. ?all", "v=spf1 exists:%{d}", "v=spf1 exists:%{ir}.%{v}.x.org",
    "v=spf1 exists:%{L2r+-}.%%.%_.%-.org", "v=spf1 exp=explain._spf.%{d} -all", "v=spf1 moo.cow-far_out=man:dog/cat",
    "v=spf1 default=%{t}", "v=spf1 ip4:192.0.2.0/0", "v=spf1 ip6:::1/128", "v=spf1 a:x.e-x", "v=spf1 a:x.1a",
};

static const char *const bad[] = {
    "v=spf1 a:", "v=spf1 a:/24", "v=spf1 a/33", "v=spf1 a/024", "v=spf1 a//129", "v=spf1 a/24/64", "v=spf1 a//64/24",
    "v=spf1 all:x.org", "v=spf1 all/8", "v=spf1 include", "v=spf1 include:", "v=spf1 include:org", "v=spf1 exists",
    "v=spf1 exists:x.org/24", "v=spf1 ip4", "v=spf1 ip4:", "v=spf1 ip4:192.0.2.256", "v=spf1 ip4:192.0.2.0/33",
    "v=spf1 ip4:192.0.2.0//24", "v=spf1 ip4:::1", "v=spf1 ip6:192.0.2.1", "v=spf1 ip6:::1/129", "v=spf1 unknown",
    "v=spf1 unknown:x.org", "v=spf1 +redirect=x.org", "v=spf1 redirect=", "v=spf1 redirect=x.org redirect=y.org",
    "v=spf1 exp=x.org exp=y.org", "v=spf1 a:%{", "v=spf1 a:%{x}.org", "v=spf1 a:%{d0}.org", "v=spf1 a:%d.org",
    "v=spf1 a:%{c}.org", "v=spf1 a:%{d}x", "v=spf1 a:x.%%{d}", "v=spf1 a:x.123", "v=spf1 a:x.-y", "v=spf1 a:x.y-",
    "v=spf1 a:x..", "v=spf1\ta", "v=spf1 a:x\x80.org", "v=spf1 x=%", "v=spf1 --all", "v=spf1 -", "v=spf1 1=x",
    "v=spf10", "v=spf", "",
};

static void test_records(void **state)
{
    (void)state;
    struct spf_record r;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err e = ERR_INIT;
        if (!spf_record_parse(&r, good[i], strlen(good[i]), &e))
            fail_msg("'%s': %s", good[i], e.text);
        spf_record_free(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        if (spf_record_parse(&r, bad[i], strlen(bad[i]), &e))
            fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(e.fault, FAULT_PROTOCOL);
        err_clear(&e);
    }
    struct err e = ERR_INIT;
    assert_false(spf_record_parse(&r, "v=spf1 a\0 -all", 14, &e));
    err_clear(&e);
}

/* ---- macros ---- */

static const struct {
    const char *ip, *spec, *text; /* NULL: no domain */
} expansions[] = {
    { "192.0.2.3", "x.%{s}", "x.strong-bad@email.example.com" },
    { "192.0.2.3", "%{o}", "email.example.com" },
    { "192.0.2.3", "%{d}", "email.example.com" },
    { "192.0.2.3", "%{d4}", "email.example.com" },
    { "192.0.2.3", "%{d3}", "email.example.com" },
    { "192.0.2.3", "%{d2}", "example.com" },
    { "192.0.2.3", "%{d1}", NULL },
    { "192.0.2.3", "%{d1}.x", "com.x" },
    { "192.0.2.3", "%{dr}", "com.example.email" },
    { "192.0.2.3", "%{d2r}", "example.email" },
    { "192.0.2.3", "%{l}.x", "strong-bad.x" },
    { "192.0.2.3", "%{l-}", "strong.bad" },
    { "192.0.2.3", "%{lr}.x", "strong-bad.x" },
    { "192.0.2.3", "%{lr-}", "bad.strong" },
    { "192.0.2.3", "%{l1r-}.x", "strong.x" },
    { "192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
    { "192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
    { "192.0.2.3", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
    { "192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com" },
    { "192.0.2.3", "%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net" },
    { "2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}",
      "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com" },
    { "192.0.2.3", "%{h}", "mail.client.example" },
    { "192.0.2.3", "%{p}.x", "unknown.x" },
    { "192.0.2.3", "%{S}.x", "strong-bad%40email.example.com.x" },
    { "192.0.2.3", "a%%b%-c.x.", "a%b%20c.x" },
    { "192.0.2.3", "a%_b.x", NULL },
    { "192.0.2.3", "a..x", NULL },
};

static void test_macros(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expansions / sizeof *expansions; i++) {
        struct spf_address ip;
        struct buf out = BUF_INIT;
        assert_true(spf_address_parse(&ip, expansions[i].ip));
        const struct spf_macros m = { .sender = "strong-bad@email.example.com", .domain = "email.example.com",
                                      .ip = &ip, .helo = "mail.client.example" };
        bool ok = spf_expand(&m, expansions[i].spec, &out);
        if (ok != (expansions[i].text != NULL) || (ok && strcmp(out.data, expansions[i].text) != 0))
            fail_msg("%s: %s", expansions[i].spec, out.data);
        buf_free(&out);
    }
}

/* What is too long loses labels at the left (RFC 7208 7.3). */
static void test_long_names(void **state)
{
    (void)state;
    struct spf_address ip;
    struct buf sender = BUF_INIT, out = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_printf(&sender, "%02d.", i);
    buf_adds(&sender, "x@example.com");
    assert_true(spf_address_parse(&ip, "192.0.2.1"));
    const struct spf_macros m = { .sender = sender.data, .domain = "example.com", .ip = &ip, .helo = "h" };
    assert_true(spf_expand(&m, "%{l}.%{d}", &out));
    assert_true(out.len <= 253 && out.len > 250);
    assert_true(strstr(out.data, "99.x.example.com") != NULL);
    buf_free(&sender);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_host), cmocka_unit_test(test_given_up), cmocka_unit_test(test_records),
        cmocka_unit_test(test_macros),     cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
