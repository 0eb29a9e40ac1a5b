/* sight: events become facts; and a look as a task: a delivery or a mere connection, and its two deadlines. */
#include "send/sight.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "net/resolve.h"
#include "send/deliver.h"

enum {
    HEARD_MAX = 200,      /* octets of a first line that are kept */
    ASTERISKS_MIN = 8,    /* in a greeting that a firewall has masked */
};

/* ---- fields ---- */

/* A copy of the text, what cannot be shown made visible; NULL: the field is absent. */
static char *text_of(const struct event *ev, const char *name)
{
    const struct field *f = event_field(ev, name);
    struct buf text = BUF_INIT;
    if (!f || f->type != FIELD_STRING || !f->s)
        return NULL;
    visible_encode(&text, f->s, f->len);
    return buf_steal(&text);
}

static void keep_text(char **to, const struct event *ev, const char *name)
{
    free(*to);
    *to = text_of(ev, name);
}

static long long number_of(const struct event *ev, const char *name)
{
    const struct field *f = event_field(ev, name);
    return f && f->type != FIELD_STRING && f->type != FIELD_LIST ? f->i : 0;
}

static void keep_list(struct strlist *to, const struct event *ev, const char *name)
{
    const struct field *f = event_field(ev, name);
    if (!f || f->type != FIELD_LIST || !f->list)
        return;
    strlist_free(to);
    for (size_t i = 0; i < f->list->n; i++) {
        struct buf text = BUF_INIT;
        visible_encode(&text, f->list->v[i], strlen(f->list->v[i]));
        strlist_add_own(to, buf_steal(&text));
    }
}

/* Ends text after at most `most` octets, and not within a character. */
static void clip(char *text, size_t most)
{
    if (strlen(text) <= most)
        return;
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
        most--;
    text[most] = '\0';
}

/* ---- one fact each ---- */

static void connecting(struct sight *v, const struct event *ev)
{
    v->begun = ev->time;
}

static void connect_failed(struct sight *v, const struct event *ev)
{
    int reason = (int)number_of(ev, "errno");
    v->done = true;
    v->reach = reason ? reach_outcome_of(reason) : REACH_OTHER;
    v->reason = v->reach == REACH_SILENT ? 0 : reason;
    v->took = ev->time - v->begun;
}

static void connected(struct sight *v, const struct event *ev)
{
    v->done = true;
    v->reach = REACH_OPEN;
    v->took = ev->time - v->begun;
    keep_text(&v->local, ev, "local");
}

/* "220 *****************2******0*00": some firewalls leave of a greeting what they know. */
static bool is_masked(const char *greeting)
{
    size_t asterisks = 0;
    for (const char *p = greeting; *p; p++)
        asterisks += *p == '*';
    return asterisks >= ASTERISKS_MIN && asterisks * 2 > strlen(greeting);
}

static void greeted(struct sight *v, const struct event *ev)
{
    keep_text(&v->greeting, ev, "text");
    v->banner_masked = v->greeting && is_masked(v->greeting);
}

static void told(struct sight *v, const struct event *ev)
{
    const struct field *line = event_field(ev, "line");
    if (!v->heard) {
        keep_text(&v->heard, ev, "line");
        if (v->heard)
            clip(v->heard, HEARD_MAX);
    }
    bool last = line && (line->len == 3 || (line->len > 3 && line->s[3] == ' '));
    if (v->greeting && last && memcmp(line->s, "250", 3) == 0)
        v->ehlo_answered = true;
}

static void capable(struct sight *v, const struct event *ev)
{
    const bool tls = number_of(ev, "tls");
    char *keyword = text_of(ev, "keyword"), *parameters = text_of(ev, "parameters");
    if (!keyword) {
        free(parameters);
        return;
    }
    char *line = parameters ? xasprintf("%s %s", keyword, parameters) : xstrdup(keyword);
    strlist_add_own(tls ? &v->ehlo_tls : &v->ehlo, line);
    keep_list(tls ? &v->auth_tls : &v->auth, ev, "mechanisms");
    if (!tls && ascii_ieq(keyword, "STARTTLS"))
        v->starttls_offered = true;
    if (!tls && !v->starttls_masked && strncmp(keyword, "XXXX", 4) == 0)
        v->starttls_masked = xstrdup(keyword);
    free(keyword);
    free(parameters);
}

static void secured(struct sight *v, const struct event *ev)
{
    struct sight_tls *t = &v->tls;
    t->up = true;
    t->verified = number_of(ev, "verified");
    keep_text(&t->version, ev, "version");
    keep_text(&t->cipher, ev, "cipher");
    keep_text(&t->problem, ev, "problem");
    keep_list(&t->problems, ev, "problems");
}

static void certified(struct sight *v, const struct event *ev)
{
    struct sight_tls *t = &v->tls;
    const struct field *pem = event_field(ev, "pem");
    if (pem && pem->s)
        strlist_add(&t->chain, pem->s);
    if (number_of(ev, "depth") > 0)
        return;
    keep_text(&t->subject, ev, "subject");
    keep_text(&t->issuer, ev, "issuer");
    keep_list(&t->names, ev, "names");
    keep_text(&t->sha256, ev, "sha256");
    t->not_before = number_of(ev, "not_before");
    t->not_after = number_of(ev, "not_after");
    t->days_left = number_of(ev, "days_left");
}

static void timed(struct sight *v, const struct event *ev)
{
    const struct field *name = event_field(ev, "name");
    enum stage stage = STAGE_NONE;
    while (name && stage < STAGE_COUNT && strcmp(stage_word(stage), name->s) != 0)
        stage++;
    if (stage < STAGE_COUNT && v->n_phases < SIGHT_PHASES)
        v->phases[v->n_phases++] = (struct sight_phase){ .stage = stage, .us = number_of(ev, "us") };
}

static void (*const takers[EV_COUNT])(struct sight *v, const struct event *ev) = {
    [EV_CONNECTING] = connecting,
    [EV_CONNECT_FAILED] = connect_failed,
    [EV_CONNECTED] = connected,
    [EV_GREETING] = greeted,
    [EV_SERVER] = told,
    [EV_CAPABILITY] = capable,
    [EV_TLS] = secured,
    [EV_CERTIFICATE] = certified,
    [EV_PHASE] = timed,
};

/* ---- whose event it is ---- */

static struct sight *sight_at(struct scene *s, unsigned connection, const char *address)
{
    for (size_t i = s->n_sights; i-- > 0;) {
        struct sight *v = &s->sights[i];
        if (v->connection == connection && (!v->address || strcmp(v->address, address) == 0))
            return v;
    }
    return NULL;
}

/* Of a connection: the attempt that won, or the last. */
static struct sight *sight_now(struct scene *s, unsigned connection)
{
    struct sight *last = NULL;
    for (size_t i = 0; i < s->n_sights; i++) {
        struct sight *v = &s->sights[i];
        if (v->connection != connection)
            continue;
        if (sight_is_open(v))
            return v;
        last = v;
    }
    return last;
}

/* One more address that a delivery tries. */
static struct sight *sight_found(struct scene *s, const struct event *ev)
{
    struct sight *v = scene_add_sight(s);
    v->connection = ev->connection;
    v->host = text_of(ev, "host");
    v->port = (int)number_of(ev, "port");
    return v;
}

void sight_event(void *ctx, const struct event *ev)
{
    struct scene *s = ctx;
    char *address = text_of(ev, "address");
    struct sight *v = address ? sight_at(s, ev->connection, address) : sight_now(s, ev->connection);
    if (!v && address && ev->kind == EV_CONNECTING)
        v = sight_found(s, ev);
    if (v && address && !v->address) {
        v->address = xstrdup(address);
        v->family = strchr(address, ':') ? AF_INET6 : AF_INET;
    }
    if (ev->connection > s->connections)
        s->connections = ev->connection;
    if (v && takers[ev->kind]) {
        v->last = ev->time;
        takers[ev->kind](v, ev);
    }
    free(address);
}

/* ---- the end ---- */

static bool has_passed(const struct sight *v, enum stage stage)
{
    for (size_t i = 0; i < v->n_phases; i++)
        if (v->phases[i].stage == stage)
            return true;
    return false;
}

enum stage sight_stage(const struct sight *v)
{
    if (!sight_is_open(v))
        return STAGE_CONNECT;
    if (!v->greeting)
        return v->implicit && !v->tls.up ? STAGE_TLS : STAGE_GREETING;
    if (!v->ehlo_answered)
        return STAGE_EHLO;
    if (v->starttls_offered && !v->tls.up)
        return has_passed(v, STAGE_STARTTLS) ? STAGE_TLS : STAGE_STARTTLS;
    return v->starttls_offered && v->ehlo_tls.n == 0 ? STAGE_EHLO : STAGE_NONE;
}

void sight_ended(struct sight *v, const struct err *e)
{
    v->looked = sight_is_open(v) && !v->reach_only;
    err_copy(&v->err, e);
    if (e->stage == STAGE_TLS) {
        v->tls.up = false;
        if (!v->heard && e->server) { /* in clear, where TLS was expected */
            struct buf text = BUF_INIT;
            visible_encode(&text, e->server, strlen(e->server));
            v->heard = buf_steal(&text);
            clip(v->heard, HEARD_MAX);
        }
    }
    v->closed_at_once = v->looked && e->fault == FAULT_LOST && !v->heard && !v->tls.up;
}

/* ---- a look as a task ---- */

struct sighting {
    struct task task;
    struct sight_params p;
    struct account account; /* a copy, of which all members are borrowed */
    struct hop hop;         /* … as are these */
    struct deliver_probe probe;
    size_t index;           /* of the sight */
    struct deliver *look;   /* own; NULL: only reach */
    struct reach *reach;    /* own; NULL: a look */
    bool over;
};

struct sight *sight_of(const struct sighting *g)
{
    return &g->p.scene->sights[g->index];
}

static struct task *inner(const struct sighting *g)
{
    return g->look ? deliver_task(g->look) : reach_task(g->reach);
}

static void take_look(struct sighting *g)
{
    struct sight *v = sight_of(g);
    struct err e = ERR_INIT;
    deliver_result(g->look, &e);
    if (v->done && v->reason == EADDRNOTAVAIL && g->account.source_ip)
        v->reach = REACH_BAD_SOURCE;
    if (!v->done && err_is_set(&e)) { /* it was not even tried: a source address of the other family */
        v->done = true;
        v->reach = REACH_OTHER;
    }
    sight_ended(v, &e);
    err_clear(&e);
}

static void take_reach(struct sighting *g)
{
    const struct reach_result *r = reach_result(g->reach);
    struct sight *v = sight_of(g);
    v->done = true;
    v->reach = r->outcome;
    v->reason = r->reason;
    v->took = r->took;
}

void sight_expire(struct sighting *g)
{
    struct sight *v = sight_of(g);
    struct err e = ERR_INIT;
    if (g->over)
        return;
    g->over = true;
    enum stage stage = sight_stage(v);
    if (stage == STAGE_CONNECT) {
        v->done = true;
        v->reach = REACH_SILENT;
        v->took = clock_now() - g->p.hub->start - v->begun;
        return;
    }
    err_set(&e, FAULT_TIMEOUT, "nothing came in time %s", stage_phrase(stage));
    err_stage(&e, stage);
    deliver_abort(g->look, &e);
    take_look(g);
}

static bool step(struct task *t)
{
    struct sighting *g = (struct sighting *)t;
    if (g->over)
        return true;
    if (inner(g)->step(inner(g))) {
        g->over = true;
        g->look ? take_look(g) : take_reach(g);
    } else if (clock_now() >= (sight_is_open(sight_of(g)) ? g->p.deadline : g->p.connect_by)) {
        sight_expire(g);
    }
    return g->over;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct sighting *g = (const struct sighting *)t;
    if (g->over) { /* by sight_expire: the next step says it */
        pollset_until(ps, 0);
        return;
    }
    inner(g)->waits(inner(g), ps);
    pollset_until(ps, sight_is_open(sight_of(g)) ? g->p.deadline : g->p.connect_by);
}

static struct deliver *start_look(struct sighting *g)
{
    const struct sight_params *p = &g->p;
    g->account = *p->account;
    g->account.timeout = p->deadline - clock_now() + USEC_PER_SEC; /* ours passes before */
    g->account.ipv4_only = g->account.ipv6_only = false;           /* the address says it */
    g->hop = (struct hop){
        .host = (char *)p->host,
        .address = (char *)p->address,
        .port = p->port,
        .mss = p->mss,
        .tls = p->implicit ? SESSION_TLS_IMPLICIT : SESSION_TLS_STRICT,
        .verify = true,
        .exchanger = p->exchanger,
        .wanted = p->wanted,
        .tlsa = p->tlsa,
    };
    if (p->names)
        g->hop.names = *p->names;
    g->probe.keep_pem = p->keep_chain;
    const struct deliver_params look = {
        .account = &g->account,
        .hop = &g->hop,
        .look = true,
        .probe = p->keep_chain ? &g->probe : NULL,
        .credentials = p->credentials,
        .hub = p->hub,
        .connection = sight_of(g)->connection,
        .deadline = USEC_NEVER,
    };
    return deliver_new(&look);
}

/* NULL: the address is none any more, as when its network interface has gone. */
static struct reach *start_reach(struct sighting *g)
{
    const struct sight_params *p = &g->p;
    struct addrinfo *a = resolve_numeric(p->address, p->port, AF_UNSPEC);
    if (!a)
        return NULL;
    const struct reach_params params = {
        .address = a->ai_addr,
        .len = a->ai_addrlen,
        .port = p->port,
        .source_ip = p->account->source_ip,
        .mss = p->mss,
        .deadline = p->connect_by,
    };
    struct reach *r = reach_new(&params);
    freeaddrinfo(a);
    return r;
}

struct sighting *sight_start(const struct sight_params *p)
{
    struct sighting *g = xcalloc(1, sizeof *g);
    *g = (struct sighting){ .task = { step, waits }, .p = *p, .index = p->scene->n_sights };
    struct sight *v = scene_add_sight(p->scene);
    const usec now = clock_now() - p->hub->start;
    *v = (struct sight){
        .role = p->role,
        .connection = ++p->scene->connections,
        .host = xstrdup(p->host),
        .address = p->address ? xstrdup(p->address) : NULL,
        .family = !p->address ? AF_UNSPEC : strchr(p->address, ':') ? AF_INET6 : AF_INET,
        .port = p->port,
        .implicit = p->implicit,
        .crossed = p->crossed,
        .mss = p->mss,
        .reach_only = p->reach_only,
        .begun = now,
        .last = now,
    };
    if (!p->reach_only) {
        g->look = start_look(g);
    } else if (!(g->reach = start_reach(g))) {
        v->done = g->over = true;
        v->reach = REACH_OTHER;
    }
    return g;
}

struct task *sight_task(struct sighting *g)
{
    return &g->task;
}

void sight_stop(struct sighting *g)
{
    if (!g)
        return;
    deliver_free(g->look);
    reach_free(g->reach);
    free(g);
}
