/* server: the server's side of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O. What sink listens with.
 *
 * The driver's loop is as session.h's: it asks server_next and does what is wanted. Replies to a pipelined flight are
 * given out together. */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/event.h"
#include "mail/envelope.h"

enum server_want {
    SERVER_READ,    /* server_input or server_eof */
    SERVER_WRITE,   /* server_output, server_wrote */
    SERVER_TLS,     /* handshake, then server_tls_up; octets that had arrived behind STARTTLS are forgotten */
    SERVER_LOGIN,   /* server_login asks: is this right? answer with server_login_answer */
    SERVER_DATA,    /* server_data has octets of the message (dots undone): store them, then server_data_taken */
    SERVER_DROP,    /* the message begun was given up: throw away what was stored of it, then server_data_taken */
    SERVER_MESSAGE, /* the message is complete: store it for good, then server_message_answer */
    SERVER_CLOSE,   /* nothing more to say; a message begun is given up */
};

struct server_params {
    bool lmtp;
    const char *name;           /* of this server, for the greeting */
    bool tls_offered;           /* STARTTLS is possible */
    bool tls_up;                /* implicit */
    bool auth_offered;
    bool auth_without_tls;      /* offer AUTH in clear, too */
    bool auth_required;         /* 530 to MAIL before AUTH */
    uint32_t extensions;        /* CAP_ bits to offer; STARTTLS and AUTH also need the members above */
    int64_t size_max;           /* 0: no limit */
    size_t rcpt_max;            /* 0: no limit but that of the envelope's octets (1 MiB) */
    struct hub *hub;            /* borrowed; NULL: silent */
    unsigned connection;        /* number for events */
};

struct server;
struct server *server_new(const struct server_params *p); /* strings borrowed */
void server_free(struct server *s); /* NULL is allowed */

enum server_want server_next(struct server *s);

/* Octets from the client, at SERVER_READ. Borrowed until server_next returns READ, WRITE, TLS or CLOSE: what is not eaten by then is
 * copied, so one block can serve many connections and a message's octets are never copied here. */
void server_input(struct server *s, const char *p, size_t n);
void server_eof(struct server *s);
const struct buf *server_output(const struct server *s);
void server_wrote(struct server *s, size_t n);
void server_tls_up(struct server *s);

/* Says 421 with that text (an idle client, a server that ends) and wants WRITE, then CLOSE. */
void server_end(struct server *s, const char *text);

struct server_login { const char *mechanism, *user, *password; }; /* password: the token for XOAUTH2 and OAUTHBEARER */
const struct server_login *server_login(const struct server *s);
void server_login_answer(struct server *s, bool ok);

/* The octets of SERVER_DATA, valid until server_data_taken. */
void server_data(const struct server *s, const char **p, size_t *n);
void server_data_taken(struct server *s);

/* Sender, recipients (all accepted so far) and DSN wishes of the message. dsn_notify is what any recipient asked for; what was
 * asked for whom is in server_parameters. */
const struct envelope *server_envelope(const struct server *s);

/* The parameters as they came: "MAIL BODY=8BITMIME SIZE=120", "RCPT <b@example.org> NOTIFY=NEVER". */
const struct strlist *server_parameters(const struct server *s);

/* The reply to the end of the message, code and text, for all recipients (LMTP: once for each). The text may begin with an
 * enhanced code, which is left out where ENHANCEDSTATUSCODES is not offered. */
void server_message_answer(struct server *s, int code, const char *text);

const char *server_user(const struct server *s); /* logged in as; NULL: not */
const char *server_helo(const struct server *s); /* "" before */
int64_t server_octets(const struct server *s);   /* of the present message so far */

/* The protocol by its registered name (RFC 3848, RFC 6531): "ESMTPSA", "UTF8SMTP", "LMTPS". Appends. */
void server_protocol(const struct server *s, struct buf *out);

#endif
