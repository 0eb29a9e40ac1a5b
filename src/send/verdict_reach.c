/* verdict_reach: the rules for names that are not found, and for servers that are not reached. */
#include <string.h>

#include "base/codec.h"
#include "send/verdict_rules.h"

/* ---- questions: names ---- */

static bool no_addresses(const struct view *w)
{
    const struct scene_names *n = &w->s->names;
    const enum lookup_outcome a = n->v4.outcome, b = n->v6.outcome;
    return !w->s->n_sights && (a != LOOKUP_NOT_ASKED || b != LOOKUP_NOT_ASKED)
           && a != LOOKUP_FOUND && b != LOOKUP_FOUND && a != LOOKUP_LITERAL && b != LOOKUP_LITERAL;
}

static bool is(enum lookup_outcome outcome, const struct view *w)
{
    return w->s->names.v4.outcome == outcome || w->s->names.v6.outcome == outcome;
}

static bool look_up_fails(const struct view *w)
{
    return no_addresses(w) && !is(LOOKUP_NO_NAME, w) && (is(LOOKUP_FAILED, w) || is(LOOKUP_SILENT, w));
}

static bool null_mx(const struct view *w)
{
    return w->s->names.null_mx && !w->s->n_sights;
}

static bool no_network_for_names(const struct view *w)
{
    return look_up_fails(w) && !w->s->machine.v4.route && !w->s->machine.v6.route;
}

static bool is_failure(const struct lookup *l)
{
    return l->outcome == LOOKUP_FAILED || l->outcome == LOOKUP_SILENT;
}

static bool nothing_resolves(const struct view *w)
{
    return look_up_fails(w) && (is_failure(&w->s->names.known) || is_failure(&w->s->names.impossible));
}

static bool no_such_name(const struct view *w)
{
    return no_addresses(w) && is(LOOKUP_NO_NAME, w);
}

/* An address was named that -4 or -6 rules out. */
static bool ruled_out(const struct view *w)
{
    const struct scene_question *q = &w->s->question;
    unsigned char ignored[IP_MAX];
    if (!q->host || w->s->n_sights)
        return false;
    return (q->ipv4_only && strchr(q->host, ':')) || (q->ipv6_only && ip_decode(ignored, q->host) == 4);
}

static bool no_server_known(const struct view *w)
{
    return !w->s->question.host && !w->s->n_sights && w->s->question.named == NAMED_DOMAIN;
}

static bool rewritten(const struct view *w)
{
    const struct scene_names *n = &w->s->names;
    for (size_t i = 0; i < n->impossible.addresses.n && !w->way; i++)
        if (strlist_has(&n->v4.addresses, n->impossible.addresses.v[i])
            || strlist_has(&n->v6.addresses, n->impossible.addresses.v[i]))
            return true;
    return false;
}

/* ---- questions: reaching ---- */

static bool connected(const struct view *w)
{
    return w->configured.of[CLASS_OPEN] > 0;
}

static bool all_without_family(const struct view *w)
{
    return w->configured.all > 0 && w->configured.of[CLASS_NO_FAMILY] == w->configured.all;
}

static bool no_network(const struct view *w)
{
    return all_without_family(w) && !w->s->machine.v4.route && !w->s->machine.v6.route;
}

static bool ipv6_absent(const struct view *w)
{
    return all_without_family(w) && w->v6.all > 0 && w->v4.all == 0;
}

static bool class_here(const struct view *w, enum reach_class class)
{
    return w->here && !connected(w) && view_class(w->s, w->here) == class;
}

static bool silent(const struct view *w)
{
    return class_here(w, CLASS_SILENT);
}

static bool refused(const struct view *w)
{
    return class_here(w, CLASS_REFUSED);
}

static bool rejected(const struct view *w)
{
    return class_here(w, CLASS_REJECTED);
}

static bool answers(const struct tally *t)
{
    return t->of[CLASS_OPEN] + t->of[CLASS_REFUSED] > 0;
}

static bool host_is_up(const struct view *w)
{
    return answers(&w->others) || answers(&w->web);
}

static bool no_mail_port(const struct view *w)
{
    return silent(w) && w->mail_ports >= 3 && !answers(&w->others) && !w->others.of[CLASS_REJECTED];
}

/* The port is silent for the control host, too, which is there otherwise. */
static bool control_is_silent(const struct view *w)
{
    return w->control && view_class(w->s, w->control) == CLASS_SILENT && answers(&w->elsewhere);
}

static bool control_answers(const struct view *w)
{
    return w->control && (view_class(w->s, w->control) == CLASS_OPEN || view_class(w->s, w->control) == CLASS_REFUSED);
}

static bool all_mail_ports_filtered(const struct view *w)
{
    return no_mail_port(w) && (answers(&w->web) || control_is_silent(w)) && !control_answers(w);
}

static bool filtered_at_host(const struct view *w)
{
    return no_mail_port(w) && answers(&w->web) && control_answers(w);
}

static bool filtered_by_network(const struct view *w)
{
    return silent(w)
           && (control_is_silent(w)
               || (host_is_up(w)
                   && (w->path.short_of_host || w->path.cut_behind < 0
                       || blocker_blocks(w->blocker, w->s->question.port))));
}

static bool silent_and_way(const struct view *w)
{
    return silent(w) && w->way;
}

static bool silent_and_up(const struct view *w)
{
    return silent(w) && host_is_up(w);
}

static bool down_for_sure(const struct view *w)
{
    return silent(w) && answers(&w->elsewhere);
}

static bool by_proxy(const struct view *w)
{
    return w->here && w->s->question.proxy && w->here->err.stage == STAGE_PROXY;
}

static bool proxy_unreached(const struct view *w)
{
    return w->here && w->s->question.proxy && !connected(w);
}

static bool by_this_machine(const struct view *w)
{
    return rejected(w) && (w->here->reach == REACH_LOCAL_FIREWALL || w->here->reach == REACH_BLACKHOLE);
}

static bool by_router(const struct view *w)
{
    return (rejected(w) || refused(w)) && w->path.rejected_by;
}

static bool by_nearer_reset(const struct view *w)
{
    return refused(w) && w->path.nearer;
}

/* It could not even try. */
static bool unable(const struct view *w)
{
    return w->here && w->here->done && (w->here->reach == REACH_BAD_SOURCE || w->here->reach == REACH_OTHER);
}

static bool only_this_port(const struct view *w)
{
    return rejected(w) && (host_is_up(w) || w->here->reach == REACH_PROHIBITED);
}

static bool refused_and_way(const struct view *w)
{
    return refused(w) && w->way;
}

static bool always(const struct view *w)
{
    (void)w;
    return true;
}

/* ---- rules ---- */

const struct rule rules_of_names[] = {
    { VERDICT_DNS_NO_SUCH_HOST, null_mx, FAULT_NO_HOST,
      "'{host}' takes no mail, and says so in its name records (null MX)",
      "nothing can be delivered there; check the domain for a spelling mistake", .flags = SHOW_NAMES },
    { VERDICT_NO_NETWORK, no_network_for_names, FAULT_CONNECT,
      "this machine has no way to any network: neither IPv4 nor IPv6 has a route, and no name can be looked up",
      "check the network: 'ip address' and 'ip route' show what there is", .flags = SHOW_NAMES | SHOW_MACHINE },
    { VERDICT_DNS_FAILING, nothing_resolves, FAULT_DNS,
      "no name can be looked up here, '{host}' as little as any other[[: {dns_reason}]]",
      "check this machine's network, then the 'nameserver' lines of /etc/resolv.conf and whether port 53 to them "
      "is open",
      .flags = SHOW_NAMES | SHOW_MACHINE },
    { VERDICT_DNS_FAILING, look_up_fails, FAULT_DNS,
      "'{host}' cannot be looked up now[[, though other names can{others_resolve}]][[: {dns_reason}]]",
      "try again later[[; if it lasts, the name servers of that domain have to be mended{others_resolve}]]",
      .flags = SHOW_NAMES },
    { VERDICT_DNS_NO_SUCH_HOST, no_such_name, FAULT_NO_HOST,
      "there is no host '{host}': the name does not exist",
      "check " NAME " for a spelling mistake; the provider's help pages have the right name", .flags = SHOW_NAMES },
    { VERDICT_DNS_NO_SUCH_HOST, no_addresses, FAULT_NO_HOST,
      "the name '{host}' exists, but has no[[ {only}]] address",
      "[[leave out '{only_option}', or ]]check " NAME " for a spelling mistake", .flags = SHOW_NAMES },
    { VERDICT_DNS_NO_SUCH_HOST, ruled_out, FAULT_NO_HOST,
      "'{host}' is no {only} address, and no other may be used", "leave out '{only_option}'", .flags = 0 },
    { VERDICT_DNS_NO_SUCH_HOST, no_server_known, FAULT_NO_HOST,
      "no mail server is known for the domain '{host}'",
      "name the server itself, as in 'envoi diagnose mail.example.org:587'", .flags = SHOW_NAMES },
    { VERDICT_DNS_REWRITTEN, rewritten, FAULT_NO_HOST,
      "the name '{host}' does not exist; the resolver answers {rewritten_to} for every such name",
      "check " NAME " for a spelling mistake, and use another resolver: this one hides mistakes",
      .flags = SHOW_NAMES | SHOW_HERE },
    { .holds = NULL },
};

const struct rule rules_of_reaching[] = {
    /* no way out */
    { VERDICT_NO_NETWORK, no_network, FAULT_CONNECT,
      "this machine has no way to '{host}': neither IPv4 nor IPv6 has a route",
      "check the network: 'ip address' and 'ip route' show what there is", .flags = SHOW_NAMES | SHOW_MACHINE },
    { VERDICT_IPV6_ABSENT, ipv6_absent, FAULT_CONNECT,
      "port {port} of '{host}' is to be reached by IPv6 only, and this machine has no IPv6",
      "[[leave out '{only_option}', or ]]get IPv6 from the network, or use a relay that has both",
      .flags = SHOW_NAMES | SHOW_MACHINE },
    { VERDICT_IPV4_BROKEN, all_without_family, FAULT_CONNECT,
      "port {port} of '{host}' is to be reached by IPv4 only, and this machine has no way there",
      "[[leave out '{only_option}', or ]]check the network: 'ip -4 address' and 'ip -4 route' show what there is",
      .flags = SHOW_NAMES | SHOW_MACHINE },

    /* not connected */
    { VERDICT_PORT_REJECTED, by_proxy, FAULT_CONNECT,
      "the proxy '{proxy}' does not lead to port {port} of '{host}'[[: {error}]]",
      "many proxies pass port 443 only: ask the proxy's administrator, or go without it", .flags = SHOW_HERE },
    { VERDICT_HOST_DOWN, proxy_unreached, FAULT_CONNECT, "the proxy '{proxy}' cannot be reached[[: {error}]]",
      "check 'proxy_host' and 'proxy_port'", .flags = SHOW_HERE },
    { VERDICT_PORT_REJECTED, by_this_machine, FAULT_CONNECT,
      "this machine itself forbids port {port} of '{host}': it {phrase}",
      WAY "[[look at 'nft list ruleset' and 'ip route show table all'{!way}]]", .flags = SHOW_HERE | SHOW_OTHERS },
    { VERDICT_PORT_REJECTED, unable, FAULT_CONNECT,
      "this machine cannot try port {port} of '{host}'[[: the address of 'source_ip' is not its own{bad_source}]]"
      "[[: {reason}{!bad_source}]]",
      "[[check 'source_ip'{bad_source}]][[mend that here, then try again{!bad_source}]]", .flags = SHOW_HERE },
    { VERDICT_PORT_REJECTED, by_router, FAULT_CONNECT,
      "port {port} of '{host}' is refused on the way, by {rejected_by}" BLOCK,
      WAY "[[" ASK " to open it{!way}]]" OPENS, .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_PORT_REJECTED, by_nearer_reset, FAULT_CONNECT,
      "port {port} of '{host}' is refused on the way: at hop {nearer}, where its other ports are answered at hop "
      "{far}" BLOCK,
      WAY "[[" ASK " to open it{!way}]]" OPENS, .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_PORT_REJECTED, only_this_port, FAULT_CONNECT,
      "port {port} of '{host}' {phrase}: a firewall on the way says no" BLOCK,
      WAY "[[" ASK " to open it{!way}]]" OPENS, .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_HOST_DOWN, rejected, FAULT_CONNECT,
      "'{host}' {phrase}[[, by {said_by}]]: it is down, or there is no way to it",
      "check the address, and from elsewhere whether the host is there; 'ip route get {address}' shows the way "
      "from here",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_ALL_MAIL_PORTS_FILTERED, all_mail_ports_filtered, FAULT_CONNECT,
      "no port for mail gets an answer from '{host}', though port 443 does" BLOCK "[[; they are dropped {where}]]",
      "[[" ASK " to open port 465 or 587, or send through one that has them open{!blocker}]][[send through a relay "
      "by HTTPS or on another port: {blocker}{!blocker_action}]][[{blocker_action}]]; if '{host}' is no mail "
      "server, check 'host'",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_HOST_DOWN, filtered_at_host, FAULT_CONNECT,
      "no port for mail gets an answer from '{host}', though port {port} of '{control}' does: it is no mail "
      "server, or its mail service is down",
      "check 'host'", .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL },
    { VERDICT_PORT_FILTERED, filtered_by_network, FAULT_CONNECT,
      "the network drops packets to port {port}" BLOCK ": '{host}' does not answer there, though other ports get "
      "through[[; they are dropped {where}]]",
      WAY "[[" ASK " to open it{!way}]]" OPENS,
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_OTHER_PORT_WORKS, silent_and_way, FAULT_CONNECT,
      "port {port} of '{host}' does not answer, {way} works[[; packets to it are dropped {where}]]",
      WAY "[[; most access providers block port 25 of their customers{port25}]]",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_OTHER_PORT_WORKS, refused_and_way, FAULT_CONNECT,
      "nobody listens on port {port} of '{host}', {way} works", WAY, .flags = SHOW_HERE | SHOW_OTHERS },
    { VERDICT_REFUSED_BY_HOST, refused, FAULT_CONNECT,
      "nobody listens on port {port} of '{host}': the connection is refused",
      "check 'port' (465 with TLS from the start, 587 with STARTTLS) and 'host'; if both are right, the mail "
      "service there is down",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH },
    { VERDICT_PORT_FILTERED, silent_and_up, FAULT_CONNECT,
      "port {port} of '{host}' does not answer, though the host does: packets to it are dropped [[{where}]][[on "
      "the way or by the host{!where}]]",
      ASK " to open it; '--control HOST' with another mail server tells whether it is the network or the host[[; "
      "most access providers block port 25 of their customers{port25}]]",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_HOST_DOWN, down_for_sure, FAULT_CONNECT,
      "'{host}' does not answer on any port, though '{control}' does: it is down, or drops everything from here",
      "try later, or ask the server's administrator", .flags = SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_PATH },
    { VERDICT_HOST_DOWN, silent, FAULT_CONNECT,
      "'{host}' does not answer[[ within {silence}]], on any port that was tried: it is down, or everything to it "
      "is dropped",
      "check the address; '--control HOST' with another server tells whether this machine's network works",
      .flags = SHOW_HERE | SHOW_OTHERS | SHOW_PATH | SHOW_MACHINE },
    { VERDICT_HOST_DOWN, always, FAULT_TEMPORARY,
      "nothing could be learnt about port {port} of '{host}' in the time there was",
      "try again, with a longer '--timeout'",
      .flags = SHOW_NAMES | SHOW_HERE | SHOW_OTHERS | SHOW_CONTROL | SHOW_MACHINE },
    { .holds = NULL },
};
