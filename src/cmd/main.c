/* main: by what name it was called, and which command is meant. Everything else is in the commands' own files. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/sendmail.h"

/* A caller may have closed 0, 1 or 2: no socket or message file may take their place. */
static void open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log file at its limit is told, and costs no message */
    if (sendmail_is_name(program_invocation_short_name))
        return sendmail_run(argc, argv);
    if (strcmp(program_invocation_short_name, "swaks") == 0)
        return command_probe.run(argc, argv);
    if (argc > 1) {
        const struct command *command = command_find(argv[1]);
        if (command)
            return command->run(argc - 1, argv + 1);
    }
    return command_send.run(argc, argv);
}
