/* buf: the invariants, growth, and that a secret is never given back unwiped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* buf.c takes its memory from the first and gives it back through the others. */
static const char *watched; /* what must not be in a block that is given back */
static int given_back;

static void check_wiped(void *p)
{
    if (p && watched) {
        given_back++;
        assert_null(memmem(p, malloc_usable_size(p), watched, strlen(watched)));
    }
}

static void *zeroed_malloc(size_t n)
{
    return calloc(1, n);
}

static void checked_free(void *p)
{
    check_wiped(p);
    free(p);
}

static void *checked_realloc(void *p, size_t n)
{
    check_wiped(p);
    return realloc(p, n); /* never a secret: check_wiped saw the whole block */
}

#define malloc zeroed_malloc
#define free checked_free
#define realloc checked_realloc
#include "../../src/base/buf.c"
#undef malloc
#undef free
#undef realloc

static void is_string(const struct buf *b, const char *want)
{
    assert_string_equal(b->data, want);
    assert_int_equal(b->len, strlen(want));
}

static void empty_buf(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    is_string(&b, "");
    buf_add(&b, NULL, 0);
    buf_drop(&b, 0);
    buf_cut(&b, 0);
    buf_trim(&b);
    buf_reset(&b);
    is_string(&b, "");
    char *s = buf_steal(&b);
    assert_string_equal(s, "");
    free(s);
    buf_free(&b);
    buf_free(&b);
    is_string(&b, "");
    assert_int_equal(buf_empty[0], 0);
}

static void growing(void **state)
{
    (void)state;
    struct buf b = BUF_INIT, all = BUF_INIT;
    for (int i = 0; i < 5000; i++) {
        buf_addc(&b, (char)('a' + i % 26));
        assert_int_equal(b.data[b.len], 0);
        assert_true(b.len < b.cap);
    }
    assert_int_equal(b.len, 5000);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
    buf_addbuf(&all, &b);
    buf_addbuf(&all, &b);
    assert_int_equal(all.len, 10000);
    assert_memory_equal(all.data + 5000, b.data, 5001);
    buf_free(&b);
    buf_free(&all);
}

static void reserve_keeps(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_reserve(&b, 0);
    assert_true(b.cap > 0);
    buf_adds(&b, "abc");
    buf_reserve(&b, 100000);
    assert_true(b.cap - b.len > 100000);
    is_string(&b, "abc");
    buf_free(&b);
}

static void formatting(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    char long_text[3000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    buf_printf(&b, "%d ", 42);
    buf_printf(&b, "%s|", long_text);
    for (int i = 0; i < 300; i++)
        buf_printf(&b, "%d", i % 10);
    assert_int_equal(b.len, 3 + sizeof long_text + 300);
    assert_memory_equal(b.data, "42 x", 4);
    assert_string_equal(b.data + b.len - 5, "56789");
    char *s = xasprintf("%s-%s", "a", "b");
    assert_string_equal(s, "a-b");
    free(s);
    buf_free(&b);
}

static void shortening(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    buf_adds(&b, " \t\r\nhello world\n \r");
    buf_trim(&b);
    is_string(&b, "hello world");
    buf_drop(&b, 6);
    is_string(&b, "world");
    buf_cut(&b, 2);
    is_string(&b, "wo");
    buf_drop(&b, 2);
    is_string(&b, "");
    buf_adds(&b, "  ");
    buf_trim(&b);
    is_string(&b, "");
    buf_add(&b, "a\0b\0", 4); /* a NUL is no blank */
    buf_trim(&b);
    assert_int_equal(b.len, 4);
    buf_free(&b);
}

static void secrets_are_wiped(void **state)
{
    (void)state;
    struct buf b = BUF_SECRET_INIT;
    watched = "hunter2";
    given_back = 0;
    buf_adds(&b, "hunter2 hunter2 hunter2");
    buf_reserve(&b, 1000);
    buf_printf(&b, "%0999d", 0);
    buf_adds(&b, "hunter2");
    buf_cut(&b, b.len - 7);
    assert_null(memmem(b.data + b.len, b.cap - b.len, "hunter2", 7));
    buf_adds(&b, "hunter2");
    buf_drop(&b, b.len - 7);
    assert_null(memmem(b.data + b.len + 1, b.cap - b.len - 1, "unter2", 6));
    buf_reset(&b);
    assert_null(memmem(b.data, b.cap, "hunter2", 7));
    buf_adds(&b, "hunter2");
    buf_free(&b);
    assert_true(b.secret);
    buf_adds(&b, "hunter2");
    secret_free(buf_steal(&b));
    assert_true(b.secret);
    assert_true(given_back >= 3);
    watched = NULL;
}

static void copies(void **state)
{
    (void)state;
    assert_null(xstrdup(NULL));
    char *s = xstrndup("abc", 10);
    assert_string_equal(s, "abc");
    free(s);
    s = xstrndup("abc", 2);
    assert_string_equal(s, "ab");
    free(s);
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_buf), cmocka_unit_test(growing), cmocka_unit_test(reserve_keeps),
        cmocka_unit_test(formatting), cmocka_unit_test(shortening), cmocka_unit_test(secrets_are_wiped),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
