/* sink_client: one connection of the sink: carries octets between its stream and an SMTP server session, and the
 * messages to the store. */
#include <stdlib.h>
#include <string.h>

#include "auth/scram.h"
#include "cmd/sink.h"
#include "mail/header.h"
#include "net/digest.h"

enum { HEAD_MAX = 64 << 10 }; /* octets of a message that are looked through for its Message-ID */

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

struct sink_client {
    struct client client; /* first */
    struct server *server;
    struct letter *letter;
    struct buf head;               /* what the message begins with */
    struct digest *digest;         /* own or NULL: of the message, for --json */
    bool failed;                   /* the letter could not be stored */
    bool kept;                     /* it was, and is to be answered */
    struct server_answer *answers; /* own; answered of them are known */
    size_t answered;

    struct verdict verdict;        /* of the present stage */
    bool consulted;                /* it is known, and waited for until … */
    usec until;
    long long drop_at;             /* octets of this message; -1: not within it */
    usec next_octet;               /* --drip */
    usec wake;                     /* a pause ends then; 0: none */
    usec idle_at;

    struct scram *scram;           /* own */
    char *user;                    /* own: scram's */
    struct buf binding;            /* scram's */
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
        .mechanisms = &s->mechanisms,
        .stages = true,
        .size_max = s->opt.size,
        .rcpt_max = (size_t)s->opt.recipients,
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
    if (sc->client.sink->opt.json)
        sc->digest = digest_new();
    sc->drop_at = faults_at(sc->client.sink->faults, SINK_AT_BODY, NULL, 0).drop_at;
    sc->letter = letter_begin(sc->client.sink->store, server_envelope(sc->server)->sender);
    write_envelope(sc, &head);
    if (!letter_add(sc->letter, head.data, head.len, &e))
        store_failed(sc, &e);
    buf_free(&head);
}

/* What the line about it tells of its contents. */
static void look_at(struct sink_client *sc, const char *p, size_t n)
{
    const size_t room = HEAD_MAX - sc->head.len;

    if (!sc->client.sink->opt.json)
        return;
    buf_add(&sc->head, p, n < room ? n : room);
    digest_add(sc->digest, p, n);
}

/* IO_EOF: the line is to be dropped. */
static enum io take_data(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    const char *p;
    size_t n;

    begin(sc);
    server_data(sc->server, &p, &n);
    look_at(sc, p, n);
    if (sc->letter && !letter_add(sc->letter, p, n, &e))
        store_failed(sc, &e);
    server_data_taken(sc->server);
    return sc->drop_at >= 0 && server_octets(sc->server) >= sc->drop_at ? IO_EOF : IO_DONE;
}

static void drop(struct sink_client *sc)
{
    letter_drop(sc->letter);
    sc->letter = NULL;
    sc->failed = sc->kept = sc->consulted = false;
    free(sc->answers);
    sc->answers = NULL;
    sc->answered = 0;
    buf_free(&sc->head);
    digest_free(sc->digest, NULL);
    sc->digest = NULL;
}

/* Of what a message begins with. */
static void message_id(const struct buf *head, struct buf *out)
{
    struct header_list headers = HEADER_LIST_INIT;
    size_t used;
    long at;

    header_list_parse(&headers, head->data, head->len, &used);
    at = header_find(&headers, "Message-ID", 0);
    if (at >= 0)
        header_value(&headers.v[at], out);
    header_list_free(&headers);
}

static const struct server_answer stored = { 250, "2.0.0 message stored" };

static void tell_received(struct sink_client *sc, const char *where)
{
    struct sink *s = sc->client.sink;
    const struct server *server = sc->server;
    const struct envelope *env = server_envelope(server);
    const struct tls_facts *tls = stream_tls_facts(sc->client.stream);
    struct strlist to = STRLIST_INIT;
    struct buf protocol = BUF_INIT, id = BUF_INIT, sha256 = BUF_INIT;

    for (size_t i = 0; i < env->n; i++)
        if (sc->answered <= 1 || sc->answers[i].code == stored.code) /* LMTP: not those that were refused */
            strlist_add(&to, env->rcpts[i].address);
    server_protocol(server, &protocol);
    message_id(&sc->head, &id);
    digest_free(sc->digest, &sha256);
    sc->digest = NULL;
    const struct field fields[] = {
        F_STR("from", env->sender), F_LIST("recipients", &to), F_INT("octets", server_octets(server)),
        F_STR("stored", *where ? where : NULL), F_STR("peer", stream_peer(sc->client.stream)),
        F_STR("helo", server_helo(server)), F_STR("protocol", protocol.data), F_STR("tls", tls ? tls->version : NULL),
        F_STR("user", server_user(server)), F_LIST("parameters", server_parameters(server)),
        F_STR("message_id", id.len ? id.data : NULL), F_STR("sha256", sha256.len ? sha256.data : NULL),
        { .type = FIELD_END },
    };
    hub_emit(&s->hub, sc->client.number, EV_RECEIVED, fields);
    hub_emit(&s->news, sc->client.number, EV_RECEIVED, fields);
    strlist_free(&to);
    buf_free(&protocol);
    buf_free(&id);
    buf_free(&sha256);
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

/* What the options say of this stage: asked once each time it comes, then waited for; what was said before leaves first.
 * IO_EOF: the line is to be dropped. */
static enum io consult(struct sink_client *sc, enum sink_stage stage, const char *const *about, size_t n)
{
    bool holds_up;
    enum io io = IO_DONE;

    if (!sc->consulted) {
        sc->verdict = faults_at(sc->client.sink->faults, stage, about, n);
        sc->consulted = true;
        sc->until = sc->verdict.delay > 0 ? clock_deadline(sc->verdict.delay) : 0;
    }
    holds_up = sc->until > 0 || sc->verdict.drop_at >= 0;
    while (io == IO_DONE && holds_up && server_output(sc->server)->len > 0)
        io = carry_out(sc);
    if (io == IO_DONE && holds_up)
        io = client_flush(&sc->client);
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
    enum io io = consult(sc, stage, &about, 1);

    if (io == IO_DONE)
        server_stage_answer(sc->server, sc->verdict.code, sc->verdict.text);
    return io;
}

/* ---- the end of a message ---- */

static struct server_answer answer_of(const struct sink_client *sc, struct server_answer usual)
{
    return sc->verdict.code ? (struct server_answer){ sc->verdict.code, sc->verdict.text } : usual;
}

static void answer_all(struct sink_client *sc, struct server_answer answer)
{
    for (size_t i = 0; i < sc->answered; i++)
        sc->answers[i] = answer;
}

static void finish(struct sink_client *sc)
{
    server_message_answers(sc->server, sc->answers);
    drop(sc);
}

/* Fills sc->answers: in LMTP every recipient has its own, in SMTP they share one. */
static enum io refuse_some(struct sink_client *sc)
{
    const struct envelope *env = server_envelope(sc->server);
    bool lmtp = sc->client.sink->opt.lmtp;
    size_t replies = lmtp ? env->n : 1, n = lmtp ? 1 : env->n;

    if (!sc->answers)
        sc->answers = xcalloc(replies, sizeof *sc->answers);
    while (sc->answered < replies) {
        const char **about = xcalloc(n, sizeof *about);
        enum io io;
        for (size_t i = 0; i < n; i++)
            about[i] = env->rcpts[sc->answered + i].address;
        io = consult(sc, SINK_AT_MESSAGE, about, n);
        free(about);
        if (io != IO_DONE)
            return io;
        sc->answers[sc->answered++] = answer_of(sc, stored);
    }
    return IO_DONE;
}

static bool any_accepted(const struct sink_client *sc)
{
    for (size_t i = 0; i < sc->answered; i++)
        if (sc->answers[i].code == stored.code)
            return true;
    return false;
}

/* Stores it for good. */
static void keep(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    struct buf where = BUF_INIT;

    begin(sc);
    if (sc->letter && !letter_keep(sc->letter, &where, &e)) {
        sc->letter = NULL;
        store_failed(sc, &e);
    }
    sc->letter = NULL;
    sc->kept = !sc->failed;
    if (sc->kept) {
        tell_received(sc, where.data);
        sink_counts(sc->client.sink);
    } else {
        answer_all(sc, (struct server_answer){ 451, "4.3.0 the message could not be stored" });
    }
    buf_free(&where);
}

static enum io take_message(struct sink_client *sc)
{
    enum io io = sc->kept ? IO_DONE : refuse_some(sc);

    if (io != IO_DONE)
        return io;
    if (!sc->kept && any_accepted(sc)) {
        if (sink_has_enough(sc->client.sink))
            answer_all(sc, (struct server_answer){ 451, "4.3.2 the sink has the messages it was to take" });
        else
            keep(sc);
    }
    if (sc->kept) {
        io = consult(sc, SINK_AT_STORED, NULL, 0);
        if (io != IO_DONE)
            return io;
        if (sc->verdict.code)
            answer_all(sc, answer_of(sc, stored));
    }
    finish(sc);
    return IO_DONE;
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
        case SERVER_STEP: take_step(sc); break;
        case SERVER_STAGE: io = take_stage(sc); break;
        case SERVER_DATA: io = take_data(sc); break;
        case SERVER_DROP: drop(sc); server_data_taken(sc->server); break;
        case SERVER_MESSAGE: io = take_message(sc); break;
        case SERVER_CLOSE: return client_flush(c) != IO_AGAIN;
        }
    }
    if (io != IO_AGAIN || was_idle)
        return true;
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
    drop(sc);
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
