/* diagnose: what `envoi diagnose` shows of a scene and its verdict, each form appended to a buf. Nothing is printed
 * here, nothing judged. */
#ifndef CMD_DIAGNOSE_H
#define CMD_DIAGNOSE_H

#include <stdbool.h>

#include "base/buf.h"
#include "send/scene.h"
#include "send/verdict.h"

/* Word, cause, remedy, what to write, evidence. */
void diagnose_text(const struct scene *s, const struct verdict *v, struct buf *out);

/* For terminals, 80 columns: a line for each look-up and each address and port, with a bar of letters for the time of
 * each phase. */
void diagnose_table(const struct scene *s, bool colour, struct buf *out);

/* Every observation as one JSON object on one line. */
void diagnose_json(const struct scene *s, const struct verdict *v, struct buf *out);

/* A whole page that needs nothing else. */
void diagnose_html(const struct scene *s, const struct verdict *v, struct buf *out);

/* "works", "silent", "tls: timeout": what came of a sight, in at most 20 letters or so. Appends. */
void diagnose_outcome(const struct scene *s, const struct sight *v, struct buf *out);

/* The time that fills a bar: of what connected, the slowest. */
usec diagnose_longest(const struct scene *s);

/* The phases that are drawn. */
struct diagnose_phase {
    enum stage stage;
    char letter;
    const char *name;
    const char *colour;   /* of a terminal (SGR parameters) */
    const char *fill;     /* of a page */
};
extern const struct diagnose_phase diagnose_phases[]; /* ends with letter 0 */
const struct diagnose_phase *diagnose_phase_of(enum stage stage); /* NULL: it is not drawn */

#endif
