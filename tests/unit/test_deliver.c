/* Deliveries to a toy server: what hangs on the account and the loop, and so is in no dialogue file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/account.h"
#include "conf/settings.h"
#include "net/dial.h"
#include "send/deliver.h"

/* Answers each line of a client by the first row that it begins with, until the client closes; what it was told is the
 * child's to judge: 1 if `never` was among it. A proxy is greeted as SOCKS5. */
static void serve(int listener, const char *ehlo, bool socks, const char *never)
{
    const struct { const char *word, *reply; } rows[] = {
        { "EHLO", ehlo }, { "DATA", "354 go\r\n" }, { "QUIT", "221 bye\r\n" }, { "AUTH", "535 no\r\n" }, { "", "250 ok\r\n" },
    };
    char line[1024];
    signal(SIGPIPE, SIG_IGN); /* a client need not wait for the answer to QUIT */
    fcntl(listener, F_SETFL, 0); /* accept waits */
    int fd = accept(listener, NULL, NULL), found = 0;
    if (socks && (read(fd, line, sizeof line) < 3 || !file_write_all(fd, "\5", 2) || read(fd, line, sizeof line) < 5 ||
                  !file_write_all(fd, "\5\0\0\1\0\0\0\0\0\0", 10)))
        _exit(2);
    FILE *in = fdopen(fd, "r");
    file_write_all(fd, "220 toy\r\n", 9);
    while (fgets(line, sizeof line, in)) {
        found |= strncmp(line, never, strlen(never)) == 0;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (strncmp(line, rows[i].word, strlen(rows[i].word)) == 0) {
                file_write_all(fd, rows[i].reply, strlen(rows[i].reply));
                break;
            }
    }
    _exit(found);
}

struct toy {
    const char *ehlo;
    bool socks;
    const char *never;
    const char *const *said; /* of the account: name, value, …, NULL */
    size_t recipients;
    int source;              /* -1: a short message */
    usec deadline;
};

/* The child's verdict; *e how it went. */
static int deliver_to(const struct toy *toy, struct envelope *env, struct err *e)
{
    int port, listener = listen_on("127.0.0.1:0", &port, e), status = -1;
    assert_true(listener >= 0);
    pid_t child = fork();
    if (child == 0)
        serve(listener, toy->ehlo, toy->socks, toy->never);
    close(listener);

    struct settings settings;
    struct account account;
    char number[8];
    snprintf(number, sizeof number, "%d", port);
    settings_init(&settings, account_options());
    const char *const always[] = { toy->socks ? "host" : "port", toy->socks ? "mail.example.org" : number,
                                   toy->socks ? "proxy_port" : "host", toy->socks ? number : "127.0.0.1", "tls", "off", NULL };
    const char *const *lists[] = { always, toy->said };
    for (size_t k = 0; k < 2; k++)
        for (const char *const *s = lists[k]; *s; s += 2)
            assert_true(settings_say(&settings, option_by_name(settings.table, s[0], strlen(s[0])), s[1], "test", NULL, e));
    assert_true(account_bind(&account, NULL, &settings, e));

    struct hub hub;
    struct message message;
    struct credentials credentials;
    const struct hop hop = { .host = account.host, .port = (int)account.port, .tls = SESSION_TLS_OFF };
    char address[64];
    hub_init(&hub);
    message_init(&message);
    credentials_init(&credentials, &account, &hub, USEC_NEVER);
    assert_true(toy->source >= 0 ? message_read(&message, toy->source, e) : message_from_memory(&message, "A: b\n\nc\n", 8, e));
    for (size_t i = 0; i < toy->recipients; i++) {
        snprintf(address, sizeof address, "user%zu@example.org", i);
        envelope_add(env, address);
    }
    const struct deliver_params params = {
        .account = &account, .hop = &hop, .env = env, .message = &message, .credentials = &credentials, .hub = &hub,
        .connection = 1, .deadline = clock_deadline(toy->deadline),
    };
    struct deliver *d = deliver_new(&params);
    struct task *task = deliver_task(d);
    assert_true(loop_run(&task, 1, NULL));
    deliver_result(d, e);
    deliver_free(d);
    credentials_free(&credentials);
    message_free(&message);
    hub_free(&hub);
    account_free(&account);
    settings_free(&settings);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

/* A proxy on loopback is not the server: no password goes to it in clear. */
static void test_proxy_is_not_the_server(void **state)
{
    (void)state;
    static const char *const login[] = { "auth", "on", "user", "u", "password", "secret", "proxy_host", "127.0.0.1", NULL };
    for (int socks = 0; socks < 2; socks++) {
        struct envelope env = ENVELOPE_INIT;
        struct err e = ERR_INIT;
        const char *const *said = login;
        static const char *const direct[] = { "auth", "on", "user", "u", "password", "secret", NULL };
        if (!socks)
            said = direct;
        const struct toy toy = { "250-toy\r\n250 AUTH PLAIN\r\n", socks, "AUTH", said, 1, -1, 10 * USEC_PER_SEC };
        assert_int_equal(deliver_to(&toy, &env, &e), !socks);
        assert_int_equal(e.fault, FAULT_AUTH);
        err_clear(&e);
        envelope_free(&env);
    }
}

/* The deadline holds while a message that is needed twice is waited for. */
static void test_deadline_in_spool(void **state)
{
    (void)state;
    static const char *const nothing[] = { NULL };
    static char block[(1 << 20) + 3000];
    struct envelope env = ENVELOPE_INIT;
    struct err e = ERR_INIT;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        memset(block, 'x', sizeof block);
        block[0] = '\n';
        _exit(!file_write_all(fds[1], block, sizeof block));
    }
    const struct toy toy = { "250-toy\r\n250 LIMITS RCPTMAX=1\r\n", false, "MAIL", nothing, 2, fds[0], USEC_PER_SEC };
    assert_int_equal(deliver_to(&toy, &env, &e), 0);
    assert_int_equal(e.fault, FAULT_TIMEOUT);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    err_clear(&e);
    envelope_free(&env);
}

/* Transactions that follow each other cannot be all or nothing. */
static void test_all_or_nothing_is_one_transaction(void **state)
{
    (void)state;
    static const char *const said[] = { "all_or_nothing", "on", NULL };
    for (size_t n = 2; n <= 3; n++) {
        struct envelope env = ENVELOPE_INIT;
        struct err e = ERR_INIT;
        const struct toy toy = { "250-toy\r\n250 LIMITS RCPTMAX=2\r\n", false, "MAIL", said, n, -1, 10 * USEC_PER_SEC };
        assert_int_equal(deliver_to(&toy, &env, &e), n == 2);
        assert_int_equal(e.fault, n == 2 ? FAULT_NONE : FAULT_UNAVAILABLE);
        err_clear(&e);
        envelope_free(&env);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_is_not_the_server),
        cmocka_unit_test(test_deadline_in_spool),
        cmocka_unit_test(test_all_or_nothing_is_one_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
