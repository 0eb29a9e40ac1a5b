/* no_keyring: built instead of keyring.c where libsecret is left out. */
#include "auth/keyring.h"

static bool left_out(struct err *e)
{
    return err_set(e, FAULT_AUTH, "this envoi was built without libsecret");
}

enum secret_status secret_from_keyring(const struct secret_params *p, struct buf *out, struct err *e)
{
    (void)out;
    if (p->keyring)
        left_out(e);
    return SECRET_NONE;
}

enum secret_status keyring_look(const struct secret_params *p, struct keyring_entry *entry, struct err *e)
{
    (void)p, (void)entry;
    left_out(e);
    return SECRET_ERROR;
}

bool keyring_store(const struct secret_params *p, const struct buf *secret, struct err *e)
{
    (void)p, (void)secret;
    return left_out(e);
}

enum secret_status keyring_remove(const struct secret_params *p, struct err *e)
{
    (void)p;
    left_out(e);
    return SECRET_ERROR;
}
