/* rc_eval: the `eval` lines of an account, run when it is used. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "conf/account.h"
#include "conf/rc.h"
#include "conf/rc_reader.h"

enum { OUTPUT_MAX = 1 << 20, SECONDS_MAX = 60 };

/* Only async-signal-safe calls between fork and exec. stdin is empty: ours holds the mail. */
static _Noreturn void child(const char *command, int out)
{
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
}

/* Until the command's output ends. */
static bool collect(int fd, const struct rc_eval *eval, usec limit, struct buf *out, struct err *e)
{
    char block[4096];
    ssize_t n = 1;
    for (usec now = clock_now(), deadline = now + limit; n != 0; now = clock_now()) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int ready = now < deadline ? poll(&p, 1, (int)((deadline - now + 999) / 1000)) : 0;
        if (ready == 0 && now >= deadline) {
            err_set(e, FAULT_TIMEOUT, "%s: the 'eval' command did not end within %g s", eval->origin,
                    (double)limit / (double)USEC_PER_SEC);
            err_hint(e, "it was: %s", eval->command);
            break;
        }
        if (ready <= 0)
            continue;
        n = read(fd, block, sizeof block);
        if (n < 0 && errno != EINTR) {
            err_sys(e, FAULT_IO, errno, "%s: cannot read what the 'eval' command prints", eval->origin);
            break;
        }
        if (n > 0 && out->len + (size_t)n > OUTPUT_MAX) {
            err_set(e, FAULT_CONFIG, "%s: the 'eval' command prints too much", eval->origin);
            break;
        }
        buf_add(out, block, n > 0 ? (size_t)n : 0);
    }
    explicit_bzero(block, sizeof block);
    return n == 0;
}

static bool run(const struct rc_eval *eval, usec limit, struct buf *out, struct err *e)
{
    int pipefd[2], status = 0;
    if (pipe2(pipefd, O_CLOEXEC) != 0)
        return err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0)
        child(eval->command, pipefd[1]);
    int fork_errno = errno;
    close(pipefd[1]);
    bool ok = pid > 0 && collect(pipefd[0], eval, limit, out, e);
    if (pid > 0 && !ok)
        kill(pid, SIGKILL);
    close(pipefd[0]);
    if (pid < 0)
        return err_sys(e, FAULT_SYSTEM, fork_errno, "cannot start a process");
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!ok)
        return false;
    if (status == 0)
        return true;
    if (WIFEXITED(status))
        err_set(e, FAULT_CONFIG, "%s: the 'eval' command failed with status %d", eval->origin, WEXITSTATUS(status));
    else
        err_set(e, FAULT_CONFIG, "%s: the 'eval' command was ended by signal %d", eval->origin, WTERMSIG(status));
    return err_hint(e, "it was: %s", eval->command);
}

/* An account's `timeout` is how long it waits for anything. */
static usec limit_of(const struct settings *s)
{
    static const char name[] = "timeout";
    const char *text = settings_text(s, name);
    union option_value v = { .time = 0 };
    struct err ignored = ERR_INIT;
    if (text)
        option_value(option_by_name(s->table, name, strlen(name)), text, &v, FAULT_CONFIG, &ignored);
    err_clear(&ignored);
    return v.time ? v.time : SECONDS_MAX * USEC_PER_SEC;
}

/* What the output says goes over what was said before the eval line. */
static void lay_in(struct settings *s, const struct settings *said, unsigned order)
{
    struct settings older;
    settings_copy(&older, said);
    for (size_t i = 0; i < s->table.n; i++)
        if (s->v[i].set && s->v[i].order > order)
            settings_forget(&older, i);
    unsigned latest = s->order;
    settings_overlay(s, &older);
    for (size_t i = 0; i < s->table.n; i++)
        if (older.v[i].set)
            s->v[i].order = order;
    s->order = latest;
    settings_free(&older);
}

static bool eval(const struct rc_account *a, const struct rc_eval *line, struct settings *s, struct err *e)
{
    struct buf output = BUF_SECRET_INIT;
    struct rc ignored = RC_INIT;
    struct rc_reader r;
    rc_reader_init(&r, &ignored, a->msmtp, a->system);
    r.options_only = true;
    char *name = xasprintf("output of eval at %s", line->origin);
    bool ok = run(line, limit_of(s), &output, e);
    size_t len = a->msmtp ? strcspn(output.data, "\n") : output.len;
    ok = ok && rc_read_text(&r, name, output.data, len, e);
    if (ok)
        lay_in(s, &r.own, line->order);
    free(name);
    rc_reader_free(&r);
    rc_free(&ignored);
    buf_free(&output);
    return ok;
}

bool rc_settings(const struct rc_account *a, struct settings *out, struct err *e)
{
    settings_copy(out, &a->settings);
    for (size_t i = 0; i < a->evals_n; i++)
        if (!eval(a, &a->evals[i], out, e))
            return false;
    return true;
}
