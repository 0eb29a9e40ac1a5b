/* codec: base64 (RFC 4648 4), hex, xtext (RFC 3461 4), encoded words (RFC 2047), visible text, IP addresses. */
#include "base/codec.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ascii.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char hex_digits[] = "0123456789ABCDEF";

void base64_encode(struct buf *out, const void *p, size_t n)
{
    const unsigned char *u = p;
    buf_reserve(out, (n + 2) / 3 * 4);
    for (; n; u += 3, n -= n < 3 ? n : 3) {
        unsigned v = (unsigned)u[0] << 16 | (n > 1 ? (unsigned)u[1] << 8 : 0) | (n > 2 ? u[2] : 0u);
        char four[4] = { base64_digits[v >> 18], base64_digits[v >> 12 & 63],
                         n > 1 ? base64_digits[v >> 6 & 63] : '=', n > 2 ? base64_digits[v & 63] : '=' };
        buf_add(out, four, sizeof four);
    }
}

/* Of a digit: its value plus one. */
static const unsigned char base64_values[256] = {
    ['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8, ['I'] = 9, ['J'] = 10,
    ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19,
    ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
    ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37,
    ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46,
    ['u'] = 47, ['v'] = 48, ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55,
    ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* As far as there are four digits together, which is nearly all. Returns how many digits that were. */
static size_t decode_fours(const char *s, size_t n, char *out)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i = 0;
    for (; n - i >= 4; i += 4) {
        unsigned a = base64_values[u[i]], b = base64_values[u[i + 1]], c = base64_values[u[i + 2]],
                 d = base64_values[u[i + 3]];
        if (!a || !b || !c || !d)
            break;
        unsigned v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        *out++ = (char)(v >> 16 & 0xff);
        *out++ = (char)(v >> 8 & 0xff);
        *out++ = (char)(v & 0xff);
    }
    return i;
}

bool base64_decode(struct buf *out, const char *s, size_t n)
{
    while (n && is_space(s[n - 1]))
        n--;
    while (n && is_space(*s))
        s++, n--;
    size_t padding = 0;
    while (n && s[n - 1] == '=')
        padding++, n--;
    if (n % 4 == 1 || padding > (4 - n % 4) % 4)
        return false;

    unsigned v = 0, bits = 0;
    buf_reserve(out, n / 4 * 3 + 3);
    char *end = out->data + out->len;
    size_t i = decode_fours(s, n, end);
    end += i / 4 * 3;
    for (unsigned digit; i < n && (digit = base64_values[(unsigned char)s[i]]) > 0; i++) {
        v = (v << 6 | (digit - 1)) & 0xffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *end++ = (char)(v >> bits & 0xff);
        }
    }
    bool ok = i == n && (v & ((1u << bits) - 1)) == 0; /* bits that no encoder writes (RFC 4648 3.5) */
    if (ok)
        out->len = (size_t)(end - out->data);
    out->data[out->len] = '\0';
    return ok;
}

static int hex_value(char c)
{
    if (ascii_isdigit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The octet that two hex digits write, -1 when they are none. */
static int hex_octet(const char *s, size_t n)
{
    if (n < 2 || hex_value(s[0]) < 0 || hex_value(s[1]) < 0)
        return -1;
    return hex_value(s[0]) << 4 | hex_value(s[1]);
}

static void add_hex(struct buf *out, unsigned char c)
{
    char two[2] = { hex_digits[c >> 4], hex_digits[c & 15] };
    buf_add(out, two, sizeof two);
}

void hex_encode(struct buf *out, const void *p, size_t n, const char *separator)
{
    const unsigned char *u = p;
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_adds(out, separator);
        add_hex(out, u[i]);
    }
}

bool hex_decode(struct buf *out, const char *s, size_t n)
{
    size_t start = out->len;
    for (bool first = true; first || n; first = false) {
        if (!first && (*s == ':' || *s == ' '))
            s++, n--;
        int octet = hex_octet(s, n);
        if (octet < 0) {
            buf_cut(out, start);
            return false;
        }
        buf_addc(out, (char)octet);
        s += 2;
        n -= 2;
    }
    return true;
}

void xtext_encode(struct buf *out, const char *s, size_t n)
{
    for (; n; s++, n--) {
        if (*s > ' ' && *s < 0x7f && *s != '+' && *s != '=') {
            buf_addc(out, *s);
        } else {
            buf_addc(out, '+');
            add_hex(out, (unsigned char)*s);
        }
    }
}

bool xtext_decode(struct buf *out, const char *s, size_t n)
{
    size_t start = out->len;
    while (n) {
        size_t len = *s == '+' ? 3 : 1;
        int octet = *s == '+' ? hex_octet(s + 1, n - 1) : *s > ' ' && *s < 0x7f && *s != '=' ? *s : -1;
        if (octet < 0) {
            buf_cut(out, start);
            return false;
        }
        buf_addc(out, (char)octet);
        s += len;
        n -= len;
    }
    return true;
}

/* C0, DEL and, in UTF-8, C1: what a terminal may act on. len is that of the sequence at s. */
/* U+2028 and U+2029 end lines; the others turn the direction of what stands beside them (Unicode's Bidi_Control). */
static bool is_invisible(const char *s, size_t len)
{
    static const char *const characters[] = {
        "\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066",
        "\u2067", "\u2068", "\u2069",
    };
    for (size_t i = 0; len > 1 && i < sizeof characters / sizeof *characters; i++)
        if (strncmp(s, characters[i], len) == 0 && strlen(characters[i]) == len)
            return true;
    return false;
}

static bool is_control(const char *s, size_t len)
{
    unsigned char c = (unsigned char)*s;
    return c < ' ' || c == 0x7f || (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void visible_encode(struct buf *out, const char *s, size_t n)
{
    while (n) {
        size_t len = utf8_sequence(s, n);
        if (len && !is_control(s, len) && !is_invisible(s, len)) {
            buf_add(out, s, len);
        } else {
            len = len ? len : 1;
            for (size_t i = 0; i < len; i++) {
                buf_adds(out, "\\x");
                add_hex(out, (unsigned char)s[i]);
            }
        }
        s += len;
        n -= len;
    }
}

enum charset { CHARSET_ASCII, CHARSET_LATIN1, CHARSET_UTF8 };

static const struct {
    const char *name;
    enum charset charset;
} charsets[] = {
    { "utf-8", CHARSET_UTF8 },
    { "utf8", CHARSET_UTF8 },
    { "iso-8859-1", CHARSET_LATIN1 },
    { "us-ascii", CHARSET_ASCII },
};

static bool find_charset(const char *s, size_t n, enum charset *out)
{
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++) {
        if (strlen(charsets[i].name) == n && ascii_ieqn(charsets[i].name, s, n)) {
            *out = charsets[i].charset;
            return true;
        }
    }
    return false;
}

static bool q_decode(struct buf *out, const char *s, size_t n)
{
    while (n) {
        size_t len = *s == '=' ? 3 : 1;
        int octet = *s == '=' ? hex_octet(s + 1, n - 1) : *s == '_' ? ' ' : (unsigned char)*s;
        if (octet < 0)
            return false;
        buf_addc(out, (char)octet);
        s += len;
        n -= len;
    }
    return true;
}

/* Octets of a charset become UTF-8; control characters become '?'. */
static bool add_as_utf8(struct buf *out, const struct buf *raw, enum charset charset)
{
    if (charset == CHARSET_ASCII && !ascii_only(raw->data, raw->len))
        return false;
    if (charset == CHARSET_UTF8 && !utf8_valid(raw->data, raw->len))
        return false;
    for (size_t i = 0, len; i < raw->len; i += len) {
        unsigned char c = (unsigned char)raw->data[i];
        char two[2] = { (char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f)) };
        bool latin1 = charset == CHARSET_LATIN1 && c >= 0x80;
        len = latin1 ? 1 : utf8_sequence(raw->data + i, raw->len - i);
        const char *from = latin1 ? two : raw->data + i;
        size_t from_len = latin1 ? 2 : len;
        if (is_control(from, from_len))
            buf_addc(out, '?');
        else
            buf_add(out, from, from_len);
    }
    return true;
}

/* Decodes the encoded word at the start of s: its length, or 0 when there is none that we know. */
static size_t encoded_word(struct buf *out, const char *s, size_t n)
{
    if (n < 8 || s[0] != '=' || s[1] != '?')
        return 0;
    const char *name = s + 2;
    const char *mark = memchr(name, '?', n - 2);
    if (!mark || (size_t)(mark - s) + 5 > n || mark[2] != '?')
        return 0;
    const char *text = mark + 3;
    const char *end = memmem(text, n - (size_t)(text - s), "?=", 2);
    if (!end)
        return 0;
    size_t text_len = (size_t)(end - text);
    if (memchr(text, ' ', text_len) || memchr(text, '?', text_len))
        return 0;
    const char *language = memchr(name, '*', (size_t)(mark - name)); /* RFC 2231 5 */
    enum charset charset;
    if (!find_charset(name, (size_t)((language ? language : mark) - name), &charset))
        return 0;

    struct buf raw = BUF_INIT;
    char encoding = ascii_lower(mark[1]);
    bool ok = (encoding == 'b' && base64_decode(&raw, text, text_len))
              || (encoding == 'q' && q_decode(&raw, text, text_len));
    ok = ok && add_as_utf8(out, &raw, charset);
    buf_free(&raw);
    return ok ? (size_t)(end + 2 - s) : 0;
}

void encoded_word_decode(struct buf *out, const char *s, size_t n)
{
    bool after_word = false;
    while (n) {
        size_t blanks = 0;
        while (blanks < n && is_space(s[blanks]))
            blanks++;
        size_t mark = out->len;
        if (!after_word)
            buf_add(out, s, blanks);
        size_t len = encoded_word(out, s + blanks, n - blanks);
        after_word = len > 0;
        if (!len) { /* plain text up to the next blank or "=?" */
            buf_cut(out, mark);
            len = blanks < n;
            while (blanks + len < n && !is_space(s[blanks + len]) && s[blanks + len] != '=')
                len++;
            buf_add(out, s, blanks + len);
        }
        s += blanks + len;
        n -= blanks + len;
    }
}

/* Octets of the character at s; what is not UTF-8 counts one by one. */
static size_t character(const char *s, size_t n)
{
    size_t len = utf8_sequence(s, n);
    return len ? len : 1;
}

static bool q_plain(char c)
{
    return ascii_isalnum(c) || (c && strchr("!*+-/ ", c)); /* RFC 2047 5 (3); a blank is written '_' */
}

static size_t q_cost(const char *s, size_t n)
{
    size_t cost = 0;
    for (size_t i = 0; i < n; i++)
        cost += q_plain(s[i]) ? 1 : 3;
    return cost;
}

static void q_encode(struct buf *out, const char *s, size_t n)
{
    for (; n; s++, n--) {
        if (q_plain(*s)) {
            buf_addc(out, *s == ' ' ? '_' : *s);
        } else {
            buf_addc(out, '=');
            add_hex(out, (unsigned char)*s);
        }
    }
}

void encoded_word_encode(struct buf *out, const char *s, size_t n)
{
    enum { ROOM = 75 - 12 }; /* less "=?UTF-8?Q?" and "?=" */
    bool q = q_cost(s, n) <= (n + 2) / 3 * 4;
    for (bool first = true; n; first = false) {
        size_t take = 0, cost = 0;
        while (take < n) {
            size_t len = character(s + take, n - take);
            cost = q ? cost + q_cost(s + take, len) : (take + len + 2) / 3 * 4;
            if (cost > ROOM)
                break;
            take += len;
        }
        buf_adds(out, first ? "=?UTF-8?" : " =?UTF-8?");
        buf_adds(out, q ? "Q?" : "B?");
        if (q)
            q_encode(out, s, take);
        else
            base64_encode(out, s, take);
        buf_adds(out, "?=");
        s += take;
        n -= take;
    }
}

size_t ip_decode(unsigned char octets[IP_MAX], const char *s)
{
    return inet_pton(AF_INET, s, octets) == 1 ? 4 : inet_pton(AF_INET6, s, octets) == 1 ? 16 : 0;
}

bool is_ip(const char *s)
{
    unsigned char octets[IP_MAX];
    return ip_decode(octets, s) > 0;
}
