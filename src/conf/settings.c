/* settings: text with origin, laid over each other, and bound to a struct by the rows of a table. */
#include "conf/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

static void values_free(const struct option *o, struct strlist *values)
{
    if (o->flags & OPTION_SECRET)
        for (size_t i = 0; i < values->n; i++)
            explicit_bzero(values->v[i], strlen(values->v[i]));
    strlist_free(values);
}

void settings_init(struct settings *s, struct option_table t)
{
    *s = (struct settings){ .table = t, .v = xcalloc(t.n ? t.n : 1, sizeof *s->v) };
}

void settings_forget(struct settings *s, size_t i)
{
    values_free(&s->table.rows[i], &s->v[i].values);
    free(s->v[i].origin);
    s->v[i] = (struct setting){ 0 };
}

void settings_free(struct settings *s)
{
    for (size_t i = 0; s->v && i < s->table.n; i++)
        settings_forget(s, i);
    free(s->v);
    s->v = NULL;
    strlist_free(&s->ordered);
}

void settings_overlay(struct settings *s, const struct settings *over)
{
    for (size_t i = 0; i < s->table.n; i++) {
        if (!over->v[i].set)
            continue;
        settings_forget(s, i);
        strlist_copy(&s->v[i].values, &over->v[i].values);
        s->v[i].origin = xstrdup(over->v[i].origin);
        s->v[i].set = true;
        s->v[i].order = s->order + over->v[i].order;
    }
    s->order += over->order;
    if (over->ordered.n)
        strlist_copy(&s->ordered, &over->ordered);
}

void settings_copy(struct settings *to, const struct settings *from)
{
    settings_init(to, from->table);
    settings_overlay(to, from);
}

static enum fault fault_of(const char *origin)
{
    return strcmp(origin, ORIGIN_COMMAND_LINE) == 0 ? FAULT_USAGE : FAULT_CONFIG;
}

/* Says today's row instead of an obsolete one; see option.h for the forms of `today`. */
static bool say_today(struct settings *s, const struct option *o, const char *value, const char *origin, struct err *e)
{
    size_t len = strcspn(o->today, "=");
    const struct option *now = option_by_name(s->table, o->today, len);
    if (!o->today[len])
        return settings_say(s, now, value, origin, NULL, e);
    if (value && !*value)
        return settings_say(s, now, "", origin, NULL, e);
    const char *on = o->today + len + 1;
    size_t on_len = strcspn(on, "|");
    union option_value v = { .flag = true };
    if (on[on_len] && value && !option_value(o, value, &v, fault_of(origin), e))
        return false;
    char *text = v.flag ? xstrndup(on, on_len) : xstrdup(on + on_len + 1);
    bool ok = settings_say(s, now, text, origin, NULL, e);
    free(text);
    return ok;
}

/* "'keepbcc' is obsolete, write 'remove_bcc_headers off'": in a file with a blank, on the command line with dashes. */
static char *obsolete(const struct settings *s, const struct option *o, const char *origin)
{
    bool argv = strcmp(origin, ORIGIN_COMMAND_LINE) == 0;
    size_t len = strcspn(o->today, "=");
    const char *value = !o->today[len] ? "" : o->at == OPTION_BY_HAND ? o->today + len + 1 : NULL;
    char *name = xstrndup(o->today, len);
    if (!value)
        value = settings_text(s, name);
    for (char *p = name; argv && *p; p++)
        if (*p == '_')
            *p = '-';
    char *text = xasprintf("'%s' is obsolete, write '%s%s%s%s'", o->name, argv ? "--" : "", name,
                           !value || !*value ? "" : argv ? "=" : " ", value ? value : "");
    free(name);
    return text;
}

bool settings_say(struct settings *s, const struct option *o, const char *value, const char *origin, char **warning,
                  struct err *e)
{
    if (warning)
        *warning = NULL;
    if (o->today && o->at != OPTION_BY_HAND && !say_today(s, o, value, origin, e))
        return false;
    if (warning && o->today)
        *warning = obsolete(s, o, origin);
    if (o->today && o->at != OPTION_BY_HAND)
        return true;

    if (!value)
        value = o->type == OPTION_FLAG || (o->flags & OPTION_VALUE_OPTIONAL) ? "on" : "";
    bool unset = !*value && !(o->flags & OPTION_EMPTY_OK);
    union option_value ignored;
    if (!unset && !option_value(o, value, &ignored, fault_of(origin), e))
        return false;

    struct setting *set = &s->v[o - s->table.rows];
    if (unset || !(o->flags & OPTION_MULTI))
        values_free(o, &set->values);
    if (!unset)
        strlist_add(&set->values, value);
    if (o->flags & OPTION_ORDERED)
        strlist_add_own(&s->ordered, xasprintf("%s=%s", o->name, value));
    set->set = true;
    set->order = ++s->order;
    free(set->origin);
    set->origin = xstrdup(origin);
    return true;
}

const struct setting *settings_get(const struct settings *s, const char *name)
{
    const struct option *o = option_by_name(s->table, name, strlen(name));
    return o ? &s->v[o - s->table.rows] : NULL;
}

const char *settings_text(const struct settings *s, const char *name)
{
    const struct setting *set = settings_get(s, name);
    return set && set->values.n ? set->values.v[set->values.n - 1] : NULL;
}

static char *home_expanded(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && (path[1] == '/' || !path[1]) && home)
        return xasprintf("%s%s", home, path + 1);
    return xstrdup(path);
}

/* "Example.org  VERIFY, dane" as "example.org verify" and "dane". */
static void add_by_domain(struct strlist *to, const char *value)
{
    struct strlist rows = STRLIST_INIT;
    strlist_split(&rows, value, ",");
    for (size_t i = 0; i < rows.n; i++) {
        struct strlist words = STRLIST_INIT;
        struct buf row = BUF_INIT;
        strlist_split(&words, rows.v[i], " \t");
        for (size_t j = 0; j < words.n; j++)
            buf_printf(&row, "%s%s", j ? " " : "", words.v[j]);
        for (size_t j = 0; j < row.len; j++)
            row.data[j] = ascii_lower(row.data[j]);
        strlist_add_own(to, buf_steal(&row));
        strlist_free(&words);
    }
    strlist_free(&rows);
}

/* All values of a row, joined by commas; a row that may not be given several times has only one. NULL: none. */
static char *joined(const struct strlist *values)
{
    if (!values->n)
        return NULL;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < values->n; i++)
        buf_printf(&out, "%s%s", i ? "," : "", values->v[i]);
    return buf_steal(&out);
}

/* `text` is the last value or the default; NULL: none. */
static bool bind_row(const struct option *o, const struct strlist *values, const char *text, enum fault fault,
                     void *base, struct err *e)
{
    void *at = (char *)base + o->at;
    union option_value v = { 0 };
    if (text && !option_value(o, text, &v, fault, e))
        return false;
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)at = v.flag;
        return true;
    case OPTION_TRI:
    case OPTION_WORD:
        *(int *)at = v.word;
        return true;
    case OPTION_NUMBER:
        *(long *)at = v.number;
        return true;
    case OPTION_SECONDS:
        *(usec *)at = v.time;
        return true;
    case OPTION_TEXT:
    case OPTION_COMMAND:
        *(char **)at = values->n > 1 ? joined(values) : xstrdup(text);
        return true;
    case OPTION_FILE:
        *(char **)at = text ? home_expanded(text) : NULL;
        return true;
    case OPTION_LIST:
    case OPTION_PORTS:
        for (size_t i = 0; i < values->n; i++)
            strlist_split(at, values->v[i], ",");
        if (!values->n && text)
            strlist_split(at, text, ",");
        return true;
    case OPTION_BY_DOMAIN:
        for (size_t i = 0; i < values->n; i++)
            add_by_domain(at, values->v[i]);
        if (!values->n && text)
            add_by_domain(at, text);
        return true;
    }
    return true;
}

static bool is_text(const struct option *o)
{
    return o->type == OPTION_TEXT || o->type == OPTION_FILE || o->type == OPTION_COMMAND;
}

static bool is_list(const struct option *o)
{
    return o->type == OPTION_LIST || o->type == OPTION_PORTS || o->type == OPTION_BY_DOMAIN;
}

static void clear(struct option_table t, void *base)
{
    for (size_t i = 0; i < t.n; i++) {
        if (t.rows[i].at == OPTION_BY_HAND)
            continue;
        void *at = (char *)base + t.rows[i].at;
        if (is_text(&t.rows[i]))
            *(char **)at = NULL;
        else if (is_list(&t.rows[i]))
            *(struct strlist *)at = (struct strlist)STRLIST_INIT;
    }
}

bool settings_bind(const struct settings *s, bool msmtp, void *base, struct err *e)
{
    clear(s->table, base);
    for (size_t i = 0; i < s->table.n; i++) {
        const struct option *o = &s->table.rows[i];
        const struct setting *set = &s->v[i];
        if (o->at == OPTION_BY_HAND || o->today)
            continue;
        const char *text = set->values.n ? set->values.v[set->values.n - 1] : NULL;
        bool emptied = set->set && (is_text(o) || is_list(o));
        if (!text && !emptied)
            text = msmtp && o->def_msmtp ? o->def_msmtp : o->def;
        if (!bind_row(o, &set->values, text, set->set ? fault_of(set->origin) : FAULT_SOFTWARE, base, e))
            return false;
    }
    return true;
}

void settings_unbind(struct option_table t, void *base)
{
    for (size_t i = 0; i < t.n; i++) {
        const struct option *o = &t.rows[i];
        if (o->at == OPTION_BY_HAND || o->today)
            continue;
        void *at = (char *)base + o->at;
        if (is_list(o))
            strlist_free(at);
        else if (is_text(o) && (o->flags & OPTION_SECRET))
            secret_free(*(char **)at);
        else if (is_text(o))
            free(*(char **)at);
    }
    clear(t, base);
}
