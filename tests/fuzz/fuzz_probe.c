/* Any lines as a .swaksrc, as variables and as arguments: sayings or a usage error, and no line break where it would reach the wire. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strlist.h"
#include "cmd/probe.h"
#include "cmd/probe_said.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct probe_options *p, bool ok, struct err *e)
{
    if (ok == err_is_set(e) || (!ok && e->fault != FAULT_USAGE))
        abort();
    for (size_t i = 0; i < p->n; i++)
        if ((p->v[i].o->flags & OPTION_WIRE) && strpbrk(p->v[i].value, "\r\n"))
            abort();
    err_clear(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe_options p;
    struct err e = ERR_INIT;
    struct strlist lines = STRLIST_INIT, variables = STRLIST_INIT;
    said_init(&p, probe_option_table(), 40);
    check(&p, probe_rc(&p, "rc", (const char *)data, size, &e), &e);
    for (size_t i = 0, start = 0; i <= size; i++)
        if (i == size || data[i] == '\n') {
            strlist_addn(&lines, (const char *)data + start, i - start);
            strlist_add_own(&variables, xasprintf("SWAKS_OPT_%s", lines.v[lines.n - 1]));
            start = i + 1;
        }
    check(&p, probe_environment(&p, variables.v, &e), &e);
    check(&p, probe_cmdline(&p, (int)lines.n, lines.v, &e), &e);
    strlist_free(&variables);
    strlist_free(&lines);
    said_free(&p);
    return 0;
}
