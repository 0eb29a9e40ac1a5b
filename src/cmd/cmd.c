/* cmd: the list of commands, and what they all say in the same way. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/strlist.h"
#include "conf/cmdline.h"
#include "show/show.h"

const struct command *const commands[] = {
    &command_send, &command_probe, &command_talk, &command_sink, &command_config, &command_password, &command_explain,
    &command_diagnose, &command_mx, &command_completions, &command_help, NULL,
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

int cmd_end(struct err *e)
{
    return err_is_set(e) ? cmd_fail(e) : 0;
}

void cmd_warn(const struct strlist *warnings)
{
    for (size_t i = 0; i < warnings->n; i++)
        fprintf(stderr, "%s: warning: %s\n", program_invocation_short_name, warnings->v[i]);
}

static const struct option help_row[] = {
    { .name = "help", .group = "Help", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off", .at = OPTION_BY_HAND,
      .help = "print this" },
};

struct option_table cmd_help_option(void)
{
    return (struct option_table){ help_row, 1 };
}

bool cmd_arguments(struct arguments *a, const struct command *c, int argc, char *const *argv, struct err *e)
{
    struct strlist warnings = STRLIST_INIT;
    bool help = false;
    *a = (struct arguments){ 0 };
    for (; a->tables < COMMAND_TABLES && c->options[a->tables]; a->tables++)
        settings_init(&a->said[a->tables], c->options[a->tables]());
    bool ok = cmdline_parse(argc - 1, argv + 1, a->said, a->tables, &a->operands, &warnings, e);
    cmd_warn(&warnings);
    strlist_free(&warnings);
    for (size_t i = 0; ok && i < a->tables; i++)
        help |= settings_text(&a->said[i], "help") != NULL;
    if (help)
        cmd_help(c);
    return ok && !help;
}

void cmd_arguments_free(struct arguments *a)
{
    for (size_t i = 0; i < a->tables; i++)
        settings_free(&a->said[i]);
    strlist_free(&a->operands);
}

void cmd_help(const struct command *c)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "usage: envoi%s%s %s\n%s\n", c == &command_send ? "" : " ", c == &command_send ? "" : c->name,
               c->synopsis, c->help);
    for (size_t i = 0; i < COMMAND_TABLES && c->options[i]; i++) {
        buf_addc(&text, '\n');
        option_help(c->options[i](), &text);
    }
    fputs(text.data, stdout);
    buf_free(&text);
}
