/* source: reading the content of a part. A file is read at its offsets, so that two parts may read the same. */
#include "mail/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static const char *name_of(const struct source *s)
{
    return strcmp(s->path, "-") == 0 ? "standard input" : s->path;
}

static bool unreadable(const struct source *s, int why, struct err *e)
{
    err_sys(e, FAULT_NO_INPUT, why, "cannot read '%s'", name_of(s));
    if (why == ENOENT)
        return err_hint(e, "a path is taken from the current directory; is the name right?");
    if (why == EACCES)
        return err_hint(e, "the user who sends must be allowed to read it: see 'ls -l %s'", s->path);
    return false;
}

/* What fits the window; where that is everything, the pipe has become memory. */
static bool read_window(struct source *s, struct err *e)
{
    buf_reserve(&s->held, SOURCE_WINDOW);
    while (s->held.len < SOURCE_WINDOW) {
        ssize_t got = file_read_some(s->fd, s->held.data + s->held.len, SOURCE_WINDOW - s->held.len);
        if (got < 0)
            return unreadable(s, errno, e);
        if (got == 0) {
            s->pipe = false;
            s->size = (int64_t)s->held.len;
            break;
        }
        s->held.len += (size_t)got;
    }
    s->text = s->held.data;
    s->text_n = s->held.len;
    return true;
}

bool source_open(struct source *s, const char *path, struct err *e)
{
    struct stat st;
    bool standard = strcmp(path, "-") == 0;
    *s = (struct source){ .path = path, .fd = STDIN_FILENO, .own = !standard, .size = -1, .held = BUF_INIT };
    if (s->own)
        s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0 || fstat(s->fd, &st) < 0)
        return unreadable(s, errno, e);
    if (S_ISDIR(st.st_mode)) {
        err_set(e, FAULT_NO_INPUT, "'%s' is a directory", name_of(s));
        return err_hint(e, "pack it into one file first: tar czf files.tar.gz '%s'", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0) { /* 0: or a file of /proc, which tells no size */
        s->pipe = true;
        return read_window(s, e);
    }
    off_t at = standard ? lseek(s->fd, 0, SEEK_CUR) : 0;
    s->start = at > 0 ? at : 0;
    s->size = st.st_size > s->start ? st.st_size - s->start : 0;
    return true;
}

void source_memory(struct source *s, const char *text, size_t n)
{
    *s = (struct source){ .fd = -1, .size = (int64_t)n, .text = text, .text_n = n, .held = BUF_INIT };
}

void source_close(struct source *s)
{
    if (s->own && s->fd >= 0)
        close(s->fd);
    buf_free(&s->held);
    s->fd = -1;
}

/* held goes first, then the rest of the pipe. */
static bool spool(struct source *s, int to, int64_t *size, struct err *e)
{
    bool written = file_write_all(to, s->held.data, s->held.len);
    *size = (int64_t)s->held.len;
    while (written) {
        ssize_t got = file_read_some(s->fd, s->held.data, SOURCE_WINDOW);
        if (got < 0)
            return unreadable(s, errno, e);
        if (got == 0)
            return true;
        written = file_write_all(to, s->held.data, (size_t)got);
        *size += got;
    }
    return err_sys(e, FAULT_IO, errno, "cannot hold '%s' in a temporary file", name_of(s));
}

bool source_hold(struct source *s, struct err *e)
{
    int64_t size;
    if (!s->pipe)
        return true;
    int to = file_unlinked(e);
    if (to < 0)
        return false;
    bool ok = spool(s, to, &size, e);
    source_close(s);
    s->fd = to;
    s->own = true;
    s->pipe = false;
    s->size = size;
    s->text = NULL;
    s->text_n = 0;
    return ok;
}

static bool read_file(const struct source *s, char *p, size_t size, size_t *n, struct err *e)
{
    int64_t left = s->size - s->pos;
    /* a log may have grown: what it held when it was opened */
    size_t want = left < (int64_t)size ? (size_t)left : size;
    ssize_t got;
    do
        got = pread(s->fd, p, want, s->start + s->pos);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read '%s'", name_of(s));
    if (got == 0 && left > 0) {
        err_set(e, FAULT_IO, "'%s' shrank while it was being sent", name_of(s));
        return err_hint(e, "send a copy of it that nobody writes to");
    }
    *n = (size_t)got;
    return true;
}

bool source_read(struct source *s, char *p, size_t size, size_t *n, struct err *e)
{
    *n = 0;
    if (s->pos < (int64_t)s->text_n) {
        size_t left = s->text_n - (size_t)s->pos;
        *n = left < size ? left : size;
        memcpy(p, s->text + s->pos, *n);
    } else if (s->pipe) {
        ssize_t got = file_read_some(s->fd, p, size);
        if (got < 0)
            return err_sys(e, FAULT_IO, errno, "cannot read '%s'", name_of(s));
        *n = (size_t)got;
    } else if (s->fd >= 0 && !s->text && !read_file(s, p, size, n, e)) {
        return false;
    }
    s->pos += (int64_t)*n;
    return true;
}

bool source_rewind(struct source *s)
{
    if (s->pipe && s->pos > (int64_t)s->text_n)
        return false;
    s->pos = 0;
    return true;
}

bool source_waits(const struct source *s)
{
    return s->pipe && s->pos >= (int64_t)s->text_n;
}
