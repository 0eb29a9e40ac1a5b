/* keyring: what `envoi password` does with the desktop's secret service. Finding a password for a delivery is
 * secret_from_keyring. The entry is that of the params: {host, service=smtp, user}, or with key_file {host=KEY_FILE,
 * service=tls-key, user=tls_key_file}. */
#ifndef AUTH_KEYRING_H
#define AUTH_KEYRING_H

#include "auth/secret.h"

struct keyring_entry {
    bool own; /* or another program's, which sending finds all the same */
    bool locked;
};

/* Is there an entry that a delivery would find? Its secret is not read. *e as of the secret sources. */
enum secret_status keyring_look(const struct secret_params *p, struct keyring_entry *entry, struct err *e);

/* Creates or replaces our own entry. */
bool keyring_store(const struct secret_params *p, const struct buf *secret, struct err *e);

/* Removes our own entry. SECRET_NONE: there was none. */
enum secret_status keyring_remove(const struct secret_params *p, struct err *e);

#endif
