/* dns: questions to libunbound, whose thread answers them. What the octets of a record mean is dns_records.c's, what a
 * failure is due to dns_why.c's. */
#include "net/dns.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unbound.h>
#include <unistd.h>

#include "base/door.h"
#include "net/dns_why.h"

#define UNBOUND_SYMBOLS(X)                                                                                      \
    X(ub_ctx_create) X(ub_ctx_delete) X(ub_ctx_set_option) X(ub_ctx_set_fwd) X(ub_ctx_resolvconf) X(ub_ctx_async) \
    X(ub_ctx_add_ta_file) X(ub_ctx_debugout) X(ub_fd) X(ub_process) X(ub_resolve_async) X(ub_cancel)            \
    X(ub_resolve_free) X(ub_strerror) X(ub_ctx_zone_remove)
DOOR_STRUCT(unbound_api, UNBOUND_SYMBOLS);
const struct unbound_api *unbound_door(struct err *e);
DOOR_DEFINE(unbound_door, unbound_api, UNBOUND_SYMBOLS, "libunbound.so.8", "libunbound8",
            "recommended", "dns", "MX and other DNS records, with DNSSEC")

enum { CLASS_IN = 1, RCODE_NOERROR = 0, RCODE_SERVFAIL = 2, RCODE_REFUSED = 5, TYPE_RRSIG = 46, TYPE_DNSKEY = 48 };

struct dns {
    const struct unbound_api *api;
    struct ub_ctx *ctx;        /* own */
    char *server;              /* own or NULL: those of /etc/resolv.conf */
    bool validate;
    struct dns_question *root; /* own or NULL: for the root's keys, asked with the first question where answers are
                                  validated: whether those can be says what is wrong with other answers */
    bool news, waited;         /* answers came in since the tasks were waited for; they were waited for since */
};

struct dns_question {
    struct dns *dns;
    int type;
    int id;             /* libunbound's, while it is asked */
    bool over, explained;
    bool has_signatures;
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
static bool unbound_address(const char *server, struct buf *out)
{
    const char *end = strrchr(server, ':'); /* of the address */
    bool bracket = server[0] == '[';
    if (bracket)
        end = strchr(server, ']');
    else if (!end || strchr(server, ':') != end)
        end = server + strlen(server); /* no port, or an IPv6 address without one */
    if (!end)
        return false;
    buf_add(out, server + bracket, (size_t)(end - server) - bracket);
    end += bracket;
    if (*end == '\0')
        return true;
    char *rest;
    long port = *end == ':' ? strtol(end + 1, &rest, 10) : 0;
    buf_printf(out, "@%ld", port);
    return port > 0 && port < 65536 && *rest == '\0';
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
    bool ok = unbound_address(server, &address) && d->api->ub_ctx_set_fwd(d->ctx, address.data) == 0;
    buf_free(&address);
    if (ok)
        return true;
    err_set(e, FAULT_CONFIG, "'%s' is not the address of a name server", server);
    return err_hint(e, "write it as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53");
}

static bool bad_anchor(const char *path, struct err *e)
{
    err_set(e, FAULT_CONFIG, "cannot read a trust anchor from '%s'", path);
    return err_hint(e, "it holds DS or DNSKEY records of the root, one a line");
}

static bool choose_anchor(struct dns *d, const char *anchor, struct err *e)
{
    const char *path = anchor ? anchor : system_anchor();
    if (!path) {
        err_set(e, FAULT_CONFIG, "there is no root key to validate DNS answers with");
        return err_hint(e, "install the package 'dns-root-data', or name a file with 'dns_anchor'");
    }
    struct stat st; /* of a folder, libunbound reads for ever */
    bool ok = access(path, R_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
              d->api->ub_ctx_add_ta_file(d->ctx, path) == 0;
    return ok || bad_anchor(path, e);
}

static bool configure(struct dns *d, const struct dns_params *p, struct err *e)
{
    const struct { const char *option, *value; } options[] = {
        { "module-config:", p->validate ? "validator iterator" : "iterator" },
        { "do-not-query-localhost:", "no" }, /* a resolver on this machine is the usual case */
        { "qname-minimisation:", "no" },     /* whoever is asked forwards */
        { "unblock-lan-zones:", "yes" },     /* what private addresses are called is his to say, too */
        { "insecure-lan-zones:", "yes" },
        { "outgoing-range:", "256" },        /* questions on their way at once: few would all wait for dead ones */
        { "outgoing-num-tcp:", "16" },
        { "infra-host-ttl:", "0" },          /* one domain that nobody answers for does not stand for the server */
        { "val-clean-additional:", "no" }, /* nobody looks at them, and of 60 exchangers they take seconds */
        { "trust-anchor-signaling:", "no" }, /* statistics of the root's owners are of resolvers */
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        d->api->ub_ctx_set_option(d->ctx, options[i].option, options[i].value);
    d->api->ub_ctx_debugout(d->ctx, NULL);
    d->api->ub_ctx_async(d->ctx, 1);
    if (!choose_servers(d, p->server, e) || (p->validate && !choose_anchor(d, p->anchor, e)))
        return false;
    /* Names that libunbound would answer itself. The first call also reads what was chosen above. */
    static const char *const asked_too[] = { "test.", "127.in-addr.arpa." };
    for (size_t i = 0; i < sizeof asked_too / sizeof *asked_too; i++)
        if (d->api->ub_ctx_zone_remove(d->ctx, asked_too[i]) != 0)
            return p->validate ? bad_anchor(p->anchor ? p->anchor : system_anchor(), e)
                               : err_set(e, FAULT_SYSTEM, "libunbound cannot be started");
    return true;
}

struct dns *dns_new(const struct dns_params *p, struct err *e)
{
    const struct unbound_api *api = unbound_door(e);
    if (!api)
        return NULL;
    struct dns *d = xcalloc(1, sizeof *d);
    *d = (struct dns){
        .api = api, .ctx = api->ub_ctx_create(), .validate = p->validate,
        .server = p->server ? xstrdup(p->server) : NULL,
    };
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
    dns_question_free(d->root);
    if (d->ctx)
        d->api->ub_ctx_delete(d->ctx);
    free(d->server);
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
    case RCODE_SERVFAIL: return "SERVFAIL";
    case RCODE_REFUSED: return "REFUSED";
    default: return "an error";
    }
}

static void take_records(struct dns_question *q, const struct ub_result *r)
{
    for (size_t i = 0; r->data[i] && q->answer.n < DNS_RECORDS_MAX; i++)
        if (r->len[i] >= 0)
            dns_answer_add(&q->answer, (enum dns_type)q->type, r->data[i], (size_t)r->len[i]);
    if (q->answer.n > 0 || q->type == TYPE_DNSKEY)
        q->answer.status = DNS_FOUND;
    else /* not the same as none: mail would go to the domain's own address (RFC 5321 5.1) */
        failed(q, "none of its records can be read");
}

static void take_name(struct dns_answer *a, const char *name)
{
    size_t n = strlen(name);
    char *plain = xstrndup(name, n > 0 && name[n - 1] == '.' ? n - 1 : n);
    free(a->name);
    a->name = plain;
}

static void take_result(struct dns_question *q, const struct ub_result *r)
{
    struct dns_answer *a = &q->answer;
    a->secure = r->secure;
    a->ttl = r->ttl;
    q->has_signatures = dns_message_has(r->answer_packet, r->answer_len > 0 ? (size_t)r->answer_len : 0, TYPE_RRSIG);
    if (r->canonname)
        take_name(a, r->canonname);
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

static void take_error(struct dns_question *q, int error)
{
    if (error != UB_SYNTAX) {
        failed(q, q->dns->api->ub_strerror(error));
        return;
    }
    q->over = true; /* too long, or a label is empty: there cannot be such a name */
    q->answer.status = DNS_NO_NAME;
}

static void on_result(void *arg, int error, struct ub_result *r)
{
    struct dns_question *q = arg;
    q->over = q->dns->news = true;
    if (error)
        take_error(q, error);
    else
        take_result(q, r);
    if (r)
        q->dns->api->ub_resolve_free(r);
}

/* libunbound's thread begins with the first question. Signals are this thread's, whose sleep they end. */
static struct dns_question *ask(struct dns *d, const char *name, int type)
{
    struct dns_question *q = xcalloc(1, sizeof *q);
    sigset_t all, before;
    *q = (struct dns_question){ .dns = d, .type = type };
    take_name(&q->answer, name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = d->api->ub_resolve_async(d->ctx, name, type, CLASS_IN, q, on_result, &q->id);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        take_error(q, rc);
    return q;
}

struct dns_question *dns_ask(struct dns *d, const char *name, enum dns_type type)
{
    if (d->validate && !d->root)
        d->root = ask(d, ".", TYPE_DNSKEY);
    return ask(d, name, type);
}

static void give_up(struct dns_question *q)
{
    q->dns->api->ub_cancel(q->dns->ctx, q->id);
    failed(q, "not in time");
}

static enum dns_root root_state(const struct dns_question *root)
{
    if (!root || !root->over)
        return ROOT_UNKNOWN;
    if (root->answer.status == DNS_FAILED)
        return ROOT_FAILED;
    if (root->answer.status == DNS_BOGUS)
        return root->has_signatures ? ROOT_BOGUS : ROOT_STRIPPED;
    return root->answer.secure ? ROOT_GOOD : ROOT_NO_ANCHOR;
}

/* An answer that is not secure is not given out before the root's is known, by which libunbound has judged it. */
static bool settled(struct dns_question *q, usec now, usec deadline)
{
    const struct dns_question *root = q->dns->root;
    if (q->explained)
        return true;
    if (root && !root->over && !q->answer.secure && q->answer.status != DNS_FAILED && now < deadline)
        return false;
    q->explained = true;
    dns_explain(&q->answer, root_state(root), root ? root->answer.why : NULL, q->dns->server);
    return true;
}

const struct dns_answer *dns_answer(struct dns_question *q, usec deadline)
{
    struct dns *d = q->dns;
    usec now = clock_now();
    if (d->waited)
        d->news = d->waited = false;
    if (!q->explained)
        d->api->ub_process(d->ctx);
    if (!q->over && now >= deadline)
        give_up(q);
    return q->over && settled(q, now, deadline) ? &q->answer : NULL;
}

/* One task's dns_answer() takes in the answers for all, and those stepped before it would sleep on. */
void dns_waits(struct dns *d, struct pollset *ps)
{
    d->waited = true;
    pollset_add(ps, d->api->ub_fd(d->ctx), POLLIN);
    if (d->news)
        pollset_until(ps, 0);
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
