/* caps: the EHLO keywords, one row each. */
#include "smtp/caps.h"

#include <string.h>

#include "base/ascii.h"

static void parse_auth(struct caps *c, const char *params)
{
    struct strlist words = STRLIST_INIT;

    strlist_split(&words, params, " \t");
    for (size_t i = 0; i < words.n; i++) {
        for (char *p = words.v[i]; *p != '\0'; p++)
            *p = ascii_upper(*p);
        if (!strlist_has(&c->auth, words.v[i]))
            strlist_add(&c->auth, words.v[i]);
    }
    strlist_free(&words);
}

static void parse_size(struct caps *c, const char *params)
{
    long long size;

    if (ascii_number(params, 0, INT64_MAX, &size))
        c->size_max = size;
}

static void parse_limits(struct caps *c, const char *params)
{
    const struct { const char *name; long *value; } limits[] = {
        { "RCPTMAX=", &c->rcpt_max }, { "MAILMAX=", &c->mail_max }, { "RCPTDOMAINMAX=", &c->rcpt_domain_max },
    };
    struct strlist words = STRLIST_INIT;
    long long n;

    strlist_split(&words, params, " \t");
    for (size_t i = 0; i < words.n; i++)
        for (size_t k = 0; k < sizeof limits / sizeof *limits; k++)
            if (ascii_istarts(words.v[i], limits[k].name)
                && ascii_number(words.v[i] + strlen(limits[k].name), 1, 999999, &n))
                *limits[k].value = (long)n;
    strlist_free(&words);
}

static const struct {
    const char *word;
    enum cap cap;
    void (*parse)(struct caps *c, const char *params); /* NULL: the keyword alone says it */
} keywords[] = {
    { "STARTTLS", CAP_STARTTLS, NULL },
    { "AUTH", CAP_AUTH, parse_auth },
    { "PIPELINING", CAP_PIPELINING, NULL },
    { "CHUNKING", CAP_CHUNKING, NULL },
    { "SIZE", CAP_SIZE, parse_size },
    { "8BITMIME", CAP_8BITMIME, NULL },
    { "SMTPUTF8", CAP_SMTPUTF8, NULL },
    { "DSN", CAP_DSN, NULL },
    { "ENHANCEDSTATUSCODES", CAP_ENHANCED, NULL },
    { "LIMITS", CAP_LIMITS, parse_limits },
    { "BINARYMIME", CAP_BINARYMIME, NULL },
    { "REQUIRETLS", CAP_REQUIRETLS, NULL },
    { "ETRN", CAP_ETRN, NULL },
    { "VRFY", CAP_VRFY, NULL },
    { "HELP", CAP_HELP, NULL },
};

/* The keyword ends at a blank, or at '=' in the form "AUTH=LOGIN" of old servers. */
static void parse_line(struct caps *c, const char *line)
{
    size_t n = strcspn(line, " \t=");
    const char *params = line + n + strspn(line + n, " \t=");

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (strlen(keywords[i].word) != n || !ascii_ieqn(line, keywords[i].word, n))
            continue;
        c->have |= keywords[i].cap;
        if (keywords[i].parse != NULL)
            keywords[i].parse(c, params);
    }
}

void caps_parse(struct caps *c, const struct reply *ehlo)
{
    const char *line = strchr(ehlo->text.data, '\n');

    caps_free(c);
    while (line != NULL) {
        size_t n = strcspn(++line, "\n");
        struct buf text = BUF_INIT;
        buf_add(&text, line, n);
        buf_trim(&text);
        strlist_add(&c->lines, text.data);
        parse_line(c, text.data);
        buf_free(&text);
        line = strchr(line, '\n');
    }
}

void caps_free(struct caps *c)
{
    strlist_free(&c->auth);
    strlist_free(&c->lines);
    *c = (struct caps){ 0 };
}

const char *cap_word(enum cap cap)
{
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (keywords[i].cap == cap)
            return keywords[i].word;
    return "";
}
