/* cache: what is kept, and every file and folder that is not to be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cache.h"

static char dir[] = "/tmp/envoi-test.XXXXXX";
static char path[1024];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *f = fopen(at(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(at(name), mode), 0);
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(lstat(at(name), &st), 0);
    return st.st_mode & 07777;
}

static size_t files_in(const char *name)
{
    DIR *d = opendir(at(name));
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *one; (one = readdir(d));)
        n += one->d_type == DT_REG;
    closedir(d);
    return n;
}

/* What is read, "-" for nothing. */
static void holds(const char *name, const char *text)
{
    struct buf b = BUF_INIT;
    buf_adds(&b, ">");
    if (cache_read("kind", name, 100, &b)) {
        assert_string_equal(b.data + 1, text);
    } else {
        assert_string_equal(b.data, ">");
        assert_string_equal("-", text);
    }
    buf_free(&b);
}

static void test_kept(void **state)
{
    (void)state;
    mode_t old = umask(0);
    holds("one", "-");
    assert_int_equal(access(at("home/cache"), F_OK), -1); /* reading makes nothing */
    assert_true(cache_write("kind", "one", "first", 5));
    assert_true(cache_write("kind", "one", "second", 6));
    umask(old);
    holds("one", "second");
    assert_int_equal(mode_of("home/cache"), 0700);
    assert_int_equal(mode_of("home/cache/envoi"), 0700);
    assert_int_equal(mode_of("home/cache/envoi/kind"), 0700);
    assert_int_equal(mode_of("home/cache/envoi/kind/one"), 0600);
    assert_int_equal(files_in("home/cache/envoi/kind"), 1);
    cache_remove("kind", "one");
    holds("one", "-");
    cache_remove("kind", "one");
    assert_true(cache_write("kind", "empty", "", 0));
    holds("empty", "");
    cache_remove("kind", "empty");
}

static void test_names(void **state)
{
    (void)state;
    static const struct { const char *name, *file; } rows[] = {
        { "example.org", "example.org" },
        { "xn--bcher-kva.example", "xn--bcher-kva.example" },
        { "a_b", "a_b" },
        { "..", "%2E." },
        { ".hidden", "%2Ehidden" },
        { "../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd" },
        { "a/b", "a%2Fb" },
        { "50%", "50%25" },
        { "b\xc3\xbc\n", "b%C3%BC%0A" },
        { " ", "%20" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char file[256];
        assert_true(cache_write("kind", rows[i].name, rows[i].name, strlen(rows[i].name)));
        holds(rows[i].name, rows[i].name);
        snprintf(file, sizeof file, "home/cache/envoi/kind/%s", rows[i].file);
        assert_int_equal(access(at(file), F_OK), 0);
        cache_remove("kind", rows[i].name);
        assert_int_equal(access(at(file), F_OK), -1);
    }
    char longest[257];
    memset(longest, 'a', 256);
    longest[256] = '\0';
    assert_false(cache_write("kind", longest, "x", 1));
    holds(longest, "-");
    longest[255] = '\0';
    assert_true(cache_write("kind", longest, "x", 1));
    holds(longest, "x");
    cache_remove("kind", longest);
    assert_false(cache_write("kind", "", "x", 1));
    holds("", "-");
}

static void test_not_trusted(void **state)
{
    (void)state;
    put("elsewhere", "evil", 0600);
    char target[1024];
    snprintf(target, sizeof target, "%s", at("elsewhere"));
    assert_int_equal(symlink(target, at("home/cache/envoi/kind/link")), 0);
    holds("link", "-");
    assert_true(cache_write("kind", "link", "good", 4)); /* replaces the link, not what it names */
    holds("link", "good");
    assert_int_equal(access(target, F_OK), 0);
    assert_int_equal(mkfifo(at("home/cache/envoi/kind/fifo"), 0600), 0);
    holds("fifo", "-");
    assert_int_equal(mkdir(at("home/cache/envoi/kind/folder"), 0700), 0);
    holds("folder", "-");
    assert_false(cache_write("kind", "folder", "x", 1));
    put("home/cache/envoi/kind/group", "x", 0620);
    holds("group", "-");
    put("home/cache/envoi/kind/other", "x", 0602);
    holds("other", "-");
    put("home/cache/envoi/kind/readable", "x", 0644);
    holds("readable", "x");
    if (geteuid() == 0) {
        put("home/cache/envoi/kind/theirs", "x", 0600);
        assert_int_equal(chown(at("home/cache/envoi/kind/theirs"), 65534, 65534), 0);
        holds("theirs", "-");
        assert_true(cache_write("kind", "theirs", "ours", 4));
        holds("theirs", "ours");
        assert_int_equal(chown(at("home/cache/envoi"), 65534, 65534), 0);
        holds("theirs", "-");
        assert_false(cache_write("kind", "theirs", "x", 1));
        assert_int_equal(chown(at("home/cache/envoi"), 0, 0), 0);
    }
    char text[101];
    memset(text, 'y', 101);
    assert_true(cache_write("kind", "long", text, 101));
    holds("long", "-");
    assert_true(cache_write("kind", "long", text, 100));
    struct buf b = BUF_INIT;
    assert_true(cache_read("kind", "long", 100, &b));
    assert_int_equal(b.len, 100);
    buf_free(&b);

    assert_int_equal(chmod(at("home/cache/envoi/kind"), 0770), 0);
    holds("readable", "-");
    assert_false(cache_write("kind", "readable", "z", 1));
    assert_int_equal(chmod(at("home/cache/envoi/kind"), 0755), 0);
    holds("readable", "x");
    assert_int_equal(files_in("home/cache/envoi/kind"), geteuid() == 0 ? 6 : 5);
}

static void test_folder_is_a_link(void **state)
{
    (void)state;
    char real[1024];
    snprintf(real, sizeof real, "%s", at("home/cache/envoi/real"));
    assert_int_equal(rename(at("home/cache/envoi/kind"), real), 0);
    assert_int_equal(symlink("real", at("home/cache/envoi/kind")), 0);
    holds("readable", "-");
    assert_false(cache_write("kind", "new", "x", 1));
    assert_int_equal(unlink(at("home/cache/envoi/kind")), 0);
    put("home/cache/envoi/kind", "no folder", 0600);
    assert_false(cache_write("kind", "new", "x", 1));
    cache_remove("kind", "new");
    cache_trim("kind", 0);
    assert_int_equal(unlink(at("home/cache/envoi/kind")), 0);
}

static void test_trim(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char name[16], file[64];
        snprintf(name, sizeof name, "f%d", i);
        assert_true(cache_write("kind", name, name, 2));
        struct timespec times[2] = { { .tv_sec = 1000 + (i * 7) % 10 }, { .tv_sec = 1000 + (i * 7) % 10 } };
        snprintf(file, sizeof file, "home/cache/envoi/kind/%s", name);
        assert_int_equal(utimensat(AT_FDCWD, at(file), times, 0), 0);
    }
    cache_trim("kind", 10);
    assert_int_equal(files_in("home/cache/envoi/kind"), 10);
    cache_trim("kind", 3);
    assert_int_equal(files_in("home/cache/envoi/kind"), 3);
    holds("f1", "f1"); /* 1007 */
    holds("f4", "f4"); /* 1008 */
    holds("f7", "f7"); /* 1009 */
    cache_trim("kind", 0);
    assert_int_equal(files_in("home/cache/envoi/kind"), 0);
    cache_trim("none", 0);
}

/* A reader sees one writer's text or the other's, whole. */
static void test_writers(void **state)
{
    (void)state;
    enum { WRITERS = 3, TIMES = 200, LENGTH = 5000 };
    static char text[LENGTH];
    pid_t children[WRITERS];
    for (int w = 0; w < WRITERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] == 0) {
            bool ok = true;
            memset(text, 'a' + w, sizeof text);
            for (int i = 0; i < TIMES; i++)
                ok = cache_write("kind", "shared", text, sizeof text) && ok;
            _exit(ok ? 0 : 1);
        }
    }
    struct buf b = BUF_INIT;
    for (int left = WRITERS, status; left > 0;) {
        buf_reset(&b);
        if (cache_read("kind", "shared", LENGTH, &b)) {
            assert_int_equal(b.len, LENGTH);
            assert_int_equal(strspn(b.data, (char[]){ b.data[0], '\0' }), LENGTH);
        }
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    buf_free(&b);
    assert_int_equal(files_in("home/cache/envoi/kind"), 1);
}

static bool takes(const char *name, const char *text)
{
    struct buf b = BUF_SECRET_INIT;
    bool ok = cache_take("kind", name, 100, &b) && strcmp(b.data, text) == 0;
    assert_true(ok || b.len == 0);
    buf_free(&b);
    return ok;
}

static void test_taken(void **state)
{
    (void)state;
    char target[1024];
    assert_false(takes("one", "first"));
    assert_true(cache_write("kind", "one", "first", 5));
    assert_true(takes("one", "first"));
    assert_false(takes("one", "first"));
    put("elsewhere", "evil", 0600);
    snprintf(target, sizeof target, "%s", at("elsewhere"));
    assert_int_equal(symlink(target, at("home/cache/envoi/kind/one")), 0);
    assert_false(takes("one", "evil"));
    assert_int_equal(access(target, F_OK), 0);
    put("home/cache/envoi/kind/one", "x", 0640);
    assert_false(takes("one", "x"));
    put("home/cache/envoi/kind/one", "x", 0604);
    assert_false(takes("one", "x"));
    if (geteuid() == 0) {
        put("home/cache/envoi/kind/one", "x", 0600);
        assert_int_equal(chown(at("home/cache/envoi/kind/one"), 65534, 65534), 0);
        assert_false(takes("one", "x"));
    }
    char text[101];
    memset(text, 'y', 101);
    assert_true(cache_write("kind", "one", text, 101));
    assert_false(takes("one", text));
    assert_int_equal(files_in("home/cache/envoi/kind"), 0); /* all that was not to be trusted is gone */
    unlink(target);
}

/* What is there is taken by one of those who come at once. */
static void test_takers(void **state)
{
    (void)state;
    enum { TAKERS = 4, TIMES = 300 };
    pid_t children[TAKERS];
    int got[2], taken = 0, written = 0;
    char one;
    assert_int_equal(pipe(got), 0);
    for (int t = 0; t < TAKERS; t++) {
        children[t] = fork();
        assert_true(children[t] >= 0);
        if (children[t] == 0) {
            struct buf b = BUF_INIT;
            for (int i = 0; i < TIMES; i++)
                if (cache_take("kind", "shared", 100, &b) && write(got[1], "x", 1) != 1)
                    _exit(1);
            _exit(0);
        }
    }
    close(got[1]);
    for (int left = TAKERS, status; left > 0;) {
        if (access(at("home/cache/envoi/kind/shared"), F_OK) != 0)
            written += cache_write("kind", "shared", "x", 1);
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            left--;
        }
    }
    while (read(got[0], &one, 1) == 1)
        taken++;
    close(got[0]);
    taken += takes("shared", "x");
    assert_int_equal(taken, written);
    assert_int_equal(files_in("home/cache/envoi/kind"), 0);
}

static void test_places(void **state)
{
    (void)state;
    char home[1024];
    snprintf(home, sizeof home, "%s", at("home"));
    setenv("XDG_CACHE_HOME", "relative", 1); /* is ignored */
    setenv("HOME", home, 1);
    assert_true(cache_write("kind", "at-home", "x", 1));
    assert_int_equal(access(at("home/.cache/envoi/kind/at-home"), F_OK), 0);
    unsetenv("XDG_CACHE_HOME");
    holds("at-home", "x");
    unsetenv("HOME");
    holds("at-home", "-");
    assert_false(cache_write("kind", "at-home", "x", 1));
    setenv("HOME", "", 1);
    assert_false(cache_write("kind", "at-home", "x", 1));
    setenv("HOME", "/dev/null", 1);
    assert_false(cache_write("kind", "at-home", "x", 1));
    holds("at-home", "-");
    setenv("HOME", at("nobody"), 1);
    assert_false(cache_write("kind", "at-home", "x", 1));
    assert_int_equal(access(at("nobody"), F_OK), -1); /* no home directory is made */
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir) || mkdir(at("home"), 0700))
        return -1;
    return setenv("XDG_CACHE_HOME", at("home/cache"), 1);
}

static int remove_dir(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),   cmocka_unit_test(test_names),   cmocka_unit_test(test_not_trusted),
        cmocka_unit_test(test_folder_is_a_link), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_taken),  cmocka_unit_test(test_takers),
        cmocka_unit_test(test_writers), cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
