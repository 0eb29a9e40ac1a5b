/* secret_config: the password that stands in the configuration. */
#include "auth/secret.h"

enum secret_status secret_from_config(const struct secret_params *p, struct buf *out, struct err *e)
{
    (void)e;
    if (!p->password)
        return SECRET_NONE;
    buf_adds(out, p->password);
    return SECRET_FOUND;
}
