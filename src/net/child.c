/* child: a process between two pipes. Pipes, not a socket pair: servers such as `exim -bs` take a socket for a
 * connection of inetd's and ask it for addresses. */
#include "net/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

extern char **environ;

static const usec GRACE = USEC_PER_SEC;

static const struct {
    int reason;
    const char *hint;
} hints[] = {
    { ENOENT, "is it installed, and in $PATH? the command is run as it stands, without a shell" },
    { EACCES, "is it executable ('chmod +x')? AppArmor or SELinux may forbid it, too ('journalctl -k' tells)" },
    { ENOEXEC, "a script needs a first line such as '#!/bin/sh'" },
};

int child_spawn(pid_t *pid, const char *program, char *const *argv, posix_spawn_file_actions_t *files)
{
    posix_spawnattr_t attributes;
    sigset_t signals;

    posix_spawnattr_init(&attributes);
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes, &signals);
    sigaddset(&signals, SIGPIPE);
    sigaddset(&signals, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &signals);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int failure = posix_spawnp(pid, program, files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(files);
    return failure;
}

static int spawn_between(pid_t *pid, char *const *argv, int in, int out)
{
    posix_spawn_file_actions_t files;

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    return child_spawn(pid, argv[0], argv, &files);
}

static bool cannot_run(const char *name, int reason, struct err *e)
{
    err_sys(e, FAULT_CONNECT, reason, "cannot run '%s'", name);
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (hints[i].reason == reason)
            err_hint(e, "%s", hints[i].hint);
    return err_stage(e, STAGE_CONNECT);
}

bool child_start(struct child *c, char *const *argv, struct err *e)
{
    int in[2], out[2]; /* of the child */
    if (pipe2(in, O_CLOEXEC) < 0)
        return err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
    if (pipe2(out, O_CLOEXEC) < 0) {
        err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
        close(in[0]);
        close(in[1]);
        return false;
    }
    int failure = spawn_between(&c->pid, argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (failure) {
        close(in[1]);
        close(out[0]);
        return cannot_run(argv[0], failure, e);
    }
    c->in = out[0];
    c->out = in[1];
    fcntl(c->in, F_SETFL, O_NONBLOCK);
    fcntl(c->out, F_SETFL, O_NONBLOCK);
    return true;
}

/* true: it has ended and is no zombie. */
static bool ends_within(pid_t pid, int pid_fd, usec time)
{
    enum { LOOK_AGAIN_MS = 10 }; /* where the system cannot tell of the end */
    const usec deadline = clock_now() + time;
    for (;;) {
        pid_t ended = waitpid(pid, NULL, WNOHANG);
        if (ended == pid || (ended < 0 && errno != EINTR))
            return true;
        usec left = deadline - clock_now();
        if (left <= 0)
            return false;
        struct pollfd p = { .fd = pid_fd, .events = POLLIN };
        poll(&p, 1, pid_fd >= 0 ? (int)(left / 1000) + 1 : LOOK_AGAIN_MS);
    }
}

void child_end(pid_t pid)
{
    static const int signals[] = { SIGTERM, SIGKILL };
    int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool ended = ends_within(pid, pid_fd, GRACE);
    for (size_t i = 0; i < sizeof signals / sizeof *signals && !ended; i++) {
        kill(pid, signals[i]);
        ended = ends_within(pid, pid_fd, GRACE);
    }
    if (pid_fd >= 0)
        close(pid_fd);
}
