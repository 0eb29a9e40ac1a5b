/* inquire: one connection without a message: to look at a server, or to have it start a queue. */
#ifndef SEND_INQUIRE_H
#define SEND_INQUIRE_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"

/* All borrowed. */
struct inquire_params {
    const struct account *account;
    const char *etrn; /* start this queue (RFC 1985), with the account's login and TLS. NULL: only look: nobody logs in,
                         and a certificate that is not acceptable is told (EV_TLS) and gone on with */
    struct hub *hub;
    usec started;     /* when the run began, for EV_RESULT */
};

/* What the server is like comes as events, the outcome last as EV_RESULT. false: *e says why. */
bool inquire(const struct inquire_params *p, struct err *e);

#endif
