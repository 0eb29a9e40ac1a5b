/* dial_explain: why no connection came about, in words, and what to do about it. It changes nothing. */
#include "net/dial_private.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

static bool no_address(int status)
{
    return status == 0 || status == EAI_NONAME || status == EAI_NODATA || status == EAI_ADDRFAMILY;
}

enum io dial_explain_lookup(const struct dial *d, struct err *e)
{
    const struct lookup *v6 = &d->lookups[V6], *v4 = &d->lookups[V4];
    const struct lookup *bad = !no_address(v4->status) ? v4 : v6;
    const char *what = d->p.proxy != PROXY_NONE ? "proxy" : "host";
    if (!no_address(bad->status)) {
        err_set(e, FAULT_DNS, "the %s '%s' cannot be looked up now: %s", what, d->host,
                bad->status == EAI_SYSTEM ? strerror(bad->errno_value) : gai_strerror(bad->status));
        err_hint(e, "is this machine connected to the network, and does the name server in /etc/resolv.conf answer?");
    } else if (v6->status != EAI_NODATA && v4->status != EAI_NODATA) {
        err_set(e, FAULT_NO_HOST, "the %s '%s' does not exist", what, d->host);
        err_hint(e, "is the name spelt right?");
    } else {
        const char *kind = d->p.family == AF_INET ? "IPv4 " : d->p.family == AF_INET6 ? "IPv6 " : "";
        err_set(e, FAULT_NO_HOST, "the %s '%s' has no %saddress", what, d->host, kind);
        err_hint(e, *kind ? "without -4, -6 and 'source_ip' the other family would be used, too"
                          : "is the name spelt right?");
    }
    err_stage(e, STAGE_LOOKUP);
    return IO_ERROR;
}

/* What to do about connect's errno. */
static const struct connect_hint {
    int reason;
    const char *hint;
} connect_hints[] = {
    { ECONNREFUSED, "nothing listens on that port, or a firewall refuses; is 'port' right? (587 and 465 are for "
                    "sending, 25 is often closed)" },
    { ETIMEDOUT, "many networks drop connections to port 25, some also to others; try port 587 or 465" },
    { ENETUNREACH, "this machine has no route to that network; is it connected?" },
    { EHOSTUNREACH, "a router says that the host cannot be reached, or that the port is not allowed" },
    { EACCES, "a firewall on the way, or of this machine, forbids it" },
    { EPERM, "a firewall of this machine forbids it" },
    { ECONNRESET, "the server, or a firewall on the way, cut the connection at once; this address "
                  "may be banned there" },
    { EADDRNOTAVAIL, "the machine has no address for it; is IPv6 switched off, or 'source_ip' wrong?" },
    { 0, NULL },
}, socket_hints[] = {
    { ECONNREFUSED, "nobody listens on it; is 'socket' right, and does the server run?" },
    { ENOENT, "there is no such socket; is 'socket' right, and does the server run?" },
    { EACCES, "connecting needs permission to write to the socket, and to enter its directories" },
    { 0, NULL },
};

static const char *hint_for(const struct connect_hint *hints, int reason)
{
    while (hints->hint && hints->reason != reason)
        hints++;
    return hints->hint;
}

enum io dial_explain_connect(const struct dial *d, enum fault fault, struct err *e)
{
    struct buf why = BUF_INIT;
    bool is_unix = d->p.unix_path != NULL;
    int first = d->n > 0 ? d->attempts[0].reason : 0;
    for (size_t i = 0; i < d->n; i++) {
        const struct attempt *a = &d->attempts[i];
        const char *words = a->reason == ETIMEDOUT ? "no answer" : a->reason ? strerror(a->reason) : "not tried";
        if (is_unix || (d->n == 1 && ascii_ieq(a->text, d->host)))
            buf_printf(&why, "%s", words);
        else
            buf_printf(&why, "%s%s: %s", i > 0 ? ", " : "", a->text, words);
    }
    const char *what = d->p.proxy != PROXY_NONE ? "the proxy " : "";
    if (is_unix)
        err_set(e, fault, "cannot connect to the socket '%s': %s", d->host, why.data);
    else
        err_set(e, fault, "cannot connect to %s'%s' port %d: %s", what, d->host, d->port, why.data);
    buf_free(&why);
    if (d->source_reason && d->p.source_port > 0 && d->source_reason != EADDRNOTAVAIL)
        err_hint(e, d->source_reason == EACCES ? "only the administrator may connect from port %d"
                                               : "this machine uses port %d already", d->p.source_port);
    else if (d->source_reason && d->p.source_ip)
        err_hint(e, "'source_ip' must be an address of this machine; '%s' is not", d->p.source_ip);
    else if (d->p.proxy != PROXY_NONE)
        err_hint(e, "'proxy_host' and 'proxy_port' say where the proxy is");
    else if (hint_for(is_unix ? socket_hints : connect_hints, first))
        err_hint(e, "%s", hint_for(is_unix ? socket_hints : connect_hints, first));
    err_stage(e, STAGE_CONNECT);
    return IO_ERROR;
}
