/* account: binds what was said to a struct account, derives what follows, and refuses what contradicts. */
#include "conf/account.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/codec.h"
#include "conf/subst.h"

enum { PORT_SMTP = 25, PORT_LMTP = 24, PORT_HTTP_PROXY = 8080 };
enum { ENVID_MAX = 100 };
enum { PROXY_TYPE_SOCKS5 = 1, PROXY_TYPE_HTTP = 2 };

/* RFC 3461 4.4: printable ASCII, and not long. */
static bool check_envid(const char *envid, struct err *e)
{
    struct buf xtext = BUF_INIT;
    bool printable = true;
    for (const char *p = envid; *p; p++)
        printable &= *p >= ' ' && *p < 0x7f;
    xtext_encode(&xtext, envid, strlen(envid));
    bool fits = xtext.len <= ENVID_MAX;
    buf_free(&xtext);
    if (printable && fits)
        return true;
    err_set(e, FAULT_USAGE, printable ? "the envelope identifier is too long"
                                      : "the envelope identifier is not printable ASCII");
    return err_hint(e, "it has at most %d characters; '+', '=' and blanks count as three", ENVID_MAX);
}

static bool check_no_batch(const struct settings *send, struct err *e)
{
    static const char *const rows[] = { "batch_format", "connections", "report", "resume", "retry_uncertain" };
    static const char *const words[] = { "batch-format", "connections", "report", "resume", "retry-uncertain" };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (settings_text(send, rows[i]))
            return err_set(e, FAULT_USAGE, "--%s goes with --batch only", words[i]);
    return true;
}

/* Every send option that was said is a switch or bound by its row, but -v and -d. */
bool send_options_bind(struct send_options *so, const struct settings *send, const struct settings *account,
                       struct err *e)
{
    *so = (struct send_options){ 0 };
    if (!settings_bind(send, false, so, e))
        return false;
    const char *verbose = settings_text(send, "verbose"), *debug = settings_text(send, "debug");
    so->verbose = debug && option_switch(debug) == 1 ? 2 : verbose && option_switch(verbose) == 1;
    if (so->dsn_envid && !check_envid(so->dsn_envid, e))
        return false;
    const char *host = account && settings_text(account, "host") ? "host" : "mx";
    if (so->account_name && account && settings_text(account, host)) {
        err_set(e, FAULT_USAGE, "--account and --%s do not go together", host);
        return err_hint(e, "--%s uses no file; leave it out to use the host of account '%s'", host, so->account_name);
    }
    if (so->serverinfo && so->rmqs)
        return err_set(e, FAULT_USAGE, "--serverinfo and --rmqs do not go together");
    if (!so->batch && !check_no_batch(send, e))
        return false;
    if (so->rmqs && strpbrk(so->rmqs, " \t")) {
        err_set(e, FAULT_USAGE, "'%s' is no name of a queue", so->rmqs);
        return err_hint(e, "--rmqs takes a host, @domain or #queue");
    }
    return true;
}

void send_options_free(struct send_options *so)
{
    settings_unbind(send_option_table(), so);
}

static bool said(const struct account *a, const char *option)
{
    return settings_get(&a->settings, option)->set;
}

/* Where the option was said, or the account begins: the start of an error text. */
static enum fault fault_at(const struct account *a, const char *option, struct buf *where)
{
    const char *origin = settings_get(&a->settings, option)->origin;
    if (origin && strcmp(origin, ORIGIN_COMMAND_LINE) == 0)
        return FAULT_USAGE;
    if (origin)
        buf_printf(where, "%s: ", origin);
    else if (a->name)
        buf_printf(where, "account '%s': ", a->name);
    return FAULT_CONFIG;
}

static bool wrong(const struct account *a, const char *option, struct err *e, const char *what, const char *hint)
{
    struct buf where = BUF_INIT;
    enum fault fault = fault_at(a, option, &where);
    err_set(e, fault, "%s%s", where.data, what);
    buf_free(&where);
    return err_hint(e, "%s", hint);
}

static void warn(struct account *a, const char *option, const char *what)
{
    struct buf text = BUF_INIT;
    fault_at(a, option, &text);
    buf_adds(&text, what);
    strlist_add_own(&a->warnings, buf_steal(&text));
}

/* Replaces *text; what came in from the environment or a file must be as fit for the wire as what was written. */
static bool substitute(const struct account *a, const struct option *o, char **text, struct err *e)
{
    if (!*text || !strchr(*text, '%'))
        return true;
    struct buf out = BUF_INIT;
    subst_expand(&out, *text);
    free(*text);
    *text = buf_steal(&out);
    if (!(o->flags & OPTION_WIRE) || ascii_line_safe(*text, strlen(*text)))
        return true;
    return wrong(a, o->name, e, "a substitution brought a line break",
                 "look at $USER, $HOSTNAME and the mailname file");
}

static bool substitute_all(struct account *a, struct err *e)
{
    struct option_table t = account_options();
    for (size_t i = 0; i < t.n; i++) {
        const struct option *o = &t.rows[i];
        if (!(o->flags & OPTION_SUBST) && (a->msmtp || !(o->flags & OPTION_SUBST_OWN)))
            continue;
        void *at = (char *)a + o->at;
        struct strlist *list = o->type == OPTION_LIST ? at : NULL;
        for (size_t j = 0; list && j < list->n; j++)
            if (!substitute(a, o, &list->v[j], e))
                return false;
        if (!list && !substitute(a, o, at, e))
            return false;
    }
    return true;
}

static void replace(char **at, char *text)
{
    free(*at);
    *at = text;
}

/* auto_from and maildomain, the old way to say `from %U@DOMAIN`. */
static void derive_from(struct account *a)
{
    for (size_t i = 0; i < a->from.n; i++) { /* blanks after commas */
        struct buf trimmed = BUF_INIT;
        buf_adds(&trimmed, a->from.v[i]);
        buf_trim(&trimmed);
        replace(&a->from.v[i], buf_steal(&trimmed));
    }
    const char *on = settings_text(&a->settings, "auto_from"), *domain = settings_text(&a->settings, "maildomain");
    if (!on || option_switch(on) != 1)
        return;
    struct buf address = BUF_INIT;
    subst_expand(&address, "%U");
    if (domain)
        buf_printf(&address, "@%s", domain);
    strlist_free(&a->from);
    strlist_add_own(&a->from, buf_steal(&address));
}

/* "http://proxy:3128": the scheme is the type, the rest host and port. */
static bool derive_proxy(struct account *a, struct err *e)
{
    static const struct { const char *scheme; int type; } schemes[] = {
        { "socks5h://", PROXY_TYPE_SOCKS5 }, { "socks5://", PROXY_TYPE_SOCKS5 }, { "http://", PROXY_TYPE_HTTP },
    };
    bool explicit_type = said(a, "proxy_type"), explicit_port = said(a, "proxy_port");
    if (!a->proxy_host)
        return a->proxy_type == 0 || wrong(a, "proxy_type", e, "'proxy_type' without 'proxy_host'",
                                           "set 'proxy_host', too");
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (!ascii_istarts(a->proxy_host, schemes[i].scheme))
            continue;
        char *rest = xstrdup(a->proxy_host + strlen(schemes[i].scheme));
        rest[strcspn(rest, "/")] = '\0';
        char *colon = strrchr(rest, ':');
        long long port;
        if (colon && !strchr(colon, ']')) {
            if (!ascii_number(colon + 1, 1, 65535, &port)) {
                free(rest);
                return wrong(a, "proxy_host", e, "'proxy_host' has a bad port",
                             "write it as http://proxy.example.org:8080");
            }
            *colon = '\0';
            a->proxy_port = (long)port;
            explicit_port = true;
        }
        replace(&a->proxy_host, rest);
        a->proxy_type = schemes[i].type;
        explicit_type = true;
        break;
    }
    if (!explicit_type)
        a->proxy_type = PROXY_TYPE_SOCKS5;
    if (!explicit_port && a->proxy_type == PROXY_TYPE_HTTP)
        a->proxy_port = PORT_HTTP_PROXY;
    return true;
}

/* The level for domains that have no row of their own; NULL: none was said. */
static const char *level_for_all(const struct account *a)
{
    const char *level = NULL;
    for (size_t i = 0; i < a->tls_policy.n; i++)
        if (!strchr(a->tls_policy.v[i], ' '))
            level = a->tls_policy.v[i];
    return level;
}

/* A server may have that name: in msmtp's files and in the environment, which know no such word, and where a command
 * said `mx off` as it was given a server's name. */
static bool derive_mx(struct account *a, bool environment, struct err *e)
{
    const char *said = settings_text(&a->settings, "mx");
    int mx = said ? option_switch(said) : !a->msmtp && !environment ? -1 : 0;
    if (mx == 1 && !a->host)
        a->host = xstrdup("mx");
    a->mx = mx != 0 && a->host && ascii_ieq(a->host, "mx");
    if (mx == 1 && !a->mx)
        return wrong(a, "mx", e, "'--mx' and a host do not go together", "leave one of them out");
    if (a->mx && !level_for_all(a))
        strlist_add(&a->tls_policy, a->tls == ACCOUNT_TLS_OFF ? "none" : a->tls_certcheck ? "dane" : "may");
    return true;
}

static void derive_auth(struct account *a)
{
    if (!a->auth)
        a->auth = xstrdup(a->user && !said(a, "auth") ? "on" : "off");
    int on = option_switch(a->auth);
    if (on >= 0) {
        replace(&a->auth, xstrdup(on ? "on" : "off"));
        return;
    }
    a->auth_explicit = true;
    for (char *p = a->auth; *p; p++)
        *p = ascii_upper(*p);
}

/* In envoi's own files 465 means TLS at once unless `tls_starttls` is said; an msmtp file means what it means to
 * msmtp. */
static void derive_tls(struct account *a)
{
    a->tls_explicit_off = a->tls == ACCOUNT_TLS_OFF && said(a, "tls");
    if (a->port == PORT_SUBMISSIONS && !a->msmtp && !said(a, "tls_starttls"))
        a->tls_starttls = false;
}

static long usual_port(const struct account *a)
{
    if (a->socket)
        return 0;
    if (a->tls != ACCOUNT_TLS_OFF && !a->tls_starttls)
        return PORT_SUBMISSIONS;
    if (a->protocol == ACCOUNT_LMTP)
        return PORT_LMTP;
    if (a->mx)
        return PORT_SMTP;
    return !a->msmtp && strcmp(a->auth, "off") ? PORT_SUBMISSION : PORT_SMTP;
}

static void add_port(struct strlist *ports, long port)
{
    char *text = xasprintf("%ld", port);
    if (!strlist_has(ports, text))
        strlist_add(ports, text);
    free(text);
}

/* Each port once; `auto` in numbers. */
static void derive_ports(struct account *a)
{
    struct strlist said = a->ports;
    a->ports = (struct strlist)STRLIST_INIT;
    for (size_t i = 0; i < said.n; i++)
        if (ascii_ieq(said.v[i], "auto")) {
            add_port(&a->ports, PORT_SUBMISSIONS);
            add_port(&a->ports, PORT_SUBMISSION);
        } else {
            add_port(&a->ports, strtol(said.v[i], NULL, 10));
        }
    strlist_free(&said);
    a->port = a->ports.n > 0 ? strtol(a->ports.v[0], NULL, 10) : 0;
}

static bool derive_tls_and_port(struct account *a, struct err *e)
{
    derive_ports(a);
    derive_tls(a);
    if (a->port == 0 && (a->port = usual_port(a)) != 0)
        add_port(&a->ports, a->port);
    if (a->requiretls && !a->mx && a->tls == ACCOUNT_TLS_AUTO) {
        a->tls = ACCOUNT_TLS_ON;
        a->tls_starttls &= a->port != PORT_SUBMISSIONS;
    }
    if (a->ports.n < 2 || a->socket)
        return true;
    if (a->tls_explicit_off)
        return wrong(a, "port", e, "several ports are only tried with TLS, and 'tls' is off",
                     "name the one port that is meant");
    if (a->protocol == ACCOUNT_LMTP)
        return wrong(a, "port", e, "several ports are only tried with SMTP", "name the one port that is meant");
    a->tls = ACCOUNT_TLS_ON; /* or TLS could be taken away by closing the ports that have it */
    a->tls_starttls = a->port != PORT_SUBMISSIONS;
    return true;
}

/* A host name without a dot is nothing a server could accept as ours. */
static void derive_domain(struct account *a)
{
    if (a->domain)
        return;
    struct buf host = BUF_INIT;
    subst_expand(&host, "%H");
    bool fit = strchr(host.data, '.') && ascii_only(host.data, host.len) && !strpbrk(host.data, " \t\r\n");
    a->domain = xstrdup(fit ? host.data : "localhost");
    buf_free(&host);
}

static void derive_words(struct account *a)
{
    if (a->dsn_notify && ascii_ieq(a->dsn_notify, "off"))
        replace(&a->dsn_notify, NULL);
    if (a->dsn_return && (ascii_ieq(a->dsn_return, "hdrs") || ascii_ieq(a->dsn_return, "off")))
        replace(&a->dsn_return, ascii_ieq(a->dsn_return, "hdrs") ? xstrdup("headers") : NULL);
    if (a->syslog && option_switch(a->syslog) >= 0)
        replace(&a->syslog, option_switch(a->syslog) ? xstrdup("LOG_USER") : NULL);
}

/* "30/min": evenly, so that no minute, wherever it begins, sees more. */
static bool derive_rate(struct account *a, struct err *e)
{
    static const struct { const char *words; usec unit; } units[] = {
        { " s sec second ", USEC_PER_SEC }, { " m min minute ", 60 * USEC_PER_SEC },
        { " h hour ", 3600 * USEC_PER_SEC }, { " d day ", 24 * 3600 * USEC_PER_SEC },
    };
    const char *slash = a->rate ? strchr(a->rate, '/') : NULL;
    if (!a->rate || option_switch(a->rate) == 0)
        return true;
    char *number = xstrndup(a->rate, slash ? (size_t)(slash - a->rate) : 0);
    char *unit = xasprintf(" %s ", slash ? slash + 1 : "");
    long long n;
    bool ok = slash && !strchr(slash + 1, ' ') && ascii_number(number, 1, USEC_PER_SEC, &n);
    for (size_t i = 0; ok && i < sizeof units / sizeof *units; i++)
        if (ascii_icontains(units[i].words, unit))
            a->rate_interval = (units[i].unit + n - 1) / n;
    free(number);
    free(unit);
    return a->rate_interval > 0 || wrong(a, "rate", e, "'rate' is not as '30/min'",
                                         "it is a number, a slash, and s, min, h or day; or off");
}

static void warn_about_port(struct account *a)
{
    if (a->tls != ACCOUNT_TLS_ON)
        return;
    if (a->port == PORT_SUBMISSIONS && a->tls_starttls)
        warn(a, "tls_starttls", "servers expect TLS at once on port 465, write 'tls_starttls off'");
    if ((a->port == PORT_SUBMISSION || a->port == PORT_SMTP) && !a->tls_starttls)
        warn(a, "tls_starttls", a->port == PORT_SMTP ? "servers expect STARTTLS on port 25, write 'tls_starttls on' "
                                                       "or 'port 465'"
                                                     : "servers expect STARTTLS on port 587, write 'tls_starttls on' "
                                                       "or 'port 465'");
}

static bool is_name(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == 0x7f)
            return false;
    return true;
}

/* "mail.example.org:587" */
static bool has_port(const char *host)
{
    const char *colon = strchr(host, ':');
    long long port;
    return colon && colon != host && !strchr(colon + 1, ':') && ascii_number(colon + 1, 1, 65535, &port);
}

/* "192.0.2.1", "192.0.2.1:5353", "[2001:db8::1]:53" */
static bool is_name_server(const char *s)
{
    bool bracket = *s == '[';
    const char *colon = strrchr(s, ':'), *end = bracket ? strchr(s, ']') : s + strlen(s);
    if (!bracket && colon && strchr(s, ':') == colon)
        end = colon;
    if (!end)
        return false;
    char *address = xstrndup(s + bracket, (size_t)(end - s) - bracket);
    bool ok = is_ip(address);
    free(address);
    end += bracket;
    long long port;
    return ok && (!*end || (*end == ':' && ascii_number(end + 1, 1, 65535, &port)));
}

static bool check_server(struct account *a, struct err *e)
{
    if (!a->host && !a->socket)
        return wrong(a, "host", e, "no 'host' is set", "write 'host mail.example.org', or --host=mail.example.org");
    if (a->host && has_port(a->host))
        return wrong(a, "host", e, "'host' holds a port", "write it as 'port', on a line or with an option of its own");
    if (a->host && !is_name(a->host))
        return wrong(a, "host", e, "'host' holds blanks or control characters",
                     "it is one name or address; a comment needs a line of its own");
    if (!*a->domain || !is_name(a->domain))
        return wrong(a, "domain", e, "'domain' is empty or holds blanks", "it is one name, as mail.example.org");
    if (a->source_ip && !is_ip(a->source_ip))
        return wrong(a, "source_ip", e, "'source_ip' is not an IP address", "write it as 192.0.2.1 or 2001:db8::1");
    if (a->dns_server && !is_name_server(a->dns_server))
        return wrong(a, "dns_server", e, "'dns_server' is not the address of a name server",
                     "write it as 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53");
    if (a->ipv4_only && a->ipv6_only)
        return wrong(a, "ipv6_only", e, "'ipv4_only' and 'ipv6_only' exclude each other", "leave one of them out");
    if (a->dsn_notify && strchr(a->dsn_notify, ',') &&
        (ascii_icontains(a->dsn_notify, "never") || ascii_icontains(a->dsn_notify, "off")))
        return wrong(a, "dsn_notify", e, "'never' and 'off' stand alone in 'dsn_notify'",
                     "write it without the other words");
    return true;
}

static const char *row_with(const struct account *a, const char *level)
{
    for (size_t i = 0; i < a->tls_policy.n; i++) {
        const char *blank = strchr(a->tls_policy.v[i], ' ');
        if (strcmp(blank ? blank + 1 : a->tls_policy.v[i], level) == 0)
            return a->tls_policy.v[i];
    }
    return NULL;
}

static bool logs_in(const struct account *a) { return strcmp(a->auth, "off") != 0; }
static bool has_socket(const struct account *a) { return a->socket != NULL; }
static bool speaks_lmtp(const struct account *a) { return a->protocol == ACCOUNT_LMTP; }
static bool has_ports(const struct account *a) { return a->ports.n > 1; }
static bool tls_at_once(const struct account *a) { return !a->tls_starttls; }
static bool has_name(const struct account *a) { return a->tls_host_override != NULL; }
static bool has_fingerprint(const struct account *a) { return a->tls_fingerprint.n && !row_with(a, "fingerprint"); }
static bool no_fingerprint(const struct account *a) { return !a->tls_fingerprint.n && row_with(a, "fingerprint"); }
static bool dane_blind(const struct account *a) { return !a->dnssec && row_with(a, "dane-only"); }

static bool in_clear(const struct account *a)
{
    return a->tls == ACCOUNT_TLS_OFF && strcmp(level_for_all(a), "none") != 0;
}

static bool unverified(const struct account *a)
{
    return !a->tls_certcheck && (row_with(a, "dane") || row_with(a, "dane-only") || row_with(a, "verify"));
}

/* What is for a server of one's own. */
static const struct clash {
    bool (*clashes)(const struct account *a);
    const char *option, *or_else; /* the one that is told: where the first was not said, the other */
    const char *what, *hint;
} mx_clashes[] = {
    { logs_in, "auth", "user", "'host mx' does not go with a login",
      "mail exchangers take mail for their own domains without one: leave 'user' and 'auth' out; a line 'user' without "
      "a name takes back what 'defaults' says" },
    { has_socket, "socket", NULL, "'host mx' does not go with 'socket'", "leave one of them out" },
    { speaks_lmtp, "protocol", NULL, "'host mx' does not go with LMTP", "leave 'protocol' out" },
    { has_ports, "port", NULL, "'host mx' does not go with several ports", "mail exchangers listen on port 25 alone" },
    { tls_at_once, "tls_starttls", "port", "mail exchangers have no TLS from the start",
      "leave 'tls_starttls' and 'port' out; 'tls on' demands STARTTLS" },
    { has_name, "tls_host_override", NULL, "'host mx' does not go with 'tls_host_override'",
      "each mail exchanger's certificate has a name of its own; 'tls_policy' says how it is checked" },
    { has_fingerprint, "tls_fingerprint", NULL, "'host mx' does not go with 'tls_fingerprint' alone",
      "say for whom: 'tls_policy example.org fingerprint'" },
    { no_fingerprint, "tls_policy", NULL, "'tls_policy' wants fingerprints, and there is none",
      "set 'tls_fingerprint', to each that is good" },
    { dane_blind, "tls_policy", NULL, "'tls_policy' wants DANE, and 'dnssec' is off", "DANE needs 'dnssec on'" },
    { in_clear, "tls", NULL, "'tls' is off, and 'tls_policy' wants it",
      "leave one of them out; 'tls_policy example.org none' is for single domains" },
    { unverified, "tls_certcheck", NULL, "'tls_certcheck' is off, and 'tls_policy' wants certificates checked",
      "leave 'tls_certcheck' out, or write 'tls_policy encrypt'" },
};

static bool check_mx(const struct account *a, struct err *e)
{
    for (size_t i = 0; i < sizeof mx_clashes / sizeof *mx_clashes; i++) {
        const struct clash *c = &mx_clashes[i];
        if (c->clashes(a))
            return wrong(a, c->or_else && !said(a, c->option) ? c->or_else : c->option, e, c->what, c->hint);
    }
    return true;
}

static bool check_requiretls(const struct account *a, struct err *e)
{
    if (a->tls == ACCOUNT_TLS_OFF)
        return wrong(a, "requiretls", e, "'requiretls' needs TLS, and 'tls' is off", "set 'tls on'");
    if (!a->tls_certcheck)
        return wrong(a, "requiretls", e, "'requiretls' needs verified TLS, and 'tls_certcheck' is off",
                     "leave 'tls_certcheck' out, or name the server's 'tls_fingerprint'");
    const char *level = a->mx ? level_for_all(a) : "verify";
    if (strcmp(level, "none") == 0 || strcmp(level, "may") == 0 || strcmp(level, "encrypt") == 0)
        return wrong(a, "requiretls", e, "'requiretls' needs verified TLS, and 'tls_policy' wants less",
                     "write 'tls_policy dane' or 'tls_policy verify'");
    return true;
}

static bool check_login(struct account *a, struct err *e)
{
    bool needs_user = strcmp(a->auth, "off") && strcmp(a->auth, "EXTERNAL") && strcmp(a->auth, "GSSAPI");
    if (needs_user && !a->user)
        return wrong(a, "auth", e, "'auth' without 'user'", "set 'user' to the name to log in with, or 'auth off'");
    if (strcmp(a->auth, "off") == 0 && (a->password || a->passwordeval))
        warn(a, a->password ? "password" : "passwordeval", "a password is set but 'auth' is off, write 'auth on'");
    if (!a->tls_cert_file != !a->tls_key_file)
        return wrong(a, a->tls_cert_file ? "tls_cert_file" : "tls_key_file", e,
                     "'tls_cert_file' and 'tls_key_file' go together",
                     "set both, to the same file where it holds both");
    if (a->tls == ACCOUNT_TLS_ON && !a->mx && a->tls_certcheck && !a->tls_trust_file && !a->tls_fingerprint.n)
        return wrong(a, "tls_trust_file", e, "no certificate could be accepted: nothing is trusted",
                     "set 'tls_trust_file system', or 'tls_fingerprint' to the server's");
    return true;
}

bool account_bind(struct account *a, const struct rc_account *chosen, const struct settings *command_line,
                  struct err *e)
{
    *a = (struct account){ .msmtp = chosen && chosen->msmtp, .system = chosen && chosen->system };
    if (!chosen)
        settings_init(&a->settings, account_options());
    else if (!rc_settings(chosen, &a->settings, e))
        return false;
    if (chosen && *chosen->name)
        a->name = xstrdup(chosen->name);
    if (command_line)
        settings_overlay(&a->settings, command_line);
    if (!settings_bind(&a->settings, a->msmtp, a, e) || !substitute_all(a, e) || !derive_proxy(a, e))
        return false;
    derive_from(a);
    derive_auth(a);
    derive_domain(a);
    derive_words(a);
    if (!derive_mx(a, chosen && !*chosen->name, e) || !derive_tls_and_port(a, e) || !check_server(a, e)
        || !derive_rate(a, e) || (a->mx && !check_mx(a, e)) || (a->requiretls && !check_requiretls(a, e))
        || !check_login(a, e))
        return false;
    warn_about_port(a);
    return true;
}

void account_free(struct account *a)
{
    settings_unbind(account_options(), a);
    settings_free(&a->settings);
    strlist_free(&a->warnings);
    free(a->name);
    a->name = NULL;
}

const char *account_sender(const struct account *a)
{
    for (size_t i = 0; i < a->from.n; i++)
        if (!rc_from_is_pattern(a->from.v[i]))
            return a->from.v[i];
    return NULL;
}
