/* tlsrpt: "v=TLSRPTv1; rua=mailto:…,https:…" */
#include "send/tlsrpt.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

static const char version[] = "v=TLSRPTv1";

const char *tlsrpt_word(enum tlsrpt r)
{
    static const char *const words[] = {
        [TLSRPT_UNKNOWN] = "unknown", [TLSRPT_ABSENT] = "absent", [TLSRPT_FAULTY] = "faulty", [TLSRPT_FOUND] = "found",
    };
    return words[r];
}

static bool is_record(const struct dns_record *r)
{
    const size_t n = strlen(version);
    if (r->len < n || memcmp(r->text, version, n) != 0)
        return false;
    const char *rest = r->text + n;
    return rest[strspn(rest, " \t")] == ';';
}

static bool is_address(const char *uri)
{
    return (ascii_istarts(uri, "mailto:") || ascii_istarts(uri, "https:")) && !strpbrk(uri, " \t")
           && strlen(uri) > strlen("mailto:");
}

/* One field: "rua=…"; others are extensions. false: it is no good. */
static bool read_field(const char *field, struct strlist *rua)
{
    struct strlist addresses = STRLIST_INIT;
    bool ok = true;
    if (strncmp(field, "rua", 3) != 0)
        return true;
    const char *value = field + 3;
    value += strspn(value, " \t");
    if (*value != '=')
        return true;
    strlist_split(&addresses, value + 1, ", \t");
    for (size_t i = 0; i < addresses.n; i++) {
        ok &= is_address(addresses.v[i]);
        strlist_add(rua, addresses.v[i]);
    }
    strlist_free(&addresses);
    return ok;
}

static bool read_record(const struct dns_record *r, struct strlist *rua)
{
    struct strlist fields = STRLIST_INIT;
    bool ok = strlen(r->text) == r->len;
    strlist_split(&fields, r->text, ";");
    for (size_t i = 1; i < fields.n; i++)
        ok &= read_field(fields.v[i] + strspn(fields.v[i], " \t"), rua);
    strlist_free(&fields);
    return ok && rua->n > 0;
}

enum tlsrpt tlsrpt_read(const struct dns_answer *txt, struct strlist *rua)
{
    const struct dns_record *record = NULL;
    size_t n = 0;
    if (txt->status == DNS_FAILED || txt->status == DNS_BOGUS)
        return TLSRPT_UNKNOWN;
    for (size_t i = 0; i < txt->n; i++)
        if (is_record(&txt->v[i])) {
            record = &txt->v[i];
            n++;
        }
    if (n == 0)
        return TLSRPT_ABSENT;
    if (n == 1 && read_record(record, rua))
        return TLSRPT_FOUND;
    strlist_free(rua);
    return TLSRPT_FAULTY;
}
