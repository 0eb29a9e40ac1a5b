/* reach: one non-blocking connect(), its errno, and the ICMP message behind it.
 * Must not know of names, streams, TLS or SMTP. */
#include "net/reach.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/resolve.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct reach {
    struct task task;
    union address address, source;
    socklen_t len, source_len; /* source_len 0: any */
    bool bad_source;
    int ttl, mss;
    usec deadline, began;
    int fd;                    /* own; -1: not begun, or over */
    bool done;
    struct reach_result result;
};

/* --- words ---------------------------------------------------------------------------------------------------- */

static const struct {
    const char *word, *phrase;
} outcomes[REACH_OUTCOMES] = {
    [REACH_OPEN] = { "open", "is open" },
    [REACH_REFUSED] = { "refused", "refuses the connection" },
    [REACH_SILENT] = { "silent", "does not answer" },
    [REACH_HOST_UNREACHABLE] = { "host-unreachable", "is said to be out of reach" },
    [REACH_NET_UNREACHABLE] = { "net-unreachable", "lies in a network without a route to it" },
    [REACH_PROHIBITED] = { "prohibited", "is prohibited by a rule on the way" },
    [REACH_LOCAL_FIREWALL] = { "local-firewall", "is forbidden by this machine's own firewall" },
    [REACH_NO_FAMILY] = { "no-family", "cannot be tried: this machine does not use that address family" },
    [REACH_BLACKHOLE] = { "blackhole", "lies behind a 'blackhole' route of this machine" },
    [REACH_EXPIRED] = { "expired", "lies farther away than the packets may go" },
    [REACH_BAD_SOURCE] = { "bad-source", "cannot be tried: the source address is not this machine's" },
    [REACH_OTHER] = { "other", "cannot be tried" },
};

const char *reach_word(enum reach_outcome outcome)
{
    return outcomes[outcome].word;
}

const char *reach_phrase(enum reach_outcome outcome)
{
    return outcomes[outcome].phrase;
}

static const struct {
    int reason;
    enum reach_outcome outcome;
} reasons[] = {
    { 0, REACH_OPEN },
    { ECONNREFUSED, REACH_REFUSED },
    { ETIMEDOUT, REACH_SILENT },
    { EHOSTUNREACH, REACH_HOST_UNREACHABLE },
    { EHOSTDOWN, REACH_HOST_UNREACHABLE },
    { ENETUNREACH, REACH_NET_UNREACHABLE },
    { ENETDOWN, REACH_NET_UNREACHABLE },
    { EACCES, REACH_PROHIBITED },
    { EPERM, REACH_LOCAL_FIREWALL },
    { EADDRNOTAVAIL, REACH_NO_FAMILY },
    { EAFNOSUPPORT, REACH_NO_FAMILY },
    { EINVAL, REACH_BLACKHOLE },
};

enum reach_outcome reach_outcome_of(int reason)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].reason == reason)
            return reasons[i].outcome;
    return REACH_OTHER;
}

/* RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1; RFC 4443 3.1, 3.3. */
static const struct icmp_phrase {
    int family, type, code;
    const char *phrase;
} icmp_phrases[] = {
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_NET, "network unreachable" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_HOST, "host unreachable" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_PROTOCOL, "protocol unreachable" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_PORT, "port unreachable" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_NET_UNKNOWN, "network unknown" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_HOST_UNKNOWN, "host unknown" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_NET_PROHIB, "network administratively prohibited" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_HOST_PROHIB, "host administratively prohibited" },
    { AF_INET, ICMP_UNREACH, ICMP_UNREACH_FILTER_PROHIB, "administratively prohibited" },
    { AF_INET, ICMP_TIMXCEED, ICMP_TIMXCEED_INTRANS, "time exceeded" },
    { AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE, "no route" },
    { AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN, "administratively prohibited" },
    { AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_BEYONDSCOPE, "beyond the scope of the source address" },
    { AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR, "address unreachable" },
    { AF_INET6, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, "port unreachable" },
    { AF_INET6, ICMP6_DST_UNREACH, 5, "source address failed the policy" },
    { AF_INET6, ICMP6_DST_UNREACH, 6, "route rejected" },
    { AF_INET6, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT, "time exceeded" },
};

const char *reach_icmp_phrase(int family, const struct reach_icmp *icmp)
{
    const struct icmp_phrase *end = icmp_phrases + sizeof icmp_phrases / sizeof *icmp_phrases;
    for (const struct icmp_phrase *p = icmp_phrases; icmp->known && p < end; p++)
        if (p->family == family && p->type == icmp->type && p->code == icmp->code)
            return p->phrase;
    return NULL;
}

static bool icmp_expired(const struct reach_icmp *icmp, int family)
{
    return icmp->known && icmp->type == (family == AF_INET ? ICMP_TIMXCEED : ICMP6_TIME_EXCEEDED);
}

/* --- sockets -------------------------------------------------------------------------------------------------- */

int reach_socket(int family, int type, int ttl)
{
    bool v4 = family == AF_INET;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Not all systems have it for TCP: then the errno is all there is. */
    setsockopt(fd, level, v4 ? IP_RECVERR : IPV6_RECVERR, &(int){ 1 }, sizeof(int));
    if (ttl == 0 || setsockopt(fd, level, v4 ? IP_TTL : IPV6_UNICAST_HOPS, &ttl, sizeof ttl) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static bool take_icmp(const struct sock_extended_err *x, struct reach_icmp *icmp, int *reason)
{
    if (x->ee_origin != SO_EE_ORIGIN_ICMP && x->ee_origin != SO_EE_ORIGIN_ICMP6)
        return false;
    const union address *from = (const union address *)SO_EE_OFFENDER(x);
    *icmp = (struct reach_icmp){ .known = true, .type = x->ee_type, .code = x->ee_code };
    if (from->any.sa_family == AF_INET)
        inet_ntop(AF_INET, &from->in.sin_addr, icmp->from, sizeof icmp->from);
    else if (from->any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &from->in6.sin6_addr, icmp->from, sizeof icmp->from);
    *reason = (int)x->ee_errno;
    return true;
}

bool reach_read_icmp(int fd, struct reach_icmp *icmp, int *reason)
{
    union {
        char octets[CMSG_SPACE(sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6)) + 256];
        struct cmsghdr align;
    } control;
    struct msghdr m = { .msg_control = control.octets, .msg_controllen = sizeof control.octets };
    if (recvmsg(fd, &m, MSG_ERRQUEUE) < 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        if (ours && take_icmp((const struct sock_extended_err *)CMSG_DATA(c), icmp, reason))
            return true;
    }
    return false;
}

/* --- the attempt ---------------------------------------------------------------------------------------------- */

static void end(struct reach *r, enum reach_outcome outcome, int reason)
{
    r->result.took = clock_now() - r->began;
    r->result.outcome = outcome;
    r->result.reason = reason;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    r->done = true;
}

/* connect() or the network said `reason`. */
static void end_by(struct reach *r, int reason)
{
    enum reach_outcome outcome = reach_outcome_of(reason);
    int said;
    if (r->fd >= 0 && reason != 0 && !r->result.icmp.known)
        reach_read_icmp(r->fd, &r->result.icmp, &said);
    bool untold = !r->result.icmp.known && r->ttl > 0 && outcome == REACH_HOST_UNREACHABLE && !r->result.at_once;
    if (untold || icmp_expired(&r->result.icmp, r->address.any.sa_family))
        outcome = REACH_EXPIRED;
    end(r, outcome, reason);
}

static bool prepare(struct reach *r)
{
    if (r->bad_source) {
        end(r, REACH_BAD_SOURCE, EADDRNOTAVAIL);
        return false;
    }
    r->fd = reach_socket(r->address.any.sa_family, SOCK_STREAM, r->ttl);
    if (r->fd < 0) {
        end(r, errno == EAFNOSUPPORT ? REACH_NO_FAMILY : REACH_OTHER, errno);
        return false;
    }
    if (r->mss > 0 && setsockopt(r->fd, IPPROTO_TCP, TCP_MAXSEG, &r->mss, sizeof r->mss) < 0) {
        end(r, REACH_OTHER, errno);
        return false;
    }
    if (r->source_len == 0)
        return true;
    setsockopt(r->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
    if (bind(r->fd, &r->source.any, r->source_len) < 0) {
        end(r, REACH_BAD_SOURCE, errno);
        return false;
    }
    return true;
}

static void begin(struct reach *r)
{
    r->began = clock_now();
    r->result.at_once = true;
    if (!prepare(r))
        return;
    r->began = clock_now();
    int reason = connect(r->fd, &r->address.any, r->len) == 0 ? 0 : errno;
    r->result.at_once = reason != EINPROGRESS && reason != EINTR;
    if (r->result.at_once)
        end_by(r, reason);
}

/* An ICMP message of this machine's own firewall may come while connect() still holds the socket: the kernel then keeps
 * the error for the end of its retries, but it stands in the error queue already. */
static void look(struct reach *r)
{
    struct pollfd p = { .fd = r->fd, .events = POLLOUT };
    if (poll(&p, 1, 0) > 0) {
        int reason = 0, said;
        getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &reason, &(socklen_t){ sizeof reason });
        bool open = reason == 0 && (p.revents & POLLOUT);
        if (reason == 0 && !open && reach_read_icmp(r->fd, &r->result.icmp, &said))
            reason = said;
        if (open || reason != 0) {
            end_by(r, reason);
            return;
        }
    }
    if (clock_now() >= r->deadline)
        end(r, REACH_SILENT, 0);
}

static bool step(struct task *t)
{
    struct reach *r = (struct reach *)t;
    if (!r->done && r->fd < 0)
        begin(r);
    if (!r->done)
        look(r);
    return r->done;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct reach *r = (const struct reach *)t;
    if (r->done)
        return;
    pollset_add(ps, r->fd, POLLOUT);
    pollset_until(ps, r->deadline);
}

/* --- from outside --------------------------------------------------------------------------------------------- */

static void set_source(struct reach *r, const char *source_ip)
{
    struct addrinfo *a = resolve_numeric(source_ip, 0, r->address.any.sa_family);
    r->bad_source = !a;
    if (!a)
        return;
    memcpy(&r->source, a->ai_addr, a->ai_addrlen);
    r->source_len = a->ai_addrlen;
    freeaddrinfo(a);
}

struct reach *reach_new(const struct reach_params *p)
{
    struct reach *r = xcalloc(1, sizeof *r);
    r->task = (struct task){ step, waits };
    r->len = p->len < sizeof r->address ? p->len : (socklen_t)sizeof r->address;
    memcpy(&r->address, p->address, r->len);
    if (r->address.any.sa_family == AF_INET6)
        r->address.in6.sin6_port = htons((uint16_t)p->port);
    else
        r->address.in.sin_port = htons((uint16_t)p->port);
    if (p->source_ip)
        set_source(r, p->source_ip);
    r->ttl = p->ttl;
    r->mss = p->mss;
    r->deadline = p->deadline;
    r->fd = -1;
    return r;
}

struct task *reach_task(struct reach *r)
{
    return &r->task;
}

bool reach_done(const struct reach *r)
{
    return r->done;
}

const struct reach_result *reach_result(const struct reach *r)
{
    return &r->result;
}

void reach_free(struct reach *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}
