/* One attempt to connect on loopback, the words for what comes of it, and what the rungs of a ladder say together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "net/dial.h"
#include "net/ladder.h"
#include "net/resolve.h"

#define MS (USEC_PER_SEC / 1000)

struct place {
    const char *address;
    const char *source_ip;
    int ttl, mss;
};

static struct reach_result try(const struct place *where, int port, usec timeout)
{
    struct addrinfo *a = resolve_numeric(where->address, 0, AF_UNSPEC);
    assert_non_null(a);
    struct reach_params p = {
        .address = a->ai_addr, .len = a->ai_addrlen, .port = port, .source_ip = where->source_ip, .ttl = where->ttl,
        .mss = where->mss, .deadline = clock_now() + timeout,
    };
    struct reach *r = reach_new(&p);
    struct task *tasks[] = { reach_task(r) };
    assert_true(loop_run(tasks, 1, NULL));
    assert_true(reach_done(r));
    struct reach_result result = *reach_result(r);
    reach_free(r);
    freeaddrinfo(a);
    return result;
}

static int listen_here(const char *spec, int *port)
{
    struct err e = ERR_INIT;
    int fd = listen_on(spec, port, &e);
    assert_true(fd >= 0);
    return fd;
}

static void test_loopback(void **state)
{
    (void)state;
    static const struct {
        struct place where;
        enum reach_outcome listening, closed;
    } rows[] = {
        { { .address = "127.0.0.1" }, REACH_OPEN, REACH_REFUSED },
        { { .address = "::1" }, REACH_OPEN, REACH_REFUSED },
        { { .address = "127.0.0.1", .ttl = 1, .mss = 536 }, REACH_OPEN, REACH_REFUSED },
        { { .address = "::1", .ttl = 1, .mss = 1200 }, REACH_OPEN, REACH_REFUSED },
        { { .address = "127.0.0.1", .source_ip = "127.0.0.9" }, REACH_OPEN, REACH_REFUSED },
        { { .address = "::1", .source_ip = "::1" }, REACH_OPEN, REACH_REFUSED },
        { { .address = "127.0.0.1", .source_ip = "192.0.2.7" }, REACH_BAD_SOURCE, REACH_BAD_SOURCE },
        { { .address = "127.0.0.1", .source_ip = "::1" }, REACH_BAD_SOURCE, REACH_BAD_SOURCE },
        { { .address = "127.0.0.1", .ttl = 256 }, REACH_OTHER, REACH_OTHER },
        { { .address = "127.0.0.1", .mss = 7 }, REACH_OTHER, REACH_OTHER },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int port, fd = listen_here(strchr(rows[i].where.address, ':') ? "[::1]:0" : "127.0.0.1:0", &port);
        struct reach_result r = try(&rows[i].where, port, 5000 * MS);
        assert_int_equal(r.outcome, rows[i].listening);
        assert_true(r.took >= 0 && r.took < 1000 * MS);
        assert_true((r.reason == 0) == (r.outcome == REACH_OPEN));
        assert_true(r.at_once || r.outcome == REACH_OPEN || r.outcome == REACH_REFUSED);
        close(fd);
        assert_int_equal(try(&rows[i].where, port, 5000 * MS).outcome, rows[i].closed);
    }
}

/* A listener whose queue is full drops every further SYN. */
static void test_silent(void **state)
{
    (void)state;
    int port, queued[4], fd = listen_here("127.0.0.1:0", &port);
    assert_int_equal(listen(fd, 0), 0);
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    for (int i = 0; i < 4; i++) {
        queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(queued[i], (struct sockaddr *)&a, sizeof a);
    }
    struct reach_result r = try(&(struct place){ .address = "127.0.0.1" }, port, 100 * MS);
    assert_int_equal(r.outcome, REACH_SILENT);
    assert_int_equal(r.reason, 0);
    assert_true(r.took >= 100 * MS && r.took < 1000 * MS);
    for (int i = 0; i < 4; i++)
        close(queued[i]);
    close(fd);
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        int reason;
        const char *word;
    } rows[] = {
        { 0, "open" }, { ECONNREFUSED, "refused" }, { ETIMEDOUT, "silent" }, { EHOSTUNREACH, "host-unreachable" },
        { ENETUNREACH, "net-unreachable" }, { EACCES, "prohibited" }, { EPERM, "local-firewall" },
        { EADDRNOTAVAIL, "no-family" }, { EAFNOSUPPORT, "no-family" }, { EINVAL, "blackhole" }, { EMFILE, "other" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(reach_word(reach_outcome_of(rows[i].reason)), rows[i].word);
    for (enum reach_outcome o = REACH_OPEN; o < REACH_OUTCOMES; o++) {
        assert_non_null(reach_word(o));
        assert_non_null(reach_phrase(o));
    }
    struct reach_icmp icmp = { .known = true, .type = ICMP_UNREACH, .code = ICMP_UNREACH_FILTER_PROHIB };
    assert_string_equal(reach_icmp_phrase(AF_INET, &icmp), "administratively prohibited");
    assert_null(reach_icmp_phrase(AF_INET6, &icmp));
    icmp.known = false;
    assert_null(reach_icmp_phrase(AF_INET, &icmp));
}

#define EXPIRED(who) { .outcome = REACH_EXPIRED, .icmp = { true, ICMP_TIMXCEED, 0, who } }
#define NAMELESS(who) { .outcome = REACH_EXPIRED, .udp_router = who }
#define SILENT { .outcome = REACH_SILENT }
#define UDP_ONLY(who) { .outcome = REACH_SILENT, .udp_router = who }
#define UDP_END { .outcome = REACH_SILENT, .udp_arrived = true }
#define SAYS(what) { .outcome = (what) }
#define REJECTS(what, who) { .outcome = (what), .icmp = { true, ICMP_UNREACH, ICMP_UNREACH_PORT, who } }

static void test_summaries(void **state)
{
    (void)state;
    static const struct {
        struct ladder_rung rungs[6];
        int n;
        struct ladder_summary want;
    } rows[] = {
        { { SAYS(REACH_OPEN) }, 1, { .answered_at = 1, .answer = REACH_OPEN } },
        { { EXPIRED("a"), EXPIRED("b"), SAYS(REACH_OPEN) }, 3,
          { .answered_at = 3, .answer = REACH_OPEN, .last_hop = 2, .last_router = "b", .farthest_hop = 2 } },
        { { EXPIRED("a"), EXPIRED("b"), SAYS(REACH_REFUSED) }, 3,
          { .answered_at = 3, .answer = REACH_REFUSED, .last_hop = 2, .last_router = "b", .farthest_hop = 2 } },
        /* dropped behind the first hop */
        { { EXPIRED("a"), SILENT, SILENT, SILENT }, 4,
          { .last_hop = 1, .last_router = "a", .silent_from = 2, .farthest_hop = 1 } },
        /* UDP goes on where TCP does not */
        { { EXPIRED("a"), UDP_ONLY("b"), UDP_END, SILENT }, 4,
          { .last_hop = 1, .last_router = "a", .silent_from = 2, .farthest_hop = 2, .udp_arrived_at = 3 } },
        /* a hop that says nothing is not the end */
        { { EXPIRED("a"), SILENT, EXPIRED("c"), SAYS(REACH_OPEN) }, 4,
          { .answered_at = 4, .answer = REACH_OPEN, .last_hop = 3, .last_router = "c", .farthest_hop = 3 } },
        { { SILENT, SILENT, SILENT }, 3, { .silent_from = 1 } },
        /* the system does not tell who said it, UDP does; or nobody does */
        { { NAMELESS("a"), NAMELESS(""), SILENT }, 3, { .last_hop = 2, .silent_from = 3, .farthest_hop = 2 } },
        { { NAMELESS("a"), SILENT }, 2, { .last_hop = 1, .last_router = "a", .silent_from = 2, .farthest_hop = 1 } },
        { { EXPIRED("a"), REJECTS(REACH_HOST_UNREACHABLE, "a"), REJECTS(REACH_HOST_UNREACHABLE, "a") }, 3,
          { .last_hop = 1, .last_router = "a", .farthest_hop = 1,
            .rejected_at = 2, .rejection = REACH_HOST_UNREACHABLE, .rejected_by = "a" } },
        /* refused by ICMP: a rule's answer, not the far end's */
        { { EXPIRED("a"), REJECTS(REACH_REFUSED, "a") }, 2,
          { .last_hop = 1, .last_router = "a", .farthest_hop = 1,
            .rejected_at = 2, .rejection = REACH_REFUSED, .rejected_by = "a" } },
        { { SAYS(REACH_NET_UNREACHABLE) }, 1, { .rejected_at = 1, .rejection = REACH_NET_UNREACHABLE } },
        /* later answers do not matter */
        { { EXPIRED("a"), SAYS(REACH_OPEN), SAYS(REACH_OPEN), SILENT }, 4,
          { .answered_at = 2, .answer = REACH_OPEN, .last_hop = 1, .last_router = "a", .silent_from = 4,
            .farthest_hop = 1 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ladder_summary got = ladder_sum_up(rows[i].rungs, rows[i].n), want = rows[i].want;
        assert_int_equal(got.answered_at, want.answered_at);
        assert_int_equal(got.answer, want.answer);
        assert_int_equal(got.last_hop, want.last_hop);
        assert_int_equal(got.rejected_at, want.rejected_at);
        assert_int_equal(got.rejection, want.rejection);
        assert_int_equal(got.silent_from, want.silent_from);
        assert_int_equal(got.farthest_hop, want.farthest_hop);
        assert_int_equal(got.udp_arrived_at, want.udp_arrived_at);
        assert_string_equal(got.last_router ? got.last_router : "-", want.last_router ? want.last_router : "-");
        assert_string_equal(got.rejected_by ? got.rejected_by : "-", want.rejected_by ? want.rejected_by : "-");
    }
}

/* On loopback the first TTL is enough: one attempt, and the ladder ends. */
static void test_ladder(void **state)
{
    (void)state;
    int port, n, fd = listen_here("127.0.0.1:0", &port);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct ladder_params p = {
        .address = (struct sockaddr *)&a, .len = sizeof a, .port = port, .deadline = clock_now() + 5000 * MS,
    };
    struct ladder *l = ladder_new(&p);
    struct task *tasks[] = { ladder_task(l) };
    usec start = clock_now();
    assert_true(loop_run(tasks, 1, NULL));
    assert_true(ladder_done(l));
    const struct ladder_rung *rungs = ladder_rungs(l, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rungs[0].outcome, REACH_OPEN);
    assert_true(clock_now() - start < 1000 * MS);
    ladder_free(l);
    l = ladder_new(&p); /* given up under way */
    ladder_task(l)->step(ladder_task(l));
    ladder_free(l);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loopback), cmocka_unit_test(test_silent), cmocka_unit_test(test_words),
        cmocka_unit_test(test_summaries), cmocka_unit_test(test_ladder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
