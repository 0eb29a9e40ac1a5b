/* trust_find: walks PEM blocks, and of each just the octets in front of the subject's end. It knows no GnuTLS. */
#include "net/trust_find.h"

#include <stdint.h>
#include <string.h>

#include "base/codec.h"

enum {
    TAG_INTEGER = 0x02,
    TAG_SEQUENCE = 0x30,
    TAG_VERSION = 0xa0,
    SHORT = 512, /* base64 digits that hold version to subject of nearly every root */
};

/* What is left of an element's content. */
struct der {
    const unsigned char *p, *end;
};

/* The next element of *in, if it is of that tag. An element that goes beyond the end of what is there is cut. */
static bool der_take(struct der *in, unsigned char tag, struct der *element)
{
    size_t left = (size_t)(in->end - in->p), head = 2, n;
    if (left < 2 || in->p[0] != tag)
        return false;
    n = in->p[1];
    if (n & 0x80) {
        size_t octets = n & 0x7f;
        if (octets == 0 || octets > sizeof(unsigned) || left < 2 + octets)
            return false;
        for (n = 0; octets > 0; octets--)
            n = n << 8 | in->p[head++];
    }
    element->p = in->p + head;
    element->end = n < left - head ? element->p + n : in->end;
    in->p = element->end;
    return n <= left - head || tag == TAG_SEQUENCE;
}

/* A Name, whole, its head included. */
static bool der_name(struct der *in, struct trust_name *name)
{
    struct der content;
    const unsigned char *start = in->p;
    if (!der_take(in, TAG_SEQUENCE, &content))
        return false;
    *name = (struct trust_name){ start, (size_t)(content.end - start) };
    return true;
}

bool trust_names(const unsigned char *der, size_t n, struct trust_name *issuer, struct trust_name *subject)
{
    struct der all = { der, der + n }, certificate, tbs, passed;
    if (!der_take(&all, TAG_SEQUENCE, &certificate) || !der_take(&certificate, TAG_SEQUENCE, &tbs))
        return false;
    der_take(&tbs, TAG_VERSION, &passed);
    return der_take(&tbs, TAG_INTEGER, &passed) && der_take(&tbs, TAG_SEQUENCE, &passed) && der_name(&tbs, issuer)
           && der_take(&tbs, TAG_SEQUENCE, &passed) && der_name(&tbs, subject) && tbs.p < der + n;
}

/* The first digits of a block of base64, without its line ends, at most `most`. */
static void block_der(const char *p, const char *end, size_t most, struct buf *digits, struct buf *der)
{
    buf_reset(digits);
    buf_reset(der);
    while (p < end && digits->len < most) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((eol ? eol : end) - p);
        buf_add(digits, p, n > 0 && p[n - 1] == '\r' ? n - 1 : n);
        p = eol ? eol + 1 : end;
    }
    if (most < digits->len)
        buf_cut(digits, most);
    base64_decode(der, digits->data, digits->len);
}

static bool is_wanted(const struct trust_name *subject, const struct trust_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].n == subject->n && memcmp(names[i].p, subject->p, subject->n) == 0)
            return true;
    return false;
}

/* A block whose head does not hold the subject is decoded whole. */
static bool block_is_wanted(const char *p, const char *end, const struct trust_name *names, size_t count,
                            struct buf *digits, struct buf *der)
{
    struct trust_name issuer, subject;
    for (size_t most = SHORT;; most = SIZE_MAX) {
        block_der(p, end, most, digits, der);
        if (trust_names((const unsigned char *)der->data, der->len, &issuer, &subject))
            return is_wanted(&subject, names, count);
        if (most == SIZE_MAX)
            return false;
    }
}

/* The labels under which GnuTLS takes a certificate. */
static bool is_certificate(const char *label, size_t n)
{
    static const char *const labels[] = { "CERTIFICATE-----", "X509 CERTIFICATE-----" };
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (n >= strlen(labels[i]) && memcmp(label, labels[i], strlen(labels[i])) == 0)
            return true;
    return false;
}

static const char *find(const char *p, const char *end, const char *what)
{
    return memmem(p, (size_t)(end - p), what, strlen(what));
}

size_t trust_find(const char *pem, size_t n, const struct trust_name *names, size_t count, struct buf *out)
{
    static const char begin[] = "-----BEGIN ", finish[] = "-----END ";
    const char *end = pem + n, *block, *eol, *close, *stop;
    struct buf digits = BUF_INIT, der = BUF_INIT;
    size_t found = 0;
    for (const char *p = pem; (block = find(p, end, begin)); p = stop) {
        const char *label = block + strlen(begin);
        eol = memchr(label, '\n', (size_t)(end - label));
        close = eol ? find(eol, end, finish) : NULL;
        stop = close ? memchr(close, '\n', (size_t)(end - close)) : NULL;
        stop = stop ? stop + 1 : end;
        if (!close || !is_certificate(label, (size_t)(eol - label))
            || !block_is_wanted(eol + 1, close, names, count, &digits, &der))
            continue;
        buf_add(out, block, (size_t)(stop - block));
        if (stop[-1] != '\n')
            buf_addc(out, '\n');
        found++;
    }
    buf_free(&digits);
    buf_free(&der);
    return found;
}
