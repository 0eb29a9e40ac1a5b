/* tls_verify: is the peer the one we want? Called by GnuTLS as soon as the certificate is there, before our own part of
 * the handshake goes out. Why it is not is said with the names and dates of the certificate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "net/tls_session.h"

/* --- fingerprints ----------------------------------------------------------------------------------------------- */

#define SPKI_PREFIX "sha256-spki:"

/* The length of a fingerprint tells its digest. */
static const struct {
    size_t size;
    gnutls_digest_algorithm_t digest;
} digests[] = { { 32, GNUTLS_DIG_SHA256 }, { 20, GNUTLS_DIG_SHA1 }, { 16, GNUTLS_DIG_MD5 } };

static bool fingerprint_parse(const char *text, bool *spki, gnutls_digest_algorithm_t *digest, struct buf *octets)
{
    *spki = ascii_istarts(text, SPKI_PREFIX);
    const char *hex = *spki ? text + strlen(SPKI_PREFIX) : text;
    if (!hex_decode(octets, hex, strlen(hex)))
        return false;
    for (size_t i = 0; i < (*spki ? 1 : sizeof digests / sizeof *digests); i++)
        if (octets->len == digests[i].size) {
            *digest = digests[i].digest;
            return true;
        }
    return false;
}

bool tls_fingerprint_check(const char *fingerprint, struct err *e)
{
    struct buf octets = BUF_INIT;
    bool spki;
    gnutls_digest_algorithm_t digest;
    bool ok = fingerprint_parse(fingerprint, &spki, &digest, &octets);
    buf_free(&octets);
    if (ok)
        return true;
    err_set(e, FAULT_CONFIG, "'%s' is not a fingerprint", fingerprint);
    return err_hint(e, "'tls_fingerprint' takes the SHA-256 of the certificate as 64 hex digits, with or without "
                       "colons, or 'sha256-spki:' and that of the public key");
}

static bool fingerprint_matches(struct tls *t, const char *text, const gnutls_datum_t *leaf)
{
    struct buf wanted = BUF_INIT, got = BUF_INIT;
    bool spki, same = false;
    gnutls_digest_algorithm_t digest;
    if (fingerprint_parse(text, &spki, &digest, &wanted)) {
        if (spki)
            tls_facts_chain(t);
        if (spki && t->facts.chain[0].spki_sha256) {
            hex_decode(&got, t->facts.chain[0].spki_sha256, strlen(t->facts.chain[0].spki_sha256));
        } else if (!spki) {
            size_t n = 64;
            buf_reserve(&got, n);
            if (t->api->gnutls_fingerprint(digest, leaf, got.data, &n) >= 0)
                got.len = n;
        }
        same = got.len == wanted.len && memcmp(got.data, wanted.data, got.len) == 0;
    }
    buf_free(&wanted);
    buf_free(&got);
    return same;
}

static bool by_fingerprint(struct tls *t, const gnutls_datum_t *leaf)
{
    const struct strlist *l = t->params->fingerprints;
    for (size_t i = 0; i < l->n; i++)
        if (fingerprint_matches(t, l->v[i], leaf)) {
            t->facts.verified = true;
            t->facts.how = "fingerprint";
            return true;
        }
    tls_facts_chain(t);
    strlist_add(&t->facts.problems, "wrong-fingerprint");
    err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' does not have the expected fingerprint",
            t->params->host);
    return err_hint(&t->why, "it may have been renewed, or somebody is in between; once you are sure of it: "
                             "'tls_fingerprint %s'", t->facts.chain[0].sha256);
}

/* --- trust: the sentences ---------------------------------------------------------------------------------------- */

static const char *date(long long seconds, char text[16])
{
    time_t time = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&time, &tm) || strftime(text, 16, "%Y-%m-%d", &tm) == 0)
        snprintf(text, 16, "an unknown day");
    return text;
}

/* The certificate of the chain that a fault of time concerns. NULL: none, so it is a trusted one. */
static const struct tls_certificate *culprit(const struct tls_facts *f,
                                             bool (*concerned)(const struct tls_certificate *, long long))
{
    long long now = time(NULL);
    for (size_t i = 0; i < f->n; i++)
        if (concerned(&f->chain[i], now))
            return &f->chain[i];
    return NULL;
}

static bool is_expired(const struct tls_certificate *c, long long now)
{
    return c->not_after < now;
}

static bool is_too_young(const struct tls_certificate *c, long long now)
{
    return c->not_before > now;
}

/* Names the certificate when it is not the peer's own. */
static void add_owner(const struct tls_facts *f, const struct tls_certificate *c, struct buf *out)
{
    if (!c)
        buf_adds(out, "has a trusted issuer whose certificate ");
    else if (c != &f->chain[0])
        buf_printf(out, "has an issuer, '%s', whose certificate ", c->subject);
}

static void say_expired(const struct tls *t, struct buf *out)
{
    char day[16];
    const struct tls_certificate *c = culprit(&t->facts, is_expired);
    add_owner(&t->facts, c, out);
    if (c)
        buf_printf(out, "expired on %s", date(c->not_after, day));
    else
        buf_adds(out, "expired");
}

static void say_not_yet(const struct tls *t, struct buf *out)
{
    char day[16];
    const struct tls_certificate *c = culprit(&t->facts, is_too_young);
    add_owner(&t->facts, c, out);
    if (c)
        buf_printf(out, "is valid from %s only", date(c->not_before, day));
    else
        buf_adds(out, "is not valid yet");
}

static void say_issuer(const struct tls *t, struct buf *out)
{
    const struct tls_certificate *last = &t->facts.chain[t->facts.n - 1];
    const char *file = t->params->trust_file;
    bool system = !file || ascii_ieq(file, "system");
    if (t->params->tlsa)
        buf_adds(out, "was not issued by the certificate that its TLSA records name");
    else if (t->facts.n == 1 && strcmp(last->subject, last->issuer) == 0)
        buf_adds(out, "is self-signed");
    else
        buf_printf(out, "was issued by '%s', which is not among the trusted certificates of %s%s%s", last->issuer,
                   system ? "the system" : "'", system ? "" : file, system ? "" : "'");
}

static void say_name(const struct tls *t, struct buf *out)
{
    enum { SHOWN = 5 };
    const struct strlist *names = &t->facts.chain[0].names, *others = t->params->names;
    buf_adds(out, names->n > 0 ? "is for " : "names no host, ");
    for (size_t i = 0; i < names->n && i < SHOWN; i++)
        buf_printf(out, "%s, ", names->v[i]);
    if (names->n > SHOWN)
        buf_printf(out, "and %zu more, ", names->n - SHOWN);
    buf_printf(out, "not for '%s'", t->params->host);
    for (size_t i = 0; others && i < others->n; i++)
        buf_printf(out, " or '%s'", others->v[i]);
}

static void say_revoked(const struct tls *t, struct buf *out)
{
    (void)t;
    buf_adds(out, "was revoked by its issuer");
}

static void say_weak(const struct tls *t, struct buf *out)
{
    (void)t;
    buf_adds(out, "is signed with an algorithm that is no longer safe");
}

static void say_signature(const struct tls *t, struct buf *out)
{
    (void)t;
    buf_adds(out, "has a signature that is wrong");
}

static void say_purpose(const struct tls *t, struct buf *out)
{
    (void)t;
    buf_adds(out, "is not meant for servers");
}

static void say_not_ca(const struct tls *t, struct buf *out)
{
    buf_printf(out, "was issued by '%s', which may not issue certificates", t->facts.chain[0].issuer);
}

static void say_old_crl(const struct tls *t, struct buf *out)
{
    buf_printf(out, "cannot be checked against the revocation list '%s', which is out of date",
               t->params->crl_file ? t->params->crl_file : "");
}

enum hint_kind { HINT_NONE, HINT_RENEW, HINT_CLOCK, HINT_TRUST, HINT_NAME, HINT_CRL };

/* Worst first: the hint is that of the first that holds. */
static const struct {
    unsigned status;
    const char *word;
    void (*say)(const struct tls *t, struct buf *out);
    enum hint_kind hint;
} reasons[] = {
    { GNUTLS_CERT_REVOKED, "revoked", say_revoked, HINT_NONE },
    { GNUTLS_CERT_SIGNATURE_FAILURE, "bad-signature", say_signature, HINT_NONE },
    { GNUTLS_CERT_SIGNER_NOT_FOUND, "untrusted-issuer", say_issuer, HINT_TRUST },
    { GNUTLS_CERT_SIGNER_NOT_CA, "untrusted-issuer", say_not_ca, HINT_TRUST },
    { GNUTLS_CERT_INSECURE_ALGORITHM, "weak", say_weak, HINT_TRUST },
    { GNUTLS_CERT_EXPIRED, "expired", say_expired, HINT_RENEW },
    { GNUTLS_CERT_NOT_ACTIVATED, "not-yet-valid", say_not_yet, HINT_CLOCK },
    { GNUTLS_CERT_UNEXPECTED_OWNER, "wrong-name", say_name, HINT_NAME },
    { GNUTLS_CERT_PURPOSE_MISMATCH, "wrong-purpose", say_purpose, HINT_NONE },
    { GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED, "old-crl", say_old_crl, HINT_CRL },
    { GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE, "old-crl", say_old_crl, HINT_CRL },
};

static void give_hint(const struct tls *t, enum hint_kind kind, struct err *e)
{
    char day[16];
    const struct tls_certificate *c = &t->facts.chain[0];
    switch (kind) {
    case HINT_NONE:
        break;
    case HINT_RENEW:
        err_hint(e, "this machine's clock says %s; if that is right, the server's administrator must renew the "
                    "certificate",
                 date(time(NULL), day));
        break;
    case HINT_CLOCK:
        err_hint(e, "is this machine's clock right? it says %s", date(time(NULL), day));
        break;
    case HINT_TRUST:
        if (t->params->tlsa) {
            tls_dane_hint(t, NULL, e);
            break;
        }
        if (t->params->exchanger) {
            err_hint(e, "give its issuer's certificate with 'tls_trust_file FILE', or tell the server's postmaster");
            break;
        }
        err_hint(e, "give its issuer's certificate with 'tls_trust_file FILE', or, once you are sure of it, trust "
                    "just this one with 'tls_fingerprint %s'", c->sha256);
        break;
    case HINT_NAME:
        if (t->params->tlsa)
            tls_dane_hint(t, "get a certificate for that name, or ", e);
        else if (t->params->exchanger)
            err_hint(e, "its certificate is for '%s': tell the server's postmaster",
                     c->names.n > 0 ? c->names.v[0] : "nobody");
        else if (c->names.n > 0)
            err_hint(e, "if that is the right server, set 'host' or 'tls_host_override' to '%s'", c->names.v[0]);
        break;
    case HINT_CRL:
        err_hint(e, "fetch a new one, or leave out 'tls_crl_file'");
        break;
    }
}

static bool not_trusted(struct tls *t, unsigned status)
{
    struct buf text = BUF_INIT;
    enum hint_kind hint = HINT_NONE;
    tls_facts_chain(t);
    if (t->params->tlsa && (status & GNUTLS_CERT_SIGNER_NOT_FOUND))
        strlist_add(&t->facts.problems, "wrong-tlsa");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (!(status & reasons[i].status))
            continue;
        buf_adds(&text, text.len > 0 ? ", and it " : "");
        strlist_add(&t->facts.problems, reasons[i].word);
        hint = hint == HINT_NONE ? reasons[i].hint : hint;
        reasons[i].say(t, &text);
    }
    if (text.len == 0)
        buf_adds(&text, "is not acceptable");
    err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' %s", t->params->host, text.data);
    give_hint(t, hint, &t->why);
    buf_free(&text);
    return false;
}

/* --- the callback ------------------------------------------------------------------------------------------------ */

/* What GnuTLS finds wrong with the chain, for this name. NULL: for any. */
static int chain_status(const struct tls *t, const struct tls_chain *c, const char *name, unsigned *status)
{
    unsigned char address[IP_MAX];
    const unsigned size = name ? (unsigned)ip_decode(address, name) : 0;
    gnutls_typed_vdata_st wanted[] = {
        { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)name, .size = 0 },
        { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER, .size = 0 },
    };
    if (size > 0)
        wanted[0] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_IP_ADDRESS, .data = address, .size = size };
    unsigned first = name ? 0 : 1;
    const unsigned strength = GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_LOW); /* as NORMAL has it */
    if (c)
        return t->api->gnutls_x509_trust_list_verify_crt2(c->trust, c->v, c->n, wanted + first, 2 - first, strength,
                                                          status, NULL);
    return t->api->gnutls_certificate_verify_peers(t->session, wanted + first, 2 - first, status);
}

static int names_status(const struct tls *t, const struct tls_chain *c, unsigned *status)
{
    const struct tls_params *p = t->params;
    int rc = chain_status(t, c, p->any_name && !p->tlsa ? NULL : p->host, status);
    for (size_t i = 0; rc >= 0 && p->names && i < p->names->n && (*status & GNUTLS_CERT_UNEXPECTED_OWNER); i++)
        rc = chain_status(t, c, p->names->v[i], status);
    return rc;
}

/* By what the account trusts. A good verdict by some of it is one by all; of a bad one only all of it can tell why. */
static int trust_status(struct tls *t, unsigned *status, struct err *e)
{
    int rc = tls_trust_narrow(t) ? names_status(t, NULL, status) : GNUTLS_E_AGAIN;
    t->whole_trust = rc < 0 || *status != 0;
    if (t->whole_trust)
        rc = tls_trust_load(t->api, t->credentials, t->params, e) ? names_status(t, NULL, status) : GNUTLS_E_FILE_ERROR;
    return rc;
}

bool tls_verify_chain(struct tls *t, const struct tls_chain *c, const char *how)
{
    const struct tls_params *p = t->params;
    const bool only_names = p->any_issuer && !p->tlsa;
    unsigned status = 0;
    int rc = c || only_names ? names_status(t, c, &status) : trust_status(t, &status, &t->why);
    if (rc < 0)
        return err_set(&t->why, FAULT_CERTIFICATE, "the certificate of '%s' cannot be checked: %s", p->host,
                       t->api->gnutls_strerror(rc));
    if (only_names)
        status &= GNUTLS_CERT_UNEXPECTED_OWNER;
    if (status != 0)
        return not_trusted(t, status);
    t->facts.verified = true;
    t->facts.how = how;
    return true;
}

static bool accept_peer(struct tls *t)
{
    const struct tls_params *p = t->params;
    unsigned n = 0;
    const gnutls_datum_t *chain = t->api->gnutls_certificate_get_peers(t->session, &n);
    if (!chain || n == 0) {
        strlist_add(&t->facts.problems, "no-certificate");
        return err_set(&t->why, FAULT_CERTIFICATE, "the server '%s' shows no certificate", p->host);
    }
    if (p->describe)
        tls_facts_chain(t);
    if (p->fingerprints && p->fingerprints->n > 0)
        return by_fingerprint(t, chain);
    if (p->tlsa)
        return tls_dane_verify(t, chain, n);
    if (!p->verify || (p->any_name && p->any_issuer))
        return true;
    return tls_verify_chain(t, NULL, p->any_name ? "issuer" : p->any_issuer ? "name" : "trust");
}

int tls_verify(gnutls_session_t session)
{
    struct err ignored = ERR_INIT;
    struct stream *s = gnutls_door(&ignored) /* open already */ ->gnutls_session_get_ptr(session);
    struct tls *t = s->tls;
    t->asked = true;
    if (accept_peer(t))
        return 0;
    if (!t->params->tolerate)
        return -1;
    t->facts.problem = xstrdup(t->why.text);
    err_clear(&t->why);
    return 0;
}
