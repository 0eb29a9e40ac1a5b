/* fuzz_sts: any octets as a policy, and as the TXT records of a name: one of each line. What was taken is taken again
 * from what it means, and matches only hosts below its patterns. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "send/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 8 };

static void as_records(const char *p, size_t n)
{
    struct dns_record v[MOST] = { 0 };
    struct dns_answer a = { .v = v };
    struct buf id = BUF_INIT;
    for (const char *end = p + n; p <= end && a.n < MOST;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end)
            line_end = end;
        struct buf text = BUF_INIT;
        buf_add(&text, p, (size_t)(line_end - p));
        v[a.n].len = text.len;
        v[a.n++].text = buf_steal(&text);
        p = line_end + 1;
    }
    bool ok = sts_record_id(&a, &id);
    if (ok != (id.len > 0) || id.len > STS_ID_MAX)
        abort();
    for (size_t i = 0; i < id.len; i++)
        if (!ascii_isalnum(id.data[i]))
            abort();
    buf_free(&id);
    for (size_t i = 0; i < a.n; i++)
        free(v[i].text);
}

static void same(const struct sts_policy *p)
{
    struct buf text = BUF_INIT;
    struct sts_policy again;
    struct err e = ERR_INIT;
    buf_printf(&text, "version: STSv1\r\nmode: %s\r\nmax_age: %ld\r\n", sts_mode_word(p->mode), p->max_age);
    for (size_t i = 0; i < p->mx.n; i++)
        buf_printf(&text, "mx: %s\r\n", p->mx.v[i]);
    if (text.len <= STS_POLICY_MAX) {
        if (!sts_policy_parse(&again, text.data, text.len, &e) || again.mode != p->mode ||
            again.max_age != p->max_age || again.mx.n != p->mx.n)
            abort();
        for (size_t i = 0; i < p->mx.n; i++)
            if (strcmp(p->mx.v[i], again.mx.v[i]) != 0 ||
                sts_policy_matches(p, p->mx.v[i]) != true || sts_policy_matches(p, ""))
                abort();
        sts_policy_free(&again);
    }
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct sts_policy policy;
    struct err e = ERR_INIT;
    as_records(p, size);
    if (sts_policy_parse(&policy, p, size, &e)) {
        same(&policy);
        sts_policy_free(&policy);
    }
    err_clear(&e);
    return 0;
}
