/* sts: MTA-STS (RFC 8461) as text: the TXT record, the policy, the patterns. No I/O, no clock. */
#ifndef SEND_STS_H
#define SEND_STS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strlist.h"
#include "net/dns.h"

enum sts_mode { STS_NONE, STS_TESTING, STS_ENFORCE };

enum {
    STS_ID_MAX = 32,
    STS_POLICY_MAX = 64 << 10, /* octets (RFC 8461 3.3) */
    STS_AGE_MAX = 31557600,    /* seconds (RFC 8461 3.2) */
};

struct sts_policy {
    enum sts_mode mode;
    struct strlist mx;         /* own: patterns, lower case, "*.example.net" among them */
    long max_age;              /* seconds */
};
void sts_policy_free(struct sts_policy *p);
const char *sts_mode_word(enum sts_mode mode); /* "enforce" */

/* The id of the one valid record among the TXT records of _mta-sts.DOMAIN (RFC 8461 3.1): appends. false: there is
 * none, or more than one. */
bool sts_record_id(const struct dns_answer *txt, struct buf *id);

/* A policy (RFC 8461 3.2); unknown fields are passed over. false: *e says what is wrong with it (FAULT_PROTOCOL), for
 * behind a colon. */
bool sts_policy_parse(struct sts_policy *p, const char *text, size_t n, struct err *e);

/* Does a pattern of the policy match the host (ASCII, RFC 8461 4.1)? "*" stands for one label. */
bool sts_policy_matches(const struct sts_policy *p, const char *host);

#endif
