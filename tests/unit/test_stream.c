/* Plain streams: sockets and pipes by the same verbs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/dial.h"
#include "net/stream.h"
#include "net/tls.h"

enum { SOCKET, PIPES, KINDS };

static void open_pair(int kind, struct stream **a, struct stream **b)
{
    int x[2], y[2];
    if (kind == SOCKET) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, x), 0);
        *a = stream_new(x[0], x[0]);
        *b = stream_new(x[1], x[1]);
    } else {
        assert_int_equal(pipe2(x, O_NONBLOCK) | pipe2(y, O_NONBLOCK), 0);
        *a = stream_new(x[0], y[1]);
        *b = stream_new(y[0], x[1]);
    }
}

static void test_verbs(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        struct stream *a, *b;
        struct err e = ERR_INIT;
        struct pollset ps = POLLSET_INIT;
        char got[64];
        size_t n;
        open_pair(kind, &a, &b);
        assert_int_equal(stream_read(b, got, sizeof got, &n, &e), IO_AGAIN);
        struct iovec iov[] = { { "MAIL\r\n", 6 }, { "", 0 }, { "RCPT\r\n", 6 } };
        assert_int_equal(stream_writev(a, iov, 3, &n, &e), IO_DONE);
        assert_int_equal(n, 12);
        stream_waits(b, true, true, &ps);
        assert_int_equal(ps.n, kind == SOCKET ? 1 : 2);
        assert_true(pollset_wait(&ps));
        assert_true(ps.v[0].revents & POLLIN);
        assert_int_equal(stream_read(b, got, sizeof got, &n, &e), IO_DONE);
        assert_int_equal(n, 12);
        assert_memory_equal(got, "MAIL\r\nRCPT\r\n", 12);
        assert_int_equal(stream_flush(a, &e), IO_DONE);
        assert_false(stream_pending(a) || stream_buffered(a) || stream_is_tls(a));
        assert_null(stream_tls_facts(a));
        assert_string_equal(stream_peer(a), "");

        char data[65536] = "";
        size_t taken = 0;
        enum io io;
        while ((io = stream_writev(a, &(struct iovec){ data, sizeof data }, 1, &n, &e)) == IO_DONE && taken < 64 << 20)
            taken += n;
        assert_int_equal(io, IO_AGAIN);
        stream_free(a);
        while ((io = stream_read(b, data, sizeof data, &n, &e)) == IO_DONE)
            taken -= n;
        assert_int_equal(io, IO_EOF);
        assert_int_equal(taken, 0);

        assert_int_equal(stream_writev(b, iov, 1, &n, &e), IO_ERROR); /* and no SIGPIPE */
        assert_int_equal(e.fault, FAULT_LOST);
        assert_non_null(strstr(e.text, "Broken pipe"));
        err_clear(&e);
        stream_free(b);
        pollset_free(&ps);
    }
    stream_free(NULL);
    stream_reset(NULL);
}

static void test_reset(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct pollset ps = POLLSET_INIT;
    char got[8];
    size_t n;
    int port, fd = listen_on("127.0.0.1:0", &port, &e);
    struct dial_params p = { .host = "127.0.0.1", .port = port, .deadline = clock_deadline(USEC_PER_SEC) };
    struct dial *d = dial_start(&p);
    enum io io;
    while ((io = dial_step(d, &e)) == IO_AGAIN)
        ;
    assert_int_equal(io, IO_DONE);
    struct stream *a = dial_take(d), *b = listen_accept(fd, &e);
    dial_free(d);
    stream_reset(a);
    stream_waits(b, true, false, &ps);
    assert_true(pollset_wait(&ps));
    assert_int_equal(stream_read(b, got, sizeof got, &n, &e), IO_ERROR);
    assert_int_equal(e.fault, FAULT_LOST);
    assert_non_null(strstr(e.text, "Connection reset"));
    err_clear(&e);
    stream_free(b);
    pollset_free(&ps);
    close(fd);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the program does, for pipes */
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_verbs), cmocka_unit_test(test_reset) };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
