/* help: `envoi help [COMMAND]`. */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "cmd/cmd.h"

static void overview(void)
{
    struct buf text = BUF_INIT;
    cmd_help(&command_send);
    buf_adds(&text, "\nCommands (`envoi help COMMAND` tells more):\n");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(&text, "  %-12s %s\n", (*c)->name, (*c)->help);
    fputs(text.data, stdout);
    buf_free(&text);
}

static bool explain(const char *name, struct err *e)
{
    const struct command *c = command_find(name);
    if (c) {
        cmd_help(c);
        return true;
    }
    err_set(e, FAULT_USAGE, "there is no command '%s'", name);
    command_hint(name, e);
    return false;
}

static int run(int argc, char *const *argv)
{
    struct arguments a;
    struct err e = ERR_INIT;
    if (!cmd_arguments(&a, &command_help, argc, argv, &e))
        ;
    else if (a.operands.n > 0)
        explain(a.operands.v[0], &e);
    else
        overview();
    cmd_arguments_free(&a);
    return cmd_end(&e);
}

const struct command command_help = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .help = "Explain a command and its options",
    .options = { cmd_help_option },
    .run = run,
};
