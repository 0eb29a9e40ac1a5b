/* gnutls_door: where GnuTLS comes in. */
#include "net/gnutls_door.h"

DOOR_DEFINE(gnutls_door, gnutls_api, GNUTLS_SYMBOLS, "libgnutls.so.30", "libgnutls30",
            "required", "tls", "TLS; few servers take mail without")
