/* lookup: getaddrinfo's answers as outcomes. */
#include "send/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "net/resolve.h"

struct asking {
    struct lookup *l;
    struct resolve *running; /* own; NULL: over */
    usec begun, deadline;
};

static void over(struct asking *a, enum lookup_outcome outcome, const char *reason)
{
    a->l->outcome = outcome;
    a->l->took = clock_now() - a->begun;
    a->l->reason = reason ? xstrdup(reason) : NULL;
    resolve_free(a->running);
    a->running = NULL;
}

static void add_addresses(struct lookup *l, const struct addrinfo *list)
{
    char text[NI_MAXHOST];
    for (; list; list = list->ai_next)
        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0
            && !strlist_has(&l->addresses, text))
            strlist_add(&l->addresses, text);
}

struct asking *lookup_start(struct lookup *l, const char *name, int family, usec deadline)
{
    struct asking *a = xcalloc(1, sizeof *a);
    *a = (struct asking){ .l = l, .begun = clock_now(), .deadline = deadline };
    *l = (struct lookup){ .name = xstrdup(name) };
    struct addrinfo *numeric = resolve_numeric(name, 0, AF_UNSPEC);
    if (numeric) {
        bool fits = family == AF_UNSPEC || numeric->ai_family == family;
        if (fits)
            add_addresses(l, numeric);
        over(a, fits ? LOOKUP_LITERAL : LOOKUP_NOT_ASKED, NULL);
        freeaddrinfo(numeric);
        return a;
    }
    a->running = resolve_start(name, 0, family, 0);
    if (!a->running)
        over(a, LOOKUP_FAILED, strerror(errno));
    return a;
}

static enum lookup_outcome outcome_of(int status)
{
    switch (status) {
    case 0:
        return LOOKUP_FOUND;
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return LOOKUP_NO_ADDRESS;
    case EAI_NONAME:
        return LOOKUP_NO_NAME;
    default:
        return LOOKUP_FAILED;
    }
}

bool lookup_step(struct asking *a)
{
    const struct addrinfo *list;
    int status, errno_value;
    if (a->running && resolve_done(a->running, &status, &errno_value, &list)) {
        enum lookup_outcome outcome = outcome_of(status);
        if (outcome == LOOKUP_FOUND)
            add_addresses(a->l, list);
        const char *why = status == EAI_SYSTEM ? strerror(errno_value) : gai_strerror(status);
        over(a, outcome, outcome == LOOKUP_FAILED ? why : NULL);
    }
    if (a->running && clock_now() >= a->deadline)
        over(a, LOOKUP_SILENT, NULL);
    return !a->running;
}

void lookup_waits(const struct asking *a, struct pollset *ps)
{
    if (!a->running)
        return;
    pollset_add(ps, resolve_fd(a->running), POLLIN);
    pollset_until(ps, a->deadline);
}

void lookup_stop(struct asking *a)
{
    if (!a)
        return;
    resolve_free(a->running);
    free(a);
}
