/* destination: who takes mail for a domain, where they are and how they must be talked to: MX, addresses, TLSA,
 * MTA-STS. Everything is looked up at the same time, as a task; nobody is connected to (but a policy's server). */
#ifndef SEND_DESTINATION_H
#define SEND_DESTINATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "base/strlist.h"
#include "conf/account.h"
#include "net/dns.h"
#include "net/loop.h"
#include "send/mx.h"
#include "send/policy.h"
#include "send/sts_query.h"

struct destination_host {
    char *name;                  /* own: the MX record's; a literal's address */
    int preference;
    char *expanded;              /* own or NULL: behind its CNAMEs */
    struct strlist addresses;    /* numeric, families alternating, IPv6 first; at most 20 */
    bool secure;                 /* its addresses were validated */
    bool here;                   /* it is this machine */
    struct err trouble;          /* own: no addresses, or they cannot be looked up now; unset: none */
    enum tlsa_status tlsa;
    char *tlsa_name;             /* own or NULL: the TLSA base domain (RFC 7672 2.2.2) where there are records */
    struct dns_answer tlsa_answer; /* own */
    struct policy_decision decision; /* own */
};

struct destination {
    char *domain;                /* own: as in the addresses, UTF-8 */
    struct mx_list mx;           /* own */
    struct destination_host *v;  /* own: those to be tried, best first; all that the MX records name where
                                    params.all */
    size_t n;
    struct sts_result sts;       /* own */
    struct err err;              /* own: why nobody can be tried: FAULT_NO_HOST, FAULT_DNS, FAULT_CERTIFICATE (no host
                                    is acceptable to the policy), FAULT_TEMPORARY (a TLSA answer failed),
                                    FAULT_UNAVAILABLE (none is fit for REQUIRETLS), FAULT_MESSAGE (no domain); unset:
                                    v has hosts that can */
    int enhanced[3];             /* RFC 3463 status that goes with err: mx_list's, or 5.4.6 this machine, 5.4.4 no host
                                    has an address, 4.4.3 that is not known now, 4.7.5 TLSA, MTA-STS or the account's
                                    level leave none, 5.7.30 REQUIRETLS does */
};
void destination_free(struct destination *d);

/* Names beside the host's own that a certificate under usage 2 may have, where the MX answer was validated: the
 * domain's, and where its CNAMEs lead (RFC 7672 3.2.2). Adds. */
void destination_names(const struct destination *d, struct strlist *names);

enum { DESTINATION_ADDRESSES_MAX = 5 }; /* of all hosts that are tried; two of them of the other family where it has so
                                           many */

struct destination_params {
    struct dns *dns;             /* borrowed */
    const char *domain;          /* borrowed: UTF-8, or an address literal */
    int port;                    /* of the TLSA records */
    int family;                  /* AF_INET, AF_INET6: only this one; AF_UNSPEC */
    enum tls_level asked;
    bool at_least_encrypt, tls_not_required, requiretls; /* as policy_facts */
    const struct strlist *own;   /* borrowed: this machine's addresses (net/own.h) */
    const char *trust_file, *source_ip; /* borrowed, for the policy's server */
    bool all;                    /* for `envoi mx`: every host stays, also this machine's and worse ones, TLSA records
                                    are looked up though a lower level was asked for, MTA-STS beside DANE, freshly */
    usec deadline;
    struct hub *hub;             /* EV_MX, EV_LOOKUP, EV_POLICY */
};

/* What mail of an account for a domain is delivered by: port, family, levels, trust. The rest is the caller's. */
struct destination_params destination_params_of(const struct account *a, const char *domain);

struct destination_query;
struct destination_query *destination_start(const struct destination_params *p);
struct task *destination_task(struct destination_query *q);

/* After the task has finished: moves what was found. */
void destination_take(struct destination_query *q, struct destination *d);
void destination_query_free(struct destination_query *q); /* also before its end; NULL is allowed */

#endif
