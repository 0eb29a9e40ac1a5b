/* Lines are rows of tls_policy, the last is a domain as well. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "send/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strlist rows = STRLIST_INIT;
    char *text = xstrndup((const char *)data, size);
    strlist_split(&rows, text, "\n");
    const char *domain = rows.n > 0 ? rows.v[rows.n - 1] : "";
    enum tls_level level = policy_level_for(&rows, domain, LEVEL_DANE), again = policy_level_for(&rows, domain, LEVEL_MAY);
    if (level > LEVEL_FINGERPRINT || !level_word(level) || (level != again && (level != LEVEL_DANE || again != LEVEL_MAY)))
        abort();
    strlist_free(&rows);
    free(text);
    return 0;
}
