/* help: `envoi help [COMMAND]`. */
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "cmd/cmd.h"

static void list_commands(struct buf *out)
{
    buf_adds(out, "\nCommands (`envoi help COMMAND` tells more):\n");
    for (const struct command *const *c = commands; *c; c++)
        buf_printf(out, "  %-12s %s\n", (*c)->name, (*c)->help);
}

static int run(int argc, char *const *argv)
{
    if (argc > 1) {
        const struct command *c = command_find(argv[1]);
        if (c) {
            cmd_help(c);
            return 0;
        }
        struct err e = ERR_INIT;
        err_set(&e, FAULT_USAGE, "there is no command '%s'", argv[1]);
        command_hint(argv[1], &e);
        return cmd_fail(&e);
    }
    struct buf text = BUF_INIT;
    cmd_help(&command_send);
    list_commands(&text);
    fputs(text.data, stdout);
    buf_free(&text);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .help = "Explain a command and its options",
    .run = run,
};
