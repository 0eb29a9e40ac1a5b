/* cmdline: arguments into settings. */
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
#include "conf/cmdline.h"

struct parsed {
    struct settings s[2];
    struct strlist operands, warnings;
    struct err e;
    bool ok;
};

/* The words of one string, separated by blanks; "''" is an empty argument. */
static struct parsed parse(const char *line)
{
    struct parsed p = { .e = ERR_INIT };
    struct strlist argv = STRLIST_INIT;
    strlist_split(&argv, line, " ");
    for (size_t i = 0; i < argv.n; i++)
        if (!strcmp(argv.v[i], "''"))
            argv.v[i][0] = '\0';
    settings_init(&p.s[0], account_options());
    settings_init(&p.s[1], send_option_table());
    p.ok = cmdline_parse((int)argv.n, argv.v, p.s, 2, &p.operands, &p.warnings, &p.e);
    strlist_free(&argv);
    return p;
}

static void parsed_free(struct parsed *p)
{
    settings_free(&p->s[0]);
    settings_free(&p->s[1]);
    strlist_free(&p->operands);
    strlist_free(&p->warnings);
    err_clear(&p->e);
}

static void good(void **state)
{
    (void)state;
    static const struct { const char *line, *option, *value; size_t operands, warnings; } cases[] = {
        { "--host=h a@b", "host", "h", 1, 0 },     { "--host h a@b", "host", "h", 1, 0 },
        { "a@b --HOST h", "host", "h", 1, 0 },     { "--tls a@b", "tls", "on", 1, 0 },
        { "--tls=off a@b", "tls", "off", 1, 0 },   { "--no-tls a@b", "tls", "off", 1, 0 },
        { "--tls_start", "tls_starttls", "on", 0, 0 }, { "-fme@x a", "from", "me@x", 1, 0 },
        { "-f '' a", "from", "", 1, 0 },           { "-vdt -Fjoe a", "from_full_name", "joe", 1, 0 },
        { "-- --host a", "host", NULL, 2, 0 },     { "-", "host", NULL, 1, 0 },
        { "-oem -oi -f a@b -N failure,delay -R hdrs -- r", "dsn_return", "hdrs", 1, 0 },
        { "-FCronDaemon -i -B8BITMIME -oem r", "from_full_name", "CronDaemon", 1, 0 },
        { "-bm -t -i -hN -G -m -n -Ltag -Oa=b", "read_recipients", "on", 0, 0 },
        { "-4 r", "ipv4_only", "on", 1, 0 },       { "--keepbcc", "remove_bcc_headers", "off", 0, 1 },
        { "--host=", "host", NULL, 0, 0 },         { "--port= x", "port", NULL, 1, 0 },
        { "--from=q@x", "from", "q@x", 0, 0 },     { "--json --dry-run", "dry_run", "on", 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p = parse(cases[i].line);
        if (!p.ok)
            fail_msg("%s: %s", cases[i].line, p.e.text);
        const char *value = settings_text(&p.s[1], cases[i].option);
        if (!value)
            value = settings_text(&p.s[0], cases[i].option);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        else
            assert_null(value);
        assert_int_equal(p.operands.n, cases[i].operands);
        assert_int_equal(p.warnings.n, cases[i].warnings);
        parsed_free(&p);
    }
}

static void bad(void **state)
{
    (void)state;
    static const struct { const char *line, *text, *hint; } cases[] = {
        { "--hsot=x", "unknown option '--hsot'", "did you mean '--host'?" },
        { "--tls-c", "'--tls-c' is not unique", "--tls-crl-file, --tls-cert-file, --tls-certcheck" },
        { "--host", "'--host' needs a value", "--host=HOST" },
        { "-f", "'-f' needs a value", "-f ADDRESS" },
        { "-Z", "unknown option '-Z'", "--help" },
        { "--password=x", "unknown option '--password'", "file" },
        { "--port=x", "'port' is a number", NULL },
        { "-bs", "'-b' cannot be 's'", "write m" },
        { "--domain=a\nb", "line break", NULL },
        { "-fa\rb", "line break", NULL },
        { "--no-host", "unknown option '--no-host'", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed p = parse(cases[i].line);
        assert_false(p.ok);
        assert_int_equal(p.e.fault, FAULT_USAGE);
        if (!strstr(p.e.text, cases[i].text) || (cases[i].hint && (!p.e.hint || !strstr(p.e.hint, cases[i].hint))))
            fail_msg("%s: %s (%s)", cases[i].line, p.e.text, p.e.hint ? p.e.hint : "");
        parsed_free(&p);
    }
}

/* What was said between two words for parts counts: they are kept in their order, and copied so. */
static void ordered(void **state)
{
    (void)state;
    struct parsed p = parse("--attach=a --subject=s --attach-type t/x --attach=b,c --attach-name= --header=X:y -- r");
    struct settings copy;
    static const char *const want[] = { "attach=a", "attach_type=t/x", "attach=b,c", "attach_name=", "header=X:y" };
    assert_true(p.ok);
    settings_copy(&copy, &p.s[1]);
    assert_int_equal(copy.ordered.n, sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_string_equal(copy.ordered.v[i], want[i]);
    settings_free(&copy);
    parsed_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(ordered) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
