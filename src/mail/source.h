/* source: the content of a part: octets in memory, a file, a pipe. */
#ifndef MAIL_SOURCE_H
#define MAIL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

enum { SOURCE_WINDOW = 1 << 20 }; /* octets of a pipe that are held in memory */

struct source {
    const char *path;  /* borrowed, for errors; "-": standard input; NULL: memory */
    int fd;            /* -1: memory */
    bool own;          /* fd is ours to close */
    bool pipe;         /* no file: fd has more behind what is held */
    off_t start;       /* where a file begins: standard input may have been read from before */
    int64_t size;      /* -1: not known */
    int64_t pos;
    const char *text;  /* borrowed, or held.data */
    size_t text_n;
    struct buf held;
};

/* FAULT_NO_INPUT: cannot be opened, is a directory. Of a pipe what fits the window is read: it may wait. */
bool source_open(struct source *s, const char *path, struct err *e);
void source_memory(struct source *s, const char *text, size_t n); /* borrowed */
void source_close(struct source *s);

/* Makes the size known and every rewind possible: what is left of a pipe goes to an unlinked file. */
bool source_hold(struct source *s, struct err *e);

/* The next octets, with one read(2) at most; *n == 0: the end. FAULT_IO: also where a file shrank since it was opened;
 * what it grew by is not read. */
bool source_read(struct source *s, char *p, size_t size, size_t *n, struct err *e);

/* Back to the start. false: octets of a pipe are gone. */
bool source_rewind(struct source *s);

/* Would source_read wait for the descriptor? */
bool source_waits(const struct source *s);

#endif
