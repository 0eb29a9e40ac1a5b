/* diagnose_table: a diagnosis as text: the sentences, and the table for terminals. */
#include <inttypes.h>
#include <string.h>

#include "base/codec.h"
#include "cmd/diagnose.h"

const struct diagnose_phase diagnose_phases[] = {
    { STAGE_LOOKUP, 'd', "name", "45", "#7e57c2" },
    { STAGE_CONNECT, 'c', "connect", "44", "#1e88e5" },
    { STAGE_GREETING, 'g', "greeting", "42;30", "#43a047" },
    { STAGE_EHLO, 'e', "EHLO", "43;30", "#fbc02d" },
    { STAGE_STARTTLS, 's', "STARTTLS", "46;30", "#26c6da" },
    { STAGE_TLS, 't', "TLS", "41", "#e53935" },
    { STAGE_NONE, 0, NULL, NULL, NULL },
};

const struct diagnose_phase *diagnose_phase_of(enum stage stage)
{
    for (const struct diagnose_phase *p = diagnose_phases; p->letter; p++)
        if (p->stage == stage)
            return p;
    return NULL;
}

/* ---- the sentences ---- */

static void lines(const char *heading, const struct strlist *l, struct buf *out)
{
    if (l->n)
        buf_printf(out, "%s:\n", heading);
    for (size_t i = 0; i < l->n; i++)
        buf_printf(out, "    %s\n", l->v[i]);
}

void diagnose_text(const struct scene *s, const struct verdict *v, struct buf *out)
{
    const struct scene_question *q = &s->question;
    const char *host = q->host ? q->host : q->name ? q->name : "";
    visible_encode(out, host, strlen(host));
    if (q->port)
        buf_printf(out, " port %d", q->port);
    buf_printf(out, ": %s\n", verdict_word(v->word));
    if (v->cause)
        buf_printf(out, "cause: %s\n", v->cause);
    if (v->remedy)
        buf_printf(out, "remedy: %s\n", v->remedy);
    lines("configuration", &v->config, out);
    lines("evidence", &v->evidence, out);
}

/* ---- the table ---- */

enum { WIDTH_ADDRESS = 22, WIDTH_BAR = 18 };

/* Long addresses lose their middle. */
static void address(const char *text, struct buf *out)
{
    const int n = text ? (int)strlen(text) : 0;
    if (n <= WIDTH_ADDRESS)
        buf_printf(out, "%-*s", WIDTH_ADDRESS, text ? text : "");
    else
        buf_printf(out, "%.*s..%s", WIDTH_ADDRESS / 2, text, text + n - (WIDTH_ADDRESS - WIDTH_ADDRESS / 2 - 2));
}

void diagnose_outcome(const struct scene *s, const struct sight *v, struct buf *out)
{
    if (!v->done)
        buf_adds(out, "not waited for");
    else if (v->reach != REACH_OPEN)
        buf_adds(out, reach_word(v->reach));
    else if (scene_usable(s, v))
        buf_adds(out, "works");
    else if (v->closed_at_once)
        buf_adds(out, "closed at once");
    else if (err_is_set(&v->err))
        buf_printf(out, "%s: %s", stage_word(v->err.stage), fault_word(v->err.fault));
    else
        buf_adds(out, v->looked ? "open, not usable" : "open");
}

static usec total(const struct sight *v)
{
    usec sum = 0;
    for (size_t i = 0; i < v->n_phases && i < SIGHT_PHASES; i++)
        sum += diagnose_phase_of(v->phases[i].stage) ? v->phases[i].us : 0;
    return sum > 0 ? sum : v->took;
}

static int cells(usec us, usec longest)
{
    if (us >= longest)
        return WIDTH_BAR;
    int n = (int)(us * WIDTH_BAR / longest);
    return n < 1 ? 1 : n;
}

/* n cells of a letter, as far as there is room. */
static int cell(const struct diagnose_phase *p, int n, int room, bool colour, struct buf *out)
{
    n = n < room ? n : room;
    if (n <= 0)
        return 0;
    if (colour)
        buf_printf(out, "\033[%sm", p->colour);
    for (int i = 0; i < n; i++)
        buf_addc(out, p->letter);
    if (colour)
        buf_adds(out, "\033[0m");
    return n;
}

static void bar(const struct sight *v, usec longest, bool colour, struct buf *out)
{
    static const struct diagnose_phase waiting = { STAGE_CONNECT, '.', NULL, "2", NULL };
    int used = 0;
    for (size_t i = 0; sight_is_open(v) && i < v->n_phases && i < SIGHT_PHASES; i++) {
        const struct diagnose_phase *p = diagnose_phase_of(v->phases[i].stage);
        if (p)
            used += cell(p, cells(v->phases[i].us, longest), WIDTH_BAR - used, colour, out);
    }
    if (!used && v->done)
        used = cell(v->reach == REACH_OPEN ? diagnose_phase_of(STAGE_CONNECT) : &waiting, cells(v->took, longest),
                    WIDTH_BAR, colour, out);
    buf_printf(out, "%*s", WIDTH_BAR - used, "");
}

static void milliseconds(usec us, struct buf *out)
{
    buf_printf(out, "%6" PRId64 " ms  ", (int64_t)((us + 999) / 1000));
}

static void lookup_line(const struct lookup *l, const char *family, usec longest, bool colour, struct buf *out)
{
    if (l->outcome == LOOKUP_NOT_ASKED || l->outcome == LOOKUP_LITERAL)
        return;
    buf_adds(out, "  DNS ");
    address(family, out);
    buf_addc(out, ' ');
    int used = cell(diagnose_phase_of(STAGE_LOOKUP), cells(l->took, longest), WIDTH_BAR, colour, out);
    buf_printf(out, "%*s", WIDTH_BAR - used, "");
    milliseconds(l->took, out);
    buf_printf(out, "%s\n", scene_lookup_word(l->outcome));
}

/* What waited in vain does not make the others small. */
usec diagnose_longest(const struct scene *s)
{
    usec longest = 1;
    for (size_t i = 0; i < s->n_sights; i++)
        if (sight_is_open(&s->sights[i]) && total(&s->sights[i]) > longest)
            longest = total(&s->sights[i]);
    return longest;
}

void diagnose_table(const struct scene *s, bool colour, struct buf *out)
{
    const usec longest = diagnose_longest(s);
    lookup_line(&s->names.v4, "IPv4", longest, colour, out);
    lookup_line(&s->names.v6, "IPv6", longest, colour, out);
    for (size_t i = 0; i < s->n_sights; i++) {
        const struct sight *v = &s->sights[i];
        buf_printf(out, "%5d ", v->port);
        address(v->address ? v->address : v->host, out);
        buf_addc(out, ' ');
        bar(v, longest, colour, out);
        milliseconds(total(v), out);
        diagnose_outcome(s, v, out);
        buf_addc(out, '\n');
    }
    for (const struct diagnose_phase *p = diagnose_phases; p->letter; p++)
        buf_printf(out, "%s%c %s", p == diagnose_phases ? "      " : "  ", p->letter, p->name);
    buf_adds(out, "  . waiting\n\n");
}
