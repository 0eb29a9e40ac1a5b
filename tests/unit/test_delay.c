/* What servers say about when to come back, and what only looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "send/delay.h"

static void replies(void **state)
{
    (void)state;
    static const struct { const char *reply; long seconds; } cases[] = {
        /* Postgrey */
        { "450 4.2.0 <b@example.org>: Recipient address rejected: Greylisted for 300 seconds", 300 },
        { "450 4.2.0 <b@example.org>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.org.html", 0 },
        { "450 <b@example.org>: Recipient address rejected: Greylisted for 298 seconds (see http://isg.ee.ethz.ch/tools/postgrey/help/example.org.html)", 298 },
        /* milter-greylist */
        { "451 4.7.1 Greylisting in action, please come back in 00:04:59", 299 },
        { "451 4.7.1 Greylisting in Action, Please Come Back in 00:02:00 [minutes]", 120 },
        { "451 4.7.1 Greylisting in action, please come back later", 0 },
        { "451 4.7.1 Greylisting in action, please come back in 1 days, 01:00:00", 90000 },
        /* SQLgrey, rspamd, cbpolicyd, Exim and others */
        { "450 4.7.1 <b@example.org>: Recipient address rejected: Greylisted for 5 minutes", 300 },
        { "451 4.7.1 Try again later", 0 },
        { "451 4.7.1 Greylisted, please try again in 300 seconds", 300 },
        { "451-4.7.1 greylisted, try again in at least 10 minutes", 600 },
        { "450 4.7.1 Greylisting in effect, please come back later", 0 },
        { "450 4.2.0 Sender address rejected: Greylisted for 60 sec.", 60 },
        { "450 4.7.1 Greylisted for 120 seconds please try again", 120 },
        { "451 4.7.1 Greylisted, retry in 300s", 300 },
        { "422 4.2.2 Greylisted, please try again in a few moments.", 0 },
        { "451 GL: temporary failure, please wait 1 hour and 30 minutes", 5400 },
        { "421 4.7.0 Too many connections, try again in about 2h", 7200 },
        { "451 4.3.2 Delayed (retry after 600 secs)", 600 },
        { "450 4.1.0 Retry-After: 45 seconds", 45 },
        { "450 greylisted, come back after 5-30 min", 1800 },
        { "450 4.7.1 early-retry (173s missing)", 173 },
        /* Exchange, Gmail, Yahoo */
        { "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", 0 },
        { "421-4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1", 0 },
        { "450-4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", 0 },
        { "432 4.3.2 Concurrent connections limit exceeded. Retry in 1 minute.", 60 },
        /* limits are no delays; nor is what a refusal says */
        { "450 4.2.1 Sender ip address rejected: You sent to many mails from different domains in the last 10 minutes", 0 },
        { "450 4.7.1 more than 100 messages in 60 minutes", 0 },
        { "450 4.7.1 temporarily blocked, retrying too fast. penalty: 30 seconds x 0 retries.", 0 },
        { "450 4.7.1 try again. This server has been up for 3 days", 0 },
        { "450 4.7.1 try again after 12:05:00 UTC", 0 },
        { "450 4.7.1 try again in 5.5.5", 0 },
        { "550 5.7.1 Greylisted for 300 seconds", 0 },
        { "250 2.0.0 try again in 5 minutes", 0 },
        { "b@example.org refused: 550 5.1.1 no such user", 0 },
        { "b@example.org deferred: 450 4.2.0 Greylisted for 300 seconds", 300 },
        /* and nonsense */
        { "450 try again in 0 seconds", 0 },
        { "450 try again in 99999999999999999999 seconds", 0 },
        { "450 try again in 8 days", 0 },
        { "450 try again in 7 days", DELAY_MAX },
        { "450 try again in 5", 0 },
        { "450 try again in", 0 },
        { "450", 0 },
        { "", 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (delay_asked(cases[i].reply) != cases[i].seconds)
            fail_msg("%s: %ld", cases[i].reply, delay_asked(cases[i].reply));
}

static void words(void **state)
{
    (void)state;
    static const struct { long seconds; const char *words; } cases[] = {
        { 1, "1 second" }, { 59, "59 seconds" }, { 60, "1 minute" }, { 90, "90 seconds" }, { 120, "2 minutes" },
        { 299, "5 minutes" }, { 300, "5 minutes" }, { 3600, "1 hour" }, { 5400, "90 minutes" }, { 7200, "2 hours" },
        { 90000, "25 hours" }, { 86400, "1 day" }, { DELAY_MAX, "7 days" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT;
        delay_words(cases[i].seconds, &out);
        assert_string_equal(out.data, cases[i].words);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(replies), cmocka_unit_test(words) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
