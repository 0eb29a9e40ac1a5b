/* TLS over a socket pair, client and server in one thread: versions, certificates and every way they fail,
 * octet by octet, backpressure, injection, cut connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "tls_ends.h"

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' does not contain '%s'", text ? text : "(null)", part);
}

/* --- handshakes ----------------------------------------------------------------------------------------------- */

static void test_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct ends x;
        struct strlist names = STRLIST_INIT, prints = STRLIST_INIT;
        strlist_add(&names, "mx.example");
        strlist_add(&names, "127.0.0.1");
        open_pair(&x);
        serve(&x, &(struct tls_server_params){ .names = &names, .priorities = versions[i].priorities });
        strlist_add(&prints, tls_server_fingerprint(x.context));
        enum io io = shake(&x, &(struct tls_params){ .host = "mx.example", .verify = true, .describe = true,
                                                     .fingerprints = &prints });
        if (io != IO_DONE)
            print_error("%s\n", x.client_err.text);
        assert_int_equal(io, IO_DONE);
        assert_true(stream_is_tls(x.client) && stream_is_tls(x.server));

        const struct tls_facts *f = stream_tls_facts(x.client);
        assert_string_equal(f->version, versions[i].version);
        assert_string_equal(f->how, "fingerprint");
        assert_true(f->verified);
        assert_int_equal(f->n, 1);
        assert_string_equal(f->chain[0].sha256, tls_server_fingerprint(x.context));
        assert_true(strlist_has(&f->chain[0].names, "mx.example") && strlist_has(&f->chain[0].names, "127.0.0.1"));
        assert_string_equal(f->chain[0].key, "EC/ECDSA 256");

        struct buf a = BUF_INIT, b = BUF_INIT;
        const char *type_a, *type_b;
        assert_true(stream_channel_binding(x.client, &type_a, &a) && stream_channel_binding(x.server, &type_b, &b));
        assert_string_equal(type_a, versions[i].binding);
        assert_string_equal(type_b, versions[i].binding);
        assert_true(a.len > 0 && a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
        buf_free(&a);
        buf_free(&b);

        say(x.client, x.server, "EHLO client.example\r\n");
        say(x.server, x.client, "250 mx.example\r\n");
        strlist_free(&names);
        strlist_free(&prints);
        close_pair(&x);
    }
}

/* --- certificates --------------------------------------------------------------------------------------------- */

static const struct {
    const char *title;
    int served, trust; /* -1: no trust file */
    const char *host;
    bool verify, crl;
    const char *text, *hint; /* NULL: accepted */
} certificates[] = {
    { "good", GOOD, CA, "mx.example", true, false, NULL, NULL },
    { "good, case", GOOD, CA, "MX.Example", true, false, NULL, NULL },
    { "wildcard", GOOD, CA, "a.wild.example", true, false, NULL, NULL },
    { "address", ADDRESS, CA, "192.0.2.1", true, false, NULL, NULL },
    { "own certificate trusted", SELF, SELF, "mx.example", true, false, NULL, NULL },
    { "unverified", EXPIRED_WRONG, -1, "mx.example", false, false, NULL, NULL },
    { "expired", EXPIRED, CA, "mx.example", true, false, "the certificate of 'mx.example' expired on 20", "administrator must renew" },
    { "future", FUTURE, CA, "mx.example", true, false, "the certificate of 'mx.example' is valid from 20", "clock right?" },
    { "self-signed", SELF, CA, "mx.example", true, false, "the certificate of 'mx.example' is self-signed", "tls_fingerprint " },
    { "unknown issuer", GOOD, OTHER_CA, "mx.example", true, false, "was issued by 'CN=Test CA', which is not among the trusted certificates of '/tmp/", "tls_trust_file" },
    { "wrong name", GOOD, CA, "smtp.example", true, false, "is for mx.example, *.wild.example, not for 'smtp.example'", "'tls_host_override' to 'mx.example'" },
    { "wrong address", ADDRESS, CA, "192.0.2.2", true, false, "is for 192.0.2.1, not for '192.0.2.2'", "192.0.2.1" },
    { "address for a name", ADDRESS, CA, "mx.example", true, false, "is for 192.0.2.1, not for 'mx.example'", NULL },
    { "purpose", CLIENT_ONLY, CA, "mx.example", true, false, "is not meant for servers", NULL },
    { "revoked", GOOD, CA, "mx.example", true, true, "was revoked by its issuer", NULL },
    { "two faults", EXPIRED_WRONG, CA, "mx.example", true, false, ", and it is for a.example, b.example, not for 'mx.example'", NULL },
};

static void test_certificates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof certificates / sizeof *certificates; i++) {
        struct ends x;
        const struct made *m = &made[certificates[i].served];
        open_pair(&x);
        serve(&x, &(struct tls_server_params){ .cert_file = m->cert_file, .key_file = m->key_file });
        struct tls_params p = {
            .host = certificates[i].host,
            .verify = certificates[i].verify,
            .trust_file = certificates[i].trust >= 0 ? made[certificates[i].trust].cert_file : NULL,
            .crl_file = certificates[i].crl ? made[CA].crl_file : NULL,
        };
        struct err e = ERR_INIT;
        assert_true(tls_params_check(&p, &e));
        enum io io = shake(&x, &p);
        if (!certificates[i].text) {
            if (io != IO_DONE)
                fail_msg("%s: %s", certificates[i].title, x.client_err.text);
            assert_int_equal(stream_tls_facts(x.client)->verified, certificates[i].verify);
        } else {
            if (io != IO_ERROR)
                fail_msg("%s: accepted", certificates[i].title);
            assert_int_equal(x.client_err.fault, FAULT_CERTIFICATE);
            assert_int_equal(x.client_err.stage, STAGE_TLS);
            assert_contains(x.client_err.text, certificates[i].text);
            if (certificates[i].hint)
                assert_contains(x.client_err.hint, certificates[i].hint);
            assert_int_equal(stream_tls_facts(x.client)->n, 1); /* what is known */
        }
        close_pair(&x);
    }
}

static void test_fingerprints(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct ends x;
        struct strlist prints = STRLIST_INIT;
        unsigned char raw[64];
        size_t n = sizeof raw;
        static const gnutls_digest_algorithm_t digests[] = { GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA1, GNUTLS_DIG_MD5 };
        gnutls_x509_crt_get_fingerprint(made[EXPIRED].crt, digests[i % 3], raw, &n);
        struct buf hex = BUF_INIT;
        if (i == 4) {
            n = sizeof raw;
            gnutls_x509_crt_get_key_id(made[EXPIRED].crt, GNUTLS_KEYID_USE_SHA256, raw, &n);
            buf_adds(&hex, "sha256-spki:");
        }
        if (i == 5)
            raw[0] ^= 1;
        for (size_t k = 0; k < n; k++)
            buf_printf(&hex, k > 0 && i % 2 ? ":%02x" : "%02x", raw[k]);
        strlist_add(&prints, "0000000000000000000000000000000000000000");
        strlist_add(&prints, hex.data);
        open_pair(&x);
        serve(&x, &(struct tls_server_params){ .cert_file = made[EXPIRED].cert_file, .key_file = made[EXPIRED].key_file });
        struct tls_params p = { .host = "any", .verify = true, .fingerprints = &prints };
        assert_true(tls_params_check(&p, &x.client_err));
        enum io io = shake(&x, &p);
        assert_int_equal(io, i < 5 ? IO_DONE : IO_ERROR);
        if (i == 5) {
            assert_contains(x.client_err.text, "does not have the expected fingerprint");
            assert_contains(x.client_err.hint, "tls_fingerprint ");
        }
        buf_free(&hex);
        strlist_free(&prints);
        close_pair(&x);
    }
}

/* --- what a test asks for -------------------------------------------------------------------------------------- */

/* Part of the check is left out; `verified` and `how` say what was checked, `problem` what was found wrong there. */
static void test_partial_checks(void **state)
{
    (void)state;
    static const struct {
        int served, trust;
        const char *host;
        bool any_name, any_issuer;
        const char *how, *problem, *word; /* NULL: none */
    } rows[] = {
        { GOOD, CA, "smtp.example", true, false, "issuer", NULL, NULL },
        { GOOD, OTHER_CA, "smtp.example", true, false, "none", "was issued by 'CN=Test CA', which is not among", "untrusted-issuer" },
        { EXPIRED_WRONG, CA, "mx.example", true, false, "none", "the certificate of 'mx.example' expired on 20", "expired" },
        { GOOD, OTHER_CA, "mx.example", false, true, "name", NULL, NULL },
        { SELF, -1, "mx.example", false, true, "name", NULL, NULL },
        { EXPIRED_WRONG, CA, "a.example", false, true, "name", NULL, NULL },
        { GOOD, OTHER_CA, "smtp.example", false, true, "none", "the certificate of 'smtp.example' is for mx.example", "wrong-name" },
        { ADDRESS, OTHER_CA, "192.0.2.1", false, true, "name", NULL, NULL },
        { ADDRESS, OTHER_CA, "192.0.2.2", false, true, "none", "not for '192.0.2.2'", "wrong-name" },
        { GOOD, OTHER_CA, "smtp.example", true, true, "none", NULL, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct made *m = &made[rows[i].served];
        for (int tolerate = 0; tolerate < 2; tolerate++) {
            struct ends x;
            open_pair(&x);
            serve(&x, &(struct tls_server_params){ .cert_file = m->cert_file, .key_file = m->key_file });
            const struct tls_params p = {
                .host = rows[i].host, .verify = true, .tolerate = tolerate, .any_name = rows[i].any_name,
                .any_issuer = rows[i].any_issuer, .trust_file = rows[i].trust >= 0 ? made[rows[i].trust].cert_file : NULL,
            };
            enum io io = shake(&x, &p);
            if (io != (rows[i].problem && !tolerate ? IO_ERROR : IO_DONE))
                fail_msg("row %zu: %s", i, x.client_err.text ? x.client_err.text : "accepted");
            const struct tls_facts *f = stream_tls_facts(x.client);
            assert_string_equal(f->how, rows[i].how);
            assert_int_equal(f->verified, strcmp(f->how, "none") != 0);
            assert_int_equal(f->problems.n > 0, rows[i].problem != NULL);
            if (rows[i].word)
                assert_string_equal(f->problems.v[0], rows[i].word);
            if (rows[i].problem)
                assert_contains(tolerate ? f->problem : x.client_err.text, rows[i].problem);
            else
                assert_null(f->problem);
            close_pair(&x);
        }
    }
}

/* A directory of certificates is a trust file, too; an empty one is not. */
static void test_trust_directory(void **state)
{
    (void)state;
    char directory[] = "/tmp/envoi-trust-XXXXXX", file[64];
    assert_non_null(mkdtemp(directory));
    snprintf(file, sizeof file, "%s/ca.pem", directory);
    const struct tls_params p = { .host = "mx.example", .verify = true, .trust_file = directory };
    for (int filled = 0; filled < 2; filled++) {
        struct ends x;
        if (filled)
            assert_int_equal(symlink(made[CA].cert_file, file), 0);
        open_pair(&x);
        serve(&x, &(struct tls_server_params){ .cert_file = made[GOOD].cert_file, .key_file = made[GOOD].key_file });
        assert_int_equal(shake(&x, &p), filled ? IO_DONE : IO_ERROR);
        if (!filled)
            assert_contains(x.client_err.text, "holds no certificate");
        close_pair(&x);
    }
    unlink(file);
    rmdir(directory);
}

/* A server of GnuTLS's own: it tells the name it was asked for, and asks for a certificate if `ask`. */
static void shake_with_gnutls(const struct tls_params *p, bool ask, const char *version, char name[256], struct stream **client)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    struct err e = ERR_INIT;
    char priorities[64];
    int fd[2], rc = GNUTLS_E_AGAIN;
    enum io io = IO_AGAIN;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_certificate_set_x509_key_file(credentials, made[GOOD].cert_file, made[GOOD].key_file, GNUTLS_X509_FMT_PEM);
    gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK);
    snprintf(priorities, sizeof priorities, "NORMAL:-VERS-ALL:+VERS-%s", version);
    gnutls_priority_set_direct(session, priorities, NULL);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_certificate_server_set_request(session, ask ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
    gnutls_transport_set_int(session, fd[1]);
    *client = stream_new(fd[0], fd[0]);
    for (int i = 0; i < 100 && (io == IO_AGAIN || rc == GNUTLS_E_AGAIN); i++) {
        io = io == IO_AGAIN ? stream_tls_client(*client, p, &e) : io;
        if (io == IO_DONE)
            stream_flush(*client, &e);
        rc = rc == GNUTLS_E_AGAIN ? gnutls_handshake(session) : rc;
    }
    assert_int_equal(io, IO_DONE);
    assert_int_equal(rc, GNUTLS_E_SUCCESS);
    size_t n = 256;
    unsigned type;
    if (gnutls_server_name_get(session, name, &n, &type, 0) < 0)
        name[0] = 0;
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd[1]);
}

static void test_server_name(void **state)
{
    (void)state;
    static const struct { const char *host, *sni, *sent; } rows[] = {
        { "mx.example", NULL, "mx.example" }, { "mx.example", "other.example", "other.example" }, { "mx.example", "", "" },
        { "192.0.2.1", NULL, "" }, { "192.0.2.1", "mx.example", "mx.example" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stream *client;
        char name[256];
        shake_with_gnutls(&(struct tls_params){ .host = rows[i].host, .sni = rows[i].sni }, false, "TLS1.3", name, &client);
        assert_string_equal(name, rows[i].sent);
        stream_free(client);
    }
}

/* Our own certificate is told only where it was sent; the peer's, and as PEM, only where they are asked for. */
static void test_certificates_told(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        bool asked = i & 1, have = i & 2, described = i & 8;
        struct stream *client;
        char name[256];
        const struct tls_params p = {
            .host = "mx.example", .describe = described, .keep_pem = asked,
            .cert_file = have ? made[CLIENT_ONLY].cert_file : NULL,
            .key_file = have ? made[CLIENT_ONLY].key_file : NULL,
        };
        shake_with_gnutls(&p, asked, i & 4 ? "TLS1.2" : "TLS1.3", name, &client);
        const struct tls_facts *f = stream_tls_facts(client);
        if (asked && have)
            assert_string_equal(f->local, "CN=mx.example");
        else
            assert_null(f->local);
        assert_int_equal(f->n, described);
        if (asked && described) {
            char file[4096] = "";
            FILE *in = fopen(made[GOOD].cert_file, "r");
            assert_true(in && fread(file, 1, sizeof file - 1, in) > 0);
            fclose(in);
            assert_string_equal(f->chain[0].pem, file);
        } else if (described) {
            assert_null(f->chain[0].pem);
        }
        stream_free(client);
    }
}

/* --- what is found before a connection ------------------------------------------------------------------------ */

static bool password(void *ctx, const char *file, char **out, struct err *e)
{
    (void)file, (void)e;
    const char **answer = ctx;
    *out = xstrdup(answer[0]);
    answer[1] = "asked";
    return true;
}

static void test_client_key(void **state)
{
    (void)state;
    static const struct {
        bool encrypted;
        const char *answer, *text;
    } rows[] = {
        { false, "never", NULL },
        { true, "sesame", NULL },
        { true, "wrong", "the password of the client key" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ends x;
        const char *answer[2] = { rows[i].answer, NULL };
        open_pair(&x);
        serve(&x, &(struct tls_server_params){ 0 });
        struct tls_params p = {
            .host = "localhost", .key_password = password, .ctx = answer, .cert_file = made[GOOD].cert_file,
            .key_file = rows[i].encrypted ? made[GOOD].encrypted_file : made[GOOD].key_file,
        };
        /* A password is asked for while no server waits. */
        assert_int_equal(tls_params_check(&p, &x.client_err), !rows[i].text);
        assert_int_equal(answer[1] != NULL, rows[i].encrypted);
        if (rows[i].text)
            assert_contains(x.client_err.text, rows[i].text);
        err_clear(&x.client_err);
        assert_int_equal(shake(&x, &p), rows[i].text ? IO_ERROR : IO_DONE);
        if (rows[i].text)
            assert_contains(x.client_err.text, rows[i].text);
        close_pair(&x);
    }
}

static void test_params(void **state)
{
    (void)state;
    struct strlist bad = STRLIST_INIT;
    strlist_add(&bad, "12:34");
    const struct {
        struct tls_params p;
        enum fault fault;
        const char *text, *hint;
    } rows[] = {
        { { .trust_file = "/nonexistent/ca.pem" }, FAULT_NO_INPUT, "cannot read the trust file '/nonexistent/ca.pem': No such file", "'tls_trust_file'" },
        { { .crl_file = "/nonexistent/crl" }, FAULT_NO_INPUT, "CRL file", "'tls_crl_file'" },
        { { .key_file = "/nonexistent/key", .cert_file = "/dev/null" }, FAULT_NO_INPUT, "client key", "'tls_key_file'" },
        { { .key_file = "/dev/null", .cert_file = "/nonexistent/crt" }, FAULT_NO_INPUT, "client certificate", "'tls_cert_file'" },
        { { .key_file = "/dev/null" }, FAULT_CONFIG, "no certificate", "'tls_cert_file'" },
        { { .key_file = "/dev/null", .cert_file = "/dev/null" }, FAULT_CONFIG, "cannot use the client key", "'tls_key_file'" },
        { { .key_file = made[GOOD].key_file, .cert_file = made[SELF].cert_file }, FAULT_CONFIG, "does not belong to the certificate", NULL },
        { { .fingerprints = &bad }, FAULT_CONFIG, "'12:34' is not a fingerprint", "64 hex digits" },
        { { .priorities = "NORMAL:-VERS-TLS9" }, FAULT_CONFIG, "wrong at position 8, near '-VERS-TLS9'", "'tls_priorities'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        assert_false(tls_params_check(&rows[i].p, &e));
        assert_contains(e.text, rows[i].text);
        assert_int_equal(e.fault, rows[i].fault);
        if (rows[i].hint)
            assert_contains(e.hint, rows[i].hint);
        err_clear(&e);
    }
    strlist_free(&bad);
}

/* --- handshakes that fail ------------------------------------------------------------------------------------- */

static void test_no_common_version(void **state)
{
    (void)state;
    struct ends x;
    open_pair(&x);
    serve(&x, &(struct tls_server_params){ .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2" });
    assert_int_equal(shake(&x, &(struct tls_params){ .host = "mx.example", .priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3" }), IO_ERROR);
    assert_int_equal(x.client_err.fault, FAULT_TLS);
    assert_contains(x.client_err.text, "no TLS version, cipher or key exchange in common");
    close_pair(&x);
}

/* A peer that is not a TLS server: what it says, when, and what we make of it. */
static void test_not_tls(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* the ClientHello */
        bool starttls, hangs_up;
        enum fault fault;
        const char *text;
    } rows[] = {
        { "220 mx.example ESMTP\r\n", NULL, false, false, FAULT_TLS, "the server 'mx.example' does not speak TLS here: it greeted in clear text" },
        { NULL, "220 mx.example ESMTP\r\n", false, false, FAULT_TLS, "it greeted in clear text" },
        { NULL, "HTTP/1.1 400 Bad Request\r\n\r\n", false, false, FAULT_TLS, "it answered in clear text" },
        { "250 injected\r\n", NULL, true, false, FAULT_PROTOCOL, "octets before the TLS handshake began" },
        { "\x16\x03\x01", NULL, false, false, FAULT_PROTOCOL, "octets before the TLS handshake began" },
        { NULL, "", false, true, FAULT_LOST, "it closed the connection" },
        { NULL, "\x16\x03\x03\x01", false, true, FAULT_LOST, "it closed the connection" },
        { NULL, "\xff\xff\xff\xff\xff\xff\xff\xff", false, false, FAULT_TLS, "the TLS handshake with 'mx.example' failed" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ends x;
        struct err e = ERR_INIT;
        size_t n;
        char got[4096];
        struct tls_params p = { .host = "mx.example" };
        open_pair(&x);
        if (rows[i].starttls) {
            stream_writev(x.server, &(struct iovec){ "220 go\r\n", 8 }, 1, &n, &e);
            assert_int_equal(stream_read(x.client, got, sizeof got, &n, &e), IO_DONE);
        }
        if (rows[i].before)
            stream_writev(x.server, &(struct iovec){ (void *)rows[i].before, strlen(rows[i].before) }, 1, &n, &e);
        enum io io = stream_tls_client(x.client, &p, &e);
        if (rows[i].after) {
            assert_int_equal(io, IO_AGAIN);
            assert_int_equal(stream_read(x.server, got, sizeof got, &n, &e), IO_DONE);
            if (*rows[i].after)
                stream_writev(x.server, &(struct iovec){ (void *)rows[i].after, strlen(rows[i].after) }, 1, &n, &e);
            if (rows[i].hangs_up) {
                stream_free(x.server);
                x.server = NULL;
            }
            for (int k = 0; k < 3 && io == IO_AGAIN; k++)
                io = stream_tls_client(x.client, &p, &e);
        }
        assert_int_equal(io, IO_ERROR);
        assert_contains(e.text, rows[i].text);
        assert_int_equal(e.fault, rows[i].fault);
        if (rows[i].before) /* not one octet went out */
            assert_int_equal(stream_read(x.server, got, sizeof got, &n, &e), IO_AGAIN);
        err_clear(&e);
        close_pair(&x);
    }
}

/* --- octet by octet, and cut ---------------------------------------------------------------------------------- */

/* Moves at most `most` octets from one descriptor to another. */
static size_t relay(int from, int to, size_t most)
{
    char data[65536];
    ssize_t n = read(from, data, most);
    if (n > 0)
        assert_int_equal(write(to, data, (size_t)n), n);
    return n > 0 ? (size_t)n : 0;
}

struct wire {
    struct ends x;
    int client, server; /* the far ends */
};

static void open_wire(struct wire *w)
{
    int a[2], b[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
    w->x = (struct ends){ .client = stream_new(a[0], a[0]), .server = stream_new(b[0], b[0]) };
    w->client = a[1];
    w->server = b[1];
}

static void shake_slowly(struct wire *w, const char *priorities)
{
    struct tls_params p = { .host = "mx.example" };
    enum io client = IO_AGAIN, server = IO_AGAIN;
    serve(&w->x, &(struct tls_server_params){ .priorities = priorities });
    for (long i = 0; i < 100000 && (client == IO_AGAIN || server == IO_AGAIN); i++) {
        if (client == IO_AGAIN)
            client = stream_tls_client(w->x.client, &p, &w->x.client_err);
        send_last(&w->x, client, server);
        relay(w->client, w->server, 1);
        if (server == IO_AGAIN)
            server = stream_tls_server(w->x.server, w->x.context, &w->x.server_err);
        relay(w->server, w->client, 1);
    }
    assert_int_equal(client, IO_DONE);
    assert_int_equal(server, IO_DONE);
}

static void test_octet_by_octet(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct wire w;
        open_wire(&w);
        shake_slowly(&w, versions[i].priorities);
        while (relay(w.server, w.client, 1) || relay(w.client, w.server, 1))
            ;
        struct err e = ERR_INIT;
        char got[64];
        size_t n;
        assert_int_equal(stream_writev(w.x.client, &(struct iovec){ "NOOP\r\n", 6 }, 1, &n, &e), IO_DONE);
        enum io io = IO_AGAIN;
        for (int k = 0; k < 200 && io == IO_AGAIN; k++) {
            relay(w.client, w.server, 1);
            io = stream_read(w.x.server, got, sizeof got, &n, &e);
        }
        assert_int_equal(io, IO_DONE);
        assert_int_equal(n, 6);

        /* The connection ends in the middle of a record: the end, and nothing made up. */
        assert_int_equal(stream_writev(w.x.client, &(struct iovec){ "QUIT\r\n", 6 }, 1, &n, &e), IO_DONE);
        relay(w.client, w.server, 9);
        close(w.server);
        while ((io = stream_read(w.x.server, got, sizeof got, &n, &e)) == IO_AGAIN)
            ;
        if (io != IO_EOF)
            fail_msg("%s", e.text);
        assert_int_equal(n, 0);
        close(w.client);
        close_pair(&w.x);
    }
}

/* --- much data ------------------------------------------------------------------------------------------------ */

static unsigned char at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static void test_much(void **state)
{
    (void)state;
    enum { SIZE = 10 * 1024 * 1024 };
    unsigned char *data = malloc(SIZE), got[70000];
    for (size_t i = 0; i < SIZE; i++)
        data[i] = at(i);
    struct ends x;
    struct err e = ERR_INIT;
    open_pair(&x);
    serve(&x, &(struct tls_server_params){ 0 });
    assert_int_equal(shake(&x, &(struct tls_params){ .host = "localhost" }), IO_DONE);

    size_t sent = 0, received = 0, n;
    while (received < SIZE) {
        /* Lines, an empty piece and a big one: as they come from a dot filter. */
        size_t left = SIZE - sent, small = left < 78 ? left : 78, big = left - small < 300000 ? left - small : 300000;
        struct iovec iov[] = { { data + sent, small / 2 }, { data, 0 }, { data + sent + small / 2, small - small / 2 },
                               { data + sent + small, big } };
        enum io io = left > 0 ? stream_writev(x.client, iov, 4, &n, &e) : stream_flush(x.client, &e);
        assert_int_not_equal(io, IO_ERROR);
        if (left > 0)
            sent += n;
        if (io == IO_AGAIN) {
            assert_true(stream_pending(x.client));
            struct pollset ps = POLLSET_INIT;
            stream_waits(x.client, true, true, &ps);
            assert_int_equal(ps.n, 1);
            assert_int_equal(ps.v[0].events, POLLIN | POLLOUT);
            pollset_free(&ps);
        }
        while (stream_read(x.server, got, sizeof got, &n, &e) == IO_DONE) {
            assert_true(received + n <= SIZE);
            assert_memory_equal(got, data + received, n);
            received += n;
        }
    }
    assert_int_equal(sent, SIZE);
    free(data);
    close_pair(&x);
}

static void test_backpressure(void **state)
{
    (void)state;
    struct ends x;
    struct err e = ERR_INIT;
    char data[65536] = "";
    size_t n, taken = 0;
    open_pair(&x);
    serve(&x, &(struct tls_server_params){ 0 });
    assert_int_equal(shake(&x, &(struct tls_params){ .host = "localhost" }), IO_DONE);
    enum io io;
    while ((io = stream_writev(x.client, &(struct iovec){ data, sizeof data }, 1, &n, &e)) == IO_DONE && taken < 16 << 20)
        taken += n;
    assert_int_equal(io, IO_AGAIN);
    assert_true(taken < 4 << 20);
    assert_true(stream_pending(x.client));
    while (taken > 0) {
        if (stream_read(x.server, data, sizeof data, &n, &e) == IO_DONE)
            taken -= n;
        assert_int_not_equal(stream_flush(x.client, &e), IO_ERROR);
    }
    assert_false(stream_pending(x.client));

    stream_free(x.client); /* says goodbye */
    x.client = NULL;
    assert_int_equal(stream_read(x.server, data, sizeof data, &n, &e), IO_EOF);
    close_pair(&x);
}

/* The peer gave its reason and closed while much waits to be written: the reason is read before the loss is told. */
static void test_last_words(void **state)
{
    (void)state;
    struct ends x;
    struct err e = ERR_INIT;
    char data[65536] = "";
    size_t n;
    open_pair(&x);
    serve(&x, &(struct tls_server_params){ 0 });
    assert_int_equal(shake(&x, &(struct tls_params){ .host = "localhost" }), IO_DONE);
    while (stream_writev(x.client, &(struct iovec){ data, sizeof data }, 1, &n, &e) == IO_DONE)
        ;
    assert_true(stream_pending(x.client));
    assert_int_equal(stream_writev(x.server, &(struct iovec){ "552 no\r\n", 8 }, 1, &n, &e), IO_DONE);
    stream_free(x.server);
    x.server = NULL;
    assert_int_equal(stream_read(x.client, data, sizeof data, &n, &e), IO_DONE);
    assert_int_equal(n, 8);
    assert_memory_equal(data, "552 no\r\n", 8);
    assert_int_equal(stream_read(x.client, data, sizeof data, &n, &e), IO_ERROR);
    assert_int_equal(e.fault, FAULT_LOST);
    err_clear(&e);
    close_pair(&x);
}

/* One write, as records on the wire: all but the last hold as much as a record can, however small the pieces are. */
static void test_records(void **state)
{
    enum { MOST = 16384, OVERHEAD = 1 + 16 /* type of the content, tag */, PIECES = 64 };
    static const size_t rows[][3] = { /* octets of a first piece, of each other, how many others */
        { 14, 15, 2 }, { 1, 0, 0 }, { MOST, 0, 0 }, { MOST + 1, 0, 0 }, { 14, 100000, 1 }, { 100000, 14, 1 },
        { 700, 1500, PIECES - 1 }, { 20000, 78, PIECES - 1 }, { 1, 10000, 9 },
    };
    static char data[100000];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wire w;
        struct err e = ERR_INIT;
        struct iovec iov[PIECES] = { { data, rows[i][0] } };
        unsigned char wire[2 * sizeof data];
        size_t n, content = rows[i][0] + rows[i][1] * rows[i][2], left = content;
        open_wire(&w);
        shake_slowly(&w, NULL);
        while (relay(w.server, w.client, 1) || relay(w.client, w.server, 1))
            ;
        for (size_t k = 1; k <= rows[i][2]; k++)
            iov[k] = (struct iovec){ data, rows[i][1] };
        assert_int_equal(stream_writev(w.x.client, iov, 1 + (int)rows[i][2], &n, &e), IO_DONE);
        assert_int_equal(n, content);
        ssize_t got = read(w.client, wire, sizeof wire);
        for (const unsigned char *p = wire; p < wire + got; p += 5 + (p[3] << 8 | p[4])) {
            size_t inside = (size_t)(p[3] << 8 | p[4]) - OVERHEAD;
            if (inside != (left < MOST ? left : MOST))
                fail_msg("row %zu: a record of %zu, with %zu left", i, inside, left);
            left -= inside;
        }
        assert_int_equal(left, 0);
        close(w.client);
        close(w.server);
        close_pair(&w.x);
    }
}

/* A connection that is dropped ends without close_notify; one that is closed with it. */
static void test_dropped(void **state)
{
    (void)state;
    for (int drop = 0; drop < 2; drop++) {
        struct wire w;
        char data[4096];
        open_wire(&w);
        shake_slowly(&w, NULL);
        while (relay(w.server, w.client, 1) || relay(w.client, w.server, 1))
            ;
        (drop ? stream_drop : stream_free)(w.x.client);
        w.x.client = NULL;
        ssize_t got = read(w.client, data, sizeof data);
        assert_true(drop ? got == 0 : got > 5);
        close(w.client);
        close(w.server);
        close_pair(&w.x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_fingerprints),
        cmocka_unit_test(test_partial_checks),
        cmocka_unit_test(test_trust_directory),
        cmocka_unit_test(test_server_name),
        cmocka_unit_test(test_certificates_told),
        cmocka_unit_test(test_client_key),
        cmocka_unit_test(test_params),
        cmocka_unit_test(test_no_common_version),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_octet_by_octet),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_last_words),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests_name("tls", tests, make_all, unmake_all);
}
