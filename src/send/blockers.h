/* blockers: who is known to close ports for mail, by where this machine runs. */
#ifndef SEND_BLOCKERS_H
#define SEND_BLOCKERS_H

#include <stdbool.h>

#include "send/scene.h"

enum { BLOCKER_PORTS = 4 };

struct blocker {
    const char *name;                    /* "Google Cloud" */
    const char *vendor, *product, *asset; /* patterns (* and ?) of what firmware says; NULL: not looked at */
    const char *variable;                /* one that is set there; NULL: none */
    int ports[BLOCKER_PORTS];            /* ends with 0, unless full */
    const char *when;                    /* after "Google Cloud blocks port 25": "always" */
    const char *action;                  /* how it is opened; NULL: it is not */
};

/* Where this machine runs; NULL: not known. */
const struct blocker *blocker_find(const struct scene_machine *m);
bool blocker_blocks(const struct blocker *b, int port); /* b may be NULL */

/* The variables that tell something, for scene_machine.environment; ends with NULL. */
extern const char *const blocker_variables[];

#endif
