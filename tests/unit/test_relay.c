/* Recipients on their way over several exchangers, each a toy server that does one thing: what becomes of them. */
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
#include "net/dial.h"
#include "send/relay.h"

enum { SERVERS = 3 };

/* What a server answers to RCPT; "lost": it closes instead; "maybe": it closes after the message. "late" says 450 to the
 * second recipient only. */
static const char *answer(const char *manner, const char *line, int *rcpts)
{
    if (strncmp(line, "RCPT", 4) == 0) {
        bool second = ++*rcpts == 2;
        if (strcmp(manner, "450") == 0 || (strcmp(manner, "late") == 0 && second))
            return "450 4.2.0 later\r\n";
        return strcmp(manner, "550") == 0 ? "550 5.1.1 nobody\r\n" : strcmp(manner, "lost") == 0 ? NULL : "250 ok\r\n";
    }
    if (strcmp(line, ".\r\n") == 0)
        return strcmp(manner, "maybe") == 0 ? NULL : "250 2.0.0 Ok: queued as Q1\r\n";
    return strncmp(line, "DATA", 4) == 0 ? "354 go\r\n" : "250 ok\r\n";
}

static void serve(int listener, const char *manner)
{
    char line[1024];
    int rcpts = 0;
    signal(SIGPIPE, SIG_IGN);
    fcntl(listener, F_SETFL, 0); /* accept waits */
    int fd = accept(listener, NULL, NULL);
    FILE *in = fdopen(fd, "r");
    bool text = false;
    file_write_all(fd, "220 toy\r\n", 9);
    while (fgets(line, sizeof line, in)) {
        bool end = strcmp(line, ".\r\n") == 0;
        if (text && !end)
            continue;
        const char *reply = answer(manner, line, &rcpts);
        if (!reply)
            break;
        text = strncmp(reply, "354", 3) == 0;
        file_write_all(fd, reply, strlen(reply));
    }
    _exit(0);
}

/* "closed": nobody listens there. The port. */
static int begin(const char *manner, pid_t *child)
{
    struct err e = ERR_INIT;
    int port, listener = listen_on("127.0.0.1:0", &port, &e);
    assert_true(listener >= 0);
    *child = strcmp(manner, "closed") == 0 ? 0 : fork();
    if (*child == 0 && strcmp(manner, "closed") != 0)
        serve(listener, manner);
    close(listener);
    return port;
}

static void add_hop(struct route *r, size_t i, int port)
{
    r->v = xrealloc(r->v, (r->n + 1) * sizeof *r->v);
    r->v[r->n++] = (struct hop){ .host = xasprintf("mx%zu", i), .address = xstrdup("127.0.0.1"), .port = port,
                                 .exchanger = true };
}

/* "accepted@0 refused@1": fates and who answered; then the error's stage, and how many connections there were. */
static void describe(const struct envelope *env, const struct relay_end *end, unsigned connections, struct buf *out)
{
    for (size_t i = 0; i < env->n; i++) {
        buf_printf(out, "%s", rcpt_fate_word(env->rcpts[i].fate));
        if (env->rcpts[i].reply.code)
            buf_printf(out, " %d", env->rcpts[i].reply.code);
        if (end->over[i] != SIZE_MAX)
            buf_printf(out, "@%zu", end->over[i]);
        buf_adds(out, ", ");
    }
    buf_printf(out, "%s, %u", err_is_set(&end->err) ? stage_word(end->err.stage) : "-", connections);
}

static void fates(void **state)
{
    (void)state;
    static const struct { const char *servers[SERVERS]; size_t recipients; const char *end; } cases[] = {
        { { "ok", "ok" }, 1, "accepted 250@0, -, 1" },
        { { "closed", "ok" }, 1, "accepted 250@1, -, 2" },
        { { "450", "ok" }, 2, "accepted 250@1, accepted 250@1, -, 2" },
        { { "late", "ok" }, 2, "accepted 250@0, accepted 250@1, -, 2" },
        { { "late", "450", "ok" }, 2, "accepted 250@0, accepted 250@2, -, 3" },
        { { "lost", "ok" }, 1, "accepted 250@1, -, 2" },
        { { "550", "ok" }, 1, "refused 550@0, -, 1" },
        { { "450", "closed" }, 1, "deferred 450@0, -, 2" },
        { { "closed", "450" }, 1, "deferred 450@1, -, 2" },
        { { "450", "lost" }, 1, "deferred 450@1, -, 2" },
        { { "maybe", "ok" }, 1, "uncertain@0, dot, 1" },
        { { "lost", "closed" }, 1, "not-tried, rcpt, 2" },
        { { "closed", "closed", "closed" }, 1, "not-tried, connect, 3" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account account = { .auth = (char *)"off", .domain = (char *)"client.example" };
        struct envelope env = { .sender = xstrdup("me@example.org") };
        struct route route = ROUTE_INIT;
        struct credentials credentials;
        struct message message;
        struct relay_end end;
        struct hub hub;
        struct buf got = BUF_INIT;
        struct err e = ERR_INIT;
        pid_t children[SERVERS] = { 0 };
        unsigned connections = 0;
        for (size_t k = 0; k < SERVERS && cases[i].servers[k]; k++)
            add_hop(&route, k, begin(cases[i].servers[k], &children[k]));
        for (size_t k = 0; k < cases[i].recipients; k++)
            envelope_add(&env, k ? "second@example.org" : "first@example.org");
        message_init(&message);
        assert_true(message_from_memory(&message, "Subject: s\n\nbody\n", 17, &e));
        hub_init(&hub);
        credentials_init(&credentials, &account, &hub, USEC_NEVER);
        const struct relay_params params = {
            .account = &account, .route = &route, .env = &env, .message = &message, .credentials = &credentials,
            .hub = &hub, .connections = &connections, .deadline = clock_deadline(20 * USEC_PER_SEC),
        };
        struct relay *r = relay_new(&params);
        struct task *task = relay_task(r);
        assert_true(loop_run(&task, 1, NULL));
        relay_take(r, &end);
        describe(&env, &end, connections, &got);
        if (strcmp(got.data, cases[i].end) != 0)
            fail_msg("case %zu: %s, not %s (%s)", i, got.data, cases[i].end, end.err.text ? end.err.text : "");
        assert_int_equal(end.err.fate == FATE_MAYBE_SENT, strcmp(cases[i].servers[0], "maybe") == 0);
        for (size_t k = 0; k < env.n; k++)
            if (env.rcpts[k].fate == RCPT_ACCEPTED)
                assert_string_equal(route.v[end.over[k]].queue_id, "Q1");
        for (size_t k = 0; k < SERVERS; k++)
            if (children[k] > 0) {
                kill(children[k], SIGKILL); /* one that nobody came to still waits */
                waitpid(children[k], NULL, 0);
            }
        relay_end_free(&end);
        relay_free(r);
        credentials_free(&credentials);
        hub_free(&hub);
        message_free(&message);
        envelope_free(&env);
        route_free(&route);
        buf_free(&got);
    }
}

/* A signal before anything was said: nobody was refused. */
static void aborted(void **state)
{
    (void)state;
    struct account account = { .auth = (char *)"off" };
    struct envelope env = { .sender = xstrdup("") };
    struct route route = ROUTE_INIT;
    struct relay_end end;
    struct err e = ERR_INIT;
    unsigned connections = 0;
    pid_t none;
    envelope_add(&env, "a@example.org");
    add_hop(&route, 0, begin("closed", &none));
    struct relay *r = relay_new(&(struct relay_params){ .account = &account, .route = &route, .env = &env,
                                                        .connections = &connections, .deadline = USEC_NEVER });
    err_set(&e, FAULT_INTERRUPTED, "interrupted");
    relay_abort(r, &e);
    relay_take(r, &end);
    assert_int_equal(end.err.fault, FAULT_INTERRUPTED);
    assert_int_equal(end.over[0], SIZE_MAX);
    assert_int_equal(env.rcpts[0].fate, RCPT_PENDING);
    relay_end_free(&end);
    relay_free(r);
    envelope_free(&env);
    route_free(&route);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(fates), cmocka_unit_test(aborted) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
