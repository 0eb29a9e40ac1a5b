/* codec: base64 (RFC 4648 4), hex, xtext (RFC 3461 4), encoded words (RFC 2047), visible text, IP addresses. */
#ifndef BASE_CODEC_H
#define BASE_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

void base64_encode(struct buf *out, const void *p, size_t n); /* one line, padded; appends */

/* Strict but for missing padding and blanks at the ends; appends. false: not base64, out unchanged. */
bool base64_decode(struct buf *out, const char *s, size_t n);

void hex_encode(struct buf *out, const void *p, size_t n, const char *separator); /* upper case; "" or ":" */

/* Pairs of hex digits, ':' or ' ' between pairs allowed; appends. false: not hex. */
bool hex_decode(struct buf *out, const char *s, size_t n);

void xtext_encode(struct buf *out, const char *s, size_t n);
bool xtext_decode(struct buf *out, const char *s, size_t n);

/* Decodes RFC 2047 encoded words in UTF-8, ISO-8859-1 and US-ASCII into UTF-8; other charsets
 * and text outside encoded words stay as they are. For showing, never for sending. Appends. */
void encoded_word_decode(struct buf *out, const char *s, size_t n);

/* Writes UTF-8 text as encoded words of at most 75 octets (base64 or Q, the shorter), separated by a
 * single blank, never splitting a character. Appends. */
void encoded_word_encode(struct buf *out, const char *s, size_t n);

/* Text for one line of a terminal or log: control characters (C0, DEL, C1, those of lines and of directions) and octets
 * that are not UTF-8 are written \xHH. Appends. */
void visible_encode(struct buf *out, const char *s, size_t n);

/* The octets of an IP address, in network order: 4 or 16. 0: it is none. */
enum { IP_MAX = 16 };
size_t ip_decode(unsigned char octets[IP_MAX], const char *s);
bool is_ip(const char *s);

#endif
