/* fuzz_verdict: any scene, however unlikely, has a verdict with a sentence, and every form can show it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cmd/diagnose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n;
};

static unsigned take(struct input *in, unsigned below)
{
    if (!in->n)
        return 0;
    in->n--;
    return *in->p++ % below;
}

static char *text(struct input *in)
{
    static const char *const some[] = {
        NULL,          "",      "220 x",    "554 5.7.1 no",   "421 busy", "HTTP/1.1 400",     "192.0.2.1",
        "2001:db8::1", "AA:BB", "CN=Avast", "<&\"'>\033\377", "expired",  "untrusted-issuer", "PLAIN"
    };
    return xstrdup(some[take(in, sizeof some / sizeof *some)]);
}

static void list(struct input *in, struct strlist *l)
{
    for (unsigned n = take(in, 3); n > 0; n--) {
        char *t = text(in);
        if (t)
            strlist_add_own(l, t);
    }
}

static void look_up(struct input *in, struct lookup *l)
{
    l->name = text(in);
    l->outcome = (enum lookup_outcome)take(in, LOOKUP_LITERAL + 1);
    l->reason = text(in);
    list(in, &l->addresses);
}

static void sight(struct input *in, struct scene *s)
{
    static const int ports[] = { 25, 465, 587, 2525, 443, 0 };
    struct sight *v = scene_add_sight(s);
    unsigned bits = take(in, 256), more = take(in, 256);
    *v = (struct sight){ .role = (enum sight_role)take(in, 4),
                         .host = text(in),
                         .address = text(in),
                         .family = bits & 1 ? AF_INET6 : AF_INET,
                         .port = ports[take(in, 6)],
                         .implicit = bits & 2,
                         .crossed = bits & 4,
                         .mss = bits & 8 ? 536 : 0,
                         .done = bits & 16,
                         .looked = bits & 32,
                         .banner_masked = bits & 64,
                         .ehlo_answered = bits & 128,
                         .starttls_offered = more & 1,
                         .closed_at_once = more & 2,
                         .tls.up = more & 4,
                         .tls.verified = more & 8,
                         .reach = more & 16 ? (enum reach_outcome)take(in, REACH_OUTCOMES) : REACH_OPEN,
                         .took = take(in, 256) * 40000 };
    v->heard = text(in);
    v->greeting = text(in);
    v->starttls_masked = more & 32 ? text(in) : NULL;
    v->tls.problem = text(in);
    v->tls.issuer = text(in);
    v->tls.subject = text(in);
    v->tls.sha256 = text(in);
    v->tls.not_after = (long long)take(in, 256) << take(in, 56);
    list(in, &v->tls.problems);
    list(in, &v->tls.names);
    list(in, &v->auth);
    list(in, &v->auth_tls);
    list(in, &v->ehlo);
    for (v->n_phases = 0; v->n_phases < take(in, SIGHT_PHASES + 1) && v->n_phases < SIGHT_PHASES; v->n_phases++)
        v->phases[v->n_phases] = (struct sight_phase){ (enum stage)take(in, STAGE_COUNT), take(in, 256) * 1000 };
    if (more & 64) {
        err_set(&v->err, (enum fault)(1 + take(in, FAULT_COUNT - 1)), "an error");
        err_stage(&v->err, (enum stage)take(in, STAGE_COUNT));
        char *words = text(in);
        if (words)
            err_server(&v->err, words);
        free(words);
    }
}

static void ladder(struct input *in, struct scene *s)
{
    struct scene_ladder *l = scene_add_ladder(s);
    *l = (struct scene_ladder){ .address = xstrdup("192.0.2.1"),
                                .family = AF_INET,
                                .port = take(in, 2) ? 587 : 443,
                                .n = (int)take(in, LADDER_MAX + 1) };
    for (int i = 0; i < l->n; i++) {
        l->rungs[i].outcome = (enum reach_outcome)take(in, REACH_OUTCOMES);
        l->rungs[i].icmp.known = take(in, 2);
        strcpy(l->rungs[i].icmp.from, "10.0.0.1");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    struct scene s = SCENE_INIT;
    struct verdict v = VERDICT_INIT;
    struct buf out = BUF_INIT;
    unsigned bits = take(&in, 256);
    s.question = (struct scene_question){ .named = (enum scene_named)take(&in, 4),
                                          .name = text(&in),
                                          .host = text(&in),
                                          .port = take(&in, 2) ? 25 : 587,
                                          .tls = (enum session_tls)take(&in, 5),
                                          .verify = bits & 1,
                                          .auth = bits & 2,
                                          .mechanism = text(&in),
                                          .control = text(&in),
                                          .ipv4_only = bits & 4,
                                          .proxy = bits & 8 ? text(&in) : NULL };
    look_up(&in, &s.names.v4);
    look_up(&in, &s.names.v6);
    look_up(&in, &s.names.known);
    look_up(&in, &s.names.impossible);
    s.names.null_mx = bits & 16;
    s.machine.v4.route = bits & 32;
    s.machine.v6.route = bits & 64;
    s.machine.vendor = bits & 128 ? xstrdup("DigitalOcean") : NULL;
    for (unsigned n = take(&in, 8); n > 0; n--)
        sight(&in, &s);
    for (unsigned n = take(&in, 3); n > 0; n--)
        ladder(&in, &s);
    verdict_of(&s, &v);
    if (!v.cause || v.word >= VERDICT_COUNT)
        abort();
    diagnose_text(&s, &v, &out);
    diagnose_table(&s, true, &out);
    diagnose_json(&s, &v, &out);
    diagnose_html(&s, &v, &out);
    buf_free(&out);
    verdict_free(&v);
    scene_free(&s);
    return 0;
}
