/* deliver_tls: what an account and a hop ask of TLS, and the name under which a session is kept for a later run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/strlist.h"
#include "send/deliver.h"

/* What is decided for a mail exchanger is what TLS gets: of the account's own fingerprints and names nothing else. */
static void test_exchanger_levels(void **state)
{
    (void)state;
    static const struct {
        enum tls_level wanted;
        bool report, verify, tlsa, fingerprints;
    } rows[] = {
        { LEVEL_NONE, false, false, false, false },     { LEVEL_MAY, false, false, false, false },
        { LEVEL_ENCRYPT, false, false, false, false },  { LEVEL_DANE, false, true, true, false },
        { LEVEL_DANE_ONLY, false, true, true, false },  { LEVEL_VERIFY, false, true, false, false },
        { LEVEL_FINGERPRINT, false, true, false, true }, { LEVEL_MAY, true, true, false, false },
        { LEVEL_DANE, true, true, true, false },        { LEVEL_VERIFY, true, true, false, false },
    };
    const struct dns_answer tlsa = { .status = DNS_FOUND };
    struct account a = { .tls_host_override = "other.example" };
    strlist_add(&a.tls_fingerprint, "00");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct hop hop = { .host = "mx.example", .exchanger = true, .wanted = rows[i].wanted,
                                 .report = rows[i].report, .tlsa = &tlsa };
        const struct tls_params p = deliver_tls_params(&a, &hop, NULL);
        assert_string_equal(p.host, "mx.example");
        assert_null(p.sni);
        assert_int_equal(p.verify, rows[i].verify);
        assert_int_equal(p.tolerate, rows[i].report && rows[i].wanted == LEVEL_MAY);
        assert_ptr_equal(p.tlsa, rows[i].tlsa ? &tlsa : NULL);
        assert_ptr_equal(p.names, rows[i].tlsa ? &hop.names : NULL);
        assert_ptr_equal(p.fingerprints, rows[i].fingerprints ? &a.tls_fingerprint : NULL);
    }
    strlist_free(&a.tls_fingerprint);
}

/* Two files that differ, gone after the test. */
static void make_files(char file[2][32])
{
    for (int i = 0; i < 2; i++) {
        snprintf(file[i], 32, "/tmp/envoi-test-file-XXXXXX");
        const int fd = mkstemp(file[i]);
        assert_true(fd >= 0);
        close(fd);
    }
}

/* Everything that says who is talked to and who is believed is in a session's name, and none of it can be read
 * there. */
static void test_session_name(void **state)
{
    (void)state;
    enum { NONE, PORT, TLS, USER, SOURCE, PROXY, PROXY_PORT, PROXY_TYPE, PROXY_USER, HOST, SNI, PRIORITIES, CERTIFICATE,
           KEY, VERIFY, EXCHANGER, LEVEL, REPORT, TRUST, FINGERPRINT, NAMES, TLSA, USAGE, SELECTOR, MATCHING,
           ASSOCIATION, TWO, WRITTEN, LAST };
    struct strlist one = STRLIST_INIT, two = STRLIST_INIT, seen = STRLIST_INIT;
    char file[2][32];
    make_files(file);
    strlist_add(&one, "00");
    strlist_add(&two, "01");
    for (int what = NONE; what < LAST; what++) {
        struct dns_record records[] = { { .usage = what == USAGE ? 2 : 3, .selector = what == SELECTOR,
                                          .matching = what == MATCHING, .association = BUF_INIT },
                                        { .usage = 3, .association = BUF_INIT } };
        struct dns_answer tlsa = { .status = DNS_FOUND, .v = records, .n = what == TWO ? 2 : 1 };
        struct account a = { .tls_session_cache = TRI_ON, .user = what == USER ? "you" : "me" };
        struct hop hop = { .host = "mx.example", .port = what == PORT ? 587 : 25, .tls = SESSION_TLS_REQUIRED };
        struct tls_params p = { .host = what == HOST ? "other.example" : "mx.example", .sni = what == SNI ? "" : NULL,
                                .verify = what != VERIFY, .fingerprints = what == FINGERPRINT ? &two : &one };
        buf_adds(&records[0].association, what == ASSOCIATION ? "x" : "y");
        a.source_ip = what == SOURCE ? "192.0.2.1" : NULL;
        a.proxy_type = what == PROXY_TYPE ? PROXY_SOCKS5 : PROXY_NONE;
        a.proxy_host = what == PROXY ? "proxy.example" : NULL;
        a.proxy_port = what == PROXY_PORT ? 1080 : 0;
        a.proxy_user = what == PROXY_USER ? "me" : NULL;
        hop.tls = what == TLS ? SESSION_TLS_IMPLICIT : hop.tls;
        hop.exchanger = what == EXCHANGER;
        hop.wanted = what == LEVEL ? LEVEL_VERIFY : LEVEL_NONE;
        hop.report = what == REPORT;
        p.priorities = what == PRIORITIES ? "NORMAL" : NULL;
        p.cert_file = what == CERTIFICATE ? file[0] : NULL;
        p.key_file = what == KEY ? file[0] : NULL;
        p.trust_file = what == TRUST ? file[1] : file[0];
        p.names = what == NAMES ? &one : NULL;
        p.tlsa = what >= TLSA && what <= TWO ? &tlsa : NULL;
        if (what == WRITTEN)
            assert_int_equal(truncate(file[0], 1), 0);
        struct buf name = BUF_INIT, again = BUF_INIT;
        if (!deliver_tls_session_name(&a, &hop, &p, &name)) {
            assert_int_equal(what, NONE); /* no TLS */
            break;
        }
        assert_true(deliver_tls_session_name(&a, &hop, &p, &again));
        assert_string_equal(name.data, again.data);
        assert_int_equal(strncmp(name.data, what == PORT ? "mx.example_587_" : "mx.example_25_", 14), 0);
        assert_int_equal(strspn(strrchr(name.data, '_') + 1, "0123456789abcdef"), 64);
        if (strlist_has(&seen, name.data))
            fail_msg("%d", what);
        strlist_add(&seen, name.data);
        for (int i = 0; i < 2; i++)
            buf_free(&records[i].association);
        buf_free(&name);
        buf_free(&again);
    }
    for (int i = 0; i < 2; i++)
        unlink(file[i]);
    strlist_free(&seen);
    strlist_free(&one);
    strlist_free(&two);
}

/* Not for root, not where anything less than a verified peer would do, nor where what it is verified by cannot be
 * watched. */
static void test_sessions_not_kept(void **state)
{
    (void)state;
    const struct hop hop = { .host = "mx.example", .port = 25 }, local = { .socket = "/run/lmtp" };
    struct strlist one = STRLIST_INIT, none = STRLIST_INIT;
    const struct dns_answer tlsa = { .status = DNS_FOUND };
    const bool root = geteuid() == 0;
    char file[2][32];
    make_files(file);
    strlist_add(&one, "00");
    const char *trust = file[0];
    const struct {
        int cache;
        bool system, over_socket, kept;
        struct tls_params p;
    } rows[] = {
        { TRI_ON, false, false, true, { .verify = true, .trust_file = trust } },
        { TRI_ON, true, false, true, { .verify = true, .trust_file = trust } },
        { TRI_ON, false, true, false, { .verify = true, .trust_file = trust } },
        { TRI_AUTO, false, false, !root, { .verify = true, .trust_file = trust } },
        { TRI_AUTO, true, false, false, { .verify = true, .trust_file = trust } },
        { TRI_OFF, false, false, false, { .verify = true, .trust_file = trust } },
        { TRI_ON, false, false, false, { .trust_file = trust } },
        { TRI_ON, false, false, false, { .trust_file = trust, .fingerprints = &none } },
        { TRI_ON, false, false, true, { .trust_file = trust, .fingerprints = &one } },
        { TRI_ON, false, false, true, { .trust_file = trust, .tlsa = &tlsa } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .tolerate = true } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .any_name = true } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .any_issuer = true } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .crl_file = file[1] } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = "/tmp" } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = "/dev/null" } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = "pkcs11:" } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .key_file = "pkcs11:object=x",
                                         .cert_file = file[1] } },
        { TRI_ON, false, false, false, { .verify = true, .trust_file = trust, .key_file = file[1],
                                         .cert_file = "pkcs11:object=x" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct account a = { .tls_session_cache = rows[i].cache, .system = rows[i].system };
        struct buf name = BUF_INIT;
        const bool kept = deliver_tls_session_name(&a, rows[i].over_socket ? &local : &hop, &rows[i].p, &name);
        if (i == 0 && !kept)
            break; /* no TLS */
        if (kept != rows[i].kept || (name.len > 0) != kept)
            fail_msg("row %zu", i);
        buf_free(&name);
    }
    for (int i = 0; i < 2; i++)
        unlink(file[i]);
    strlist_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanger_levels),
        cmocka_unit_test(test_session_name),
        cmocka_unit_test(test_sessions_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
