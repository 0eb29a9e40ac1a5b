/* idn: the door to libidn2. Nothing else knows that library. */
#include "mail/idn.h"

#include <idn2.h>

#include "base/door.h"

#define IDN_SYMBOLS(X) X(idn2_to_ascii_8z) X(idn2_strerror) X(idn2_free)
DOOR_STRUCT(idn_api, IDN_SYMBOLS);

static DOOR_DEFINE(idn_door, idn_api, IDN_SYMBOLS, "libidn2.so.0", "libidn2-0",
                   "recommended", "idn", "internationalized domain names")

/* UTS 46 maps what people type (case, width, the ideographic full stop); non-transitional, so that the German
 * sharp s and the joiners keep their own names, as in IDNA2008. Not with IDN2_USE_STD3_ASCII_RULES, which drops what it
 * forbids and so makes another name; the caller refuses what is no host name. */
bool idn_to_ascii(const char *domain, struct buf *out, struct err *e)
{
    const struct idn_api *idn = idn_door(e);
    if (!idn)
        return false;
    char *ascii = NULL;
    int status = idn->idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL);
    if (status != IDN2_OK) {
        err_set(e, FAULT_MESSAGE, "the domain '%s' is not a valid internationalized name: %s", domain,
                idn->idn2_strerror(status));
        return err_hint(e, "look for a mistyped character in the domain");
    }
    buf_adds(out, ascii);
    idn->idn2_free(ascii);
    return true;
}
