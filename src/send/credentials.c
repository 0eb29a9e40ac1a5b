/* credentials: an account's password or token, asked for once. */
#include "send/credentials.h"

#include <string.h>

#include "auth/secret.h"

void credentials_init(struct credentials *l, const struct account *a, struct hub *hub, usec deadline)
{
    *l = (struct credentials){
        .account = a, .hub = hub, .secret = BUF_SECRET_INIT, .key_secret = BUF_SECRET_INIT, .deadline = deadline,
    };
    if (a->proxy_password)
        hub_hide(hub, a->proxy_password, strlen(a->proxy_password));
}

void credentials_again(struct credentials *l)
{
    buf_free(&l->secret);
    err_clear(&l->err);
    l->asked = false;
}

void credentials_free(struct credentials *l)
{
    buf_free(&l->secret);
    err_clear(&l->err);
    buf_free(&l->key_secret);
    err_clear(&l->key_err);
    hub_unhide(l->hub);
}

static void mask(const struct hub *h, char **text)
{
    struct buf b = BUF_SECRET_INIT;
    if (!*text)
        return;
    buf_adds(&b, *text);
    hub_mask(h, &b);
    secret_free(*text);
    *text = buf_steal(&b);
}

void credentials_mask(const struct credentials *l, struct err *e)
{
    mask(l->hub, &e->text);
    mask(l->hub, &e->server);
    mask(l->hub, &e->hint);
}

bool credentials_needed(const struct account *a)
{
    return strcmp(a->auth, "off") != 0 && strcmp(a->auth, "EXTERNAL") != 0 && strcmp(a->auth, "GSSAPI") != 0;
}

struct secret_params credentials_params(const struct account *a)
{
    return (struct secret_params){
        .account = a->name,
        .host = a->host ? a->host : "localhost",
        .user = a->user,
        .password = a->password,
        .passwordeval = a->passwordeval,
        .netrc_system = SYSCONFDIR "/netrc",
        .keyring = a->keyring,
        .may_prompt = true,
    };
}

struct secret_params credentials_key_params(const struct account *a)
{
    return (struct secret_params){
        .account = a->name,
        .key_file = a->tls_key_file,
        .keyring = a->keyring,
        .may_prompt = true,
    };
}

/* Asks once, hides what was found from every event, and remembers why nothing was. */
static bool ask(struct credentials *l, const struct secret_params *p, bool *asked, struct buf *secret, struct err *why,
                struct err *e)
{
    if (!*asked) {
        *asked = true;
        const char *source = NULL;
        if (secret_get(p, secret, &source, why) == SECRET_FOUND) {
            hub_hide(l->hub, secret->data, secret->len);
            emit(l->hub, 0, EV_SECRET, F_STR("source", source), F_STR("user", p->key_file ? p->key_file : p->user));
        }
    }
    err_copy(e, why);
    return !err_is_set(why);
}

bool credentials_secret(void *ctx, const struct buf **secret, struct err *e)
{
    struct credentials *l = ctx;
    struct secret_params params = credentials_params(l->account);
    params.deadline = l->deadline;
    *secret = &l->secret;
    return ask(l, &params, &l->asked, &l->secret, &l->err, e);
}

bool credentials_key_password(void *ctx, const char *file, char **password, struct err *e)
{
    struct credentials *l = ctx;
    const struct secret_params params = credentials_key_params(l->account);
    (void)file; /* it is the account's */
    if (!ask(l, &params, &l->key_asked, &l->key_secret, &l->key_err, e))
        return false;
    *password = xstrndup(l->key_secret.data, l->key_secret.len);
    return true;
}
