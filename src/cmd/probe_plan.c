/* probe_plan: from what was said to what is done. The account is filled by its own rows, so that all their checks hold.
 * */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "cmd/probe_parts.h"
#include "conf/rc.h"
#include "conf/subst.h"

#define DEFAULT_TIMEOUT "30s"
#define LONGEST "24h" /* what "no timeout" means */

bool probe_say(struct settings *account, const char *name, const char *value, const struct saying *s, struct err *e)
{
    const struct option *o = option_by_name(account->table, name, strlen(name));
    return settings_say(account, o, value, s ? s->origin : ORIGIN_COMMAND_LINE, NULL, e);
}

/* ---- protocol ---- */

enum { HELO, EHLO, LHLO };
enum { CLEAR, STARTTLS, AT_ONCE };

static const struct protocol {
    const char *name;
    int hello, tls;
    bool auth;
} protocols[] = {
    { "smtp", HELO, CLEAR, false },    { "ssmtp", EHLO, AT_ONCE, false },   { "ssmtpa", EHLO, AT_ONCE, true },
    { "smtps", HELO, AT_ONCE, false }, { "esmtp", EHLO, CLEAR, false },     { "esmtpa", EHLO, CLEAR, true },
    { "esmtps", EHLO, STARTTLS, false }, { "esmtpsa", EHLO, STARTTLS, true }, { "lmtp", LHLO, CLEAR, false },
    { "lmtpa", LHLO, CLEAR, true },    { "lmtps", LHLO, STARTTLS, false },  { "lmtpsa", LHLO, STARTTLS, true },
};

static const struct protocol *protocol_of(const struct probe_options *said)
{
    const char *name = said_text(said, "protocol");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (ascii_ieq(protocols[i].name, name ? name : "esmtp"))
            return &protocols[i];
    return &protocols[0];
}

/* What was said of TLS itself prevails over what the protocol's name says. false: nothing was said. */
static bool tls_said(const struct probe_options *said, const struct protocol *protocol, enum session_tls *tls)
{
    static const struct {
        const char *name;
        enum session_tls tls;
    } rows[] = {
        { "tls_on_connect", SESSION_TLS_IMPLICIT },
        { "tls_optional_strict", SESSION_TLS_STRICT },
        { "tls_optional", SESSION_TLS_MAY },
        { "tls", SESSION_TLS_REQUIRED },
    };
    static const enum session_tls of_protocol[] = { SESSION_TLS_OFF, SESSION_TLS_REQUIRED, SESSION_TLS_IMPLICIT };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (said_flag(said, rows[i].name)) {
            *tls = rows[i].tls;
            return true;
        }
    *tls = of_protocol[protocol->tls];
    return protocol->tls != CLEAR;
}

/* ---- envelope ---- */

static void own_name(struct buf *out)
{
    subst_expand(out, "%H");
    if (strchr(out->data, '.'))
        return;
    buf_reset(out);
    subst_expand(out, "%C");
}

static char *made_up_sender(const struct probe_options *said)
{
    const char *user = said_flag(said, "force_getpwuid") ? NULL : getenv("LOGNAME");
    const struct passwd *pw = user && *user ? NULL : getpwuid(getuid());
    struct buf host = BUF_INIT;
    own_name(&host);
    char *sender = xasprintf("%s@%s", pw ? pw->pw_name : user && *user ? user : "nobody", host.data);
    buf_free(&host);
    return sender;
}

static void plan_recipients(struct probe_plan *p)
{
    static const char *const options[] = { "bcc", "cc", "to" }; /* the last recipient routes: one of --to */
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct strlist list = STRLIST_INIT;
        strlist_split(&list, said_text(p->said, options[i]) ? said_text(p->said, options[i]) : "", ",");
        for (size_t k = 0; k < list.n; k++) {
            struct buf address = BUF_INIT;
            buf_adds(&address, list.v[k]);
            buf_trim(&address);
            envelope_add(&p->env, address.data);
            buf_free(&address);
        }
        strlist_free(&list);
    }
}

static void plan_envelope(struct probe_plan *p)
{
    const char *from = said_text(p->said, "from");
    p->env.sender = !from ? made_up_sender(p->said) : xstrdup(strcmp(from, "<>") == 0 ? "" : from);
    plan_recipients(p);
}

/* ---- the account ---- */

static bool plan_timeout(struct probe_plan *p, struct settings *account, bool of_file, struct err *e)
{
    const struct saying *s = said_last(p->said, "timeout");
    const char *text = s && *s->value ? s->value : DEFAULT_TIMEOUT;
    struct err why = ERR_INIT;
    size_t zeros = strspn(text, "0");
    if ((!s && of_file) || (s && zeros && zeros == strcspn(text, "smhSMH")))
        return (!s && of_file) ||
               (probe_say(account, "timeout", LONGEST, s, e) && probe_say(account, "deadline", LONGEST, s, e));
    if (probe_say(account, "timeout", text, s, &why) && probe_say(account, "deadline", LONGEST, s, &why))
        return true;
    err_clear(&why);
    said_wrong(s, e, "is a time, not '%s'", text);
    return err_hint(e, "write seconds, 5m or 1h; 0 for no timeout");
}

/* user:password@ of a proxy's URL has rows of its own. */
static bool plan_via(struct probe_plan *p, struct settings *account, struct err *e)
{
    const struct saying *s = said_last(p->said, "via");
    if (!s)
        return true;
    const char *host = strstr(s->value, "://"), *at = strrchr(s->value, '@');
    if (!host) {
        said_wrong(s, e, "is no URL of a proxy"); /* without it: it may hold a password */
        return err_hint(e, "write socks5://HOST:PORT or http://HOST:PORT");
    }
    host += 3;
    if (!at || at < host)
        return probe_say(account, "proxy_host", s->value, s, e);
    size_t user = strcspn(host, ":@");
    char *url = xasprintf("%.*s%s", (int)(host - s->value), s->value, at + 1), *name = xstrndup(host, user);
    char *password = host + user < at ? xstrndup(host + user + 1, (size_t)(at - host) - user - 1) : NULL;
    bool ok = probe_say(account, "proxy_host", url, s, e) && probe_say(account, "proxy_user", name, s, e) &&
              (!password || probe_say(account, "proxy_password", password, s, e));
    free(url);
    free(name);
    secret_free(password);
    return ok;
}

static bool bind_account(struct probe_plan *p, const struct rc_account *chosen, struct settings *account, struct err *e)
{
    if (!account_bind(&p->account, chosen, account, e))
        return false;
    const char *helo = said_text(p->said, "helo");
    struct buf name = BUF_INIT;
    if (!helo && !chosen)
        own_name(&name);
    if (helo || name.len) { /* as said, also where that is no name */
        free(p->account.domain);
        p->account.domain = xstrdup(helo ? helo : name.data);
    }
    buf_free(&name);
    if (said_no(p->said, "diagnose"))
        p->account.diagnose = false;
    probe_login_finish(p);
    return true;
}

static int default_port(const struct protocol *protocol, enum session_tls tls)
{
    return protocol->hello == LHLO ? 24 : tls == SESSION_TLS_IMPLICIT ? PORT_SUBMISSIONS : 25;
}

static const char *tls_word(enum session_tls tls)
{
    return tls == SESSION_TLS_OFF ? "off" : tls == SESSION_TLS_MAY ? "auto" : "on";
}

/* Without --account: everything is said here. */
static bool plan_alone(struct probe_plan *p, struct settings *account, const struct protocol *protocol, struct err *e)
{
    struct hop hop = { .verify = true };
    tls_said(p->said, protocol, &hop.tls);
    hop.port = default_port(protocol, hop.tls);
    bool ok = probe_target(p, account, &hop, e) &&
              probe_say(account, "protocol", protocol->hello == LHLO ? "lmtp" : "smtp", NULL, e) &&
              probe_say(account, "tls", tls_word(hop.tls), NULL, e) &&
              probe_say(account, "tls_starttls", hop.tls == SESSION_TLS_IMPLICIT ? "off" : "on", NULL, e) &&
              plan_timeout(p, account, false, e) && probe_login(p, account, hop.tls, protocol->auth, e) &&
              bind_account(p, NULL, account, e);
    hop.verify = !said_no(p->said, "tls_verify");
    p->route.v = xcalloc(1, sizeof hop);
    *p->route.v = hop;
    p->route.n = 1;
    return ok;
}

/* With it: what is said here stands over the file's. */
static bool plan_from_file(struct probe_plan *p, struct settings *account, const struct protocol *protocol,
                           const char *name, struct err *e)
{
    struct rc rc = RC_INIT;
    const struct rc_params params = { 0 };
    struct hop hop = { 0 };
    enum session_tls tls;
    bool target = said_flag(p->said, "server") || said_flag(p->said, "socket") || said_flag(p->said, "pipe");
    bool ok = rc_load(&rc, &params, e);
    const struct rc_account *chosen = ok ? rc_choose(&rc, name, p->env.sender, e) : NULL;
    bool tls_here = tls_said(p->said, protocol, &tls);
    hop.port = default_port(protocol, tls);
    ok = ok && chosen && (!target || probe_target(p, account, &hop, e)) && plan_timeout(p, account, true, e) &&
         (!said_flag(p->said, "protocol") ||
          probe_say(account, "protocol", protocol->hello == LHLO ? "lmtp" : "smtp", NULL, e)) &&
         (!said_flag(p->said, "auth_user") || probe_login(p, account, tls, protocol->auth, e)) &&
         bind_account(p, chosen, account, e) && route_find(&p->route, &p->account, e);
    if (ok && tls_here) {
        p->route.v->tls = tls;
        p->route.v->verify = true;
    }
    if (ok && target) {
        strlist_copy(&p->route.v->command, &hop.command);
    } else if (ok) {
        free(p->said->target);
        p->said->target =
            p->account.socket ? xstrdup(p->account.socket) : xasprintf("%s:%ld", p->account.host, p->account.port);
    }
    free(hop.host);
    free(hop.socket);
    strlist_free(&hop.command);
    rc_free(&rc);
    return ok;
}

static bool plan_account(struct probe_plan *p, const struct protocol *protocol, struct err *e)
{
    const char *name = said_text(p->said, "account");
    struct settings account;
    settings_init(&account, account_options());
    bool ok = probe_tls(p, &account, e) && plan_via(p, &account, e) &&
              (name ? plan_from_file(p, &account, protocol, name, e) : plan_alone(p, &account, protocol, e));
    settings_free(&account);
    p->show.target = p->said->target;
    return ok;
}

/* ---- all of it ---- */

static enum probe_job job_of(const struct probe_options *said)
{
    static const struct {
        const char *option;
        enum probe_job job;
    } jobs[] = {
        { "help", PROBE_HELP }, { "version", PROBE_VERSION }, { "support", PROBE_SUPPORT }, { "dump", PROBE_DUMP },
        { "dump_mail", PROBE_DUMP_MAIL },
    };
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        if (said_flag(said, jobs[i].option))
            return jobs[i].job;
    return PROBE_SEND;
}

static bool ask(struct probe_plan *p, struct err *e)
{
    bool target = said_flag(p->said, "server") || said_flag(p->said, "socket") || said_flag(p->said, "pipe") ||
                  said_flag(p->said, "account");
    return probe_options_ask(p->said, probe_comes_to_rcpt(p) || !target, e);
}

bool probe_plan_make(struct probe_plan *p, int argc, char *const *argv, struct err *e)
{
    *p = (struct probe_plan){ .preamble = BUF_INIT, .repeat = 1, .parallel = 1 };
    p->said = xcalloc(1, sizeof *p->said);
    bool read = probe_options_read(p->said, argc - 1, argv + 1, e);
    probe_output(p); /* what is wrong is to be told where it was to be told */
    if (!read)
        return false;
    p->job = job_of(p->said);
    if (p->job == PROBE_HELP || p->job == PROBE_VERSION || p->job == PROBE_SUPPORT)
        return true;
    const struct protocol *protocol = protocol_of(p->said);
    if (!probe_one_target(p->said, e) || !probe_stops(p, e) || !ask(p, e))
        return false;
    plan_envelope(p);
    probe_dialogue(p);
    p->probe.session.helo = protocol->hello == HELO;
    if (probe_comes_to_rcpt(p) && p->env.n == 0) {
        err_set(e, FAULT_USAGE, "no recipient is named");
        return err_hint(e, "write --to you@example.org, or stop before RCPT with --quit-after");
    }
    return probe_proxy(p, e) && plan_account(p, protocol, e) && probe_data_plan(p, e);
}

void probe_plan_free(struct probe_plan *p)
{
    for (size_t i = 0; i < p->route.n; i++)
        strlist_free(&p->route.v[i].command);
    route_free(&p->route);
    account_free(&p->account);
    envelope_free(&p->env);
    strlist_free(&p->warnings);
    strlist_free(&p->xclient);
    strlist_free(&p->aliases);
    strlist_free(&p->mechanisms);
    strlist_free(&p->mail_params);
    strlist_free(&p->rcpt_params);
    buf_free(&p->preamble);
    probe_data_free(p->data);
    free(p->preamble_line);
    free(p->mx_domain);
    free(p->dns_server);
    free(p->output);
    free(p->errors);
    free(p->peer_cert);
    free(p->peer_chain);
    if (p->said)
        said_free(p->said);
    free(p->said);
    *p = (struct probe_plan){ .preamble = BUF_INIT };
}
