"""The sink, with other people's clients: smtplib, curl, swaks, msmtp; clients that die; ends; scripts."""
import base64
import fcntl
import hashlib
import json
import mailbox
import os
import re
import select
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

ENVOI = os.environ.get("ENVOI", "envoi")
BODY = (b"Subject: test\r\n\r\n.dot\r\n..dots\r\n\xff\xfe\x80 8-bit\r\nFrom here\r\n>From there\r\n"
        + b"x" * 998 + b"\r\nlast\r\n")


class Sink:
    """A running sink; ends with the test."""

    def __init__(self, tmp_path, *options):
        self.errors = tmp_path / "stderr"
        self.process = subprocess.Popen([ENVOI, "sink", *map(str, options)], stdout=subprocess.PIPE,
                                        stderr=self.errors.open("wb"), stdin=subprocess.DEVNULL, bufsize=0)
        self.ports, self.tls_ports, self.fingerprint = [], [], None
        self.expected = max(1, sum(str(o) in ("--listen", "--listen-tls") for o in options))
        for _ in range(self.expected):
            line = self.line()
            if "--json" in options:
                said = json.loads(line)
                (self.tls_ports if "tls" in said else self.ports).append(said["port"])
                continue
            address = re.fullmatch(r"listening on (\S+?)(?::(\d+))?( with TLS)?", line)
            assert address, line
            (self.tls_ports if address[3] else self.ports).append(int(address[2] or 0))

    def line(self, timeout=20):
        ready, _, _ = select.select([self.process.stdout], [], [], timeout)
        assert ready, "the sink says nothing"
        return self.process.stdout.readline().decode().rstrip("\n")

    def read_fingerprint(self):
        word, self.fingerprint = self.line().split()
        assert word == "tls_fingerprint"
        return self.fingerprint

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.ports[0]), timeout=20)
        return s

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def sink(tmp_path):
    started = []

    def start(*options):
        started.append(Sink(tmp_path, *options))
        return started[-1]

    yield start
    for s in started:
        assert s.end() in (0, 1), s.errors.read_text()
        s.process.stdout.close()
        assert "Sanitizer" not in s.errors.read_text()


def stored(maildir):
    """Every message of a Maildir: (envelope lines, octets as sent)."""
    found = []
    for f in sorted((maildir / "new").iterdir(), key=lambda f: int(re.search(r"Q(\d+)", f.name)[1])):
        envelope, data = [], f.read_bytes()
        while data.startswith(b"X-Envelope-"):
            line, data = data.split(b"\r\n", 1)
            envelope.append(line.decode())
        found.append((envelope, data))
    assert not list((maildir / "tmp").iterdir())
    return found


def insecure():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def until(condition, timeout=20):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_smtplib(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md")
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        assert c.sendmail("me@example.org", ["a@example.org", "b@example.org"], BODY, ["BODY=8BITMIME", "RET=HDRS"],
                          ["NOTIFY=NEVER"]) == {}
        c.sendmail("", ["c@example.org"], b"second\r\n")
    (envelope, first), (envelope2, second) = stored(tmp_path / "md")
    assert first == BODY and second == b"second\r\n"
    assert "X-Envelope-From: <me@example.org>" in envelope
    assert "X-Envelope-To: <a@example.org>" in envelope and "X-Envelope-To: <b@example.org>" in envelope
    assert "X-Envelope-Parameters: RCPT <a@example.org> NOTIFY=NEVER" in envelope
    assert "X-Envelope-From: <>" in envelope2
    s.read_fingerprint()
    assert re.fullmatch(r"received %d octets from <me@example.org> for a@example.org, b@example.org stored in .*/md/new/.*"
                        % len(BODY), s.line())


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_tls_and_auth(sink, tmp_path, mechanism):
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--maildir", tmp_path / "md", "--auth", "user:pa:ss",
             "--auth-required")
    fingerprint = s.read_fingerprint()
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c, smtplib.SMTP_SSL("127.0.0.1", s.tls_ports[0], context=insecure()) as d:
        c.starttls(context=insecure())
        for one in (c, d):
            der = one.sock.getpeercert(True)
            assert hashlib.sha256(der).hexdigest().upper() == fingerprint.replace(":", "")
            one.ehlo()
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                one.sendmail("a@b", ["c@d"], BODY)
            assert refused.value.smtp_code == 530
            one.user, one.password = "user", "pa:sx"
            auth = {"PLAIN": one.auth_plain, "LOGIN": one.auth_login}[mechanism]
            with pytest.raises(smtplib.SMTPAuthenticationError):
                one.auth(mechanism, auth)
            one.password = "pa:ss"
            one.auth(mechanism, auth)
            one.sendmail("a@b", ["c@d"], BODY)
    for envelope, data in stored(tmp_path / "md"):
        assert data == BODY and "X-Envelope-User: user" in envelope and "X-Envelope-Protocol: ESMTPSA" in envelope


def test_certificate_of_our_own(sink, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
                   check=True, capture_output=True)
    s = sink("--listen-tls", "127.0.0.1:0", "--tls-cert", tmp_path / "cert", "--tls-key", tmp_path / "key")
    with smtplib.SMTP_SSL("127.0.0.1", s.tls_ports[0], context=ssl.create_default_context(cafile=tmp_path / "cert")) as c:
        c.sendmail("a@b", ["c@d"], BODY)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl")
def test_curl(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md", "--auth", "user:pass")
    (tmp_path / "mail").write_bytes(BODY)
    subprocess.run(["curl", "-sS", "--ssl-reqd", "-k", "--user", "user:pass", "--mail-from", "a@b.example", "--mail-rcpt", "c@d.example",
                    "--upload-file", tmp_path / "mail", f"smtp://127.0.0.1:{s.ports[0]}/me"], check=True)
    assert stored(tmp_path / "md")[0][1] == BODY


@pytest.mark.skipif(not shutil.which("swaks"), reason="no swaks")
def test_swaks(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md", "--auth", "any")
    subprocess.run(["swaks", "--server", f"127.0.0.1:{s.ports[0]}", "--to", "c@d.example", "--from", "a@b.example", "--auth", "LOGIN",
                    "--auth-user", "x", "--auth-password", "y", "--body", "hello"], check=True, capture_output=True)
    assert b"hello" in stored(tmp_path / "md")[0][1]


@pytest.mark.skipif(not shutil.which("msmtp"), reason="no msmtp")
@pytest.mark.parametrize("starttls", ["on", "off"])
def test_msmtp_trusts_the_fingerprint(sink, tmp_path, starttls):
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--maildir", tmp_path / "md", "--auth", "user:pass")
    fingerprint = s.read_fingerprint()
    port = s.ports[0] if starttls == "on" else s.tls_ports[0]
    subprocess.run(["msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", "--tls=on", f"--tls-starttls={starttls}",
                    f"--tls-fingerprint={fingerprint}", "--tls-trust-file=", "--auth=plain", "--user=user", "--passwordeval=echo pass", "--from=a@b.example", "c@d.example"],
                   input=BODY.replace(b"\r\n", b"\n"), check=True)
    assert BODY in stored(tmp_path / "md")[0][1]


def test_lmtp_on_a_unix_socket(sink, tmp_path):
    path = tmp_path / "socket"
    s = sink("--listen", path, "--lmtp", "--maildir", tmp_path / "md")
    with smtplib.LMTP(str(path)) as c:
        c.sendmail("a@b", ["c@d"], BODY)
        c.send(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nx\r\n.\r\n")
        assert [c.getreply()[0] for _ in range(6)] == [250, 250, 250, 354, 250, 250]
    assert [data for _, data in stored(tmp_path / "md")] == [BODY, b"x\r\n"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert s.end() == 0
    assert not path.exists()


def test_mbox(sink, tmp_path):
    s = sink("--mbox", tmp_path / "mbox")
    big = b"From the start\r\n\r\n" + b">From\r\nFrom x\r\n" * 20000 + b"no end"
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.sendmail("a@b", ["c@d"], BODY)
        c.ehlo("x")
        for command in ("MAIL FROM:<>", "RCPT TO:<c@d>"):
            assert c.docmd(command)[0] == 250
        c.send(b"BDAT %d LAST\r\n" % len(big) + big)
        assert c.getreply()[0] == 250
    lines = (tmp_path / "mbox").read_bytes()
    assert b"\n>From here\r\n>>From there\r\n" in lines
    assert (tmp_path / "mbox").stat().st_mode & 0o777 == 0o600
    found = list(mailbox.mbox(tmp_path / "mbox"))
    assert len(found) == 2 and found[1].get_from().startswith("MAILER-DAEMON ")
    part = lines[lines.index(b"From MAILER-DAEMON"):]
    part = part[part.index(b">From the start"):]
    assert re.sub(rb"(?m)^>(>*From )", rb"\1", part) == big + b"\n\n"


def test_print_and_json(sink, tmp_path):
    s = sink("--print", "--quiet", "--once", 1)
    s.read_fingerprint()
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.sendmail("a@b", ["c@d"], b"Subject: x\r\n\r\nhi\r\n")
    text = s.process.stdout.read()
    assert text.startswith(b"X-Envelope-From: <a@b>\r\n") and text.endswith(b"Subject: x\r\n\r\nhi\r\n\n")
    assert s.end() == 0

    p = subprocess.Popen([ENVOI, "sink", "--json", "--once", "1"], stdout=subprocess.PIPE)
    port = json.loads(p.stdout.readline())["port"]
    with smtplib.SMTP("127.0.0.1", port) as c:
        c.sendmail("a@b", ["c@d"], b"Subject: x\r\n\r\nhi\r\n")
    line = json.loads(p.stdout.readline())
    assert (line["event"], line["from"], line["recipients"], line["octets"]) == ("received", "a@b", ["c@d"], 18)
    assert p.wait(20) == 0
    p.stdout.close()


def test_bdat_and_smtputf8(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md")
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        c.send("MAIL FROM:<jürgen@exämple.org> SMTPUTF8\r\nRCPT TO:<c@d>\r\nBDAT 4\r\na\n.\nBDAT 3 LAST\r\n.\r\n".encode())
        assert [c.getreply()[0] for _ in range(4)] == [250] * 4
    envelope, data = stored(tmp_path / "md")[0]
    assert data == b"a\n.\n.\r\n"
    assert "X-Envelope-From: <jürgen@exämple.org>" in envelope and "X-Envelope-Protocol: UTF8SMTP" in envelope


@pytest.mark.parametrize("form", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n.\r\r\n"])
def test_smuggling_forms_are_content(sink, tmp_path, form):
    s = sink("--maildir", tmp_path / "md")
    evil = b"one" + form + b"MAIL FROM:<evil@x>\r\nRCPT TO:<y@z>\r\nDATA\r\ntwo"
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        c.docmd("MAIL FROM:<a@b>")
        c.docmd("RCPT TO:<c@d>")
        c.docmd("DATA")
        c.send(evil + b"\r\n.\r\n")
        assert c.getreply()[0] == 250
    (envelope, data), = stored(tmp_path / "md")
    assert data.replace(b".", b"") == (evil + b"\r\n").replace(b".", b"")


def test_starttls_injection(sink):
    s = sink()
    with s.connect() as c:
        f = c.makefile("rb")
        f.readline()
        c.sendall(b"EHLO x\r\n")
        while f.readline()[3:4] == b"-":
            pass
        c.sendall(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        assert f.readline().startswith(b"220")
        f.close()
        t = insecure().wrap_socket(c)
        t.sendall(b"NOOP\r\n")
        assert t.recv(100).startswith(b"250")
        t.close()


def test_two_hundred_at_once(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md")
    clients = [s.connect() for _ in range(200)]
    for c in clients:
        c.sendall(b"EHLO x\r\n")
    for i, c in enumerate(clients):
        c.sendall(b"MAIL FROM:<%d@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" % i)
    for i, c in enumerate(clients):
        c.sendall(b"%d\r\n.\r\nQUIT\r\n" % i)
    for c in clients:
        text = b""
        while part := c.recv(4096):
            text += part
        assert b"\r\n250 2.0.0 message stored\r\n221 " in text
        c.close()
    found = {envelope[0]: data for envelope, data in stored(tmp_path / "md")}
    assert found == {f"X-Envelope-From: <{i}@b>": b"%d\r\n" % i for i in range(200)}


def test_more_clients_than_it_serves_wait(sink):
    s = sink()
    clients = [s.connect() for _ in range(520)]
    for c in clients[:500]:
        c.close()
    for c in clients[500:]:
        assert c.recv(100).startswith(b"220")
        c.close()


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
def test_clients_that_die_at_any_octet(sink, tmp_path, kind):
    s = sink(f"--{kind}", tmp_path / "store")
    whole = (b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhello\r\n.\r\n"
             b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\nabcdeBDAT 2 LAST\r\n\r\nQUIT\r\n")
    for n in range(len(whole)):
        with s.connect() as c:
            if n % 2:
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.sendall(whole[:n])
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.sendmail("last@b", ["c@d"], b"last\r\n")
    assert s.end() == 0
    if kind == "maildir":
        texts = [data for _, data in stored(tmp_path / "store")]
    else:
        texts = [m.as_bytes().split(b"\n\n", 1)[-1] for m in mailbox.mbox(tmp_path / "store")]
    assert {t.replace(b"\r", b"").strip()[-5:] for t in texts} <= {b"hello", b"abcde", b"last"}


def test_die_in_a_large_message(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md")
    with s.connect() as c:
        c.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + b"x" * 1000000)
        until(lambda: list((tmp_path / "md" / "tmp").iterdir()))
    until(lambda: not list((tmp_path / "md" / "tmp").iterdir()))
    assert stored(tmp_path / "md") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_nothing_half_written(sink, tmp_path, number):
    s = sink("--maildir", tmp_path / "md")
    with s.connect() as c:
        c.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + b"x" * 1000000)
        until(lambda: list((tmp_path / "md" / "tmp").iterdir()))
        assert s.end(number) == 0
        text = b""
        try:
            while part := c.recv(4096):
                text += part
        except ConnectionResetError:
            pass
    assert stored(tmp_path / "md") == []


def test_once(sink, tmp_path):
    s = sink("--once", 2, "--maildir", tmp_path / "md")
    for _ in range(2):
        with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
            c.sendmail("a@b", ["c@d"], b"x\r\n")
    assert s.process.wait(20) == 0
    assert len(stored(tmp_path / "md")) == 2


def test_once_stores_no_more(sink, tmp_path):
    s = sink("--once", 1, "--maildir", tmp_path / "md")
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.sendmail("a@b", ["c@d"], b"x\r\n")
        with pytest.raises(smtplib.SMTPDataError):
            c.sendmail("a@b", ["c@d"], b"y\r\n")
    assert s.process.wait(20) == 0
    assert len(stored(tmp_path / "md")) == 1


def test_extensions(sink):
    s = sink("--extensions", "SIZE,8bitmime", "--size", 1000)
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        assert c.esmtp_features == {"size": "1000", "8bitmime": ""}
        with pytest.raises(smtplib.SMTPSenderRefused):
            c.sendmail("a@b", ["c@d"], b"x" * 1001)
        assert c.docmd("NOOP") == (250, b"ok")


def test_all_but(sink):
    s = sink("--extensions=-CHUNKING,-STARTTLS")
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        assert c.has_extn("pipelining") and not c.has_extn("chunking") and not c.has_extn("starttls")


@pytest.mark.parametrize("options, status, words", [
    (["--maildir", "/tmp/x", "--discard"], 64, "only one of"),
    (["--extensions", "FOO"], 64, "'FOO'"),
    (["--auth", "x"], 64, "USER:PASS"),
    (["--tls-cert", "x"], 64, "belong together"),
    (["--script", "/nonexistent"], 66, "/nonexistent"),
    (["--once", "0"], 64, "once"),
    (["--listen", "x:y"], 64, "x:y"),
    (["--listen", "/etc/passwd"], 69, "no socket; remove it"),
    (["--listen", "/nonexistent/socket"], 69, "directory must exist"),
    (["--lisen", "x"], 64, "listen"),
    (["operand"], 64, "operand"),
])
def test_bad_options(options, status, words):
    p = subprocess.run([ENVOI, "sink", *options], capture_output=True, timeout=20, stdin=subprocess.DEVNULL)
    assert p.returncode == status and words in p.stderr.decode()


# ---- scripts ----

GREETED = "S: 220 mx\nC: EHLO\nS: 250 mx\n"


@pytest.fixture
def play(sink, tmp_path):
    def start(text, *options):
        (tmp_path / "script").write_text(text)
        return sink("--script", tmp_path / "script", *options)
    return start


def exactly(c, n):
    text = b""
    while len(text) < n:
        part = c.recv(n - len(text))
        assert part
        text += part
    return text


def everything(c):
    text = b""
    try:
        while part := c.recv(65536):
            text += part
    except ConnectionResetError:
        return text, "reset"
    return text, "closed"


def test_script_whole_dialogue(play):
    s = play(GREETED + "C: mail\nS: 250 ok\nC: /^rcpt TO:<[a-z]@/\nS: 550-no\nS: 550 never\nC: rset\nS: 250\nC: QUIT\nS: 221\n", "--once", 1)
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.putcmd("EHLO", "x")
        assert c.getreply()[0] == 250
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            c.ehlo_resp, c.does_esmtp = b"", 1
            c.sendmail("a@b", ["c@d"], BODY)
        assert refused.value.recipients == {"c@d": (550, b"no\nnever")}
    assert s.process.wait(20) == 0


def test_script_mismatch(play):
    s = play(GREETED + "C: MAIL\n", "--once", 1)
    with s.connect() as c:
        c.sendall(b"EHLO x\r\nRSET\r\n")
        assert everything(c) == (b"220 mx\r\n250 mx\r\n", "closed")
    assert s.process.wait(20) == 1
    assert "script:4: expected 'MAIL', got 'RSET'" in s.errors.read_text()


def test_script_plays_from_the_start_for_each(play):
    s = play("S: 220 one\n# @silence\n")
    a, b = s.connect(), s.connect()
    assert a.recv(100) == b.recv(100) == b"220 one\r\n"
    a.close(), b.close()


@pytest.mark.parametrize("script, octets, end", [
    ("# @close\n", b"", "closed"),
    ("# @drop\n", b"", "closed"),
    ("# @reset\n", b"", "reset"),
    ("S: 220 x\n# @close\nS: 250 never\n", b"220 x\r\n", "closed"),
    ("# @reply 421 4.3.2 later\n", b"421 4.3.2 later\r\n", "closed"),
    ('# @reply 550 "one\\ntwo\\nthree"\n', b"550-one\r\n550-two\r\n550 three\r\n", "closed"),
    ('# @raw "220 \\x00\\xff\\r\\n\\t\\\\"\n', b"220 \0\xff\r\n\t\\", "closed"),
    ("# @fill 300000 x\n", b"x" * 300000, "closed"),
    ('# @fill 3 "250-x\\r\\n"\nS: 250 x\n', b"250-x\r\n" * 3 + b"250 x\r\n", "closed"),
    ("# @repeat 3\nS: 1\n# @repeat 2\nS: 2\n# @end\n# @end\n# @repeat 0\nS: 3\n# @end\nS: 4\n",
     b"1\r\n2\r\n2\r\n" * 3 + b"4\r\n", "closed"),
    ("# a note\nS: 220 x\n", b"220 x\r\n", "closed"),
], ids=["close", "drop", "reset", "close-early", "reply", "reply-lines", "raw", "fill", "fill-lines", "repeat", "note"])
def test_script_directives(play, script, octets, end):
    s = play(script)
    try:
        with s.connect() as c:
            assert everything(c) == (octets, end)
    except ConnectionResetError:  # so early that connect itself tells
        assert end == "reset"
    assert s.end() == 0


def test_script_drip_and_delay(play):
    s = play("S: 22\n# @drip 0.05\nS: 0 x\n# @delay 0.3\nS: fast\n")
    with s.connect() as c:
        parts, start = [], time.monotonic()
        while part := c.recv(1000):
            parts.append(part)
        assert parts[0] in (b"22\r\n", b"22\r\n0") and len(parts) >= 5
        assert b"".join(parts) == b"22\r\n0 x\r\nfast\r\n"
        assert time.monotonic() - start >= 0.05 * 4 + 0.3


def test_script_for_ever(play):
    s = play("# @repeat\n# @drip 0.01\nS: 220-x\n# @end\n")
    with s.connect() as c, s.connect() as d:
        for one in (c, d):
            assert exactly(one, 10) == b"220-x\r\n220"
    assert s.end() == 0


def test_script_flood_does_not_starve_others(play):
    s = play("# @repeat\nS: 250-x\n# @end\n")
    with s.connect() as c, s.connect() as d:
        assert exactly(c, 1000000).startswith(b"250-x\r\n")
        assert exactly(d, 1000000).startswith(b"250-x\r\n")
    assert s.end() == 0


def test_script_empty_loop_can_be_ended(play):
    s = play("# @repeat\n# @end\n")
    with s.connect(), s.connect():
        pass
    assert s.end() == 0


def test_script_starttls_and_tls(play):
    s = play("S: 220\nC: STARTTLS\nS: 220 go\n# @starttls\nC: NOOP\nS: 250 secret\n", "--once", 1)
    with s.connect() as c:
        assert c.recv(100) == b"220\r\n"
        c.sendall(b"STARTTLS\r\n")
        assert c.recv(100) == b"220 go\r\n"
        with insecure().wrap_socket(c) as t:
            t.sendall(b"NOOP\r\n")
            assert t.recv(100) == b"250 secret\r\n"
    assert s.process.wait(20) == 0


def test_script_implicit_tls(play):
    s = play("# @tls\nS: 220 x\n")
    with s.connect() as c, insecure().wrap_socket(c) as t:
        assert t.recv(100) == b"220 x\r\n"


def test_script_injects_behind_starttls(play):
    s = play("C: STARTTLS\nS: 220 go\nS: 250 injected\n# @starttls\n")
    with s.connect() as c:
        c.sendall(b"STARTTLS\r\n")
        assert c.recv(100) == b"220 go\r\n250 injected\r\n"


@pytest.mark.parametrize("script, sent, got", [
    ("C: DATA\nS: 354\n# @body\nS: 250 taken\nC: QUIT\n", b"DATA\r\nx\r\n.x\n.\r\r\n.\r\nQUIT\r\n", b"354\r\n250 taken\r\n"),
    ("C: DATA\n# @body\nS: 250 empty\n", b"DATA\r\n.\r\n", b"250 empty\r\n"),
    ("C: DATA\n# @body 4\nS: 250 four\n", b"DATA\r\nabcd", b"250 four\r\n"),
    ("C: BDAT\n# @chunk\nS: 250 chunk\nC: QUIT\n", b"BDAT 5 LAST\r\nQUI\r\nQUIT\r\n", b"250 chunk\r\n"),
])
def test_script_reads_messages(play, script, sent, got):
    s = play(script, "--once", 1)
    with s.connect() as c:
        c.sendall(sent)
        assert everything(c) == (got, "closed")
    assert s.process.wait(20) == 0


def test_script_silence(play):
    s = play("S: 220\n# @silence\n", "--once", 1)
    with s.connect() as c:
        assert c.recv(100) == b"220\r\n"
        c.sendall(b"x" * 100000)
        assert select.select([c], [], [], 0.3)[0] == []
    assert s.process.wait(20) == 0


def test_script_expect_close_and_timeout(play):
    s = play("S: 220\n# @timeout 0.2\n# @expect-close\n", "--once", 2)
    with s.connect() as c:
        assert c.recv(100) == b"220\r\n"
    with s.connect() as c:
        assert everything(c) == (b"220\r\n", "closed")
    assert s.process.wait(20) == 1
    assert "did not close in time" in s.errors.read_text()


@pytest.mark.parametrize("script, words", [
    ("# @clsoe\n", "did you mean '@close'"),
    ("S: 220\nhello\n", "script:2"),
    ("# @delay x\n", "script:1"),
    ("# @raw \"\\q\"\n", "script:1"),
    ("# @end\n", "without '@repeat'"),
    ("# @repeat 2\n", "without '@end'"),
])
def test_script_errors(tmp_path, script, words):
    (tmp_path / "script").write_text(script)
    p = subprocess.run([ENVOI, "sink", "--script", tmp_path / "script"], capture_output=True, timeout=20)
    assert p.returncode == 78 and words in p.stderr.decode()


def test_oauth(sink):
    s = sink("--auth", "user:token")
    good = base64.b64encode(b"user=user\1auth=Bearer token\1\1").decode()
    bad = base64.b64encode(b"user=user\1auth=Bearer wrong\1\1").decode()
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        code, text = c.docmd("AUTH", "XOAUTH2 " + bad)
        assert code == 334 and json.loads(base64.b64decode(text))["status"] == "invalid_token"
        assert c.docmd("")[0] == 535
        assert c.docmd("AUTH", "XOAUTH2 " + good)[0] == 235


@pytest.mark.parametrize("size", [65535, 65536, 65537, 262144, 3000000])
@pytest.mark.parametrize("kind", ["maildir", "print"])
def test_sizes_around_the_blocks(sink, tmp_path, kind, size):
    s = sink(*(["--maildir", tmp_path / "md"] if kind == "maildir" else ["--print", "--quiet"]), "--once", 1, "--extensions", "CHUNKING")
    body = os.urandom(size)
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        c.ehlo("x")
        c.docmd("MAIL FROM:<a@b>")
        c.docmd("RCPT TO:<c@d>")
        text = []
        if kind == "print":  # the pipe is smaller than the message
            reader = threading.Thread(target=lambda: text.append(s.process.stdout.readall()))
            reader.start()
        c.send(b"BDAT %d LAST\r\n" % size + body)
        assert c.getreply()[0] == 250
    assert s.process.wait(20) == 0
    if kind == "maildir":
        assert stored(tmp_path / "md")[0][1] == body
    else:
        reader.join()
        assert body in text[0]


def test_a_locked_mbox_holds_up_nobody_else(sink, tmp_path):
    """Whoever reads it may take a while: the message waits, other clients do not, and the sink can be ended."""
    path = tmp_path / "mbox"
    s = sink("--mbox", path, "--quiet")
    said = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nkept\r\n.\r\n"
    with path.open("r+") as f, s.connect() as c:
        fcntl.lockf(f, fcntl.LOCK_EX)
        lines = c.makefile("rb")
        c.sendall(said)
        until(lambda: lines.readline().startswith(b"354"))
        with smtplib.SMTP("127.0.0.1", s.ports[0]) as other:
            assert other.ehlo("x")[0] == 250
        assert path.stat().st_size == 0
        fcntl.lockf(f, fcntl.LOCK_UN)
        assert lines.readline().startswith(b"250")
        assert b"\nkept\r\n" in path.read_bytes()
        size = path.stat().st_size
        fcntl.lockf(f, fcntl.LOCK_EX)
        c.sendall(said[said.index(b"MAIL"):])
        until(lambda: lines.readline().startswith(b"354"))
        assert s.end() == 0
        assert lines.read().startswith(b"421") and path.stat().st_size == size
        lines.close()


def test_a_store_that_fails_is_told_and_leaves_nothing(sink, tmp_path):
    s = sink("--maildir", tmp_path / "md")
    shutil.rmtree(tmp_path / "md" / "tmp")
    with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            c.sendmail("a@b", ["c@d"], BODY)
        assert refused.value.smtp_code == 451
        until(lambda: "/md/tmp/" in s.errors.read_text())
        (tmp_path / "md" / "tmp").mkdir()
        c.sendmail("a@b", ["c@d"], BODY)
    assert len(stored(tmp_path / "md")) == 1
