/* The aliases file as text, and where addresses lead. */
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
#include "mail/aliases.h"

static const char *const our_names[] = { "localhost", "web1.example.org", "web1" };

/* "a@x b@y" or "error text"; notes behind " ! ". */
static char *expanded(const char *text, const char *address)
{
    struct aliases a = ALIASES_INIT;
    struct envelope env = ENVELOPE_INIT;
    struct strlist hosts = STRLIST_INIT, notes = STRLIST_INIT;
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof our_names / sizeof *our_names; i++)
        strlist_add(&hosts, our_names[i]);
    bool ok = aliases_parse(&a, "aliases", text, strlen(text), &e) && aliases_expand(&a, &hosts, address, &env, &notes, &e);
    assert_int_equal(ok, !err_is_set(&e));
    for (size_t i = 0; ok && i < env.n; i++)
        buf_printf(&out, "%s%s", i ? " " : "", env.rcpts[i].address);
    if (!ok) {
        assert_int_equal(e.fault, FAULT_CONFIG);
        assert_non_null(e.hint);
        buf_adds(&out, e.text);
    }
    for (size_t i = 0; ok && i < notes.n; i++)
        buf_printf(&out, " ! %s", notes.v[i]);
    aliases_free(&a);
    envelope_free(&env);
    strlist_free(&hosts);
    strlist_free(&notes);
    err_clear(&e);
    return buf_steal(&out);
}

struct row { const char *text, *address, *expected; };

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *got = expanded(rows[i].text, rows[i].address);
        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("'%s' in '%s':\n got '%s'\nnot '%s'", rows[i].address, rows[i].text, got, rows[i].expected);
        free(got);
    }
}

static void test_expand(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "", "root", "root" },
        { "root: admin@example.org\n", "root", "admin@example.org" },
        { "root: admin@example.org", "ROOT", "admin@example.org" },
        { "Root:admin@example.org\r\n", "root", "admin@example.org" },
        { "root : a@x, b@y ,c@z", "root", "a@x b@y c@z" },
        { "root: a@x,\n\tb@y\n# comment\n\n  c@z # more\nbob: d@x", "root", "a@x b@y c@z" },
        { "# root: a@x\n  # root: b@x\nroot: c@x # d@x\n", "root", "c@x" },
        { "root: a#b@x", "root", "a#b@x" },
        { "root: Ann <a@x>, \"Doe, Joe\" <b@y>", "root", "a@x b@y" },
        { "root: \"joe doe\"@x", "root", "\"joe doe\"@x" },
        { "\"joe doe\": a@x", "\"joe doe\"", "a@x" },
        { "\"joe\": a@x", "joe", "a@x" },
        { "cron: root\nroot: admin\nadmin: a@x", "cron", "a@x" },
        { "root: bob\n", "root", "bob" },
        { "root: a@x\nroot: b@x", "root", "a@x" },
        { "root: a@x, a@X, A@x", "root", "a@x A@x" },
        /* names of this machine */
        { "root: a@x", "root@localhost", "a@x" },
        { "root: a@x", "root@Web1.Example.org", "a@x" },
        { "root: a@x", "root@example.org", "root@example.org" },
        { "root@web1: a@x", "root", "a@x" },
        { "root@web1: a@x", "root@web1.example.org", "a@x" },
        { "root@other: a@x", "root", "root" },
        { "root@web1: a@x\nroot: b@x\nroot@localhost: c@x", "root", "a@x" },
        { "root@web1: a@x\nroot: b@x\nroot@localhost: c@x", "ROOT@LOCALHOST", "a@x" },
        { "root@other: a@x\nroot: b@x", "root@other", "a@x" },
        { "b: b@x\na: a@x\nab: ab@x\nB@c: bc@x", "a", "a@x" },
        { "bob@other.org: a@x", "bob@other.org", "a@x" },
        /* default */
        { "default: a@x", "bob", "a@x" },
        { "default: a@x\nbob: b@x", "bob", "b@x" },
        { "default: a@x", "bob@localhost", "bob@localhost" },
        { "default: a@x", "bob@example.org", "bob@example.org" },
        { "default: root\nroot: a@x", "bob", "a@x" },
        { "default: root", "bob", "root" },
        { "default: a@x\nroot: bob", "root", "a@x" },
        { "DEFAULT: a@x", "bob", "a@x" },
        /* itself, and no further */
        { "root: root, a@x", "root", "root a@x" },
        { "root: \\root, a@x", "root", "root a@x" },
        { "root: \\bob\nbob: b@x", "root", "bob" },
        { "a: b\nb: c, \\a\nc: c@x", "a", "c@x a" },
        { "a: c, b\nb: c\nc: c@x", "a", "c@x" },
        /* files and commands */
        { "root: a@x, /var/log/mail", "root",
          "a@x ! aliases:1: the alias 'root' names the file '/var/log/mail', which gets nothing: mail goes to addresses only" },
        { "root:\n |vacation root, a@x", "root",
          "a@x ! aliases:2: the alias 'root' names the command 'vacation root', which gets nothing: mail goes to addresses only" },
        { "root: \"|prog a, b\", a@x", "root",
          "a@x ! aliases:1: the alias 'root' names the command 'prog a, b', which gets nothing: mail goes to addresses only" },
        { "root: |\"prog a, b\", a@x", "root",
          "a@x ! aliases:1: the alias 'root' names the command 'prog a, b', which gets nothing: mail goes to addresses only" },
    };
    check(rows, sizeof rows / sizeof *rows);
}

static void test_errors(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "a: b\nb: c\nc: a", "a", "aliases:1: the alias 'a' leads back to itself" },
        { "x: a\na: b\nb: a", "x", "aliases:2: the alias 'a' leads back to itself" },
        { "root: /dev/null", "root", "the alias of 'root' leads to no address" },
        { "root:", "root", "the alias of 'root' leads to no address" },
        { "root: bob, bob\nbob: /dev/null", "root", "the alias of 'root' leads to no address" },
        { "root: :include:/nonexistent/list", "root", "aliases:1: cannot read '/nonexistent/list': No such file or directory" },
        { "bob: a@x\nroot a@x", "bob", "aliases:2:9: no ':' behind the name" },
        { ": a@x", "bob", "aliases:1:1: a ':' without a name" },
        { " root: a@x", "bob", "aliases:1:1: nothing stands before this line that it could continue" },
        { "root: a@x\n  bob: b@x", "bob", "aliases:2:3: a ':' in a target" },
        { "joe doe: a@x", "bob", "aliases:1:4: more than a name before the ':'" },
        { "root: \"a, b@x", "bob", "aliases:1:7: a quoted string without its end" },
        { "\"root: b@x", "bob", "aliases:1:1: a quoted string without its end" },
        { "root: :include:list", "bob", "aliases:1:7: ':include:' without a whole path" },
        { "root: :fail: gone", "bob", "aliases:1:7: a ':' in a target" },
        { "root: a@x, | ", "bob", "aliases:1:12: a '|' without a command" },
        { "root: a@x b@y", "bob", "aliases:1:7: a comma was expected at column 5: 'b@y'" },
        { "r\xc3\xb6\xc3\xb6t: a@x, @", "bob", "aliases:1:12: no address at column 1: '@'" },
    };
    check(rows, sizeof rows / sizeof *rows);
}

/* A text with NUL octets is not a C string. */
static void test_nul(void **state)
{
    (void)state;
    static const struct { const char *text; size_t n; } rows[] = { { "root: a\0b@x", 11 }, { "ro\0ot: a@x", 10 }, { "\0", 1 }, { "root: \0", 7 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct aliases a = ALIASES_INIT;
        struct err e = ERR_INIT;
        assert_false(aliases_parse(&a, "aliases", rows[i].text, rows[i].n, &e));
        assert_int_equal(e.fault, FAULT_CONFIG);
        aliases_free(&a);
        err_clear(&e);
    }
}

static void test_many(void **state)
{
    (void)state;
    struct buf text = BUF_INIT, expected = BUF_INIT;
    buf_adds(&text, "all:");
    for (int i = 0; i < 2000; i++) {
        buf_printf(&text, "%s u%d@example.org%s", i ? "," : "", i, i % 7 == 0 ? "\n  " : "");
        buf_printf(&expected, "%su%d@example.org", i ? " " : "", i);
    }
    char *got = expanded(text.data, "all");
    assert_string_equal(got, expected.data);
    free(got);
    buf_free(&text);
    buf_free(&expected);
}

/* As many names as there are users somewhere: no look at each for each. */
static void test_many_names(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    struct buf text = BUF_INIT;
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "u%d: u%d@x\n", i, i);
    buf_adds(&text, "all:");
    for (int i = 0; i < MANY; i++)
        buf_printf(&text, "%s u%d", i ? "," : "", i);
    char *got = expanded(text.data, "all");
    assert_memory_equal(got, "u0@x u1@x u2@x ", 15);
    assert_non_null(strstr(got, " u99999@x"));
    free(got);
    buf_free(&text);
}

/* Every level names the next twice: followed once each, this ends. */
static void test_no_explosion(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "a%d: a%d, a%d, u%d@x\n", i, i + 1, i + 1, i);
    char *got = expanded(text.data, "a0");
    assert_non_null(strstr(got, "u59@x"));
    free(got);
    buf_free(&text);
}

/* A chain as long as a file can hold must not take the stack. */
static void test_depth(void **state)
{
    (void)state;
    static const struct { int links; const char *expected; } rows[] = {
        { ALIASES_DEPTH_MAX, "end@x" },
        { ALIASES_DEPTH_MAX + 1, "aliases:101: 'a0' leads through more than 100 aliases to 'a100'" },
        { 20000, "aliases:101: 'a0' leads through more than 100 aliases to 'a100'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf text = BUF_INIT;
        for (int k = 0; k < rows[i].links - 1; k++)
            buf_printf(&text, "a%d: a%d\n", k, k + 1);
        buf_printf(&text, "a%d: end@x\n", rows[i].links - 1);
        char *got = expanded(text.data, "a0");
        assert_string_equal(got, rows[i].expected);
        free(got);
        buf_free(&text);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_include(void **state)
{
    (void)state;
    char directory[] = "/tmp/envoi-aliases-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char *list = xasprintf("%s/list", directory), *other = xasprintf("%s/other", directory);
    char *nested = xasprintf("# people\na@x\n\n b@y, c@z # two\n\":include:%s\"\n|prog\n", other);
    write_file(list, nested);
    char *back = xasprintf("d@x\n:include:%s\nbob\n", list);
    write_file(other, back);
    char *text = xasprintf("list: :include:%s\nbob: b@ob\nbad: :INCLUDE:%s/bad", list, directory);
    char *got = expanded(text, "list");
    char *expected = xasprintf("a@x b@y c@z d@x b@ob ! %s:6: the alias 'list' names the command 'prog', which gets nothing: "
                               "mail goes to addresses only", list);
    assert_string_equal(got, expected);
    free(got);
    free(expected);

    char *bad = xasprintf("%s/bad", directory);
    write_file(bad, "a@x\nb@\n");
    got = expanded(text, "bad");
    expected = xasprintf("%s:2:1: ", bad);
    assert_memory_equal(got, expected, strlen(expected));
    free(got);
    free(expected);
    remove(list);
    remove(other);
    remove(bad);

    struct buf deep = BUF_INIT;
    for (int i = 0; i < 12; i++) {
        char *from = xasprintf("%s/%d", directory, i), *line = xasprintf(":include:%s/%d\n", directory, i + 1);
        write_file(from, line);
        free(from);
        free(line);
    }
    buf_printf(&deep, "list: :include:%s/0", directory);
    got = expanded(deep.data, "list");
    assert_non_null(strstr(got, "nested more than 8 deep"));
    free(got);
    buf_free(&deep);
    for (int i = 0; i < 12; i++) {
        char *from = xasprintf("%s/%d", directory, i);
        remove(from);
        free(from);
    }
    rmdir(directory);
    free(list);
    free(other);
    free(nested);
    free(back);
    free(text);
    free(bad);
}

static void test_warnings(void **state)
{
    (void)state;
    static const char text[] = "root: a@x\nROOT: b@x\nbob:\n";
    struct aliases a = ALIASES_INIT;
    struct err e = ERR_INIT;
    assert_true(aliases_parse(&a, "aliases", text, strlen(text), &e));
    assert_int_equal(a.warnings.n, 2);
    assert_string_equal(a.warnings.v[0], "aliases:2: 'ROOT' stands in line 1 already, which counts");
    assert_string_equal(a.warnings.v[1], "aliases:3: 'bob' goes nowhere");
    aliases_free(&a);
    aliases_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),       cmocka_unit_test(test_errors),  cmocka_unit_test(test_nul),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_include), cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_no_explosion), cmocka_unit_test(test_many_names), cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
