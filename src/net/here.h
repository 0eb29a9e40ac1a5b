/* here: what this machine has of a family of addresses. Nothing is sent. */
#ifndef NET_HERE_H
#define NET_HERE_H

#include <stdbool.h>

struct here {
    bool address; /* an interface that is up has one beyond loopback and the link */
    bool route;   /* there is a way to the Internet */
    int reason;   /* errno when there is none: ENETUNREACH; EAFNOSUPPORT, EADDRNOTAVAIL: the family is switched off */
};

/* AF_INET, AF_INET6. */
struct here here_look(int family);

#endif
