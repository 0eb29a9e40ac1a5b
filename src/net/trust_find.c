/* trust_find: walks PEM blocks, and of each just the octets in front of the subject's end. It knows no GnuTLS. */
#include "net/trust_find.h"

#include <string.h>

#include "base/codec.h"

bool trust_names(const unsigned char *der, size_t n, struct der *issuer, struct der *subject)
{
    struct der_certificate c;
    if (!der_certificate(der, n, &c))
        return false;
    *issuer = c.issuer;
    *subject = c.subject;
    return c.subject.p + c.subject.n < der + n;
}

/* Decodes the next line, or as many as have digits by fours. false: there is none, or it is not base64. */
static bool take_line(const char **p, const char *end, struct buf *digits, struct buf *der)
{
    buf_reset(digits);
    do {
        const char *eol = memchr(*p, '\n', (size_t)(end - *p));
        size_t n = (size_t)((eol ? eol : end) - *p);
        buf_add(digits, *p, n > 0 && (*p)[n - 1] == '\r' ? n - 1 : n);
        *p = eol ? eol + 1 : end;
    } while ((digits->len == 0 || digits->len % 4 != 0) && *p < end);
    return digits->len > 0 && base64_decode(der, digits->data, digits->len);
}

static bool is_wanted(const struct der *subject, const struct der *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].n == subject->n && memcmp(names[i].p, subject->p, subject->n) == 0)
            return true;
    return false;
}

static bool has_length(size_t n, const struct der *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].n == n)
            return true;
    return false;
}

/* Of most certificates the length of the subject tells. */
static bool block_is_wanted(const char *p, const char *end, const struct der *names, size_t count,
                            struct buf *digits, struct buf *der)
{
    struct der_certificate c;
    buf_reset(der);
    while (take_line(&p, end, digits, der)) {
        if (der_certificate((const unsigned char *)der->data, der->len, &c))
            return is_wanted(&c.subject, names, count);
        if (c.subject.n > 0 && !has_length(c.subject.n, names, count))
            return false;
    }
    return false;
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

/* What it looks for begins as nothing in base64 does. */
static const char *find(const char *p, const char *end, const char *what)
{
    const size_t n = strlen(what);
    for (; (size_t)(end - p) >= n && (p = memchr(p, *what, (size_t)(end - p) - n + 1)); p++)
        if (memcmp(p, what, n) == 0)
            return p;
    return NULL;
}

size_t trust_find(const char *pem, size_t n, const struct der *names, size_t count, struct buf *out)
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
