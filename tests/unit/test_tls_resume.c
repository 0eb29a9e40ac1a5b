/* A TLS session that is kept when a connection ends and taken up again by a later one: when it is, and
 * when it must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cache.h"
#include "net/tls_session.h"
#include "tls_ends.h"

#define NAME "mx.example_25"

static size_t kept(void)
{
    struct buf b = BUF_INIT;
    size_t n = cache_read("tls", NAME, 1 << 20, &b) ? b.len : 0;
    buf_free(&b);
    return n;
}

/* One connection with a server that may know the client; its facts are copied as far as they are looked at. */
struct met {
    bool ok, resumed, verified;
    size_t chain;
    char how[32], problem[32];
    struct buf binding;
};

static struct met meet(struct tls_server *context, const struct tls_params *p)
{
    struct ends x;
    struct met m = { .binding = BUF_INIT };
    struct buf theirs = BUF_INIT;
    const char *type;
    open_pair(&x);
    x.context = context;
    m.ok = shake(&x, p) == IO_DONE;
    const struct tls_facts *f = stream_tls_facts(x.client);
    m.resumed = f->resumed;
    m.verified = f->verified;
    m.chain = f->n;
    snprintf(m.how, sizeof m.how, "%s", f->how);
    snprintf(m.problem, sizeof m.problem, "%s", f->problems.n ? f->problems.v[0] : "");
    if (m.ok) {
        assert_true(stream_channel_binding(x.client, &type, &m.binding) && stream_channel_binding(x.server, &type, &theirs));
        assert_true(m.binding.len > 0 && m.binding.len == theirs.len && memcmp(m.binding.data, theirs.data, theirs.len) == 0);
        say(x.client, x.server, "EHLO client.example\r\n");
        say(x.server, x.client, "250 mx.example\r\n");
    }
    buf_free(&theirs);
    x.context = NULL;
    close_pair(&x);
    return m;
}

static bool resumes(struct tls_server *context, const struct tls_params *p)
{
    struct met m = meet(context, p);
    assert_true(m.ok);
    assert_true(m.verified);
    assert_int_equal(m.chain, 1);
    buf_free(&m.binding);
    return m.resumed;
}

static struct tls_server *server_of(int which, const char *priorities)
{
    struct err e = ERR_INIT;
    struct tls_server *s = tls_server_new(&(struct tls_server_params){
        .cert_file = made[which].cert_file, .key_file = made[which].key_file, .priorities = priorities }, &e);
    assert_non_null(s);
    return s;
}

static struct tls_params params_of(void)
{
    return (struct tls_params){ .host = "mx.example", .verify = true, .trust_file = made[CA].cert_file, .session_name = NAME,
                                .describe = true };
}

static void test_resumed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct tls_server *s = server_of(GOOD, versions[i].priorities);
        struct tls_params p = params_of(), none = params_of(), other = params_of();
        none.session_name = NULL;
        other.session_name = "other.example_25";
        cache_trim("tls", 0);
        assert_false(resumes(s, &none));
        assert_int_equal(kept(), 0);
        assert_false(resumes(s, &p));
        assert_true(kept() > 0);
        assert_false(resumes(s, &none));
        assert_false(resumes(s, &other));
        struct buf last = BUF_INIT;
        for (int k = 0; k < 4; k++) {
            struct met m = meet(s, &p);
            assert_true(m.ok && m.resumed && m.verified);
            assert_string_equal(m.how, "trust");
            assert_int_equal(m.chain, 1);
            assert_false(last.len == m.binding.len && memcmp(last.data, m.binding.data, last.len) == 0);
            buf_reset(&last);
            buf_addbuf(&last, &m.binding);
            buf_free(&m.binding);
            assert_true(kept() > 0);
        }
        buf_free(&last);

        /* another server, which cannot read the ticket: a whole handshake, and its session is kept */
        struct tls_server *another = server_of(GOOD, versions[i].priorities);
        assert_false(resumes(another, &p));
        assert_true(resumes(another, &p));
        tls_server_free(another);
        tls_server_free(s);
    }
}

/* Of two that begin at once only one has the session. */
static void test_resumed_once(void **state)
{
    (void)state;
    struct tls_server *s = server_of(GOOD, NULL);
    struct tls_params p = params_of();
    struct ends a, b;
    cache_trim("tls", 0);
    assert_false(resumes(s, &p));
    open_pair(&a);
    open_pair(&b);
    a.context = b.context = s;
    assert_int_equal(stream_tls_client(a.client, &p, &a.client_err), IO_AGAIN);
    assert_int_equal(kept(), 0);
    assert_int_equal(stream_tls_client(b.client, &p, &b.client_err), IO_AGAIN);
    assert_int_equal(shake(&b, &p), IO_DONE);
    assert_int_equal(shake(&a, &p), IO_DONE);
    assert_true(stream_tls_facts(a.client)->resumed);
    assert_false(stream_tls_facts(b.client)->resumed);
    b.context = NULL;
    close_pair(&b);
    close_pair(&a);
}

/* What was found when the session began is told again, and nothing is read for it. */
static void test_resumed_verdict(void **state)
{
    (void)state;
    struct strlist fingerprints = STRLIST_INIT;
    gnutls_datum_t der;
    assert_int_equal(gnutls_x509_crt_export2(made[GOOD].crt, GNUTLS_X509_FMT_DER, &der), 0);
    struct dns_record record = { .usage = 3, .association = BUF_INIT };
    buf_add(&record.association, der.data, der.size);
    const struct dns_answer tlsa = { .status = DNS_FOUND, .v = &record, .n = 1 };
    char trust[256];
    snprintf(trust, sizeof trust, "%s/trust.crt", dir);
    for (size_t v = 0; v < sizeof versions / sizeof *versions; v++) {
        struct tls_server *s = server_of(GOOD, versions[v].priorities);
        strlist_free(&fingerprints);
        strlist_add(&fingerprints, tls_server_fingerprint(s));
        const struct {
            struct tls_params p;
            const char *how;
        } rows[] = {
            { { .host = "mx.example", .verify = true, .trust_file = trust }, "trust" },
            { { .host = "mx.example", .fingerprints = &fingerprints }, "fingerprint" },
            { { .host = "mx.example", .tlsa = &tlsa }, "dane" },
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            for (int described = 0; described < 2; described++) {
                struct tls_params p = rows[i].p;
                p.session_name = NAME;
                cache_trim("tls", 0);
                assert_int_equal(link(made[CA].cert_file, trust), 0);
                struct met first = meet(s, &p);
                assert_int_equal(unlink(trust), 0);
                p.describe = described;
                struct met again = meet(s, &p);
                assert_true(first.ok && !first.resumed && first.verified && again.ok && again.resumed && again.verified);
                assert_string_equal(first.how, rows[i].how);
                assert_string_equal(again.how, rows[i].how);
                assert_int_equal(first.chain, 0);
                assert_int_equal(again.chain, described);
                buf_free(&first.binding);
                buf_free(&again.binding);
            }
        tls_server_free(s);
    }
    strlist_free(&fingerprints);
    buf_free(&record.association);
    gnutls_free(der.data);
}

/* A session is kept only where the peer was verified, by what does not change unseen. */
static void test_resumed_kept(void **state)
{
    (void)state;
    const char *ca = made[CA].cert_file;
    const struct {
        int server;
        const char *priorities;
        struct tls_params p;
        bool kept;
    } rows[] = {
        { GOOD, NULL, { .host = "mx.example", .verify = true, .trust_file = ca }, true },
        { GOOD, NULL, { .host = "mx.example", .trust_file = ca }, false },
        { GOOD, NULL, { .host = "mx.example", .verify = true, .trust_file = ca, .any_name = true }, false },
        { GOOD, NULL, { .host = "mx.example", .verify = true, .trust_file = ca, .any_issuer = true }, false },
        { GOOD, NULL, { .host = "mx.example", .verify = true, .trust_file = made[OTHER_CA].cert_file, .tolerate = true }, false },
        { GOOD, NULL, { .host = "other.example", .verify = true, .trust_file = ca, .tolerate = true }, false },
        { EXPIRED, NULL, { .host = "mx.example", .verify = true, .trust_file = ca, .tolerate = true }, false },
        { SELF, NULL, { .host = "mx.example", .verify = true, .trust_file = made[SELF].cert_file, .crl_file = made[CA].crl_file }, false },
        { GOOD, "NORMAL:-VERS-ALL:+VERS-TLS1.2:%NO_SESSION_HASH", { .host = "mx.example", .verify = true, .trust_file = ca }, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_params p = rows[i].p;
        struct tls_server *s = server_of(rows[i].server, NULL);
        struct ends x;
        p.session_name = NAME;
        p.priorities = rows[i].priorities;
        cache_trim("tls", 0);
        open_pair(&x);
        x.context = s;
        if (shake(&x, &p) != IO_DONE)
            fail_msg("row %zu: %s", i, x.client_err.text);
        say(x.client, x.server, "EHLO client.example\r\n");
        say(x.server, x.client, "250 mx.example\r\n");
        close_pair(&x);
        if ((kept() > 0) != rows[i].kept)
            fail_msg("row %zu", i);
    }
}

/* A session ends with the first certificate that its verdict rests on. */
static void test_resumed_until(void **state)
{
    (void)state;
    const struct {
        int server, ca;
        long long seconds;
    } rows[] = { { GOOD, CA, DAY }, { SOON, CA, DAY / 2 }, { BY_SOON_CA, SOON_CA, DAY / 2 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct tls_server *s = server_of(rows[i].server, NULL);
        struct tls_params p = params_of();
        struct buf file = BUF_INIT;
        struct tls_saved saved;
        const long long now = time(NULL);
        p.trust_file = made[rows[i].ca].cert_file;
        cache_trim("tls", 0);
        assert_false(resumes(s, &p));
        assert_true(cache_read("tls", NAME, 1 << 16, &file) && tls_saved_read(file.data, file.len, now, &saved));
        assert_true(saved.until > now + rows[i].seconds - 600 && saved.until <= now + rows[i].seconds);
        assert_false(tls_saved_read(file.data, file.len, saved.until, &saved));
        buf_free(&file);
        tls_server_free(s);
    }
}

/* From OLD on a file is as we write them. */
enum change { NONE, CUT, EMPTY, FLIPPED, TAIL, HUGE_FILE, LINK, SHARED, FOREIGN, OLD, FUTURE_FILE, OVER, REFUSED, UNPROVED,
              GNUTLS_ONLY, CHANGES };

/* What the file holds then, of what it held. */
static void change_text(enum change what, const struct buf *file, struct tls_saved *saved, long long now, struct buf *out)
{
    if (what != EMPTY && what < OLD)
        buf_add(out, file->data, file->len - (what == CUT));
    switch (what) {
    case FLIPPED:
        out->data[out->len - 20] ^= 1;
        break;
    case TAIL:
        buf_addc(out, '\n');
        break;
    case HUGE_FILE:
        while (out->len <= 1 << 16)
            buf_addbuf(out, file);
        break;
    case OLD:
        saved->proved = now - DAY;
        saved->until = now + DAY;
        break;
    case FUTURE_FILE:
        saved->proved = now + 100;
        break;
    case OVER:
        saved->until = now;
        break;
    case REFUSED:
        saved->n = 0;
        saved->how = "none";
        break;
    case UNPROVED:
        saved->how = "none";
        break;
    case GNUTLS_ONLY: /* what GnuTLS does not take */
        saved->n /= 2;
        break;
    case NONE:
    case CUT:
    case EMPTY:
    case LINK:
    case SHARED:
    case FOREIGN:
    case CHANGES:
        break;
    }
    if (what >= OLD)
        tls_saved_write(saved, out);
}

/* Puts it there, or makes the file as it is one that nobody should trust. */
static void change_file(enum change what, const char *path, const char *target, const struct buf *changed)
{
    if (what == LINK) {
        assert_int_equal(rename(path, target), 0);
        assert_int_equal(symlink(target, path), 0);
    } else if (what == SHARED) {
        assert_int_equal(chmod(path, 0640), 0);
    } else if (what == FOREIGN) {
        assert_int_equal(chown(path, 65534, 65534), 0);
    } else {
        assert_true(cache_write("tls", NAME, changed->data, changed->len));
    }
}

/* The file is changed between two connections. */
static void test_resumed_not(void **state)
{
    (void)state;
    for (int change = NONE; change < CHANGES; change++) {
        struct tls_server *s = server_of(GOOD, NULL);
        struct tls_params p = params_of();
        struct buf file = BUF_INIT, changed = BUF_INIT;
        struct tls_saved saved;
        const long long now = time(NULL);
        char path[256], target[256];
        if (change == FOREIGN && geteuid() != 0)
            continue;
        snprintf(path, sizeof path, "%s/envoi/tls/" NAME, dir);
        snprintf(target, sizeof target, "%s/envoi/target", dir);
        cache_trim("tls", 0);
        assert_false(resumes(s, &p));
        assert_true(cache_read("tls", NAME, 1 << 16, &file));
        assert_true(tls_saved_read(file.data, file.len, now, &saved));
        assert_true(saved.proved <= now && saved.proved > now - 60 && saved.until == saved.proved + DAY);
        change_text((enum change)change, &file, &saved, now, &changed);
        change_file((enum change)change, path, target, &changed);
        if (resumes(s, &p) != (change == NONE))
            fail_msg("change %d", change);
        unlink(target);
        if (change == REFUSED) {
            buf_reset(&file);
            assert_true(cache_read("tls", NAME, 1 << 16, &file) && tls_saved_read(file.data, file.len, now, &saved) && saved.n == 0);
        } else {
            assert_true(resumes(s, &p)); /* a good one took its place */
        }
        buf_free(&file);
        buf_free(&changed);
        tls_server_free(s);
    }
}

/* A session lives no longer than a day after the certificate was last proved, however often it is taken up. */
static void test_resumed_age(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct tls_server *s = server_of(GOOD, versions[i].priorities);
        struct tls_params p = params_of();
        struct buf file = BUF_INIT, changed = BUF_INIT;
        struct tls_saved saved;
        const long long then = time(NULL) - 20 * 3600;
        cache_trim("tls", 0);
        assert_false(resumes(s, &p));
        assert_true(cache_read("tls", NAME, 1 << 16, &file) && tls_saved_read(file.data, file.len, time(NULL), &saved));
        saved.proved = then;
        saved.until = then + DAY;
        assert_true(tls_saved_write(&saved, &changed) && cache_write("tls", NAME, changed.data, changed.len));
        assert_true(resumes(s, &p));
        buf_reset(&file);
        assert_true(cache_read("tls", NAME, 1 << 16, &file) && tls_saved_read(file.data, file.len, time(NULL), &saved));
        assert_int_equal(saved.proved, then);
        assert_int_equal(saved.until, then + DAY);
        buf_free(&file);
        buf_free(&changed);
        tls_server_free(s);
    }
}

/* A server that breaks a handshake off because a session is offered: none is from then on. */
static void test_resumed_never(void **state)
{
    (void)state;
    struct tls_server *s = server_of(GOOD, NULL);
    struct tls_params p = params_of();
    struct ends x;
    cache_trim("tls", 0);
    assert_false(resumes(s, &p));
    open_pair(&x);
    x.context = s;
    assert_int_equal(stream_tls_client(x.client, &p, &x.client_err), IO_AGAIN);
    stream_free(x.server);
    x.server = NULL;
    assert_int_equal(stream_tls_client(x.client, &p, &x.client_err), IO_ERROR);
    x.context = NULL;
    close_pair(&x);
    for (int i = 0; i < 3; i++)
        assert_false(resumes(s, &p));
    tls_server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_resumed_once),
        cmocka_unit_test(test_resumed_verdict),
        cmocka_unit_test(test_resumed_kept),
        cmocka_unit_test(test_resumed_until),
        cmocka_unit_test(test_resumed_not),
        cmocka_unit_test(test_resumed_age),
        cmocka_unit_test(test_resumed_never),
    };
    return cmocka_run_group_tests_name("tls_resume", tests, make_all, unmake_all);
}
