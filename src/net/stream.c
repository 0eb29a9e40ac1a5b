/* stream: the descriptors of a connection, and plain octets over them.
 * TLS is another transport behind the same verbs (tls_session.c). */
#include "net/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/child.h"
#include "net/transport.h"

static enum io wire_failed(struct err *e, const char *doing)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return IO_AGAIN;
    err_sys(e, FAULT_LOST, errno, "the connection was lost while %s", doing);
    return IO_ERROR;
}

enum io wire_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e)
{
    ssize_t got;
    do
        got = read(s->fd_in, p, size);
    while (got < 0 && errno == EINTR);
    *n = got > 0 ? (size_t)got : 0;
    if (got < 0)
        return wire_failed(e, "reading");
    return got == 0 ? IO_EOF : IO_DONE;
}

enum io wire_writev(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e)
{
    struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };
    ssize_t sent;
    do
        sent = s->out_is_socket ? sendmsg(s->fd_out, &message, MSG_NOSIGNAL) : writev(s->fd_out, iov, count);
    while (sent < 0 && errno == EINTR);
    *n = sent > 0 ? (size_t)sent : 0;
    if (sent < 0)
        return wire_failed(e, "writing");
    return sent == 0 ? IO_AGAIN : IO_DONE;
}

void wire_quickack(const struct stream *s)
{
    if (s->is_tcp)
        setsockopt(s->fd_in, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
}

static enum io plain_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e)
{
    enum io io = wire_read(s, p, size, n, e);
    s->heard |= io == IO_DONE;
    return io;
}

static enum io plain_flush(struct stream *s, struct err *e)
{
    (void)s, (void)e;
    return IO_DONE;
}

static bool plain_nothing(const struct stream *s)
{
    (void)s;
    return false;
}

static void plain_close(struct stream *s)
{
    (void)s;
}

static const struct transport plain = {
    .read = plain_read,
    .writev = wire_writev,
    .flush = plain_flush,
    .pending = plain_nothing,
    .buffered = plain_nothing,
    .close = plain_close,
};

struct stream *stream_new(int fd_in, int fd_out)
{
    struct stream *s = xcalloc(1, sizeof *s);
    s->fd_in = fd_in;
    s->fd_out = fd_out;
    s->transport = &plain;

    int type;
    s->out_is_socket = getsockopt(fd_out, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof type }) == 0;
    s->is_tcp = s->out_is_socket && setsockopt(fd_out, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)) == 0;
    return s;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    s->transport->close(s);
    close(s->fd_in);
    if (s->fd_out != s->fd_in)
        close(s->fd_out);
    if (s->child)
        child_end(s->child);
    free(s->peer);
    free(s->local);
    free(s);
}

void stream_drop(struct stream *s)
{
    if (s)
        s->silent = true;
    stream_free(s);
}

void stream_reset(struct stream *s)
{
    if (!s)
        return;
    if (s->is_tcp)
        setsockopt(s->fd_out, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger));
    stream_free(s);
}

enum io stream_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e)
{
    *n = 0;
    return s->transport->read(s, p, size, n, e);
}

enum io stream_writev(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e)
{
    *n = 0;
    return s->transport->writev(s, iov, count, n, e);
}

enum io stream_flush(struct stream *s, struct err *e)
{
    return s->transport->flush(s, e);
}

bool stream_pending(const struct stream *s)
{
    return s->transport->pending(s);
}

bool stream_buffered(const struct stream *s)
{
    return s->transport->buffered(s);
}

void stream_waits(const struct stream *s, bool reading, bool writing, struct pollset *ps)
{
    short in = reading ? POLLIN : 0;
    short out = writing || stream_pending(s) ? POLLOUT : 0;
    if (s->fd_in == s->fd_out) {
        if (in | out)
            pollset_add(ps, s->fd_in, in | out);
    } else {
        if (in)
            pollset_add(ps, s->fd_in, in);
        if (out)
            pollset_add(ps, s->fd_out, out);
    }
    if (reading && stream_buffered(s)) /* poll would not tell */
        pollset_until(ps, 0);
}

static char *address_text(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
        struct sockaddr_storage storage;
    } a = { 0 };
    socklen_t len = sizeof a - 1; /* a unix path may come without NUL */
    char text[INET6_ADDRSTRLEN] = "";
    if (get(fd, &a.any, &len) < 0)
        return xstrdup("");
    switch (a.any.sa_family) {
    case AF_INET: inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof text); break;
    case AF_INET6: inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text); break;
    case AF_UNIX: return xstrdup(a.un.sun_path);
    }
    return xstrdup(text);
}

/* The text is made when first asked for: const to the caller. */
static const char *remember(char **text, int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    if (!*text)
        *text = address_text(fd, get);
    return *text;
}

static int get_peer(int fd, struct sockaddr *a, socklen_t *len)
{
    return getpeername(fd, a, len);
}

static int get_local(int fd, struct sockaddr *a, socklen_t *len)
{
    return getsockname(fd, a, len);
}

const char *stream_peer(const struct stream *s)
{
    return remember(&((struct stream *)s)->peer, s->fd_in, get_peer);
}

const char *stream_local(const struct stream *s)
{
    return remember(&((struct stream *)s)->local, s->fd_in, get_local);
}
