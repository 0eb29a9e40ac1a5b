"""The MTA-STS policy of a domain (send/sts_query, net/https, base/cache): record, cache and policy's server in every state that
they can have to each other, in a network namespace whose loopback has the port 443."""

import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import warnings

import dnsbed
import netbed
import pytest
from servers import NotHere

PROBE = pathlib.Path(os.environ.get("STS_PROBE", pathlib.Path(os.environ["ENVOI"]).parent / "tests/system/sts_probe"))
GOOD, OTHER_NAME, EXPIRED, OTHER_CA, NOBODY, SILENT, OLD = (f"127.0.0.{n}" for n in range(2, 9))

pytestmark = pytest.mark.skipif(not os.access(PROBE, os.X_OK), reason=f"no sts_probe: {PROBE}")

POLICY = "version: STSv1\r\nmode: {mode}\r\nmx: mx.{domain}\r\nmx: *.mail.{domain}\r\nmax_age: {age}\r\n"


def policy(domain, mode="enforce", age=86400):
    return POLICY.format(domain=domain, mode=mode, age=age)


def page(text, status="200 OK", kind="text/plain", more=""):
    kind = f"Content-Type: {kind}\r\n" if kind else ""
    return f"HTTP/1.1 {status}\r\n{kind}Content-Length: {len(text)}\r\n{more}Connection: close\r\n\r\n{text}".encode()


def drip(send):
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        send(b"v")
        time.sleep(0.05)


def endless(send, line=b"x" * 1000 + b"\n"):
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        send(line * 100)


def endless_header(send):
    send(b"HTTP/1.1 200 OK\r\n")
    while True:
        send(b"X-More: " + b"x" * 1000 + b"\r\n")


def chunked(send):
    text = policy("chunked.test").encode()
    send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n")
    for octet in text:
        send(b"1\r\n" + bytes([octet]) + b"\r\n")
    send(b"0\r\n\r\n")


# domain: (records below the zone 'test', what https://mta-sts.DOMAIN/ answers)
def entry(name, answer=None, address=GOOD, record='"v=STSv1; id=1"'):
    lines = [f"_mta-sts.{name} TXT {r}" for r in ([record] if isinstance(record, str) else record)]
    lines += [f"mta-sts.{name} {'AAAA' if ':' in a else 'A'} {a}" for a in address.split()]
    return "\n".join(lines), answer if answer is not None else page(policy(f"{name}.test"))


DOMAINS = {name: entry(name, *rest) for name, *rest in [
    ("enforce",),
    ("testing", page(policy("testing.test", "testing"))),
    ("none", page("version: STSv1\nmode: none\nmax_age: 3600\n")),
    ("chunked", chunked),
    ("redirected", page("", "301 Moved Permanently", more="Location: https://mta-sts.enforce.test/.well-known/mta-sts.txt\r\n")),
    ("missing", page("no such page", "404 Not Found")),
    ("long", page("x: " + "y" * (64 << 10))),
    ("endless", endless),
    ("endless-header", endless_header),
    ("dripping", drip),
    ("html", page(policy("html.test"), kind="text/html; charset=utf-8")),
    ("plainish", page(policy("plainish.test"), kind="text/plainish")),
    ("untyped", page(policy("untyped.test"), kind=None)),
    ("typed", page(policy("typed.test"), kind="Text/Plain;charset=us-ascii;x=y")),
    ("invalid", page("version: STSv1\nmode: enforce\nmax_age: 86400\n")),
    ("empty", page("")),
    ("closing", lambda send: None),
    ("no-http", lambda send: send(b"220 mail.test ESMTP\r\n")),
    ("other-name", None, OTHER_NAME),
    ("expired", None, EXPIRED),
    ("other-ca", None, OTHER_CA),
    ("old-tls", None, OLD),
    ("down", None, NOBODY),
    ("silent", None, SILENT),
    ("one-of-two", None, f"::1 {NOBODY} {GOOD}"),
    ("no-address", None, ""),
    ("twice", None, GOOD, ['"v=STSv1; id=1"', '"v=STSv1; id=2"']),
    ("among-others", None, GOOD, ['"v=spf1 -all"', '"v=STSv1; " "id=1;"']),
    ("no-record", None, GOOD, []),
    ("ages", page(policy("ages.test", age=0))),
]}
HOSTS = [f"mta-sts.{name}.test" for name in [*DOMAINS, "a.bogus", "b.bogus"]]


class PolicyServers(contextlib.ExitStack):
    """HTTPS on port 443 of several addresses, each with a certificate. What is asked for is in `asked`: (name in SNI, header, whose
    address)."""

    def __init__(self, certs):
        super().__init__()
        self.asked, self.answers = [], {f"mta-sts.{name}.test": answer for name, (_, answer) in DOMAINS.items()}
        self._close = []
        names = [f"dns_name = {h}" for h in HOSTS]
        certs.leaf("sts", ["cn = policies", "tls_www_server", *names])
        certs.leaf("sts-expired", ["cn = policies", "tls_www_server", *names, 'activation_date = "2001-01-01 00:00:00 UTC"',
                                   'expiration_date = "2020-01-01 00:00:00 UTC"'])
        certs.leaf("sts-other-ca", ["cn = policies", "tls_www_server", *names], issuer="other-ca")
        for address, name in ((GOOD, "sts"), (OTHER_NAME, "othername"), (EXPIRED, "sts-expired"), (OTHER_CA, "sts-other-ca"),
                              (OLD, "sts")):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certs.cert(name), certs.key(name))
            context.sni_callback = self._named
            if address == OLD:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # Python does not like old TLS, either
                    context.minimum_version = ssl.TLSVersion.TLSv1
                    context.maximum_version = ssl.TLSVersion.TLSv1_1
                context.set_ciphers("ALL:@SECLEVEL=0")
            self._serve(address, context)
        self._listen(SILENT)

    def _listen(self, address):
        s = self.enter_context(socket.create_server((address, 443), backlog=16))
        self.callback(lambda: contextlib.suppress(OSError) and s.shutdown(socket.SHUT_RDWR))
        return s

    @staticmethod
    def _named(connection, name, context):
        connection.envoi_name = name

    def _serve(self, address, context):
        threading.Thread(target=self._accept, args=(self._listen(address), context), daemon=True).start()

    def _accept(self, listener, context):
        with contextlib.suppress(OSError):
            while True:
                connection = listener.accept()[0]
                threading.Thread(target=self._connection, args=(connection, context), daemon=True).start()

    def _connection(self, connection, context):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(10)
            with context.wrap_socket(connection, server_side=True) as tls:
                head = b""
                while b"\r\n\r\n" not in head:
                    octets = tls.recv(4096)
                    if not octets:
                        return
                    head += octets
                self.asked.append((tls.envoi_name, head.decode(), tls.getpeername()[0]))
                answer = self.answers[tls.envoi_name]
                if callable(answer):
                    answer(tls.sendall)
                else:
                    tls.sendall(answer)
                tls.unwrap()


@pytest.fixture(scope="module")
def namespace():
    """This thread, and what it starts, is in a network namespace with nothing but loopback."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces are made by root only")
    home = netbed.net_namespace()
    try:
        netbed.called(netbed.libc.unshare(netbed.CLONE_NEWNET), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    except (netbed.NotHere, OSError) as why:
        os.close(home)
        pytest.skip(str(why))
    yield
    netbed.called(netbed.libc.setns(home, netbed.CLONE_NEWNET), "setns")
    os.close(home)


@pytest.fixture(scope="module")
def servers(namespace, certs):
    with PolicyServers(certs) as made:
        yield made


def zones():
    records = "\n".join(text for text, _ in DOMAINS.values())
    return {
        "test": records + "\n" + entry("x/@y")[0],
        "bogus.test": ("bogus:mta-sts.a.bogus.test,_mta-sts.b.bogus.test",
                       entry("a")[0] + "\n" + entry("b")[0]),
        "broken.test": ("broken", ""),
    }


@pytest.fixture(scope="module")
def dns(servers):
    try:
        with dnsbed.DnsBed(zones()) as bed:
            yield bed
    except NotHere as why:
        pytest.skip(str(why))


class World:
    """Asks for policies with a cache of its own."""

    def __init__(self, dns, servers, trust, home):
        self.dns, self.servers, self.trust, self.home = dns, servers, trust, home
        self.cache = home / "envoi"
        servers.asked.clear()

    def ask(self, *domains, flags="", deadline=8000, server=None, trust=None, environment={}):
        done = subprocess.run([PROBE, server or self.dns.server, self.dns.anchor, trust or self.trust, str(deadline), flags,
                               *domains], capture_output=True, text=True, timeout=30,
                              env={**os.environ, "XDG_CACHE_HOME": str(self.home), **environment})
        if "built without" in done.stdout + done.stderr:
            pytest.skip("without libunbound or libcurl")
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        return answers[0] if len(answers) == 1 else answers

    def file(self, domain, kind="sts"):
        return self.cache / kind / domain

    def keep(self, domain, text, identity="1", ago=0, kind="sts"):
        """As if it had been fetched so many seconds ago."""
        self.file(domain, kind).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file(domain, kind).write_text(f"1 {identity} {int(time.time()) - ago}\n{text}")

    @property
    def fetches(self):
        return len(self.servers.asked)


@pytest.fixture
def world(dns, servers, certs, tmp_path):
    return World(dns, servers, certs.ca, tmp_path)


def outcome(answer):
    return answer["source"], answer["mode"], answer["fault"]


# fetched

@pytest.mark.parametrize("name,mode", [("enforce", "enforce"), ("testing", "testing"), ("none", "none"), ("chunked", "enforce"),
                                       ("typed", "enforce"), ("among-others", "enforce"), ("one-of-two", "enforce")])
def test_fetched_then_cached(world, name, mode):
    first, domain = world.ask(f"{name}.test"), f"{name}.test"
    assert outcome(first) == ("fetched", mode, None), first["trouble"]
    assert first["id"] == "1"
    if mode != "none":
        assert first["mx"] == [f"mx.{domain}", f"*.mail.{domain}"]
    assert abs(first["expires"] - first["max_age"] - time.time()) < 10
    assert world.fetches == 1
    host, head, _ = world.servers.asked[0]
    assert host == f"mta-sts.{domain}"
    assert head.startswith("GET /.well-known/mta-sts.txt HTTP/1.1\r\n") and f"\r\nHost: {host}\r\n" in head
    second = world.ask(domain)
    assert outcome(second) == ("cached", mode, None)
    assert (second["mx"], second["max_age"], second["id"]) == (first["mx"], first["max_age"], "1")
    assert world.fetches == 1
    assert oct(world.file(domain).stat().st_mode & 0o777) == "0o600"
    assert world.ask(domain, flags="fresh")["source"] == "fetched"
    assert world.fetches == 2


def test_domains_side_by_side(world):
    names = ["enforce", "testing", "none", "chunked", "typed", "among-others", "one-of-two", "down", "redirected", "no-record"]
    begun = time.monotonic()
    answers = world.ask(*(f"{n}.test" for n in names), deadline=20000)
    assert time.monotonic() - begun < 10  # nobody waits for the deadline
    assert [a["source"] for a in answers] == ["fetched"] * 7 + ["unknown"] * 2 + ["absent"]


@pytest.mark.parametrize("source,peer", [("127.0.0.50", "127.0.0.50"), ("::1", None), ("192.0.2.1", None)])
def test_source_address(world, source, peer):
    """Of the addresses of the policy's server only those of its family are tried."""
    answer = world.ask("one-of-two.test", flags=source)
    assert outcome(answer) == (("fetched", "enforce", None) if peer else ("unknown", None, "connect")), answer["trouble"]
    assert [asked[2] for asked in world.servers.asked] == ([peer] if peer else [])


def test_case_of_the_domain(world):
    assert world.ask("Enforce.TEST")["source"] == "fetched"
    assert world.ask("enforce.test")["source"] == "cached"


def test_not_wanted(world):
    assert outcome(world.ask("enforce.test", flags="unwanted")) == ("absent", None, None)
    assert world.fetches == 0


def test_environment_and_redirects_are_not_heeded(world, tmp_path):
    (tmp_path / ".netrc").write_text("default login me password secret\n")
    environment = {name: "http://127.0.0.9:1/" for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")}
    answer = world.ask("enforce.test", environment={**environment, "HOME": str(tmp_path), "SSL_CERT_FILE": "/nonexistent"})
    assert answer["source"] == "fetched", answer["trouble"]
    assert "Authorization" not in world.servers.asked[0][1]


# not to be had

@pytest.mark.parametrize("name,fault,words", [
    ("redirected", "unavailable", "is answered with status 301, a redirection, which is not followed"),
    ("missing", "unavailable", "is answered with status 404"),
    ("long", "unavailable", "is longer than 65536 octets"),
    ("endless", "unavailable", "is longer than 65536 octets"),
    ("endless-header", "unavailable", "has a header of more than 65536 octets"),
    ("html", "protocol", "has the media type 'text/html; charset=utf-8', not 'text/plain'"),
    ("plainish", "protocol", "has the media type 'text/plainish', not 'text/plain'"),
    ("untyped", "protocol", "has the media type '', not 'text/plain'"),
    ("invalid", "protocol", "the MTA-STS policy of 'invalid.test' is not valid: it has no 'mx'"),
    ("empty", "protocol", "the MTA-STS policy of 'empty.test' is not valid: it has no 'version'"),
    ("closing", "lost", ""),
    ("no-http", "lost", ""),
    ("other-name", "certificate", "mta-sts.other-name.test"),
    ("expired", "certificate", "certificate has expired"),
    ("other-ca", "certificate", ": nobody who is trusted issued its certificate|unable to get local issuer"),
    ("old-tls", "tls", ""),
    ("down", "connect", ": Connection refused"),
    ("no-address", "no-host", "'mta-sts.no-address.test', which has the MTA-STS policy, has no address"),
    ("a.bogus", "dns", "the address of 'mta-sts.a.bogus.test' is not to be trusted: "),
])
def test_not_to_be_had(world, name, fault, words):
    domain = f"{name}.test"
    answer = world.ask(domain)
    print(answer["trouble"])
    assert outcome(answer) == ("unknown", None, fault), answer["trouble"]
    assert any(w in answer["trouble"] for w in words.split("|"))
    fetches = world.fetches

    # not tried again for five minutes, unless somebody wants to see
    again = world.ask(domain)
    assert again["source"] == "unknown" and again["trouble"].startswith(answer["trouble"])
    assert "seconds ago)" in again["trouble"]
    assert world.fetches == fetches
    assert outcome(world.ask(domain, flags="fresh")) == ("unknown", None, fault)
    failed = world.file(domain, "sts-failed")
    assert not world.file(domain).exists()
    text = failed.read_text().partition("\n")[2]
    world.keep(domain, text, ago=301, kind="sts-failed")
    assert outcome(world.ask(domain)) == ("unknown", None, fault)
    world.keep(domain, text, identity="0", kind="sts-failed")  # another policy
    assert outcome(world.ask(domain)) == ("unknown", None, fault)

    # an older policy of another id lasts on (RFC 8461 5.1), an expired one does not
    world.keep(domain, policy(domain), identity="0", ago=86000)
    cached = world.ask(domain)
    assert (cached["source"], cached["mode"]) == ("cached", "enforce")
    assert cached["trouble"].startswith(answer["trouble"])
    world.keep(domain, policy(domain), identity="0", ago=86500)
    assert world.ask(domain)["source"] == "unknown"


def test_domain_that_is_no_part_of_a_url(world):
    answer = world.ask("x/@y.test")
    assert outcome(answer) == ("unknown", None, "connect")
    assert answer["trouble"] == "'mta-sts.x/@y.test' is no name of a host"
    assert world.file("x%2F%40y.test", "sts-failed").exists()
    assert world.fetches == 0


@pytest.mark.parametrize("name", ["dripping", "silent"])
def test_the_deadline(world, name):
    begun = time.monotonic()
    answer = world.ask(f"{name}.test", deadline=1500)
    assert 1.4 < time.monotonic() - begun < 4
    assert outcome(answer) == ("unknown", None, "timeout")
    assert answer["trouble"] == f"'https://mta-sts.{name}.test/.well-known/mta-sts.txt' was not fetched in time"


def test_trust(world, certs, tmp_path):
    answer = world.ask("enforce.test", trust=certs.other_ca)
    assert outcome(answer) == ("unknown", None, "certificate")
    answer = world.ask("enforce.test", flags="fresh", trust="system")
    assert outcome(answer) == ("unknown", None, "certificate")
    answer = world.ask("enforce.test", flags="fresh", trust=tmp_path / "none.pem")
    assert outcome(answer) == ("unknown", None, "certificate")
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(pathlib.Path(certs.ca).read_bytes())
    subprocess.run(["openssl", "rehash", folder], check=True)  # for a libcurl with OpenSSL
    assert world.ask("enforce.test", flags="fresh", trust=folder)["source"] == "fetched"


# record and cache

def test_no_record(world):
    assert outcome(world.ask("no-record.test")) == ("absent", None, None)
    assert outcome(world.ask("nobody.test")) == ("absent", None, None)
    assert outcome(world.ask("twice.test")) == ("absent", None, None)
    assert world.fetches == 0


def test_record_taken_away(world):
    """What was cached stays (RFC 8461 5.1, 10.2): an attacker may hide the record."""
    for domain, fault in (("no-record.test", None), ("twice.test", None), ("b.bogus.test", "dns"), ("broken.test", "dns")):
        world.keep(domain, policy(domain), ago=86000)
        answer = world.ask(domain)
        assert outcome(answer) == ("cached", "enforce", fault)
        assert answer["id"] is None
        world.keep(domain, policy(domain), ago=86500)
        assert world.ask(domain)["source"] == ("unknown" if fault else "absent")
    assert world.fetches == 0


def test_record_not_to_be_had(world):
    for domain in ("b.bogus.test", "broken.test"):
        answer = world.ask(domain)
        assert outcome(answer) == ("unknown", None, "dns")
        assert answer["trouble"].startswith(f"cannot look up whether '{domain}' has an MTA-STS policy: ")
    with dnsbed.Between(manner="silent") as silent:
        answer = world.ask("enforce.test", server=silent.server, deadline=1000)
        assert outcome(answer) == ("unknown", None, "dns")


def test_id_changed(world):
    world.keep("enforce.test", policy("old.test", "testing"), identity="0", ago=60)
    answer = world.ask("enforce.test")
    assert outcome(answer) == ("fetched", "enforce", None)
    assert world.file("enforce.test").read_text().startswith("1 1 ")


def test_refreshed_once_a_day(world):
    world.keep("enforce.test", policy("enforce.test", age=999999), ago=86000)
    assert outcome(world.ask("enforce.test")) == ("cached", "enforce", None)
    world.keep("enforce.test", policy("enforce.test", age=999999), ago=86500)
    assert outcome(world.ask("enforce.test")) == ("fetched", "enforce", None)
    world.keep("down.test", policy("down.test", age=999999), ago=86500)
    assert outcome(world.ask("down.test")) == ("cached", "enforce", "connect")


def test_mode_none_is_honoured_from_the_cache(world):
    world.keep("none.test", "version: STSv1\nmode: none\nmax_age: 86400\n", ago=60)
    assert outcome(world.ask("none.test")) == ("cached", "none", None)
    assert world.fetches == 0


def test_policy_that_expires_at_once(world):
    assert outcome(world.ask("ages.test")) == ("fetched", "enforce", None)
    assert outcome(world.ask("ages.test")) == ("fetched", "enforce", None)
    assert world.fetches == 2


@pytest.mark.parametrize("text", ["", "1 1", "1 1 \n", "2 1 {now}\n{policy}", "1 1 {now} 5\n{policy}", "1 1 -5\n{policy}",
                                  "1 1 99999999999999999999\n{policy}", "1 1 {now}\nversion: STSv1\n", "\0\n", "1 1 {now}\n\xff"])
def test_spoilt_cache(world, text):
    world.keep("enforce.test", "")
    world.file("enforce.test").write_text(text.format(now=int(time.time()), policy=policy("enforce.test", "testing")))
    assert outcome(world.ask("enforce.test")) == ("fetched", "enforce", None)


def test_without_a_cache(world):
    environment = {"XDG_CACHE_HOME": "", "HOME": "/nonexistent/envoi"}
    assert outcome(world.ask("enforce.test", environment=environment)) == ("fetched", "enforce", None)
    assert outcome(world.ask("down.test", environment=environment)) == ("unknown", None, "connect")
