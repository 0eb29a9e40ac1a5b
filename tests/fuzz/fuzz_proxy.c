/* A proxy's answers: the first octet chooses the protocol, whether there is a user, and the size of the pieces. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct proxy p;
    struct err e = ERR_INIT;
    enum proxy_type type = data[0] & 1 ? PROXY_HTTP : PROXY_SOCKS5;
    const char *user = data[0] & 2 ? "user" : NULL;
    size_t step = data[0] & 4 ? 1 : SIZE_MAX, at = 1;
    enum proxy_status status = PROXY_MORE;
    if (!proxy_start(&p, type, "mx.example", 587, user, "password", &e))
        abort();
    while (status == PROXY_MORE && at < size) {
        size_t used, n = size - at < step ? size - at : step;
        status = proxy_feed(&p, (const char *)data + at, n, &used, &e);
        if (used > n || p.in.len > PROXY_ANSWER_MAX || (status == PROXY_FAILED) != err_is_set(&e))
            abort();
        at += used;
    }
    err_clear(&e);
    proxy_free(&p);
    return 0;
}
