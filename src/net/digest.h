/* digest: SHA-256 of octets as they come, by GnuTLS. */
#ifndef NET_DIGEST_H
#define NET_DIGEST_H

#include <stddef.h>

#include "base/buf.h"

struct digest;

struct digest *digest_new(void); /* NULL: there is no GnuTLS; the others take that */
void digest_add(struct digest *d, const void *p, size_t n);
void digest_free(struct digest *d, struct buf *hex); /* hex, unless NULL, gets the sum, lower case; nothing from NULL */

#endif
