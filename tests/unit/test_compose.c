/* Composed messages octet for octet, their sizes, and what cannot be composed; headers and parameters; a composer as a message's source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "mail/compose.h"
#include "mail/media.h"
#include "mail/message.h"
#include "mail/mime_header.h"
#include "mail/transfer.h"

#define TEXT(s) .text = (s), .text_n = sizeof(s) - 1
#define M "=_m_AF63DC4C8601EC8C"
#define R "=_r_AF63DC4C8601EC8C"
#define A "=_a_AF63DC4C8601EC8C"

/* In portions of 1, 2, 3 … octets. */
static void drain(struct compose *c, struct buf *out)
{
    struct err e = ERR_INIT;
    size_t n, portion = 1;
    do {
        buf_reserve(out, portion);
        assert_true(compose_read(c, out->data + out->len, portion, &n, &e));
        assert_true(n <= portion);
        buf_cut(out, out->len + n);
        portion = portion % 97 + 1;
    } while (n);
}

static struct compose *make(const struct compose_part *parts, size_t n)
{
    struct err e = ERR_INIT;
    struct compose *c = compose_new("", parts, n, &e);
    if (!c)
        fail_msg("%s", e.text);
    compose_seed(c, "a");
    return c;
}

static void check(const struct compose_part *parts, size_t n, const char *want)
{
    struct buf got = BUF_INIT;
    struct compose *c = make(parts, n);
    for (int round = 0; round < 2; round++) {
        buf_reset(&got);
        drain(c, &got);
        assert_string_equal(got.data, want);
        assert_int_equal(compose_size(c), got.len);
        assert_true(compose_rewind(c));
    }
    compose_free(c);
    buf_free(&got);
}

static void structures(void **state)
{
    (void)state;
    static const struct { struct compose_part parts[4]; size_t n; const char *want; } cases[] = {
        { { { 0 } }, 0, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n" },
        { { { TEXT("") } }, 1, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n" },
        { { { TEXT("a\nb") } }, 1, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\na\r\nb\r\n" },
        { { { TEXT("a\rb\r\nc\n") } }, 1,
          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\na\r\nb\r\nc\r\n" },
        { { { TEXT("\303\244\n") } }, 1,
          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\303\244\r\n" },
        { { { TEXT("\344\n"), .charset = "iso-8859-1" } }, 1,
          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\344\r\n" },
        { { { TEXT("a\0b\0"), .type = "text/plain; charset=utf-16le" } }, 1,
          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBiAA==\r\n" },
        { { { TEXT("--=_x\n \t") } }, 1, /* what could be a boundary */
          "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
          "--=3D_x\r\n =09\r\n" },
        { { { TEXT("a") }, { TEXT("<b>"), .type = "text/html" } }, 2,
          "MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary=\"" A "\"\r\n\r\n"
          "--" A "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\na\r\n"
          "--" A "\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<b>\r\n--" A "--\r\n" },
        { { { TEXT("a"), .type = "text/html" }, { COMPOSE_INLINE, TEXT("GIF"), .type = "image/gif", .content_id = "i@x" } }, 2,
          "MIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n boundary=\"" R "\";\r\n type=\"text/html\"\r\n\r\n"
          "--" R "\r\nContent-Type: text/html; charset=us-ascii\r\n\r\na\r\n"
          "--" R "\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline\r\n"
          "Content-ID: <i@x>\r\n\r\nR0lG\r\n--" R "--\r\n" },
        { { { COMPOSE_ATTACHMENT, TEXT("\0"), .name = "a.bin" } }, 1,
          "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"" M "\"\r\n\r\n"
          "--" M "\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
          "Content-Disposition: attachment; filename=\"a.bin\"\r\n\r\nAA==\r\n--" M "--\r\n" },
        { { { COMPOSE_ATTACHMENT, TEXT("a\r\n"), .name = "a.txt" }, { COMPOSE_ATTACHMENT, TEXT("a\n\344"), .name = "b.txt" } }, 2,
          "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"" M "\"\r\n\r\n"
          "--" M "\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: base64\r\n"
          "Content-Disposition: attachment; filename=\"a.txt\"\r\n\r\nYQ0K\r\n"
          "--" M "\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
          "Content-Disposition: attachment; filename=\"b.txt\"\r\n\r\nYQrk\r\n--" M "--\r\n" },
        { { { COMPOSE_ATTACHMENT, TEXT("Subject: \303\244\n\nx"), .type = "message/rfc822" }, { TEXT("see") } }, 2,
          "MIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"" M "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
          "--" M "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nsee\r\n"
          "--" M "\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"
          "Content-Disposition: attachment\r\n\r\nSubject: \303\244\r\n\r\nx\r\n--" M "--\r\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(cases[i].parts, cases[i].n, cases[i].want);
}

static void refused(void **state)
{
    (void)state;
    static const struct { struct compose_part part; enum fault fault; const char *text; } cases[] = {
        { { TEXT("a\0") }, FAULT_MESSAGE, "the body holds a NUL octet" },
        { { TEXT("\344") }, FAULT_MESSAGE, "the body is not UTF-8" },
        { { TEXT("a"), .type = "text" }, FAULT_USAGE, "'text' is no media type" },
        { { TEXT("a"), .type = "text/plain\r\nX: y" }, FAULT_USAGE, "'text/plain\r\nX: y' is no media type" },
        { { TEXT("a"), .type = "text/plain;\n" }, FAULT_USAGE, "'text/plain;\n' is no media type" },
        { { TEXT("a"), .charset = "a b" }, FAULT_USAGE, "'a b' is no charset" },
        { { TEXT("a"), .content_id = "a>\r\n" }, FAULT_USAGE, "a Content-ID cannot hold what stands in 'a>\r\n'" },
        { { COMPOSE_ATTACHMENT, .path = "/" }, FAULT_NO_INPUT, "'/' is a directory" },
        { { COMPOSE_ATTACHMENT, .path = "/no/such" }, FAULT_NO_INPUT, "cannot read '/no/such': No such file or directory" },
        { { COMPOSE_ATTACHMENT, TEXT("\0"), .type = "message/rfc822" }, FAULT_MESSAGE,
          "'the attached text' cannot be sent as message/rfc822: it holds a NUL octet" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        assert_null(compose_new("", &cases[i].part, 1, &e));
        assert_int_equal(e.fault, cases[i].fault);
        assert_string_equal(e.text, cases[i].text);
        err_clear(&e);
    }
}

static void headers(void **state)
{
    (void)state;
    static const struct { const char *name, *value, *want; } cases[] = {
        { "Subject", "plain", "Subject: plain\r\n" },
        { "Subject", "", "Subject: \r\n" },
        { "Subject", "Gr\303\274\303\237e", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n" },
        { "Subject", "a \303\244 \303\266 b", "Subject: a =?UTF-8?B?w6Qgw7Y=?= b\r\n" },
        { "Subject", "a\r\nBcc: x", "Subject: a  Bcc: x\r\n" },
        { "Subject", "=?x", "Subject: =?UTF-8?B?PT94?=\r\n" },
        { "To", "\303\204nne <a@x.org>, b@y.org", "To: =?UTF-8?B?w4RubmU=?= <a@x.org>, b@y.org\r\n" },
        { "To", "\"Doe, Jo\" <a@x.org>", "To: \"Doe, Jo\" <a@x.org>\r\n" },
        { "To", "Friends: a@x.org, b@y.org;", "To: Friends: a@x.org, b@y.org;\r\n" },
        { "Cc", "aaaaaaaaaaaaaaaaaaa@x.org,bbbbbbbbbbbbbbbbbbbbbbbbbbb@x.org,cccccccccccccccccccccccccc@x.org",
          "Cc: aaaaaaaaaaaaaaaaaaa@x.org, bbbbbbbbbbbbbbbbbbbbbbbbbbb@x.org,\r\n cccccccccccccccccccccccccc@x.org\r\n" },
        { "To", "\303\244 <", "To: =?UTF-8?B?w6Q=?= <\r\n" },
        { "X-Long", "aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa",
          "X-Long: aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa aaaaaaaaa\r\n aaaaaaaaa\r\n" },
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&out);
        mime_header(&out, cases[i].name, cases[i].value);
        assert_string_equal(out.data, cases[i].want);
    }
    buf_free(&out);
}

static void parameters(void **state)
{
    (void)state;
    static const struct { const char *value, *want; } cases[] = {
        { "a", "X: y; filename=\"a\"" },
        { "a\"b\\c", "X: y; filename=\"a\\\"b\\\\c\"" },
        { "a\r\nb", "X: y; filename=\"a__b\"" },
        { "\303\244.txt", "X: y; filename*=UTF-8''%C3%A4.txt" },
        { "\344.txt", "X: y; filename*=ISO-8859-1''%E4.txt" },
        { "\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244\303\244.t",
          "X: y; filename*0*=UTF-8''%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4%C3;\r\n filename*1*=%A4.t" },
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&out);
        buf_adds(&out, "X: y");
        mime_parameter(&out, "filename", cases[i].value);
        assert_string_equal(out.data, cases[i].want);
    }
    buf_free(&out);
}

static void types(void **state)
{
    (void)state;
    static const struct { const char *name, *type; } cases[] = {
        { "a.txt", "text/plain" }, { "A.PDF", "application/pdf" }, { "a.tar.gz", "application/gzip" }, { ".txt", NULL },
        { "txt", NULL }, { "a.", NULL }, { "a.no-such-suffix", NULL },
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_reset(&out);
        assert_int_equal(media_by_name(cases[i].name, &out), cases[i].type != NULL);
        assert_string_equal(out.data, cases[i].type ? cases[i].type : "");
    }
    buf_free(&out);
    assert_true(media_has("text/plain; format=flowed; Charset=x", "charset"));
    assert_false(media_has("text/plain; xcharset=x", "charset"));
}

/* A character and a CRLF cut at every place. */
static void facts_of_blocks(void **state)
{
    (void)state;
    static const char text[] = "\360\237\230\200\r\n\303\244\r\r\n";
    char out[64];
    for (size_t cut = 0; cut < sizeof text; cut++) {
        struct text_facts f = { 0 };
        text_look(&f, text, cut, out);
        text_look(&f, text + cut, sizeof text - 1 - cut, out);
        text_end(&f);
        assert_false(f.not_utf8);
        assert_true(f.eight_bit && f.cr && f.ends_line);
        assert_int_equal(f.size, 12);
        assert_int_equal(f.longest, 4);
    }
    struct text_facts f = { 0 };
    text_look(&f, "\303", 1, out);
    text_end(&f);
    assert_true(f.not_utf8);
}

/* ---- as a message ---- */

static char *file_of(size_t n)
{
    char *path = xstrdup("/tmp/envoi-test-compose.XXXXXX");
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    for (size_t i = 0; i < n; i++)
        putc((int)(i * 7 + i / 251) & 255, f);
    fclose(f);
    return path;
}

static void drain_message(struct message *m, struct buf *out)
{
    struct err e = ERR_INIT;
    const char *p;
    size_t n;
    do {
        assert_int_equal(message_wait_fd(m), -1);
        if (!message_next(m, &p, &n, &e))
            fail_msg("%s", e.text);
        buf_add(out, p, n);
    } while (n);
}

static void streams_and_rewinds(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 1000, 700000, 766000, 3000000 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf first = BUF_INIT, second = BUF_INIT;
        struct err e = ERR_INIT;
        struct message m;
        char *path = file_of(sizes[i]);
        const struct compose_part parts[] = { { TEXT("hello\n") }, { COMPOSE_ATTACHMENT, .path = path } };
        message_init(&m);
        assert_true(message_compose(&m, make(parts, 2), &e));
        header_insert(&m.headers, 0, "Subject", "x");
        int64_t size = message_size(&m);
        drain_message(&m, &first);
        assert_int_equal(first.len, size);
        assert_true(message_rewind(&m));
        drain_message(&m, &second);
        assert_int_equal(second.len, size);
        assert_memory_equal(first.data, second.data, first.len);
        assert_true(message_rewind(&m) && message_spool(&m, &e) && m.complete);
        buf_reset(&second);
        drain_message(&m, &second);
        assert_int_equal(message_size(&m), size);
        assert_int_equal(second.len, size);
        assert_memory_equal(first.data, second.data, first.len);
        message_free(&m);
        unlink(path);
        free(path);
        buf_free(&first);
        buf_free(&second);
    }
}

static void file_that_changes(void **state)
{
    (void)state;
    /* a log that somebody writes to goes as it was when it was opened */
    static const struct { off_t size; bool ok; } cases[] = { { 0, false }, { 2000000, false }, { 3000001, true } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = file_of(3000000);
        struct err e = ERR_INIT;
        struct message m;
        const struct compose_part part = { COMPOSE_ATTACHMENT, .path = path };
        const char *p;
        size_t n = 1;
        int64_t sent = 0;
        message_init(&m);
        assert_true(message_compose(&m, make(&part, 1), &e));
        const int64_t size = message_size(&m);
        assert_int_equal(truncate(path, cases[i].size), 0);
        while (n && message_next(&m, &p, &n, &e))
            sent += (int64_t)n;
        assert_int_equal(e.fault, cases[i].ok ? FAULT_NONE : FAULT_IO);
        assert_true(cases[i].ok ? sent == size : strstr(e.text, "shrank") != NULL);
        err_clear(&e);
        message_free(&m);
        unlink(path);
        free(path);
    }
}

static void raw_message(void **state)
{
    (void)state;
    static const char octets[] = "a: b\n\0\r.\nc";
    struct message m;
    struct buf out = BUF_INIT;
    for (size_t n = 0; n < sizeof octets; n++) {
        message_init(&m);
        message_raw(&m, octets, n);
        assert_int_equal(message_size(&m), n);
        for (int round = 0; round < 2; round++) {
            buf_reset(&out);
            drain_message(&m, &out);
            assert_int_equal(out.len, n);
            assert_memory_equal(out.data, octets, n);
            assert_true(message_rewind(&m));
        }
        message_free(&m);
    }
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structures),          cmocka_unit_test(refused),           cmocka_unit_test(headers),
        cmocka_unit_test(parameters),          cmocka_unit_test(types),             cmocka_unit_test(facts_of_blocks),
        cmocka_unit_test(streams_and_rewinds), cmocka_unit_test(file_that_changes), cmocka_unit_test(raw_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
