/* no_readline: lines as the terminal gives them, in a build without libreadline. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/editor.h"

static const struct editor_params *editor;
static struct buf input = BUF_INIT;

bool editor_open(const struct editor_params *p, struct err *e)
{
    (void)e;
    editor = p;
    editor_show();
    return true;
}

void editor_close(void)
{
    buf_free(&input);
}

void editor_read(void)
{
    char block[4096];
    ssize_t n = read(STDIN_FILENO, block, sizeof block);
    const char *lf;

    if (n <= 0) {
        editor->line(editor->ctx, NULL);
        return;
    }
    buf_add(&input, block, (size_t)n);
    while ((lf = memchr(input.data, '\n', input.len))) {
        size_t length = (size_t)(lf - input.data);
        char *line = xstrndup(input.data, length);
        buf_drop(&input, length + 1);
        editor->line(editor->ctx, line);
        secret_free(line);
    }
    editor_show();
}

void editor_hide(void)
{
    fputs("\r", stdout);
}

void editor_show(void)
{
    fputs(editor->prompt, stdout);
    fflush(stdout);
}

void editor_remember(const char *line)
{
    (void)line;
}
