/* route: where to go, in which order, what TLS must be. Today: the account's smarthost. */
#include "send/route.h"

#include <stdlib.h>

#include "base/buf.h"
#include "mail/address.h"

/* `tls auto`: RFC 8314 prefers implicit TLS; a password never goes out in clear, so where one is needed, on the
 * submission port, and where the certificate is known beforehand, TLS is required. */
static enum session_tls tls_level(const struct account *a)
{
    switch ((enum account_tls)a->tls) {
    case ACCOUNT_TLS_OFF:
        return SESSION_TLS_OFF;
    case ACCOUNT_TLS_ON:
        return a->tls_starttls ? SESSION_TLS_REQUIRED : SESSION_TLS_IMPLICIT;
    case ACCOUNT_TLS_AUTO:
        break;
    }
    if (a->socket)
        return SESSION_TLS_OFF;
    if (a->port == PORT_SUBMISSIONS)
        return SESSION_TLS_IMPLICIT;
    return a->port == PORT_SUBMISSION || a->user || a->tls_fingerprint.n > 0 ? SESSION_TLS_REQUIRED : SESSION_TLS_MAY;
}

bool route_find(struct route *r, const struct account *a, struct err *e)
{
    struct buf host = BUF_INIT;
    if (!a->socket && !domain_to_ascii(a->host, &host, e)) {
        buf_free(&host);
        return false;
    }
    struct hop hop = { .port = (int)a->port, .socket = xstrdup(a->socket), .tls = tls_level(a) };
    hop.host = a->socket ? NULL : buf_steal(&host);
    /* Opportunistic TLS has nothing to compare a certificate with that would not be skipped by taking TLS away. */
    hop.verify = hop.tls != SESSION_TLS_MAY && a->tls_certcheck;
    buf_free(&host);
    r->v = xrealloc(r->v, (r->n + 1) * sizeof *r->v);
    r->v[r->n++] = hop;
    return true;
}

void route_free(struct route *r)
{
    for (size_t i = 0; i < r->n; i++) {
        free(r->v[i].host);
        free(r->v[i].address);
        free(r->v[i].socket);
        strlist_free(&r->v[i].command);
    }
    free(r->v);
    *r = (struct route)ROUTE_INIT;
}
