/* verdict_view: counts and comparisons over a scene. What they mean is said in verdict_reach.c and verdict_dialogue.c.
 */
#include "send/verdict_view.h"

#include <string.h>
#include <sys/socket.h>

/* ---- classes ---- */

static const enum reach_class classes[REACH_OUTCOMES] = {
    [REACH_OPEN] = CLASS_OPEN,
    [REACH_REFUSED] = CLASS_REFUSED,
    [REACH_SILENT] = CLASS_SILENT,
    [REACH_HOST_UNREACHABLE] = CLASS_REJECTED,
    [REACH_NET_UNREACHABLE] = CLASS_REJECTED,
    [REACH_PROHIBITED] = CLASS_REJECTED,
    [REACH_LOCAL_FIREWALL] = CLASS_REJECTED,
    [REACH_BLACKHOLE] = CLASS_REJECTED,
    [REACH_NO_FAMILY] = CLASS_NO_FAMILY,
    [REACH_EXPIRED] = CLASS_UNKNOWN,
    [REACH_BAD_SOURCE] = CLASS_UNKNOWN,
    [REACH_OTHER] = CLASS_UNKNOWN,
};

enum reach_class view_class(const struct scene *s, const struct sight *v)
{
    const struct scene_family *f = v->family == AF_INET6 ? &s->machine.v6 : &s->machine.v4;
    if (!v->done || v->reach >= REACH_OUTCOMES)
        return CLASS_UNKNOWN;
    if (v->reach == REACH_NET_UNREACHABLE && !f->route) /* it is this machine that says so */
        return CLASS_NO_FAMILY;
    return classes[v->reach];
}

static void count(struct tally *t, enum reach_class class)
{
    t->of[class]++;
    t->all += class != CLASS_UNKNOWN;
}

/* ---- sights ---- */

/* How far a sight got. */
static int progress(const struct scene *s, const struct sight *v)
{
    static const int by_class[CLASSES] = {
        [CLASS_UNKNOWN] = 0, [CLASS_NO_FAMILY] = 1, [CLASS_SILENT] = 2,
        [CLASS_REFUSED] = 3, [CLASS_REJECTED] = 4,  [CLASS_OPEN] = 5,
    };
    return by_class[view_class(s, v)] + v->looked + (v->heard ? 2 : 0) + (v->greeting ? 2 : 0)
           + (v->ehlo_answered ? 2 : 0) + (v->tls.sha256 ? 2 : 0) + (v->tls.up ? 2 : 0)
           + (scene_usable(s, v) ? 20 : 0);
}

static const struct sight *better(const struct scene *s, const struct sight *a, const struct sight *b)
{
    return !a || progress(s, b) > progress(s, a) ? b : a;
}

/* The order in which ways are recommended: RFC 8314 wants 465 first, 2525 is not official, 25 is not for submission.
 */
static int rank(const struct sight *v)
{
    static const int ports[] = { 465, 587, 2525, 25 };
    int n = v->role == SIGHT_CONFIGURED ? 0 : 40;
    for (int i = 0; i < 4; i++)
        if (v->port == ports[i])
            n += i;
    return n + (v->crossed ? 10 : 0) + (v->mss ? 20 : 0);
}

static bool has_tls(const struct sight *v)
{
    return v->tls.up || v->starttls_offered;
}

static bool is_first_try(const struct sight *v)
{
    return v->role == SIGHT_CONFIGURED && !v->crossed && !v->mss;
}

static void take_sight(struct view *w, const struct sight *v)
{
    const struct scene *s = w->s;
    const enum reach_class class = view_class(s, v);
    const bool host = v->role == SIGHT_CONFIGURED || v->role == SIGHT_OTHER_PORT;
    if (host && scene_usable(s, v) && (!w->way || rank(v) < rank(w->way)))
        w->way = v;
    if (v->role == SIGHT_OTHER_PORT && has_tls(v) && !w->proof)
        w->proof = v;
    if (is_first_try(v)) {
        w->here = better(s, w->here, v);
        count(&w->configured, class);
        count(v->family == AF_INET6 ? &w->v6 : &w->v4, class);
    }
    if (v->role == SIGHT_OTHER_PORT && !v->crossed && !v->mss)
        count(&w->others, class);
    if (v->role == SIGHT_CONTROL_PORT)
        count(&w->web, class);
    if (v->role == SIGHT_OTHER_PORT || v->role == SIGHT_CONTROL_PORT)
        count(v->family == AF_INET6 ? &w->rest6 : &w->rest4, class);
    if (v->role == SIGHT_CONTROL_HOST)
        count(&w->elsewhere, class);
    if (v->role == SIGHT_CONTROL_HOST && v->port == s->question.port)
        w->control = better(s, w->control, v);
}

static bool same_address(const struct sight *a, const struct sight *b)
{
    return a->address && b->address && strcmp(a->address, b->address) == 0;
}

/* Second tries count where they got farther than the first. */
static void take_second_try(struct view *w, const struct sight *v)
{
    if (v->role != SIGHT_CONFIGURED || !w->here || progress(w->s, v) <= progress(w->s, w->here))
        return;
    if (w->partly && !same_address(v, w->here))
        return;
    if (v->mss)
        w->small = better(w->s, w->small, v);
    else if (v->crossed)
        w->crossed = better(w->s, w->crossed, v);
}

/* It works, but not at each address that connects: a delivery takes any of those. */
static void take_flaw(struct view *w)
{
    for (size_t i = 0; i < w->s->n_sights && w->straight; i++) {
        const struct sight *v = &w->s->sights[i];
        if (!is_first_try(v) || !sight_is_open(v) || !v->looked || scene_usable(w->s, v))
            continue;
        if (!v->address || !w->way->address) /* behind a proxy */
            continue;
        w->here = v;
        w->straight = false;
        w->partly = true;
    }
}

/* Of a family nothing got through, though it was tried in earnest; a host that refuses there is just not listening. */
static bool is_lost(const struct tally *t)
{
    return t->of[CLASS_SILENT] + t->of[CLASS_REJECTED] > 0 && !t->of[CLASS_OPEN] && !t->of[CLASS_REFUSED];
}

static void take_lost_family(struct view *w)
{
    const bool v4 = is_lost(&w->v4), v6 = is_lost(&w->v6);
    const struct tally *rest = v6 ? &w->rest6 : &w->rest4;
    if (w->straight && v4 != v6)
        w->lost = v6 ? AF_INET6 : AF_INET;
    w->lost_all = w->lost && !rest->of[CLASS_OPEN] && !rest->of[CLASS_REFUSED];
}

static void take_hanging_up(struct view *w)
{
    const struct sight *here = w->here;
    for (size_t i = 0; i < w->s->n_sights && here && here->implicit && here->closed_at_once; i++) {
        const struct sight *v = &w->s->sights[i];
        if (v->crossed && v->looked && !v->closed_at_once && same_address(v, here))
            w->hangs_up_on_tls = true;
    }
}

static int count_mail_ports(const struct scene *s)
{
    int n = 0;
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        bool seen = (v->role != SIGHT_CONFIGURED && v->role != SIGHT_OTHER_PORT) || view_class(s, v) == CLASS_UNKNOWN;
        for (size_t k = 0; k < i && !seen; k++)
            seen = s->sights[k].port == v->port && s->sights[k].role == v->role
                   && view_class(s, &s->sights[k]) != CLASS_UNKNOWN;
        n += !seen;
    }
    return n;
}

/* ---- ladders ---- */

static bool answers(const struct scene_ladder *l, int ttl)
{
    const struct ladder_rung *r = ttl <= l->n ? &l->rungs[ttl - 1] : NULL;
    return r && (r->outcome == REACH_EXPIRED || r->outcome == REACH_OPEN || r->outcome == REACH_REFUSED);
}

static int first_answer_behind(const struct scene_ladder *l, int hop)
{
    for (int ttl = hop + 1; ttl <= l->n; ttl++)
        if (answers(l, ttl))
            return ttl;
    return 0;
}

/* The host itself may have a gateway before it that answers some ports: one that is far from here is no interception.
 */
static bool is_near(int nearer, int far)
{
    return nearer < far && (nearer <= 2 || nearer <= far / 2);
}

static void compare(struct view_path *p, const struct scene_ladder *port, const struct scene_ladder *other)
{
    const struct ladder_summary a = ladder_sum_up(port->rungs, port->n);
    const struct ladder_summary b = ladder_sum_up(other->rungs, other->n);
    if (b.answered_at == 0)
        return;
    p->port = port;
    p->other = other;
    p->far = b.answered_at;
    if (a.rejected_at && a.rejected_by && strcmp(a.rejected_by, port->address) != 0) {
        p->rejected_at = a.rejected_at;
        p->rejected_by = a.rejected_by;
    } else if (a.answered_at && is_near(a.answered_at, b.answered_at)) {
        p->nearer = a.answered_at;
        p->router = first_answer_behind(other, a.answered_at - 1) == a.answered_at
                            && other->rungs[a.answered_at - 1].icmp.known
                        ? other->rungs[a.answered_at - 1].icmp.from
                        : NULL;
    } else if (!a.answered_at && !a.rejected_at) {
        int next = first_answer_behind(other, a.last_hop);
        p->cut_behind = a.last_hop ? a.last_hop : next == 1 ? -1 : 0;
        p->router = a.last_hop ? a.last_router : NULL;
        p->short_of_host = next > 0 && next < b.answered_at && p->cut_behind;
    }
}

static void take_ladders(struct view *w)
{
    const struct scene *s = w->s;
    for (size_t i = 0; i < s->n_ladders && !w->path.port; i++)
        for (size_t k = 0; k < s->n_ladders && !w->path.port; k++) {
            const struct scene_ladder *a = &s->ladders[i], *b = &s->ladders[k];
            if (a->port == s->question.port && b->port != a->port && strcmp(a->address, b->address) == 0)
                compare(&w->path, a, b);
        }
    for (size_t i = 0; i < s->n_ladders && !w->path.port && !w->path.said_by; i++)
        w->path.said_by = ladder_sum_up(s->ladders[i].rungs, s->ladders[i].n).rejected_by;
}

bool view_ehlo(const struct sight *v)
{
    return v->ehlo_answered
           && (v->err.stage != STAGE_EHLO || (v->err.fault != FAULT_TIMEOUT && v->err.fault != FAULT_LOST));
}

bool view_verified(const struct sight *v)
{
    return v && v->tls.up && v->tls.verified;
}

void view_of(const struct scene *s, struct view *w)
{
    *w = (struct view){ .s = s, .blocker = blocker_find(&s->machine), .mail_ports = count_mail_ports(s) };
    for (size_t i = 0; i < s->n_sights; i++)
        take_sight(w, &s->sights[i]);
    w->straight = w->way && is_first_try(w->way);
    take_flaw(w);
    take_lost_family(w);
    take_hanging_up(w);
    for (size_t i = 0; i < s->n_sights; i++)
        take_second_try(w, &s->sights[i]);
    w->certificate = w->crossed && w->crossed->tls.sha256 ? w->crossed : w->here;
    take_ladders(w);
}
