/* compose: the structure of a MIME message as a row of pieces, each a text of ours and the content of one part behind
 * it. Knows neither how content is read (source) nor how it is encoded (transfer). */
#include "mail/compose.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/codec.h"
#include "mail/media.h"
#include "mail/mime_header.h"
#include "mail/source.h"
#include "mail/transfer.h"

struct content {
    const struct compose_part *part;
    struct source *source;
    char *type;            /* own */
    const char *charset;   /* to be written; NULL: none */
    enum transfer transfer;
    bool eight_bit;        /* as it goes out */
    bool ends_line;        /* its last octets are CRLF, or it is empty */
    int64_t size;          /* as it goes out; -1: not known */
};

struct piece {
    struct buf text;
    struct content *content; /* NULL: the end */
};

enum { LEVELS = 3, CONTENT_ID_MAX = 500 };
enum level { MIXED, RELATED, ALTERNATIVE };

struct compose {
    char *headers;
    char *boundary;          /* own: what all boundaries share */
    struct content *contents;
    struct source *sources;
    size_t n, sources_n;
    struct piece *pieces;    /* n + 1 at most */
    size_t pieces_n;
    enum level open[LEVELS]; /* while the pieces are made: the multiparts around, innermost last */
    size_t depth;
    /* where the reader is */
    size_t piece;
    bool in_content;
    bool ended;              /* the source is, and all it gave is encoded */
    int64_t made;            /* octets of this content */
    struct transfer_state state;
    char *raw, *coded;       /* own: TRANSFER_IN and TRANSFER_OUT octets */
    size_t raw_n;
    const char *at;          /* what is next, in a piece or in coded */
    size_t left;
};

/* ---- parts ---- */

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "": none. A body shows one only where it was named. */
static const char *name_of(const struct compose_part *p)
{
    if (p->name)
        return p->name;
    return p->path && strcmp(p->path, "-") != 0 && p->role != COMPOSE_BODY ? last_component(p->path) : "";
}

/* For errors. */
static const char *called(const struct compose_part *p)
{
    if (p->path)
        return strcmp(p->path, "-") == 0 ? "standard input" : p->path;
    return p->role == COMPOSE_BODY ? "the body" : "the attached text";
}

static char *choose_type(const struct compose_part *p)
{
    if (p->type)
        return xstrdup(p->type);
    struct buf type = BUF_INIT;
    const char *name = *name_of(p) || !p->path ? name_of(p) : last_component(p->path);
    bool known = media_by_name(name, &type);
    if (p->role == COMPOSE_BODY && !(known && media_is(type.data, "text"))) {
        buf_reset(&type);
        buf_adds(&type, "text/plain");
    } else if (!known) {
        buf_adds(&type, "application/octet-stream");
    }
    return buf_steal(&type);
}

static bool check_words(const struct content *c, struct err *e)
{
    const struct compose_part *p = c->part;
    if (!media_valid(c->type)) {
        err_set(e, FAULT_USAGE, "'%s' is no media type", c->type);
        return err_hint(e, "write TYPE/SUBTYPE, such as text/html or application/pdf");
    }
    if (p->charset && !media_token(p->charset, strlen(p->charset))) {
        err_set(e, FAULT_USAGE, "'%s' is no charset", p->charset);
        return err_hint(e, "write its name, such as utf-8 or iso-8859-1");
    }
    if (!p->content_id)
        return true;
    for (const char *id = p->content_id; *id; id++)
        if (*id <= ' ' || *id > 126 || strchr("<>()", *id))
            return err_set(e, FAULT_USAGE, "a Content-ID cannot hold what stands in '%s'", p->content_id) ||
                   err_hint(e, "take letters, digits and dots, without <>, as in --attach-id=logo");
    size_t n = strlen(p->content_id);
    return (n > 0 && n <= CONTENT_ID_MAX) || err_set(e, FAULT_USAGE, "a Content-ID has 1 to %d octets", CONTENT_ID_MAX);
}

/* RFC 2045 6.4, RFC 2046 5.2.1: these may only be written as they are. */
static bool is_composite(const char *type)
{
    return media_is(type, "multipart") || (media_is(type, "message") && !ascii_istarts(type, "message/global"));
}

static bool look_at(struct compose *c, const struct content *p, struct text_facts *f, struct err *e)
{
    size_t n;
    *f = (struct text_facts){ 0 };
    if (!source_hold(p->source, e))
        return false;
    source_rewind(p->source);
    do {
        if (!source_read(p->source, c->raw, TRANSFER_IN, &n, e))
            return false;
        text_look(f, c->raw, n, c->coded);
    } while (n > 0);
    text_end(f);
    return true;
}

/* Its size in quoted-printable is known when it was made. */
static bool measure(struct compose *c, struct content *p, struct err *e)
{
    struct transfer_state state = { 0 };
    size_t n;
    source_rewind(p->source);
    p->size = 0;
    do {
        if (!source_read(p->source, c->raw, TRANSFER_IN, &n, e))
            return false;
        p->size += (int64_t)transfer_encode(p->transfer, &state, c->raw, n, n == 0, c->coded);
    } while (n > 0);
    return true;
}

static bool not_a_text(const struct compose_part *p, const struct text_facts *f, struct err *e)
{
    if (f->nul) {
        err_set(e, FAULT_MESSAGE, "%s%s%s holds a NUL octet", p->path ? "'" : "", called(p), p->path ? "'" : "");
        return err_hint(e, "it is no text: attach it, with --attach");
    }
    err_set(e, FAULT_MESSAGE, "%s%s%s is not UTF-8", p->path ? "'" : "", called(p), p->path ? "'" : "");
    return err_hint(e, "name its charset, as in --attach-charset=iso-8859-1, or attach it as a file");
}

static void set_base64(struct content *p)
{
    p->transfer = TRANSFER_BASE64;
    p->ends_line = p->source->size == 0;
}

static void set_text(struct content *p, const struct text_facts *f)
{
    p->transfer = TRANSFER_TEXT;
    p->size = f->size;
    p->eight_bit = f->eight_bit;
    p->ends_line = f->ends_line;
}

static bool choose_composite(struct compose *c, struct content *p, struct err *e)
{
    struct text_facts f;
    if (!look_at(c, p, &f, e))
        return false;
    if (f.nul || f.longest > TRANSFER_LINE_MAX) {
        err_set(e, FAULT_MESSAGE, "'%s' cannot be sent as %s: it holds %s", called(p->part), p->type,
                f.nul ? "a NUL octet" : "a line of more than 998 octets");
        return err_hint(e, "such parts may not be encoded; attach it with --attach-type=application/octet-stream");
    }
    set_text(p, &f);
    return true;
}

/* A text arrives with the line ends of the receiver. Where its own matter (an attachment with CR), or it is none at
 * all, it goes as the octets that it is. */
static bool choose_for_text(struct compose *c, struct content *p, struct err *e)
{
    struct text_facts f;
    if (!look_at(c, p, &f, e))
        return false;
    bool body = p->part->role == COMPOSE_BODY, said = p->part->charset || media_has(p->type, "charset");
    bool unknown = f.nul || (f.not_utf8 && !said);
    if (body && !said && unknown)
        return not_a_text(p->part, &f, e);
    if (!media_has(p->type, "charset"))
        p->charset = p->part->charset ? p->part->charset : unknown ? NULL : f.eight_bit ? "utf-8" : "us-ascii";
    if (unknown || (!body && f.cr)) {
        set_base64(p);
        return true;
    }
    set_text(p, &f);
    if (f.longest <= TRANSFER_LINE_MAX && !f.marked)
        return true;
    p->transfer = TRANSFER_QUOTED;
    p->eight_bit = false;
    return measure(c, p, e);
}

static bool choose_transfer(struct compose *c, struct content *p, struct err *e)
{
    if (is_composite(p->type))
        return choose_composite(c, p, e);
    if (media_is(p->type, "text"))
        return choose_for_text(c, p, e);
    set_base64(p);
    return true;
}

/* Standard input that several parts name is read once. */
static bool find_source(struct compose *c, struct content *p, struct err *e)
{
    const struct compose_part *part = p->part;
    for (size_t i = 0; i < c->sources_n; i++)
        if (part->path && strcmp(part->path, "-") == 0 && c->sources[i].path && strcmp(c->sources[i].path, "-") == 0) {
            p->source = &c->sources[i];
            return source_hold(p->source, e);
        }
    p->source = &c->sources[c->sources_n++];
    if (part->path)
        return source_open(p->source, part->path, e);
    source_memory(p->source, part->text, part->text_n);
    return true;
}

static bool open_part(struct compose *c, const struct compose_part *part, struct content *p, struct err *e)
{
    *p = (struct content){ .part = part, .type = choose_type(part) };
    return check_words(p, e) && find_source(c, p, e) && choose_transfer(c, p, e);
}

/* ---- structure ---- */

static struct buf *text(struct compose *c)
{
    return &c->pieces[c->pieces_n - 1].text;
}

static bool any_eight_bit(const struct compose *c)
{
    bool any = false;
    for (size_t i = 0; i < c->n; i++)
        any |= c->contents[i].eight_bit;
    return any;
}

static void add_boundary(struct compose *c, enum level level)
{
    buf_printf(text(c), "=_%c_%s", "mra"[level], c->boundary);
}

/* The line in front of a part of the innermost multipart. The CRLF before it is the boundary's. */
static void delimit(struct compose *c, const char *after)
{
    if (c->depth == 0)
        return;
    if (text(c)->len == 0)
        buf_adds(text(c), "\r\n");
    buf_adds(text(c), "--");
    add_boundary(c, c->open[c->depth - 1]);
    buf_printf(text(c), "%s\r\n", after);
}

/* `root`: the type of the first part of multipart/related (RFC 2387 3.1). */
static void open_level(struct compose *c, enum level level, const char *root)
{
    static const char *const subtypes[] = { "mixed", "related", "alternative" };
    delimit(c, "");
    c->open[c->depth++] = level;
    buf_printf(text(c), "Content-Type: multipart/%s;\r\n boundary=\"", subtypes[level]);
    add_boundary(c, level);
    buf_adds(text(c), "\"");
    if (root) {
        char *type = xstrndup(root, strcspn(root, "; "));
        buf_printf(text(c), ";\r\n type=\"%s\"", type);
        free(type);
    }
    buf_adds(text(c), any_eight_bit(c) ? "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n\r\n");
}

static void close_level(struct compose *c)
{
    delimit(c, "--");
    c->depth--;
}

static void add_content(struct compose *c, struct content *p)
{
    static const char *const dispositions[] = { "inline", "inline", "attachment" };
    const char *const transfers[] = { p->eight_bit ? "8bit" : NULL, "quoted-printable", "base64" };
    const struct compose_part *part = p->part;
    struct buf *out = text(c);
    delimit(c, "");
    buf_printf(out, "Content-Type: %s", p->type);
    if (p->charset)
        mime_parameter(out, "charset", p->charset);
    if (transfers[p->transfer])
        buf_printf(out, "\r\nContent-Transfer-Encoding: %s", transfers[p->transfer]);
    if (part->role != COMPOSE_BODY || *name_of(part)) {
        buf_printf(out, "\r\nContent-Disposition: %s", dispositions[part->role]);
        if (*name_of(part))
            mime_parameter(out, "filename", name_of(part));
    }
    if (part->content_id)
        buf_printf(out, "\r\nContent-ID: <%s>", part->content_id);
    buf_adds(out, "\r\n\r\n");
    c->pieces[c->pieces_n - 1].content = p;
    c->pieces[c->pieces_n++] = (struct piece){ .text = BUF_INIT };
}

static size_t count(const struct compose *c, enum compose_role role)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->contents[i].part->role == role;
    return n;
}

static struct content *first(const struct compose *c, enum compose_role role)
{
    size_t i = 0;
    while (c->contents[i].part->role != role)
        i++;
    return &c->contents[i];
}

static void add_all(struct compose *c, enum compose_role role)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->contents[i].part->role == role)
            add_content(c, &c->contents[i]);
}

static void free_pieces(struct compose *c)
{
    for (size_t i = 0; i < c->pieces_n; i++)
        buf_free(&c->pieces[i].text);
    c->pieces_n = 0;
}

static void lay_out(struct compose *c)
{
    size_t bodies = count(c, COMPOSE_BODY), inlines = count(c, COMPOSE_INLINE);
    bool alternative = bodies > 1, related = bodies > 0 && inlines > 0;
    bool mixed = count(c, COMPOSE_ATTACHMENT) > 0 || (inlines > 0 && !related);
    free_pieces(c);
    c->pieces[c->pieces_n++] = (struct piece){ .text = BUF_INIT };
    buf_adds(text(c), c->headers);
    buf_adds(text(c), "MIME-Version: 1.0\r\n");
    if (c->n == 0)
        buf_adds(text(c), "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
    if (mixed)
        open_level(c, MIXED, NULL);
    if (related)
        open_level(c, RELATED, alternative ? "multipart/alternative" : first(c, COMPOSE_BODY)->type);
    if (alternative)
        open_level(c, ALTERNATIVE, NULL);
    add_all(c, COMPOSE_BODY);
    if (alternative)
        close_level(c);
    add_all(c, COMPOSE_INLINE);
    if (related)
        close_level(c);
    add_all(c, COMPOSE_ATTACHMENT);
    if (mixed)
        close_level(c);
    if (c->n == 1 && c->pieces_n == 2 && text(c)->len == 0 && !c->contents[0].ends_line)
        buf_adds(text(c), "\r\n");
}

void compose_seed(struct compose *c, const char *seed)
{
    unsigned char octets[16];
    struct buf out = BUF_INIT;
    struct timespec now;
    if (!seed && getentropy(octets, sizeof octets) != 0) {
        clock_gettime(CLOCK_REALTIME, &now);
        memcpy(octets, &now.tv_sec, 8);
        memcpy(octets + 8, &now.tv_nsec, 4);
        memcpy(octets + 12, &(pid_t){ getpid() }, 4);
    }
    if (!seed)
        hex_encode(&out, octets, sizeof octets, "");
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (const char *p = seed; p && *p; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
    if (seed)
        buf_printf(&out, "%016llX", (unsigned long long)hash);
    free(c->boundary);
    c->boundary = buf_steal(&out);
    lay_out(c);
}

struct compose *compose_new(const char *headers, const struct compose_part *parts, size_t n, struct err *e)
{
    struct compose *c = xcalloc(1, sizeof *c);
    c->headers = xstrdup(headers);
    c->contents = xcalloc(n, sizeof *c->contents);
    c->sources = xcalloc(n, sizeof *c->sources);
    c->pieces = xcalloc(n + 1, sizeof *c->pieces);
    c->raw = xmalloc(TRANSFER_IN);
    c->coded = xmalloc(TRANSFER_OUT);
    for (; c->n < n; c->n++)
        if (!open_part(c, &parts[c->n], &c->contents[c->n], e)) {
            c->n++;
            compose_free(c);
            return NULL;
        }
    for (size_t i = 0; i < n; i++) { /* only now, since a pipe named twice has become a file */
        struct content *p = &c->contents[i];
        if (p->transfer == TRANSFER_BASE64)
            p->size = p->source->size < 0 ? -1 : transfer_base64_size(p->source->size);
    }
    compose_seed(c, NULL);
    return c;
}

void compose_free(struct compose *c)
{
    if (!c)
        return;
    free_pieces(c);
    for (size_t i = 0; i < c->n; i++)
        free(c->contents[i].type);
    for (size_t i = 0; i < c->sources_n; i++)
        source_close(&c->sources[i]);
    free(c->headers);
    free(c->boundary);
    free(c->contents);
    free(c->sources);
    free(c->pieces);
    free(c->raw);
    free(c->coded);
    free(c);
}

/* ---- reading ---- */

/* One read of the source, and what can be encoded of it. */
static bool encode_more(struct compose *c, struct err *e)
{
    const struct content *p = c->pieces[c->piece].content;
    size_t got;
    if (!source_read(p->source, c->raw + c->raw_n, TRANSFER_IN - c->raw_n, &got, e))
        return false;
    c->raw_n += got;
    c->ended = got == 0;
    size_t rest = p->transfer == TRANSFER_BASE64 && !c->ended ? c->raw_n % TRANSFER_LINE : 0, n = c->raw_n - rest;
    c->at = c->coded;
    c->left = transfer_encode(p->transfer, &c->state, c->raw, n, c->ended, c->coded);
    c->made += (int64_t)c->left;
    memmove(c->raw, c->raw + n, rest);
    c->raw_n = rest;
    if (p->size < 0 || c->made == p->size || (c->made < p->size && !c->ended))
        return true;
    c->left = 0;
    return err_set(e, FAULT_IO, "'%s' changed while it was being sent", called(p->part));
}

static void begin_content(struct compose *c)
{
    const struct content *p = c->pieces[c->piece].content;
    c->in_content = true;
    c->ended = p == NULL;
    c->made = 0;
    c->raw_n = 0;
    c->state = (struct transfer_state){ 0 };
    if (p)
        source_rewind(p->source);
}

/* Makes `left` what comes next; 0 at the end. */
static bool next_run(struct compose *c, struct err *e)
{
    while (c->left == 0 && c->piece < c->pieces_n) {
        const struct piece *p = &c->pieces[c->piece];
        if (!c->in_content) {
            c->at = p->text.data;
            c->left = p->text.len;
            begin_content(c);
        } else if (!c->ended) {
            if (!encode_more(c, e))
                return false;
        } else {
            c->piece++;
            c->in_content = false;
        }
    }
    return true;
}

bool compose_read(struct compose *c, char *p, size_t size, size_t *n, struct err *e)
{
    *n = 0;
    while (*n < size && (*n == 0 || compose_wait_fd(c) < 0)) {
        if (!next_run(c, e))
            return false;
        if (c->left == 0)
            break;
        size_t take = c->left < size - *n ? c->left : size - *n;
        memcpy(p + *n, c->at, take);
        c->at += take;
        c->left -= take;
        *n += take;
    }
    return true;
}

int compose_wait_fd(const struct compose *c)
{
    if (c->left > 0 || !c->in_content || c->ended || c->piece == c->pieces_n)
        return -1;
    const struct source *s = c->pieces[c->piece].content->source;
    return source_waits(s) ? s->fd : -1;
}

bool compose_pull(struct compose *c, struct err *e)
{
    return compose_wait_fd(c) < 0 || encode_more(c, e);
}

int64_t compose_size(const struct compose *c)
{
    int64_t size = 0;
    for (size_t i = 0; i < c->pieces_n; i++) {
        const struct piece *p = &c->pieces[i];
        if (p->content && p->content->size < 0)
            return -1;
        size += (int64_t)p->text.len + (p->content ? p->content->size : 0);
    }
    return size;
}

bool compose_rewind(struct compose *c)
{
    for (size_t i = 0; i < c->sources_n; i++)
        if (!source_rewind(&c->sources[i]))
            return false;
    c->piece = 0;
    c->in_content = false;
    c->left = 0;
    return true;
}
