/* ascii: character classes and comparisons that no locale changes. */
#include "base/ascii.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

bool ascii_ieq(const char *a, const char *b)
{
    while (*a && ascii_lower(*a) == ascii_lower(*b))
        a++, b++;
    return ascii_lower(*a) == ascii_lower(*b);
}

bool ascii_ieqn(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

bool ascii_istarts(const char *s, const char *prefix)
{
    while (*prefix && ascii_lower(*s) == ascii_lower(*prefix))
        s++, prefix++;
    return !*prefix;
}

const char *ascii_icontains(const char *s, const char *part)
{
    for (;; s++) {
        if (ascii_istarts(s, part))
            return s;
        if (!*s)
            return NULL;
    }
}

bool ascii_only(const char *s, size_t n)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t w[4];
    for (; n >= sizeof w; s += sizeof w, n -= sizeof w) {
        memcpy(w, s, sizeof w);
        if ((w[0] | w[1] | w[2] | w[3]) & high)
            return false;
    }
    for (; n >= sizeof *w; s += sizeof *w, n -= sizeof *w) {
        memcpy(w, s, sizeof *w);
        if (*w & high)
            return false;
    }
    unsigned char all = 0;
    while (n--)
        all |= (unsigned char)*s++;
    return all < 0x80;
}

bool ascii_line_safe(const char *s, size_t n)
{
    return !n || (!memchr(s, '\r', n) && !memchr(s, '\n', n) && !memchr(s, '\0', n));
}

bool ascii_wildmatch(const char *pattern, const char *s)
{
    const char *star = NULL, *from = NULL; /* the last '*' and where what it took began */
    while (*s) {
        if (*pattern == '*') {
            star = ++pattern;
            from = s;
        } else if (*pattern && (*pattern == '?' || ascii_lower(*pattern) == ascii_lower(*s))) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star;
            s = ++from;
        } else {
            return false;
        }
    }
    return !pattern[strspn(pattern, "*")];
}

bool ascii_number(const char *s, long long min, long long max, long long *out)
{
    if (!ascii_isdigit(s[*s == '-']))
        return false;
    char *end;
    errno = 0;
    long long value = strtoll(s, &end, 10);
    if (errno || *end || value < min || value > max)
        return false;
    *out = value;
    return true;
}

enum { WORD_MAX = 64 }; /* longer words are not typing errors of ours */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: insertions, deletions, substitutions and swapped neighbours cost one each. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= nb; j++)
        above[j] = j;
    for (size_t i = 1; i <= na; i++) {
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = ascii_lower(a[i - 1]) == ascii_lower(b[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + !same);
            bool swapped = i > 1 && j > 1 && ascii_lower(a[i - 1]) == ascii_lower(b[j - 2])
                           && ascii_lower(a[i - 2]) == ascii_lower(b[j - 1]);
            if (swapped && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = above;
        above = row;
        row = spare;
    }
    return above[nb];
}

const char *ascii_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX, n = strlen(word);
    if (n > WORD_MAX)
        return NULL;
    for (; *candidates; candidates++) {
        size_t m = strlen(*candidates);
        if (m > WORD_MAX)
            continue;
        size_t distance = edit_distance(word, n, *candidates, m);
        if (distance < best_distance && 3 * distance <= (n > m ? n : m)) {
            best_distance = distance;
            best = *candidates;
        }
    }
    return best;
}

size_t utf8_sequence(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (!n)
        return 0;
    if (u[0] < 0x80)
        return 1;
    size_t len = u[0] < 0xc2 ? 0 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : u[0] < 0xf5 ? 4 : 0;
    if (!len || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((u[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
    bool surrogate = u[0] == 0xed && u[1] > 0x9f;
    bool beyond = u[0] == 0xf4 && u[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : len;
}

bool utf8_valid(const char *s, size_t n)
{
    if (ascii_only(s, n))
        return true;
    for (size_t len; n; s += len, n -= len) {
        len = utf8_sequence(s, n);
        if (!len)
            return false;
    }
    return true;
}
