"""The server's side of SCRAM-SHA-256(-PLUS) (RFC 5802, 7677, 9266), written for the tests from the RFCs, on pyOpenSSL,
which gives what channel bindings are made of."""

import base64
import hashlib
import hmac
import os

from OpenSSL import SSL

from faultserver import Conversation, FaultServer

VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


class Cancelled(Exception):
    """The client ended the exchange."""


class ScramServer(FaultServer):
    """plus: offered; man_in_the_middle: the server sees another TLS connection than the client; liar: it does not know the
    password and says yes. Afterwards gs2 holds the client's header."""

    def __init__(self, certs, version, password, plus=True, man_in_the_middle=False, liar=False):
        super().__init__(tls=True, auth=True)
        self.mechanisms = ("SCRAM-SHA-256-PLUS " if plus else "") + "SCRAM-SHA-256 PLAIN"
        self.password, self.man_in_the_middle, self.liar, self.gs2 = password.encode(), man_in_the_middle, liar, None
        self.resumed = []
        self.context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.context.set_min_proto_version(VERSIONS[version])
        self.context.set_max_proto_version(VERSIONS[version])
        self.context.use_certificate_file(str(certs.cert()))
        self.context.use_privatekey_file(str(certs.key()))

    def conversation(self, sock):
        return ScramConversation(self, sock)


class ScramConversation(Conversation):
    def run(self):
        try:
            super().run()
        except SSL.Error:
            self.raw.close()

    def handshake(self):
        self.raw.settimeout(None)
        self.sock = SSL.Connection(self.server.context, self.raw)
        self.sock.set_accept_state()
        self.sock.do_handshake()
        self.tls_up = True
        self.server.resumed.append(self.resumed())
        self.buffer.clear()

    def binding(self, kind):
        if self.server.man_in_the_middle:
            return b"another connection"
        if kind == "tls-exporter":
            return self.sock.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        # tls-unique: the client's Finished came first, but the server's in a session that is taken up again
        return self.sock.get_finished() if self.resumed() else self.sock.get_peer_finished()

    def resumed(self):
        return bool(SSL._lib.SSL_session_reused(self.sock._ssl))

    def ask(self, text):
        self.send(b"334 " + base64.b64encode(text) + b"\r\n")
        line = self.line()
        if line == b"*":
            raise Cancelled
        return base64.b64decode(line)

    def do_auth(self, line):
        try:
            self.send(self.exchange(line))
        except Cancelled:
            self.send(b"501 5.7.0 cancelled\r\n")

    def exchange(self, line):
        if b"SCRAM" not in line.upper():
            return b"535 5.7.8 no\r\n"
        first = base64.b64decode(line.split()[2]).decode()
        flag, _, bare = first.split(",", 2)
        self.server.gs2 = flag
        salt, rounds = os.urandom(16), 4096
        nonce = bare.split("r=")[1] + base64.b64encode(os.urandom(12)).decode()
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        final = self.ask(challenge.encode()).decode()
        without_proof, proof = final.rsplit(",p=", 1)
        signed = f"{bare},{challenge},{without_proof}".encode()

        salted = hashlib.pbkdf2_hmac("sha256", self.server.password, salt, rounds)
        stored = hashlib.sha256(mac(salted, b"Client Key")).digest()
        key = xor(base64.b64decode(proof), mac(stored, signed))
        bound = flag.startswith("p=")
        wanted = first[:len(first) - len(bare)].encode() + (self.binding(flag[2:]) if bound else b"")
        fits = base64.b64decode(without_proof[2:].split(",")[0]) == wanted
        if not self.server.liar and not (hashlib.sha256(key).digest() == stored and fits):
            return b"535 5.7.8 no\r\n"
        proof_of_server = os.urandom(32) if self.server.liar else mac(mac(salted, b"Server Key"), signed)
        self.ask(b"v=" + base64.b64encode(proof_of_server))
        return b"235 2.7.0 welcome\r\n"
