/* child: a process whose standard input and output are a connection. */
#ifndef NET_CHILD_H
#define NET_CHILD_H

#include <spawn.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child {
    pid_t pid;
    int in, out; /* the caller's, non-blocking: what it writes, and what it reads */
};

/* Starts a program, looked for in $PATH where it has no slash, with what envoi changed for itself put back: it ignores
 * two signals and holds others back while it works. files is destroyed. 0, or the errno of the failure. */
int child_spawn(pid_t *pid, const char *program, char *const *argv, posix_spawn_file_actions_t *files);

/* Starts argv[0] as execvp does; its standard error is ours. false: FAULT_CONNECT with a hint, or FAULT_SYSTEM. */
bool child_start(struct child *c, char *const *argv, struct err *e);

/* Waits for the end of a child whose descriptors are closed, and sees to it that it comes: a second later by SIGTERM,
 * another one by SIGKILL. */
void child_end(pid_t pid);

#endif
