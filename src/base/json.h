/* json: writing JSON (RFC 8259), and just enough reading for a failed OAuth answer. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/strlist.h"

/* A writer that puts the commas itself. A NULL name writes a bare value (in arrays). */
struct json {
    struct buf *out; /* borrowed */
    bool comma;      /* the next value needs one in front */
};

#define JSON_TO(b) { .out = (b) }

void json_begin_object(struct json *j, const char *name);
void json_end_object(struct json *j);
void json_begin_array(struct json *j, const char *name);
void json_end_array(struct json *j);
void json_string(struct json *j, const char *name, const char *s);               /* NULL: null */
void json_string_if(struct json *j, const char *name, const char *s);            /* NULL: nothing */
void json_string_n(struct json *j, const char *name, const char *s, size_t n);   /* not UTF-8: U+FFFD */
void json_int(struct json *j, const char *name, int64_t value);
void json_seconds(struct json *j, const char *name, int64_t microseconds);       /* 0.001234 */
void json_bool(struct json *j, const char *name, bool value);
void json_list(struct json *j, const char *name, const struct strlist *l);       /* an array of strings */
void json_null(struct json *j, const char *name);

/* Appends the value of a string or number member of a flat JSON object to out, escapes undone
 * (control characters become '?'). false: not there, or not JSON. */
bool json_member(const char *text, size_t n, const char *name, struct buf *out);

#endif
