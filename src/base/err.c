/* err: what went wrong, as a value. What a fault means (exit status, JSON word, whether to try
 * again) and what a stage is called stands in two tables here and nowhere else. */
#include "base/err.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/buf.h"

enum { EX_PARTIAL = 79 }; /* not in sysexits.h; the first value it leaves free */

static const struct {
    int exit;
    const char *sysexit;
    const char *word;
    bool retry_helps;
} faults[FAULT_COUNT] = {
    [FAULT_NONE]        = { EX_OK, "EX_OK", "none", false },
    [FAULT_USAGE]       = { EX_USAGE, "EX_USAGE", "usage", false },
    [FAULT_MESSAGE]     = { EX_DATAERR, "EX_DATAERR", "message", false },
    [FAULT_NO_INPUT]    = { EX_NOINPUT, "EX_NOINPUT", "no-input", false },
    [FAULT_RECIPIENTS]  = { EX_NOUSER, "EX_NOUSER", "recipients", false },
    [FAULT_NO_HOST]     = { EX_NOHOST, "EX_NOHOST", "no-host", false },
    [FAULT_UNAVAILABLE] = { EX_UNAVAILABLE, "EX_UNAVAILABLE", "unavailable", false },
    [FAULT_SOFTWARE]    = { EX_SOFTWARE, "EX_SOFTWARE", "software", false },
    [FAULT_SYSTEM]      = { EX_OSERR, "EX_OSERR", "system", false },
    [FAULT_CANT_CREATE] = { EX_CANTCREAT, "EX_CANTCREAT", "cannot-create", false },
    [FAULT_IO]          = { EX_IOERR, "EX_IOERR", "io", false },
    [FAULT_TEMPORARY]   = { EX_TEMPFAIL, "EX_TEMPFAIL", "temporary", true },
    [FAULT_TIMEOUT]     = { EX_TEMPFAIL, "EX_TEMPFAIL", "timeout", true },
    [FAULT_CONNECT]     = { EX_TEMPFAIL, "EX_TEMPFAIL", "connect", true },
    [FAULT_LOST]        = { EX_TEMPFAIL, "EX_TEMPFAIL", "lost", true },
    [FAULT_INTERRUPTED] = { EX_TEMPFAIL, "EX_TEMPFAIL", "interrupted", true },
    [FAULT_DNS]         = { EX_TEMPFAIL, "EX_TEMPFAIL", "dns", true },
    [FAULT_PROTOCOL]    = { EX_PROTOCOL, "EX_PROTOCOL", "protocol", false },
    [FAULT_TLS]         = { EX_PROTOCOL, "EX_PROTOCOL", "tls", false },
    [FAULT_CERTIFICATE] = { EX_NOPERM, "EX_NOPERM", "certificate", false },
    [FAULT_AUTH]        = { EX_NOPERM, "EX_NOPERM", "auth", false },
    [FAULT_CONFIG]      = { EX_CONFIG, "EX_CONFIG", "config", false },
    [FAULT_PARTIAL]     = { EX_PARTIAL, "EX_PARTIAL", "partial", false },
};

static const struct {
    const char *word;
    const char *phrase;
} stages[STAGE_COUNT] = {
    [STAGE_NONE]     = { "none", "before the connection" },
    [STAGE_LOOKUP]   = { "lookup", "while looking up the host" },
    [STAGE_CONNECT]  = { "connect", "while connecting" },
    [STAGE_PROXY]    = { "proxy", "at the proxy" },
    [STAGE_GREETING] = { "greeting", "before the greeting" },
    [STAGE_EHLO]     = { "ehlo", "after EHLO" },
    [STAGE_STARTTLS] = { "starttls", "after STARTTLS" },
    [STAGE_TLS]      = { "tls", "in the TLS handshake" },
    [STAGE_XCLIENT]  = { "xclient", "after XCLIENT" },
    [STAGE_AUTH]     = { "auth", "during AUTH" },
    [STAGE_ETRN]     = { "etrn", "after ETRN" },
    [STAGE_MAIL]     = { "mail", "after MAIL" },
    [STAGE_RCPT]     = { "rcpt", "after RCPT" },
    [STAGE_DATA]     = { "data", "after DATA" },
    [STAGE_BODY]     = { "body", "while sending the message" },
    [STAGE_DOT]      = { "dot", "after the end of the message" },
    [STAGE_RSET]     = { "rset", "after RSET" },
    [STAGE_QUIT]     = { "quit", "after QUIT" },
};

static const char *const fates[] = {
    [FATE_NOT_SENT] = "not-sent",
    [FATE_MAYBE_SENT] = "maybe-sent",
    [FATE_SENT] = "sent",
};

static char *format(const char *fmt, va_list ap)
{
    struct buf b = BUF_INIT;
    buf_vprintf(&b, fmt, ap);
    return buf_steal(&b);
}

bool err_set(struct err *e, enum fault fault, const char *fmt, ...)
{
    if (err_is_set(e))
        return false;
    va_list ap;
    va_start(ap, fmt);
    e->fault = fault;
    e->text = format(fmt, ap);
    va_end(ap);
    return false;
}

bool err_sys(struct err *e, enum fault fault, int errno_value, const char *fmt, ...)
{
    if (err_is_set(e))
        return false;
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    char reason[256];
    buf_printf(&b, ": %s", strerror_r(errno_value, reason, sizeof reason));
    e->fault = fault;
    e->text = buf_steal(&b);
    return false;
}

bool err_hint(struct err *e, const char *fmt, ...)
{
    if (!err_is_set(e) || e->hint)
        return false;
    va_list ap;
    va_start(ap, fmt);
    e->hint = format(fmt, ap);
    va_end(ap);
    return false;
}

bool err_stage(struct err *e, enum stage stage)
{
    if (err_is_set(e) && e->stage == STAGE_NONE)
        e->stage = stage;
    return false;
}

bool err_server(struct err *e, const char *words)
{
    if (err_is_set(e) && !e->server)
        e->server = xstrdup(words);
    return false;
}

bool err_is_set(const struct err *e)
{
    return e->fault != FAULT_NONE;
}

void err_clear(struct err *e)
{
    free(e->text);
    free(e->server);
    free(e->hint);
    *e = (struct err)ERR_INIT;
}

void err_move(struct err *to, struct err *from)
{
    if (to == from)
        return;
    if (!err_is_set(to)) {
        err_clear(to);
        *to = *from;
        *from = (struct err)ERR_INIT;
    }
    err_clear(from);
}

void err_copy(struct err *to, const struct err *from)
{
    if (err_is_set(to) || !err_is_set(from))
        return;
    err_clear(to);
    *to = *from;
    to->text = xstrdup(from->text);
    to->server = xstrdup(from->server);
    to->hint = xstrdup(from->hint);
}

int fault_exit(enum fault fault)
{
    return faults[fault].exit;
}

const char *fault_word(enum fault fault)
{
    return faults[fault].word;
}

const char *fault_sysexit_name(enum fault fault)
{
    return faults[fault].sysexit;
}

bool fault_retry_helps(enum fault fault)
{
    return faults[fault].retry_helps;
}

const char *stage_word(enum stage stage)
{
    return stages[stage].word;
}

const char *stage_phrase(enum stage stage)
{
    return stages[stage].phrase;
}

const char *fate_word(enum fate fate)
{
    return fates[fate];
}
