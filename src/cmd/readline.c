/* readline: lines edited by libreadline, loaded on first use. */
#include <stdio.h>
#include <readline/history.h>
#include <readline/readline.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "base/door.h"
#include "cmd/editor.h"

#define READLINE_SYMBOLS(X)                                                                             \
    X(rl_callback_handler_install) X(rl_callback_handler_remove) X(rl_callback_read_char)               \
    X(rl_clear_visible_line) X(rl_forced_update_display) X(rl_completion_matches) X(add_history)        \
    X(rl_attempted_completion_function) X(rl_attempted_completion_over) X(rl_completer_word_break_characters) \
    X(rl_completion_append_character) X(rl_line_buffer) X(rl_catch_signals) X(rl_readline_name)
DOOR_STRUCT(readline_api, READLINE_SYMBOLS);
const struct readline_api *readline_door(struct err *e);
DOOR_DEFINE(readline_door, readline_api, READLINE_SYMBOLS, "libreadline.so.8", "libreadline8",
            "recommended", "editing", "line editing in envoi talk")

/* Readline's callbacks bring no context. */
static const struct readline_api *rl;
static const struct editor_params *editor;
static struct strlist candidates;

static char *next_candidate(const char *word, int state)
{
    static size_t at;

    if (state == 0)
        at = 0;
    while (at < candidates.n)
        if (ascii_istarts(candidates.v[at++], word))
            return xstrdup(candidates.v[at - 1]);
    return NULL;
}

static char **complete(const char *word, int start, int end)
{
    (void)end;
    strlist_free(&candidates);
    editor->complete(editor->ctx, *rl->rl_line_buffer, (size_t)start, &candidates);
    *rl->rl_attempted_completion_over = 1; /* never names of files */
    char **matches = rl->rl_completion_matches(word, next_candidate);
    size_t n = matches ? strlen(matches[0]) : 0;
    if (n > 0 && strchr("=<:", matches[0][n - 1]))
        *rl->rl_completion_append_character = '\0';
    return matches;
}

static void take_line(char *line)
{
    editor->line(editor->ctx, line);
    free(line);
}

bool editor_open(const struct editor_params *p, struct err *e)
{
    rl = readline_door(e);
    if (!rl)
        return false;
    editor = p;
    *rl->rl_readline_name = "envoi";
    *rl->rl_catch_signals = 0;
    *rl->rl_completer_word_break_characters = " \t";
    *rl->rl_attempted_completion_function = complete;
    rl->rl_callback_handler_install(p->prompt, take_line);
    return true;
}

void editor_close(void)
{
    if (!rl)
        return;
    rl->rl_callback_handler_remove();
    strlist_free(&candidates);
    rl = NULL;
}

void editor_read(void)
{
    rl->rl_callback_read_char();
}

void editor_hide(void)
{
    rl->rl_clear_visible_line();
}

void editor_show(void)
{
    rl->rl_forced_update_display();
}

void editor_remember(const char *line)
{
    rl->add_history(line);
}
