/* verdict: the words, and the first rule that holds. What is asked and what is said stands in verdict_reach.c and
 * verdict_dialogue.c. */
#include "send/verdict.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/account.h"
#include "send/verdict_rules.h"

/* ---- the words ---- */

static const struct {
    const char *word, *meaning;
} words[VERDICT_COUNT] = {
    [VERDICT_OK] = { "ok", "the server can be used as it is configured" },
    [VERDICT_OTHER_PORT_WORKS] = { "other-port-works",
                                   "the configured port cannot be used, another port of the host can" },
    [VERDICT_PORT_FILTERED] = { "port-filtered", "packets to this port are dropped, others get through" },
    [VERDICT_ALL_MAIL_PORTS_FILTERED] = { "all-mail-ports-filtered",
                                          "no port for mail answers, though the host or another one does" },
    [VERDICT_PORT_REJECTED] = { "port-rejected", "a firewall or router says no" },
    [VERDICT_HOST_DOWN] = { "host-down", "nothing of the host answers" },
    [VERDICT_REFUSED_BY_HOST] = { "refused-by-host", "the host itself refuses" },
    [VERDICT_NO_NETWORK] = { "no-network", "this machine has no way to any network" },
    [VERDICT_DNS_FAILING] = { "dns-failing", "names cannot be looked up now" },
    [VERDICT_DNS_NO_SUCH_HOST] = { "dns-no-such-host", "the name does not exist, or has no address or mail server" },
    [VERDICT_DNS_REWRITTEN] = { "dns-rewritten", "the name does not exist, and the resolver answers all the same" },
    [VERDICT_IPV6_BROKEN] = { "ipv6-broken", "IPv4 works, IPv6 ought to and does not" },
    [VERDICT_IPV6_ABSENT] = { "ipv6-absent", "the host needs IPv6, and this machine has none" },
    [VERDICT_IPV4_BROKEN] = { "ipv4-broken", "IPv4 does not work" },
    [VERDICT_INTERCEPTED] = { "intercepted", "something else answers in the host's place" },
    [VERDICT_STARTTLS_STRIPPED] = { "starttls-stripped", "STARTTLS is not offered, or was taken out on the way" },
    [VERDICT_BANNER_MASKED] = { "banner-masked", "a firewall rewrites the greeting" },
    [VERDICT_TLS_ON_PLAIN_PORT] = { "tls-on-plain-port", "TLS was begun at once where STARTTLS is expected" },
    [VERDICT_PLAIN_ON_TLS_PORT] = { "plain-on-tls-port", "a greeting was waited for where TLS is expected at once" },
    [VERDICT_NOT_SMTP] = { "not-smtp", "what answers does not speak SMTP" },
    [VERDICT_SILENT_AFTER_CONNECT] = { "silent-after-connect", "the connection stands, and nothing is said" },
    [VERDICT_TLS_FAILS] = { "tls-fails", "the TLS handshake fails" },
    [VERDICT_CERTIFICATE_EXPIRED] = { "certificate-expired", "the certificate has expired" },
    [VERDICT_CERTIFICATE_NOT_YET_VALID] = { "certificate-not-yet-valid", "the certificate is not valid yet" },
    [VERDICT_CERTIFICATE_WRONG_NAME] = { "certificate-wrong-name", "the certificate is for another name" },
    [VERDICT_CERTIFICATE_UNTRUSTED_ISSUER] = { "certificate-untrusted-issuer",
                                               "nobody trusted vouches for the certificate" },
    [VERDICT_CERTIFICATE_WRONG_FINGERPRINT] = { "certificate-wrong-fingerprint",
                                                "the certificate is not the one that was pinned" },
    [VERDICT_CERTIFICATE_REVOKED] = { "certificate-revoked", "the certificate was revoked" },
    [VERDICT_CERTIFICATE_UNACCEPTABLE] = { "certificate-unacceptable",
                                           "the certificate is not acceptable for another reason" },
    [VERDICT_MTU_BLACK_HOLE] = { "mtu-black-hole", "big packets get lost" },
    [VERDICT_BANNED] = { "banned", "the host closes the connection before a word is said, or says that this address "
                                   "is blocked" },
    [VERDICT_AUTH_NOT_OFFERED] = { "auth-not-offered", "the login that is wanted is not offered" },
    [VERDICT_LOGIN_REFUSED] = { "login-refused", "the login was refused" },
};

const char *verdict_word(enum verdict_word word)
{
    return words[word].word;
}

const char *verdict_meaning(enum verdict_word word)
{
    return words[word].meaning;
}

/* ---- what to write ---- */

/* `tls auto` goes by the port, whatever `tls_starttls` says. */
static void add_tls_lines(const struct scene_question *q, int port, bool implicit, struct strlist *out)
{
    const bool other = port != q->port || implicit != (q->tls == SESSION_TLS_IMPLICIT);
    if (q->tls == SESSION_TLS_OFF || (other && implicit != (port == PORT_SUBMISSIONS)))
        strlist_add(out, "tls on");
    if (implicit != (q->tls == SESSION_TLS_IMPLICIT))
        strlist_add(out, implicit ? "tls_starttls off" : "tls_starttls on");
}

static void add_line(struct strlist *out, const char *command, const char *value)
{
    if (value)
        strlist_add_own(out, xasprintf("%s %s", command, value));
}

static void write_config(const struct view *w, const struct rule *r, struct strlist *out)
{
    const struct scene_question *q = &w->s->question;
    const bool other_family = w->partly && w->way->family != w->here->family;
    if (w->way && ((r->flags & WRITE_FAMILY) || other_family))
        strlist_add(out, w->way->family == AF_INET6 ? "ipv6_only on" : "ipv4_only on");
    if (w->straight || w->partly)
        return;
    if (w->way) {
        if (w->way->port != q->port)
            strlist_add_own(out, xasprintf("port %d", w->way->port));
        if (w->way->mss)
            strlist_add_own(out, xasprintf("mss %d", w->way->mss));
        if (w->way->tls.up)
            add_tls_lines(q, w->way->port, w->way->implicit, out);
    } else if ((r->flags & WRITE_CROSSED) && w->here) {
        add_tls_lines(q, q->port, !w->here->implicit, out);
    } else if (r->flags & WRITE_PIN) {
        add_line(out, "tls_fingerprint", w->certificate->tls.sha256);
    }
}

/* A way that something in between may have made is none. */
static void distrust(struct view *w)
{
    if (!view_verified(w->way))
        w->way = NULL;
    w->straight = w->straight && w->way;
    w->partly = w->partly && w->way;
}

/* Of several addresses only this one is meant. */
static char *narrow_down(char *cause, const struct view *w)
{
    char *text = xasprintf("%s; this is so at %s, while %s works", cause, w->here->address, w->way->address);
    free(cause);
    return text;
}

static bool holds(const struct rule *r, const struct view *w)
{
    return r->holds(w) && (!r->problem || strcmp(w->certificate->tls.problems.v[0], r->problem) == 0);
}

static const struct rule *find_rule(const struct view *w)
{
    static const struct rule *const tables[] = { rules_of_names, rules_of_dialogue, rules_of_reaching };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct rule *r = tables[i]; r->holds; r++)
            if (holds(r, w))
                return r;
    return NULL; /* not reached: the last rule of all always holds */
}

void verdict_of(const struct scene *s, struct verdict *v)
{
    struct view w;
    struct words f;
    view_of(s, &w);
    const struct rule *r = find_rule(&w);
    if (r->flags & VERIFIED_ONLY)
        distrust(&w);
    words_fill(&f, &w);
    const bool its_own = (r->flags & ITS_FAULT) && w.here->err.fault != FAULT_NONE;
    const enum fault fault = its_own ? w.here->err.fault : r->fault;
    *v = (struct verdict){ .word = r->word, .fault = w.way ? FAULT_NONE : fault, .way = w.way };
    v->cause = words_format(&f, r->cause);
    if (w.partly && r->word != VERDICT_OK)
        v->cause = narrow_down(v->cause, &w);
    v->remedy = words_format(&f, r->remedy);
    verdict_show(&w, r->flags, &v->evidence);
    write_config(&w, r, &v->config);
    words_free(&f);
}

void verdict_free(struct verdict *v)
{
    free(v->cause);
    free(v->remedy);
    strlist_free(&v->evidence);
    strlist_free(&v->config);
    *v = (struct verdict)VERDICT_INIT;
}
