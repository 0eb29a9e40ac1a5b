/* host_query: what DNS knows of one mail exchanger: its addresses and, where those are validated, its TLSA records. A
 * part of destination. */
#ifndef SEND_HOST_QUERY_H
#define SEND_HOST_QUERY_H

#include <stdbool.h>

#include "base/clock.h"
#include "net/dns.h"
#include "send/destination.h"

struct host_query_params {
    struct dns *dns;     /* borrowed */
    int port;            /* of the TLSA records */
    int family;          /* AF_INET, AF_INET6: only this one; AF_UNSPEC */
    bool tlsa;           /* look for TLSA records */
    struct hub *hub;     /* EV_LOOKUP */
};

struct host_query;

/* Fills *h (its name is there), borrowed until host_query_free. */
struct host_query *host_query_start(struct destination_host *h, const struct host_query_params *p);

/* true: over. What was not answered by `until` failed. */
bool host_query_step(struct host_query *q, usec until);
void host_query_free(struct host_query *q); /* also before its end; NULL is allowed */

#endif
