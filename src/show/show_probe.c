/* show_probe: the dialogue as swaks prints it. A line belongs to a side, which has its prefixes and what hides it; an
 * event has its side and its words. Knows nothing of why a dialogue goes as it goes. */
#include "show/show.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum side { INFO, ERROR, SEND, RECEIVE, REFUSAL, DUMP_SENT, DUMP_RECEIVED };

#define FLAG(member) offsetof(struct show_probe, member)

static const struct {
    const char *clear, *tls; /* prefixes */
    size_t hide, bare;       /* the flags that take line or prefix away; 0: none does */
    bool error;
} sides[] = {
    [INFO]          = { "=== ", "=== ", FLAG(hide_info), FLAG(no_info_hints), false },
    [ERROR]         = { "*** ", "*** ", 0, FLAG(no_info_hints), true },
    [SEND]          = { " -> ", " ~> ", FLAG(hide_send), FLAG(no_send_hints), false },
    [RECEIVE]       = { "<-  ", "<~  ", FLAG(hide_receive), FLAG(no_receive_hints), false },
    [REFUSAL]       = { "<** ", "<~* ", FLAG(hide_receive), FLAG(no_receive_hints), true },
    [DUMP_SENT]     = { "  > ", "  > ", FLAG(hide_send), FLAG(no_send_hints), false },
    [DUMP_RECEIVED] = { "<   ", "<   ", FLAG(hide_receive), FLAG(no_receive_hints), false },
};

static bool flag(const struct show_probe *p, size_t offset)
{
    return offset && *(const bool *)((const char *)p + offset);
}

static bool silent(struct show_probe *p, bool error)
{
    switch ((enum show_probe_silence)p->silence) {
    case PROBE_LOUD:
        return false;
    case PROBE_UNTIL_ERROR:
        p->seen_error |= error;
        return !p->seen_error;
    case PROBE_ERRORS_ONLY:
        return !error;
    case PROBE_SILENT:
        return true;
    }
    return false;
}

static bool hidden(struct show_probe *p, enum side side)
{
    return p->hide_all || flag(p, sides[side].hide) || silent(p, sides[side].error);
}

/* Tabs are harmless on a terminal, and texts are full of them; NUL stands between the parts of a decoded login. */
static void add_visible(struct buf *out, const char *text, size_t n)
{
    for (const char *end = text + n; text < end;) {
        const char *stop = text;
        while (stop < end && *stop != '\t' && *stop)
            stop++;
        visible_encode(out, text, (size_t)(stop - text));
        if (stop < end)
            buf_adds(out, *stop ? "\t" : "\\0");
        text = stop + 1;
    }
}

static void add_lines(const struct show_probe *p, enum side side, const char *text, size_t n, struct buf *out)
{
    const char *prefix = flag(p, sides[side].bare) ? "" : p->tls ? sides[side].tls : sides[side].clear, *end = text + n;
    for (;;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        buf_adds(out, prefix);
        add_visible(out, text, (size_t)((newline ? newline : end) - text));
        buf_addc(out, '\n');
        if (!newline)
            return;
        text = newline + 1;
    }
}

/* Transcript and errors may go to one place: each line leaves at once, but those of a message in one go. */
static void say(struct show_probe *p, enum side side, const char *text, size_t n)
{
    if (hidden(p, side))
        return;
    if (side == INFO && p->handshake) {
        add_lines(p, side, text, n, &p->held);
        return;
    }
    struct buf lines = BUF_INIT;
    FILE *out = side == ERROR ? p->err : p->out;
    add_lines(p, side, text, n, &lines);
    if (side == ERROR)
        fflush(p->out);
    fwrite(lines.data, 1, lines.len, out);
    if (p->lines == 0 || side != SEND)
        fflush(out);
    buf_free(&lines);
}

static void say_buf(struct show_probe *p, enum side side, struct buf *text)
{
    say(p, side, text->data, text->len);
    buf_free(text);
}

#define SAYS(name, side)                                    \
    void name(struct show_probe *p, const char *fmt, ...)   \
    {                                                       \
        struct buf text = BUF_INIT;                         \
        va_list ap;                                         \
        va_start(ap, fmt);                                  \
        buf_vprintf(&text, fmt, ap);                        \
        va_end(ap);                                         \
        say_buf(p, side, &text);                            \
    }

SAYS(show_probe_info, INFO)
SAYS(show_probe_error, ERROR)
SAYS(show_probe_refusal, REFUSAL)

/* ---- connecting ---- */

static const char *text_of(const struct event *ev, const char *name)
{
    const struct field *f = event_field(ev, name);
    return f && f->type == FIELD_STRING && f->s ? f->s : "";
}

static bool is_true(const struct event *ev, const char *name)
{
    const struct field *f = event_field(ev, name);
    return f && f->i;
}

static void on_lookup(struct show_probe *p, const struct event *ev)
{
    const struct field *addresses = event_field(ev, "addresses");
    p->several = addresses && addresses->list && addresses->list->n > 1;
}

static void say_as(struct show_probe *p, enum side side, const struct event *ev, const char *template)
{
    struct buf text = BUF_INIT;
    event_format(ev, template, &text);
    say_buf(p, side, &text);
}

static void say_event(struct show_probe *p, const struct event *ev, const char *template)
{
    say_as(p, INFO, ev, template);
}

static void on_mx(struct show_probe *p, const struct event *ev)
{
    say_event(p, ev, "Mail for {domain} goes to {hosts}[[{implicit} (no MX record)]]");
}

/* Where there are several addresses, each attempt is worth a line. */
static void on_connecting(struct show_probe *p, const struct event *ev)
{
    if (!p->trying)
        show_probe_info(p, "Trying %s%s...", p->child ? "pipe to " : "", p->target);
    if (p->several)
        say_event(p, ev, "Trying {host}[[ ({address})]][[ port {port}]]...");
    p->trying = true;
}

static void on_connect_failed(struct show_probe *p, const struct event *ev)
{
    if (p->several)
        say_event(p, ev, "No connection to {host}[[ ({address})]][[ port {port}]][[: {reason}]]");
}

/* swaks names the host without its port. */
static void on_connected(struct show_probe *p, const struct event *ev)
{
    const char *colon = event_field(ev, "port") && !p->child && *p->target != '/' ? strrchr(p->target, ':') : NULL;
    show_probe_info(p, "Connected to %.*s.", (int)(colon ? (size_t)(colon - p->target) : strlen(p->target)), p->target);
    if (p->several)
        say_event(p, ev, "Connected to address {address}");
    p->open = true;
    p->sent_at = ev->time;
}

/* ---- the dialogue ---- */

/* The end of the message is one of its lines; without them its place is taken by their number. */
static void end_message(struct show_probe *p)
{
    long lines = p->lines;
    char text[64];
    p->lines = 0;
    if (p->no_data && lines > 0)
        say(p, SEND, text, (size_t)snprintf(text, sizeof text, "%ld lines sent", lines));
    else if (lines > 0)
        fflush(p->out);
}

static void on_content(struct show_probe *p, const struct event *ev)
{
    const struct field *line = event_field(ev, "line");
    p->lines++;
    p->sent_at = ev->time;
    if (!p->no_data)
        say(p, SEND, line->s, line->len);
}

static void on_client(struct show_probe *p, const struct event *ev)
{
    const struct field *decoded = event_field(ev, "decoded"), *line = event_field(ev, "line");
    const struct field *shown = p->decoded && decoded && decoded->s ? decoded : line;
    bool ends_message = p->lines > 0 && strcmp(line->s, ".") == 0;
    p->lines += ends_message;
    p->sent_at = ev->time;
    if (!ends_message || !p->no_data)
        say(p, SEND, shown->s, shown->len);
    end_message(p);
}

static void tell_lapse(struct show_probe *p, usec now)
{
    usec lapse = now - p->sent_at;
    if (p->lapse == PROBE_LAPSE_EXACT)
        show_probe_info(p, "response in %lld.%03llds", (long long)(lapse / USEC_PER_SEC),
                        (long long)(lapse % USEC_PER_SEC / 1000));
    else if (p->lapse == PROBE_LAPSE_SECONDS)
        show_probe_info(p, "response in %llds", (long long)(lapse / USEC_PER_SEC));
    p->sent_at = now;
}

static bool reply_goes_on(const struct field *line)
{
    return line->len > 3 && line->s[3] == '-';
}

/* The challenges of a login: "334 VXNlcm5hbWU6" is "334 Username:". */
static void decode_challenge(const struct field *line, struct buf *shown)
{
    enum { CODE = 4 };
    struct buf text = BUF_INIT;
    if (line->len > CODE && strncmp(line->s, "334 ", CODE) == 0 &&
        base64_decode(&text, line->s + CODE, line->len - CODE)) {
        buf_cut(shown, CODE);
        buf_addbuf(shown, &text);
    }
    buf_free(&text);
}

static void on_server(struct show_probe *p, const struct event *ev)
{
    const struct field *line = event_field(ev, "line");
    struct buf shown = BUF_INIT;
    end_message(p);
    if (!p->reply_open)
        tell_lapse(p, ev->time);
    p->reply_open = reply_goes_on(line);
    buf_add(&shown, line->s, line->len);
    if (p->decoded)
        decode_challenge(line, &shown);
    say_buf(p, is_true(ev, "unexpected") ? REFUSAL : RECEIVE, &shown);
}

enum { DUMP_ROW = 16, DUMP_GROUP = 4 };

static void add_dump_row(struct buf *out, size_t offset, const char *octets, size_t n)
{
    buf_printf(out, "%s%04zu:", offset ? "\n" : "", offset);
    for (size_t i = 0; i < DUMP_ROW; i++) {
        buf_adds(out, i % DUMP_GROUP ? "" : " ");
        if (i < n)
            buf_printf(out, "%02X ", (unsigned char)octets[i]);
        else
            buf_adds(out, "   ");
    }
    buf_adds(out, "   ");
    for (size_t i = 0; i < DUMP_ROW; i++)
        buf_addc(out, i >= n ? ' ' : octets[i] > ' ' && octets[i] < 0x7f ? octets[i] : '.');
}

static void on_octets(struct show_probe *p, const struct event *ev)
{
    const struct field *octets = event_field(ev, "octets");
    struct buf dump = BUF_INIT;
    for (size_t at = 0; at < octets->len; at += DUMP_ROW)
        add_dump_row(&dump, at, octets->s + at, octets->len - at < DUMP_ROW ? octets->len - at : DUMP_ROW);
    say_buf(p, is_true(ev, "sent") ? DUMP_SENT : DUMP_RECEIVED, &dump);
}

/* ---- TLS, in OpenSSL's words ---- */

static const struct { const char *gnutls, *openssl, *tls13, *hash; int bits; } ciphers[] = {
    { "AES-128-GCM", "AES128-GCM", "TLS_AES_128_GCM_SHA256", "SHA256", 128 },
    { "AES-256-GCM", "AES256-GCM", "TLS_AES_256_GCM_SHA384", "SHA384", 256 },
    { "CHACHA20-POLY1305", "CHACHA20-POLY1305", "TLS_CHACHA20_POLY1305_SHA256", NULL, 256 },
    { "AES-128-CCM", "AES128-CCM", "TLS_AES_128_CCM_SHA256", NULL, 128 },
    { "AES-128-CCM-8", "AES128-CCM8", "TLS_AES_128_CCM_8_SHA256", NULL, 128 },
    { "AES-256-CCM", "AES256-CCM", NULL, NULL, 256 },
    { "AES-256-CCM-8", "AES256-CCM8", NULL, NULL, 256 },
    { "AES-128-CBC", "AES128", NULL, "SHA", 128 },
    { "AES-256-CBC", "AES256", NULL, "SHA", 256 },
    { "CAMELLIA-128-CBC", "CAMELLIA128", NULL, "SHA", 128 },
    { "CAMELLIA-256-CBC", "CAMELLIA256", NULL, "SHA", 256 },
    { NULL, NULL, NULL, NULL, 0 },
};

/* GnuTLS describes a session as "(TLS1.2)-(ECDHE-X25519)-(RSA-PSS-RSAE-SHA256)-(AES-256-GCM)", with plain RSA as
 * "(TLS1.2)-(RSA)-(AES…)". */
static void add_cipher(struct buf *out, const char *version, const char *cipher, const char *description)
{
    static const char *const exchanges[][2] = { { "ECDHE-", "ECDHE-" }, { "DHE-", "DHE-" }, { NULL, NULL } };
    size_t i = 0;
    while (ciphers[i].gnutls && strcmp(ciphers[i].gnutls, cipher))
        i++;
    if (!ciphers[i].gnutls) {
        buf_adds(out, cipher);
        return;
    }
    if (strcmp(version, "TLS1.3") == 0 && ciphers[i].tls13) {
        buf_printf(out, "%s:%d", ciphers[i].tls13, ciphers[i].bits);
        return;
    }
    for (size_t x = 0; exchanges[x][0]; x++) {
        const char *at = strstr(description, exchanges[x][0]);
        if (at && at[-1] == '(') {
            buf_printf(out, "%s%s-", exchanges[x][1], strstr(at, "ECDSA") ? "ECDSA" : "RSA");
            break;
        }
    }
    buf_printf(out, "%s%s%s:%d", ciphers[i].openssl, ciphers[i].hash ? "-" : "", ciphers[i].hash ? ciphers[i].hash : "",
               ciphers[i].bits);
}

/* RFC 4514 lists the innermost name first; OpenSSL's line begins with the outermost: "CN=a,O=b" is "/O=b/CN=a". */
static void add_oneline(struct buf *out, const char *name)
{
    const char *end = name + strlen(name);
    while (end > name) {
        const char *begin = end;
        while (begin > name && !(begin[-1] == ',' && begin - name > 1 && begin[-2] != '\\'))
            begin--;
        const char *s = begin;
        buf_addc(out, '/');
        if (strncasecmp(s, "EMAIL=", 6) == 0) {
            buf_adds(out, "emailAddress=");
            s += 6;
        }
        for (; s < end; s++) {
            s += *s == '\\' && s + 1 < end;
            buf_addc(out, *s);
        }
        end = begin > name ? begin - 1 : name;
    }
}

static void say_name(struct show_probe *p, const char *what, const char *name)
{
    struct buf line = BUF_INIT;
    buf_printf(&line, "TLS %s DN=\"", what);
    add_oneline(&line, name);
    buf_addc(&line, '"');
    say_buf(p, INFO, &line);
}

/* The facts come also of a handshake that fails in the end, and swaks says nothing of such a one: they wait until it is
 * known. */
static void on_tls(struct show_probe *p, const struct event *ev)
{
    const char *version = text_of(ev, "version"), *local = text_of(ev, "local"), *problem = text_of(ev, "problem");
    struct buf cipher = BUF_INIT;
    add_cipher(&cipher, version, text_of(ev, "cipher"), text_of(ev, "description"));
    buf_reset(&p->held);
    p->handshake = true;
    show_probe_info(p, "TLS started with cipher %s%s:%s", strncmp(version, "TLS1", 4) == 0 ? "TLSv" : "",
                    strncmp(version, "TLS1", 4) == 0 ? version + 3 : version, cipher.data);
    buf_free(&cipher);
    if (*local)
        say_name(p, "local", local);
    else
        show_probe_info(p, "TLS no local certificate set");
    if (*problem)
        show_probe_info(p, "TLS certificate not verified: %s", problem);
}

static void on_certificate(struct show_probe *p, const struct event *ev)
{
    if (!is_true(ev, "depth"))
        say_name(p, "peer", text_of(ev, "subject"));
}

void show_probe_tls_end(struct show_probe *p, bool up)
{
    if (!p->handshake)
        return;
    p->handshake = false;
    p->tls = up;
    if (up)
        fwrite(p->held.data, 1, p->held.len, p->out);
    fflush(p->out);
    buf_free(&p->held);
}

/* ---- the end ---- */

static void on_closed(struct show_probe *p, const struct event *ev)
{
    if (strcmp(text_of(ev, "reason"), "dropped"))
        return;
    show_probe_tls_end(p, true);
    end_message(p);
    show_probe_info(p, "Dropping connection");
    p->open = false;
}

void show_probe_close(struct show_probe *p, bool by_us)
{
    if (p->open && by_us)
        show_probe_info(p, "Connection closed with %s.", p->child ? "child process" : "remote host");
    p->open = false;
}

static void on_note(struct show_probe *p, const struct event *ev)
{
    say_event(p, ev, "{text}");
}

static void on_warning(struct show_probe *p, const struct event *ev)
{
    say_as(p, ERROR, ev, "{text}");
}

static void on_proxy(struct show_probe *p, const struct event *ev)
{
    say_event(p, ev, "Through the {type} proxy {host}[[ port {port}]][[ to {target}]]");
}

static const struct {
    void (*take)(struct show_probe *p, const struct event *ev);
    bool ends_handshake; /* it can only come when the handshake before it went well */
} takers[EV_COUNT] = {
    [EV_NOTE] = { on_note, false },
    [EV_WARNING] = { on_warning, false },
    [EV_LOOKUP] = { on_lookup, false },
    [EV_MX] = { on_mx, false },
    [EV_CONNECTING] = { on_connecting, false },
    [EV_CONNECT_FAILED] = { on_connect_failed, false },
    [EV_CONNECTED] = { on_connected, false },
    [EV_PROXY] = { on_proxy, false },
    [EV_CLIENT] = { on_client, true },
    [EV_SERVER] = { on_server, true },
    [EV_OCTETS] = { on_octets, true },
    [EV_CONTENT] = { on_content, true },
    [EV_TLS] = { on_tls, false },
    [EV_CERTIFICATE] = { on_certificate, false },
    [EV_CLOSED] = { on_closed, false },
};

static void on_event(void *ctx, const struct event *ev)
{
    struct show_probe *p = ctx;
    if (ev->connection && ev->connection != p->connection) {
        p->connection = ev->connection;
        p->several = p->trying = p->tls = p->handshake = p->reply_open = p->open = false;
        p->lines = 0;
    }
    if (takers[ev->kind].ends_handshake)
        show_probe_tls_end(p, true);
    takers[ev->kind].take(p, ev);
}

void show_probe_open(struct show_probe *p, struct hub *h)
{
    uint64_t mask = 0;
    buf_init(&p->held);
    for (int kind = 0; kind < EV_COUNT; kind++)
        if (takers[kind].take)
            mask |= EV_MASK(kind);
    if (!p->raw)
        mask &= ~EV_MASK(EV_OCTETS);
    hub_listen(h, mask, on_event, p);
}
