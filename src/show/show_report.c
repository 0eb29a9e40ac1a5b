/* show_report: one JSON object at the end of a run, gathered from the events. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "show/fields.h"
#include "show/show.h"

/* An array or object that grows while events come; its JSON is copied into the report at the end. */
struct part {
    struct buf text; /* own */
    struct json json;
};

struct show_report {
    struct hub *hub; /* borrowed */
    struct part server, capabilities, result, recipients, phases, tls, certificates, warnings;
};

static void part_init(struct part *p)
{
    buf_init(&p->text);
    p->json = (struct json)JSON_TO(&p->text);
}

static void add_object(struct part *p, const struct event *ev)
{
    json_begin_object(&p->json, NULL);
    if (ev->connection)
        json_int(&p->json, "connection", ev->connection);
    fields_json(&p->json, ev->fields);
    json_end_object(&p->json);
}

static void empty(struct part *p)
{
    buf_reset(&p->text);
    p->json.comma = false;
}

static void take_connected(struct show_report *r, const struct event *ev)
{
    empty(&r->server);
    empty(&r->capabilities);
    fields_json(&r->server.json, ev->fields);
}

static void take_greeting(struct show_report *r, const struct event *ev)
{
    const struct field *text = event_field(ev, "text");
    json_string_n(&r->server.json, "greeting", text->s, text->len);
}

static void take_capability(struct show_report *r, const struct event *ev)
{
    add_object(&r->capabilities, ev);
}

static void take_recipient(struct show_report *r, const struct event *ev)
{
    add_object(&r->recipients, ev);
}

static void take_phase(struct show_report *r, const struct event *ev)
{
    add_object(&r->phases, ev);
}

static void take_certificate(struct show_report *r, const struct event *ev)
{
    add_object(&r->certificates, ev);
}

static void take_warning(struct show_report *r, const struct event *ev)
{
    const struct field *text = event_field(ev, "text");
    if (text && text->s)
        json_string_n(&r->warnings.json, NULL, text->s, text->len);
}

/* The connection that was used last counts. */
static void take_tls(struct show_report *r, const struct event *ev)
{
    empty(&r->tls);
    empty(&r->certificates);
    add_object(&r->tls, ev);
}

/* "tls" and "recipients" of the result are told by the parts of that name, and better. */
static void take_result(struct show_report *r, const struct event *ev)
{
    empty(&r->result);
    for (const struct field *f = ev->fields; f->type != FIELD_END; f++) {
        const struct field one[] = { *f, { .type = FIELD_END } };
        if (strcmp(f->name, "tls") && strcmp(f->name, "recipients"))
            fields_json(&r->result.json, one);
    }
}

static void (*const takers[EV_COUNT])(struct show_report *r, const struct event *ev) = {
    [EV_CONNECTED] = take_connected,
    [EV_GREETING] = take_greeting,
    [EV_CAPABILITY] = take_capability,
    [EV_RECIPIENT] = take_recipient,
    [EV_PHASE] = take_phase,
    [EV_TLS] = take_tls,
    [EV_CERTIFICATE] = take_certificate,
    [EV_WARNING] = take_warning,
    [EV_RESULT] = take_result,
};

static void on_event(void *ctx, const struct event *ev)
{
    takers[ev->kind](ctx, ev);
}

struct show_report *show_report_open(struct hub *h)
{
    struct show_report *r = xcalloc(1, sizeof *r);
    r->hub = h;
    part_init(&r->server);
    part_init(&r->capabilities);
    part_init(&r->result);
    part_init(&r->recipients);
    part_init(&r->phases);
    part_init(&r->tls);
    part_init(&r->certificates);
    part_init(&r->warnings);
    uint64_t mask = 0;
    for (int kind = 0; kind < EV_COUNT; kind++)
        if (takers[kind])
            mask |= EV_MASK(kind);
    hub_listen(h, mask, on_event, r);
    return r;
}

static void write_report(const struct show_report *r, FILE *out)
{
    fprintf(out, "{%s%s\"recipients\":[%s],\"server\":%s%s%s,\"capabilities\":[%s],\"phases\":[%s],\"tls\":%s,\"certificates\":[%s],\"warnings\":[%s]}\n",
            r->result.text.data, r->result.text.len ? "," : "", r->recipients.text.data,
            r->server.text.len ? "{" : "null", r->server.text.data, r->server.text.len ? "}" : "", r->capabilities.text.data,
            r->phases.text.data,
            r->tls.text.len ? r->tls.text.data : "null", r->certificates.text.data, r->warnings.text.data);
    fflush(out);
}

void show_report_close(struct show_report *r, FILE *out)
{
    if (!r)
        return;
    if (out)
        write_report(r, out);
    hub_unlisten(r->hub, r);
    buf_free(&r->server.text);
    buf_free(&r->capabilities.text);
    buf_free(&r->result.text);
    buf_free(&r->recipients.text);
    buf_free(&r->phases.text);
    buf_free(&r->tls.text);
    buf_free(&r->certificates.text);
    buf_free(&r->warnings.text);
    free(r);
}
