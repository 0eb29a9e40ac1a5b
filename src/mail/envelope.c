/* envelope: the recipients and what became of each. */
#include "mail/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "mail/address.h"

void envelope_free(struct envelope *env)
{
    for (size_t i = 0; i < env->n; i++) {
        free(env->rcpts[i].address);
        free(env->rcpts[i].orcpt);
        reply_free(&env->rcpts[i].reply);
    }
    free(env->rcpts);
    free(env->sender);
    free(env->dsn_envid);
    *env = (struct envelope)ENVELOPE_INIT;
}

static bool same_address(const char *a, const char *b)
{
    if (!ascii_ieq(a, b))
        return false;
    const char *domain = address_domain(a);
    return strncmp(a, b, domain ? (size_t)(domain - a) : strlen(a)) == 0;
}

void envelope_add(struct envelope *env, const char *address)
{
    for (size_t i = 0; i < env->n; i++)
        if (same_address(env->rcpts[i].address, address))
            return;
    if (env->n == env->cap) {
        env->cap = env->cap ? env->cap * 2 : 8;
        env->rcpts = xrealloc(env->rcpts, env->cap * sizeof *env->rcpts);
    }
    env->rcpts[env->n++] = (struct rcpt){ .address = xstrdup(address), .reply = REPLY_INIT };
}

size_t envelope_count(const struct envelope *env, enum rcpt_fate fate)
{
    size_t count = 0;
    for (size_t i = 0; i < env->n; i++)
        count += env->rcpts[i].fate == fate;
    return count;
}

enum fault envelope_verdict(const struct envelope *env)
{
    size_t accepted = envelope_count(env, RCPT_ACCEPTED);
    if (accepted == env->n)
        return FAULT_NONE;
    if (accepted)
        return FAULT_PARTIAL;
    return envelope_count(env, RCPT_REFUSED) == env->n ? FAULT_RECIPIENTS : FAULT_TEMPORARY;
}

const char *rcpt_fate_word(enum rcpt_fate fate)
{
    static const char *const words[] = {
        [RCPT_PENDING] = "not-tried", [RCPT_ACCEPTED] = "accepted",   [RCPT_DEFERRED] = "deferred",
        [RCPT_REFUSED] = "refused", [RCPT_UNCERTAIN] = "uncertain",
    };
    return words[fate];
}
