"""`envoi mx`: whole outputs for domains in a DNS of our own (dnsbed.py), whose hosts are sinks on 127.0.0.x, all on one port. What
a policy means is test_policy's and test_survey's, what a handshake comes to test_dane's."""

import contextlib
import datetime
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import threading

import pytest

import dnsbed
import netbed
from client import ENVOI, environment
from servers import NotHere

GOOD, BAD_TLSA, CLEAR, EXPIRED, SOON, DEAD, REFUSES, MIXED, MUTE = (f"127.0.0.{n}" for n in range(2, 11))
HOSTS = {
    GOOD: ("look-good", []),
    BAD_TLSA: ("look-good", []),
    CLEAR: (None, ["--extensions=-STARTTLS"]),
    EXPIRED: ("look-expired", []),
    SOON: ("look-soon", []),
    REFUSES: ("look-good", ["--reject=connect:554:5.7.1 not you"]),
    MIXED: ("look-chain", []),
    MUTE: ("look-good", ["--delay=connect:60"]),
}
NAMES = ["mx.dane.test", "mx.bad.test", "mx.unsigned.test", "mx1.some.test", "mx.xn--bcher-kva.test", "mx.sts.test", "mx.mixed.test",
         "mx.untrusted.test", "nomx.test", "mx.testing.test", "mx.other.test", "soon.test", "refuses.test", "itself.test"]


def free_port(addresses):
    for _ in range(50):
        with contextlib.ExitStack() as held:
            port = 0
            try:
                for address in addresses:
                    s = held.enter_context(socket.socket())
                    s.bind((address, port))
                    port = s.getsockname()[1]
                return port
            except OSError:
                continue
    pytest.skip("no port is free on all addresses")


def start_sink(address, port, options):
    process = subprocess.Popen([ENVOI, "sink", f"--listen={address}:{port}", *options], stdout=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, env=environment())
    assert select.select([process.stdout], [], [], 20)[0] and process.stdout.readline().startswith(b"listening")
    return process


def expires_in(days):
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
    return f'expiration_date = "{then:%Y-%m-%d %H:%M:%S} UTC"'


@contextlib.contextmanager
def sinks(certs, port, hosts=HOSTS):
    names = [f"dns_name = {n}" for n in NAMES]
    certs.leaf("look-good", ["cn = mail exchanger", *names, "tls_www_server", expires_in(60.5)])
    certs.leaf("look-expired", ["cn = mx.expired.test", "dns_name = mx.expired.test", "tls_www_server",
                              'activation_date = "2001-01-01 00:00:00 UTC"', 'expiration_date = "2020-01-01 00:00:00 UTC"'])
    certs.leaf("look-soon", ["cn = mx.soon.test", "dns_name = mx.soon.test", "tls_www_server", expires_in(5.5)])
    certs.cert("look-chain").write_text(certs.cert("look-good").read_text() + certs.ca.read_text())
    certs.key("look-chain").write_text(certs.key("look-good").read_text())
    started = []
    try:
        for address, (certificate, options) in hosts.items():
            tls = [f"--tls-cert={certs.cert(certificate)}", f"--tls-key={certs.key(certificate)}"] if certificate else []
            started.append(start_sink(address, port, [*tls, *options]))
        yield
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            process.stdout.close()


def zones(certs, port):
    good, other = dnsbed.tlsa(certs.cert("look-good")), dnsbed.tlsa(certs.cert("othername"))
    issuer = dnsbed.tlsa(certs.ca, usage=2, selector=0, matching=2)
    return {
        "dane.test": f"@ MX 10 mx\nmx A {GOOD}\n_{port}._tcp.mx TLSA {good}\n"
                     '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@dane.test,https://dane.test/tls"\nalias CNAME itself.test.',
        "itself.test": f"@ MX 10 mx\nmx A {MIXED}\n_{port}._tcp.mx TLSA {issuer}",
        "both.test": f"@ MX 10 mx\nmx A {GOOD}\nmx AAAA 2001:db8::1",
        "bad.test": f"@ MX 10 mx\nmx A {BAD_TLSA}\n_{port}._tcp.mx TLSA {other}",
        "mixed.test": f"@ MX 10 mx\nmx A {MIXED}\n_{port}._tcp.mx TLSA {issuer}\n_{port}._tcp.mx TLSA {other}",
        "unsigned.test": ("unsigned", f"@ MX 10 mx.unsigned.test.\nmx A {GOOD}"),
        "clear.test": f"@ MX 10 mx\nmx A {CLEAR}",
        "expired.test": f"@ MX 10 mx\nmx A {EXPIRED}",
        "soon.test": f"@ MX 10 mx\nmx A {SOON}",
        "some.test": f"@ MX 20 mx1\n@ MX 10 dead\n@ MX 30 nowhere\nmx1 A {GOOD}\ndead A {DEAD}",
        "mute.test": f"@ MX 10 mx\nmx A {MUTE}",
        "many.test": "\n".join(f"@ MX {i} mx{i}\nmx{i} A {GOOD}" for i in range(30)),
        "refuses.test": f"@ MX 10 mx\nmx A {REFUSES}",
        "crowd.test": "@ MX 10 mx\n" + "\n".join(f"mx A 192.0.2.{i}\nmx AAAA 2001:db8::{i}" for i in range(1, 60)),
        "bogus.test": ("bogus:TLSA", f"@ MX 10 mx\nmx A {GOOD}\n_{port}._tcp.mx TLSA {good}"),
        "broken.test": ("broken", ""),
        "null.test": "@ MX 0 .",
        "here.test": "@ MX 10 mx\nmx A 127.0.0.1",
        "localhost.test": "@ MX 10 localhost.",
        "nomx.test": f"@ A {GOOD}",
        "xn--bcher-kva.test": f"@ MX 10 mx\nmx A {GOOD}",
        "odd.test": f'@ MX 10 mx\nmx A {GOOD}\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a\\027[31mb@odd.test"',
        "sender.test": '@ TXT "v=spf1 ip4:192.0.2.0/24 include:more.sender.test -all"\nmore TXT "v=spf1 ip4:203.0.113.1 -all"',
        "0.0.127.in-addr.arpa": "2 PTR mx.dane.test.\n3 PTR elsewhere.test.",
    }


class Bed:
    def __init__(self, certs, dns, port):
        self.certs, self.dns, self.port = certs, dns, port

    def options(self):
        return [f"--port={self.port}", f"--dns-server={self.dns.server}", f"--dns-anchor={self.dns.anchor}",
                f"--tls-trust-file={self.certs.ca}"]

    def mx(self, *arguments, status=0, env=None):
        done = subprocess.run([ENVOI, "mx", *self.options(), *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, env=env or environment())
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert not done.stderr, done.stderr
        return done.stdout

    def json(self, *arguments, status=0):
        return json.loads(self.mx("--json", *arguments, status=status))


@pytest.fixture(scope="module")
def bed(certs):
    port = free_port([*HOSTS, DEAD])
    with sinks(certs, port):
        try:
            with dnsbed.DnsBed(zones(certs, port)) as dns:
                yield Bed(certs, dns, port)
        except NotHere as why:
            pytest.skip(f"no DNS of our own: {why}")


def same(output, expected):
    assert output == expected.lstrip("\n")


def data(certs, name, **how):
    return dnsbed.tlsa(certs.cert(name), **how).split()[3].upper()


def test_dane(bed):
    same(bed.mx("dane.test"), f"""
dane.test
  MX         1 host, secure (DNSSEC)
  MTA-STS    no policy
  TLSRPT     mailto:tls@dane.test
             https://dane.test/tls

10 mx.dane.test: works
  IPv4       127.0.0.2, PTR mx.dane.test: works
             TLS1.3; certificate for mx.dane.test by 'CN=envoi test ca', 60 days left
  TLSA       3 1 1 {data(bed.certs, "look-good")[:16]}.. matches
  level      dane: TLSA records

verdict: mail can be delivered, to the one host
""")


def test_dane_for_another_certificate(bed):
    same(bed.mx("postmaster@bad.test", status=1), f"""
bad.test
  MX         1 host, secure (DNSSEC)
  MTA-STS    no policy
  TLSRPT     no record: nobody is told of TLS that fails

10 mx.bad.test: untrusted
  IPv4       127.0.0.3, PTR elsewhere.test, which does not lead back: the certificate of 'mx.bad.test' does not match its TLSA record
             TLS1.3; certificate for mx.dane.test by 'CN=envoi test ca', 60 days left
  TLSA       3 1 1 {data(bed.certs, "othername")[:16]}.. does not match
  level      dane: TLSA records

problems:
    'mx.bad.test' [127.0.0.3]: the certificate of 'mx.bad.test' does not match its TLSA record

verdict: no mail can be delivered; 1 problem
""")


def test_some_records_match(bed):
    host = bed.json("mixed.test")["hosts"][0]
    assert [(r["usage"], r["matches"]) for r in sorted(host["tlsa"]["records"], key=lambda r: r["usage"])] == [(2, True), (3, False)]
    assert host["verdict"] == "works" and host["level"] == "dane" and host["addresses"][0]["dane"] == {"verified": True}
    assert "1 of the 2 TLSA records of 'mx.mixed.test' match nothing" in bed.mx("mixed.test")


@pytest.mark.parametrize("domain", ["itself.test", "alias.dane.test"])
def test_certificate_for_the_domain(bed, domain):
    """Usage 2 takes it, as a delivery does (RFC 7672 3.2.2), also where a CNAME leads there."""
    assert bed.json(domain)["hosts"][0]["addresses"][0]["dane"] == {"verified": True}


@pytest.mark.parametrize("options, addresses", [
    ([], ["2001:db8::1", GOOD]), (["-4"], [GOOD]), (["--source-ip=127.0.0.2"], [GOOD]), (["--source-ip=::1"], ["2001:db8::1"]),
])
def test_family(bed, options, addresses):
    host = bed.json("both.test", "--no-connect", *options)["hosts"][0]
    assert [a["address"] for a in host["addresses"]] == addresses


def test_tlsa_that_cannot_be_validated(bed):
    found = bed.json("bogus.test", status=1)
    assert found["hosts"][0]["verdict"] == "skipped" and found["hosts"][0]["tlsa"]["state"] == "failed"
    assert "  TLSA       cannot be looked up, so the host must not be used" in bed.mx("bogus.test", status=1)


def test_no_policy(bed):
    same(bed.mx("unsigned.test"), """
unsigned.test
  MX         1 host, not secured by DNSSEC
  MTA-STS    no policy
  TLSRPT     no record: nobody is told of TLS that fails

10 mx.unsigned.test: works
  IPv4       127.0.0.2, PTR mx.dane.test: works
             TLS1.3; certificate for mx.dane.test by 'CN=envoi test ca', 60 days left
  TLSA       not asked for: DNSSEC does not secure its addresses
  level      may: no policy

verdict: mail can be delivered, to the one host
""")


def test_without_starttls(bed):
    same(bed.mx("clear.test"), """
clear.test
  MX         1 host, secure (DNSSEC)
  MTA-STS    no policy
  TLSRPT     no record: nobody is told of TLS that fails

10 mx.clear.test: works
  IPv4       127.0.0.4, no PTR: works, in clear
  TLSA       none
  level      may: no policy

to know:
    mail to 'mx.clear.test' goes in clear

verdict: mail can be delivered, to the one host
""")
    host = bed.json("clear.test", "--tls-policy=clear.test encrypt", status=1)["hosts"][0]
    assert (host["verdict"], host["level"], host["reason"]) == ("no-tls", "encrypt", "STARTTLS is not offered")


def test_expired_certificate(bed):
    found = bed.json("expired.test", status=1)
    assert found["hosts"][0]["verdict"] == "works" and found["hosts"][0]["days_left"] < 0
    assert found["verdict"]["problems"] == ["the certificate of 'mx.expired.test' has expired"]
    assert "expired" in found["hosts"][0]["addresses"][0]["tls"]["problems"]
    bed.mx("expired.test", "--warn-days=0")
    assert bed.json("expired.test", "--tls-policy=verify", status=1)["hosts"][0]["verdict"] == "untrusted"


def test_days_left(bed):
    assert "the certificate of 'mx.soon.test' is good for 5 more days only" in bed.mx("soon.test", status=1)
    bed.mx("soon.test", "--warn-days=5")
    assert "certificate for mx.soon.test by 'CN=envoi test ca', 5 days left" in bed.mx("soon.test", "--warn-days=0")
    bed.mx("dane.test", "--warn-days=100", status=1)


def test_some_hosts_are_dead(bed):
    same(bed.mx("some.test", status=1), f"""
some.test
  MX         3 hosts, secure (DNSSEC)
  MTA-STS    no policy
  TLSRPT     no record: nobody is told of TLS that fails

10 dead.some.test: unreachable
  IPv4       127.0.0.7, no PTR: port {bed.port} refuses the connection
  TLSA       none
  level      may: no policy

20 mx1.some.test: works
  IPv4       127.0.0.2, PTR mx.dane.test: works
             TLS1.3; certificate for mx.dane.test by 'CN=envoi test ca', 60 days left
  TLSA       none
  level      may: no policy

30 nowhere.some.test: no-address
             NOWHERE

problems:
    'dead.some.test' [127.0.0.7]: port {bed.port} refuses the connection
    NOWHERE, so it is not used

verdict: mail can be delivered, to 1 of 3 hosts; 2 problems
""".replace("NOWHERE", "there is no host 'nowhere.some.test'"))


def test_more_addresses_than_anybody_has(bed):
    """A domain's owner does not choose how many places are looked at."""
    addresses = [a["address"] for a in bed.json("crowd.test", "--no-connect")["hosts"][0]["addresses"]]
    assert len(addresses) == 20 and sum(":" in a for a in addresses) == 10


def test_host_that_refuses(bed):
    host = bed.json("refuses.test", status=1)["hosts"][0]
    assert (host["verdict"], host["reason"]) == ("refuses", "it says '554 5.7.1 not you'")


@pytest.mark.parametrize("domain, status, lines", [
    ("null.test", 68, ["  MX         none to deliver to",
                       "verdict: no mail can be delivered: the domain 'null.test' takes no mail"]),
    ("gone.test", 68, ["verdict: no mail can be delivered: there is no domain 'gone.test'"]),
    ("broken.test", 75, ["broken.test"]),
])
def test_nobody_takes_mail(bed, domain, status, lines):
    output = bed.mx(domain, status=status).splitlines()
    assert all(line in output for line in lines), output
    assert bed.json(domain, status=status)["verdict"]["exit"] == status


def test_no_domain_name(bed):
    assert "verdict: no mail can be delivered: " in bed.mx("a..test", status=64)


def test_domain_without_mx(bed):
    output = bed.mx("nomx.test").splitlines()
    assert "  MX         none, so the domain itself takes its mail, secure (DNSSEC)" in output
    assert "nomx.test: works" in output


def test_this_machine(bed):
    """A survey may be made where the domain's own mail arrives."""
    found = bed.json("here.test", "--no-connect")
    assert found["hosts"][0]["this_machine"] and found["mx"]["status"] == "5.4.6" and not found["verdict"]["problems"]
    assert "10 mx.here.test (this machine)" in bed.mx("here.test", "--no-connect").splitlines()
    assert bed.json("localhost.test", status=1)["verdict"]["problems"] == ["'localhost' has no address, so it is not used"]


def test_idn(bed):
    assert bed.mx("bücher.test").startswith("bücher.test (xn--bcher-kva.test)\n")
    assert bed.json("me@bücher.test")["domain"] == "xn--bcher-kva.test"


def test_literal(bed):
    found = bed.json(f"me@[{GOOD}]")
    assert found["mx"]["literal"] and found["hosts"][0]["addresses"][0]["address"] == GOOD
    assert found["hosts"][0]["verdict"] == "works"


def test_name_servers_only(bed):
    same(bed.mx("dane.test", "--no-connect"), f"""
dane.test
  MX         1 host, secure (DNSSEC)
  MTA-STS    no policy
  TLSRPT     mailto:tls@dane.test
             https://dane.test/tls

10 mx.dane.test
  IPv4       127.0.0.2, PTR mx.dane.test
  TLSA       3 1 1 {data(bed.certs, "look-good")[:16]}..
  level      dane: TLSA records

verdict: 1 of 1 host may be used; nobody was connected to
""")


def test_nothing_reaches_the_terminal_raw(bed):
    output = bed.mx("odd.test")
    assert "\x1b" not in output and ("faulty" in output or r"\x1B" in output)


@pytest.mark.parametrize("arguments, line, status", [
    (["--from=me@sender.test", "--ip=192.0.2.7"], "pass for mail of sender.test from 192.0.2.7 (ip4:192.0.2.0/24)", 0),
    (["--from=sender.test", "--ip=203.0.113.1"], "pass for mail of sender.test from 203.0.113.1 (include:more.sender.test)", 0),
    (["--from=me@sender.test", "--ip=203.0.113.2"], "fail for mail of sender.test from 203.0.113.2 (-all)", 1),
    (["--from=me@nomx.test", "--ip=203.0.113.2"], "none for mail of nomx.test from 203.0.113.2", 0),
    (["--from=me@sender.test"], "not judged: our address '127.0.0.1' is not a public one, and receivers see another; "
                                "'--ip ADDRESS' names it", 0),
])
def test_spf(bed, arguments, line, status):
    assert f"  SPF        {line}" in bed.mx("dane.test", *arguments, status=status).splitlines()


def test_json(bed):
    found = bed.json("me@dane.test", "--from=me@sender.test", "--ip=192.0.2.7")
    host, = found.pop("hosts")
    address, = host.pop("addresses")
    assert found.pop("time") > 0 and found.pop("seconds") >= 0
    assert found == {
        "name": "me@dane.test", "domain": "dane.test", "port": bed.port, "connected": True,
        "verdict": {"exit": 0, "text": "mail can be delivered, to the one host", "problems": [], "remarks": []},
        "mx": {"records": 1, "implicit": False, "literal": False, "secure": True},
        "mta_sts": {"source": "absent"},
        "tlsrpt": {"state": "found", "rua": ["mailto:tls@dane.test", "https://dane.test/tls"]},
        "spf": {"domain": "sender.test", "address": "192.0.2.7", "result": "pass", "why": "ip4:192.0.2.0/24", "lookups": 0,
                "record": "v=spf1 ip4:192.0.2.0/24 include:more.sender.test -all"},
    }
    assert host.pop("days_left") == 60
    assert host == {
        "name": "mx.dane.test", "preference": 10, "secure": True, "this_machine": False, "verdict": "works", "encrypted": True,
        "level": "dane", "level_reason": "TLSA records",
        "tlsa": {"state": "usable", "base": "mx.dane.test",
                 "records": [{"usage": 3, "selector": 1, "matching": 1, "data": data(bed.certs, "look-good"), "matches": True}]},
    }
    assert address.pop("seconds") >= 0 and "STARTTLS" not in address.pop("ehlo") and address.pop("greeting")
    tls = address.pop("tls")
    assert address == {"address": GOOD, "ptr": {"state": "good", "name": "mx.dane.test"}, "verdict": "works", "encrypted": True,
                       "reach": "open", "starttls": True, "dane": {"verified": True}}
    assert tls["version"] == "TLS1.3" and tls["verified"] and tls["certificate"]["names"] == NAMES


def test_host_that_says_nothing(bed):
    """It is given up within the time named, and waited for without turning in circles."""
    before = os.times()
    host = bed.json("mute.test", "--timeout=3", "--from=me@sender.test", "--ip=192.0.2.7", status=1)["hosts"][0]
    after = os.times()
    assert host["verdict"] == "unreachable" and host["addresses"][0]["error"]["fault"] == "timeout"
    assert after.elapsed - before.elapsed < 10
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1


def test_many_hosts(bed):
    """More than are looked at at a time."""
    found = bed.json("many.test")
    assert len(found["hosts"]) == 30 and {h["verdict"] for h in found["hosts"]} == {"works"}
    assert [h["preference"] for h in found["hosts"]] == list(range(30))


def test_name_servers_do_not_answer(bed, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        done = subprocess.run([ENVOI, "mx", f"--dns-server=127.0.0.1:{silent.getsockname()[1]}", f"--dns-anchor={bed.dns.anchor}",
                               "--timeout=2", "dane.test"], capture_output=True, text=True, timeout=30, env=environment())
    assert done.returncode == 75, done


@pytest.mark.parametrize("arguments", [
    [], ["a.test", "b.test"], [""], ["me@"], ["--ip=here", "a.test"], ["--host=mail.test", "a.test"], ["--warn-days=x", "a.test"],
    ["-a", "smarthost", "a.test"],
])
def test_usage(arguments, tmp_path):
    rc = tmp_path / "config"
    rc.write_text("account smarthost\nhost mail.example.org\nfrom me@example.org\n")
    file = ["-C", rc] if "-a" in arguments else []
    done = subprocess.run([ENVOI, "mx", *file, *arguments], capture_output=True, text=True, timeout=30, env=environment())
    assert done.returncode == 64, done


def test_account(bed, tmp_path):
    """The account's sender and levels count; one that goes to a smarthost is passed over."""
    rc = tmp_path / "config"
    rc.write_text("account default\nhost mx\nfrom me@sender.test\ntls_policy dane-only\n")
    found = bed.json("-C", rc, "--ip=192.0.2.7", "unsigned.test", status=1)
    assert found["spf"]["result"] == "pass" and found["hosts"][0]["verdict"] == "skipped"
    rc.write_text("account default\nhost mail.example.org\nuser me\nfrom me@sender.test\n")
    assert "spf" not in bed.json("-C", rc, "dane.test")
    msmtprc = tmp_path / "msmtprc"
    msmtprc.write_text("account default\nhost mx\nfrom me@sender.test\n")
    assert "spf" not in bed.json("-C", msmtprc, "dane.test")


# ---- MTA-STS

POLICY_SERVER, WRONG_NAME = "127.0.0.50", "127.0.0.51"
POLICIES = {  # domain: mode, whom it names, where its host is
    "sts": ("enforce", "mx.sts.test", GOOD),
    "strange": ("enforce", "mail.strange.test", GOOD),
    "untrusted": ("enforce", "*.untrusted.test", WRONG_NAME),
    "testing": ("testing", "mx.testing.test", CLEAR),
    "both": ("enforce", "mx.elsewhere.test", GOOD),
}


@contextlib.contextmanager
def network_of_its_own():
    """This thread, and what it starts, has loopback and every port of it."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root only")
    try:
        home = netbed.net_namespace()
        netbed.called(netbed.libc.unshare(netbed.CLONE_NEWNET), "unshare")
    except (netbed.NotHere, OSError) as why:
        pytest.skip(str(why))
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        netbed.called(netbed.libc.setns(home, netbed.CLONE_NEWNET), "setns")
        os.close(home)


def serve_policies(listener, context):
    asked = {}
    context.sni_callback = lambda connection, name, _: asked.update(name=name)
    with contextlib.suppress(OSError):
        while True:
            raw, _ = listener.accept()
            with contextlib.suppress(OSError), raw, context.wrap_socket(raw, server_side=True) as tls:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += tls.recv(4096) or b"\r\n\r\n"
                mode, pattern, _ = POLICIES[asked["name"].split(".")[1]]
                text = f"version: STSv1\nmode: {mode}\nmx: {pattern}\nmax_age: 604800\n".encode()
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
                            b"Content-Length: %d\r\n\r\n" % len(text) + text)
                tls.unwrap()


@contextlib.contextmanager
def policy_server(certs):
    certs.leaf("look-policies", ["cn = policies", *(f"dns_name = mta-sts.{name}.test" for name in POLICIES), "tls_www_server"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert("look-policies"), certs.key("look-policies"))
    with socket.create_server((POLICY_SERVER, 443)) as listener:
        thread = threading.Thread(target=serve_policies, args=(listener, context), daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)


@pytest.fixture(scope="module")
def sts_bed(certs):
    with network_of_its_own(), contextlib.ExitStack() as stack:
        port = free_port([*HOSTS, WRONG_NAME])
        stack.enter_context(sinks(certs, port, {**HOSTS, WRONG_NAME: ("othername", [])}))
        stack.enter_context(policy_server(certs))
        zone = {f"{name}.test": f"@ MX 10 mx\nmx A {host}\nmta-sts A {POLICY_SERVER}\n_mta-sts TXT \"v=STSv1; id=2026a\""
                for name, (_, _, host) in POLICIES.items()}
        zone["both.test"] += f"\n_{port}._tcp.mx TLSA {dnsbed.tlsa(certs.cert('look-good'))}"
        zone["down.test"] = f'@ MX 10 mx\nmx A {GOOD}\nmta-sts A 127.0.0.99\n_mta-sts TXT "v=STSv1; id=1"'
        try:
            yield Bed(certs, stack.enter_context(dnsbed.DnsBed(zone)), port)
        except NotHere as why:
            pytest.skip(f"no DNS of our own: {why}")


def test_mta_sts(sts_bed, tmp_path):
    env = environment(XDG_CACHE_HOME=str(tmp_path))
    expected = """
sts.test
  MX         1 host, secure (DNSSEC)
  MTA-STS    enforce, id 2026a, for 7 days, just fetched
  TLSRPT     no record: nobody is told of TLS that fails

10 mx.sts.test: works
  IPv4       127.0.0.2, no PTR: works
             TLS1.3; certificate for mx.dane.test by 'CN=envoi test ca', 60 days left
  TLSA       none
  MTA-STS    the policy names it
  level      verify: MTA-STS policy

verdict: mail can be delivered, to the one host
"""
    for _ in range(2):  # whoever looks at a policy wants it as it is now
        same(sts_bed.mx("sts.test", env=env), expected)


@pytest.mark.parametrize("domain, verdict, level, problems", [
    ("strange.test", "skipped", "verify",
     ["the MTA-STS policy does not name 'mx.strange.test' as a mail exchanger, so it is not used"]),
    ("untrusted.test", "untrusted", "verify", ["'mx.untrusted.test' [127.0.0.51]: the certificate of 'mx.untrusted.test' is for "
                                               "other.example, not for 'mx.untrusted.test'"]),
    ("testing.test", "works", "may", ["'mx.testing.test' [127.0.0.4] does not keep to the MTA-STS policy (testing): "
                                      "STARTTLS is not offered"]),
    ("both.test", "works", "dane", ["the MTA-STS policy (enforce) does not name 'mx.both.test'"]),
])
def test_mta_sts_that_does_not_hold(sts_bed, tmp_path, domain, verdict, level, problems):
    found = json.loads(sts_bed.mx("--json", domain, status=1, env=environment(XDG_CACHE_HOME=str(tmp_path))))
    assert (found["hosts"][0]["verdict"], found["hosts"][0]["level"]) == (verdict, level)
    assert found["verdict"]["problems"] == problems
    assert found["mta_sts"]["source"] == "fetched" and found["mta_sts"]["id"] == "2026a"


def test_mta_sts_that_is_not_to_be_had(sts_bed, tmp_path):
    found = json.loads(sts_bed.mx("--json", "down.test", status=1, env=environment(XDG_CACHE_HOME=str(tmp_path))))
    assert found["mta_sts"]["source"] == "unknown" and found["hosts"][0]["level"] == "may"
    assert found["verdict"]["problems"][0].startswith("the domain announces an MTA-STS policy that is not to be had: ")
