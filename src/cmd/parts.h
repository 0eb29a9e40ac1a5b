/* parts: the words that name the parts of a message (--body, --attach, --attach-type …), said one after the other, as
 * composing takes them. Of send and of probe. */
#ifndef CMD_PARTS_H
#define CMD_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "mail/compose.h"

struct parts {
    bool attach_text;       /* as in swaks: --attach TEXT|@FILE|-, not FILE|@FILE|- */
    struct compose_part *v; /* own; its strings are of `kept` */
    size_t n, cap;
    /* private */
    struct strlist kept;
    const char *type, *name, *id, *charset; /* for what follows; NULL: not said */
    bool type_used, body_said;
};

#define PARTS_INIT { 0 }

void parts_free(struct parts *p); /* after the composer that borrows from it */

/* Says a word ('-' and '_' are the same) with its value:
 * body            the first body, TEXT, @FILE or -; a text that begins with '@' is written with two;
 *                 said again, it replaces
 * attach_body     another body (multipart/alternative)
 * attach          an attachment
 * attach_inline   a part the bodies refer to by its Content-ID, its name where attach_id did not tell
 * attach_type     the type of all that follows up to the next attach_type or attach_body, which is the last it counts
 *                 for (so swaks has it); "": by name. body's is text/plain, or by its name
 * attach_name, attach_id, attach_charset
 *                 of the next part; attach_name "" or NULL: none
 * FAULT_USAGE: no such word, a value that is missing. */
bool parts_say(struct parts *p, const char *word, const char *value, struct err *e);

/* Adds a text, whatever it begins with; copied. */
void parts_add_text(struct parts *p, enum compose_role role, const char *text, size_t n);

bool parts_has_body(const struct parts *p);
bool parts_reads_stdin(const struct parts *p);

/* A word that no part has followed which it could be for, as it is spelt on the command line; NULL: none. */
const char *parts_unused(const struct parts *p);

#endif
