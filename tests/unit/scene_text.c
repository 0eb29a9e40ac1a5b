/* scene_text: scenes for tests, written in one line of text. */
#include "scene_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "base/buf.h"

enum { NOW = 1795305600, DAY = 86400, WORDS = 40 }; /* 2026-11-22 */

static void unknown(const char *what)
{
    fprintf(stderr, "scene_text: '%s'?\n", what);
    abort();
}

static char *text_of(const char *word)
{
    char *s = xstrdup(word);
    for (char *p = s; *p; p++)
        if (*p == '_')
            *p = ' ';
    return s;
}

static const char *value(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static void replace(char **to, char *own)
{
    free(*to);
    *to = own;
}

/* ---- sights ---- */

static void healthy(struct sight *v)
{
    v->done = v->looked = true;
    v->reach = REACH_OPEN;
    v->took = 12000;
    v->heard = xstrdup("220 mail.example.org ESMTP");
    v->greeting = xstrdup("mail.example.org ESMTP");
    v->ehlo_answered = v->starttls_offered = true;
    strlist_add(&v->ehlo, "PIPELINING");
    strlist_add(&v->ehlo, "STARTTLS");
    strlist_add(&v->ehlo_tls, "AUTH PLAIN LOGIN");
    strlist_add(&v->auth_tls, "PLAIN");
    strlist_add(&v->auth_tls, "LOGIN");
    v->tls = (struct sight_tls){ .up = true,
                                 .verified = true,
                                 .version = xstrdup("TLS1.3"),
                                 .cipher = xstrdup("AES-256-GCM"),
                                 .subject = xstrdup("CN=mail.example.org"),
                                 .issuer = xstrdup("CN=R11,O=Let's Encrypt,C=US"),
                                 .not_before = NOW - 29 * DAY,
                                 .not_after = NOW + 61 * DAY,
                                 .days_left = 61,
                                 .sha256 = xstrdup("AA:BB:CC") };
    strlist_add(&v->tls.names, "mail.example.org");
    static const struct sight_phase phases[] = { { STAGE_CONNECT, 12000 }, { STAGE_GREETING, 15000 },
                                                 { STAGE_EHLO, 11000 },    { STAGE_STARTTLS, 11000 },
                                                 { STAGE_TLS, 30000 },     { STAGE_EHLO, 11000 } };
    memcpy(v->phases, phases, sizeof phases);
    v->n_phases = sizeof phases / sizeof *phases;
}

static void no_tls(struct sight *v)
{
    free(v->tls.version);
    free(v->tls.cipher);
    free(v->tls.problem);
    free(v->tls.subject);
    free(v->tls.issuer);
    free(v->tls.sha256);
    strlist_free(&v->tls.names);
    strlist_free(&v->tls.problems);
    v->tls = (struct sight_tls){ 0 };
    strlist_free(&v->auth_tls);
    strlist_free(&v->ehlo_tls);
    v->n_phases = 3;
}

static void nothing_heard(struct sight *v)
{
    replace(&v->heard, NULL);
    replace(&v->greeting, NULL);
    v->ehlo_answered = v->starttls_offered = false;
    strlist_free(&v->ehlo);
    no_tls(v);
    v->n_phases = 1;
}

static void not_reached(struct sight *v, enum reach_outcome outcome)
{
    nothing_heard(v);
    v->looked = false;
    v->reach = outcome;
    v->n_phases = 0;
    v->took = outcome == REACH_SILENT                                         ? 5000000
              : outcome == REACH_LOCAL_FIREWALL || outcome == REACH_BLACKHOLE ? 100
                                                                              : 9000;
}

static void fails(struct sight *v, enum fault fault, enum stage stage, const char *text)
{
    err_set(&v->err, fault, "%s", text);
    err_stage(&v->err, stage);
}

static void undone(struct sight *v)
{
    not_reached(v, REACH_SILENT);
    v->done = false;
}

static void reach_only(struct sight *v)
{
    nothing_heard(v);
    v->reach_only = true;
    v->looked = false;
}

static void plain(struct sight *v)
{
    no_tls(v);
    v->starttls_offered = false;
    strlist_free(&v->ehlo);
    strlist_add(&v->ehlo, "PIPELINING");
    strlist_add(&v->ehlo, "AUTH PLAIN LOGIN");
    strlist_add(&v->auth, "PLAIN");
    strlist_add(&v->auth, "LOGIN");
}

static void no_starttls(struct sight *v)
{
    plain(v);
    fails(v, FAULT_UNAVAILABLE, STAGE_EHLO, "the server offers no STARTTLS");
}

static void no_auth(struct sight *v)
{
    strlist_free(&v->auth);
    strlist_free(&v->auth_tls);
}

static void implicit(struct sight *v)
{
    v->implicit = true;
    v->starttls_offered = false;
    strlist_free(&v->ehlo);
}

static void crossed(struct sight *v)
{
    v->crossed = true;
    if (!v->implicit)
        implicit(v);
    else
        v->implicit = false;
}

static void closed(struct sight *v)
{
    nothing_heard(v);
    v->closed_at_once = true;
    fails(v, FAULT_LOST, v->implicit ? STAGE_TLS : STAGE_GREETING, "the server closed the connection");
}

static void mute(struct sight *v)
{
    nothing_heard(v);
    fails(v, FAULT_TIMEOUT, STAGE_GREETING, "no answer from the server within 5 s");
}

static void clear_greeting(struct sight *v) /* TLS was begun, and a greeting came */
{
    no_tls(v);
    replace(&v->greeting, NULL);
    v->ehlo_answered = false;
    fails(v, FAULT_TLS, STAGE_TLS, "the server 'mail.example.org' does not speak TLS here: it greeted in clear text");
}

static void hangs(struct sight *v)
{
    (v->implicit ? nothing_heard : no_tls)(v);
    fails(v, FAULT_TIMEOUT, STAGE_TLS, "the TLS handshake with 'mail.example.org' did not end within 5 s");
}

static void alert(struct sight *v)
{
    (v->implicit ? nothing_heard : no_tls)(v);
    fails(v, FAULT_TLS, STAGE_TLS, "the TLS handshake with 'mail.example.org' failed: no TLS version in common");
    err_hint(&v->err, "envoi offers TLS 1.2 and 1.3; 'tls_priorities NORMAL:+VERS-TLS1.1' would allow an older one");
}

static void refuses_starttls(struct sight *v)
{
    no_tls(v);
    fails(v, FAULT_TEMPORARY, STAGE_STARTTLS, "the server refused STARTTLS");
    err_server(&v->err, "454 4.7.0 TLS not available due to local problem");
}

static void masked(struct sight *v)
{
    v->banner_masked = true;
    replace(&v->heard, xstrdup("220 ********************"));
    replace(&v->greeting, xstrdup("********************"));
}

static void rubbed_out(struct sight *v)
{
    no_starttls(v);
    v->starttls_masked = xstrdup("XXXXXXXA");
}

static void login_fails(struct sight *v)
{
    fails(v, FAULT_AUTH, STAGE_AUTH, "the server refused the login");
    err_server(&v->err, "535 5.7.8 Username and Password not accepted. BadCredentials");
}

static void lost_after_ehlo(struct sight *v)
{
    no_tls(v);
    v->ehlo_answered = false;
    fails(v, FAULT_LOST, STAGE_EHLO, "the server closed the connection after EHLO");
}

static void tarpit(struct sight *v)
{
    no_tls(v);
    v->starttls_offered = false;
    strlist_free(&v->ehlo);
    fails(v, FAULT_TIMEOUT, STAGE_EHLO, "no answer to EHLO in time");
}

static void garbled(struct sight *v)
{
    nothing_heard(v);
    fails(v, FAULT_PROTOCOL, STAGE_GREETING, "the peer does not speak SMTP: a line of the reply is too long");
}

static void garbled_under_tls(struct sight *v)
{
    strlist_free(&v->ehlo_tls);
    strlist_free(&v->auth_tls);
    fails(v, FAULT_PROTOCOL, STAGE_EHLO, "the server breaks the protocol: the reply has too many lines");
}

static void reset(struct sight *v)
{
    not_reached(v, REACH_OTHER);
    v->reason = ECONNRESET;
}

static void proxy_refuses(struct sight *v)
{
    not_reached(v, REACH_OTHER);
    fails(v, FAULT_CONNECT, STAGE_PROXY, "the proxy says: connection not allowed by ruleset");
}

static void control_host(struct sight *v)
{
    v->role = SIGHT_CONTROL_HOST;
    replace(&v->host, xstrdup("mx.example.net"));
}

static const struct {
    const char *word;
    void (*apply)(struct sight *v);
} words[] = {
    { "undone", undone },
    { "connects", reach_only },
    { "plain", plain },
    { "nostarttls", no_starttls },
    { "noauth", no_auth },
    { "implicit", implicit },
    { "crossed", crossed },
    { "closed", closed },
    { "mute", mute },
    { "cleargreeting", clear_greeting },
    { "hangs", hangs },
    { "alert", alert },
    { "refusestls", refuses_starttls },
    { "masked", masked },
    { "xxxa", rubbed_out },
    { "loginfails", login_fails },
    { "lost", lost_after_ehlo },
    { "proxyrefuses", proxy_refuses },
    { "ctl", control_host },
    { "tarpit", tarpit },
    { "reset", reset },
    { "garbled", garbled },
    { "garbled-tls", garbled_under_tls },
};

static void bad_certificate(struct sight *v, const char *problem)
{
    static const struct {
        const char *word, *sentence;
    } sentences[] = {
        { "expired", "the certificate of 'mail.example.org' expired on 2026-10-01" },
        { "untrusted-issuer", "the certificate of 'mail.example.org' was issued by 'CN=Example CA', which is not "
                              "among the trusted ones" },
        { "weak", "the certificate of 'mail.example.org' is signed with an algorithm that is no longer safe" },
    };
    v->tls.verified = false;
    strlist_split(&v->tls.problems, problem, "+");
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (strcmp(sentences[i].word, v->tls.problems.v[0]) == 0)
            replace(&v->tls.problem, xstrdup(sentences[i].sentence));
    if (!v->tls.problem)
        replace(&v->tls.problem, xasprintf("the certificate of 'mail.example.org' is bad: %s", problem));
    if (strcmp(problem, "expired") == 0)
        v->tls.not_after = NOW - 52 * DAY;
    if (strcmp(problem, "not-yet-valid") == 0)
        v->tls.not_before = NOW + 2 * DAY;
}

static void valued(struct sight *v, const char *word)
{
    const char *t;
    if ((t = value(word, "mss"))) {
        v->mss = atoi(t);
    } else if ((t = value(word, "cert"))) {
        bad_certificate(v, t);
    } else if ((t = value(word, "issuer"))) {
        replace(&v->tls.issuer, text_of(t));
    } else if ((t = value(word, "names"))) {
        strlist_free(&v->tls.names);
        strlist_split(&v->tls.names, t, ",");
    } else if ((t = value(word, "auth"))) {
        no_auth(v);
        strlist_split(v->tls.up ? &v->auth_tls : &v->auth, t, ",");
    } else if ((t = value(word, "greets"))) {
        replace(&v->greeting, text_of(t));
        replace(&v->heard, xasprintf("220 %s", v->greeting));
    } else if ((t = value(word, "says"))) {
        nothing_heard(v);
        v->heard = text_of(t);
        fails(v, FAULT_PROTOCOL, STAGE_GREETING, "the server does not greet");
        err_server(&v->err, v->heard);
    } else {
        unknown(word);
    }
}

static bool apply_reach(struct sight *v, const char *word)
{
    for (int i = 0; i < REACH_OUTCOMES; i++)
        if (strcmp(word, reach_word((enum reach_outcome)i)) == 0) {
            not_reached(v, (enum reach_outcome)i);
            return true;
        }
    return false;
}

static void apply(struct sight *v, const char *word)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].word, word) == 0) {
            words[i].apply(v);
            return;
        }
    if (!apply_reach(v, word))
        valued(v, word);
}

static void add_sight(struct scene *s, char **word, int n)
{
    struct sight *v = scene_add_sight(s);
    v->address = xstrdup(word[0] + 1);
    v->family = strchr(v->address, ':') ? AF_INET6 : AF_INET;
    v->port = atoi(word[1]);
    v->host = xstrdup("mail.example.org");
    v->role = v->port == s->question.port ? SIGHT_CONFIGURED : v->port == 443 ? SIGHT_CONTROL_PORT : SIGHT_OTHER_PORT;
    healthy(v);
    if (v->port == 443)
        reach_only(v);
    if (v->port == s->question.port ? s->question.tls == SESSION_TLS_IMPLICIT : v->port == 465)
        implicit(v);
    for (int i = 2; i < n; i++)
        apply(v, word[i]);
}

/* ---- the rest ---- */

static void add_ladder(struct scene *s, char **word)
{
    struct scene_ladder *l = scene_add_ladder(s);
    l->address = xstrdup(word[1]);
    l->family = strchr(word[1], ':') ? AF_INET6 : AF_INET;
    l->port = atoi(word[2]);
    for (const char *p = word[3]; *p && l->n < LADDER_MAX; p++) {
        struct ladder_rung *r = &l->rungs[l->n++];
        *r = (struct ladder_rung){ .took = 4000 };
        r->outcome = *p == 'e'   ? REACH_EXPIRED
                     : *p == 'o' ? REACH_OPEN
                     : *p == 'r' ? REACH_REFUSED
                     : *p == 'x' ? REACH_HOST_UNREACHABLE
                                 : REACH_SILENT;
        r->icmp.known = *p == 'e' || *p == 'x';
        r->icmp.type = *p == 'e' ? 11 : 3;
        r->icmp.code = *p == 'x' ? 13 : 0;
        if (r->icmp.known)
            snprintf(r->icmp.from, sizeof r->icmp.from, *p == 'x' ? "10.0.0.1" : "10.0.%d.1", l->n);
    }
}

static void look_up(struct lookup *l, const char *outcome, const char *address)
{
    l->name = l->name ? l->name : xstrdup("mail.example.org");
    for (int i = 0; i <= LOOKUP_LITERAL; i++)
        if (strcmp(outcome, scene_lookup_word((enum lookup_outcome)i)) == 0)
            l->outcome = (enum lookup_outcome)i;
    if (address)
        strlist_split(&l->addresses, address, ",");
}

static void add_question(struct scene *s, char **word)
{
    static const struct { const char *word; enum session_tls tls;
    } kinds[] = {
        { "off", SESSION_TLS_OFF },
        { "may", SESSION_TLS_MAY },
        { "starttls", SESSION_TLS_REQUIRED },
        { "implicit", SESSION_TLS_IMPLICIT },
    };
    struct scene_question *q = &s->question;
    if (strcmp(word[0], "port") == 0)
        q->port = atoi(word[1]);
    else if (strcmp(word[0], "mech") == 0)
        q->mechanism = xstrdup(word[1]);
    else if (strcmp(word[0], "control") == 0)
        q->control = xstrdup(word[1]);
    else if (strcmp(word[0], "proxy") == 0)
        q->proxy = xstrdup(word[1]);
    else if (strcmp(word[0], "vendor") == 0)
        s->machine.vendor = text_of(word[1]), s->machine.product = word[2] ? text_of(word[2]) : NULL;
    else if (strcmp(word[0], "env") == 0)
        strlist_add(&s->machine.environment, word[1]);
    else if (strcmp(word[0], "note") == 0)
        strlist_add_own(&s->notes, text_of(word[1]));
    else if (strcmp(word[0], "dns4") == 0)
        look_up(&s->names.v4, word[1], word[2]);
    else if (strcmp(word[0], "dns6") == 0)
        look_up(&s->names.v6, word[1], word[2]);
    else if (strcmp(word[0], "known") == 0)
        look_up(&s->names.known, word[1], word[2]);
    else if (strcmp(word[0], "impossible") == 0)
        look_up(&s->names.impossible, word[1], word[2]);
    else if (strcmp(word[0], "rewritten") == 0)
        look_up(&s->names.impossible, "found", word[1]);
    else if (strcmp(word[0], "tls") == 0)
        for (int i = 0; i < 4; i++)
            q->tls = strcmp(kinds[i].word, word[1]) == 0 ? kinds[i].tls : q->tls;
    else
        unknown(word[0]);
}

static bool add_flag(struct scene *s, const char *word)
{
    const struct { const char *word; bool *flag, value;
    } flags[] = {
        { "noauth", &s->question.auth, false }, { "noverify", &s->question.verify, false },
        { "-4", &s->question.ipv4_only, true }, { "-6", &s->question.ipv6_only, true },
        { "nullmx", &s->names.null_mx, true },  { "no4", &s->machine.v4.route, false },
        { "no6", &s->machine.v6.route, false }, { "brief", &s->question.brief, true },
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(flags[i].word, word) == 0) {
            *flags[i].flag = flags[i].value;
            return true;
        }
    if (strcmp(word, "domain") != 0)
        return false;
    s->question.named = NAMED_DOMAIN;
    replace(&s->question.host, NULL);
    s->question.name = xstrdup("example.org");
    return true;
}

static void statement(struct scene *s, char *text)
{
    char *word[WORDS + 1] = { NULL }, *rest = text;
    int n = 0;
    for (char *w; n < WORDS && (w = strsep(&rest, " ")); )
        if (*w)
            word[n++] = w;
    if (n == 0 || add_flag(s, word[0]))
        return;
    if (word[0][0] == '@')
        add_sight(s, word, n);
    else if (strcmp(word[0], "ladder") == 0)
        add_ladder(s, word);
    else
        add_question(s, word);
}

void scene_of_text(struct scene *s, const char *text)
{
    *s = (struct scene)SCENE_INIT;
    s->question = (struct scene_question){ .named = NAMED_HOST, .host = xstrdup("mail.example.org"), .port = 587,
                                           .tls = SESSION_TLS_REQUIRED, .verify = true, .auth = true };
    s->machine.v4 = s->machine.v6 = (struct scene_family){ .address = true, .route = true };
    s->now = NOW;
    s->took = 1200000;
    char *copy = xstrdup(text), *rest = copy;
    for (char *part; (part = strsep(&rest, ";")); )
        statement(s, part);
    free(copy);
}
