/* tls_session: TLS records over the wire of a stream, for client and server.
 * Records gather in `out` and leave in one system call; what comes in is read in big pieces. */
#include "net/tls_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_SIZE = 64 * 1024,
    RECORD_SIZE = 16 * 1024,  /* RFC 8446 5.1: the most one record holds */
    OUT_FULL = 256 * 1024,    /* takes no more until the wire took some */
    OUT_LIMIT = 2 * OUT_FULL, /* no honest handshake comes near */
};

/* --- GnuTLS's side of the wire ---------------------------------------------------------------------------------- */

static ssize_t pull(gnutls_transport_ptr_t ptr, void *p, size_t size)
{
    struct stream *s = ptr;
    struct tls *t = s->tls;
    if (t->in_at == t->in_end) {
        size_t n;
        enum io io = wire_read(s, t->in, IN_SIZE, &n, &t->why);
        t->ended = io == IO_EOF;
        t->dry = io == IO_AGAIN;
        if (t->ended)
            return 0;
        if (io != IO_DONE) {
            t->api->gnutls_transport_set_errno(t->session, io == IO_AGAIN ? EAGAIN : EIO);
            return -1;
        }
        t->in_at = 0;
        t->in_end = n;
        if (t->first_n == 0) {
            t->first_n = n < sizeof t->first ? n : sizeof t->first;
            memcpy(t->first, t->in, t->first_n);
        }
    }
    size_t n = t->in_end - t->in_at < size ? t->in_end - t->in_at : size;
    memcpy(p, t->in + t->in_at, n);
    t->in_at += n;
    return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *iov, int count)
{
    struct stream *s = ptr;
    struct tls *t = s->tls;
    size_t total = 0;
    if (t->out.len > OUT_LIMIT) {
        t->api->gnutls_transport_set_errno(t->session, EIO);
        return -1;
    }
    for (int i = 0; i < count; i++) {
        buf_add(&t->out, iov[i].iov_base, iov[i].iov_len);
        total += iov[i].iov_len;
    }
    return (ssize_t)total;
}

/* --- the transport ---------------------------------------------------------------------------------------------- */

static enum io tls_flush(struct stream *s, struct err *e)
{
    struct tls *t = s->tls;
    while (t->out.len > 0) {
        size_t n;
        enum io io = wire_writev(s, &(struct iovec){ t->out.data, t->out.len }, 1, &n, e);
        if (io != IO_DONE)
            return io;
        buf_drop(&t->out, n);
    }
    return IO_DONE;
}

/* Behind records without data, such as tickets, there may be some. */
static ssize_t record(struct tls *t, void *p, size_t size)
{
    enum { IN_A_ROW = 8 }; /* nobody shall keep us here */
    ssize_t got = GNUTLS_E_AGAIN;
    t->dry = false;
    for (int i = 0; i < IN_A_ROW && got == GNUTLS_E_AGAIN && !t->dry; i++)
        got = t->api->gnutls_record_recv(t->session, p, size);
    return got;
}

static enum io tls_read(struct stream *s, void *p, size_t size, size_t *n, struct err *e)
{
    struct tls *t = s->tls;
    struct err broken = ERR_INIT; /* for writing; what came before it broke can still be read */
    tls_flush(s, &broken);
    ssize_t got = record(t, p, size);
    if (t->out.len > 0) /* an answer to a key update */
        tls_flush(s, &t->why);
    if (got > 0) {
        t->answered = true;
        *n = (size_t)got;
        err_clear(&broken);
        return IO_DONE;
    }
    if (err_is_set(&broken)) {
        err_move(e, &broken);
        return IO_ERROR;
    }
    if (got == 0 || t->ended)
        return IO_EOF;
    if (t->api->gnutls_error_is_fatal((int)got))
        return tls_explain(s, (int)got, e);
    if (!t->answered) /* Postfix waits for the acknowledgement of its ticket before it says more */
        wire_quickack(s);
    return IO_AGAIN;
}

/* Where in an iovec writing has come to. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t at;
};

static void cursor_skip_empty(struct cursor *c)
{
    while (c->count > 0 && c->at == c->iov->iov_len) {
        c->iov++;
        c->count--;
        c->at = 0;
    }
}

/* The next record's content: straight from a big piece, small ones gathered. */
static const char *next_record(struct tls *t, struct cursor *c, size_t *n)
{
    if (c->iov->iov_len - c->at >= RECORD_SIZE || c->count == 1) {
        const char *p = (const char *)c->iov->iov_base + c->at;
        *n = c->iov->iov_len - c->at < RECORD_SIZE ? c->iov->iov_len - c->at : RECORD_SIZE;
        c->at += *n;
        return p;
    }
    for (*n = 0; c->count > 0 && *n < RECORD_SIZE; cursor_skip_empty(c)) {
        size_t left = c->iov->iov_len - c->at, room = RECORD_SIZE - *n, part = left < room ? left : room;
        memcpy(t->part + *n, (const char *)c->iov->iov_base + c->at, part);
        c->at += part;
        *n += part;
    }
    return t->part;
}

static enum io tls_writev(struct stream *s, const struct iovec *iov, int count, size_t *n, struct err *e)
{
    struct tls *t = s->tls;
    struct cursor c = { .iov = iov, .count = count };
    enum io io = IO_DONE;
    cursor_skip_empty(&c);
    if (t->owes_ticket) /* some clients take one that comes alone for a reply, and wait for its end */
        t->api->gnutls_session_ticket_send(t->session, 1, 0);
    t->owes_ticket = false;
    while (c.count > 0 && io == IO_DONE) {
        while (c.count > 0 && t->out.len < OUT_FULL) {
            size_t size;
            const char *p = next_record(t, &c, &size);
            ssize_t sent = t->api->gnutls_record_send(t->session, p, size);
            if (sent < 0)
                return tls_explain(s, (int)sent, e);
            *n += size;
            cursor_skip_empty(&c);
        }
        io = tls_flush(s, e);
    }
    if (io == IO_ERROR)
        return IO_ERROR;
    return *n > 0 ? IO_DONE : IO_AGAIN;
}

static bool tls_pending(const struct stream *s)
{
    return s->tls->out.len > 0;
}

static bool tls_buffered(const struct stream *s)
{
    const struct tls *t = s->tls;
    return t->in_at < t->in_end || (t->up && t->api->gnutls_record_check_pending(t->session) > 0);
}

static void tls_close(struct stream *s)
{
    struct tls *t = s->tls;
    tls_resume_end(t);
    if (t->session && t->up && !s->silent) {
        t->api->gnutls_bye(t->session, GNUTLS_SHUT_WR);
        tls_flush(s, &t->why);
    }
    if (t->session)
        t->api->gnutls_deinit(t->session);
    if (t->credentials)
        t->api->gnutls_certificate_free_credentials(t->credentials);
    tls_resume_free(t);
    tls_facts_free(&t->facts);
    err_clear(&t->why);
    buf_free(&t->out);
    free(t->in);
    free(t->part);
    free(t);
    s->tls = NULL;
}

static const struct transport tls_transport = {
    .read = tls_read,
    .writev = tls_writev,
    .flush = tls_flush,
    .pending = tls_pending,
    .buffered = tls_buffered,
    .close = tls_close,
};

/* --- the session ------------------------------------------------------------------------------------------------ */

/* Of the two key shares that a ClientHello has most servers take the first, and X25519 takes both sides a third less
 * time than P-256. Versions that have hybrid groups know themselves in which order to offer those. */
const char *tls_priorities_default(const struct gnutls_api *api)
{
    return api->gnutls_check_version("3.8.6")
               ? "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"
               : "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-GROUP-ALL:+GROUP-X25519:+GROUP-ALL";
}

bool tls_priorities_parse(const struct gnutls_api *api, const char *priorities, gnutls_priority_t *out, struct err *e)
{
    const char *at = NULL;
    const char *text = priorities ? priorities : tls_priorities_default(api);
    int rc = api->gnutls_priority_init(out, text, &at);
    if (rc == GNUTLS_E_SUCCESS)
        return true;
    if (at && *at)
        err_set(e, FAULT_CONFIG, "the priorities '%s' are wrong at position %zu, near '%.20s'", text,
                (size_t)(at - text) + 1, at);
    else
        err_set(e, FAULT_CONFIG, "the priorities '%s' are wrong: %s", text, api->gnutls_strerror(rc));
    return err_hint(e, "'tls_priorities' is a GnuTLS priority string such as 'NORMAL:-VERS-TLS1.2'; leave it out for "
                       "the default");
}

bool tls_session_start(struct stream *s, unsigned flags, const char *priorities,
                       gnutls_certificate_credentials_t credentials, struct err *e)
{
    struct tls *t = s->tls;
    gnutls_priority_t parsed;
    if (t->session)
        t->api->gnutls_deinit(t->session);
    t->session = NULL;
    int rc = t->api->gnutls_init(&t->session, flags | GNUTLS_NONBLOCK);
    if (rc < 0)
        return err_set(e, FAULT_SYSTEM, "cannot begin a TLS session: %s", t->api->gnutls_strerror(rc));
    if (!tls_priorities_parse(t->api, priorities, &parsed, e))
        return false;
    t->api->gnutls_priority_set(t->session, parsed);
    t->api->gnutls_priority_deinit(parsed); /* the session keeps a reference */
    t->api->gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, credentials);
    t->api->gnutls_session_set_ptr(t->session, s);
    t->api->gnutls_transport_set_ptr(t->session, s);
    t->api->gnutls_transport_set_pull_function(t->session, pull);
    t->api->gnutls_transport_set_vec_push_function(t->session, push);
    return true;
}

/* GnuTLS would wait for the rest of what it takes for a long record. */
static bool is_not_tls(const struct tls *t)
{
    enum { CHANGE_CIPHER_SPEC = 20, HANDSHAKE = 22 };
    return t->first_n > 0 && (t->first[0] < CHANGE_CIPHER_SPEC || t->first[0] > HANDSHAKE);
}

/* In a session that is taken up again no certificate comes, and GnuTLS does not ask about one. */
static bool is_proved(struct tls *t)
{
    return !t->params || t->asked || tls_resume_is_proved(t) || tls_verify(t->session) == 0;
}

enum io tls_session_handshake(struct stream *s, struct err *e)
{
    struct tls *t = s->tls;
    int rc = t->api->gnutls_handshake(t->session);
    if (rc == GNUTLS_E_SUCCESS && !is_proved(t))
        rc = GNUTLS_E_CERTIFICATE_ERROR;
    if (rc < 0 && t->ended)
        rc = GNUTLS_E_PREMATURE_TERMINATION;
    else if (rc < 0 && is_not_tls(t))
        rc = GNUTLS_E_UNEXPECTED_PACKET;
    if (rc < 0 && t->api->gnutls_error_is_fatal(rc)) {
        struct err ignored = ERR_INIT;
        tls_facts_session(t);
        if (rc != GNUTLS_E_PREMATURE_TERMINATION && rc != GNUTLS_E_FATAL_ALERT_RECEIVED) {
            t->api->gnutls_alert_send_appropriate(t->session, rc);
            tls_flush(s, &ignored);
        }
        err_clear(&ignored);
        return tls_explain(s, rc, e);
    }
    if (rc < 0) {
        if (tls_flush(s, e) == IO_ERROR) {
            err_stage(e, STAGE_TLS);
            return IO_ERROR;
        }
        return IO_AGAIN;
    }
    t->up = true;
    t->params = NULL;
    tls_facts_session(t);
    return IO_DONE;
}

/* --- the verbs of net/stream.h ---------------------------------------------------------------------------------- */

struct tls *tls_new(struct stream *s, struct err *e)
{
    const struct gnutls_api *api = gnutls_door(e);
    if (!api)
        return NULL;
    struct tls *t = xcalloc(1, sizeof *t);
    t->api = api;
    t->in = xmalloc(IN_SIZE);
    t->part = xmalloc(RECORD_SIZE);
    buf_init(&t->out);
    t->facts.how = "none";
    s->tls = t;
    s->transport = &tls_transport;
    return t;
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls && s->tls->up;
}

const struct tls_facts *stream_tls_facts(const struct stream *s)
{
    return s->tls ? &s->tls->facts : NULL;
}

bool stream_channel_binding(const struct stream *s, const char **type, struct buf *out)
{
    const struct tls *t = s->tls;
    if (!t || !t->up)
        return false;
    bool exporter = t->api->gnutls_protocol_get_version(t->session) >= GNUTLS_TLS1_3;
    /* Without the extended master secret tls-unique can be the same on two connections (RFC 7627). */
    if (!exporter && !t->api->gnutls_session_ext_master_secret_status(t->session))
        return false;
    gnutls_datum_t binding = { 0 };
    if (t->api->gnutls_session_channel_binding(t->session, exporter ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE,
                                               &binding) < 0)
        return false;
    *type = exporter ? "tls-exporter" : "tls-unique";
    buf_add(out, binding.data, binding.size);
    free(binding.data);
    return true;
}
