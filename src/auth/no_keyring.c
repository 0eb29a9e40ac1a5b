/* no_keyring: built instead of keyring.c where libsecret is left out. */
#include "auth/secret.h"

enum secret_status secret_from_keyring(const struct secret_params *p, struct buf *out, struct err *e)
{
    (void)out;
    if (p->keyring)
        err_set(e, FAULT_AUTH, "this envoi was built without libsecret");
    return SECRET_NONE;
}
