/* log: the line, field by field, and that nothing breaks out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "show/show.h"

static char path[] = "/tmp/envoi-log.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* The log after one event of these fields. */
static void logged(const struct field *fields, const char *want)
{
    struct hub h;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    struct show_log l = { .file = path, .time_format = "T", .progname = "envoi" };
    assert_int_equal(truncate(path, 0), 0);
    hub_init(&h);
    show_log_open(&l, &h);
    hub_emit(&h, 0, EV_RESULT, fields);
    hub_emit(&h, 0, EV_NOTE, fields);
    assert_true(file_read(path, 100000, &b, FAULT_IO, &e));
    assert_string_equal(b.data, want);
    buf_free(&b);
    hub_free(&h);
}

static void lines(void **state)
{
    (void)state;
    struct strlist to = STRLIST_INIT;
    strlist_add(&to, "a@example.org");
    strlist_add(&to, "\"b, c' d\r\"@example.org");
    strlist_add(&to, "gr\xc3\xbc\xc3\x9f@example.org");
    logged((const struct field[]){ /* in another order than the line's */
               F_STR("exitcode", "EX_OK"), F_STR("account", "default"), F_STR("host", "mail.example"), F_BOOL("tls", true), F_BOOL("auth", true),
               F_STR("user", "joe smtpstatus=1"), F_STR("from", ""), F_LIST("recipients", &to), F_INT("mailsize", 139),
               F_INT("smtpstatus", 250), F_STR("smtpmsg", "250 2.0.0 Ok: queued as ABC"), F_STR("errormsg", NULL), F_STR("fate", "sent"),
               F_INT("port", 587), F_STR("msgid", "<1@x>"), F_STR("queueid", "ABC"), F_INT("ms", 12), { .type = FIELD_END } },
           "T host=mail.example tls=on auth=on user=joe?smtpstatus=1 from= recipients=a@example.org,\"b??c??d?\"@example.org,"
           "gr\xc3\xbc\xc3\x9f@example.org mailsize=139 smtpstatus=250 smtpmsg='250 2.0.0 Ok: queued as ABC' exitcode=EX_OK port=587 "
           "msgid=<1@x> queueid=ABC ms=12\n");
    logged((const struct field[]){
               F_STR("host", "mail"), F_BOOL("tls", false), F_BOOL("auth", false), F_STR("user", NULL), F_STR("from", "me@x"),
               F_INT("mailsize", 139), F_INT_IF("smtpstatus", false, 0), F_STR("smtpmsg", "550-5.1.1 no \x1b[31m'such'\n550 \xc2\x9b user\x7f"),
               F_STR("errormsg", "it's\nwrong"), F_STR("fate", "not-sent"), F_STR("exitcode", "EX_NOUSER"), { .type = FIELD_END } },
           "T host=mail tls=off auth=off from=me@x smtpmsg='550-5.1.1 no ?[31m?such?\\n550 ? user?' errormsg='it?s\\nwrong' exitcode=EX_NOUSER\n");
    strlist_free(&to);
}

static void default_time(void **state)
{
    (void)state;
    struct hub h;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    struct show_log l = { .file = path, .time_format = "", .progname = "envoi" };
    assert_int_equal(truncate(path, 0), 0);
    hub_init(&h);
    show_log_open(&l, &h);
    emit(&h, 0, EV_RESULT, F_STR("host", "x"));
    emit(&h, 0, EV_RESULT, F_STR("host", "y"));
    assert_true(file_read(path, 1000, &b, FAULT_IO, &e));
    char *second = strchr(b.data, '\n') + 1; /* "Nov 21 20:15:00 host=x" */
    assert_string_equal(b.data + 15, strstr(b.data, " host=x"));
    assert_int_equal(b.data[9], ':');
    assert_string_equal(second + 15, " host=y\n");
    buf_free(&b);
    hub_free(&h);
}

/* What the function writes to stderr. */
static void on_stderr(struct show_log *l, struct buf *out)
{
    struct hub h;
    struct err e = ERR_INIT;
    int fds[2], saved = dup(2);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    close(fds[1]);
    hub_init(&h);
    show_log_open(l, &h);
    emit(&h, 0, EV_RESULT, F_STR("host", "x"));
    dup2(saved, 2);
    close(saved);
    assert_true(file_read_fd(fds[0], 10000, out, &e));
    close(fds[0]);
    hub_free(&h);
}

#define LOOK "  hint: only the line is missing: look at the folder, at who may write there, and at AppArmor or SELinux\n"

static void failures_are_warnings(void **state)
{
    (void)state;
    static const struct { struct show_log l; const char *want; } rows[] = {
        { { .file = "/nonexistent/log" }, "envoi: warning: cannot append to '/nonexistent/log': No such file or directory\n" LOOK },
        { { .file = "/dev/full" }, "envoi: warning: cannot write to '/dev/full': No space left on device\n" },
        { { .file = "/tmp" }, "envoi: warning: cannot append to '/tmp': Is a directory\n" LOOK },
        { { .syslog_facility = "LOG_NEWS" },
          "envoi: warning: unknown syslog facility 'LOG_NEWS'\n  hint: LOG_USER, LOG_MAIL and LOG_LOCAL0 to LOG_LOCAL7 are known\n" },
        { { .file = "", .syslog_facility = "" }, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT;
        struct show_log l = rows[i].l;
        l.progname = "envoi";
        on_stderr(&l, &b);
        assert_string_equal(b.data, rows[i].want);
        buf_free(&b);
    }
}

/* Another process holds the lock until we have begun to wait for it. */
static void waits_for_the_lock(void **state)
{
    (void)state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(truncate(path, 0), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int fd = open(path, O_WRONLY | O_APPEND);
        bool ok = fd >= 0 && !fcntl(fd, F_SETLK, &all) && file_write_all(ready[1], "x", 1);
        usleep(50000); /* longer than one try takes */
        ok = ok && file_write_all(fd, "first\n", 6);
        _exit(ok ? 0 : 1); /* releases the lock */
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    struct hub h;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    struct show_log l = { .file = path, .time_format = "T", .progname = "envoi" };
    hub_init(&h);
    show_log_open(&l, &h);
    emit(&h, 0, EV_RESULT, F_STR("host", "second"));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(file_read(path, 1000, &b, FAULT_IO, &e));
    assert_string_equal(b.data, "first\nT host=second\n");
    buf_free(&b);
    hub_free(&h);
    close(ready[0]);
    close(ready[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines), cmocka_unit_test(default_time), cmocka_unit_test(failures_are_warnings),
        cmocka_unit_test(waits_for_the_lock),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
