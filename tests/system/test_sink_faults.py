"""The sink misbehaves as it is told, and always in the same way: seen by a socket, and by envoi. Sockets it is handed. That it holds
out: thousands of connections, clients that die at any octet."""
import fcntl
import json
import mailbox
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from client import environment
from client import envoi as run_envoi
from test_sink import insecure, sink, stored, until  # noqa: F401

ENVOI = os.environ.get("ENVOI", "envoi")
HI, MAIL, RCPT, DATA, TEXT, QUIT = "EHLO me", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA", "x\r\n.", "QUIT"
LETTER = (MAIL, RCPT, DATA, TEXT)


WAIT = None  # say nothing


class Line:
    """One connection, as a list of codes; 'closed' at its end, by a reset or not."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")
        self.seen = []
        self.texts = []

    def reply(self):
        try:
            while (line := self.file.readline()) and line[3:4] == b"-":
                pass
        except ConnectionResetError:
            line = None
        self.seen.append(line[:3].decode() if line else "closed")
        self.texts.append(line)
        return bool(line)

    def play(self, lines, replies=1):
        alive = self.reply()
        for line in lines:
            if not alive:
                break
            if line is not WAIT:
                self.connection.sendall(line.encode() + b"\r\n")
            for _ in range(replies if line == TEXT else 1):
                alive = self.reply()
        self.file.close()
        return " ".join(self.seen)


def dialogue(s, *lines, replies=1):
    with s.connect() as c:
        return Line(c).play(lines, replies)


# Options; what is said; what is answered.
ROWS = [
    ("--reject=connect:554:5.3.2 no service", [HI, "NOOP", QUIT, WAIT], "554 503 503 221 closed"),
    ("--reject=connect:421", [HI], "421 closed"),
    ("--reject=ehlo:550", [HI, "HELO me", MAIL], "220 550 550 503"),
    ("--reject=helo=bad*:550", ["EHLO bad.example", "EHLO good.example"], "220 550 250"),
    ("--reject=starttls:454", [HI, "STARTTLS", "NOOP"], "220 250 454 250"),
    ("--auth=any --reject=auth=plain:454", [HI, "AUTH PLAIN", "AUTH LOGIN"], "220 250 454 334"),
    ("--reject=mail:450", [HI, MAIL, RCPT], "220 250 450 503"),
    ("--reject=mail=*@b.example:553", [HI, MAIL, "MAIL FROM:<>"], "220 250 553 250"),
    ("--reject=rcpt=*@bad.example:550:5.1.2 no such domain", [HI, MAIL, "RCPT TO:<x@bad.example>", RCPT, DATA], "220 250 250 550 250 354"),
    ("--reject=rcpt:451:2", [HI, MAIL, RCPT, RCPT, RCPT, RCPT], "220 250 250 250 451 250 451"),
    ("--reject=rcpt=c*:451:3 --reject=rcpt=e*:550", [HI, MAIL, RCPT, "RCPT TO:<e@f>", RCPT, RCPT], "220 250 250 250 550 250 451"),
    ("--reject=data:554", [HI, MAIL, RCPT, DATA, "BDAT 3 LAST\r\nx", "NOOP"], "220 250 250 250 554 554 250"),
    ("--reject=dot:552", [HI, *LETTER, *LETTER], "220 250 250 250 354 552 250 250 354 552"),
    ("--reject=message=nobody*:552", [HI, *LETTER], "220 250 250 250 354 250"),
    ("--reject=stored:451", [HI, *LETTER], "220 250 250 250 354 451"),
    ("--reject=rset:500", [HI, "RSET", "NOOP"], "220 250 500 250"),
    ("--reject=quit:500", [HI, QUIT, WAIT], "220 250 500 closed"),
    ("--reject=mail:421:4.3.2 bye", [HI, MAIL, WAIT], "220 250 421 closed"),
    ("--drop=connect", [], "closed"),
    ("--drop=ehlo", [HI], "220 closed"),
    ("--drop=mail:2", [HI, MAIL, "RSET", MAIL], "220 250 250 250 closed"),
    ("--drop=rcpt=c@d.example", [HI, MAIL, "RCPT TO:<e@f>", RCPT], "220 250 250 250 closed"),
    ("--drop=data", [HI, MAIL, RCPT, DATA], "220 250 250 250 closed"),
    ("--drop=body", [HI, *LETTER], "220 250 250 250 354 closed"),
    ("--drop=body=4", [HI, *LETTER, MAIL, RCPT, DATA, "xyz\r\n."], "220 250 250 250 354 250 250 250 354 closed"),
    ("--drop=message", [HI, *LETTER], "220 250 250 250 354 closed"),
    ("--drop=stored", [HI, *LETTER], "220 250 250 250 354 closed"),
    ("--drop=quit", [HI, QUIT], "220 250 closed"),
    ("--drop=mail:2 --reject=mail:450", [HI, MAIL, MAIL], "220 250 450 closed"),
    ("--drip=0.001 --reject=ehlo:550", [HI, "NOOP", QUIT, WAIT], "220 550 250 221 closed"),
]


@pytest.mark.parametrize("options, said, answered", ROWS, ids=lambda v: v.replace(" ", "_") if isinstance(v, str) and v[:2] == "--" else "")
def test_stage(sink, tmp_path, options, said, answered):  # noqa: F811
    s = sink("--maildir", tmp_path / "md", *re.split(r" (?=--)", options))
    assert dialogue(s, *said) == answered
    messages = len(stored(tmp_path / "md"))
    assert messages == ("stored" in options) + (answered.count("354 250") if TEXT in said else 0)


def test_words(sink):  # noqa: F811
    """The text is the user's, without the enhanced code where none are offered; each class has words of its own."""
    for options, text in [(["--reject=mail:550:5.7.1 a: b, c"], b"550 5.7.1 a: b, c\r\n"),
                          (["--reject=mail:550:5.7.1 a: b, c:1", "--extensions=none"], b"550 a: b, c\r\n"),
                          (["--reject=mail:450"], b"450 4.3.0 try again later\r\n"), (["--reject=mail:599"], b"599 5.7.1 refused\r\n")]:
        with sink(*options).connect() as c:
            line = Line(c)
            line.play([HI, MAIL])
            assert line.texts[-1] == text


def test_lmtp_refuses_one(sink, tmp_path):  # noqa: F811
    s = sink("--lmtp", "--reject=message=c*:552:5.2.2 full", "--maildir", tmp_path / "md")
    said = ["LHLO me", MAIL, RCPT, "RCPT TO:<e@f.example>", DATA, TEXT]
    assert dialogue(s, *said, replies=2) == "220 250 250 250 250 354 552 250"
    assert dialogue(s, "LHLO me", *LETTER) == "220 250 250 250 354 552"
    assert len(stored(tmp_path / "md")) == 1
    s.read_fingerprint()
    assert " for e@f.example stored in " in s.line()
    shutil.rmtree(tmp_path / "md" / "tmp")
    assert dialogue(s, *said, replies=2).endswith("354 552 451")


def test_counted_over_all_connections(sink):  # noqa: F811
    s = sink("--reject=mail:450:3")
    assert [dialogue(s, HI, MAIL).split()[-1] for _ in range(7)] == ["250", "250", "450", "250", "250", "450", "250"]


def test_delay_and_drip(sink):  # noqa: F811
    """What was answered before does not wait; nobody else waits."""
    s = sink("--delay=rcpt=c*:0.4", "--idle=0.2")
    with s.connect() as c, s.connect() as d:
        start = time.monotonic()
        line, other = Line(c), Line(d)
        assert line.reply() and other.reply()
        c.sendall(f"{HI}\r\n{MAIL}\r\n{RCPT}\r\n".encode())
        assert line.reply() and line.reply()
        assert time.monotonic() - start < 0.3
        d.sendall(b"NOOP\r\n")
        assert other.reply() and time.monotonic() - start < 0.3
        assert line.reply() and time.monotonic() - start >= 0.4
        assert line.seen == ["220", "250", "250", "250"]
        line.file.close(), other.file.close()
    with sink("--drip=0.02").connect() as c:
        text, start = b"", time.monotonic()
        while not text.endswith(b"\r\n"):
            part = c.recv(100)
            assert part
            text += part
        assert time.monotonic() - start >= 0.02 * (len(text) - 1)


def test_what_waits_behind_a_delay_is_nobody_elses(sink, tmp_path):  # noqa: F811
    """A pipelining client is held up while another one talks: each is answered for what it has said itself."""
    s = sink("--delay=mail=slow*:0.5", "--maildir", tmp_path / "md")
    with s.connect() as c, s.connect() as d:
        line, other = Line(c), Line(d)
        assert line.reply() and other.reply()
        c.sendall(b"EHLO me\r\nMAIL FROM:<slow@b.example>\r\nRCPT TO:<one@d.example>\r\nDATA\r\n")
        assert line.reply()
        for i in range(20):
            d.sendall(b"NOOP\r\nRCPT TO:<other@d.example>\r\nNOOP %d\r\n" % i * 20)
            for _ in range(60):
                assert other.reply()
        assert [line.reply() for _ in range(3)] == [True] * 3
        c.sendall(b"x\r\n.\r\n")
        assert line.reply()
        assert line.seen == ["220", "250", "250", "250", "354", "250"]
        line.file.close(), other.file.close()
    (envelope, _), = stored(tmp_path / "md")
    assert [to for to in envelope if to.startswith("X-Envelope-To")] == ["X-Envelope-To: <one@d.example>"]


def test_commands_in_one_packet_with_a_login(sink):  # noqa: F811
    s = sink("--auth=any")
    assert dialogue(s, HI, "AUTH PLAIN AGEAYg==\r\nNOOP\r\nQUIT", WAIT, WAIT, WAIT) == "220 250 235 250 221 closed"


@pytest.mark.parametrize("options, words", [
    ("--reject=foo:550", "'foo' is not a stage"), ("--reject=mail", "'' is not a code"), ("--reject=mail:250", "'250' is not a code"),
    ("--delay=mail:x", "delay"), ("--delay=mail:1:x", "'x' is not a number of times"), ("--drop=mail:0", "'0' is not a number of times"),
    ("--drop=body=x", "'x' is not a number of octets"), ("--reject=body:550", "only be dropped"), ("--tls=foo", "tls"),
    ("--reject=mail:550:a\rb", "one line"), ("--tls=expired --tls-cert=x --tls-key=x", "certificate"),
    ("--script=/dev/null --drop=mail", "'--drop' cannot be used with --script"),
    *((f"--script=/dev/null {option}", "cannot be used with --script") for option in (
        "--maildir=x", "--mbox=x", "--print", "--auth=any", "--extensions=none", "--size=1", "--recipients=1", "--lmtp", "--idle=1", "--drip=1")),
    *((f"{fault} {rest}".strip(), "needs --auth") for fault in ("--reject=auth:535", "--delay=auth:1", "--drop=auth=PLAIN") for rest in ("", "--reject=mail:550")),
    ("--reject=auth:535 --auth=any --extensions=-AUTH", "AUTH is not among --extensions"),
    ("--auth=any --auth-required --extensions=SIZE", "AUTH is not among --extensions"),
    ("--reject=starttls:454 --extensions=-STARTTLS", "STARTTLS is not among --extensions"),
    ("--delay=starttls:1 --extensions=none", "STARTTLS is not among --extensions"),
    ("--auth-mechanisms=PLAIN", "need --auth"), ("--auth=any --auth-mechanisms=SCRAM-SHA-256", "both sides know: --auth=USER:PASS"), ("--auth=a:b --auth-mechanisms=FOO", "it knows PLAIN"),
])
def test_bad_options(options, words):
    done = run_envoi("sink", *options.split(" "), timeout=20)
    assert done.status == 64 and words in done.err, done


# ---- TLS ----

def handshake(port, starttls, context):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as c:
        if starttls:
            line = Line(c)
            line.reply()
            for said in (HI, "STARTTLS"):
                c.sendall(said.encode() + b"\r\n")
                line.reply()
        with context.wrap_socket(c, server_hostname="localhost") as t:
            return t.version(), t.getpeercert(True)


def only(version):
    context = insecure()
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("starttls", [True, False], ids=["starttls", "implicit"])
@pytest.mark.parametrize("variant, one, other", [
    ("tls1.2", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), ("tls1.3", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2),
    ("tls1.1", None, ssl.TLSVersion.TLSv1_2), ("drop", None, ssl.TLSVersion.TLSv1_3), ("clear", None, ssl.TLSVersion.TLSv1_3),
])
def test_tls_versions(sink, starttls, variant, one, other):  # noqa: F811
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--tls", variant)
    port = (s.ports if starttls else s.tls_ports)[0]
    if one:
        assert handshake(port, starttls, only(one))
    with pytest.raises((ssl.SSLError, ConnectionResetError)) as failed:
        handshake(port, starttls, only(other))
    if variant == "clear":
        assert "WRONG_VERSION_NUMBER" in str(failed.value)


def test_tls_silent(sink):  # noqa: F811
    s = sink("--listen-tls", "127.0.0.1:0", "--tls=silent")
    with socket.create_connection(("127.0.0.1", s.tls_ports[0]), timeout=0.3) as c, pytest.raises(TimeoutError):
        insecure().wrap_socket(c)


@pytest.mark.parametrize("variant, words", [("expired", "expired"), ("not-yet-valid", "valid from"),
                                            ("wrong-name", "wrong.invalid|name")])
def test_certificates(sink, tmp_path, variant, words):  # noqa: F811
    """Trusted, so that only what is wrong with it is left."""
    s = sink("--listen-tls", "127.0.0.1:0", "--tls", variant)
    pem = ssl.DER_cert_to_PEM_cert(handshake(s.tls_ports[0], False, insecure())[1])
    (tmp_path / "ca").write_text(pem)
    done = run_envoi("--host=localhost", f"--port={s.tls_ports[0]}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={tmp_path / 'ca'}",
                     "--auth=off", "--from=a@b.example", "--json", "c@d.example", message=b"x\n")
    assert done.status == 77 and done.report["stage"] == "tls" and re.search(words, done.report["errormsg"]), done


# ---- what envoi makes of it ----

@pytest.mark.parametrize("options, status, stage, fate", [
    ("--reject=connect:554", 69, "greeting", "not-sent"),
    ("--reject=connect:421", 75, "greeting", "not-sent"),
    ("--drop=connect", 75, "greeting", "not-sent"),
    ("--drop=ehlo", 75, "ehlo", "not-sent"),
    ("--reject=starttls:454", 75, "starttls", "not-sent"),
    ("--extensions=-STARTTLS", 69, "starttls", "not-sent"),
    ("--tls=drop", 75, "tls", "not-sent"),
    ("--reject=auth:535", 77, "auth", "not-sent"),
    ("--reject=mail:553", 69, "mail", "not-sent"),
    ("--reject=rcpt:550", 67, "rcpt", "not-sent"),
    ("--reject=rcpt:450", 75, "rcpt", "not-sent"),
    ("--extensions=-CHUNKING --reject=data:451", 75, "data", "not-sent"),
    ("--reject=message:554", 65, "dot", "not-sent"),
    ("--drop=body=10", 75, None, None),
    ("--drop=message", 75, "dot", "maybe-sent"),
    ("--drop=stored", 75, "dot", "maybe-sent"),
    ("--drop=quit", 0, None, "sent"),
    ("--drip=0.0005", 0, None, "sent"),
    ("--delay=mail:0.1 --delay=message:0.1", 0, None, "sent"),
])
def test_envoi_reports(sink, options, status, stage, fate):  # noqa: F811
    s = sink("--auth=any", *options.split(" "))
    tls = ["--tls=on", f"--tls-fingerprint={s.read_fingerprint()}"] if "STARTTLS" not in options else ["--tls=on"]
    done = run_envoi("--host=127.0.0.1", f"--port={s.ports[0]}", *tls, "--auth=plain", "--user=u", "--passwordeval=echo p", "--from=a@b.example",
                     "--json", "c@d.example", message=b"Subject: x\n\n" + b"a line of the message\n" * 50)
    assert done.status == status, done
    if stage:
        assert done.report["stage"] == stage
    if fate:
        assert done.report["fate"] == fate


# ---- sockets that it is given ----

HAND_OVER = """
import os, sys
fds, command = [int(fd) for fd in sys.argv[1].split(",")], sys.argv[2:]
high = [os.dup2(os.dup(fd), 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.environ["LISTEN_PID"] = os.environ.get("LISTEN_PID") or str(os.getpid())
os.execvp(command[0], command)
"""


def activated(fds, *options, **env):
    return subprocess.Popen([sys.executable, "-c", HAND_OVER, ",".join(map(str, fds)), ENVOI, "sink", *options], pass_fds=fds,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(LISTEN_FDS=str(len(fds)), **env))


def test_inherited_sockets(tmp_path):
    path = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as tls, \
            socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        p = activated([plain.fileno(), tls.fileno(), unix.fileno()], LISTEN_FDNAMES="smtp:tls:local")
        ports = plain.getsockname()[1], tls.getsockname()[1]
        assert [p.stdout.readline().decode() for _ in range(3)] == [
            f"listening on 127.0.0.1:{ports[0]}\n", f"listening on 127.0.0.1:{ports[1]} with TLS\n", f"listening on {path}\n"]
        for connect in (lambda: socket.create_connection(("127.0.0.1", ports[0])),
                        lambda: insecure().wrap_socket(socket.create_connection(("127.0.0.1", ports[1])))):
            with connect() as c:
                assert Line(c).play([QUIT]) == "220 221"
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(path)
            assert Line(c).play([QUIT]) == "220 221"
        assert os.read(os.open(f"/proc/{p.pid}/environ", os.O_RDONLY), 1)
        p.terminate()
        assert p.wait(20) == 0
        assert os.path.exists(path)
        p.communicate()


def test_inherited_for_another_process(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        p = activated([plain.fileno()], LISTEN_PID="1")
        line = p.stdout.readline().decode()
        assert line.startswith("listening on 127.0.0.1:") and str(plain.getsockname()[1]) not in line
        p.terminate()
        p.communicate(timeout=20)
        assert p.returncode == 0


def test_inherited_is_no_listener():
    a, b = socket.socketpair()
    with a, b:
        p = activated([a.fileno()])
        assert "the inherited descriptor 3 is not a stream socket that listens" in p.communicate(timeout=20)[1].decode()
        assert p.returncode == 78


# ---- holding out ----

def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


SANITIZED = bool(os.environ.get("ENVOI_SANITIZED"))  # it keeps what was freed for a while
CONNECTIONS = 1000 if SANITIZED else 10000
GROWTH = 65536 if SANITIZED else 1024  # KiB


def one_after_the_other(s, n):
    said = f"{HI}\r\n{MAIL}\r\n{RCPT}\r\n{DATA}\r\nx\r\n.\r\n{QUIT}\r\n".encode()
    for _ in range(n):
        with s.connect() as c:
            c.sendall(said)
            text = b""
            while part := c.recv(4096):
                text += part
            assert b"\r\n250 2.0.0 message stored\r\n221 " in text


def test_ten_thousand_in_a_row(sink):  # noqa: F811
    """It counts them, too: the last one ends it."""
    s = sink("--quiet", "--once", CONNECTIONS)
    open_before = descriptors(s.process.pid)
    one_after_the_other(s, CONNECTIONS // 10)
    before = rss(s.process.pid)
    one_after_the_other(s, CONNECTIONS - CONNECTIONS // 10 - 1)
    assert rss(s.process.pid) - before < GROWTH
    until(lambda: descriptors(s.process.pid) == open_before)
    assert s.process.poll() is None
    one_after_the_other(s, 1)
    assert s.process.wait(20) == 0


def test_five_hundred_at_once(sink, tmp_path):  # noqa: F811
    """All half-way in a message at the same time, twice; none is lost, and nothing stays."""
    s = sink("--maildir", tmp_path / "md", "--quiet")
    memory = []
    open_before = descriptors(s.process.pid)
    for turn in range(2):
        clients = [s.connect() for _ in range(500)]
        for i, c in enumerate(clients):
            c.sendall(f"{HI}\r\nMAIL FROM:<{turn}.{i}@b>\r\n{RCPT}\r\n{DATA}\r\nx".encode())
        until(lambda: descriptors(s.process.pid) == open_before + 500)
        for c in clients:
            c.sendall(f"\r\n.\r\n{QUIT}\r\n".encode())
        for c in clients:
            text = b""
            while part := c.recv(4096):
                text += part
            assert b"\r\n250 2.0.0 message stored\r\n221 " in text
            c.close()
        until(lambda: descriptors(s.process.pid) == open_before)
        memory.append(rss(s.process.pid))
    assert memory[1] - memory[0] < GROWTH
    senders = {envelope[0] for envelope, _ in stored(tmp_path / "md")}
    assert senders == {f"X-Envelope-From: <{turn}.{i}@b>" for turn in range(2) for i in range(500)}


WHOLE = f"{HI}\r\n{MAIL}\r\n{RCPT}\r\n{DATA}\r\nhello\r\n.\r\n{MAIL}\r\n{RCPT}\r\nBDAT 3\r\nabcBDAT 2 LAST\r\n\r\n{QUIT}\r\n".encode()
FIRST_END, SECOND_END = WHOLE.index(b"\r\n.\r\n") + 5, WHOLE.index(b"LAST\r\n") + 8


def die_at(n, tls, s):
    """Says the first n octets, reads what comes, goes away."""
    with socket.create_connection(("127.0.0.1", (s.tls_ports if tls else s.ports)[0]), timeout=20) as c:
        c = insecure().wrap_socket(c) if tls else c
        with c:
            c.sendall(WHOLE[:n])
            if n % 3 == 0:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif n % 3 == 1 and not tls:
                c.shutdown(socket.SHUT_WR)
                while c.recv(4096):
                    pass


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_dying_at_any_octet(sink, tmp_path, kind, tls):  # noqa: F811
    """Only whole messages are ever there, and as many as were whole where the client waited for the answer."""
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", f"--{kind}", tmp_path / "store", "--quiet")
    octets = range(0, len(WHOLE) + 1, 7 if tls else 1)
    for n in octets:
        die_at(n, tls, s)
    most = sum((n >= FIRST_END) + (n >= SECOND_END) for n in octets)
    least = 0 if tls else sum((n >= FIRST_END) + (n >= SECOND_END) for n in octets if n % 3 == 1)
    assert s.end() == 0
    if kind == "maildir":
        texts = [data for _, data in stored(tmp_path / "store")]
    else:
        texts = [m.get_payload().encode() for m in mailbox.mbox(tmp_path / "store")]
    assert {t.strip() for t in texts} <= {b"hello", b"abc"}
    assert least <= len(texts) <= most


def test_many_threads_of_clients_that_die(sink, tmp_path):  # noqa: F811
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--maildir", tmp_path / "md", "--quiet")
    threads = [threading.Thread(target=lambda k=k: [die_at(n, n % 2, s) for n in range(k, len(WHOLE), 16)]) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert s.end() == 0
    assert {data.strip() for _, data in stored(tmp_path / "md")} <= {b"hello", b"abc"}


def test_sigterm_with_many_half_way(sink, tmp_path):  # noqa: F811
    """In every phase of a dialogue at once; those who can hear it are told."""
    s = sink("--listen", "127.0.0.1:0", "--maildir", tmp_path / "md", "--quiet", "--delay=message:60")
    clients = []
    for n in range(0, FIRST_END + 1, 3):
        c = s.connect()
        c.sendall(WHOLE[:n])
        clients.append(c)
    big = s.connect()
    big.sendall(WHOLE[:FIRST_END - 3] + b"x" * 200000)
    until(lambda: list((tmp_path / "md" / "tmp").iterdir()))
    assert s.end() == 0
    assert stored(tmp_path / "md") == []
    text = b""
    try:
        while part := clients[0].recv(4096):
            text += part
    except ConnectionResetError:
        pass
    assert b"\r\n421 4.4.2 the sink ends\r\n" in text
    for c in [*clients, big]:
        c.close()


# ---- standard output that nobody reads ----

PIPE = 4096  # octets: as small as a pipe can be


def small_pipe(s):
    """Nothing of this sink's standard output is read from now on."""
    fcntl.fcntl(s.process.stdout, fcntl.F_SETPIPE_SZ, PIPE)
    return s


def deliver(s, n, body="x"):
    """n messages over one connection: the last codes seen for them."""
    with socket.create_connection(("127.0.0.1", s.ports[0]), timeout=60) as c:
        return Line(c).play([HI, *[MAIL, RCPT, DATA, body + "\r\n."] * n, QUIT]).split(" ")[5:-1:4]


@pytest.mark.parametrize("options", [(), ("--json",), ("--print",)])
def test_nobody_reads(sink, options):  # noqa: F811
    s = small_pipe(sink(*options))
    assert deliver(s, 200) == ["250"] * 200
    s.process.send_signal(signal.SIGTERM)
    assert s.process.wait(10) == 0
    told = re.search(r"envoi: (\d+) lines or messages .* standard output", s.errors.read_text())
    assert told, s.errors.read_text()
    written = s.process.stdout.read().count(b"received" if options != ("--print",) else b"\n\n")
    assert int(told[1]) >= 200 - written > 0


def test_reads_late_and_gets_all(sink):  # noqa: F811
    s = small_pipe(sink("--json"))
    assert deliver(s, 200) == ["250"] * 200
    s.process.send_signal(signal.SIGTERM)
    lines = [json.loads(line) for line in s.process.stdout if line.startswith(b"{")]
    assert s.process.wait(10) == 0 and [line["event"] for line in lines].count("received") == 200
    assert s.errors.read_text() == ""


def test_prints_large_messages_whole_and_in_order(sink):  # noqa: F811
    s = small_pipe(sink("--print", "--quiet"))
    bodies = ["%d " % i + "\r\n".join("y" * 900 for _ in range(1 + i % 3 * 200)) for i in range(20)]
    seen = []
    reader = threading.Thread(target=lambda: seen.append(s.process.stdout.read()))
    late = threading.Timer(1, reader.start)  # more than waits in memory has come by then
    late.start()
    for body in bodies:
        assert deliver(s, 1, body) == ["250"]
    late.join()
    assert s.end() == 0
    reader.join()
    parts = re.split(rb"X-Envelope-From: .*\r\n(?:X-Envelope-.*\r\n)*", seen[0])[1:]
    assert parts == [body.encode() + b"\r\n\n" for body in bodies]


def test_what_nobody_reads_is_refused_in_the_end(sink):  # noqa: F811
    s = small_pipe(sink("--print", "--quiet"))
    large = "\r\n".join("y" * 900 for _ in range(1300))
    assert deliver(s, 3, large) == ["250", "451", "451"]
    assert "nobody reads standard output" in s.errors.read_text()
    assert s.end() == 0


def test_once_ends_where_nobody_reads(sink):  # noqa: F811
    s = small_pipe(sink("--once", 100))
    assert deliver(s, 100) == ["250"] * 100
    assert s.process.wait(20) == 0
    assert "standard output" in s.errors.read_text()


def test_more_lines_than_wait_hold_up_nobody(sink):  # noqa: F811
    s = small_pipe(sink("--json"))
    rcpts = [f"RCPT TO:<{'c' * 60}@{'d' * 60}.{i}.example>" for i in range(300)]
    with socket.create_connection(("127.0.0.1", s.ports[0]), timeout=60) as c:
        line = Line(c)
        line.play([HI, *[MAIL, *rcpts, DATA, TEXT] * 40, QUIT])
    assert line.seen.count("354") == 40 and set(line.seen) == {"220", "250", "354", "221"}
    assert s.end() == 0
    assert "standard output" in s.errors.read_text()
