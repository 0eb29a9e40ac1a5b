/* spf_record: an SPF record as text, and what its macros stand for (RFC 7208 4.6, 5, 6, 7). No I/O. */
#ifndef SEND_SPF_RECORD_H
#define SEND_SPF_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "send/spf.h"

enum spf_mechanism { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };

struct spf_directive {
    enum spf_mechanism mechanism;
    enum spf_result result;    /* where it matches: its qualifier */
    char *text;                /* own: as written */
    char *domain;              /* own or NULL: domain-spec, with macros; none: the current domain */
    unsigned char network[16]; /* IP4, IP6 */
    int prefix4, prefix6;      /* of the network, or of addresses found (A, MX) */
};

struct spf_record {
    struct spf_directive *v;   /* own */
    size_t n;
    char *redirect;            /* own or NULL: domain-spec */
    char *exp;                 /* own or NULL: domain-spec */
};
void spf_record_free(struct spf_record *r);

/* Does the text of a TXT record begin with the version? */
bool spf_record_is(const char *text, size_t n);

/* The whole record has to be good: false: *e says which term is not (FAULT_PROTOCOL), *r is empty. Modifiers that are
 * not known are passed over. */
bool spf_record_parse(struct spf_record *r, const char *text, size_t n, struct err *e);

/* An address of either family; IPv4 mapped to IPv6 is IPv4. */
struct spf_address {
    bool v6;
    unsigned char octets[16];
};
bool spf_address_parse(struct spf_address *a, const char *text);

/* Are the first bits the same? The octets are of the address's family. */
bool spf_address_within(const struct spf_address *a, const unsigned char *octets, int bits);

/* What macros stand for (RFC 7208 7.2). All borrowed. */
struct spf_macros {
    const char *sender;        /* local@domain */
    const char *domain;        /* the current one */
    const struct spf_address *ip;
    const char *helo;
    const char *validated;     /* %{p}: the name that is proven to be the address's; NULL: "unknown" */
};

/* Does a domain-spec ask for %{p}? */
bool spf_wants_validated(const char *spec);

/* Appends the domain that a domain-spec (of a parsed record) stands for: without a final dot, and where it is too long,
 * without as many labels at the left as it takes. false: what comes out is no domain name; nothing is added. */
bool spf_expand(const struct spf_macros *m, const char *spec, struct buf *out);

/* At least two labels, of letters that a name in DNS may be asked for with. */
bool spf_is_domain(const char *name);

#endif
