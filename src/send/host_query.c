/* host_query: addresses first, then the TLSA records at one or two names (RFC 7672 2.2.2, 2.2.3). It does not judge
 * what they mean for a delivery. */
#include "send/host_query.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "net/tls.h"

enum { IPV6, IPV4, FAMILIES }; /* in the order to try them */
enum { ADDRESSES_MAX = 20 };   /* of both: an answer may hold hundreds, and `envoi mx` looks at each */

struct host_query {
    struct host_query_params p;
    struct destination_host *h;
    struct dns_question *addresses[FAMILIES]; /* own; NULL: not asked */
    struct dns_question *alias;  /* own; NULL: not asked. Is the name itself validated, though what is behind its CNAME
                                    is not? */
    struct dns_question *tlsa;   /* own; NULL: not asked */
    const char *bases[3];        /* where to look for TLSA records, one after the other; ends with NULL */
    size_t at;                   /* … here now */
    bool addresses_over, over;
};

struct host_query *host_query_start(struct destination_host *h, const struct host_query_params *p)
{
    static const struct { int family; enum dns_type type; } asked[FAMILIES] = {
        [IPV6] = { AF_INET6, DNS_AAAA }, [IPV4] = { AF_INET, DNS_A },
    };
    struct host_query *q = xcalloc(1, sizeof *q);
    *q = (struct host_query){ .p = *p, .h = h };
    for (int i = 0; i < FAMILIES; i++)
        if (p->family == AF_UNSPEC || p->family == asked[i].family)
            q->addresses[i] = dns_ask(p->dns, h->name, asked[i].type);
    return q;
}

void host_query_free(struct host_query *q)
{
    if (!q)
        return;
    for (int i = 0; i < FAMILIES; i++)
        dns_question_free(q->addresses[i]);
    dns_question_free(q->alias);
    dns_question_free(q->tlsa);
    free(q);
}

/* ---- addresses */

static bool unknown(const struct dns_answer *a)
{
    return a && (a->status == DNS_FAILED || a->status == DNS_BOGUS);
}

static void no_address(const struct host_query *q, const struct dns_answer *const *answers)
{
    static const char *const missing[] = { [IPV6] = "no IPv6 address", [IPV4] = "no IPv4 address" };
    struct destination_host *h = q->h;
    bool name = false;
    for (int i = 0; i < FAMILIES; i++) {
        if (unknown(answers[i])) {
            err_set(&h->trouble, FAULT_DNS, "the addresses of '%s' cannot be looked up: %s", h->name, answers[i]->why);
            err_hint(&h->trouble, "%s", answers[i]->hint ? answers[i]->hint
                                                         : "its name servers may answer later; try again then");
        }
        name |= answers[i] && answers[i]->status == DNS_NO_DATA;
    }
    if (!name) {
        err_set(&h->trouble, FAULT_NO_HOST, "there is no host '%s'", h->name);
    } else if (answers[IPV6] && answers[IPV4]) {
        err_set(&h->trouble, FAULT_NO_HOST, "the host '%s' has no address", h->name);
    } else {
        err_set(&h->trouble, FAULT_NO_HOST, "the host '%s' has %s", h->name, missing[answers[IPV6] ? IPV6 : IPV4]);
        err_hint(&h->trouble, "only that family is to be used (-4, -6, 'source_ip'): allow the other one");
    }
}

/* Families take turns: a broken one costs every second try, not all. */
static void add_addresses(struct destination_host *h, const struct dns_answer *const *answers)
{
    for (size_t k = 0;; k++) {
        bool more = false;
        for (int i = 0; i < FAMILIES; i++) {
            if (!answers[i] || answers[i]->status != DNS_FOUND || k >= answers[i]->n)
                continue;
            more = true;
            if (h->addresses.n < ADDRESSES_MAX && !strlist_has(&h->addresses, answers[i]->v[k].text))
                strlist_add(&h->addresses, answers[i]->v[k].text);
        }
        if (!more)
            return;
    }
}

static void take_addresses(struct host_query *q, const struct dns_answer *const *answers)
{
    struct destination_host *h = q->h;
    add_addresses(h, answers);
    h->secure = h->addresses.n > 0;
    for (int i = 0; i < FAMILIES; i++) {
        if (!answers[i] || answers[i]->status != DNS_FOUND)
            continue;
        h->secure = h->secure && answers[i]->secure;
        if (!h->expanded && !ascii_ieq(answers[i]->name, h->name))
            h->expanded = xstrdup(answers[i]->name);
    }
    if (h->addresses.n == 0)
        no_address(q, answers);
    else
        emit(q->p.hub, 0, EV_LOOKUP, F_STR("host", h->name), F_LIST("addresses", &h->addresses));
}

/* ---- TLSA */

static void copy_answer(struct dns_answer *to, const struct dns_answer *from)
{
    *to = *from;
    to->name = xstrdup(from->name);
    to->why = xstrdup(from->why);
    to->v = from->n > 0 ? xcalloc(from->n, sizeof *to->v) : NULL;
    for (size_t i = 0; i < from->n; i++) {
        to->v[i] = from->v[i];
        to->v[i].text = from->v[i].text ? xstrndup(from->v[i].text, from->v[i].len) : NULL;
        buf_init(&to->v[i].association);
        buf_addbuf(&to->v[i].association, &from->v[i].association);
    }
}

static void tlsa_over(struct host_query *q, enum tlsa_status status, const struct dns_answer *a)
{
    q->over = true;
    q->h->tlsa = status;
    if (!a)
        return;
    copy_answer(&q->h->tlsa_answer, a);
    q->h->tlsa_name = q->bases[q->at] ? xstrdup(q->bases[q->at]) : NULL;
}

/* Asks at the next name; there is none: no DANE. */
static void ask_tlsa(struct host_query *q)
{
    struct buf name = BUF_INIT;
    dns_question_free(q->tlsa);
    q->tlsa = NULL;
    if (q->bases[q->at]) {
        dns_service_name(&name, q->p.port, q->bases[q->at]);
        q->tlsa = dns_ask(q->p.dns, name.data, DNS_TLSA);
    } else {
        tlsa_over(q, TLSA_NONE, NULL);
    }
    buf_free(&name);
}

static enum tlsa_status usable(const struct dns_answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (tls_tlsa_usable(&a->v[i]))
            return TLSA_USABLE;
    return TLSA_UNUSABLE;
}

static void take_tlsa(struct host_query *q, const struct dns_answer *a)
{
    if (unknown(a)) {
        tlsa_over(q, TLSA_FAILED, a);
    } else if (a->status == DNS_FOUND && a->secure) {
        tlsa_over(q, usable(a), a);
    } else {
        q->at++;
        ask_tlsa(q);
    }
}

/* RFC 7672 2.2.2: behind CNAMEs that are all validated, first what they lead to, then the name itself. Where they lead
 * out of what is validated only the name itself can have records, if it is validated. */
static void begin_tlsa(struct host_query *q)
{
    struct destination_host *h = q->h;
    size_t n = 0;
    if (h->addresses.n > 0 && q->p.tlsa && !h->secure && h->expanded) {
        q->alias = dns_ask(q->p.dns, h->name, DNS_CNAME);
        return;
    }
    if (h->addresses.n > 0 && q->p.tlsa && h->secure) {
        if (h->expanded)
            q->bases[n++] = h->expanded;
        q->bases[n++] = h->name;
    }
    ask_tlsa(q);
}

static void take_alias(struct host_query *q, const struct dns_answer *a)
{
    if (unknown(a)) {
        tlsa_over(q, TLSA_FAILED, a);
        return;
    }
    if (a->status == DNS_FOUND && a->secure)
        q->bases[0] = q->h->name;
    ask_tlsa(q);
}

/* ---- one after the other */

/* true: all are there; what was not asked is NULL. */
static bool all_answered(struct host_query *q, usec until, const struct dns_answer **answers)
{
    bool all = true;
    for (int i = 0; i < FAMILIES; i++) {
        answers[i] = q->addresses[i] ? dns_answer(q->addresses[i], until) : NULL;
        all = all && (answers[i] || !q->addresses[i]);
    }
    return all;
}

bool host_query_step(struct host_query *q, usec until)
{
    const struct dns_answer *answers[FAMILIES], *a;
    if (!q->over && !q->addresses_over && all_answered(q, until, answers)) {
        q->addresses_over = true;
        take_addresses(q, answers);
        begin_tlsa(q);
    }
    if (!q->over && q->alias && !q->tlsa && (a = dns_answer(q->alias, until)))
        take_alias(q, a);
    while (!q->over && q->tlsa && (a = dns_answer(q->tlsa, until)))
        take_tlsa(q, a);
    return q->over;
}
