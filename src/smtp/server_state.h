/* server_state: what the files of the server session share. Private to server*.c. */
#ifndef SMTP_SERVER_STATE_H
#define SMTP_SERVER_STATE_H

#include "smtp/server.h"

enum {
    SERVER_LINE_MAX = 12288,        /* AUTH lines (RFC 4954 4) */
    SERVER_COMMAND_MAX = 2048,      /* all others: 512 and what the extensions add */
    SERVER_OUTPUT_MAX = 64 << 10,   /* replies that wait; then the client has to read first */
    SERVER_ENVELOPE_MAX = 1 << 20,  /* octets of all paths and parameters of one transaction */
};

enum server_phase {
    PHASE_COMMAND,
    PHASE_AUTH, /* the next line is the client's part of a SASL exchange */
    PHASE_DATA, /* up to the dot */
    PHASE_BDAT, /* chunk_left octets */
    PHASE_TLS,
    PHASE_CLOSE,
};

/* Where in a line of DATA the next octet stands. Only CRLF ends a line. */
enum line_place {
    PLACE_MIDDLE,
    PLACE_CR,     /* behind CR */
    PLACE_START,  /* behind CRLF, or at the beginning */
    PLACE_DOT,    /* behind a dot at the start, which is not part of the message */
    PLACE_DOT_CR, /* behind that dot and CR */
};

struct mechanism;
struct row;

struct server {
    struct server_params p;
    enum server_phase phase;
    enum server_want asked; /* LOGIN, STEP, STAGE, DATA, DROP, MESSAGE: the driver has to answer; READ: nothing */
    enum server_stage stage;
    const struct row *row;  /* the command that waits for the driver's word; NULL: the greeting */
    struct buf about;       /* own: what it is about */
    bool turned_away;       /* the greeting was a refusal: only QUIT is understood */

    const char *at, *end;   /* input not eaten: in the driver's block or in kept */
    struct buf kept;        /* own */
    bool skipping;          /* the rest of an overlong line */
    struct buf line;        /* own: the command being served */
    struct buf out;         /* own: replies */

    bool tls, extended;     /* extended: EHLO or LHLO was said */
    struct buf helo;        /* own */

    bool mail;              /* a transaction is open */
    bool utf8, binary;      /* BODY=BINARYMIME */
    struct envelope env;    /* own */
    struct strlist parameters;
    size_t envelope_octets;

    const char *data;       /* SERVER_DATA: borrowed */
    size_t data_n;
    enum line_place place;
    bool begun;             /* the driver was given octets of this message */
    bool too_big;
    int64_t octets;
    int64_t chunk_left;
    bool chunks, chunk_last, chunk_refused; /* chunks: BDAT was used in this transaction */
    struct server_answer chunk_answer; /* to a chunk that is refused; text borrowed */

    const struct mechanism *mechanism;
    int auth_round;
    bool auth_failed;       /* OAuth: the error was told, the client's empty answer is due */
    struct buf user, password;
    struct server_login login;
    struct server_step step;
    struct buf response;    /* own: of step */
    bool logged_in;
};

static inline bool server_offers(const struct server *s, uint32_t cap) { return (s->p.extensions & cap) != 0; }

/* One line of a reply; enhanced NULL: none. */
__attribute__((format(printf, 4, 5))) void server_reply(struct server *s, int code, const char *enhanced,
                                                        const char *fmt, ...);
void server_reply_text(struct server *s, int code, bool more, const char *text);

/* The same by somebody else's text: an enhanced code at its start is left out where they are not offered; 421
 * closes. */
void server_reply_said(struct server *s, int code, const char *text);

void server_greet(struct server *s);

/* A complete line, NUL-terminated in s->line (server_rows.c). It waits in s->row when asked is SERVER_STAGE. */
void server_command(struct server *s);
void server_command_refused(struct server *s, int code, const char *text);
void server_command_run(struct server *s);

/* Waits for the driver's word on what comes next. */
void server_ask(struct server *s, enum server_stage stage, const struct row *row);

/* Ends the transaction; what the driver has of the message is to be dropped. */
void server_reset(struct server *s);

/* server_auth.c */
bool server_auth_offered(const struct server *s);
void server_auth_words(const struct server *s, struct buf *out);
void server_auth_begin(struct server *s, const char *arg);
void server_auth_line(struct server *s);

/* server_path.c: reads "<path>" at *at and moves behind it. NULL: address has it without brackets and route; else why
 * not. */
const char *server_path(const char **at, bool null_ok, struct buf *address);

#endif
