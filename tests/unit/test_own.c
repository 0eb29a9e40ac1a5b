/* own: which addresses and names lead to this machine, and which can be seen from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/own.h"

static void test_addresses(void **state)
{
    (void)state;
    static const struct { const char *address; bool ours; } cases[] = {
        { "127.0.0.1", true }, { "::1", true }, { "0.0.0.0", true }, { "::", true }, { "0:0:0:0:0:0:0:1", true },
        { "::ffff:127.0.0.1", true }, { "192.0.2.7", true }, { "::ffff:192.0.2.7", true },
        { "2001:db8:0:0::7", true }, { "2001:DB8::7", true },
        { "127.0.0.2", false }, { "127.0.1.1", false }, { "192.0.2.8", false }, { "2001:db8::8", false },
        { "::2", false }, { "", false }, { "localhost", false }, { "127.1", false },
    };
    struct strlist own = STRLIST_INIT;
    strlist_split(&own, "192.0.2.7 2001:db8::7 not-an-address", " ");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (own_has(&own, cases[i].address) != cases[i].ours)
            fail_msg("%s", cases[i].address);
    strlist_free(&own);
}

static void test_interfaces(void **state)
{
    (void)state;
    struct strlist own = STRLIST_INIT, none = STRLIST_INIT;
    own_addresses(&own);
    for (size_t i = 0; i < own.n; i++)
        assert_true(own_has(&own, own.v[i]));
    assert_true(own_has(&none, "127.0.0.1"));
    strlist_free(&own);
}

static void test_names(void **state)
{
    (void)state;
    static const struct { const char *name; bool ours; } cases[] = {
        { "localhost", true }, { "LocalHost.", true }, { "mx.localhost", true },
        { "", false }, { ".", false }, { "notlocalhost", false }, { "localhost.example", false }, { "host", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (own_name(cases[i].name) != cases[i].ours)
            fail_msg("%s", cases[i].name);
}

static void test_public(void **state)
{
    (void)state;
    static const struct { const char *address; bool seen; } cases[] = {
        { "192.0.2.1", true }, { "8.8.8.8", true }, { "172.15.255.255", true }, { "172.32.0.1", true },
        { "100.63.255.255", true }, { "100.128.0.1", true }, { "2001:db8::1", true }, { "fe00::1", true },
        { "10.1.2.3", false }, { "172.16.0.1", false }, { "172.31.255.255", false }, { "192.168.1.1", false },
        { "127.0.0.53", false }, { "169.254.3.4", false }, { "100.64.0.1", false }, { "100.127.255.255", false },
        { "0.1.2.3", false }, { "224.0.0.1", false }, { "255.255.255.255", false }, { "::1", false }, { "::", false },
        { "fe80::1", false }, { "febf::1", false }, { "fd12::1", false }, { "ff02::1", false },
        { "::ffff:10.0.0.1", false }, { "mail.example", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (own_is_public(cases[i].address) != cases[i].seen)
            fail_msg("%s", cases[i].address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_public),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
