/* sink_client: one connection of the sink: carries octets between its stream and an SMTP server session, and makes it
 * misbehave as the options say. */
#include <stdlib.h>
#include <string.h>

#include "cmd/sink_client.h"

/* ---- what every kind of client does with its stream ---- */

void client_note(struct client *c, struct err *e)
{
    if (err_is_set(e))
        emit(&c->sink->hub, c->number, EV_NOTE, F_STR("text", e->text));
    err_clear(e);
}

enum io client_read(struct client *c, size_t *n)
{
    struct err e = ERR_INIT;
    enum io io = stream_read(c->stream, c->sink->block, SINK_BLOCK, n, &e);

    c->reading = io == IO_AGAIN;
    client_note(c, &e);
    return io;
}

enum io client_flush(struct client *c)
{
    struct err e = ERR_INIT;
    enum io io = stream_flush(c->stream, &e);

    c->writing = io == IO_AGAIN;
    client_note(c, &e);
    return io;
}

enum io client_write(struct client *c, const struct buf *out, size_t *n)
{
    struct err e = ERR_INIT;
    const struct iovec iov = { out->data, out->len };
    enum io io = stream_writev(c->stream, &iov, 1, n, &e);

    c->writing = io == IO_AGAIN;
    client_note(c, &e);
    return io;
}

/* ---- the server ---- */

static struct server *new_server(struct client *c)
{
    struct sink *s = c->sink;
    const struct server_params p = {
        .lmtp = s->opt.lmtp,
        .name = s->name,
        .tls_offered = s->tls,
        .tls_up = c->implicit_tls,
        .auth_offered = s->opt.auth,
        .auth_without_tls = true,
        .auth_required = s->opt.auth_required,
        .extensions = s->extensions,
        .mechanisms = &s->mechanisms,
        .stages = faults_any(s->faults),
        .size_max = s->opt.size,
        .rcpt_max = (size_t)s->opt.recipients,
        .hub = &s->hub,
        .connection = c->number,
    };
    return server_new(&p);
}

/* ---- faults ---- */

static enum io carry_out(struct sink_client *sc)
{
    const struct buf *out = server_output(sc->server);
    struct buf part = *out;
    usec drip = sc->client.sink->opt.drip;
    size_t n;
    enum io io;

    if (drip > 0) {
        sc->wake = sc->next_octet;
        if (clock_now() < sc->wake)
            return IO_AGAIN;
        part.len = 1;
        sc->next_octet = clock_deadline(drip);
    }
    io = client_write(&sc->client, &part, &n);
    if (io == IO_DONE)
        server_wrote(sc->server, n);
    return io;
}

enum io client_say_first(struct sink_client *sc)
{
    enum io io = IO_DONE;

    while (io == IO_DONE && server_output(sc->server)->len > 0)
        io = carry_out(sc);
    return io == IO_DONE ? client_flush(&sc->client) : io;
}

enum io client_consult(struct sink_client *sc, enum sink_stage stage, const char *const *about, size_t n)
{
    bool holds_up;
    enum io io = IO_DONE;

    if (!sc->consulted) {
        sc->verdict = faults_at(sc->client.sink->faults, stage, about, n);
        sc->consulted = true;
        sc->until = sc->verdict.delay > 0 ? clock_deadline(sc->verdict.delay) : 0;
    }
    holds_up = sc->until > 0 || sc->verdict.drop_at >= 0;
    if (holds_up)
        io = client_say_first(sc);
    if (io != IO_DONE)
        return io;
    if (clock_now() < sc->until) {
        sc->wake = sc->until;
        return IO_AGAIN;
    }
    sc->consulted = false;
    return sc->verdict.drop_at >= 0 ? IO_EOF : IO_DONE;
}

static enum io take_stage(struct sink_client *sc)
{
    const char *about;
    enum sink_stage stage = (enum sink_stage)server_stage(sc->server, &about);
    enum io io = client_consult(sc, stage, &about, 1);

    if (io == IO_DONE)
        server_stage_answer(sc->server, sc->verdict.code, sc->verdict.text);
    return io;
}

/* ---- AUTH ---- */

static bool same(const char *a, size_t n, const char *b)
{
    return strlen(b) == n && memcmp(a, b, n) == 0;
}

/* --auth any, or USER:PASS */
static void check_login(struct sink_client *sc)
{
    const struct server_login *login = server_login(sc->server);
    const char *right = sc->client.sink->opt.auth;
    const char *colon = strchr(right, ':');
    bool ok = !colon || (same(right, (size_t)(colon - right), login->user) && strcmp(colon + 1, login->password) == 0);

    server_hold(sc->server);
    explicit_bzero(sc->client.sink->block, SINK_BLOCK); /* the secret came through it */
    server_login_answer(sc->server, ok);
}

static void begin_scram(struct sink_client *sc, const char *mechanism)
{
    const char *auth = sc->client.sink->opt.auth, *colon = strchr(auth, ':');
    struct scram_params p = { .mechanism = mechanism, .password = colon + 1, .binding = &sc->binding };

    scram_free(sc->scram);
    buf_reset(&sc->binding);
    free(sc->user);
    p.user = sc->user = xstrndup(auth, (size_t)(colon - auth));
    if (!stream_channel_binding(sc->client.stream, &p.binding_type, &sc->binding))
        p.binding_type = NULL;
    sc->scram = scram_start(&p);
}

static void take_step(struct sink_client *sc)
{
    const struct server_step *step = server_step(sc->server);
    struct buf challenge = BUF_INIT;
    enum scram_verdict verdict;

    if (step->first)
        begin_scram(sc, step->mechanism);
    verdict = sc->scram ? scram_step(sc->scram, step->response, &challenge) : SCRAM_NO;
    if (verdict == SCRAM_MORE)
        server_challenge(sc->server, &challenge);
    else
        server_step_done(sc->server, sc->user, verdict == SCRAM_YES);
    buf_free(&challenge);
}

/* ---- octets in and out ---- */

static enum io carry_in(struct sink_client *sc, int *turns)
{
    size_t n;
    enum io io;

    if (--*turns < 0) { /* the others' turn; poll comes back at once if there is more */
        sc->client.reading = true;
        return IO_AGAIN;
    }
    io = client_read(&sc->client, &n);
    if (io == IO_DONE)
        server_input(sc->server, sc->client.sink->block, n);
    if (io == IO_EOF)
        server_eof(sc->server);
    return io == IO_EOF ? IO_DONE : io;
}

static enum io secure(struct sink_client *sc)
{
    enum io io = client_flush(&sc->client); /* the reply to STARTTLS */

    if (io != IO_DONE)
        return io;
    io = client_handshake(&sc->client);
    if (io == IO_DONE)
        server_tls_up(sc->server);
    return io;
}

static bool is_idle(const struct sink_client *sc)
{
    return clock_now() >= sc->idle_at;
}

/* A pause of ours is not the client's. */
static void set_deadlines(struct sink_client *sc)
{
    sc->idle_at = clock_deadline(sc->client.sink->opt.idle);
    if (sc->wake > 0 && sc->idle_at != USEC_NEVER)
        sc->idle_at += sc->wake - clock_now();
    sc->client.deadline = sc->wake > 0 ? sc->wake : sc->idle_at;
}

static bool step(struct client *c)
{
    struct sink_client *sc = (struct sink_client *)c;
    int turns = SINK_TURN;
    enum io io = IO_DONE;
    bool was_idle = is_idle(sc);

    c->reading = c->writing = false;
    sc->wake = 0;
    if (was_idle) {
        server_end(sc->server, "idle for too long");
        message_drop(sc);
    }
    if (c->implicit_tls && !stream_is_tls(c->stream))
        io = client_handshake(c);
    while (io == IO_DONE) {
        switch (server_next(sc->server)) {
        case SERVER_READ: io = carry_in(sc, &turns); break;
        case SERVER_WRITE: io = carry_out(sc); break;
        case SERVER_TLS: io = secure(sc); break;
        case SERVER_LOGIN: check_login(sc); break;
        case SERVER_STEP: take_step(sc); break;
        case SERVER_STAGE: io = take_stage(sc); break;
        case SERVER_DATA: io = message_take_data(sc); break;
        case SERVER_DROP: message_drop(sc); server_data_taken(sc->server); break;
        case SERVER_MESSAGE: io = message_take(sc); break;
        case SERVER_CLOSE: return client_flush(c) != IO_AGAIN;
        }
    }
    if (io != IO_AGAIN || was_idle)
        return true;
    server_hold(sc->server); /* others read into the block now */
    set_deadlines(sc);
    return false;
}

/* One try, without waiting: nobody holds up the end. */
static void last_word(struct client *c)
{
    struct sink_client *sc = (struct sink_client *)c;
    size_t n;

    if (c->handshaking || (c->implicit_tls && !stream_is_tls(c->stream)))
        return;
    server_end(sc->server, "the sink ends");
    client_write(c, server_output(sc->server), &n);
}

static void free_client(struct client *c)
{
    struct sink_client *sc = (struct sink_client *)c;

    server_free(sc->server);
    message_drop(sc);
    scram_free(sc->scram);
    buf_free(&sc->binding);
    buf_free(&sc->head);
    free(sc->user);
}

/* The server is made with the first step, when the kind of listener is known. */
static bool first_step(struct client *c)
{
    ((struct sink_client *)c)->server = new_server(c);
    c->step = step;
    c->end = last_word;
    return step(c);
}

struct client *sink_client_new(struct sink *s)
{
    struct sink_client *sc = xcalloc(1, sizeof *sc);

    sc->client = (struct client){ .step = first_step, .free = free_client, .sink = s };
    sc->idle_at = clock_deadline(s->opt.idle);
    buf_init(&sc->head);
    buf_init(&sc->binding);
    return &sc->client;
}
