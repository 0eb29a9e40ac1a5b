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

static bool qualify_all(const struct account *a, const struct envelope *found, struct envelope *env, struct err *e)
{
    for (size_t i = 0; i < found->n; i++) {
        char *address = xstrdup(found->rcpts[i].address);
        bool ok = a->protocol == ACCOUNT_LMTP || recipients_qualify(a, &address) || no_domain(a, address, e);
        if (ok)
            envelope_add(env, address);
        free(address);
        if (!ok)
            return false;
    }
    return true;
}

static bool is_local(const struct strlist *hosts, const char *address)
{
    const char *domain = address_domain(address);
    return !domain || strlist_has_nocase(hosts, domain);
}

/* The file is read only where somebody can be in it, so that a mistake in it does not stop other mail. */
static bool look_up(const struct account *a, const struct envelope *asked, struct envelope *found,
                    struct strlist *warnings, struct err *e)
{
    struct strlist hosts = STRLIST_INIT;
    struct aliases aliases = ALIASES_INIT;
    bool ok = true, any = false;
    if (a->aliases)
        recipients_hosts(&hosts);
    for (size_t i = 0; a->aliases && i < asked->n; i++)
        any |= is_local(&hosts, asked->rcpts[i].address);
    if (any)
        ok = aliases_read(&aliases, a->aliases, e);
    for (size_t i = 0; ok && i < asked->n; i++) {
        const char *address = asked->rcpts[i].address;
        if (any && is_local(&hosts, address))
            ok = aliases_expand(&aliases, &hosts, address, found, warnings, e);
        else
            envelope_add(found, address);
    }
    aliases_free(&aliases);
    strlist_free(&hosts);
    return ok;
}

bool recipients_resolve(const struct account *a, const struct envelope *asked, struct envelope *env,
                        struct strlist *warnings, struct err *e)
{
    struct envelope found = ENVELOPE_INIT;
    bool ok = look_up(a, asked, &found, warnings, e) && qualify_all(a, &found, env, e);
    envelope_free(&found);
    return ok;
}
