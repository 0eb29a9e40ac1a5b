/* target: SRV and MX, all asked at once. */
#include "send/target.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/address.h"
#include "net/dns.h"

enum { PORT_SMTP = 25 };

/* In the order of preference. */
static const struct service {
    const char *prefix;
    enum dns_type type;
    enum session_tls tls;
    bool for_users; /* who log in, and whose server has to prove who it is */
} services[] = {
    { "_submissions._tcp.", DNS_SRV, SESSION_TLS_IMPLICIT, true },
    { "_submission._tcp.", DNS_SRV, SESSION_TLS_REQUIRED, true },
    { "", DNS_MX, SESSION_TLS_MAY, false },
};
enum { SERVICES = sizeof services / sizeof *services };

static bool all_answered(struct dns_question *const *q, usec deadline)
{
    bool all = true;
    for (int i = 0; i < SERVICES; i++)
        all = (!q[i] || dns_answer(q[i], deadline)) && all;
    return all;
}

static void wait_for_all(struct dns *dns, struct dns_question *const *q, usec deadline)
{
    struct pollset ps = POLLSET_INIT;
    while (!all_answered(q, deadline)) {
        pollset_reset(&ps);
        dns_waits(dns, &ps);
        pollset_until(&ps, deadline);
        pollset_wait(&ps);
    }
    pollset_free(&ps);
}

static int by_preference(const void *a, const void *b)
{
    const struct dns_record *one = *(const struct dns_record *const *)a, *two = *(const struct dns_record *const *)b;
    return (one->preference > two->preference) - (one->preference < two->preference);
}

static void set_host(struct scene_question *q, const struct service *how, const char *host, int port)
{
    q->host = xstrdup(host);
    q->port = port;
    q->tls = how->tls;
    q->verify = q->auth = how->for_users;
}

/* false: the answer names no server. */
static bool take_servers(struct scene *s, const struct service *how, const struct dns_answer *a)
{
    const struct dns_record **sorted = xcalloc(a->n + 1, sizeof(struct dns_record *));
    for (size_t i = 0; i < a->n; i++)
        sorted[i] = &a->v[i];
    qsort(sorted, a->n, sizeof *sorted, by_preference);
    for (size_t i = 0; i < a->n; i++) {
        int port = how->type == DNS_SRV ? sorted[i]->port : PORT_SMTP;
        if (!*sorted[i]->text) /* "." : RFC 7505, RFC 2782 */
            continue;
        if (s->names.servers.n == 0)
            set_host(&s->question, how, sorted[i]->text, port);
        strlist_add_own(&s->names.servers, xasprintf("%s:%d", sorted[i]->text, port));
    }
    free(sorted);
    return s->names.servers.n > 0;
}

static void take_answers(struct scene *s, struct dns_question *const *q, const char *domain)
{
    for (int i = 0; i < SERVICES; i++) {
        const struct dns_answer *a = q[i] ? dns_answer(q[i], 0) : NULL;
        if (a && a->status == DNS_FOUND && take_servers(s, &services[i], a))
            return;
    }
    const struct dns_answer *mx = dns_answer(q[SERVICES - 1], 0);
    struct lookup *l = &s->names.v4;
    if (mx->status == DNS_NO_DATA) { /* RFC 5321 5.1: the domain itself */
        set_host(&s->question, &services[SERVICES - 1], domain, PORT_SMTP);
        return;
    }
    l->name = xstrdup(domain);
    s->names.null_mx = mx->status == DNS_FOUND;
    l->outcome = s->names.null_mx ? LOOKUP_NO_ADDRESS : mx->status == DNS_NO_NAME ? LOOKUP_NO_NAME : LOOKUP_FAILED;
    l->reason = mx->why ? xstrdup(mx->why) : NULL;
}

static void ask_all(struct scene *s, struct dns *dns, const char *domain, usec deadline)
{
    struct dns_question *q[SERVICES] = { 0 };
    bool recipient = s->question.named == NAMED_ADDRESS;
    for (int i = 0; i < SERVICES; i++) {
        char *name = xasprintf("%s%s", services[i].prefix, domain);
        if (!recipient || !services[i].for_users)
            q[i] = dns_ask(dns, name, services[i].type);
        free(name);
    }
    wait_for_all(dns, q, deadline);
    take_answers(s, q, domain);
    for (int i = 0; i < SERVICES; i++)
        dns_question_free(q[i]);
}

bool target_find(struct scene *s, usec deadline, struct err *e)
{
    const char *at = strrchr(s->question.name, '@');
    const char *name = at ? at + 1 : s->question.name;
    struct buf domain = BUF_INIT;
    struct err why = ERR_INIT;
    if (!domain_to_ascii(name, &domain, e)) {
        buf_free(&domain);
        return false;
    }
    struct dns *dns = dns_new(&(struct dns_params){ 0 }, &why);
    if (dns) {
        ask_all(s, dns, domain.data, deadline);
    } else {
        char *note = xasprintf("who takes mail for '%s' is not known: %s", name, why.text);
        strlist_add_own(&s->notes, note);
        set_host(&s->question, &services[SERVICES - 1], domain.data, PORT_SMTP);
    }
    dns_free(dns);
    err_clear(&why);
    buf_free(&domain);
    return true;
}
