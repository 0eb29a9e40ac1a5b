/* no_idn: stands in for idn.c where libidn2 was left out. */
#include "mail/idn.h"

bool idn_to_ascii(const char *domain, struct buf *out, struct err *e)
{
    (void)out;
    err_set(e, FAULT_SYSTEM, "the domain '%s' is not ASCII and this envoi was built without libidn2", domain);
    return err_hint(e, "write the domain in its ASCII form ('xn--…'), or build with libidn2");
}
