/* scram: the server's side of SCRAM. The library checks the proof; here is checked that the user is the one whose
 * password it is. */
#include "auth/scram.h"

#include <stdlib.h>
#include <string.h>

#include "auth/gsasl_door.h"
#include "base/codec.h"

struct scram {
    const struct gsasl_api *api;
    Gsasl *context;
    Gsasl_session *session;
    const char *user;      /* borrowed */
    bool proved;           /* both sides; the client's empty answer is due */
};

bool scram_usable(struct err *e)
{
    const struct gsasl_api *api = gsasl_door(e);
    Gsasl *context;

    if (!api)
        return false;
    if (api->gsasl_init(&context) != GSASL_OK)
        return err_set(e, FAULT_SYSTEM, "libgsasl cannot be started");
    bool usable = api->gsasl_server_support_p(context, "SCRAM-SHA-256") != 0;
    api->gsasl_done(context);
    return usable || err_set(e, FAULT_AUTH, "this libgsasl has no SCRAM-SHA-256");
}

/* Only the -PLUS form is told of the binding: in the other, a client that could bind would be taken for one that was
 * cheated. */
static int set_properties(struct scram *s, const struct scram_params *p)
{
    const bool bound = p->binding_type && strcmp(p->mechanism, "SCRAM-SHA-256-PLUS") == 0;
    const bool exporter = bound && strcmp(p->binding_type, "tls-exporter") == 0;
    struct buf binding = BUF_INIT;

    if (bound)
        base64_encode(&binding, p->binding->data, p->binding->len);
    int code = s->api->gsasl_property_set(s->session, GSASL_PASSWORD, p->password);
    if (code == GSASL_OK && bound)
        code = s->api->gsasl_property_set(s->session, exporter ? GSASL_CB_TLS_EXPORTER : GSASL_CB_TLS_UNIQUE,
                                          binding.data);
    buf_free(&binding);
    return code;
}

struct scram *scram_start(const struct scram_params *p)
{
    struct err ignored = ERR_INIT;
    const struct gsasl_api *api = gsasl_door(&ignored);

    err_clear(&ignored);
    if (!api)
        return NULL;
    struct scram *s = xcalloc(1, sizeof *s);
    s->api = api;
    s->user = p->user;
    if (api->gsasl_init(&s->context) == GSASL_OK
        && api->gsasl_server_start(s->context, p->mechanism, &s->session) == GSASL_OK
        && set_properties(s, p) == GSASL_OK)
        return s;
    scram_free(s);
    return NULL;
}

static bool is_user(const struct scram *s)
{
    const char *said = s->api->gsasl_property_fast(s->session, GSASL_AUTHID);
    return said && strcmp(said, s->user) == 0;
}

enum scram_verdict scram_step(struct scram *s, const struct buf *response, struct buf *challenge)
{
    char *out = NULL;
    size_t n = 0;

    if (s->proved)
        return response->len == 0 ? SCRAM_YES : SCRAM_NO;
    int code = s->api->gsasl_step(s->session, response->data, response->len, &out, &n);
    if (out && (code == GSASL_OK || code == GSASL_NEEDS_MORE))
        buf_add(challenge, out, n);
    s->api->gsasl_free(out);
    if (code == GSASL_NEEDS_MORE)
        return SCRAM_MORE;
    s->proved = code == GSASL_OK && is_user(s);
    return s->proved ? SCRAM_MORE : SCRAM_NO;
}

void scram_free(struct scram *s)
{
    if (!s)
        return;
    gsasl_door_finish(s->api, s->session);
    if (s->context)
        s->api->gsasl_done(s->context);
    free(s);
}
