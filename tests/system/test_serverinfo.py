"""--serverinfo and --rmqs against real servers: `envoi sink`, scripts, and, side by side, msmtp."""

import json
import os
import re
import shutil
import subprocess

import pytest

ENVOI = os.environ.get("ENVOI", "./envoi")


class Sink:
    """`envoi sink` with these options; its address lines are read, so it is there when this returns."""

    def __init__(self, *options, lines=1):
        self.process = subprocess.Popen([ENVOI, "sink", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = [self.process.stdout.readline() for _ in range(lines)]
        self.port = int(re.search(r":(\d+)", self.said[0]).group(1))

    def stop(self):
        self.process.terminate()
        out = self.process.communicate(timeout=20)
        return out


@pytest.fixture
def sink():
    started = []

    def start(*options, lines=1):
        started.append(Sink(*options, lines=lines))
        return started[-1]

    yield start
    for s in started:
        s.stop()


@pytest.fixture
def script(sink, tmp_path):
    def start(text):
        (tmp_path / "script").write_text(text)
        return sink("--listen=:0", f"--script={tmp_path / 'script'}")
    return start


def envoi(port, *options, env=None):
    return subprocess.run([ENVOI, "--host=127.0.0.1", f"--port={port}", *options], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60, env={**os.environ, **(env or {})})


def section(text, heading):
    """The indented lines under a heading."""
    found = re.search(rf"^{re.escape(heading)}\n((?: +.*\n)*)", text, flags=re.M)
    return found and found.group(1)


@pytest.fixture
def plain(sink):
    return sink("--listen=:0", "--auth=me:secret", lines=2)


def test_all_there_is(plain):
    done = envoi(plain.port, "--serverinfo")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith(f"SMTP server at 127.0.0.1 (127.0.0.1), port {plain.port}:\n    ")
    tls = section(done.stdout, "TLS session parameters:")
    assert "Version: TLS1.3" in tls and "Cipher: " in tls and "Key exchange: " in tls
    assert "Verification: failed: the certificate of '127.0.0.1' is self-signed" in tls
    certificate = section(done.stdout, "TLS certificate information:")
    assert re.search(r"Subject:\n +CN=localhost\n", certificate) and "Issuer:" in certificate and "localhost, 127.0.0.1" in certificate
    assert re.search(r"Expiration time: \d{4}-\d\d-\d\dT[\d:]+Z\n +Days left: \d+\n", certificate)
    fingerprint = plain.said[1].split()[1]
    assert f"SHA256: {fingerprint}\n" in certificate and f"tls_fingerprint {fingerprint}\n" in certificate
    assert re.search(r"SHA256 of the public key: (\S+)\n(?:.*\n)+ +tls_fingerprint sha256-spki:\1\n", certificate)
    now, before = section(done.stdout, "Capabilities:"), section(done.stdout, "Capabilities before TLS:")
    assert "STARTTLS:" in before and "STARTTLS" not in now and re.search(r"AUTH:\n +Supported authentication methods:\n +.*\bPLAIN LOGIN\b", now)
    times = section(done.stdout, "Timings:")
    for phase in ("connect", "greeting", "ehlo", "starttls", "tls"):
        assert re.search(rf"^    {phase}: \d+\.\d+ ms$", times, flags=re.M)


@pytest.mark.parametrize("line", ["tls_fingerprint {sha}", "tls_fingerprint {spki}"])
def test_the_line_it_gives_is_taken(plain, line):
    text = envoi(plain.port, "-S").stdout
    sha, spki = re.findall(r"^ +tls_fingerprint (\S+)$", text, flags=re.M)
    again = envoi(plain.port, "-S", "--tls-fingerprint=" + line.format(sha=sha, spki=spki).split()[1])
    assert "Verification: good, by fingerprint\n" in again.stdout


def test_nobody_logs_in_and_nothing_is_asked(plain):
    done = envoi(plain.port, "-S", "-v", "--auth=plain", "--user=me", "--passwordeval=false")
    assert done.returncode == 0 and "C: AUTH" not in done.stderr and "C: QUIT" in done.stderr


def test_without_tls(plain):
    done = envoi(plain.port, "-S", "--tls=off")
    assert done.returncode == 0
    assert "TLS session" not in done.stdout and "before TLS" not in done.stdout
    assert "This server might advertise more or other capabilities when TLS is active.\n" in done.stdout


def test_tls_from_the_start(sink):
    s = sink("--listen-tls=:0")
    done = envoi(s.port, "-S", "--tls=on", "--tls-starttls=off")
    assert done.returncode == 0 and "before TLS" not in done.stdout and section(done.stdout, "Capabilities:")


def test_lmtp(sink):
    s = sink("--listen=:0", "--lmtp", lines=1)
    assert envoi(s.port, "-S", "--protocol=lmtp").stdout.startswith("LMTP server at 127.0.0.1")


def test_bad_certificate_stops_mail_all_the_same(plain):
    done = subprocess.run([ENVOI, "--host=127.0.0.1", f"--port={plain.port}", "--tls=on", "--from=a@b.example", "c@d.example"],
                          input="Subject: x\n\ny\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 77 and "self-signed" in done.stderr


def test_json(plain):
    done = envoi(plain.port, "-S", "--json")
    report = json.loads(done.stdout)
    assert report["exit"] == 0 and report["server"]["port"] == plain.port and report["server"]["greeting"]
    auth = [c for c in report["capabilities"] if c["keyword"] == "AUTH"]
    assert [c["tls"] for c in auth] == [False, True] and "PLAIN" in auth[1]["mechanisms"]
    assert report["tls"]["verified"] is False and "self-signed" in report["tls"]["problem"]
    assert report["certificates"][0]["spki_sha256"] and isinstance(report["certificates"][0]["days_left"], int)
    assert {p["name"] for p in report["phases"]} >= {"connect", "greeting", "ehlo", "starttls", "tls"}


ODD = """S: 220-mx.example ESMTP \\e[31m
S: 220 second line
C: EHLO
S: 250-mx.example
S: 250-SIZE 10485760
S: 250-ETRN
S: 250-X-FOO bar
S: 250 DSN
C: {}
S: {}
C: QUIT
"""


def test_every_keyword_is_explained_or_said_to_be_unknown(script):
    s = script(ODD.split("C: {}")[0] + "C: QUIT\n")
    done = envoi(s.port, "-S")
    now = section(done.stdout, "Capabilities:")
    assert "    SIZE 10485760:\n        Maximum message size is 10485760 bytes = 10.00 MiB\n" in now
    assert "    X-FOO bar:\n        (not known to envoi)\n" in now
    assert "    ETRN:\n        Support for RMQS (Remote Message Queue Starting)\n" in now
    assert "    second line\n" in done.stdout


def test_what_was_learnt_is_shown_before_the_error(script):
    s = script("S: 220 mx.example\nC: EHLO\nS: 250-mx.example\nS: 250 DSN\nC: QUIT\n")
    done = envoi(s.port, "-S", "--tls=on")
    assert done.returncode == 69 and "does not offer STARTTLS" in done.stderr
    assert "    DSN:\n" in done.stdout


def test_nothing_is_shown_where_nothing_answers():
    done = envoi(1, "-S")
    assert done.returncode == 75 and done.stdout == "" and "cannot connect" in done.stderr


@pytest.mark.parametrize("options, text", [
    (["-S", "a@b.example"], "there is no message to send to 'a@b.example'"),
    (["-S", "--rmqs=a"], "--serverinfo and --rmqs do not go together"),
    (["--rmqs=a b"], "'a b' is no name of a queue"),
    (["--rmqs=a\nQUIT"], ""),
])
def test_usage(options, text):
    done = envoi(1, *options)
    assert done.returncode == 64 and text in done.stderr


@pytest.mark.parametrize("queue", ["example.org", "@example.org", "#queue"])
def test_rmqs(script, queue):
    s = script(ODD.format(f"ETRN {queue}", "250 OK, queuing started"))
    done = envoi(s.port, f"--rmqs={queue}", "--tls=off")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_rmqs_json(script):
    report = json.loads(envoi(script(ODD.format("ETRN", "253 5 pending messages")).port, "--rmqs=a.example", "--json").stdout)
    assert (report["queue"], report["smtpstatus"], report["smtpmsg"]) == ("a.example", 253, "253 5 pending messages")


def test_rmqs_refused(script):
    done = envoi(script(ODD.format("ETRN", "458 Unable to queue messages")).port, "--rmqs=a.example", "--tls=off")
    assert done.returncode == 75
    assert done.stderr.startswith("envoi: the server did not start the queue 'a.example'\n  server: 458 Unable to queue messages\n")


def test_rmqs_not_offered(plain):
    done = envoi(plain.port, "--rmqs=a.example", "--tls=off")
    assert done.returncode == 69 and "does not offer ETRN" in done.stderr


@pytest.mark.skipif(not shutil.which("msmtp"), reason="msmtp is not installed")
def test_what_scripts_look_for_in_msmtps_is_there(plain):
    """Labels, fingerprints and capabilities that msmtp prints stand in our report, on lines that begin alike."""
    theirs = subprocess.run(["msmtp", "-S", "--host=127.0.0.1", f"--port={plain.port}", "--tls", "--tls-certcheck=off"],
                            capture_output=True, text=True, timeout=60)
    ours = envoi(plain.port, "-S", "--tls=on", "--tls-certcheck=off").stdout
    assert theirs.returncode == 0
    for line in theirs.stdout.splitlines()[1:]:
        word = line.split("time:")[0].rstrip()  # dates are ISO 8601 here
        if "PLAIN" in word:
            assert set(word.split()) <= set(ours.split())
        elif "STARTTLS" not in word and "(TLS1" not in word:
            assert any(mine.startswith(word) for mine in ours.splitlines()), line


# ---- the servers that people run ----

def ask(server, way, *options):
    where = ([f"--socket={server.socket}", "--protocol=lmtp"] if way == "socket" else
             [f"--host={server.host}", f"--port={getattr(server, way)}"])
    tls = {"starttls": ["--tls=on"], "implicit": ["--tls=on", "--tls-starttls=off"]}.get(way, ["--tls=off"])
    return subprocess.run([ENVOI, *where, *tls, f"--tls-trust-file={server.ca}", *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name, way", [
    ("postfix", "plain"), ("postfix", "starttls"), ("postfix", "implicit"), ("opensmtpd", "plain"), ("aiosmtpd", "starttls"),
    ("dovecot_submission", "starttls"), ("dovecot_lmtp", "socket"),
])
def test_real_servers(request, name, way):
    done = ask(request.getfixturevalue(name), way, "-S")
    assert done.returncode == 0, done.stderr
    assert section(done.stdout, "Capabilities:") and "ehlo: " in section(done.stdout, "Timings:")
    if way in ("starttls", "implicit"):
        assert "    Verification: good, by trust\n" in done.stdout and "AUTH:\n" in done.stdout


def test_postfix_does_not_keep_queues_for_everybody(postfix):
    done = ask(postfix, "plain", "--rmqs=example.net")
    assert done.returncode in (69, 75) and "did not start the queue 'example.net'\n  server: 45" in done.stderr
