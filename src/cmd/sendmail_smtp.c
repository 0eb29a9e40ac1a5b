/* sendmail_smtp: `sendmail -bs`. The server's side of SMTP on standard input and output; each message is sent on
 * before it is answered, so that the caller hears what the other server said. Nothing but the dialogue is written
 * to the caller. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/file.h"
#include "cmd/sendmail.h"
#include "smtp/caps.h"
#include "smtp/server.h"

enum { BLOCK = 64 << 10, ANSWER_MAX = 480 };

struct dialogue {
    const struct run *said;
    struct server *server;
    int out;         /* the caller's end of standard output */
    struct buf held; /* the message so far, while it is short */
    int fd;          /* an unlinked file with all of it, once it is not; -1: none */
    struct err lost; /* why it could not be kept */
};

/* ---- the caller's octets ---- */

/* The descriptors are the caller's, and may be set not to block. */
static bool wait_for(int fd, short events)
{
    struct pollfd p = { .fd = fd, .events = events };
    return errno == EINTR || (errno == EAGAIN && (poll(&p, 1, -1) >= 0 || errno == EINTR));
}

static bool read_caller(struct dialogue *d, char *block, struct err *e)
{
    ssize_t n;
    do
        n = read(STDIN_FILENO, block, BLOCK);
    while (n < 0 && wait_for(STDIN_FILENO, POLLIN));
    if (n < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read from standard input");
    if (n == 0)
        server_eof(d->server);
    else
        server_input(d->server, block, (size_t)n);
    return true;
}

static bool write_caller(struct dialogue *d, struct err *e)
{
    const struct buf *out = server_output(d->server);
    ssize_t n;
    do
        n = write(d->out, out->data, out->len);
    while (n < 0 && wait_for(d->out, POLLOUT));
    if (n < 0)
        return err_sys(e, FAULT_IO, errno, "cannot write to standard output");
    server_wrote(d->server, (size_t)n);
    return true;
}

/* ---- the message ---- */

static void drop(struct dialogue *d)
{
    buf_free(&d->held);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    err_clear(&d->lost);
}

static bool to_file(struct dialogue *d, const char *p, size_t n)
{
    if (d->fd < 0) {
        d->fd = file_unlinked(&d->lost);
        if (d->fd < 0 || !to_file(d, d->held.data, d->held.len))
            return false;
        buf_free(&d->held);
    }
    return file_write_all(d->fd, p, n) || err_sys(&d->lost, FAULT_IO, errno, "cannot store the message");
}

static void keep(struct dialogue *d, const char *p, size_t n)
{
    if (err_is_set(&d->lost))
        return;
    if (d->fd < 0 && d->held.len + n <= MESSAGE_WINDOW)
        buf_add(&d->held, p, n);
    else
        to_file(d, p, n);
}

static bool open_message(const struct dialogue *d, struct message *m, struct err *e)
{
    if (err_is_set(&d->lost)) {
        err_copy(e, &d->lost);
        return false;
    }
    if (d->fd < 0)
        return message_from_memory(m, d->held.data, d->held.len, e);
    if (lseek(d->fd, 0, SEEK_SET) < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read the stored message");
    return message_read(m, d->fd, e);
}

/* ---- the answer ---- */

/* May the caller try again? A full disk here is no reason to give a message up (RFC 5321 4.2.2: 451). */
static bool is_temporary(enum fault fault)
{
    return fault_retry_helps(fault) || fault == FAULT_SYSTEM || fault == FAULT_CANT_CREATE || fault == FAULT_IO;
}

/* The other server's code where it is one for a message and says what our verdict says: for good, or not. */
static int code_for(const struct err *verdict)
{
    bool temporary = is_temporary(verdict->fault);
    int code = verdict->server ? atoi(verdict->server) : 0;
    bool in_transaction = verdict->stage >= STAGE_MAIL && verdict->stage <= STAGE_DOT;
    if (in_transaction && code / 100 == (temporary ? 4 : 5))
        return code;
    return temporary ? 451 : 554;
}

/* One line of printable text, an enhanced code of the class of `code` in front. */
static char *make_line(int code, const struct buf *words)
{
    struct buf line = BUF_INIT, visible = BUF_INIT;
    int enhanced[3];
    if (!reply_enhanced(words->data, enhanced) || enhanced[0] != code / 100)
        buf_printf(&line, "%d.0.0 ", code / 100);
    for (const char *p = words->data; *p; p++)
        if (*p == '\n')
            buf_adds(&line, "; ");
        else if (*p != '\r')
            buf_addc(&line, *p);
    visible_encode(&visible, line.data, line.len);
    if (visible.len > ANSWER_MAX) {
        size_t n = ANSWER_MAX;
        while (n > 0 && ((unsigned char)visible.data[n] & 0xc0) == 0x80)
            n--;
        buf_cut(&visible, n);
    }
    buf_free(&line);
    return buf_steal(&visible);
}

/* "550 5.1.1 no such user" without its code, so that the enhanced one comes first. */
static const char *behind_code(const char *words, int code)
{
    bool same = atoi(words) == code && strlen(words) > 3;
    return same ? words + 4 : words;
}

int sendmail_answer(const struct envelope *env, const struct err *verdict, char **text)
{
    struct buf words = BUF_INIT;
    int code = 250;
    if (!verdict) {
        const struct reply *r = env->n ? &env->rcpts[0].reply : NULL;
        code = r && reply_ok(r) ? r->code : 250;
        buf_adds(&words, r && reply_ok(r) ? r->text.data : "2.0.0 the message is on its way");
    } else {
        code = code_for(verdict);
        const char *server = verdict->server && env->n == 1 ? behind_code(verdict->server, code) : verdict->server;
        int enhanced[3];
        size_t n = server ? reply_enhanced(server, enhanced) : 0;
        if (n)
            buf_printf(&words, "%.*s ", (int)n, server);
        buf_adds(&words, verdict->text);
        if (server)
            buf_printf(&words, ": %s", n ? server + n + (server[n] == ' ') : server);
        if (verdict->hint)
            buf_printf(&words, " (%s)", verdict->hint);
    }
    *text = make_line(code, &words);
    buf_free(&words);
    return code;
}

/* ---- one message ---- */

static void fill(struct run *r, const struct dialogue *d)
{
    const struct envelope *env = server_envelope(d->server);
    for (size_t i = 0; i < 2; i++)
        settings_overlay(&r->settings[i], &d->said->settings[i]);
    r->log_tag = xstrdup(d->said->log_tag);
    r->env.sender = xstrdup(env->sender);
    r->env.dsn_notify = env->dsn_notify;
    r->env.dsn_return = env->dsn_return;
    r->env.dsn_envid = xstrdup(env->dsn_envid);
    for (size_t i = 0; i < env->n; i++)
        mailbox_list_add(&r->asked, env->rcpts[i].address);
}

static void send_on(struct dialogue *d)
{
    struct run r;
    struct err e = ERR_INIT;
    char *text;
    send_init(&r);
    fill(&r, d);
    bool ok = send_bind(&r, &e) && open_message(d, &r.message, &e) && send_taken(&r, &e);
    int code = sendmail_answer(&r.env, ok ? NULL : &e, &text);
    send_free(&r);
    drop(d);
    server_message_answer(d->server, code, text);
    free(text);
    err_clear(&e);
}

/* ---- the dialogue ---- */

/* From here on standard output is where standard error goes, so that no log line or report is read as a reply;
 * inetd and its like make one socket all three, then both go nowhere. Returns the descriptor for the dialogue. */
static int take_stdout(struct err *e)
{
    struct stat out = { 0 }, err = { 0 };
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd < 0) {
        err_sys(e, FAULT_SYSTEM, errno, "cannot use standard output");
        return -1;
    }
    fstat(STDOUT_FILENO, &out);
    fstat(STDERR_FILENO, &err);
    if (S_ISSOCK(out.st_mode) && out.st_dev == err.st_dev && out.st_ino == err.st_ino) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO);
    return fd;
}

static bool serve(struct dialogue *d, char *block, struct err *e)
{
    const char *p;
    size_t n;
    bool ok = true;
    while (ok) {
        switch (server_next(d->server)) {
        case SERVER_READ: ok = read_caller(d, block, e); break;
        case SERVER_WRITE: ok = write_caller(d, e); break;
        case SERVER_DATA:
            server_data(d->server, &p, &n);
            keep(d, p, n);
            server_data_taken(d->server);
            break;
        case SERVER_DROP:
            drop(d);
            server_data_taken(d->server);
            break;
        case SERVER_MESSAGE: send_on(d); break;
        case SERVER_TLS:
        case SERVER_LOGIN:
        case SERVER_STEP:
        case SERVER_STAGE: /* never asked for */
        case SERVER_CLOSE: return true;
        }
    }
    return false;
}

bool sendmail_smtp(const struct run *said, struct err *e)
{
    char host[256] = "";
    bool named = gethostname(host, sizeof host - 1) == 0 && *host && ascii_line_safe(host, strlen(host));
    const struct server_params params = {
        .name = named ? host : "localhost",
        .extensions = CAP_PIPELINING | CAP_CHUNKING | CAP_SIZE | CAP_8BITMIME | CAP_SMTPUTF8 | CAP_DSN | CAP_ENHANCED,
    };
    struct dialogue d = { .said = said, .out = take_stdout(e), .held = BUF_INIT, .fd = -1 };
    if (d.out < 0)
        return false;
    char *block = xmalloc(BLOCK);
    d.server = server_new(&params);
    bool ok = serve(&d, block, e);
    close(d.out);
    drop(&d);
    free(block);
    server_free(d.server);
    return ok;
}
