/* split: several messages in one stream, an mbox or with a NUL behind each, cut apart. It eats octets in any portions,
 * and knows no file.
 *
 * mbox: a line that begins with "From " begins a message, wherever it stands; it is no part of it, nor is one empty
 * line before the next such line or the end. A line of one or more '>' and "From " has lost its first '>' (mboxrd). An
 * mboxo looks the same but for text that was quoted before. The stream may begin with empty lines, and with
 * nothing else. */
#ifndef MAIL_SPLIT_H
#define MAIL_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum split_format { SPLIT_MBOX, SPLIT_NUL };

struct split {
    enum split_format format;
    /* private */
    int at;            /* where in a line */
    size_t quotes;     /* '>' at the line's start, not given yet … */
    size_t matched;    /* … and so much of "From " behind them */
    const char *blank; /* an empty line that was not given yet: "\n", "\r\n"; NULL: none */
    bool inside;       /* of a message */
};

#define SPLIT_INIT(format_) { .format = (format_) }

enum split_found {
    SPLIT_MORE,  /* all was taken; the message may go on */
    SPLIT_END,   /* the message ends here, and another may follow */
    SPLIT_ALIEN, /* no mbox: something stands before the first message */
};

/* Takes octets up to the end of a message: says in *used how many, and appends to out what of the message is in them.
 * What of a NUL-separated stream stands between two NULs is a message, even if it is nothing. */
enum split_found split_take(struct split *s, const char *p, size_t n, size_t *used, struct buf *out);

/* The stream is over. true: a last message ends with it; what was held back of it is appended. */
bool split_finish(struct split *s, struct buf *out);

#endif
