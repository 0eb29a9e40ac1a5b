/* probe_cmdline: swaks's dialect. One or two dashes, every name of an option or its unique beginning, --no-OPTION,
 * --option=value or the next argument, --h-NAME VALUE for a header; the same in a file and in the environment. It knows
 * names, not what they mean. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/strlist.h"
#include "cmd/probe_said.h"
#include "conf/settings.h"

#define VARIABLE "SWAKS_OPT_"

/* ---- what was said ---- */

void said_init(struct probe_options *p, struct option_table t, size_t foreign)
{
    *p = (struct probe_options){ .table = t, .foreign = foreign, .input = BUF_INIT, .chain_fd = -1 };
    p->taken_back = xcalloc(t.n ? t.n : 1, sizeof *p->taken_back);
}

static void saying_free(struct saying *s)
{
    if (s->o->flags & OPTION_SECRET)
        secret_free(s->value);
    else
        free(s->value);
    free(s->origin);
}

void said_free(struct probe_options *p)
{
    for (size_t i = 0; i < p->n; i++)
        saying_free(&p->v[i]);
    free(p->v);
    free(p->taken_back);
    free(p->target);
    buf_free(&p->input);
    *p = (struct probe_options){ .input = BUF_INIT, .chain_fd = -1 };
}

static void forget(struct probe_options *p, const struct option *o)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].o == o)
            saying_free(&p->v[i]);
        else
            p->v[kept++] = p->v[i];
    p->n = kept;
}

static void add_dashed(struct buf *out, const char *name)
{
    for (; *name; name++)
        buf_addc(out, *name == '_' ? '-' : *name);
}

/* The account's rows are named without dashes, a probe's with them. */
static void add_with_dashes(struct buf *out, const struct option *o, const char *text)
{
    size_t n = strlen(o->name);
    bool named = text[0] == '\'' && strncmp(text + 1, o->name, n) == 0 && text[n + 1] == '\'';
    if (named) {
        buf_adds(out, "'--");
        add_dashed(out, o->name);
        text += n + 1;
    }
    buf_adds(out, text);
}

bool said_add(struct probe_options *p, const struct option *o, const char *value, const char *origin, struct err *e)
{
    union option_value ignored;
    struct err why = ERR_INIT;
    if (*value && o->type != OPTION_FLAG && !option_value(o, value, &ignored, FAULT_USAGE, &why)) {
        struct buf text = BUF_INIT;
        if (strcmp(origin, ORIGIN_COMMAND_LINE) != 0)
            buf_printf(&text, "%s: ", origin);
        add_with_dashes(&text, o, why.text);
        err_set(e, FAULT_USAGE, "%s", text.data);
        buf_free(&text);
        if (why.hint)
            err_hint(e, "%s", why.hint);
        err_clear(&why);
        return false;
    }
    if (!(o->flags & OPTION_MULTI))
        forget(p, o);
    if (p->n == p->cap)
        p->v = xrealloc(p->v, (p->cap = p->cap * 2 + 16) * sizeof *p->v);
    p->v[p->n++] = (struct saying){ o, xstrdup(value), xstrdup(origin) };
    p->taken_back[o - p->table.rows] = false;
    return true;
}

void said_take_back(struct probe_options *p, const struct option *o)
{
    forget(p, o);
    p->taken_back[o - p->table.rows] = true;
}

static const struct option *row(const struct probe_options *p, const char *name)
{
    const struct option *o = option_by_name(p->table, name, strlen(name));
    if (!o)
        abort(); /* a name in our own code */
    return o;
}

struct saying *said_last(const struct probe_options *p, const char *name)
{
    const struct option *o = row(p, name);
    for (size_t i = p->n; i-- > 0;)
        if (p->v[i].o == o)
            return &p->v[i];
    return NULL;
}

bool said_no(const struct probe_options *p, const char *name)
{
    return p->taken_back[row(p, name) - p->table.rows];
}

bool said_flag(const struct probe_options *p, const char *name)
{
    return said_last(p, name) != NULL;
}

const char *said_text(const struct probe_options *p, const char *name)
{
    const struct saying *s = said_last(p, name);
    return s && *s->value ? s->value : NULL;
}

bool said_is(const struct saying *s, const char *name)
{
    return s->o->name && strcmp(s->o->name, name) == 0;
}

bool said_wrong(const struct saying *s, struct err *e, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    if (strcmp(s->origin, ORIGIN_COMMAND_LINE) != 0)
        buf_printf(&text, "%s: ", s->origin);
    buf_adds(&text, "'--");
    add_dashed(&text, s->o->name);
    buf_adds(&text, "' ");
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(e, FAULT_USAGE, "%s", text.data);
    buf_free(&text);
    return false;
}

/* ---- names ---- */

struct match {
    const struct option *o;
    bool no; /* --no-OPTION */
    size_t several;
};

/* The i-th name of a row: its own, its letter, then the others. false: no more. */
static bool name_of(const struct option *o, size_t i, const char **name, size_t *len)
{
    const char *also = o->also ? o->also : "";
    *name = i == 0 ? o->name : &o->letter;
    *len = i > 0 ? o->letter != 0 : o->name ? strlen(o->name) : 0;
    for (size_t k = 1; k < i; k++) {
        also += strspn(also, " ");
        *name = also;
        *len = strcspn(also, " ");
        also += *len;
    }
    return i < 2 || *len > 0;
}

/* Case counts: -s is the server, -S is silence. */
static bool begins(const char *name, size_t name_len, const char *word, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (i == name_len || (name[i] == '_' ? '-' : name[i]) != (word[i] == '_' ? '-' : word[i]))
            return false;
    return true;
}

/* Every row of [from, to) with a name that the word is, or (unless whole) begins. */
static void look(const struct probe_options *p, size_t from, size_t to, const char *word, size_t len, bool whole,
                 bool no, struct match *m)
{
    for (size_t i = from; i < to; i++) {
        const struct option *o = &p->table.rows[i];
        const char *name;
        size_t n;
        for (size_t k = 0; name_of(o, k, &name, &n); k++) {
            if (!n || (whole && n != len) || !begins(name, n, word, len))
                continue;
            m->several += m->o != o || m->no != no;
            m->o = o;
            m->no = no;
            break;
        }
    }
}

static void look_both(const struct probe_options *p, size_t from, size_t to, const char *word, size_t len, bool whole,
                      struct match *m)
{
    look(p, from, to, word, len, whole, false, m);
    if (len > 3 && begins("no-", 3, word, 3) && !(whole && m->o))
        look(p, from, to, word + 3, len - 3, whole, true, m);
}

/* Whole names go before beginnings, and swaks's options before ours. */
static struct match find(const struct probe_options *p, const char *word, size_t len)
{
    struct match m = { 0 };
    look_both(p, 0, p->table.n, word, len, true, &m);
    if (!m.o)
        look_both(p, 0, p->foreign, word, len, false, &m);
    if (!m.o)
        look_both(p, p->foreign, p->table.n, word, len, false, &m);
    return m;
}

/* "h-Subject" or "header-Subject:": the header's name; NULL: it is not of this kind. */
static const char *header_name(const char *word, size_t len, size_t *name_len)
{
    static const char *const forms[] = { "h-", "header-" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t n = strlen(forms[i]);
        if (len <= n || strncmp(word, forms[i], n) != 0)
            continue;
        *name_len = len - n - (word[len - 1] == ':');
        return *name_len && !memchr(word + n, ':', *name_len) ? word + n : NULL;
    }
    return NULL;
}

/* ---- saying ---- */

struct reader {
    struct probe_options *p;
    const char *origin;
    struct err *e;
};

static bool wrong(const struct reader *r, const char *word, size_t len, const char *what)
{
    bool here = strcmp(r->origin, ORIGIN_COMMAND_LINE) == 0;
    return err_set(r->e, FAULT_USAGE, "%s%s'%.*s' %s", here ? "" : r->origin, here ? "" : ": ", (int)len, word, what);
}

static bool unknown(const struct reader *r, const char *word, size_t len)
{
    char *name = xstrndup(word, len);
    const char *near = option_nearest(r->p->table, name);
    struct buf dashed = BUF_INIT;
    wrong(r, word, len, "is no option");
    if (near) {
        add_dashed(&dashed, near);
        err_hint(r->e, "did you mean '--%s'?", dashed.data);
    } else {
        err_hint(r->e, "--help lists the options");
    }
    buf_free(&dashed);
    free(name);
    return false;
}

static bool ambiguous(const struct reader *r, const char *word, size_t len)
{
    struct buf list = BUF_INIT;
    for (size_t i = 0; i < r->p->table.n; i++) {
        struct match m = { 0 };
        look(r->p, i, i + 1, word, len, false, false, &m);
        if (m.o) {
            buf_adds(&list, list.len ? ", --" : "--");
            add_dashed(&list, m.o->name);
        }
    }
    wrong(r, word, len, "is not unique");
    if (list.len)
        err_hint(r->e, "it begins %s", list.data);
    buf_free(&list);
    return false;
}

static bool say_header(const struct reader *r, const char *name, size_t len, const char *value)
{
    struct buf line = BUF_INIT;
    buf_add(&line, name, len);
    buf_printf(&line, ": %s", value);
    bool ok = said_add(r->p, option_by_name(r->p->table, "header", 6), line.data, r->origin, r->e);
    buf_free(&line);
    return ok;
}

/* Is the next argument this option's value? One that may go without does not take what looks like an option. */
static bool takes_next(const struct option *o, const char *next)
{
    bool may_lack = (o->flags & OPTION_VALUE_OPTIONAL) || probe_asks(o);
    return next && (!may_lack || next[0] != '-' || !next[1]);
}

static bool say(const struct reader *r, struct match m, const char *word, size_t len, const char *value)
{
    if (m.no || m.o->type == OPTION_FLAG) {
        if (value && *value) {
            wrong(r, word, len, "takes no value");
            return !(m.o->flags & OPTION_SECRET) && err_hint(r->e, "there is '%s'", value);
        }
        if (m.no)
            said_take_back(r->p, m.o);
        return m.no || said_add(r->p, m.o, "", r->origin, r->e);
    }
    if ((!value || !*value) && !(m.o->flags & OPTION_VALUE_OPTIONAL) && !probe_asks(m.o)) {
        wrong(r, word, len, "needs a value");
        return err_hint(r->e, "write --%.*s %s", (int)len, word, m.o->arg);
    }
    return said_add(r->p, m.o, value ? value : "", r->origin, r->e);
}

/* word: the option without its dashes; value: what stands behind it, NULL: nothing, and then `next` may be it (*eaten).
 * */
static bool option(const struct reader *r, const char *word, size_t len, const char *value, const char *next,
                   bool *eaten)
{
    size_t name_len;
    const char *header = header_name(word, len, &name_len);
    if (header) {
        *eaten = !value && next;
        if (!value && !next)
            return wrong(r, word, len, "needs a value");
        return say_header(r, header, name_len, value ? value : next);
    }
    if (len > 3 && strncmp(word, "no-", 3) == 0 && header_name(word + 3, len - 3, &name_len)) {
        said_take_back(r->p, option_by_name(r->p->table, "header", 6));
        return true;
    }
    struct match m = len ? find(r->p, word, len) : (struct match){ 0 };
    if (!m.o)
        return unknown(r, word, len);
    if (m.several > 1)
        return ambiguous(r, word, len);
    if (!value && !m.no && m.o->type != OPTION_FLAG && takes_next(m.o, next)) {
        value = next;
        *eaten = true;
    }
    return say(r, m, word, len, value);
}

/* An option's name and a value that is surely its own: of a file or the environment. */
static bool pair(const struct reader *r, const char *word, size_t len, const char *value)
{
    bool eaten;
    return option(r, word, len, value, NULL, &eaten);
}

bool probe_cmdline(struct probe_options *p, int argc, char *const *argv, struct err *e)
{
    const struct reader r = { p, ORIGIN_COMMAND_LINE, e };
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        size_t dashes = strncmp(arg, "--", 2) == 0 ? 2 : arg[0] == '-';
        if (!dashes || !arg[dashes]) {
            err_set(e, FAULT_USAGE, "'%s' is no option", arg);
            return err_hint(e, "all that is said is said with an option, as in --to %s",
                            *arg == '-' ? "you@example.org" : arg);
        }
        const char *word = arg + dashes;
        size_t len = strcspn(word, "="), said_before = p->n;
        bool eaten = false;
        if (!option(&r, word, len, word[len] ? word + len + 1 : NULL, i + 1 < argc ? argv[i + 1] : NULL, &eaten))
            return false;
        bool secret = p->n && p->n >= said_before && (p->v[p->n - 1].o->flags & OPTION_SECRET);
        if (secret && (eaten || word[len])) {
            char *at = eaten ? argv[i + 1] : argv[i] + dashes + len + 1;
            memset(at, '*', strlen(at)); /* whoever lists processes sees no password */
        }
        i += eaten;
    }
    return true;
}

/* A line is an option, its dashes optional, and behind the first blank its value, as it stands. '#' at the beginning is
 * a comment. */
static bool rc_line(const struct reader *r, const char *line, size_t n)
{
    if (n && line[n - 1] == '\r')
        n--;
    if (!n || *line == '#')
        return true;
    char *text = xstrndup(line, n);
    char *word = text + (text[0] == '-') + (text[0] == '-' && text[1] == '-');
    size_t len = strcspn(word, " \t"), name = strcspn(word, "=");
    char *value = word[len] ? word + len + 1 : NULL;
    if (name < len)
        len = name, value = word + name + 1;
    bool ok = len ? pair(r, word, len, value) : wrong(r, text, n, "is no option");
    secret_free(text);
    return ok;
}

bool probe_rc(struct probe_options *p, const char *file, const char *text, size_t n, struct err *e)
{
    int number = 1;
    for (const char *end = text + n; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((newline ? newline : end) - text);
        char *origin = xasprintf("%s:%d", file, number);
        bool ok = memchr(text, 0, len) ? err_set(e, FAULT_USAGE, "%s: there is a NUL in this line", origin)
                                       : rc_line(&(struct reader){ p, origin, e }, text, len);
        free(origin);
        if (!ok)
            return false;
        text += len + 1;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool probe_environment(struct probe_options *p, char *const *environment, struct err *e)
{
    struct strlist said = STRLIST_INIT;
    for (char *const *v = environment; v && *v; v++)
        if (strncmp(*v, VARIABLE, strlen(VARIABLE)) == 0 && strchr(*v, '='))
            strlist_add(&said, *v);
    if (said.n)
        qsort(said.v, said.n, sizeof *said.v, by_name);
    bool ok = true;
    for (size_t i = 0; ok && i < said.n; i++) {
        size_t len = strcspn(said.v[i], "=");
        char *word = xstrndup(said.v[i] + strlen(VARIABLE), len - strlen(VARIABLE));
        char *origin = xstrndup(said.v[i], len);
        const char *value = said.v[i] + len + 1;
        for (char *c = word; *c; c++)
            if (*c == '_')
                *c = '-';
        ok = pair(&(struct reader){ p, origin, e }, word, strlen(word), *value ? value : NULL);
        free(word);
        free(origin);
    }
    for (size_t i = 0; i < said.n; i++)
        explicit_bzero(said.v[i], strlen(said.v[i]));
    strlist_free(&said);
    return ok;
}
