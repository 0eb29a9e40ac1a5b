/* test_script: dialogues made into steps: directives and their arguments, blocks, variables, expectations, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/script.h"

static enum play run(struct player *p, const struct script_step *s)
{
    (void)p, (void)s;
    return PLAY_END;
}

static const struct script_op client = { .argument = SCRIPT_LINE, .run = run };
static const struct script_op server = { .argument = SCRIPT_LINE, .run = run };
static const struct script_op ops[] = {
    { "tls", SCRIPT_NONE, .run = run }, { "wait", SCRIPT_SECONDS, .run = run }, { "raw", SCRIPT_OCTETS, .run = run },
    { "body", SCRIPT_COUNT, .run = run }, { "reply", SCRIPT_COUNT_OCTETS, .run = run }, { "auth", SCRIPT_WORDS, .run = run },
    { "set", SCRIPT_NAME_OCTETS, .run = run }, { "repeat", SCRIPT_COUNT, .block = SCRIPT_OPENS, .run = run },
    { "pipeline", SCRIPT_NONE, .block = SCRIPT_OPENS, .run = run }, { "end", SCRIPT_NONE, .block = SCRIPT_CLOSES, .run = run },
    { .word = NULL },
};

static struct script *compile(const char *text, const struct script_vars *vars, struct err *e)
{
    const struct script_params p = {
        .name = "t", .whose = "the test", .ops = ops, .client = &client, .server = &server, .vars = vars, .plain = true,
    };
    return script_compile(&p, text, strlen(text), e);
}

static struct script *good(const char *text)
{
    struct err e = ERR_INIT;
    struct script *s = compile(text, NULL, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static void test_steps(void **state)
{
    struct script *s = good("# a note\nC: EHLO x\nS: 250\nQUIT\n# @TLS\n# @wait 1.5\n# @raw \"a\\r\\n\\0\"\n# @body\n# @body 12\n"
                            "# @reply 250 ok\n# @auth  plain me\n# @set x 1 2\n");
    (void)state;
    assert_int_equal(s->n, 11);
    assert_ptr_equal(s->v[0].op, &client);
    assert_int_equal(s->v[0].number, 2);
    assert_ptr_equal(s->v[1].op, &server);
    assert_ptr_equal(s->v[2].op, &client);
    assert_string_equal(s->v[2].line, "QUIT");
    assert_ptr_equal(s->v[3].op, &ops[0]);
    assert_int_equal(s->v[4].time, 1500000);
    assert_memory_equal(s->v[5].octets.data, "a\r\n\0", 4);
    assert_int_equal(s->v[6].count, -1);
    assert_int_equal(s->v[7].count, 12);
    assert_int_equal(s->v[8].count, 250);
    assert_string_equal(s->v[8].octets.data, "ok");
    assert_int_equal(s->v[9].words.n, 2);
    assert_string_equal(s->v[9].words.v[1], "me");
    assert_string_equal(s->v[10].words.v[0], "x");
    assert_string_equal(s->v[10].octets.data, "1 2");
    script_free(s);
}

static void test_blocks(void **state)
{
    struct script *s = good("# @repeat 2\n# @pipeline\nC: a\n# @end\n# @end\n");
    (void)state;
    assert_int_equal(s->v[0].partner, 4);
    assert_int_equal(s->v[4].partner, 0);
    assert_int_equal(s->v[1].partner, 3);
    assert_int_equal(s->v[3].partner, 1);
    script_free(s);
}

static void test_errors(void **state)
{
    static const struct { const char *text, *error, *hint; } bad[] = {
        { "# @tsl", "t:1: '@tsl' is no directive of the test", "did you mean '@tls'?" },
        { "\n# @xylophone", "t:2: '@xylophone' is no directive of the test", NULL },
        { "# @tls on", "t:1: '@tls' takes no argument", NULL },
        { "# @wait", "t:1: '@wait' wants a number of seconds, not ''", NULL },
        { "# @wait nan", "t:1: '@wait' wants a number of seconds, not 'nan'", NULL },
        { "# @wait -1", "t:1: '@wait' wants a number of seconds, not '-1'", NULL },
        { "# @raw \"x", "t:1: the closing '\"' is missing", NULL },
        { "# @body x", "t:1: '@body' wants a number, not 'x'", NULL },
        { "# @body 1 2", "t:1: '@body' takes one argument", NULL },
        { "# @reply x y", "t:1: '@reply' wants a number, not 'x'", NULL },
        { "# @set 1x y", "t:1: '@set' wants a name and a value, not '1x y'", "a name is letters" },
        { "# @set x \"a\\r\\n\"", "t:1: a CR, LF or NUL in the value of 'x'", NULL },
        { "S: /(/", "t:1: '(' is no regular expression: ", NULL },
        { "# @end", "t:1: '@end' without '@repeat' or '@pipeline'", NULL },
        { "C: a\n# @pipeline\n", "t:2: '@pipeline' without '@end'", NULL },
        { "# @set name x\nC: $nome", "t:2: nothing sets '$nome'", "did you mean '$name'?" },
        { "# @set name x\nC: ${other}", "t:2: nothing sets '$other'", "'$$'" },
        { "S: /(a)/\n# @raw \"$2\"", "t:2: nothing sets '$2'", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        assert_null(compile(bad[i].text, NULL, &e));
        assert_int_equal(e.fault, FAULT_CONFIG);
        if (strncmp(e.text, bad[i].error, strlen(bad[i].error)) != 0)
            fail_msg("%s: %s", bad[i].text, e.text);
        if (bad[i].hint && (!e.hint || !strstr(e.hint, bad[i].hint)))
            fail_msg("%s: hint %s", bad[i].text, e.hint ? e.hint : "none");
        err_clear(&e);
    }
}

static void test_match(void **state)
{
    static const struct { const char *expectation, *line; bool matches; } cases[] = {
        { "2", "250 ok", true }, { "250", "251 ok", false }, { "", "anything", true }, { "250 ok", "250", false },
        { "/^25[01]/", "251 x", true }, { "/^25[01]/", "252 x", false }, { "/queued as [0-9A-F]+$/", "250 queued as 4F", true },
        { "/", "/x", true }, { "//", "x", true }, { "250 $x", "250 $x", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct script_vars vars = { 0 };
        char *text = xasprintf("S: %s\n", cases[i].expectation);
        struct script *s = good(text);
        assert_int_equal(script_match(s, &s->v[0], &vars, cases[i].line), cases[i].matches);
        script_free(s);
        script_vars_free(&vars);
        free(text);
    }
}

static void test_variables(void **state)
{
    static const struct { const char *text, *out; } cases[] = {
        { "plain", "plain" }, { "$x", "one" }, { "<${x}>", "<one>" }, { "$xx", "two" }, { "${x}x", "onex" }, { "$$x", "$x" },
        { "a$", "a$" }, { "a$ b", "a$ b" }, { "$.", "$." }, { "${x", "${x" }, { "$1", "" }, { "$x$xx", "onetwo" },
    };
    struct script_vars vars = { 0 };
    struct err e = ERR_INIT;

    (void)state;
    script_set(&vars, "x", "none");
    script_set(&vars, "x", "one");
    script_set(&vars, "xx", "two");
    struct script *s = compile("S: /queued as ([0-9]+)(x)?/\nS: 250 $1", &vars, &e);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT;
        script_expand(s, &vars, cases[i].text, strlen(cases[i].text), &out);
        assert_string_equal(out.data, cases[i].out);
        buf_free(&out);
    }
    assert_true(script_match(s, &s->v[0], &vars, "250 queued as 42"));
    assert_string_equal(script_get(&vars, "1"), "42");
    assert_string_equal(script_get(&vars, "2"), "");
    assert_true(script_match(s, &s->v[1], &vars, "250 42 and more"));
    assert_false(script_match(s, &s->v[1], &vars, "250 43"));
    script_free(s);
    script_vars_free(&vars);
}

/* A transcript that speaks of dollars plays as it is. */
static void test_dollars(void **state)
{
    struct script *s = good("S: 250 costs $5 or $HOME or $$\n");
    struct script_vars vars = { 0 };
    (void)state;
    assert_false(s->variables);
    assert_true(script_match(s, &s->v[0], &vars, "250 costs $5 or $HOME or $$"));
    script_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps), cmocka_unit_test(test_blocks), cmocka_unit_test(test_errors), cmocka_unit_test(test_match),
        cmocka_unit_test(test_variables), cmocka_unit_test(test_dollars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
