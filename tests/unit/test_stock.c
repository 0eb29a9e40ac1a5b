/* stock: what is taken of a batch and in which order, what a journal leaves of it, what is told and counted; without any
 * server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "mail/prepare.h"
#include "send/stock.h"

/* ---- a batch of messages of which number n goes to n@example.org and all@example.org ---- */

struct bed {
    struct account account;
    struct batch_params p;
    struct batch_end end;
    struct stock stock;
    struct hub hub;
    struct buf told; /* "number outcome fault|" */
    int pipe[2];
};

static void on_message(void *ctx, const struct event *ev)
{
    struct bed *bed = ctx;
    const char *fault = event_field(ev, "fault")->s;
    buf_printf(&bed->told, "%lld %s%s%s|", (long long)event_field(ev, "number")->i, event_field(ev, "outcome")->s,
               fault ? " " : "", fault ? fault : "");
}

/* The message is the number it goes to; "temporary" and "message" stand for what is wrong with one. */
static bool prepare(void *ctx, struct message *m, struct envelope *env, struct err *e)
{
    (void)ctx;
    const char *p;
    size_t n;
    assert_true(message_next(m, &p, &n, e));
    char *word = xstrndup(p + 3, strcspn(p + 3, "\r\n")), *address = xasprintf("%s@example.org", word);
    assert_true(message_rewind(m));
    if (strcmp(word, "temporary") == 0)
        err_set(e, FAULT_TEMPORARY, "later");
    else if (strcmp(word, "message") == 0)
        err_set(e, FAULT_MESSAGE, "never");
    envelope_add(env, address);
    envelope_add(env, "all@example.org");
    free(word);
    free(address);
    return !err_is_set(e);
}

static void put(struct bed *bed, const char *text, size_t n)
{
    assert_true(file_write_all(bed->pipe[1], text, n));
}

/* words: "1 2 temporary 4": messages with a NUL behind each, from a pipe on standard input that ends behind them. */
static void begin(struct bed *bed, const char *words, const char *journal)
{
    struct err e = ERR_INIT;
    *bed = (struct bed){ .told = BUF_INIT };
    hub_init(&bed->hub);
    hub_listen(&bed->hub, EV_MASK(EV_MESSAGE), on_message, bed);
    assert_int_equal(pipe(bed->pipe), 0);
    assert_int_equal(dup2(bed->pipe[0], STDIN_FILENO), STDIN_FILENO);
    close(bed->pipe[0]);
    for (const char *p = words; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        put(bed, "X: ", 3);
        put(bed, p, n);
        put(bed, "\n\nx\n", 5);
        p += n;
    }
    bed->p = (struct batch_params){ .account = &bed->account, .box = box_open("-", BOX_NUL, journal != NULL, &e),
                                    .prepare = prepare, .hub = &bed->hub };
    if (journal) {
        bed->p.journal = journal_new();
        assert_int_equal(journal_parse(bed->p.journal, journal, strlen(journal), &e), strlen(journal));
    }
    bed->stock = (struct stock)STOCK_INIT(&bed->p, &bed->end);
}

static void close_source(struct bed *bed)
{
    close(bed->pipe[1]);
}

static void end(struct bed *bed)
{
    box_free(bed->p.box);
    journal_free(bed->p.journal);
    stock_free(&bed->stock);
    hub_free(&bed->hub);
    buf_free(&bed->told);
}

static enum deliver_fed take(struct bed *bed, struct stock_item **item)
{
    usec until = USEC_NEVER;
    int fd = -1;
    return stock_take(&bed->stock, item, &until, &fd);
}

/* Every recipient of it has this fate. */
static void over(struct bed *bed, struct stock_item *item, enum rcpt_fate fate, enum fault fault)
{
    struct err e = ERR_INIT;
    for (size_t i = 0; i < item->env.n; i++)
        item->env.rcpts[i].fate = fate;
    if (fault != FAULT_NONE)
        err_set(&e, fault, "no");
    stock_write(&bed->stock, item);
    stock_over(&bed->stock, item, stock_outcome(&item->env, &e), &e);
}

/* ---- outcomes ---- */

static void outcomes(void **state)
{
    (void)state;
    static const struct { enum rcpt_fate a, b; enum fault fault; enum batch_outcome want; } rows[] = {
        { RCPT_ACCEPTED, RCPT_ACCEPTED, FAULT_NONE, BATCH_SENT },
        { RCPT_ACCEPTED, RCPT_REFUSED, FAULT_PARTIAL, BATCH_PARTIAL },
        { RCPT_ACCEPTED, RCPT_DEFERRED, FAULT_PARTIAL, BATCH_PARTIAL },
        { RCPT_REFUSED, RCPT_REFUSED, FAULT_RECIPIENTS, BATCH_REFUSED },
        { RCPT_REFUSED, RCPT_DEFERRED, FAULT_TEMPORARY, BATCH_DEFERRED },
        { RCPT_PENDING, RCPT_PENDING, FAULT_CONNECT, BATCH_DEFERRED },
        { RCPT_ACCEPTED, RCPT_UNCERTAIN, FAULT_LOST, BATCH_UNCERTAIN },
        { RCPT_UNCERTAIN, RCPT_UNCERTAIN, FAULT_LOST, BATCH_UNCERTAIN },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct envelope env = ENVELOPE_INIT;
        struct err e = ERR_INIT;
        envelope_add(&env, "a@example.org");
        envelope_add(&env, "b@example.org");
        env.rcpts[0].fate = rows[i].a;
        env.rcpts[1].fate = rows[i].b;
        if (rows[i].fault != FAULT_NONE)
            err_set(&e, rows[i].fault, "no");
        assert_int_equal(stock_outcome(&env, &e), rows[i].want);
        err_clear(&e);
        envelope_free(&env);
    }
}

/* Who could get it over another connection. */
static void left(void **state)
{
    (void)state;
    static const struct { enum rcpt_fate fate; int code; bool want; } rows[] = {
        { RCPT_PENDING, 0, true }, { RCPT_DEFERRED, 0, true }, { RCPT_DEFERRED, 421, true }, { RCPT_DEFERRED, 450, false },
        { RCPT_REFUSED, 550, false }, { RCPT_ACCEPTED, 250, false }, { RCPT_UNCERTAIN, 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stock_item item = { .env = ENVELOPE_INIT };
        envelope_add(&item.env, "a@example.org");
        item.env.rcpts[0].fate = rows[i].fate;
        item.env.rcpts[0].reply.code = rows[i].code;
        assert_int_equal(stock_is_left(&item), rows[i].want);
        envelope_free(&item.env);
    }
}

/* ---- the verdict on all ---- */

static void verdicts(void **state)
{
    (void)state;
    static const struct { enum fault faults[3]; enum fault want; } rows[] = {
        { { FAULT_NONE, FAULT_NONE, FAULT_NONE }, FAULT_NONE },
        { { FAULT_NONE, FAULT_RECIPIENTS, FAULT_NONE }, FAULT_PARTIAL },
        { { FAULT_RECIPIENTS, FAULT_RECIPIENTS, FAULT_RECIPIENTS }, FAULT_RECIPIENTS },
        { { FAULT_RECIPIENTS, FAULT_TEMPORARY, FAULT_RECIPIENTS }, FAULT_TEMPORARY },
        { { FAULT_TEMPORARY, FAULT_LOST, FAULT_TIMEOUT }, FAULT_TEMPORARY }, /* the same exit status */
        { { FAULT_MESSAGE, FAULT_RECIPIENTS, FAULT_MESSAGE }, FAULT_MESSAGE },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed bed;
        struct err e = ERR_INIT;
        begin(&bed, "1 2 3", NULL);
        close_source(&bed);
        for (size_t k = 0; k < 3; k++) {
            struct stock_item *item = NULL;
            assert_int_equal(take(&bed, &item), FED_MESSAGE);
            enum fault fault = rows[i].faults[k];
            over(&bed, item, fault == FAULT_NONE ? RCPT_ACCEPTED : fault_retry_helps(fault) ? RCPT_DEFERRED : RCPT_REFUSED,
                 fault);
        }
        struct stock_item *none = NULL;
        assert_int_equal(take(&bed, &none), FED_END);
        stock_leave_rest(&bed.stock);
        assert_int_equal(stock_verdict(&bed.stock, &e), rows[i].want == FAULT_NONE);
        assert_int_equal(e.fault, rows[i].want);
        err_clear(&e);
        end(&bed);
    }
}

/* ---- what is told, in a scene of words ---- */

/* Takes all and sends each to everybody: what is told. */
static void check(const char *words, const char *journal, bool retry_uncertain, const char *want)
{
    struct bed bed;
    struct stock_item *item = NULL;
    begin(&bed, words, journal);
    bed.p.retry_uncertain = retry_uncertain;
    close_source(&bed);
    while (take(&bed, &item) == FED_MESSAGE) {
        assert_true(stock_begin(&bed.stock, item));
        over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
    }
    assert_string_equal(bed.told.data, want);
    end(&bed);
}

static void journals(void **state)
{
    (void)state;
    check("1 2", NULL, false, "1 sent|2 sent|");
    check("temporary message 3", NULL, false, "1 deferred temporary|2 refused message|3 sent|");
    check("", NULL, false, "");
    struct bed bed; /* the key as it is written, so that the rows below hold */
    begin(&bed, "1", "envoi batch journal 1\n");
    close_source(&bed);
    struct stock_item *item = NULL;
    assert_int_equal(take(&bed, &item), FED_MESSAGE);
    char *key = xstrdup(item->box.key);
    over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
    end(&bed);
    static const struct { const char *lines; bool retry; const char *want; } rows[] = {
        { "", false, "1 sent|" },
        { "begin %s\nend %s\n", false, "1 skipped|" },
        { "begin %s\nundo %s\n", false, "1 sent|" },
        { "begin %s\n", false, "1 uncertain temporary|" },
        { "begin %s\n", true, "1 sent|" },
        { "end %s\t-1@example.org\n", false, "1 sent|" },
        { "end %s\t-1@example.org\t?all@example.org\n", false, "1 uncertain temporary|" },
        { "end %s\t-nobody@example.org\n", false, "1 refused usage|" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf journal = BUF_INIT;
        buf_adds(&journal, "envoi batch journal 1\n");
        for (const char *p = rows[i].lines; *p; p++) {
            if (*p == ' ')
                buf_addc(&journal, '\t');
            else if (*p == '%')
                buf_adds(&journal, key), p++;
            else
                buf_addc(&journal, *p);
        }
        check("1", journal.data, rows[i].retry, rows[i].want);
        buf_free(&journal);
    }
    free(key);
}

/* Two that are alike are two. */
static void alike(void **state)
{
    (void)state;
    check("1 1 1", "envoi batch journal 1\n", false, "1 sent|2 sent|3 sent|");
}

/* ---- order ---- */

static void given_back(void **state)
{
    (void)state;
    struct bed bed;
    struct stock_item *a = NULL, *b = NULL, *c = NULL, *none = NULL;
    begin(&bed, "1 2", NULL);
    close_source(&bed);
    assert_int_equal(take(&bed, &a), FED_MESSAGE);
    assert_int_equal(take(&bed, &b), FED_MESSAGE);
    assert_int_equal(take(&bed, &none), FED_END);
    stock_give_back(&bed.stock, &a);
    assert_null(a);
    assert_int_equal(take(&bed, &c), FED_MESSAGE); /* though the source is at its end */
    assert_int_equal(c->box.number, 1);
    over(&bed, b, RCPT_ACCEPTED, FAULT_NONE);
    over(&bed, c, RCPT_ACCEPTED, FAULT_NONE);
    assert_string_equal(bed.told.data, "2 sent|1 sent|");
    end(&bed);
}

/* Not more than a window behind the first that is not over. */
static void window(void **state)
{
    (void)state;
    struct bed bed;
    struct buf words = BUF_INIT;
    struct stock_item *first = NULL, *item = NULL;
    for (int i = 0; i < BATCH_WINDOW + 2; i++)
        buf_adds(&words, "1 ");
    begin(&bed, words.data, NULL);
    close_source(&bed);
    assert_int_equal(take(&bed, &first), FED_MESSAGE);
    int more = 0;
    for (enum deliver_fed fed; (fed = take(&bed, &item)) == FED_MESSAGE; more++)
        over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
    assert_int_equal(more, BATCH_WINDOW - 1);
    assert_int_equal(take(&bed, &item), FED_WAIT);
    over(&bed, first, RCPT_ACCEPTED, FAULT_NONE);
    for (; take(&bed, &item) == FED_MESSAGE; more++)
        over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
    assert_int_equal(more, BATCH_WINDOW + 1);
    assert_int_equal(take(&bed, &item), FED_END);
    buf_free(&words);
    end(&bed);
}

static void rate(void **state)
{
    (void)state;
    struct bed bed;
    struct stock_item *item = NULL, *none = NULL;
    usec until = USEC_NEVER;
    int fd = -1;
    begin(&bed, "1 2", NULL);
    bed.account.rate_interval = 3600 * USEC_PER_SEC;
    assert_int_equal(take(&bed, &item), FED_MESSAGE);
    assert_int_equal(stock_take(&bed.stock, &none, &until, &fd), FED_WAIT);
    assert_true(until > clock_now() + 3000 * USEC_PER_SEC && until < clock_now() + 4000 * USEC_PER_SEC);
    over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
    close_source(&bed);
    end(&bed);
}

/* ---- a signal ---- */

static void interrupted(void **state)
{
    (void)state;
    static const struct { bool open; const char *journal; const char *hint; } rows[] = {
        { false, NULL, "2 messages were not begun; the report" },
        { true, NULL, "2 messages were not begun, nor was what follows message 3 read; the report" },
        { true, "envoi batch journal 1\n", "the same command goes on from here" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed bed;
        struct err e = ERR_INIT;
        struct stock_item *item = NULL, *none = NULL;
        begin(&bed, "1 2 3", rows[i].journal);
        if (rows[i].open)
            put(&bed, "X: half of one", 14);
        else
            close_source(&bed);
        assert_int_equal(take(&bed, &item), FED_MESSAGE);
        bed.stock.signal = 2;
        over(&bed, item, RCPT_ACCEPTED, FAULT_NONE);
        assert_int_equal(take(&bed, &none), FED_END);
        stock_leave_rest(&bed.stock);
        assert_string_equal(bed.told.data, "1 sent|2 not-tried interrupted|3 not-tried interrupted|");
        assert_int_equal(bed.end.unread, rows[i].open);
        assert_false(stock_verdict(&bed.stock, &e));
        assert_int_equal(e.fault, FAULT_PARTIAL);
        assert_non_null(strstr(e.hint, rows[i].hint));
        err_clear(&e);
        if (rows[i].open)
            close_source(&bed);
        end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes), cmocka_unit_test(left), cmocka_unit_test(verdicts), cmocka_unit_test(journals),
        cmocka_unit_test(alike), cmocka_unit_test(given_back), cmocka_unit_test(window), cmocka_unit_test(rate),
        cmocka_unit_test(interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
