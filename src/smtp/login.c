/* login: AUTH on the wire (RFC 4954). What the octets mean is the mechanism's, on the other side of session_auth_…. */
#include "smtp/session_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"

enum { AUTH_LINE_MAX = 12288 }; /* with CRLF; RFC 4954 4 */

void login_free(struct login *l)
{
    reply_free(&l->refusal);
    buf_free(&l->challenge);
    buf_free(&l->line);
    buf_free(&l->held);
}

enum session_auth_state session_auth_state(const struct session *s)
{
    return s->login.state;
}

const struct reply *session_auth_reply(const struct session *s)
{
    return s->login.refusal.code != 0 ? &s->login.refusal : NULL;
}

const struct buf *session_auth_challenge(const struct session *s)
{
    return &s->login.challenge;
}

/* ---- what may be shown ---- */

/* User names, but neither a password, however short, nor what is made of one. */
static size_t open_to_last_nul(const struct buf *text, unsigned nth)
{
    const char *nul = memrchr(text->data, '\0', text->len);
    (void)nth;
    return nul ? (size_t)(nul - text->data) + 1 : 0;
}

static size_t open_first(const struct buf *text, unsigned nth)
{
    return nth == 0 ? text->len : 0;
}

static size_t open_to_last_blank(const struct buf *text, unsigned nth)
{
    const char *blank = memrchr(text->data, ' ', text->len);
    (void)nth;
    return blank ? (size_t)(blank - text->data) + 1 : 0;
}

static const struct {
    const char *mechanism;
    size_t (*open)(const struct buf *text, unsigned nth);
} openings[] = {
    { "PLAIN", open_to_last_nul }, { "LOGIN", open_first }, { "CRAM-MD5", open_to_last_blank },
};

static void say(struct session *s, enum command_kind kind)
{
    s->ask = ASK_NOTHING;
    advance_push(s, kind, 0);
}

void session_auth_start(struct session *s, const char *mechanism, const struct buf *initial)
{
    struct login *l = &s->login;

    if (s->ask != ASK_AUTH || l->state != SESSION_AUTH_CHOOSE)
        return;
    l->holding = l->cancelled = false;
    l->said = 0;
    l->open = NULL;
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++)
        if (ascii_ieq(openings[i].mechanism, mechanism))
            l->open = openings[i].open;
    buf_reset(&l->line);
    buf_printf(&l->line, "AUTH %s", mechanism);
    l->cut = SIZE_MAX;
    if (initial) {
        buf_reset(&l->held);
        base64_encode(&l->held, initial->data, initial->len);
        l->holding = l->line.len + 1 + l->held.len + 2 > AUTH_LINE_MAX;
        if (!l->holding) {
            buf_addc(&l->line, ' ');
            l->cut = l->line.len;
            buf_adds(&l->line, initial->len == 0 ? "=" : l->held.data);
            buf_reset(&l->held);
        }
    }
    say(s, CMD_AUTH);
}

void session_auth_respond(struct session *s, const struct buf *response)
{
    struct login *l = &s->login;

    if (s->ask != ASK_AUTH || l->state != SESSION_AUTH_CHALLENGE)
        return;
    buf_reset(&l->line);
    base64_encode(&l->line, response->data, response->len);
    l->cut = 0;
    say(s, CMD_RESPONSE);
}

static void cancel(struct session *s)
{
    buf_reset(&s->login.line);
    buf_adds(&s->login.line, "*");
    s->login.cut = SIZE_MAX;
    s->login.cancelled = true;
    say(s, CMD_RESPONSE);
}

void session_auth_cancel(struct session *s)
{
    if (s->ask == ASK_AUTH && s->login.state == SESSION_AUTH_CHALLENGE)
        cancel(s);
}

void session_auth_accept(struct session *s)
{
    if (s->ask != ASK_AUTH || s->login.state != SESSION_AUTH_SUCCESS)
        return;
    s->authenticated = true;
    s->ask = ASK_NOTHING;
    login_free(&s->login);
}

void session_auth_give_up(struct session *s, struct err *e)
{
    if (s->gone) {
        err_clear(e);
        return;
    }
    s->ask = ASK_NOTHING;
    if (s->p.probe.auth_need == NEED_MAY) {
        char *text = xasprintf("%s; nobody logs in", e->text);
        emit(s->p.hub, s->p.connection, EV_WARNING, F_STR("text", text));
        s->without |= CAP_AUTH;
        free(text);
        err_clear(e);
        return;
    }
    err_move(&s->err, e);
    err_stage(&s->err, STAGE_AUTH);
    session_leave(s);
}

void login_write(struct session *s, const struct command *c, struct buf *line)
{
    (void)c;
    buf_addbuf(line, &s->login.line);
    buf_reset(&s->login.line);
}

bool login_decode(struct session *s, const char *line, size_t n, struct buf *out, size_t *cut)
{
    struct login *l = &s->login;
    struct buf text = BUF_SECRET_INIT;
    bool ok = l->cut < n && base64_decode(&text, line + l->cut, n - l->cut);

    if (ok) {
        size_t shown = l->open ? l->open(&text, l->said) : 0;
        l->said++;
        buf_add(out, line, l->cut);
        buf_addbuf(out, &text);
        *cut = shown < text.len ? l->cut + shown : SIZE_MAX;
    }
    buf_free(&text);
    return ok;
}

static void challenged(struct session *s, const struct reply *r)
{
    struct login *l = &s->login;

    if (l->holding) {
        l->holding = false;
        buf_reset(&l->line);
        buf_addbuf(&l->line, &l->held);
        buf_reset(&l->held);
        l->cut = 0;
        advance_push(s, CMD_RESPONSE, 0);
        return;
    }
    buf_reset(&l->challenge);
    if (base64_decode(&l->challenge, r->text.data, r->text.len)) {
        l->state = SESSION_AUTH_CHALLENGE;
        s->ask = ASK_AUTH;
        return;
    }
    err_set(&s->err, FAULT_PROTOCOL, "the server's challenge in AUTH is not base64");
    err_stage(&s->err, STAGE_AUTH);
    cancel(s);
}

/* The one handler of AUTH and of each response. */
bool login_reply(struct session *s, const struct command *c, const struct reply *r)
{
    struct login *l = &s->login;

    (void)c;
    if (l->cancelled && (reply_ok(r) || reply_more(r))) {
        session_protocol_error(s, r, "the server did not take the end of AUTH for an answer");
    } else if (reply_ok(r)) {
        buf_reset(&l->challenge);
        l->state = SESSION_AUTH_SUCCESS;
        s->ask = ASK_AUTH;
    } else if (reply_more(r)) {
        challenged(s, r);
    } else if (err_is_set(&s->err)) {
        struct err e = ERR_INIT;
        err_move(&e, &s->err);
        session_auth_give_up(s, &e);
    } else {
        reply_free(&l->refusal);
        reply_copy(&l->refusal, r);
        l->state = SESSION_AUTH_CHOOSE;
        s->ask = ASK_AUTH;
    }
    return true;
}
