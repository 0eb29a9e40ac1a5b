/* server_path: the paths of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531 3.3), strictly. */
#include <string.h>

#include "base/ascii.h"
#include "smtp/server_state.h"

enum { LOCAL_MAX = 64, DOMAIN_MAX = 255 };

static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

static bool is_atext(char c)
{
    return ascii_isalnum(c) || is_high(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_label(char c)
{
    return ascii_isalnum(c) || is_high(c) || c == '-' || c == '_';
}

/* Words of `is` octets with single dots between them. */
static bool dotted(const char **at, bool (*is)(char))
{
    const char *p = *at;

    do {
        if (p != *at)
            p++;
        if (!is(*p))
            return false;
        while (is(*p))
            p++;
    } while (*p == '.');
    *at = p;
    return true;
}

static bool quoted(const char **at)
{
    const char *p = *at + 1;

    for (; *p && *p != '"'; p++)
        if (*p == '\\' && !*++p)
            return false;
    if (*p != '"')
        return false;
    *at = p + 1;
    return true;
}

static bool literal(const char **at)
{
    size_t n = strcspn(*at + 1, "[]\\<> ");

    if (n == 0 || (*at)[1 + n] != ']')
        return false;
    *at += n + 2;
    return true;
}

static bool domain(const char **at)
{
    return **at == '[' ? literal(at) : dotted(at, is_label);
}

/* "@one,@two:", which RFC 5321 wants accepted and ignored. */
static bool route(const char **at)
{
    while (**at == '@') {
        ++*at;
        if (!domain(at))
            return false;
        if (**at == ':') {
            ++*at;
            return true;
        }
        if (**at != ',')
            return false;
        ++*at;
    }
    return false;
}

const char *server_path(const char **at, bool null_ok, struct buf *address)
{
    const char *p = *at, *local;

    if (*p != '<')
        return *p == ' ' ? "no blank may stand before '<'" : "the address must stand in '<' and '>'";
    p++;
    if (*p == '>' && null_ok) {
        *at = p + 1;
        return NULL;
    }
    if (*p == '@' && !route(&p))
        return "the source route is malformed";
    local = p;
    if (!(*p == '"' ? quoted(&p) : dotted(&p, is_atext)))
        return "the local part is malformed";
    if (p - local > LOCAL_MAX)
        return "the local part is longer than 64 octets";
    if (*p == '@') {
        const char *begin = ++p;
        if (!domain(&p))
            return "the domain is malformed";
        if (p - begin > DOMAIN_MAX)
            return "the domain is longer than 255 octets";
    }
    if (*p != '>')
        return "the address is malformed";
    if (!utf8_valid(local, (size_t)(p - local)))
        return "the address is not UTF-8";
    buf_add(address, local, (size_t)(p - local));
    *at = p + 1;
    return NULL;
}
