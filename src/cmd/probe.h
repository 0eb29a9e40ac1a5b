/* probe: one SMTP transaction under full control: swaks's job, with swaks's words. probe_options.c reads what was said
 * (command line, .swaksrc, environment, prompts), probe_plan.c makes a plan of it in the engine's terms (each subject
 * in a file of its own: probe_parts.h), probe_data.c the message; probe.c carries the plan out, show/show_probe.c
 * prints it, probe_load.c repeats it. */
#ifndef CMD_PROBE_H
#define CMD_PROBE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/event.h"
#include "base/strlist.h"
#include "conf/account.h"
#include "conf/option.h"
#include "mail/envelope.h"
#include "mail/message.h"
#include "send/deliver.h"
#include "send/route.h"
#include "show/show.h"

enum probe_job { PROBE_SEND, PROBE_DUMP, PROBE_DUMP_MAIL, PROBE_SUPPORT, PROBE_VERSION, PROBE_HELP };

struct probe_options; /* as said: probe_options.c */
struct probe_data;    /* how to make the message: probe_data.c */

/* All that a run needs to know. Everything is the plan's own. */
struct probe_plan {
    enum probe_job job;
    struct probe_options *said;
    struct account account;        /* bound: host, port, TLS, login, proxies, timeouts */
    struct route route;            /* where to, in order; empty: to the MX of mx_domain */
    char *mx_domain;               /* NULL: none */
    char *dns_server;              /* --dns-server: who is asked for the MX (send/mx.h); NULL: the system's */
    bool all_mx;                   /* every host and address is tried, each with its own dialogue */
    struct envelope env;
    struct deliver_probe probe;
    struct strlist xclient, mail_params, rcpt_params; /* what probe.session borrows: a plan stays where it was made */
    struct strlist aliases;        /* … and probe.aliases */
    struct strlist mechanisms;     /* named for the login, in their order; account.auth has them with commas between */
    struct buf preamble;           /* what probe borrows */
    char *preamble_line;
    struct probe_data *data;
    struct show_probe show;
    struct strlist warnings;       /* of what was said */
    char *output, *errors;         /* files for what would go to standard output and standard error; NULL: those */
    char *peer_cert, *peer_chain;  /* files for the server's certificate or chain (PEM); "-": with the transcript */
    bool json;
    long repeat, parallel;         /* transactions in all, and at once; 1, 1: one, with its transcript */
};

/* The rows of the command line. */
struct option_table probe_option_table(void);

/* Reads what was said, everywhere it can be said, asks on the terminal for what is missing, and makes the plan. false:
 * *e is set (exit 1). probe_plan_free is due in any case. */
bool probe_plan_make(struct probe_plan *p, int argc, char *const *argv, struct err *e);
void probe_plan_free(struct probe_plan *p);

/* The message of the plan, with its tokens filled in; for --repeat anew for each (%MESSAGEID%, %DATE%). */
bool probe_data_message(const struct probe_plan *p, struct message *m, struct err *e);

/* `--dump [SECTIONS]`, `--support`, for PROBE_DUMP and PROBE_SUPPORT; appends. */
void probe_dump(const struct probe_plan *p, struct buf *out);

/* The hops of a plan for a domain: its mail exchangers (probe_hops.c). */
bool probe_hops(struct probe_plan *p, struct hub *hub, struct err *e);

/* All addresses of the hop's host, where it has one; adds none where there is no answer. */
void probe_addresses(const struct hop *hop, const struct account *a, struct strlist *addresses);

/* Is the next hop tried behind one that ended so? Where no connection came about; with --all-mx in any case, and then
 * the first failure is the status of all. */
enum { PROBE_NO_CONNECTION = 2 };
bool probe_goes_on(const struct probe_plan *p, int status);
int probe_next_status(const struct probe_plan *p, int before, int status);

/* swaks's exit status for how a delivery ended (probe_exit.c), d NULL: before there was a connection; and what such a
 * status means. */
int probe_exit(const struct err *e, const struct deliver *d, const struct envelope *env, const struct probe_plan *p);
const char *probe_exit_meaning(int status);

/* An account's options that a hint names become those of a probe. */
void probe_exit_words(struct err *e);

/* Says with swaks's words what no line of the dialogue has said, and the hint. */
void probe_exit_tell(struct show_probe *show, const struct err *e, const struct probe_plan *p);

/* Its last part alone: the hint, where there is one. */
void probe_exit_hint(struct show_probe *show, const struct err *e);

/* --repeat and --parallel: runs them all in one poll loop, prints percentiles of each phase (a histogram on a terminal;
 * one JSON object with --json) to show.out, returns the worst exit status. SIGINT ends it with what was measured. */
int probe_load(struct probe_plan *p);

#endif
