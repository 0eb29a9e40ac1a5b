/* probe_series: how long something took, many times over, in memory that does not grow: times are counted in classes
 * that are no wider than 1/64 of what they hold. All zero is an empty one. */
#ifndef CMD_PROBE_SERIES_H
#define CMD_PROBE_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum {
    SERIES_BITS = 6,
    SERIES_CLASSES = 40 << SERIES_BITS, /* up to 2^39 microseconds, six days */
};

struct series {
    long n;
    usec min, max;
    uint32_t classes[SERIES_CLASSES];
};

void series_add(struct series *s, usec t);

/* The time that so many of a hundred did not exceed, right to 1/64. n > 0. */
usec series_percentile(const struct series *s, int percent);

/* How many classes' worth of times begin in [from, to). */
long series_between(const struct series *s, usec from, usec to);

#endif
