/* fuzz_trust_find: any octets as a certificate and as a store. The first octet says how many octets are a certificate of
 * the chain; what is found for it lies in the store, whole blocks of it, and finding again finds the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/trust_find.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct der names[3] = { { (const unsigned char *)"\x30", 2 } };
    struct buf found = BUF_INIT, again = BUF_INIT;
    if (size == 0)
        return 0;
    size_t n = 2 * (size_t)data[0], count = 1;
    data++, size--;
    n = n < size ? n : size;
    if (trust_names(data, n, &names[1], &names[2])) {
        for (size_t i = 1; i < 3; i++)
            if (names[i].p < data || names[i].p + names[i].n > data + n)
                abort();
        count = 3;
    }
    size_t blocks = trust_find((const char *)data + n, size - n, names, count, &found);
    if (found.len > size - n + blocks || (blocks == 0) != (found.len == 0))
        abort();
    if (trust_find(found.data, found.len, names, count, &again) != blocks || again.len != found.len)
        abort();
    buf_free(&found);
    buf_free(&again);
    return 0;
}
