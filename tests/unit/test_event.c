/* event: templates, who is told, and that no secret comes through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/codec.h"
#include "base/event.h"

static void formats(const struct field *fields, const char *template, const char *want)
{
    struct buf b = BUF_INIT;
    const struct event ev = { .kind = EV_NOTE, .fields = fields };
    event_format(&ev, template, &b);
    assert_string_equal(b.data, want);
    buf_free(&b);
}

static void templates(void **state)
{
    (void)state;
    struct strlist list = STRLIST_INIT, none = STRLIST_INIT;
    strlist_add(&list, "a");
    strlist_add(&list, "b\n");
    const struct field fields[] = {
        F_STR("s", "x\r\x1b[0m"), F_STR("empty", ""), F_STR("null", NULL), F_INT("i", -5), F_BOOL("t", true), F_BOOL("f", false),
        F_LIST("l", &list), F_LIST("none", &none), F_TIME("when", 0), F_INT_IF("unknown", false, 1), F_INT_IF("known", true, 7),
        F_STRN("part", "abcdef", 3), { .type = FIELD_END },
    };
    static const struct { const char *template, *want; } rows[] = {
        { "", "" }, { "plain ] [ } text", "plain ] [ } text" }, { "{s}", "x\\x0D\\x1B[0m" }, { "<{empty}{null}{missing}>", "<>" },
        { "{i} {t} {f} {l} {when}", "-5 yes no a, b\\x0A 1970-01-01T00:00:00Z" }, { "{part}", "abc" },
        { "a[[ {i}]]b", "a -5b" }, { "a[[ {missing}]]b", "ab" }, { "a[[ {empty}]]b", "ab" }, { "a[[ {null}]]b", "ab" },
        { "a[[ {none}]]b", "ab" }, { "[[{t}yes]][[{!t}no]]", "yes" }, { "[[{f}yes]][[{!f}no]]", "no" }, { "[[{!missing}no]]", "" },
        { "[[{i} {missing}]].", "." }, { "[[{unknown}]][[{known}]]", "7" }, { "[[{i}", "-5" }, { "{i", "{i" }, { "]]", "]]" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        formats(fields, rows[i].template, rows[i].want);
    strlist_free(&list);
}

static void rows_are_whole(void **state)
{
    (void)state;
    for (int i = 0; i < EV_COUNT; i++) {
        assert_non_null(event_word((enum event_kind)i));
        /* what the server's lines show already */
        bool silent = i == EV_GREETING || i == EV_CAPABILITY || i == EV_OCTETS;
        assert_int_equal(event_template((enum event_kind)i) == NULL, silent);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(event_word((enum event_kind)i), event_word((enum event_kind)k));
    }
    formats((const struct field[]){ F_STR("line", "EHLO x"), { .type = FIELD_END } }, event_template(EV_CLIENT), "C: EHLO x");
    formats((const struct field[]){ F_STR("host", "mail"), F_STR("address", "::1"), F_INT("port", 25), F_STR("local", NULL),
                                    { .type = FIELD_END } }, event_template(EV_CONNECTED), "# connected to mail (::1) port 25");
    formats((const struct field[]){ F_STR("version", "TLS1.3"), F_STR("cipher", "AES-256-GCM"), F_STR("group", "X25519"),
                                    F_BOOL("resumed", false), F_BOOL("verified", true), F_STR("how", "trust"), { .type = FIELD_END } },
            event_template(EV_TLS), "# TLS1.3 AES-256-GCM X25519, verified (trust)");
}

struct heard {
    int n;
    enum event_kind kind;
    unsigned connection;
    usec time;
    struct buf text;
};

static void hear(void *ctx, const struct event *ev)
{
    struct heard *h = ctx;
    h->n++;
    h->kind = ev->kind;
    h->connection = ev->connection;
    h->time = ev->time;
    buf_reset(&h->text);
    event_format(ev, event_template(ev->kind), &h->text);
}

static void listening(void **state)
{
    (void)state;
    struct hub h;
    struct heard a = { .text = BUF_INIT }, b = { .text = BUF_INIT };
    emit(NULL, 1, EV_NOTE, F_STR("text", "nobody"));
    assert_false(hub_wants(NULL, EV_NOTE));
    hub_init(&h);
    emit(&h, 1, EV_NOTE, F_STR("text", "nobody"));
    hub_listen(&h, EV_MASK(EV_NOTE), hear, &a);
    hub_listen(&h, EV_ALL, hear, &b);
    assert_true(hub_wants(&h, EV_CONTENT));
    emit(&h, 3, EV_NOTE, F_STR("text", "hello"));
    emit(&h, 3, EV_WARNING, F_STR("text", "bad"));
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 2);
    assert_int_equal(b.connection, 3);
    assert_true(a.time >= 0 && b.time >= a.time && b.time < 60 * USEC_PER_SEC);
    assert_string_equal(a.text.data, "# hello");
    assert_string_equal(b.text.data, "# warning: bad");
    hub_unlisten(&h, &b);
    assert_false(hub_wants(&h, EV_WARNING));
    assert_true(hub_wants(&h, EV_NOTE));
    hub_free(&h);
    hub_free(&h);
    buf_free(&a.text);
    buf_free(&b.text);
}

static void secrets(void **state)
{
    (void)state;
    struct hub h;
    struct heard a = { .text = BUF_INIT };
    hub_init(&h);
    hub_listen(&h, EV_ALL, hear, &a);
    emit(&h, 1, EV_CLIENT, F_CUT("line", "AUTH PLAIN AGpvZQ==", 19, 11));
    assert_string_equal(a.text.data, "C: AUTH PLAIN ***");
    emit(&h, 1, EV_CLIENT, F_CUT("line", "QUIT", 4, 4));
    assert_string_equal(a.text.data, "C: QUIT");

    hub_hide(&h, "hunter2", 7);
    hub_hide(&h, "ab", 2); /* too short to be looked for */
    hub_hide(&h, "tok\0en", 6);
    emit(&h, 1, EV_SERVER, F_STR("line", "535 no hunter2 hunter2hunter2x, ab aHVudGVyMg=="));
    assert_string_equal(a.text.data, "S: 535 no *** ******x, ab ***");
    for (int user = 0; user < 4; user++) { /* each bit offset of base64 */
        struct buf plain = BUF_INIT, line = BUF_INIT;
        buf_addc(&plain, '\0');
        buf_add(&plain, "joe!", (size_t)user);
        buf_add(&plain, "\0hunter2", 8);
        base64_encode(&line, plain.data, plain.len);
        emit(&h, 1, EV_SERVER, F_STR("line", line.data));
        assert_non_null(strstr(a.text.data, "***"));
        size_t start = (8 * (size_t)(user + 2) + 5) / 6, end = 8 * plain.len / 6;
        assert_null(memmem(a.text.data, a.text.len, line.data + start, end - start));
        buf_free(&plain);
        buf_free(&line);
    }
    struct buf text = BUF_INIT;
    buf_adds(&text, "hunter2");
    hub_mask(&h, &text);
    hub_mask(NULL, &text);
    assert_string_equal(text.data, "***");
    buf_free(&text);
    hub_unhide(&h);
    emit(&h, 1, EV_NOTE, F_STR("text", "hunter2"), F_STR("null", NULL));
    assert_string_equal(a.text.data, "# hunter2");
    hub_hide(&h, "*****", 5); /* what is put in place is not looked at again */
    emit(&h, 1, EV_NOTE, F_STR("text", "**********"), F_STR("null", NULL), F_INT("i", 1));
    assert_string_equal(a.text.data, "# ******");
    hub_free(&h);
    buf_free(&a.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates), cmocka_unit_test(rows_are_whole), cmocka_unit_test(listening), cmocka_unit_test(secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
