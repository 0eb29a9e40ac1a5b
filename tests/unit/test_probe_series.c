/* probe_series: what is counted in classes is right to 1/64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cmd/probe_series.h"

/* The times from first to last in equal steps, and what is read from them. */
static const struct {
    usec first, last, step;
    usec median, p90, p99;
} rows[] = {
    { 7, 7, 1, 7, 7, 7 },
    { 0, 0, 1, 0, 0, 0 },
    { 1, 60, 1, 30, 54, 60 },          /* small times are exact */
    { 1, 100, 1, 50, 90, 99 },
    { 1, 100000, 1, 50000, 90000, 99000 },
    { 1000000, 2000000, 1000, 1500000, 1900000, 1990000 },
    { 1, INT64_C(1) << 45, INT64_C(1) << 44, 0, 0, 0 }, /* longer than any class: still counted, never beyond the longest */
};

static void near(usec got, usec want)
{
    usec width = want / 64 + 1;
    assert_in_range(got - want + width, 0, 2 * width);
}

static void test_percentiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct series s;
        s = (struct series){ 0 };
        for (usec t = rows[i].first; t <= rows[i].last; t += rows[i].step)
            series_add(&s, t);
        assert_int_equal(s.min, rows[i].first);
        assert_true(s.max <= rows[i].last && s.max > rows[i].last - rows[i].step);
        for (int percent = 1; percent <= 100; percent++)
            assert_in_range(series_percentile(&s, percent), s.min, s.max);
        if (!rows[i].median && rows[i].last)
            continue;
        near(series_percentile(&s, 50), rows[i].median);
        near(series_percentile(&s, 90), rows[i].p90);
        near(series_percentile(&s, 99), rows[i].p99);
    }
}

/* Neighbouring bars hold every time once. */
static void test_between(void **state)
{
    (void)state;
    static struct series s;
    for (usec t = 1; t <= 5000; t++)
        series_add(&s, t);
    for (usec width = 1; width < 700; width += 97) {
        long sum = 0;
        for (usec from = 0; from <= 5200; from += width)
            sum += series_between(&s, from, from + width);
        assert_int_equal(sum, 5000);
    }
    assert_int_equal(series_between(&s, 0, INT64_MAX), 5000);
    assert_int_equal(series_between(&s, 10, 20), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_percentiles), cmocka_unit_test(test_between) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
