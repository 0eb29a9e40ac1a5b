/* fuzz_caps: any EHLO reply. */
#include <stdint.h>

#include "smtp/caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reply_parser parser = REPLY_PARSER_INIT;
    struct reply r = REPLY_INIT;
    struct caps c = { 0 };
    size_t used;

    while (size > 0 && reply_feed(&parser, (const char *)data, size, &used, &r, NULL, NULL) == REPLY_DONE) {
        caps_parse(&c, &r);
        reply_free(&r);
        data += used;
        size -= used;
    }
    reply_parser_free(&parser);
    reply_free(&r);
    caps_free(&c);
    return 0;
}
