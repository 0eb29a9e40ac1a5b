/* header: the header section as a list that keeps every octet of what it does not change. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* One field as it stands in the message, folds and final CRLF included. */
struct header {
    char *raw;       /* own, len octets */
    size_t len;
    size_t name_len; /* of the name before the colon, blanks before the colon not counted */
    size_t value;    /* offset of the first octet after the colon */
};

struct header_list {
    struct header *v; /* own */
    size_t n, cap;
};

#define HEADER_LIST_INIT { 0 }

void header_list_free(struct header_list *l);

/* Parses canonical (CRLF) text into the list, up to and including the empty line; *used is where the body begins.
 * A first line that begins "From " (mbox) is dropped. A line that is no header ends the section as an empty line
 * would (nothing is lost: it begins the body, as sendmail and Postfix do). Never fails. */
void header_list_parse(struct header_list *l, const char *text, size_t n, size_t *used);

/* The first header of that name at or after index `from`, without regard to case; -1 when there is none. */
long header_find(const struct header_list *l, const char *name, size_t from);

/* Removes every header of that name; says how many there were. */
size_t header_remove(struct header_list *l, const char *name);

/* Puts "Name: value\r\n", folded at blanks to 78 columns where it can be, at index `at` (n: the end). */
void header_insert(struct header_list *l, size_t at, const char *name, const char *value);

/* Appends the value without folding, outer blanks and CRLF: fit to be read. */
void header_value(const struct header *h, struct buf *out);

/* Appends the whole section without the empty line. */
void header_list_write(const struct header_list *l, struct buf *out);
size_t header_list_size(const struct header_list *l); /* octets that header_list_write would add */

#endif
