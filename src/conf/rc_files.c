/* rc_files: where configuration files are, and how they are read. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "conf/account.h"
#include "conf/rc.h"
#include "conf/rc_reader.h"

enum { FILE_MAX = 4 << 20 };

/* Where to look, in this order; of each level the first that is there is read. */
static const struct place {
    bool system, msmtp;
    const char *variable, *otherwise; /* a directory: $variable, or $HOME and otherwise; NULL: none */
    const char *path;
} places[] = {
    { false, false, "XDG_CONFIG_HOME", "/.config", "/envoi/config" },
    { false, false, NULL, "", "/.envoirc" },
    { false, true, NULL, "", "/.msmtprc" },
    { false, true, "XDG_CONFIG_HOME", "/.config", "/msmtp/config" },
    { true, false, NULL, NULL, SYSCONFDIR "/envoirc" },
    { true, true, NULL, NULL, SYSCONFDIR "/msmtprc" },
};

static char *place_path(const struct place *p)
{
    const char *dir = p->variable ? getenv(p->variable) : NULL, *home = getenv("HOME");
    if (!p->otherwise)
        return xstrdup(p->path);
    if (dir && *dir)
        return xasprintf("%s%s", dir, p->path);
    return home && *home ? xasprintf("%s%s%s", home, p->otherwise, p->path) : NULL;
}

void rc_places(struct strlist *out)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = place_path(&places[i]);
        if (path)
            strlist_add_own(out, path);
    }
}

bool rc_file_is_private(const struct rc_reader *r, const char **why)
{
    const struct rc_file *f = r->file;
    if (!f || !f->regular)
        return true;
    if (r->system) {
        *why = "everybody may read";
        return !(f->mode & 07);
    }
    *why = f->owner != geteuid() ? "belongs to somebody else" : "others may read or write";
    return f->owner == geteuid() && !(f->mode & 077);
}

static bool describe(int fd, const char *path, const struct rc_reader *r, struct rc_file *f, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_sys(e, FAULT_NO_INPUT, errno, "cannot read '%s'", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, FAULT_NO_INPUT, "'%s' is a directory", path);
    *f = (struct rc_file){ .name = path, .dev = st.st_dev, .ino = st.st_ino, .owner = st.st_uid, .mode = st.st_mode,
                           .regular = S_ISREG(st.st_mode), .parent = r->file };
    for (const struct rc_file *up = r->file; up; up = up->parent)
        if (up->dev == st.st_dev && up->ino == st.st_ino)
            return err_set(e, FAULT_CONFIG, "'%s' includes itself", path);
    return true;
}

static bool cannot_read(const char *path, int reason, struct err *e)
{
    err_sys(e, FAULT_NO_INPUT, reason, "cannot read '%s'", path);
    return reason == EACCES && err_hint(e, "see who may with 'ls -l %s'; where it should be you, AppArmor or SELinux "
                                           "may forbid it", path);
}

/* *missing: the failure is that there is no such file, or, as for msmtp, that the system's file is for others. */
static bool read_file(struct rc_reader *r, const char *path, bool *missing, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    *missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR || (errno == EACCES && r->system));
    if (fd < 0)
        return cannot_read(path, errno, e);
    struct buf text = BUF_SECRET_INIT;
    struct rc_file file;
    bool ok = describe(fd, path, r, &file, e) && file_read_fd(fd, FILE_MAX, &text, e);
    close(fd);
    if (ok) {
        strlist_add(&r->rc->files, path);
        r->file = &file;
        ok = rc_read_text(r, path, text.data, text.len, e);
        r->file = file.parent;
    }
    buf_free(&text);
    return ok;
}

/* The name as it stands, below $HOME, or beside the including file. */
static char *resolved(const char *beside, const char *name)
{
    const char *home = getenv("HOME"), *slash = strrchr(beside, '/');
    if (name[0] == '~' && name[1] == '/' && home)
        return xasprintf("%s%s", home, name + 1);
    if (name[0] == '/' || !slash)
        return xstrdup(name);
    return xasprintf("%.*s%s", (int)(slash + 1 - beside), beside, name);
}

bool rc_include(struct rc_reader *r, const char *pattern, struct err *e)
{
    char *path = resolved(r->name, pattern);
    glob_t found = { 0 };
    bool missing, ok = true;
    if (!strpbrk(path, "*?[")) {
        ok = read_file(r, path, &missing, e);
    } else if (glob(path, 0, NULL, &found) == 0) {
        const char *name = r->name;
        for (size_t i = 0; i < found.gl_pathc && ok; i++) {
            r->name = name;
            ok = read_file(r, found.gl_pathv[i], &missing, e);
        }
    }
    globfree(&found);
    free(path);
    return ok;
}

/* A failure is collected with keep_going. */
static bool finish(struct rc_reader *r, bool ok, struct err *failed, struct err *e)
{
    rc_reader_end(r);
    rc_reader_free(r);
    if (!ok && r->keep_going) {
        strlist_add(&r->rc->errors, failed->text);
        ok = true;
    } else if (!ok) {
        err_copy(e, failed);
    }
    err_clear(failed);
    return ok;
}

static bool looks_like_msmtp(const char *path)
{
    const char *slash = strrchr(path, '/'), *from = path;
    for (const char *p = path; slash && p < slash; p++)
        if (*p == '/')
            from = p;
    return strstr(from, "msmtp") != NULL;
}

/* path is the file, or NULL for the first of the level's places that exists. */
static bool load_level(struct rc *rc, const struct rc_params *p, bool system, const char *path, struct err *e)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *candidate = path ? xstrdup(path) : places[i].system == system ? place_path(&places[i]) : NULL;
        if (!candidate)
            continue;
        struct rc_reader r;
        struct err failed = ERR_INIT;
        bool missing;
        rc_reader_init(&r, rc, path ? p->msmtp || looks_like_msmtp(path) : places[i].msmtp, system);
        r.keep_going = p->keep_going;
        bool ok = read_file(&r, candidate, &missing, &failed);
        bool next = missing && !path;
        if (next) {
            strlist_add(&rc->looked, candidate);
            err_clear(&failed);
        }
        ok = finish(&r, ok || next, &failed, e);
        free(candidate);
        if (!next)
            return ok;
    }
    return true;
}

/* SMTPSERVER and EMAIL, as an account without a name, the last choice. */
static bool load_environment(struct rc *rc, struct err *e)
{
    static const char *const variables[][2] = { { "SMTPSERVER", "host" }, { "EMAIL", "from" } };
    const char *server = getenv("SMTPSERVER");
    if (!server || !*server)
        return true;
    if (!rc_parse(rc, "environment", "account environment\n", strlen("account environment\n"), false, e))
        return false;
    struct rc_account *a = &rc->v[rc->n - 1];
    a->name[0] = '\0';
    for (size_t i = 0; i < 2; i++) {
        const char *value = getenv(variables[i][0]);
        const struct option *o = option_by_name(a->settings.table, variables[i][1], strlen(variables[i][1]));
        if (value && *value && !settings_say(&a->settings, o, value, variables[i][0], NULL, e))
            return false;
    }
    return true;
}

/* The system's accounts were read first, so that the user's can inherit from them; the user's are found first. */
static void user_first(struct rc *rc)
{
    struct rc_account *sorted = xcalloc(rc->n ? rc->n : 1, sizeof *sorted);
    size_t n = 0;
    for (int system = 0; system <= 1; system++)
        for (size_t i = 0; i < rc->n; i++)
            if (rc->v[i].system == system)
                sorted[n++] = rc->v[i];
    free(rc->v);
    rc->v = sorted;
    rc->cap = n ? n : 1;
}

bool rc_load(struct rc *rc, const struct rc_params *p, struct err *e)
{
    if (p->no_files)
        return true;
    if (!load_level(rc, p, true, NULL, e) || !load_level(rc, p, false, p->user_file, e))
        return false;
    user_first(rc);
    return load_environment(rc, e);
}
