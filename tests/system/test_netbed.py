"""The bed itself, and what one attempt to connect sees of it: every row of connect()'s answers, on either hop, in both families,
and whether the ladder names the right one. envoi's own diagnosis is test_diagnose.py's."""

import json
import os
import shutil
import subprocess
import time

import pytest

import netbed
from misserver import HEALTHY, NAME, MisServer
from netbed import CONTROL, FORMS, NAMESERVER, NOBODY, ROUTER1, ROUTER2, SERVER, mail_host

PROBE = os.environ.get("REACH_PROBE", os.path.join(os.path.dirname(os.environ.get("ENVOI", "")), "tests/system/reach_probe"))
ROUTERS = {"hop1": (1, ROUTER1), "hop2": (2, ROUTER2)}

pytestmark = pytest.mark.skipif(not os.access(PROBE, os.X_OK), reason=f"no reach_probe: {PROBE}")


@pytest.fixture
def bed(networks):
    networks.reset()
    return networks


def probe(bed, what, milliseconds, *rows):
    done = bed.run("client", [PROBE, what, milliseconds, *(word for row in rows for word in row)])
    assert done.returncode == 0, done
    return json.loads(done.stdout)


# How long silence is waited for, in milliseconds. Answers come within one, on a machine with nothing else to do.
SILENCE, UDP_TOO = 400, 900


def reach(bed, *places, milliseconds=5000):
    return probe(bed, "reach", milliseconds, *((*place, 0, 0)[:4] for place in places))


def both(port, host=SERVER):
    return (host[4], port), (host[6], port)


def outcomes(results):
    return tuple(r["outcome"] for r in results)


def test_healthy(bed):
    bed.listen(25)
    results = reach(bed, *both(25), *both(26))
    assert outcomes(results) == ("open", "open", "refused", "refused")
    assert all(r["took"] < 1 for r in results)


# The table of connect(): what a firewall's form is to either family, and its ICMP message.
FORM_ROWS = {
    "drop": (("silent", None), ("silent", None)),
    "tcp-reset": (("refused", None), ("refused", None)),
    "admin-prohibited": (("host-unreachable", "administratively prohibited"), ("prohibited", "administratively prohibited")),
    "port-unreachable": (("refused", "port unreachable"), ("refused", "port unreachable")),
    "host-unreachable": (("host-unreachable", "host unreachable"), ("host-unreachable", "address unreachable")),
    "net-unreachable": (("net-unreachable", "network unreachable"), ("net-unreachable", "no route")),
}
SENDERS = {"client-output": netbed.CLIENT, "hop1": ROUTER1, "hop2": ROUTER2, "server-input": SERVER}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", netbed.PLACES)
def test_firewall(bed, place, form):
    bed.listen(25)
    bed.listen(587)
    bed.rule(place, form, ports=[25])
    results = reach(bed, *both(25), *both(587), milliseconds=SILENCE if form == "drop" else 5000)
    assert outcomes(results[2:]) == ("open", "open")
    for family, result, (outcome, icmp) in zip((4, 6), results, FORM_ROWS[form]):
        assert (result["outcome"], result["icmp"]) == (outcome, icmp)
        assert result["from"] == (SENDERS[place][family] if icmp else None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ROUTERS)
def test_ladder_names_the_hop(bed, place, form):
    """A router forwards what it has counted down: packets to a filtered port still expire there, and go no farther."""
    hop, router = ROUTERS[place]
    bed.listen(25)
    bed.listen(587)
    bed.rule(place, form, ports=[25])
    results = probe(bed, "ladder", UDP_TOO if form == "drop" else 5000, *both(25), *both(587))
    for family, filtered, free in zip((4, 6), results, results[2:]):
        assert (free["answered_at"], free["answer"], free["last_hop"], free["last_router"]) == (3, "open", 2, ROUTER2[family])
        assert (filtered["last_hop"], filtered["last_router"]) == (hop, router[family])
        if form == "drop":
            assert (filtered["answered_at"], filtered["rejected_at"], filtered["silent_from"]) == (0, 0, hop + 1)
            assert (filtered["farthest_hop"], filtered["udp_arrived_at"]) == (2, 3)
        elif form == "tcp-reset":
            assert (filtered["answered_at"], filtered["answer"]) == (hop + 1, "refused")
        else:
            assert filtered["rejection"] == FORM_ROWS[form][family == 6][0]
            assert (filtered["rejected_at"], filtered["rejected_by"], filtered["answered_at"]) == (hop + 1, router[family], 0)


@pytest.mark.parametrize("place, node, ttl", [("client-output", "client", 1), ("hop1", "router1", 1), ("hop2", "router2", 2)])
def test_ladder_sees_interception(bed, place, node, ttl):
    """What answers in the server's place answers nearer than the server does on another port."""
    bed.listen(587)
    bed.listen(2525, node=node)
    bed.intercept(place, 25, 2525)
    results = probe(bed, "ladder", 5000, *both(25), *both(587))
    assert [r["answered_at"] for r in results] == [ttl, ttl, 3, 3]
    assert all(r["answer"] == "open" for r in results)


def test_interception_by_another_host(bed):
    """It stands as far away as the server: only what it says can tell."""
    for family in (4, 6):
        bed.listen(2525, address=CONTROL[family])
        bed.intercept("hop1", 25, 2525, CONTROL[family])
    assert outcomes(reach(bed, *both(25), *both(26))) == ("open", "open", "refused", "refused")
    assert [r["answered_at"] for r in probe(bed, "ladder", 5000, *both(25))] == [3, 3]


def test_ladder_without_tcp(bed):
    """All TCP dropped at the first hop: UDP still tells the path."""
    bed.rule("hop1", "drop")
    for family, result in zip((4, 6), probe(bed, "ladder", UDP_TOO, *both(25))):
        assert (result["last_hop"], result["farthest_hop"], result["udp_arrived_at"]) == (1, 2, 3)
        assert result["rungs"][1]["udp_router"] == ROUTER2[family]


def test_no_privilege(bed, run_dir):
    """All of it is told to a user who may do nothing."""
    here = shutil.copy(PROBE, run_dir("probe"))
    bed.listen(587)
    bed.rule("hop1", "drop", ports=[25])
    bed.rule("hop2", "admin-prohibited", ports=[26])
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    done = bed.run("client", [*nobody, here, "ladder", UDP_TOO, SERVER[4], 25, SERVER[6], 25, SERVER[4], 587, SERVER[4], 26])
    dropped4, dropped6, free, rejected = json.loads(done.stdout)
    assert (dropped4["last_router"], dropped4["udp_arrived_at"]) == (ROUTER1[4], 3)
    assert (dropped6["last_router"], dropped6["udp_arrived_at"]) == (ROUTER1[6], 3)
    assert (free["answered_at"], rejected["rejected_by"]) == (3, ROUTER2[4])


def test_ladder_of_an_unreachable_network(bed):
    """No packet leaves: nothing to climb, nothing to wait for."""
    bed.route("unreachable")
    start = time.monotonic()
    for result in probe(bed, "ladder", 5000, *both(25)):
        assert (result["rejected_at"], result["rejection"], len(result["rungs"])) == (1, "host-unreachable", 1)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("kind, outcome", [("prohibit", "prohibited"), ("unreachable", "host-unreachable"),
                                           ("blackhole", "blackhole")])
def test_local_routes(bed, kind, outcome):
    bed.listen(25)
    bed.route(kind)
    results = reach(bed, *both(25), *both(25, CONTROL))
    assert outcomes(results) == (outcome, outcome, "open", "open")
    assert [r["at_once"] for r in results[:2]] == [True, True]


IPV6 = {
    "no-route": (lambda bed: bed.no_route(6), "net-unreachable"),
    "no-addresses": (lambda bed: bed.no_addresses(6), "net-unreachable"),
    "disabled": (lambda bed: bed.disable_ipv6(), "no-family"),
    "dropped-hop1": (lambda bed: bed.drop_ipv6("hop1"), "silent"),
    "dropped-hop2": (lambda bed: bed.drop_ipv6("hop2"), "silent"),
}


@pytest.mark.parametrize("what", IPV6)
def test_without_ipv6(bed, what):
    bed.listen(25)
    change, outcome = IPV6[what]
    change(bed)
    results = reach(bed, *both(25), milliseconds=SILENCE if outcome == "silent" else 5000)
    assert outcomes(results) == ("open", outcome)
    assert results[1]["at_once"] == (outcome != "silent")


def test_without_ipv4(bed):
    bed.listen(25)
    bed.no_route(4)
    assert outcomes(reach(bed, *both(25))) == ("net-unreachable", "open")


def test_host_down(bed):
    """The last router says so, late; it is the same for an address that nobody has."""
    results = reach(bed, *both(25, NOBODY), milliseconds=10000)
    assert outcomes(results) == ("host-unreachable", "host-unreachable")
    assert [r["from"] for r in results] == [ROUTER2[4], ROUTER2[6]]
    assert all(r["took"] > 1 for r in results)


def test_answers_dropped(bed):
    """To who asks it is all the same on which way a packet was dropped: the ladder, too, ends where its own packets do."""
    bed.listen(25)
    bed.rule("hop1", "drop", ports=[25], answers=True)
    assert outcomes(reach(bed, *both(25), milliseconds=SILENCE)) == ("silent", "silent")
    assert [r["last_hop"] for r in probe(bed, "ladder", UDP_TOO, *both(25))] == [2, 2]


def test_one_family_and_one_host(bed):
    bed.listen(25)
    bed.rule("hop1", "drop", ports=[25], family=6)
    bed.rule("hop1", "tcp-reset", ports=[25], to=SERVER[4])
    results = reach(bed, *both(25), *both(25, CONTROL), milliseconds=SILENCE)
    assert outcomes(results) == ("refused", "silent", "open", "silent")


def test_ttl_and_mss(bed):
    bed.listen(25)
    results = reach(bed, (SERVER[4], 25, 2, 0), (SERVER[6], 25, 2, 0), (SERVER[4], 25, 3, 536), (SERVER[6], 25, 3, 1200))
    assert outcomes(results) == ("expired", "expired", "open", "open")


# ---- segments


def send_from_client(bed, address, octets, mss=0, patience=5):
    """How many octets of a burst a server reads before it hears nothing for so many seconds."""
    listener = bed.listen(2526)
    listener.settimeout(5)
    script = ("import socket, sys\n"
              "s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)\n"
              "if int(sys.argv[3]): s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, int(sys.argv[3]))\n"
              "s.connect((sys.argv[1], 2526)); s.sendall(b'x' * int(sys.argv[2])); s.settimeout(5); s.recv(1)\n")
    sender = bed.start("client", ["/usr/bin/python3", "-c", script, address, octets, mss], stderr=subprocess.DEVNULL)
    connection, _ = listener.accept()
    connection.settimeout(patience)
    got = 0
    try:
        while got < octets and (data := connection.recv(65536)):
            got += len(data)
    except TimeoutError:
        pass
    connection.close()
    sender.kill()
    sender.wait()
    return got


@pytest.mark.parametrize("family", [4, 6])
def test_black_hole_for_big_packets(bed, family):
    bed.narrow()
    assert send_from_client(bed, SERVER[family], 5000, patience=0.5) == 0


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("told, mss", [(True, 0), (False, 1200), (False, 536)])
def test_ways_past_a_bottleneck(bed, family, told, mss):
    bed.narrow(told=told)
    assert send_from_client(bed, SERVER[family], 5000, mss) == 5000


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_handshake_in_a_black_hole(bed, certs, mode):
    """The server's certificates do not get through; a small certificate would."""
    bed.serve_names(mail_host())
    bed.narrow()
    with MisServer(bed.listen, certs, {465: "implicit fat", 587: "starttls fat", 466: "implicit", 588: "starttls"}):
        fat, thin = {"implicit": (465, 466), "starttls": (587, 588)}[mode]
        assert "TimeoutError" in bed.run("client", talk(certs, fat, mode, patience=1)).stdout
        assert "250 AUTH PLAIN LOGIN" in bed.run("client", talk(certs, thin, mode)).stdout


# ---- names

LOOKUP = "import socket, sys\nprint(sorted({a[4][0] for a in socket.getaddrinfo(sys.argv[1], 25)}))"


def lookup(bed, name):
    done = bed.run("client", ["/usr/bin/python3", "-c", LOOKUP, name])
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_names(bed):
    names = bed.serve_names({**mail_host(), ("alias.example", "CNAME"): [NAME], ("six.example", "AAAA"): [SERVER[6]]})
    assert lookup(bed, NAME) == lookup(bed, "alias.example") == str(sorted(SERVER.values()))
    assert lookup(bed, "six.example") == str([SERVER[6]])
    assert "not known" in lookup(bed, "missing.example")
    assert (NAME, "A") in names.asked and (NAME, "AAAA") in names.asked
    bed.resolver(NAMESERVER[6], options="use-vc")
    assert lookup(bed, NAME) == str(sorted(SERVER.values()))


def test_bad_names(bed):
    names = bed.serve_names(mail_host(), mode="rewrite")
    assert lookup(bed, "missing.example") == str([names.liar])
    names.mode = "servfail"
    assert "Temporary failure" in lookup(bed, NAME)
    names.mode = "dead"
    bed.resolver(NAMESERVER[4], options="timeout:1 attempts:1")
    assert "Temporary failure" in lookup(bed, NAME)


def test_resolv_conf_is_private(bed):
    with open("/etc/resolv.conf") as f:
        before = f.read()
    bed.resolver("192.0.2.53")
    assert "192.0.2.53" in bed.run("client", ["cat", "/etc/resolv.conf"]).stdout
    with open("/etc/resolv.conf") as f:
        assert f.read() == before


def test_two_beds(bed):
    """They do not meet, and nothing of them has a name in the system."""
    bed.listen(25)
    with netbed.Bed() as other:
        assert outcomes(reach(other, *both(25))) == ("refused", "refused")
        assert outcomes(reach(bed, *both(25))) == ("open", "open")
        names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        assert "envoi" not in names
    assert outcomes(reach(bed, *both(25))) == ("open", "open")


# ---- servers

TALK = """
import socket, ssl, sys
port, mode, ca, name, patience = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5])
s = socket.create_connection((name, port), patience)
context = ssl.create_default_context(cafile=ca)
f = s.makefile("rb")
def reply():
    while (line := f.readline()):
        print(line.decode().rstrip())
        if line[3:4] != b"-": return line
def command(text):
    s.sendall(text.encode() + b"\\r\\n"); return reply()
try:
    if mode == "implicit":
        s = context.wrap_socket(s, server_hostname=name); f = s.makefile("rb")
    reply()
    if mode != "greeting":
        command("EHLO c")
    if mode == "starttls" and command("STARTTLS").startswith(b"220"):
        s = context.wrap_socket(s, server_hostname=name); f = s.makefile("rb"); command("EHLO c")
except (OSError, ssl.SSLError) as e:
    print("!", type(e).__name__, e)
"""


def talk(certs, port, mode, patience=5):
    return ["/usr/bin/python3", "-c", TALK, port, mode, certs.ca, NAME, patience]


MISBEHAVIOURS = [
    ("starttls", "starttls", "250 AUTH PLAIN LOGIN"),
    ("implicit", "implicit", "250 AUTH PLAIN LOGIN"),
    ("starttls no-auth", "starttls", "250-8BITMIME\n250 ENHANCEDSTATUSCODES\n"),
    ("no-tls", "plain", "250 AUTH PLAIN LOGIN"),
    ("starttls banner-masked", "plain", "220 *****"),
    ("starttls-masked", "starttls", "250 XXXXXXXA\n500 5.5.2"),
    ("starttls-removed", "starttls", "250 ENHANCEDSTATUSCODES\n500 5.5.2"),
    ("implicit", "plain", "! TimeoutError"),
    ("starttls", "implicit", "WRONG_VERSION_NUMBER"),
    ("http", "plain", "! TimeoutError"),
    ("http-first", "greeting", "HTTP/1.1 302 Found"),
    ("ssh", "greeting", "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\n! TimeoutError"),
    ("close", "plain", ""),
    ("reset", "plain", "! ConnectionResetError"),
    ("silent", "plain", "! TimeoutError"),
    ("implicit hang", "implicit", "! TimeoutError"),
    ("starttls hang", "starttls", "! TimeoutError"),
    ("starttls delay=1", "greeting", "220 mail.example"),
    ("starttls tarpit", "greeting", "220 mail.example"),
    ("starttls fat", "starttls", "250 AUTH PLAIN LOGIN"),
    ("starttls expired", "starttls", "certificate has expired"),
    ("starttls not-yet-valid", "starttls", "certificate is not yet valid"),
    ("starttls wrong-name", "starttls", "certificate is not valid for 'mail.example'"),
    ("implicit unknown-issuer", "implicit", "unable to get local issuer certificate"),
]


def test_servers(bed, certs):
    """Every behaviour once, each on a port of its own, all at the same time."""
    bed.serve_names(mail_host())
    ports = {3000 + i: behaviour for i, (behaviour, _, _) in enumerate(MISBEHAVIOURS)}
    with MisServer(bed.listen, certs, ports):
        talks = [bed.start("client", talk(certs, port, mode, 1 if "TimeoutError" in want else 15), stdout=subprocess.PIPE, text=True)
                 for port, (_, mode, want) in zip(ports, MISBEHAVIOURS)]
        said = [t.communicate(timeout=60)[0] for t in talks]
    wrong = [(row, text) for row, text in zip(MISBEHAVIOURS, said) if row[2] not in text]
    assert not wrong


def test_healthy_host(bed, certs):
    bed.serve_names(mail_host())
    with MisServer(bed.listen, certs, HEALTHY) as server:
        assert "220 2.0.0 go ahead" in bed.run("client", talk(certs, 25, "starttls")).stdout
        assert outcomes(reach(bed, (SERVER[6], 443))) == ("open",)
        assert server[25].verbs() == ["EHLO", "STARTTLS", "EHLO"]
