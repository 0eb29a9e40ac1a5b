/* tls_ends: certificates made for the tests of TLS, and both ends of a connection over a socket pair, in one thread. */
#ifndef UNIT_TLS_ENDS_H
#define UNIT_TLS_ENDS_H

#include <gnutls/x509.h>
#include <stdbool.h>

#include "net/stream.h"
#include "net/tls.h"

enum { DAY = 86400 };

struct made {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    char *cert_file, *key_file, *encrypted_file, *crl_file; /* below `dir`; the password of the encrypted one: sesame */
};

/* CA's list revokes GOOD. */
enum { CA, OTHER_CA, GOOD, EXPIRED, FUTURE, SELF, ADDRESS, CLIENT_ONLY, EXPIRED_WRONG, SOON, SOON_CA, BY_SOON_CA, MADE };
extern struct made made[MADE];
extern char dir[]; /* also $XDG_CACHE_HOME */

/* For cmocka. */
int make_all(void **state);
int unmake_all(void **state);

enum { VERSIONS = 2 };
extern const struct version {
    const char *priorities, *version, *binding;
} versions[VERSIONS];

struct ends {
    struct stream *client, *server;
    struct tls_server *context;
    struct err client_err, server_err;
};
void open_pair(struct ends *x);
void close_pair(struct ends *x);
void serve(struct ends *x, const struct tls_server_params *p);

/* What an end still has to say of a handshake that it is done with leaves with what it says next: here that is
 * nothing. */
void send_last(struct ends *x, enum io client, enum io server);

/* The client's end of the handshake. The server's is in server_err where it failed. */
enum io shake(struct ends *x, const struct tls_params *p);

/* From one end to the other, whole. */
void say(struct stream *from, struct stream *to, const char *text);

#endif
