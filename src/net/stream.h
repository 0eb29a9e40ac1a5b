/* stream: octets to and from a peer without blocking; TCP, unix socket, a pair of pipes; plain or TLS.
 *
 * One write per flight: stream_writev sends what it is given in as few system calls and TLS records as there can be. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/err.h"
#include "net/loop.h"

enum io {
    IO_DONE,  /* something moved: *n > 0 */
    IO_AGAIN, /* would block: wait as stream_waits says */
    IO_EOF,   /* reading: the peer closed its side (under TLS: properly or not) */
    IO_ERROR, /* *e is set: FAULT_LOST, FAULT_TLS … */
};

struct stream;
struct tls_params;
struct tls_facts;

/* Takes the connected, non-blocking descriptors over (the same for both directions for a socket).
 * Sets TCP_NODELAY where it is TCP. */
struct stream *stream_new(int fd_in, int fd_out);

/* Closes without a word (TLS: close_notify is tried once, never waited for); a child process behind it is waited for,
 * two seconds at most. NULL is allowed. */
void stream_free(struct stream *s);

/* The same, and TLS does not say goodbye either. */
void stream_drop(struct stream *s);

/* Closes a TCP connection with a reset. */
void stream_reset(struct stream *s);

/* Up to size octets into p. */
enum io stream_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e);

/* Takes as many octets of iov as it can; *n says how many. What it took may still wait inside the stream (TLS records):
 * then stream_pending() is true and stream_flush moves on. */
enum io stream_writev(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e);
enum io stream_flush(struct stream *s, struct err *e); /* IO_DONE: nothing waits any more */
bool stream_pending(const struct stream *s);

/* Adds to ps what the stream needs before reading (and, if `writing`, writing) can go on. */
void stream_waits(const struct stream *s, bool reading, bool writing, struct pollset *ps);

/* Has the stream unread octets in its own buffers, so that poll would not tell? */
bool stream_buffered(const struct stream *s);

/* Starts TLS as a client (net/tls.h). Call until it does not return IO_AGAIN. Octets that the peer sent before the
 * handshake began are an error. On IO_DONE the certificate was verified as params ask. On a certificate failure
 * (FAULT_CERTIFICATE) nothing was sent but the handshake. params are borrowed until it is done. The last of our own
 * part may still be pending then: it leaves together with what is written next, and before anything is read. */
enum io stream_tls_client(struct stream *s, const struct tls_params *params, struct err *e);

struct tls_server;
/* The same as a server (for sink). */
enum io stream_tls_server(struct stream *s, struct tls_server *ctx, struct err *e);

bool stream_is_tls(const struct stream *s);

/* Facts of the handshake, valid as long as the stream; NULL before TLS. After a failed handshake: what is known. */
const struct tls_facts *stream_tls_facts(const struct stream *s);

/* The channel binding of TLS: `tls-exporter` (RFC 9266) under TLS 1.3, else `tls-unique`. *type is a static string.
 * false: no TLS, or no safe binding. Appends to out. */
struct buf;
bool stream_channel_binding(const struct stream *s, const char **type, struct buf *out);

/* "192.0.2.1" or "/path" of the peer, and of this side; "" when unknown. Valid as long as the stream. */
const char *stream_peer(const struct stream *s);
const char *stream_local(const struct stream *s);

#endif
