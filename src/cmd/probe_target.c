/* probe_target: where a probe goes to and where it comes from: a host and its port, a socket, a command, or who takes
 * mail for a domain. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/probe_parts.h"

static void name_target(struct probe_plan *p, char *name)
{
    free(p->said->target);
    p->said->target = name;
}

/* "host:port", "[host]:port", "host/port", "[host]"; anything else is a host: one with several colons is an IPv6
 * address. */
static void split_host(const char *text, struct buf *host, const char **port)
{
    size_t n = strlen(text), end = n;
    const char *slash = strrchr(text, '/'), *colon = strchr(text, ':'),
               *close = *text == '[' ? strchr(text, ']') : NULL;
    *port = NULL;
    if (close && (close[1] == ':' || close[1] == '/')) {
        end = (size_t)(close - text) + 1;
        *port = close + 2;
    } else if (slash && slash[1]) {
        end = (size_t)(slash - text);
        *port = slash + 1;
    } else if (colon && !strchr(colon + 1, ':') && colon != text && colon[1]) {
        end = (size_t)(colon - text);
        *port = colon + 1;
    }
    bool bracket = end > 2 && text[0] == '[' && text[end - 1] == ']';
    buf_add(host, text + bracket, end - 2 * bracket);
}

static bool port_number(const char *text, const struct saying *s, int *port, struct err *e)
{
    long long number;
    if (ascii_number(text, 1, 65535, &number)) {
        *port = (int)number;
        return true;
    }
    const struct servent *service = ascii_isdigit(*text) ? NULL : getservbyname(text, "tcp");
    if (service) {
        *port = ntohs((uint16_t)service->s_port);
        return true;
    }
    said_wrong(s, e, "has no port in '%s'", text);
    return err_hint(e, "it is a number from 1 to 65535 or a name in /etc/services");
}

static bool is_v4(const char *s)
{
    unsigned char octets[IP_MAX];
    return ip_decode(octets, s) == 4;
}

static bool is_v6(const char *s)
{
    unsigned char octets[IP_MAX];
    return ip_decode(octets, s) == 16;
}

/* What cannot go together is found before a name is looked up. */
static bool check_families(const struct probe_plan *p, const char *host, const char *local, struct err *e)
{
    bool v4 = said_flag(p->said, "ipv4_only"), v6 = said_flag(p->said, "ipv6_only");
    const struct {
        bool wrong;
        const char *what;
    } rows[] = {
        { v4 && v6, "-4 and -6 exclude each other" },
        { v4 && is_v6(host), "-4 and the server's address is IPv6" },
        { v6 && is_v4(host), "-6 and the server's address is IPv4" },
        { v4 && is_v6(local), "-4 and the local interface's address is IPv6" },
        { v6 && is_v4(local), "-6 and the local interface's address is IPv4" },
        { (is_v4(host) && is_v6(local)) || (is_v6(host) && is_v4(local)),
          "the server and the local interface have addresses of two kinds" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].wrong) {
            err_set(e, FAULT_USAGE, "%s", rows[i].what);
            return err_hint(e, "leave one of them out");
        }
    return true;
}

/* The domain whose mail is routed; "" where there is none. swaks takes the last recipient's. */
static const char *routed_domain(const struct probe_plan *p)
{
    const char *copied = said_text(p->said, "copy_routing");
    if (copied)
        return strrchr(copied, '@') ? strrchr(copied, '@') + 1 : copied;
    const char *last = p->env.n ? p->env.rcpts[p->env.n - 1].address : "";
    const char *at = strrchr(last, '@');
    return at ? at + 1 : "";
}

/* The address in a domain literal, "[192.0.2.1]" or "[IPv6:2001:db8::1]"; NULL: it is none. The caller's. */
static char *literal(const char *domain)
{
    size_t n = strlen(domain);
    if (n < 3 || domain[0] != '[' || domain[n - 1] != ']')
        return NULL;
    size_t skip = ascii_istarts(domain, "[IPv6:") ? 6 : 1;
    return xstrndup(domain + skip, n - skip - 1);
}

/* No server was said: the domain's own address, its MX, or this machine. */
static char *route_by_domain(struct probe_plan *p)
{
    const char *domain = routed_domain(p);
    char *address = literal(domain);
    if (address)
        return address;
    if (*domain)
        p->mx_domain = xstrdup(domain);
    return xstrdup(*domain ? domain : "localhost");
}

static bool local_end(struct probe_plan *p, struct settings *account, struct buf *host, struct err *e)
{
    const struct saying *s = said_last(p->said, "local_interface"), *port = said_last(p->said, "local_port");
    const char *behind = NULL;
    if (s && *s->value)
        split_host(s->value, host, &behind);
    if (host->len && !probe_say(account, "source_ip", host->data, s, e))
        return false;
    if (!behind && port && *port->value) {
        behind = port->value;
        s = port;
    }
    return !behind || port_number(behind, s, &p->probe.source_port, e);
}

bool probe_one_target(const struct probe_options *said, struct err *e)
{
    int n = said_flag(said, "server") + said_flag(said, "socket") + said_flag(said, "pipe");
    if (n <= 1)
        return true;
    err_set(e, FAULT_USAGE, "'--server', '--socket' and '--pipe' exclude each other");
    return err_hint(e, "leave one of them in, --no-server takes back what a file says");
}

static bool network_end(struct probe_plan *p, struct settings *account, struct hop *hop, struct err *e)
{
    const struct saying *s = said_last(p->said, "server"), *port = said_last(p->said, "port");
    struct buf host = BUF_INIT, local = BUF_INIT;
    const char *behind = NULL;
    if (s && *s->value)
        split_host(s->value, &host, &behind);
    if (!behind && port && *port->value) {
        behind = port->value;
        s = port;
    }
    hop->host = host.len ? xstrdup(host.data) : route_by_domain(p);
    struct buf number = BUF_INIT;
    bool ok = (!behind || port_number(behind, s, &hop->port, e)) && local_end(p, account, &local, e) &&
              check_families(p, hop->host, local.data, e);
    buf_printf(&number, "%d", hop->port);
    ok = ok && probe_say(account, "host", hop->host, s, e) && probe_say(account, "mx", "off", s, e) &&
         probe_say(account, "port", number.data, s, e) &&
         (!said_flag(p->said, "ipv4_only") || probe_say(account, "ipv4_only", "on", NULL, e)) &&
         (!said_flag(p->said, "ipv6_only") || probe_say(account, "ipv6_only", "on", NULL, e));
    buf_free(&number);
    buf_free(&host);
    buf_free(&local);
    return ok;
}

static bool command_end(struct probe_plan *p, const struct saying *s, struct settings *account, struct hop *hop,
                        struct err *e)
{
    if (!strlist_words(&hop->command, s->value)) {
        said_wrong(s, e, "is no command: '%s'", s->value);
        return err_hint(e, "quotes come in pairs; for more of a shell write sh -c '…'");
    }
    name_target(p, xstrdup(s->value));
    return probe_say(account, "host", "localhost", s, e);
}

bool probe_target(struct probe_plan *p, struct settings *account, struct hop *hop, struct err *e)
{
    const struct saying *path = said_last(p->said, "socket"), *command = said_last(p->said, "pipe");
    if (path) {
        hop->socket = xstrdup(path->value);
        name_target(p, xstrdup(path->value));
        return probe_say(account, "socket", path->value, path, e);
    }
    if (command)
        return command_end(p, command, account, hop, e);
    if (!network_end(p, account, hop, e))
        return false;
    name_target(p, p->mx_domain ? NULL : xasprintf("%s:%d", hop->host, hop->port));
    return true;
}
