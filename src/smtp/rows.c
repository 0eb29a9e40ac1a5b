/* rows: the commands, one row each, with the handlers of those that open and close a session. A handler records
 * facts; what follows from them is advance.c's. */
#include "smtp/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"

const char *rows_masked(const struct caps *c)
{
    for (size_t i = 0; i < c->lines.n; i++)
        if (strncmp(c->lines.v[i], "XXXX", 4) == 0)
            return c->lines.v[i];
    return NULL;
}

static void write_hello(struct session *s, const struct command *c, struct buf *line)
{
    buf_printf(line, "%s %s", rows[c->kind].word, s->p.domain ? s->p.domain : "localhost");
}

static void write_word(struct session *s, const struct command *c, struct buf *line)
{
    (void)s;
    buf_adds(line, rows[c->kind].word);
}

static void write_bdat(struct session *s, const struct command *c, struct buf *line)
{
    if (c->kind == CMD_BDAT)
        buf_printf(line, "BDAT %zu", c->arg);
    else
        buf_printf(line, "BDAT %lld LAST", s->body.chunked ? 0LL : (long long)s->t.job.size);
}

static void write_xclient(struct session *s, const struct command *c, struct buf *line)
{
    buf_printf(line, "%s %s", rows[c->kind].word, s->p.probe.xclient->v[s->xclients]);
}

static void write_etrn(struct session *s, const struct command *c, struct buf *line)
{
    buf_printf(line, "%s %s", rows[c->kind].word, s->p.etrn);
}

static bool greeting_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_more(r)) {
        session_protocol_error(s, r, "the server's greeting is neither a welcome nor a refusal");
    } else if (!reply_ok(r)) {
        session_refused(s, r, FAULT_UNAVAILABLE, reply_temporary(r) ? "the server is not available now"
                                                                    : "the server refuses to serve us");
        session_leave(s);
    } else {
        s->greeted = true;
        free(s->greeting);
        s->greeting = xstrdup(r->text.data);
        emit(s->p.hub, s->p.connection, EV_GREETING, F_STR("text", s->greeting));
    }
    return true;
}

static void tell_capabilities(const struct session *s)
{
    if (!hub_wants(s->p.hub, EV_CAPABILITY))
        return;
    for (size_t i = 0; i < s->caps.lines.n; i++) {
        struct buf keyword = BUF_INIT;
        const char *parameters, *meaning = caps_explain(s->caps.lines.v[i], &keyword, &parameters);
        bool auth = ascii_ieq(keyword.data, cap_word(CAP_AUTH)), size = ascii_ieq(keyword.data, cap_word(CAP_SIZE));
        emit(s->p.hub, s->p.connection, EV_CAPABILITY, F_STR("keyword", keyword.data),
             F_STR("parameters", *parameters ? parameters : NULL), F_STR("meaning", meaning), F_BOOL("tls", s->tls_up),
             F_INT_IF("size_max", size && s->caps.size_max > 0, s->caps.size_max),
             auth ? F_LIST("mechanisms", &s->caps.auth) : F_STR("mechanisms", NULL));
        buf_free(&keyword);
    }
}

/* May HELO help where EHLO was refused with r? Old servers answer 500 to 504; some say 550. 521 and 554 mean that
 * there is no mail service (RFC 7504, RFC 5321 3.1), whatever the command is called. */
static bool helo_may_help(const struct command *c, const struct reply *r)
{
    return c->kind == CMD_EHLO && reply_permanent(r) && r->code != 521 && r->code != 554;
}

static bool helo_is_enough(struct session *s, const struct reply *r)
{
    bool tls = s->p.tls == SESSION_TLS_REQUIRED && !s->tls_up && !session_has(s, CAP_STARTTLS);
    bool auth = auth_due(s) && s->p.probe.auth_need == NEED_REQUIRED && !session_has(s, CAP_AUTH);

    if (!tls && !auth)
        return true;
    session_refused(s, r, FAULT_UNAVAILABLE, "the server does not know EHLO, so it offers no %s, which is required",
                    tls ? "STARTTLS" : "AUTH");
    return false;
}

static bool hello_reply(struct session *s, const struct command *c, const struct reply *r)
{
    s->open = false;
    if (reply_ok(r)) {
        s->hello = HELLO_DONE;
        s->hellos++;
        if (c->kind == CMD_HELO)
            caps_free(&s->caps);
        else
            caps_parse(&s->caps, r);
        tell_capabilities(s);
    } else if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to EHLO makes no sense");
    } else if (helo_may_help(c, r) && helo_is_enough(s, r)) {
        s->hello = HELLO_REFUSED;
    } else {
        session_refused(s, r, FAULT_UNAVAILABLE, "the server refused %s '%s'", rows[c->kind].word,
                        s->p.domain ? s->p.domain : "localhost");
        session_leave(s);
    }
    return true;
}

static bool starttls_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_ok(r)) {
        s->ask = ASK_TLS;
    } else if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to STARTTLS makes no sense");
    } else if (s->p.tls == SESSION_TLS_MAY) {
        s->without |= CAP_STARTTLS;
        emit(s->p.hub, s->p.connection, EV_WARNING,
             F_STR("text", "the server refused STARTTLS; all goes out in clear"));
    } else {
        session_refused(s, r, FAULT_UNAVAILABLE, "the server refused STARTTLS, and TLS is required");
        err_hint(&s->err, reply_temporary(r) ? "nothing was sent; the server may be able to later, or try TLS from "
                                               "the start (port 465)"
                                             : "nothing was sent; try TLS from the start (port 465), or port 587");
        session_leave(s);
    }
    return true;
}

/* Accepted, the server takes us for a client that has just come. */
static bool xclient_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_ok(r)) {
        s->had_xclient = true;
        s->xclients++;
    } else if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to XCLIENT makes no sense");
    } else if (s->p.probe.xclient_need == NEED_MAY) {
        s->without |= CAP_XCLIENT;
        emit(s->p.hub, s->p.connection, EV_WARNING,
             F_STR("text", "the server refused XCLIENT; it takes us for who we are"));
    } else {
        session_refused(s, r, FAULT_UNAVAILABLE, "the server refused XCLIENT '%s'", s->p.probe.xclient->v[s->xclients]);
        session_leave(s);
    }
    if (s->had_xclient && !xclient_due(s))
        session_begin_anew(s);
    return true;
}

static bool etrn_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    reply_copy(&s->etrn_reply, r);
    if (reply_more(r)) {
        session_protocol_error(s, r, "the server's answer to ETRN makes no sense");
    } else if (!reply_ok(r)) {
        session_refused(s, r, FAULT_UNAVAILABLE, "the server did not start the queue '%s'", s->p.etrn);
        session_leave(s);
    }
    return true;
}

/* A server that will not forget the open transaction will refuse the MAIL that follows; that tells more. */
static bool rset_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_more(r))
        session_protocol_error(s, r, "the server's answer to RSET makes no sense");
    s->open = false;
    return true;
}

/* Only who wants to hear it gets here. */
static bool quit_reply(struct session *s, const struct command *c, const struct reply *r)
{
    (void)c;
    if (reply_more(r))
        session_protocol_error(s, r, "the server's answer to QUIT makes no sense");
    else if (!reply_ok(r))
        session_refused(s, r, FAULT_UNAVAILABLE, "the server does not take leave");
    session_hang_up(s);
    return true;
}

enum { MINUTE = 60 };
#define SECONDS(n) ((n) * USEC_PER_SEC)

/* Timeouts: RFC 5321 4.5.3.2 asks for 5 minutes and more where a person waits here; 10 minutes for the end of
 * the message are kept, because giving up too early there sends it twice. */
const struct row rows[] = {
    [CMD_GREETING] = { "the greeting", STAGE_GREETING, SECONDS(60), "2", .last = true, .reply = greeting_reply },
    [CMD_EHLO] = { "EHLO", STAGE_EHLO, SECONDS(60), "2", .last = true, .write = write_hello, .reply = hello_reply },
    [CMD_HELO] = { "HELO", STAGE_EHLO, SECONDS(60), "2", .last = true, .write = write_hello, .reply = hello_reply },
    [CMD_LHLO] = { "LHLO", STAGE_EHLO, SECONDS(60), "2", .last = true, .write = write_hello, .reply = hello_reply },
    [CMD_STARTTLS] = { "STARTTLS", STAGE_STARTTLS, SECONDS(60), "2", .last = true, .write = write_word,
                       .reply = starttls_reply },
    [CMD_XCLIENT] = { "XCLIENT", STAGE_XCLIENT, SECONDS(60), "2", .last = true, .write = write_xclient,
                      .reply = xclient_reply },
    [CMD_AUTH] = { "AUTH", STAGE_AUTH, SECONDS(60), "23", .last = true, .write = login_write, .reply = login_reply },
    [CMD_RESPONSE] = { "the response", STAGE_AUTH, SECONDS(60), "23", .last = true, .write = login_write,
                       .reply = login_reply },
    [CMD_ETRN] = { "ETRN", STAGE_ETRN, SECONDS(60), "2", .last = true, .write = write_etrn, .reply = etrn_reply },
    [CMD_RSET] = { "RSET", STAGE_RSET, SECONDS(60), "2", .write = write_word, .reply = rset_reply },
    [CMD_MAIL] = { "MAIL", STAGE_MAIL, SECONDS(60), "2", .write = transaction_write_mail,
                   .reply = transaction_mail_reply },
    [CMD_RCPT] = { "RCPT", STAGE_RCPT, SECONDS(60), "2", .write = transaction_write_rcpt,
                   .reply = transaction_rcpt_reply },
    [CMD_DATA] = { "DATA", STAGE_DATA, SECONDS(60), "3", .last = true, .write = write_word,
                   .reply = transaction_data_reply },
    [CMD_MESSAGE] = { "the message", STAGE_DOT, SECONDS(10 * MINUTE), "2", .body = true,
                      .reply = transaction_message_reply },
    [CMD_BDAT] = { "BDAT", STAGE_BODY, SECONDS(3 * MINUTE), "2", .write = write_bdat,
                   .reply = transaction_chunk_reply },
    [CMD_BDAT_LAST] = { "the message", STAGE_DOT, SECONDS(10 * MINUTE), "2", .body = true, .write = write_bdat,
                        .reply = transaction_message_reply },
    [CMD_QUIT] = { "QUIT", STAGE_QUIT, SECONDS(5), "2", .last = true, .write = write_word, .reply = quit_reply },
};
