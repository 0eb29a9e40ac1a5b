/* sts_probe: for test_sts.py. `sts_probe SERVER ANCHOR TRUST MS WORD DOMAIN…` asks for the policies of the domains at
 * the same time, as sts_query does; MS milliseconds are the deadline; WORD is "fresh", "unwanted", an address to come
 * from, or nothing. Prints one JSON array. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "send/sts_query.h"

enum { MOST = 16 };

struct ask {
    struct task task;
    struct sts_query *query;
    struct sts_result result;
    bool wanted;
};

static bool step(struct task *t)
{
    struct ask *a = (struct ask *)t;
    return sts_query_step(a->query, &a->result, a->wanted);
}

static void waits(const struct task *t, struct pollset *ps)
{
    sts_query_waits(((const struct ask *)t)->query, ps);
}

static void print(struct json *j, const struct sts_result *r)
{
    static const char *const sources[] = {
        [STS_ABSENT] = "absent", [STS_CACHED] = "cached", [STS_FETCHED] = "fetched", [STS_UNKNOWN] = "unknown",
    };
    bool policy = r->source == STS_CACHED || r->source == STS_FETCHED;
    json_begin_object(j, NULL);
    json_string(j, "source", sources[r->source]);
    json_string(j, "mode", policy ? sts_mode_word(r->policy.mode) : NULL);
    json_int(j, "max_age", r->policy.max_age);
    json_begin_array(j, "mx");
    for (size_t i = 0; i < r->policy.mx.n; i++)
        json_string(j, NULL, r->policy.mx.v[i]);
    json_end_array(j);
    json_string(j, "id", r->id);
    json_int(j, "expires", r->expires);
    json_string(j, "fault", err_is_set(&r->trouble) ? fault_word(r->trouble.fault) : NULL);
    json_string(j, "trouble", r->trouble.text);
    json_end_object(j);
}

int main(int argc, char **argv)
{
    struct ask asks[MOST] = { 0 };
    struct task *tasks[MOST];
    struct err e = ERR_INIT;
    int n = argc - 6;
    if (n < 1 || n > MOST)
        return 2;
    struct dns_params d = { .server = argv[1], .validate = true, .anchor = argv[2] };
    struct dns *dns = dns_new(&d, &e);
    if (!dns) {
        fprintf(stderr, "%s\n", e.text);
        err_clear(&e);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        struct sts_query_params p = {
            .dns = dns, .domain = argv[6 + i], .trust_file = argv[3], .fresh = strcmp(argv[5], "fresh") == 0,
            .source_ip = strpbrk(argv[5], ".:") ? argv[5] : NULL,
            .deadline = clock_deadline(atoi(argv[4]) * USEC_PER_SEC / 1000),
        };
        asks[i] = (struct ask){
            .task = { .step = step, .waits = waits }, .query = sts_query_start(&p),
            .wanted = strcmp(argv[5], "unwanted") != 0,
        };
        tasks[i] = &asks[i].task;
    }
    loop_run(tasks, (size_t)n, NULL);
    struct buf out = BUF_INIT;
    struct json j = JSON_TO(&out);
    json_begin_array(&j, NULL);
    for (int i = 0; i < n; i++) {
        print(&j, &asks[i].result);
        sts_query_free(asks[i].query);
        sts_result_free(&asks[i].result);
    }
    json_end_array(&j);
    dns_free(dns);
    printf("%s\n", out.data);
    buf_free(&out);
    return 0;
}
