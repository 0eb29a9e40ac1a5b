/* show_probe: the same events under every option, in swaks's form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "show/show.h"

typedef void play_fn(struct hub *h, struct show_probe *p);

/* Standard output and standard error as one place: their order is part of what is promised. */
static void check(struct show_probe options, play_fn *play, const char *want)
{
    struct hub h;
    char *text;
    size_t n;
    hub_init(&h);
    options.out = options.err = open_memstream(&text, &n);
    options.target = options.target ? options.target : "mail:25";
    show_probe_open(&options, &h);
    play(&h, &options);
    fclose(options.out);
    assert_string_equal(text, want);
    free(text);
    hub_free(&h);
}

static void connect(struct hub *h, unsigned connection)
{
    emit(h, connection, EV_CONNECTING, F_STR("host", "mail"), F_STR("address", "192.0.2.1"), F_INT("port", 25));
    emit(h, connection, EV_CONNECTED, F_STR("host", "mail"), F_STR("address", "192.0.2.1"), F_INT("port", 25));
}

static void dialogue(struct hub *h, struct show_probe *p)
{
    connect(h, 1);
    emit(h, 1, EV_SERVER, F_STR("line", "220-\x1b[31mmail"));
    emit(h, 1, EV_SERVER, F_STR("line", "220 two"));
    emit(h, 1, EV_CLIENT, F_STR("line", "AUTH PLAIN AGEAYg=="), F_STRN("decoded", "AUTH PLAIN \0a\0***", 17));
    emit(h, 1, EV_SERVER, F_STR("line", "535 no"), F_BOOL("unexpected", true));
    emit(h, 1, EV_OCTETS, F_BOOL("sent", true), F_STRN("octets", "DATA\r\n\x80 234567890", 17));
    emit(h, 1, EV_OCTETS, F_BOOL("sent", false), F_STRN("octets", "~", 1));
    emit(h, 1, EV_CLIENT, F_STR("line", "DATA"));
    emit(h, 1, EV_CONTENT, F_STR("line", "Subject: x"));
    emit(h, 1, EV_CONTENT, F_STR("line", ""));
    emit(h, 1, EV_CONTENT, F_STR("line", "a\tb"));
    emit(h, 1, EV_CLIENT, F_STR("line", "."));
    emit(h, 1, EV_SERVER, F_STR("line", "250 ok"));
    emit(h, 1, EV_CLOSED, F_STR("reason", NULL));
    show_probe_error(p, "it is\nas it is");
    show_probe_close(p, true);
}

#define HEAD "=== Trying mail:25...\n=== Connected to mail.\n"
#define GREETING "<-  220-\\x1B[31mmail\n<-  220 two\n"
#define AUTH " -> AUTH PLAIN AGEAYg==\n"
#define REFUSED "<** 535 no\n"
#define LINES " -> Subject: x\n -> \n -> a\tb\n -> .\n"
#define ERRORS "*** it is\n*** as it is\n"
#define TAIL "=== Connection closed with remote host.\n"

static void options(void **state)
{
    (void)state;
    static const struct { struct show_probe p; const char *want; } rows[] = {
        { { .raw = false }, HEAD GREETING AUTH REFUSED " -> DATA\n" LINES "<-  250 ok\n" ERRORS TAIL },
        { { .no_data = true }, HEAD GREETING AUTH REFUSED " -> DATA\n -> 4 lines sent\n<-  250 ok\n" ERRORS TAIL },
        { { .decoded = true, .hide_receive = true }, HEAD " -> AUTH PLAIN \\0a\\0***\n -> DATA\n" LINES ERRORS TAIL },
        { { .hide_send = true }, HEAD GREETING REFUSED "<-  250 ok\n" ERRORS TAIL },
        { { .hide_info = true, .hide_receive = true }, AUTH " -> DATA\n" LINES ERRORS },
        { { .hide_all = true }, "" },
        { { .silence = PROBE_UNTIL_ERROR }, REFUSED " -> DATA\n" LINES "<-  250 ok\n" ERRORS TAIL },
        { { .silence = PROBE_ERRORS_ONLY }, REFUSED ERRORS },
        { { .silence = PROBE_SILENT }, "" },
        { { .no_info_hints = true, .no_send_hints = true, .no_receive_hints = true },
          "Trying mail:25...\nConnected to mail.\n220-\\x1B[31mmail\n220 two\nAUTH PLAIN AGEAYg==\n535 no\nDATA\nSubject: x\n\na\tb\n.\n250 ok\n"
          "it is\nas it is\nConnection closed with remote host.\n" },
        { { .raw = true, .hide_info = true, .silence = PROBE_UNTIL_ERROR, .no_data = true },
          REFUSED
          "  > 0000: 44 41 54 41  0D 0A 80 20  32 33 34 35  36 37 38 39    DATA....23456789\n"
          "  > 0016: 30                                                    0               \n"
          "<   0000: 7E                                                    ~               \n"
          " -> DATA\n -> 4 lines sent\n<-  250 ok\n" ERRORS },
        { { .target = "/run/lmtp", .silence = PROBE_LOUD, .hide_send = true, .hide_receive = true },
          "=== Trying /run/lmtp...\n=== Connected to /run/lmtp.\n" ERRORS TAIL },
        { { .target = "sendmail -bs", .child = true, .hide_send = true, .hide_receive = true },
          "=== Trying pipe to sendmail -bs...\n=== Connected to sendmail -bs.\n" ERRORS "=== Connection closed with child process.\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(rows[i].p, dialogue, rows[i].want);
}

static void challenge(struct hub *h, struct show_probe *p)
{
    (void)p;
    emit(h, 1, EV_SERVER, F_STR("line", "334 VXNlcm5hbWU6"));
    emit(h, 1, EV_SERVER, F_STR("line", "334 not base64"));
    emit(h, 1, EV_SERVER, F_STR("line", "334 "));
}

static void challenges(void **state)
{
    (void)state;
    check((struct show_probe){ .decoded = true }, challenge, "<-  334 Username:\n<-  334 not base64\n<-  334 \n");
    check((struct show_probe){ .decoded = false }, challenge, "<-  334 VXNlcm5hbWU6\n<-  334 not base64\n<-  334 \n");
}

static void lapse(struct hub *h, struct show_probe *p)
{
    connect(h, 1);
    p->sent_at -= 2 * USEC_PER_SEC;
    emit(h, 1, EV_SERVER, F_STR("line", "220-mail"));
    emit(h, 1, EV_SERVER, F_STR("line", "220 mail"));
}

static void lapses(void **state)
{
    (void)state;
    check((struct show_probe){ .lapse = PROBE_LAPSE_SECONDS }, lapse, HEAD "=== response in 2s\n<-  220-mail\n<-  220 mail\n");
}

static void several(struct hub *h, struct show_probe *p)
{
    struct strlist addresses = STRLIST_INIT;
    (void)p;
    strlist_add(&addresses, "2001:db8::1");
    strlist_add(&addresses, "192.0.2.1");
    emit(h, 1, EV_LOOKUP, F_STR("host", "mail"), F_LIST("addresses", &addresses));
    emit(h, 1, EV_CONNECTING, F_STR("host", "mail"), F_STR("address", "2001:db8::1"), F_INT("port", 25));
    emit(h, 1, EV_CONNECT_FAILED, F_STR("host", "mail"), F_STR("address", "2001:db8::1"), F_INT("port", 25), F_STR("reason", "refused"));
    connect(h, 1);
    emit(h, 1, EV_CLOSED, F_STR("reason", "dropped"));
    show_probe_close(p, true);
    connect(h, 2);
    strlist_free(&addresses);
}

static void addresses(void **state)
{
    (void)state;
    check((struct show_probe){ .raw = false }, several,
          "=== Trying mail:25...\n=== Trying mail (2001:db8::1) port 25...\n=== No connection to mail (2001:db8::1) port 25: refused\n"
          "=== Trying mail (192.0.2.1) port 25...\n=== Connected to mail.\n=== Connected to address 192.0.2.1\n=== Dropping connection\n" HEAD);
}

static void tls(struct hub *h, const char *version, const char *cipher, const char *description)
{
    emit(h, 1, EV_TLS, F_STR("version", version), F_STR("cipher", cipher), F_STR("description", description), F_STR("local", "EMAIL=me@b,CN=me"),
         F_STR("problem", "self-signed"));
    emit(h, 1, EV_CERTIFICATE, F_INT("depth", 0), F_STR("subject", "CN=mail\\, really,O=Example,C=DE"));
    emit(h, 1, EV_CERTIFICATE, F_INT("depth", 1), F_STR("subject", "CN=ca"));
}

static void tls_good(struct hub *h, struct show_probe *p)
{
    (void)p;
    connect(h, 1);
    tls(h, "TLS1.3", "AES-256-GCM", "(TLS1.3)-(ECDHE-X25519)-(RSA-PSS-RSAE-SHA256)-(AES-256-GCM)");
    emit(h, 1, EV_CLIENT, F_STR("line", "EHLO me"));
    emit(h, 1, EV_SERVER, F_STR("line", "250 mail"));
    emit(h, 1, EV_SERVER, F_STR("line", "500 what"), F_BOOL("unexpected", true));
}

static void tls_bad(struct hub *h, struct show_probe *p)
{
    connect(h, 1);
    tls(h, "TLS1.2", "AES-128-GCM", "(TLS1.2)-(ECDHE-X25519)-(ECDSA-SHA256)-(AES-128-GCM)");
    show_probe_tls_end(p, false);
    show_probe_error(p, "TLS startup failed");
}

#define NAMES "=== TLS local DN=\"/CN=me/emailAddress=me@b\"\n=== TLS certificate not verified: self-signed\n" \
              "=== TLS peer DN=\"/C=DE/O=Example/CN=mail, really\"\n"

static void handshakes(void **state)
{
    (void)state;
    check((struct show_probe){ .raw = false }, tls_good,
          HEAD "=== TLS started with cipher TLSv1.3:TLS_AES_256_GCM_SHA384:256\n" NAMES " ~> EHLO me\n<~  250 mail\n<~* 500 what\n");
    check((struct show_probe){ .raw = false }, tls_bad, HEAD "*** TLS startup failed\n");
}

static const char *cipher_case[3];

static void tls_case(struct hub *h, struct show_probe *p)
{
    tls(h, cipher_case[0], cipher_case[1], cipher_case[2]);
    show_probe_tls_end(p, true);
}

static void ciphers(void **state)
{
    (void)state;
    static const struct { const char *given[3], *want; } rows[] = {
        { { "TLS1.2", "AES-128-GCM", "(TLS1.2)-(ECDHE-X25519)-(ECDSA-SHA256)-(AES-128-GCM)" }, "TLSv1.2:ECDHE-ECDSA-AES128-GCM-SHA256:128" },
        { { "TLS1.2", "CHACHA20-POLY1305", "(TLS1.2)-(ECDHE-X25519)-(RSA-SHA256)-(CHACHA20-POLY1305)" }, "TLSv1.2:ECDHE-RSA-CHACHA20-POLY1305:256" },
        { { "TLS1.2", "AES-256-GCM", "(TLS1.2)-(DHE-FFDHE2048)-(RSA-SHA256)-(AES-256-GCM)" }, "TLSv1.2:DHE-RSA-AES256-GCM-SHA384:256" },
        { { "TLS1.1", "AES-128-CBC", "(TLS1.1)-(RSA)-(AES-128-CBC)-(SHA1)" }, "TLSv1.1:AES128-SHA:128" },
        { { "TLS1.3", "NEW", "" }, "TLSv1.3:NEW" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *want = xasprintf("=== TLS started with cipher %s\n" NAMES, rows[i].want);
        memcpy(cipher_case, rows[i].given, sizeof cipher_case);
        check((struct show_probe){ .raw = false }, tls_case, want);
        free(want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options), cmocka_unit_test(challenges), cmocka_unit_test(lapses), cmocka_unit_test(addresses), cmocka_unit_test(handshakes),
        cmocka_unit_test(ciphers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
