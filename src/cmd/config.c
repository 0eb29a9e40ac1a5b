/* config: `envoi config`: the settings that hold, with where each comes from; and the check of all files. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/config.h"

struct config_options {
    char *account, *file, *from;
    bool check, accounts;
};

static const struct option rows[] = {
#define C(member) .at = offsetof(struct config_options, member)
    { .name = "account", .letter = 'a', .group = "Configuration", .type = OPTION_TEXT, .flags = OPTION_IN_ARGV,
      .arg = "ACCOUNT", C(account), .help = "show this account" },
    { .name = "file", .letter = 'C', .group = "Configuration", .type = OPTION_FILE, .flags = OPTION_IN_ARGV,
      .arg = "FILE", C(file), .help = "read this file instead of the user's own" },
    { .name = "from", .letter = 'f', .group = "Configuration", .type = OPTION_TEXT, .flags = OPTION_IN_ARGV,
      .arg = "ADDRESS", C(from), .help = "show the account that this sender would use" },
    { .name = "check", .group = "Configuration", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off", C(check),
      .help = "read everything and report every error" },
    { .name = "accounts", .group = "Configuration", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off",
      C(accounts), .help = "print the names of the accounts" },
#undef C
};

static struct option_table config_table(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

bool account_print(const struct account *a, FILE *out)
{
    struct buf text = BUF_INIT;
    account_format(a, &text);
    fputs(text.data, out);
    buf_free(&text);
    return fflush(out) == 0 && !ferror(out);
}

static int list_accounts(const struct rc *rc)
{
    for (size_t i = 0; i < rc->n; i++)
        if (*rc->v[i].name && rc_find(rc, rc->v[i].name) == &rc->v[i])
            puts(rc->v[i].name);
    return 0;
}

/* Commands of `eval` lines are not run by a check, so accounts that have some are left out of it. */
static void check_account(struct rc *rc, const struct rc_account *chosen, const struct settings *said)
{
    struct account a;
    struct err e = ERR_INIT;
    if (chosen->evals_n)
        return;
    if (!account_bind(&a, chosen, said, &e)) {
        struct buf text = BUF_INIT;
        buf_printf(&text, "%s:%d: account '%s': %s", chosen->file, chosen->line, chosen->name, e.text);
        if (e.hint)
            buf_printf(&text, "\n  hint: %s", e.hint);
        strlist_add_own(&rc->errors, buf_steal(&text));
        err_clear(&e);
    }
    for (size_t i = 0; i < a.warnings.n; i++)
        strlist_add(&rc->warnings, a.warnings.v[i]);
    account_free(&a);
}

/* An account without a host is there to be inherited from. */
static int check(struct rc *rc, const struct settings *said)
{
    for (size_t i = 0; i < rc->n; i++)
        if (rc_names_server(&rc->v[i].settings))
            check_account(rc, &rc->v[i], said);
    cmd_warn(&rc->warnings);
    for (size_t i = 0; i < rc->errors.n; i++)
        fprintf(stderr, "%s\n", rc->errors.v[i]);
    for (size_t i = 0; i < rc->files.n; i++)
        printf("read %s\n", rc->files.v[i]);
    for (size_t i = 0; i < rc->n; i++)
        if (rc->v[i].evals_n)
            printf("not checked: account '%s', which needs its 'eval' commands run; see 'envoi config -a %s'\n",
                   rc->v[i].name, rc->v[i].name);
    if (!rc->files.n)
        for (size_t i = 0; i < rc->looked.n; i++)
            printf("not there: %s\n", rc->looked.v[i]);
    printf("%zu account%s, %zu error%s\n", rc->n, rc->n == 1 ? "" : "s", rc->errors.n, rc->errors.n == 1 ? "" : "s");
    return rc->errors.n ? fault_exit(FAULT_CONFIG) : 0;
}

static bool show(const struct rc *rc, const struct config_options *opt, const struct settings *said, bool no_files,
                 struct err *e)
{
    const struct rc_account *chosen = no_files ? NULL : rc_choose(rc, opt->account, opt->from, e);
    struct account a;
    if (!no_files && !chosen)
        return false;
    cmd_warn(&rc->warnings);
    bool ok = account_bind(&a, chosen, said, e);
    cmd_warn(&a.warnings);
    if (ok && chosen && *chosen->name)
        printf("# account '%s' of %s:%d%s\n", chosen->name, chosen->file, chosen->line,
               chosen->msmtp ? ", with the defaults of msmtp" : "");
    if (ok && !account_print(&a, stdout))
        ok = err_set(e, FAULT_IO, "cannot write to standard output");
    account_free(&a);
    return ok;
}

static int act(const struct config_options *opt, const struct settings *said)
{
    struct rc rc = RC_INIT;
    struct err e = ERR_INIT;
    const struct rc_params params = {
        .user_file = opt->file,
        .no_files = rc_names_server(said),
        .keep_going = opt->check || opt->accounts,
    };
    int status = 0;
    if (rc_load(&rc, &params, &e)) {
        if (opt->accounts)
            status = list_accounts(&rc);
        else if (opt->check)
            status = check(&rc, said);
        else
            show(&rc, opt, said, params.no_files, &e);
    }
    rc_free(&rc);
    return err_is_set(&e) ? cmd_fail(&e) : status;
}

static int run(int argc, char *const *argv)
{
    struct arguments a;
    struct config_options opt = { 0 };
    struct err e = ERR_INIT;
    int status = 0;
    bool ok = cmd_arguments(&a, &command_config, argc, argv, &e) && settings_bind(&a.said[1], false, &opt, &e);
    if (ok && a.operands.n) {
        err_set(&e, FAULT_USAGE, "'config' takes no '%s'", a.operands.v[0]);
        err_hint(&e, "to see one account write: envoi config -a %s", a.operands.v[0]);
    } else if (ok) {
        status = act(&opt, &a.said[0]);
    }
    settings_unbind(config_table(), &opt);
    cmd_arguments_free(&a);
    return err_is_set(&e) ? cmd_fail(&e) : status;
}

const struct command command_config = {
    .name = "config",
    .synopsis = "[-a ACCOUNT] [-C FILE] [--check | --accounts] [OPTION…]",
    .help = "Show the settings that hold, and where each comes from",
    .options = { account_options, config_table, cmd_help_option },
    .run = run,
};
