/* sink: what the files of the sink share. sink.c listens and loops; sink_client.c serves one connection,
 * sink_message.c takes its messages; sink_script.c plays a dialogue on one; sink_store.c keeps the messages;
 * sink_output.c writes to standard output; sink_faults.c and sink_tls.c know how to misbehave. */
#ifndef CMD_SINK_H
#define CMD_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/event.h"
#include "base/strlist.h"
#include "conf/option.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "smtp/server.h"

enum {
    SINK_BLOCK = 256 << 10,  /* one read */
    SINK_TURN = 8,           /* reads before the other connections have their turn */
};

/* --tls */
enum sink_tls {
    SINK_TLS_USUAL, SINK_TLS_EXPIRED, SINK_TLS_NOT_YET, SINK_TLS_WRONG_NAME, SINK_TLS_OLD, SINK_TLS_1_2, SINK_TLS_1_3,
    SINK_TLS_DROP, SINK_TLS_CLEAR, SINK_TLS_SILENT,
};

struct sink_options {
    struct strlist listen, listen_tls, extensions, auth_mechanisms;
    char *maildir, *mbox, *tls_cert, *tls_key, *auth, *script;
    bool print, discard, auth_required, lmtp, quiet, json, verbose;
    long once, size, recipients, connections;
    usec idle, drip;
    int tls; /* enum sink_tls */
};

struct option_table sink_option_table(void);

/* ---- sink_faults.c ---- */

/* Those of the server session (smtp/server.h), and those of the driver. */
enum sink_stage {
    SINK_AT_NOWHERE = SERVER_AT_NOWHERE,
    SINK_AT_CONNECT = SERVER_AT_CONNECT,
    SINK_AT_EHLO = SERVER_AT_EHLO,
    SINK_AT_STARTTLS = SERVER_AT_STARTTLS,
    SINK_AT_AUTH = SERVER_AT_AUTH,
    SINK_AT_MAIL = SERVER_AT_MAIL,
    SINK_AT_RCPT = SERVER_AT_RCPT,
    SINK_AT_DATA = SERVER_AT_DATA,
    SINK_AT_RSET = SERVER_AT_RSET,
    SINK_AT_QUIT = SERVER_AT_QUIT,
    SINK_AT_BODY,    /* the message on its way */
    SINK_AT_MESSAGE, /* it is complete, and not stored */
    SINK_AT_STORED,  /* it is stored, and not answered */
};

struct verdict {
    usec delay;        /* 0: none */
    long long drop_at; /* close now, or at so many octets of the message; -1: no */
    int code;          /* 0: answer as usual */
    const char *text;  /* borrowed from the faults */
};

struct settings;
struct faults;
struct faults *faults_new(const struct settings *said, struct err *e); /* NULL: *e is set */
void faults_free(struct faults *f);                                    /* NULL is allowed */

bool faults_any(const struct faults *f);
const char *faults_option(const struct faults *f, enum sink_stage stage); /* one about it: "reject"; NULL: none */

/* What holds at this stage, now that it has come again. about: what it is about; one of n has to match a pattern. */
struct verdict faults_at(struct faults *f, enum sink_stage stage, const char *const *about, size_t n);

/* ---- sink_output.c ---- */

/* Standard output: never blocks, whoever reads it or not. */
struct output;
struct output *output_new(void);
void output_free(struct output *o); /* NULL is allowed */

/* So much waits that clients should: false again when the reader has taken enough, or nothing for five seconds. Then
 * nobody reads: lines are counted and forgotten, messages refused. */
bool output_must_wait(const struct output *o);

void output_line(struct output *o, struct buf *line); /* line is taken */

/* text, then the size octets of the file fd (-1: none): both are taken. False: neither will be written. */
bool output_message(struct output *o, struct buf *text, int *fd, off_t size, struct err *e);

void output_waits(const struct output *o, struct pollset *ps);
bool output_step(struct output *o); /* writes what can be written; false: the last could not, errno is set */

/* The end: writes what waits while somebody reads it; less patient when the descriptor signals is readable. */
void output_finish(struct output *o, int signals);
void output_tell_lost(const struct output *o); /* on standard error, if anything was */

/* ---- sink_store.c ---- */

/* Where the messages go. */
struct store;
struct store *store_open(const struct sink_options *o, struct output *out, struct err *e); /* both are borrowed */
void store_close(struct store *s);

/* One message on its way there: a file that nobody sees until letter_keep. */
struct letter;
struct letter *letter_begin(struct store *s, const char *sender);
bool letter_is_stored(const struct letter *l); /* or only heard and forgotten? */
bool letter_add(struct letter *l, const char *p, size_t n, struct err *e);

/* Another program holds the lock of the mbox: ask again later. Where not, it is ours now, until letter_keep. */
bool letter_must_wait(const struct letter *l);

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
    struct output *output;   /* own: standard output */
    struct store *store;     /* own */
    struct faults *faults;   /* own */
    struct strlist mechanisms; /* of AUTH, to be offered */
    struct script *script;   /* own; NULL: be a server */
    struct hub hub;          /* the transcript */
    struct hub news;         /* --json: listening, received */
    char *block;             /* own: SINK_BLOCK octets that all connections read into */
    long taken;              /* messages stored */
    long done;               /* those of them that were answered, or scripts played */
    bool mismatch;           /* a client did not say what the script expects */
};

/* A message was stored and answered (or a script played): counts it. */
void sink_counts(struct sink *s);
bool sink_has_enough(const struct sink *s); /* --once: no more is to be taken */

/* ---- sink_tls.c ---- */

extern const char *const sink_tls_words[]; /* of --tls; ends with NULL */
bool sink_tls_prepare(struct sink *s, bool asked, struct err *e); /* asked: TLS is not only a possibility */

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
enum io client_handshake(struct client *c); /* sink_tls.c */
enum io client_read(struct client *c, size_t *n);        /* into sink->block */
enum io client_write(struct client *c, const struct buf *out, size_t *n);
enum io client_flush(struct client *c);
void client_note(struct client *c, struct err *e); /* e is cleared */

/* Reads and checks a script. NULL: *e is set. */
struct script *script_load(const char *path, struct err *e);
void script_free(struct script *s);
bool script_wants_tls(const struct script *s);

#endif
