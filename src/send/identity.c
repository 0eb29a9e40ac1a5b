/* identity: the name of EHLO against the addresses we send from, as receivers compare them. It keeps up no delivery for
 * long, and says nothing where it cannot know. */
#include "send/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "mail/address.h"
#include "net/own.h"

#define WITHIN (5 * USEC_PER_SEC)
enum { OURS_MAX = 4 }; /* an interface may have many addresses of IPv6 */

struct identity {
    struct task task;
    struct dns *dns;
    struct hub *hub;
    char *domain;                        /* own: as said */
    usec deadline;
    struct dns_question *four, *six;     /* own: its addresses; NULL: nothing is asked */
    struct strlist ours;                 /* public addresses that the mail may come from */
    struct dns_question *names[OURS_MAX]; /* own: their PTR records */
    bool over;
};

static bool step(struct task *t);
static void waits(const struct task *t, struct pollset *ps);

static void warn(const struct identity *i, const struct buf *text)
{
    emit(i->hub, 0, EV_WARNING, F_STRN("text", text->data, text->len));
}

/* What a name is no good for, whatever DNS says. NULL: DNS has to be asked. */
static const char *at_once(const char *domain)
{
    if (domain[0] == '[')
        return "is an address, not a name";
    if (own_name(domain))
        return "is every machine's name for itself";
    if (!strchr(domain, '.') || strcmp(domain + strcspn(domain, "."), ".") == 0)
        return "is no full name: it has no dot";
    return NULL;
}

static void choose_ours(struct identity *i, const char *address)
{
    struct strlist all = STRLIST_INIT;
    if (address)
        strlist_add(&all, address);
    else
        own_addresses(&all);
    for (size_t k = 0; k < all.n && i->ours.n < OURS_MAX; k++)
        if (own_is_public(all.v[k]) && !strlist_has(&i->ours, all.v[k]))
            strlist_add(&i->ours, all.v[k]);
    strlist_free(&all);
}

static void ask(struct identity *i)
{
    struct buf name = BUF_INIT;
    struct err none = ERR_INIT;
    i->over = !domain_to_ascii(i->domain, &name, &none);
    err_clear(&none);
    if (!i->over) {
        i->four = dns_ask(i->dns, name.data, DNS_A);
        i->six = dns_ask(i->dns, name.data, DNS_AAAA);
    }
    for (size_t k = 0; !i->over && k < i->ours.n; k++) {
        buf_reset(&name);
        if (dns_reverse_name(&name, i->ours.v[k]))
            i->names[k] = dns_ask(i->dns, name.data, DNS_PTR);
    }
    buf_free(&name);
}

struct identity *identity_new(const struct identity_params *p)
{
    struct identity *i = xcalloc(1, sizeof *i);
    *i = (struct identity){
        .task = { step, waits }, .dns = p->dns, .hub = p->hub, .domain = xstrdup(p->domain),
        .deadline = usec_min(p->deadline, clock_deadline(WITHIN)),
    };
    const char *wrong = at_once(i->domain);
    if (wrong) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "EHLO says '%s', which %s: many mail servers refuse that; set 'domain' to the name that this "
                          "machine has in DNS", i->domain, wrong);
        warn(i, &text);
        buf_free(&text);
        i->over = true;
        return i;
    }
    choose_ours(i, p->address);
    ask(i);
    return i;
}

struct task *identity_task(struct identity *i)
{
    return &i->task;
}

void identity_free(struct identity *i)
{
    if (!i)
        return;
    dns_question_free(i->four);
    dns_question_free(i->six);
    for (size_t k = 0; k < OURS_MAX; k++)
        dns_question_free(i->names[k]);
    strlist_free(&i->ours);
    free(i->domain);
    free(i);
}

/* ---- judgement */

static bool is_unknown(const struct dns_answer *a)
{
    return a->status == DNS_FAILED || a->status == DNS_BOGUS;
}

static bool is_found(const struct dns_answer *a)
{
    return a && a->status == DNS_FOUND;
}

static void add_addresses(struct strlist *l, const struct dns_answer *a)
{
    for (size_t k = 0; is_found(a) && k < a->n; k++)
        strlist_add(l, a->v[k].text);
}

/* "192.0.2.1 (mail.example by its PTR record), 2001:db8::1 (without a PTR record)" */
static void add_ours(struct buf *out, const struct strlist *ours, const struct dns_answer *const *names)
{
    for (size_t k = 0; k < ours->n; k++) {
        buf_printf(out, "%s%s", k > 0 ? ", " : "", ours->v[k]);
        if (is_found(names[k]))
            buf_printf(out, " (%s by its PTR record)", names[k]->v[0].text);
        else if (names[k] && !is_unknown(names[k]))
            buf_adds(out, " (without a PTR record)");
    }
}

static void add_list(struct buf *out, const struct strlist *l)
{
    for (size_t k = 0; k < l->n; k++)
        buf_printf(out, "%s%s", k > 0 ? ", " : "", l->v[k]);
}

/* The first of our addresses that the domain has; ours.n: none. */
static size_t shared(const struct identity *i, const struct strlist *its)
{
    size_t k = 0;
    while (k < i->ours.n && !own_has(its, i->ours.v[k]))
        k++;
    return k;
}

static void judge(const struct identity *i, const struct strlist *its, const struct dns_answer *const *names)
{
    struct buf text = BUF_INIT;
    size_t same = shared(i, its);
    if (its->n == 0) {
        buf_printf(&text, "EHLO says '%s', which has no address in DNS: many mail servers refuse that; ", i->domain);
        if (i->ours.n > 0) {
            buf_adds(&text, "this machine is ");
            add_ours(&text, &i->ours, names);
            buf_adds(&text, "; ");
        }
        buf_adds(&text, "set 'domain' to the name of the address that the mail comes from");
    } else if (i->ours.n > 0 && same == i->ours.n) {
        buf_printf(&text, "EHLO says '%s', which is ", i->domain);
        add_list(&text, its);
        buf_adds(&text, ", but the mail comes from ");
        add_ours(&text, &i->ours, names);
        buf_adds(&text, ": mail servers may refuse that; set 'domain' to the name of that address, or 'source_ip' to "
                        "the address of that name");
    } else if (i->ours.n > 0 && names[same] && !is_found(names[same]) && !is_unknown(names[same])) {
        buf_printf(&text, "the address %s that the mail comes from has no PTR record: many mail servers refuse that; "
                          "whoever gave you the address can set it, to '%s'", i->ours.v[same], i->domain);
    }
    if (text.len > 0)
        warn(i, &text);
    buf_free(&text);
}

static bool step(struct task *t)
{
    struct identity *i = (struct identity *)t;
    const struct dns_answer *names[OURS_MAX] = { 0 };
    if (i->over)
        return true;
    const struct dns_answer *four = dns_answer(i->four, i->deadline), *six = dns_answer(i->six, i->deadline);
    bool all = four && six;
    for (size_t k = 0; k < i->ours.n; k++)
        all = (names[k] = dns_answer(i->names[k], i->deadline)) && all;
    if (!all)
        return false;
    struct strlist its = STRLIST_INIT;
    add_addresses(&its, four);
    add_addresses(&its, six);
    if (!is_unknown(four) && !is_unknown(six))
        judge(i, &its, names);
    strlist_free(&its);
    i->over = true;
    return true;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct identity *i = (const struct identity *)t;
    pollset_until(ps, i->deadline);
    dns_waits(i->dns, ps);
}
