/* show_progress: a bar while a message is sent. */
#include "show/show.h"

#include <string.h>

enum { WIDTH = 40 };

static const usec BETWEEN = USEC_PER_SEC / 8;

static void draw(const struct show_progress *p, int64_t octets, int64_t total)
{
    static const char full[WIDTH + 1] = "########################################";
    int filled = total > 0 ? (int)(octets >= total ? WIDTH : octets * WIDTH / total) : 0;
    fprintf(p->out, "\r[%.*s%*s] %.1f", filled, full, WIDTH - filled, "", (double)octets / 1e6);
    if (total > 0)
        fprintf(p->out, " of %.1f", (double)total / 1e6);
    fputs(" MB", p->out);
    fflush(p->out);
}

static void on_event(void *ctx, const struct event *ev)
{
    struct show_progress *p = ctx;
    if (p->connection && p->connection != ev->connection)
        return;
    if (ev->kind != EV_PROGRESS) { /* the message is through */
        if (p->visible)
            fprintf(p->out, "\r%*s\r", WIDTH + 32, "");
        p->visible = false;
        p->connection = 0;
        return;
    }
    p->connection = ev->connection;
    const struct field *octets = event_field(ev, "octets"), *total = event_field(ev, "total");
    int64_t all = total->type == FIELD_INT ? total->i : 0;
    if ((all > 0 ? all : octets->i) <= p->least || (p->visible && ev->time - p->drawn < BETWEEN))
        return;
    draw(p, octets->i, all);
    p->drawn = ev->time;
    p->visible = true;
}

void show_progress_open(struct show_progress *p, struct hub *h)
{
    p->drawn = 0;
    p->visible = false;
    p->connection = 0;
    hub_listen(h, EV_MASK(EV_PROGRESS) | EV_MASK(EV_BODY) | EV_MASK(EV_CLOSED), on_event, p);
}
