/* settings: what was said, as text with its origin, until it is bound once.
 *
 * One struct settings is one place where options are said: an account of a file, or the command line. Within it several
 * values of a MULTI row add up; settings_overlay puts one place over another and replaces. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/option.h"

struct setting {
    bool set;               /* said at all; with an empty list: unset on purpose */
    struct strlist values;  /* one, or several for OPTION_MULTI */
    char *origin;           /* own: "config:16", ORIGIN_COMMAND_LINE, "environment" */
    unsigned order;         /* when it was last said: larger is later */
    bool from_defaults;     /* in an account of a file: `defaults` said it */
};

#define ORIGIN_COMMAND_LINE "command line"

struct settings {
    struct option_table table;
    struct setting *v;      /* own: one per row */
    unsigned order;         /* of the last that was said */
    struct strlist ordered; /* "name=value" of each use of an ORDERED row, as they were said */
};

void settings_init(struct settings *s, struct option_table t);
void settings_free(struct settings *s);
void settings_copy(struct settings *to, const struct settings *from); /* to is initialised by it */

/* Says a value. A later use replaces, or adds where the row is MULTI. NULL: the option was named without a value, which
 * means on for rows with VALUE_OPTIONAL and flags; "" unsets unless the row is EMPTY_OK. A value of the wrong kind:
 * FAULT_CONFIG, FAULT_USAGE where origin is ORIGIN_COMMAND_LINE. An obsolete row is translated into today's (which
 * *warning, if not NULL, then tells; the caller frees it). */
bool settings_say(struct settings *s, const struct option *o, const char *value, const char *origin, char **warning,
                  struct err *e);

/* Everything said in `over` replaces what stands in s. */
void settings_overlay(struct settings *s, const struct settings *over);

/* As if row i had never been said. */
void settings_forget(struct settings *s, size_t i);

const struct setting *settings_get(const struct settings *s, const char *name);
const char *settings_text(const struct settings *s, const char *name); /* last value or NULL */

/* Converts every value by its row's type and stores it at its offset in `base`, whatever was there; rows not said get
 * their default (msmtp's if `msmtp`), and so do switches, numbers and times that were unset. After a failure
 * settings_unbind is due as well. Errors (FAULT_CONFIG, FAULT_USAGE for the command line) name option, value, origin
 * and what would be right. */
bool settings_bind(const struct settings *s, bool msmtp, void *base, struct err *e);

/* Frees what settings_bind allocated in base. */
void settings_unbind(struct option_table t, void *base);

#endif
