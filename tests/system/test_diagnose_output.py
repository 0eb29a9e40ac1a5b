"""envoi diagnose: its forms of output, its command line, its report.  What it finds out is test_diagnose.py's."""
import json
import os
import re
import socket
import stat
import subprocess
import threading
import xml.dom.minidom

import pytest

from client import envoi

WORDS = re.compile(r'\{ "([a-z0-9-]+)"')


class Server:
    """Sends what it is told to whoever connects, and waits for the end."""

    def __init__(self, says):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.says = says
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(s,), daemon=True).start()

    def talk(self, s):
        with s:
            try:
                s.sendall(self.says)
                while data := s.recv(4096):
                    if data.upper().startswith(b"EHLO"):
                        s.sendall(b"250-hi\r\n250 AUTH PLAIN\r\n")
                    elif data.upper().startswith(b"QUIT"):
                        s.sendall(b"221 bye\r\n")
                        return
            except OSError:
                pass


@pytest.fixture
def hostile():
    server = Server(b"220 <script>alert('&\"')</script>\x1b[31m \xff\r\n")
    yield server
    server.listener.close()


QUIET = "127.86.25.1"  # a mail server of this machine listens, if at all, on 127.0.0.1: another port that works would be the verdict


@pytest.fixture
def closed_port():
    with socket.socket() as s:  # bound and not listened to
        s.bind((QUIET, 0))
        yield s.getsockname()[1]


def test_refused(closed_port):
    r = envoi("diagnose", f"{QUIET}:{closed_port}")
    lines = r.out.splitlines()
    assert lines[0] == f"{QUIET} port {closed_port}: refused-by-host"
    assert lines[1].startswith(f"cause: nobody listens on port {closed_port} of '{QUIET}'")
    assert lines[2].startswith("remedy: ")
    assert f"    port {closed_port} at {QUIET}: refuses the connection" in r.out
    assert r.status == 75
    assert "\033" not in r.out


def test_table_on_demand(closed_port):
    r = envoi("diagnose", "-v", f"{QUIET}:{closed_port}")
    table = r.out.split("\n\n")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    assert re.match(r" *%d %s +\.+ +\d+ ms  refused" % (closed_port, re.escape(QUIET)), table[0])


def test_json(closed_port):
    r = envoi("diagnose", "--json", f"{QUIET}:{closed_port}")
    d = json.loads(r.out)
    assert r.out.count("\n") == 1
    assert d["verdict"]["word"] == "refused-by-host" and d["verdict"]["exit"] == r.status == 75
    assert d["question"]["port"] == closed_port
    mine = [s for s in d["sights"] if s["role"] == "configured"]
    assert [s["reach"] for s in mine] == ["refused"]
    assert not mine[0]["usable"]


def test_what_a_server_says_stays_harmless(hostile, tmp_path):
    page = tmp_path / "page.html"
    r = envoi("diagnose", "--tls=off", "-v", f"127.0.0.1:{hostile.port}", "--report", str(page))
    assert r.status == 0, r.out + r.err
    assert "\033" not in r.out
    text = page.read_text()
    assert "<script" not in text and "&lt;script&gt;" in text and "\033" not in text
    xml.dom.minidom.parseString(text.replace("<!DOCTYPE html>", ""))
    assert not re.search(r"""(src|href)=|url\(|@import""", text)
    d = json.loads(envoi("diagnose", "--tls=off", "--json", f"127.0.0.1:{hostile.port}").out)
    assert d["verdict"]["word"] == "ok"


def test_report_is_private_and_replaces_nothing(closed_port, tmp_path):
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    old = os.umask(0)
    try:
        envoi("diagnose", f"{QUIET}:{closed_port}", "--report", str(page))
    finally:
        os.umask(old)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    before = page.read_text()
    assert envoi("diagnose", f"{QUIET}:{closed_port}", "--report", str(page)).status == 73
    assert page.read_text() == before
    link.symlink_to(tmp_path / "elsewhere")
    assert envoi("diagnose", f"{QUIET}:{closed_port}", "--report", str(link)).status == 73
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("arguments", [("a.example.org", "b.example.org"), ("-a", "x", "a.example.org"),
                                       ("--host=127.0.0.1", "a.example.org"), ("127.0.0.1:99999",), ("--tabel",), ("",), (":25",), ("a@",)])
def test_usage(arguments):
    assert envoi("diagnose", *arguments).status == 64


def test_account(closed_port, tmp_path):
    rc = tmp_path / "rc"
    rc.write_text(f"account work\nhost {QUIET}\nport {closed_port}\nfrom a@example.org\n")
    r = envoi("diagnose", "-C", str(rc), "--json")
    d = json.loads(r.out)
    assert d["question"]["named"] == "account" and d["question"]["name"] == "work" and d["question"]["port"] == closed_port


def test_timeout_is_of_the_whole():
    silent = socket.create_server(("127.0.0.1", 0))
    r = envoi("diagnose", "--timeout=1.5", "--json", f"127.0.0.1:{silent.getsockname()[1]}")
    silent.close()
    d = json.loads(r.out)
    assert d["verdict"]["word"] == "silent-after-connect" and 1 < d["seconds"] < 2.5


def test_the_manual_has_every_word():
    root = os.path.join(os.path.dirname(__file__), "..", "..")
    with open(os.path.join(root, "src", "send", "verdict.c")) as source, open(os.path.join(root, "doc", "envoi-diagnose.1")) as manual:
        words, page = WORDS.findall(source.read()), manual.read()
    assert len(words) > 25
    assert [w for w in words if f".It Li {w}\n" not in page] == []


def test_nothing_is_said_of_what_had_no_time():
    """What would be begun at the deadline is not begun."""
    silent = socket.create_server(("127.0.0.1", 0))
    d = json.loads(envoi("diagnose", "--timeout=0.2", "--json", f"127.0.0.1:{silent.getsockname()[1]}").out)
    silent.close()
    assert [s["crossed"] for s in d["sights"] if s["role"] == "configured"] == [False]


def test_report_without_output(closed_port, tmp_path):
    page = tmp_path / "page.html"
    with open("/dev/full", "w") as full:
        r = subprocess.run([os.environ["ENVOI"], "diagnose", f"{QUIET}:{closed_port}", "--report", str(page)],
                           stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 74 and "standard output" in r.stderr
    assert page.read_text().endswith("</html>\n")


def test_a_source_address_of_another_machine(closed_port):
    r = envoi("diagnose", "--source-ip=192.0.2.77", f"{QUIET}:{closed_port}")
    assert r.status == 75 and "'source_ip'" in r.out.splitlines()[1]


def test_an_address_of_the_other_family(closed_port):
    r = envoi("diagnose", "-4", f"[::1]:{closed_port}")
    assert r.status == 68 and r.out.splitlines()[1:3] == [
        "cause: '::1' is no IPv4 address, and no other may be used", "remedy: leave out 'ipv4_only'"]
