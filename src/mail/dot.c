/* dot: finds where a dot has to go out twice. It holds no text of its own. */
#include "mail/dot.h"

#include <string.h>

static size_t ends_at_dot(struct dot *d, size_t n, bool *again)
{
    d->doubled = *again = true;
    return n;
}

/* Looks for dots, not for line ends: base64, which most long messages are, has none. */
size_t dot_slice(struct dot *d, const char *p, size_t n, bool *again)
{
    if (!d->doubled && !d->mid_line && p[0] == '.')
        return ends_at_dot(d, 1, again);
    d->doubled = false;

    const char *end = p + n;
    for (const char *dot = p + 1; dot < end && (dot = memchr(dot, '.', (size_t)(end - dot))); dot++)
        if (dot[-1] == '\n')
            return ends_at_dot(d, (size_t)(dot - p) + 1, again);
    d->mid_line = end[-1] != '\n';
    *again = false;
    return n;
}
