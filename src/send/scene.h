/* scene: all that a diagnosis has seen, as plain data: the question, the names, this machine, one sight for each
 * attempt at an address and port, ladders. No I/O, no opinion: verdict has that. Whoever shows a diagnosis shows
 * this. */
#ifndef SEND_SCENE_H
#define SEND_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "net/ladder.h"
#include "net/reach.h"
#include "smtp/session.h"

/* ---- the question ---- */

enum scene_named { NAMED_ACCOUNT, NAMED_HOST, NAMED_ADDRESS, NAMED_DOMAIN };

struct scene_question {
    enum scene_named named;   /* what the user named … */
    char *name;               /* own: … in his words; NULL: an account without a name */
    char *host;               /* own: the server asked about; NULL: none was found for the domain */
    int port;                 /* the one configured */
    bool port_named;          /* by the user; false: our default */
    enum session_tls tls;     /* what the configuration wants on it */
    bool verify;              /* the certificate must be good */
    bool auth;                /* a login is wanted … */
    char *mechanism;          /* own: … by this mechanism; NULL: any */
    char *control;            /* own: a second host; NULL: none */
    bool ipv4_only, ipv6_only;
    char *proxy;              /* own: "host:port" that all goes through: there is one sight then; NULL: none */
    bool brief;               /* the short form behind a failed send: what is not there was not looked for */
};

/* ---- names ---- */

enum lookup_outcome {
    LOOKUP_NOT_ASKED,
    LOOKUP_FOUND,
    LOOKUP_NO_ADDRESS, /* the name exists, without an address of this family */
    LOOKUP_NO_NAME,    /* the name does not exist. Some resolvers say so of the above, too */
    LOOKUP_FAILED,     /* the name servers do not answer, or answer that they cannot */
    LOOKUP_SILENT,     /* nothing came until the deadline */
    LOOKUP_LITERAL,    /* an address was named: nothing to look up */
};

struct lookup {
    char *name;               /* own; NULL: not asked */
    enum lookup_outcome outcome;
    char *reason;             /* own: the resolver's words for LOOKUP_FAILED; NULL: none */
    struct strlist addresses;
    usec took;
};

struct scene_names {
    struct lookup v4, v6;     /* of the host */
    struct lookup impossible; /* a name that cannot exist: addresses mean that the resolver rewrites "no such name" */
    struct lookup known;      /* a name that exists: does any resolve? Only asked where the host's does not */
    struct strlist servers;   /* of a domain (MX) or for its users (SRV), best first: "mx.example.net:25";
                                 empty: none */
    bool null_mx;             /* the domain takes no mail (RFC 7505) */
};

/* ---- this machine ---- */

struct scene_family {
    bool address;  /* it has one beyond loopback and the link */
    bool route;    /* … and a way to the Internet */
    int reason;    /* errno when there is no route; EADDRNOTAVAIL, EAFNOSUPPORT: the family is switched off */
};

struct scene_machine {
    struct scene_family v4, v6;
    char *vendor;               /* own or NULL: /sys/class/dmi/id/sys_vendor */
    char *product;              /* own or NULL: product_name */
    char *asset;                /* own or NULL: chassis_asset_tag */
    struct strlist environment; /* variables set here that only some hosters set: "RENDER" (blockers lists them) */
};

/* ---- sights ---- */

enum sight_role {
    SIGHT_CONFIGURED,   /* the host on the configured port */
    SIGHT_OTHER_PORT,   /* the host on another port for mail */
    SIGHT_CONTROL_PORT, /* the host on 443: only connected to */
    SIGHT_CONTROL_HOST, /* the control host, on the configured port or 443 */
};

struct sight_phase {
    enum stage stage; /* CONNECT, GREETING, EHLO, STARTTLS, TLS, QUIT as they happened; EHLO twice with STARTTLS */
    usec us;
};
enum { SIGHT_PHASES = 12 };

struct sight_tls {
    bool up;                  /* the handshake succeeded */
    char *version, *cipher;   /* own or NULL: "TLS1.3", "AES-256-GCM" */
    bool verified;            /* by trust or by fingerprint, for the host's name */
    char *problem;            /* own or NULL: why not, a sentence */
    struct strlist problems;  /* the same as words, worst first: "revoked", "bad-signature", "untrusted-issuer", "weak",
                                 "expired", "not-yet-valid", "wrong-name", "wrong-purpose", "old-crl",
                                 "wrong-fingerprint", "no-certificate" */
    char *subject, *issuer;   /* own or NULL: of the server's certificate; also when the handshake failed */
    struct strlist names;
    long long not_before, not_after; /* seconds since the epoch; 0: no certificate seen */
    long long days_left;      /* negative: expired */
    char *sha256;             /* own or NULL: hex with colons */
    struct strlist chain;     /* the certificates as PEM, the server's own first, where wanted */
};

/* One attempt at one address and port, and as far as it connected a look at who is there. Nobody logs in. */
struct sight {
    enum sight_role role;
    unsigned connection;      /* of the events */
    char *host;               /* own */
    char *address;            /* own: numeric */
    int family;               /* AF_INET, AF_INET6 */
    int port;
    char *local;              /* own or NULL: our own address */

    /* how it was tried */
    bool implicit;            /* TLS from the first octet; false: STARTTLS where offered */
    bool crossed;             /* the other way round than the first try, which had failed */
    int mss;                  /* with segments of so many octets at most; 0: the system's */
    bool reach_only;          /* connected to, and closed */

    /* connecting */
    usec begun;               /* by the clock of the events (since their hub was made) */
    usec last;                /* when the last event came */
    bool done;                /* false: given up as it was no longer needed; then `reach` says nothing */
    enum reach_outcome reach;
    int reason;               /* errno; 0: open or silent */
    usec took;                /* connect() to outcome */

    /* the look, where it connected */
    bool looked;              /* it came to its end, good or bad; false: none, or no longer needed */
    char *heard;              /* own or NULL: the first line that came, whatever it is: "220 mx", "SSH-2.0-X" */
    char *greeting;           /* own or NULL: a proper greeting's text, without 220 */
    bool banner_masked;       /* mostly asterisks: a firewall rewrites it */
    bool ehlo_answered;
    struct strlist ehlo;      /* lines of the reply before TLS, without the first: "SIZE 100" */
    struct strlist ehlo_tls;  /* … and under TLS */
    bool starttls_offered;
    char *starttls_masked;    /* own or NULL: a keyword that looks like a rubbed-out STARTTLS: "XXXXXXXA" */
    struct sight_tls tls;
    struct strlist auth;      /* mechanisms offered before TLS, upper case */
    struct strlist auth_tls;  /* … and under TLS */
    bool closed_at_once;      /* the peer closed before it had sent an octet */
    struct sight_phase phases[SIGHT_PHASES];
    size_t n_phases;
    struct err err;           /* what ended it, with its stage; unset: a look that saw all there is */
};

/* ---- ladders ---- */

struct scene_ladder {
    char *address;            /* own */
    int family, port;
    struct ladder_rung rungs[LADDER_MAX];
    int n;
};

/* ---- all of it ---- */

struct scene {
    struct scene_question question;
    struct scene_names names;
    struct scene_machine machine;
    struct sight *sights;     /* own */
    size_t n_sights;
    struct scene_ladder *ladders; /* own */
    size_t n_ladders;
    unsigned connections;     /* the highest number in use */
    struct strlist notes;     /* what could not be tried, and why: sentences for people */
    long long now;            /* seconds since the epoch, when it was begun */
    usec took;
};

#define SCENE_INIT { 0 }

/* Did it connect? */
bool sight_is_open(const struct sight *v);

/* Both are valid until the next is added. */
struct sight *scene_add_sight(struct scene *s);
struct scene_ladder *scene_add_ladder(struct scene *s);

/* Could mail go this way as the question wants it: greeted, EHLO, TLS up and verified where wanted, AUTH with an
 * acceptable mechanism offered where wanted? What it took besides (crossed, mss, port) is the sight's to tell. */
bool scene_usable(const struct scene *s, const struct sight *v);

const char *scene_role_word(enum sight_role role);           /* stable, for JSON: "other-port" */
const char *scene_lookup_word(enum lookup_outcome outcome);  /* stable: "no-name" */
const char *scene_named_word(enum scene_named named);        /* stable: "account" */

void lookup_free(struct lookup *l);
void scene_free(struct scene *s); /* s is SCENE_INIT after */

#endif
