/* settings: said, laid over each other, bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/account.h"

static void say(struct settings *s, const char *name, const char *value, const char *origin)
{
    struct err e = ERR_INIT;
    assert_true(settings_say(s, option_by_name(s->table, name, strlen(name)), value, origin, NULL, &e));
}

static void adds_and_replaces(void **state)
{
    (void)state;
    struct settings a, b;
    settings_init(&a, account_options());
    settings_init(&b, account_options());
    say(&a, "from", "x@a", "f:1");
    say(&a, "from", "y@a", "f:2");
    say(&a, "host", "one", "f:3");
    say(&a, "host", "two", "f:4");
    assert_int_equal(settings_get(&a, "from")->values.n, 2);
    assert_string_equal(settings_text(&a, "host"), "two");
    assert_string_equal(settings_get(&a, "host")->origin, "f:4");
    say(&b, "from", "z@b", "g:1");
    say(&b, "host", "", "g:2");
    settings_overlay(&a, &b);
    assert_int_equal(settings_get(&a, "from")->values.n, 1);
    assert_true(settings_get(&a, "host")->set);
    assert_null(settings_text(&a, "host"));
    say(&a, "tls", NULL, "f:5");
    assert_string_equal(settings_text(&a, "tls"), "on");
    settings_free(&a);
    settings_free(&b);
}

static void obsolete(void **state)
{
    (void)state;
    static const struct { const char *name, *value, *today, *text; } cases[] = {
        { "keepbcc", "on", "remove_bcc_headers", "off" },       { "keepbcc", "off", "remove_bcc_headers", "on" },
        { "keepbcc", NULL, "remove_bcc_headers", "off" },       { "connect_timeout", "5", "timeout", "5" },
        { "tls_nocertcheck", NULL, "tls_certcheck", "off" },    { "tls_nostarttls", "on", "tls_starttls", "off" },
        { "add_missing_from_header", "on", "set_from_header", "auto" },
        { "add_missing_date_header", "off", "set_date_header", "off" }, { "auto_from", "on", "auto_from", "on" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings s;
        struct err e = ERR_INIT;
        char *warning;
        settings_init(&s, account_options());
        const struct option *o = option_by_name(s.table, cases[i].name, strlen(cases[i].name));
        assert_true(settings_say(&s, o, cases[i].value, "f:1", &warning, &e));
        assert_string_equal(settings_text(&s, cases[i].today), cases[i].text);
        assert_non_null(warning);
        free(warning);
        settings_free(&s);
    }
}

static void binds(void **state)
{
    (void)state;
    struct settings s;
    struct account a = { 0 };
    struct err e = ERR_INIT;
    settings_init(&s, account_options());
    setenv("HOME", "/home/joe", 1);
    say(&s, "logfile", "~/log", "f:1");
    say(&s, "tls_fingerprint", "aa,bb", "f:2");
    say(&s, "tls_fingerprint", "cc", "f:3");
    say(&s, "dsn_notify", "failure", "f:3");
    say(&s, "dsn_notify", "delay", "f:3");
    say(&s, "tls_trust_file", "", "f:4");
    say(&s, "proxy_port", "", "f:5");
    assert_true(settings_bind(&s, false, &a, &e));
    assert_string_equal(a.logfile, "/home/joe/log");
    assert_int_equal(a.tls_fingerprint.n, 3);
    assert_string_equal(a.dsn_notify, "failure,delay");
    assert_null(a.tls_trust_file);
    assert_int_equal(a.proxy_port, 1080);
    assert_int_equal(a.timeout, 0);
    assert_int_equal(a.tls, ACCOUNT_TLS_AUTO);
    settings_unbind(s.table, &a);
    assert_null(a.logfile);
    assert_true(settings_bind(&s, true, &a, &e));
    assert_int_equal(a.tls, ACCOUNT_TLS_OFF);
    assert_int_equal(a.timeout, 0);
    assert_string_equal(a.domain, "localhost");
    settings_unbind(s.table, &a);
    settings_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(adds_and_replaces), cmocka_unit_test(obsolete), cmocka_unit_test(binds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
