/* sasl: one authentication exchange (RFC 4422, RFC 4954) from the client's side.
 *
 * PLAIN, LOGIN, EXTERNAL, XOAUTH2 and OAUTHBEARER are a few octets each and made here; the cryptographic mechanisms are
 * libgsasl's, loaded on first use (it brings Kerberos). One row per mechanism in sasl.c: name, strength, what it
 * needs. */
#ifndef AUTH_SASL_H
#define AUTH_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/reply.h"
#include "base/strlist.h"

/* Strings are borrowed for the exchange's life. */
struct sasl_params {
    const char *user;         /* NULL: none; "" is a name like any other */
    const char *authzid;      /* NULL: none */
    const char *ntlm_domain;  /* NULL: none */
    const char *host;         /* for GSSAPI, DIGEST-MD5, OAUTHBEARER */
    int port;
    bool tls;                 /* clear-text mechanisms are allowed under TLS … */
    bool clear_ok;            /* … or because the user or a loopback peer allows it */
    bool client_certificate;  /* EXTERNAL makes sense */
    const char *binding_type; /* "tls-exporter", "tls-unique"; NULL: none */
    const struct buf *binding; /* its octets */
    const struct strlist *offered; /* every mechanism the server offers; NULL: unknown. For the GS2 flag of SCRAM */
    /* The password or token; asked for once, when first needed. The buf is the caller's and secret. */
    bool (*secret)(void *ctx, const struct buf **secret, struct err *e);
    void *ctx;
};

struct sasl;

/* The best mechanism of `offered` that can work here and is not in `tried`. `wanted` (NULL or "on": any) names the only
 * one allowed. NULL: *e says why none (FAULT_AUTH): what the server offers, what each would need. The result is static.
 *
 * The order is that of the rows in sasl.c: SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1; under TLS
 * PLAIN and LOGIN; CRAM-MD5, DIGEST-MD5; without TLS only then PLAIN and LOGIN, and only with clear_ok; EXTERNAL last,
 * with a client certificate (so it is taken where no user is set, or nothing else is offered). XOAUTH2, OAUTHBEARER,
 * GSSAPI and NTLM are never guessed: the first two take a token for a secret, the others need a ticket or a domain. */
const char *sasl_choose(const struct strlist *offered, const char *wanted, const struct strlist *tried,
                        const struct sasl_params *p, struct err *e);

/* Starts the exchange. *initial is filled and *has_initial true when the mechanism allows an initial response
 * (an empty one is possible). NULL: *e is set. */
struct sasl *sasl_start(const char *mechanism, const struct sasl_params *p, struct buf *initial, bool *has_initial,
                        struct err *e);

/* Answers a (decoded) challenge. The response (and initial) should be a secret buf. false: *e is set; the exchange
 * has to be cancelled. */
bool sasl_step(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);

/* The server said yes; has it proved what the mechanism asks (SCRAM)? last may be empty. */
bool sasl_finish(struct sasl *s, const struct buf *last, struct err *e);

void sasl_free(struct sasl *s);

/* After a refusal: may the next mechanism be tried? Only when the reply says that this mechanism cannot work here (504,
 * 538,
 * 500–503 to AUTH, a 5.7.4 or 5.5.4), never after a wrong password. 534 ("too weak") is not among them: what follows
 * would not be stronger, and large providers say 534 to a password they do not like, which must not be sent twice. */
bool sasl_try_next(const struct reply *refusal);

/* The text that a failed OAuth exchange carried (RFC 7628 3.2.2; Google's and Microsoft's JSON), in words: "status 400,
 * schemes Bearer, scope …"; NULL when there was none. Valid as long as s. */
const char *sasl_failure(const struct sasl *s);

/* Every mechanism name, strongest first, ending with NULL; for --version and completions. */
const char *const *sasl_mechanisms(void);

#endif
