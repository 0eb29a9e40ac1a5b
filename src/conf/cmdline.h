/* cmdline: arguments into settings, by the rows of one or several tables. */
#ifndef CONF_CMDLINE_H
#define CONF_CMDLINE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/settings.h"

/* argv[0] is the first argument. Options and operands may be mixed; "--" ends the options. Long options: --name=value,
 * --name value (unless VALUE_OPTIONAL), unique abbreviations, --no-flag for flags; letters may be joined (-vd) and hold
 * their value (-fme@x, -f me@x). `tables` are searched in order; a value is said in settings[i] of its table. An
 * unknown option: FAULT_USAGE naming the nearest. Warnings (obsolete spellings) are added to *warnings. */
bool cmdline_parse(int argc, char *const *argv, struct settings *settings, size_t tables, struct strlist *operands,
                   struct strlist *warnings, struct err *e);

#endif
