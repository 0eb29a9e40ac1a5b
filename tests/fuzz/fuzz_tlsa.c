/* fuzz_tlsa: any TLSA records against one chain, mx.example from an intermediate, without its root. Whoever is accepted
 * must be named by a record. The input is records, each behind its length in two octets. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "net/tls_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEAF, INTERMEDIATE, ROOT, CERTIFICATES, SHOWN = ROOT, POINT = 65 };

/* Made once by certtool, valid until 2099. */
static const char *const base64[CERTIFICATES] = {
    "MIIBqzCCAVGgAwIBAgIBAzAKBggqhkjOPQQDAjAXMRUwEwYDVQQDEwxJbnRlcm1lZGlhdGUwIBcNMjAwMTAxMDAwMDAwWhgPMjA5"
    "OTAxMDEwMDAwMDBaMBUxEzARBgNVBAMTCm14LmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATJ1I3CszU83XkHBhOg"
    "5ijg80J01Fp06XSUksGsSRQwFaDQxu2IcnJLytLTQTGS6TEBOAXr+vf/NfTB1I9ScuMGo4GNMIGKMAwGA1UdEwEB/wQCMAAwFQYD"
    "VR0RBA4wDIIKbXguZXhhbXBsZTATBgNVHSUEDDAKBggrBgEFBQcDATAOBgNVHQ8BAf8EBAMCB4AwHQYDVR0OBBYEFMxlONCD0Sv8"
    "el5H9SwHhQP0SIvrMB8GA1UdIwQYMBaAFMSFO+zpwRbxOByS4PeK/Gs7uDO9MAoGCCqGSM49BAMCA0gAMEUCID901R1D5vEpCqwS"
    "T1vUilkQNRd+Pw/22H/vrOiz0NHyAiEAnBAipLjtdZPmzBCSsNCdJRTRiBRKq0SdB8so5VYvKCE=",
    "MIIBejCCASCgAwIBAgIBAjAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDEwRSb290MCAXDTIwMDEwMTAwMDAwMFoYDzIxMDAwMTAxMDAw"
    "MDAwWjAXMRUwEwYDVQQDEwxJbnRlcm1lZGlhdGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATrmYSwe0kHlBGwtGckl5Qb97R/"
    "zGo3/lrlVzvHTeKpy3zKb9Ojw0dCU/Zae7/GSk6DALRN3El1ULCnTeVDMGsTo2MwYTAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB"
    "/wQEAwICBDAdBgNVHQ4EFgQUxIU77OnBFvE4HJLg94r8azu4M70wHwYDVR0jBBgwFoAUdLPDtdqDgQdj/DYaQbdKWGWEAzswCgYI"
    "KoZIzj0EAwIDSAAwRQIgAUbyIehBs1i34BrAnpbYx2hP7BlMRVyviqaB7NGqvyECIQDMVhJQI76yJTjYMPrAfvpb9nwL2DReexei"
    "ADsscx7dPQ==",
    "MIIBUTCB96ADAgECAgEBMAoGCCqGSM49BAMCMA8xDTALBgNVBAMTBFJvb3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEwMDAxMDEwMDAw"
    "MDBaMA8xDTALBgNVBAMTBFJvb3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR/p56RVZu10F4EHbjmz3f3glir5JfwtsOPtgos"
    "9s1HmSX4ppbx7zyUWGbNdGNUijX3WaOLSQdHljBEsugHUccio0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQEAwICBDAd"
    "BgNVHQ4EFgQUdLPDtdqDgQdj/DYaQbdKWGWEAzswCgYIKoZIzj0EAwIDSQAwRgIhAJUU8jmP2VE30lW4pHThB5AT+JtqpAjdd8OY"
    "ZNrTiy+rAiEAy5d+s1Bd8Dz/vcdrl6M+1cvkwzd5X5kdff6jm28ehAU=",
};

static struct buf der[CERTIFICATES];
static gnutls_datum_t chain[CERTIFICATES];
static struct tls_certificate facts[SHOWN];

static const gnutls_datum_t *peers(gnutls_session_t session, unsigned *n)
{
    (void)session;
    *n = SHOWN;
    return chain;
}

static const struct gnutls_api *prepare(void)
{
    static struct gnutls_api api;
    struct err e = ERR_INIT;
    if (der[0].len > 0)
        return &api;
    const struct gnutls_api *door = gnutls_door(&e);
    if (!door)
        abort();
    api = *door;
    api.gnutls_certificate_get_peers = peers;
    for (int i = 0; i < CERTIFICATES; i++) {
        if (!base64_decode(&der[i], base64[i], strlen(base64[i])))
            abort();
        chain[i] = (gnutls_datum_t){ (unsigned char *)der[i].data, (unsigned)der[i].len };
        if (i < SHOWN)
            tls_certificate_read(&api, &chain[i], &facts[i]);
    }
    return &api;
}

/* The point of an ECDSA key, which makes it what it is: an elliptic curve's name, a bit string, uncompressed. */
static const void *point(const struct buf *in)
{
    static const char before[] = "\x2a\x86\x48\xce\x3d\3\1\7\3\x42\0\4";
    const char *at = memmem(in->data, in->len, before, sizeof before - 1);
    return at ? at + sizeof before - 2 : NULL;
}

static bool is_digest(const struct gnutls_api *api, const struct dns_record *r, const struct buf *of)
{
    /* the whole key: 26 octets before its point */
    const struct buf key = { .data = (char *)point(of) - 26, .len = 91 };
    const struct buf *selected = r->selector ? &key : of;
    unsigned char digest[64];
    if (r->matching < 1 || r->matching > 2)
        return false;
    api->gnutls_hash_fast(r->matching == 1 ? GNUTLS_DIG_SHA256 : GNUTLS_DIG_SHA512, selected->data, selected->len, digest);
    return r->association.len == (r->matching == 1 ? 32 : 64) &&
           memcmp(digest, r->association.data, r->association.len) == 0;
}

/* Judged anew, and for what is published in full more kindly: a key is told by its point. */
static bool names_it(const struct gnutls_api *api, const struct dns_record *r)
{
    const int first = r->usage == 3 ? LEAF : INTERMEDIATE, last = r->usage == 3 ? LEAF : ROOT;
    if (r->usage != 2 && r->usage != 3)
        return false;
    for (int i = first; i <= last; i++)
        if (r->matching == 0 ? memmem(r->association.data, r->association.len, point(&der[i]), POINT) != NULL
                             : i < SHOWN && is_digest(api, r, &der[i]))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct gnutls_api *api = prepare();
    struct dns_answer tlsa = { .status = DNS_FOUND, .secure = true };
    while (size >= 2 && tlsa.n < 20) {
        size_t n = (size_t)(data[0] << 8 | data[1]);
        n = n < size - 2 ? n : size - 2;
        dns_answer_add(&tlsa, DNS_TLSA, (const char *)data + 2, n);
        data += 2 + n;
        size -= 2 + n;
    }
    const struct tls_params params = { .host = "mx.example", .verify = true, .tlsa = &tlsa };
    struct tls t = { .api = api, .params = &params, .facts = { .how = "none", .chain = facts, .n = SHOWN } };
    const bool accepted = tls_dane_verify(&t, chain, SHOWN);
    bool named = false;
    for (size_t i = 0; i < tlsa.n; i++)
        named |= tls_tlsa_usable(&tlsa.v[i]) && names_it(api, &tlsa.v[i]);
    if (accepted != t.facts.verified || accepted == err_is_set(&t.why) || (accepted && !named))
        abort();
    strlist_free(&t.facts.problems);
    err_clear(&t.why);
    dns_answer_free(&tlsa);
    return 0;
}
