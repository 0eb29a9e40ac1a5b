/* gsasl_door: the functions of libgsasl that envoi calls. It brings Kerberos with it, so it is loaded when one of its
 * mechanisms is first needed and not before. */
#ifndef AUTH_GSASL_DOOR_H
#define AUTH_GSASL_DOOR_H

#include <gsasl.h>

#include "base/door.h"

#define GSASL_SYMBOLS(X)                                                                                     \
    X(gsasl_init) X(gsasl_done) X(gsasl_client_support_p) X(gsasl_client_start) X(gsasl_step) X(gsasl_finish) \
    X(gsasl_property_set) X(gsasl_property_fast) X(gsasl_free) X(gsasl_strerror)                              \
    X(gsasl_server_support_p) X(gsasl_server_start)
DOOR_STRUCT(gsasl_api, GSASL_SYMBOLS);

const struct gsasl_api *gsasl_door(struct err *e);

/* Ends a session; the library frees its copies of secrets without wiping them. NULL is allowed. */
void gsasl_door_finish(const struct gsasl_api *api, Gsasl_session *session);

#endif
