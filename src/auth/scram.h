/* scram: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) from the server's side, for sink. Made by
 * libgsasl. */
#ifndef AUTH_SCRAM_H
#define AUTH_SCRAM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* Strings are borrowed until scram_free. */
struct scram_params {
    const char *mechanism;
    const char *user, *password;
    const char *binding_type;  /* for -PLUS: "tls-exporter", "tls-unique"; NULL: none, and -PLUS fails */
    const struct buf *binding; /* its octets */
};

enum scram_verdict { SCRAM_MORE, SCRAM_YES, SCRAM_NO };

bool scram_usable(struct err *e); /* loads the library; false: *e says why not */

struct scram;
struct scram *scram_start(const struct scram_params *p); /* NULL: it cannot be carried out */

/* Takes the client's (decoded) response. SCRAM_MORE: challenge has what to say; the last one proves the server and is
 * answered by an empty response. */
enum scram_verdict scram_step(struct scram *s, const struct buf *response, struct buf *challenge);

void scram_free(struct scram *s); /* NULL is allowed */

#endif
