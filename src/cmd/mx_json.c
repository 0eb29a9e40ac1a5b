/* mx_json: a survey as one JSON object. The names and words are stable; envoi-mx(1) has them. */
#include <stdlib.h>

#include "base/codec.h"
#include "base/json.h"
#include "cmd/mx.h"
#include "cmd/sight_json.h"

static void error_if(struct json *j, const char *name, const struct err *e)
{
    if (!err_is_set(e))
        return;
    json_begin_object(j, name);
    json_string(j, "fault", fault_word(e->fault));
    json_string_if(j, "stage", e->stage == STAGE_NONE ? NULL : stage_word(e->stage));
    json_string_if(j, "text", e->text);
    json_string_if(j, "server", e->server);
    json_string_if(j, "hint", e->hint);
    json_end_object(j);
}

static void mx(struct json *j, const struct destination *d)
{
    json_begin_object(j, "mx");
    json_int(j, "records", d->mx.implicit || d->mx.literal ? 0 : (int64_t)d->mx.n);
    json_bool(j, "implicit", d->mx.implicit);
    json_bool(j, "literal", d->mx.literal);
    json_bool(j, "secure", d->mx.secure);
    error_if(j, "error", &d->err);
    if (err_is_set(&d->err) && d->enhanced[0]) {
        char *status = xasprintf("%d.%d.%d", d->enhanced[0], d->enhanced[1], d->enhanced[2]);
        json_string(j, "status", status);
        free(status);
    }
    json_end_object(j);
}

static void sts(struct json *j, const struct sts_result *r)
{
    static const char *const sources[] = {
        [STS_ABSENT] = "absent", [STS_CACHED] = "cached", [STS_FETCHED] = "fetched", [STS_UNKNOWN] = "unknown",
    };
    json_begin_object(j, "mta_sts");
    json_string(j, "source", sources[r->source]);
    json_string_if(j, "id", r->id);
    if (r->source == STS_CACHED || r->source == STS_FETCHED) {
        json_string(j, "mode", sts_mode_word(r->policy.mode));
        json_list(j, "mx", &r->policy.mx);
        json_int(j, "max_age", r->policy.max_age);
        if (r->expires)
            json_int(j, "expires", r->expires);
    }
    error_if(j, "error", &r->trouble);
    json_end_object(j);
}

static void spf(struct json *j, const struct survey *s)
{
    const struct spf_verdict *v = &s->spf.verdict;
    if (s->spf.asked == SURVEY_SPF_NOT_ASKED)
        return;
    json_begin_object(j, "spf");
    json_string_if(j, "domain", s->spf.domain);
    json_string_if(j, "address", s->spf.address);
    if (s->spf.asked == SURVEY_SPF_JUDGED) {
        json_string(j, "result", spf_word(v->result));
        json_string_if(j, "record", v->record);
        json_string_if(j, "why", v->why);
        json_int(j, "lookups", v->lookups);
    } else {
        json_string(j, "not_judged", s->spf.why_not);
    }
    json_end_object(j);
}

static void opinion(struct json *j, const struct survey_opinion *o)
{
    json_string(j, "verdict", survey_word(o->word));
    json_string_if(j, "reason", o->why);
    if (o->word == SURVEY_WORKS)
        json_bool(j, "encrypted", !o->clear);
}

static void look(struct json *j, const struct sight *v)
{
    json_string(j, "reach", v->done ? reach_word(v->reach) : "unknown");
    json_seconds(j, "seconds", v->took);
    if (v->looked) {
        json_string_if(j, "greeting", v->greeting);
        json_list(j, "ehlo", v->ehlo_tls.n > 0 ? &v->ehlo_tls : &v->ehlo);
        json_bool(j, "starttls", v->starttls_offered);
        sight_json_tls(j, &v->tls);
    }
    error_if(j, "error", &v->err);
}

static void address(struct json *j, const struct survey *s, const struct survey_address *a,
                    const struct survey_opinion *o)
{
    const struct sight *v = survey_look(s, a->look), *dane = survey_look(s, a->dane_look);
    json_begin_object(j, NULL);
    json_string(j, "address", a->address);
    json_begin_object(j, "ptr");
    json_string(j, "state", survey_ptr_word(a->ptr));
    json_string_if(j, "name", a->ptr_name);
    json_end_object(j);
    opinion(j, o);
    if (v)
        look(j, v);
    if (dane) {
        json_begin_object(j, "dane");
        json_bool(j, "verified", dane->tls.up && dane->tls.verified);
        json_string_if(j, "problem", dane->tls.problem);
        json_end_object(j);
    }
    json_end_object(j);
}

static void tlsa(struct json *j, const struct survey *s, size_t i)
{
    static const char *const states[] = {
        [TLSA_NONE] = "none", [TLSA_USABLE] = "usable", [TLSA_UNUSABLE] = "unusable", [TLSA_FAILED] = "failed",
    };
    const struct destination_host *d = &s->destination.v[i];
    json_begin_object(j, "tlsa");
    json_string(j, "state", states[d->tlsa]);
    json_string_if(j, "base", d->tlsa_name);
    json_begin_array(j, "records");
    for (size_t k = 0; k < d->tlsa_answer.n; k++) {
        const struct dns_record *r = &d->tlsa_answer.v[k];
        const enum survey_match match = s->hosts[i].tlsa ? s->hosts[i].tlsa[k] : SURVEY_MATCH_UNKNOWN;
        struct buf hex = BUF_INIT;
        hex_encode(&hex, r->association.data, r->association.len, "");
        json_begin_object(j, NULL);
        json_int(j, "usage", r->usage);
        json_int(j, "selector", r->selector);
        json_int(j, "matching", r->matching);
        json_string(j, "data", hex.data);
        if (match != SURVEY_MATCH_UNKNOWN)
            json_bool(j, "matches", match == SURVEY_MATCH_YES);
        json_end_object(j);
        buf_free(&hex);
    }
    json_end_array(j);
    json_end_object(j);
}

static void host(struct json *j, const struct survey *s, size_t i, const struct survey_judged_host *h)
{
    const struct destination_host *d = &s->destination.v[i];
    const struct sts_result *r = &s->destination.sts;
    long long days;
    json_begin_object(j, NULL);
    json_string(j, "name", d->name);
    json_int(j, "preference", d->preference);
    json_string_if(j, "cname", d->expanded);
    json_bool(j, "secure", d->secure);
    json_bool(j, "this_machine", d->here);
    opinion(j, &h->opinion);
    json_string(j, "level", level_word(d->decision.wanted));
    json_string_if(j, "level_reason", d->decision.why);
    if ((r->source == STS_CACHED || r->source == STS_FETCHED) && r->policy.mode != STS_NONE)
        json_bool(j, "mta_sts_match", sts_policy_matches(&r->policy, d->name));
    if (survey_days_left(s, i, &days))
        json_int(j, "days_left", days);
    tlsa(j, s, i);
    json_begin_array(j, "addresses");
    for (size_t k = 0; k < h->n; k++)
        address(j, s, &s->hosts[i].v[k], &h->addresses[k]);
    json_end_array(j);
    error_if(j, "error", &d->trouble);
    json_end_object(j);
}

void mx_json(const struct survey *s, const struct survey_verdict *v, struct buf *out)
{
    struct json j = JSON_TO(out);
    json_begin_object(&j, NULL);
    json_string(&j, "name", s->name);
    json_string(&j, "domain", s->destination.mx.domain ? s->destination.mx.domain : s->destination.domain);
    json_int(&j, "port", s->port);
    json_bool(&j, "connected", s->connect);
    json_begin_object(&j, "verdict");
    json_int(&j, "exit", v->exit);
    json_string(&j, "text", v->summary);
    json_list(&j, "problems", &v->problems);
    json_list(&j, "remarks", &v->remarks);
    json_end_object(&j);
    mx(&j, &s->destination);
    sts(&j, &s->destination.sts);
    json_begin_object(&j, "tlsrpt");
    json_string(&j, "state", tlsrpt_word(s->tlsrpt));
    json_list(&j, "rua", &s->tlsrpt_to);
    json_end_object(&j);
    spf(&j, s);
    json_begin_array(&j, "hosts");
    for (size_t i = 0; i < v->n; i++)
        host(&j, s, i, &v->hosts[i]);
    json_end_array(&j);
    json_int(&j, "time", s->now);
    json_seconds(&j, "seconds", s->took);
    json_end_object(&j);
    buf_addc(out, '\n');
}
