/* no_dns: what stands in for dns.c where libunbound is left out. */
#include "net/dns.h"

struct dns *dns_new(const struct dns_params *p, struct err *e)
{
    (void)p;
    err_set(e, FAULT_SYSTEM, "this envoi was built without libunbound, so it cannot look up MX records");
    err_hint(e, "name a server, or build with libunbound");
    return NULL;
}

void dns_free(struct dns *d)
{
    (void)d;
}

/* There is no dns to ask: none of these is ever called. */
struct dns_question *dns_ask(struct dns *d, const char *name, enum dns_type type)
{
    (void)d, (void)name, (void)type;
    return NULL;
}

const struct dns_answer *dns_answer(struct dns_question *q, usec deadline)
{
    (void)q, (void)deadline;
    return NULL;
}

void dns_waits(struct dns *d, struct pollset *ps)
{
    (void)d, (void)ps;
}

void dns_question_free(struct dns_question *q)
{
    (void)q;
}
