/* Whatever the list: what comes out is fit for the wire and reads back as itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct mailbox *box)
{
    struct err e = ERR_INIT;
    char *again;
    for (const char *p = box->address; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            abort();
    if (!utf8_valid(box->address, strlen(box->address)))
        abort();
    if (!address_parse_one(box->address, false, &again, &e) || strcmp(again, box->address) != 0)
        abort();
    free(again);

    struct buf text = BUF_INIT;
    buf_printf(&text, "%s ()", box->address);
    if (!address_parse_one(text.data, false, &again, &e) || strcmp(again, box->address) != 0)
        abort();
    free(again);
    buf_reset(&text);
    struct mailbox_list l = MAILBOX_LIST_INIT;
    mailbox_format(&text, box->name, box->address);
    if (!ascii_line_safe(text.data, text.len) || !address_list_parse(&l, text.data, text.len, &e) || l.n != 1 ||
        strcmp(l.v[0].address, box->address) != 0)
        abort();
    buf_reset(&text);
    if (address_to_ascii(box->address, &text, &e) && !ascii_only(text.data, text.len))
        abort();
    err_clear(&e);
    mailbox_list_free(&l);
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mailbox_list l = MAILBOX_LIST_INIT;
    struct err e = ERR_INIT;
    if (address_list_parse(&l, (const char *)data, size, &e) == err_is_set(&e))
        abort();
    for (size_t i = 0; i < l.n; i++)
        check(&l.v[i]);
    mailbox_list_free(&l);
    err_clear(&e);
    return 0;
}
