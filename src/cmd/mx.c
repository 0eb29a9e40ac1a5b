/* mx: `envoi mx`: who takes mail for a domain, how well it would be protected on its way there, and what is wrong with
 * that. Chooses the account and how to show it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "cmd/cmd.h"
#include "cmd/mx.h"
#include "conf/rc.h"
#include "net/resolve.h"

struct mx_options {
    char *account, *file, *from, *ip;
    long warn_days;
    bool connect, json;
};

#define M(member) .at = offsetof(struct mx_options, member)
#define ARGV .flags = OPTION_IN_ARGV

static const struct option rows[] = {
    { .name = "account", .letter = 'a', .group = "Survey", .type = OPTION_TEXT, ARGV, .arg = "ACCOUNT", M(account),
      .help = "as mail of this account would go; it has 'host mx'" },
    { .name = "file", .letter = 'C', .group = "Survey", .type = OPTION_FILE, ARGV, .arg = "FILE", M(file),
      .help = "read this file instead of the user's own" },
    { .name = "from", .letter = 'f', .group = "Survey", .type = OPTION_TEXT, ARGV, .arg = "ADDRESS", M(from),
      .help = "whether SPF lets this sender's mail come from here" },
    { .name = "ip", .group = "Survey", .type = OPTION_TEXT, ARGV, .arg = "ADDRESS", M(ip),
      .help = "our address as receivers see it, for SPF" },
    { .name = "connect", .group = "Survey", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL,
      .arg = "on|off", .def = "on", M(connect), .help = "look at the hosts (--no-connect: ask the name servers only)" },
    { .name = "warn_days", .group = "Survey", .type = OPTION_NUMBER, ARGV, .arg = "DAYS", .max = 3650, .def = "21",
      M(warn_days), .help = "tell certificates that are good for less; 0: do not" },
    { .name = "json", .group = "Output", .type = OPTION_FLAG, ARGV, .def = "off", M(json),
      .help = "one JSON object instead of text" },
};

static struct option_table mx_table_of_options(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

enum { OF_ACCOUNT, OF_SURVEY };

struct run {
    struct arguments arguments;
    struct mx_options opt;
    const char *name; /* borrowed: the operand */
    struct rc rc;
    struct account account;
    struct survey survey;
    struct survey_verdict verdict;
};

static bool take_operand(struct run *r, struct err *e)
{
    const struct strlist *operands = &r->arguments.operands;
    if (operands->n != 1) {
        err_set(e, FAULT_USAGE, operands->n ? "one domain at a time" : "of which domain?");
        return err_hint(e, "as in 'envoi mx example.org'");
    }
    r->name = operands->v[0];
    const char *at = strrchr(r->name, '@');
    if (!*r->name || (at && !at[1])) {
        err_set(e, FAULT_USAGE, "'%s' names no domain", r->name);
        return err_hint(e, "as in 'envoi mx example.org'");
    }
    struct addrinfo *numeric = r->opt.ip ? resolve_numeric(r->opt.ip, 0, AF_UNSPEC) : NULL;
    if (r->opt.ip && !numeric)
        return err_set(e, FAULT_USAGE, "'ip' is an address such as 192.0.2.1, not '%s'", r->opt.ip);
    if (numeric)
        freeaddrinfo(numeric);
    return true;
}

static bool is_direct(const struct settings *s)
{
    const char *host = settings_text(s, "host");
    return host && ascii_ieq(host, "mx");
}

/* In msmtp's files a server may have that name. */
static bool goes_direct(const struct rc_account *a)
{
    return !a->msmtp && is_direct(&a->settings);
}

static bool say_direct(struct settings *said, struct err *e)
{
    return settings_say(said, option_by_name(said->table, "host", strlen("host")), "mx", ORIGIN_COMMAND_LINE, NULL, e);
}

/* The account named; else the one that would be used without a name, where its mail goes straight to the exchangers;
 * else none. */
static bool choose_account(struct run *r, struct err *e)
{
    struct settings *said = &r->arguments.said[OF_ACCOUNT];
    const struct rc_params params = { .user_file = r->opt.file };
    struct err none = ERR_INIT;
    if (rc_names_server(said) && !is_direct(said)) {
        err_set(e, FAULT_USAGE, "'envoi mx' finds the servers itself: no other can be named");
        return err_hint(e, "'envoi diagnose' looks at a server that you name");
    }
    if (!rc_load(&r->rc, &params, e))
        return false;
    const struct rc_account *chosen = rc_choose(&r->rc, r->opt.account, NULL, r->opt.account ? e : &none);
    err_clear(&none);
    if (r->opt.account && chosen && !goes_direct(chosen)) {
        err_set(e, FAULT_USAGE, "mail of the account '%s' goes to a server of its own", r->opt.account);
        err_hint(e, "name an account with 'host mx', or none");
    }
    if (err_is_set(e))
        return false;
    if (chosen && !goes_direct(chosen))
        chosen = NULL;
    bool ok = (chosen || say_direct(said, e)) && account_bind(&r->account, chosen, said, e);
    cmd_warn(&r->rc.warnings);
    return ok;
}

static bool look(struct run *r, struct err *e)
{
    const struct survey_params params = {
        .account = &r->account,
        .name = r->name,
        .connect = r->opt.connect,
        .from = r->opt.from ? r->opt.from : account_sender(&r->account),
        .ip = r->opt.ip,
        .whole = settings_text(&r->arguments.said[OF_ACCOUNT], "timeout") ? r->account.timeout : 0,
    };
    if (!survey(&params, &r->survey, e))
        return false;
    survey_judge(&r->survey, r->opt.warn_days, &r->verdict);
    return true;
}

static bool print(const struct run *r, struct err *e)
{
    struct buf text = BUF_INIT;
    (r->opt.json ? mx_json : mx_table)(&r->survey, &r->verdict, &text);
    fputs(text.data, stdout);
    buf_free(&text);
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_sys(e, FAULT_IO, errno, "cannot write to standard output");
    return true;
}

static int run(int argc, char *const *argv)
{
    struct run r = { 0 };
    struct err e = ERR_INIT;
    if (cmd_arguments(&r.arguments, &command_mx, argc, argv, &e)) {
        if (settings_bind(&r.arguments.said[OF_SURVEY], false, &r.opt, &e) && take_operand(&r, &e)
            && choose_account(&r, &e) && look(&r, &e))
            print(&r, &e);
        settings_unbind(mx_table_of_options(), &r.opt);
    }
    const int status = r.verdict.exit;
    survey_verdict_free(&r.verdict);
    survey_free(&r.survey);
    account_free(&r.account);
    rc_free(&r.rc);
    cmd_arguments_free(&r.arguments);
    return err_is_set(&e) ? cmd_fail(&e) : status;
}

const struct command command_mx = {
    .name = "mx",
    .synopsis = "[OPTION…] DOMAIN|ADDRESS",
    .help = "Show who takes mail for a domain, how well it is protected on its way, and what is wrong with that",
    .options = { account_options, mx_table_of_options, cmd_help_option },
    .run = run,
};
