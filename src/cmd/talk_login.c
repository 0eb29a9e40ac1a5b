/* talk_login: a login in the middle of a dialogue: its lines, and what their replies mean. Everything else is
 * send/authn's. */
#include <string.h>

#include "base/codec.h"
#include "cmd/talk.h"

bool talk_login_start(struct authn *l, const struct talk_login_params *p, struct buf *line, size_t *secret_from,
                      struct err *e)
{
    const struct account *a = l->p.account;
    struct strlist tried = STRLIST_INIT, named = STRLIST_INIT;
    struct buf initial = BUF_SECRET_INIT;
    bool has_initial = false;
    struct sasl_params params = authn_sasl_params(l, p->stream, p->offered);

    params.clear_ok |= p->clear_ok;
    if (p->mechanism) /* whoever names one may mean a server that does not offer it */
        strlist_add(&named, p->mechanism);
    const char *mechanism = p->mechanism ? sasl_choose(&named, p->mechanism, &tried, &params, e)
                                         : sasl_choose(p->offered, a->auth, &tried, &params, e);
    bool ok = mechanism && authn_start(l, mechanism, &params, &initial, &has_initial, e);
    if (ok)
        buf_printf(line, "AUTH %s%s", mechanism, has_initial ? " " : "");
    *secret_from = has_initial ? line->len : SIZE_MAX;
    if (ok && has_initial && initial.len > 0)
        base64_encode(line, initial.data, initial.len);
    else if (ok && has_initial)
        buf_addc(line, '=');
    buf_free(&initial);
    strlist_free(&named);
    strlist_free(&tried);
    err_stage(e, STAGE_AUTH);
    return ok;
}

void talk_login_answer(struct authn *l, const char *challenge, struct buf *line, struct err *e)
{
    struct buf octets = BUF_SECRET_INIT, response = BUF_SECRET_INIT;

    if (!base64_decode(&octets, challenge, strlen(challenge)))
        err_set(e, FAULT_PROTOCOL, "the server's challenge is not base64");
    else if (authn_step(l, &octets, &response, e))
        base64_encode(line, response.data, response.len);
    if (err_is_set(e))
        buf_addc(line, '*');
    err_stage(e, STAGE_AUTH);
    buf_free(&octets);
    buf_free(&response);
}

void talk_login_end(struct authn *l, const char *reply, struct err *e)
{
    const struct buf nothing = BUF_INIT;

    if (reply[0] == '2') {
        authn_accepted(l, &nothing, e);
        return;
    }
    authn_tell_refusal(l);
    authn_refused(l, reply, reply[0] == '4', e);
}
