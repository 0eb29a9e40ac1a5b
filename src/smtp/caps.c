/* caps: the EHLO keywords, one row each. */
#include "smtp/caps.h"

#include <string.h>

#include "base/ascii.h"

static void add_upper(struct strlist *to, const char *params)
{
    struct strlist words = STRLIST_INIT;

    strlist_split(&words, params, " \t");
    for (size_t i = 0; i < words.n; i++) {
        for (char *p = words.v[i]; *p != '\0'; p++)
            *p = ascii_upper(*p);
        if (!strlist_has(to, words.v[i]))
            strlist_add(to, words.v[i]);
    }
    strlist_free(&words);
}

static void parse_auth(struct caps *c, const char *params)
{
    add_upper(&c->auth, params);
}

static void parse_xclient(struct caps *c, const char *params)
{
    add_upper(&c->xclient, params);
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

/* Those without a bit change nothing in how we speak; they are here to be explained. */
static const struct {
    const char *word;
    unsigned cap; /* 0: none */
    void (*parse)(struct caps *c, const char *params); /* NULL: the keyword alone says it */
    const char *meaning;
} keywords[] = {
    { "STARTTLS", CAP_STARTTLS, NULL, "Support for TLS encryption via the STARTTLS command" },
    { "AUTH", CAP_AUTH, parse_auth, "Supported authentication methods" },
    { "PIPELINING", CAP_PIPELINING, NULL, "Support for command grouping for faster transmission" },
    { "CHUNKING", CAP_CHUNKING, NULL, "Support for messages in chunks (BDAT), without dots to double" },
    { "SIZE", CAP_SIZE, parse_size, "Support for telling the size of a message in advance" },
    { "8BITMIME", CAP_8BITMIME, NULL, "Support for 8-bit text" },
    { "SMTPUTF8", CAP_SMTPUTF8, NULL, "Support for UTF-8 in addresses and headers" },
    { "DSN", CAP_DSN, NULL, "Support for Delivery Status Notifications" },
    { "ENHANCEDSTATUSCODES", CAP_ENHANCED, NULL, "Replies carry a second, finer code" },
    { "LIMITS", CAP_LIMITS, parse_limits, "Limits of a session" },
    { "BINARYMIME", CAP_BINARYMIME, NULL, "Support for binary content" },
    { "REQUIRETLS", CAP_REQUIRETLS, NULL, "A message can demand TLS on all of its way" },
    { "ETRN", CAP_ETRN, NULL, "Support for RMQS (Remote Message Queue Starting)" },
    { "VRFY", CAP_VRFY, NULL, "Addresses can be verified" },
    { "HELP", CAP_HELP, NULL, "Support for the HELP command" },
    { "PRDR", CAP_PRDR, NULL, "Support for a reply for each recipient behind the message" },
    { "EXPN", 0, NULL, "Mailing lists can be expanded" },
    { "ATRN", 0, NULL, "Support for taking over the connection to fetch queued mail (on-demand relay)" },
    { "TURN", 0, NULL, "Support for exchanging the roles of client and server (obsolete, unsafe)" },
    { "BURL", 0, NULL, "Content can be fetched from an IMAP server" },
    { "DELIVERBY", 0, NULL, "A message can say by when it has to be delivered" },
    { "FUTURERELEASE", 0, NULL, "A message can say when it is to be sent on" },
    { "MT-PRIORITY", 0, NULL, "A message can have a priority" },
    { "NO-SOLICITING", 0, NULL, "Advertising of these kinds is not wanted" },
    { "RRVS", 0, NULL, "A message can demand that the mailbox still has the same owner" },
    { "SUBMITTER", 0, NULL, "The responsible address of a message can be told" },
    { "CHECKPOINT", 0, NULL, "An interrupted transaction can be resumed" },
    { "UTF8SMTP", 0, NULL, "UTF-8 in addresses and headers, in an experimental form" },
    { "CLIENTID", 0, NULL, "A client can identify itself beside its login" },
    { "XCLIENT", CAP_XCLIENT, parse_xclient, "Trusted proxies can tell whom they speak for" },
    { "XFORWARD", 0, NULL, "Trusted proxies can tell whom they speak for, for logs" },
    { "X-EXPS", 0, NULL, "Authentication methods of Microsoft Exchange" },
    { "X-ANONYMOUSTLS", 0, NULL, "TLS among servers of Microsoft Exchange" },
    { "XRDST", 0, NULL, "Shadow copies among servers of Microsoft Exchange" },
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
        if (keywords[i].parse)
            keywords[i].parse(c, params);
    }
}

void caps_parse(struct caps *c, const struct reply *ehlo)
{
    const char *line = strchr(ehlo->text.data, '\n');

    caps_free(c);
    while (line) {
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
    strlist_free(&c->xclient);
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

const char *caps_explain(const char *line, struct buf *keyword, const char **parameters)
{
    size_t n = strcspn(line, " \t=");

    buf_add(keyword, line, n);
    *parameters = line + n + strspn(line + n, " \t=");
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (ascii_ieq(keyword->data, keywords[i].word))
            return keywords[i].meaning;
    return NULL;
}
