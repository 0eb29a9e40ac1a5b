/* show_report: one JSON object at the end of a run, gathered from the events. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/reply.h"
#include "base/strlist.h"
#include "show/fields.h"
#include "show/show.h"

/* An array or object that grows while events come; its JSON is copied into the report at the end. */
struct part {
    struct buf text; /* own */
    struct json json;
};

/* In the order of the object. */
enum { RESULT, RECIPIENTS, SERVER, CAPABILITIES, REPLIES, PHASES, TLS, CERTIFICATES, WARNINGS, ADVICE, PARTS };

/* What is said on one connection; several may be open side by side. */
struct talk {
    unsigned connection;
    struct reply_parser parser;
    struct strlist sent; /* commands that have no reply yet, behind the one that had the last */
    bool answered;       /* sent begins with that one */
    bool greeted;
};

struct show_report {
    struct hub *hub; /* borrowed */
    struct part parts[PARTS];
    struct talk *talks;  /* own */
    size_t n_talks;
    unsigned last;       /* the connection that was made last: "server" and "capabilities" are its */
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

static struct talk *talk_of(struct show_report *r, unsigned connection)
{
    for (size_t i = r->n_talks; i-- > 0;)
        if (r->talks[i].connection == connection)
            return &r->talks[i];
    r->talks = xrealloc(r->talks, (r->n_talks + 1) * sizeof *r->talks);
    r->talks[r->n_talks] = (struct talk){ .connection = connection, .parser = REPLY_PARSER_INIT };
    return &r->talks[r->n_talks++];
}

static void take_connected(struct show_report *r, const struct event *ev)
{
    r->last = ev->connection;
    empty(&r->parts[SERVER]);
    empty(&r->parts[CAPABILITIES]);
    talk_of(r, ev->connection)->greeted = false;
    fields_json(&r->parts[SERVER].json, ev->fields);
}

static void take_greeting(struct show_report *r, const struct event *ev)
{
    const struct field *text = event_field(ev, "text");
    if (ev->connection == r->last)
        json_string_n(&r->parts[SERVER].json, "greeting", text->s, text->len);
}

static void take_capability(struct show_report *r, const struct event *ev)
{
    if (ev->connection == r->last)
        add_object(&r->parts[CAPABILITIES], ev);
}

static void take_recipient(struct show_report *r, const struct event *ev)
{
    add_object(&r->parts[RECIPIENTS], ev);
}

static void take_phase(struct show_report *r, const struct event *ev)
{
    add_object(&r->parts[PHASES], ev);
}

static void take_certificate(struct show_report *r, const struct event *ev)
{
    add_object(&r->parts[CERTIFICATES], ev);
}

/* A QUIT in the same flight as the message gets a reply that nobody waits for. */
static void take_client(struct show_report *r, const struct event *ev)
{
    const struct field *line = event_field(ev, "line");
    struct talk *t = talk_of(r, ev->connection);
    if (strcmp(line->s, "QUIT") || t->sent.n == t->answered)
        strlist_addn(&t->sent, line->s, line->len);
}

/* The greeting answers nothing, not even a PROXY header. Where there are more replies than commands (LMTP, PRDR) they
 * belong to the last. */
static const char *command_of_reply(struct talk *t)
{
    if (!t->greeted) {
        strlist_free(&t->sent);
        t->answered = false;
    } else if (t->answered && t->sent.n > 1) {
        free(t->sent.v[0]);
        memmove(t->sent.v, t->sent.v + 1, t->sent.n-- * sizeof *t->sent.v);
    }
    t->answered = t->greeted && t->sent.n > 0;
    t->greeted = true;
    return t->answered ? t->sent.v[0] : NULL;
}

static void add_reply(struct show_report *r, unsigned connection, const struct reply *reply)
{
    struct json *j = &r->parts[REPLIES].json;
    json_begin_object(j, NULL);
    if (connection)
        json_int(j, "connection", connection);
    const char *command = command_of_reply(talk_of(r, connection));
    if (command)
        json_string(j, "command", command);
    json_int(j, "code", reply->code);
    if (reply->enhanced[0]) {
        char *enhanced = xasprintf("%d.%d.%d", reply->enhanced[0], reply->enhanced[1], reply->enhanced[2]);
        json_string(j, "enhanced", enhanced);
        free(enhanced);
    }
    json_string_n(j, "text", reply->text.data, reply->text.len);
    json_end_object(j);
}

static void take_server(struct show_report *r, const struct event *ev)
{
    const struct field *field = event_field(ev, "line");
    struct reply reply = REPLY_INIT;
    struct buf line = BUF_INIT;
    size_t used;
    buf_add(&line, field->s, field->len);
    buf_adds(&line, "\r\n");
    if (reply_feed(&talk_of(r, ev->connection)->parser, line.data, line.len, &used, &reply, NULL, NULL) == REPLY_DONE)
        add_reply(r, ev->connection, &reply);
    reply_free(&reply);
    buf_free(&line);
}

static void take_text(struct part *p, const struct event *ev)
{
    const struct field *text = event_field(ev, "text");
    if (text && text->s)
        json_string_n(&p->json, NULL, text->s, text->len);
}

static void take_warning(struct show_report *r, const struct event *ev)
{
    take_text(&r->parts[WARNINGS], ev);
}

static void take_advice(struct show_report *r, const struct event *ev)
{
    take_text(&r->parts[ADVICE], ev);
}

/* The connection that was used last counts. */
static void take_tls(struct show_report *r, const struct event *ev)
{
    empty(&r->parts[TLS]);
    empty(&r->parts[CERTIFICATES]);
    add_object(&r->parts[TLS], ev);
}

/* "tls" and "recipients" of the result are told by the parts of that name, and better. */
static void take_result(struct show_report *r, const struct event *ev)
{
    empty(&r->parts[RESULT]);
    for (const struct field *f = ev->fields; f->type != FIELD_END; f++) {
        const struct field one[] = { *f, { .type = FIELD_END } };
        if (strcmp(f->name, "tls") && strcmp(f->name, "recipients"))
            fields_json(&r->parts[RESULT].json, one);
    }
}

static void (*const takers[EV_COUNT])(struct show_report *r, const struct event *ev) = {
    [EV_CONNECTED] = take_connected,
    [EV_GREETING] = take_greeting,
    [EV_CAPABILITY] = take_capability,
    [EV_CLIENT] = take_client,
    [EV_SERVER] = take_server,
    [EV_RECIPIENT] = take_recipient,
    [EV_PHASE] = take_phase,
    [EV_TLS] = take_tls,
    [EV_CERTIFICATE] = take_certificate,
    [EV_WARNING] = take_warning,
    [EV_ADVICE] = take_advice,
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
    for (int i = 0; i < PARTS; i++)
        part_init(&r->parts[i]);
    uint64_t mask = 0;
    for (int kind = 0; kind < EV_COUNT; kind++)
        if (takers[kind])
            mask |= EV_MASK(kind);
    hub_listen(h, mask, on_event, r);
    return r;
}

/* How each part stands in the object: in what brackets, and what is there when it is empty. */
static const struct { const char *name, *open, *close, *empty; } frames[PARTS] = {
    [RESULT]       = { NULL, "", "", NULL },
    [RECIPIENTS]   = { "recipients", "[", "]", "[]" },
    [SERVER]       = { "server", "{", "}", "null" },
    [CAPABILITIES] = { "capabilities", "[", "]", "[]" },
    [REPLIES]      = { "replies", "[", "]", "[]" },
    [PHASES]       = { "phases", "[", "]", "[]" },
    [TLS]          = { "tls", "", "", "null" },
    [CERTIFICATES] = { "certificates", "[", "]", "[]" },
    [WARNINGS]     = { "warnings", "[", "]", "[]" },
    [ADVICE]       = { "advice", "[", "]", "[]" },
};

static void write_report(const struct show_report *r, FILE *out)
{
    const char *comma = "{";
    for (int i = 0; i < PARTS; i++) {
        const struct buf *text = &r->parts[i].text;
        if (!text->len && !frames[i].empty)
            continue;
        fputs(comma, out);
        if (frames[i].name)
            fprintf(out, "\"%s\":", frames[i].name);
        if (text->len)
            fprintf(out, "%s%s%s", frames[i].open, text->data, frames[i].close);
        else
            fputs(frames[i].empty, out);
        comma = ",";
    }
    fputs("}\n", out);
    fflush(out);
}

void show_report_close(struct show_report *r, FILE *out)
{
    if (!r)
        return;
    if (out)
        write_report(r, out);
    hub_unlisten(r->hub, r);
    for (int i = 0; i < PARTS; i++)
        buf_free(&r->parts[i].text);
    for (size_t i = 0; i < r->n_talks; i++) {
        reply_parser_free(&r->talks[i].parser);
        strlist_free(&r->talks[i].sent);
    }
    free(r->talks);
    free(r);
}
