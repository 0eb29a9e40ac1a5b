/* rc: the lines of a configuration file. Knows the grammar and the option table; files are opened in rc_files.c. */
#include "conf/rc.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "conf/account.h"
#include "conf/rc_reader.h"

enum { EXCERPT_MAX = 100 };

/* A line taken apart; all borrowed but value. */
struct line {
    const char *text; /* without its line end */
    size_t len;
    const char *word;
    size_t word_len;
    const char *arg; /* raw argument: at the end of the line when there is none */
    size_t arg_len;
    bool secret; /* the argument is not shown */
    struct buf value; /* the argument without quotes and escapes */
};

static size_t characters(const char *s, const char *end)
{
    size_t n = 0;
    for (; s < end; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* "    the line\n    ^", cut to what fits around the caret; a secret argument is "***". */
static void add_excerpt(struct buf *out, const struct line *l, const char *at)
{
    const char *start = l->text, *end = l->secret ? l->arg : l->text + l->len;
    if (at > end)
        at = end;
    if (characters(start, at) > EXCERPT_MAX * 3 / 4)
        start = at - EXCERPT_MAX / 2;
    while (start < at && ((unsigned char)*start & 0xc0) == 0x80)
        start++;
    if (end - start > EXCERPT_MAX)
        end = start + EXCERPT_MAX;
    while (end < l->text + l->len && ((unsigned char)*end & 0xc0) == 0x80)
        end++;
    buf_adds(out, "\n    ");
    for (const char *p = start; p < end; p++)
        buf_addc(out, *p == '\t' ? ' ' : (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p);
    buf_adds(out, l->secret && l->arg_len ? "***" : "");
    buf_adds(out, "\n    ");
    for (size_t i = characters(start, at); i > 0; i--)
        buf_addc(out, ' ');
    buf_addc(out, '^');
}

/* Gives *inner (a sentence and perhaps a hint) its place and moves it to e. */
static bool fail_at(const struct rc_reader *r, const struct line *l, const char *at, struct err *inner, struct err *e)
{
    struct buf excerpt = BUF_INIT;
    add_excerpt(&excerpt, l, at);
    err_set(e, inner->fault, "%s:%d:%zu: %s%s", r->name, r->line, characters(l->text, at) + 1, inner->text,
            excerpt.data);
    if (inner->hint)
        err_hint(e, "%s", inner->hint);
    err_clear(inner);
    buf_free(&excerpt);
    return false;
}

__attribute__((format(printf, 6, 7))) static bool wrong(const struct rc_reader *r, const struct line *l, const char *at,
                                                        struct err *e, const char *hint, const char *fmt, ...)
{
    struct err inner = ERR_INIT;
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(&inner, FAULT_CONFIG, "%s", text.data);
    buf_free(&text);
    if (hint)
        err_hint(&inner, "%s", hint);
    return fail_at(r, l, at, &inner, e);
}

static void warn(struct rc_reader *r, const char *what)
{
    strlist_add_own(&r->rc->warnings, xasprintf("%s:%d: %s", r->name, r->line, what));
}

static void account_init(struct rc_account *a)
{
    *a = (struct rc_account){ 0 };
    settings_init(&a->settings, account_options());
}

static void add_eval(struct rc_account *a, const char *command, const char *origin, unsigned order)
{
    a->evals = xrealloc(a->evals, (a->evals_n + 1) * sizeof *a->evals);
    a->evals[a->evals_n++] = (struct rc_eval){ .command = xstrdup(command), .origin = xstrdup(origin), .order = order };
}

static void copy_evals(struct rc_account *to, const struct rc_account *from, unsigned later)
{
    for (size_t i = 0; i < from->evals_n; i++)
        add_eval(to, from->evals[i].command, from->evals[i].origin, from->evals[i].order + later);
}

static void inherit(struct rc_account *to, const struct rc_account *from)
{
    copy_evals(to, from, to->settings.order);
    settings_overlay(&to->settings, &from->settings);
}

/* What `defaults` gave to an account is not passed on to those that inherit from it: where they stand others may
 * hold. */
static void mark_defaults(struct rc_account *a)
{
    for (size_t i = 0; i < a->settings.table.n; i++)
        a->settings.v[i].from_defaults = a->settings.v[i].set;
    for (size_t i = 0; i < a->evals_n; i++)
        a->evals[i].from_defaults = true;
}

/* The system file's defaults do not stand in the user's file, so of its accounts everything is inherited. */
static void inherit_base(struct rc_account *to, const struct rc_account *base)
{
    struct rc_account said = { 0 };
    settings_copy(&said.settings, &base->settings);
    bool everything = base->system != to->system;
    for (size_t i = 0; i < base->settings.table.n && !everything; i++)
        if (base->settings.v[i].from_defaults)
            settings_forget(&said.settings, i);
    for (size_t i = 0; i < base->evals_n; i++)
        if (everything || !base->evals[i].from_defaults)
            add_eval(&said, base->evals[i].command, base->evals[i].origin, base->evals[i].order);
    inherit(to, &said);
    rc_account_free(&said);
}

void rc_account_free(struct rc_account *a)
{
    settings_free(&a->settings);
    for (size_t i = 0; i < a->evals_n; i++) {
        free(a->evals[i].command);
        free(a->evals[i].origin);
    }
    free(a->evals);
    free(a->name);
    free(a->file);
    *a = (struct rc_account){ 0 };
}

void rc_reader_init(struct rc_reader *r, struct rc *rc, bool msmtp, bool system)
{
    *r = (struct rc_reader){ .rc = rc, .msmtp = msmtp, .system = system };
    account_init(&r->defaults);
    settings_init(&r->own, account_options());
}

static void end_account(struct rc_reader *r)
{
    if (!r->in_account)
        return;
    settings_overlay(&r->account.settings, &r->own);
    settings_free(&r->own);
    settings_init(&r->own, account_options());
    struct rc *rc = r->rc;
    if (rc->n == rc->cap) {
        rc->cap = rc->cap ? 2 * rc->cap : 8;
        rc->v = xrealloc(rc->v, rc->cap * sizeof *rc->v);
    }
    rc->v[rc->n++] = r->account;
    r->account = (struct rc_account){ 0 };
    r->in_account = false;
}

static void begin_account(struct rc_reader *r, const char *name, size_t len)
{
    end_account(r);
    account_init(&r->account);
    r->account.name = xstrndup(name, len);
    r->account.msmtp = r->msmtp;
    r->account.system = r->system;
    r->account.file = xstrdup(r->name);
    r->account.line = r->line;
    r->in_account = true;
    r->in_defaults = false;
    inherit(&r->account, &r->defaults);
    mark_defaults(&r->account);
}

bool rc_names_server(const struct settings *s)
{
    const char *mx = settings_text(s, "mx");
    return settings_text(s, "host") || settings_text(s, "socket") || (mx && option_switch(mx) == 1);
}

/* A file that says what to do and names no account means its only one. */
void rc_reader_end(struct rc_reader *r)
{
    end_account(r);
    bool reachable = rc_names_server(&r->defaults.settings);
    for (size_t i = 0; i < r->rc->n; i++)
        if (r->rc->v[i].system == r->system)
            return;
    if (r->msmtp || (!reachable && !r->defaults.evals_n))
        return;
    begin_account(r, "default", strlen("default"));
    end_account(r);
}

void rc_reader_free(struct rc_reader *r)
{
    rc_account_free(&r->defaults);
    if (r->in_account)
        rc_account_free(&r->account);
    settings_free(&r->own);
}

/* Of this file's level, else of the system's. */
static const struct rc_account *find_base(const struct rc_reader *r, const char *name)
{
    const struct rc_account *found = NULL;
    for (size_t i = 0; i < r->rc->n; i++)
        if (strcmp(r->rc->v[i].name, name) == 0 && (!found || r->rc->v[i].system == r->system))
            found = &r->rc->v[i];
    return found;
}

static bool add_base(struct rc_reader *r, const struct line *l, const char *at, size_t len, struct err *e)
{
    char *name = xstrndup(at, len);
    const struct rc_account *base = find_base(r, name);
    bool ok = base != NULL;
    if (ok) {
        inherit_base(&r->account, base);
    } else {
        const char **names = xcalloc(r->rc->n + 1, sizeof *names);
        for (size_t i = 0; i < r->rc->n; i++)
            names[i] = r->rc->v[i].name;
        const char *near = ascii_nearest(name, names);
        char *hint = near ? xasprintf("did you mean '%s'?", near)
                          : xstrdup("an account must stand above those that inherit from it");
        wrong(r, l, at, e, hint, "there is no account '%s' to inherit from", name);
        free(hint);
        free(names);
    }
    free(name);
    return ok;
}

/* account NAME [: BASE[, BASE…]] */
static bool do_account(struct rc_reader *r, const struct line *l, struct err *e)
{
    bool quoted = l->arg_len >= 2 && l->arg[0] == '"' && l->arg[l->arg_len - 1] == '"';
    const char *p = l->arg + quoted, *end = l->arg + l->arg_len - quoted, *name = p;
    while (p < end && *p != ':' && !ascii_isblank(*p))
        p++;
    size_t len = (size_t)(p - name);
    end_account(r);
    if (!len) {
        begin_account(r, "?", 1); /* where errors are collected, the lines below still belong somewhere */
        return wrong(r, l, name, e, "write 'account NAME', or 'account default'", "the account has no name");
    }
    for (size_t i = 0; i < r->rc->n; i++) {
        const struct rc_account *other = &r->rc->v[i];
        if (other->system == r->system && strlen(other->name) == len && memcmp(other->name, name, len) == 0) {
            char *hint = xasprintf("the first is at %s:%d", other->file, other->line);
            wrong(r, l, name, e, hint, "a second account '%s'", other->name);
            free(hint);
            begin_account(r, name, len);
            return false;
        }
    }
    begin_account(r, name, len);
    while (p < end && ascii_isblank(*p))
        p++;
    if (p < end && *p != ':')
        return wrong(r, l, p, e, "write 'account NAME' or 'account NAME : BASE'", "text after the account's name");
    while (p < end) {
        for (p++; p < end && ascii_isblank(*p);) /* behind the colon or comma */
            p++;
        const char *base = p;
        while (p < end && *p != ',')
            p++;
        const char *last = p;
        while (last > base && ascii_isblank(last[-1]))
            last--;
        if (last == base)
            return wrong(r, l, base, e, "write 'account NAME : BASE'", "the name of an account is missing");
        if (!add_base(r, l, base, (size_t)(last - base), e))
            return false;
    }
    return true;
}

static bool do_defaults(struct rc_reader *r, const struct line *l, struct err *e)
{
    (void)l, (void)e;
    end_account(r);
    r->in_defaults = true;
    return true;
}

static bool do_include(struct rc_reader *r, const struct line *l, struct err *e)
{
    if (!l->value.len)
        return wrong(r, l, l->arg, e, "write 'include FILE'", "the file's name is missing");
    const char *name = r->name;
    const struct rc_file *file = r->file;
    int line = r->line;
    struct err inner = ERR_INIT;
    bool ok = rc_include(r, l->value.data, &inner);
    r->name = name;
    r->file = file;
    r->line = line;
    if (ok)
        return true;
    if (inner.text && strchr(inner.text, '\n')) { /* has its own place, inside the file included */
        err_move(e, &inner);
        return false;
    }
    return fail_at(r, l, l->arg, &inner, e);
}

/* Where a line's option is said. Lines of an msmtp file that stand before any `account` or `defaults` make an account
 * named default. */
static struct settings *current(struct rc_reader *r)
{
    if (r->msmtp && !r->in_account && !r->in_defaults && !r->options_only)
        begin_account(r, "default", strlen("default"));
    return r->in_account || r->options_only ? &r->own : &r->defaults.settings;
}

static bool do_eval(struct rc_reader *r, const struct line *l, struct err *e)
{
    if (!l->value.len)
        return wrong(r, l, l->arg, e, "write 'eval COMMAND'", "the command is missing");
    struct settings *s = current(r);
    struct rc_account *a = r->in_account ? &r->account : &r->defaults;
    unsigned order = ++s->order + (r->in_account ? a->settings.order : 0);
    char *origin = xasprintf("%s:%d", r->name, r->line);
    add_eval(a, l->value.data, origin, order);
    free(origin);
    return true;
}

static const struct directive {
    const char *word;
    bool raw; /* quotes are not taken off */
    bool (*run)(struct rc_reader *r, const struct line *l, struct err *e);
} directives[] = {
    { "account", true, do_account }, { "defaults", true, do_defaults }, { "include", false, do_include },
    { "eval", false, do_eval },
};

static const struct directive *find_directive(const struct rc_reader *r, const struct line *l)
{
    for (size_t i = 0; !r->options_only && i < sizeof directives / sizeof *directives; i++)
        if (strlen(directives[i].word) == l->word_len && ascii_ieqn(directives[i].word, l->word, l->word_len))
            return &directives[i];
    return NULL;
}

/* In envoi's files: \" \\ \t \n. */
static bool unescape(const struct rc_reader *r, struct line *l, const char **p, struct err *e)
{
    static const char from[] = "\"\\tn", to[] = "\"\\\t\n";
    const char *found = (*p)[1] ? strchr(from, (*p)[1]) : NULL;
    if (*p + 1 >= l->arg + l->arg_len || !found)
        return wrong(r, l, *p, e, "inside quotes \\\", \\\\, \\t and \\n are known; write \\\\ for a backslash",
                     "unknown escape");
    buf_addc(&l->value, to[found - from]);
    ++*p;
    return true;
}

/* msmtp: one pair of quotes around the whole is taken off, and that is all. */
static bool take_value(const struct rc_reader *r, struct line *l, struct err *e)
{
    const char *p = l->arg, *end = l->arg + l->arg_len;
    bool pair = l->arg_len >= 2 && *p == '"' && end[-1] == '"';
    if (r->msmtp || !l->arg_len || *p != '"') {
        buf_add(&l->value, p + (r->msmtp && pair), l->arg_len - (r->msmtp && pair ? 2 : 0));
        return true;
    }
    for (p++; p < end && *p != '"'; p++) {
        if (*p != '\\')
            buf_addc(&l->value, *p);
        else if (!unescape(r, l, &p, e))
            return false;
    }
    if (p >= end)
        return wrong(r, l, l->arg, e, "end it with \", or put \\\" for a quote that belongs to it",
                     "the quote is not closed");
    if (p + 1 < end)
        return wrong(r, l, p + 1, e, "write \\\" for a quote inside quotes", "text after the closing quote");
    return true;
}

/* "password=…" as other files have it: the value is told from the word, so that it is not shown where it is secret. */
static bool split_assignment(struct line *l)
{
    size_t n = 0;
    while (n < l->word_len && l->word[n] != '=' && l->word[n] != ':')
        n++;
    if (n == l->word_len)
        return false;
    l->word_len = n;
    l->arg = l->word + n + 1;
    l->arg_len = (size_t)(l->text + l->len - l->arg);
    return true;
}

static bool unknown(const struct rc_reader *r, struct line *l, struct err *e)
{
    bool assigned = split_assignment(l);
    char *word = xstrndup(l->word, l->word_len);
    const char *near = option_nearest(account_options(), word);
    const char *words[sizeof directives / sizeof *directives + 1] = { 0 };
    for (size_t i = 0; i < sizeof directives / sizeof *directives; i++)
        words[i] = directives[i].word;
    const char *near_directive = ascii_nearest(word, words);
    const struct option *o = near ? option_by_name(account_options(), near, strlen(near)) : NULL;
    l->secret = ascii_istarts(word, "pass") || (o && (o->flags & OPTION_SECRET)); /* a misspelt password is still one */
    if (near_directive)
        near = near_directive;
    char *hint = assigned && near ? xasprintf("write it as '%s VALUE', with a blank between", near)
                 : near           ? xasprintf("did you mean '%s'?", near)
                                  : xstrdup("envoi-config(5) lists the commands");
    wrong(r, l, l->word, e, hint, "unknown command '%s%.1s'", word, assigned ? l->arg - 1 : "");
    free(hint);
    free(word);
    return false;
}

static bool say(struct rc_reader *r, struct line *l, const struct option *o, struct err *e)
{
    const char *why;
    if (l->secret && l->value.len && !rc_file_is_private(r, &why)) {
        if (!r->system) {
            char *hint = xasprintf("make it yours alone: chmod 600 %s; or use 'passwordeval' or the keyring", r->name);
            wrong(r, l, l->word, e, hint, "'%s' in a file that %s", o->name, why);
            free(hint);
            return false;
        }
        warn(r, "a secret in a file that others may read");
    }
    struct settings *s = current(r);
    if (r->msmtp && (o->flags & OPTION_MULTI))
        settings_forget(s, (size_t)(o - s->table.rows)); /* in msmtp the last one counts */
    char *origin = xasprintf("%s:%d", r->name, r->line), *warning = NULL;
    struct err inner = ERR_INIT;
    bool optional = o->type == OPTION_FLAG || (o->flags & OPTION_VALUE_OPTIONAL);
    bool ok = settings_say(s, o, l->value.len || !optional ? l->value.data : NULL, origin, &warning, &inner);
    /* msmtp takes its old spellings silently, and cron would mail us each time */
    if (warning && (!r->msmtp || r->keep_going))
        warn(r, warning);
    free(warning);
    free(origin);
    return ok || fail_at(r, l, l->arg, &inner, e);
}

static bool read_words(struct rc_reader *r, struct line *l, struct err *e)
{
    const struct directive *directive = find_directive(r, l);
    const struct option *o = option_by_name(account_options(), l->word, l->word_len);
    if (o && !(o->flags & OPTION_IN_FILE))
        o = NULL;
    if (!directive && !o)
        return unknown(r, l, e);
    l->secret = o && (o->flags & OPTION_SECRET);
    if (!(directive && directive->raw) && !take_value(r, l, e))
        return false;
    if (directive)
        return directive->run(r, l, e);
    return say(r, l, o, e);
}

static bool read_line(struct rc_reader *r, const char *text, size_t n, struct err *e)
{
    struct line l = { .text = text, .len = n, .value = BUF_SECRET_INIT };
    const char *p = text, *end = text + n;
    while (end > p && (ascii_isblank(end[-1]) || end[-1] == '\r'))
        end--;
    while (p < end && ascii_isblank(*p))
        p++;
    if (p == end || *p == '#')
        return true;
    l.word = p;
    while (p < end && !ascii_isblank(*p))
        p++;
    l.word_len = (size_t)(p - l.word);
    while (p < end && ascii_isblank(*p))
        p++;
    l.arg = p;
    l.arg_len = (size_t)(end - p);
    const char *nul = memchr(text, '\0', n);
    l.secret = nul != NULL;
    bool ok = nul ? wrong(r, &l, nul, e, "is this a text file?", "the line holds a NUL") : read_words(r, &l, e);
    buf_free(&l.value);
    return ok;
}

bool rc_read_text(struct rc_reader *r, const char *name, const char *text, size_t n, struct err *e)
{
    r->name = name;
    r->line = 0;
    const char *end = text + n;
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (text < end) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((eol ? eol : end) - text);
        struct err failed = ERR_INIT;
        r->line++;
        if (!read_line(r, text, len, &failed)) {
            if (!r->keep_going) {
                err_move(e, &failed);
                return false;
            }
            strlist_add_own(&r->rc->errors, xasprintf("%s%s%s", failed.text, failed.hint ? "\n  hint: " : "",
                                                      failed.hint ? failed.hint : ""));
            err_clear(&failed);
        }
        text = eol ? eol + 1 : end;
    }
    return true;
}

bool rc_parse(struct rc *rc, const char *name, const char *text, size_t n, bool msmtp, struct err *e)
{
    struct rc_reader r;
    rc_reader_init(&r, rc, msmtp, false);
    bool ok = rc_read_text(&r, name, text, n, e);
    rc_reader_end(&r);
    rc_reader_free(&r);
    return ok;
}

void rc_free(struct rc *rc)
{
    for (size_t i = 0; i < rc->n; i++)
        rc_account_free(&rc->v[i]);
    free(rc->v);
    strlist_free(&rc->files);
    strlist_free(&rc->looked);
    strlist_free(&rc->warnings);
    strlist_free(&rc->errors);
    *rc = (struct rc)RC_INIT;
}
