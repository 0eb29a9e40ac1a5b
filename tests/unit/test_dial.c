/* Dialling real sockets on loopback: every way to connect and every way not to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/dial.h"
#include "net/transport.h"

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
        const char *listen, *host, *source, *peer, *local, *address;
        int mss;
    } rows[] = {
        { "127.0.0.1:0", "nowhere.invalid", NULL, "127.0.0.1", "127.0.0.1", "127.0.0.1", 0 },
        { "[::1]:0", "nowhere.invalid", "::1", "::1", "::1", "::1", 536 },
        { "127.0.0.1:0", "localhost", NULL, "127.0.0.1", NULL, NULL, 600 },
        { "127.0.0.1:0", "127.0.0.1", NULL, "127.0.0.1", "127.0.0.1", NULL, 0 },
        { "0", "localhost", NULL, "127.0.0.1", "127.0.0.1", NULL, 0 },
        { ":0", "[127.0.0.1]", NULL, "127.0.0.1", NULL, NULL, 0 },
        { "[::1]:0", "::1", NULL, "::1", "::1", NULL, 0 },
        { "[::1]:0", "[::1]", "::1", "::1", "::1", NULL, 0 },
        { "127.0.0.1:0", "127.0.0.1", "127.0.0.9", "127.0.0.1", "127.0.0.9", NULL, 0 },
        { "127.0.0.1:0", "localhost", "127.0.0.9", "127.0.0.1", "127.0.0.9", NULL, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        int port, fd = listen_here(rows[i].listen, &port);
        const struct dial_params p = {
            .host = rows[i].host, .address = rows[i].address, .port = port, .mss = rows[i].mss, .source_ip = rows[i].source,
            .deadline = clock_deadline(5 * USEC_PER_SEC),
        };
        if (dial_until(&p, &s, &e) != IO_DONE)
            fail_msg("%s: %s", rows[i].host, e.text);
        assert_string_equal(stream_peer(s), rows[i].peer);
        if (rows[i].local)
            assert_string_equal(stream_local(s), rows[i].local);
        struct stream *accepted = listen_accept(fd, &e);
        assert_non_null(accepted);
        assert_string_equal(stream_peer(accepted), stream_local(s));
        int mss = 0;
        getsockopt(s->fd_in, IPPROTO_TCP, TCP_MAXSEG, &mss, &(socklen_t){ sizeof mss });
        assert_true(rows[i].mss == 0 ? mss > 1000 : mss <= rows[i].mss);
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
    assert_null(strstr(e.hint, "port")); /* a socket has none */
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

/* The next octets, in whatever pieces they come; "" at the end. */
static const char *hear(struct stream *s, char got[512])
{
    struct pollset ps = POLLSET_INIT;
    struct err e = ERR_INIT;
    size_t n;
    enum io io;
    while ((io = stream_read(s, got, 511, &n, &e)) == IO_AGAIN) {
        pollset_reset(&ps);
        pollset_until(&ps, clock_deadline(10 * USEC_PER_SEC));
        stream_waits(s, true, false, &ps);
        pollset_wait(&ps);
    }
    pollset_free(&ps);
    got[io == IO_DONE ? n : 0] = 0;
    assert_true(io == IO_DONE || io == IO_EOF);
    return got;
}

static void say(struct stream *s, const char *text)
{
    struct err e = ERR_INIT;
    size_t n;
    assert_int_equal(stream_writev(s, &(struct iovec){ (void *)text, strlen(text) }, 1, &n, &e), IO_DONE);
    assert_int_equal(n, strlen(text));
}

static void remember(void *ctx, const struct event *ev)
{
    struct buf *seen = ctx;
    event_format(ev, event_template(ev->kind), seen);
    buf_addc(seen, '\n');
}

/* A child is a peer as any other, has the signals of a process just begun and none of our descriptors, and leaves no zombie. */
static void test_command(void **state)
{
    (void)state;
    static char *const echo[] = { "sh", "-c", "echo 220 child; while read -r line; do echo \"250 $line\"; done", NULL };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    struct stream *s;
    struct hub hub;
    char got[512];
    hub_init(&hub);
    hub_listen(&hub, EV_ALL & ~EV_BULK, remember, &seen);
    int spare = dup(2), kept = listen_here("127.0.0.1:0", &(int){ 0 });
    struct dial_params p = { .command = echo, .deadline = clock_deadline(5 * USEC_PER_SEC), .hub = &hub };
    assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
    assert_string_equal(hear(s, got), "220 child\n");
    say(s, "NOOP\n");
    assert_string_equal(hear(s, got), "250 NOOP\n");
    assert_string_equal(stream_peer(s), "");
    stream_free(s);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_non_null(strstr(seen.data, "# connecting to sh -c echo 220 child"));
    assert_non_null(strstr(seen.data, "\n# connected to sh -c echo 220 child"));
    assert_null(strstr(seen.data, "port"));

    char *const look[] = { "sh", "-c", "ls /proc/$$/fd; exec cat /proc/self/status", NULL };
    p.command = look;
    close(spare);
    assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
    struct buf all = BUF_INIT;
    while (*hear(s, got))
        buf_adds(&all, got);
    char *name = xasprintf("\n%d\n", kept);
    assert_null(strstr(all.data, name));
    assert_non_null(strstr(all.data, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(all.data, "SigIgn:");
    assert_non_null(ignored);
    assert_false(strtoull(ignored + 7, NULL, 16) & UINT64_C(1) << (SIGPIPE - 1));
    free(name);
    stream_free(s);
    close(kept);
    buf_free(&all);
    buf_free(&seen);
    hub_free(&hub);
}

static void test_command_cannot_run(void **state)
{
    (void)state;
    static const struct { const char *name, *text, *hint; } rows[] = {
        { "envoi-no-such-program", "cannot run 'envoi-no-such-program': No such file or directory", "$PATH" },
        { "/etc/passwd", "cannot run '/etc/passwd': Permission denied", "chmod" },
        { "", "cannot run ''", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        char *const argv[] = { (char *)rows[i].name, NULL };
        struct dial_params p = { .command = argv, .deadline = clock_deadline(5 * USEC_PER_SEC) };
        assert_int_equal(dial_until(&p, &s, &e), IO_ERROR);
        assert_int_equal(e.fault, FAULT_CONNECT);
        assert_int_equal(e.stage, STAGE_CONNECT);
        assert_non_null(strstr(e.text, rows[i].text));
        if (rows[i].hint)
            assert_non_null(strstr(e.hint, rows[i].hint));
        err_clear(&e);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* The other end of a pipe may live a moment longer than that of its fellow. */
static void write_until_lost(struct stream *s, struct err *e)
{
    static char block[4096];
    struct pollset ps = POLLSET_INIT;
    size_t n;
    while (stream_writev(s, &(struct iovec){ block, sizeof block }, 1, &n, e) != IO_ERROR) {
        pollset_reset(&ps);
        pollset_until(&ps, clock_deadline(10 * USEC_PER_SEC));
        stream_waits(s, false, true, &ps);
        pollset_wait(&ps);
    }
    pollset_free(&ps);
}

/* A child that dies is a lost connection; one that does not want to end is ended. */
static void test_command_ends(void **state)
{
    (void)state;
    static const struct { const char *script; long least, most; /* ms until it is gone */ } rows[] = {
        { "exit 3", 0, 900 },
        { "echo ready; kill -9 $$", 0, 900 },
        { "echo ready; exec sleep 60", 1000, 1900 },
        { "trap '' TERM; echo ready; exec sleep 60", 2000, 3500 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        char got[512];
        char *const argv[] = { "sh", "-c", (char *)rows[i].script, NULL };
        struct dial_params p = { .command = argv, .deadline = clock_deadline(5 * USEC_PER_SEC) };
        assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
        hear(s, got);
        if (rows[i].most < 1000) {
            if (*got)
                assert_string_equal(hear(s, got), "");
            write_until_lost(s, &e);
            assert_int_equal(e.fault, FAULT_LOST);
            err_clear(&e);
        }
        usec start = clock_now();
        stream_free(s);
        usec took = (clock_now() - start) / MS;
        assert_true(took >= rows[i].least && took < rows[i].most);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    }
}

/* What comes first is the first, whatever carries it. */
static void test_preamble(void **state)
{
    (void)state;
    char dir[] = "/tmp/envoi-test-dial-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = xasprintf("%s/s", dir);
    struct buf preamble = BUF_INIT;
    buf_add(&preamble, "\r\n\r\n\0\r\nQUIT\n", 12);
    for (int i = 0; i < 3; i++) {
        char *const cat[] = { "cat", NULL };
        struct err e = ERR_INIT;
        struct stream *s, *peer;
        char got[512];
        int port = 0, fd = i < 2 ? listen_here(i == 0 ? "127.0.0.1:0" : path, &port) : -1;
        struct dial_params p = { .host = "127.0.0.1", .port = port, .unix_path = i == 1 ? path : NULL, .command = i == 2 ? cat : NULL,
                                 .preamble = &preamble, .deadline = clock_deadline(5 * USEC_PER_SEC) };
        assert_int_equal(dial_until(&p, &s, &e), IO_DONE);
        peer = i < 2 ? listen_accept(fd, &e) : NULL;
        hear(peer ? peer : s, got);
        assert_memory_equal(got, preamble.data, preamble.len + 1);
        stream_free(peer);
        stream_free(s);
        close(fd);
    }
    buf_free(&preamble);
    unlink(path);
    rmdir(dir);
    free(path);
}

static int port_of(int fd)
{
    struct sockaddr_storage a;
    assert_int_equal(getpeername(fd, (struct sockaddr *)&a, &(socklen_t){ sizeof a }), 0);
    return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port : ((struct sockaddr_in6 *)&a)->sin6_port);
}

static void test_source_port(void **state)
{
    (void)state;
    static const struct { const char *listen, *host, *source; } rows[] = {
        { "127.0.0.1:0", "127.0.0.1", NULL }, { "127.0.0.1:0", "127.0.0.1", "127.0.0.9" }, { "[::1]:0", "::1", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct stream *s;
        int port, source, fd = listen_here(rows[i].listen, &port);
        struct dial_params p = { .host = rows[i].host, .port = port, .source_ip = rows[i].source,
                                 .deadline = clock_deadline(5 * USEC_PER_SEC) };
        for (int tries = 0; tries < 5; tries++) { /* who else runs here may take the port in between */
            err_clear(&e);
            close(listen_here("[::]:0", &source)); /* one that is free */
            p.source_port = source;
            if (dial_until(&p, &s, &e) == IO_DONE)
                break;
        }
        assert_non_null(s);
        int accepted = accept(fd, NULL, NULL);
        assert_int_equal(port_of(accepted), source);
        close(accepted);
        stream_free(s);

        int busy = listen_here(rows[i].listen, &p.source_port);
        assert_int_equal(dial_until(&p, &s, &e), rows[i].source ? IO_DONE : IO_ERROR);
        if (rows[i].source) {
            stream_free(s);
        } else {
            assert_int_equal(e.fault, FAULT_CONNECT);
            assert_non_null(strstr(e.hint, "already"));
        }
        err_clear(&e);
        close(busy);
        close(fd);
    }
}

/* A proxy in the test: the greeting of the target comes in the same packet as its answer. */
static void test_proxy(void **state)
{
    (void)state;
    static const char request[] = "CONNECT mx.example:587 HTTP/1.1\r\nHost: mx.example:587\r\n\r\n";
    static const char answer[] = "HTTP/1.1 200 OK\r\n\r\n220 mx.example\r\n";
    struct err e = ERR_INIT;
    struct buf preamble = BUF_INIT;
    buf_adds(&preamble, "PROXY UNKNOWN\r\n");
    int port, fd = listen_here("127.0.0.1:0", &port);
    struct dial_params p = { .host = "mx.example", .port = 587, .proxy = PROXY_HTTP, .proxy_host = "127.0.0.1", .proxy_port = port, .preamble = &preamble, .deadline = clock_deadline(5 * USEC_PER_SEC) };
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
    assert_string_equal(hear(proxy, got), "PROXY UNKNOWN\r\n"); /* the target's, when the way to it is open */
    buf_free(&preamble);
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
        cmocka_unit_test(test_six_only),  cmocka_unit_test(test_command), cmocka_unit_test(test_command_cannot_run),
        cmocka_unit_test(test_command_ends), cmocka_unit_test(test_preamble), cmocka_unit_test(test_source_port),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    return cmocka_run_group_tests_name("dial", tests, mount_hosts, wait_for_lookups);
}
