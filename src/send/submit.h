/* submit: one message through one account, from the last checks to the report. What send does, and whoever else has a
 * message. */
#ifndef SEND_SUBMIT_H
#define SEND_SUBMIT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "mail/envelope.h"
#include "mail/message.h"

/* All borrowed. */
struct submit_params {
    const struct account *account;
    struct envelope *env;     /* filled; gets the recipients' fates */
    struct message *message;  /* prepared */
    struct hub *hub;
    usec started;             /* when the run began, for the report */
};

/* Checks what can be checked without a connection (key files, secrets), finds the route, delivers over as many
 * connections as it takes, emits EV_RECIPIENT and EV_RESULT. SIGINT, SIGTERM and SIGHUP end a delivery with a report.
 * false: not everybody got the message, *e and the fates say why. */
bool submit(const struct submit_params *p, struct err *e);

#endif
