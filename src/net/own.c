/* own: the addresses of this machine, by getifaddrs. */
#include "net/own.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ascii.h"
#include "base/codec.h"

/* Both families as 16 octets, IPv4 mapped (RFC 4291 2.5.5.2). */
static bool octets_of(const char *address, struct in6_addr *out)
{
    unsigned char octets[IP_MAX];
    const size_t n = ip_decode(octets, address);
    *out = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
    memcpy(out->s6_addr + sizeof octets - n, octets, n);
    return n > 0;
}

void own_addresses(struct strlist *own)
{
    struct ifaddrs *list;
    char text[INET6_ADDRSTRLEN];
    if (getifaddrs(&list) < 0)
        return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *octets = family == AF_INET    ? (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
                             : family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr
                                                  : NULL;
        if (octets && inet_ntop(family, octets, text, sizeof text))
            strlist_add(own, text);
    }
    freeifaddrs(list);
}

static bool same(const struct in6_addr *octets, const char *address)
{
    struct in6_addr other;
    return octets_of(address, &other) && memcmp(octets, &other, sizeof other) == 0;
}

bool own_has(const struct strlist *own, const char *address)
{
    static const char *const always[] = { "127.0.0.1", "::1", "0.0.0.0", "::" };
    struct in6_addr octets;
    if (!octets_of(address, &octets))
        return false;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (same(&octets, always[i]))
            return true;
    for (size_t i = 0; i < own->n; i++)
        if (same(&octets, own->v[i]))
            return true;
    return false;
}

bool own_name(const char *host)
{
    static const char name[] = "localhost";
    size_t n = strlen(host), tail = strlen(name);
    if (n > 0 && host[n - 1] == '.')
        n--;
    if (n < tail || !ascii_ieqn(host + n - tail, name, tail))
        return false;
    return n == tail || host[n - tail - 1] == '.';
}

/* The first `bits` of the 16 octets are those of `net`. */
static const struct { const char *net; int bits; } hidden[] = {
    { "0.0.0.0", 104 },    { "10.0.0.0", 104 },   { "100.64.0.0", 106 },  { "127.0.0.0", 104 },
    { "169.254.0.0", 112 }, { "172.16.0.0", 108 }, { "192.168.0.0", 112 }, { "224.0.0.0", 99 },
    { "::", 128 },         { "::1", 128 },        { "fc00::", 7 },        { "fe80::", 10 },
    { "ff00::", 8 },
};

static bool begins(const struct in6_addr *octets, const struct in6_addr *net, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    return memcmp(octets, net, (size_t)whole) == 0
           && (rest == 0 || (octets->s6_addr[whole] ^ net->s6_addr[whole]) >> (8 - rest) == 0);
}

bool own_is_public(const char *address)
{
    struct in6_addr octets, net;
    if (!octets_of(address, &octets))
        return false;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (octets_of(hidden[i].net, &net) && begins(&octets, &net, hidden[i].bits))
            return false;
    return true;
}
