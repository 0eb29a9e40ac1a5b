/* authn: one login at a server: what it may show to whom, the mechanism's octets, and how it ended. It knows no wire: a
 * delivery's exchange and talk bring the octets over it. */
#ifndef SEND_AUTHN_H
#define SEND_AUTHN_H

#include <stdbool.h>

#include "auth/sasl.h"
#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "net/stream.h"
#include "send/credentials.h"
#include "send/route.h"

/* All borrowed. */
struct authn_params {
    const struct account *account;
    const struct hop *hop;
    struct credentials *credentials;
    struct hub *hub;
    unsigned connection;
};

struct authn {
    struct authn_params p;
    struct sasl *sasl;     /* own */
    const char *mechanism; /* static; NULL: none was started */
    const char *binding_type;
    struct buf binding;    /* own */
};

#define AUTHN_INIT(...) { .p = { __VA_ARGS__ }, .binding = BUF_INIT }

void authn_free(struct authn *l);

/* Is the server this machine, or a child of ours? */
bool authn_is_local(const struct authn *l, const struct stream *stream);

/* What may be shown to the server behind the stream: everything under TLS, on this machine, or with the user's
 * word. offered: all that it offers, empty: unknown. Valid as long as l and offered. */
struct sasl_params authn_sasl_params(struct authn *l, const struct stream *stream, const struct strlist *offered);

/* In place of the login before, if there was one. false: *e is set, as for the next two. */
bool authn_start(struct authn *l, const char *mechanism, const struct sasl_params *p, struct buf *initial,
                 bool *has_initial, struct err *e);
bool authn_step(struct authn *l, const struct buf *challenge, struct buf *response, struct err *e);

/* The server said yes: has it proved what the mechanism asks? */
bool authn_accepted(struct authn *l, const struct buf *last, struct err *e);

/* The server said no; whether another mechanism may be tried is the caller's to know. */
void authn_tell_refusal(const struct authn *l);
void authn_refused(const struct authn *l, const char *reply, bool temporary, struct err *e);

#endif
