/* sink_client: one connection of the sink that is served by an SMTP server session. sink_client.c carries octets, waits
 * and logs in; sink_message.c takes the messages. For these two alone. */
#ifndef CMD_SINK_CLIENT_H
#define CMD_SINK_CLIENT_H

#include "auth/scram.h"
#include "cmd/sink.h"
#include "net/digest.h"

struct sink_client {
    struct client client; /* first */
    struct server *server;
    struct letter *letter;
    struct buf head;               /* what the message begins with */
    struct digest *digest;         /* own or NULL: of the message, for --json */
    bool failed;                   /* the letter could not be stored */
    bool kept;                     /* it was, and is to be answered */
    struct server_answer *answers; /* own; answered of them are known */
    size_t answered;
    usec lock_until;               /* another program's lock on the mbox is waited for; 0: not */

    struct verdict verdict;        /* of the present stage */
    bool consulted;                /* it is known, and waited for until … */
    usec until;
    long long drop_at;             /* octets of this message; -1: not within it */
    usec next_octet;               /* --drip */
    usec wake;                     /* a pause ends then; 0: none */
    usec idle_at;

    struct scram *scram;           /* own */
    char *user;                    /* own: scram's */
    struct buf binding;            /* scram's */
};

/* Before a pause: what was answered before does not wait. */
enum io client_say_first(struct sink_client *sc);

/* What the options say of this stage: asked once each time it comes, then waited for; what was said before leaves
 * first. IO_EOF: the line is to be dropped. IO_DONE: sc->verdict says how to answer. */
enum io client_consult(struct sink_client *sc, enum sink_stage stage, const char *const *about, size_t n);

/* ---- sink_message.c: what the session wants done with a message ---- */

enum io message_take_data(struct sink_client *sc); /* IO_EOF: the line is to be dropped */
enum io message_take(struct sink_client *sc);      /* the same */
void message_drop(struct sink_client *sc);

#endif
