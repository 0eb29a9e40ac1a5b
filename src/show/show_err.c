/* show_err: an err as people read it. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "show/show.h"

/* Each line of the text behind its own label. */
static void add_lines(struct buf *out, const char *label, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, "\n");
        buf_adds(out, label);
        visible_encode(out, text, n);
        buf_addc(out, '\n');
        text += n + (text[n] == '\n');
    }
}

/* The first line behind the label, the others below it, so that none can pass for another label. */
static void add_text(struct buf *out, const char *label, const char *text)
{
    size_t n = text ? strcspn(text, "\n") : 0;
    char *first = text ? xstrndup(text, n) : NULL, *below = xasprintf("%*s", (int)strlen(label), "");
    add_lines(out, label, first);
    add_lines(out, below, text && text[n] ? text + n + 1 : NULL);
    free(first);
    free(below);
}

void show_err(struct buf *out, const char *progname, const struct err *e)
{
    if (!err_is_set(e))
        return;
    char *label = xasprintf("%s: ", progname);
    add_text(out, label, e->text);
    add_lines(out, "  server: ", e->server);
    add_text(out, "  hint: ", e->hint);
    free(label);
}
