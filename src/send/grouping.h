/* grouping: which recipients of a message go together, straight to the mail exchangers of their domains. No I/O. */
#ifndef SEND_GROUPING_H
#define SEND_GROUPING_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/envelope.h"
#include "send/destination.h"

/* The recipients of one domain. */
struct grouping_domain {
    const char *name;   /* borrowed of the first of them: "" where the address has none */
    size_t *at;         /* own: their places in the envelope, n of them, ascending */
    size_t n;
};

/* Every domain once, in the order of the envelope; *n says how many. The caller's, as is each `at`. */
struct grouping_domain *grouping_domains(const struct envelope *env, size_t *n);

/* of[i] becomes the group of destination i, counted from 0; SIZE_MAX: its err is set. Says how many groups there are.
 * In a group all have the same hosts in the same order, each to be talked to in the same way; equal preferences may
 * stand in any order. A domain whose certificates may be for its own name (RFC 7672 3.2.2) is alone. */
size_t grouping_groups(const struct destination *const *v, size_t n, size_t *of);

#endif
