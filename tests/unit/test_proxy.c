/* The proxy dialogues as octets in and out, whole and one octet at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "net/proxy.h"

#define OCTETS(s_) (s_), sizeof(s_) - 1

static const struct {
    const char *title;
    enum proxy_type type;
    const char *host, *user, *password;
    const char *answers;
    size_t answers_n;
    const char *sent;  /* all we say, when the proxy is open */
    size_t sent_n;
    size_t rest;       /* octets at the end of answers that are the target's */
    enum fault fault;
    const char *text;
} rows[] = {
    { "socks", PROXY_SOCKS5, "mx.example", NULL, NULL, OCTETS("\5\0" "\5\0\0\1\1\2\3\4\0\x19" "220 hi"),
      OCTETS("\5\1\0" "\5\1\0\3\x0amx.example\0\x19"), 6, 0, NULL },
    { "socks, IPv4", PROXY_SOCKS5, "192.0.2.1", NULL, NULL, OCTETS("\5\0" "\5\0\0\3\3abc\0\x19"),
      OCTETS("\5\1\0" "\5\1\0\1\xc0\0\2\1\0\x19"), 0, 0, NULL },
    { "socks, IPv6", PROXY_SOCKS5, "2001:db8::1", NULL, NULL, OCTETS("\5\0" "\5\0\0\4" "0123456789abcdef" "\0\x19"),
      OCTETS("\5\1\0" "\5\1\0\4\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\x19"), 0, 0, NULL },
    { "socks, password", PROXY_SOCKS5, "mx", "me", "secret", OCTETS("\5\2" "\1\0" "\5\0\0\1\1\2\3\4\0\x19"),
      OCTETS("\5\2\0\2" "\1\2me\6secret" "\5\1\0\3\2mx\0\x19"), 0, 0, NULL },
    { "socks, wrong password", PROXY_SOCKS5, "mx", "me", "secret", OCTETS("\5\2" "\1\1"), NULL, 0, 0, FAULT_AUTH, "refuses the user name or the password" },
    { "socks, wants a password", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\xff"), NULL, 0, 0, FAULT_AUTH, "wants a user name" },
    { "socks, password not offered", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\2"), NULL, 0, 0, FAULT_PROTOCOL, "does not speak SOCKS5" },
    { "socks 4", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\0\x5b"), NULL, 0, 0, FAULT_PROTOCOL, "does not speak SOCKS5" },
    { "socks, refused", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\0" "\5\5\0\1\0"), NULL, 0, 0, FAULT_CONNECT, "cannot connect to 'mx' port 25: connection refused" },
    { "socks, rules", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\0" "\5\2\0\1\0"), NULL, 0, 0, FAULT_UNAVAILABLE, "not allowed by the proxy's rules" },
    { "socks, unknown", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\0" "\5\x63\0\1\0"), NULL, 0, 0, FAULT_CONNECT, "unknown reason" },
    { "socks, odd address", PROXY_SOCKS5, "mx", NULL, NULL, OCTETS("\5\0" "\5\0\0\7\0"), NULL, 0, 0, FAULT_PROTOCOL, "does not speak SOCKS5" },
    { "http", PROXY_HTTP, "mx.example", NULL, NULL, OCTETS("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n220 hi"),
      OCTETS("CONNECT mx.example:25 HTTP/1.1\r\nHost: mx.example:25\r\n\r\n"), 6, 0, NULL },
    { "http, bare LF", PROXY_HTTP, "::1", NULL, NULL, OCTETS("HTTP/1.0 200\n\n"),
      OCTETS("CONNECT [::1]:25 HTTP/1.1\r\nHost: [::1]:25\r\n\r\n"), 0, 0, NULL },
    { "http, password", PROXY_HTTP, "mx", "me", "secret", OCTETS("HTTP/1.1 200 OK\r\n\r\n"),
      OCTETS("CONNECT mx:25 HTTP/1.1\r\nHost: mx:25\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n"), 0, 0, NULL },
    { "http, wants a password", PROXY_HTTP, "mx", NULL, NULL, OCTETS("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), NULL, 0, 0, FAULT_AUTH, "wants a user name" },
    { "http, forbidden", PROXY_HTTP, "mx", NULL, NULL, OCTETS("HTTP/1.1 403 Forbidden\r\n\r\n"), NULL, 0, 0, FAULT_UNAVAILABLE, "does not connect to 'mx' port 25" },
    { "http, bad gateway", PROXY_HTTP, "mx", NULL, NULL, OCTETS("HTTP/1.1 502 Bad Gateway\r\n\r\n"), NULL, 0, 0, FAULT_CONNECT, "does not connect" },
    { "http, not HTTP", PROXY_HTTP, "mx", NULL, NULL, OCTETS("220 mx ESMTP\r\n\r\n"), NULL, 0, 0, FAULT_PROTOCOL, "does not speak HTTP" },
    { "http, NUL", PROXY_HTTP, "mx", NULL, NULL, OCTETS("HTTP/1.1\0 200 OK\r\n\r\n"), NULL, 0, 0, FAULT_PROTOCOL, "does not speak HTTP" },
};

static void play(size_t i, size_t step)
{
    struct proxy p;
    struct err e = ERR_INIT;
    enum proxy_status status = PROXY_MORE;
    size_t eaten = 0;
    assert_true(proxy_start(&p, rows[i].type, rows[i].host, 25, rows[i].user, rows[i].password, &e));
    while (status == PROXY_MORE && eaten < rows[i].answers_n) {
        size_t used, n = rows[i].answers_n - eaten < step ? rows[i].answers_n - eaten : step;
        status = proxy_feed(&p, rows[i].answers + eaten, n, &used, &e);
        assert_true(used <= n);
        eaten += used;
    }
    if (rows[i].text) {
        if (status != PROXY_FAILED || !strstr(e.text, rows[i].text))
            fail_msg("%s: %d %s", rows[i].title, status, e.text ? e.text : "");
        assert_int_equal(e.fault, rows[i].fault);
        assert_int_equal(e.stage, STAGE_PROXY);
    } else {
        if (status != PROXY_OPEN)
            fail_msg("%s: %d %s", rows[i].title, status, e.text ? e.text : "");
        assert_int_equal(rows[i].answers_n - eaten, rows[i].rest);
        assert_int_equal(p.out.len, rows[i].sent_n);
        assert_memory_equal(p.out.data, rows[i].sent, rows[i].sent_n);
    }
    err_clear(&e);
    proxy_free(&p);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        play(i, SIZE_MAX);
        play(i, 1);
    }
}

static void test_unfit(void **state)
{
    (void)state;
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct {
        enum proxy_type type;
        const char *host, *user;
    } unfit[] = {
        { PROXY_HTTP, "mx\r\nX: y", NULL }, { PROXY_HTTP, "", NULL }, { PROXY_HTTP, "a b", NULL },
        { PROXY_SOCKS5, longer, NULL },     { PROXY_SOCKS5, "mx", longer },
    };
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        struct proxy p;
        struct err e = ERR_INIT;
        assert_false(proxy_start(&p, unfit[i].type, unfit[i].host, 25, unfit[i].user, "x", &e));
        assert_int_equal(e.fault, FAULT_CONFIG);
        err_clear(&e);
        proxy_free(&p);
    }
}

static void test_endless(void **state)
{
    (void)state;
    struct proxy p;
    struct err e = ERR_INIT;
    size_t used, eaten = 0;
    enum proxy_status status = PROXY_MORE;
    assert_true(proxy_start(&p, PROXY_HTTP, "mx", 25, NULL, NULL, &e));
    for (; status == PROXY_MORE && eaten < 100000; eaten += used)
        status = proxy_feed(&p, "X-Header: for ever\r\n", 20, &used, &e);
    assert_int_equal(status, PROXY_FAILED);
    assert_int_equal(e.fault, FAULT_PROTOCOL);
    assert_true(eaten <= PROXY_ANSWER_MAX);
    err_clear(&e);
    proxy_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_unfit), cmocka_unit_test(test_endless) };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
