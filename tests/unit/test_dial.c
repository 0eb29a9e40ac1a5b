/* Dialling real sockets on loopback: every way to connect and every way not to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/dial.h"

#define MS (USEC_PER_SEC / 1000)

static enum io dial_until(const struct dial_params *p, struct stream **s, struct err *e)
{
    struct dial *d = dial_start(p);
    struct pollset ps = POLLSET_INIT;
    enum io io;
    while ((io = dial_step(d, e)) == IO_AGAIN) {
        pollset_reset(&ps);
        dial_waits(d, &ps);
        assert_true(ps.deadline != USEC_NEVER);
        pollset_wait(&ps);
    }
    *s = io == IO_DONE ? dial_take(d) : NULL;
    pollset_free(&ps);
    dial_free(d);
    return io;
}

static int listen_here(const char *spec, int *port)
{
    struct err e = ERR_INIT;
    int fd = listen_on(spec, port, &e);
    if (fd < 0)
        print_error("%s\n", e.text);
    assert_true(fd >= 0);
    return fd;
}

/* A listener whose queue is full drops every further SYN: a black hole. */
struct hole {
    int listener, port, queued[4];
};

static void open_hole(struct hole *h, const char *spec)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    h->listener = listen_here(spec, &h->port);
    assert_int_equal(listen(h->listener, 0), 0);
    getsockname(h->listener, (struct sockaddr *)&a, &len);
    for (int i = 0; i < 4; i++) {
        h->queued[i] = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(h->queued[i], (struct sockaddr *)&a, len);
    }
}

static void close_hole(struct hole *h)
{
    close(h->listener);
    for (int i = 0; i < 4; i++)
        close(h->queued[i]);
}

static void test_connects(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *host, *source, *peer, *local;
    } rows[] = {
        { "127.0.0.1:0", "127.0.0.1", NULL, "127.0.0.1", "127.0.0.1" },
        { "0", "localhost", NULL, "127.0.0.1", "127.0.0.1" },
        { ":0", "[127.0.0.1]", NULL, "127.0.0.1", NULL },
        { "[::1]:0", "::1", NULL, "::1", "::1" },
        { "[::1]:0", "[::1]", "::1", "::1", "::1" },
        { "127.0.0.1:0", "127.0.0.1", "127.0.0.9", "127.0.0.1", "127.0.0.9" },
        { "127.0.0.1:0", "localhost", "127.0.0.9", "127.0.0.1", "127.0.0.9" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        int port, fd = listen_here(rows[i].listen, &port);
        struct dial_params p = { .host = rows[i].host, .port = port, .source_ip = rows[i].source, .deadline = clock_deadline(5 * USEC_PER_SEC) };
        if (dial_until(&p, &s, &e) != IO_DONE)
            fail_msg("%s: %s", rows[i].host, e.text);
        assert_string_equal(stream_peer(s), rows[i].peer);
        if (rows[i].local)
            assert_string_equal(stream_local(s), rows[i].local);
        struct stream *accepted = listen_accept(fd, &e);
        assert_non_null(accepted);
        assert_string_equal(stream_peer(accepted), stream_local(s));
        assert_null(listen_accept(fd, &e));
        assert_false(err_is_set(&e));
        stream_free(accepted);
        stream_free(s);
        close(fd);
    }
}

static void test_unix(void **state)
{
    (void)state;
    char dir[] = "/tmp/envoi-test-dial-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = xasprintf("%s/s", dir);
    struct stat st;
    struct err e = ERR_INIT;
    struct stream *s;
    struct dial_params p = { .unix_path = path, .deadline = clock_deadline(5 * USEC_PER_SEC) };
    for (int i = 0; i < 2; i++) { /* the second time over a stale one */
        int port, fd = listen_here(path, &port);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
        assert_string_equal(stream_peer(s), path);
        assert_int_equal(listen_on(path, &port, &e), -1); /* one that is alive stays */
        err_clear(&e);
        stream_free(s);
        close(fd);
    }
    assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
    assert_non_null(strstr(e.text, "Connection refused"));
    err_clear(&e);
    unlink(path);
    assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
    assert_non_null(strstr(e.text, "cannot connect to the socket '"));
    assert_non_null(strstr(e.hint, "'socket'"));
    assert_int_equal(e.fault, FAULT_CONNECT);
    err_clear(&e);
    rmdir(dir);
    free(path);
}

static void test_fails(void **state)
{
    (void)state;
    int closed;
    close(listen_here("127.0.0.1:0", &closed));
    const struct {
        struct dial_params p;
        enum fault fault;
        enum stage stage;
        const char *text, *hint;
    } rows[] = {
        { { .host = "127.0.0.1", .port = closed }, FAULT_CONNECT, STAGE_CONNECT, ": Connection refused", "nothing listens" },
        { { .host = "localhost", .port = closed }, FAULT_CONNECT, STAGE_CONNECT, "127.0.0.1: Connection refused", NULL },
        { { .host = "127.0.0.1", .port = closed, .source_ip = "198.51.100.7" }, FAULT_CONNECT, STAGE_CONNECT, "Cannot assign", "'source_ip' must be" },
        { { .host = "127.0.0.1", .port = closed, .source_ip = "x" }, FAULT_CONFIG, STAGE_NONE, "'x' is not an IP address", "'source_ip'" },
        { { .host = "127.0.0.1", .port = closed, .source_ip = "::1" }, FAULT_CONFIG, STAGE_NONE, "'127.0.0.1' is not an IPv6 address", NULL },
        { { .host = "::1", .port = closed, .family = AF_INET }, FAULT_CONFIG, STAGE_NONE, "'::1' is not an IPv4 address", NULL },
        { { .host = "", .port = closed }, FAULT_CONFIG, STAGE_NONE, "no host", NULL },
        { { .host = "mx", .port = 25, .proxy = PROXY_SOCKS5, .proxy_host = "127.0.0.1", .proxy_port = closed }, FAULT_CONNECT, STAGE_CONNECT, "cannot connect to the proxy '127.0.0.1'", "'proxy_host'" },
        { { .host = "..", .port = 25 }, FAULT_NO_HOST, STAGE_LOOKUP, "the host '..' does not exist", "spelt" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        struct dial_params p = rows[i].p;
        p.deadline = clock_deadline(10 * USEC_PER_SEC);
        assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
        if (!strstr(e.text, rows[i].text) || e.fault != rows[i].fault || (rows[i].hint && !(e.hint && strstr(e.hint, rows[i].hint))))
            fail_msg("row %zu: %s %s / %s", i, fault_word(e.fault), e.text, e.hint ? e.hint : "");
        assert_int_equal(e.stage, rows[i].stage);
        err_clear(&e);
    }
}

static bool own_hosts;

/* An /etc/hosts of our own, in a mount namespace. */
static int mount_hosts(void **state)
{
    static const char text[] = "::1 localhost\n127.0.0.1 localhost\n::1 six.example\n";
    (void)state;
    char path[] = "/tmp/envoi-test-hosts-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    fchmod(fd, 0644);
    close(fd);
    own_hosts = unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
                mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 && mount(path, "/etc/hosts", "none", MS_BIND, NULL) == 0;
    unlink(path);
    return 0;
}

/* A name with an IPv6 address only is found even where no interface has one. */
static void test_six_only(void **state)
{
    (void)state;
    if (!own_hosts)
        skip();
    struct err e = ERR_INIT;
    struct stream *s;
    int port, fd = listen_here("[::1]:0", &port);
    struct dial_params p = { .host = "six.example", .port = port, .deadline = clock_deadline(20 * USEC_PER_SEC) };
    if (dial_until(&p, &s, &e) != IO_DONE)
        fail_msg("%s", e.text);
    assert_string_equal(stream_peer(s), "::1");
    stream_free(s);
    close(fd);
}

/* localhost has two addresses: the first in a black hole costs the stagger, a refused one nothing. */
static void test_happy_eyeballs(void **state)
{
    (void)state;
    if (!own_hosts) {
        print_message("no mount namespace to be had: no names with several addresses\n");
        skip();
    }
    for (int black = 0; black < 2; black++) {
        struct hole h;
        struct err e = ERR_INIT;
        struct stream *s;
        int port, fd = listen_here("127.0.0.1:0", &port);
        char *spec = xasprintf("[::1]:%d", port);
        if (black)
            open_hole(&h, spec);
        usec start = clock_now();
        struct dial_params p = { .host = "localhost", .port = port, .deadline = clock_deadline(5 * USEC_PER_SEC) };
        assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
        usec took = clock_now() - start;
        assert_string_equal(stream_peer(s), "127.0.0.1");
        if (black)
            assert_true(took >= 250 * MS);
        assert_true(took < (black ? 1500 : 240) * MS);
        stream_free(s);
        if (black)
            close_hole(&h);
        close(fd);
        free(spec);
    }
}

static void test_deadline(void **state)
{
    (void)state;
    struct hole h;
    struct err e = ERR_INIT;
    struct stream *s;
    open_hole(&h, "127.0.0.3:0");
    usec start = clock_now();
    struct dial_params p = { .host = "127.0.0.3", .port = h.port, .deadline = clock_deadline(300 * MS) };
    assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
    usec took = clock_now() - start;
    assert_true(took >= 300 * MS && took < 2000 * MS);
    assert_int_equal(e.fault, FAULT_TIMEOUT);
    assert_non_null(strstr(e.text, "no answer"));
    err_clear(&e);

    /* A proxy that accepts and says nothing. */
    int port, fd = listen_here("127.0.0.1:0", &port);
    p = (struct dial_params){ .host = "mx", .port = 25, .proxy = PROXY_SOCKS5, .proxy_host = "127.0.0.1", .proxy_port = port, .deadline = clock_deadline(200 * MS) };
    assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
    assert_int_equal(e.fault, FAULT_TIMEOUT);
    assert_int_equal(e.stage, STAGE_PROXY);
    err_clear(&e);
    close(fd);
    close_hole(&h);
}

/* A proxy in the test: the greeting of the target comes in the same packet as its answer. */
static void test_proxy(void **state)
{
    (void)state;
    static const char request[] = "CONNECT mx.example:587 HTTP/1.1\r\nHost: mx.example:587\r\n\r\n";
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n220 mx.example\r\n";
    struct err e = ERR_INIT;
    int port, fd = listen_here("127.0.0.1:0", &port);
    struct dial_params p = { .host = "mx.example", .port = 587, .proxy = PROXY_HTTP, .proxy_host = "127.0.0.1", .proxy_port = port, .deadline = clock_deadline(5 * USEC_PER_SEC) };
    struct dial *d = dial_start(&p);
    struct stream *proxy = NULL;
    char got[512];
    size_t n = 0, done = 0;
    enum io io;
    while ((io = dial_step(d, &e)) == IO_AGAIN) {
        if (!proxy)
            proxy = listen_accept(fd, &e);
        if (proxy && done < sizeof request - 1 && stream_read(proxy, got + done, sizeof got - done, &n, &e) == IO_DONE) {
            done += n;
            if (done == sizeof request - 1)
                stream_writev(proxy, &(struct iovec){ (void *)answer, sizeof answer - 1 }, 1, &n, &e);
        }
    }
    assert_int_equal(io, IO_DONE);
    assert_memory_equal(got, request, sizeof request - 1);
    struct stream *s = dial_take(d);
    dial_free(d);
    assert_int_equal(stream_read(s, got, sizeof got, &n, &e), IO_DONE);
    assert_int_equal(n, 16);
    assert_memory_equal(got, "220 mx.example\r\n", 16);
    stream_free(s);
    stream_free(proxy);
    close(fd);
}

/* A lookup that is given up must not hurt whoever gave it up. */
static void test_abandoned(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct dial_params p = { .host = "localhost", .port = 1, .deadline = clock_deadline(USEC_PER_SEC) };
        dial_free(dial_start(&p));
    }
}

/* Threads that still look something up would seem to leak what the resolver holds for them. */
static int wait_for_lookups(void **state)
{
    (void)state;
    for (int tasks = 2; tasks > 1;) {
        DIR *d = opendir("/proc/self/task");
        assert_non_null(d);
        for (tasks = -2; readdir(d);)
            tasks++;
        closedir(d);
    }
    return 0;
}

static void test_listen_spec(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "x", "127.0.0.1", "::1:25", "127.0.0.1:70000", "[::1]" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        int port;
        assert_int_equal(listen_on(bad[i], &port, &e), -1);
        assert_int_equal(e.fault, FAULT_USAGE);
        err_clear(&e);
    }
    struct err e = ERR_INIT;
    int port, again, fd = listen_here("127.0.0.1:0", &port);
    char *spec = xasprintf("127.0.0.1:%d", port);
    assert_int_equal(listen_on(spec, &again, &e), -1);
    assert_non_null(strstr(e.text, "Address already in use"));
    err_clear(&e);
    free(spec);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),  cmocka_unit_test(test_unix),      cmocka_unit_test(test_fails),
        cmocka_unit_test(test_deadline),  cmocka_unit_test(test_proxy),     cmocka_unit_test(test_abandoned),
        cmocka_unit_test(test_listen_spec), cmocka_unit_test(test_happy_eyeballs),
        cmocka_unit_test(test_six_only),
    };
    return cmocka_run_group_tests_name("dial", tests, mount_hosts, wait_for_lookups);
}
