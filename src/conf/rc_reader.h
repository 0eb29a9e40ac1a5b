/* rc_reader: what rc.c (lines), rc_files.c (files), rc_eval.c (output of `eval`) and rc_choose.c share. Nobody else
 * includes it. */
#ifndef CONF_RC_READER_H
#define CONF_RC_READER_H

#include <sys/types.h>

#include "conf/rc.h"

/* A file on its way in; for `include` loops and the check that a file with secrets is private. */
struct rc_file {
    const char *name;
    dev_t dev;
    ino_t ino;
    uid_t owner;
    mode_t mode;
    bool regular;
    const struct rc_file *parent; /* the one that includes it */
};

struct rc_reader {
    struct rc *rc;
    bool msmtp, system, keep_going;
    bool options_only;          /* no account, defaults, include, eval: output of `eval` */
    bool in_account;
    bool in_defaults;           /* after a `defaults` line */
    struct rc_account defaults; /* what `defaults` and, in envoi's files, lines before the first account said */
    struct rc_account account;  /* the account being read: what it inherits … */
    struct settings own;        /* … and what its own lines said */
    const struct rc_file *file; /* NULL: text from memory */
    const char *name;           /* for messages */
    int line;
};

void rc_reader_init(struct rc_reader *r, struct rc *rc, bool msmtp, bool system);
bool rc_read_text(struct rc_reader *r, const char *name, const char *text, size_t n, struct err *e);
void rc_reader_end(struct rc_reader *r); /* the last account is complete */
void rc_reader_free(struct rc_reader *r);

/* Reads what `include` names. A failure has no place yet. */
bool rc_include(struct rc_reader *r, const char *pattern, struct err *e);

/* May this file hold a secret? *why: a sentence that says why not. */
bool rc_file_is_private(const struct rc_reader *r, const char **why);

void rc_account_free(struct rc_account *a);

#endif
