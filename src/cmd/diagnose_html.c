/* diagnose_html: a diagnosis as a page for somebody else's support desk: style and pictures inside, nothing fetched, no
 * script, fit for paper. Whatever a server or a resolver said is escaped. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "cmd/diagnose.h"

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;"
    "color:#212121;background:#fff}"
    "h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin:1.6em 0 .4em;border-bottom:1px solid #bdbdbd}"
    ".word{display:inline-block;padding:.1em .6em;border-radius:.3em;color:#fff;font-weight:600}"
    ".good{background:#2e7d32}.warn{background:#b26a00}.bad{background:#c62828}"
    ".cause{font-size:1.15em}dt{font-weight:600}dd{margin:0 0 .6em 0}"
    "pre,code,td.said{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}"
    "pre{background:#f5f5f5;padding:.6em;white-space:pre-wrap}"
    "table{border-collapse:collapse;width:100%;font-size:13px}"
    "th,td{text-align:left;vertical-align:top;padding:.25em .5em;"
    "border-bottom:1px solid #e0e0e0}svg{display:block;width:100%;height:auto}"
    "footer{margin-top:2em;color:#616161;font-size:13px}"
    "@media print{body{margin:0;max-width:none}h2,tr,svg{break-inside:avoid}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

/* ---- escaping ---- */

static void text_n(struct buf *out, const char *s, size_t n)
{
    static const struct {
        char c;
        const char *name;
    } names[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" } };
    struct buf plain = BUF_INIT;
    visible_encode(&plain, s, n);
    for (const char *p = plain.data; *p; p++) {
        const char *name = NULL;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (*p == names[i].c)
                name = names[i].name;
        if (name)
            buf_adds(out, name);
        else
            buf_addc(out, *p);
    }
    buf_free(&plain);
}

static void text(struct buf *out, const char *s)
{
    if (s)
        text_n(out, s, strlen(s));
}

static void element(struct buf *out, const char *name, const char *s)
{
    buf_printf(out, "<%s>", name);
    text(out, s);
    buf_printf(out, "</%.*s>", (int)strcspn(name, " "), name);
}

static void items(struct buf *out, const char *heading, const struct strlist *l)
{
    if (!l->n)
        return;
    element(out, "h2", heading);
    buf_adds(out, "<ul>");
    for (size_t i = 0; i < l->n; i++)
        element(out, "li", l->v[i]);
    buf_adds(out, "</ul>\n");
}

/* ---- what is the matter ---- */

static void moment(struct buf *out, long long seconds)
{
    const time_t t = (time_t)seconds;
    struct tm tm;
    char words[64];
    if (gmtime_r(&t, &tm) && strftime(words, sizeof words, "%Y-%m-%d %H:%M:%S UTC", &tm))
        buf_adds(out, words);
}

static void head(const struct scene *s, const struct verdict *v, struct buf *out)
{
    const struct scene_question *q = &s->question;
    const char *host = q->host ? q->host : q->name ? q->name : "";
    const char *class = v->word == VERDICT_OK ? "good" : v->way ? "warn" : "bad";
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                  "'unsafe-inline'\"/><title>");
    text(out, host);
    buf_printf(out, " port %d: %s</title><style>%s</style></head>\n<body><h1>Mail server ", q->port,
               verdict_word(v->word), style);
    text(out, host);
    buf_printf(out, ", port %d</h1>\n<p><span class=\"word %s\">%s</span> ", q->port, class, verdict_word(v->word));
    text(out, verdict_meaning(v->word));
    buf_adds(out, "</p>\n<dl><dt>Cause</dt>");
    element(out, "dd class=\"cause\"", v->cause);
    if (v->remedy) {
        buf_adds(out, "<dt>Remedy</dt>");
        element(out, "dd", v->remedy);
    }
    buf_adds(out, "<dt>Tried</dt><dd>");
    moment(out, s->now);
    buf_printf(out, ", in %" PRId64 ".%" PRId64 " seconds</dd></dl>\n", (int64_t)(s->took / USEC_PER_SEC),
               (int64_t)(s->took / 100000 % 10));
    if (v->config.n) {
        buf_adds(out, "<h2>Lines for the configuration</h2><pre>");
        for (size_t i = 0; i < v->config.n; i++) {
            text(out, v->config.v[i]);
            buf_addc(out, '\n');
        }
        buf_adds(out, "</pre>\n");
    }
    items(out, "Evidence", &v->evidence);
}

/* ---- the timeline ---- */

enum { ROW = 22, LEFT = 300, RIGHT = 150, WIDTH = 1000, BARS = WIDTH - LEFT - RIGHT };

static void rectangle(struct buf *out, double x, double y, double width, const char *fill, const char *title)
{
    buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"14\" fill=\"%s\"><title>", x, y,
               width < 1 ? 1 : width, fill);
    text(out, title);
    buf_adds(out, "</title></rect>");
}

static void label(struct buf *out, double x, double y, const char *s)
{
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\">", x, y);
    text(out, s);
    buf_adds(out, "</text>");
}

static void phases(const struct sight *v, double y, double scale, struct buf *out)
{
    double x = LEFT;
    struct buf title = BUF_INIT;
    for (size_t i = 0; sight_is_open(v) && i < v->n_phases && i < SIGHT_PHASES; i++) {
        const struct diagnose_phase *p = diagnose_phase_of(v->phases[i].stage);
        if (!p)
            continue;
        buf_reset(&title);
        buf_printf(&title, "%s %.1f ms", p->name, (double)v->phases[i].us / 1000);
        rectangle(out, x, y, (double)v->phases[i].us * scale, p->fill, title.data);
        x += (double)v->phases[i].us * scale;
    }
    const double width = (double)v->took * scale;
    if (x <= LEFT && v->done)
        rectangle(out, LEFT, y, width > BARS ? BARS : width, v->reach == REACH_OPEN ? "#1e88e5" : "#bdbdbd",
                  v->reach == REACH_OPEN ? "connect" : "waited");
    buf_free(&title);
}

static void timeline(const struct scene *s, struct buf *out)
{
    const double scale = (double)BARS / (double)diagnose_longest(s);
    struct buf words = BUF_INIT;
    buf_printf(out,
               "<h2>Time of each phase</h2><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" "
               "font-size=\"13\" "
               "font-family=\"system-ui,sans-serif\" role=\"img\" aria-label=\"time of each phase\">",
               WIDTH, (s->n_sights + 2) * ROW);
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        const double y = (double)i * ROW;
        buf_reset(&words);
        buf_printf(&words, "%s port %d%s",
                   v->address ? v->address
                   : v->host  ? v->host
                              : "",
                   v->port, v->crossed ? " (other TLS)" : "");
        label(out, 0, y + 14, words.data);
        phases(v, y + 3, scale, out);
        buf_reset(&words);
        diagnose_outcome(s, v, &words);
        label(out, WIDTH - RIGHT + 8, y + 14, words.data);
    }
    double x = LEFT;
    for (const struct diagnose_phase *p = diagnose_phases; p->letter; p++, x += 90) {
        rectangle(out, x, (double)(s->n_sights + 1) * ROW - 4, 12, p->fill, p->name);
        label(out, x + 16, (double)(s->n_sights + 1) * ROW + 8, p->name);
    }
    buf_adds(out, "</svg>\n");
    buf_free(&words);
}

/* ---- the paths ---- */

static const char *rung_fill(const struct ladder_rung *r)
{
    switch (r->outcome) {
    case REACH_OPEN:
        return "#2e7d32";
    case REACH_EXPIRED:
        return "#1e88e5";
    case REACH_SILENT:
        return "#bdbdbd";
    default:
        return "#c62828";
    }
}

static void path(const struct scene_ladder *l, double y, double step, struct buf *out)
{
    const int n = l->n < LADDER_MAX ? l->n : LADDER_MAX;
    struct buf words = BUF_INIT;
    buf_printf(&words, "port %d of %s", l->port, l->address ? l->address : "");
    label(out, 0, y + 5, words.data);
    for (int i = 0; i < n; i++) {
        const struct ladder_rung *r = &l->rungs[i];
        const double x = LEFT + step * i;
        buf_printf(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#9e9e9e\"%s/>",
                   i ? x - step + 9 : x - 25, y, x - 9, y,
                   r->outcome == REACH_SILENT ? " stroke-dasharray=\"3 3\"" : "");
        buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"9\" fill=\"%s\"><title>hop %d: %s ", x, y, rung_fill(r),
                   i + 1, reach_word(r->outcome));
        text(out, r->icmp.known ? r->icmp.from : "");
        buf_printf(out,
                   "</title></circle><text x=\"%.1f\" y=\"%.1f\" fill=\"#fff\" font-size=\"10\" "
                   "text-anchor=\"middle\">%d</text>",
                   x, y + 3.5, i + 1);
    }
    buf_free(&words);
}

static void paths(const struct scene *s, struct buf *out)
{
    int longest = 10;
    if (!s->n_ladders)
        return;
    for (size_t i = 0; i < s->n_ladders; i++)
        longest = s->ladders[i].n > longest ? s->ladders[i].n : longest;
    buf_printf(
        out,
        "<h2>How far packets get</h2><p>One attempt to connect for each hop; blue: a router says that the packet "
        "came by, "
        "green: it connects, grey: nothing comes back, red: it is refused. A silent hop alone proves nothing.</p>"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" font-size=\"13\" "
        "font-family=\"system-ui,sans-serif\" "
        "role=\"img\" aria-label=\"how far packets get\">",
        WIDTH, s->n_ladders * 30 + 10);
    for (size_t i = 0; i < s->n_ladders; i++)
        path(&s->ladders[i], (double)i * 30 + 16, (double)(WIDTH - LEFT - 20) / longest, out);
    buf_adds(out, "</svg>\n<table><tr><th>Port</th><th>Hop</th><th>Outcome</th><th>From</th><th>After</th></tr>\n");
    for (size_t i = 0; i < s->n_ladders; i++)
        for (int k = 0; k < s->ladders[i].n && k < LADDER_MAX; k++) {
            const struct ladder_rung *r = &s->ladders[i].rungs[k];
            buf_printf(out, "<tr><td>%d</td><td>%d</td><td>%s</td><td>", s->ladders[i].port, k + 1,
                       reach_word(r->outcome));
            text(out, r->icmp.known ? r->icmp.from : r->udp_router);
            buf_printf(out, "</td><td>%.1f ms</td></tr>\n", (double)r->took / 1000);
        }
    buf_adds(out, "</table>\n");
}

/* ---- all that was seen ---- */

static void said(const struct sight *v, struct buf *out)
{
    const struct strlist *const lists[] = { &v->ehlo, &v->ehlo_tls };
    text(out, v->heard);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < lists[i]->n; k++) {
            buf_adds(out, k == 0 && i == 1 ? "<br/>under TLS:<br/>" : "<br/>");
            text(out, lists[i]->v[k]);
        }
    if (v->tls.subject) {
        buf_adds(out, "<br/>certificate: ");
        text(out, v->tls.subject);
        buf_adds(out, ", issued by ");
        text(out, v->tls.issuer);
    }
    if (err_is_set(&v->err)) {
        buf_adds(out, v->heard ? "<br/>" : "");
        text(out, v->err.text);
    }
}

static void sights(const struct scene *s, struct buf *out)
{
    struct buf words = BUF_INIT;
    buf_adds(out,
             "<h2>Every attempt</h2><table><tr><th>Address</th><th>Port</th><th>Outcome</th><th>Said</th></tr>\n");
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        buf_reset(&words);
        verdict_describe(s, v, &words);
        buf_adds(out, "<tr><td>");
        text(out, v->address ? v->address : v->host);
        buf_printf(out, "</td><td>%d</td><td>", v->port);
        text(out, words.data);
        buf_adds(out, "</td><td class=\"said\">");
        said(v, out);
        buf_adds(out, "</td></tr>\n");
    }
    buf_adds(out, "</table>\n");
    buf_free(&words);
}

static void names(const struct scene *s, struct buf *out)
{
    static const char *const kinds[] = { "IPv4", "IPv6" };
    const struct lookup *const lookups[] = { &s->names.v4, &s->names.v6 };
    if (!s->names.v4.name && !s->names.v6.name)
        return;
    buf_adds(out, "<h2>Names</h2><table><tr><th>Name</th><th>Kind</th><th>Outcome</th><th>Addresses</th></tr>\n");
    for (int i = 0; i < 2; i++) {
        const struct lookup *l = lookups[i];
        if (l->outcome == LOOKUP_NOT_ASKED)
            continue;
        buf_adds(out, "<tr><td>");
        text(out, l->name);
        buf_printf(out, "</td><td>%s</td><td>%s</td><td>", kinds[i], scene_lookup_word(l->outcome));
        for (size_t k = 0; k < l->addresses.n; k++) {
            buf_adds(out, k ? ", " : "");
            text(out, l->addresses.v[k]);
        }
        buf_adds(out, "</td></tr>\n");
    }
    buf_adds(out, "</table>\n");
}

void diagnose_html(const struct scene *s, const struct verdict *v, struct buf *out)
{
    head(s, v, out);
    timeline(s, out);
    paths(s, out);
    names(s, out);
    sights(s, out);
    items(out, "Not tried", &s->notes);
    buf_adds(out, "<footer>Made by envoi diagnose. No mail and no password was sent. Addresses and names of this "
                  "network are in it.</footer>"
                  "</body></html>\n");
}
