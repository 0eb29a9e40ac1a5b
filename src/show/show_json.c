/* show_json: one JSON object per event and line. */
#include "base/json.h"
#include "show/fields.h"
#include "show/show.h"

void show_json_line(const struct event *ev, struct buf *out)
{
    struct json j = JSON_TO(out);

    json_begin_object(&j, NULL);
    json_string(&j, "event", event_word(ev->kind));
    json_seconds(&j, "t", ev->time);
    if (ev->connection)
        json_int(&j, "connection", ev->connection);
    fields_json(&j, ev->fields);
    json_end_object(&j);
    buf_addc(out, '\n');
}

static void on_event(void *ctx, const struct event *ev)
{
    const struct show_json *s = ctx;
    struct buf line = BUF_INIT;

    show_json_line(ev, &line);
    fwrite(line.data, 1, line.len, s->out);
    fflush(s->out);
    buf_free(&line);
}

void show_json_open(struct show_json *j, struct hub *h)
{
    hub_listen(h, EV_ALL & ~EV_BULK, on_event, j);
}
