/* message: one message, canonical at the border and streamed.
 *
 * Intake turns CR, LF and CRLF each into CRLF, so that nothing that goes out can
 * be split differently by any receiver; a NUL octet is an error. Up to
 * MESSAGE_WINDOW octets are held; what lies beyond is read from the source
 * while the body is being sent, in constant memory. The message can be sent
 * again as long as nothing past the window was consumed, or after
 * message_spool(). The last line always ends with CRLF. */
#ifndef MAIL_MESSAGE_H
#define MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "mail/header.h"

enum {
    MESSAGE_WINDOW = 1 << 20,
    MESSAGE_BLOCK = 128 << 10, /* largest block message_next gives */
};

struct message {
    struct header_list headers; /* own: edit between message_read and the first message_next */
    /* Facts, true of headers and body; valid after message_read. */
    bool complete;     /* end of input was seen: all facts below are exact */
    bool eight_bit;    /* octets above 127 in the body; of what is beyond the window, once it was spooled */
    bool empty;        /* not one octet came */
    int64_t size_hint; /* octets of the source where it is a regular file, else -1 */
    struct intake *in; /* private */
};

void message_init(struct message *m);
void message_free(struct message *m);

/* Reads from fd until the window is full or the input ends, and parses the headers. fd is borrowed and must stay
 * open until the message was sent. Errors: FAULT_IO (read failed), FAULT_MESSAGE (NUL octet; headers larger than the
 * window). */
bool message_read(struct message *m, int fd, struct err *e);

/* The same from memory, which is copied. */
bool message_from_memory(struct message *m, const char *text, size_t n, struct err *e);

/* The same from a composer, which is the message's from here on, also after a failure. Up to the window it is held as
 * any other; beyond, it is read while it is sent, and can be rewound as often as the composer can. message_size is
 * exact where the composer's size is. */
struct compose;
bool message_compose(struct message *m, struct compose *c, struct err *e);

/* Octets that go out as they are: neither made canonical nor looked at (NUL, bare CR and LF included), no header list.
 * For tests of servers only. Copied. */
void message_raw(struct message *m, const char *octets, size_t n);

/* Do the headers hold octets above 127 (RFC 6532)? */
bool message_headers_eight_bit(const struct message *m);

/* Does the header say "TLS-Required: No" (RFC 8689 5): that it matters more that the message arrives than that nobody
 * else reads it? */
bool message_tls_not_required(const struct message *m);

/* Exact size in octets, headers as they are now; -1 when not complete. */
int64_t message_size(const struct message *m);

/* Starts (again) at the first header. false: octets past the window were consumed and are gone. */
bool message_rewind(struct message *m);
bool message_can_rewind(const struct message *m);

/* The next block of headers, empty line and body: *p and *n, valid until the next call; *n == 0 at the end.
 * Errors as message_read's. Blocks on the source's read(2). */
bool message_next(struct message *m, const char **p, size_t *n, struct err *e);

/* Makes the whole available for any number of rewinds: what is beyond the window goes to an unlinked file.
 * After it the message is complete. To be called before anything past the window was consumed. */
bool message_spool(struct message *m, struct err *e);

/* A part of message_spool, with one read(2) at most: for who must not wait, until m->complete. Waits for the readiness
 * of message_source_fd, where that is not -1. */
bool message_spool_step(struct message *m, struct err *e);
int message_source_fd(const struct message *m);

/* A second reader of a complete message: the same headers as they are now and the same body, with a position of its
 * own. What m holds is borrowed until message_free(copy), and must stay as it is. */
void message_share(struct message *copy, const struct message *m);

/* The descriptor whose readiness message_next waits for next, -1 when it would not wait. */
int message_wait_fd(const struct message *m);

/* One read(2) from that descriptor. What it gave may be too little for message_next not to wait: message_wait_fd
 * tells. */
bool message_pull(struct message *m, struct err *e);

#endif
