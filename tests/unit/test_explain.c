/* explain: what it prints, where, and with which exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"

/* Runs the command with both outputs in one file, whose text is appended. */
static int explain(char *const *argv, struct buf *out)
{
    int argc = 0, kept[2] = { dup(STDOUT_FILENO), dup(STDERR_FILENO) };
    struct err e = ERR_INIT;
    int fd = file_unlinked(&e);
    assert_true(fd >= 0);
    while (argv[argc])
        argc++;
    fflush(NULL);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    int status = command_find("explain")->run(argc, argv);
    fflush(NULL);
    dup2(kept[0], STDOUT_FILENO);
    dup2(kept[1], STDERR_FILENO);
    lseek(fd, 0, SEEK_SET);
    assert_true(file_read_fd(fd, 1 << 16, out, &e));
    close(kept[0]);
    close(kept[1]);
    close(fd);
    return status;
}

static void replies(void **state)
{
    (void)state;
    static const struct { char *const argv[8]; int status; const char *says; } cases[] = {
        { { "explain", "534 5.7.14 Please log in through your web browser and then try again." }, 0, "action: Sign in once" },
        { { "explain", "454", "4.7.0", "Too", "many", "login", "attempts" }, 0, "cause: Too many AUTH tries" },
        { { "explain", "451 4.7.1 Greylisting in action, please come back in 00:04:59" }, 0, "again: in 5 minutes\n" },
        { { "explain", "450 4.3.2 please retry in 90 seconds" }, 0, "again: in 90 seconds\n" },
        { { "explain", "250 2.0.0 Ok: queued as 4F" }, 65, "nothing is known" },
        { { "explain", "" }, 64, "which reply?" },
        { { "explain" }, 64, "which reply?" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT;
        int status = explain(cases[i].argv, &out);
        if (status != cases[i].status || !strstr(out.data, cases[i].says))
            fail_msg("case %zu: exit %d, '%s'", i, status, out.data);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(replies) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
