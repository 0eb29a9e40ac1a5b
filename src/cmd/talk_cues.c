/* talk_cues: which line calls forth which reply. Found from the script alone, so that it plays the same
 * way each time. */
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "cmd/talk.h"

static const char hidden[] = "***";

static bool is_client(const struct script_step *s)
{
    return s->op == &talk_client_line;
}

static bool is_server(const struct script_step *s)
{
    return s->op == &talk_server_line;
}

static bool says(const struct script_step *s, const char *verb)
{
    size_t n = strlen(verb);
    return is_client(s) && ascii_ieqn(s->line, verb, n) && (s->line[n] == '\0' || s->line[n] == ' ');
}

static bool is_directive(const struct script_step *s, const char *word)
{
    return s->op->word && ascii_ieq(s->op->word, word);
}

static size_t skip_server(const struct script *s, size_t i)
{
    while (i < s->n && is_server(&s->v[i]))
        i++;
    return i;
}

/* The lines behind DATA up to a lone dot, unless the script expects DATA to be refused, or has no dot before it
 * goes on. */
static void find_message(const struct script *s, struct cue *cues, size_t data)
{
    size_t first = skip_server(s, data + 1), dot = first;
    const char *expected = first > data + 1 ? s->v[first - 1].line : "3";

    if (ascii_isdigit(expected[0]) && expected[0] != '3')
        return;
    while (dot < s->n && !is_server(&s->v[dot]) && !says(&s->v[dot], ".") && !says(&s->v[dot], "DATA"))
        dot++;
    if (dot == s->n || !says(&s->v[dot], "."))
        return;
    for (size_t i = first; i < dot; i++)
        cues[i].part = is_client(&s->v[i]) ? PART_CONTENT : cues[i].part;
    cues[dot].part = PART_DOT;
}

/* The lines behind BDAT, where they are as many octets as it says. */
static void find_chunk(const struct script *s, struct cue *cues, size_t bdat)
{
    long long left = -1;
    size_t end = bdat + 1;
    char *number = xstrndup(s->v[bdat].line + 5, strcspn(s->v[bdat].line + 5, " "));

    if (!ascii_number(number, 0, INT64_MAX, &left))
        left = -1;
    free(number);
    for (long long rest = left; rest > 0 && end < s->n && is_client(&s->v[end]); end++) {
        rest -= (long long)strlen(s->v[end].line) + 2;
        if (rest == 0)
            for (size_t i = bdat + 1; i <= end; i++)
                cues[i].part = PART_CONTENT;
    }
    bool octets = bdat + 1 < s->n && (cues[bdat + 1].part == PART_CONTENT || is_directive(&s->v[bdat + 1], "raw"));
    cues[bdat].filler = left > 0 && !octets;
}

/* "AUTH LOGIN", "334 …", "***" …: all of it is one login. */
static void find_login(const struct script *s, struct cue *cues, size_t auth)
{
    const char *initial = strchr(s->v[auth].line + 5, ' ');
    size_t i = auth + 1, end = auth + 1;
    bool found = initial && strcmp(initial + 1, hidden) == 0;

    for (; i < s->n; i++) {
        bool answer = is_client(&s->v[i]) && strcmp(s->v[i].line, hidden) == 0;
        if (!answer && !(is_server(&s->v[i]) && strncmp(s->v[i].line, "334", 3) == 0))
            break;
        found |= answer;
        end = i + 1;
    }
    if (!found)
        return;
    cues[auth].part = PART_LOGIN;
    for (i = auth + 1; i < end; i++)
        cues[i].part = PART_OMITTED;
}

static void find_parts(const struct script *s, struct cue *cues)
{
    for (size_t i = 0; i < s->n; i++) {
        if (cues[i].part != PART_COMMAND)
            continue;
        if (says(&s->v[i], "DATA"))
            find_message(s, cues, i);
        else if (says(&s->v[i], "BDAT") && s->v[i].line[4])
            find_chunk(s, cues, i);
        else if (says(&s->v[i], "AUTH") && s->v[i].line[4])
            find_login(s, cues, i);
    }
}

/* ---- claims ---- */

static bool is_command(const struct script_step *s, const struct cue *c)
{
    if (c->part == PART_CONTENT || c->part == PART_OMITTED)
        return false;
    return is_client(s) || is_directive(s, "starttls") || is_directive(s, "auth") || is_directive(s, "body");
}

static bool goes_on(const struct script_step *s)
{
    return is_server(s) && strlen(s->line) > 3 && ascii_isdigit(s->line[0]) && s->line[3] == '-';
}

static bool may_answer_quit(const struct script_step *s)
{
    size_t n = strnlen(s->line, 3);
    return !ascii_isdigit(s->line[0]) || strncmp(s->line, "221", n) == 0;
}

/* A part of the script from behind the last line 'S:' before it to the end of the lines 'S:' behind it. */
struct round {
    size_t commands, replies;
    bool open;         /* octets or a message of several recipients: there may be more replies than commands */
    size_t last_reply; /* a step */
};

static struct round look_at_round(const struct script *s, const struct cue *cues, size_t end)
{
    struct round r = { .last_reply = end };
    size_t i = end + 1;

    for (; i > 0 && !is_command(&s->v[i - 1], &cues[i - 1]) && !is_directive(&s->v[i - 1], "raw"); i--)
        if (is_server(&s->v[i - 1]) && cues[i - 1].part != PART_OMITTED)
            r.replies += i < 2 || !goes_on(&s->v[i - 2]);
    for (; i > 0 && !is_server(&s->v[i - 1]); i--) {
        r.commands += is_command(&s->v[i - 1], &cues[i - 1]);
        r.open |= cues[i - 1].part == PART_DOT || is_directive(&s->v[i - 1], "raw") ||
                  is_directive(&s->v[i - 1], "body");
    }
    return r;
}

static bool closes(const struct script_step *s)
{
    static const char *const words[] = { "close", "drop", "reset", "expect-close" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_directive(s, words[i]))
            return true;
    return false;
}

/* From the end to the beginning: a reply belongs to the latest line before it that has none yet. Transcripts of a
 * pipelining client, where many commands stand before many replies, come out right that way, and so does a script
 * that cares for some replies only. QUIT is often left without one. */
static void find_claims(const struct script *s, struct cue *cues, bool *greeting)
{
    struct round r = { 0 };
    size_t wanted = 0;
    bool behind = false; /* we stand behind the replies of a round */

    for (size_t i = s->n; i-- > 0;) {
        if (is_server(&s->v[i]) && cues[i].part != PART_OMITTED) {
            if (!behind) {
                wanted = r.open ? 0 : wanted;
                r = look_at_round(s, cues, i);
            }
            behind = true;
            wanted += i == 0 || !goes_on(&s->v[i - 1]);
        } else if (is_command(&s->v[i], &cues[i])) {
            bool last = behind;
            behind = false;
            if (last && r.commands > r.replies && says(&s->v[i], "QUIT") && !may_answer_quit(&s->v[r.last_reply]))
                continue;
            cues[i].claimed = wanted > 0;
            wanted -= wanted > 0;
        } else if (is_directive(&s->v[i], "raw")) {
            behind = false;
        } else if (closes(&s->v[i])) { /* what is left is the next connection's greeting */
            behind = false;
            cues[i].claimed = wanted > 0 && !r.open;
            wanted = 0;
        }
    }
    bool early = s->n > 1 && is_directive(&s->v[0], "raw") && is_server(&s->v[1]);
    *greeting = early || (wanted > 0 && !r.open);
}

struct cue *talk_cues(const struct script *s, bool *greeting)
{
    struct cue *cues = xcalloc(s->n + 1, sizeof *cues);
    find_parts(s, cues);
    find_claims(s, cues, greeting);
    return cues;
}
