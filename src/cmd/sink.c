/* sink: a catch-all mail server for tests: listens, loops over its connections, stores what comes. */
#include "cmd/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/scram.h"
#include "base/ascii.h"
#include "cmd/cmd.h"
#include "conf/cmdline.h"
#include "conf/settings.h"
#include "net/dial.h"
#include "net/loop.h"
#include "show/show.h"
#include "smtp/caps.h"

enum { FAREWELL = 2 }; /* seconds */

#define O(member) .at = offsetof(struct sink_options, member)
#define FLAG .type = OPTION_FLAG, .flags = OPTION_IN_ARGV, .def = "off"
#define ARGV .flags = OPTION_IN_ARGV
#define FAULT .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_MULTI, .at = OPTION_BY_HAND
#define MULTI .type = OPTION_LIST, .flags = OPTION_IN_ARGV | OPTION_MULTI

static const struct option rows[] = {
    { .name = "listen", .group = "Listening", MULTI, .arg = "ADDR:PORT", O(listen),
      .help = "listen here, or on the /path of a unix socket (127.0.0.1:0; 0: any free port)" },
    { .name = "listen_tls", .group = "Listening", MULTI, .arg = "ADDR:PORT", O(listen_tls),
      .help = "the same with TLS from the start" },
    { .name = "lmtp", .group = "Listening", FLAG, O(lmtp), .help = "speak LMTP" },
    { .name = "once", .group = "Listening", .type = OPTION_NUMBER, ARGV, .arg = "N", .min = 1, .max = INT32_MAX,
      O(once), .help = "end after so many messages; with a script, connections" },
    { .name = "connections", .group = "Listening", .type = OPTION_NUMBER, ARGV, .arg = "N", .def = "500", .min = 1,
      .max = 100000, O(connections), .help = "so many at once; more wait" },
    { .name = "idle", .group = "Listening", .type = OPTION_SECONDS, ARGV, .arg = "SECONDS", .def = "300", O(idle),
      .help = "close a connection on which nothing moves for so long" },

    { .name = "maildir", .group = "Storing", .type = OPTION_FILE, ARGV, .arg = "DIR", O(maildir),
      .help = "store in this Maildir" },
    { .name = "mbox", .group = "Storing", .type = OPTION_FILE, ARGV, .arg = "FILE", O(mbox),
      .help = "append to this mbox file" },
    { .name = "print", .group = "Storing", FLAG, O(print), .help = "write messages to standard output" },
    { .name = "discard", .group = "Storing", FLAG, O(discard), .help = "forget messages (the default)" },

    { .name = "auth", .group = "Protocol", .type = OPTION_TEXT, .flags = OPTION_IN_ARGV | OPTION_SECRET,
      .arg = "USER:PASS|any", O(auth), .help = "offer AUTH and accept this user, or anybody" },
    { .name = "auth_mechanisms", .group = "Protocol", MULTI, .arg = "LIST", O(auth_mechanisms),
      .help = "offer these mechanisms only" },
    { .name = "auth_required", .group = "Protocol", FLAG, O(auth_required), .help = "refuse MAIL before AUTH" },
    { .name = "extensions", .group = "Protocol", MULTI, .arg = "LIST", O(extensions),
      .help = "offer these EHLO keywords only; -WORD: all but this; none" },
    { .name = "size", .group = "Protocol", .type = OPTION_NUMBER, ARGV, .arg = "OCTETS", .max = LONG_MAX, O(size),
      .help = "largest message" },
    { .name = "recipients", .group = "Protocol", .type = OPTION_NUMBER, ARGV, .arg = "N", .min = 1, .max = INT32_MAX,
      O(recipients), .help = "most recipients of a message" },
    { .name = "script", .group = "Protocol", .type = OPTION_FILE, ARGV, .arg = "FILE", O(script),
      .help = "play the server's side of this dialogue" },

    { .name = "tls_cert", .group = "TLS", .type = OPTION_FILE, ARGV, .arg = "FILE", O(tls_cert),
      .help = "certificate (one is made when there is none)" },
    { .name = "tls_key", .group = "TLS", .type = OPTION_FILE, ARGV, .arg = "FILE", O(tls_key),
      .help = "its private key" },

    { .name = "reject", .group = "Faults", FAULT, .arg = "STAGE:CODE",
      .help = "refuse: STAGE[=PATTERN]:CODE[:TEXT][:EVERY]" },
    { .name = "delay", .group = "Faults", FAULT, .arg = "STAGE:SECONDS",
      .help = "answer late: STAGE[=PATTERN]:SECONDS[:EVERY]" },
    { .name = "drop", .group = "Faults", FAULT, .arg = "STAGE",
      .help = "close without an answer: STAGE[=PATTERN][:EVERY]; body=OCTETS" },
    { .name = "drip", .group = "Faults", .type = OPTION_SECONDS, ARGV, .arg = "SECONDS", .def = "off", O(drip),
      .help = "answer octet by octet, with such pauses" },
    { .name = "tls", .group = "Faults", .type = OPTION_WORD, ARGV, .arg = "VARIANT", .def = "usual",
      .words = sink_tls_words, O(tls), .help = "what TLS is like: usual, expired, wrong-name, tls1.2, drop, …" },

    { .name = "quiet", .letter = 'q', .group = "Output", FLAG, O(quiet), .help = "no line for each message" },
    { .name = "json", .group = "Output", FLAG, O(json), .help = "a JSON object instead of each line" },
    { .name = "verbose", .letter = 'v', .group = "Output", FLAG, O(verbose),
      .help = "the dialogues on standard error" },
};

struct option_table sink_option_table(void)
{
    return (struct option_table){ rows, sizeof rows / sizeof *rows };
}

/* ---- signals: a pipe, so that none is lost between looking and sleeping ---- */

static int signal_pipe[2];

static void on_signal(int number)
{
    int before = errno;
    ssize_t n = write(signal_pipe[1], &(char){ (char)number }, 1);

    (void)n;
    errno = before;
}

static bool catch_signals(struct err *e)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_sys(e, FAULT_SYSTEM, errno, "cannot make a pipe");
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGHUP, &sa, NULL);
    return true;
}

/* ---- listening ---- */

struct listener {
    char *spec;     /* own */
    int fd, port;
    bool tls;
    bool inherited; /* a unix socket's file is not ours to remove */
};

struct run {
    struct sink sink;
    struct arguments arguments;
    struct show_text text;
    struct strlist inherited;   /* names of the sockets that we were given */
    struct listener *listeners; /* own */
    size_t listeners_n;
    struct client **clients;    /* own, --connections of them */
    size_t clients_n;
    unsigned number;
    usec no_accept_until;       /* the system has no descriptors left */
    usec end_at;                /* after the last message of --once */
};

__attribute__((format(printf, 2, 3))) static void say(struct run *r, const char *fmt, ...)
{
    struct buf line = BUF_INIT;
    va_list ap;

    if (r->sink.opt.json)
        return;
    va_start(ap, fmt);
    buf_vprintf(&line, fmt, ap);
    va_end(ap);
    output_line(r->sink.output, &line);
}

static void tell_listener(struct run *r, const struct listener *l)
{
    const char *colon = strrchr(l->spec, ':');
    char *address = l->spec[0] == '/' ? xstrdup(l->spec)
                    : colon && colon > l->spec ? xstrndup(l->spec, (size_t)(colon - l->spec))
                    : xstrdup("127.0.0.1");
    const struct field fields[] = {
        F_STR("address", address), l->port ? F_INT("port", l->port) : F_STR("port", NULL),
        F_STR("tls", l->tls ? tls_server_fingerprint(r->sink.tls) : NULL), { .type = FIELD_END },
    };

    hub_emit(&r->sink.hub, 0, EV_LISTENING, fields);
    hub_emit(&r->sink.news, 0, EV_LISTENING, fields);
    if (l->port)
        say(r, "listening on %s:%d%s\n", address, l->port, l->tls ? " with TLS" : "");
    else
        say(r, "listening on %s%s\n", address, l->tls ? " with TLS" : "");
    free(address);
}

static void add_listener(struct run *r, struct listener l)
{
    r->listeners = xrealloc(r->listeners, (r->listeners_n + 1) * sizeof l);
    r->listeners[r->listeners_n++] = l;
}

static bool add_listeners(struct run *r, const struct strlist *specs, bool tls, struct err *e)
{
    for (size_t i = 0; i < specs->n; i++) {
        int port, fd = listen_on(specs->v[i], &port, e);
        if (fd < 0)
            return false;
        add_listener(r, (struct listener){ .spec = xstrdup(specs->v[i]), .fd = fd, .port = port, .tls = tls });
    }
    return true;
}

static bool is_tls_name(const char *name)
{
    return ascii_ieq(name, "tls");
}

static void add_inherited(struct run *r)
{
    for (size_t i = 0; i < r->inherited.n; i++) {
        struct listener l = { .fd = LISTEN_FIRST + (int)i, .tls = is_tls_name(r->inherited.v[i]), .inherited = true };
        l.spec = listen_spec(l.fd, &l.port);
        add_listener(r, l);
    }
}

static bool start_listening(struct run *r, struct err *e)
{
    struct sink_options *o = &r->sink.opt;

    add_inherited(r);
    if (o->listen.n == 0 && o->listen_tls.n == 0 && r->inherited.n == 0)
        strlist_add(&o->listen, "127.0.0.1:0");
    if (!add_listeners(r, &o->listen, false, e) || !add_listeners(r, &o->listen_tls, true, e))
        return false;
    for (size_t i = 0; i < r->listeners_n; i++)
        tell_listener(r, &r->listeners[i]);
    if (r->sink.tls)
        say(r, "tls_fingerprint %s\n", tls_server_fingerprint(r->sink.tls));
    return true;
}

static void stop_listening(struct run *r)
{
    for (size_t i = 0; i < r->listeners_n; i++) {
        close(r->listeners[i].fd);
        if (r->listeners[i].spec[0] == '/' && !r->listeners[i].inherited)
            unlink(r->listeners[i].spec);
        free(r->listeners[i].spec);
    }
    free(r->listeners);
}

/* ---- what is offered ---- */

static uint32_t cap_by_word(const char *word)
{
    uint32_t all = server_extensions(false);

    for (uint32_t cap = 1; cap && cap <= all; cap <<= 1)
        if ((all & cap) && ascii_ieq(word, cap_word(cap)))
            return cap;
    return 0;
}

static bool choose_extensions(struct sink *s, struct err *e)
{
    const struct strlist *words = &s->opt.extensions;
    bool all_but = words->n == 0 || words->v[0][0] == '-';

    s->extensions = all_but ? server_extensions(true) : 0;
    for (size_t i = 0; i < words->n; i++) {
        const char *word = words->v[i];
        bool minus = word[0] == '-';
        uint32_t cap = cap_by_word(word + minus);
        if (!cap && !ascii_ieq(word, "none"))
            return err_set(e, FAULT_USAGE, "'%s' is not an EHLO keyword that the sink knows", word + minus) ||
                   err_hint(e, "write keywords as EHLO does: PIPELINING,SIZE; -CHUNKING for all but that; none");
        if (minus)
            s->extensions &= ~cap;
        else
            s->extensions |= cap;
    }
    return true;
}

/* What is known of the password decides: SCRAM proves that both sides know it, so it cannot be offered for any. */
static bool mechanism_possible(const struct sink *s, const char *name, struct err *e)
{
    if (!strstr(name, "SCRAM"))
        return true;
    if (ascii_ieq(s->opt.auth, "any"))
        return err_set(e, FAULT_USAGE, "it needs a password that both sides know: --auth=USER:PASS");
    return scram_usable(e);
}

static bool cannot_offer(const struct sink *s, const char *wanted, struct err *e)
{
    const char *const *known = server_mechanisms();
    struct err why = ERR_INIT;

    err_set(e, FAULT_USAGE, "the sink cannot offer the mechanism '%s'", wanted);
    while (*known && !ascii_ieq(*known, wanted))
        known++;
    if (*known && !mechanism_possible(s, *known, &why))
        err_hint(e, "%s", why.text);
    else
        err_hint(e, "it knows PLAIN, LOGIN, XOAUTH2, OAUTHBEARER, SCRAM-SHA-256 and, under TLS, SCRAM-SHA-256-PLUS");
    err_clear(&why);
    return false;
}

static bool choose_mechanisms(struct sink *s, struct err *e)
{
    const struct strlist *wanted = &s->opt.auth_mechanisms;
    const char *const *known = server_mechanisms();
    struct err ignored = ERR_INIT;

    if (!s->opt.auth)
        return true;
    for (; *known; known++)
        if ((wanted->n == 0 || strlist_has_nocase(wanted, *known)) && mechanism_possible(s, *known, &ignored))
            strlist_add(&s->mechanisms, *known);
    err_clear(&ignored);
    for (size_t i = 0; i < wanted->n; i++)
        if (!strlist_has_nocase(&s->mechanisms, wanted->v[i]))
            return cannot_offer(s, wanted->v[i], e);
    return true;
}

static bool wants_tls(const struct run *r)
{
    const struct sink_options *o = &r->sink.opt;
    bool asked = o->listen_tls.n > 0 || o->tls_cert || o->tls != SINK_TLS_USUAL;

    asked |= r->sink.script && script_wants_tls(r->sink.script);
    for (size_t i = 0; i < r->inherited.n; i++)
        asked |= is_tls_name(r->inherited.v[i]);
    return asked;
}

static bool check_options(const struct sink *s, struct err *e)
{
    const struct sink_options *o = &s->opt;

    if (!!o->maildir + !!o->mbox + o->print + o->discard > 1)
        return err_set(e, FAULT_USAGE, "only one of --maildir, --mbox, --print and --discard can be used");
    if (!o->tls_cert != !o->tls_key)
        return err_set(e, FAULT_USAGE, "--tls-cert and --tls-key belong together");
    if (o->auth && !strchr(o->auth, ':') && !ascii_ieq(o->auth, "any"))
        return err_set(e, FAULT_USAGE, "--auth wants USER:PASS or 'any'");
    if ((o->auth_required || o->auth_mechanisms.n > 0) && !o->auth)
        return err_set(e, FAULT_USAGE, "--auth-required and --auth-mechanisms need --auth");
    return true;
}

/* A script is the whole server: what these would do, it says itself or leaves out. */
static bool check_script(const struct settings *said, struct err *e)
{
    static const struct { const char *name, *option; } ignored[] = {
        { "maildir", "--maildir" }, { "mbox", "--mbox" }, { "print", "--print" }, { "auth", "--auth" },
        { "extensions", "--extensions" }, { "size", "--size" }, { "recipients", "--recipients" }, { "lmtp", "--lmtp" },
        { "idle", "--idle" }, { "reject", "--reject" }, { "delay", "--delay" }, { "drop", "--drop" },
        { "drip", "--drip" },
    };

    if (!settings_get(said, "script")->set)
        return true;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (settings_get(said, ignored[i].name)->set)
            return err_set(e, FAULT_USAGE, "'%s' cannot be used with --script", ignored[i].option) ||
                   err_hint(e, "a script says itself what is offered, refused and read: see envoi-dialogue(7)");
    return true;
}

/* Nothing is asked for at a stage that cannot come. */
static bool check_stages(const struct sink *s, struct err *e)
{
    const struct { enum sink_stage stage; uint32_t cap; const char *anyway; } stages[] = {
        { SINK_AT_AUTH, CAP_AUTH, s->opt.auth_required ? "auth-required" : NULL },
        { SINK_AT_STARTTLS, CAP_STARTTLS, NULL },
    };
    const char *fault = faults_option(s->faults, SINK_AT_AUTH);

    if (fault && !s->opt.auth)
        return err_set(e, FAULT_USAGE, "--%s at the stage 'auth' needs --auth", fault) ||
               err_hint(e, "offer AUTH with --auth=any or --auth=USER:PASS");
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        const char *option = faults_option(s->faults, stages[i].stage), *word = cap_word(stages[i].cap);
        option = option ? option : stages[i].anyway;
        if (option && !(s->extensions & stages[i].cap))
            return err_set(e, FAULT_USAGE, "--%s has no effect: %s is not among --extensions", option, word) ||
                   err_hint(e, "add %s to --extensions, or leave --%s out", word, option);
    }
    return true;
}

/* ---- connections ---- */

void sink_counts(struct sink *s)
{
    s->done++;
}

bool sink_has_enough(const struct sink *s)
{
    return s->opt.once > 0 && (s->taken >= s->opt.once || s->done >= s->opt.once);
}

/* Who delivered the last message may still say QUIT. */
static bool goes_on(struct run *r)
{
    const struct sink *s = &r->sink;

    if (s->opt.once == 0 || s->done < s->opt.once)
        return true;
    if (r->end_at == USEC_NEVER)
        r->end_at = clock_deadline(FAREWELL * USEC_PER_SEC);
    return !s->script && r->clients_n > 0 && clock_now() < r->end_at;
}

static void close_client(struct client *c)
{
    emit(&c->sink->hub, c->number, EV_CLOSED, F_STR("reason", NULL));
    c->free(c);
    stream_free(c->stream);
    free(c);
}

static bool due(const struct client *c, const struct pollset *ps, usec now)
{
    bool ready = c->deadline <= now || stream_buffered(c->stream);

    for (size_t i = c->first; i < c->after && !ready; i++)
        ready = ps->v[i].revents != 0;
    return ready;
}

static void accept_client(struct run *r, const struct listener *l)
{
    struct err e = ERR_INIT;
    struct stream *stream = listen_accept(l->fd, &e);
    struct client *c;

    if (err_is_set(&e)) { /* out of descriptors: the backlog keeps them */
        r->no_accept_until = clock_now() + USEC_PER_SEC / 10;
        err_clear(&e);
    }
    if (!stream)
        return;
    c = r->sink.script ? script_client_new(&r->sink) : sink_client_new(&r->sink);
    c->stream = stream;
    c->number = ++r->number;
    c->implicit_tls = l->tls;
    emit(&r->sink.hub, c->number, EV_CONNECTED, F_STR("host", "client"),
         F_STR("address", stream_peer(stream)), F_INT("port", l->port));
    if (c->step(c))
        close_client(c);
    else
        r->clients[r->clients_n++] = c;
}

static bool has_room(const struct run *r)
{
    return r->clients_n < (size_t)r->sink.opt.connections && !sink_has_enough(&r->sink);
}

/* Registers what everybody waits for. Returns where the listeners' descriptors begin: n, when none is listened to
 * now. */
static size_t gather(struct run *r, struct pollset *ps)
{
    size_t listeners;

    pollset_reset(ps);
    pollset_add(ps, signal_pipe[0], POLLIN);
    for (size_t i = 0; i < r->clients_n; i++) {
        struct client *c = r->clients[i];
        c->first = ps->n;
        stream_waits(c->stream, c->reading || c->handshaking, c->writing, ps);
        c->after = ps->n;
        pollset_until(ps, c->deadline);
    }
    pollset_until(ps, r->end_at);
    output_waits(r->sink.output, ps);
    listeners = ps->n;
    if (clock_now() < r->no_accept_until)
        pollset_until(ps, r->no_accept_until);
    else if (has_room(r))
        for (size_t i = 0; i < r->listeners_n; i++)
            pollset_add(ps, r->listeners[i].fd, POLLIN);
    return listeners;
}

static void serve(struct run *r)
{
    struct pollset ps = POLLSET_INIT;

    while (goes_on(r)) {
        size_t listeners = gather(r, &ps), kept = 0;
        usec now;

        if (!pollset_wait(&ps))
            continue;
        if (ps.v[0].revents)
            break;
        output_step(r->sink.output);
        now = clock_now();
        for (size_t i = 0; i < r->clients_n; i++) {
            struct client *c = r->clients[i];
            if (due(c, &ps, now) && c->step(c))
                close_client(c);
            else
                r->clients[kept++] = c;
        }
        r->clients_n = kept;
        for (size_t i = listeners; i < ps.n && has_room(r); i++)
            if (ps.v[i].revents)
                accept_client(r, &r->listeners[i - listeners]);
    }
    for (size_t i = 0; i < r->clients_n; i++) {
        if (r->clients[i]->end)
            r->clients[i]->end(r->clients[i]);
        close_client(r->clients[i]);
    }
    output_finish(r->sink.output, signal_pipe[0]);
    output_tell_lost(r->sink.output);
    pollset_free(&ps);
}

/* ---- the command ---- */

static void on_received(void *ctx, const struct event *ev)
{
    struct sink *s = ctx;
    struct buf line = BUF_INIT;

    event_format(ev, "received {octets} octets from <{from}> for {recipients}[[ stored in {stored}]]\n", &line);
    output_line(s->output, &line);
}

static void on_news(void *ctx, const struct event *ev)
{
    struct sink *s = ctx;
    struct buf line = BUF_INIT;

    show_json_line(ev, &line);
    output_line(s->output, &line);
}

static void on_warning(void *ctx, const struct event *ev)
{
    struct buf line = BUF_INIT;

    (void)ctx;
    event_format(ev, "{text}", &line);
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, line.data);
    buf_free(&line);
}

static void listen_to_events(struct run *r)
{
    struct sink *s = &r->sink;

    if (s->opt.verbose) {
        r->text = (struct show_text){ .out = stderr, .several = true };
        show_text_open(&r->text, &s->hub);
    } else if (!s->script) { /* which tells itself what it did not expect */
        hub_listen(&s->hub, EV_MASK(EV_WARNING), on_warning, NULL);
    }
    if (s->opt.json) {
        hub_listen(&s->news, EV_ALL & ~EV_BULK, on_news, s);
    } else if (!s->opt.quiet) {
        hub_listen(&s->news, EV_MASK(EV_RECEIVED), on_received, s);
    }
}

static char *host_name(void)
{
    char name[256] = "";

    if (gethostname(name, sizeof name - 1) < 0 || !*name || !ascii_line_safe(name, strlen(name)))
        return xstrdup("localhost");
    return xstrdup(name);
}

static bool read_command_line(struct run *r, int argc, char *const *argv, struct err *e)
{
    if (!cmd_arguments(&r->arguments, &command_sink, argc, argv, e))
        return false;
    if (r->arguments.operands.n > 0)
        return err_set(e, FAULT_USAGE, "'%s' is not an option", r->arguments.operands.v[0])
            || err_hint(e, "see 'envoi sink --help'");
    r->sink.faults = faults_new(&r->arguments.said[0], e);
    return r->sink.faults && settings_bind(&r->arguments.said[0], false, &r->sink.opt, e);
}

static bool sink(struct run *r, struct err *e)
{
    struct sink *s = &r->sink;

    if (!check_script(&r->arguments.said[0], e) || !check_options(s, e) || !choose_extensions(s, e) ||
        !check_stages(s, e) || !choose_mechanisms(s, e))
        return false;
    if (s->opt.script && !(s->script = script_load(s->opt.script, e)))
        return false;
    if (!listen_inherited(&r->inherited, e))
        return false;
    s->name = host_name();
    s->output = output_new();
    if (!sink_tls_prepare(s, wants_tls(r), e) || !(s->store = store_open(&s->opt, s->output, e)) || !catch_signals(e))
        return false;
    listen_to_events(r);
    s->block = xmalloc(SINK_BLOCK);
    r->clients = xcalloc((size_t)s->opt.connections, sizeof(struct client *));
    if (!start_listening(r, e))
        return false;
    serve(r);
    return true;
}

static void run_free(struct run *r)
{
    struct sink *s = &r->sink;

    stop_listening(r);
    store_close(s->store);
    output_free(s->output);
    script_free(s->script);
    faults_free(s->faults);
    strlist_free(&s->mechanisms);
    tls_server_free(s->tls);
    hub_free(&s->hub);
    hub_free(&s->news);
    free(s->block);
    free(s->name);
    free(r->clients);
    strlist_free(&r->inherited);
    settings_unbind(sink_option_table(), &s->opt);
    cmd_arguments_free(&r->arguments);
}

static int run(int argc, char *const *argv)
{
    struct run r = { .end_at = USEC_NEVER };
    struct err e = ERR_INIT;

    hub_init(&r.sink.hub);
    hub_init(&r.sink.news);
    if (read_command_line(&r, argc, argv, &e))
        sink(&r, &e);
    int status = err_is_set(&e) ? cmd_fail(&e) : r.sink.mismatch;
    run_free(&r);
    return status;
}

const struct command command_sink = {
    .name = "sink",
    .synopsis = "[OPTION…]",
    .help = "Receive mail for tests, from any client, and store it",
    .options = { sink_option_table, cmd_help_option },
    .run = run,
};
