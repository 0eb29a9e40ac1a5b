/* delay: times in what servers say. A time counts where a word for coming back stands before it in the same sentence
 * and one such as "in" right before it; limits ("100 messages in 60 minutes") have no such word. */
#include "send/delay.h"

#include <stdbool.h>
#include <string.h>

#include "base/ascii.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, DIGITS_MAX = 6 };

#define BETWEEN " \t()[]-~,\r\n" /* what words stand between */

/* Does one of the words stand here: as the beginning of a word where `begins`, else as a whole one? Its length or 0. */
static size_t word_at(const char *p, const char *const *words, bool begins)
{
    for (; *words; words++) {
        size_t n = strlen(*words);
        if (ascii_istarts(p, *words) && (begins || !ascii_isalnum(p[n])))
            return n;
    }
    return 0;
}

/* Digits; *p moves behind them. -1: none, or too many. */
static long number(const char **p)
{
    long value = 0;
    int n = 0;
    for (; ascii_isdigit(**p) && n <= DIGITS_MAX; n++, ++*p)
        value = value * 10 + (**p - '0');
    return n > 0 && n <= DIGITS_MAX ? value : -1;
}

/* "04:59", "00:04:59" behind their first number. -1: no such form. */
static long long clock_time(const char **p, long first)
{
    const char *at = *p;
    long long parts[3] = { first };
    int n = 1;
    while (n < 3 && *at == ':' && ascii_isdigit(at[1]) && ascii_isdigit(at[2]) && !ascii_isdigit(at[3])) {
        parts[n++] = (at[1] - '0') * 10 + (at[2] - '0');
        at += 3;
    }
    if (n == 1)
        return -1;
    *p = at;
    return n == 2 ? parts[0] * MINUTE + parts[1] : parts[0] * HOUR + parts[1] * MINUTE + parts[2];
}

/* The length of a unit in seconds, behind blanks; 0: there is none. */
static long unit(const char **p)
{
    static const struct { const char *words[6]; long seconds; } units[] = {
        { { "seconds", "second", "secs", "sec", "s" }, 1 },
        { { "minutes", "minute", "mins", "min", "m" }, MINUTE },
        { { "hours", "hour", "hrs", "hr", "h" }, HOUR },
        { { "days", "day", "d" }, DAY },
    };
    const char *at = *p + strspn(*p, " \t");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = word_at(at, units[i].words, false);
        if (n == 0)
            continue;
        *p = at + n;
        return units[i].seconds;
    }
    return 0;
}

/* One part of a time: "5 minutes", "300s", "5-30 min" (the longer), "00:04:59". Its unit; 0: none. */
static long part(const char **p, bool clock, long long *seconds)
{
    const char *at = *p;
    long value = number(&at), size = 1;
    while (value >= 0 && *at == '-' && ascii_isdigit(at[1])) {
        at++;
        value = number(&at);
    }
    if (value < 0)
        return 0;
    *seconds = clock ? clock_time(&at, value) : -1;
    if (*seconds < 0) {
        size = unit(&at);
        *seconds = (long long)value * size;
    }
    *p = at;
    return size;
}

/* "1 hour and 30 min": each part's unit is shorter than the one before. 0: no time. */
static long duration(const char *p, bool clock)
{
    static const char *const and[] = { "and", NULL };
    long long sum = 0, seconds = 0;
    for (long size, before = DELAY_MAX; (size = part(&p, clock, &seconds)) > 0 && size < before; before = size) {
        sum += seconds;
        p += strspn(p, " \t,");
        p += word_at(p, and, false);
        p += strspn(p, " \t");
    }
    return sum <= DELAY_MAX ? (long)sum : 0;
}

/* "451 …", or "b@example.org deferred: 451 …" */
static bool is_deferral(const char *reply)
{
    for (const char *p = reply; (p = strchr(p, '4')); p++) {
        bool begins = p == reply || (p >= reply + 2 && p[-1] == ' ' && p[-2] == ':');
        if (begins && ascii_isdigit(p[1]) && ascii_isdigit(p[2]) && (p[3] == ' ' || p[3] == '-'))
            return true;
    }
    return false;
}

long delay_asked(const char *reply)
{
    static const char *const returns[] = {
        "greylist", "graylist", "again", "retry", "retri", "delay", "come", "wait", "resend", "resubmit", "reconnect",
        NULL,
    };
    static const char *const leads[] = { "in", "for", "wait", "retry", "after", "within", NULL };
    static const char *const after[] = { "after", NULL }; /* a clock's time of day may follow */
    static const char *const fillers[] = { "at", "least", "about", "approximately", "another", "the", "next", NULL };
    bool returning = false, led = false, clock = false;
    long longest = 0;
    if (!is_deferral(reply))
        return 0;
    for (const char *p = reply; *p;) {
        size_t n = strcspn(p, BETWEEN);
        long asked = led && returning && ascii_isdigit(*p) ? duration(p, clock) : 0;
        if (asked > longest)
            longest = asked;
        returning = returning || word_at(p, returns, true);
        if (!word_at(p, fillers, false)) {
            led = word_at(p, leads, false);
            clock = !word_at(p, after, false);
        }
        if (n > 0 && strchr(".!?;", p[n - 1]))
            returning = led = false;
        p += n;
        p += strspn(p, BETWEEN);
    }
    return longest;
}

void delay_words(long seconds, struct buf *out)
{
    static const struct { long size; const char *word; } units[] = {
        { DAY, "day" }, { HOUR, "hour" }, { MINUTE, "minute" }, { 1, "second" },
    };
    size_t i = 0;
    while (units[i].size > 1 && seconds < 2 * units[i].size && seconds != units[i].size)
        i++;
    long n = (seconds + units[i].size - 1) / units[i].size;
    buf_printf(out, "%ld %s%s", n, units[i].word, n == 1 ? "" : "s");
}
