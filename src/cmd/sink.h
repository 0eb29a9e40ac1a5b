/* sink: what the files of the sink share. sink.c listens and loops; sink_client.c serves one connection,
 * sink_script.c plays a dialogue on one; sink_store.c keeps the messages. */
#ifndef CMD_SINK_H
#define CMD_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/event.h"
#include "base/strlist.h"
#include "conf/option.h"
#include "net/stream.h"
#include "net/tls.h"

enum {
    SINK_BLOCK = 256 << 10,  /* one read */
    SINK_CLIENTS_MAX = 500,  /* more wait in the backlog */
    SINK_TURN = 8,           /* reads before the other connections have their turn */
};

struct sink_options {
    struct strlist listen, listen_tls, extensions;
    char *maildir, *mbox, *tls_cert, *tls_key, *auth, *script;
    bool print, discard, auth_required, lmtp, quiet, json, verbose;
    long once, size;
};

struct option_table sink_option_table(void);

/* ---- sink_store.c ---- */

/* Where the messages go. */
struct store;
struct store *store_open(const struct sink_options *o, struct err *e); /* o is borrowed */
void store_close(struct store *s);

/* One message on its way there: a file that nobody sees until letter_keep. */
struct letter;
struct letter *letter_begin(struct store *s, const char *sender);
bool letter_add(struct letter *l, const char *p, size_t n, struct err *e);

/* Stores it for good and frees it, also on failure. where gets the file's name, or nothing. */
bool letter_keep(struct letter *l, struct buf *where, struct err *e);
void letter_drop(struct letter *l); /* NULL is allowed */

/* ---- sink.c ---- */

struct script;

struct sink {
    struct sink_options opt;
    uint32_t extensions;     /* CAP_ bits */
    char *name;              /* own: for the greeting */
    struct tls_server *tls;  /* own; NULL: no TLS */
    struct store *store;     /* own */
    struct script *script;   /* own; NULL: be a server */
    struct hub hub;          /* the transcript */
    struct hub news;         /* --json: listening, received */
    char *block;             /* own: SINK_BLOCK octets that all connections read into */
    long done;               /* messages stored, or scripts played */
    bool mismatch;           /* a client did not say what the script expects */
};

/* A message was stored (or a script played): counts it. */
void sink_counts(struct sink *s);
bool sink_has_enough(const struct sink *s); /* --once */

/* ---- one connection ---- */

struct client {
    /* true: finished, to be freed. */
    bool (*step)(struct client *c);
    void (*end)(struct client *c);       /* the sink ends: a last word; NULL: none */
    void (*free)(struct client *c);      /* what belongs to the kind */
    struct sink *sink;
    struct stream *stream;               /* own; NULL: closed already */
    unsigned number;
    bool implicit_tls;
    bool handshaking, reading, writing;  /* what it waits for */
    usec deadline;
    size_t first, after;                 /* its part of the poll set */
};

struct client *sink_client_new(struct sink *s);   /* sink_client.c */
struct client *script_client_new(struct sink *s); /* sink_script.c */

/* What both kinds do with the stream. Failures become notes of the transcript: a client may do what it wants. */
enum io client_handshake(struct client *c);
enum io client_read(struct client *c, size_t *n);        /* into sink->block */
enum io client_write(struct client *c, const struct buf *out, size_t *n);
enum io client_flush(struct client *c);

/* Reads and checks a script. NULL: *e is set. */
struct script *script_load(const char *path, struct err *e);
void script_free(struct script *s);
bool script_wants_tls(const struct script *s);

#endif
