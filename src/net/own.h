/* own: the addresses of this machine, as its interfaces have them. Nothing is sent. */
#ifndef NET_OWN_H
#define NET_OWN_H

#include <stdbool.h>

#include "base/strlist.h"

/* Adds the numeric addresses of all interfaces, without scope. None where they cannot be had. */
void own_addresses(struct strlist *own);

/* Does a numeric address lead to this machine? Those in `own`, 127.0.0.1, ::1, 0.0.0.0 and ::, also as IPv4-mapped
 * ones. 127.0.0.2 and its like do not, unless an interface has them: whole beds of servers live there. */
bool own_has(const struct strlist *own, const char *address);

/* "localhost", and names below it (RFC 6761 6.3). */
bool own_name(const char *host);

/* Is it an address that others can see us by: not private, shared, loopback or of the link (RFC 6890)? */
bool own_is_public(const char *address);

#endif
