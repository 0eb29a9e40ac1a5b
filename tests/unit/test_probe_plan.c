/* probe_plan: what swaks's options, files and variables come to; the octets of PROXY headers and of messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "cmd/probe.h"
#include "cmd/probe_said.h"
#include "smtp/caps.h"

static char directory[] = "/tmp/envoi-test-plan-XXXXXX";

static char *in_directory(const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", directory, name);
    FILE *f = text ? fopen(path, "w") : NULL;
    if (f) {
        fputs(text, f);
        fclose(f);
    }
    return path;
}

/* Arguments in one string, parted by '|'; %D is the directory. */
static void arguments(struct strlist *argv, const char *text)
{
    strlist_add(argv, "probe");
    for (const char *end; *text; text = end + (*end == '|')) {
        struct buf word = BUF_INIT;
        end = text + strcspn(text, "|");
        for (const char *c = text; c < end; c++)
            if (c[0] == '%' && c[1] == 'D' && c[2] == '/')
                buf_adds(&word, directory), c++;
            else
                buf_addc(&word, *c);
        strlist_add_own(argv, buf_steal(&word));
    }
}

/* Standard input holds `input`; NULL: nothing. What is printed (prompts) is lost. */
static bool make_with(struct probe_plan *p, const char *line, const char *input, struct err *e)
{
    struct strlist argv = STRLIST_INIT;
    char *path = in_directory("input", input ? input : "");
    int in = dup(STDIN_FILENO), out = dup(STDOUT_FILENO), from = open(path, O_RDONLY), null = open("/dev/null", O_WRONLY);
    arguments(&argv, line);
    fflush(stdout);
    dup2(from, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    bool ok = probe_plan_make(p, (int)argv.n, argv.v, e);
    fflush(stdout);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    close(in), close(out), close(from), close(null);
    free(path);
    strlist_free(&argv);
    return ok;
}

static void add_list(struct buf *out, const char *name, const struct strlist *l)
{
    for (size_t i = 0; l && i < l->n; i++)
        buf_printf(out, " %s=%s", name, l->v[i]);
}

/* The plan in words, each between blanks. */
static void facts(const struct probe_plan *p, struct buf *out)
{
    const struct account *a = &p->account;
    const struct hop *h = p->route.v;
    const struct session_probe *s = &p->probe.session;
    buf_printf(out, " job=%d ", (int)p->job);
    if (!h)
        return;
    buf_printf(out, " host=%s port=%d socket=%s tls=%d verify=%d mx=%s", h->host ? h->host : "-", h->port, h->socket ? h->socket : "-",
               (int)h->tls, h->verify, p->mx_domain ? p->mx_domain : "-");
    add_list(out, "command", &h->command);
    buf_printf(out, " protocol=%d helo=%d domain=%s from=<%s>", a->protocol, s->helo, a->domain, p->env.sender);
    for (size_t i = 0; i < p->env.n; i++)
        buf_printf(out, " to=<%s>", p->env.rcpts[i].address);
    buf_printf(out, " quit=%d drop=%d send=%d preamble_only=%d timeout=%lld", (int)s->quit_after, (int)s->drop_after, (int)s->drop_after_send,
               p->probe.stop_after_preamble, (long long)(a->timeout / USEC_PER_SEC));
    buf_printf(out, " auth=%s user=<%s> password=<%s> need=%d anyway=%d", a->auth, a->user ? a->user : "-", a->password ? a->password : "-",
               (int)s->auth_need, p->probe.secret_anyway);
    add_list(out, "xclient", s->xclient);
    add_list(out, "mail", s->mail_params);
    add_list(out, "rcpt", s->rcpt_params);
    buf_printf(out, " xneed=%d any=%d anyname=%d anyissuer=%d sni=%s prio=%s", (int)s->xclient_need, p->probe.any_certificate, p->probe.any_name,
               p->probe.any_issuer, p->probe.sni ? p->probe.sni : "-", a->tls_priorities ? a->tls_priorities : "-");
    buf_printf(out, " ip=%s sport=%d target=%s ignored=%#x assumed=%#x", a->source_ip ? a->source_ip : "-", p->probe.source_port,
               p->show.target ? p->show.target : "-", (unsigned)s->caps_ignored, (unsigned)s->caps_assumed);
    buf_printf(out, " silence=%d lapse=%d output=%s errors=%s cert=%s chain=%s via=%s:%ld/%d ", p->show.silence, p->show.lapse,
               p->output ? p->output : "-", p->errors ? p->errors : "-", p->peer_cert ? p->peer_cert : "-", p->peer_chain ? p->peer_chain : "-",
               a->proxy_host ? a->proxy_host : "-", a->proxy_port, a->proxy_type);
}

static void expect(const char *line, const struct probe_plan *p, const char *expected)
{
    struct buf all = BUF_INIT;
    struct strlist words = STRLIST_INIT;
    facts(p, &all);
    strlist_split(&words, expected, "|");
    for (size_t i = 0; i < words.n; i++) {
        char *word = xasprintf(" %s ", words.v[i]);
        if (!strstr(all.data, word))
            fail_msg("%s: no '%s' in %s", line, words.v[i], all.data);
        free(word);
    }
    strlist_free(&words);
    buf_free(&all);
}

static const struct { const char *line, *expected; } plans[] = {
    /* where to */
    { "-t|a@b.example|-s|h", "host=h|port=25|mx=-|to=<a@b.example>|tls=0|target=h:25|timeout=30|auth=off" },
    { "--to|a@b.example|--server|h:2525", "host=h|port=2525" },
    { "--to=a@b.example|--server=h/2525", "host=h|port=2525" },
    { "-t|a@b|-s|[2001:db8::1]:26", "host=2001:db8::1|port=26" },
    { "-t|a@b|-s|[2001:db8::1]", "host=2001:db8::1|port=25" },
    { "-t|a@b|-s|2001:db8::1", "host=2001:db8::1|port=25" },
    { "-t|a@b|-s|2001:db8::1/26", "host=2001:db8::1|port=26" },
    { "-t|a@b|-s|h|-p|smtp", "port=25" },
    { "-t|a@b|-s|h:26|-p|27", "port=26" },
    { "-t|a@b|-s|h|-li|192.0.2.1:99", "ip=192.0.2.1|sport=99" },
    { "-t|a@b|-s|h|-lp|99", "sport=99" },
    { "-t|a@b,c@d.example", "mx=d.example|host=d.example|target=-" },
    { "-t|a@b|--copy-routing|x.example", "mx=x.example" },
    { "-t|a@b|--copy-routing|u@x.example", "mx=x.example" },
    { "-t|a@[192.0.2.7]", "mx=-|host=192.0.2.7" },
    { "-t|a@[IPv6:2001:db8::7]", "mx=-|host=2001:db8::7" },
    { "-t|root", "mx=-|host=localhost" },
    { "-t|a@b|--socket|/run/lmtp|--protocol|LMTP", "socket=/run/lmtp|protocol=1|target=/run/lmtp" },
    { "-t|a@b|--pipe|exim -bh '192.0.2.1 x' \"a\\\"b\" c\\ d", "command=exim|command=-bh|command=192.0.2.1 x|command=a\"b|command=c d" },
    /* protocol and TLS */
    { "-t|a@b|-s|h|--protocol|SMTP", "helo=1|protocol=0|port=25|tls=0" },
    { "-t|a@b|-s|h|--protocol|smtps", "helo=1|port=465|tls=4" },
    { "-t|a@b|-s|h|--protocol|ssmtp", "helo=0|port=465|tls=4" },
    { "-t|a@b|-s|h|--protocol|esmtps", "helo=0|port=25|tls=3" },
    { "-t|a@b|-s|h|--protocol|lmtps", "protocol=1|port=24|tls=3" },
    { "-t|a@b|-s|h|--protocol|esmtpsa|-au|u|-ap|p", "tls=3|auth=on|user=<u>|password=<p>|need=0" },
    { "-t|a@b|-s|h|-tls", "tls=3|any=1|verify=1" },
    { "-t|a@b|-s|h|-tlso", "tls=1" },
    { "-t|a@b|-s|h|-tlsos", "tls=2" },
    { "-t|a@b|-s|h|-tlsc", "tls=4|port=465" },
    { "-t|a@b|-s|h|-tlsc|-p|25", "tls=4|port=25" },
    { "-t|a@b|-s|h|-tls|--tls-verify", "any=0|anyname=0|anyissuer=0|verify=1" },
    { "-t|a@b|-s|h|-tls|--tls-verify-ca", "any=0|anyname=1|anyissuer=0" },
    { "-t|a@b|-s|h|-tls|--tls-verify-host", "any=0|anyname=0|anyissuer=1" },
    { "-t|a@b|-s|h|-tls|--no-tls-verify|-au|u|-ap|p", "verify=0|anyway=1" },
    { "-t|a@b|-s|h|-tls|--tls-verify|--no-tls-verify|--tls-verify", "verify=1|any=0" },
    { "-t|a@b|-s|h|-tls|--tls-sni|x.example", "sni=x.example" },
    { "-t|a@b|-s|h|-tls|--tls-protocol|tlsv1_2", "prio=NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2" },
    { "-t|a@b|-s|h|-tls|-tlsp|no_sslv2,no_tlsv1_3", "prio=NORMAL:-VERS-TLS1.3" },
    { "-t|a@b|-s|h|-tls|--tls-cipher|AES128-SHA", "prio=NORMAL:-CIPHER-ALL:-MAC-ALL:-KX-ALL:+AES-128-CBC:+SHA1:+RSA:-VERS-TLS1.3" },
    { "-t|a@b|-s|h|-tls|--tls-cipher|SECURE256:-MAC-ALL", "prio=SECURE256:-MAC-ALL" },
    { "-t|a@b|-s|h|-tls|--tls-get-peer-cert", "cert=-" },
    { "-t|a@b|-s|h|-tls|--tls-get-peer-chain|/x", "chain=/x" },
    /* stops */
    { "-s|h|-q|connect", "quit=1" },
    { "-s|h|--quit|BANNER", "quit=1" },
    { "-s|h|--quit-after|first-helo", "quit=2" },
    { "-s|h|-da|XCLIENT", "drop=3" },
    { "-s|h|-da|xclient-helo", "drop=4" },
    { "-s|h|-das|STARTTLS", "send=5" },
    { "-s|h|-q|ehlo", "quit=6" },
    { "-s|h|-q|auth", "quit=7" },
    { "-s|h|-q|from", "quit=8" },
    { "-s|h|-t|a@b|-q|TO", "quit=9" },
    { "-s|h|-t|a@b|-da|data", "drop=10" },
    { "-s|h|-t|a@b|-das|dot", "send=11" },
    { "-s|h|-das|proxy|--proxy|TCP4 a", "preamble_only=1|send=0" },
    /* dialogue */
    { "-s|h|-t|a@b|-f|<>", "from=<>" },
    { "-s|h|-t|a@b|-f|me@x|-h|name", "from=<me@x>|domain=name" },
    { "-s|h|-t|a@b|--lhlo|a b", "domain=a b" },
    { "-s|h|-t|a@b|--cc|c@d|--bcc|e@f", "to=<a@b>|to=<c@d>|to=<e@f>" },
    { "-s|h|-t|a@b|--timeout|5m", "timeout=300" },
    { "-s|h|-t|a@b|--timeout|0", "timeout=86400" },
    { "-s|h|-t|a@b|--timeout|0s", "timeout=86400" },
    { "-s|h|-t|a@b", "ignored=0xafc|assumed=0" },
    { "-s|h|-t|a@b|--pipeline", "ignored=0xaf8" },
    { "-s|h|-t|a@b|--bdat|--auth-unadvertised", "assumed=0xa" },
    { "-s|h|-t|a@b|--8bitmime|--smtputf8|--requiretls|--size|9", "mail=BODY=8BITMIME|mail=SMTPUTF8|mail=REQUIRETLS|mail=SIZE=9" },
    { "-s|h|-t|a@b|--dsn-notify|success,delay|--dsn-notify=failure|--dsn-return|full|--dsn-envid|a b",
      "rcpt=NOTIFY=SUCCESS,DELAY,FAILURE|mail=RET=FULL|mail=ENVID=a+20b" },
    { "-s|h|-t|a@b|--mail-param|X=1|--mail-param|Y|--rcpt-param|Z", "mail=X=1|mail=Y|rcpt=Z" },
    { "-s|h|-t|a@b|--via|socks5://p.example:99", "via=p.example:99/1" },
    { "-s|h|-t|a@b|--via|http://p.example", "via=p.example:8080/2" },
    /* XCLIENT */
    { "-s|h|-t|a@b|--xclient-name|foo|--xclient-addr|192.0.2.1", "xclient=NAME=foo ADDR=192.0.2.1|xneed=0" },
    { "-s|h|-t|a@b|--xclient-helo|a b|--xclient-delim|--xclient-name|n|--xclient-reverse-name|r", "xclient=HELO=a+20b|xclient=NAME=n REVERSE_NAME=r" },
    { "-s|h|-t|a@b|--xclient-addr|a|--xclient|FOO=bar X|--xclient-port|1|--xclient-optional-strict",
      "xclient=ADDR=a|xclient=FOO=bar X|xclient=PORT=1|xneed=1" },
    { "-s|h|-t|a@b|--xclient-optional|--xclient|A", "xneed=2" },
    { "-s|h|-t|a@b|--xclient-delim|--xclient-delim|--xclient-name|n", "xclient=NAME=n" },
    /* login */
    { "-s|h|-t|a@b|-a|-au|u|-ap|p", "auth=on|user=<u>|password=<p>|need=0|anyway=0" },
    { "-s|h|-t|a@b|-a|plain|-au|u|-ap|p", "auth=PLAIN|anyway=1" },
    { "-s|h|-t|a@b|-a|plain|-au|u|-ap|p|-tls", "auth=PLAIN|anyway=0" },
    { "-s|h|-t|a@b|-a|CRAM-MD5,LOGIN|-au|u|-ap|p", "auth=CRAM-MD5,LOGIN" },
    { "-s|h|-t|a@b|-a|FOO,LOGIN|-au|u|-ap|p", "auth=LOGIN" },
    { "-s|h|-t|a@b|-a|SPA|-au|u|-ap|p", "auth=NTLM" },
    { "-s|h|-t|a@b|-a|X|-am|X=PLAIN|-au|u|-ap|p", "auth=PLAIN" },
    { "-s|h|-t|a@b|-ao|-au|u|-ap|p", "auth=on|need=2" },
    { "-s|h|-t|a@b|-aos|login|-au|u|-ap|p", "auth=LOGIN|need=1" },
    { "-s|h|-t|a@b|-au|u%Uu|-ap|p", "auth=on|user=<u%Uu>" },
    { "-s|h|-t|a@b|-au|<>|-ap|<>", "auth=on|user=<>|password=<>" },
    { "-s|h|-t|a@b|-a|external", "auth=EXTERNAL|user=<->" },
    { "-s|netrc.example|-t|a@b|-a", "user=<nu>|password=<np>" },
    { "-s|netrc.example|-t|a@b|-a|-au|other|-ap|x", "user=<other>|password=<x>" },
    /* output */
    { "-s|h|-t|a@b", "silence=0|lapse=0|output=-|errors=-" },
    { "-s|h|-t|a@b|-S", "silence=1" },
    { "-s|h|-t|a@b|-S|2", "silence=2" },
    { "-s|h|-t|a@b|--silent=3|-stl", "silence=3|lapse=1" },
    { "-s|h|-t|a@b|-stl|i", "lapse=2" },
    { "-s|h|-t|a@b|--output|/o", "output=/o|errors=/o" },
    { "-s|h|-t|a@b|--output-file-stderr|&STDOUT", "output=-|errors=&STDOUT" },
    { "-s|h|-t|a@b|--output|/o|--output-file-stdout|&STDOUT", "output=-|errors=/o" },
    /* dialect */
    { "-to|a@b|-server|h", "host=h|to=<a@b>" },
    { "--t|a@b|--s|h", "host=h|to=<a@b>" },
    { "-s|h|-t|a@b|--quit-a|rcpt", "quit=9" },
    { "-s|h|-t|a@b|--proto|lmtp", "protocol=1" },
    { "-s|h|-t|a@b|--auth-u|u|-ap|p", "user=<u>" },
    { "-s|h|-t|a@b|-tls|--no-tls", "tls=0" },
    { "-s|h|-t|a@b|-tls|-no-tls", "tls=0" },
    { "-s|x|-t|a@b|--no-server|--socket|/s", "socket=/s" },
    { "-s|h|-t|x@y|-t|a@b", "to=<a@b>" },
    { "-q|rcpt|--no-quit-after|-s|h|-t|a@b", "quit=0" },
    { "--help", "job=5" }, { "--version", "job=4" }, { "--support", "job=3" },
    { "-s|h|-t|a@b|--dump", "job=1" }, { "-s|h|-t|a@b|--dump-mail", "job=2" },
};

static void command_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct probe_plan p;
        struct err e = ERR_INIT;
        if (!make_with(&p, plans[i].line, NULL, &e))
            fail_msg("%s: %s", plans[i].line, e.text);
        expect(plans[i].line, &p, plans[i].expected);
        probe_plan_free(&p);
    }
}

/* What is wrong, and the end of the hint. */
static void mistakes(void **state)
{
    (void)state;
    static const struct { const char *line, *text, *hint; enum stage stage; } cases[] = {
        { "--srever|h", "'srever' is no option", "did you mean '--server'?", STAGE_NONE },
        { "h", "'h' is no option", "--to h", STAGE_NONE },
        { "-s|h|-t|a|--tls-opt", "'tls-opt' is not unique", "--tls-optional-strict", STAGE_NONE },
        { "-s|h|-t|a|--quit-after", "'quit-after' needs a value", "STOP", STAGE_NONE },
        { "-s|h|-t|a|-tls=x", "'tls' takes no value", "'x'", STAGE_NONE },
        { "-s|h|-t|a|-q|bnner", "'--quit-after' cannot be 'bnner'", "'banner'?", STAGE_NONE },
        { "-s|h|-t|a|-q|data", "there is no QUIT inside a message", "--drop-after-send can", STAGE_NONE },
        { "-s|h|-t|a|--protocol|xmtp", "'--protocol' cannot be 'xmtp'", "?", STAGE_NONE },
        { "-s|h|-t|a|-p|nosuchservice", "'--port' has no port", "/etc/services", STAGE_NONE },
        { "-s|h|--socket|/s|-t|a", "exclude each other", "file says", STAGE_NONE },
        { "-s|192.0.2.1|-6|-t|a", "-6 and the server's address is IPv4", "out", STAGE_NONE },
        { "-s|::1|-4|-t|a", "-4 and the server's address is IPv6", "out", STAGE_NONE },
        { "-s|h|-4|-6|-t|a", "-4 and -6", "out", STAGE_NONE },
        { "-s|::1|-li|192.0.2.1|-t|a", "of two kinds", "out", STAGE_NONE },
        { "-s|h|-t|a|--timeout|x", "'--timeout' is a time", "no timeout", STAGE_NONE },
        { "-s|h|-t|a|-stl|x", "'--show-time-lapse' cannot be 'x'", "write i", STAGE_NONE },
        { "-s|h|-t|a\nb", "'--to' holds a line break", "command", STAGE_NONE },
        { "-s|h|-t|a|-tls|--tls-cert|/x", "without '--tls-key'", "both", STAGE_NONE },
        { "-s|h|-t|a|-tls|--tls-cipher|AES128-SHB", "no cipher 'AES128-SHB'", "'AES128-SHA'?", STAGE_NONE },
        { "-s|h|-t|a|-tls|--tls-protocol|tlsv1_9", "no version", "no_", STAGE_NONE },
        { "-s|h|-t|a|-tls|--tls-protocol|tlsv1,no_tlsv1_1", "both versions and no_ versions", "not", STAGE_NONE },
        { "-s|h|-t|a|-tls|--tls-ca-path|/nonexistent", "neither a file nor a directory", NULL, STAGE_NONE },
        { "-s|h|-t|a|-a|CRAM-SHA1|-au|u|-ap|p", "names no mechanism we know", "?", STAGE_AUTH },
        { "-s|h|-t|a|-au|u|-ap|p|-ae|x", "has no '=' in 'x'", "example.org", STAGE_NONE },
        { "-s|h|-t|a|--data|@/nonexistent", "cannot be read", "begins with '@'", STAGE_NONE },
        { "-s|h|-t|a|--attach|@/", "Is a directory", "'@'", STAGE_NONE },
        { "-s|h|-t|a|-ndf", "without '--data'", "@FILE", STAGE_NONE },
        { "-s|h|-t|a|--pipe|'x", "exclude", NULL, STAGE_NONE },
        { "--pipe|'x|-t|a", "is no command", "pairs", STAGE_NONE },
        { "-s|h|-t|a|--via|proxy:1080", "no URL", "http://", STAGE_NONE },
        { "-s|h|-t|a|--config|/nonexistent", "cannot read '/nonexistent'", NULL, STAGE_NONE },
        { "-s|h|-t|a|--repeat|0", "'--repeat' is a number", NULL, STAGE_NONE },
        { "-s|h|-t|a|--proxy-version|3", "no version of the PROXY header", "1 or 2", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-family|TCP4", "no '--proxy-source'", "together", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-source|1", "no '--proxy-family'", "together", STAGE_PROXY },
        { "-s|h|-t|a|--proxy|x|--proxy-family|TCP4", "does not go with", "goes with it", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-family|AF_INET", "in version 1", "TCP6", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-version|2|--proxy-family|TCP4", "in version 2", "AF_UNIX", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-version|2|--proxy-family|AF_INET|--proxy-source|x|--proxy-dest|192.0.2.1|--proxy-source-port|1|--proxy-dest-port|1",
          "no address", "192.0.2.1", STAGE_PROXY },
        { "-s|h|-t|a|--proxy-version|2|--proxy-command|X", "no word", "LOCAL", STAGE_PROXY },
        { "-t", "nothing was answered to 'To'", "behind its option", STAGE_NONE },
        { "-s|h", "nothing was answered to 'To'", NULL, STAGE_NONE },
        { "-q|connect", "nothing was answered to 'To'", NULL, STAGE_NONE },
        { "-s|h|-t|a|-a", "nothing was answered to 'Username'", NULL, STAGE_NONE },
        { "-s|h|-t|a|-au|u", "nothing was answered to 'Password'", NULL, STAGE_NONE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_plan p;
        struct err e = ERR_INIT;
        if (make_with(&p, cases[i].line, NULL, &e))
            fail_msg("%s: accepted", cases[i].line);
        if (!strstr(e.text, cases[i].text) || (cases[i].hint && (!e.hint || !strstr(e.hint, cases[i].hint))) || e.stage != cases[i].stage)
            fail_msg("%s: %s (%s), stage %d", cases[i].line, e.text, e.hint ? e.hint : "no hint", (int)e.stage);
        err_clear(&e);
        probe_plan_free(&p);
    }
}

static void prompts(void **state)
{
    (void)state;
    static const struct { const char *line, *input, *expected; } cases[] = {
        { "-s|h", "a@b\n", "to=<a@b>" },
        { "-s|h|--to", "\na@b\n", "to=<a@b>" },
        { "--to|--from|--server|--port", "h\nf@x\n99\na@b\n", "host=h|port=99|from=<f@x>|to=<a@b>" },
        { "-s|h|-t|a@b|-a", "u\np\n", "user=<u>|password=<p>" },
        { "-s|h|-t|a@b|-au|-ap", "u\np", "user=<u>|password=<p>" },
        { "-s|h|-t|a@b|--xclient-name", "n\n", "xclient=NAME=n" },
        { "-s|h|--helo|-t|a@b", "name\n", "domain=name" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_plan p;
        struct err e = ERR_INIT;
        if (!make_with(&p, cases[i].line, cases[i].input, &e))
            fail_msg("%s: %s", cases[i].line, e.text);
        expect(cases[i].line, &p, cases[i].expected);
        probe_plan_free(&p);
    }
}

/* File, environment, command line: the later prevails. */
static void places(void **state)
{
    (void)state;
    static const struct { const char *rc, *name, *value, *line, *expected, *error; } cases[] = {
        { "# comment\n--from x@y\n-t a@b\nserver h\n\nhelo name\r\n", NULL, NULL, "", "from=<x@y>|to=<a@b>|host=h|domain=name", NULL },
        { "server h\nto a@b\n", "SWAKS_OPT_server", "e", "", "host=e", NULL },
        { "server h\nto a@b\n", "SWAKS_OPT_server", "e", "-s|c", "host=c", NULL },
        { "server h\nto a@b\ntls\n", NULL, NULL, "--no-tls", "tls=0", NULL },
        { "server h\nto a@b\ntls\n", "SWAKS_OPT_no_tls", "", "", "tls=0", NULL },
        { "server h\nto a@b\n", "SWAKS_OPT_tls_on_connect", "", "", "tls=4", NULL },
        { "server h\nto a@b\nauth-user u v\nap   p p\n", NULL, NULL, "", "user=<u v>|password=<  p p>", NULL },
        { "server=h\n--to=a@b\n", NULL, NULL, "", "host=h|to=<a@b>", NULL },
        { "server h\nto a@b\n", NULL, NULL, "--config|-s|c|-t|x@y", "host=c|to=<x@y>", NULL },
        { "server h\nto a@b\n", "SWAKS_OPT_config", "", "-s|c|-t|x@y|--from|f", "from=<f>", NULL },
        { "server h\nto a@b\nfrm x\n", NULL, NULL, "", NULL, ".swaksrc:3: 'frm' is no option" },
        { "server h\nto a@b\ntls on\n", NULL, NULL, "", NULL, ".swaksrc:3: 'tls' takes no value" },
        { "server h\nto a@b\nport x\n", NULL, NULL, "", NULL, ".swaksrc:3: '--port' has no port in 'x'" },
        { "server h\nto a@b\n", "SWAKS_OPT_quit_after", "x", "", NULL, "SWAKS_OPT_quit_after: '--quit-after' cannot be 'x'" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_plan p;
        struct err e = ERR_INIT;
        char *rc = in_directory(".swaksrc", cases[i].rc);
        if (cases[i].name)
            setenv(cases[i].name, cases[i].value, 1);
        bool ok = make_with(&p, cases[i].line, NULL, &e);
        if (cases[i].name)
            unsetenv(cases[i].name);
        unlink(rc);
        free(rc);
        if (ok != !cases[i].error || (!ok && !strstr(e.text, cases[i].error)))
            fail_msg("%zu: %s", i, e.text ? e.text : "accepted");
        if (ok)
            expect(cases[i].rc, &p, cases[i].expected);
        err_clear(&e);
        probe_plan_free(&p);
    }
}

/* Whoever lists the processes sees no password. */
static void password_is_overwritten(void **state)
{
    (void)state;
    char *argv[] = { strdup("probe"), strdup("-s"), strdup("h"), strdup("-t"), strdup("a@b"), strdup("-au"), strdup("u"), strdup("--ap"),
                     strdup("geheim"), strdup("--auth-password=noch"), NULL };
    struct probe_plan p;
    struct err e = ERR_INIT;
    assert_true(probe_plan_make(&p, 10, argv, &e));
    assert_string_equal(argv[8], "******");
    assert_string_equal(argv[9], "--auth-password=****");
    assert_string_equal(p.account.password, "noch");
    struct buf dump = BUF_INIT;
    probe_dump(&p, &dump);
    assert_null(strstr(dump.data, "noch"));
    assert_non_null(strstr(dump.data, "***"));
    buf_free(&dump);
    probe_plan_free(&p);
    for (size_t i = 0; argv[i]; i++)
        free(argv[i]);
}

#define SIGNATURE "0D0A0D0A000D0A515549540A"
#define V2 "-s|h|-t|a|--proxy-version|2|"
#define ENDS "|--proxy-source-port|56324|--proxy-dest-port|443"

static void proxy_headers(void **state)
{
    (void)state;
    static const struct { const char *line, *hex, *text, *shown; } cases[] = {
        { "-s|h|-t|a|--proxy-family|TCP4|--proxy-source|192.0.2.1|--proxy-dest|192.0.2.2" ENDS, NULL,
          "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443" },
        { "-s|h|-t|a|--proxy-family|tcp6|--proxy-source|2001:db8::1|--proxy-dest|x" ENDS, NULL, "PROXY TCP6 2001:db8::1 x 56324 443\r\n", NULL },
        { "-s|h|-t|a|--proxy-family|UNKNOWN", NULL, "PROXY UNKNOWN\r\n", NULL },
        { "-s|h|-t|a|--proxy|TCP4 broken", NULL, "PROXY TCP4 broken\r\n", "PROXY TCP4 broken" },
        { V2 "--proxy-family|AF_INET|--proxy-source|192.0.2.1|--proxy-dest|192.0.2.2" ENDS,
          SIGNATURE "2111000CC0000201C0000202DC0401BB", NULL, "DQoNCgANClFVSVQKIREADMAAAgHAAAIC3AQBuw==" },
        { V2 "--proxy-family|AF_INET|--proxy-protocol|DGRAM|--proxy-source|192.0.2.1|--proxy-dest|192.0.2.2" ENDS,
          SIGNATURE "2112000CC0000201C0000202DC0401BB", NULL, NULL },
        { V2 "--proxy-family|AF_INET6|--proxy-source|2001:db8::1|--proxy-dest|::1" ENDS,
          SIGNATURE "2121002420010DB8000000000000000000000001" "00000000000000000000000000000001" "DC0401BB", NULL, NULL },
        { V2 "--proxy-family|AF_UNSPEC", SIGNATURE "21000000", NULL, NULL },
        { V2 "--proxy-command|LOCAL", SIGNATURE "20000000", NULL, NULL },
        { V2 "--proxy-command|local|--proxy-family|AF_INET|--proxy-source|192.0.2.1|--proxy-dest|192.0.2.2" ENDS, SIGNATURE "20000000", NULL, NULL },
        { V2 "--proxy|\\x21\\x11\\x00\\x00A\\r\\n\\\\", SIGNATURE "21110000410D0A5C", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct probe_plan p;
        struct err e = ERR_INIT;
        struct buf hex = BUF_INIT;
        if (!make_with(&p, cases[i].line, NULL, &e))
            fail_msg("%s: %s", cases[i].line, e.text);
        assert_ptr_equal(p.probe.preamble, &p.preamble);
        hex_encode(&hex, p.preamble.data, p.preamble.len, "");
        if (cases[i].text)
            assert_string_equal(p.preamble.data, cases[i].text);
        else
            assert_string_equal(hex.data, cases[i].hex);
        if (cases[i].shown)
            assert_string_equal(p.probe.preamble_line, cases[i].shown);
        buf_free(&hex);
        probe_plan_free(&p);
    }
}

static void proxy_header_of_unix_sockets(void **state)
{
    (void)state;
    struct probe_plan p;
    struct err e = ERR_INIT;
    assert_true(make_with(&p, V2 "--proxy-family|AF_UNIX|--proxy-source|/a|--proxy-dest|/bc", NULL, &e));
    assert_int_equal(p.preamble.len, 16 + 216);
    assert_memory_equal(p.preamble.data + 12, "\x21\x31\x00\xd8", 4);
    assert_memory_equal(p.preamble.data + 16, "/a\0", 3);
    assert_memory_equal(p.preamble.data + 16 + 108, "/bc\0", 4);
    probe_plan_free(&p);
}

/* ---- the message ---- */

static void read_all(struct message *m, struct buf *out)
{
    const char *block;
    size_t n;
    struct err e = ERR_INIT;
    while (message_next(m, &block, &n, &e) && n)
        buf_add(out, block, n);
    assert_false(err_is_set(&e));
}

static const struct { const char *line, *input, *message; } messages[] = {
    { "--data|Subject: x\\n\\nbody\\n.dot\\n", NULL, "Subject: x\r\n\r\nbody\r\n.dot\r\n" },
    { "--data|Subject: x\\n\\nbody", NULL, "Subject: x\r\n\r\nbody\r\n" },
    { "-d|A: 1\nB: 2\n\nx\ny", NULL, "A: 1\r\nB: 2\r\n\r\nx\r\ny\r\n" },
    { "--data|Subject: x%NEWLINE%%NEWLINE%body\\n.", NULL, "Subject: x\r\n\r\nbody\r\n" },
    { "--data|From me Sat\\nSubject: x\\n\\nb", NULL, "Subject: x\r\n\r\nb\r\n" },
    { "--data|From me Sat\\nSubject: x\\n\\nb|-nsf", NULL, "From me Sat\r\nSubject: x\r\n\r\nb\r\n" },
    { "--data|no header", NULL, "no header\r\n\r\n" },
    { "--data|@@x: y\\n\\nz", NULL, "@x: y\r\n\r\nz\r\n" },
    { "--data|T: %TO_ADDRESS% F: %FROM_ADDRESS% V: %SWAKS_VERSION% %X%\\n\\n%BODY%|--body|%TO_ADDRESS%\\nb", NULL,
      "T: a@b F: f@x V: " PACKAGE_VERSION " %X%\r\n\r\na@b\r\nb\r\n" },
    { "--data|A: 1\\nB: 2\\n\\nx|--h-a|9|--header|C: 3", NULL, "a: 9\r\nB: 2\r\nC: 3\r\n\r\nx\r\n" },
    { "--data|A: 1\\n fold\\nA: 2\\n\\nx|--header-A:|9", NULL, "A: 1\r\n fold\r\nA: 9\r\n\r\nx\r\n" },
    { "--data|A: 1\\n\\nx|--add-header|A: 2\\nB: %TO_ADDRESS%|-ah|C: 3", NULL, "A: 1\r\nA: 2\r\nB: a@b\r\nC: 3\r\n\r\nx\r\n" },
    { "--data|A: 1\\n%NEW_HEADERS%\\n\\nx|--add-header|B: 2", NULL, "A: 1\r\nB: 2\r\n\r\nx\r\n" },
    { "--data|A: 1\\n%NEW_HEADERS%\\n%BODY%\\n|--add-header|B: 2|--body|x", NULL, "A: 1\r\nB: 2\r\n\r\nx\r\n" },
    { "--data|A: 1\\n%NEW_HEADERS%\\nB: 2\\n\\nx", NULL, "A: 1\r\nB: 2\r\n\r\nx\r\n" },
    { "--data|A: 1\\n\\nx|--h-B|2|--no-h-B", NULL, "A: 1\r\n\r\nx\r\n" },
    { "--data|A: 1\\n\\n%BODY%|--body|-", "in\\n%DATE%\n.\n", "A: 1\r\n\r\nin\\n%DATE%\r\n.\r\n" },
    { "--data|A: 1\\n\\n%BODY%|--body|@%D/file", NULL, "A: 1\r\n\r\n%DATE%\\n\r\nx\r\n" },
    { "--data|@%D/message", NULL, "Subject: %DATE%\r\n\r\na\\nb\r\n.\r\n%BODY%\r\n" },
    { "--data|@%D/message|--h-Subject|s|--add-header|X: y", NULL, "Subject: s\r\nX: y\r\n\r\na\\nb\r\n.\r\n%BODY%\r\n" },
    { "--data|-", "From x\nA: %DATE%\n\nb", "A: %DATE%\r\n\r\nb\r\n" },
    { "-g", "A: 1\n\nb", "A: 1\r\n\r\nb\r\n" },
    { "-g|--data|B: 1\\n\\nc", "A: 1\n\nb", "B: 1\r\n\r\nc\r\n" },
    { "--data|-|-nsf", "From x\nA: 1\n\nb", "From x\r\nA: 1\r\n\r\nb\r\n" },
    { "--data|-|-nsf|--h-A|2", "From x\nA: 1\n\nb", "From x\r\nA: 2\r\n\r\nb\r\n" },
    { "--data|a\\nb\n.x\n.\r\n|-ndf", NULL, "a\\nb\n.x\n.\r\n" },
    { "--data|a\r\n.|-ndf", NULL, "a\r\n.\r\n" },
    { "--data|-|-ndf", "\r.\n.\r\n", "\r.\n.\r\n" },
    { "--data|-|--repeat|2", "A: 1\n\nb", "A: 1\r\n\r\nb\r\n" },
    { "--data|x: %BODY%|--body|y", NULL, "x: %BODY%\r\n\r\n" },
};

static void texts(void **state)
{
    (void)state;
    free(in_directory("file", "%DATE%\\n\nx\n"));
    free(in_directory("message", "Subject: %DATE%\n\na\\nb\n.\n%BODY%\n"));
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        struct probe_plan p;
        struct message m;
        struct buf got = BUF_INIT;
        struct err e = ERR_INIT;
        char *line = xasprintf("-s|h|-t|a@b|-f|f@x|%s", messages[i].line), *path = in_directory("input", messages[i].input ? messages[i].input : "");
        if (!make_with(&p, line, messages[i].input, &e))
            fail_msg("%s: %s", messages[i].line, e.text);
        int in = dup(STDIN_FILENO), from = open(path, O_RDONLY);
        dup2(from, STDIN_FILENO);
        for (int times = 0; times < (p.repeat > 1 ? 2 : 1); times++) {
            message_init(&m);
            buf_reset(&got);
            if (!probe_data_message(&p, &m, &e))
                fail_msg("%s: %s", messages[i].line, e.text);
            read_all(&m, &got);
            if (strcmp(got.data, messages[i].message) != 0)
                fail_msg("%s:\n%s\nexpected:\n%s", messages[i].line, got.data, messages[i].message);
            message_free(&m);
        }
        dup2(in, STDIN_FILENO);
        close(in), close(from);
        buf_free(&got);
        probe_plan_free(&p);
        free(line);
        free(path);
    }
}

static void message_text(const char *line, struct buf *out)
{
    struct probe_plan p;
    struct message m;
    struct err e = ERR_INIT;
    message_init(&m);
    if (!make_with(&p, line, NULL, &e) || !probe_data_message(&p, &m, &e))
        fail_msg("%s: %s", line, e.text);
    read_all(&m, out);
    message_free(&m);
    probe_plan_free(&p);
}

static void has(const char *line, const char *const *parts)
{
    struct buf text = BUF_INIT;
    message_text(line, &text);
    const char *at = text.data;
    for (size_t i = 0; parts[i]; i++) {
        at = strstr(at, parts[i]);
        if (!at)
            fail_msg("%s: no '%s' (in this order) in\n%s", line, parts[i], text.data);
    }
    buf_free(&text);
}

static void default_message(void **state)
{
    (void)state;
    has("-s|h|-t|a@b,c@d|-f|f@x|--cc|e@f", (const char *const[]){ "Date: ", "\r\nTo: a@b,c@d\r\nFrom: f@x\r\nSubject: test ", "\r\nMessage-Id: <",
        "@", ">\r\nX-Mailer: envoi " PACKAGE_VERSION "\r\nCc: e@f\r\n\r\nThis is a test mailing\r\n", NULL });
    has("-s|h|-t|a@b|--body|one\\ntwo|--h-Subject|s", (const char *const[]){ "Subject: s\r\n", "\r\n\r\none\r\ntwo\r\n", NULL });
    has("-s|h|-t|a@b|-dab|-au|u|-ap|geheim", (const char *const[]){ "\r\n\r\nApp Info:\r\n", "password", "= ***\r\n", NULL });
    has("-s|h|-t|a@b|-dabsp|-au|u|-ap|geheim", (const char *const[]){ "App Info:", "= geheim\r\n", NULL });
    has("-s|h|-t|a@b|-dab|protocol", (const char *const[]){ "\r\n\r\nProtocol Info:\r\n", "esmtp", NULL });
}

static void parts(void **state)
{
    (void)state;
    free(in_directory("report.csv", "a,b\n"));
    has("-s|h|-t|a@b|--attach|@%D/report.csv", (const char *const[]){ "MIME-Version", "multipart/mixed", "This is a test mailing",
        "name=", "report.csv", "a,b", NULL });
    has("-s|h|-t|a@b|--attach-type|text/html|--attach-body|<b>x</b>|--attach-name|n.txt|--attach-type|text/plain|--attach|data",
        (const char *const[]){ "multipart/mixed", "text/html", "<b>x</b>", "text/plain", "n.txt", NULL });
    has("-s|h|-t|a@b|--attach-body|plain|--attach-type|text/html|--attach-body|<i>", (const char *const[]){ "multipart/alternative", "plain",
        "text/html", "<i>", NULL });
    has("-s|h|-t|a@b|--attach-inline|--attach-id|pic@x|--attach-type|image/png|--attach|x", (const char *const[]){ "multipart/related",
        "image/png", "<pic@x>", NULL });
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    setenv("HOME", directory, 1);
    unsetenv("SWAKS_HOME");
    unsetenv("LOGDIR");
    char *netrc = in_directory(".netrc", "machine other login x password y\nmachine netrc.example login nu password np\n");
    chmod(netrc, 0600);
    free(netrc);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = { "input", ".netrc", "file", "message", "report.csv" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = in_directory(names[i], NULL);
        unlink(path);
        free(path);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines), cmocka_unit_test(mistakes), cmocka_unit_test(prompts), cmocka_unit_test(places),
        cmocka_unit_test(password_is_overwritten), cmocka_unit_test(proxy_headers), cmocka_unit_test(proxy_header_of_unix_sockets),
        cmocka_unit_test(texts), cmocka_unit_test(default_message), cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
