/* tlsrpt: where a domain wants to hear of TLS that failed (RFC 8460 3): the TXT record of _smtp._tls.DOMAIN. No I/O. */
#ifndef SEND_TLSRPT_H
#define SEND_TLSRPT_H

#include <stdbool.h>

#include "base/strlist.h"
#include "net/dns.h"

enum tlsrpt { TLSRPT_UNKNOWN, TLSRPT_ABSENT, TLSRPT_FAULTY, TLSRPT_FOUND };
const char *tlsrpt_word(enum tlsrpt r); /* "found" */

/* Of several records of that version none counts. Adds the addresses (mailto:, https:) of the one that does. */
enum tlsrpt tlsrpt_read(const struct dns_answer *txt, struct strlist *rua);

#endif
