/* What a journal says is what was written to it, whatever ended the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "send/journal.h"

#define HEAD "envoi batch journal 1\n"

/* "STATE REST…" of the message `k`. */
static void test_parse(void **state)
{
    (void)state;
    static const struct { const char *text; const char *known; enum journal_state state; const char *rest; } rows[] = {
        { "", "", JOURNAL_NEW, "" },
        { "envoi ba", "", JOURNAL_NEW, "" }, /* the first write was cut */
        { HEAD, HEAD, JOURNAL_NEW, "" },
        { HEAD "begin\tk\n", HEAD "begin\tk\n", JOURNAL_UNCERTAIN, "" },
        { HEAD "begin\tk", HEAD, JOURNAL_NEW, "" },
        { HEAD "begin\tk\nend\tk\n", HEAD "begin\tk\nend\tk\n", JOURNAL_DONE, "" },
        { HEAD "begin\tk\nend\tk", HEAD "begin\tk\n", JOURNAL_UNCERTAIN, "" },
        { HEAD "begin\tk\nundo\tk\n", HEAD "begin\tk\nundo\tk\n", JOURNAL_NEW, "" },
        { HEAD "end\tk\t-a@b\t-c@d\n", HEAD "end\tk\t-a@b\t-c@d\n", JOURNAL_REST, "-a@b -c@d " },
        { HEAD "end\tk\t-a@b\t?c@d\n", HEAD "end\tk\t-a@b\t?c@d\n", JOURNAL_UNCERTAIN, "-a@b ?c@d " },
        { HEAD "end\tk\t?c@d\t-a@b\n", HEAD "end\tk\t?c@d\t-a@b\n", JOURNAL_UNCERTAIN, "?c@d -a@b " },
        { HEAD "end\tk\t-a@b\nbegin\tk\n", HEAD "end\tk\t-a@b\nbegin\tk\n", JOURNAL_UNCERTAIN, "-a@b " },
        { HEAD "end\tk\t-a@b\nbegin\tk\nundo\tk\n", HEAD "end\tk\t-a@b\nbegin\tk\nundo\tk\n", JOURNAL_REST, "-a@b " },
        { HEAD "end\tk\t-a@b\nbegin\tk\nend\tk\n", HEAD "end\tk\t-a@b\nbegin\tk\nend\tk\n", JOURNAL_DONE, "" },
        { HEAD "end\t%6B\n", HEAD "end\t%6B\n", JOURNAL_DONE, "" },
        { HEAD "end\tother\n", HEAD "end\tother\n", JOURNAL_NEW, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct journal *j = journal_new();
        struct err e = ERR_INIT;
        struct buf rest = BUF_INIT;
        assert_int_equal(journal_parse(j, rows[i].text, strlen(rows[i].text), &e), strlen(rows[i].known));
        const struct journal_entry *entry = journal_find(j, "k");
        assert_int_equal(entry->state, rows[i].state);
        for (size_t k = 0; k < entry->rest.n; k++)
            buf_printf(&rest, "%s ", entry->rest.v[k]);
        assert_string_equal(rest.data, rows[i].rest);
        buf_free(&rest);
        journal_free(j);
    }
}

static void test_alien(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "From a\n", "envoi batch journal 2\n", HEAD "done\tk\n", HEAD "end\n", HEAD "end\t\n", HEAD "\n",
        HEAD "begin\tk\tx\n", HEAD "end\tk\ta@b\n", HEAD "end\tk\t-\n", HEAD "end\t%\n", HEAD "end\t%4\n",
        HEAD "end\t%00\n", HEAD "end\t%0a\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct journal *j = journal_new();
        struct err e = ERR_INIT;
        assert_true(journal_parse(j, texts[i], strlen(texts[i]), &e) == SIZE_MAX);
        assert_int_equal(e.fault, FAULT_USAGE);
        err_clear(&e);
        journal_free(j);
    }
}

static void test_same_key(void **state)
{
    (void)state;
    struct journal *j = journal_new();
    struct err e = ERR_INIT;
    const char *text = HEAD "end\tk\nend\tk#2\t-a@b\n";
    journal_parse(j, text, strlen(text), &e);
    assert_int_equal(journal_find(j, "k")->state, JOURNAL_DONE);
    assert_int_equal(journal_find(j, "k")->state, JOURNAL_REST);
    assert_int_equal(journal_find(j, "k")->state, JOURNAL_NEW);
    journal_free(j);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/envoi-test-journal-XXXXXX", *link = xasprintf("%s.link", path);
    close(mkstemp(path));
    unlink(path);
    struct err e = ERR_INIT;
    struct envelope env = ENVELOPE_INIT;
    struct stat st;
    envelope_add(&env, "a@b");
    envelope_add(&env, "c@d");
    env.rcpts[0].fate = RCPT_ACCEPTED;
    env.rcpts[1].fate = RCPT_DEFERRED;

    struct journal *j = journal_open(path, &e);
    assert_non_null(j);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    struct journal_entry *odd = journal_find(j, "a b\t100%\nx"), *second = journal_find(j, "two");
    assert_true(journal_begin(j, odd, &e) && journal_end(j, odd, &env, &e));
    assert_true(journal_begin(j, second, &e));
    assert_null(journal_open(path, &e)); /* locked */
    assert_int_equal(e.fault, FAULT_USAGE);
    err_clear(&e);
    journal_free(j);

    FILE *f = fopen(path, "a"); /* somebody was killed in the middle of a line */
    fputs("end\ttw", f);
    fclose(f);
    j = journal_open(path, &e);
    assert_non_null(j);
    odd = journal_find(j, "a b\t100%\nx");
    assert_int_equal(odd->state, JOURNAL_REST);
    assert_int_equal(odd->rest.n, 1);
    assert_string_equal(odd->rest.v[0], "-c@d");
    second = journal_find(j, "two");
    assert_int_equal(second->state, JOURNAL_UNCERTAIN);
    assert_true(journal_undo(j, second, &e));
    journal_free(j);

    j = journal_open(path, &e);
    assert_non_null(j);
    assert_int_equal(journal_find(j, "two")->state, JOURNAL_NEW);
    journal_free(j);

    assert_int_equal(symlink(path, link), 0);
    assert_null(journal_open(link, &e));
    assert_int_equal(e.fault, FAULT_CANT_CREATE);
    err_clear(&e);
    envelope_free(&env);
    unlink(link);
    unlink(path);
    free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_alien),
        cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
