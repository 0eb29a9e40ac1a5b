/* mime_header: fields as composing writes them: words that are not ASCII (RFC 2047), parameters that are not (RFC
 * 2231). */
#ifndef MAIL_MIME_HEADER_H
#define MAIL_MIME_HEADER_H

#include "base/buf.h"

/* Appends "Name: value\r\n", folded at 78 columns, words that are not ASCII as encoded words; in fields of addresses
 * only names are written so. Control octets become blanks. An address that is not ASCII stays as it is (RFC 6532). */
void mime_header(struct buf *out, const char *name, const char *value);

/* Appends "; name=value" to the field that ends `out`, on a line of its own where it would get longer than 78 columns:
 * a token as it is, other ASCII quoted, the rest (UTF-8, or ISO 8859-1 where it is none) percent-encoded, in pieces
 * where it is long. Control octets become '_'. */
void mime_parameter(struct buf *out, const char *name, const char *value);

#endif
