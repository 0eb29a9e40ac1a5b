/* survey: everything at once, in one task of the loop: the destination; as soon as its hosts are known a look at each
 * address, so many at a time, and what each is called; besides TLSRPT and SPF. It judges nothing. */
#include "send/survey.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mail/address.h"
#include "net/own.h"
#include "send/credentials.h"
#include "send/deliver.h"
#include "send/sight.h"

enum {
    LOOKS_AT_ONCE = 12,
    PTR_NAMES_MAX = 5, /* of one address that are looked at */
    USAGE_ISSUER = 2,  /* a TLSA record's: DANE-TA */
};
static const usec WHOLE = 30 * USEC_PER_SEC, CONNECT = 10 * USEC_PER_SEC, LOOK = 20 * USEC_PER_SEC;

struct pointer {
    size_t host, address;
    struct dns_question *names;                     /* own */
    struct dns_question *addresses[PTR_NAMES_MAX];  /* own; of each name */
    bool over;
};

struct watch {
    size_t host, address;
    bool dane;
    struct sighting *sighting; /* own; NULL: not begun, or over */
    bool begun;
};

struct surveying {
    struct task task;
    const struct survey_params *p;
    struct survey *s;
    struct hub *hub;
    struct dns *dns;                    /* own */
    struct strlist own;                 /* own: addresses of this machine */
    struct destination_query *query;    /* own; NULL: over */
    struct dns_question *tlsrpt;        /* own; NULL: not asked */
    bool tlsrpt_over;
    struct pointer *pointers;           /* own */
    size_t n_pointers;
    bool asks;                          /* TLSRPT or a pointer waits for an answer */
    struct watch *watches;              /* own */
    size_t n_watches;
    struct spf *spf;                    /* own; NULL: not begun, or over */
    bool spf_over;
    struct credentials credentials;
    struct strlist names;               /* of the destination, which TLSA records of usage 2 accept */
    usec look_up_by, deadline; /* the rest is for the hosts; the end */
};

/* ---- data ---- */

const char *survey_ptr_word(enum survey_ptr ptr)
{
    static const char *const words[] = {
        [PTR_UNKNOWN] = "unknown", [PTR_ABSENT] = "absent", [PTR_ASTRAY] = "astray", [PTR_GOOD] = "good",
    };
    return words[ptr];
}

const struct sight *survey_look(const struct survey *s, size_t place)
{
    return place > 0 && place <= s->looks.n_sights ? &s->looks.sights[place - 1] : NULL;
}

void survey_free(struct survey *s)
{
    for (size_t i = 0; s->hosts && i < s->destination.n; i++) {
        for (size_t k = 0; k < s->hosts[i].n; k++) {
            free(s->hosts[i].v[k].address);
            free(s->hosts[i].v[k].ptr_name);
        }
        free(s->hosts[i].v);
        free(s->hosts[i].tlsa);
    }
    free(s->hosts);
    destination_free(&s->destination);
    scene_free(&s->looks);
    strlist_free(&s->tlsrpt_to);
    free(s->spf.domain);
    free(s->spf.address);
    free(s->spf.why_not);
    spf_verdict_free(&s->spf.verdict);
    free(s->name);
    *s = (struct survey){ 0 };
}

/* ---- the hosts, once they are known ---- */

static void watch_address(struct surveying *g, size_t host, size_t address, bool dane)
{
    g->watches = xrealloc(g->watches, (g->n_watches + 1) * sizeof *g->watches);
    g->watches[g->n_watches++] = (struct watch){ .host = host, .address = address, .dane = dane };
}

static void ask_pointer(struct surveying *g, size_t host, size_t address)
{
    struct buf name = BUF_INIT;
    if (dns_reverse_name(&name, g->s->hosts[host].v[address].address)) {
        g->pointers = xrealloc(g->pointers, (g->n_pointers + 1) * sizeof *g->pointers);
        g->pointers[g->n_pointers++] = (struct pointer){ .host = host, .address = address,
                                                         .names = dns_ask(g->dns, name.data, DNS_PTR) };
    }
    buf_free(&name);
}

static void take_host(struct surveying *g, size_t i)
{
    const struct destination_host *d = &g->s->destination.v[i];
    struct survey_host *h = &g->s->hosts[i];
    h->n = d->addresses.n;
    h->v = xcalloc(h->n + 1, sizeof *h->v);
    if (d->tlsa_answer.n > 0)
        h->tlsa = xcalloc(d->tlsa_answer.n, sizeof *h->tlsa);
    for (size_t k = 0; k < h->n; k++) {
        h->v[k].address = xstrdup(d->addresses.v[k]);
        ask_pointer(g, i, k);
        if (g->p->connect)
            watch_address(g, i, k, false);
        if (g->p->connect && d->tlsa == TLSA_USABLE)
            watch_address(g, i, k, true);
    }
}

static void take_destination(struct surveying *g)
{
    struct destination *d = &g->s->destination;
    destination_take(g->query, d);
    destination_query_free(g->query);
    g->query = NULL;
    g->s->hosts = xcalloc(d->n + 1, sizeof *g->s->hosts);
    destination_names(d, &g->names);
    for (size_t i = 0; i < d->n; i++)
        take_host(g, i);
}

/* ---- looks ---- */

static void begin_look(struct surveying *g, struct watch *w)
{
    const struct destination_host *d = &g->s->destination.v[w->host];
    struct survey_address *a = &g->s->hosts[w->host].v[w->address];
    const usec now = clock_now();
    const enum tls_level otherwise = d->decision.wanted == LEVEL_FINGERPRINT ? LEVEL_FINGERPRINT : LEVEL_VERIFY;
    const struct sight_params p = {
        .scene = &g->s->looks,
        .account = g->p->account,
        .credentials = &g->credentials,
        .hub = g->hub,
        .role = SIGHT_CONFIGURED,
        .host = w->dane && d->tlsa_name ? d->tlsa_name : d->name,
        .address = a->address,
        .port = g->s->port,
        .exchanger = true,
        .wanted = w->dane ? LEVEL_DANE : otherwise,
        .tlsa = &d->tlsa_answer,
        .names = &g->names,
        .keep_chain = !w->dane,
        .connect_by = usec_min(g->deadline, now + CONNECT),
        .deadline = usec_min(g->deadline, now + LOOK),
    };
    w->begun = true;
    w->sighting = sight_start(&p);
    *(w->dane ? &a->dane_look : &a->look) = g->s->looks.n_sights;
}

static void match_records(struct surveying *g, const struct watch *w)
{
    const struct destination_host *d = &g->s->destination.v[w->host];
    enum survey_match *found = g->s->hosts[w->host].tlsa;
    const struct sight *v = survey_look(g->s, g->s->hosts[w->host].v[w->address].look);
    for (size_t i = 0; !w->dane && v && v->tls.chain.n > 0 && i < d->tlsa_answer.n; i++) {
        const struct dns_record *r = &d->tlsa_answer.v[i];
        bool matches = false;
        for (size_t k = 0; k < v->tls.chain.n && (k == 0 || r->usage == USAGE_ISSUER); k++)
            matches |= tls_tlsa_matches(r, v->tls.chain.v[k]);
        const bool whole = r->usage == USAGE_ISSUER && r->matching == 0; /* may be one that the host does not send */
        if (found[i] != SURVEY_MATCH_YES && (matches || !whole))
            found[i] = matches ? SURVEY_MATCH_YES : SURVEY_MATCH_NO;
    }
}

/* true: something came to its end, or began. */
static bool step_looks(struct surveying *g)
{
    size_t at_once = 0;
    bool moved = false;
    for (size_t i = 0; i < g->n_watches; i++) {
        struct watch *w = &g->watches[i];
        if (!w->begun && at_once < LOOKS_AT_ONCE && clock_now() < g->deadline) {
            begin_look(g, w);
            moved = true;
        }
        if (w->sighting && sight_task(w->sighting)->step(sight_task(w->sighting))) {
            sight_stop(w->sighting);
            w->sighting = NULL;
            match_records(g, w);
            moved = true;
        }
        at_once += w->sighting != NULL;
    }
    return moved;
}

static bool looks_are_over(const struct surveying *g)
{
    for (size_t i = 0; i < g->n_watches; i++)
        if (!g->watches[i].begun || g->watches[i].sighting)
            return false;
    return !g->query;
}

/* ---- what addresses are called ---- */

static bool leads_back(const struct dns_answer *a, const char *address)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->v[i].text, address) == 0)
            return true;
    return false;
}

static bool step_pointer(struct surveying *g, struct pointer *q)
{
    struct survey_address *to = &g->s->hosts[q->host].v[q->address];
    const enum dns_type type = strchr(to->address, ':') ? DNS_AAAA : DNS_A;
    const struct dns_answer *names = dns_answer(q->names, g->deadline);
    if (!names)
        return false;
    if (names->status != DNS_FOUND) {
        to->ptr = names->status == DNS_NO_DATA || names->status == DNS_NO_NAME ? PTR_ABSENT : PTR_UNKNOWN;
        return true;
    }
    bool all = true;
    for (size_t i = 0; i < names->n && i < PTR_NAMES_MAX; i++) {
        if (!q->addresses[i])
            q->addresses[i] = dns_ask(g->dns, names->v[i].text, type);
        const struct dns_answer *a = dns_answer(q->addresses[i], g->deadline);
        all &= a != NULL;
        if (!a || to->ptr == PTR_GOOD || !leads_back(a, to->address))
            continue;
        to->ptr = PTR_GOOD;
        to->ptr_name = xstrdup(names->v[i].text);
    }
    if (all && to->ptr != PTR_GOOD) {
        to->ptr = PTR_ASTRAY;
        to->ptr_name = xstrdup(names->v[0].text);
    }
    return all;
}

static bool step_pointers(struct surveying *g)
{
    bool all = true;
    for (size_t i = 0; i < g->n_pointers; i++) {
        struct pointer *q = &g->pointers[i];
        q->over = q->over || step_pointer(g, q);
        all &= q->over;
    }
    return all;
}

/* ---- TLSRPT ---- */

static bool step_tlsrpt(struct surveying *g)
{
    const struct dns_answer *a = g->tlsrpt && !g->tlsrpt_over ? dns_answer(g->tlsrpt, g->deadline) : NULL;
    if (a) {
        g->s->tlsrpt = tlsrpt_read(a, &g->s->tlsrpt_to);
        g->tlsrpt_over = true;
    }
    return !g->tlsrpt || g->tlsrpt_over;
}

/* ---- SPF of the sender's domain ---- */

static bool no_spf(struct surveying *g, char *why)
{
    g->s->spf.asked = SURVEY_SPF_NOT_JUDGED;
    g->s->spf.why_not = why;
    g->spf_over = true;
    return true;
}

/* As receivers see us. NULL: not known yet. */
static const char *own_address(const struct surveying *g)
{
    if (g->p->ip || g->p->account->source_ip)
        return g->p->ip ? g->p->ip : g->p->account->source_ip;
    for (size_t i = 0; i < g->s->looks.n_sights; i++)
        if (g->s->looks.sights[i].local)
            return g->s->looks.sights[i].local;
    return NULL;
}

static bool begin_spf(struct surveying *g, const char *address)
{
    const char *at = strrchr(g->p->from, '@'), *name = at ? at + 1 : g->p->from;
    struct buf domain = BUF_INIT;
    struct err e = ERR_INIT;
    g->s->spf.address = xstrdup(address);
    if (!domain_to_ascii(name, &domain, &e)) {
        no_spf(g, xstrdup(e.text));
    } else {
        char *sender = at ? xasprintf("%.*s@%s", (int)(at - g->p->from), g->p->from, domain.data) : NULL;
        g->s->spf.domain = xstrdup(domain.data);
        const struct spf_params p = { .dns = g->dns, .ip = address, .domain = domain.data, .sender = sender,
                                      .helo = g->p->account->domain, .deadline = g->deadline };
        g->spf = spf_start(&p);
        free(sender);
    }
    err_clear(&e);
    buf_free(&domain);
    return false;
}

static bool step_spf(struct surveying *g)
{
    if (g->spf_over || !g->p->from)
        return true;
    if (!g->spf) {
        const char *address = own_address(g);
        if (!address && !looks_are_over(g))
            return false;
        if (!address)
            return no_spf(g, xstrdup("there was no connection to tell our address; '--ip ADDRESS' names it"));
        if (!g->p->ip && !own_is_public(address))
            return no_spf(g, xasprintf("our address '%s' is not a public one, and receivers see another; "
                                       "'--ip ADDRESS' names it", address));
        begin_spf(g, address);
    }
    if (!g->spf || !spf_step(g->spf, &g->s->spf.verdict))
        return g->spf_over;
    spf_free(g->spf);
    g->spf = NULL;
    g->s->spf.asked = SURVEY_SPF_JUDGED;
    g->spf_over = true;
    return true;
}

/* ---- the task ---- */

static bool step(struct task *t)
{
    struct surveying *g = (struct surveying *)t;
    if (g->query && destination_task(g->query)->step(destination_task(g->query)))
        take_destination(g);
    if (clock_now() >= g->deadline)
        for (size_t i = 0; i < g->n_watches; i++)
            if (g->watches[i].sighting)
                sight_expire(g->watches[i].sighting);
    while (step_looks(g)) /* what has just begun may be over at once */
        ;
    bool pointers = step_pointers(g), tlsrpt = step_tlsrpt(g), spf = step_spf(g);
    g->asks = !pointers || !tlsrpt;
    return !g->asks && spf && !g->query && (looks_are_over(g) || clock_now() >= g->deadline);
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct surveying *g = (const struct surveying *)t;
    if (g->query)
        destination_task(g->query)->waits(destination_task(g->query), ps);
    for (size_t i = 0; i < g->n_watches; i++)
        if (g->watches[i].sighting)
            sight_task(g->watches[i].sighting)->waits(sight_task(g->watches[i].sighting), ps);
    if (g->spf)
        spf_waits(g->spf, ps);
    if (g->asks)
        dns_waits(g->dns, ps);
    pollset_until(ps, g->deadline);
}

static void clean_up(struct surveying *g)
{
    for (size_t i = 0; i < g->n_watches; i++)
        sight_stop(g->watches[i].sighting);
    free(g->watches);
    for (size_t i = 0; i < g->n_pointers; i++) {
        dns_question_free(g->pointers[i].names);
        for (size_t k = 0; k < PTR_NAMES_MAX; k++)
            dns_question_free(g->pointers[i].addresses[k]);
    }
    free(g->pointers);
    destination_query_free(g->query);
    dns_question_free(g->tlsrpt);
    spf_free(g->spf);
    strlist_free(&g->names);
    strlist_free(&g->own);
    credentials_free(&g->credentials);
    dns_free(g->dns);
}

/* ---- the question ---- */

static void ask_tlsrpt(struct surveying *g, const char *domain)
{
    struct buf name = BUF_INIT;
    struct err e = ERR_INIT;
    buf_adds(&name, "_smtp._tls.");
    if (domain[0] != '[' && domain_to_ascii(domain, &name, &e))
        g->tlsrpt = dns_ask(g->dns, name.data, DNS_TXT);
    err_clear(&e);
    buf_free(&name);
}

static void ask(struct surveying *g, const char *domain)
{
    struct destination_params p = destination_params_of(g->p->account, domain);
    own_addresses(&g->own);
    p.dns = g->dns;
    p.own = &g->own;
    p.all = true;
    p.deadline = g->look_up_by;
    p.hub = g->hub;
    g->query = destination_start(&p);
    ask_tlsrpt(g, domain);
}

static bool run(struct surveying *g, struct err *e)
{
    struct task *task = &g->task;
    int number = 0;
    if (loop_run(&task, 1, &number))
        return true;
    deliver_interrupted(number, e);
    return false;
}

bool survey(const struct survey_params *p, struct survey *s, struct err *e)
{
    const struct account *a = p->account;
    const struct dns_params dns = { .server = a->dns_server, .validate = a->dnssec, .anchor = a->dns_anchor };
    const char *at = strrchr(p->name, '@');
    const usec start = clock_now(), whole = p->whole > 0 ? p->whole : WHOLE;
    struct hub own;
    struct surveying g = { .task = { step, waits }, .p = p, .s = s,
                           .look_up_by = start + whole / 2, .deadline = start + whole };
    g.dns = dns_new(&dns, e);
    if (!g.dns)
        return false;
    *s = (struct survey){ .name = xstrdup(p->name), .port = (int)a->port, .connect = p->connect, .now = time(NULL) };
    hub_init(&own);
    g.hub = p->hub ? p->hub : &own;
    hub_listen(g.hub, SIGHT_EVENTS, sight_event, &s->looks);
    credentials_init(&g.credentials, a, g.hub, g.deadline);
    ask(&g, at ? at + 1 : p->name);
    bool ok = run(&g, e);
    s->took = clock_now() - start;
    clean_up(&g);
    hub_unlisten(g.hub, &s->looks);
    hub_free(&own);
    return ok;
}
