/* script: a dialogue made into steps for a player, by the player's table of directives. It knows words, arguments and
 * blocks, and not what anybody does with them: talk plays the client's side (cmd/talk_steps.c), the sink the server's
 * (cmd/sink_script.c). */
#ifndef SMTP_SCRIPT_H
#define SMTP_SCRIPT_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/strlist.h"
#include "smtp/dialogue.h"

enum play { PLAY_NEXT, PLAY_WAIT, PLAY_END };

enum script_argument {
    SCRIPT_LINE,         /* a line to be said, or an expectation */
    SCRIPT_NONE,
    SCRIPT_SECONDS,
    SCRIPT_OCTETS,       /* text or "quoted" */
    SCRIPT_COUNT,        /* a number or nothing: -1 */
    SCRIPT_COUNT_OCTETS,
    SCRIPT_WORDS,        /* so many words as there are */
    SCRIPT_NAME_OCTETS,  /* the name of a variable, and its value */
};

enum script_block { SCRIPT_NO_BLOCK, SCRIPT_OPENS, SCRIPT_CLOSES };

struct player; /* whoever plays: each has its own */
struct script_step;

struct script_op {
    const char *word;     /* of the directive; NULL: a line */
    enum script_argument argument;
    bool flushes;         /* what was said before has to be written first */
    enum script_block block;
    enum play (*run)(struct player *p, const struct script_step *s);
    const char *synopsis; /* of its argument, for help */
    const char *help;     /* one line */
};

struct script_step {
    const struct script_op *op;
    const char *line;     /* borrowed: the line's text, or the directive's argument as written */
    int number;           /* of the line */
    struct buf octets;    /* own */
    struct strlist words; /* SCRIPT_WORDS; SCRIPT_NAME_OCTETS: the name */
    long long count;
    usec time;
    size_t partner;       /* of a block's two ends: the other */
    regex_t *pattern;     /* own: of an expectation between slashes; NULL: none */
};

/* Variables stand in the lines and octets of a script that sets one, by @set or a group of a pattern, or for which
 * the caller has set one: $NAME, ${NAME}, and $$ for a dollar. In any other script a dollar is a dollar, so that a
 * transcript plays as it is. */
struct script_vars {
    struct strlist names, values;
};

struct script {
    char *name;         /* own: for messages */
    struct dialogue dialogue;
    struct script_step *v; /* own */
    size_t n;
    bool variables;
};

struct script_params {
    const char *name;               /* for messages */
    const char *whose;              /* "the sink" */
    const struct script_op *ops;    /* ends with a row without a word */
    const struct script_op *client; /* what a line of the client is */
    const struct script_op *server;
    const struct script_vars *vars; /* set before the first line; NULL: none */
    bool plain;                     /* a line without prefix is the client's */
};

/* NULL: *e is set: FAULT_CONFIG, "name:line: what". */
struct script *script_compile(const struct script_params *p, const char *text, size_t n, struct err *e);
void script_free(struct script *s); /* NULL is allowed */

void script_set(struct script_vars *v, const char *name, const char *value);
const char *script_get(const struct script_vars *v, const char *name); /* NULL: not set */
void script_vars_free(struct script_vars *v);

/* SCRIPT_NAME_OCTETS is played. false: the value is longer than SCRIPT_VALUE_MAX, as of one that doubles
 * itself in a loop. */
enum { SCRIPT_VALUE_MAX = 256 << 10 };
bool script_assign(const struct script *s, const struct script_step *step, struct script_vars *v);

/* Is it a letter or '_', and more of them and digits? */
bool script_is_name(const char *name, size_t n);

/* Appends text with its variables replaced. */
void script_expand(const struct script *s, const struct script_vars *v, const char *text, size_t n, struct buf *out);

/* Does the line hold what the step expects: its beginning, or its pattern? Groups of the pattern set $1 to $9. */
bool script_match(const struct script *s, const struct script_step *step, struct script_vars *v, const char *line);

#endif
