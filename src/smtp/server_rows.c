/* server_rows: what the client's commands mean: one row each with what it needs, and one row per parameter of MAIL and
 * RCPT. */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "smtp/caps.h"
#include "smtp/server_state.h"

/* What must be true before a command, in the order in which it is checked. */
enum {
    NEED_SMTP = 1 << 0,
    NEED_LMTP = 1 << 1,
    NEED_ARG = 1 << 2,
    NEED_NO_ARG = 1 << 3,
    NEED_HELO = 1 << 4,
    NEED_AUTH = 1 << 5,
    NEED_NO_MAIL = 1 << 6,
    NEED_MAIL = 1 << 7,
    NEED_NO_CHUNKS = 1 << 8,
    NEED_RCPT = 1 << 9,
    NEED_TEXT = 1 << 10,
};

static bool is_smtp(const struct server *s, const char *arg) { (void)arg; return !s->p.lmtp; }
static bool is_lmtp(const struct server *s, const char *arg) { (void)arg; return s->p.lmtp; }
static bool has_arg(const struct server *s, const char *arg) { (void)s; return *arg; }
static bool has_no_arg(const struct server *s, const char *arg) { (void)s; return !*arg; }
static bool greeted(const struct server *s, const char *arg) { (void)arg; return s->helo.len > 0; }
static bool may_send(const struct server *s, const char *arg) { (void)arg; return s->logged_in || !s->p.auth_required; }
static bool no_mail(const struct server *s, const char *arg) { (void)arg; return !s->mail; }
static bool in_mail(const struct server *s, const char *arg) { (void)arg; return s->mail; }
static bool no_chunks(const struct server *s, const char *arg) { (void)arg; return !s->chunks; }
static bool has_rcpt(const struct server *s, const char *arg) { (void)arg; return s->env.n > 0; }
static bool is_text(const struct server *s, const char *arg) { (void)arg; return !s->binary; }

static const struct {
    unsigned need;
    bool (*met)(const struct server *s, const char *arg);
    int code;
    const char *enhanced, *text;
} needs[] = {
    { NEED_SMTP, is_smtp, 500, "5.5.1", "this is LMTP: begin with LHLO" },
    { NEED_LMTP, is_lmtp, 500, "5.5.1", "this is SMTP: begin with EHLO" },
    { NEED_ARG, has_arg, 501, "5.5.4", "the argument is missing" },
    { NEED_NO_ARG, has_no_arg, 501, "5.5.4", "the command takes no argument" },
    { NEED_HELO, greeted, 503, "5.5.1", "say EHLO first" },
    { NEED_AUTH, may_send, 530, "5.7.0", "authentication required" },
    { NEED_NO_MAIL, no_mail, 503, "5.5.1", "not within a mail transaction" },
    { NEED_MAIL, in_mail, 503, "5.5.1", "MAIL first" },
    { NEED_NO_CHUNKS, no_chunks, 503, "5.5.1", "the message has begun with BDAT" },
    { NEED_RCPT, has_rcpt, 503, "5.5.1", "no valid recipients" }, /* RFC 2033 4.2 */
    { NEED_TEXT, is_text, 503, "5.5.1", "BINARYMIME goes with BDAT, not with DATA" }, /* RFC 3030 3 */
};

/* EHLO. */

static void offer_size(const struct server *s, struct buf *line)
{
    if (s->p.size_max > 0)
        buf_printf(line, " %lld", (long long)s->p.size_max);
}

static void offer_auth(const struct server *s, struct buf *line)
{
    server_auth_words(s, line);
}

static bool starttls_offered(const struct server *s)
{
    return s->p.tls_offered && !s->tls;
}

static bool under_tls(const struct server *s)
{
    return s->tls;
}

static const struct {
    enum cap cap;
    bool usual;
    bool (*offered)(const struct server *s);           /* NULL: whenever the params say so */
    void (*more)(const struct server *s, struct buf *line);
} offers[] = {
    { CAP_PIPELINING, true, NULL, NULL },
    { CAP_SIZE, true, NULL, offer_size },
    { CAP_8BITMIME, true, NULL, NULL },
    { CAP_BINARYMIME, false, NULL, NULL },
    { CAP_SMTPUTF8, true, NULL, NULL },
    { CAP_CHUNKING, true, NULL, NULL },
    { CAP_DSN, true, NULL, NULL },
    { CAP_ENHANCED, true, NULL, NULL },
    { CAP_REQUIRETLS, false, under_tls, NULL },
    { CAP_STARTTLS, true, starttls_offered, NULL },
    { CAP_AUTH, true, server_auth_offered, offer_auth },
    { CAP_VRFY, false, NULL, NULL },
    { CAP_HELP, false, NULL, NULL },
};

uint32_t server_extensions(bool usual)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++)
        if (offers[i].usual || !usual)
            bits |= offers[i].cap;
    return bits;
}

static bool offered(const struct server *s, size_t i)
{
    return server_offers(s, offers[i].cap) && (!offers[i].offered || offers[i].offered(s));
}

static bool greet(struct server *s, const char *arg)
{
    server_reset(s);
    if (strpbrk(arg, " \t")) {
        server_reply(s, 501, "5.5.4", "one name or address literal is wanted");
        return false;
    }
    buf_reset(&s->helo);
    buf_adds(&s->helo, arg);
    return true;
}

static void do_ehlo(struct server *s, const char *arg)
{
    struct buf line = BUF_INIT;

    if (!greet(s, arg))
        return;
    s->extended = true;
    buf_adds(&line, s->p.name);
    for (size_t i = 0; i < sizeof offers / sizeof *offers; i++) {
        if (!offered(s, i))
            continue;
        server_reply_text(s, 250, true, line.data);
        buf_reset(&line);
        buf_adds(&line, cap_word(offers[i].cap));
        if (offers[i].more)
            offers[i].more(s, &line);
    }
    server_reply_text(s, 250, false, line.data);
    buf_free(&line);
}

static void do_helo(struct server *s, const char *arg)
{
    if (!greet(s, arg))
        return;
    s->extended = false;
    server_reply(s, 250, NULL, "%s", s->p.name);
}

/* MAIL and RCPT. Parameter handlers return NULL or what is wrong (501). */

static const char *take_size(struct server *s, const char *value)
{
    long long n;

    if (!ascii_number(value, 0, INT64_MAX, &n))
        return "SIZE wants a number";
    s->too_big = s->p.size_max > 0 && n > s->p.size_max;
    return NULL;
}

static const char *take_body(struct server *s, const char *value)
{
    if (ascii_ieq(value, "7BIT") || ascii_ieq(value, "8BITMIME"))
        return NULL;
    s->binary = ascii_ieq(value, "BINARYMIME") && server_offers(s, CAP_BINARYMIME);
    return s->binary ? NULL : "unknown BODY";
}

static const char *take_utf8(struct server *s, const char *value)
{
    s->utf8 = true;
    return *value ? "SMTPUTF8 takes no value" : NULL;
}

static const char *take_nothing(struct server *s, const char *value)
{
    (void)s;
    return *value ? "the parameter takes no value" : NULL;
}

/* RFC 8689 4.2 */
static const char *take_requiretls(struct server *s, const char *value)
{
    return s->tls ? take_nothing(s, value) : "REQUIRETLS is for connections under TLS";
}

static const char *take_xtext(struct server *s, const char *value)
{
    struct buf b = BUF_INIT;
    bool ok = *value && xtext_decode(&b, value, strlen(value));

    (void)s;
    buf_free(&b);
    return ok ? NULL : "the value is not xtext";
}

static const char *take_ret(struct server *s, const char *value)
{
    if (ascii_ieq(value, "FULL"))
        s->env.dsn_return = DSN_RETURN_FULL;
    else if (ascii_ieq(value, "HDRS"))
        s->env.dsn_return = DSN_RETURN_HEADERS;
    else
        return "RET is FULL or HDRS";
    return NULL;
}

static const char *take_envid(struct server *s, const char *value)
{
    struct buf b = BUF_INIT;

    if (!*value || !xtext_decode(&b, value, strlen(value))) {
        buf_free(&b);
        return "ENVID is not xtext";
    }
    free(s->env.dsn_envid);
    s->env.dsn_envid = buf_steal(&b);
    return NULL;
}

static const char *take_notify(struct server *s, const char *value)
{
    static const struct { const char *word; unsigned bit; } words[] = {
        { "NEVER", DSN_NOTIFY_NEVER },
        { "SUCCESS", DSN_NOTIFY_SUCCESS },
        { "FAILURE", DSN_NOTIFY_FAILURE },
        { "DELAY", DSN_NOTIFY_DELAY },
    };
    struct strlist said = STRLIST_INIT;
    unsigned bits = 0;
    bool known = true;

    strlist_split(&said, value, ",");
    for (size_t i = 0; i < said.n && known; i++) {
        known = false;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
            if (!ascii_ieq(said.v[i], words[k].word))
                continue;
            known = true;
            bits |= words[k].bit;
        }
    }
    strlist_free(&said);
    if (!known || bits == 0 || ((bits & DSN_NOTIFY_NEVER) && bits != DSN_NOTIFY_NEVER))
        return "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY";
    s->env.dsn_notify |= bits;
    return NULL;
}

/* utf-8 address types (RFC 6533) are not xtext: only the type's form is checked and the value kept as far as it
 * decodes. */
static const char *take_orcpt(struct server *s, const char *value)
{
    struct rcpt *r = &s->env.rcpts[s->env.n];
    const char *semicolon = strchr(value, ';');
    struct buf b = BUF_INIT;

    if (!semicolon || semicolon == value)
        return "ORCPT is TYPE;ADDRESS";
    buf_add(&b, value, (size_t)(semicolon + 1 - value));
    if (!xtext_decode(&b, semicolon + 1, strlen(semicolon + 1)))
        buf_adds(&b, semicolon + 1);
    free(r->orcpt);
    r->orcpt = buf_steal(&b);
    return NULL;
}

struct parameter {
    const char *word;
    uint32_t cap;
    const char *(*take)(struct server *s, const char *value);
};

static const struct parameter mail_parameters[] = {
    { "SIZE", CAP_SIZE, take_size },
    { "BODY", CAP_8BITMIME, take_body },
    { "SMTPUTF8", CAP_SMTPUTF8, take_utf8 },
    { "RET", CAP_DSN, take_ret },
    { "ENVID", CAP_DSN, take_envid },
    { "AUTH", CAP_AUTH, take_xtext },
    { "REQUIRETLS", CAP_REQUIRETLS, take_requiretls },
    { NULL, 0, NULL },
};

static const struct parameter rcpt_parameters[] = {
    { "NOTIFY", CAP_DSN, take_notify },
    { "ORCPT", CAP_DSN, take_orcpt },
    { NULL, 0, NULL },
};

static const struct parameter *find_parameter(const struct server *s, const struct parameter *rows, const char *word,
                                              size_t n)
{
    for (; rows->word; rows++)
        if (strlen(rows->word) == n && ascii_ieqn(rows->word, word, n) && server_offers(s, rows->cap))
            return rows;
    return NULL;
}

/* false: the reply was given. */
static bool take_parameters(struct server *s, const struct parameter *rows, const char *text)
{
    struct strlist said = STRLIST_INIT;
    bool ok = true;

    strlist_split(&said, text, " ");
    for (size_t i = 0; i < said.n && ok; i++) {
        const char *word = said.v[i];
        size_t n = strcspn(word, "=");
        const struct parameter *row = find_parameter(s, rows, word, n);
        const char *why = row ? row->take(s, word[n] ? word + n + 1 : "") : NULL;

        if (!row)
            server_reply(s, 555, "5.5.4", "the parameter %.*s is not supported", (int)(n < 40 ? n : 40), word);
        else if (why)
            server_reply(s, 501, "5.5.4", "%s", why);
        ok = row && !why;
    }
    strlist_free(&said);
    return ok;
}

/* Behind "FROM:" or "TO:". false: the reply was given. */
static bool take_path(struct server *s, const char **arg, const char *word, bool null_ok, struct buf *address)
{
    const char *why;

    if (!ascii_istarts(*arg, word)) {
        server_reply(s, 501, "5.5.4", "'%s<address>' is wanted", word);
        return false;
    }
    *arg += strlen(word);
    why = server_path(arg, null_ok, address);
    if (!why && **arg && **arg != ' ')
        why = "a blank is wanted behind '>'";
    if (why)
        server_reply(s, 501, "5.1.3", "%s", why);
    return !why;
}

static bool may_be_utf8(struct server *s, const struct buf *address)
{
    if (s->utf8 || ascii_only(address->data, address->len))
        return true;
    server_reply(s, 553, "5.6.7", "the address is not ASCII and SMTPUTF8 was not asked for");
    return false;
}

static bool mail_parse(struct server *s, const char *arg, struct buf *address)
{
    if (!take_path(s, &arg, "FROM:", true, address) || !take_parameters(s, mail_parameters, arg))
        return false;
    if (!may_be_utf8(s, address))
        return false;
    if (s->too_big) {
        server_reply(s, 552, "5.3.4", "the message is too big");
        return false;
    }
    if (*arg)
        strlist_add_own(&s->parameters, xasprintf("MAIL%s", arg));
    return true;
}

static void do_mail(struct server *s, const char *arg)
{
    struct buf address = BUF_INIT;

    if (mail_parse(s, arg, &address)) {
        s->mail = true;
        s->env.sender = buf_steal(&address);
        s->envelope_octets = strlen(arg);
        server_reply(s, 250, "2.1.0", "sender ok");
    } else {
        server_reset(s); /* what parameters have set */
    }
    buf_free(&address);
}

static struct rcpt *rcpt_slot(struct envelope *env)
{
    if (env->n == env->cap) {
        env->cap = env->cap ? 2 * env->cap : 4;
        env->rcpts = xrealloc(env->rcpts, env->cap * sizeof *env->rcpts);
    }
    env->rcpts[env->n] = (struct rcpt){ .reply = REPLY_INIT };
    return &env->rcpts[env->n];
}

static bool rcpt_room(struct server *s, size_t more)
{
    s->envelope_octets += more;
    if (s->envelope_octets <= SERVER_ENVELOPE_MAX && (s->p.rcpt_max == 0 || s->env.n < s->p.rcpt_max))
        return true;
    server_reply(s, 452, "4.5.3", "too many recipients");
    return false;
}

/* Every RCPT counts, also one that was given before: LMTP owes it a reply, and a sink shows what came. */
static void do_rcpt(struct server *s, const char *arg)
{
    struct buf address = BUF_INIT;
    struct rcpt *r = rcpt_slot(&s->env);
    unsigned notify = s->env.dsn_notify;
    bool ok = rcpt_room(s, strlen(arg)) && take_path(s, &arg, "TO:", false, &address)
              && take_parameters(s, rcpt_parameters, arg) && may_be_utf8(s, &address);

    if (ok) {
        if (*arg)
            strlist_add_own(&s->parameters, xasprintf("RCPT <%s>%s", address.data, arg));
        r->address = buf_steal(&address);
        s->env.n++;
        server_reply_said(s, 250, "2.1.5 recipient ok");
    } else {
        free(r->orcpt);
        s->env.dsn_notify = notify;
    }
    buf_free(&address);
}

/* The message. */

static void do_data(struct server *s, const char *arg)
{
    (void)arg;
    s->phase = PHASE_DATA;
    s->place = PLACE_START;
    server_reply(s, 354, NULL, "end with <CR><LF>.<CR><LF>");
}

/* A chunk whose length cannot be read cannot be skipped, either: its octets would be taken for commands. So the
 * connection ends. */
static void do_bdat(struct server *s, const char *arg)
{
    size_t digits = strspn(arg, "0123456789");
    char *number = xstrndup(arg, digits);
    long long n = 0;
    bool ok = ascii_number(number, 0, INT64_MAX / 2, &n);
    const char *rest = arg + digits;

    free(number);
    rest += strspn(rest, " ");
    if (!ok || (*rest && !ascii_ieq(rest, "LAST")) || (*rest && rest == arg + digits)) {
        server_reply(s, 501, "5.5.4", "'BDAT octets [LAST]' is wanted; closing the connection");
        s->phase = PHASE_CLOSE;
        return;
    }
    s->chunk_left = n;
    s->chunk_last = *rest;
    s->chunk_refused = s->env.n == 0;
    s->chunk_answer = (struct server_answer){ 503, "5.5.1 BDAT without MAIL and an accepted RCPT" };
    s->chunks = s->chunks || !s->chunk_refused;
    s->phase = PHASE_BDAT;
}

/* The others. */

static void do_rset(struct server *s, const char *arg)
{
    (void)arg;
    server_reset(s);
    server_reply(s, 250, "2.0.0", "ok");
}

static void do_noop(struct server *s, const char *arg)
{
    (void)arg;
    server_reply(s, 250, "2.0.0", "ok");
}

static void do_vrfy(struct server *s, const char *arg)
{
    (void)arg;
    server_reply(s, 252, "2.1.5", "every recipient is accepted");
}

static void do_quit(struct server *s, const char *arg)
{
    (void)arg;
    server_reset(s);
    server_reply(s, 221, "2.0.0", "bye");
    s->phase = PHASE_CLOSE;
}

static void do_starttls(struct server *s, const char *arg)
{
    (void)arg;
    if (s->tls) {
        server_reply(s, 503, "5.5.1", "TLS is up already");
        return;
    }
    if (!s->p.tls_offered) {
        server_reply(s, 502, "5.5.1", "not offered");
        return;
    }
    server_reset(s);
    server_reply(s, 220, "2.0.0", "go ahead");
    s->phase = PHASE_TLS;
}

static void do_help(struct server *s, const char *arg);

/* What a command is about, for SERVER_STAGE. */

static void about_first(const char *arg, struct buf *about)
{
    buf_add(about, arg, strcspn(arg, " \t"));
}

static void about_path(const char *arg, struct buf *about)
{
    const char *path = strchr(arg, ':');

    if (path && path++)
        server_path(&path, true, about);
}

struct row {
    const char *word;
    unsigned needs;
    uint32_t cap; /* must be offered; 0: always there */
    void (*handler)(struct server *s, const char *arg);
    enum server_stage stage;
    void (*about)(const char *arg, struct buf *about); /* NULL: nothing */
};

static const struct row rows[] = {
    { "EHLO", NEED_SMTP | NEED_ARG, 0, do_ehlo, SERVER_AT_EHLO, about_first },
    { "HELO", NEED_SMTP | NEED_ARG, 0, do_helo, SERVER_AT_EHLO, about_first },
    { "LHLO", NEED_LMTP | NEED_ARG, 0, do_ehlo, SERVER_AT_EHLO, about_first },
    { "MAIL", NEED_ARG | NEED_HELO | NEED_AUTH | NEED_NO_MAIL, 0, do_mail, SERVER_AT_MAIL, about_path },
    { "RCPT", NEED_ARG | NEED_MAIL | NEED_NO_CHUNKS, 0, do_rcpt, SERVER_AT_RCPT, about_path },
    { "DATA", NEED_NO_ARG | NEED_MAIL | NEED_NO_CHUNKS | NEED_RCPT | NEED_TEXT, 0, do_data, SERVER_AT_DATA, NULL },
    { "BDAT", 0, CAP_CHUNKING, do_bdat, SERVER_AT_DATA, NULL },
    { "RSET", NEED_NO_ARG, 0, do_rset, SERVER_AT_RSET, NULL },
    { "NOOP", 0, 0, do_noop, SERVER_AT_NOWHERE, NULL },
    { "VRFY", NEED_ARG, 0, do_vrfy, SERVER_AT_NOWHERE, NULL },
    { "HELP", 0, 0, do_help, SERVER_AT_NOWHERE, NULL },
    { "QUIT", NEED_NO_ARG, 0, do_quit, SERVER_AT_QUIT, NULL },
    { "STARTTLS", NEED_NO_ARG | NEED_HELO, CAP_STARTTLS, do_starttls, SERVER_AT_STARTTLS, NULL },
    { "AUTH", NEED_ARG | NEED_HELO | NEED_NO_MAIL, CAP_AUTH, server_auth_begin, SERVER_AT_AUTH, about_first },
};

static void do_help(struct server *s, const char *arg)
{
    struct buf words = BUF_INIT;

    (void)arg;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].cap == 0 || server_offers(s, rows[i].cap))
            buf_printf(&words, "%s%s", words.len ? " " : "", rows[i].word);
    server_reply(s, 214, "2.0.0", "%s", words.data);
    buf_free(&words);
}

static const struct row *find_row(const char *word, size_t n)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i].word) == n && ascii_ieqn(rows[i].word, word, n))
            return &rows[i];
    return NULL;
}

static bool allowed(struct server *s, unsigned wanted, const char *arg)
{
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (!(wanted & needs[i].need) || needs[i].met(s, arg))
            continue;
        server_reply(s, needs[i].code, needs[i].enhanced, "%s", needs[i].text);
        return false;
    }
    return true;
}

static const char *argument(const struct server *s)
{
    const char *blank = s->line.data + strcspn(s->line.data, " \t");
    return blank + strspn(blank, " \t");
}

void server_command_run(struct server *s)
{
    s->row->handler(s, argument(s));
}

/* The octets of a chunk come all the same. */
void server_command_refused(struct server *s, int code, const char *text)
{
    if (s->row->handler == do_bdat) {
        do_bdat(s, argument(s));
        s->chunk_refused = true;
        s->chunk_answer = (struct server_answer){ code, text };
        return;
    }
    server_reply_said(s, code, text);
    if (s->row->handler == do_quit)
        s->phase = PHASE_CLOSE;
}

static void stage_or_run(struct server *s)
{
    if (!s->p.stages || s->row->stage == SERVER_AT_NOWHERE) {
        server_command_run(s);
        return;
    }
    if (s->row->about)
        s->row->about(argument(s), &s->about);
    server_ask(s, s->row->stage, s->row);
}

void server_command(struct server *s)
{
    size_t length;

    while (s->line.len > 0 && ascii_isblank(s->line.data[s->line.len - 1]))
        buf_cut(&s->line, s->line.len - 1);
    length = s->line.len;
    s->row = find_row(s->line.data, strcspn(s->line.data, " \t"));
    if (!s->row)
        server_reply(s, 500, "5.5.2", "unknown command");
    else if (s->turned_away && s->row->handler != do_quit)
        server_reply(s, 503, "5.5.1", "there is no service here");
    else if (s->row->cap && !server_offers(s, s->row->cap))
        server_reply(s, 502, "5.5.1", "%s is not offered", s->row->word);
    else if (length > SERVER_COMMAND_MAX && s->row->handler != server_auth_begin)
        server_reply(s, 500, "5.5.2", "the line is too long");
    else if (allowed(s, s->row->needs, argument(s)))
        stage_or_run(s);
}
