/* server_auth: AUTH (RFC 4954) from the server's side. One row for each mechanism: those that show the secret itself
 * are taken apart here, and whether it is right is the driver's to say; the steps of the others are all the
 * driver's. */
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "smtp/caps.h"
#include "smtp/server_state.h"

enum taken { TAKEN_ALL, TAKEN_MORE, TAKEN_BAD };

struct mechanism {
    const char *name;
    bool oauth;              /* a refusal is first told as JSON (RFC 7628 3.2.2) */
    const char *prompts[2];  /* the challenges, in order */
    enum taken (*take)(struct server *s, const struct buf *in); /* NULL: the driver's steps */
};

/* RFC 4616: [authzid] NUL authcid NUL passwd */
static enum taken take_plain(struct server *s, const struct buf *in)
{
    const char *end = in->data + in->len;
    const char *user = memchr(in->data, '\0', in->len);
    const char *password = user ? memchr(user + 1, '\0', (size_t)(end - user - 1)) : NULL;

    if (!password || memchr(password + 1, '\0', (size_t)(end - password - 1)))
        return TAKEN_BAD;
    buf_adds(&s->user, user + 1);
    buf_add(&s->password, password + 1, (size_t)(end - password - 1));
    return TAKEN_ALL;
}

static enum taken take_login(struct server *s, const struct buf *in)
{
    if (memchr(in->data, '\0', in->len))
        return TAKEN_BAD;
    buf_addbuf(s->auth_round == 0 ? &s->user : &s->password, in);
    return s->auth_round++ == 0 ? TAKEN_MORE : TAKEN_ALL;
}

/* The part behind `key` up to the next ^A; NULL: not there. */
static const char *field(const char *text, const char *key, size_t *n)
{
    const char *p = strstr(text, key);

    if (!p)
        return NULL;
    p += strlen(key);
    *n = strcspn(p, "\1");
    return p[*n] == '\1' ? p : NULL;
}

static enum taken take_token(struct server *s, const char *user, size_t n, const char *text)
{
    const char *token;
    size_t length;

    token = field(text, "\1auth=Bearer ", &length);
    if (!token || length == 0)
        return TAKEN_BAD;
    buf_add(&s->user, user, n);
    buf_add(&s->password, token, length);
    return TAKEN_ALL;
}

/* user=NAME^Aauth=Bearer TOKEN^A^A */
static enum taken take_xoauth2(struct server *s, const struct buf *in)
{
    const char *user;
    size_t n;

    if (!ascii_istarts(in->data, "user=") || !(user = field(in->data, "user=", &n)))
        return TAKEN_BAD;
    return take_token(s, user, n, in->data);
}

/* RFC 7628 3.1: n,a=NAME,^Ahost=…^Aport=…^Aauth=Bearer TOKEN^A^A; the user name may be left out, the token tells it */
static enum taken take_oauthbearer(struct server *s, const struct buf *in)
{
    const char *user = in->data, *end;

    if (strncmp(user, "n,", 2) != 0 || !(end = strchr(user + 2, ',')))
        return TAKEN_BAD;
    user += 2;
    if (strncmp(user, "a=", 2) == 0)
        user += 2;
    return take_token(s, user, (size_t)(end - user), in->data);
}

static const struct mechanism mechanisms[] = {
    { "SCRAM-SHA-256-PLUS", false, { "", NULL }, NULL },
    { "SCRAM-SHA-256", false, { "", NULL }, NULL },
    { "PLAIN", false, { "", NULL }, take_plain },
    { "LOGIN", false, { "Username:", "Password:" }, take_login },
    { "XOAUTH2", true, { "", NULL }, take_xoauth2 },
    { "OAUTHBEARER", true, { "", NULL }, take_oauthbearer },
};
enum { MECHANISMS = sizeof mechanisms / sizeof *mechanisms };

bool server_auth_offered(const struct server *s)
{
    return s->p.auth_offered && (s->tls || s->p.auth_without_tls);
}

const char *const *server_mechanisms(void)
{
    static const char *names[MECHANISMS + 1];

    for (size_t i = 0; i < MECHANISMS; i++)
        names[i] = mechanisms[i].name;
    return names;
}

static bool is_offered(const struct server *s, const struct mechanism *m)
{
    return (!s->p.mechanisms || strlist_has_nocase(s->p.mechanisms, m->name)) && (s->tls || !strstr(m->name, "-PLUS"));
}

void server_auth_words(const struct server *s, struct buf *out)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (is_offered(s, &mechanisms[i]))
            buf_printf(out, " %s", mechanisms[i].name);
}

static void forget(struct server *s)
{
    s->phase = PHASE_COMMAND;
    s->mechanism = NULL;
    s->auth_round = 0;
    s->auth_failed = false;
    buf_reset(&s->password);
    buf_reset(&s->response);
    s->step = (struct server_step){ 0 };
    if (!s->logged_in)
        buf_reset(&s->user);
}

static void refuse(struct server *s, int code, const char *enhanced, const char *text)
{
    forget(s);
    server_reply(s, code, enhanced, "%s", text);
}

static void challenge(struct server *s, const char *text, size_t n)
{
    struct buf b = BUF_INIT;

    base64_encode(&b, text, n);
    server_reply_text(s, 334, false, b.data);
    buf_free(&b);
    s->phase = PHASE_AUTH;
}

/* The name may end up in a header or a log. */
static bool is_name(const struct buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        if ((unsigned char)b->data[i] < ' ' || b->data[i] == 0x7f)
            return false;
    return utf8_valid(b->data, b->len);
}

static void prompt(struct server *s)
{
    const char *text = s->mechanism->prompts[s->auth_round];
    challenge(s, text, strlen(text));
}

/* The response is the driver's to judge. */
static void step(struct server *s, const char *text)
{
    buf_reset(&s->response);
    if (!base64_decode(&s->response, text, strlen(text))) {
        refuse(s, 501, "5.5.2", "the response is not base64");
        return;
    }
    s->phase = PHASE_COMMAND;
    s->step = (struct server_step){ s->mechanism->name, s->auth_round++ == 0, &s->response };
    s->asked = SERVER_STEP;
}

static void take_apart(struct server *s, const char *text)
{
    struct buf in = BUF_SECRET_INIT;
    bool decoded = base64_decode(&in, text, strlen(text));
    enum taken taken = decoded ? s->mechanism->take(s, &in) : TAKEN_BAD;

    buf_free(&in);
    if (!is_name(&s->user))
        taken = TAKEN_BAD;
    switch (taken) {
    case TAKEN_MORE:
        prompt(s);
        break;
    case TAKEN_ALL:
        s->phase = PHASE_COMMAND;
        s->login = (struct server_login){ s->mechanism->name, s->user.data, s->password.data };
        s->asked = SERVER_LOGIN;
        break;
    case TAKEN_BAD:
        refuse(s, 501, "5.5.2", decoded ? "the response is malformed" : "the response is not base64");
        break;
    }
}

static void respond(struct server *s, const char *text)
{
    if (s->mechanism->take)
        take_apart(s, text);
    else
        step(s, text);
}

static const struct mechanism *find(const struct server *s, const char *name, size_t n)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (strlen(mechanisms[i].name) == n && ascii_ieqn(mechanisms[i].name, name, n) && is_offered(s, &mechanisms[i]))
            return &mechanisms[i];
    return NULL;
}

void server_auth_begin(struct server *s, const char *arg)
{
    size_t n = strcspn(arg, " \t");
    const char *initial = arg + n + strspn(arg + n, " \t");

    if (s->logged_in) {
        server_reply(s, 503, "5.5.1", "authenticated already");
        return;
    }
    forget(s); /* an exchange that a malformed line has cut short */
    if (!s->p.auth_offered) {
        server_reply(s, 502, "5.5.1", "not offered");
        return;
    }
    if (!server_auth_offered(s)) {
        server_reply(s, 538, "5.7.11", "this needs TLS");
        return;
    }
    s->mechanism = find(s, arg, n);
    if (!s->mechanism) {
        server_reply(s, 504, "5.5.4", "unknown mechanism");
        return;
    }
    s->phase = PHASE_AUTH;
    if (!*initial)
        prompt(s);
    else
        respond(s, strcmp(initial, "=") == 0 ? "" : initial);
}

void server_auth_line(struct server *s)
{
    if (s->auth_failed) /* whatever it is: the error was told already */
        refuse(s, 535, "5.7.8", "the token is not accepted");
    else if (strcmp(s->line.data, "*") == 0)
        refuse(s, 501, "5.7.0", "cancelled");
    else
        respond(s, s->line.data);
}

const struct server_login *server_login(const struct server *s)
{
    return &s->login;
}

void server_login_answer(struct server *s, bool ok)
{
    static const char invalid[] = "{\"status\":\"invalid_token\",\"schemes\":\"bearer\",\"scope\":\"mail\"}";

    s->asked = SERVER_READ;
    s->login = (struct server_login){ 0 };
    emit(s->p.hub, s->p.connection, EV_AUTH, F_STR("mechanism", s->mechanism->name), F_STR("user", s->user.data),
         F_BOOL("ok", ok));
    if (ok) {
        s->logged_in = true;
        forget(s);
        server_reply(s, 235, "2.7.0", "welcome");
    } else if (s->mechanism->oauth) {
        s->auth_failed = true;
        buf_reset(&s->password);
        challenge(s, invalid, sizeof invalid - 1);
    } else {
        refuse(s, 535, "5.7.8", "user name or password is wrong");
    }
}

const struct server_step *server_step(const struct server *s)
{
    return &s->step;
}

void server_challenge(struct server *s, const struct buf *octets)
{
    s->asked = SERVER_READ;
    challenge(s, octets->data, octets->len);
}

void server_step_done(struct server *s, const char *user, bool ok)
{
    buf_adds(&s->user, user);
    server_login_answer(s, ok);
}
