/* talk_player: what its two files share: talk_player.c keeps the connection and its replies, talk_steps.c plays the
 * steps. */
#ifndef CMD_TALK_PLAYER_H
#define CMD_TALK_PLAYER_H

#include "cmd/talk.h"
#include "mail/dot.h"
#include "mail/message.h"

/* A reply that is owed to us, in order. */
struct debt {
    char *verb;        /* own: first word of the command; "" for the greeting */
    bool claimed;      /* the script has something to say about it */
    bool dot_claimed;  /* DATA: and about that of the message */
};

struct heard {
    char *text;        /* own */
    bool last;         /* of its reply */
};

/* A script on its way. */
struct reel {
    const struct script *script; /* borrowed; NULL: none */
    struct cue *cues;  /* own */
    long long *rounds; /* own: left of each @repeat */
    size_t at;         /* the present step */
    bool greeting;     /* a line is about it */
};

struct player {
    struct task task;  /* first */
    struct talk_params p;
    struct reel prologue, main, *reel; /* reel: the one that plays */
    struct script *opening; /* own: what the prologue plays, STARTTLS; NULL: nothing */
    struct script_vars vars;
    bool entered;      /* the present step has begun to wait */
    int stage;         /* how far it has come */

    struct dial *dial;
    struct stream *stream;
    struct tls_params tls;
    bool handshaking, eof, finished, mismatch;
    bool greeting;     /* the script has something to say about the next one */
    bool met;          /* there was a connection */
    bool opened;       /* the prologue was played on this connection */
    struct buf in, out;
    usec patience, until;
    bool turned;       /* there is more to do at once */
    int turns;

    struct debt *debts; /* own: `paid` that are gone, then `owed` */
    size_t paid, owed, debts_cap;
    size_t logins;      /* of the debts: AUTH */
    struct heard *heard; /* own: lines of claimed replies: `seen` that are gone, then heard_n that no 'S:' has seen */
    size_t seen, heard_n, heard_cap;
    bool inside;       /* the first of them goes on a reply of which a line was seen */
    bool inside_open;  /* … by a line 'S: 250-' */
    bool said;         /* something was said since that line */
    bool begun;        /* a reply was begun and has not ended */
    struct buf reply;  /* the lines so far, joined by LF */
    char *last_reply;  /* own: the first line of the latest whole one */

    struct caps caps;
    bool lmtp, pipelining, message, refused, challenged, starttls;
    size_t rcpts;      /* accepted in this transaction */
    struct message body;
    struct dot dot;
    int body_fd;       /* -1: none */
    bool body_done;
    struct authn authn;
    bool logging_in;
    struct err err;
};

/* A reply will come. verb: the command, or more of it. */
void player_owe(struct player *p, const char *verb, bool claimed);

/* A line for lines 'S:' to see, and the first n of them seen. */
void player_hear(struct player *p, const char *text, bool last);
void player_forget(struct player *p, size_t n);

/* Reads once. PLAY_NEXT: something came, or the end. */
enum play player_read(struct player *p);

/* Writes all that is to be said. PLAY_NEXT: done, or nobody is there to read it. */
enum play player_write(struct player *p);

/* Waits until every reply is there that is owed to us. PLAY_NEXT: so it is, or the server has closed; for
 * player_settled that is an error. */
enum play player_settle(struct player *p);
enum play player_settled(struct player *p);

enum play player_handshake(struct player *p);
void player_drop(struct player *p, bool reset);
void player_close_body(struct player *p);

/* The present step waits so long at most (from when it began to), and no longer. */
void player_wait_for(struct player *p, usec time);
bool player_is_late(const struct player *p);

/* p->err was set, and the connection is of no use any more: PLAY_END. Where it still is, PLAY_END alone is enough. */
enum play player_broken(struct player *p);

#endif
