/* route: where to go, in which order, what TLS must be. */
#ifndef SEND_ROUTE_H
#define SEND_ROUTE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "conf/account.h"
#include "send/destination.h"
#include "send/policy.h"
#include "smtp/session.h"

struct hop {
    char *host;           /* own; NULL with socket */
    char *address;        /* own or NULL: where host is, numeric; TLS still wants the name. NULL: look it up */
    int port;
    int mss;              /* largest segment of TCP; 0: the system's */
    char *socket;         /* own or NULL */
    struct strlist command; /* own: a child process and its arguments, in place of host and socket; empty: none */
    enum session_tls tls;
    bool verify;          /* the certificate must be good */
    int family;           /* AF_INET, AF_INET6: only this one; 0: whatever the account allows */
    usec connect_within;  /* longest wait for a connection, as another way is left; 0: the usual one … */
    usec open_within;     /* … and for greeting and TLS, as more was waited for before, in vain */
    bool exchanger;       /* one of several mail exchangers: what it does not take now the next may, and where TLS does
                             not come up at the level MAY, it is tried once more in clear */
    enum tls_level wanted; /* of a mail exchanger */
    bool report;          /* MTA-STS testing: a certificate that would not do is told, and gone on with */
    const struct dns_answer *tlsa; /* borrowed; NULL: no DANE */
    struct strlist names; /* own: names beside host that usage 2 accepts (RFC 7672 3.2.2) */
    bool afresh;          /* no TLS session of an earlier run is offered */
    const char *failed;   /* how the delivery failed, in words that follow a port's name; NULL: it did not, yet … */
    enum stage failed_at;
    enum tls_level got;   /* how well the last connection over it was protected */
    char *queue_id;       /* own or NULL: of the message, as it was taken over it */
};

/* How a delivery over a hop ended, as far as it tells whether another way could do better. */
struct hop_end {
    const struct err *err;
    int family, other_family; /* as dial_family told, where a connection came about */
    bool out_of_time;         /* the whole run's time is up */
    bool offered;             /* TLS did not come up as a session of an earlier run was offered */
};

struct route {
    struct hop *v; /* own */
    size_t n;
};

#define ROUTE_INIT { 0 }

/* The ways that the account leaves open, best first. FAULT_USAGE: it has no server, but `host mx`. */
bool route_find(struct route *r, const struct account *a, struct err *e);

/* For an account with `host mx`: the addresses of the hosts that take mail for a domain, in their order, at most
 * DESTINATION_ADDRESSES_MAX, with TLS as was decided for each. d, whose err is unset, is borrowed for the route's
 * life. */
void route_exchangers(struct route *r, const struct account *a, const struct destination *d);

/* The delivery over hop *at failed. true: another way may do better; *at is where it stands in the route, perhaps put
 * in: the same hop over the other family, or with smaller segments. false: no other way could mend that. Nothing of a
 * message was taken by the server then, no login was refused; TLS and the certificate are wanted on each way as on the
 * first. Of mail exchangers the next one: also where nothing failed but some recipients are left; where TLS did not
 * come up at the level MAY, and only there, the same one in clear before. Hops move: whoever points to one looks it up
 * again. */
bool route_goes_on(struct route *r, size_t *at, const struct hop_end *end);

/* Of the failures of several ways the one that came farthest tells most: keeps it, and none once a way did not fail
 * (later is not set). true: it is the later one. later is cleared. */
bool route_keep_farthest(struct err *kept, struct err *later);

/* Was a way that had failed before mended by hop `at`, whose end is this? */
bool route_is_mended(const struct route *r, size_t at, const struct err *end);

/* What was wrong with the first way, and what to write to go by hop `at` from now on: a sentence. Appends. */
void route_advise(const struct route *r, size_t at, struct buf *out);

/* What became of the other ports or exchangers, as the failure over hop `at` is the one told: "; port 587 does not
 * answer". Appends. */
void route_tell_others(const struct route *r, size_t at, struct buf *out);

/* Does e say that no connection, no greeting or no TLS came about, without a word of the server about why? */
bool route_was_cut(const struct err *e);
void route_free(struct route *r);

#endif
