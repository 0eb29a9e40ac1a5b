/* sink_tls: TLS for the sink: its certificate, and the ways in which --tls spoils it. One row each. */
#include "cmd/sink.h"

#include <string.h>

#include "base/ascii.h"
#include "smtp/caps.h"

/* ---- what a client may get instead of a handshake, once it has begun one ---- */

static enum io hang_up(struct client *c)
{
    (void)c;
    return IO_EOF;
}

static enum io speak_clear(struct client *c)
{
    struct buf out = BUF_INIT;
    size_t n;

    buf_printf(&out, "220 %s ESMTP envoi, without TLS\r\n", c->sink->name);
    emit(&c->sink->hub, c->number, EV_SERVER, F_STRN("line", out.data, out.len - 2));
    client_write(c, &out, &n);
    buf_free(&out);
    return IO_EOF;
}

static enum io say_nothing(struct client *c)
{
    c->handshaking = true;
    return IO_AGAIN;
}

static const struct variant {
    int not_before, not_after;            /* days from now; both 0: as usual */
    const char *name;                     /* the certificate's only one; NULL: this machine's names */
    const char *priorities;               /* NULL: as usual */
    enum io (*instead)(struct client *c); /* what the client gets instead of the handshake; NULL: the handshake */
} variants[] = {
    [SINK_TLS_USUAL] = { .name = NULL },
    [SINK_TLS_EXPIRED] = { .not_before = -30, .not_after = -1 },
    [SINK_TLS_NOT_YET] = { .not_before = 1, .not_after = 30 },
    [SINK_TLS_WRONG_NAME] = { .name = "wrong.invalid" },
    [SINK_TLS_OLD] = { .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.1:+VERS-TLS1.0" },
    [SINK_TLS_1_2] = { .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2" },
    [SINK_TLS_1_3] = { .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3" },
    [SINK_TLS_DROP] = { .instead = hang_up },
    [SINK_TLS_CLEAR] = { .instead = speak_clear },
    [SINK_TLS_SILENT] = { .instead = say_nothing },
};

const char *const sink_tls_words[] = {
    [SINK_TLS_USUAL] = "usual", [SINK_TLS_EXPIRED] = "expired", [SINK_TLS_NOT_YET] = "not-yet-valid",
    [SINK_TLS_WRONG_NAME] = "wrong-name", [SINK_TLS_OLD] = "tls1.1", [SINK_TLS_1_2] = "tls1.2",
    [SINK_TLS_1_3] = "tls1.3",
    [SINK_TLS_DROP] = "drop", [SINK_TLS_CLEAR] = "clear", [SINK_TLS_SILENT] = "silent", NULL,
};

static void own_names(const struct sink *s, struct strlist *names)
{
    strlist_add(names, "localhost");
    strlist_add(names, "127.0.0.1");
    strlist_add(names, "::1");
    if (!ascii_ieq(s->name, "localhost"))
        strlist_add(names, s->name);
}

/* A certificate costs a little time to make: only where TLS can come up. */
bool sink_tls_prepare(struct sink *s, bool asked, struct err *e)
{
    const struct variant *v = &variants[s->opt.tls];
    struct strlist names = STRLIST_INIT;
    struct tls_server_params p = {
        .cert_file = s->opt.tls_cert, .key_file = s->opt.tls_key, .names = &names,
        .priorities = v->priorities, .not_before = v->not_before, .not_after = v->not_after,
    };
    struct err why = ERR_INIT;

    if (p.cert_file && (v->name || v->not_after))
        return err_set(e, FAULT_USAGE, "--tls=%s is about a certificate that the sink makes, not about one of yours",
                       sink_tls_words[s->opt.tls]);
    if (!asked && (s->script || !(s->extensions & CAP_STARTTLS)))
        return true;
    if (v->name)
        strlist_add(&names, v->name);
    else
        own_names(s, &names);
    s->tls = tls_server_new(&p, &why);
    strlist_free(&names);
    if (s->tls)
        return true;
    if (asked) {
        err_move(e, &why);
        return false;
    }
    err_clear(&why); /* built without TLS: STARTTLS is not offered */
    return true;
}

/* What the client has begun is read first: closing with it unread would be a reset, and could overtake our words. */
static enum io something_else(struct client *c, const struct variant *v)
{
    size_t n;
    enum io io = client_read(c, &n);

    return io == IO_DONE ? v->instead(c) : io;
}

enum io client_handshake(struct client *c)
{
    const struct variant *v = &variants[c->sink->opt.tls];
    struct err e = ERR_INIT;
    enum io io;

    if (v->instead)
        return something_else(c, v);
    io = stream_tls_server(c->stream, c->sink->tls, &e);
    c->handshaking = io == IO_AGAIN;
    if (io == IO_DONE) {
        const struct tls_facts *f = stream_tls_facts(c->stream);
        emit(&c->sink->hub, c->number, EV_TLS, F_STR("version", f->version), F_STR("cipher", f->cipher),
             F_STR("group", f->group));
    }
    client_note(c, &e);
    return io;
}
