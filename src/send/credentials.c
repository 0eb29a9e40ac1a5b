/* credentials: an account's password or token, asked for once. */
#include "send/credentials.h"

#include <string.h>

#include "auth/secret.h"

void credentials_init(struct credentials *l, const struct account *a, struct hub *hub, usec deadline)
{
    *l = (struct credentials){ .account = a, .hub = hub, .secret = BUF_SECRET_INIT, .deadline = deadline };
    if (a->proxy_password)
        hub_hide(hub, a->proxy_password, strlen(a->proxy_password));
}

void credentials_free(struct credentials *l)
{
    buf_free(&l->secret);
    err_clear(&l->err);
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

bool credentials_secret(void *ctx, const struct buf **secret, struct err *e)
{
    struct credentials *l = ctx;
    const struct account *a = l->account;
    if (!l->asked) {
        l->asked = true;
        const struct secret_params params = {
            .account = a->name,
            .host = a->host ? a->host : "localhost",
            .user = a->user,
            .password = a->password,
            .passwordeval = a->passwordeval,
            .netrc_system = SYSCONFDIR "/netrc",
            .keyring = a->keyring,
            .may_prompt = true,
            .deadline = l->deadline,
        };
        const char *source = NULL;
        if (secret_get(&params, &l->secret, &source, &l->err) == SECRET_FOUND) {
            hub_hide(l->hub, l->secret.data, l->secret.len);
            emit(l->hub, 0, EV_SECRET, F_STR("source", source), F_STR("user", a->user));
        }
    }
    if (err_is_set(&l->err)) {
        err_copy(e, &l->err);
        return false;
    }
    *secret = &l->secret;
    return true;
}
