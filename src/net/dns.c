/* dns: questions to libunbound, whose thread answers them. What the octets of a record mean is dns_records.c's. */
#include "net/dns.h"

#include <stdlib.h>
#include <string.h>
#include <unbound.h>
#include <unistd.h>

#include "base/door.h"

#define UNBOUND_SYMBOLS(X)                                                                                      \
    X(ub_ctx_create) X(ub_ctx_delete) X(ub_ctx_set_option) X(ub_ctx_set_fwd) X(ub_ctx_resolvconf) X(ub_ctx_async) \
    X(ub_ctx_add_ta_file) X(ub_ctx_debugout) X(ub_fd) X(ub_process) X(ub_resolve_async) X(ub_cancel)            \
    X(ub_resolve_free) X(ub_strerror) X(ub_ctx_zone_remove)
DOOR_STRUCT(unbound_api, UNBOUND_SYMBOLS);
const struct unbound_api *unbound_door(struct err *e);
DOOR_DEFINE(unbound_door, unbound_api, UNBOUND_SYMBOLS, "libunbound.so.8", "libunbound8")

enum { CLASS_IN = 1, RCODE_NOERROR = 0, RCODE_SERVFAIL = 2, RCODE_NXDOMAIN = 3, RCODE_REFUSED = 5 };

struct dns {
    const struct unbound_api *api;
    struct ub_ctx *ctx; /* own */
};

struct dns_question {
    struct dns *dns;
    enum dns_type type;
    int id;             /* libunbound's, while it is asked */
    bool over;
    struct dns_answer answer;
};

/* Where distributions keep the root's key. */
static const char *const anchors[] = {
    "/usr/share/dns/root.key", "/var/lib/unbound/root.key", "/etc/unbound/root.key", "/usr/local/etc/unbound/root.key",
    NULL,
};

static const char *system_anchor(void)
{
    for (const char *const *path = anchors; *path; path++)
        if (access(*path, R_OK) == 0)
            return *path;
    return NULL;
}

/* "192.0.2.1:5353" or "[2001:db8::1]:53" as libunbound writes it: "192.0.2.1@5353". */
static void unbound_address(const char *server, struct buf *out)
{
    const char *colon = strrchr(server, ':');
    bool bracket = server[0] == '[';
    if (!bracket && colon && strchr(server, ':') != colon)
        colon = NULL; /* an IPv6 address without a port */
    size_t n = bracket ? strcspn(server + 1, "]") : colon ? (size_t)(colon - server) : strlen(server);
    buf_add(out, server + bracket, n);
    if (bracket && server[n + 1] == ']' && server[n + 2] == ':')
        buf_printf(out, "@%s", server + n + 3);
    else if (!bracket && colon)
        buf_printf(out, "@%s", colon + 1);
}

static bool choose_servers(struct dns *d, const char *server, struct err *e)
{
    if (!server) {
        int rc = d->api->ub_ctx_resolvconf(d->ctx, NULL);
        if (rc == 0)
            return true;
        err_set(e, FAULT_DNS, "cannot use the name servers of /etc/resolv.conf: %s", d->api->ub_strerror(rc));
        return err_hint(e, "name one with --dns-server");
    }
    struct buf address = BUF_INIT;
    unbound_address(server, &address);
    int rc = d->api->ub_ctx_set_fwd(d->ctx, address.data);
    buf_free(&address);
    if (rc == 0)
        return true;
    err_set(e, FAULT_CONFIG, "'%s' is not the address of a name server", server);
    return err_hint(e, "write it as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53");
}

static bool choose_anchor(struct dns *d, const char *anchor, struct err *e)
{
    const char *path = anchor ? anchor : system_anchor();
    if (!path) {
        err_set(e, FAULT_CONFIG, "there is no root key to validate DNS answers with");
        return err_hint(e, "install the package 'dns-root-data', or name a file with 'dns_anchor'");
    }
    if (access(path, R_OK) == 0 && d->api->ub_ctx_add_ta_file(d->ctx, path) == 0)
        return true;
    err_set(e, FAULT_CONFIG, "cannot read a trust anchor from '%s'", path);
    return err_hint(e, "it holds DS or DNSKEY records of the root, one a line");
}

static bool configure(struct dns *d, const struct dns_params *p, struct err *e)
{
    const struct { const char *option, *value; } options[] = {
        { "module-config:", p->validate ? "validator iterator" : "iterator" },
        { "do-not-query-localhost:", "no" }, /* a resolver on this machine is the usual case */
        { "qname-minimisation:", "no" },     /* whoever is asked forwards */
        { "unblock-lan-zones:", "yes" },     /* what private addresses are called is his to say, too */
        { "insecure-lan-zones:", "yes" },
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        d->api->ub_ctx_set_option(d->ctx, options[i].option, options[i].value);
    d->api->ub_ctx_debugout(d->ctx, NULL);
    d->api->ub_ctx_async(d->ctx, 1);
    if (!choose_servers(d, p->server, e) || (p->validate && !choose_anchor(d, p->anchor, e)))
        return false;
    d->api->ub_ctx_zone_remove(d->ctx, "test.");
    return true;
}

struct dns *dns_new(const struct dns_params *p, struct err *e)
{
    const struct unbound_api *api = unbound_door(e);
    if (!api)
        return NULL;
    struct dns *d = xcalloc(1, sizeof *d);
    *d = (struct dns){ .api = api, .ctx = api->ub_ctx_create() };
    if (!d->ctx)
        err_set(e, FAULT_SYSTEM, "libunbound cannot be started");
    if (d->ctx && configure(d, p, e))
        return d;
    dns_free(d);
    return NULL;
}

void dns_free(struct dns *d)
{
    if (!d)
        return;
    if (d->ctx)
        d->api->ub_ctx_delete(d->ctx);
    free(d);
}

static void failed(struct dns_question *q, const char *why)
{
    q->over = true;
    q->answer.status = DNS_FAILED;
    free(q->answer.why);
    q->answer.why = xstrdup(why);
}

static const char *rcode_words(int rcode)
{
    switch (rcode) {
    case RCODE_SERVFAIL: return "the name server could not find out (SERVFAIL)";
    case RCODE_REFUSED: return "the name server refused to answer (REFUSED)";
    default: return "the name server made an error";
    }
}

static void take_records(struct dns_question *q, const struct ub_result *r)
{
    for (size_t i = 0; r->data[i] && q->answer.n < DNS_RECORDS_MAX; i++)
        if (r->len[i] >= 0)
            dns_answer_add(&q->answer, q->type, r->data[i], (size_t)r->len[i]);
    if (q->answer.n > 0)
        q->answer.status = DNS_FOUND;
    else /* not the same as none: mail would go to the domain's own address (RFC 5321 5.1) */
        failed(q, "none of its records can be read");
}

static void take_result(struct dns_question *q, const struct ub_result *r)
{
    struct dns_answer *a = &q->answer;
    a->secure = r->secure;
    a->ttl = r->ttl;
    if (r->canonname) {
        size_t n = strlen(r->canonname);
        free(a->name);
        a->name = xstrndup(r->canonname, n > 0 && r->canonname[n - 1] == '.' ? n - 1 : n);
    }
    if (r->bogus) {
        a->status = DNS_BOGUS;
        a->why = xstrdup(r->why_bogus ? r->why_bogus : "the signatures are not good");
    } else if (r->havedata) {
        take_records(q, r);
    } else if (r->nxdomain) {
        a->status = DNS_NO_NAME;
    } else if (r->rcode == RCODE_NOERROR) {
        a->status = DNS_NO_DATA;
    } else {
        failed(q, rcode_words(r->rcode));
    }
}

static void on_result(void *arg, int error, struct ub_result *r)
{
    struct dns_question *q = arg;
    q->over = true;
    if (error)
        failed(q, q->dns->api->ub_strerror(error));
    else
        take_result(q, r);
    if (r)
        q->dns->api->ub_resolve_free(r);
}

struct dns_question *dns_ask(struct dns *d, const char *name, enum dns_type type)
{
    struct dns_question *q = xcalloc(1, sizeof *q);
    *q = (struct dns_question){ .dns = d, .type = type, .answer.name = xstrdup(name) };
    int rc = d->api->ub_resolve_async(d->ctx, name, type, CLASS_IN, q, on_result, &q->id);
    if (rc != 0)
        failed(q, d->api->ub_strerror(rc));
    return q;
}

static void give_up(struct dns_question *q)
{
    q->dns->api->ub_cancel(q->dns->ctx, q->id);
    failed(q, "no name server answered in time");
}

const struct dns_answer *dns_answer(struct dns_question *q, usec deadline)
{
    if (!q->over)
        q->dns->api->ub_process(q->dns->ctx);
    if (!q->over && clock_now() >= deadline)
        give_up(q);
    return q->over ? &q->answer : NULL;
}

void dns_waits(const struct dns *d, struct pollset *ps)
{
    pollset_add(ps, d->api->ub_fd(d->ctx), POLLIN);
}

void dns_question_free(struct dns_question *q)
{
    if (!q)
        return;
    if (!q->over)
        give_up(q);
    dns_answer_free(&q->answer);
    free(q);
}
