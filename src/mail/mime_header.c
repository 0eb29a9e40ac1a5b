/* mime_header: writes fields and parameters. Whatever comes in, no control octet goes out but the CRLF of a fold. */
#include "mail/mime_header.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "mail/address.h"
#include "mail/media.h"

enum { FOLD_COLUMN = 78, WORD_MAX = 900, QUOTED_MAX = 200, PIECE = 60 };

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 127;
}

static char *without_controls(const char *value, char instead)
{
    char *clean = xstrdup(value);
    for (char *p = clean; *p; p++)
        if (is_control(*p))
            *p = instead;
    return clean;
}

static size_t column(const struct buf *out)
{
    size_t at = out->len;
    while (at > 0 && out->data[at - 1] != '\n')
        at--;
    return out->len - at;
}

/* Blanks and the word behind them are one piece, as in header.c; a line of blanks alone is none. */
static void add_folded(struct buf *out, const char *text)
{
    for (bool first = true; *text; first = false) {
        size_t len = strspn(text, " ");
        len += strcspn(text + len, " ");
        if (!first && column(out) + len > FOLD_COLUMN && strspn(text, " ") < len)
            buf_adds(out, "\r\n");
        buf_add(out, text, len);
        text += len;
    }
}

/* ---- unstructured ---- */

/* What would not arrive as it is: octets above 127, what looks like an encoded word, what is too long for a line. */
static bool needs_encoding(const char *word, size_t n)
{
    return !ascii_only(word, n) || memmem(word, n, "=?", 2) || n > WORD_MAX;
}

/* The octets from the first word that needs encoding to the last of those that follow each other, their blanks
 * included. */
static size_t run_length(const char *text)
{
    size_t n = 0;
    for (size_t at = 0; text[at];) {
        size_t len = strcspn(text + at, " ");
        if (!needs_encoding(text + at, len))
            break;
        n = at + len;
        at = n + strspn(text + n, " ");
    }
    return n;
}

static void encode_words(struct buf *out, const char *text)
{
    while (*text) {
        size_t len = run_length(text);
        if (len > 0) {
            encoded_word_encode(out, text, len);
        } else {
            len = strcspn(text, " ");
            buf_add(out, text, len);
        }
        text += len;
        len = strspn(text, " ");
        buf_add(out, text, len);
        text += len;
    }
}

/* ---- addresses ---- */

static bool has_addresses(const char *name)
{
    static const char *const names[] = { "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Mail-Followup-To",
                                         "Disposition-Notification-To" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ascii_ieq(name, names[i]))
            return true;
    return false;
}

static bool all_words_fit(const char *text, size_t most)
{
    bool fit = ascii_only(text, strlen(text));
    for (size_t len; fit && *text; text += len + (text[len] == ' ')) {
        len = strcspn(text, " ");
        fit = len <= most;
    }
    return fit;
}

/* What is ASCII and can be folded stays as it is, groups and all. */
static bool write_addresses(struct buf *out, const char *text)
{
    struct mailbox_list list = MAILBOX_LIST_INIT;
    struct err ignored = ERR_INIT;
    if (all_words_fit(text, FOLD_COLUMN)) {
        buf_adds(out, text);
        return true;
    }
    bool ok = address_list_parse(&list, text, strlen(text), &ignored) && list.n > 0;
    for (size_t i = 0; ok && i < list.n; i++) {
        buf_adds(out, i ? ", " : "");
        mailbox_format(out, list.v[i].name, list.v[i].address);
    }
    err_clear(&ignored);
    for (const char *p = out->data; ok && *p; p += strspn(p, " ")) {
        ok = strcspn(p, " ") <= WORD_MAX;
        p += strcspn(p, " ");
    }
    mailbox_list_free(&list);
    return ok;
}

void mime_header(struct buf *out, const char *name, const char *value)
{
    struct buf text = BUF_INIT;
    char *clean = without_controls(value, ' ');
    const char *from = clean + strspn(clean, " ");
    if (!has_addresses(name) || !write_addresses(&text, from)) {
        buf_reset(&text);
        encode_words(&text, from);
    }
    buf_trim(&text);
    buf_printf(out, "%s: ", name);
    add_folded(out, text.data);
    buf_adds(out, "\r\n");
    buf_free(&text);
    free(clean);
}

/* ---- parameters ---- */

static void add_parameter(struct buf *out, const struct buf *whole)
{
    buf_adds(out, column(out) + 2 + whole->len > FOLD_COLUMN ? ";\r\n " : "; ");
    buf_addbuf(out, whole);
}

static void add_plain(struct buf *out, const char *name, const char *value)
{
    struct buf whole = BUF_INIT;
    bool token = media_token(value, strlen(value)) && strcmp(name, "filename") != 0; /* whose value everybody quotes */
    buf_printf(&whole, token ? "%s=" : "%s=\"", name);
    for (const char *p = value; *p; p++) {
        if (!token && (*p == '"' || *p == '\\'))
            buf_addc(&whole, '\\');
        buf_addc(&whole, *p);
    }
    buf_adds(&whole, token ? "" : "\"");
    add_parameter(out, &whole);
    buf_free(&whole);
}

/* RFC 2231 4 and 3: name*=UTF-8''%C3%A9, name*0*=…; name*1*=… */
static void add_encoded(struct buf *out, const char *name, const char *value)
{
    struct buf text = BUF_INIT, whole = BUF_INIT;
    buf_printf(&text, "%s''", utf8_valid(value, strlen(value)) ? "UTF-8" : "ISO-8859-1");
    for (const char *p = value; *p; p++)
        if (ascii_isalnum(*p) || strchr("-._~", *p))
            buf_addc(&text, *p);
        else
            buf_printf(&text, "%%%02X", (unsigned char)*p);
    bool pieces = text.len > PIECE;
    int i = 0;
    for (size_t at = 0, n; at < text.len; at += n) {
        n = text.len - at < PIECE ? text.len - at : PIECE;
        if (at + n < text.len) /* not within a %XX */
            n -= text.data[at + n - 1] == '%' ? 1 : text.data[at + n - 2] == '%' ? 2 : 0;
        buf_reset(&whole);
        buf_adds(&whole, name);
        if (pieces)
            buf_printf(&whole, "*%d", i++);
        buf_adds(&whole, "*=");
        buf_add(&whole, text.data + at, n);
        add_parameter(out, &whole);
    }
    buf_free(&text);
    buf_free(&whole);
}

void mime_parameter(struct buf *out, const char *name, const char *value)
{
    char *clean = without_controls(value, '_');
    size_t n = strlen(clean);
    if (ascii_only(clean, n) && n <= QUOTED_MAX)
        add_plain(out, name, clean);
    else
        add_encoded(out, name, clean);
    free(clean);
}
