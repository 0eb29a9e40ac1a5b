/* scene: the life of what a diagnosis has seen, and its words. */
#include "send/scene.h"

#include <stdlib.h>

#include "base/buf.h"

struct sight *scene_add_sight(struct scene *s)
{
    s->sights = xrealloc(s->sights, (s->n_sights + 1) * sizeof *s->sights);
    s->sights[s->n_sights] = (struct sight){ 0 };
    return &s->sights[s->n_sights++];
}

struct scene_ladder *scene_add_ladder(struct scene *s)
{
    s->ladders = xrealloc(s->ladders, (s->n_ladders + 1) * sizeof *s->ladders);
    s->ladders[s->n_ladders] = (struct scene_ladder){ 0 };
    return &s->ladders[s->n_ladders++];
}

bool sight_is_open(const struct sight *v)
{
    return v->done && v->reach == REACH_OPEN;
}

/* Is TLS up and good, where it has to be? A configuration without TLS does not mind what STARTTLS would lead to. */
static bool tls_is_fine(const struct scene_question *q, const struct sight *v)
{
    switch (q->tls) {
    case SESSION_TLS_OFF:
        return !v->implicit;
    case SESSION_TLS_MAY:
        return !err_is_set(&v->err);
    case SESSION_TLS_STRICT:
    case SESSION_TLS_REQUIRED:
    case SESSION_TLS_IMPLICIT:
        return v->tls.up && (v->tls.verified || !q->verify) && !err_is_set(&v->err);
    }
    return false;
}

static bool auth_is_fine(const struct scene_question *q, const struct sight *v)
{
    const struct strlist *offered = v->tls.up && q->tls != SESSION_TLS_OFF ? &v->auth_tls : &v->auth;
    return !q->auth || (q->mechanism ? strlist_has_nocase(offered, q->mechanism) : offered->n > 0);
}

bool scene_usable(const struct scene *s, const struct sight *v)
{
    return sight_is_open(v) && v->ehlo_answered && tls_is_fine(&s->question, v) && auth_is_fine(&s->question, v);
}

const char *scene_role_word(enum sight_role role)
{
    static const char *const words[] = {
        [SIGHT_CONFIGURED] = "configured",
        [SIGHT_OTHER_PORT] = "other-port",
        [SIGHT_CONTROL_PORT] = "control-port",
        [SIGHT_CONTROL_HOST] = "control-host",
    };
    return words[role];
}

const char *scene_lookup_word(enum lookup_outcome outcome)
{
    static const char *const words[] = {
        [LOOKUP_NOT_ASKED] = "not-asked",
        [LOOKUP_FOUND] = "found",
        [LOOKUP_NO_ADDRESS] = "no-address",
        [LOOKUP_NO_NAME] = "no-name",
        [LOOKUP_FAILED] = "failed",
        [LOOKUP_SILENT] = "silent",
        [LOOKUP_LITERAL] = "literal",
    };
    return words[outcome];
}

const char *scene_named_word(enum scene_named named)
{
    static const char *const words[] = {
        [NAMED_ACCOUNT] = "account",
        [NAMED_HOST] = "host",
        [NAMED_ADDRESS] = "address",
        [NAMED_DOMAIN] = "domain",
    };
    return words[named];
}

static void question_free(struct scene_question *q)
{
    free(q->name);
    free(q->host);
    free(q->mechanism);
    free(q->control);
    free(q->proxy);
}

void lookup_free(struct lookup *l)
{
    free(l->name);
    free(l->reason);
    strlist_free(&l->addresses);
    *l = (struct lookup){ 0 };
}

static void machine_free(struct scene_machine *m)
{
    free(m->vendor);
    free(m->product);
    free(m->asset);
    strlist_free(&m->environment);
}

static void tls_free(struct sight_tls *t)
{
    free(t->version);
    free(t->cipher);
    free(t->problem);
    strlist_free(&t->problems);
    free(t->subject);
    free(t->issuer);
    strlist_free(&t->names);
    free(t->sha256);
    strlist_free(&t->chain);
}

static void sight_free(struct sight *v)
{
    free(v->host);
    free(v->address);
    free(v->local);
    free(v->heard);
    free(v->greeting);
    strlist_free(&v->ehlo);
    strlist_free(&v->ehlo_tls);
    free(v->starttls_masked);
    tls_free(&v->tls);
    strlist_free(&v->auth);
    strlist_free(&v->auth_tls);
    err_clear(&v->err);
}

void scene_free(struct scene *s)
{
    question_free(&s->question);
    lookup_free(&s->names.v4);
    lookup_free(&s->names.v6);
    lookup_free(&s->names.impossible);
    lookup_free(&s->names.known);
    strlist_free(&s->names.servers);
    machine_free(&s->machine);
    for (size_t i = 0; i < s->n_sights; i++)
        sight_free(&s->sights[i]);
    free(s->sights);
    for (size_t i = 0; i < s->n_ladders; i++)
        free(s->ladders[i].address);
    free(s->ladders);
    strlist_free(&s->notes);
    *s = (struct scene)SCENE_INIT;
}
