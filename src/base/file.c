/* file: reading whole small files, and making private ones. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* errno tells on false; EFBIG: longer than max. */
static bool read_all(int fd, size_t max, struct buf *out)
{
    size_t end = out->len + max;
    for (;;) {
        buf_reserve(out, 4096);
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len - 1);
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            out->len += (size_t)n;
        out->data[out->len] = '\0';
        if (out->len > end) {
            errno = EFBIG;
            return false;
        }
    }
}

bool file_read(const char *path, size_t max, struct buf *out, enum fault fault, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_sys(e, fault, errno, "cannot read '%s'", path);
    bool ok = read_all(fd, max, out);
    int why = errno;
    close(fd);
    if (ok)
        return true;
    if (why == EFBIG)
        return err_set(e, fault, "'%s' is longer than %zu octets", path, max);
    return err_sys(e, fault, why, "cannot read '%s'", path);
}

bool file_read_fd(int fd, size_t max, struct buf *out, struct err *e)
{
    if (read_all(fd, max, out))
        return true;
    if (errno == EFBIG)
        return err_set(e, FAULT_IO, "the input is longer than %zu octets", max);
    return err_sys(e, FAULT_IO, errno, "cannot read the input");
}

ssize_t file_read_some(int fd, void *p, size_t n)
{
    for (;;) {
        ssize_t got = read(fd, p, n);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
        if (errno == EAGAIN)
            poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
    }
}

bool file_write_all(int fd, const void *p, size_t n)
{
    const char *from = p;
    while (n) {
        ssize_t done = write(fd, from, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        from += done;
        n -= (size_t)done;
    }
    return true;
}

int file_open_append(const char *path, struct err *e)
{
    const int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    int fd = open(path, flags);
    if (fd < 0 && errno == ENOENT)
        fd = open(path, flags | O_CREAT | O_EXCL, 0600); /* O_EXCL: a dangling link is not followed either */
    if (fd < 0 && errno == EEXIST)
        fd = open(path, flags); /* somebody else made it in between */
    if (fd < 0)
        err_sys(e, FAULT_CANT_CREATE, errno, "cannot append to '%s'", path);
    return fd;
}

int file_create_private(const char *path, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (fd < 0)
        err_sys(e, FAULT_CANT_CREATE, errno, "cannot create '%s'", path);
    return fd;
}

int file_unlinked(struct err *e)
{
    const char *dir = secure_getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/tmp";
    int fd = open(dir, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;

    /* Not every file system can make nameless files. */
    char *name = xasprintf("%s/envoi.XXXXXX", dir);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        err_sys(e, FAULT_CANT_CREATE, errno, "cannot create a temporary file in '%s'", dir);
    else
        unlink(name);
    free(name);
    return fd;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool file_mkdirs(const char *path, struct err *e)
{
    char *part = xstrdup(path);
    bool ok = true;
    for (char *p = part; ok && *p;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char end = *p;
        *p = '\0';
        if (mkdir(part, 0700) && !is_directory(part)) /* a parent may be unwritable and there */
            ok = err_sys(e, FAULT_CANT_CREATE, errno == EEXIST ? ENOTDIR : errno,
                         "cannot create the directory '%s'", part);
        *p = end;
    }
    free(part);
    return ok;
}
