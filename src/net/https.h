/* https: one small document over HTTPS, from a server whose certificate is good; libcurl behind a door, loaded on first
 * use. No redirect is followed, nothing is kept, no proxy or netrc of the environment is used. */
#ifndef NET_HTTPS_H
#define NET_HTTPS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "net/loop.h"
#include "net/stream.h"

/* Strings are borrowed until https_free. */
struct https_params {
    const char *host;               /* name for the certificate, SNI and Host: */
    const char *path;               /* "/.well-known/mta-sts.txt" */
    const struct strlist *addresses; /* numeric, where host is: nothing else is looked up */
    const char *trust_file;         /* as tls_params.trust_file */
    const char *source_ip;          /* NULL: any */
    size_t max;                     /* octets; more is an error */
    usec deadline;
};

struct https_document {
    char *type;                     /* own: Content-Type, as sent; NULL: none */
    struct buf body;                /* own */
};
void https_document_free(struct https_document *d);

struct https;
struct https *https_start(const struct https_params *p);

/* IO_AGAIN: not yet. IO_DONE: *d is filled: status 200. IO_ERROR: FAULT_CONNECT, FAULT_TIMEOUT, FAULT_CERTIFICATE,
 * FAULT_TLS, FAULT_LOST, FAULT_UNAVAILABLE (another status, too long), FAULT_SYSTEM (no libcurl). */
enum io https_step(struct https *h, struct https_document *d, struct err *e);
void https_waits(const struct https *h, struct pollset *ps);
void https_free(struct https *h); /* NULL is allowed */

#endif
