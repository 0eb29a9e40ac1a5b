/* secret_credential: a password handed over by systemd (LoadCredential=envoi.ACCOUNT:…; of a client key,
 * envoi.ACCOUNT.key). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/secret.h"
#include "base/file.h"

enum { CREDENTIAL_MAX = 1 << 20 }; /* systemd's own limit */

enum secret_status secret_from_credential(const struct secret_params *p, struct buf *out, struct err *e)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (!directory || !p->account || strchr(p->account, '/'))
        return SECRET_NONE;
    char *path = xasprintf("%s/envoi.%s%s", directory, p->account, p->key_file ? ".key" : "");
    enum secret_status status = SECRET_NONE;
    if (access(path, F_OK) != 0)
        err_set(e, FAULT_AUTH, "there is no '%s'", path);
    else
        status = file_read(path, CREDENTIAL_MAX, out, FAULT_AUTH, e) ? SECRET_FOUND : SECRET_ERROR;
    if (status == SECRET_FOUND && out->len > 0 && out->data[out->len - 1] == '\n')
        buf_cut(out, out->len - 1);
    if (status == SECRET_FOUND && out->len == 0) {
        err_set(e, FAULT_AUTH, "the credential '%s' is empty", path);
        status = SECRET_ERROR;
    }
    free(path);
    return status;
}
