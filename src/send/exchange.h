/* exchange: AUTH, between the session, which knows the wire, and sasl, which knows the mechanisms. */
#ifndef SEND_EXCHANGE_H
#define SEND_EXCHANGE_H

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "net/stream.h"
#include "send/credentials.h"
#include "send/route.h"
#include "smtp/session.h"

struct deliver_probe;

/* All borrowed. */
struct exchange_params {
    const struct account *account;
    const struct hop *hop;
    struct credentials *credentials;
    /* NULL: none. With one the account's `auth` may name several mechanisms, "PLAIN,LOGIN": each is tried in turn,
     * whatever the refusal of the one before says, and all are taken for offered where the server names none. */
    const struct deliver_probe *probe;
    struct hub *hub;
    unsigned connection;
};

struct exchange;

struct exchange *exchange_new(const struct exchange_params *p);
void exchange_free(struct exchange *x); /* NULL is allowed */

/* Serves WANT_AUTH: picks a mechanism, answers a challenge, or looks at the server's yes. */
void exchange_serve(struct exchange *x, struct session *s, const struct stream *stream);

/* What our side found wrong in an exchange (a server that cannot prove itself); unset when nothing, and once
 * the session has it. Until then it is the first failure, whatever the server does behind our '*'. */
const struct err *exchange_error(const struct exchange *x);

#endif
