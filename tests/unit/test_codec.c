/* codec: RFC vectors, what is refused, and round trips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/codec.h"

static void base64_vectors(void **state)
{
    (void)state;
    static const struct { const char *plain, *coded; } rows[] = {
        { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "foobar", "Zm9vYmFy" },
        { "\xfb\xff\xfe", "+//+" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT;
        base64_encode(&b, rows[i].plain, strlen(rows[i].plain));
        assert_string_equal(b.data, rows[i].coded);
        buf_reset(&b);
        assert_true(base64_decode(&b, rows[i].coded, strlen(rows[i].coded)));
        assert_string_equal(b.data, rows[i].plain);
        buf_free(&b);
    }
}

static void base64_loose_and_bad(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { " Zm8=\r\n", "fo" }, { "Zm8", "fo" }, { "Zg", "f" }, { "Zg=", "f" }, { "   ", "" },
        { "Z", NULL }, { "Zm9vY", NULL }, { "Zg===", NULL }, { "Zm9v=", NULL }, { "=", NULL }, { "Zm 8=", NULL }, { "Zh==", NULL },
        { "Zm8=Zm8=", NULL }, { "Zm-8", NULL }, { "Zm9v\xc3\xa4", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT;
        buf_adds(&b, "kept");
        assert_int_equal(base64_decode(&b, rows[i].in, strlen(rows[i].in)), rows[i].out != NULL);
        assert_memory_equal(b.data, "kept", 4);
        assert_string_equal(b.data + 4, rows[i].out ? rows[i].out : "");
        buf_free(&b);
    }
    struct buf b = BUF_INIT;
    assert_false(base64_decode(&b, "Zg\0=", 4));
    buf_free(&b);
}

static void hex(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    hex_encode(&b, "\x01\xab\xff", 3, ":");
    hex_encode(&b, "", 0, ":");
    assert_string_equal(b.data, "01:AB:FF");
    static const struct { const char *in; bool ok; } rows[] = {
        { "01:AB:FF", true }, { "01abFF", true }, { "01 ab ff", true }, { "", false }, { "0", false }, { "01:", false }, { ":01", false },
        { "01::ab", false }, { "0g", false }, { "01:a", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buf_reset(&b);
        assert_int_equal(hex_decode(&b, rows[i].in, strlen(rows[i].in)), rows[i].ok);
        if (rows[i].ok)
            assert_memory_equal(b.data, "\x01\xab\xff", 4);
        else
            assert_int_equal(b.len, 0);
    }
    buf_free(&b);
}

static void xtext(void **state)
{
    (void)state;
    struct buf b = BUF_INIT, back = BUF_INIT;
    xtext_encode(&b, "a+b=c d\n\xc3\xbc", 10);
    assert_string_equal(b.data, "a+2Bb+3Dc+20d+0A+C3+BC");
    assert_true(xtext_decode(&back, b.data, b.len));
    assert_string_equal(back.data, "a+b=c d\n\xc3\xbc");
    static const char *const bad[] = { "+", "+2", "+zz", "a b", "a=b", "\xc3" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(xtext_decode(&back, bad[i], strlen(bad[i])));
    assert_int_equal(back.len, 10);
    buf_free(&b);
    buf_free(&back);
}

static void visible(void **state)
{
    (void)state;
    static const char in[] = "gr\xc3\xbc\xc3\x9f \x1b[31m\0\t\n\x7f \xc2\x9b \xff\xc3 \xe2\x80\xae\xe2\x80\xa8\xd8\x9c\xe2\x82\xac";
    struct buf b = BUF_INIT;
    visible_encode(&b, in, sizeof in - 1);
    assert_string_equal(b.data, "gr\xc3\xbc\xc3\x9f \\x1B[31m\\x00\\x09\\x0A\\x7F \\xC2\\x9B \\xFF\\xC3 "
                                "\\xE2\\x80\\xAE\\xE2\\x80\\xA8\\xD8\\x9C\xe2\x82\xac");
    buf_free(&b);
}

static void words_decoded(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "", "" }, { "plain text", "plain text" }, { "=?UTF-8?Q?gr=C3=BC=C3=9F?=", "gr\xc3\xbc\xc3\x9f" },
        { "=?utf-8?b?Z3LDvMOf?= x", "gr\xc3\xbc\xc3\x9f x" }, { "=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard" },
        { "=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore" }, /* RFC 2231 5 */
        { "(=?ISO-8859-1?Q?a?=)", "(a)" }, { "(=?ISO-8859-1?Q?a?= b)", "(a b)" },
        { "(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)" }, { "(=?ISO-8859-1?Q?a?=  \r\n  =?ISO-8859-1?Q?b?=)", "(ab)" },
        { "(=?ISO-8859-1?Q?a_b?=)", "(a b)" }, { "=?KOI8-R?Q?abc?=", "=?KOI8-R?Q?abc?=" },
        { "=?UTF-8?Q?=C3?=", "=?UTF-8?Q?=C3?=" }, { "=?UTF-8?X?abc?=", "=?UTF-8?X?abc?=" }, { "=?UTF-8?Q?a b?=", "=?UTF-8?Q?a b?=" },
        { "=?UTF-8?B?!?=", "=?UTF-8?B?!?=" }, { "=?UTF-8?Q?a", "=?UTF-8?Q?a" }, { "=?", "=?" }, { "= ? =", "= ? =" },
        { "=?UTF-8?Q?a=0Ab=1B?=", "a?b?" }, { "=?us-ascii?Q?=E9?=", "=?us-ascii?Q?=E9?=" }, { "a =?UTF-8?Q?b?= ", "a b " },
        { "=?UTF-8?Q?=C2=9B?=", "?" }, { "=?iso-8859-1?Q?=9B?=", "?" }, { "  ", "  " }, { "=?UTF-8?Q?" "?=", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT;
        encoded_word_decode(&b, rows[i].in, strlen(rows[i].in));
        assert_string_equal(b.data, rows[i].out);
        buf_free(&b);
    }
}

static void words_encoded(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Gr\xc3\xbc\xc3\x9f" "e", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x83\xa1\xe3\x83\xbc\xe3\x83\xab", "a\xffz",
        "Eine sehr lange Betreffzeile mit \xc3\xa4\xc3\xb6\xc3\xbc, die in mehrere W\xc3\xb6rter zerlegt werden muss, \xe2\x82\xac 5",
        "\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7"
        "\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7\xf0\x9f\x93\xa7",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf b = BUF_INIT, back = BUF_INIT;
        encoded_word_encode(&b, texts[i], strlen(texts[i]));
        for (char *copy = b.data; *copy; copy += strcspn(copy, " ") + (copy[strcspn(copy, " ")] == ' '))
            assert_true(strcspn(copy, " ") <= 75);
        if (!strchr(texts[i], '\xff')) { /* each word is valid by itself, or it would not have been decoded */
            encoded_word_decode(&back, b.data, b.len);
            assert_string_equal(back.data, texts[i]);
        }
        buf_free(&b);
        buf_free(&back);
    }
    struct buf b = BUF_INIT;
    encoded_word_encode(&b, "Gr\xc3\xbc\xc3\x9f" "e", 7);
    assert_string_equal(b.data, "=?UTF-8?B?R3LDvMOfZQ==?=");
    buf_reset(&b);
    encoded_word_encode(&b, "J\xc3\xbcrgen Wagner", 14);
    assert_string_equal(b.data, "=?UTF-8?Q?J=C3=BCrgen_Wagner?=");
    buf_reset(&b);
    encoded_word_encode(&b, "", 0);
    assert_string_equal(b.data, "");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_vectors), cmocka_unit_test(base64_loose_and_bad), cmocka_unit_test(hex), cmocka_unit_test(xtext),
        cmocka_unit_test(visible), cmocka_unit_test(words_decoded), cmocka_unit_test(words_encoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
