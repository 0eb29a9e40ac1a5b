/* proxy: SOCKS5 and HTTP CONNECT as octets in and octets out.
 * Must not know of sockets; each step looks at a whole answer and makes the next request. */
#include "net/proxy.h"

#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"

enum { SOCKS_VERSION = 5, SOCKS_NO_AUTH = 0, SOCKS_PASSWORD = 2, SOCKS_NO_METHOD = 0xFF, SOCKS_CONNECT = 1 };
enum { SOCKS_IPV4 = 1, SOCKS_NAME = 3, SOCKS_IPV6 = 4 };

static enum proxy_status failed(struct err *e, enum fault fault, const char *text, const char *hint)
{
    err_set(e, fault, "%s", text);
    if (hint)
        err_hint(e, "%s", hint);
    return PROXY_FAILED;
}

static enum proxy_status next(struct proxy *p, size_t need, enum proxy_status (*step)(struct proxy *, struct err *))
{
    p->need = need;
    p->step = step;
    return PROXY_MORE;
}

static unsigned char octet(const struct proxy *p, size_t i)
{
    return (unsigned char)p->in.data[i];
}

static enum proxy_status not_socks(struct err *e)
{
    return failed(e, FAULT_PROTOCOL, "the proxy does not speak SOCKS5",
                  "check 'proxy_host' and 'proxy_port'; for an HTTP proxy write 'http://HOST' as 'proxy_host'");
}

/* RFC 1928 6: VER REP RSV ATYP BND.ADDR BND.PORT. */
static const struct {
    enum fault fault;
    const char *words;
} socks_replies[] = {
    [1] = { FAULT_CONNECT, "general failure" },
    [2] = { FAULT_UNAVAILABLE, "not allowed by the proxy's rules" },
    [3] = { FAULT_CONNECT, "network unreachable" },
    [4] = { FAULT_CONNECT, "host unreachable" },
    [5] = { FAULT_CONNECT, "connection refused" },
    [6] = { FAULT_CONNECT, "TTL expired" },
    [7] = { FAULT_UNAVAILABLE, "command not supported" },
    [8] = { FAULT_UNAVAILABLE, "address type not supported" },
};

static enum proxy_status socks_bound(struct proxy *p, struct err *e)
{
    (void)p, (void)e;
    return PROXY_OPEN;
}

static enum proxy_status socks_replied(struct proxy *p, struct err *e)
{
    unsigned reply = octet(p, 1);
    if (octet(p, 0) != SOCKS_VERSION)
        return not_socks(e);
    if (reply != 0) {
        bool known = reply < sizeof socks_replies / sizeof *socks_replies;
        err_set(e, known ? socks_replies[reply].fault : FAULT_CONNECT, "the proxy cannot connect to '%s' port %d: %s",
                p->host, p->port, known ? socks_replies[reply].words : "unknown reason");
        return PROXY_FAILED;
    }
    switch (octet(p, 3)) { /* five octets are here: the fifth begins the address */
    case SOCKS_IPV4: return next(p, 4 + 4 + 2, socks_bound);
    case SOCKS_IPV6: return next(p, 4 + 16 + 2, socks_bound);
    case SOCKS_NAME: return next(p, 4 + 1 + (size_t)octet(p, 4) + 2, socks_bound);
    }
    return not_socks(e);
}

static enum proxy_status socks_connect(struct proxy *p)
{
    unsigned char address[IP_MAX];
    const size_t n = ip_decode(address, p->host);
    buf_add(&p->out, (const char[]){ SOCKS_VERSION, SOCKS_CONNECT, 0 }, 3);
    if (n > 0) {
        buf_addc(&p->out, n == 4 ? SOCKS_IPV4 : SOCKS_IPV6);
        buf_add(&p->out, address, n);
    } else {
        buf_addc(&p->out, SOCKS_NAME);
        buf_addc(&p->out, (char)strlen(p->host));
        buf_adds(&p->out, p->host);
    }
    buf_addc(&p->out, (char)(p->port >> 8));
    buf_addc(&p->out, (char)p->port);
    buf_reset(&p->in);
    return next(p, 5, socks_replied);
}

/* RFC 1929: VER STATUS. */
static enum proxy_status socks_logged_in(struct proxy *p, struct err *e)
{
    if (octet(p, 1) != 0)
        return failed(e, FAULT_AUTH, "the proxy refuses the user name or the password",
                      "check 'proxy_user' and 'proxy_password'");
    return socks_connect(p);
}

static enum proxy_status socks_log_in(struct proxy *p)
{
    const char *password = p->password ? p->password : "";
    buf_addc(&p->out, 1);
    buf_addc(&p->out, (char)strlen(p->user));
    buf_adds(&p->out, p->user);
    buf_addc(&p->out, (char)strlen(password));
    buf_adds(&p->out, password);
    buf_reset(&p->in);
    return next(p, 2, socks_logged_in);
}

static enum proxy_status socks_method(struct proxy *p, struct err *e)
{
    if (octet(p, 0) != SOCKS_VERSION)
        return not_socks(e);
    switch (octet(p, 1)) {
    case SOCKS_NO_AUTH: return socks_connect(p);
    case SOCKS_PASSWORD: return p->user ? socks_log_in(p) : not_socks(e);
    case SOCKS_NO_METHOD: break;
    default: return not_socks(e);
    }
    return failed(e, FAULT_AUTH, p->user ? "the proxy takes neither a password nor an anonymous user"
                                         : "the proxy wants a user name and a password",
                  p->user ? NULL : "set 'proxy_user' and 'proxy_password'");
}

static bool socks_start(struct proxy *p, struct err *e)
{
    if (strlen(p->host) > 255 || (p->user && strlen(p->user) > 255) || (p->password && strlen(p->password) > 255))
        return err_set(e, FAULT_CONFIG, "SOCKS5 has no room for a host name, user or password of more than 255 octets");
    buf_add(&p->out, p->user ? (const char[]){ SOCKS_VERSION, 2, SOCKS_NO_AUTH, SOCKS_PASSWORD }
                             : (const char[]){ SOCKS_VERSION, 1, SOCKS_NO_AUTH, 0 }, p->user ? 4 : 3);
    next(p, 2, socks_method);
    return true;
}

static enum proxy_status http_answered(struct proxy *p, struct err *e)
{
    char *line = p->in.data;
    bool http = strncmp(line, "HTTP/1.", 7) == 0 && p->in.len >= 12 && line[8] == ' ';
    long long code = 0;
    if (!http || !ascii_number((char[]){ line[9], line[10], line[11], 0 }, 100, 599, &code))
        return failed(e, FAULT_PROTOCOL, "the proxy does not speak HTTP", "check 'proxy_host' and 'proxy_port'");
    if (code / 100 == 2)
        return PROXY_OPEN;

    line[strcspn(line, "\r\n")] = '\0';
    for (char *c = line; *c; c++)
        if (*c < ' ' || *c == 0x7f)
            *c = '?';
    if (code == 407) {
        err_set(e, FAULT_AUTH, p->user ? "the proxy refuses the user name or the password"
                                       : "the proxy wants a user name and a password");
        err_hint(e, "%s 'proxy_user' and 'proxy_password'", p->user ? "check" : "set");
    } else {
        err_set(e, code / 100 == 5 ? FAULT_CONNECT : FAULT_UNAVAILABLE, "the proxy does not connect to '%s' port %d",
                p->host, p->port);
        err_hint(e, "many HTTP proxies allow CONNECT to port 443 only");
    }
    err_server(e, line);
    return PROXY_FAILED;
}

static bool http_start(struct proxy *p, struct err *e)
{
    (void)e;
    bool v6 = strchr(p->host, ':') != NULL;
    struct buf target = BUF_INIT;
    buf_printf(&target, v6 ? "[%s]:%d" : "%s:%d", p->host, p->port);
    buf_printf(&p->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target.data, target.data);
    buf_free(&target);
    if (p->user) {
        struct buf both = BUF_SECRET_INIT;
        buf_printf(&both, "%s:%s", p->user, p->password ? p->password : "");
        buf_adds(&p->out, "Proxy-Authorization: Basic ");
        base64_encode(&p->out, both.data, both.len);
        buf_adds(&p->out, "\r\n");
        buf_free(&both);
    }
    buf_adds(&p->out, "\r\n");
    next(p, 0, http_answered);
    return true;
}

bool proxy_start(struct proxy *p, enum proxy_type type, const char *host, int port, const char *user,
                 const char *password, struct err *e)
{
    *p = (struct proxy){
        .type = type, .host = host, .port = port, .user = user && *user ? user : NULL, .password = password,
        .out = BUF_SECRET_INIT, .in = BUF_INIT,
    };
    if (!*host || host[strcspn(host, " \t\r\n/@")])
        return err_set(e, FAULT_CONFIG, "the host name is not fit for a proxy request");
    return type == PROXY_SOCKS5 ? socks_start(p, e) : http_start(p, e);
}

/* How much of n more octets belongs to the answer, and is it complete with them? */
static bool answer_complete(struct proxy *p, const char *data, size_t n, size_t *used)
{
    if (p->need > 0) {
        *used = n < p->need - p->in.len ? n : p->need - p->in.len;
        buf_add(&p->in, data, *used);
        return p->in.len == p->need;
    }
    for (*used = 0; *used < n;) { /* HTTP: up to the empty line */
        buf_addc(&p->in, data[(*used)++]);
        size_t len = p->in.len;
        if (len >= 2 && p->in.data[len - 1] == '\n' &&
            (p->in.data[len - 2] == '\n' || (len >= 3 && memcmp(p->in.data + len - 3, "\n\r\n", 3) == 0)))
            return true;
        if (len >= PROXY_ANSWER_MAX)
            return false;
    }
    return false;
}

enum proxy_status proxy_feed(struct proxy *p, const char *data, size_t n, size_t *used, struct err *e)
{
    enum proxy_status status = PROXY_MORE;
    for (*used = 0; status == PROXY_MORE && *used < n;) {
        size_t part;
        bool complete = answer_complete(p, data + *used, n - *used, &part);
        *used += part;
        if (complete)
            status = p->step(p, e);
        else if (p->in.len >= PROXY_ANSWER_MAX)
            status = failed(e, FAULT_PROTOCOL, "the proxy's answer is too long", NULL);
    }
    if (status == PROXY_FAILED)
        err_stage(e, STAGE_PROXY);
    return status;
}

void proxy_free(struct proxy *p)
{
    buf_free(&p->out);
    buf_free(&p->in);
}
