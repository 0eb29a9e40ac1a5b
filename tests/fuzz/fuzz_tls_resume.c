/* fuzz_tls_resume: any octets as a kept session. What is read lies in them, is to be used now, and is read again as it
 * was written; the same octets as session data come back, for as long as they should. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1700000000, DAY = 24 * 60 * 60 };

static void round_trip(const struct tls_saved *s, bool usable)
{
    struct tls_saved back;
    struct buf file = BUF_INIT;
    if (tls_saved_write(s, &file)) {
        if (tls_saved_read(file.data, file.len, NOW, &back) != usable)
            abort();
        if (usable && (back.proved != s->proved || back.until != s->until || back.n != s->n ||
                       back.tls13 != s->tls13 || strcmp(back.how, s->how) != 0 ||
                       memcmp(back.data, s->data, s->n) != 0))
            abort();
        file.data[(size_t)s->n % file.len] ^= 1;
        tls_saved_read(file.data, file.len, NOW, &back);
    }
    buf_free(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct tls_saved s;
    if (tls_saved_read(p, size, NOW, &s)) {
        if (s.data < p || s.data + s.n != p + size || s.proved > NOW || s.until <= NOW || NOW - s.proved >= DAY ||
            (s.n == 0) != (strcmp(s.how, "none") == 0))
            abort();
        round_trip(&s, true);
    }
    const long long age = size ? data[0] * 500LL : 0;
    round_trip(&(struct tls_saved){ NOW - age, NOW - age + DAY, size ? "dane" : "none", size % 2, p, size }, age < DAY);
    round_trip(&(struct tls_saved){ NOW, NOW + DAY, "issuer", true, p, size }, false);
    return 0;
}
