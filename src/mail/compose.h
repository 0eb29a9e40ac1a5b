/* compose: a MIME message (RFC 2045 to 2047, 2183, 2231, 2387) from texts and files, as a stream: files are read while
 * they are sent, so a large attachment needs no more memory than a small one.
 *
 * One text alone makes a plain message; several bodies multipart/alternative; inline parts multipart/related around
 * them; attachments multipart/mixed around all. */
#ifndef MAIL_COMPOSE_H
#define MAIL_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum compose_role { COMPOSE_BODY, COMPOSE_INLINE, COMPOSE_ATTACHMENT };

/* One part. Strings are borrowed for the composer's life. */
struct compose_part {
    enum compose_role role;
    const char *path;       /* a file; "-": standard input; NULL: text */
    const char *text;       /* text_n octets */
    size_t text_n;
    const char *type;       /* "image/png", parameters allowed; NULL: by the file's name (/etc/mime.types has more than
                               the built-in few), else text/plain for a body and application/octet-stream */
    const char *charset;    /* of a text; NULL: us-ascii or utf-8, as it is; a body that is neither and has none named
                               is an error, an attachment goes without one, as base64 */
    const char *name;       /* file name shown; NULL: the path's last component, of a body none; "": none */
    const char *content_id; /* without <>; NULL: none */
};

struct compose;

/* Opens every file and looks at every text, so that what cannot be sent is known before a connection is made:
 * FAULT_NO_INPUT (no such file, a directory), FAULT_MESSAGE (a body with NUL, or not UTF-8 and without a charset; a
 * message/rfc822 part that would have to be encoded), FAULT_USAGE (no media type, charset or Content-ID). Texts go as
 * 7bit or 8bit where lines allow, else quoted-printable; everything else as base64, and so does an attached text with
 * CR in it, which arrives octet for octet. A pipe that is no text streams; a text, and standard input named twice, are
 * held whole, beyond 1 MiB in an unlinked file. `headers` ("Name: value\r\n" lines, may be "") come first; MIME-Version
 * and Content-Type follow them, then the empty line. */
struct compose *compose_new(const char *headers, const struct compose_part *parts, size_t n, struct err *e);
void compose_free(struct compose *c); /* NULL is allowed */

/* The next octets, canonical (CRLF). *n == 0: the end. Errors: FAULT_IO; a file that shrank since it was opened is one.
 * One that grew goes as it was. */
bool compose_read(struct compose *c, char *p, size_t size, size_t *n, struct err *e);

/* The descriptor of a pipe that compose_read would wait for, -1 when it would not wait; and one read(2) from it, which
 * may give too little. */
int compose_wait_fd(const struct compose *c);
bool compose_pull(struct compose *c, struct err *e);

/* Exact octets of the whole; -1 where a part is a pipe. */
int64_t compose_size(const struct compose *c);

/* Back to the start. false: a pipe was consumed. */
bool compose_rewind(struct compose *c);

/* The boundary is made of octets that no text holds and base64 cannot; it is derived from `seed` where that is not
 * NULL, so that tests see the same one. To be called before the first compose_read. */
void compose_seed(struct compose *c, const char *seed);

#endif
