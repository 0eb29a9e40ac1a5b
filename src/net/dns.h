/* dns: the records of a name, each answer with what DNSSEC says of it, without blocking. libunbound behind a door, with
 * a thread of its own: it is loaded when the first question is asked. Addresses of servers that are not found by MX are
 * getaddrinfo's (net/resolve.h), which knows /etc/hosts. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "net/loop.h"

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33,
                DNS_TLSA = 52 };

enum dns_status {
    DNS_FOUND,
    DNS_NO_DATA, /* the name exists, without such records */
    DNS_NO_NAME, /* NXDOMAIN */
    DNS_BOGUS,   /* signatures that should be good are not: an attack, or a mistake of the zone's owner */
    DNS_FAILED,  /* SERVFAIL, REFUSED, nobody answers, or not in time */
};

/* One record; which members hold something is the type's. Names are without a final dot; "" is the root. */
struct dns_record {
    char *text;             /* own: A and AAAA: the address; CNAME, PTR, MX, SRV: the host; TXT: the strings joined;
                               else NULL */
    size_t len;             /* of text: TXT may hold NUL */
    int preference;         /* MX; SRV: its priority */
    int weight, port;       /* SRV */
    int usage, selector, matching; /* TLSA (RFC 6698 2.1) */
    struct buf association; /* TLSA: its octets */
};

enum { DNS_RECORDS_MAX = 500 }; /* what is beyond is not looked at */

struct dns_answer {
    enum dns_status status;
    bool secure;            /* validated, also for "no data" and "no name" */
    char *name;             /* own: the name behind all CNAMEs, or the one asked for */
    char *why;              /* own or NULL: why it is bogus or failed */
    const char *hint;       /* static or NULL: what to do about that */
    struct dns_record *v;   /* own, in the order of the answer */
    size_t n;
    long ttl;               /* seconds */
};

void dns_answer_free(struct dns_answer *a);

/* Appends the record made of rdata (RFC 1035 3.3, 2782, 6698; names uncompressed). false: the octets are not of that
 * type; nothing is added. */
bool dns_answer_add(struct dns_answer *a, enum dns_type type, const char *rdata, size_t len);

/* Whether a message (RFC 1035 4.1) holds a record of that type; false, too, where it cannot be read. */
bool dns_message_has(const char *octets, size_t len, int type);

/* Strings are borrowed for the call. */
struct dns_params {
    const char *server;     /* "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53": asked for everything; NULL: those of
                               /etc/resolv.conf */
    bool validate;          /* DNSSEC; else no answer is secure, and none bogus */
    const char *anchor;     /* trust anchor (DS or DNSKEY of the root, RFC 1035 format); NULL: the system's */
};

struct dns;

/* NULL: *e is set (FAULT_SYSTEM: no libunbound; FAULT_CONFIG: server or anchor cannot be used). */
struct dns *dns_new(const struct dns_params *p, struct err *e);
void dns_free(struct dns *d); /* NULL is allowed; no question may be left */

/* A question on its way. Names are ASCII (A-labels); of one that cannot be (too long) there is none. */
struct dns_question;
struct dns_question *dns_ask(struct dns *d, const char *name, enum dns_type type);

/* NULL as long as there is no answer; it is the question's. At `deadline` (of the caller's clock) DNS_FAILED is one. A
 * task that waits for the dns asks for its answer whenever it is stepped. */
const struct dns_answer *dns_answer(struct dns_question *q, usec deadline);

/* What a task that asks waits for, besides its deadline. One dns serves many tasks. */
void dns_waits(struct dns *d, struct pollset *ps);

void dns_question_free(struct dns_question *q); /* also before the answer; NULL is allowed */

/* "_25._tcp.mail.example" and such: appends. */
void dns_service_name(struct buf *out, int port, const char *host);

/* "2.0.192.in-addr.arpa" of an address; false: text is no address. */
bool dns_reverse_name(struct buf *out, const char *address);

#endif
