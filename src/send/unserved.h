/* unserved: replies of ours for recipients that no server answered for, so that report and JSON say of each why. */
#ifndef SEND_UNSERVED_H
#define SEND_UNSERVED_H

#include "base/err.h"
#include "mail/envelope.h"

/* Gives r the fate and the reply that *e amounts to: the server's own words where it holds a reply, else ours, with the
 * RFC 3463 status `enhanced`, or (NULL, or all 0) one for the fault. After a signal nothing: nobody was refused. */
void unserved_settle(struct rcpt *r, const struct err *e, const int enhanced[3]);

#endif
