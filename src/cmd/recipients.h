/* recipients: who gets the message: local names looked up in the account's aliases, then given a domain. */
#ifndef CMD_RECIPIENTS_H
#define CMD_RECIPIENTS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/strlist.h"
#include "conf/account.h"
#include "mail/address.h"
#include "mail/envelope.h"

/* The names of this machine, added to *out: what stands behind the @ of its local names. */
void recipients_hosts(struct strlist *out);

/* Adds to env whom those in `asked` stand for, which is empty then. *warnings: what the aliases file says that cannot
 * be done. Errors: those of aliases.h, and a name that has no domain in the end and gets none (FAULT_CONFIG; LMTP takes
 * it as it is). */
bool recipients_resolve(const struct account *a, struct mailbox_list *asked, struct envelope *env,
                        struct strlist *warnings, struct err *e);

/* A name without a domain, replaced by one with the domain that is configured; others, and "", stay.
 * false: there is none. */
bool recipients_qualify(const struct account *a, char **address);

#endif
