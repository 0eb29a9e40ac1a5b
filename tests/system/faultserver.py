"""An SMTP server that goes wrong at one stage in one way, and otherwise does what it should.

    with FaultServer(stage="rcpt", fault="close", tls=context, auth=True) as server:
        … server.port, server.lines (what the client said), server.data (the raw octets of the message), server.accepted …

It shares no code with envoi: one thread for a connection, plain blocking sockets."""

import socket
import ssl
import struct
import threading
import time

STAGES = ("greeting", "ehlo", "starttls", "handshake", "ehlo2", "auth", "mail", "rcpt", "data", "body", "dot", "quit")


class Gone(Exception):
    """This connection is over."""


def close(conn, good):
    raise Gone


def reset(conn, good):
    conn.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Gone


def silence(conn, good):
    conn.hold()


def slow(conn, good):
    """One octet a second for ever."""
    for octet in b"250-" + b"x" * 1000:
        conn.send(bytes([octet]))
        if conn.closed_within(1):
            raise Gone


def drip(conn, good):
    for i in range(len(good)):
        conn.send(good[i:i + 1])
        time.sleep(0.0005)  # so that each is a segment of its own


def endless(conn, good):
    while True:
        conn.send(b"250-and another one\r\n" * 100)


def says(text, then_close=False):
    def fault(conn, good):
        conn.send(text)
        if then_close:
            raise Gone
    return fault


PERMANENT = {"auth": b"535 5.7.8", "rcpt": b"550 5.1.1", "ehlo": b"502 5.5.1", "ehlo2": b"502 5.5.1"}


def permanent(conn, good):
    conn.send(PERMANENT.get(conn.stage, b"554 5.7.1") + b" fault says no\r\n")


def nul(conn, good):
    conn.send(good[:-2] + b" \0\0nul\0\r\n")


FAULTS = {
    "close": close,
    "reset": reset,
    "silence": silence,
    "421": says(b"421 4.3.2 fault closes\r\n", then_close=True),
    "4xx": says(b"451 4.3.0 fault says later\r\n"),
    "5xx": permanent,
    "garbage": says(b"lorem ipsum dolor sit amet\r\n"),
    "binary": says(bytes(range(128, 256)) * 4 + b"\r\n\r\n" + bytes(range(0, 128)) * 4 + b"\r\n"),
    "long-line": says(b"250 " + b"x" * 300_000 + b"\r\n"),
    "endless": endless,
    "drip": drip,
    "slow": slow,
    "nul": nul,
    "mixed": says(b"250-one thing\r\n550 another thing\r\n"),
    "lf": lambda conn, good: conn.send(good.replace(b"\r\n", b"\n")),
}

# While the message comes in there is no good reply to spoil: these go wrong in their own way.


def reads_by_octet(conn, good):
    for _ in range(3000):
        conn.take(1)


def reads_slowly(conn, good):
    while not conn.closed_within(1, watch=False):
        conn.take(1)


BODY_FAULTS = {
    "drip": reads_by_octet,
    "slow": reads_slowly,
    "nul": says(b"\0\0\0\0\r\n"),
    "lf": says(b"250 far too early\n"),
}


class FaultServer:
    """extensions: EHLO lines; tls: an SSLContext offers STARTTLS; implicit: TLS from the start; tricks: replies by stage,
    sent as they are instead of the good ones."""

    def __init__(self, stage=None, fault=None, tls=None, implicit=False, auth=False, extensions=("PIPELINING", "8BITMIME",
                 "ENHANCEDSTATUSCODES"), helo_only=False, tricks=None, refused=(), lmtp=False):
        self.stage, self.fault, self.tls, self.implicit, self.auth = stage, fault, tls, implicit, auth
        self.extensions, self.helo_only, self.tricks, self.refused = extensions, helo_only, tricks or {}, refused
        self.lmtp = lmtp
        self.lines, self.data, self.accepted, self.connections = [], [], 0, 0

    mechanisms = "PLAIN LOGIN"

    def conversation(self, sock):
        return Conversation(self, sock)

    def __enter__(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        return self._begin()

    def _begin(self):
        self.port = self.listener.getsockname()[1]
        self.over, self.threads = threading.Event(), []
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()
        return self

    def __exit__(self, *_):
        """What a connection has brought is known once its thread has ended."""
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join(10)  # or a thread that was just started may not be in the list yet
        for thread in self.threads:
            thread.join(10)

    def verbs(self):
        return [line.split(b" ")[0].upper().decode("latin-1") for line in self.lines]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self.conversation(sock).run, daemon=True)
            thread.start()
            self.threads.append(thread)


class Conversation:
    def __init__(self, server, sock):
        self.server, self.raw, self.sock = server, sock, sock
        self.buffer, self.tls_up, self.stage, self.recipients = bytearray(), False, None, 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(60)

    def run(self):
        try:
            self.converse()
        except (Gone, OSError, ssl.SSLError, EOFError):
            pass
        finally:
            for s in {self.sock, self.raw}:
                s.close()

    # octets

    def send(self, octets):
        self.sock.sendall(octets)

    def take(self, n):
        data = self.sock.recv(n)
        if not data:
            raise Gone
        self.buffer += data

    def line(self):
        while b"\n" not in self.buffer:
            self.take(65536)
        line = self.cut(self.buffer.index(b"\n") + 1).rstrip(b"\n").rstrip(b"\r")
        self.server.lines.append(line)
        return line

    def cut(self, n):
        head = bytes(self.buffer[:n])
        del self.buffer[:n]
        return head

    def closed_within(self, seconds, watch=True):
        """Has the peer closed, or the test ended? Octets that come are dropped (not when watch is off)."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.server.over.is_set():
                return True
            if not watch:
                time.sleep(min(left, 0.1))
                continue
            self.sock.settimeout(min(left, 0.2))
            try:
                if not self.sock.recv(65536):
                    return True
            except TimeoutError:
                pass
            finally:
                self.sock.settimeout(60)
        return False

    def hold(self):
        while not self.server.over.wait(0.1):
            pass
        raise Gone

    def reply(self, stage, good):
        """The good reply, or what the test wants instead. True: the good one was given."""
        self.stage = stage
        if stage in self.server.tricks:
            self.send(self.server.tricks[stage])
        elif stage == self.server.stage:
            FAULTS[self.server.fault](self, good)
        else:
            self.send(good)
            return True
        return self.server.fault in ("drip", "lf", "nul")

    # the dialogue

    def converse(self):
        if self.server.implicit:
            self.handshake()
        self.reply("greeting", b"220 fault.example ESMTP\r\n")
        while True:
            line = self.line()
            verb = line.split(b" ")[0].upper().decode("latin-1")
            getattr(self, "do_" + verb.lower(), self.unknown)(line)

    def unknown(self, line):
        self.send(b"500 5.5.2 what\r\n")

    def do_ehlo(self, line):
        if self.server.helo_only:
            return self.send(b"502 5.5.1 what\r\n")
        lines = ["fault.example", *self.server.extensions]
        if self.server.tls and not self.tls_up:
            lines.append("STARTTLS")
        if self.server.auth and (self.tls_up or not self.server.tls):
            lines.append(f"AUTH {self.server.mechanisms}")
        good = "".join(f"250{'-' if i + 1 < len(lines) else ' '}{text}\r\n" for i, text in enumerate(lines)).encode()
        self.reply("ehlo2" if self.tls_up else "ehlo", good)

    do_lhlo = do_ehlo

    def do_helo(self, line):
        self.send(b"250 fault.example\r\n")

    def do_starttls(self, line):
        if self.reply("starttls", b"220 2.0.0 go ahead\r\n"):
            self.handshake()

    def handshake(self):
        self.stage = "handshake"
        if self.server.stage == "handshake":
            if self.server.fault != "drip":
                if self.server.fault in ("nul", "lf"):
                    self.send({"nul": b"\0" * 64, "lf": b"220 hello\n"}[self.server.fault])
                else:
                    FAULTS[self.server.fault](self, b"")
                self.hold()
            self.raw = self.sock = by_octet(self.sock)
        self.sock = self.server.tls.wrap_socket(self.sock, server_side=True)
        self.tls_up = True
        self.buffer.clear()

    def do_auth(self, line):
        self.reply("auth", b"235 2.7.0 welcome\r\n")

    def do_mail(self, line):
        self.reply("mail", b"250 2.1.0 sender fine\r\n")

    def do_rcpt(self, line):
        if any(r.encode() in line for r in self.server.refused):
            return self.send(b"550 5.1.1 no such user here\r\n")
        self.recipients += self.reply("rcpt", b"250 2.1.5 recipient fine\r\n")

    def do_data(self, line):
        if not self.recipients:
            return self.send(b"554 5.5.1 no valid recipients\r\n")
        if not self.reply("data", b"354 go on\r\n"):
            return
        early = self.server.stage == "body"
        if early:
            self.stage = "body"
            self.take(1)
            BODY_FAULTS.get(self.server.fault, FAULTS[self.server.fault])(self, b"")
        self.server.data.append(self.cut(self.end_of_data()))
        if not early or self.server.fault == "drip":
            self.message_done()

    def end_of_data(self):
        """Only the strict end counts; the rest of the buffer may be the next command."""
        seen = 0
        while (at := self.buffer.find(b"\r\n.\r\n", seen)) < 0:
            seen = max(0, len(self.buffer) - 4)
            self.take(65536)
        return at + 5

    def message_done(self):
        for _ in range(self.recipients if self.server.lmtp else 1):
            self.server.accepted += self.reply("dot", b"250 2.0.0 Ok: queued as F00D\r\n")
        self.recipients = 0

    def do_bdat(self, line):
        words = line.split()
        size = int(words[1])
        while len(self.buffer) < size:
            self.take(65536)
        self.server.data.append(self.cut(size))
        if not self.recipients:
            return self.send(b"503 5.5.1 no valid recipients\r\n")
        if words[-1].upper() == b"LAST":
            self.message_done()
        else:
            self.send(b"250 2.0.0 chunk kept\r\n")

    def do_rset(self, line):
        self.recipients = 0
        self.send(b"250 2.0.0 reset\r\n")

    def do_quit(self, line):
        self.reply("quit", b"221 2.0.0 bye\r\n")
        raise Gone


def by_octet(sock, octets=4000):
    """A socket for the server whose first octets reach the client one by one."""
    near, far = socket.socketpair()

    def pump(source, to, single):
        try:
            while data := source.recv(65536):
                while data:
                    n = 1 if single > 0 else len(data)
                    to.sendall(data[:n])
                    data, single = data[n:], single - n
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    threading.Thread(target=pump, args=(far, sock, octets), daemon=True).start()
    threading.Thread(target=pump, args=(sock, far, 0), daemon=True).start()
    return near
