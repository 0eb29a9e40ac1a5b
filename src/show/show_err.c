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

void show_err(struct buf *out, const char *progname, const struct err *e)
{
    if (!err_is_set(e))
        return;
    char *label = xasprintf("%s: ", progname);
    add_lines(out, label, e->text);
    add_lines(out, "  server: ", e->server);
    add_lines(out, "  hint: ", e->hint);
    free(label);
}
