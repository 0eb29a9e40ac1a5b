/* subst: the %-patterns of option values: who and where we are.
 *
 * %U user name, %F the user's full name, %H host name, %C its canonical name, %M the contents of the mailname file. */
#ifndef CONF_SUBST_H
#define CONF_SUBST_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends text with the patterns replaced. A % that begins none of them stays. */
void subst_expand(struct buf *out, const char *text);

/* Appends the contents of the mailname file; false: there is none, or nothing in it. */
bool subst_mailname(struct buf *out);

#endif
