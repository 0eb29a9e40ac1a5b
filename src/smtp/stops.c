/* stops: where a test cuts the dialogue short, and which facts say that it has come there. A delivery has no stops.
 * It must not know what follows: that is advance.c's. */
#include "smtp/session_private.h"

bool stops_at(const struct session *s, enum session_stop stop)
{
    const struct session_probe *probe = &s->p.probe;
    return probe->quit_after == stop || probe->drop_after == stop || probe->drop_after_send == stop;
}

/* Did what this stop names go well, or is it no part of this dialogue? */
bool stops_reached(const struct session *s, enum session_stop stop)
{
    if (stop == STOP_NOWHERE || s->sent < s->end)
        return false;
    const struct transaction *t = &s->t;
    bool said_hello = s->hello == HELLO_DONE, xclient_over = !xclient_due(s), tls_over = !tls_due(s);
    bool before_tls = s->p.probe.xclient_before_tls;

    switch (stop) {
    case STOP_NOWHERE: return false;
    case STOP_GREETING: return s->greeted;
    case STOP_FIRST_HELLO: return s->hellos > 0;
    case STOP_XCLIENT: return xclient_over && (s->had_xclient || (said_hello && (before_tls || tls_over)));
    case STOP_XCLIENT_HELLO: return xclient_over && said_hello && (before_tls || tls_over);
    case STOP_TLS: return s->tls_up ? s->greeted : said_hello && tls_over && (!before_tls || xclient_over);
    case STOP_HELLO: return said_hello && tls_over && xclient_over;
    case STOP_AUTH: return said_hello && tls_over && xclient_over && !auth_due(s);
    case STOP_MAIL: return t->mailed;
    case STOP_RCPT: return t->mailed && t->unanswered == 0 && transaction_serves(s);
    case STOP_DATA: return t->data == DATA_GO;
    case STOP_DOT: return t->data == DATA_OVER && t->accepted > 0 && reply_ok(&s->data_reply);
    }
    return false;
}

/* Is the command that leads to this stop written, and nothing behind it? */
static bool stop_sent(const struct session *s, enum session_stop stop)
{
    const struct command *last = s->sent < s->todo ? &s->queue[s->todo - 1] : NULL;

    if (stop == STOP_NOWHERE || !last || s->todo < s->end || s->text_written < last->mark)
        return false;
    bool hello = rows[last->kind].stage == STAGE_EHLO;
    switch (stop) {
    case STOP_NOWHERE: return false;
    case STOP_GREETING: return last->kind == CMD_GREETING;
    case STOP_FIRST_HELLO: return hello && s->hellos == 0;
    case STOP_XCLIENT: return last->kind == CMD_XCLIENT && s->xclients + 1 == s->p.probe.xclient->n;
    case STOP_XCLIENT_HELLO: return hello && s->had_xclient;
    case STOP_TLS: return last->kind == CMD_STARTTLS;
    case STOP_HELLO: return hello && !tls_due(s) && !xclient_due(s);
    case STOP_AUTH: return last->kind == CMD_AUTH;
    case STOP_MAIL: return last->kind == CMD_MAIL;
    case STOP_RCPT: return last->kind == CMD_RCPT;
    case STOP_DATA: return last->kind == CMD_DATA;
    case STOP_DOT: return rows[last->kind].body && body_handed_out(s);
    }
    return false;
}

/* A step that is passed without a command of its own is dropped at as well. Behind 354 a QUIT would be text. */
bool stops_drop_due(const struct session *s)
{
    const struct session_probe *probe = &s->p.probe;

    return !s->leaving && (stops_reached(s, probe->drop_after) || stops_reached(s, probe->drop_after_send)
                           || stop_sent(s, probe->drop_after_send)
                           || (probe->quit_after == STOP_DATA && stops_reached(s, STOP_DATA)));
}
