"""probe: its dialogue, exit codes and reports, against real servers, scripted ones and children; swaks, where it is installed, is the oracle."""

import base64
import difflib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

import servers as real
from client import ENVOI, environment

SWAKS = shutil.which("swaks")
FROM, TO = "x@y.example", "a@b.example"


class Sink:
    def __init__(self, *options):
        self.process = subprocess.Popen([ENVOI, "sink", *map(str, options)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(re.search(r":(\d+)", self.process.stdout.readline()).group(1))

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


@pytest.fixture
def sink():
    started = []

    def start(*options):
        started.append(Sink("--listen=127.0.0.1:0", *options))
        return started[-1]

    yield start
    for s in started:
        s.stop()


@pytest.fixture
def script(sink, tmp_path):
    def start(*lines):
        (tmp_path / "script").write_text("\n".join(lines) + "\n")
        return sink(f"--script={tmp_path / 'script'}")
    return start


def probe(*args, data=b"", together=False, env=None, timeout=60):
    return subprocess.run([ENVOI, "probe", *map(str, args)], input=data, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT if together else subprocess.PIPE, env=env or environment(), timeout=timeout)


def to(server, *args, **how):
    return probe("-s", f"127.0.0.1:{server.port}", "-f", FROM, "-t", TO, *args, **how)


def lines(done):
    return done.stdout.decode(errors="replace").splitlines()


# ---- the same as swaks ----

GREETING = ["S: 220 mail.example ESMTP"]
HELLO = [*GREETING, "C: EHLO", "S: 250-mail.example", "S: 250-PIPELINING", "S: 250-SIZE 1000", "S: 250-XCLIENT NAME ADDR",
         "S: 250-AUTH PLAIN LOGIN", "S: 250 PRDR"]
MAIL = [*HELLO, "C: MAIL FROM:", "S: 250 2.1.0 ok"]
RCPT = [*MAIL, "C: RCPT TO:", "S: 250 2.1.5 ok"]
DATA = [*RCPT, "C: DATA", "S: 354 go on", "# @body"]
DOT = [*DATA, "S: 250 2.0.0 ok queued as 12345"]
QUIT = ["C: QUIT", "S: 221 bye"]


def normal(text):
    """Dates, identifiers and the name of the program differ; the hints are ours."""
    text = re.sub(r"(\n -> \r?)+(?=\n -> \.)", "", text)  # swaks ends its message with two empty lines
    for pattern, word in [(r"\d+ lines sent", "N lines sent"), (r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} [+-]\d{4}", "DATE"), (r"Message-Id: <.*>", "Message-Id: ID"),
                          (r"X-Mailer: .*", "X-Mailer: X"), (r"response in [\d.]+s", "response in T"), (r"IO::Socket.*|cannot connect.*", "REASON"),
                          (r"boundary=.*|-{4}=.*", "BOUNDARY")]:
        text = re.sub(pattern, word, text)
    return [line for line in text.splitlines() if "nothing listens" not in line and not line.startswith("*** hint: ")]


SAME = {
    "plain": ([*DOT, *QUIT], []),
    "no-data": ([*DOT, *QUIT], ["-n"]),
    "hidden": ([*DOT, *QUIT], ["--hide-send", "--no-receive-hints"]),
    "hide-receive": ([*DOT, *QUIT], ["-hr"]),
    "informational": ([*DOT, *QUIT], ["-hi"]),
    "hide-all": ([*DOT, *QUIT], ["-ha"]),
    "lapse": ([*DOT, *QUIT], ["-stl"]),
    "quit-after-connect": ([*GREETING, *QUIT], ["-q", "CONNECT"]),
    "quit-after-helo": ([*HELLO, *QUIT], ["-q", "HELO"]),
    "quit-after-mail": ([*MAIL, *QUIT], ["-q", "MAIL"]),
    "quit-after-rcpt": ([*RCPT, *QUIT], ["-q", "RCPT"]),
    "drop-after-mail": ([*MAIL], ["-da", "MAIL"]),
    "drop-after-send-rcpt": ([*MAIL, "C: RCPT"], ["-das", "RCPT"]),
    "mail-refused": ([*HELLO, "C: MAIL", "S: 550-5.7.1 not", "S: 550 5.7.1 you", *QUIT], []),
    "refused-silent-1": ([*HELLO, "C: MAIL", "S: 550 5.7.1 not you", *QUIT], ["-S"]),
    "refused-silent-2": ([*HELLO, "C: MAIL", "S: 550 5.7.1 not you", *QUIT], ["-S", "2"]),
    "refused-silent-3": ([*HELLO, "C: MAIL", "S: 550 5.7.1 not you", *QUIT], ["-S", "3"]),
    "one-of-two": ([*RCPT, "C: RCPT", "S: 550 no", "C: DATA", "S: 354 go on", "# @body", "S: 250 ok", *QUIT], ["-t", f"{TO},c@b.example"]),
    "lost": ([*MAIL, "C: RCPT", "# @drop"], []),
    "no-starttls": ([*HELLO, *QUIT], ["-tls"]),
    "timeout": ([*MAIL, "C: RCPT", "# @silence"], ["--timeout", "1s"]),
}


@pytest.mark.skipif(not SWAKS, reason="swaks is not installed")
@pytest.mark.parametrize("case", SAME)
def test_the_same_as_swaks(script, case):
    server = script(*SAME[case][0])
    args = ["-s", f"127.0.0.1:{server.port}", "-f", FROM, "-t", TO, "-h", "me.example", *SAME[case][1]]
    theirs = subprocess.run([SWAKS, *args], capture_output=True, stdin=subprocess.DEVNULL, env=environment(), timeout=60)
    ours = probe(*args)
    got, want = normal(ours.stdout.decode()), normal(theirs.stdout.decode())
    if case == "timeout":  # nobody is left who would hear a QUIT
        want = [line for line in want if "QUIT" not in line]
        want = want[:1 + min(i for i, line in enumerate(want) if "Timeout" in line)] + ["=== Connection closed with remote host."]
    assert got == want, "\n".join(difflib.unified_diff(want, got, "swaks", "probe", lineterm=""))
    assert normal(ours.stderr.decode()) == normal(theirs.stderr.decode())
    assert ours.returncode == theirs.returncode


@pytest.mark.skipif(not SWAKS, reason="swaks is not installed")
def test_raw_text_as_swaks(script):
    server = script(*MAIL, *QUIT)
    args = ["-s", f"127.0.0.1:{server.port}", "-f", FROM, "-t", TO, "-h", "me.example", "-raw", "-q", "MAIL"]
    theirs = subprocess.run([SWAKS, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(), timeout=60)
    assert lines(probe(*args)) == theirs.stdout.splitlines()


@pytest.mark.skipif(not SWAKS, reason="swaks is not installed")
def test_nobody_there_as_swaks():
    port = real.free_ports(1)[0]
    args = ["-s", f"127.0.0.1:{port}", "-f", FROM, "-t", TO]
    theirs = subprocess.run([SWAKS, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(), timeout=60)
    ours = probe(*args)
    assert (ours.returncode, lines(ours)) == (theirs.returncode, theirs.stdout.splitlines())
    assert ours.stderr.decode().splitlines()[0] == theirs.stderr.splitlines()[0]


@pytest.mark.skipif(not SWAKS, reason="swaks is not installed")
def test_tls_as_swaks(aiosmtpd):
    args = ["-s", f"127.0.0.1:{aiosmtpd.starttls}", "-f", FROM, "-t", TO, "-h", "me.example", "-tls", "-q", "HELO"]
    theirs = subprocess.run([SWAKS, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment(), timeout=60)
    got = lines(probe(*args))
    assert [line for line in got if "not verified" not in line] == theirs.stdout.splitlines()
    assert len([line for line in got if line.startswith("=== TLS certificate not verified: ")]) == 1


# ---- exit codes ----

AUTH = ["-a", "PLAIN", "-au", "u", "-ap", "secret"]
CODES = [
    (0, [*DOT, *QUIT], []),
    (6, [*MAIL, "C: RCPT", "# @drop"], []),
    (6, ["# @drop"], []),
    (21, ["S: 554 go away", *QUIT], []),
    (21, ["# @silence"], ["--timeout", "1s"]),
    (22, [*GREETING, "C: EHLO", "S: 550 no", "C: HELO", "S: 550 no", *QUIT], []),
    (23, [*HELLO, "C: MAIL", "S: 550 no", *QUIT], []),
    (23, [*HELLO, "C: MAIL", "S: 550 no", "C: QUIT", "# @drop"], []),
    (24, [*MAIL, "C: RCPT", "S: 550 no", *QUIT], []),
    (24, [*MAIL, "C: RCPT", "S: 450 later", *QUIT], []),
    (24, [*MAIL, "C: RCPT", "S: 550 no", *QUIT], ["-q", "RCPT"]),
    (24, [*MAIL, "C: RCPT", "# @silence"], ["--timeout", "1s"]),
    (25, [*RCPT, "C: DATA", "S: 451 no", *QUIT], []),
    (26, [*DATA, "S: 554 5.7.1 spam", *QUIT], []),
    (27, [*DOT, "C: QUIT", "S: 500 stay"], []),
    (28, [*HELLO, "C: AUTH PLAIN", "S: 535 5.7.8 no", *QUIT], AUTH),
    (28, [*GREETING, "C: EHLO", "S: 250 mail.example", *QUIT], AUTH),
    (29, [*HELLO, *QUIT], ["-tls"]),
    (29, [*GREETING, "C: EHLO", "S: 250-mail.example", "S: 250 STARTTLS", "C: STARTTLS", "S: 454 later", *QUIT], ["-tls"]),
    (29, [*GREETING, "# @expect-close"], ["-tlsc"]),
    (30, [*GREETING, "C: EHLO", "S: 250 mail.example", *QUIT], ["--prdr"]),
    (32, [*GREETING, "C: EHLO", "S: 250-mail.example", "S: 250 STARTTLS", "C: STARTTLS", "S: 220 go", "# @starttls", "C: EHLO", "S: 550 no",
          "C: HELO", "S: 550 no", *QUIT], ["-tls"]),
    (33, [*HELLO, "C: XCLIENT", "S: 550 no", *QUIT], ["--xclient", "NAME=a.example"]),
    (33, [*GREETING, "C: EHLO", "S: 250 mail.example", *QUIT], ["--xclient", "NAME=a.example"]),
    (21, ["C: PROXY TCP4 192.0.2.1 192.0.2.2 4 25", "S: 554 not from there", *QUIT], ["--proxy", "TCP4 192.0.2.1 192.0.2.2 4 25"]),
    (34, [*HELLO, "C: XCLIENT", "S: 220 welcome", "C: EHLO", "S: 550 no", "C: HELO", "S: 550 no", *QUIT], ["--xclient", "NAME=a.example"]),
]


@pytest.mark.parametrize("n", range(len(CODES)), ids=lambda n: f"{CODES[n][0]}-{n}")
def test_exit_code(script, n):
    code, dialogue, args = CODES[n]
    done = to(script(*dialogue), *args)
    assert done.returncode == code, done
    assert b"secret" not in done.stdout + done.stderr and base64.b64encode(b"\0u\0secret") not in done.stdout + done.stderr


@pytest.mark.parametrize("code,args", [
    (1, ["--no-such-option"]), (1, ["-q", "nowhere"]), (1, ["-t", TO, "-s", "127.0.0.1", "--data", "@/nonexistent/file"]),
    (2, ["-s", "nonexistent-host.invalid", "-t", TO]), (2, ["--socket", "/nonexistent/socket", "-t", TO]),
    (35, ["-s", "127.0.0.1", "-t", TO, "--proxy-version", "3", "--proxy", "x"]),
    (2, ["--pipe", "/nonexistent/program", "-t", TO]),
    (6, ["--pipe", "true", "-t", TO]),
])
def test_exit_code_without_a_server(code, args):
    assert probe(*args).returncode == code


# ---- the transcript ----

def test_one_place_for_both_streams(script):
    done = to(script(*HELLO, *QUIT), "-tls", "-hr", together=True)
    text = lines(done)
    assert text.index(" -> QUIT") > text.index("=== Connected to 127.0.0.1.")
    assert "*** Host did not advertise STARTTLS" in text and text[-1] == "=== Connection closed with remote host."


def test_output_files(script, tmp_path):
    out, err = tmp_path / "out", tmp_path / "err"
    done = to(script(*HELLO, *QUIT), "-tls", "--output-file-stdout", out, "--output-file-stderr", err)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert out.read_text().startswith("=== Trying ") and err.read_text().splitlines()[0] == "*** Host did not advertise STARTTLS"
    assert err.read_text().splitlines()[1].startswith("*** hint: ") and err.read_text().count("\n") == 2
    both = tmp_path / "both"
    to(script(*HELLO, *QUIT), "-tls", "--output-file", both)
    assert "*** Host did not advertise STARTTLS\n" in both.read_text() and "=== Trying" in both.read_text()
    once = both.stat().st_size
    to(script(*HELLO, *QUIT), "-tls", "--output-file", both)
    assert both.stat().st_size == 2 * once
    done = to(script(*HELLO, *QUIT), "-tls", "--output-file-stdout", "&STDERR")
    assert done.stdout == b"" and b"=== Trying" in done.stderr and b"***" in done.stderr


@pytest.mark.parametrize("args, line", [
    (["-q", "nowhere"], "*** '--quit-after' cannot be 'nowhere'"), (["--no-such-option"], "*** 'no-such-option' is no option"),
    (["--data", "@/nonexistent/file"], "*** '--data' names a file that cannot be read: '/nonexistent/file': No such file or directory"),
])
def test_errors_before_a_connection(tmp_path, args, line):
    for last, out in ((args, None), (["--output-file", tmp_path / "log", *args], tmp_path / "log")):
        done = probe("-s", "127.0.0.1", "-t", TO, *last)
        text = out.read_text() if out else done.stderr.decode()
        assert done.returncode == 1 and done.stdout == b"" and text.splitlines()[0] == line and text.splitlines()[1].startswith("*** hint: ")
        assert not out or done.stderr == b""
    report = json.loads(probe("-s", "127.0.0.1", "-t", TO, "--json", *args).stdout)
    assert report["exit"] == 1 and report["errormsg"] == line[4:] and report["hint"]


def test_hints_name_our_options(aiosmtpd):
    done = probe("-s", f"localhost:{aiosmtpd.starttls}", "-t", TO, "-tls", "-q", "TLS", "--tls-verify")
    assert b"\n*** hint: give its issuer's certificate with '--tls-ca-path FILE'" in done.stderr


def test_peer_certificate(aiosmtpd, certs, tmp_path):
    args = ["-s", f"127.0.0.1:{aiosmtpd.starttls}", "-t", TO, "-tls", "-q", "TLS"]
    done = probe(*args, "--tls-get-peer-cert", tmp_path / "cert", "--tls-get-peer-chain", tmp_path / "chain")
    assert done.returncode == 0, done
    assert (tmp_path / "cert").read_text().count("BEGIN CERTIFICATE") == 1
    assert (tmp_path / "chain").read_text().startswith((tmp_path / "cert").read_text())
    shown = lines(probe(*args, "--tls-get-peer-cert"))
    assert "=== -----BEGIN CERTIFICATE-----" in shown
    assert [line[4:] for line in shown if line.startswith("=== ") and "DN=" not in line][-30:] != []


def test_verified_or_not(aiosmtpd, certs):
    args = ["-s", f"localhost:{aiosmtpd.starttls}", "-t", TO, "-tls", "-q", "TLS"]
    assert b"not verified" in probe(*args).stdout
    refused = probe(*args, "--tls-verify")
    assert refused.returncode == 29 and b"*** TLS startup failed (" in refused.stderr and b"TLS started" not in refused.stdout
    good = probe(*args, "--tls-verify", "--tls-ca-path", aiosmtpd.ca)
    assert good.returncode == 0 and b"not verified" not in good.stdout and b"=== TLS started with cipher TLSv1" in good.stdout


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"])
@pytest.mark.parametrize("password", ["Zq", "~", "Zq9~"])
def test_secrets_however_short(sink, mechanism, password):
    """Neither the password nor what is made of it is anywhere in what is printed."""
    server = sink("--discard", "--auth", "any")
    for args in (["-apt"], ["-raw"], ["-apt", "-raw", "--json"], ["--dump"], ["-tls", "--no-tls-verify", "-apt", "-raw"]):
        done = to(server, "-a", mechanism, "-au", "usr", "-ap", password, "-q", "AUTH", *args)
        out = (done.stdout + done.stderr).decode()
        assert base64.b64encode(password.encode()).decode() not in out and not re.search(rf"\b{re.escape(password)}\b", out), out
        assert not re.search(rf"^[ <].*[ 0=]{re.escape(password)}", out, re.M), out
        assert not re.search(r"\busr [0-9a-f]{32}", out), out


# ---- --json ----

def test_json(script):
    done = to(script(*RCPT, "C: RCPT", "S: 550 5.1.1 unknown", "C: DATA", "S: 354 go on", "# @body", "S: 250 2.0.0 queued as 4X2", *QUIT),
              "-t", f"{TO},c@b.example", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["exit"] == 0 and report["meaning"] == "no error" and report["queueid"] == "4X2"
    assert [(r["address"], r["fate"]) for r in report["recipients"]] == [(TO, "accepted"), ("c@b.example", "refused")]
    assert report["recipients"][1]["enhanced"] == "5.1.1"
    replies = [(r.get("command", "").split(" ")[0], r["code"], r.get("enhanced")) for r in report["replies"]]
    assert replies == [("", 220, None), ("EHLO", 250, None), ("MAIL", 250, "2.1.0"), ("RCPT", 250, "2.1.5"), ("RCPT", 550, "5.1.1"),
                       ("DATA", 354, None), (".", 250, "2.0.0"), ("QUIT", 221, None)]
    assert [p["name"] for p in report["phases"]][:3] == ["connect", "greeting", "ehlo"] and all(p["us"] >= 0 for p in report["phases"])


def test_json_tells_tls_and_failures(aiosmtpd):
    done = probe("-s", f"localhost:{aiosmtpd.starttls}", "-t", TO, "-tls", "-q", "TLS", "--json")
    report = json.loads(done.stdout)
    assert report["tls"]["version"].startswith("TLS1") and report["tls"]["problem"] and report["certificates"][0]["days_left"] > 0
    done = probe("-s", f"127.0.0.1:{real.free_ports(1)[0]}", "-t", TO, "--json")
    report = json.loads(done.stdout)
    assert done.returncode == report["exit"] == 2 and report["fault"] == "connect" and report["meaning"] == "no connection to the server"


# ---- real servers and children ----

@pytest.mark.parametrize("name", ["postfix", "opensmtpd", "aiosmtpd"])
def test_real_server(request, name):
    server = request.getfixturevalue(name)
    token = f"probe-{name}-{time.time()}"
    done = probe("-s", f"127.0.0.1:{server.plain}", "-f", "a@example.org", "-t", "b@example.org", "--add-header", f"X-Envoi-Test: {token}")
    assert done.returncode == 0, done
    (stored,) = server.wait_for(token)
    assert b"This is a test mailing" in stored


def test_dovecot_lmtp(dovecot_lmtp):
    token = f"probe-lmtp-{time.time()}"
    done = probe("--socket", dovecot_lmtp.socket, "--protocol", "LMTP", "-f", "a@example.org", "-t", "b@example.org", "--add-header",
                 f"X-Envoi-Test: {token}")
    assert done.returncode == 0, done
    text = lines(done)
    assert text[:2] == [f"=== Trying {dovecot_lmtp.socket}...", f"=== Connected to {dovecot_lmtp.socket}."] and any("LHLO" in s for s in text)
    dovecot_lmtp.wait_for(token)


CHILD = r"""
import sys
def say(s): sys.stdout.write(s + "\r\n"); sys.stdout.flush()
say("220 child")
body = False
for line in sys.stdin:
    line = line.rstrip("\r\n")
    if body:
        body = line != "."
        if not body: say("250 stored")
    elif line == "DATA": body = True; say("354 go")
    elif line == "QUIT": say("221 bye"); break
    else: say("250 ok")
"""


def test_child(tmp_path):
    (tmp_path / "child.py").write_text(CHILD)
    command = f"{sys.executable} {tmp_path / 'child.py'}"
    done = probe("--pipe", command, "-f", FROM, "-t", TO)
    assert done.returncode == 0, done
    text = lines(done)
    assert text[:3] == [f"=== Trying pipe to {command}...", f"=== Connected to {command}.", "<-  220 child"]
    assert text[-1] == "=== Connection closed with child process."


def test_own_sendmail_as_child(tmp_path):
    link = tmp_path / "sendmail"
    link.symlink_to(os.path.abspath(ENVOI))
    done = probe("--pipe", f"{link} -bs", "-f", FROM, "-t", TO, "-q", "MAIL")
    assert done.returncode == 0 and b"<-  220 " in done.stdout, done


def test_called_swaks(tmp_path, script):
    link = tmp_path / "swaks"
    link.symlink_to(os.path.abspath(ENVOI))
    server = script(*GREETING, *QUIT)
    done = subprocess.run([link, "-s", f"127.0.0.1:{server.port}", "-t", TO, "-q", "CONNECT"], capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 0 and done.stdout.endswith(b"=== Connection closed with remote host.\n")


def test_every_address(tmp_path):
    port = real.free_ports(1)[0]
    with open(tmp_path / "script", "w") as f:
        f.write("\n".join([*DOT, *QUIT]) + "\n")
    sink = subprocess.Popen([ENVOI, "sink", f"--listen=127.0.0.1:{port}", f"--script={tmp_path / 'script'}"], stdout=subprocess.PIPE, text=True)
    sink.stdout.readline()
    done = probe("-s", f"localhost:{port}", "-f", FROM, "-t", TO, "--all-mx")
    sink.terminate()
    sink.wait(20)
    sink.stdout.close()
    text = lines(done)
    heads = [line for line in text if line.startswith("=== Address ")]
    if len(heads) < 2:
        pytest.skip("localhost has one address")
    assert done.returncode == 2 and text.count(" -> QUIT") == 1 and "=== Trying 127.0.0.1:%d..." % port in text  # nobody listens on ::1


def test_a_login_that_is_optional_and_goes_wrong_here(script):
    server = script(*GREETING, "C: EHLO", "S: 250-mail.example", "S: 250 AUTH SCRAM-SHA-1", "C: AUTH SCRAM-SHA-1", "S: 334 eA==",
                    "C: *", "S: 501 cancelled", "C: MAIL FROM:", "S: 250 ok", "C: RCPT TO:", "S: 250 ok", "C: DATA", "S: 354 go", "# @body",
                    "S: 250 ok", *QUIT)
    done = probe("-s", f"127.0.0.1:{server.port}", "-f", FROM, "-t", TO, "-ao", "SCRAM-SHA-1", "-au", "u", "-ap", "secret")
    if b"libgsasl" in done.stdout + done.stderr:
        pytest.skip("without libgsasl")
    assert done.returncode == 0 and " -> QUIT" in lines(done), done


class Names:
    """A name server on UDP that knows the MX records given, and nothing else."""

    def __init__(self, domain, hosts):
        self.domain, self.hosts = self.encoded(domain), hosts
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def encoded(name):
        return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if query == b"end":
                return
            end = query.index(b"\0", 12) + 1
            known = query[12:end].lower() == self.domain and query[end:end + 2] == b"\0\x0f"
            answers = [struct.pack("!HHHIH", 0xc00c, 15, 1, 60, 2 + len(self.encoded(h))) + struct.pack("!H", 10 * i) + self.encoded(h)
                       for i, h in enumerate(self.hosts)] if known else []
            self.socket.sendto(query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(answers), 0, 0) + query[12:end + 4] + b"".join(answers), peer)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self.socket.getsockname())
        self.thread.join(20)
        self.socket.close()


@pytest.fixture
def names():
    started = []

    def start(domain, hosts):
        started.append(Names(domain, hosts))
        return started[-1].address

    yield start
    for n in started:
        n.stop()


def without_libunbound(done):
    if b"MX records cannot be looked up" in done.stderr:
        pytest.skip("without libunbound")


def test_mail_exchangers(script, names):
    server = script(*DOT, *QUIT)
    where = names("b.example", ["nowhere.invalid", "127.0.0.1.nip.invalid", "localhost", "never.invalid"])
    done = probe("-f", FROM, "-t", TO, "--dns-server", where, "-p", server.port, "-4", timeout=120)
    without_libunbound(done)
    text = lines(done)
    assert done.returncode == 0, done
    assert "=== Host 3 of 4: localhost" in text and f"=== Trying localhost:{server.port}..." in text and "=== Host 4 of 4: never.invalid" not in text
    assert done.stderr.count(b"*** Error connecting to nowhere.invalid:") == 1


def test_all_mail_exchangers(script, names):
    server = script(*RCPT, *QUIT)
    where = names("b.example", ["localhost", "nowhere.invalid", "localhost"])
    done = probe("-f", FROM, "-t", TO, "--dns-server", where, "-p", server.port, "-4", "--all-mx", "-q", "RCPT", timeout=120)
    without_libunbound(done)
    assert done.returncode == 2 and lines(done).count(" -> QUIT") == 2, done


def test_mail_exchangers_that_are_no_names(script, names):
    server = script(*DOT, *QUIT)
    where = names("b.example", ["two words"])
    done = probe("-f", FROM, "-t", TO, "--dns-server", where, "-p", server.port, timeout=120)
    without_libunbound(done)
    assert done.returncode == 2 and b"none of its records can be read" in done.stderr and b"b.example" in done.stderr, done


# ---- load ----

def test_repeat_and_parallel(sink):
    server = sink("--discard")
    done = to(server, "--repeat", 200, "--parallel", 10)
    text = lines(done)
    assert done.returncode == 0 and re.fullmatch(r"200 transactions in [\d.]+ s, 10 at once: [\d.]+ per second", text[0])
    assert text[1].split() == ["200", "exit", "0:", "no", "error"]
    assert {line.split()[0] for line in text[3:] if line} >= {"ms", "connect", "greeting", "ehlo", "mail", "rcpt", "data", "dot", "total"}
    assert not any("#" in line for line in text)


def test_load_over_the_next_host(sink, names):
    server = sink("--discard")
    where = names("b.example", ["nowhere.invalid", "localhost"])
    args = ["-f", FROM, "-t", TO, "--dns-server", where, "-p", server.port, "-4", "--repeat", "3", "--json"]
    done = probe(*args, timeout=120)
    without_libunbound(done)
    assert json.loads(done.stdout)["exits"] == [{"exit": 0, "meaning": "no error", "n": 3}]
    report = json.loads(probe(*args, "--all-mx", timeout=120).stdout)
    assert [(e["exit"], e["n"]) for e in report["exits"]] == [(2, 3)] and report["phases"]["dot"]["n"] == 3


def test_load_as_json(sink):
    server = sink("--discard")
    report = json.loads(to(server, "--repeat", 50, "--parallel", 5, "--json").stdout)
    assert report["transactions"] == 50 and report["exits"] == [{"exit": 0, "meaning": "no error", "n": 50}] and not report["interrupted"]
    for phase in report["phases"].values():
        assert phase["min_us"] <= phase["median_us"] <= phase["p90_us"] <= phase["p99_us"] <= phase["max_us"]
    assert report["phases"]["total"]["n"] == 50


def test_load_counts_failures(script):
    done = to(script(*HELLO, "C: MAIL", "S: 450 later", *QUIT), "--repeat", 20, "--parallel", 4)
    assert done.returncode == 23 and re.search(rb"\b20  exit 23: MAIL was refused", done.stdout)


def test_load_stores_every_message(sink, tmp_path):
    server = sink(f"--maildir={tmp_path / 'box'}")
    assert to(server, "--repeat", 30, "--parallel", 7).returncode == 0
    stored = [f.read_text() for f in (tmp_path / "box" / "new").iterdir()]
    assert len(stored) == 30 and len({re.search(r"(?im)^Message-Id: (.*)", s).group(1) for s in stored}) == 30


def start(server, *args):
    """A probe whom signals end, also where the tests run in the background, ignoring them."""
    return subprocess.Popen(["env", "--default-signal=HUP,INT,TERM", ENVOI, "probe", "-s", f"127.0.0.1:{server.getsockname()[1]}", "-t", TO,
                             *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def test_load_ends_with_what_was_measured():
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(server, "--repeat", "100000", "--parallel", "2")
        for _ in range(20):
            connection, _ = server.accept()
            connection.sendall(b"554 no\r\n")
            connection.close()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert re.match(rb"\d+ transactions \(interrupted\) in ", out) and process.returncode == 21


@pytest.mark.parametrize("number, name", [(signal.SIGINT, "Interrupt"), (signal.SIGTERM, "Terminated"), (signal.SIGHUP, "Hangup")])
def test_a_signal_is_a_lost_connection(number, name):
    """Whatever the server was asked: it did not refuse."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(server)
        connection, _ = server.accept()
        connection.sendall(b"220 here\r\n")
        assert connection.recv(100).startswith(b"EHLO")
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
        connection.close()
    assert process.returncode == 6 and name.encode() in err


@pytest.mark.parametrize("output", [[], ["--json"], ["--output-file=/dev/full"], ["--dump-mail"]])
def test_a_transcript_that_cannot_be_written_is_no_success(sink, output):
    with open("/dev/full", "w") as full:
        done = subprocess.run([ENVOI, "probe", "-s", f"127.0.0.1:{sink().port}", "-t", TO, *output], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), timeout=20)
    assert done.returncode == 1
    assert "cannot write" in done.stderr.decode() or "--output-file" in output[0]


def test_a_reader_that_has_had_enough_is_no_failure(sink):
    done = subprocess.run(["sh", "-c", '"$@" | head -n 1', "sh", ENVOI, "probe", "-s", f"127.0.0.1:{sink().port}", "-t", TO], capture_output=True,
                          text=True, env=environment(), timeout=20)
    assert done.stdout.startswith("=== Trying") and done.stderr == ""


# ---- cost ----

def peak_kib(*args):
    """/usr/bin/time -v says what the process held at most."""
    done = subprocess.run(["/usr/bin/time", "-f", "%M", ENVOI, "probe", *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True, env=environment(), timeout=120)
    assert done.returncode == 0, done
    return int(done.stderr.splitlines()[-1])


@pytest.mark.skipif(not os.path.exists("/usr/bin/time"), reason="GNU time is not installed")
def test_large_attachment_in_constant_memory(sink, tmp_path):
    server = sink("--discard")
    sizes = {}
    for name, octets in (("small", 1 << 10), ("large", 50 << 20)):
        with open(tmp_path / name, "wb") as f:
            f.truncate(octets)
        sizes[name] = peak_kib("-s", f"127.0.0.1:{server.port}", "-t", TO, "-n", "--attach", f"@{tmp_path / name}")
    assert sizes["large"] < sizes["small"] + 4096
    assert sizes["large"] < 8 << 10 or "clang" in os.environ.get("CC", "") or sizes["small"] > 7 << 10
