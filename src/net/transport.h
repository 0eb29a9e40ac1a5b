/* transport: what a stream is inside, for the files that put a layer on its wire.
 * The wire is the pair of descriptors; a transport is the way octets take over it: plain or TLS. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <sys/types.h>

#include "net/stream.h"

struct transport {
    enum io (*read)(struct stream *s, void *p, size_t size, size_t *n, struct err *e);
    enum io (*writev)(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e);
    enum io (*flush)(struct stream *s, struct err *e);
    bool (*pending)(const struct stream *s);
    bool (*buffered)(const struct stream *s);
    void (*close)(struct stream *s); /* a last word where there is one, and the layer's memory */
};

struct tls;

struct stream {
    int fd_in, fd_out;                 /* own; the same for a socket */
    bool out_is_socket;
    bool is_tcp;
    bool silent;                       /* no last word when it is closed */
    pid_t child;                       /* own: what is behind the pipes; 0: none */
    bool heard;                        /* has anything been read in clear text? */
    const struct transport *transport;
    struct tls *tls;                   /* own; NULL: plain */
    char *peer, *local;                /* own; NULL until asked */
};

/* Straight to the descriptors. *n > 0 on IO_DONE. */
enum io wire_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e);
enum io wire_writev(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e);

/* Acknowledge at once what comes next, for servers that hold back until then. */
void wire_quickack(const struct stream *s);

#endif
