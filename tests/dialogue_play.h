/* dialogue_play: one run of one dialogue file, shared by dialogue_runner.c, which plays it, and dialogue_head.c, which
 * reads the words before its first line. */
#ifndef TESTS_DIALOGUE_PLAY_H
#define TESTS_DIALOGUE_PLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/event.h"
#include "base/strlist.h"
#include "mail/envelope.h"
#include "smtp/dialogue.h"
#include "smtp/session.h"

enum { JOBS_MAX = 4 };

struct job {
    struct envelope env;
    struct buf message;
    size_t rcpts[256];
    size_t block;
    bool unknown, eight_bit, utf8, last, ahead;
    long about;   /* size_about */
    size_t given; /* octets so far */
};

struct play {
    const char *name;
    bool bytewise;
    struct dialogue d;
    size_t at; /* the next line of the dialogue */
    struct session_params p;
    struct job jobs[JOBS_MAX];
    size_t jobs_n, job_next, job_now; /* the one under way is that before job_now */
    struct hub hub;
    struct buf warnings, shown;
    struct buf expected; /* of the flight that is being written */
    size_t written;      /* of it, so far */
    size_t partial;
    struct session *s;
    bool failed;
    char *domain, *etrn;
    struct strlist xclient, mail_params, rcpt_params;
};

/* The test has failed; only the first complaint is heard. */
__attribute__((format(printf, 2, 3))) void play_complain(struct play *y, const char *fmt, ...);

/* Appends what the quoted text stands for. */
void play_unquote(struct play *y, const char *text, struct buf *out);

/* Expectations may stand anywhere, and are looked at in the end. */
bool play_is_expectation(const char *word);

/* Reads the words up to the first line of the dialogue into y. */
void play_head(struct play *y);

#endif
