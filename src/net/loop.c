/* loop: the poll set and the loop over tasks.
 * Knows nothing of streams or protocols; never decides, only sleeps and steps. */
#include "net/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/buf.h"

void pollset_free(struct pollset *ps)
{
    free(ps->v);
    *ps = (struct pollset)POLLSET_INIT;
}

void pollset_reset(struct pollset *ps)
{
    ps->n = 0;
    ps->deadline = USEC_NEVER;
}

void pollset_add(struct pollset *ps, int fd, short events)
{
    if (ps->n == ps->cap) {
        ps->cap = ps->cap ? ps->cap * 2 : 8;
        ps->v = xrealloc(ps->v, ps->cap * sizeof *ps->v);
    }
    ps->v[ps->n++] = (struct pollfd){ .fd = fd, .events = events };
}

void pollset_until(struct pollset *ps, usec deadline)
{
    ps->deadline = usec_min(ps->deadline, deadline);
}

/* As ppoll, where many tasks wait for one descriptor: more entries than a process may have descriptors are refused. */
static int poll_each_once(struct pollset *ps, const struct timespec *ts, const sigset_t *mask)
{
    int top = 0;
    nfds_t n = 0;
    for (size_t i = 0; i < ps->n; i++)
        top = ps->v[i].fd > top ? ps->v[i].fd : top;
    nfds_t *place = xcalloc((size_t)top + 1, sizeof *place); /* of a descriptor, from 1 on */
    struct pollfd *each = xcalloc(ps->n, sizeof *each);
    for (size_t i = 0; i < ps->n; i++) {
        const struct pollfd *p = &ps->v[i];
        if (p->fd < 0)
            continue;
        if (!place[p->fd]) {
            each[n].fd = p->fd;
            place[p->fd] = ++n;
        }
        each[place[p->fd] - 1].events |= p->events;
    }
    int ready = ppoll(each, n, ts, mask);
    for (size_t i = 0; i < ps->n; i++) {
        struct pollfd *p = &ps->v[i];
        p->revents = p->fd < 0 ? 0 : each[place[p->fd] - 1].revents & (p->events | POLLERR | POLLHUP | POLLNVAL);
    }
    free(each);
    free(place);
    return ready;
}

enum { POLL_DIRECTLY = 256 }; /* entries */

/* While it sleeps, `mask` is the signal mask (NULL: as it is). */
static bool wait_masked(struct pollset *ps, const sigset_t *mask)
{
    usec left = ps->deadline == USEC_NEVER ? 0 : ps->deadline - clock_now();
    if (left < 0)
        left = 0;
    struct timespec ts = { .tv_sec = left / USEC_PER_SEC, .tv_nsec = left % USEC_PER_SEC * 1000 };

    const struct timespec *limit = ps->deadline == USEC_NEVER ? NULL : &ts;
    int ready = ps->n > POLL_DIRECTLY ? poll_each_once(ps, limit, mask) : ppoll(ps->v, ps->n, limit, mask);
    if (ready >= 0)
        return true;
    for (size_t i = 0; i < ps->n; i++) /* poll leaves them undefined */
        ps->v[i].revents = 0;
    return errno != EINTR;
}

bool pollset_wait(struct pollset *ps)
{
    return wait_masked(ps, NULL);
}

/* What one task waits for: its part of the common set. */
struct watch {
    bool finished;
    size_t first, end;
    usec deadline;
};

static void watch_task(struct watch *w, const struct task *t, struct pollset *ps)
{
    usec nearest = ps->deadline;
    ps->deadline = USEC_NEVER;
    w->first = ps->n;
    t->waits(t, ps);
    w->end = ps->n;
    w->deadline = ps->deadline;
    ps->deadline = usec_min(nearest, w->deadline);
}

static bool watch_due(const struct watch *w, const struct pollset *ps, usec now)
{
    if (w->deadline <= now)
        return true;
    for (size_t i = w->first; i < w->end; i++)
        if (ps->v[i].revents)
            return true;
    return false;
}

static volatile sig_atomic_t caught;

/* A poll that finds something ready does not take the signals that wait: a peer that never pauses
 * would keep them out. */
static void take_signals(const sigset_t *mask)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, mask, &blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static size_t step_all(struct task *const *tasks, size_t n, struct watch *watches)
{
    size_t finished = 0;
    for (size_t i = 0; i < n; i++)
        if (!watches[i].finished)
            finished += watches[i].finished = tasks[i]->step(tasks[i]);
    return finished;
}

static bool run(struct task *const *tasks, size_t n, const sigset_t *mask, const struct loop_patience *patience)
{
    struct watch *watches = xcalloc(n ? n : 1, sizeof *watches);
    struct pollset ps = POLLSET_INIT;
    size_t left = n - step_all(tasks, n, watches);

    while (left > 0 && (!caught || patience)) {
        if (caught) {
            patience->first(patience->ctx, caught);
            patience = NULL;
            caught = 0;
            left -= step_all(tasks, n, watches);
            continue;
        }
        pollset_reset(&ps);
        for (size_t i = 0; i < n; i++)
            if (!watches[i].finished)
                watch_task(&watches[i], tasks[i], &ps);
        if (!wait_masked(&ps, mask))
            continue;
        take_signals(mask);
        if (caught)
            continue;
        usec now = clock_now();
        for (size_t i = 0; i < n; i++)
            if (!watches[i].finished && watch_due(&watches[i], &ps, now))
                left -= watches[i].finished = tasks[i]->step(tasks[i]);
    }
    pollset_free(&ps);
    free(watches);
    return left == 0;
}

static void on_signal(int number)
{
    caught = number;
}

static const int ending[] = { SIGINT, SIGTERM, SIGHUP };
enum { ENDING = sizeof ending / sizeof *ending };

bool loop_run(struct task *const *tasks, size_t n, int *signal_number)
{
    return loop_run_patiently(tasks, n, NULL, signal_number);
}

bool loop_run_patiently(struct task *const *tasks, size_t n, const struct loop_patience *patience, int *signal_number)
{
    const struct sigaction ours = { .sa_handler = on_signal };
    struct sigaction theirs[ENDING];
    sigset_t blocked, before;
    sigemptyset(&blocked);
    caught = 0;
    for (size_t i = 0; i < ENDING; i++) {
        sigaddset(&blocked, ending[i]);
        sigaction(ending[i], &ours, &theirs[i]);
        if (theirs[i].sa_handler == SIG_IGN)
            sigaction(ending[i], &theirs[i], NULL);
    }
    /* They arrive only during the sleep and behind it, never between the look at `caught` and it. */
    sigprocmask(SIG_BLOCK, &blocked, &before);
    bool all = run(tasks, n, &before, patience);
    if (signal_number)
        *signal_number = caught;
    for (size_t i = 0; i < ENDING; i++)
        sigaction(ending[i], &theirs[i], NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return all;
}
