/* door: a library that is there, one that is not, and one that is too old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/door.h"

#define LIBC_SYMBOLS(X) X(strtol) X(strcspn)
DOOR_STRUCT(libc_api, LIBC_SYMBOLS);
const struct libc_api *libc_door(struct err *e);
DOOR_DEFINE(libc_door, libc_api, LIBC_SYMBOLS, "libc.so.6", "libc6",
            "required", "test", "a library that is always there")

static void opens(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    const struct libc_api *libc = libc_door(&e);
    assert_non_null(libc);
    assert_ptr_equal(libc_door(&e), libc);
    assert_int_equal(libc->strtol("42", NULL, 10), 42);
    assert_int_equal(libc->strcspn("abc", "c"), 2);
}

static void stays_shut(void **state)
{
    (void)state;
    static const char *const names[] = { "strtol", "no_such_function" };
    void *slots[2];
    struct err e = ERR_INIT;
    assert_false(door_load("libnot-there.so.9", "libnot-there9", names, 2, slots, &e));
    assert_int_equal(e.fault, FAULT_SYSTEM);
    assert_string_equal(e.text, "cannot load 'libnot-there.so.9'");
    assert_string_equal(e.hint, "install the package 'libnot-there9'");
    err_clear(&e);
    assert_false(door_load("libc.so.6", "libc6", names, 2, slots, &e));
    assert_string_equal(e.text, "cannot load 'libc.so.6': it has no 'no_such_function'");
    err_clear(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(opens), cmocka_unit_test(stays_shut) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
