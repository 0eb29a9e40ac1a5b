/* mx: the hosts that take mail for a domain, in the order to try them (RFC 5321 5.1, RFC 7505). */
#ifndef SEND_MX_H
#define SEND_MX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "net/dns.h"
#include "net/stream.h"

struct mx_host {
    char *name;      /* own */
    int preference;
};

enum { MX_HOSTS_MAX = 60 }; /* worse ones are left out */

struct mx_list {
    char *domain;    /* own: ASCII */
    char *expanded;  /* own or NULL: behind its CNAMEs, where it is one */
    struct mx_host *v; /* own: best first, equal preferences shuffled */
    size_t n;
    bool implicit;   /* there is no MX: the domain itself is the host */
    bool literal;    /* "[192.0.2.1]": the address itself is */
    bool secure;     /* the answer was validated */
    int enhanced[3]; /* with an error: the RFC 3463 status it amounts to: 5.1.2 no such domain, 5.1.10 null MX, 4.4.3 no
                        answer or a bogus one, 5.1.3 no domain name, 5.4.4 no MX record names a host */
};

void mx_list_free(struct mx_list *l);

/* Looks up one domain (UTF-8, or an address literal). A task of the caller's steps it. */
struct mx_query;
struct mx_query *mx_start(struct dns *d, const char *domain, usec deadline, struct hub *hub);

/* IO_AGAIN: not yet. IO_DONE: *l is filled. IO_ERROR: only its `enhanced` is; FAULT_NO_HOST (no such domain; it takes
 * no mail, null MX; no record names a host), FAULT_DNS (no answer, a bogus one), FAULT_MESSAGE (no domain name). What
 * is no host name, an address among that, is left out with a warning; "localhost", CNAMEs and hosts that are named
 * twice are the caller's to see to. */
enum io mx_step(struct mx_query *q, struct mx_list *l, struct err *e);
void mx_waits(const struct mx_query *q, struct pollset *ps);
void mx_free(struct mx_query *q); /* NULL is allowed */

/* Waits for the answer. */
bool mx_lookup(struct mx_list *l, struct dns *d, const char *domain, usec deadline, struct hub *hub, struct err *e);

#endif
