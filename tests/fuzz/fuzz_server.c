/* fuzz_server: any octets in any portions to the server session. The first octet chooses params and portions. Whatever comes, the session
 * ends its turn, its output is bounded, and what it hands over never holds more than came in. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/caps.h"
#include "smtp/server.h"

/* A mechanism of the driver's own: its response decides what comes next. */
static void take_step(struct server *s, uint8_t how)
{
    const struct server_step *step = server_step(s);
    if (!step->response || !strstr(step->mechanism, "SCRAM"))
        abort();
    if (step->first || (step->response->len > 0 && step->response->data[0] == 'c'))
        server_challenge(s, step->response);
    else
        server_step_done(s, "user", how & 1);
}

/* Refuses what is about something that begins with a digit, by that digit's code. */
static void take_stage(struct server *s)
{
    static const int codes[] = { 421, 450, 451, 454, 500, 535, 550, 552, 554, 599 };
    const char *about;
    enum server_stage stage = server_stage(s, &about);
    if (stage == SERVER_AT_NOWHERE)
        abort();
    if (*about >= '0' && *about <= '9')
        server_stage_answer(s, codes[*about - '0'], "5.7.1 no");
    else
        server_stage_answer(s, 0, NULL);
}

static void serve(struct server *s, size_t *handed, uint8_t how)
{
    const char *p;
    size_t n;
    uint64_t sum = 0; /* every octet is read */

    for (;;) {
        switch (server_next(s)) {
        case SERVER_READ:
        case SERVER_CLOSE: return;
        case SERVER_WRITE:
            if (server_output(s)->len > 2 << 20)
                abort();
            server_wrote(s, server_output(s)->len);
            break;
        case SERVER_TLS: server_tls_up(s); break;
        case SERVER_LOGIN: server_login_answer(s, how & 1); break;
        case SERVER_STEP: take_step(s, how); break;
        case SERVER_STAGE: take_stage(s); break;
        case SERVER_DATA:
            server_data(s, &p, &n);
            for (size_t i = 0; i < n; i++)
                sum += (unsigned char)p[i];
            if (sum == UINT64_MAX)
                abort();
            *handed += n;
            server_data_taken(s);
            break;
        case SERVER_DROP: server_data_taken(s); break;
        case SERVER_MESSAGE:
            if (server_envelope(s)->n == 0)
                abort();
            server_message_answer(s, 250, "2.0.0 ok");
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t how = *data++;
    size--;
    const struct server_params p = {
        .name = "mx", .extensions = UINT32_MAX, .lmtp = how & 2, .auth_offered = how & 4, .auth_without_tls = true,
        .stages = how & 128, .tls_offered = how & 8, .size_max = how & 16 ? 20 : 0, .rcpt_max = how & 32 ? 2 : 0,
    };
    size_t portion = how & 64 ? 1u + (how & 7) : size + 1, handed = 0;
    struct server *s = server_new(&p);
    serve(s, &handed, how);
    for (size_t at = 0; at < size; at += portion) {
        size_t n = size - at < portion ? size - at : portion;
        char *block = malloc(n); /* so that a look behind its end is seen */
        if (!block)
            abort();
        memcpy(block, data + at, n);
        server_input(s, block, n);
        serve(s, &handed, how);
        free(block);
    }
    if (handed > size)
        abort();
    server_free(s);
    return 0;
}
