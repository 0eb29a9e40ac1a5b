/* listen: sockets that wait for connections, for sink. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "net/dial.h"

enum { BACKLOG = 1024 }; /* the kernel has its own limit */

static int listen_failed(struct err *e, int fd, const char *spec)
{
    int reason = errno;
    if (fd >= 0)
        close(fd);
    err_sys(e, FAULT_UNAVAILABLE, reason, "cannot listen on '%s'", spec);
    if (reason == EADDRINUSE)
        err_hint(e, "another program listens there; choose another port, or 0 for any free one");
    else if (reason == EACCES)
        err_hint(e, "ports below 1024 need root; 2525 is a common choice for tests");
    else if (reason == EADDRNOTAVAIL)
        err_hint(e, "the address must be one of this machine");
    return -1;
}

/* A socket file that nobody answers on is left over from a run that was killed. */
static void remove_stale(const struct sockaddr_un *a, socklen_t len)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)a, len) < 0 && errno == ECONNREFUSED)
        unlink(a->sun_path);
    close(fd);
}

static int listen_unix_failed(struct err *e, int fd, const char *path)
{
    int reason = errno;
    struct stat st;
    bool socket = lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
    close(fd);
    err_sys(e, FAULT_UNAVAILABLE, reason, "cannot listen on '%s'", path);
    if (reason == EADDRINUSE)
        err_hint(e, socket ? "another program listens there; end it, or choose another path"
                           : "there is something that is no socket; remove it, or choose another path");
    else if (reason == ENOENT || reason == EACCES)
        err_hint(e, "its directory must exist, and be one that you may write to");
    return -1;
}

static int listen_unix(const char *path, struct err *e)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof a.sun_path) {
        err_set(e, FAULT_CONFIG, "the socket path '%s' is longer than %zu octets", path, sizeof a.sun_path - 1);
        return -1;
    }
    memcpy(a.sun_path, path, strlen(path) + 1);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_failed(e, -1, path);

    remove_stale(&a, len);
    mode_t before = umask(0177); /* never open to others, not even for a moment */
    int rc = bind(fd, (struct sockaddr *)&a, len);
    umask(before);
    if (rc < 0 || listen(fd, BACKLOG) < 0)
        return listen_unix_failed(e, fd, path);
    return fd;
}

/* "host:port", "[v6]:port", ":port" or "port" into a host, loopback when none is named, and a port. */
static bool split_spec(const char *spec, char **host, int *port)
{
    const char *colon = strrchr(spec, ':');
    const char *number = colon ? colon + 1 : spec;
    size_t len = colon ? (size_t)(colon - spec) : 0;
    long long value;
    if (!ascii_number(number, 0, 65535, &value))
        return false;
    if (len >= 2 && spec[0] == '[' && spec[len - 1] == ']')
        *host = xstrndup(spec + 1, len - 2);
    else if (memchr(spec, ':', len))
        return false;
    else
        *host = len > 0 ? xstrndup(spec, len) : xstrdup("127.0.0.1");
    *port = (int)value;
    return true;
}

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

static int bound_port(int fd)
{
    union address a = { 0 };
    socklen_t len = sizeof a;
    getsockname(fd, &a.any, &len);
    return ntohs(a.any.sa_family == AF_INET6 ? a.in6.sin6_port : a.in.sin_port);
}

static int listen_address(const struct addrinfo *a, const char *spec, struct err *e)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_failed(e, -1, spec);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return listen_failed(e, fd, spec);
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){ BACKLOG }, sizeof(int)); /* where the system has it */
    return fd;
}

int listen_on(const char *spec, int *port, struct err *e)
{
    *port = 0;
    if (spec[0] == '/')
        return listen_unix(spec, e);

    char *host;
    if (!split_spec(spec, &host, port)) {
        err_set(e, FAULT_USAGE, "'%s' is not an address to listen on", spec);
        err_hint(e, "write HOST:PORT, [IPV6]:PORT, PORT for 127.0.0.1, or the /path of a unix socket");
        return -1;
    }
    char number[8];
    snprintf(number, sizeof number, "%d", *port);
    struct addrinfo wanted = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_PASSIVE }, *list;
    int rc = getaddrinfo(host, number, &wanted, &list);
    int fd = -1;
    if (rc != 0) {
        err_set(e, FAULT_NO_HOST, "cannot listen on '%s': %s", spec, gai_strerror(rc));
    } else {
        fd = listen_address(list, spec, e);
        freeaddrinfo(list);
    }
    free(host);
    if (fd >= 0)
        *port = bound_port(fd);
    return fd;
}

char *listen_spec(int fd, int *port)
{
    union address a = { 0 };
    socklen_t len = sizeof a - 1; /* a unix path may come without NUL */
    char text[INET6_ADDRSTRLEN] = "";
    *port = 0;
    if (getsockname(fd, &a.any, &len) < 0)
        return xstrdup("");
    if (a.any.sa_family == AF_UNIX)
        return xasprintf("/%s", a.un.sun_path + (a.un.sun_path[0] == '/'));
    *port = bound_port(fd);
    if (a.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text);
        return xasprintf("[%s]:%d", text, *port);
    }
    inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof text);
    return xasprintf("%s:%d", text, *port);
}

static bool prepare_inherited(int fd, struct err *e)
{
    int type = 0, listening = 0, flags = fcntl(fd, F_GETFL);
    socklen_t len = sizeof(int);
    if (flags < 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0
        || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || type != SOCK_STREAM || !listening) {
        err_set(e, FAULT_CONFIG, "the inherited descriptor %d is not a stream socket that listens", fd);
        return err_hint(e, "in a systemd unit this wants ListenStream= and Accept=no");
    }
    if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_sys(e, FAULT_SYSTEM, errno, "cannot use the inherited descriptor %d", fd);
    return true;
}

bool listen_inherited(struct strlist *names, struct err *e)
{
    enum { MOST = 1000 };
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *told = getenv("LISTEN_FDNAMES");
    long long process, n = 0;
    bool ok = true;
    if (!pid || !fds || !ascii_number(pid, 1, INT_MAX, &process) || process != getpid()
        || !ascii_number(fds, 1, MOST, &n))
        return true;
    for (int i = 0; i < n && ok; i++) {
        size_t length = told ? strcspn(told, ":") : 0;
        strlist_addn(names, told ? told : "", length);
        told = told && told[length] ? told + length + 1 : NULL;
        ok = prepare_inherited(LISTEN_FIRST + i, e);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return ok;
}

struct stream *listen_accept(int fd, struct err *e)
{
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (accepted >= 0)
        return stream_new(accepted, accepted);
    /* accept(2): errors of the connection, not of the listener, are as if there had been none. */
    switch (errno) {
    case EAGAIN: case EINTR: case ECONNABORTED: case ENETDOWN: case EPROTO: case ENOPROTOOPT: case EHOSTDOWN:
    case ENONET: case EHOSTUNREACH: case EOPNOTSUPP: case ENETUNREACH:
        return NULL;
    }
    err_sys(e, FAULT_SYSTEM, errno, "cannot accept a connection");
    return NULL;
}
