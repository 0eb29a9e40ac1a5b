/* diagnose: looks at a server from all sides: names, every address and port at once, and then what the answers make
 * worth trying: the other kind of TLS, smaller segments, ladders. It says what is seen (the scene); what that means is
 * the verdict's to say. It sends no mail and no password. */
#ifndef SEND_DIAGNOSE_H
#define SEND_DIAGNOSE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"
#include "send/route.h"
#include "send/scene.h"

/* All borrowed. */
struct diagnose_params {
    const struct account *account; /* bound; NAMED_ADDRESS, NAMED_DOMAIN: its host, port, TLS and login do not count */
    enum scene_named named;
    const char *name;              /* as the user gave it; NULL: an account without a name */
    bool port_named;               /* account->port is the user's word, not our default */
    usec whole;                    /* the longest that it may take; 0: 12 s, or 3 s */
    const char *control;           /* a second host to compare with; NULL: none */
    bool brief;                    /* behind a failed send: 3 s at most, instead of 12 */
    const struct err *failure;     /* brief: why it failed, if sight_event heard it with this scene; NULL: none */
    const struct hop *hop;         /* the one that failed; NULL: the account's first */
    struct hub *hub;               /* gets the events of all looks; NULL: nobody listens */
};

/* Fills the scene: SCENE_INIT, or holding the sights of the failed delivery. false: *e says why nothing could be tried
 * (FAULT_CONFIG, FAULT_SYSTEM), or that a signal ended it; a host that cannot be found or reached is no failure of the
 * diagnosis. */
bool diagnose(const struct diagnose_params *p, struct scene *s, struct err *e);

#endif
