/* script: a dialogue made into steps. Whatever can be wrong with a script is found here, before anything is played. */
#include "smtp/script.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

enum { GROUPS_MAX = 10 }; /* $1 to $9, and the whole */

/* ---- variables ---- */

static size_t find_var(const struct script_vars *v, const char *name, size_t n)
{
    size_t i = 0;
    while (i < v->names.n && (strncmp(v->names.v[i], name, n) != 0 || v->names.v[i][n] != '\0'))
        i++;
    return i;
}

void script_set(struct script_vars *v, const char *name, const char *value)
{
    size_t i = find_var(v, name, strlen(name));
    if (i == v->names.n) {
        strlist_add(&v->names, name);
        strlist_add(&v->values, value);
        return;
    }
    free(v->values.v[i]);
    v->values.v[i] = xstrdup(value);
}

const char *script_get(const struct script_vars *v, const char *name)
{
    size_t i = find_var(v, name, strlen(name));
    return i < v->names.n ? v->values.v[i] : NULL;
}

void script_vars_free(struct script_vars *v)
{
    strlist_free(&v->names);
    strlist_free(&v->values);
}

static bool in_name(char c)
{
    return ascii_isalnum(c) || c == '_';
}

bool script_is_name(const char *name, size_t n)
{
    if (n == 0 || ascii_isdigit(name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!in_name(name[i]))
            return false;
    return true;
}

/* The name behind the dollar at text[0] ("$" for "$$"); *whole: octets of all of it. 0: this dollar is nothing but
 * a dollar. */
static size_t reference(const char *text, size_t n, const char **name, size_t *whole)
{
    bool braces = n > 1 && text[1] == '{';
    const char *start = text + 1 + braces;
    size_t room = n - 1 - braces, len = 0;

    *name = start;
    if (n > 1 && text[1] == '$')
        return *whole = 2, 1;
    while (len < room && in_name(start[len]))
        len++;
    if (len > 1 && !braces && ascii_isdigit(start[0])) /* $12 is $1 and a 2 */
        len = 1;
    if (braces && (len == room || start[len] != '}'))
        return 0;
    *whole = 1 + len + 2 * braces;
    return len;
}

void script_expand(const struct script *s, const struct script_vars *v, const char *text, size_t n, struct buf *out)
{
    const char *end = text + n, *name;
    size_t len, whole;

    while (s->variables && text < end) {
        const char *dollar = memchr(text, '$', (size_t)(end - text));
        if (!dollar)
            break;
        buf_add(out, text, (size_t)(dollar - text));
        len = reference(dollar, (size_t)(end - dollar), &name, &whole);
        size_t i = len > 0 && *name != '$' ? find_var(v, name, len) : v->names.n;
        if (len == 0)
            whole = 1;
        if (len == 0 || *name == '$')
            buf_addc(out, '$');
        else if (i < v->names.n)
            buf_adds(out, v->values.v[i]);
        text = dollar + whole;
    }
    buf_add(out, text, (size_t)(end - text));
}

bool script_assign(const struct script *s, const struct script_step *step, struct script_vars *v)
{
    struct buf value = BUF_INIT;

    script_expand(s, v, step->octets.data, step->octets.len, &value);
    bool ok = value.len <= SCRIPT_VALUE_MAX;
    if (ok)
        script_set(v, step->words.v[0], value.data);
    buf_free(&value);
    return ok;
}

/* ---- expectations ---- */

static bool match_pattern(const struct script_step *step, struct script_vars *v, const char *line)
{
    regmatch_t groups[GROUPS_MAX];

    if (regexec(step->pattern, line, GROUPS_MAX, groups, 0) != 0)
        return false;
    for (size_t i = 1; i <= step->pattern->re_nsub && i < GROUPS_MAX; i++) {
        bool there = groups[i].rm_so >= 0;
        char *value = there ? xstrndup(line + groups[i].rm_so, (size_t)(groups[i].rm_eo - groups[i].rm_so))
                            : xstrdup("");
        script_set(v, (const char[]){ (char)('0' + i), '\0' }, value);
        free(value);
    }
    return true;
}

bool script_match(const struct script *s, const struct script_step *step, struct script_vars *v, const char *line)
{
    struct buf beginning = BUF_INIT;

    if (step->pattern)
        return match_pattern(step, v, line);
    script_expand(s, v, step->line, strlen(step->line), &beginning);
    bool matches = strncmp(line, beginning.data, beginning.len) == 0;
    buf_free(&beginning);
    return matches;
}

static bool add_pattern(struct script_step *s, struct err *e)
{
    size_t n = strlen(s->line);
    char why[128];

    if (n < 2 || s->line[0] != '/' || s->line[n - 1] != '/')
        return true;
    char *text = xstrndup(s->line + 1, n - 2);
    s->pattern = xcalloc(1, sizeof *s->pattern);
    int failed = regcomp(s->pattern, text, REG_EXTENDED);
    if (failed) {
        regerror(failed, s->pattern, why, sizeof why);
        err_set(e, FAULT_CONFIG, "'%.60s' is no regular expression: %s", text, why);
        free(s->pattern);
        s->pattern = NULL;
    }
    free(text);
    return !failed;
}

/* ---- arguments ---- */

static bool parse_seconds(struct script_step *s, const char *text, struct err *e)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds >= 0 && seconds <= 1e6))
        return err_set(e, FAULT_CONFIG, "'@%s' wants a number of seconds, not '%.60s'", s->op->word, text);
    s->time = (usec)(seconds * USEC_PER_SEC);
    return true;
}

/* A number, and what stands behind it. */
static bool parse_count(struct script_step *s, const char *text, struct err *e)
{
    bool alone = s->op->argument == SCRIPT_COUNT;
    size_t n = strcspn(text, " \t");

    s->count = -1;
    if (alone && !*text)
        return true;
    char *number = xstrndup(text, n);
    if (!ascii_number(number, 0, INT64_MAX, &s->count))
        err_set(e, FAULT_CONFIG, "'@%s' wants a number, not '%.60s'", s->op->word, number);
    free(number);
    text += n + strspn(text + n, " \t");
    if (alone && *text)
        err_set(e, FAULT_CONFIG, "'@%s' takes one argument", s->op->word);
    return !err_is_set(e) && (!*text || dialogue_unquote(text, &s->octets, e));
}

static bool parse_variable(struct script_step *s, const char *text, struct err *e)
{
    size_t n = strcspn(text, " \t");

    if (!script_is_name(text, n)) {
        err_set(e, FAULT_CONFIG, "'@%s' wants a name and a value, not '%.60s'", s->op->word, text);
        return err_hint(e, "a name is letters, digits and '_', and does not begin with a digit");
    }
    strlist_addn(&s->words, text, n);
    if (!dialogue_unquote(text + n + strspn(text + n, " \t"), &s->octets, e))
        return false;
    if (!ascii_line_safe(s->octets.data, s->octets.len))
        return err_set(e, FAULT_CONFIG, "a CR, LF or NUL in the value of '%s'", s->words.v[0]);
    return true;
}

static bool parse_argument(struct script_step *s, const char *text, struct err *e)
{
    switch (s->op->argument) {
    case SCRIPT_LINE:
        return add_pattern(s, e);
    case SCRIPT_NONE:
        return !*text || err_set(e, FAULT_CONFIG, "'@%s' takes no argument", s->op->word);
    case SCRIPT_SECONDS:
        return parse_seconds(s, text, e);
    case SCRIPT_OCTETS:
        return dialogue_unquote(text, &s->octets, e);
    case SCRIPT_COUNT:
    case SCRIPT_COUNT_OCTETS:
        return parse_count(s, text, e);
    case SCRIPT_WORDS:
        strlist_split(&s->words, text, " \t");
        return true;
    case SCRIPT_NAME_OCTETS:
        return parse_variable(s, text, e);
    }
    return false;
}

/* ---- steps ---- */

static const struct script_op *find_op(const struct script_params *p, const char *word, struct err *e)
{
    struct strlist words = STRLIST_INIT;
    const struct script_op *op = p->ops;

    for (; op->word && !ascii_ieq(op->word, word); op++)
        strlist_add(&words, op->word);
    if (!op->word) {
        const char *near = ascii_nearest(word, (const char *const *)words.v);
        err_set(e, FAULT_CONFIG, "'@%.60s' is no directive of %s", word, p->whose);
        if (near)
            err_hint(e, "did you mean '@%s'?", near);
    }
    strlist_free(&words);
    return op->word ? op : NULL;
}

static bool add_step(struct script *sc, const struct script_params *p, const struct dialogue_line *line, struct err *e)
{
    struct script_step *s = &sc->v[sc->n];

    *s = (struct script_step){ .line = line->text, .number = line->number, .octets = BUF_INIT };
    switch (line->kind) {
    case DIALOGUE_NOTE: return true;
    case DIALOGUE_SERVER: s->op = p->server; break;
    case DIALOGUE_CLIENT: s->op = p->client; break;
    case DIALOGUE_DIRECTIVE: s->op = find_op(p, line->word, e); break;
    }
    if (!s->op)
        return false;
    sc->n++;
    return parse_argument(s, line->text, e);
}

/* What is wrong stands behind the file and the line. */
static bool at_line(const struct script *sc, int number, struct err *why, struct err *e)
{
    err_set(e, FAULT_CONFIG, "%s:%d: %s", sc->name, number, why->text);
    if (why->hint)
        err_hint(e, "%s", why->hint);
    err_clear(why);
    return false;
}

static void lone_end(const struct script *sc, const struct script_params *p, int number, struct err *e)
{
    struct buf beginnings = BUF_INIT;

    for (const struct script_op *op = p->ops; op->word; op++)
        if (op->block == SCRIPT_OPENS)
            buf_printf(&beginnings, "%s'@%s'", beginnings.len > 0 ? " or " : "", op->word);
    err_set(e, FAULT_CONFIG, "%s:%d: '@end' without %s", sc->name, number, beginnings.data);
    buf_free(&beginnings);
}

static void lone_beginning(const struct script *sc, const struct script_step *s, struct err *e)
{
    err_set(e, FAULT_CONFIG, "%s:%d: '@%s' without '@end'", sc->name, s->number, s->op->word);
}

/* Each block's beginning with its @end. */
static bool pair_up(struct script *sc, const struct script_params *p, struct err *e)
{
    size_t *open = xcalloc(sc->n + 1, sizeof *open), depth = 0;
    struct script_step *s = sc->v;

    for (; s < sc->v + sc->n; s++) {
        if (s->op->block == SCRIPT_OPENS) {
            open[depth++] = (size_t)(s - sc->v);
        } else if (s->op->block == SCRIPT_CLOSES) {
            if (depth == 0)
                break;
            s->partner = open[--depth];
            sc->v[s->partner].partner = (size_t)(s - sc->v);
        }
    }
    if (s < sc->v + sc->n)
        lone_end(sc, p, s->number, e);
    else if (depth > 0)
        lone_beginning(sc, &sc->v[open[depth - 1]], e);
    free(open);
    return !err_is_set(e);
}

/* ---- the check of variables ---- */

static void add_names(const struct script *sc, const struct script_params *p, struct strlist *names)
{
    size_t groups = 0;

    for (size_t i = 0; p->vars && i < p->vars->names.n; i++)
        strlist_add(names, p->vars->names.v[i]);
    for (const struct script_step *s = sc->v; s < sc->v + sc->n; s++) {
        if (s->op->argument == SCRIPT_NAME_OCTETS)
            strlist_add(names, s->words.v[0]);
        if (s->pattern && s->pattern->re_nsub > groups)
            groups = s->pattern->re_nsub;
    }
    for (size_t i = 1; i <= groups && i < GROUPS_MAX; i++)
        strlist_add(names, (const char[]){ (char)('0' + i), '\0' });
}

static bool check_references(const struct strlist *names, const char *text, size_t n, struct err *e)
{
    const char *end = text + n, *name;
    size_t whole;

    while ((text = memchr(text, '$', (size_t)(end - text)))) {
        size_t len = reference(text, (size_t)(end - text), &name, &whole);
        char *word = xstrndup(name, len);
        bool known = len == 0 || *name == '$' || strlist_has(names, word);
        if (!known) {
            const char *near = ascii_nearest(word, (const char *const *)names->v);
            err_set(e, FAULT_CONFIG, "nothing sets '$%s'", word);
            err_hint(e, near ? "did you mean '$%s'?" : "a dollar is written '$$' in a script with variables", near);
        }
        free(word);
        if (!known)
            return false;
        text += len > 0 ? whole : 1;
    }
    return true;
}

static bool check_variables(struct script *sc, const struct script_params *p, struct err *e)
{
    struct strlist names = STRLIST_INIT;
    struct err why = ERR_INIT;
    bool ok = true;

    add_names(sc, p, &names);
    sc->variables = names.n > 0;
    for (const struct script_step *s = sc->v; ok && sc->variables && s < sc->v + sc->n; s++) {
        bool whole = s->op->argument == SCRIPT_LINE || s->op->argument == SCRIPT_WORDS;
        const char *text = whole ? s->line : s->octets.data;
        ok = s->pattern || check_references(&names, text, whole ? strlen(text) : s->octets.len, &why);
        if (!ok)
            at_line(sc, s->number, &why, e);
    }
    strlist_free(&names);
    return ok;
}

static bool compile(struct script *sc, const struct script_params *p, struct err *e)
{
    struct err why = ERR_INIT;

    sc->v = xcalloc(sc->dialogue.n + 1, sizeof *sc->v);
    for (size_t i = 0; i < sc->dialogue.n; i++)
        if (!add_step(sc, p, &sc->dialogue.v[i], &why))
            return at_line(sc, sc->dialogue.v[i].number, &why, e);
    return pair_up(sc, p, e) && check_variables(sc, p, e);
}

struct script *script_compile(const struct script_params *p, const char *text, size_t n, struct err *e)
{
    struct script *sc = xcalloc(1, sizeof *sc);

    sc->name = xstrdup(p->name);
    if (dialogue_parse(&sc->dialogue, p->name, text, n, p->plain, e) && compile(sc, p, e))
        return sc;
    script_free(sc);
    return NULL;
}

void script_free(struct script *sc)
{
    if (!sc)
        return;
    for (struct script_step *s = sc->v; sc->v && s < sc->v + sc->n; s++) {
        buf_free(&s->octets);
        strlist_free(&s->words);
        if (s->pattern)
            regfree(s->pattern);
        free(s->pattern);
    }
    free(sc->v);
    free(sc->name);
    dialogue_free(&sc->dialogue);
    free(sc);
}
