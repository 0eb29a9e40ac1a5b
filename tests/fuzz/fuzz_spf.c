/* fuzz_spf: any text as an SPF record; each domain-spec of a good one is expanded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "send/spf_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expand(const char *spec)
{
    struct spf_address ip;
    struct buf out = BUF_INIT;
    if (!spec || !spf_address_parse(&ip, strlen(spec) % 2 ? "2001:db8::1" : "192.0.2.1"))
        return;
    const struct spf_macros m = { .sender = "a+b-c@d.example", .domain = "e.example", .ip = &ip, .helo = "f.example" };
    if (spf_expand(&m, spec, &out) != (out.len > 0) || out.len > 253 || (out.len > 0 && !spf_is_domain(out.data)))
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spf_record r;
    struct err e = ERR_INIT;
    bool ok = spf_record_parse(&r, (const char *)data, size, &e);
    if (ok == err_is_set(&e))
        abort();
    for (size_t i = 0; i < r.n; i++)
        expand(r.v[i].domain);
    expand(r.redirect);
    expand(r.exp);
    spf_record_free(&r);
    err_clear(&e);
    return 0;
}
