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
#include "net/tls.h"
#include "send/deliver.h"

/* The client there is, behind the greeting of a SOCKS5 proxy where it expects one. */
static int accept_client(int listener, bool socks)
{
    char line[64];
    signal(SIGPIPE, SIG_IGN); /* a client need not wait for the answer to QUIT */
    fcntl(listener, F_SETFL, 0); /* accept waits */
    int fd = accept(listener, NULL, NULL);
    if (socks && (read(fd, line, sizeof line) < 3 || !file_write_all(fd, "\5", 2) || read(fd, line, sizeof line) < 5 ||
                  !file_write_all(fd, "\5\0\0\1\0\0\0\0\0\0", 10)))
        _exit(2);
    return fd;
}

/* Answers each line of a client by the first row that it begins with, until the client closes; what it was told is the
 * child's to judge: 1 if `never` was among it. */
static void serve(int listener, const char *ehlo, bool socks, const char *never)
{
    const struct { const char *word, *reply; } rows[] = {
        { "EHLO", ehlo }, { "DATA", "354 go\r\n" }, { "QUIT", "221 bye\r\n" }, { "AUTH", "535 no\r\n" }, { "PROXY", "" }, { "", "250 ok\r\n" },
    };
    char line[1024];
    int fd = accept_client(listener, socks), found = 0;
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

/* The same for one line at a time over TLS, with its own words. */
static void serve_tls(int listener, struct tls_server *tls, bool socks, const char *never)
{
    struct pollset ps = POLLSET_INIT;
    struct err e = ERR_INIT;
    struct stream *s = NULL;
    char line[1024] = "";
    const char *reply = "220 toy\r\n";
    enum io io;
    size_t n;
    int fd = accept_client(listener, socks);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    s = stream_new(fd, fd);
    for (io = stream_tls_server(s, tls, &e); io == IO_AGAIN || io == IO_DONE;) {
        if (io == IO_DONE && *reply)
            stream_writev(s, &(struct iovec){ (void *)reply, strlen(reply) }, 1, &n, &e);
        reply = "";
        pollset_reset(&ps);
        stream_waits(s, true, false, &ps);
        pollset_wait(&ps);
        io = stream_is_tls(s) ? stream_read(s, line, sizeof line - 1, &n, &e) : stream_tls_server(s, tls, &e);
        if (io == IO_DONE && *line)
            reply = strncmp(line, "EHLO", 4) == 0 ? "250-toy\r\n250 AUTH PLAIN\r\n" : "535 no\r\n";
        else if (io == IO_DONE)
            reply = "220 toy\r\n";
        if (strncmp(line, never, strlen(never)) == 0)
            _exit(1);
    }
    _exit(0);
}

struct toy {
    const char *ehlo;
    bool socks;
    const char *never;
    const char *const *said; /* of the account: name, value, …, NULL */
    size_t recipients;
    int source;              /* -1: a short message */
    usec deadline;
    const struct deliver_probe *probe;
    struct tls_server *tls;  /* NULL: clear text; else from the start, with its certificate */
    const char *mechanisms;  /* NULL: as said; else a list, as only a probe has it */
    char *const *command;    /* in place of the child */
    bool report;             /* it is a mail exchanger, whose MTA-STS policy is in testing mode */
    struct buf *seen;        /* events as text go here, octets with "<" or ">" in front; NULL: nowhere */
};

static void see(void *ctx, const struct event *ev)
{
    struct buf *seen = ctx;
    if (ev->kind == EV_OCTETS) {
        const struct field *octets = event_field(ev, "octets");
        buf_adds(seen, event_field(ev, "sent")->i ? "> " : "< ");
        buf_add(seen, octets->s, octets->len);
    } else if (event_template(ev->kind)) {
        event_format(ev, event_template(ev->kind), seen);
    }
    buf_addc(seen, '\n');
}

/* The child's verdict; *e how it went. */
static int deliver_to(const struct toy *toy, struct envelope *env, struct err *e)
{
    int port, listener = listen_on("127.0.0.1:0", &port, e), status = -1;
    assert_true(listener >= 0);
    pid_t child = fork();
    if (child == 0 && toy->command)
        _exit(0);
    if (child == 0 && toy->tls)
        serve_tls(listener, toy->tls, toy->socks, toy->never);
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
    if (toy->mechanisms) {
        free(account.auth);
        account.auth = xstrdup(toy->mechanisms);
    }

    struct hub hub;
    struct message message;
    struct credentials credentials;
    struct hop hop = { .host = account.host, .port = (int)account.port, .verify = true };
    hop.tls = toy->tls ? SESSION_TLS_IMPLICIT : SESSION_TLS_OFF;
    hop.exchanger = hop.report = toy->report;
    hop.wanted = toy->report ? LEVEL_MAY : LEVEL_NONE;
    char address[64];
    for (char *const *word = toy->command; word && *word; word++)
        strlist_add(&hop.command, *word);
    hub_init(&hub);
    if (toy->seen)
        hub_listen(&hub, EV_ALL, see, toy->seen);
    message_init(&message);
    credentials_init(&credentials, &account, &hub, USEC_NEVER);
    assert_true(toy->source >= 0 ? message_read(&message, toy->source, e) : message_from_memory(&message, "A: b\n\nc\n", 8, e));
    for (size_t i = 0; i < toy->recipients; i++) {
        snprintf(address, sizeof address, "user%zu@example.org", i);
        envelope_add(env, address);
    }
    const struct deliver_params params = {
        .account = &account, .hop = &hop, .env = env, .message = &message, .credentials = &credentials, .hub = &hub,
        .probe = toy->probe, .connection = 1, .deadline = clock_deadline(toy->deadline),
    };
    struct deliver *d = deliver_new(&params);
    struct task *task = deliver_task(d);
    assert_true(loop_run(&task, 1, NULL));
    deliver_result(d, e);
    const struct deliver_probe *probe = toy->probe;
    assert_int_equal(deliver_dropped(d), probe && (probe->stop_after_preamble || probe->session.drop_after || probe->session.drop_after_send));
    deliver_free(d);
    strlist_free(&hop.command);
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
        const struct toy toy = { .ehlo = "250-toy\r\n250 AUTH PLAIN\r\n", .socks = socks, .never = "AUTH", .said = said, .recipients = 1,
                                 .source = -1, .deadline = 10 * USEC_PER_SEC };
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
    const struct toy toy = { .ehlo = "250-toy\r\n250 LIMITS RCPTMAX=1\r\n", .never = "MAIL", .said = nothing, .recipients = 2,
                             .source = fds[0], .deadline = USEC_PER_SEC };
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
        const struct toy toy = { .ehlo = "250-toy\r\n250 LIMITS RCPTMAX=2\r\n", .never = "MAIL", .said = said, .recipients = n,
                                 .source = -1, .deadline = 10 * USEC_PER_SEC };
        assert_int_equal(deliver_to(&toy, &env, &e), n == 2);
        assert_int_equal(e.fault, n == 2 ? FAULT_NONE : FAULT_UNAVAILABLE);
        err_clear(&e);
        envelope_free(&env);
    }
}

/* --- what a test asks for -------------------------------------------------------------------------------------- */

static int probe_to(struct toy toy, const struct deliver_probe *probe, struct buf *seen, struct err *e)
{
    struct envelope env = ENVELOPE_INIT;
    toy.probe = probe;
    toy.seen = seen;
    toy.recipients = 1;
    toy.source = -1;
    toy.deadline = 10 * USEC_PER_SEC;
    buf_reset(seen);
    err_clear(e);
    int status = deliver_to(&toy, &env, e);
    envelope_free(&env);
    return status;
}

static size_t count(const struct buf *text, const char *part)
{
    size_t n = 0;
    for (const char *at = text->data; (at = memmem(at, text->len - (size_t)(at - text->data), part, strlen(part))); at++)
        n++;
    return n;
}

/* A password goes to a stranger in clear only where its mechanism was named. */
static void test_probe_privacy(void **state)
{
    (void)state;
    static const struct {
        const char *auth;
        bool anyway, sent;
    } rows[] = { { "on", false, false }, { "on", true, true }, { "plain", false, true } };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const said[] = { "auth", rows[i].auth, "user", "u", "password", "secret", "proxy_host", "127.0.0.1", NULL };
        const struct deliver_probe probe = { .secret_anyway = rows[i].anyway };
        const struct toy toy = { .ehlo = "250-toy\r\n250 AUTH PLAIN\r\n", .socks = true, .never = "AUTH", .said = said };
        assert_int_equal(probe_to(toy, &probe, &seen, &e), rows[i].sent);
        assert_int_equal(e.fault, FAULT_AUTH);
        assert_int_equal(e.stage, STAGE_AUTH);
        if (!rows[i].sent) {
            assert_non_null(strstr(e.text, "PLAIN would show the password"));
            assert_non_null(strstr(e.hint, "'-a PLAIN'"));
        }
    }
    err_clear(&e);
    buf_free(&seen);
}

/* Nor to a certificate that is not good, named or not, before the user said so; a server on this machine needs none that is. */
static void test_probe_certificate(void **state)
{
    (void)state;
    static const struct {
        struct deliver_probe probe;
        const char *auth;
        int sent;
        enum fault fault;
        const char *text, *hint; /* NULL: any */
    } rows[] = {
        { { .any_certificate = true }, "on", 0, FAULT_AUTH, "PLAIN would show the password", "--no-tls-verify" },
        { { .any_certificate = true }, "plain", 0, FAULT_AUTH, "PLAIN would show the password", "--no-tls-verify" },
        { { .any_certificate = true, .any_name = true }, "plain", 0, FAULT_AUTH, "PLAIN would", "--no-tls-verify" },
        { { .any_certificate = true, .any_issuer = true }, "plain", 1, FAULT_LOST, "", NULL }, /* the name is right */
        { { .any_certificate = true, .secret_anyway = true }, "on", 1, FAULT_LOST, "", NULL },
        { { .any_certificate = false }, "on", 0, FAULT_CERTIFICATE, "self-signed", NULL },
    };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    struct tls_server *tls = tls_server_new(&(struct tls_server_params){ 0 }, &e);
    if (!tls || access("/etc/ssl/certs/ca-certificates.crt", R_OK) < 0)
        skip();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const said[] = { "host", "localhost", "auth", rows[i].auth, "user", "u", "password", "secret",
                                     "proxy_host", "127.0.0.1", NULL }; /* or it would be local */
        const struct toy toy = { .socks = true, .never = "AUTH", .said = said, .tls = tls };
        assert_int_equal(probe_to(toy, &rows[i].probe, &seen, &e), rows[i].sent);
        if (e.fault != rows[i].fault || !strstr(e.text, rows[i].text))
            fail_msg("row %zu: %s", i, e.text);
        if (rows[i].hint)
            assert_non_null(strstr(e.hint, rows[i].hint));
    }
    const char *const local[] = { "host", "localhost", "auth", "on", "user", "u", "password", "secret", NULL };
    assert_int_equal(probe_to((struct toy){ .never = "AUTH", .said = local, .tls = tls }, &rows[0].probe, &seen, &e), 1);
    err_clear(&e);
    tls_server_free(tls);
    buf_free(&seen);
}

/* The mechanisms of a list are tried in its order, whatever the refusal says; one that is not offered is passed over. */
static void test_probe_list(void **state)
{
    (void)state;
    static const struct { const char *auth, *tried[4]; } rows[] = {
        { "login,cram-md5,plain", { "C: AUTH LOGIN", "C: AUTH PLAIN " } },
        { "plain,login", { "C: AUTH PLAIN ", "C: AUTH LOGIN" } },
        { "plain", { "C: AUTH PLAIN " } },
    };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const char *const said[] = { "user", "u", "password", "secret", NULL };
        const struct toy toy = { .ehlo = "250-toy\r\n250 AUTH PLAIN LOGIN\r\n", .never = "MAIL", .said = said, .mechanisms = rows[i].auth };
        assert_int_equal(probe_to(toy, &(struct deliver_probe){ 0 }, &seen, &e), 0);
        size_t n = 0;
        const char *at = seen.data;
        for (; rows[i].tried[n]; n++)
            assert_non_null(at = strstr(at, rows[i].tried[n]));
        assert_int_equal(count(&seen, "C: AUTH"), n);
        assert_int_equal(e.fault, FAULT_AUTH);
    }
    err_clear(&e);
    buf_free(&seen);
}

/* Every octet is there but those of AUTH. */
static void test_probe_octets(void **state)
{
    (void)state;
    static const char *const said[] = { "auth", "plain", "user", "u", "password", "secret", NULL };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    const struct toy toy = { .ehlo = "250-toy\r\n250 AUTH PLAIN\r\n", .never = "MAIL", .said = said };
    assert_int_equal(probe_to(toy, &(struct deliver_probe){ 0 }, &seen, &e), 0);
    assert_non_null(strstr(seen.data, "< 220 toy\r\n\n"));
    assert_non_null(strstr(seen.data, "> EHLO localhost\r\n\n"));
    assert_non_null(strstr(seen.data, "> [AUTH: 25 octets not shown]\n"));
    assert_non_null(strstr(seen.data, "< 535 no\r\n\n"));
    assert_null(strstr(seen.data, "secret"));
    assert_null(strstr(seen.data, "AHUAc2VjcmV0"));
    err_clear(&e);
    buf_free(&seen);
}

static void test_probe_preamble(void **state)
{
    (void)state;
    static const char *const nothing[] = { NULL };
    struct buf seen = BUF_INIT, preamble = BUF_INIT;
    struct err e = ERR_INIT;
    buf_adds(&preamble, "PROXY UNKNOWN\r\n");
    for (int stop = 0; stop < 2; stop++) {
        const struct deliver_probe probe = { .preamble = &preamble, .preamble_line = "PROXY UNKNOWN", .stop_after_preamble = stop };
        const struct toy toy = { .ehlo = "250 toy\r\n", .never = "PROXY UNKNOWN", .said = nothing };
        assert_int_equal(probe_to(toy, &probe, &seen, &e), 1);
        assert_non_null(strstr(seen.data, "\nC: PROXY UNKNOWN\n> PROXY UNKNOWN\r\n\n"));
        assert_int_equal(count(&seen, "C: EHLO"), !stop);
        assert_false(err_is_set(&e));
        assert_int_equal(count(&seen, "# connection closed: dropped"), stop);
    }
    err_clear(&e);
    buf_free(&seen);
    buf_free(&preamble);
}

/* The session's stops: the connection ends without QUIT, what was to be sent before it has been; the reply to QUIT can be waited for. */
static void test_probe_stops(void **state)
{
    (void)state;
    static const char *const nothing[] = { NULL };
    static const struct {
        struct session_probe session;
        const char *seen, *not_seen;
    } rows[] = {
        { { .drop_after = STOP_MAIL }, "C: MAIL", "C: RCPT" },
        { { .drop_after_send = STOP_RCPT }, "> RCPT", "C: DATA" },
        { { .drop_after_send = STOP_DOT }, "C: DATA", "C: QUIT" },
        { { .quit_after = STOP_MAIL, .hear_quit = true }, "S: 221 bye", "C: RCPT" },
    };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool drops = rows[i].session.drop_after || rows[i].session.drop_after_send;
        const struct deliver_probe probe = { .session = rows[i].session };
        const struct toy toy = { .ehlo = "250 toy\r\n", .never = "QUIT", .said = nothing };
        assert_int_equal(probe_to(toy, &probe, &seen, &e), !drops);
        if (!strstr(seen.data, rows[i].seen) || strstr(seen.data, rows[i].not_seen))
            fail_msg("row %zu: %s", i, seen.data);
        assert_int_equal(count(&seen, "# connection closed: dropped"), drops);
        assert_false(err_is_set(&e));
    }
    buf_free(&seen);
}

/* Where nothing is said about AUTH, what is named is used as if it were. */
static void test_probe_auth_assumed(void **state)
{
    (void)state;
    static const char *const said[] = { "user", "u", "password", "secret", NULL };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    const struct deliver_probe probe = { .session = { .caps_assumed = CAP_AUTH } };
    const struct toy toy = { .ehlo = "250 toy\r\n", .never = "MAIL", .said = said, .mechanisms = "LOGIN,PLAIN" };
    assert_int_equal(probe_to(toy, &probe, &seen, &e), 0);
    assert_int_equal(count(&seen, "C: AUTH LOGIN"), 1);
    assert_int_equal(count(&seen, "C: AUTH PLAIN"), 1);
    assert_int_equal(e.fault, FAULT_AUTH);
    err_clear(&e);
    buf_free(&seen);
}

static void test_probe_command(void **state)
{
    (void)state;
    static const char *const nothing[] = { NULL };
    static char *const server[] = { "sh", "-c",
        "echo 220 child; while read -r line; do case $line in DATA*) echo 354 go;; QUIT*) echo 221 bye; exit;; .?) echo 250 2.0.0 taken;; "
        "EHLO*|MAIL*|RCPT*) echo 250 ok;; esac; done", NULL };
    static char *const none[] = { "/nonexistent/server", NULL };
    struct buf seen = BUF_INIT;
    struct err e = ERR_INIT;
    struct toy toy = { .said = nothing, .command = server };
    probe_to(toy, &(struct deliver_probe){ 0 }, &seen, &e);
    assert_false(err_is_set(&e));
    assert_non_null(strstr(seen.data, "# connected to sh -c echo 220 child"));
    assert_non_null(strstr(seen.data, "S: 250 2.0.0 taken"));
    toy.command = none;
    probe_to(toy, &(struct deliver_probe){ 0 }, &seen, &e);
    assert_int_equal(e.fault, FAULT_CONNECT);
    assert_int_equal(e.stage, STAGE_CONNECT);
    err_clear(&e);
    buf_free(&seen);
}

/* A policy in testing mode holds nothing up; once in a connection it is told what would have failed. */
static void test_policy_in_testing(void **state)
{
    (void)state;
    static const char *const said[] = { "host", "localhost", "auth", "off", NULL };
    struct err e = ERR_INIT;
    struct tls_server *tls = tls_server_new(&(struct tls_server_params){ 0 }, &e);
    if (!tls || access("/etc/ssl/certs/ca-certificates.crt", R_OK) < 0)
        skip();
    for (int with_tls = 0; with_tls < 2; with_tls++)
        for (int report = 0; report < 2; report++) {
            struct buf seen = BUF_INIT;
            struct envelope env = ENVELOPE_INIT;
            const bool strict = with_tls && !report; /* no exchanger, then, and somebody's own server */
            deliver_to(&(struct toy){ .ehlo = "250 toy\r\n", .never = "AUTH", .said = said, .recipients = 1, .source = -1,
                                      .deadline = 10 * USEC_PER_SEC, .tls = with_tls ? tls : NULL, .report = report,
                                      .seen = &seen }, &env, &e);
            assert_int_equal(e.fault == FAULT_CERTIFICATE, strict);
            assert_int_equal(count(&seen, "the MTA-STS policy of its domain would not allow that"), report);
            assert_int_equal(count(&seen, "the connection to 'localhost' is not encrypted;"), report && !with_tls);
            assert_int_equal(count(&seen, "the certificate of 'localhost' is self-signed;"), report && with_tls);
            envelope_free(&env);
            err_clear(&e);
            buf_free(&seen);
        }
    tls_server_free(tls);
}

/* --- many at once ----------------------------------------------------------------------------------------------- */

/* A lane runs one delivery after the other, each begun inside its own step. */
struct lane {
    struct task task;
    const struct deliver_params *params;
    struct envelope env;
    struct message message;
    struct deliver *d;
    int left, done;
};

static void lane_next(struct lane *l)
{
    struct deliver_params p = *l->params;
    struct err e = ERR_INIT;
    envelope_add(&l->env, "a@example.org");
    assert_true(message_from_memory(&l->message, "A: b\n\nc\n", 8, &e));
    p.env = &l->env;
    p.message = &l->message;
    l->d = deliver_new(&p);
}

static bool lane_step(struct task *t)
{
    struct lane *l = (struct lane *)t;
    struct task *inner = deliver_task(l->d);
    struct err e = ERR_INIT;
    if (!inner->step(inner))
        return false;
    deliver_result(l->d, &e);
    l->done += !err_is_set(&e) && envelope_count(&l->env, RCPT_ACCEPTED) == 1;
    err_clear(&e);
    deliver_free(l->d);
    envelope_free(&l->env);
    message_free(&l->message);
    l->d = NULL;
    if (--l->left == 0)
        return true;
    l->env = (struct envelope)ENVELOPE_INIT;
    message_init(&l->message);
    lane_next(l);
    return false;
}

static void lane_waits(const struct task *t, struct pollset *ps)
{
    const struct task *inner = deliver_task(((const struct lane *)t)->d);
    inner->waits(inner, ps);
}

static void test_many_at_once(void **state)
{
    (void)state;
    enum { LANES = 50, EACH = 3 };
    struct err e = ERR_INIT;
    int port, listener = listen_on("127.0.0.1:0", &port, &e);
    pid_t server = fork();
    if (server == 0) {
        for (int i = 0; i < LANES * EACH; i++)
            if (fork() == 0)
                serve(listener, "250 toy\r\n", false, "never");
        for (int i = 0; i < LANES * EACH; i++)
            wait(NULL);
        _exit(0);
    }
    close(listener);
    struct settings settings;
    struct account account;
    settings_init(&settings, account_options());
    assert_true(settings_say(&settings, option_by_name(settings.table, "host", 4), "localhost", "test", NULL, &e));
    assert_true(account_bind(&account, NULL, &settings, &e));
    struct hub hub;
    struct credentials credentials;
    hub_init(&hub);
    credentials_init(&credentials, &account, &hub, USEC_NEVER);
    const struct deliver_probe probe = { .keep_pem = true };
    const struct hop hop = { .host = account.host, .port = port, .tls = SESSION_TLS_OFF };
    const struct deliver_params params = {
        .account = &account, .hop = &hop, .credentials = &credentials, .hub = &hub, .connection = 1,
        .deadline = clock_deadline(60 * USEC_PER_SEC), .probe = &probe,
    };
    static struct lane lanes[LANES];
    struct task *tasks[LANES];
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = (struct lane){ .task = { lane_step, lane_waits }, .params = &params, .left = EACH };
        message_init(&lanes[i].message);
        lane_next(&lanes[i]);
        tasks[i] = &lanes[i].task;
    }
    assert_true(loop_run(tasks, LANES, NULL));
    for (size_t i = 0; i < LANES; i++)
        assert_int_equal(lanes[i].done, EACH);
    credentials_free(&credentials);
    hub_free(&hub);
    account_free(&account);
    settings_free(&settings);
    assert_int_equal(waitpid(server, NULL, 0), server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_is_not_the_server),
        cmocka_unit_test(test_deadline_in_spool),
        cmocka_unit_test(test_all_or_nothing_is_one_transaction),
        cmocka_unit_test(test_probe_privacy),
        cmocka_unit_test(test_probe_certificate),
        cmocka_unit_test(test_probe_list),
        cmocka_unit_test(test_probe_octets),
        cmocka_unit_test(test_probe_preamble),
        cmocka_unit_test(test_probe_stops),
        cmocka_unit_test(test_probe_auth_assumed),
        cmocka_unit_test(test_probe_command),
        cmocka_unit_test(test_policy_in_testing),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
