/* sts_query: the MTA-STS policy of a domain, as RFC 8461 has it: its TXT record says which policy there is now, the
 * cache has what was fetched before, the policy's server the rest. It judges no host. */
#include "send/sts_query.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/ascii.h"
#include "base/cache.h"
#include "base/codec.h"
#include "net/https.h"

enum {
    REFRESH = 24 * 60 * 60, /* seconds: what is older is fetched again while it lasts (RFC 8461 10.2) */
    PAUSE = 5 * 60,         /* seconds between attempts to fetch what was not to be had (RFC 8461 3.3) */
    ADDRESSES_MAX = 8,      /* of the policy's server, of each family */
    FILES_MAX = 5000,       /* in the cache, of each kind */
    HEAD_MAX = 80,
};

/* What the cache has of a domain. */
struct kept {
    char *id;         /* own */
    long long when;   /* seconds since the epoch */
    struct buf text;  /* own */
};

struct sts_query {
    struct sts_query_params params;
    char *domain, *host;          /* own: "example.org", "mta-sts.example.org" */
    enum { AT_RECORD, AT_ADDRESSES, AT_DOCUMENT, OVER } step;
    struct dns_question *record;  /* own */
    struct dns_question *v4, *v6; /* own */
    struct strlist addresses;     /* own */
    struct https *https;          /* own */
    struct sts_policy policy;     /* own: of the cache, where `valid` */
    bool valid;                   /* it has not expired */
    bool current;                 /* it is what the record announces, and not old */
    long long fetched;            /* seconds since the epoch */
    struct sts_result result;     /* own */
};

static const char path[] = "/.well-known/mta-sts.txt";

void sts_result_free(struct sts_result *r)
{
    sts_policy_free(&r->policy);
    free(r->id);
    err_clear(&r->trouble);
    *r = (struct sts_result){ 0 };
}

/* ---- the cache
 *
 * A policy: kind "sts", name: the domain. A line of three words, then the policy as it came:
 *
 *     1 20160831085700Z 1766379600
 *     version: STSv1
 *     …
 *
 * 1 is the version of this format; then the id of the record for which it was fetched, and when, in seconds since the
 * epoch. How long it lasts is said by the policy itself.
 *
 * An attempt to fetch one that failed: kind "sts-failed", name: the domain. The same line, then the reason. */

static void kept_free(struct kept *k)
{
    free(k->id);
    buf_free(&k->text);
}

static bool kept_read(struct kept *k, const char *kind, const char *domain, size_t max)
{
    struct strlist words = STRLIST_INIT;
    *k = (struct kept){ .text = BUF_INIT };
    char *end = cache_read(kind, domain, HEAD_MAX + max, &k->text) ? strchr(k->text.data, '\n') : NULL;
    if (end) {
        *end = '\0';
        strlist_split(&words, k->text.data, " ");
        buf_drop(&k->text, (size_t)(end + 1 - k->text.data));
    }
    bool ok = words.n == 3 && strcmp(words.v[0], "1") == 0 && ascii_number(words.v[2], 0, UINT32_MAX, &k->when);
    if (ok)
        k->id = xstrdup(words.v[1]);
    strlist_free(&words);
    return ok;
}

static void keep(const struct sts_query *q, const char *kind, const char *p, size_t n)
{
    struct buf file = BUF_INIT;
    buf_printf(&file, "1 %s %lld\n", q->result.id, (long long)time(NULL));
    buf_add(&file, p, n);
    if (cache_write(kind, q->domain, file.data, file.len))
        cache_trim(kind, FILES_MAX);
    buf_free(&file);
}

static void read_policy(struct sts_query *q)
{
    struct kept k;
    struct err ignored = ERR_INIT;
    long long now = time(NULL);
    if (kept_read(&k, "sts", q->domain, STS_POLICY_MAX) &&
        sts_policy_parse(&q->policy, k.text.data, k.text.len, &ignored)) {
        q->fetched = k.when;
        q->valid = now < k.when + q->policy.max_age;
        q->current = q->valid && q->result.id && strcmp(q->result.id, k.id) == 0 && k.when <= now &&
                     now < k.when + REFRESH;
    }
    err_clear(&ignored);
    kept_free(&k);
}

/* The same policy was not to be had a moment ago: *e says why. */
static bool failed_lately(const struct sts_query *q, struct err *e)
{
    struct kept k;
    long long now = time(NULL);
    bool lately = kept_read(&k, "sts-failed", q->domain, 1 << 10) && strcmp(k.id, q->result.id) == 0 &&
                  k.when <= now && now < k.when + PAUSE;
    if (lately) {
        struct buf why = BUF_INIT;
        visible_encode(&why, k.text.data, k.text.len);
        err_set(e, FAULT_TEMPORARY, "%s (%lld seconds ago)", why.data, now - k.when);
        err_hint(e, "it is tried again %d minutes after that", PAUSE / 60);
        buf_free(&why);
    }
    kept_free(&k);
    return lately;
}

/* ---- the end */

static void finish(struct sts_query *q, enum sts_source source)
{
    q->step = OVER;
    q->result.source = source;
}

static void finish_with(struct sts_query *q, enum sts_source source, struct sts_policy *policy, long long fetched)
{
    q->result.policy = *policy;
    q->result.expires = (long)(fetched + policy->max_age);
    *policy = (struct sts_policy){ 0 };
    finish(q, source);
}

/* Nothing newer is to be had: an old policy is good as long as it lasts (RFC 8461 5.1). */
static void make_do(struct sts_query *q, enum sts_source without)
{
    err_stage(&q->result.trouble, STAGE_LOOKUP);
    if (q->valid)
        finish_with(q, STS_CACHED, &q->policy, q->fetched);
    else
        finish(q, without);
}

/* result.trouble says why. What is missing on this machine will not be better or worse in five minutes. */
static void fetch_failed(struct sts_query *q)
{
    const struct err *e = &q->result.trouble;
    if (e->fault != FAULT_SYSTEM)
        keep(q, "sts-failed", e->text, strlen(e->text) < 1 << 10 ? strlen(e->text) : 1 << 10);
    make_do(q, STS_UNKNOWN);
}

/* ---- on the way */

struct sts_query *sts_query_start(const struct sts_query_params *p)
{
    struct sts_query *q = xcalloc(1, sizeof *q);
    struct buf name = BUF_INIT;
    q->params = *p;
    q->domain = xstrdup(p->domain);
    for (char *c = q->domain; *c; c++)
        *c = ascii_lower(*c);
    q->host = xasprintf("mta-sts.%s", q->domain);
    buf_printf(&name, "_mta-sts.%s", q->domain);
    q->record = dns_ask(p->dns, name.data, DNS_TXT);
    buf_free(&name);
    return q;
}

void sts_query_free(struct sts_query *q)
{
    if (!q)
        return;
    dns_question_free(q->record);
    dns_question_free(q->v4);
    dns_question_free(q->v6);
    https_free(q->https);
    strlist_free(&q->addresses);
    sts_policy_free(&q->policy);
    sts_result_free(&q->result);
    free(q->domain);
    free(q->host);
    free(q);
}

static void start_fetching(struct sts_query *q)
{
    q->v4 = dns_ask(q->params.dns, q->host, DNS_A);
    q->v6 = dns_ask(q->params.dns, q->host, DNS_AAAA);
    q->step = AT_ADDRESSES;
}

static void take_record(struct sts_query *q)
{
    const struct dns_answer *a = dns_answer(q->record, q->params.deadline);
    struct buf id = BUF_INIT;
    if (!a)
        return;
    bool unknown = a->status == DNS_BOGUS || a->status == DNS_FAILED;
    if (a->status == DNS_FOUND && sts_record_id(a, &id))
        q->result.id = buf_steal(&id);
    buf_free(&id);
    read_policy(q);
    if (unknown)
        err_set(&q->result.trouble, FAULT_DNS, "cannot look up whether '%s' has an MTA-STS policy: %s", q->domain,
                a->why);
    if (unknown || !q->result.id) /* it may have been taken away by an attacker */
        make_do(q, unknown ? STS_UNKNOWN : STS_ABSENT);
    else if (q->current && !q->params.fresh)
        finish_with(q, STS_CACHED, &q->policy, q->fetched);
    else if (!q->params.fresh && failed_lately(q, &q->result.trouble))
        make_do(q, STS_UNKNOWN);
    else
        start_fetching(q);
}

/* From an address of one family one of the other cannot be reached. */
static void add_addresses(struct sts_query *q, const struct dns_answer *a)
{
    const char *source = q->params.source_ip;
    for (size_t i = 0; i < a->n && i < ADDRESSES_MAX; i++)
        if (!source || !strchr(source, ':') == !strchr(a->v[i].text, ':'))
            strlist_add(&q->addresses, a->v[i].text);
}

static bool have_addresses(struct sts_query *q, const struct dns_answer *const a[2], struct err *e)
{
    for (int i = 0; i < 2; i++) {
        if (a[i]->status == DNS_BOGUS)
            return err_set(e, FAULT_DNS, "the address of '%s' is not to be trusted: %s", q->host, a[i]->why);
        add_addresses(q, a[i]);
    }
    for (int i = 0; i < 2 && q->addresses.n == 0; i++)
        if (a[i]->status == DNS_FAILED)
            return err_set(e, FAULT_DNS, "cannot look up the address of '%s': %s", q->host, a[i]->why);
    return q->addresses.n > 0 ||
           err_set(e, FAULT_NO_HOST, "'%s', which has the MTA-STS policy, has no address", q->host);
}

static void take_addresses(struct sts_query *q)
{
    const struct dns_answer *a[2] = {
        dns_answer(q->v6, q->params.deadline), dns_answer(q->v4, q->params.deadline),
    };
    if (!a[0] || !a[1])
        return;
    if (!have_addresses(q, a, &q->result.trouble)) {
        fetch_failed(q);
        return;
    }
    struct https_params p = {
        .host = q->host, .path = path, .addresses = &q->addresses, .trust_file = q->params.trust_file,
        .source_ip = q->params.source_ip, .max = STS_POLICY_MAX, .deadline = q->params.deadline,
    };
    q->https = https_start(&p);
    q->step = AT_DOCUMENT;
}

/* A page that users of a web server may write is rather HTML (RFC 8461 3.2). */
static bool is_plain_text(const struct sts_query *q, const struct https_document *d, struct err *e)
{
    static const char plain[] = "text/plain";
    struct buf type = BUF_INIT;
    const char *given = d->type ? d->type : "";
    if (ascii_istarts(given, plain) && strchr("; \t", given[strlen(plain)]))
        return true;
    visible_encode(&type, given, strlen(given) < 80 ? strlen(given) : 80);
    err_set(e, FAULT_PROTOCOL, "'https://%s%s' has the media type '%s', not '%s'", q->host, path, type.data, plain);
    buf_free(&type);
    return false;
}

static bool is_policy(const struct sts_query *q, const struct https_document *d, struct sts_policy *policy,
                      struct err *e)
{
    struct err why = ERR_INIT;
    if (sts_policy_parse(policy, d->body.data, d->body.len, &why))
        return true;
    err_set(e, why.fault, "the MTA-STS policy of '%s' is not valid: %s", q->domain, why.text);
    err_clear(&why);
    return false;
}

static void take_document(struct sts_query *q)
{
    struct https_document d = { .body = BUF_INIT };
    struct err *e = &q->result.trouble;
    struct sts_policy policy;
    enum io io = https_step(q->https, &d, e);
    if (io == IO_AGAIN)
        return;
    if (io == IO_DONE && is_plain_text(q, &d, e) && is_policy(q, &d, &policy, e)) {
        keep(q, "sts", d.body.data, d.body.len);
        cache_remove("sts-failed", q->domain);
        finish_with(q, STS_FETCHED, &policy, time(NULL));
    } else {
        fetch_failed(q);
    }
    https_document_free(&d);
}

bool sts_query_step(struct sts_query *q, struct sts_result *r, bool wanted)
{
    if (!wanted)
        finish(q, STS_ABSENT);
    if (q->step == AT_RECORD)
        take_record(q);
    if (q->step == AT_ADDRESSES)
        take_addresses(q);
    if (q->step == AT_DOCUMENT)
        take_document(q);
    if (q->step != OVER)
        return false;
    *r = q->result;
    q->result = (struct sts_result){ 0 };
    return true;
}

void sts_query_waits(const struct sts_query *q, struct pollset *ps)
{
    pollset_until(ps, q->step == OVER ? clock_now() : q->params.deadline);
    if (q->step == AT_DOCUMENT)
        https_waits(q->https, ps);
    else
        dns_waits(q->params.dns, ps);
}
