/* sight_json: TLS as it was seen, as JSON. The names are stable; envoi-diagnose(1) and envoi-mx(1) have them. */
#include "cmd/sight_json.h"

void sight_json_tls(struct json *j, const struct sight_tls *t)
{
    if (!t->up && !t->sha256)
        return;
    json_begin_object(j, "tls");
    json_bool(j, "up", t->up);
    json_string_if(j, "version", t->version);
    json_string_if(j, "cipher", t->cipher);
    json_bool(j, "verified", t->verified);
    json_string_if(j, "problem", t->problem);
    json_list(j, "problems", &t->problems);
    if (t->sha256) {
        json_begin_object(j, "certificate");
        json_string_if(j, "subject", t->subject);
        json_string_if(j, "issuer", t->issuer);
        json_list(j, "names", &t->names);
        json_int(j, "not_before", t->not_before);
        json_int(j, "not_after", t->not_after);
        json_int(j, "days_left", t->days_left);
        json_string(j, "sha256", t->sha256);
        json_end_object(j);
    }
    json_end_object(j);
}
