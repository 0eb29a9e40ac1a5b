/* address: mail addresses by RFC 5322 3.4 and RFC 6532, on their way to the wire.
 *
 * An address is kept as one string, local@domain, comments and folding
 * removed, the local part quoted only where it has to be. "" is the null
 * sender. What leaves this module is safe for the wire: valid UTF-8, no
 * control octets, at most 64 octets of local part and 255 of domain. */
#ifndef MAIL_ADDRESS_H
#define MAIL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct mailbox {
    char *address; /* own: local@domain, or local alone where a list was parsed leniently */
    char *name;    /* own or NULL: display name in UTF-8, unquoted, encoded words decoded */
};

struct mailbox_list {
    struct mailbox *v; /* own */
    size_t n, cap;
};

#define MAILBOX_LIST_INIT { 0 }

void mailbox_list_free(struct mailbox_list *l);

/* Appends an address that was parsed already. */
void mailbox_list_add(struct mailbox_list *l, const char *address);

/* Parses the value of a To, Cc, Bcc, From … header (folded or not), or what people type: mailboxes, groups,
 * comments, quoted locals, domain literals, obsolete routes (dropped), empty list members. Appends to l.
 * An address without domain is taken as it is (`root`): qualifying is the caller's. On error (FAULT_MESSAGE)
 * the text names the offending part and its column; l keeps what came before it. */
bool address_list_parse(struct mailbox_list *l, const char *text, size_t n, struct err *e);

/* One address as given on a command line: `a@b`, `<a@b>`, `Name <a@b>`, `root`. `<>` and "" give "" if null_ok.
 * *address is the caller's to free. Control octets, two addresses, or nonsense: FAULT_USAGE with a hint. */
bool address_parse_one(const char *text, bool null_ok, char **address, struct err *e);

/* The same for a recipient: callers of sendmail write `a@b, c@d` as one word (cron's MAILTO). Appends to l. */
bool address_parse_some(struct mailbox_list *l, const char *text, struct err *e);

/* The domain's place in address (after the last @ outside quotes), or NULL when there is none. */
const char *address_domain(const char *address);

bool address_is_ascii(const char *address);

/* Can the address be written in ASCII (only its domain is not)? If so, appends that form: the domain as
 * A-labels by IDNA2008 (libidn2, loaded on first use). An ASCII address is copied. false: *e is set
 * (FAULT_MESSAGE; the text says which part needs SMTPUTF8, or what IDNA has against the domain). */
bool address_to_ascii(const char *address, struct buf *out, struct err *e);

/* A domain name (a host to connect to) in its ASCII form. The same library, the same errors. */
bool domain_to_ascii(const char *domain, struct buf *out, struct err *e);

/* Writes `Name <address>` or `address`: the name bare, quoted (RFC 5322) or as encoded words (RFC 2047) as it
 * needs. Not folded. Appends. */
void mailbox_format(struct buf *out, const char *name, const char *address);

#endif
