/* envelope: the recipients and what became of each. */
#include "mail/envelope.h"

#include <stdint.h>
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
    free(env->slots);
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

/* FNV-1a without the bit that is a letter's case: addresses that are the same have the same hash. */
static uint32_t hash(const char *s)
{
    uint64_t h = 14695981039346656037u;
    for (; *s; s++)
        h = (h ^ (unsigned char)(*s & ~0x20)) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

/* Where the address stands, or the free slot that is for it. A list of 100,000 must not take a look at each before. */
static struct envelope_slot *slot_for(const struct envelope *env, const char *address, uint32_t h)
{
    size_t last = 2 * env->cap - 1, at = h & last;
    struct envelope_slot *slot;
    for (; (slot = &env->slots[at])->at; at = (at + 1) & last)
        if (slot->hash == h && same_address(env->rcpts[slot->at - 1].address, address))
            break;
    return slot;
}

static void grow(struct envelope *env)
{
    struct envelope_slot *old = env->slots;
    size_t n = 2 * env->cap;
    env->cap = env->cap ? env->cap * 2 : 8;
    env->rcpts = xrealloc(env->rcpts, env->cap * sizeof *env->rcpts);
    env->slots = xcalloc(2 * env->cap, sizeof *env->slots);
    for (size_t i = 0; i < n; i++)
        if (old[i].at)
            *slot_for(env, env->rcpts[old[i].at - 1].address, old[i].hash) = old[i];
    free(old);
}

void envelope_add(struct envelope *env, const char *address)
{
    envelope_add_own(env, xstrdup(address));
}

void envelope_add_own(struct envelope *env, char *address)
{
    if (env->n == env->cap)
        grow(env);
    uint32_t h = hash(address);
    struct envelope_slot *slot = slot_for(env, address, h);
    if (slot->at) {
        free(address);
        return;
    }
    env->rcpts[env->n++] = (struct rcpt){ .address = address, .reply = REPLY_INIT };
    *slot = (struct envelope_slot){ h, (uint32_t)env->n };
}

static void add_like(struct envelope *to, const struct rcpt *r)
{
    envelope_add(to, r->address);
    to->rcpts[to->n - 1].orcpt = xstrdup(r->orcpt);
}

static struct envelope without_recipients(const struct envelope *from)
{
    return (struct envelope){
        .sender = xstrdup(from->sender),
        .dsn_notify = from->dsn_notify,
        .dsn_return = from->dsn_return,
        .dsn_envid = xstrdup(from->dsn_envid),
    };
}

void envelope_copy(struct envelope *to, const struct envelope *from)
{
    *to = without_recipients(from);
    for (size_t i = 0; i < from->n; i++)
        add_like(to, &from->rcpts[i]);
}

void envelope_pick(struct envelope *to, const struct envelope *from, const size_t *at, size_t n)
{
    *to = without_recipients(from);
    for (size_t i = 0; i < n; i++)
        add_like(to, &from->rcpts[at[i]]);
}

void envelope_put_back(struct envelope *from, const struct envelope *picked, const size_t *at)
{
    for (size_t i = 0; i < picked->n; i++) {
        struct rcpt *r = &from->rcpts[at[i]];
        r->fate = picked->rcpts[i].fate;
        r->unasked = picked->rcpts[i].unasked;
        reply_free(&r->reply);
        reply_copy(&r->reply, &picked->rcpts[i].reply);
    }
}

void envelope_reset(struct envelope *env)
{
    for (size_t i = 0; i < env->n; i++) {
        env->rcpts[i].fate = RCPT_PENDING;
        reply_free(&env->rcpts[i].reply);
    }
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
