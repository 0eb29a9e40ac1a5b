/* Any arguments, one per line of the input: settings or a usage error, and nothing for the wire with a line break. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conf/account.h"
#include "conf/cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct strlist argv = STRLIST_INIT, operands = STRLIST_INIT, warnings = STRLIST_INIT;
    struct settings s[2];
    struct send_options so;
    struct err e = ERR_INIT;
    for (size_t i = 0, start = 0; i <= size; i++)
        if (i == size || data[i] == '\n') {
            strlist_addn(&argv, (const char *)data + start, i - start);
            start = i + 1;
        }
    settings_init(&s[0], account_options());
    settings_init(&s[1], send_option_table());
    bool ok = cmdline_parse((int)argv.n, argv.v, s, 2, &operands, &warnings, &e);
    if (ok == err_is_set(&e) || (!ok && e.fault != FAULT_USAGE))
        abort();
    if (ok && !send_options_bind(&so, &s[1], &s[0], &e) && e.fault != FAULT_USAGE)
        abort();
    if (ok && so.from && strpbrk(so.from, "\r\n"))
        abort();
    if (ok)
        send_options_free(&so);
    err_clear(&e);
    settings_free(&s[0]);
    settings_free(&s[1]);
    strlist_free(&argv);
    strlist_free(&operands);
    strlist_free(&warnings);
    return 0;
}
