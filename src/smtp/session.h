/* session: the client's side of SMTP (RFC 5321) and LMTP (RFC 2033), without I/O.
 *
 * It eats octets, makes octets and returns what it wants next. It knows no socket, no
 * clock and no file. The driver's loop:
 *
 *     for (;;) switch (session_next(s)) {
 *     case WANT_WRITE: send session_output(), then session_wrote(); whenever the peer's octets
 *                      can be read meanwhile, session_input() them        ; break;
 *     case WANT_READ:  session_input(), or session_eof(), or session_timed_out(); break;
 *     case WANT_BODY:  session_body() with the next block, or session_body_end(); break;
 *     case WANT_TLS:   handshake, then session_tls_up(), or session_fail(); break;
 *     case WANT_AUTH:  see session_auth_…; break;
 *     case WANT_JOB:   session_job(), or session_no_job(); break;
 *     case WANT_CLOSE: close; session_error() tells how it went; end;
 *     }
 *
 * Handlers record facts (greeted, capabilities, TLS up, …); one function, advance(), decides the
 * order of the dialogue from the facts. Commands wait in a queue, each with its row (rows.c): what its
 * reply means, how long it may take, whether anything may follow in the same flight.
 *
 * The reply to QUIT is never waited for: when the QUIT has been written and every reply before it has come, the
 * session wants CLOSE. A peer that is lost, late or rude from then on changes nothing (but see
 * session_probe.hear_quit). */
#ifndef SMTP_SESSION_H
#define SMTP_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "mail/envelope.h"
#include "smtp/caps.h"

enum want { WANT_READ, WANT_WRITE, WANT_BODY, WANT_TLS, WANT_AUTH, WANT_JOB, WANT_CLOSE };

enum session_tls {
    SESSION_TLS_OFF,      /* never STARTTLS */
    SESSION_TLS_MAY,      /* when offered; when STARTTLS itself is refused, go on without */
    SESSION_TLS_STRICT,   /* when offered, and then it has to come up */
    SESSION_TLS_REQUIRED, /* or end: neither AUTH nor MAIL in clear */
    SESSION_TLS_IMPLICIT, /* it is up before the greeting */
};

/* Where a dialogue can be cut short, in its order. */
enum session_stop {
    STOP_NOWHERE,
    STOP_GREETING,
    STOP_FIRST_HELLO,
    STOP_XCLIENT,       /* the last of them */
    STOP_XCLIENT_HELLO, /* the EHLO behind it */
    STOP_TLS,           /* behind the reply to STARTTLS the handshake belongs to it; implicit TLS: reached with the
                           greeting */
    STOP_HELLO,         /* the last EHLO before AUTH or MAIL */
    STOP_AUTH,
    STOP_MAIL,
    STOP_RCPT,          /* all of them */
    STOP_DATA,          /* DATA is used then, not BDAT. Behind 354 a QUIT would be text: quit_after drops here */
    STOP_DOT,
};

/* How much a step matters. */
enum session_need {
    NEED_REQUIRED, /* or end */
    NEED_STRICT,   /* when offered, and then it has to succeed */
    NEED_MAY,      /* go on in any case */
};

/* What a test may ask of the dialogue and a delivery does not: facts for advance(). All zero: a delivery. A stop is
 * reached when what it names went well; a step that is not part of the dialogue (no TLS wanted) is passed as if it had
 * gone well. */
struct session_probe {
    enum session_stop quit_after, drop_after; /* QUIT, or close without a word, behind the reply */
    enum session_stop drop_after_send;        /* close when its command is written; DOT: the end of the message */
    uint32_t caps_ignored;    /* CAP_ bits that are not made use of, though offered */
    uint32_t caps_assumed;    /* … that are, though not offered (STARTTLS, AUTH, XCLIENT and PRDR too) */
    bool helo;                /* HELO at once, without EHLO */
    bool as_is;               /* addresses as they stand, and no refusal of ours: the server is to say it */
    bool hear_quit;           /* the reply to QUIT is waited for; another than 2xx, or none, is an error at
                                 STAGE_QUIT */
    bool prdr;                /* ask for a reply for each recipient (PRDR); not offered: STAGE_MAIL,
                                 FAULT_UNAVAILABLE */
    bool raw_body;            /* the body goes as it is: no dot is doubled and none ends it */
    bool decode_auth;         /* EV_CLIENT of AUTH and of responses has a field `decoded` */
    enum session_need auth_need;              /* where params.auth */
    const struct strlist *xclient;            /* arguments of one XCLIENT command each (Postfix XCLIENT); NULL or empty:
                                                 none */
    bool xclient_before_tls;                  /* behind the first EHLO, not the last */
    bool xclient_unverified;                  /* attributes need not be among those offered */
    enum session_need xclient_need;
    void (*leaving)(void *ctx, const struct err *e); /* told why the dialogue is given up, before QUIT; or NULL */
    void *leaving_ctx;
    const struct strlist *mail_params, *rcpt_params; /* "NAME" or "NAME=VALUE" behind MAIL and each RCPT; NULL: none */
};

/* Strings are borrowed for the session's life and must be free of CR, LF and NUL. */
struct session_params {
    bool lmtp;
    const char *domain;   /* argument of EHLO or LHLO */
    enum session_tls tls;
    bool auth;            /* authenticate before the first MAIL, or end */
    const char *etrn;     /* start this queue (RFC 1985: host, @domain or #queue) when all else is settled, or end;
                             NULL: none */
    bool requiretls;      /* MAIL says REQUIRETLS (RFC 8689); not offered under TLS: FAULT_UNAVAILABLE at STAGE_MAIL,
                             everybody is refused with a reply of ours, 5.7.30 */
    bool all_or_nothing;  /* one recipient refused: nobody gets the message */
    usec timeout;         /* for every step; 0: each row's own (RFC 5321 4.5.3.2, shortened; see rows.c) */
    void (*over)(void *ctx); /* a job is over, and the one that was given ahead of its turn follows: what the facts say
                                of the job is heard now or never. It may call session_fail(). NULL: none is given so */
    void *over_ctx;
    struct session_probe probe;
    struct hub *hub;      /* borrowed; NULL: silent */
    unsigned connection;  /* number for events */
};

/* One transaction. Borrowed until the next WANT_JOB or WANT_CLOSE. */
struct session_job {
    struct envelope *env;
    const size_t *rcpts;  /* indices into env->rcpts to be served, n of them; their fates are set here */
    size_t n;
    int64_t size;         /* octets of the message if known (then exactly so many must be given), else -1 */
    int64_t size_about;   /* where the size is not known: what SIZE= announces (RFC 1870 allows an estimate); <= 0:
                             nothing */
    bool eight_bit;       /* BODY=8BITMIME is asked for where offered */
    bool utf8_headers;    /* SMTPUTF8 is asked for where offered */
    bool last;            /* no other job follows: QUIT joins the flight of the end of data */
};

struct session;

struct session *session_new(const struct session_params *p);
void session_free(struct session *s); /* NULL is allowed */

/* Advances the dialogue and says what is wanted. Calling it again without doing anything gives the same answer. */
enum want session_next(struct session *s);

/* How long the present wait may take in all (not per octet), counted from the moment session_step_id() changed. */
usec session_timeout(const struct session *s);
unsigned session_step_id(const struct session *s);
enum stage session_stage(const struct session *s); /* what is being waited for */

/* WANT_WRITE: up to max slices to be sent in one write, valid until session_wrote or session_input; returns how many.
 * A text with many dots at line starts makes many slices: 64 or more are worth their room. */
int session_output(struct session *s, struct iovec *iov, int max);
void session_wrote(struct session *s, size_t n);

/* Octets from the peer, welcome at any time but during the TLS handshake, in any portions. */
void session_input(struct session *s, const char *p, size_t n);
void session_eof(struct session *s);
void session_timed_out(struct session *s);

/* The transport or TLS or the local source failed: *e is moved into the session, which then wants CLOSE. */
void session_fail(struct session *s, struct err *e);

/* WANT_TLS: the handshake is done. Everything learnt before is forgotten; octets that had arrived behind the reply to
 * STARTTLS have already ended the session. */
void session_tls_up(struct session *s);

/* WANT_BODY: the next block of canonical text, borrowed until the next WANT_BODY (or another want than WRITE and READ).
 * Small blocks are copied and wait for the next one, so that a small message, the dot behind it and QUIT leave in one
 * write. Where the job's size is known the session sees the end itself, with the block that completes it;
 * session_body_end is for the others and harmless then. WANT_BODY waits for the local source: that time is not the
 * peer's, and each block begins a new step. */
void session_body(struct session *s, const char *p, size_t n);
void session_body_end(struct session *s);

/* WANT_AUTH: what session_auth_state says:
 * CHOOSE     pick a mechanism: session_auth_start, or session_auth_give_up. session_auth_reply is the refusal of the
 *            mechanism tried before, if one was
 * CHALLENGE  session_auth_challenge has the server's (decoded) octets: session_auth_respond, or session_auth_cancel
 * SUCCESS    the server said 235; its last message, if any, is session_auth_challenge. The driver checks it (SCRAM):
 *            then session_auth_accept, or session_fail */
enum session_auth_state { SESSION_AUTH_CHOOSE, SESSION_AUTH_CHALLENGE, SESSION_AUTH_SUCCESS };
enum session_auth_state session_auth_state(const struct session *s);
const struct reply *session_auth_reply(const struct session *s); /* NULL: none yet */
const struct buf *session_auth_challenge(const struct session *s);
/* NULL: no initial response */
void session_auth_start(struct session *s, const char *mechanism, const struct buf *initial);
void session_auth_respond(struct session *s, const struct buf *response);
void session_auth_cancel(struct session *s); /* sends "*"; CHOOSE follows */
void session_auth_accept(struct session *s);
void session_auth_give_up(struct session *s, struct err *e); /* moved; the session ends with QUIT */

/* WANT_JOB: the next transaction; or none: QUIT, if it was not sent yet. */
void session_job(struct session *s, const struct session_job *job);
void session_no_job(struct session *s);

/* May the next transaction be given ahead of its turn, by session_job(), whatever is wanted? The end of the present
 * message waits to be written: MAIL, RCPT and DATA of the next one join its flight (RFC 2920 3.1), and are answered
 * together with it. No text leaves before the message in front of it is answered, so that never more than one is in
 * doubt. Where the session ends before that, the recipients of the job given ahead are RCPT_PENDING still. */
bool session_takes_next(const struct session *s);

/* Facts. */
const struct caps *session_caps(const struct session *s);
const char *session_greeting(const struct session *s);         /* text of the 220, "" before */
bool session_is_tls(const struct session *s);
bool session_dropped(const struct session *s);                 /* a stop of the probe closed it */
bool session_had_xclient(const struct session *s);             /* XCLIENT was accepted */
const struct reply *session_etrn_reply(const struct session *s); /* code 0: none */
/* The reply to the end of the last job's message (code 0: none; LMTP: the best of them): its text holds the queue
 * id. */
const struct reply *session_data_reply(const struct session *s);

/* How the session as a whole ended, meaningful at WANT_CLOSE (and at WANT_JOB for the job just done; session_job clears
 * it): unset when nothing went wrong but single recipients' fates. Set as well when the message was refused for
 * everybody (FAULT_MESSAGE, FAULT_TEMPORARY), when MAIL was (FAULT_UNAVAILABLE, FAULT_TEMPORARY; FAULT_MESSAGE for its
 * size) and when one refused recipient stopped all_or_nothing (FAULT_RECIPIENTS, FAULT_TEMPORARY). At WANT_CLOSE no
 * recipient of a job begun is RCPT_PENDING. A QUIT that goes wrong after the message was accepted is no error. */
const struct err *session_error(const struct session *s);

#endif
