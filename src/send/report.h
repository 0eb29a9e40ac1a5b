/* report: how a delivery ended, as events: EV_RECIPIENT for each recipient, then EV_RESULT. */
#ifndef SEND_REPORT_H
#define SEND_REPORT_H

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "mail/envelope.h"
#include "mail/message.h"

/* Of a delivery straight to the mail exchangers: who answered for a recipient; all NULL: nobody. */
struct report_way {
    char *host;                /* own */
    char *policy;              /* own: "dane:dane", wanted:got; NULL: nobody was talked to */
    char *queue_id;            /* own */
};

struct report_params {
    const struct account *account;
    const struct envelope *env;
    const struct message *message;
    struct report_way *ways;   /* own: one for each recipient; NULL: the account has a server */
    char *queue_id;            /* own; NULL: none */
    bool tls;                  /* the connection was encrypted */
    int port;                  /* 0: none */
    int64_t octets;            /* of the message sent so far, where its size is not known */
    usec started;
    struct hub *hub;
};

/* The fault of the whole run: what ended the connection before all fates were final, else what the fates amount to.
 * Where single recipients were refused *e gets a sentence, the first refusal's words, and the list of them as hint. */
enum fault report_verdict(const struct envelope *env, const struct err *connection, struct err *e);

/* EV_RECIPIENT for each; connection 0: of no one connection. */
void report_recipients(const struct envelope *env, struct hub *hub, unsigned connection);

/* The sentence for several recipients of whom some did not get the message, and the list of them, with this fault. */
void report_fates(const struct envelope *env, enum fault fault, struct err *e);

void report_emit(const struct report_params *p, const struct err *verdict);
void report_free(struct report_params *p); /* what it owns */

#endif
