/* spf: check_host() (RFC 7208 4), as it stands there, over the answers that have come. What it needs and has not is
 * asked for; when more has come it is evaluated from the beginning again: with ten look-ups at most that costs nothing,
 * and nothing has to be remembered but the answers. Explanations are not fetched. */
#include "send/spf.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "send/spf_record.h"

/* RFC 7208 4.6.4 */
enum { LOOKUPS_MAX = 10, VOIDS_MAX = 2, HOSTS_MAX = 10 };

struct asked {
    char *name;                    /* own */
    enum dns_type type;
    struct dns_question *question; /* own */
};

struct spf {
    struct dns *dns;
    char *ip, *domain, *sender, *helo; /* own */
    usec deadline;
    struct asked *v;                   /* own */
    size_t n;
    bool over;
};

/* One evaluation. */
struct check {
    struct spf *spf;
    struct spf_address ip;
    int lookups, voids;
    bool waits;      /* an answer is not there yet: what is returned says nothing */
    char *record;    /* own: the domain's */
    struct buf why;
};

/* What a mechanism amounts to. */
enum match { MATCH, NO_MATCH, MATCH_TEMPERROR, MATCH_PERMERROR };

const char *spf_word(enum spf_result r)
{
    static const char *const words[] = {
        [SPF_NONE] = "none",         [SPF_NEUTRAL] = "neutral",     [SPF_PASS] = "pass",
        [SPF_FAIL] = "fail",         [SPF_SOFTFAIL] = "softfail",   [SPF_TEMPERROR] = "temperror",
        [SPF_PERMERROR] = "permerror",
    };
    return words[r];
}

void spf_verdict_free(struct spf_verdict *v)
{
    free(v->record);
    free(v->why);
    *v = (struct spf_verdict){ 0 };
}

/* ---- questions ---- */

/* NULL: it is not there yet, and the evaluation waits. */
static const struct dns_answer *ask(struct check *c, const char *name, enum dns_type type)
{
    struct spf *s = c->spf;
    size_t i = 0;
    while (i < s->n && (s->v[i].type != type || !ascii_ieq(s->v[i].name, name)))
        i++;
    if (i == s->n) {
        s->v = xrealloc(s->v, (s->n + 1) * sizeof *s->v);
        s->v[s->n++] = (struct asked){ xstrdup(name), type, dns_ask(s->dns, name, type) };
    }
    const struct dns_answer *a = dns_answer(s->v[i].question, s->deadline);
    c->waits |= !a;
    return a;
}

static enum dns_type address_type(const struct check *c)
{
    return c->ip.v6 ? DNS_AAAA : DNS_A;
}

static bool has_failed(const struct dns_answer *a)
{
    return a->status == DNS_FAILED || a->status == DNS_BOGUS;
}

static void because(struct check *c, const char *what, const char *name, const char *more)
{
    if (c->why.len == 0)
        buf_printf(&c->why, "%s '%s'%s%s", what, name, more ? ": " : "", more ? more : "");
}

static enum match cannot_look_up(struct check *c, const struct dns_answer *a)
{
    because(c, "cannot look up", a->name, a->why);
    return MATCH_TEMPERROR;
}

/* The answer to a term's own question; NULL: *m is what it amounts to. */
static const struct dns_answer *ask_for_term(struct check *c, const char *name, enum dns_type type, enum match *m)
{
    const struct dns_answer *a = ask(c, name, type);
    *m = NO_MATCH;
    if (!a)
        return NULL;
    if (has_failed(a)) {
        *m = cannot_look_up(c, a);
        return NULL;
    }
    if (a->status == DNS_FOUND)
        return a;
    if (++c->voids > VOIDS_MAX) {
        because(c, "more than two names that it asks for do not exist, the last is", name, NULL);
        *m = MATCH_PERMERROR;
    }
    return NULL;
}

/* ---- addresses ---- */

static bool has_address(const struct check *c, const struct dns_answer *a, const struct spf_directive *d)
{
    struct spf_address found;
    for (size_t i = 0; i < a->n; i++)
        if (spf_address_parse(&found, a->v[i].text) && found.v6 == c->ip.v6
            && spf_address_within(&c->ip, found.octets, c->ip.v6 ? d->prefix6 : d->prefix4))
            return true;
    return false;
}

/* A name that the address has and that has the address: `within` itself, else one below it, else, where `any` will do,
 * another (RFC 7208 5.5, 7.3). NULL: there is none. The name is the answer's. */
static const char *validated_name(struct check *c, const char *within, bool any)
{
    static const struct spf_directive exactly = { .prefix4 = 32, .prefix6 = 128 };
    const char *below = NULL, *other = NULL;
    struct buf reverse = BUF_INIT;
    dns_reverse_name(&reverse, c->spf->ip);
    const struct dns_answer *names = ask(c, reverse.data, DNS_PTR);
    buf_free(&reverse);
    for (size_t i = 0; names && i < names->n && i < HOSTS_MAX; i++) {
        const char *name = names->v[i].text;
        const size_t n = strlen(name), k = strlen(within);
        const bool same = ascii_ieq(name, within);
        const bool inside = n > k && name[n - k - 1] == '.' && ascii_ieq(name + n - k, within);
        if ((!same && !inside && !any) || !spf_is_domain(name))
            continue;
        const struct dns_answer *a = ask(c, name, address_type(c));
        if (!a || !has_address(c, a, &exactly))
            continue;
        if (same)
            return name;
        if (inside && !below)
            below = name;
        if (!other)
            other = name;
    }
    return below ? below : any ? other : NULL;
}

/* ---- names in terms ---- */

static bool one_more_lookup(struct check *c)
{
    if (++c->lookups <= LOOKUPS_MAX)
        return true;
    because(c, "more than ten terms ask the name servers: too many for", c->spf->domain, NULL);
    return false;
}

/* The domain of a term; spec NULL: the current one. false: it is no name, and matches nothing. */
static bool target(struct check *c, const char *domain, const char *spec, struct buf *out)
{
    if (!spec) {
        buf_adds(out, domain);
        return true;
    }
    const struct spf_macros m = {
        .sender = c->spf->sender,
        .domain = domain,
        .ip = &c->ip,
        .helo = c->spf->helo,
        .validated = spf_wants_validated(spec) ? validated_name(c, domain, true) : NULL,
    };
    return spf_expand(&m, spec, out) && !c->waits;
}

/* ---- mechanisms: RFC 7208 5 ---- */

static enum spf_result check_domain(struct check *c, const char *domain, bool first);

static enum match match_all(struct check *c, const struct spf_directive *d, const char *name)
{
    (void)c, (void)d, (void)name;
    return MATCH;
}

static enum match match_include(struct check *c, const struct spf_directive *d, const char *name)
{
    (void)d;
    switch (check_domain(c, name, false)) {
    case SPF_PASS:
        return MATCH;
    case SPF_FAIL:
    case SPF_SOFTFAIL:
    case SPF_NEUTRAL:
        return NO_MATCH;
    case SPF_TEMPERROR:
        return MATCH_TEMPERROR;
    case SPF_PERMERROR:
        return MATCH_PERMERROR;
    case SPF_NONE:
        break;
    }
    because(c, "there is no SPF record at the included", name, NULL);
    return MATCH_PERMERROR;
}

static enum match match_a(struct check *c, const struct spf_directive *d, const char *name)
{
    enum match m;
    const struct dns_answer *a = ask_for_term(c, name, address_type(c), &m);
    return a && has_address(c, a, d) ? MATCH : m;
}

static enum match match_mx(struct check *c, const struct spf_directive *d, const char *name)
{
    enum match m;
    const struct dns_answer *hosts = ask_for_term(c, name, DNS_MX, &m);
    if (!hosts)
        return m;
    if (hosts->n > HOSTS_MAX) {
        because(c, "more than ten hosts take mail for", name, NULL);
        return MATCH_PERMERROR;
    }
    for (size_t i = 0; i < hosts->n; i++) {
        const struct dns_answer *a = *hosts->v[i].text ? ask(c, hosts->v[i].text, address_type(c)) : NULL;
        if (!a || c->waits) /* the others are asked for as well, but what is first decides */
            continue;
        if (has_failed(a))
            return cannot_look_up(c, a);
        if (has_address(c, a, d))
            return MATCH;
    }
    return NO_MATCH;
}

static enum match match_ptr(struct check *c, const struct spf_directive *d, const char *name)
{
    (void)d;
    return validated_name(c, name, false) ? MATCH : NO_MATCH;
}

static enum match match_ip(struct check *c, const struct spf_directive *d, const char *name)
{
    (void)name;
    const bool v6 = d->mechanism == SPF_IP6;
    return c->ip.v6 == v6 && spf_address_within(&c->ip, d->network, v6 ? d->prefix6 : d->prefix4) ? MATCH : NO_MATCH;
}

static enum match match_exists(struct check *c, const struct spf_directive *d, const char *name)
{
    (void)d;
    enum match m;
    return ask_for_term(c, name, DNS_A, &m) ? MATCH : m;
}

static const struct {
    enum match (*match)(struct check *c, const struct spf_directive *d, const char *name);
    bool asks;
} mechanisms[] = {
    [SPF_ALL] = { match_all, false },   [SPF_INCLUDE] = { match_include, true }, [SPF_A] = { match_a, true },
    [SPF_MX] = { match_mx, true },      [SPF_PTR] = { match_ptr, true },         [SPF_IP4] = { match_ip, false },
    [SPF_IP6] = { match_ip, false },    [SPF_EXISTS] = { match_exists, true },
};

static enum match match(struct check *c, const struct spf_directive *d, const char *domain)
{
    struct buf name = BUF_INIT;
    enum match m = MATCH_PERMERROR;
    if (!mechanisms[d->mechanism].asks)
        return mechanisms[d->mechanism].match(c, d, domain);
    if (one_more_lookup(c)) {
        if (target(c, domain, d->domain, &name))
            m = mechanisms[d->mechanism].match(c, d, name.data);
        else if (d->mechanism != SPF_INCLUDE)
            m = NO_MATCH;
        else
            because(c, "there is no domain behind", d->text, NULL);
    }
    buf_free(&name);
    return m;
}

/* ---- records: RFC 7208 4.4 to 4.7 ---- */

static enum spf_result redirected(struct check *c, const struct spf_record *r, const char *domain, bool first)
{
    struct buf name = BUF_INIT;
    enum spf_result result = SPF_PERMERROR;
    if (one_more_lookup(c)) {
        if (target(c, domain, r->redirect, &name))
            result = check_domain(c, name.data, first);
        if (result == SPF_NONE || name.len == 0) {
            because(c, "there is no SPF record at the domain of", r->redirect, NULL);
            result = SPF_PERMERROR;
        }
    }
    buf_free(&name);
    return result;
}

static enum spf_result evaluate(struct check *c, const struct spf_record *r, const char *domain, bool first)
{
    for (size_t i = 0; i < r->n; i++) {
        enum match m = match(c, &r->v[i], domain);
        if (c->waits)
            return SPF_NONE;
        if (m == MATCH_TEMPERROR || m == MATCH_PERMERROR)
            return m == MATCH_TEMPERROR ? SPF_TEMPERROR : SPF_PERMERROR;
        if (m == MATCH) {
            if (first)
                buf_adds(&c->why, r->v[i].text);
            return r->v[i].result;
        }
    }
    if (r->redirect)
        return redirected(c, r, domain, first);
    if (first)
        buf_adds(&c->why, "nothing in it matches");
    return SPF_NEUTRAL;
}

/* The one SPF record of the answer; NULL: none, or *several. */
static const struct dns_record *choose(const struct dns_answer *a, bool *several)
{
    const struct dns_record *chosen = NULL;
    *several = false;
    for (size_t i = 0; i < a->n; i++)
        if (spf_record_is(a->v[i].text, a->v[i].len)) {
            *several |= chosen != NULL;
            chosen = &a->v[i];
        }
    return *several ? NULL : chosen;
}

/* check_host() for a domain. first: not an included one. */
static enum spf_result check_domain(struct check *c, const char *domain, bool first)
{
    struct spf_record r;
    struct err e = ERR_INIT;
    bool several;
    if (!spf_is_domain(domain))
        return SPF_NONE;
    const struct dns_answer *a = ask(c, domain, DNS_TXT);
    if (!a)
        return SPF_NONE;
    if (has_failed(a)) {
        cannot_look_up(c, a);
        return SPF_TEMPERROR;
    }
    const struct dns_record *record = choose(a, &several);
    if (several)
        because(c, "there is more than one SPF record at", domain, NULL);
    if (!record)
        return several ? SPF_PERMERROR : SPF_NONE;
    if (!c->record)
        c->record = xstrndup(record->text, record->len);
    if (!spf_record_parse(&r, record->text, record->len, &e)) {
        because(c, "the record is faulty at", domain, e.text);
        err_clear(&e);
        return SPF_PERMERROR;
    }
    enum spf_result result = evaluate(c, &r, domain, first);
    spf_record_free(&r);
    return result;
}

/* ---- the task's part ---- */

struct spf *spf_start(const struct spf_params *p)
{
    struct spf *s = xcalloc(1, sizeof *s);
    const char *at = p->sender ? strrchr(p->sender, '@') : NULL;
    *s = (struct spf){
        .dns = p->dns,
        .ip = xstrdup(p->ip),
        .domain = xstrdup(p->domain),
        .sender = at && at > p->sender ? xstrdup(p->sender)
                                       : xasprintf("postmaster@%s", at && at[1] ? at + 1 : p->domain),
        .helo = xstrdup(p->helo ? p->helo : p->domain),
        .deadline = p->deadline,
    };
    return s;
}

bool spf_step(struct spf *s, struct spf_verdict *v)
{
    struct check c = { .spf = s, .why = BUF_INIT };
    enum spf_result result = SPF_PERMERROR;
    *v = (struct spf_verdict){ 0 };
    if (spf_address_parse(&c.ip, s->ip))
        result = check_domain(&c, s->domain, true);
    else
        because(&c, "this is no address:", s->ip, NULL);
    s->over = !c.waits;
    if (s->over)
        *v = (struct spf_verdict){
            .result = result,
            .record = xstrdup(c.record),
            .why = c.why.len > 0 ? xstrdup(c.why.data) : NULL,
            .lookups = c.lookups > LOOKUPS_MAX ? LOOKUPS_MAX : c.lookups,
        };
    free(c.record);
    buf_free(&c.why);
    return s->over;
}

void spf_waits(const struct spf *s, struct pollset *ps)
{
    const bool asks = !s->over && s->n > 0;
    pollset_until(ps, asks ? s->deadline : 0);
    if (asks)
        dns_waits(s->dns, ps);
}

void spf_free(struct spf *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++) {
        dns_question_free(s->v[i].question);
        free(s->v[i].name);
    }
    free(s->v);
    free(s->ip);
    free(s->domain);
    free(s->sender);
    free(s->helo);
    free(s);
}
