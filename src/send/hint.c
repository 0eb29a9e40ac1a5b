/* hint: what to do about a server's refusal. First match in file order wins. */
#include "send/hint.h"

#include <regex.h>
#include <string.h>

#include "base/buf.h"
#include "base/reply.h"
#include "send/delay.h"

static bool matches(const char *pattern, const char *text)
{
    regex_t re;
    if (regcomp(&re, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return false;
    bool found = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    return found;
}

/* The code and status that stand again in front of each further line of a reply. */
static size_t repeated_code(const char *line)
{
    int enhanced[3];
    if (strspn(line, "0123456789") != 3 || (line[3] != '-' && line[3] != ' '))
        return 0;
    size_t n = 4 + reply_enhanced(line + 4, enhanced);
    return n + (n > 4 && line[n] == ' ');
}

static void join_lines(const char *reply, struct buf *text)
{
    while (*reply) {
        size_t n = strcspn(reply, "\r\n");
        buf_addc(text, ' ');
        buf_add(text, reply, n);
        reply += n + strspn(reply + n, "\r\n");
        reply += repeated_code(reply);
    }
    buf_trim(text);
}

const struct reply_row *hint_for_reply(const char *reply)
{
    struct buf text = BUF_INIT;
    join_lines(reply, &text);
    const struct reply_row *row = reply_rows;
    while (row->id && !matches(row->pattern, text.data))
        row++;
    buf_free(&text);
    return row->id ? row : NULL;
}

bool hint_delay(const char *reply, struct buf *out)
{
    struct buf text = BUF_INIT;
    join_lines(reply, &text);
    long seconds = delay_asked(text.data);
    buf_free(&text);
    if (seconds > 0)
        delay_words(seconds, out);
    return seconds > 0;
}

void hint_add(struct err *e)
{
    if (!e->server || e->hint)
        return;
    const struct reply_row *row = hint_for_reply(e->server);
    struct buf text = BUF_INIT, delay = BUF_INIT;
    if (row)
        buf_printf(&text, "%s: %s", row->cause, row->action);
    if (hint_delay(e->server, &delay))
        buf_printf(&text, "%sasked to come back in %s", row ? "; " : "", delay.data);
    if (text.len)
        err_hint(e, "%s", text.data);
    buf_free(&text);
    buf_free(&delay);
}
