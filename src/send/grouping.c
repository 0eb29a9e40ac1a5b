/* grouping: recipients by domain, domains by their hosts and what was decided for each. */
#include "send/grouping.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "mail/address.h"

enum { USAGE_TRUST_ANCHOR = 2 }; /* RFC 6698 2.1.1: DANE-TA */

/* ---- recipients by domain ---- */

struct place {
    const char *domain;
    size_t at;
};

static int by_domain(const void *a, const void *b)
{
    const struct place *one = a, *two = b;
    int order = strcasecmp(one->domain, two->domain);
    return order ? order : (one->at > two->at) - (one->at < two->at);
}

static int by_first(const void *a, const void *b)
{
    const struct grouping_domain *one = a, *two = b;
    return (one->at[0] > two->at[0]) - (one->at[0] < two->at[0]);
}

struct grouping_domain *grouping_domains(const struct envelope *env, size_t *n)
{
    struct place *places = xcalloc(env->n + 1, sizeof *places);
    struct grouping_domain *domains = xcalloc(env->n + 1, sizeof *domains);
    for (size_t i = 0; i < env->n; i++) {
        const char *domain = address_domain(env->rcpts[i].address);
        places[i] = (struct place){ domain ? domain : "", i };
    }
    qsort(places, env->n, sizeof *places, by_domain);
    *n = 0;
    for (size_t i = 0, end; i < env->n; i = end) {
        struct grouping_domain *d = &domains[(*n)++];
        for (end = i; end < env->n && ascii_ieq(places[end].domain, places[i].domain);)
            end++;
        d->name = places[i].domain;
        d->at = xcalloc(end - i, sizeof *d->at);
        for (; d->n < end - i; d->n++)
            d->at[d->n] = places[i + d->n].at;
    }
    qsort(domains, *n, sizeof *domains, by_first);
    free(places);
    return domains;
}

/* ---- domains by hosts ---- */

static bool is_dane(const struct destination_host *h)
{
    return h->decision.wanted == LEVEL_DANE || h->decision.wanted == LEVEL_DANE_ONLY;
}

static bool has_trust_anchor(const struct destination *d)
{
    for (size_t i = 0; i < d->n; i++)
        for (size_t k = 0; is_dane(&d->v[i]) && k < d->v[i].tlsa_answer.n; k++)
            if (d->v[i].tlsa_answer.v[k].usage == USAGE_TRUST_ANCHOR)
                return true;
    return false;
}

/* How many hosts are better. */
static size_t rank(const struct destination *d, const struct destination_host *h)
{
    size_t better = 0;
    for (size_t i = 0; i < d->n; i++)
        better += d->v[i].preference < h->preference;
    return better;
}

static bool has_host_like(const struct destination *d, const struct destination *other,
                          const struct destination_host *h)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct destination_host *own = &d->v[i];
        if (ascii_ieq(own->name, h->name))
            return own->decision.wanted == h->decision.wanted && own->decision.skip == h->decision.skip
                   && own->decision.report == h->decision.report && rank(d, own) == rank(other, h);
    }
    return false;
}

static bool are_alike(const struct destination *a, const struct destination *b)
{
    if (a->n != b->n || has_trust_anchor(a) || has_trust_anchor(b))
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!has_host_like(b, a, &a->v[i]))
            return false;
    return true;
}

size_t grouping_groups(const struct destination *const *v, size_t n, size_t *of)
{
    size_t groups = 0;
    const struct destination **first = xcalloc(n + 1, sizeof(const struct destination *)); /* of each group */
    for (size_t i = 0; i < n; i++) {
        of[i] = SIZE_MAX;
        if (err_is_set(&v[i]->err))
            continue;
        for (of[i] = 0; of[i] < groups && !are_alike(first[of[i]], v[i]);)
            of[i]++;
        if (of[i] == groups)
            first[groups++] = v[i];
    }
    free(first);
    return groups;
}
