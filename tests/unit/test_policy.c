/* policy: from facts to a level, as rows, and what has to be true of every combination there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "mail/address.h"
#include "send/policy.h"

/* What a domain may publish by MTA-STS. */
enum sts { NO_STS, STS_OFF, TESTING, TESTING_OTHER, ENFORCE, ENFORCE_OTHER, STS_KINDS };

static struct sts_policy sts_of(enum sts kind)
{
    static const enum sts_mode modes[STS_KINDS] = {
        [STS_OFF] = STS_NONE, [TESTING] = STS_TESTING, [TESTING_OTHER] = STS_TESTING, [ENFORCE] = STS_ENFORCE,
        [ENFORCE_OTHER] = STS_ENFORCE,
    };
    struct sts_policy p = { .mode = modes[kind], .max_age = 86400 };
    bool other = kind == TESTING_OTHER || kind == ENFORCE_OTHER;
    strlist_add(&p.mx, other ? "other.example" : "mx.example");
    return p;
}

/* Flags of the facts. */
enum { S = 1, E = 2, R = 4, N = 8, ALL_FLAGS = 15 };

static struct policy_facts facts_of(enum tls_level asked, enum tlsa_status tlsa, int flags)
{
    return (struct policy_facts){
        .asked = asked, .tlsa = tlsa, .host = "mx.example", .mx_secure = flags & S, .at_least_encrypt = flags & E,
        .requiretls = flags & R, .tls_not_required = flags & N,
    };
}

static struct policy_decision decide(enum tls_level asked, enum tlsa_status tlsa, enum sts kind, int flags)
{
    struct sts_policy sts = sts_of(kind);
    struct policy_facts f = facts_of(asked, tlsa, flags);
    f.sts = kind == NO_STS ? NULL : &sts;
    struct policy_decision d = policy_decide(&f);
    strlist_free(&sts.mx);
    return d;
}

static const struct {
    enum tls_level asked;
    enum tlsa_status tlsa;
    enum sts sts;
    int flags;
    const char *want;    /* "LEVEL (why)", " report", " SKIP" */
    const char *trouble; /* a part of the sentence */
} rows[] = {
    /* nothing published */
    { LEVEL_DANE, TLSA_NONE, NO_STS, 0, "may (no policy)", NULL },
    { LEVEL_DANE, TLSA_NONE, NO_STS, S, "may (no policy)", NULL },
    { LEVEL_DANE, TLSA_NONE, NO_STS, E, "encrypt (account)", NULL },
    { LEVEL_DANE, TLSA_NONE, STS_OFF, 0, "may (no policy)", NULL },
    /* DANE */
    { LEVEL_DANE, TLSA_USABLE, NO_STS, S, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, NO_STS, 0, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, NO_STS, S | E, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_UNUSABLE, NO_STS, S, "encrypt (unusable TLSA records)", NULL },
    { LEVEL_DANE, TLSA_FAILED, NO_STS, S, "dane (TLSA records) SKIP", "cannot be looked up" },
    { LEVEL_DANE, TLSA_FAILED, NO_STS, 0, "dane (TLSA records) SKIP", "cannot be looked up" },
    { LEVEL_DANE_ONLY, TLSA_USABLE, NO_STS, S, "dane-only (TLSA records)", NULL },
    { LEVEL_DANE_ONLY, TLSA_USABLE, NO_STS, 0, "dane-only (account) SKIP", "DNSSEC does not confirm" },
    { LEVEL_DANE_ONLY, TLSA_UNUSABLE, NO_STS, S, "dane-only (account) SKIP", "mail does not know" },
    { LEVEL_DANE_ONLY, TLSA_NONE, NO_STS, S, "dane-only (account) SKIP", "no TLSA records" },
    { LEVEL_DANE_ONLY, TLSA_NONE, ENFORCE, S, "dane-only (account) SKIP", "no TLSA records" },
    { LEVEL_DANE_ONLY, TLSA_FAILED, NO_STS, S, "dane-only (TLSA records) SKIP", "cannot be looked up" },
    /* MTA-STS */
    { LEVEL_DANE, TLSA_NONE, ENFORCE, 0, "verify (MTA-STS policy)", NULL },
    { LEVEL_DANE, TLSA_NONE, ENFORCE, S, "verify (MTA-STS policy)", NULL },
    { LEVEL_DANE, TLSA_NONE, ENFORCE_OTHER, 0, "verify (MTA-STS policy) SKIP", "does not name 'mx.example'" },
    { LEVEL_DANE, TLSA_NONE, TESTING, 0, "may (MTA-STS policy in testing mode) report", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING, E, "encrypt (MTA-STS policy in testing mode) report", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING_OTHER, 0,
      "may (MTA-STS policy in testing mode) report", "does not name 'mx.example'" },
    /* both: DANE wins, but the name of a host that nobody vouches for does not */
    { LEVEL_DANE, TLSA_USABLE, ENFORCE, S, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, ENFORCE_OTHER, S, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, ENFORCE, 0, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, ENFORCE_OTHER, 0, "verify (MTA-STS policy) SKIP", "does not name 'mx.example'" },
    { LEVEL_DANE, TLSA_USABLE, TESTING_OTHER, 0, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_FAILED, ENFORCE, S, "dane (TLSA records) SKIP", "cannot be looked up" },
    { LEVEL_DANE, TLSA_UNUSABLE, ENFORCE, S, "verify (MTA-STS policy)", NULL },
    { LEVEL_DANE, TLSA_UNUSABLE, ENFORCE_OTHER, S, "verify (MTA-STS policy) SKIP", "does not name" },
    { LEVEL_DANE, TLSA_UNUSABLE, TESTING, S, "encrypt (unusable TLSA records) report", NULL },
    /* what the account says */
    { LEVEL_NONE, TLSA_USABLE, ENFORCE, S, "none (account)", NULL },
    { LEVEL_NONE, TLSA_FAILED, ENFORCE_OTHER, S | E, "none (account)", NULL },
    { LEVEL_MAY, TLSA_USABLE, ENFORCE, S, "may (account)", NULL },
    { LEVEL_MAY, TLSA_FAILED, ENFORCE_OTHER, S, "may (account)", NULL },
    { LEVEL_MAY, TLSA_NONE, NO_STS, E, "encrypt (account)", NULL },
    { LEVEL_ENCRYPT, TLSA_FAILED, ENFORCE_OTHER, 0, "encrypt (account)", NULL },
    { LEVEL_VERIFY, TLSA_FAILED, ENFORCE_OTHER, 0, "verify (account)", NULL },
    { LEVEL_FINGERPRINT, TLSA_FAILED, NO_STS, 0, "fingerprint (account)", NULL },
    /* "TLS-Required: No" puts off what is published, not what the account says */
    { LEVEL_DANE, TLSA_USABLE, ENFORCE, S | N, "may (TLS-Required: No)", NULL },
    { LEVEL_DANE, TLSA_FAILED, ENFORCE_OTHER, N, "may (TLS-Required: No)", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING_OTHER, N | E, "encrypt (account)", NULL },
    { LEVEL_VERIFY, TLSA_NONE, NO_STS, N, "verify (account)", NULL },
    { LEVEL_DANE_ONLY, TLSA_NONE, NO_STS, S | N, "dane-only (account) SKIP", "no TLSA records" },
    { LEVEL_DANE, TLSA_USABLE, NO_STS, S | N | R, "dane (TLSA records)", NULL },
    /* REQUIRETLS */
    { LEVEL_DANE, TLSA_USABLE, NO_STS, S | R, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, NO_STS, R, "dane (TLSA records) SKIP", "neither DNSSEC nor MTA-STS" },
    { LEVEL_DANE, TLSA_USABLE, ENFORCE, R, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_USABLE, TESTING, R, "dane (TLSA records)", NULL },
    { LEVEL_DANE, TLSA_NONE, NO_STS, S | R, "verify (REQUIRETLS)", NULL },
    { LEVEL_DANE, TLSA_NONE, NO_STS, R, "may (no policy) SKIP", "neither DNSSEC nor MTA-STS" },
    { LEVEL_DANE, TLSA_NONE, STS_OFF, R, "may (no policy) SKIP", "neither DNSSEC nor MTA-STS" },
    { LEVEL_DANE, TLSA_UNUSABLE, NO_STS, S | R, "verify (REQUIRETLS)", NULL },
    { LEVEL_DANE, TLSA_NONE, ENFORCE, R, "verify (MTA-STS policy)", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING, R, "verify (REQUIRETLS)", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING_OTHER, S | R, "verify (REQUIRETLS)", NULL },
    { LEVEL_DANE, TLSA_NONE, TESTING_OTHER, R, "may (MTA-STS policy in testing mode) SKIP", "neither DNSSEC" },
    { LEVEL_DANE, TLSA_FAILED, NO_STS, S | R, "dane (TLSA records) SKIP", "cannot be looked up" },
    { LEVEL_MAY, TLSA_USABLE, NO_STS, S | R, "dane (TLSA records)", NULL },
    { LEVEL_MAY, TLSA_NONE, NO_STS, S | R, "verify (REQUIRETLS)", NULL },
    { LEVEL_ENCRYPT, TLSA_NONE, NO_STS, R, "may (no policy) SKIP", "neither DNSSEC nor MTA-STS" },
    { LEVEL_NONE, TLSA_USABLE, NO_STS, S | R, "none (account) SKIP", "in clear" },
    { LEVEL_VERIFY, TLSA_NONE, NO_STS, S | R, "verify (account)", NULL },
    { LEVEL_VERIFY, TLSA_NONE, NO_STS, R, "verify (account) SKIP", "neither DNSSEC nor MTA-STS" },
    { LEVEL_FINGERPRINT, TLSA_NONE, NO_STS, R, "fingerprint (account)", NULL },
};

static void test_decisions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy_decision d = decide(rows[i].asked, rows[i].tlsa, rows[i].sts, rows[i].flags);
        struct buf got = BUF_INIT;
        buf_printf(&got, "%s (%s)%s%s", level_word(d.wanted), d.why, d.report ? " report" : "", d.skip ? " SKIP" : "");
        const char *told = err_is_set(&d.trouble) ? d.trouble.text : NULL;
        if (strcmp(got.data, rows[i].want) != 0 || !told != !rows[i].trouble
            || (told && !strstr(told, rows[i].trouble)))
            fail_msg("row %zu: %s, not %s: %s", i, rows[i].want, got.data, told ? told : "");
        buf_free(&got);
        err_clear(&d.trouble);
    }
}

/* What nobody may break by a new row: each over the whole space. */
static void check_one(enum tls_level asked, enum tlsa_status tlsa, enum sts sts, int flags,
                      const struct policy_decision *d)
{
    bool publication = asked == LEVEL_DANE || asked == LEVEL_DANE_ONLY;
    bool put_off = asked == LEVEL_DANE && (flags & N) && !(flags & R);
    assert_non_null(d->why);
    assert_int_equal(err_is_set(&d->trouble), d->skip || (d->report && sts == TESTING_OTHER));
    assert_true(!err_is_set(&d->trouble) || (d->trouble.hint && strstr(d->trouble.text, "mx.example")));
    assert_false(d->skip && d->report);
    if (publication && tlsa == TLSA_FAILED && !put_off)
        assert_true(d->skip && d->trouble.fault == FAULT_TEMPORARY);
    if (publication && tlsa == TLSA_USABLE && !put_off && !d->skip)
        assert_true(d->wanted == LEVEL_DANE || d->wanted == LEVEL_DANE_ONLY);
    if (publication && tlsa == TLSA_UNUSABLE && !put_off)
        assert_true(d->wanted != LEVEL_MAY && d->wanted != LEVEL_NONE);
    if (asked == LEVEL_DANE_ONLY && !d->skip)
        assert_true(d->wanted == LEVEL_DANE_ONLY && (flags & S) && tlsa == TLSA_USABLE);
    if (publication && sts == ENFORCE_OTHER && !(flags & S) && !put_off)
        assert_true(d->skip);
    if ((flags & R) && !d->skip) {
        assert_true(d->wanted >= LEVEL_DANE && !d->report);
        assert_true(d->wanted == LEVEL_FINGERPRINT || (flags & S) || sts == ENFORCE || sts == TESTING);
    }
    if ((flags & E) && !d->skip)
        assert_true(d->wanted != LEVEL_MAY);
    if (!publication && !(flags & R))
        assert_true(!d->skip && d->wanted >= asked);
}

static void test_whole_space(void **state)
{
    (void)state;
    for (int asked = LEVEL_NONE; asked <= LEVEL_FINGERPRINT; asked++)
        for (int tlsa = TLSA_NONE; tlsa <= TLSA_FAILED; tlsa++)
            for (int sts = NO_STS; sts < STS_KINDS; sts++)
                for (int flags = 0; flags <= ALL_FLAGS; flags++) {
                    struct policy_decision d = decide(asked, tlsa, sts, flags);
                    check_one(asked, tlsa, sts, flags, &d);
                    err_clear(&d.trouble);
                }
}

static bool alike(const struct policy_decision *a, const struct policy_decision *b)
{
    return a->wanted == b->wanted && a->skip == b->skip && a->report == b->report;
}

/* What need not be looked up would change nothing. */
static void test_wants(void **state)
{
    (void)state;
    for (int asked = LEVEL_NONE; asked <= LEVEL_FINGERPRINT; asked++)
        for (int flags = 0; flags <= ALL_FLAGS; flags++)
            for (int tlsa = TLSA_NONE; tlsa <= TLSA_FAILED; tlsa++)
                for (int sts = NO_STS; sts < STS_KINDS; sts++) {
                    struct policy_facts f = facts_of(asked, tlsa, flags), before = facts_of(asked, TLSA_NONE, flags);
                    struct policy_decision d = decide(asked, tlsa, sts, flags);
                    struct policy_decision without_sts = decide(asked, tlsa, NO_STS, flags);
                    struct policy_decision without_tlsa = decide(asked, TLSA_NONE, sts, flags);
                    assert_true(policy_wants_sts(&f) || alike(&d, &without_sts));
                    assert_true(policy_wants_tlsa(&before) || alike(&d, &without_tlsa));
                    err_clear(&d.trouble);
                    err_clear(&without_sts.trouble);
                    err_clear(&without_tlsa.trouble);
                }
}

/* What an account may say is what there is. */
static void test_words(void **state)
{
    (void)state;
    const struct option *o = option_by_name(account_options(), "tls_policy", strlen("tls_policy"));
    for (int i = 0; i <= LEVEL_FINGERPRINT; i++)
        assert_string_equal(o->words[i], level_word((enum tls_level)i));
    assert_null(o->words[LEVEL_FINGERPRINT + 1]);
}

static void test_levels(void **state)
{
    (void)state;
    static const struct { const char *rows, *domain; enum tls_level level; } cases[] = {
        { "", "example.org", LEVEL_DANE },
        { "may", "example.org", LEVEL_MAY },
        { "may,encrypt", "example.org", LEVEL_ENCRYPT },
        { "example.org none", "example.org", LEVEL_NONE },
        { "example.org none", "EXAMPLE.ORG.", LEVEL_NONE },
        { "example.org. none", "example.org", LEVEL_NONE },
        { "example.org none", "mail.example.org", LEVEL_DANE },
        { ".example.org none", "example.org", LEVEL_DANE },
        { ".example.org none", "a.b.example.org", LEVEL_NONE },
        { ".example.org none", "anexample.org", LEVEL_DANE },
        { ".b.example.org verify,.example.org none,may", "a.b.example.org", LEVEL_VERIFY },
        { ".example.org none,.b.example.org verify,a.b.example.org encrypt", "a.b.example.org", LEVEL_ENCRYPT },
        { "a.b.example.org encrypt,.b.example.org verify,may", "a.b.example.org", LEVEL_ENCRYPT },
        { "example.org none,example.org verify", "example.org", LEVEL_VERIFY },
        { "example.org none,may", "example.org", LEVEL_NONE },
        { "example.org nonsense,may", "example.org", LEVEL_MAY },
        { "example.org a may,none example.org, ,. encrypt", "example.org", LEVEL_DANE },
        { "[192.0.2.1] none", "[192.0.2.1]", LEVEL_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct strlist list = STRLIST_INIT;
        strlist_split(&list, cases[i].rows, ",");
        enum tls_level level = policy_level_for(&list, cases[i].domain, LEVEL_DANE);
        if (level != cases[i].level)
            fail_msg("%s of '%s' for %s", level_word(level), cases[i].rows, cases[i].domain);
        strlist_free(&list);
    }
}

/* Both spellings of a domain are one; without libidn2 each is only itself. */
static void test_idn(void **state)
{
    (void)state;
    static const char *const spellings[] = { "b\xc3\xbc" "cher.example", "xn--bcher-kva.example" };
    struct buf ascii = BUF_INIT;
    struct err e = ERR_INIT;
    bool same = domain_to_ascii(spellings[0], &ascii, &e);
    for (int row = 0; row < 2; row++)
        for (int domain = 0; domain < 2; domain++) {
            struct strlist list = STRLIST_INIT;
            strlist_add_own(&list, xasprintf("%s none", spellings[row]));
            enum tls_level level = policy_level_for(&list, spellings[domain], LEVEL_DANE);
            assert_int_equal(level, same || row == domain ? LEVEL_NONE : LEVEL_DANE);
            strlist_free(&list);
        }
    buf_free(&ascii);
    err_clear(&e);
}

static void test_got(void **state)
{
    (void)state;
    static const struct { enum tls_level wanted; const char *how; bool verified; const char *pair; } cases[] = {
        { LEVEL_MAY, NULL, false, "may:none" },
        { LEVEL_MAY, "none", false, "may:encrypt" },
        { LEVEL_MAY, "trust", true, "may:encrypt" },
        { LEVEL_ENCRYPT, "trust", true, "encrypt:encrypt" },
        { LEVEL_DANE, "dane", true, "dane:dane" },
        { LEVEL_DANE, "dane", false, "dane:encrypt" },
        { LEVEL_DANE_ONLY, "dane", true, "dane-only:dane" },
        { LEVEL_VERIFY, "trust", true, "verify:verify" },
        { LEVEL_VERIFY, "issuer", true, "verify:encrypt" },
        { LEVEL_VERIFY, "name", true, "verify:encrypt" },
        { LEVEL_VERIFY, "trust", false, "verify:encrypt" },
        { LEVEL_FINGERPRINT, "fingerprint", true, "fingerprint:fingerprint" },
        { LEVEL_NONE, NULL, false, "none:none" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_facts facts = { .how = cases[i].how, .verified = cases[i].verified };
        struct buf pair = BUF_INIT;
        policy_pair(cases[i].wanted, policy_got(cases[i].wanted, cases[i].how ? &facts : NULL), &pair);
        assert_string_equal(pair.data, cases[i].pair);
        buf_free(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_whole_space),
        cmocka_unit_test(test_wants),
        cmocka_unit_test(test_words), cmocka_unit_test(test_levels),
        cmocka_unit_test(test_idn),
        cmocka_unit_test(test_got),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
