/* Any stream, as an mbox and NUL-separated: the portions in which it comes do not matter, and of a stream with NULs
 * nothing is lost. The first octet chooses the portions. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/split.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The messages, a NUL behind each. false: no mbox. */
static bool cut(enum split_format format, const char *p, size_t n, size_t block, struct buf *out)
{
    struct split s = SPLIT_INIT(format);
    while (n > 0) {
        size_t used, part = n < block ? n : block;
        enum split_found found = split_take(&s, p, part, &used, out);
        if (found == SPLIT_ALIEN)
            return false;
        if (used > part || (used < part && found != SPLIT_END) || (found == SPLIT_END && used == 0))
            abort();
        if (found == SPLIT_END)
            buf_addc(out, '\0');
        p += used;
        n -= used;
    }
    if (split_finish(&s, out))
        buf_addc(out, '\0');
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *p = (const char *)data + 1;
    size_t n = size - 1, block = (size_t)*data + 1;
    for (int format = SPLIT_MBOX; format <= SPLIT_NUL; format++) {
        struct buf whole = BUF_INIT, parts = BUF_INIT;
        bool ok = cut((enum split_format)format, p, n, n + 1, &whole);
        if (cut((enum split_format)format, p, n, block, &parts) != ok)
            abort();
        if (ok && (whole.len != parts.len || memcmp(whole.data, parts.data, whole.len) != 0))
            abort();
        if (format == SPLIT_NUL && (whole.len < n || memcmp(whole.data, p, n) != 0))
            abort();
        buf_free(&whole);
        buf_free(&parts);
    }
    return 0;
}
