/* target: which server a domain names. */
#ifndef SEND_TARGET_H
#define SEND_TARGET_H

#include "base/clock.h"
#include "base/err.h"
#include "send/scene.h"

/* question.name is an address (NAMED_ADDRESS: where does mail for it go? MX) or a domain (NAMED_DOMAIN: where do its
 * users submit? SRV, RFC 6186 and 8314; without such records MX). Fills names.servers and, from the best of them, the
 * question. host stays NULL where there is none: names.v4 says why. false: *e is set: the name is none. */
bool target_find(struct scene *s, usec deadline, struct err *e);

#endif
