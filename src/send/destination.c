/* destination: asks who takes mail for a domain, then for everything about each of them at the same time, then says
 * who can be tried and how. What a host's answers mean is host_query's and policy's. */
#include "send/destination.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "net/own.h"
#include "send/host_query.h"

#define LOOKUPS_WITHIN (30 * USEC_PER_SEC)
#define OTHERS_WITHIN (2 * USEC_PER_SEC) /* worse hosts, once a better one is known */

struct destination_query {
    struct task task;
    struct destination_params p;
    struct destination d;
    struct mx_query *mx;        /* own; NULL: answered */
    struct host_query **hosts;  /* own, as d.v; NULL: over */
    struct sts_query *sts;      /* own; NULL: over, or not asked */
    usec deadline;
    usec others;                /* worse hosts than one that is known are late then */
    usec wake;                  /* the next time at which an answer is late */
    bool over;
};

/* ---- made and freed */

static void host_free(struct destination_host *h)
{
    free(h->name);
    free(h->expanded);
    free(h->tlsa_name);
    strlist_free(&h->addresses);
    err_clear(&h->trouble);
    dns_answer_free(&h->tlsa_answer);
    err_clear(&h->decision.trouble);
}

void destination_free(struct destination *d)
{
    for (size_t i = 0; i < d->n; i++)
        host_free(&d->v[i]);
    free(d->v);
    free(d->domain);
    mx_list_free(&d->mx);
    sts_result_free(&d->sts);
    err_clear(&d->err);
    *d = (struct destination){ 0 };
}

static bool step(struct task *t);
static void waits(const struct task *t, struct pollset *ps);

struct destination_query *destination_start(const struct destination_params *p)
{
    struct destination_query *q = xcalloc(1, sizeof *q);
    *q = (struct destination_query){
        .task = { step, waits }, .p = *p, .d.domain = xstrdup(p->domain),
        .deadline = usec_min(p->deadline, clock_deadline(LOOKUPS_WITHIN)),
    };
    q->others = q->wake = q->deadline;
    q->mx = mx_start(p->dns, p->domain, q->deadline, p->hub);
    return q;
}

struct task *destination_task(struct destination_query *q)
{
    return &q->task;
}

void destination_take(struct destination_query *q, struct destination *d)
{
    *d = q->d;
    q->d = (struct destination){ 0 };
}

static void stop(struct destination_query *q)
{
    mx_free(q->mx);
    for (size_t i = 0; q->hosts && i < q->d.n; i++)
        host_query_free(q->hosts[i]);
    free(q->hosts);
    sts_query_free(q->sts);
    q->mx = NULL;
    q->hosts = NULL;
    q->sts = NULL;
}

void destination_query_free(struct destination_query *q)
{
    if (!q)
        return;
    stop(q);
    destination_free(&q->d);
    free(q);
}

/* ---- what an account and a domain amount to */

void destination_names(const struct destination *d, struct strlist *names)
{
    if (!d->mx.secure || d->mx.literal || !d->mx.domain)
        return;
    strlist_add(names, d->mx.domain);
    if (d->mx.expanded)
        strlist_add(names, d->mx.expanded);
}

/* From an address of one family one of the other cannot be reached. */
static int family_of(const struct account *a)
{
    if (a->ipv4_only || a->ipv6_only)
        return a->ipv4_only ? AF_INET : AF_INET6;
    return !a->source_ip ? AF_UNSPEC : strchr(a->source_ip, ':') ? AF_INET6 : AF_INET;
}

struct destination_params destination_params_of(const struct account *a, const char *domain)
{
    return (struct destination_params){
        .domain = domain,
        .port = (int)a->port,
        .family = family_of(a),
        .asked = policy_level_for(&a->tls_policy, domain, LEVEL_DANE),
        .at_least_encrypt = a->tls == ACCOUNT_TLS_ON,
        .requiretls = a->requiretls,
        .trust_file = a->tls_trust_file,
        .source_ip = a->source_ip,
    };
}

/* ---- facts */

/* A host that nobody has to look up for us to know it (RFC 5321 5.1): no MX record, or an address in the mail's. */
static bool is_itself(const struct destination *d)
{
    return d->mx.implicit || d->mx.literal;
}

static struct policy_facts facts_of(const struct destination_query *q, const struct destination_host *h)
{
    const struct sts_result *sts = &q->d.sts;
    return (struct policy_facts){
        .asked = q->p.asked, .at_least_encrypt = q->p.at_least_encrypt, .tls_not_required = q->p.tls_not_required,
        .requiretls = q->p.requiretls, .mx_secure = q->d.mx.secure || is_itself(&q->d), .tlsa = h->tlsa,
        .tlsa_why = h->tlsa_answer.why, .host = h->name,
        .sts = sts->source == STS_CACHED || sts->source == STS_FETCHED ? &sts->policy : NULL,
    };
}

/* ---- the hosts */

static struct destination_host *add_host(struct destination *d, const struct mx_host *mx)
{
    for (size_t i = 0; i < d->n; i++)
        if (ascii_ieq(d->v[i].name, mx->name))
            return NULL;
    struct destination_host *h = &d->v[d->n++];
    *h = (struct destination_host){ .name = xstrdup(mx->name), .preference = mx->preference };
    return h;
}

/* What is known without a question: this machine by name, an address literal. */
static bool is_known(const struct destination_query *q, struct destination_host *h)
{
    bool six = strchr(h->name, ':');
    h->here = own_name(h->name);
    if (!q->d.mx.literal)
        return h->here;
    if (q->p.family == (six ? AF_INET : AF_INET6)) {
        err_set(&h->trouble, FAULT_NO_HOST, "'%s' is an address of IPv%d, which is not to be used", h->name,
                six ? 6 : 4);
        err_hint(&h->trouble, "only the other family is (-4, -6, 'source_ip'): allow both");
    } else {
        strlist_add(&h->addresses, h->name);
    }
    return true;
}

static void ask_hosts(struct destination_query *q)
{
    struct destination *d = &q->d;
    const struct policy_facts f = facts_of(q, &(struct destination_host){ 0 });
    const struct host_query_params p = {
        .dns = q->p.dns, .port = q->p.port, .family = q->p.family, .hub = q->p.hub,
        .tlsa = q->p.all || policy_wants_tlsa(&f),
    };
    d->v = xcalloc(d->mx.n, sizeof *d->v);
    q->hosts = xcalloc(d->mx.n, sizeof *q->hosts);
    for (size_t i = 0; i < d->mx.n; i++) {
        struct destination_host *h = add_host(d, &d->mx.v[i]);
        if (h && !is_known(q, h))
            q->hosts[d->n - 1] = host_query_start(h, &p);
    }
}

static void ask_sts(struct destination_query *q)
{
    struct policy_facts f = facts_of(q, &(struct destination_host){ 0 });
    const struct sts_query_params p = {
        .dns = q->p.dns, .domain = q->d.mx.domain, .trust_file = q->p.trust_file, .source_ip = q->p.source_ip,
        .fresh = q->p.all, .deadline = q->deadline,
    };
    if (!q->d.mx.literal && (q->p.all || policy_wants_sts(&f)))
        q->sts = sts_query_start(&p);
}

static bool is_known_well(const struct destination_host *h)
{
    return h->addresses.n > 0 && h->tlsa != TLSA_FAILED;
}

/* Hosts are in the order to try them: worse ones are not waited for as long as better ones. */
static void step_hosts(struct destination_query *q)
{
    usec until = q->deadline;
    q->wake = q->deadline;
    for (size_t i = 0; i < q->d.n; i++) {
        if (q->hosts[i] && host_query_step(q->hosts[i], until)) {
            host_query_free(q->hosts[i]);
            q->hosts[i] = NULL;
            if (is_known_well(&q->d.v[i]) && !q->p.all)
                q->others = usec_min(q->others, clock_now() + OTHERS_WITHIN);
        }
        if (!q->hosts[i] && is_known_well(&q->d.v[i]))
            until = q->others;
        if (q->hosts[i])
            q->wake = usec_min(q->wake, until);
    }
}

static bool hosts_asked(const struct destination_query *q)
{
    for (size_t i = 0; i < q->d.n; i++)
        if (q->hosts[i])
            return true;
    return false;
}

/* ---- MTA-STS: its policy is fetched only where a host is found that needs it */

enum need { NEED_NO, NEED_YES, NEED_UNKNOWN };

static enum need sts_need(const struct destination_query *q)
{
    enum need need = NEED_NO;
    if (q->p.all)
        return NEED_YES;
    for (size_t i = 0; i < q->d.n; i++) {
        const struct policy_facts f = facts_of(q, &q->d.v[i]);
        if (!f.mx_secure || (!q->hosts[i] && q->d.v[i].addresses.n > 0 && policy_wants_sts(&f)))
            return NEED_YES;
        if (q->hosts[i])
            need = NEED_UNKNOWN;
    }
    return need;
}

static bool step_sts(struct destination_query *q)
{
    enum need need = q->sts ? sts_need(q) : NEED_NO;
    if (!q->sts)
        return true;
    if (need == NEED_UNKNOWN || !sts_query_step(q->sts, &q->d.sts, need == NEED_YES))
        return false;
    sts_query_free(q->sts);
    q->sts = NULL;
    if (q->d.sts.source == STS_UNKNOWN)
        emit(q->p.hub, 0, EV_WARNING, F_STR("text", q->d.sts.trouble.text));
    return true;
}

/* ---- who can be tried */

/* RFC 5321 5.1: neither this machine, nor whoever is not better than it. */
static void cut_at_here(struct destination_query *q, bool *cut)
{
    struct destination *d = &q->d;
    const struct destination_host *self = NULL;
    for (size_t i = 0; i < d->n; i++) {
        struct destination_host *h = &d->v[i];
        for (size_t k = 0; k < h->addresses.n; k++)
            h->here |= own_has(q->p.own, h->addresses.v[k]);
        if (h->here && (!self || h->preference < self->preference))
            self = h;
    }
    for (size_t i = 0; i < d->n; i++)
        cut[i] = self && d->v[i].preference >= self->preference;
}

static bool is_usable(const struct destination_host *h, bool cut)
{
    return !cut && h->addresses.n > 0 && !h->decision.skip;
}

static void set_status(struct destination *d, const int enhanced[3])
{
    memcpy(d->enhanced, enhanced, sizeof d->enhanced);
}

static void loops_back(struct destination *d)
{
    err_set(&d->err, FAULT_NO_HOST, "mail for '%s' loops back to this machine", d->domain);
    if (d->mx.literal || own_name(d->domain))
        err_hint(&d->err, "if a mail server runs here, hand the mail to it ('host localhost')");
    err_hint(&d->err, "if a mail server runs here, hand the mail to it ('host localhost'); else the DNS records of "
                      "'%s' are wrong", d->domain);
    set_status(d, (const int[]){ 5, 4, 6 });
}

static const struct { enum fault fault; int enhanced[3]; } statuses[] = { /* RFC 3463 3.5, 3.8, RFC 8689 8 */
    { FAULT_NO_HOST, { 5, 4, 4 } },     { FAULT_DNS, { 4, 4, 3 } },          { FAULT_TEMPORARY, { 4, 7, 5 } },
    { FAULT_CERTIFICATE, { 4, 7, 5 } }, { FAULT_UNAVAILABLE, { 5, 7, 30 } },
};

static void no_host_usable(struct destination *d, const struct err *why, size_t tried)
{
    if (tried == 1)
        err_copy(&d->err, why);
    else
        err_set(&d->err, why->fault, "none of the %zu mail exchangers of '%s' can be used: %s", tried, d->domain,
                why->text);
    if (why->hint)
        err_hint(&d->err, "%s", why->hint);
    err_hint(&d->err, "the MX records of '%s' are out of date: its postmaster has to mend them", d->domain);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].fault == why->fault)
            set_status(d, statuses[i].enhanced);
}

/* Why nobody can be tried: what a later try may mend comes before what it cannot. */
static void judge(struct destination_query *q, const bool *cut)
{
    struct destination *d = &q->d;
    const struct err *why = NULL;
    size_t tried = 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct destination_host *h = &d->v[i];
        const struct err *e = err_is_set(&h->trouble) ? &h->trouble : &h->decision.trouble;
        if (is_usable(h, cut[i]))
            return;
        if (cut[i])
            continue;
        tried++;
        if (!why || (fault_retry_helps(e->fault) && !fault_retry_helps(why->fault)))
            why = e;
    }
    if (!why) {
        loops_back(d);
    } else if (d->mx.implicit && why->fault == FAULT_NO_HOST && q->p.family == AF_UNSPEC) {
        err_set(&d->err, FAULT_NO_HOST, "the domain '%s' takes no mail: it has neither an MX record nor an address",
                d->domain);
        err_hint(&d->err, "look for a typing error in the address");
        set_status(d, (const int[]){ 5, 1, 2 });
    } else {
        no_host_usable(d, why, tried);
    }
    err_stage(&d->err, STAGE_LOOKUP);
}

/* At most `most` addresses of all hosts. Two of them are left to the other family where it has so many: nobody knows
 * yet which of them works here. */
static void limit_addresses(struct destination *d, const bool *cut, size_t most)
{
    size_t have[2] = { 0 }, left[2]; /* of IPv4, of IPv6 */
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = 0; is_usable(&d->v[i], cut[i]) && k < d->v[i].addresses.n; k++)
            have[strchr(d->v[i].addresses.v[k], ':') != NULL]++;
    left[0] = have[1] + 2 < most ? most - have[1] : 2;
    left[0] = have[0] < left[0] ? have[0] : left[0];
    left[1] = most - left[0];
    for (size_t i = 0; i < d->n; i++) {
        struct strlist kept = STRLIST_INIT, *all = &d->v[i].addresses;
        for (size_t k = 0; is_usable(&d->v[i], cut[i]) && k < all->n; k++) {
            bool six = strchr(all->v[k], ':') != NULL;
            if (left[six] > 0) {
                left[six]--;
                strlist_add(&kept, all->v[k]);
            }
        }
        strlist_free(all);
        *all = kept;
    }
}

/* ---- telling */

static void tell(const struct destination_query *q, const struct destination_host *h, bool cut)
{
    const struct destination *d = &q->d;
    const struct sts_result *sts = &d->sts;
    bool policy = sts->source == STS_CACHED || sts->source == STS_FETCHED;
    const char *skipped = h->here                           ? "it is this machine"
                          : cut                             ? "it is no better than this machine"
                          : err_is_set(&h->trouble)         ? h->trouble.text
                          : h->decision.skip                ? h->decision.trouble.text
                                                            : NULL;
    bool decided = h->addresses.n > 0;
    emit(q->p.hub, 0, EV_POLICY, F_STR("domain", d->mx.domain), F_STR("host", h->name),
         F_STR("wanted", decided ? level_word(h->decision.wanted) : NULL),
         F_STR("why", decided ? h->decision.why : NULL),
         F_INT_IF("tlsa", h->tlsa_answer.n > 0, (int64_t)h->tlsa_answer.n),
         F_STR("mode", policy ? sts_mode_word(sts->policy.mode) : NULL), F_BOOL("mx_secure", d->mx.secure),
         F_STR("skipped", skipped));
    if (h->decision.report && err_is_set(&h->decision.trouble) && !skipped)
        emit(q->p.hub, 0, EV_WARNING, F_STR("text", h->decision.trouble.text));
}

/* Only those that can be tried stay. */
static void drop_unusable(struct destination *d, const bool *cut)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (is_usable(&d->v[i], cut[i]))
            d->v[n++] = d->v[i];
        else
            host_free(&d->v[i]);
    d->n = n;
}

static void conclude(struct destination_query *q)
{
    struct destination *d = &q->d;
    bool cut[MX_HOSTS_MAX];
    cut_at_here(q, cut);
    for (size_t i = 0; i < d->n; i++) {
        const struct policy_facts f = facts_of(q, &d->v[i]);
        d->v[i].decision = policy_decide(&f);
        tell(q, &d->v[i], cut[i]);
    }
    judge(q, cut);
    if (q->p.all)
        return;
    limit_addresses(d, cut, DESTINATION_ADDRESSES_MAX);
    drop_unusable(d, cut);
}

/* ---- the task */

/* true: it is known who takes the mail, or nobody does. */
static bool step_mx(struct destination_query *q)
{
    enum io io = mx_step(q->mx, &q->d.mx, &q->d.err);
    if (io == IO_AGAIN)
        return false;
    mx_free(q->mx);
    q->mx = NULL;
    q->over = io != IO_DONE;
    if (q->over) {
        set_status(&q->d, q->d.mx.enhanced);
    } else {
        ask_hosts(q);
        ask_sts(q);
    }
    return true;
}

static bool step(struct task *t)
{
    struct destination_query *q = (struct destination_query *)t;
    if (q->mx && !step_mx(q))
        return false;
    if (q->over)
        return true;
    step_hosts(q);
    if (!step_sts(q) || hosts_asked(q))
        return false;
    conclude(q);
    stop(q);
    q->over = true;
    return true;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct destination_query *q = (const struct destination_query *)t;
    pollset_until(ps, q->wake);
    if (q->mx)
        mx_waits(q->mx, ps);
    if (hosts_asked(q))
        dns_waits(q->p.dns, ps);
    if (q->sts && sts_need(q) != NEED_UNKNOWN)
        sts_query_waits(q->sts, ps);
}
