/* Whatever the section: no octet of it is lost, and a value put in stays one header. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header_list l = HEADER_LIST_INIT, one = HEADER_LIST_INIT, back = HEADER_LIST_INIT;
    struct buf out = BUF_INIT, value = BUF_INIT;
    size_t used;
    header_list_parse(&l, (const char *)data, size, &used);
    header_list_write(&l, &out);
    if (used > size || out.len > used || out.len != header_list_size(&l))
        abort();
    if (!memmem(data, used, out.data, out.len))
        abort();
    for (size_t i = 0; i < l.n; i++)
        header_value(&l.v[i], &value);

    buf_reset(&value);
    buf_add(&value, data, size);
    buf_reset(&out);
    header_insert(&one, 0, "Name", value.data);
    header_list_write(&one, &out);
    header_list_parse(&back, out.data, out.len, &used);
    if (back.n != 1 || used != out.len)
        abort();
    header_list_free(&l);
    header_list_free(&one);
    header_list_free(&back);
    buf_free(&out);
    buf_free(&value);
    return 0;
}
