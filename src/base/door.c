/* door: an optional or heavy library, loaded on first use. */
#include "base/door.h"

#include <dlfcn.h>

bool door_load(const char *soname, const char *package, const char *const *names, size_t n, void **slots,
               struct err *e)
{
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        err_set(e, FAULT_SYSTEM, "cannot load '%s'", soname);
        return err_hint(e, "install the package '%s'", package);
    }
    for (size_t i = 0; i < n; i++) {
        slots[i] = dlsym(library, names[i]);
        if (!slots[i]) {
            dlclose(library);
            err_set(e, FAULT_SYSTEM, "cannot load '%s': it has no '%s'", soname, names[i]);
            return err_hint(e, "a newer version of the package '%s' is needed", package);
        }
    }
    return true;
}
