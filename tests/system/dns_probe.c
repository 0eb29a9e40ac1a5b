/* dns_probe: for test_dns.py. `ask MS SERVER ANCHOR {NAME TYPE}…` asks all at the same time, `mx MS SERVER ANCHOR
 * DOMAIN…` looks up who takes mail, one after the other. MS milliseconds are the deadline of each; SERVER and ANCHOR "-": the
 * system's; ANCHOR "off": nothing is validated. Prints one JSON array; 1: *e was set, which is then all it prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "net/dns.h"
#include "send/mx.h"

enum { MOST = 4000 };

static const struct { const char *word; enum dns_type type; } types[] = {
    { "A", DNS_A },     { "AAAA", DNS_AAAA }, { "CNAME", DNS_CNAME }, { "MX", DNS_MX }, { "PTR", DNS_PTR },
    { "SRV", DNS_SRV }, { "TLSA", DNS_TLSA }, { "TXT", DNS_TXT },
};

static const char *const statuses[] = {
    [DNS_FOUND] = "found", [DNS_NO_DATA] = "no data", [DNS_NO_NAME] = "no name", [DNS_BOGUS] = "bogus",
    [DNS_FAILED] = "failed",
};

static const char *or_null(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

static enum dns_type type_of(const char *word)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(word, types[i].word) == 0)
            return types[i].type;
    exit(2);
}

static void print_record(struct json *j, const struct dns_record *r)
{
    char hex[4];
    struct buf association = BUF_INIT;
    for (size_t i = 0; i < r->association.len; i++) {
        snprintf(hex, sizeof hex, "%02x", (unsigned char)r->association.data[i]);
        buf_adds(&association, hex);
    }
    json_begin_object(j, NULL);
    if (r->text)
        json_string_n(j, "text", r->text, r->len);
    const struct { const char *name; int value; } numbers[] = {
        { "preference", r->preference }, { "weight", r->weight },     { "port", r->port },
        { "usage", r->usage },           { "selector", r->selector }, { "matching", r->matching },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        json_int(j, numbers[i].name, numbers[i].value);
    if (association.len > 0)
        json_string(j, "association", association.data);
    json_end_object(j);
    buf_free(&association);
}

static void print_answer(struct json *j, const struct dns_answer *a)
{
    json_begin_object(j, NULL);
    json_string(j, "status", statuses[a->status]);
    json_bool(j, "secure", a->secure);
    json_string(j, "name", a->name);
    json_string(j, "why", a->why);
    json_string(j, "hint", a->hint);
    json_int(j, "ttl", a->ttl);
    json_begin_array(j, "records");
    for (size_t i = 0; i < a->n; i++)
        print_record(j, &a->v[i]);
    json_end_array(j);
    json_end_object(j);
}

static void print_error(struct json *j, const struct err *e)
{
    json_begin_object(j, NULL);
    json_string(j, "fault", fault_word(e->fault));
    json_string(j, "error", e->text);
    json_string(j, "hint", e->hint);
}

struct asking {
    struct task task;
    struct dns *dns;
    struct dns_question *question;
    usec deadline, took;
};

static bool asking_step(struct task *t)
{
    struct asking *a = (struct asking *)t;
    return dns_answer(a->question, a->deadline);
}

static void asking_waits(const struct task *t, struct pollset *ps)
{
    const struct asking *a = (const struct asking *)t;
    pollset_until(ps, a->deadline);
    dns_waits(a->dns, ps);
}

static void ask(struct json *j, struct dns *dns, usec wait, char **words, size_t n)
{
    static struct asking all[MOST];
    static struct task *tasks[MOST];
    usec deadline = clock_deadline(wait);
    for (size_t i = 0; i < n && i < MOST; i++) {
        all[i] = (struct asking){
            .task = { asking_step, asking_waits }, .dns = dns, .deadline = deadline,
            .question = dns_ask(dns, words[2 * i], type_of(words[2 * i + 1])),
        };
        tasks[i] = &all[i].task;
    }
    loop_run(tasks, n, NULL);
    for (size_t i = 0; i < n; i++) {
        print_answer(j, dns_answer(all[i].question, 0));
        dns_question_free(all[i].question);
    }
}

static void look_up(struct json *j, struct dns *dns, usec wait, char **domains, size_t n)
{
    struct hub hub;
    hub_init(&hub);
    for (size_t i = 0; i < n; i++) {
        struct mx_list l = { 0 };
        struct err e = ERR_INIT;
        if (mx_lookup(&l, dns, domains[i], clock_deadline(wait), &hub, &e)) {
            json_begin_object(j, NULL);
            json_bool(j, "implicit", l.implicit);
            json_bool(j, "literal", l.literal);
            json_bool(j, "secure", l.secure);
            json_begin_array(j, "hosts");
            for (size_t k = 0; k < l.n; k++)
                json_string(j, NULL, l.v[k].name);
            json_end_array(j);
            json_begin_array(j, "preferences");
            for (size_t k = 0; k < l.n; k++)
                json_int(j, NULL, l.v[k].preference);
            json_end_array(j);
        } else {
            print_error(j, &e);
        }
        json_begin_array(j, "enhanced");
        for (size_t k = 0; k < 3; k++)
            json_int(j, NULL, l.enhanced[k]);
        json_end_array(j);
        json_end_object(j);
        mx_list_free(&l);
        err_clear(&e);
    }
    hub_free(&hub);
}

int main(int argc, char **argv)
{
    struct buf out = BUF_INIT;
    struct json j = JSON_TO(&out);
    struct err e = ERR_INIT;
    if (argc < 6)
        return 2;
    bool mx = strcmp(argv[1], "mx") == 0, validate = strcmp(argv[4], "off") != 0;
    usec wait = atoi(argv[2]) * USEC_PER_SEC / 1000;
    const struct dns_params p = {
        .server = or_null(argv[3]), .validate = validate, .anchor = validate ? or_null(argv[4]) : NULL,
    };
    struct dns *dns = dns_new(&p, &e);
    if (dns) {
        json_begin_array(&j, NULL);
        if (mx)
            look_up(&j, dns, wait, argv + 5, (size_t)argc - 5);
        else
            ask(&j, dns, wait, argv + 5, ((size_t)argc - 5) / 2);
        json_end_array(&j);
    } else {
        print_error(&j, &e);
        json_end_object(&j);
    }
    printf("%s\n", out.data);
    dns_free(dns);
    err_clear(&e);
    buf_free(&out);
    return dns ? 0 : 1;
}
