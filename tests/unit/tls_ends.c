/* tls_ends: see the header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/strlist.h"
#include "tls_ends.h"

/* --- certificates made for the tests -------------------------------------------------------------------------- */

char dir[] = "/tmp/envoi-test-tls-XXXXXX";

struct recipe {
    const char *file, *cn, *dns, *ip;
    double from, until; /* days from now */
    bool ca;
    const char *purpose;
};

static void save(const char *path, const gnutls_datum_t *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text->data, 1, text->size, f), text->size);
    fclose(f);
}

static void make(struct made *m, const struct recipe *r, const struct made *issuer)
{
    gnutls_datum_t text;
    assert_int_equal(gnutls_x509_privkey_init(&m->key), 0);
    assert_int_equal(gnutls_x509_crt_init(&m->crt), 0);
    assert_int_equal(gnutls_x509_privkey_generate(m->key, GNUTLS_PK_ECDSA,
                                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    static unsigned char serial = 1;
    gnutls_x509_crt_set_version(m->crt, 3);
    gnutls_x509_crt_set_serial(m->crt, &serial, 1);
    serial++;
    gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, r->cn, (unsigned)strlen(r->cn));
    if (r->dns) {
        struct strlist names = STRLIST_INIT;
        strlist_split(&names, r->dns, ",");
        for (size_t i = 0; i < names.n; i++)
            gnutls_x509_crt_set_subject_alt_name(m->crt, GNUTLS_SAN_DNSNAME, names.v[i], (unsigned)strlen(names.v[i]),
                                                 GNUTLS_FSAN_APPEND);
        strlist_free(&names);
    }
    if (r->ip)
        gnutls_x509_crt_set_subject_alt_name(m->crt, GNUTLS_SAN_IPADDRESS, r->ip, 4, GNUTLS_FSAN_APPEND);
    gnutls_x509_crt_set_activation_time(m->crt, time(NULL) + (time_t)(r->from * DAY));
    gnutls_x509_crt_set_expiration_time(m->crt, time(NULL) + (time_t)(r->until * DAY));
    gnutls_x509_crt_set_key(m->crt, m->key);
    if (r->ca) {
        gnutls_x509_crt_set_basic_constraints(m->crt, 1, -1);
        gnutls_x509_crt_set_key_usage(m->crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
    }
    if (r->purpose)
        gnutls_x509_crt_set_key_purpose_oid(m->crt, r->purpose, 0);
    assert_int_equal(gnutls_x509_crt_sign2(m->crt, issuer ? issuer->crt : m->crt, issuer ? issuer->key : m->key,
                                           GNUTLS_DIG_SHA256, 0), 0);

    m->cert_file = xasprintf("%s/%s.crt", dir, r->file);
    m->key_file = xasprintf("%s/%s.key", dir, r->file);
    assert_int_equal(gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_PEM, &text), 0);
    save(m->cert_file, &text);
    gnutls_free(text.data);
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(m->key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &text), 0);
    save(m->key_file, &text);
    gnutls_free(text.data);
}

static void unmake(struct made *m)
{
    char **files[] = { &m->cert_file, &m->key_file, &m->encrypted_file, &m->crl_file };
    for (size_t i = 0; i < 4; i++) {
        if (*files[i])
            unlink(*files[i]);
        free(*files[i]);
    }
    gnutls_x509_crt_deinit(m->crt);
    gnutls_x509_privkey_deinit(m->key);
}

struct made made[MADE];
static const struct recipe recipes[MADE] = {
    [CA] = { "ca", "Test CA", NULL, NULL, -30, 30, true, NULL },
    [OTHER_CA] = { "other", "Other CA", NULL, NULL, -30, 30, true, NULL },
    [GOOD] = { "good", "mx.example", "mx.example,*.wild.example", NULL, -1, 30, false, GNUTLS_KP_TLS_WWW_SERVER },
    [EXPIRED] = { "expired", "mx.example", "mx.example", NULL, -20, -2, false, NULL },
    [FUTURE] = { "future", "mx.example", "mx.example", NULL, 2, 30, false, NULL },
    [SELF] = { "self", "mx.example", "mx.example", NULL, -1, 30, false, NULL },
    [ADDRESS] = { "address", "192.0.2.1", NULL, "\xc0\0\2\1", -1, 30, false, NULL },
    [CLIENT_ONLY] = { "client", "mx.example", "mx.example", NULL, -1, 30, false, GNUTLS_KP_TLS_WWW_CLIENT },
    [EXPIRED_WRONG] = { "both", "a.example", "a.example,b.example", NULL, -20, -2, false, NULL },
    [SOON] = { "soon", "mx.example", "mx.example", NULL, -1, 0.5, false, NULL },
    [SOON_CA] = { "soon-ca", "Soon CA", NULL, NULL, -1, 0.5, true, NULL },
    [BY_SOON_CA] = { "by-soon-ca", "mx.example", "mx.example", NULL, -1, 30, false, NULL },
};

int make_all(void **state)
{
    (void)state;
    gnutls_datum_t text;
    gnutls_x509_crl_t crl;
    assert_non_null(mkdtemp(dir));
    setenv("XDG_CACHE_HOME", dir, 1);
    make(&made[CA], &recipes[CA], NULL);
    make(&made[OTHER_CA], &recipes[OTHER_CA], NULL);
    for (int i = GOOD; i < MADE; i++)
        make(&made[i], &recipes[i], i == SELF || i == SOON_CA ? NULL : i == BY_SOON_CA ? &made[SOON_CA] : &made[CA]);

    made[GOOD].encrypted_file = xasprintf("%s/encrypted.key", dir);
    assert_int_equal(gnutls_x509_privkey_export2_pkcs8(made[GOOD].key, GNUTLS_X509_FMT_PEM, "sesame",
                                                       GNUTLS_PKCS_PBES2_AES_256, &text), 0);
    save(made[GOOD].encrypted_file, &text);
    gnutls_free(text.data);

    made[CA].crl_file = xasprintf("%s/ca.crl", dir);
    gnutls_x509_crl_init(&crl);
    gnutls_x509_crl_set_version(crl, 2);
    gnutls_x509_crl_set_crt(crl, made[GOOD].crt, time(NULL) - DAY);
    gnutls_x509_crl_set_this_update(crl, time(NULL) - DAY);
    gnutls_x509_crl_set_next_update(crl, time(NULL) + DAY);
    gnutls_x509_crl_set_number(crl, "\1", 1);
    assert_int_equal(gnutls_x509_crl_sign2(crl, made[CA].crt, made[CA].key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crl_export2(crl, GNUTLS_X509_FMT_PEM, &text), 0);
    save(made[CA].crl_file, &text);
    gnutls_free(text.data);
    gnutls_x509_crl_deinit(crl);
    return 0;
}

int unmake_all(void **state)
{
    (void)state;
    for (int i = 0; i < MADE; i++)
        unmake(&made[i]);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* --- both ends ------------------------------------------------------------------------------------------------ */

const struct version versions[VERSIONS] = {
    { NULL, "TLS1.3", "tls-exporter" },
    { "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2", "tls-unique" },
};

void open_pair(struct ends *x)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    *x = (struct ends){ .client = stream_new(fd[0], fd[0]), .server = stream_new(fd[1], fd[1]) };
}

void close_pair(struct ends *x)
{
    stream_free(x->client);
    stream_free(x->server);
    tls_server_free(x->context);
    err_clear(&x->client_err);
    err_clear(&x->server_err);
}

void serve(struct ends *x, const struct tls_server_params *p)
{
    struct err e = ERR_INIT;
    x->context = tls_server_new(p, &e);
    if (!x->context)
        print_error("%s\n", e.text);
    assert_non_null(x->context);
}

void send_last(struct ends *x, enum io client, enum io server)
{
    if (client == IO_DONE)
        stream_flush(x->client, &x->client_err);
    if (server == IO_DONE)
        stream_flush(x->server, &x->server_err);
}

enum io shake(struct ends *x, const struct tls_params *p)
{
    enum io client = IO_AGAIN, server = IO_AGAIN;
    for (int i = 0; i < 100 && (client == IO_AGAIN || server == IO_AGAIN); i++) {
        if (client == IO_AGAIN)
            client = stream_tls_client(x->client, p, &x->client_err);
        if (server == IO_AGAIN)
            server = stream_tls_server(x->server, x->context, &x->server_err);
        send_last(x, client, server);
        if (client == IO_ERROR)
            break;
    }
    return client;
}

void say(struct stream *from, struct stream *to, const char *text)
{
    struct err e = ERR_INIT;
    char got[4096];
    size_t n, len = strlen(text);
    assert_int_equal(stream_writev(from, &(struct iovec){ (void *)text, len }, 1, &n, &e), IO_DONE);
    assert_int_equal(n, len);
    assert_false(stream_pending(from));
    enum io io;
    while ((io = stream_read(to, got, sizeof got, &n, &e)) == IO_AGAIN && stream_buffered(to))
        ;
    assert_int_equal(io, IO_DONE);
    assert_int_equal(n, len);
    assert_memory_equal(got, text, len);
}
