/* reach_probe: for test_netbed.py. `reach MS {ADDRESS PORT TTL MSS}…` makes attempts at the same time, `ladder MS
 * {ADDRESS PORT}…` ladders; MS milliseconds are the deadline of all, TTL and MSS 0 the system's. Prints one JSON array. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "net/ladder.h"
#include "net/resolve.h"

enum { MOST = 16 };

static void print_icmp(struct json *j, int family, const struct reach_icmp *icmp)
{
    json_string(j, "icmp", reach_icmp_phrase(family, icmp));
    json_string(j, "from", icmp->known ? icmp->from : NULL);
}

static void print_reach(struct json *j, int family, const struct reach *r)
{
    const struct reach_result *result = reach_result(r);
    json_begin_object(j, NULL);
    json_string(j, "outcome", reach_word(result->outcome));
    json_string(j, "reason", result->reason ? strerror(result->reason) : NULL);
    json_seconds(j, "took", result->took);
    json_bool(j, "at_once", result->at_once);
    print_icmp(j, family, &result->icmp);
    json_end_object(j);
}

static void print_ladder(struct json *j, int family, const struct ladder *l)
{
    int n;
    const struct ladder_rung *rungs = ladder_rungs(l, &n);
    struct ladder_summary s = ladder_sum_up(rungs, n);
    json_begin_object(j, NULL);
    json_int(j, "answered_at", s.answered_at);
    json_string(j, "answer", s.answered_at ? reach_word(s.answer) : NULL);
    json_int(j, "last_hop", s.last_hop);
    json_string(j, "last_router", s.last_router);
    json_int(j, "rejected_at", s.rejected_at);
    json_string(j, "rejection", s.rejected_at ? reach_word(s.rejection) : NULL);
    json_string(j, "rejected_by", s.rejected_by);
    json_int(j, "silent_from", s.silent_from);
    json_int(j, "farthest_hop", s.farthest_hop);
    json_int(j, "udp_arrived_at", s.udp_arrived_at);
    json_begin_array(j, "rungs");
    for (int i = 0; i < n; i++) {
        json_begin_object(j, NULL);
        json_string(j, "outcome", reach_word(rungs[i].outcome));
        json_seconds(j, "took", rungs[i].took);
        print_icmp(j, family, &rungs[i].icmp);
        json_string(j, "udp_router", rungs[i].udp_router);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

int main(int argc, char **argv)
{
    bool ladders = argc > 1 && strcmp(argv[1], "ladder") == 0;
    int words = ladders ? 2 : 4, n = (argc - 3) / words;
    if (argc < 3 + words || n > MOST || (!ladders && strcmp(argv[1], "reach") != 0))
        return 2;
    usec deadline = clock_deadline(atoi(argv[2]) * USEC_PER_SEC / 1000);
    struct task *tasks[MOST];
    struct reach *reaches[MOST] = { 0 };
    struct ladder *all[MOST] = { 0 };
    int families[MOST];
    for (int i = 0; i < n; i++) {
        char **a = argv + 3 + i * words;
        struct addrinfo *list = resolve_numeric(a[0], 0, AF_UNSPEC);
        if (!list)
            return 2;
        families[i] = list->ai_family;
        if (ladders) {
            struct ladder_params p = {
                .address = list->ai_addr, .len = list->ai_addrlen, .port = atoi(a[1]), .deadline = deadline,
            };
            all[i] = ladder_new(&p);
            tasks[i] = ladder_task(all[i]);
        } else {
            struct reach_params p = {
                .address = list->ai_addr, .len = list->ai_addrlen, .port = atoi(a[1]), .ttl = atoi(a[2]),
                .mss = atoi(a[3]), .deadline = deadline,
            };
            reaches[i] = reach_new(&p);
            tasks[i] = reach_task(reaches[i]);
        }
        freeaddrinfo(list);
    }
    loop_run(tasks, (size_t)n, NULL);
    struct buf out = BUF_INIT;
    struct json j = JSON_TO(&out);
    json_begin_array(&j, NULL);
    for (int i = 0; i < n; i++) {
        if (ladders)
            print_ladder(&j, families[i], all[i]);
        else
            print_reach(&j, families[i], reaches[i]);
        reach_free(reaches[i]);
        ladder_free(all[i]);
    }
    json_end_array(&j);
    printf("%s\n", out.data);
    buf_free(&out);
    return 0;
}
