/* ladder: how far packets to one address and port get. One attempt to connect for each TTL 1, 2, 3…: the router at
 * which a packet's TTL ends says "time exceeded", the host (or who answers in its place) connects or refuses. It needs
 * no privilege.
 *
 * What it can tell: which routers let packets to this port pass; the hop behind which a port falls silent while
 * another port of the same host is answered; a port that is answered nearer than another of the same host; who sent a
 * rejection.
 *
 * What it cannot: whether a silent hop drops packets, or only does not say "time exceeded" (many do not; Linux tells
 * one host six at once, then one a second, so few ladders should run at a time); on which side of a link a packet was
 * dropped, and whether on its way there or the answer's way back; what is behind translation of addresses; and a path
 * that changes between packets looks like one. It is evidence, not proof.
 *
 * The attempts begin 25 ms apart and stop once the far end, or a rejection, has answered, so that a server sees a few
 * connections, not thirty. */
#ifndef NET_LADDER_H
#define NET_LADDER_H

#include "net/reach.h"

enum { LADDER_MAX = 30 };

/* The TTL of a rung is its index + 1. */
struct ladder_rung {
    enum reach_outcome outcome;    /* of the attempt to connect */
    int reason;                    /* its errno */
    usec took;
    struct reach_icmp icmp;        /* what ended it: with REACH_EXPIRED the router at this hop */
    /* An empty packet of UDP with the same TTL, to the ports of traceroute, where TCP named no router within 300 ms: */
    char udp_router[INET6_ADDRSTRLEN]; /* said "time exceeded"; "": none did */
    bool udp_arrived;              /* the far end answered it */
};

struct ladder_params {
    const struct sockaddr *address; /* as in struct reach_params */
    socklen_t len;
    int port;
    const char *source_ip;
    int hops;      /* the longest path looked at; 0: LADDER_MAX */
    bool tcp_only; /* no packets of UDP; they are not sent with a source_ip either */
    usec deadline; /* two seconds are enough for most paths */
};

struct ladder;

struct ladder *ladder_new(const struct ladder_params *p);
struct task *ladder_task(struct ladder *l); /* of the loop */
bool ladder_done(const struct ladder *l);
const struct ladder_rung *ladder_rungs(const struct ladder *l, int *n); /* once done; n at most LADDER_MAX */
void ladder_free(struct ladder *l); /* also under way; NULL is allowed */

/* What the rungs say together. Hops count from 1; 0: none. */
struct ladder_summary {
    int answered_at;              /* the smallest TTL at which the far end, or who plays it, connected or reset */
    enum reach_outcome answer;    /* REACH_OPEN or REACH_REFUSED there */
    int last_hop;                 /* the farthest that said "time exceeded" to TCP, before answered_at, rejected_at */
    const char *last_router;      /* its address, borrowed from the rungs; NULL: not known */
    int rejected_at;              /* the smallest TTL at which a rejection came: ICMP (a router's at its own hop + 1),
                                     or an error of this machine */
    enum reach_outcome rejection;
    const char *rejected_by;      /* who sent it, borrowed; NULL: not known */
    int silent_from;              /* nothing answers from this TTL on, to the end */
    int farthest_hop;             /* the farthest router that said "time exceeded" to TCP or UDP */
    int udp_arrived_at;           /* the smallest TTL at which UDP reached the far end */
};

struct ladder_summary ladder_sum_up(const struct ladder_rung *rungs, int n);

#endif
