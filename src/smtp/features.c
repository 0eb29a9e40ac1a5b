/* features: what is asked of the server beyond plain SMTP: whether it is still due, whether the server offers it, and
 * what follows where it does not. It must not know replies. */
#include "smtp/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

bool session_has(const struct session *s, enum cap cap)
{
    const struct session_probe *probe = &s->p.probe;
    return (((s->caps.have & ~probe->caps_ignored) | probe->caps_assumed) & cap) != 0;
}

bool xclient_due(const struct session *s)
{
    const struct strlist *commands = s->p.probe.xclient;
    return commands && s->xclients < commands->n && !(s->without & CAP_XCLIENT);
}

bool tls_due(const struct session *s)
{
    bool wished = s->p.tls == SESSION_TLS_MAY || s->p.tls == SESSION_TLS_STRICT || s->p.tls == SESSION_TLS_REQUIRED;
    bool later = s->p.probe.xclient_before_tls && xclient_due(s);
    return wished && !s->tls_up && !later && !(s->without & CAP_STARTTLS);
}

bool auth_due(const struct session *s)
{
    return s->p.auth && !s->authenticated && !(s->without & CAP_AUTH);
}

bool etrn_due(const struct session *s)
{
    return s->p.etrn && s->etrn_reply.code == 0;
}

static bool prdr_due(const struct session *s)
{
    return s->p.probe.prdr && !auth_due(s);
}

/* Each appends what the server does not offer. false: it offers all that is asked for. */

static bool lacks_keyword(const struct session *s, enum cap cap, struct buf *what)
{
    if (session_has(s, cap))
        return false;
    buf_adds(what, cap_word(cap));
    return true;
}

static bool lacks_attribute(const struct session *s, const char *command, struct buf *what)
{
    struct strlist words = STRLIST_INIT;
    bool lacks = false;

    strlist_split(&words, command, " ");
    for (size_t i = 0; i < words.n && !lacks; i++) {
        words.v[i][strcspn(words.v[i], "=")] = '\0';
        lacks = !strlist_has_nocase(&s->caps.xclient, words.v[i]);
        if (lacks)
            buf_printf(what, "XCLIENT with the attribute '%s'", words.v[i]);
    }
    strlist_free(&words);
    return lacks;
}

static bool lacks_xclient(const struct session *s, enum cap cap, struct buf *what)
{
    const struct session_probe *probe = &s->p.probe;
    bool listed = (s->caps.have & CAP_XCLIENT) && !probe->xclient_unverified;

    if (lacks_keyword(s, cap, what))
        return true;
    for (size_t i = 0; listed && i < probe->xclient->n; i++)
        if (lacks_attribute(s, probe->xclient->v[i], what))
            return true;
    return false;
}

static void hint_tls(struct session *s)
{
    const char *masked = rows_masked(&s->caps);

    if (masked)
        err_hint(&s->err, "its reply to EHLO holds '%s': a firewall on the way masks STARTTLS; "
                          "have it switched off there, or try TLS from the start (port 465)", masked);
    else
        err_hint(&s->err, "the server may want TLS from the start (port 465) or offer STARTTLS on port 587");
}

static void hint_xclient(struct session *s)
{
    err_hint(&s->err, "servers offer XCLIENT to hosts they trust with it (Postfix: smtpd_authorized_xclient_hosts)");
}

static void hint_auth(struct session *s)
{
    if (s->tls_up)
        err_hint(&s->err, "this port may not be for submission: try 587 or 465, or set 'auth' to off");
    else
        err_hint(&s->err, "the server may offer AUTH only under TLS: set 'tls on'; or leave out 'user' if it wants no "
                          "login");
}

static void hint_etrn(struct session *s)
{
    err_hint(&s->err, s->tls_up ? "ask its administrator which server holds the mail for '%s'"
                                : "the server may offer ETRN for '%s' only under TLS", s->p.etrn);
}

static void hint_prdr(struct session *s)
{
    err_hint(&s->err, "try without PRDR, or over LMTP, which has a reply for each recipient anyway");
}

static bool tls_optional(const struct session *s) { return s->p.tls != SESSION_TLS_REQUIRED; }
static bool xclient_optional(const struct session *s) { return s->p.probe.xclient_need != NEED_REQUIRED; }
static bool auth_optional(const struct session *s) { return s->p.probe.auth_need != NEED_REQUIRED; }

static const struct feature {
    enum cap cap;
    enum stage stage;
    bool (*due)(const struct session *s);
    bool (*lacks)(const struct session *s, enum cap cap, struct buf *what);
    bool (*optional)(const struct session *s); /* NULL: never */
    void (*hint)(struct session *s);
    const char *needed, *passed_over; /* end the sentence "the server does not offer …" */
    bool renews; /* another EHLO follows it: only that says what else there is */
} features[] = {
    { CAP_STARTTLS, STAGE_STARTTLS, tls_due, lacks_keyword, tls_optional, hint_tls,
      ", and TLS is required", "; all goes out in clear", true },
    { CAP_XCLIENT, STAGE_XCLIENT, xclient_due, lacks_xclient, xclient_optional, hint_xclient,
      ", which is required", "; it takes us for who we are", true },
    { CAP_AUTH, STAGE_AUTH, auth_due, lacks_keyword, auth_optional, hint_auth,
      ", and a login is required", "; nobody logs in", false },
    { CAP_ETRN, STAGE_ETRN, etrn_due, lacks_keyword, NULL, hint_etrn,
      ", so it cannot be asked to start a queue", NULL, false },
    { CAP_PRDR, STAGE_MAIL, prdr_due, lacks_keyword, NULL, hint_prdr,
      ", so it has no reply for each recipient", NULL, false },
};

/* Ends the session, or goes on without the feature. */
static void do_without(struct session *s, const struct feature *f, const char *what)
{
    if (f->optional && f->optional(s)) {
        char *text = xasprintf("the server does not offer %s%s", what, f->passed_over);
        emit(s->p.hub, s->p.connection, EV_WARNING, F_STR("text", text));
        s->without |= f->cap;
        free(text);
        return;
    }
    err_set(&s->err, FAULT_UNAVAILABLE, "the server does not offer %s%s", what, f->needed);
    err_stage(&s->err, f->stage);
    f->hint(s);
    session_leave(s);
}

bool features_missing(struct session *s)
{
    bool missing = false, renewed = false;

    for (size_t i = 0; i < sizeof features / sizeof *features && !missing && !renewed; i++) {
        const struct feature *f = &features[i];
        struct buf what = BUF_INIT;
        if (!f->due(s))
            continue;
        missing = f->lacks(s, f->cap, &what);
        if (missing)
            do_without(s, f, what.data);
        renewed = f->renews;
        buf_free(&what);
    }
    return missing;
}
