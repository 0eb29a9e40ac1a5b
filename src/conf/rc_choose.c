/* rc_choose: which account is meant. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "conf/rc.h"
#include "conf/subst.h"

const struct rc_account *rc_find(const struct rc *rc, const char *name)
{
    for (size_t i = 0; i < rc->n; i++)
        if (strcmp(rc->v[i].name, name) == 0)
            return &rc->v[i];
    return NULL;
}

/* A '[' begins a pattern unless it begins the domain: user@[192.0.2.1] is an address. */
bool rc_from_is_pattern(const char *from)
{
    const char *bracket = strchr(from, '[');
    return strpbrk(from, "*?") || (bracket && (bracket == from || bracket[-1] != '@'));
}

bool rc_from_matches(const char *from, const char *sender)
{
    bool pattern = rc_from_is_pattern(from);
    if (pattern ? fnmatch(from, sender, FNM_CASEFOLD | FNM_NOESCAPE) == 0 : ascii_ieq(from, sender))
        return true;
    const char *plus = strchr(sender, '+'), *at = strrchr(sender, '@');
    if (!plus || !at || plus > at || plus == sender)
        return false;
    char *plain = xasprintf("%.*s%s", (int)(plus - sender), sender, at);
    bool matches = rc_from_matches(from, plain);
    free(plain);
    return matches;
}

static bool says_from(const struct settings *s, const char *sender)
{
    const struct setting *from = settings_get(s, "from");
    bool matches = false;
    for (size_t i = 0; i < from->values.n && !matches; i++) {
        struct strlist parts = STRLIST_INIT;
        strlist_split(&parts, from->values.v[i], ", \t");
        for (size_t j = 0; j < parts.n && !matches; j++) {
            struct buf address = BUF_INIT;
            subst_expand(&address, parts.v[j]);
            matches = rc_from_matches(address.data, sender);
            buf_free(&address);
        }
        strlist_free(&parts);
    }
    return matches;
}

/* In an msmtp file `from` may come from an `eval` line; in envoi's own those are run only when their account is
 * used. */
static bool account_matches(const struct rc_account *a, const char *sender, struct err *e)
{
    if (!*a->name)
        return false;
    if (!a->msmtp || !a->evals_n)
        return says_from(&a->settings, sender);
    struct settings all;
    bool matches = rc_settings(a, &all, e) && says_from(&all, sender);
    settings_free(&all);
    return matches;
}

static bool no_such_account(const struct rc *rc, const char *name, struct err *e)
{
    const char **names = xcalloc(rc->n + 1, sizeof *names);
    struct buf list = BUF_INIT;
    size_t n = 0;
    for (size_t i = 0; i < rc->n; i++) {
        if (!*rc->v[i].name)
            continue;
        names[n++] = rc->v[i].name;
        buf_printf(&list, "%s%s", list.len ? ", " : "", rc->v[i].name);
    }
    const char *near = ascii_nearest(name, names);
    err_set(e, FAULT_CONFIG, "there is no account '%s'", name);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else if (n)
        err_hint(e, "the accounts are: %s", list.data);
    free(names);
    buf_free(&list);
    return false;
}

static bool no_account(const struct rc *rc, bool several, struct err *e)
{
    struct buf files = BUF_INIT;
    struct strlist places = STRLIST_INIT;
    rc_places(&places);
    const struct strlist *l = rc->files.n ? &rc->files : &places;
    for (size_t i = 0; i < l->n; i++)
        buf_printf(&files, "%s%s", i ? ", " : "", l->v[i]);
    if (several) {
        err_set(e, FAULT_CONFIG, "no account is the default in %s", files.data);
        err_hint(e, "choose one with -a, or add a line 'account default : %s'", rc->v[0].name);
    } else {
        err_set(e, FAULT_CONFIG, rc->files.n ? "there is no account in %s" : "there is no configuration: looked for %s",
                files.len ? files.data : "no file");
        err_hint(e, "these lines in %s would do:\n    account default\n    host mail.example.org\n    from "
                    "you@example.org",
                 rc->files.n ? rc->files.v[rc->files.n - 1] : places.n ? places.v[0] : "~/.config/envoi/config");
    }
    strlist_free(&places);
    buf_free(&files);
    return false;
}

const struct rc_account *rc_choose(const struct rc *rc, const char *name, const char *sender, struct err *e)
{
    if (name) {
        const struct rc_account *a = rc_find(rc, name);
        if (!a)
            no_such_account(rc, name, e);
        return a;
    }
    for (size_t i = 0; i < rc->n && sender && *sender; i++) {
        if (account_matches(&rc->v[i], sender, e))
            return &rc->v[i];
        if (err_is_set(e))
            return NULL;
    }
    const struct rc_account *standard = rc_find(rc, "default"), *environment = rc_find(rc, ""), *only = NULL;
    size_t n = 0;
    for (size_t i = 0; i < rc->n; i++)
        if (*rc->v[i].name) {
            only = &rc->v[i];
            n++;
        }
    if (standard || n == 1 || environment)
        return standard ? standard : n == 1 ? only : environment;
    no_account(rc, n > 1, e);
    return NULL;
}
