/* deliver: serves a session's wants over a connection. It knows the account and the loop, and leaves every decision
 * about the order of the dialogue to the session. */
#include "send/deliver_private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_BLOCK = 16 << 10,
    SLOWEST_OCTETS_PER_SECOND = 16 << 10, /* `deadline auto`: a second more for so much of the message */
    TURNS = 64,                           /* wants served before deadlines and signals are looked at again */
};

static const usec CONNECT_TIMEOUT = 60 * USEC_PER_SEC;

static void phase(struct deliver *d, enum stage now)
{
    if (d->phase == now)
        return;
    usec t = clock_now();
    if (d->phase != STAGE_NONE)
        emit(d->p.hub, d->p.connection, EV_PHASE, F_STR("name", stage_word(d->phase)), F_INT("us", t - d->phase_start));
    d->phase = now;
    d->phase_start = t;
}

static void step_starts(struct deliver *d, usec timeout)
{
    d->step_deadline = clock_deadline(timeout);
}

const struct tls_facts *deliver_tls_now(const struct deliver *d)
{
    return stream_is_tls(d->stream) ? stream_tls_facts(d->stream) : NULL;
}

static bool finish(struct deliver *d)
{
    phase(d, STAGE_NONE);
    err_copy(&d->err, exchange_error(d->exchange));
    if (d->session)
        err_copy(&d->err, session_error(d->session));
    if (d->stream) {
        bool dropped = deliver_dropped(d);
        d->got = policy_got(d->p.hop->wanted, deliver_tls_now(d));
        (dropped ? stream_drop : stream_free)(d->stream);
        d->stream = NULL;
        emit(d->p.hub, d->p.connection, EV_CLOSED, F_STR("reason", dropped ? "dropped" : NULL));
    }
    d->state = FINISHED;
    return true;
}

static bool fail(struct deliver *d, struct err *e)
{
    if (d->session)
        session_fail(d->session, e);
    else
        err_move(&d->err, e);
    return finish(d);
}

/* ---- what moves, for whoever wants to see it ---- */

static void tell_octets(const struct deliver *d, bool sent, const char *p, size_t n)
{
    emit(d->p.hub, d->p.connection, EV_OCTETS, F_BOOL("sent", sent), F_STRN("octets", p, n));
}

/* The first n octets of iov. What AUTH says has a write of its own, and stays out of it. */
static void tell_written(const struct deliver *d, const struct iovec *iov, size_t n)
{
    struct buf text = BUF_INIT;
    if (session_stage(d->session) == STAGE_AUTH)
        buf_printf(&text, "[AUTH: %zu octets not shown]", n);
    else
        for (size_t part; n > 0; n -= part, iov++) {
            part = iov->iov_len < n ? iov->iov_len : n;
            buf_add(&text, iov->iov_base, part);
        }
    tell_octets(d, true, text.data, text.len);
    buf_free(&text);
}

static void tell_preamble(const struct deliver *d)
{
    if (d->probe.preamble_line)
        emit(d->p.hub, d->p.connection, EV_CLIENT, F_STR("line", d->probe.preamble_line));
    if (hub_wants(d->p.hub, EV_OCTETS))
        tell_octets(d, true, d->probe.preamble->data, d->probe.preamble->len);
}

/* ---- the wants ---- */

/* Each server of a want returns true when the task has to wait. */

bool deliver_read(struct deliver *d)
{
    char block[READ_BLOCK];
    struct err e = ERR_INIT;
    size_t n;
    switch (stream_read(d->stream, block, sizeof block, &n, &e)) {
    case IO_DONE:
        if (hub_wants(d->p.hub, EV_OCTETS))
            tell_octets(d, false, block, n);
        session_input(d->session, block, n);
        return false;
    case IO_AGAIN:
        return true;
    case IO_EOF:
        session_eof(d->session);
        return false;
    case IO_ERROR:
        session_fail(d->session, &e);
        return false;
    }
    return true;
}

static bool source_ready(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) != 0;
}

/* The run's deadline holds. */
bool deliver_source_waits(struct deliver *d, int fd)
{
    bool waits = fd >= 0 && !source_ready(fd);
    if (waits) {
        d->source_fd = fd;
        d->step_deadline = USEC_NEVER;
    } else if (d->step_deadline == USEC_NEVER) {
        d->step_deadline = 0; /* the peer's turn begins */
    }
    return waits;
}

/* The reason may be waiting to be read: "421 …" and the end. */
static void write_failed(struct deliver *d, struct err *e)
{
    while (session_next(d->session) != WANT_CLOSE && !deliver_read(d))
        ;
    session_fail(d->session, e);
}

static bool serve_flush(struct deliver *d)
{
    struct err e = ERR_INIT;
    if (!stream_pending(d->stream))
        return false;
    switch (stream_flush(d->stream, &e)) {
    case IO_AGAIN:
        d->writing = true;
        return true;
    case IO_ERROR:
        write_failed(d, &e);
        return false;
    case IO_DONE:
    case IO_EOF:
        break;
    }
    return false;
}

static bool serve_write(struct deliver *d)
{
    struct iovec iov[64];
    struct err e = ERR_INIT;
    size_t n;
    int count = session_output(d->session, iov, 64);
    switch (stream_writev(d->stream, iov, count, &n, &e)) {
    case IO_DONE:
        if (hub_wants(d->p.hub, EV_OCTETS))
            tell_written(d, iov, n);
        session_wrote(d->session, n);
        return false;
    case IO_AGAIN:
        d->writing = true;
        /* What the peer says meanwhile has to be heard, or both sides wait for ever. */
        return deliver_read(d);
    case IO_EOF:
    case IO_ERROR:
        write_failed(d, &e);
        return false;
    }
    return true;
}

static bool serve_read(struct deliver *d)
{
    serve_flush(d); /* what does not go out yet is waited for together with the answer */
    return deliver_read(d);
}

static void tell_progress(const struct deliver *d)
{
    const struct session_job *job = &d->now.job;
    int64_t total = job->size >= 0 ? job->size : job->size_about;
    emit(d->p.hub, d->p.connection, EV_PROGRESS, F_INT("octets", d->octets), F_INT_IF("total", total > 0, total));
}

static bool serve_body(struct deliver *d)
{
    struct err e = ERR_INIT;
    const char *block;
    size_t n;
    int fd = message_wait_fd(d->now.item.message);
    if (deliver_source_waits(d, fd))
        return deliver_read(d);
    if (fd >= 0 && message_pull(d->now.item.message, &e) && message_wait_fd(d->now.item.message) >= 0)
        return false;
    if (err_is_set(&e) || !message_next(d->now.item.message, &block, &n, &e)) {
        session_fail(d->session, &e);
        return false;
    }
    if (n > 0) {
        session_body(d->session, block, n);
        d->octets += (int64_t)n;
        if (hub_wants(d->p.hub, EV_PROGRESS))
            tell_progress(d);
        if (d->run_deadline != USEC_NEVER)
            d->run_deadline += (usec)n * USEC_PER_SEC / SLOWEST_OCTETS_PER_SECOND;
    } else {
        session_body_end(d->session);
    }
    return false;
}

/* Who only looks at a server wants to see all of it. */
static void name_session(struct deliver *d)
{
    if (!d->p.look && !d->p.probe && !d->p.hop->afresh
        && deliver_tls_session_name(d->p.account, d->p.hop, &d->tls, &d->session_name))
        d->tls.session_name = d->session_name.data;
}

/* true: wait. */
static bool serve_tls(struct deliver *d, struct err *e)
{
    if (!stream_tls_facts(d->stream)) /* it begins */
        name_session(d);
    switch (stream_tls_client(d->stream, &d->tls, e)) {
    case IO_AGAIN:
        return true;
    case IO_DONE:
        deliver_tls_tell(d->p.hub, d->p.connection, stream_tls_facts(d->stream));
        return false;
    case IO_EOF:
    case IO_ERROR:
        d->offered = stream_tls_facts(d->stream) && stream_tls_facts(d->stream)->offered;
        deliver_tls_tell(d->p.hub, d->p.connection, stream_tls_facts(d->stream));
        err_stage(e, STAGE_TLS);
        return false;
    }
    return false;
}

static bool serve_starttls(struct deliver *d)
{
    struct err e = ERR_INIT;
    if (serve_flush(d) || serve_tls(d, &e))
        return true;
    if (err_is_set(&e))
        session_fail(d->session, &e);
    else
        session_tls_up(d->session);
    return false;
}

static bool talk(struct deliver *d)
{
    for (int turn = 0; turn < TURNS; turn++) {
        deliver_job_ahead(d);
        enum want want = session_next(d->session);
        if (session_step_id(d->session) != d->step_id || d->step_deadline == 0) {
            d->step_id = session_step_id(d->session);
            step_starts(d, session_timeout(d->session));
        }
        phase(d, session_stage(d->session));
        bool wait = false;
        switch (want) {
        case WANT_READ:
            wait = serve_read(d);
            break;
        case WANT_WRITE:
            wait = serve_write(d);
            break;
        case WANT_BODY:
            wait = serve_body(d);
            break;
        case WANT_TLS:
            wait = serve_starttls(d);
            break;
        case WANT_AUTH:
            exchange_serve(d->exchange, d->session, d->stream);
            break;
        case WANT_JOB:
            wait = deliver_job(d);
            break;
        case WANT_CLOSE:
            wait = session_dropped(d->session) && clock_now() < d->step_deadline && serve_flush(d);
            if (wait) /* what is followed by a drop must have left before it */
                break;
            deliver_keep_queue_id(d);
            serve_flush(d);
            return finish(d);
        }
        if (wait)
            return false;
    }
    d->turned = true;
    return false;
}

/* ---- the task ---- */

static void start_session(struct deliver *d)
{
    const struct account *a = d->p.account;
    const struct session_params params = {
        .lmtp = a->protocol == ACCOUNT_LMTP,
        .domain = a->domain ? a->domain : "localhost",
        .tls = d->p.hop->tls,
        .auth = !d->p.look && !d->p.hop->exchanger && strcmp(a->auth, "off") != 0,
        .etrn = d->p.etrn,
        .all_or_nothing = a->all_or_nothing,
        .requiretls = a->requiretls && (d->p.env || d->p.feed),
        .timeout = a->timeout,
        .over = d->p.feed ? deliver_job_over : NULL,
        .over_ctx = d,
        .probe = d->probe.session,
        .hub = d->p.hub,
        .connection = d->p.connection,
    };
    d->session = session_new(&params);
    d->state = TALKING;
    d->step_deadline = 0;
}

/* true: that was all. */
static bool connected(struct deliver *d)
{
    d->family = dial_family(d->dial, &d->other_family);
    d->stream = dial_take(d->dial);
    dial_free(d->dial);
    d->dial = NULL;
    if (d->p.hop->open_within > 0)
        d->open_by = clock_deadline(d->p.hop->open_within);
    if (d->probe.preamble)
        tell_preamble(d);
    if (d->probe.stop_after_preamble) {
        d->stopped = true;
        return finish(d);
    }
    if (d->p.hop->tls == SESSION_TLS_IMPLICIT) {
        d->state = HANDSHAKE;
        phase(d, STAGE_TLS);
        step_starts(d, d->p.account->timeout > 0 ? d->p.account->timeout : CONNECT_TIMEOUT);
    } else {
        start_session(d);
    }
    return false;
}

/* Of a way that has to prove itself; USEC_NEVER once it has. */
static usec opening_deadline(const struct deliver *d)
{
    const enum session_tls tls = d->p.hop->tls;
    bool in_clear = tls == SESSION_TLS_OFF || tls == SESSION_TLS_MAY;
    bool open = deliver_is_tls(d) || (in_clear && d->phase > STAGE_GREETING && d->phase != STAGE_TLS);
    return open ? USEC_NEVER : d->open_by;
}

static void run_timed_out(struct deliver *d, struct err *e)
{
    d->out_of_time = true;
    err_set(e, FAULT_TIMEOUT, "the deadline for the whole run passed%s%s", d->phase == STAGE_NONE ? "" : " ",
            d->phase == STAGE_NONE ? "" : stage_phrase(d->phase));
    err_hint(e, "'deadline' sets how long a run may take");
    err_stage(e, d->phase);
}

/* A deadline is looked at before anything else, so that a peer that sends an octet now and then does not get round
 * it. */
static bool overdue(struct deliver *d)
{
    struct err e = ERR_INIT;
    usec now = clock_now();
    if (now >= usec_min(d->p.deadline, d->run_deadline)) {
        run_timed_out(d, &e);
        return fail(d, &e);
    }
    if (d->state == DIALLING || d->step_deadline == 0 || now < usec_min(d->step_deadline, opening_deadline(d)))
        return false;
    if (d->state == TALKING) {
        session_timed_out(d->session);
        return false;
    }
    err_set(&e, FAULT_TIMEOUT, "the TLS handshake did not end in time");
    err_hint(&e, "port %d may not speak TLS from the start; try 'tls_starttls on'", d->p.hop->port);
    err_stage(&e, STAGE_TLS);
    return fail(d, &e);
}

/* true: that was all. */
static bool go_on(struct deliver *d)
{
    struct err e = ERR_INIT;
    d->writing = d->turned = false;
    d->source_fd = -1;
    d->idle_until = USEC_NEVER;
    if (overdue(d))
        return true;
    if (d->state == DIALLING) {
        switch (dial_step(d->dial, &e)) {
        case IO_AGAIN:
            return false;
        case IO_DONE:
            if (connected(d))
                return true;
            break;
        case IO_EOF:
        case IO_ERROR:
            return fail(d, &e);
        }
    }
    if (d->state == HANDSHAKE) {
        if (serve_tls(d, &e))
            return false;
        if (err_is_set(&e))
            return fail(d, &e);
        start_session(d);
    }
    return talk(d);
}

/* The library takes a millisecond to load, in which the peer is waited for anyway. */
static bool step(struct task *t)
{
    struct deliver *d = (struct deliver *)t;
    struct err e = ERR_INIT;
    return go_on(d) || (d->p.hop->tls != SESSION_TLS_OFF && !tls_load(&e) && fail(d, &e));
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct deliver *d = (const struct deliver *)t;
    pollset_until(ps, usec_min(d->p.deadline, d->run_deadline));
    if (d->state == DIALLING) {
        dial_waits(d->dial, ps);
        return;
    }
    pollset_until(ps, d->turned ? 0 : usec_min(d->step_deadline, opening_deadline(d)));
    stream_waits(d->stream, true, d->writing, ps);
    pollset_until(ps, d->idle_until);
    if (d->source_fd >= 0)
        pollset_add(ps, d->source_fd, POLLIN);
}

struct dial_params deliver_dial_params(const struct account *a, const struct hop *hop)
{
    const int wanted = a->ipv4_only ? AF_INET : a->ipv6_only ? AF_INET6 : AF_UNSPEC;
    const bool by_address = hop->exchanger && a->proxy_type != PROXY_NONE; /* the lookup was ours, and validated */
    const usec patience = a->timeout > 0 ? a->timeout : CONNECT_TIMEOUT;
    return (struct dial_params){
        .host = by_address ? hop->address : hop->host,
        .address = hop->address,
        .port = hop->port,
        .mss = hop->mss,
        .fast_open = a->tcp_fast_open,
        .unix_path = hop->socket,
        .command = hop->command.n > 0 ? hop->command.v : NULL,
        .family = hop->family ? hop->family : wanted,
        .source_ip = a->source_ip,
        .proxy = (enum proxy_type)a->proxy_type,
        .proxy_host = a->proxy_host,
        .proxy_port = (int)a->proxy_port,
        .proxy_user = a->proxy_user,
        .proxy_password = a->proxy_password,
        .deadline = clock_deadline(hop->connect_within > 0 ? usec_min(hop->connect_within, patience) : patience),
    };
}

static struct dial *start_dial(const struct deliver *d)
{
    struct dial_params dial = deliver_dial_params(d->p.account, d->p.hop);
    dial.source_port = d->probe.source_port;
    dial.preamble = d->probe.preamble;
    dial.hub = d->p.hub;
    dial.connection = d->p.connection;
    return dial_start(&dial);
}

struct deliver *deliver_new(const struct deliver_params *p)
{
    struct deliver *d = xcalloc(1, sizeof *d);
    *d = (struct deliver){ .task = { step, waits }, .p = *p, .now.item = { p->env, p->message, true }, .source_fd = -1,
                           .idle_until = USEC_NEVER, .open_by = USEC_NEVER };
    if (p->probe)
        d->probe = *p->probe;
    d->run_deadline = p->deadline == USEC_NEVER ? clock_deadline(DELIVER_RUN_SECONDS * USEC_PER_SEC) : USEC_NEVER;
    const struct exchange_params exchange = {
        .account = p->account, .hop = p->hop, .credentials = p->credentials, .probe = p->probe, .hub = p->hub,
        .connection = p->connection,
    };
    d->exchange = exchange_new(&exchange);
    d->tls = deliver_tls_params(p->account, p->hop, p->credentials);
    d->tls.tolerate |= p->look || d->probe.any_certificate;
    d->tls.verify |= d->tls.tolerate;
    d->tls.sni = d->probe.sni;
    d->tls.any_name = d->probe.any_name;
    d->tls.any_issuer = d->probe.any_issuer;
    d->tls.describe = hub_wants(p->hub, EV_CERTIFICATE);
    d->tls.keep_pem = d->probe.keep_pem;
    buf_init(&d->session_name);
    phase(d, STAGE_CONNECT);
    d->dial = start_dial(d);
    return d;
}

struct task *deliver_task(struct deliver *d)
{
    return &d->task;
}

void deliver_run(struct deliver *d, struct err *e)
{
    struct task *task = &d->task;
    int number = 0;
    if (!loop_run(&task, 1, &number)) {
        struct err interrupted = ERR_INIT;
        deliver_interrupted(number, &interrupted);
        deliver_abort(d, &interrupted);
    }
    deliver_result(d, e);
}

void deliver_interrupted(int signal_number, struct err *e)
{
    err_set(e, FAULT_INTERRUPTED, "interrupted by signal %d (%s)", signal_number, strsignal(signal_number));
}

void deliver_result(const struct deliver *d, struct err *e)
{
    err_copy(e, &d->err);
}

void deliver_abort(struct deliver *d, struct err *e)
{
    if (d->state != FINISHED)
        fail(d, e);
}

const struct reply *deliver_etrn_reply(const struct deliver *d)
{
    const struct reply *r = d->session ? session_etrn_reply(d->session) : NULL;
    return r && r->code ? r : NULL;
}

const char *deliver_queue_id(const struct deliver *d)
{
    return d->queue_id;
}

struct hop_end deliver_hop_end(const struct deliver *d)
{
    return (struct hop_end){ .err = &d->err, .family = d->family, .other_family = d->other_family,
                             .out_of_time = d->out_of_time, .offered = d->offered };
}

bool deliver_is_tls(const struct deliver *d)
{
    return d->session && session_is_tls(d->session);
}

enum tls_level deliver_level(const struct deliver *d)
{
    return d->got;
}

bool deliver_dropped(const struct deliver *d)
{
    return d->stopped || (d->session && session_dropped(d->session));
}

bool deliver_had_xclient(const struct deliver *d)
{
    return d->session && session_had_xclient(d->session);
}

int64_t deliver_octets(const struct deliver *d)
{
    return d->octets;
}

void deliver_free(struct deliver *d)
{
    if (!d)
        return;
    dial_free(d->dial);
    stream_free(d->stream);
    session_free(d->session);
    exchange_free(d->exchange);
    free(d->now.slice);
    free(d->ahead.slice);
    free(d->queue_id);
    buf_free(&d->session_name);
    err_clear(&d->err);
    free(d);
}
