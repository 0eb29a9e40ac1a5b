/* Recipients and sender read out of a message, headers added and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/ascii.h"
#include "mail/prepare.h"

static void load(struct message *m, const char *text)
{
    struct err e = ERR_INIT;
    message_init(m);
    assert_true(message_from_memory(m, text, strlen(text), &e));
}

static void test_recipients(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "Subject: x\n\n", "" },
        { "To: a@x\nCc: b@x, c@x\nBcc: d@x\nto: e@x, A@x\nbcc : a@X\n\n", "a@x e@x A@x b@x c@x d@x a@X " },
        { "To: g: a@x, b@x;\nCc: undisclosed-recipients:;\n\n", "a@x b@x " },
        { "To: Joe\n <a@x>,\n b@x\n\n", "a@x b@x " },
        { "Resent-To: r@x\nResent-Bcc: s@x\nTo: a@x\n\n", "r@x s@x " },
        { "Received: x\nResent-From: m@x\nResent-To: r@x\nReceived: y\nResent-To: old@x\nTo: a@x\n\n", "r@x " },
        { "Resent-Date: x\nResent-To: r@x\nResent-Date: y\nResent-To: old@x\nTo: a@x\n\n", "r@x " },
        { "Resent-From: m@x\nTo: a@x\n\n", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mailbox_list list = MAILBOX_LIST_INIT;
        struct err e = ERR_INIT;
        struct message m;
        struct buf got = BUF_INIT;
        load(&m, rows[i].in);
        assert_true(prepare_recipients(&list, &m, &e));
        for (size_t k = 0; k < list.n; k++)
            buf_printf(&got, "%s ", list.v[k].address);
        assert_string_equal(got.data, rows[i].out);
        buf_free(&got);
        mailbox_list_free(&list);
        message_free(&m);
    }
}

static void test_bad_recipients(void **state)
{
    (void)state;
    struct mailbox_list list = MAILBOX_LIST_INIT;
    struct err e = ERR_INIT;
    struct message m;
    load(&m, "To: a@x\nCc: b@x, joe doe\n\n");
    assert_false(prepare_recipients(&list, &m, &e));
    assert_int_equal(e.fault, FAULT_MESSAGE);
    assert_non_null(strstr(e.text, "the header 'Cc' cannot be read: "));
    assert_non_null(strstr(e.text, "at column 6: 'joe doe'"));
    assert_non_null(e.hint);
    mailbox_list_free(&list);
    err_clear(&e);
    message_free(&m);
}

static void test_sender(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "To: a@x\n\n", NULL },
        { "From: Me <me@x>, you@x\n\n", "me@x" },
        { "Resent-From: r@x\nFrom: me@x\n\n", "r@x" },
        { "Resent-To: r@x\nFrom: me@x\n\n", "me@x" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        struct message m;
        char *got;
        load(&m, rows[i].in);
        assert_true(prepare_sender(&m, &got, &e));
        if (rows[i].out)
            assert_string_equal(got, rows[i].out);
        else
            assert_null(got);
        free(got);
        message_free(&m);
    }
}

/* Date and Message-ID differ each time: rows ask for them as "Date: *". */
static void test_message(void **state)
{
    (void)state;
    const struct {
        const char *in, *sender;
        struct prepare_params p;
        const char *out;
    } rows[] = {
        { "A: b\n\n", "me@x", { .set_from = TRI_AUTO }, "A: b\r\nFrom: me@x\r\n" },
        { "A: b\n\n", "me@x", { .set_from = TRI_AUTO, .from = "you@y", .from_full_name = "Doe, Joe" },
          "A: b\r\nFrom: \"Doe, Joe\" <you@y>\r\n" },
        { "A: b\n\n", "jü@müller.example", { .set_from = TRI_AUTO, .from_full_name = "Jü" },
          "A: b\r\nFrom: =?UTF-8?B?SsO8?= <jü@müller.example>\r\n" },
        { "A: b\n\n", "", { .set_from = TRI_AUTO, .domain = "x.example" }, "A: b\r\nFrom: MAILER-DAEMON@x.example\r\n" },
        { "A: b\n\n", NULL, { .set_from = TRI_AUTO }, "A: b\r\n" },
        { "A: b\nFrom : x@y\nC: d\n\n", "me@x", { .set_from = TRI_AUTO }, "A: b\r\nFrom : x@y\r\nC: d\r\n" },
        { "A: b\nfrom: x@y\nC: d\n\n", "me@x", { .set_from = TRI_ON }, "A: b\r\nFrom: me@x\r\nC: d\r\n" },
        { "A: b\n\n", "me@x", { .set_from = TRI_OFF }, "A: b\r\n" },
        { "Return-Path: <x@y>\nreturn-PATH : z\nA: b\n\n", "me@x", { 0 }, "A: b\r\n" },
        { "Bcc: a@x\nBCC : b@x\nResent-Bcc\t: c@x\n folded@x\nA: b\n\n", "", { .remove_bcc = true }, "A: b\r\n" },
        { "Bcc: a@x\n\n", "", { 0 }, "Bcc: a@x\r\n" },
        { "A: b\n\n", "", { .set_to_undisclosed = true }, "A: b\r\nTo: undisclosed-recipients:;\r\n" },
        { "Cc: b\n\n", "", { .set_to_undisclosed = true }, "Cc: b\r\n" },
        { "To: a\nA: b\nCc: c\nBcc : d\n\n", "", { .undisclosed = true }, "A: b\r\nTo: undisclosed-recipients:;\r\n" },
        { "Date: d\nMessage-Id: i\n\n", "", { .set_date = TRI_AUTO, .set_msgid = TRI_AUTO },
          "Date: d\r\nMessage-Id: i\r\n" },
        { "A: b\n\n", "me@x.example", { .set_date = TRI_AUTO, .set_msgid = TRI_AUTO },
          "A: b\r\nDate: *\r\nMessage-ID: <*@x.example>\r\n" },
        { "Message-ID: i\nA: b\n\n", "me@[192.0.2.1]", { .set_msgid = TRI_ON },
          "Message-ID: <*@[192.0.2.1]>\r\nA: b\r\n" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope env = ENVELOPE_INIT;
        struct err e = ERR_INIT;
        struct message m;
        struct buf got = BUF_INIT;
        load(&m, rows[i].in);
        env.sender = xstrdup(rows[i].sender);
        assert_true(prepare_message(&m, &rows[i].p, &env, &e));
        header_list_write(&m.headers, &got);
        if (!ascii_wildmatch(rows[i].out, got.data))
            print_error("row %zu: %s", i, got.data);
        assert_true(ascii_wildmatch(rows[i].out, got.data));
        buf_free(&got);
        envelope_free(&env);
        message_free(&m);
    }
}

static void test_date(void **state)
{
    (void)state;
    static const struct { const char *tz; long long when; const char *out; } rows[] = {
        { "UTC0", 0, "Thu, 1 Jan 1970 00:00:00 +0000" },
        { "CET-1", 1795301056, "Sat, 21 Nov 2026 23:44:16 +0100" },
        { "NST3:30", 1795301056, "Sat, 21 Nov 2026 19:14:16 -0330" },
        { "XXX0:30", 1795301056, "Sat, 21 Nov 2026 22:14:16 -0030" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf got = BUF_INIT;
        setenv("TZ", rows[i].tz, 1);
        tzset();
        stamp_date(&got, rows[i].when);
        assert_string_equal(got.data, rows[i].out);
        buf_free(&got);
    }
}

static void test_message_id(void **state)
{
    (void)state;
    struct buf a = BUF_INIT, b = BUF_INIT;
    stamp_message_id(&a, "x.example");
    stamp_message_id(&b, "x.example");
    assert_true(ascii_wildmatch("<*.*@x.example>", a.data));
    assert_string_not_equal(a.data, b.data);
    buf_reset(&a);
    stamp_message_id(&a, "müller.example"); /* its ASCII form, or the host's name without libidn2 */
    assert_true(ascii_only(a.data, a.len));
    buf_reset(&a);
    stamp_message_id(&a, "evil>\r\nBcc: x"); /* not fit for an id: the host's name instead */
    assert_null(strstr(a.data, "evil"));
    assert_true(ascii_wildmatch("<*@*>", a.data));
    buf_free(&a);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recipients), cmocka_unit_test(test_bad_recipients), cmocka_unit_test(test_sender),
        cmocka_unit_test(test_message),    cmocka_unit_test(test_date),           cmocka_unit_test(test_message_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
