/* tls_dane: is the peer the one that TLSA records name (RFC 6698, 7671, 7672 3.1)? Where they are from, and whether
 * their answer was validated, is the caller's. DANE-EE looks at the peer's certificate alone; DANE-TA makes what a
 * record names the only trusted issuer and leaves the rest to tls_verify. */
#include <string.h>

#include "base/codec.h"
#include "net/der.h"
#include "net/tls_session.h"

enum { USAGE_TA = 2, USAGE_EE = 3 };
enum { SELECTOR_CERTIFICATE = 0, SELECTOR_KEY = 1 };
enum { MATCHING_EXACT = 0, MATCHING_SHA256 = 1, MATCHING_SHA512 = 2, MATCHINGS };
enum { DIGEST_MAX = 64 };

/* More are not looked at: no honest answer has so many, and each costs time. */
enum { ANCHORS_MAX = 64, CHAIN_MAX = 16 };

static const struct {
    gnutls_digest_algorithm_t digest;
    size_t size;
} matchings[MATCHINGS] = {
    [MATCHING_SHA256] = { GNUTLS_DIG_SHA256, 32 },
    [MATCHING_SHA512] = { GNUTLS_DIG_SHA512, 64 },
};

/* --- DER: parts found, parts put together ------------------------------------------------------------------------ */

static void der_add(struct buf *out, unsigned tag, const void *p, size_t n)
{
    buf_addc(out, (char)tag);
    if (n >= 0x80)
        buf_addc(out, (char)(n < 0x100 ? 0x81 : n < 0x10000 ? 0x82 : 0x83));
    if (n >= 0x10000)
        buf_addc(out, (char)(n >> 16));
    if (n >= 0x100)
        buf_addc(out, (char)(n >> 8));
    buf_addc(out, (char)n);
    buf_add(out, p, n);
}

struct parts {
    gnutls_datum_t issuer, subject, key; /* borrowed: whole elements; the key is the SubjectPublicKeyInfo */
};

static gnutls_datum_t datum(const struct der *d)
{
    return (gnutls_datum_t){ (unsigned char *)d->p, (unsigned)d->n };
}

static bool certificate_parts(const gnutls_datum_t *der, struct parts *parts)
{
    struct der_certificate c;
    if (!der_certificate(der->data, der->size, &c) || !c.key.p)
        return false;
    *parts = (struct parts){ datum(&c.issuer), datum(&c.subject), datum(&c.key) };
    return true;
}

static bool same(const gnutls_datum_t *a, const void *p, size_t n)
{
    return a->size == n && memcmp(a->data, p, n) == 0;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static bool is_certificate(const struct gnutls_api *api, const struct buf *octets)
{
    const gnutls_datum_t der = { (unsigned char *)octets->data, (unsigned)octets->len };
    gnutls_x509_crt_t crt;
    struct parts parts;
    if (api->gnutls_x509_crt_init(&crt) < 0)
        return false;
    bool ok = api->gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) >= 0 && certificate_parts(&der, &parts);
    api->gnutls_x509_crt_deinit(crt);
    return ok;
}

static bool is_key(const struct gnutls_api *api, const struct buf *octets)
{
    const gnutls_datum_t der = { (unsigned char *)octets->data, (unsigned)octets->len };
    gnutls_pubkey_t key;
    if (api->gnutls_pubkey_init(&key) < 0)
        return false;
    bool ok = api->gnutls_pubkey_import(key, &der, GNUTLS_X509_FMT_DER) >= 0;
    api->gnutls_pubkey_deinit(key);
    return ok;
}

bool tls_tlsa_usable(const struct dns_record *r)
{
    struct err ignored = ERR_INIT;
    if ((r->usage != USAGE_TA && r->usage != USAGE_EE) || r->selector < SELECTOR_CERTIFICATE ||
        r->selector > SELECTOR_KEY || r->matching < MATCHING_EXACT || r->matching >= MATCHINGS ||
        r->association.len == 0)
        return false;
    if (r->matching != MATCHING_EXACT)
        return r->association.len == matchings[r->matching].size;
    const struct gnutls_api *api = gnutls_door(&ignored);
    err_clear(&ignored);
    return api && (r->selector == SELECTOR_KEY ? is_key : is_certificate)(api, &r->association);
}

/* Digest agility (RFC 7671 9): of the digests for one usage and selector only the strongest that is published counts.
 * What is published in full counts beside it. */
static bool counts(const struct dns_answer *tlsa, const struct dns_record *r)
{
    for (size_t i = 0; r->matching != MATCHING_EXACT && i < tlsa->n; i++) {
        const struct dns_record *other = &tlsa->v[i];
        if (other->usage == r->usage && other->selector == r->selector && other->matching > r->matching &&
            tls_tlsa_usable(other))
            return false;
    }
    return tls_tlsa_usable(r);
}

static bool matches(const struct gnutls_api *api, const struct dns_record *r, const gnutls_datum_t *der)
{
    unsigned char digest[DIGEST_MAX];
    gnutls_datum_t selected = *der;
    struct parts parts;
    if (r->selector == SELECTOR_KEY) {
        if (!certificate_parts(der, &parts))
            return false;
        selected = parts.key;
    }
    if (r->matching == MATCHING_EXACT)
        return same(&selected, r->association.data, r->association.len);
    return api->gnutls_hash_fast(matchings[r->matching].digest, selected.data, selected.size, digest) >= 0 &&
           r->association.len == matchings[r->matching].size &&
           memcmp(digest, r->association.data, r->association.len) == 0;
}

static bool read_pem(const char *pem, struct buf *der)
{
    struct strlist lines = STRLIST_INIT;
    struct buf text = BUF_INIT;
    strlist_split(&lines, pem, "\r\n");
    for (size_t i = 0; i < lines.n; i++)
        if (lines.v[i][0] != '-')
            buf_adds(&text, lines.v[i]);
    bool ok = base64_decode(der, text.data, text.len);
    strlist_free(&lines);
    buf_free(&text);
    return ok;
}

bool tls_tlsa_matches(const struct dns_record *r, const char *pem)
{
    struct err ignored = ERR_INIT;
    struct buf der = BUF_INIT;
    const struct gnutls_api *api = gnutls_door(&ignored);
    bool ok = api && tls_tlsa_usable(r) && read_pem(pem, &der) &&
              matches(api, r, &(gnutls_datum_t){ (unsigned char *)der.data, (unsigned)der.len });
    err_clear(&ignored);
    buf_free(&der);
    return ok;
}

/* --- DANE-TA: what is trusted ------------------------------------------------------------------------------------- */

struct chain {
    const gnutls_datum_t *der; /* borrowed: as it came, the peer's own first */
    unsigned n;                /* CHAIN_MAX at most */
    gnutls_x509_crt_t crt[CHAIN_MAX]; /* own */
    bool trusted[CHAIN_MAX];
    gnutls_x509_trust_list_t trust; /* own */
};

static bool chain_open(struct chain *c, const struct gnutls_api *api, const gnutls_datum_t *der, unsigned n)
{
    *c = (struct chain){ .der = der };
    if (api->gnutls_x509_trust_list_init(&c->trust, 0) < 0)
        return false;
    for (; c->n < n && c->n < CHAIN_MAX; c->n++) {
        if (api->gnutls_x509_crt_init(&c->crt[c->n]) < 0)
            break;
        if (api->gnutls_x509_crt_import(c->crt[c->n], &der[c->n], GNUTLS_X509_FMT_DER) < 0) {
            api->gnutls_x509_crt_deinit(c->crt[c->n]);
            break;
        }
    }
    return true;
}

static void chain_close(struct chain *c, const struct gnutls_api *api)
{
    while (c->n > 0)
        api->gnutls_x509_crt_deinit(c->crt[--c->n]);
    api->gnutls_x509_trust_list_deinit(c->trust, 1);
}

static bool is_issuer(const struct gnutls_api *api, gnutls_x509_crt_t issuer, gnutls_x509_crt_t of)
{
    unsigned status = 0;
    return api->gnutls_x509_crt_verify(of, &issuer, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) >= 0 &&
           !(status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNATURE_FAILURE));
}

/* Trusts a certificate. issued: only if it issued that one of the chain, or (ANY_OF_THEM) one of them. */
enum { NO_MATTER = CHAIN_MAX, ANY_OF_THEM };
static bool trust(struct chain *c, const struct gnutls_api *api, const gnutls_datum_t *der, unsigned issued)
{
    gnutls_x509_crt_t crt;
    if (api->gnutls_x509_crt_init(&crt) < 0)
        return false;
    bool ok = api->gnutls_x509_crt_import(crt, der, GNUTLS_X509_FMT_DER) >= 0, found = issued == NO_MATTER;
    for (unsigned i = 0; ok && !found && i < c->n; i++)
        found = (issued == i || issued == ANY_OF_THEM) && is_issuer(api, crt, c->crt[i]);
    if (ok && found && api->gnutls_x509_trust_list_add_cas(c->trust, &crt, 1, 0) == 1)
        return true; /* it is the list's now */
    api->gnutls_x509_crt_deinit(crt);
    return false;
}

static bool is_self_issued(const gnutls_datum_t *der)
{
    struct parts parts;
    return certificate_parts(der, &parts) && same(&parts.issuer, parts.subject.data, parts.subject.size);
}

/* GnuTLS trusts certificates only: this one has the name and the key that an issuer must have, and no more. Nobody
 * looks at the signature of what is trusted. */
static void make_issuer(struct buf *out, const gnutls_datum_t *name, const struct buf *key)
{
    static const char version[] = "\xa0\3\2\1\2", serial[] = "\2\1\1",
                      algorithm[] = "\x30\x0a\6\x08\x2a\x86\x48\xce\x3d\4\3\2", /* ecdsa-with-SHA256 */
                      validity[] = "\x30\x20\x17\x0d" "500101000000Z" "\x18\x0f" "99991231235959Z",
                      is_ca[] = "\xa3\x13\x30\x11\x30\x0f\6\3\x55\x1d\x13\1\1\xff\4\5\x30\3\1\1\xff";
    struct buf tbs = BUF_INIT, all = BUF_INIT;
    buf_add(&tbs, version, sizeof version - 1);
    buf_add(&tbs, serial, sizeof serial - 1);
    buf_add(&tbs, algorithm, sizeof algorithm - 1);
    buf_add(&tbs, name->data, name->size);
    buf_add(&tbs, validity, sizeof validity - 1);
    buf_add(&tbs, name->data, name->size);
    buf_add(&tbs, key->data, key->len);
    buf_add(&tbs, is_ca, sizeof is_ca - 1);
    der_add(&all, DER_SEQUENCE, tbs.data, tbs.len);
    buf_add(&all, algorithm, sizeof algorithm - 1);
    der_add(&all, DER_BIT_STRING, "\0", 2);
    der_add(out, DER_SEQUENCE, all.data, all.len);
    buf_free(&tbs);
    buf_free(&all);
}

/* A bare key has no name, so it may be that of any issuer that the chain has. */
static bool trust_key(struct chain *c, const struct gnutls_api *api, const struct buf *key)
{
    bool trusted = false;
    for (unsigned i = 0; i < c->n; i++) {
        struct parts parts;
        struct buf der = BUF_INIT;
        if (!certificate_parts(&c->der[i], &parts))
            continue;
        make_issuer(&der, &parts.issuer, key);
        trusted |= trust(c, api, &(gnutls_datum_t){ (unsigned char *)der.data, (unsigned)der.len }, i);
        buf_free(&der);
    }
    return trusted;
}

/* What a record names: certificates of the chain that it matches, or else what it holds itself, if that issued
 * something here: of several with one name GnuTLS might take another. The peer's own is an issuer only where it issued
 * itself. */
static bool trust_record(struct chain *c, const struct gnutls_api *api, const struct dns_record *r)
{
    bool trusted = false, found = false;
    for (unsigned i = 0; i < c->n; i++) {
        if (!matches(api, r, &c->der[i]))
            continue;
        found = true;
        if (same(&c->der[0], c->der[i].data, c->der[i].size) && !is_self_issued(&c->der[0]))
            continue;
        c->trusted[i] = c->trusted[i] || trust(c, api, &c->der[i], NO_MATTER);
        trusted |= c->trusted[i];
    }
    if (found || r->matching != MATCHING_EXACT)
        return trusted;
    const gnutls_datum_t whole = { (unsigned char *)r->association.data, (unsigned)r->association.len };
    return r->selector == SELECTOR_KEY ? trust_key(c, api, &r->association) : trust(c, api, &whole, ANY_OF_THEM);
}

static bool trust_records(struct chain *c, const struct gnutls_api *api, const struct dns_answer *tlsa)
{
    unsigned looked_at = 0;
    bool trusted = false;
    for (size_t i = 0; i < tlsa->n && looked_at < ANCHORS_MAX; i++)
        if (tlsa->v[i].usage == USAGE_TA && counts(tlsa, &tlsa->v[i])) {
            looked_at++;
            trusted |= trust_record(c, api, &tlsa->v[i]);
        }
    return trusted;
}

/* --- the verdict -------------------------------------------------------------------------------------------------- */

static bool has_digest_of_issuer(const struct dns_answer *tlsa)
{
    for (size_t i = 0; i < tlsa->n; i++)
        if (tlsa->v[i].usage == USAGE_TA && tlsa->v[i].matching != MATCHING_EXACT && counts(tlsa, &tlsa->v[i]))
            return true;
    return false;
}

bool tls_dane_hint(const struct tls *t, const char *mistake, struct err *e)
{
    const struct dns_answer *tlsa = t->params->tlsa;
    unsigned n = 0;
    unsigned char digest[DIGEST_MAX];
    const gnutls_datum_t *leaf = t->api->gnutls_certificate_get_peers(t->session, &n);
    struct parts parts;
    if (!leaf || n == 0 || !certificate_parts(leaf, &parts) ||
        t->api->gnutls_hash_fast(GNUTLS_DIG_SHA256, parts.key.data, parts.key.size, digest) < 0)
        return false;
    struct buf hex = BUF_INIT;
    hex_encode(&hex, digest, matchings[MATCHING_SHA256].size, "");
    err_hint(e, "the administrator of '%s' must %spublish '3 1 1 %s' at '%s'%s%s", t->params->host,
             mistake ? mistake : "", hex.data, tlsa->name ? tlsa->name : "",
             has_digest_of_issuer(tlsa) && !mistake ? " or, for usage 2, have the server send its issuers' certificates"
                                                    : "",
             mistake ? "" : "; or somebody is in between");
    buf_free(&hex);
    return false;
}

static bool nothing_matches(struct tls *t, size_t usable)
{
    const size_t n = t->params->tlsa->n;
    strlist_add(&t->facts.problems, "wrong-tlsa");
    if (usable == 0)
        err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' cannot be checked: no TLSA record is usable",
                t->params->host);
    else if (n == 1)
        err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' does not match its TLSA record", t->params->host);
    else
        err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' matches none of its %zu TLSA records",
                t->params->host, n);
    return tls_dane_hint(t, NULL, &t->why);
}

/* GnuTLS finds a trusted certificate in the middle of a chain only where what is trusted is left out of it. */
static bool verify_issuers(struct tls *t, const struct chain *c)
{
    gnutls_x509_crt_t crt[CHAIN_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < c->n; i++)
        if (i == 0 || !c->trusted[i])
            crt[n++] = c->crt[i];
    return tls_verify_chain(t, &(struct tls_chain){ c->trust, crt, n }, "dane");
}

bool tls_dane_verify(struct tls *t, const gnutls_datum_t *certificates, unsigned n)
{
    const struct dns_answer *tlsa = t->params->tlsa;
    struct chain c;
    size_t usable = 0;
    for (size_t i = 0; i < tlsa->n; i++) {
        if (!counts(tlsa, &tlsa->v[i]))
            continue;
        usable++;
        if (tlsa->v[i].usage == USAGE_EE && matches(t->api, &tlsa->v[i], &certificates[0])) {
            t->facts.verified = true;
            t->facts.how = "dane";
            return true;
        }
    }
    if (!chain_open(&c, t->api, certificates, n))
        return err_set(&t->why, FAULT_SYSTEM, "cannot prepare TLS");
    bool ok = trust_records(&c, t->api, tlsa) ? verify_issuers(t, &c) : nothing_matches(t, usable);
    chain_close(&c, t->api);
    return ok;
}
