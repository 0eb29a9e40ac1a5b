/* talk: what the files of talk share. talk.c is the command, talk_cues.c finds out which reply belongs to which line,
 * talk_player.c plays the client's side, talk_login.c logs in, talk_terminal.c is for people. */
#ifndef CMD_TALK_H
#define CMD_TALK_H

#include <stdbool.h>

#include "base/event.h"
#include "conf/account.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "send/credentials.h"
#include "send/authn.h"
#include "send/route.h"
#include "smtp/caps.h"
#include "smtp/script.h"

/* ---- talk_cues.c ---- */

enum part {
    PART_COMMAND,  /* a reply belongs to it */
    PART_CONTENT,  /* a line of a message */
    PART_DOT,      /* the end of one */
    PART_LOGIN,    /* "AUTH PLAIN ***": a transcript does not have what was said */
    PART_OMITTED,  /* a part of that login */
};

struct cue {
    enum part part;
    bool claimed;   /* a line 'S:' is about its reply */
    bool filler;    /* BDAT without its octets: transcripts leave messages out */
};

/* One cue for each step, to be freed. greeting: is a line about it? */
struct cue *talk_cues(const struct script *s, bool *greeting);

/* ---- talk_player.c ---- */

struct talk_params {
    struct account *account;         /* borrowed; @auth may name another user */
    const struct hop *hop;           /* borrowed */
    struct credentials *credentials; /* borrowed */
    struct hub *hub;                 /* borrowed */
    bool tls, starttls;              /* at once; before the first line */
    bool stays;                      /* the end of a script is not the end (a terminal) */
};

extern const struct script_op talk_ops[]; /* ends with a row without a word */
extern const struct script_op talk_client_line, talk_server_line;

/* NULL: *e is set. */
struct script *talk_compile(const char *name, const char *text, size_t n, const struct script_vars *vars,
                            struct err *e);

struct player *player_new(const struct talk_params *p);
struct task *player_task(struct player *p);
void player_free(struct player *p);
struct script_vars *player_vars(struct player *p);
const struct caps *player_caps(const struct player *p);

/* Plays the script, which is borrowed until it is played, next. */
void player_play(struct player *p, const struct script *s);
bool player_is_idle(const struct player *p); /* nothing left to play */

/* May the next line be a part of a login, not to be shown or kept? */
bool player_is_secret(const struct player *p);

/* Where in a line "AUTH mechanism response" the response begins; SIZE_MAX: nowhere. */
size_t talk_secret_from(const char *line);

bool player_in_message(const struct player *p);

/* After the end. */
bool player_mismatch(const struct player *p, struct err *e); /* true: an expectation did not hold; else *e may be set */

/* ---- between talk_player.c and talk_login.c ---- */

struct talk_login_params {
    const struct stream *stream;
    const struct strlist *offered;
    const char *mechanism; /* NULL: the best of those offered */
    bool clear_ok;         /* whoever wrote the script means it */
};

/* Makes the first line, without its line end; *secret_from: from where on nobody may see it. false: *e is set. */
bool talk_login_start(struct authn *l, const struct talk_login_params *p, struct buf *line, size_t *secret_from,
                      struct err *e);

/* Answers a challenge with a line; "*" gives up, then *e is set. */
void talk_login_answer(struct authn *l, const char *challenge, struct buf *line, struct err *e);

/* The last reply was this: what is wrong with it is in *e. */
void talk_login_end(struct authn *l, const char *reply, struct err *e);

/* ---- talk_terminal.c ---- */

/* Talks with whoever sits at the terminal until one side ends. */
bool talk_terminal(const struct talk_params *p, const struct script_vars *vars, struct err *e);

#endif
