/* credentials: an account's password or token, asked for once, hidden from every event, wiped at the end. */
#ifndef SEND_CREDENTIALS_H
#define SEND_CREDENTIALS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/event.h"
#include "conf/account.h"

struct credentials {
    const struct account *account; /* borrowed */
    struct hub *hub;               /* borrowed */
    struct buf secret;             /* own */
    usec deadline;                 /* of the run; USEC_NEVER: none */
    bool asked;
    struct err err;                /* why there is none */
    struct buf key_secret;         /* own: of the client key */
    bool key_asked;
    struct err key_err;
};

void credentials_init(struct credentials *l, const struct account *a, struct hub *hub, usec deadline);
void credentials_free(struct credentials *l);

/* The account's user is another: the secret is asked for again. What was asked for stays hidden. */
void credentials_again(struct credentials *l);

/* Cuts the secrets out of the error. A server may echo what it was sent: the events were cut by the hub; the error
 * leaves by another way. */
void credentials_mask(const struct credentials *l, struct err *e);

/* Does the account log in with a password or token at all (not `auth off`, EXTERNAL, GSSAPI)? Then it is worth asking
 * for it before a server is kept waiting. */
bool credentials_needed(const struct account *a);

/* For sasl_params.secret: ctx is the struct credentials. */
bool credentials_secret(void *ctx, const struct buf **secret, struct err *e);

/* For tls_params.key_password: the password of the encrypted key file; ctx is the struct credentials. The result is the
 * caller's. */
bool credentials_key_password(void *ctx, const char *file, char **password, struct err *e);

/* Where a password of the account is looked for: of its login, or of its client key. Strings are the account's. */
struct secret_params;
struct secret_params credentials_params(const struct account *a);
struct secret_params credentials_key_params(const struct account *a);

#endif
