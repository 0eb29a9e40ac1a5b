/* strlist: an ordered list of strings that it owns. */
#include "base/strlist.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

void strlist_add(struct strlist *l, const char *s)
{
    strlist_add_own(l, xstrdup(s));
}

void strlist_add_own(struct strlist *l, char *s)
{
    if (l->n + 1 >= l->cap) {
        l->cap = l->cap ? 2 * l->cap : 8;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = s;
    l->v[l->n] = NULL;
}

void strlist_addn(struct strlist *l, const char *s, size_t n)
{
    strlist_add_own(l, xstrndup(s, n));
}

void strlist_copy(struct strlist *to, const struct strlist *from)
{
    if (to == from)
        return;
    strlist_free(to);
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, from->v[i]);
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->v[i], s) == 0)
            return true;
    return false;
}

bool strlist_has_nocase(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (ascii_ieq(l->v[i], s))
            return true;
    return false;
}

void strlist_free(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct strlist)STRLIST_INIT;
}

void strlist_split(struct strlist *l, const char *s, const char *separators)
{
    for (s += strspn(s, separators); *s; s += strspn(s, separators)) {
        size_t n = strcspn(s, separators);
        strlist_addn(l, s, n);
        s += n;
    }
}

bool strlist_words(struct strlist *l, const char *s)
{
    struct buf word = BUF_INIT;
    size_t before = l->n;
    bool ends = true;

    for (s += strspn(s, " \t\n"); *s && ends; s += strspn(s, " \t\n")) {
        char quote = '\0';
        for (buf_reset(&word); *s && (quote || !strchr(" \t\n", *s)); s++) {
            if (*s == quote)
                quote = '\0';
            else if (!quote && (*s == '\'' || *s == '"'))
                quote = *s;
            else if (*s == '\\' && quote != '\'' && s[1])
                buf_addc(&word, *++s);
            else
                buf_addc(&word, *s);
        }
        ends = !quote;
        strlist_add(l, word.data);
    }
    buf_free(&word);
    return ends && l->n > before;
}
