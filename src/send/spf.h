/* spf: may a machine send mail for a domain? check_host() of RFC 7208, as a task's part. */
#ifndef SEND_SPF_H
#define SEND_SPF_H

#include <stdbool.h>

#include "base/clock.h"
#include "net/dns.h"
#include "net/loop.h"
#include "net/stream.h"

enum spf_result { SPF_NONE, SPF_NEUTRAL, SPF_PASS, SPF_FAIL, SPF_SOFTFAIL, SPF_TEMPERROR, SPF_PERMERROR };
const char *spf_word(enum spf_result r); /* "softfail" */

/* Strings are copied. */
struct spf_params {
    struct dns *dns;        /* borrowed */
    const char *ip;         /* numeric */
    const char *domain;     /* ASCII */
    const char *sender;     /* "me@example.org"; NULL: postmaster@domain */
    const char *helo;       /* for the macro h */
    usec deadline;
};

struct spf_verdict {
    enum spf_result result;
    char *record;           /* own or NULL: the domain's record */
    char *why;              /* own or NULL: the mechanism that matched ("ip4:192.0.2.0/24"), or what went wrong */
    int lookups;            /* of the ten that RFC 7208 4.6.4 allows */
};
void spf_verdict_free(struct spf_verdict *v);

struct spf;
struct spf *spf_start(const struct spf_params *p);
bool spf_step(struct spf *s, struct spf_verdict *v); /* true: over, *v is filled */
void spf_waits(const struct spf *s, struct pollset *ps);
void spf_free(struct spf *s); /* NULL is allowed */

#endif
