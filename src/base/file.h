/* file: reading whole small files, and making private ones.
 *
 * Every descriptor is O_CLOEXEC; whatever is created is 0600 and never follows a symbolic link. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the whole file (or pipe, or /dev/null) to out. Longer than max octets or unreadable: an error
 * of kind `fault` that names the path ("cannot read 'x': No such file or directory"). */
bool file_read(const char *path, size_t max, struct buf *out, enum fault fault, struct err *e);

/* Appends to out until end of file; EINTR handled. */
bool file_read_fd(int fd, size_t max, struct buf *out, struct err *e);

/* read(2) that waits, whatever the flags of a descriptor we were given; EINTR handled. */
ssize_t file_read_some(int fd, void *p, size_t n);

/* Writes all n octets; EINTR and short writes handled. errno tells on false. */
bool file_write_all(int fd, const void *p, size_t n);

/* Opens for appending, created 0600 if missing. An existing file may be named by a link (/dev/stderr). -1: *e is set
 * (FAULT_CANT_CREATE). */
int file_open_append(const char *path, struct err *e);

/* Creates the file, which must not exist, 0600. -1: *e is set. */
int file_create_private(const char *path, struct err *e);

/* An unlinked temporary file in $TMPDIR (/tmp): no name, gone with the descriptor. -1: *e is set. */
int file_unlinked(struct err *e);

/* Makes the directory and missing parents, 0700. */
bool file_mkdirs(const char *path, struct err *e);

#endif
