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
    *l = (struct mx_list){ 0 };
}

static void add(struct mx_list *l, const char *name, size_t n, int preference)
{
    l->v = xrealloc(l->v, (l->n + 1) * sizeof *l->v);
    l->v[l->n++] = (struct mx_host){ .name = xstrndup(name, n), .preference = preference };
}

struct mx_query *mx_start(struct dns *d, const char *domain, usec deadline, struct hub *hub)
{
    struct mx_query *q = xcalloc(1, sizeof *q);
    struct buf ascii = BUF_INIT;
    *q = (struct mx_query){ .dns = d, .hub = hub, .deadline = deadline, .domain = xstrdup(domain) };
    if (domain[0] == '[')
        buf_adds(&ascii, domain);
    else if (domain_to_ascii(domain, &ascii, &q->err))
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

/* [192.0.2.1] and [IPv6:2001:db8::1] (RFC 5321 4.1.3). */
static enum io take_literal(struct mx_query *q, struct mx_list *l, struct err *e)
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
    }
    buf_free(&reverse);
    free(address);
    return ok ? IO_DONE : IO_ERROR;
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

static void sort(struct mx_list *l)
{
    qsort(l->v, l->n, sizeof *l->v, by_preference);
    for (size_t i = 0, k; i < l->n; i = k) {
        for (k = i + 1; k < l->n && l->v[k].preference == l->v[i].preference; k++)
            ;
        shuffle(l->v + i, k - i);
    }
}

static enum io take_records(struct mx_query *q, const struct dns_answer *a, struct mx_list *l, struct err *e)
{
    for (size_t i = 0; i < a->n; i++)
        if (*a->v[i].text)
            add(l, a->v[i].text, a->v[i].len, a->v[i].preference);
    if (l->n == 0) {
        err_set(e, FAULT_NO_HOST, "the domain '%s' takes no mail", q->domain);
        err_hint(e, "its MX record says so (RFC 7505): look at the address again");
        return IO_ERROR;
    }
    sort(l);
    return IO_DONE;
}

static enum io judge(struct mx_query *q, const struct dns_answer *a, struct mx_list *l, struct err *e)
{
    l->secure = a->secure;
    switch (a->status) {
    case DNS_FOUND:
        return take_records(q, a, l, e);
    case DNS_NO_DATA:
        add(l, q->ascii, strlen(q->ascii), 0);
        l->implicit = true;
        return IO_DONE;
    case DNS_NO_NAME:
        err_set(e, FAULT_NO_HOST, "there is no domain '%s'", q->domain);
        err_hint(e, "look for a typing error in the address");
        return IO_ERROR;
    case DNS_BOGUS:
        err_set(e, FAULT_DNS, "the DNS answer for '%s' is not to be trusted: %s", q->domain, a->why);
        err_hint(e, "its owner made a mistake in signing the zone, or somebody on the way changes answers");
        return IO_ERROR;
    case DNS_FAILED:
        break;
    }
    err_set(e, FAULT_DNS, "cannot look up who takes mail for '%s': %s", q->domain, a->why);
    err_hint(e, "look whether the name servers of /etc/resolv.conf answer, or name one with --dns-server");
    return IO_ERROR;
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
    *l = (struct mx_list){ 0 };
    if (err_is_set(&q->err)) {
        err_move(e, &q->err);
        return IO_ERROR;
    }
    if (q->question && !(a = dns_answer(q->question, q->deadline)))
        return IO_AGAIN;
    l->domain = xstrdup(q->ascii);
    enum io io = a ? judge(q, a, l, e) : take_literal(q, l, e);
    if (io == IO_DONE)
        tell(q, l);
    else
        err_stage(e, STAGE_LOOKUP);
    return io;
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
    if (io != IO_DONE)
        mx_list_free(l);
    return io == IO_DONE;
}
