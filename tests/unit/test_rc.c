/* rc: lines, accounts, includes, permissions, eval and the choice of an account. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/account.h"

static struct rc read_rc(const char *text, bool msmtp, struct err *e)
{
    struct rc rc = RC_INIT;
    rc_parse(&rc, "rc", text, strlen(text), msmtp, e);
    return rc;
}

static void errors(void **state)
{
    (void)state;
    static const struct { const char *text, *where, *hint; } cases[] = {
        { "hsot x\n", "rc:1:1: unknown command 'hsot'\n    hsot x\n    ^", "did you mean 'host'?" },
        { "\n\tport 0\n", "rc:2:7: 'port' is a number from 1 to 65535, not '0'\n     port 0\n          ^", NULL },
        { "host \"a\n", "rc:1:6: the quote is not closed", "end it" },
        { "host \"a\" b\n", "rc:1:9: text after the closing quote", NULL },
        { "host \"a\\q\"\n", "rc:1:8: unknown escape", NULL },
        { "account\n", "the account has no name", NULL },
        { "account a b\n", "rc:1:11: text after", NULL },
        { "account a :\n", "the name of an account is missing", NULL },
        { "account work\naccount b : wrok\n", "rc:2:13: there is no account 'wrok'", "did you mean 'work'?" },
        { "account a\naccount a\n", "a second account 'a'", "rc:1" },
        { "include\n", "the file's name is missing", NULL },
        { "include /nonexistent/x\n", "cannot read '/nonexistent/x'", NULL },
        { "domain \"a\\nb\"\n", "line break", NULL },
        { "host a\rb\n", "line break", NULL },
        { "pasword hunter2\n", "pasword ***", "did you mean 'password'?" },
        { "password \"hunter2\n", "password ***", NULL },
        { "eval\n", "the command is missing", NULL },
        { "port 1\ntls maybe\n", "rc:2:5: 'tls' is on, off or auto, not 'maybe'", NULL },
        { "tls_starttls 2\n", "rc:1:14: 'tls_starttls' is on or off", NULL },
        { "auth plian\n", "rc:1:6: 'auth' cannot be 'plian'", "did you mean 'plain'?" },
        { "syslog LOG_NEWS\n", "rc:1:8: 'syslog' cannot be 'LOG_NEWS'", NULL },
        { "timeout soon\n", "rc:1:9: 'timeout' is a time, not 'soon'", "write seconds" },
        { "dsn_notify failure,often\n", "rc:1:12: 'dsn_notify' cannot be 'often'", NULL },
        { "protocol imap\n", "rc:1:10: 'protocol' cannot be 'imap'", NULL },
        { "keepbcc maybe\n", "rc:1:9: 'keepbcc' is on or off", NULL },
        { "connect_timeout soon\n", "rc:1:17: ", NULL },
        { "from \"a\\nb\"\n", "rc:1:6: 'from' holds a line break", NULL },
        { "account \xc3\xa4 : \xc3\xb6\n", "rc:1:13: there is no account", NULL },
        { ": x\n", "rc:1:1: unknown command ':'", NULL },
        { "read_recipients on\n", "unknown command", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct rc rc = read_rc(cases[i].text, false, &e);
        if (!err_is_set(&e) || !strstr(e.text, cases[i].where) || strstr(e.text, "hunter2") ||
            (cases[i].hint && (!e.hint || !strstr(e.hint, cases[i].hint))))
            fail_msg("%s: %s (%s)", cases[i].text, e.text ? e.text : "no error", e.hint ? e.hint : "");
        int line, column, end = 0;
        if (sscanf(e.text, "rc:%d:%d: %n", &line, &column, &end) != 2 || !end)
            fail_msg("no place: %s", e.text);
        assert_int_equal(fault_exit(e.fault), cases[i].text[0] == 'i' && e.fault == FAULT_NO_INPUT ? 66 : 78);
        err_clear(&e);
        rc_free(&rc);
    }
    struct err e = ERR_INIT;
    struct rc rc = RC_INIT;
    assert_false(rc_parse(&rc, "rc", "host a\0b\n", 9, false, &e));
    assert_non_null(strstr(e.text, "NUL"));
    err_clear(&e);
    rc_free(&rc);
}

static const char *value(const struct rc *rc, const char *account, const char *option)
{
    const struct rc_account *a = rc_find(rc, account);
    assert_non_null(a);
    return settings_text(&a->settings, option);
}

static void accounts(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct rc rc = read_rc("\xef\xbb\xbfport 26\r\ndefaults\ntls on\naccount a\nhost \"a \\\"b\\\"\"\nfrom x@a\nfrom y@a\n# c\n"
                           "account b:a\nfrom z@b\nuser\ntls\naccount c : a , b\ndefaults\nport 27\naccount \"default : c\"",
                           false, &e);
    assert_false(err_is_set(&e));
    assert_int_equal(rc.n, 4);
    assert_string_equal(value(&rc, "a", "port"), "26");
    assert_string_equal(value(&rc, "a", "host"), "a \"b\"");
    assert_int_equal(settings_get(&rc_find(&rc, "a")->settings, "from")->values.n, 2);
    assert_int_equal(settings_get(&rc_find(&rc, "b")->settings, "from")->values.n, 1);
    assert_string_equal(value(&rc, "c", "from"), "z@b");
    assert_string_equal(value(&rc, "c", "port"), "26");
    assert_string_equal(value(&rc, "default", "port"), "27"); /* of the defaults that hold there */
    assert_string_equal(value(&rc, "default", "from"), "z@b");
    assert_string_equal(settings_get(&rc_find(&rc, "a")->settings, "port")->origin, "rc:1");
    rc_free(&rc);
}

static void only_defaults(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct rc rc = read_rc("host mail.example\nfrom me@x.example\n", false, &e);
    assert_int_equal(rc.n, 1);
    assert_string_equal(value(&rc, "default", "host"), "mail.example");
    rc_free(&rc);
    rc = read_rc("tls on\n", false, &e); /* reaches nothing */
    assert_int_equal(rc.n, 0);
    rc_free(&rc);
    rc = read_rc("host mail.example\naccount a\n", false, &e);
    assert_int_equal(rc.n, 1);
    assert_null(rc_find(&rc, "default"));
    rc_free(&rc);
}

/* No escapes, the last `from` counts, and a file without accounts is the account default. */
static void msmtp(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct rc rc = read_rc("host x\nuser \"x\\\"y\"\npasswordeval \"a b\" c\nfrom a@x\nfrom b@x\ntls_certcheck\n", true, &e);
    assert_false(err_is_set(&e));
    assert_string_equal(value(&rc, "default", "user"), "x\\\"y");
    assert_string_equal(value(&rc, "default", "passwordeval"), "\"a b\" c");
    assert_string_equal(value(&rc, "default", "from"), "b@x");
    assert_int_equal(settings_get(&rc.v[0].settings, "from")->values.n, 1);
    assert_string_equal(value(&rc, "default", "tls_certcheck"), "on");
    rc_free(&rc);
}

static void choice(void **state)
{
    (void)state;
    static const struct { const char *sender, *account; } cases[] = {
        { "ME@work.example", "work" },      { "me+x@work.example", "work" }, { "a@sub.home.example", "home" },
        { "B@HOME.example", "default" },    { NULL, "default" },             { "", "default" },
        { "u@[192.0.2.1]", "literal" },     { "u+d@[192.0.2.1]", "literal" }, { "other@x", "default" },
    };
    struct err e = ERR_INIT;
    struct rc rc = read_rc("account work\nhost w\nfrom me@work.example\naccount home\nhost h\nfrom q@x, *@*.HOME.example\n"
                           "account literal\nfrom u@[192.0.2.1]\naccount default\nhost d\n", false, &e);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(rc_choose(&rc, NULL, cases[i].sender, &e)->name, cases[i].account);
    assert_null(rc_choose(&rc, "wrok", NULL, &e));
    assert_string_equal(e.hint, "did you mean 'work'?");
    err_clear(&e);
    rc_free(&rc);
    rc = read_rc("account one\nhost w\n", false, &e);
    assert_string_equal(rc_choose(&rc, NULL, NULL, &e)->name, "one");
    rc_free(&rc);
    rc = read_rc("account one\nhost w\naccount two\nhost x\n", false, &e);
    assert_null(rc_choose(&rc, NULL, NULL, &e));
    assert_non_null(strstr(e.hint, "account default : one"));
    err_clear(&e);
    rc_free(&rc);
}

static void evals(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct settings s;
    struct rc rc = read_rc("account a\nhost old\nport 1\neval echo host new; echo port 2; echo user $((40+2)); cat\nport 3\n"
                           "account b : a\nuser joe\naccount bad\neval echo hsot x\naccount worse\neval exit 3\n", false, &e);
    assert_false(err_is_set(&e));
    assert_true(rc_settings(rc_find(&rc, "a"), &s, &e));
    assert_string_equal(settings_text(&s, "host"), "new");
    assert_string_equal(settings_text(&s, "port"), "3");
    assert_string_equal(settings_text(&s, "user"), "42");
    settings_free(&s);
    assert_true(rc_settings(rc_find(&rc, "b"), &s, &e));
    assert_string_equal(settings_text(&s, "user"), "joe");
    assert_string_equal(settings_text(&s, "host"), "new");
    settings_free(&s);
    assert_false(rc_settings(rc_find(&rc, "bad"), &s, &e));
    assert_non_null(strstr(e.text, "output of eval at rc:9:1:1: unknown command 'hsot'"));
    err_clear(&e);
    settings_free(&s);
    assert_false(rc_settings(rc_find(&rc, "worse"), &s, &e));
    assert_non_null(strstr(e.text, "status 3"));
    err_clear(&e);
    settings_free(&s);
    rc_free(&rc);
}

static void eval_has_a_deadline(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct settings s;
    struct rc rc = read_rc("account a\neval sleep 30\ntimeout 0.1\naccount b\neval yes host\n", false, &e);
    assert_false(rc_settings(rc_find(&rc, "a"), &s, &e));
    assert_string_equal(e.text, "rc:2: the 'eval' command did not end within 0.1 s");
    err_clear(&e);
    settings_free(&s);
    assert_false(rc_settings(rc_find(&rc, "b"), &s, &e));
    assert_string_equal(e.text, "rc:5: the 'eval' command prints too much");
    err_clear(&e);
    settings_free(&s);
    rc_free(&rc);
}

static void from_of_eval(void **state)
{
    (void)state;
    static const char text[] = "account a\nfrom a@x\naccount e\neval echo from e@x\naccount default\n";
    struct err e = ERR_INIT;
    struct rc rc = read_rc(text, true, &e);
    assert_string_equal(rc_choose(&rc, NULL, "e@x", &e)->name, "e");
    assert_string_equal(rc_choose(&rc, NULL, "a@x", &e)->name, "a");
    rc_free(&rc);
    rc = read_rc(text, false, &e); /* not run to look */
    assert_string_equal(rc_choose(&rc, NULL, "e@x", &e)->name, "default");
    rc_free(&rc);
    rc = read_rc("account e\neval exit 3\naccount default\n", true, &e);
    assert_null(rc_choose(&rc, NULL, "e@x", &e));
    assert_non_null(strstr(e.text, "status 3"));
    err_clear(&e);
    rc_free(&rc);
}

static char dir[] = "/tmp/envoi-test-rc-XXXXXX";

static void put(const char *name, const char *text, mode_t mode)
{
    char *path = xasprintf("%s/%s", dir, name);
    struct err e = ERR_INIT;
    unlink(path);
    int fd = file_create_private(path, &e);
    assert_true(fd >= 0);
    assert_true(file_write_all(fd, text, strlen(text)));
    close(fd);
    chmod(path, mode);
    free(path);
}

static bool load(struct rc *rc, const char *name, struct err *e)
{
    char *path = name ? xasprintf("%s/%s", dir, name) : NULL;
    *rc = (struct rc)RC_INIT;
    bool ok = rc_load(rc, &(struct rc_params){ .user_file = path }, e);
    free(path);
    return ok;
}

static void files(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct rc rc;
    put("main", "include parts.*\naccount default : one\n", 0644);
    put("parts.1", "account one\nhost h1\n", 0644);
    put("parts.2", "account two\nhost h2\n", 0644);
    assert_true(load(&rc, "main", &e));
    assert_int_equal(rc.n, 3);
    rc_free(&rc);
    put("parts.2", "include main\n", 0644);
    assert_false(load(&rc, "main", &e));
    assert_non_null(strstr(e.text, "includes itself"));
    err_clear(&e);
    rc_free(&rc);
    put("secret", "account x\nhost h\npassword hunter2\n", 0640);
    assert_false(load(&rc, "secret", &e));
    assert_non_null(strstr(e.text, "secret:3:1: 'password' in a file that others may read"));
    assert_null(strstr(e.text, "hunter2"));
    err_clear(&e);
    rc_free(&rc);
    put("secret", "account x\nhost h\npassword hunter2\n", 0600);
    assert_true(load(&rc, "secret", &e));
    rc_free(&rc);
    assert_false(load(&rc, "missing", &e));
    assert_int_equal(e.fault, FAULT_NO_INPUT);
    err_clear(&e);
    rc_free(&rc);
}

/* envoi's own file before msmtp's; without any, the environment. */
static void places(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct rc rc;
    setenv("HOME", dir, 1);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("SMTPSERVER");
    assert_true(load(&rc, NULL, &e));
    assert_null(rc_choose(&rc, NULL, NULL, &e));
    assert_non_null(strstr(e.text, ".msmtprc"));
    assert_non_null(strstr(e.hint, "/.config/envoi/config would do:\n    account default"));
    err_clear(&e);
    rc_free(&rc);
    setenv("SMTPSERVER", "mail.example", 1);
    setenv("EMAIL", "me@example", 1);
    assert_true(load(&rc, NULL, &e));
    const struct rc_account *a = rc_choose(&rc, NULL, NULL, &e);
    assert_string_equal(settings_text(&a->settings, "host"), "mail.example");
    assert_string_equal(settings_text(&a->settings, "from"), "me@example");
    rc_free(&rc);
    put(".msmtprc", "host m\n", 0600);
    assert_true(load(&rc, NULL, &e));
    assert_true(rc_choose(&rc, NULL, NULL, &e)->msmtp);
    rc_free(&rc);
    assert_true(load(&rc, ".msmtprc", &e));
    assert_true(rc.v[0].msmtp);
    rc_free(&rc);
    put(".envoirc", "account default\nhost m\n", 0600);
    assert_true(load(&rc, NULL, &e));
    assert_false(rc_choose(&rc, NULL, NULL, &e)->msmtp);
    rc_free(&rc);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = { "main", "parts.1", "parts.2", "secret", ".msmtprc", ".envoirc" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = xasprintf("%s/%s", dir, names[i]);
        unlink(path);
        free(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors), cmocka_unit_test(accounts), cmocka_unit_test(only_defaults), cmocka_unit_test(msmtp), cmocka_unit_test(choice),
        cmocka_unit_test(evals), cmocka_unit_test(eval_has_a_deadline), cmocka_unit_test(from_of_eval),  cmocka_unit_test(files),    cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
