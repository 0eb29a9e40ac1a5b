/* session_private: the session's facts, queue and wire, shared by the files that make up the session: session.c
 * (octets and wants), advance.c (the order), stops.c (where a test cuts it short), features.c (what is offered),
 * rows.c (the commands), login.c (AUTH), transaction.c (one job), body.c (the message's octets). Nobody else includes
 * it. */
#ifndef SMTP_SESSION_PRIVATE_H
#define SMTP_SESSION_PRIVATE_H

#include "base/buf.h"
#include "mail/dot.h"
#include "smtp/session.h"

enum command_kind {
    CMD_GREETING, /* no command at all: the reply that a connection begins with */
    CMD_EHLO,
    CMD_HELO,
    CMD_LHLO,
    CMD_STARTTLS,
    CMD_XCLIENT,
    CMD_AUTH,
    CMD_RESPONSE,
    CMD_ETRN,
    CMD_RSET,
    CMD_MAIL,
    CMD_RCPT,
    CMD_DATA,
    CMD_MESSAGE, /* the text after 354 with its dot */
    CMD_BDAT,    /* a chunk that is not the last */
    CMD_BDAT_LAST,
    CMD_QUIT,
};

struct command {
    enum command_kind kind;
    size_t arg;    /* RCPT: index into the job's rcpts; BDAT: octets of the chunk */
    uint64_t mark; /* how much text must have been written before a reply can be an answer to it */
};

/* What a command is. */
struct row {
    const char *word;
    enum stage stage;
    usec timeout;
    const char *good; /* first digits of the replies that let the dialogue go on */
    bool last; /* nothing may follow before its reply came (RFC 2920 3.1) */
    bool body; /* the message's octets belong to it: nothing may follow before their end */
    /* Writes the line without CRLF. NULL: there is none. */
    void (*write)(struct session *s, const struct command *c, struct buf *line);
    /* Records what the reply means. false: another reply to the same command follows. */
    bool (*reply)(struct session *s, const struct command *c, const struct reply *r);
};

extern const struct row rows[];

enum hello { HELLO_NOT_YET, HELLO_REFUSED /* EHLO was: HELO is next */, HELLO_DONE };
enum ask { ASK_NOTHING, ASK_TLS, ASK_AUTH, ASK_JOB };
enum data { DATA_NOT_YET, DATA_ASKED, DATA_GO /* 354 */, DATA_SENDING, DATA_OVER };
enum rcpt_state {
    RCPT_STATE_ASKED,
    RCPT_STATE_OK,
    RCPT_STATE_KEPT, /* PRDR: it gets the message if anybody does */
    RCPT_STATE_OVER, /* it has its fate */
};

struct login {
    size_t (*open)(const struct buf *text, unsigned nth); /* how much of what we say may be shown decoded */
    unsigned said;         /* responses so far */
    enum session_auth_state state;
    struct reply refusal;  /* own */
    struct buf challenge;  /* own, secret */
    struct buf line;       /* own, secret: the line to be sent */
    size_t cut;            /* where its secret begins */
    struct buf held;       /* own, secret: an initial response too long for the AUTH line */
    bool holding;
    bool cancelled;
};

struct transaction {
    struct session_job job;
    bool active;             /* a job is being served */
    bool begun;              /* its envelope is queued */
    bool failed;             /* nobody can get it any more */
    bool mailed;             /* MAIL was accepted */
    bool prdr;               /* 353: a reply for each recipient comes, then one for the message */
    bool utf8;               /* MAIL asks for SMTPUTF8 */
    bool as_they_stand;      /* … or no address needs another form */
    enum data data;
    size_t unanswered;       /* RCPT commands without a reply */
    size_t accepted, refused; /* recipients, by the replies to RCPT */
    unsigned char *state;    /* own: enum rcpt_state of each of job.rcpts */
};

enum { BODY_SLICES = 64 };

/* The message on its way. */
struct body {
    bool active;       /* octets are asked for until ended */
    bool ended;
    bool dotted;       /* DATA, not BDAT */
    bool chunked;      /* each block becomes a BDAT of its own */
    const char *p;     /* borrowed: what is not cut into slices yet of the present block */
    size_t n;
    struct iovec slices[BODY_SLICES]; /* … and what is: from `at` to `end` they are not written yet */
    int at, end;
    struct dot dot;
    int64_t given;     /* octets so far */
    char last;         /* the last of them */
    uint64_t end_mark; /* how much text must have been written for the end to be out */
    struct buf line;   /* own: a line of EV_CONTENT that goes on in the next block */
};

struct session {
    struct session_params p;

    /* Facts. */
    bool greeted;
    bool tls_up;
    bool authenticated;
    bool had_xclient;         /* one at least was accepted */
    size_t xclients;          /* accepted */
    uint32_t without;         /* CAP_ bits: asked for, and passed over because not offered or refused */
    enum hello hello;
    unsigned hellos;          /* accepted, of any kind */
    struct caps caps;
    char *greeting;           /* own or NULL */
    struct reply data_reply, etrn_reply;
    bool open;                /* the server holds a transaction that nothing has ended */
    unsigned jobs;            /* begun so far */
    bool leaving;             /* nothing follows but QUIT */
    bool left;                /* QUIT is queued */
    bool gone;                /* close at once */
    bool dropped;             /* … because a stop of the probe said so */
    struct err err;
    enum ask ask;             /* what the driver has to answer before the dialogue can go on */
    struct transaction t;
    struct transaction ahead; /* active: its envelope was sent behind the end of t's message */
    struct err ahead_err;     /* … and it cannot be done here */
    struct login login;

    /* Commands: [sent, todo) are written and wait for their replies, [todo, end) wait to be written. */
    struct command *queue;    /* own */
    size_t sent, todo, end, cap;

    /* The wire: out, then the body's block, then tail. */
    struct buf out;           /* own, secret */
    size_t out_done;          /* octets of out that are written */
    struct buf tail;          /* own, secret: text behind the body's block */
    uint64_t text_queued, text_written; /* of out and tail since the session began */
    struct body body;
    struct reply_parser parser;
    char first[8];              /* the first octets that came */
    size_t first_n;
    unsigned step_id;
};

/* advance.c */
void advance_run(struct session *s); /* as far as it goes without the driver and the peer */
void advance_release(struct session *s); /* writes what may be written of the commands that wait */
void advance_push(struct session *s, enum command_kind kind, size_t arg);

/* stops.c */
bool stops_at(const struct session *s, enum session_stop stop); /* in one way or another */
bool stops_reached(const struct session *s, enum session_stop stop);
bool stops_drop_due(const struct session *s);

/* features.c */
bool session_has(const struct session *s, enum cap cap); /* … and may it be made use of? */
bool tls_due(const struct session *s);
bool xclient_due(const struct session *s);
bool auth_due(const struct session *s);
bool etrn_due(const struct session *s);
/* Is something asked for that this server does not have? Then the session leaves with an error, or goes on without. */
bool features_missing(struct session *s);

/* session.c */
const struct command *session_head(const struct session *s); /* of sent; NULL: no reply is due */
/* Only the reply to QUIT is missing, and nobody waits for it: nothing matters any more. */
bool session_parting(const struct session *s);
void session_begin_anew(struct session *s);     /* EHLO is next; what an earlier one said is forgotten */
struct buf *session_wire(struct session *s); /* where text goes that follows what is there */
void session_text(struct session *s, const char *p, size_t n); /* appends to it */
void session_leave(struct session *s);    /* what waits is dropped; QUIT follows the replies still due */
void session_hang_up(struct session *s);  /* closes at once; recipients without a fate get theirs */
/* Sets the error from a refusing reply: 4xx FAULT_TEMPORARY, else `permanent`. */
__attribute__((format(printf, 4, 5))) void session_refused(struct session *s, const struct reply *r,
                                                           enum fault permanent, const char *fmt, ...);
/* The peer broke the protocol with r (NULL: without a reply); hangs up. */
void session_protocol_error(struct session *s, const struct reply *r, const char *text);

/* rows.c */
const char *rows_masked(const struct caps *c); /* a keyword that something on the way overwrote, or NULL */

/* login.c */
void login_write(struct session *s, const struct command *c, struct buf *line);
/* The line with its base64 undone. false: there is none in it. What stands from cut on is secret: a password,
 * however short, and what is made of one. */
bool login_decode(struct session *s, const char *line, size_t n, struct buf *out, size_t *cut);
bool login_reply(struct session *s, const struct command *c, const struct reply *r);
void login_free(struct login *l);

/* transaction.c */
void transaction_begin(struct session *s);
void transaction_follow(struct session *s); /* the job given ahead takes the place of the one that is over … */
void transaction_withdraw(struct session *s); /* … or is as if it had not been given */
bool transaction_serves(const struct session *s); /* do the recipients answered so far let the message go out? */
bool transaction_data_due(const struct session *s);
void transaction_data(struct session *s);
void transaction_end(struct session *s);
void transaction_abandon(struct session *s); /* every recipient without a fate gets one */
void transaction_settle_all(struct session *s, const struct reply *r); /* the same, from a reply */
void transaction_write_mail(struct session *s, const struct command *c, struct buf *line);
void transaction_write_rcpt(struct session *s, const struct command *c, struct buf *line);
bool transaction_mail_reply(struct session *s, const struct command *c, const struct reply *r);
bool transaction_rcpt_reply(struct session *s, const struct command *c, const struct reply *r);
bool transaction_data_reply(struct session *s, const struct command *c, const struct reply *r);
bool transaction_chunk_reply(struct session *s, const struct command *c, const struct reply *r);
bool transaction_message_reply(struct session *s, const struct command *c, const struct reply *r);

/* body.c */
void body_start(struct session *s, bool dotted, bool chunked);
bool body_wanted(const struct session *s);
bool body_handed_out(const struct session *s); /* to its very end */
void body_drop(struct session *s);        /* what is left of it */
bool body_waits(const struct session *s); /* is a block not written to its end? */
/* all: they reach to the block's end */
int body_slices(const struct session *s, struct iovec *iov, int max, bool *all);
size_t body_wrote(struct session *s, size_t n); /* says how many of n were the body's */

#endif
