/* verdict_rules: the rules of the verdict, in order of precedence: names, then what a server says, then what it takes
 * to reach it. A rule is a word, a question about the view, and sentences with {names} for what differs
 * (verdict_words). Private to verdict*.c. */
#ifndef SEND_VERDICT_RULES_H
#define SEND_VERDICT_RULES_H

#include "send/verdict.h"
#include "send/verdict_words.h"

/* Besides SHOW_. What leads to a way that works is written in any case. */
enum {
    WRITE_CROSSED = 1 << 16,  /* the other kind of TLS, even where that alone is not enough */
    WRITE_FAMILY = 1 << 17,   /* the one that works */
    WRITE_PIN = 1 << 19,      /* the certificate's fingerprint */
    ITS_FAULT = 1 << 18,      /* what the look ended with decides the fault, the rule's is for those without */
    VERIFIED_ONLY = 1 << 20,  /* a way that TLS did not verify does not count */
};

struct rule {
    enum verdict_word word;
    bool (*holds)(const struct view *w);
    enum fault fault;
    const char *cause, *remedy; /* templates; remedy NULL: nothing is to be done */
    unsigned flags;      /* SHOW_, WRITE_, … */
    const char *problem; /* the worst of the certificate is this; NULL: whatever it is */
};

/* Each ends with a rule without a question. */
extern const struct rule rules_of_names[], rules_of_dialogue[], rules_of_reaching[];

/* Pieces of templates. */
#define ASK "ask the administrator of the network that this machine is in"
#define NAME "[['host'{account}]][[the name{!account}]]"
#define WAY "[[use {way}, which works]]"
#define BLOCK "[[ ({blocker})]]"
#define OPENS "[[; {blocker_action}]]"

#endif
