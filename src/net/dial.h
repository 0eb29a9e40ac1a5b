/* dial: from a name to a connected stream.
 *
 * Happy Eyeballs (RFC 8305): both families are resolved at once (getaddrinfo in two threads, so that a dead resolver
 * cannot hold up a deadline), attempts start 250 ms apart, alternating families, the first to connect wins. Every
 * failure is kept and told. */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/event.h"
#include "base/strlist.h"
#include "net/loop.h"
#include "net/stream.h"

enum proxy_type { PROXY_NONE, PROXY_SOCKS5, PROXY_HTTP };

/* All strings are borrowed until dial_free. */
struct dial_params {
    const char *host;       /* name, IPv4 or IPv6 address (brackets allowed); "" or NULL with unix_path */
    const char *address;    /* numeric: where `host` is, which is not looked up then; not for a proxy's target.
                               NULL: none */
    int port;
    int mss;                /* largest segment of TCP to offer and send; 0: the system's */
    bool fast_open;         /* TCP Fast Open (RFC 7413), where the system has it: SYN carries the cookie of an earlier
                               connection, and no data; a server that knows it speaks a round trip earlier */
    const char *unix_path;  /* not NULL: a unix socket instead of host and port */
    char *const *command;   /* not NULL: a child process, by execvp, instead; its standard input and output are the
                               wire */
    int family;             /* AF_UNSPEC, AF_INET, AF_INET6 */
    const char *source_ip;  /* NULL: any; limits the family to its own; neither it nor the port is for a unix socket or
                               a command */
    int source_port;        /* 0: any */
    const struct buf *preamble; /* octets sent before anything else, in clear (a PROXY header); NULL: none */
    enum proxy_type proxy;
    const char *proxy_host;
    int proxy_port;
    const char *proxy_user, *proxy_password; /* NULL: none */
    usec deadline;          /* for all of it: lookup, connecting, proxy */
    struct hub *hub;
    unsigned connection;    /* number for events */
};

struct dial;

struct dial *dial_start(const struct dial_params *p);

/* IO_AGAIN until connected; IO_DONE: dial_take gives the stream; IO_ERROR: *e is set: FAULT_NO_HOST, FAULT_DNS,
 * FAULT_CONNECT, FAULT_TIMEOUT, each with all addresses tried and why each failed, and a hint. */
enum io dial_step(struct dial *d, struct err *e);
void dial_waits(const struct dial *d, struct pollset *ps);

struct stream *dial_take(struct dial *d); /* the caller's */

/* The family of the connection, and the other one where the host has, or may have, addresses of that, too. 0: none, as
 * on loopback, of a unix socket, of a command, of a host behind a proxy, or where only one is wanted. */
int dial_family(const struct dial *d, int *other);
void dial_free(struct dial *d);           /* ends whatever is still under way; NULL is allowed */

/* A listening, non-blocking socket. spec: "host:port", "[v6]:port", ":port", "port" or "/path" of a unix socket
 * (created 0600; a stale one is replaced). No host: 127.0.0.1. Port 0: the system chooses. *port gets the port (0 for
 * unix). -1: *e is set. */
int listen_on(const char *spec, int *port, struct err *e);

/* Listening sockets that this process was given by whoever started it (the protocol of sd_listen_fds(3)): descriptors
 * from LISTEN_FIRST on, one name for each ("" where none was told). They become non-blocking and close-on-exec, and
 * what told of them leaves the environment. No sockets: no names. false: *e is set. */
enum { LISTEN_FIRST = 3 };
bool listen_inherited(struct strlist *names, struct err *e);

/* Where a socket listens, in the form of a spec: the caller's. *port as above. */
char *listen_spec(int fd, int *port);

/* Accepts one connection; NULL when there is none now. */
struct stream *listen_accept(int fd, struct err *e);

#endif
