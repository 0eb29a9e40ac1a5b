/* trust_find: of many certificates in PEM those that a chain can lead to, without parsing the others. It decides
 * nothing: what it finds is given to GnuTLS, and where that does not lead to a good verdict the whole store is. */
#ifndef NET_TRUST_FIND_H
#define NET_TRUST_FIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "net/der.h"

/* The names in a certificate's DER (RFC 5280 4.1). n may be only its beginning. false: they do not lie within, or it is
 * no certificate. */
bool trust_names(const unsigned char *der, size_t n, struct der *issuer, struct der *subject);

/* Appends to out each certificate of the PEM text whose subject is one of the names, octet by octet. Returns how
 * many. */
size_t trust_find(const char *pem, size_t n, const struct der *names, size_t count, struct buf *out);

#endif
