/* Who goes with whom: recipients by domain, domains by hosts and decisions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "send/grouping.h"
#include "send/unserved.h"

static void domains(void **state)
{
    (void)state;
    static const char *const given[] = { "a@x.example", "b@Y.example", "c@X.EXAMPLE", "root", "\"d@z\"@y.example", "e@[192.0.2.1]" };
    struct envelope env = ENVELOPE_INIT;
    struct buf got = BUF_INIT;
    size_t n;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        envelope_add(&env, given[i]);
    struct grouping_domain *d = grouping_domains(&env, &n);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&got, "%s:", d[i].name);
        for (size_t k = 0; k < d[i].n; k++)
            buf_printf(&got, " %zu", d[i].at[k]);
        buf_adds(&got, "; ");
        free(d[i].at);
    }
    assert_string_equal(got.data, "x.example: 0 2; Y.example: 1 4; : 3; [192.0.2.1]: 5; ");
    free(d);
    buf_free(&got);
    envelope_free(&env);
}

static void many_domains(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    struct envelope env = ENVELOPE_INIT;
    char address[64];
    size_t n, all = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(address, sizeof address, "u%d@d%d.example", i, i % 5000);
        envelope_add(&env, address);
    }
    struct grouping_domain *d = grouping_domains(&env, &n);
    assert_int_equal(n, 5000);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(d[i].at[0], i);
        all += d[i].n;
        free(d[i].at);
    }
    assert_int_equal(all, MANY);
    free(d);
    envelope_free(&env);
}

/* "10 one:may 20 two:dane!": preference, name, level; '!' skipped, '?' reported, '2' a TLSA record of usage 2. "-": nobody. */
static struct destination destination_of(const char *text)
{
    struct destination d = { 0 };
    char name[32], level[32];
    int preference, used;
    if (strcmp(text, "-") == 0)
        err_set(&d.err, FAULT_NO_HOST, "there is no such domain");
    for (; sscanf(text, "%d %31[^:]:%31s %n", &preference, name, level, &used) == 3; text += used) {
        struct destination_host h = { .name = xstrdup(name), .preference = preference };
        char *flag = level + strcspn(level, "!?23");
        h.decision.skip = *flag == '!';
        h.decision.report = *flag == '?';
        if (*flag == '2' || *flag == '3') {
            h.tlsa_answer.v = xcalloc(1, sizeof *h.tlsa_answer.v);
            h.tlsa_answer.v[h.tlsa_answer.n++].usage = *flag - '0';
        }
        *flag = '\0';
        for (int i = LEVEL_NONE; i <= LEVEL_FINGERPRINT; i++)
            if (strcmp(level_word((enum tls_level)i), level) == 0)
                h.decision.wanted = (enum tls_level)i;
        d.v = xrealloc(d.v, (d.n + 1) * sizeof *d.v);
        d.v[d.n++] = h;
    }
    return d;
}

static void forget(struct destination *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].name);
        free(d->v[i].tlsa_answer.v);
    }
    free(d->v);
    err_clear(&d->err);
}

static void groups(void **state)
{
    (void)state;
    static const struct { const char *domains[4], *groups; } cases[] = {
        { { "10 one:may", "20 one:may", "0 ONE:may" }, "0 0 0" },
        { { "10 one:may", "10 two:may", "10 one:may" }, "0 1 0" },
        { { "10 one:may 20 two:may", "1 one:may 2 two:may" }, "0 0" },
        { { "10 one:may 20 two:may", "10 two:may 20 one:may" }, "0 1" },
        { { "10 one:may 10 two:may", "5 two:may 5 one:may", "5 two:may 6 one:may" }, "0 0 1" },
        { { "10 one:may 20 two:may", "10 one:may" }, "0 1" },
        /* not the same protection */
        { { "10 one:may", "10 one:verify", "10 one:encrypt", "10 one:verify" }, "0 1 2 1" },
        { { "10 one:may", "10 one:may?" }, "0 1" },
        { { "10 one:dane 20 two:dane!", "10 one:dane 20 two:dane" }, "0 1" },
        /* usage 2 may be met by the domain's own name; usage 3 never is; unusable or unused records do not matter */
        { { "10 one:dane3", "10 one:dane3" }, "0 0" },
        { { "10 one:dane2", "10 one:dane2" }, "0 1" },
        { { "10 one:dane-only2", "10 one:dane-only2" }, "0 1" },
        { { "10 one:encrypt2", "10 one:encrypt2" }, "0 0" },
        { { "10 one:may 20 two:dane2", "10 one:may 20 two:dane2" }, "0 1" },
        /* nobody */
        { { "-", "10 one:may", "-", "10 one:may" }, "- 0 - 0" },
        { { "-" }, "-" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct destination all[4];
        const struct destination *v[4];
        size_t n = 0, of[4], most = 0;
        struct buf got = BUF_INIT;
        for (; n < 4 && cases[i].domains[n]; n++) {
            all[n] = destination_of(cases[i].domains[n]);
            v[n] = &all[n];
        }
        size_t count = grouping_groups(v, n, of);
        for (size_t k = 0; k < n; k++) {
            buf_adds(&got, k ? " " : "");
            if (of[k] == SIZE_MAX)
                buf_addc(&got, '-');
            else
                buf_printf(&got, "%zu", of[k]);
            most = of[k] != SIZE_MAX && of[k] + 1 > most ? of[k] + 1 : most;
            forget(&all[k]);
        }
        if (strcmp(got.data, cases[i].groups) != 0 || count != most)
            fail_msg("case %zu: %s, not %s", i, got.data, cases[i].groups);
        buf_free(&got);
    }
}

/* What is said to recipients that no server answered for. */
static void replies(void **state)
{
    (void)state;
    static const struct {
        enum fault fault;
        const char *server;
        int enhanced[3];
        const char *reply;
        enum rcpt_fate fate;
    } cases[] = {
        { FAULT_NO_HOST, NULL, { 5, 1, 10 }, "556 5.1.10 it failed", RCPT_REFUSED },
        { FAULT_NO_HOST, NULL, { 5, 1, 2 }, "550 5.1.2 it failed", RCPT_REFUSED },
        { FAULT_NO_HOST, NULL, { 0 }, "550 5.1.2 it failed", RCPT_REFUSED },
        { FAULT_DNS, NULL, { 4, 4, 3 }, "451 4.4.3 it failed", RCPT_DEFERRED },
        { FAULT_CERTIFICATE, NULL, { 0 }, "451 4.7.5 it failed", RCPT_DEFERRED },
        { FAULT_CONNECT, NULL, { 0 }, "451 4.4.1 it failed", RCPT_DEFERRED },
        { FAULT_SYSTEM, NULL, { 0 }, "451 4.0.0 it failed", RCPT_DEFERRED },
        { FAULT_UNAVAILABLE, "554-5.7.1 go away\n554 5.7.1 now", { 0 }, "554 5.7.1 go away now", RCPT_REFUSED },
        { FAULT_TEMPORARY, "421 busy", { 0 }, "421 busy", RCPT_DEFERRED },
        { FAULT_PROTOCOL, "HTTP/1.1 400", { 0 }, "451 4.5.0 it failed", RCPT_DEFERRED },
        { FAULT_PROTOCOL, "250 what?", { 0 }, "451 4.5.0 it failed", RCPT_DEFERRED },
        { FAULT_INTERRUPTED, NULL, { 0 }, "000", RCPT_PENDING },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rcpt r = { .reply = REPLY_INIT };
        struct err e = ERR_INIT;
        struct buf line = BUF_INIT;
        err_set(&e, cases[i].fault, "it failed");
        err_server(&e, cases[i].server);
        unserved_settle(&r, &e, cases[i].enhanced);
        reply_format_line(&r.reply, &line);
        if (!strstr(line.data, cases[i].reply) || r.fate != cases[i].fate)
            fail_msg("case %zu: %s (%s), not %s", i, line.data, rcpt_fate_word(r.fate), cases[i].reply);
        reply_free(&r.reply);
        buf_free(&line);
        err_clear(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains), cmocka_unit_test(many_domains), cmocka_unit_test(groups), cmocka_unit_test(replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
