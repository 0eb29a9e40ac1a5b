/* dns_why: what dns_why.c tells dns.c of an answer that is of no use. */
#ifndef NET_DNS_WHY_H
#define NET_DNS_WHY_H

#include "net/dns.h"

/* What became of the question for the root's own keys. */
enum dns_root {
    ROOT_UNKNOWN,   /* it is not over, or nothing is validated */
    ROOT_GOOD,
    ROOT_FAILED,    /* no answer, or an error */
    ROOT_STRIPPED,  /* it came without any signature */
    ROOT_BOGUS,     /* its signatures are not good, or not by the trust anchor */
    ROOT_NO_ANCHOR, /* no trust anchor is for the root */
};

/* Completes an answer: why and hint where it is bogus or failed. One that only counts as insecure because there is no
 * trust anchor fails. root_why: why the root is bogus; server NULL: those of /etc/resolv.conf. */
void dns_explain(struct dns_answer *a, enum dns_root root, const char *root_why, const char *server);

#endif
