/* probe_series: many times, counted in classes. Knows nothing of what took them. */
#include "cmd/probe_series.h"

static size_t class_of(usec t)
{
    if (t < 1 << SERIES_BITS)
        return t < 0 ? 0 : (size_t)t;
    int shift = 63 - SERIES_BITS - __builtin_clzll((unsigned long long)t);
    size_t class = ((size_t)shift << SERIES_BITS) + (size_t)(t >> shift);
    return class < SERIES_CLASSES ? class : SERIES_CLASSES - 1;
}

static usec class_begin(size_t class)
{
    size_t shift = class >> SERIES_BITS;
    return shift < 2 ? (usec)class : (usec)(class - ((shift - 1) << SERIES_BITS)) << (shift - 1);
}

void series_add(struct series *s, usec t)
{
    s->min = s->n == 0 || t < s->min ? t : s->min;
    s->max = t > s->max ? t : s->max;
    s->n++;
    s->classes[class_of(t)]++;
}

usec series_percentile(const struct series *s, int percent)
{
    long rank = (s->n * percent + 99) / 100, seen = 0;
    size_t class = 0;
    while (class < SERIES_CLASSES && (seen += s->classes[class]) < rank)
        class++;
    usec middle = (class_begin(class) + class_begin(class + 1)) / 2;
    return middle < s->min ? s->min : middle > s->max ? s->max : middle;
}

long series_between(const struct series *s, usec from, usec to)
{
    long n = 0;
    for (size_t class = class_of(from); class < SERIES_CLASSES && class_begin(class) < to; class++)
        n += class_begin(class) >= from ? s->classes[class] : 0;
    return n;
}
