/* diagnose_json: a diagnosis as one JSON object. The names and words are stable; envoi-diagnose(1) has them. */
#include <stdlib.h>
#include <sys/socket.h>

#include "base/json.h"
#include "cmd/diagnose.h"
#include "cmd/sight_json.h"

static void lookup(struct json *j, const char *name, const struct lookup *l)
{
    if (l->outcome == LOOKUP_NOT_ASKED)
        return;
    json_begin_object(j, name);
    json_string_if(j, "name", l->name);
    json_string(j, "outcome", scene_lookup_word(l->outcome));
    json_string_if(j, "reason", l->reason);
    json_list(j, "addresses", &l->addresses);
    json_seconds(j, "seconds", l->took);
    json_end_object(j);
}

static void look(struct json *j, const struct sight *v)
{
    json_string_if(j, "heard", v->heard);
    json_string_if(j, "greeting", v->greeting);
    json_bool(j, "banner_masked", v->banner_masked);
    json_bool(j, "ehlo_answered", v->ehlo_answered);
    json_list(j, "ehlo", &v->ehlo);
    json_list(j, "ehlo_tls", &v->ehlo_tls);
    json_bool(j, "starttls", v->starttls_offered);
    json_string_if(j, "starttls_masked", v->starttls_masked);
    sight_json_tls(j, &v->tls);
    json_list(j, "auth", &v->auth);
    json_list(j, "auth_tls", &v->auth_tls);
    json_bool(j, "closed_at_once", v->closed_at_once);
}

static void sight(struct json *j, const struct scene *s, const struct sight *v)
{
    json_begin_object(j, NULL);
    json_string(j, "role", scene_role_word(v->role));
    json_string_if(j, "host", v->host);
    json_string_if(j, "address", v->address);
    json_int(j, "port", v->port);
    json_string_if(j, "local", v->local);
    json_bool(j, "implicit_tls", v->implicit);
    json_bool(j, "crossed", v->crossed);
    if (v->mss)
        json_int(j, "mss", v->mss);
    json_bool(j, "done", v->done);
    if (v->done)
        json_string(j, "reach", reach_word(v->reach));
    json_seconds(j, "seconds", v->took);
    json_bool(j, "looked", v->looked);
    if (v->looked)
        look(j, v);
    json_begin_array(j, "phases");
    for (size_t i = 0; i < v->n_phases && i < SIGHT_PHASES; i++) {
        json_begin_object(j, NULL);
        json_string(j, "stage", stage_word(v->phases[i].stage));
        json_seconds(j, "seconds", v->phases[i].us);
        json_end_object(j);
    }
    json_end_array(j);
    if (err_is_set(&v->err)) {
        json_begin_object(j, "error");
        json_string(j, "fault", fault_word(v->err.fault));
        json_string(j, "stage", stage_word(v->err.stage));
        json_string(j, "text", v->err.text);
        json_string_if(j, "server", v->err.server);
        json_end_object(j);
    }
    json_bool(j, "usable", scene_usable(s, v));
    json_end_object(j);
}

static void ladder(struct json *j, const struct scene_ladder *l)
{
    json_begin_object(j, NULL);
    json_string_if(j, "address", l->address);
    json_int(j, "port", l->port);
    json_begin_array(j, "hops");
    for (int i = 0; i < l->n && i < LADDER_MAX; i++) {
        const struct ladder_rung *r = &l->rungs[i];
        json_begin_object(j, NULL);
        json_int(j, "ttl", i + 1);
        json_string(j, "outcome", reach_word(r->outcome));
        json_seconds(j, "seconds", r->took);
        if (r->icmp.known)
            json_string(j, "from", r->icmp.from);
        else if (r->udp_router[0])
            json_string(j, "udp_from", r->udp_router);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

static void verdict(struct json *j, const struct verdict *v)
{
    json_begin_object(j, "verdict");
    json_string(j, "word", verdict_word(v->word));
    json_int(j, "exit", fault_exit(v->fault));
    json_string(j, "fault", fault_word(v->fault));
    json_string_if(j, "cause", v->cause);
    json_string_if(j, "remedy", v->remedy);
    json_list(j, "evidence", &v->evidence);
    json_list(j, "config", &v->config);
    if (v->way) {
        json_begin_object(j, "way");
        json_string_if(j, "address", v->way->address);
        json_int(j, "port", v->way->port);
        json_bool(j, "implicit_tls", v->way->implicit);
        json_end_object(j);
    }
    json_end_object(j);
}

static void question(struct json *j, const struct scene_question *q)
{
    json_begin_object(j, "question");
    json_string(j, "named", scene_named_word(q->named));
    json_string_if(j, "name", q->name);
    json_string_if(j, "host", q->host);
    json_int(j, "port", q->port);
    json_bool(j, "tls", q->tls != SESSION_TLS_OFF);
    json_bool(j, "implicit_tls", q->tls == SESSION_TLS_IMPLICIT);
    json_bool(j, "auth", q->auth);
    json_string_if(j, "mechanism", q->mechanism);
    json_string_if(j, "control", q->control);
    json_string_if(j, "proxy", q->proxy);
    json_end_object(j);
}

static void family(struct json *j, const char *name, const struct scene_family *f)
{
    json_begin_object(j, name);
    json_bool(j, "address", f->address);
    json_bool(j, "route", f->route);
    json_end_object(j);
}

void diagnose_json(const struct scene *s, const struct verdict *v, struct buf *out)
{
    struct json j = JSON_TO(out);
    json_begin_object(&j, NULL);
    verdict(&j, v);
    question(&j, &s->question);
    json_begin_object(&j, "names");
    lookup(&j, "ipv4", &s->names.v4);
    lookup(&j, "ipv6", &s->names.v6);
    lookup(&j, "impossible", &s->names.impossible);
    lookup(&j, "known", &s->names.known);
    json_list(&j, "servers", &s->names.servers);
    json_bool(&j, "null_mx", s->names.null_mx);
    json_end_object(&j);
    json_begin_object(&j, "machine");
    family(&j, "ipv4", &s->machine.v4);
    family(&j, "ipv6", &s->machine.v6);
    json_string_if(&j, "vendor", s->machine.vendor);
    json_string_if(&j, "product", s->machine.product);
    json_end_object(&j);
    json_begin_array(&j, "sights");
    for (size_t i = 0; i < s->n_sights; i++)
        sight(&j, s, &s->sights[i]);
    json_end_array(&j);
    json_begin_array(&j, "paths");
    for (size_t i = 0; i < s->n_ladders; i++)
        ladder(&j, &s->ladders[i]);
    json_end_array(&j);
    json_list(&j, "notes", &s->notes);
    json_int(&j, "time", s->now);
    json_seconds(&j, "seconds", s->took);
    json_end_object(&j);
    buf_addc(out, '\n');
}
