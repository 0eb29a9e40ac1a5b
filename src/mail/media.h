/* media: media types (RFC 2045 5.1) by name and in their parts. */
#ifndef MAIL_MEDIA_H
#define MAIL_MEDIA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Appends the type of a file of that name, by its last suffix: a few are built in, /etc/mime.types is asked for others.
 * false: not known. */
bool media_by_name(const char *name, struct buf *out);

/* "type/subtype", parameters allowed, printable ASCII? */
bool media_valid(const char *type);

/* Is it of this kind: "text", "multipart"? */
bool media_is(const char *type, const char *kind);

/* Is the parameter there? */
bool media_has(const char *type, const char *parameter);

bool media_token(const char *s, size_t n); /* RFC 2045 5.1 */

#endif
