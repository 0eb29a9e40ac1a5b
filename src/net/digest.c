/* digest: SHA-256 of octets as they come. */
#include "net/digest.h"

#include <stdlib.h>

#include "net/gnutls_door.h"

enum { SHA256_OCTETS = 32 };

struct digest {
    const struct gnutls_api *api;
    gnutls_hash_hd_t hash; /* own */
};

struct digest *digest_new(void)
{
    struct err ignored = ERR_INIT;
    const struct gnutls_api *api = gnutls_door(&ignored);
    gnutls_hash_hd_t hash;
    err_clear(&ignored);
    if (!api || api->gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) < 0)
        return NULL;
    struct digest *d = xcalloc(1, sizeof *d);
    *d = (struct digest){ api, hash };
    return d;
}

void digest_add(struct digest *d, const void *p, size_t n)
{
    if (d)
        d->api->gnutls_hash(d->hash, p, n);
}

void digest_free(struct digest *d, struct buf *hex)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_OCTETS];
    if (!d)
        return;
    d->api->gnutls_hash_deinit(d->hash, sum);
    for (size_t i = 0; hex && i < sizeof sum; i++) {
        buf_addc(hex, digits[sum[i] >> 4]);
        buf_addc(hex, digits[sum[i] & 15]);
    }
    free(d);
}
