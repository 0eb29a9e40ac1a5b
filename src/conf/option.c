/* option: finding rows of an option table, reading values by their type, and --help. */
#include "conf/option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/strlist.h"
#include "base/tristate.h"
#include "mail/address.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 79 };

static char fold(char c)
{
    return c == '-' ? '_' : ascii_lower(c);
}

static bool begins(const char *name, const char *part, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!name[i] || fold(name[i]) != fold(part[i]))
            return false;
    return true;
}

const struct option *option_by_name(struct option_table t, const char *name, size_t len)
{
    for (size_t i = 0; i < t.n; i++)
        if (t.rows[i].name && begins(t.rows[i].name, name, len) && !t.rows[i].name[len])
            return &t.rows[i];
    return NULL;
}

const struct option *option_by_letter(struct option_table t, char letter)
{
    for (size_t i = 0; i < t.n; i++)
        if (letter && t.rows[i].letter == letter)
            return &t.rows[i];
    return NULL;
}

const struct option *option_by_prefix(struct option_table t, const char *name, size_t len, bool *ambiguous)
{
    const struct option *found = NULL;
    *ambiguous = false;
    for (size_t i = 0; i < t.n; i++) {
        const struct option *o = &t.rows[i];
        if (!o->name || !begins(o->name, name, len))
            continue;
        if (!o->name[len]) { /* whole names win; --password is not short for --passwordeval */
            *ambiguous = false;
            return o->flags & OPTION_IN_ARGV ? o : NULL;
        }
        if (!(o->flags & OPTION_IN_ARGV))
            continue;
        *ambiguous |= found != NULL;
        found = o;
    }
    return *ambiguous ? NULL : found;
}

const char *option_nearest(struct option_table t, const char *name)
{
    const char **names = xcalloc(t.n + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++)
        if (t.rows[i].name && !t.rows[i].today)
            names[n++] = t.rows[i].name;
    char *word = xstrdup(name);
    for (char *p = word; *p; p++)
        *p = fold(*p);
    const char *nearest = ascii_nearest(word, names);
    free(word);
    free(names);
    return nearest;
}

int option_switch(const char *text)
{
    static const struct { const char *word; int value; } words[] = {
        { "on", 1 }, { "yes", 1 }, { "true", 1 }, { "off", 0 }, { "no", 0 }, { "false", 0 },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ascii_ieq(text, words[i].word))
            return words[i].value;
    return -1;
}

static int word_index(const char *const *words, const char *text, size_t len)
{
    for (int i = 0; words && words[i]; i++)
        if (strlen(words[i]) == len && ascii_ieqn(words[i], text, len))
            return i;
    return -1;
}

static bool not_a_word(const struct option *o, const char *text, enum fault fault, struct err *e)
{
    struct buf list = BUF_INIT;
    for (int i = 0; o->words[i]; i++)
        buf_printf(&list, "%s%s", !i ? "" : o->words[i + 1] ? ", " : " or ", o->words[i]);
    const char *nearest = ascii_nearest(text, o->words);
    if (o->name)
        err_set(e, fault, "'%s' cannot be '%s'", o->name, text);
    else
        err_set(e, fault, "'-%c' cannot be '%s'", o->letter, text);
    if (nearest)
        err_hint(e, "did you mean '%s'?", nearest);
    else
        err_hint(e, "write %s", list.data);
    buf_free(&list);
    return false;
}

static bool words_ok(const struct option *o, const char *text, enum fault fault, struct err *e)
{
    if (!(o->flags & OPTION_MULTI))
        return word_index(o->words, text, strlen(text)) >= 0 || not_a_word(o, text, fault, e);
    for (const char *part = text;; part++) {
        size_t len = strcspn(part, ",");
        if (word_index(o->words, part, len) < 0) {
            char *word = xstrndup(part, len);
            not_a_word(o, word, fault, e);
            free(word);
            return false;
        }
        part += len;
        if (!*part)
            return true;
    }
}

/* "30", "1.5", "2m", "1h", "off" */
static bool seconds(const char *text, usec *out)
{
    if (option_switch(text) == 0 || ascii_ieq(text, "auto")) {
        *out = 0;
        return true;
    }
    static const struct { const char *unit; int factor; } units[] = { { "", 1 }, { "s", 1 }, { "m", 60 },
                                                                      { "h", 3600 } };
    usec value = 0, scale = USEC_PER_SEC;
    const char *p = text;
    if (!ascii_isdigit(*p))
        return false;
    for (; ascii_isdigit(*p); p++)
        if ((value = value * 10 + (*p - '0') * USEC_PER_SEC) > 1000000 * USEC_PER_SEC)
            return false;
    if (*p == '.')
        for (p++; ascii_isdigit(*p); p++)
            value += (*p - '0') * (scale /= 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (ascii_ieq(p, units[i].unit)) {
            *out = value * units[i].factor;
            return value > 0;
        }
    return false;
}

static bool ports_ok(const struct option *o, const char *text, enum fault fault, struct err *e)
{
    long long number;
    for (const char *part = text;; part++) {
        size_t len = strcspn(part, ",");
        char *one = xstrndup(part, len);
        bool ok = word_index(o->words, part, len) >= 0 || ascii_number(one, o->min, o->max, &number);
        if (!ok) {
            err_set(e, fault, "'%s' is a number from %ld to %ld, not '%s'", o->name, o->min, o->max, one);
            if (strchr(text, ','))
                err_hint(e, "several are tried in their order: '465,587'; 'auto' stands for these two");
        }
        free(one);
        part += len;
        if (!ok || !*part)
            return ok;
    }
}

static bool is_word(const struct option *o, const char *text)
{
    return word_index(o->words, text, strlen(text)) >= 0;
}

/* A domain, those below one (".example.org"), or an address literal: what could never be a recipient's would be a row
 * that nobody notices. */
static bool is_domain(const char *text)
{
    const char *name = text + (text[0] == '.');
    struct buf ascii = BUF_INIT;
    struct err idn = ERR_INIT;
    bool ok = *name && *name != '.' && !strpbrk(name, "@/*;") && domain_to_ascii(name, &ascii, &idn);
    buf_free(&ascii);
    err_clear(&idn);
    return ok;
}

/* "WORD" or "DOMAIN WORD" */
static bool by_domain_ok(const struct option *o, const struct strlist *said, enum fault fault, struct err *e)
{
    const char *domain = said->n == 2 ? said->v[0] : "", *last = said->n ? said->v[said->n - 1] : "";
    if (said->n == 2 && is_word(o, domain) && !is_word(o, last)) {
        err_set(e, fault, "'%s' has the domain in the wrong place", o->name);
        return err_hint(e, "it comes first: '%s %s'", last, domain);
    }
    if (said->n < 1 || said->n > 2 || (said->n == 2 && !is_domain(domain))) {
        const char *near = is_word(o, last) ? last : ascii_nearest(last, o->words);
        const char *word = near ? near : o->words[0]; /* nobody is told another level than he wanted */
        err_set(e, fault, "'%s' is %s", o->name, o->arg);
        return err_hint(e, "as in '%s' or 'example.org %s'; '.example.org' stands for what is below that domain",
                        word, word);
    }
    return is_word(o, last) || not_a_word(o, last, fault, e);
}

static bool all_by_domain_ok(const struct option *o, const char *text, enum fault fault, struct err *e)
{
    for (const char *part = text;; part++) {
        size_t len = strcspn(part, ",");
        char *one = xstrndup(part, len);
        struct strlist said = STRLIST_INIT;
        strlist_split(&said, one, " \t");
        bool ok = by_domain_ok(o, &said, fault, e);
        strlist_free(&said);
        free(one);
        part += len;
        if (!ok || !*part)
            return ok;
    }
}

bool option_value(const struct option *o, const char *text, union option_value *v, enum fault fault, struct err *e)
{
    long long number;
    int on;
    switch (o->type) {
    case OPTION_FLAG:
        on = option_switch(text);
        v->flag = on == 1;
        return on >= 0 || err_set(e, fault, "'%s' is on or off, not '%s'", o->name, text);
    case OPTION_TRI:
        on = option_switch(text);
        v->word = ascii_ieq(text, "auto") ? TRI_AUTO : on == 1 ? TRI_ON : TRI_OFF;
        return on >= 0 || v->word == TRI_AUTO || err_set(e, fault, "'%s' is on, off or auto, not '%s'", o->name, text);
    case OPTION_WORD:
        v->word = word_index(o->words, text, strlen(text));
        return v->word >= 0 || not_a_word(o, text, fault, e);
    case OPTION_NUMBER:
        if (!ascii_number(text, o->min, o->max, &number))
            return err_set(e, fault, "'%s' is a number from %ld to %ld, not '%s'", o->name, o->min, o->max, text);
        v->number = (long)number;
        return true;
    case OPTION_PORTS:
        return ports_ok(o, text, fault, e);
    case OPTION_BY_DOMAIN:
        return all_by_domain_ok(o, text, fault, e);
    case OPTION_SECONDS:
        if (!seconds(text, &v->time)) {
            err_set(e, fault, "'%s' is a time, not '%s'", o->name, text);
            return err_hint(e, "write seconds (30 or 1.5), 2m, 1h or off");
        }
        return true;
    case OPTION_TEXT:
    case OPTION_FILE:
    case OPTION_COMMAND:
    case OPTION_LIST:
        break;
    }
    if ((o->flags & OPTION_WIRE) && !ascii_line_safe(text, strlen(text))) {
        err_set(e, fault, "'%s' holds a line break", o->name);
        return err_hint(e, "it is sent to the server, which would take what follows for a command");
    }
    return !(o->flags & OPTION_WORDS_ONLY) || words_ok(o, text, fault, e);
}

static void help_row(const struct option *o, struct buf *out)
{
    size_t start = out->len;
    if (o->letter)
        buf_printf(out, "  -%c%s", o->letter, o->name ? ", " : "");
    else
        buf_adds(out, "      ");
    for (const char *also = o->also ? o->also : ""; *also; also += strspn(also, " ")) {
        size_t n = strcspn(also, " ");
        buf_printf(out, "-%.*s, ", (int)n, also);
        also += n;
    }
    if (o->name)
        buf_adds(out, "--");
    for (const char *p = o->name; p && *p; p++)
        buf_addc(out, *p == '_' ? '-' : *p);
    if (o->arg && o->name)
        buf_printf(out, o->flags & OPTION_VALUE_OPTIONAL ? "[=%s]" : "=%s", o->arg);
    else if (o->arg)
        buf_printf(out, " %s", o->arg);
    if (out->len - start > HELP_COLUMN - 2) {
        buf_addc(out, '\n');
        start = out->len;
    }
    struct buf help = BUF_INIT;
    buf_adds(&help, o->help);
    if (o->since)
        buf_printf(&help, " (since %s)", o->since);
    for (const char *word = help.data; *word;) {
        size_t len = strcspn(word, " ");
        if (out->len - start + 1 + len > HELP_WIDTH) {
            buf_addc(out, '\n');
            start = out->len;
        }
        while (out->len - start < HELP_COLUMN - 1)
            buf_addc(out, ' ');
        buf_addc(out, ' ');
        buf_add(out, word, len);
        word += len + (word[len] == ' ');
    }
    buf_free(&help);
    buf_addc(out, '\n');
}

static bool helped(const struct option *o)
{
    return (o->flags & OPTION_IN_ARGV) && !o->today && o->help;
}

void option_help(struct option_table t, struct buf *out)
{
    for (size_t i = 0; i < t.n; i++) {
        const char *group = t.rows[i].group;
        bool first = helped(&t.rows[i]);
        for (size_t j = 0; j < i && first; j++)
            first = !helped(&t.rows[j]) || strcmp(t.rows[j].group, group) != 0;
        if (!first)
            continue;
        buf_printf(out, "%s%s:\n", out->len ? "\n" : "", group);
        for (size_t j = i; j < t.n; j++)
            if (helped(&t.rows[j]) && strcmp(t.rows[j].group, group) == 0)
                help_row(&t.rows[j], out);
    }
}
