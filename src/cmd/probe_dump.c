/* probe_dump: what a plan comes to, for people: --dump, --dump-as-body and --support. Secrets are never shown but where
 * that was asked for by name. */
#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"
#include "base/ascii.h"
#include "cmd/probe_parts.h"
#include "smtp/caps.h"

enum { COLUMN = 18 };

struct dump {
    const struct probe_plan *p;
    struct buf *out;
    bool password;
};

static void line(const struct dump *d, const char *name, const char *value)
{
    buf_printf(d->out, "  %-*s = %s\n", COLUMN, name, value ? value : "");
}

static void number(const struct dump *d, const char *name, long value)
{
    buf_printf(d->out, "  %-*s = %ld\n", COLUMN, name, value);
}

static void flag(const struct dump *d, const char *name, bool on)
{
    line(d, name, on ? "TRUE" : "FALSE");
}

static void said(const struct dump *d, const char *name, const char *option)
{
    line(d, name, said_text(d->p->said, option));
}

static void list(const struct dump *d, const char *name, const struct strlist *l)
{
    struct buf all = BUF_INIT;
    for (size_t i = 0; i < l->n; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", l->v[i]);
    line(d, name, all.data);
    buf_free(&all);
}

/* ---- the sections ---- */

static void quoted(struct buf *out, const char *text)
{
    buf_addc(out, '\'');
    for (; *text; text++)
        if (*text == '\'')
            buf_adds(out, "'\\''");
        else
            buf_addc(out, *text);
    buf_addc(out, '\'');
}

static void app(const struct dump *d)
{
    const struct probe_options *o = d->p->said;
    buf_adds(d->out, "App Info:\n");
    line(d, "X-Mailer", "envoi " PACKAGE_VERSION);
    buf_printf(d->out, "  %-*s = envoi probe", COLUMN, "Cmd Line");
    for (size_t i = 0; i < o->n; i++) {
        const struct saying *s = &o->v[i];
        buf_adds(d->out, s->o->name ? " --" : " -");
        for (const char *c = s->o->name ? s->o->name : "g"; *c; c++)
            buf_addc(d->out, *c == '_' ? '-' : *c);
        if (s->o->type == OPTION_FLAG || !*s->value)
            continue;
        buf_addc(d->out, ' ');
        quoted(d->out, (s->o->flags & OPTION_SECRET) && !d->password ? "***" : s->value);
    }
    buf_addc(d->out, '\n');
}

static void output(const struct dump *d)
{
    static const char *const lapses[] = { "FALSE", "TRUE (hires)", "TRUE (integer)" };
    const struct show_probe *s = &d->p->show;
    buf_adds(d->out, "Output Info:\n");
    line(d, "show_time_lapse", lapses[s->lapse]);
    flag(d, "show_raw_text", s->raw);
    flag(d, "suppress_data", s->no_data);
    flag(d, "protect_prompt", said_flag(d->p->said, "protect_prompt"));
    flag(d, "no_hints_send", s->no_send_hints);
    flag(d, "no_hints_recv", s->no_receive_hints);
    flag(d, "no_hints_info", s->no_info_hints);
    number(d, "silent", s->silence);
    flag(d, "dump_mail", said_flag(d->p->said, "dump_mail"));
    flag(d, "hide_send", s->hide_send);
    flag(d, "hide_receive", s->hide_receive);
    flag(d, "hide_informational", s->hide_info);
    flag(d, "hide_all", s->hide_all);
    flag(d, "json", d->p->json);
    line(d, "trans_fh_of", d->p->output ? d->p->output : "STDOUT");
    line(d, "trans_fh_ef", d->p->errors ? d->p->errors : "STDERR");
}

/* The proxy without user and password. */
static void via(const struct dump *d)
{
    const char *url = said_text(d->p->said, "via"), *host = url ? strstr(url, "://") : NULL,
               *at = host ? strrchr(host, '@') : NULL;
    char *shown = at ? xasprintf("%.*s%s", (int)(host + 3 - url), url, at + 1) : NULL;
    line(d, "via", shown ? shown : url);
    free(shown);
}

static void transport(const struct dump *d)
{
    const struct probe_plan *p = d->p;
    const struct hop *hop = p->route.v;
    buf_adds(d->out, "Transport Info:\n");
    if (!hop || hop->socket || hop->command.n) {
        line(d, "type", !hop ? "none" : hop->socket ? "socket-unix" : "pipe");
        line(d, hop && hop->socket ? "sockfile" : "process", p->show.target);
        return;
    }
    line(d, "type", "socket-inet");
    line(d, "inet protocol", p->account.ipv4_only ? "4" : p->account.ipv6_only ? "6" : "any");
    line(d, "server", p->mx_domain ? NULL : hop->host);
    line(d, "MX of", p->mx_domain);
    flag(d, "all MX", p->all_mx);
    number(d, "port", hop->port);
    line(d, "local interface", p->account.source_ip);
    number(d, "local port", p->probe.source_port);
    said(d, "copy routing", "copy_routing");
    via(d);
}

static void protocol(const struct dump *d)
{
    const struct probe_plan *p = d->p;
    struct strlist to = STRLIST_INIT;
    for (size_t i = 0; i < p->env.n; i++)
        strlist_add(&to, p->env.rcpts[i].address);
    buf_adds(d->out, "Protocol Info:\n");
    line(d, "protocol", p->account.protocol == ACCOUNT_LMTP ? "lmtp" : p->probe.session.helo ? "smtp" : "esmtp");
    line(d, "helo", p->account.domain);
    line(d, "from", p->env.sender);
    list(d, "to", &to);
    flag(d, "force getpwuid", said_flag(p->said, "force_getpwuid"));
    said(d, "quit after", "quit_after");
    said(d, "drop after", "drop_after");
    said(d, "drop after send", "drop_after_send");
    number(d, "timeout", (long)(p->account.timeout / USEC_PER_SEC));
    flag(d, "pipeline", !(p->probe.session.caps_ignored & CAP_PIPELINING));
    flag(d, "prdr", p->probe.session.prdr);
    flag(d, "bdat", !(p->probe.session.caps_ignored & CAP_CHUNKING));
    list(d, "MAIL parameters", &p->mail_params);
    list(d, "RCPT parameters", &p->rcpt_params);
    strlist_free(&to);
}

static const char *need(enum session_need need_)
{
    return need_ == NEED_REQUIRED ? "required" : need_ == NEED_STRICT ? "optional-strict" : "optional";
}

static void xclient(const struct dump *d)
{
    const struct session_probe *s = &d->p->probe.session;
    buf_adds(d->out, "XCLIENT Info:\n");
    line(d, "xclient", s->xclient ? need(s->xclient_need) : "no");
    if (!s->xclient)
        return;
    flag(d, "no_verify", s->xclient_unverified);
    flag(d, "before starttls", s->xclient_before_tls);
    for (size_t i = 0; i < s->xclient->n; i++)
        line(d, "strings", s->xclient->v[i]);
}

static void proxy(const struct dump *d)
{
    static const char *const options[] = {
        "family", "source", "source_port", "dest", "dest_port", "protocol", "command",
    };
    const struct probe_options *o = d->p->said;
    buf_adds(d->out, "PROXY Info:\n");
    line(d, "proxy", d->p->probe.preamble ? "yes" : "no");
    if (!d->p->probe.preamble)
        return;
    line(d, "version", said_text(o, "proxy_version") ? said_text(o, "proxy_version") : "1");
    if (said_text(o, "proxy"))
        said(d, "raw string", "proxy");
    for (size_t i = 0; !said_text(o, "proxy") && i < sizeof options / sizeof *options; i++) {
        char *option = xasprintf("proxy_%s", options[i]);
        said(d, options[i], option);
        free(option);
    }
    line(d, "header", d->p->preamble_line);
}

static void tls(const struct dump *d)
{
    static const char *const words[] = {
        "no", "starttls (optional)", "starttls (optional-strict)", "starttls (required)", "on connect (required)",
    };
    const struct probe_plan *p = d->p;
    enum session_tls level = p->route.n ? p->route.v->tls : SESSION_TLS_OFF;
    buf_adds(d->out, "TLS / Encryption Info:\n");
    line(d, "tls", words[level]);
    if (level == SESSION_TLS_OFF)
        return;
    line(d, "peer cert", p->peer_cert);
    line(d, "peer chain", p->peer_chain);
    said(d, "local cert", "tls_cert");
    said(d, "local key", "tls_key");
    said(d, "local chain", "tls_chain");
    said(d, "local cipher list", "tls_cipher");
    said(d, "requested versions", "tls_protocol");
    line(d, "GnuTLS priorities", p->account.tls_priorities);
    said(d, "ca path", "tls_ca_path");
    said(d, "sni string", "tls_sni");
    line(d, "verify server cert",
         p->probe.any_certificate ? "FALSE"
         : p->probe.any_name      ? "issuer"
         : p->probe.any_issuer    ? "name"
                                  : "TRUE");
}

static void auth(const struct dump *d)
{
    const struct probe_plan *p = d->p;
    bool on = p->account.auth && strcmp(p->account.auth, "off") != 0;
    buf_adds(d->out, "Authentication Info:\n");
    line(d, "auth", on ? need(p->probe.session.auth_need) : "no");
    if (!on)
        return;
    line(d, "username", p->account.user);
    line(d, "password", d->password ? p->account.password : "***");
    flag(d, "show plaintext", p->show.decoded);
    line(d, "allowed types", strcmp(p->account.auth, "on") == 0 ? "any" : p->account.auth);
    said(d, "extras", "auth_extra");
    said(d, "type map", "auth_map");
}

static void data(const struct dump *d)
{
    struct message m;
    struct err e = ERR_INIT;
    const char *block;
    size_t n = 0;
    message_init(&m);
    buf_adds(d->out, "DATA Info:\n  data = <<.\n");
    bool ok = probe_data_message(d->p, &m, &e);
    while (ok && message_next(&m, &block, &n, &e) && n)
        for (size_t i = 0; i < n; i++)
            if (block[i] != '\r')
                buf_addc(d->out, block[i]);
    buf_adds(d->out, ".\n");
    if (err_is_set(&e))
        line(d, "error", e.text);
    err_clear(&e);
    message_free(&m);
}

static void support(const struct dump *d)
{
    static const struct {
        const char *name, *version;
    } features[] = {
        { "TLS", VERSION_GNUTLS },          { "AUTH SCRAM, CRAM-MD5, DIGEST-MD5, NTLM, GSSAPI", VERSION_LIBGSASL },
        { "Internationalized names", VERSION_LIBIDN2 }, { "Keyring", VERSION_LIBSECRET },
    };
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        buf_printf(d->out, "%s %s%s\n", *features[i].version ? "===" : "***", features[i].name,
                   *features[i].version ? " supported" : " not available: left out of this binary");
    buf_adds(d->out, "=== AUTH mechanisms:");
    for (const char *const *m = sasl_mechanisms(); *m; m++)
        buf_printf(d->out, " %s", *m);
    buf_adds(d->out,
             "\n=== Transports: network, unix socket, pipe\n=== IPv6, MX routing, netrc credentials supported\n");
}

static const struct {
    const char *name;
    void (*print)(const struct dump *d);
    bool in_body; /* --dump-as-body has it, too */
} sections[] = {
    { "support", support, false },  { "app", app, true },         { "output", output, true },
    { "transport", transport, true }, { "protocol", protocol, true }, { "xclient", xclient, true },
    { "proxy", proxy, true },       { "tls", tls, true },         { "auth", auth, true },
    { "data", data, false },
};

void probe_dump_sections(const struct probe_plan *p, const char *wanted, bool as_body, bool password, struct buf *out)
{
    const struct dump d = { p, out, password };
    struct strlist names = STRLIST_INIT;
    size_t start = out->len;
    strlist_split(&names, wanted ? wanted : "all", ", ");
    bool all = strlist_has_nocase(&names, "all");
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        if ((!all && !strlist_has_nocase(&names, sections[i].name)) || (as_body && !sections[i].in_body))
            continue;
        buf_adds(out, out->len > start ? "\n" : "");
        sections[i].print(&d);
    }
    strlist_free(&names);
}

void probe_dump(const struct probe_plan *p, struct buf *out)
{
    bool support_only = p->job == PROBE_SUPPORT;
    probe_dump_sections(p, support_only ? "support" : said_text(p->said, "dump"), false, false, out);
}
