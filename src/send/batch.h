/* batch: the messages of a box through one account: over a few connections that carry one after the other, in one poll
 * loop. Who gets a message and what is added to it is the caller's to say. */
#ifndef SEND_BATCH_H
#define SEND_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "mail/box.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "send/journal.h"

enum {
    BATCH_WINDOW = 1024, /* so many messages at most are taken beyond the first that is not over */
};

/* How it went for one message. */
enum batch_outcome {
    BATCH_SENT,      /* everybody has it */
    BATCH_PARTIAL,   /* somebody has it */
    BATCH_REFUSED,   /* for good: by the server, or because it cannot be sent as it is */
    BATCH_DEFERRED,  /* a later try can help */
    BATCH_UNCERTAIN, /* somebody may have it, or the journal says so */
    BATCH_SKIPPED,   /* the journal says that it is over */
    BATCH_NOT_TRIED, /* the batch ended before */
    BATCH_OUTCOMES,
};
const char *batch_outcome_word(enum batch_outcome o); /* "not-tried" */

struct batch_params {
    const struct account *account; /* borrowed, as all here; with a server, not `host mx` */
    struct box *box;
    struct journal *journal;       /* NULL: none */
    bool retry_uncertain;          /* what the journal knows as uncertain is sent again */
    size_t connections;            /* at most */
    /* Fills the envelope and prepares the message. */
    bool (*prepare)(void *ctx, struct message *m, struct envelope *env, struct err *e);
    void *ctx;
    struct hub *hub;
};

struct batch_end {
    long n[BATCH_OUTCOMES]; /* messages */
    bool some;              /* … of those that were not sent somebody has one */
    bool unread;            /* what else comes through a pipe was not read */
};

/* Sends them. Each is told by EV_MESSAGE, in the order in which they are over; of one that was tried EV_RECIPIENT and
 * EV_RESULT come right before. A connection that is lost before the server can have a message costs only time; where no
 * connection comes about, the batch ends after a few tries. A signal lets the transactions under way end, a second
 * does not. false: *e has what ended it, or what the failures have in common: FAULT_PARTIAL, else the most frequent
 * kind of exit status. */
bool batch_run(const struct batch_params *p, struct batch_end *end, struct err *e);

#endif
