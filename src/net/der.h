/* der: the parts of a certificate as they stand in its octets: GnuTLS would write them anew, which need not be what was
 * hashed, and would parse all the rest. It decides nothing and knows no GnuTLS. */
#ifndef NET_DER_H
#define NET_DER_H

#include <stdbool.h>
#include <stddef.h>

/* Tags of elements (X.690 8.1.2). */
enum { DER_INTEGER = 0x02, DER_BIT_STRING = 0x03, DER_SEQUENCE = 0x30, DER_VERSION = 0xa0 };

/* Elements, whole with their heads; borrowed. */
struct der {
    const unsigned char *p;
    size_t n;
};

struct der_certificate {
    struct der issuer, subject;
    struct der key;            /* SubjectPublicKeyInfo; p NULL: it does not lie within */
};

/* RFC 5280 4.1. n may be only the certificate's beginning. false: issuer and subject do not lie within, or it is no
 * certificate; subject.n is then how long the subject is, or 0 where not even that lies within. */
bool der_certificate(const unsigned char *p, size_t n, struct der_certificate *c);

#endif
