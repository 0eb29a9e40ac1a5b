/* stock: the messages of a batch, one after the other: what an earlier run left of each, when the rate lets the next
 * one go, what became of all of them. It knows no connection. */
#ifndef SEND_STOCK_H
#define SEND_STOCK_H

#include "send/batch.h"
#include "send/deliver.h"

/* One message. */
struct stock_item {
    struct box_item box;
    struct message message;
    struct envelope env;
    struct journal_entry *entry; /* borrowed; NULL: there is no journal */
    int tries;                   /* connections that it was begun on */
    usec began;
};

struct stock {
    const struct batch_params *p;
    struct batch_end *end;
    struct stock_item **returned;   /* own: taken, and given back */
    size_t n_returned;
    bool box_empty;
    long taken;               /* number of the last message that was taken */
    long first;               /* … of the first that is not over */
    bool over[BATCH_WINDOW];  /* of the message with number % BATCH_WINDOW */
    usec next_at;             /* by the rate */
    unsigned changes;         /* of what somebody may wait for */
    int signal;               /* no message is begun any more … */
    struct err err;           /* … the same, and why */
    struct err first_failure; /* of a message … */
    char *first_id;           /* own: … this one … */
    bool alike;               /* … and of all others, by exit status */
    bool retry_helps;         /* for one of them at least */
};

#define STOCK_INIT(params_, end_) { .p = (params_), .end = (end_), .first = 1 }
void stock_free(struct stock *s);

/* No message is begun any more: because of a signal, or of *why, which is moved. */
bool stock_ends(const struct stock *s);
void stock_give_up(struct stock *s, struct err *why);

/* The next message that has to be sent, can be, and may be now; as deliver_feed.next. Those that need no server are
 * told on the way. */
enum deliver_fed stock_take(struct stock *s, struct stock_item **item, usec *until, int *fd);

/* For whoever is free next; *item becomes NULL. NULL: nothing. */
void stock_give_back(struct stock *s, struct stock_item **item);

/* From here on a server may have it. false: given up, as that cannot be written down. */
bool stock_begin(struct stock *s, struct stock_item *item);

/* After a connection that was lost: can somebody get it over another one, as of him nothing was said but that the one
 * before was at its end? Then stock_again() makes it as fresh for them. false: *e. */
bool stock_is_left(const struct stock_item *item);
bool stock_again(struct stock *s, struct stock_item *item, struct err *e);

/* Nothing was said of it that holds. */
void stock_forget(struct stock_item *item);

/* It is over. verdict: what was wrong; cleared with the item. stock_write() comes before, where a server was asked: it
 * writes the fates down. */
void stock_write(struct stock *s, const struct stock_item *item);
void stock_over(struct stock *s, struct stock_item *item, enum batch_outcome outcome, struct err *verdict);
enum batch_outcome stock_outcome(const struct envelope *env, const struct err *verdict);

/* The messages that the batch did not come to. Of what comes through a pipe only those that were read. */
void stock_leave(struct stock *s, struct stock_item **item);
void stock_leave_rest(struct stock *s);

/* How it went with all of them, as batch_run() tells. */
bool stock_verdict(const struct stock *s, struct err *e);

#endif
