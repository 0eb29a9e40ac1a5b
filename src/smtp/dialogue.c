/* dialogue: reads the dialogue format. It must not know what the lines mean to a client or a server. */
#include "smtp/dialogue.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/codec.h"

static void add(struct dialogue *d, enum dialogue_kind kind, int number, char *word, const char *text)
{
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 32;
        d->v = xrealloc(d->v, d->cap * sizeof *d->v);
    }
    d->v[d->n++] = (struct dialogue_line){ .kind = kind, .number = number, .text = xstrdup(text), .word = word };
}

static void add_note(struct dialogue *d, int number, const char *text)
{
    if (text[0] != '@' || !ascii_isalpha(text[1])) {
        add(d, DIALOGUE_NOTE, number, NULL, text);
        return;
    }
    size_t n = strcspn(text + 1, " \t");
    const char *argument = text + 1 + n;
    add(d, DIALOGUE_DIRECTIVE, number, xstrndup(text + 1, n), argument + strspn(argument, " \t"));
}

/* Behind the prefix of `skip` octets one blank belongs to it. */
static const char *behind(const char *line, size_t skip)
{
    return line + skip + (line[skip] == ' ');
}

static bool stray(const char *name, int number, const char *line, struct err *e)
{
    err_set(e, FAULT_CONFIG, "%s:%d: '%.60s' is no line of a dialogue", name, number, line);
    return err_hint(e, "a line begins with 'C: ' (client), 'S: ' (server) or '# ' (anything else)");
}

static bool parse_line(struct dialogue *d, const char *name, int number, const char *line, bool plain, struct err *e)
{
    if (strncmp(line, "C:", 2) == 0)
        add(d, DIALOGUE_CLIENT, number, NULL, behind(line, 2));
    else if (strncmp(line, "S:", 2) == 0)
        add(d, DIALOGUE_SERVER, number, NULL, behind(line, 2));
    else if (line[0] == '#')
        add_note(d, number, behind(line, 1));
    else if (plain)
        add(d, DIALOGUE_CLIENT, number, NULL, line);
    else if (line[strspn(line, " \t")] != '\0')
        return stray(name, number, line, e);
    return true;
}

bool dialogue_parse(struct dialogue *d, const char *name, const char *text, size_t n, bool plain, struct err *e)
{
    const char *end = text + n;

    for (int number = 1; text < end; number++) {
        const char *lf = memchr(text, '\n', (size_t)(end - text));
        const char *next = lf ? lf + 1 : end;
        size_t len = (size_t)((lf ? lf : end) - text);
        if (len > 0 && text[len - 1] == '\r')
            len--;
        if (!ascii_line_safe(text, len)) {
            err_set(e, FAULT_CONFIG, "%s:%d: a CR or NUL inside the line", name, number);
            return err_hint(e, "write it as \\r or \\0 in a '# @raw \"…\"' line");
        }
        char *line = xstrndup(text, len);
        bool ok = parse_line(d, name, number, line, plain, e);
        free(line);
        if (!ok)
            return false;
        text = next;
    }
    return true;
}

void dialogue_free(struct dialogue *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].text);
        free(d->v[i].word);
    }
    free(d->v);
    *d = (struct dialogue)DIALOGUE_INIT;
}

/* Undoes the escape at *p, the octet behind the backslash, and moves on behind it. */
static bool unescape(const char **p, struct buf *out, struct err *e)
{
    static const char from[] = "rnt0\\\"", to[] = "\r\n\t\0\\\"";
    const char *at = **p != '\0' ? strchr(from, **p) : NULL;

    if (at) {
        buf_addc(out, to[at - from]);
        ++*p;
        return true;
    }
    if (**p == 'x' && (*p)[1] != '\0' && (*p)[2] != '\0' && hex_decode(out, *p + 1, 2)) {
        *p += 3;
        return true;
    }
    err_set(e, FAULT_CONFIG, "'\\%.1s' is no escape", *p);
    return err_hint(e, "there are \\r \\n \\t \\0 \\\\ \\\" and \\xHH");
}

bool dialogue_unquote(const char *text, struct buf *out, struct err *e)
{
    if (text[0] != '"') {
        buf_adds(out, text);
        return true;
    }
    for (text++; *text != '"';) {
        if (*text == '\0')
            return err_set(e, FAULT_CONFIG, "the closing '\"' is missing");
        if (*text != '\\') {
            buf_addc(out, *text++);
            continue;
        }
        text++;
        if (!unescape(&text, out, e))
            return false;
    }
    if (text[1 + strspn(text + 1, " \t")] != '\0')
        return err_set(e, FAULT_CONFIG, "text behind the closing '\"'");
    return true;
}
