/* json: writing JSON (RFC 8259), and just enough reading for a failed OAuth answer. */
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

#include "base/ascii.h"

/* The short escapes of RFC 8259 7: each letter stands for the octet above it. */
static const char escaped[] = "\"\\/\b\f\n\r\t";
static const char letters[] = "\"\\/bfnrt";

/* How many octets from s on stand for themselves. */
static size_t plain(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

static void quote(struct buf *out, const char *s, size_t n)
{
    buf_addc(out, '"');
    for (;;) {
        size_t run = plain(s, n);
        buf_add(out, s, run);
        s += run;
        n -= run;
        if (!n)
            break;
        size_t len = utf8_sequence(s, n);
        unsigned char c = (unsigned char)*s;
        const char *e = c && c != '/' ? strchr(escaped, c) : NULL;
        if (!len)
            buf_adds(out, "\xef\xbf\xbd");
        else if (e)
            buf_printf(out, "\\%c", letters[e - escaped]);
        else if (c < ' ' || c == 0x7f)
            buf_printf(out, "\\u%04x", c);
        else if (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0) /* C1: terminals act on it */
            buf_printf(out, "\\u%04x", (unsigned char)s[1]);
        else
            buf_add(out, s, len);
        len = len ? len : 1;
        s += len;
        n -= len;
    }
    buf_addc(out, '"');
}

static void name_of(struct json *j, const char *name)
{
    if (j->comma)
        buf_addc(j->out, ',');
    j->comma = true;
    if (!name)
        return;
    quote(j->out, name, strlen(name));
    buf_addc(j->out, ':');
}

static void begin(struct json *j, const char *name, char bracket)
{
    name_of(j, name);
    buf_addc(j->out, bracket);
    j->comma = false;
}

static void end(struct json *j, char bracket)
{
    buf_addc(j->out, bracket);
    j->comma = true;
}

void json_begin_object(struct json *j, const char *name)
{
    begin(j, name, '{');
}

void json_end_object(struct json *j)
{
    end(j, '}');
}

void json_begin_array(struct json *j, const char *name)
{
    begin(j, name, '[');
}

void json_end_array(struct json *j)
{
    end(j, ']');
}

void json_string(struct json *j, const char *name, const char *s)
{
    if (s)
        json_string_n(j, name, s, strlen(s));
    else
        json_null(j, name);
}

void json_string_if(struct json *j, const char *name, const char *s)
{
    if (s)
        json_string(j, name, s);
}

void json_string_n(struct json *j, const char *name, const char *s, size_t n)
{
    name_of(j, name);
    quote(j->out, s, n);
}

void json_int(struct json *j, const char *name, int64_t value)
{
    name_of(j, name);
    buf_printf(j->out, "%" PRId64, value);
}

void json_seconds(struct json *j, const char *name, int64_t microseconds)
{
    name_of(j, name);
    uint64_t u = microseconds < 0 ? -(uint64_t)microseconds : (uint64_t)microseconds;
    buf_printf(j->out, "%s%" PRIu64 ".%06" PRIu64, microseconds < 0 ? "-" : "", u / 1000000, u % 1000000);
}

void json_bool(struct json *j, const char *name, bool value)
{
    name_of(j, name);
    buf_adds(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *name)
{
    name_of(j, name);
    buf_adds(j->out, "null");
}

void json_list(struct json *j, const char *name, const struct strlist *l)
{
    json_begin_array(j, name);
    for (size_t i = 0; i < l->n; i++)
        json_string(j, NULL, l->v[i]);
    json_end_array(j);
}

/* A cursor over the text; *p never passes end. */
struct cursor {
    const char *p;
    const char *end;
};

static char skip_space(struct cursor *c)
{
    while (c->p < c->end && (ascii_isblank(*c->p) || *c->p == '\n' || *c->p == '\r'))
        c->p++;
    return c->p < c->end ? *c->p : '\0';
}

static bool take(struct cursor *c, char wanted)
{
    if (skip_space(c) != wanted)
        return false;
    c->p++;
    return true;
}

/* The code unit of four hex digits, -1 when they are none. */
static int take_unit(struct cursor *c)
{
    static const char digits[] = "0123456789abcdef";
    int v = 0;
    if (c->end - c->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *digit = memchr(digits, ascii_lower(*c->p++), 16);
        if (!digit)
            return -1;
        v = v << 4 | (int)(digit - digits);
    }
    return v;
}

static void add_utf8(struct buf *out, unsigned c)
{
    if (c < ' ' || (c >= 0x7f && c < 0xa0)) {
        buf_addc(out, '?');
    } else if (c < 0x80) {
        buf_addc(out, (char)c);
    } else if (c < 0x800) {
        buf_addc(out, (char)(0xc0 | c >> 6));
        buf_addc(out, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c < 0x10000) {
            buf_addc(out, (char)(0xe0 | c >> 12));
        } else {
            buf_addc(out, (char)(0xf0 | c >> 18));
            buf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        buf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_addc(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* What follows the backslash. */
static bool take_escape(struct cursor *c, struct buf *out)
{
    char letter = c->p < c->end ? *c->p++ : '\0';
    if (letter != 'u') {
        const char *e = letter ? strchr(letters, letter) : NULL;
        if (e)
            add_utf8(out, (unsigned char)escaped[e - letters]);
        return e != NULL;
    }
    int unit = take_unit(c);
    bool high = unit >= 0xd800 && unit < 0xdc00;
    if (unit < 0 || (unit >= 0xdc00 && unit < 0xe000))
        return false;
    if (!high) {
        add_utf8(out, (unsigned)unit);
        return true;
    }
    if (c->end - c->p < 2 || c->p[0] != '\\' || c->p[1] != 'u')
        return false;
    c->p += 2;
    int low = take_unit(c);
    if (low < 0xdc00 || low >= 0xe000)
        return false;
    add_utf8(out, 0x10000 + (((unsigned)unit & 0x3ff) << 10 | ((unsigned)low & 0x3ff)));
    return true;
}

static bool take_string(struct cursor *c, struct buf *out)
{
    if (!take(c, '"'))
        return false;
    while (c->p < c->end && *c->p != '"') {
        size_t len = utf8_sequence(c->p, (size_t)(c->end - c->p));
        if (*c->p == '\\') {
            c->p++;
            if (!take_escape(c, out))
                return false;
        } else if (len == 1 || (len == 2 && (unsigned char)*c->p == 0xc2)) {
            add_utf8(out, (unsigned char)c->p[len - 1]); /* below U+0100 the last octet is the character */
            c->p += len;
        } else if (len) {
            buf_add(out, c->p, len);
            c->p += len;
        } else {
            return false;
        }
    }
    return take(c, '"');
}

/* A number, true, false or null, as it stands. */
static bool take_word(struct cursor *c, struct buf *out)
{
    const char *start = c->p;
    while (c->p < c->end && (ascii_isalnum(*c->p) || *c->p == '-' || *c->p == '+' || *c->p == '.'))
        c->p++;
    buf_add(out, start, (size_t)(c->p - start));
    return c->p > start;
}

bool json_member(const char *text, size_t n, const char *name, struct buf *out)
{
    struct cursor c = { text, text + n };
    struct buf key = BUF_INIT, value = BUF_SECRET_INIT; /* it may be a token */
    bool found = false, ok = take(&c, '{');
    while (ok && !found) {
        buf_reset(&key);
        buf_reset(&value);
        ok = take_string(&c, &key) && take(&c, ':');
        ok = ok && (skip_space(&c) == '"' ? take_string(&c, &value) : take_word(&c, &value));
        found = ok && strcmp(key.data, name) == 0 && (take(&c, ',') || take(&c, '}'));
        ok = ok && (found || take(&c, ','));
    }
    if (found)
        buf_addbuf(out, &value);
    buf_free(&key);
    buf_free(&value);
    return found;
}
