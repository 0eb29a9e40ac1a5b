/* strlist: an ordered list of strings that it owns. */
#ifndef BASE_STRLIST_H
#define BASE_STRLIST_H

#include <stdbool.h>
#include <stddef.h>

struct strlist {
    char **v; /* own; v[n] is NULL once anything was added */
    size_t n;
    size_t cap;
};

#define STRLIST_INIT { 0 }

void strlist_add(struct strlist *l, const char *s);            /* copies */
void strlist_add_own(struct strlist *l, char *s);              /* takes s over */
void strlist_addn(struct strlist *l, const char *s, size_t n); /* copies n octets */
void strlist_copy(struct strlist *to, const struct strlist *from); /* to is emptied first */
bool strlist_has(const struct strlist *l, const char *s);      /* exact */
bool strlist_has_nocase(const struct strlist *l, const char *s); /* ASCII case ignored */
void strlist_free(struct strlist *l);

/* Adds the parts of s between any of the octets in `separators`; empty parts are left out. */
void strlist_split(struct strlist *l, const char *s, const char *separators);

/* Adds the words of a command line, parted and quoted as for a shell ('…', "…", \), and nothing else of a shell's.
 * false: no word, or a quote that does not end. */
bool strlist_words(struct strlist *l, const char *s);

#endif
