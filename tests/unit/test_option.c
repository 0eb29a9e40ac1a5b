/* option: finding rows, reading values, --help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/account.h"

static const struct option *row(const char *name)
{
    return option_by_name(account_options(), name, strlen(name));
}

static void finding(void **state)
{
    (void)state;
    struct option_table t = account_options();
    bool ambiguous;
    assert_ptr_equal(row("tls-starttls"), row("TLS_STARTTLS"));
    assert_null(row("tls_start"));
    assert_ptr_equal(option_by_prefix(t, "tls-st", 6, &ambiguous), row("tls_starttls"));
    assert_false(ambiguous);
    assert_ptr_equal(option_by_prefix(t, "tls", 3, &ambiguous), row("tls"));
    assert_null(option_by_prefix(t, "tls-c", 5, &ambiguous));
    assert_true(ambiguous);
    assert_ptr_equal(option_by_letter(t, 'N'), row("dsn_notify"));
    assert_null(option_by_letter(t, 'Q'));
    assert_string_equal(option_nearest(t, "hsot"), "host");
    assert_string_equal(option_nearest(t, "tls-startls"), "tls_starttls");
    assert_null(option_nearest(t, "qqqqqqqq"));
}

static void values(void **state)
{
    (void)state;
    static const struct { const char *name, *text; bool ok; long long value; } cases[] = {
        { "keyring", "ON", true, 1 },        { "keyring", "no", true, 0 },         { "keyring", "maybe", false, 0 },
        { "tls", "auto", true, TRI_AUTO },   { "tls", "True", true, TRI_ON },      { "tls", "x", false, 0 },
        { "port", "25", true, 25 },          { "port", "0", false, 0 },            { "port", "65536", false, 0 },
        { "port", "25x", false, 0 },         { "port", "auto", true, 0 },          { "port", "auto,2525", true, 0 },
        { "port", "25,", false, 0 },         { "port", ",25", false, 0 },          { "port", "465,0", false, 0 },
                { "protocol", "LMTP", true, 1 },      { "protocol", "http", false, 0 },
        { "timeout", "30", true, 30000000 }, { "timeout", "1.5", true, 1500000 },  { "timeout", "2m", true, 120000000 },
        { "timeout", "off", true, 0 },       { "timeout", "-1", false, 0 },        { "timeout", "1e9", false, 0 },
        { "timeout", "0", false, 0 },        { "timeout", "99999999999999999999", false, 0 },
        { "host", "a\nb", false, 0 },        { "host", "a\rb", false, 0 },         { "logfile", "a\nb", true, 0 },
        { "auth", "Scram-Sha-1", true, 0 },  { "auth", "plian", false, 0 },        { "syslog", "LOG_LOCAL9", false, 0 },
        { "dsn_notify", "failure,delay", true, 0 }, { "dsn_notify", "failure,x", false, 0 },
        { "tls_policy", "verify", true, 0 },  { "tls_policy", "Example.org \tDANE-only, may", true, 0 },
        { "tls_policy", ".example.org none", true, 0 },   { "tls_policy", "[192.0.2.1] none", true, 0 },
        { "tls_policy", "", false, 0 },       { "tls_policy", "dane-olny", false, 0 },
        { "tls_policy", "verify,", false, 0 }, { "tls_policy", "verify example.org", false, 0 },
        { "tls_policy", "a b verify", false, 0 }, { "tls_policy", "you@example.org may", false, 0 },
        { "tls_policy", "example.org", false, 0 },   { "tls_policy", ". may", false, 0 },
        { "tls_policy", "..example.org may", false, 0 }, { "tls_policy", "*.example.org may", false, 0 },
        { "tls_policy", "\xff.example may", false, 0 }, { "tls_policy", "example.org;may may", false, 0 },
        { "tls_policy", "example.org. may", true, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct option *o = row(cases[i].name);
        union option_value v = { 0 };
        struct err e = ERR_INIT;
        bool ok = option_value(o, cases[i].text, &v, FAULT_CONFIG, &e);
        if (ok != cases[i].ok)
            fail_msg("%s %s", cases[i].name, cases[i].text);
        if (ok && o->type == OPTION_SECONDS)
            assert_int_equal(v.time, cases[i].value);
        else if (ok && o->type == OPTION_NUMBER)
            assert_int_equal(v.number, cases[i].value);
        else if (ok && o->type == OPTION_FLAG)
            assert_int_equal(v.flag, cases[i].value);
        else if (ok && (o->type == OPTION_TRI || o->type == OPTION_WORD))
            assert_int_equal(v.word, cases[i].value);
        assert_int_equal(err_is_set(&e), !ok);
        err_clear(&e);
    }
}

/* What a row says of itself must fit together. */
static void rows(void **state)
{
    (void)state;
    struct option_table tables[] = { account_options(), send_option_table() };
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < tables[t].n; i++) {
            const struct option *o = &tables[t].rows[i];
            union option_value v;
            struct err e = ERR_INIT;
            if (o->def && !option_value(o, o->def, &v, FAULT_CONFIG, &e))
                fail_msg("%s: default", o->name);
            if (o->def_msmtp && !option_value(o, o->def_msmtp, &v, FAULT_CONFIG, &e))
                fail_msg("%s: msmtp's default", o->name);
            assert_true(o->name || o->letter);
            assert_true(!o->name || o->today || (o->help && o->group));
            assert_false((o->flags & OPTION_SECRET) && (o->flags & OPTION_IN_ARGV));
            if (o->today)
                assert_non_null(option_by_name(tables[t], o->today, strcspn(o->today, "=")));
        }
}

static void help_fits(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    option_help(account_options(), &out);
    option_help(send_option_table(), &out);
    for (const char *p = out.data; *p; p += strcspn(p, "\n") + 1)
        assert_in_range(strcspn(p, "\n"), 0, 79);
    assert_non_null(strstr(out.data, "  -f, --from=ADDRESS"));
    assert_non_null(strstr(out.data, "--tls[=auto|on|off]"));
    assert_null(strstr(out.data, "--auto-from"));
    assert_null(strstr(out.data, "--password="));
    buf_free(&out);
}

/* Only what came later than the rest says so. */
static void help_tells_since(void **state)
{
    (void)state;
    static const struct option rows[] = {
        { .name = "old", .flags = OPTION_IN_ARGV, .group = "G", .help = "was always there" },
        { .name = "new", .flags = OPTION_IN_ARGV, .group = "G", .help = "was not", .since = "9.9" },
    };
    struct buf out = BUF_INIT;
    option_help((struct option_table){ rows, 2 }, &out);
    assert_non_null(strstr(out.data, "was always there\n"));
    assert_non_null(strstr(out.data, "was not (since 9.9)\n"));
    buf_free(&out);
}

/* The hint keeps the level that was wanted. */
static void test_level_in_the_hint(void **state)
{
    (void)state;
    static const struct { const char *text, *hint; } cases[] = {
        { "a b dane-only", "'example.org dane-only'" }, { "*.example.org verify", "'example.org verify'" },
        { "a b verfy", "'example.org verify'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        union option_value v = { 0 };
        struct err e = ERR_INIT;
        assert_false(option_value(row("tls_policy"), cases[i].text, &v, FAULT_CONFIG, &e));
        assert_non_null(strstr(e.hint, cases[i].hint));
        err_clear(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_in_the_hint),
        cmocka_unit_test(finding), cmocka_unit_test(values), cmocka_unit_test(rows), cmocka_unit_test(help_fits), cmocka_unit_test(help_tells_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
