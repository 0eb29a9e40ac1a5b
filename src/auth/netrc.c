/* netrc: the parser, and ~/.netrc and the system's netrc as sources of a password. A file that others may read is an
 * error only where its password would be used. */
#include "auth/netrc.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/secret.h"
#include "base/ascii.h"
#include "base/file.h"

enum { NETRC_MAX = 1 << 20 };

struct scan {
    const char *at, *end;
    int line;
    int bad_line;
};

static void skip_line(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

static void skip_blanks(struct scan *s, bool comments)
{
    for (; s->at < s->end; s->at++) {
        if (comments && *s->at == '#')
            skip_line(s);
        if (s->at == s->end || (!ascii_isblank(*s->at) && *s->at != '\n' && *s->at != '\r'))
            return;
        s->line += *s->at == '\n';
    }
}

static bool quoted(struct scan *s, struct buf *word)
{
    int begun = s->line;
    for (s->at++; s->at < s->end; s->at++) {
        if (*s->at == '"') {
            s->at++;
            return true;
        }
        if (*s->at == '\\' && s->at + 1 < s->end)
            s->at++;
        s->line += *s->at == '\n';
        buf_addc(word, *s->at);
    }
    s->bad_line = begun;
    return false;
}

/* The next word; false at the end. */
static bool next(struct scan *s, bool comments, struct buf *word)
{
    buf_reset(word);
    skip_blanks(s, comments);
    if (s->at == s->end)
        return false;
    if (*s->at == '"')
        return quoted(s, word);
    while (s->at < s->end && !ascii_isblank(*s->at) && *s->at != '\n' && *s->at != '\r')
        buf_addc(word, *s->at++);
    return true;
}

/* What is asked for, and how far the entry being read answers it. */
struct find {
    struct scan scan;
    const char *host, *user;
    struct buf *password;
    struct buf *login; /* NULL: not asked for */
    struct buf word;
    bool host_fits, user_fits, has_password;
};

static void begin_entry(struct find *f, bool fits)
{
    f->host_fits = fits;
    f->user_fits = true; /* until it names another one */
    f->has_password = false;
    buf_reset(f->password);
}

static void read_machine(struct find *f)
{
    begin_entry(f, next(&f->scan, false, &f->word) && ascii_ieq(f->word.data, f->host));
}

static void read_default(struct find *f)
{
    begin_entry(f, true);
}

static void read_login(struct find *f)
{
    if (!next(&f->scan, false, &f->word))
        return;
    if (f->user)
        f->user_fits = strcmp(f->word.data, f->user) == 0;
    if (f->login && f->host_fits && !f->login->len)
        buf_addbuf(f->login, &f->word);
}

static void read_password(struct find *f)
{
    f->has_password = next(&f->scan, false, f->password);
}

static void skip_account(struct find *f)
{
    next(&f->scan, false, &f->word);
}

/* A macro's body ends with an empty line. */
static void skip_macro(struct find *f)
{
    struct scan *s = &f->scan;
    while (s->at < s->end) {
        skip_line(s);
        if (s->at == s->end)
            return;
        s->at++;
        s->line++;
        if (s->at < s->end && (*s->at == '\n' || *s->at == '\r'))
            return;
    }
}

static const struct keyword {
    const char *word;
    bool entry; /* begins an entry, and so ends the one before */
    void (*read)(struct find *f);
} keywords[] = {
    { "machine", true, read_machine },  { "default", true, read_default },   { "login", false, read_login },
    { "password", false, read_password }, { "account", false, skip_account }, { "macdef", false, skip_macro },
};

static const struct keyword *keyword(const char *word)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (strcmp(keywords[i].word, word) == 0)
            return &keywords[i];
    return NULL; /* ftp's other words mean nothing here */
}

bool netrc_find_login(const char *text, size_t n, const char *host, struct buf *login)
{
    struct buf ignored = BUF_SECRET_INIT;
    struct find f = { .scan = { .at = text, .end = text + n, .line = 1 }, .host = host, .password = &ignored,
                      .login = login, .word = BUF_SECRET_INIT };
    while (!login->len && next(&f.scan, true, &f.word)) {
        const struct keyword *k = keyword(f.word.data);
        if (k)
            k->read(&f);
    }
    buf_free(&f.word);
    buf_free(&ignored);
    return login->len > 0;
}

bool netrc_find(const char *text, size_t n, const char *host, const char *user, struct buf *password, int *bad_line)
{
    struct find f = { .scan = { .at = text, .end = text + n, .line = 1 }, .host = host, .user = user,
                      .password = password, .word = BUF_SECRET_INIT };
    bool found = false;
    while (!found && next(&f.scan, true, &f.word)) {
        const struct keyword *k = keyword(f.word.data);
        if (!k)
            continue;
        found = k->entry && f.host_fits && f.user_fits && f.has_password;
        if (!found)
            k->read(&f);
    }
    found = f.host_fits && f.user_fits && f.has_password && !f.scan.bad_line;
    *bad_line = f.scan.bad_line;
    if (!found)
        buf_reset(password);
    buf_free(&f.word);
    return found;
}

/* ~/.netrc has to be the user's alone; the system's may belong to root and be shared with a group. */
static bool private(const char *path, const struct stat *st, bool system, struct err *e)
{
    if (st->st_uid != geteuid() && !(system && st->st_uid == 0)) {
        err_set(e, FAULT_CONFIG, "'%s' holds a password but belongs to somebody else", path);
        return err_hint(e, "make it your own: chown, chmod 600");
    }
    if (st->st_mode & (system ? 007 : 077)) {
        err_set(e, FAULT_CONFIG, "'%s' holds a password and others may read it", path);
        return err_hint(e, "chmod %s %s", system ? "o=" : "600", path);
    }
    return true;
}

static enum secret_status look(const char *path, bool system, const struct secret_params *p, struct buf *out,
                               struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        int why = errno;
        err_sys(e, FAULT_CONFIG, why, "cannot read '%s'", path);
        return why == ENOENT || why == ENOTDIR || (system && why == EACCES) ? SECRET_NONE : SECRET_ERROR;
    }
    struct buf text = BUF_SECRET_INIT;
    enum secret_status status = SECRET_ERROR;
    int bad_line = 0;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        err_set(e, FAULT_CONFIG, "cannot read '%s': not a regular file", path);
    else if (!file_read_fd(fd, NETRC_MAX, &text, e))
        ; /* said */
    else if (netrc_find(text.data, text.len, p->host, p->user, out, &bad_line))
        status = private(path, &st, system, e) ? SECRET_FOUND : SECRET_ERROR;
    else if (bad_line)
        err_set(e, FAULT_CONFIG, "%s:%d: a quote is never closed", path, bad_line);
    else {
        err_set(e, FAULT_AUTH, "'%s' has no entry for this host and user", path);
        status = SECRET_NONE;
    }
    if (status != SECRET_FOUND)
        buf_reset(out);
    buf_free(&text);
    close(fd);
    return status;
}

static char *home_netrc(void)
{
    const char *home = getenv("HOME");
    const struct passwd *pw = home && *home ? NULL : getpwuid(geteuid());
    if (pw)
        home = pw->pw_dir;
    return home && *home ? xasprintf("%s/.netrc", home) : NULL;
}

enum secret_status secret_from_netrc(const struct secret_params *p, struct buf *out, struct err *e)
{
    if (!p->host)
        return SECRET_NONE;
    char *mine = home_netrc();
    enum secret_status status = mine ? look(mine, false, p, out, e) : SECRET_NONE;
    free(mine);
    if (status != SECRET_NONE || !p->netrc_system)
        return status;
    struct err other = ERR_INIT;
    status = look(p->netrc_system, true, p, out, &other);
    if (status != SECRET_NONE)
        err_clear(e);
    err_move(e, &other);
    return status;
}

static void look_for_login(const char *path, const char *host, struct buf *login)
{
    struct buf text = BUF_SECRET_INIT;
    struct err ignored = ERR_INIT;
    if (path && file_read(path, NETRC_MAX, &text, FAULT_CONFIG, &ignored))
        netrc_find_login(text.data, text.len, host, login);
    err_clear(&ignored);
    buf_free(&text);
}

bool secret_login_from_netrc(const struct secret_params *p, struct buf *login)
{
    char *mine = home_netrc();
    look_for_login(mine, p->host, login);
    free(mine);
    if (!login->len)
        look_for_login(p->netrc_system, p->host, login);
    return login->len > 0;
}
