/* dialogue_head: what a dialogue file says before its first line: facts of the session (@set) and the jobs.
 * dialogue_runner.c lists the words. */
#include "dialogue_play.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The facts that @set sets: where they stand in struct session_params, or in struct play where they are owned. */
struct fact {
    const char *name;
    void (*set)(struct play *y, const struct fact *f, const char *value);
    size_t offset;
};

static void *param(struct play *y, const struct fact *f)
{
    return (char *)&y->p + f->offset;
}

/* The place of value among n words. */
static size_t choose(struct play *y, const char *value, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(value, words[i]) == 0)
            return i;
    play_complain(y, "'%s' is none of the words here", value);
    return 0;
}

#define CHOOSE(y, value, words) choose((y), (value), (words), sizeof(words) / sizeof *(words))

static void set_on(struct play *y, const struct fact *f, const char *value)
{
    static const char *const words[] = { "off", "on" };
    *(bool *)param(y, f) = CHOOSE(y, value, words) == 1;
}

static void set_tls(struct play *y, const struct fact *f, const char *value)
{
    static const char *const words[] = { "off", "may", "strict", "required", "implicit" };
    *(enum session_tls *)param(y, f) = (enum session_tls)CHOOSE(y, value, words);
}

static void set_need(struct play *y, const struct fact *f, const char *value)
{
    static const char *const words[] = { "required", "strict", "may" };
    *(enum session_need *)param(y, f) = (enum session_need)CHOOSE(y, value, words);
}

static void set_stop(struct play *y, const struct fact *f, const char *value)
{
    static const char *const words[] = {
        "nowhere", "greeting", "first-hello", "xclient", "xclient-hello", "tls", "hello", "auth", "mail", "rcpt",
        "data", "dot",
    };
    *(enum session_stop *)param(y, f) = (enum session_stop)CHOOSE(y, value, words);
}

static void set_timeout(struct play *y, const struct fact *f, const char *value)
{
    *(usec *)param(y, f) = atoi(value) * USEC_PER_SEC;
}

static void set_caps(struct play *y, const struct fact *f, const char *value)
{
    struct strlist words = STRLIST_INIT;

    strlist_split(&words, value, " ");
    for (size_t i = 0; i < words.n; i++)
        for (unsigned cap = 1; cap <= CAP_PRDR; cap <<= 1)
            if (strcmp(words.v[i], cap_word((enum cap)cap)) == 0)
                *(uint32_t *)param(y, f) |= cap;
    strlist_free(&words);
}

static void set_string(struct play *y, char **own, const char **to, const char *value)
{
    struct buf b = BUF_INIT;

    play_unquote(y, value, &b);
    free(*own);
    *to = *own = buf_steal(&b);
}

static void set_domain(struct play *y, const struct fact *f, const char *value)
{
    (void)f;
    set_string(y, &y->domain, &y->p.domain, value);
}

static void set_etrn(struct play *y, const struct fact *f, const char *value)
{
    (void)f;
    set_string(y, &y->etrn, &y->p.etrn, value);
}

static void add(struct play *y, const struct fact *f, const char *value)
{
    struct strlist *l = (struct strlist *)(void *)((char *)y + f->offset);
    struct buf b = BUF_INIT;

    play_unquote(y, value, &b);
    strlist_add_own(l, buf_steal(&b));
}

#define PARAM(member) offsetof(struct session_params, member)
#define PROBE(member) offsetof(struct session_params, probe.member)

static const struct fact facts[] = {
    { "tls", set_tls, PARAM(tls) },
    { "auth", set_on, PARAM(auth) },
    { "lmtp", set_on, PARAM(lmtp) },
    { "all-or-nothing", set_on, PARAM(all_or_nothing) },
    { "requiretls", set_on, PARAM(requiretls) },
    { "timeout", set_timeout, PARAM(timeout) },
    { "domain", set_domain, 0 },
    { "etrn", set_etrn, 0 },
    { "quit-after", set_stop, PROBE(quit_after) },
    { "drop-after", set_stop, PROBE(drop_after) },
    { "drop-after-send", set_stop, PROBE(drop_after_send) },
    { "ignore", set_caps, PROBE(caps_ignored) },
    { "assume", set_caps, PROBE(caps_assumed) },
    { "helo", set_on, PROBE(helo) },
    { "as-is", set_on, PROBE(as_is) },
    { "hear-quit", set_on, PROBE(hear_quit) },
    { "prdr", set_on, PROBE(prdr) },
    { "raw-body", set_on, PROBE(raw_body) },
    { "decode-auth", set_on, PROBE(decode_auth) },
    { "auth-need", set_need, PROBE(auth_need) },
    { "xclient-need", set_need, PROBE(xclient_need) },
    { "xclient-before-tls", set_on, PROBE(xclient_before_tls) },
    { "xclient-unverified", set_on, PROBE(xclient_unverified) },
    { "xclient", add, offsetof(struct play, xclient) },
    { "mail-param", add, offsetof(struct play, mail_params) },
    { "rcpt-param", add, offsetof(struct play, rcpt_params) },
};

static void set(struct play *y, const char *text)
{
    size_t n = strcspn(text, " ");
    const char *value = text + n + strspn(text + n, " ");

    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (strlen(facts[i].name) != n || strncmp(text, facts[i].name, n) != 0)
            continue;
        facts[i].set(y, &facts[i], value);
        return;
    }
    play_complain(y, "unknown @set %s", text);
}

static unsigned notify_bits(const char *words)
{
    return (strstr(words, "never") ? DSN_NOTIFY_NEVER : 0u) | (strstr(words, "success") ? DSN_NOTIFY_SUCCESS : 0u)
        | (strstr(words, "failure") ? DSN_NOTIFY_FAILURE : 0u) | (strstr(words, "delay") ? DSN_NOTIFY_DELAY : 0u);
}

static struct job *new_job(struct play *y)
{
    if (y->jobs_n > 0)
        y->jobs[y->jobs_n - 1].last = false;
    struct job *j = &y->jobs[y->jobs_n++];
    *j = (struct job){ .message = BUF_INIT, .block = SIZE_MAX, .last = true };
    j->env.sender = xstrdup("a@example.org");
    return j;
}

static void fill(struct buf *b, size_t n)
{
    while (b->len < n)
        buf_printf(b, b->len % 7 ? "line at %zu\r\n" : ".line at %zu\r\n", b->len);
    buf_cut(b, n - 2);
    buf_adds(b, "\r\n");
}

static void job_from(struct play *y, struct job *j, const char *text)
{
    struct buf b = BUF_INIT;

    play_unquote(y, text, &b);
    free(j->env.sender);
    j->env.sender = buf_steal(&b);
}

static void job_to(struct play *y, struct job *j, const char *text)
{
    struct buf b = BUF_INIT;

    play_unquote(y, text, &b);
    envelope_add(&j->env, b.data);
    buf_free(&b);
}

#define JOB_WORD(word, statement) \
    static void job_##word(struct play *y, struct job *j, const char *text) { (void)y; (void)text; statement; }

JOB_WORD(orcpt, j->env.rcpts[j->env.n - 1].orcpt = xstrdup(text))
JOB_WORD(message, play_unquote(y, text, &j->message))
JOB_WORD(message_fill, fill(&j->message, (size_t)atol(text)))
JOB_WORD(blocks, j->block = (size_t)atol(text))
JOB_WORD(unknown_size, j->unknown = true)
JOB_WORD(size_about, j->about = atol(text))
JOB_WORD(eight_bit, j->eight_bit = true)
JOB_WORD(utf8_headers, j->utf8 = true)
JOB_WORD(not_last, j->last = false)
JOB_WORD(ahead, j->ahead = true)
JOB_WORD(notify, j->env.dsn_notify = notify_bits(text))
JOB_WORD(ret, j->env.dsn_return = strcmp(text, "full") == 0 ? DSN_RETURN_FULL : DSN_RETURN_HEADERS)
JOB_WORD(envid, j->env.dsn_envid = xstrdup(text))

static const struct {
    const char *word;
    void (*set)(struct play *y, struct job *j, const char *text);
} job_words[] = {
    { "from", job_from },
    { "to", job_to },
    { "orcpt", job_orcpt },
    { "message", job_message },
    { "message-fill", job_message_fill },
    { "blocks", job_blocks },
    { "unknown-size", job_unknown_size },
    { "size-about", job_size_about },
    { "eight-bit", job_eight_bit },
    { "utf8-headers", job_utf8_headers },
    { "not-last", job_not_last },
    { "ahead", job_ahead },
    { "notify", job_notify },
    { "ret", job_ret },
    { "envid", job_envid },
};

/* The words that describe the jobs. false: not such a word. */
static bool job_word(struct play *y, struct job *j, const char *w, const char *text)
{
    for (size_t i = 0; i < sizeof job_words / sizeof *job_words; i++) {
        if (strcmp(w, job_words[i].word) != 0)
            continue;
        job_words[i].set(y, j, text);
        return true;
    }
    return false;
}

bool play_is_expectation(const char *w)
{
    return strncmp(w, "expect", 6) == 0 || strcmp(w, "needs") == 0;
}

void play_head(struct play *y)
{
    struct job *j = new_job(y);

    y->p.domain = "client.example";
    for (y->at = 0; y->at < y->d.n; y->at++) {
        const struct dialogue_line *l = &y->d.v[y->at];
        if (l->kind == DIALOGUE_NOTE || (l->kind == DIALOGUE_DIRECTIVE && play_is_expectation(l->word)))
            continue;
        if (l->kind != DIALOGUE_DIRECTIVE)
            break;
        if (strcmp(l->word, "set") == 0)
            set(y, l->text);
        else if (strcmp(l->word, "no-job") == 0)
            y->job_next = y->job_now = y->jobs_n;
        else if (strcmp(l->word, "job") == 0)
            j = new_job(y);
        else if (!job_word(y, j, l->word, l->text))
            break;
    }
    for (size_t i = 0; i < y->jobs_n; i++) {
        j = &y->jobs[i];
        if (j->env.n == 0)
            envelope_add(&j->env, "b@example.net");
        if (j->message.len == 0)
            buf_adds(&j->message, "Subject: t\r\n\r\nhello\r\n");
        if (strcmp(j->message.data, "empty") == 0)
            buf_reset(&j->message);
        for (size_t k = 0; k < j->env.n; k++)
            j->rcpts[k] = k;
    }
}
