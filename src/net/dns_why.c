/* dns_why: why an answer is of no use, and what to do. It asks nothing. */
#include "net/dns_why.h"

#include <stdlib.h>

/* In `why`, '@' is the name server, '*' what libunbound or the server said. */
struct cause {
    const char *why, *hint;
};

#define ANOTHER_SERVER "name another with 'dns_server', or write 'dnssec off' to go without DANE"

static const struct cause
    stripped = { "@ removes DNSSEC signatures", ANOTHER_SERVER },
    no_keys = { "@ does not answer what DNSSEC has to ask", ANOTHER_SERVER },
    other_root = { "the root's own key cannot be validated: *",
                   "look whether this machine's clock is right, and whether 'dns_anchor' holds a key of that root" },
    no_anchor = { "the trust anchor holds no key of the root that can be used",
                  "name a file with one by 'dns_anchor'" },
    spoilt = { "*", "its owner made a mistake in signing the zone, or somebody on the way changes answers" },
    of_server = { "@ gives no usable answer (*)", "look whether it answers, or name another with 'dns_server'" },
    of_domain = { "the name servers of that domain give no usable answer (*)",
                  "its owner has to mend that; a later try may help" };

static const struct cause *cause_of_bogus(enum dns_root root)
{
    switch (root) {
    case ROOT_STRIPPED: return &stripped;
    case ROOT_FAILED: return &no_keys;
    case ROOT_BOGUS: return &other_root;
    case ROOT_UNKNOWN:
    case ROOT_GOOD:
    case ROOT_NO_ANCHOR: break;
    }
    return &spoilt;
}

static void set_why(struct dns_answer *a, const char *format, const char *server, const char *detail)
{
    struct buf why = BUF_INIT;
    for (const char *p = format; *p; p++)
        if (*p == '@')
            buf_printf(&why, "the name server %s %s", server ? "at" : "of", server ? server : "/etc/resolv.conf");
        else if (*p == '*')
            buf_adds(&why, detail ? detail : "");
        else
            buf_addc(&why, *p);
    char *made = buf_steal(&why);
    free(a->why);
    a->why = made;
}

void dns_explain(struct dns_answer *a, enum dns_root root, const char *root_why, const char *server)
{
    const struct cause *cause = NULL;
    if (a->status == DNS_FAILED) {
        cause = root == ROOT_GOOD ? &of_domain : &of_server;
    } else if (root == ROOT_NO_ANCHOR && !a->secure) {
        cause = &no_anchor;
        a->status = DNS_FAILED;
    } else if (a->status == DNS_BOGUS) {
        cause = cause_of_bogus(root);
    }
    if (!cause)
        return;
    set_why(a, cause->why, server, cause == &other_root ? root_why : a->why);
    a->hint = cause->hint;
}
