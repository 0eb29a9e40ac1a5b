/* dial: Happy Eyeballs (RFC 8305) over the answers of resolve, then the proxy's part of the dialogue.
 * Must not know of TLS or SMTP. */
#include "net/dial_private.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "net/child.h"
#include "net/transport.h"

#define STAGGER (250 * USEC_PER_SEC / 1000)         /* RFC 8305 5: Connection Attempt Delay */
#define RESOLUTION_DELAY (50 * USEC_PER_SEC / 1000) /* RFC 8305 3: how long A waits for AAAA */
#define UNIX_RETRY (50 * USEC_PER_SEC / 1000)       /* a unix socket's full backlog cannot be polled */
enum { ADDRESSES_MAX = 64 };

/* --- addresses ------------------------------------------------------------------------------------------------ */

static void add_attempt(struct dial *d, const void *address, socklen_t len, size_t at)
{
    struct attempt a = { .len = len, .fd = -1 };
    memcpy(&a.address, address, len);
    if (a.address.any.sa_family == AF_UNIX) {
        a.text = xstrdup(a.address.un.sun_path);
    } else {
        char text[INET6_ADDRSTRLEN + 20] = "?";
        getnameinfo(&a.address.any, len, text, sizeof text, NULL, 0, NI_NUMERICHOST);
        a.text = xstrdup(text);
    }
    d->attempts = xrealloc(d->attempts, (d->n + 1) * sizeof *d->attempts);
    memmove(d->attempts + at + 1, d->attempts + at, (d->n - at) * sizeof *d->attempts);
    d->attempts[at] = a;
    d->n++;
}

/* The place of the next address of a family: families alternate among the attempts not begun (RFC 8305 4). */
static size_t place_for(const struct dial *d, int family)
{
    size_t begun = 0, own = 0, at;
    while (begun < d->n && d->attempts[begun].begun)
        begun++;
    for (size_t i = begun; i < d->n; i++)
        own += d->attempts[i].address.any.sa_family == family;
    bool first = begun > 0 ? d->attempts[begun - 1].address.any.sa_family != family : family == AF_INET6;
    at = begun + 2 * own + !first;
    return at < d->n ? at : d->n;
}

static void add_addresses(struct dial *d, const struct addrinfo *list)
{
    for (; list && d->n < ADDRESSES_MAX; list = list->ai_next)
        if (list->ai_addrlen <= sizeof(union address))
            add_attempt(d, list->ai_addr, list->ai_addrlen, place_for(d, list->ai_family));
}

static void tell_lookup(const struct dial *d, const struct addrinfo *list)
{
    if (!list || !d->p.hub || !hub_wants(d->p.hub, EV_LOOKUP))
        return;
    struct strlist texts = STRLIST_INIT;
    char text[INET6_ADDRSTRLEN + 20];
    for (; list; list = list->ai_next)
        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) == 0)
            strlist_add(&texts, text);
    emit(d->p.hub, d->p.connection, EV_LOOKUP, F_STR("host", d->host), F_LIST("addresses", &texts));
    strlist_free(&texts);
}

/* --- beginning ------------------------------------------------------------------------------------------------ */

static bool start_unix(struct dial *d)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t len = strlen(d->p.unix_path);
    if (len >= sizeof a.sun_path)
        return err_set(&d->early, FAULT_CONFIG, "the socket path '%s' is longer than %zu octets", d->p.unix_path,
                       sizeof a.sun_path - 1);
    memcpy(a.sun_path, d->p.unix_path, len);
    add_attempt(d, &a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1), 0);
    return true;
}

static bool set_source(struct dial *d)
{
    if (!d->p.source_ip)
        return true;
    struct addrinfo *a = resolve_numeric(d->p.source_ip, d->p.source_port, AF_UNSPEC);
    if (!a) {
        err_set(&d->early, FAULT_CONFIG, "the source address '%s' is not an IP address", d->p.source_ip);
        return err_hint(&d->early, "set 'source_ip' to an address of this machine");
    }
    memcpy(&d->source, a->ai_addr, a->ai_addrlen);
    d->source_len = a->ai_addrlen;
    int family = a->ai_family;
    freeaddrinfo(a);
    if (d->p.family != AF_UNSPEC && d->p.family != family) {
        err_set(&d->early, FAULT_CONFIG, "the source address '%s' is not of the wanted family", d->p.source_ip);
        return err_hint(&d->early, "leave out -4 or -6, or 'source_ip'");
    }
    d->p.family = family;
    return true;
}

static bool ask(struct dial *d, struct lookup *l, int flags)
{
    l->status = 0;
    l->running = resolve_start(d->host, d->port, l->family, flags);
    return l->running || err_sys(&d->early, FAULT_SYSTEM, errno, "cannot look up '%s'", d->host);
}

/* RFC 6761 6.3: that name is this machine's, so nobody is asked, who might know better. */
static void add_loopback(struct dial *d)
{
    static const char *const addresses[FAMILIES] = { [V6] = "::1", [V4] = "127.0.0.1" };
    for (int i = 0; i < FAMILIES; i++) {
        struct addrinfo *numeric = resolve_numeric(addresses[i], d->port, d->p.family);
        if (!numeric)
            continue;
        tell_lookup(d, numeric);
        add_addresses(d, numeric);
        freeaddrinfo(numeric);
    }
}

static bool start_lookups(struct dial *d)
{
    const char *where = d->p.address && d->p.proxy == PROXY_NONE ? d->p.address : d->host;
    struct addrinfo *numeric = resolve_numeric(where, d->port, AF_UNSPEC);
    if (numeric) {
        bool fits = d->p.family == AF_UNSPEC || numeric->ai_family == d->p.family;
        if (fits)
            add_addresses(d, numeric);
        freeaddrinfo(numeric);
        if (fits)
            return true;
        err_set(&d->early, FAULT_CONFIG, "'%s' is not an IPv%d address", where, d->p.family == AF_INET ? 4 : 6);
        return err_hint(&d->early, "-4, -6 and 'source_ip' limit the family");
    }
    if (ascii_ieq(d->host, "localhost")) {
        add_loopback(d);
        return true;
    }
    d->interfaces_only = d->p.family == AF_UNSPEC; /* a machine without IPv6 need not ask for AAAA */
    for (int i = 0; i < FAMILIES; i++) {
        struct lookup *l = &d->lookups[i];
        if (d->p.family != AF_UNSPEC && d->p.family != l->family)
            continue;
        if (!ask(d, l, i == V6 && d->interfaces_only ? AI_ADDRCONFIG : 0))
            return false;
    }
    return true;
}

static char *without_brackets(const char *host)
{
    size_t len = host ? strlen(host) : 0;
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']')
        return xstrndup(host + 1, len - 2);
    return xstrdup(host ? host : "");
}

static char *command_line(char *const *argv)
{
    struct buf line = BUF_INIT;
    for (; *argv; argv++)
        buf_printf(&line, "%s%s", line.len > 0 ? " " : "", *argv);
    return buf_steal(&line);
}

struct dial *dial_start(const struct dial_params *p)
{
    struct dial *d = xcalloc(1, sizeof *d);
    d->p = *p;
    d->delay_end = USEC_NEVER;
    d->lookups[V6].family = AF_INET6;
    d->lookups[V4].family = AF_INET;
    if (d->p.unix_path || d->p.command)
        d->p.proxy = PROXY_NONE;
    if (d->p.command) {
        d->host = command_line(d->p.command);
        return d;
    }
    if (d->p.unix_path) {
        d->host = xstrdup(d->p.unix_path);
        start_unix(d);
        return d;
    }
    bool proxied = d->p.proxy != PROXY_NONE;
    d->host = without_brackets(proxied ? p->proxy_host : p->host);
    d->port = proxied ? p->proxy_port : p->port;
    if (!*d->host)
        err_set(&d->early, FAULT_CONFIG, "no host to connect to");
    else if (set_source(d))
        start_lookups(d);
    return d;
}

/* --- lookups -------------------------------------------------------------------------------------------------- */

static void take_answers(struct dial *d)
{
    for (int i = 0; i < FAMILIES; i++) {
        struct lookup *l = &d->lookups[i];
        const struct addrinfo *list;
        if (!l->running || !resolve_done(l->running, &l->status, &l->errno_value, &list))
            continue;
        if (l->status == 0) {
            tell_lookup(d, list);
            add_addresses(d, list);
        }
        resolve_free(l->running);
        l->running = NULL;
        if (i == V4 && d->n > 0 && d->lookups[V6].running)
            d->delay_end = clock_now() + RESOLUTION_DELAY;
    }
    bool over = !d->lookups[V6].running && !d->lookups[V4].running;
    if (over && d->n == 0 && d->interfaces_only) { /* it may have an IPv6 address only */
        d->interfaces_only = false;
        ask(d, &d->lookups[V6], 0);
    }
}

/* Does the first attempt still wait for a name's AAAA? */
static bool holds_back(const struct dial *d)
{
    bool only_v4 = d->n > 0 && !d->attempts[0].begun && d->attempts[0].address.any.sa_family == AF_INET;
    return only_v4 && d->lookups[V6].running && clock_now() < d->delay_end;
}

static bool lookups_running(const struct dial *d)
{
    return d->lookups[V6].running || d->lookups[V4].running;
}

/* --- attempts ------------------------------------------------------------------------------------------------- */

/* A unix socket or a command has neither address nor port. */
static void tell(const struct dial *d, enum event_kind kind, const char *address, const char *reason, int number)
{
    bool numbered = !d->p.unix_path && !d->p.command;
    emit(d->p.hub, d->p.connection, kind, F_STR("host", d->host), F_STR("address", numbered ? address : NULL),
         F_INT_IF("port", numbered, d->port), F_STR("reason", reason),
         F_INT_IF("errno", number, number),
         F_STR("local", kind == EV_CONNECTED && numbered ? stream_local(d->stream) : NULL));
}

static void attempt_failed(struct dial *d, struct attempt *a, int reason)
{
    a->reason = reason;
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    d->next = 0; /* RFC 8305 5: the next one at once */
    tell(d, EV_CONNECT_FAILED, a->text, strerror(reason), reason);
}

/* Attempts side by side may have the same port of ours: they go to different places. */
static bool bind_source(const struct dial *d, const struct attempt *a)
{
    union address own = d->source;
    socklen_t len = d->source_len;
    bool chosen = d->p.source_port > 0;
    if (d->p.unix_path || (len == 0 && !chosen))
        return true;
    if (len == 0) {
        own.any.sa_family = a->address.any.sa_family;
        len = a->len;
        if (own.any.sa_family == AF_INET)
            own.in.sin_port = htons((uint16_t)d->p.source_port);
        else
            own.in6.sin6_port = htons((uint16_t)d->p.source_port);
    }
    if (chosen)
        setsockopt(a->fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    else
        setsockopt(a->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
    return bind(a->fd, &own.any, len) == 0;
}

/* Without data to send this is connect() in all but the cookie: it is done, and fails, when connect() is and does. */
static bool connect_fast(const struct dial *d, const struct attempt *a)
{
    return d->p.fast_open && a->address.any.sa_family != AF_UNIX
           && (sendto(a->fd, "", 0, MSG_FASTOPEN | MSG_NOSIGNAL, &a->address.any, a->len) == 0 || errno == EINPROGRESS);
}

static void begin_attempt(struct dial *d, struct attempt *a)
{
    a->begun = true;
    d->next = clock_now() + STAGGER;
    tell(d, EV_CONNECTING, a->text, NULL, 0);
    a->fd = socket(a->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (a->fd < 0) {
        attempt_failed(d, a, errno);
        return;
    }
    if (d->p.mss > 0 && !d->p.unix_path)
        setsockopt(a->fd, IPPROTO_TCP, TCP_MAXSEG, &d->p.mss, sizeof d->p.mss);
    if (!bind_source(d, a)) {
        d->source_reason = errno;
        attempt_failed(d, a, errno);
        return;
    }
    if (connect_fast(d, a) || connect(a->fd, &a->address.any, a->len) == 0 || errno == EINPROGRESS || errno == EINTR)
        return;
    if (errno == EAGAIN && a->address.any.sa_family == AF_UNIX) {
        close(a->fd);
        a->fd = -1;
        a->begun = false;
        d->next = clock_now() + UNIX_RETRY;
        return;
    }
    attempt_failed(d, a, errno);
}

/* Connected? A failure is recorded. */
static bool connected(struct dial *d, struct attempt *a)
{
    struct pollfd p = { .fd = a->fd, .events = POLLOUT };
    if (poll(&p, 1, 0) <= 0)
        return false;
    int reason = 0;
    getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &reason, &(socklen_t){ sizeof reason });
    if (reason == 0)
        return true;
    attempt_failed(d, a, reason);
    return false;
}

static void stop_trying(struct dial *d)
{
    for (size_t i = 0; i < d->n; i++) {
        if (d->attempts[i].fd >= 0)
            close(d->attempts[i].fd);
        d->attempts[i].fd = -1;
    }
    for (int i = 0; i < FAMILIES; i++) {
        resolve_free(d->lookups[i].running);
        d->lookups[i].running = NULL;
    }
}

/* While its lookup is under way a family may have addresses. */
static bool has_family(const struct dial *d, int family)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->attempts[i].address.any.sa_family == family)
            return true;
    for (int i = 0; i < FAMILIES; i++)
        if (d->lookups[i].running && d->lookups[i].family == family)
            return true;
    return false;
}

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
    return ntohl(a->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static void remember_families(struct dial *d, const struct attempt *winner)
{
    int family = winner->address.any.sa_family, other = family == AF_INET6 ? AF_INET : AF_INET6;
    if (family == AF_UNIX || d->p.proxy != PROXY_NONE || is_loopback(&winner->address))
        return;
    d->family = family;
    d->other = has_family(d, other) ? other : 0;
}

static void won(struct dial *d, struct attempt *winner)
{
    remember_families(d, winner);
    d->stream = stream_new(winner->fd, winner->fd);
    winner->fd = -1;
    stop_trying(d);
    tell(d, EV_CONNECTED, winner->text, NULL, 0);
}

static struct attempt *first_to_begin(const struct dial *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->attempts[i].begun)
            return &d->attempts[i];
    return NULL;
}

static bool attempts_running(const struct dial *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->attempts[i].fd >= 0)
            return true;
    return false;
}

static enum io step_attempts(struct dial *d, struct err *e)
{
    take_answers(d);
    if (d->early.fault != FAULT_NONE) {
        err_move(e, &d->early);
        return IO_ERROR;
    }
    for (size_t i = 0; i < d->n && !d->stream; i++)
        if (d->attempts[i].fd >= 0 && connected(d, &d->attempts[i]))
            won(d, &d->attempts[i]);

    struct attempt *a;
    while (!d->stream && !holds_back(d) && clock_now() >= d->next && (a = first_to_begin(d))) {
        begin_attempt(d, a);
        if (a->fd >= 0 && connected(d, a)) /* loopback and unix sockets connect at once */
            won(d, a);
    }
    if (d->stream)
        return IO_DONE;
    if (attempts_running(d) || lookups_running(d) || first_to_begin(d))
        return IO_AGAIN;
    return d->n > 0 ? dial_explain_connect(d, FAULT_CONNECT, e) : dial_explain_lookup(d, e);
}

/* --- the proxy ------------------------------------------------------------------------------------------------ */

static const char *const proxy_names[] = { [PROXY_SOCKS5] = "SOCKS5", [PROXY_HTTP] = "HTTP CONNECT" };

static enum io proxy_failed(const struct dial *d, struct err *e)
{
    err_stage(e, STAGE_PROXY);
    if (e->fault == FAULT_LOST)
        err_hint(e, "is there a %s proxy on '%s' port %d?", proxy_names[d->p.proxy], d->host, d->port);
    return IO_ERROR;
}

static enum io send_to_proxy(struct dial *d, struct err *e)
{
    while (d->proxy.out.len > 0) {
        size_t n;
        enum io io = stream_writev(d->stream, &(struct iovec){ d->proxy.out.data, d->proxy.out.len }, 1, &n, e);
        if (io != IO_DONE)
            return io;
        buf_drop(&d->proxy.out, n);
    }
    return IO_DONE;
}

/* Looks before it takes: what follows the proxy's answer belongs to the target. */
static enum io hear_proxy(struct dial *d, enum proxy_status *status, struct err *e)
{
    char data[1024];
    size_t used;
    ssize_t got;
    do
        got = recv(d->stream->fd_in, data, sizeof data, MSG_PEEK);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return IO_AGAIN;
    if (got < 0)
        err_sys(e, FAULT_LOST, errno, "the connection to the proxy '%s' broke", d->host);
    else if (got == 0)
        err_set(e, FAULT_LOST, "the proxy '%s' closed the connection", d->host);
    if (got <= 0)
        return IO_ERROR;

    *status = proxy_feed(&d->proxy, data, (size_t)got, &used, e);
    if (recv(d->stream->fd_in, data, used, 0) != (ssize_t)used) {
        err_set(e, FAULT_LOST, "the connection to the proxy '%s' broke", d->host);
        return IO_ERROR;
    }
    return *status == PROXY_FAILED ? IO_ERROR : IO_DONE;
}

static enum io step_proxy(struct dial *d, struct err *e)
{
    enum proxy_status status = PROXY_MORE;
    while (status == PROXY_MORE) {
        enum io io = send_to_proxy(d, e);
        if (io == IO_DONE)
            io = hear_proxy(d, &status, e);
        if (io == IO_AGAIN)
            return io;
        if (io != IO_DONE)
            return proxy_failed(d, e);
    }
    proxy_free(&d->proxy);
    return IO_DONE;
}

static bool start_proxy(struct dial *d, struct err *e)
{
    d->target = without_brackets(d->p.host);
    d->proxying = true;
    emit(d->p.hub, d->p.connection, EV_PROXY, F_STR("type", proxy_names[d->p.proxy]), F_STR("host", d->host),
         F_INT("port", d->port), F_STR("target", d->target));
    return proxy_start(&d->proxy, d->p.proxy, d->target, d->p.port, d->p.proxy_user, d->p.proxy_password, e);
}

/* --- a child process ------------------------------------------------------------------------------------------ */

static enum io start_command(struct dial *d, struct err *e)
{
    struct child child;
    tell(d, EV_CONNECTING, NULL, NULL, 0);
    if (!child_start(&child, d->p.command, e)) {
        tell(d, EV_CONNECT_FAILED, NULL, e->text, 0);
        return IO_ERROR;
    }
    d->stream = stream_new(child.in, child.out);
    d->stream->child = child.pid;
    tell(d, EV_CONNECTED, NULL, NULL, 0);
    return IO_DONE;
}

/* --- the preamble --------------------------------------------------------------------------------------------- */

static enum io send_preamble(struct dial *d, struct err *e)
{
    const struct buf *b = d->p.preamble;
    while (b && d->preamble_sent < b->len) {
        size_t n;
        struct iovec rest = { b->data + d->preamble_sent, b->len - d->preamble_sent };
        enum io io = stream_writev(d->stream, &rest, 1, &n, e);
        if (io == IO_ERROR)
            err_stage(e, STAGE_CONNECT);
        if (io != IO_DONE)
            return io;
        d->preamble_sent += n;
    }
    return IO_DONE;
}

/* --- the verbs ------------------------------------------------------------------------------------------------ */

static enum io out_of_time(struct dial *d, struct err *e)
{
    if (d->open) {
        err_set(e, FAULT_TIMEOUT, "'%s' did not take the first octets in time", d->host);
        err_stage(e, STAGE_CONNECT);
        return IO_ERROR;
    }
    if (d->stream) {
        err_set(e, FAULT_TIMEOUT, "the proxy '%s' did not answer in time", d->host);
        err_stage(e, STAGE_PROXY);
        return IO_ERROR;
    }
    if (d->n == 0) {
        err_set(e, FAULT_TIMEOUT, "looking up '%s' took too long", d->host);
        err_hint(e, "does the name server in /etc/resolv.conf answer?");
        err_stage(e, STAGE_LOOKUP);
        return IO_ERROR;
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->attempts[i].fd >= 0)
            attempt_failed(d, &d->attempts[i], ETIMEDOUT);
    return dial_explain_connect(d, FAULT_TIMEOUT, e);
}

enum io dial_step(struct dial *d, struct err *e)
{
    enum io io = d->stream ? IO_DONE : d->p.command ? start_command(d, e) : step_attempts(d, e);
    if (io == IO_DONE && d->p.proxy != PROXY_NONE && !d->open) {
        if (!d->proxying && !start_proxy(d, e))
            return IO_ERROR;
        io = step_proxy(d, e);
    }
    if (io == IO_DONE) {
        d->open = true;
        io = send_preamble(d, e);
    }
    return io == IO_AGAIN && clock_now() >= d->p.deadline ? out_of_time(d, e) : io;
}

void dial_waits(const struct dial *d, struct pollset *ps)
{
    pollset_until(ps, d->p.deadline);
    if (d->stream) {
        stream_waits(d->stream, !d->open, d->open || d->proxy.out.len > 0, ps);
        return;
    }
    if (d->p.command)
        pollset_until(ps, 0);
    for (int i = 0; i < FAMILIES; i++)
        if (d->lookups[i].running)
            pollset_add(ps, resolve_fd(d->lookups[i].running), POLLIN);
    for (size_t i = 0; i < d->n; i++)
        if (d->attempts[i].fd >= 0)
            pollset_add(ps, d->attempts[i].fd, POLLOUT);
    if (first_to_begin(d))
        pollset_until(ps, holds_back(d) ? d->delay_end : d->next);
}

int dial_family(const struct dial *d, int *other)
{
    *other = d->other;
    return d->family;
}

struct stream *dial_take(struct dial *d)
{
    struct stream *s = d->stream;
    d->stream = NULL;
    return s;
}

void dial_free(struct dial *d)
{
    if (!d)
        return;
    stop_trying(d);
    for (size_t i = 0; i < d->n; i++)
        free(d->attempts[i].text);
    free(d->attempts);
    if (d->proxying)
        proxy_free(&d->proxy);
    stream_free(d->stream);
    err_clear(&d->early);
    free(d->target);
    free(d->host);
    free(d);
}
