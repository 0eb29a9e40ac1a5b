/* dns_records: what the octets of DNS records mean. No I/O: fuzzed. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "net/dns.h"

void dns_answer_free(struct dns_answer *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].text);
        buf_free(&a->v[i].association);
    }
    free(a->v);
    free(a->name);
    free(a->why);
    *a = (struct dns_answer){ .status = a->status };
}

struct reader {
    const unsigned char *p, *end;
};

static bool read_16(struct reader *r, int *value)
{
    if (r->end - r->p < 2)
        return false;
    *value = r->p[0] << 8 | r->p[1];
    r->p += 2;
    return true;
}

static bool read_8(struct reader *r, int *value)
{
    if (r->p == r->end)
        return false;
    *value = *r->p++;
    return true;
}

/* A host's name to the end of the record. One that could not stand on a line or in a command is none. */
static bool read_name(struct reader *r, struct buf *name)
{
    while (r->p < r->end) {
        size_t n = *r->p++;
        if (n == 0)
            return r->p == r->end && name->len <= 253;
        if (n > 63 || (size_t)(r->end - r->p) < n)
            return false;
        if (name->len > 0)
            buf_addc(name, '.');
        for (size_t i = 0; i < n; i++)
            if (r->p[i] <= ' ' || r->p[i] >= 0x7f || r->p[i] == '.')
                return false;
        buf_add(name, (const char *)r->p, n);
        r->p += n;
    }
    return false;
}

static bool read_host(struct reader *r, struct dns_record *d)
{
    struct buf name = BUF_INIT;
    bool ok = read_name(r, &name);
    if (ok) {
        d->len = name.len;
        d->text = buf_steal(&name);
    }
    buf_free(&name);
    return ok;
}

static bool read_address(struct reader *r, struct dns_record *d, int family, size_t octets)
{
    char text[INET6_ADDRSTRLEN];
    if ((size_t)(r->end - r->p) != octets || !inet_ntop(family, r->p, text, sizeof text))
        return false;
    d->text = xstrdup(text);
    d->len = strlen(text);
    return true;
}

static bool read_a(struct reader *r, struct dns_record *d)
{
    return read_address(r, d, AF_INET, 4);
}

static bool read_aaaa(struct reader *r, struct dns_record *d)
{
    return read_address(r, d, AF_INET6, 16);
}

static bool read_mx(struct reader *r, struct dns_record *d)
{
    return read_16(r, &d->preference) && read_host(r, d);
}

static bool read_srv(struct reader *r, struct dns_record *d)
{
    return read_16(r, &d->preference) && read_16(r, &d->weight) && read_16(r, &d->port) && read_host(r, d);
}

static bool read_txt(struct reader *r, struct dns_record *d)
{
    struct buf text = BUF_INIT;
    bool ok = r->p < r->end;
    while (ok && r->p < r->end) {
        size_t n = *r->p++;
        ok = (size_t)(r->end - r->p) >= n;
        if (ok) {
            buf_add(&text, (const char *)r->p, n);
            r->p += n;
        }
    }
    if (ok) {
        d->len = text.len;
        d->text = buf_steal(&text);
    }
    buf_free(&text);
    return ok;
}

static bool read_tlsa(struct reader *r, struct dns_record *d)
{
    if (!read_8(r, &d->usage) || !read_8(r, &d->selector) || !read_8(r, &d->matching) || r->p == r->end)
        return false;
    buf_add(&d->association, (const char *)r->p, (size_t)(r->end - r->p));
    return true;
}

static const struct { enum dns_type type; bool (*read)(struct reader *r, struct dns_record *d); } readers[] = {
    { DNS_A, read_a },     { DNS_AAAA, read_aaaa }, { DNS_CNAME, read_host }, { DNS_PTR, read_host },
    { DNS_MX, read_mx },   { DNS_SRV, read_srv },   { DNS_TXT, read_txt },    { DNS_TLSA, read_tlsa },
};

bool dns_answer_add(struct dns_answer *a, enum dns_type type, const char *rdata, size_t len)
{
    struct reader r = { (const unsigned char *)rdata, (const unsigned char *)rdata + len };
    struct dns_record d = { .association = BUF_INIT };
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        if (readers[i].type != type)
            continue;
        if (!readers[i].read(&r, &d))
            break;
        a->v = xrealloc(a->v, (a->n + 1) * sizeof *a->v);
        a->v[a->n++] = d;
        return true;
    }
    buf_free(&d.association);
    return false;
}

/* To the end of a name of a message, which may end in a pointer (RFC 1035 4.1.4). */
static bool skip_name(struct reader *r)
{
    while (r->p < r->end) {
        size_t n = *r->p++;
        if (n == 0)
            return true;
        if (n > 63)
            return r->p++ < r->end;
        if ((size_t)(r->end - r->p) < n)
            return false;
        r->p += n;
    }
    return false;
}

static bool skip_octets(struct reader *r, int n)
{
    if (r->end - r->p < n)
        return false;
    r->p += n;
    return true;
}

bool dns_message_has(const char *octets, size_t len, int type)
{
    int questions = 0, records = 0, found, size;
    if (len < 12)
        return false;
    struct reader r = { (const unsigned char *)octets + 4, (const unsigned char *)octets + len };
    read_16(&r, &questions);
    for (int section = 0, n; section < 3 && read_16(&r, &n); section++)
        records += n;
    for (; questions > 0; questions--)
        if (!skip_name(&r) || !skip_octets(&r, 4))
            return false;
    for (; records > 0; records--) {
        if (!skip_name(&r) || !read_16(&r, &found))
            return false;
        if (found == type)
            return true;
        if (!skip_octets(&r, 6) || !read_16(&r, &size) || !skip_octets(&r, size))
            return false;
    }
    return false;
}

void dns_service_name(struct buf *out, int port, const char *host)
{
    buf_printf(out, "_%d._tcp.%s", port, host);
}

bool dns_reverse_name(struct buf *out, const char *address)
{
    unsigned char octets[IP_MAX];
    const size_t n = ip_decode(octets, address);
    if (n == 4) {
        buf_printf(out, "%d.%d.%d.%d.in-addr.arpa", octets[3], octets[2], octets[1], octets[0]);
        return true;
    }
    if (n == 0)
        return false;
    for (int i = 15; i >= 0; i--)
        buf_printf(out, "%x.%x.", octets[i] & 15, octets[i] >> 4);
    buf_adds(out, "ip6.arpa");
    return true;
}
