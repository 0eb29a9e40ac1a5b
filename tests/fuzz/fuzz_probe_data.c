/* Any template, body and header, one behind the other with NUL between: a message whose line ends are all CRLF. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/probe.h"
#include "cmd/probe_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct option *row(const char *name)
{
    return option_by_name(probe_option_table(), name, strlen(name));
}

static void check(struct message *m)
{
    struct err e = ERR_INIT;
    const char *block;
    size_t n;
    char before = 0;
    while (message_next(m, &block, &n, &e) && n)
        for (size_t i = 0; i < n; before = block[i++])
            if ((block[i] == '\n') != (before == '\r'))
                abort();
    if (before != '\n' && before)
        abort();
    err_clear(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const options[] = { "data", "body", "header", "add_header" };
    struct probe_options said;
    struct probe_plan p = { .said = &said, .repeat = 1, .env = { .sender = "me@example.org" } };
    struct message m;
    struct err e = ERR_INIT;
    char *text = xmalloc(size + 1), *at = text;
    memcpy(text, data, size);
    text[size] = '\0';
    said_init(&said, probe_option_table(), 0);
    for (size_t i = 0; i < sizeof options / sizeof *options && at <= text + size; at += strlen(at) + 1, i++)
        if (*at && *at != '@' && *at != '-') /* neither files nor standard input */
            said_add(&said, row(options[i]), at, "fuzz", &e);
    message_init(&m);
    if (probe_data_plan(&p, &e) && probe_data_message(&p, &m, &e))
        check(&m);
    message_free(&m);
    err_clear(&e);
    probe_data_free(p.data);
    said_free(&said);
    free(text);
    return 0;
}
