/* secret: asks the sources in their order. Which they are stands in the table; what each does, in a file of its own. */
#include "auth/secret.h"

#include <string.h>


typedef enum secret_status source_fn(const struct secret_params *p, struct buf *out, struct err *e);

static const struct source {
    const char *word;
    source_fn *get;
} sources[] = {
    { "password", secret_from_config },
    { "passwordeval", secret_from_command },
    { "keyring", secret_from_keyring },
    { "netrc", secret_from_netrc },
    { "credential", secret_from_credential },
    { "terminal", secret_from_terminal },
};

static enum secret_status refuse(struct buf *out, struct err *e, const char *word, const char *what)
{
    buf_reset(out);
    err_set(e, FAULT_AUTH, "the secret from '%s' %s", word, what);
    err_hint(e, "it has to be one line of text");
    return SECRET_ERROR;
}

enum secret_status secret_get(const struct secret_params *p, struct buf *out, const char **source, struct err *e)
{
    struct buf asked = BUF_INIT;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        struct err why = ERR_INIT;
        enum secret_status status = sources[i].get(p, out, &why);
        if (status == SECRET_NONE && err_is_set(&why))
            buf_printf(&asked, "%s%s: %s", asked.len ? "; " : "", sources[i].word, why.text);
        else
            err_move(e, &why);
        err_clear(&why);
        if (status == SECRET_NONE)
            continue;
        buf_free(&asked);
        *source = sources[i].word;
        if (status == SECRET_FOUND && memchr(out->data, 0, out->len))
            return refuse(out, e, sources[i].word, "holds a NUL octet");
        return status;
    }
    if (p->key_file) {
        err_set(e, FAULT_AUTH, "no password for the private key '%s'", p->key_file);
        err_hint(e, "store it with 'envoi password --key%s%s' (%s), or take the password off the key and chmod 600 it",
                 p->account ? " " : "", p->account ? p->account : "", asked.data);
        buf_free(&asked);
        return SECRET_NONE;
    }
    err_set(e, FAULT_AUTH, "no password for '%s' at '%s'", p->user ? p->user : "", p->host ? p->host : "");
    err_hint(e, "set 'passwordeval' to a command that prints it, or store it with 'envoi password%s%s' (%s)",
             p->account ? " " : "", p->account ? p->account : "", asked.data);
    buf_free(&asked);
    return SECRET_NONE;
}
