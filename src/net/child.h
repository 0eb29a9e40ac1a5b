/* child: a process whose standard input and output are a connection. */
#ifndef NET_CHILD_H
#define NET_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct child {
    pid_t pid;
    int in, out; /* the caller's, non-blocking: what it writes, and what it reads */
};

/* Starts argv[0] as execvp does; its standard error is ours. false: FAULT_CONNECT with a hint, or FAULT_SYSTEM. */
bool child_start(struct child *c, char *const *argv, struct err *e);

/* Waits for the end of a child whose descriptors are closed, and sees to it that it comes: a second later by SIGTERM,
 * another one by SIGKILL. */
void child_end(pid_t pid);

#endif
