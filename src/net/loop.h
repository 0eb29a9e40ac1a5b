/* loop: many tasks, one poll(2).
 *
 * A task runs as far as it can without blocking, then says what it waits for.
 * The loop never decides anything: it sleeps until a descriptor is ready or a
 * deadline passes, and steps the tasks concerned. */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

struct pollset {
    struct pollfd *v; /* own */
    size_t n, cap;
    usec deadline;    /* the nearest */
};

#define POLLSET_INIT { .deadline = USEC_NEVER }

void pollset_free(struct pollset *ps);
void pollset_reset(struct pollset *ps);
void pollset_add(struct pollset *ps, int fd, short events);
void pollset_until(struct pollset *ps, usec deadline);

/* Sleeps until something in the set is ready or its deadline passed. SIGINT and SIGTERM handlers
 * interrupt it; returns false then (errno EINTR). revents are set. */
bool pollset_wait(struct pollset *ps);

struct task {
    /* Runs as far as it goes without blocking. true: finished, never called again. */
    bool (*step)(struct task *t);
    /* Adds the descriptors and the deadline the task waits for. */
    void (*waits)(const struct task *t, struct pollset *ps);
};

/* Steps every task once, then each again whenever one of its descriptors is ready or its own deadline passed, until all
 * are finished, or until SIGINT, SIGTERM or SIGHUP comes: then false, and *signal_number (NULL: not told) says which.
 * Before and after, the signals do what they did; one that was ignored stays ignored. */
bool loop_run(struct task *const *tasks, size_t n, int *signal_number);

/* The same where only the second signal ends it: at the first its number is told to `first`, and every task is stepped
 * once more, so that it can come to an end itself. patience NULL: none. */
struct loop_patience {
    void (*first)(void *ctx, int signal_number);
    void *ctx;
};
bool loop_run_patiently(struct task *const *tasks, size_t n, const struct loop_patience *patience, int *signal_number);

#endif
