/* direct: the tasks of a delivery straight to the mail exchangers, all in one loop: some look domains up, then some
 * carry groups of recipients, one after another each. */
#include "send/direct.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns.h"
#include "net/loop.h"
#include "net/own.h"
#include "net/tls.h"
#include "send/deliver.h"
#include "send/destination.h"
#include "send/grouping.h"
#include "send/identity.h"
#include "send/postmortem.h"
#include "send/relay.h"
#include "send/unserved.h"

enum {
    LOOKUPS_AT_ONCE = 50,
    RELAYS_AT_ONCE = 20,
    TURNS = 8, /* relays that end at once, or reads of the message, before other tasks get their turn */
};

/* Recipients on one way. */
struct group {
    struct route route;
    struct envelope env;       /* whose recipients are at these places of the whole: */
    size_t *at;                /* own */
    size_t n;
    const struct destination *first;
    struct message message;    /* a reader of the whole, where there are several groups */
    struct relay *relay;       /* own; NULL: not begun, or over */
    struct err err;            /* why it ended before everybody had an answer; unset: it did not */
    size_t hop;                /* … over this one */
};

struct direct {
    const struct submit_params *p;
    struct credentials *credentials;
    struct report_params *report;
    usec deadline;
    usec look_up_by;           /* the rest is for the exchangers */
    struct dns *dns;
    struct strlist own;              /* own: addresses of this machine */
    struct grouping_domain *domains; /* own; each has the destination of the same place */
    struct destination *found;       /* own */
    size_t n_domains, next_domain, looked_up;
    struct group *groups;            /* own */
    size_t n_groups, next_group, carried; /* of them are over */
    unsigned connections;
    bool ready;                      /* groups can be carried */
    struct err err;                  /* why nothing can be sent, or no more */
};

static bool is_over(const struct direct *d)
{
    return err_is_set(&d->err) || (d->ready && d->carried == d->n_groups);
}

/* ---- groups ---- */

static bool all_or_nothing(struct direct *d)
{
    size_t unreachable = 0;
    for (size_t i = 0; i < d->n_domains; i++)
        unreachable += err_is_set(&d->found[i].err);
    if (!d->p->account->all_or_nothing || d->n_groups == 0 || (d->n_groups == 1 && unreachable == 0))
        return true;
    if (unreachable > 0)
        err_set(&d->err, FAULT_UNAVAILABLE, "not every recipient can be reached, so nobody gets the message");
    else
        err_set(&d->err, FAULT_UNAVAILABLE, "the recipients are on %zu servers, so all or nothing cannot be promised",
                d->n_groups);
    return err_hint(&d->err, "send to fewer, or without 'all_or_nothing'");
}

/* In the order of the envelope. */
static void fill_groups(struct direct *d, const size_t *group_of)
{
    size_t *of = xcalloc(d->p->env->n + 1, sizeof *of);
    for (size_t i = 0; i < d->n_domains; i++) {
        struct group *g = group_of[i] != SIZE_MAX ? &d->groups[group_of[i]] : NULL;
        for (size_t k = 0; k < d->domains[i].n; k++)
            of[d->domains[i].at[k]] = group_of[i];
        if (!g)
            continue;
        g->n += d->domains[i].n;
        if (!g->first)
            g->first = &d->found[i];
    }
    for (size_t i = 0; i < d->n_groups; i++) {
        d->groups[i].at = xcalloc(d->groups[i].n, sizeof *d->groups[i].at);
        d->groups[i].n = 0;
    }
    for (size_t i = 0; i < d->p->env->n; i++)
        if (of[i] != SIZE_MAX)
            d->groups[of[i]].at[d->groups[of[i]].n++] = i;
    free(of);
}

/* One group, and nobody else to go to when the connection is lost in the midst of the message. */
static bool is_read_once(const struct direct *d)
{
    return d->n_groups == 0 || (d->n_groups == 1 && d->groups[0].route.n < 2);
}

static void form_groups(struct direct *d)
{
    size_t *group_of = xcalloc(d->n_domains + 1, sizeof *group_of);
    const struct destination **v = xcalloc(d->n_domains + 1, sizeof(const struct destination *));
    for (size_t i = 0; i < d->n_domains; i++)
        v[i] = &d->found[i];
    d->n_groups = grouping_groups(v, d->n_domains, group_of);
    d->groups = xcalloc(d->n_groups + 1, sizeof *d->groups);
    fill_groups(d, group_of);
    for (size_t i = 0; i < d->n_groups; i++) {
        struct group *g = &d->groups[i];
        envelope_pick(&g->env, d->p->env, g->at, g->n);
        route_exchangers(&g->route, d->p->account, g->first);
    }
    free(v);
    free(group_of);
    d->ready = all_or_nothing(d) && (is_read_once(d) || d->p->message->complete);
}

static void group_begin(struct direct *d, struct group *g)
{
    const bool alone = d->n_groups == 1;
    if (!alone)
        message_share(&g->message, d->p->message);
    const struct relay_params params = {
        .account = d->p->account,
        .route = &g->route,
        .env = &g->env,
        .message = alone ? d->p->message : &g->message,
        .credentials = d->credentials,
        .hub = d->p->hub,
        .connections = &d->connections,
        .deadline = d->deadline,
    };
    g->relay = relay_new(&params);
}

/* Who answered for whom, for the report. */
static void keep_ways(const struct direct *d, const struct group *g, const struct relay_end *end)
{
    for (size_t i = 0; i < g->n; i++) {
        struct report_way *way = &d->report->ways[g->at[i]];
        const bool answered = end->over[i] != SIZE_MAX;
        const struct hop *hop = &g->route.v[answered ? end->over[i] : end->hop];
        struct buf pair = BUF_INIT;
        *way = (struct report_way){ .host = xstrdup(hop->host) };
        if (!answered)
            continue;
        policy_pair(hop->wanted, hop->got, &pair);
        d->report->tls &= hop->got != LEVEL_NONE;
        way->policy = buf_steal(&pair);
        way->queue_id = g->env.rcpts[i].fate == RCPT_ACCEPTED ? xstrdup(hop->queue_id) : NULL;
    }
}

static void group_end(struct direct *d, struct group *g)
{
    struct relay_end end;
    relay_take(g->relay, &end);
    relay_free(g->relay);
    g->relay = NULL;
    keep_ways(d, g, &end);
    for (size_t i = 0; i < g->n && err_is_set(&end.err); i++)
        if (g->env.rcpts[i].reply.code == 0 && g->env.rcpts[i].fate != RCPT_UNCERTAIN)
            unserved_settle(&g->env.rcpts[i], &end.err, NULL);
    envelope_put_back(d->p->env, &g->env, g->at);
    d->report->octets = end.octets;
    g->hop = end.hop;
    err_move(&g->err, &end.err);
    relay_end_free(&end);
    message_free(&g->message);
    d->carried++;
}

/* ---- looking up ---- */

/* One domain after another. */
struct seeker {
    struct task task;
    struct direct *d;
    struct destination_query *query; /* own; NULL: none under way */
    size_t at;
};

static void look_up(struct seeker *s)
{
    struct direct *d = s->d;
    s->at = d->next_domain++;
    struct destination_params params = destination_params_of(d->p->account, d->domains[s->at].name);
    params.dns = d->dns;
    params.own = &d->own;
    params.tls_not_required = message_tls_not_required(d->p->message);
    params.deadline = d->look_up_by;
    params.hub = d->p->hub;
    s->query = destination_start(&params);
}

/* Nobody can be asked; the recipients hear it now. */
static void settle_unreachable(const struct direct *d, size_t at)
{
    const struct destination *found = &d->found[at];
    for (size_t i = 0; i < d->domains[at].n && err_is_set(&found->err); i++)
        unserved_settle(&d->p->env->rcpts[d->domains[at].at[i]], &found->err, found->enhanced);
}

static bool seek(struct task *t)
{
    struct seeker *s = (struct seeker *)t;
    struct direct *d = s->d;
    for (;;) {
        if (!s->query && d->next_domain == d->n_domains)
            return true;
        if (!s->query)
            look_up(s);
        struct task *task = destination_task(s->query);
        if (!task->step(task))
            return false;
        destination_take(s->query, &d->found[s->at]);
        destination_query_free(s->query);
        s->query = NULL;
        if (d->found[s->at].n == 0)
            err_set(&d->found[s->at].err, FAULT_SOFTWARE, "no mail exchanger of '%s' is left", d->domains[s->at].name);
        settle_unreachable(d, s->at);
        if (++d->looked_up == d->n_domains)
            form_groups(d);
    }
}

static void seeker_waits(const struct task *t, struct pollset *ps)
{
    const struct task *task = destination_task(((const struct seeker *)t)->query);
    task->waits(task, ps);
}

/* ---- the message, as often as it is needed ---- */

static bool source_waits(const struct message *m)
{
    struct pollfd p = { .fd = message_source_fd(m), .events = POLLIN };
    return p.fd >= 0 && poll(&p, 1, 0) == 0;
}

/* Several groups read it side by side, or several exchangers one after another: what is not held yet is kept. */
static void spool(struct direct *d)
{
    struct message *m = d->p->message;
    for (int turn = 0; turn < TURNS && !m->complete && !err_is_set(&d->err) && !source_waits(m); turn++)
        message_spool_step(m, &d->err);
    if (!m->complete && clock_now() >= d->deadline) {
        err_set(&d->err, FAULT_TIMEOUT, "the deadline for the whole run passed before the message had come");
        err_hint(&d->err, "'deadline' sets how long a run may take");
    }
    d->ready = m->complete && !err_is_set(&d->err);
}

static void spool_waits(const struct direct *d, struct pollset *ps)
{
    if (source_waits(d->p->message))
        pollset_add(ps, message_source_fd(d->p->message), POLLIN);
    else
        pollset_until(ps, 0);
    pollset_until(ps, d->deadline);
}

/* ---- carrying ---- */

/* One group after another. */
struct carrier {
    struct task task;
    struct direct *d;
    struct group *group; /* borrowed; NULL: none under way */
    bool first, turned;
};

static bool carry(struct task *t)
{
    struct carrier *c = (struct carrier *)t;
    struct direct *d = c->d;
    c->turned = false;
    if (d->looked_up == d->n_domains && !d->ready && !err_is_set(&d->err) && c->first)
        spool(d);
    if (err_is_set(&d->err))
        return true;
    for (int turn = 0; d->ready && turn < TURNS; turn++) {
        if (!c->group && d->next_group == d->n_groups)
            return true;
        if (!c->group) {
            c->group = &d->groups[d->next_group++];
            group_begin(d, c->group);
        }
        struct task *task = relay_task(c->group->relay);
        if (!task->step(task))
            return false;
        group_end(d, c->group);
        c->group = NULL;
    }
    c->turned = d->ready;
    return false;
}

static void carrier_waits(const struct task *t, struct pollset *ps)
{
    const struct carrier *c = (const struct carrier *)t;
    const struct direct *d = c->d;
    if (c->turned || ((d->ready || err_is_set(&d->err)) && !c->group))
        pollset_until(ps, 0);
    else if (c->group)
        relay_task(c->group->relay)->waits(relay_task(c->group->relay), ps);
    else if (c->first && d->looked_up == d->n_domains)
        spool_waits(d, ps);
}

/* ---- beside it ---- */

/* Is our own name in order? Nobody waits for the answer. */
struct beside {
    struct task task;
    struct direct *d;
    struct identity *identity;
};

static bool ask_beside(struct task *t)
{
    struct beside *b = (struct beside *)t;
    struct task *task = identity_task(b->identity);
    return is_over(b->d) || task->step(task);
}

static void beside_waits(const struct task *t, struct pollset *ps)
{
    const struct beside *b = (const struct beside *)t;
    const struct task *task = identity_task(b->identity);
    if (is_over(b->d))
        pollset_until(ps, 0);
    else
        task->waits(task, ps);
}

/* ---- the run ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void interrupted(struct direct *d, int signal_number)
{
    deliver_interrupted(signal_number, &d->err);
    for (size_t i = 0; i < d->n_groups; i++) {
        if (!d->groups[i].relay)
            continue;
        struct err e = ERR_INIT;
        err_copy(&e, &d->err);
        relay_abort(d->groups[i].relay, &e);
        err_clear(&e);
        group_end(d, &d->groups[i]);
    }
}

static void run(struct direct *d)
{
    const size_t seekers = least(d->n_domains, LOOKUPS_AT_ONCE), carriers = least(d->n_domains, RELAYS_AT_ONCE);
    struct seeker *seeker = xcalloc(seekers + 1, sizeof *seeker);
    struct carrier *carrier = xcalloc(carriers + 1, sizeof *carrier);
    struct task **tasks = xcalloc(seekers + carriers + 1, sizeof *tasks);
    const struct identity_params ours = { .dns = d->dns, .domain = d->p->account->domain, .hub = d->p->hub,
                                          .address = d->p->account->source_ip,
                                          .deadline = d->deadline };
    struct beside beside = { { ask_beside, beside_waits }, d, identity_new(&ours) };
    size_t n = 0;
    int number = 0;
    for (size_t i = 0; i < seekers; i++) {
        seeker[i] = (struct seeker){ .task = { seek, seeker_waits }, .d = d };
        tasks[n++] = &seeker[i].task;
    }
    for (size_t i = 0; i < carriers; i++) {
        carrier[i] = (struct carrier){ .task = { carry, carrier_waits }, .d = d, .first = i == 0 };
        tasks[n++] = &carrier[i].task;
    }
    tasks[n++] = &beside.task;
    if (!loop_run(tasks, n, &number))
        interrupted(d, number);
    for (size_t i = 0; i < seekers; i++)
        destination_query_free(seeker[i].query);
    identity_free(beside.identity);
    free(tasks);
    free(carrier);
    free(seeker);
}

/* ---- what kept everybody from getting it ---- */

/* One destination or group after another; NULL: nothing failed there, beyond what the fates say. */
static const struct err *failure_at(const struct direct *d, size_t i)
{
    const struct err *e = i < d->n_domains ? &d->found[i].err : &d->groups[i - d->n_domains].err;
    return err_is_set(e) ? e : NULL;
}

static bool is_alike(const struct err *a, const struct err *b)
{
    return a->fault == b->fault || (route_was_cut(a) && route_was_cut(b));
}

/* The failure that all have in common, the first of them; NULL: there is none. */
static const struct err *common_failure(const struct direct *d)
{
    const struct err *first = NULL;
    for (size_t i = 0; i < d->n_domains + d->n_groups; i++) {
        const struct err *e = failure_at(d, i);
        bool counts = i >= d->n_domains || e;
        if (counts && (!e || (first && !is_alike(first, e))))
            return NULL;
        if (counts && !first)
            first = e;
    }
    return first;
}

/* Where no group came as far as a connection, the first is looked into: port 25 is often blocked, for all alike. */
static void look_into(const struct direct *d, struct err *failure)
{
    for (size_t i = 0; i < d->n_groups; i++)
        if (!route_was_cut(&d->groups[i].err))
            return;
    if (d->n_groups > 0)
        postmortem(d->p->account, &d->groups[0].route.v[d->groups[0].hop], d->deadline, failure);
}

static void judge(const struct direct *d, struct err *failure)
{
    size_t ends = d->n_groups;
    for (size_t i = 0; i < d->n_domains; i++)
        ends += err_is_set(&d->found[i].err);
    const struct err *common = common_failure(d);
    if (err_is_set(&d->err)) {
        err_copy(failure, &d->err);
    } else if (common && envelope_count(d->p->env, RCPT_ACCEPTED) == 0) {
        if (ends > 1)
            report_fates(d->p->env, common->fault, failure);
        else
            err_copy(failure, common);
        failure->stage = common->stage;
        if (common->hint)
            err_hint(failure, "%s", common->hint);
        look_into(d, failure);
    }
}

/* A mistake that needs no connection to be found must not cost one. */
static bool prepare(struct direct *d)
{
    const struct account *a = d->p->account;
    const struct hop any = { .host = a->host, .exchanger = true, .wanted = LEVEL_FINGERPRINT };
    const struct tls_params tls = deliver_tls_params(a, &any, d->credentials);
    const struct dns_params dns = { .server = a->dns_server, .validate = a->dnssec, .anchor = a->dns_anchor };
    if (a->tls != ACCOUNT_TLS_OFF && !tls_params_check(&tls, &d->err))
        return false;
    own_addresses(&d->own);
    d->dns = dns_new(&dns, &d->err);
    return d->dns;
}

static void direct_free(struct direct *d)
{
    for (size_t i = 0; i < d->n_groups; i++) {
        struct group *g = &d->groups[i];
        relay_free(g->relay);
        message_free(&g->message);
        route_free(&g->route);
        envelope_free(&g->env);
        err_clear(&g->err);
        free(g->at);
    }
    for (size_t i = 0; i < d->n_domains; i++) {
        destination_free(&d->found[i]);
        free(d->domains[i].at);
    }
    free(d->groups);
    free(d->found);
    free(d->domains);
    strlist_free(&d->own);
    dns_free(d->dns);
    err_clear(&d->err);
}

/* Half of what is left: one domain whose name servers are silent would else leave no time for the others. */
static usec half_way(usec deadline)
{
    const usec now = clock_now();
    return deadline == USEC_NEVER ? USEC_NEVER : now + (deadline - now) / 2;
}

void direct_deliver(const struct submit_params *p, struct credentials *c, usec deadline, struct report_params *report,
                    struct err *failure)
{
    struct direct d = { .p = p, .credentials = c, .report = report, .deadline = deadline,
                        .look_up_by = half_way(deadline) };
    d.domains = grouping_domains(p->env, &d.n_domains);
    d.found = xcalloc(d.n_domains + 1, sizeof *d.found);
    report->ways = xcalloc(p->env->n + 1, sizeof *report->ways);
    report->port = (int)p->account->port;
    report->tls = true;
    if (prepare(&d))
        run(&d);
    report->tls &= d.connections > 0;
    judge(&d, failure);
    direct_free(&d);
}
