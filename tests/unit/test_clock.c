/* clock: deadlines at their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <limits.h>

#include "base/clock.h"

static void deadlines(void **state)
{
    (void)state;
    usec before = clock_now(), deadline = clock_deadline(5 * USEC_PER_SEC);
    assert_true(deadline >= before + 5 * USEC_PER_SEC && deadline <= clock_now() + 5 * USEC_PER_SEC);
    assert_true(clock_deadline(0) == USEC_NEVER);
    assert_true(clock_deadline(-1) == USEC_NEVER);
    assert_true(clock_deadline(INT64_MAX) == USEC_NEVER);
    assert_true(usec_min(USEC_NEVER, deadline) == deadline);
    assert_true(usec_min(1, 2) == 1);
}

static void poll_ms(void **state)
{
    (void)state;
    assert_int_equal(clock_poll_ms(USEC_NEVER), -1);
    assert_int_equal(clock_poll_ms(0), 0);
    assert_int_equal(clock_poll_ms(clock_now() - 1), 0);
    int ms = clock_poll_ms(clock_now() + 2 * USEC_PER_SEC);
    assert_in_range(ms, 1500, 2000);
    assert_int_equal(clock_poll_ms(USEC_NEVER - 1), INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(deadlines), cmocka_unit_test(poll_ms) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
