/* Words in their order become parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/buf.h"
#include "cmd/parts.h"

static const char *or_dash(const char *s)
{
    return s ? *s ? s : "''" : "-";
}

/* One line a part: role, content, type, name, id, charset. */
static void show(const struct parts *p, struct buf *out)
{
    static const char *const roles[] = { "body", "inline", "attachment" };
    for (size_t i = 0; i < p->n; i++) {
        const struct compose_part *v = &p->v[i];
        buf_printf(out, "%s %s%s %s %s %s %s\n", roles[v->role], v->path ? "file:" : "text:", v->path ? v->path : v->text, or_dash(v->type),
                   or_dash(v->name), or_dash(v->content_id), or_dash(v->charset));
    }
}

/* words: "attach=a", NULL at the end; 'want' begins with '!' where the last word is refused. */
static void words(void **state)
{
    (void)state;
    static const struct { bool attach_text; const char *said[8]; const char *want; } cases[] = {
        { 0, { "body=a" }, "body text:a - - - -\n" },
        { 0, { "body=" }, "body text: - - - -\n" },
        { 0, { "body=@a" }, "body file:a - - - -\n" },
        { 0, { "body=@@a" }, "body text:@a - - - -\n" },
        { 0, { "body=-" }, "body file:- - - - -\n" },
        { 0, { "attach=a", "attach=@b", "attach=@@c" }, "attachment file:a - - - -\nattachment file:b - - - -\nattachment file:@c - - - -\n" },
        { 1, { "attach=a", "attach=@b", "attach=@@c", "attach=-" },
          "attachment text:a - - - -\nattachment file:b - - - -\nattachment text:@c - - - -\nattachment file:- - - - -\n" },
        { 0, { "attach-type=t/a", "attach=a", "attach=b", "attach-type=", "attach=c" },
          "attachment file:a t/a - - -\nattachment file:b t/a - - -\nattachment file:c - - - -\n" },
        { 0, { "attach-type=t/a", "attach=a", "attach-body=b", "attach-body=c", "attach=d" },
          "attachment file:a t/a - - -\nbody text:b t/a - - -\nbody text:c - - - -\nattachment file:d - - - -\n" },
        { 0, { "attach-type=t/a", "attach-body=b", "body=a" }, "body text:a - - - -\nbody text:b t/a - - -\n" },
        { 0, { "attach_name=n", "attach=a", "attach=b", "attach_name=", "attach=c" },
          "attachment file:a - n - -\nattachment file:b - - - -\nattachment file:c - '' - -\n" },
        { 0, { "attach_inline=d/l o.png", "attach_id=<x@y>", "attach_inline=b" }, "inline file:d/l o.png - - lo.png -\ninline file:b - - x@y -\n" },
        { 0, { "attach_charset=c", "attach_body=a", "attach_charset=d", "body=b" }, "body text:b - - - d\nbody text:a - - - c\n" },
        { 0, { "attach=" }, "!'attach' needs a value" },
        { 0, { "attach_foo=a" }, "!'attach_foo' is no word for a part" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parts p = { .attach_text = cases[i].attach_text };
        struct buf out = BUF_INIT;
        struct err e = ERR_INIT;
        for (const char *const *said = cases[i].said; *said && !err_is_set(&e); said++) {
            char *word = xstrndup(*said, strcspn(*said, "="));
            parts_say(&p, word, *said + strlen(word) + 1, &e);
            secret_free(word);
        }
        if (err_is_set(&e))
            buf_printf(&out, "!%s", e.text);
        else
            show(&p, &out);
        assert_string_equal(out.data, cases[i].want);
        buf_free(&out);
        err_clear(&e);
        parts_free(&p);
    }
}

static void texts(void **state)
{
    (void)state;
    struct parts p = PARTS_INIT;
    parts_add_text(&p, COMPOSE_BODY, "@a\0b", 4);
    assert_int_equal(p.v[0].text_n, 4);
    assert_memory_equal(p.v[0].text, "@a\0b", 4);
    assert_true(parts_has_body(&p));
    assert_false(parts_reads_stdin(&p));
    parts_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(words), cmocka_unit_test(texts) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
