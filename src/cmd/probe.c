/* probe: carries out the plan: one transaction over each hop, its transcript, and swaks's exit status. What was asked
 * for is probe_plan.c's to know, how it ended probe_exit.c's. */
#include "cmd/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/version.h"
#include "send/credentials.h"
#include "send/hint.h"
#include "send/postmortem.h"
#include "send/report.h"

struct run {
    struct probe_plan plan;
    struct hub hub;
    struct credentials credentials;
    struct message message;
    struct show_report *report;
    FILE *out, *errors;   /* borrowed or own: see files_close */
    FILE *cert, *chain;   /* own or NULL */
    usec started;
    size_t hops;          /* how many there are to choose from now */
    unsigned connections;
    bool told;            /* why this connection failed */
};

/* ---- where things go ---- */

/* swaks names the streams themselves as Perl's open does. */
static FILE *standard_stream(const char *path)
{
    return strcmp(path, "&STDOUT") == 0 ? stdout : strcmp(path, "&STDERR") == 0 ? stderr : NULL;
}

static bool open_named(const char *path, int flags, FILE **f, struct err *e)
{
    if (!path || strcmp(path, "-") == 0)
        return true;
    if (standard_stream(path)) {
        *f = standard_stream(path);
        return true;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        return err_sys(e, FAULT_CANT_CREATE, errno, "cannot write to '%s'", path);
    *f = fdopen(fd, "w");
    return true;
}

/* Transcript and errors; where one cannot be opened it goes where it went without being named. */
static bool streams_open(struct run *r, struct err *e)
{
    const struct probe_plan *p = &r->plan;
    bool ok = open_named(p->output, O_APPEND, &r->out, e);
    if (ok && p->output && p->errors && strcmp(p->output, p->errors) == 0)
        r->errors = r->out;
    else
        ok = ok && open_named(p->errors, O_APPEND, &r->errors, e);
    r->plan.show.out = r->out;
    r->plan.show.err = r->errors;
    return ok;
}

static bool certificates_open(struct run *r, struct err *e)
{
    return open_named(r->plan.peer_cert, O_TRUNC, &r->cert, e) && open_named(r->plan.peer_chain, O_TRUNC, &r->chain, e);
}

static void close_own(FILE *f)
{
    if (f && f != stdout && f != stderr)
        fclose(f);
}

static void files_close(struct run *r)
{
    if (r->errors != r->out)
        close_own(r->errors);
    close_own(r->out);
    close_own(r->cert);
    close_own(r->chain);
}

/* ---- listeners ---- */

static void keep_pem(struct run *r, const char *path, FILE *f, const char *pem)
{
    if (f)
        fputs(pem, f);
    else if (path)
        show_probe_info(&r->plan.show, "%s", pem);
}

static void on_certificate(void *ctx, const struct event *ev)
{
    struct run *r = ctx;
    const struct field *pem = event_field(ev, "pem"), *depth = event_field(ev, "depth");
    if (!pem || !pem->s)
        return;
    size_t n = pem->len;
    while (n > 0 && pem->s[n - 1] == '\n')
        n--;
    char *text = xasprintf("%.*s", (int)n, pem->s);
    if (!depth->i)
        keep_pem(r, r->plan.peer_cert, r->cert, text);
    keep_pem(r, r->plan.peer_chain, r->chain, text);
    free(text);
}

/* The one object is all that --json leaves on standard output. */
static void listen_to_events(struct run *r)
{
    struct show_probe *show = &r->plan.show;
    if (r->plan.json) {
        show->out = r->errors;
        r->report = show_report_open(&r->hub);
        show->silence = show->silence < PROBE_ERRORS_ONLY ? PROBE_ERRORS_ONLY : show->silence;
    }
    show_probe_open(show, &r->hub);
    if (r->plan.peer_cert || r->plan.peer_chain)
        hub_listen(&r->hub, EV_MASK(EV_CERTIFICATE), on_certificate, r);
}

/* Once for a connection: when it is given up, or when it is over. */
static void tell_failure(struct run *r, const struct err *e)
{
    if (!r->told)
        probe_exit_tell(&r->plan.show, e, &r->plan);
    else if (route_was_cut(e))
        probe_exit_hint(&r->plan.show, e);
    r->told = r->told || err_is_set(e);
}

/* Before QUIT. What is behind it that there is no TLS is looked into once the connection is over. */
static void leaving(void *ctx, const struct err *e)
{
    struct run *r = ctx;
    struct err shown = ERR_INIT;
    err_copy(&shown, e);
    hint_add(&shown);
    if (route_was_cut(&shown)) {
        free(shown.hint);
        shown.hint = NULL;
    }
    credentials_mask(&r->credentials, &shown);
    probe_exit_words(&shown);
    if (!r->told)
        tell_failure(r, &shown);
    err_clear(&shown);
}

/* ---- the hops ---- */

/* The target as it was said, where there is only one. */
static char *hop_name(const struct run *r, const struct hop *hop)
{
    if (r->plan.show.target && r->hops == 1)
        return xstrdup(r->plan.show.target);
    return hop->socket ? xstrdup(hop->socket) : xasprintf("%s:%d", hop->host, hop->port);
}

static void tell_result(struct run *r, const struct deliver *d, const struct hop *hop, const struct err *e, int status)
{
    const unsigned connection = r->connections;
    const bool ok = !err_is_set(e);
    report_recipients(&r->plan.env, &r->hub, connection);
    emit(&r->hub, connection, EV_RESULT, F_STR("host", hop->socket ? hop->socket : hop->host),
         F_INT_IF("port", hop->host, hop->port), F_STR("from", r->plan.env.sender),
         F_INT("mailsize", deliver_octets(d)), F_STR("errormsg", e->text), F_STR("smtpmsg", e->server),
         F_STR("hint", e->hint), F_INT("exit", status), F_STR("meaning", probe_exit_meaning(status)),
         F_STR("fault", ok ? NULL : fault_word(e->fault)), F_STR("stage", ok ? NULL : stage_word(e->stage)),
         F_STR("queueid", deliver_queue_id(d)), F_INT("ms", (clock_now() - r->started) / 1000));
}

static int deliver_over(struct run *r, const struct hop *hop)
{
    struct probe_plan *p = &r->plan;
    const char *said = p->show.target;
    const unsigned connection = ++r->connections;
    struct err e = ERR_INIT;
    const struct deliver_params params = {
        .account = &p->account,
        .hop = hop,
        .env = &p->env,
        .message = &r->message,
        .probe = &p->probe,
        .credentials = &r->credentials,
        .hub = &r->hub,
        .connection = connection,
        .deadline = r->credentials.deadline,
    };
    char *name = hop_name(r, hop);
    envelope_reset(&p->env);
    r->told = false;
    p->show.child = hop->command.n > 0;
    p->show.target = name;
    struct deliver *d = deliver_new(&params);
    deliver_run(d, &e);
    if (!p->all_mx && hop == &p->route.v[p->route.n - 1])
        postmortem(&p->account, hop, params.deadline, &e);
    hint_add(&e);
    credentials_mask(&r->credentials, &e);
    int status = probe_exit(&e, d, &p->env, p);
    probe_exit_words(&e);
    bool broken = e.fault == FAULT_LOST || e.stage == STAGE_TLS;
    show_probe_tls_end(&p->show, e.stage != STAGE_TLS);
    tell_failure(r, &e);
    show_probe_close(&p->show, !broken);
    tell_result(r, d, hop, &e, status);
    deliver_free(d);
    err_clear(&e);
    p->show.target = said;
    free(name);
    return status;
}

/* Each address is a hop of its own; the certificate is still to be for the host. */
static int deliver_to_addresses(struct run *r, const struct hop *hop)
{
    struct account *a = &r->plan.account;
    struct strlist addresses = STRLIST_INIT;
    bool named = a->tls_host_override != NULL;
    int status = 0;
    probe_addresses(hop, a, &addresses);
    if (addresses.n <= 1)
        status = deliver_over(r, hop);
    for (size_t i = 0; addresses.n > 1 && i < addresses.n; i++) {
        const struct hop one = { .host = addresses.v[i], .port = hop->port, .tls = hop->tls, .verify = hop->verify };
        show_probe_info(&r->plan.show, "Address %zu of %zu of %s: %s", i + 1, addresses.n, hop->host, one.host);
        if (!named)
            a->tls_host_override = hop->host;
        r->hops = addresses.n;
        status = probe_next_status(&r->plan, status, deliver_over(r, &one));
        if (!named)
            a->tls_host_override = NULL;
    }
    strlist_free(&addresses);
    return status;
}

static int deliver_all(struct run *r)
{
    const struct probe_plan *p = &r->plan;
    const struct route *route = &p->route;
    int status = 0;
    for (size_t i = 0; i < route->n && (i == 0 || probe_goes_on(p, status)); i++) {
        const struct hop *hop = &route->v[i];
        r->hops = route->n;
        if (route->n > 1)
            show_probe_info(&r->plan.show, "Host %zu of %zu: %s", i + 1, route->n, hop->host ? hop->host : hop->socket);
        status = probe_next_status(p, status, p->all_mx ? deliver_to_addresses(r, hop) : deliver_over(r, hop));
    }
    return status;
}

/* ---- the jobs ---- */

/* Before there was a connection. */
static int fail(struct run *r, struct err *e)
{
    int status = probe_exit(e, NULL, &r->plan.env, &r->plan);
    probe_exit_words(e);
    if (r->plan.json && !r->report)
        r->report = show_report_open(&r->hub);
    if (r->report)
        emit(&r->hub, 0, EV_RESULT, F_STR("errormsg", e->text), F_STR("hint", e->hint), F_INT("exit", status),
             F_STR("meaning", probe_exit_meaning(status)), F_STR("fault", fault_word(e->fault)));
    probe_exit_tell(&r->plan.show, e, &r->plan);
    err_clear(e);
    return status;
}

static int send_one(struct run *r, struct err *e)
{
    listen_to_events(r);
    if (!probe_hops(&r->plan, &r->hub, e) || !probe_data_message(&r->plan, &r->message, e))
        return fail(r, e);
    if ((r->plan.route.n > 1 || r->plan.all_mx) && !message_spool(&r->message, e))
        return fail(r, e);
    credentials_init(&r->credentials, &r->plan.account, &r->hub, clock_deadline(r->plan.account.deadline));
    r->plan.probe.session.leaving = leaving;
    r->plan.probe.session.leaving_ctx = r;
    int status = deliver_all(r);
    credentials_free(&r->credentials);
    show_report_close(r->report, r->out);
    r->report = NULL;
    return status;
}

static int run_send(struct run *r, struct err *e)
{
    return r->plan.repeat > 1 || r->plan.parallel > 1 ? probe_load(&r->plan) : send_one(r, e);
}

static int run_dump(struct run *r, struct err *e)
{
    struct buf text = BUF_INIT;
    (void)e;
    probe_dump(&r->plan, &text);
    fwrite(text.data, 1, text.len, r->out);
    buf_free(&text);
    return 0;
}

static int run_dump_mail(struct run *r, struct err *e)
{
    const char *block;
    size_t n;
    if (!probe_data_message(&r->plan, &r->message, e))
        return fail(r, e);
    while (message_next(&r->message, &block, &n, e) && n > 0)
        fwrite(block, 1, n, r->out);
    if (!err_is_set(e) && (fflush(r->out) != 0 || ferror(r->out)))
        err_sys(e, FAULT_IO, errno, "cannot write the message");
    return err_is_set(e) ? fail(r, e) : 0;
}

static int run_version(struct run *r, struct err *e)
{
    (void)r;
    (void)e;
    version_print();
    return 0;
}

static int run_help(struct run *r, struct err *e)
{
    (void)r;
    (void)e;
    cmd_help(&command_probe);
    return 0;
}

static int (*const jobs[])(struct run *r, struct err *e) = {
    [PROBE_SEND] = run_send, [PROBE_DUMP] = run_dump, [PROBE_DUMP_MAIL] = run_dump_mail,
    [PROBE_SUPPORT] = run_dump, [PROBE_VERSION] = run_version, [PROBE_HELP] = run_help,
};

/* A transcript that nobody has is no success, unless its reader had enough of it. */
static int written(struct run *r, int status)
{
    if (fflush(r->out) == 0 && !ferror(r->out))
        return status;
    struct pollfd reader = { .fd = fileno(r->out) };
    if (poll(&reader, 1, 0) > 0 && (reader.revents & POLLERR))
        return status;
    show_probe_error(&r->plan.show, "cannot write the transcript");
    return status ? status : 1;
}

static int run(int argc, char *const *argv)
{
    struct run r = { .out = stdout, .errors = stderr, .started = clock_now() };
    struct err e = ERR_INIT;
    hub_init(&r.hub);
    message_init(&r.message);
    bool ok = probe_plan_make(&r.plan, argc, argv, &e);
    ok = streams_open(&r, &e) && ok && certificates_open(&r, &e);
    for (size_t i = 0; i < r.plan.warnings.n; i++)
        show_probe_error(&r.plan.show, "%s", r.plan.warnings.v[i]);
    int status = ok ? jobs[r.plan.job](&r, &e) : fail(&r, &e);
    show_report_close(r.report, r.out);
    status = written(&r, status);
    message_free(&r.message);
    probe_plan_free(&r.plan);
    hub_free(&r.hub);
    files_close(&r);
    return status;
}

const struct command command_probe = {
    .name = "probe",
    .synopsis = "[OPTION…] [--to ADDRESS] [--server HOST]",
    .help = "Test a server with one transaction, with swaks's options, output and exit codes",
    .options = { probe_option_table },
    .run = run,
};
