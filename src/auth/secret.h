/* secret: where the password comes from: one source after the other, one file each.
 *
 * One row per source in secret.c, in the order of envoi-config(5). A source says found, none here (the next one is
 * asked) or error (asking ends). */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

enum secret_status { SECRET_FOUND, SECRET_NONE, SECRET_ERROR };

/* All strings are borrowed; NULL where unset. */
struct secret_params {
    const char *account;      /* name, for messages and $CREDENTIALS_DIRECTORY/envoi.ACCOUNT */
    const char *host, *user;
    const char *password;     /* from the configuration */
    const char *passwordeval; /* a command for /bin/sh -c, as in msmtp: its first line of output; stdin is /dev/null */
    const char *key_file;     /* the password of this private key is wanted, instead of a login's: host, user and so on
                                 are NULL */
    const char *netrc_system; /* SYSCONFDIR/netrc */
    bool keyring;             /* ask libsecret */
    bool may_prompt;          /* the terminal may be asked */
    const char *prompt;       /* its words; NULL: by what is wanted */
    usec deadline;            /* for passwordeval; 0: none */
};

/* Fills out (which must be a secret buf, empty). On SECRET_NONE *e is set, too: FAULT_AUTH, with every source that was
 * asked and how to give a password as hint. *source gets a static word: "password", "passwordeval", "keyring", "netrc",
 * "credential", "terminal". */
enum secret_status secret_get(const struct secret_params *p, struct buf *out, const char **source, struct err *e);

/* The sources; each fills out or not, as secret_get. On SECRET_NONE *e may be set: why, for secret_get's hint. */
enum secret_status secret_from_config(const struct secret_params *p, struct buf *out, struct err *e);
enum secret_status secret_from_command(const struct secret_params *p, struct buf *out, struct err *e);
enum secret_status secret_from_keyring(const struct secret_params *p, struct buf *out, struct err *e);
enum secret_status secret_from_netrc(const struct secret_params *p, struct buf *out, struct err *e);
enum secret_status secret_from_credential(const struct secret_params *p, struct buf *out, struct err *e);
enum secret_status secret_from_terminal(const struct secret_params *p, struct buf *out, struct err *e);

/* The login of the first entry for the host in the same netrc files; login must be empty. false: there is none. */
bool secret_login_from_netrc(const struct secret_params *p, struct buf *login);

#endif
