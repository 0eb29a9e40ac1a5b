/* verdict_words: names and numbers of a scene as the sentences of a verdict want them. No judgement. */
#include "send/verdict_words.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/ascii.h"
#include "conf/account.h"
#include "send/hint.h"

enum { VALUE_MAX = 400 }; /* octets of what others said that a sentence can bear */

/* ---- small tables ---- */

static const struct {
    const char *start, *protocol;
} protocols[] = {
    { "HTTP/", "HTTP" }, { "<!DOCTYPE", "HTTP" }, { "<html", "HTTP" }, { "SSH-", "SSH" }, { "* OK", "IMAP" },
    { "+OK", "POP3" },   { "* BYE", "IMAP" },     { "-ERR", "POP3" },  { "RFB ", "VNC" },
};

const char *words_protocol(const char *heard)
{
    for (size_t i = 0; heard && i < sizeof protocols / sizeof *protocols; i++)
        if (ascii_istarts(heard, protocols[i].start))
            return protocols[i].protocol;
    return NULL;
}

static const struct {
    const char *part, *name;
    bool local;
} interceptors[] = {
    { "avast", "Avast", true },
    { "AVG ", "AVG", true },
    { "Kaspersky", "Kaspersky", true },
    { "ESET SSL Filter", "ESET", true },
    { "Bitdefender", "Bitdefender", true },
    { "Dr.Web", "Dr.Web", true },
    { "Norton", "Norton", true },
    { "AdGuard", "AdGuard", true },
    { "Fortinet", "Fortinet", false },
    { "FortiGate", "Fortinet", false },
    { "Zscaler", "Zscaler", false },
    { "Netskope", "Netskope", false },
    { "Sophos", "Sophos", false },
    { "Palo Alto", "Palo Alto Networks", false },
    { "Blue Coat", "Blue Coat", false },
    { "BlueCoat", "Blue Coat", false },
    { "WatchGuard", "WatchGuard", false },
    { "SonicWall", "SonicWall", false },
    { "Check Point", "Check Point", false },
    { "Cisco Umbrella", "Cisco Umbrella", false },
    { "Barracuda", "Barracuda", false },
    { "Untangle", "Untangle", false },
    { "pfSense", "pfSense", false },
};

const char *words_interceptor(const char *issuer, bool *local)
{
    for (size_t i = 0; issuer && i < sizeof interceptors / sizeof *interceptors; i++)
        if (ascii_icontains(issuer, interceptors[i].part)) {
            *local = interceptors[i].local;
            return interceptors[i].name;
        }
    return NULL;
}

/* ---- pieces ---- */

void words_add_time(struct buf *out, usec us)
{
    if (us >= USEC_PER_SEC)
        buf_printf(out, "%lld.%lld s", (long long)(us / USEC_PER_SEC), (long long)(us / 100000 % 10));
    else
        buf_printf(out, "%lld ms", (long long)((us + 999) / 1000));
}

void words_add_joined(struct buf *out, const struct strlist *l, size_t most)
{
    for (size_t i = 0; i < l->n && i < most; i++)
        buf_printf(out, "%s%s", i ? ", " : "", l->v[i]);
    if (l->n > most)
        buf_printf(out, " and %zu more", l->n - most);
}

static const char *tls_of(const struct sight *v)
{
    return v->implicit ? "with TLS from the start" : v->tls.up ? "with STARTTLS" : "without TLS";
}

const struct strlist *words_mechanisms(const struct sight *v)
{
    return v->tls.up ? &v->auth_tls : &v->auth;
}

/* ---- what templates are filled with ---- */

size_t words_clip(const char *text, size_t most)
{
    size_t n = text ? strnlen(text, most + 1) : 0;
    if (n <= most)
        return n;
    while (most > 0 && ((unsigned char)text[most] & 0xC0) == 0x80)
        most--;
    return most;
}

static const char *keep(struct words *f, struct buf *b)
{
    char *text = buf_steal(b);
    strlist_add_own(&f->kept, text);
    return text;
}

static void set(struct words *f, const char *name, const char *value)
{
    if (f->n < WORDS_MAX - 1)
        f->fields[f->n++] = F_STRN(name, value, words_clip(value, VALUE_MAX));
}

static void set_int(struct words *f, const char *name, bool known, long long value)
{
    if (f->n < WORDS_MAX - 1)
        f->fields[f->n++] = F_INT_IF(name, known, value);
}

static void set_bool(struct words *f, const char *name, bool value)
{
    if (f->n < WORDS_MAX - 1)
        f->fields[f->n++] = F_BOOL(name, value);
}

/* The lines of a reply as one, each code once: "554-5.7.1 no" and "554 5.7.1 see" are "554-5.7.1 no see". */
static const char *one_line(struct words *f, const char *reply)
{
    const size_t code = 4, prefix = reply && strlen(reply) > code ? code + strcspn(reply + code, " ") + 1 : 0;
    struct buf b = BUF_INIT;
    for (const char *p = reply; p && *p;) {
        const size_t n = strcspn(p, "\n");
        const bool again = p != reply && n >= code && strncmp(p, reply, code - 1) == 0;
        const bool status = again && n > prefix && ascii_isdigit(p[code])
                            && strncmp(p + code, reply + code, prefix - code) == 0;
        const size_t skip = status ? prefix : again ? code : 0;
        buf_printf(&b, "%s%.*s", p == reply ? "" : " ", (int)(n - skip), p + skip);
        p += n + (p[n] == '\n');
    }
    const char *line = reply ? keep(f, &b) : NULL;
    buf_free(&b);
    return line;
}

static void set_time(struct words *f, const char *name, bool known, usec us)
{
    struct buf b = BUF_INIT;
    if (known)
        words_add_time(&b, us);
    set(f, name, known ? keep(f, &b) : NULL);
    buf_free(&b);
}

static const char *day(struct words *f, long long seconds)
{
    const time_t t = (time_t)seconds;
    struct tm tm;
    char text[16];
    if (!seconds || !gmtime_r(&t, &tm) || strftime(text, sizeof text, "%Y-%m-%d", &tm) == 0)
        return NULL;
    strlist_add(&f->kept, text);
    return f->kept.v[f->kept.n - 1];
}

static void fill_question(struct words *f, const struct view *w)
{
    const struct scene_question *q = &w->s->question;
    const char *domain = w->s->names.v4.name ? w->s->names.v4.name : q->name;
    set(f, "host", q->host ? q->host : domain ? domain : "the server");
    set_bool(f, "account", q->named == NAMED_ACCOUNT);
    set_int(f, "port", true, q->port);
    set_bool(f, "port465", q->port == PORT_SUBMISSIONS);
    set(f, "control", q->control);
    set(f, "proxy", q->proxy);
    set(f, "mechanism", q->mechanism);
    set(f, "only", q->ipv4_only ? "IPv4" : q->ipv6_only ? "IPv6" : NULL);
    set(f, "only_option", q->ipv4_only ? "ipv4_only" : q->ipv6_only ? "ipv6_only" : NULL);
    set_bool(f, "port25", q->port == 25);
}

static void fill_names(struct words *f, const struct view *w)
{
    const struct scene_names *n = &w->s->names;
    const char *reason = n->v4.reason ? n->v4.reason : n->v6.reason;
    set(f, "dns_reason", reason);
    const enum lookup_outcome other = n->impossible.outcome;
    set_bool(f, "others_resolve", n->known.outcome == LOOKUP_FOUND || other == LOOKUP_NO_NAME || other == LOOKUP_FOUND);
    set(f, "rewritten_to", n->impossible.addresses.n ? n->impossible.addresses.v[0] : NULL);
}

static void fill_here(struct words *f, const struct view *w)
{
    const struct sight *v = w->here;
    static const struct sight none = { 0 };
    const struct sight *h = v ? v : &none;
    struct buf b = BUF_INIT;
    const char *server = h->err.server ? h->err.server : h->heard;
    const struct reply_row *row = server ? hint_for_reply(server) : NULL;
    set(f, "address", h->address);
    set_time(f, "silence", h->took > 0, h->took);
    set(f, "phrase", v && h->done ? reach_phrase(h->reach) : NULL);
    set(f, "reason", h->reason ? strerror(h->reason) : h->err.text);
    set_bool(f, "bad_source", v && h->done && h->reach == REACH_BAD_SOURCE);
    set(f, "error", h->err.text);
    set(f, "error_hint", h->err.hint);
    set(f, "server", one_line(f, server));
    set(f, "reply_cause", row ? row->cause : NULL);
    set(f, "reply_action", row ? row->action : NULL);
    const char *heard = h->heard || !w->crossed ? h->heard : w->crossed->heard;
    set(f, "heard", heard);
    set(f, "protocol", words_protocol(heard));
    set(f, "masked", h->starttls_masked);
    words_add_joined(&b, words_mechanisms(h), 8);
    set(f, "mechanisms", b.len ? keep(f, &b) : NULL);
    set_bool(f, "straight", w->straight);
    set_bool(f, "implicit", h->implicit);
    set_bool(f, "clear_login", h->tls.up && !h->auth_tls.n && h->auth.n > 0);
    set_int(f, "mss", w->small != NULL, w->small ? w->small->mss : 0);
    buf_free(&b);
}

static void fill_certificate(struct words *f, const struct view *w)
{
    static const struct sight_tls none = { 0 };
    const struct sight *v = w->certificate;
    const struct sight_tls *t = v ? &v->tls : &none;
    bool local = false;
    struct buf b = BUF_INIT;
    set(f, "problem", t->problem ? t->problem : v ? v->err.text : NULL);
    set(f, "issuer", t->issuer);
    set_bool(f, "self_signed", t->issuer && t->subject && strcmp(t->issuer, t->subject) == 0);
    words_add_joined(&b, &t->names, 4);
    set(f, "names", b.len ? keep(f, &b) : NULL);
    set(f, "expired", day(f, t->not_after));
    set(f, "begins", day(f, t->not_before));
    set(f, "today", day(f, w->s->now));
    set(f, "product", words_interceptor(t->issuer, &local));
    set_bool(f, "local", local);
    buf_free(&b);
}

static void fill_way(struct words *f, const struct view *w)
{
    struct buf b = BUF_INIT;
    const struct sight *v = w->way;
    if (w->partly)
        buf_printf(&b, "the address %s", v->address);
    else if (v && !w->straight)
        buf_printf(&b, "port %d %s", v->port, tls_of(v));
    const char *way = b.len ? keep(f, &b) : NULL;
    set(f, "way", way);
    set(f, "other_way", v && v->port != w->s->question.port ? way : NULL);
    if (v && v->tls.up) {
        buf_printf(&b, "%s, %s", v->implicit ? "TLS from the start" : "STARTTLS",
                   v->tls.version ? v->tls.version : "TLS");
        const char *last = day(f, v->tls.not_after);
        if (v->tls.verified)
            buf_printf(&b, ", the certificate is good%s%s", last ? " until " : "", last ? last : "");
        else
            buf_adds(&b, ", the certificate is not checked");
    } else if (v) {
        buf_adds(&b, "without TLS");
    }
    if (v && words_mechanisms(v)->n) {
        buf_adds(&b, ", login by ");
        words_add_joined(&b, words_mechanisms(v), 6);
    }
    set(f, "summary", b.len ? keep(f, &b) : NULL);
    set(f, "lost", w->lost == AF_INET6 ? "IPv6" : "IPv4");
    set(f, "kept", w->lost == AF_INET6 ? "IPv4" : "IPv6");
    buf_free(&b);
}

static void fill_path(struct words *f, const struct view *w)
{
    const struct view_path *p = &w->path;
    struct buf b = BUF_INIT;
    if (p->cut_behind > 0)
        buf_printf(&b, "at or behind hop %d%s%s", p->cut_behind, p->router ? ", " : "", p->router ? p->router : "");
    else if (p->cut_behind < 0)
        buf_adds(&b, "by this machine itself or at the first router");
    set(f, "where", b.len ? keep(f, &b) : NULL);
    set_int(f, "nearer", p->nearer > 0, p->nearer);
    set_int(f, "far", p->far > 0, p->far);
    set(f, "rejected_by", p->rejected_by);
    set(f, "said_by", p->said_by);
    const struct blocker *k = blocker_blocks(w->blocker, w->s->question.port) ? w->blocker : NULL;
    if (k)
        buf_printf(&b, "%s blocks port %d %s", k->name, w->s->question.port, k->when);
    set(f, "blocker", k ? keep(f, &b) : NULL);
    set(f, "blocker_action", k ? k->action : NULL);
    buf_free(&b);
}

void words_fill(struct words *f, const struct view *w)
{
    *f = (struct words){ 0 };
    fill_question(f, w);
    fill_names(f, w);
    fill_here(f, w);
    fill_certificate(f, w);
    fill_way(f, w);
    fill_path(f, w);
    f->fields[f->n] = (struct field){ .type = FIELD_END };
}

char *words_format(const struct words *f, const char *template)
{
    struct buf b = BUF_INIT;
    if (template)
        event_format(&(struct event){ .kind = EV_NOTE, .fields = f->fields }, template, &b);
    char *text = b.len ? buf_steal(&b) : NULL;
    buf_free(&b);
    return text;
}

void words_free(struct words *f)
{
    strlist_free(&f->kept);
}
