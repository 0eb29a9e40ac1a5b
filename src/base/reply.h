/* reply: an SMTP reply and its parser (RFC 5321 4.2, RFC 3463).
 *
 * The parser takes any legal reply: with or without text, CRLF or bare LF,
 * any number of lines within the limits; the first digit decides what a code
 * means. Lines of one reply with different codes are a protocol error. */
#ifndef BASE_REPLY_H
#define BASE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum {
    REPLY_LINE_MAX = 8192,   /* octets of one line; RFC 5321 allows 512 */
    REPLY_LINES_MAX = 512,
    REPLY_TOTAL_MAX = 65536, /* octets of one reply */
};

struct reply {
    int code;        /* 200 to 599; 0: none */
    int enhanced[3]; /* RFC 3463 status of the first line that has one; enhanced[0] == 0: none */
    struct buf text; /* lines without code and separator, joined by '\n'; control octets made '?' */
    size_t lines;
};

#define REPLY_INIT { .text = BUF_INIT }

static inline bool reply_ok(const struct reply *r) { return r->code / 100 == 2; }
static inline bool reply_more(const struct reply *r) { return r->code / 100 == 3; }
static inline bool reply_temporary(const struct reply *r) { return r->code / 100 == 4; }
static inline bool reply_permanent(const struct reply *r) { return r->code / 100 == 5; }

void reply_free(struct reply *r);
void reply_copy(struct reply *to, const struct reply *from);

/* "553-5.7.1 first line\n553 second": as the server sent it, without CR. Appends. */
void reply_format(const struct reply *r, struct buf *out);

/* One line for people and logs: "553 5.7.1 first line second". Appends. */
void reply_format_line(const struct reply *r, struct buf *out);

/* Finds an RFC 3463 code at the start of text: fills out[3], returns its length or 0. */
size_t reply_enhanced(const char *text, int out[3]);

enum reply_status {
    REPLY_MORE, /* all input eaten, the reply is not complete */
    REPLY_DONE, /* one whole reply in *r */
    REPLY_BAD,  /* not a reply; parser->why tells; the parser takes nothing more */
};

struct reply_parser {
    struct buf line;    /* own: a line that is not complete yet */
    struct reply reply; /* own: lines so far */
    size_t total;
    const char *why;    /* a static sentence after REPLY_BAD: "the reply does not begin with three digits" */
    char excerpt[81];   /* after REPLY_BAD: the start of the offending line, printable */
};

#define REPLY_PARSER_INIT { .line = BUF_INIT, .reply = REPLY_INIT }

/* Eats up to the end of one reply; *used says how much. On REPLY_DONE *r (an earlier reply or
 * REPLY_INIT before) owns the reply, and the parser, ready for the next, what *r had.
 * `line`, when not NULL, is called for each complete line without its line end. */
enum reply_status reply_feed(struct reply_parser *p, const char *data, size_t len, size_t *used, struct reply *r,
                             void (*line)(void *ctx, const char *text, size_t n), void *ctx);

/* Is a reply begun but not complete? */
bool reply_pending(const struct reply_parser *p);

void reply_parser_free(struct reply_parser *p);

#endif
