/* route: the ways an account leaves open, and which of them may mend what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/account.h"
#include "send/route.h"

/* The route of an account with that host. */
static struct route route_of(const char *text)
{
    struct rc rc = RC_INIT;
    struct route r = ROUTE_INIT;
    struct account a;
    struct err e = ERR_INIT;
    char *whole = xasprintf("account default\nhost mail.example\n%s\n", text);
    assert_true(rc_parse(&rc, "rc", whole, strlen(whole), strstr(text, "#msmtp") != NULL, &e));
    if (!account_bind(&a, rc_find(&rc, "default"), NULL, &e) || !route_find(&r, &a, &e))
        fail_msg("%s: %s", text, e.text);
    account_free(&a);
    rc_free(&rc);
    free(whole);
    return r;
}

/* "465 implicit verify, 587 required verify" */
static void describe(const struct hop *hop, struct buf *out)
{
    static const char *const levels[] = {
        [SESSION_TLS_OFF] = "off", [SESSION_TLS_MAY] = "may", [SESSION_TLS_REQUIRED] = "required",
        [SESSION_TLS_IMPLICIT] = "implicit",
    };
    buf_printf(out, "%s%d %s%s", out->len ? ", " : "", hop->port, levels[hop->tls], hop->verify ? " verify" : "");
    if (hop->family)
        buf_printf(out, " IPv%d", hop->family == AF_INET6 ? 6 : 4);
    if (hop->mss)
        buf_printf(out, " mss %d", hop->mss);
}

static void ways(void **state)
{
    (void)state;
    static const struct { const char *account, *route; } cases[] = {
        { "port auto", "465 implicit verify, 587 required verify" },
        { "port AUTO\nuser u", "465 implicit verify, 587 required verify" },
        { "port auto,2525", "465 implicit verify, 587 required verify, 2525 required verify" },
        { "port 587,auto,587", "587 required verify, 465 implicit verify" },
        { "port 2525,25", "2525 required verify, 25 required verify" },
        { "port auto\ntls auto\ntls_starttls off", "465 implicit verify, 587 required verify" },
        { "port auto\ntls_starttls on", "465 implicit verify, 587 required verify" },
        { "port auto\ntls_certcheck off", "465 implicit, 587 required" },
        { "port auto #msmtp", "465 implicit verify, 587 required verify" },
        { "port auto\nmss 1200", "465 implicit verify mss 1200, 587 required verify mss 1200" },
        { "port 465", "465 implicit verify" },
        { "port 25", "25 may" },
        { "port 25\ntls off\nauth off", "25 off verify" },
        { "user u", "587 required verify" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = xstrdup(cases[i].account), *comment = strstr(text, " #msmtp");
        struct buf got = BUF_INIT;
        if (comment)
            memcpy(comment, "\n#msmtp", 7);
        struct route r = route_of(text);
        for (size_t k = 0; k < r.n; k++)
            describe(&r.v[k], &got);
        assert_string_equal(got.data, cases[i].route);
        /* who waits for a port while there is another waits less */
        for (size_t k = 0; k < r.n; k++)
            assert_int_equal(r.v[k].connect_within > 0, k + 1 < r.n);
        route_free(&r);
        buf_free(&got);
        free(text);
    }
}

/* All that is tried where every way fails alike. */
static void another_way(void **state)
{
    (void)state;
    static const struct {
        const char *account;
        enum stage stage;
        enum fault fault;
        int family, other;
        const char *tried;
    } cases[] = {
        /* ports */
        { "port auto", STAGE_CONNECT, FAULT_TIMEOUT, 0, 0, "465 587" },
        { "port auto", STAGE_CONNECT, FAULT_CONNECT, 0, 0, "465 587" },
        { "port auto,2525", STAGE_STARTTLS, FAULT_UNAVAILABLE, AF_INET, 0, "465 587 2525" },
        { "port auto", STAGE_TLS, FAULT_TLS, AF_INET, AF_INET6, "465 587" },
        { "port auto", STAGE_PROXY, FAULT_CONNECT, 0, 0, "465 587" },
        { "port 465", STAGE_CONNECT, FAULT_TIMEOUT, 0, 0, "465" },
        /* families */
        { "port 587", STAGE_GREETING, FAULT_TIMEOUT, AF_INET6, AF_INET, "587 587/4" },
        { "port 587", STAGE_GREETING, FAULT_LOST, AF_INET, AF_INET6, "587 587/6" },
        { "port 587", STAGE_GREETING, FAULT_TIMEOUT, AF_INET6, 0, "587" },
        { "port auto", STAGE_GREETING, FAULT_TIMEOUT, AF_INET6, AF_INET, "465 465/4 587 587/4" },
        /* segments */
        { "port 587", STAGE_TLS, FAULT_TIMEOUT, AF_INET, 0, "587 587:1200 587:536" },
        { "port auto", STAGE_EHLO, FAULT_TIMEOUT, AF_INET, 0, "465 587" },
        { "port 587", STAGE_BODY, FAULT_TIMEOUT, AF_INET, 0, "587 587:1200 587:536" },
        { "port 587\nmss 1000", STAGE_TLS, FAULT_TIMEOUT, AF_INET, 0, "587 587:536" },
        { "port 587\nmss 536", STAGE_TLS, FAULT_TIMEOUT, AF_INET, 0, "587" },
        { "port 465", STAGE_TLS, FAULT_TIMEOUT, AF_INET6, AF_INET, "465 465/4 465/4:1200 465/4:536" },
        { "port auto", STAGE_TLS, FAULT_TIMEOUT, AF_INET, 0, "465 465:1200 465:536 587 587:1200 587:536" },
        { "port auto", STAGE_BODY, FAULT_TIMEOUT, AF_INET, 0, "465 465:1200 465:536" },
        /* the server's word, or too late */
        { "port auto", STAGE_GREETING, FAULT_UNAVAILABLE, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_GREETING, FAULT_TEMPORARY, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_TLS, FAULT_PROTOCOL, AF_INET, AF_INET6, "465" }, /* octets behind STARTTLS */
        { "port auto", STAGE_TLS, FAULT_CERTIFICATE, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_AUTH, FAULT_AUTH, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_AUTH, FAULT_TIMEOUT, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_AUTH, FAULT_LOST, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_MAIL, FAULT_TIMEOUT, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_DOT, FAULT_TIMEOUT, AF_INET, AF_INET6, "465" },
        { "port auto", STAGE_LOOKUP, FAULT_NO_HOST, 0, 0, "465" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route r = route_of(cases[i].account);
        struct buf tried = BUF_INIT;
        struct err e = ERR_INIT;
        err_set(&e, cases[i].fault, "it failed");
        err_stage(&e, cases[i].stage);
        size_t at = 0, rounds = 0;
        struct hop_end end = { .err = &e, .family = cases[i].family, .other_family = cases[i].other };
        const int mss = r.v[0].mss;
        do {
            const struct hop *hop = &r.v[at];
            buf_printf(&tried, "%s%d", tried.len ? " " : "", hop->port);
            if (hop->family)
                buf_printf(&tried, "/%d", hop->family == AF_INET6 ? 6 : 4);
            if (hop->mss != mss)
                buf_printf(&tried, ":%d", hop->mss);
            assert_int_equal(hop->tls, hop->port == 465 ? SESSION_TLS_IMPLICIT : SESSION_TLS_REQUIRED);
            assert_true(hop->verify);
            end.family = hop->family ? hop->family : cases[i].family;
            end.other_family = hop->family ? 0 : cases[i].other;
            assert_true(++rounds < 12);
        } while (route_goes_on(&r, &at, &end));
        if (strcmp(tried.data, cases[i].tried) != 0)
            fail_msg("case %zu: %s, not %s", i, tried.data, cases[i].tried);
        buf_free(&tried);
        err_clear(&e);
        route_free(&r);
    }
}

static void never_again(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct route r = route_of("port auto");
    size_t at = 0;
    err_set(&e, FAULT_TIMEOUT, "it stopped");
    err_stage(&e, STAGE_BODY);
    e.fate = FATE_MAYBE_SENT;
    assert_false(route_goes_on(&r, &at, &(struct hop_end){ .err = &e, .family = AF_INET }));
    e.fate = FATE_NOT_SENT;
    assert_false(route_goes_on(&r, &at, &(struct hop_end){ .err = &e, .family = AF_INET, .out_of_time = true }));
    assert_int_equal(at, 0);
    err_clear(&e);
    assert_false(route_goes_on(&r, &at, &(struct hop_end){ .err = &e, .family = AF_INET }));
    route_free(&r);
}

/* A server that breaks TLS off as a session is offered is asked once more without. */
static void afresh(void **state)
{
    (void)state;
    for (int exchanger = 0; exchanger < 2; exchanger++) {
        struct err e = ERR_INIT;
        struct route r = route_of("port 465");
        size_t at = 0;
        const struct hop_end end = { .err = &e, .offered = true };
        r.v[0].exchanger = exchanger;
        err_set(&e, FAULT_CERTIFICATE, "it is not trusted");
        err_stage(&e, STAGE_TLS);
        assert_false(route_goes_on(&r, &at, &end) && at == 0);
        at = 0;
        err_clear(&e);
        err_set(&e, FAULT_TLS, "it breaks off");
        err_stage(&e, STAGE_TLS);
        assert_true(route_goes_on(&r, &at, &end));
        assert_int_equal(at, 0);
        assert_int_equal(r.n, 1);
        assert_true(r.v[0].afresh);
        assert_false(route_goes_on(&r, &at, &end) && at == 0);
        err_clear(&e);
        route_free(&r);
    }
}

static void advice(void **state)
{
    (void)state;
    struct err e = ERR_INIT, later = ERR_INIT;
    struct route r = route_of("port auto");
    size_t at = 0;
    err_set(&e, FAULT_TIMEOUT, "it hangs");
    err_stage(&e, STAGE_TLS);
    struct hop_end end = { .err = &e, .family = AF_INET6, .other_family = AF_INET };
    assert_true(route_goes_on(&r, &at, &end)); /* over IPv4 */
    end.other_family = 0;
    assert_true(route_goes_on(&r, &at, &end)); /* … with small segments */
    assert_false(route_is_mended(&r, at, &e));
    err_set(&later, FAULT_AUTH, "it refuses the login");
    err_stage(&later, STAGE_AUTH);
    assert_true(route_is_mended(&r, at, &later));
    assert_true(route_keep_farthest(&e, &later));
    assert_string_equal(e.text, "it refuses the login");
    struct buf text = BUF_INIT;
    route_advise(&r, at, &text);
    assert_string_equal(text.data, "port 465 of 'mail.example' hangs in the TLS handshake, port 465 over IPv4 with "
                                   "segments of 1200 octets works: write 'ipv4_only on' and 'mss 1200'");
    buf_reset(&text);
    route_advise(&r, r.n - 1, &text);
    assert_string_equal(text.data, "port 465 of 'mail.example' hangs in the TLS handshake, port 587 works: write "
                                   "'port 587'");
    buf_reset(&text);
    route_tell_others(&r, r.n - 1, &text);
    assert_string_equal(text.data, "; port 465 hangs in the TLS handshake");
    buf_free(&text);
    err_clear(&e);
    route_free(&r);
}

/* ---- mail exchangers ---- */

static struct account to_exchangers(void)
{
    return (struct account){ .host = (char *)"mx", .mx = true, .port = 25, .mss = 1400 };
}

static struct destination_host host_at(const char *name, enum tls_level wanted, const char *addresses)
{
    struct destination_host h = { .name = xstrdup(name), .decision = { .wanted = wanted } };
    strlist_split(&h.addresses, addresses, " ");
    return h;
}

static struct destination destination_of(struct destination_host *v, size_t n)
{
    return (struct destination){ .v = v, .n = n, .mx = { .domain = (char *)"example.org", .secure = true } };
}

static void forget(struct destination *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->v[i].name);
        free(d->v[i].tlsa_name);
        strlist_free(&d->v[i].addresses);
    }
}

static void exchangers(void **state)
{
    (void)state;
    struct account a = to_exchangers();
    struct destination_host v[] = {
        host_at("skipped.example", LEVEL_DANE, "192.0.2.9"),
        host_at("dane.example", LEVEL_DANE, "2001:db8::1 192.0.2.1"),
        host_at("may.example", LEVEL_MAY, "192.0.2.2"),
        host_at("verify.example", LEVEL_VERIFY, "192.0.2.3"),
        host_at("here.example", LEVEL_MAY, "192.0.2.8"),
        host_at("none.example", LEVEL_NONE, "192.0.2.4 192.0.2.5"),
    };
    struct destination d = destination_of(v, sizeof v / sizeof *v);
    struct route r = ROUTE_INIT;
    struct buf got = BUF_INIT;
    v[0].decision.skip = true;
    v[1].tlsa_name = xstrdup("expanded.example");
    v[2].decision.report = true;
    v[4].here = true;
    route_exchangers(&r, &a, &d);
    for (size_t i = 0; i < r.n; i++) {
        const struct hop *hop = &r.v[i];
        assert_true(hop->exchanger && hop->mss == 1400 && hop->connect_within == 24 * USEC_PER_SEC);
        assert_ptr_equal(hop->tlsa, i < 2 ? &v[1].tlsa_answer : NULL);
        assert_int_equal(hop->names.n, i < 2);
        assert_int_equal(hop->report, i == 2);
        describe(hop, &got);
        buf_printf(&got, " %s %s", hop->host, hop->address);
    }
    assert_string_equal(got.data, "25 required verify mss 1400 expanded.example 2001:db8::1, "
                                  "25 required verify mss 1400 expanded.example 192.0.2.1, 25 may mss 1400 may.example 192.0.2.2, "
                                  "25 required verify mss 1400 verify.example 192.0.2.3, 25 off mss 1400 none.example 192.0.2.4");
    route_free(&r);
    forget(&d);
    buf_free(&got);
}

/* All that is tried where every exchanger fails alike: which, and whether in clear ("/c"). */
static void another_exchanger(void **state)
{
    (void)state;
    static const struct {
        enum tls_level wanted;
        enum stage stage;
        enum fault fault;
        const char *tried;
    } cases[] = {
        { LEVEL_DANE, STAGE_CONNECT, FAULT_TIMEOUT, "one two" },
        { LEVEL_DANE, STAGE_CONNECT, FAULT_CONNECT, "one two" },
        { LEVEL_MAY, STAGE_GREETING, FAULT_UNAVAILABLE, "one two" },
        { LEVEL_MAY, STAGE_GREETING, FAULT_TEMPORARY, "one two" },
        { LEVEL_MAY, STAGE_GREETING, FAULT_PROTOCOL, "one two" },
        { LEVEL_MAY, STAGE_EHLO, FAULT_UNAVAILABLE, "one two" },
        { LEVEL_MAY, STAGE_EHLO, FAULT_LOST, "one two" },
        { LEVEL_MAY, STAGE_MAIL, FAULT_TEMPORARY, "one two" },
        { LEVEL_MAY, STAGE_MAIL, FAULT_MESSAGE, "one two" }, /* too big for it, or not in its alphabet */
        { LEVEL_MAY, STAGE_RCPT, FAULT_LOST, "one two" },
        { LEVEL_MAY, STAGE_DATA, FAULT_TEMPORARY, "one two" },
        { LEVEL_MAY, STAGE_BODY, FAULT_TIMEOUT, "one two" },
        { LEVEL_MAY, STAGE_BODY, FAULT_LOST, "one two" },
        { LEVEL_MAY, STAGE_PROXY, FAULT_CONNECT, "one two" },
        /* in clear, where that is allowed */
        { LEVEL_MAY, STAGE_TLS, FAULT_TLS, "one one/c two two/c" },
        { LEVEL_MAY, STAGE_TLS, FAULT_LOST, "one one/c two two/c" },
        { LEVEL_MAY, STAGE_TLS, FAULT_TIMEOUT, "one one/c two two/c" },
        { LEVEL_MAY, STAGE_STARTTLS, FAULT_LOST, "one one/c two two/c" },
        { LEVEL_MAY, STAGE_TLS, FAULT_PROTOCOL, "one two" }, /* octets behind STARTTLS */
        { LEVEL_ENCRYPT, STAGE_TLS, FAULT_TLS, "one two" },
        { LEVEL_DANE, STAGE_TLS, FAULT_LOST, "one two" },
        { LEVEL_DANE, STAGE_TLS, FAULT_CERTIFICATE, "one two" },
        { LEVEL_DANE_ONLY, STAGE_STARTTLS, FAULT_UNAVAILABLE, "one two" },
        { LEVEL_VERIFY, STAGE_TLS, FAULT_TIMEOUT, "one two" },
        { LEVEL_FINGERPRINT, STAGE_TLS, FAULT_CERTIFICATE, "one two" },
        { LEVEL_NONE, STAGE_EHLO, FAULT_LOST, "one two" },
        { LEVEL_MAY, STAGE_DOT, FAULT_TEMPORARY, "one two" }, /* it says that it has not taken the message */
        /* the server's last word, ours, or too late */
        { LEVEL_MAY, STAGE_DATA, FAULT_MESSAGE, "one" },
        { LEVEL_MAY, STAGE_DOT, FAULT_LOST, "one" },
        { LEVEL_MAY, STAGE_BODY, FAULT_IO, "one" },
        { LEVEL_MAY, STAGE_RCPT, FAULT_INTERRUPTED, "one" },
        { LEVEL_MAY, STAGE_CONNECT, FAULT_CONFIG, "one" },
        /* nothing failed, but somebody is left */
        { LEVEL_MAY, STAGE_NONE, FAULT_NONE, "one two" },
    };
    struct account a = to_exchangers();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct destination_host v[] = { host_at("one", cases[i].wanted, "192.0.2.1"), host_at("two", cases[i].wanted, "192.0.2.2") };
        struct destination d = destination_of(v, 2);
        struct route r = ROUTE_INIT;
        struct buf tried = BUF_INIT;
        struct err e = ERR_INIT;
        struct hop_end end = { .err = &e, .family = AF_INET, .other_family = AF_INET6 };
        size_t at = 0;
        route_exchangers(&r, &a, &d);
        const enum session_tls tls = r.v[0].tls;
        if (cases[i].fault)
            err_set(&e, cases[i].fault, "it failed");
        err_stage(&e, cases[i].stage);
        do {
            const struct hop *hop = &r.v[at];
            bool clear = hop->tls == SESSION_TLS_OFF && tls != SESSION_TLS_OFF;
            buf_printf(&tried, "%s%s%s", tried.len ? " " : "", hop->host, clear ? "/c" : "");
            assert_true(clear ? cases[i].wanted == LEVEL_MAY : hop->tls == tls);
            assert_int_equal(hop->wanted, cases[i].wanted);
            assert_int_equal(hop->family, 0);
            assert_int_equal(hop->mss, 1400);
            assert_false(route_is_mended(&r, at, &e));
        } while (route_goes_on(&r, &at, &end));
        if (strcmp(tried.data, cases[i].tried) != 0)
            fail_msg("case %zu: %s, not %s", i, tried.data, cases[i].tried);
        e.fate = FATE_MAYBE_SENT;
        at = 0;
        assert_true(cases[i].fault == FAULT_NONE || !route_goes_on(&r, &at, &end));
        buf_free(&tried);
        err_clear(&e);
        route_free(&r);
        forget(&d);
    }
}

static void other_exchangers_are_told(void **state)
{
    (void)state;
    struct account a = to_exchangers();
    struct destination_host v[] = { host_at("one", LEVEL_DANE, "192.0.2.1 2001:db8::1"), host_at("two", LEVEL_DANE, "192.0.2.2") };
    struct destination d = destination_of(v, 2);
    struct route r = ROUTE_INIT;
    struct buf text = BUF_INIT;
    struct err e = ERR_INIT;
    size_t at = 0;
    route_exchangers(&r, &a, &d);
    err_set(&e, FAULT_TIMEOUT, "it failed");
    err_stage(&e, STAGE_CONNECT);
    while (route_goes_on(&r, &at, &(struct hop_end){ .err = &e }))
        ;
    route_tell_others(&r, 0, &text);
    assert_string_equal(text.data, "; 'two' does not answer");
    buf_reset(&text);
    route_tell_others(&r, 2, &text);
    assert_string_equal(text.data, "; 'one' does not answer");
    buf_free(&text);
    err_clear(&e);
    route_free(&r);
    forget(&d);
}

static void there_is_no_one_server(void **state)
{
    (void)state;
    struct account a = to_exchangers();
    struct route r = ROUTE_INIT;
    struct err e = ERR_INIT;
    assert_false(route_find(&r, &a, &e));
    assert_int_equal(e.fault, FAULT_USAGE);
    assert_non_null(strstr(e.hint, "envoi mx DOMAIN"));
    err_clear(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ways), cmocka_unit_test(another_way), cmocka_unit_test(never_again), cmocka_unit_test(afresh), cmocka_unit_test(advice),
        cmocka_unit_test(exchangers), cmocka_unit_test(another_exchanger), cmocka_unit_test(other_exchangers_are_told),
        cmocka_unit_test(there_is_no_one_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
