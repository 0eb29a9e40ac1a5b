/* sendmail: the letters that callers of sendmail write, translated into options of our own, and what mailq and
 * newaliases do.
 *
 * The name decides: no word here is ever a command. A letter that is known never fails for being there; what it
 * cannot mean is ignored. */
#include "cmd/sendmail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/cmd.h"
#include "cmd/recipients.h"
#include "cmd/version.h"
#include "conf/cmdline.h"
#include "mail/address.h"
#include "mail/aliases.h"

enum { ENVID_MAX = 100 }; /* octets of xtext, RFC 3461 4.4 */

/* ---- the letters ---- */

enum takes {
    NOTHING,
    JOINED, /* the rest of the word, which may be empty */
    VALUE,  /* the rest of the word, or the next one */
};

struct letters {
    struct run *r;
    enum sendmail_mode *mode;
    struct err *e;
};

struct letter {
    char letter;
    enum takes takes;
    bool (*take)(const struct letters *l, const char *option, const char *value); /* NULL: ignored */
    const char *option; /* for take: the option of our own it stands for */
    const char *help;
};

/* Each is parsed alone, so that no value can run into the next word. */
static bool say(const struct letters *l, const char *option, const char *value)
{
    char *word = value ? xasprintf("--%s=%s", option, value) : xasprintf("--%s", option);
    bool ok = cmdline_parse(1, &word, l->r->settings, 2, &l->r->operands, &l->r->warnings, l->e);
    free(word);
    return ok;
}

/* DSN wishes that make no sense are not worth a message. */
static bool say_if_sound(const struct letters *l, const char *option, const char *value)
{
    struct err ignored = ERR_INIT;
    const struct letters quiet = { l->r, l->mode, &ignored };
    if (*value)
        say(&quiet, option, value);
    err_clear(&ignored);
    return true;
}

/* `never` stands alone. */
static bool take_notify(const struct letters *l, const char *option, const char *value)
{
    bool contradicts = strchr(value, ',') && (ascii_icontains(value, "never") || ascii_icontains(value, "off"));
    return contradicts || say_if_sound(l, option, value);
}

/* sendmail wants the identifier as xtext, our own option as it is. */
static bool take_envid(const struct letters *l, const char *option, const char *value)
{
    struct buf id = BUF_INIT;
    bool fit = strlen(value) <= ENVID_MAX && xtext_decode(&id, value, strlen(value));
    for (size_t i = 0; i < id.len; i++)
        fit &= id.data[i] >= ' ' && id.data[i] < 0x7f;
    if (fit)
        say_if_sound(l, option, id.data);
    buf_free(&id);
    return true;
}

static bool take_tag(const struct letters *l, const char *option, const char *value)
{
    (void)option;
    free(l->r->log_tag);
    l->r->log_tag = xstrdup(value);
    return true;
}

static bool take_mode(const struct letters *l, const char *option, const char *value)
{
    static const struct { char letter; enum sendmail_mode mode; const char *refused; } rows[] = {
        { 'm', SENDMAIL_DELIVER, NULL },
        { 's', SENDMAIL_SMTP, NULL },
        { 'p', SENDMAIL_QUEUE, NULL },
        { 'i', SENDMAIL_ALIASES, NULL },
        { 'v', SENDMAIL_VERIFY, NULL },
        { 'd', 0, "envoi is no daemon: it listens nowhere" },
        { 'D', 0, "envoi is no daemon: it listens nowhere" },
        { 't', 0, "there are no rewriting rules to test" },
        { 'h', 0, "there is no host status to print" },
        { 'H', 0, "there is no host status to purge" },
        { 'a', 0, "ARPANET's mail protocol is not spoken any more" },
    };
    (void)option;
    size_t i = 0, n = sizeof rows / sizeof *rows;
    while (i < n && rows[i].letter != *value)
        i++;
    if (i == n) {
        err_set(l->e, FAULT_USAGE, "unknown mode '-b%c'", *value);
        return err_hint(l->e, "envoi-sendmail(8) lists them");
    }
    if (rows[i].refused) {
        err_set(l->e, FAULT_USAGE, "'-b%c' is not possible: %s", *value, rows[i].refused);
        return err_hint(l->e, "to take mail from the network, run a mail server");
    }
    *l->mode = rows[i].mode;
    return true;
}

static bool take_newaliases(const struct letters *l, const char *option, const char *value)
{
    (void)option;
    (void)value;
    *l->mode = SENDMAIL_ALIASES;
    return true;
}

static bool take_flush(const struct letters *l, const char *option, const char *value)
{
    (void)option;
    (void)value;
    if (*l->mode == SENDMAIL_DELIVER)
        *l->mode = SENDMAIL_FLUSH;
    return true;
}

static const struct letter rows[] = {
    { 't', NOTHING, say, "read-recipients", "recipients from To, Cc and Bcc, too" },
    { 'f', VALUE, say, "from", "envelope sender; '<>' is the null sender" },
    { 'r', VALUE, say, "from", "the same" },
    { 'F', VALUE, say, "from-full-name", "name for a From header that is missing" },
    { 'i', NOTHING, NULL, NULL, "a lone dot does not end the message (it never does)" },
    { 'b', VALUE, take_mode, NULL, "m: deliver; s: SMTP; p: list the queue; i: check the aliases; v: show recipients" },
    { 'q', JOINED, take_flush, NULL, "flush the queue" },
    { 'I', NOTHING, take_newaliases, NULL, "check the aliases, as -bi" },
    { 'N', VALUE, take_notify, "dsn-notify", "report never, or on failure, delay, success" },
    { 'R', VALUE, say_if_sound, "dsn-return", "what a report returns: hdrs or full" },
    { 'V', VALUE, take_envid, "dsn-envid", "envelope id for reports" },
    { 'v', NOTHING, say, "verbose", "show the dialogue" },
    { 'X', VALUE, say, "transcript", "append the dialogue to a file" },
    { 'L', VALUE, take_tag, NULL, "name in syslog" },
    { 'C', VALUE, say, "file", "read this file instead of the user's own" },
    { 'a', VALUE, say, "account", "send with this account" },
    { 'A', VALUE, NULL, NULL, NULL },
    { 'B', VALUE, NULL, NULL, NULL },
    { 'c', NOTHING, NULL, NULL, NULL },
    { 'D', VALUE, NULL, NULL, NULL },
    { 'd', JOINED, NULL, NULL, NULL },
    { 'E', NOTHING, NULL, NULL, NULL },
    { 'e', VALUE, NULL, NULL, NULL },
    { 'G', NOTHING, NULL, NULL, NULL },
    { 'h', VALUE, NULL, NULL, NULL },
    { 'J', NOTHING, NULL, NULL, NULL },
    { 'M', VALUE, NULL, NULL, NULL },
    { 'm', NOTHING, NULL, NULL, NULL },
    { 'n', NOTHING, NULL, NULL, NULL },
    { 'O', VALUE, NULL, NULL, NULL },
    { 'o', VALUE, NULL, NULL, NULL },
    { 'p', VALUE, NULL, NULL, NULL },
    { 'Q', JOINED, NULL, NULL, NULL },
    { 's', NOTHING, NULL, NULL, NULL },
    { 'T', NOTHING, NULL, NULL, NULL },
    { 'U', NOTHING, NULL, NULL, NULL },
    { 'x', NOTHING, NULL, NULL, NULL },
};

static const struct letter *find_letter(char c)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == c)
            return &rows[i];
    return NULL;
}

/* The letters of one word. *eaten: the next word was a value. */
static bool take_word(const struct letters *l, const char *word, const char *next, bool *eaten)
{
    for (const char *p = word + 1; *p; p++) {
        const struct letter *row = find_letter(*p);
        if (!row) {
            err_set(l->e, FAULT_USAGE, "unknown option '-%c'", *p);
            return err_hint(l->e, "envoi-sendmail(8) lists the letters");
        }
        const char *value = NULL;
        if (row->takes != NOTHING) {
            *eaten = row->takes == VALUE && !p[1] && next;
            value = *eaten ? next : p + 1;
        }
        if (row->takes == VALUE && !*eaten && !*value && row->take) {
            err_set(l->e, FAULT_USAGE, "'-%c' needs a value", *p);
            return err_hint(l->e, "-%c: %s", *p, row->help);
        }
        if (row->take && !row->take(l, row->option, value))
            return false;
        if (value)
            return true;
    }
    return true;
}

/* busybox's crond and sendmail's callers after it write `-ti oem` where `-oem` was meant. */
static bool is_stray(const char *word, const char *before)
{
    return strcmp(word, "oem") == 0 && strcmp(before, "-ti") == 0;
}

static const struct { const char *name; enum sendmail_mode mode; } names[] = {
    { "sendmail", SENDMAIL_DELIVER }, { "send-mail", SENDMAIL_DELIVER }, { "mailq", SENDMAIL_QUEUE },
    { "newaliases", SENDMAIL_ALIASES }, { NULL, 0 },
};

bool sendmail_is_name(const char *name)
{
    for (size_t i = 0; names[i].name; i++)
        if (strcmp(names[i].name, name) == 0)
            return true;
    return false;
}

static enum sendmail_mode mode_by_name(const char *path, enum sendmail_mode said)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; names[i].name; i++)
        if (strcmp(names[i].name, name) == 0 && names[i].mode != SENDMAIL_DELIVER)
            return names[i].mode;
    return said;
}

/* Some callers of sendmail pass on words that strangers wrote. None of them may become a command. */
static bool runs_nothing(const struct run *r, struct err *e)
{
    const struct option_table t = account_options();
    for (size_t i = 0; i < t.n; i++) {
        if (t.rows[i].type != OPTION_COMMAND || !r->settings[OF_ACCOUNT].v[i].set)
            continue;
        err_set(e, FAULT_USAGE, "'%s' is not taken from the command line of sendmail", t.rows[i].name);
        return err_hint(e, "write it into the configuration; before recipients from elsewhere write '--'");
    }
    return true;
}

bool sendmail_parse(struct run *r, enum sendmail_mode *mode, int argc, char *const *argv, struct err *e)
{
    const struct letters l = { r, mode, e };
    int i = 1;
    *mode = SENDMAIL_DELIVER;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        bool eaten = false, ok = true;
        char *word = argv[i];
        if (word[0] == '-' && word[1] == '-')
            ok = cmdline_parse(1, &word, r->settings, 2, &r->operands, &r->warnings, e);
        else if (word[0] == '-' && word[1])
            ok = take_word(&l, word, i + 1 < argc ? argv[i + 1] : NULL, &eaten);
        else if (!is_stray(word, argv[i - 1]))
            strlist_add(&r->operands, word);
        if (!ok)
            return false;
        i += eaten;
    }
    for (i++; i < argc; i++)
        strlist_add(&r->operands, argv[i]);
    *mode = mode_by_name(argv[0], *mode);
    return runs_nothing(r, e);
}

/* ---- the modes ---- */

/* No queue yet: what callers of mailq look for in its output, and the reason. */
static bool list_queue(struct run *r, struct err *e)
{
    (void)r;
    (void)e;
    puts("Mail queue is empty: envoi sends each message at once and keeps none");
    return true;
}

static bool flush_queue(struct run *r, struct err *e)
{
    (void)r;
    (void)e;
    return true;
}

static bool verify_one(const struct run *r, const char *address, struct err *e)
{
    struct mailbox_list asked = MAILBOX_LIST_INIT;
    struct envelope found = ENVELOPE_INIT;
    struct strlist warnings = STRLIST_INIT;
    mailbox_list_add(&asked, address);
    bool ok = recipients_resolve(&r->account, &asked, &found, &warnings, e);
    cmd_warn(&warnings);
    if (ok)
        printf("%s ->", address);
    for (size_t i = 0; ok && i < found.n; i++)
        printf("%s %s", i ? "," : "", found.rcpts[i].address);
    if (ok)
        putchar('\n');
    strlist_free(&warnings);
    mailbox_list_free(&asked);
    envelope_free(&found);
    return ok;
}

static bool verify(struct run *r, struct err *e)
{
    if (r->operands.n == 0) {
        err_set(e, FAULT_USAGE, "'-bv' without an address");
        return err_hint(e, "name those whose way is to be shown");
    }
    if (!send_choose_account(r, e))
        return false;
    struct mailbox_list named = MAILBOX_LIST_INIT;
    bool ok = true;
    for (size_t i = 0; ok && i < r->operands.n; i++)
        ok = address_parse_some(&named, r->operands.v[i], e);
    for (size_t i = 0; ok && i < named.n; i++)
        ok = verify_one(r, named.v[i].address, e);
    mailbox_list_free(&named);
    return ok;
}

/* Follows every row. What is wrong with one is printed at once; *e is the last. */
static bool check_rows(const struct aliases *a, struct err *e)
{
    struct strlist hosts = STRLIST_INIT, notes = STRLIST_INIT, told = STRLIST_INIT;
    recipients_hosts(&hosts);
    for (size_t i = 0; i < a->n; i++) {
        struct envelope found = ENVELOPE_INIT;
        struct err why = ERR_INIT;
        if (!aliases_follow(a, i, &hosts, &found, &notes, &why) && err_is_set(e))
            cmd_fail(e);
        err_move(e, &why);
        envelope_free(&found);
    }
    for (size_t i = 0; i < notes.n; i++)
        if (!strlist_has(&told, notes.v[i]))
            strlist_add(&told, notes.v[i]);
    cmd_warn(&told);
    strlist_free(&hosts);
    strlist_free(&notes);
    strlist_free(&told);
    return !err_is_set(e);
}

/* Packages run newaliases when they are installed: a machine without a configuration has nothing to check. */
static bool check_aliases(struct run *r, struct err *e)
{
    struct err why = ERR_INIT;
    bool configured = send_choose_account(r, &why);
    if (!configured && r->rc.files.n > 0) {
        err_move(e, &why);
        return false;
    }
    err_clear(&why);
    if (!configured || !r->account.aliases) {
        puts("no aliases file is configured");
        return true;
    }
    struct aliases a = ALIASES_INIT;
    bool ok = aliases_read(&a, r->account.aliases, e);
    cmd_warn(&a.warnings);
    ok = ok && check_rows(&a, e);
    if (ok)
        printf("%s: %zu aliases\n", r->account.aliases, a.n);
    aliases_free(&a);
    return ok;
}

static bool speak_smtp(struct run *r, struct err *e)
{
    return sendmail_smtp(r, e);
}

static void print_help(void)
{
    printf("usage: %s [OPTION…] [--] RECIPIENT…  < MESSAGE\n"
           "Send the message on standard input, as sendmail does; envoi-sendmail(8) tells all\n\n",
           program_invocation_short_name);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && rows[i].help; i++)
        printf("  -%c %-6s %s\n", rows[i].letter, rows[i].takes == VALUE ? "VALUE" : "", rows[i].help);
    fputs("\nIgnored:", stdout);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!rows[i].help)
            printf(" -%c", rows[i].letter);
    fputs("\nThe long options of envoi are taken as well, with their value behind '='.\n", stdout);
}

int sendmail_run(int argc, char *const *argv)
{
    static bool (*const modes[])(struct run *, struct err *) = {
        [SENDMAIL_DELIVER] = send_message, [SENDMAIL_SMTP] = speak_smtp,      [SENDMAIL_QUEUE] = list_queue,
        [SENDMAIL_FLUSH] = flush_queue,    [SENDMAIL_ALIASES] = check_aliases, [SENDMAIL_VERIFY] = verify,
    };
    struct run r;
    struct err e = ERR_INIT;
    enum sendmail_mode mode;
    int status = 0;
    send_init(&r);
    bool ok = sendmail_parse(&r, &mode, argc, argv, &e) && send_bind(&r, &e);
    cmd_warn(&r.warnings);
    if (ok && r.opt.help)
        print_help();
    else if (ok && r.opt.version)
        version_print();
    else if (!ok || !modes[mode](&r, &e))
        status = send_fail(&r, &e);
    send_free(&r);
    return status;
}
