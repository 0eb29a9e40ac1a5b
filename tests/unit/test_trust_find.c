/* What is found in a store for a chain gives the verdict of the whole store: over a matrix of stores and chains, and
 * over random ones of the same certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "net/trust_find.h"

enum { DAY = 86400 };

enum who {
    ROOT, ROOT_AGAIN /* the same name, another key */, ROOT_CROSSED /* the same name and key, by OTHER */, OTHER,
    OLD_ROOT /* expired */, NARROW /* only for .good.example */, BETWEEN /* by ROOT */, BELOW /* by BETWEEN */,
    BETWEEN_CROSSED /* BETWEEN's key and name, by OTHER */,
    LEAF /* by BELOW */, DIRECT /* by ROOT */, OLD_LEAF /* by OLD_ROOT */, NARROW_GOOD, NARROW_BAD /* by NARROW */,
    SELF, BY_AGAIN /* by ROOT_AGAIN */, CERTS
};

static const struct recipe {
    const char *cn, *dns, *within;
    int until;       /* days from now */
    bool ca;
    int issuer;      /* -1: itself */
    int key;         /* whose key; -1: one of its own */
} recipes[CERTS] = {
    [ROOT] = { "Root", NULL, NULL, 30, true, -1, -1 },
    [ROOT_AGAIN] = { "Root", NULL, NULL, 30, true, -1, -1 },
    [OTHER] = { "Other", NULL, NULL, 30, true, -1, -1 },
    [ROOT_CROSSED] = { "Root", NULL, NULL, 30, true, OTHER, ROOT },
    [OLD_ROOT] = { "Old", NULL, NULL, -1, true, -1, -1 },
    [NARROW] = { "Narrow", NULL, ".good.example", 30, true, -1, -1 },
    [BETWEEN] = { "Between", NULL, NULL, 30, true, ROOT, -1 },
    [BETWEEN_CROSSED] = { "Between", NULL, NULL, 30, true, OTHER, BETWEEN },
    [BELOW] = { "Below", NULL, NULL, 30, true, BETWEEN, -1 },
    [LEAF] = { "leaf", "mx.example", NULL, 30, false, BELOW, -1 },
    [DIRECT] = { "direct", "mx.example", NULL, 30, false, ROOT, -1 },
    [OLD_LEAF] = { "old leaf", "mx.example", NULL, 30, false, OLD_ROOT, -1 },
    [NARROW_GOOD] = { "good", "mx.good.example", NULL, 30, false, NARROW, -1 },
    [NARROW_BAD] = { "bad", "mx.example", NULL, 30, false, NARROW, -1 },
    [SELF] = { "mx.example", "mx.example", NULL, 30, false, -1, -1 },
    [BY_AGAIN] = { "again", "mx.example", NULL, 30, false, ROOT_AGAIN, -1 },
};

static struct made {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
    gnutls_datum_t der, pem;
} made[CERTS];

static void make(enum who who)
{
    struct made *m = &made[who];
    const struct recipe *r = &recipes[who];
    const struct made *issuer = r->issuer < 0 ? m : &made[r->issuer];
    unsigned char serial = (unsigned char)(who + 1);
    gnutls_x509_privkey_init(&m->key);
    if (r->key >= 0)
        gnutls_x509_privkey_cpy(m->key, made[r->key].key);
    else
        gnutls_x509_privkey_generate(m->key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    gnutls_x509_crt_init(&m->crt);
    gnutls_x509_crt_set_version(m->crt, 3);
    gnutls_x509_crt_set_serial(m->crt, &serial, 1);
    gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, r->cn, (unsigned)strlen(r->cn));
    if (r->dns)
        gnutls_x509_crt_set_subject_alt_name(m->crt, GNUTLS_SAN_DNSNAME, r->dns, (unsigned)strlen(r->dns), 0);
    gnutls_x509_crt_set_activation_time(m->crt, time(NULL) - 10 * DAY);
    gnutls_x509_crt_set_expiration_time(m->crt, time(NULL) + r->until * DAY);
    gnutls_x509_crt_set_key(m->crt, m->key);
    if (r->ca) {
        gnutls_x509_crt_set_basic_constraints(m->crt, 1, -1);
        gnutls_x509_crt_set_key_usage(m->crt, GNUTLS_KEY_KEY_CERT_SIGN);
    }
    if (r->within) {
        gnutls_x509_name_constraints_t nc;
        gnutls_datum_t name = { (unsigned char *)r->within, (unsigned)strlen(r->within) };
        gnutls_x509_name_constraints_init(&nc);
        gnutls_x509_name_constraints_add_permitted(nc, GNUTLS_SAN_DNSNAME, &name);
        gnutls_x509_crt_set_name_constraints(m->crt, nc, 1);
        gnutls_x509_name_constraints_deinit(nc);
    }
    assert_int_equal(gnutls_x509_crt_sign2(m->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), 0);
    gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_DER, &m->der);
    gnutls_x509_crt_export2(m->crt, GNUTLS_X509_FMT_PEM, &m->pem);
}

static int make_all(void **state)
{
    static const enum who order[] = { ROOT, ROOT_AGAIN, OTHER, OLD_ROOT, NARROW, ROOT_CROSSED, BETWEEN, BETWEEN_CROSSED,
                                      BELOW, LEAF, DIRECT, OLD_LEAF, NARROW_GOOD, NARROW_BAD, SELF, BY_AGAIN };
    (void)state;
    for (size_t i = 0; i < CERTS; i++)
        make(order[i]);
    return 0;
}

static int unmake_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < CERTS; i++) {
        gnutls_x509_crt_deinit(made[i].crt);
        gnutls_x509_privkey_deinit(made[i].key);
        gnutls_free(made[i].der.data);
        gnutls_free(made[i].pem.data);
    }
    return 0;
}

/* GnuTLS's word on a chain by the certificates of a PEM text. */
static unsigned verdict(const struct buf *pem, const int *chain, size_t n, const char *host)
{
    gnutls_x509_trust_list_t list;
    gnutls_x509_crt_t crts[8];
    gnutls_datum_t text = { (unsigned char *)pem->data, (unsigned)pem->len };
    gnutls_typed_vdata_st wanted[] = {
        { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)host },
        { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER },
    };
    unsigned status = ~0u;
    gnutls_x509_trust_list_init(&list, 0);
    if (pem->len > 0)
        gnutls_x509_trust_list_add_trust_mem(list, &text, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    for (size_t i = 0; i < n; i++) {
        gnutls_x509_crt_init(&crts[i]);
        gnutls_x509_crt_import(crts[i], &made[chain[i]].der, GNUTLS_X509_FMT_DER);
    }
    assert_int_equal(gnutls_x509_trust_list_verify_crt2(list, crts, (unsigned)n, wanted, 2, 0, &status, NULL), 0);
    for (size_t i = 0; i < n; i++)
        gnutls_x509_crt_deinit(crts[i]);
    gnutls_x509_trust_list_deinit(list, 1);
    return status;
}

static void store_of(const int *certs, size_t n, struct buf *pem)
{
    buf_adds(pem, "# some words\n");
    for (size_t i = 0; i < n; i++)
        buf_add(pem, made[certs[i]].pem.data, made[certs[i]].pem.size);
}

static size_t find(const struct buf *store, const int *chain, size_t n, struct buf *found)
{
    struct der names[16];
    for (size_t i = 0; i < n; i++)
        assert_true(trust_names(made[chain[i]].der.data, made[chain[i]].der.size, &names[2 * i], &names[2 * i + 1]));
    return trust_find(store->data, store->len, names, 2 * n, found);
}

/* Lists end with -1. */
static const struct {
    const char *title;
    int store[8], chain[8];
    const char *host;
    bool good;
    size_t found;
} cases[] = {
    { "one intermediate", { ROOT, OTHER, -1 }, { LEAF, BELOW, BETWEEN, -1 }, "mx.example", true, 1 },
    { "the root in the chain", { ROOT, OTHER, -1 }, { DIRECT, ROOT, -1 }, "mx.example", true, 1 },
    { "missing intermediate", { ROOT, OTHER, -1 }, { LEAF, BELOW, -1 }, "mx.example", false, 0 },
    { "intermediate in the store", { ROOT, BETWEEN, -1 }, { LEAF, BELOW, -1 }, "mx.example", true, 1 },
    { "wrong order", { ROOT, OTHER, -1 }, { LEAF, BETWEEN, BELOW, -1 }, "mx.example", true, 1 },
    { "cross-signed root, the other trusted", { OTHER, -1 }, { DIRECT, ROOT_CROSSED, -1 }, "mx.example", true, 1 },
    { "cross-signed root, both trusted", { OTHER, ROOT, -1 }, { DIRECT, ROOT_CROSSED, -1 }, "mx.example", true, 2 },
    { "cross-signed intermediate", { OTHER, -1 }, { LEAF, BELOW, BETWEEN_CROSSED, -1 }, "mx.example", true, 1 },
    { "both intermediates", { ROOT, -1 }, { LEAF, BELOW, BETWEEN, BETWEEN_CROSSED, -1 }, "mx.example", true, 1 },
    { "two roots of one name", { ROOT_AGAIN, ROOT, OTHER, -1 }, { DIRECT, -1 }, "mx.example", true, 2 },
    { "two roots of one name, the other way", { ROOT, ROOT_AGAIN, -1 }, { BY_AGAIN, -1 }, "mx.example", true, 2 },
    { "only the wrong root of that name", { ROOT_AGAIN, OTHER, -1 }, { DIRECT, -1 }, "mx.example", false, 1 },
    { "expired root", { OLD_ROOT, ROOT, -1 }, { OLD_LEAF, -1 }, "mx.example", false, 1 },
    { "within name constraints", { NARROW, ROOT, -1 }, { NARROW_GOOD, -1 }, "mx.good.example", true, 1 },
    { "beyond name constraints", { NARROW, ROOT, -1 }, { NARROW_BAD, -1 }, "mx.example", false, 1 },
    { "wrong name", { ROOT, -1 }, { DIRECT, -1 }, "other.example", false, 1 },
    { "trusted itself", { SELF, ROOT, -1 }, { SELF, -1 }, "mx.example", true, 1 },
    { "unknown issuer", { OTHER, -1 }, { DIRECT, -1 }, "mx.example", false, 0 },
    { "empty store", { -1 }, { DIRECT, -1 }, "mx.example", false, 0 },
};

static size_t count(const int *list)
{
    size_t n = 0;
    while (list[n] >= 0)
        n++;
    return n;
}

static void test_matrix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf store = BUF_INIT, found = BUF_INIT;
        size_t n = count(cases[i].chain);
        store_of(cases[i].store, count(cases[i].store), &store);
        size_t some = find(&store, cases[i].chain, n, &found);
        bool whole = verdict(&store, cases[i].chain, n, cases[i].host) == 0;
        bool part = verdict(&found, cases[i].chain, n, cases[i].host) == 0;
        if (whole != cases[i].good || part != cases[i].good || some != cases[i].found)
            fail_msg("%s: whole %d, part %d of %zu", cases[i].title, whole, part, some);
        buf_free(&store);
        buf_free(&found);
    }
}

static void test_random(void **state)
{
    enum { RUNS = 600 };
    size_t good = 0;
    (void)state;
    srand(7);
    for (int run = 0; run < RUNS; run++) {
        struct buf store = BUF_INIT, found = BUF_INIT;
        int in_store[6], chain[4];
        size_t stored = (size_t)rand() % 6 + 1, n = (size_t)rand() % 4 + 1;
        for (size_t i = 0; i < stored; i++)
            in_store[i] = rand() % CERTS;
        for (size_t i = 0; i < n; i++)
            chain[i] = i == 0 ? LEAF + rand() % (CERTS - LEAF) : rand() % LEAF;
        store_of(in_store, stored, &store);
        find(&store, chain, n, &found);
        bool whole = verdict(&store, chain, n, "mx.example") == 0, part = verdict(&found, chain, n, "mx.example") == 0;
        if (whole != part)
            fail_msg("run %d: whole %d, part %d", run, whole, part);
        good += whole;
        buf_free(&store);
        buf_free(&found);
    }
    assert_in_range(good, RUNS / 20, RUNS - RUNS / 20);
}

static void test_what_is_no_certificate(void **state)
{
    static const char *const texts[] = {
        "", "-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nMIID////////\n-----END CERTIFICATE-----\n",
    };
    const struct der name = { (const unsigned char *)"", 0 };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf out = BUF_INIT;
        assert_int_equal(trust_find(texts[i], strlen(texts[i]), &name, 1, &out), 0);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
    struct der issuer, subject;
    struct der_certificate whole, begun;
    assert_true(der_certificate(made[LEAF].der.data, made[LEAF].der.size, &whole) && whole.key.p);
    for (unsigned n = 0; n < made[LEAF].der.size; n++) /* every beginning: found whole or not at all */
        if (trust_names(made[LEAF].der.data, n, &issuer, &subject))
            assert_true(subject.p + subject.n < made[LEAF].der.data + n);
    for (unsigned n = 0; n < made[LEAF].der.size; n++) {
        bool key = der_certificate(made[LEAF].der.data, n, &begun) && begun.key.p;
        assert_true(key == (whole.key.p + whole.key.n <= made[LEAF].der.data + n));
        assert_true(!key || (begun.key.p == whole.key.p && begun.key.n == whole.key.n));
        assert_true(begun.subject.n == 0 || begun.subject.n == whole.subject.n);
    }
}

/* However the lines are broken. */
static void test_lines(void **state)
{
    static const struct { size_t width; const char *end; } rows[] = {
        { 64, "\r\n" }, { 76, "\n" }, { 65, "\n" }, { 1, "\n" }, { 64, "\n\n" }, { 4096, "\n" },
    };
    struct der issuer, subject;
    (void)state;
    assert_true(trust_names(made[ROOT].der.data, made[ROOT].der.size, &issuer, &subject));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf store = BUF_INIT, digits = BUF_INIT, found = BUF_INIT;
        base64_encode(&digits, made[ROOT].der.data, made[ROOT].der.size);
        buf_printf(&store, "-----BEGIN CERTIFICATE-----%s", rows[i].end);
        for (size_t at = 0, n; at < digits.len; at += n) {
            n = rows[i].width < digits.len - at ? rows[i].width : digits.len - at;
            buf_add(&store, digits.data + at, n);
            buf_adds(&store, rows[i].end);
        }
        buf_adds(&store, "-----END CERTIFICATE-----\n");
        if (trust_find(store.data, store.len, &subject, 1, &found) != 1 || found.len != store.len)
            fail_msg("lines of %zu digits", rows[i].width);
        buf_free(&store);
        buf_free(&digits);
        buf_free(&found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_what_is_no_certificate),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, make_all, unmake_all);
}
