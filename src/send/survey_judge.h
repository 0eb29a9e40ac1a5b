/* survey_judge: what a survey means: would a delivery reach each host at the level it wants, and is anything worth an
 * administrator's attention? No I/O, no clock. */
#ifndef SEND_SURVEY_JUDGE_H
#define SEND_SURVEY_JUDGE_H

#include <stdbool.h>

#include "send/survey.h"

enum survey_word {
    SURVEY_WORKS,
    SURVEY_UNKNOWN,     /* not tried */
    SURVEY_UNREACHABLE, /* no connection, or no greeting */
    SURVEY_REFUSES,     /* it speaks SMTP, and does not want to */
    SURVEY_NO_TLS,      /* the level wants TLS, and it is not offered or does not come up */
    SURVEY_UNTRUSTED,   /* … and the certificate is not good for it */
    SURVEY_SKIPPED,     /* the policy forbids this host */
    SURVEY_NO_ADDRESS,
};
const char *survey_word(enum survey_word w); /* "no-tls" */

struct survey_opinion {
    enum survey_word word;
    char *why;          /* own or NULL: a sentence */
    bool clear;         /* it works, and what is sent is not encrypted */
};

struct survey_judged_host {
    struct survey_opinion opinion;
    struct survey_opinion *addresses;  /* own: n of them, as the survey has them */
    size_t n;
};

struct survey_verdict {
    struct survey_judged_host *hosts;  /* own: n of them, as the survey has them */
    size_t n;
    struct strlist problems;           /* sentences: what makes it bad */
    struct strlist remarks;            /* … and what does not */
    char *summary;                     /* own: one sentence */
    int exit;                          /* 0, 1, or sysexits */
};

/* warn_days: a certificate that is good for fewer days is a problem; 0: none is. */
void survey_judge(const struct survey *s, long warn_days, struct survey_verdict *v);
void survey_verdict_free(struct survey_verdict *v);

/* Of all certificates seen at the host the fewest days left; false: none was seen. */
bool survey_days_left(const struct survey *s, size_t host, long long *days);

#endif
