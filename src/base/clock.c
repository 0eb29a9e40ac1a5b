/* clock: monotonic time in microseconds and deadlines made of it. */
#include "base/clock.h"

#include <time.h>

usec clock_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

usec clock_deadline(usec timeout)
{
    usec deadline;
    if (timeout <= 0 || __builtin_add_overflow(clock_now(), timeout, &deadline))
        return USEC_NEVER;
    return deadline;
}

usec usec_min(usec a, usec b)
{
    return a < b ? a : b;
}
