/* box: where many messages come from, one after the other: an mbox, a Maildir, a list of file names, or messages with a
 * NUL behind each. Only names are held, and the message at hand: up to a window in memory, more in an unlinked file. */
#ifndef MAIL_BOX_H
#define MAIL_BOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "mail/message.h"

enum box_format { BOX_AUTO, BOX_MBOX, BOX_MAILDIR, BOX_LIST, BOX_NUL };

struct box;

/* source: a path, "@PATH" (a list), "-" (standard input). BOX_AUTO: a directory is a Maildir, a file an mbox, standard
 * input is NUL-separated, unless it begins with "From ". keyed: its items have keys. Errors: FAULT_NO_INPUT,
 * FAULT_USAGE (it is something else). */
struct box *box_open(const char *source, enum box_format format, bool keyed, struct err *e);
void box_free(struct box *b);

int64_t box_total(const struct box *b);  /* messages; -1: not known */
int64_t box_octets(const struct box *b); /* of the stream; -1: not known, or no stream … */
int64_t box_done(const struct box *b);   /* … and read of it so far */

/* One message of it. */
struct box_item {
    long number;     /* from 1 */
    char *id;        /* own: the file's name, or the source's and the number: "in.mbox#12" */
    char *key;       /* own: what it is known by in a journal: the name (of a Maildir's file without directory and
                        flags), or a hash of the message. NULL: not keyed */
    char *path;      /* own or NULL: where it is … */
    struct buf text; /* own: … or all of it … */
    int fd;          /* own: … or where all of it is; -1: none */
};
void box_item_free(struct box_item *item);

enum box_found { BOX_ITEM, BOX_WAIT, BOX_END, BOX_FAILED };

/* The next one; *item is filled. WAIT: until box_wait_fd() is readable. FAILED: the source itself cannot be read on. At
 * most one read(2) is made of what may have to be waited for. */
enum box_found box_next(struct box *b, struct box_item *item, struct err *e);
bool box_ended(struct box *b); /* is nothing to come any more, as far as can be told without waiting? */
int box_wait_fd(const struct box *b); /* -1: what has been read is still to be taken */
bool box_is_pipe(const struct box *b); /* what follows may be long in coming */
void box_read_no_more(struct box *b);  /* of a pipe: only what was read of it is still given, as far as it is whole */

/* Reads the item's message into m, which was initialised; again only where not all of it was held in memory. What of it
 * is not in memory is read from item->fd. Errors: message_read's, and FAULT_NO_INPUT: no file, not readable, empty. */
bool box_message(struct box_item *item, struct message *m, struct err *e);

#endif
