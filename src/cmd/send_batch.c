/* send_batch: `envoi send --batch`: the messages of a box, each with an envelope of its own, in one run. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/send.h"
#include "mail/prepare.h"
#include "send/batch.h"

/* ---- what does not go together ---- */

static bool check(const struct run *r, struct err *e)
{
    if (send_composes(r)) {
        err_set(e, FAULT_USAGE, "--batch takes messages as they are, and does not go with what composes one");
        return err_hint(e, "recipients of every message are named without an option, or in each (-t)");
    }
    if (r->opt.dry_run)
        return err_set(e, FAULT_USAGE, "--batch and --dry-run do not go together");
    if (r->opt.retry_uncertain && !r->opt.resume)
        return err_set(e, FAULT_USAGE, "--retry-uncertain goes with --resume only");
    if (r->operands.n > 0 || r->opt.read_recipients)
        return true;
    err_set(e, FAULT_USAGE, "there is no recipient");
    return err_hint(e, "name who gets every message, or say -t to take those of each from its To, Cc and Bcc");
}

static bool check_account(const struct run *r, struct err *e)
{
    if (!r->account.mx)
        return true;
    err_set(e, FAULT_USAGE, "--batch needs a server of one's own, and 'host mx' is none");
    return err_hint(e, "send through a smarthost, or one message at a time");
}

/* ---- one message ---- */

/* The run's message and envelope are this one's while they are made. */
static bool prepare(void *ctx, struct message *m, struct envelope *env, struct err *e)
{
    struct run *r = ctx;
    const struct message message = r->message;
    const struct envelope whole = r->env;
    r->message = *m;
    r->env = (struct envelope){ .sender = xstrdup(whole.sender) };
    bool from_message = r->opt.read_envelope_from && !r->opt.from;
    bool ok = (!from_message || prepare_sender(&r->message, &r->env.sender, e)) && send_address(r, e);
    mailbox_list_free(&r->asked);
    *m = r->message;
    *env = r->env;
    r->message = message;
    r->env = whole;
    return ok;
}

/* ---- all of them ---- */

static FILE *open_report(const char *path, struct err *e)
{
    int fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) : file_open_append(path, e);
    if (fd < 0) {
        err_sys(e, FAULT_IO, errno, "cannot write to standard output");
        return NULL;
    }
    return fdopen(fd, "a");
}

/* broken: errno of a line; 0: all were written. */
static bool close_report(FILE *report, int broken, struct err *e)
{
    if (fclose(report) != 0 && !broken)
        broken = errno;
    if (!broken || err_is_set(e))
        return !broken;
    err_sys(e, FAULT_IO, broken, "cannot write the report");
    return err_hint(e, "the messages are not held up by it: send none again that is counted as sent; a 'logfile' tells "
                       "of each as well");
}

static void print_summary(const struct run *r, const struct batch_end *end)
{
    long all = 0;
    for (int i = 0; i < BATCH_OUTCOMES; i++)
        all += end->n[i];
    fprintf(stderr, "%s: %ld of %ld messages sent", program_invocation_short_name, end->n[BATCH_SENT], all);
    for (int i = BATCH_PARTIAL; i < BATCH_OUTCOMES; i++)
        if (end->n[i] > 0)
            fprintf(stderr, ", %ld %s", end->n[i], batch_outcome_word((enum batch_outcome)i));
    if (end->unread)
        fputs(", and the rest was not read", stderr);
    fprintf(stderr, ", in %.1f s\n", (double)(clock_now() - r->started) / USEC_PER_SEC);
}

/* errno of a line of the report that could not be written; 0: all were. */
static int run_batch(struct run *r, struct box *box, struct journal *journal, FILE *out, struct err *e)
{
    const struct batch_params params = {
        .account = &r->account, .box = box, .journal = journal, .retry_uncertain = r->opt.retry_uncertain,
        .connections = (size_t)r->opt.connections, .prepare = prepare, .ctx = r, .hub = &r->hub,
    };
    struct show_batch_progress bar = { .out = stderr };
    struct batch_end end;
    struct show_batch *lines = show_batch_open(&r->hub, out);
    if (send_shows_progress(r))
        show_batch_progress_open(&bar, &r->hub);
    batch_run(&params, &end, e);
    show_batch_progress_wipe(&bar);
    hub_unlisten(&r->hub, &bar);
    int broken = show_batch_close(lines);
    print_summary(r, &end);
    return broken;
}

bool send_batch(struct run *r, struct err *e)
{
    if (!check(r, e) || !send_choose_account(r, e))
        return false;
    if (r->opt.pretend)
        return account_print(&r->account, stdout);
    if (!check_account(r, e) || !send_listen(r, e))
        return false;
    struct box *box = box_open(r->opt.batch, (enum box_format)r->opt.batch_format, r->opt.resume != NULL, e);
    struct journal *journal = box && r->opt.resume ? journal_open(r->opt.resume, e) : NULL;
    FILE *report = box && !err_is_set(e) ? open_report(r->opt.report, e) : NULL;
    if (report) {
        int broken = run_batch(r, box, journal, report, e);
        close_report(report, broken, e);
    }
    journal_free(journal);
    box_free(box);
    return !err_is_set(e);
}
