/* secret_command: the first line that a command of the user's prints (passwordeval). As in msmtp, /bin/sh runs it;
 * unlike there, its stdin is empty, so that it cannot eat the message. It may take its time: an agent may be asking the
 * user. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/secret.h"
#include "net/child.h"
#include "net/loop.h"

enum { OUTPUT_MAX = 1 << 20, COMPLAINT_MAX = 4096 };

static int start(const char *command, int out, int complaints, pid_t *pid)
{
    char *const argv[] = { "sh", "-c", (char *)command, NULL };
    posix_spawn_file_actions_t files;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, complaints, STDERR_FILENO);
    return child_spawn(pid, "/bin/sh", argv, &files);
}

/* Appends what can be read now. The buf keeps at most max octets: the first ones, or with `last` the last ones. false:
 * the other end is closed. */
static bool take(int fd, struct buf *b, size_t max, bool last)
{
    char block[4096];
    ssize_t n = read(fd, block, sizeof block);
    if (n > 0) {
        size_t room = max - b->len, some = (size_t)n < room || last ? (size_t)n : room;
        buf_add(b, block, some);
        if (b->len > max)
            buf_drop(b, b->len - max);
    }
    explicit_bzero(block, sizeof block);
    return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Until the command ends; what it left in the background may hold its output open for ever, and is not waited for.
 * Where the system cannot tell of the end (pid_fd -1), until stdout is closed. false: the deadline passed. */
static bool collect(int pid_fd, int out_fd, int complaints_fd, usec deadline, struct buf *out, struct buf *complaints)
{
    struct pollset ps = POLLSET_INIT;
    bool talking = true, complaining = true, ended = false;
    while (!ended && clock_now() < deadline) {
        pollset_reset(&ps);
        pollset_until(&ps, deadline);
        pollset_add(&ps, pid_fd, POLLIN); /* poll passes over -1 */
        pollset_add(&ps, talking ? out_fd : -1, POLLIN);
        pollset_add(&ps, complaining ? complaints_fd : -1, POLLIN);
        if (!pollset_wait(&ps))
            continue;
        if (ps.v[2].revents)
            complaining = take(complaints_fd, complaints, COMPLAINT_MAX, true);
        if (ps.v[1].revents)
            talking = take(out_fd, out, OUTPUT_MAX, false);
        ended = pid_fd >= 0 ? ps.v[0].revents != 0 : !talking;
    }
    pollset_free(&ps);
    return ended;
}

/* What is left in the pipe, which does not block; no more than a pipe holds, or who writes in the background could go
 * on for ever. */
static void drain(int fd, struct buf *out, size_t max, bool last)
{
    errno = 0;
    for (int blocks = 0; blocks < 64 && take(fd, out, max, last) && errno != EAGAIN; blocks++)
        ;
}

/* What the command's own words do not tell. status 0: whatever it is. */
static const struct {
    int status;
    const char *words, *advice;
} advices[] = {
    { 126, "Permission denied",
      "is it executable ('chmod +x')? AppArmor or SELinux may forbid it, too ('journalctl -k' tells)" },
    { 127, "", "is it installed, and in $PATH? that of cron and of services is short: write the full path" },
    { 0, "Inappropriate ioctl for device",
      "gpg-agent has no terminal to ask on: unlock the key before, or put 'export GPG_TTY=$(tty)' where "
      "your shell starts" },
    { 0, "pinentry",
      "gpg-agent cannot ask for the passphrase here: unlock the key before, or give the agent a pinentry "
      "that works here" },
    { 0, "No secret key",
      "the file is encrypted for a key that is not in this user's keyring ('gpg --list-secret-keys')" },
};

/* "it said: " the last line, and what may be done. */
static void add_hint(int status, struct buf *complaints, struct err *e)
{
    buf_trim(complaints);
    const char *advice = NULL, *line = memrchr(complaints->data, '\n', complaints->len);
    for (size_t i = 0; i < sizeof advices / sizeof *advices && !advice; i++)
        if ((!advices[i].status || advices[i].status == status) && strstr(complaints->data, advices[i].words))
            advice = advices[i].advice;
    line = line ? line + 1 : complaints->data;
    for (char *c = (char *)line; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    if (*line)
        err_hint(e, "it said: %.300s%s%s", line, advice ? "\n" : "", advice ? advice : "");
    else
        err_hint(e, "it said nothing; run it by hand to see what is wrong");
}

/* The command's first word names it; the rest may hold what nobody else should read. */
#define NAME(command) (int)strcspn(command, " \t"), (command)

static enum secret_status too_late(const char *command, struct err *e)
{
    err_set(e, FAULT_TIMEOUT, "the command of 'passwordeval' did not end before the run's deadline: '%.*s'",
            NAME(command));
    err_hint(e, "does it wait for an answer that nobody can give here?");
    return SECRET_ERROR;
}

static enum secret_status judge(const char *command, int status, struct buf *out, struct buf *complaints, struct err *e)
{
    if (WIFSIGNALED(status))
        err_set(e, FAULT_AUTH, "the command of 'passwordeval' was killed by signal %d: '%.*s'", WTERMSIG(status),
                NAME(command));
    else if (WEXITSTATUS(status) != 0)
        err_set(e, FAULT_AUTH, "the command of 'passwordeval' failed with status %d: '%.*s'", WEXITSTATUS(status),
                NAME(command));
    if (err_is_set(e)) {
        add_hint(WIFEXITED(status) ? WEXITSTATUS(status) : 0, complaints, e);
        return SECRET_ERROR;
    }
    const char *end = memchr(out->data, '\n', out->len);
    if (!end && out->len >= OUTPUT_MAX) {
        err_set(e, FAULT_AUTH, "the command of 'passwordeval' prints a line without end: '%.*s'", NAME(command));
        return SECRET_ERROR;
    }
    if (end)
        buf_cut(out, (size_t)(end - out->data));
    if (out->len > 0 && out->data[out->len - 1] == '\r')
        buf_cut(out, out->len - 1);
    if (out->len > 0)
        return SECRET_FOUND;
    err_set(e, FAULT_AUTH, "the first line that the command of 'passwordeval' prints is empty: '%.*s'", NAME(command));
    err_hint(e, "it has to print the password, and nothing before it");
    return SECRET_ERROR;
}

enum secret_status secret_from_command(const struct secret_params *p, struct buf *out, struct err *e)
{
    if (!p->passwordeval)
        return SECRET_NONE;
    int o[2], c[2];
    if (pipe2(o, O_CLOEXEC) < 0) {
        err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
        return SECRET_ERROR;
    }
    if (pipe2(c, O_CLOEXEC) < 0) {
        err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
        close(o[0]);
        close(o[1]);
        return SECRET_ERROR;
    }
    fcntl(o[0], F_SETFL, O_NONBLOCK);
    fcntl(c[0], F_SETFL, O_NONBLOCK);
    pid_t pid = -1;
    int failure = start(p->passwordeval, o[1], c[1], &pid), status = 0;
    close(o[1]);
    close(c[1]);
    struct buf complaints = BUF_SECRET_INIT;
    enum secret_status result = SECRET_ERROR;
    if (failure) {
        err_sys(e, FAULT_SYSTEM, failure, "cannot run '/bin/sh'");
    } else {
        int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        bool in_time = collect(pid_fd, o[0], c[0], p->deadline > 0 ? p->deadline : USEC_NEVER, out, &complaints);
        if (!in_time)
            kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        if (pid_fd >= 0)
            close(pid_fd);
        drain(o[0], out, OUTPUT_MAX, false);
        drain(c[0], &complaints, COMPLAINT_MAX, true);
        result = in_time ? judge(p->passwordeval, status, out, &complaints, e) : too_late(p->passwordeval, e);
    }
    if (result != SECRET_FOUND)
        buf_reset(out);
    buf_free(&complaints);
    close(o[0]);
    close(c[0]);
    return result;
}
