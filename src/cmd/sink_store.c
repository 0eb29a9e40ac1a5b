/* sink_store: keeps the sink's messages: Maildir, mbox, standard output, or nowhere. One row each. Until a message
 * is complete it is in memory and, when large, in a file that nobody looks at. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/sink.h"

enum { HELD = 64 << 10 }; /* octets of a message held in memory */

struct kind {
    bool (*open)(struct store *s, struct err *e);      /* NULL: nothing to open */
    int (*create)(struct letter *l, struct err *e);    /* a file for what is not held in memory */
    bool (*keep)(struct letter *l, struct buf *where, struct err *e);
    bool (*must_wait)(const struct letter *l);         /* NULL: never */
};

struct store {
    const struct kind *kind;
    const char *path;  /* borrowed */
    struct output *output; /* borrowed */
    int fd;            /* mbox; -1: none */
    unsigned count;
    char host[256];
};

struct letter {
    struct store *store;
    char *sender;      /* own */
    struct buf held;   /* own */
    int fd;            /* what did not fit; -1: nothing yet */
    char *name;        /* own or NULL: of the file in tmp */
    char last;         /* octet */
};

static bool spill(struct letter *l, struct err *e)
{
    if (l->fd < 0)
        l->fd = l->store->kind->create(l, e);
    if (l->fd < 0)
        return false;
    if (!file_write_all(l->fd, l->held.data, l->held.len))
        return err_sys(e, FAULT_IO, errno, "cannot store the message");
    buf_reset(&l->held);
    return true;
}

/* ---- Maildir: tmp, then new (cr.yp.to/proto/maildir.html) ---- */

static bool maildir_open(struct store *s, struct err *e)
{
    static const char *const parts[] = { "tmp", "new", "cur" };
    bool ok = true;

    for (size_t i = 0; i < sizeof parts / sizeof *parts && ok; i++) {
        char *path = xasprintf("%s/%s", s->path, parts[i]);
        ok = file_mkdirs(path, e);
        free(path);
    }
    return ok;
}

static int maildir_create(struct letter *l, struct err *e)
{
    struct store *s = l->store;
    struct timespec now;
    char *path;
    int fd;

    clock_gettime(CLOCK_REALTIME, &now);
    l->name = xasprintf("%lld.M%06ldP%ldQ%u.%s", (long long)now.tv_sec, now.tv_nsec / 1000, (long)getpid(), ++s->count,
                        s->host);
    path = xasprintf("%s/tmp/%s", s->path, l->name);
    fd = file_create_private(path, e);
    free(path);
    if (fd < 0) {
        free(l->name);
        l->name = NULL;
    }
    return fd;
}

static void sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bool maildir_keep(struct letter *l, struct buf *where, struct err *e)
{
    char *from, *to, *directory;
    bool ok;

    if (!spill(l, e))
        return false;
    if (fsync(l->fd) < 0)
        return err_sys(e, FAULT_IO, errno, "cannot store the message");
    directory = xasprintf("%s/new", l->store->path);
    from = xasprintf("%s/tmp/%s", l->store->path, l->name);
    to = xasprintf("%s/%s", directory, l->name);
    ok = rename(from, to) == 0;
    if (ok) {
        sync_directory(directory);
        buf_adds(where, to);
        free(l->name);
        l->name = NULL;
    } else {
        err_sys(e, FAULT_IO, errno, "cannot store the message as '%s'", to);
    }
    free(from);
    free(to);
    free(directory);
    return ok;
}

/* ---- what mbox and print share: a file without a name ---- */

static int unlinked_create(struct letter *l, struct err *e)
{
    (void)l;
    return file_unlinked(e);
}

/* ---- mbox: "From " line, ">From " quoting (mboxrd), an empty line ---- */

/* Calls take for every part, in order, one buffer's worth at a time. */
static bool replay(struct letter *l, bool (*take)(void *ctx, const char *p, size_t n), void *ctx, struct err *e)
{
    char *block;
    ssize_t n = 0;
    bool ok = true;

    if (l->fd < 0)
        return take(ctx, l->held.data, l->held.len) || err_sys(e, FAULT_IO, errno, "cannot store the message");
    if (!spill(l, e))
        return false;
    block = xmalloc(HELD);
    for (off_t at = 0; ok && (n = pread(l->fd, block, HELD, at)) > 0; at += n)
        ok = take(ctx, block, (size_t)n);
    free(block);
    if (!ok || n < 0)
        return err_sys(e, FAULT_IO, errno, "cannot store the message");
    return true;
}

struct mbox_writer {
    int fd;
    struct buf out;
    struct buf start;   /* the beginning of a line that is not decided */
    bool line_start;
    char last;
};

static bool mbox_flush(struct mbox_writer *w, size_t unless)
{
    bool ok = w->out.len <= unless || file_write_all(w->fd, w->out.data, w->out.len);

    if (w->out.len > unless)
        buf_reset(&w->out);
    return ok;
}

/* Is the held start of a line a quoted or bare "From "? 1 yes, 0 not yet known, -1 no. */
static int mbox_is_from(const struct buf *start)
{
    static const char from[] = "From ";
    size_t quotes = strspn(start->data, ">"), n = start->len - quotes;

    if (n > sizeof from - 1)
        n = sizeof from - 1;
    if (memcmp(start->data + quotes, from, n) != 0)
        return -1;
    return n == sizeof from - 1;
}

static bool mbox_take(void *ctx, const char *p, size_t n)
{
    struct mbox_writer *w = ctx;
    const char *end = p + n;

    while (p < end) {
        const char *lf;
        int is;

        if (!w->line_start) {
            lf = memchr(p, '\n', (size_t)(end - p));
            lf = lf ? lf + 1 : end;
            buf_add(&w->out, p, (size_t)(lf - p));
            w->line_start = lf[-1] == '\n';
            w->last = lf[-1];
            p = lf;
            if (!mbox_flush(w, HELD))
                return false;
            continue;
        }
        buf_addc(&w->start, *p++);
        is = w->start.len > 998 ? -1 : mbox_is_from(&w->start);
        if (is == 0)
            continue;
        if (is > 0)
            buf_addc(&w->out, '>');
        buf_addbuf(&w->out, &w->start);
        w->last = w->start.data[w->start.len - 1];
        w->line_start = w->last == '\n';
        buf_reset(&w->start);
    }
    return true;
}

static bool mbox_write(struct letter *l, struct mbox_writer *w, struct err *e)
{
    time_t now = time(NULL);
    char date[64];
    struct tm tm;

    strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", gmtime_r(&now, &tm));
    buf_printf(&w->out, "From %s %s\n", *l->sender ? l->sender : "MAILER-DAEMON", date);
    if (!replay(l, mbox_take, w, e))
        return false;
    buf_addbuf(&w->out, &w->start);
    if (w->start.len > 0 || w->last != '\n')
        buf_addc(&w->out, '\n');
    buf_addc(&w->out, '\n');
    if (!mbox_flush(w, 0) || fsync(w->fd) < 0)
        return err_sys(e, FAULT_IO, errno, "cannot write to '%s'", l->store->path);
    return true;
}

static bool mbox_open(struct store *s, struct err *e)
{
    s->fd = file_open_append(s->path, e);
    return s->fd >= 0;
}

/* Never waited for: the other connections go on. */
static bool mbox_lock(const struct letter *l, short type)
{
    const struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
    return fcntl(l->store->fd, F_SETLK, &lock) == 0;
}

static bool mbox_must_wait(const struct letter *l)
{
    return !mbox_lock(l, F_WRLCK) && (errno == EAGAIN || errno == EACCES);
}

static bool mbox_not_locked(const struct letter *l, struct err *e)
{
    if (errno != EAGAIN && errno != EACCES)
        return err_sys(e, FAULT_IO, errno, "cannot lock '%s'", l->store->path);
    err_set(e, FAULT_IO, "another program keeps '%s' locked", l->store->path);
    return err_hint(e, "end it, or store in another file, or with --maildir, which needs no locks");
}

/* Appended under a lock; what could not be finished is cut off again. */
static bool mbox_keep(struct letter *l, struct buf *where, struct err *e)
{
    struct mbox_writer w = { .fd = l->store->fd, .out = BUF_INIT, .start = BUF_INIT, .line_start = true };
    struct stat before;
    bool ok;

    if (!mbox_lock(l, F_WRLCK))
        return mbox_not_locked(l, e);
    if (fstat(w.fd, &before) < 0) {
        ok = err_sys(e, FAULT_IO, errno, "cannot look at '%s'", l->store->path);
    } else {
        ok = mbox_write(l, &w, e);
        if (!ok && ftruncate(w.fd, before.st_size) < 0)
            err_hint(e, "what could not be finished is still at its end");
    }
    mbox_lock(l, F_UNLCK);
    buf_free(&w.out);
    buf_free(&w.start);
    if (ok)
        buf_adds(where, l->store->path);
    return ok;
}

/* ---- standard output ---- */

static bool print_keep(struct letter *l, struct buf *where, struct err *e)
{
    off_t size = 0;

    (void)where;
    buf_adds(&l->held, l->last == '\n' ? "\n" : "\n\n");
    if (l->fd >= 0 && (!spill(l, e) || (size = lseek(l->fd, 0, SEEK_END)) < 0))
        return err_is_set(e) ? false : err_sys(e, FAULT_IO, errno, "cannot store the message");
    return output_message(l->store->output, &l->held, &l->fd, size, e);
}

static const struct kind maildir = { maildir_open, maildir_create, maildir_keep, NULL };
static const struct kind mbox = { mbox_open, unlinked_create, mbox_keep, mbox_must_wait };
static const struct kind print = { NULL, unlinked_create, print_keep, NULL };
static const struct kind discard = { NULL, NULL, NULL, NULL };

struct store *store_open(const struct sink_options *o, struct output *out, struct err *e)
{
    struct store *s = xcalloc(1, sizeof *s);

    s->fd = -1;
    s->output = out;
    s->kind = o->maildir ? &maildir : o->mbox ? &mbox : o->print ? &print : &discard;
    s->path = o->maildir ? o->maildir : o->mbox;
    if (gethostname(s->host, sizeof s->host - 1) < 0 || strpbrk(s->host, "/:"))
        snprintf(s->host, sizeof s->host, "localhost");
    if (!s->kind->open || s->kind->open(s, e))
        return s;
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

struct letter *letter_begin(struct store *s, const char *sender)
{
    struct letter *l = xcalloc(1, sizeof *l);

    l->store = s;
    l->sender = xstrdup(sender);
    l->held = (struct buf)BUF_INIT;
    l->fd = -1;
    return l;
}

bool letter_is_stored(const struct letter *l)
{
    return l->store->kind->keep != NULL;
}

bool letter_add(struct letter *l, const char *p, size_t n, struct err *e)
{
    if (!letter_is_stored(l))
        return true;
    if (n > 0)
        l->last = p[n - 1];
    if (l->held.len + n >= HELD && !spill(l, e))
        return false;
    if (n < HELD) {
        buf_add(&l->held, p, n);
        return true;
    }
    return file_write_all(l->fd, p, n) || err_sys(e, FAULT_IO, errno, "cannot store the message");
}

bool letter_must_wait(const struct letter *l)
{
    return l->store->kind->must_wait && l->store->kind->must_wait(l);
}

bool letter_keep(struct letter *l, struct buf *where, struct err *e)
{
    bool ok = !letter_is_stored(l) || l->store->kind->keep(l, where, e);

    letter_drop(l);
    return ok;
}

void letter_drop(struct letter *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    if (l->name) {
        char *path = xasprintf("%s/tmp/%s", l->store->path, l->name);
        unlink(path);
        free(path);
    }
    free(l->name);
    free(l->sender);
    buf_free(&l->held);
    free(l);
}
