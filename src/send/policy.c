/* policy: DANE (RFC 7672), MTA-STS (RFC 8461), REQUIRETLS (RFC 8689) and what the account asks for, made one level for
 * each host. Facts in, a decision out: it asks nobody. */
#include "send/policy.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "mail/address.h"

static const char *const words[] = {
    [LEVEL_NONE] = "none",   [LEVEL_MAY] = "may",       [LEVEL_ENCRYPT] = "encrypt",
    [LEVEL_DANE] = "dane",   [LEVEL_DANE_ONLY] = "dane-only",
    [LEVEL_VERIFY] = "verify", [LEVEL_FINGERPRINT] = "fingerprint", NULL,
};

const char *level_word(enum tls_level level)
{
    return words[level];
}

/* ---- rows of tls_policy */

/* "LEVEL", "DOMAIN LEVEL", ".DOMAIN LEVEL", parted by blanks. */
struct row {
    char *domain; /* own; NULL: for all */
    char *word;   /* own */
    int level;    /* -1: word is none */
};

static void row_free(struct row *r)
{
    free(r->domain);
    free(r->word);
}

static bool row_read(const char *text, struct row *r)
{
    struct strlist parts = STRLIST_INIT;
    strlist_split(&parts, text, " \t");
    bool ok = parts.n == 1 || parts.n == 2;
    *r = (struct row){ .level = -1 };
    if (ok) {
        r->word = xstrdup(parts.v[parts.n - 1]);
        r->domain = parts.n == 2 ? xstrdup(parts.v[0]) : NULL;
        for (int i = 0; words[i]; i++)
            if (ascii_ieq(words[i], r->word))
                r->level = i;
    }
    strlist_free(&parts);
    return ok;
}

/* A domain as it is compared: A-labels, no final dot. One that has no such form stays as it is. */
static char *comparable(const char *domain)
{
    struct buf ascii = BUF_INIT;
    struct err e = ERR_INIT;
    if (!domain_to_ascii(domain, &ascii, &e))
        buf_adds(&ascii, domain);
    if (ascii.len > 1 && ascii.data[ascii.len - 1] == '.')
        buf_cut(&ascii, ascii.len - 1);
    err_clear(&e);
    return buf_steal(&ascii);
}

/* How closely a row's domain fits; 0: not. A domain itself fits better than any that it is below. */
static size_t fit(const char *pattern, const char *domain)
{
    size_t n = strlen(pattern), whole = strlen(domain);
    if (pattern[0] != '.')
        return ascii_ieq(pattern, domain) ? SIZE_MAX : 0;
    return whole > n && ascii_ieq(domain + whole - n, pattern) ? n : 0;
}

enum tls_level policy_level_for(const struct strlist *rows, const char *domain, enum tls_level otherwise)
{
    enum tls_level level = otherwise;
    size_t best = 0;
    char *name = comparable(domain);
    for (size_t i = 0; i < rows->n; i++) {
        struct row r;
        if (row_read(rows->v[i], &r) && r.level >= 0) {
            char *pattern = r.domain ? comparable(r.domain) : NULL;
            size_t fits = pattern ? fit(pattern, name) : 0;
            if (pattern ? fits > 0 && fits >= best : best == 0) {
                best = fits;
                level = (enum tls_level)r.level;
            }
            free(pattern);
        }
        row_free(&r);
    }
    free(name);
    return level;
}

/* ---- decisions */

static struct policy_decision want(enum tls_level level, const char *why)
{
    return (struct policy_decision){ .wanted = level, .why = why };
}

static struct policy_decision no_tlsa_answer(const struct policy_facts *f)
{
    struct policy_decision d = { .wanted = f->asked, .skip = true, .why = "TLSA records" };
    err_set(&d.trouble, FAULT_TEMPORARY, "the TLSA records of '%s' cannot be looked up%s%s", f->host,
            f->tlsa_why ? ": " : "", f->tlsa_why ? f->tlsa_why : "");
    err_hint(&d.trouble, "nobody can tell whether its certificate is the right one (RFC 7672) until its name servers "
                         "answer, with good signatures; try again later, or tell its postmaster");
    return d;
}

static const char *why_no_dane(const struct policy_facts *f)
{
    if (f->tlsa == TLSA_UNUSABLE)
        return "only TLSA records that mail does not know (RFC 7672 3.1)";
    if (f->tlsa == TLSA_NONE)
        return "no TLSA records that DNSSEC confirms";
    return "TLSA records, but DNSSEC does not confirm that the domain's mail goes there";
}

static struct policy_decision no_dane(const struct policy_facts *f)
{
    struct policy_decision d = { .wanted = LEVEL_DANE_ONLY, .skip = true, .why = "account" };
    err_set(&d.trouble, FAULT_CERTIFICATE, "'%s' has %s", f->host, why_no_dane(f));
    err_hint(&d.trouble, "the account asks for 'dane-only'; 'tls_policy' can give the domain another level");
    return d;
}

/* RFC 8461 4.1, 5: in testing mode it is told, and the mail goes. */
static void not_in_policy(const struct policy_facts *f, struct policy_decision *d)
{
    err_set(&d->trouble, FAULT_CERTIFICATE, "the MTA-STS policy does not name '%s' as a mail exchanger", f->host);
    err_hint(&d->trouble, "MX records and policy contradict each other: its postmaster has to mend one of them, or the "
                          "MX records are forged");
}

/* RFC 7672 2.2: TLSA records bind, the MTA-STS policy beside them is not looked at (RFC 8461 2). But whoever forges an
 * MX answer has TLSA records of his own: where it was not validated the policy has to name the host all the same. */
static struct policy_decision by_publication(const struct policy_facts *f)
{
    bool enforce = f->sts && f->sts->mode == STS_ENFORCE, testing = f->sts && f->sts->mode == STS_TESTING;
    bool named = f->sts && sts_policy_matches(f->sts, f->host), only = f->asked == LEVEL_DANE_ONLY;
    if (f->tlsa == TLSA_FAILED)
        return no_tlsa_answer(f);
    if (only && (f->tlsa != TLSA_USABLE || !f->mx_secure))
        return no_dane(f);
    if (f->tlsa == TLSA_USABLE && (f->mx_secure || !enforce || named))
        return want(only ? LEVEL_DANE_ONLY : LEVEL_DANE, "TLSA records");
    if (enforce) {
        struct policy_decision d = { .wanted = LEVEL_VERIFY, .skip = !named, .why = "MTA-STS policy" };
        if (!named)
            not_in_policy(f, &d);
        return d;
    }
    struct policy_decision d = f->tlsa == TLSA_UNUSABLE ? want(LEVEL_ENCRYPT, "unusable TLSA records")
                               : testing                ? want(LEVEL_MAY, "MTA-STS policy in testing mode")
                                                        : want(LEVEL_MAY, "no policy");
    d.report = testing;
    if (testing && !named)
        not_in_policy(f, &d);
    return d;
}

/* The level asked for, raised where the message wants more. */
static enum tls_level asked_level(const struct policy_facts *f)
{
    return f->requiretls && (f->asked == LEVEL_MAY || f->asked == LEVEL_ENCRYPT) ? LEVEL_DANE : f->asked;
}

/* RFC 8689 4.1: "TLS-Required: No" puts off what the recipient's domain publishes; what the account says stands. */
static bool put_off(const struct policy_facts *f)
{
    return f->tls_not_required && !f->requiretls && f->asked == LEVEL_DANE;
}

bool policy_wants_tlsa(const struct policy_facts *f)
{
    enum tls_level asked = asked_level(f);
    return (asked == LEVEL_DANE || asked == LEVEL_DANE_ONLY) && !put_off(f);
}

bool policy_wants_sts(const struct policy_facts *f)
{
    switch (asked_level(f)) {
    case LEVEL_DANE:
        return !put_off(f) && f->tlsa != TLSA_FAILED && !(f->tlsa == TLSA_USABLE && f->mx_secure);
    case LEVEL_VERIFY:
        return f->requiretls && !f->mx_secure;
    case LEVEL_NONE:
    case LEVEL_MAY:
    case LEVEL_ENCRYPT:
    case LEVEL_DANE_ONLY:
    case LEVEL_FINGERPRINT:
        break;
    }
    return false;
}

/* RFC 8689 4.2.1: DNSSEC or MTA-STS say that it is the right host, and its certificate is good. */
static void all_the_way(const struct policy_facts *f, struct policy_decision *d)
{
    bool named = f->mx_secure || (f->sts && f->sts->mode != STS_NONE && sts_policy_matches(f->sts, f->host));
    if (d->skip || d->wanted == LEVEL_FINGERPRINT)
        return;
    err_clear(&d->trouble);
    d->report = false;
    if (d->wanted == LEVEL_NONE) {
        err_set(&d->trouble, FAULT_UNAVAILABLE, "the message wants TLS all the way (REQUIRETLS), and '%s' is talked to "
                                                "in clear", f->host);
        err_hint(&d->trouble, "the account says so ('tls off', or 'none' in 'tls_policy'): change that, or send "
                              "without 'requiretls'");
    } else if (!named) {
        err_set(&d->trouble, FAULT_UNAVAILABLE, "neither DNSSEC nor MTA-STS confirms that '%s' is the right server, "
                                                "which REQUIRETLS wants", f->host);
        err_hint(&d->trouble, "the recipient's domain is not ready for such messages: send this one without "
                              "'requiretls'");
    } else if (d->wanted < LEVEL_DANE) {
        d->wanted = LEVEL_VERIFY;
        d->why = "REQUIRETLS";
    }
    d->skip = err_is_set(&d->trouble);
}

struct policy_decision policy_decide(const struct policy_facts *f)
{
    struct policy_decision d = put_off(f)             ? want(LEVEL_MAY, "TLS-Required: No")
                               : policy_wants_tlsa(f) ? by_publication(f)
                                                      : want(f->asked, "account");
    if (f->requiretls)
        all_the_way(f, &d);
    if (d.wanted == LEVEL_MAY && f->at_least_encrypt) {
        d.wanted = LEVEL_ENCRYPT;
        d.why = d.report ? d.why : "account";
    }
    return d;
}

/* ---- what came of it */

/* A good certificate says nothing where nobody vouched for the name in it: it counts at the level that asked for it. */
enum tls_level policy_got(enum tls_level wanted, const struct tls_facts *facts)
{
    static const struct { const char *how; enum tls_level got; } ways[] = {
        { "dane", LEVEL_DANE }, { "fingerprint", LEVEL_FINGERPRINT }, { "trust", LEVEL_VERIFY },
    };
    if (!facts)
        return LEVEL_NONE;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (facts->verified && facts->how && strcmp(facts->how, ways[i].how) == 0)
            return wanted > LEVEL_ENCRYPT ? ways[i].got : LEVEL_ENCRYPT;
    return LEVEL_ENCRYPT;
}

void policy_pair(enum tls_level wanted, enum tls_level got, struct buf *out)
{
    buf_printf(out, "%s:%s", level_word(wanted), level_word(got));
}
