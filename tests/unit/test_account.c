/* account: what follows from what was said, and what contradicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/sasl.h"
#include "base/ascii.h"
#include "base/buf.h"
#include "conf/account.h"

/* Binds the account default of the text. */
static bool bind_text(struct account *a, const char *text, bool msmtp, struct err *e)
{
    struct rc rc = RC_INIT;
    char *whole = xasprintf("account default\n%s\n", text);
    assert_true(rc_parse(&rc, "rc", whole, strlen(whole), msmtp, e));
    bool ok = account_bind(a, rc_find(&rc, "default"), NULL, e);
    free(whole);
    rc_free(&rc);
    return ok;
}

/* conf may not look into auth: what `auth` takes and completes stands in both, and must be the same. */
static void auth_words_are_the_mechanisms(void **state)
{
    (void)state;
    const struct option *o = option_by_name(account_options(), "auth", 4);
    size_t words = 0, mechanisms = 0;
    for (const char *const *w = o->words; *w; w++)
        words++;
    for (const char *const *m = sasl_mechanisms(); *m; m++, mechanisms++) {
        bool found = false;
        for (const char *const *w = o->words; *w; w++)
            found |= ascii_ieq(*w, *m);
        assert_true(found);
    }
    assert_int_equal(words, mechanisms + 2); /* on, off */
}

static void derived(void **state)
{
    (void)state;
    static const struct { const char *text; bool msmtp; long port; int tls; bool starttls; const char *auth; size_t warnings; } cases[] = {
        { "host h", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host h", true, 25, ACCOUNT_TLS_OFF, true, "off", 0 },
        { "host h\nuser u", false, 587, ACCOUNT_TLS_AUTO, true, "on", 0 },
        { "host h\nuser u", true, 25, ACCOUNT_TLS_OFF, true, "off", 0 },
        { "host h\nuser u\nauth off", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host h\nuser u\nauth plain", false, 587, ACCOUNT_TLS_AUTO, true, "PLAIN", 0 },
        { "host h\ntls on\ntls_starttls off", true, 465, ACCOUNT_TLS_ON, false, "off", 0 },
        { "host h\ntls on\nport 465", false, 465, ACCOUNT_TLS_ON, false, "off", 0 },
        { "host h\ntls on\nport 465", true, 465, ACCOUNT_TLS_ON, true, "off", 1 },
        { "host h\ntls on\nport 465\ntls_starttls on", false, 465, ACCOUNT_TLS_ON, true, "off", 1 },
        { "host h\ntls on\nport 587\ntls_starttls off", false, 587, ACCOUNT_TLS_ON, false, "off", 1 },
        { "host h\ntls\nport 25\ntls_starttls off", true, 25, ACCOUNT_TLS_ON, false, "off", 1 },
        { "host h\nport auto", false, 465, ACCOUNT_TLS_ON, false, "off", 0 },
        { "host h\nport auto\ntls_starttls on", true, 465, ACCOUNT_TLS_ON, false, "off", 0 },
        { "host h\nport 587,465\nuser u", false, 587, ACCOUNT_TLS_ON, true, "on", 0 },
        { "host h\nport 25,25", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host h\nprotocol lmtp", false, 24, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "socket /s\nprotocol lmtp", false, 0, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host h\npassword x", true, 25, ACCOUNT_TLS_OFF, true, "off", 1 },
        { "host mx", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host mx\ntls on", false, 25, ACCOUNT_TLS_ON, true, "off", 0 },
        { "host mx\nport 2525", false, 2525, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host mx\nuser u\nuser", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
        { "host mx\nuser u\nauth plain", true, 25, ACCOUNT_TLS_OFF, true, "PLAIN", 0 },
        { "host h\nrequiretls", false, 25, ACCOUNT_TLS_ON, true, "off", 0 },
        { "host h\nrequiretls\nport 465", false, 465, ACCOUNT_TLS_ON, false, "off", 0 },
        { "host mx\nrequiretls", false, 25, ACCOUNT_TLS_AUTO, true, "off", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account a;
        struct err e = ERR_INIT;
        if (!bind_text(&a, cases[i].text, cases[i].msmtp, &e))
            fail_msg("%s: %s", cases[i].text, e.text);
        if (a.port != cases[i].port || a.tls != cases[i].tls || a.tls_starttls != cases[i].starttls || a.warnings.n != cases[i].warnings)
            fail_msg("%s: port %ld, tls %d, starttls %d, %zu warnings", cases[i].text, a.port, a.tls, a.tls_starttls, a.warnings.n);
        assert_string_equal(a.auth, cases[i].auth);
        account_free(&a);
    }
}

static void wrong(void **state)
{
    (void)state;
    static const struct { const char *text, *what; } cases[] = {
        { "port 25", "account 'default': no 'host' is set" },
        { "host mail.example:587", "rc:2: 'host' holds a port" },
        { "host \"a b\"", "rc:2: 'host' holds blanks" },
        { "host h\nsource_ip x", "'source_ip' is not an IP address" },
        { "host h\nauth on", "rc:3: 'auth' without 'user'" },
        { "host h\ntls_key_file k", "go together" },
        { "host h\ntls on\ntls_trust_file", "nothing is trusted" },
        { "host h\nipv4_only on\nipv6_only on", "exclude each other" },
        { "host h\nproxy_type http", "'proxy_type' without 'proxy_host'" },
        { "host h\nproxy_host http://p:x", "bad port" },
        { "host h\ndsn_notify never,delay", "stand alone" },
        { "host h\nport auto\ntls off", "rc:3: several ports are only tried with TLS" },
        { "host h\nport auto\nprotocol lmtp", "rc:3: several ports are only tried with SMTP" },
        { "host h\ndomain \"a b\"", "'domain' is empty or holds blanks" },
        { "host mx\nuser u", "rc:3: 'host mx' does not go with a login" },
        { "host mx\nuser u\nauth plain", "rc:4: 'host mx' does not go with a login" },
        { "host mx\nprotocol lmtp", "rc:3: 'host mx' does not go with LMTP" },
        { "host mx\nsocket /s", "rc:3: 'host mx' does not go with 'socket'" },
        { "host mx\nport 25,26", "rc:3: 'host mx' does not go with several ports" },
        { "host mx\nport auto", "rc:3: 'host mx' does not go with several ports" },
        { "host mx\nport 465", "rc:3: mail exchangers have no TLS from the start" },
        { "host mx\ntls on\ntls_starttls off", "rc:4: mail exchangers have no TLS from the start" },
        { "host mx\ntls_host_override h", "rc:3: 'host mx' does not go with 'tls_host_override'" },
        { "host mx\ntls_fingerprint aa", "rc:3: 'host mx' does not go with 'tls_fingerprint' alone" },
        { "host mx\ntls_policy example.org fingerprint", "rc:3: 'tls_policy' wants fingerprints, and there is none" },
        { "host mx\ntls_policy dane-only\ndnssec off", "rc:3: 'tls_policy' wants DANE, and 'dnssec' is off" },
        { "host mx\ntls off\ntls_policy verify", "rc:3: 'tls' is off, and 'tls_policy' wants it" },
        { "host mx\ntls_certcheck off\ntls_policy example.org verify", "rc:3: 'tls_certcheck' is off" },
        { "host mx\ndns_server ns.example.org", "rc:3: 'dns_server' is not the address of a name server" },
        { "host mx\ndns_server 192.0.2.1:0", "rc:3: 'dns_server' is not the address" },
        { "host mx\ndns_server [::1", "rc:3: 'dns_server' is not the address" },
        { "host h\nrequiretls\ntls off", "rc:3: 'requiretls' needs TLS, and 'tls' is off" },
        { "host h\nrequiretls\ntls_certcheck off", "rc:3: 'requiretls' needs verified TLS" },
        { "host mx\nrequiretls\ntls_policy may", "rc:3: 'requiretls' needs verified TLS, and 'tls_policy' wants less" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account a;
        struct err e = ERR_INIT;
        if (bind_text(&a, cases[i].text, false, &e) || !strstr(e.text, cases[i].what) || !e.hint)
            fail_msg("%s: %s", cases[i].text, e.text ? e.text : "no error");
        assert_int_equal(e.fault, FAULT_CONFIG);
        err_clear(&e);
        account_free(&a);
    }
}

static void substitutions(void **state)
{
    (void)state;
    struct account a;
    struct err e = ERR_INIT;
    setenv("USER", "joe", 1);
    setenv("HOSTNAME", "box.example", 1);
    assert_true(bind_text(&a, "host %H\nuser %U%x\nfrom *@q, %U@%H", false, &e));
    assert_string_equal(a.host, "box.example");
    assert_string_equal(a.user, "joe%x");
    assert_string_equal(account_sender(&a), "joe@box.example");
    assert_string_equal(a.domain, "box.example");
    account_free(&a);
    assert_true(bind_text(&a, "host %H\nuser %U\nauto_from on\nmaildomain m.example", true, &e));
    assert_string_equal(a.user, "%U");
    assert_string_equal(a.host, "%H");
    assert_string_equal(account_sender(&a), "joe@m.example");
    account_free(&a);
    setenv("USER", "joe\nRSET", 1);
    assert_false(bind_text(&a, "host h\nfrom %U@h", false, &e));
    assert_non_null(strstr(e.text, "line break"));
    err_clear(&e);
    account_free(&a);
    setenv("USER", "joe", 1);
}

/* What `tls` and the rest leave for domains without a row of their own stands among the rows, too. */
static void policy_rows(void **state)
{
    (void)state;
    static const struct { const char *text, *rows; } cases[] = {
        { "host mx", "dane" },
        { "host mx\ntls on", "dane" },
        { "host mx\ntls off", "none" },
        { "host mx\ntls off\ntls_policy example.org verify", "example.org verify, none" },
        { "host mx\ntls_certcheck off", "may" },
        { "host MX\ntls_policy verify", "verify" },
        { "host mx\ntls_policy Example.ORG \t Dane-Only, .example.net  none\ntls_policy encrypt",
          "example.org dane-only, .example.net none, encrypt" },
        { "host mx\ntls_policy a.example fingerprint\ntls_fingerprint aa", "a.example fingerprint, dane" },
        { "host h\ntls_policy verify", "verify" },
        { "host h", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct account a;
        struct err e = ERR_INIT;
        struct buf rows = BUF_INIT;
        if (!bind_text(&a, cases[i].text, false, &e))
            fail_msg("%s: %s", cases[i].text, e.text);
        for (size_t j = 0; j < a.tls_policy.n; j++)
            buf_printf(&rows, "%s%s", j ? ", " : "", a.tls_policy.v[j]);
        assert_string_equal(rows.len ? rows.data : "", cases[i].rows);
        assert_int_equal(a.mx, ascii_istarts(cases[i].text, "host mx"));
        buf_free(&rows);
        account_free(&a);
    }
    struct account a;
    struct err e = ERR_INIT;
    assert_true(bind_text(&a, "host mx\ndns_server 192.0.2.1:5353", true, &e));
    assert_false(a.mx); /* msmtp knows no such word */
    account_free(&a);
    assert_true(bind_text(&a, "host mx\ndns_server [2001:db8::1]:53\ndnssec off", false, &e));
    assert_false(a.dnssec);
    account_free(&a);
    assert_true(bind_text(&a, "host mx\ndns_server ::1", false, &e));
    assert_true(a.dnssec);
    account_free(&a);
}

/* --mx is --host=mx; --no-mx is what a command says that was given the name of a server. */
static void mx_on_the_command_line(void **state)
{
    (void)state;
    static const struct { const char *mx, *host; bool ok, straight; } cases[] = {
        { "on", NULL, true, true }, { "on", "mx", true, true }, { NULL, "mx", true, true }, { "off", "mx", true, false },
        { "on", "h", false, false }, { "off", "h", true, false }, { "off", NULL, false, false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings s;
        struct account a;
        struct err e = ERR_INIT;
        settings_init(&s, account_options());
        if (cases[i].mx)
            assert_true(settings_say(&s, option_by_name(s.table, "mx", 2), cases[i].mx, ORIGIN_COMMAND_LINE, NULL, &e));
        if (cases[i].host)
            assert_true(settings_say(&s, option_by_name(s.table, "host", 4), cases[i].host, ORIGIN_COMMAND_LINE, NULL, &e));
        assert_int_equal(rc_names_server(&s), cases[i].host || strcmp(cases[i].mx, "on") == 0);
        bool ok = account_bind(&a, NULL, &s, &e);
        if (ok != cases[i].ok || (ok && a.mx != cases[i].straight))
            fail_msg("case %zu: %s", i, ok ? "bound" : e.text);
        if (ok)
            assert_string_equal(a.host, cases[i].host ? cases[i].host : "mx");
        err_clear(&e);
        account_free(&a);
        settings_free(&s);
    }
}

static void proxies_and_words(void **state)
{
    (void)state;
    struct account a;
    struct err e = ERR_INIT;
    unsigned notify = 0;
    enum dsn_return ret = DSN_RETURN_UNSET;
    assert_true(bind_text(&a, "host h\nproxy_host http://p:3128/\ndsn_notify failure,delay\ndsn_return hdrs\nsyslog\npassword hunter2", false, &e));
    assert_string_equal(a.proxy_host, "p");
    assert_int_equal(a.proxy_port, 3128);
    assert_int_equal(a.proxy_type, 2);
    assert_string_equal(a.syslog, "LOG_USER");
    assert_true(account_dsn(&a, &notify, &ret, &e));
    assert_int_equal(notify, DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY);
    assert_int_equal(ret, DSN_RETURN_HEADERS);
    struct buf out = BUF_INIT;
    account_format(&a, &out);
    assert_non_null(strstr(out.data, "***"));
    assert_null(strstr(out.data, "hunter2"));
    buf_free(&out);
    account_free(&a);
    assert_true(bind_text(&a, "host h\nproxy_host p", false, &e));
    assert_int_equal(a.proxy_type, 1);
    assert_int_equal(a.proxy_port, 1080);
    account_free(&a);
}

static void send_options(void **state)
{
    (void)state;
    struct settings s, said;
    struct send_options so;
    struct err e = ERR_INIT;
    settings_init(&s, send_option_table());
    settings_init(&said, account_options());
    assert_true(settings_say(&s, option_by_letter(s.table, 'd'), NULL, ORIGIN_COMMAND_LINE, NULL, &e));
    assert_true(settings_say(&s, option_by_letter(s.table, 'f'), "", ORIGIN_COMMAND_LINE, NULL, &e));
    assert_true(send_options_bind(&so, &s, &said, &e));
    assert_int_equal(so.verbose, 2);
    assert_string_equal(so.from, "");
    send_options_free(&so);
    assert_true(settings_say(&s, option_by_letter(s.table, 'a'), "x", ORIGIN_COMMAND_LINE, NULL, &e));
    assert_true(settings_say(&said, option_by_name(said.table, "host", 4), "h", ORIGIN_COMMAND_LINE, NULL, &e));
    assert_false(send_options_bind(&so, &s, &said, &e));
    assert_int_equal(e.fault, FAULT_USAGE);
    send_options_free(&so);
    err_clear(&e);
    settings_free(&s);
    settings_free(&said);
}

static void envelope_identifier(void **state)
{
    (void)state;
    static const struct { const char *id, *what; } cases[] = {
        { "job-4711", NULL }, { "a b+c=d", NULL }, { "", NULL },
        { "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
          "12345678901234567890", NULL },
        { "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
          "123456789012345678901", "too long" },
        { "++++++++++++++++++++++++++++++++++", "too long" },
        { "K\303\266ln", "not printable" }, { "a\tb", "not printable" }, { "a\r\nRSET", "line break" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings s;
        struct send_options so = { 0 };
        struct err e = ERR_INIT;
        settings_init(&s, send_option_table());
        bool ok = settings_say(&s, option_by_letter(s.table, 'V'), cases[i].id, ORIGIN_COMMAND_LINE, NULL, &e) &&
                  send_options_bind(&so, &s, NULL, &e);
        if (ok != !cases[i].what || (!ok && !strstr(e.text, cases[i].what)))
            fail_msg("%s: %s", cases[i].id, ok ? "no error" : e.text);
        if (!ok)
            assert_int_equal(e.fault, FAULT_USAGE);
        err_clear(&e);
        send_options_free(&so);
        settings_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_words_are_the_mechanisms), cmocka_unit_test(derived), cmocka_unit_test(wrong), cmocka_unit_test(substitutions), cmocka_unit_test(proxies_and_words), cmocka_unit_test(policy_rows), cmocka_unit_test(mx_on_the_command_line),
        cmocka_unit_test(send_options), cmocka_unit_test(envelope_identifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
