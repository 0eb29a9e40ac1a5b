/* sink_faults: --reject, --delay and --drop: which of them hold at a stage of a dialogue. Nothing is left to chance:
 * every nth time is counted over all connections, in the order in which they come by. */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "cmd/sink.h"
#include "conf/settings.h"

enum kind { REJECT, DELAY, DROP, KINDS };

static const struct {
    const char *option;
    const char *form;
} kinds[KINDS] = {
    [REJECT] = { "reject", "--reject=STAGE[=PATTERN]:CODE[:TEXT][:EVERY]" },
    [DELAY] = { "delay", "--delay=STAGE[=PATTERN]:SECONDS[:EVERY]" },
    [DROP] = { "drop", "--drop=STAGE[=PATTERN][:EVERY]" },
};

static const struct {
    const char *word;
    enum sink_stage stage;
} stages[] = {
    { "connect", SINK_AT_CONNECT }, { "ehlo", SINK_AT_EHLO }, { "helo", SINK_AT_EHLO }, { "lhlo", SINK_AT_EHLO },
    { "starttls", SINK_AT_STARTTLS }, { "auth", SINK_AT_AUTH }, { "mail", SINK_AT_MAIL }, { "rcpt", SINK_AT_RCPT },
    { "data", SINK_AT_DATA }, { "body", SINK_AT_BODY }, { "message", SINK_AT_MESSAGE }, { "dot", SINK_AT_MESSAGE },
    { "stored", SINK_AT_STORED }, { "rset", SINK_AT_RSET }, { "quit", SINK_AT_QUIT },
};

struct mishap {
    enum kind kind;
    enum sink_stage stage;
    char *pattern;      /* own or NULL: any */
    long long octets;   /* of the message, at SINK_AT_BODY */
    int code;
    char *text;         /* own */
    usec time;
    long long every;
    long long count;    /* how often it could have held */
};

struct faults {
    struct mishap *v;    /* own */
    size_t n;
};

/* ---- reading them ---- */

static bool take_stage(struct mishap *f, const char *text, size_t n, struct err *e)
{
    char *word = xstrndup(text, strcspn(text, "=:"));
    size_t length = strlen(word);

    for (size_t i = 0; i < sizeof stages / sizeof *stages && f->stage == SINK_AT_NOWHERE; i++)
        if (ascii_ieq(word, stages[i].word))
            f->stage = stages[i].stage;
    if (f->stage == SINK_AT_NOWHERE) {
        err_set(e, FAULT_USAGE, "'%s' is not a stage", word);
        err_hint(e, "the stages are connect, ehlo, starttls, auth, mail, rcpt, data, body, message, stored, rset, "
                    "quit");
    }
    free(word);
    if (length < n)
        f->pattern = xstrndup(text + length + 1, n - length - 1);
    if (err_is_set(e) || f->stage != SINK_AT_BODY)
        return !err_is_set(e);
    if (f->kind != DROP)
        return err_set(e, FAULT_USAGE, "within a message the line can only be dropped: --drop=body=OCTETS");
    if (f->pattern && !ascii_number(f->pattern, 0, INT64_MAX, &f->octets))
        return err_set(e, FAULT_USAGE, "'%s' is not a number of octets", f->pattern);
    return true;
}

/* The last part of text behind a colon, where it is a whole number; cut off. */
static bool take_every(struct mishap *f, struct buf *text)
{
    const char *colon = strrchr(text->data, ':');
    const char *number = colon ? colon + 1 : text->data;

    f->every = 1;
    if (!ascii_number(number, 1, INT64_MAX, &f->every))
        return false;
    buf_cut(text, (size_t)((colon ? colon : text->data) - text->data));
    return true;
}

static bool take_code(struct mishap *f, const char *part, size_t n, struct err *e)
{
    char *code = xstrndup(part, n);
    long long value = 0;

    if (ascii_number(code, 400, 599, &value))
        f->code = (int)value;
    else
        err_set(e, FAULT_USAGE, "'%s' is not a code from 400 to 599", code);
    free(code);
    return f->code;
}

static bool take_seconds(struct mishap *f, const char *part, size_t n, struct err *e)
{
    static const struct option row = { .name = "delay", .type = OPTION_SECONDS };
    char *seconds = xstrndup(part, n);
    union option_value value;
    bool ok = option_value(&row, seconds, &value, FAULT_USAGE, e);

    if (ok)
        f->time = value.time;
    free(seconds);
    return ok;
}

static const char *usual_text(int code)
{
    if (code == 421)
        return "4.3.2 closing the connection";
    return code < 500 ? "4.3.0 try again later" : "5.7.1 refused";
}

/* What stands behind the stage. */
static bool take_rest(struct mishap *f, const char *rest, struct err *e)
{
    struct buf text = BUF_INIT;
    size_t n = f->kind == DROP ? 0 : strcspn(rest, ":");
    const char *more = f->kind == DROP ? rest : rest + n + (rest[n] == ':');
    bool ok = f->kind == DROP || (f->kind == REJECT ? take_code(f, rest, n, e) : take_seconds(f, rest, n, e));

    f->every = 1;
    if (ok && *more) {
        buf_adds(&text, more);
        ok = take_every(f, &text) || f->kind == REJECT ||
             err_set(e, FAULT_USAGE, "'%s' is not a number of times", text.data);
    }
    if (ok && text.len == 0)
        buf_adds(&text, usual_text(f->code));
    if (ok && !ascii_line_safe(text.data, text.len))
        ok = err_set(e, FAULT_USAGE, "the text of a reply is one line");
    f->text = buf_steal(&text);
    return ok;
}

static bool add(struct faults *f, enum kind kind, const char *said, struct err *e)
{
    struct mishap one = { .kind = kind };
    size_t n = strcspn(said, ":");
    struct err why = ERR_INIT;

    bool ok = take_stage(&one, said, n, &why) && take_rest(&one, said[n] ? said + n + 1 : "", &why);
    f->v = xrealloc(f->v, (f->n + 1) * sizeof one);
    f->v[f->n++] = one;
    if (ok)
        return true;
    err_set(e, FAULT_USAGE, "'%s' cannot be '%s': %s", kinds[kind].option, said, why.text);
    err_hint(e, "%s", why.hint ? why.hint : kinds[kind].form);
    err_clear(&why);
    return false;
}

struct faults *faults_new(const struct settings *said, struct err *e)
{
    struct faults *f = xcalloc(1, sizeof *f);

    for (enum kind kind = 0; kind < KINDS; kind++) {
        const struct strlist *values = &settings_get(said, kinds[kind].option)->values;
        for (size_t i = 0; i < values->n; i++)
            if (!add(f, kind, values->v[i], e)) {
                faults_free(f);
                return NULL;
            }
    }
    return f;
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++) {
        free(f->v[i].pattern);
        free(f->v[i].text);
    }
    free(f->v);
    free(f);
}

/* ---- asking them ---- */

static bool concerns(const struct mishap *f, enum sink_stage stage, const char *const *about, size_t n)
{
    if (f->stage != stage)
        return false;
    if (!f->pattern || stage == SINK_AT_BODY)
        return true;
    for (size_t i = 0; i < n; i++)
        if (ascii_wildmatch(f->pattern, about[i]))
            return true;
    return false;
}

bool faults_any(const struct faults *f)
{
    return f->n > 0;
}

const char *faults_option(const struct faults *f, enum sink_stage stage)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].stage == stage)
            return kinds[f->v[i].kind].option;
    return NULL;
}

struct verdict faults_at(struct faults *f, enum sink_stage stage, const char *const *about, size_t n)
{
    struct verdict v = { .drop_at = -1 };

    for (size_t i = 0; i < f->n; i++) {
        struct mishap *one = &f->v[i];
        if (!concerns(one, stage, about, n) || ++one->count % one->every != 0)
            continue;
        if (one->kind == DELAY)
            v.delay += one->time;
        else if (one->kind == DROP && v.drop_at < 0)
            v.drop_at = one->octets;
        else if (one->kind == REJECT && !v.code)
            v.code = one->code, v.text = one->text;
    }
    return v;
}
