/* netrc: logins by host, the file that ftp began with.
 *
 *     file  = *(entry / macdef)
 *     entry = ("machine" NAME / "default") *("login" NAME / "password" WORD / "account" WORD)
 *     macdef = "macdef" NAME, then lines up to an empty one: skipped
 *
 * Words are parted by blanks and line ends; "…" keeps blanks together, with \ before a quote or a backslash. '#' where
 * a keyword could stand begins a comment. */
#ifndef AUTH_NETRC_H
#define AUTH_NETRC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The password of the first entry for host (case ignored) and user; an entry without login is for any user. Fills
 * password, which must be a secret buf. false: none; *bad_line is 0, or the line where a quote is never closed. */
bool netrc_find(const char *text, size_t n, const char *host, const char *user, struct buf *password, int *bad_line);

/* The login of the first entry for host that has one; appends to login, which must be empty. */
bool netrc_find_login(const char *text, size_t n, const char *host, struct buf *login);

#endif
