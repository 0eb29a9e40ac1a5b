/* unserved: from an error to a reply as a server would have worded it. */
#include "send/unserved.h"

#include <string.h>

#include "base/buf.h"

/* RFC 3463; what is not here is "other or undefined". Nothing that a server could mend is for good. */
static const struct {
    enum fault fault;
    int enhanced[3];
} statuses[] = {
    { FAULT_NO_HOST, { 5, 1, 2 } },     { FAULT_DNS, { 4, 4, 3 } },     { FAULT_CONNECT, { 4, 4, 1 } },
    { FAULT_TIMEOUT, { 4, 4, 2 } },     { FAULT_LOST, { 4, 4, 2 } },    { FAULT_PROTOCOL, { 4, 5, 0 } },
    { FAULT_UNAVAILABLE, { 4, 7, 0 } }, { FAULT_TLS, { 4, 7, 5 } },     { FAULT_CERTIFICATE, { 4, 7, 5 } },
    { FAULT_IO, { 4, 3, 0 } },          { FAULT_MESSAGE, { 5, 6, 0 } }, { FAULT_NONE, { 4, 0, 0 } },
};

static const int *status_of(enum fault fault)
{
    size_t i = 0;
    while (statuses[i].fault != fault && statuses[i].fault != FAULT_NONE)
        i++;
    return statuses[i].enhanced;
}

/* RFC 7505 3: 556 goes with 5.1.10. */
static int code_of(const int enhanced[3])
{
    bool null_mx = enhanced[0] == 5 && enhanced[1] == 1 && enhanced[2] == 10;
    return null_mx ? 556 : enhanced[0] == 5 ? 550 : 451;
}

/* The refusal that words hold, as reply_format writes it; false: they are something else. */
static bool heard(const char *words, struct reply *r)
{
    struct reply_parser parser = REPLY_PARSER_INIT;
    struct buf text = BUF_INIT;
    size_t used;
    for (; *words; words++)
        buf_adds(&text, *words == '\n' ? "\r\n" : (char[]){ *words, '\0' });
    buf_adds(&text, "\r\n");
    bool whole = reply_feed(&parser, text.data, text.len, &used, r, NULL, NULL) == REPLY_DONE;
    reply_parser_free(&parser);
    buf_free(&text);
    return whole && (reply_temporary(r) || reply_permanent(r));
}

void unserved_settle(struct rcpt *r, const struct err *e, const int enhanced[3])
{
    if (e->fault == FAULT_INTERRUPTED)
        return;
    reply_free(&r->reply);
    if (!e->server || !heard(e->server, &r->reply)) {
        const int *status = enhanced && enhanced[0] ? enhanced : status_of(e->fault);
        reply_free(&r->reply);
        r->reply.code = code_of(status);
        r->reply.lines = 1;
        memcpy(r->reply.enhanced, status, sizeof r->reply.enhanced);
        buf_printf(&r->reply.text, "%d.%d.%d %s", status[0], status[1], status[2], e->text);
    }
    r->fate = reply_permanent(&r->reply) ? RCPT_REFUSED : RCPT_DEFERRED;
}
