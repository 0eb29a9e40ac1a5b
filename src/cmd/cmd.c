/* cmd: the list of commands, and what they all say in the same way. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/strlist.h"
#include "show/show.h"

const struct command *const commands[] = {
    &command_send, &command_sink, &command_config, &command_password, &command_explain, &command_completions, &command_help, NULL,
};

const struct command *command_find(const char *name)
{
    for (const struct command *const *c = commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

bool command_hint(const char *name, struct err *e)
{
    const char *names[sizeof commands / sizeof *commands] = { NULL };
    for (size_t i = 0; commands[i]; i++)
        names[i] = commands[i]->name;
    const char *near = ascii_nearest(name, names);
    if (near)
        err_hint(e, "did you mean the command '%s'?", near);
    return near != NULL;
}

int cmd_fail(struct err *e)
{
    int status = fault_exit(e->fault);
    struct buf text = BUF_INIT;
    show_err(&text, program_invocation_short_name, e);
    fputs(text.data, stderr);
    buf_free(&text);
    err_clear(e);
    return status;
}

void cmd_warn(const struct strlist *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        fprintf(stderr, "%s: warning: %s\n", program_invocation_short_name, warnings->v[i]);
}

void cmd_help(const struct command *c)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "usage: envoi%s%s %s\n%s\n", c == &command_send ? "" : " ", c == &command_send ? "" : c->name,
               c->synopsis, c->help);
    for (size_t i = 0; i < sizeof c->options / sizeof *c->options && c->options[i]; i++) {
        buf_addc(&text, '\n');
        option_help(c->options[i](), &text);
    }
    fputs(text.data, stdout);
    buf_free(&text);
}
