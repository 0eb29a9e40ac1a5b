/* deliver: serves a session's wants over a connection: dial, TLS, AUTH, the message, deadlines. One delivery is one
 * task of the poll loop, so that many can run side by side. */
#ifndef SEND_DELIVER_H
#define SEND_DELIVER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "net/dial.h"
#include "net/loop.h"
#include "net/tls.h"
#include "send/credentials.h"
#include "send/route.h"
#include "smtp/session.h"

/* What a test asks of a delivery; strings and lists are borrowed. */
struct deliver_probe {
    struct session_probe session;
    const struct buf *preamble;    /* a PROXY header, sent before everything else; NULL: none */
    const char *preamble_line;     /* how EV_CLIENT shows it */
    bool stop_after_preamble;      /* … and close behind it */
    int source_port;               /* 0: any */
    const char *sni;               /* as tls_params.sni */
    bool any_name, any_issuer;     /* as in tls_params */
    bool any_certificate;          /* one that is not good is told (EV_TLS) and tolerated, but no password follows it
                                      unless … */
    bool secret_anyway;            /* … the user said so; also: in clear, where a mechanism that `auth` names is allowed
                                      anyway */
    const struct strlist *aliases; /* "NAME=MECHANISM": what a server may call a mechanism; of several the first it
                                      offers. NULL: none */
    bool keep_pem;                 /* EV_CERTIFICATE has `pem` */
};

struct deliver;

/* Message after message over one connection, for who has several; one alone (env, message) is a feed of one. */
struct deliver_item {
    struct envelope *env;          /* borrowed until `done`, or until the delivery is freed; fates are set */
    struct message *message;       /* borrowed as env */
    bool last;                     /* nothing follows over this connection: QUIT may leave together with it */
};
enum deliver_fed {
    FED_MESSAGE,
    FED_WAIT,                      /* nothing now: asked again at *until, or when *fd (-1: none) is readable */
    FED_END,
};
struct deliver_feed {
    void *ctx;
    /* May be asked while an item is not over: the next one's envelope then leaves together with its end, and nothing of
     * the next message before `done`. Where the connection ends between, its recipients are pending as they were. */
    enum deliver_fed (*next)(void *ctx, struct deliver_item *item, usec *until, int *fd);
    /* The server has said what there is to say about the item, and the connection goes on. e: what was wrong with the
     * message as a whole. For what a connection ends with this is not called: deliver_result() tells then. false: the
     * item that was given ahead must not be sent, and the connection ends. */
    bool (*done)(void *ctx, const struct err *e);
};

struct deliver_params {
    const struct account *account; /* borrowed */
    const struct hop *hop;         /* borrowed */
    struct envelope *env;          /* borrowed; fates are set. NULL: there is nothing to send */
    struct message *message;       /* borrowed; NULL with env */
    const struct deliver_feed *feed; /* borrowed; in place of env and message. NULL: none */
    const char *etrn;              /* borrowed: start this queue of the server; NULL: none */
    bool look;                     /* the server is only looked at: nobody logs in, and any certificate will do */
    const struct deliver_probe *probe; /* borrowed; NULL: none */
    struct credentials *credentials;           /* borrowed */
    struct hub *hub;               /* borrowed */
    unsigned connection;
    usec deadline;                 /* of the whole run; USEC_NEVER: `deadline auto`, each message of a feed anew */
};

/* How the hop is connected to; strings are the account's and the hop's, and its deadline counts from now. hub and
 * connection are the caller's to add. */
struct dial_params deliver_dial_params(const struct account *a, const struct hop *hop);

/* What TLS must be on this hop; strings are the account's and the hop's. The password of an encrypted key is the
 * credentials'. */
struct tls_params deliver_tls_params(const struct account *a, const struct hop *hop, struct credentials *c);

/* A mistake that needs no connection to be found must not cost one; nor must a server wait for a password to be
 * typed. */
bool deliver_check(const struct account *a, const struct hop *hop, struct credentials *c, struct err *e);

/* The name under which a TLS session with the hop may be kept, made of all that must be the same for it to be taken up
 * again. Appends; false: none is to be kept. */
bool deliver_tls_session_name(const struct account *a, const struct hop *hop, const struct tls_params *p,
                              struct buf *name);

/* Emits EV_TLS and EV_CERTIFICATE. NULL: nothing. */
void deliver_tls_tell(struct hub *hub, unsigned connection, const struct tls_facts *f);

/* Where a hop's failures are only reported (hop.report): EV_WARNING with what a policy in force would have refused. f
 * NULL: the connection is in clear. */
void deliver_tls_report(struct hub *hub, unsigned connection, const struct hop *hop, const struct tls_facts *f);

struct deliver *deliver_new(const struct deliver_params *p);
struct task *deliver_task(struct deliver *d);

/* Runs the task alone to its end, or until a signal ends it; then as deliver_result. */
void deliver_run(struct deliver *d, struct err *e);

/* Why a run of tasks that a signal ended did. */
void deliver_interrupted(int signal_number, struct err *e);

/* After the task has finished: how it went. The envelope has the single fates; *e what ended the connection, if
 * something did. */
void deliver_result(const struct deliver *d, struct err *e);

/* Ends a task that is still under way (a signal): *e is moved into it. */
void deliver_abort(struct deliver *d, struct err *e);

/* The answer to ETRN; NULL: none came. Valid as long as d. */
const struct reply *deliver_etrn_reply(const struct deliver *d);

/* The queue id in the reply to the (last) message, if it holds one ("250 2.0.0 Ok: queued as 4X…"); NULL: none. Valid
 * as long as d. */
const char *deliver_queue_id(const struct deliver *d);

/* How it ended, for the choice of another way. Valid as long as d. */
struct hop_end deliver_hop_end(const struct deliver *d);

/* Was the connection encrypted, at least in the end? */
bool deliver_is_tls(const struct deliver *d);

/* How well the connection was protected, in the end, in the words of policy_got. */
enum tls_level deliver_level(const struct deliver *d);

/* Did a stop of the probe close it; was XCLIENT accepted? */
bool deliver_dropped(const struct deliver *d);
bool deliver_had_xclient(const struct deliver *d);

/* Octets of the message taken from it so far, in the last transaction. */
int64_t deliver_octets(const struct deliver *d);

void deliver_free(struct deliver *d);

#endif
