/* prepare: makes a message fit to be sent: recipients and sender read out of it, headers added and removed. */
#include "mail/prepare.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/codec.h"

/* Resent blocks */

struct span {
    size_t begin, end; /* indices into the header list, end excluded */
};

static bool is_resent(const struct header *h)
{
    return h->name_len > 7 && ascii_ieqn(h->raw, "Resent-", 7);
}

/* Does a header that a block can hold only once (RFC 5322 3.6) stand in [begin, at) already? */
static bool begins_next_block(const struct header_list *l, size_t begin, size_t at)
{
    static const char *const once[] = { "Resent-Date", "Resent-From", "Resent-Sender", "Resent-Message-ID" };
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        if (header_find(l, once[i], at) == (long)at) {
            long first = header_find(l, once[i], begin);
            return first >= 0 && (size_t)first < at;
        }
    return false;
}

/* The first Resent block: headers in a row, since each resending puts its own on top. Empty when there is none. */
static struct span resent_block(const struct header_list *l)
{
    struct span s = { 0 };
    while (s.begin < l->n && !is_resent(&l->v[s.begin]))
        s.begin++;
    s.end = s.begin;
    while (s.end < l->n && is_resent(&l->v[s.end]) && !begins_next_block(l, s.begin, s.end))
        s.end++;
    return s;
}

/* Parses every header of that name in the span. */
static bool read_addresses(const struct header_list *l, struct span s, const char *name, struct mailbox_list *list,
                           struct err *e)
{
    for (long i = (long)s.begin; (i = header_find(l, name, (size_t)i)) >= 0 && (size_t)i < s.end; i++) {
        struct buf value = BUF_INIT;
        struct err why = ERR_INIT;
        header_value(&l->v[i], &value);
        bool good = address_list_parse(list, value.data, value.len, &why);
        if (!good) {
            err_set(e, FAULT_MESSAGE, "the header '%s' cannot be read: %s", name, why.text);
            if (why.hint)
                err_hint(e, "%s", why.hint);
        }
        err_clear(&why);
        buf_free(&value);
        if (!good)
            return false;
    }
    return true;
}

bool prepare_recipients(struct mailbox_list *list, const struct message *m, struct err *e)
{
    static const char *const names[2][3] = { { "To", "Cc", "Bcc" }, { "Resent-To", "Resent-Cc", "Resent-Bcc" } };
    struct span s = resent_block(&m->headers);
    bool resent = s.begin < s.end, good = true;
    if (!resent)
        s = (struct span){ 0, m->headers.n };
    for (size_t i = 0; good && i < 3; i++)
        good = read_addresses(&m->headers, s, names[resent][i], list, e);
    return good;
}

bool prepare_sender(const struct message *m, char **address, struct err *e)
{
    struct mailbox_list list = MAILBOX_LIST_INIT;
    struct span block = resent_block(&m->headers), all = { 0, m->headers.n };
    bool good = read_addresses(&m->headers, block, "Resent-From", &list, e) &&
                (list.n || read_addresses(&m->headers, all, "From", &list, e));
    *address = good && list.n ? xstrdup(list.v[0].address) : NULL;
    mailbox_list_free(&list);
    return good;
}

/* Stamps */

void stamp_date(struct buf *out, long long when)
{
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    time_t t = (time_t)when;
    struct tm tm = { 0 };
    localtime_r(&t, &tm);
    long offset = tm.tm_gmtoff / 60, minutes = labs(offset);
    buf_printf(out, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
               tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

/* Is it an id-right of RFC 5322 3.6.4? */
static bool fit_for_id(const char *domain)
{
    bool literal = *domain == '[';
    for (const char *p = domain; *p; p++)
        if (!ascii_isalnum(*p) && !strchr(literal ? "-_.:[]" : "-_.", *p))
            return false;
    return *domain != '\0';
}

/* The domain's ASCII form, so that no stamp needs SMTPUTF8; the host's name where that does not exist. */
static void add_id_domain(struct buf *out, const char *domain)
{
    struct buf ascii = BUF_INIT;
    struct err ignored = ERR_INIT;
    char host[256] = "";
    if (domain && domain_to_ascii(domain, &ascii, &ignored) && fit_for_id(ascii.data))
        buf_addbuf(out, &ascii);
    else if (gethostname(host, sizeof host - 1) == 0 && fit_for_id(host))
        buf_adds(out, host);
    else
        buf_adds(out, "localhost");
    err_clear(&ignored);
    buf_free(&ascii);
}

void stamp_message_id(struct buf *out, const char *domain)
{
    unsigned char unique[10];
    struct tm tm = { 0 };
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    if (getentropy(unique, sizeof unique) != 0) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        memcpy(unique, &ts.tv_nsec, 4);
        memcpy(unique + 4, &(pid_t){ getpid() }, 4);
        memset(unique + 8, 0, 2);
    }
    buf_printf(out, "<%04d%02d%02d%02d%02d%02d.", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
    hex_encode(out, unique, sizeof unique, "");
    buf_addc(out, '@');
    add_id_domain(out, domain);
    buf_addc(out, '>');
}

/* Headers that are made where they are missing */

struct maker {
    const struct prepare_params *params;
    const char *sender; /* the envelope's; "" is the null sender */
    const char *domain; /* for stamps, or NULL */
};

static void make_from(const struct maker *k, struct buf *out)
{
    const char *address = k->params->from ? k->params->from : k->sender;
    if (*address) {
        mailbox_format(out, k->params->from_full_name, address);
        return;
    }
    buf_adds(out, "MAILER-DAEMON@");
    add_id_domain(out, k->domain);
}

static void make_date(const struct maker *k, struct buf *out)
{
    (void)k;
    stamp_date(out, time(NULL));
}

static void make_message_id(const struct maker *k, struct buf *out)
{
    stamp_message_id(out, k->domain);
}

/* At the end of the section, behind any trace headers; in its old place where one is replaced. */
static void set_header(struct header_list *l, enum tristate wish, const char *name,
                       void (*make)(const struct maker *, struct buf *), const struct maker *k)
{
    long at = header_find(l, name, 0);
    if (wish == TRI_OFF || (wish == TRI_AUTO && at >= 0))
        return;
    struct buf value = BUF_INIT;
    make(k, &value);
    header_remove(l, name);
    header_insert(l, at >= 0 ? (size_t)at : l->n, name, value.data);
    buf_free(&value);
}

static bool has_destination(const struct header_list *l)
{
    return header_find(l, "To", 0) >= 0 || header_find(l, "Cc", 0) >= 0 || header_find(l, "Bcc", 0) >= 0;
}

bool prepare_message(struct message *m, const struct prepare_params *p, const struct envelope *env, struct err *e)
{
    (void)e;
    struct header_list *l = &m->headers;
    struct maker k = { p, env->sender ? env->sender : "", p->domain };
    if (!k.domain)
        k.domain = address_domain(*k.sender || !p->from ? k.sender : p->from);

    header_remove(l, "Return-Path");
    if (p->undisclosed) {
        header_remove(l, "To");
        header_remove(l, "Cc");
        header_remove(l, "Bcc");
    }
    if ((p->undisclosed || p->set_to_undisclosed) && !has_destination(l))
        header_insert(l, l->n, "To", "undisclosed-recipients:;");
    if (p->remove_bcc) {
        header_remove(l, "Bcc");
        header_remove(l, "Resent-Bcc");
    }
    if (p->from || env->sender)
        set_header(l, p->set_from, "From", make_from, &k);
    set_header(l, p->set_date == TRI_ON ? TRI_AUTO : p->set_date, "Date", make_date, &k);
    set_header(l, p->set_msgid, "Message-ID", make_message_id, &k);
    return true;
}
