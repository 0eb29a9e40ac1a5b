/* Every sample reply of data/replies.tsv finds its own row, or one above it that says the same class. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "send/hint.h"

static void samples_find_their_rows(void **state)
{
    (void)state;
    const char *srcdir = getenv("srcdir");
    char path[4096], line[8192];
    snprintf(path, sizeof path, "%s/data/replies.tsv", srcdir ? srcdir : ".");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f)); /* the names of the columns */
    int rows = 0, wrong = 0;
    while (fgets(line, sizeof line, f)) {
        char *column[7] = { 0 }, *rest = line;
        for (int i = 0; i < 7; i++)
            column[i] = strsep(&rest, "\t");
        assert_non_null(column[3]);
        const struct reply_row *row = hint_for_reply(column[3]);
        rows++;
        if (!row || strcmp(row->id, column[0]) != 0) {
            wrong++;
            print_error("%s: '%s' gives %s\n", column[0], column[3], row ? row->id : "nothing");
        }
    }
    fclose(f);
    assert_true(rows > 100);
    assert_int_equal(wrong, 0);
}

static void unknown_reply_has_no_row(void **state)
{
    (void)state;
    assert_null(hint_for_reply("250 2.0.0 Ok: queued as 4F"));
    assert_null(hint_for_reply(""));
}

static void sentence_goes_on_in_the_next_line(void **state)
{
    (void)state;
    static const struct { const char *reply, *id; } cases[] = {
        { "534-5.7.14 Please log in through your\n534-5.7.14 web browser and then try again.\n534 5.7.14 more", "gmail-weblogin" },
        { "530-5.7.0 Must issue a\r\n530 5.7.0 STARTTLS command first\r\n", "starttls-required" },
        { "450-first\n450 Greylisted", "greylist" },
        { "421 service\n", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct reply_row *row = hint_for_reply(cases[i].reply);
        if (!row != !cases[i].id || (row && strcmp(row->id, cases[i].id) != 0))
            fail_msg("%s: %s", cases[i].reply, row ? row->id : "nothing");
    }
}

static void hint_is_added_once(void **state)
{
    (void)state;
    struct err e = ERR_INIT;
    err_set(&e, FAULT_AUTH, "the server refused the login");
    hint_add(&e);
    assert_null(e.hint); /* no server words */
    err_server(&e, "535-5.7.8 Username and Password not accepted.\n535 5.7.8 BadCredentials");
    hint_add(&e);
    assert_non_null(strstr(e.hint, "app password"));
    err_clear(&e);
}

static void delay_is_told(void **state)
{
    (void)state;
    static const struct { const char *reply, *hint; } cases[] = {
        { "450 4.2.0 <b@example.org>: Recipient address rejected: Greylisted for 300 seconds",
          "First contact is deferred on purpose: Retry same sender/recipient/IP after 5-30 min; asked to come back in 5 minutes" },
        { "451-4.3.9 busy, please try\n451 4.3.9 again in 2 hours", "asked to come back in 2 hours" },
        { "b@example.org deferred: 450 4.3.2 retry in 60s\nc@example.org deferred: 450 4.3.2 retry in 20 minutes",
          "asked to come back in 20 minutes" },
        { "451 4.3.9 busy", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        err_set(&e, FAULT_TEMPORARY, "not now");
        err_server(&e, cases[i].reply);
        hint_add(&e);
        if (!e.hint != !cases[i].hint || (e.hint && strcmp(e.hint, cases[i].hint) != 0))
            fail_msg("%s: %s", cases[i].reply, e.hint ? e.hint : "no hint");
        err_clear(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_find_their_rows),
        cmocka_unit_test(unknown_reply_has_no_row),
        cmocka_unit_test(sentence_goes_on_in_the_next_line),
        cmocka_unit_test(hint_is_added_once),
        cmocka_unit_test(delay_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
