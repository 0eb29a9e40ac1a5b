/* journal: what became of the messages of a batch, in a file, so that a second run takes up what the first left.
 *
 * Text, one line for each fact; fields are separated by a TAB, and in them %, TAB, CR and LF are written %XX:
 *
 *     envoi batch journal 1          the first line
 *     begin KEY                      from here on the message may have been sent
 *     end KEY [-ADDRESS|?ADDRESS]…   it is over, but for who was put off (-) and who may have got it (?)
 *     undo KEY                       it was not sent after all
 *
 * Each line is one write(2) before anything else is done: it survives whatever ends the process. Once a second and at
 * the end the file is synced, so that a machine that crashes loses no more than that. A last line without its end was
 * not written: it is cut off. */
#ifndef SEND_JOURNAL_H
#define SEND_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "mail/envelope.h"

enum journal_state {
    JOURNAL_NEW,       /* nothing is known of it, or it was not sent */
    JOURNAL_DONE,      /* everybody has it, or is refused it for good */
    JOURNAL_REST,      /* some were put off: entry.rest */
    JOURNAL_UNCERTAIN, /* somebody may have it: entry.rest, or where that is empty everybody */
};

struct journal_entry {
    char *key;            /* own: unique in this journal */
    enum journal_state state;
    struct strlist rest;  /* own: "-ADDRESS", "?ADDRESS" */
    bool seen;            /* in this run */
};

struct journal;

/* Opens the file, made 0600 if missing, never a symbolic link, reads what it says and locks it. FAULT_CANT_CREATE;
 * FAULT_USAGE: it is something else, or another run has it open. */
struct journal *journal_open(const char *path, struct err *e);
void journal_free(struct journal *j); /* syncs */

/* Reads a journal's text. Returns how much of it is whole lines; SIZE_MAX: it is none, *e says where. For journal_open
 * and tests. */
struct journal *journal_new(void);
size_t journal_parse(struct journal *j, const char *text, size_t n, struct err *e);

/* What is known of the message with this key. A second message of a run with the same key is another. Valid until the
 * journal is freed. */
struct journal_entry *journal_find(struct journal *j, const char *key);

/* Writes a line. FAULT_IO. */
bool journal_begin(struct journal *j, struct journal_entry *entry, struct err *e);
bool journal_end(struct journal *j, struct journal_entry *entry, const struct envelope *env, struct err *e);
bool journal_undo(struct journal *j, struct journal_entry *entry, struct err *e);

#endif
