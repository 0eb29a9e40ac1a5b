/* tls_server: TLS as a server, for sink: a certificate from files, or one made on the spot. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "net/tls_session.h"

enum { DAY = 24 * 60 * 60, MADE_DAYS = 30 };

struct tls_server {
    const struct gnutls_api *api;
    gnutls_certificate_credentials_t credentials; /* own */
    char *priorities;                             /* own or NULL */
    gnutls_datum_t ticket_key;                    /* own */
    struct tls_certificate certificate;           /* own */
};

static void add_made_name(const struct gnutls_api *api, gnutls_x509_crt_t crt, const char *name)
{
    unsigned char address[IP_MAX];
    const unsigned size = (unsigned)ip_decode(address, name);
    if (size > 0)
        api->gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, size, GNUTLS_FSAN_APPEND);
    else
        api->gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name),
                                                  GNUTLS_FSAN_APPEND);
}

static int fill_certificate(const struct gnutls_api *api, gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
                            const struct tls_server_params *p)
{
    const struct strlist *names = p->names;
    const bool usual = p->not_before == 0 && p->not_after == 0;
    const char *first = names && names->n > 0 ? names->v[0] : "localhost";
    unsigned char serial[16];
    time_t now = time(NULL);
    int rc = api->gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, without leading zeros */
    api->gnutls_x509_crt_set_version(crt, 3);
    api->gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    api->gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, first, (unsigned)strlen(first));
    for (size_t i = 0; names && i < names->n; i++)
        add_made_name(api, crt, names->v[i]);
    if (!names || names->n == 0)
        add_made_name(api, crt, first);
    api->gnutls_x509_crt_set_activation_time(crt, now + (usual ? -1 : p->not_before) * DAY);
    api->gnutls_x509_crt_set_expiration_time(crt, now + (usual ? MADE_DAYS : p->not_after) * DAY);
    api->gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    api->gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc >= 0)
        rc = api->gnutls_x509_crt_set_key(crt, key);
    return rc < 0 ? rc : api->gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int make_certificate(struct tls_server *s, const struct tls_server_params *p)
{
    const struct gnutls_api *api = s->api;
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    int rc = api->gnutls_x509_privkey_init(&key);
    if (rc >= 0)
        rc = api->gnutls_x509_crt_init(&crt);
    if (rc >= 0)
        rc = api->gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
                                               0);
    if (rc >= 0)
        rc = fill_certificate(api, crt, key, p);
    if (rc >= 0)
        rc = api->gnutls_certificate_set_x509_key(s->credentials, &crt, 1, key); /* copies both */
    if (crt)
        api->gnutls_x509_crt_deinit(crt);
    if (key)
        api->gnutls_x509_privkey_deinit(key);
    return rc;
}

static bool load_certificate(struct tls_server *s, const struct tls_server_params *p, struct err *e)
{
    int rc;
    if (!p->cert_file && !p->key_file) {
        rc = make_certificate(s, p);
        if (rc < 0)
            return err_set(e, FAULT_SYSTEM, "cannot make a certificate: %s", s->api->gnutls_strerror(rc));
    } else {
        const char *cert = p->cert_file ? p->cert_file : p->key_file, *key = p->key_file ? p->key_file : p->cert_file;
        rc = s->api->gnutls_certificate_set_x509_key_file2(s->credentials, cert, key, GNUTLS_X509_FMT_PEM, NULL, 0);
        if (rc < 0)
            return err_set(e, FAULT_NO_INPUT, "cannot use the certificate '%s' with the key '%s': %s", cert, key,
                           s->api->gnutls_strerror(rc));
    }
    gnutls_datum_t der;
    if (s->api->gnutls_certificate_get_crt_raw(s->credentials, 0, 0, &der) >= 0)
        tls_certificate_read(s->api, &der, &s->certificate);
    return true;
}

static bool check_priorities(const struct gnutls_api *api, const char *priorities, struct err *e)
{
    gnutls_priority_t parsed;
    if (!tls_priorities_parse(api, priorities, &parsed, e))
        return false;
    api->gnutls_priority_deinit(parsed);
    return true;
}

struct tls_server *tls_server_new(const struct tls_server_params *p, struct err *e)
{
    const struct gnutls_api *api = gnutls_door(e);
    if (!api)
        return NULL;
    struct tls_server *s = xcalloc(1, sizeof *s);
    s->api = api;
    s->priorities = xstrdup(p->priorities);
    if (api->gnutls_certificate_allocate_credentials(&s->credentials) < 0)
        err_set(e, FAULT_SYSTEM, "cannot prepare TLS");
    else if (api->gnutls_session_ticket_key_generate(&s->ticket_key) < 0)
        err_set(e, FAULT_SYSTEM, "cannot make a key for session tickets");
    else if (check_priorities(api, p->priorities, e) && load_certificate(s, p, e))
        return s;
    tls_server_free(s);
    return NULL;
}

void tls_server_free(struct tls_server *s)
{
    if (!s)
        return;
    if (s->credentials)
        s->api->gnutls_certificate_free_credentials(s->credentials);
    tls_certificate_free(&s->certificate);
    if (s->ticket_key.data)
        explicit_bzero(s->ticket_key.data, s->ticket_key.size);
    free(s->ticket_key.data);
    free(s->priorities);
    free(s);
}

const char *tls_server_fingerprint(const struct tls_server *s)
{
    return s->certificate.sha256;
}

static bool start(struct stream *s, const struct tls_server *server, struct err *e)
{
    const unsigned flags = GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET;
    if (!tls_new(s, e) || !tls_session_start(s, flags, server->priorities, server->credentials, e))
        return false;
    server->api->gnutls_session_ticket_enable_server(s->tls->session, &server->ticket_key);
    s->tls->owes_ticket = true;
    return true;
}

enum io stream_tls_server(struct stream *s, struct tls_server *server, struct err *e)
{
    if (!s->tls && !start(s, server, e)) {
        err_stage(e, STAGE_TLS);
        return IO_ERROR;
    }
    return tls_session_handshake(s, e);
}
