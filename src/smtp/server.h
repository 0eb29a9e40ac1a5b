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
    SERVER_STEP,    /* a response in a mechanism of the driver's (server_step): server_challenge or server_step_done */
    SERVER_STAGE,   /* params.stages: something is about to be answered (server_stage): server_stage_answer says how */
    SERVER_DATA,    /* server_data has octets of the message (dots undone): store them, then server_data_taken */
    SERVER_DROP,    /* the message begun was given up: throw away what was stored of it, then server_data_taken */
    SERVER_MESSAGE, /* the message is complete: store it for good, then server_message_answer */
    SERVER_CLOSE,   /* nothing more to say; a message begun is given up */
};

/* Where a driver may have a server misbehave. What comes before is in server_output already. */
enum server_stage {
    SERVER_AT_NOWHERE,
    SERVER_AT_CONNECT,  /* the greeting */
    SERVER_AT_EHLO,     /* HELO and LHLO too; about: the client's name */
    SERVER_AT_STARTTLS,
    SERVER_AT_AUTH,     /* about: the mechanism */
    SERVER_AT_MAIL,     /* about: the address, "" where it is malformed */
    SERVER_AT_RCPT,     /* the same */
    SERVER_AT_DATA,     /* and each BDAT */
    SERVER_AT_RSET,
    SERVER_AT_QUIT,
};

struct server_params {
    bool lmtp;
    const char *name;           /* of this server, for the greeting */
    bool tls_offered;           /* STARTTLS is possible */
    bool tls_up;                /* implicit */
    bool auth_offered;
    bool auth_without_tls;      /* offer AUTH in clear, too */
    bool auth_required;         /* 530 to MAIL before AUTH */
    const struct strlist *mechanisms; /* borrowed: the only ones to offer; NULL: all of server_mechanisms */
    bool stages;                /* ask with SERVER_STAGE */
    uint32_t extensions;        /* CAP_ bits to offer (server_extensions); STARTTLS and AUTH also need the members
                                   above */
    int64_t size_max;           /* 0: no limit */
    size_t rcpt_max;            /* 0: no limit but that of the envelope's octets (1 MiB) */
    struct hub *hub;            /* borrowed; NULL: silent */
    unsigned connection;        /* number for events */
};

/* The EHLO keywords that a server can offer, as CAP_ bits; usual: without those that only some servers offer. */
uint32_t server_extensions(bool usual);

/* Every mechanism it knows, the strongest first; ends with NULL. Those called SCRAM are for the driver to carry out;
 * -PLUS ones are offered under TLS only. */
const char *const *server_mechanisms(void);

struct server;
struct server *server_new(const struct server_params *p); /* strings borrowed */
void server_free(struct server *s); /* NULL is allowed */

enum server_want server_next(struct server *s);

/* Octets from the client, at SERVER_READ. Borrowed until server_next returns READ, WRITE, TLS or CLOSE: what is not
 * eaten by then is copied, so one block can serve many connections and a message's octets are never copied here. */
void server_input(struct server *s, const char *p, size_t n);
void server_eof(struct server *s);

/* Copies what of the block is not eaten yet: for a driver that uses it otherwise before server_next returns one of
 * those. Not at SERVER_DATA. */
void server_hold(struct server *s);
const struct buf *server_output(const struct server *s);
void server_wrote(struct server *s, size_t n);
void server_tls_up(struct server *s);

/* Says 421 with that text (an idle client, a server that ends) and wants WRITE, then CLOSE. */
void server_end(struct server *s, const char *text);

struct server_login { const char *mechanism, *user, *password; }; /* password: the token for XOAUTH2 and OAUTHBEARER */
const struct server_login *server_login(const struct server *s);
void server_login_answer(struct server *s, bool ok);

/* The present response, decoded, in an exchange of the driver's own. */
struct server_step {
    const char *mechanism;
    bool first;                 /* the exchange begins with it */
    const struct buf *response; /* borrowed, secret */
};
const struct server_step *server_step(const struct server *s);
void server_challenge(struct server *s, const struct buf *challenge); /* the exchange goes on */
void server_step_done(struct server *s, const char *user, bool ok);

/* What SERVER_STAGE is about to answer; about is never NULL. */
enum server_stage server_stage(const struct server *s, const char **about);

/* Code 0: as it would. Else that reply, and nothing else happens; 421 closes. Behind a greeting that refuses only QUIT
 * is understood. The text is borrowed for the session's life, and as for server_message_answer. */
void server_stage_answer(struct server *s, int code, const char *text);

/* The octets of SERVER_DATA, valid until server_data_taken. */
void server_data(const struct server *s, const char **p, size_t *n);
void server_data_taken(struct server *s);

/* Sender, recipients (all accepted so far) and DSN wishes of the message. dsn_notify is what any recipient asked for;
 * what was asked for whom is in server_parameters. */
const struct envelope *server_envelope(const struct server *s);

/* The parameters as they came: "MAIL BODY=8BITMIME SIZE=120", "RCPT <b@example.org> NOTIFY=NEVER". */
const struct strlist *server_parameters(const struct server *s);

/* The reply to the end of the message, code and text, for all recipients (LMTP: once for each). The text may begin with
 * an enhanced code, which is left out where ENHANCEDSTATUSCODES is not offered. */
void server_message_answer(struct server *s, int code, const char *text);

/* LMTP: one reply for each recipient, in order. SMTP: the first is for all. Borrowed. */
struct server_answer { int code; const char *text; };
void server_message_answers(struct server *s, const struct server_answer *answers);

const char *server_user(const struct server *s); /* logged in as; NULL: not */
const char *server_helo(const struct server *s); /* "" before */
int64_t server_octets(const struct server *s);   /* of the present message so far */

/* The protocol by its registered name (RFC 3848, RFC 6531): "ESMTPSA", "UTF8SMTP", "LMTPS". Appends. */
void server_protocol(const struct server *s, struct buf *out);

#endif
