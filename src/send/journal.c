/* journal: reads, keeps and writes what became of the messages of a batch. */
#include "send/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"

static const char heading[] = "envoi batch journal 1\n";
enum { HEADING = sizeof heading - 1, SIZE_MOST = 1 << 30, SLOTS_FIRST = 64 };

struct journal {
    int fd;                       /* -1: of a test */
    struct journal_entry **slots; /* own: a hash table, open addressing; NULL: free */
    size_t n, cap;                /* cap: a power of two */
    usec synced;
    int broken;                   /* errno of a line that could not be written: what follows would make it no journal */
};

/* ---- entries ---- */

static size_t hash(const char *key)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ h >> 32);
}

static struct journal_entry **slot_of(const struct journal *j, const char *key)
{
    size_t at = hash(key) & (j->cap - 1);
    while (j->slots[at] && strcmp(j->slots[at]->key, key) != 0)
        at = (at + 1) & (j->cap - 1);
    return &j->slots[at];
}

static void grow(struct journal *j)
{
    struct journal larger = { .cap = j->cap ? j->cap * 2 : SLOTS_FIRST };
    larger.slots = xcalloc(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < j->cap; i++)
        if (j->slots[i])
            *slot_of(&larger, j->slots[i]->key) = j->slots[i];
    free(j->slots);
    j->slots = larger.slots;
    j->cap = larger.cap;
}

static struct journal_entry *entry_of(struct journal *j, const char *key)
{
    if (j->n * 2 >= j->cap)
        grow(j);
    struct journal_entry **slot = slot_of(j, key);
    if (!*slot) {
        *slot = xcalloc(1, sizeof **slot);
        **slot = (struct journal_entry){ .key = xstrdup(key), .rest = STRLIST_INIT };
        j->n++;
    }
    return *slot;
}

struct journal_entry *journal_find(struct journal *j, const char *key)
{
    struct journal_entry *entry = entry_of(j, key);
    for (unsigned nth = 2; entry->seen; nth++) {
        char *another = xasprintf("%s#%u", key, nth);
        entry = entry_of(j, another);
        free(another);
    }
    entry->seen = true;
    return entry;
}

/* ---- reading ---- */

/* Undoes %XX. false: it is not what we write. */
static bool decode(const char *p, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '%') {
            buf_addc(out, p[i]);
            continue;
        }
        static const char digits[] = "0123456789ABCDEF";
        const char *high = i + 2 < n && p[i + 1] ? strchr(digits, p[i + 1]) : NULL;
        const char *low = high && p[i + 2] ? strchr(digits, p[i + 2]) : NULL;
        if (!low || (high == digits && low == digits))
            return false;
        buf_addc(out, (char)((high - digits) * 16 + (low - digits)));
        i += 2;
    }
    return true;
}

static bool take_rest(struct journal_entry *entry, const struct strlist *fields)
{
    strlist_free(&entry->rest);
    entry->state = JOURNAL_DONE;
    for (size_t i = 2; i < fields->n; i++) {
        const char *rest = fields->v[i];
        if ((*rest != '-' && *rest != '?') || !rest[1])
            return false;
        if (*rest == '?')
            entry->state = JOURNAL_UNCERTAIN;
        else if (entry->state == JOURNAL_DONE)
            entry->state = JOURNAL_REST;
        strlist_add(&entry->rest, rest);
    }
    return true;
}

static bool apply(struct journal *j, const struct strlist *fields)
{
    if (fields->n < 2 || !*fields->v[1])
        return false;
    const char *verb = fields->v[0];
    struct journal_entry *entry = entry_of(j, fields->v[1]);
    if (strcmp(verb, "end") == 0)
        return take_rest(entry, fields);
    bool begin = strcmp(verb, "begin") == 0; /* for whom it was left, if an earlier run did so */
    entry->state = begin ? JOURNAL_UNCERTAIN : entry->rest.n > 0 ? JOURNAL_REST : JOURNAL_NEW;
    return fields->n == 2 && (begin || strcmp(verb, "undo") == 0);
}

static bool take_line(struct journal *j, const char *line, size_t n)
{
    struct strlist fields = STRLIST_INIT;
    bool ok = true;
    for (const char *p = line, *end = line + n; ok && p <= end;) {
        const char *tab = memchr(p, '\t', (size_t)(end - p)), *stop = tab ? tab : end;
        struct buf field = BUF_INIT;
        ok = !memchr(p, '\0', (size_t)(stop - p)) && decode(p, (size_t)(stop - p), &field);
        strlist_add_own(&fields, buf_steal(&field));
        p = stop + 1;
    }
    ok = ok && apply(j, &fields);
    strlist_free(&fields);
    return ok;
}

static bool no_journal(size_t line, struct err *e)
{
    err_set(e, FAULT_USAGE, "the file is no journal of a batch (line %zu)", line);
    return err_hint(e, "--resume makes a new file, or takes one that it made");
}

size_t journal_parse(struct journal *j, const char *text, size_t n, struct err *e)
{
    size_t known = n < HEADING ? n : HEADING, at = HEADING;
    if (n > 0 && memcmp(text, heading, known) != 0) {
        no_journal(1, e);
        return SIZE_MAX;
    }
    if (n < HEADING)
        return 0;
    for (size_t number = 2; at < n; number++) {
        const char *lf = memchr(text + at, '\n', n - at);
        if (!lf)
            break;
        if (!take_line(j, text + at, (size_t)(lf - text) - at)) {
            no_journal(number, e);
            return SIZE_MAX;
        }
        at = (size_t)(lf - text) + 1;
    }
    return at;
}

/* ---- writing ---- */

static void add_field(struct buf *line, char mark, const char *text)
{
    if (mark)
        buf_addc(line, mark);
    for (; *text; text++) {
        if (strchr("%\t\r\n", *text))
            buf_printf(line, "%%%02X", (unsigned char)*text);
        else
            buf_addc(line, *text);
    }
}

static bool write_line(struct journal *j, struct buf *line, struct err *e)
{
    buf_addc(line, '\n');
    if (!j->broken && j->fd >= 0 && !file_write_all(j->fd, line->data, line->len))
        j->broken = errno;
    buf_free(line);
    if (j->broken) {
        err_sys(e, FAULT_IO, j->broken, "cannot write to the journal");
        return err_hint(e, "what is under way will be 'uncertain' to the next run; give the journal room before");
    }
    usec now = clock_now();
    if (j->fd >= 0 && now - j->synced >= USEC_PER_SEC) {
        j->synced = now;
        fdatasync(j->fd);
    }
    return true;
}

static struct buf line_of(const char *verb, const struct journal_entry *entry)
{
    struct buf line = BUF_INIT;
    buf_adds(&line, verb);
    add_field(&line, '\t', entry->key);
    return line;
}

bool journal_begin(struct journal *j, struct journal_entry *entry, struct err *e)
{
    struct buf line = line_of("begin", entry);
    return write_line(j, &line, e);
}

bool journal_undo(struct journal *j, struct journal_entry *entry, struct err *e)
{
    struct buf line = line_of("undo", entry);
    return write_line(j, &line, e);
}

bool journal_end(struct journal *j, struct journal_entry *entry, const struct envelope *env, struct err *e)
{
    struct buf line = line_of("end", entry);
    for (size_t i = 0; i < env->n; i++) {
        const struct rcpt *r = &env->rcpts[i];
        if (r->fate == RCPT_ACCEPTED || r->fate == RCPT_REFUSED)
            continue;
        buf_addc(&line, '\t');
        add_field(&line, r->fate == RCPT_UNCERTAIN ? '?' : '-', r->address);
    }
    return write_line(j, &line, e);
}

/* ---- the file ---- */

struct journal *journal_new(void)
{
    struct journal *j = xcalloc(1, sizeof *j);
    *j = (struct journal){ .fd = -1, .synced = clock_now() };
    grow(j);
    return j;
}

static bool begin_file(struct journal *j, const char *path, struct err *e)
{
    struct stat st;
    j->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (j->fd < 0)
        return err_sys(e, FAULT_CANT_CREATE, errno, "cannot open the journal '%s'", path);
    if (fstat(j->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, FAULT_USAGE, "the journal '%s' is no file", path);
    if (flock(j->fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    err_set(e, FAULT_USAGE, "the journal '%s' is in use by another run", path);
    return err_hint(e, "two runs that share a journal would send messages twice");
}

static bool read_file(struct journal *j, struct err *e)
{
    struct buf text = BUF_INIT;
    bool ok = file_read_fd(j->fd, SIZE_MOST, &text, e);
    size_t whole = ok ? journal_parse(j, text.data, text.len, e) : SIZE_MAX;
    ok = whole != SIZE_MAX;
    if (ok && whole < text.len && ftruncate(j->fd, (off_t)whole) != 0)
        ok = err_sys(e, FAULT_IO, errno, "cannot write to the journal");
    if (ok && whole == 0 && !file_write_all(j->fd, heading, HEADING))
        ok = err_sys(e, FAULT_IO, errno, "cannot write to the journal");
    buf_free(&text);
    return ok;
}

struct journal *journal_open(const char *path, struct err *e)
{
    struct journal *j = journal_new();
    if (begin_file(j, path, e) && read_file(j, e))
        return j;
    journal_free(j);
    return NULL;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    for (size_t i = 0; i < j->cap; i++) {
        if (!j->slots[i])
            continue;
        free(j->slots[i]->key);
        strlist_free(&j->slots[i]->rest);
        free(j->slots[i]);
    }
    if (j->fd >= 0) {
        fdatasync(j->fd);
        close(j->fd);
    }
    free(j->slots);
    free(j);
}
