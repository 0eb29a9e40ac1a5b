/* resolve: the addresses of a name, one family at a time, without blocking.
 * getaddrinfo runs in a thread of its own that nobody waits for: a lookup that is given up ends by itself. */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <netdb.h>
#include <stdbool.h>

struct resolve;

/* Starts a lookup of host, of which a copy is taken. flags: AI_… as for getaddrinfo.
 * NULL: no thread or descriptor to be had (errno). */
struct resolve *resolve_start(const char *host, int port, int family, int flags);

/* Readable as soon as the lookup is over. */
int resolve_fd(const struct resolve *r);

/* Is it over? Then *status is getaddrinfo's (0, EAI_…), *errno_value belongs to EAI_SYSTEM, and
 * *list, valid until resolve_free, has the addresses. */
bool resolve_done(const struct resolve *r, int *status, int *errno_value, const struct addrinfo **list);

void resolve_free(struct resolve *r); /* NULL is allowed */

/* A numeric address, at once: its list, for freeaddrinfo. NULL: host is no address of that family. */
struct addrinfo *resolve_numeric(const char *host, int port, int family);

#endif
