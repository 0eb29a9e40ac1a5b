/* sight: events become facts of the right sight; and which sights mail could go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "send/sight.h"

static struct hub hub;
static struct scene scene;

static int setup(void **state)
{
    (void)state;
    hub_init(&hub);
    hub_listen(&hub, SIGHT_EVENTS, sight_event, &scene);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hub_free(&hub);
    scene_free(&scene);
    return 0;
}

static void to(unsigned connection, enum event_kind kind, const char *address, int reason)
{
    emit(&hub, connection, kind, F_STR("host", "mx.example"), F_STR("address", address), F_INT("port", 587),
         F_INT_IF("errno", reason, reason), F_STR("local", "192.0.2.9"));
}

static void line(unsigned connection, const char *text)
{
    emit(&hub, connection, EV_SERVER, F_STR("line", text), F_BOOL("unexpected", false));
}

static void capability(unsigned connection, const char *keyword, const char *parameters, bool tls, const struct strlist *mechanisms)
{
    emit(&hub, connection, EV_CAPABILITY, F_STR("keyword", keyword), F_STR("parameters", parameters), F_BOOL("tls", tls),
         mechanisms ? F_LIST("mechanisms", mechanisms) : F_STR("mechanisms", NULL));
}

static void end(struct sight *v, enum fault fault, enum stage stage, const char *server)
{
    struct err e = ERR_INIT;
    if (fault != FAULT_NONE) {
        err_set(&e, fault, "it ended");
        err_stage(&e, stage);
        if (server)
            err_server(&e, server);
    }
    sight_ended(v, &e);
    err_clear(&e);
}

/* A delivery that tries three addresses: one fails, one wins, one is left alone. */
static void test_addresses(void **state)
{
    (void)state;
    to(7, EV_CONNECTING, "2001:db8::1", 0);
    to(7, EV_CONNECTING, "192.0.2.1", 0);
    to(7, EV_CONNECTING, "192.0.2.2", 0);
    to(7, EV_CONNECT_FAILED, "2001:db8::1", EACCES);
    to(7, EV_CONNECTED, "192.0.2.1", 0);
    emit(&hub, 7, EV_GREETING, F_STR("text", "mx.example"));
    emit(&hub, 8, EV_GREETING, F_STR("text", "of a connection that nobody began"));
    emit(&hub, 7, EV_PHASE, F_STR("name", "greeting"), F_INT("us", 12));

    assert_int_equal(scene.n_sights, 3);
    assert_int_equal(scene.connections, 8);
    const struct sight *six = &scene.sights[0], *won = &scene.sights[1], *left = &scene.sights[2];
    assert_int_equal(six->family, AF_INET6);
    assert_int_equal(six->port, 587);
    assert_true(six->done && six->reach == REACH_PROHIBITED && six->reason == EACCES);
    assert_true(sight_is_open(won) && won->family == AF_INET);
    assert_string_equal(won->local, "192.0.2.9");
    assert_string_equal(won->greeting, "mx.example");
    assert_int_equal(won->n_phases, 1);
    assert_int_equal(won->phases[0].stage, STAGE_GREETING);
    assert_int_equal(won->phases[0].us, 12);
    assert_false(left->done || sight_is_open(left));
    to(9, EV_CONNECTING, "192.0.2.3", 0);
    to(9, EV_CONNECT_FAILED, "192.0.2.3", ETIMEDOUT);
    assert_true(scene.sights[3].done && scene.sights[3].reach == REACH_SILENT && scene.sights[3].reason == 0);
}

static void test_dialogue(void **state)
{
    (void)state;
    struct strlist login = STRLIST_INIT, names = STRLIST_INIT, problems = STRLIST_INIT;
    strlist_add(&login, "LOGIN");
    strlist_add(&names, "other.example");
    strlist_add(&problems, "wrong-name");
    to(1, EV_CONNECTING, "192.0.2.1", 0);
    struct sight *v = &scene.sights[0];
    assert_int_equal(sight_stage(v), STAGE_CONNECT);
    to(1, EV_CONNECTED, "192.0.2.1", 0);
    assert_int_equal(sight_stage(v), STAGE_GREETING);
    line(1, "220 mx.example");
    emit(&hub, 1, EV_GREETING, F_STR("text", "mx.example"));
    assert_int_equal(sight_stage(v), STAGE_EHLO);
    line(1, "250-mx.example");
    assert_int_equal(sight_stage(v), STAGE_EHLO);
    line(1, "250 STARTTLS");
    capability(1, "SIZE", "100", false, NULL);
    capability(1, "STARTTLS", NULL, false, NULL);
    assert_int_equal(sight_stage(v), STAGE_STARTTLS);
    emit(&hub, 1, EV_PHASE, F_STR("name", "starttls"), F_INT("us", 3));
    assert_int_equal(sight_stage(v), STAGE_TLS);
    emit(&hub, 1, EV_TLS, F_STR("version", "TLS1.3"), F_STR("cipher", "AES-256-GCM"), F_BOOL("verified", false),
         F_STR("problem", "it is for other.example"), F_LIST("problems", &problems));
    emit(&hub, 1, EV_CERTIFICATE, F_INT("depth", 0), F_STR("subject", "CN=other"), F_STR("issuer", "CN=CA"), F_LIST("names", &names),
         F_TIME("not_before", 1000), F_TIME("not_after", 2000), F_INT("days_left", -3), F_STR("sha256", "AA:BB"));
    emit(&hub, 1, EV_CERTIFICATE, F_INT("depth", 1), F_STR("subject", "CN=CA"));
    assert_int_equal(sight_stage(v), STAGE_EHLO);
    capability(1, "AUTH", "LOGIN", true, &login);
    assert_int_equal(sight_stage(v), STAGE_NONE);
    end(v, FAULT_NONE, STAGE_NONE, NULL);

    assert_true(v->looked && v->ehlo_answered && v->starttls_offered && !v->starttls_masked && !v->banner_masked && !v->closed_at_once);
    assert_string_equal(v->heard, "220 mx.example");
    assert_int_equal(v->ehlo.n, 2);
    assert_string_equal(v->ehlo.v[0], "SIZE 100");
    assert_string_equal(v->ehlo_tls.v[0], "AUTH LOGIN");
    assert_int_equal(v->auth.n, 0);
    assert_string_equal(v->auth_tls.v[0], "LOGIN");
    assert_true(v->tls.up && !v->tls.verified && v->tls.days_left == -3 && v->tls.not_before == 1000 && v->tls.not_after == 2000);
    assert_string_equal(v->tls.subject, "CN=other");
    assert_string_equal(v->tls.names.v[0], "other.example");
    assert_string_equal(v->tls.problems.v[0], "wrong-name");
    strlist_free(&login);
    strlist_free(&names);
    strlist_free(&problems);
}

static void test_masked(void **state)
{
    (void)state;
    static const struct { const char *greeting; bool masked; } rows[] = {
        { "*****************2******0*00", true },
        { "****************************", true },
        { "mx.example ESMTP ******** welcome to a long greeting", false },
        { "*** mx ***", false },
        { "", false },
    };
    to(1, EV_CONNECTING, "192.0.2.1", 0);
    to(1, EV_CONNECTED, "192.0.2.1", 0);
    struct sight *v = &scene.sights[0];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        emit(&hub, 1, EV_GREETING, F_STR("text", rows[i].greeting));
        assert_int_equal(v->banner_masked, rows[i].masked);
    }
    capability(1, "XXXXXXXA", NULL, false, NULL);
    assert_string_equal(v->starttls_masked, "XXXXXXXA");
    assert_false(v->starttls_offered);
}

/* What a server says is kept fit to be shown. */
static void test_harmless(void **state)
{
    (void)state;
    struct strlist evil = STRLIST_INIT;
    char text[302] = "a";
    for (size_t i = 1; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof text - 1] = '\0';
    to(1, EV_CONNECTING, "192.0.2.1", 0);
    to(1, EV_CONNECTED, "192.0.2.1", 0);
    line(1, text);
    const struct sight *v = &scene.sights[0];
    assert_int_equal(strlen(v->heard), 199); /* not within a character */
    strlist_add(&evil, "PLAIN\033[2J\xff");
    capability(1, "AUTH", NULL, false, &evil);
    assert_string_equal(v->auth.v[0], "PLAIN\\x1B[2J\\xFF");
    strlist_free(&evil);
}

static void test_ends(void **state)
{
    (void)state;
    static const struct {
        const char *line;  /* heard; NULL: nothing */
        bool tls;
        enum fault fault;
        enum stage stage;
        const char *server;
        bool closed_at_once;
        const char *heard;
    } rows[] = {
        { NULL, false, FAULT_LOST, STAGE_GREETING, NULL, true, NULL },
        { NULL, false, FAULT_LOST, STAGE_TLS, NULL, true, NULL },
        { NULL, false, FAULT_TIMEOUT, STAGE_GREETING, NULL, false, NULL },
        { "554 go away", false, FAULT_UNAVAILABLE, STAGE_GREETING, "554 go away", false, "554 go away" },
        { NULL, false, FAULT_TLS, STAGE_TLS, "HTTP/1.1 400", false, "HTTP/1.1 400" },
        { NULL, true, FAULT_LOST, STAGE_GREETING, NULL, false, NULL },
        { "SSH-2.0-x\x1b", false, FAULT_PROTOCOL, STAGE_GREETING, NULL, false, "SSH-2.0-x\\x1B" },
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        to(i + 1, EV_CONNECTING, "192.0.2.1", 0);
        to(i + 1, EV_CONNECTED, "192.0.2.1", 0);
        if (rows[i].line)
            line(i + 1, rows[i].line);
        if (rows[i].tls)
            emit(&hub, i + 1, EV_TLS, F_STR("version", "TLS1.3"), F_BOOL("verified", true));
        struct sight *v = &scene.sights[i];
        end(v, rows[i].fault, rows[i].stage, rows[i].server);
        assert_int_equal(v->closed_at_once, rows[i].closed_at_once);
        assert_int_equal(v->err.fault, rows[i].fault);
        assert_int_equal(v->tls.up, rows[i].tls);
        if (rows[i].heard)
            assert_string_equal(v->heard, rows[i].heard);
        else
            assert_null(v->heard);
    }
}

static void test_usable(void **state)
{
    (void)state;
    static const struct {
        enum session_tls wanted;
        bool verify, auth;
        const char *mechanism;
        bool implicit, up, verified;
        const char *auth_clear, *auth_tls;
        enum stage failed;  /* STAGE_NONE: it did not */
        bool usable;
    } rows[] = {
        { SESSION_TLS_OFF, true, false, NULL, false, false, false, NULL, NULL, STAGE_NONE, true },
        { SESSION_TLS_OFF, true, false, NULL, false, false, false, NULL, NULL, STAGE_TLS, true },
        { SESSION_TLS_OFF, true, false, NULL, true, true, true, NULL, NULL, STAGE_NONE, false },
        { SESSION_TLS_OFF, true, true, NULL, false, true, true, NULL, "PLAIN", STAGE_NONE, false },
        { SESSION_TLS_OFF, true, true, NULL, false, true, true, "PLAIN", NULL, STAGE_NONE, true },
        { SESSION_TLS_MAY, false, false, NULL, false, false, false, NULL, NULL, STAGE_NONE, true },
        { SESSION_TLS_MAY, false, false, NULL, false, true, false, NULL, NULL, STAGE_NONE, true },
        { SESSION_TLS_MAY, false, false, NULL, false, false, false, NULL, NULL, STAGE_TLS, false },
        { SESSION_TLS_REQUIRED, true, false, NULL, false, false, false, NULL, NULL, STAGE_NONE, false },
        { SESSION_TLS_REQUIRED, true, false, NULL, false, true, false, NULL, NULL, STAGE_NONE, false },
        { SESSION_TLS_REQUIRED, true, false, NULL, false, true, true, NULL, NULL, STAGE_NONE, true },
        { SESSION_TLS_REQUIRED, false, false, NULL, false, true, false, NULL, NULL, STAGE_NONE, true },
        { SESSION_TLS_IMPLICIT, true, true, NULL, true, true, true, NULL, NULL, STAGE_NONE, false },
        { SESSION_TLS_IMPLICIT, true, true, NULL, true, true, true, NULL, "PLAIN", STAGE_NONE, true },
        { SESSION_TLS_IMPLICIT, true, true, "SCRAM-SHA-256", true, true, true, NULL, "PLAIN", STAGE_NONE, false },
        { SESSION_TLS_IMPLICIT, true, true, "PLAIN", true, true, true, NULL, "PLAIN", STAGE_NONE, true },
        { SESSION_TLS_IMPLICIT, true, true, "PLAIN", true, true, true, NULL, "PLAIN", STAGE_EHLO, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct scene s = { .question = { .tls = rows[i].wanted, .verify = rows[i].verify, .auth = rows[i].auth,
                                               .mechanism = (char *)rows[i].mechanism } };
        struct sight v = { .done = true, .reach = REACH_OPEN, .looked = true, .greeting = (char *)"x", .ehlo_answered = true,
                           .implicit = rows[i].implicit, .tls = { .up = rows[i].up, .verified = rows[i].verified } };
        if (rows[i].auth_clear)
            strlist_add(&v.auth, rows[i].auth_clear);
        if (rows[i].auth_tls)
            strlist_add(&v.auth_tls, rows[i].auth_tls);
        if (rows[i].failed != STAGE_NONE)
            v.err = (struct err){ .fault = FAULT_TLS, .stage = rows[i].failed };
        if (scene_usable(&s, &v) != rows[i].usable)
            fail_msg("row %zu", i);
        v.reach = REACH_REFUSED;
        assert_false(scene_usable(&s, &v));
        v = (struct sight){ .done = true, .auth = v.auth, .auth_tls = v.auth_tls };
        assert_false(scene_usable(&s, &v));
        strlist_free(&v.auth);
        strlist_free(&v.auth_tls);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dialogue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_masked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
        cmocka_unit_test(test_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
