"""A DNS of its own on loopback: nsd answers with authority for a signed root and the zones that a test wants, each secure,
insecure or spoilt; a validating resolver is told the root's key (`anchor`) and the server's address (`server`). In front of it may
stand one that keeps to no standard. nsd and ldns's signer are unpacked by tests/servers/fetch.

    with DnsBed({"example.test": "@ MX 10 mx", "plain.test": ("unsigned", "@ MX 10 mx.example.test.")}) as bed:
        envoi("--dns-server", bed.server, "--dns-anchor", bed.anchor)

The thread that makes a bed makes it in its network namespace (`with networks.inside("server"): DnsBed(…, port=53)`)."""

import base64
import contextlib
import ctypes
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from servers import UNPACKED, NotHere

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43, "RRSIG": 46,
         "DNSKEY": 48, "TLSA": 52}
NAMES = {number: kind for kind, number in TYPES.items()}
NOERROR, SERVFAIL, REFUSED = 0, 2, 5
DAY = 86400

# What a zone may be; "bogus:WORD,…" spoils only signatures of these types or owners ("bogus:TLSA", "bogus:mx.example.test").
STATES = {
    "signed": "secure from the root on",
    "unsigned": "insecure: the parent has no DS, which is proved",
    "island": "signed, but insecure: the parent has no DS",
    "bogus": "signatures are spoilt, other than the one of its keys",
    "expired": "signatures were good until ten days ago (a resolver forgives a day)",
    "wrong-ds": "the parent's DS is of another key",
    "broken": "the server cannot read it: SERVFAIL",
}

CONFIG = """server:
  {addresses}
  port: {port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  pidfile: "{dir}/pid"
  xfrdfile: "{dir}/xfrd"
  zonelistfile: "{dir}/zonelist"
  database: ""
  server-count: 1
  tcp-count: 250
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  zonefiles-check: yes
remote-control:
  control-enable: no
"""


def tlsa(certificate, usage=3, selector=1, matching=1):
    """The data of a TLSA record for a certificate in a PEM file: "3 1 1 9f86…"."""
    if selector == 0:
        octets = ssl.PEM_cert_to_DER_cert(pathlib.Path(certificate).read_text())
    else:
        octets = subprocess.run(["certtool", "--pubkey-info", "--load-certificate", certificate, "--outder"], check=True,
                                capture_output=True).stdout
    made = [octets.hex, hashlib.sha256(octets).hexdigest, hashlib.sha512(octets).hexdigest][matching]()
    return f"{usage} {selector} {matching} {made}"


def absolute(name):
    return name.lower().rstrip(".") + "."


def parent(name, zones):
    """The zone that delegates it."""
    above = name
    while above != ".":
        above = above.partition(".")[2] or "."
        if above in zones:
            return above
    return None


def end_with_parent():
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


class DnsBed:
    """zones: name: records as in a zone file (below $ORIGIN, with a $TTL; SOA and NS are there), or (state of STATES, records).
    The root may be given, too. addresses: where it answers; port 0: a free one."""

    def __init__(self, zones, port=0, addresses=("127.0.0.1",)):
        self.zones = {".": ("signed", "")}
        self.zones.update({absolute(name): self._state(value) for name, value in zones.items()})
        self.addresses, self.port, self._dir, self._process, self._keys = addresses, port, None, None, {}
        self._serial = 1

    # made and removed

    def __enter__(self):
        for name in ("nsd", "ldnsutils"):
            if not (UNPACKED / name / "complete").exists():
                raise NotHere(f"{name} is not unpacked in {UNPACKED}")
        self._dir = pathlib.Path(tempfile.mkdtemp(prefix="envoi-dns-"))
        try:
            for name in self.zones:
                self._make_key(name)
            for name in self.zones:
                self._write(name)
            (self._dir / "anchor").write_text(self._keys["."][1])
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._stop()
        if self._dir:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def _stop(self):
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # a group of its own: nsd is several processes
            self._process.wait()
            self._process = None

    def _start(self):
        for last in (False, False, True):  # somebody else may take the port before nsd does
            port = self.port or free_port(self.addresses)
            addresses = "\n  ".join(f"ip-address: {a}" for a in self.addresses)
            config = CONFIG.format(addresses=addresses, port=port, dir=self._dir)
            config += "".join(f'zone:\n  name: "{name}"\n  zonefile: "{self._file(name)}"\n' for name in self.zones)
            (self._dir / "nsd.conf").write_text(config)
            with open(self._dir / "log", "ab") as log:
                self._process = subprocess.Popen([UNPACKED / "nsd/usr/sbin/nsd", "-d", "-c", self._dir / "nsd.conf"],
                                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_parent)
            host = self.addresses[0]
            self.server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            if self._wait(lambda: self._serial_of(".") is not None):
                return
            self._stop()
            if last:
                raise NotHere("nsd does not come up:\n" + (self._dir / "log").read_text(errors="replace"))

    def _wait(self, condition, timeout=10):
        end = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < end:
            if condition():
                return True
            time.sleep(0.01)
        return False

    # its zones

    @staticmethod
    def _state(value):
        state, text = ("signed", value) if isinstance(value, str) else value
        assert state.partition(":")[0] in STATES, state
        return state, text

    @property
    def anchor(self):
        """A file with the root's key, as `dns_anchor` wants it."""
        return self._dir / "anchor"

    def wrong_anchor(self):
        """A file with the key of another root."""
        path = self._dir / "wrong-anchor"
        path.write_text(self._key(".", "other")[1])
        return path

    def change(self, name, value):
        """A zone has other records, or another state (its key stays: to and from "unsigned" needs a new bed)."""
        name = absolute(name)
        self.zones[name] = self._state(value)
        self._serial += 1
        self._write(name)
        self._process.send_signal(signal.SIGHUP)
        if not self._wait(lambda: self._serial_of(name) == self._serial or self.zones[name][0] == "broken"):
            raise RuntimeError(f"nsd does not read '{name}' again:\n" + (self._dir / "log").read_text(errors="replace"))

    def _file(self, name):
        return f"{name.rstrip('.') or 'root'}.zone"

    def _run(self, tool, *arguments):
        return subprocess.run([UNPACKED / "ldnsutils/usr/bin" / tool, *map(str, arguments)], cwd=self._dir, check=True,
                              capture_output=True, text=True).stdout

    def _key(self, name, folder=""):
        """The base name of a new key's files, and its DS record."""
        place = self._dir / folder
        place.mkdir(exist_ok=True)
        base = subprocess.run([UNPACKED / "ldnsutils/usr/bin/ldns-keygen", "-k", "-a", "ECDSAP256SHA256", name], cwd=place,
                              check=True, capture_output=True, text=True).stdout.strip()
        return place / base, (place / f"{base}.ds").read_text()

    def _make_key(self, name):
        if self.zones[name][0] not in ("unsigned", "broken"):
            self._keys[name] = self._key(name)

    def _delegations(self, name):
        for child, (state, _) in self.zones.items():
            if child == name or parent(child, self.zones) != name:
                continue
            yield f"{child} NS ns."
            if state == "wrong-ds":
                yield self._key(child, "other")[1]
            elif child in self._keys and state != "island":
                yield self._keys[child][1]

    def _write(self, name):
        state, records = self.zones[name]
        path = self._dir / self._file(name)
        if state == "broken":
            path.write_text("@ this is no record\n")
            return
        hosts = [f"ns. {'AAAA' if ':' in a else 'A'} {a}" for a in self.addresses] if name == "." else []
        plain = path.with_suffix(".plain")
        plain.write_text("\n".join([
            f"$ORIGIN {name}", "$TTL 300", f"@ SOA ns. hostmaster. {self._serial} 3600 900 864000 60", "@ NS ns.", *hosts,
            *self._delegations(name), f"$ORIGIN {name}", records, ""]))
        if name not in self._keys:
            shutil.copyfile(plain, path)
            return
        end = time.time() - 10 * DAY if state == "expired" else time.time() + 30 * DAY
        self._run("ldns-signzone", "-i", int(end - 60 * DAY), "-e", int(end), "-o", name, "-f", path, plain, self._keys[name][0])
        if state.startswith("bogus"):
            words = {w.upper() for w in state.partition(":")[2].split(",") if w}
            path.write_text("".join(map(lambda line: spoilt(line, words), path.read_text().splitlines(keepends=True))))

    def _serial_of(self, name):
        """That is answered now; None: there is no answer."""
        answer = ask(self.server, name, "SOA", timeout=0.2)
        if not answer or struct.unpack_from("!H", answer, 6)[0] != 1:
            return None
        return struct.unpack_from("!I", answer, answer_end(answer) - 20)[0]


def spoilt(line, words):
    """A line of a signed zone, with the signature changed where it is one of those meant."""
    fields = line.split()
    if len(fields) < 5 or fields[3] != "RRSIG":
        return line
    owner, kind = fields[0].upper().rstrip("."), fields[4]
    if not ({owner, kind, f"{owner}/{kind}"} & words if words else kind not in ("DNSKEY", "SOA")):
        return line
    signature = bytearray(base64.b64decode(fields[-1]))
    signature[-1] ^= 1
    return line.replace(fields[-1], base64.b64encode(signature).decode())


# questions and answers (RFC 1035 4.1)

def free_port(addresses=("127.0.0.1",)):
    """A port that was free for UDP and TCP a moment ago."""
    while True:
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            port = 0
            for address in addresses:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    s = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind))
                    s.bind((address, port))
                    port = s.getsockname()[1]
            return port


def place(server):
    """(family, (address, port)) of "127.0.0.1:5353"."""
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))


def encoded(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def question_of(message):
    """(name, type, where the question ends)."""
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1").lower())
        at += 1 + message[at]
    number = struct.unpack_from("!H", message, at + 1)[0]
    return ".".join(labels), NAMES.get(number, f"TYPE{number}"), at + 5


def answer_end(message):
    """Where the first record of the answer ends."""
    at = question_of(message)[2]
    while message[at] and message[at] < 0xc0:
        at += 1 + message[at]
    at += 2 if message[at] else 1
    return at + 10 + struct.unpack_from("!H", message, at + 8)[0]


def reply(question, code, truncated=False):
    """An answer without records."""
    end = question_of(question)[2]
    return question[:2] + struct.pack("!HHHHH", 0x8180 | code | (0x200 if truncated else 0), 1, 0, 0, 0) + question[12:end]


def without_edns(question):
    """As from somebody who has never heard of DNSSEC: no DO, no AD, no CD."""
    end = question_of(question)[2]
    flags = struct.unpack_from("!H", question, 2)[0] & ~0x30
    return question[:2] + struct.pack("!HHHHH", flags, 1, 0, 0, 0) + question[12:end]


def ask(server, name, kind, tcp=False, timeout=2.0):
    """One question: the octets of the answer, or None."""
    question = struct.pack("!HHHHHH", 4711, 0x100, 1, 0, 0, 0) + encoded(name) + struct.pack("!HH", TYPES[kind], 1)
    return forward(server, question, tcp, timeout)


def forward(server, question, tcp, timeout=5.0):
    family, address = place(server)
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s, contextlib.suppress(OSError, struct.error):
        s.settimeout(timeout)
        s.connect(address)
        if not tcp:
            s.send(question)
            return s.recv(65535)
        s.sendall(struct.pack("!H", len(question)) + question)
        with s.makefile("rb") as f:
            return f.read(struct.unpack("!H", f.read(2))[0])
    return None


class Between:
    """A name server that passes questions on to `server` and does with them as `manner` says: a word of `manners`, or a function
    of name and type that returns one. Both may change while it runs; `asked` holds (name, type) of every question."""

    def __init__(self, server="", manner="pass", port=0, address="127.0.0.1"):
        self.manner, self.asked, self._behind = manner, [], server
        while not (sockets := self._bound(address, port)):
            pass
        self._sockets = sockets
        port = sockets[0].getsockname()[1]
        self.server = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    @staticmethod
    def _bound(address, port):
        """A socket for datagrams and one for connections, on one port. None: the one that the system chose is taken for connections."""
        sockets = []
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            sockets.append(s)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((address, port or sockets[0].getsockname()[1]))
            except OSError:
                for each in sockets:
                    each.close()
                if port:
                    raise
                return None
        return sockets

    def __enter__(self):
        datagrams, connections = self._sockets
        connections.listen(16)
        for s, serve in ((datagrams, self._datagrams), (connections, self._connections)):
            threading.Thread(target=serve, args=(s,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for s in self._sockets:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _pass(self, question, tcp):
        return forward(self._behind, question, tcp)

    def _silent(self, question, tcp):
        return None

    def _servfail(self, question, tcp):
        return reply(question, SERVFAIL)

    def _refused(self, question, tcp):
        return reply(question, REFUSED)

    def _truncate(self, question, tcp):
        return forward(self._behind, question, tcp) if tcp else reply(question, NOERROR, truncated=True)

    def _only_truncated(self, question, tcp):
        return reply(question, NOERROR, truncated=True)

    def _strip(self, question, tcp):
        """An old name server: it knows nothing of DNSSEC's records."""
        if question_of(question)[1] in ("DNSKEY", "DS", "RRSIG"):
            return reply(question, NOERROR)
        return forward(self._behind, without_edns(question), tcp)

    def _unsigned(self, question, tcp):
        """It passes on questions for any record, but not the wish for signatures."""
        return forward(self._behind, without_edns(question), tcp)

    def _garbage(self, question, tcp):
        return question[:2] + b"\x81\x80" + b"\xff" * 40

    manners = {"pass": _pass, "silent": _silent, "servfail": _servfail, "refused": _refused, "truncate": _truncate,
               "only-truncated": _only_truncated, "strip": _strip, "unsigned": _unsigned, "garbage": _garbage}

    def _answer(self, question, tcp):
        name, kind, _ = question_of(question)
        self.asked.append((name, kind))
        manner = self.manner(name, kind) if callable(self.manner) else self.manner
        return self.manners[manner or "pass"](self, question, tcp)

    def _datagrams(self, s):
        with contextlib.suppress(OSError):
            while True:
                question, peer = s.recvfrom(65535)
                if not question:
                    return
                answer = None
                with contextlib.suppress(IndexError, struct.error):
                    answer = self._answer(question, False)
                if answer:
                    s.sendto(answer, peer)

    def _connections(self, s):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = s.accept()
                threading.Thread(target=self._connection, args=(connection,), daemon=True).start()

    def _connection(self, s):
        with s, s.makefile("rb") as f, contextlib.suppress(OSError, struct.error, IndexError):
            s.settimeout(30)
            while answer := self._answer(f.read(struct.unpack("!H", f.read(2))[0]), True):
                s.sendall(struct.pack("!H", len(answer)) + answer)
            f.read(1)
