/* mx: what `envoi mx` shows of a survey and its verdict, each form appended to a buf. Nothing is printed here, nothing
 * judged. */
#ifndef CMD_MX_H
#define CMD_MX_H

#include "base/buf.h"
#include "send/survey_judge.h"

/* For people: a head, a block for each host, problems, the verdict in the last line. */
void mx_table(const struct survey *s, const struct survey_verdict *v, struct buf *out);

/* All of it as one JSON object on one line. */
void mx_json(const struct survey *s, const struct survey_verdict *v, struct buf *out);

#endif
