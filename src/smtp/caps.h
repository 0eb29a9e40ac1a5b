/* caps: what the server's EHLO reply offers.
 *
 * One row per keyword in caps.c: word and parser of its parameters. A new keyword is one bit
 * and one row. */
#ifndef SMTP_CAPS_H
#define SMTP_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reply.h"
#include "base/strlist.h"

enum cap {
    CAP_STARTTLS = 1 << 0,   /* RFC 3207 */
    CAP_AUTH = 1 << 1,       /* RFC 4954 */
    CAP_PIPELINING = 1 << 2, /* RFC 2920 */
    CAP_CHUNKING = 1 << 3,   /* RFC 3030 */
    CAP_SIZE = 1 << 4,       /* RFC 1870 */
    CAP_8BITMIME = 1 << 5,   /* RFC 6152 */
    CAP_SMTPUTF8 = 1 << 6,   /* RFC 6531 */
    CAP_DSN = 1 << 7,        /* RFC 3461 */
    CAP_ENHANCED = 1 << 8,   /* RFC 2034 */
    CAP_LIMITS = 1 << 9,     /* RFC 9422 */
    CAP_BINARYMIME = 1 << 10,
    CAP_REQUIRETLS = 1 << 11,
    CAP_ETRN = 1 << 12,
    CAP_VRFY = 1 << 13,
    CAP_HELP = 1 << 14,
    CAP_XCLIENT = 1 << 15,   /* Postfix XCLIENT_README */
    CAP_PRDR = 1 << 16,      /* draft-hall-prdr */
};

struct caps {
    uint32_t have;            /* CAP_ bits */
    struct strlist auth;      /* mechanisms, upper case */
    struct strlist xclient;   /* attributes, upper case */
    int64_t size_max;         /* 0: no limit told */
    long rcpt_max, mail_max, rcpt_domain_max; /* LIMITS; 0: none told */
    struct strlist lines;     /* every line after the first, as sent */
};

void caps_parse(struct caps *c, const struct reply *ehlo); /* c is emptied first */
void caps_free(struct caps *c);
const char *cap_word(enum cap cap);

/* One of caps.lines, for people: appends its keyword, points at its parameters ("" where there are none), returns what
 * it means (static) or NULL where that is not known. */
const char *caps_explain(const char *line, struct buf *keyword, const char **parameters);

#endif
