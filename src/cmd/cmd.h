/* cmd: the subcommands. Each file ends with its own row; cmd.c lists the rows. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/option.h"

struct command {
    const char *name;     /* "sink" */
    const char *synopsis; /* "[OPTION…] [--listen ADDR:PORT]…" */
    const char *help;     /* one line */
    struct option_table (*options[3])(void); /* its tables in order of look-up, for --help and completions */
    int (*run)(int argc, char *const *argv); /* argv[0] is the command's name; returns the exit status */
};

extern const struct command command_send, command_sink, command_config, command_password, command_explain, command_completions,
    command_help;

/* Every command, ending with NULL. */
extern const struct command *const commands[];

/* The command of exactly this name, or NULL. */
const struct command *command_find(const char *name);

/* Hints at the command nearest to a misspelt one; false when none is near. */
bool command_hint(const char *name, struct err *e);

/* Prints the error on stderr, clears it and returns its exit status. */
int cmd_fail(struct err *e);

/* "envoi: warning: …" on stderr, under the name called by. */
struct strlist;
void cmd_warn(const struct strlist *warnings);

/* "usage: envoi NAME synopsis", help and options, on stdout. */
void cmd_help(const struct command *c);

#endif
