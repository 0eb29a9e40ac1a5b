/* editor: a line at a terminal, edited by its user while other things go on. By libreadline (readline.c), or as the
 * terminal gives it (no_readline.c). One at a time: readline keeps its state in globals. */
#ifndef CMD_EDITOR_H
#define CMD_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"

struct editor_params {
    const char *prompt;
    void (*line)(void *ctx, const char *line); /* NULL: the user ended the input */
    /* Whatever may stand at start. */
    void (*complete)(void *ctx, const char *line, size_t start, struct strlist *words);
    void *ctx;
};

bool editor_open(const struct editor_params *p, struct err *e); /* borrowed until editor_close */
void editor_close(void);

/* Standard input is readable. */
void editor_read(void);

/* Around what is printed while a line is being edited. */
void editor_hide(void);
void editor_show(void);

void editor_remember(const char *line);

#endif
