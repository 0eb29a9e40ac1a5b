/* idn: a domain that is not ASCII in A-labels (IDNA2008). idn.c has it by libidn2; no_idn.c says what is missing. */
#ifndef MAIL_IDN_H
#define MAIL_IDN_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* domain is valid UTF-8. Appends. false: *e is set (FAULT_MESSAGE: what IDNA has against the domain; FAULT_SYSTEM: no
 * library). */
bool idn_to_ascii(const char *domain, struct buf *out, struct err *e);

#endif
