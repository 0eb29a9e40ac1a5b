/* route: where to go, in which order, what TLS must be: the account's smarthost, port after port. Where a way failed,
 * which other one may do better. It knows of deliveries only how they ended. */
#include "send/route.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/address.h"

/* `tls auto`: RFC 8314 prefers implicit TLS; a password never goes out in clear, so where one is needed, on the
 * submission port, and where the certificate is known beforehand, TLS is required. */
static enum session_tls tls_level(const struct account *a)
{
    switch ((enum account_tls)a->tls) {
    case ACCOUNT_TLS_OFF:
        return SESSION_TLS_OFF;
    case ACCOUNT_TLS_ON:
        return a->tls_starttls ? SESSION_TLS_REQUIRED : SESSION_TLS_IMPLICIT;
    case ACCOUNT_TLS_AUTO:
        break;
    }
    if (a->socket)
        return SESSION_TLS_OFF;
    if (a->port == PORT_SUBMISSIONS)
        return SESSION_TLS_IMPLICIT;
    return a->port == PORT_SUBMISSION || a->user || a->tls_fingerprint.n > 0 ? SESSION_TLS_REQUIRED : SESSION_TLS_MAY;
}

/* A port that does not answer by then is not waited for while there is another. */
static const usec CONNECT_WITHIN = 10 * USEC_PER_SEC;

/* A repair that works does so at once. */
static const usec OPEN_WITHIN = 10 * USEC_PER_SEC;

enum {
    MSS_SMALL = 1200,    /* what most tunnels carry */
    MSS_SMALLEST = 536,  /* what every path of IPv4 carries (RFC 9293 3.7.1) */
};

static struct strlist copied_list(const struct strlist *list)
{
    struct strlist copy = STRLIST_INIT;
    strlist_copy(&copy, list);
    return copy;
}

static struct hop copied(const struct hop *hop)
{
    struct hop copy = *hop;
    copy.host = xstrdup(hop->host);
    copy.address = xstrdup(hop->address);
    copy.socket = xstrdup(hop->socket);
    copy.command = copied_list(&hop->command);
    copy.names = copied_list(&hop->names);
    copy.queue_id = NULL;
    return copy;
}

static void insert(struct route *r, size_t at, struct hop hop)
{
    r->v = xrealloc(r->v, (r->n + 1) * sizeof *r->v);
    memmove(r->v + at + 1, r->v + at, (r->n++ - at) * sizeof *r->v);
    r->v[at] = hop;
}

bool route_find(struct route *r, const struct account *a, struct err *e)
{
    struct buf host = BUF_INIT;
    if (a->mx) {
        err_set(e, FAULT_USAGE, "'host mx' names no server: each domain has its own");
        return err_hint(e, "'envoi mx DOMAIN' shows those of one domain; '--host=NAME' is for a single server");
    }
    if (!a->socket && !domain_to_ascii(a->host, &host, e)) {
        buf_free(&host);
        return false;
    }
    struct hop hop = { .port = (int)a->port, .socket = a->socket, .tls = tls_level(a), .mss = (int)a->mss };
    hop.host = a->socket ? NULL : host.data;
    /* Opportunistic TLS has nothing to compare a certificate with that would not be skipped by taking TLS away. */
    hop.verify = hop.tls != SESSION_TLS_MAY && a->tls_certcheck;
    bool several = !a->socket && a->ports.n > 1;
    for (size_t i = 0; i < (several ? a->ports.n : 1); i++) {
        if (several) {
            hop.port = (int)strtol(a->ports.v[i], NULL, 10);
            hop.tls = hop.port == PORT_SUBMISSIONS ? SESSION_TLS_IMPLICIT : SESSION_TLS_REQUIRED;
            hop.connect_within = i + 1 < a->ports.n ? CONNECT_WITHIN : 0;
        }
        insert(r, r->n, copied(&hop));
    }
    buf_free(&host);
    return true;
}

/* ---- mail exchangers ---- */

static const usec CONNECTING = 120 * USEC_PER_SEC;         /* for all addresses of a domain */
static const usec CONNECT_ONE_WITHIN = 30 * USEC_PER_SEC; /* … and for one */

static const struct { enum session_tls tls; bool verify; } levels[] = {
    [LEVEL_NONE] = { SESSION_TLS_OFF, false },
    [LEVEL_MAY] = { SESSION_TLS_MAY, false },
    [LEVEL_ENCRYPT] = { SESSION_TLS_REQUIRED, false },
    [LEVEL_DANE] = { SESSION_TLS_REQUIRED, true },
    [LEVEL_DANE_ONLY] = { SESSION_TLS_REQUIRED, true },
    [LEVEL_VERIFY] = { SESSION_TLS_REQUIRED, true },
    [LEVEL_FINGERPRINT] = { SESSION_TLS_REQUIRED, true },
};

/* The TLSA base domain is the name that the host is asked for and that its certificate may have (RFC 7672 3.2.2). */
static struct hop exchanger(const struct account *a, const struct destination *d, const struct destination_host *h)
{
    const struct policy_decision *p = &h->decision;
    const bool dane = p->wanted == LEVEL_DANE || p->wanted == LEVEL_DANE_ONLY;
    struct hop hop = {
        .host = dane && h->tlsa_name ? h->tlsa_name : h->name,
        .port = (int)a->port,
        .mss = (int)a->mss,
        .tls = levels[p->wanted].tls,
        .verify = levels[p->wanted].verify,
        .exchanger = true,
        .wanted = p->wanted,
        .report = p->report,
        .tlsa = dane ? &h->tlsa_answer : NULL,
    };
    if (dane)
        destination_names(d, &hop.names);
    return hop;
}

void route_exchangers(struct route *r, const struct account *a, const struct destination *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct destination_host *h = &d->v[i];
        if (h->decision.skip || h->here)
            continue;
        struct hop hop = exchanger(a, d, h);
        for (size_t k = 0; k < h->addresses.n && r->n < DESTINATION_ADDRESSES_MAX; k++) {
            hop.address = h->addresses.v[k];
            insert(r, r->n, copied(&hop));
        }
        strlist_free(&hop.names);
    }
    for (size_t i = 0; i < r->n; i++)
        r->v[i].connect_within = usec_min(CONNECT_ONE_WITHIN, CONNECTING / (usec)r->n);
}

/* ---- another way ---- */

enum {
    PORT = 1 << 0,
    FAMILY = 1 << 1,
    SEGMENTS = 1 << 2,
    EXCHANGER = 1 << 3, /* the next one of the domain */
    CLEAR = 1 << 4,     /* the same exchanger without TLS, where that is allowed */
};

#define ANY STAGE_NONE /* up to the end of the message, of which nothing was taken before */

/* What another way may mend; everything else is the server's word, or comes behind it. A connection is cut where it did
 * not come as far as a greeting and TLS. */
static const struct failure {
    enum stage stage;
    enum fault fault;
    bool cut;
    unsigned mends;
    const char *words;
} failures[] = {
    { STAGE_CONNECT, FAULT_TIMEOUT, true, PORT | EXCHANGER, "does not answer" },
    { STAGE_CONNECT, FAULT_CONNECT, true, PORT | EXCHANGER, "cannot be reached" },
    { STAGE_PROXY, FAULT_CONNECT, true, PORT | EXCHANGER, "cannot be reached by the proxy" },
    { STAGE_PROXY, FAULT_UNAVAILABLE, true, PORT | EXCHANGER, "is not allowed by the proxy" },
    { STAGE_GREETING, FAULT_TIMEOUT, true, PORT | FAMILY | EXCHANGER, "does not greet" },
    { STAGE_GREETING, FAULT_LOST, true, PORT | FAMILY | EXCHANGER, "closes the connection" },
    { STAGE_GREETING, FAULT_PROTOCOL, true, PORT | EXCHANGER, "does not speak SMTP" },
    { STAGE_EHLO, FAULT_TIMEOUT, true, PORT | EXCHANGER, "does not answer EHLO" },
    { STAGE_EHLO, FAULT_LOST, true, PORT | EXCHANGER, "closes the connection" },
    { STAGE_STARTTLS, FAULT_TIMEOUT, true, PORT | EXCHANGER | CLEAR, "does not answer STARTTLS" },
    { STAGE_STARTTLS, FAULT_LOST, true, PORT | EXCHANGER | CLEAR, "closes the connection" },
    { STAGE_STARTTLS, FAULT_UNAVAILABLE, true, PORT | EXCHANGER, "has no STARTTLS" },
    { STAGE_TLS, FAULT_TIMEOUT, true, PORT | FAMILY | SEGMENTS | EXCHANGER | CLEAR, "hangs in the TLS handshake" },
    { STAGE_TLS, FAULT_LOST, true, PORT | EXCHANGER | CLEAR, "breaks the TLS handshake off" },
    { STAGE_TLS, FAULT_TLS, true, PORT | EXCHANGER | CLEAR, "does not come to terms about TLS" },
    { STAGE_BODY, FAULT_TIMEOUT, false, SEGMENTS, "stops taking the message" },
    { STAGE_MAIL, FAULT_MESSAGE, false, EXCHANGER, "does not take such messages" },
    { STAGE_DOT, FAULT_TEMPORARY, false, EXCHANGER, "does not take the message now" },
    { ANY, FAULT_CERTIFICATE, false, EXCHANGER, "has no acceptable certificate" },
    { ANY, FAULT_TEMPORARY, false, EXCHANGER, "asks to come back later" },
    { ANY, FAULT_UNAVAILABLE, false, EXCHANGER, "refuses to serve us" },
    { ANY, FAULT_TIMEOUT, false, EXCHANGER, "stops answering" },
    { ANY, FAULT_LOST, false, EXCHANGER, "closes the connection" },
    { ANY, FAULT_PROTOCOL, false, EXCHANGER, "breaks the protocol" },
};

/* The failure that one of these `ways` may mend. */
static const struct failure *failure_of(const struct err *e, unsigned ways)
{
    if (!err_is_set(e) || e->fate != FATE_NOT_SENT)
        return NULL;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const struct failure *f = &failures[i];
        bool there = f->stage == e->stage || (f->stage == ANY && e->stage < STAGE_DOT);
        if (there && f->fault == e->fault && (f->mends & ways))
            return f;
    }
    return NULL;
}

bool route_was_cut(const struct err *e)
{
    const struct failure *f = failure_of(e, PORT | FAMILY | SEGMENTS);
    return f && f->cut;
}

static int smaller(int mss)
{
    return mss == 0 || mss > MSS_SMALL ? MSS_SMALL : mss > MSS_SMALLEST ? MSS_SMALLEST : 0;
}

static bool step_on(const struct route *r, size_t *at)
{
    bool more = *at + 1 < r->n;
    *at += more;
    return more;
}

static bool next_exchanger(struct route *r, size_t *at, const struct err *e)
{
    const struct failure *f = failure_of(e, EXCHANGER);
    struct hop *hop = &r->v[*at];
    if (err_is_set(e) && !f)
        return false;
    if (f) {
        hop->failed = f->words;
        hop->failed_at = e->stage;
    }
    if (f && (f->mends & CLEAR) && hop->wanted == LEVEL_MAY && hop->tls != SESSION_TLS_OFF) {
        struct hop clear = copied(hop);
        clear.tls = SESSION_TLS_OFF;
        clear.failed = NULL;
        insert(r, *at + 1, clear);
    }
    return step_on(r, at);
}

bool route_goes_on(struct route *r, size_t *at, const struct hop_end *end)
{
    struct hop *hop = &r->v[*at];
    if (end->offered && !hop->afresh && !end->out_of_time && failure_of(end->err, PORT))
        return hop->afresh = true; /* some servers cannot stand that; the same way, then, before all others */
    if (hop->exchanger)
        return !end->out_of_time && next_exchanger(r, at, end->err);
    const struct failure *f = failure_of(end->err, PORT | FAMILY | SEGMENTS);
    if (!f || end->out_of_time)
        return false;
    hop->failed = f->words;
    hop->failed_at = f->stage;
    bool family = (f->mends & FAMILY) && end->other_family;
    bool segments = (f->mends & SEGMENTS) && end->family && smaller(hop->mss);
    if (family || segments) {
        struct hop other = copied(hop);
        other.open_within = f->cut ? OPEN_WITHIN : 0;
        other.failed = NULL;
        if (family)
            other.family = end->other_family;
        else
            other.mss = smaller(hop->mss);
        insert(r, *at + 1, other);
    } else if (!(f->mends & PORT)) {
        return false;
    }
    return step_on(r, at);
}

bool route_keep_farthest(struct err *kept, struct err *later)
{
    bool farther = !err_is_set(later) || !err_is_set(kept) || later->stage > kept->stage;
    if (farther)
        err_clear(kept);
    err_move(kept, later);
    return farther;
}

bool route_is_mended(const struct route *r, size_t at, const struct err *end)
{
    return at > 0 && !r->v[at].exchanger
           && (!err_is_set(end) || (end->stage > r->v[at - 1].failed_at && end->stage > STAGE_TLS));
}

void route_advise(const struct route *r, size_t at, struct buf *out)
{
    const struct hop *first = &r->v[0], *way = &r->v[at];
    struct strlist lines = STRLIST_INIT;
    buf_printf(out, "port %d of '%s' %s, port %d", first->port, first->host, first->failed, way->port);
    if (way->port != first->port)
        strlist_add_own(&lines, xasprintf("port %d", way->port));
    if (way->family) {
        buf_printf(out, " over IPv%d", way->family == AF_INET6 ? 6 : 4);
        strlist_add_own(&lines, xasprintf("ipv%d_only on", way->family == AF_INET6 ? 6 : 4));
    }
    if (way->mss != first->mss) {
        buf_printf(out, " with segments of %d octets", way->mss);
        strlist_add_own(&lines, xasprintf("mss %d", way->mss));
    }
    buf_adds(out, " works: write ");
    for (size_t i = 0; i < lines.n; i++)
        buf_printf(out, "%s'%s'", i ? " and " : "", lines.v[i]);
    strlist_free(&lines);
}

static bool is_same_port(const struct hop *a, const struct hop *b)
{
    return a->port == b->port && (!a->exchanger || strcmp(a->host, b->host) == 0);
}

void route_tell_others(const struct route *r, size_t at, struct buf *out)
{
    const struct hop *told = &r->v[at];
    for (size_t i = 0; i < r->n; i++) {
        const struct hop *hop = &r->v[i];
        if (!hop->failed || is_same_port(hop, &r->v[at]) || is_same_port(hop, told))
            continue;
        told = hop;
        if (hop->exchanger)
            buf_printf(out, "; '%s' %s", hop->host, hop->failed);
        else
            buf_printf(out, "; port %d %s", hop->port, hop->failed);
    }
}

void route_free(struct route *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].host);
        free(r->v[i].address);
        free(r->v[i].socket);
        strlist_free(&r->v[i].command);
        strlist_free(&r->v[i].names);
        free(r->v[i].queue_id);
    }
    free(r->v);
    *r = (struct route)ROUTE_INIT;
}
