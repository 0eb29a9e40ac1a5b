/* fields: the fields of an event as members of a JSON object. */
#include "show/fields.h"

static void time_json(struct json *j, const struct field *f)
{
    struct buf text = BUF_INIT;
    event_add_time(&text, f->i);
    json_string(j, f->name, text.data);
    buf_free(&text);
}

static void list_json(struct json *j, const struct field *f)
{
    json_begin_array(j, f->name);
    for (size_t i = 0; f->list && i < f->list->n; i++)
        json_string(j, NULL, f->list->v[i]);
    json_end_array(j);
}

void fields_json(struct json *j, const struct field *f)
{
    for (; f->type != FIELD_END; f++) {
        switch (f->type) {
        case FIELD_END:
            break;
        case FIELD_STRING:
            if (f->s)
                json_string_n(j, f->name, f->s, f->len);
            break;
        case FIELD_INT:
            json_int(j, f->name, f->i);
            break;
        case FIELD_BOOL:
            json_bool(j, f->name, f->i);
            break;
        case FIELD_TIME:
            time_json(j, f);
            break;
        case FIELD_LIST:
            list_json(j, f);
            break;
        }
    }
}
