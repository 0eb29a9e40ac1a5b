/* transfer: content transfer encodings (RFC 2045 6), block by block, and what has to be known of a text to choose one.
 * No I/O. */
#ifndef MAIL_TRANSFER_H
#define MAIL_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum transfer {
    TRANSFER_TEXT,   /* 7bit or 8bit: only line ends change, to CRLF */
    TRANSFER_QUOTED, /* quoted-printable; CR, LF and CRLF are one line end each */
    TRANSFER_BASE64, /* octets as they are, 76 columns */
};

enum {
    TRANSFER_LINE = 57,                  /* octets in a line of base64 */
    TRANSFER_IN = TRANSFER_LINE << 10,   /* largest block to be encoded */
    TRANSFER_OUT = 4 * TRANSFER_IN,      /* room that its encoding needs at most */
    TRANSFER_LINE_MAX = 998,             /* RFC 5322 2.1.1 */
};

/* What goes on from one block to the next; all zero at the start. */
struct transfer_state {
    bool begun;    /* base64: a line was written */
    bool cr;       /* text: the last octet was CR, and its line end is written */
    char blank;    /* quoted: held back, since at the end of a line it is written =20 */
    size_t column; /* quoted */
};

/* Encodes n <= TRANSFER_IN octets, returns the octets written. `last`: no other block follows; base64's blocks hold a
 * multiple of TRANSFER_LINE octets up to there. Only line ends of the text are written, none behind it. */
size_t transfer_encode(enum transfer t, struct transfer_state *s, const char *in, size_t n, bool last, char *out);

/* Octets that base64 makes of n. */
int64_t transfer_base64_size(int64_t n);

/* Facts of a text. All zero at the start. */
struct text_facts {
    int64_t size;     /* octets with CRLF line ends */
    size_t longest;   /* longest line, its end not counted */
    bool nul, cr, eight_bit;
    bool not_utf8;    /* after text_end */
    bool marked;      /* a line begins "--=_", as the boundaries of compose do */
    bool ends_line;   /* the last octet is a line end; also where there is none */
    /* private */
    struct transfer_state state;
    size_t column;
    char start[4];    /* of the line */
    char tail[4];     /* of a character that is not complete */
    size_t tail_n;
};

/* The next block, at most TRANSFER_IN octets; `out` has room for TRANSFER_OUT. */
void text_look(struct text_facts *f, const char *p, size_t n, char *out);
void text_end(struct text_facts *f);

#endif
