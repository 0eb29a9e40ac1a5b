/* box: opens what many messages come from, tells what it is, and takes one after the other out of it. */
#include "mail/box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strlist.h"
#include "mail/split.h"

enum { READ_SIZE = 64 << 10, LIST_MAX = 256 << 20 };

struct box {
    const char *name;      /* borrowed: the source, as said */
    enum box_format format;
    long taken;            /* messages so far */
    struct strlist names;  /* a list or Maildir; each is freed when its turn has come */
    size_t directory;      /* of the Maildir: so many octets of each name are not its key */
    struct split split;
    int fd;                /* of a stream; -1: none */
    bool own, pipe, eof, started, keyed;
    bool stopped;          /* nothing more is read */
    char *block;           /* own: READ_SIZE octets */
    size_t pos, len;
    int64_t size, done;
    struct buf text;       /* the message at hand … */
    int spool;             /* … or its beginning, where it is long; -1: none */
    uint64_t hash;         /* … of all of it */
    int64_t octets;
};

/* ---- what it is ---- */

static bool cannot_read(const char *path, int why, struct err *e)
{
    return err_sys(e, FAULT_NO_INPUT, why, "cannot read '%s'", strcmp(path, "-") == 0 ? "standard input" : path);
}

static bool wrong_kind(const char *path, const char *what, struct err *e)
{
    err_set(e, FAULT_USAGE, "'%s' is %s", path, what);
    return err_hint(e, "--batch takes an mbox, a Maildir, @LIST of file names, or - for messages with a NUL behind "
                       "each");
}

/* ---- names ---- */

static int by_base_name(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int base = strcmp(strrchr(x, '/'), strrchr(y, '/'));
    return base ? base : strcmp(x, y);
}

static bool list_directory(struct box *b, const char *path, struct err *e)
{
    DIR *dir = opendir(path);
    if (!dir)
        return cannot_read(path, errno, e);
    const struct dirent *entry;
    while ((entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            strlist_add_own(&b->names, xasprintf("%s/%s", path, entry->d_name));
    closedir(dir);
    return true;
}

/* Names begin with the time of delivery: their order is that of the messages. */
static bool open_maildir(struct box *b, const char *path, struct err *e)
{
    static const char *const parts[] = { "new", "cur" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *part = xasprintf("%s/%s", path, parts[i]);
        bool ok = list_directory(b, part, e);
        free(part);
        if (!ok)
            return err_hint(e, "a Maildir has the directories 'new' and 'cur'");
    }
    if (b->names.n)
        qsort(b->names.v, b->names.n, sizeof *b->names.v, by_base_name);
    return true;
}

static bool open_list(struct box *b, const char *path, struct err *e)
{
    struct buf text = BUF_INIT;
    bool ok = strcmp(path, "-") == 0 ? file_read_fd(STDIN_FILENO, LIST_MAX, &text, e)
                                     : file_read(path, LIST_MAX, &text, FAULT_NO_INPUT, e);
    for (const char *p = text.data; ok && p < text.data + text.len;) {
        size_t n = strcspn(p, "\n");
        size_t visible = n && p[n - 1] == '\r' ? n - 1 : n;
        if (visible)
            strlist_addn(&b->names, p, visible);
        if (p[n] == '\0' && p + n < text.data + text.len) {
            err_set(e, FAULT_USAGE, "'%s' holds a NUL octet, so it is no list of file names", path);
            ok = err_hint(e, "it has one name a line");
        }
        p += n + 1;
    }
    buf_free(&text);
    return ok;
}

/* ---- streams ---- */

static bool open_stream(struct box *b, const char *path, struct err *e)
{
    struct stat st;
    b->own = strcmp(path, "-") != 0;
    b->fd = b->own ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;
    if (b->fd < 0 || fstat(b->fd, &st) < 0)
        return cannot_read(path, errno, e);
    if (S_ISDIR(st.st_mode))
        return wrong_kind(path, "a directory", e);
    b->pipe = !S_ISREG(st.st_mode);
    b->size = b->pipe ? -1 : st.st_size;
    b->block = xmalloc(READ_SIZE);
    return true;
}

/* The first octets tell one format from the other. */
static void tell_format(struct box *b)
{
    static const char from[] = "From ";
    size_t n = b->len < sizeof from - 1 ? b->len : sizeof from - 1;
    bool mbox = b->format == BOX_MBOX || (b->format == BOX_AUTO && (b->own || (n && memcmp(b->block, from, n) == 0)));
    b->format = mbox ? BOX_MBOX : BOX_NUL;
    b->split = (struct split)SPLIT_INIT(mbox ? SPLIT_MBOX : SPLIT_NUL);
    b->started = true;
}

static bool refill(struct box *b, struct err *e)
{
    ssize_t got = file_read_some(b->fd, b->block, READ_SIZE);
    if (got < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read '%s'", b->name);
    b->pos = 0;
    b->len = (size_t)got;
    b->done += got;
    b->eof = got == 0;
    if (!b->started)
        tell_format(b);
    return true;
}

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) != 0;
}

/* Is there something to go on with, or the end? */
static bool can_refill(const struct box *b)
{
    return !b->pipe || is_readable(b->fd);
}

/* FNV-1a. */
static const uint64_t fnv_start = UINT64_C(0xcbf29ce484222325), fnv_prime = UINT64_C(0x100000001b3);

static void hash_text(struct box *b, size_t before)
{
    for (size_t i = before; b->keyed && i < b->text.len; i++)
        b->hash = (b->hash ^ (unsigned char)b->text.data[i]) * fnv_prime;
    b->octets += (int64_t)(b->text.len - before);
}

/* What is longer than a window goes to a file. */
static bool spill(struct box *b, struct err *e)
{
    if (b->spool < 0 && b->text.len <= MESSAGE_WINDOW)
        return true;
    if (b->spool < 0 && (b->spool = file_unlinked(e)) < 0)
        return false;
    if (!file_write_all(b->spool, b->text.data, b->text.len))
        return err_sys(e, FAULT_IO, errno, "cannot spool a message of '%s'", b->name);
    buf_reset(&b->text);
    return true;
}

static void give_text(struct box *b, struct box_item *item)
{
    *item = (struct box_item){ .number = ++b->taken, .fd = b->spool, .text = b->text };
    item->id = xasprintf("%s#%ld", b->own ? b->name : "-", b->taken);
    if (b->keyed)
        item->key = xasprintf("%016" PRIx64 "-%" PRId64, b->hash, b->octets);
    b->text = (struct buf)BUF_INIT;
    b->spool = -1;
    b->hash = fnv_start;
    b->octets = 0;
}

static enum box_found next_text(struct box *b, struct box_item *item, struct err *e)
{
    bool read_once = false;
    for (;;) {
        if (b->pos == b->len && !b->eof) {
            if (b->stopped)
                return BOX_END;
            if ((b->pipe && read_once) || !can_refill(b))
                return BOX_WAIT;
            if (!refill(b, e))
                return BOX_FAILED;
            read_once = true;
        }
        size_t used = 0, before = b->text.len;
        enum split_found found = SPLIT_MORE;
        if (!b->eof)
            found = split_take(&b->split, b->block + b->pos, b->len - b->pos, &used, &b->text);
        else if (split_finish(&b->split, &b->text))
            found = SPLIT_END;
        b->pos += used;
        hash_text(b, before);
        if (found == SPLIT_ALIEN) {
            wrong_kind(b->name, "no mbox: it does not begin with a line 'From …'", e);
            return BOX_FAILED;
        }
        if (!spill(b, e))
            return BOX_FAILED;
        if (found == SPLIT_END) {
            give_text(b, item);
            return BOX_ITEM;
        }
        if (b->eof)
            return BOX_END;
    }
}

static enum box_found next_name(struct box *b, struct box_item *item)
{
    if ((size_t)b->taken == b->names.n)
        return BOX_END;
    char *path = b->names.v[b->taken];
    const char *base = strrchr(path, '/');
    b->names.v[b->taken++] = NULL;
    *item = (struct box_item){ .number = b->taken, .id = xstrdup(path), .path = path, .fd = -1, .text = BUF_INIT };
    if (b->keyed)
        item->key = b->format == BOX_MAILDIR ? xstrndup(base + 1, strcspn(base + 1, ":")) : xstrdup(path);
    return BOX_ITEM;
}

enum box_found box_next(struct box *b, struct box_item *item, struct err *e)
{
    return b->fd >= 0 ? next_text(b, item, e) : next_name(b, item);
}

/* ---- a box ---- */

static bool open_source(struct box *b, const char *source, struct err *e)
{
    struct stat st;
    if (b->format == BOX_AUTO && *source == '@') {
        b->format = BOX_LIST;
        source++;
    } else if (b->format == BOX_AUTO && stat(source, &st) == 0 && S_ISDIR(st.st_mode)) {
        b->format = BOX_MAILDIR;
    }
    if (b->format == BOX_LIST)
        return open_list(b, *source == '@' ? source + 1 : source, e);
    return b->format == BOX_MAILDIR ? open_maildir(b, source, e) : open_stream(b, source, e);
}

struct box *box_open(const char *source, enum box_format format, bool keyed, struct err *e)
{
    struct box *b = xcalloc(1, sizeof *b);
    *b = (struct box){ .name = source, .format = format, .keyed = keyed, .fd = -1, .spool = -1, .size = -1,
                       .hash = fnv_start, .text = BUF_INIT };
    if (open_source(b, source, e))
        return b;
    box_free(b);
    return NULL;
}

void box_free(struct box *b)
{
    if (!b)
        return;
    if (b->own && b->fd >= 0)
        close(b->fd);
    if (b->spool >= 0)
        close(b->spool);
    strlist_free(&b->names);
    buf_free(&b->text);
    free(b->block);
    free(b);
}

bool box_ended(struct box *b)
{
    struct err ignored = ERR_INIT; /* box_next will meet it, too */
    if (b->fd < 0)
        return (size_t)b->taken == b->names.n;
    if (b->pos == b->len && !b->eof && can_refill(b))
        refill(b, &ignored);
    err_clear(&ignored);
    return b->eof && !b->split.inside;
}

int64_t box_total(const struct box *b)
{
    return b->fd >= 0 ? -1 : (int64_t)b->names.n;
}

int64_t box_octets(const struct box *b)
{
    return b->size;
}

int64_t box_done(const struct box *b)
{
    return b->done - (int64_t)(b->len - b->pos);
}

int box_wait_fd(const struct box *b)
{
    return b->pipe && b->pos == b->len && !b->eof ? b->fd : -1;
}

bool box_is_pipe(const struct box *b)
{
    return b->pipe;
}

void box_read_no_more(struct box *b)
{
    b->stopped = b->pipe;
}

/* ---- an item ---- */

static bool open_file(struct box_item *item, struct err *e)
{
    struct stat st;
    if (item->fd >= 0)
        close(item->fd);
    item->fd = open(item->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (item->fd < 0 || fstat(item->fd, &st) < 0)
        return cannot_read(item->path, errno, e);
    if (S_ISREG(st.st_mode))
        return true;
    return err_set(e, FAULT_NO_INPUT, "'%s' is no file", item->path);
}

bool box_message(struct box_item *item, struct message *m, struct err *e)
{
    if (item->path && !open_file(item, e))
        return false;
    if (item->fd >= 0 && lseek(item->fd, 0, SEEK_SET) < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read '%s'", item->id);
    bool ok = item->fd >= 0 ? message_read(m, item->fd, e) : message_from_memory(m, item->text.data, item->text.len, e);
    buf_free(&item->text);
    if (item->fd >= 0 && (!ok || m->complete)) {
        close(item->fd);
        item->fd = -1;
    }
    if (ok && m->empty)
        return err_set(e, FAULT_NO_INPUT, "'%s' is empty", item->id);
    return ok;
}

void box_item_free(struct box_item *item)
{
    if (item->fd >= 0)
        close(item->fd);
    free(item->id);
    free(item->key);
    free(item->path);
    buf_free(&item->text);
    *item = (struct box_item){ .fd = -1, .text = BUF_INIT };
}
