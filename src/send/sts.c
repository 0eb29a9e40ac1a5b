/* sts: MTA-STS as text (RFC 8461). It knows no DNS server, no file and no clock. */
#include "send/sts.h"

#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"

static const char *const modes[] = { [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce" };
enum { MODES = sizeof modes / sizeof *modes };

/* A piece of the text; not NUL-terminated. */
struct span {
    const char *p;
    size_t n;
};

static bool is(struct span s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static struct span between(const char *p, const char *end)
{
    return (struct span){ p, (size_t)(end - p) };
}

static struct span without_blanks(struct span s)
{
    while (s.n > 0 && ascii_isblank(s.p[0]))
        s.p++, s.n--;
    while (s.n > 0 && ascii_isblank(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Cuts off what stands before the separator, which then is gone, too; or all: then rest->p is NULL, and the next call
 * says false. */
static bool cut(struct span *rest, char separator, struct span *piece)
{
    if (!rest->p)
        return false;
    const char *end = rest->p + rest->n, *at = memchr(rest->p, separator, rest->n);
    *piece = between(rest->p, at ? at : end);
    *rest = at ? between(at + 1, end) : (struct span){ NULL, 0 };
    return true;
}

/* sts-ext-name (RFC 8461 3.1) and sts-policy-ext-name (3.2), which the names of both documents are, too. */
static bool is_name(struct span s)
{
    bool ok = s.n >= 1 && s.n <= 32 && ascii_isalnum(s.p[0]);
    for (size_t i = 1; ok && i < s.n; i++)
        ok = ascii_isalnum(s.p[i]) || memchr("_-.", s.p[i], 3);
    return ok;
}

/* ---- the record */

static const char version[] = "v=STSv1";

static bool is_id(struct span s)
{
    bool ok = s.n >= 1 && s.n <= STS_ID_MAX;
    for (size_t i = 0; ok && i < s.n; i++)
        ok = ascii_isalnum(s.p[i]);
    return ok;
}

/* sts-ext-value (RFC 8461 3.1) */
static bool is_record_value(struct span s)
{
    bool ok = s.n >= 1;
    for (size_t i = 0; ok && i < s.n; i++)
        ok = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '=' && s.p[i] != ';';
    return ok;
}

/* Does it begin with the version? Others at that name are somebody else's. Blanks may stand around each semicolon. */
static bool is_ours(struct span text, struct span *fields)
{
    struct span first;
    *fields = text;
    return cut(fields, ';', &first) && fields->p && is(without_blanks(first), version) && ascii_isalpha(first.p[0]);
}

static bool read_record(struct span fields, struct span *id)
{
    struct span field, name;
    *id = (struct span){ NULL, 0 };
    while (cut(&fields, ';', &field)) {
        struct span value = without_blanks(field);
        if (value.n == 0 && !fields.p) /* the last semicolon ends the record */
            break;
        if (!cut(&value, '=', &name) || !value.p || !is_name(name) || !is_record_value(value))
            return false;
        if (id->p || !is(name, "id"))
            continue;
        if (!is_id(value))
            return false;
        *id = value;
    }
    return id->p != NULL;
}

bool sts_record_id(const struct dns_answer *txt, struct buf *id)
{
    struct span fields, found = { NULL, 0 };
    int ours = 0;
    for (size_t i = 0; i < txt->n; i++) {
        struct span text = { txt->v[i].text, txt->v[i].len };
        if (!is_ours(text, &fields))
            continue;
        if (++ours > 1 || !read_record(fields, &found))
            return false;
    }
    if (ours == 1)
        buf_add(id, found.p, found.n);
    return ours == 1;
}

/* ---- the policy */

/* What the fields said so far: of a field that is there twice the first one counts (RFC 8461 3.2). */
struct reader {
    struct sts_policy *policy;
    bool version, mode, age;
    struct buf line; /* for a sentence */
    struct err *e;
};

static bool wrong(struct reader *r, const char *why)
{
    return err_set(r->e, FAULT_PROTOCOL, "%s in '%s'", why, r->line.data);
}

static bool read_version(struct reader *r, struct span value)
{
    if (!r->version && !is(value, "STSv1"))
        return wrong(r, "an unknown version");
    r->version = true;
    return true;
}

static bool read_mode(struct reader *r, struct span value)
{
    for (int i = 0; !r->mode && i < MODES; i++)
        if (is(value, modes[i])) {
            r->policy->mode = (enum sts_mode)i;
            r->mode = true;
        }
    return r->mode || wrong(r, "an unknown mode");
}

/* Longer than the RFC's maximum is as long as that: whoever writes so wants it to last. */
static bool read_max_age(struct reader *r, struct span value)
{
    if (r->age)
        return true;
    if (value.n < 1 || value.n > 10)
        return wrong(r, "no number of seconds");
    long long age = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (!ascii_isdigit(value.p[i]))
            return wrong(r, "no number of seconds");
        age = age * 10 + (value.p[i] - '0');
    }
    r->policy->max_age = age < STS_AGE_MAX ? (long)age : STS_AGE_MAX;
    r->age = true;
    return true;
}

/* Domain (RFC 5321 4.1.2): labels of letters, digits and inner hyphens. What a name in UTF-8 is, is written in
 * A-labels (RFC 8461 4.1). */
static bool is_domain(struct span s)
{
    struct span label;
    bool ok = s.n >= 1 && s.n <= 253;
    while (ok && cut(&s, '.', &label)) {
        ok = label.n >= 1 && label.n <= 63 && label.p[0] != '-' && label.p[label.n - 1] != '-';
        for (size_t i = 0; ok && i < label.n; i++)
            ok = ascii_isalnum(label.p[i]) || label.p[i] == '-';
    }
    return ok;
}

static bool read_mx(struct reader *r, struct span value)
{
    bool wild = value.n > 2 && memcmp(value.p, "*.", 2) == 0;
    if (!is_domain(wild ? between(value.p + 2, value.p + value.n) : value))
        return wrong(r, "no host name or pattern");
    struct strlist *mx = &r->policy->mx;
    strlist_addn(mx, value.p, value.n);
    for (char *c = mx->v[mx->n - 1]; *c; c++)
        *c = ascii_lower(*c);
    return true;
}

static const struct { const char *name; bool (*read)(struct reader *r, struct span value); } fields[] = {
    { "version", read_version },
    { "mode", read_mode },
    { "max_age", read_max_age },
    { "mx", read_mx },
};

/* sts-policy-ext-value (RFC 8461 3.2): visible characters, also of UTF-8, and blanks between them. */
static bool is_policy_value(struct span s)
{
    bool ok = s.n >= 1 && utf8_valid(s.p, s.n);
    for (size_t i = 0; ok && i < s.n; i++)
        ok = (unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f;
    return ok;
}

static bool read_line(struct reader *r, struct span line)
{
    struct span name, value = line;
    buf_reset(&r->line);
    visible_encode(&r->line, line.p, line.n < 80 ? line.n : 80);
    if (!cut(&value, ':', &name) || !value.p || !is_name(name))
        return wrong(r, "no 'key: value'");
    value = without_blanks(value);
    if (!is_policy_value(value))
        return wrong(r, "no proper value");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (is(name, fields[i].name))
            return fields[i].read(r, value);
    return true;
}

static bool read_lines(struct reader *r, struct span text)
{
    struct span line;
    while (cut(&text, '\n', &line)) {
        if (text.p && line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (without_blanks(line).n > 0 && !read_line(r, line)) /* empty lines do no harm */
            return false;
    }
    return true;
}

static bool is_whole(const struct reader *r)
{
    const char *missing = !r->version ? "version" : !r->mode ? "mode" : !r->age ? "max_age"
                        : r->policy->mode != STS_NONE && r->policy->mx.n == 0 ? "mx" : NULL;
    return !missing || err_set(r->e, FAULT_PROTOCOL, "it has no '%s'", missing);
}

bool sts_policy_parse(struct sts_policy *p, const char *text, size_t n, struct err *e)
{
    *p = (struct sts_policy){ 0 };
    if (n > STS_POLICY_MAX)
        return err_set(e, FAULT_PROTOCOL, "the MTA-STS policy is longer than %d octets", STS_POLICY_MAX);
    struct reader r = { .policy = p, .line = BUF_INIT, .e = e };
    bool ok = read_lines(&r, (struct span){ text, n }) && is_whole(&r);
    buf_free(&r.line);
    if (!ok)
        sts_policy_free(p);
    return ok;
}

void sts_policy_free(struct sts_policy *p)
{
    strlist_free(&p->mx);
    *p = (struct sts_policy){ 0 };
}

const char *sts_mode_word(enum sts_mode mode)
{
    return modes[mode];
}

bool sts_policy_matches(const struct sts_policy *p, const char *host)
{
    const char *dot = strchr(host, '.');
    for (size_t i = 0; i < p->mx.n; i++) {
        const char *pattern = p->mx.v[i];
        bool wild = pattern[0] == '*';
        if (wild ? dot && dot != host && ascii_ieq(pattern + 1, dot) : ascii_ieq(pattern, host))
            return true;
    }
    return false;
}
