/* fuzz_sasl: whatever a server may say in an exchange. Input: an octet for the mechanism, then challenges, one a line; "\1" in a
 * line stands for the nonce that SCRAM sent, so that the exchange can get past it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool give(void *ctx, const struct buf **secret, struct err *e)
{
    (void)e;
    *secret = ctx;
    return true;
}

static void add_challenge(struct buf *challenge, const char *line, size_t n, const struct buf *first)
{
    const char *nonce = strstr(first->data, ",r=");
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\1' && nonce)
            buf_adds(challenge, nonce + 3);
        else
            buf_addc(challenge, line[i]);
    }
}

/* Key derivation of up to two million rounds is allowed, but there is no time for it here. */
static bool too_slow(const struct buf *challenge)
{
    const char *i = strstr(challenge->data, ",i=");
    return i && strtoul(i + 3, NULL, 10) > 10000 && strtoul(i + 3, NULL, 10) <= 2000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* GSSAPI is left out: it would fuzz Kerberos. */
    static const char *const names[] = { "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "DIGEST-MD5", "PLAIN", "LOGIN", "EXTERNAL",
                                         "XOAUTH2", "OAUTHBEARER" };
    struct buf secret = BUF_SECRET_INIT, binding = BUF_INIT, said = BUF_SECRET_INIT, first = BUF_SECRET_INIT, challenge = BUF_INIT;
    struct err e = ERR_INIT;
    bool has_initial, go_on = true;

    if (size == 0)
        return 0;
    buf_adds(&secret, "pencil");
    buf_adds(&binding, "0123456789");
    struct sasl_params p = { .user = "user", .host = "mail.example", .port = 587, .tls = true, .binding_type = "tls-exporter",
                             .binding = &binding, .secret = give, .ctx = &secret };
    struct sasl *s = sasl_start(names[data[0] % (sizeof names / sizeof *names)], &p, &first, &has_initial, &e);
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    while (s && go_on) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        bool last = !stop;
        stop = stop ? stop : end;
        buf_reset(&challenge);
        buf_reset(&said);
        add_challenge(&challenge, at, (size_t)(stop - at), &first);
        if (too_slow(&challenge))
            break;
        go_on = !last && sasl_step(s, &challenge, &said, &e);
        if (last)
            sasl_finish(s, &challenge, &e);
        at = last ? stop : stop + 1;
    }
    if (s && sasl_failure(s) && strlen(sasl_failure(s)) > 5000)
        abort();
    sasl_free(s);
    err_clear(&e);
    buf_free(&secret);
    buf_free(&binding);
    buf_free(&said);
    buf_free(&first);
    buf_free(&challenge);
    return 0;
}
