/* sink_message: a message on its way from a client of the sink into the store, the line that tells of it, and its
 * answer. It reads and writes nothing itself. */
#include <stdlib.h>

#include "cmd/sink_client.h"
#include "mail/header.h"

enum { HEAD_MAX = 64 << 10 }; /* octets of a message that are looked through for its Message-ID */

/* Another program's lock on the mbox; a slow reader of standard output. */
enum { LOCK_PATIENCE = 30 * USEC_PER_SEC, POLL = USEC_PER_SEC / 20 };

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
    char *text = e->hint ? xasprintf("%s; %s", e->text, e->hint) : xstrdup(e->text);

    sc->failed = true;
    letter_drop(sc->letter);
    sc->letter = NULL;
    emit(&sc->client.sink->hub, sc->client.number, EV_WARNING, F_STR("text", text));
    free(text);
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
    if (letter_is_stored(sc->letter))
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

enum io message_take_data(struct sink_client *sc)
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

void message_drop(struct sink_client *sc)
{
    if (sc->kept)
        sink_counts(sc->client.sink);
    letter_drop(sc->letter);
    sc->letter = NULL;
    sc->failed = sc->kept = sc->consulted = false;
    free(sc->answers);
    sc->answers = NULL;
    sc->answered = 0;
    sc->lock_until = 0;
    buf_free(&sc->head);
    digest_free(sc->digest, NULL);
    sc->digest = NULL;
}

/* Of what a message begins with. */
static void add_message_id(const struct buf *head, struct buf *out)
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

    if (!hub_wants(&s->hub, EV_RECEIVED) && !hub_wants(&s->news, EV_RECEIVED))
        return;
    for (size_t i = 0; i < env->n; i++)
        if (sc->answered <= 1 || sc->answers[i].code == stored.code) /* LMTP: not those that were refused */
            strlist_add(&to, env->rcpts[i].address);
    server_protocol(server, &protocol);
    add_message_id(&sc->head, &id);
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

/* ---- its end ---- */

static struct server_answer answer_of(const struct sink_client *sc, struct server_answer usual)
{
    return sc->verdict.code ? (struct server_answer){ sc->verdict.code, sc->verdict.text } : usual;
}

/* Another answer for those who are not refused already. */
static void answer_instead(struct sink_client *sc, struct server_answer answer)
{
    for (size_t i = 0; i < sc->answered; i++)
        if (sc->answers[i].code == stored.code)
            sc->answers[i] = answer;
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
        io = client_consult(sc, SINK_AT_MESSAGE, about, n);
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

static bool held_up(struct sink_client *sc)
{
    if (output_must_wait(sc->client.sink->output))
        return true;
    if (!sc->letter || !letter_must_wait(sc->letter))
        return false;
    if (sc->lock_until == 0)
        sc->lock_until = clock_deadline(LOCK_PATIENCE);
    return clock_now() < sc->lock_until;
}

static enum io wait_for_store(struct sink_client *sc)
{
    enum io io;

    if (!held_up(sc))
        return IO_DONE;
    io = client_say_first(sc);
    sc->wake = clock_deadline(POLL);
    return io == IO_DONE ? IO_AGAIN : io;
}

/* Stores it for good. */
static enum io keep(struct sink_client *sc)
{
    struct err e = ERR_INIT;
    struct buf where = BUF_INIT;
    enum io io;

    begin(sc);
    io = wait_for_store(sc);
    if (io != IO_DONE)
        return io;
    if (sc->letter && !letter_keep(sc->letter, &where, &e)) {
        sc->letter = NULL;
        store_failed(sc, &e);
    }
    sc->letter = NULL;
    sc->kept = !sc->failed;
    if (sc->kept) {
        tell_received(sc, where.data);
        sc->client.sink->taken++;
    } else {
        answer_instead(sc, (struct server_answer){ 451, "4.3.0 the message could not be stored" });
    }
    buf_free(&where);
    return IO_DONE;
}

enum io message_take(struct sink_client *sc)
{
    enum io io = sc->kept ? IO_DONE : refuse_some(sc);

    if (io != IO_DONE)
        return io;
    if (!sc->kept && any_accepted(sc)) {
        if (sink_has_enough(sc->client.sink))
            answer_instead(sc, (struct server_answer){ 451, "4.3.2 the sink has the messages it was to take" });
        else
            io = keep(sc);
    }
    if (io != IO_DONE)
        return io;
    if (sc->kept) {
        io = client_consult(sc, SINK_AT_STORED, NULL, 0);
        if (io != IO_DONE)
            return io;
        if (sc->verdict.code)
            answer_instead(sc, answer_of(sc, stored));
    }
    server_message_answers(sc->server, sc->answers);
    message_drop(sc);
    return IO_DONE;
}
