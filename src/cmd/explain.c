/* explain: `envoi explain REPLY`: what is meant by a server's reply, and what to do about it. */
#include <stdio.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "send/hint.h"

/* In quotes or not: the words are one reply. */
static bool explain(const struct strlist *words, struct err *e)
{
    struct buf reply = BUF_INIT, delay = BUF_INIT;
    for (size_t i = 0; i < words->n; i++)
        buf_printf(&reply, "%s%s", i > 0 ? " " : "", words->v[i]);
    const struct reply_row *row = hint_for_reply(reply.data);
    bool delayed = hint_delay(reply.data, &delay);
    if (row)
        printf("cause: %s\naction: %s\n", row->cause, row->action);
    if (delayed)
        printf("again: in %s\n", delay.data);
    if (row || delayed) {
        if (fflush(stdout) != 0 || ferror(stdout))
            err_set(e, FAULT_IO, "cannot write to standard output");
    } else if (!reply.len) {
        err_set(e, FAULT_USAGE, "which reply?");
        err_hint(e, "write: envoi explain '550 5.7.1 Relaying denied'");
    } else {
        err_set(e, FAULT_MESSAGE, "nothing is known about this reply");
        err_hint(e, "give it whole, with its code; what begins with 4 a later try may mend, what begins with 5 not");
    }
    buf_free(&reply);
    buf_free(&delay);
    return !err_is_set(e);
}

static int run(int argc, char *const *argv)
{
    struct arguments a;
    struct err e = ERR_INIT;
    if (cmd_arguments(&a, &command_explain, argc, argv, &e))
        explain(&a.operands, &e);
    cmd_arguments_free(&a);
    return cmd_end(&e);
}

const struct command command_explain = {
    .name = "explain",
    .synopsis = "REPLY",
    .help = "Say what a server's reply means and what to do",
    .options = { cmd_help_option },
    .run = run,
};
