/* sight_json: what `envoi diagnose` and `envoi mx` say of a server in the same words. */
#ifndef CMD_SIGHT_JSON_H
#define CMD_SIGHT_JSON_H

#include "base/json.h"
#include "send/scene.h"

/* An object "tls" with the peer's certificate; nothing where TLS was not seen. */
void sight_json_tls(struct json *j, const struct sight_tls *t);

#endif
