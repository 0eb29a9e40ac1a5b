/* show_batch: the lines of a batch's report, in their order and valid whatever stands in them; the bar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "show/show.h"

struct bed {
    struct hub hub;
    FILE *out;
    char *text;
    size_t n;
};

static void begin(struct bed *b)
{
    hub_init(&b->hub);
    b->out = open_memstream(&b->text, &b->n);
    assert_non_null(b->out);
}

static void wrote(struct bed *b, const char *want)
{
    fclose(b->out);
    assert_string_equal(b->text, want);
    free(b->text);
    hub_free(&b->hub);
}

static void message(struct hub *h, int number, const char *id, const char *outcome, const char *error)
{
    emit(h, 0, EV_MESSAGE, F_INT("number", number), F_INT_IF("total", false, 0), F_STR("id", id), F_STR("outcome", outcome),
         F_INT("octets", number * 10), F_INT("octets_total", 40), F_BOOL("failed", error != NULL), F_STR("errormsg", error),
         F_STR("hint", NULL), F_STR("fault", error ? "no-input" : NULL));
}

/* ---- lines ---- */

/* In whichever order they are over. */
static void order(void **state)
{
    (void)state;
    static const int rows[][5] = { { 1, 2, 3, 4, 5 }, { 5, 4, 3, 2, 1 }, { 2, 1, 5, 3, 4 }, { 3, 2, 5, 4, 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        begin(&b);
        struct show_batch *lines = show_batch_open(&b.hub, b.out);
        for (size_t k = 0; k < 5; k++)
            message(&b.hub, rows[i][k], "x", "skipped", NULL);
        show_batch_close(lines);
        wrote(&b, "{\"number\":1,\"id\":\"x\",\"outcome\":\"skipped\"}\n{\"number\":2,\"id\":\"x\",\"outcome\":\"skipped\"}\n"
                  "{\"number\":3,\"id\":\"x\",\"outcome\":\"skipped\"}\n{\"number\":4,\"id\":\"x\",\"outcome\":\"skipped\"}\n"
                  "{\"number\":5,\"id\":\"x\",\"outcome\":\"skipped\"}\n");
    }
}

/* As soon as it and all before it are over, and the ring it is held in has grown. */
static void held(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct show_batch *lines = show_batch_open(&b.hub, b.out);
    for (int i = 100; i > 1; i--)
        message(&b.hub, i, "x", "sent", NULL);
    fflush(b.out);
    assert_int_equal(b.n, 0);
    message(&b.hub, 1, "x", "sent", NULL);
    message(&b.hub, 1, "x", "sent", NULL); /* told twice, written once */
    fflush(b.out);
    size_t n = 0;
    for (const char *p = b.text; (p = strchr(p, '\n')); p++)
        n++;
    assert_int_equal(n, 100);
    message(&b.hub, 102, "never written", "sent", NULL);
    show_batch_close(lines);
    fclose(b.out);
    assert_null(strstr(b.text, "never"));
    free(b.text);
    hub_free(&b.hub);
}

/* What was said of recipients and of the message belongs to the EV_MESSAGE that follows, and only to that. */
static void members(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct show_batch *lines = show_batch_open(&b.hub, b.out);
    emit(&b.hub, 1, EV_RECIPIENT, F_STR("address", "a@x"), F_STR("fate", "accepted"));
    emit(&b.hub, 1, EV_RECIPIENT, F_STR("address", "b@x"), F_STR("fate", "refused"), F_INT("code", 550));
    emit(&b.hub, 1, EV_RESULT, F_STR("from", "me@x"), F_INT("mailsize", 7), F_STR("errormsg", NULL), F_STR("host", "unsaid"));
    message(&b.hub, 1, "one", "partial", "not twice");
    message(&b.hub, 2, "two", "refused", "cannot read 'two'");
    show_batch_close(lines);
    wrote(&b, "{\"number\":1,\"id\":\"one\",\"outcome\":\"partial\",\"from\":\"me@x\",\"mailsize\":7,\"recipients\":["
              "{\"address\":\"a@x\",\"fate\":\"accepted\"},{\"address\":\"b@x\",\"fate\":\"refused\",\"code\":550}]}\n"
              "{\"number\":2,\"id\":\"two\",\"outcome\":\"refused\",\"errormsg\":\"cannot read 'two'\",\"fault\":\"no-input\"}\n");
}

static void odd_octets(void **state)
{
    (void)state;
    static const struct { const char *id, *want; } rows[] = {
        { "a\"b\\c", "a\\\"b\\\\c" }, { "tab\tlf\ncr\r", "tab\\tlf\\ncr\\r" }, { "\x01\x1b[31m\x7f", "\\u0001\\u001b[31m\\u007f" },
        { "latin \xe9!", "latin \xef\xbf\xbd!" }, { "\xc3\xbc", "\xc3\xbc" }, { "\xc2\x9b", "\\u009b" }, { "", "" },
        { "\xff\xfe\xc3", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }, { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        begin(&b);
        struct show_batch *lines = show_batch_open(&b.hub, b.out);
        message(&b.hub, 1, rows[i].id, "sent", NULL);
        show_batch_close(lines);
        char *want = xasprintf("{\"number\":1,\"id\":\"%s\",\"outcome\":\"sent\"}\n", rows[i].want);
        wrote(&b, want);
        free(want);
    }
}

/* ---- the bar ---- */

/* One draw, when `ms` have passed and n messages are over: without the blanks around it. */
static void bar(void **state)
{
    (void)state;
    static const struct { int n; bool total, octets; int ms; bool failed; const char *want; } rows[] = {
        { 1, true, false, 10, false, "[####            ] 1 of 4, 0.0 MB" },
        { 3, true, false, 10, true, "[############    ] 3 of 4, 0.0 MB, 1 not sent" },
        { 2, true, false, 2000, false, "[########        ] 2 of 4, 0.0 MB, 1.0/s, 0:02 left" },
        { 2, false, true, 2000, false, "[########        ] 2, 0.0 MB, 1.0/s, 0:02 left" },
        { 2, false, false, 2000, false, "2, 0.0 MB, 1.0/s" },
        { 1, true, false, 3700 * 1000, false, "[####            ] 1 of 4, 0.0 MB, 0.0/s, 3:05 h left" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed b;
        begin(&b);
        struct show_batch_progress p = { .out = b.out };
        show_batch_progress_open(&p, &b.hub);
        b.hub.start = clock_now() - rows[i].ms * 1000LL;
        for (int k = 1; k <= rows[i].n; k++) {
            p.visible = k < rows[i].n;
            p.drawn = p.visible ? USEC_NEVER / 2 : 0;
            emit(&b.hub, 0, EV_MESSAGE, F_INT("number", k), F_INT_IF("total", rows[i].total, 4), F_INT("octets", k * 10),
                 F_INT_IF("octets_total", rows[i].octets, 40), F_BOOL("failed", rows[i].failed && k == 1));
        }
        char *want = xasprintf("\r%-79s", rows[i].want);
        wrote(&b, want);
        free(want);
    }
}

static void wiped(void **state)
{
    (void)state;
    struct bed b;
    begin(&b);
    struct show_batch_progress p = { .out = b.out };
    show_batch_progress_wipe(&p); /* nothing was drawn */
    p.visible = true;
    show_batch_progress_wipe(&p);
    show_batch_progress_wipe(&p);
    char *want = xasprintf("\r%79s\r", "");
    wrote(&b, want);
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order), cmocka_unit_test(held), cmocka_unit_test(members), cmocka_unit_test(odd_octets),
        cmocka_unit_test(bar), cmocka_unit_test(wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
