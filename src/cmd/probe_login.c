/* probe_login: which mechanisms, which user, which password, and where they come from: the options, netrc, the
 * terminal. */
#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"
#include "auth/secret.h"
#include "base/ascii.h"
#include "base/strlist.h"
#include "cmd/probe_parts.h"

#define NOBODY "-" /* a user for the account's checks, where the one that was said is empty */

static const struct saying *said_auth(const struct probe_options *said, enum session_need *how)
{
    static const struct {
        const char *option;
        enum session_need need;
    } rows[] = { { "auth", NEED_REQUIRED }, { "auth_optional_strict", NEED_STRICT }, { "auth_optional", NEED_MAY } };
    const struct saying *found = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct saying *s = said_last(said, rows[i].option);
        if (s)
            *how = rows[i].need;
        if (s && (!found || !*found->value))
            found = s;
    }
    return found;
}

/* As we write it; NULL: we have none of that name. */
static const char *mechanism_named(const char *name)
{
    const char *const *m = sasl_mechanisms();
    while (*m && !ascii_ieq(*m, name))
        m++;
    return *m;
}

static bool no_mechanism(const struct saying *s, const char *name, struct err *e)
{
    const char *near = ascii_nearest(name, sasl_mechanisms());
    said_wrong(s, e, "names no mechanism we know: '%s'", name);
    err_stage(e, STAGE_AUTH);
    return near ? err_hint(e, "did you mean '%s'?", near) : err_hint(e, "--support lists them");
}

static void add_alias(struct strlist *aliases, const char *name, size_t len, const char *mechanism)
{
    strlist_add_own(aliases, xasprintf("%.*s=%s", (int)len, name, mechanism));
}

/* NAME=MECHANISM of --auth-map, and the names everybody knows. */
static bool map(struct probe_plan *p, struct strlist *aliases, struct err *e)
{
    static const char *const everybodys[] = { "SPA", "MSN" };
    const struct saying *s = said_last(p->said, "auth_map");
    struct strlist pairs = STRLIST_INIT;
    bool ok = true;
    strlist_split(&pairs, s ? s->value : "", ", ");
    for (size_t i = 0; ok && i < pairs.n; i++) {
        size_t len = strcspn(pairs.v[i], "=");
        const char *mechanism = pairs.v[i][len] ? mechanism_named(pairs.v[i] + len + 1) : NULL;
        if (!len || !pairs.v[i][len]) {
            ok = said_wrong(s, e, "has no name and mechanism in '%s'", pairs.v[i]);
            err_hint(e, "write NAME=MECHANISM, as in X-PLAIN=PLAIN");
        } else if (!mechanism) {
            ok = no_mechanism(s, pairs.v[i] + len + 1, e);
        } else {
            add_alias(aliases, pairs.v[i], len, mechanism);
        }
    }
    for (size_t i = 0; i < sizeof everybodys / sizeof *everybodys; i++)
        add_alias(aliases, everybodys[i], strlen(everybodys[i]), "NTLM");
    strlist_free(&pairs);
    return ok;
}

static const char *meaning(const struct strlist *aliases, const char *name)
{
    for (size_t i = 0; i < aliases->n; i++) {
        size_t len = strcspn(aliases->v[i], "=");
        if (len == strlen(name) && ascii_ieqn(aliases->v[i], name, len))
            return aliases->v[i] + len + 1;
    }
    return mechanism_named(name);
}

/* What was named, as mechanisms; the names themselves go before all others a server may use. None of several known: an
 * error; so is the only one unknown. */
static bool mechanisms(struct probe_plan *p, const struct saying *s, struct err *e)
{
    struct strlist names = STRLIST_INIT, known = STRLIST_INIT;
    bool ok = map(p, &known, e);
    strlist_split(&names, s && *s->value && !ascii_ieq(s->value, "any") ? s->value : "", ", ");
    for (size_t i = 0; ok && i < names.n; i++) {
        const char *mechanism = meaning(&known, names.v[i]);
        if (!mechanism)
            continue;
        add_alias(&p->aliases, names.v[i], strlen(names.v[i]), mechanism);
        if (!strlist_has(&p->mechanisms, mechanism))
            strlist_add(&p->mechanisms, mechanism);
    }
    ok = ok && (!names.n || p->mechanisms.n || no_mechanism(s, names.v[0], e));
    for (size_t i = 0; i < known.n; i++)
        strlist_add(&p->aliases, known.v[i]);
    p->probe.aliases = &p->aliases;
    strlist_free(&names);
    strlist_free(&known);
    return ok;
}

/* realm and domain are two words for one thing. */
static bool extras(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *s = said_last(p->said, "auth_extra");
    struct strlist pairs = STRLIST_INIT;
    bool ok = true;
    strlist_split(&pairs, s ? s->value : "", ",");
    for (size_t i = 0; ok && i < pairs.n; i++) {
        const char *pair = pairs.v[i] + strspn(pairs.v[i], " ");
        size_t len = strcspn(pair, "=");
        if (!pair[len]) {
            ok = said_wrong(s, e, "has no '=' in '%s'", pair);
            err_hint(e, "write KEY=VALUE, as in realm=example.org");
        } else if ((len == 5 && ascii_ieqn(pair, "realm", len)) || (len == 6 && ascii_ieqn(pair, "domain", len))) {
            ok = probe_say(account, "ntlmdomain", pair + len + 1, s, e);
        }
    }
    strlist_free(&pairs);
    return ok;
}

/* ---- user and password ---- */

static const char *host_of(const struct settings *account)
{
    const char *host = settings_text(account, "host");
    return host ? host : "localhost";
}

/* What was found is from here on as if it had been said. */
static bool remember(struct probe_plan *p, const char *option, const char *value, struct err *e)
{
    return said_text(p->said, option) ||
           said_add(p->said, option_by_name(p->said->table, option, strlen(option)), value, "terminal", e);
}

static bool user(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *s = said_last(p->said, "auth_user");
    struct buf name = BUF_INIT;
    const struct secret_params params = { .host = host_of(account), .netrc_system = SYSCONFDIR "/netrc" };
    bool ok = true;
    if (s && *s->value)
        buf_adds(&name, s->value);
    else if (!secret_login_from_netrc(&params, &name))
        ok = probe_prompt("Username: ", false, &name, e);
    if (ok)
        ok = probe_say(account, "user", name.len && strcmp(name.data, "<>") != 0 ? name.data : NOBODY, s, e) &&
             remember(p, "auth_user", name.data, e);
    buf_free(&name);
    return ok;
}

static bool password(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *s = said_last(p->said, "auth_password");
    struct buf secret = BUF_SECRET_INIT;
    struct secret_params params = { .host = host_of(account), .user = said_text(p->said, "auth_user"),
                                    .netrc_system = SYSCONFDIR "/netrc" };
    struct err why = ERR_INIT;
    bool ok = true;
    if (s && *s->value) {
        buf_adds(&secret, s->value);
    } else {
        enum secret_status status = secret_from_netrc(&params, &secret, &why);
        if (status == SECRET_ERROR)
            err_move(e, &why);
        ok = status == SECRET_FOUND || (status == SECRET_NONE && probe_prompt("Password: ", true, &secret, e));
    }
    err_clear(&why);
    ok = ok && probe_say(account, "password", strcmp(secret.data, "<>") != 0 ? secret.data : "", s, e) &&
         remember(p, "auth_password", secret.data, e);
    buf_free(&secret);
    return ok;
}

static bool needs_user(const struct strlist *list)
{
    bool needs = list->n == 0;
    for (size_t i = 0; i < list->n; i++)
        needs |= strcmp(list->v[i], "EXTERNAL") != 0 && strcmp(list->v[i], "GSSAPI") != 0;
    return needs;
}

bool probe_login(struct probe_plan *p, struct settings *account, enum session_tls tls, bool wanted, struct err *e)
{
    struct session_probe *session = &p->probe.session;
    const struct saying *s = said_auth(p->said, &session->auth_need);
    if (!s && !wanted && !said_flag(p->said, "auth_user") && !said_flag(p->said, "auth_password"))
        return probe_say(account, "auth", "off", NULL, e);
    if (!mechanisms(p, s, e) || !extras(p, account, e))
        return false;
    bool named = p->mechanisms.n > 0, clear = tls != SESSION_TLS_REQUIRED && tls != SESSION_TLS_IMPLICIT;
    /* Where TLS may be left out, naming a mechanism permits it in clear, and a certificate that is not good is no
     * worse. */
    p->probe.secret_anyway = (named && clear) || said_no(p->said, "tls_verify");
    if (!probe_say(account, "auth", p->mechanisms.n == 1 ? p->mechanisms.v[0] : "on", s, e) ||
        !probe_say(account, "keyring", "off", NULL, e))
        return false;
    if (needs_user(&p->mechanisms))
        return user(p, account, e) && password(p, account, e);
    return !said_text(p->said, "auth_user") || user(p, account, e);
}

/* As said: an empty user, one with a '%' in it, an empty password and several mechanisms are none of the rows'
 * business. */
void probe_login_finish(struct probe_plan *p)
{
    const char *name = said_text(p->said, "auth_user"), *secret = said_text(p->said, "auth_password");
    if (p->account.user && name) {
        free(p->account.user);
        p->account.user = xstrdup(strcmp(name, "<>") != 0 ? name : "");
    }
    if (p->mechanisms.n > 1) {
        struct buf all = BUF_INIT;
        for (size_t i = 0; i < p->mechanisms.n; i++)
            buf_printf(&all, "%s%s", i ? "," : "", p->mechanisms.v[i]);
        free(p->account.auth);
        p->account.auth = buf_steal(&all);
        p->account.auth_explicit = true;
    }
    if (!p->account.password && secret && strcmp(secret, "<>") == 0)
        p->account.password = xstrdup("");
}
