/* no_https: what stands in for https.c where libcurl is left out. */
#include "net/https.h"

#include <stdlib.h>

struct https {
    char nothing;
};

void https_document_free(struct https_document *d)
{
    free(d->type);
    buf_free(&d->body);
    *d = (struct https_document){ .body = BUF_INIT };
}

struct https *https_start(const struct https_params *p)
{
    (void)p;
    return xcalloc(1, sizeof(struct https));
}

enum io https_step(struct https *h, struct https_document *d, struct err *e)
{
    (void)h, (void)d;
    err_set(e, FAULT_SYSTEM, "this envoi was built without libcurl, so it cannot fetch MTA-STS policies");
    err_hint(e, "build with libcurl");
    return IO_ERROR;
}

void https_waits(const struct https *h, struct pollset *ps)
{
    (void)h;
    pollset_until(ps, clock_now());
}

void https_free(struct https *h)
{
    free(h);
}
