/* resolve: getaddrinfo in detached threads. The state of a lookup belongs to two, the asker and
 * the thread; the one who lets go last frees it. */
#include "net/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"

struct resolve {
    atomic_int owners;
    atomic_bool done;      /* set after the members below it, read before them */
    int status, errno_value;
    struct addrinfo *list; /* own */
    int event;             /* own: eventfd */
    char *host;            /* own */
    char port[8];
    struct addrinfo wanted;
};

static void let_go(struct resolve *r)
{
    if (atomic_fetch_sub(&r->owners, 1) > 1)
        return;
    if (r->list)
        freeaddrinfo(r->list);
    close(r->event);
    free(r->host);
    free(r);
}

static void *look_up(void *arg)
{
    struct resolve *r = arg;
    r->status = getaddrinfo(r->host, r->port, &r->wanted, &r->list);
    r->errno_value = errno;
    atomic_store(&r->done, true);
    eventfd_write(r->event, 1);
    let_go(r);
    return NULL;
}

/* Signals are for the main thread. */
static int start_thread(struct resolve *r)
{
    sigset_t all, before;
    pthread_attr_t detached;
    pthread_t thread;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, &detached, look_up, r);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return rc;
}

struct resolve *resolve_start(const char *host, int port, int family, int flags)
{
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event < 0)
        return NULL;

    struct resolve *r = xcalloc(1, sizeof *r);
    r->event = event;
    r->host = xstrdup(host);
    r->wanted = (struct addrinfo){ .ai_family = family, .ai_socktype = SOCK_STREAM,
                                   .ai_flags = flags | AI_NUMERICSERV };
    snprintf(r->port, sizeof r->port, "%d", port);
    atomic_init(&r->owners, 2);
    int rc = start_thread(r);
    if (rc == 0)
        return r;
    atomic_store(&r->owners, 1);
    let_go(r);
    errno = rc;
    return NULL;
}

int resolve_fd(const struct resolve *r)
{
    return r->event;
}

bool resolve_done(const struct resolve *r, int *status, int *errno_value, const struct addrinfo **list)
{
    if (!atomic_load(&r->done))
        return false;
    *status = r->status;
    *errno_value = r->errno_value;
    *list = r->list;
    return true;
}

void resolve_free(struct resolve *r)
{
    if (r)
        let_go(r);
}

struct addrinfo *resolve_numeric(const char *host, int port, int family)
{
    struct addrinfo wanted = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
    };
    struct addrinfo *list;
    char text[8];
    snprintf(text, sizeof text, "%d", port);
    return getaddrinfo(host, text, &wanted, &list) == 0 ? list : NULL;
}
