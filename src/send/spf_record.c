/* spf_record: terms of an SPF record, each by the row of its mechanism; macros. It knows no DNS: fuzzed. */
#include "send/spf_record.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/strlist.h"

enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63 };
static const char version[] = "v=spf1";

/* ---- addresses ---- */

bool spf_address_parse(struct spf_address *a, const char *text)
{
    static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
    *a = (struct spf_address){ 0 };
    const size_t n = ip_decode(a->octets, text);
    if (n <= 4)
        return n > 0;
    a->v6 = memcmp(a->octets, mapped, sizeof mapped) != 0;
    if (!a->v6)
        memcpy(a->octets, a->octets + sizeof mapped, 4);
    return true;
}

bool spf_address_within(const struct spf_address *a, const unsigned char *octets, int bits)
{
    const int whole = bits / 8, rest = bits % 8;
    if (memcmp(a->octets, octets, (size_t)whole) != 0)
        return false;
    return rest == 0 || (a->octets[whole] ^ octets[whole]) >> (8 - rest) == 0;
}

/* ---- macros: RFC 7208 7.1 ---- */

static const char delimiters[] = ".-+,/_=";

struct macro {
    char letter;           /* lower case */
    bool escape;           /* it was upper case */
    int keep;              /* so many parts at the right; 0: all */
    bool reverse;
    const char *delimiter; /* those named, n of them; none: the dot */
    size_t n;
};

/* "{ir.}" behind the percent sign. Returns what follows, or NULL: it is none. */
static const char *read_macro(struct macro *m, const char *p)
{
    if (*p++ != '{' || !ascii_isalpha(*p) || !strchr("slodiphcrtv", ascii_lower(*p)))
        return NULL;
    *m = (struct macro){ .letter = ascii_lower(*p), .escape = ascii_isupper(*p) };
    const char *digits = ++p;
    for (; ascii_isdigit(*p); p++)
        m->keep = m->keep > NAME_MAX_OCTETS ? m->keep : m->keep * 10 + (*p - '0');
    if (p > digits && m->keep == 0)
        return NULL;
    m->reverse = ascii_lower(*p) == 'r';
    p += m->reverse;
    m->delimiter = p;
    m->n = strspn(p, delimiters);
    p += m->n;
    return *p == '}' ? p + 1 : NULL;
}

/* What a text of macros consists of: each part to one of two functions. false: it is none. */
struct macro_sink {
    void *ctx;
    void (*literal)(void *ctx, const char *p, size_t n);
    void (*macro)(void *ctx, const struct macro *m);
};

static bool walk_macros(const char *spec, const struct macro_sink *sink)
{
    struct macro m;
    for (const char *p = spec; *p;) {
        if (*p != '%') {
            if (*p <= ' ' || *p >= 0x7f)
                return false;
            sink->literal(sink->ctx, p++, 1);
        } else if (p[1] == '%' || p[1] == '_' || p[1] == '-') {
            const char *stands_for = p[1] == '%' ? "%" : p[1] == '_' ? " " : "%20";
            sink->literal(sink->ctx, stands_for, strlen(stands_for));
            p += 2;
        } else {
            p = read_macro(&m, p + 1);
            if (!p)
                return false;
            sink->macro(sink->ctx, &m);
        }
    }
    return true;
}

/* What a text consists of, without its expansion. */
struct letters {
    bool explanation; /* "c", "r", "t": of explanations only */
    bool validated;   /* "p" */
    bool ends;        /* with a macro */
};

static void note_literal(void *ctx, const char *p, size_t n)
{
    (void)p, (void)n;
    ((struct letters *)ctx)->ends = false;
}

static void note_macro(void *ctx, const struct macro *m)
{
    struct letters *l = ctx;
    l->explanation |= strchr("crt", m->letter) != NULL;
    l->validated |= m->letter == 'p';
    l->ends = true;
}

static bool read_letters(const char *spec, struct letters *l)
{
    const struct macro_sink sink = { l, note_literal, note_macro };
    *l = (struct letters){ 0 };
    return walk_macros(spec, &sink);
}

bool spf_wants_validated(const char *spec)
{
    struct letters l;
    return read_letters(spec, &l) && l.validated;
}

/* The last label: letters, digits and hyphens, not digits alone. */
static bool is_top_label(const char *p, size_t n)
{
    bool number = true;
    for (size_t i = 0; i < n; i++) {
        if (!ascii_isalnum(p[i]) && (p[i] != '-' || i == 0 || i + 1 == n))
            return false;
        number &= ascii_isdigit(p[i]);
    }
    return n > 0 && !number;
}

/* domain-spec: it ends with a macro, or with a dot and a top label. */
static bool is_domain_spec(const char *spec)
{
    struct letters l;
    size_t n = strlen(spec);
    if (n == 0 || !read_letters(spec, &l) || l.explanation)
        return false;
    if (l.ends)
        return true;
    n -= spec[n - 1] == '.';
    size_t start = n;
    while (start > 0 && spec[start - 1] != '.')
        start--;
    return start > 0 && is_top_label(spec + start, n - start);
}

struct expansion {
    const struct spf_macros *m;
    struct buf text;
};

static void add_literal(void *ctx, const char *p, size_t n)
{
    buf_add(&((struct expansion *)ctx)->text, p, n);
}

static void add_ip(const struct spf_address *ip, struct buf *out)
{
    char text[INET_ADDRSTRLEN];
    if (!ip->v6)
        buf_adds(out, inet_ntop(AF_INET, ip->octets, text, sizeof text));
    for (int i = 0; ip->v6 && i < 16; i++)
        buf_printf(out, "%s%x.%x", i ? "." : "", ip->octets[i] >> 4, ip->octets[i] & 15);
}

static void macro_value(const struct spf_macros *m, char letter, struct buf *out)
{
    const char *at = strrchr(m->sender, '@');
    const size_t local = at ? (size_t)(at - m->sender) : 0;
    switch (letter) {
    case 's': buf_adds(out, m->sender); break;
    case 'l': buf_add(out, m->sender, local); break;
    case 'o': buf_adds(out, at ? at + 1 : m->sender); break;
    case 'd': buf_adds(out, m->domain); break;
    case 'i': add_ip(m->ip, out); break;
    case 'p': buf_adds(out, m->validated ? m->validated : "unknown"); break;
    case 'h': buf_adds(out, m->helo); break;
    case 'v': buf_adds(out, m->ip->v6 ? "ip6" : "in-addr"); break;
    }
}

/* RFC 3986 2.3: what is not unreserved is written %HH. */
static void add_escaped(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_printf(out, ascii_isalnum(*s) || strchr("-._~", *s) ? "%c" : "%%%02X", (unsigned char)*s);
}

static void split(const struct macro *m, const char *value, struct strlist *parts)
{
    for (;;) {
        size_t n = 0;
        while (value[n] && !(m->n > 0 ? memchr(m->delimiter, value[n], m->n) != NULL : value[n] == '.'))
            n++;
        strlist_addn(parts, value, n);
        if (!value[n])
            return;
        value += n + 1;
    }
}

static void add_macro(void *ctx, const struct macro *m)
{
    struct expansion *x = ctx;
    struct buf value = BUF_INIT, joined = BUF_INIT;
    struct strlist parts = STRLIST_INIT;
    macro_value(x->m, m->letter, &value);
    split(m, value.data, &parts);
    const size_t keep = m->keep > 0 && (size_t)m->keep < parts.n ? (size_t)m->keep : parts.n;
    for (size_t i = parts.n - keep; i < parts.n; i++) {
        if (i > parts.n - keep)
            buf_addc(&joined, '.');
        buf_adds(&joined, parts.v[m->reverse ? parts.n - 1 - i : i]);
    }
    m->escape ? add_escaped(&x->text, joined.data) : buf_addbuf(&x->text, &joined);
    strlist_free(&parts);
    buf_free(&value);
    buf_free(&joined);
}

bool spf_is_domain(const char *name)
{
    size_t labels = 0;
    if (strlen(name) > NAME_MAX_OCTETS)
        return false;
    for (const char *p = name;; p++) {
        size_t n = strcspn(p, ".");
        if (n == 0 || n > LABEL_MAX_OCTETS)
            return false;
        for (size_t i = 0; i < n; i++)
            if (p[i] <= ' ' || p[i] >= 0x7f || p[i] == '\\')
                return false;
        labels++;
        p += n;
        if (!*p)
            return labels >= 2;
    }
}

bool spf_expand(const struct spf_macros *m, const char *spec, struct buf *out)
{
    struct expansion x = { .m = m, .text = BUF_INIT };
    const struct macro_sink sink = { &x, add_literal, add_macro };
    bool ok = walk_macros(spec, &sink);
    struct buf *t = &x.text;
    if (t->len > 0 && t->data[t->len - 1] == '.')
        buf_cut(t, t->len - 1);
    while (t->len > NAME_MAX_OCTETS && strchr(t->data, '.'))
        buf_drop(t, strcspn(t->data, ".") + 1);
    ok = ok && spf_is_domain(t->data);
    if (ok)
        buf_addbuf(out, t);
    buf_free(t);
    return ok;
}

/* ---- terms ---- */

/* "/24": the digits of a prefix length, from the end of text. A length above max is none. */
static bool take_prefix(const char *text, size_t *n, int max, const char *slashes, int *prefix)
{
    size_t end = *n, start = end, skip = strlen(slashes);
    while (start > 0 && ascii_isdigit(text[start - 1]))
        start--;
    if (start == end || end - start > 3 || start < skip || strncmp(text + start - skip, slashes, skip) != 0)
        return false;
    if (end - start > 1 && text[start] == '0')
        return false;
    int value = 0;
    for (size_t i = start; i < end; i++)
        value = value * 10 + (text[i] - '0');
    if (value > max)
        return false;
    *prefix = value;
    *n = start - skip;
    return true;
}

/* What follows a mechanism's name: ":domain", "/24//64", both, or nothing. */
static bool read_domain(struct spf_directive *d, const char *rest, size_t n)
{
    if (n == 0)
        return true;
    if (rest[0] != ':')
        return false;
    d->domain = xstrndup(rest + 1, n - 1);
    return is_domain_spec(d->domain);
}

static bool read_nothing(struct spf_directive *d, const char *rest)
{
    (void)d;
    return !*rest;
}

static bool read_optional(struct spf_directive *d, const char *rest)
{
    return read_domain(d, rest, strlen(rest));
}

static bool read_needed(struct spf_directive *d, const char *rest)
{
    return *rest && read_optional(d, rest);
}

static bool read_hosts(struct spf_directive *d, const char *rest)
{
    size_t n = strlen(rest);
    take_prefix(rest, &n, 128, "//", &d->prefix6);
    take_prefix(rest, &n, 32, "/", &d->prefix4);
    return read_domain(d, rest, n);
}

static bool read_network(struct spf_directive *d, const char *rest, int family, int max, int *prefix)
{
    size_t n = strlen(rest);
    take_prefix(rest, &n, max, "/", prefix);
    char *address = n > 1 && rest[0] == ':' ? xstrndup(rest + 1, n - 1) : NULL;
    bool ok = address && inet_pton(family, address, d->network) == 1;
    free(address);
    return ok;
}

static bool read_ip4(struct spf_directive *d, const char *rest)
{
    return read_network(d, rest, AF_INET, 32, &d->prefix4);
}

static bool read_ip6(struct spf_directive *d, const char *rest)
{
    return read_network(d, rest, AF_INET6, 128, &d->prefix6);
}

static const struct {
    const char *name;
    bool (*read)(struct spf_directive *d, const char *rest);
} mechanisms[] = {
    [SPF_ALL] = { "all", read_nothing },       [SPF_INCLUDE] = { "include", read_needed },
    [SPF_A] = { "a", read_hosts },             [SPF_MX] = { "mx", read_hosts },
    [SPF_PTR] = { "ptr", read_optional },      [SPF_IP4] = { "ip4", read_ip4 },
    [SPF_IP6] = { "ip6", read_ip6 },           [SPF_EXISTS] = { "exists", read_needed },
};

static const struct {
    char c;
    enum spf_result result;
} qualifiers[] = { { '+', SPF_PASS }, { '-', SPF_FAIL }, { '~', SPF_SOFTFAIL }, { '?', SPF_NEUTRAL } };

static size_t name_length(const char *term)
{
    size_t n = 0;
    while (ascii_isalnum(term[n]) || (n > 0 && term[n] && strchr("-_.", term[n])))
        n++;
    return ascii_isalpha(term[0]) ? n : 0;
}

static bool read_directive(struct spf_record *r, const char *term)
{
    struct spf_directive d = { .result = SPF_PASS, .prefix4 = 32, .prefix6 = 128 };
    const char *name = term;
    bool ok = false;
    for (size_t i = 0; i < sizeof qualifiers / sizeof *qualifiers; i++)
        if (*term == qualifiers[i].c) {
            d.result = qualifiers[i].result;
            name = term + 1;
        }
    const size_t n = name_length(name);
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
        if (strlen(mechanisms[i].name) == n && ascii_ieqn(name, mechanisms[i].name, n)) {
            d.mechanism = (enum spf_mechanism)i;
            ok = mechanisms[i].read(&d, name + n);
        }
    d.text = xstrdup(term);
    r->v = xrealloc(r->v, (r->n + 1) * sizeof *r->v);
    r->v[r->n++] = d;
    return ok;
}

static bool read_modifier(struct spf_record *r, const char *term, size_t name)
{
    const char *value = term + name + 1;
    const struct {
        const char *name;
        char **to;
    } known[] = { { "redirect", &r->redirect }, { "exp", &r->exp } };
    struct letters l;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i].name) == name && ascii_ieqn(term, known[i].name, name)) {
            if (*known[i].to || !is_domain_spec(value))
                return false;
            *known[i].to = xstrdup(value);
            return true;
        }
    return read_letters(value, &l);
}

static bool read_term(struct spf_record *r, const char *term)
{
    const size_t n = name_length(term);
    return n > 0 && term[n] == '=' ? read_modifier(r, term, n) : read_directive(r, term);
}

bool spf_record_is(const char *text, size_t n)
{
    const size_t v = strlen(version);
    return n >= v && ascii_ieqn(text, version, v) && (n == v || text[v] == ' ');
}

void spf_record_free(struct spf_record *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].text);
        free(r->v[i].domain);
    }
    free(r->v);
    free(r->redirect);
    free(r->exp);
    *r = (struct spf_record){ 0 };
}

bool spf_record_parse(struct spf_record *r, const char *text, size_t n, struct err *e)
{
    struct strlist terms = STRLIST_INIT;
    bool ok = spf_record_is(text, n) && strnlen(text, n) == n;
    *r = (struct spf_record){ 0 };
    if (!ok)
        err_set(e, FAULT_PROTOCOL, "it holds a NUL, or is no SPF record");
    else
        strlist_addn(&terms, text + strlen(version), n - strlen(version));
    struct strlist words = STRLIST_INIT;
    if (ok)
        strlist_split(&words, terms.v[0], " ");
    for (size_t i = 0; ok && i < words.n; i++) {
        ok = read_term(r, words.v[i]);
        if (!ok)
            err_set(e, FAULT_PROTOCOL, "its term '%s' is not valid", words.v[i]);
    }
    strlist_free(&words);
    strlist_free(&terms);
    if (!ok)
        spf_record_free(r);
    return ok;
}
