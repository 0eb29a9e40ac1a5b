/* sink_output: the sink's standard output, which may be a pipe that somebody reads slowly or nobody at all: lines and
 * messages wait in memory and in files until they can be written. It never blocks, and knows nothing of clients. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/sink.h"

enum {
    ENOUGH = 1 << 20,             /* octets that wait before clients do */
    READ_BLOCK = 64 << 10,        /* of a file */
    PATIENCE = 5 * USEC_PER_SEC,  /* who took nothing for so long reads no more */
    FAREWELL = 2 * USEC_PER_SEC,  /* the same, at the end */
};

struct item {
    struct item *next;
    struct buf text;  /* what is to be written now … */
    size_t written;   /* … and how much of it has been */
    int fd;           /* what comes behind it; -1: nothing */
    off_t at;         /* how much of that was read */
};

struct output {
    struct item *first, *last;
    size_t n;         /* items */
    long long octets; /* of them */
    size_t lost;      /* items that nobody took */
    usec moved;       /* when something was taken last, or began to wait */
};

struct output *output_new(void)
{
    return xcalloc(1, sizeof(struct output));
}

static void pop(struct output *o)
{
    struct item *one = o->first;

    o->first = one->next;
    o->n--;
    if (one->fd >= 0)
        close(one->fd);
    buf_free(&one->text);
    free(one);
}

void output_free(struct output *o)
{
    while (o && o->first)
        pop(o);
    free(o);
}

static bool writable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLOUT };
    return poll(&one, 1, 0) > 0;
}

/* IO_EOF: all of it is in text. */
static enum io refill(struct item *one)
{
    ssize_t n;

    if (one->fd < 0)
        return IO_EOF;
    buf_reset(&one->text);
    one->written = 0;
    buf_reserve(&one->text, READ_BLOCK);
    n = pread(one->fd, one->text.data, READ_BLOCK, one->at);
    if (n <= 0)
        return n < 0 ? IO_ERROR : IO_EOF;
    one->text.len = (size_t)n;
    one->text.data[n] = '\0';
    one->at += n;
    return IO_DONE;
}

/* The descriptor is not made non-blocking, because other programs may share it: a pipe that poll calls writable takes
 * PIPE_BUF octets at once (POSIX, write()). */
static enum io write_first(struct output *o)
{
    struct item *one = o->first;

    for (;;) {
        size_t left = one->text.len - one->written;
        enum io io = left > 0 ? IO_DONE : refill(one);
        ssize_t n;

        if (io != IO_DONE)
            return io == IO_EOF ? IO_DONE : io;
        if (left == 0)
            continue;
        if (!writable(STDOUT_FILENO))
            return IO_AGAIN;
        n = write(STDOUT_FILENO, one->text.data + one->written, left < PIPE_BUF ? left : PIPE_BUF);
        if (n < 0)
            return errno == EINTR || errno == EAGAIN ? IO_AGAIN : IO_ERROR;
        one->written += (size_t)n;
        o->octets -= n;
        o->moved = clock_now();
    }
}

bool output_step(struct output *o)
{
    enum io io = IO_DONE;
    int error = 0;

    while (o->first && (io = write_first(o)) != IO_AGAIN) {
        error = errno;
        o->lost += io == IO_ERROR;
        pop(o);
        if (!o->first)
            o->octets = 0;
    }
    errno = error;
    return io != IO_ERROR;
}

static bool nobody_reads(const struct output *o)
{
    return o->octets > ENOUGH && clock_now() >= o->moved + PATIENCE;
}

bool output_must_wait(const struct output *o)
{
    return o->octets > ENOUGH && !nobody_reads(o);
}

static bool add(struct output *o, struct item one, long long octets)
{
    struct item *added = xmalloc(sizeof *added);

    *added = one;
    if (!o->first) {
        o->first = added;
        o->moved = clock_now();
    } else {
        o->last->next = added;
    }
    o->last = added;
    o->n++;
    o->octets += octets;
    return output_step(o);
}

void output_line(struct output *o, struct buf *line)
{
    if (nobody_reads(o)) {
        o->lost++;
        buf_free(line);
        return;
    }
    add(o, (struct item){ .text = *line, .fd = -1 }, (long long)line->len);
    *line = (struct buf)BUF_INIT;
}

bool output_message(struct output *o, struct buf *text, int *fd, off_t size, struct err *e)
{
    struct item one = { .text = *text, .fd = *fd };

    if (nobody_reads(o))
        return err_set(e, FAULT_IO, "nobody reads standard output");
    *text = (struct buf)BUF_INIT;
    *fd = -1;
    return add(o, one, (long long)one.text.len + size) ||
           err_sys(e, FAULT_IO, errno, "cannot write to standard output");
}

void output_waits(const struct output *o, struct pollset *ps)
{
    if (o->first)
        pollset_add(ps, STDOUT_FILENO, POLLOUT);
}

/* Who reads gets everything. */
void output_finish(struct output *o, int signals)
{
    struct pollset ps = POLLSET_INIT;
    bool signalled = false;

    o->moved = clock_now();
    while (output_step(o), o->first && clock_now() < o->moved + (signalled ? FAREWELL : PATIENCE)) {
        pollset_reset(&ps);
        output_waits(o, &ps);
        if (!signalled)
            pollset_add(&ps, signals, POLLIN);
        pollset_until(&ps, o->moved + (signalled ? FAREWELL : PATIENCE));
        if (pollset_wait(&ps) && !signalled)
            signalled = ps.v[1].revents;
    }
    pollset_free(&ps);
}

/* Standard error may be the same pipe. */
void output_tell_lost(const struct output *o)
{
    if (o->lost + o->n > 0 && writable(STDERR_FILENO))
        fprintf(stderr, "%s: %zu lines or messages for standard output were not written, because nobody reads it\n",
                program_invocation_short_name, o->lost + o->n);
}
