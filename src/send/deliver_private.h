/* deliver_private: a delivery, shared by the files that make it up: deliver.c (the connection and the wants),
 * deliver_jobs.c (which message is sent next, and to whom at once). Nobody else includes it. */
#ifndef SEND_DELIVER_PRIVATE_H
#define SEND_DELIVER_PRIVATE_H

#include "net/stream.h"
#include "send/deliver.h"
#include "send/exchange.h"

enum {
    DELIVER_RUN_SECONDS = 15 * 60, /* `deadline auto`: so long for the dialogue of a message, beside its octets */
};

enum deliver_state { DIALLING, HANDSHAKE, TALKING, FINISHED };

/* A message, and the transaction that it has now. */
struct errand {
    struct deliver_item item; /* env NULL: none */
    size_t *slice;            /* own: the recipients of the job */
    struct session_job job;
};

struct deliver {
    struct task task;
    struct deliver_params p;
    struct deliver_probe probe; /* all zero: none */
    enum deliver_state state;
    struct dial *dial;
    struct stream *stream;
    struct session *session;
    struct tls_params tls;
    struct buf session_name;
    bool offered;           /* a session of an earlier run, in vain */
    struct exchange *exchange;
    struct errand now;
    struct errand ahead;    /* of a feed: the next, asked for before the present one was over */
    size_t transactions;
    bool job_open;
    bool fed;               /* the present message is a feed's, and not over yet */
    usec idle_until;        /* the feed has nothing before; USEC_NEVER: not known, or not idle */
    int source_fd;          /* what the next block waits for; -1: nothing */
    bool writing;           /* the stream is full */
    bool turned;            /* there is more to do at once */
    bool stopped;           /* by the probe, before there was a session */
    usec step_deadline;
    unsigned step_id;
    usec run_deadline;      /* `deadline auto`: grows with the message */
    usec open_by;           /* greeting and TLS are due */
    bool out_of_time;       /* … the run's */
    int family, other_family;
    enum stage phase;
    usec phase_start;
    enum tls_level got;
    char *queue_id;
    int64_t octets;
    struct err err;
};

/* deliver.c */
bool deliver_read(struct deliver *d);                 /* true: there is nothing to be read now */
bool deliver_source_waits(struct deliver *d, int fd); /* has the source nothing yet? Its sender may take his time */
const struct tls_facts *deliver_tls_now(const struct deliver *d); /* NULL: in clear */

/* deliver_jobs.c */
bool deliver_job(struct deliver *d);        /* serves WANT_JOB; true: wait */
void deliver_job_ahead(struct deliver *d);  /* gives the session its next job as soon as it takes it */
void deliver_job_over(void *ctx);           /* session_params.over, of a struct deliver */
void deliver_keep_queue_id(struct deliver *d);

#endif
