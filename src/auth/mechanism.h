/* mechanism: what one row of sasl.c is made of, and the exchange its functions work on. For src/auth alone. */
#ifndef AUTH_MECHANISM_H
#define AUTH_MECHANISM_H

#include "auth/sasl.h"

enum {
    NEEDS_USER = 1 << 0,
    NEEDS_SECRET = 1 << 1,      /* asked for before anything is said */
    NEEDS_PRIVACY = 1 << 2,     /* the secret itself goes over the wire */
    NEEDS_CERTIFICATE = 1 << 3, /* of the client */
    NEEDS_BINDING = 1 << 4,     /* channel binding */
    NEEDS_NAMING = 1 << 5,      /* only when the user asks for it by name */
    NEEDS_LIBRARY = 1 << 6,     /* libgsasl */
    CLIENT_FIRST = 1 << 7,      /* an initial response is allowed */
    PROVES_SERVER = 1 << 8,     /* success without the server's proof is a failure */
};

struct mechanism {
    const char *name;
    unsigned needs;
    /* Makes the next response. s->round counts the calls; a CLIENT_FIRST mechanism gets NULL as its first challenge. */
    bool (*step)(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
};

struct sasl {
    const struct mechanism *m;
    struct sasl_params p;
    const struct buf *secret; /* borrowed; NULL where none is needed */
    unsigned round;
    bool done;                /* the mechanism has nothing more to say, and the server has proved itself if it must */
    struct buf failure;       /* a failed OAuth exchange in words */
    struct libgsasl *gsasl; /* own or NULL */
};

/* native.c */
bool native_plain(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
bool native_login(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
bool native_external(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
bool native_xoauth2(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
bool native_oauthbearer(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);

/* gsasl.c, or no_gsasl.c */
bool libgsasl_usable(const char *name, struct err *e); /* loads the library */
bool libgsasl_step(struct sasl *s, const struct buf *challenge, struct buf *response, struct err *e);
void libgsasl_free(struct sasl *s);

#endif
