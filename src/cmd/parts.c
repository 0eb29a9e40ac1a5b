/* parts: words into struct compose_part. Knows no option table: who calls has the words in their order. */
#include "cmd/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"

void parts_free(struct parts *p)
{
    strlist_free(&p->kept);
    free(p->v);
    *p = (struct parts)PARTS_INIT;
}

static const char *keep(struct parts *p, const char *text, size_t n)
{
    strlist_addn(&p->kept, text, n);
    return p->kept.v[p->kept.n - 1];
}

static struct compose_part *add(struct parts *p, enum compose_role role)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 8;
        p->v = xrealloc(p->v, p->cap * sizeof *p->v);
    }
    p->v[p->n] = (struct compose_part){ .role = role };
    return &p->v[p->n++];
}

void parts_add_text(struct parts *p, enum compose_role role, const char *text, size_t n)
{
    char *copy = memcpy(xmalloc(n + 1), text, n);
    copy[n] = '\0';
    strlist_add_own(&p->kept, copy);
    struct compose_part *part = add(p, role);
    part->text = copy;
    part->text_n = n;
}

/* TEXT, @FILE or -; where no text is meant, FILE. */
static void set_content(struct parts *p, struct compose_part *part, const char *value, bool text)
{
    const char *kept = keep(p, value, strlen(value));
    if (strcmp(kept, "-") == 0) {
        part->path = kept;
    } else if (kept[0] == '@' && !(text && kept[1] == '@')) {
        part->path = kept + 1;
    } else if (!text) {
        part->path = kept;
    } else {
        part->text = kept + (kept[0] == '@');
        part->text_n = strlen(part->text);
    }
}

static void set_words(struct parts *p, struct compose_part *part)
{
    bool body = part->role == COMPOSE_BODY;
    part->type = p->type;
    part->name = body ? NULL : p->name;
    part->content_id = p->id;
    part->charset = p->charset;
    p->name = p->id = p->charset = NULL;
    p->type_used = true;
    if (body)
        p->type = NULL;
}

/* ---- words ---- */

static void say_body(struct parts *p, const char *value)
{
    struct compose_part body = { .role = COMPOSE_BODY, .charset = p->charset };
    p->charset = NULL;
    set_content(p, &body, value, true);
    if (p->body_said) {
        p->v[0] = body;
        return;
    }
    p->body_said = true;
    struct compose_part *first = add(p, COMPOSE_BODY);
    memmove(p->v + 1, p->v, (size_t)(first - p->v) * sizeof *p->v);
    p->v[0] = body;
}

static void say_attach_body(struct parts *p, const char *value)
{
    struct compose_part *part = add(p, COMPOSE_BODY);
    set_content(p, part, value, true);
    set_words(p, part);
}

static void say_attach(struct parts *p, const char *value)
{
    struct compose_part *part = add(p, COMPOSE_ATTACHMENT);
    set_content(p, part, value, p->attach_text);
    set_words(p, part);
}

/* An HTML body says <img src="cid:logo.png">. */
static const char *id_of(struct parts *p, const struct compose_part *part)
{
    const char *name = part->name ? part->name : part->path ? part->path : "", *slash = strrchr(name, '/');
    char *id = xstrdup(slash ? slash + 1 : name), *to = id;
    for (const char *from = id; *from; from++)
        if (ascii_isalnum(*from) || strchr("-._@+", *from))
            *to++ = *from;
    *to = '\0';
    strlist_add_own(&p->kept, id);
    return *id ? id : NULL;
}

static void say_attach_inline(struct parts *p, const char *value)
{
    struct compose_part *part = add(p, COMPOSE_INLINE);
    set_content(p, part, value, p->attach_text);
    set_words(p, part);
    if (!part->content_id)
        part->content_id = id_of(p, part);
}

static void say_type(struct parts *p, const char *value)
{
    p->type = *value ? keep(p, value, strlen(value)) : NULL;
    p->type_used = false;
}

static void say_name(struct parts *p, const char *value)
{
    p->name = keep(p, value, strlen(value));
}

static void say_id(struct parts *p, const char *value)
{
    size_t n = strlen(value);
    bool bracketed = n > 1 && value[0] == '<' && value[n - 1] == '>';
    p->id = bracketed ? keep(p, value + 1, n - 2) : keep(p, value, n);
}

static void say_charset(struct parts *p, const char *value)
{
    p->charset = keep(p, value, strlen(value));
}

static const struct {
    const char *word;
    void (*say)(struct parts *p, const char *value);
    bool empty_ok;
} words[] = {
    { "body", say_body, true },
    { "attach", say_attach, false },
    { "attach_body", say_attach_body, true },
    { "attach_inline", say_attach_inline, false },
    { "attach_type", say_type, true },
    { "attach_name", say_name, true },
    { "attach_id", say_id, false },
    { "attach_charset", say_charset, false },
};

static bool same_word(const char *a, const char *b)
{
    while (*a && (*a == '-' ? '_' : *a) == *b)
        a++, b++;
    return *a == *b;
}

bool parts_say(struct parts *p, const char *word, const char *value, struct err *e)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!same_word(word, words[i].word))
            continue;
        if ((!value || !*value) && !words[i].empty_ok && !p->attach_text)
            return err_set(e, FAULT_USAGE, "'%s' needs a value", word);
        words[i].say(p, value ? value : "");
        return true;
    }
    return err_set(e, FAULT_USAGE, "'%s' is no word for a part", word);
}

bool parts_has_body(const struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].role == COMPOSE_BODY)
            return true;
    return false;
}

bool parts_reads_stdin(const struct parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].path && strcmp(p->v[i].path, "-") == 0)
            return true;
    return false;
}

const char *parts_unused(const struct parts *p)
{
    if (p->name)
        return "attach-name";
    if (p->id)
        return "attach-id";
    if (p->charset)
        return "attach-charset";
    return p->type && !p->type_used ? "attach-type" : NULL;
}
