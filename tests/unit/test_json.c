/* json: the writer, and the reader of flat objects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/json.h"

static void writing(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    struct json j = JSON_TO(&b);
    json_begin_object(&j, NULL);
    json_string(&j, "a\"", "x\\\n\t\x01/\x7f\xc2\x9b");
    json_string_n(&j, "n", "a\0b\xff\xc3\xbc", 6);
    json_int(&j, "i", INT64_MIN);
    json_begin_array(&j, "list");
    json_begin_object(&j, NULL);
    json_end_object(&j);
    json_bool(&j, NULL, true);
    json_null(&j, NULL);
    json_string(&j, NULL, NULL);
    json_end_array(&j);
    json_seconds(&j, "t", 1234);
    json_seconds(&j, "u", -61000001);
    json_begin_array(&j, "empty");
    json_end_array(&j);
    json_bool(&j, "no", false);
    json_end_object(&j);
    assert_string_equal(b.data, "{\"a\\\"\":\"x\\\\\\n\\t\\u0001/\\u007f\\u009b\",\"n\":\"a\\u0000b\xef\xbf\xbd\xc3\xbc\","
                                "\"i\":-9223372036854775808,\"list\":[{},true,null,null],\"t\":0.001234,\"u\":-61.000001,"
                                "\"empty\":[],\"no\":false}");
    buf_free(&b);
}

static void reading(void **state)
{
    (void)state;
    static const struct { const char *in, *name, *want; } rows[] = {
        { "{\"status\":\"400\",\"schemes\":\"Bearer\",\"scope\":\"https://mail.google.com/\"}", "scope", "https://mail.google.com/" },
        { " { \"a\" : 1 , \"status\"\t:\r\n 401 } ", "status", "401" }, { "{\"a\":-1.5e+3}", "a", "-1.5e+3" }, { "{\"a\":true}", "a", "true" },
        { "{\"a\":\"\\u00fc\\ud83d\\udce7\\\"\\\\\\/\\n\\u0000\"}", "a", "\xc3\xbc\xf0\x9f\x93\xa7\"\\/??" },
        { "{\"a\":\"x\x1by\xc2\x9bz\"}", "a", "x?y?z" }, { "{\"a\":\"\"}", "a", "" }, { "{\"\\u0061\":\"1\"}", "a", "1" },
        { "{}", "a", NULL }, { "", "a", NULL }, { "{\"a\"}", "a", NULL }, { "{\"a\":}", "a", NULL }, { "{\"a\":\"x\"", "a", NULL },
        { "{\"a\":\"x", "a", NULL }, { "{\"b\":{},\"a\":1}", "a", NULL }, { "{\"b\":[1],\"a\":1}", "a", NULL }, { "[\"a\"]", "a", NULL },
        { "{\"a\":\"\\q\"}", "a", NULL }, { "{\"a\":\"\\ud83d\"}", "a", NULL }, { "{\"a\":\"\\udce7\"}", "a", NULL }, { "{\"a\":\"\\u12\"}", "a", NULL },
        { "{\"a\":\"\xff\"}", "a", NULL }, { "{\"b\":1 \"a\":2}", "a", NULL }, { "{a:1}", "a", NULL }, { "{\"a\":\"\\", "a", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b = BUF_INIT;
        bool found = json_member(rows[i].in, strlen(rows[i].in), rows[i].name, &b);
        assert_int_equal(found, rows[i].want != NULL);
        assert_string_equal(b.data, rows[i].want ? rows[i].want : "");
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(writing), cmocka_unit_test(reading) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
