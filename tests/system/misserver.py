"""Servers as networks and their owners make them: healthy, masked, stripped, in the wrong place, silent, badly certified.

    with MisServer(bed.listen, certs, {25: "starttls", 587: "starttls expired", 465: "implicit", 443: "https"}) as server:
        … server[25].connections, server[587].lines …

`listen(port)` makes the sockets, as Bed.listen does. A behaviour is words of WORDS, "delay=SECONDS" among them; faultserver.py
holds the dialogue."""

import datetime
import functools
import ssl
import threading
import warnings

from certs import LONG_AGO, YESTERDAY
from faultserver import Conversation, FaultServer, Gone, reset

NAME = "mail.example"
IN_A_WEEK, NEXT_YEAR = ((datetime.datetime.utcnow() + datetime.timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S UTC")
                        for days in (7, 365))

# word: lines of the certificate besides its names; names (None: the server's); issuer
CERTIFICATES = {
    "good": ([], None, "ca"),
    "expired": ([f'activation_date = "{LONG_AGO}"', f'expiration_date = "{YESTERDAY}"'], None, "ca"),
    "not-yet-valid": ([f'activation_date = "{IN_A_WEEK}"', f'expiration_date = "{NEXT_YEAR}"'], None, "ca"),
    "wrong-name": ([], ["other.example"], "ca"),
    "unknown-issuer": ([], None, "other-ca"),
    "self-signed": ([], None, None),
    "scanner": ([], None, "avast"),
    "fat": ([f"dns_name = {i:02}.a-name-to-fill-a-certificate.example" for i in range(60)], None, "ca"),
}

# ---- what a connection meets instead of a server for mail


def hold(conn):
    conn.hold()


def close(conn):
    raise Gone


def resets(conn):
    reset(conn, b"")


def http(conn):
    """A web server, or a captive portal: speaks when spoken to, and does not understand."""
    conn.take(1)
    conn.send(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def http_first(conn):
    """A portal that does not wait for a request."""
    conn.send(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    raise Gone


def https(conn):
    with conn.server.tls.wrap_socket(conn.sock, server_side=True) as s:
        s.recv(4096)
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def ssh(conn):
    conn.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
    conn.hold()


def blocked(conn):
    """Refuses this client's address by word."""
    conn.send(b"554 5.7.1 Service unavailable; Client host [192.0.2.2] blocked using zen.spamhaus.org\r\n")
    raise Gone


def busy(conn):
    """Refuses for now."""
    conn.send(b"421 4.3.2 too many connections, try again later\r\n")
    raise Gone


# ---- words

INSTEAD = {"silent": hold, "close": close, "reset": resets, "http": http, "http-first": http_first, "https": https, "ssh": ssh,
           "blocked": blocked, "busy": busy}
WORDS = {
    "starttls": "STARTTLS offered, AUTH under TLS: as on 25 and 587",
    "implicit": "TLS from the start: as on 465; on another port: TLS on the plain port",
    "no-tls": "neither: AUTH in clear",
    "banner-masked": "asterisks in place of the greeting, as Cisco's inspection leaves it",
    "starttls-masked": "XXXXXXXA in place of STARTTLS, and the command is not known",
    "starttls-removed": "the keyword is taken out on the way, and the command is not known",
    "hang": "nothing comes after ClientHello",
    "cut": "the connection is reset after ClientHello, as by who reads the name in it",
    "mute": "no answer to EHLO",
    "hangs-up": "closes instead of answering EHLO",
    "old-tls": "TLS 1.0 and 1.1 only",
    "tarpit": "each reply line only after a second, each octet of it 0.05 s after the last",
    "no-auth": "AUTH is not offered",
    "delay=": "the greeting comes after so many seconds",
    **{word: "a certificate of that kind; fat: more than two packets of it" for word in CERTIFICATES},
    **{word: (f.__doc__ or word).strip() for word, f in INSTEAD.items()},
}


class Words(frozenset):
    """A behaviour taken apart."""

    def __new__(cls, text):
        words = super().__new__(cls, text.split())
        unknown = [w for w in words if w not in WORDS and not w.startswith("delay=")]
        if unknown:
            raise ValueError(f"no such behaviour: {unknown}")
        return words

    @property
    def delay(self):
        return next((float(w.removeprefix("delay=")) for w in self if w.startswith("delay=")), 0)

    def one_of(self, table, default=None):
        return next((w for w in self if w in table), default)


def context(certs, name, kind):
    """The TLS side of a server of that name, with a certificate of that kind. One at a time: several threads may want it."""
    with making:
        return make_context(certs, name, kind)


making = threading.Lock()


@functools.lru_cache(maxsize=None)
def make_context(certs, name, kind):
    lines, names, issuer = CERTIFICATES["good" if kind == "old-tls" else kind]
    names = names or [name]
    leaf = f"{kind}.{name}"
    certs.leaf(leaf, [f"cn = {names[0]}", *(f"dns_name = {n}" for n in names), "tls_www_server", *lines], issuer)
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(certs.cert(leaf), certs.key(leaf))
    if kind == "old-tls":
        with warnings.catch_warnings(action="ignore"):
            c.minimum_version, c.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        c.set_ciphers("ALL:@SECLEVEL=0")
    return c


class Port(FaultServer):
    """One port. What is known of it afterwards is FaultServer's: lines, connections, verbs()."""

    def __init__(self, listener, certs, name, behaviour):
        self.words, self.name = Words(behaviour), name
        has_tls = self.words & {"starttls", "implicit", "https", "starttls-masked", "starttls-removed", "hang"}
        kind = "old-tls" if "old-tls" in self.words else self.words.one_of(CERTIFICATES, "good")
        tls = context(certs, name, kind) if has_tls else None
        super().__init__(tls=tls, implicit="implicit" in self.words, auth="no-auth" not in self.words)
        self.listener = listener

    def conversation(self, sock):
        return Talk(self, sock)

    def __enter__(self):
        return self._begin()

    def __exit__(self, *_):
        try:
            super().__exit__()
        except OSError:  # the bed has closed its sockets before
            pass


class Talk(Conversation):
    @property
    def words(self):
        return self.server.words

    def converse(self):
        if self.server.over.wait(self.words.delay):
            raise Gone
        instead = self.words.one_of(INSTEAD)
        if instead:
            return INSTEAD[instead](self)
        super().converse()

    def handshake(self):
        if "hang" in self.words:
            self.take(1)
            self.hold()
        if "cut" in self.words:
            self.take(1)
            reset(self, b"")
        super().handshake()

    def reply(self, stage, good):
        good = good.replace(b"fault.example", self.server.name.encode())
        if stage == "greeting" and "banner-masked" in self.words:
            good = b"220 " + b"*" * (len(good) - 6) + b"\r\n"
        if stage == "ehlo" and "mute" in self.words:
            self.hold()
        if stage == "ehlo" and "hangs-up" in self.words:
            raise Gone
        if stage == "ehlo":
            good = self.rubbed_out(good)
        return super().reply(stage, good)

    def rubbed_out(self, reply):
        if "starttls-masked" in self.words:
            return reply.replace(b"STARTTLS", b"XXXXXXXA")
        if "starttls-removed" not in self.words:
            return reply
        lines = [line[4:] for line in reply.splitlines() if line[4:] != b"STARTTLS"]
        return b"".join(b"250" + (b"-" if i + 1 < len(lines) else b" ") + line + b"\r\n" for i, line in enumerate(lines))

    def do_starttls(self, line):
        if self.words & {"starttls-masked", "starttls-removed", "no-tls"}:
            return self.unknown(line)
        super().do_starttls(line)

    def send(self, octets):
        if "tarpit" not in self.words or self.tls_up:
            return super().send(octets)
        for line in octets.splitlines(keepends=True):
            if self.server.over.wait(1):
                raise Gone
            for octet in line:
                super().send(bytes([octet]))
                if self.server.over.wait(0.05):
                    raise Gone


class MisServer:
    """One host: ports and their behaviours."""

    def __init__(self, listen, certs, ports, name=NAME):
        self.ports = {port: Port(listen(port), certs, name, behaviour) for port, behaviour in ports.items()}

    def __getitem__(self, port):
        return self.ports[port]

    def __enter__(self):
        for port in self.ports.values():
            port.__enter__()
        return self

    def __exit__(self, *_):
        for port in self.ports.values():
            port.__exit__()


HEALTHY = {25: "starttls no-auth", 465: "implicit", 587: "starttls", 443: "https"}
