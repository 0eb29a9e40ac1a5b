/* clock: deadlines at their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>


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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(deadlines) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
