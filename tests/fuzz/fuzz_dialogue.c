/* fuzz_dialogue: any octets as a dialogue; every line's text as an expectation and as quoted text. */
#include <stdint.h>

#include "base/buf.h"
#include "smtp/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialogue d = DIALOGUE_INIT;
    struct err e = ERR_INIT;

    if (size > 4096)
        return 0;
    dialogue_parse(&d, "fuzz", (const char *)data, size, size % 2, &e);
    for (size_t i = 0; i < d.n; i++) {
        struct buf out = BUF_INIT;
        err_clear(&e);
        dialogue_unquote(d.v[i].text, &out, &e);
        if (d.v[i].text[0] != '/') /* the C library's regex is not ours to fuzz */
            dialogue_match(d.v[i].text, "250 ok");
        buf_free(&out);
    }
    err_clear(&e);
    dialogue_free(&d);
    return 0;
}
