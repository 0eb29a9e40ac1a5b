/* blockers: who is known to close ports for mail. As of November 2026; each of them may change its mind. */
#include "send/blockers.h"

#include "base/ascii.h"

#define ALL_SUBMISSION { 25, 465, 587 }

static const struct blocker rows[] = {
    { .name = "Google Cloud", .vendor = "Google", .product = "Google Compute Engine", .ports = { 25 },
      .when = "always" },
    { .name = "Amazon Web Services", .vendor = "Amazon EC2", .ports = { 25 },
      .when = "until it is asked to open it",
      .action = "the form 'Request to remove email sending limitations' opens it" },
    { .name = "Amazon Web Services", .vendor = "Xen", .asset = "Amazon EC2", .ports = { 25 },
      .when = "until it is asked to open it",
      .action = "the form 'Request to remove email sending limitations' opens it" },
    { .name = "Microsoft Azure", .asset = "7783-7084-3265-9085-8269-3286-77", .ports = { 25 },
      .when = "on most kinds of subscription" },
    { .name = "DigitalOcean", .vendor = "DigitalOcean*", .ports = ALL_SUBMISSION, .when = "on all droplets" },
    { .name = "Hetzner Cloud", .vendor = "Hetzner*", .ports = { 25, 465 }, .when = "at first",
      .action = "after the first paid month a request in the console opens it" },
    { .name = "Linode", .vendor = "Linode*", .ports = ALL_SUBMISSION,
      .when = "on new accounts", .action = "a support ticket opens it" },
    { .name = "Akamai", .vendor = "Akamai*", .ports = ALL_SUBMISSION,
      .when = "on new accounts", .action = "a support ticket opens it" },
    { .name = "Vultr", .vendor = "Vultr*", .ports = { 25 },
      .when = "at first", .action = "a support ticket opens it" },
    { .name = "Scaleway", .vendor = "Scaleway*", .ports = ALL_SUBMISSION,
      .when = "until the account's identity is checked",
      .action = "then the security group has a switch for SMTP" },
    { .name = "OVHcloud", .vendor = "OVH*", .ports = { 25 }, .when = "after abuse was seen",
      .action = "the control panel shows the block and lifts it" },
    { .name = "Oracle Cloud", .asset = "OracleCloud.com", .ports = { 25 }, .when = "by default",
      .action = "a request for an exemption opens it" },
    { .name = "Render", .variable = "RENDER", .ports = ALL_SUBMISSION,
      .when = "on its free plan", .action = "a paid plan opens it" },
};

const char *const blocker_variables[] = { "RENDER", NULL };

static bool matches(const char *pattern, const char *text)
{
    return !pattern || (text && ascii_wildmatch(pattern, text));
}

const struct blocker *blocker_find(const struct scene_machine *m)
{
    for (const struct blocker *b = rows; b < rows + sizeof rows / sizeof *rows; b++)
        if (matches(b->vendor, m->vendor) && matches(b->product, m->product) && matches(b->asset, m->asset)
            && (!b->variable || strlist_has(&m->environment, b->variable)))
            return b;
    return NULL;
}

bool blocker_blocks(const struct blocker *b, int port)
{
    for (int i = 0; b && i < BLOCKER_PORTS && b->ports[i]; i++)
        if (b->ports[i] == port)
            return true;
    return false;
}
