/* What sendmail's callers write, word for word, and what -bs answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/sendmail.h"

static const char *const modes[] = {
    [SENDMAIL_DELIVER] = "deliver", [SENDMAIL_SMTP] = "smtp",       [SENDMAIL_QUEUE] = "queue",
    [SENDMAIL_FLUSH] = "flush",     [SENDMAIL_ALIASES] = "aliases", [SENDMAIL_VERIFY] = "verify",
};

static void add_said(struct buf *out, const struct run *r, int table, const char *name, const char *shown)
{
    const char *text = settings_text(&r->settings[table], name);
    if (text && *shown)
        buf_printf(out, " %s=%s", shown, text);
    else if (text)
        buf_printf(out, " %s", name);
}

/* "deliver from=a@b read_recipients [rcpt rcpt]", or "64: text". Words of the line stand between blanks; '' is an empty one. */
static char *meaning(const char *line)
{
    struct strlist words = STRLIST_INIT;
    struct run r;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT;
    enum sendmail_mode mode;
    strlist_split(&words, line, " ");
    for (size_t i = 0; i < words.n; i++) {
        if (!strcmp(words.v[i], "''"))
            *words.v[i] = '\0';
        for (char *p = words.v[i]; *p; p++) /* a blank within a word */
            *p = *p == '~' ? ' ' : *p;
    }
    send_init(&r);
    if (sendmail_parse(&r, &mode, (int)words.n, words.v, &e) && send_bind(&r, &e)) {
        assert_false(err_is_set(&e));
        buf_adds(&out, modes[mode]);
        if (r.opt.from)
            buf_printf(&out, " from=%s", r.opt.from);
        if (r.opt.read_recipients)
            buf_adds(&out, " t");
        if (r.opt.verbose)
            buf_adds(&out, " v");
        add_said(&out, &r, OF_ACCOUNT, "from_full_name", "name");
        add_said(&out, &r, OF_ACCOUNT, "dsn_notify", "notify");
        add_said(&out, &r, OF_ACCOUNT, "dsn_return", "return");
        add_said(&out, &r, OF_RUN, "transcript", "transcript");
        add_said(&out, &r, OF_RUN, "file", "file");
        add_said(&out, &r, OF_RUN, "account", "account");
        if (r.opt.dsn_envid)
            buf_printf(&out, " envid=%s", r.opt.dsn_envid);
        if (r.log_tag)
            buf_printf(&out, " tag=%s", r.log_tag);
        for (size_t i = 0; i < r.operands.n; i++)
            buf_printf(&out, " [%s]", r.operands.v[i]);
    } else {
        buf_printf(&out, "%d: %s", fault_exit(e.fault), e.text);
        assert_non_null(e.hint);
    }
    send_free(&r);
    err_clear(&e);
    strlist_free(&words);
    return buf_steal(&out);
}

struct row { const char *line, *expected; };

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *got = meaning(rows[i].line);
        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("%s:\n got '%s'\nnot '%s'", rows[i].line, got, rows[i].expected);
        free(got);
    }
}

static void test_callers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* Debian's cron */
        { "/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem root", "deliver name=CronDaemon [root]" },
        /* cronie */
        { "/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root", "deliver from=root t name=CronDaemon" },
        /* systemd-cron */
        { "sendmail -i -B8BITMIME user", "deliver [user]" },
        /* busybox crond, and its other form */
        { "sendmail -ti oem", "deliver t" },
        { "sendmail -ti", "deliver t" },
        /* at */
        { "/usr/sbin/sendmail -i joe", "deliver [joe]" },
        /* mutt */
        { "/usr/sbin/sendmail -oem -oi -- a@x b@y", "deliver [a@x] [b@y]" },
        { "/usr/sbin/sendmail -oem -oi -B8BITMIME -f me@x -N failure,delay -R hdrs -- a@x",
          "deliver from=me@x notify=failure,delay return=hdrs [a@x]" },
        /* bsd-mailx */
        { "send-mail -i -t", "deliver t" },
        /* s-nail */
        { "/usr/sbin/sendmail -i -- a@x", "deliver [a@x]" },
        { "/usr/sbin/sendmail -i -f me@x -- a@x b@y", "deliver from=me@x [a@x] [b@y]" },
        /* git send-email */
        { "/usr/sbin/sendmail -i a@x b@y", "deliver [a@x] [b@y]" },
        { "/usr/sbin/sendmail -f me@x -i a@x b@y", "deliver from=me@x [a@x] [b@y]" },
        /* PHP's mail(), with and without the user's words */
        { "/usr/sbin/sendmail -t -i", "deliver t" },
        { "/usr/sbin/sendmail -t -i -fme@x", "deliver from=me@x t" },
        { "/usr/sbin/sendmail -t -i -r me@x -ODeliveryMode=b", "deliver from=me@x t" },
        /* Symfony */
        { "/usr/sbin/sendmail -bs", "smtp" },
        { "/usr/sbin/sendmail -t -i", "deliver t" },
        /* sudo, mdadm, logwatch, devscripts */
        { "/usr/sbin/sendmail -t", "deliver t" },
        /* fail2ban */
        { "/usr/sbin/sendmail -f fail2ban@x root@localhost", "deliver from=fail2ban@x [root@localhost]" },
        /* Alpine */
        { "/usr/sbin/sendmail -bs -odb -oem", "smtp" },
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_letters(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "sendmail -f <> a@x", "deliver from=<> [a@x]" },
        { "sendmail -f '' a@x", "deliver from= [a@x]" },
        { "sendmail -r a@b -f Joe~<c@d> e@x", "deliver from=Joe~<c@d> [e@x]" },
        { "sendmail -F Doe,~Joe a@x", "deliver name=Doe,~Joe [a@x]" },
        { "sendmail -itv a@x", "deliver t v [a@x]" },
        { "sendmail -bm a@x", "deliver [a@x]" },
        { "sendmail -b m a@x", "deliver [a@x]" },
        { "sendmail -ibs", "smtp" },
        { "sendmail -bp", "queue" },
        { "sendmail -bi", "aliases" },
        { "sendmail -I", "aliases" },
        { "sendmail -bv root", "verify [root]" },
        { "sendmail -q", "flush" },
        { "sendmail -q30m", "flush" },
        { "sendmail -qIabc", "flush" },
        { "sendmail -q -bs", "smtp" },
        { "sendmail -bp -q", "queue" },
        { "/usr/bin/mailq", "queue" },
        { "mailq -Ac -v", "queue v" },
        { "newaliases", "aliases" },
        { "/usr/bin/newaliases -v", "aliases v" },
        { "sendmail -N never -R headers -V a+2Bb a@x", "deliver notify=never return=headers envid=a+b [a@x]" },
        { "sendmail -Nsuccess -Rfull -Vid a@x", "deliver notify=success return=full envid=id [a@x]" },
        { "sendmail -N sometimes -R none -V \xff a@x", "deliver [a@x]" },
        { "sendmail -N never,delay a@x", "deliver [a@x]" },
        { "sendmail -X /tmp/log -L tag a@x", "deliver transcript=/tmp/log tag=tag [a@x]" },
        { "sendmail -C /etc/other -a work a@x", "deliver file=/etc/other account=work [a@x]" },
        { "sendmail --account=work --read-envelope-from a@x", "deliver account=work [a@x]" },
        { "sendmail a@x -f me@x", "deliver from=me@x [a@x]" },
        /* no argument of an ignored option is a recipient */
        { "sendmail -o em -O x=y -O ErrorMode=m -e m -d0.1 -d -h 5 -p smtp -A c -Am -B 7BIT -M id -D /f -Q -Qx a@x", "deliver [a@x]" },
        { "sendmail -G -m -n -U -x -c -s -T -E -J -odi -oMs host -om -ep -B8BITMIME a@x", "deliver [host] [a@x]" },
        { "sendmail -o", "deliver" },
        { "sendmail -B", "deliver" },
        { "sendmail -- -f -t oem --", "deliver [-f] [-t] [oem] [--]" },
        /* not a command, whatever it is called */
        { "sendmail sink", "deliver [sink]" },
        { "sendmail config -t", "deliver t [config]" },
        { "mailq sink", "queue [sink]" },
        { "sendmail oem", "deliver [oem]" },
        { "sendmail -t -i oem", "deliver t [oem]" },
        { "sendmail -ti oem a@x", "deliver t [a@x]" },
    };
    static const struct row wrong[] = {
        { "sendmail -Z a@x", "64: unknown option '-Z'" },
        { "sendmail -tZ", "64: unknown option '-Z'" },
        { "sendmail -bd -q1h", "64: '-bd' is not possible: envoi is no daemon: it listens nowhere" },
        { "sendmail -bD", "64: '-bD' is not possible: envoi is no daemon: it listens nowhere" },
        { "sendmail -bt", "64: '-bt' is not possible: there are no rewriting rules to test" },
        { "sendmail -bh", "64: '-bh' is not possible: there is no host status to print" },
        { "sendmail -bH", "64: '-bH' is not possible: there is no host status to purge" },
        { "sendmail -ba", "64: '-ba' is not possible: ARPANET's mail protocol is not spoken any more" },
        { "sendmail -bx", "64: unknown mode '-bx'" },
        { "sendmail -b", "64: '-b' needs a value" },
        { "sendmail -t -f", "64: '-f' needs a value" },
        { "sendmail --acount=x", "64: unknown option '--acount'" },
        { "sendmail --account x", "64: '--account' needs a value" },
        { "sendmail -t --passwordeval=id", "64: 'passwordeval' is not taken from the command line of sendmail" },
        { "sendmail -t --passwordev=id", "64: 'passwordeval' is not taken from the command line of sendmail" },
    };
    struct row with_blanks[sizeof rows / sizeof *rows];
    char *owned[sizeof rows / sizeof *rows];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        owned[i] = xstrdup(rows[i].expected);
        for (char *p = owned[i]; *p; p++)
            *p = *p == '~' ? ' ' : *p;
        with_blanks[i] = (struct row){ rows[i].line, owned[i] };
    }
    check(with_blanks, sizeof rows / sizeof *rows);
    check(wrong, sizeof wrong / sizeof *wrong);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        free(owned[i]);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(sendmail_is_name("sendmail"));
    assert_true(sendmail_is_name("send-mail")); /* what BSD's mail calls it */
    assert_true(sendmail_is_name("mailq"));
    assert_true(sendmail_is_name("newaliases"));
    assert_false(sendmail_is_name("envoi"));
    assert_false(sendmail_is_name("msmtp"));
    assert_false(sendmail_is_name("sendmail2"));
}

static void set_reply(struct rcpt *r, enum rcpt_fate fate, int code, const char *text)
{
    r->fate = fate;
    r->reply.code = code;
    buf_adds(&r->reply.text, text);
}

static void check_answer(const struct envelope *env, struct err *verdict, const char *expected)
{
    char *text, *whole;
    int code = sendmail_answer(env, verdict, &text);
    whole = xasprintf("%d %s", code, text);
    assert_string_equal(whole, expected);
    free(whole);
    free(text);
    if (verdict)
        err_clear(verdict);
}

static void test_answers(void **state)
{
    (void)state;
    struct envelope env = ENVELOPE_INIT;
    struct err e = ERR_INIT;
    envelope_add(&env, "a@x");
    set_reply(&env.rcpts[0], RCPT_ACCEPTED, 250, "2.0.0 Ok: queued as 4X\nbye");
    check_answer(&env, NULL, "250 2.0.0 Ok: queued as 4X; bye");

    err_set(&e, FAULT_RECIPIENTS, "the server refused the recipient 'a@x'");
    err_stage(&e, STAGE_RCPT);
    err_server(&e, "550 5.1.1 no such user");
    check_answer(&env, &e, "550 5.1.1 the server refused the recipient 'a@x': no such user");

    err_set(&e, FAULT_TEMPORARY, "the server does not take the message now");
    err_stage(&e, STAGE_DOT);
    err_server(&e, "452 full");
    check_answer(&env, &e, "452 4.0.0 the server does not take the message now: full");

    err_set(&e, FAULT_AUTH, "the login was refused"); /* its code means something else to our caller */
    err_stage(&e, STAGE_AUTH);
    err_server(&e, "535 5.7.8 bad");
    err_hint(&e, "look at the password");
    check_answer(&env, &e, "554 5.0.0 the login was refused: 535 5.7.8 bad (look at the password)");

    err_set(&e, FAULT_CONNECT, "cannot connect");
    check_answer(&env, &e, "451 4.0.0 cannot connect");

    err_set(&e, FAULT_CANT_CREATE, "cannot create a temporary file");
    check_answer(&env, &e, "451 4.0.0 cannot create a temporary file");

    envelope_add(&env, "b@x");
    err_set(&e, FAULT_PARTIAL, "1 of 2 recipients did not get the message");
    err_stage(&e, STAGE_RCPT);
    err_server(&e, "b@x refused: 550 5.1.1 no");
    check_answer(&env, &e, "554 5.0.0 1 of 2 recipients did not get the message: b@x refused: 550 5.1.1 no");

    struct buf longest = BUF_INIT;
    for (int i = 0; i < 400; i++)
        buf_adds(&longest, "\xc3\xa4\r\x1b");
    err_set(&e, FAULT_CONFIG, "%s", longest.data);
    char *text;
    assert_int_equal(sendmail_answer(&env, &e, &text), 554);
    assert_true(strlen(text) <= 480);
    assert_null(strpbrk(text, "\r\n\x1b"));
    free(text);
    buf_free(&longest);
    err_clear(&e);
    envelope_free(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
