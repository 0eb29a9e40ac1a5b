/* send: one run of the main job, step by step: for the program under its own name, and for sendmail.c, which says
 * things in other letters and takes messages from elsewhere. */
#ifndef CMD_SEND_H
#define CMD_SEND_H

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"
#include "base/strlist.h"
#include "cmd/parts.h"
#include "conf/account.h"
#include "conf/rc.h"
#include "conf/settings.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "show/show.h"

enum { OF_ACCOUNT, OF_RUN };

struct run {
    usec started;
    struct settings settings[2]; /* what the command line says: of the account, of the run */
    struct strlist operands, warnings;
    struct send_options opt;
    struct rc rc;
    struct account account;
    struct message message;
    struct parts parts;    /* of a message that is composed */
    struct mailbox_list asked; /* recipients as they were named */
    struct envelope env;
    char *log_tag;         /* own or NULL: the name in syslog, in place of the one called by */
    struct hub hub;
    struct show_text text;
    struct show_json json;
    struct show_log log;
    struct show_progress progress;
    struct show_report *report;
    FILE *transcript;
};

void send_init(struct run *r);
void send_free(struct run *r); /* prints what --json asks for */

/* Prints the error, and sees that --json has one to tell. Returns the exit status. */
int send_fail(struct run *r, struct err *e);

/* Binds the options that were said; before any of the following. */
bool send_bind(struct run *r, struct err *e);

/* The account, by -a or the sender (env.sender, else what the options say of it), with its warnings shown. */
bool send_choose_account(struct run *r, struct err *e);

/* Takes the message from standard input, fills the envelope, delivers: all that is left after send_bind. */
bool send_message(struct run *r, struct err *e);

/* The same for a message that was taken already: env.sender, `asked` and the message are filled. */
bool send_taken(struct run *r, struct err *e);

/* Fills the envelope of the message that is there, and prepares the message. */
bool send_address(struct run *r, struct err *e);

/* Opens the transcript, the log and what else the options ask for on the hub. */
bool send_listen(struct run *r, struct err *e);
bool send_shows_progress(const struct run *r); /* a bar is asked for, or auto and fitting */

/* The messages of a box (send_batch.c). */
bool send_batch(struct run *r, struct err *e);

/* Does the command line say what the message is, so that standard input is none? send_compose makes it
 * (send_compose.c). */
bool send_composes(const struct run *r);
bool send_compose(struct run *r, struct err *e);

#endif
