/* dial_private: a connection that is being made, shared by dial.c, which makes it, and dial_explain.c. Nobody else
 * includes it. */
#ifndef NET_DIAL_PRIVATE_H
#define NET_DIAL_PRIVATE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/dial.h"
#include "net/proxy.h"
#include "net/resolve.h"

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

struct attempt {
    union address address;
    socklen_t len;
    char *text;   /* own: "192.0.2.1", "/path" */
    int fd;       /* own; -1: not begun, or over */
    bool begun;
    int reason;   /* errno of the failure; 0: none */
};

/* One family's lookup. */
struct lookup {
    int family;
    struct resolve *running; /* own; NULL: not asked, or answered */
    int status;              /* getaddrinfo's answer; 0 while none */
    int errno_value;
};

enum { V6, V4, FAMILIES };

struct dial {
    struct dial_params p;
    char *host;              /* own: without brackets; of the proxy, where there is one */
    int port;
    union address source;
    socklen_t source_len;    /* 0: any */
    struct lookup lookups[FAMILIES];
    bool interfaces_only;    /* AAAA was asked with AI_ADDRCONFIG */
    usec delay_end;          /* A waits for AAAA until then */
    struct attempt *attempts; /* own; in the order they are to be made, those begun first */
    size_t n;
    usec next;               /* the time of the next attempt */
    int source_reason;       /* why this end could not be bound; 0: it could */
    char *target;            /* own: the host behind the proxy, without brackets */
    struct proxy proxy;
    bool proxying;
    bool open;               /* the way to the target is: the preamble is next */
    size_t preamble_sent;
    struct stream *stream;   /* own: connected; NULL: not yet */
    int family, other;       /* see dial_family */
    struct err early;        /* what was wrong with the parameters */
};

/* dial_explain.c: both set *e and return IO_ERROR. The lookups are over, and gave no address. */
enum io dial_explain_lookup(const struct dial *d, struct err *e);
/* All addresses and why each failed; with the deadline passed those under way have ETIMEDOUT. */
enum io dial_explain_connect(const struct dial *d, enum fault fault, struct err *e);

#endif
