/* probe_dialogue: what is asked of the session: where it stops, what it makes use of, parameters, XCLIENT. */
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/probe_parts.h"
#include "smtp/caps.h"

/* What a delivery makes use of unasked, and swaks does not. */
enum {
    UNASKED = CAP_PIPELINING | CAP_SIZE | CAP_8BITMIME | CAP_SMTPUTF8 | CAP_DSN | CAP_CHUNKING | CAP_LIMITS |
              CAP_REQUIRETLS,
};

/* ---- where it is cut ---- */

enum { PROXY_STOP = -1 };

static const struct {
    const char *word;
    int stop; /* enum session_stop */
} stops[] = {
    { "proxy", PROXY_STOP },
    { "connect", STOP_GREETING },        { "banner", STOP_GREETING },
    { "first-helo", STOP_FIRST_HELLO },  { "first-ehlo", STOP_FIRST_HELLO },    { "first-lhlo", STOP_FIRST_HELLO },
    { "xclient", STOP_XCLIENT },
    { "xclient-helo", STOP_XCLIENT_HELLO }, { "xclient-ehlo", STOP_XCLIENT_HELLO },
    { "xclient-lhlo", STOP_XCLIENT_HELLO },
    { "starttls", STOP_TLS },            { "tls", STOP_TLS },
    { "helo", STOP_HELLO },              { "ehlo", STOP_HELLO },                { "lhlo", STOP_HELLO },
    { "auth", STOP_AUTH },
    { "mail", STOP_MAIL },               { "from", STOP_MAIL },
    { "rcpt", STOP_RCPT },               { "to", STOP_RCPT },
    { "data", STOP_DATA },               { "dot", STOP_DOT },
};

static bool stop(struct probe_plan *p, const char *option, enum session_stop *at, struct err *e)
{
    const struct saying *s = said_last(p->said, option);
    for (size_t i = 0; s && i < sizeof stops / sizeof *stops; i++) {
        if (!ascii_ieq(stops[i].word, s->value))
            continue;
        if (stops[i].stop == PROXY_STOP)
            p->probe.stop_after_preamble = true;
        else
            *at = (enum session_stop)stops[i].stop;
        if (*at < STOP_DATA || !said_is(s, "quit_after"))
            return true;
        said_wrong(s, e, "cannot be '%s': there is no QUIT inside a message", s->value);
        return err_hint(e, "--drop-after and --drop-after-send can");
    }
    if (!s)
        return true;
    const char *near = ascii_nearest(s->value, s->o->words);
    said_wrong(s, e, "cannot be '%s'", s->value);
    return near ? err_hint(e, "did you mean '%s'?", near)
                : err_hint(e, "write a step of the dialogue: connect, helo, tls, auth, mail or rcpt");
}

bool probe_stops(struct probe_plan *p, struct err *e)
{
    struct session_probe *s = &p->probe.session;
    return stop(p, "quit_after", &s->quit_after, e) && stop(p, "drop_after", &s->drop_after, e) &&
           stop(p, "drop_after_send", &s->drop_after_send, e);
}

bool probe_comes_to_rcpt(const struct probe_plan *p)
{
    const struct session_probe *s = &p->probe.session;
    const enum session_stop at[] = { s->quit_after, s->drop_after, s->drop_after_send };
    bool before = p->probe.stop_after_preamble;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        before |= at[i] != STOP_NOWHERE && at[i] < STOP_RCPT;
    return !before;
}

/* ---- what it makes use of ---- */

static void param(struct strlist *list, const char *name, const char *value)
{
    strlist_add_own(list, value ? xasprintf("%s=%s", name, value) : xstrdup(name));
}

/* What is asked for by an option goes as a parameter, offered or not: the server is to say what it thinks of it. */
static void plan_params(struct probe_plan *p)
{
    static const struct {
        const char *option, *name, *value;
    } flags[] = {
        { "8bitmime", "BODY", "8BITMIME" }, { "smtputf8", "SMTPUTF8", NULL }, { "requiretls", "REQUIRETLS", NULL },
    };
    struct probe_options *said = p->said;
    struct buf words = BUF_INIT, xtext = BUF_INIT;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (said_flag(said, flags[i].option))
            param(&p->mail_params, flags[i].name, flags[i].value);
    if (said_text(said, "size"))
        param(&p->mail_params, "SIZE", said_text(said, "size"));
    if (said_text(said, "dsn_return"))
        param(&p->mail_params, "RET", ascii_ieq(said_text(said, "dsn_return"), "full") ? "FULL" : "HDRS");
    if (said_text(said, "dsn_envid")) {
        xtext_encode(&xtext, said_text(said, "dsn_envid"), strlen(said_text(said, "dsn_envid")));
        param(&p->mail_params, "ENVID", xtext.data);
    }
    for (size_t i = 0; i < said->n; i++) {
        if (said_is(&said->v[i], "mail_param"))
            strlist_add(&p->mail_params, said->v[i].value);
        if (said_is(&said->v[i], "rcpt_param"))
            strlist_add(&p->rcpt_params, said->v[i].value);
        if (said_is(&said->v[i], "dsn_notify"))
            buf_printf(&words, "%s%s", words.len ? "," : "", said->v[i].value);
    }
    for (size_t i = 0; i < words.len; i++)
        words.data[i] = ascii_upper(words.data[i]);
    if (words.len)
        param(&p->rcpt_params, "NOTIFY", words.data);
    buf_free(&words);
    buf_free(&xtext);
}

static void plan_caps(struct probe_plan *p)
{
    struct session_probe *s = &p->probe.session;
    s->caps_ignored = UNASKED;
    if (said_flag(p->said, "pipeline"))
        s->caps_ignored &= ~(uint32_t)CAP_PIPELINING;
    if (said_flag(p->said, "size") && !said_text(p->said, "size"))
        s->caps_ignored &= ~(uint32_t)CAP_SIZE;
    if (said_flag(p->said, "bdat")) {
        s->caps_ignored &= ~(uint32_t)CAP_CHUNKING;
        s->caps_assumed |= CAP_CHUNKING;
    }
    if (said_flag(p->said, "auth_unadvertised"))
        s->caps_assumed |= CAP_AUTH;
}

static void xclient_end(struct probe_plan *p, struct buf *line)
{
    if (line->len)
        strlist_add(&p->xclient, line->data);
    buf_reset(line);
}

/* Attributes share a command until --xclient-delim or --xclient. */
static void plan_xclient(struct probe_plan *p)
{
    struct session_probe *s = &p->probe.session;
    struct buf line = BUF_INIT;
    for (size_t i = 0; i < p->said->n; i++) {
        const struct saying *said = &p->said->v[i];
        if (!said->o->name || strncmp(said->o->name, "xclient", 7) != 0)
            continue;
        if (said_is(said, "xclient") || said_is(said, "xclient_delim"))
            xclient_end(p, &line);
        if (said_is(said, "xclient"))
            strlist_add(&p->xclient, said->value);
        if (said->o->type == OPTION_FLAG || said_is(said, "xclient") || !*said->value)
            continue;
        buf_adds(&line, line.len ? " " : "");
        for (const char *c = said->o->name + strlen("xclient_"); *c; c++)
            buf_addc(&line, ascii_upper(*c));
        buf_addc(&line, '=');
        xtext_encode(&line, said->value, strlen(said->value));
    }
    xclient_end(p, &line);
    buf_free(&line);
    s->xclient = p->xclient.n ? &p->xclient : NULL;
    s->xclient_unverified = said_flag(p->said, "xclient_no_verify") || said_last(p->said, "xclient");
    s->xclient_before_tls = said_flag(p->said, "xclient_before_starttls");
    s->xclient_need = said_flag(p->said, "xclient_optional_strict") ? NEED_STRICT
                      : said_flag(p->said, "xclient_optional")      ? NEED_MAY
                                                                    : NEED_REQUIRED;
}

void probe_dialogue(struct probe_plan *p)
{
    struct session_probe *s = &p->probe.session;
    s->as_is = true;
    s->hear_quit = true;
    s->prdr = said_flag(p->said, "prdr");
    s->raw_body = said_flag(p->said, "no_data_fixup");
    s->decode_auth = said_flag(p->said, "auth_plaintext");
    plan_caps(p);
    plan_xclient(p);
    plan_params(p);
    s->mail_params = &p->mail_params;
    s->rcpt_params = &p->rcpt_params;
}
