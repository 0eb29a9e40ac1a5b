/* hint: what to do about a server's refusal. First match in file order wins. */
#include "cmd/hint.h"

#include <regex.h>
#include <stdlib.h>

#include "base/buf.h"

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

const struct reply_row *hint_for_reply(const char *reply)
{
    struct buf text = BUF_INIT;
    buf_adds(&text, reply);
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] == '\n' || text.data[i] == '\r')
            text.data[i] = ' ';
    const struct reply_row *row = reply_rows;
    while (row->id && !matches(row->pattern, text.data))
        row++;
    buf_free(&text);
    return row->id ? row : NULL;
}

void hint_add(struct err *e)
{
    if (!e->server || e->hint)
        return;
    const struct reply_row *row = hint_for_reply(e->server);
    if (row)
        err_hint(e, "%s: %s", row->cause, row->action);
}
