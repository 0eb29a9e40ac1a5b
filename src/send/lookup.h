/* lookup: the addresses of one name and family, as a fact of the scene. */
#ifndef SEND_LOOKUP_H
#define SEND_LOOKUP_H

#include "net/loop.h"
#include "send/scene.h"

struct asking;

/* Fills *l, borrowed until lookup_stop, when there is an answer, or at the deadline. family: AF_INET, AF_INET6,
 * AF_UNSPEC. Over at once: an address, and what cannot be asked. */
struct asking *lookup_start(struct lookup *l, const char *name, int family, usec deadline);
bool lookup_step(struct asking *a); /* true: it is over */
void lookup_waits(const struct asking *a, struct pollset *ps);

/* Frees it; a question under way becomes one not asked. NULL is allowed. */
void lookup_stop(struct asking *a);

#endif
