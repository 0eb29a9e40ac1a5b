/* file: limits, modes, links, and what is said when something is in the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/envoi-test.XXXXXX";
static char path[128];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void says(struct err *e, enum fault fault, const char *text)
{
    assert_int_equal(e->fault, fault);
    assert_non_null(strstr(e->text, text));
    err_clear(e);
}

static void reading(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    put("ten", "0123456789");
    buf_adds(&b, "x");
    assert_true(file_read(at("ten"), 10, &b, FAULT_CONFIG, &e));
    assert_string_equal(b.data, "x0123456789");
    assert_false(file_read(at("ten"), 9, &b, FAULT_CONFIG, &e));
    says(&e, FAULT_CONFIG, "/ten' is longer than 9 octets");
    assert_false(file_read(at("none"), 9, &b, FAULT_NO_INPUT, &e));
    says(&e, FAULT_NO_INPUT, "/none': No such file or directory");
    assert_false(file_read(dir, 9, &b, FAULT_IO, &e));
    says(&e, FAULT_IO, "Is a directory");
    assert_false(file_read("/dev/zero", 100, &b, FAULT_IO, &e));
    says(&e, FAULT_IO, "longer than 100 octets");
    buf_reset(&b);
    assert_true(file_read("/dev/null", 100, &b, FAULT_IO, &e));
    assert_int_equal(b.len, 0);
    assert_false(file_read_fd(-1, 100, &b, &e));
    says(&e, FAULT_IO, "Bad file descriptor");
    buf_free(&b);
}

static void through_a_pipe(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    int fds[2];
    char block[30000];
    memset(block, 'y', sizeof block);
    assert_int_equal(pipe(fds), 0);
    assert_true(file_write_all(fds[1], block, sizeof block));
    close(fds[1]);
    assert_true(file_read_fd(fds[0], sizeof block, &b, &e));
    assert_int_equal(b.len, sizeof block);
    assert_false(file_write_all(fds[0], "x", 1));
    assert_int_equal(errno, EBADF);
    close(fds[0]);
    buf_free(&b);
}

static void appending(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;
    for (int i = 0; i < 2; i++) {
        int fd = file_open_append(at("log"), &e);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(file_write_all(fd, "ab", 2));
        close(fd);
    }
    assert_int_equal(mode_of(at("log")) & 07777, 0600);
    assert_true(file_read(at("log"), 100, &b, FAULT_IO, &e));
    assert_string_equal(b.data, "abab");
    assert_int_equal(symlink("/nonexistent/file", at("dangling")), 0);
    assert_int_equal(file_open_append(at("dangling"), &e), -1);
    says(&e, FAULT_CANT_CREATE, "cannot append to");
    assert_int_equal(symlink("log", at("link")), 0);
    int fd = file_open_append(at("link"), &e);
    assert_true(fd >= 0);
    close(fd);
    buf_free(&b);
}

static void creating(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    mode_t old = umask(0);
    int fd = file_create_private(at("new"), &e);
    umask(old);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mode_of(at("new")) & 07777, 0600);
    assert_int_equal(file_create_private(at("new"), &e), -1);
    says(&e, FAULT_CANT_CREATE, "File exists");
    assert_int_equal(symlink("elsewhere", at("trap")), 0);
    assert_int_equal(file_create_private(at("trap"), &e), -1);
    says(&e, FAULT_CANT_CREATE, "cannot create");
    assert_int_equal(access(at("elsewhere"), F_OK), -1);
}

static void nameless(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct stat st;
    char c = 0;
    setenv("TMPDIR", dir, 1);
    int fd = file_unlinked(&e);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_true(file_write_all(fd, "x", 1));
    assert_int_equal(pread(fd, &c, 1, 0), 1);
    close(fd);
    setenv("TMPDIR", "/nonexistent", 1);
    assert_int_equal(file_unlinked(&e), -1);
    says(&e, FAULT_CANT_CREATE, "in '/nonexistent'");
    unsetenv("TMPDIR");
}

static void directories(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    assert_true(file_mkdirs(at("a/b//c/"), &e));
    assert_int_equal(mode_of(at("a/b/c")), S_IFDIR | 0700);
    assert_true(file_mkdirs(at("a/b/c"), &e));
    assert_true(file_mkdirs("/", &e));
    put("plain", "");
    assert_false(file_mkdirs(at("plain/x"), &e));
    says(&e, FAULT_CANT_CREATE, "Not a directory");
    assert_false(file_mkdirs(at("plain"), &e));
    says(&e, FAULT_CANT_CREATE, "/plain': Not a directory");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    static const char *const names[] = { "ten", "log", "dangling", "link", "new", "trap", "plain", "a/b/c", "a/b", "a", "" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(at(names[i]));
    return access(dir, F_OK) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading), cmocka_unit_test(through_a_pipe), cmocka_unit_test(appending),
        cmocka_unit_test(creating), cmocka_unit_test(nameless), cmocka_unit_test(directories),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
