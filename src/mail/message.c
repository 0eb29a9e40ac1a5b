/* message: intake, window, and what streams behind it.
 *
 * The source, a descriptor or a composer, is read into `raw` and leaves it canonical. A CR that ends a read is held
 * back to the front of the next one, so that each CR is always seen with the octet behind it. */
#include "mail/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "mail/compose.h"

enum { READ_SIZE = 64 << 10, LINE_MAX_OCTETS = 998 };

struct intake {
    int fd;
    struct compose *compose; /* own: the source in place of fd; NULL: none */
    bool bare;           /* no headers and no empty line: the window is everything */
    bool eof;
    bool regular;        /* fd is a file: reading it does not wait */
    bool cr_held;        /* raw[0] is a CR whose next octet is not known yet */
    char *raw;           /* own: 1 + READ_SIZE octets */
    size_t pos, len;     /* the part of raw that did not leave it yet */
    int64_t taken;       /* octets read from the source so far */
    size_t skip;         /* octets that are in the window already */
    char last;           /* the last canonical octet made */
    struct buf window;   /* canonical text from the beginning */
    size_t body;         /* where the body begins in it */
    struct buf head;     /* headers and empty line while they go out; a short body joins them */
    bool started;
    size_t head_pos, window_pos; /* what went out */
    bool streamed;       /* octets past the window went out */
    char *block;         /* own: MESSAGE_BLOCK octets for text that had to be converted */
    int spool;           /* the rest of the body, canonical; -1: none */
    int64_t spool_size, spool_pos;
    bool shared;         /* headers, window and spool are another message's */
};

void message_init(struct message *m)
{
    *m = (struct message){ .headers = HEADER_LIST_INIT, .size_hint = -1 };
    m->in = xmalloc(sizeof *m->in);
    *m->in = (struct intake){ .fd = -1, .spool = -1, .last = '\n', .window = BUF_INIT, .head = BUF_INIT };
    m->in->raw = xmalloc(1 + READ_SIZE);
}

void message_free(struct message *m)
{
    if (!m->in)
        return;
    if (!m->in->shared) {
        if (m->in->spool >= 0)
            close(m->in->spool);
        compose_free(m->in->compose);
        buf_free(&m->in->window);
        header_list_free(&m->headers);
    }
    buf_free(&m->in->head);
    free(m->in->raw);
    free(m->in->block);
    free(m->in);
    m->in = NULL;
    m->headers = (struct header_list)HEADER_LIST_INIT;
}

/* Intake */

static bool refuse_nul(const char *p, size_t n, int64_t offset, struct err *e)
{
    const char *nul = memchr(p, '\0', n);
    if (!nul)
        return true;
    err_set(e, FAULT_MESSAGE, "the message holds a NUL octet at offset %lld", (long long)(offset + (nul - p)));
    return err_hint(e, "send binary data as a base64 attachment");
}

/* The one place that asks the source; *n == 0: its end. */
static bool pull(struct intake *in, char *p, size_t *n, struct err *e)
{
    if (in->compose)
        return compose_read(in->compose, p, READ_SIZE, n, e);
    ssize_t got = file_read_some(in->fd, p, READ_SIZE);
    if (got < 0)
        return err_sys(e, FAULT_IO, errno, "cannot read the message");
    *n = (size_t)got;
    return true;
}

/* One read, where raw is used up. It may leave nothing to go on with: a lone CR, held back. */
static bool refill(struct intake *in, struct err *e)
{
    size_t got;
    if (!pull(in, in->raw + 1, &got, e) || !refuse_nul(in->raw + 1, got, in->taken, e))
        return false;
    in->taken += (int64_t)got;
    in->pos = in->cr_held ? 0 : 1;
    in->len = 1 + got;
    in->eof = got == 0;
    in->cr_held = !in->eof && in->raw[in->len - 1] == '\r';
    if (in->cr_held)
        in->len--;
    if (in->pos == 0)
        in->raw[0] = '\r';
    size_t skipped = in->skip < in->len - in->pos ? in->skip : in->len - in->pos;
    in->pos += skipped;
    in->skip -= skipped;
    return true;
}

/* Makes raw hold something to go on with, or sets eof. */
static bool fill(struct intake *in, struct err *e)
{
    while (in->pos == in->len && !in->eof)
        if (!refill(in, e))
            return false;
    return true;
}

/* Is each CR followed by LF, and each LF preceded by CR? */
static bool is_canonical(const char *p, const char *end)
{
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        const char *cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));
        if (!lf)
            return !cr;
        if (cr != lf - 1)
            return false;
        p = lf + 1;
    }
    return true;
}

struct converter {
    const char *p, *end; /* what is left; a CR at the end is the message's last octet */
    const char *cr;      /* the first CR at or behind p, or end; before p: not looked for yet */
    char *out;
    size_t room;
};

/* Copies up to `stop`, as far as there is room. */
static bool copy_text(struct converter *c, const char *stop)
{
    size_t n = (size_t)(stop - c->p);
    bool fits = n <= c->room;
    if (!fits)
        n = c->room;
    memcpy(c->out, c->p, n);
    c->p += n;
    c->out += n;
    c->room -= n;
    return fits;
}

/* The n octets at p are one line end. */
static bool put_line_end(struct converter *c, size_t n)
{
    if (c->room < 2)
        return false;
    memcpy(c->out, "\r\n", 2);
    c->p += n;
    c->out += 2;
    c->room -= 2;
    return true;
}

/* Most messages have none, which is found out once. */
static const char *next_cr(struct converter *c)
{
    if (!c->cr || c->cr < c->p) {
        const char *found = memchr(c->p, '\r', (size_t)(c->end - c->p));
        c->cr = found ? found : c->end;
    }
    return c->cr;
}

/* Converts until the input ends or the next piece has no room. Returns the octets written. */
static size_t convert(struct converter *c)
{
    const char *out = c->out;
    while (c->p < c->end) {
        const char *lf = memchr(c->p, '\n', (size_t)(c->end - c->p)), *stop = lf ? lf : c->end, *cr;
        while (c->p < stop && (cr = next_cr(c)) < stop && cr + 1 != lf)
            if (!copy_text(c, cr) || !put_line_end(c, 1))
                return (size_t)(c->out - out);
        bool crlf = lf && lf > c->p && lf[-1] == '\r';
        if (!copy_text(c, crlf ? lf - 1 : stop) || (lf && !put_line_end(c, crlf ? 2 : 1)))
            break;
    }
    return (size_t)(c->out - out);
}

/* Converts what raw holds, at most `room` octets of it. */
static size_t convert_raw(struct intake *in, char *out, size_t room)
{
    struct converter c = { .p = in->raw + in->pos, .end = in->raw + in->len, .out = out, .room = room };
    size_t made = convert(&c);
    in->pos = (size_t)(c.p - in->raw);
    if (made)
        in->last = out[made - 1];
    return made;
}

/* The window */

static bool fill_window(struct intake *in, struct err *e)
{
    size_t made;
    do {
        if (!fill(in, e))
            return false;
        size_t want = 2 * (in->len - in->pos), room = MESSAGE_WINDOW - in->window.len;
        if (want > room)
            want = room;
        buf_reserve(&in->window, want);
        made = convert_raw(in, in->window.data + in->window.len, want);
        in->window.len += made;
    } while (made);
    return true;
}

/* Is the end of the headers in a window that is full? Where it ends within a line, that line may be half a header. */
static bool headers_end(const char *text, size_t n, size_t body)
{
    if (body < n)
        return memchr(text + body, '\n', n - body) || n - body > LINE_MAX_OCTETS;
    return n == 2 || (n >= 4 && memcmp(text + n - 4, "\r\n\r\n", 4) == 0);
}

/* The facts and the headers of a filled window. */
static bool open_window(struct message *m, struct err *e)
{
    struct intake *in = m->in;
    buf_cut(&in->window, in->window.len); /* puts the NUL behind what was written directly */
    m->complete = in->eof && in->pos == in->len;
    m->empty = m->complete && in->window.len == 0;
    if (m->complete && in->last != '\n') {
        buf_adds(&in->window, "\r\n");
        in->last = '\n';
    }
    header_list_parse(&m->headers, in->window.data, in->window.len, &in->body);
    if (!m->complete && !headers_end(in->window.data, in->window.len, in->body)) {
        err_set(e, FAULT_MESSAGE, "the headers of the message are larger than %d octets", MESSAGE_WINDOW);
        return err_hint(e, "an empty line ends the headers; is it missing, or is there a list of recipients that "
                           "belongs on the command line?");
    }
    in->window_pos = in->body;
    m->eight_bit = !ascii_only(in->window.data + in->body, in->window.len - in->body);
    return true;
}

static int64_t source_size(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at <= st.st_size ? st.st_size - at : -1;
}

bool message_read(struct message *m, int fd, struct err *e)
{
    m->in->fd = fd;
    m->size_hint = source_size(fd);
    m->in->regular = m->size_hint >= 0;
    return fill_window(m->in, e) && open_window(m, e);
}

bool message_from_memory(struct message *m, const char *text, size_t n, struct err *e)
{
    struct intake *in = m->in;
    if (!refuse_nul(text, n, 0, e))
        return false;
    buf_reserve(&in->window, 2 * n);
    struct converter c = { .p = text, .end = text + n, .out = in->window.data, .room = 2 * n };
    in->window.len = convert(&c);
    if (in->window.len)
        in->last = in->window.data[in->window.len - 1];
    in->eof = true;
    return open_window(m, e);
}

bool message_compose(struct message *m, struct compose *c, struct err *e)
{
    m->in->compose = c;
    m->size_hint = compose_size(c);
    return fill_window(m->in, e) && open_window(m, e);
}

void message_raw(struct message *m, const char *octets, size_t n)
{
    buf_add(&m->in->window, octets, n);
    m->in->bare = m->in->eof = m->complete = true;
    m->empty = n == 0;
    m->eight_bit = !ascii_only(octets, n);
}

bool message_headers_eight_bit(const struct message *m)
{
    for (size_t i = 0; i < m->headers.n; i++)
        if (!ascii_only(m->headers.v[i].raw, m->headers.v[i].len))
            return true;
    return false;
}

/* A field that says anything else is none (RFC 8689 5); beside one that is, it leaves the matter open. */
bool message_tls_not_required(const struct message *m)
{
    const char *name = "TLS-Required";
    bool no = false;
    for (long i = 0; (i = header_find(&m->headers, name, (size_t)i)) >= 0; i++) {
        struct buf value = BUF_INIT;
        header_value(&m->headers.v[i], &value);
        no = value.len && ascii_ieq(value.data, "No");
        buf_free(&value);
        if (!no)
            return false;
    }
    return no;
}

int64_t message_size(const struct message *m)
{
    const struct intake *in = m->in;
    int64_t source = m->complete ? (int64_t)in->window.len + in->spool_size : in->compose ? compose_size(in->compose)
                                                                                          : -1;
    if (source < 0)
        return -1;
    return (int64_t)header_list_size(&m->headers) + (in->bare ? 0 : 2) + source - (int64_t)in->body;
}

/* On the way out */

bool message_can_rewind(const struct message *m)
{
    const struct intake *in = m->in;
    return !in->streamed || in->spool >= 0 || (in->compose && compose_size(in->compose) >= 0);
}

/* The source begins anew; the window stays. */
static bool rewind_source(struct intake *in)
{
    if (!compose_rewind(in->compose))
        return false;
    in->streamed = in->eof = in->cr_held = false;
    in->pos = in->len = 0;
    in->taken = 0;
    in->skip = in->window.len;
    in->last = in->window.data[in->window.len - 1];
    return true;
}

bool message_rewind(struct message *m)
{
    struct intake *in = m->in;
    if (!message_can_rewind(m) || (in->streamed && in->spool < 0 && !rewind_source(in)))
        return false;
    in->started = false;
    in->window_pos = in->body;
    in->spool_pos = 0;
    return true;
}

/* Headers, the empty line and, so that a short message is one block, a body that still fits. */
static void start(struct message *m)
{
    struct intake *in = m->in;
    size_t body = in->window.len - in->body;
    in->started = true;
    in->head_pos = 0;
    buf_reset(&in->head);
    header_list_write(&m->headers, &in->head);
    buf_adds(&in->head, in->bare ? "" : "\r\n");
    if (in->head.len + body <= READ_SIZE) {
        buf_add(&in->head, in->window.data + in->body, body);
        in->window_pos = in->window.len;
    }
}

static void slice(const struct buf *b, size_t *pos, const char **p, size_t *n)
{
    size_t left = b->len - *pos;
    *p = b->data + *pos;
    *n = left < MESSAGE_BLOCK ? left : MESSAGE_BLOCK;
    *pos += *n;
}

/* A block from the source: raw itself where it is canonical, else converted. */
static bool next_streamed(struct message *m, const char **p, size_t *n, struct err *e)
{
    struct intake *in = m->in;
    if (!fill(in, e))
        return false;
    if (in->pos == in->len) {
        *p = "\r\n";
        *n = in->last == '\n' ? 0 : 2;
        in->last = '\n';
        return true;
    }
    *p = in->raw + in->pos;
    *n = in->len - in->pos;
    if (is_canonical(*p, *p + *n)) {
        in->pos = in->len;
        in->last = in->raw[in->len - 1];
    } else {
        if (!in->block)
            in->block = xmalloc(MESSAGE_BLOCK);
        *p = in->block;
        *n = convert_raw(in, in->block, MESSAGE_BLOCK);
    }
    return true;
}

static bool next_spooled(struct intake *in, const char **p, size_t *n, struct err *e)
{
    ssize_t got;
    do
        got = pread(in->spool, in->raw, READ_SIZE, in->spool_pos);
    while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && in->spool_pos < in->spool_size))
        return err_sys(e, FAULT_IO, got < 0 ? errno : EIO, "cannot read the spooled message");
    in->spool_pos += got;
    *p = in->raw;
    *n = (size_t)got;
    return true;
}

bool message_next(struct message *m, const char **p, size_t *n, struct err *e)
{
    struct intake *in = m->in;
    if (!in->started)
        start(m);
    if (in->head_pos < in->head.len) {
        slice(&in->head, &in->head_pos, p, n);
        return true;
    }
    if (in->window_pos < in->window.len || (m->complete && in->spool < 0)) {
        slice(&in->window, &in->window_pos, p, n);
        return true;
    }
    if (in->spool >= 0)
        return next_spooled(in, p, n, e);
    in->streamed = true;
    return next_streamed(m, p, n, e);
}

static bool spool_failed(struct intake *in)
{
    in->streamed = true;
    if (in->spool >= 0)
        close(in->spool);
    in->spool = -1;
    return false;
}

bool message_spool_step(struct message *m, struct err *e)
{
    struct intake *in = m->in;
    if (m->complete)
        return true;
    if (in->spool < 0 && (in->spool = file_unlinked(e)) < 0)
        return false;
    if (in->pos == in->len && !in->eof && !refill(in, e))
        return spool_failed(in);
    const char *p;
    size_t n = 0;
    while (in->pos < in->len || in->eof) {
        if (!next_streamed(m, &p, &n, e))
            return spool_failed(in);
        m->complete = n == 0;
        if (m->complete)
            break;
        m->eight_bit = m->eight_bit || !ascii_only(p, n);
        if (!file_write_all(in->spool, p, n)) {
            err_sys(e, FAULT_IO, errno, "cannot spool the message");
            return spool_failed(in);
        }
        in->spool_size += (int64_t)n;
    }
    return true;
}

bool message_spool(struct message *m, struct err *e)
{
    while (!m->complete)
        if (!message_spool_step(m, e))
            return false;
    return true;
}

void message_share(struct message *copy, const struct message *m)
{
    const struct intake *from = m->in;
    message_init(copy);
    char *raw = copy->in->raw;
    *copy = (struct message){ .headers = m->headers, .complete = m->complete, .eight_bit = m->eight_bit,
                              .empty = m->empty, .size_hint = m->size_hint, .in = copy->in };
    *copy->in = (struct intake){ .fd = -1, .raw = raw, .bare = from->bare, .eof = true, .last = '\n',
                                 .window = from->window, .body = from->body, .window_pos = from->body,
                                 .head = BUF_INIT, .spool = from->spool, .spool_size = from->spool_size,
                                 .shared = true };
}

int message_source_fd(const struct message *m)
{
    const struct intake *in = m->in;
    if (in->pos < in->len || m->complete || in->eof)
        return -1;
    return in->compose ? compose_wait_fd(in->compose) : in->fd;
}

int message_wait_fd(const struct message *m)
{
    const struct intake *in = m->in;
    bool more = in->regular || !in->started || in->head_pos < in->head.len || in->window_pos < in->window.len;
    return more ? -1 : message_source_fd(m);
}

bool message_pull(struct message *m, struct err *e)
{
    if (message_wait_fd(m) < 0)
        return true;
    return m->in->compose ? compose_pull(m->in->compose, e) : refill(m->in, e);
}
