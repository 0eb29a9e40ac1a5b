/* survey: all that is to be known of a domain's mail exchangers without sending mail: the destination as a delivery
 * would find it, a look at every address, what the addresses are called, where reports are wanted, and whether our
 * address may send for a domain. Plain data; what it means is survey_judge's to say. */
#ifndef SEND_SURVEY_H
#define SEND_SURVEY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "conf/account.h"
#include "send/destination.h"
#include "send/scene.h"
#include "send/spf.h"
#include "send/tlsrpt.h"

/* What the name servers call an address. */
enum survey_ptr {
    PTR_UNKNOWN, /* not asked, or no answer */
    PTR_ABSENT,
    PTR_ASTRAY,  /* the name does not have the address */
    PTR_GOOD,
};
const char *survey_ptr_word(enum survey_ptr ptr); /* "astray" */

struct survey_address {
    char *address;          /* own: numeric */
    enum survey_ptr ptr;
    char *ptr_name;         /* own or NULL: the name that leads back, else the first */
    size_t look;            /* the sight in `looks`, where trusted certificates decide, counted from 1; 0: none */
    size_t dane_look;       /* … where TLSA records do */
};

/* Does a TLSA record match the certificate, or one of its issuers, at any address? */
enum survey_match { SURVEY_MATCH_UNKNOWN, SURVEY_MATCH_NO, SURVEY_MATCH_YES };

struct survey_host {
    struct survey_address *v; /* own */
    size_t n;
    enum survey_match *tlsa;  /* own: one for each record of the destination's host; NULL: there is none */
};

enum survey_spf { SURVEY_SPF_NOT_ASKED, SURVEY_SPF_NOT_JUDGED, SURVEY_SPF_JUDGED };

struct survey {
    char *name;             /* own: as the user gave it */
    int port;
    bool connect;           /* false: nobody was connected to */
    struct destination destination; /* own */
    struct survey_host *hosts;      /* own: destination.n of them */
    struct scene looks;     /* own: only its sights count */
    enum tlsrpt tlsrpt;
    struct strlist tlsrpt_to;
    struct {
        enum survey_spf asked;
        char *domain;       /* own or NULL: the sender's */
        char *address;      /* own or NULL: ours */
        char *why_not;      /* own: NOT_JUDGED: why */
        struct spf_verdict verdict; /* own: JUDGED */
    } spf;
    long long now;          /* seconds since the epoch */
    usec took;
};
void survey_free(struct survey *s);

/* The look, or NULL. */
const struct sight *survey_look(const struct survey *s, size_t place);

/* All borrowed. */
struct survey_params {
    const struct account *account; /* bound, with `host mx` */
    const char *name;              /* a domain, an address, or an address with a literal for a domain */
    bool connect;
    const char *from;              /* the sender whose SPF counts: an address or a domain; NULL: SPF is not asked for */
    const char *ip;                /* our address as receivers see it; NULL: the one that we connect from */
    usec whole;                    /* the longest that it may take; 0: 30 s */
    struct hub *hub;               /* NULL: nobody listens */
};

/* false: *e says why nothing could be looked up, or that a signal ended it. What is found to be wrong with the domain
 * is no failure. */
bool survey(const struct survey_params *p, struct survey *s, struct err *e);

#endif
