/* here: asks the kernel for a route by connecting a socket of UDP, which sends nothing. */
#include "net/here.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

static bool is_global(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        in_addr_t host = ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr);
        return host >> 24 != 127 && host >> 16 != 0xa9fe; /* 169.254: of the link */
    }
    const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
    return !IN6_IS_ADDR_LOOPBACK(six) && !IN6_IS_ADDR_LINKLOCAL(six);
}

static bool has_address(int family)
{
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) < 0)
        return false;
    for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next)
        found = i->ifa_addr && i->ifa_addr->sa_family == family && (i->ifa_flags & IFF_UP) && is_global(i->ifa_addr);
    freeifaddrs(list);
    return found;
}

/* An address of the Internet: a.root-servers.net's. */
static socklen_t somewhere(int family, union address *a)
{
    *a = (union address){ 0 };
    if (family == AF_INET) {
        a->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(9) };
        inet_pton(AF_INET, "198.41.0.4", &a->in.sin_addr);
        return sizeof a->in;
    }
    a->in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(9) };
    inet_pton(AF_INET6, "2001:503:ba3e::2:30", &a->in6.sin6_addr);
    return sizeof a->in6;
}

struct here here_look(int family)
{
    struct here h = { .address = has_address(family) };
    union address a;
    socklen_t len = somewhere(family, &a);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    h.route = fd >= 0 && connect(fd, &a.any, len) == 0;
    h.reason = h.route ? 0 : errno;
    if (fd >= 0)
        close(fd);
    return h;
}
