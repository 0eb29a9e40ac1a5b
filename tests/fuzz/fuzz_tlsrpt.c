/* fuzz_tlsrpt: any text as one TXT record, and as two. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "send/tlsrpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    struct dns_record records[] = { { .text = text, .len = strlen(text) }, { .text = text, .len = strlen(text) } };
    for (size_t n = 1; n <= 2; n++) {
        const struct dns_answer a = { .status = DNS_FOUND, .v = records, .n = n };
        struct strlist rua = STRLIST_INIT;
        enum tlsrpt result = tlsrpt_read(&a, &rua);
        if ((result == TLSRPT_FOUND) != (rua.n > 0) || (n == 2 && result == TLSRPT_FOUND))
            abort();
        strlist_free(&rua);
    }
    free(text);
    return 0;
}
