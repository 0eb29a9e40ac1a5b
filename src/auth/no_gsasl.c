/* no_gsasl: built instead of gsasl.c where libgsasl is left out: its mechanisms are never usable. */
#include "auth/mechanism.h"

bool libgsasl_usable(const char *name, struct err *e)
{
    err_set(e, FAULT_AUTH, "this envoi was built without libgsasl, which '%s' needs", name);
    return err_hint(e, "'auth plain' under TLS works without it");
}

bool libgsasl_step(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    (void)challenge;
    (void)response;
    return libgsasl_usable(s->m->name, e);
}

void libgsasl_free(struct sasl *s)
{
    (void)s;
}
