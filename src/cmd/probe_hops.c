/* probe_hops: where a probe goes: the mail exchangers of a domain, and with --all-mx each address of each host. Waits
 * for its answers. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/probe.h"
#include "net/dns.h"
#include "net/resolve.h"
#include "send/mx.h"

static const usec LOOKUP_TIMEOUT = 30 * USEC_PER_SEC;

static usec lookup_deadline(const struct account *a)
{
    return clock_deadline(a->timeout > 0 ? usec_min(LOOKUP_TIMEOUT, a->timeout) : LOOKUP_TIMEOUT);
}

static void one_hop_each(struct route *r, const struct mx_list *list)
{
    const struct hop model = r->v[0];
    struct hop *hops = xcalloc(list->n, sizeof *hops);
    for (size_t i = 0; i < list->n; i++)
        hops[i] = (struct hop){
            .host = xstrdup(list->v[i].name), .port = model.port, .tls = model.tls, .verify = model.verify,
        };
    route_free(r);
    *r = (struct route){ .v = hops, .n = list->n };
}

bool probe_hops(struct probe_plan *p, struct hub *hub, struct err *e)
{
    const struct dns_params params = { .server = p->dns_server };
    struct mx_list list = { 0 };
    struct err missing = ERR_INIT;
    if (!p->mx_domain)
        return true;
    struct dns *dns = dns_new(&params, &missing);
    if (!dns && missing.fault == FAULT_SYSTEM) { /* as swaks without Net::DNS */
        show_probe_error(&p->show, "MX records cannot be looked up: %s.  Using %s as mail server", missing.text,
                         p->mx_domain);
        err_clear(&missing);
        return true;
    }
    err_move(e, &missing);
    bool ok = dns && mx_lookup(&list, dns, p->mx_domain, lookup_deadline(&p->account), hub, e);
    if (ok)
        one_hop_each(&p->route, &list);
    else
        err_stage(e, STAGE_LOOKUP);
    mx_list_free(&list);
    dns_free(dns);
    return ok;
}

bool probe_goes_on(const struct probe_plan *p, int status)
{
    return p->all_mx || status == PROBE_NO_CONNECTION;
}

int probe_next_status(const struct probe_plan *p, int before, int status)
{
    return p->all_mx && before ? before : status;
}

static void add_address(struct strlist *addresses, const struct addrinfo *a)
{
    char text[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
        strlist_add(addresses, text);
}

void probe_addresses(const struct hop *hop, const struct account *a, struct strlist *addresses)
{
    int status, errno_value, family = a->ipv4_only ? AF_INET : a->ipv6_only ? AF_INET6 : AF_UNSPEC;
    const struct addrinfo *list = NULL;
    struct pollset ps = POLLSET_INIT;
    usec deadline = lookup_deadline(a);
    struct resolve *r = hop->host ? resolve_start(hop->host, hop->port, family, 0) : NULL;
    while (r && !resolve_done(r, &status, &errno_value, &list) && clock_now() < deadline) {
        pollset_reset(&ps);
        pollset_add(&ps, resolve_fd(r), POLLIN);
        pollset_until(&ps, deadline);
        pollset_wait(&ps);
    }
    for (; list; list = list->ai_next)
        add_address(addresses, list);
    resolve_free(r);
    pollset_free(&ps);
}
