/* sendmail: the program under the names sendmail, mailq and newaliases. */
#ifndef CMD_SENDMAIL_H
#define CMD_SENDMAIL_H

#include <stdbool.h>

#include "cmd/send.h"

enum sendmail_mode {
    SENDMAIL_DELIVER,
    SENDMAIL_SMTP,    /* -bs */
    SENDMAIL_QUEUE,   /* -bp, mailq */
    SENDMAIL_FLUSH,   /* -q */
    SENDMAIL_ALIASES, /* -bi, -I, newaliases */
    SENDMAIL_VERIFY,  /* -bv */
};

bool sendmail_is_name(const char *name);

/* What the arguments say, into r (initialised, not bound). argv[0] is the name called by. Errors (FAULT_USAGE): a
 * letter nobody knows, a way of working that envoi does not have, a long option of envoi's own that is wrong. */
bool sendmail_parse(struct run *r, enum sendmail_mode *mode, int argc, char *const *argv, struct err *e);

/* Returns the exit status. */
int sendmail_run(int argc, char *const *argv);

/* -bs: SMTP on standard input and output. `said` holds the options. Each message is one run of its own; the answer
 * to it is what became of the delivery. false: the dialogue could not go on. */
bool sendmail_smtp(const struct run *said, struct err *e);

/* The answer to a message: code and text as the other server gave them, where it did. *text (freed by the caller)
 * begins with an enhanced code and is one line. verdict NULL: everybody got it. */
int sendmail_answer(const struct envelope *env, const struct err *verdict, char **text);

#endif
