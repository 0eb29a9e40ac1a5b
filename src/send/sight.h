/* sight: one attempt at one address and port, as far as it goes: connecting, then a look at who is there (greeting,
 * EHLO, STARTTLS, TLS, EHLO, QUIT) by a delivery that delivers nothing. Nobody logs in. What it sees becomes facts
 * of the scene by the events. */
#ifndef SEND_SIGHT_H
#define SEND_SIGHT_H

#include "base/event.h"
#include "net/loop.h"
#include "send/credentials.h"
#include "send/policy.h"
#include "send/scene.h"

/* The kinds of event that say something about a sight, and the listener for them, ctx a struct scene: what a look (or a
 * delivery, of which one may fear that it fails) tells becomes sights, one for each connection and address. */
#define SIGHT_EVENTS (EV_MASK(EV_CONNECTING) | EV_MASK(EV_CONNECT_FAILED) | EV_MASK(EV_CONNECTED) \
                      | EV_MASK(EV_GREETING) | EV_MASK(EV_CAPABILITY) | EV_MASK(EV_SERVER) | EV_MASK(EV_TLS) \
                      | EV_MASK(EV_CERTIFICATE) | EV_MASK(EV_PHASE))
void sight_event(void *ctx, const struct event *ev);

/* The end of what sight_event saw: e is what ended it (unset: nothing). */
void sight_ended(struct sight *v, const struct err *e);

/* What a look under way waits for: STAGE_CONNECT, GREETING, TLS, EHLO; STAGE_NONE: it has seen all there is. */
enum stage sight_stage(const struct sight *v);

/* Strings are borrowed until sight_stop. */
struct sight_params {
    struct scene *scene;
    const struct account *account; /* for all but host, port and the kind of TLS */
    struct credentials *credentials; /* for the password of a client key */
    struct hub *hub;               /* sight_event listens, with the scene */
    enum sight_role role;
    const char *host;
    const char *address;           /* numeric; NULL: the proxy finds it */
    int port;
    bool implicit, crossed, reach_only; /* as in struct sight */
    int mss;
    bool exchanger;                /* a mail exchanger: what makes its certificate a good one is as in struct hop: … */
    enum tls_level wanted;
    const struct dns_answer *tlsa;
    const struct strlist *names;   /* NULL: none */
    bool keep_chain;               /* sight_tls.chain is wanted */
    usec connect_by, deadline;     /* who has not answered by then is silent; who has not told all by then has hung */
};

struct sighting;

struct sighting *sight_start(const struct sight_params *p);
struct task *sight_task(struct sighting *g); /* of the loop */
struct sight *sight_of(const struct sighting *g); /* valid until the next is added */

/* A look that hangs: ends it as if its deadline had passed. */
void sight_expire(struct sighting *g);

/* Frees it; one under way keeps what it saw, and is neither `done` nor `looked` if it was not before. */
void sight_stop(struct sighting *g);

#endif
