/* ladder: up to thirty attempts of reach, one for each TTL, and packets of UDP where they leave a router nameless.
 * Must not know why anybody asks; what the rungs mean together is a pure function. */
#include "net/ladder.h"

#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"

#define PACE (25 * USEC_PER_SEC / 1000)
#define UDP_AFTER (300 * USEC_PER_SEC / 1000) /* TCP gets so long to name the router */
/* Once the far end has answered, the hops before it may do so for three times as long, and no less than: */
#define NEARER_AT_LEAST (200 * USEC_PER_SEC / 1000)
enum { TRACEROUTE_PORT = 33434 };

struct step_of_ladder {
    struct reach *attempt; /* own; NULL: not begun */
    usec began;
    int udp;               /* own: descriptor; -1: none */
    bool udp_over;         /* answered, or not to be sent */
};

struct ladder {
    struct task task;
    struct sockaddr_storage address;
    char target[INET6_ADDRSTRLEN]; /* the same as text */
    struct ladder_params p;
    char *source_ip;       /* own */
    struct step_of_ladder v[LADDER_MAX];
    struct ladder_rung rungs[LADDER_MAX];
    int begun;
    int end;               /* TTLs from here on need not be tried */
    usec next, deadline;
    bool done;
};

/* --- UDP ------------------------------------------------------------------------------------------------------ */

static bool named(const struct ladder_rung *r)
{
    return r->outcome == REACH_EXPIRED && r->icmp.known;
}

/* Did TCP leave this hop without a name? Only silence and a "time exceeded" of unknown origin do. */
static bool wants_udp(const struct ladder *l, int i, usec now)
{
    const struct step_of_ladder *s = &l->v[i];
    if (s->udp_over || s->udp >= 0 || !s->attempt || i >= l->end)
        return false;
    if (reach_done(s->attempt))
        return l->rungs[i].outcome == REACH_EXPIRED && !named(&l->rungs[i]);
    return now >= s->began + UDP_AFTER;
}

static void send_udp(struct ladder *l, int i)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } to = { .any = l->address };
    uint16_t port = htons((uint16_t)(TRACEROUTE_PORT + i));
    if (to.any.ss_family == AF_INET)
        to.in.sin_port = port;
    else
        to.in6.sin6_port = port;
    struct step_of_ladder *s = &l->v[i];
    s->udp = reach_socket(to.any.ss_family, SOCK_DGRAM, i + 1);
    if (s->udp >= 0 && connect(s->udp, (const struct sockaddr *)&to, l->p.len) == 0 && send(s->udp, "", 0, 0) == 0)
        return;
    s->udp_over = true;
}

static void look_udp(struct ladder *l, int i)
{
    struct step_of_ladder *s = &l->v[i];
    struct reach_icmp icmp = { 0 };
    int reason = 0;
    if (s->udp < 0 || s->udp_over)
        return;
    if (!reach_read_icmp(s->udp, &icmp, &reason)) {
        getsockopt(s->udp, SOL_SOCKET, SO_ERROR, &reason, &(socklen_t){ sizeof reason });
        s->udp_over = reason != 0;
        return;
    }
    bool v4 = l->address.ss_family == AF_INET;
    s->udp_over = true;
    if (icmp.type == (v4 ? ICMP_TIMXCEED : ICMP6_TIME_EXCEEDED))
        memcpy(l->rungs[i].udp_router, icmp.from, sizeof icmp.from);
    if (strcmp(icmp.from, l->target) != 0)
        return;
    l->rungs[i].udp_arrived = true;
    if (i + 2 < l->end) /* the path is so long; one more, as TCP's may be another */
        l->end = i + 2;
}

/* --- TCP ------------------------------------------------------------------------------------------------------ */

/* Whoever sent this would have sent it to packets with a larger TTL, too. */
static bool is_final(enum reach_outcome outcome)
{
    return outcome != REACH_SILENT && outcome != REACH_EXPIRED;
}

static void begin_attempt(struct ladder *l, usec now)
{
    int i = l->begun++;
    struct reach_params p = {
        .address = (const struct sockaddr *)&l->address, .len = l->p.len, .port = l->p.port, .source_ip = l->source_ip,
        .ttl = i + 1, .deadline = l->p.deadline,
    };
    l->v[i].attempt = reach_new(&p);
    l->v[i].began = now;
    l->next = now + PACE;
}

static void end_attempt(struct ladder *l, int i, usec now)
{
    const struct reach_result *result = reach_result(l->v[i].attempt);
    struct ladder_rung *rung = &l->rungs[i];
    rung->outcome = result->outcome;
    rung->reason = result->reason;
    rung->took = result->took;
    rung->icmp = result->icmp;
    if (!is_final(rung->outcome))
        return;
    bool same_for_all = result->at_once && result->outcome != REACH_OPEN; /* no packet left */
    usec patience = 3 * rung->took > NEARER_AT_LEAST ? 3 * rung->took : NEARER_AT_LEAST;
    if (i + 1 < l->end)
        l->end = i + 1;
    l->deadline = usec_min(l->deadline, same_for_all ? now : now + patience);
}

/* Is there something to wait for at this hop? */
static bool busy(const struct ladder *l, int i)
{
    const struct step_of_ladder *s = &l->v[i];
    return !reach_done(s->attempt) || (s->udp >= 0 && !s->udp_over);
}

static bool step(struct task *t)
{
    struct ladder *l = (struct ladder *)t;
    usec now = clock_now();
    bool waiting = false;
    if (l->begun < l->end && now >= l->next)
        begin_attempt(l, now);
    for (int i = 0; i < l->begun; i++) {
        struct step_of_ladder *s = &l->v[i];
        if (!reach_done(s->attempt) && reach_task(s->attempt)->step(reach_task(s->attempt)))
            end_attempt(l, i, clock_now());
        if (!l->p.tcp_only && wants_udp(l, i, now))
            send_udp(l, i);
        look_udp(l, i);
        waiting |= i < l->end && busy(l, i);
    }
    l->done = now >= l->deadline || (l->begun >= l->end && !waiting);
    for (int i = 0; l->done && i < l->begun; i++)
        if (!reach_done(l->v[i].attempt)) {
            l->rungs[i].outcome = REACH_SILENT;
            l->rungs[i].took = now - l->v[i].began;
        }
    return l->done;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct ladder *l = (const struct ladder *)t;
    if (l->done)
        return;
    pollset_until(ps, l->deadline);
    if (l->begun < l->end)
        pollset_until(ps, l->next);
    for (int i = 0; i < l->begun; i++) {
        const struct step_of_ladder *s = &l->v[i];
        reach_task(s->attempt)->waits(reach_task(s->attempt), ps);
        if (s->udp >= 0 && !s->udp_over)
            pollset_add(ps, s->udp, 0);
        else if (!l->p.tcp_only && !s->udp_over && s->udp < 0 && i < l->end && !reach_done(s->attempt))
            pollset_until(ps, s->began + UDP_AFTER);
    }
}

/* --- from outside --------------------------------------------------------------------------------------------- */

struct ladder *ladder_new(const struct ladder_params *p)
{
    struct ladder *l = xcalloc(1, sizeof *l);
    l->task = (struct task){ step, waits };
    l->p = *p;
    l->p.len = p->len < sizeof l->address ? p->len : (socklen_t)sizeof l->address;
    memcpy(&l->address, p->address, l->p.len);
    getnameinfo(p->address, l->p.len, l->target, sizeof l->target, NULL, 0, NI_NUMERICHOST);
    l->source_ip = xstrdup(p->source_ip);
    l->p.tcp_only |= p->source_ip != NULL;
    l->end = p->hops > 0 && p->hops < LADDER_MAX ? p->hops : LADDER_MAX;
    l->deadline = p->deadline;
    for (int i = 0; i < LADDER_MAX; i++)
        l->v[i].udp = -1;
    return l;
}

struct task *ladder_task(struct ladder *l)
{
    return &l->task;
}

bool ladder_done(const struct ladder *l)
{
    return l->done;
}

const struct ladder_rung *ladder_rungs(const struct ladder *l, int *n)
{
    *n = l->begun < l->end ? l->begun : l->end;
    return l->rungs;
}

void ladder_free(struct ladder *l)
{
    if (!l)
        return;
    for (int i = 0; i < l->begun; i++) {
        reach_free(l->v[i].attempt);
        if (l->v[i].udp >= 0)
            close(l->v[i].udp);
    }
    free(l->source_ip);
    free(l);
}

/* --- the summary ---------------------------------------------------------------------------------------------- */

static const char *sender(const struct ladder_rung *r)
{
    if (r->icmp.known && *r->icmp.from)
        return r->icmp.from;
    return r->outcome == REACH_EXPIRED && *r->udp_router ? r->udp_router : NULL;
}

struct ladder_summary ladder_sum_up(const struct ladder_rung *rungs, int n)
{
    struct ladder_summary s = { 0 };
    for (int i = 0; i < n; i++) {
        const struct ladder_rung *r = &rungs[i];
        bool answered = r->outcome == REACH_OPEN || (r->outcome == REACH_REFUSED && !r->icmp.known);
        if (r->udp_arrived && s.udp_arrived_at == 0)
            s.udp_arrived_at = i + 1;
        if (*r->udp_router || r->outcome == REACH_EXPIRED)
            s.farthest_hop = i + 1;
        if (r->outcome == REACH_SILENT) {
            s.silent_from = s.silent_from ? s.silent_from : i + 1;
            continue;
        }
        s.silent_from = 0;
        if (s.answered_at || s.rejected_at)
            continue;
        if (answered) {
            s.answered_at = i + 1;
            s.answer = r->outcome;
        } else if (r->outcome == REACH_EXPIRED) {
            s.last_hop = i + 1;
            s.last_router = sender(r);
        } else {
            s.rejected_at = i + 1;
            s.rejection = r->outcome;
            s.rejected_by = sender(r);
        }
    }
    return s;
}
