/* secret_terminal: asks on /dev/tty, whatever stdin is. Echo comes back however the asking ends: signals that would end
 * or stop the program wait in a signalfd until the terminal is as it was. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "auth/secret.h"
#include "base/file.h"

/* Reads one line. Returns 0, the signal that arrived first, or -1 at the end of input. */
static int read_line(int tty, int signals, struct buf *out)
{
    struct pollfd p[2] = { { .fd = tty, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
    for (;;) {
        struct signalfd_siginfo info;
        char block[512];
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[1].revents && read(signals, &info, sizeof info) == (ssize_t)sizeof info)
            return (int)info.ssi_signo;
        if (!p[0].revents)
            continue;
        ssize_t n = read(tty, block, sizeof block);
        if (n > 0)
            buf_add(out, block, (size_t)n);
        explicit_bzero(block, sizeof block);
        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        if (out->len > 0 && out->data[out->len - 1] == '\n') {
            buf_cut(out, out->len - 1);
            return 0;
        }
    }
}

static void put(int tty, const char *s)
{
    if (!file_write_all(tty, s, strlen(s)))
        return; /* the terminal is gone: reading tells */
}

/* Asks once: prompt, a line without echo, the terminal as it was. Same result as read_line. */
static int ask(int tty, int signals, const char *prompt, struct buf *out)
{
    struct termios before, silent;
    if (tcgetattr(tty, &before) < 0)
        return -1;
    silent = before;
    silent.c_lflag = (silent.c_lflag & ~(tcflag_t)ECHO) | ICANON | ISIG;
    /* In this order: what is typed at the sight of the prompt is neither shown nor flushed away. */
    if (tcsetattr(tty, TCSAFLUSH, &silent) < 0)
        return -1;
    put(tty, prompt);
    int how = read_line(tty, signals, out);
    tcsetattr(tty, TCSAFLUSH, &before);
    put(tty, "\n");
    return how;
}

static int ask_with_signals_held(int tty, const char *prompt, struct buf *out)
{
    static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
    sigset_t set, before;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        sigaddset(&set, held[i]);
    int signals = signalfd(-1, &set, SFD_CLOEXEC), how = -1;
    if (signals < 0)
        return -1;
    do {
        buf_reset(out);
        sigprocmask(SIG_BLOCK, &set, &before);
        how = ask(tty, signals, prompt, out);
        if (how > 0)
            raise(how); /* delivered now that the terminal is in order */
        sigprocmask(SIG_SETMASK, &before, NULL);
    } while (how == SIGTSTP); /* and continued */
    close(signals);
    return how;
}

enum secret_status secret_from_terminal(const struct secret_params *p, struct buf *out, struct err *e)
{
    if (!p->may_prompt)
        return SECRET_NONE;
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) {
        err_set(e, FAULT_AUTH, "there is none to ask on");
        return SECRET_NONE;
    }
    struct buf prompt = BUF_INIT;
    if (p->prompt)
        buf_adds(&prompt, p->prompt);
    else if (p->key_file)
        buf_printf(&prompt, "password of the private key %s: ", p->key_file);
    else
        buf_printf(&prompt, "password for %s at %s: ", p->user ? p->user : "?", p->host ? p->host : "?");
    for (size_t i = 0; i < prompt.len; i++)
        if ((unsigned char)prompt.data[i] < 32 || prompt.data[i] == 127)
            prompt.data[i] = '?';
    int how = ask_with_signals_held(tty, prompt.data, out);
    buf_free(&prompt);
    close(tty);
    if (how == 0 && out->len > 0)
        return SECRET_FOUND;
    buf_reset(out);
    err_set(e, FAULT_AUTH, how > 0 ? "asking for the password was interrupted" : "no password was typed");
    return SECRET_ERROR;
}
