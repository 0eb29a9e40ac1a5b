/* cmd: the subcommands. Each file ends with its own row; cmd.c lists the rows. */
#ifndef CMD_CMD_H
#define CMD_CMD_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/option.h"
#include "conf/settings.h"

enum { COMMAND_TABLES = 3 };

struct command {
    const char *name;     /* "sink" */
    const char *synopsis; /* "[OPTION…] [--listen ADDR:PORT]…" */
    const char *help;     /* one line */
    struct option_table (*options[COMMAND_TABLES])(void); /* its tables in order of look-up */
    int (*run)(int argc, char *const *argv); /* argv[0] is the command's name; returns the exit status */
};

extern const struct command command_send, command_probe, command_talk, command_sink, command_config, command_password,
    command_explain, command_diagnose, command_mx, command_completions, command_help;

/* Every command, ending with NULL. */
extern const struct command *const commands[];

/* The command of exactly this name, or NULL. */
const struct command *command_find(const char *name);

/* Hints at the command nearest to a misspelt one; false when none is near. */
bool command_hint(const char *name, struct err *e);

/* `--help`, for every command that has nothing of its own to say about it: the last of its tables. */
struct option_table cmd_help_option(void);

/* What a command line said, by the command's tables. */
struct arguments {
    struct settings said[COMMAND_TABLES]; /* one for each table */
    size_t tables;
    struct strlist operands;
};

/* Parses, and prints the warnings. false: there is nothing left to do, because *e is set or because --help was
 * answered. cmd_arguments_free is due in any case. */
bool cmd_arguments(struct arguments *a, const struct command *c, int argc, char *const *argv, struct err *e);
void cmd_arguments_free(struct arguments *a);

/* The end of a command: its error told, if there is one, and the exit status. */
int cmd_end(struct err *e);

/* Prints the error on stderr, clears it and returns its exit status. */
int cmd_fail(struct err *e);

/* "envoi: warning: …" on stderr, under the name called by. */
void cmd_warn(const struct strlist *warnings);

/* "usage: envoi NAME synopsis", help and options, on stdout. */
void cmd_help(const struct command *c);

#endif
