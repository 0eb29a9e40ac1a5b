/* show_batch: a JSON line for each message of a batch, in their order, and the bar while they go out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "show/fields.h"
#include "show/show.h"

/* ---- lines ---- */

struct show_batch {
    struct hub *hub;       /* borrowed */
    FILE *out;             /* borrowed */
    struct buf result;     /* own: members, of the message whose EV_MESSAGE comes next */
    struct json json;      /* … */
    struct buf recipients; /* own: objects */
    struct json list;
    char **held;           /* own: a ring of lines by number; NULL: not over yet */
    size_t cap;
    long next;             /* the number that is written next */
    int broken;            /* errno of the first line that could not be written; 0: none */
};

static void begin_members(struct show_batch *b)
{
    buf_reset(&b->result);
    buf_reset(&b->recipients);
    b->json = (struct json)JSON_TO(&b->result);
    b->list = (struct json)JSON_TO(&b->recipients);
}

static void add_members(struct json *j, const struct event *ev, const char *const *names)
{
    for (; *names; names++) {
        const struct field *f = event_field(ev, *names);
        if (!f)
            continue;
        const struct field one[] = { *f, { .type = FIELD_END } };
        fields_json(j, one);
    }
}

static void take_recipient(struct show_batch *b, const struct event *ev)
{
    json_begin_object(&b->list, NULL);
    fields_json(&b->list, ev->fields);
    json_end_object(&b->list);
}

static void take_result(struct show_batch *b, const struct event *ev)
{
    static const char *const names[] = { "msgid", "from", "mailsize", "smtpstatus", "smtpmsg", "queueid", "errormsg",
                                         "hint", "fault", "stage", "fate", "exit", "ms", NULL };
    add_members(&b->json, ev, names);
}

static char *line_of(struct show_batch *b, const struct event *ev)
{
    static const char *const first[] = { "number", "id", "outcome", NULL };
    static const char *const untried[] = { "errormsg", "hint", "fault", NULL };
    struct buf line = BUF_INIT;
    struct json j = JSON_TO(&line);
    json_begin_object(&j, NULL);
    add_members(&j, ev, first);
    if (b->result.len) {
        buf_addc(&line, ',');
        buf_addbuf(&line, &b->result);
        json_begin_array(&j, "recipients");
        buf_addbuf(&line, &b->recipients);
        json_end_array(&j);
    } else {
        add_members(&j, ev, untried);
    }
    json_end_object(&j);
    return buf_steal(&line);
}

static void make_room(struct show_batch *b, long number)
{
    if ((size_t)(number - b->next) < b->cap)
        return;
    size_t cap = b->cap ? b->cap : 16;
    while (cap <= (size_t)(number - b->next))
        cap *= 2;
    char **held = xcalloc(cap, sizeof *held);
    for (size_t i = 0; i < b->cap; i++)
        held[((size_t)b->next + i) % cap] = b->held[((size_t)b->next + i) % b->cap];
    free(b->held);
    b->held = held;
    b->cap = cap;
}

static void take_message(struct show_batch *b, const struct event *ev)
{
    long number = (long)event_field(ev, "number")->i;
    if (number < b->next)
        return;
    make_room(b, number);
    b->held[(size_t)number % b->cap] = line_of(b, ev);
    begin_members(b);
    for (char **line; *(line = &b->held[(size_t)b->next % b->cap]); b->next++) {
        fprintf(b->out, "%s\n", *line);
        free(*line);
        *line = NULL;
    }
    if ((fflush(b->out) != 0 || ferror(b->out)) && !b->broken)
        b->broken = errno;
}

static void on_event(void *ctx, const struct event *ev)
{
    if (ev->kind == EV_RECIPIENT)
        take_recipient(ctx, ev);
    else if (ev->kind == EV_RESULT)
        take_result(ctx, ev);
    else
        take_message(ctx, ev);
}

struct show_batch *show_batch_open(struct hub *h, FILE *out)
{
    struct show_batch *b = xcalloc(1, sizeof *b);
    *b = (struct show_batch){ .hub = h, .out = out, .result = BUF_INIT, .recipients = BUF_INIT, .next = 1 };
    begin_members(b);
    hub_listen(h, EV_MASK(EV_RECIPIENT) | EV_MASK(EV_RESULT) | EV_MASK(EV_MESSAGE), on_event, b);
    return b;
}

int show_batch_close(struct show_batch *b)
{
    const int broken = b->broken;
    hub_unlisten(b->hub, b);
    for (size_t i = 0; i < b->cap; i++)
        free(b->held[i]);
    free(b->held);
    buf_free(&b->result);
    buf_free(&b->recipients);
    free(b);
    return broken;
}

/* ---- the bar ---- */

enum { WIDTH = 16, LINE = 79 };

static const usec BETWEEN = USEC_PER_SEC / 8;

static void add_time_left(struct buf *out, int64_t seconds)
{
    if (seconds >= 3600)
        buf_printf(out, ", %d:%02d h left", (int)(seconds / 3600), (int)(seconds / 60 % 60));
    else
        buf_printf(out, ", %d:%02d left", (int)(seconds / 60), (int)(seconds % 60));
}

/* Of a list the messages are known, of a file its octets, of a pipe nothing. */
static void draw(struct show_batch_progress *p, const struct event *ev)
{
    const struct field *total = event_field(ev, "total"), *octets = event_field(ev, "octets_total");
    int64_t done = p->n, all = total->type == FIELD_INT ? total->i : 0;
    struct buf line = BUF_INIT;
    if (!all && octets->type == FIELD_INT) {
        done = event_field(ev, "octets")->i;
        all = octets->i;
    }
    if (all > 0) {
        int filled = (int)(done >= all ? WIDTH : done * WIDTH / all);
        buf_addc(&line, '[');
        for (int i = 0; i < WIDTH; i++)
            buf_addc(&line, i < filled ? '#' : ' ');
        buf_adds(&line, "] ");
    }
    buf_printf(&line, "%lld", (long long)p->n);
    if (total->type == FIELD_INT)
        buf_printf(&line, " of %lld", (long long)total->i);
    buf_printf(&line, ", %.1f MB", (double)p->octets / 1e6);
    if (ev->time > USEC_PER_SEC)
        buf_printf(&line, ", %.1f/s", (double)p->n * USEC_PER_SEC / (double)ev->time);
    if (ev->time > USEC_PER_SEC && done > 0 && all > done)
        add_time_left(&line, (int64_t)((double)ev->time / (double)done * (double)(all - done)) / USEC_PER_SEC);
    if (p->failed)
        buf_printf(&line, ", %lld not sent", (long long)p->failed);
    fprintf(p->out, "\r%-*.*s", LINE, LINE, line.data);
    fflush(p->out);
    buf_free(&line);
}

static void on_progress(void *ctx, const struct event *ev)
{
    struct show_batch_progress *p = ctx;
    if (ev->kind == EV_RESULT) {
        p->octets += event_field(ev, "mailsize")->i;
        return;
    }
    p->n++;
    p->failed += event_field(ev, "failed")->i;
    if (p->visible && ev->time - p->drawn < BETWEEN)
        return;
    draw(p, ev);
    p->drawn = ev->time;
    p->visible = true;
}

void show_batch_progress_open(struct show_batch_progress *p, struct hub *h)
{
    hub_listen(h, EV_MASK(EV_RESULT) | EV_MASK(EV_MESSAGE), on_progress, p);
}

void show_batch_progress_wipe(struct show_batch_progress *p)
{
    if (p->visible)
        fprintf(p->out, "\r%*s\r", LINE, "");
    p->visible = false;
}
