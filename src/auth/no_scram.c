/* no_scram: built instead of scram.c where libgsasl is left out. */
#include "auth/scram.h"

bool scram_usable(struct err *e)
{
    return err_set(e, FAULT_AUTH, "this envoi was built without libgsasl, which SCRAM needs");
}

struct scram *scram_start(const struct scram_params *p)
{
    (void)p;
    return NULL;
}

enum scram_verdict scram_step(struct scram *s, const struct buf *response, struct buf *challenge)
{
    (void)s, (void)response, (void)challenge;
    return SCRAM_NO;
}

void scram_free(struct scram *s)
{
    (void)s;
}
