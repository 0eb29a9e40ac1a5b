/* fuzz_netrc: any file. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/netrc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf password = BUF_SECRET_INIT;
    int bad_line = -1;
    bool found = netrc_find((const char *)data, size, "h", "u", &password, &bad_line);
    if ((!found && password.len > 0) || bad_line < 0 || (found && bad_line))
        abort();
    buf_free(&password);
    return 0;
}
