/* tls_facts: what a handshake showed: version, cipher and the certificates of the peer.
 * Every text comes from the peer: its control characters are made '?'. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "net/tls_session.h"

enum { NAMES_MAX = 200 };

void tls_certificate_free(struct tls_certificate *c)
{
    free(c->subject);
    free(c->issuer);
    strlist_free(&c->names);
    free(c->sha256);
    free(c->sha1);
    free(c->spki_sha256);
    free(c->key);
    free(c->pem);
    *c = (struct tls_certificate){ 0 };
}

void tls_facts_free(struct tls_facts *f)
{
    free(f->version);
    free(f->cipher);
    free(f->group);
    free(f->problem);
    strlist_free(&f->problems);
    free(f->local);
    free(f->description);
    for (size_t i = 0; i < f->n; i++)
        tls_certificate_free(&f->chain[i]);
    free(f->chain);
    *f = (struct tls_facts){ .how = "none" };
}

static char *printable(const void *data, size_t n)
{
    char *text = xstrndup(data, n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            text[i] = '?';
    return text;
}

static char *colon_hex(const void *data, size_t n)
{
    struct buf text = BUF_INIT;
    hex_encode(&text, data, n, ":");
    return buf_steal(&text);
}

static char *distinguished_name(gnutls_x509_crt_t crt, int (*get)(gnutls_x509_crt_t, gnutls_datum_t *, unsigned))
{
    gnutls_datum_t dn = { 0 };
    if (get(crt, &dn, 0) < 0)
        return xstrdup("");
    char *text = printable(dn.data, dn.size);
    free(dn.data);
    return text;
}

static void add_name(struct strlist *names, int type, const unsigned char *data, size_t n)
{
    char text[INET6_ADDRSTRLEN];
    if (type == GNUTLS_SAN_DNSNAME)
        strlist_add_own(names, printable(data, n));
    else if (type == GNUTLS_SAN_IPADDRESS && (n == 4 || n == 16) &&
             inet_ntop(n == 4 ? AF_INET : AF_INET6, data, text, sizeof text))
        strlist_add(names, text);
}

/* The names of the extension; a certificate without any is for its common name. */
static void read_names(const struct gnutls_api *api, gnutls_x509_crt_t crt, struct strlist *names)
{
    char name[512];
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        size_t n = sizeof name;
        int type = api->gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type >= 0)
            add_name(names, type, (unsigned char *)name, n);
    }
    size_t n = sizeof name;
    if (names->n == 0 && api->gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &n) >= 0)
        strlist_add_own(names, printable(name, n));
}

void tls_certificate_read(const struct gnutls_api *api, const gnutls_datum_t *der, struct tls_certificate *c)
{
    unsigned char digest[64];
    size_t n = sizeof digest;
    gnutls_x509_crt_t crt;
    *c = (struct tls_certificate){ 0 };
    if (api->gnutls_fingerprint(GNUTLS_DIG_SHA256, der, digest, &n) >= 0)
        c->sha256 = colon_hex(digest, n);
    n = sizeof digest;
    if (api->gnutls_fingerprint(GNUTLS_DIG_SHA1, der, digest, &n) >= 0)
        c->sha1 = colon_hex(digest, n);
    if (api->gnutls_x509_crt_init(&crt) < 0)
        return;
    if (api->gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0) {
        unsigned bits = 0;
        int algorithm = api->gnutls_x509_crt_get_pk_algorithm(crt, &bits);
        const char *name = algorithm >= 0 ? api->gnutls_pk_get_name((gnutls_pk_algorithm_t)algorithm) : NULL;
        c->key = xasprintf("%s %u", name ? name : "unknown", bits);
        c->subject = distinguished_name(crt, api->gnutls_x509_crt_get_dn3);
        c->issuer = distinguished_name(crt, api->gnutls_x509_crt_get_issuer_dn3);
        c->not_before = api->gnutls_x509_crt_get_activation_time(crt);
        c->not_after = api->gnutls_x509_crt_get_expiration_time(crt);
        n = sizeof digest;
        if (api->gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, digest, &n) >= 0)
            c->spki_sha256 = colon_hex(digest, n);
        read_names(api, crt, &c->names);
    }
    api->gnutls_x509_crt_deinit(crt);
}

static char *pem(const struct gnutls_api *api, const gnutls_datum_t *der)
{
    gnutls_datum_t text = { 0 };
    if (api->gnutls_pem_base64_encode2("CERTIFICATE", der, &text) < 0)
        return NULL;
    char *copy = xstrndup((const char *)text.data, text.size);
    free(text.data);
    return copy;
}

void tls_facts_chain(struct tls *t)
{
    unsigned n = 0;
    const gnutls_datum_t *der = t->api->gnutls_certificate_get_peers(t->session, &n);
    if (!der || n == 0 || t->facts.chain)
        return;
    t->facts.chain = xcalloc(n, sizeof *t->facts.chain);
    t->facts.n = n;
    for (unsigned i = 0; i < n; i++) {
        tls_certificate_read(t->api, &der[i], &t->facts.chain[i]);
        if (t->params && t->params->keep_pem)
            t->facts.chain[i].pem = pem(t->api, &der[i]);
    }
}

/* Ours goes out only where the server asked for one. */
static char *local_subject(struct tls *t)
{
    const gnutls_datum_t *der = t->credentials ? t->api->gnutls_certificate_get_ours(t->session) : NULL;
    if (!der)
        return NULL;
    struct tls_certificate own;
    tls_certificate_read(t->api, der, &own);
    char *subject = own.subject;
    own.subject = NULL;
    tls_certificate_free(&own);
    return subject;
}

static void fill(char **member, const char *name)
{
    if (!*member && name)
        *member = xstrdup(name);
}

void tls_facts_session(struct tls *t)
{
    const struct gnutls_api *api = t->api;
    gnutls_cipher_algorithm_t cipher = api->gnutls_cipher_get(t->session);
    gnutls_group_t group = api->gnutls_group_get(t->session);
    fill(&t->facts.version, api->gnutls_protocol_get_name(api->gnutls_protocol_get_version(t->session)));
    fill(&t->facts.cipher, cipher == GNUTLS_CIPHER_NULL ? NULL : api->gnutls_cipher_get_name(cipher));
    fill(&t->facts.group, group == GNUTLS_GROUP_INVALID ? NULL : api->gnutls_group_get_name(group));
    char *description = api->gnutls_session_get_desc(t->session); /* by malloc */
    fill(&t->facts.description, description);
    free(description);
    if (t->up && !t->facts.local)
        t->facts.local = local_subject(t);
    t->facts.resumed = t->up && api->gnutls_session_is_resumed(t->session);
}
