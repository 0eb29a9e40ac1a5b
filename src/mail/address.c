/* address: reads address lists (RFC 5322 3.4 with its obsolete forms, RFC 6532) and writes single
 * addresses in one canonical form. Nothing that it gives out holds a control octet. */
#include "mail/address.h"

#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "mail/idn.h"

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255, LABEL_MAX = 63, EXCERPT_MAX = 40 }; /* RFC 5321 4.5.3.1, RFC 1035 */

struct parser {
    const char *start, *p, *end;
    bool null_ok;              /* <> is an address */
    struct mailbox_list *list; /* borrowed */
    struct err *e;
};

/* Words as they come: a display name or a local part, which only the octet behind them tells. */
struct phrase {
    const char *at;   /* where it begins */
    struct buf local; /* the content of words and dots, without quotes and blanks */
    struct buf name;  /* the same for people: blanks kept, encoded words decoded */
    struct buf run;   /* own: the end of name that was not quoted and is still to be decoded */
    size_t words;
    bool spaced; /* two words without a dot between them: not a local part */
};

#define PHRASE_INIT { .local = BUF_INIT, .name = BUF_INIT, .run = BUF_INIT }

static void phrase_free(struct phrase *ph)
{
    buf_free(&ph->local);
    buf_free(&ph->name);
    buf_free(&ph->run);
}

void mailbox_list_free(struct mailbox_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].address);
        free(l->v[i].name);
    }
    free(l->v);
    *l = (struct mailbox_list)MAILBOX_LIST_INIT;
}

static void append(struct mailbox_list *l, char *address, char *name)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->v = xrealloc(l->v, l->cap * sizeof *l->v);
    }
    l->v[l->n++] = (struct mailbox){ address, name };
}

void mailbox_list_add(struct mailbox_list *l, const char *address)
{
    append(l, xstrdup(address), NULL);
}

/* Classes of octets */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 127;
}

static bool is_atext(char c)
{
    return ascii_isalnum(c) || (unsigned char)c > 127 || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_domain_char(char c)
{
    return ascii_isalnum(c) || (unsigned char)c > 127 || c == '-' || c == '_';
}

/* Controls of ASCII, and those of U+0080 to U+009F, which terminals obey. s is valid UTF-8. */
static bool has_control(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_control(s[i]) || (s[i] == '\xc2' && i + 1 < n && (unsigned char)s[i + 1] < 0xa0))
            return true;
    return false;
}

/* Makes text fit to be shown: valid UTF-8 without controls. */
static void make_printable(struct buf *b, char replacement)
{
    bool valid = utf8_valid(b->data, b->len);
    for (size_t i = 0; i < b->len; i++)
        if (is_control(b->data[i]))
            b->data[i] = replacement;
        else if (!valid && (unsigned char)b->data[i] > 127)
            b->data[i] = '?';
        else if (b->data[i] == '\xc2' && has_control(b->data + i, 2))
            b->data[i] = b->data[i + 1] = replacement;
}

static bool fail(struct parser *ps, const char *at, const char *why)
{
    struct buf excerpt = BUF_INIT;
    size_t n = (size_t)(ps->end - at);
    bool cut = n > EXCERPT_MAX;
    if (cut)
        for (n = EXCERPT_MAX; n > 0 && ((unsigned char)at[n] & 0xc0) == 0x80;)
            n--;
    buf_add(&excerpt, at, n);
    make_printable(&excerpt, '?');
    if (n == 0)
        err_set(ps->e, FAULT_MESSAGE, "%s at column %zu (the end)", why, (size_t)(at - ps->start) + 1);
    else
        err_set(ps->e, FAULT_MESSAGE, "%s at column %zu: '%s%s'", why, (size_t)(at - ps->start) + 1, excerpt.data,
                cut ? "…" : "");
    buf_free(&excerpt);
    return err_hint(ps->e, "write 'name@example.org' or 'Name <name@example.org>', with commas between addresses");
}

static bool next_is(const struct parser *ps, char c)
{
    return ps->p < ps->end && *ps->p == c;
}

/* Skips a comment; they nest. */
static bool skip_comment(struct parser *ps)
{
    const char *at = ps->p;
    size_t depth = 0;
    for (; ps->p < ps->end; ps->p++) {
        if (*ps->p == '\\' && ps->p + 1 < ps->end)
            ps->p++;
        else if (*ps->p == '(')
            depth++;
        else if (*ps->p == ')' && --depth == 0) {
            ps->p++;
            return true;
        }
    }
    return fail(ps, at, "a comment without its closing parenthesis");
}

/* Skips comments and folding white space; *blank, if not NULL, tells whether there were any. */
static bool skip_cfws(struct parser *ps, bool *blank)
{
    const char *at = ps->p;
    while (ps->p < ps->end && *ps->p && strchr(" \t\r\n(", *ps->p)) {
        if (*ps->p != '(')
            ps->p++;
        else if (!skip_comment(ps))
            return false;
    }
    if (blank)
        *blank = ps->p > at;
    return true;
}

/* Phrases */

static void flush_run(struct phrase *ph)
{
    encoded_word_decode(&ph->name, ph->run.data, ph->run.len);
    buf_reset(&ph->run);
}

static bool read_quoted(struct parser *ps, struct phrase *ph)
{
    const char *at = ps->p++;
    flush_run(ph);
    size_t begin = ph->local.len;
    for (; ps->p < ps->end && *ps->p != '"'; ps->p++) {
        if (*ps->p == '\r' || *ps->p == '\n')
            continue; /* a fold; the blank behind it belongs to the text */
        if (*ps->p == '\\' && ps->p + 1 < ps->end)
            ps->p++;
        buf_addc(&ph->local, *ps->p);
    }
    if (ps->p == ps->end)
        return fail(ps, at, "a quoted name without its closing quote");
    ps->p++;
    buf_add(&ph->name, ph->local.data + begin, ph->local.len - begin);
    return true;
}

static void read_atom(struct parser *ps, struct phrase *ph)
{
    const char *at = ps->p;
    while (ps->p < ps->end && is_atext(*ps->p))
        ps->p++;
    buf_add(&ph->local, at, (size_t)(ps->p - at));
    buf_add(&ph->run, at, (size_t)(ps->p - at));
}

/* Reads words and dots up to the first octet that is neither; CFWS behind them is skipped. */
static bool read_phrase(struct parser *ps, struct phrase *ph)
{
    bool blank = false, after_word = false;
    ph->at = ps->p;
    for (; ps->p < ps->end && (is_atext(*ps->p) || *ps->p == '.' || *ps->p == '"');) {
        if (blank)
            buf_addc(&ph->run, ' ');
        if (*ps->p == '.') {
            buf_addc(&ph->local, *ps->p);
            buf_addc(&ph->run, *ps->p++);
            after_word = false;
        } else {
            ph->spaced = ph->spaced || after_word;
            ph->words++;
            after_word = true;
            if (*ps->p != '"')
                read_atom(ps, ph);
            else if (!read_quoted(ps, ph))
                return false;
        }
        if (!skip_cfws(ps, &blank))
            return false;
    }
    flush_run(ph);
    return true;
}

/* Addresses */

static bool is_dot_atom(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] == '.' ? (i == 0 || i + 1 == n || s[i + 1] == '.') : !is_atext(s[i]))
            return false;
    return n > 0;
}

static void add_quoted(struct buf *out, const char *s, size_t n)
{
    buf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            buf_addc(out, '\\');
        buf_addc(out, s[i]);
    }
    buf_addc(out, '"');
}

static bool add_local(struct parser *ps, const struct phrase *ph, struct buf *out)
{
    const char *s = ph->local.data;
    size_t n = ph->local.len;
    if (ph->words == 0)
        return fail(ps, ph->at, "no address");
    if (ph->spaced)
        return fail(ps, ph->at, "words that are neither an address nor followed by one in '<>'");
    if (!utf8_valid(s, n))
        return fail(ps, ph->at, "an address that is not valid UTF-8");
    if (has_control(s, n))
        return fail(ps, ph->at, "a control octet in an address");
    if (is_dot_atom(s, n))
        buf_add(out, s, n);
    else
        add_quoted(out, s, n);
    return out->len <= LOCAL_MAX || fail(ps, ph->at, "a local part longer than 64 octets");
}

/* What stands between the brackets of RFC 5321 4.1.3: an IPv4 address, IPv6:…, or another tag and colon. */
static bool literal_valid(const char *s)
{
    unsigned char octets[IP_MAX];
    if (ascii_istarts(s, "IPv6:"))
        return ip_decode(octets, s + 5) == 16;
    if (!strchr(s, ':'))
        return ip_decode(octets, s) == 4;
    return ascii_isalpha(*s) && s[strlen(s) - 1] != ':';
}

static bool read_literal(struct parser *ps, struct buf *out)
{
    const char *at = ps->p++;
    struct buf text = BUF_INIT;
    for (; ps->p < ps->end && *ps->p > ' ' && *ps->p < 127 && !strchr("[]\\@", *ps->p); ps->p++)
        buf_addc(&text, *ps->p);
    bool good = next_is(ps, ']') && literal_valid(text.data);
    if (good) {
        ps->p++;
        buf_printf(out, "[%s]", text.data);
    }
    buf_free(&text);
    return good || fail(ps, at, "not a domain literal like '[192.0.2.1]' or '[IPv6:2001:db8::1]'");
}

static bool read_labels(struct parser *ps, struct buf *out)
{
    for (;;) {
        const char *at = ps->p;
        while (ps->p < ps->end && is_domain_char(*ps->p))
            ps->p++;
        size_t n = (size_t)(ps->p - at);
        if (n == 0)
            return fail(ps, at, "a domain name was expected");
        if (n > LABEL_MAX && ascii_only(at, n))
            return fail(ps, at, "a part of a domain name longer than 63 octets");
        buf_add(out, at, n);
        if (!skip_cfws(ps, NULL))
            return false;
        if (!next_is(ps, '.'))
            return true;
        buf_addc(out, *ps->p++);
        if (!skip_cfws(ps, NULL))
            return false;
    }
}

/* Appends the domain that begins at p; CFWS behind it is skipped. */
static bool read_domain(struct parser *ps, struct buf *out)
{
    if (!skip_cfws(ps, NULL))
        return false;
    const char *at = ps->p;
    size_t begin = out->len;
    if (!(next_is(ps, '[') ? read_literal(ps, out) : read_labels(ps, out)))
        return false;
    if (out->len - begin > DOMAIN_MAX)
        return fail(ps, at, "a domain longer than 255 octets");
    if (!utf8_valid(out->data + begin, out->len - begin) || has_control(out->data + begin, out->len - begin))
        return fail(ps, at, "a domain that is not valid UTF-8");
    return skip_cfws(ps, NULL);
}

/* The phrase is a local part: adds it and the domain, if one follows. */
static bool finish_address(struct parser *ps, const struct phrase *ph, struct buf *out)
{
    if (!add_local(ps, ph, out))
        return false;
    if (!next_is(ps, '@'))
        return true;
    buf_addc(out, *ps->p++);
    return read_domain(ps, out);
}

/* RFC 5322 4.4: "@a,@b:" in front of the address. It has had no meaning for long. */
static bool skip_route(struct parser *ps)
{
    struct buf dropped = BUF_INIT;
    bool good = true;
    while (good && (next_is(ps, '@') || next_is(ps, ','))) {
        if (*ps->p++ == '@')
            good = read_domain(ps, &dropped);
        else
            good = skip_cfws(ps, NULL);
        buf_reset(&dropped);
    }
    buf_free(&dropped);
    if (!good)
        return false;
    if (!next_is(ps, ':'))
        return fail(ps, ps->p, "a route without its colon");
    ps->p++;
    return skip_cfws(ps, NULL);
}

static bool read_angle(struct parser *ps, struct buf *out)
{
    const char *at = ps->p++;
    if (!skip_cfws(ps, NULL))
        return false;
    if (ps->null_ok && next_is(ps, '>'))
        ps->p++;
    else {
        struct phrase ph = PHRASE_INIT;
        bool good = (!next_is(ps, '@') || skip_route(ps)) && read_phrase(ps, &ph) && finish_address(ps, &ph, out);
        phrase_free(&ph);
        if (!good)
            return false;
        if (!next_is(ps, '>'))
            return fail(ps, at, "no '>' behind the address");
        ps->p++;
    }
    return skip_cfws(ps, NULL);
}

/* NULL: there is none. */
static char *take_name(struct buf *name)
{
    make_printable(name, ' ');
    buf_trim(name);
    return name->len ? buf_steal(name) : NULL;
}

static bool is_labels(const char *p, const char *end)
{
    for (const char *begin = p;; begin = ++p) {
        while (p < end && is_domain_char(*p))
            p++;
        if (p == begin || p - begin > LABEL_MAX)
            return false;
        if (p == end || *p != '.')
            return p == end;
    }
}

/* How long the address at p is that has nothing around it or in it to be looked at twice, as nearly all are: a dot-atom
 * and a domain name, both ASCII, up to a comma or the end. 0: it is another. */
static size_t plain_length(const char *p, const char *end)
{
    const char *comma = memchr(p, ',', (size_t)(end - p));
    const char *stop = comma ? comma : end, *at = memchr(p, '@', (size_t)(stop - p));
    bool plain = at && at - p <= LOCAL_MAX && stop - at <= DOMAIN_MAX && ascii_only(p, (size_t)(stop - p))
                 && is_dot_atom(p, (size_t)(at - p)) && is_labels(at + 1, stop);
    return plain ? (size_t)(stop - p) : 0;
}

static bool parse_list(struct parser *ps, bool group);

static bool parse_address(struct parser *ps, bool group)
{
    struct phrase ph = PHRASE_INIT;
    struct buf address = BUF_INIT;
    size_t plain = plain_length(ps->p, ps->end);
    if (plain > 0) {
        append(ps->list, xstrndup(ps->p, plain), NULL);
        ps->p += plain;
        return true;
    }
    bool good = read_phrase(ps, &ph);
    if (good && next_is(ps, ':') && ph.words) {
        ps->p++;
        good = group ? fail(ps, ph.at, "a group inside a group") : parse_list(ps, true);
    } else if (good && next_is(ps, '<')) {
        good = read_angle(ps, &address);
        if (good)
            append(ps->list, buf_steal(&address), take_name(&ph.name));
    } else if (good) {
        good = finish_address(ps, &ph, &address);
        if (good)
            append(ps->list, buf_steal(&address), NULL);
    }
    buf_free(&address);
    phrase_free(&ph);
    return good;
}

/* Addresses and empty members up to the end; in a group up to its ';', which is often forgotten. */
static bool parse_list(struct parser *ps, bool group)
{
    for (;;) {
        if (!skip_cfws(ps, NULL))
            return false;
        if (ps->p == ps->end)
            return true;
        if (group && *ps->p == ';') {
            ps->p++;
            return skip_cfws(ps, NULL);
        }
        if (*ps->p == ',') {
            ps->p++;
            continue;
        }
        if (!parse_address(ps, group))
            return false;
        if (ps->p < ps->end && *ps->p != ',' && !(group && *ps->p == ';'))
            return fail(ps, ps->p, "a comma was expected");
    }
}

bool address_list_parse(struct mailbox_list *l, const char *text, size_t n, struct err *e)
{
    struct parser ps = { text, text, text + n, false, l, e };
    return parse_list(&ps, false);
}

/* What stands in one argument: a header may be folded, this may not. */
static bool parse_argument(struct parser *ps)
{
    for (const char *p = ps->start; p < ps->end; p++)
        if (is_control(*p))
            return fail(ps, p, "a control octet in an address");
    if (!parse_list(ps, false))
        return false;
    return ps->list->n > 0 || ps->null_ok || fail(ps, ps->start, "no address");
}

bool address_parse_one(const char *text, bool null_ok, char **address, struct err *e)
{
    struct mailbox_list list = MAILBOX_LIST_INIT;
    struct err why = ERR_INIT;
    struct parser ps = { text, text, text + strlen(text), null_ok, &list, &why };
    bool good = parse_argument(&ps) && (list.n <= 1 || fail(&ps, ps.start, "more than one address"));
    if (good) {
        *address = list.n ? list.v[0].address : xstrdup("");
        if (list.n)
            list.v[0].address = NULL;
    } else {
        err_set(e, FAULT_USAGE, "%s", why.text);
        err_hint(e, "give one address like 'name@example.org'%s", null_ok ? ", or '<>' for the null sender" : "");
    }
    err_clear(&why);
    mailbox_list_free(&list);
    return good;
}

bool address_parse_some(struct mailbox_list *l, const char *text, struct err *e)
{
    struct err why = ERR_INIT;
    const size_t n = strlen(text);
    struct parser ps = { text, text, text + n, false, l, &why };
    if (n > 0 && plain_length(text, text + n) == n) {
        append(l, xstrndup(text, n), NULL);
        return true;
    }
    bool good = parse_argument(&ps);
    if (!good) {
        err_set(e, FAULT_USAGE, "%s", why.text);
        err_hint(e, "give an address like 'name@example.org', or several with commas between");
    }
    err_clear(&why);
    return good;
}

const char *address_domain(const char *address)
{
    const char *domain = NULL;
    bool quoted = false;
    if (!strchr(address, '"')) {
        const char *at = strrchr(address, '@');
        return at ? at + 1 : NULL;
    }
    for (const char *p = address; *p; p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (quoted && *p == '\\' && p[1])
            p++;
        else if (*p == '@' && !quoted)
            domain = p + 1;
    }
    return domain;
}

bool address_is_ascii(const char *address)
{
    return ascii_only(address, strlen(address));
}

bool domain_to_ascii(const char *domain, struct buf *out, struct err *e)
{
    size_t n = strlen(domain), begin = out->len;
    if (ascii_only(domain, n)) {
        buf_add(out, domain, n);
        return true;
    }
    if (!utf8_valid(domain, n))
        return err_set(e, FAULT_MESSAGE, "a domain is not valid UTF-8") ||
               err_hint(e, "write it in UTF-8 or in its ASCII form ('xn--…')");
    if (!idn_to_ascii(domain, out, e))
        return false;
    for (size_t i = begin; i < out->len; i++)
        if (!(is_domain_char(out->data[i]) || out->data[i] == '.') || (unsigned char)out->data[i] > 127) {
            buf_cut(out, begin);
            return err_set(e, FAULT_MESSAGE, "the domain '%s' has no ASCII form", domain);
        }
    return true;
}

bool address_to_ascii(const char *address, struct buf *out, struct err *e)
{
    const char *domain = address_domain(address);
    size_t local = domain ? (size_t)(domain - address) : strlen(address), begin = out->len;
    if (!ascii_only(address, local)) {
        err_set(e, FAULT_MESSAGE, "the local part of '%s' is not ASCII: only a server with SMTPUTF8 can take it",
                address);
        return err_hint(e, "ask for an ASCII address of the same person, or use a server that offers SMTPUTF8");
    }
    buf_add(out, address, local);
    if (domain && !domain_to_ascii(domain, out, e)) {
        buf_cut(out, begin);
        return false;
    }
    return true;
}

/* RFC 5322 3.2.3: words of atext with single blanks between them need no quotes; what looks like an encoded word
 * does. */
static bool bare_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] == ' ' ? (i == 0 || i + 1 == n || s[i + 1] == ' ') : !is_atext(s[i]))
            return false;
    return !strstr(s, "=?");
}

void mailbox_format(struct buf *out, const char *name, const char *address)
{
    if (!name || !*name) {
        buf_adds(out, address);
        return;
    }
    struct buf clean = BUF_INIT;
    buf_adds(&clean, name);
    make_printable(&clean, ' ');
    if (!ascii_only(clean.data, clean.len))
        encoded_word_encode(out, clean.data, clean.len);
    else if (bare_name(clean.data, clean.len))
        buf_add(out, clean.data, clean.len);
    else
        add_quoted(out, clean.data, clean.len);
    buf_free(&clean);
    buf_printf(out, " <%s>", address);
}
