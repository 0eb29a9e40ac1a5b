/* test_secret: the sources of a password that need no desktop: netrc as a table of files, passwordeval with real commands,
 * credentials, and the prompt on a pseudo-terminal. The keyring is in tests/system/test_secrets.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/netrc.h"
#include "auth/secret.h"

static char home[] = "/tmp/envoi-test-XXXXXX";

static void write_file(const char *name, const char *text, mode_t mode)
{
    char *path = xasprintf("%s/%s", home, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void remove_file(const char *name)
{
    char *path = xasprintf("%s/%s", home, name);
    unlink(path);
    free(path);
}

static void test_netrc(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *user, *password; /* NULL: none */
        int bad_line;
    } rows[] = {
        { "machine h login u password p", "h", "u", "p", 0 },
        { "machine h login u password p\n", "H", "u", "p", 0 },
        { "machine h login u password p", "h", "U", NULL, 0 },
        { "machine h login u password p", "x", "u", NULL, 0 },
        { "machine h\n\tlogin u\n\tpassword p\n", "h", "u", "p", 0 },
        { "machine h\r\n login u\r\n password p\r\n", "h", "u", "p", 0 },
        { "machine h password p login u", "h", "u", "p", 0 },
        { "machine h password p", "h", "u", "p", 0 },
        { "machine h login u password p", "h", NULL, "p", 0 },
        { "machine h login a password 1 machine h login b password 2", "h", "b", "2", 0 },
        { "machine h login b password 1 machine h login b password 2", "h", "b", "1", 0 },
        { "machine g login u password 1\nmachine h login u password 2", "h", "u", "2", 0 },
        { "machine h login u\ndefault login u password d", "h", "u", "d", 0 },
        { "default login u password d", "h", "u", "d", 0 },
        { "default login anonymous password d", "h", "u", NULL, 0 },
        { "machine h login u account a password p", "h", "u", "p", 0 },
        { "# machine h login u password no\nmachine h login u password p # c", "h", "u", "p", 0 },
        { "machine h login u password #p", "h", "u", "#p", 0 },
        { "machine h login u password p#", "h", "u", "p#", 0 },
        { "machine h login \"u x\" password \"a \\\"b\\\\ c\"", "h", "u x", "a \"b\\ c", 0 },
        { "machine h login u password \"\"", "h", "u", "", 0 },
        { "machine h login u password p\"q", "h", "u", "p\"q", 0 },
        { "machine h\nlogin u password \"p\nmachine g", "h", "u", NULL, 2 },
        { "macdef m\nmachine h login u password no\n\nmachine h login u password p", "h", "u", "p", 0 },
        { "macdef m\nmachine h login u password no", "h", "u", NULL, 0 },
        { "machine h login u password p macdef init\ncd /x\n\nmachine h login v password q", "h", "v", "q", 0 },
        { "machine h port 25 login u password p", "h", "u", "p", 0 },
        { "machine", "h", "u", NULL, 0 },
        { "machine h login u password", "h", "u", NULL, 0 },
        { "password p", "h", "u", NULL, 0 },
        { "machine h login u password pässwörd", "h", "u", "pässwörd", 0 },
        { "", "h", "u", NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf password = BUF_SECRET_INIT;
        int bad_line = -1;
        bool found = netrc_find(rows[i].text, strlen(rows[i].text), rows[i].host, rows[i].user, &password, &bad_line);
        if (found != (rows[i].password != NULL) || bad_line != rows[i].bad_line
            || strcmp(password.data, found ? rows[i].password : "") != 0)
            fail_msg("row %zu: found %d '%s' bad line %d", i, found, password.data, bad_line);
        buf_free(&password);
    }
}

static void test_netrc_files(void **state)
{
    (void)state;
    static const struct {
        const char *mine, *systems;
        mode_t mode, system_mode;
        enum secret_status status;
        const char *words; /* the password, or what the error says */
    } rows[] = {
        { "machine h login u password p", NULL, 0600, 0, SECRET_FOUND, "p" },
        { "machine h login u password p", NULL, 0400, 0, SECRET_FOUND, "p" },
        { "machine h login u password p", NULL, 0644, 0, SECRET_ERROR, "others may read it" },
        { "machine h login u password p", NULL, 0640, 0, SECRET_ERROR, "others may read it" },
        { "machine g login u password p", NULL, 0644, 0, SECRET_NONE, "no entry" },
        { "machine h login u password \"p", NULL, 0600, 0, SECRET_ERROR, ":1: a quote" },
        { "machine g login u password p", "machine h login u password s", 0600, 0640, SECRET_FOUND, "s" },
        { "machine h login u password p", "machine h login u password s", 0600, 0640, SECRET_FOUND, "p" },
        { NULL, "machine h login u password s", 0, 0600, SECRET_FOUND, "s" },
        { NULL, "machine h login u password s", 0, 0644, SECRET_ERROR, "others may read it" },
        { NULL, NULL, 0, 0, SECRET_NONE, "No such file" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        char *path = xasprintf("%s/netrc", home);
        if (rows[i].mine)
            write_file(".netrc", rows[i].mine, rows[i].mode);
        if (rows[i].systems)
            write_file("netrc", rows[i].systems, rows[i].system_mode);
        struct secret_params p = { .host = "h", .user = "u", .netrc_system = path };
        enum secret_status status = secret_from_netrc(&p, &out, &e);
        const char *words = status == SECRET_FOUND ? out.data : e.text;
        if (status != rows[i].status || !words || !strstr(words, rows[i].words))
            fail_msg("row %zu: status %d '%s'", i, status, words ? words : "");
        assert_int_equal(err_is_set(&e), status != SECRET_FOUND);
        if (status != SECRET_FOUND)
            assert_int_equal(out.len, 0);
        err_clear(&e);
        buf_free(&out);
        free(path);
        remove_file(".netrc");
        remove_file("netrc");
    }
}

static void test_command(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        enum secret_status status;
        const char *words, *hint; /* the password, or what the error says */
    } rows[] = {
        { "echo secret", SECRET_FOUND, "secret", NULL },
        { "printf secret", SECRET_FOUND, "secret", NULL },
        { "printf 'secret\\r\\n'", SECRET_FOUND, "secret", NULL },
        { "printf ' a b \\nurl: x\\n'", SECRET_FOUND, " a b ", NULL },
        { "printf 'p\\303\\244ss\\n'", SECRET_FOUND, "päss", NULL },
        { "echo ${UNSET-$HOME} | wc -l", SECRET_FOUND, "1", NULL },
        { "cat; echo after", SECRET_FOUND, "after", NULL }, /* stdin is empty */
        { "echo noise >&2; echo secret", SECRET_FOUND, "secret", NULL },
        { "echo secret; sleep 5 >/dev/null 2>&1 &", SECRET_FOUND, "secret", NULL },
        { "sleep 5 >/dev/null & echo secret", SECRET_FOUND, "secret", NULL }, /* holds stderr */
        { "yes secret | head -c 3000000", SECRET_FOUND, "secret", NULL },
        { "head -c 1000000 /dev/zero >&2; echo secret", SECRET_FOUND, "secret", NULL },
        { "kill -s PIPE $$; echo alive", SECRET_ERROR, "signal 13", "said nothing" },
        { "true", SECRET_ERROR, "is empty", "print the password" },
        { "echo; echo secret", SECRET_ERROR, "is empty", "print the password" },
        { "echo secret; exit 3", SECRET_ERROR, "status 3: 'echo", "said nothing" },
        { "echo one >&2; printf 'two\\033\\n\\n' >&2; exit 2", SECRET_ERROR, "status 2", "it said: two?" },
        { "no-such-command-here", SECRET_ERROR, "status 127", "not found" },
        { "kill -s KILL $$", SECRET_ERROR, "signal 9", "said nothing" },
        { "head -c 2000000 /dev/zero | tr '\\0' x", SECRET_ERROR, "without end", NULL },
    };
    time_t begin = time(NULL);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        struct secret_params p = { .host = "h", .user = "u", .passwordeval = rows[i].command };
        enum secret_status status = secret_from_command(&p, &out, &e);
        const char *words = status == SECRET_FOUND ? out.data : e.text;
        if (status != rows[i].status || (status == SECRET_FOUND ? strcmp(words, rows[i].words) != 0 : !strstr(words, rows[i].words))
            || (rows[i].hint && (!e.hint || !strstr(e.hint, rows[i].hint))))
            fail_msg("row %zu: status %d '%s' '%s'", i, status, words, e.hint ? e.hint : "");
        if (status == SECRET_ERROR)
            assert_int_equal(out.len, 0);
        err_clear(&e);
        buf_free(&out);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    }
    assert_true(time(NULL) - begin < 4); /* nobody waited for the sleepers */
}

static void test_command_deadline(void **state)
{
    (void)state;
    struct buf out = BUF_SECRET_INIT;
    struct err e = ERR_INIT;
    usec start = clock_now();
    struct secret_params p = { .passwordeval = "exec sleep 20", .deadline = start + USEC_PER_SEC / 5 };
    assert_int_equal(secret_from_command(&p, &out, &e), SECRET_ERROR);
    assert_int_equal(e.fault, FAULT_TIMEOUT);
    assert_true(clock_now() - start < 10 * USEC_PER_SEC);
    err_clear(&e);
    buf_free(&out);
}

static void test_command_long_line(void **state)
{
    (void)state;
    struct buf out = BUF_SECRET_INIT;
    struct err e = ERR_INIT;
    struct secret_params p = { .passwordeval = "head -c 10240 /dev/zero | tr '\\0' x; echo; echo more" };
    assert_int_equal(secret_from_command(&p, &out, &e), SECRET_FOUND);
    assert_int_equal(out.len, 10240);
    buf_free(&out);
}

static void test_command_inherits_no_descriptor(void **state)
{
    (void)state;
    struct buf out = BUF_SECRET_INIT;
    struct err e = ERR_INIT;
    struct secret_params p = { .passwordeval = "ls /proc/self/fd | sort -n | tr '\\n' ' '" };
    int extra = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(secret_from_command(&p, &out, &e), SECRET_FOUND);
    assert_string_equal(out.data, "0 1 2 3 "); /* 3 is the directory being listed */
    close(extra);
    buf_free(&out);
}

static void test_credential(void **state)
{
    (void)state;
    static const struct {
        const char *account, *text;
        enum secret_status status;
        const char *words;
    } rows[] = {
        { "work", "secret", SECRET_FOUND, "secret" },   { "work", "secret\n", SECRET_FOUND, "secret" },
        { "work", "", SECRET_ERROR, "is empty" },        { "work", NULL, SECRET_NONE, "there is no" },
        { "../envoi.work", "secret", SECRET_NONE, NULL }, { NULL, "secret", SECRET_NONE, NULL },
    };
    setenv("CREDENTIALS_DIRECTORY", home, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        if (rows[i].text)
            write_file("envoi.work", rows[i].text, 0400);
        struct secret_params p = { .account = rows[i].account, .host = "h", .user = "u" };
        assert_int_equal(secret_from_credential(&p, &out, &e), rows[i].status);
        if (rows[i].words)
            assert_non_null(strstr(err_is_set(&e) ? e.text : out.data, rows[i].words));
        err_clear(&e);
        buf_free(&out);
        remove_file("envoi.work");
    }
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_order(void **state)
{
    (void)state;
    static const struct {
        const char *password, *command, *netrc;
        enum secret_status status;
        const char *source, *words;
    } rows[] = {
        { "a", "echo b", "machine h login u password c", SECRET_FOUND, "password", "a" },
        { NULL, "echo b", "machine h login u password c", SECRET_FOUND, "passwordeval", "b" },
        { NULL, NULL, "machine h login u password c", SECRET_FOUND, "netrc", "c" },
        { NULL, "exit 1", "machine h login u password c", SECRET_ERROR, "passwordeval", "status 1" },
        { NULL, "printf 'a\\000b\\n'", NULL, SECRET_ERROR, "passwordeval", "NUL" },
        { NULL, NULL, NULL, SECRET_NONE, NULL, "no password for 'u' at 'h'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        const char *source = NULL;
        if (rows[i].netrc)
            write_file(".netrc", rows[i].netrc, 0600);
        struct secret_params p = { .account = "a", .host = "h", .user = "u", .password = rows[i].password,
                                   .passwordeval = rows[i].command };
        assert_int_equal(secret_get(&p, &out, &source, &e), rows[i].status);
        if (rows[i].source)
            assert_string_equal(source, rows[i].source);
        assert_non_null(strstr(err_is_set(&e) ? e.text : out.data, rows[i].words));
        if (rows[i].status == SECRET_NONE)
            assert_non_null(strstr(e.hint, ".netrc': No such file"));
        err_clear(&e);
        buf_free(&out);
        remove_file(".netrc");
    }
}

/* The child asks on its terminal; we type. What it says about it goes through a pipe. */
struct prompt {
    int master, report;
    pid_t child;
};

static void read_until(int fd, struct buf *seen, const char *words)
{
    while (!strstr(seen->data, words)) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        char block[256];
        assert_int_equal(poll(&p, 1, 10000), 1);
        ssize_t n = read(fd, block, sizeof block);
        assert_true(n > 0);
        buf_add(seen, block, (size_t)n);
    }
}

static struct prompt prompt_start(void)
{
    struct prompt x;
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    x.child = forkpty(&x.master, NULL, NULL, NULL);
    assert_true(x.child >= 0);
    if (x.child == 0) {
        signal(SIGINT, SIG_DFL); /* a shell that runs us in the background has it ignored */
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        struct secret_params p = { .host = "h", .user = "u\033", .may_prompt = true };
        enum secret_status status = secret_from_terminal(&p, &out, &e);
        dprintf(pipe_fds[1], "%d %s\n", status, status == SECRET_FOUND ? out.data : e.text);
        buf_free(&out);
        err_clear(&e);
        _exit(0);
    }
    close(pipe_fds[1]);
    x.report = pipe_fds[0];
    return x;
}

static bool echo_on(int tty)
{
    struct termios t;
    assert_int_equal(tcgetattr(tty, &t), 0);
    return (t.c_lflag & ECHO) != 0;
}

static void test_prompt(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *report;
        int signal; /* that ends it; 0: none */
    } rows[] = {
        { "hidden\n", "0 hidden\n", 0 },
        { "hiddex\177n\n", "0 hidden\n", 0 },
        { "\n", "2 no password was typed\n", 0 },
        { "\004", "2 no password was typed\n", 0 },
        { "hid\003", "", SIGINT },
        { NULL, "", SIGTERM },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf seen = BUF_INIT, report = BUF_INIT;
        struct prompt x = prompt_start();
        int status;
        read_until(x.master, &seen, "password for u? at h: ");
        while (echo_on(x.master)) /* it is switched off right after the prompt */
            usleep(1000);
        if (rows[i].typed)
            assert_true(write(x.master, rows[i].typed, strlen(rows[i].typed)) > 0);
        else
            kill(x.child, rows[i].signal);
        char block[256];
        for (ssize_t n; (n = read(x.report, block, sizeof block)) > 0;)
            buf_add(&report, block, (size_t)n);
        assert_int_equal(waitpid(x.child, &status, 0), x.child);
        assert_string_equal(report.data, rows[i].report);
        assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, rows[i].signal);
        assert_true(echo_on(x.master));
        assert_null(strstr(seen.data, "hid"));
        close(x.master);
        close(x.report);
        buf_free(&seen);
        buf_free(&report);
    }
}

static void test_no_terminal(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct buf out = BUF_SECRET_INIT;
        struct err e = ERR_INIT;
        struct secret_params p = { .host = "h", .user = "u", .may_prompt = true };
        setsid();
        enum secret_status status = secret_from_terminal(&p, &out, &e);
        err_clear(&e);
        _exit(status == SECRET_NONE ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_netrc),
        cmocka_unit_test(test_netrc_files),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_command_deadline),
        cmocka_unit_test(test_command_long_line),
        cmocka_unit_test(test_command_inherits_no_descriptor),
        cmocka_unit_test(test_credential),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_no_terminal),
    };
    close_range(3, ~0U, 0); /* what the caller left open would be seen in the commands */
    if (!mkdtemp(home))
        return 1;
    setenv("HOME", home, 1);
    unsetenv("CREDENTIALS_DIRECTORY");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(home);
    return failed;
}
