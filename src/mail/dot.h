/* dot: the dot filter of DATA (RFC 5321 4.5.2), without copying.
 *
 * It gives slices of the caller's block; where a line begins with a dot, the next slice
 * begins at that dot again, so the octet goes out twice. */
#ifndef MAIL_DOT_H
#define MAIL_DOT_H

#include <stdbool.h>
#include <stddef.h>

struct dot {
    bool mid_line; /* the octet before the next one was not a line end */
    bool doubled;  /* the next octet is a dot that already went out once */
};

#define DOT_INIT { false, false }

/* The length of the first slice of canonical text [p, p+n), n > 0, to be sent as it is. The caller sends it and
 * calls again with the rest: where the slice ended right behind a dot that has to be doubled, *again is true and the
 * caller's rest begins one octet earlier, at that dot. */
size_t dot_slice(struct dot *d, const char *p, size_t n, bool *again);

#endif
