/* fuzz_dns: any rdata, as each type that is read, and any message. The first octet chooses. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = { DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_SRV, DNS_TLSA };
    struct dns_answer a = { 0 };

    if (size == 0)
        return 0;
    dns_message_has((const char *)data + 1, size - 1, data[0]);
    enum dns_type type = types[data[0] % (sizeof types / sizeof *types)];
    bool ok = dns_answer_add(&a, type, (const char *)data + 1, size - 1);
    if (ok != (a.n == 1) || (ok && type != DNS_TXT && a.v[0].text && strlen(a.v[0].text) != a.v[0].len))
        abort();
    dns_answer_free(&a);
    return 0;
}
