/* postmortem: behind a delivery to which no connection, greeting or TLS came about: what `envoi diagnose` finds out
 * within three seconds becomes the error's hint: a sentence of cause and one of remedy. */
#ifndef SEND_POSTMORTEM_H
#define SEND_POSTMORTEM_H

#include "base/clock.h"
#include "base/err.h"
#include "conf/account.h"
#include "send/route.h"

/* Replaces the hint of *e where e is of that kind, the account allows it (`diagnose`) and there is time enough until
 * the deadline. Nothing is looked at behind a proxy, in a unix socket or a command. It sends no mail and logs in
 * nowhere. */
void postmortem(const struct account *a, const struct hop *hop, usec deadline, struct err *e);

#endif
