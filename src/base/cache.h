/* cache: small private files that can be made again, $XDG_CACHE_HOME/envoi/KIND/NAME (~/.cache without that variable).
 *
 * A cache never fails: a file that is missing, too long, a link, not ours or not ours alone counts as absent, and what
 * cannot be written is not. Files are 0600, folders 0700; a file is replaced as a whole or not at all. */
#ifndef BASE_CACHE_H
#define BASE_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Appends the file's octets, at most max. kind is a word of ours; name may be any text. */
bool cache_read(const char *kind, const char *name, size_t max, struct buf *out);

/* The same, and the file is gone: of several processes only one gets what it held. A file that others can read counts
 * as absent, too, and goes all the same. */
bool cache_take(const char *kind, const char *name, size_t max, struct buf *out);

bool cache_write(const char *kind, const char *name, const char *p, size_t n);
void cache_remove(const char *kind, const char *name);

/* Removes what was written longest ago until no more than `most` files of the kind are left. */
void cache_trim(const char *kind, size_t most);

#endif
