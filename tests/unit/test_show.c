/* show: the same events as transcript, JSON lines and report; errors as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "show/show.h"

/* What a renderer wrote; the string is the caller's. */
struct sink {
    FILE *out;
    char *text;
    size_t n;
};

static void sink_open(struct sink *s)
{
    s->out = open_memstream(&s->text, &s->n);
    assert_non_null(s->out);
}

static void wrote(struct sink *s, const char *want)
{
    fclose(s->out);
    assert_string_equal(s->text, want);
    free(s->text);
}

static void dialogue(struct hub *h)
{
    h->start = clock_now();
    emit(h, 1, EV_CONNECTED, F_STR("host", "mail"), F_STR("address", "192.0.2.1"), F_INT("port", 587));
    emit(h, 1, EV_SERVER, F_STR("line", "220 \x1b[31mmail\xff"));
    emit(h, 1, EV_CLIENT, F_CUT("line", "AUTH PLAIN AGEAYg==", 19, 11));
    emit(h, 1, EV_CONTENT, F_STR("line", "Subject: x"));
    emit(h, 1, EV_PHASE, F_STR("name", "auth"), F_INT("us", 3));
    emit(h, 0, EV_WARNING, F_STR("text", "the file can be read by others"));
}

static void text(void **state)
{
    (void)state;
    static const struct { struct show_text t; const char *want; } rows[] = {
        { { .content = false },
          "# connected to mail (192.0.2.1) port 587\nS: 220 \\x1B[31mmail\\xFF\nC: AUTH PLAIN ***\n# warning: the file can be read by others\n" },
        { { .content = true, .several = true },
          "[1] # connected to mail (192.0.2.1) port 587\n[1] S: 220 \\x1B[31mmail\\xFF\n[1] C: AUTH PLAIN ***\n[1] C: Subject: x\n"
          "# warning: the file can be read by others\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hub h;
        struct sink s;
        struct show_text t = rows[i].t;
        hub_init(&h);
        sink_open(&s);
        t.out = s.out;
        show_text_open(&t, &h);
        assert_int_equal(hub_wants(&h, EV_CONTENT), t.content);
        dialogue(&h);
        wrote(&s, rows[i].want);
        hub_free(&h);
    }
}

static void text_with_timings(void **state)
{
    (void)state;
    struct hub h;
    struct sink s;
    hub_init(&h);
    sink_open(&s);
    struct show_text t = { .out = s.out, .timings = true };
    show_text_open(&t, &h);
    h.start = clock_now() - 5 * USEC_PER_SEC;
    emit(&h, 1, EV_SERVER, F_STR("line", "220 x"));
    emit(&h, 1, EV_PHASE, F_STR("name", "greeting"), F_INT("us", 5000));
    fclose(s.out);
    assert_memory_equal(s.text, "# +5", 4);
    assert_non_null(strstr(s.text, " ms\nS: 220 x\n"));
    assert_non_null(strstr(s.text, "# greeting: 5000 us\n"));
    free(s.text);
    hub_free(&h);
}

static void json_lines(void **state)
{
    (void)state;
    struct hub h;
    struct sink s;
    struct strlist list = STRLIST_INIT;
    strlist_add(&list, "192.0.2.1");
    strlist_add(&list, "::1");
    hub_init(&h);
    sink_open(&s);
    struct show_json j = { .out = s.out };
    show_json_open(&j, &h);
    assert_false(hub_wants(&h, EV_CONTENT));
    emit(&h, 2, EV_LOOKUP, F_STR("host", "a\"b"), F_LIST("addresses", &list), F_STR("null", NULL), F_INT_IF("x", false, 1));
    emit(&h, 0, EV_CERTIFICATE, F_INT("depth", 0), F_TIME("not_after", 1795294800), F_BOOL("ok", true), F_STR("line", "\xff"));
    fclose(s.out);
    char *first = strstr(s.text, "\"t\":"), *second = strstr(s.text, "\n{") + 1;
    assert_memory_equal(s.text, "{\"event\":\"lookup\",\"t\":0.", 24);
    assert_non_null(first);
    assert_non_null(strstr(s.text, ",\"connection\":2,\"host\":\"a\\\"b\",\"addresses\":[\"192.0.2.1\",\"::1\"]}\n"));
    assert_memory_equal(second, "{\"event\":\"certificate\",\"t\":0.", 29);
    assert_non_null(strstr(second, ",\"depth\":0,\"not_after\":\"2026-11-21T21:00:00Z\",\"ok\":true,\"line\":\"\xef\xbf\xbd\"}\n"));
    free(s.text);
    strlist_free(&list);
    hub_free(&h);
}

static void report(void **state)
{
    (void)state;
    struct hub h;
    struct sink s;
    struct strlist list = STRLIST_INIT;
    hub_init(&h);
    sink_open(&s);
    struct show_report *r = show_report_open(&h);
    emit(&h, 1, EV_CONNECTED, F_STR("host", "old"));
    emit(&h, 1, EV_CAPABILITY, F_STR("keyword", "DSN"));
    emit(&h, 1, EV_TLS, F_STR("version", "TLS1.2"));
    emit(&h, 1, EV_CERTIFICATE, F_INT("depth", 0), F_STR("subject", "CN=old"));
    emit(&h, 2, EV_CONNECTED, F_STR("host", "mail"));
    emit(&h, 2, EV_CLIENT, F_STR("line", "PROXY TCP4 192.0.2.1 192.0.2.2 1 25"));
    emit(&h, 2, EV_SERVER, F_STR("line", "220 welcome"));
    emit(&h, 2, EV_GREETING, F_STR("text", "welcome"));
    emit(&h, 2, EV_CLIENT, F_STR("line", "RCPT TO:<a@b>"));
    emit(&h, 2, EV_CLIENT, F_STR("line", "."));
    emit(&h, 2, EV_CLIENT, F_STR("line", "QUIT"));
    emit(&h, 2, EV_SERVER, F_STR("line", "250 2.1.5 ok"));
    emit(&h, 2, EV_SERVER, F_STR("line", "250-2.0.0 one"));
    emit(&h, 2, EV_SERVER, F_STR("line", "250 2.0.0 two"));
    emit(&h, 2, EV_SERVER, F_STR("line", "452 full"));
    emit(&h, 2, EV_CAPABILITY, F_STR("keyword", "SIZE"));
    emit(&h, 2, EV_TLS, F_STR("version", "TLS1.3"));
    emit(&h, 2, EV_CERTIFICATE, F_INT("depth", 0), F_STR("subject", "CN=mail"));
    emit(&h, 2, EV_PHASE, F_STR("name", "auth"), F_INT("us", 3));
    emit(&h, 0, EV_WARNING, F_STR("text", "one"));
    emit(&h, 0, EV_WARNING, F_STR("text", "two"));
    emit(&h, 0, EV_ADVICE, F_STR("text", "three"));
    emit(&h, 0, EV_RECIPIENT, F_STR("address", "a@b"), F_STR("fate", "accepted"), F_INT("code", 250));
    emit(&h, 0, EV_RESULT, F_STR("host", "gone"), F_STR("exitcode", "EX_TEMPFAIL"));
    emit(&h, 0, EV_RESULT, F_STR("host", "mail"), F_BOOL("tls", true), F_LIST("recipients", &list), F_STR("exitcode", "EX_OK"));
    show_report_close(r, s.out);
    emit(&h, 0, EV_WARNING, F_STR("text", "nobody listens"));
    wrote(&s, "{\"host\":\"mail\",\"exitcode\":\"EX_OK\",\"recipients\":[{\"address\":\"a@b\",\"fate\":\"accepted\",\"code\":250}],"
              "\"server\":{\"host\":\"mail\",\"greeting\":\"welcome\"},"
              "\"capabilities\":[{\"connection\":2,\"keyword\":\"SIZE\"}],"
              "\"replies\":[{\"connection\":2,\"code\":220,\"text\":\"welcome\"},"
              "{\"connection\":2,\"command\":\"RCPT TO:<a@b>\",\"code\":250,\"enhanced\":\"2.1.5\",\"text\":\"2.1.5 ok\"},"
              "{\"connection\":2,\"command\":\".\",\"code\":250,\"enhanced\":\"2.0.0\",\"text\":\"2.0.0 one\\n2.0.0 two\"},"
              "{\"connection\":2,\"command\":\".\",\"code\":452,\"text\":\"full\"}],"
              "\"phases\":[{\"connection\":2,\"name\":\"auth\",\"us\":3}],\"tls\":{\"connection\":2,\"version\":\"TLS1.3\"},"
              "\"certificates\":[{\"connection\":2,\"depth\":0,\"subject\":\"CN=mail\"}],\"warnings\":[\"one\",\"two\"],\"advice\":[\"three\"]}\n");

    sink_open(&s);
    show_report_close(show_report_open(&h), s.out);
    wrote(&s, "{\"recipients\":[],\"server\":null,\"capabilities\":[],\"replies\":[],\"phases\":[],\"tls\":null,\"certificates\":[],\"warnings\":[],\"advice\":[]}\n");
    show_report_close(show_report_open(&h), NULL);
    show_report_close(NULL, NULL);
    hub_free(&h);
}

static void progress(void **state)
{
    (void)state;
    struct hub h;
    struct sink s;
    hub_init(&h);
    sink_open(&s);
    struct show_progress p = { .out = s.out, .least = 1000 };
    show_progress_open(&p, &h);
    emit(&h, 1, EV_PROGRESS, F_INT("octets", 500), F_INT("total", 1000)); /* too small for a bar */
    assert_false(p.visible);
    emit(&h, 1, EV_PROGRESS, F_INT("octets", 500000), F_INT("total", 2000000));
    assert_true(p.visible);
    emit(&h, 1, EV_PROGRESS, F_INT("octets", 600000), F_INT("total", 2000000)); /* too soon to be drawn */
    emit(&h, 1, EV_BODY, F_INT("octets", 2000000));
    assert_false(p.visible);
    hub_free(&h);
    fclose(s.out);
    assert_memory_equal(s.text, "\r[##########                              ] 0.5 of 2.0 MB\r", 57);
    assert_null(strstr(s.text, "0.6"));
    free(s.text);
}

static void errors(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    show_err(&b, "envoi", &e);
    assert_string_equal(b.data, "");
    err_set(&e, FAULT_UNAVAILABLE, "the server refused the sender '%s'", "me\x1b@example.org");
    show_err(&b, "envoi", &e);
    assert_string_equal(b.data, "envoi: the server refused the sender 'me\\x1B@example.org'\n");
    buf_reset(&b);
    err_server(&e, "553-5.7.1 not owned\r\n553 5.7.1 by \x9b" "1m you");
    err_hint(&e, "set 'from'\nor log in");
    show_err(&b, "envoi", &e);
    assert_string_equal(b.data, "envoi: the server refused the sender 'me\\x1B@example.org'\n  server: 553-5.7.1 not owned\\x0D\n"
                                "  server: 553 5.7.1 by \\x9B1m you\n  hint: set 'from'\n        or log in\n");
    buf_free(&b);
    err_clear(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text), cmocka_unit_test(text_with_timings), cmocka_unit_test(json_lines),
        cmocka_unit_test(report), cmocka_unit_test(progress), cmocka_unit_test(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
