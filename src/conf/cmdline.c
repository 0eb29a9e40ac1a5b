/* cmdline: arguments into settings. Knows rows, not what they mean. */
#include "conf/cmdline.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

struct cmdline {
    struct settings *settings;
    size_t tables;
    struct strlist *warnings;
};

/* A row and the settings it is said in. */
struct target {
    const struct option *o;
    struct settings *s;
};

static bool say(const struct cmdline *c, struct target t, const char *value, struct err *e)
{
    char *warning;
    bool ok = settings_say(t.s, t.o, value, ORIGIN_COMMAND_LINE, &warning, e);
    if (warning)
        strlist_add_own(c->warnings, warning);
    return ok;
}

/* An exact name in any table goes before an abbreviation in another. */
static struct target find_long(const struct cmdline *c, const char *name, size_t len, bool *ambiguous)
{
    struct target found = { 0 };
    *ambiguous = false;
    for (size_t i = 0; i < c->tables; i++) {
        bool several;
        const struct option *o = option_by_prefix(c->settings[i].table, name, len, &several);
        if (o && strlen(o->name) == len) {
            *ambiguous = false;
            return (struct target){ o, &c->settings[i] };
        }
        *ambiguous |= several || (o && found.o);
        if (o)
            found = (struct target){ o, &c->settings[i] };
    }
    return *ambiguous ? (struct target){ 0 } : found;
}

static struct target find_letter(const struct cmdline *c, char letter)
{
    for (size_t i = 0; i < c->tables; i++) {
        const struct option *o = option_by_letter(c->settings[i].table, letter);
        if (o && (o->flags & OPTION_IN_ARGV))
            return (struct target){ o, &c->settings[i] };
    }
    return (struct target){ 0 };
}

static void add_dashed(struct buf *out, const char *name)
{
    buf_adds(out, "--");
    for (; *name; name++)
        buf_addc(out, *name == '_' ? '-' : *name);
}

static bool unknown_long(const struct cmdline *c, const char *name, size_t len, struct err *e)
{
    char *word = xstrndup(name, len);
    err_set(e, FAULT_USAGE, "unknown option '--%s'", word);
    struct buf hint = BUF_INIT;
    for (size_t i = 0; i < c->tables && !hint.len; i++) {
        const char *near = option_nearest(c->settings[i].table, word);
        const struct option *o = near ? option_by_name(c->settings[i].table, near, strlen(near)) : NULL;
        if (o && (o->flags & OPTION_IN_ARGV))
            add_dashed(&hint, near);
        else if (o)
            err_hint(e, "'%s' can only be set in a file", near);
    }
    if (hint.len)
        err_hint(e, "did you mean '%s'?", hint.data);
    else
        err_hint(e, "--help lists the options");
    buf_free(&hint);
    free(word);
    return false;
}

static bool ambiguous_long(const struct cmdline *c, const char *name, size_t len, struct err *e)
{
    struct buf list = BUF_INIT;
    for (size_t i = 0; i < c->tables; i++)
        for (size_t j = 0; j < c->settings[i].table.n; j++) {
            struct option_table one = { &c->settings[i].table.rows[j], 1 };
            bool several;
            if (!option_by_prefix(one, name, len, &several) || one.rows->today)
                continue;
            buf_adds(&list, list.len ? ", " : "");
            add_dashed(&list, one.rows->name);
        }
    err_set(e, FAULT_USAGE, "'--%.*s' is not unique", (int)len, name);
    err_hint(e, "it begins %s", list.data);
    buf_free(&list);
    return false;
}

static bool takes_value(const struct option *o)
{
    return o->arg && o->type != OPTION_FLAG && !(o->flags & OPTION_VALUE_OPTIONAL);
}

/* --no-NAME; *handled: it was one. */
static bool negated(const struct cmdline *c, const char *name, size_t len, bool *handled, struct err *e)
{
    *handled = false;
    bool ambiguous;
    if (len <= 3 || !ascii_ieqn(name, "no-", 3))
        return true;
    struct target t = find_long(c, name + 3, len - 3, &ambiguous);
    if (!t.o || (t.o->type != OPTION_FLAG && t.o->type != OPTION_TRI))
        return true;
    *handled = true;
    return say(c, t, "off", e);
}

/* arg is what follows "--"; next is the following argument or NULL; *eaten: it was the value. */
static bool long_option(const struct cmdline *c, const char *arg, const char *next, bool *eaten, struct err *e)
{
    size_t len = strcspn(arg, "=");
    const char *value = arg[len] ? arg + len + 1 : NULL;
    bool ambiguous, handled;
    struct target t = find_long(c, arg, len, &ambiguous);
    if (ambiguous)
        return ambiguous_long(c, arg, len, e);
    if (!t.o) {
        if (!value && (!negated(c, arg, len, &handled, e) || handled))
            return !err_is_set(e);
        return unknown_long(c, arg, len, e);
    }
    if (!value && takes_value(t.o)) {
        if (!next) {
            err_set(e, FAULT_USAGE, "'--%.*s' needs a value", (int)len, arg);
            return err_hint(e, "write --%.*s=%s", (int)len, arg, t.o->arg);
        }
        value = next;
        *eaten = true;
    }
    return say(c, t, value, e);
}

/* Joined letters; the first that takes a value takes the rest, or the next argument. */
static bool letters(const struct cmdline *c, const char *arg, const char *next, bool *eaten, struct err *e)
{
    for (; *arg; arg++) {
        struct target t = find_letter(c, *arg);
        if (!t.o) {
            err_set(e, FAULT_USAGE, "unknown option '-%c'", *arg);
            return err_hint(e, "--help lists the options");
        }
        if (!takes_value(t.o)) {
            if (!say(c, t, NULL, e))
                return false;
            continue;
        }
        if (arg[1])
            return say(c, t, arg + 1, e);
        if (!next) {
            err_set(e, FAULT_USAGE, "'-%c' needs a value", *arg);
            return err_hint(e, "write -%c %s", *arg, t.o->arg);
        }
        *eaten = true;
        return say(c, t, next, e);
    }
    return true;
}

bool cmdline_parse(int argc, char *const *argv, struct settings *settings, size_t tables, struct strlist *operands,
                   struct strlist *warnings, struct err *e)
{
    struct cmdline c = { settings, tables, warnings };
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(arg, "--") == 0) {
            for (i++; i < argc; i++)
                strlist_add(operands, argv[i]);
            break;
        }
        if (arg[0] != '-' || !arg[1]) {
            strlist_add(operands, arg);
            continue;
        }
        bool eaten = false;
        bool ok = arg[1] == '-' ? long_option(&c, arg + 2, next, &eaten, e) : letters(&c, arg + 1, next, &eaten, e);
        if (!ok)
            return false;
        i += eaten;
    }
    return true;
}
