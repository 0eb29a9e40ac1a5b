/* explain: `envoi explain REPLY`: what is meant by a server's reply, and what to do about it. */
#include <stdio.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "send/hint.h"

/* In quotes or not: the words are one reply. */
static int run(int argc, char *const *argv)
{
    struct buf reply = BUF_INIT;
    struct err e = ERR_INIT;
    for (int i = 1; i < argc; i++)
        buf_printf(&reply, "%s%s", i > 1 ? " " : "", argv[i]);
    const struct reply_row *row = hint_for_reply(reply.data);
    if (row) {
        printf("cause: %s\naction: %s\n", row->cause, row->action);
    } else if (!reply.len) {
        err_set(&e, FAULT_USAGE, "which reply?");
        err_hint(&e, "write: envoi explain '550 5.7.1 Relaying denied'");
    } else {
        err_set(&e, FAULT_MESSAGE, "nothing is known about this reply");
        err_hint(&e, "give it whole, with its code; what begins with 4 a later try may mend, what begins with 5 not");
    }
    if (row && (fflush(stdout) != 0 || ferror(stdout)))
        err_set(&e, FAULT_IO, "cannot write to standard output");
    buf_free(&reply);
    return err_is_set(&e) ? cmd_fail(&e) : 0;
}

const struct command command_explain = {
    .name = "explain",
    .synopsis = "REPLY",
    .help = "Say what a server's reply means and what to do",
    .run = run,
};
