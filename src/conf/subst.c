/* subst: the %-patterns of option values. The meaning of each letter is one function. */
#include "conf/subst.h"

#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"

enum { MAILNAME_MAX = 4096 };

static void add_user(struct buf *out)
{
    const char *name = getenv("USER");
    if (!name || !*name)
        name = getenv("LOGNAME");
    const struct passwd *pw = name && *name ? NULL : getpwuid(geteuid());
    buf_adds(out, pw ? pw->pw_name : name ? name : "unknown");
}

/* The first part of the GECOS field, where & stands for the capitalised login name. */
static void add_full_name(struct buf *out)
{
    const struct passwd *pw = getpwuid(geteuid());
    for (const char *p = pw ? pw->pw_gecos : NULL; p && *p && *p != ','; p++) {
        if (*p != '&') {
            buf_addc(out, *p);
            continue;
        }
        buf_addc(out, ascii_upper(pw->pw_name[0]));
        buf_adds(out, pw->pw_name[0] ? pw->pw_name + 1 : "");
    }
}

static void add_host(struct buf *out)
{
    char name[256] = "";
    const char *env = getenv("HOSTNAME");
    if (!env || !*env)
        gethostname(name, sizeof name - 1);
    buf_adds(out, env && *env ? env : name[0] ? name : "localhost");
}

static void add_canonical(struct buf *out)
{
    struct buf host = BUF_INIT;
    add_host(&host);
    struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;
    bool ok = getaddrinfo(host.data, NULL, &hints, &found) == 0 && found && found->ai_canonname;
    buf_adds(out, ok ? found->ai_canonname : host.data);
    if (found)
        freeaddrinfo(found);
    buf_free(&host);
}

bool subst_mailname(struct buf *out)
{
    static const char *const places[] = { SYSCONFDIR "/mailname", "/etc/mailname" };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct buf text = BUF_INIT;
        struct err ignored = ERR_INIT;
        bool ok = file_read(places[i], MAILNAME_MAX, &text, FAULT_CONFIG, &ignored);
        err_clear(&ignored);
        buf_cut(&text, ok ? strcspn(text.data, "\r\n") : 0);
        buf_trim(&text);
        ok = text.len > 0;
        buf_addbuf(out, &text);
        buf_free(&text);
        if (ok)
            return true;
    }
    return false;
}

static void add_mailname(struct buf *out)
{
    if (!subst_mailname(out))
        add_host(out);
}

void subst_expand(struct buf *out, const char *text)
{
    static const struct {
        char letter;
        void (*add)(struct buf *out);
    } patterns[] = {
        { 'U', add_user }, { 'F', add_full_name }, { 'H', add_host }, { 'C', add_canonical }, { 'M', add_mailname },
    };
    for (; *text; text++) {
        size_t i = 0, n = sizeof patterns / sizeof *patterns;
        while (text[0] == '%' && i < n && text[1] != patterns[i].letter)
            i++;
        if (text[0] != '%' || i == n) {
            buf_addc(out, *text);
            continue;
        }
        patterns[i].add(out);
        text++;
    }
}
