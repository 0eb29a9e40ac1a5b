/* transfer: 7bit and 8bit, quoted-printable, base64. Knows octets, not where they come from. */
#include "mail/transfer.h"

#include <string.h>

#include "base/ascii.h"

enum { QUOTED_COLUMNS = 75 }; /* and '=' */

/* Line ends become CRLF. */
static size_t encode_text(struct transfer_state *s, const char *p, size_t n, char *out)
{
    char *to = out;
    const char *end = p + n, *lf = NULL;
    if (n > 0 && s->cr && *p == '\n')
        p++;
    if (n > 0)
        s->cr = end[-1] == '\r';
    while (p < end) {
        if (!lf || lf < p)
            lf = memchr(p, '\n', (size_t)(end - p));
        if (!lf)
            lf = end;
        const char *cr = memchr(p, '\r', (size_t)(lf - p)), *stop = cr ? cr : lf;
        memcpy(to, p, (size_t)(stop - p));
        to += stop - p;
        if (stop == end)
            break;
        memcpy(to, "\r\n", 2);
        to += 2;
        p = stop + (cr && cr + 1 == lf && lf < end ? 2 : 1);
    }
    return (size_t)(to - out);
}

static char *put_quoted(struct transfer_state *s, char *to, char c, bool plain)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t width = plain ? 1 : 3;
    if (s->column + width > QUOTED_COLUMNS) {
        memcpy(to, "=\r\n", 3);
        to += 3;
        s->column = 0;
    }
    s->column += width;
    if (plain) {
        *to++ = c;
        return to;
    }
    *to++ = '=';
    *to++ = digits[(unsigned char)c >> 4];
    *to++ = digits[(unsigned char)c & 15];
    return to;
}

static size_t encode_quoted(struct transfer_state *s, const char *p, size_t n, bool last, char *out)
{
    char *to = out;
    for (const char *end = p + n; p < end; p++) {
        bool line_end = *p == '\r' || *p == '\n', second = *p == '\n' && s->cr;
        s->cr = *p == '\r';
        if (second)
            continue;
        if (s->blank)
            to = put_quoted(s, to, s->blank, !line_end);
        s->blank = ascii_isblank(*p) ? *p : '\0';
        if (line_end) {
            memcpy(to, "\r\n", 2);
            to += 2;
            s->column = 0;
        } else if (!s->blank) {
            to = put_quoted(s, to, *p, *p > ' ' && *p < 127 && *p != '=');
        }
    }
    if (last && s->blank)
        to = put_quoted(s, to, s->blank, false);
    return (size_t)(to - out);
}

/* Two digits for each twelve bits: half the look-ups, and half the stores. */
#define ROW(c) \
    c "A" c "B" c "C" c "D" c "E" c "F" c "G" c "H" c "I" c "J" c "K" c "L" c "M" c "N" c "O" c "P" c "Q" c "R" \
    c "S" c "T" c "U" c "V" c "W" c "X" c "Y" c "Z" c "a" c "b" c "c" c "d" c "e" c "f" c "g" c "h" c "i" c "j" \
    c "k" c "l" c "m" c "n" c "o" c "p" c "q" c "r" c "s" c "t" c "u" c "v" c "w" c "x" c "y" c "z" c "0" c "1" \
    c "2" c "3" c "4" c "5" c "6" c "7" c "8" c "9" c "+" c "/"
static const char base64_pairs[2 * 4096 + 1] =
    ROW("A") ROW("B") ROW("C") ROW("D") ROW("E") ROW("F") ROW("G") ROW("H") ROW("I") ROW("J") ROW("K") ROW("L")
    ROW("M") ROW("N") ROW("O") ROW("P") ROW("Q") ROW("R") ROW("S") ROW("T") ROW("U") ROW("V") ROW("W") ROW("X")
    ROW("Y") ROW("Z") ROW("a") ROW("b") ROW("c") ROW("d") ROW("e") ROW("f") ROW("g") ROW("h") ROW("i") ROW("j")
    ROW("k") ROW("l") ROW("m") ROW("n") ROW("o") ROW("p") ROW("q") ROW("r") ROW("s") ROW("t") ROW("u") ROW("v")
    ROW("w") ROW("x") ROW("y") ROW("z") ROW("0") ROW("1") ROW("2") ROW("3") ROW("4") ROW("5") ROW("6") ROW("7")
    ROW("8") ROW("9") ROW("+") ROW("/");
#undef ROW

static char *put_pair(char *to, unsigned twelve)
{
    memcpy(to, base64_pairs + 2 * (size_t)twelve, 2);
    return to + 2;
}

/* One line. */
static char *put_base64(char *to, const unsigned char *u, size_t n)
{
    for (; n >= 3; u += 3, n -= 3) {
        to = put_pair(to, (unsigned)u[0] << 4 | u[1] >> 4);
        to = put_pair(to, (unsigned)(u[1] & 15) << 8 | u[2]);
    }
    if (n == 0)
        return to;
    to = put_pair(to, (unsigned)u[0] << 4 | (n > 1 ? u[1] >> 4 : 0));
    to = put_pair(to, n > 1 ? (unsigned)(u[1] & 15) << 8 : 0);
    memcpy(to - (3 - n), "==", 3 - n);
    return to;
}

static size_t encode_base64(struct transfer_state *s, const char *p, size_t n, char *out)
{
    char *to = out;
    for (size_t len; n > 0; p += len, n -= len) {
        len = n < TRANSFER_LINE ? n : TRANSFER_LINE;
        if (s->begun) {
            memcpy(to, "\r\n", 2);
            to += 2;
        }
        s->begun = true;
        to = put_base64(to, (const unsigned char *)p, len);
    }
    return (size_t)(to - out);
}

size_t transfer_encode(enum transfer t, struct transfer_state *s, const char *in, size_t n, bool last, char *out)
{
    switch (t) {
    case TRANSFER_TEXT:
        return encode_text(s, in, n, out);
    case TRANSFER_QUOTED:
        return encode_quoted(s, in, n, last, out);
    case TRANSFER_BASE64:
        return encode_base64(s, in, n, out);
    }
    return 0;
}

int64_t transfer_base64_size(int64_t n)
{
    int64_t lines = (n + TRANSFER_LINE - 1) / TRANSFER_LINE;
    return (n + 2) / 3 * 4 + (lines > 0 ? 2 * (lines - 1) : 0);
}

/* ---- facts ---- */

/* Characters that a block cuts in two are put together in `tail`. */
static void look_at_characters(struct text_facts *f, const char *p, size_t n)
{
    while (f->tail_n > 0 && n > 0) {
        f->tail[f->tail_n++] = *p++;
        n--;
        if (utf8_sequence(f->tail, f->tail_n))
            f->tail_n = 0;
        else if (f->tail_n == sizeof f->tail)
            f->not_utf8 = true, f->tail_n = 0;
    }
    for (size_t len; n > 0 && !f->not_utf8; p += len, n -= len) {
        len = utf8_sequence(p, n);
        if (len > 0)
            continue;
        if (n >= sizeof f->tail) {
            f->not_utf8 = true;
        } else {
            memcpy(f->tail, p, n);
            f->tail_n = n;
        }
        return;
    }
}

/* A part of one line, or the rest of it. */
static void look_at_line(struct text_facts *f, const char *p, size_t n)
{
    for (size_t i = 0; i < n && f->column + i < sizeof f->start; i++)
        f->start[f->column + i] = p[i];
    f->column += n;
    if (f->column > f->longest)
        f->longest = f->column;
    f->marked = f->marked || (f->column >= sizeof f->start && memcmp(f->start, "--=_", sizeof f->start) == 0);
}

void text_look(struct text_facts *f, const char *p, size_t n, char *out)
{
    if (n == 0)
        return;
    bool eight_bit = !ascii_only(p, n);
    f->nul = f->nul || memchr(p, '\0', n);
    f->cr = f->cr || memchr(p, '\r', n);
    f->eight_bit = f->eight_bit || eight_bit;
    if (!f->not_utf8 && (eight_bit || f->tail_n > 0))
        look_at_characters(f, p, n);

    size_t made = encode_text(&f->state, p, n, out);
    f->size += (int64_t)made;
    for (const char *at = out, *end = out + made, *lf; at < end; at = lf + 1) {
        lf = memchr(at, '\n', (size_t)(end - at));
        if (!lf) {
            look_at_line(f, at, (size_t)(end - at));
            break;
        }
        look_at_line(f, at, (size_t)(lf - 1 - at));
        f->column = 0;
    }
}

void text_end(struct text_facts *f)
{
    f->not_utf8 = f->not_utf8 || f->tail_n > 0;
    f->ends_line = f->column == 0;
}
