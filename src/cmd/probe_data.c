/* probe_data: the message: a text with tokens in it, a file as it is, or a text and attachments.
 *
 * What an option says is a template: \n is a line end, %TOKENS% are replaced. What comes from a file or standard input
 * is neither looked at nor changed, so that it can be streamed; only its headers are. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/probe_parts.h"
#include "conf/subst.h"
#include "mail/compose.h"
#include "mail/prepare.h"

#define DEFAULT_BODY "This is a test mailing"
#define DEFAULT_MESSAGE \
    "Date: %DATE%\\nTo: %TO_ADDRESS%\\nFrom: %FROM_ADDRESS%\\nSubject: test %DATE%\\nMessage-Id: <%MESSAGEID%>\\n" \
    "X-Mailer: envoi %SWAKS_VERSION%\\n%NEW_HEADERS%\\n\\n%BODY%\\n"

#define NEW_HEADERS "%NEW_HEADERS%"

enum { FILE_MAX = INT_MAX };

/* What --data, --body, --attach and --attach-body take. */
struct content {
    enum { CONTENT_NONE, CONTENT_TEXT, CONTENT_FILE, CONTENT_INPUT } kind;
    const char *text; /* borrowed: of an option, or the path */
    int fd;           /* own: of a file that is streamed; -1: none */
    struct buf held;  /* own: of a file or standard input that is needed more than once, or as a part of a text */
    bool is_held;
};

struct part {
    struct compose_part as;
    struct content content;
};

struct probe_data {
    struct content data, body;
    struct part *parts; /* own */
    size_t n;
    struct strlist kept; /* texts that composers borrow */
    char *dump;         /* own: the body by --dump-as-body */
    bool raw;
};

/* ---- what was said ---- */

static size_t readers_of_input(const struct probe_options *said)
{
    static const char *const options[] = { "data", "body", "attach", "attach_body" };
    size_t n = 0;
    for (size_t i = 0; i < said->n; i++)
        for (size_t k = 0; k < sizeof options / sizeof *options; k++)
            n += said_is(&said->v[i], options[k]) && strcmp(said->v[i].value, "-") == 0;
    return n;
}

/* An older swaks read a file that is named without '@', too. */
static void warn_of_file(struct probe_plan *p, const struct saying *s)
{
    struct stat st;
    if (strpbrk(s->value, "\n%") || strstr(s->value, "\\n") || stat(s->value, &st) < 0 || !S_ISREG(st.st_mode))
        return;
    strlist_add_own(&p->warnings,
                    xasprintf("'%s' is sent as it stands here; the file of that name is @%s", s->value, s->value));
}

static bool content_of(struct probe_plan *p, const struct saying *s, struct content *c, struct err *e)
{
    *c = (struct content){ .kind = CONTENT_TEXT, .text = s->value, .fd = -1, .held = BUF_INIT };
    if (strcmp(s->value, "-") == 0) {
        c->kind = CONTENT_INPUT;
    } else if (s->value[0] == '@' && s->value[1] != '@') {
        struct stat st;
        c->kind = CONTENT_FILE;
        c->text = s->value + 1;
        c->fd = open(c->text, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (c->fd >= 0 && fstat(c->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
            close(c->fd);
            c->fd = -1;
            errno = EISDIR;
        }
        if (c->fd < 0) {
            int why = errno;
            said_wrong(s, e, "names a file that cannot be read: '%s': %s", c->text, strerror(why));
            return err_hint(e, "write @%s for a text that begins with '@'", s->value);
        }
    } else if (s->value[0] == '@') {
        c->text = s->value + 1;
    } else {
        warn_of_file(p, s);
    }
    return true;
}

/* Into memory: it is needed more than once, or inside a text. */
static bool hold(struct probe_plan *p, struct content *c, struct err *e)
{
    const struct buf *input;
    if (c->is_held || c->kind == CONTENT_TEXT || c->kind == CONTENT_NONE)
        return true;
    c->is_held = true;
    if (c->kind == CONTENT_FILE)
        return file_read_fd(c->fd, FILE_MAX, &c->held, e);
    if (!probe_input(p->said, &input, e))
        return false;
    buf_addbuf(&c->held, input);
    return true;
}

static void content_free(struct content *c)
{
    if (c->kind != CONTENT_NONE && c->fd >= 0)
        close(c->fd);
    if (c->kind != CONTENT_NONE)
        buf_free(&c->held);
    *c = (struct content){ 0 };
}

/* The options of a part hold for the next one; its type for all that follow, up to the next body. */
static bool take_parts(struct probe_plan *p, struct err *e)
{
    struct probe_data *d = p->data;
    struct compose_part next = { 0 };
    bool in_line = false;
    for (size_t i = 0; i < p->said->n; i++) {
        const struct saying *s = &p->said->v[i];
        if (said_is(s, "attach_type"))
            next.type = s->value;
        else if (said_is(s, "attach_name"))
            next.name = s->value;
        else if (said_is(s, "attach_charset"))
            next.charset = s->value;
        else if (said_is(s, "attach_id"))
            next.content_id = s->value;
        else if (said_is(s, "attach_inline"))
            in_line = true;
        bool body = said_is(s, "attach_body");
        if (!body && !said_is(s, "attach"))
            continue;
        d->parts = xrealloc(d->parts, (d->n + 1) * sizeof *d->parts);
        struct part *part = &d->parts[d->n++];
        *part = (struct part){ .as = next };
        part->as.role = body ? COMPOSE_BODY : in_line ? COMPOSE_INLINE : COMPOSE_ATTACHMENT;
        if (!content_of(p, s, &part->content, e))
            return false;
        next = (struct compose_part){ .type = body ? NULL : next.type };
        in_line = false;
    }
    return true;
}

/* Who opens it a second time may find nobody who writes. */
static bool is_fifo(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* What cannot be read twice is held: where it is wanted several times, and inside a text. */
static bool hold_all(struct probe_plan *p, struct err *e)
{
    struct probe_data *d = p->data;
    bool again = p->repeat > 1, shared = readers_of_input(p->said) > 1;
    if ((again || shared || d->raw || said_flag(p->said, "no_strip_from")) && !hold(p, &d->data, e))
        return false;
    if (!d->n && !hold(p, &d->body, e))
        return false;
    for (size_t i = 0; i < d->n; i++) {
        struct content *c = &d->parts[i].content;
        bool once = c->kind == CONTENT_FILE ? is_fifo(c->fd) : (again || shared) && c->kind == CONTENT_INPUT;
        if (once && !hold(p, c, e))
            return false;
    }
    return d->body.kind != CONTENT_INPUT || hold(p, &d->body, e);
}

static void take_dump(struct probe_plan *p)
{
    if (!said_flag(p->said, "dump_as_body") && !said_flag(p->said, "dump_as_body_shows_password"))
        return;
    struct buf out = BUF_SECRET_INIT;
    probe_dump_sections(p, said_text(p->said, "dump_as_body"), true, said_flag(p->said, "dump_as_body_shows_password"),
                        &out);
    p->data->dump = buf_steal(&out);
}

bool probe_data_plan(struct probe_plan *p, struct err *e)
{
    const struct saying *data = said_last(p->said, "data"), *body = said_last(p->said, "body");
    struct probe_data *d = p->data = xcalloc(1, sizeof *d);
    d->raw = said_flag(p->said, "no_data_fixup");
    if (!data) {
        for (size_t i = 0; i < p->said->n; i++) /* -g */
            if (p->said->v[i].o->letter == 'g') {
                d->data = (struct content){ .kind = CONTENT_INPUT, .fd = -1, .held = BUF_INIT };
            }
    }
    if (d->raw && !data && d->data.kind == CONTENT_NONE) {
        err_set(e, FAULT_USAGE, "'--no-data-fixup' without '--data'");
        return err_hint(e, "it is for octets of your own: --data @FILE");
    }
    take_dump(p);
    return (!data || content_of(p, data, &d->data, e)) && (!body || content_of(p, body, &d->body, e)) &&
           take_parts(p, e) && hold_all(p, e);
}

void probe_data_free(struct probe_data *d)
{
    if (!d)
        return;
    content_free(&d->data);
    content_free(&d->body);
    for (size_t i = 0; i < d->n; i++)
        content_free(&d->parts[i].content);
    free(d->parts);
    strlist_free(&d->kept);
    secret_free(d->dump);
    free(d);
}

/* ---- templates ---- */

/* The values of one message. */
struct tokens {
    struct buf from, to, id, date, version;
};

static void tokens_make(struct tokens *t, const struct probe_plan *p)
{
    *t = (struct tokens){ BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT };
    struct buf id = BUF_INIT;
    buf_adds(&t->from, p->env.sender ? p->env.sender : "");
    buf_adds(&t->to, said_text(p->said, "to") ? said_text(p->said, "to") : "");
    stamp_message_id(&id, NULL);
    buf_add(&t->id, id.data + 1, id.len - 2); /* the template has the <> */
    stamp_date(&t->date, (long long)time(NULL));
    buf_adds(&t->version, PACKAGE_VERSION);
    buf_free(&id);
}

static void tokens_free(struct tokens *t)
{
    buf_free(&t->from);
    buf_free(&t->to);
    buf_free(&t->id);
    buf_free(&t->date);
    buf_free(&t->version);
}

static const struct {
    const char *word;
    size_t at;
} words[] = {
    { "%FROM_ADDRESS%", offsetof(struct tokens, from) }, { "%TO_ADDRESS%", offsetof(struct tokens, to) },
    { "%MESSAGEID%", offsetof(struct tokens, id) },      { "%DATE%", offsetof(struct tokens, date) },
    { "%SWAKS_VERSION%", offsetof(struct tokens, version) },
};

/* Appends the text with \n, %NEWLINE% and the tokens replaced, and every line end as CRLF. */
static void fill(const struct tokens *t, const char *text, struct buf *out)
{
    while (*text) {
        size_t n = strcspn(text, "\\%\r\n");
        buf_add(out, text, n);
        text += n;
        size_t eol = strncmp(text, "\\n", 2) == 0         ? 2
                     : strncmp(text, "%NEWLINE%", 9) == 0 ? 9
                     : strncmp(text, "\r\n", 2) == 0      ? 2
                                                          : *text == '\n' || *text == '\r';
        if (eol) {
            buf_adds(out, "\r\n");
            text += eol;
            continue;
        }
        size_t i = 0;
        while (i < sizeof words / sizeof *words && strncmp(text, words[i].word, strlen(words[i].word)) != 0)
            i++;
        if (i < sizeof words / sizeof *words) {
            buf_addbuf(out, (const struct buf *)((const char *)t + words[i].at));
            text += strlen(words[i].word);
        } else if (*text) {
            buf_addc(out, *text++);
        }
    }
}

/* Octets as they are but for line ends. */
static void add_canonical(struct buf *out, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '\r' && p[i] != '\n') {
            buf_addc(out, p[i]);
            continue;
        }
        buf_adds(out, "\r\n");
        i += p[i] == '\r' && i + 1 < n && p[i + 1] == '\n';
    }
}

static void add_body(const struct probe_data *d, const struct tokens *t, struct buf *out)
{
    if (d->body.is_held)
        add_canonical(out, d->body.held.data, d->body.held.len);
    else if (d->dump && d->body.kind == CONTENT_NONE)
        add_canonical(out, d->dump, strlen(d->dump));
    else
        fill(t, d->body.kind == CONTENT_TEXT ? d->body.text : DEFAULT_BODY, out);
}

/* ---- headers ---- */

static size_t name_length(const char *line)
{
    size_t n = strcspn(line, ":");
    return line[n] ? n : 0;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = name_length(a);
    return n && n == name_length(b) && ascii_ieqn(a, b, n);
}

/* The lines that --add-header and --header say, templates filled in. */
static void lines_of(const struct probe_plan *p, const struct tokens *t, const char *option, struct strlist *lines)
{
    for (size_t i = 0; i < p->said->n; i++) {
        struct buf text = BUF_INIT;
        if (!said_is(&p->said->v[i], option))
            continue;
        fill(t, p->said->v[i].value, &text);
        for (char *line = text.data, *end; *line; line = end) {
            end = strstr(line, "\r\n");
            while (end && ascii_isblank(end[2])) /* it goes on */
                end = strstr(end + 2, "\r\n");
            size_t n = end ? (size_t)(end - line) : strlen(line);
            if (n)
                strlist_addn(lines, line, n);
            end = end ? end + 2 : line + n;
        }
        buf_free(&text);
    }
}

static void cc_line(const struct probe_plan *p, struct strlist *lines)
{
    if (said_text(p->said, "cc"))
        strlist_add_own(lines, xasprintf("Cc: %s", said_text(p->said, "cc")));
}

/* A header section in memory, line by line (folds with their line). --header replaces the last one of its name, what is
 * not there joins the new. */
static void edit_lines(const struct probe_plan *p, const struct tokens *t, struct strlist *section,
                       struct strlist *fresh)
{
    struct strlist replacing = STRLIST_INIT;
    lines_of(p, t, "add_header", fresh);
    lines_of(p, t, "header", &replacing);
    cc_line(p, &replacing);
    for (size_t i = 0; i < replacing.n; i++) {
        size_t k = section->n;
        while (k > 0 && !same_name(section->v[k - 1], replacing.v[i]))
            k--;
        if (!k) {
            strlist_add(fresh, replacing.v[i]);
            continue;
        }
        free(section->v[k - 1]);
        section->v[k - 1] = xstrdup(replacing.v[i]);
    }
    strlist_free(&replacing);
}

static bool is_header(const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);
    return colon && colon > line && !memchr(line, ' ', (size_t)(colon - line));
}

/* Splits canonical text into header lines; returns where the body begins: behind an empty line, or behind %NEW_HEADERS%
 * where no header follows (swaks's own template has no empty line there). */
static size_t split_section(const char *text, size_t n, struct strlist *section)
{
    size_t at = 0;
    while (at < n) {
        const char *line = text + at, *end = memmem(line, n - at, "\r\n", 2);
        if (end == line)
            return at + 2;
        if (section->n && strcmp(section->v[section->n - 1], NEW_HEADERS) == 0 &&
            !is_header(line, end ? (size_t)(end - line) : n - at))
            return at;
        while (end && end + 2 < text + n && ascii_isblank(end[2]))
            end = memmem(end + 2, (size_t)(text + n - end) - 2, "\r\n", 2);
        size_t len = end ? (size_t)(end - line) : n - at;
        strlist_addn(section, line, len);
        at += len + (end ? 2 : 0);
    }
    return n;
}

static void write_section(const struct strlist *section, const struct strlist *fresh, struct buf *out)
{
    bool placed = false;
    for (size_t i = 0; i < section->n; i++) {
        bool here = strcmp(section->v[i], NEW_HEADERS) == 0;
        if (!here)
            buf_printf(out, "%s\r\n", section->v[i]);
        for (size_t k = 0; here && !placed && k < fresh->n; k++)
            buf_printf(out, "%s\r\n", fresh->v[k]);
        placed |= here;
    }
    for (size_t k = 0; !placed && k < fresh->n; k++)
        buf_printf(out, "%s\r\n", fresh->v[k]);
}

/* ---- the message ---- */

/* A template: its header section and body, filled in, without the empty line between. */
static void make_text(const struct probe_plan *p, const struct tokens *t, struct buf *headers, struct buf *body)
{
    static const char token[] = "%BODY%";
    const struct probe_data *d = p->data;
    struct buf text = BUF_INIT;
    struct strlist section = STRLIST_INIT, fresh = STRLIST_INIT;
    fill(t, d->data.kind == CONTENT_TEXT ? d->data.text : DEFAULT_MESSAGE, &text);
    size_t at = split_section(text.data, text.len, &section);
    edit_lines(p, t, &section, &fresh);
    write_section(&section, &fresh, headers);
    const char *rest = text.data + at;
    for (const char *place; (place = strstr(rest, token)); rest = place + strlen(token)) {
        buf_add(body, rest, (size_t)(place - rest));
        add_body(d, t, body);
    }
    buf_adds(body, rest);
    strlist_free(&section);
    strlist_free(&fresh);
    buf_free(&text);
}

static bool ends_line(const struct buf *b)
{
    return b->len >= 2 && memcmp(b->data + b->len - 2, "\r\n", 2) == 0;
}

/* A dot that ends a template ends the message, and is not a line of it; one that ends a file is. */
static void drop_last_dot(const struct probe_plan *p, struct buf *b)
{
    if (p->data->body.is_held)
        return;
    size_t n = b->len - 2 * ends_line(b);
    if (n >= 3 && memcmp(b->data + n - 3, "\r\n.", 3) == 0)
        buf_cut(b, n - 1);
}

static void drop_from_line(const struct probe_plan *p, struct buf *b)
{
    const char *end = strncmp(b->data, "From ", 5) == 0 ? strstr(b->data, "\r\n") : NULL;
    if (end && !said_flag(p->said, "no_strip_from"))
        buf_drop(b, (size_t)(end - b->data) + 2);
}

static void from_text(const struct probe_plan *p, const struct tokens *t, struct message *m)
{
    struct buf whole = BUF_INIT, body = BUF_INIT;
    make_text(p, t, &whole, &body);
    buf_adds(&whole, "\r\n");
    buf_addbuf(&whole, &body);
    drop_from_line(p, &whole);
    drop_last_dot(p, &whole);
    if (!ends_line(&whole))
        buf_adds(&whole, "\r\n");
    message_raw(m, whole.data, whole.len);
    buf_free(&whole);
    buf_free(&body);
}

/* Exact octets; what has no line end gets one, since nothing could be told from its reply without. */
static void from_raw(const struct probe_plan *p, struct message *m)
{
    const struct content *c = &p->data->data;
    struct buf whole = BUF_INIT;
    if (c->is_held)
        buf_addbuf(&whole, &c->held);
    else
        buf_adds(&whole, c->text);
    if (!whole.len || whole.data[whole.len - 1] != '\n')
        buf_adds(&whole, "\r\n");
    message_raw(m, whole.data, whole.len);
    buf_free(&whole);
}

static void edit_headers(const struct probe_plan *p, const struct tokens *t, struct header_list *l)
{
    struct strlist section = STRLIST_INIT, fresh = STRLIST_INIT;
    struct buf text = BUF_INIT;
    size_t used;
    for (size_t i = 0; i < l->n; i++)
        strlist_addn(&section, l->v[i].raw, l->v[i].len - 2);
    edit_lines(p, t, &section, &fresh);
    write_section(&section, &fresh, &text);
    buf_adds(&text, "\r\n");
    header_list_free(l);
    header_list_parse(l, text.data, text.len, &used);
    strlist_free(&section);
    strlist_free(&fresh);
    buf_free(&text);
}

static bool edits_headers(const struct probe_plan *p)
{
    return said_flag(p->said, "header") || said_flag(p->said, "add_header") || said_flag(p->said, "cc");
}

/* A From line is left in: no header list can hold it. */
static bool with_from_line(const struct probe_plan *p, const struct tokens *t, struct message *m)
{
    const struct buf *held = &p->data->data.held;
    struct buf text = BUF_INIT, whole = BUF_INIT;
    struct strlist section = STRLIST_INIT, fresh = STRLIST_INIT;
    add_canonical(&text, held->data, held->len);
    size_t at = split_section(text.data, text.len, &section);
    edit_lines(p, t, &section, &fresh);
    write_section(&section, &fresh, &whole);
    buf_adds(&whole, "\r\n");
    buf_add(&whole, text.data + at, text.len - at);
    if (!ends_line(&whole))
        buf_adds(&whole, "\r\n");
    message_raw(m, whole.data, whole.len);
    strlist_free(&section);
    strlist_free(&fresh);
    buf_free(&text);
    buf_free(&whole);
    return true;
}

/* A whole message of a file or of standard input: streamed, unless it is held. */
static bool from_file(const struct probe_plan *p, const struct tokens *t, struct message *m, struct err *e)
{
    const struct content *c = &p->data->data;
    if (c->is_held && said_flag(p->said, "no_strip_from") && strncmp(c->held.data, "From ", 5) == 0)
        return with_from_line(p, t, m);
    bool ok = c->is_held ? message_from_memory(m, c->held.data, c->held.len, e)
                         : message_read(m, c->kind == CONTENT_INPUT ? STDIN_FILENO : c->fd, e);
    if (ok && edits_headers(p))
        edit_headers(p, t, &m->headers);
    return ok;
}

/* ---- parts ---- */

/* Messages of one plan live side by side, and their composers borrow: a text stays, once where it is the same for all.
 * */
static void keep(struct probe_data *d, struct buf *text, struct compose_part *part)
{
    size_t i = d->kept.n;
    while (i > 0 && strcmp(d->kept.v[i - 1], text->data) != 0)
        i--;
    if (!i) {
        strlist_add(&d->kept, text->data);
        i = d->kept.n;
    }
    part->text = d->kept.v[i - 1];
    part->text_n = text->len;
    buf_free(text);
}

static struct compose_part filled(struct probe_data *d, const struct tokens *t, const struct part *from)
{
    const struct content *c = &from->content;
    struct compose_part part = from->as;
    struct buf text = BUF_INIT;
    if (c->kind == CONTENT_TEXT) {
        fill(t, c->text, &text);
        keep(d, &text, &part);
    } else if (c->is_held) {
        part.text = c->held.data;
        part.text_n = c->held.len;
    } else {
        part.path = c->kind == CONTENT_INPUT ? "-" : c->text;
    }
    if (!part.name && c->kind == CONTENT_FILE && part.role != COMPOSE_BODY)
        part.name = strrchr(c->text, '/') ? strrchr(c->text, '/') + 1 : c->text;
    return part;
}

static bool from_parts(const struct probe_plan *p, const struct tokens *t, struct message *m, struct err *e)
{
    struct probe_data *d = p->data;
    struct compose_part *parts = xcalloc(d->n + 1, sizeof *parts);
    struct buf headers = BUF_INIT, template = BUF_INIT, body = BUF_INIT;
    size_t n = 0;
    bool has_body = false;
    make_text(p, t, &headers, &template);
    for (size_t i = 0; i < d->n; i++)
        has_body |= d->parts[i].as.role == COMPOSE_BODY;
    if (!has_body) {
        add_body(d, t, &body);
        parts[n].role = COMPOSE_BODY;
        keep(d, &body, &parts[n++]);
    }
    for (size_t i = 0; i < d->n; i++)
        parts[n++] = filled(d, t, &d->parts[i]);
    struct compose *c = compose_new(headers.data, parts, n, e);
    bool ok = c && message_compose(m, c, e);
    free(parts);
    buf_free(&headers);
    buf_free(&template);
    buf_free(&body);
    return ok;
}

bool probe_data_message(const struct probe_plan *p, struct message *m, struct err *e)
{
    const struct probe_data *d = p->data;
    struct tokens t;
    bool ok = true;
    tokens_make(&t, p);
    if (d->raw)
        from_raw(p, m);
    else if (d->data.kind == CONTENT_FILE || d->data.kind == CONTENT_INPUT)
        ok = from_file(p, &t, m, e);
    else if (d->n && (d->data.kind == CONTENT_NONE || strstr(d->data.text, "%BODY%")))
        ok = from_parts(p, &t, m, e);
    else
        from_text(p, &t, m);
    tokens_free(&t);
    return ok;
}
