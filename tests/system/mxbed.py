"""Mail exchangers of many domains in a network namespace of their own: a name server on 53, real Postfix on 25 of many addresses
of 127.0.0.0/8 and fd25::/64, a server of MTA-STS policies on 443.

    with MxBed(folder, certs) as bed:
        result = bed.send("b@one.test")
        … bed.connections("127.0.0.10"), bed.postfix.sessions("mx10"), bed.postfix.stored(token) …

None of the addresses is an interface's, but for 127.0.0.1 and OURS: envoi must not take the others for its own machine. What is
where stands in the tables below; certificates are made for them, TLSA records follow from the certificates. Beds of parallel
tests do not meet. It needs root, ip(8) and nft(8); NotHere says what is missing."""

import base64
import contextlib
import dataclasses
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import client
import dnsbed
import misserver
import servers
from certs import LONG_AGO, YESTERDAY
from netbed import CLONE_NEWNET, NotHere, called, libc, net_namespace

OURS = "198.51.100.1"          # an address of the only interface
IPV6 = "fd25::"                # all of fd25::/64 is this machine's, as 127.0.0.0/8 is
NAMESERVER, AUTHORITY = "127.0.0.53", "127.0.0.54"
POLICIES, WRONG_POLICIES, NO_POLICIES = "127.0.0.43", "127.0.0.44", "127.0.0.45"
NOBODY = "127.0.0.99"          # refuses connections

NFT = """table inet bed {
  set v4 { type ipv4_addr . inet_service; flags dynamic; counter; }
  set v6 { type ipv6_addr . inet_service; flags dynamic; counter; }
  set nobody4 { type ipv4_addr; }
  chain input {
    type filter hook input priority 0;
    tcp flags & (syn | ack) == syn add @v4 { ip daddr . tcp dport }
    tcp flags & (syn | ack) == syn add @v6 { ip6 daddr . tcp dport }
    ip daddr @nobody4 tcp flags & (syn | ack) == syn drop
  }
}
"""


# ---- certificates and TLSA

# name: lines besides its names; names; issuer
CERTIFICATES = {
    "good": ([], ["*.mx.test", "*.dane.test"], "ca"),
    "expired": ([f'activation_date = "{LONG_AGO}"', f'expiration_date = "{YESTERDAY}"'], ["*.mx.test", "*.dane.test"], "ca"),
    "other-name": ([], ["other.example"], "ca"),
    "base-name": ([], ["by-name.test"], "ca"),     # a next-hop domain's, as RFC 7672 3.2.2 allows
    "self-signed": ([], ["*.mx.test"], None),
    "untrusted": ([], ["*.mx.test"], "other-ca"),
}


def make_certificates(certs):
    """A file for each of CERTIFICATES: certs.cert(NAME), certs.key(NAME)."""
    for name, (lines, names, issuer) in CERTIFICATES.items():
        certs.leaf(f"mx-{name}", [f"cn = {names[0].replace('*', 'any')}", *(f"dns_name = {n}" for n in names),
                                  "tls_www_server", *lines], issuer)


def tlsa(certs, name, usage, selector, matching):
    """The data of a TLSA record, made with OpenSSL."""
    pem = certs.cert(name).read_text()
    octets = ssl.PEM_cert_to_DER_cert(pem)
    if selector == 1:
        key = subprocess.run(["openssl", "x509", "-noout", "-pubkey"], input=pem, check=True, capture_output=True, text=True).stdout
        octets = base64.b64decode("".join(key.splitlines()[1:-1]))
    if matching:
        octets = {1: hashlib.sha256, 2: hashlib.sha512}[matching](octets).digest()
    return f"{usage} {selector} {matching} {octets.hex()}"


# ---- Postfix: one instance, an address and a name for each host

@dataclasses.dataclass
class Host:
    """cert: a name of CERTIFICATES; None: no STARTTLS. options: of main.cf, for this host."""
    name: str
    addresses: tuple
    cert: str = "good"
    options: dict = dataclasses.field(default_factory=dict)


def at(n):
    return f"127.0.0.{n}"


HOSTS = [
    *(Host(f"pf{n}", (at(n),)) for n in range(10, 20)),
    Host("both", (at(20), f"{IPV6}20")),
    Host("six", (f"{IPV6}21",)),
    Host("expired", (at(22),), "expired"),
    Host("othername", (at(23),), "other-name"),
    Host("basename", (at(24),), "base-name"),
    Host("selfsigned", (at(25),), "self-signed"),
    Host("untrusted", (at(26),), "untrusted"),
    Host("clear", (at(27),), None),
    Host("small", (at(28),), options={"smtpd_recipient_limit": "100"}),
]

# What Postfix says to some recipients of any domain; local parts as regular expressions.
RECIPIENTS = r"""/^unknown.*@/ 550 5.1.1 no such mailbox
/^full.*@/ 452 4.2.2 mailbox is full
/^grey.*@/ 450 4.2.0 Greylisted, try again in 5 minutes
"""

MAIN = """
maximal_idle = 5s
smtpd_recipient_restrictions = check_recipient_access regexp:/etc/postfix/recipients, permit
smtpd_delay_reject = no
smtpd_timeout = 60s
in_flow_delay = 0
smtputf8_autodetect_classes = all
smtpd_tls_received_header = yes
default_process_limit = 200
"""


class Postfix:
    """The hosts of the table, one log, one Maildir; the Received header of what is stored names the host."""

    def __init__(self, run, certs, hosts=HOSTS):
        self.hosts = {host.name: host for host in hosts}
        self.server = servers.Server("postfix", servers.make_maildir(run / "mail"), certs.ca, log=run / "log")
        main = servers.POSTFIX_MAIN.format(run=run, key=certs.key("mx-good"), cert=certs.cert("mx-good"), ca=certs.ca,
                                           auth="none", bare="no").replace("inet_protocols = ipv4\n", "")
        lines = [self._line(certs, host, address) for host in hosts for address in host.addresses]
        etc = servers.make_etc(run, {"postfix/main.cf": main + MAIN, "postfix/recipients": RECIPIENTS,
                                     "postfix/master.cf": "\n".join([*lines, servers.POSTFIX_SERVICES])})
        (run / "data").mkdir()
        os.chown(run / "data", 64991, 64991)
        (run / "queue").mkdir()
        self.server.process = servers.start([servers.ENTER, servers.unpacked("postfix"), etc, "postfix", "start-fg"],
                                            self.server.log)
        self._from = 0

    @staticmethod
    def _line(certs, host, address):
        options = {"syslog_name": host.name, "myhostname": f"{host.name}.mx.test", **host.options}
        if host.cert:
            name = f"mx-{host.cert}"
            issuer = CERTIFICATES[host.cert][2]
            chain = [certs.key(name), certs.cert(name), *([certs.cert(issuer)] if issuer else [])]
            options |= {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": ",".join(map(str, chain))}
        where = f"[{address}]:25" if ":" in address else f"{address}:25"
        return f"{where} inet n - n - 100 smtpd " + " ".join(f"-o {k}={v}" for k, v in options.items())

    def wait_until_up(self):
        end = time.monotonic() + 20
        first = next(iter(self.hosts.values())).addresses[0]
        while True:
            with contextlib.suppress(OSError), socket.create_connection((first, 25), 1) as s:
                s.settimeout(10)
                if s.recv(3) == b"220":
                    s.sendall(b"QUIT\r\n")
                    return
            if self.server.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"Postfix does not come up:\n{self.server.log_tail(30)}")
            time.sleep(0.02)

    def stop(self):
        servers.stop(self.server)

    def mark(self):
        """What the log holds so far is of another test, whose connections are over."""
        end = time.monotonic() + 15
        while self.log().count("]: connect from ") > self.log().count("]: disconnect from "):
            if time.monotonic() > end:
                raise AssertionError(f"a connection of another test is not over:\n{self.log()}")
            time.sleep(0.02)
        self._from = self.server.log.stat().st_size

    def log(self):
        with open(self.server.log, "rb") as f:
            f.seek(self._from)
            return f.read().decode(errors="replace")

    def sessions(self, host, count):
        """What the `count` connections to a host brought, as soon as all are over: dictionaries, {"ehlo": 2, "starttls": 1, "mail": 1,
        …}, of the commands that were carried out."""
        pattern = re.compile(rf" {host}/smtpd\[\d+\]: disconnect from \S+(.*)$", re.MULTILINE)
        end = time.monotonic() + 15
        while len(found := pattern.findall(self.log())) < count:
            if time.monotonic() > end:
                raise AssertionError(f"{len(found)} of {count} connections to {host} are over:\n{self.log()}")
            time.sleep(0.02)
        return [{word: int(n.split("/")[0]) for word, n in re.findall(r"(\w+)=([\d/]+)", line)} for line in found]

    def stored(self, token, count):
        """Who has the message, as (recipient, host) with repetitions; waits until there are `count` copies."""
        found = []
        for octets in self.server.wait_for(token, count):
            text = octets.decode("utf-8", errors="replace")
            found.append((re.search(r"^Delivered-To: (.*)$", text, re.MULTILINE)[1],
                          re.search(r"^\s+by (\w+)\.mx\.test", text, re.MULTILINE)[1]))
        return sorted(found)


# ---- MTA-STS

@dataclasses.dataclass
class Policy:
    """What the policy's server says: text (None: 404), or a redirection to a URL."""
    text: str = None
    location: str = None
    type: str = "text/plain"
    status: int = 200


def policy(*mx, mode="enforce", max_age=86400):
    """The text of a policy."""
    return Policy("\r\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {m}" for m in mx), f"max_age: {max_age}", ""]))


class Policies:
    """The servers of all policies: one with a good certificate, one with a certificate for another name. `served`: domain: Policy,
    which a test may change. `asked`: the domains whose policy was asked for."""

    def __init__(self, certs, served):
        self.served, self.asked, self._servers = dict(served), [], []
        certs.leaf("policies", ["cn = policies", "tls_www_server", *(f"dns_name = mta-sts.{d}" for d in sorted(served))])
        for address, cert in ((POLICIES, "policies"), (WRONG_POLICIES, "mx-other-name")):
            self._serve(address, certs, cert)

    def _serve(self, address, certs, cert):
        policies = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                domain = self.headers["Host"].removeprefix("mta-sts.")
                policies.asked.append(domain)
                p = policies.served.get(domain, Policy())
                if self.path != "/.well-known/mta-sts.txt" or (p.text is None and p.location is None):
                    return self.send_error(404)
                self.send_response(302 if p.location else p.status)
                if p.location:
                    self.send_header("Location", p.location)
                self.send_header("Content-Type", p.type)
                self.send_header("Content-Length", str(len(p.text or "")))
                self.end_headers()
                self.wfile.write((p.text or "").encode())

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):  # a client that does not like the certificate goes away
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs.cert(cert), certs.key(cert))
        server = Server((address, 443), Handler)
        # The handshake is the connection's thread's, not the acceptor's.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()


# ---- envoi's own sink, for what Postfix cannot be made to do

class Sink:
    def __init__(self, folder, address, *options, port=25):
        self.errors = folder / f"sink-{address}".replace(":", "_")
        where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.process = subprocess.Popen([client.ENVOI, "sink", f"--listen={where}", "--json", "--verbose", *map(str, options)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors.open("wb"),
                                        env=client.environment(), text=True, preexec_fn=servers.die_with_parent)
        self.said = [json.loads(self.process.stdout.readline() or '{"event": "it ended"}')]
        assert self.said[0]["event"] == "listening", self.errors.read_text()

    def end(self):
        """What it received, as its JSON objects. Ends it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.said += [json.loads(line) for line in self.process.stdout]
        assert self.process.wait(20) == 0, self.errors.read_text()
        return [o for o in self.said if o["event"] == "received"]

    def dialogue(self):
        return self.errors.read_text(errors="replace")


# ---- names

# host in dane.test: what becomes of questions for its TLSA records
TLSA_FAULTS = {"servfail": "servfail", "silent": "silent"}


class Names(dnsbed.Between):
    """Also, "validated": as a resolver that has validated, to the word of which Postfix listens (AD, RFC 4035 3.2.3)."""

    def _validated(self, question, tcp):
        answer = dnsbed.forward(self._behind, question, tcp)
        if not answer:
            return answer
        secure = 0 if ".insecure.test" in dnsbed.question_of(question)[0] else 0x20
        return answer[:2] + struct.pack("!H", struct.unpack_from("!H", answer, 2)[0] | 0x80 | secure) + answer[4:]

    manners = {**dnsbed.Between.manners, "validated": _validated}


def usual_manner(name, kind):
    if kind == "TLSA":
        return TLSA_FAULTS.get(name.removeprefix("_25._tcp.").removesuffix(".dane.test"))
    return None


# ---- all of it

class MxBed:
    """zones: what makes the zones, as DnsBed wants them, from the certificates; policies: domain: Policy. One bed for a file of
    tests; each test begins with fresh(). `dns` is the server with authority, `names` what stands in front of it."""

    def __init__(self, folder, certs, zones, policies):
        self.folder, self.certs, self._zones, self._policies = folder, certs, zones, policies
        self._home = self._here = None
        self._open, self._sinks, self._cases = contextlib.ExitStack(), [], 0

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotHere("network namespaces are made by root only")
        for tool in ("ip", "nft", "unshare", "openssl"):
            if not shutil.which(tool):
                raise NotHere(f"{tool} is not installed")
        servers.unpacked("postfix")
        self._home = net_namespace()
        called(libc.unshare(CLONE_NEWNET), "unshare")
        try:
            self._here = net_namespace()
        finally:
            called(libc.setns(self._home, CLONE_NEWNET), "setns")
        try:
            self._make()
        except subprocess.CalledProcessError as why:
            self.__exit__()
            raise NotHere(str(why)) from why
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self):
        make_certificates(self.certs)
        with self.inside():
            pathlib.Path("/proc/sys/net/ipv6/ip_nonlocal_bind").write_text("1\n")
            for command in ("ip link set lo up", f"ip address add {OURS}/32 dev lo", f"ip -6 route add local {IPV6}/64 dev lo"):
                subprocess.run(command.split(), check=True)
            subprocess.run(["nft", "-f", "-"], input=NFT, text=True, check=True)
            run = self.folder / "postfix"
            run.mkdir()
            self.postfix = Postfix(run, self.certs)
            self._open.callback(self.postfix.stop)
            self.dns = self._open.enter_context(dnsbed.DnsBed(self._zones(self.certs), 53, (AUTHORITY,)))
            self.names = self._open.enter_context(Names(self.dns.server, port=53, address=NAMESERVER))
            self.policies = Policies(self.certs, self._policies)
            self._open.callback(self.policies.stop)
            self.postfix.wait_until_up()

    def __exit__(self, *_):
        with contextlib.suppress(AssertionError):
            self._end_sinks()
        self._open.close()
        for fd in (self._here, self._home):
            if fd is not None:
                os.close(fd)

    def _end_sinks(self):
        sinks, self._sinks = self._sinks, []
        for sink in sinks:
            sink.end()

    @contextlib.contextmanager
    def inside(self):
        """This thread, and what it starts, is in the namespace."""
        called(libc.setns(self._here, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            called(libc.setns(self._home, CLONE_NEWNET), "setns")

    def fresh(self):
        """No cache, no connections so far, no sinks, no policy asked for, all names as they were."""
        self._end_sinks()
        self.postfix.mark()
        self.policies.asked.clear()
        self.policies.served = dict(self._policies)
        self.names.manner = usual_manner
        self.names.asked.clear()
        self._cases += 1
        self.cache = self.folder / f"cache-{self._cases}"
        with self.inside():
            subprocess.run(["nft", "-f", "-"], text=True, check=True,
                           input="flush set inet bed v4\nflush set inet bed v6\nflush set inet bed nobody4\n")

    # at work in it

    def envoi(self, *args, env=None, **more):
        """The command in the namespace, its cache this test's own."""
        with self.inside():
            return client.envoi(*args, env=client.environment(XDG_CACHE_HOME=str(self.cache), **(env or {})), **more)

    def start(self, *args):
        """The same, not waited for: a subprocess.Popen with pipes."""
        with self.inside():
            return subprocess.Popen([client.ENVOI, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    env=client.environment(XDG_CACHE_HOME=str(self.cache)))

    def looking(self):
        """Options of `envoi mx`."""
        return [f"--dns-server={NAMESERVER}", f"--dns-anchor={self.dns.anchor}", f"--tls-trust-file={self.certs.ca}"]

    def options(self):
        """Of `envoi send`. A failure is not looked into: connections are counted."""
        return ["--mx", *self.looking(), "--domain=client.test", f"--from={client.SENDER}", "--diagnose=off"]

    def send(self, *recipients, options=(), **more):
        """A message straight to the exchangers: client.Result, whose report is --json's, and the token."""
        token, text = client.message(**{k: more.pop(k) for k in ("body", "head") if k in more})
        result = self.envoi("send", *self.options(), "--json", *options, "--", *recipients, message=text, **more)
        result.token = token
        return result

    def sink(self, address, *options, port=25):
        with self.inside():
            self._sinks.append(Sink(self.folder, address, *options, port=port))
        return self._sinks[-1]

    def listen(self, address, port=25):
        """A listening socket in the namespace."""
        with self.inside():
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(64)
        return s

    def broken(self, address, behaviour, name="broken.mx.test"):
        """A server of misserver's words at the address: a context manager; lines, connections, verbs()."""
        return misserver.Port(self.listen(address), self.certs, name, behaviour)

    def postfix_says(self, domains):
        """What Postfix as a client thinks of each domain's first exchanger at its level `dane`: {domain: is it authenticated?}"""
        self.names.manner = lambda name, kind: usual_manner(name, kind) or "validated"
        run = self.folder / f"client-{self._cases}"
        run.mkdir()
        etc = servers.make_etc(run, {"resolv.conf": f"nameserver {NAMESERVER}\noptions edns0 trust-ad\n",
                                     "postfix/main.cf": "compatibility_level = 3.6\nsmtp_dns_support_level = dnssec\n"})
        script = 'for d; do echo "domain $d"; posttls-finger -c -l dane -L summary "$d" 2>&1; done'
        with self.inside():
            done = subprocess.run([servers.ENTER, servers.unpacked("postfix"), etc, "sh", "-c", script, "sh", *domains],
                                  capture_output=True, text=True, timeout=60)
        parts = re.split(r"^domain (.*)$", done.stdout, flags=re.MULTILINE)[1:]
        return {d: bool(re.search("(Verified|Trusted) TLS connection", said)) for d, said in zip(parts[::2], parts[1::2])}

    def change(self, zone, lines):
        """A zone has other records."""
        with self.inside():
            self.dns.change(zone, "\n".join(lines))

    def silence(self, *addresses):
        """These hosts do not answer to a connection."""
        with self.inside():
            subprocess.run(["nft", "add", "element", "inet", "bed", "nobody4", f"{{ {', '.join(addresses)} }}"], check=True)

    def connections(self, port=25):
        """Connections that were tried since fresh(): {address: how many}. SYNs of silent hosts count each time."""
        counted = {}
        with self.inside():
            for name in ("v4", "v6"):
                said = subprocess.run(["nft", "-j", "list", "set", "inet", "bed", name], capture_output=True, text=True, check=True)
                for thing in json.loads(said.stdout)["nftables"]:
                    for element in thing.get("set", {}).get("elem", []):
                        address, at_port = element["elem"]["val"]["concat"]
                        if at_port == port:
                            counted[address] = element["elem"]["counter"]["packets"]
        return counted


def fates(result):
    """{address: its object of the report}"""
    return {r["address"]: r for r in result.report["recipients"]}


def deliver(bed, domain, options=(), **more):
    result = bed.send(f"b@{domain}", options=options, **more)
    return result, fates(result)[f"b@{domain}"]


def arrives(bed, domain, pair, host=None, options=(), **more):
    """Delivered, protected so, by that host of Postfix."""
    result, row = deliver(bed, domain, options, **more)
    assert result.status == 0 and row["fate"] == "accepted", result
    assert row["policy"] == pair, row
    if host:
        assert bed.postfix.stored(result.token, 1) == [(f"b@{domain}", host)]
    return result
