/* probe_parts: the pieces of a plan that are worth a file of their own. */
#ifndef CMD_PROBE_PARTS_H
#define CMD_PROBE_PARTS_H

#include "cmd/probe.h"
#include "cmd/probe_said.h"
#include "conf/settings.h"

/* probe_target.c: the hop, and what the account has to know of it. hop->port is the protocol's own port before. */
bool probe_one_target(const struct probe_options *said, struct err *e);
bool probe_target(struct probe_plan *p, struct settings *account, struct hop *hop, struct err *e);

/* probe_dialogue.c: all but HELO, which is the protocol's; does it come to RCPT? */
bool probe_stops(struct probe_plan *p, struct err *e);
bool probe_comes_to_rcpt(const struct probe_plan *p);
void probe_dialogue(struct probe_plan *p);

/* probe_output.c: also of what was read before an option was found wrong. */
void probe_output(struct probe_plan *p);

/* probe_proxy.c: the PROXY header (HAProxy's proxy-protocol.txt, 2.1 and 2.2) into p->preamble and p->preamble_line.
 * What is wrong is FAULT_USAGE at STAGE_PROXY. */
bool probe_proxy(struct probe_plan *p, struct err *e);

/* probe_tls.c: what the TLS options say, into the account's settings and p->probe. */
bool probe_tls(struct probe_plan *p, struct settings *account, struct err *e);

/* probe_login.c: mechanisms, user and password; asks for what is missing. `tls` is the hop's. probe_login_finish is for
 * what the account's rows cannot hold, once it is bound. */
bool probe_login(struct probe_plan *p, struct settings *account, enum session_tls tls, bool wanted, struct err *e);
void probe_login_finish(struct probe_plan *p);

/* probe_data.c */
bool probe_data_plan(struct probe_plan *p, struct err *e);
void probe_data_free(struct probe_data *d);

/* probe_dump.c: `wanted` is a list of sections, NULL: all. As a body: without what would hold itself. */
void probe_dump_sections(const struct probe_plan *p, const char *wanted, bool as_body, bool password, struct buf *out);

/* Says a row of the account's table, with the origin of what said it. NULL: of the program. */
bool probe_say(struct settings *account, const char *name, const char *value, const struct saying *s, struct err *e);

#endif
