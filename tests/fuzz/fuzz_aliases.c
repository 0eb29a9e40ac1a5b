/* Any text is read as an aliases file, and every way in it followed. Files it would include are left alone. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "mail/aliases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool includes(const struct aliases *a)
{
    for (size_t i = 0; i < a->n; i++)
        for (size_t j = 0; j < a->v[i].targets.n; j++)
            if (a->v[i].targets.v[j].kind == ALIAS_INCLUDE)
                return true;
    return false;
}

static void follow(const struct aliases *a, long row, const char *address)
{
    struct strlist hosts = STRLIST_INIT, notes = STRLIST_INIT;
    struct envelope env = ENVELOPE_INIT;
    struct err e = ERR_INIT;
    strlist_add(&hosts, "localhost");
    bool ok = row < 0 ? aliases_expand(a, &hosts, address, &env, &notes, &e) : aliases_follow(a, (size_t)row, &hosts, &env, &notes, &e);
    if (ok == err_is_set(&e) || (ok && row < 0 && env.n == 0))
        abort();
    for (size_t i = 0; i < env.n; i++)
        if (!ascii_line_safe(env.rcpts[i].address, strlen(env.rcpts[i].address)))
            abort();
    strlist_free(&hosts);
    strlist_free(&notes);
    envelope_free(&env);
    err_clear(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aliases a = ALIASES_INIT;
    struct err e = ERR_INIT;
    bool ok = aliases_parse(&a, "aliases", (const char *)data, size, &e);
    if (ok == err_is_set(&e))
        abort();
    if (ok && !includes(&a)) {
        follow(&a, -1, "root");
        follow(&a, -1, "\"a b\"@localhost");
        for (size_t i = 0; i < a.n && i < 20; i++)
            follow(&a, (long)i, NULL);
    }
    aliases_free(&a);
    err_clear(&e);
    return 0;
}
