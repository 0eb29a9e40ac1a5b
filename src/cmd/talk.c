/* talk: a dialogue with a server, line by line: from a script, from standard input, or by hand. Here are the command
 * line and the account; the dialogue is talk_player's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/talk.h"
#include "conf/account.h"
#include "conf/rc.h"
#include "send/deliver.h"
#include "send/hint.h"
#include "send/postmortem.h"
#include "show/show.h"

enum { TALK_SCRIPT_MAX = 16 << 20, TALK_MISMATCH = 1 };

struct talk_options {
    char *account_name, *file, *pipe, *transcript;
    struct strlist set;
    bool tls, starttls;
};

#define O(member) .at = offsetof(struct talk_options, member)
#define ARGV .flags = OPTION_IN_ARGV
#define FLAG .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off"
#define SWITCH .type = OPTION_FLAG, .flags = OPTION_IN_ARGV | OPTION_VALUE_OPTIONAL, .arg = "on|off", .words = switches
#define OF_ACCOUNT .at = OPTION_BY_HAND /* what the account's row of that name means */

static const char *const switches[] = { "on", "off", NULL };
static const char *const protocols[] = { "smtp", "lmtp", NULL };

static const struct option rows[] = {
    { .name = "account", .letter = 'a', .group = "Server", .type = OPTION_TEXT, ARGV, .arg = "ACCOUNT", O(account_name),
      .help = "talk to the server of this account, and log in as it does" },
    { .name = "file", .letter = 'C', .group = "Server", .type = OPTION_FILE, ARGV, .arg = "FILE", O(file),
      .help = "read this file instead of the user's own" },
    { .name = "socket", .group = "Server", .type = OPTION_FILE, ARGV, .arg = "PATH", OF_ACCOUNT,
      .help = "talk over a unix socket" },
    { .name = "pipe", .group = "Server", .type = OPTION_COMMAND, ARGV, .arg = "COMMAND", O(pipe),
      .help = "talk to this program, over its standard input and output" },
    { .name = "protocol", .group = "Server", .type = OPTION_WORD, ARGV, .arg = "smtp|lmtp", .words = protocols,
      OF_ACCOUNT, .help = "lmtp: --starttls says LHLO" },
    { .name = "domain", .group = "Server", .type = OPTION_TEXT, ARGV, .arg = "NAME", OF_ACCOUNT,
      .help = "our own name, for --starttls" },
    { .name = "source_ip", .group = "Server", .type = OPTION_TEXT, ARGV, .arg = "ADDRESS", OF_ACCOUNT,
      .help = "connect from this address" },
    { .name = "ipv4_only", .letter = '4', .group = "Server", SWITCH, OF_ACCOUNT, .help = "use IPv4 only" },
    { .name = "ipv6_only", .letter = '6', .group = "Server", SWITCH, OF_ACCOUNT, .help = "use IPv6 only" },
    { .name = "timeout", .group = "Server", .type = OPTION_SECONDS, ARGV, .arg = "TIME", OF_ACCOUNT,
      .help = "longest wait for a reply (300 s)" },

    { .name = "user", .group = "Authentication", .type = OPTION_TEXT, ARGV, .arg = "USER", OF_ACCOUNT,
      .help = "user name for @auth" },
    { .name = "passwordeval", .group = "Authentication", .type = OPTION_COMMAND, ARGV, .arg = "COMMAND", OF_ACCOUNT,
      .help = "command whose first line of output is the password" },

    { .name = "tls", .group = "TLS", FLAG, O(tls), .help = "TLS from the start" },
    { .name = "starttls", .group = "TLS", FLAG, O(starttls), .help = "STARTTLS before the first line" },
    { .name = "tls_certcheck", .group = "TLS", SWITCH, OF_ACCOUNT,
      .help = "off: accept whatever certificate the server has" },
    { .name = "tls_trust_file", .group = "TLS", .type = OPTION_FILE, ARGV, .arg = "FILE", OF_ACCOUNT,
      .help = "certificates to trust" },
    { .name = "tls_fingerprint", .group = "TLS", .type = OPTION_TEXT, ARGV, .arg = "SHA256", OF_ACCOUNT,
      .help = "accept exactly this certificate, or key with sha256-spki:" },
    { .name = "tls_host_override", .group = "TLS", .type = OPTION_TEXT, ARGV, .arg = "HOST", OF_ACCOUNT,
      .help = "the name the certificate must have" },
    { .name = "tls_cert_file", .group = "TLS", .type = OPTION_FILE, ARGV, .arg = "FILE", OF_ACCOUNT,
      .help = "our own certificate" },
    { .name = "tls_key_file", .group = "TLS", .type = OPTION_FILE, ARGV, .arg = "FILE", OF_ACCOUNT,
      .help = "its private key" },
    { .name = "tls_priorities", .group = "TLS", .type = OPTION_TEXT, ARGV, .arg = "STRING", OF_ACCOUNT,
      .help = "GnuTLS priority string" },

    { .name = "set", .group = "Script", .type = OPTION_LIST, .flags = OPTION_IN_ARGV | OPTION_MULTI,
      .arg = "NAME=VALUE", O(set), .help = "what $NAME stands for in the script" },
    { .name = "diagnose", .group = "Output", SWITCH, OF_ACCOUNT, .help = "find out why there was no connection" },
    { .name = "transcript", .group = "Output", .type = OPTION_FILE, ARGV, .arg = "FILE", O(transcript),
      .help = "append the dialogue to a file, too" },
};

static struct option_table table(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

struct run {
    struct arguments arguments;
    struct talk_options opt;
    struct settings said;  /* of the account's table */
    struct rc rc;
    struct account account;
    struct route route;
    struct hub hub;
    struct credentials credentials;
    struct show_text text, copy;
    struct script_vars vars;
    size_t operands;       /* taken so far */
};

/* ---- the server ---- */

static bool say(struct run *r, const char *name, const char *value, struct err *e)
{
    const struct option *o = option_by_name(account_options(), name, strlen(name));
    return settings_say(&r->said, o, value, ORIGIN_COMMAND_LINE, NULL, e);
}

/* What was said of rows that are an account's. */
static bool say_rows(struct run *r, struct err *e)
{
    const struct settings *s = &r->arguments.said[0];

    for (size_t i = 0; i < s->table.n; i++)
        for (size_t j = 0; s->table.rows[i].at == OPTION_BY_HAND && j < s->v[i].values.n; j++)
            if (!say(r, s->table.rows[i].name, s->v[i].values.v[j], e))
                return false;
    return true;
}

/* "host", "host:25", "[::1]:25", "::1" or "/path". */
static bool say_server(struct run *r, const char *where, struct err *e)
{
    const char *colon = strrchr(where, ':'), *end = where + strlen(where);
    long long port;
    bool has_port = colon && (where[0] == '[' ? colon[-1] == ']' : strchr(where, ':') == colon);

    if (where[0] == '/')
        return say(r, "socket", where, e);
    if (has_port && !ascii_number(colon + 1, 1, 65535, &port))
        return err_set(e, FAULT_USAGE, "'%s' is no port", colon + 1);
    if (!say(r, "port", has_port ? colon + 1 : r->opt.tls ? "465" : "25", e))
        return false;
    if (has_port)
        end = colon;
    if (where[0] == '[' && end[-1] == ']')
        where++, end--;
    char *host = xstrndup(where, (size_t)(end - where));
    bool ok = say(r, "host", host, e) && say(r, "mx", "off", e);
    free(host);
    return ok;
}

static bool find_server(struct run *r, struct err *e)
{
    const struct strlist *operands = &r->arguments.operands;
    bool named = r->opt.account_name || r->opt.pipe || settings_text(&r->arguments.said[0], "socket");

    if (r->opt.account_name && r->opt.pipe)
        return err_set(e, FAULT_USAGE, "--account and --pipe do not go together");
    if (r->opt.pipe)
        return say(r, "host", "localhost", e) && say(r, "port", "25", e);
    if (named)
        return true;
    if (operands->n == 0) {
        err_set(e, FAULT_USAGE, "there is no server to talk to");
        return err_hint(e, "name one, as in 'envoi talk mail.example.org:25', or an account with -a");
    }
    return say_server(r, operands->v[r->operands++], e);
}

/* Who names a server or a user on the command line needs no 'auth' for a login by hand. */
static bool choose_account(struct run *r, struct err *e)
{
    const struct rc_params params = { .user_file = r->opt.file, .no_files = !r->opt.account_name };
    const struct rc_account *chosen = NULL;

    if (!say_rows(r, e) || !find_server(r, e))
        return false;
    if (r->opt.tls && r->opt.starttls)
        return err_set(e, FAULT_USAGE, "--tls and --starttls do not go together");
    if (r->opt.tls || r->opt.starttls)
        if (!say(r, "tls", "on", e) || !say(r, "tls_starttls", r->opt.starttls ? "on" : "off", e))
            return false;
    if (!rc_load(&r->rc, &params, e))
        return false;
    if (r->opt.account_name && !(chosen = rc_choose(&r->rc, r->opt.account_name, NULL, e)))
        return false;
    bool ok = account_bind(&r->account, chosen, &r->said, e);
    cmd_warn(&r->rc.warnings);
    return ok;
}

/* ---- the script ---- */

static bool set_variables(struct run *r, struct err *e)
{
    for (size_t i = 0; i < r->opt.set.n; i++) {
        const char *equals = strchr(r->opt.set.v[i], '=');
        if (!equals || !script_is_name(r->opt.set.v[i], (size_t)(equals - r->opt.set.v[i]))) {
            err_set(e, FAULT_USAGE, "'%s' does not set a variable", r->opt.set.v[i]);
            return err_hint(e, "write --set=NAME=VALUE; a name is letters, digits and '_'");
        }
        char *name = xstrndup(r->opt.set.v[i], (size_t)(equals - r->opt.set.v[i]));
        if (ascii_line_safe(equals + 1, strlen(equals + 1)))
            script_set(&r->vars, name, equals + 1);
        else
            err_set(e, FAULT_USAGE, "a CR or LF in the value of '%s'", name);
        free(name);
    }
    return !err_is_set(e);
}

static struct script *load(struct run *r, struct err *e)
{
    const struct strlist *operands = &r->arguments.operands;
    const char *path = r->operands < operands->n ? operands->v[r->operands++] : "-";
    bool standard = strcmp(path, "-") == 0;
    struct buf text = BUF_INIT;
    struct script *s = NULL;
    bool ok = false;

    if (r->operands < operands->n)
        err_set(e, FAULT_USAGE, "'%s' is one script too many", operands->v[r->operands]);
    else if (standard)
        ok = file_read_fd(STDIN_FILENO, TALK_SCRIPT_MAX, &text, e);
    else
        ok = file_read(path, TALK_SCRIPT_MAX, &text, FAULT_NO_INPUT, e);
    if (ok)
        s = talk_compile(standard ? "standard input" : path, text.data, text.len, &r->vars, e);
    buf_free(&text);
    return s;
}

static bool says_starttls(const struct script_step *s)
{
    if (s->op == &talk_client_line)
        return ascii_istarts(s->line, "STARTTLS");
    return s->op->word && ascii_ieq(s->op->word, "starttls");
}

/* Does the script leave STARTTLS to us? */
static bool lacks_starttls(const struct script *s)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (says_starttls(&s->v[i]))
            return false;
    return true;
}

/* ---- the run ---- */

static bool listen_to_events(struct run *r, bool terminal, struct err *e)
{
    if (!terminal) {
        r->text = (struct show_text){ .out = stdout, .content = true };
        show_text_open(&r->text, &r->hub);
    }
    if (!r->opt.transcript)
        return true;
    int fd = file_open_append(r->opt.transcript, e);
    if (fd < 0)
        return false;
    r->copy = (struct show_text){ .out = fdopen(fd, "a"), .content = true };
    show_text_open(&r->copy, &r->hub);
    return true;
}

static bool play(struct run *r, const struct talk_params *p, const struct script *s, bool *mismatch, struct err *e)
{
    struct player *player = player_new(p);
    struct task *task = player_task(player);
    int number = 0;

    for (size_t i = 0; i < r->vars.names.n; i++)
        script_set(player_vars(player), r->vars.names.v[i], r->vars.values.v[i]);
    player_play(player, s);
    if (!loop_run(&task, 1, &number))
        deliver_interrupted(number, e);
    *mismatch = player_mismatch(player, e);
    player_free(player);
    return !err_is_set(e);
}

static bool talk(struct run *r, bool *mismatch, struct err *e)
{
    bool terminal = false;
    struct script *s = NULL;

    settings_init(&r->said, account_options());
    if (!settings_bind(&r->arguments.said[0], false, &r->opt, e) || !set_variables(r, e) || !choose_account(r, e))
        return false;
    terminal = r->operands == r->arguments.operands.n && isatty(STDIN_FILENO);
    if (!terminal && !(s = load(r, e)))
        return false;
    struct talk_params params = { .account = &r->account, .credentials = &r->credentials, .hub = &r->hub,
                                  .stays = terminal };
    bool ok = route_find(&r->route, &r->account, e) && listen_to_events(r, terminal, e);
    if (ok && r->opt.pipe && !strlist_words(&r->route.v[0].command, r->opt.pipe))
        ok = err_set(e, FAULT_USAGE, "'--pipe' has a quote that does not end, or no word at all");
    if (ok) {
        struct hop *hop = &r->route.v[0];
        params.hop = hop;
        params.tls = hop->tls == SESSION_TLS_IMPLICIT;
        params.starttls = hop->tls == SESSION_TLS_REQUIRED &&
                          (r->opt.starttls || (r->opt.account_name && lacks_starttls(s)));
        ok = terminal ? talk_terminal(&params, &r->vars, e) : play(r, &params, s, mismatch, e);
        if (!*mismatch) {
            postmortem(&r->account, hop, USEC_NEVER, e);
            hint_add(e);
        }
    }
    script_free(s);
    return ok;
}

/* An expectation that did not hold is an answer, not a failure of ours. */
static int tell_mismatch(struct err *e)
{
    fprintf(stderr, "%s talk: %s\n", program_invocation_short_name, e->text);
    err_clear(e);
    return TALK_MISMATCH;
}

static int run(int argc, char *const *argv)
{
    struct run r = { 0 };
    struct err e = ERR_INIT;
    bool mismatch = false;

    hub_init(&r.hub);
    if (cmd_arguments(&r.arguments, &command_talk, argc, argv, &e)) {
        credentials_init(&r.credentials, &r.account, &r.hub, USEC_NEVER);
        talk(&r, &mismatch, &e);
        credentials_mask(&r.credentials, &e);
        credentials_free(&r.credentials);
        settings_unbind(table(), &r.opt);
        settings_free(&r.said);
    }
    if (r.copy.out)
        fclose(r.copy.out);
    route_free(&r.route);
    account_free(&r.account);
    rc_free(&r.rc);
    script_vars_free(&r.vars);
    cmd_arguments_free(&r.arguments);
    hub_free(&r.hub);
    return mismatch ? tell_mismatch(&e) : cmd_end(&e);
}

const struct command command_talk = {
    .name = "talk",
    .synopsis = "[OPTION…] HOST[:PORT] [SCRIPT]",
    .help = "Talk to a mail server by a script, or by hand",
    .options = { table, cmd_help_option },
    .run = run,
};
