/* native: the mechanisms that are no more than a few octets in a certain order. None of them needs a library; none may
 * hold a copy of the secret after it has been put into the response. */
#include <string.h>

#include "auth/mechanism.h"
#include "base/ascii.h"
#include "base/json.h"

/* The whole message was said; some servers ignore an initial response and ask again with an empty challenge. */
static bool say_again(const struct sasl *s, const struct buf *challenge)
{
    return s->round == 0 || (s->round == 1 && challenge->len == 0);
}

static bool too_much(const struct sasl *s, struct err *e)
{
    return err_set(e, FAULT_PROTOCOL, "the server asks for more than '%s' has to say", s->m->name);
}

bool native_plain(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    if (!say_again(s, challenge))
        return too_much(s, e);
    buf_adds(response, s->p.authzid ? s->p.authzid : "");
    buf_addc(response, '\0');
    buf_adds(response, s->p.user);
    buf_addc(response, '\0');
    buf_addbuf(response, s->secret);
    return true;
}

/* Servers word their two questions as they like; only the order is certain. */
bool native_login(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    (void)challenge;
    if (s->round > 1)
        return too_much(s, e);
    if (s->round == 0)
        buf_adds(response, s->p.user);
    else
        buf_addbuf(response, s->secret);
    return true;
}

bool native_external(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    if (!say_again(s, challenge))
        return too_much(s, e);
    const char *identity = s->p.authzid ? s->p.authzid : s->p.user;
    buf_adds(response, identity ? identity : "");
    return true;
}

/* Server's text for people: no controls, UTF-8 or ASCII, not too long. */
static void add_words(struct buf *out, const char *text, size_t n)
{
    enum { SHOWN = 300 };
    size_t from = out->len;
    bool utf8 = utf8_valid(text, n);
    for (size_t i = 0; i < n && out->len - from < SHOWN; i++) {
        unsigned char c = (unsigned char)text[i];
        buf_addc(out, c < 32 || c == 127 || (c > 127 && !utf8) ? '?' : (char)c);
    }
    while (!utf8_valid(out->data + from, out->len - from))
        buf_cut(out, out->len - 1);
}

/* RFC 7628 3.2.2, and what Google and Microsoft add. */
static void keep_failure(struct sasl *s, const struct buf *json)
{
    static const char *const members[] = { "status", "error", "error_description", "schemes", "scope" };
    struct buf value = BUF_INIT;
    buf_reset(&s->failure);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        buf_reset(&value);
        if (!json_member(json->data, json->len, members[i], &value) || value.len == 0)
            continue;
        buf_adds(&s->failure, s->failure.len ? ", " : "");
        for (const char *c = members[i]; *c; c++)
            buf_addc(&s->failure, *c == '_' ? ' ' : *c);
        buf_addc(&s->failure, ' ');
        add_words(&s->failure, value.data, value.len);
    }
    if (s->failure.len == 0)
        add_words(&s->failure, json->data, json->len);
    buf_free(&value);
}

/* A token is 1*VSCHAR with blanks at most (RFC 6750 2.1); \1 inside would end the field early. */
static bool token_ok(const struct sasl *s, struct err *e)
{
    for (size_t i = 0; i < s->secret->len; i++) {
        unsigned char c = (unsigned char)s->secret->data[i];
        if (c < 0x20 || c == 0x7f) {
            err_set(e, FAULT_AUTH, "the token for '%s' holds a control character", s->m->name);
            return err_hint(e, "the secret has to be the access token alone, on one line");
        }
    }
    return true;
}

bool native_xoauth2(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    if (say_again(s, challenge)) {
        if (!token_ok(s, e))
            return false;
        buf_printf(response, "user=%s\1auth=Bearer ", s->p.user);
        buf_addbuf(response, s->secret);
        buf_adds(response, "\1\1");
        return true;
    }
    if (s->failure.len)
        return too_much(s, e);
    keep_failure(s, challenge); /* answered by an empty line; the refusal follows */
    return true;
}

/* A saslname (RFC 5801 4): '=' and ',' are written as hex. */
static void add_saslname(struct buf *out, const char *name)
{
    for (; *name; name++) {
        if (*name == '=' || *name == ',')
            buf_adds(out, *name == '=' ? "=3D" : "=2C");
        else
            buf_addc(out, *name);
    }
}

bool native_oauthbearer(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e)
{
    if (say_again(s, challenge)) {
        if (!token_ok(s, e))
            return false;
        buf_adds(response, "n,a=");
        add_saslname(response, s->p.authzid ? s->p.authzid : s->p.user);
        buf_addc(response, ',');
        if (s->p.host)
            buf_printf(response, "\1host=%s", s->p.host);
        if (s->p.port > 0)
            buf_printf(response, "\1port=%d", s->p.port);
        buf_adds(response, "\1auth=Bearer ");
        buf_addbuf(response, s->secret);
        buf_adds(response, "\1\1");
        return true;
    }
    if (s->failure.len)
        return too_much(s, e);
    keep_failure(s, challenge);
    buf_addc(response, '\1'); /* RFC 7628 3.2.3 */
    return true;
}
