/* reach: one attempt to connect to one address and port, and what came of it. No octet is sent; a connection that
 * stands is closed at once. Unlike dial it tells one way of failing from another, who said no, and after how long. */
#ifndef NET_REACH_H
#define NET_REACH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "net/loop.h"

/* What connect() says on Linux. Whether this machine said it, a router or the host, is told by `at_once`, `took` and
 * `icmp` of the result. */
enum reach_outcome {
    REACH_OPEN,
    REACH_REFUSED,          /* ECONNREFUSED: a reset by the host or a firewall; ICMP "port unreachable" */
    REACH_SILENT,           /* the deadline passed: dropped on the way, here or there, there or back */
    REACH_HOST_UNREACHABLE, /* EHOSTUNREACH: ICMP of that name, as when the last link has no such host (after 3 s);
                               IPv4: also "administratively prohibited" */
    REACH_NET_UNREACHABLE,  /* ENETUNREACH: no route, here or at a router */
    REACH_PROHIBITED,       /* EACCES: IPv6 "administratively prohibited"; a local route "prohibit" */
    REACH_LOCAL_FIREWALL,   /* EPERM: a rule for this process (cgroup, seccomp); what nftables drops is silent */
    REACH_NO_FAMILY,        /* EADDRNOTAVAIL, EAFNOSUPPORT: IPv6 is disabled on this machine */
    REACH_BLACKHOLE,        /* EINVAL: a local route "blackhole" */
    REACH_EXPIRED,          /* EHOSTUNREACH with a `ttl`: ICMP "time exceeded", or what the system gives no ICMP for */
    REACH_BAD_SOURCE,       /* source_ip is no address of this machine, or of the other family */
    REACH_OTHER,            /* any other error */
    REACH_OUTCOMES
};

const char *reach_word(enum reach_outcome outcome);   /* stable, for JSON: "host-unreachable" */
const char *reach_phrase(enum reach_outcome outcome); /* for people, after "port 25 of 192.0.2.1": "does not answer" */

/* The outcome that connect()'s errno stands for; 0 is REACH_OPEN. */
enum reach_outcome reach_outcome_of(int reason);

/* The ICMP message that ended an attempt. Linux tells it to unprivileged programs from 5.8 on (IP_RECVERR on TCP). */
struct reach_icmp {
    bool known;
    int type, code;              /* of ICMP, or of ICMPv6 with an IPv6 address */
    char from[INET6_ADDRSTRLEN]; /* who sent it: a router, the host, or this machine itself */
};

/* "administratively prohibited", "host unreachable"…; NULL: not known, or nothing that ends an attempt to connect. */
const char *reach_icmp_phrase(int family, const struct reach_icmp *icmp);

struct reach_result {
    enum reach_outcome outcome;
    int reason;  /* errno; 0: open, or silent up to the deadline */
    usec took;   /* from connect() to the outcome */
    bool at_once; /* connect() itself said it, or was not called: no packet left, or the host is this machine */
    struct reach_icmp icmp;
};

struct reach_params {
    const struct sockaddr *address; /* AF_INET or AF_INET6; copied; its port is not looked at */
    socklen_t len;
    int port;
    const char *source_ip; /* NULL: any */
    int ttl;               /* the packets' IP_TTL, IPV6_UNICAST_HOPS; 0: the system's */
    int mss;               /* TCP_MAXSEG, 88 to 32767; 0: the system's */
    usec deadline;
};

struct reach;

struct reach *reach_new(const struct reach_params *p);
struct task *reach_task(struct reach *r); /* of the loop; the attempt begins at its first step */
bool reach_done(const struct reach *r);
const struct reach_result *reach_result(const struct reach *r); /* once done */
void reach_free(struct reach *r);         /* ends an attempt under way; NULL is allowed */

/* The first ICMP message in a socket's error queue (IP_RECVERR); *reason gets its errno. false: there is none. */
bool reach_read_icmp(int fd, struct reach_icmp *icmp, int *reason);

/* Makes a non-blocking socket of a type with IP_RECVERR and a TTL (0: the system's). -1: errno. */
int reach_socket(int family, int type, int ttl);

#endif
