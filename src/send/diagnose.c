/* diagnose: what to try next, from what is known. All that is under way, is under way at once, in one task of the
 * loop; rules look at the scene each time something has changed. A rule that wants an attempt looks first whether
 * it was made. */
#include "send/diagnose.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/ascii.h"
#include "net/dial.h"
#include "net/ladder.h"
#include "net/resolve.h"
#include "send/lookup.h"
#include "send/machine.h"
#include "send/route.h"
#include "send/sight.h"
#include "send/target.h"

#define MS(n) ((n) * USEC_PER_SEC / 1000)
#define IMPOSSIBLE "www.envoi-%08x%08x.com." /* the final dot keeps search domains away */
#define KNOWN "a.root-servers.net."

enum {
    PORT_CONTROL = 443,
    ADDRESSES_MAX = 8,       /* of a family, on the configured port */
    ADDRESSES_ALL_PORTS = 3, /* … and on all: a diagnosis should not look like an attack */
    MSS_SMALL = 1200,        /* what most tunnels carry */
    MSS_SMALLEST = 536,      /* what every path of IPv4 carries (RFC 9293 3.7.1) */
};

static const struct {
    int port;
    bool implicit;
} mail_ports[] = { { 465, true }, { 587, false }, { 2525, false }, { 25, false } };
enum { MAIL_PORTS = sizeof mail_ports / sizeof *mail_ports };

struct pace {
    usec whole;   /* all of it */
    usec other;   /* a port that was not asked for: a pause of 6 s before the greeting is customary */
    usec lookup;  /* a name not found by then is not found */
    usec connect; /* an address that has not answered by then is silent */
    usec suspect; /* … and begins to look so */
    usec hang;    /* a connection on which nothing comes for so long begins to look dead */
    usec rescued; /* … and is, when meanwhile another way was found */
    usec ladder;
    usec linger;  /* for ports that are not needed, when the configured one is good */
};

static const struct pace thorough = {
    .whole = MS(11500), .other = MS(7500), .lookup = MS(6000), .connect = MS(3500), .suspect = MS(1500),
    .hang = MS(2500), .rescued = MS(5000), .ladder = MS(2500), .linger = MS(700),
};
static const struct pace brief = {
    .whole = MS(2900), .other = MS(2900), .lookup = MS(2000), .connect = MS(1500), .suspect = MS(700),
    .hang = MS(1000), .rescued = MS(1500), .ladder = MS(1300), .linger = MS(0),
};

/* Rules on the time that something has taken are looked at so often. */
static const usec TICK = MS(50);

enum { HOST_V4, HOST_V6, IMPOSSIBLE_NAME, KNOWN_NAME, CONTROL_V4, CONTROL_V6, QUESTIONS };

struct question {
    struct asking *asking; /* own; NULL: not asked */
    struct lookup *answer; /* of the scene, or `other` */
    struct lookup other;
    bool over;
};

struct climb {
    struct ladder *ladder; /* own; NULL: over */
    size_t index;          /* in the scene */
};

struct diagnosis {
    struct task task;
    const struct diagnose_params *p;
    const struct pace *pace;
    struct scene *s;
    struct hub *hub;
    struct credentials credentials;
    usec start, deadline;
    usec looking;                /* since when the host is looked at */
    struct question questions[QUESTIONS];
    struct sighting **sightings; /* own, n of them; NULL: over */
    size_t n;
    struct climb *climbs;        /* own */
    size_t n_climbs;
};

/* ---- beginning one thing ---- */

static void ask(struct diagnosis *d, int which, struct lookup *answer, const char *name, int family)
{
    struct question *q = &d->questions[which];
    q->answer = answer;
    q->asking = lookup_start(answer, name, family, usec_min(d->deadline, clock_now() + d->pace->lookup));
}

static void look(struct diagnosis *d, struct sight like)
{
    const usec now = clock_now();
    const bool to_the_end = like.role == SIGHT_CONFIGURED && !like.crossed;
    const struct sight_params p = {
        .scene = d->s,
        .account = d->p->account,
        .credentials = &d->credentials,
        .hub = d->hub,
        .role = like.role,
        .host = like.host,
        .address = like.address,
        .port = like.port,
        .implicit = like.implicit,
        .crossed = like.crossed,
        .mss = like.mss,
        .reach_only = like.reach_only,
        .connect_by = usec_min(d->deadline, now + d->pace->connect),
        .deadline = to_the_end ? d->deadline : usec_min(d->deadline, now + d->pace->other),
    };
    if (d->n == 0)
        d->looking = now;
    d->sightings = xrealloc(d->sightings, (d->n + 1) * sizeof(struct sighting *));
    d->sightings[d->n++] = sight_start(&p);
}

static void climb(struct diagnosis *d, const struct sight *v)
{
    struct addrinfo *a = resolve_numeric(v->address, v->port, AF_UNSPEC);
    if (!a)
        return;
    const struct ladder_params p = {
        .address = a->ai_addr,
        .len = a->ai_addrlen,
        .port = v->port,
        .source_ip = d->p->account->source_ip,
        .deadline = usec_min(d->deadline, clock_now() + d->pace->ladder),
    };
    struct scene_ladder *l = scene_add_ladder(d->s);
    *l = (struct scene_ladder){ .address = xstrdup(v->address), .family = v->family, .port = v->port };
    d->climbs = xrealloc(d->climbs, (d->n_climbs + 1) * sizeof *d->climbs);
    d->climbs[d->n_climbs++] = (struct climb){ .ladder = ladder_new(&p), .index = d->s->n_ladders - 1 };
    freeaddrinfo(a);
}

/* ---- what was tried ---- */

static const struct sight *tried(const struct scene *s, const struct sight *like)
{
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        bool same = v->address && strcmp(v->address, like->address) == 0 && v->port == like->port;
        if (same && v->crossed == like->crossed && v->mss == like->mss && (v->done || v->role == like->role))
            return v;
    }
    return NULL;
}

static void look_once(struct diagnosis *d, struct sight like)
{
    if (!tried(d->s, &like))
        look(d, like);
}

/* One address of a family is enough. */
static bool climbed(const struct scene *s, int family)
{
    for (size_t i = 0; i < s->n_ladders; i++)
        if (s->ladders[i].family == family)
            return true;
    return false;
}

/* ---- the addresses ---- */

static void look_at_host(struct diagnosis *d, const char *address, bool all_ports)
{
    const struct scene_question *q = &d->s->question;
    struct sight v = { .role = SIGHT_CONFIGURED, .host = q->host, .address = (char *)address, .port = q->port,
                       .implicit = q->tls == SESSION_TLS_IMPLICIT };
    look_once(d, v);
    v.role = SIGHT_OTHER_PORT;
    for (int i = 0; all_ports && i < MAIL_PORTS; i++)
        if (mail_ports[i].port != q->port) {
            v.port = mail_ports[i].port;
            v.implicit = mail_ports[i].implicit;
            look_once(d, v);
        }
    if (all_ports && q->port != PORT_CONTROL)
        look_once(d, (struct sight){ .role = SIGHT_CONTROL_PORT, .host = q->host, .address = (char *)address,
                                     .port = PORT_CONTROL, .reach_only = true });
}

static void look_at_control(struct diagnosis *d, const char *address)
{
    const struct scene_question *q = &d->s->question;
    struct sight v = { .role = SIGHT_CONTROL_HOST, .host = q->control, .address = (char *)address, .port = q->port,
                       .implicit = q->tls == SESSION_TLS_IMPLICIT };
    look_once(d, v);
    v.port = PORT_CONTROL;
    v.implicit = false;
    v.reach_only = true;
    look_once(d, v);
}

static void take_answer(struct diagnosis *d, int which)
{
    const struct lookup *answer = d->questions[which].answer;
    const struct strlist *found = &answer->addresses;
    if (found->n > ADDRESSES_MAX && (which == HOST_V4 || which == HOST_V6))
        strlist_add_own(&d->s->notes,
                        xasprintf("of the %zu %s addresses of '%s' only the first %d were tried", found->n,
                                  which == HOST_V4 ? "IPv4" : "IPv6", answer->name, ADDRESSES_MAX));
    for (size_t i = 0; i < found->n && i < ADDRESSES_MAX; i++) {
        if (which == HOST_V4 || which == HOST_V6)
            look_at_host(d, found->v[i], i < ADDRESSES_ALL_PORTS);
        else if (i == 0 && (which == CONTROL_V4 || which == CONTROL_V6))
            look_at_control(d, found->v[i]);
    }
}

/* ---- rules ---- */

/* The configured port, as it is configured. */
static bool is_asked_for(const struct sight *v)
{
    return v->role == SIGHT_CONFIGURED && !v->crossed && v->mss == 0;
}

/* For how long has nothing come? Of a sight under way: what another delivery saw has another clock. */
static usec quiet(const struct diagnosis *d, const struct sight *v)
{
    return clock_now() - d->hub->start - v->last;
}

/* Nothing comes any more, or came. */
static bool hangs(const struct diagnosis *d, const struct sight *v, bool under_way)
{
    return under_way ? quiet(d, v) > d->pace->hang : v->looked && v->err.fault == FAULT_TIMEOUT;
}

static enum stage ended_at(const struct sight *v, bool under_way)
{
    return under_way ? sight_stage(v) : v->err.stage;
}

/* What was heard is not SMTP, in whichever way it was asked for. */
static bool is_stranger(const struct sight *v)
{
    return v->heard && !ascii_isdigit(v->heard[0]);
}

/* Might the other kind of TLS be what the port wants? Nobody is spoken to who began to greet, and not on port 25, where
 * TLS never comes first, and some servers hold it against who speaks before they did. */
static bool wants_crossing(const struct diagnosis *d, const struct sight *v, bool under_way)
{
    enum stage stage = ended_at(v, under_way);
    enum fault fault = under_way ? FAULT_NONE : v->err.fault;
    bool failed = fault == FAULT_TLS || fault == FAULT_PROTOCOL || fault == FAULT_LOST;
    if (is_stranger(v))
        return false;
    if (v->implicit)
        return stage == STAGE_TLS && (failed || hangs(d, v, under_way));
    return stage == STAGE_GREETING && !v->heard && v->port != 25 && (failed || hangs(d, v, under_way));
}

/* Big packets are the handshake's, and what follows EHLO. */
static bool wants_small_segments(const struct diagnosis *d, const struct sight *v, bool under_way)
{
    enum stage stage = ended_at(v, under_way);
    return (stage == STAGE_TLS || stage == STAGE_EHLO) && hangs(d, v, under_way);
}

static bool is_loopback(const struct sight *v)
{
    return strncmp(v->address, "127.", 4) == 0 || strcmp(v->address, "::1") == 0;
}

/* A ladder shows where packets end, or how near who answers is; who has proven who he is needs none. */
static bool wants_ladder(const struct diagnosis *d, const struct sight *v, bool under_way)
{
    if (is_loopback(v))
        return false;
    if (!v->done)
        return under_way && quiet(d, v) > d->pace->suspect;
    if (v->reach != REACH_OPEN)
        return v->reach != REACH_NO_FAMILY && v->reach != REACH_BAD_SOURCE;
    return v->looked && !v->tls.verified && d->pace == &thorough;
}

/* The way to an open port of the same address, to compare with; 443 is the least likely to be meddled with, and worth
 * waiting for. */
static void compare_ladder(struct diagnosis *d, const char *address, int port)
{
    const struct sight *open = NULL;
    size_t ladders = 0;
    for (size_t i = 0; i < d->s->n_ladders; i++)
        ladders += strcmp(d->s->ladders[i].address, address) == 0;
    for (size_t i = 0; i < d->s->n_sights; i++) {
        const struct sight *v = &d->s->sights[i];
        if (!v->address || strcmp(v->address, address) != 0 || v->port == port)
            continue;
        if (v->role == SIGHT_CONTROL_PORT && !v->done && clock_now() < d->looking + d->pace->suspect)
            return;
        if (sight_is_open(v) && (!open || v->role == SIGHT_CONTROL_PORT))
            open = v;
    }
    if (open && ladders == 1)
        climb(d, open);
}

/* v is a copy: the scene grows. */
static void consider(struct diagnosis *d, const struct sight v, bool under_way)
{
    struct sight next = v;
    if (v.role != SIGHT_CONFIGURED || !v.address)
        return;
    bool open = sight_is_open(&v), first = is_asked_for(&v);
    if (first && open && wants_crossing(d, &v, under_way)) {
        next.crossed = true;
        next.implicit = !v.implicit;
        look_once(d, next);
    }
    if (open && !v.crossed && v.mss != MSS_SMALLEST && wants_small_segments(d, &v, under_way)) {
        next = v;
        next.mss = v.mss ? MSS_SMALLEST : MSS_SMALL;
        look_once(d, next);
    }
    if (first && !climbed(d->s, v.family) && wants_ladder(d, &v, under_way))
        climb(d, &v);
    if (first && climbed(d->s, v.family))
        compare_ladder(d, v.address, v.port);
}

static struct sighting *under_way(const struct diagnosis *d, const struct sight *v)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->sightings[i] && sight_of(d->sightings[i]) == v)
            return d->sightings[i];
    return NULL;
}

static bool host_is_looked_up(const struct diagnosis *d)
{
    const struct question *v4 = &d->questions[HOST_V4], *v6 = &d->questions[HOST_V6];
    return (v4->over || !v4->asking) && (v6->over || !v6->asking);
}

/* One more question when it tells something: is there no such name, or none at all? Where the name servers do not
 * answer, it is clear. */
static void consider_names(struct diagnosis *d)
{
    struct scene_names *n = &d->s->names;
    if (!host_is_looked_up(d))
        return;
    bool found = n->v4.addresses.n > 0 || n->v6.addresses.n > 0;
    bool missing = !found && (n->v4.outcome == LOOKUP_NO_NAME || n->v6.outcome == LOOKUP_NO_NAME);
    if (missing && !d->questions[KNOWN_NAME].asking)
        ask(d, KNOWN_NAME, &n->known, KNOWN, AF_UNSPEC);
    /* Where one family has an address, the name exists, whatever the resolver says of the other. */
    if (n->v4.addresses.n > 0 && n->v6.outcome == LOOKUP_NO_NAME)
        n->v6.outcome = LOOKUP_NO_ADDRESS;
    if (n->v6.addresses.n > 0 && n->v4.outcome == LOOKUP_NO_NAME)
        n->v4.outcome = LOOKUP_NO_ADDRESS;
}

static void decide(struct diagnosis *d)
{
    consider_names(d);
    if (d->s->question.proxy || clock_now() >= d->deadline) /* what is begun without time would look silent */
        return;
    for (size_t i = 0; i < d->s->n_sights; i++)
        consider(d, d->s->sights[i], under_way(d, &d->s->sights[i]) != NULL);
}

/* ---- the end ---- */

/* Is all known of what was asked for, on each address, and does it work on one? Then nothing else matters. */
static bool is_good(const struct diagnosis *d)
{
    bool good = false;
    for (size_t i = 0; i < d->s->n_sights; i++) {
        const struct sight *v = &d->s->sights[i];
        if (!is_asked_for(v))
            continue;
        if (under_way(d, v))
            return false;
        good = good || scene_usable(d->s, v);
    }
    return good && clock_now() >= d->looking + d->pace->linger;
}

/* Did it get through, or learn that no mail server is there? */
static bool is_conclusive(const struct sight *v)
{
    return v->looked && (!err_is_set(&v->err) || is_stranger(v));
}

/* What hangs while another look at the same address was conclusive is not worth the rest of the time. */
static void give_up_hanging(struct diagnosis *d)
{
    for (size_t i = 0; i < d->s->n_sights; i++) {
        const struct sight *saved = &d->s->sights[i];
        if (is_asked_for(saved) || saved->role != SIGHT_CONFIGURED || !is_conclusive(saved))
            continue;
        for (size_t k = 0; k < d->n; k++) {
            struct sighting *g = d->sightings[k];
            const struct sight *v = g ? sight_of(g) : NULL;
            if (v && strcmp(v->address, saved->address) == 0 && quiet(d, v) > d->pace->rescued)
                sight_expire(g);
        }
    }
}

static bool climbs(const struct diagnosis *d)
{
    for (size_t i = 0; i < d->n_climbs; i++)
        if (d->climbs[i].ladder)
            return true;
    return false;
}

static bool busy(const struct diagnosis *d)
{
    for (int i = 0; i < QUESTIONS; i++)
        if (d->questions[i].asking && !d->questions[i].over)
            return true;
    for (size_t i = 0; i < d->n; i++)
        if (d->sightings[i])
            return true;
    return climbs(d);
}

/* ---- the task ---- */

static void finish_climb(struct diagnosis *d, struct climb *c)
{
    struct scene_ladder *l = &d->s->ladders[c->index];
    const struct ladder_rung *rungs = ladder_rungs(c->ladder, &l->n);
    memcpy(l->rungs, rungs, (size_t)l->n * sizeof *rungs);
    ladder_free(c->ladder);
    c->ladder = NULL;
}

static void step_all(struct diagnosis *d)
{
    for (int i = 0; i < QUESTIONS; i++) {
        struct question *q = &d->questions[i];
        if (q->asking && !q->over && lookup_step(q->asking)) {
            q->over = true;
            take_answer(d, i);
        }
    }
    for (size_t i = 0; i < d->n; i++) {
        struct task *t = d->sightings[i] ? sight_task(d->sightings[i]) : NULL;
        if (t && t->step(t)) {
            sight_stop(d->sightings[i]);
            d->sightings[i] = NULL;
        }
    }
    for (size_t i = 0; i < d->n_climbs; i++) {
        struct task *t = d->climbs[i].ladder ? ladder_task(d->climbs[i].ladder) : NULL;
        if (t && t->step(t))
            finish_climb(d, &d->climbs[i]);
    }
}

static bool step(struct task *t)
{
    struct diagnosis *d = (struct diagnosis *)t;
    size_t sights, ladders;
    do { /* what was begun may be over at once */
        sights = d->s->n_sights;
        ladders = d->s->n_ladders;
        step_all(d);
        decide(d);
    } while (d->s->n_sights > sights || d->s->n_ladders > ladders);
    give_up_hanging(d);
    if (clock_now() < d->deadline)
        return !busy(d) || (is_good(d) && host_is_looked_up(d) && !climbs(d));
    for (size_t i = 0; i < d->n; i++)
        if (d->sightings[i])
            sight_expire(d->sightings[i]);
    return true;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct diagnosis *d = (const struct diagnosis *)t;
    for (int i = 0; i < QUESTIONS; i++)
        if (d->questions[i].asking)
            lookup_waits(d->questions[i].asking, ps);
    for (size_t i = 0; i < d->n; i++)
        if (d->sightings[i])
            sight_task(d->sightings[i])->waits(sight_task(d->sightings[i]), ps);
    for (size_t i = 0; i < d->n_climbs; i++)
        if (d->climbs[i].ladder)
            ladder_task(d->climbs[i].ladder)->waits(ladder_task(d->climbs[i].ladder), ps);
    pollset_until(ps, usec_min(d->deadline, clock_now() + TICK));
}

static void clean_up(struct diagnosis *d)
{
    for (size_t i = 0; i < d->n; i++)
        sight_stop(d->sightings[i]);
    free(d->sightings);
    for (int i = 0; i < QUESTIONS; i++) {
        lookup_stop(d->questions[i].asking);
        lookup_free(&d->questions[i].other);
    }
    for (size_t i = 0; i < d->n_climbs; i++)
        ladder_free(d->climbs[i].ladder);
    free(d->climbs);
    credentials_free(&d->credentials);
}

/* ---- the question ---- */

static char *bare_host(const char *host)
{
    size_t n = strlen(host);
    return host[0] == '[' && n > 2 && host[n - 1] == ']' ? xstrndup(host + 1, n - 2) : xstrdup(host);
}

static bool set_question(const struct diagnose_params *p, struct scene *s, usec deadline, struct err *e)
{
    const struct account *a = p->account;
    struct scene_question *q = &s->question;
    *q = (struct scene_question){
        .named = p->named,
        .name = p->name ? xstrdup(p->name) : NULL,
        .port_named = p->port_named,
        .control = p->control ? bare_host(p->control) : NULL,
        .ipv4_only = a->ipv4_only,
        .ipv6_only = a->ipv6_only,
        .brief = p->brief,
    };
    if (a->proxy_type != PROXY_NONE)
        q->proxy = xasprintf("%s:%ld", a->proxy_host, a->proxy_port);
    if (p->named == NAMED_ADDRESS || p->named == NAMED_DOMAIN)
        return target_find(s, deadline, e);
    struct route route = ROUTE_INIT;
    const struct hop *hop = p->hop;
    if (!hop && (a->socket || !route_find(&route, a, e))) {
        err_set(e, FAULT_CONFIG, "the account sends to a socket of this machine: there is no network to diagnose");
        route_free(&route);
        return false;
    }
    if (!hop)
        hop = &route.v[0];
    q->host = bare_host(hop->host);
    q->port = hop->port;
    q->tls = hop->tls;
    q->verify = hop->verify;
    q->auth = strcmp(a->auth, "off") != 0;
    q->mechanism = q->auth && strcmp(a->auth, "on") != 0 ? xstrdup(a->auth) : NULL;
    route_free(&route);
    return true;
}

/* What a delivery saw before it failed. */
static void adopt_sights(struct scene *s, const struct err *failure)
{
    const struct scene_question *q = &s->question;
    for (size_t i = 0; i < s->n_sights; i++) {
        struct sight *v = &s->sights[i];
        if (q->proxy) /* that is where the connection went */
            v->port = q->port;
        bool same_host = q->proxy || (q->host && ascii_ieq(v->host, q->host));
        v->role = !same_host ? SIGHT_CONTROL_HOST : v->port == q->port ? SIGHT_CONFIGURED : SIGHT_OTHER_PORT;
        v->implicit = q->tls == SESSION_TLS_IMPLICIT;
        if (sight_is_open(v) && failure)
            sight_ended(v, failure);
    }
}

static void ask_names(struct diagnosis *d)
{
    struct scene_names *n = &d->s->names;
    const struct scene_question *q = &d->s->question;
    struct addrinfo *numeric = resolve_numeric(q->host, 0, AF_UNSPEC);
    if (!q->ipv6_only)
        ask(d, HOST_V4, &n->v4, q->host, AF_INET);
    if (!q->ipv4_only)
        ask(d, HOST_V6, &n->v6, q->host, AF_INET6);
    if (!numeric) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        char *name = xasprintf(IMPOSSIBLE, (unsigned)t.tv_sec, (unsigned)t.tv_nsec);
        ask(d, IMPOSSIBLE_NAME, &n->impossible, name, AF_INET);
        free(name);
    } else {
        freeaddrinfo(numeric);
    }
    if (q->control) {
        ask(d, CONTROL_V4, &d->questions[CONTROL_V4].other, q->control, AF_INET);
        ask(d, CONTROL_V6, &d->questions[CONTROL_V6].other, q->control, AF_INET6);
    }
}

static bool run(struct diagnosis *d, struct err *e)
{
    const struct scene_question *q = &d->s->question;
    struct task *task = &d->task;
    int number = 0;
    if (!q->host)
        return true;
    if (!q->proxy)
        ask_names(d);
    else if (d->s->n_sights == 0)
        look(d, (struct sight){ .role = SIGHT_CONFIGURED, .host = q->host, .port = q->port,
                                .implicit = q->tls == SESSION_TLS_IMPLICIT });
    if (loop_run(&task, 1, &number))
        return true;
    return err_set(e, FAULT_TEMPORARY, "interrupted by signal %d (%s)", number, strsignal(number));
}

bool diagnose(const struct diagnose_params *p, struct scene *s, struct err *e)
{
    struct hub own;
    struct diagnosis d = { .task = { step, waits }, .p = p, .s = s, .start = clock_now() };
    d.pace = p->brief ? &brief : &thorough;
    d.deadline = d.start + (p->whole > 0 ? p->whole : d.pace->whole);
    s->now = time(NULL);
    machine_look(&s->machine);
    if (!set_question(p, s, d.start + d.pace->lookup, e))
        return false;
    adopt_sights(s, p->failure);
    hub_init(&own);
    d.hub = p->hub ? p->hub : &own;
    hub_listen(d.hub, SIGHT_EVENTS, sight_event, s);
    credentials_init(&d.credentials, p->account, d.hub, d.deadline);
    bool ok = run(&d, e);
    s->took = clock_now() - d.start;
    clean_up(&d);
    hub_unlisten(d.hub, s);
    hub_free(&own);
    return ok;
}
