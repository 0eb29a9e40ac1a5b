/* event: what happens, told to whoever listens.
 *
 * Events inform, they never decide. A producer emits a kind with named fields;
 * the hub stamps the time, cuts secrets and hands the event to each listener.
 * Each kind has one row in event.c: its word for JSON and a template for text
 * ("connected to {host} [{address}]:{port}"), so every renderer is generic.
 * A new kind is one enum member and one row. */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/strlist.h"

enum event_kind {
    EV_NOTE,        /* text */
    EV_WARNING,     /* text */
    EV_ADVICE,      /* text: what did not work and what does, and how to have that at once from now on */
    EV_LOOKUP,      /* host, addresses (list) */
    EV_MX,          /* domain, hosts (list, best first), implicit (bool: no MX record), secure (bool) */
    EV_POLICY,      /* domain, host, wanted (level), why, tlsa (records), mode (of MTA-STS), mx_secure (bool), skipped
                       (why this host is not used) */
    EV_CONNECTING,  /* host, address, port */
    EV_CONNECT_FAILED, /* host, address, port, reason, errno */
    EV_CONNECTED,   /* host, address, port, local */
    EV_PROXY,       /* type, host, port, target */
    EV_GREETING,    /* text: the server's greeting, without the code */
    EV_CAPABILITY,  /* keyword, parameters, meaning, tls (bool: told under TLS), size_max, mechanisms (list): one line
                       of EHLO's reply */
    EV_CLIENT,      /* line: a line we sent, without CRLF; decoded: the same with its base64 undone, where asked for */
    EV_SERVER,      /* line: a line the server sent, without CRLF; unexpected (bool): not the reply that lets the
                       dialogue go on */
    EV_OCTETS,      /* sent (bool), octets (string): what one write or read moved, in clear; only emitted when
                       hub_wants() it */
    EV_BODY,        /* octets: a message was sent (text transcript: how much) */
    EV_CONTENT,     /* line: a line of the message itself, as it is sent (a dot doubled by DATA's rules); only
                       emitted when hub_wants() it */
    EV_PROGRESS,    /* octets, total (where known): so much of the message has left; only emitted when hub_wants() it */
    EV_TLS,         /* version, cipher, group, resumed, verified (bool), how, problem (why not verified), problems
                       (list: the same as words), description (GnuTLS's words), local (subject of our own certificate,
                       where one was sent) */
    EV_CERTIFICATE, /* depth, subject, issuer, names (list), not_before, not_after (times), days_left,
                       key, sha256, spki_sha256, sha1, pem (where asked for) */
    EV_SECRET,      /* source, user: a secret was found, and where; never the secret itself */
    EV_AUTH,        /* mechanism, user, ok (bool) */
    EV_PHASE,       /* name, us: a phase of the connection ended and took so many microseconds */
    EV_RECIPIENT,   /* address, fate, code, enhanced, reply; with `host mx`: host, policy ("dane:dane",
                       wanted:got), queueid */
    EV_CLOSED,      /* reason; "dropped": we did, without a word */
    EV_RESULT,      /* the end of one delivery: the fields of the log line, in its order */
    EV_MESSAGE,     /* of a batch, behind its EV_RESULT if it was tried: number (from 1), total (where known), id,
                       outcome, octets and octets_total (of the source read so far, where known), failed
                       (bool); where it was not tried: errormsg, hint, fault */
    EV_RECEIVED,    /* sink: from, recipients (list), octets, stored, peer, helo, protocol, tls (version), user,
                       parameters (list), message_id, sha256 */
    EV_LISTENING,   /* sink: address, port, tls */
    EV_COUNT
};

enum field_type { FIELD_END, FIELD_STRING, FIELD_INT, FIELD_BOOL, FIELD_TIME, FIELD_LIST };

struct field {
    const char *name;
    enum field_type type;
    const char *s;             /* FIELD_STRING; NULL: the field is absent (so is a number by F_INT_IF when not known) */
    size_t len;
    size_t secret_from;        /* FIELD_STRING: octets from here on are cut by the hub; SIZE_MAX: none */
    int64_t i;                 /* FIELD_INT, FIELD_BOOL; FIELD_TIME: seconds since the epoch */
    const struct strlist *list; /* FIELD_LIST */
};

#define F_STRN(n_, s_, l_) F_CUT((n_), (s_), (l_), SIZE_MAX)
#define F_STR(n_, s_) event_field_string((n_), (s_))
#define F_CUT(n_, s_, l_, from_) \
    ((struct field){ .name = (n_), .type = FIELD_STRING, .s = (s_), .len = (l_), .secret_from = (from_) })
#define F_INT(n_, i_) ((struct field){ .name = (n_), .type = FIELD_INT, .i = (i_) })
#define F_INT_IF(n_, known_, i_) \
    ((struct field){ .name = (n_), .type = (known_) ? FIELD_INT : FIELD_STRING, .i = (i_) })
#define F_BOOL(n_, b_) ((struct field){ .name = (n_), .type = FIELD_BOOL, .i = (b_) })
#define F_TIME(n_, i_) ((struct field){ .name = (n_), .type = FIELD_TIME, .i = (i_) })
#define F_LIST(n_, l_) ((struct field){ .name = (n_), .type = FIELD_LIST, .list = (l_) })

struct field event_field_string(const char *name, const char *s);

struct event {
    enum event_kind kind;
    usec time;           /* since the hub was made */
    unsigned connection; /* 1, 2, …; 0: not of a connection */
    const struct field *fields; /* ends with FIELD_END */
};

const char *event_word(enum event_kind kind);     /* "connected" */
const char *event_template(enum event_kind kind); /* "connected to {host} …"; NULL: not shown as text */

/* The field of that name, or NULL. */
const struct field *event_field(const struct event *ev, const char *name);

/* Fills a template and appends it to out. {name} is the field's value: strings with control characters made
 * visible, numbers in decimal, times as 2026-11-21T20:15:00Z, booleans as yes or no, lists joined by ", "; an
 * absent field is nothing.
 * [[…]] is left out as a whole when a field named inside is absent, empty or false. Inside it a boolean
 * writes nothing, it only decides; {!name} of any type writes nothing and decides the other way round. Groups do
 * not nest. */
void event_format(const struct event *ev, const char *template, struct buf *out);

/* Appends a FIELD_TIME as text. */
void event_add_time(struct buf *out, int64_t seconds);

struct hub {
    struct listener *listeners; /* own */
    size_t n;
    usec start;
    struct strlist hidden; /* secrets in use now, and their base64 forms */
};

#define EV_MASK(kind) (UINT64_C(1) << (kind))
#define EV_ALL UINT64_MAX
/* many for one message: to be asked for by name */
#define EV_BULK (EV_MASK(EV_CONTENT) | EV_MASK(EV_PROGRESS) | EV_MASK(EV_OCTETS))

typedef void listener_fn(void *ctx, const struct event *ev);

void hub_init(struct hub *h);
void hub_free(struct hub *h);

/* fn is called in emit's thread for each kind in mask. ctx is borrowed. */
void hub_listen(struct hub *h, uint64_t mask, listener_fn *fn, void *ctx);

/* Takes back what was listened to with this ctx. */
void hub_unlisten(struct hub *h, const void *ctx);

/* Does anybody listen to this kind? For events that cost something to make. */
bool hub_wants(const struct hub *h, enum event_kind kind);

/* While hidden, the secret (HUB_SECRET_MIN octets or more) and its base64 form are replaced by "***" in every string
 * field of every event, whoever emits it: a server may echo what it was sent. */
enum { HUB_SECRET_MIN = 3 };
void hub_hide(struct hub *h, const char *secret, size_t n);
void hub_unhide(struct hub *h); /* forgets and wipes all */

/* The same cut on a text that leaves by another way (error texts). */
void hub_mask(const struct hub *h, struct buf *text);

void hub_emit(struct hub *h, unsigned connection, enum event_kind kind, const struct field *fields);

/* emit(hub, conn, EV_CONNECTED, F_STR("host", h), F_INT("port", p)); a NULL hub is allowed. */
#define emit(h_, conn_, kind_, ...) \
    hub_emit((h_), (conn_), (kind_), (const struct field[]){ __VA_ARGS__, { .type = FIELD_END } })

#endif
