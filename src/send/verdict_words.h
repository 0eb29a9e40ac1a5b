/* verdict_words: what the sentences of a verdict are filled with, and the lines of evidence. Private to verdict*.c. */
#ifndef SEND_VERDICT_WORDS_H
#define SEND_VERDICT_WORDS_H

#include "base/event.h"
#include "send/verdict.h"
#include "send/verdict_view.h"

enum { WORDS_MAX = 56 };

/* The names that templates use ({host}, {port}, …) and their values. */
struct words {
    struct strlist kept;              /* own: the texts made for it */
    struct field fields[WORDS_MAX];
    size_t n;
};

void words_fill(struct words *f, const struct view *w);
char *words_format(const struct words *f,
                   const char *template); /* the caller's; NULL gives NULL, so does a template that comes out empty */
void words_free(struct words *f);

/* Pieces of sentences. */
void words_add_time(struct buf *out, usec us);
void words_add_joined(struct buf *out, const struct strlist *l, size_t most);
/* How much of a text to show: at most so many octets, and no part of a character. NULL: 0. */
size_t words_clip(const char *text, size_t most);
const struct strlist *words_mechanisms(const struct sight *v); /* those that count: under TLS, where it is up */

/* What a rule shows as evidence. */
enum {
    SHOW_NAMES = 1 << 0,   /* the look-ups */
    SHOW_HERE = 1 << 1,    /* the configured port */
    SHOW_OTHERS = 1 << 2,  /* the host's other ports */
    SHOW_CONTROL = 1 << 3, /* the control host */
    SHOW_PATH = 1 << 4,    /* the ladders */
    SHOW_TLS = 1 << 5,     /* session and certificate */
    SHOW_EHLO = 1 << 6,    /* what is offered */
    SHOW_MACHINE = 1 << 7, /* where this machine runs, and what it has of IPv4 and IPv6 */
};
void verdict_show(const struct view *w, unsigned shown, struct strlist *out);

/* What a line that does not come from an SMTP server comes from: "HTTP"…; NULL: not known, or SMTP. */
const char *words_protocol(const char *heard);

/* Who makes certificates of his own for others' hosts, by the issuer's name; NULL: nobody known. *local: on this
 * machine. */
const char *words_interceptor(const char *issuer, bool *local);

#endif
