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

#define BLOCKED \
    "most access providers block port 25 of their customers; where that is so, send through a server that takes a " \
    "login: 'host NAME' in place of 'host mx'"

/* Mail exchangers have one port only, and it is the one that is blocked. */
static const struct { enum verdict_word word; const char *remedy; } of_exchangers[] = {
    { VERDICT_REFUSED_BY_HOST, "its mail service is down, or somebody on the way says so: try again later" },
    { VERDICT_OTHER_PORT_WORKS, BLOCKED },
    { VERDICT_PORT_FILTERED, BLOCKED },
    { VERDICT_PORT_REJECTED, BLOCKED },
    { VERDICT_ALL_MAIL_PORTS_FILTERED, BLOCKED },
    { VERDICT_HOST_DOWN, BLOCKED },
};

static const char *remedy_of(const struct verdict *v, const struct hop *hop)
{
    for (size_t i = 0; i < sizeof of_exchangers / sizeof *of_exchangers && hop->exchanger; i++)
        if (of_exchangers[i].word == v->word)
            return of_exchangers[i].remedy;
    return v->remedy;
}

/* What to write goes with a remedy that does not say it itself. */
static void say(const struct verdict *v, const struct hop *hop, struct err *e)
{
    const char *remedy = remedy_of(v, hop);
    struct buf hint = BUF_INIT;
    size_t written = 0;
    buf_adds(&hint, v->cause);
    if (remedy)
        buf_printf(&hint, "; %s", remedy);
    for (size_t i = 0; i < v->config.n && v->way && !hop->exchanger; i++) {
        char *quoted = xasprintf("'%s'", v->config.v[i]);
        if (!remedy || !strstr(remedy, quoted))
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
    struct hop where = *hop;
    if (hop->exchanger) /* its name was looked up elsewhere */
        where.host = hop->address;
    const struct diagnose_params params = { .account = a, .named = NAMED_ACCOUNT, .name = a->name, .port_named = true,
                                            .brief = true, .hop = &where };
    if (!is_worth_a_look(a, hop, deadline, e))
        return;
    if (diagnose(&params, &scene, &ignored)) {
        verdict_of(&scene, &verdict);
        if (verdict.word != VERDICT_OK && verdict.cause)
            say(&verdict, hop, e);
    }
    verdict_free(&verdict);
    scene_free(&scene);
    err_clear(&ignored);
}
