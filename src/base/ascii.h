/* ascii: character classes and comparisons that no locale changes. */
#ifndef BASE_ASCII_H
#define BASE_ASCII_H

#include <stdbool.h>
#include <stddef.h>

static inline bool ascii_isdigit(char c) { return c >= '0' && c <= '9'; }
static inline bool ascii_isupper(char c) { return c >= 'A' && c <= 'Z'; }
static inline bool ascii_islower(char c) { return c >= 'a' && c <= 'z'; }
static inline bool ascii_isalpha(char c) { return ascii_isupper(c) || ascii_islower(c); }
static inline bool ascii_isalnum(char c) { return ascii_isalpha(c) || ascii_isdigit(c); }
static inline bool ascii_isblank(char c) { return c == ' ' || c == '\t'; }
static inline char ascii_lower(char c) { return ascii_isupper(c) ? (char)(c + ('a' - 'A')) : c; }
static inline char ascii_upper(char c) { return ascii_islower(c) ? (char)(c - ('a' - 'A')) : c; }

bool ascii_ieq(const char *a, const char *b);                /* whole strings, case ignored */
bool ascii_ieqn(const char *a, const char *b, size_t n);     /* first n octets; both must have them */
bool ascii_istarts(const char *s, const char *prefix);       /* s begins with prefix, case ignored */
const char *ascii_icontains(const char *s, const char *part); /* like strcasestr */
bool ascii_only(const char *s, size_t n);                    /* no octet above 127; fast on long input */
bool ascii_line_safe(const char *s, size_t n);               /* no CR, LF or NUL: fit for the wire */

/* Shell-like match of the whole string with * and ?, ASCII case ignored. */
bool ascii_wildmatch(const char *pattern, const char *s);

/* A whole decimal number from min to max, nothing around it; false otherwise. */
bool ascii_number(const char *s, long long min, long long max, long long *out);

/* The candidate nearest to word by Damerau-Levenshtein distance, NULL when none is near
 * enough to be meant (at most a third of the letters differ). candidates ends with NULL. */
const char *ascii_nearest(const char *word, const char *const *candidates);

/* Is [s, s+n) well-formed UTF-8 (RFC 3629: no overlongs, no surrogates)? */
bool utf8_valid(const char *s, size_t n);

/* The length of the well-formed UTF-8 sequence at the start of [s, s+n), 0 when there is none. */
size_t utf8_sequence(const char *s, size_t n);

#endif
