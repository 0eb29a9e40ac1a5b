/* talk_terminal: a dialogue by hand: a prompt, colours, completion, history, and the session saved as a script. What is
 * typed is compiled and played as a script of one line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "cmd/editor.h"
#include "cmd/talk.h"

enum { HISTORY_LINES = 1000, HISTORY_OCTETS = 1 << 20 };

struct terminal {
    struct task task;        /* first */
    const struct talk_params *p;
    struct player *player;
    struct script *script;   /* own: what is being played */
    struct strlist typed;    /* not played yet */
    struct strlist history;
    struct buf session;      /* the script that .save writes */
    bool reply_begun;        /* its code stands in the session */
    bool quiet;              /* the line that is said was typed, and can be seen already */
    bool colour, editing, over;
};

/* ---- showing ---- */

static const char *colour_of(const struct event *ev)
{
    static const char *const by_digit[] = { NULL, NULL, "32", "36", "33", "31" };
    const struct field *line = event_field(ev, "line");

    if (ev->kind != EV_SERVER)
        return ev->kind == EV_CLIENT ? NULL : "2";
    return line->len > 0 && line->s[0] >= '2' && line->s[0] <= '5' ? by_digit[line->s[0] - '0'] : NULL;
}

static void print(struct terminal *t, const char *text, const char *colour)
{
    if (t->editing)
        editor_hide();
    if (colour && t->colour)
        printf("\033[%sm%s\033[0m\n", colour, text);
    else
        puts(text);
    fflush(stdout);
    if (t->editing)
        editor_show();
}

/* A reply is saved by its code: the rest may be another one the next time. */
static void record(struct terminal *t, const struct event *ev)
{
    const struct field *line = event_field(ev, "line"), *text = event_field(ev, "text");

    if (ev->kind == EV_CLIENT)
        buf_printf(&t->session, "C: %.*s\n", (int)line->len, line->s);
    if (ev->kind == EV_SERVER && !t->reply_begun)
        buf_printf(&t->session, "S: %.*s\n", (int)(line->len < 3 ? line->len : 3), line->s);
    if (ev->kind == EV_SERVER)
        t->reply_begun = line->len > 3 && line->s[3] == '-';
    if (ev->kind == EV_NOTE && text->s[0] == '@')
        buf_printf(&t->session, "# %.*s\n", (int)text->len, text->s);
}

static void on_event(void *ctx, const struct event *ev)
{
    struct terminal *t = ctx;
    struct buf line = BUF_INIT;

    record(t, ev);
    if (!event_template(ev->kind) || (ev->kind == EV_CLIENT && t->quiet))
        return;
    event_format(ev, event_template(ev->kind), &line);
    print(t, line.data, colour_of(ev));
    buf_free(&line);
}

static const char nowhere[] = ":1: "; /* file and line of what was typed */

static void complain(struct terminal *t, struct err *e)
{
    struct buf text = BUF_INIT;
    const char *what = e->text + (strncmp(e->text, nowhere, strlen(nowhere)) == 0 ? strlen(nowhere) : 0);

    buf_printf(&text, "# %s%s%s", what, e->hint ? "; " : "", e->hint ? e->hint : "");
    print(t, text.data, "31");
    buf_free(&text);
    err_clear(e);
}

/* ---- history ---- */

/* NULL: there is no home. */
static char *history_path(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (state && state[0] == '/')
        return xasprintf("%s/envoi/talk_history", state);
    return home && home[0] == '/' ? xasprintf("%s/.local/state/envoi/talk_history", home) : NULL;
}

static void remember(struct terminal *t, const char *line)
{
    if (!*line || (t->history.n > 0 && strcmp(t->history.v[t->history.n - 1], line) == 0))
        return;
    strlist_add(&t->history, line);
    editor_remember(line);
}

static void load_history(struct terminal *t)
{
    char *path = history_path();
    struct buf text = BUF_INIT;
    struct err e = ERR_INIT;
    struct strlist lines = STRLIST_INIT;

    if (path && file_read(path, HISTORY_OCTETS, &text, FAULT_NO_INPUT, &e))
        strlist_split(&lines, text.data, "\n");
    for (size_t i = 0; i < lines.n; i++)
        remember(t, lines.v[i]);
    err_clear(&e); /* none yet */
    strlist_free(&lines);
    buf_free(&text);
    free(path);
}

static bool write_private(const char *path, const struct buf *text, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0)
        return err_sys(e, FAULT_CANT_CREATE, errno, "cannot write '%s'", path);
    if (fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && fchmod(fd, 0600) < 0) ||
        !file_write_all(fd, text->data, text->len))
        err_sys(e, FAULT_IO, errno, "cannot write '%s'", path);
    close(fd);
    return !err_is_set(e);
}

static void save_history(const struct terminal *t)
{
    char *path = history_path();
    struct buf text = BUF_INIT;
    struct err e = ERR_INIT;

    for (size_t i = t->history.n > HISTORY_LINES ? t->history.n - HISTORY_LINES : 0; i < t->history.n; i++)
        buf_printf(&text, "%s\n", t->history.v[i]);
    if (path && text.len > 0) {
        char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
        if (!file_mkdirs(folder, &e) || !write_private(path, &text, &e))
            fprintf(stderr, "%s: warning: %s\n", program_invocation_short_name, e.text);
        free(folder);
    }
    err_clear(&e);
    buf_free(&text);
    free(path);
}

/* An answer to a challenge, or AUTH with one, is nobody's to read later. Who pastes types ahead of the challenges. */
static bool may_be_kept(const struct terminal *t, const char *line)
{
    for (size_t i = 0; i < t->typed.n; i++)
        if (ascii_istarts(t->typed.v[i], "AUTH"))
            return false;
    return !player_is_secret(t->player) && talk_secret_from(line) == SIZE_MAX;
}

/* ---- completion ---- */

/* What may follow the first word, or be it; with a cap only where the server offers it. */
static const struct {
    const char *verb, *word;
    uint32_t cap;
} words[] = {
    { NULL, "EHLO", 0 }, { NULL, "HELO", 0 }, { NULL, "LHLO", 0 },
    { NULL, "MAIL", 0 }, { NULL, "RCPT", 0 }, { NULL, "DATA", 0 },
    { NULL, "RSET", 0 }, { NULL, "NOOP", 0 }, { NULL, "VRFY", 0 },
    { NULL, "EXPN", 0 }, { NULL, "HELP", 0 }, { NULL, "QUIT", 0 },
    { NULL, "STARTTLS", CAP_STARTTLS }, { NULL, "AUTH", CAP_AUTH }, { NULL, "BDAT", CAP_CHUNKING },
    { NULL, "ETRN", CAP_ETRN }, { NULL, "XCLIENT", CAP_XCLIENT },
    { "MAIL", "FROM:<", 0 }, { "MAIL", "SIZE=", CAP_SIZE }, { "MAIL", "BODY=8BITMIME", CAP_8BITMIME },
    { "MAIL", "BODY=BINARYMIME", CAP_BINARYMIME }, { "MAIL", "SMTPUTF8", CAP_SMTPUTF8 },
    { "MAIL", "RET=FULL", CAP_DSN }, { "MAIL", "RET=HDRS", CAP_DSN }, { "MAIL", "ENVID=", CAP_DSN },
    { "MAIL", "AUTH=<>", CAP_AUTH }, { "MAIL", "REQUIRETLS", CAP_REQUIRETLS },
    { "RCPT", "TO:<", 0 }, { "RCPT", "NOTIFY=", CAP_DSN }, { "RCPT", "ORCPT=rfc822;", CAP_DSN },
    { "BDAT", "LAST", 0 },
};
static void save(struct terminal *t, const char *path);
static void help(struct terminal *t, const char *argument);
static void quit(struct terminal *t, const char *argument);

static const struct command_here {
    const char *word, *argument, *help;
    void (*run)(struct terminal *t, const char *argument);
} commands_here[] = {
    { "save", "FILE", "write the session as a script", save },
    { "help", "", "print this", help },
    { "quit", "", "end, without QUIT", quit },
};

static void complete_dot(struct strlist *out)
{
    for (const struct script_op *op = talk_ops; op->word; op++)
        if (op->help)
            strlist_add_own(out, xasprintf(".%s", op->word));
    for (size_t i = 0; i < sizeof commands_here / sizeof *commands_here; i++)
        strlist_add_own(out, xasprintf(".%s", commands_here[i].word));
}

static void complete(void *ctx, const char *line, size_t start, struct strlist *out)
{
    const struct terminal *t = ctx;
    const struct caps *caps = player_caps(t->player);
    const struct strlist *names = NULL;

    if (start == 0 && line[0] == '.') {
        complete_dot(out);
        return;
    }
    char *verb = start == 0 ? NULL : xstrndup(line, strcspn(line, " \t"));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        bool here = verb && words[i].verb ? ascii_ieq(words[i].verb, verb) : !verb && !words[i].verb;
        if (here && (!words[i].cap || (caps->have & words[i].cap)))
            strlist_add(out, words[i].word);
    }
    if (verb && (ascii_ieq(verb, "AUTH") || ascii_ieq(verb, ".auth")))
        names = &caps->auth;
    else if (verb && ascii_ieq(verb, "XCLIENT"))
        names = &caps->xclient;
    for (size_t i = 0; names && i < names->n; i++)
        strlist_add(out, names->v[i]);
    free(verb);
}

/* ---- what is typed ---- */

static void help_line(struct terminal *t, const char *word, const char *argument, const char *text)
{
    char *line = xasprintf("#   .%s %-*s %s", word, (int)(26 - strlen(word)), argument ? argument : "", text);
    print(t, line, NULL);
    free(line);
}

static void help(struct terminal *t, const char *argument)
{
    (void)argument;
    print(t, "# a line is sent as it is; a line of these is a command:", NULL);
    for (const struct script_op *op = talk_ops; op->word; op++)
        if (op->help)
            help_line(t, op->word, op->synopsis, op->help);
    for (size_t i = 0; i < sizeof commands_here / sizeof *commands_here; i++)
        help_line(t, commands_here[i].word, commands_here[i].argument, commands_here[i].help);
}

static void save(struct terminal *t, const char *path)
{
    struct err e = ERR_INIT;

    if (!*path)
        err_set(&e, FAULT_USAGE, "'.save' wants the name of a file");
    else if (write_private(path, &t->session, &e))
        print(t, "# saved", "2");
    if (err_is_set(&e))
        complain(t, &e);
}

static void quit(struct terminal *t, const char *argument)
{
    (void)argument;
    t->over = true;
}

/* A command that is no directive of scripts. Completion leaves a blank behind it. */
static bool is_ours(struct terminal *t, const char *line)
{
    size_t n = strcspn(line, " \t");
    const char *argument = line + n + strspn(line + n, " \t");

    for (size_t i = 0; i < sizeof commands_here / sizeof *commands_here; i++) {
        const struct command_here *c = &commands_here[i];
        if (strlen(c->word) == n - 1 && ascii_ieqn(c->word, line + 1, n - 1)) {
            c->run(t, argument);
            return true;
        }
    }
    return false;
}

static void play(struct terminal *t, const char *line)
{
    bool command = line[0] == '.' && ascii_isalpha(line[1]) && !player_in_message(t->player);
    struct err e = ERR_INIT;

    if (command && is_ours(t, line))
        return;
    char *text = xasprintf(command ? "# @%s\n" : "C: %s\n", line + command);
    struct script *script = talk_compile("", text, strlen(text), player_vars(t->player), &e);
    t->quiet = !command;
    if (script) {
        player_play(t->player, script);
        script_free(t->script);
        t->script = script;
    } else {
        complain(t, &e);
    }
    secret_free(text);
}

static void on_line(void *ctx, const char *line)
{
    struct terminal *t = ctx;

    if (!line) {
        t->over = true;
        return;
    }
    if (may_be_kept(t, line))
        remember(t, line);
    strlist_add(&t->typed, line);
}

static bool next_line(struct terminal *t)
{
    if (t->typed.n == 0 || !player_is_idle(t->player))
        return false;
    play(t, t->typed.v[0]);
    secret_free(t->typed.v[0]);
    memmove(t->typed.v, t->typed.v + 1, t->typed.n-- * sizeof *t->typed.v);
    return true;
}

/* ---- the task ---- */

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

static bool step(struct task *task)
{
    struct terminal *t = (struct terminal *)task;
    struct task *player = player_task(t->player);

    while (!t->over && is_readable(STDIN_FILENO))
        editor_read();
    do
        t->over |= player->step(player);
    while (!t->over && next_line(t));
    return t->over;
}

static void waits(const struct task *task, struct pollset *ps)
{
    const struct terminal *t = (const struct terminal *)task;
    const struct task *player = player_task(t->player);

    player->waits(player, ps);
    pollset_add(ps, STDIN_FILENO, POLLIN);
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

bool talk_terminal(const struct talk_params *p, const struct script_vars *vars, struct err *e)
{
    struct terminal t = { .task = { step, waits }, .p = p, .session = BUF_INIT, .colour = wants_colour() };
    const struct editor_params editor = { .prompt = "C: ", .line = on_line, .complete = complete, .ctx = &t };
    struct task *task = &t.task;

    t.player = player_new(p);
    for (size_t i = 0; i < vars->names.n; i++)
        script_set(player_vars(t.player), vars->names.v[i], vars->values.v[i]);
    hub_listen(p->hub, EV_ALL & ~EV_BULK & ~EV_MASK(EV_PHASE), on_event, &t);
    if (editor_open(&editor, e)) {
        t.editing = true;
        load_history(&t);
        loop_run(&task, 1, NULL);
        t.editing = false;
        editor_hide();
        editor_close();
        save_history(&t);
    }
    player_mismatch(t.player, e);
    player_free(t.player);
    hub_unlisten(p->hub, &t);
    script_free(t.script);
    strlist_free(&t.typed);
    strlist_free(&t.history);
    buf_free(&t.session);
    return !err_is_set(e);
}
