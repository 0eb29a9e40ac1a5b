/* option: one row per option.
 *
 * Name, letter, type, default, help, and where the bound value goes: from the same rows come the rc file's commands,
 * the command line, --help, the completions, and the check that the manual documents everything. A new option is one
 * row and one member of the struct it binds to. */
#ifndef CONF_OPTION_H
#define CONF_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"

enum option_type {
    OPTION_TEXT,    /* char * */
    OPTION_FILE,    /* char *; ~ expanded; completes file names */
    OPTION_COMMAND, /* char *; a command line */
    OPTION_FLAG,    /* bool: on, off, yes, no, true, false; on the command line alone: on */
    OPTION_TRI,     /* enum tristate: on, off, auto */
    OPTION_NUMBER,  /* long, min to max of the row */
    OPTION_SECONDS, /* usec: "30", "1.5", "2m", "off" (0) */
    OPTION_WORD,    /* int: the index in .words */
    OPTION_LIST,    /* struct strlist: comma-separated, each use adds (MULTI) or replaces */
    OPTION_PORTS,   /* struct strlist: comma-separated numbers, min to max of the row, and .words */
    OPTION_BY_DOMAIN, /* struct strlist: comma-separated, each "WORD" or "DOMAIN WORD", WORD one of .words; bound in
                         lower case with one blank between */
};

enum {
    OPTION_IN_FILE = 1 << 0, /* a command of the rc file */
    OPTION_IN_ARGV = 1 << 1, /* an option of the command line */
    OPTION_MULTI = 1 << 2,   /* may be given several times: values add up */
    OPTION_SECRET = 1 << 3,  /* masked wherever shown; the file that holds it must be private */
    OPTION_WIRE = 1 << 4,    /* reaches the wire: CR, LF and NUL refused when bound */
    OPTION_VALUE_OPTIONAL = 1 << 5, /* --tls and --tls=on; the value is never the next argument */
    OPTION_SUBST = 1 << 6,   /* %-substitutions */
    OPTION_EMPTY_OK = 1 << 7, /* an empty value is a value, it does not unset */
    OPTION_SUBST_OWN = 1 << 8,  /* %-substitutions, but not in an msmtp file */
    OPTION_WORDS_ONLY = 1 << 9, /* OPTION_TEXT: one of .words, or a comma-separated list of them with MULTI */
    OPTION_ORDERED = 1 << 10,   /* what it means depends on those said before it: kept in settings.ordered as well */
};
#define OPTION_BOTH (OPTION_IN_FILE | OPTION_IN_ARGV)

struct option {
    const char *name;    /* as in the file, with '_'; on the command line '-' and '_' are the same; NULL: a letter
                            alone */
    char letter;         /* 0: none */
    const char *also;    /* more names, separated by blanks; NULL: none. For those who know several
                            (cmd/probe_cmdline.c) */
    enum option_type type;
    unsigned flags;
    const char *arg;     /* metavariable: "HOST"; NULL: takes no value */
    const char *def;     /* default in envoi's own files; NULL: unset */
    const char *def_msmtp; /* default in an msmtp file; NULL: the same */
    const char *help;    /* one line, no full stop */
    const char *group;   /* heading in --help: "Server", "TLS", … */
    const char *since;   /* the version it came with; NULL: 0.1, like all that was there at first */
    const char *today;   /* obsolete spelling: what to write instead; NULL: current. "timeout": that row, same value;
                            "tls_certcheck=off": that row and value; "set_from_header=auto|off": for on and for off.
                            With `at` OPTION_BY_HAND it stays as said, and whoever binds it knows what it means. */
    const char *const *words; /* OPTION_WORD: all values, ends with NULL; others: words that complete; NULL: none */
    long min, max;       /* OPTION_NUMBER, OPTION_PORTS */
    size_t at;           /* offset in the bound struct; SIZE_MAX: bound by hand */
};

#define OPTION_BY_HAND ((size_t)-1)

struct option_table {
    const struct option *rows;
    size_t n;
};

/* exact, '-' = '_', no case */
const struct option *option_by_name(struct option_table t, const char *name, size_t len);
const struct option *option_by_letter(struct option_table t, char letter);

/* The row of the command line whose name the abbreviation begins uniquely (or equals). *ambiguous: several. */
const struct option *option_by_prefix(struct option_table t, const char *name, size_t len, bool *ambiguous);

/* The name nearest to a misspelt one, or NULL. */
const char *option_nearest(struct option_table t, const char *name);

/* What a value means by its row's type; text types are only checked. */
union option_value {
    bool flag;   /* OPTION_FLAG */
    int word;    /* OPTION_TRI (enum tristate), OPTION_WORD */
    long number; /* OPTION_NUMBER */
    usec time;   /* OPTION_SECONDS */
};
bool option_value(const struct option *o, const char *text, union option_value *v, enum fault fault, struct err *e);

/* on, yes, true, off, no, false in any case: 1, 0; anything else -1. */
int option_switch(const char *text);

/* The rows as --help text, grouped, at most 79 columns; appends. */
struct buf;
void option_help(struct option_table t, struct buf *out);

#endif
