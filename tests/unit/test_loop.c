/* The poll set and the loop over tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <unistd.h>

#include "net/loop.h"

#define MS (USEC_PER_SEC / 1000)

/* Reads `wanted` octets from a descriptor, or gives up at its deadline. */
struct reader {
    struct task task;
    int fd;
    size_t got, wanted;
    usec deadline;
    int steps;
};

static bool reader_step(struct task *t)
{
    struct reader *r = (struct reader *)t;
    char octets[16];
    r->steps++;
    if (r->steps > 1) {
        ssize_t n = clock_now() >= r->deadline ? 0 : read(r->fd, octets, 1);
        r->got += n > 0 ? (size_t)n : 0;
    }
    return r->got == r->wanted || clock_now() >= r->deadline;
}

static void reader_waits(const struct task *t, struct pollset *ps)
{
    const struct reader *r = (const struct reader *)t;
    pollset_add(ps, r->fd, POLLIN);
    pollset_until(ps, r->deadline);
}

#define READER(fd_, wanted_, ms_) \
    { .task = { reader_step, reader_waits }, .fd = (fd_), .wanted = (wanted_), .deadline = clock_now() + (ms_) * MS }

static void test_tasks(void **state)
{
    (void)state;
    int a[2], b[2];
    assert_int_equal(pipe(a) | pipe(b), 0);
    assert_int_equal(write(a[1], "abc", 3), 3);
    struct reader fast = READER(a[0], 3, 5000), idle = READER(b[0], 1, 100);
    struct task *tasks[] = { &fast.task, &idle.task };
    usec start = clock_now();
    assert_true(loop_run(tasks, 2, NULL));
    assert_int_equal(fast.got, 3);
    assert_int_equal(fast.steps, 4);
    assert_int_equal(idle.got, 0);
    assert_int_equal(idle.steps, 2); /* at the beginning and at its deadline, not with its neighbour */
    assert_true(clock_now() - start >= 100 * MS && clock_now() - start < 3000 * MS);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

static volatile int stop;

static void on_signal(int number)
{
    stop = number;
}

static bool raise_step(struct task *t)
{
    (void)t;
    raise(SIGTERM); /* between the look at `stop` and the sleep: must not be missed */
    return false;
}

static void raise_waits(const struct task *t, struct pollset *ps)
{
    (void)t;
    pollset_until(ps, clock_now() + 20 * USEC_PER_SEC);
    raise(SIGTERM);
}

static void test_stop(void **state)
{
    (void)state;
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGTERM, &action, NULL);
    struct task t = { raise_step, raise_waits };
    struct task *tasks[] = { &t };
    usec start = clock_now();
    int number = 0;
    assert_false(loop_run(tasks, 1, &number));
    assert_int_equal(number, SIGTERM);
    assert_int_equal(stop, 0);
    raise(SIGTERM); /* what the signal did before, it does again */
    assert_int_equal(stop, SIGTERM);
    assert_true(clock_now() - start < 5 * USEC_PER_SEC);
}

static void test_pollset(void **state)
{
    (void)state;
    struct pollset ps = POLLSET_INIT;
    for (int i = 0; i < 100; i++)
        pollset_add(&ps, -1, POLLIN);
    pollset_until(&ps, clock_now() + 20 * MS);
    pollset_until(&ps, USEC_NEVER);
    assert_int_equal(ps.n, 100);
    usec start = clock_now();
    assert_true(pollset_wait(&ps));
    assert_true(clock_now() - start >= 15 * MS);
    pollset_reset(&ps);
    assert_int_equal(ps.n, 0);
    assert_true(ps.deadline == USEC_NEVER);
    pollset_free(&ps);
    pollset_free(&ps);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tasks), cmocka_unit_test(test_stop), cmocka_unit_test(test_pollset) };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
