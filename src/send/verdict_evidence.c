/* verdict_evidence: what was seen, a line each: what speaks for a verdict, so that nobody has to believe it. No
 * judgement. */
#include <string.h>

#include "base/codec.h"
#include "send/verdict_words.h"

enum { LINE_MAX_SHOWN = 1000 };

/* ---- sights ---- */

static void tell_time(const char *word, usec us, struct buf *out)
{
    buf_adds(out, word);
    words_add_time(out, us);
}

static void describe_look(const struct scene *s, const struct sight *v, struct buf *out)
{
    buf_adds(out, "connects");
    if (!v->looked)
        return;
    if (v->closed_at_once) {
        buf_adds(out, " and is closed at once");
    } else if (!v->heard && !v->tls.up) {
        buf_adds(out, v->err.stage == STAGE_TLS ? ", TLS does not come up" : ", then says nothing");
    } else if (v->heard && !v->greeting) {
        buf_printf(out, ", answers '%s'", v->heard);
    } else {
        buf_printf(out, "%s", v->greeting ? ", greets" : "");
        if (v->tls.up)
            buf_printf(out, ", %s%s", v->tls.version ? v->tls.version : "TLS",
                       v->tls.verified      ? " with a good certificate"
                       : s->question.verify ? " with a bad certificate"
                                            : "");
        else if (view_ehlo(v))
            buf_printf(out, ", %s", v->starttls_offered ? "STARTTLS is offered" : "no STARTTLS");
        if (words_mechanisms(v)->n && view_ehlo(v))
            buf_adds(out, ", login offered");
    }
    if (scene_usable(s, v))
        buf_adds(out, ": works");
    else if (err_is_set(&v->err) && v->greeting)
        buf_printf(out, "; %s", v->err.text);
}

static void describe(const struct scene *s, const struct sight *v, bool timed, struct buf *out)
{
    if (!v->done) {
        buf_adds(out, "not waited for");
    } else if (v->reach == REACH_SILENT) {
        buf_adds(out, "no answer");
        if (timed && v->took > 0)
            tell_time(" within ", v->took, out);
    } else if (v->reach == REACH_OPEN) {
        describe_look(s, v, out);
    } else {
        buf_adds(out, reach_phrase(v->reach));
        if (v->reach == REACH_OTHER && v->reason)
            buf_printf(out, ": %s", strerror(v->reason));
        if (timed && v->reach != REACH_OTHER && v->reach != REACH_BAD_SOURCE)
            tell_time(" after ", v->took, out);
    }
    if (v->crossed)
        buf_adds(out, v->implicit ? " (with TLS from the start)" : " (without TLS at first)");
    if (v->mss)
        buf_printf(out, " (with segments of %d octets)", v->mss);
}

void verdict_describe(const struct scene *s, const struct sight *v, struct buf *out)
{
    describe(s, v, true, out);
}

/* ---- lines ---- */

/* What servers say may hold anything. */
static void add_line(struct strlist *out, struct buf *line)
{
    struct buf b = BUF_INIT;
    visible_encode(&b, line->data, words_clip(line->data, LINE_MAX_SHOWN));
    if (b.len && !strlist_has(out, b.data))
        strlist_add(out, b.data);
    buf_free(&b);
    buf_reset(line);
}

static bool alike(const struct scene *s, const struct sight *a, const struct sight *b)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    describe(s, a, false, &x);
    describe(s, b, false, &y);
    bool same = a->role == b->role && a->port == b->port && strcmp(x.data, y.data) == 0;
    buf_free(&x);
    buf_free(&y);
    return same;
}

/* Addresses at which the same was seen share a line; the time is that of the slowest. */
static void show_group(const struct scene *s, size_t first, struct strlist *out)
{
    struct buf line = BUF_INIT;
    struct strlist addresses = STRLIST_INIT;
    const struct sight *v = &s->sights[first], *slowest = v;
    for (size_t i = first; i < s->n_sights; i++) {
        if (!alike(s, v, &s->sights[i]))
            continue;
        if (s->sights[i].address && !strlist_has(&addresses, s->sights[i].address))
            strlist_add(&addresses, s->sights[i].address);
        if (s->sights[i].took > slowest->took)
            slowest = &s->sights[i];
    }
    buf_printf(&line, "port %d", v->port);
    if (v->role == SIGHT_CONTROL_HOST && v->host)
        buf_printf(&line, " of %s", v->host);
    if (s->question.proxy) { /* the address is its */
        buf_printf(&line, " through the proxy '%s'", s->question.proxy);
    } else {
        buf_adds(&line, addresses.n ? " at " : "");
        words_add_joined(&line, &addresses, 4);
    }
    buf_adds(&line, ": ");
    describe(s, slowest, true, &line);
    add_line(out, &line);
    strlist_free(&addresses);
    buf_free(&line);
}

static void show_sights(const struct scene *s, unsigned shown, struct strlist *out)
{
    static const unsigned by_role[] = {
        [SIGHT_CONFIGURED] = SHOW_HERE, [SIGHT_OTHER_PORT] = SHOW_OTHERS, [SIGHT_CONTROL_PORT] = SHOW_OTHERS,
        [SIGHT_CONTROL_HOST] = SHOW_CONTROL,
    };
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        bool told = !(by_role[v->role] & shown) || !v->done;
        for (size_t k = 0; k < i && !told; k++)
            told = alike(s, &s->sights[k], v);
        if (!told)
            show_group(s, i, out);
    }
}

static void show_lookup(const struct lookup *l, const char *kind, struct strlist *out)
{
    static const char *const phrases[] = {
        [LOOKUP_NO_ADDRESS] = "the name has none",
        [LOOKUP_NO_NAME] = "no such name",
        [LOOKUP_FAILED] = "the look-up fails",
        [LOOKUP_SILENT] = "no answer",
    };
    struct buf line = BUF_INIT;
    if (l->outcome == LOOKUP_NOT_ASKED || l->outcome == LOOKUP_LITERAL)
        return;
    buf_printf(&line, "%s of '%s': ", kind, l->name ? l->name : "");
    if (l->outcome == LOOKUP_FOUND)
        words_add_joined(&line, &l->addresses, 4);
    else
        buf_printf(&line, "%s%s%s", phrases[l->outcome], l->reason ? ": " : "", l->reason ? l->reason : "");
    add_line(out, &line);
    buf_free(&line);
}

static void show_names(const struct scene *s, struct strlist *out)
{
    show_lookup(&s->names.v4, "IPv4 addresses", out);
    show_lookup(&s->names.v6, "IPv6 addresses", out);
    show_lookup(&s->names.known, "for comparison, addresses", out);
}

/* "port 25: hops 1 and 2 answer, then nothing": one line for each of the two ladders. */
static void show_ladder(const struct scene_ladder *l, struct strlist *out)
{
    const struct ladder_summary a = ladder_sum_up(l->rungs, l->n);
    struct buf line = BUF_INIT;
    buf_printf(&line, "path to port %d of %s:", l->port, l->address ? l->address : "");
    if (a.last_hop)
        buf_printf(&line, " routers answer up to hop %d%s%s%s,", a.last_hop, a.last_router ? " (" : "",
                   a.last_router ? a.last_router : "", a.last_router ? ")" : "");
    if (a.answered_at)
        buf_printf(&line, " %s at hop %d", a.answer == REACH_REFUSED ? "the connection is refused" : "it connects",
                   a.answered_at);
    else if (a.rejected_at)
        buf_printf(&line, " with TTL %d it %s%s%s%s", a.rejected_at, reach_phrase(a.rejection),
                   a.rejected_by ? " (told by " : "", a.rejected_by ? a.rejected_by : "", a.rejected_by ? ")" : "");
    else
        buf_adds(&line, a.last_hop ? " then nothing" : " nothing answers");
    add_line(out, &line);
    buf_free(&line);
}

static void show_paths(const struct scene *s, struct strlist *out)
{
    for (size_t i = 0; i < s->n_ladders; i++)
        show_ladder(&s->ladders[i], out);
}

static void show_tls(const struct view *w, struct strlist *out)
{
    const struct sight *v = w->certificate;
    struct buf line = BUF_INIT;
    if (!v || !v->tls.sha256)
        return;
    const struct sight_tls *t = &v->tls;
    if (t->problem) {
        buf_adds(&line, t->problem);
        add_line(out, &line);
    }
    buf_printf(&line, "certificate: subject '%s', issuer '%s'", t->subject ? t->subject : "",
               t->issuer ? t->issuer : "");
    add_line(out, &line);
    buf_adds(&line, t->names.n ? "its names: " : "it has no names");
    words_add_joined(&line, &t->names, 6);
    add_line(out, &line);
    buf_printf(&line, "its SHA-256: %s", t->sha256);
    add_line(out, &line);
    buf_free(&line);
}

static void show_ehlo(const struct view *w, struct strlist *out)
{
    struct buf line = BUF_INIT;
    const struct sight *v = w->here;
    if (!v)
        return;
    if (v->heard) {
        buf_printf(&line, "the first line from port %d: %s", v->port, v->heard);
        add_line(out, &line);
    }
    const struct strlist *const lists[] = { &v->ehlo, &v->ehlo_tls };
    for (int i = 0; i < 2 && view_ehlo(v); i++) {
        if (!lists[i]->n && i == 1)
            continue;
        buf_printf(&line, "offered %s TLS: ", i == 0 && !v->implicit ? "before" : "under");
        words_add_joined(&line, lists[i], 20);
        if (!lists[i]->n)
            buf_adds(&line, "nothing");
        add_line(out, &line);
    }
    buf_free(&line);
}

static void show_family(const struct scene_family *f, const char *name, struct strlist *out)
{
    struct buf line = BUF_INIT;
    if (!f->route) {
        buf_printf(&line, "this machine has no %s%s", name,
                   f->address ? " route, though an address" : " address and no route");
        add_line(out, &line);
    }
    buf_free(&line);
}

static void show_machine(const struct view *w, struct strlist *out)
{
    struct buf line = BUF_INIT;
    if (w->blocker) {
        buf_printf(&line, "this machine runs at %s", w->blocker->name);
        add_line(out, &line);
    }
    show_family(&w->s->machine.v4, "IPv4", out);
    show_family(&w->s->machine.v6, "IPv6", out);
    buf_free(&line);
}

void verdict_show(const struct view *w, unsigned shown, struct strlist *out)
{
    const struct scene *s = w->s;
    if (shown & SHOW_NAMES)
        show_names(s, out);
    show_sights(s, shown, out);
    if (shown & SHOW_EHLO)
        show_ehlo(w, out);
    if (shown & SHOW_TLS)
        show_tls(w, out);
    if (shown & SHOW_PATH)
        show_paths(s, out);
    if (shown & SHOW_MACHINE)
        show_machine(w, out);
    struct buf line = BUF_INIT;
    if (s->names.impossible.addresses.n) {
        buf_printf(&line, "the resolver answers %s for a name that cannot exist", s->names.impossible.addresses.v[0]);
        add_line(out, &line);
    }
    for (size_t i = 0; i < s->notes.n; i++) {
        buf_adds(&line, s->notes.v[i]);
        add_line(out, &line);
    }
    buf_free(&line);
}
