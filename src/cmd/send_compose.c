/* send_compose: the message that the command line describes (--subject, --body, --attach …), in place of one on
 * standard input. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "cmd/cmd.h"
#include "cmd/send.h"
#include "mail/address.h"
#include "mail/compose.h"
#include "mail/mime_header.h"

bool send_composes(const struct run *r)
{
    const struct send_options *o = &r->opt;
    return o->subject || o->to || o->cc || o->bcc || r->settings[OF_RUN].ordered.n > 0;
}

/* ---- headers ---- */

static bool is_header(const char *said)
{
    return strncmp(said, "header=", 7) == 0;
}

/* The length of the name in "Name: value", 0 where there is none. */
static size_t name_length(const char *field)
{
    size_t n = 0;
    while (field[n] > ' ' && field[n] < 127 && field[n] != ':')
        n++;
    return field[n] == ':' ? n : 0;
}

static bool add_field(struct buf *out, const char *field, struct err *e)
{
    static const char *const ours[] = { "MIME-Version", "Content-Type", "Content-Transfer-Encoding" };
    size_t n = name_length(field);
    if (n == 0) {
        err_set(e, FAULT_USAGE, "'%s' is no header field", field);
        return err_hint(e, "write it as --header='Name: value'");
    }
    char *name = xstrndup(field, n);
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof ours / sizeof *ours; i++)
        if (ascii_ieq(name, ours[i])) {
            err_set(e, FAULT_USAGE, "'%s' follows from the parts of the message", name);
            ok = err_hint(e, "--attach-type and --attach-charset say what a part is");
        }
    if (ok)
        mime_header(out, name, field + n + 1);
    free(name);
    return ok;
}

/* Is the field among those of --header? */
static bool has_field(const struct strlist *said, const char *name)
{
    for (size_t i = 0; i < said->n; i++)
        if (is_header(said->v[i]) && name_length(said->v[i] + 7) == strlen(name)
            && ascii_ieqn(said->v[i] + 7, name, strlen(name)))
            return true;
    return false;
}

static bool add_addresses(struct buf *out, const char *name, const char *option, const struct strlist *operands,
                          struct err *e)
{
    struct mailbox_list list = MAILBOX_LIST_INIT;
    struct buf value = BUF_INIT;
    bool ok = !option || address_parse_some(&list, option, e);
    for (size_t i = 0; ok && operands && i < operands->n; i++)
        ok = address_parse_some(&list, operands->v[i], e);
    for (size_t i = 0; ok && i < list.n; i++) {
        buf_adds(&value, i ? ", " : "");
        mailbox_format(&value, list.v[i].name, list.v[i].address);
    }
    if (ok && list.n > 0)
        mime_header(out, name, value.data);
    mailbox_list_free(&list);
    buf_free(&value);
    return ok;
}

/* What --header says goes before what would be made. */
static bool add_headers(const struct run *r, struct buf *out, struct err *e)
{
    const struct strlist *said = &r->settings[OF_RUN].ordered;
    if (!has_field(said, "To") && !add_addresses(out, "To", r->opt.to, &r->operands, e))
        return false;
    if (!has_field(said, "Cc") && !add_addresses(out, "Cc", r->opt.cc, NULL, e))
        return false;
    if (r->opt.subject && !has_field(said, "Subject"))
        mime_header(out, "Subject", r->opt.subject);
    if (has_field(said, "Bcc") && !r->opt.read_recipients) {
        err_set(e, FAULT_USAGE, "'Bcc' in --header names no recipient, and would be removed");
        return err_hint(e, "write --bcc=ADDRESSES, or say -t to take recipients from the headers");
    }
    for (size_t i = 0; i < said->n; i++)
        if (is_header(said->v[i]) && !add_field(out, said->v[i] + 7, e))
            return false;
    return true;
}

/* ---- parts ---- */

/* Without a body, standard input is it; a terminal only where there would be nothing to send else. */
static bool add_body(struct parts *p, struct err *e)
{
    struct stat st;
    bool terminal = isatty(STDIN_FILENO);
    if (parts_has_body(p) || parts_reads_stdin(p) || (terminal && p->n > 0) || fstat(STDIN_FILENO, &st) < 0)
        return true;
    if (terminal)
        fprintf(stderr, "%s: reading the text of the message from the terminal; Ctrl-D on a line of its own ends it\n",
                program_invocation_short_name);
    return parts_say(p, "body", "-", e);
}

/* Who writes '--attach FILE --attach-name NAME' is not to find out from the receiver. */
static bool all_used(const struct parts *p, struct err *e)
{
    const char *word = parts_unused(p);
    if (!word)
        return true;
    err_set(e, FAULT_USAGE, "nothing follows that '--%s' is for", word);
    return err_hint(e, "write it in front of the %s or --attach-body that it is for",
                    strcmp(word, "attach-charset") == 0 ? "--body, --attach" : "--attach, --attach-inline");
}

static bool collect_parts(struct run *r, struct err *e)
{
    const struct strlist *said = &r->settings[OF_RUN].ordered;
    for (size_t i = 0; i < said->n; i++) {
        if (is_header(said->v[i]))
            continue;
        char *word = xstrndup(said->v[i], strcspn(said->v[i], "="));
        bool ok = parts_say(&r->parts, word, said->v[i] + strlen(word) + 1, e);
        free(word);
        if (!ok)
            return false;
    }
    return add_body(&r->parts, e) && all_used(&r->parts, e);
}

bool send_compose(struct run *r, struct err *e)
{
    struct buf headers = BUF_INIT;
    bool ok = add_headers(r, &headers, e) && collect_parts(r, e);
    struct compose *c = ok ? compose_new(headers.data, r->parts.v, r->parts.n, e) : NULL;
    buf_free(&headers);
    return c && message_compose(&r->message, c, e);
}
