"""What a send costs: memory and files (libraries: test_doors.py). Only for a build without sanitizers ($ENVOI_SANITIZED unset)."""

import os
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest

from client import ENVOI, SENDER, envoi, environment, to_port
from delayproxy import DelayProxy

pytestmark = pytest.mark.skipif("ENVOI_SANITIZED" in os.environ, reason="sanitizers cost more")

HEAD = b"From: a@example.org\nTo: b@example.org\nSubject: big\nDate: Sat, 21 Nov 2026 12:00:00 +0000\nMessage-ID: <x@y>\n\n"
BLOCK = (b"x" * 76 + b"\n") * 13617  # 1 MiB and a little


class Drain:
    """A server that swallows DATA as fast as Python can and keeps nothing; it takes TLS or does not."""

    def __init__(self, context=None):
        self.context, self.octets = context, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
            sock.sendall(b"220 drain\r\n")
            tail, room = b"", bytearray(1 << 20)
            in_data = False
            while n := sock.recv_into(room):
                self.octets += n
                tail = (tail + room[max(0, n - 64):n])[-64:]
                if in_data:
                    if b"\r\n.\r\n" in tail:
                        sock.sendall(b"250 swallowed\r\n221 bye\r\n")
                        break
                elif tail.upper().endswith(b"DATA\r\n"):
                    sock.sendall(b"250 ok\r\n" * 2 + b"354 go\r\n")
                    in_data = True
                elif tail.upper().startswith(b"EHLO"):
                    sock.sendall(b"250-drain\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                    tail = b""
            sock.close()


def send_blocks(options, n, tmpdir):
    """Sends n MiB from a pipe; returns the peak of resident memory in KiB. time(1) takes it, for a child of Python begins with
    Python's peak."""
    process = subprocess.Popen(["/usr/bin/time", "-f", "%M", ENVOI, *options, "-f", SENDER, "b@example.org"],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(TMPDIR=str(tmpdir)))
    process.stdin.write(HEAD)
    files = set()
    for i in range(n):
        process.stdin.write(BLOCK)
        if i % 100 == 50:
            (child,) = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            files |= {os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd") if int(fd) > 2}
    process.stdin.close()
    peak = process.stderr.read().decode()
    assert process.wait() == 0, peak
    assert not [f for f in files if not f.startswith(("pipe:", "socket:", "anon_inode:"))], files
    assert not list(tmpdir.iterdir())
    return int(peak)


@pytest.mark.skipif(not os.path.exists("/usr/bin/time"), reason="time is not installed")
@pytest.mark.parametrize("way", ["off", "implicit"])
def test_memory_is_constant(tmp_path, certs, way):
    """1 GiB from stdin may need 4 MiB more than 1 KiB, and no temporary file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert(), certs.key())
    with Drain(context if way == "implicit" else None) as server:
        options = to_port(server.port, tls=way, ca=certs.ca)
        small = send_blocks(options, 0, tmp_path)
        big = send_blocks(options, 1024, tmp_path)
        assert server.octets > 1 << 30
    print(f"peak {small} KiB for a small message, {big} KiB for 1 GiB")
    assert big - small <= 4096, (small, big)


@pytest.mark.parametrize("way", ["plain", "implicit"])
def test_overhead_on_the_wire(postfix, way):
    """Under 1 % for a mail of short lines: full TLS records, not one for each line."""
    text = HEAD + b"a short line\n" * 400_000
    on_the_wire = len(text) + text.count(b"\n")
    with DelayProxy(postfix.host, getattr(postfix, way), 0) as proxy:
        login = {} if way == "plain" else dict(ca=postfix.ca, tls=way, auth="plain", user=postfix.user, password=postfix.password)
        done = envoi(*to_port(proxy.port, **login), "-f", SENDER, "b@example.org", message=text)
        (connection,) = proxy.connections
    assert done.status == 0, done
    assert connection.up < 1.01 * on_the_wire, f"{connection.up / on_the_wire:.4f}"
