/* probe_plan: from what was said to what is done. The account is filled by its own rows, so that all their checks hold. */
#include <arpa/inet.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/probe_parts.h"
#include "conf/rc.h"
#include "conf/subst.h"
#include "mail/address.h"
#include "smtp/caps.h"

#define DEFAULT_TIMEOUT "30s"
#define LONGEST "24h" /* what "no timeout" means */

/* What a delivery makes use of unasked, and swaks does not. */
enum { UNASKED = CAP_PIPELINING | CAP_SIZE | CAP_8BITMIME | CAP_SMTPUTF8 | CAP_DSN | CAP_CHUNKING | CAP_LIMITS | CAP_REQUIRETLS };

static void replace(char **at, const char *text)
{
    char *copy = xstrdup(text);
    free(*at);
    *at = copy;
}

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

/* ---- where the dialogue is cut ---- */

enum { PROXY_STOP = -1 };

static const struct {
    const char *word;
    int stop; /* enum session_stop */
} stops[] = {
    { "proxy", PROXY_STOP },
    { "connect", STOP_GREETING },        { "banner", STOP_GREETING },
    { "first-helo", STOP_FIRST_HELLO },  { "first-ehlo", STOP_FIRST_HELLO },    { "first-lhlo", STOP_FIRST_HELLO },
    { "xclient", STOP_XCLIENT },
    { "xclient-helo", STOP_XCLIENT_HELLO }, { "xclient-ehlo", STOP_XCLIENT_HELLO }, { "xclient-lhlo", STOP_XCLIENT_HELLO },
    { "starttls", STOP_TLS },            { "tls", STOP_TLS },
    { "helo", STOP_HELLO },              { "ehlo", STOP_HELLO },                { "lhlo", STOP_HELLO },
    { "auth", STOP_AUTH },
    { "mail", STOP_MAIL },               { "from", STOP_MAIL },
    { "rcpt", STOP_RCPT },               { "to", STOP_RCPT },
    { "data", STOP_DATA },               { "dot", STOP_DOT },
};

static bool stop(struct probe_plan *p, const char *option, enum session_stop *at, struct err *e)
{
    const struct saying *s = said_last(p->said, option);
    for (size_t i = 0; s && i < sizeof stops / sizeof *stops; i++) {
        if (!ascii_ieq(stops[i].word, s->value))
            continue;
        if (stops[i].stop == PROXY_STOP)
            p->probe.stop_after_preamble = true;
        else
            *at = (enum session_stop)stops[i].stop;
        if (*at < STOP_DATA || !said_is(s, "quit_after"))
            return true;
        said_wrong(s, e, "cannot be '%s': there is no QUIT inside a message", s->value);
        return err_hint(e, "--drop-after and --drop-after-send can");
    }
    if (!s)
        return true;
    const char *near = ascii_nearest(s->value, s->o->words);
    said_wrong(s, e, "cannot be '%s'", s->value);
    return near ? err_hint(e, "did you mean '%s'?", near) : err_hint(e, "write a step of the dialogue: connect, helo, tls, auth, mail or rcpt");
}

static bool plan_stops(struct probe_plan *p, struct err *e)
{
    struct session_probe *s = &p->probe.session;
    return stop(p, "quit_after", &s->quit_after, e) && stop(p, "drop_after", &s->drop_after, e) &&
           stop(p, "drop_after_send", &s->drop_after_send, e);
}

/* Does the dialogue come to RCPT? */
static bool needs_recipient(const struct probe_plan *p)
{
    const struct session_probe *s = &p->probe.session;
    const enum session_stop at[] = { s->quit_after, s->drop_after, s->drop_after_send };
    bool before = p->probe.stop_after_preamble;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        before |= at[i] != STOP_NOWHERE && at[i] < STOP_RCPT;
    return !before;
}

/* ---- where to ---- */

/* "host:port", "[host]:port", "host/port", "[host]"; anything else is a host: one with several colons is an IPv6 address. */
static void split_host(const char *text, struct buf *host, const char **port)
{
    size_t n = strlen(text), end = n;
    const char *slash = strrchr(text, '/'), *colon = strchr(text, ':'), *close = *text == '[' ? strchr(text, ']') : NULL;
    *port = NULL;
    if (close && (close[1] == ':' || close[1] == '/')) {
        end = (size_t)(close - text) + 1;
        *port = close + 2;
    } else if (slash && slash[1]) {
        end = (size_t)(slash - text);
        *port = slash + 1;
    } else if (colon && !strchr(colon + 1, ':') && colon != text && colon[1]) {
        end = (size_t)(colon - text);
        *port = colon + 1;
    }
    bool bracket = end > 2 && text[0] == '[' && text[end - 1] == ']';
    buf_add(host, text + bracket, end - 2 * bracket);
}

static bool port_number(const char *text, const struct saying *s, int *port, struct err *e)
{
    long long number;
    if (ascii_number(text, 1, 65535, &number)) {
        *port = (int)number;
        return true;
    }
    const struct servent *service = ascii_isdigit(*text) ? NULL : getservbyname(text, "tcp");
    if (service) {
        *port = ntohs((uint16_t)service->s_port);
        return true;
    }
    said_wrong(s, e, "has no port in '%s'", text);
    return err_hint(e, "it is a number from 1 to 65535 or a name in /etc/services");
}

static bool is_v4(const char *s)
{
    struct in_addr a;
    return inet_pton(AF_INET, s, &a) == 1;
}

static bool is_v6(const char *s)
{
    struct in6_addr a;
    return inet_pton(AF_INET6, s, &a) == 1;
}

/* What cannot go together is found before a name is looked up. */
static bool check_families(const struct probe_plan *p, const char *host, const char *local, struct err *e)
{
    bool v4 = said_flag(p->said, "ipv4_only"), v6 = said_flag(p->said, "ipv6_only");
    const struct {
        bool wrong;
        const char *what;
    } rows[] = {
        { v4 && v6, "-4 and -6 exclude each other" },
        { v4 && is_v6(host), "-4 and the server's address is IPv6" },
        { v6 && is_v4(host), "-6 and the server's address is IPv4" },
        { v4 && is_v6(local), "-4 and the local interface's address is IPv6" },
        { v6 && is_v4(local), "-6 and the local interface's address is IPv4" },
        { (is_v4(host) && is_v6(local)) || (is_v6(host) && is_v4(local)), "the server and the local interface have addresses of two kinds" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].wrong) {
            err_set(e, FAULT_USAGE, "%s", rows[i].what);
            return err_hint(e, "leave one of them out");
        }
    return true;
}

/* The domain whose mail is routed; "" where there is none. swaks takes the last recipient's. */
static const char *routed_domain(const struct probe_plan *p)
{
    const char *copied = said_text(p->said, "copy_routing");
    if (copied)
        return strrchr(copied, '@') ? strrchr(copied, '@') + 1 : copied;
    const char *last = p->env.n ? p->env.rcpts[p->env.n - 1].address : "";
    const char *at = strrchr(last, '@');
    return at ? at + 1 : "";
}

/* The address in a domain literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]"; NULL: it is none. The caller's. */
static char *literal(const char *domain)
{
    size_t n = strlen(domain);
    if (n < 3 || domain[0] != '[' || domain[n - 1] != ']')
        return NULL;
    size_t skip = ascii_istarts(domain, "[IPv6:") ? 6 : 1;
    return xstrndup(domain + skip, n - skip - 1);
}

/* No server was said: the domain's own address, its MX, or this machine. */
static char *route_by_domain(struct probe_plan *p)
{
    const char *domain = routed_domain(p);
    char *address = literal(domain);
    if (address)
        return address;
    if (*domain)
        p->mx_domain = xstrdup(domain);
    return xstrdup(*domain ? domain : "localhost");
}

static bool local_end(struct probe_plan *p, struct settings *account, struct buf *host, struct err *e)
{
    const struct saying *s = said_last(p->said, "local_interface"), *port = said_last(p->said, "local_port");
    const char *behind = NULL;
    if (s && *s->value)
        split_host(s->value, host, &behind);
    if (host->len && !probe_say(account, "source_ip", host->data, s, e))
        return false;
    if (!behind && port && *port->value) {
        behind = port->value;
        s = port;
    }
    return !behind || port_number(behind, s, &p->probe.source_port, e);
}

static bool only_one_target(const struct probe_options *said, struct err *e)
{
    int n = said_flag(said, "server") + said_flag(said, "socket") + said_flag(said, "pipe");
    if (n <= 1)
        return true;
    err_set(e, FAULT_USAGE, "'--server', '--socket' and '--pipe' exclude each other");
    return err_hint(e, "leave one of them in, --no-server takes back what a file says");
}

/* Splits a command as a shell would, as far as blanks, quotes and backslashes go. */
static bool split_command(const struct saying *s, struct strlist *words, struct err *e)
{
    struct buf word = BUF_INIT;
    bool any = false;
    char quote = 0;
    for (const char *c = s->value; *c; c++) {
        if (*c == '\\' && quote != '\'' && c[1]) {
            buf_addc(&word, *++c);
            any = true;
        } else if (quote ? *c == quote : *c == '"' || *c == '\'') {
            quote = quote ? 0 : *c;
            any = true;
        } else if (!quote && (ascii_isblank(*c) || *c == '\n')) {
            if (any)
                strlist_add(words, word.data);
            buf_reset(&word);
            any = false;
        } else {
            buf_addc(&word, *c);
            any = true;
        }
    }
    if (any)
        strlist_add(words, word.data);
    buf_free(&word);
    if (quote)
        return said_wrong(s, e, "has a quote that is never closed");
    return words->n > 0 || said_wrong(s, e, "is empty");
}

static int default_port(const struct protocol *protocol, enum session_tls tls)
{
    return protocol->hello == LHLO ? 24 : tls == SESSION_TLS_IMPLICIT ? PORT_SUBMISSIONS : 25;
}

static bool network_end(struct probe_plan *p, struct settings *account, struct hop *hop, struct err *e)
{
    const struct saying *s = said_last(p->said, "server"), *port = said_last(p->said, "port");
    struct buf host = BUF_INIT, local = BUF_INIT;
    const char *behind = NULL;
    if (s && *s->value)
        split_host(s->value, &host, &behind);
    if (!behind && port && *port->value) {
        behind = port->value;
        s = port;
    }
    hop->host = host.len ? xstrdup(host.data) : route_by_domain(p);
    struct buf number = BUF_INIT;
    bool ok = (!behind || port_number(behind, s, &hop->port, e)) && local_end(p, account, &local, e) &&
              check_families(p, hop->host, local.data, e);
    buf_printf(&number, "%d", hop->port);
    ok = ok && probe_say(account, "host", hop->host, s, e) && probe_say(account, "port", number.data, s, e) &&
         (!said_flag(p->said, "ipv4_only") || probe_say(account, "ipv4_only", "on", NULL, e)) &&
         (!said_flag(p->said, "ipv6_only") || probe_say(account, "ipv6_only", "on", NULL, e));
    buf_free(&number);
    buf_free(&host);
    buf_free(&local);
    return ok;
}

/* The hop, and what the account has to know of it. */
static bool plan_target(struct probe_plan *p, struct settings *account, struct hop *hop, struct err *e)
{
    const struct saying *path = said_last(p->said, "socket"), *command = said_last(p->said, "pipe");
    if (path) {
        hop->socket = xstrdup(path->value);
        replace(&p->said->target, path->value);
        return probe_say(account, "socket", path->value, path, e);
    }
    if (command) {
        replace(&p->said->target, command->value);
        return split_command(command, &hop->command, e) && probe_say(account, "host", "localhost", command, e);
    }
    if (!network_end(p, account, hop, e))
        return false;
    free(p->said->target);
    p->said->target = p->mx_domain ? NULL : xasprintf("%s:%d", hop->host, hop->port);
    return true;
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
    static const char *const options[] = { "bcc", "cc", "to" }; /* the last one routes, and that should be one of --to */
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

/* ---- the dialogue ---- */

static void param(struct strlist *list, const char *name, const char *value)
{
    strlist_add_own(list, value ? xasprintf("%s=%s", name, value) : xstrdup(name));
}

/* What is asked for by an option goes as a parameter, offered or not: the server is to say what it thinks of it. */
static void plan_params(struct probe_plan *p)
{
    static const struct {
        const char *option, *name, *value;
    } flags[] = { { "8bitmime", "BODY", "8BITMIME" }, { "smtputf8", "SMTPUTF8", NULL }, { "requiretls", "REQUIRETLS", NULL } };
    struct probe_options *said = p->said;
    struct buf words = BUF_INIT, xtext = BUF_INIT;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (said_flag(said, flags[i].option))
            param(&p->mail_params, flags[i].name, flags[i].value);
    if (said_text(said, "size"))
        param(&p->mail_params, "SIZE", said_text(said, "size"));
    if (said_text(said, "dsn_return"))
        param(&p->mail_params, "RET", ascii_ieq(said_text(said, "dsn_return"), "full") ? "FULL" : "HDRS");
    if (said_text(said, "dsn_envid")) {
        xtext_encode(&xtext, said_text(said, "dsn_envid"), strlen(said_text(said, "dsn_envid")));
        param(&p->mail_params, "ENVID", xtext.data);
    }
    for (size_t i = 0; i < said->n; i++) {
        if (said_is(&said->v[i], "mail_param"))
            strlist_add(&p->mail_params, said->v[i].value);
        if (said_is(&said->v[i], "rcpt_param"))
            strlist_add(&p->rcpt_params, said->v[i].value);
        if (said_is(&said->v[i], "dsn_notify"))
            buf_printf(&words, "%s%s", words.len ? "," : "", said->v[i].value);
    }
    for (size_t i = 0; i < words.len; i++)
        words.data[i] = ascii_upper(words.data[i]);
    if (words.len)
        param(&p->rcpt_params, "NOTIFY", words.data);
    buf_free(&words);
    buf_free(&xtext);
}

static void plan_caps(struct probe_plan *p)
{
    struct session_probe *s = &p->probe.session;
    s->caps_ignored = UNASKED;
    if (said_flag(p->said, "pipeline"))
        s->caps_ignored &= ~(uint32_t)CAP_PIPELINING;
    if (said_flag(p->said, "size") && !said_text(p->said, "size"))
        s->caps_ignored &= ~(uint32_t)CAP_SIZE;
    if (said_flag(p->said, "bdat")) {
        s->caps_ignored &= ~(uint32_t)CAP_CHUNKING;
        s->caps_assumed |= CAP_CHUNKING;
    }
    if (said_flag(p->said, "auth_unadvertised"))
        s->caps_assumed |= CAP_AUTH;
}

static void xclient_end(struct probe_plan *p, struct buf *line)
{
    if (line->len)
        strlist_add(&p->xclient, line->data);
    buf_reset(line);
}

/* Attributes share a command until --xclient-delim or --xclient. */
static void plan_xclient(struct probe_plan *p)
{
    struct session_probe *s = &p->probe.session;
    struct buf line = BUF_INIT;
    for (size_t i = 0; i < p->said->n; i++) {
        const struct saying *said = &p->said->v[i];
        if (!said->o->name || strncmp(said->o->name, "xclient", 7) != 0)
            continue;
        if (said_is(said, "xclient") || said_is(said, "xclient_delim"))
            xclient_end(p, &line);
        if (said_is(said, "xclient"))
            strlist_add(&p->xclient, said->value);
        if (said->o->type == OPTION_FLAG || said_is(said, "xclient") || !*said->value)
            continue;
        buf_adds(&line, line.len ? " " : "");
        for (const char *c = said->o->name + strlen("xclient_"); *c; c++)
            buf_addc(&line, ascii_upper(*c));
        buf_addc(&line, '=');
        xtext_encode(&line, said->value, strlen(said->value));
    }
    xclient_end(p, &line);
    buf_free(&line);
    s->xclient = p->xclient.n ? &p->xclient : NULL;
    s->xclient_unverified = said_flag(p->said, "xclient_no_verify") || said_last(p->said, "xclient");
    s->xclient_before_tls = said_flag(p->said, "xclient_before_starttls");
    s->xclient_need = said_flag(p->said, "xclient_optional_strict") ? NEED_STRICT
                      : said_flag(p->said, "xclient_optional")      ? NEED_MAY
                                                                    : NEED_REQUIRED;
}

static void plan_dialogue(struct probe_plan *p, const struct protocol *protocol)
{
    struct session_probe *s = &p->probe.session;
    s->helo = protocol->hello == HELO;
    s->as_is = true;
    s->hear_quit = true;
    s->prdr = said_flag(p->said, "prdr");
    s->raw_body = said_flag(p->said, "no_data_fixup");
    s->decode_auth = said_flag(p->said, "auth_plaintext");
    plan_caps(p);
    plan_xclient(p);
    plan_params(p);
    s->mail_params = &p->mail_params;
    s->rcpt_params = &p->rcpt_params;
}

/* ---- output ---- */

/* "&STDOUT" and "&STDERR" are the streams themselves. */
static char *output_of(const struct probe_options *said, const char *option, const char *itself)
{
    const char *file = said_text(said, option) ? said_text(said, option) : said_text(said, "output_file");
    return file && strcmp(file, itself) != 0 ? xstrdup(file) : NULL;
}

static bool plan_lapse(struct probe_plan *p, struct err *e)
{
    const struct saying *s = said_last(p->said, "show_time_lapse");
    if (s && *s->value && ascii_lower(*s->value) != 'i') {
        said_wrong(s, e, "cannot be '%s'", s->value);
        return err_hint(e, "write i for whole seconds, or nothing");
    }
    p->show.lapse = !s ? PROBE_LAPSE_OFF : *s->value ? PROBE_LAPSE_SECONDS : PROBE_LAPSE_EXACT;
    return true;
}

static char *peer_file(const struct probe_options *said, const char *option)
{
    const char *file = said_text(said, option);
    return said_flag(said, option) ? xstrdup(file ? file : "-") : NULL;
}

static bool plan_output(struct probe_plan *p, struct err *e)
{
    const struct probe_options *said = p->said;
    const struct {
        const char *option;
        bool *at;
    } flags[] = {
        { "hide_send", &p->show.hide_send },         { "hide_receive", &p->show.hide_receive },
        { "hide_informational", &p->show.hide_info }, { "hide_all", &p->show.hide_all },
        { "no_send_hints", &p->show.no_send_hints }, { "no_receive_hints", &p->show.no_receive_hints },
        { "no_info_hints", &p->show.no_info_hints }, { "suppress_data", &p->show.no_data },
        { "show_raw_text", &p->show.raw },           { "auth_plaintext", &p->show.decoded },
        { "json", &p->json },                        { "all_mx", &p->all_mx },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        *flags[i].at = said_flag(said, flags[i].option);
    if (said_flag(said, "no_hints"))
        p->show.no_send_hints = p->show.no_receive_hints = true;
    const char *silent = said_text(said, "silent");
    p->show.silence = !said_flag(said, "silent") ? PROBE_LOUD
                      : silent && strcmp(silent, "2") == 0 ? PROBE_ERRORS_ONLY
                      : silent && strcmp(silent, "3") == 0 ? PROBE_SILENT : PROBE_UNTIL_ERROR;
    p->output = output_of(said, "output_file_stdout", "&STDOUT");
    p->errors = output_of(said, "output_file_stderr", "&STDERR");
    p->peer_cert = peer_file(said, "tls_get_peer_cert");
    p->peer_chain = peer_file(said, "tls_get_peer_chain");
    p->dns_server = said_text(said, "dns_server") ? xstrdup(said_text(said, "dns_server")) : NULL;
    p->probe.keep_pem = p->peer_cert || p->peer_chain;
    p->repeat = said_text(said, "repeat") ? atol(said_text(said, "repeat")) : 1;
    p->parallel = said_text(said, "parallel") ? atol(said_text(said, "parallel")) : 1;
    return plan_lapse(p, e);
}

/* ---- the account ---- */

static bool plan_timeout(struct probe_plan *p, struct settings *account, bool of_file, struct err *e)
{
    const struct saying *s = said_last(p->said, "timeout");
    const char *text = s && *s->value ? s->value : DEFAULT_TIMEOUT;
    struct err why = ERR_INIT;
    size_t zeros = strspn(text, "0");
    if ((!s && of_file) || (s && zeros && zeros == strcspn(text, "smhSMH")))
        return (!s && of_file) || (probe_say(account, "timeout", LONGEST, s, e) && probe_say(account, "deadline", LONGEST, s, e));
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
    if (helo || name.len)
        replace(&p->account.domain, helo ? helo : name.data); /* as said, also where that is no name */
    buf_free(&name);
    probe_login_finish(p);
    return true;
}

/* Without --account: everything is said here. */
static bool plan_alone(struct probe_plan *p, struct settings *account, const struct protocol *protocol, struct err *e)
{
    struct hop hop = { .verify = true };
    tls_said(p->said, protocol, &hop.tls);
    hop.port = default_port(protocol, hop.tls);
    bool ok = plan_target(p, account, &hop, e) && probe_say(account, "protocol", protocol->hello == LHLO ? "lmtp" : "smtp", NULL, e) &&
              probe_say(account, "tls", hop.tls == SESSION_TLS_OFF ? "off" : hop.tls == SESSION_TLS_MAY ? "auto" : "on", NULL, e) &&
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
static bool plan_from_file(struct probe_plan *p, struct settings *account, const struct protocol *protocol, const char *name,
                           struct err *e)
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
    ok = ok && chosen && (!target || plan_target(p, account, &hop, e)) && plan_timeout(p, account, true, e) &&
         (!said_flag(p->said, "protocol") || probe_say(account, "protocol", protocol->hello == LHLO ? "lmtp" : "smtp", NULL, e)) &&
         (!said_flag(p->said, "auth_user") || probe_login(p, account, tls, protocol->auth, e)) && bind_account(p, chosen, account, e) &&
         route_find(&p->route, &p->account, e);
    if (ok && tls_here) {
        p->route.v->tls = tls;
        p->route.v->verify = true;
    }
    if (ok && target) {
        strlist_copy(&p->route.v->command, &hop.command);
    } else if (ok) {
        free(p->said->target);
        p->said->target = p->account.socket ? xstrdup(p->account.socket) : xasprintf("%s:%ld", p->account.host, p->account.port);
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
    bool target = said_flag(p->said, "server") || said_flag(p->said, "socket") || said_flag(p->said, "pipe") || said_flag(p->said, "account");
    return probe_options_ask(p->said, needs_recipient(p) || !target, e);
}

bool probe_plan_make(struct probe_plan *p, int argc, char *const *argv, struct err *e)
{
    *p = (struct probe_plan){ .preamble = BUF_INIT, .repeat = 1, .parallel = 1 };
    p->said = xcalloc(1, sizeof *p->said);
    if (!probe_options_read(p->said, argc - 1, argv + 1, e))
        return false;
    p->job = job_of(p->said);
    if (p->job == PROBE_HELP || p->job == PROBE_VERSION || p->job == PROBE_SUPPORT)
        return true;
    const struct protocol *protocol = protocol_of(p->said);
    if (!only_one_target(p->said, e) || !plan_stops(p, e) || !ask(p, e) || !plan_output(p, e))
        return false;
    plan_envelope(p);
    plan_dialogue(p, protocol);
    if (needs_recipient(p) && p->env.n == 0) {
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
