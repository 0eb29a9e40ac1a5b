/* mx_table: a survey as text, label and value a line, in at most 80 columns where names and sentences allow it. What
 * came from name servers and hosts is shown with its control characters visible. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "cmd/mx.h"

enum { LABEL = 10, HEX_SHOWN = 16, DAY = 24 * 60 * 60, HOUR = 60 * 60 };

/* ---- lines ---- */

__attribute__((format(printf, 3, 4))) static void line(struct buf *out, const char *label, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    buf_printf(out, "  %-*s ", LABEL, label);
    visible_encode(out, text.data, text.len);
    buf_addc(out, '\n');
    buf_free(&text);
}

static void list(struct buf *out, const char *heading, const struct strlist *l)
{
    if (l->n > 0)
        buf_printf(out, "%s:\n", heading);
    for (size_t i = 0; i < l->n; i++) {
        buf_adds(out, "    ");
        visible_encode(out, l->v[i], strlen(l->v[i]));
        buf_addc(out, '\n');
    }
    if (l->n > 0)
        buf_addc(out, '\n');
}

/* "7 days", "12 hours", "30 seconds" */
static void span(struct buf *out, long seconds)
{
    static const struct {
        long length;
        const char *name;
    } units[] = { { DAY, "day" }, { HOUR, "hour" }, { 1, "second" } };
    size_t i = 0;
    while (seconds < units[i].length && units[i].length > 1)
        i++;
    const long n = seconds / units[i].length;
    buf_printf(out, "%ld %s%s", n, units[i].name, n == 1 ? "" : "s");
}

/* ---- the head ---- */

static void mx_line(const struct destination *d, struct buf *out)
{
    const char *secure = d->mx.secure ? ", secure (DNSSEC)" : ", not secured by DNSSEC";
    if (d->mx.literal)
        line(out, "MX", "none is asked for: the address itself is named");
    else if (d->mx.implicit)
        line(out, "MX", "none, so the domain itself takes its mail%s", secure);
    else if (d->mx.n > 0)
        line(out, "MX", "%zu host%s%s", d->mx.n, d->mx.n == 1 ? "" : "s", secure);
    else
        line(out, "MX", d->err.fault == FAULT_NO_HOST ? "none to deliver to" : "not known");
    if (d->n == 0 && d->err.hint)
        line(out, "hint", "%s", d->err.hint);
}

static void sts_line(const struct sts_result *r, struct buf *out)
{
    struct buf age = BUF_INIT;
    span(&age, r->policy.max_age);
    if (r->source == STS_ABSENT)
        line(out, "MTA-STS", "no policy");
    else if (r->source == STS_UNKNOWN)
        line(out, "MTA-STS", "announced%s%s, and not to be had: %s", r->id ? " with id " : "", r->id ? r->id : "",
             err_is_set(&r->trouble) ? r->trouble.text : "nobody says why");
    else
        line(out, "MTA-STS", "%s, id %s, for %s, %s", sts_mode_word(r->policy.mode), r->id ? r->id : "unknown",
             age.data, r->source == STS_CACHED ? "from the cache" : "just fetched");
    if (r->source == STS_CACHED && err_is_set(&r->trouble))
        line(out, "", "%s", r->trouble.text);
    buf_free(&age);
}

static void tlsrpt_line(const struct survey *s, struct buf *out)
{
    static const char *const words[] = {
        [TLSRPT_UNKNOWN] = "not known: no answer",
        [TLSRPT_ABSENT] = "no record: nobody is told of TLS that fails",
        [TLSRPT_FAULTY] = "the record is faulty",
        [TLSRPT_FOUND] = "",
    };
    if (s->tlsrpt != TLSRPT_FOUND)
        line(out, "TLSRPT", "%s", words[s->tlsrpt]);
    for (size_t i = 0; i < s->tlsrpt_to.n; i++)
        line(out, i ? "" : "TLSRPT", "%s", s->tlsrpt_to.v[i]);
}

static void spf_line(const struct survey *s, struct buf *out)
{
    const struct spf_verdict *v = &s->spf.verdict;
    if (s->spf.asked == SURVEY_SPF_NOT_JUDGED)
        line(out, "SPF", "not judged: %s", s->spf.why_not);
    else if (s->spf.asked == SURVEY_SPF_JUDGED)
        line(out, "SPF", "%s for mail of %s from %s%s%s%s", spf_word(v->result), s->spf.domain, s->spf.address,
             v->why ? " (" : "", v->why ? v->why : "", v->why ? ")" : "");
}

static void head(const struct survey *s, struct buf *out)
{
    const struct destination *d = &s->destination;
    const char *domain = d->domain ? d->domain : s->name, *ascii = d->mx.domain;
    visible_encode(out, domain, strlen(domain));
    if (ascii && strcmp(ascii, domain) != 0 && !d->mx.literal)
        buf_printf(out, " (%s)", ascii);
    buf_addc(out, '\n');
    mx_line(d, out);
    if (!d->mx.literal && d->n > 0) {
        sts_line(&d->sts, out);
        tlsrpt_line(s, out);
    }
    spf_line(s, out);
    buf_addc(out, '\n');
}

/* ---- hosts ---- */

static void pointer(const struct survey_address *a, struct buf *out)
{
    switch (a->ptr) {
    case PTR_GOOD: buf_printf(out, "PTR %s", a->ptr_name); break;
    case PTR_ASTRAY: buf_printf(out, "PTR %s, which does not lead back", a->ptr_name); break;
    case PTR_ABSENT: buf_adds(out, "no PTR"); break;
    case PTR_UNKNOWN: buf_adds(out, "PTR not known"); break;
    }
}

static void certificate_line(const struct sight_tls *t, struct buf *out)
{
    const long long days = t->days_left;
    struct buf left = BUF_INIT;
    if (days < 0)
        buf_adds(&left, "expired");
    else
        buf_printf(&left, "%lld day%s left", days, days == 1 ? "" : "s");
    line(out, "", "%s; certificate for %s by '%s', %s", t->version ? t->version : "TLS",
         t->names.n > 0 ? t->names.v[0] : t->subject ? t->subject : "nobody", t->issuer ? t->issuer : "", left.data);
    if (!t->verified)
        line(out, "", "not trusted: %s", t->problem ? t->problem : "it is not good");
    buf_free(&left);
}

/* What came of it. A reason that stands elsewhere, at the host or the certificate, is not told here. */
static void outcome(const struct survey_opinion *o, const struct sight *v, struct buf *out)
{
    const bool by_trust = o->word == SURVEY_UNTRUSTED && v && o->why && v->tls.problem
                          && strcmp(o->why, v->tls.problem) == 0;
    if (o->word == SURVEY_WORKS)
        buf_adds(out, o->clear ? ": works, in clear" : ": works");
    else if (by_trust)
        buf_adds(out, ": untrusted");
    else if (o->word != SURVEY_SKIPPED && o->why)
        buf_printf(out, ": %s", o->why);
}

static void address_lines(const struct survey *s, const struct survey_address *a, const struct survey_opinion *o,
                          struct buf *out)
{
    const struct sight *v = survey_look(s, a->look);
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s, ", a->address);
    pointer(a, &text);
    outcome(o, v, &text);
    line(out, strchr(a->address, ':') ? "IPv6" : "IPv4", "%s", text.data);
    if (v && v->tls.sha256)
        certificate_line(&v->tls, out);
    buf_free(&text);
}

static void tlsa_lines(const struct survey *s, size_t i, struct buf *out)
{
    static const char *const matches[] = {
        [SURVEY_MATCH_UNKNOWN] = "", [SURVEY_MATCH_NO] = " does not match", [SURVEY_MATCH_YES] = " matches",
    };
    const struct destination_host *d = &s->destination.v[i];
    for (size_t k = 0; k < d->tlsa_answer.n; k++) {
        const struct dns_record *r = &d->tlsa_answer.v[k];
        struct buf hex = BUF_INIT;
        hex_encode(&hex, r->association.data, r->association.len, "");
        line(out, k ? "" : "TLSA", "%d %d %d %.*s%s%s", r->usage, r->selector, r->matching, HEX_SHOWN, hex.data,
             hex.len > HEX_SHOWN ? ".." : "", matches[s->hosts[i].tlsa ? s->hosts[i].tlsa[k] : SURVEY_MATCH_UNKNOWN]);
        buf_free(&hex);
    }
    if (d->tlsa == TLSA_FAILED)
        line(out, "TLSA", "cannot be looked up, so the host must not be used");
    else if (d->tlsa == TLSA_UNUSABLE)
        line(out, "", "none of them is usable for mail");
    else if (d->tlsa_answer.n == 0)
        line(out, "TLSA", d->secure ? "none" : "not asked for: DNSSEC does not secure its addresses");
}

static void host_block(const struct survey *s, size_t i, const struct survey_judged_host *h, struct buf *out)
{
    const struct destination_host *d = &s->destination.v[i];
    const struct sts_result *sts = &s->destination.sts;
    const struct survey_opinion *o = &h->opinion;
    if (!s->destination.mx.implicit && !s->destination.mx.literal)
        buf_printf(out, "%d ", d->preference);
    visible_encode(out, d->name, strlen(d->name));
    if (s->connect || o->word != SURVEY_UNKNOWN)
        buf_printf(out, ": %s", survey_word(o->word));
    buf_adds(out, d->here ? " (this machine)\n" : "\n");
    if (o->word == SURVEY_SKIPPED || o->word == SURVEY_NO_ADDRESS)
        line(out, "", "%s", o->why ? o->why : "");
    if (d->expanded && strcmp(d->expanded, d->name) != 0)
        line(out, "CNAME", "%s", d->expanded);
    for (size_t k = 0; k < h->n; k++)
        address_lines(s, &s->hosts[i].v[k], &h->addresses[k], out);
    if (o->word != SURVEY_NO_ADDRESS)
        tlsa_lines(s, i, out);
    if ((sts->source == STS_CACHED || sts->source == STS_FETCHED) && sts->policy.mode != STS_NONE)
        line(out, "MTA-STS", sts_policy_matches(&sts->policy, d->name) ? "the policy names it"
                                                                       : "the policy does not name it");
    if (o->word != SURVEY_NO_ADDRESS)
        line(out, "level", "%s: %s", level_word(d->decision.wanted), d->decision.why ? d->decision.why : "");
    buf_addc(out, '\n');
}

void mx_table(const struct survey *s, const struct survey_verdict *v, struct buf *out)
{
    head(s, out);
    for (size_t i = 0; i < v->n; i++)
        host_block(s, i, &v->hosts[i], out);
    if (v->n > 0) /* else the verdict says it */
        list(out, "problems", &v->problems);
    list(out, "to know", &v->remarks);
    buf_adds(out, "verdict: ");
    visible_encode(out, v->summary, strlen(v->summary));
    buf_addc(out, '\n');
}
