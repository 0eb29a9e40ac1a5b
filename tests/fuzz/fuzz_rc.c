/* Any text is read as both kinds of file and bound, without what runs a command or opens a file. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void bind_all(const struct rc *rc)
{
    for (size_t i = 0; i < rc->n; i++) {
        struct account a;
        struct err e = ERR_INIT;
        if (rc->v[i].evals_n)
            continue;
        if (account_bind(&a, &rc->v[i], NULL, &e) == err_is_set(&e))
            abort();
        if (a.host && strpbrk(a.host, "\r\n"))
            abort();
        account_free(&a);
        err_clear(&e);
    }
}

static bool has_evals(const struct rc *rc)
{
    for (size_t i = 0; i < rc->n; i++)
        if (rc->v[i].evals_n)
            return true;
    return false;
}

/* Every error says where. */
static void check_place(const struct err *e)
{
    int line, column, end = 0;
    if (err_is_set(e) && (sscanf(e->text, "rc:%d:%d: %n", &line, &column, &end) != 2 || !end || line < 1 || column < 1))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (memmem(data, size, "include", 7) || memmem(data, size, "%C", 2))
        return 0;
    for (int msmtp = 0; msmtp < 2; msmtp++) {
        struct rc rc = RC_INIT;
        struct err e = ERR_INIT;
        bool ok = rc_parse(&rc, "rc", (const char *)data, size, msmtp, &e);
        if (ok == err_is_set(&e))
            abort();
        check_place(&e);
        bind_all(&rc);
        if (!msmtp || !has_evals(&rc))
            rc_choose(&rc, NULL, "me+detail@example.org", &e);
        err_clear(&e);
        rc_free(&rc);
    }
    return 0;
}
