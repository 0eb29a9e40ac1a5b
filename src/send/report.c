/* report: how a delivery ended. The fields of EV_RESULT stand in the order of the log line. */
#include "send/report.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "mail/address.h"

static bool is_final(enum rcpt_fate fate)
{
    return fate != RCPT_PENDING && fate != RCPT_UNCERTAIN;
}

static const struct rcpt *first_not_accepted(const struct envelope *env)
{
    for (size_t i = 0; i < env->n; i++)
        if (env->rcpts[i].fate != RCPT_ACCEPTED)
            return &env->rcpts[i];
    return NULL;
}

/* "b@example.org: 550 5.1.1 no such user" for each but the first, whose words stand as the server's. */
static void list_refused(const struct envelope *env, struct buf *out)
{
    for (size_t i = 0; i < env->n; i++) {
        const struct rcpt *r = &env->rcpts[i];
        if (r->fate == RCPT_ACCEPTED)
            continue;
        buf_printf(out, "%s%s %s", out->len ? "\n" : "", r->address, rcpt_fate_word(r->fate));
        if (r->reply.code) {
            buf_adds(out, ": ");
            reply_format_line(&r->reply, out);
        }
    }
}

void report_fates(const struct envelope *env, enum fault fault, struct err *e)
{
    const struct rcpt *r = first_not_accepted(env);
    size_t refused = env->n - envelope_count(env, RCPT_ACCEPTED);
    struct buf words = BUF_INIT;
    if (env->n == 1)
        err_set(e, fault, r->fate == RCPT_REFUSED ? "the server refused the recipient '%s'"
                                                  : "the server does not take the recipient '%s' now",
                r->address);
    else
        err_set(e, fault, "%zu of %zu recipients did not get the message", refused, env->n);
    err_stage(e, STAGE_RCPT);
    if (env->n == 1 && r->reply.code)
        reply_format(&r->reply, &words);
    else
        list_refused(env, &words);
    err_server(e, words.data);
    buf_free(&words);
    e->fate = refused < env->n ? FATE_SENT : FATE_NOT_SENT;
}

enum fault report_verdict(const struct envelope *env, const struct err *connection, struct err *e)
{
    enum fault fates = envelope_verdict(env);
    if (fates == FAULT_NONE)
        return FAULT_NONE;
    bool all_final = true;
    for (size_t i = 0; i < env->n; i++)
        all_final &= is_final(env->rcpts[i].fate);
    bool some = envelope_count(env, RCPT_ACCEPTED) > 0;
    if (err_is_set(connection) && !some) {
        err_copy(e, connection);
        return e->fault;
    }
    if (err_is_set(connection) && !all_final)
        err_copy(e, connection);
    report_fates(env, fates, e);
    if (some)
        e->fault = FAULT_PARTIAL;
    return e->fault;
}

static void tell_recipient(const struct rcpt *r, const struct report_way *way, struct hub *hub, unsigned connection)
{
    struct buf line = BUF_INIT, enhanced = BUF_INIT;
    if (!hub_wants(hub, EV_RECIPIENT))
        return;
    reply_format_line(&r->reply, &line);
    if (r->reply.enhanced[0])
        buf_printf(&enhanced, "%d.%d.%d", r->reply.enhanced[0], r->reply.enhanced[1], r->reply.enhanced[2]);
    emit(hub, connection, EV_RECIPIENT, F_STR("address", r->address), F_STR("fate", rcpt_fate_word(r->fate)),
         F_INT_IF("code", r->reply.code > 0, r->reply.code), F_STR("enhanced", enhanced.len ? enhanced.data : NULL),
         F_STR("reply", r->reply.code ? line.data : NULL), F_STR("host", way->host), F_STR("policy", way->policy),
         F_STR("queueid", way->queue_id));
    buf_free(&line);
    buf_free(&enhanced);
}

void report_recipients(const struct envelope *env, struct hub *hub, unsigned connection)
{
    const struct report_way none = { 0 };
    for (size_t i = 0; i < env->n; i++)
        tell_recipient(&env->rcpts[i], &none, hub, connection);
}

/* The reply that counts for the whole: of a recipient that did not get it, else of the first. */
static const struct reply *deciding_reply(const struct envelope *env)
{
    const struct rcpt *r = first_not_accepted(env);
    if (!r && env->n > 0)
        r = &env->rcpts[0];
    return r && r->reply.code ? &r->reply : NULL;
}

/* ---- several servers in one line ---- */

static char *joined(const struct strlist *l)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < l->n; i++)
        buf_printf(&text, "%s%s", i ? "," : "", l->v[i]);
    return l->n ? buf_steal(&text) : NULL;
}

static void add_once(struct strlist *l, const char *s)
{
    if (s && !strlist_has(l, s))
        strlist_add(l, s);
}

/* "dane:dane"; "example.org=dane:dane,example.net=may:none" where not all are alike. */
static char *pairs(const struct report_params *p)
{
    struct strlist all = STRLIST_INIT, each = STRLIST_INIT;
    for (size_t i = 0; i < p->env->n; i++) {
        const char *domain = address_domain(p->env->rcpts[i].address), *policy = p->ways[i].policy;
        add_once(&all, policy);
        char *pair = policy ? xasprintf("%s=%s", domain ? domain : "", policy) : NULL;
        add_once(&each, pair);
        free(pair);
    }
    char *text = joined(all.n > 1 ? &each : &all);
    strlist_free(&all);
    strlist_free(&each);
    return text;
}

/* Each way's own, once. */
static char *of_ways(const struct report_params *p, size_t offset)
{
    struct strlist all = STRLIST_INIT;
    for (size_t i = 0; i < p->env->n; i++)
        add_once(&all, *(char *const *)((const char *)&p->ways[i] + offset));
    char *text = joined(&all);
    strlist_free(&all);
    return text;
}

/* What EV_RESULT says of the servers; own. */
struct servers {
    char *host, *policy, *queue_id;
};

static struct servers servers_of(const struct report_params *p)
{
    const struct account *a = p->account;
    struct servers s = { .queue_id = xstrdup(p->queue_id) };
    if (p->ways)
        s = (struct servers){ of_ways(p, offsetof(struct report_way, host)), pairs(p),
                              of_ways(p, offsetof(struct report_way, queue_id)) };
    if (!s.host)
        s.host = xstrdup(a->socket ? a->socket : a->host);
    return s;
}

static void message_id(const struct message *m, struct buf *out)
{
    long at = header_find(&m->headers, "Message-ID", 0);
    if (at >= 0)
        header_value(&m->headers.v[at], out);
}

void report_emit(const struct report_params *p, const struct err *verdict)
{
    const struct account *a = p->account;
    struct strlist recipients = STRLIST_INIT;
    struct buf reply = BUF_INIT, msgid = BUF_INIT;
    const struct reply *r = deciding_reply(p->env);
    int64_t size = message_size(p->message);
    enum fault fault = verdict->fault;

    if (!hub_wants(p->hub, EV_RECIPIENT) && !hub_wants(p->hub, EV_RESULT))
        return;
    const struct report_way none = { 0 };
    struct servers servers = servers_of(p);
    for (size_t i = 0; i < p->env->n; i++)
        tell_recipient(&p->env->rcpts[i], p->ways ? &p->ways[i] : &none, p->hub, 0);
    for (size_t i = 0; i < p->env->n; i++)
        strlist_add(&recipients, p->env->rcpts[i].address);
    int status = r ? r->code : 0;
    if (r)
        reply_format(r, &reply);
    /* refused before any recipient was named */
    else if (verdict->server && sscanf(verdict->server, "%3d", &status) == 1)
        buf_adds(&reply, verdict->server);
    message_id(p->message, &msgid);
    bool ok = fault == FAULT_NONE;
    emit(p->hub, 0, EV_RESULT,
         F_STR("account", a->name),
         F_STR("host", servers.host),
         F_BOOL("tls", a->tls == ACCOUNT_TLS_ON || p->tls),
         F_BOOL("auth", strcmp(a->auth, "off") != 0),
         F_STR("user", strcmp(a->auth, "off") != 0 ? a->user : NULL),
         F_STR("from", p->env->sender),
         F_LIST("recipients", &recipients),
         F_INT("mailsize", size < 0 ? p->octets : size),
         F_INT_IF("smtpstatus", status > 0, status),
         F_STR("smtpmsg", reply.len ? reply.data : NULL),
         F_STR("errormsg", ok ? NULL : verdict->text),
         F_STR("hint", ok ? NULL : verdict->hint),
         F_STR("exitcode", fault_sysexit_name(fault)),
         F_INT("exit", fault_exit(fault)),
         F_STR("fault", ok ? NULL : fault_word(fault)),
         F_STR("stage", ok ? NULL : stage_word(verdict->stage)),
         F_STR("fate", fate_word(ok ? FATE_SENT : verdict->fate)),
         F_INT_IF("port", p->port > 0, p->port),
         F_STR("tlspolicy", servers.policy),
         F_STR("msgid", msgid.len ? msgid.data : NULL),
         F_STR("queueid", servers.queue_id),
         F_INT("ms", (clock_now() - p->started) / 1000));
    strlist_free(&recipients);
    buf_free(&reply);
    buf_free(&msgid);
    free(servers.host);
    free(servers.policy);
    free(servers.queue_id);
}

void report_free(struct report_params *p)
{
    for (size_t i = 0; p->ways && i < p->env->n; i++) {
        free(p->ways[i].host);
        free(p->ways[i].policy);
        free(p->ways[i].queue_id);
    }
    free(p->ways);
    free(p->queue_id);
    p->ways = NULL;
    p->queue_id = NULL;
}
