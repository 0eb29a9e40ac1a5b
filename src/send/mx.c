/* mx: the hosts that take mail for a domain, in the order to try them. It knows no connection. */
#include "send/mx.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "mail/address.h"

struct mx_query {
    struct dns *dns;
    struct hub *hub;
    usec deadline;
    char *domain;                  /* own: as given */
    char *ascii;                   /* own */
    struct dns_question *question; /* own; NULL: there is nothing to ask */
    struct err err;
};

void mx_list_free(struct mx_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
    free(l->domain);
    free(l->expanded);
    *l = (struct mx_list){ 0 };
}

static void add(struct mx_list *l, const char *name, size_t n, int preference)
{
    l->v = xrealloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = (struct mx_host){ .name = xstrndup(name, n), .preference = preference };
}

/* Letters, digits, '-' and '_' in labels of a host's name; the last one is no number, or it were an address. */
static bool is_host(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t label = 0, digits = 0;
    if (strlen(name) > 253)
        return false;
    for (const char *p = name;; p++) {
        if (*p == '.' || *p == '\0') {
            if (label == 0 || label > 63 || p[-1] == '-' || (*p == '\0' && digits == label))
                return false;
            if (*p == '\0')
                return true;
            label = digits = 0;
            continue;
        }
        if (!strchr(allowed, *p) || (label == 0 && *p == '-'))
            return false;
        label++;
        digits += *p >= '0' && *p <= '9';
    }
}

static bool make_ascii(const char *domain, struct buf *ascii, struct err *e)
{
    if (!domain_to_ascii(domain, ascii, e))
        return false;
    if (ascii->len > 0 && ascii->data[ascii->len - 1] == '.')
        buf_cut(ascii, ascii->len - 1);
    if (ascii->len > 0 && is_host(ascii->data))
        return true;
    struct buf reverse = BUF_INIT;
    err_set(e, FAULT_MESSAGE, "'%s' is no domain name", domain);
    if (dns_reverse_name(&reverse, domain))
        err_hint(e, "write an address in brackets: [%s%s]", strchr(domain, ':') ? "IPv6:" : "", domain);
    else
        err_hint(e, "look for a typing error in the address");
    buf_free(&reverse);
    return false;
}

struct mx_query *mx_start(struct dns *d, const char *domain, usec deadline, struct hub *hub)
{
    struct mx_query *q = xcalloc(1, sizeof *q);
    struct buf ascii = BUF_INIT;
    *q = (struct mx_query){ .dns = d, .hub = hub, .deadline = deadline, .domain = xstrdup(domain) };
    if (domain[0] == '[')
        buf_adds(&ascii, domain);
    else if (make_ascii(domain, &ascii, &q->err))
        q->question = dns_ask(d, ascii.data, DNS_MX);
    q->ascii = buf_steal(&ascii);
    return q;
}

void mx_free(struct mx_query *q)
{
    if (!q)
        return;
    dns_question_free(q->question);
    err_clear(&q->err);
    free(q->domain);
    free(q->ascii);
    free(q);
}

void mx_waits(const struct mx_query *q, struct pollset *ps)
{
    pollset_until(ps, q->deadline);
    if (q->question)
        dns_waits(q->dns, ps);
}

/* The end of a list for which *e was set. */
static bool amounts_to(struct mx_list *l, int class, int subject, int detail)
{
    mx_list_free(l);
    l->enhanced[0] = class;
    l->enhanced[1] = subject;
    l->enhanced[2] = detail;
    return false;
}

/* [192.0.2.1] and [IPv6:2001:db8::1] (RFC 5321 4.1.3). */
static bool take_literal(struct mx_query *q, struct mx_list *l, struct err *e)
{
    static const char tag[] = "[IPv6:";
    size_t skip = strncasecmp(q->ascii, tag, strlen(tag)) == 0 ? strlen(tag) : 1;
    size_t n = strcspn(q->ascii + skip, "]");
    struct buf reverse = BUF_INIT;
    char *address = xstrndup(q->ascii + skip, n);
    bool ok = strcmp(q->ascii + skip + n, "]") == 0 && dns_reverse_name(&reverse, address);
    if (ok) {
        add(l, address, n, 0);
        l->literal = true;
    } else {
        err_set(e, FAULT_MESSAGE, "'%s' is no address literal", q->domain);
        err_hint(e, "write [192.0.2.1] or [IPv6:2001:db8::1]");
        amounts_to(l, 5, 1, 3);
    }
    buf_free(&reverse);
    free(address);
    return ok;
}

static void shuffle(struct mx_host *v, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        unsigned long long r = 0;
        if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
            return;
        size_t k = r % i;
        struct mx_host other = v[k];
        v[k] = v[i - 1];
        v[i - 1] = other;
    }
}

static int by_preference(const void *a, const void *b)
{
    const struct mx_host *one = a, *two = b;
    return (one->preference > two->preference) - (one->preference < two->preference);
}

/* Best first, and no more than MX_HOSTS_MAX. */
static void sort(struct mx_list *l)
{
    qsort(l->v, l->n, sizeof *l->v, by_preference);
    for (size_t i = 0, k; i < l->n; i = k) {
        for (k = i + 1; k < l->n && l->v[k].preference == l->v[i].preference; k++)
            ;
        shuffle(l->v + i, k - i);
    }
    while (l->n > MX_HOSTS_MAX)
        free(l->v[--l->n].name);
}

static void say(const struct mx_query *q, enum event_kind kind, struct buf *text)
{
    emit(q->hub, 0, kind, F_STR("text", text->data));
    buf_free(text);
}

static bool take_records(struct mx_query *q, const struct dns_answer *a, struct mx_list *l, struct err *e)
{
    size_t left_out = 0;
    for (size_t i = 0; i < a->n; i++) {
        const struct dns_record *r = &a->v[i];
        struct buf text = BUF_INIT;
        if (is_host(r->text)) {
            add(l, r->text, r->len, r->preference);
        } else if (*r->text && left_out++ == 0) {
            buf_printf(&text, "an MX record of '%s' names '%s', which is no host name", q->domain, r->text);
            say(q, EV_WARNING, &text);
        }
    }
    if (l->n == 0 && left_out > 0) {
        err_set(e, FAULT_NO_HOST, "no MX record of '%s' names a host", q->domain);
        err_hint(e, "the domain's owner has to mend that");
        return amounts_to(l, 5, 4, 4);
    }
    if (l->n == 0) {
        err_set(e, FAULT_NO_HOST, "the domain '%s' takes no mail", q->domain);
        err_hint(e, "its MX record says so (RFC 7505): look at the address again");
        return amounts_to(l, 5, 1, 10);
    }
    size_t all = l->n;
    sort(l);
    if (all > l->n) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "'%s' has %zu MX records: only the best %zu are looked at", q->domain, all, l->n);
        say(q, EV_NOTE, &text);
    }
    return true;
}

static bool judge(struct mx_query *q, const struct dns_answer *a, struct mx_list *l, struct err *e)
{
    l->secure = a->secure;
    if (strcasecmp(a->name, q->ascii) != 0)
        l->expanded = xstrdup(a->name);
    switch (a->status) {
    case DNS_FOUND:
        return take_records(q, a, l, e);
    case DNS_NO_DATA:
        add(l, q->ascii, strlen(q->ascii), 0);
        return l->implicit = true;
    case DNS_NO_NAME:
        err_set(e, FAULT_NO_HOST, "there is no domain '%s'", q->domain);
        err_hint(e, "look for a typing error in the address");
        return amounts_to(l, 5, 1, 2);
    case DNS_BOGUS:
        err_set(e, FAULT_DNS, "the DNS answer for '%s' is not to be trusted: %s", q->domain, a->why);
        break;
    case DNS_FAILED:
        err_set(e, FAULT_DNS, "cannot look up who takes mail for '%s': %s", q->domain, a->why);
        break;
    }
    err_hint(e, "%s", a->hint);
    return amounts_to(l, 4, 4, 3);
}

static void tell(const struct mx_query *q, const struct mx_list *l)
{
    struct strlist names = STRLIST_INIT;
    for (size_t i = 0; i < l->n; i++)
        strlist_add(&names, l->v[i].name);
    emit(q->hub, 0, EV_MX, F_STR("domain", q->ascii), F_LIST("hosts", &names), F_BOOL("implicit", l->implicit),
         F_BOOL("secure", l->secure));
    strlist_free(&names);
}

enum io mx_step(struct mx_query *q, struct mx_list *l, struct err *e)
{
    const struct dns_answer *a = NULL;
    bool ok;
    *l = (struct mx_list){ 0 };
    if (q->question && !(a = dns_answer(q->question, q->deadline)))
        return IO_AGAIN;
    if (err_is_set(&q->err)) {
        err_move(e, &q->err);
        ok = amounts_to(l, 5, 1, 3);
    } else {
        ok = a ? judge(q, a, l, e) : take_literal(q, l, e);
    }
    if (!ok) {
        err_stage(e, STAGE_LOOKUP);
        return IO_ERROR;
    }
    l->domain = xstrdup(q->ascii);
    tell(q, l);
    return IO_DONE;
}

bool mx_lookup(struct mx_list *l, struct dns *d, const char *domain, usec deadline, struct hub *hub, struct err *e)
{
    struct mx_query *q = mx_start(d, domain, deadline, hub);
    struct pollset ps = POLLSET_INIT;
    enum io io;
    while ((io = mx_step(q, l, e)) == IO_AGAIN) {
        pollset_reset(&ps);
        mx_waits(q, &ps);
        pollset_wait(&ps);
    }
    pollset_free(&ps);
    mx_free(q);
    return io == IO_DONE;
}
