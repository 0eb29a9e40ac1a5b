/* identity: is the name that we say in EHLO ours? Receivers compare it with the address we come from. Asks the name
 * servers beside a delivery; what it finds is a warning, never an error. */
#ifndef SEND_IDENTITY_H
#define SEND_IDENTITY_H

#include "base/clock.h"
#include "base/event.h"
#include "net/dns.h"
#include "net/loop.h"

/* Strings are borrowed. */
struct identity_params {
    struct dns *dns;        /* borrowed */
    const char *domain;     /* as said in EHLO */
    const char *address;    /* numeric, ours as the account knows it (source_ip); NULL: those of this machine's
                               interfaces, where one of them is public */
    struct hub *hub;        /* EV_WARNING: domain does not exist, has another address; the address's PTR is told */
    usec deadline;
};

struct identity;
struct identity *identity_new(const struct identity_params *p);
struct task *identity_task(struct identity *i);
void identity_free(struct identity *i); /* NULL is allowed */

#endif
