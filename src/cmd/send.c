/* send: the main job. Pick the account, take the message, fill the envelope, prepare the message, find the route,
 * deliver, report. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/config.h"
#include "cmd/recipients.h"
#include "cmd/send.h"
#include "cmd/serverinfo.h"
#include "cmd/version.h"
#include "conf/cmdline.h"
#include "mail/address.h"
#include "mail/prepare.h"
#include "send/inquire.h"
#include "send/submit.h"

enum { PROGRESS_LEAST = 1000000 };

static bool is_inquiry(const struct run *r)
{
    return r->opt.serverinfo || r->opt.rmqs;
}

/* ---- account ---- */

bool send_bind(struct run *r, struct err *e)
{
    return send_options_bind(&r->opt, &r->settings[OF_RUN], &r->settings[OF_ACCOUNT], e);
}

/* A lone word that is nobody's address is more often a command with a typing error than a mailbox of that name. */
static bool check_operands(const struct run *r, struct err *e)
{
    if (r->operands.n != 1 || strchr(r->operands.v[0], '@') || r->opt.read_recipients)
        return true;
    struct err found = ERR_INIT;
    err_set(&found, FAULT_USAGE, "'%s' is neither a command nor an address", r->operands.v[0]);
    if (command_hint(r->operands.v[0], &found))
        err_move(e, &found);
    err_clear(&found);
    return !err_is_set(e);
}

/* The command line's sender is known before the account is chosen, the message's when that is asked for. */
static bool early_sender(struct run *r, struct err *e)
{
    if (r->env.sender)
        return true;
    if (r->opt.from)
        return address_parse_one(r->opt.from, true, &r->env.sender, e);
    return !r->opt.read_envelope_from || r->opt.batch || prepare_sender(&r->message, &r->env.sender, e);
}

bool send_choose_account(struct run *r, struct err *e)
{
    const struct settings *said = &r->settings[OF_ACCOUNT];
    const struct rc_params params = { .user_file = r->opt.file,
                                      .msmtp = strcmp(program_invocation_short_name, "msmtp") == 0,
                                      .no_files = rc_names_server(said) };
    if (!early_sender(r, e) || !rc_load(&r->rc, &params, e))
        return false;
    const struct rc_account *chosen = NULL;
    if (!params.no_files) {
        chosen = rc_choose(&r->rc, r->opt.account_name, r->env.sender, e);
        if (!chosen)
            return false;
    }
    bool ok = account_bind(&r->account, chosen, said, e);
    cmd_warn(&r->rc.warnings);
    cmd_warn(&r->account.warnings);
    return ok;
}

/* ---- message and envelope ---- */

static bool take_message(struct run *r, struct err *e)
{
    if (send_composes(r))
        return send_compose(r, e);
    if (isatty(STDIN_FILENO))
        fprintf(stderr, "%s: reading a message from the terminal; Ctrl-D on a line of its own ends it\n",
                program_invocation_short_name);
    if (!message_read(&r->message, STDIN_FILENO, e))
        return false;
    if (r->message.empty) {
        err_set(e, FAULT_NO_INPUT, "there is no message on standard input");
        return err_hint(e, "pipe one in: printf 'Subject: hello\\n\\nbody\\n' | envoi you@example.org");
    }
    return true;
}

static char *login_address(void)
{
    const struct passwd *pw = getpwuid(geteuid());
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    return xasprintf("%s@%s", pw ? pw->pw_name : "nobody", host);
}

static bool late_sender(struct run *r, struct err *e)
{
    const char *from = account_sender(&r->account);
    if (from && (!r->env.sender || !r->account.allow_from_override)) {
        free(r->env.sender);
        r->env.sender = NULL;
        if (!address_parse_one(from, true, &r->env.sender, e))
            return false;
    }
    if (!r->env.sender && !prepare_sender(&r->message, &r->env.sender, e))
        return false;
    if (!r->env.sender)
        r->env.sender = login_address();
    if (r->account.protocol != ACCOUNT_LMTP)
        recipients_qualify(&r->account, &r->env.sender);
    return true;
}

/* The recipients that were named, here or in the message. */
static bool ask_recipients(struct run *r, struct err *e)
{
    const char *const said[] = { r->opt.to, r->opt.cc, r->opt.bcc };
    for (size_t i = 0; i < r->operands.n; i++)
        if (!address_parse_some(&r->asked, r->operands.v[i], e))
            return false;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (said[i] && !address_parse_some(&r->asked, said[i], e))
            return false;
    if (r->opt.read_recipients && !prepare_recipients(&r->asked, &r->message, e))
        return false;
    if (r->asked.n > 0)
        return true;
    err_set(e, FAULT_USAGE, "there is no recipient");
    return err_hint(e, r->opt.read_recipients ? "the message has no address in To, Cc or Bcc"
                                              : "name one, or say -t to take them from the message's To, Cc and Bcc");
}

static bool fill_envelope(struct run *r, struct err *e)
{
    struct strlist warnings = STRLIST_INIT;
    bool ok = late_sender(r, e) && recipients_resolve(&r->account, &r->asked, &r->env, &warnings, e);
    cmd_warn(&warnings);
    strlist_free(&warnings);
    if (!r->env.dsn_envid)
        r->env.dsn_envid = xstrdup(r->opt.dsn_envid);
    return ok && (r->env.dsn_notify || account_dsn(&r->account, &r->env.dsn_notify, &r->env.dsn_return, e));
}

static bool prepare(struct run *r, struct err *e)
{
    const struct account *a = &r->account;
    const struct prepare_params p = {
        .from_full_name = a->from_full_name,
        .domain = a->domain,
        .set_from = (enum tristate)a->set_from_header,
        .set_date = (enum tristate)a->set_date_header,
        .set_msgid = (enum tristate)a->set_msgid_header,
        .set_to_undisclosed = a->set_to_header,
        .undisclosed = a->undisclosed_recipients,
        .remove_bcc = a->remove_bcc_headers,
    };
    return prepare_message(&r->message, &p, &r->env, e);
}

/* ---- listeners ---- */

static void warn(void *ctx, const struct event *ev)
{
    struct buf line = BUF_INIT;
    (void)ctx;
    event_format(ev, "{text}", &line);
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, ev->kind == EV_ADVICE ? "note" : "warning",
            line.data);
    buf_free(&line);
}

/* Straight to mail exchangers several dialogues may go on at once. */
static bool has_several_dialogues(const struct run *r)
{
    if (r->opt.batch)
        return r->opt.connections > 1;
    const char *first = r->account.mx && r->env.n > 0 ? address_domain(r->env.rcpts[0].address) : NULL;
    for (size_t i = 1; i < r->env.n && first; i++) {
        const char *other = address_domain(r->env.rcpts[i].address);
        if (other && !ascii_ieq(first, other))
            return true;
    }
    return false;
}

bool send_shows_progress(const struct run *r)
{
    return r->opt.progress == TRI_ON
           || (r->opt.progress == TRI_AUTO && isatty(STDERR_FILENO) && r->opt.verbose == 0);
}

bool send_listen(struct run *r, struct err *e)
{
    FILE *out = stderr;
    if (r->opt.transcript) {
        int fd = strcmp(r->opt.transcript, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                                     : file_open_append(r->opt.transcript, e);
        if (fd < 0)
            return false;
        out = r->transcript = fdopen(fd, "a");
        setvbuf(out, NULL, _IOLBF, 0);
    }
    if (r->opt.transcript || r->opt.verbose > 0) {
        if (r->opt.transcript_format == TRANSCRIPT_JSON) {
            r->json.out = out;
            show_json_open(&r->json, &r->hub);
        } else {
            r->text = (struct show_text){ .out = out, .timings = r->opt.timings, .content = r->opt.verbose > 1,
                                          .several = has_several_dialogues(r) };
            show_text_open(&r->text, &r->hub);
        }
    }
    if (out != stderr || r->opt.verbose == 0)
        hub_listen(&r->hub, EV_MASK(EV_WARNING) | EV_MASK(EV_ADVICE), warn, NULL);
    if (!r->opt.batch && send_shows_progress(r)) {
        r->progress = (struct show_progress){ .out = stderr, .least = r->opt.progress == TRI_ON ? 0 : PROGRESS_LEAST };
        show_progress_open(&r->progress, &r->hub);
    }
    if (r->opt.json && !r->opt.batch)
        r->report = show_report_open(&r->hub);
    if (is_inquiry(r))
        return true; /* the log is of mail */
    if (r->account.logfile || r->account.syslog) {
        r->log = (struct show_log){ .file = r->account.logfile, .time_format = r->account.logfile_time_format,
                                    .syslog_facility = r->account.syslog,
                                    .progname = r->log_tag ? r->log_tag : program_invocation_short_name };
        show_log_open(&r->log, &r->hub);
    }
    return true;
}

/* ---- the run ---- */

static bool deliver(struct run *r, struct err *e)
{
    const struct submit_params params = {
        .account = &r->account, .env = &r->env, .message = &r->message, .hub = &r->hub, .started = r->started,
    };
    return submit(&params, e);
}

/* `--serverinfo` and `--rmqs`: a connection without a message. */
static bool ask_server(struct run *r, struct err *e)
{
    if (r->operands.n > 0) {
        err_set(e, FAULT_USAGE, "there is no message to send to '%s'", r->operands.v[0]);
        return err_hint(e, "'%s' goes without recipients", r->opt.rmqs ? "--rmqs" : "--serverinfo");
    }
    if (!send_choose_account(r, e))
        return false;
    if (r->opt.pretend)
        return account_print(&r->account, stdout);
    if (!send_listen(r, e))
        return false;
    struct serverinfo *info = NULL;
    if (r->opt.serverinfo && !r->opt.json)
        info = serverinfo_open(&r->hub, r->account.protocol == ACCOUNT_LMTP ? "LMTP" : "SMTP");
    const struct inquire_params params = {
        .account = &r->account, .etrn = r->opt.rmqs, .hub = &r->hub, .started = r->started,
    };
    bool ok = inquire(&params, e);
    serverinfo_close(info, stdout);
    return ok;
}

/* `--dry-run`: what would be said, as the dialogue's notes, and the message as it would go out. */
static bool print_instead(struct run *r, struct err *e)
{
    const char *block;
    size_t n;
    printf("# sender <%s>\n", r->env.sender);
    for (size_t i = 0; i < r->env.n; i++)
        printf("# recipient <%s>\n", r->env.rcpts[i].address);
    while (message_next(&r->message, &block, &n, e) && n > 0)
        fwrite(block, 1, n, stdout);
    if (!err_is_set(e) && (fflush(stdout) != 0 || ferror(stdout)))
        return err_sys(e, FAULT_IO, errno, "cannot write to standard output");
    return !err_is_set(e);
}

bool send_address(struct run *r, struct err *e)
{
    return ask_recipients(r, e) && fill_envelope(r, e) && prepare(r, e);
}

bool send_taken(struct run *r, struct err *e)
{
    return send_choose_account(r, e) && fill_envelope(r, e) && prepare(r, e) && send_listen(r, e) && deliver(r, e);
}

bool send_message(struct run *r, struct err *e)
{
    if (is_inquiry(r))
        return ask_server(r, e);
    if (r->opt.batch)
        return send_batch(r, e);
    bool needs_message_first = r->opt.read_envelope_from && !r->opt.from;
    if ((needs_message_first && !take_message(r, e)) || !send_choose_account(r, e))
        return false;
    if (r->opt.pretend)
        return account_print(&r->account, stdout);
    if ((!needs_message_first && !take_message(r, e)) || !send_address(r, e))
        return false;
    if (r->opt.dry_run)
        return print_instead(r, e);
    return send_listen(r, e) && deliver(r, e);
}

void send_init(struct run *r)
{
    *r = (struct run){ .started = clock_now() };
    settings_init(&r->settings[OF_ACCOUNT], account_options());
    settings_init(&r->settings[OF_RUN], send_option_table());
    hub_init(&r->hub);
    message_init(&r->message);
}

void send_free(struct run *r)
{
    show_report_close(r->report, r->opt.json ? stdout : NULL);
    hub_free(&r->hub);
    if (r->transcript)
        fclose(r->transcript);
    message_free(&r->message);
    parts_free(&r->parts);
    mailbox_list_free(&r->asked);
    envelope_free(&r->env);
    free(r->log_tag);
    account_free(&r->account);
    rc_free(&r->rc);
    send_options_free(&r->opt);
    settings_free(&r->settings[OF_ACCOUNT]);
    settings_free(&r->settings[OF_RUN]);
    strlist_free(&r->operands);
    strlist_free(&r->warnings);
}

/* What goes wrong before a connection is thought of is an outcome, too. */
int send_fail(struct run *r, struct err *e)
{
    /* not bound where the command line is what is wrong */
    const char *json = settings_text(&r->settings[OF_RUN], "json");
    r->opt.json = json && strcmp(json, "off") != 0;
    if (r->opt.json && !r->report && !r->opt.batch) {
        r->report = show_report_open(&r->hub);
        emit(&r->hub, 0, EV_RESULT,
             F_STR("account", r->account.name),
             F_STR("from", r->env.sender),
             F_STR("errormsg", e->text),
             F_STR("hint", e->hint),
             F_STR("exitcode", fault_sysexit_name(e->fault)),
             F_INT("exit", fault_exit(e->fault)),
             F_STR("fault", fault_word(e->fault)),
             F_STR("stage", stage_word(e->stage)),
             F_STR("fate", fate_word(e->fate)),
             F_INT("ms", (clock_now() - r->started) / 1000));
    }
    return cmd_fail(e);
}

static int run(int argc, char *const *argv)
{
    struct run r;
    struct err e = ERR_INIT;
    int status = 0;
    send_init(&r);
    bool ok = cmdline_parse(argc - 1, argv + 1, r.settings, 2, &r.operands, &r.warnings, &e) && send_bind(&r, &e);
    cmd_warn(&r.warnings);
    if (ok && r.opt.help)
        cmd_help(&command_send);
    else if (ok && r.opt.version)
        version_print();
    else if (!ok || !check_operands(&r, &e) || !send_message(&r, &e))
        status = send_fail(&r, &e);
    send_free(&r);
    return status;
}

const struct command command_send = {
    .name = "send",
    .synopsis = "[OPTION…] [--] RECIPIENT…  < MESSAGE",
    .help = "Send the message on standard input, or one composed of --subject, --body, --attach",
    .options = { account_options, send_option_table },
    .run = run,
};
