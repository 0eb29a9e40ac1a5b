/* event: what happens, told to whoever listens. One row per kind says its word and how it reads
 * as text; the hub cuts secrets before anybody sees them. */
#include "base/event.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"

static const struct {
    const char *word;
    const char *text;
} kinds[EV_COUNT] = {
    [EV_NOTE]           = { "note", "# {text}" },
    [EV_WARNING]        = { "warning", "# warning: {text}" },
    [EV_ADVICE]         = { "advice", "# note: {text}" },
    [EV_LOOKUP]         = { "lookup", "# {host} has[[ {addresses}]]" },
    [EV_MX]             = { "mx",
                            "# mail for {domain} goes to {hosts}[[{implicit} (no MX record)]]"
                            "[[{secure} (validated)]]" },
    [EV_POLICY]         = { "policy", "# {host} for {domain}:[[ not used ({skipped})]][[ {wanted}]][[ ({why})]]"
                                      "[[, {tlsa} TLSA records]][[, MTA-STS {mode}]]" },
    [EV_CONNECTING]     = { "connecting", "# connecting to {host}[[ ({address})]][[ port {port}]]" },
    [EV_CONNECT_FAILED] = { "connect-failed",
                            "# cannot connect to {host}[[ ({address})]][[ port {port}]][[: {reason}]]" },
    [EV_CONNECTED]      = { "connected", "# connected to {host}[[ ({address})]][[ port {port}]][[ from {local}]]" },
    [EV_PROXY]          = { "proxy", "# through the {type} proxy {host}[[ port {port}]][[ to {target}]]" },
    [EV_GREETING]       = { "greeting", NULL },   /* the lines of the dialogue show both */
    [EV_CAPABILITY]     = { "capability", NULL },
    [EV_CLIENT]         = { "client", "C: {line}" },
    [EV_SERVER]         = { "server", "S: {line}" },
    [EV_OCTETS]         = { "octets", NULL },
    [EV_BODY]           = { "body", "# the message, {octets} octets" },
    [EV_CONTENT]        = { "content", "C: {line}" },
    [EV_PROGRESS]       = { "progress", "# {octets}[[ of {total}]] octets" },
    [EV_TLS]            = { "tls", "# {version}[[ {cipher}]][[ {group}]][[{resumed}, resumed]]"
                                   "[[{verified}, verified]][[{!verified}, not verified]][[ ({how})]][[: {problem}]]" },
    [EV_CERTIFICATE]    = { "certificate", "# certificate {depth}: {subject}[[, for {names}]][[, by {issuer}]]"
                                           "[[, from {not_before}]][[ to {not_after}]][[ ({days_left} days left)]]"
                                           "[[, SHA-256 {sha256}]]" },
    [EV_SECRET]         = { "secret", "# password[[ of {user}]] from {source}" },
    [EV_AUTH]           = { "auth", "# {mechanism}[[ as {user}]][[{ok}: accepted]][[{!ok}: refused]]" },
    [EV_PHASE]          = { "phase", "# {name}: {us} us" },
    [EV_RECIPIENT]      = { "recipient", "# {address}: {fate}[[, {reply}]][[, {host}]][[ ({policy})]]" },
    [EV_CLOSED]         = { "closed", "# connection closed[[: {reason}]]" },
    [EV_RESULT]         = { "result", "# {exitcode}[[, {smtpstatus}]][[, queued as {queueid}]][[, TLS {tlspolicy}]]"
                                      "[[, {mailsize} octets]]"
                                      "[[ in {ms} ms]][[: {errormsg}]]" },
    [EV_MESSAGE]        = { "message", "# message {number}[[ of {total}]], {id}: {outcome}[[: {errormsg}]]" },
    [EV_RECEIVED]       = { "received", "# received {octets} octets from <{from}>[[ for {recipients}]]"
                                        "[[, stored in {stored}]][[, peer {peer}]]" },
    [EV_LISTENING]      = { "listening", "# listening on {address}[[ port {port}]][[, TLS {tls}]]" },
};

const char *event_word(enum event_kind kind)
{
    return kinds[kind].word;
}

const char *event_template(enum event_kind kind)
{
    return kinds[kind].text;
}

struct field event_field_string(const char *name, const char *s)
{
    return (struct field){ .name = name, .type = FIELD_STRING, .s = s, .len = s ? strlen(s) : 0,
                           .secret_from = SIZE_MAX };
}

static const struct field *find_field(const struct event *ev, const char *name, size_t n)
{
    for (const struct field *f = ev->fields; f->type != FIELD_END; f++)
        if (strncmp(f->name, name, n) == 0 && !f->name[n])
            return f;
    return NULL;
}

const struct field *event_field(const struct event *ev, const char *name)
{
    return find_field(ev, name, strlen(name));
}

void event_add_time(struct buf *out, int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[64];
    if (gmtime_r(&t, &tm) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        buf_adds(out, text);
    else
        buf_printf(out, "%" PRId64, seconds);
}

static void add_value(struct buf *out, const struct field *f, bool in_group)
{
    switch (f->type) {
    case FIELD_END:
        break;
    case FIELD_STRING:
        visible_encode(out, f->s, f->s ? f->len : 0);
        break;
    case FIELD_INT:
        buf_printf(out, "%" PRId64, f->i);
        break;
    case FIELD_BOOL:
        if (!in_group)
            buf_adds(out, f->i ? "yes" : "no");
        break;
    case FIELD_TIME:
        event_add_time(out, f->i);
        break;
    case FIELD_LIST:
        for (size_t i = 0; f->list && i < f->list->n; i++) {
            if (i)
                buf_adds(out, ", ");
            visible_encode(out, f->list->v[i], strlen(f->list->v[i]));
        }
        break;
    }
}

static bool says_something(const struct field *f)
{
    if (f->type == FIELD_BOOL)
        return f->i;
    if (f->type == FIELD_STRING)
        return f->s && f->len;
    return f->type != FIELD_LIST || (f->list && f->list->n);
}

void event_format(const struct event *ev, const char *template, struct buf *out)
{
    size_t group = SIZE_MAX; /* where the output of the open [[ began */
    bool shown = true;
    for (const char *t = template; *t;) {
        if (strncmp(t, "[[", 2) == 0) {
            group = out->len;
            shown = true;
            t += 2;
        } else if (strncmp(t, "]]", 2) == 0 && group != SIZE_MAX) {
            if (!shown)
                buf_cut(out, group);
            group = SIZE_MAX;
            t += 2;
        } else if (*t == '{' && strchr(t, '}')) {
            bool negated = *++t == '!';
            t += negated;
            size_t n = strcspn(t, "}");
            const struct field *f = find_field(ev, t, n);
            shown = shown && f && says_something(f) != negated;
            if (f && !negated)
                add_value(out, f, group != SIZE_MAX);
            t += n + 1;
        } else {
            buf_addc(out, *t++);
        }
    }
}

struct listener {
    uint64_t mask;
    listener_fn *fn;
    void *ctx; /* borrowed */
};

void hub_init(struct hub *h)
{
    *h = (struct hub){ .start = clock_now() };
}

void hub_free(struct hub *h)
{
    hub_unhide(h);
    free(h->listeners);
    *h = (struct hub){ 0 };
}

void hub_listen(struct hub *h, uint64_t mask, listener_fn *fn, void *ctx)
{
    h->listeners = xrealloc(h->listeners, (h->n + 1) * sizeof *h->listeners);
    h->listeners[h->n++] = (struct listener){ mask, fn, ctx };
}

void hub_unlisten(struct hub *h, const void *ctx)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->n; i++)
        if (h->listeners[i].ctx != ctx)
            h->listeners[kept++] = h->listeners[i];
    h->n = kept;
}

bool hub_wants(const struct hub *h, enum event_kind kind)
{
    for (size_t i = 0; h && i < h->n; i++)
        if (h->listeners[i].mask & EV_MASK(kind))
            return true;
    return false;
}

/* Inside longer base64, as in AUTH PLAIN, the secret begins at one of three bit offsets. Of its digits those
 * that it alone decides are hidden. */
static void hide_inside_base64(struct hub *h, const char *secret, size_t n, size_t offset)
{
    struct buf octets = BUF_SECRET_INIT, digits = BUF_SECRET_INIT;
    buf_add(&octets, "\0\0", offset);
    buf_add(&octets, secret, n);
    base64_encode(&digits, octets.data, octets.len);
    buf_cut(&digits, 8 * octets.len / 6);
    buf_drop(&digits, (8 * offset + 5) / 6);
    strlist_addn(&h->hidden, digits.data, digits.len);
    buf_free(&octets);
    buf_free(&digits);
}

void hub_hide(struct hub *h, const char *secret, size_t n)
{
    n = strnlen(secret, n);
    if (!h || n < HUB_SECRET_MIN)
        return;
    struct buf whole = BUF_SECRET_INIT;
    base64_encode(&whole, secret, n);
    strlist_addn(&h->hidden, secret, n);
    strlist_addn(&h->hidden, whole.data, whole.len);
    for (size_t offset = 0; offset < 3; offset++)
        hide_inside_base64(h, secret, n, offset);
    buf_free(&whole);
}

void hub_unhide(struct hub *h)
{
    for (size_t i = 0; i < h->hidden.n; i++) {
        secret_free(h->hidden.v[i]);
        h->hidden.v[i] = NULL;
    }
    strlist_free(&h->hidden);
}

static const char mask[] = "***";
enum { MASK_LEN = sizeof mask - 1 };

void hub_mask(const struct hub *h, struct buf *text)
{
    for (size_t i = 0; h && i < h->hidden.n; i++) {
        const char *secret = h->hidden.v[i];
        size_t n = strlen(secret); /* HUB_SECRET_MIN at least, so the mask always fits in its place */
        char *at = text->data;
        while ((at = memmem(at, text->len - (size_t)(at - text->data), secret, n))) {
            memcpy(at, mask, MASK_LEN);
            at += MASK_LEN;
            size_t tail = text->len - (size_t)(at - text->data) - (n - MASK_LEN);
            memmove(at, at + n - MASK_LEN, tail);
            buf_cut(text, text->len - (n - MASK_LEN));
        }
    }
}

static bool is_cut(const struct field *f)
{
    return f->type == FIELD_STRING && f->s && f->secret_from < f->len;
}

/* Copies the fields with their secrets cut; texts[i] owns the text of field i. */
static void cut_secrets(const struct hub *h, const struct field *fields, size_t n, struct field *copy,
                        struct buf *texts)
{
    for (size_t i = 0; i < n; i++) {
        copy[i] = fields[i];
        texts[i] = (struct buf)BUF_SECRET_INIT;
        if (fields[i].type != FIELD_STRING || !fields[i].s)
            continue;
        buf_add(&texts[i], fields[i].s, is_cut(&fields[i]) ? fields[i].secret_from : fields[i].len);
        hub_mask(h, &texts[i]);
        if (is_cut(&fields[i]))
            buf_add(&texts[i], mask, MASK_LEN);
        copy[i].s = texts[i].data;
        copy[i].len = texts[i].len;
        copy[i].secret_from = SIZE_MAX;
    }
}

static void tell(const struct hub *h, const struct event *ev)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->listeners[i].mask & EV_MASK(ev->kind))
            h->listeners[i].fn(h->listeners[i].ctx, ev);
}

void hub_emit(struct hub *h, unsigned connection, enum event_kind kind, const struct field *fields)
{
    if (!hub_wants(h, kind))
        return;
    struct event ev = { .kind = kind, .time = clock_now() - h->start, .connection = connection, .fields = fields };
    size_t n = 0;
    bool secrets = h->hidden.n > 0;
    for (; fields[n].type != FIELD_END; n++)
        secrets = secrets || is_cut(&fields[n]);
    if (!secrets) {
        tell(h, &ev);
        return;
    }
    struct field *copy = xcalloc(n + 1, sizeof *copy); /* the last one stays FIELD_END */
    struct buf *texts = xcalloc(n, sizeof *texts);
    cut_secrets(h, fields, n, copy, texts);
    ev.fields = copy;
    tell(h, &ev);
    for (size_t i = 0; i < n; i++)
        buf_free(&texts[i]);
    free(texts);
    free(copy);
}
