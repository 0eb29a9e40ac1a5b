/* prepare: what is added to, changed in and taken out of a message before it is sent. */
#ifndef MAIL_PREPARE_H
#define MAIL_PREPARE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/tristate.h"
#include "mail/address.h"
#include "mail/envelope.h"
#include "mail/message.h"

struct prepare_params {
    const char *from;           /* address for a From header; NULL: the envelope sender */
    const char *from_full_name; /* NULL: none */
    const char *domain;         /* for Message-ID; NULL: the sender's domain, else the host's name */
    enum tristate set_from;     /* AUTO: when missing; ON: replace; OFF: never touch */
    enum tristate set_date;     /* AUTO: when missing; OFF: never */
    enum tristate set_msgid;    /* AUTO: when missing; ON: replace; OFF: never */
    bool set_to_undisclosed;    /* without To, Cc and Bcc: `To: undisclosed-recipients:;` */
    bool undisclosed;           /* that in place of To, Cc and Bcc */
    bool remove_bcc;
};

/* Recipients from To, Cc and Bcc, or from the Resent- ones of the first Resent block if there is one
 * (RFC 5322 3.6.6), added to the list. FAULT_MESSAGE: a header cannot be parsed (which, where). */
bool prepare_recipients(struct mailbox_list *list, const struct message *m, struct err *e);

/* The address of the From header (Resent-From first when resent), for --read-envelope-from.
 * *address is the caller's to free; NULL when there is none. */
bool prepare_sender(const struct message *m, char **address, struct err *e);

/* Adds and removes headers. Return-Path is always removed. */
bool prepare_message(struct message *m, const struct prepare_params *p, const struct envelope *env, struct err *e);

/* RFC 5322 3.3 date of `when` (seconds since the epoch) with the local offset; appends. */
void stamp_date(struct buf *out, long long when);

/* "<unique@domain>"; appends. */
void stamp_message_id(struct buf *out, const char *domain);

#endif
