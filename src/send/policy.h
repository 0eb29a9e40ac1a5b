/* policy: how well a connection to a mail exchanger must be protected, and how well it was. No I/O. */
#ifndef SEND_POLICY_H
#define SEND_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/strlist.h"
#include "net/dns.h"
#include "net/tls.h"
#include "send/sts.h"

/* The words of Postfix's smtp_tls_security_level. As what an account asks for, DANE means: DANE where the destination
 * has it, else MTA-STS where it has that, else MAY. */
enum tls_level {
    LEVEL_NONE,        /* in clear */
    LEVEL_MAY,         /* TLS when offered, whoever answers; in clear where it does not come up */
    LEVEL_ENCRYPT,     /* TLS, whoever answers */
    LEVEL_DANE,        /* TLSA records decide (RFC 7672) */
    LEVEL_DANE_ONLY,   /* … and there must be some */
    LEVEL_VERIFY,      /* the certificate is good, for the host's name */
    LEVEL_FINGERPRINT, /* it is one that the account names */
};
const char *level_word(enum tls_level level); /* "dane-only" */

/* The account's `tls_policy` rows: "LEVEL" for all, "DOMAIN LEVEL" for one (".DOMAIN LEVEL": for those below). The most
 * special row wins, else `otherwise`. What is no row, which the account does not let through, counts for nobody. */
enum tls_level policy_level_for(const struct strlist *rows, const char *domain, enum tls_level otherwise);

/* The TLSA records of a host, as far as they bind. */
enum tlsa_status {
    TLSA_NONE,      /* validated that there are none, or the host's addresses or the answer are not validated: no
                       DANE */
    TLSA_USABLE,    /* at least one with usage 2 or 3 and a known selector and matching type */
    TLSA_UNUSABLE,  /* only others: encrypt, whoever answers (RFC 7672 2.2) */
    TLSA_FAILED,    /* bogus, or no answer: this host must not be used (RFC 7672 2.1.2) */
};

/* What is known of one host of a destination. Borrowed. */
struct policy_facts {
    enum tls_level asked;            /* by the account, for the domain */
    bool at_least_encrypt;           /* `tls on`: MAY is not enough */
    bool tls_not_required;           /* the message says "TLS-Required: No" (RFC 8689 5): MAY, whatever is published;
                                        levels that the account itself insists on stand */
    bool requiretls;                 /* it must not go over a connection that is not protected (RFC 8689 4.2.1): DANE, a
                                        host by MTA-STS, or VERIFY where the MX answer was validated */
    bool mx_secure;                  /* the MX answer was validated, or the host is what stands in the address itself */
    enum tlsa_status tlsa;
    const char *tlsa_why;            /* why they cannot be looked up; NULL: nothing is known */
    const struct sts_policy *sts;    /* NULL: none */
    const char *host;
};

struct policy_decision {
    enum tls_level wanted;
    bool skip;                       /* this host must not be used */
    bool report;                     /* MTA-STS testing: what would have failed is told, and gone on with */
    const char *why;                 /* static: "TLSA records", "MTA-STS policy", "no policy", "account", … */
    struct err trouble;              /* own: why it is skipped, or in testing mode would be: FAULT_TEMPORARY (a TLSA
                                        answer failed), FAULT_CERTIFICATE, FAULT_UNAVAILABLE (not fit for REQUIRETLS) */
};
struct policy_decision policy_decide(const struct policy_facts *f);

/* What has to be looked up before a decision, as far as the facts go until now (tlsa: TLSA_NONE before it is known). */
bool policy_wants_tlsa(const struct policy_facts *f);
bool policy_wants_sts(const struct policy_facts *f); /* no: it would change nothing */

/* The level that a connection had, DANE also where DANE_ONLY was wanted; facts NULL: it was in clear. "dane:dane",
 * "may:encrypt", "may:none": wanted:got. */
enum tls_level policy_got(enum tls_level wanted, const struct tls_facts *facts);
void policy_pair(enum tls_level wanted, enum tls_level got, struct buf *out);

#endif
