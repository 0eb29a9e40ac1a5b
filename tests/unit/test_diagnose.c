/* diagnose against toy servers on loopback: what is tried, what is seen, and that it ends soon. What takes a network to break is in
 * tests/system. */
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

#include "base/file.h"
#include "conf/settings.h"
#include "net/dial.h"
#include "net/tls.h"
#include "send/diagnose.h"
#include "send/sight.h"

/* ---- a server ---- */

struct toy {
    const char *greeting; /* NULL: none */
    const char *ehlo;     /* the reply to it; NULL: none */
    const char *anything; /* the reply to everything else, and the end; NULL: just the end */
    bool hang;            /* no end: silence */
};

static void serve_one(const struct toy *t, int fd)
{
    char block[4096];
    ssize_t n;
    if (t->greeting)
        file_write_all(fd, t->greeting, strlen(t->greeting));
    while (t->greeting || t->anything || t->hang) {
        n = read(fd, block, sizeof block);
        if (n <= 0)
            break;
        bool ehlo = t->ehlo && n > 4 && strncmp(block, "EHLO", 4) == 0;
        if (t->hang && !ehlo)
            continue;
        const char *reply = ehlo ? t->ehlo : t->anything;
        if (reply)
            file_write_all(fd, reply, strlen(reply));
        if (!ehlo)
            break;
    }
    _exit(0);
}

static pid_t start(const struct toy *t, int *port)
{
    struct err e = ERR_INIT;
    int listener = listen_on("127.0.0.1:0", port, &e);
    assert_true(listener >= 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGPIPE, SIG_IGN);
        signal(SIGCHLD, SIG_IGN);
        setpgid(0, 0);
        fcntl(listener, F_SETFL, 0);
        for (;;) {
            int fd = accept(listener, NULL, NULL);
            if (fork() == 0)
                serve_one(t, fd);
            close(fd);
        }
    }
    setpgid(child, child);
    close(listener);
    return child;
}

static void stop(pid_t server)
{
    kill(-server, SIGKILL);
    waitpid(server, NULL, 0);
}

static void bind_account(struct account *a, struct settings *settings, const char *host, int port, const char *tls, const char *starttls)
{
    struct err e = ERR_INIT;
    char number[8];
    snprintf(number, sizeof number, "%d", port);
    const char *const said[] = { "host", host, "port", number, "tls", tls, "tls_starttls", starttls, NULL };
    settings_init(settings, account_options());
    for (const char *const *s = said; *s; s += 2)
        assert_true(settings_say(settings, option_by_name(settings->table, s[0], strlen(s[0])), s[1], "test", NULL, &e));
    assert_true(account_bind(a, NULL, settings, &e));
}

static void ask(struct diagnose_params p, const char *host, int port, const char *tls, const char *starttls, struct scene *s)
{
    struct err e = ERR_INIT;
    struct settings settings;
    struct account account;
    bind_account(&account, &settings, host, port, tls, starttls);
    p.account = &account;
    p.named = NAMED_HOST;
    assert_true(diagnose(&p, s, &e));
    account_free(&account);
    settings_free(&settings);
}

/* ---- the tests ---- */

/* Skips a test in a build that has no TLS to try. */
static void needs_tls(void)
{
    struct err e = ERR_INIT;
    const bool without = !tls_params_check(&(struct tls_params){ 0 }, &e) && strstr(e.text, "without TLS");
    err_clear(&e);
    if (without)
        skip();
}

static void test_rows(void **state)
{
    (void)state;
    needs_tls();
    static const struct {
        struct toy toy;
        const char *tls, *starttls;
        bool usable, crossed; /* the other kind of TLS is tried, too … */
        const char *heard;    /* NULL: nothing */
        const char *heard_crossed; /* … and hears this */
        enum fault fault;
        bool closed_at_once;
    } rows[] = {
        { { "220 toy\r\n", "250-toy\r\n250 SIZE\r\n", "221 bye\r\n", false }, "off", "on", true, false, "220 toy", NULL, FAULT_NONE, false },
        { { "220 toy\r\n", "250-toy\r\n250 XXXXXXXA\r\n", "221 bye\r\n", false }, "on", "on", false, false, "220 toy", NULL, FAULT_NONE, false },
        { { "220 toy\r\n", "250 toy\r\n", "221 bye\r\n", false }, "on", "off", false, true, "220 toy", "220 toy", FAULT_TLS, false },
        { { "554 go away\r\n", NULL, NULL, false }, "on", "on", false, false, "554 go away", NULL, FAULT_UNAVAILABLE, false },
        { { "SSH-2.0-OpenSSH_9.2\r\n", NULL, NULL, false }, "on", "on", false, false, "SSH-2.0-OpenSSH_9.2", NULL, FAULT_PROTOCOL, false },
        { { NULL, NULL, "HTTP/1.1 400 Bad Request\r\n\r\n", false }, "on", "off", false, false, "HTTP/1.1 400 Bad Request", NULL, FAULT_TLS, false },
        { { NULL, NULL, NULL, false }, "on", "on", false, true, NULL, NULL, FAULT_LOST, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s = SCENE_INIT;
        int port;
        pid_t server = start(&rows[i].toy, &port);
        ask((struct diagnose_params){ 0 }, "127.0.0.1", port, rows[i].tls, rows[i].starttls, &s);
        stop(server);
        const struct sight *v = &s.sights[0], *other = NULL;
        for (size_t k = 1; k < s.n_sights; k++)
            if (s.sights[k].crossed)
                other = &s.sights[k];
        assert_true(v->role == SIGHT_CONFIGURED && v->port == port && sight_is_open(v) && v->looked);
        if (scene_usable(&s, v) != rows[i].usable || v->err.fault != rows[i].fault || (other != NULL) != rows[i].crossed)
            fail_msg("row %zu: %s, crossed %d", i, v->err.text, other != NULL);
        assert_int_equal(v->closed_at_once, rows[i].closed_at_once);
        if (rows[i].heard)
            assert_string_equal(v->heard, rows[i].heard);
        else
            assert_null(v->heard);
        if (rows[i].heard_crossed)
            assert_string_equal(other->heard, rows[i].heard_crossed);
        assert_int_equal(s.n_ladders, 0); /* nothing to climb on loopback */
        assert_true(s.took < 5 * USEC_PER_SEC); /* else something was waited for */
        scene_free(&s);
    }
}

static void test_nobody_listens(void **state)
{
    (void)state;
    struct scene s = SCENE_INIT;
    struct err e = ERR_INIT;
    int port;
    close(listen_on("127.0.0.1:0", &port, &e));
    ask((struct diagnose_params){ .control = "127.0.0.2" }, "127.0.0.1", port, "on", "on", &s);
    static const int ports[] = { 0, 465, 587, 2525, 25, 443 };
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        bool seen = false;
        for (size_t k = 0; k < s.n_sights; k++)
            seen |= s.sights[k].done && s.sights[k].port == (i == 0 ? port : ports[i]);
        assert_true(seen);
    }
    assert_true(s.sights[0].reach == REACH_REFUSED && s.names.v4.outcome == LOOKUP_LITERAL && s.names.v6.outcome == LOOKUP_NOT_ASKED);
    size_t control = 0;
    for (size_t k = 0; k < s.n_sights; k++)
        control += s.sights[k].role == SIGHT_CONTROL_HOST && strcmp(s.sights[k].host, "127.0.0.2") == 0;
    assert_int_equal(control, 2);
    assert_true(s.took < 2 * USEC_PER_SEC);
    scene_free(&s);
}

/* Behind a failed delivery: what it saw is not tried again, and there is an end. */
static void test_brief(void **state)
{
    (void)state;
    needs_tls();
    static const struct toy silent = { NULL, NULL, NULL, true };
    struct scene s = SCENE_INIT;
    struct err failure = ERR_INIT;
    struct hub hub;
    int port;
    pid_t server = start(&silent, &port);
    hub_init(&hub);
    hub_listen(&hub, SIGHT_EVENTS, sight_event, &s);
    emit(&hub, 1, EV_CONNECTING, F_STR("host", "127.0.0.1"), F_STR("address", "127.0.0.1"), F_INT("port", port));
    emit(&hub, 1, EV_CONNECTED, F_STR("host", "127.0.0.1"), F_STR("address", "127.0.0.1"), F_INT("port", port));
    hub_free(&hub);
    err_set(&failure, FAULT_TIMEOUT, "the server did not greet in time");
    err_stage(&failure, STAGE_GREETING);
    ask((struct diagnose_params){ .brief = true, .failure = &failure }, "127.0.0.1", port, "on", "on", &s);
    stop(server);
    size_t first = 0, crossed = 0;
    for (size_t k = 0; k < s.n_sights; k++) {
        first += s.sights[k].port == port && !s.sights[k].crossed;
        crossed += s.sights[k].crossed && s.sights[k].looked && s.sights[k].err.fault == FAULT_TIMEOUT;
    }
    assert_int_equal(first, 1);
    assert_int_equal(crossed, 1);
    assert_int_equal(s.sights[0].err.fault, FAULT_TIMEOUT);
    assert_true(s.sights[0].looked && s.sights[0].role == SIGHT_CONFIGURED);
    assert_true(s.took < 4 * USEC_PER_SEC);
    scene_free(&s);
    err_clear(&failure);
}

static void test_not_a_network(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct scene s = SCENE_INIT;
    const struct account account = { .socket = (char *)"/run/lmtp", .auth = (char *)"off" };
    assert_false(diagnose(&(struct diagnose_params){ .account = &account }, &s, &e));
    assert_int_equal(e.fault, FAULT_CONFIG);
    err_clear(&e);
    scene_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_brief),
        cmocka_unit_test(test_not_a_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
