/* probe_said: what was said to the probe, in its order, with its origin. Settings (conf/settings.h) do not do here: the
 * order counts across options (--attach-type, --attach; --xclient-name, --xclient-delim), an option without its value
 * is not the same as none, and one that was taken back (--no-tls-verify) is a word of its own. */
#ifndef CMD_PROBE_SAID_H
#define CMD_PROBE_SAID_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "conf/option.h"

struct saying {
    const struct option *o;
    char *value;  /* own; "": named without one */
    char *origin; /* own: "command line", "SWAKS_OPT_from", "/home/me/.swaksrc:3" */
};

struct probe_options {
    struct option_table table;
    size_t foreign;    /* so many rows, the first, are swaks's: an abbreviation means one of them before one of ours */
    struct saying *v;  /* own */
    size_t n, cap;
    bool *taken_back;  /* own: for each row, --no-OPTION was the last that was said of it */
    struct buf input;  /* standard input, where several read it */
    bool input_read;
    int chain_fd;      /* own certificate and --tls-chain in one file; -1: none */
    char *target;      /* own: what show.target borrows */
};

void said_init(struct probe_options *p, struct option_table t, size_t foreign);
void said_free(struct probe_options *p); /* wipes secrets */

/* Checks the value by its row's type and adds it; a row that is not MULTI holds one. */
bool said_add(struct probe_options *p, const struct option *o, const char *value, const char *origin, struct err *e);
void said_take_back(struct probe_options *p, const struct option *o);

/* The last saying of that option, or NULL. The name must be a row's. */
struct saying *said_last(const struct probe_options *p, const char *name);
bool said_no(const struct probe_options *p, const char *name);
bool said_flag(const struct probe_options *p, const char *name);       /* said at all */
const char *said_text(const struct probe_options *p, const char *name); /* its value; NULL: not said, or without one */
bool said_is(const struct saying *s, const char *name);

/* Begins an error text about it: "FILE:3: '--port' …". */
__attribute__((format(printf, 3, 4))) bool said_wrong(const struct saying *s, struct err *e, const char *fmt, ...);

/* ---- probe_cmdline.c: swaks's dialect of command line, configuration file and environment ---- */

/* argv[0] is the first argument. A secret in argv is overwritten. */
bool probe_cmdline(struct probe_options *p, int argc, char *const *argv, struct err *e);
bool probe_rc(struct probe_options *p, const char *file, const char *text, size_t n, struct err *e);
bool probe_environment(struct probe_options *p, char *const *environment, struct err *e);

/* ---- probe_options.c ---- */

/* Is an option without its value asked for on the terminal? */
bool probe_asks(const struct option *o);

/* Everything that was said: file, environment, command line. */
bool probe_options_read(struct probe_options *p, int argc, char *const *argv, struct err *e);

/* Asks for the values that are missing, in swaks's order. */
bool probe_options_ask(struct probe_options *p, bool to_needed, struct err *e);

/* Prints the prompt and reads a line of standard input; a secret is not echoed. Appends. */
bool probe_prompt(const char *prompt, bool secret, struct buf *line, struct err *e);

/* All of standard input, read once for whoever asks. */
bool probe_input(struct probe_options *p, const struct buf **text, struct err *e);

#endif
