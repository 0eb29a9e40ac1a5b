/* probe_exit: how a probe ended, in swaks's numbers and words. One table: the stage and the fault give both. */
#include <stdlib.h>
#include <string.h>

#include "cmd/probe.h"

enum {
    EXIT_OK, EXIT_OPTIONS = 1, EXIT_CONNECT = PROBE_NO_CONNECTION, EXIT_LOST = 6, EXIT_PREREQUISITE = 10,
    EXIT_BANNER = 21, EXIT_HELLO, EXIT_MAIL, EXIT_RCPT, EXIT_DATA, EXIT_MESSAGE, EXIT_QUIT, EXIT_AUTH, EXIT_TLS,
    EXIT_PRDR, EXIT_HELLO_TLS = 32, EXIT_XCLIENT, EXIT_HELLO_XCLIENT, EXIT_PROXY, EXIT_PROXY_BANNER,
};

/* The first row that fits. STAGE_NONE and FAULT_NONE fit all. Where the server has refused, its reply was shown;
 * `refused` is what swaks adds to it (NULL: nothing), `else_` what it says where no reply tells (NULL: our own
 * sentence). "%s" is our own sentence. */
static const struct outcome {
    enum stage stage;
    enum fault fault;
    int status;
    const char *refused, *else_;
} outcomes[] = {
    { STAGE_NONE,     FAULT_INTERRUPTED, EXIT_LOST,         NULL, NULL },
    { STAGE_LOOKUP,   FAULT_NONE,        EXIT_CONNECT,      NULL, NULL },
    { STAGE_CONNECT,  FAULT_NONE,        EXIT_CONNECT,      NULL, NULL },
    { STAGE_PROXY,    FAULT_USAGE,       EXIT_PROXY,        NULL, NULL },
    { STAGE_PROXY,    FAULT_LOST,        EXIT_PROXY_BANNER, NULL, NULL },
    { STAGE_PROXY,    FAULT_NONE,        EXIT_CONNECT,      NULL, NULL },
    { STAGE_TLS,      FAULT_NONE,        EXIT_TLS,          "TLS startup failed (%s)", "TLS startup failed (%s)" },
    { STAGE_NONE,     FAULT_LOST,        EXIT_LOST,         NULL, "%s closed connection unexpectedly." },
    { STAGE_GREETING, FAULT_NONE,        EXIT_BANNER,       NULL, NULL },
    { STAGE_EHLO,     FAULT_NONE,        EXIT_HELLO,        NULL, NULL },
    { STAGE_STARTTLS, FAULT_UNAVAILABLE, EXIT_TLS,
      "STARTTLS attempted but failed", "Host did not advertise STARTTLS" },
    { STAGE_STARTTLS, FAULT_NONE,        EXIT_TLS,          "STARTTLS attempted but failed", NULL },
    { STAGE_XCLIENT,  FAULT_NONE,        EXIT_XCLIENT,      "XCLIENT attempted but failed.  Exiting", NULL },
    { STAGE_AUTH,     FAULT_USAGE,       EXIT_PREREQUISITE, NULL, NULL }, /* a mechanism we do not have */
    { STAGE_AUTH,     FAULT_UNAVAILABLE, EXIT_AUTH,
      "No authentication type succeeded", "Host did not advertise authentication" },
    { STAGE_AUTH,     FAULT_NONE,        EXIT_AUTH,         "No authentication type succeeded", NULL },
    { STAGE_MAIL,     FAULT_NONE,        EXIT_MAIL,         NULL, NULL },
    { STAGE_RCPT,     FAULT_NONE,        EXIT_RCPT,         NULL, NULL },
    { STAGE_DATA,     FAULT_NONE,        EXIT_DATA,         NULL, NULL },
    { STAGE_BODY,     FAULT_NONE,        EXIT_MESSAGE,      NULL, NULL },
    { STAGE_DOT,      FAULT_NONE,        EXIT_MESSAGE,      NULL, NULL },
    { STAGE_RSET,     FAULT_NONE,        EXIT_MESSAGE,      NULL, NULL },
    { STAGE_QUIT,     FAULT_NONE,        EXIT_QUIT,         NULL, NULL },
    { STAGE_NONE,     FAULT_NO_HOST,     EXIT_CONNECT,      NULL, NULL },
    { STAGE_NONE,     FAULT_DNS,         EXIT_CONNECT,      NULL, NULL },
    { STAGE_NONE,     FAULT_CONNECT,     EXIT_CONNECT,      NULL, NULL },
    { STAGE_NONE,     FAULT_CERTIFICATE, EXIT_TLS,          NULL, NULL },
    { STAGE_NONE,     FAULT_TLS,         EXIT_TLS,          NULL, NULL },
    { STAGE_NONE,     FAULT_AUTH,        EXIT_AUTH,         NULL, NULL },
    { STAGE_NONE,     FAULT_SYSTEM,      EXIT_PREREQUISITE, NULL, NULL },
    { STAGE_NONE,     FAULT_UNAVAILABLE, EXIT_PREREQUISITE, NULL, NULL },
    { STAGE_NONE,     FAULT_NONE,        EXIT_OPTIONS,      NULL, NULL },
};

static const struct outcome *outcome_of(const struct err *e)
{
    const struct outcome *o = outcomes;
    while ((o->stage != STAGE_NONE && o->stage != e->stage) || (o->fault != FAULT_NONE && o->fault != e->fault))
        o++;
    return o;
}

static bool nobody_accepted(const struct envelope *env)
{
    for (size_t i = 0; i < env->n; i++)
        if (env->rcpts[i].reply.code == 0 || env->rcpts[i].reply.code / 100 == 2)
            return false;
    return env->n > 0;
}

static bool lacks_prdr(const struct err *e, const struct probe_plan *p)
{
    return p->probe.session.prdr && e->stage == STAGE_MAIL && e->fault == FAULT_UNAVAILABLE && !e->server;
}

static bool tls_from_start(const struct probe_plan *p)
{
    return p->route.n > 0 && p->route.v[0].tls == SESSION_TLS_IMPLICIT;
}

int probe_exit(const struct err *e, const struct deliver *d, const struct envelope *env, const struct probe_plan *p)
{
    if (!err_is_set(e))
        return nobody_accepted(env) ? EXIT_RCPT : EXIT_OK;
    if (lacks_prdr(e, p))
        return EXIT_PRDR;
    int status = outcome_of(e)->status;
    if (status == EXIT_HELLO && d && deliver_had_xclient(d))
        return EXIT_HELLO_XCLIENT;
    if (status == EXIT_HELLO && d && deliver_is_tls(d) && !tls_from_start(p))
        return EXIT_HELLO_TLS;
    return status;
}

static const struct { int status; const char *meaning; } meanings[] = {
    { EXIT_OK, "no error" },
    { EXIT_OPTIONS, "an option or a file it names is wrong" },
    { EXIT_CONNECT, "no connection to the server" },
    { 3, "unknown kind of connection" },
    { 4, "the child process cannot be written to or read from" },
    { 5, "the child process died" },
    { EXIT_LOST, "the connection was lost" },
    { EXIT_PREREQUISITE, "something needed is not available here" },
    { EXIT_BANNER, "the server's greeting is an error" },
    { EXIT_HELLO, "HELO, EHLO or LHLO was refused" },
    { EXIT_MAIL, "MAIL was refused" },
    { EXIT_RCPT, "no recipient was accepted" },
    { EXIT_DATA, "DATA was refused" },
    { EXIT_MESSAGE, "the message was refused" },
    { EXIT_QUIT, "QUIT was refused" },
    { EXIT_AUTH, "authentication failed" },
    { EXIT_TLS, "TLS failed" },
    { EXIT_PRDR, "PRDR was asked for and is not offered" },
    { EXIT_HELLO_TLS, "EHLO after TLS was refused" },
    { EXIT_XCLIENT, "XCLIENT failed" },
    { EXIT_HELLO_XCLIENT, "EHLO after XCLIENT was refused" },
    { EXIT_PROXY, "an option for the PROXY header is wrong" },
    { EXIT_PROXY_BANNER, "the PROXY header could not be sent" },
};

const char *probe_exit_meaning(int status)
{
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].status == status)
            return meanings[i].meaning;
    return "unknown";
}

static const char *peer_name(const struct probe_plan *p)
{
    const struct hop *hop = p->route.n > 0 ? &p->route.v[0] : NULL;
    return hop && hop->command.n > 0 ? "Child process" : hop && hop->socket ? "Socket" : "Remote host";
}

/* Hints speak of the options of an account. */
static const char *const own_words[][2] = {
    { "set 'tls' to on and 'tls_starttls' to off", "use '-tlsc'" },
    { "set 'tls on'", "use '-tls'" },
    { "'tls_starttls on'", "'-tls'" },
    { ", or set 'auth' to off", "; '-ao' goes on without a login" },
    { "leave out 'user' if it wants no login", "go on without a login ('-ao')" },
    { "'auth on'", "'-a' alone" },
    { "'auth plain'", "'-a PLAIN'" },
    { "'source_ip'", "'--local-interface'" },
    { "'tls_trust_file ", "'--tls-ca-path " },
    { "'tls_trust_file'", "'--tls-ca-path'" },
    { "'host' or 'tls_host_override'", "'--server' or '--tls-verify-target'" },
    { "trust just this one with", "in an account ('--account') trust just this one with" },
    { "'tls_cert_file'", "'--tls-cert'" },
    { "'tls_key_file'", "'--tls-key'" },
    { "'tls_priorities'", "'--tls-cipher'" },
    { "'proxy_host' and 'proxy_port' say", "'--via' says" },
    { "'proxy_user' and 'proxy_password'", "user and password in '--via'" },
};

static void replace(char **text, const char *what, const char *by)
{
    const char *at = strstr(*text, what);
    if (!at)
        return;
    char *changed = xasprintf("%.*s%s%s", (int)(at - *text), *text, by, at + strlen(what));
    free(*text);
    *text = changed;
}

void probe_exit_words(struct err *e)
{
    for (size_t i = 0; e->hint && i < sizeof own_words / sizeof *own_words; i++)
        replace(&e->hint, own_words[i][0], own_words[i][1]);
}

void probe_exit_hint(struct show_probe *show, const struct err *e)
{
    if (e->hint)
        show_probe_error(show, "hint: %s", e->hint);
}

void probe_exit_tell(struct show_probe *show, const struct err *e, const struct probe_plan *p)
{
    if (!err_is_set(e))
        return;
    const struct outcome *o = outcome_of(e);
    const char *words = lacks_prdr(e, p) ? "Host did not advertise PRDR support" : e->server ? o->refused : o->else_;
    if (e->fault == FAULT_TIMEOUT && o->status > EXIT_PREREQUISITE && o->status != EXIT_TLS)
        show_probe_refusal(show, "Timeout (%lld secs) waiting for server response",
                           (long long)(p->account.timeout / USEC_PER_SEC));
    else if (o->status == EXIT_CONNECT)
        show_probe_error(show, "Error connecting to %s:\n\t%s", show->target ? show->target : "the server", e->text);
    else if (words)
        show_probe_error(show, words, e->fault == FAULT_LOST && o->stage == STAGE_NONE ? peer_name(p) : e->text);
    else if (!e->server)
        show_probe_error(show, "%s", e->text);
    probe_exit_hint(show, e);
}
