/* dest_probe: for test_destination.py. `dest_probe MS SERVER ANCHOR {NAME=VALUE}… DOMAIN…` looks all the domains up at
 * the same time, with MS milliseconds for everything. ANCHOR "off": nothing is validated. port=, family= (4, 6), level=,
 * trust= and encrypt=, requiretls=, not_required=, all= (1) are the members of struct destination_params; ehlo=NAME with
 * address=ADDRESS (or without) asks identity, too. Prints one JSON object: what is told, and each destination. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/json.h"
#include "net/own.h"
#include "send/destination.h"
#include "send/identity.h"

enum { MOST = 300 };

static const char *const tlsa_words[] = {
    [TLSA_NONE] = "none", [TLSA_USABLE] = "usable", [TLSA_UNUSABLE] = "unusable", [TLSA_FAILED] = "failed",
};

static const char *said(int argc, char **argv, const char *name)
{
    size_t n = strlen(name);
    for (int i = 4; i < argc; i++)
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=')
            return argv[i] + n + 1;
    return NULL;
}

static void print_error(struct json *j, const char *name, const struct err *e)
{
    if (!err_is_set(e))
        return;
    json_begin_object(j, name);
    json_string(j, "fault", fault_word(e->fault));
    json_string(j, "text", e->text);
    json_string(j, "hint", e->hint);
    json_end_object(j);
}

static void print_list(struct json *j, const char *name, const struct strlist *l)
{
    json_begin_array(j, name);
    for (size_t i = 0; i < l->n; i++)
        json_string(j, NULL, l->v[i]);
    json_end_array(j);
}

static void print_host(struct json *j, const struct destination_host *h)
{
    json_begin_object(j, NULL);
    json_string(j, "name", h->name);
    json_int(j, "preference", h->preference);
    json_string(j, "expanded", h->expanded);
    print_list(j, "addresses", &h->addresses);
    json_bool(j, "secure", h->secure);
    json_bool(j, "here", h->here);
    json_string(j, "tlsa", tlsa_words[h->tlsa]);
    json_string(j, "tlsa_name", h->tlsa_name);
    json_int(j, "records", (int64_t)h->tlsa_answer.n);
    json_string(j, "wanted", level_word(h->decision.wanted));
    json_string(j, "why", h->decision.why);
    json_bool(j, "skip", h->decision.skip);
    json_bool(j, "report", h->decision.report);
    print_error(j, "trouble", &h->trouble);
    print_error(j, "policy_trouble", &h->decision.trouble);
    json_end_object(j);
}

static void print_destination(struct json *j, const struct destination *d)
{
    char status[40];
    snprintf(status, sizeof status, "%d.%d.%d", d->enhanced[0], d->enhanced[1], d->enhanced[2]);
    json_begin_object(j, NULL);
    json_string(j, "domain", d->domain);
    json_string(j, "ascii", d->mx.domain);
    json_bool(j, "mx_secure", d->mx.secure);
    json_bool(j, "implicit", d->mx.implicit);
    json_begin_array(j, "hosts");
    for (size_t i = 0; i < d->n; i++)
        print_host(j, &d->v[i]);
    json_end_array(j);
    print_error(j, "error", &d->err);
    json_string(j, "status", status);
    json_end_object(j);
}

static void take_event(void *ctx, const struct event *ev)
{
    struct buf line = BUF_INIT;
    event_format(ev, event_template(ev->kind), &line);
    strlist_add_own(ctx, buf_steal(&line));
}

static enum tls_level level_of(const char *word)
{
    struct strlist rows = STRLIST_INIT;
    strlist_add(&rows, word ? word : "dane");
    enum tls_level level = policy_level_for(&rows, "", LEVEL_DANE);
    strlist_free(&rows);
    return level;
}

int main(int argc, char **argv)
{
    static struct destination_query *queries[MOST];
    static struct task *tasks[MOST + 1];
    struct strlist events = STRLIST_INIT;
    struct err e = ERR_INIT;
    struct hub hub;
    size_t n = 0, all;
    if (argc < 5)
        return 2;
    bool validate = strcmp(argv[3], "off") != 0;
    const struct dns_params dp = { .server = argv[2], .validate = validate, .anchor = validate ? argv[3] : NULL };
    struct dns *dns = dns_new(&dp, &e);
    if (!dns) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const char *port = said(argc, argv, "port"), *family = said(argc, argv, "family"), *ehlo = said(argc, argv, "ehlo");
    struct strlist own = STRLIST_INIT;
    struct destination_params p = {
        .dns = dns, .own = &own, .port = port ? atoi(port) : 25, .asked = level_of(said(argc, argv, "level")), .hub = &hub,
        .family = !family ? AF_UNSPEC : *family == '4' ? AF_INET : AF_INET6,
        .at_least_encrypt = said(argc, argv, "encrypt"), .requiretls = said(argc, argv, "requiretls"),
        .tls_not_required = said(argc, argv, "not_required"), .all = said(argc, argv, "all"),
        .trust_file = said(argc, argv, "trust"), .deadline = clock_deadline(atoi(argv[1]) * USEC_PER_SEC / 1000),
    };
    const struct identity_params ip = {
        .dns = dns, .domain = ehlo, .address = said(argc, argv, "address"), .hub = &hub, .deadline = p.deadline,
    };
    own_addresses(&own);
    hub_init(&hub);
    hub_listen(&hub, EV_ALL & ~EV_BULK, take_event, &events);
    for (int i = 4; i < argc && n < MOST; i++) {
        if (strchr(argv[i], '='))
            continue;
        p.domain = argv[i];
        queries[n] = destination_start(&p);
        tasks[n] = destination_task(queries[n]);
        n++;
    }
    struct identity *identity = ehlo ? identity_new(&ip) : NULL;
    all = n;
    if (identity)
        tasks[all++] = identity_task(identity);
    usec begun = clock_now();
    loop_run(tasks, all, NULL);
    struct buf out = BUF_INIT;
    struct json j = JSON_TO(&out);
    json_begin_object(&j, NULL);
    json_seconds(&j, "took", clock_now() - begun);
    json_begin_array(&j, "destinations");
    for (size_t i = 0; i < n; i++) {
        struct destination d;
        destination_take(queries[i], &d);
        print_destination(&j, &d);
        destination_free(&d);
        destination_query_free(queries[i]);
    }
    json_end_array(&j);
    print_list(&j, "events", &events);
    json_end_object(&j);
    printf("%s\n", out.data);
    identity_free(identity);
    strlist_free(&own);
    dns_free(dns);
    hub_free(&hub);
    strlist_free(&events);
    buf_free(&out);
    return 0;
}
