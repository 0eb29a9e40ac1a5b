/* serverinfo: what --serverinfo prints, gathered from events. Headings and labels that msmtp prints, too, are
 * written as there: scripts look for them. */
#include "cmd/serverinfo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"

struct serverinfo {
    struct hub *hub;              /* borrowed */
    const char *protocol;         /* borrowed */
    struct buf head, tls, timings; /* own */
    struct buf capabilities[2];   /* own: told before TLS was up, and under it */
    bool starttls;                /* is offered */
};

static void take_connected(struct serverinfo *i, const struct event *ev)
{
    buf_reset(&i->head);
    buf_printf(&i->head, "%s server at", i->protocol);
    event_format(ev, " {host}[[ ({address})]][[, port {port}]]:\n", &i->head);
}

static void take_greeting(struct serverinfo *i, const struct event *ev)
{
    const struct field *text = event_field(ev, "text");
    for (const char *line = text->s; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        buf_adds(&i->head, "    ");
        visible_encode(&i->head, line, strcspn(line, "\n"));
        buf_addc(&i->head, '\n');
    }
}

static void take_tls(struct serverinfo *i, const struct event *ev)
{
    event_format(ev, "TLS session parameters:\n"
                     "[[    {description}\n]]"
                     "    Version: {version}\n"
                     "    Cipher: {cipher}\n"
                     "[[    Key exchange: {group}\n]]"
                     "[[    Verification: good, by {how}{verified}\n]]"
                     "[[    Verification: failed: {problem}\n]]", &i->tls);
}

static void take_certificate(struct serverinfo *i, const struct event *ev)
{
    const bool first = event_field(ev, "depth")->i == 0;
    event_format(ev, first ? "TLS certificate information:\n" : "TLS certificate {depth} of the chain:\n", &i->tls);
    event_format(ev, "    Subject:\n"
                     "        {subject}\n"
                     "    Issuer:\n"
                     "        {issuer}\n"
                     "[[    Names:\n        {names}\n]]"
                     "    Validity:\n"
                     "        Activation time: {not_before}\n"
                     "        Expiration time: {not_after}\n"
                     "        Days left: {days_left}\n"
                     "[[    Key:\n        {key}\n]]"
                     "    Fingerprints:\n"
                     "        SHA256: {sha256}\n"
                     "[[        SHA1 (deprecated): {sha1}\n]]"
                     "[[        SHA256 of the public key: {spki_sha256}\n]]", &i->tls);
    if (first)
        event_format(ev, "    To accept just this certificate, or this key:\n"
                         "        tls_fingerprint {sha256}\n"
                         "[[        tls_fingerprint sha256-spki:{spki_sha256}\n]]", &i->tls);
}

static void take_capability(struct serverinfo *i, const struct event *ev)
{
    struct buf *out = &i->capabilities[event_field(ev, "tls")->i != 0];
    const struct field *size = event_field(ev, "size_max"), *mechanisms = event_field(ev, "mechanisms");
    i->starttls |= ascii_ieq(event_field(ev, "keyword")->s, "STARTTLS");
    if (mechanisms->type == FIELD_LIST) {
        event_format(ev, "    {keyword}:\n        {meaning}:\n        ", out);
        for (size_t k = 0; k < mechanisms->list->n; k++) {
            visible_encode(out, mechanisms->list->v[k], strlen(mechanisms->list->v[k]));
            buf_addc(out, ' ');
        }
        buf_addc(out, '\n');
        return;
    }
    event_format(ev, "    {keyword}[[ {parameters}]]:\n", out);
    if (size->type == FIELD_INT)
        buf_printf(out, "        Maximum message size is %" PRId64 " bytes = %.2f MiB\n", size->i,
                   (double)size->i / (1 << 20));
    else
        event_format(ev, event_field(ev, "meaning")->s ? "        {meaning}\n" : "        (not known to envoi)\n", out);
}

static void take_phase(struct serverinfo *i, const struct event *ev)
{
    event_format(ev, "    {name}: ", &i->timings);
    buf_printf(&i->timings, "%.3f ms\n", (double)event_field(ev, "us")->i / 1000);
}

static void (*const takers[EV_COUNT])(struct serverinfo *i, const struct event *ev) = {
    [EV_CONNECTED] = take_connected,
    [EV_GREETING] = take_greeting,
    [EV_TLS] = take_tls,
    [EV_CERTIFICATE] = take_certificate,
    [EV_CAPABILITY] = take_capability,
    [EV_PHASE] = take_phase,
};

static void on_event(void *ctx, const struct event *ev)
{
    takers[ev->kind](ctx, ev);
}

struct serverinfo *serverinfo_open(struct hub *h, const char *protocol)
{
    struct serverinfo *i = xcalloc(1, sizeof *i);
    *i = (struct serverinfo){ .hub = h, .protocol = protocol, .head = BUF_INIT, .tls = BUF_INIT, .timings = BUF_INIT,
                              .capabilities = { BUF_INIT, BUF_INIT } };
    uint64_t mask = 0;
    for (int kind = 0; kind < EV_COUNT; kind++)
        if (takers[kind])
            mask |= EV_MASK(kind);
    hub_listen(h, mask, on_event, i);
    return i;
}

static void print(const struct serverinfo *i, FILE *out)
{
    const struct buf *before = &i->capabilities[false], *now = &i->capabilities[true];
    const bool under_tls = i->tls.len > 0;
    if (!under_tls)
        now = before;
    fprintf(out, "%s%s%s%s", i->head.data, i->tls.data,
            now->len ? "Capabilities:\n" : "No special capabilities.\n", now->data);
    if (under_tls && before->len)
        fprintf(out, "Capabilities before TLS:\n%s", before->data);
    if (!under_tls && i->starttls)
        fputs("This server might advertise more or other capabilities when TLS is active.\n", out);
    fprintf(out, "Timings:\n%s", i->timings.data);
    fflush(out);
}

void serverinfo_close(struct serverinfo *i, FILE *out)
{
    if (!i)
        return;
    if (i->head.len)
        print(i, out);
    hub_unlisten(i->hub, i);
    buf_free(&i->head);
    buf_free(&i->tls);
    buf_free(&i->timings);
    buf_free(&i->capabilities[0]);
    buf_free(&i->capabilities[1]);
    free(i);
}
