/* show: renderers of the event stream. Each is opened on a hub and closed before it is freed; all are generic over the
 * event table. */
#ifndef SHOW_SHOW_H
#define SHOW_SHOW_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/event.h"

/* Text in the dialogue format: "C: …", "S: …", "# …". */
struct show_text {
    FILE *out;
    bool timings;
    bool content; /* the lines of the message too */
    bool several; /* "[2] " in front of what belongs to a connection */
    usec last;    /* set by show_text_open */
};
void show_text_open(struct show_text *t, struct hub *h); /* out and flags are set by the caller; borrowed until the hub
                                                            is freed */

/* The dialogue as swaks prints it: "=== ", "*** ", " -> ", " ~> ", "<-  ", "<~  ", "<** ", "<~* ", hex dumps "  > " and
 * "<  ". */
enum show_probe_silence { PROBE_LOUD, PROBE_UNTIL_ERROR, PROBE_ERRORS_ONLY, PROBE_SILENT }; /* -S 1, 2, 3 */
enum show_probe_lapse { PROBE_LAPSE_OFF, PROBE_LAPSE_EXACT, PROBE_LAPSE_SECONDS };
struct show_probe {
    FILE *out, *err;       /* transcript; "*** " lines */
    const char *target;    /* "127.0.0.1:25", "/path" or the child's command line, as said; borrowed */
    bool hide_send, hide_receive, hide_info, hide_all;
    bool no_send_hints, no_receive_hints, no_info_hints;
    bool no_data;          /* "N lines sent" in place of the message */
    bool raw;              /* hex dumps of what was written and read */
    bool decoded;          /* base64 of AUTH undone */
    int silence;           /* enum show_probe_silence */
    int lapse;             /* enum show_probe_lapse */
    bool child;            /* the target is a child process */
    /* private */
    unsigned connection;
    bool several, trying, tls, handshake, reply_open, open, seen_error;
    usec sent_at;
    long lines;
    struct buf held;       /* lines about a handshake that may still fail */
};
void show_probe_open(struct show_probe *p, struct hub *h); /* borrowed until the hub is freed */

/* A line of ours with "=== ", "*** " or, in place of the server's answer, "<** "; subject to the same rules. */
__attribute__((format(printf, 2, 3))) void show_probe_info(struct show_probe *p, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void show_probe_error(struct show_probe *p, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void show_probe_refusal(struct show_probe *p, const char *fmt, ...);

/* The end of a connection, when all is said about it: by_us, and not because something broke it. Of a handshake that
 * failed (up false) nothing is shown. */
void show_probe_tls_end(struct show_probe *p, bool up);
void show_probe_close(struct show_probe *p, bool by_us);

/* One JSON object per event and line: {"event":"client","t":0.001234,"connection":1,"line":"…"}. */
struct show_json { FILE *out; };
void show_json_open(struct show_json *j, struct hub *h);
void show_json_line(const struct event *ev, struct buf *out); /* one of them; appends */

/* A bar on a terminal while a message is sent: drawn from EV_PROGRESS, a few times a second, wiped at the end. Of
 * several connections side by side it shows the one that was first, until that has sent it. */
struct show_progress {
    FILE *out;
    int64_t least; /* messages up to so many octets get none */
    usec drawn;    /* set by show_progress_open, as are the next */
    unsigned connection;
    bool visible;
};
void show_progress_open(struct show_progress *p, struct hub *h);

/* One JSON object at the end: the fields of EV_RESULT, "recipients" (every EV_RECIPIENT), "server", "capabilities",
 * "replies" with their commands, "phases" (EV_PHASE), "tls", "certificates", "warnings". */
struct show_report;
struct show_report *show_report_open(struct hub *h);
void show_report_close(struct show_report *r, FILE *out); /* writes and frees; out NULL: only frees */

/* A JSON object and line for each message of a batch (EV_MESSAGE, with what EV_RECIPIENT and EV_RESULT said before), in
 * the order of their numbers: what is over before its turn is held. */
struct show_batch;
struct show_batch *show_batch_open(struct hub *h, FILE *out); /* both borrowed */
int show_batch_close(struct show_batch *b); /* errno of the first line that could not be written; 0: none */

/* A bar on a terminal while the messages of a batch go out: how many, how fast, how long still. */
struct show_batch_progress {
    FILE *out;
    /* private */
    usec drawn;
    int64_t octets, failed, n;
    bool visible;
};
void show_batch_progress_open(struct show_batch_progress *p, struct hub *h); /* borrowed until the hub is freed */
void show_batch_progress_wipe(struct show_batch_progress *p);

/* msmtp's log line from EV_RESULT: to a file (appended under a lock) or syslog. A failure to log becomes a warning on
 * stderr, never an error. */
struct show_log { const char *file; const char *time_format; const char *syslog_facility; const char *progname; };
void show_log_open(struct show_log *l, struct hub *h);

/* An err as people read it: "envoi: what\n  server: …\n  hint: …\n", wrapped never, control characters made visible.
 * Appends. */
void show_err(struct buf *out, const char *progname, const struct err *e);

#endif
