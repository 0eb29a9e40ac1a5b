/* Any text as a journal: it is read as a whole line at a time or refused, and what was read of it is the same when only
 * that is there. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "send/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct journal *j = journal_new(), *again = journal_new();
    const char *text = (const char *)data;
    size_t whole = journal_parse(j, text, size, &e);
    if ((whole == SIZE_MAX) != err_is_set(&e))
        abort();
    if (whole != SIZE_MAX) {
        if (whole > size || (whole > 0 && text[whole - 1] != '\n') || journal_parse(again, text, whole, &e) != whole)
            abort();
        const struct journal_entry *one = journal_find(j, "k"), *other = journal_find(again, "k");
        if (one->state != other->state || one->rest.n != other->rest.n)
            abort();
        if ((one->state == JOURNAL_DONE && one->rest.n > 0) || (one->state == JOURNAL_REST && one->rest.n == 0))
            abort();
    }
    journal_free(j);
    journal_free(again);
    err_clear(&e);
    return 0;
}
