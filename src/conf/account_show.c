/* account_show: a bound account back as text, and as the words of an envelope. Generic over the table. */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "conf/account.h"

static const char *tristate_word(int value)
{
    return value == TRI_AUTO ? "auto" : value == TRI_ON ? "on" : "off";
}

static const char *text_of(const char *s)
{
    return s ? s : "";
}

/* Appends the value; nothing where it is unset. */
static void format_value(const struct option *o, const void *base, struct buf *out)
{
    const void *at = (const char *)base + o->at;
    const struct strlist *list = at;
    usec t;
    switch (o->type) {
    case OPTION_FLAG:
        buf_adds(out, *(const bool *)at ? "on" : "off");
        return;
    case OPTION_TRI:
        buf_adds(out, tristate_word(*(const int *)at));
        return;
    case OPTION_WORD:
        buf_adds(out, o->words[*(const int *)at]);
        return;
    case OPTION_NUMBER:
        if (*(const long *)at)
            buf_printf(out, "%ld", *(const long *)at);
        return;
    case OPTION_SECONDS:
        t = *(const usec *)at;
        if (t % USEC_PER_SEC)
            buf_printf(out, "%g", (double)t / (double)USEC_PER_SEC);
        else if (t)
            buf_printf(out, "%lld", (long long)(t / USEC_PER_SEC));
        else
            buf_adds(out, o->def && ascii_ieq(o->def, "auto") ? "auto" : "off");
        return;
    case OPTION_TEXT:
    case OPTION_FILE:
    case OPTION_COMMAND:
        buf_adds(out, (o->flags & OPTION_SECRET) && *(char *const *)at ? "***" : text_of(*(char *const *)at));
        return;
    case OPTION_LIST:
    case OPTION_PORTS:
    case OPTION_BY_DOMAIN:
        for (size_t i = 0; i < list->n; i++)
            buf_printf(out, "%s%s", i ? ", " : "", list->v[i]);
        return;
    }
}

/* An option nobody said has its default, or follows from others. */
static const char *origin_of(const struct account *a, const struct option *o, const char *value)
{
    const struct setting *set = &a->settings.v[o - a->settings.table.rows];
    const char *def = a->msmtp && o->def_msmtp ? o->def_msmtp : o->def;
    if (set->set)
        return set->origin;
    return def && ascii_ieq(def, value) ? "default" : "derived";
}

void account_format(const struct account *a, struct buf *out)
{
    struct buf value = BUF_INIT;
    for (size_t i = 0; i < a->settings.table.n; i++) {
        const struct option *o = &a->settings.table.rows[i];
        if (o->today || o->at == OPTION_BY_HAND)
            continue;
        buf_reset(&value);
        format_value(o, a, &value);
        if (value.len)
            buf_printf(out, "%-20s %-32s # %s\n", o->name, value.data, origin_of(a, o, value.data));
    }
    buf_free(&value);
}

/* The words themselves were checked when they were said. */
bool account_dsn(const struct account *a, unsigned *notify, enum dsn_return *ret, struct err *e)
{
    static const struct { const char *word; unsigned bit; } words[] = {
        { "never", DSN_NOTIFY_NEVER }, { "success", DSN_NOTIFY_SUCCESS }, { "failure", DSN_NOTIFY_FAILURE },
        { "delay", DSN_NOTIFY_DELAY },
    };
    struct strlist parts = STRLIST_INIT;
    strlist_split(&parts, text_of(a->dsn_notify), ", ");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlist_has_nocase(&parts, words[i].word))
            *notify |= words[i].bit;
    size_t n = parts.n;
    strlist_free(&parts);
    if ((*notify & DSN_NOTIFY_NEVER) && n > 1)
        return err_set(e, FAULT_CONFIG, "'never' stands alone in 'dsn_notify'");
    if (a->dsn_return)
        *ret = ascii_ieq(a->dsn_return, "full") ? DSN_RETURN_FULL : DSN_RETURN_HEADERS;
    return true;
}
