/* recipients: the aliases file and the domain of an account, applied to the recipients of one message. */
#include "cmd/recipients.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/buf.h"
#include "conf/subst.h"
#include "mail/address.h"
#include "mail/aliases.h"

/* The mailname counts where it begins with the host's own name: elsewhere it is a domain whose mail is not ours. */
void recipients_hosts(struct strlist *out)
{
    char host[256] = "";
    struct buf mailname = BUF_INIT;
    gethostname(host, sizeof host - 1);
    size_t n = strcspn(host, ".");
    strlist_add(out, "localhost");
    strlist_add(out, "localhost.localdomain");
    if (n) {
        strlist_add(out, host);
        strlist_addn(out, host, n);
    }
    if (subst_mailname(&mailname) && n && ascii_ieqn(mailname.data, host, n) && mailname.data[n] == '.')
        strlist_add(out, mailname.data);
    buf_free(&mailname);
}

/* `domain` is for EHLO first: only a name with a dot can be meant for addresses, too. */
static bool find_domain(const struct account *a, struct buf *out)
{
    if (settings_text(&a->settings, "domain") && strchr(a->domain, '.') && *a->domain != '[')
        buf_adds(out, a->domain);
    else if (!subst_mailname(out))
        return false;
    return true;
}

bool recipients_qualify(const struct account *a, char **address)
{
    struct buf domain = BUF_INIT;
    if (!**address || address_domain(*address))
        return true;
    bool found = find_domain(a, &domain);
    if (found) {
        char *whole = xasprintf("%s@%s", *address, domain.data), *checked;
        struct err ignored = ERR_INIT;
        found = address_parse_one(whole, false, &checked, &ignored);
        if (found) {
            free(*address);
            *address = checked;
        }
        err_clear(&ignored);
        free(whole);
    }
    buf_free(&domain);
    return found;
}

static bool no_domain(const struct account *a, const char *name, struct err *e)
{
    if (a->aliases)
        err_set(e, FAULT_CONFIG, "the recipient '%s' has no domain, and '%s' has no alias for it", name, a->aliases);
    else
        err_set(e, FAULT_CONFIG, "the recipient '%s' has no domain, and 'aliases' is not set", name);
    return err_hint(e, "%s '%s: name@example.org', or set 'domain' to what belongs behind the @",
                    a->aliases ? "add there a 'default:', or the line" : "set 'aliases' to a file with the line", name);
}

/* *address is env's in the end, or NULL. */
static bool add_qualified(const struct account *a, char **address, struct envelope *env, struct err *e)
{
    if (a->protocol != ACCOUNT_LMTP && !recipients_qualify(a, address))
        return no_domain(a, *address, e);
    envelope_add_own(env, *address);
    *address = NULL;
    return true;
}

static bool is_local(const struct strlist *hosts, const char *address)
{
    const char *domain = address_domain(address);
    return !domain || strlist_has_nocase(hosts, domain);
}

static bool somebody_is_local(const struct strlist *hosts, const struct mailbox_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_local(hosts, l->v[i].address))
            return true;
    return false;
}

/* Whom the aliases know of, in place of their names; others as they are. */
static bool look_up(const struct account *a, const struct strlist *hosts, const struct mailbox_list *asked,
                    struct envelope *found, struct strlist *warnings, struct err *e)
{
    struct aliases aliases = ALIASES_INIT;
    bool ok = aliases_read(&aliases, a->aliases, e);
    for (size_t i = 0; ok && i < asked->n; i++) {
        const char *address = asked->v[i].address;
        if (is_local(hosts, address))
            ok = aliases_expand(&aliases, hosts, address, found, warnings, e);
        else
            envelope_add(found, address);
    }
    aliases_free(&aliases);
    return ok;
}

/* The file is read only where somebody can be in it, so that a mistake in it does not stop other mail. */
bool recipients_resolve(const struct account *a, struct mailbox_list *asked, struct envelope *env,
                        struct strlist *warnings, struct err *e)
{
    struct strlist hosts = STRLIST_INIT;
    struct envelope found = ENVELOPE_INIT;
    if (a->aliases)
        recipients_hosts(&hosts);
    bool any = a->aliases && somebody_is_local(&hosts, asked);
    bool ok = !any || look_up(a, &hosts, asked, &found, warnings, e);
    for (size_t i = 0; ok && i < found.n; i++)
        ok = add_qualified(a, &found.rcpts[i].address, env, e);
    for (size_t i = 0; ok && !any && i < asked->n; i++)
        ok = add_qualified(a, &asked->v[i].address, env, e);
    strlist_free(&hosts);
    envelope_free(&found);
    mailbox_list_free(asked);
    return ok;
}
