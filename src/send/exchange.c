/* exchange: AUTH, between the session, which knows the wire, and authn, which knows the mechanisms. */
#include "send/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "net/tls.h"
#include "send/deliver.h"
#include "send/authn.h"

struct exchange {
    struct exchange_params p;
    struct authn authn;
    struct strlist wanted; /* one, but for a probe; "on": any */
    struct strlist offered; /* mechanisms, whatever the server calls them */
    struct strlist tried;
    struct err err; /* a server that cannot prove itself gets no other mechanism to try */
};

struct exchange *exchange_new(const struct exchange_params *p)
{
    struct exchange *x = xcalloc(1, sizeof *x);
    *x = (struct exchange){
        .p = *p,
        .authn = AUTHN_INIT(.account = p->account, .hop = p->hop, .credentials = p->credentials, .hub = p->hub,
                            .connection = p->connection),
    };
    if (p->probe)
        strlist_split(&x->wanted, p->account->auth, ",");
    else
        strlist_add(&x->wanted, p->account->auth);
    return x;
}

void exchange_free(struct exchange *x)
{
    if (!x)
        return;
    authn_free(&x->authn);
    strlist_free(&x->wanted);
    strlist_free(&x->offered);
    strlist_free(&x->tried);
    err_clear(&x->err);
    free(x);
}

const struct err *exchange_error(const struct exchange *x)
{
    return &x->err;
}

/* Under TLS, but with whom? A probe goes on with a certificate that is not good; a password then needs the user's
 * word. */
static bool server_is_doubtful(const struct exchange *x, const struct stream *stream)
{
    const struct deliver_probe *probe = x->p.probe;
    bool needs_word = probe && probe->any_certificate && !probe->secret_anyway;
    return needs_word && stream_is_tls(stream) && !stream_tls_facts(stream)->verified &&
           !authn_is_local(&x->authn, stream);
}

/* The name in "NAME=MECHANISM", where the server offers it, as the server writes it; else NULL. */
static const char *alias_offered(const char *alias, const struct strlist *told)
{
    size_t n = strcspn(alias, "=");
    for (size_t i = 0; i < told->n; i++)
        if (strlen(told->v[i]) == n && ascii_ieqn(told->v[i], alias, n))
            return told->v[i];
    return NULL;
}

static const char *alias_mechanism(const char *alias)
{
    return alias + strcspn(alias, "=") + 1;
}

static const struct strlist *aliases_of(const struct exchange *x)
{
    static const struct strlist none = STRLIST_INIT;
    return x->p.probe && x->p.probe->aliases ? x->p.probe->aliases : &none;
}

/* What the server offers, by its own names and by those it may mean; where it says nothing and a probe assumes AUTH,
 * what is wanted. */
static void read_offer(struct exchange *x, const struct session *s)
{
    const struct strlist *told = &session_caps(s)->auth, *aliases = aliases_of(x);
    bool assumed = x->p.probe && told->n == 0 && !strlist_has_nocase(&x->wanted, "on");
    strlist_copy(&x->offered, assumed ? &x->wanted : told);
    for (size_t i = 0; i < aliases->n; i++)
        if (alias_offered(aliases->v[i], told) && !strlist_has_nocase(&x->offered, alias_mechanism(aliases->v[i])))
            strlist_add(&x->offered, alias_mechanism(aliases->v[i]));
}

static const char *name_on_wire(const struct exchange *x, const struct session *s, const char *mechanism)
{
    const struct strlist *aliases = aliases_of(x);
    for (size_t i = 0; i < aliases->n; i++) {
        const char *name = alias_offered(aliases->v[i], &session_caps(s)->auth);
        if (name && ascii_ieq(alias_mechanism(aliases->v[i]), mechanism))
            return name;
    }
    return mechanism;
}

static struct sasl_params sasl_params(struct exchange *x, const struct session *s, const struct stream *stream)
{
    const struct deliver_probe *probe = x->p.probe;
    struct sasl_params p = authn_sasl_params(&x->authn, stream, &session_caps(s)->auth);

    if (probe) /* may log in as nobody */
        p.user = x->p.account->user;
    if (server_is_doubtful(x, stream))
        p.tls = p.clear_ok = false;
    else if (probe && (probe->secret_anyway || x->p.account->auth_explicit))
        p.clear_ok = true;
    return p;
}

static void refused(struct exchange *x, const struct reply *r, struct err *e)
{
    struct buf words = BUF_INIT;
    reply_format(r, &words);
    authn_refused(&x->authn, words.data, reply_temporary(r), e);
    buf_free(&words);
}

/* The first of those wanted that can be used and was not yet; NULL: *e says why the first cannot be, where one is
 * left. */
static const char *pick(const struct exchange *x, const struct sasl_params *p, struct err *e)
{
    const char *mechanism = NULL;
    for (size_t i = 0; i < x->wanted.n && !mechanism; i++)
        if (x->wanted.n == 1 || !strlist_has_nocase(&x->tried, x->wanted.v[i]))
            mechanism = sasl_choose(&x->offered, x->wanted.v[i], &x->tried, p, e);
    if (mechanism)
        err_clear(e);
    return mechanism;
}

/* Where only privacy is missing, the user of a probe can do without it. */
static void explain_privacy(const struct exchange *x, const struct stream *stream, const struct sasl_params *p,
                            struct err *e)
{
    struct sasl_params anyway = *p;
    struct err ignored = ERR_INIT;
    anyway.clear_ok = true;
    const char *mechanism = x->p.probe && !p->clear_ok ? pick(x, &anyway, &ignored) : NULL;
    err_clear(&ignored);
    if (!mechanism)
        return;
    err_clear(e);
    if (server_is_doubtful(x, stream)) {
        err_set(e, FAULT_AUTH, "%s would show the password to a server whose certificate is not good", mechanism);
        err_hint(e, "'--no-tls-verify' sends it all the same");
    } else {
        err_set(e, FAULT_AUTH, "%s would show the password to everybody on the way", mechanism);
        err_hint(e, "ask for TLS ('-tls'); naming the mechanism ('-a %s') sends it all the same", mechanism);
    }
}

static void choose(struct exchange *x, struct session *s, const struct stream *stream)
{
    struct err e = ERR_INIT;
    const struct reply *refusal = session_auth_reply(s);
    struct sasl_params p = sasl_params(x, s, stream);
    if (err_is_set(&x->err)) { /* the session's from here on, which may go on without a login */
        err_move(&e, &x->err);
        session_auth_give_up(s, &e);
        return;
    }
    if (refusal) {
        authn_tell_refusal(&x->authn);
        if (!sasl_try_next(refusal) && x->wanted.n == 1) {
            refused(x, refusal, &e);
            session_auth_give_up(s, &e);
            return;
        }
    }
    read_offer(x, s);
    const char *mechanism = pick(x, &p, &e);
    if (!mechanism) {
        explain_privacy(x, stream, &p, &e);
        if (refusal) { /* what the server said tells more than that nothing is left to try */
            err_clear(&e);
            refused(x, refusal, &e);
        }
        err_stage(&e, STAGE_AUTH);
        session_auth_give_up(s, &e);
        return;
    }
    strlist_add(&x->tried, mechanism);
    struct buf initial = BUF_SECRET_INIT;
    bool has_initial = false;
    if (authn_start(&x->authn, mechanism, &p, &initial, &has_initial, &e))
        session_auth_start(s, name_on_wire(x, s, mechanism), has_initial ? &initial : NULL);
    else
        session_auth_give_up(s, &e);
    buf_free(&initial);
}

static void answer(struct exchange *x, struct session *s)
{
    struct err e = ERR_INIT;
    struct buf response = BUF_SECRET_INIT;
    if (authn_step(&x->authn, session_auth_challenge(s), &response, &e)) {
        session_auth_respond(s, &response);
    } else {
        err_move(&x->err, &e);
        session_auth_cancel(s);
    }
    buf_free(&response);
}

void exchange_serve(struct exchange *x, struct session *s, const struct stream *stream)
{
    struct err e = ERR_INIT;
    switch (session_auth_state(s)) {
    case SESSION_AUTH_CHOOSE:
        choose(x, s, stream);
        return;
    case SESSION_AUTH_CHALLENGE:
        answer(x, s);
        return;
    case SESSION_AUTH_SUCCESS:
        if (authn_accepted(&x->authn, session_auth_challenge(s), &e))
            session_auth_accept(s);
        else
            session_fail(s, &e);
        return;
    }
}
