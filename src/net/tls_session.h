/* tls_session: what the TLS files share: one GnuTLS session over a stream's wire. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include "base/buf.h"
#include "net/gnutls_door.h"
#include "net/tls.h"
#include "net/transport.h"

struct tls_resume;

struct tls {
    const struct gnutls_api *api;
    gnutls_session_t session;                         /* own */
    gnutls_certificate_credentials_t credentials;     /* own; NULL on the server side */
    const struct tls_params *params;                  /* borrowed until the handshake is done; NULL on the server
                                                         side */
    struct tls_resume *resume;                        /* own; NULL: sessions are neither offered nor kept */
    bool up;
    bool asked;                                       /* has GnuTLS asked about the peer's certificate? */
    bool whole_trust;                                 /* the verdict rests on all that is trusted, wherever that is */
    struct err why;                                   /* what a callback of GnuTLS found wrong */
    struct tls_facts facts;
    char *in;                                         /* own: what came from the wire */
    size_t in_at, in_end;
    struct buf out;                                   /* records for the wire */
    char *part;                                       /* own: a record's worth of small pieces */
    unsigned char first[64];                          /* the peer's first octets, for the words of a failure */
    size_t first_n;
    bool ended;                                       /* the peer closed its side, properly or in the middle of a
                                                         record */
    bool owes_ticket;                                 /* a server's, of TLS 1.3: it goes with the first words */
    bool dry;                                         /* nothing more is there to read, for now */
    bool answered;                                    /* has application data arrived? */
};

/* Puts TLS on the wire of s, still without a session. NULL: no GnuTLS. */
struct tls *tls_new(struct stream *s, struct err *e);

/* Gives s a session, another in place of one it has; flags GNUTLS_CLIENT or GNUTLS_SERVER. The handshake has not
 * begun. */
bool tls_session_start(struct stream *s, unsigned flags, const char *priorities,
                       gnutls_certificate_credentials_t credentials, struct err *e);

/* Moves the handshake on. On IO_DONE the facts of version and cipher are there. */
enum io tls_session_handshake(struct stream *s, struct err *e);

/* What stands for NULL. */
const char *tls_priorities_default(const struct gnutls_api *api);

/* A priority string, or an error that shows where it is wrong. */
bool tls_priorities_parse(const struct gnutls_api *api, const char *priorities, gnutls_priority_t *out, struct err *e);

/* tls_explain.c: a failure of GnuTLS during the handshake or after it, in plain words. Always IO_ERROR. */
enum io tls_explain(struct stream *s, int rc, struct err *e);

/* Did the peer begin in clear text? Then *e says so. */
bool tls_explain_clear_text(const struct tls_params *params, const unsigned char *first, size_t n, struct err *e);

/* tls_facts.c: the peer's chain, unless it is there already, and what the handshake agreed on. */
void tls_facts_chain(struct tls *t);
void tls_facts_session(struct tls *t);
void tls_certificate_read(const struct gnutls_api *api, const gnutls_datum_t *der, struct tls_certificate *c);
void tls_certificate_free(struct tls_certificate *c);

/* tls_trust.c: what certificates are believed by: those trusted certificates alone that the peer's chain can lead to
 * (false: which ones cannot be told without GnuTLS), or all of them. */
bool tls_trust_narrow(struct tls *t);
bool tls_trust_load(const struct gnutls_api *api, gnutls_certificate_credentials_t credentials,
                    const struct tls_params *p, struct err *e);

/* tls_resume.c: the session of params.session_name, if there is one, is offered; call before the handshake. false: t
 * needs another session, which goes without. Where it was taken up the verdict of its first handshake stands (false:
 * it was not). At the end of the connection the session it had is kept, where the peer was verified. */
bool tls_resume_offer(struct tls *t);
bool tls_resume_is_proved(struct tls *t);
void tls_resume_end(const struct tls *t);
void tls_resume_free(struct tls *t);

/* What a file of tls_resume.c holds. Reading borrows from p; false: it is damaged, or not to be used now. Writing
 * appends; false: it is too long. */
struct tls_saved {
    long long proved, until; /* seconds since the epoch */
    const char *how;         /* static: as the facts have it; "none": there is no data, and no session is wanted */
    bool tls13;              /* else TLS 1.2 */
    const char *data;
    size_t n;
};
bool tls_saved_read(const char *p, size_t n, long long now, struct tls_saved *s);
bool tls_saved_write(const struct tls_saved *s, struct buf *out);

/* tls_verify.c: GnuTLS's callback: is this peer the one we want? Leaves the reason in tls.why. */
int tls_verify(gnutls_session_t session);

/* Names as tls_params has them, days and purpose of a chain and its way to what is trusted. NULL: the peer's, and the
 * credentials' trust. Verified: that is how. */
struct tls_chain {
    gnutls_x509_trust_list_t trust;
    gnutls_x509_crt_t *v;
    unsigned n;
};
bool tls_verify_chain(struct tls *t, const struct tls_chain *c, const char *how);
bool tls_fingerprint_check(const char *fingerprint, struct err *e);

/* tls_dane.c: the chain, the peer's own first, against params.tlsa. */
bool tls_dane_verify(struct tls *t, const gnutls_datum_t *certificates, unsigned n);

/* Which record would do. mistake: what else would, as "…, or "; NULL: somebody may be in between. Always false. */
bool tls_dane_hint(const struct tls *t, const char *mistake, struct err *e);

#endif
