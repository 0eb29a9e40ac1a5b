/* clock: monotonic time in microseconds and deadlines made of it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t usec; /* microseconds: a duration, or a point of CLOCK_MONOTONIC */

#define USEC_PER_SEC ((usec)1000000)
#define USEC_NEVER INT64_MAX

usec clock_now(void);

/* The point `timeout` from now; a timeout <= 0 means never. */
usec clock_deadline(usec timeout);

usec usec_min(usec a, usec b);

#endif
