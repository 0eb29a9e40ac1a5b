/* Streams cut into messages, octet by octet and in blocks of every size; boxes of every kind from files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strlist.h"
#include "mail/box.h"
#include "mail/split.h"

/* ---- split ---- */

/* The messages, '|' behind each; "ALIEN" where it is none. */
static void cut(enum split_format format, const char *p, size_t n, size_t block, struct buf *out)
{
    struct split s = SPLIT_INIT(format);
    while (n > 0) {
        size_t used, part = n < block ? n : block;
        switch (split_take(&s, p, part, &used, out)) {
        case SPLIT_ALIEN:
            buf_reset(out);
            buf_adds(out, "ALIEN");
            return;
        case SPLIT_END:
            buf_addc(out, '|');
            break;
        case SPLIT_MORE:
            assert_int_equal(used, part);
            break;
        }
        p += used;
        n -= used;
    }
    if (split_finish(&s, out))
        buf_addc(out, '|');
    assert_false(split_finish(&s, out));
}

static void check(enum split_format format, const char *in, size_t n, const char *want)
{
    for (size_t block = 1; block <= n + 1; block++) {
        struct buf got = BUF_INIT;
        cut(format, in, n, block, &got);
        assert_string_equal(got.data, want);
        buf_free(&got);
    }
}

#define F "From a@b Sat Nov 21 12:00:00 2026\n"

static void test_mbox(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } rows[] = {
        { "", "" },
        { "\n\n", "" },
        { F, "|" },
        { F "A: 1\n\nx\n", "A: 1\n\nx\n|" },
        { F "A: 1\n\nx\n\n", "A: 1\n\nx\n|" },
        { F "A: 1\n\nx\n\n\n", "A: 1\n\nx\n\n|" },
        { F "A: 1\n\nx", "A: 1\n\nx|" },
        { "\n" F "A: 1\n", "A: 1\n|" },
        { F "A: 1\n\nx\n\n" F "B: 2\n\ny\n\n", "A: 1\n\nx\n|B: 2\n\ny\n|" },
        { F "A: 1\n\nx\n" F "B: 2\n", "A: 1\n\nx\n|B: 2\n|" }, /* without the empty line */
        { F "\n" F "\n" F, "|||" },
        { F "A: 1\n\n>From x\n", "A: 1\n\nFrom x\n|" },
        { F "A: 1\n\n>>From x\n", "A: 1\n\n>From x\n|" },
        { F "A: 1\n\n>>>>From x\n", "A: 1\n\n>>>From x\n|" },
        { F "A: 1\n\n> From x\n", "A: 1\n\n> From x\n|" },
        { F "A: 1\n\n>Fromage\n", "A: 1\n\n>Fromage\n|" },
        { F "A: 1\n\nFrom: x\n", "A: 1\n\nFrom: x\n|" },
        { F "A: 1\n\nfrom x\n", "A: 1\n\nfrom x\n|" },
        { F "A: 1\n\n From x\n", "A: 1\n\n From x\n|" },
        { F "A: 1\n\nx From y\n", "A: 1\n\nx From y\n|" },
        { F "A: 1\n\n>From", "A: 1\n\n>From|" },
        { F "A: 1\n\n>From ", "A: 1\n\nFrom |" },
        { F "A: 1\n\nFro", "A: 1\n\nFro|" },
        { F "A: 1\n\n>>>", "A: 1\n\n>>>|" },
        { F "A: 1\n\n>>\n", "A: 1\n\n>>\n|" },
        { F "A: 1\n\n\n>From x\n\n", "A: 1\n\n\nFrom x\n|" },
        { "From a\r\nA: 1\r\n\r\nx\r\n\r\nFrom b\r\nB: 2\r\n\r\n", "A: 1\r\n\r\nx\r\n|B: 2\r\n|" },
        { F "A: 1\n\n\rx\n", "A: 1\n\n\rx\n|" },
        { F "A: 1\n\n\r", "A: 1\n\n\r|" },
        { F "A: 1\n\n\r\r\n", "A: 1\n\n\r\r\n|" },
        { "A: 1\n\nx\n" F, "ALIEN" },
        { ">From a\n", "ALIEN" },
        { "From", "" },
        { "\rx", "ALIEN" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(SPLIT_MBOX, rows[i].in, strlen(rows[i].in), rows[i].out);
}

static void test_nul(void **state)
{
    (void)state;
    static const struct { const char *in; size_t n; const char *out; } rows[] = {
        { "", 0, "" },
        { "a", 1, "a|" },
        { "a\0", 2, "a|" },
        { "a\0b", 3, "a|b|" },
        { "a\n\0b\n\0", 6, "a\n|b\n|" },
        { "\0", 1, "|" },
        { "a\0\0b", 4, "a||b|" },
        { "From a\nB: 1\0", 12, "From a\nB: 1|" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(SPLIT_NUL, rows[i].in, rows[i].n, rows[i].out);
}

/* ---- boxes ---- */

static char folder[] = "/tmp/envoi-test-split-XXXXXX";

static char *put(const char *name, const char *text, size_t n)
{
    char *path = xasprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    return path;
}

static void directory(const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

/* "ID KEY TEXT|" of each, or the error's. IDs without the folder. */
static void read_all(const char *source, enum box_format format, struct buf *out)
{
    struct err e = ERR_INIT;
    struct box *b = box_open(source, format, true, &e);
    struct box_item item;
    while (b && box_next(b, &item, &e) == BOX_ITEM) {
        struct message m;
        struct err bad = ERR_INIT;
        const char *p = "", *id = strstr(item.id, folder) ? item.id + strlen(folder) + 1 : item.id;
        size_t n = 0;
        message_init(&m);
        buf_printf(out, "%s ", id);
        if (box_message(&item, &m, &bad) && message_next(&m, &p, &n, &bad))
            buf_add(out, p, n);
        else
            buf_adds(out, fault_word(bad.fault));
        buf_addc(out, '|');
        err_clear(&bad);
        message_free(&m);
        box_item_free(&item);
    }
    if (err_is_set(&e))
        buf_printf(out, "%s", fault_word(e.fault));
    err_clear(&e);
    box_free(b);
}

static void check_box(const char *source, enum box_format format, const char *want)
{
    struct buf got = BUF_INIT;
    read_all(source, format, &got);
    assert_string_equal(got.data, want);
    buf_free(&got);
}

static void test_boxes(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    directory("md");
    directory("md/new");
    directory("md/cur");
    char *late = put("md/new/3.x", "C: 3\n", 5), *early = put("md/cur/1.x:2,S", "A: 1\n", 5);
    char *between = put("md/cur/2.x:2,", "B: 2\n", 5), *hidden = put("md/cur/.4", "D: 4\n", 5);
    char *md = xasprintf("%s/md", folder), *nothing = xasprintf("%s/none", folder);
    check_box(md, BOX_AUTO, "md/cur/1.x:2,S A: 1\r\n\r\n|md/cur/2.x:2, B: 2\r\n\r\n|md/new/3.x C: 3\r\n\r\n|");
    check_box(folder, BOX_AUTO, "no-input"); /* a directory, but no Maildir */
    check_box(nothing, BOX_AUTO, "no-input");

    char *mbox = put("mbox", F "A: 1\n\n" F "B: 2\n", 2 * strlen(F) + 11);
    check_box(mbox, BOX_AUTO, "mbox#1 A: 1\r\n\r\n|mbox#2 B: 2\r\n\r\n|");
    check_box(early, BOX_AUTO, "usage"); /* one message is no mbox */
    char *nul = put("nul", "A: 1\n\0\0B: 2", 11);
    check_box(nul, BOX_NUL, "nul#1 A: 1\r\n\r\n|nul#2 no-input|nul#3 B: 2\r\n\r\n|");
    char *empty = put("empty", "", 0);
    check_box(empty, BOX_AUTO, "");

    char *names = xasprintf("%s\r\n\n%s\n%s\n%s\n%s", early, nothing, md, empty, late);
    char *list = put("list", names, strlen(names)), *at = xasprintf("@%s", list);
    const char *read = "md/cur/1.x:2,S A: 1\r\n\r\n|none no-input|md no-input|empty no-input|md/new/3.x C: 3\r\n\r\n|";
    check_box(at, BOX_AUTO, read);
    check_box(list, BOX_LIST, read);
    check_box(nul, BOX_LIST, "usage");

    char *command = xasprintf("rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    char *all[] = { late, early, between, hidden, md, nothing, mbox, nul, empty, names, list, at, command };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mbox),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_boxes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
