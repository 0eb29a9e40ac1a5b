/* test_gsasl: libgsasl's mechanisms against libgsasl's own server, and against what a bad server may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <gsasl.h>

#include "auth/sasl.h"

static bool give(void *ctx, const struct buf **secret, struct err *e)
{
    (void)e;
    *secret = ctx;
    return true;
}

struct side {
    const char *user, *password;
    const char *binding_type, *binding; /* NULL: none */
};

enum outcome { ACCEPTED, SERVER_REFUSED, CLIENT_REFUSED };

static void set(Gsasl_session *g, Gsasl_property property, const char *value)
{
    if (value)
        assert_int_equal(gsasl_property_set(g, property, value), GSASL_OK);
}

static Gsasl_session *serve(Gsasl *ctx, const char *mechanism, const struct side *x)
{
    Gsasl_session *g;
    assert_int_equal(gsasl_server_start(ctx, mechanism, &g), GSASL_OK);
    set(g, GSASL_PASSWORD, x->password);
    set(g, GSASL_SERVICE, "smtp");
    set(g, GSASL_HOSTNAME, "mail.example");
    set(g, GSASL_REALM, "example");
    set(g, GSASL_SCRAM_SALT, "W22ZaJ0SNY7soEsUEjb6gQ=="); /* RFC 7677 3 */
    set(g, GSASL_SCRAM_ITER, "4096");
    if (x->binding) {
        char *b64 = NULL;
        size_t n;
        assert_int_equal(gsasl_base64_to(x->binding, strlen(x->binding), &b64, &n), GSASL_OK);
        set(g, strcmp(x->binding_type, "tls-unique") == 0 ? GSASL_CB_TLS_UNIQUE : GSASL_CB_TLS_EXPORTER, b64);
        gsasl_free(b64);
    }
    return g;
}

/* Runs both sides as SMTP does: the last word is a challenge, or comes with the reply when `with_reply`. */
static enum outcome run(const char *mechanism, const struct side *client, const struct side *server,
                        const struct strlist *offered, bool with_reply, struct buf *first, struct err *e)
{
    struct buf secret = BUF_SECRET_INIT, binding = BUF_INIT, said = BUF_SECRET_INIT;
    Gsasl *ctx;
    bool has_initial;
    enum outcome outcome = CLIENT_REFUSED;

    assert_int_equal(gsasl_init(&ctx), GSASL_OK);
    buf_adds(&secret, client->password);
    buf_adds(&binding, client->binding ? client->binding : "");
    struct sasl_params p = { .user = client->user, .host = "mail.example", .port = 587, .tls = true, .offered = offered,
                             .binding_type = client->binding_type, .binding = client->binding ? &binding : NULL,
                             .secret = give, .ctx = &secret };
    Gsasl_session *g = serve(ctx, mechanism, server);
    struct sasl *s = sasl_start(mechanism, &p, &said, &has_initial, e);
    if (s && first)
        buf_addbuf(first, &said);
    while (s) {
        char *out = NULL;
        size_t n = 0;
        int code = gsasl_step(g, said.data, said.len, &out, &n);
        struct buf challenge = BUF_INIT;
        buf_add(&challenge, out ? out : "", n);
        gsasl_free(out);
        if (code != GSASL_OK && code != GSASL_NEEDS_MORE) {
            outcome = SERVER_REFUSED;
            buf_free(&challenge);
            break;
        }
        bool last = code == GSASL_OK, empty = challenge.len == 0;
        bool go_on = true;
        if (last && (with_reply || empty)) {
            if (sasl_finish(s, &challenge, e))
                outcome = ACCEPTED;
            go_on = false;
        } else {
            buf_reset(&said);
            go_on = sasl_step(s, &challenge, &said, e);
            if (go_on && last) {
                assert_int_equal(said.len, 0);
                if (sasl_finish(s, NULL, e))
                    outcome = ACCEPTED;
                go_on = false;
            }
        }
        buf_free(&challenge);
        if (!go_on)
            break;
    }
    sasl_free(s);
    gsasl_finish(g);
    gsasl_done(ctx);
    buf_free(&said);
    buf_free(&binding);
    buf_free(&secret);
    return outcome;
}

static void test_exchanges(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism;
        struct side client, server;
        enum outcome outcome;
    } rows[] = {
        { "SCRAM-SHA-256", { "user", "pencil", 0, 0 }, { "user", "pencil", 0, 0 }, ACCEPTED },
        { "SCRAM-SHA-1", { "user", "pencil", 0, 0 }, { "user", "pencil", 0, 0 }, ACCEPTED },
        { "SCRAM-SHA-256", { "a=b,c", "pässwörd €", 0, 0 }, { "a=b,c", "pässwörd €", 0, 0 }, ACCEPTED },
        { "SCRAM-SHA-256", { "user", "pencil", 0, 0 }, { "user", "pencils", 0, 0 }, SERVER_REFUSED },
        { "SCRAM-SHA-256-PLUS", { "u", "p", "tls-exporter", "0123456789" }, { "u", "p", "tls-exporter", "0123456789" }, ACCEPTED },
        { "SCRAM-SHA-1-PLUS", { "u", "p", "tls-exporter", "0123456789" }, { "u", "p", "tls-exporter", "0123456789" }, ACCEPTED },
        { "SCRAM-SHA-256-PLUS", { "u", "p", "tls-unique", "abc" }, { "u", "p", "tls-unique", "abc" }, ACCEPTED },
        { "SCRAM-SHA-1-PLUS", { "u", "p", "tls-unique", "abc" }, { "u", "p", "tls-unique", "abc" }, ACCEPTED },
        { "SCRAM-SHA-256-PLUS", { "u", "p", "tls-exporter", "one" }, { "u", "p", "tls-exporter", "two" }, SERVER_REFUSED },
        { "CRAM-MD5", { "tim", "tanstaaftanstaaf", 0, 0 }, { "tim", "tanstaaftanstaaf", 0, 0 }, ACCEPTED },
        { "CRAM-MD5", { "tim", "tanstaaf", 0, 0 }, { "tim", "tanstaaftanstaaf", 0, 0 }, SERVER_REFUSED },
        { "DIGEST-MD5", { "tim", "secret", 0, 0 }, { "tim", "secret", 0, 0 }, ACCEPTED },
        { "DIGEST-MD5", { "tim", "secret", 0, 0 }, { "tim", "other", 0, 0 }, SERVER_REFUSED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int with_reply = 0; with_reply < 2; with_reply++) {
            struct err e = ERR_INIT;
            enum outcome outcome = run(rows[i].mechanism, &rows[i].client, &rows[i].server, NULL, with_reply, NULL, &e);
            if (outcome != rows[i].outcome)
                fail_msg("row %zu %s: outcome %d (%s)", i, rows[i].mechanism, outcome, e.text ? e.text : "");
            assert_int_equal(err_is_set(&e), outcome == CLIENT_REFUSED);
            err_clear(&e);
        }
    }
}

/* 'p' in -PLUS; 'n' where we cannot bind or -PLUS was offered and not taken; 'y' (or 'n', where the library cannot say 'y') where we
 * could and it was not offered. */
static void test_gs2_flag(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *offered;
        bool binding;
        const char *flags;
    } rows[] = {
        { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", true, "p" },
        { "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", false, "n" },
        { "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", true, "n" },
        { "SCRAM-SHA-256", "SCRAM-SHA-256", false, "n" },
        { "SCRAM-SHA-256", "SCRAM-SHA-256", true, "yn" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct side client = { "u", "p", "tls-exporter", rows[i].binding ? "0123456789" : NULL };
        struct side server = { "u", "p", "tls-exporter", rows[i].mechanism[13] ? "0123456789" : NULL };
        struct strlist offered = STRLIST_INIT;
        struct buf first = BUF_INIT;
        struct err e = ERR_INIT;
        strlist_split(&offered, rows[i].offered, " ");
        assert_int_equal(run(rows[i].mechanism, &client, &server, &offered, false, &first, &e), ACCEPTED);
        assert_non_null(strchr(rows[i].flags, first.data[0]));
        buf_free(&first);
        strlist_free(&offered);
    }
}

static void test_choose(void **state)
{
    (void)state;
    static const struct {
        const char *offered;
        bool tls, binding, clear_ok;
        const char *choice;
    } rows[] = {
        { "PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS", true, true, false, "SCRAM-SHA-256-PLUS" },
        { "PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS", true, true, false, "SCRAM-SHA-1-PLUS" },
        { "PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-1-PLUS", true, false, false, "SCRAM-SHA-256" },
        { "CRAM-MD5 PLAIN", true, false, false, "PLAIN" },
        { "CRAM-MD5 PLAIN", false, false, false, "CRAM-MD5" },
        { "CRAM-MD5 PLAIN", false, false, true, "CRAM-MD5" },
        { "NTLM GSSAPI DIGEST-MD5", true, false, false, "DIGEST-MD5" },
    };
    struct buf binding = BUF_INIT;
    buf_adds(&binding, "x");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct strlist offered = STRLIST_INIT;
        struct err e = ERR_INIT;
        strlist_split(&offered, rows[i].offered, " ");
        struct sasl_params p = { .user = "u", .tls = rows[i].tls, .clear_ok = rows[i].clear_ok,
                                 .binding_type = rows[i].binding ? "tls-exporter" : NULL, .binding = &binding };
        assert_string_equal(sasl_choose(&offered, "on", NULL, &p, &e), rows[i].choice);
        strlist_free(&offered);
    }
    buf_free(&binding);
}

/* RFC 2195 2 */
static void test_cram_md5_vector(void **state)
{
    (void)state;
    struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT, challenge = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    buf_adds(&secret, "tanstaaftanstaaf");
    buf_adds(&challenge, "<1896.697170952@postoffice.reston.mci.net>");
    struct sasl_params p = { .user = "tim", .secret = give, .ctx = &secret };
    struct sasl *s = sasl_start("CRAM-MD5", &p, &out, &has_initial, &e);
    assert_non_null(s);
    assert_false(has_initial);
    assert_true(sasl_step(s, &challenge, &out, &e));
    assert_string_equal(out.data, "tim b913a602c7eda7a495b4e6e7334d3890");
    assert_true(sasl_finish(s, NULL, &e));
    sasl_free(s);
    buf_free(&out);
    buf_free(&secret);
    buf_free(&challenge);
}

/* MS-NLMP 2.2.1: the shape of both messages; the challenge is the smallest there is. */
static void test_ntlm(void **state)
{
    (void)state;
    static const char type2[] = "NTLMSSP\0\2\0\0\0\0\0\0\0\060\0\0\0\1\2\0\0\001\043\105\147\211\253\315\357"
                                "\0\0\0\0\0\0\0\0\0\0\0\0\060\0\0";
    struct buf secret = BUF_SECRET_INIT, out = BUF_SECRET_INIT, challenge = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    buf_adds(&secret, "secret");
    buf_add(&challenge, type2, sizeof type2);
    struct sasl_params p = { .user = "user", .ntlm_domain = "DOM", .secret = give, .ctx = &secret };
    struct sasl *s = sasl_start("NTLM", &p, &out, &has_initial, &e);
    assert_non_null(s);
    assert_true(has_initial);
    assert_memory_equal(out.data, "NTLMSSP\0\1\0\0\0", 12);
    assert_non_null(memmem(out.data, out.len, "DOM", 3));
    buf_reset(&out);
    assert_true(sasl_step(s, &challenge, &out, &e));
    assert_memory_equal(out.data, "NTLMSSP\0\3\0\0\0", 12);
    assert_non_null(memmem(out.data, out.len, "u\0s\0e\0r\0", 8));
    assert_true(sasl_finish(s, NULL, &e));
    sasl_free(s);
    buf_free(&out);
    buf_free(&secret);
    buf_free(&challenge);
}

/* What the server may say to a SCRAM client's first message; %s is the client's nonce. */
static void test_bad_servers(void **state)
{
    (void)state;
    static const struct {
        const char *answer; /* NULL: says yes at once */
        bool tls;
        enum fault fault;
        const char *words;
    } rows[] = {
        { NULL, true, FAULT_AUTH, "has not proved" },
        { "", true, FAULT_PROTOCOL, "challenge" },
        { "garbage", true, FAULT_PROTOCOL, "challenge" },
        { "r=other,s=c2FsdA==,i=4096", true, FAULT_AUTH, "wrong" },
        { "r=%sx,s=c2FsdA==,i=2000001", true, FAULT_AUTH, "rounds of key derivation" },
        { "r=%sx,s=c2FsdA==,i=99999999999999999999999", true, FAULT_AUTH, "rounds of key derivation" },
        { "r=%sx,s=c2FsdA==,i=1", false, FAULT_AUTH, "rounds of key derivation" },
        { "r=%sx,s=c2FsdA==,i=-5", true, FAULT_AUTH, "rounds of key derivation" },
        { "r=%sx,s=c2FsdA==,i=0", true, FAULT_PROTOCOL, "challenge" },
        { "r=%s\001,s=c2FsdA==,i=3000000", true, FAULT_PROTOCOL, "challenge" }, /* \1 stands for NUL */
        { "r=%sx,s=c2FsdA==,i=4297967296", true, FAULT_AUTH, "rounds of key derivation" }, /* 2^32 and three million */
        { "e=unknown-user\r\n", true, FAULT_AUTH, "unknown-user" },
        { "r=%sx,s=c2FsdA==,i=4096", true, FAULT_AUTH, "wrong" }, /* then a false proof */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf secret = BUF_SECRET_INIT, first = BUF_SECRET_INIT, out = BUF_SECRET_INIT, challenge = BUF_INIT;
        struct err e = ERR_INIT;
        bool has_initial;
        buf_adds(&secret, "pencil");
        struct sasl_params p = { .user = "user", .tls = rows[i].tls, .secret = give, .ctx = &secret };
        struct sasl *s = sasl_start("SCRAM-SHA-256", &p, &first, &has_initial, &e);
        assert_non_null(s);
        const char *answer = rows[i].answer, *hole = answer ? strstr(answer, "%s") : NULL;
        if (hole) {
            buf_add(&challenge, answer, (size_t)(hole - answer));
            buf_adds(&challenge, strstr(first.data, ",r=") + 3);
            answer = hole + 2;
        }
        buf_adds(&challenge, answer ? answer : "");
        for (char *c = challenge.data; (c = strchr(c, 1)) != NULL;)
            *c = '\0';
        clock_t begin = clock();
        bool ok = answer ? sasl_step(s, &challenge, &out, &e) : sasl_finish(s, &challenge, &e);
        if (ok) {
            buf_reset(&challenge);
            buf_adds(&challenge, "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
            assert_false(sasl_finish(s, &challenge, &e));
        }
        if (e.fault != rows[i].fault || !strstr(e.text, rows[i].words))
            fail_msg("row %zu: fault %d '%s'", i, e.fault, e.text ? e.text : "");
        assert_true(clock() - begin < CLOCKS_PER_SEC);
        err_clear(&e);
        sasl_free(s);
        buf_free(&secret);
        buf_free(&first);
        buf_free(&out);
        buf_free(&challenge);
    }
}

/* libgsasl and Kerberos leak when they fail like this: in a child that becomes
 * another program before any checker looks. */
static void in_child(bool (*check)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(execlp(check() ? "true" : "false", "check", NULL));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool password_not_utf8(void)
{
    struct side client = { "user", "\xff\xfe", 0, 0 }, server = { "user", "x", 0, 0 };
    struct err e = ERR_INIT;
    return run("SCRAM-SHA-256", &client, &server, NULL, false, NULL, &e) == CLIENT_REFUSED && strstr(e.text, "cannot be used");
}

static bool no_ticket(void)
{
    struct buf out = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial;
    struct sasl_params p = { .user = "u", .host = "mail.example", .tls = true };
    return !sasl_start("GSSAPI", &p, &out, &has_initial, &e) && e.fault == FAULT_AUTH
           && strcmp(e.text, "there is no Kerberos ticket for smtp/mail.example") == 0;
}

static void test_password_not_utf8(void **state)
{
    (void)state;
    in_child(password_not_utf8);
}

static void test_gssapi_without_ticket(void **state)
{
    (void)state;
    in_child(no_ticket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),       cmocka_unit_test(test_gs2_flag),    cmocka_unit_test(test_choose),
        cmocka_unit_test(test_cram_md5_vector), cmocka_unit_test(test_bad_servers), cmocka_unit_test(test_gssapi_without_ticket),
        cmocka_unit_test(test_password_not_utf8), cmocka_unit_test(test_ntlm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
