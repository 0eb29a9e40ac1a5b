/* der: heads of elements, as many as it takes to come to a certificate's parts. Fuzzed through trust_find and
 * tls_dane. */
#include "net/der.h"

enum { LENGTH_MAX = 4 }; /* octets of a length */

/* The content's place in the element that rest begins with, if that has the tag. *size: how long it says to be. */
static bool head_of(const struct der *rest, unsigned char tag, size_t *head, size_t *size)
{
    if (rest->n < 2 || rest->p[0] != tag)
        return false;
    *head = 2;
    *size = rest->p[1];
    if (!(*size & 0x80))
        return true;
    size_t octets = *size & 0x7f;
    if (octets == 0 || octets > LENGTH_MAX || rest->n < *head + octets)
        return false;
    for (*size = 0; octets > 0; octets--)
        *size = *size << 8 | rest->p[(*head)++];
    return true;
}

/* What a sequence holds, as far as it is there. */
static bool enter(struct der *rest)
{
    size_t head, size;
    if (!head_of(rest, DER_SEQUENCE, &head, &size))
        return false;
    size_t there = rest->n - head;
    *rest = (struct der){ rest->p + head, size < there ? size : there };
    return true;
}

/* Takes off an element, which lies within rest. */
static bool take(struct der *rest, unsigned char tag, struct der *whole)
{
    size_t head, size;
    if (!head_of(rest, tag, &head, &size) || size > rest->n - head)
        return false;
    *whole = (struct der){ rest->p, head + size };
    *rest = (struct der){ rest->p + whole->n, rest->n - whole->n };
    return true;
}

bool der_certificate(const unsigned char *p, size_t n, struct der_certificate *c)
{
    struct der in = { p, n }, passed;
    size_t head, size;
    c->subject = (struct der){ NULL, 0 };
    if (!enter(&in) || !enter(&in))
        return false;
    take(&in, DER_VERSION, &passed);
    if (!take(&in, DER_INTEGER, &passed) ||         /* serial number */
        !take(&in, DER_SEQUENCE, &passed) ||        /* algorithm */
        !take(&in, DER_SEQUENCE, &c->issuer) ||
        !take(&in, DER_SEQUENCE, &passed))          /* validity */
        return false;
    if (head_of(&in, DER_SEQUENCE, &head, &size))
        c->subject.n = head + size;
    if (!take(&in, DER_SEQUENCE, &c->subject))
        return false;
    if (!take(&in, DER_SEQUENCE, &c->key))
        c->key = (struct der){ NULL, 0 };
    return true;
}
