/* route: where to go, in which order, what TLS must be. */
#ifndef SEND_ROUTE_H
#define SEND_ROUTE_H

#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/account.h"
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
};

struct route {
    struct hop *v; /* own */
    size_t n;
};

#define ROUTE_INIT { 0 }

bool route_find(struct route *r, const struct account *a, struct err *e);
void route_free(struct route *r);

#endif
