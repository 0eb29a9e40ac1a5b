/* TLSA records against chains, each row a handshake over a socket pair. The server is GnuTLS's own, so that it can show
 * any certificates in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/stream.h"
#include "net/tls.h"

enum { DAY = 86400, CHAIN_MOST = 12 };

static const char owner[] = "_25._tcp.mx.example";

/* --- certificates --------------------------------------------------------------------------------------------------- */

struct made {
    const char *name, *issuer; /* issuer NULL: itself */
    const char *cn, *dns;
    int from, until;           /* days from now */
    bool ca;
    const char *purpose;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
};

static struct made made[] = {
    { "root", NULL, "Root", NULL, -30, 30, true, NULL, 0, 0 },
    { "twin", NULL, "Root", NULL, -30, 30, true, NULL, 0, 0 }, /* the root's name, another key */
    { "other", NULL, "Other", NULL, -30, 30, true, NULL, 0, 0 },
    { "old-root", NULL, "Old", NULL, -30, -2, true, NULL, 0, 0 },
    { "inter", "root", "Intermediate", NULL, -30, 30, true, NULL, 0, 0 },
    { "old-inter", "root", "Old intermediate", NULL, -30, -2, true, NULL, 0, 0 },
    { "no-ca", "root", "No CA", NULL, -30, 30, false, NULL, 0, 0 },
    { "leaf", "inter", "mx.example", "mx.example", -1, 30, false, GNUTLS_KP_TLS_WWW_SERVER, 0, 0 },
    { "plain", "root", "mx.example", NULL, -1, 30, false, NULL, 0, 0 }, /* no subjectAltName, no purpose */
    { "wild", "root", "wild", "*.wild.example", -1, 30, false, NULL, 0, 0 },
    { "domain", "root", "domain", "next-hop.example", -1, 30, false, NULL, 0, 0 },
    { "elsewhere", "root", "elsewhere", "elsewhere.test", -1, 30, false, NULL, 0, 0 },
    { "expired", "root", "expired", "mx.example", -20, -2, false, NULL, 0, 0 },
    { "future", "root", "future", "mx.example", 2, 30, false, NULL, 0, 0 },
    { "client", "root", "client", "mx.example", -1, 30, false, GNUTLS_KP_TLS_WWW_CLIENT, 0, 0 },
    { "awful", "root", "awful", "elsewhere.test", -20, -2, false, GNUTLS_KP_TLS_WWW_CLIENT, 0, 0 },
    { "by-old-root", "old-root", "by", "mx.example", -1, 30, false, NULL, 0, 0 },
    { "by-old-inter", "old-inter", "by", "mx.example", -1, 30, false, NULL, 0, 0 },
    { "by-no-ca", "no-ca", "by", "mx.example", -1, 30, false, NULL, 0, 0 },
    { "self", NULL, "mx.example", "mx.example", -1, 30, false, NULL, 0, 0 },
    { "self-old", NULL, "mx.example", "mx.example", -20, -2, false, NULL, 0, 0 },
    { "self-else", NULL, "elsewhere", "elsewhere.test", -1, 30, false, NULL, 0, 0 },
    { "d1", "root", "Deep 1", NULL, -1, 30, true, NULL, 0, 0 },
    { "d2", "d1", "Deep 2", NULL, -1, 30, true, NULL, 0, 0 },
    { "d3", "d2", "Deep 3", NULL, -1, 30, true, NULL, 0, 0 },
    { "d4", "d3", "Deep 4", NULL, -1, 30, true, NULL, 0, 0 },
    { "d5", "d4", "Deep 5", NULL, -1, 30, true, NULL, 0, 0 },
    { "d6", "d5", "Deep 6", NULL, -1, 30, true, NULL, 0, 0 },
    { "d7", "d6", "Deep 7", NULL, -1, 30, true, NULL, 0, 0 },
    { "d8", "d7", "Deep 8", NULL, -1, 30, true, NULL, 0, 0 },
    { "deep", "d8", "mx.example", "mx.example", -1, 30, false, NULL, 0, 0 },
};
enum { MADE = sizeof made / sizeof *made };
static const char deep_chain[] = "deep d8 d7 d6 d5 d4 d3 d2 d1 root";

static struct made *find(const char *name)
{
    for (size_t i = 0; i < MADE; i++)
        if (strcmp(made[i].name, name) == 0)
            return &made[i];
    fail_msg("no certificate '%s'", name);
    return NULL;
}

static void make(struct made *m)
{
    static uint8_t serial = 1;
    const struct made *issuer = m->issuer ? find(m->issuer) : m;
    assert_int_equal(gnutls_x509_privkey_init(&m->key), 0);
    assert_int_equal(gnutls_x509_crt_init(&m->crt), 0);
    assert_int_equal(gnutls_x509_privkey_generate(m->key, GNUTLS_PK_ECDSA,
                                                  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    gnutls_x509_crt_set_version(m->crt, 3);
    gnutls_x509_crt_set_serial(m->crt, &serial, 1);
    serial++;
    gnutls_x509_crt_set_dn_by_oid(m->crt, GNUTLS_OID_X520_COMMON_NAME, 0, m->cn, (unsigned)strlen(m->cn));
    if (m->dns)
        gnutls_x509_crt_set_subject_alt_name(m->crt, GNUTLS_SAN_DNSNAME, m->dns, (unsigned)strlen(m->dns), 0);
    gnutls_x509_crt_set_activation_time(m->crt, time(NULL) + m->from * DAY);
    gnutls_x509_crt_set_expiration_time(m->crt, time(NULL) + m->until * DAY);
    gnutls_x509_crt_set_key(m->crt, m->key);
    if (m->ca) {
        gnutls_x509_crt_set_basic_constraints(m->crt, 1, -1);
        gnutls_x509_crt_set_key_usage(m->crt, GNUTLS_KEY_KEY_CERT_SIGN);
    }
    if (m->purpose)
        gnutls_x509_crt_set_key_purpose_oid(m->crt, m->purpose, 0);
    uint8_t id[32];
    size_t n = sizeof id;
    gnutls_x509_crt_get_key_id(m->crt, 0, id, &n);
    gnutls_x509_crt_set_subject_key_id(m->crt, id, n);
    n = sizeof id;
    gnutls_x509_crt_get_key_id(issuer->crt, 0, id, &n);
    gnutls_x509_crt_set_authority_key_id(m->crt, id, n);
    assert_int_equal(gnutls_x509_crt_sign2(m->crt, issuer->crt, issuer->key, GNUTLS_DIG_SHA256, 0), 0);
}

static int make_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < MADE; i++)
        make(&made[i]);
    return 0;
}

static int unmake_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < MADE; i++) {
        gnutls_x509_crt_deinit(made[i].crt);
        gnutls_x509_privkey_deinit(made[i].key);
    }
    return 0;
}

/* --- records -------------------------------------------------------------------------------------------------------- */

/* What a record with this selector and matching type holds of a certificate. */
static void associate(struct buf *out, gnutls_x509_crt_t crt, int selector, int matching)
{
    static const gnutls_digest_algorithm_t digests[] = { 0, GNUTLS_DIG_SHA256, GNUTLS_DIG_SHA512 };
    gnutls_datum_t der;
    if (selector == 1) {
        gnutls_pubkey_t key;
        assert_int_equal(gnutls_pubkey_init(&key), 0);
        assert_int_equal(gnutls_pubkey_import_x509(key, crt, 0), 0);
        assert_int_equal(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der), 0);
        gnutls_pubkey_deinit(key);
    } else {
        assert_int_equal(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
    }
    uint8_t digest[64];
    if (matching == 0) {
        buf_add(out, der.data, der.size);
    } else {
        assert_int_equal(gnutls_hash_fast(digests[matching], der.data, der.size, digest), 0);
        buf_add(out, digest, gnutls_hash_get_len(digests[matching]));
    }
    gnutls_free(der.data);
}

static void add_rdata(struct dns_answer *a, int usage, int selector, int matching, const struct buf *octets)
{
    struct buf rdata = BUF_INIT;
    buf_addc(&rdata, (char)usage);
    buf_addc(&rdata, (char)selector);
    buf_addc(&rdata, (char)matching);
    buf_add(&rdata, octets->data, octets->len);
    assert_true(dns_answer_add(a, DNS_TLSA, rdata.data, rdata.len));
    buf_free(&rdata);
}

/* "3 1 1 leaf": of that certificate. "3 1 1 !leaf": an octet is another. "3 1 1 -leaf": the last is missing.
 * "3 1 1 #20": so many octets of nothing. Separated by ";". */
static void read_records(struct dns_answer *a, const char *text)
{
    *a = (struct dns_answer){ .status = DNS_FOUND, .secure = true, .name = xstrdup(owner) };
    while (text && *text) {
        int usage, selector, matching, used = 0;
        char what[32];
        struct buf octets = BUF_INIT;
        assert_int_equal(sscanf(text, "%d %d %d %31[^; ]%n", &usage, &selector, &matching, what, &used), 4);
        const bool spoilt = *what == '!', cut = *what == '-';
        if (*what == '#') {
            for (int i = atoi(what + 1); i > 0; i--)
                buf_addc(&octets, 'x');
        } else {
            associate(&octets, find(what + (spoilt || cut))->crt, selector & 1, matching <= 2 ? matching : 1);
            if (spoilt)
                octets.data[octets.len / 2] ^= 1;
            octets.len -= cut;
        }
        if (octets.len == 0) { /* the reader of DNS data lets none through */
            a->v = xrealloc(a->v, (a->n + 1) * sizeof *a->v);
            a->v[a->n++] = (struct dns_record){ .usage = usage, .selector = selector, .matching = matching };
        } else {
            add_rdata(a, usage, selector, matching, &octets);
        }
        buf_free(&octets);
        text += used;
        text += strspn(text, "; ");
    }
}

/* --- a handshake ---------------------------------------------------------------------------------------------------- */

struct show {
    gnutls_pcert_st certs[CHAIN_MOST];
    unsigned n;
    gnutls_privkey_t key;
};

static int show_chain(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
                      const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **certs, unsigned *n,
                      gnutls_privkey_t *key)
{
    struct show *s = gnutls_session_get_ptr(session);
    (void)names, (void)n_names, (void)algorithms, (void)n_algorithms;
    *certs = s->certs;
    *n = s->n;
    *key = s->key;
    return 0;
}

static void read_chain(struct show *s, const char *text)
{
    struct strlist names = STRLIST_INIT;
    *s = (struct show){ 0 };
    strlist_split(&names, text, " ");
    assert_in_range(names.n, 1, CHAIN_MOST);
    for (; s->n < names.n; s->n++)
        assert_int_equal(gnutls_pcert_import_x509(&s->certs[s->n], find(names.v[s->n])->crt, 0), 0);
    assert_int_equal(gnutls_privkey_init(&s->key), 0);
    assert_int_equal(gnutls_privkey_import_x509(s->key, find(names.v[0])->key, 0), 0);
    strlist_free(&names);
}

static void free_chain(struct show *s)
{
    for (unsigned i = 0; i < s->n; i++)
        gnutls_pcert_deinit(&s->certs[i]);
    gnutls_privkey_deinit(s->key);
}

/* The client's end; *client lives on with its facts. */
static enum io shake(const char *chain, const char *priorities, const struct tls_params *p, struct stream **client,
                     struct err *e)
{
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    struct show show;
    int fd[2], rc = GNUTLS_E_AGAIN;
    enum io io = IO_AGAIN;
    read_chain(&show, chain);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_certificate_set_retrieve_function2(credentials, show_chain);
    gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK);
    gnutls_priority_set_direct(session, priorities ? priorities : "NORMAL", NULL);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    gnutls_session_set_ptr(session, &show);
    gnutls_transport_set_int(session, fd[1]);
    *client = stream_new(fd[0], fd[0]);
    for (int i = 0; i < 100 && io == IO_AGAIN; i++) {
        io = stream_tls_client(*client, p, e);
        if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED)
            rc = gnutls_handshake(session);
    }
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    close(fd[1]);
    free_chain(&show);
    return io;
}

static void assert_contains(const char *title, const char *text, const char *part)
{
    if (part && (!text || !strstr(text, part)))
        fail_msg("%s: '%s' does not contain '%s'", title, text ? text : "(null)", part);
}

static char *joined(const struct strlist *l)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < l->n; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", l->v[i]);
    return text.len > 0 ? buf_steal(&text) : xstrdup("");
}

struct row {
    const char *chain, *records;
    const char *problems;   /* NULL: accepted */
    const char *text, *hint; /* parts; NULL: any */
};

static void play(const struct row *r, const char *names_text, const char *priorities, bool tolerate)
{
    char *title = xasprintf("chain %s, records %.80s", r->chain, r->records);
    struct dns_answer tlsa;
    struct strlist names = STRLIST_INIT;
    struct stream *client;
    struct err e = ERR_INIT;
    read_records(&tlsa, r->records);
    strlist_split(&names, names_text ? names_text : "", " ");
    const struct tls_params p = { .host = "mx.example", .verify = true, .tolerate = tolerate, .tlsa = &tlsa,
                                  .names = &names };
    enum io io = shake(r->chain, priorities, &p, &client, &e);
    const struct tls_facts *f = stream_tls_facts(client);
    char *problems = joined(&f->problems);
    if (io != (r->problems && !tolerate ? IO_ERROR : IO_DONE))
        fail_msg("%s: %s", title, e.text ? e.text : "accepted");
    if (strcmp(problems, r->problems ? r->problems : "") != 0)
        fail_msg("%s: problems '%s', text '%s'", title, problems, e.text ? e.text : "");
    assert_string_equal(f->how, r->problems ? "none" : "dane");
    assert_int_equal(f->verified, r->problems == NULL);
    if (r->problems && !tolerate) {
        assert_int_equal(e.fault, FAULT_CERTIFICATE);
        assert_int_equal(e.stage, STAGE_TLS);
        assert_contains(title, e.hint, r->hint);
    }
    assert_contains(title, tolerate ? f->problem : e.text, r->text);
    free(problems);
    free(title);
    err_clear(&e);
    stream_free(client);
    strlist_free(&names);
    dns_answer_free(&tlsa);
}

/* --- tests ---------------------------------------------------------------------------------------------------------- */

/* Usage × selector × matching type, right and wrong; for usage 2 with the root in the chain and without it: then only what
 * holds the whole can be used. */
static void test_matrix(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * 3 * 2 * 2; i++) {
        const int usage = 2 + i % 2, selector = i / 2 % 2, matching = i / 4 % 3;
        const bool good = i / 12 % 2, absent = i / 24 % 2, whole = matching == 0;
        const char *of = usage == 3 ? good ? "leaf" : "plain" : good ? "root" : "other";
        const bool accepted = good && (usage == 3 || !absent || whole);
        char records[64];
        snprintf(records, sizeof records, "%d %d %d %s", usage, selector, matching, of);
        const struct row row = {
            .chain = absent ? "leaf inter" : "leaf inter root",
            .records = records,
            .problems = accepted ? NULL : "wrong-tlsa",
        };
        play(&row, NULL, NULL, false);
        play(&row, NULL, "NORMAL:-VERS-ALL:+VERS-TLS1.2", false);
    }
}

static const struct row rows[] = {
    /* DANE-EE: the certificate alone */
    { "expired", "3 1 1 expired", NULL, NULL, NULL },
    { "future", "3 0 1 future", NULL, NULL, NULL },
    { "elsewhere", "3 1 2 elsewhere", NULL, NULL, NULL },
    { "client", "3 1 1 client", NULL, NULL, NULL },
    { "awful", "3 0 0 awful", NULL, NULL, NULL },
    { "self", "3 1 1 self", NULL, NULL, NULL },
    { "leaf", "3 1 1 leaf", NULL, NULL, NULL },
    { "leaf other twin plain", "3 1 1 leaf", NULL, NULL, NULL },
    { "leaf inter", "3 1 1 inter", "wrong-tlsa", "does not match its TLSA record", NULL },
    { "leaf inter", "3 1 1 !leaf", "wrong-tlsa", "does not match its TLSA record", NULL },
    { "leaf inter", "3 0 1 !leaf", "wrong-tlsa", NULL, "the administrator of 'mx.example' must publish '3 1 1 " },
    { "leaf inter", "3 0 2 !leaf; 3 1 2 !leaf", "wrong-tlsa", "the certificate of 'mx.example' matches none of its 2 TLSA records",
      "at '_25._tcp.mx.example'; or somebody is in between" },
    { "leaf inter root", "2 1 1 other", "wrong-tlsa", NULL, "or, for usage 2, have the server send its issuers' certificates" },

    /* DANE-TA: the rest of the chain, the name, the time and the purpose count */
    { "plain root", "2 0 1 root", NULL, NULL, NULL },
    { "expired root", "2 0 1 root", "expired", "expired on 20", "administrator must renew" },
    { "future root", "2 0 1 root", "not-yet-valid", "is valid from 20", "clock right" },
    { "elsewhere root", "2 0 1 root", "wrong-name", "is for elsewhere.test, not for 'mx.example'",
      "must get a certificate for that name, or publish '3 1 1 " },
    { "domain root", "2 0 1 root", "wrong-name", NULL, NULL },
    { "client root", "2 0 1 root", "wrong-purpose", "is not meant for servers", NULL },
    { "awful root", "2 1 1 root", "expired wrong-name wrong-purpose", NULL, NULL },
    { "leaf inter", "2 0 1 inter", NULL, NULL, NULL },
    { "leaf inter root", "2 1 1 inter", NULL, NULL, NULL },
    { "leaf", "2 0 0 inter", NULL, NULL, NULL },
    { "leaf", "2 1 0 inter", NULL, NULL, NULL },
    { "leaf", "2 0 1 inter", "wrong-tlsa", NULL, NULL },
    { "leaf", "2 0 0 root", "wrong-tlsa", NULL, NULL },
    { "leaf root", "2 0 1 root", "wrong-tlsa untrusted-issuer", "was not issued by the certificate that its TLSA records name",
      "must publish '3 1 1 " },       /* the way there is missing */
    { "leaf root inter", "2 0 1 root", NULL, NULL, NULL },                          /* in no order */
    { "leaf other inter root", "2 0 1 root", NULL, NULL, NULL },
    { "leaf inter root other", "2 0 1 other", "wrong-tlsa untrusted-issuer", NULL, NULL }, /* it signed nothing here */
    { "leaf other", "2 1 2 other", "wrong-tlsa untrusted-issuer", NULL, NULL },
    { "self other", "2 0 1 other", "wrong-tlsa untrusted-issuer", NULL, NULL },
    { "plain twin", "2 0 1 twin", "wrong-tlsa untrusted-issuer", NULL, NULL },      /* the right name, another key */
    { "plain", "2 0 0 twin", "wrong-tlsa", NULL, NULL },
    { "plain", "2 1 0 twin", "wrong-tlsa", NULL, NULL },
    { "plain", "2 0 0 twin; 2 0 0 root", NULL, NULL, NULL },
    { "plain", "2 0 0 root; 2 0 0 twin", NULL, NULL, NULL },
    { "plain", "2 1 0 twin; 2 1 0 other; 2 1 0 root", NULL, NULL, NULL },
    { "plain", "2 1 0 root; 2 1 0 twin", NULL, NULL, NULL },
    { "plain twin root", "2 0 1 twin; 2 0 1 root", NULL, NULL, NULL },
    { "by-old-root old-root", "2 0 1 old-root", "expired", "has an issuer, 'CN=Old', whose certificate expired on 20", NULL },
    { "by-old-root", "2 0 0 old-root", "expired", "has a trusted issuer whose certificate expired", NULL },
    { "by-old-root", "2 1 0 old-root", NULL, NULL, NULL },                          /* a bare key has no days */
    { "by-old-inter old-inter root", "2 0 1 root", "expired", "has an issuer, 'CN=Old intermediate'", NULL },
    { "by-no-ca no-ca root", "2 0 1 root", "untrusted-issuer", "which may not issue certificates", NULL },

    /* a certificate as its own issuer: where it signed itself */
    { "self", "2 0 1 self", NULL, NULL, NULL },
    { "self", "2 1 1 self", NULL, NULL, NULL },
    { "self", "2 0 0 self", NULL, NULL, NULL },
    { "self", "2 1 0 self", NULL, NULL, NULL },
    { "self-old", "2 0 1 self-old", "expired", NULL, NULL },
    { "self-else", "2 0 1 self-else", "wrong-name", NULL, NULL },
    { "leaf inter", "2 0 1 leaf", "wrong-tlsa", NULL, NULL },
    { "leaf inter", "2 1 1 leaf", "wrong-tlsa", NULL, NULL },
    { "leaf inter", "2 0 0 leaf", "wrong-tlsa", NULL, NULL },
    { "leaf leaf inter", "2 0 1 leaf", "wrong-tlsa", NULL, NULL },
    { "leaf inter", "2 1 0 leaf", "wrong-tlsa", NULL, NULL },

    /* long chains */
    { deep_chain, "2 0 1 root", NULL, NULL, NULL },
    { deep_chain, "2 1 1 d5", NULL, NULL, NULL },
    { deep_chain, "3 1 1 deep", NULL, NULL, NULL },
    { deep_chain, "2 0 1 other", "wrong-tlsa", NULL, NULL },

    /* several records: one is enough */
    { "leaf inter", "3 1 1 other; 3 1 1 leaf", NULL, NULL, NULL },
    { "leaf inter", "2 1 1 other; 3 1 1 leaf", NULL, NULL, NULL },
    { "leaf inter root", "3 1 1 other; 2 0 1 root", NULL, NULL, NULL },
    { "expired root", "2 0 1 root; 3 1 1 expired", NULL, NULL, NULL },
    { "expired root", "2 0 1 root; 3 1 1 other", "expired", NULL, NULL },
    { "leaf inter", "0 0 1 leaf; 1 1 1 leaf; 3 1 1 leaf", NULL, NULL, NULL },

    /* none that can be used: nobody is accepted here; the caller asks before */
    { "leaf inter root", "1 1 1 leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter root", "0 0 1 root", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "4 1 1 leaf; 255 1 1 leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 3 1 leaf; 3 255 1 leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 1 3 leaf; 3 1 255 leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 1 1 -leaf; 3 0 2 -leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 0 0 -leaf; 3 1 0 -leaf", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "", "wrong-tlsa", "no TLSA record is usable", NULL },

    /* digest agility: of one usage and selector the strongest counts, if it can be used */
    { "leaf inter", "3 1 1 leaf; 3 1 2 other", "wrong-tlsa", NULL, NULL },
    { "leaf inter", "3 1 2 leaf; 3 1 1 other", NULL, NULL, NULL },
    { "leaf inter", "3 1 1 leaf; 3 1 2 -other", NULL, NULL, NULL },
    { "leaf inter", "3 1 1 leaf; 3 1 3 other", NULL, NULL, NULL },
    { "leaf inter", "3 1 1 leaf; 3 0 2 other", NULL, NULL, NULL },
    { "leaf inter", "3 1 1 leaf; 2 1 2 other", NULL, NULL, NULL },
    { "leaf inter", "3 1 0 leaf; 3 1 2 other", NULL, NULL, NULL },
    { "leaf inter root", "2 0 1 root; 2 0 2 other", "wrong-tlsa", NULL, NULL },
    { "leaf inter root", "2 0 2 root; 2 0 1 other", NULL, NULL, NULL },
    { "leaf inter", "2 0 0 root; 2 0 2 other", NULL, NULL, NULL },

    /* hostile */
    { "leaf inter", "3 1 1 #0; 3 0 0 #0; 2 0 0 #0; 2 1 0 #0", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 1 1 #1; 3 1 2 #63; 3 0 1 #65532", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 0 0 #65532; 3 1 0 #65532; 2 0 0 #65532; 2 1 0 #65532", "wrong-tlsa", "no TLSA record is usable", NULL },
    { "leaf inter", "3 0 0 #65532; 2 1 0 #65532; 3 1 1 leaf", NULL, NULL, NULL },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        play(&rows[i], NULL, NULL, false);
        play(&rows[i], NULL, NULL, true);
    }
}

/* Under usage 2 the next hop's domain is a good name, too. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        struct row row;
        const char *names;
    } named[] = {
        { { "domain root", "2 0 1 root", NULL, NULL, NULL }, "next-hop.example" },
        { { "domain root", "2 0 1 root", NULL, NULL, NULL }, "a.test next-hop.example b.test" },
        { { "leaf inter root", "2 0 1 root", NULL, NULL, NULL }, "a.test b.test" },
        { { "elsewhere root", "2 0 1 root", "wrong-name", "is for elsewhere.test, not for 'mx.example' or 'a.test' or 'b.test'",
            NULL }, "a.test b.test" },
        { { "awful root", "2 0 1 root", "expired wrong-purpose", NULL, NULL }, "elsewhere.test" },
        { { "wild root", "2 0 1 root", NULL, NULL, NULL }, "a.wild.example" },
        { { "domain root", "3 1 1 domain", NULL, NULL, NULL }, "a.test" },
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        play(&named[i].row, named[i].names, NULL, false);
}

/* 500 records of each kind that costs most to look at. */
static void test_many(void **state)
{
    (void)state;
    static const char *const kinds[] = { "2 0 0 other", "2 1 0 other", "3 1 2 other", "2 1 1 root" };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct buf records = BUF_INIT;
        for (int k = 0; k < DNS_RECORDS_MAX - 1; k++)
            buf_printf(&records, "%s; ", kinds[i]);
        buf_adds(&records, "3 1 0 deep");
        play(&(struct row){ deep_chain, records.data, NULL, NULL, NULL }, NULL, NULL, false);
        records.len -= strlen("3 1 0 deep");
        records.data[records.len] = '\0';
        time_t start = time(NULL);
        play(&(struct row){ deep_chain, records.data, i == 3 ? NULL : "wrong-tlsa", NULL, NULL }, NULL, NULL, false);
        assert_true(time(NULL) - start < 5);
        buf_free(&records);
    }
}

/* What only some of a probe's checks want left out is not left out here, and `verify` is not asked. */
static void test_no_way_round(void **state)
{
    (void)state;
    struct dns_answer tlsa;
    read_records(&tlsa, "2 0 0 other");
    for (int i = 0; i < 8; i++) {
        struct stream *client;
        struct err e = ERR_INIT;
        const struct tls_params p = { .host = "mx.example", .tlsa = &tlsa, .verify = i & 1, .any_name = i & 2,
                                      .any_issuer = i & 4 };
        assert_int_equal(shake("elsewhere root", NULL, &p, &client, &e), IO_ERROR);
        assert_int_equal(e.fault, FAULT_CERTIFICATE);
        err_clear(&e);
        stream_free(client);
    }
    dns_answer_free(&tlsa);
}

static void test_usable(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        bool usable;
    } records[] = {
        { "3 1 1 leaf", true }, { "3 0 1 leaf", true }, { "3 1 2 leaf", true }, { "3 0 0 leaf", true },
        { "3 1 0 leaf", true }, { "2 0 1 leaf", true }, { "2 1 0 leaf", true }, { "2 0 0 leaf", true },
        { "0 1 1 leaf", false }, { "1 1 1 leaf", false }, { "4 1 1 leaf", false }, { "255 1 1 leaf", false },
        { "3 2 1 leaf", false }, { "3 255 1 leaf", false }, { "3 1 3 leaf", false }, { "3 1 255 leaf", false },
        { "3 1 1 -leaf", false }, { "3 1 2 -leaf", false }, { "3 1 1 #33", false }, { "3 1 2 #32", false },
        { "3 0 0 -leaf", false }, { "3 1 0 -leaf", false }, { "3 1 1 #0", false }, { "3 0 0 #0", false },
        { "2 0 0 #65532", false }, { "2 1 0 #65532", false }, { "3 1 1 #32", true },
    };
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct dns_answer tlsa;
        read_records(&tlsa, records[i].record);
        if (tls_tlsa_usable(&tlsa.v[0]) != records[i].usable)
            fail_msg("%s", records[i].record);
        dns_answer_free(&tlsa);
    }
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        bool matches;
    } records[] = {
        { "3 1 1 leaf", true }, { "3 0 1 leaf", true }, { "3 1 2 leaf", true }, { "3 0 2 leaf", true },
        { "3 1 0 leaf", true }, { "3 0 0 leaf", true }, { "2 1 1 leaf", true }, { "3 1 1 !leaf", false },
        { "3 0 0 !leaf", false }, { "2 0 1 inter", false }, { "2 1 0 inter", false }, { "1 1 1 leaf", false },
    };
    gnutls_datum_t pem;
    assert_true(gnutls_x509_crt_export2(find("leaf")->crt, GNUTLS_X509_FMT_PEM, &pem) >= 0);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct dns_answer tlsa;
        read_records(&tlsa, records[i].record);
        if (tls_tlsa_matches(&tlsa.v[0], (char *)pem.data) != records[i].matches)
            fail_msg("%s", records[i].record);
        assert_false(tls_tlsa_matches(&tlsa.v[0], "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"));
        assert_false(tls_tlsa_matches(&tlsa.v[0], ""));
        dns_answer_free(&tlsa);
    }
    gnutls_free(pem.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix), cmocka_unit_test(test_rows),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_many),   cmocka_unit_test(test_no_way_round), cmocka_unit_test(test_usable),
        cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests_name("dane", tests, make_all, unmake_all);
}
