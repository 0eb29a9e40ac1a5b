/* show_text: the transcript in the dialogue format: "C: …", "S: …" and "# …" for everything else. */
#include "show/show.h"

enum { WAIT_WORTH_SAYING = 1000 }; /* microseconds */

/* Time is a comment of its own, so that the transcript with timings still is a script. */
static void add_time(struct show_text *t, const struct event *ev, struct buf *out)
{
    usec wait = ev->time - t->last;
    if (wait >= WAIT_WORTH_SAYING)
        buf_printf(out, "# +%lld.%03lld ms\n", (long long)(wait / 1000), (long long)(wait % 1000));
    t->last = ev->time;
}

static void on_event(void *ctx, const struct event *ev)
{
    struct show_text *t = ctx;
    const char *template = event_template(ev->kind);
    if (!template)
        return;
    struct buf line = BUF_INIT;
    if (t->timings)
        add_time(t, ev, &line);
    if (t->several && ev->connection)
        buf_printf(&line, "[%u] ", ev->connection);
    event_format(ev, template, &line);
    buf_addc(&line, '\n');
    fwrite(line.data, 1, line.len, t->out);
    if (ev->kind != EV_CONTENT)
        fflush(t->out);
    buf_free(&line);
}

void show_text_open(struct show_text *t, struct hub *h)
{
    uint64_t mask = EV_ALL & ~EV_BULK;
    if (t->content)
        mask |= EV_MASK(EV_CONTENT);
    if (!t->timings)
        mask &= ~EV_MASK(EV_PHASE);
    t->last = 0;
    hub_listen(h, mask, on_event, t);
}
