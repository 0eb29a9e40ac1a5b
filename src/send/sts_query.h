/* sts_query: the MTA-STS policy of a domain: its TXT record, the cache, the policy's server (RFC 8461 3.1, 3.3, 5.1).
 */
#ifndef SEND_STS_QUERY_H
#define SEND_STS_QUERY_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/dns.h"
#include "net/loop.h"
#include "net/stream.h"
#include "send/sts.h"

enum sts_source {
    STS_ABSENT,    /* the domain has no policy */
    STS_CACHED,    /* as fetched before, and still what the record says, or nothing newer is to be had */
    STS_FETCHED,
    STS_UNKNOWN,   /* the domain announces a policy that is not to be had, or its record cannot be looked up, and none
                      is cached: as if there were none (RFC 8461 5.1), and worth a warning */
};

struct sts_result {
    enum sts_source source;
    struct sts_policy policy; /* own; where CACHED or FETCHED */
    char *id;                 /* own or NULL: of the record in DNS */
    long expires;             /* seconds since the epoch; 0: unknown */
    struct err trouble;       /* own: what kept from a fresh policy; unset: nothing */
};
void sts_result_free(struct sts_result *r);

struct sts_query_params {
    struct dns *dns;          /* borrowed */
    const char *domain;       /* borrowed: ASCII */
    const char *trust_file;   /* borrowed: as tls_params.trust_file */
    const char *source_ip;    /* borrowed; NULL: any */
    bool fresh;               /* fetch even where the cache would do: for who looks at a policy */
    usec deadline;
};

struct sts_query;
struct sts_query *sts_query_start(const struct sts_query_params *p); /* asks for the TXT record at once */

/* true: over, *r is filled. Never an error: what goes wrong is a fact of the result. `wanted` false: nobody needs the
 * policy (all hosts have DANE), so nothing is fetched; over at once with STS_ABSENT. */
bool sts_query_step(struct sts_query *q, struct sts_result *r, bool wanted);
void sts_query_waits(const struct sts_query *q, struct pollset *ps);
void sts_query_free(struct sts_query *q); /* NULL is allowed */

#endif
