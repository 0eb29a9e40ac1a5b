/* relay: some recipients of a message on their way over the hops of one route, one connection after another, as one
 * task of the loop. A smarthost's route is one relay for everybody; straight to the mail exchangers each group of
 * domains has its own. */
#ifndef SEND_RELAY_H
#define SEND_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "net/loop.h"
#include "send/credentials.h"
#include "send/route.h"

/* All borrowed. */
struct relay_params {
    const struct account *account;
    struct route *route;
    struct envelope *env;          /* whose recipients are served; gets the fates */
    struct message *message;       /* prepared; read by this relay alone */
    struct credentials *credentials;
    struct hub *hub;
    unsigned *connections;         /* counts them for all relays of a run */
    usec deadline;
};

/* How it went. */
struct relay_end {
    struct err err;                /* own: what ended the deliveries; unset: nothing */
    size_t hop;                    /* … over this one; where unset: the last used */
    bool tls;                      /* the last connection was encrypted */
    size_t *over;                  /* own: of each recipient the hop whose server answered for it; SIZE_MAX: none did */
    int64_t octets;
    char *queue_id;                /* own or NULL */
};
void relay_end_free(struct relay_end *r);

struct relay;
struct relay *relay_new(const struct relay_params *p);
struct task *relay_task(struct relay *r);
void relay_abort(struct relay *r, struct err *e); /* a signal: *e is moved */
void relay_take(struct relay *r, struct relay_end *end); /* after the task has finished: moves */
void relay_free(struct relay *r);

#endif
