/* dialogue_runner: plays dialogue files against the client session, each whole (a flight must leave in one write) and
 * octet by octet, and checks what the client says, in which writes, and how it ends.
 *
 * dialogue_runner [FILE…]          without a file: all of $srcdir/tests/dialogue
 *
 * Before the first line of the dialogue:
 *   @set NAME VALUE      tls off|may|strict|required|implicit, auth on, lmtp on, all-or-nothing on, etrn QUEUE,
 *                        domain NAME, timeout SECONDS; of the probe: quit-after, drop-after, drop-after-send STOP,
 *                        ignore, assume KEYWORD…, helo, as-is, hear-quit, prdr, raw-body, decode-auth on,
 *                        auth-need, xclient-need required|strict|may, xclient-before-tls, xclient-unverified on,
 *                        xclient ATTRIBUTES (one command each), mail-param, rcpt-param TEXT (one each)
 *   @no-job              there is nothing to send
 *   @job                 another job follows; the words below are of the job last begun. Only the last has `last` set
 *   @from ADDRESS  @to ADDRESS  @orcpt TYPE;ADDRESS (of the last @to)
 *   @message "text"      default "Subject: t\r\n\r\nhello\r\n"; @message-fill N: N octets of lines of our own
 *   @blocks N            the source gives the message in blocks of N octets
 *   @unknown-size  @size-about N  @eight-bit  @utf8-headers  @not-last  @notify WORDS  @ret full|hdrs  @envid ID
 *   @ahead               the job is given as soon as the session takes it, before the one in front of it is over
 *   @needs idn           skipped in a build without libidn2
 *   @expect [job=N] fault=WORD stage=WORD exit=N fate=WORD rcpt=WORD,… (the recipients of all jobs, in order)
 *           code=N,… (their replies)  tls=yes|no  data=N (the reply to the message)  dropped=yes|no  xclient=yes|no
 *   @expect-text TEXT  @expect-hint TEXT  @expect-server TEXT  @expect-warning TEXT: the error or the events hold it
 *   @expect-shown TEXT  @expect-hidden TEXT: the events, as "kind: first field", hold it or do not; "unexpected: LINE"
 *                        stands for such a line of the server, "decoded: …" for that field of a line of ours
 * In the dialogue: C: lines that follow each other are one write, unless @flight parts them; S: lines come in one read;
 *   @starttls            the session wants TLS: it is up
 *   @tls-fails           the same: the certificate is not acceptable
 *   @auth MECH ["bytes"] the session wants AUTH: start, with this initial response  @auth-long N: XOAUTH2 with N octets
 *   @challenge "bytes"   it wants AUTH, and this is the challenge
 *   @respond "bytes"  @cancel  @accept  @refused TEXT (the refusal holds TEXT)  @give-up
 *   @body                the message comes here, with dots doubled under DATA, in the flight of the lines around it
 *   @body-part N         N octets of it are taken, then what follows happens
 *   @partial N           N octets of the flight that follows are taken
 *   @raw "bytes"         from the server  @raw-fill N: N times the letter x
 *   @repeat N LINE       N times the server's line
 *   @eof  @timeout  @reset */
#include "dialogue_play.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/file.h"
#include "mail/address.h"

enum { STEPS_MAX = 200000 };

void play_complain(struct play *y, const char *fmt, ...)
{
    va_list ap;

    if (y->failed)
        return;
    y->failed = true;
    fprintf(stderr, "%s:%d (%s): ", y->name, y->at < y->d.n ? y->d.v[y->at].number : -1, y->bytewise ? "octet by octet" : "whole");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
}

void play_unquote(struct play *y, const char *text, struct buf *out)
{
    struct err e = ERR_INIT;
    if (!dialogue_unquote(text, out, &e))
        play_complain(y, "%s", e.text);
    err_clear(&e);
}

static const struct dialogue_line *line_now(struct play *y)
{
    while (y->at < y->d.n
           && (y->d.v[y->at].kind == DIALOGUE_NOTE
               || (y->d.v[y->at].kind == DIALOGUE_DIRECTIVE && play_is_expectation(y->d.v[y->at].word))))
        y->at++;
    return y->at < y->d.n ? &y->d.v[y->at] : NULL;
}

static bool directive(struct play *y, const char *word)
{
    const struct dialogue_line *l = line_now(y);
    return l != NULL && l->kind == DIALOGUE_DIRECTIVE && strcmp(l->word, word) == 0;
}

static void stuffed(const struct job *j, bool dots, struct buf *out)
{
    for (size_t i = 0; i < j->message.len; i++) {
        if (dots && j->message.data[i] == '.' && (i == 0 || j->message.data[i - 1] == '\n'))
            buf_addc(out, '.');
        buf_addc(out, j->message.data[i]);
    }
}

/* Collects what the next write must be: the C: lines up to @flight, a server line or another directive. */
static void expect_flight(struct play *y)
{
    bool dots = true;
    const struct dialogue_line *l;

    y->partial = SIZE_MAX;
    if (directive(y, "partial")) {
        y->partial = (size_t)atol(line_now(y)->text);
        y->at++;
    }
    while ((l = line_now(y)) != NULL) {
        if (l->kind == DIALOGUE_CLIENT) {
            dots = strncmp(l->text, "BDAT", 4) != 0;
            buf_adds(&y->expected, l->text);
            buf_adds(&y->expected, "\r\n");
        } else if (directive(y, "body") || directive(y, "body-part")) {
            if (directive(y, "body-part"))
                y->partial = y->expected.len + (size_t)atol(l->text);
            stuffed(&y->jobs[y->job_now - 1], dots && !y->p.probe.raw_body, &y->expected);
        } else {
            break;
        }
        y->at++;
    }
    if (directive(y, "flight"))
        y->at++;
    if (y->partial < y->expected.len)
        buf_cut(&y->expected, y->partial);
}

static void play_write(struct play *y)
{
    struct iovec iov[64];
    struct buf got = BUF_INIT;
    int n = session_output(y->s, iov, y->bytewise ? 1 : 64);

    for (int i = 0; i < n; i++)
        buf_add(&got, iov[i].iov_base, y->bytewise && iov[i].iov_len ? 1 : iov[i].iov_len);
    if (y->written == y->expected.len) {
        buf_cut(&y->expected, 0);
        y->written = 0;
        expect_flight(y);
    }
    const char *expected = y->expected.data + y->written;
    size_t left = y->expected.len - y->written, common = 0;
    if (got.len > left && y->partial != SIZE_MAX)
        buf_cut(&got, left);
    while (common < got.len && common < left && got.data[common] == expected[common])
        common++;
    bool borrowed_in_parts = n == 64 || y->jobs[y->job_now ? y->job_now - 1 : 0].message.len > 16384;
    if (common < got.len)
        play_complain(y, "the client writes '%.70s' where '%.70s' is expected", got.data + common, expected + common);
    else if (!y->bytewise && got.len < left && !borrowed_in_parts)
        play_complain(y, "a write ends early, before '%.60s'", expected + got.len);
    else if (got.len == 0)
        play_complain(y, "nothing to write");
    y->written += common;
    session_wrote(y->s, got.len);
    buf_free(&got);
}

static void server_line(const struct dialogue_line *l, struct buf *in)
{
    buf_adds(in, l->text);
    buf_adds(in, "\r\n");
}

static void play_input(struct play *y)
{
    struct buf in = BUF_INIT;
    const struct dialogue_line *l;

    while ((l = line_now(y)) != NULL) {
        if (l->kind == DIALOGUE_SERVER) {
            server_line(l, &in);
        } else if (directive(y, "raw")) {
            play_unquote(y, l->text, &in);
        } else if (directive(y, "raw-fill")) {
            for (long i = atol(l->text); i > 0; i--)
                buf_addc(&in, 'x');
        } else if (directive(y, "repeat")) {
            const char *text = strchr(l->text, ' ');
            for (long i = atol(l->text); i > 0; i--)
                buf_printf(&in, "%s\r\n", text + 1);
        } else {
            break;
        }
        y->at++;
    }
    if (!y->bytewise)
        session_input(y->s, in.data, in.len);
    for (size_t i = 0; y->bytewise && i < in.len; i++) {
        session_input(y->s, in.data + i, 1);
        session_next(y->s);
    }
    buf_free(&in);
}

static void play_tls(struct play *y)
{
    struct err e = ERR_INIT;

    if (directive(y, "starttls")) {
        session_tls_up(y->s);
    } else if (directive(y, "tls-fails")) {
        err_set(&e, FAULT_CERTIFICATE, "the certificate has expired");
        session_fail(y->s, &e);
    } else if (line_now(y) != NULL && line_now(y)->kind == DIALOGUE_SERVER) {
        play_input(y);
        return;
    } else {
        play_complain(y, "the client wants TLS");
    }
    y->at++;
}

static void play_auth(struct play *y)
{
    const struct dialogue_line *l = line_now(y);
    enum session_auth_state state = session_auth_state(y->s);
    struct buf b = BUF_INIT;
    struct err e = ERR_INIT;

    if (directive(y, "auth")) {
        size_t n = strcspn(l->text, " ");
        char *mech = xstrndup(l->text, n);
        play_unquote(y, l->text + n + strspn(l->text + n, " "), &b);
        session_auth_start(y->s, mech, l->text[n] ? &b : NULL);
        free(mech);
    } else if (directive(y, "auth-long")) {
        for (long i = atol(l->text); i > 0; i--)
            buf_addc(&b, 'x');
        session_auth_start(y->s, "XOAUTH2", &b);
    } else if (directive(y, "challenge") && state == SESSION_AUTH_CHALLENGE) {
        play_unquote(y, l->text, &b);
        if (strcmp(b.data, session_auth_challenge(y->s)->data) != 0)
            play_complain(y, "the challenge is '%s'", session_auth_challenge(y->s)->data);
    } else if (directive(y, "respond")) {
        play_unquote(y, l->text, &b);
        session_auth_respond(y->s, &b);
    } else if (directive(y, "cancel")) {
        session_auth_cancel(y->s);
    } else if (directive(y, "accept") && state == SESSION_AUTH_SUCCESS) {
        session_auth_accept(y->s);
    } else if (directive(y, "refused") && state == SESSION_AUTH_CHOOSE && session_auth_reply(y->s) != NULL) {
        if (strstr(session_auth_reply(y->s)->text.data, l->text) == NULL)
            play_complain(y, "the refusal is '%s'", session_auth_reply(y->s)->text.data);
    } else if (directive(y, "give-up")) {
        err_set(&e, FAULT_AUTH, "the login was refused");
        session_auth_give_up(y->s, &e);
    } else if (directive(y, "eof")) {
        session_eof(y->s);
    } else {
        play_complain(y, "the client wants AUTH (state %d)", (int)state);
    }
    y->at++;
    buf_free(&b);
}

static bool check_error(struct play *y, const char *text);

/* What is expected of the job that is over. */
static void check_job(struct play *y)
{
    char prefix[16];

    snprintf(prefix, sizeof prefix, "job=%zu ", y->job_now);
    for (size_t i = 0; i < y->d.n; i++)
        if (y->d.v[i].word != NULL && strcmp(y->d.v[i].word, "expect") == 0 && strncmp(y->d.v[i].text, prefix, strlen(prefix)) == 0)
            check_error(y, y->d.v[i].text + strlen(prefix));
}

static void on_over(void *ctx)
{
    struct play *y = ctx;

    check_job(y);
    y->job_now++;
}

static void give_job(struct play *y)
{
    struct job *j = &y->jobs[y->job_next++];

    session_job(y->s, &(struct session_job){
        .env = &j->env, .rcpts = j->rcpts, .n = j->env.n, .size = j->unknown ? -1 : (int64_t)j->message.len,
        .size_about = j->about,
        .eight_bit = j->eight_bit, .utf8_headers = j->utf8, .last = j->last });
}

static void play_ahead(struct play *y)
{
    if (y->job_next < y->jobs_n && y->jobs[y->job_next].ahead && session_takes_next(y->s))
        give_job(y);
}

static void play_job(struct play *y)
{
    check_job(y);
    if (directive(y, "eof")) {
        session_eof(y->s);
        y->at++;
        return;
    }
    if (line_now(y) != NULL && line_now(y)->kind == DIALOGUE_SERVER) {
        play_input(y);
        return;
    }
    if (y->job_next == y->jobs_n) {
        session_no_job(y->s);
        return;
    }
    y->job_now = y->job_next + 1;
    give_job(y);
}

static void play_body(struct play *y)
{
    struct job *j = &y->jobs[y->job_now - 1];
    size_t n = j->message.len - j->given < j->block ? j->message.len - j->given : j->block;

    if (n == 0)
        session_body_end(y->s);
    else
        session_body(y->s, j->message.data + j->given, n);
    j->given += n;
}

static void play_read(struct play *y)
{
    struct err e = ERR_INIT;
    const struct dialogue_line *l = line_now(y);

    if (directive(y, "eof")) {
        session_eof(y->s);
    } else if (directive(y, "timeout")) {
        if (*l->text != '\0' && session_timeout(y->s) != atol(l->text) * USEC_PER_SEC)
            play_complain(y, "the timeout here is %lld s", (long long)(session_timeout(y->s) / USEC_PER_SEC));
        session_timed_out(y->s);
    } else if (directive(y, "reset")) {
        err_set(&e, FAULT_LOST, "connection reset by peer");
        session_fail(y->s, &e);
    } else if (l != NULL && (l->kind == DIALOGUE_SERVER || directive(y, "raw") || directive(y, "raw-fill") || directive(y, "repeat"))) {
        play_input(y);
        return;
    } else {
        play_complain(y, "the client waits for a reply; next is '%s'", l ? l->text : "the end");
    }
    y->at++;
}

static bool written_in_part(const struct play *y)
{
    return y->partial != SIZE_MAX && y->written == y->expected.len;
}

static void play_steps(struct play *y)
{
    for (int steps = 0; !y->failed; steps++) {
        play_ahead(y);
        enum want want = session_next(y->s);
        if (want != session_next(y->s))
            play_complain(y, "session_next is not idempotent");
        if (steps > STEPS_MAX)
            play_complain(y, "no end");
        if ((want == WANT_WRITE || want == WANT_BODY) && written_in_part(y)) {
            play_read(y);
            y->partial = SIZE_MAX;
            continue;
        }
        switch (want) {
        case WANT_WRITE: play_write(y); break;
        case WANT_READ: play_read(y); break;
        case WANT_BODY: play_body(y); break;
        case WANT_TLS: play_tls(y); break;
        case WANT_AUTH: play_auth(y); break;
        case WANT_JOB: play_job(y); break;
        case WANT_CLOSE: return;
        }
    }
}

static const char *yes(bool b) { return b ? "yes" : "no"; }

/* What "@expect WORD=…" is compared with: appended to got. */
#define GOT(word, statement) \
    static void got_##word(const struct play *y, const struct err *e, struct buf *got) { (void)y; (void)e; statement; }

GOT(fault, buf_adds(got, err_is_set(e) ? fault_word(e->fault) : "none"))
GOT(stage, buf_adds(got, stage_word(e->stage)))
GOT(exit, buf_printf(got, "%d", err_is_set(e) ? fault_exit(e->fault) : 0))
GOT(fate, buf_adds(got, fate_word(e->fate)))
GOT(tls, buf_adds(got, yes(session_is_tls(y->s))))
GOT(dropped, buf_adds(got, yes(session_dropped(y->s))))
GOT(xclient, buf_adds(got, yes(session_had_xclient(y->s))))
GOT(data, buf_printf(got, "%d", session_data_reply(y->s)->code))

static void got_rcpt(const struct play *y, const struct err *e, struct buf *got)
{
    (void)e;
    for (size_t i = 0; i < y->jobs_n; i++)
        for (size_t k = 0; k < y->jobs[i].env.n; k++)
            buf_printf(got, "%s%s", got->len ? "," : "", rcpt_fate_word(y->jobs[i].env.rcpts[k].fate));
}

static void got_code(const struct play *y, const struct err *e, struct buf *got)
{
    (void)e;
    for (size_t i = 0; i < y->jobs_n; i++)
        for (size_t k = 0; k < y->jobs[i].env.n; k++)
            buf_printf(got, "%s%d", got->len ? "," : "", y->jobs[i].env.rcpts[k].reply.code);
}

static const struct {
    const char *word;
    void (*get)(const struct play *y, const struct err *e, struct buf *got);
} expectations[] = {
    { "fault", got_fault }, { "stage", got_stage }, { "exit", got_exit }, { "fate", got_fate }, { "tls", got_tls },
    { "dropped", got_dropped }, { "xclient", got_xclient }, { "data", got_data }, { "rcpt", got_rcpt }, { "code", got_code },
};

/* "fault=word stage=word …" against the session's error and the envelopes. */
static void check_word(struct play *y, const char *word, const char *want)
{
    const struct err *e = session_error(y->s);
    struct buf got = BUF_INIT;
    size_t i = 0, n = sizeof expectations / sizeof *expectations;

    while (i < n && strcmp(word, expectations[i].word) != 0)
        i++;
    if (i < n)
        expectations[i].get(y, e, &got);
    else
        play_complain(y, "what is '%s' in @expect?", word);
    if (strcmp(got.data, want) != 0)
        play_complain(y, "%s is '%s', not '%s' (%s / %s)", word, got.data, want, e->text ? e->text : "no error", e->server ? e->server : "");
    buf_free(&got);
}

static bool check_error(struct play *y, const char *text)
{
    struct strlist words = STRLIST_INIT;

    strlist_split(&words, text, " ");
    for (size_t i = 0; i < words.n; i++) {
        char *eq = strchr(words.v[i], '=');
        if (eq == NULL) {
            play_complain(y, "what is '%s' in @expect?", words.v[i]);
            continue;
        }
        *eq = '\0';
        check_word(y, words.v[i], eq + 1);
    }
    strlist_free(&words);
    return !y->failed;
}

static void check_holds(struct play *y, const char *what, const char *got, const char *part)
{
    if (got == NULL || strstr(got, part) == NULL)
        play_complain(y, "the %s is '%s', without '%s'", what, got ? got : "", part);
}

static void check_end(struct play *y)
{
    const struct err *e = session_error(y->s);
    bool told = false;

    if (line_now(y) != NULL)
        play_complain(y, "the client ends the session here (%s / %s)", e->text ? e->text : "no error", e->server ? e->server : "");
    if (y->written < y->expected.len)
        play_complain(y, "never written: '%.60s'", y->expected.data + y->written);
    for (size_t i = 0; i < y->d.n; i++) {
        const struct dialogue_line *l = &y->d.v[i];
        if (l->kind != DIALOGUE_DIRECTIVE || !play_is_expectation(l->word))
            continue;
        if (strcmp(l->word, "expect") == 0 && strncmp(l->text, "job=", 4) != 0) {
            told = true;
            check_error(y, l->text);
        } else if (strcmp(l->word, "expect-text") == 0) {
            check_holds(y, "error", e->text, l->text);
        } else if (strcmp(l->word, "expect-hint") == 0) {
            check_holds(y, "hint", e->hint, l->text);
        } else if (strcmp(l->word, "expect-server") == 0) {
            check_holds(y, "server's text", e->server, l->text);
        } else if (strcmp(l->word, "expect-warning") == 0) {
            check_holds(y, "list of warnings", y->warnings.data, l->text);
        } else if (strcmp(l->word, "expect-shown") == 0) {
            check_holds(y, "transcript", y->shown.data, l->text);
        } else if (strcmp(l->word, "expect-hidden") == 0 && strstr(y->shown.data, l->text) != NULL) {
            play_complain(y, "the transcript shows '%s'", l->text);
        }
    }
    if (!told && err_is_set(e))
        play_complain(y, "an error that nobody expects: %s / %s", e->text, e->server ? e->server : "");
}

static void listen(void *ctx, const struct event *ev)
{
    struct play *y = ctx;
    const struct field *f = &ev->fields[0];
    struct buf *b = ev->kind == EV_WARNING ? &y->warnings : &y->shown;

    if (f->type == FIELD_STRING) {
        buf_adds(b, event_word(ev->kind));
        buf_adds(b, ": ");
        buf_add(b, f->s, f->len);
        buf_addc(b, '\n');
    }
    f = event_field(ev, "unexpected");
    if (f != NULL && f->i)
        buf_printf(b, "unexpected: %.*s\n", (int)ev->fields[0].len, ev->fields[0].s);
    f = event_field(ev, "decoded");
    if (f != NULL && f->s != NULL) {
        buf_adds(b, "decoded: ");
        visible_encode(b, f->s, f->len);
        buf_addc(b, '\n');
    }
}

static bool play(const char *name, const struct buf *text, bool bytewise)
{
    struct play *y = xcalloc(1, sizeof *y);
    struct err e = ERR_INIT;

    *y = (struct play){ .name = name, .bytewise = bytewise, .expected = BUF_INIT, .warnings = BUF_INIT, .shown = BUF_INIT, .partial = SIZE_MAX };
    hub_init(&y->hub);
    hub_listen(&y->hub, EV_ALL, listen, y);
    if (!dialogue_parse(&y->d, name, text->data, text->len, false, &e))
        play_complain(y, "%s", e.text);
    play_head(y);
    y->p.hub = &y->hub;
    y->p.connection = 1;
    y->p.over = on_over;
    y->p.over_ctx = y;
    y->p.probe.xclient = &y->xclient;
    y->p.probe.mail_params = &y->mail_params;
    y->p.probe.rcpt_params = &y->rcpt_params;
    y->s = session_new(&y->p);
    play_steps(y);
    if (!y->failed)
        check_end(y);
    bool ok = !y->failed;
    session_free(y->s);
    for (size_t i = 0; i < y->jobs_n; i++) {
        envelope_free(&y->jobs[i].env);
        buf_free(&y->jobs[i].message);
    }
    dialogue_free(&y->d);
    buf_free(&y->expected);
    buf_free(&y->warnings);
    buf_free(&y->shown);
    hub_free(&y->hub);
    err_clear(&e);
    free(y->domain);
    free(y->etrn);
    strlist_free(&y->xclient);
    strlist_free(&y->mail_params);
    strlist_free(&y->rcpt_params);
    free(y);
    return ok;
}

static bool has_idn(void)
{
    struct buf ascii = BUF_INIT;
    struct err e = ERR_INIT;
    bool has = domain_to_ascii("b\xc3\xbc" "cher.example", &ascii, &e);
    buf_free(&ascii);
    err_clear(&e);
    return has;
}

static int play_files(int argc, char **argv)
{
    int failed = 0;

    bool idn = has_idn();
    printf("[==========] Running %d test(s).\n", argc);
    for (int i = 0; i < argc; i++) {
        struct buf text = BUF_INIT;
        struct err e = ERR_INIT;
        const char *base = strrchr(argv[i], '/') ? strrchr(argv[i], '/') + 1 : argv[i];
        printf("[ RUN      ] %s\n", base);
        bool ok = file_read(argv[i], 1 << 20, &text, FAULT_NO_INPUT, &e);
        if (!ok)
            fprintf(stderr, "%s\n", e.text);
        if (ok && !idn && strstr(text.data, "\n# @needs idn\n"))
            printf("%s needs libidn2, which was left out\n", base);
        else
            ok = ok && play(base, &text, false) && play(base, &text, true);
        printf("[  %s ] %s\n", ok ? "     OK" : "FAILED ", base);
        fflush(stdout);
        failed += !ok;
        buf_free(&text);
        err_clear(&e);
    }
    printf("[==========] %d test(s) run.\n[  PASSED  ] %d test(s).\n", argc, argc - failed);
    if (failed)
        printf("[  FAILED  ] %d test(s)\n", failed);
    return failed != 0;
}

int main(int argc, char **argv)
{
    glob_t found;

    if (argc > 1)
        return play_files(argc - 1, argv + 1);
    const char *srcdir = getenv("srcdir");
    char *pattern = xasprintf("%s/tests/dialogue/*.txt", srcdir ? srcdir : ".");
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "dialogue_runner: no file matches '%s'\n", pattern);
        return 2;
    }
    int status = play_files((int)found.gl_pathc, found.gl_pathv);
    globfree(&found);
    free(pattern);
    return status;
}
