/* machine: its families of addresses, and what its firmware and environment say of whose it is. */
#include "send/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/file.h"
#include "net/here.h"
#include "send/blockers.h"

enum { FIRMWARE_MAX = 256 };

static struct scene_family family(int which)
{
    struct here h = here_look(which);
    return (struct scene_family){ .address = h.address, .route = h.route, .reason = h.reason };
}

/* One line; NULL: there is none. */
static char *firmware(const char *path)
{
    struct buf text = BUF_INIT;
    struct err ignored = ERR_INIT;
    char *line = NULL;
    if (file_read(path, FIRMWARE_MAX, &text, FAULT_IO, &ignored) && text.len > 0)
        line = xstrndup(text.data, strcspn(text.data, "\n"));
    err_clear(&ignored);
    buf_free(&text);
    return line;
}

void machine_look(struct scene_machine *m)
{
    m->v4 = family(AF_INET);
    m->v6 = family(AF_INET6);
    m->vendor = firmware("/sys/class/dmi/id/sys_vendor");
    m->product = firmware("/sys/class/dmi/id/product_name");
    m->asset = firmware("/sys/class/dmi/id/chassis_asset_tag");
    for (const char *const *name = blocker_variables; *name; name++)
        if (getenv(*name))
            strlist_add(&m->environment, *name);
}
