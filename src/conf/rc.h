/* rc: configuration files, envoi's own and msmtp's.
 *
 * Grammar (envoi-config(5)):
 *     file     = *(line)
 *     line     = [command [argument]] | '#' comment
 *     command  = "defaults" | "account" NAME [":" BASE *("," BASE)] | "include" FILE | "eval" COMMAND | option name
 *     argument = the rest of the line, outer blanks off; one pair of double quotes is stripped
 *                (in envoi's files: backslash escapes inside them)
 */
#ifndef CONF_RC_H
#define CONF_RC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/settings.h"

/* An `eval` line: its output is taken as lines of the file, when the account is used. */
struct rc_eval {
    char *command;  /* own */
    char *origin;   /* own */
    unsigned order; /* among the account's settings */
    bool from_defaults;
};

struct rc_account {
    char *name;               /* own; "default" is the account of that name; "" is made of SMTPSERVER and EMAIL */
    struct settings settings; /* inherited values included */
    bool msmtp;               /* from an msmtp file: msmtp's defaults hold */
    bool system;              /* from the system's file */
    char *file;               /* own */
    int line;
    struct rc_eval *evals;    /* own; inherited ones included */
    size_t evals_n;
};

struct rc {
    struct rc_account *v; /* own, user's accounts first */
    size_t n, cap;
    struct strlist files;  /* read */
    struct strlist looked; /* looked for and not there */
    struct strlist warnings; /* "file:line: …" */
    struct strlist errors; /* with `keep_going`: every error, whole text */
};

#define RC_INIT { 0 }

struct rc_params {
    const char *user_file; /* -C; NULL: the first of the places in envoi-config(5). An msmtp file where "msmtp" is in
                              the last two parts of its name (~/.msmtprc, ~/.config/msmtp/config) */
    bool msmtp;            /* user_file is one whatever its name: the program was called as msmtp */
    bool no_files;         /* --host on the command line */
    bool keep_going;       /* collect errors in rc->errors instead of stopping at the first */
};

/* Finds and reads the files. Errors (FAULT_CONFIG; FAULT_NO_INPUT for a missing -C file): "file:line:column: what", the
 * line and a caret, for an unknown command the nearest one as hint. A file with `password` that others may read or that
 * is not the user's is an error. */
bool rc_load(struct rc *rc, const struct rc_params *p, struct err *e);

/* Adds every place where a file is looked for, in the order of looking. */
void rc_places(struct strlist *out);

/* Text already in memory (tests, fuzzing). */
bool rc_parse(struct rc *rc, const char *name, const char *text, size_t n, bool msmtp, struct err *e);

/* The account's settings with its `eval` lines run, each by /bin/sh with an empty stdin: in an msmtp file the first
 * line of the output counts, else every line. out is initialised by it, also on failure. */
bool rc_settings(const struct rc_account *a, struct settings *out, struct err *e);

/* Does the `from` address or pattern match the sender? ASCII case and the sender's +detail are ignored. */
bool rc_from_matches(const char *from, const char *sender);
bool rc_from_is_pattern(const char *from);

/* Do the settings say which server: a host, a socket, or the mail exchangers? Said on the command line, no file is
 * needed. */
bool rc_names_server(const struct settings *s);

const struct rc_account *rc_find(const struct rc *rc, const char *name);

/* The account by envoi's rules: `name` if not NULL; else the first with a `from` pattern that matches sender (NULL:
 * none); else "default"; else the only one; else what SMTPSERVER and EMAIL say. NULL: *e says which files were looked
 * for and shows the lines of configuration that would do. */
const struct rc_account *rc_choose(const struct rc *rc, const char *name, const char *sender, struct err *e);

void rc_free(struct rc *rc);

#endif
