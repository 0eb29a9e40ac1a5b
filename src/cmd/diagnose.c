/* diagnose: `envoi diagnose`: why a port does not work, and what to do. Chooses what to look at, and how to show it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/diagnose.h"
#include "conf/rc.h"
#include "send/diagnose.h"

struct diagnose_options {
    char *account, *file, *control, *report;
    bool json, verbose;
};

#define D(member) .at = offsetof(struct diagnose_options, member)
#define ARGV .flags = OPTION_IN_ARGV

static const struct option rows[] = {
    { .name = "account", .letter = 'a', .group = "Diagnosis", .type = OPTION_TEXT, ARGV, .arg = "ACCOUNT", D(account),
      .help = "look at the server of this account" },
    { .name = "file", .letter = 'C', .group = "Diagnosis", .type = OPTION_FILE, ARGV, .arg = "FILE", D(file),
      .help = "read this file instead of the user's own" },
    { .name = "control", .group = "Diagnosis", .type = OPTION_TEXT, ARGV, .arg = "HOST", D(control),
      .help = "a second host to compare with" },
    { .name = "report", .group = "Output", .type = OPTION_FILE, ARGV, .arg = "FILE", D(report),
      .help = "write a page (HTML) for a support desk" },
    { .name = "json", .group = "Output", .type = OPTION_FLAG, ARGV, .def = "off", D(json),
      .help = "one JSON object instead of text" },
    { .name = "verbose", .letter = 'v', .group = "Output", .type = OPTION_FLAG, ARGV, .def = "off", D(verbose),
      .help = "the table also where the output is no terminal" },
};

static struct option_table diagnose_table_of_options(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

enum { OF_ACCOUNT, OF_DIAGNOSIS };

struct run {
    struct arguments arguments;
    struct diagnose_options opt;
    enum scene_named named;
    const char *name;      /* borrowed: the operand; NULL: none */
    struct rc rc;
    struct account account;
    struct scene scene;
    struct verdict verdict;
};

/* ---- what is to be looked at ---- */

/* "example.org" is a domain, "mail.example.org", "example.org:587" and "192.0.2.1" are hosts. */
static bool is_domain(const char *name)
{
    const char *dot = strchr(name, '.');
    bool letters = false;
    for (const char *p = name; *p; p++)
        letters |= ascii_isalpha(*p);
    return dot && dot[1] && !strchr(dot + 1, '.') && !strchr(name, ':') && letters;
}

static bool say(struct settings *said, const char *name, const char *value, struct err *e)
{
    const struct option *o = option_by_name(said->table, name, strlen(name));
    return settings_say(said, o, value, ORIGIN_COMMAND_LINE, NULL, e);
}

/* "host", "host:port", "[v6]:port", "v6" */
static bool say_host(struct settings *said, const char *name, struct err *e)
{
    const char *colon = strrchr(name, ':');
    bool bare_v6 = colon && strchr(name, ':') != colon && name[0] != '[';
    const char *end = colon && !bare_v6 && (name[0] != '[' || colon[-1] == ']') ? colon : name + strlen(name);
    bool bracketed = name[0] == '[' && end > name + 1 && end[-1] == ']';
    char *host = bracketed ? xstrndup(name + 1, (size_t)(end - name) - 2) : xstrndup(name, (size_t)(end - name));
    bool ok = say(said, "host", host, e) && (!*end || say(said, "port", end + 1, e));
    free(host);
    return ok;
}

static bool take_operand(struct run *r, struct err *e)
{
    struct settings *said = &r->arguments.said[OF_ACCOUNT];
    const struct strlist *operands = &r->arguments.operands;
    if (operands->n == 0)
        return true;
    if (operands->n > 1) {
        err_set(e, FAULT_USAGE, "one server at a time: '%s' is too many", operands->v[1]);
        return err_hint(e, "'--control %s' compares with it", operands->v[1]);
    }
    if (r->opt.account || rc_names_server(said))
        return err_set(e, FAULT_USAGE, "'%s' goes neither with -a nor with --host", operands->v[0]);
    r->name = operands->v[0];
    if (!*r->name || *r->name == ':' || r->name[strlen(r->name) - 1] == '@') {
        err_set(e, FAULT_USAGE, "'%s' names no server", r->name);
        return err_hint(e, "as in 'envoi diagnose mail.example.org:587'");
    }
    r->named = strchr(r->name, '@') ? NAMED_ADDRESS : is_domain(r->name) ? NAMED_DOMAIN : NAMED_HOST;
    const char *at = strrchr(r->name, '@');
    if (!say(said, "mx", "off", e))
        return false;
    return r->named == NAMED_HOST ? say_host(said, r->name, e) : say(said, "host", at ? at + 1 : r->name, e);
}

static bool choose_account(struct run *r, struct err *e)
{
    const struct settings *said = &r->arguments.said[OF_ACCOUNT];
    const struct rc_params params = { .user_file = r->opt.file, .no_files = rc_names_server(said) };
    const struct rc_account *chosen = NULL;
    if (!rc_load(&r->rc, &params, e))
        return false;
    if (!params.no_files)
        chosen = rc_choose(&r->rc, r->opt.account, NULL, e);
    bool ok = (params.no_files || chosen) && account_bind(&r->account, chosen, said, e);
    cmd_warn(&r->rc.warnings);
    if (!ok || !r->account.mx)
        return ok;
    err_set(e, FAULT_USAGE, "'host mx' names no server to look at: each domain has its own");
    return err_hint(e, "'envoi mx DOMAIN' looks at all of a domain's, 'envoi diagnose you@DOMAIN' at the best");
}

/* ---- showing ---- */

static bool write_report(const struct run *r, struct err *e)
{
    struct buf page = BUF_INIT;
    int fd = file_create_private(r->opt.report, e);
    bool ok = fd >= 0;
    if (ok) {
        diagnose_html(&r->scene, &r->verdict, &page);
        if (!file_write_all(fd, page.data, page.len))
            ok = err_sys(e, FAULT_IO, errno, "cannot write '%s'", r->opt.report);
        if (close(fd) != 0 && ok)
            ok = err_sys(e, FAULT_IO, errno, "cannot write '%s'", r->opt.report);
        if (!ok)
            unlink(r->opt.report);
    }
    buf_free(&page);
    return ok;
}

static bool print(const struct run *r, struct err *e)
{
    struct buf text = BUF_INIT;
    const bool terminal = isatty(STDOUT_FILENO);
    const char *no_colour = getenv("NO_COLOR");
    if (r->opt.json) {
        diagnose_json(&r->scene, &r->verdict, &text);
    } else {
        if (terminal || r->opt.verbose)
            diagnose_table(&r->scene, terminal && !(no_colour && *no_colour), &text);
        diagnose_text(&r->scene, &r->verdict, &text);
    }
    fputs(text.data, stdout);
    buf_free(&text);
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_sys(e, FAULT_IO, errno, "cannot write to standard output");
    return true;
}

/* Each is written even where the other cannot be. */
static bool show(const struct run *r, struct err *e)
{
    const bool reported = !r->opt.report || write_report(r, e);
    return print(r, e) && reported;
}

static bool look(struct run *r, struct err *e)
{
    const struct diagnose_params params = {
        .account = &r->account,
        .named = r->named,
        .name = r->name ? r->name : r->account.name,
        .port_named = settings_text(&r->account.settings, "port") != NULL,
        .whole = settings_text(&r->arguments.said[OF_ACCOUNT], "timeout") ? r->account.timeout : 0,
        .control = r->opt.control,
    };
    if (!diagnose(&params, &r->scene, e))
        return false;
    verdict_of(&r->scene, &r->verdict);
    return true;
}

static int run(int argc, char *const *argv)
{
    struct run r = { .named = NAMED_ACCOUNT };
    struct err e = ERR_INIT;
    int status = 0;
    if (cmd_arguments(&r.arguments, &command_diagnose, argc, argv, &e)) {
        bool ok = settings_bind(&r.arguments.said[OF_DIAGNOSIS], false, &r.opt, &e) && take_operand(&r, &e)
                  && choose_account(&r, &e) && look(&r, &e) && show(&r, &e);
        status = ok ? fault_exit(r.verdict.fault) : 0;
        settings_unbind(diagnose_table_of_options(), &r.opt);
    }
    verdict_free(&r.verdict);
    scene_free(&r.scene);
    account_free(&r.account);
    rc_free(&r.rc);
    cmd_arguments_free(&r.arguments);
    return err_is_set(&e) ? cmd_fail(&e) : status;
}

const struct command command_diagnose = {
    .name = "diagnose",
    .synopsis = "[OPTION…] [HOST[:PORT] | ADDRESS | DOMAIN]",
    .help = "Say why a mail server's port does not work, and what to do",
    .options = { account_options, diagnose_table_of_options, cmd_help_option },
    .run = run,
};
