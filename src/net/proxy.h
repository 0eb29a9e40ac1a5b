/* proxy: what a client says to a SOCKS5 (RFC 1928, 1929) or HTTP CONNECT (RFC 9110 9.3.6) proxy. No I/O: it eats
 * octets and makes octets, never more than PROXY_ANSWER_MAX at a time. */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/dial.h"

enum { PROXY_ANSWER_MAX = 8192 };

enum proxy_status { PROXY_MORE, PROXY_OPEN, PROXY_FAILED };

struct proxy {
    enum proxy_type type;
    const char *host;            /* borrowed: the target; its name is resolved by the proxy */
    int port;
    const char *user, *password; /* borrowed; NULL: none */
    struct buf out;              /* to be sent; who sends drops what went */
    struct buf in;
    size_t need;                 /* octets the next step wants; HTTP: 0 */
    enum proxy_status (*step)(struct proxy *p, struct err *e);
};

/* Makes the first octets. false: host, user or password do not fit the protocol. */
bool proxy_start(struct proxy *p, enum proxy_type type, const char *host, int port, const char *user,
                 const char *password, struct err *e);

/* Eats at most up to the end of the proxy's last answer; *used says how much: the rest is the target's. */
enum proxy_status proxy_feed(struct proxy *p, const char *data, size_t n, size_t *used, struct err *e);

void proxy_free(struct proxy *p); /* wipes; harmless when repeated */

#endif
