/* aliases: the text of an aliases file into rows, and an address along them. Included files are read when they are
 * reached. */
#include "mail/aliases.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/file.h"
#include "mail/address.h"

static const char include_word[] = ":include:";

/* ---- the text ---- */

struct parser {
    const char *file;
    int line;
    const char *start, *end; /* of the line */
    struct err *e;
};

/* A piece of the line, blanks at its ends taken off. */
struct piece {
    const char *p;
    size_t n;
};

__attribute__((format(printf, 4, 5))) static bool wrong(const struct parser *ps, const char *at, const char *hint,
                                                        const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    size_t column = 1;
    for (const char *p = ps->start; p < at; p++)
        column += ((unsigned char)*p & 0xc0) != 0x80;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    err_set(ps->e, FAULT_CONFIG, "%s:%d:%zu: %s", ps->file, ps->line, column, text.data);
    buf_free(&text);
    return err_hint(ps->e, "%s", hint);
}

static struct piece trimmed(const char *p, const char *end)
{
    while (p < end && ascii_isblank(*p))
        p++;
    while (end > p && ascii_isblank(end[-1]))
        end--;
    return (struct piece){ p, (size_t)(end - p) };
}

/* Behind the quoted string that begins at p; NULL: its end is missing. */
static const char *behind_quotes(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : NULL;
}

static char *unquoted(const char *p, size_t n)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '\\' && i + 1 < n)
            buf_addc(&out, p[++i]);
        else if (p[i] != '"')
            buf_addc(&out, p[i]);
    return buf_steal(&out);
}

/* Where the first of the octets in `stop`, or a comment, stands outside quotes; the end: nowhere. NULL: quotes are not
 * closed. */
static const char *find_outside(const struct parser *ps, const char *p, const char *stop)
{
    for (const char *from = p; p < ps->end; p++) {
        if ((*p && strchr(stop, *p)) || (*p == '#' && (p == from || ascii_isblank(p[-1]))))
            return p;
        if (*p == '"') {
            const char *behind = behind_quotes(p, ps->end);
            if (!behind) {
                wrong(ps, p, "close it on the same line", "a quoted string without its end");
                return NULL;
            }
            p = behind - 1;
        } else if (*p == '\\') {
            p++;
        }
    }
    return ps->end;
}

static void add_target(const struct parser *ps, struct alias_targets *l, enum alias_kind kind, char *text, bool last)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 4;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = (struct alias_target){ kind, text, last, ps->line };
}

/* What is no address: told by how it begins. Quotes may stand around the whole or behind the beginning. */
static bool add_special(const struct parser *ps, struct piece t, struct alias_targets *l)
{
    static const struct { const char *begins; bool keeps; enum alias_kind kind; } rows[] = {
        { include_word, false, ALIAS_INCLUDE }, { "|", false, ALIAS_PIPE }, { "/", true, ALIAS_FILE },
    };
    bool quoted = *t.p == '"' && behind_quotes(t.p, t.p + t.n) == t.p + t.n;
    char *text = quoted ? unquoted(t.p, t.n) : xstrndup(t.p, t.n);
    size_t i = 0, count = sizeof rows / sizeof *rows;
    while (i < count && !ascii_istarts(text, rows[i].begins))
        i++;
    if (i < count) {
        const char *rest = rows[i].keeps ? text : text + strlen(rows[i].begins);
        struct piece inner = trimmed(rest, rest + strlen(rest));
        bool more = inner.n && *inner.p == '"' && behind_quotes(inner.p, inner.p + inner.n) == inner.p + inner.n;
        add_target(ps, l, rows[i].kind, more ? unquoted(inner.p, inner.n) : xstrndup(inner.p, inner.n), false);
    }
    free(text);
    return i < count;
}

/* An address parser takes `a: b` for a group; here it is an entry in the wrong place. */
static bool has_bare_colon(struct piece t)
{
    for (const char *p = t.p, *end = t.p + t.n; p < end; p++) {
        const char *behind = *p == '"' ? behind_quotes(p, end) : NULL;
        if (behind)
            p = behind - 1;
        else if (*p == '\\')
            p++;
        else if (*p == '[')
            while (p + 1 < end && *p != ']')
                p++;
        else if (*p == ':')
            return true;
    }
    return false;
}

/* What was added must be usable; a path depends on no working directory. */
static bool check_special(const struct parser *ps, struct piece t, const struct alias_target *added)
{
    if (added->kind == ALIAS_INCLUDE && *added->text != '/')
        return wrong(ps, t.p, "write it as :include:/etc/mail/list", "':include:' without a whole path");
    if (added->kind == ALIAS_PIPE && !*added->text)
        return wrong(ps, t.p, "take it out: commands get no mail from envoi", "a '|' without a command");
    return true;
}

static bool parse_target(const struct parser *ps, struct piece t, struct alias_targets *l)
{
    if (memchr(t.p, '\0', t.n))
        return wrong(ps, t.p, "an aliases file is plain text", "a NUL octet");
    if (add_special(ps, t, l))
        return check_special(ps, t, &l->v[l->n - 1]);
    if (has_bare_colon(t))
        return wrong(ps, t.p, "an entry begins in the first column; ':include:/file' is the only word in colons",
                     "a ':' in a target");
    bool last = *t.p == '\\' && t.n > 1;
    char *text = xstrndup(t.p + last, t.n - last), *address;
    struct err why = ERR_INIT;
    bool ok = address_parse_one(text, false, &address, &why);
    if (ok)
        add_target(ps, l, ALIAS_ADDRESS, address, last);
    else
        wrong(ps, t.p, "a target is an address, a local name or ':include:/file'; commas stand between targets", "%s",
              why.text);
    err_clear(&why);
    free(text);
    return ok;
}

static bool parse_targets(const struct parser *ps, const char *p, struct alias_targets *l)
{
    while (p < ps->end && *p != '#') {
        const char *stop = find_outside(ps, p, ",");
        if (!stop)
            return false;
        struct piece t = trimmed(p, stop);
        if (t.n && *t.p != '#' && !parse_target(ps, t, l))
            return false;
        p = stop < ps->end && *stop == ',' ? trimmed(stop + 1, ps->end).p : stop;
    }
    return true;
}

/* "name" or "name@host" into the two; quotes taken off the name. The @ is the last outside quotes, as in an address. */
static void split_name(const char *text, char **name, char **host)
{
    const char *domain = address_domain(text);
    *name = unquoted(text, domain ? (size_t)(domain - 1 - text) : strlen(text));
    *host = xstrdup(domain);
}

static bool begin_alias(struct aliases *a, const struct parser *ps, const char **rest)
{
    const char *colon = find_outside(ps, ps->start, ":");
    if (!colon)
        return false;
    struct piece name = trimmed(ps->start, colon);
    if (colon == ps->end || *colon != ':')
        return wrong(ps, colon, "write it as 'name: target, target'; a line that continues the one before begins with "
                                "a blank",
                     "no ':' behind the name");
    if (!name.n)
        return wrong(ps, colon, "write it as 'name: target, target'", "a ':' without a name");
    if (memchr(name.p, '\0', name.n))
        return wrong(ps, name.p, "an aliases file is plain text", "a NUL octet");
    for (size_t i = 0; *name.p != '"' && i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ' || name.p[i] == ',')
            return wrong(ps, name.p + i, "one name stands before the ':'; quote one that holds blanks",
                         "more than a name before the ':'");
    if (a->n == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        a->v = xrealloc(a->v, a->cap * sizeof *a->v);
    }
    struct alias *alias = &a->v[a->n];
    *alias = (struct alias){ .line = ps->line };
    char *text = xstrndup(name.p, name.n);
    split_name(text, &alias->name, &alias->host);
    free(text);
    a->n++;
    *rest = trimmed(colon + 1, ps->end).p;
    return true;
}

/* Moves on to the next line that is neither empty nor a comment. */
static bool next_line(struct parser *ps, const char **next, const char *end)
{
    while (*next < end) {
        const char *lf = memchr(*next, '\n', (size_t)(end - *next));
        ps->start = *next;
        ps->end = lf ? lf : end;
        ps->line++;
        *next = lf ? lf + 1 : end;
        while (ps->end > ps->start && ps->end[-1] == '\r')
            ps->end--;
        struct piece content = trimmed(ps->start, ps->end);
        if (content.n && *content.p != '#')
            return true;
    }
    return false;
}

/* ---- names in order ---- */

static int compare_nocase(const char *a, const char *b)
{
    while (*a && ascii_upper(*a) == ascii_upper(*b)) {
        a++;
        b++;
    }
    return (unsigned char)ascii_upper(*a) - (unsigned char)ascii_upper(*b);
}

/* No host comes before all hosts. */
static int compare_names(const struct alias *alias, const char *name, const char *host)
{
    int names = compare_nocase(alias->name, name);
    return names ? names : compare_nocase(alias->host ? alias->host : "", host ? host : "");
}

/* By name, by host, and by place in the file. */
static int compare_rows(const void *x, const void *y)
{
    const struct alias *a = *(struct alias *const *)x, *b = *(struct alias *const *)y;
    int names = compare_names(a, b->name, b->host);
    return names ? names : (a > b) - (a < b);
}

static void sort(struct aliases *a)
{
    a->sorted = xmalloc((a->n + 1) * sizeof *a->sorted);
    for (size_t i = 0; i < a->n; i++)
        a->sorted[i] = &a->v[i];
    qsort(a->sorted, a->n, sizeof *a->sorted, compare_rows);
}

/* The first in the file of that name and host. */
static struct alias *find_same(const struct aliases *a, const char *name, const char *host)
{
    size_t low = 0, high = a->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(a->sorted[middle], name, host) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->n && compare_names(a->sorted[low], name, host) == 0 ? a->sorted[low] : NULL;
}

static void warn_of(struct aliases *a, const struct alias *alias)
{
    const struct alias *counts = find_same(a, alias->name, alias->host);
    const char *at = alias->host ? "@" : "", *host = alias->host ? alias->host : "";
    if (counts != alias)
        strlist_add_own(&a->warnings, xasprintf("%s:%d: '%s%s%s' stands in line %d already, which counts", a->file,
                                                alias->line, alias->name, at, host, counts->line));
    if (alias->targets.n == 0)
        strlist_add_own(&a->warnings, xasprintf("%s:%d: '%s%s%s' goes nowhere", a->file, alias->line, alias->name, at,
                                                host));
}

bool aliases_parse(struct aliases *a, const char *file, const char *text, size_t n, struct err *e)
{
    struct parser ps = { .file = file, .e = e };
    a->file = xstrdup(file);
    for (const char *next = text; next_line(&ps, &next, text + n);) {
        const char *rest = ps.start;
        if (ascii_isblank(*ps.start) && a->n == 0)
            return wrong(&ps, ps.start, "an entry begins in the first column",
                         "nothing stands before this line that it could continue");
        if ((!ascii_isblank(*ps.start) && !begin_alias(a, &ps, &rest))
            || !parse_targets(&ps, rest, &a->v[a->n - 1].targets))
            return false;
    }
    sort(a);
    for (size_t i = 0; i < a->n; i++)
        warn_of(a, &a->v[i]);
    return true;
}

bool aliases_read(struct aliases *a, const char *path, struct err *e)
{
    struct buf text = BUF_INIT;
    bool ok = file_read(path, ALIASES_SIZE_MAX, &text, FAULT_CONFIG, e);
    if (ok)
        ok = aliases_parse(a, path, text.data, text.len, e);
    else
        err_hint(e, "the setting 'aliases' names this file");
    buf_free(&text);
    return ok;
}

static void targets_free(struct alias_targets *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].text);
    free(l->v);
}

void aliases_free(struct aliases *a)
{
    for (size_t i = 0; i < a->n; i++) {
        free(a->v[i].name);
        free(a->v[i].host);
        targets_free(&a->v[i].targets);
    }
    free(a->v);
    free(a->sorted);
    free(a->file);
    strlist_free(&a->warnings);
    *a = (struct aliases)ALIASES_INIT;
}

/* ---- the way of an address ---- */

enum mark { UNSEEN, OPEN, DONE };

/* Each alias and each included file is followed once: who was added by it is there already. */
struct walk {
    const struct aliases *a;
    const struct strlist *hosts;
    struct envelope *env;
    struct strlist *notes;
    struct err *e;
    unsigned char *marks;    /* own: enum mark of each alias */
    struct strlist trail;    /* names of the open aliases */
    struct strlist included;
    int depth;               /* of includes */
    size_t added;
};

static bool is_ours(const struct walk *w, const char *host)
{
    return !host || (w->hosts && strlist_has_nocase(w->hosts, host));
}

static struct alias *first_of(struct alias *a, struct alias *b)
{
    return !a || (b && b < a) ? b : a;
}

/* The alias of an address; the first in the file that fits counts: any of our names stands for the others. NULL:
 * none. */
static struct alias *find_alias(const struct walk *w, const char *address)
{
    char *name, *host;
    split_name(address, &name, &host);
    struct alias *found = host ? find_same(w->a, name, host) : NULL;
    if (is_ours(w, host)) {
        found = first_of(found, find_same(w->a, name, NULL));
        for (size_t i = 0; w->hosts && i < w->hosts->n; i++)
            found = first_of(found, find_same(w->a, name, w->hosts->v[i]));
    }
    bool bare = !host;
    free(name);
    free(host);
    return found || !bare ? found : find_same(w->a, "default", NULL);
}

static void add(struct walk *w, const char *address)
{
    envelope_add(w->env, address);
    w->added++;
}

static bool follow_alias(struct walk *w, const struct alias *alias);
static bool follow_targets(struct walk *w, const struct alias *from, const char *file, const struct alias_targets *l);

static bool follow(struct walk *w, const struct alias *from, const char *address)
{
    struct alias *alias = find_alias(w, address);
    unsigned char *mark = alias ? &w->marks[alias - w->a->v] : NULL;
    if (alias && *mark == OPEN && alias != from && !ascii_ieq(alias->name, "default")) {
        err_set(w->e, FAULT_CONFIG, "%s:%d: the alias '%s' leads back to itself", w->a->file, alias->line, alias->name);
        struct buf way = BUF_INIT;
        for (size_t i = 0; i < w->trail.n; i++)
            buf_printf(&way, "%s -> ", w->trail.v[i]);
        err_hint(w->e, "the way is %s%s; '\\%s' ends it there", way.data, alias->name, alias->name);
        buf_free(&way);
        return false;
    }
    if (!alias || *mark == OPEN) {
        add(w, address);
        return true;
    }
    return *mark == DONE || follow_alias(w, alias);
}

static bool follow_alias(struct walk *w, const struct alias *alias)
{
    unsigned char *mark = &w->marks[alias - w->a->v];
    if (w->trail.n == ALIASES_DEPTH_MAX) {
        err_set(w->e, FAULT_CONFIG, "%s:%d: '%s' leads through more than %d aliases to '%s'", w->a->file, alias->line,
                w->trail.v[0], ALIASES_DEPTH_MAX, alias->name);
        return err_hint(w->e, "let '%s' name its addresses itself", w->trail.v[0]);
    }
    *mark = OPEN;
    strlist_add(&w->trail, alias->name);
    bool ok = follow_targets(w, alias, w->a->file, &alias->targets);
    free(w->trail.v[--w->trail.n]);
    *mark = DONE;
    return ok;
}

static bool include_text(struct walk *w, const struct alias *from, const char *path, const struct buf *text)
{
    struct alias_targets targets = { 0 };
    struct parser ps = { .file = path, .e = w->e };
    bool ok = true;
    for (const char *next = text->data; ok && next_line(&ps, &next, text->data + text->len);)
        ok = parse_targets(&ps, trimmed(ps.start, ps.end).p, &targets);
    ok = ok && follow_targets(w, from, path, &targets);
    targets_free(&targets);
    return ok;
}

static bool include(struct walk *w, const struct alias *from, const char *file, const struct alias_target *t)
{
    if (strlist_has(&w->included, t->text))
        return true;
    if (w->depth == ALIASES_INCLUDE_DEPTH_MAX) {
        err_set(w->e, FAULT_CONFIG, "%s:%d: included files are nested more than %d deep", file, t->line,
                ALIASES_INCLUDE_DEPTH_MAX);
        return err_hint(w->e, "name the file among the targets of '%s'", from->name);
    }
    struct buf text = BUF_INIT;
    struct err why = ERR_INIT;
    strlist_add(&w->included, t->text);
    w->depth++;
    bool ok = file_read(t->text, ALIASES_SIZE_MAX, &text, FAULT_CONFIG, &why);
    if (!ok) {
        err_set(w->e, FAULT_CONFIG, "%s:%d: %s", file, t->line, why.text);
        err_hint(w->e, "whoever sends must be able to read it");
    }
    ok = ok && include_text(w, from, t->text, &text);
    w->depth--;
    err_clear(&why);
    buf_free(&text);
    return ok;
}

static bool follow_targets(struct walk *w, const struct alias *from, const char *file, const struct alias_targets *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct alias_target *t = &l->v[i];
        switch (t->kind) {
        case ALIAS_ADDRESS:
            if (t->last)
                add(w, t->text);
            else if (!follow(w, from, t->text))
                return false;
            break;
        case ALIAS_INCLUDE:
            if (!include(w, from, file, t))
                return false;
            break;
        case ALIAS_FILE:
        case ALIAS_PIPE:
            strlist_add_own(w->notes,
                            xasprintf("%s:%d: the alias '%s' names the %s '%s', which gets nothing: mail goes to "
                                      "addresses only", file,
                                      t->line, from->name, t->kind == ALIAS_FILE ? "file" : "command", t->text));
            break;
        }
    }
    return true;
}

static bool walk_from(struct walk *w, const struct alias *alias, const char *address)
{
    w->marks = xcalloc(w->a->n + 1, 1);
    bool ok = alias ? follow_alias(w, alias) : follow(w, NULL, address);
    if (ok && !alias && w->added == 0) {
        err_set(w->e, FAULT_CONFIG, "the alias of '%s' leads to no address", address);
        err_hint(w->e, "add one to its targets in %s; files and commands get no mail", w->a->file);
        ok = false;
    }
    free(w->marks);
    strlist_free(&w->trail);
    strlist_free(&w->included);
    return ok;
}

bool aliases_expand(const struct aliases *a, const struct strlist *hosts, const char *address, struct envelope *env,
                    struct strlist *notes, struct err *e)
{
    struct walk w = { .a = a, .hosts = hosts, .env = env, .notes = notes, .e = e };
    return walk_from(&w, NULL, address);
}

bool aliases_follow(const struct aliases *a, size_t i, const struct strlist *hosts, struct envelope *env,
                    struct strlist *notes, struct err *e)
{
    struct walk w = { .a = a, .hosts = hosts, .env = env, .notes = notes, .e = e };
    return walk_from(&w, &a->v[i], a->v[i].name);
}
