/* sink_client: one connection of the sink: carries octets between its stream and an SMTP server session, and the
 * messages to the store. */
#include <stdlib.h>
#include <string.h>

#include "cmd/sink.h"
#include "smtp/server.h"

enum { IDLE = 300 }; /* seconds; RFC 5321 4.5.3.2.7 */

/* ---- what every kind of client does with its stream ---- */

static void note_failure(struct client *c, struct err *e)
{
    if (err_is_set(e))
        emit(&c->sink->hub, c->number, EV_NOTE, F_STR("text", e->text));
    err_clear(e);
}

static void tell_tls(struct client *c)
{
    const struct tls_facts *f = stream_tls_facts(c->stream);

    if (f)
        emit(&c->sink->hub, c->number, EV_TLS, F_STR("version", f->version), F_STR("cipher", f->cipher), F_STR("group", f->group));
}

enum io client_handshake(struct client *c)
{
    struct err e = ERR_INIT;
    enum io io = stream_tls_server(c->stream, c->sink->tls, &e);

    c->handshaking = io == IO_AGAIN;
    if (io == IO_DONE)
        tell_tls(c);
    note_failure(c, &e);
    return io;
}

enum io client_read(struct client *c, size_t *n)
{
    struct err e = ERR_INIT;
    enum io io = stream_read(c->stream, c->sink->block, SINK_BLOCK, n, &e);

    c->reading = io == IO_AGAIN;
    note_failure(c, &e);
    return io;
}

enum io client_flush(struct client *c)
{
    struct err e = ERR_INIT;
    enum io io = stream_flush(c->stream, &e);

    c->writing = io == IO_AGAIN;
    note_failure(c, &e);
    return io;
}

enum io client_write(struct client *c, const struct buf *out, size_t *n)
{
    struct err e = ERR_INIT;
    const struct iovec iov = { out->data, out->len };
    enum io io = stream_writev(c->stream, &iov, 1, n, &e);

    c->writing = io == IO_AGAIN;
    note_failure(c, &e);
    return io;
}

/* ---- the server ---- */

struct sink_client {
    struct client client; /* first */
    struct server *server;
    struct letter *letter;
    bool failed; /* the letter could not be stored */
};

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
        .size_max = s->opt.size,
        .hub = &s->hub,
        .connection = c->number,
    };
    return server_new(&p);
}

static void write_envelope(struct sink_client *sc, struct buf *out)
{
    const struct server *s = sc->server;
    const struct envelope *env = server_envelope(s);
    const struct strlist *parameters = server_parameters(s);

    buf_printf(out, "X-Envelope-From: <%s>\r\n", env->sender);
    for (size_t i = 0; i < env->n; i++)
        buf_printf(out, "X-Envelope-To: <%s>\r\n", env->rcpts[i].address);
    buf_printf(out, "X-Envelope-Helo: %s\r\n", server_helo(s));
    buf_printf(out, "X-Envelope-Peer: %s\r\n", stream_peer(sc->client.stream));
    buf_adds(out, "X-Envelope-Protocol: ");
    server_protocol(s, out);
    buf_adds(out, "\r\n");
    if (server_user(s))
        buf_printf(out, "X-Envelope-User: %s\r\n", server_user(s));
    for (size_t i = 0; i < parameters->n; i++)
        buf_printf(out, "X-Envelope-Parameters: %s\r\n", parameters->v[i]);
}

/* A failure is remembered until the message ends, and answered then. */
static void store_failed(struct sink_client *sc, struct err *e)
{
    sc->failed = true;
    letter_drop(sc->letter);
    sc->letter = NULL;
    emit(&sc->client.sink->hub, sc->client.number, EV_WARNING, F_STR("text", e->text));
    err_clear(e);
}

static void begin(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    struct buf head = BUF_INIT;

    if (sc->letter || sc->failed)
        return;
    sc->letter = letter_begin(sc->client.sink->store, server_envelope(sc->server)->sender);
    write_envelope(sc, &head);
    if (!letter_add(sc->letter, head.data, head.len, &e))
        store_failed(sc, &e);
    buf_free(&head);
}

static void take_data(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    const char *p;
    size_t n;

    begin(sc);
    server_data(sc->server, &p, &n);
    if (sc->letter && !letter_add(sc->letter, p, n, &e))
        store_failed(sc, &e);
    server_data_taken(sc->server);
}

static void drop(struct sink_client *sc)
{
    letter_drop(sc->letter);
    sc->letter = NULL;
    sc->failed = false;
}

static void tell_received(struct sink_client *sc, const char *where)
{
    struct sink *s = sc->client.sink;
    const struct envelope *env = server_envelope(sc->server);
    struct strlist to = STRLIST_INIT;
    const struct field fields[] = {
        F_STR("from", env->sender), F_LIST("recipients", &to), F_INT("octets", server_octets(sc->server)),
        F_STR("stored", *where ? where : NULL), F_STR("peer", stream_peer(sc->client.stream)), { .type = FIELD_END },
    };

    for (size_t i = 0; i < env->n; i++)
        strlist_add(&to, env->rcpts[i].address);
    hub_emit(&s->hub, sc->client.number, EV_RECEIVED, fields);
    hub_emit(&s->news, sc->client.number, EV_RECEIVED, fields);
    strlist_free(&to);
}

static void take_message(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    struct buf where = BUF_INIT;

    if (sink_has_enough(sc->client.sink)) {
        drop(sc);
        server_message_answer(sc->server, 451, "4.3.2 the sink has the messages it was to take");
        return;
    }
    begin(sc);
    if (sc->letter && !letter_keep(sc->letter, &where, &e)) {
        sc->letter = NULL;
        store_failed(sc, &e);
    }
    sc->letter = NULL;
    if (sc->failed) {
        server_message_answer(sc->server, 451, "4.3.0 the message could not be stored");
    } else {
        tell_received(sc, where.data);
        server_message_answer(sc->server, 250, "2.0.0 message stored");
        sink_counts(sc->client.sink);
    }
    sc->failed = false;
    buf_free(&where);
}

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

    explicit_bzero(sc->client.sink->block, SINK_BLOCK); /* the secret came through it */
    server_login_answer(sc->server, ok);
}

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

static enum io carry_out(struct sink_client *sc)
{
    size_t n;
    enum io io = client_write(&sc->client, server_output(sc->server), &n);

    if (io == IO_DONE)
        server_wrote(sc->server, n);
    return io;
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

static bool is_over(struct client *c)
{
    return clock_now() >= c->deadline;
}

static bool step(struct client *c)
{
    struct sink_client *sc = (struct sink_client *)c;
    int turns = SINK_TURN;
    enum io io = IO_DONE;

    c->reading = c->writing = false;
    if (is_over(c)) {
        server_end(sc->server, "idle for too long");
        drop(sc);
    }
    if (c->implicit_tls && !stream_is_tls(c->stream))
        io = client_handshake(c);
    while (io == IO_DONE) {
        switch (server_next(sc->server)) {
        case SERVER_READ: io = carry_in(sc, &turns); break;
        case SERVER_WRITE: io = carry_out(sc); break;
        case SERVER_TLS: io = secure(sc); break;
        case SERVER_LOGIN: check_login(sc); break;
        case SERVER_DATA: take_data(sc); break;
        case SERVER_DROP: drop(sc); server_data_taken(sc->server); break;
        case SERVER_MESSAGE: take_message(sc); break;
        case SERVER_CLOSE: return client_flush(c) != IO_AGAIN;
        }
    }
    if (io == IO_AGAIN && !is_over(c))
        c->deadline = clock_deadline(IDLE * USEC_PER_SEC);
    return io != IO_AGAIN || is_over(c);
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
    letter_drop(sc->letter);
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

    sc->client = (struct client){ .step = first_step, .free = free_client, .sink = s,
                                  .deadline = clock_deadline(IDLE * USEC_PER_SEC) };
    return &sc->client;
}
