"""What can be wrong between a client and its mail server, a row each; and set-ups in which nothing is.

BROKEN and HEALTHY are lists of Case. The words are envoi's. The reasons for saying another word than the right one
are told to readers of doc/diagnose.md."""

from diagnosing import CONTROL_HOST, HOST, NAMES, SERVERS, SURE, Case
from misserver import MisServer
from netbed import CONTROL, FORMS, MAIL_PORTS, NAMESERVER, NOBODY, ROUTER1, ROUTER2, SERVER

HERE, TLS_PORT = f"{HOST}:587", f"{HOST}:465"
NO_LOGIN = {"user": False, "args": ("--auth=off",)}
BY_ADDRESS = {"args": (f"--tls-host-override={HOST}",)}

BETTER = "another port works, and that helps more than the reason"
LAST_HOP = "what the last router drops and what the host's own firewall drops looks the same; another port works"
LIKE_THE_HOST = "a reset by the router next to the host looks like the host's own"
AS_FAR = "it stands as far away as the host: only its certificate tells"
NO_PATH = "routers that send no ICMP messages leave no path to compare"
ALL_ALIKE = "where every port is redirected there is nothing to compare with: only the certificate tells"
SILENT_GATE = "a first router that is gone is as silent as one that drops everything"
NO_WORD = "where TLS comes first, a server that hangs in it has not said a word"

ONLY_4 = {key: value for key, value in NAMES.items() if key != (HOST, "AAAA")}
ONLY_6 = {key: value for key, value in NAMES.items() if key != (HOST, "A")}


# ---- what is done to a bed


def rule(place, form, ports=(587,), **more):
    return lambda bed: bed.rule(place, form, ports=ports, **more)


def no_route(family):
    return lambda bed: bed.no_route(family)


def resolver(*addresses):
    return lambda bed: bed.resolver(*addresses, options="timeout:1 attempts:1")


def name_server(mode):
    return lambda bed: setattr(bed.dns, "mode", mode)


def no_icmp(*nodes):
    """They expire and reject packets without a word."""
    def do(bed):
        for node in nodes:
            for kind in ("icmp", "icmpv6"):
                bed.nft(node, f"add rule inet bed output {kind} type {{ time-exceeded, destination-unreachable }} drop")
    return do


def link_down(node, device):
    def do(bed):
        bed.spoil()
        bed.ip(node, f"link set {device} down")
    return do


def narrow_for_ipv6(bed):
    """Who sends too big packets is told so for IPv4 only."""
    bed.narrow(told=True)
    for node in ("router1", "router2"):
        bed.nft(node, "add rule inet bed output icmpv6 type packet-too-big drop")


def redirect_ipv4(bed, certs):
    bed.nft("router1", "add rule inet bed intercept meta nfproto ipv4 tcp dport 587 redirect to :10587")
    return MisServer(lambda port: bed.listen(port, node="router1"), certs, {10587: "starttls unknown-issuer"})


def redirect(place, node, behaviour, ports=(587,), address=None):
    """Something else answers in place of the host: there, or at another address (4: …, 6: …)."""
    def do(bed, certs):
        for port in ports:
            for family in (4, 6) if address else (4,):
                bed.intercept(place, port, port + 10000, address and address[family])
        return MisServer(lambda port: bed.listen(port, node=node), certs, {port + 10000: behaviour for port in ports},
                         name="portal.example")
    return do


def at(addresses, ports, name=HOST):
    """Servers at one address."""
    def do(bed, certs):
        return MisServer(lambda port: bed.listen(port, address=addresses), certs, ports, name=name)
    return do


TWO_HOSTS = (at(SERVER[4], SERVERS), at(CONTROL[4], SERVERS, CONTROL_HOST))
COMPARE = {"servers": {}, "records": ONLY_4, "args": (f"--control={CONTROL_HOST}",), "names": (CONTROL_HOST,)}


def pool(first, second):
    """A name with two addresses and a server at each."""
    return {"servers": {}, "records": {**ONLY_4, (HOST, "A"): [SERVER[4], CONTROL[4]]}, "port": 587,
            "do": tuple(at(host[4], {587: behaviour}) for host, behaviour in ((SERVER, first), (CONTROL, second)))}


# ---- which servers there are


def only(*ports):
    return {"servers": {port: SERVERS[port] for port in ports}}


def among(behaviour, port=587):
    """Beside sound ports."""
    return {"servers": {**SERVERS, port: behaviour}}


def alone(behaviour, port=587):
    """It is the only one for mail."""
    return {"servers": {port: behaviour, 443: "https"}, "target": f"{HOST}:{port}"}


# ---- the network


def reaching():
    """Every row of what connect() says, on either hop, at the host and here; 465 works."""
    rejecting = [form for form in FORMS if form not in ("drop", "tcp-reset")]
    for form in rejecting:
        for place, where, router in (("hop1", "first", ROUTER1), ("hop2", "last", ROUTER2)):
            yield Case(f"587, the {where} router: {form}", "port-rejected", rule(place, form), port=465, at_once=True,
                       names=(tuple(router.values()), "port 465", "tls_starttls off"))
        yield Case(f"587, this machine's firewall: {form}", "port-rejected", rule("client-output", form), port=465,
                   at_once=True, names=("port 465",))
        own = form == "port-unreachable"
        yield Case(f"587, the host's firewall: {form}", "refused-by-host" if own else "port-rejected",
                   rule("server-input", form), port=465, at_once=True,
                   says=("other-port-works", BETTER) if own else None)
    for form, word, quick in (("drop", "port-filtered", False), ("tcp-reset", "port-rejected", True)):
        yield Case(f"587, this machine's firewall: {form}", word, rule("client-output", form), port=465, at_once=quick,
                   names=("port 465",))
        yield Case(f"587, the first router: {form}", word, rule("hop1", form), port=465, at_once=quick,
                   names=("hop 1", "port 465") if form == "drop" else ("hop 2", "hop 3"))
        yield Case(f"587, the last router: {form}", word, rule("hop2", form), port=465, at_once=quick,
                   names=("hop 2", tuple(ROUTER2.values())) if form == "drop" else (),
                   says=("other-port-works", LAST_HOP if form == "drop" else LIKE_THE_HOST))
        yield Case(f"587, the host's firewall: {form}", word if form == "drop" else "refused-by-host",
                   rule("server-input", form), port=465, at_once=quick,
                   says=("other-port-works", LAST_HOP if form == "drop" else BETTER))


NETWORK = [
    *reaching(),

    # ports
    Case("25 dropped", "port-filtered", rule("hop1", "drop", [25]), f"{HOST}:25", port=465, names=("hop 1",),
         **NO_LOGIN),
    Case("465 and 587 dropped", "port-filtered", rule("hop1", "drop", [465, 587]), port=2525, names=("port 2525",)),
    Case("587 dropped, and no other port served", "port-filtered", rule("hop1", "drop"), names=("hop 1",),
         **only(587, 443)),
    Case("answers from 587 dropped", "port-filtered", rule("hop1", "drop", answers=True), port=465,
         says=("other-port-works", "a path is seen as far as questions go, not where answers are lost")),
    Case("587 dropped, the routers send no ICMP", "port-filtered",
         (no_icmp("router1", "router2"), rule("hop1", "drop")), port=465, says=("other-port-works", NO_PATH)),
    Case("587 dropped on hop 2 for every host", "port-filtered", (*TWO_HOSTS, rule("hop2", "drop")), port=465,
         **COMPARE),
    Case("587 dropped on hop 2 for this host", "other-port-works", (*TWO_HOSTS, rule("hop2", "drop", to=SERVER[4])),
         port=465, **COMPARE),
    Case("587 dropped for IPv4 only", "port-filtered", rule("hop1", "drop", family=4), port=587,
         names=("over IPv4", "ipv6_only on", "hop 1")),
    Case("587 dropped for IPv6 only", "port-filtered", rule("hop1", "drop", family=6), port=587,
         names=("over IPv6", "ipv4_only on", "hop 1")),
    Case("587 rejected for IPv6 only", "port-rejected", rule("hop1", "admin-prohibited", family=6), port=587,
         names=("over IPv6", "ipv4_only on", ROUTER1[6]), at_once=True),
    Case("all mail ports dropped on hop 1", "all-mail-ports-filtered", rule("hop1", "drop", MAIL_PORTS),
         names=("hop 1", "443")),
    Case("all mail ports dropped on hop 2", "all-mail-ports-filtered", rule("hop2", "drop", MAIL_PORTS),
         names=("hop 2", "443")),
    Case("all mail ports dropped, at a hoster", "all-mail-ports-filtered", rule("hop1", "drop", MAIL_PORTS),
         env={"RENDER": "true"}, names=("Render", "paid plan")),
    Case("all mail ports rejected on hop 1", "port-rejected", rule("hop1", "admin-prohibited", MAIL_PORTS),
         names=(tuple(ROUTER1.values()),), at_once=True),

    # the host
    Case("everything to the host dropped", "host-down", rule("hop1", "drop", None), names=("--control",)),
    Case("everything to the host dropped, a control host answers", "host-down",
         (*TWO_HOSTS, rule("hop2", "drop", None, to=SERVER[4])), **COMPARE),
    Case("the host is off", "host-down", lambda bed: bed.server_down(), f"{SERVER[4]}:587", names=(ROUTER2[4],)),
    Case("an address that nobody has", "host-down", target=f"{NOBODY[4]}:587", names=(ROUTER2[4],)),

    # one family
    Case("IPv4 dropped", "ipv4-broken", rule("hop1", "drop", None, family=4), port=587, names=("ipv6_only on",)),
    Case("IPv6 dropped on hop 1", "ipv6-broken", lambda bed: bed.drop_ipv6("hop1"), port=587, names=("ipv4_only on",)),
    Case("IPv6 dropped on hop 2", "ipv6-broken", lambda bed: bed.drop_ipv6("hop2"), port=587, names=("ipv4_only on",)),
    Case("IPv6 rejected on hop 1", "ipv6-broken", rule("hop1", "admin-prohibited", None, family=6), port=587,
         at_once=True),
    Case("IPv6 only, no route here", "ipv6-absent", no_route(6), records=ONLY_6, at_once=True),
    Case("IPv6 only, no address here", "ipv6-absent", lambda bed: bed.no_addresses(6), records=ONLY_6, at_once=True),
    Case("IPv6 only, disabled here", "ipv6-absent", lambda bed: bed.disable_ipv6(), records=ONLY_6, at_once=True),
    Case("IPv4 only, no route here", "ipv4-broken", (resolver(NAMESERVER[6]), no_route(4)), records=ONLY_4,
         at_once=True),
    Case("no route at all", "no-network", (no_route(4), no_route(6)), f"{SERVER[4]}:587", at_once=True),
    Case("no link, a name asked for", "no-network", link_down("client", "right"), at_once=True),
    Case("no link, an address asked for", "no-network", link_down("client", "right"), f"{SERVER[4]}:587", at_once=True),
    Case("the first router is gone, an address asked for", "no-network", link_down("router1", "left"),
         f"{SERVER[4]}:587", says=("host-down", SILENT_GATE)),
    Case("the first router is gone, a name asked for", "no-network", link_down("router1", "left"),
         says=("dns-failing", SILENT_GATE), names=("network",)),

    # this machine
    Case("this machine's route: prohibit", "port-rejected", lambda bed: bed.route("prohibit"), at_once=True),
    Case("this machine's route: blackhole", "port-rejected", lambda bed: bed.route("blackhole"), at_once=True,
         names=("this machine",)),
    Case("this machine's route: unreachable", "host-down", lambda bed: bed.route("unreachable"), at_once=True),

    # big packets
    Case("big packets lost, STARTTLS", "mtu-black-hole", lambda bed: bed.narrow(), port=587, names=("1200",),
         **among("starttls fat")),
    Case("big packets lost, TLS from the start", "mtu-black-hole", lambda bed: bed.narrow(), TLS_PORT, port=465,
         names=("1200",), **among("implicit fat", 465)),
    Case("packets over 600 octets lost", "mtu-black-hole", lambda bed: bed.narrow(mtu=600), f"{SERVER[4]}:587",
         port=587, names=("536",), **BY_ADDRESS, **among("starttls fat")),
    Case("big packets lost, in IPv6 only", "mtu-black-hole", narrow_for_ipv6, port=587,
         names=("1200", SERVER[6], "ipv4_only on"), **among("starttls fat")),

    # somebody else
    Case("redirected to the first router", "intercepted", redirect("hop1", "router1", "starttls unknown-issuer"),
         port=465, names=("hop 1", "hop 3"), at_once=True),
    Case("redirected to the last router", "intercepted", redirect("hop2", "router2", "starttls unknown-issuer"),
         port=465, names=("hop 2", "hop 3"), at_once=True),
    Case("25 redirected, without TLS", "intercepted", redirect("hop1", "router1", "no-tls no-auth", [25]), f"{HOST}:25",
         names=("hop 1",), at_once=True, **NO_LOGIN),
    Case("redirected to another host", "intercepted",
         redirect("hop1", "server", "starttls unknown-issuer", address=CONTROL), port=465,
         says=("certificate-untrusted-issuer", AS_FAR), names=("other-ca",), at_once=True),
    Case("redirected to the first router, in IPv4 only", "intercepted", redirect_ipv4, port=587,
         names=("hop 1", f"at {SERVER[4]}, while {SERVER[6]} works"), at_once=True),
    Case("all ports redirected to the first router", "intercepted",
         redirect("hop1", "router1", "starttls unknown-issuer", [*MAIL_PORTS, 443]),
         says=("certificate-untrusted-issuer", ALL_ALIKE), names=("portal.example",), at_once=True),
    Case("a virus scanner on this machine", "intercepted", redirect("client-output", "client", "starttls scanner"),
         port=465, names=("Avast", "this machine"), at_once=True),
    Case("a captive portal", "not-smtp", redirect("hop1", "router1", "http-first", [*MAIL_PORTS, 443]), names=("HTTP",),
         at_once=True),
]


# ---- names

NO_SUCH = "no-such.mail.example:587"

NAMING = [
    Case("the name server does not answer", "dns-failing", (name_server("dead"), resolver(NAMESERVER[4]))),
    Case("the name server cannot", "dns-failing", name_server("servfail"), at_once=True),
    Case("no name server is there", "dns-failing", resolver(NOBODY[4])),
    Case("questions for names are rejected", "dns-failing", rule("hop1", "admin-prohibited", [53], protocol="udp")),
    Case("the name servers of this domain cannot", "dns-failing", lambda bed: bed.dns.unknown.add(HOST), at_once=True,
         names=("other names can",)),
    Case("no such name", "dns-no-such-host", target=NO_SUCH, names=("no-such.mail.example", "spelling"), at_once=True),
    Case("no such name, the resolver lies", "dns-rewritten", name_server("rewrite"), NO_SUCH, names=(CONTROL[4],),
         servers={443: "https"}, at_once=True),
    Case("no such name, the resolver names a mail server", "dns-rewritten", name_server("rewrite"), NO_SUCH,
         names=(CONTROL[4],), at_once=True),
    Case("a name without an address", "dns-no-such-host", names=("address",), at_once=True,
         records={(HOST, "TXT"): ["v=spf1 -all"], (SURE, "A"): NAMES[SURE, "A"]}),
    Case("IPv6 only, and IPv4 wanted", "dns-no-such-host", records=ONLY_6, args=("-4",), names=("ipv4_only",),
         at_once=True),
    Case("a domain without mail", "dns-no-such-host", target="nomail.example", user=False, names=("null MX",),
         at_once=True, records={**NAMES, ("nomail.example", "MX"): [(0, ".")]}),
    Case("a recipient's domain that does not exist", "dns-no-such-host", target="someone@nowhere.example", user=False,
         at_once=True),
]


# ---- the server

SERVING = [
    Case("587 closed", "refused-by-host", port=465, names=("port 465", "tls_starttls off"), at_once=True,
         says=("other-port-works", BETTER), **only(25, 465, 443)),
    Case("all mail ports closed", "refused-by-host", at_once=True, **only(443)),
    Case("all ports closed", "refused-by-host", servers={}, at_once=True),

    Case("silence", "silent-after-connect", **alone("silent")),
    Case("silence, 465 works", "silent-after-connect", port=465, names=("port 465",), **among("silent")),
    Case("silence on 465", "silent-after-connect", **alone("silent", 465)),
    Case("silence behind the greeting", "silent-after-connect", port=465, names=("greets",), **among("starttls mute")),
    Case("a tarpit", "silent-after-connect", **alone("starttls tarpit")),
    Case("closed at once", "banned", at_once=True, **alone("close")),
    Case("closed at once, on 465", "banned", at_once=True, **alone("close", 465)),
    Case("reset at once", "banned", at_once=True, **alone("reset")),
    Case("blocked by word", "banned", names=("zen.spamhaus.org",), at_once=True, **alone("blocked")),
    Case("closed instead of an answer to EHLO", "refused-by-host", at_once=True, **alone("starttls hangs-up")),
    Case("busy", "refused-by-host", names=("too many connections",), at_once=True, **alone("busy")),

    Case("a web server that waits", "not-smtp", names=("HTTP",), **alone("http")),
    Case("a web server that speaks first", "not-smtp", names=("HTTP",), at_once=True, **alone("http-first")),
    Case("an SSH server", "not-smtp", names=("SSH",), at_once=True, **alone("ssh")),

    Case("the banner masked", "banner-masked", port=587, names=("Cisco",), at_once=True,
         **among("starttls banner-masked")),
    Case("the banner and STARTTLS masked", "starttls-stripped", port=465, names=("XXXXXXXA", "Cisco", "port 465"),
         at_once=True, **among("starttls-masked banner-masked")),
    Case("STARTTLS masked", "starttls-stripped", port=465, names=("XXXXXXXA", "port 465"), at_once=True,
         **among("starttls-masked")),
    Case("STARTTLS removed, 465 works", "starttls-stripped", port=465, names=("port 465",), at_once=True,
         **among("starttls-removed")),
    Case("STARTTLS removed", "starttls-stripped", at_once=True, **alone("starttls-removed")),
    Case("no TLS at all", "starttls-stripped", at_once=True, **alone("no-tls")),

    Case("TLS from the start on 587", "plain-on-tls-port", port=587, names=("tls_starttls off",), **alone("implicit")),
    Case("STARTTLS on 465", "tls-on-plain-port", port=465, names=("tls_starttls on",), at_once=True,
         **alone("starttls", 465)),
    Case("465 asked for STARTTLS", "plain-on-tls-port", target=TLS_PORT, port=465, names=("tls_starttls off",),
         args=("--tls=on", "--tls-starttls=on")),
    Case("587 asked for TLS from the start", "tls-on-plain-port", port=587, names=("tls_starttls on",), at_once=True,
         args=("--tls=on", "--tls-starttls=off")),
    Case("nothing after ClientHello", "tls-fails", port=465, names=("port 465",), **among("starttls hang")),
    Case("nothing after ClientHello, on 465", "tls-fails", says=("silent-after-connect", NO_WORD),
         **alone("implicit hang", 465)),

    Case("reset after ClientHello", "tls-fails", port=465, at_once=True, **among("starttls cut")),
    Case("reset after ClientHello, on 465", "tls-fails", **alone("implicit cut", 465)),
    Case("TLS 1.1 at best", "tls-fails", port=465, names=("no TLS version in common",), at_once=True,
         **among("starttls old-tls")),
    Case("TLS 1.1 at best, on 465", "tls-fails", names=("tls_priorities",), **alone("implicit old-tls", 465)),

    Case("certificate: expired", "certificate-expired", names=("expired on 20",), at_once=True,
         **alone("starttls expired")),
    Case("certificate: expired, on 465", "certificate-expired", at_once=True, **alone("implicit expired", 465)),
    Case("certificate: expired, 465 has a good one", "certificate-expired", port=465, names=("port 465",), at_once=True,
         **among("starttls expired")),
    Case("certificate: not yet valid", "certificate-not-yet-valid", names=("clock",), at_once=True,
         **alone("starttls not-yet-valid")),
    Case("certificate: wrong name", "certificate-wrong-name", names=("other.example",), at_once=True,
         **alone("starttls wrong-name")),
    Case("certificate: unknown issuer", "certificate-untrusted-issuer", names=("other-ca", "tls_fingerprint"),
         at_once=True, **alone("starttls unknown-issuer")),
    Case("certificate: signed by itself", "certificate-untrusted-issuer", names=("itself", "tls_fingerprint"),
         at_once=True, **alone("starttls self-signed")),
    Case("certificate: not the pinned one", "certificate-wrong-fingerprint", at_once=True,
         args=("--tls-fingerprint={pinned}",), **alone("starttls")),

    Case("one of two addresses: certificate expired", "certificate-expired", names=(f"at {CONTROL[4]}", SERVER[4]),
         at_once=True, **pool("starttls", "starttls expired")),
    Case("one of two addresses: silence", "silent-after-connect", names=(f"at {SERVER[4]}", CONTROL[4]),
         **pool("silent", "starttls")),
    Case("one of two addresses: busy", "refused-by-host", names=(f"at {CONTROL[4]}",), at_once=True,
         **pool("starttls", "busy")),
    Case("IPv6 leads to another server", "certificate-wrong-name",
         (at("0.0.0.0", SERVERS), at(CONTROL[6], {587: "starttls"}, "old.mail.example")), port=587, servers={},
         records={**NAMES, (HOST, "AAAA"): [CONTROL[6]]}, names=("old.mail.example", "ipv4_only on"), at_once=True),

    Case("no login", "auth-not-offered", port=465, names=("port 465",), at_once=True, **among("starttls no-auth")),
    Case("no login on 25", "auth-not-offered", target=f"{HOST}:25", port=465, names=("port 465", "between servers"),
         at_once=True),
    Case("not the login that is wanted", "auth-not-offered", names=("PLAIN",), at_once=True, args=("--auth=cram-md5",),
         **alone("starttls")),
]

BROKEN = [*NETWORK, *NAMING, *SERVING]


# ---- nothing wrong


def well(name, *do, **more):
    """Nothing is said that is not so."""
    target = more.get("target", HERE)
    more = {"do": do, "port": int(target.rpartition(":")[2]) if ":" in target else None, "at_once": True, **more}
    return Case(name, "ok", never=("firewall", "dropped", "broken", "in between", "Cisco"), **more)


PAUSED = {"servers": {port: f"{behaviour} delay=1.5" for port, behaviour in SERVERS.items()}, "at_once": False}

HEALTHY = [
    well("587"),
    well("465", target=TLS_PORT),
    well("2525", target=f"{HOST}:2525"),
    well("25 between servers", target=f"{HOST}:25", **NO_LOGIN),
    well("a host with IPv4 only", records=ONLY_4),
    well("a host with IPv6 only", records=ONLY_6),
    well("an IPv4 address", target=f"{SERVER[4]}:587", **BY_ADDRESS),
    well("an IPv6 address", target=f"[{SERVER[6]}]:587", **BY_ADDRESS),
    well("an alias", target="alias.mail.example:587", records={**NAMES, ("alias.mail.example", "CNAME"): [HOST]},
         **BY_ADDRESS),
    well("one port only, the others refused", **only(587)),
    well("one port only, the others dropped", rule("server-input", "drop", [25, 443, 465, 2525]), **only(587)),
    well("587 wanted, 25 dropped", rule("hop1", "drop", [25])),
    well("587 wanted, 25 and 2525 rejected", rule("hop1", "net-unreachable", [25, 2525])),
    well("no web server", **only(465, 587)),
    well("many addresses, the first dead", at_once=False, records={**NAMES, (HOST, "A"): [NOBODY[4], SERVER[4]]}),
    well("one of two addresses refuses",
         **{**pool("starttls", "starttls"), "do": (at(CONTROL[4], {587: "starttls"}),)}),
    well("questions for IPv6 are not answered", lambda bed: bed.dns.ignored.add("AAAA"), resolver(NAMESERVER[4]),
         records=ONLY_4),
    well("routers that send no ICMP", no_icmp("router1", "router2")),
    well("a slow server", at_once=False, **among("starttls delay=2")),
    well("a pause of 6 s before the greeting", at_once=False, **among("starttls delay=6")),
    well("a pause of 6 s on 25", at_once=False, target=f"{HOST}:25", servers={25: "starttls no-auth delay=6"},
         **NO_LOGIN),
    well("a pause of 1.5 s on all ports", **PAUSED),
    well("signed by itself, and pinned", args=("--tls-fingerprint={pinned}",), **among("starttls self-signed")),
    well("signed by itself, and not checked", at_once=False, args=("--tls-certcheck=off",),
         **among("starttls self-signed")),
    well("no TLS, and none wanted", args=("--tls=off",), **among("no-tls")),
    well("the login that is wanted", args=("--auth=plain",)),
    well("no IPv6 route here", no_route(6)),
    well("no IPv6 address here", lambda bed: bed.no_addresses(6)),
    well("IPv6 disabled here", lambda bed: bed.disable_ipv6()),
    well("no IPv4 route here", resolver(NAMESERVER[6]), no_route(4)),
    well("IPv6 dropped, and the host has none", lambda bed: bed.drop_ipv6(), records=ONLY_4),
    well("IPv6 dropped, and not wanted", lambda bed: bed.drop_ipv6(), args=("-4",)),
    well("a small MTU that both ends are told", lambda bed: bed.narrow(told=True), **among("starttls fat")),
    well("a small MTU, and nothing big to send", lambda bed: bed.narrow()),
    well("a resolver that lies, of other names", name_server("rewrite")),
    well("the first name server is dead", resolver(NOBODY[4], NAMESERVER[4]), at_once=False),
    well("a domain, by its records for users", target="mail.example", port=465,
         records={**NAMES, ("_submissions._tcp.mail.example", "SRV"): [(0, 1, 465, HOST)]}),
    well("a domain, by its mail server", target="mail.example", port=25, user=False,
         records={**NAMES, ("mail.example", "MX"): [(10, HOST)]}),
]
