/* hint: what to do about a server's refusal, from data/replies.tsv (compiled in by scripts/make-replies). */
#ifndef SEND_HINT_H
#define SEND_HINT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct reply_row { const char *id, *pattern, *class_, *cause, *action; };
extern const struct reply_row reply_rows[]; /* ends with id NULL */

/* The first row whose pattern is in the reply, NULL when there is none. Its lines are joined by blanks, the code only
 * once: a server may break its sentence anywhere. */
const struct reply_row *hint_for_reply(const char *reply);

/* Appends how long the reply asks to wait before the next try, "5 minutes". false: it does not say. */
bool hint_delay(const char *reply, struct buf *out);

/* Adds the row's cause and action, and the time to come back, as hint where e has server words and no hint yet. */
void hint_add(struct err *e);

#endif
