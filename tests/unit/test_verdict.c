/* Scenes built by hand, and the verdict each must have; for the important ones the sentences; the whole text of ten in tests/diagnose.txt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/diagnose.h"
#include "scene_text.h"
#include "send/verdict.h"

#define A "@192.0.2.1 "
#define B "@192.0.2.2 "
#define V6 "@2001:db8::1 "
#define DEAD A "465 silent; " A "2525 silent; " A "25 silent; "
#define UP A "443; "

static const struct {
    const char *scene, *word;
    int exit;
    const char *config; /* lines joined by ", "; NULL: none */
} cases[] = {
    /* healthy */
    { A "587; " A "465; " UP, "ok", 0, NULL },
    { A "587", "ok", 0, NULL },
    { A "587; " DEAD A "443 silent", "ok", 0, NULL },                        /* one port only */
    { A "587; " V6 "587 no-family; no6", "ok", 0, NULL },                     /* IPv4 only, here */
    { A "587; dns6 no-address", "ok", 0, NULL },                              /* … and there */
    { V6 "587; no4", "ok", 0, NULL },
    { A "587 silent; " B "587", "ok", 0, NULL },                              /* the first of two is dead */
    { A "587 refused; " B "587", "ok", 0, NULL },
    { A "587 undone; " B "587", "ok", 0, NULL },
    { A "587; " V6 "587 refused", "ok", 0, NULL },                            /* does not listen there */
    { A "587; " V6 "587 undone", "ok", 0, NULL },
    { "tls implicit; port 465; " A "465; " A "587 silent", "ok", 0, NULL },
    { "noverify; " A "587 cert=untrusted-issuer", "ok", 0, NULL },
    { "tls off; noauth; port 25; " A "25 plain", "ok", 0, NULL },
    { "noauth; " A "587 noauth", "ok", 0, NULL },
    { "mech LOGIN; " A "587", "ok", 0, NULL },
    { A "587; rewritten 203.0.113.9", "ok", 0, NULL },
    { A "587; " A "443; ladder 192.0.2.1 587 eo; ladder 192.0.2.1 443 eeeo", "ok", 0, NULL }, /* verified: a load balancer */
    { "control mx.example.net; " A "587; @192.0.2.9 587 ctl", "ok", 0, NULL },

    /* another family */
    { A "587; " V6 "587 silent", "ipv6-broken", 0, "ipv4_only on" },
    { A "587; " V6 "587 prohibited", "ipv6-broken", 0, "ipv4_only on" },
    { V6 "587; " A "587 silent", "ipv4-broken", 0, "ipv6_only on" },
    { A "587; " V6 "587 silent; " V6 "465", "port-filtered", 0, "ipv4_only on" },
    { V6 "587; " A "587 silent; " A "443", "port-filtered", 0, "ipv6_only on" },
    { A "587; " V6 "587 prohibited; " V6 "465", "port-rejected", 0, "ipv4_only on" },

    /* one address works, another does not */
    { A "587; " V6 "587 cert=wrong-name names=old.example.org", "certificate-wrong-name", 0, "ipv4_only on" },
    { A "587 cert=expired; " B "587", "certificate-expired", 0, NULL },
    { A "587 mute; " A "587 crossed mute; " B "587", "silent-after-connect", 0, NULL },
    { V6 "587 hangs; " V6 "587 mss=1200; " A "587", "mtu-black-hole", 0, "ipv4_only on" },
    { A "587 mute; " V6 "587; " B "587 refused", "silent-after-connect", 0, "ipv6_only on" },
    { A "587; " B "587 says=421_4.3.2_All_server_ports_are_busy", "refused-by-host", 0, NULL },
    { "no6; " V6 "587 no-family", "ipv6-absent", 75, NULL },
    { "no6; " V6 "587 net-unreachable", "ipv6-absent", 75, NULL },
    { "-6; no6; " V6 "587 no-family", "ipv6-absent", 75, NULL },
    { "no4; " A "587 net-unreachable", "ipv4-broken", 75, NULL },
    { "no4; no6; " A "587 net-unreachable; " V6 "587 no-family", "no-network", 75, NULL },

    /* not reached */
    { A "587 refused; " A "465; " UP, "other-port-works", 0, "port 465, tls_starttls off" },
    { A "587 silent; " A "465; " UP, "other-port-works", 0, "port 465, tls_starttls off" },
    { "port 25; " A "25 silent; " A "587; " UP, "other-port-works", 0, "port 587" },
    { "tls implicit; port 465; " A "465 silent; " A "587; " UP, "other-port-works", 0, "port 587, tls_starttls on" },
    { "port 25; vendor Google Google_Compute_Engine; " A "25 silent; " A "587; " UP, "port-filtered", 0, "port 587" },
    { "env RENDER; " A "587 silent; " A "2525; " UP, "port-filtered", 0, "port 2525" },
    { A "587 silent; " A "465; " UP "ladder 192.0.2.1 587 e..; ladder 192.0.2.1 443 eeo", "port-filtered", 0, "port 465, tls_starttls off" },
    { A "587 silent; " A "465; " UP "ladder 192.0.2.1 587 ...; ladder 192.0.2.1 443 eeo", "port-filtered", 0, "port 465, tls_starttls off" },
    { A "587 silent; " A "465; " UP "ladder 192.0.2.1 587 ee.; ladder 192.0.2.1 443 eeo", "other-port-works", 0, "port 465, tls_starttls off" },
    { "control mx.example.net; " A "587 silent; " UP "@192.0.2.9 587 ctl silent; @192.0.2.9 443 ctl connects", "port-filtered", 75, NULL },
    { A "587 silent; " A "465 refused; " A "25 refused; " UP, "port-filtered", 75, NULL },
    { A "587 silent; " DEAD UP, "all-mail-ports-filtered", 75, NULL },
    { "vendor DigitalOcean Droplet; " A "587 silent; " DEAD UP, "all-mail-ports-filtered", 75, NULL },
    { "control mx.example.net; " A "587 silent; " DEAD UP "@192.0.2.9 587 ctl", "host-down", 75, NULL },
    { A "587 silent; " DEAD A "443 silent", "host-down", 75, NULL },
    { "control mx.example.net; " A "587 silent; " DEAD A "443 silent; @192.0.2.9 443 ctl connects", "host-down", 75, NULL },
    { A "587 host-unreachable; " A "465 host-unreachable; " A "443 host-unreachable", "host-down", 75, NULL },
    { A "587 host-unreachable; ladder 192.0.2.1 587 ex", "host-down", 75, NULL },
    { A "587 host-unreachable; " A "465 silent; " UP, "port-rejected", 75, NULL },
    { A "587 host-unreachable; " A "465; " UP, "port-rejected", 0, "port 465, tls_starttls off" },
    { V6 "587 prohibited; " V6 "465 prohibited", "port-rejected", 75, NULL },
    { A "587 local-firewall; " UP, "port-rejected", 75, NULL },
    { A "587 blackhole; " A "443 blackhole", "port-rejected", 75, NULL },
    { A "587 refused; " UP "ladder 192.0.2.1 587 er; ladder 192.0.2.1 443 eeeo", "port-rejected", 75, NULL },
    { A "587 refused; " UP "ladder 192.0.2.1 587 ex; ladder 192.0.2.1 443 eeeo", "port-rejected", 75, NULL },
    { A "587 refused; " UP "ladder 192.0.2.1 587 eeer; ladder 192.0.2.1 443 eeeo", "refused-by-host", 75, NULL },
    { A "587 refused; " UP, "refused-by-host", 75, NULL },
    { A "587 refused", "refused-by-host", 75, NULL },
    { "proxy p.example:1080; " A "587 proxyrefuses", "port-rejected", 75, NULL },
    { "proxy p.example:1080; " A "587 silent", "host-down", 75, NULL },
    { "", "host-down", 75, NULL },
    { A "587 undone", "host-down", 75, NULL },

    /* names */
    { "dns4 failed; dns6 failed; known failed", "dns-failing", 75, NULL },
    { "dns4 failed; dns6 failed; impossible failed", "dns-failing", 75, NULL },
    { "dns4 failed; dns6 failed; impossible no-name", "dns-failing", 75, NULL },
    { "no4; no6; dns4 failed; dns6 failed; impossible failed", "no-network", 75, NULL },
    { "dns4 silent; dns6 silent; known silent", "dns-failing", 75, NULL },
    { "dns4 failed; dns6 failed; known found 192.0.2.7", "dns-failing", 75, NULL },
    { "dns4 no-name; dns6 no-name; known found 192.0.2.7", "dns-no-such-host", 68, NULL },
    { "-4; dns4 no-address", "dns-no-such-host", 68, NULL },
    { "domain; nullmx", "dns-no-such-host", 68, NULL },
    { "domain", "dns-no-such-host", 68, NULL },
    { "dns4 found 203.0.113.9; rewritten 203.0.113.9; @203.0.113.9 587 silent; @203.0.113.9 443 connects", "dns-rewritten", 68, NULL },

    /* connected */
    { A "587 says=HTTP/1.1_400_Bad_Request", "not-smtp", 76, NULL },
    { A "587 says=SSH-2.0-OpenSSH_9.2; " A "465", "not-smtp", 0, "port 465, tls_starttls off" },
    { A "587 says=Hello_there", "not-smtp", 76, NULL },
    { A "587 mute; " A "587 crossed", "plain-on-tls-port", 0, "tls on, tls_starttls off" },
    { A "587 mute; " A "587 crossed cert=expired", "plain-on-tls-port", 78, "tls on, tls_starttls off" },
    { A "587 mute; " A "587 crossed cert=expired; " A "465", "plain-on-tls-port", 0, "port 465, tls_starttls off" },
    { A "587 bad-source", "port-rejected", 75, NULL },
    { A "587 other", "port-rejected", 75, NULL },
    { "tls implicit; port 465; " A "465 cleargreeting; " A "465 crossed", "tls-on-plain-port", 0, "tls on, tls_starttls on" },
    { A "587 mute; " A "587 crossed mute", "silent-after-connect", 75, NULL },
    { A "587 mute", "silent-after-connect", 75, NULL },
    { A "587 tarpit", "silent-after-connect", 75, NULL },
    { A "587 tarpit; " A "587 tarpit mss=1200", "silent-after-connect", 75, NULL },
    { A "587 reset", "banned", 75, NULL },
    { A "587 mute; " A "465", "silent-after-connect", 0, "port 465, tls_starttls off" },
    { A "587 hangs; " A "587 mss=1200", "mtu-black-hole", 0, "mss 1200" },
    { A "587 hangs; " A "587 hangs mss=1200; " A "587 hangs mss=536", "tls-fails", 76, NULL },
    { A "587 alert", "tls-fails", 76, NULL },
    { A "587 refusestls", "tls-fails", 76, NULL },
    { "tls implicit; port 465; " A "465 alert", "tls-fails", 76, NULL },
    { A "587 nostarttls; " A "465", "starttls-stripped", 0, "port 465, tls_starttls off" },
    { A "587 nostarttls", "starttls-stripped", 69, NULL },
    { A "587 xxxa", "starttls-stripped", 69, NULL },
    { "tls off; noauth; " A "587 plain xxxa", "starttls-stripped", 0, NULL },
    { A "587 masked", "banner-masked", 0, NULL },
    { A "587 masked xxxa", "starttls-stripped", 69, NULL },
    { A "587 cert=expired", "certificate-expired", 77, NULL },
    { A "587 cert=not-yet-valid", "certificate-not-yet-valid", 77, NULL },
    { A "587 cert=wrong-name names=www.example.com,example.com", "certificate-wrong-name", 77, NULL },
    { A "587 cert=untrusted-issuer", "certificate-untrusted-issuer", 77, "tls_fingerprint AA:BB:CC" },
    { A "587 cert=untrusted-issuer+expired", "certificate-untrusted-issuer", 77, "tls_fingerprint AA:BB:CC" },
    { A "587 cert=wrong-fingerprint", "certificate-wrong-fingerprint", 77, NULL },
    { A "587 cert=revoked", "certificate-revoked", 77, NULL },
    { A "587 cert=weak", "certificate-unacceptable", 77, NULL },
    { A "587 cert=untrusted-issuer issuer=CN=Avast_Web/Mail_Shield_Root", "intercepted", 77, NULL },
    { A "587 cert=untrusted-issuer issuer=CN=FortiGate_CA,O=Fortinet", "intercepted", 77, NULL },
    { A "587 cert=untrusted-issuer; " UP "ladder 192.0.2.1 587 eo; ladder 192.0.2.1 443 eeo", "intercepted", 77, NULL },
    { "tls off; noauth; " A "587 plain; " UP "ladder 192.0.2.1 587 o; ladder 192.0.2.1 443 eeo", "intercepted", 77, NULL },
    { "control mx.example.net; " A "587 nostarttls greets=portal_ESMTP; @192.0.2.9 587 ctl nostarttls greets=portal_ESMTP", "intercepted", 77, NULL },
    { A "587 cert=untrusted-issuer; " UP "ladder 192.0.2.1 587 eeeeeeeo; ladder 192.0.2.1 443 eeeeeeeeo", "certificate-untrusted-issuer", 77,
      "tls_fingerprint AA:BB:CC" },
    { A "587 closed", "banned", 75, NULL },
    { A "587 says=554_5.7.1_Service_unavailable;", "refused-by-host", 69, NULL },
    { A "587 says=421_4.3.2_All_server_ports_are_busy", "refused-by-host", 75, NULL },
    { A "587 lost", "refused-by-host", 75, NULL },
    { "tls implicit; port 465; " A "465 closed; " A "465 crossed closed", "banned", 75, NULL },
    { "tls implicit; port 465; " A "465 closed; " A "465 crossed mute", "tls-fails", 76, NULL },
    { A "587 garbled", "not-smtp", 76, NULL },
    { A "587 garbled-tls", "not-smtp", 76, NULL },
    { A "587 noauth", "auth-not-offered", 69, NULL },
    { "port 25; " A "25 noauth; " A "587", "auth-not-offered", 0, "port 587" },
    { "mech CRAM-MD5; " A "587", "auth-not-offered", 69, NULL },
    { A "587 loginfails", "login-refused", 77, NULL },
};

static void config_is(const struct verdict *v, const char *scene, const char *wanted)
{
    struct buf got = BUF_INIT;
    for (size_t i = 0; i < v->config.n; i++)
        buf_printf(&got, "%s%s", i ? ", " : "", v->config.v[i]);
    if (strcmp(got.data, wanted ? wanted : "") != 0)
        fail_msg("%s: writes '%s', wanted '%s'", scene, got.data, wanted ? wanted : "");
    buf_free(&got);
}

static void scenes_have_their_words(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        struct verdict v = VERDICT_INIT;
        scene_of_text(&s, cases[i].scene);
        verdict_of(&s, &v);
        if (strcmp(verdict_word(v.word), cases[i].word) != 0 || fault_exit(v.fault) != cases[i].exit) {
            print_error("%s: %s %d, wanted %s %d\n", cases[i].scene, verdict_word(v.word), fault_exit(v.fault), cases[i].word, cases[i].exit);
            wrong++;
        } else {
            config_is(&v, cases[i].scene, cases[i].config);
        }
        assert_non_null(v.cause);
        assert_true(v.word == VERDICT_OK || v.remedy);
        verdict_free(&v);
        scene_free(&s);
    }
    assert_int_equal(wrong, 0);
}

static void every_word_has_a_scene(void **state)
{
    (void)state;
    for (int w = 0; w < VERDICT_COUNT; w++) {
        bool met = false;
        for (size_t i = 0; i < sizeof cases / sizeof *cases && !met; i++)
            met = strcmp(cases[i].word, verdict_word((enum verdict_word)w)) == 0;
        if (!met)
            fail_msg("no scene for '%s'", verdict_word((enum verdict_word)w));
        assert_non_null(verdict_meaning((enum verdict_word)w));
    }
}

/* What a sentence never is: with a hole, with two blanks, with a capital word at its start that is no name, with a full stop. */
static void sentences_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        struct verdict v = VERDICT_INIT;
        scene_of_text(&s, cases[i].scene);
        verdict_of(&s, &v);
        const char *const sentences[] = { v.cause, v.remedy };
        for (int k = 0; k < 2; k++) {
            const char *t = sentences[k];
            if (t && (strchr(t, '{') || strstr(t, "[[") || strstr(t, "]]") || strstr(t, "  ") || strstr(t, "''") || strstr(t, " ;")
                      || strstr(t, ": ;") || t[0] == ' ' || t[0] == ';' || t[strlen(t) - 1] == ' ' || t[strlen(t) - 1] == '.'
                      || t[strlen(t) - 1] == ':' || t[strlen(t) - 1] == ','))
                fail_msg("%s: '%s'", cases[i].scene, t);
        }
        verdict_free(&v);
        scene_free(&s);
    }
}

static const struct {
    const char *scene, *cause, *remedy;
} sentences[] = {
    { A "587; " UP, "port 587 of 'mail.example.org' works: STARTTLS, TLS1.3, the certificate is good until 2027-01-22, login by PLAIN, LOGIN",
      NULL },
    { "port 25; vendor Google Google_Compute_Engine; " A "25 silent; " A "587; " UP,
      "the network drops packets to port 25 (Google Cloud blocks port 25 always): 'mail.example.org' does not answer there, though other "
      "ports get through", "use port 587 with STARTTLS, which works" },
    { A "587 refused; " A "465; " UP, "nobody listens on port 587 of 'mail.example.org', port 465 with TLS from the start works",
      "use port 465 with TLS from the start, which works" },
    { A "587 mute; " A "587 crossed", "port 587 of 'mail.example.org' wants TLS from the start; the configuration waits for a greeting first",
      "set 'tls on' and 'tls_starttls off'" },
    { A "587 says=554-5.7.1_no\n554_5.7.1_see_there", "'mail.example.org' refuses with its first words: 554-5.7.1 no see there",
      "ask the server's administrator why" },
    { A "587 bad-source", "this machine cannot try port 587 of 'mail.example.org': the address of 'source_ip' is not its own",
      "check 'source_ip'" },
    { A "587 cert=expired", "the certificate on port 587 of 'mail.example.org' expired on 2026-10-01",
      "the server's administrator has to renew it, if this machine's clock is right: it says 2026-11-22" },
    { A "587 silent; " A "465; " UP "ladder 192.0.2.1 587 e..; ladder 192.0.2.1 443 eeo",
      "the network drops packets to port 587: 'mail.example.org' does not answer there, though other ports get through; they are dropped "
      "at or behind hop 1, 10.0.1.1", "use port 465 with TLS from the start, which works" },
    { A "587 loginfails", "'mail.example.org' refused the login: Wrong password, wrong address, or an account password where an app password "
      "is needed", "Check the address, then use an app password or OAuth2" },
    { "dns4 failed; dns6 failed; impossible no-name", "'mail.example.org' cannot be looked up now, though other names can",
      "try again later; if it lasts, the name servers of that domain have to be mended" },
    { "dns4 failed; dns6 failed; impossible failed", "no name can be looked up here, 'mail.example.org' as little as any other",
      "check this machine's network, then the 'nameserver' lines of /etc/resolv.conf and whether port 53 to them is open" },
    { A "587; " V6 "587 cert=wrong-name names=old.example.org", "the certificate on port 587 is not for 'mail.example.org', but for "
      "old.example.org; this is so at 2001:db8::1, while 192.0.2.1 works", "use the address 192.0.2.1, which works; else set 'host' to a "
      "name of the certificate if that is the provider's; if it is not, another server answers in place of 'mail.example.org'" },
    { A "587; " V6 "587 silent; " V6 "465", "port 587 of 'mail.example.org' does not answer over IPv6, though other ports do",
      "mail gets through over IPv4; ask the administrator of the network that this machine is in to open the port, or leave IPv6 out" },
    { "dns4 no-name; dns6 no-name; known found 192.0.2.7", "there is no host 'mail.example.org': the name does not exist",
      "check the name for a spelling mistake; the provider's help pages have the right name" },
    { A "587 says=HTTP/1.1_400_Bad_Request", "what answers on port 587 of 'mail.example.org' speaks HTTP, not SMTP",
      "check 'host' and 'port'; in a network of guests open a web page first, it may want a login" },
};

static void important_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        struct scene s;
        struct verdict v = VERDICT_INIT;
        scene_of_text(&s, sentences[i].scene);
        verdict_of(&s, &v);
        assert_string_equal(v.cause, sentences[i].cause);
        if (sentences[i].remedy)
            assert_string_equal(v.remedy, sentences[i].remedy);
        else
            assert_null(v.remedy);
        verdict_free(&v);
        scene_free(&s);
    }
}

static const struct {
    const char *name, *scene;
} shown[] = {
    { "all is well", "dns4 found 192.0.2.1; " A "587; " A "465; " UP },
    { "port 25 in a cloud that blocks it", "port 25; vendor Google Google_Compute_Engine; " A "25 silent; " A "587; " A "465; " UP },
    { "a port dropped at the second router", A "587 silent; " A "465 silent; " A "25 refused; " UP
      "ladder 192.0.2.1 587 e....; ladder 192.0.2.1 443 eeeo" },
    { "every port for mail dropped", A "587 silent; " DEAD UP },
    { "the host is down, another one answers", "control mx.example.net; " A "587 silent; " DEAD A "443 silent; @192.0.2.9 443 ctl connects" },
    { "the name does not exist", "dns4 no-name; dns6 no-name; known found 192.0.2.7" },
    { "TLS from the start where STARTTLS is configured", A "587 mute; " A "587 crossed" },
    { "a certificate that signs itself", A "587 cert=untrusted-issuer issuer=CN=mail.example.org" },
    { "another server in its place", A "587 cert=untrusted-issuer greets=portal_ESMTP; " UP
      "ladder 192.0.2.1 587 eo; ladder 192.0.2.1 443 eeo" },
    { "STARTTLS rubbed out", A "587 masked xxxa; " A "465" },
    { "IPv6 goes nowhere", A "587; " V6 "587 silent; " V6 "465 silent; " A "465; " UP },
};

/* With UPDATE_DIAGNOSE=1 the file is written. */
static void whole_texts(void **state)
{
    (void)state;
    const char *srcdir = getenv("srcdir");
    struct buf all = BUF_INIT, path = BUF_INIT, wanted = BUF_INIT;
    buf_adds(&all, "What envoi diagnose says, as tests/unit/test_verdict.c brings it about; with UPDATE_DIAGNOSE=1 that test writes this file.\n");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct scene s;
        struct verdict v = VERDICT_INIT;
        scene_of_text(&s, shown[i].scene);
        verdict_of(&s, &v);
        buf_printf(&all, "\n== %s\n", shown[i].name);
        diagnose_table(&s, false, &all);
        diagnose_text(&s, &v, &all);
        verdict_free(&v);
        scene_free(&s);
    }
    buf_printf(&path, "%s/tests/diagnose.txt", srcdir ? srcdir : ".");
    FILE *f = fopen(path.data, getenv("UPDATE_DIAGNOSE") ? "w+" : "r");
    assert_non_null(f);
    if (getenv("UPDATE_DIAGNOSE")) {
        fputs(all.data, f);
        rewind(f);
    }
    buf_reserve(&wanted, 1 << 16);
    wanted.len = fread(wanted.data, 1, (1 << 16) - 1, f);
    wanted.data[wanted.len] = '\0';
    fclose(f);
    assert_string_equal(all.data, wanted.data);
    buf_free(&all);
    buf_free(&path);
    buf_free(&wanted);
}

static void table_keeps_to_eighty_columns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene s;
        struct buf out = BUF_INIT;
        scene_of_text(&s, cases[i].scene);
        diagnose_table(&s, false, &out);
        for (const char *line = out.data; *line; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 80)
                fail_msg("%s: %.*s", cases[i].scene, (int)strcspn(line, "\n"), line);
        buf_free(&out);
        scene_free(&s);
    }
}

static void page_escapes_what_is_said(void **state)
{
    (void)state;
    struct scene s;
    struct verdict v = VERDICT_INIT;
    struct buf page = BUF_INIT;
    scene_of_text(&s, A "587 greets=<script>alert('&\"\x1b[31m\xff')</script> cert=wrong-name names=<b>;" A "25 says=<i>x;" A "465 silent;" UP "ladder 192.0.2.1 587 eeeo; ladder 192.0.2.1 465 ee......");
    verdict_of(&s, &v);
    diagnose_html(&s, &v, &page);
    assert_null(strstr(page.data, "<script"));
    assert_null(strstr(page.data, "<b>"));
    assert_null(strstr(page.data, "<i>"));
    assert_null(strchr(page.data, '\x1b'));
    assert_null(strchr(page.data, '\xff'));
    assert_non_null(strstr(page.data, "&lt;script&gt;alert(&#39;&amp;&quot;\\x1B[31m\\xFF&#39;)&lt;/script&gt;"));
    assert_null(strstr(page.data, "http://example"));
    const char *file = getenv("DIAGNOSE_PAGE"); /* for a look at it */
    FILE *f = file ? fopen(file, "w") : NULL;
    if (f) {
        fputs(page.data, f);
        fclose(f);
    }
    buf_free(&page);
    verdict_free(&v);
    scene_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scenes_have_their_words), cmocka_unit_test(every_word_has_a_scene), cmocka_unit_test(sentences_are_whole),
        cmocka_unit_test(important_sentences), cmocka_unit_test(whole_texts), cmocka_unit_test(table_keeps_to_eighty_columns),
        cmocka_unit_test(page_escapes_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
