/* fields: the fields of an event as members of a JSON object. */
#ifndef SHOW_FIELDS_H
#define SHOW_FIELDS_H

#include "base/event.h"
#include "base/json.h"

/* Absent fields are left out. */
void fields_json(struct json *j, const struct field *fields);

#endif
