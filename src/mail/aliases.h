/* aliases: the aliases file (aliases(5) of sendmail and Postfix): local names, and where their mail goes.
 *
 *     name: target, target …      # comment
 *         more targets             a line that begins with a blank continues the one before
 *     target = address | name | \name | :include:/file | /file | |command
 *
 * Names are compared without regard to case and may be quoted; `name@host` is the local name where the host is this
 * one. `default` is for local names that are not in the file. `\name` and a name among its own targets are not looked
 * up again. */
#ifndef MAIL_ALIASES_H
#define MAIL_ALIASES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strlist.h"
#include "mail/envelope.h"

enum {
    ALIASES_SIZE_MAX = 16 << 20,  /* octets of the file, and of one that is included */
    ALIASES_INCLUDE_DEPTH_MAX = 8,
    ALIASES_DEPTH_MAX = 100, /* aliases on the way to an address */
};

enum alias_kind { ALIAS_ADDRESS, ALIAS_INCLUDE, ALIAS_FILE, ALIAS_PIPE };

struct alias_target {
    enum alias_kind kind;
    char *text; /* own: the address, the path or the command */
    bool last;  /* written with a backslash: not looked up again */
    int line;
};

struct alias_targets {
    struct alias_target *v; /* own */
    size_t n, cap;
};

struct alias {
    char *name; /* own: without quotes; NULL domain: any of ours */
    char *host; /* own or NULL: what stands behind its @ */
    int line;
    struct alias_targets targets;
};

struct aliases {
    char *file; /* own: for messages */
    struct alias *v; /* own, in the order of the file */
    size_t n, cap;
    struct alias **sorted; /* own: the same by name, so that one is found without a look at each */
    struct strlist warnings; /* own: "file:line: …" */
};

#define ALIASES_INIT { 0 }

/* Text already in memory. Errors (FAULT_CONFIG): "file:line:column: what". a is empty before; aliases_free is due in
 * any case. */
bool aliases_parse(struct aliases *a, const char *file, const char *text, size_t n, struct err *e);

bool aliases_read(struct aliases *a, const char *path, struct err *e);
void aliases_free(struct aliases *a);

/* Adds to env everybody whom mail to the address goes to: itself when it is not local or has no alias. `hosts` are the
 * names of this machine: `root@host` is looked up as `root`, but `default` is for names without a domain only. Names
 * may stay without a domain. Files and commands get nothing: each adds a line to `notes`; where they are all there is,
 * that is an error, as are aliases that lead back to themselves or through more than ALIASES_DEPTH_MAX others, and
 * included files that cannot be read (FAULT_CONFIG). */
bool aliases_expand(const struct aliases *a, const struct strlist *hosts, const char *address, struct envelope *env,
                    struct strlist *notes, struct err *e);

/* The same for what row i of the file leads to, which may be nobody: how the file is checked. */
bool aliases_follow(const struct aliases *a, size_t i, const struct strlist *hosts, struct envelope *env,
                    struct strlist *notes, struct err *e);

#endif
