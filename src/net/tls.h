/* tls: what TLS must be, and what it turned out to be. GnuTLS behind a door (net/gnutls_door.h). */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "net/dns.h"

/* All strings are borrowed. */
struct tls_params {
    const char *host;           /* name for SNI and the certificate check; an address literal is checked as such, no
                                   SNI */
    bool verify;                /* false: encrypt only, whoever answers */
    bool tolerate;              /* go on with a peer that is not verified; the facts say why. Not for deliveries */
    const char *sni;            /* name for SNI, where it is another than host; "": none */
    bool any_name;              /* the chain is verified, whatever name it is for */
    bool any_issuer;            /* the name is, whoever issued it */
    bool exchanger;             /* nobody here chose its name: it is not the account's to mend, and no hint says so */
    bool describe;              /* the facts hold the peer's certificates also where nothing is wrong with them */
    bool keep_pem;              /* … and as PEM */
    const char *trust_file;     /* NULL or "system": the system's store; else a PEM file, or a directory of such
                                   files */
    const char *crl_file;       /* NULL: none */
    const struct strlist *fingerprints; /* SHA-256 (SHA-1, MD5 by length) of the certificate as hex with or without
                                           colons, or "sha256-spki:HEX"; any match accepts, without further check; NULL
                                           or empty: none */
    const struct dns_answer *tlsa;      /* TLSA records (RFC 6698; usages 2 and 3 as RFC 7672 3.1 has them) decide in
                                           place of the trusted certificates, whatever `verify` says; where none is
                                           usable nobody is accepted. NULL: none */
    const struct strlist *names;        /* names beside host that a certificate may have under usage 2; NULL: none */
    const char *key_file;       /* PEM or a PKCS#11 URL; NULL: no client certificate */
    const char *cert_file;
    const char *priorities;     /* GnuTLS priority string; NULL: "NORMAL" without TLS 1.0 and 1.1 */
    const char *session_name;   /* under this name a session is kept for later runs, once the peer is verified, and that
                                   of an earlier run taken up (base/cache.h, kind "tls"), whose verdict stands: the name
                                   must tell apart all that the members above and their files say. NULL: none is */
    /* NULL: none; the result is wiped and freed */
    bool (*key_password)(void *ctx, const char *file, char **password, struct err *e);
    void *ctx;
};

/* Can the TLSA record say who a server is? Usage 2 or 3 with a known selector and matching type, and a digest of the
 * right length or a certificate or key that can be read (RFC 7672 2.2 and 3.1). */
bool tls_tlsa_usable(const struct dns_record *r);

/* Does a usable TLSA record match the certificate (PEM)? What that proves is its usage's to say. */
bool tls_tlsa_matches(const struct dns_record *r, const char *pem);

/* Checks files, priorities and fingerprints without a connection, so that a mistake is found before one is made. */
bool tls_params_check(const struct tls_params *p, struct err *e);

/* Loads GnuTLS, unless that was done: a good use of the time that a peer takes. */
bool tls_load(struct err *e);

struct tls_certificate {
    char *subject, *issuer;  /* own: RFC 4514 */
    struct strlist names;    /* DNS names and addresses it is valid for */
    long long not_before, not_after; /* seconds since the epoch */
    char *sha256;            /* own: hex with colons, of the certificate */
    char *sha1;              /* own: the same by SHA-1, which old tools still show */
    char *spki_sha256;       /* own: hex with colons, of the public key */
    char *key;               /* own: "RSA 2048", "EC/ECDSA 256" */
    char *pem;               /* own or NULL */
};

struct tls_facts {
    char *version; /* own: "TLS1.3" */
    char *cipher;  /* own: "AES-256-GCM" */
    char *group;   /* own or NULL: key exchange, "X25519" */
    bool offered;  /* a session of an earlier connection was, whether or not it could be taken up */
    bool resumed;  /* the session of an earlier connection, with the chain shown and the verdict found then */
    bool verified; /* by trust or by fingerprint */
    const char *how; /* "trust", "dane", "fingerprint", "issuer" (any_name), "name" (any_issuer), "none" */
    char *problem;   /* own or NULL: why it is not verified, where that was tolerated */
    struct strlist problems; /* the same as words, worst first: "revoked", "bad-signature", "untrusted-issuer", "weak",
                                "expired", "not-yet-valid", "wrong-name", "wrong-purpose", "old-crl",
                                "wrong-fingerprint", "wrong-tlsa", "no-certificate" */
    char *local;     /* own or NULL: subject of our own certificate, where one was sent */
    char *description; /* own or NULL: GnuTLS's words for the session, "(TLS1.3)-(ECDHE-…" */
    struct tls_certificate *chain; /* own, n of them, the peer's own first; as `describe` says */
    size_t n;
};

void tls_facts_free(struct tls_facts *f);

/* Server side, for sink: one context for many connections. */
struct tls_server;
struct tls_server_params {
    const char *cert_file, *key_file; /* both NULL: a self-signed certificate is made (ECDSA P-256, 30 days, for
                                         names) */
    const struct strlist *names;      /* DNS names and addresses for the made certificate */
    const char *priorities;           /* NULL: default */
    int not_before, not_after;        /* of the made certificate: days from now; both 0: -1 and 30 */
};
struct tls_server *tls_server_new(const struct tls_server_params *p, struct err *e);
void tls_server_free(struct tls_server *s);
const char *tls_server_fingerprint(const struct tls_server *s); /* SHA-256, hex with colons */

#endif
