/* Intake against a byte-by-byte reference, whatever the portions; window, rewind, spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/file.h"
#include "mail/compose.h"
#include "mail/dot.h"
#include "mail/message.h"

/* The definition: CR, LF and CRLF are one line end each, and the last line has one. */
static void reference(const char *s, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\r' && s[i] != '\n') {
            buf_addc(out, s[i]);
            continue;
        }
        buf_adds(out, "\r\n");
        if (s[i] == '\r' && i + 1 < n && s[i + 1] == '\n')
            i++;
    }
    if (out->len && out->data[out->len - 1] != '\n')
        buf_adds(out, "\r\n");
}

static void drain(struct message *m, struct buf *out)
{
    struct err e = ERR_INIT;
    const char *p;
    size_t n;
    do {
        assert_true(message_next(m, &p, &n, &e));
        assert_true(n <= MESSAGE_BLOCK);
        buf_add(out, p, n);
    } while (n);
    assert_int_equal(message_wait_fd(m), -1);
}

static void assert_same(const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->len, b->len);
    assert_true(memcmp(a->data, b->data, a->len) == 0);
}

/* A process that writes text into a pipe in portions of 1 to `most` octets. */
static int feed(const char *text, size_t n, size_t most, pid_t *child)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    *child = fork();
    if (*child == 0) {
        close(fds[0]);
        unsigned seed = 7;
        for (size_t at = 0; at < n;) {
            size_t part = 1 + (size_t)rand_r(&seed) % most;
            if (part > n - at)
                part = n - at;
            if (!file_write_all(fds[1], text + at, part))
                _exit(1);
            at += part;
        }
        _exit(0);
    }
    close(fds[1]);
    return fds[0];
}

/* Sends body text (behind a header) through a pipe and compares. */
static void check_pipe(const char *body, size_t n, size_t most, bool nonblocking)
{
    struct buf in = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
    struct err e = ERR_INIT;
    struct message m;
    pid_t child;
    buf_adds(&in, "Subject: x\n\n");
    buf_add(&in, body, n);
    reference(in.data, in.len, &want);
    int fd = feed(in.data, in.len, most, &child);
    if (nonblocking)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    message_init(&m);
    assert_true(message_read(&m, fd, &e));
    assert_int_equal(m.complete, want.len <= MESSAGE_WINDOW);
    assert_int_equal(m.size_hint, -1);
    if (m.complete)
        assert_int_equal(message_size(&m), want.len);
    drain(&m, &got);
    assert_same(&got, &want);
    assert_int_equal(message_can_rewind(&m), m.complete);
    assert_int_equal(message_rewind(&m), m.complete);
    waitpid(child, NULL, 0);
    close(fd);
    message_free(&m);
    buf_free(&in);
    buf_free(&want);
    buf_free(&got);
}

static void check_memory(const char *text, size_t n, const char *want, size_t want_n)
{
    struct err e = ERR_INIT;
    struct message m;
    struct buf got = BUF_INIT;
    message_init(&m);
    assert_true(message_from_memory(&m, text, n, &e));
    assert_true(m.complete);
    assert_int_equal(message_size(&m), want_n);
    drain(&m, &got);
    assert_int_equal(got.len, want_n);
    assert_memory_equal(got.data, want, want_n);
    message_free(&m);
    buf_free(&got);
}

static void test_shapes(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "", "\r\n" },
        { "\n", "\r\n" },
        { "A: b\n\nx\n", "A: b\r\n\r\nx\r\n" },
        { "A: b\r\n\r\nx", "A: b\r\n\r\nx\r\n" },
        { "A: b\r\rx\r", "A: b\r\n\r\nx\r\n" },
        { "A: b", "A: b\r\n\r\n" },
        { "A: b\n", "A: b\r\n\r\n" },
        { "A: b\n\n", "A: b\r\n\r\n" },
        { "\nbody\n", "\r\nbody\r\n" },
        { "no header here\n", "\r\nno header here\r\n" },
        { "A: b\nno header here\n", "A: b\r\n\r\nno header here\r\n" },
        { "From me Sat Nov 21 21:00:00 2026\nA: b\n\nx\n", "A: b\r\n\r\nx\r\n" },
        /* Forms that some receivers took for the end of data. */
        { "\nx\n.\ny", "\r\nx\r\n.\r\ny\r\n" },
        { "\nx\r.\ry", "\r\nx\r\n.\r\ny\r\n" },
        { "\nx\n.\r\ny", "\r\nx\r\n.\r\ny\r\n" },
        { "\nx\r\n.\ry", "\r\nx\r\n.\r\ny\r\n" },
        { "\nx\r\n.\r\r\ny", "\r\nx\r\n.\r\n\r\ny\r\n" },
        { "\nx\n\r.\n\ry", "\r\nx\r\n\r\n.\r\n\r\ny\r\n" },
        { "\n\xff\xfe", "\r\n\xff\xfe\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_memory(rows[i].in, strlen(rows[i].in), rows[i].out, strlen(rows[i].out));
}

static void test_facts(void **state)
{
    (void)state;
    static const struct { const char *in; bool empty, eight_bit, headers_eight_bit; } rows[] = {
        { "", true, false, false },
        { "\n", false, false, false },
        { "A: b\n\nx", false, false, false },
        { "A: b\n\n\xc3\xa4", false, true, false },
        { "A: \xc3\xa4\n\nx", false, false, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct message m;
        message_init(&m);
        assert_true(message_from_memory(&m, rows[i].in, strlen(rows[i].in), &e));
        assert_int_equal(m.empty, rows[i].empty);
        assert_int_equal(m.eight_bit, rows[i].eight_bit);
        assert_int_equal(message_headers_eight_bit(&m), rows[i].headers_eight_bit);
        message_free(&m);
    }
}

static void test_tls_not_required(void **state)
{
    (void)state;
    static const struct { const char *in; bool no; } rows[] = {
        { "A: b\n\nTLS-Required: No\n", false },
        { "TLS-Required: No\n\n", true },
        { "tls-required:\n  NO \n\n", true },
        { "TLS-Required: Yes\n\n", false },
        { "TLS-Required:\n\n", false },
        { "TLS-Required: No, really\n\n", false },
        { "TLS-Required: No\nTLS-Required: No\n\n", true },
        { "TLS-Required: No\nTLS-Required: Maybe\n\n", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct message m;
        message_init(&m);
        assert_true(message_from_memory(&m, rows[i].in, strlen(rows[i].in), &e));
        if (message_tls_not_required(&m) != rows[i].no)
            fail_msg("%s", rows[i].in);
        message_free(&m);
    }
}

/* Messages of just the window's size, and one and two octets to either side, with every line end. */
static void test_window_edges(void **state)
{
    (void)state;
    static const char *const ends[] = { "\n", "\r\n", "\r", "" };
    char *body = xmalloc(MESSAGE_WINDOW + 64);
    for (int delta = -4; delta <= 4; delta++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            size_t n = (size_t)(MESSAGE_WINDOW - 14 - 2 + delta); /* 14: the header and the empty line */
            memset(body, 'a', n);
            strcpy(body + n, ends[k]);
            struct buf in = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
            struct err e = ERR_INIT;
            struct message m;
            buf_printf(&in, "Subject: x\n\n%s", body);
            reference(in.data, in.len, &want);
            int fd = file_unlinked(&e);
            assert_true(file_write_all(fd, in.data, in.len));
            lseek(fd, 0, SEEK_SET);
            message_init(&m);
            assert_true(message_read(&m, fd, &e));
            assert_int_equal(m.size_hint, in.len);
            if (delta <= 0)
                assert_true(m.complete);
            if (m.complete)
                assert_int_equal(message_size(&m), want.len);
            drain(&m, &got);
            assert_same(&got, &want);
            assert_int_equal(message_can_rewind(&m), m.complete);
            message_free(&m);
            close(fd);
            buf_free(&in);
            buf_free(&want);
            buf_free(&got);
        }
    free(body);
}

static void fill_random(char *p, size_t n, unsigned seed, const char *alphabet)
{
    size_t letters = strlen(alphabet);
    for (size_t i = 0; i < n; i++)
        p[i] = alphabet[(size_t)rand_r(&seed) % letters];
}

static void test_pipe(void **state)
{
    (void)state;
    size_t n = 3 << 20;
    char *body = xmalloc(n);
    fill_random(body, n, 1, "abcdefghijklmnopqrstuvw.xyz\xc3\xa4\r\n");
    check_pipe(body, n, 10007, false);
    check_pipe(body, n, 70001, true);
    check_pipe(body, n / 16, 3, false);
    fill_random(body, n, 2, "\r\n.");
    check_pipe(body, n, 65537, false);
    memset(body, '\r', n);
    check_pipe(body, n, 70001, false);
    memset(body, '\n', n);
    check_pipe(body, n, 70001, false);
    memset(body, 'x', n); /* one line of 3 MiB */
    check_pipe(body, n, 70001, false);
    for (size_t i = 998; i + 2 < n; i += 1000)
        memcpy(body + i, "\r\n", 2);
    check_pipe(body, n, 70001, false);
    free(body);
}

static void test_spool(void **state)
{
    (void)state;
    size_t n = 3 << 20;
    char *text = xmalloc(n);
    fill_random(text, n, 3, "abc def.\r\n");
    text[0] = '\n';
    text[n - 5] = '\xe4';
    text[n - 1] = 'x';
    struct buf want = BUF_INIT;
    struct err e = ERR_INIT;
    struct message m;
    pid_t child;
    reference(text, n, &want);
    int fd = feed(text, n, 70001, &child);
    message_init(&m);
    assert_true(message_read(&m, fd, &e));
    assert_false(m.complete);
    assert_false(m.eight_bit);
    assert_int_equal(message_size(&m), -1);
    assert_true(message_spool(&m, &e));
    assert_true(m.complete);
    assert_true(m.eight_bit);
    assert_int_equal(message_size(&m), want.len);
    for (int round = 0; round < 3; round++) {
        struct buf got = BUF_INIT;
        drain(&m, &got);
        assert_same(&got, &want);
        assert_true(message_rewind(&m));
        buf_free(&got);
    }
    waitpid(child, NULL, 0);
    close(fd);
    message_free(&m);
    buf_free(&want);
    free(text);
}

static void test_wait_fd(void **state)
{
    (void)state;
    size_t n = (2 << 20) + 1000;
    char *text = xmalloc(n);
    memset(text, 'x', n);
    text[0] = '\n';
    struct err e = ERR_INIT;
    struct message m;
    pid_t child;
    int fd = feed(text, n, 70001, &child);
    message_init(&m);
    assert_true(message_read(&m, fd, &e));
    const char *p;
    size_t got, total = 0;
    do {
        int wait_fd = message_wait_fd(&m);
        assert_true(wait_fd == -1 || wait_fd == fd);
        if (total < MESSAGE_WINDOW)
            assert_int_equal(wait_fd, -1);
        assert_true(message_next(&m, &p, &got, &e));
        total += got;
    } while (got);
    assert_int_equal(total, n + 1 + 2);
    waitpid(child, NULL, 0);
    close(fd);
    message_free(&m);
    free(text);
}

/* Neither a lone CR at the end of what has come nor the spool waits for what has not come yet. */
static void test_pull(void **state)
{
    (void)state;
    enum { N = (1 << 20) + 1000 };
    char *text = xmalloc(N);
    memset(text, 'x', N);
    text[0] = '\n';
    text[N - 1] = '\r';
    for (int spooled = 0; spooled < 2; spooled++) {
        struct err e = ERR_INIT;
        struct message m;
        const char *p;
        size_t got = 1, total = 0;
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t child = fork();
        if (child == 0)
            _exit(!file_write_all(fds[1], text, N));
        message_init(&m);
        assert_true(message_read(&m, fds[0], &e));
        for (; !spooled && total < N; total += got)
            assert_true(message_next(&m, &p, &got, &e));
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (poll(&(struct pollfd){ .fd = fds[0], .events = POLLIN }, 1, 0) > 0)
            assert_true(spooled ? message_spool_step(&m, &e) : message_pull(&m, &e));
        assert_int_equal(spooled ? message_source_fd(&m) : message_wait_fd(&m), fds[0]);
        assert_true(file_write_all(fds[1], "\nend", 4));
        close(fds[1]);
        while (spooled && !m.complete)
            assert_true(message_spool_step(&m, &e));
        assert_int_equal(message_rewind(&m), spooled);
        while (got) {
            assert_true(message_next(&m, &p, &got, &e));
            total += got;
        }
        assert_int_equal(total, N + 2 + 3 + 2);
        close(fds[0]);
        message_free(&m);
    }
    free(text);
}

static void expect_refusal(const char *text, size_t n, bool while_streaming, const char *words)
{
    struct err e = ERR_INIT;
    struct message m;
    pid_t child;
    int fd = feed(text, n, 70001, &child);
    message_init(&m);
    bool good = message_read(&m, fd, &e);
    assert_int_equal(good, while_streaming);
    const char *p;
    size_t got = 1;
    while (good && got)
        good = message_next(&m, &p, &got, &e);
    assert_false(good);
    assert_int_equal(e.fault, FAULT_MESSAGE);
    assert_non_null(strstr(e.text, words));
    assert_non_null(e.hint);
    close(fd);
    waitpid(child, NULL, 0);
    err_clear(&e);
    message_free(&m);
}

static void test_refusals(void **state)
{
    (void)state;
    size_t n = 2 << 20;
    char *text = xmalloc(n);
    expect_refusal("A: b\n\nx\0y", 10, false, "NUL octet at offset 7");
    memset(text, 'x', n);
    text[0] = '\n';
    text[n - 7] = '\0';
    expect_refusal(text, n, true, "NUL octet at offset 2097145");
    for (size_t i = 0; i < n; i += 16)
        memcpy(text + i, "Header: 6789012\n", 16);
    expect_refusal(text, n, false, "headers of the message are larger");
    memcpy(text, "Subject:", 8);
    memset(text + 8, 'x', n - 8);
    expect_refusal(text, n, false, "headers of the message are larger");
    free(text);

    struct err e = ERR_INIT;
    struct message m;
    message_init(&m);
    int fd = open("/", O_RDONLY | O_CLOEXEC);
    assert_false(message_read(&m, fd, &e));
    assert_int_equal(e.fault, FAULT_IO);
    close(fd);
    err_clear(&e);
    message_free(&m);
}

/* Readers of one message do not know of each other; a reader that begins anew reads the same. */
static void check_readers(struct message *m)
{
    enum { READERS = 3 };
    struct message readers[READERS];
    struct buf want = BUF_INIT, got[READERS + 1] = { BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
    struct err e = ERR_INIT;
    const char *p;
    size_t n, left = READERS;
    assert_true(m->complete);
    drain(m, &want);
    assert_int_equal(message_size(m), (int64_t)want.len);
    for (size_t i = 0; i < READERS; i++) {
        message_share(&readers[i], m);
        assert_int_equal(message_size(&readers[i]), (int64_t)want.len);
        assert_int_equal(readers[i].eight_bit, m->eight_bit);
        assert_int_equal(message_source_fd(&readers[i]), -1);
    }
    for (bool over[READERS] = { false }; left > 0;)
        for (size_t i = 0; i < READERS; i++) {
            if (over[i])
                continue;
            assert_true(message_next(&readers[i], &p, &n, &e));
            buf_add(&got[i], p, n);
            left -= over[i] = n == 0;
        }
    assert_true(message_rewind(&readers[1]));
    message_free(&readers[0]);
    drain(&readers[1], &got[READERS]);
    for (size_t i = 0; i <= READERS; i++) {
        assert_same(&got[i], &want);
        buf_free(&got[i]);
    }
    message_free(&readers[1]);
    message_free(&readers[2]);
    buf_reset(&want);
    assert_true(message_rewind(m)); /* it is nobody's but m's again */
    drain(m, &want);
    assert_int_equal(message_size(m), (int64_t)want.len);
    buf_free(&want);
}

static void test_share(void **state)
{
    (void)state;
    enum { BIG = MESSAGE_WINDOW + (MESSAGE_WINDOW >> 1) };
    struct err e = ERR_INIT;
    struct message m;
    char *text = xmalloc(BIG);
    pid_t child;
    for (size_t i = 0; i < BIG; i++)
        text[i] = i % 61 == 60 ? '\n' : i % 997 == 500 ? '\xe9' : 'a';
    memcpy(text, "Subject: s\n\n", 12);

    message_init(&m);
    assert_true(message_from_memory(&m, text, 300, &e));
    header_insert(&m.headers, 0, "Date", "now");
    check_readers(&m);
    message_free(&m);

    message_init(&m);
    message_raw(&m, "no\0 line end", 12);
    check_readers(&m);
    message_free(&m);

    int fd = feed(text, BIG, 100000, &child);
    message_init(&m);
    assert_true(message_read(&m, fd, &e) && message_spool(&m, &e));
    check_readers(&m);
    message_free(&m);
    close(fd);
    waitpid(child, NULL, 0);

    const struct compose_part part = { .role = COMPOSE_ATTACHMENT, .text = text, .text_n = BIG, .type = "image/png" };
    message_init(&m);
    struct compose *c = compose_new("Subject: s\r\n", &part, 1, &e);
    assert_true(c && message_compose(&m, c, &e));
    assert_false(m.complete);
    assert_true(message_spool(&m, &e));
    check_readers(&m);
    message_free(&m);
    free(text);
}

/* canonical(canonical(x)) is canonical(x), and no CR or LF stands alone, whatever comes in. */
static void test_property(void **state)
{
    (void)state;
    char text[300];
    for (unsigned seed = 0; seed < 5000; seed++) {
        size_t n = seed % sizeof text;
        fill_random(text, n, seed, seed % 2 ? "ab.:\r\n" : "\r\n.x");
        struct buf once = BUF_INIT, want = BUF_INIT;
        struct err e = ERR_INIT;
        struct message m;
        buf_addc(&want, '\n');
        buf_add(&want, text, n);
        message_init(&m);
        assert_true(message_from_memory(&m, want.data, want.len, &e));
        drain(&m, &once);
        message_free(&m);
        for (size_t i = 0; i < once.len; i++) {
            if (once.data[i] == '\n')
                assert_true(i > 0 && once.data[i - 1] == '\r');
            if (once.data[i] == '\r')
                assert_int_equal(once.data[i + 1], '\n');
        }
        struct buf by_definition = BUF_INIT;
        reference(want.data, want.len, &by_definition);
        assert_same(&once, &by_definition);
        check_memory(once.data, once.len, once.data, once.len);
        buf_free(&once);
        buf_free(&want);
        buf_free(&by_definition);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),       cmocka_unit_test(test_facts),    cmocka_unit_test(test_window_edges),
        cmocka_unit_test(test_pipe),         cmocka_unit_test(test_spool),    cmocka_unit_test(test_wait_fd),
        cmocka_unit_test(test_pull),         cmocka_unit_test(test_tls_not_required),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_property),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
