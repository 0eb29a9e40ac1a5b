/* door: an optional or heavy library, loaded on first use.
 *
 * A door is one file per library: a list of the symbols that envoi calls, from
 * which a struct of typed function pointers is made, and one function that
 * loads it. A library that a run does not use costs it nothing. With
 * --disable-dlopen the same structs are filled by the linker.
 *
 *     #define FOO_SYMBOLS(X) X(foo_init) X(foo_free)
 *     DOOR_STRUCT(foo_api, FOO_SYMBOLS);
 *     const struct foo_api *foo_door(struct err *e);   in the header
 *
 *     DOOR_DEFINE(foo_door, foo_api, FOO_SYMBOLS, "libfoo.so.1", "foo",  in the source
 *                 "recommended", "foo", "what a user has of it")
 *
 * foo_door() returns NULL with *e set (FAULT_SYSTEM, "cannot load 'libfoo.so.1'", the
 * package to install as hint) when the library is not there. The library stays
 * loaded until exit. Not thread-safe: doors are opened from the main thread.
 *
 * The last three (priority: required, recommended or suggested; feature; description) tell packagers why the library is
 * wanted, which the program's list of needed libraries no longer does. They and the soname become an ELF note of the
 * program (https://uapi-group.org/specifications/specs/elf_dlopen_metadata/). */
#ifndef BASE_DOOR_H
#define BASE_DOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DOOR_MEMBER(name) __typeof__(name) *name;
#define DOOR_STRUCT(struct_name, SYMBOLS) struct struct_name { SYMBOLS(DOOR_MEMBER) }

#ifdef ENVOI_DLOPEN
#define DOOR_NAME(name) #name,
#define DOOR_DEFINE(function, struct_name, SYMBOLS, soname, package, priority, feature, description)   \
    const struct struct_name *function(struct err *e)                                                  \
    {                                                                                                  \
        DOOR_NOTE("[{\"soname\":[\"" soname "\"],\"priority\":\"" priority "\",\"feature\":\"" feature   \
                  "\",\"description\":\"" description "\"}]");                                          \
        static const char *const names[] = { SYMBOLS(DOOR_NAME) };                                     \
        static union { struct struct_name api; void *slots[sizeof names / sizeof *names]; } table;     \
        static bool open;                                                                              \
        if (!open && !door_load(soname, package, names, sizeof names / sizeof *names, table.slots, e)) \
            return NULL;                                                                               \
        open = true;                                                                                   \
        return &table.api;                                                                             \
    }

/* One Elf32_Nhdr (the same in ELF64), the owner, the JSON text. Nothing refers to it: the compiler has to be told that
 * it stays (linkers keep notes), and clang's AddressSanitizer that nothing belongs between two of them. */
#ifdef __clang__
#define DOOR_BARE __attribute__((no_sanitize("address")))
#else
#define DOOR_BARE
#endif
#define DOOR_NOTE(json)                                                                           \
    static const struct {                                                                         \
        uint32_t owner_size, json_size, type;                                                     \
        char owner[sizeof "FDO"];                                                                 \
        _Alignas(uint32_t) char text[sizeof json];                                                \
    } note __attribute__((used, section(".note.dlopen"), aligned(4))) DOOR_BARE = {               \
        sizeof "FDO", sizeof json, 0x407c0c0a, "FDO", json                                        \
    }
#else
#define DOOR_ADDRESS(name) .name = &name,
#define DOOR_DEFINE(function, struct_name, SYMBOLS, soname, package, priority, feature, description) \
    const struct struct_name *function(struct err *e)                                                \
    {                                                                                                \
        static const struct struct_name api = { SYMBOLS(DOOR_ADDRESS) };                             \
        (void)e;                                                                                     \
        return &api;                                                                                 \
    }
#endif

/* dlopen(soname) and dlsym of every name into slots. false: *e is set. */
bool door_load(const char *soname, const char *package, const char *const *names, size_t n, void **slots,
               struct err *e);

#endif
