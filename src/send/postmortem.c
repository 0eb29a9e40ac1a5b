/* postmortem: between an error and the diagnosis: whether to look, and the two sentences. */
#include "send/postmortem.h"

#include <stdlib.h>
#include <string.h>

#include "net/dial.h"
#include "send/diagnose.h"
#include "send/verdict.h"

static const usec TIME = 3 * USEC_PER_SEC;

/* What the name servers said may have to do with more than the name. */
static bool is_unknown(const struct err *e)
{
    bool name = e->fault == FAULT_NO_HOST || e->fault == FAULT_DNS || e->fault == FAULT_TIMEOUT;
    return name && e->stage == STAGE_LOOKUP;
}

static bool is_worth_a_look(const struct account *a, const struct hop *hop, usec deadline, const struct err *e)
{
    bool network = hop->host && hop->command.n == 0 && a->proxy_type == PROXY_NONE;
    bool time = deadline == USEC_NEVER || clock_now() + TIME < deadline;
    return a->diagnose && network && time && (route_was_cut(e) || is_unknown(e));
}

/* What to write goes with a remedy that does not say it itself. */
static void say(const struct verdict *v, struct err *e)
{
    struct buf hint = BUF_INIT;
    size_t written = 0;
    buf_adds(&hint, v->cause);
    if (v->remedy)
        buf_printf(&hint, "; %s", v->remedy);
    for (size_t i = 0; i < v->config.n && v->way; i++) {
        char *quoted = xasprintf("'%s'", v->config.v[i]);
        if (!v->remedy || !strstr(v->remedy, quoted))
            buf_printf(&hint, "%s%s", written++ ? " and " : ": write ", quoted);
        free(quoted);
    }
    free(e->hint);
    e->hint = NULL;
    err_hint(e, "%s", hint.data);
    buf_free(&hint);
}

void postmortem(const struct account *a, const struct hop *hop, usec deadline, struct err *e)
{
    struct scene scene = SCENE_INIT;
    struct verdict verdict = VERDICT_INIT;
    struct err ignored = ERR_INIT;
    const struct diagnose_params params = { .account = a, .named = NAMED_ACCOUNT, .name = a->name, .port_named = true,
                                            .brief = true, .hop = hop };
    if (!is_worth_a_look(a, hop, deadline, e))
        return;
    if (diagnose(&params, &scene, &ignored)) {
        verdict_of(&scene, &verdict);
        if (verdict.word != VERDICT_OK && verdict.cause)
            say(&verdict, e);
    }
    verdict_free(&verdict);
    scene_free(&scene);
    err_clear(&ignored);
}
