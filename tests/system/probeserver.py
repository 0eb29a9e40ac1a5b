"""A server that keeps every octet a client sends, in clear and under TLS, and answers as the case says.

    with ProbeServer(Behaviour(keywords=["STARTTLS"]), context) as server:
        … server.port, server.plain, server.secret (octets), server.facts (what the handshake showed), server.connections …

It shares no code with envoi: one thread for a connection, plain blocking sockets."""

import base64
import contextlib
import dataclasses
import os
import re
import socket
import ssl
import struct
import threading

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # PROXY, version 2
GOOD = {
    b"GREETING": "220 test.example ESMTP", b"HELO": "250 test.example", b"STARTTLS": "220 2.0.0 go ahead", b"XCLIENT": "220 test.example ESMTP",
    b"MAIL": "250 2.1.0 sender ok", b"RCPT": "250 2.1.5 recipient ok", b"DATA": "354 go on", b"DOT": "250 2.0.0 queued as F00D",
    b"AUTH-END": "235 2.7.0 welcome", b"QUIT": "221 2.0.0 bye", b"RSET": "250 2.0.0 reset",
}
CHALLENGES = {b"LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"], b"CRAM-MD5": [base64.b64encode(b"<17.29@test.example>").decode()], b"PLAIN": [""]}


@dataclasses.dataclass
class Behaviour:
    """mode: words of implicit (TLS from the start), lmtp, proxy (a PROXY header stands before the first command),
    early-proxy (a PROXY line stands before TLS), nobody
    (the port is closed). keywords: of EHLO,
    tls_keywords: under TLS (None: the same without STARTTLS). answers: (beginning of the client's line or a stage, reply) in order; of
    several for one beginning each is given once, the last for ever; "close", "hang", "reset" are replies, too, "REPLY close" closes behind
    it. flight: verbs that are read before the first of them is answered."""
    mode: set = dataclasses.field(default_factory=set)
    keywords: list = dataclasses.field(default_factory=list)
    tls_keywords: list = None
    answers: list = dataclasses.field(default_factory=list)
    flight: list = dataclasses.field(default_factory=list)


class Gone(Exception):
    """This connection is over."""


class ProbeServer:
    def __init__(self, behaviour, context, path=None, host="127.0.0.1"):
        self.behaviour, self.context = behaviour, context
        self.plain, self.secret, self.facts, self.connections, self.threads = bytearray(), bytearray(), {}, 0, []
        self.path, self.host = path, host

    def __enter__(self):
        if self.path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(os.fspath(self.path))
            self.port = 0
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
            self.listener.bind((self.host, 0))
            self.port = self.listener.getsockname()[1]
        if "nobody" not in self.behaviour.mode:
            self.listener.listen(8)
            threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        """What a connection has brought is known once its thread has ended."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)

    def _accept(self):
        while True:
            try:
                sock, peer = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if peer:
                self.facts["client"], self.facts["client-port"] = peer[0], str(peer[1])
            self.threads.append(threading.Thread(target=Conversation(self, sock).run, daemon=True))
            self.threads[-1].start()


class Conversation:
    def __init__(self, server, sock):
        self.server, self.behaviour, self.raw, self.sock = server, server.behaviour, sock, sock
        self.answers = [(prefix.upper().encode(), reply) for prefix, reply in server.behaviour.answers]
        self.buffer, self.kept, self.recipients, self.prdr = bytearray(), server.plain, 0, False
        sock.settimeout(20)

    def run(self):
        try:
            self.converse()
        except (Gone, OSError, EOFError):
            pass
        finally:
            for s in {self.sock, self.raw}:
                s.close()

    # octets

    def take(self):
        octets = self.sock.recv(65536)
        if not octets:
            raise Gone
        self.kept += octets
        self.buffer += octets

    def line(self):
        while b"\n" not in self.buffer:
            self.take()
        at = self.buffer.index(b"\n") + 1
        line = bytes(self.buffer[:at]).rstrip(b"\r\n")
        del self.buffer[:at]
        return line

    def raw_line(self):
        """Not an octet more than the line: what follows is the handshake's."""
        while not self.kept.endswith(b"\n"):
            self.kept += self.sock.recv(1)

    def drain(self):
        while True:
            self.take()

    def leave(self):
        """What the client still says to one who has closed counts."""
        self.sock.shutdown(socket.SHUT_WR)
        self.drain()

    # replies

    def reply_to(self, line, stage):
        """The next of the case's answers for this line or stage, or the good one."""
        fits = [i for i, (prefix, _) in enumerate(self.answers) if line.upper().startswith(prefix) or prefix == stage]
        if not fits:
            return None
        reply = self.answers[fits[0]][1]
        if len([i for i in fits if self.answers[i][0] == self.answers[fits[0]][0]]) > 1:
            del self.answers[fits[0]]
        return reply

    def say(self, line, stage, good=None):
        """The reply's first digit, if it is a good one."""
        reply = self.reply_to(line, stage) or good or GOOD[stage]
        if reply == "hang":
            self.drain()
        if reply == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone
        if reply == "close":
            self.leave()
        text = reply.removesuffix(" close")
        self.sock.sendall(text.replace("\\n", "\r\n").encode() + b"\r\n")
        if text != reply:
            self.leave()
        return text[0] if text[0] in "23" else ""

    def handshake(self):
        def named(sock, name, context):
            self.server.facts["sni"] = name
        self.server.context.sni_callback = named
        self.sock = self.server.context.wrap_socket(self.raw, server_side=True)
        self.kept = self.server.secret
        self.server.facts["version"] = self.sock.version()
        self.server.facts["cipher"] = (self.sock.cipher() or [""])[0]
        peer = self.sock.getpeercert() or {}
        self.server.facts["certificate"] = "".join(v for rdn in peer.get("subject", ()) for k, v in rdn if k == "commonName")

    # the dialogue

    def converse(self):
        if "early-proxy" in self.behaviour.mode:
            self.raw_line()
        if "implicit" in self.behaviour.mode:
            self.handshake()
        self.say(b"", b"GREETING")
        if "proxy" in self.behaviour.mode:
            self.header()
        while True:
            for line in self.flight(self.line()):
                verb = line.split(b" ")[0].upper()
                getattr(self, "do_" + verb.decode("latin-1").lower(), self.unknown)(line)

    def header(self):
        """PROXY before the first command: version 1 is a line; version 2 ends wherever a command begins, for a wrong length is a finding, too."""
        while len(self.buffer) < len(SIGNATURE):
            self.take()
        if not self.buffer.startswith(SIGNATURE):
            self.line()
            return
        while not (command := re.search(rb"(EHLO|LHLO|HELO|QUIT)( .*)?\r\n", self.buffer[len(SIGNATURE):])):
            self.take()
        del self.buffer[:len(SIGNATURE) + command.start()]

    def flight(self, line):
        lines, verbs = [line], [line.split(b" ")[0].upper().decode("latin-1")]
        want = self.behaviour.flight
        while verbs == want[:len(verbs)] and len(verbs) < len(want):
            lines.append(self.line())
            verbs.append(lines[-1].split(b" ")[0].upper().decode("latin-1"))
        return lines

    def unknown(self, line):
        self.sock.sendall(b"500 5.5.2 what\r\n")

    def do_ehlo(self, line):
        keywords = self.behaviour.keywords
        if self.sock is not self.raw:
            keywords = [k for k in keywords if k != "STARTTLS"] if self.behaviour.tls_keywords is None else self.behaviour.tls_keywords
        lines = ["test.example", *keywords]
        self.say(line, b"EHLO", "\\n".join(f"250{'-' if i + 1 < len(lines) else ' '}{text}" for i, text in enumerate(lines)))

    do_lhlo = do_ehlo

    def do_helo(self, line):
        self.say(line, b"HELO")

    def do_starttls(self, line):
        if self.say(line, b"STARTTLS"):
            self.handshake()

    def do_xclient(self, line):
        self.say(line, b"XCLIENT")

    def do_auth(self, line):
        words = line.split()
        challenges = CHALLENGES.get(words[1].upper(), [])[max(0, len(words) - 2):]
        if (reply := self.reply_to(line, b"AUTH")) and reply != "go":
            self.answers.insert(0, (b"AUTH-END", reply))
            challenges = []
        for text in challenges:
            self.sock.sendall(f"334 {text}\r\n".encode())
            if self.line() == b"*":
                self.sock.sendall(b"501 5.7.0 cancelled\r\n")
                return
        self.say(b"", b"AUTH-END")

    def do_mail(self, line):
        self.recipients = 0
        self.prdr = b" PRDR" in line.upper()
        self.say(line, b"MAIL")

    def do_rcpt(self, line):
        self.recipients += bool(self.say(line, b"RCPT"))

    def do_data(self, line):
        if self.say(line, b"DATA", None if self.recipients else "554 5.5.1 no valid recipients"):
            while self.line() != b".":
                pass
            self.message_done()

    def message_done(self):
        if "lmtp" not in self.behaviour.mode and not self.prdr:
            self.say(b"", b"DOT")
            return
        if self.prdr:
            each = self.say(b"", b"PRDR", "353 5.0.0 each for itself")
            if not each or each == "2":
                return
        for _ in range(self.recipients):
            self.say(b"", b"DOT")
        if self.prdr:
            self.say(b"", b"PRDR-END", "250 2.0.0 queued as F00D")

    def do_rset(self, line):
        self.say(line, b"RSET")

    def do_quit(self, line):
        self.say(line, b"QUIT")
        raise Gone


def context(certs):
    """Certificates of clients are asked for, not required."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certs.cert("server"), certs.key("server"))
    made.load_verify_locations(certs.ca)
    made.verify_mode = ssl.CERT_OPTIONAL
    return made
