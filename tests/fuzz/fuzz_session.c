/* fuzz_session: any octets from the server. The first octets choose what is wanted; the driver serves every want. It
 * must end, keep the line framing, and never take a message for accepted that no 2xx reply accepted. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/session.h"

enum { STEPS_MAX = 100000, READ_MAX = 64 };

#define MUST(x) do { if (!(x)) abort(); } while (0)

struct feed {
    const uint8_t *p;
    size_t n;
    bool accepted; /* the octets hold "2" at a line start: a fate may be accepted */
};

static uint8_t byte(struct feed *f)
{
    if (f->n == 0)
        return 0;
    f->n--;
    return *f->p++;
}

/* Commands are lines: no NUL, no CR or LF but as CRLF. The message holds none of them alone either. */
static void check_output(const struct iovec *iov, int n, char *before)
{
    for (int i = 0; i < n; i++) {
        const char *p = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++) {
            MUST(p[k] != '\0');
            MUST((p[k] == '\n') == (*before == '\r'));
            *before = p[k];
        }
    }
}

static void serve_auth(struct session *s, struct feed *f)
{
    struct buf response = BUF_INIT;
    struct err e = ERR_INIT;
    uint8_t choice = byte(f);

    buf_addbuf(&response, session_auth_challenge(s));
    switch (session_auth_state(s)) {
    case SESSION_AUTH_CHOOSE:
        if (choice % 3 == 0) {
            err_set(&e, FAULT_AUTH, "no more");
            session_auth_give_up(s, &e);
        } else {
            session_auth_start(s, "PLAIN", choice % 3 == 1 ? &response : NULL);
        }
        break;
    case SESSION_AUTH_CHALLENGE:
        if (choice % 4 == 0)
            session_auth_cancel(s);
        else
            session_auth_respond(s, &response);
        break;
    case SESSION_AUTH_SUCCESS:
        session_auth_accept(s);
        break;
    }
    buf_free(&response);
}

static const char *const xclients[] = { "NAME=x ADDR=192.0.2.1", "PORT=25" }, *const params[] = { "RET=HDRS", "X" };

static struct strlist some(const char *const words[2], unsigned n)
{
    struct strlist l = STRLIST_INIT;

    for (unsigned i = 0; i < n % 3; i++)
        strlist_add(&l, words[i]);
    return l;
}

/* An octet of 128 or more begins the facts of a probe. */
static struct session_probe probe(struct feed *f, struct strlist *xclient, struct strlist *parameters)
{
    if (f->n == 0 || *f->p < 128)
        return (struct session_probe){ .quit_after = STOP_NOWHERE };
    uint8_t flags = byte(f), more = byte(f), stops = byte(f), needs = byte(f);
    struct session_probe p = {
        .quit_after = (enum session_stop)(stops % (STOP_DOT + 1)),
        .helo = flags & 1, .as_is = flags & 2, .hear_quit = flags & 4, .prdr = flags & 8, .raw_body = flags & 16,
        .decode_auth = flags & 32, .xclient_before_tls = flags & 64, .xclient_unverified = more & 1,
        .auth_need = (enum session_need)(needs % 3), .xclient_need = (enum session_need)(needs / 3 % 3),
        .caps_ignored = (uint32_t)byte(f) | (uint32_t)(more >> 1 & 1) << 15 | (uint32_t)(more >> 2 & 1) << 16,
        .caps_assumed = (uint32_t)byte(f) | (uint32_t)(more >> 3 & 1) << 15 | (uint32_t)(more >> 4 & 1) << 16,
    };
    p.drop_after = (enum session_stop)(byte(f) % (STOP_DOT + 1));
    p.drop_after_send = (enum session_stop)(byte(f) % (STOP_DOT + 1));
    *xclient = some(xclients, needs >> 4);
    *parameters = some(params, more >> 5);
    return p;
}

static bool has_positive_line(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] == '2' && (i == 0 || p[i - 1] == '\n'))
            return true;
    return false;
}

/* A job is over, and the one given ahead is the present one. */
static void on_over(void *ctx)
{
    size_t *begun = ctx;
    ++*begun;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const recipients[] = { "b@example.net", "c@example.net", "ö@example.net", "d@bücher.example" };
    static char text[40000];
    struct feed f = { data, size, has_positive_line(data, size) };
    uint8_t flags = byte(&f), more = byte(&f);
    struct strlist xclient = STRLIST_INIT, parameters = STRLIST_INIT;
    struct session_params p = { .lmtp = flags & 1, .domain = "client.example", .tls = (enum session_tls)(flags >> 1 & 3),
                                .auth = flags & 8, .all_or_nothing = flags & 16, .probe = probe(&f, &xclient, &parameters) };
    struct envelope envs[2] = { ENVELOPE_INIT, ENVELOPE_INIT };
    size_t rcpts[] = { 0, 1, 2, 3 }, n = 1 + (more & 3), given = 0, jobs = 1 + (more >> 2 & 1), done = 0, begun = 0;
    size_t length = flags & 32 ? 40000 : 400, block = flags & 64 ? 30000 : 33;
    char before = '\n';

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 40 == 38 ? '\r' : i % 40 == 39 ? '\n' : '.';
    for (size_t k = 0; k < 2; k++) {
        envs[k].sender = xstrdup("a@example.org");
        for (size_t i = 0; i < n; i++)
            envelope_add(&envs[k], recipients[i]);
    }
    p.over = size & 1 ? on_over : NULL;
    p.over_ctx = &begun;
    p.probe.xclient = &xclient;
    p.probe.mail_params = p.probe.rcpt_params = &parameters;
    struct session *s = session_new(&p);

    enum want want;
    for (int steps = 0; (want = session_next(s)) != WANT_CLOSE; steps++) {
        struct iovec iov[8];
        int slices;
        size_t k;
        MUST(steps < STEPS_MAX);
        MUST(session_timeout(s) > 0);
        if (begun == done && done < jobs && session_takes_next(s)) {
            session_job(s, &(struct session_job){ .env = &envs[done], .rcpts = rcpts, .n = n, .size = (int64_t)length, .last = true });
            MUST(!session_takes_next(s));
            done++;
            given = 0;
            continue;
        }
        switch (want) {
        case WANT_WRITE:
            slices = session_output(s, iov, 8);
            MUST(slices > 0);
            check_output(iov, slices, &before);
            k = 0;
            for (int i = 0; i < slices; i++)
                k += iov[i].iov_len;
            MUST(k > 0);
            session_wrote(s, k);
            break;
        case WANT_READ:
            k = f.n < READ_MAX ? f.n : READ_MAX;
            if (k == 0 && (more & 8))
                session_timed_out(s);
            else if (k == 0)
                session_eof(s);
            session_input(s, (const char *)f.p, k);
            f.p += k;
            f.n -= k;
            break;
        case WANT_BODY:
            k = length - given < block ? length - given : block;
            session_body(s, text + given, k);
            given += k;
            if (k == 0)
                session_body_end(s);
            break;
        case WANT_TLS:
            session_tls_up(s);
            break;
        case WANT_AUTH:
            serve_auth(s, &f);
            if (f.n == 0)
                session_eof(s);
            break;
        case WANT_JOB:
            given = 0;
            if (done == jobs) {
                session_no_job(s);
                break;
            }
            begun = ++done;
            session_job(s, &(struct session_job){ .env = &envs[begun - 1], .rcpts = rcpts, .n = n, .size = more & 16 ? -1 : (int64_t)length,
                                                  .eight_bit = more & 32, .utf8_headers = more & 64, .last = done == jobs && !(more & 128) });
            break;
        case WANT_CLOSE:
            break;
        }
    }
    for (size_t k = 0; k < done; k++)
        for (size_t i = 0; i < n; i++) {
            const struct rcpt *rcpt = &envs[k].rcpts[i];
            MUST((rcpt->fate != RCPT_PENDING) == (k < begun));
            if (rcpt->fate == RCPT_ACCEPTED)
                MUST(f.accepted && rcpt->reply.code / 100 == 2);
        }
    MUST(!session_dropped(s) || p.probe.quit_after == STOP_DATA || p.probe.drop_after != STOP_NOWHERE
         || p.probe.drop_after_send != STOP_NOWHERE);
    session_free(s);
    envelope_free(&envs[0]);
    envelope_free(&envs[1]);
    strlist_free(&xclient);
    strlist_free(&parameters);
    return 0;
}
