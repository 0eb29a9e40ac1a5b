/* survey_judge: an opinion of each address and host, then what of it is a problem. */
#include "send/survey_judge.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"

const char *survey_word(enum survey_word w)
{
    static const char *const words[] = {
        [SURVEY_WORKS] = "works",         [SURVEY_UNKNOWN] = "unknown",   [SURVEY_UNREACHABLE] = "unreachable",
        [SURVEY_REFUSES] = "refuses",     [SURVEY_NO_TLS] = "no-tls",     [SURVEY_UNTRUSTED] = "untrusted",
        [SURVEY_SKIPPED] = "skipped",     [SURVEY_NO_ADDRESS] = "no-address",
    };
    return words[w];
}

static struct survey_opinion opinion(enum survey_word word, const char *why)
{
    return (struct survey_opinion){ .word = word, .why = xstrdup(why) };
}

/* ---- addresses ---- */

/* Is it this machine that has no way there? That says nothing of the host. */
static bool has_no_way(const struct sight *v)
{
    return v->reach == REACH_NO_FAMILY || (v->reach == REACH_NET_UNREACHABLE && v->family == AF_INET6);
}

/* What keeps from speaking SMTP at all; false: nothing. */
static bool is_shut(const struct sight *v, struct survey_opinion *o)
{
    if (!v || (!v->done && !v->looked))
        *o = opinion(SURVEY_UNKNOWN, "there was no time to look");
    else if (!sight_is_open(v) && has_no_way(v))
        *o = opinion(SURVEY_UNKNOWN, v->family == AF_INET6 ? "this machine has no IPv6" : "this machine has no IPv4");
    else if (!sight_is_open(v))
        *o = (struct survey_opinion){ SURVEY_UNREACHABLE,
                                      xasprintf("port %d %s", v->port, reach_phrase(v->reach)), false };
    else if (!v->ehlo_answered && v->err.server)
        *o = (struct survey_opinion){ SURVEY_REFUSES, xasprintf("it says '%s'", v->err.server), false };
    else if (!v->ehlo_answered)
        *o = opinion(v->greeting ? SURVEY_REFUSES : SURVEY_UNREACHABLE,
                     err_is_set(&v->err) ? v->err.text : "it does not greet");
    else
        return false;
    return true;
}

static struct survey_opinion without_tls(const struct sight *v)
{
    if (!v->starttls_offered)
        return opinion(SURVEY_NO_TLS, v->starttls_masked ? "something on the way rubs STARTTLS out"
                                                         : "STARTTLS is not offered");
    return opinion(SURVEY_NO_TLS, err_is_set(&v->err) ? v->err.text : "TLS does not come up");
}

static struct survey_opinion of_certificate(const struct sight *v)
{
    struct survey_opinion o;
    if (is_shut(v, &o))
        return o;
    if (!v->tls.up)
        return without_tls(v);
    if (!v->tls.verified)
        return opinion(SURVEY_UNTRUSTED, v->tls.problem ? v->tls.problem : "the certificate is not good");
    return opinion(SURVEY_WORKS, NULL);
}

static struct survey_opinion of_address(const struct survey *s, size_t host, size_t address)
{
    const struct policy_decision *d = &s->destination.v[host].decision;
    const struct survey_address *a = &s->hosts[host].v[address];
    const struct sight *v = survey_look(s, a->look);
    struct survey_opinion o;
    if (d->skip)
        return opinion(SURVEY_SKIPPED, d->trouble.text);
    if (!s->connect)
        return opinion(SURVEY_UNKNOWN, NULL);
    if (is_shut(v, &o))
        return o;
    switch (d->wanted) {
    case LEVEL_NONE:
        return (struct survey_opinion){ .word = SURVEY_WORKS, .clear = true };
    case LEVEL_MAY:
        return (struct survey_opinion){ .word = SURVEY_WORKS, .clear = !v->tls.up };
    case LEVEL_ENCRYPT:
        return v->tls.up ? opinion(SURVEY_WORKS, NULL) : without_tls(v);
    case LEVEL_DANE:
    case LEVEL_DANE_ONLY:
        return of_certificate(survey_look(s, a->dane_look));
    case LEVEL_VERIFY:
    case LEVEL_FINGERPRINT:
        break;
    }
    return of_certificate(v);
}

/* ---- hosts ---- */

static struct survey_opinion of_host(const struct survey *s, size_t i, const struct survey_opinion *addresses)
{
    const struct destination_host *d = &s->destination.v[i];
    const struct survey_opinion *worst = NULL;
    bool works = false, clear = false;
    if (d->decision.skip)
        return opinion(SURVEY_SKIPPED, d->decision.trouble.text);
    if (s->hosts[i].n == 0)
        return (struct survey_opinion){ SURVEY_NO_ADDRESS, err_is_set(&d->trouble) ? xstrdup(d->trouble.text)
                                                           : xasprintf("'%s' has no address", d->name), false };
    for (size_t k = 0; k < s->hosts[i].n; k++) {
        const struct survey_opinion *o = &addresses[k];
        works |= o->word == SURVEY_WORKS;
        clear |= o->clear;
        if (o->word != SURVEY_WORKS && (!worst || worst->word == SURVEY_UNKNOWN))
            worst = o;
    }
    if (works)
        return (struct survey_opinion){ .word = SURVEY_WORKS, .clear = clear };
    return opinion(worst->word, worst->why);
}

bool survey_days_left(const struct survey *s, size_t host, long long *days)
{
    bool seen = false;
    for (size_t k = 0; k < s->hosts[host].n; k++) {
        const struct sight *v = survey_look(s, s->hosts[host].v[k].look);
        if (!v || !v->tls.sha256 || (seen && v->tls.days_left >= *days))
            continue;
        *days = v->tls.days_left;
        seen = true;
    }
    return seen;
}

/* ---- problems ---- */

static const char *name_of(const struct survey *s, size_t host)
{
    return s->destination.v[host].name;
}

static void tell_host(const struct survey *s, size_t i, struct survey_verdict *v)
{
    const struct survey_opinion *o = &v->hosts[i].opinion;
    const char *name = name_of(s, i);
    if (o->word == SURVEY_SKIPPED || o->word == SURVEY_NO_ADDRESS)
        strlist_add_own(&v->problems, o->why ? xasprintf("%s, so it is not used", o->why)
                                             : xasprintf("'%s' must not be used", name));
    else if (o->word == SURVEY_UNKNOWN && s->connect)
        strlist_add_own(&v->problems, xasprintf("'%s' was not looked at: %s", name, o->why));
    if (o->clear)
        strlist_add_own(&v->remarks, xasprintf("mail to '%s' goes in clear", name));
    if (s->destination.v[i].here)
        strlist_add_own(&v->remarks,
                        xasprintf("'%s' is this machine: a delivery from here goes to better ones only", name));
    for (size_t k = 0; k < s->hosts[i].n; k++) {
        const struct survey_opinion *a = &v->hosts[i].addresses[k];
        struct strlist *to = a->word == SURVEY_UNKNOWN ? &v->remarks : &v->problems;
        if (a->word != SURVEY_WORKS && a->word != SURVEY_SKIPPED && a->why)
            strlist_add_own(to, xasprintf("'%s' [%s]: %s", name, s->hosts[i].v[k].address, a->why));
    }
}

static void tell_days(const struct survey *s, size_t i, long warn_days, struct survey_verdict *v)
{
    long long days;
    if (warn_days <= 0 || !survey_days_left(s, i, &days) || days >= warn_days)
        return;
    const char *name = name_of(s, i);
    if (days < 0)
        strlist_add_own(&v->problems, xasprintf("the certificate of '%s' has expired", name));
    else
        strlist_add_own(&v->problems, xasprintf("the certificate of '%s' is good for %lld more day%s only", name, days,
                                                days == 1 ? "" : "s"));
}

/* Who knows MTA-STS and not DANE goes by the policy alone, and in testing mode reports what is wrong. */
static void tell_sts(const struct survey *s, size_t i, struct survey_verdict *v)
{
    const struct sts_result *r = &s->destination.sts;
    const struct policy_decision *d = &s->destination.v[i].decision;
    const char *name = name_of(s, i), *mode = sts_mode_word(r->policy.mode);
    if ((r->source != STS_CACHED && r->source != STS_FETCHED) || r->policy.mode == STS_NONE || d->skip)
        return;
    if (!sts_policy_matches(&r->policy, name)) {
        strlist_add_own(&v->problems, xasprintf("the MTA-STS policy (%s) does not name '%s'", mode, name));
        return;
    }
    if (d->wanted == LEVEL_VERIFY && !d->report)
        return; /* that is told of each address */
    for (size_t k = 0; s->connect && k < s->hosts[i].n; k++) {
        struct survey_opinion o = of_certificate(survey_look(s, s->hosts[i].v[k].look));
        if (o.word == SURVEY_NO_TLS || o.word == SURVEY_UNTRUSTED)
            strlist_add_own(&v->problems, xasprintf("'%s' [%s] does not keep to the MTA-STS policy (%s): %s", name,
                                                    s->hosts[i].v[k].address, mode, o.why));
        free(o.why);
    }
}

static void tell_records(const struct survey *s, size_t i, struct survey_verdict *v)
{
    const struct destination_host *d = &s->destination.v[i];
    size_t idle = 0;
    for (size_t k = 0; s->hosts[i].tlsa && k < d->tlsa_answer.n; k++)
        idle += s->hosts[i].tlsa[k] == SURVEY_MATCH_NO;
    if (idle > 0 && idle < d->tlsa_answer.n)
        strlist_add_own(&v->remarks, xasprintf("%zu of the %zu TLSA records of '%s' match nothing", idle,
                                               d->tlsa_answer.n, d->name));
    if (d->tlsa == TLSA_UNUSABLE)
        strlist_add_own(&v->problems, xasprintf("none of the TLSA records of '%s' is usable for mail", d->name));
}

static size_t count(const struct survey_verdict *v, enum survey_word word)
{
    size_t n = 0;
    for (size_t i = 0; i < v->n; i++)
        n += v->hosts[i].opinion.word == word;
    return n;
}

/* From here mail would go round in circles (RFC 5321 5.1); a survey may be made where the domain's own mail arrives. */
static bool is_here(const struct destination *d)
{
    return d->enhanced[0] == 5 && d->enhanced[1] == 4 && d->enhanced[2] == 6 && d->n > 0;
}

/* Why nobody can be tried is told here, unless a host tells the same. */
static void tell_domain(const struct survey *s, struct survey_verdict *v)
{
    const struct sts_result *r = &s->destination.sts;
    const bool told = count(v, SURVEY_SKIPPED) + count(v, SURVEY_NO_ADDRESS) > 0 || is_here(&s->destination);
    if (err_is_set(&s->destination.err) && !told)
        strlist_add(&v->problems, s->destination.err.text);
    if (r->source == STS_UNKNOWN)
        strlist_add_own(&v->problems, xasprintf("the domain announces an MTA-STS policy that is not to be had: %s",
                                                err_is_set(&r->trouble) ? r->trouble.text : "nobody says why"));
    else if (r->source == STS_CACHED && err_is_set(&r->trouble))
        strlist_add_own(&v->problems, xasprintf("the MTA-STS policy is an old one: %s", r->trouble.text));
    if (s->tlsrpt == TLSRPT_FAULTY)
        strlist_add(&v->remarks, "the TLSRPT record is faulty, so nobody reports TLS that failed");
}

static void tell_spf(const struct survey *s, struct survey_verdict *v)
{
    const struct spf_verdict *spf = &s->spf.verdict;
    if (s->spf.asked != SURVEY_SPF_JUDGED || spf->result == SPF_PASS)
        return;
    const bool bad = spf->result == SPF_FAIL || spf->result == SPF_PERMERROR;
    strlist_add_own(bad ? &v->problems : &v->remarks,
                    xasprintf("SPF of '%s' for %s: %s%s%s", s->spf.domain, s->spf.address, spf_word(spf->result),
                              spf->why ? ", " : "", spf->why ? spf->why : ""));
}

/* ---- the whole ---- */

static char *summarize(const struct survey *s, const struct survey_verdict *v)
{
    const size_t works = count(v, SURVEY_WORKS), unknown = count(v, SURVEY_UNKNOWN);
    struct buf text = BUF_INIT;
    if (v->n == 0)
        buf_printf(&text, "no mail can be delivered: %s",
                   err_is_set(&s->destination.err) ? s->destination.err.text : "nobody takes it");
    else if (!s->connect)
        buf_printf(&text, "%zu of %zu host%s may be used; nobody was connected to", unknown, v->n,
                   v->n == 1 ? "" : "s");
    else if (works == 0)
        buf_adds(&text, "no mail can be delivered");
    else if (v->n == 1)
        buf_adds(&text, "mail can be delivered, to the one host");
    else
        buf_printf(&text, "mail can be delivered, to %zu of %zu hosts", works, v->n);
    if (v->problems.n > 0 && v->n > 0)
        buf_printf(&text, "; %zu problem%s", v->problems.n, v->problems.n == 1 ? "" : "s");
    return buf_steal(&text);
}

/* Where no delivery could even begin, it is as for a delivery; what is wrong with hosts is the answer to the question.
 */
static int exit_status(const struct survey *s, const struct survey_verdict *v)
{
    const enum fault fault = s->destination.err.fault;
    if (fault == FAULT_MESSAGE)
        return fault_exit(FAULT_USAGE);
    if ((fault == FAULT_NO_HOST || fault == FAULT_DNS) && !is_here(&s->destination))
        return fault_exit(fault);
    return v->problems.n > 0;
}

void survey_judge(const struct survey *s, long warn_days, struct survey_verdict *v)
{
    const size_t n = s->destination.n;
    *v = (struct survey_verdict){ .n = n, .hosts = xcalloc(n + 1, sizeof *v->hosts) };
    for (size_t i = 0; i < n; i++) {
        struct survey_judged_host *h = &v->hosts[i];
        h->n = s->hosts[i].n;
        h->addresses = xcalloc(h->n + 1, sizeof *h->addresses);
        for (size_t k = 0; k < h->n; k++)
            h->addresses[k] = of_address(s, i, k);
        h->opinion = of_host(s, i, h->addresses);
    }
    tell_domain(s, v);
    for (size_t i = 0; i < n; i++)
        tell_host(s, i, v);
    for (size_t i = 0; i < n; i++) {
        tell_sts(s, i, v);
        tell_records(s, i, v);
        tell_days(s, i, warn_days, v);
    }
    tell_spf(s, v);
    v->summary = summarize(s, v);
    v->exit = exit_status(s, v);
}

void survey_verdict_free(struct survey_verdict *v)
{
    for (size_t i = 0; i < v->n; i++) {
        for (size_t k = 0; k < v->hosts[i].n; k++)
            free(v->hosts[i].addresses[k].why);
        free(v->hosts[i].addresses);
        free(v->hosts[i].opinion.why);
    }
    free(v->hosts);
    strlist_free(&v->problems);
    strlist_free(&v->remarks);
    free(v->summary);
    *v = (struct survey_verdict){ 0 };
}
