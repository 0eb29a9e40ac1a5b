/* cache: small private files that can be made again. It never fails; it knows nothing of what the files hold. */
#include "base/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"

enum { TRIES = 8 }; /* for a name that no other writer has */

/* XDG base directories: a path that is not absolute is to be ignored. */
static bool find_home(struct buf *path)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
    if (cache && cache[0] == '/')
        buf_adds(path, cache);
    else if (home && home[0] == '/')
        buf_printf(path, "%s/.cache", home);
    return path->len > 0;
}

enum { WRITABLE = S_IWGRP | S_IWOTH, SHARED = S_IRWXG | S_IRWXO };

/* Ours, and nobody else has any of these rights. */
static bool private(const struct stat *st, mode_t rights)
{
    return st->st_uid == geteuid() && !(st->st_mode & rights);
}

/* The folder in `parent`, which is closed. -1: there is none that can be trusted. */
static int enter(int parent, const char *name, bool make)
{
    struct stat st;
    if (make)
        mkdirat(parent, name, 0700);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    close(parent);
    if (fd >= 0 && !fstat(fd, &st) && private(&st, WRITABLE))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_folder(const char *kind, bool make)
{
    struct buf path = BUF_INIT;
    int fd = -1;
    if (find_home(&path)) {
        if (make)
            mkdir(path.data, 0700); /* but no home directory: users without one have the name of none */
        fd = open(path.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* may be a link: it is the user's */
    }
    if (fd >= 0)
        fd = enter(fd, "envoi", make);
    if (fd >= 0)
        fd = enter(fd, kind, make);
    buf_free(&path);
    return fd;
}

/* Letters, digits, '-', '_' and dots, but none at the beginning: those are ours. All else is %XX. */
static bool file_name(const char *name, struct buf *out)
{
    for (const char *p = name; *p; p++)
        if (ascii_isalnum(*p) || *p == '-' || *p == '_' || (*p == '.' && p != name))
            buf_addc(out, *p);
        else
            buf_printf(out, "%%%02X", (unsigned char)*p);
    return out->len > 0 && out->len <= NAME_MAX;
}

static bool read_file(int folder, const char *name, mode_t rights, size_t max, struct buf *out)
{
    struct stat st;
    struct err ignored = ERR_INIT;
    size_t before = out->len;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = !fstat(fd, &st) && S_ISREG(st.st_mode) && private(&st, rights) && file_read_fd(fd, max, out, &ignored);
    if (!ok)
        buf_cut(out, before);
    err_clear(&ignored);
    close(fd);
    return ok;
}

bool cache_read(const char *kind, const char *name, size_t max, struct buf *out)
{
    struct buf file = BUF_INIT;
    int folder = file_name(name, &file) ? open_folder(kind, false) : -1;
    bool ok = folder >= 0 && read_file(folder, file.data, WRITABLE, max, out);
    if (folder >= 0)
        close(folder);
    buf_free(&file);
    return ok;
}

/* A name that begins with a dot, as no other does. */
static bool own_name(struct buf *name)
{
    unsigned long long r;
    buf_reset(name);
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
        return false;
    buf_printf(name, ".%016llx", r);
    return true;
}

/* Under a name of its own nobody else finds it: whoever renames it has it alone. */
static bool take_file(int folder, const char *name, size_t max, struct buf *out)
{
    struct buf own = BUF_INIT;
    bool ok = false;
    if (own_name(&own) && renameat(folder, name, folder, own.data) == 0) {
        ok = read_file(folder, own.data, SHARED, max, out);
        unlinkat(folder, own.data, 0);
    }
    buf_free(&own);
    return ok;
}

bool cache_take(const char *kind, const char *name, size_t max, struct buf *out)
{
    struct buf file = BUF_INIT;
    int folder = file_name(name, &file) ? open_folder(kind, false) : -1;
    bool ok = folder >= 0 && take_file(folder, file.data, max, out);
    if (folder >= 0)
        close(folder);
    buf_free(&file);
    return ok;
}

/* A new file. */
static int create(int folder, struct buf *name)
{
    for (int i = 0; i < TRIES; i++) {
        if (!own_name(name))
            return -1;
        int fd = openat(folder, name->data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool write_file(int folder, const char *name, const char *p, size_t n)
{
    struct buf temporary = BUF_INIT;
    int fd = create(folder, &temporary);
    bool ok = fd >= 0;
    if (ok) {
        ok = file_write_all(fd, p, n);
        ok = close(fd) == 0 && ok && renameat(folder, temporary.data, folder, name) == 0;
        if (!ok)
            unlinkat(folder, temporary.data, 0);
    }
    buf_free(&temporary);
    return ok;
}

bool cache_write(const char *kind, const char *name, const char *p, size_t n)
{
    struct buf file = BUF_INIT;
    int folder = file_name(name, &file) ? open_folder(kind, true) : -1;
    bool ok = folder >= 0 && write_file(folder, file.data, p, n);
    if (folder >= 0)
        close(folder);
    buf_free(&file);
    return ok;
}

void cache_remove(const char *kind, const char *name)
{
    struct buf file = BUF_INIT;
    int folder = file_name(name, &file) ? open_folder(kind, false) : -1;
    if (folder >= 0) {
        unlinkat(folder, file.data, 0);
        close(folder);
    }
    buf_free(&file);
}

struct entry {
    char *name; /* own */
    struct timespec written;
};

static int by_age(const void *a, const void *b)
{
    const struct timespec *one = &((const struct entry *)a)->written, *two = &((const struct entry *)b)->written;
    if (one->tv_sec != two->tv_sec)
        return one->tv_sec < two->tv_sec ? -1 : 1;
    return (one->tv_nsec > two->tv_nsec) - (one->tv_nsec < two->tv_nsec);
}

/* What a writer that was killed left behind is among them, and grows old as they do. */
static struct entry *list_files(DIR *dir, size_t *n)
{
    struct entry *v = NULL;
    struct dirent *d;
    struct stat st;
    for (*n = 0; (d = readdir(dir));) {
        if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode))
            continue;
        v = xrealloc(v, (*n + 1) * sizeof *v);
        v[(*n)++] = (struct entry){ .name = xstrdup(d->d_name), .written = st.st_mtim };
    }
    return v;
}

void cache_trim(const char *kind, size_t most)
{
    int folder = open_folder(kind, false);
    DIR *dir = folder >= 0 ? fdopendir(folder) : NULL;
    if (!dir) {
        if (folder >= 0)
            close(folder);
        return;
    }
    size_t n;
    struct entry *v = list_files(dir, &n);
    if (n > most)
        qsort(v, n, sizeof *v, by_age);
    for (size_t i = 0; i < n; i++) {
        if (n > most && i < n - most)
            unlinkat(dirfd(dir), v[i].name, 0);
        free(v[i].name);
    }
    free(v);
    closedir(dir);
}
