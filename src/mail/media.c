/* media: the table of types, the one of the system behind it, and how a type is written. */
#include "mail/media.h"

#include <string.h>

#include "base/ascii.h"
#include "base/file.h"

enum { TABLE_MAX = 4 << 20, WORDS_MAX = 500 /* a field that is not folded fits a line with it */ };

/* What people send, so that the table of the system is seldom needed. */
static const struct { const char *suffix, *type; } known[] = {
    { "txt", "text/plain" },            { "log", "text/plain" },            { "md", "text/markdown" },
    { "html", "text/html" },            { "htm", "text/html" },             { "css", "text/css" },
    { "csv", "text/csv" },              { "ics", "text/calendar" },         { "vcf", "text/vcard" },
    { "patch", "text/x-diff" },         { "diff", "text/x-diff" },          { "xml", "application/xml" },
    { "json", "application/json" },     { "pdf", "application/pdf" },       { "zip", "application/zip" },
    { "gz", "application/gzip" },       { "tgz", "application/gzip" },      { "xz", "application/x-xz" },
    { "zst", "application/zstd" },      { "bz2", "application/x-bzip2" },   { "tar", "application/x-tar" },
    { "png", "image/png" },             { "jpg", "image/jpeg" },            { "jpeg", "image/jpeg" },
    { "gif", "image/gif" },             { "svg", "image/svg+xml" },         { "webp", "image/webp" },
    { "eml", "message/rfc822" },
};

/* The line "type suffix suffix …" that has the suffix. */
static bool by_line(const char *line, size_t n, const char *suffix, struct buf *out)
{
    static const char blanks[] = " \t\r";
    size_t len = strlen(suffix), type = 0;
    while (type < n && !strchr(blanks, line[type]))
        type++;
    for (size_t at = type, end; at < n; at = end) {
        while (at < n && strchr(blanks, line[at]))
            at++;
        for (end = at; end < n && !strchr(blanks, line[end]);)
            end++;
        if (end - at != len || !ascii_ieqn(line + at, suffix, len))
            continue;
        buf_add(out, line, type);
        return true;
    }
    return false;
}

static bool by_table(const char *suffix, struct buf *out)
{
    struct buf table = BUF_INIT;
    struct err ignored = ERR_INIT;
    bool found = false;
    if (file_read("/etc/mime.types", TABLE_MAX, &table, FAULT_NO_INPUT, &ignored))
        for (const char *line = table.data; *line && !found;) {
            size_t n = strcspn(line, "\n");
            found = *line != '#' && by_line(line, n, suffix, out);
            line += n + (line[n] == '\n');
        }
    err_clear(&ignored);
    buf_free(&table);
    return found;
}

bool media_by_name(const char *name, struct buf *out)
{
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || !dot[1])
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (ascii_ieq(dot + 1, known[i].suffix)) {
            buf_adds(out, known[i].type);
            return true;
        }
    size_t before = out->len;
    if (by_table(dot + 1, out) && media_valid(out->data + before))
        return true;
    buf_cut(out, before);
    return false;
}

static bool token_char(char c)
{
    return c > ' ' && c < 127 && !strchr("()<>@,;:\\\"/[]?=", c);
}

bool media_token(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!token_char(s[i]))
            return false;
    return n > 0 && n <= WORDS_MAX;
}

bool media_valid(const char *type)
{
    const char *slash = strchr(type, '/');
    if (!slash || !media_token(type, (size_t)(slash - type)) || !media_token(slash + 1, strcspn(slash + 1, "; ")))
        return false;
    const char *rest = slash + 1 + strcspn(slash + 1, "; ");
    for (const char *p = rest; *p; p++)
        if (*p < ' ' || *p > 126)
            return false;
    if (strlen(type) > WORDS_MAX)
        return false;
    rest += strspn(rest, " ");
    return !*rest || *rest == ';';
}

bool media_is(const char *type, const char *kind)
{
    size_t n = strlen(kind);
    return ascii_istarts(type, kind) && type[n] == '/';
}

bool media_has(const char *type, const char *parameter)
{
    size_t n = strlen(parameter);
    for (const char *p = strchr(type, ';'); p; p = strchr(p, ';')) {
        p++;
        p += strspn(p, " ");
        if (ascii_istarts(p, parameter) && p[n + strspn(p + n, " ")] == '=')
            return true;
    }
    return false;
}
