/* envelope: sender, recipients, DSN wishes, and each recipient's fate. */
#ifndef MAIL_ENVELOPE_H
#define MAIL_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reply.h"

enum rcpt_fate {
    RCPT_PENDING,   /* not tried yet, or nothing final */
    RCPT_ACCEPTED,  /* the server took the message for it */
    RCPT_DEFERRED,  /* a later try can help */
    RCPT_REFUSED,   /* for good */
    RCPT_UNCERTAIN, /* the connection broke after the message was complete */
};

struct rcpt {
    char *address;      /* own; UTF-8 */
    char *orcpt;        /* own or NULL: "rfc822;…" for DSN, not yet xtext */
    enum rcpt_fate fate;
    struct reply reply; /* the reply that decided the fate; code 0: none */
    bool unasked;       /* … is ours: this server lacks what is needed and was not asked; another may have it */
};

enum { DSN_NOTIFY_NEVER = 1, DSN_NOTIFY_SUCCESS = 2, DSN_NOTIFY_FAILURE = 4, DSN_NOTIFY_DELAY = 8 };
enum dsn_return { DSN_RETURN_UNSET, DSN_RETURN_HEADERS, DSN_RETURN_FULL };

/* at: index + 1 of a recipient; 0: free. */
struct envelope_slot {
    uint32_t hash, at;
};

struct envelope {
    char *sender; /* own; "" is the null sender; NULL: not known yet */
    struct rcpt *rcpts; /* own */
    size_t n, cap; /* cap: a power of two */
    struct envelope_slot *slots; /* own: envelope_add's hash table; cap * 2 of them */
    unsigned dsn_notify; /* DSN_NOTIFY_ bits, 0: not asked */
    enum dsn_return dsn_return;
    char *dsn_envid; /* own or NULL */
};

#define ENVELOPE_INIT { 0 }

void envelope_free(struct envelope *env);

/* Adds a recipient unless the same address (local part exact, domain without regard to case) is there. */
void envelope_add(struct envelope *env, const char *address);
void envelope_add_own(struct envelope *env, char *address); /* takes it over */

/* A second envelope like the first: the same sender, recipients and DSN wishes, every fate pending. */
void envelope_copy(struct envelope *to, const struct envelope *from);

/* The same with only the n recipients at those places of `from`, in that order … */
void envelope_pick(struct envelope *to, const struct envelope *from, const size_t *at, size_t n);

/* … and their fates and replies back to where they were picked from. */
void envelope_put_back(struct envelope *from, const struct envelope *picked, const size_t *at);

/* Every recipient is pending again. */
void envelope_reset(struct envelope *env);

size_t envelope_count(const struct envelope *env, enum rcpt_fate fate);

/* What the fates amount to: FAULT_NONE (all accepted), FAULT_PARTIAL, FAULT_RECIPIENTS, FAULT_TEMPORARY (none accepted,
 * one at least deferred). RCPT_PENDING counts as deferred. */
enum fault envelope_verdict(const struct envelope *env);

const char *rcpt_fate_word(enum rcpt_fate fate); /* "accepted" */

#endif
