/* show_log: one line per mail in msmtp's format, appended to a file or handed to syslog.
 *
 *     Nov 21 20:15:00 host=… tls=on auth=on user=… from=… recipients=a,b mailsize=N smtpstatus=250
 *     smtpmsg='…' errormsg='…' exitcode=EX_OK port=587 tlspolicy=dane:dane msgid=<…> queueid=… ms=…
 *
 * Absent fields are left out. No value can end its line, its quotes or its place in the list. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "show/show.h"

/* In the order of the line: msmtp's, then ours. */
static const struct row {
    const char *name;
    bool quoted;
    bool only_sent; /* as in msmtp, of a message that was accepted */
} rows[] = {
    { "host", false, false },
    { "tls", false, false },
    { "auth", false, false },
    { "user", false, false },
    { "from", false, false },
    { "recipients", false, false },
    { "mailsize", false, true },
    { "smtpstatus", false, false },
    { "smtpmsg", true, false },
    { "errormsg", true, false },
    { "exitcode", false, false },
    { "port", false, false },
    { "tlspolicy", false, false },
    { "msgid", false, false },
    { "queueid", false, false },
    { "ms", false, false },
};

/* What would break the line or its grammar becomes '?'; a line end in a quoted text is written \n. */
static void add_clean(struct buf *out, const char *s, size_t n, const char *forbidden)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] >= 0x80 && (unsigned char)s[i + 1] < 0xa0;
        if (c == '\n' && *forbidden == '\'')
            buf_adds(out, "\\n");
        else if (c < ' ' || c == 0x7f || c1 || strchr(forbidden, c))
            buf_addc(out, '?');
        else
            buf_addc(out, (char)c);
        i += c1;
    }
}

static void add_recipients(struct buf *out, const struct strlist *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        if (i)
            buf_addc(out, ',');
        add_clean(out, l->v[i], strlen(l->v[i]), " ,'");
    }
}

static bool is_absent(const struct field *f)
{
    return !f || (f->type == FIELD_STRING && !f->s) || (f->type == FIELD_INT && f->i < 0);
}

static void add_field(struct buf *out, const struct row *row, const struct field *f)
{
    buf_printf(out, "%s%s=", out->len ? " " : "", row->name);
    switch (f->type) {
    case FIELD_END:
        break;
    case FIELD_STRING:
        buf_adds(out, row->quoted ? "'" : "");
        add_clean(out, f->s, f->len, row->quoted ? "'" : " '");
        buf_adds(out, row->quoted ? "'" : "");
        break;
    case FIELD_INT:
        buf_printf(out, "%" PRId64, f->i);
        break;
    case FIELD_BOOL:
        buf_adds(out, f->i ? "on" : "off");
        break;
    case FIELD_TIME:
        event_add_time(out, f->i);
        break;
    case FIELD_LIST:
        add_recipients(out, f->list);
        break;
    }
}

static bool is_sent(const struct event *ev)
{
    const struct field *fate = event_field(ev, "fate");
    return fate && fate->s && strcmp(fate->s, fate_word(FATE_SENT)) == 0;
}

static void format_line(const struct event *ev, struct buf *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct field *f = event_field(ev, rows[i].name);
        if (!is_absent(f) && (!rows[i].only_sent || is_sent(ev)))
            add_field(out, &rows[i], f);
    }
}

static void warn(const struct show_log *l, const struct err *e)
{
    struct buf text = BUF_INIT;
    char *label = xasprintf("%s: warning", l->progname);
    show_err(&text, label, e);
    fwrite(text.data, 1, text.len, stderr);
    free(label);
    buf_free(&text);
}

/* msmtp takes the same lock, so both may share a log. Who holds it does so for one write. */
static bool lock(int fd, const char *path, struct err *e)
{
    const struct timespec nap = { .tv_nsec = 10 * 1000 * 1000 };
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    struct stat st;
    if (!fstat(fd, &st) && !S_ISREG(st.st_mode))
        return true;
    usec deadline = clock_deadline(10 * USEC_PER_SEC);
    while (fcntl(fd, F_SETLK, &all)) {
        if (errno != EACCES && errno != EAGAIN && errno != EINTR)
            return err_sys(e, FAULT_IO, errno, "cannot lock '%s'", path);
        if (clock_now() >= deadline)
            return err_set(e, FAULT_IO, "cannot lock '%s': another program holds it", path);
        nanosleep(&nap, NULL);
    }
    return true;
}

static bool append(const char *path, const struct buf *line, struct err *e)
{
    if (strcmp(path, "-") == 0)
        return (fwrite(line->data, 1, line->len, stdout) == line->len && !fflush(stdout))
               || err_sys(e, FAULT_IO, errno, "cannot write the log line to the standard output");
    int fd = file_open_append(path, e);
    if (fd < 0)
        return err_hint(e, "only the line is missing: look at the folder, at who may write there, and at AppArmor or "
                           "SELinux");
    bool ok = lock(fd, path, e);
    if (ok && !file_write_all(fd, line->data, line->len))
        ok = err_sys(e, FAULT_IO, errno, "cannot write to '%s'", path);
    if (close(fd) && ok)
        ok = err_sys(e, FAULT_IO, errno, "cannot write to '%s'", path);
    return ok;
}

static void log_to_file(const struct show_log *l, const struct buf *text)
{
    struct buf line = BUF_INIT;
    struct err e = ERR_INIT;
    struct tm tm;
    char now[256];
    time_t t = time(NULL);
    const char *format = l->time_format && *l->time_format ? l->time_format : "%b %d %H:%M:%S";
    if (localtime_r(&t, &tm) && strftime(now, sizeof now, format, &tm)) {
        add_clean(&line, now, strlen(now), "");
        buf_addc(&line, ' ');
    }
    buf_addbuf(&line, text);
    buf_addc(&line, '\n');
    if (!append(l->file, &line, &e))
        warn(l, &e);
    err_clear(&e);
    buf_free(&line);
}

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    { "on", LOG_USER }, /* as in msmtp */
    { "LOG_USER", LOG_USER },
    { "LOG_MAIL", LOG_MAIL },
    { "LOG_LOCAL0", LOG_LOCAL0 },
    { "LOG_LOCAL1", LOG_LOCAL1 },
    { "LOG_LOCAL2", LOG_LOCAL2 },
    { "LOG_LOCAL3", LOG_LOCAL3 },
    { "LOG_LOCAL4", LOG_LOCAL4 },
    { "LOG_LOCAL5", LOG_LOCAL5 },
    { "LOG_LOCAL6", LOG_LOCAL6 },
    { "LOG_LOCAL7", LOG_LOCAL7 },
};

static void log_to_syslog(const struct show_log *l, const struct buf *line, bool ok)
{
    for (size_t i = 0; i < sizeof facilities / sizeof *facilities; i++) {
        if (strcmp(facilities[i].name, l->syslog_facility))
            continue;
        openlog(l->progname, 0, facilities[i].facility);
        syslog(ok ? LOG_INFO : LOG_ERR, "%s", line->data);
        closelog();
        return;
    }
    struct err e = ERR_INIT;
    err_set(&e, FAULT_CONFIG, "unknown syslog facility '%s'", l->syslog_facility);
    err_hint(&e, "LOG_USER, LOG_MAIL and LOG_LOCAL0 to LOG_LOCAL7 are known");
    warn(l, &e);
    err_clear(&e);
}

static void on_event(void *ctx, const struct event *ev)
{
    const struct show_log *l = ctx;
    const struct field *exitcode = event_field(ev, "exitcode");
    struct buf line = BUF_INIT;
    format_line(ev, &line);
    if (l->file && *l->file)
        log_to_file(l, &line);
    if (l->syslog_facility && *l->syslog_facility)
        log_to_syslog(l, &line, exitcode && exitcode->s && strcmp(exitcode->s, fault_sysexit_name(FAULT_NONE)) == 0);
    buf_free(&line);
}

void show_log_open(struct show_log *l, struct hub *h)
{
    hub_listen(h, EV_MASK(EV_RESULT), on_event, l);
}
