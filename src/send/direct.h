/* direct: one message straight to the mail exchangers of its recipients' domains: who goes with whom, all groups side
 * by side, and what becomes of everybody. */
#ifndef SEND_DIRECT_H
#define SEND_DIRECT_H

#include <stdbool.h>

#include "base/err.h"
#include "send/credentials.h"
#include "send/report.h"
#include "send/submit.h"

/* submit() for an account with `host mx`: looks every domain up at once, puts recipients whose domains have the same
 * hosts and the same policy into one group, delivers the groups side by side. Fills the fates; a recipient whose domain
 * takes no mail gets a reply of ours (code and status as RFC 3463 and RFC 7505 have them). *failure: what kept
 * everybody from getting it; unset where somebody has it. */
void direct_deliver(const struct submit_params *p, struct credentials *c, usec deadline, struct report_params *report,
                    struct err *failure);

#endif
