/* probe_proxy: the PROXY header (HAProxy, proxy-protocol.txt, 2.1 and 2.2), from options to octets.
 *
 * Version 1 is a line, "PROXY TCP4 SOURCE DEST SOURCE-PORT DEST-PORT", and says what it was told. Version 2:
 *
 *     12 octets  signature
 *      1         0x20, and 1 for PROXY (0 for LOCAL)
 *      1         family (0 none, 1 IPv4, 2 IPv6, 3 unix) * 16 + transport (0 none, 1 stream, 2 datagram)
 *      2         length of what follows, big-endian
 *                the addresses: source, destination, source port, destination port; for unix two paths of 108 octets */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "cmd/probe_parts.h"

enum { UNIX_PATH = 108, COMMAND_LOCAL = 0x20, COMMAND_PROXY = 0x21 };

static const char signature[] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n' };

static const struct family {
    const char *name;
    int version, code, af; /* af 0: no addresses; AF_UNIX: paths */
} families[] = {
    { "TCP4", 1, 0, AF_INET },    { "TCP6", 1, 0, AF_INET6 },   { "UNKNOWN", 1, 0, 0 },
    { "AF_UNSPEC", 2, 0x00, 0 },  { "AF_INET", 2, 0x10, AF_INET }, { "AF_INET6", 2, 0x20, AF_INET6 },
    { "AF_UNIX", 2, 0x30, AF_UNIX },
};

struct proxy_header {
    struct probe_plan *p;
    int version;
    struct err *e;
};

static bool fail(const struct proxy_header *h, const char *hint, const char *what, const char *value)
{
    err_set(h->e, FAULT_USAGE, what, value);
    err_stage(h->e, STAGE_PROXY);
    return err_hint(h->e, "%s", hint);
}

static const char *text(const struct proxy_header *h, const char *option)
{
    return said_text(h->p->said, option);
}

static const struct family *family(const struct proxy_header *h)
{
    const char *name = text(h, "proxy_family");
    if (!name) {
        fail(h, "--proxy-family, --proxy-source, --proxy-source-port, --proxy-dest and --proxy-dest-port go together",
             "the PROXY header has no '--proxy-%s'", "family");
        return NULL;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (ascii_ieq(name, families[i].name) && families[i].version == h->version)
            return &families[i];
    fail(h, h->version == 1 ? "write TCP4, TCP6 or UNKNOWN" : "write AF_UNSPEC, AF_INET, AF_INET6 or AF_UNIX",
         h->version == 1 ? "'--proxy-family' cannot be '%s' in version 1"
                         : "'--proxy-family' cannot be '%s' in version 2",
         name);
    return NULL;
}

/* The value of an option that has to be there. */
static const char *need(const struct proxy_header *h, const char *option)
{
    const char *value = text(h, option);
    struct buf name = BUF_INIT;
    for (const char *c = option; *c; c++)
        buf_addc(&name, *c == '_' ? '-' : *c);
    if (!value)
        fail(h, "--proxy-family, --proxy-source, --proxy-source-port, --proxy-dest and --proxy-dest-port go together",
             "the PROXY header has no '--%s'", name.data);
    buf_free(&name);
    return value;
}

/* The place of a word in a list; -1: *e is set. */
static int word(const struct proxy_header *h, const char *option, const char *const *words, int standard,
                const char *hint)
{
    const char *value = text(h, option);
    for (int i = 0; value && words[i]; i++)
        if (ascii_ieq(value, words[i]))
            return i;
    if (value)
        fail(h, hint, "'%s' is no word for the PROXY header", value);
    return value ? -1 : standard;
}

/* ---- version 1 ---- */

static bool line(const struct proxy_header *h, struct buf *out)
{
    static const char *const options[] = { "proxy_source", "proxy_dest", "proxy_source_port", "proxy_dest_port" };
    const struct family *f = family(h);
    if (!f)
        return false;
    buf_printf(out, "PROXY %s", f->name);
    for (size_t i = 0; f->af && i < sizeof options / sizeof *options; i++) {
        const char *value = need(h, options[i]);
        if (!value)
            return false;
        buf_printf(out, " %s", value);
    }
    return true;
}

/* ---- version 2 ---- */

static void add16(struct buf *out, size_t n)
{
    buf_addc(out, (char)(n >> 8));
    buf_addc(out, (char)n);
}

static bool add_address(const struct proxy_header *h, const char *option, int af, struct buf *out)
{
    const char *value = need(h, option);
    char octets[sizeof(struct in6_addr)];
    if (!value)
        return false;
    if (inet_pton(af, value, octets) != 1)
        return fail(h, af == AF_INET ? "write it as 192.0.2.1" : "write it as 2001:db8::1",
                    "'%s' is no address of its family", value);
    buf_add(out, octets, af == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr));
    return true;
}

static bool add_path(const struct proxy_header *h, const char *option, struct buf *out)
{
    char path[UNIX_PATH] = { 0 };
    const char *value = need(h, option);
    if (!value)
        return false;
    if (strlen(value) > sizeof path)
        return fail(h, "it has room for 108 octets", "'%s' is too long for the path of a unix socket", value);
    memcpy(path, value, strlen(value));
    buf_add(out, path, sizeof path);
    return true;
}

static bool add_port(const struct proxy_header *h, const char *option, struct buf *out)
{
    const char *value = need(h, option);
    long long port;
    if (!value)
        return false;
    if (!ascii_number(value, 0, 65535, &port))
        return fail(h, "it is a number from 0 to 65535", "'%s' is no port", value);
    add16(out, (size_t)port);
    return true;
}

static bool add_addresses(const struct proxy_header *h, const struct family *f, struct buf *out)
{
    if (f->af == 0)
        return true;
    if (f->af == AF_UNIX)
        return add_path(h, "proxy_source", out) && add_path(h, "proxy_dest", out);
    return add_address(h, "proxy_source", f->af, out) && add_address(h, "proxy_dest", f->af, out) &&
           add_port(h, "proxy_source_port", out) && add_port(h, "proxy_dest_port", out);
}

static bool octets(const struct proxy_header *h, struct buf *out)
{
    static const char *const commands[] = { "LOCAL", "PROXY", NULL };
    static const char *const transports[] = { "UNSPEC", "STREAM", "DGRAM", NULL };
    int command = word(h, "proxy_command", commands, 1, "write LOCAL or PROXY");
    int transport = word(h, "proxy_protocol", transports, 1, "write UNSPEC, STREAM or DGRAM");
    if (command < 0 || transport < 0)
        return false;
    buf_add(out, signature, sizeof signature);
    if (command == 0) { /* the connection is the proxy's own: there is nothing to say of it */
        buf_addc(out, COMMAND_LOCAL);
        buf_addc(out, 0);
        add16(out, 0);
        return true;
    }
    const struct family *f = family(h);
    struct buf addresses = BUF_INIT;
    bool ok = f && add_addresses(h, f, &addresses);
    if (ok) {
        buf_addc(out, COMMAND_PROXY);
        buf_addc(out, (char)(f->af ? f->code + transport : 0));
        add16(out, addresses.len);
        buf_addbuf(out, &addresses);
    }
    buf_free(&addresses);
    return ok;
}

/* ---- as it was said ---- */

/* An argument cannot hold every octet: \xHH, \r, \n and \\ stand for them. */
static void unescape(const char *s, struct buf *out)
{
    for (; *s; s++) {
        struct buf octet = BUF_INIT;
        if (s[0] == '\\' && s[1] == 'x' && s[2] && s[3] && hex_decode(&octet, s + 2, 2)) {
            buf_addbuf(out, &octet);
            s += 3;
        } else if (s[0] == '\\' && (s[1] == 'r' || s[1] == 'n' || s[1] == '\\')) {
            s++;
            buf_addc(out, *s == 'r' ? '\r' : *s == 'n' ? '\n' : '\\');
        } else {
            buf_addc(out, *s);
        }
        buf_free(&octet);
    }
}

static void raw(const struct proxy_header *h, const char *value, struct buf *out)
{
    if (h->version == 2) {
        buf_add(out, signature, sizeof signature);
        unescape(value, out);
    } else {
        buf_printf(out, "PROXY %s", value);
    }
}

static bool any_said(const struct probe_options *said, bool *parts)
{
    *parts = false;
    for (size_t i = 0; i < said->n; i++)
        *parts |= said->v[i].o->name && strncmp(said->v[i].o->name, "proxy_", 6) == 0 &&
                  !said_is(&said->v[i], "proxy_version");
    return *parts || said_text(said, "proxy");
}

bool probe_proxy(struct probe_plan *p, struct err *e)
{
    const char *version = said_text(p->said, "proxy_version"), *said = said_text(p->said, "proxy");
    struct proxy_header h = { p, version && strcmp(version, "2") == 0 ? 2 : 1, e };
    bool parts;
    if (version && strcmp(version, "1") != 0 && strcmp(version, "2") != 0)
        return fail(&h, "write 1 or 2", "'%s' is no version of the PROXY header", version);
    if (!any_said(p->said, &parts))
        return true;
    if (said && parts)
        return fail(&h, "--proxy says all of it; only --proxy-version goes with it",
                    "'--proxy' does not go with '--proxy-%s'", "family …");
    if (said && h.version == 1 && strpbrk(said, "\r\n"))
        return fail(&h, "the server would take what follows for a command", "'%s' holds a line break", "--proxy");
    if (said)
        raw(&h, said, &p->preamble);
    else if (!(h.version == 1 ? line(&h, &p->preamble) : octets(&h, &p->preamble)))
        return false;
    if (h.version == 1) {
        p->preamble_line = xstrndup(p->preamble.data, p->preamble.len);
        buf_adds(&p->preamble, "\r\n");
    } else {
        struct buf shown = BUF_INIT;
        base64_encode(&shown, p->preamble.data, p->preamble.len);
        p->preamble_line = buf_steal(&shown);
    }
    p->probe.preamble = &p->preamble;
    p->probe.preamble_line = p->preamble_line;
    return true;
}
