/* password: `envoi password`: the passwords of accounts in the desktop's keyring. A secret comes from the terminal
 * or standard input, never from the command line, and is never shown. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/keyring.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "send/credentials.h"

enum { PASSWORD_MAX = 64 << 10 }; /* octets; tokens may be long */

struct password_options {
    char *file;
    bool set, show_presence, remove, key;
};

static const struct option rows[] = {
#define P(member) .at = offsetof(struct password_options, member)
    { .name = "set", .group = "Keyring", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off", P(set),
      .help = "store the password; from standard input where that is no terminal (the default)" },
    { .name = "show_presence", .group = "Keyring", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off",
      P(show_presence), .help = "say whether there is one, without reading it" },
    { .name = "remove", .group = "Keyring", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off", P(remove),
      .help = "remove it" },
    { .name = "key", .group = "Keyring", .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off", P(key),
      .help = "the password of the encrypted tls_key_file instead" },
    { .name = "file", .letter = 'C', .group = "Keyring", .type = OPTION_FILE, .flags = OPTION_IN_ARGV,
      .arg = "FILE", P(file), .help = "read this file instead of the user's own" },
#undef P
};

static struct option_table password_table(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

/* ---- the secret ---- */

static bool read_stdin(struct buf *secret, struct err *e)
{
    if (!file_read_fd(STDIN_FILENO, PASSWORD_MAX, secret, e))
        return false;
    if (secret->len > 0 && secret->data[secret->len - 1] == '\n')
        buf_cut(secret, secret->len - 1);
    if (secret->len == 0)
        return err_set(e, FAULT_NO_INPUT, "there is no password on standard input");
    if (strcspn(secret->data, "\r\n") == secret->len)
        return true;
    err_set(e, FAULT_USAGE, "what is on standard input is no password: it has to be one line of text");
    return err_hint(e, "printf '%%s\\n' \"$password\" | envoi password ACCOUNT");
}

static bool ask(const char *prompt, struct buf *secret, struct err *e)
{
    const struct secret_params p = { .may_prompt = true, .prompt = prompt };
    struct err why = ERR_INIT;
    enum secret_status status = secret_from_terminal(&p, secret, &why);
    if (status == SECRET_NONE)
        err_set(e, FAULT_USAGE, "there is no terminal to ask for the password on");
    err_move(e, &why);
    return status == SECRET_FOUND;
}

static bool ask_twice(const struct secret_params *p, struct buf *secret, struct err *e)
{
    struct buf again = BUF_SECRET_INIT;
    char *prompt = p->key_file ? xasprintf("password of the private key %s: ", p->key_file)
                               : xasprintf("password for %s at %s: ", p->user, p->host);
    bool ok = ask(prompt, secret, e) && ask("the same again: ", &again, e);
    if (ok && (secret->len != again.len || memcmp(secret->data, again.data, again.len) != 0))
        ok = err_set(e, FAULT_USAGE, "the two passwords differ; nothing was stored");
    free(prompt);
    buf_free(&again);
    return ok;
}

/* ---- what is done ---- */

/* "'me' at 'smtp.example.org'": whose password. */
static void name_entry(const struct secret_params *p, struct buf *out)
{
    if (p->key_file)
        buf_printf(out, "the private key '%s'", p->key_file);
    else
        buf_printf(out, "'%s' at '%s'", p->user, p->host);
}

static bool set(const struct secret_params *p, const char *name, struct err *e)
{
    struct buf secret = BUF_SECRET_INIT;
    bool ok = (isatty(STDIN_FILENO) ? ask_twice(p, &secret, e) : read_stdin(&secret, e)) &&
              keyring_store(p, &secret, e);
    buf_free(&secret);
    if (ok)
        printf("the keyring has the password for %s\n", name);
    return ok;
}

static bool missing(const char *name, struct err *e)
{
    return err_set(e, FAULT_AUTH, "the keyring has no password for %s", name);
}

static bool show_presence(const struct secret_params *p, const char *name, struct err *e)
{
    struct keyring_entry entry;
    struct err why = ERR_INIT;
    enum secret_status status = keyring_look(p, &entry, &why);
    if (status == SECRET_NONE)
        missing(name, e);
    err_move(e, &why);
    if (status == SECRET_FOUND)
        printf("the keyring has the password for %s%s%s\n", name, entry.own ? "" : ", stored by another program",
               entry.locked ? ", and is locked" : "");
    return status == SECRET_FOUND;
}

static bool remove_entry(const struct secret_params *p, const char *name, struct err *e)
{
    struct keyring_entry other;
    struct err ignored = ERR_INIT;
    switch (keyring_remove(p, e)) {
    case SECRET_FOUND:
        printf("the keyring has forgotten the password for %s\n", name);
        break;
    case SECRET_NONE:
        missing(name, e);
        break;
    case SECRET_ERROR:
        return false;
    }
    if (keyring_look(p, &other, &ignored) == SECRET_FOUND)
        fprintf(stderr, "%s: warning: the keyring still has one that another program stored; remove it there\n",
                program_invocation_short_name);
    err_clear(&ignored);
    return !err_is_set(e);
}

static bool check(const struct password_options *opt, const struct secret_params *p, const char *account, struct err *e)
{
    if (opt->set + opt->show_presence + opt->remove > 1)
        return err_set(e, FAULT_USAGE, "only one of --set, --show-presence and --remove can be done");
    if (opt->key && !p->key_file) {
        err_set(e, FAULT_CONFIG, "the account%s%s has no private key", account ? " " : "", account ? account : "");
        return err_hint(e, "'tls_key_file' names it");
    }
    if (!opt->key && !p->user) {
        err_set(e, FAULT_CONFIG, "the account%s%s has no user name to store a password for",
                account ? " " : "", account ? account : "");
        return err_hint(e, "set 'user', or say --user=NAME");
    }
    return true;
}

static bool act(const struct password_options *opt, const struct settings *said, const char *account, struct err *e)
{
    struct rc rc = RC_INIT;
    struct account a = { 0 };
    const struct rc_params params = { .user_file = opt->file, .no_files = rc_names_server(said) };
    const struct rc_account *chosen = NULL;
    bool ok = rc_load(&rc, &params, e) && (params.no_files || (chosen = rc_choose(&rc, account, NULL, e)) != NULL);
    if (ok) {
        ok = account_bind(&a, chosen, said, e);
        cmd_warn(&rc.warnings);
        cmd_warn(&a.warnings);
    }
    if (ok) {
        const struct secret_params p = opt->key ? credentials_key_params(&a) : credentials_params(&a);
        struct buf name = BUF_INIT;
        ok = check(opt, &p, a.name, e);
        if (ok) {
            name_entry(&p, &name);
            ok = (opt->remove ? remove_entry : opt->show_presence ? show_presence : set)(&p, name.data, e);
        }
        buf_free(&name);
    }
    account_free(&a);
    rc_free(&rc);
    return ok;
}

static int run(int argc, char *const *argv)
{
    struct arguments a;
    struct password_options opt = { 0 };
    struct err e = ERR_INIT;
    bool ok = cmd_arguments(&a, &command_password, argc, argv, &e) && settings_bind(&a.said[0], false, &opt, &e);
    if (ok && a.operands.n > 1) { /* quite possibly the password: it is not repeated */
        err_set(&e, FAULT_USAGE, "'password' takes one account");
        err_hint(&e, "the password itself is asked for, or read from standard input");
    } else if (ok) {
        act(&opt, &a.said[1], a.operands.n ? a.operands.v[0] : NULL, &e);
    }
    settings_unbind(password_table(), &opt);
    cmd_arguments_free(&a);
    return cmd_end(&e);
}

const struct command command_password = {
    .name = "password",
    .synopsis = "[--set | --show-presence | --remove] [--key] [OPTION…] [ACCOUNT]",
    .help = "Store a password in the keyring, or say whether it is there, or remove it",
    .options = { password_table, account_options, cmd_help_option },
    .run = run,
};
