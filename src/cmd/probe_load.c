/* probe_load: many transactions at once, and how long each phase of them took. Memory does not grow with their number.
 * */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/probe.h"
#include "cmd/probe_series.h"
#include "send/credentials.h"

enum {
    EXITS = 64,
    TURNS = 8, /* deliveries that end at once, before the other runners get their turn */
    BARS = 12, BAR_WIDTH = 50,
    TOTAL = STAGE_COUNT, /* the series behind those of the stages */
    SERIES,
};

struct runner;

struct load {
    struct probe_plan *plan;
    struct hub hub;
    struct credentials credentials;
    struct runner *runners;
    long begun, ended;
    unsigned connections;
    long exits[EXITS];
    struct series *series;
    usec began, took;
    int signal;
    struct err err; /* why no message could be made */
};

/* One transaction after the other. */
struct runner {
    struct task task;
    struct load *load;
    struct deliver *deliver;
    struct envelope env;
    struct message message;
    size_t hop;
    int status;
    usec began;
    bool turned;
};

static void on_phase(void *ctx, const struct event *ev)
{
    struct load *l = ctx;
    const struct field *name = event_field(ev, "name"), *us = event_field(ev, "us");
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        if (strcmp(stage_word((enum stage)stage), name->s) == 0)
            series_add(&l->series[stage], us->i);
}

/* ---- the runners ---- */

static void deliver_begin(struct runner *r)
{
    struct load *l = r->load;
    const struct deliver_params params = {
        .account = &l->plan->account,
        .hop = &l->plan->route.v[r->hop],
        .env = &r->env,
        .message = &r->message,
        .probe = &l->plan->probe,
        .credentials = &l->credentials,
        .hub = &l->hub,
        .connection = ++l->connections,
        .deadline = clock_deadline(l->plan->account.deadline),
    };
    envelope_reset(&r->env);
    r->deliver = deliver_new(&params);
}

static bool transaction_begin(struct runner *r)
{
    struct load *l = r->load;
    if (l->begun == l->plan->repeat || err_is_set(&l->err))
        return false;
    message_free(&r->message);
    message_init(&r->message);
    if (!probe_data_message(l->plan, &r->message, &l->err) || (l->plan->all_mx && !message_spool(&r->message, &l->err)))
        return false;
    l->begun++;
    r->began = clock_now();
    r->hop = 0;
    r->status = 0;
    deliver_begin(r);
    return true;
}

static void transaction_end(struct runner *r)
{
    struct load *l = r->load;
    l->exits[r->status < EXITS ? r->status : EXITS - 1]++;
    l->ended++;
    series_add(&l->series[TOTAL], clock_now() - r->began);
}

/* Over the next hop, where a single probe goes there. */
static void deliver_end(struct runner *r)
{
    const struct probe_plan *p = r->load->plan;
    struct err e = ERR_INIT;
    deliver_result(r->deliver, &e);
    r->status = probe_next_status(p, r->status, probe_exit(&e, r->deliver, &r->env, p));
    deliver_free(r->deliver);
    r->deliver = NULL;
    err_clear(&e);
    if (++r->hop < p->route.n && probe_goes_on(p, r->status))
        deliver_begin(r);
    else
        transaction_end(r);
}

static bool step(struct task *t)
{
    struct runner *r = (struct runner *)t;
    r->turned = false;
    for (int turn = 0; turn < TURNS; turn++) {
        if (!r->deliver && !transaction_begin(r))
            return true;
        struct task *task = deliver_task(r->deliver);
        if (!task->step(task))
            return false;
        deliver_end(r);
    }
    r->turned = true;
    return false;
}

static void waits(const struct task *t, struct pollset *ps)
{
    const struct runner *r = (const struct runner *)t;
    if (r->turned)
        pollset_until(ps, 0);
    else
        deliver_task(r->deliver)->waits(deliver_task(r->deliver), ps);
}

static void run_all(struct load *l, size_t n)
{
    struct task **tasks = xcalloc(n, sizeof *tasks);
    l->runners = xcalloc(n, sizeof *l->runners);
    for (size_t i = 0; i < n; i++) {
        struct runner *r = &l->runners[i];
        *r = (struct runner){ .task = { step, waits }, .load = l };
        message_init(&r->message);
        envelope_copy(&r->env, &l->plan->env);
        tasks[i] = &r->task;
    }
    l->began = clock_now();
    loop_run(tasks, n, &l->signal);
    l->took = clock_now() - l->began;
    for (size_t i = 0; i < n; i++) {
        deliver_free(l->runners[i].deliver); /* under way when a signal came: not counted */
        message_free(&l->runners[i].message);
        envelope_free(&l->runners[i].env);
    }
    free(l->runners);
    free(tasks);
}

/* ---- what came of it ---- */

static const char *series_name(int i)
{
    return i == TOTAL ? "total" : stage_word((enum stage)i);
}

static const struct { const char *name, *head; int percent; } columns[] = {
    { "min_us", "min", 0 },   { "median_us", "median", 50 }, { "p90_us", "p90", 90 },
    { "p99_us", "p99", 99 }, { "max_us", "max", 100 },
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static usec column_value(const struct series *s, size_t column)
{
    int percent = columns[column].percent;
    return percent == 0 ? s->min : percent == 100 ? s->max : series_percentile(s, percent);
}

static void print_phases(const struct load *l, FILE *out)
{
    fprintf(out, "\n%-10s", "ms");
    for (size_t c = 0; c < COLUMNS; c++)
        fprintf(out, "%10s", columns[c].head);
    fputc('\n', out);
    for (int i = 0; i < SERIES; i++) {
        if (l->series[i].n == 0)
            continue;
        fprintf(out, "%-10s", series_name(i));
        for (size_t c = 0; c < COLUMNS; c++)
            fprintf(out, "%10.3f", (double)column_value(&l->series[i], c) / 1000);
        fputc('\n', out);
    }
}

/* The slowest hundredth has a row of its own, or it would leave no room for the others. */
static void print_histogram(const struct series *s, FILE *out)
{
    static const char bar[BAR_WIDTH + 1] = "##################################################";
    long rows[BARS] = { 0 }, most = 1;
    usec width = (series_percentile(s, 99) - s->min) / (BARS - 1) + 1;
    for (int i = 0; i < BARS; i++) {
        rows[i] = series_between(s, i ? s->min + i * width : 0, i < BARS - 1 ? s->min + (i + 1) * width : INT64_MAX);
        most = rows[i] > most ? rows[i] : most;
    }
    fprintf(out, "\n%10s\n", "from ms");
    for (int i = 0; i < BARS; i++)
        fprintf(out, "%10.3f %7ld %.*s\n", (double)(s->min + i * width) / 1000, rows[i],
                (int)(rows[i] * BAR_WIDTH / most), bar);
}

static double rate(const struct load *l)
{
    return l->took > 0 ? (double)l->ended * USEC_PER_SEC / (double)l->took : 0;
}

static void print_text(const struct load *l, FILE *out)
{
    fprintf(out, "%ld transactions%s in %.3f s, %ld at once: %.1f per second\n", l->ended,
            l->signal ? " (interrupted)" : "", (double)l->took / USEC_PER_SEC, l->plan->parallel, rate(l));
    for (int i = 0; i < EXITS; i++)
        if (l->exits[i] > 0)
            fprintf(out, "%10ld  exit %d: %s\n", l->exits[i], i, probe_exit_meaning(i));
    if (l->ended == 0)
        return;
    print_phases(l, out);
    if (isatty(fileno(out)))
        print_histogram(&l->series[TOTAL], out);
}

static void add_series(struct json *j, const char *name, const struct series *s)
{
    json_begin_object(j, name);
    json_int(j, "n", s->n);
    for (size_t c = 0; c < COLUMNS; c++)
        json_int(j, columns[c].name, column_value(s, c));
    json_end_object(j);
}

static void print_json(const struct load *l, FILE *out)
{
    struct buf text = BUF_INIT;
    struct json j = JSON_TO(&text);
    json_begin_object(&j, NULL);
    json_int(&j, "transactions", l->ended);
    json_int(&j, "parallel", l->plan->parallel);
    json_bool(&j, "interrupted", l->signal != 0);
    json_seconds(&j, "seconds", l->took);
    json_seconds(&j, "per_second", (int64_t)(rate(l) * USEC_PER_SEC));
    json_begin_array(&j, "exits");
    for (int i = 0; i < EXITS; i++) {
        if (l->exits[i] == 0)
            continue;
        json_begin_object(&j, NULL);
        json_int(&j, "exit", i);
        json_string(&j, "meaning", probe_exit_meaning(i));
        json_int(&j, "n", l->exits[i]);
        json_end_object(&j);
    }
    json_end_array(&j);
    json_begin_object(&j, "phases");
    for (int i = 0; i < SERIES; i++)
        if (l->series[i].n > 0)
            add_series(&j, series_name(i), &l->series[i]);
    json_end_object(&j);
    json_end_object(&j);
    fprintf(out, "%s\n", text.data);
    buf_free(&text);
}

static int worst(const struct load *l)
{
    int status = EXITS - 1;
    while (status > 0 && l->exits[status] == 0)
        status--;
    return status;
}

/* Nobody is to be asked for a password while servers wait. */
static bool ask_first(struct load *l)
{
    const struct buf *secret;
    return !credentials_needed(&l->plan->account) || credentials_secret(&l->credentials, &secret, &l->err);
}

int probe_load(struct probe_plan *p)
{
    struct load l = { .plan = p, .series = xcalloc(SERIES, sizeof *l.series) };
    size_t parallel = (size_t)(p->parallel < p->repeat ? p->parallel : p->repeat);
    hub_init(&l.hub);
    hub_listen(&l.hub, EV_MASK(EV_PHASE), on_phase, &l);
    credentials_init(&l.credentials, &p->account, &l.hub, USEC_NEVER);
    if (probe_hops(p, &l.hub, &l.err) && ask_first(&l)) {
        run_all(&l, parallel);
        (p->json ? print_json : print_text)(&l, p->show.out);
    }
    int status = worst(&l);
    if (err_is_set(&l.err)) {
        status = probe_exit(&l.err, NULL, &p->env, p);
        probe_exit_words(&l.err);
        probe_exit_tell(&p->show, &l.err, p);
    }
    credentials_free(&l.credentials);
    hub_free(&l.hub);
    err_clear(&l.err);
    free(l.series);
    return status;
}
