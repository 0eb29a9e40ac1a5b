"""The log: msmtp's line, field by field from the same run against the same server; many writers at once; a log that cannot be
written; syslog."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

import client

ENVOI = os.environ.get("ENVOI", "./envoi")
MSMTP = shutil.which("msmtp")
MAIL = ("From: a@b.example\nTo: c@d.example\nDate: Sat, 21 Nov 2026 21:00:00 +0000\nMessage-ID: <1@b.example>\nSubject: x\n\nhello\n"
        .replace("\n", "\r\n"))
THEIRS = ["host", "tls", "auth", "user", "from", "recipients", "mailsize", "smtpstatus", "smtpmsg", "errormsg", "exitcode"]
OURS = ["port", "msgid", "queueid", "ms"]


def run(program, *arguments):
    return subprocess.run([program, *arguments], input=MAIL, capture_output=True, text=True, timeout=60, start_new_session=True)


def fields(line):
    """The fields behind the time, in their order."""
    return dict(re.findall(r"(\w+)=('[^']*'|\S*)", line[line.index("host="):]))


@pytest.fixture
def serve():
    """Starts a sink: its port."""
    with contextlib.ExitStack() as started:
        yield lambda *options: started.enter_context(client.sink("--listen=:0", *options))[0]


@pytest.fixture
def script(serve, tmp_path):
    def start(text):
        (tmp_path / "script").write_text(text)
        return serve(f"--script={tmp_path / 'script'}")
    return start


HELLO = "S: 220 mx.example\nC: EHLO\nS: 250 mx.example\n"
ENVELOPE = HELLO + "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\n# @body\n"
END = "C: /QUIT|RSET/\n"
CASES = {
    "queued": (ENVELOPE + "S: 250 2.0.0 Ok: queued as 4XABC\n" + END, []),
    "sender": (HELLO + "C: MAIL\nS: 553 5.7.1 not yours\n" + END, []),
    "recipient": (HELLO + "C: MAIL\nS: 250 ok\nC: RCPT\nS: 550-5.1.1 no such user\nS: 550 5.1.1 it's not here\n" + END, []),
    "message": (ENVELOPE + "S: 552 5.3.4 too big\n" + END, []),
    "greeting": ("S: 421 mx.example not now\n", []),
    "login": ("S: 220 mx.example\nC: EHLO\nS: 250-mx.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN\nS: 535 5.7.8 bad\n" + END,
              ["--auth=plain", "--user=me", "--passwordeval=echo pw"]),
    "logged in": ("S: 220 mx.example\nC: EHLO\nS: 250-mx.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN\nS: 235 ok\n"
                  + ENVELOPE.replace(HELLO, "") + "S: 250 ok\n" + END, ["--auth=plain", "--user=me", "--passwordeval=echo pw"]),
    "nobody answers": (None, []),
}


@pytest.mark.skipif(not MSMTP, reason="msmtp is not installed")
@pytest.mark.parametrize("case", CASES)
def test_beside_msmtp(script, tmp_path, case):
    text, options = CASES[case]
    port = script(text) if text else 1
    logs = {}
    for program in (MSMTP, ENVOI):
        log = tmp_path / os.path.basename(program)
        run(program, *(["-C", "/dev/null"] if program == MSMTP else []), "--host=127.0.0.1", f"--port={port}", "--tls=off",
            f"--logfile={log}", "--logfile-time-format=T", "-f", "a@b.example", *options, "c@d.example")
        assert log.read_text().count("\n") == 1
        logs[program] = fields(log.read_text())
    assert (tmp_path / "envoi").stat().st_mode & 0o777 == 0o600
    theirs, ours = logs[MSMTP], logs[ENVOI]
    for name in THEIRS:
        assert (name in theirs) == (name in ours), name
    for name in set(theirs) - {"errormsg", "exitcode", "mailsize"}:  # our words, and our exit statuses
        assert theirs[name] == ours[name], name
    if "mailsize" in ours:  # the octets that were sent; msmtp counts each line end as one
        assert int(ours["mailsize"]) == len(MAIL) == int(theirs["mailsize"]) + MAIL.count("\r\n")
    assert (theirs["exitcode"] == "EX_OK") == (ours["exitcode"] == "EX_OK")
    order = [name for name in THEIRS + OURS if name in ours]
    assert list(ours) == order and list(theirs) == [n for n in order if n in THEIRS]
    assert ours["port"] == str(port) and ours["msgid"] == "<1@b.example>"
    assert ("queueid" in ours) == (case == "queued")


def test_tls_auto_tells_what_was(serve, tmp_path):
    log = tmp_path / "log"
    for port, tls in ((serve(), "on"), (serve("--extensions=-STARTTLS"), "off"), (1, "off")):
        run(ENVOI, "--host=127.0.0.1", f"--port={port}", f"--logfile={log}", "-f", "a@b.example", "c@d.example")
        assert fields(log.read_text().splitlines()[-1])["tls"] == tls


def test_twenty_writers_tear_no_line(serve, tmp_path):
    port, log = serve(), tmp_path / "log"
    long = ",".join(f"r{i}@{'x' * 60}.example" for i in range(80))  # more than a pipe's or a page's worth
    want = {}

    def write(n):
        done = run(ENVOI, "--host=127.0.0.1", f"--port={port}", f"--logfile={log}", "--logfile-time-format=T",
                   "-f", f"w{n}@b.example", *long.split(","))
        assert done.returncode == 0, done.stderr
        want[f"w{n}@b.example"] = True

    threads = [threading.Thread(target=write, args=(n,)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    lines = log.read_text().splitlines()
    assert len(lines) == 20 and {fields(line)["from"] for line in lines} == set(want)
    for line in lines:
        got = fields(line)
        assert line.startswith("T host=") and got["recipients"] == long and got["exitcode"] == "EX_OK"


@pytest.mark.skipif(not MSMTP, reason="msmtp is not installed")
def test_msmtp_may_share_the_log(serve, tmp_path):
    port, log = serve(), tmp_path / "log"
    programs = [MSMTP, ENVOI] * 5
    threads = [threading.Thread(target=run, args=(p, *(["-C", "/dev/null"] if p == MSMTP else []), "--host=127.0.0.1",
                                                  f"--port={port}", f"--logfile={log}", "-f", "a@b.example", "c@d.example"))
               for p in programs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(re.findall(r"^\w{3} \d\d \d\d:\d\d:\d\d host=.* exitcode=EX_OK.*$", log.read_text(), flags=re.M)) == len(programs)


@pytest.mark.parametrize("name, text", [
    ("missing/log", "No such file or directory"),
    ("folder", "Is a directory"),
    ("/dev/full", "No space left on device"),
])
def test_a_log_that_fails_warns_and_no_more(serve, tmp_path, name, text):
    (tmp_path / "folder").mkdir()
    good = run(ENVOI, "--host=127.0.0.1", f"--port={serve()}", f"--logfile={tmp_path / name}", "-f", "a@b.example", "c@d.example")
    assert good.returncode == 0 and good.stderr.startswith("envoi: warning: ") and text in good.stderr
    bad = run(ENVOI, "--host=127.0.0.1", "--port=1", f"--logfile={tmp_path / name}", "-f", "a@b.example", "c@d.example")
    assert bad.returncode == 75 and text in bad.stderr and "cannot connect" in bad.stderr


def test_a_log_at_its_size_limit_costs_no_message(serve, tmp_path):
    log = tmp_path / "log"
    log.write_text("x" * 4096)
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "-"]
    done = run(*limited, ENVOI, "--host=127.0.0.1", f"--port={serve()}", f"--logfile={log}", "-f", "a@b.example", "c@d.example")
    assert done.returncode == 0 and "File too large" in done.stderr


def test_to_standard_output(serve):
    done = run(ENVOI, "--host=127.0.0.1", f"--port={serve()}", "--logfile=-", "-f", "a@b.example", "c@d.example")
    assert re.fullmatch(r"\w{3} \d\d \d\d:\d\d:\d\d host=127.0.0.1 .* exitcode=EX_OK .*\n", done.stdout)


def test_nothing_that_is_no_mail_is_logged(serve, tmp_path):
    log = tmp_path / "log"
    for mode in ("--serverinfo", "--rmqs=x"):
        run(ENVOI, "--host=127.0.0.1", f"--port={serve()}", f"--logfile={log}", mode)
    assert not log.exists()


# ---- syslog: a socket of ours as /dev/log, where only envoi sees it ----

def in_namespace(tmp_path, *command):
    """Runs a command whose /dev is a tmpfs with the null device and our socket."""
    setup = ('mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && ln -s "$0" /dev/log && exec "$@"')
    return subprocess.run(["unshare", "-m", "sh", "-c", setup, str(tmp_path / "log.socket"), *command], input=MAIL,
                          capture_output=True, text=True, timeout=60)


@pytest.fixture
def syslog(tmp_path):
    if os.geteuid() != 0 or not shutil.which("unshare") or in_namespace(tmp_path, "true").returncode != 0:
        pytest.skip("a mount namespace of its own is not allowed here")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "log.socket"))
        s.settimeout(10)
        yield lambda: s.recv(65536).decode()


USER, MAILERS, LOCAL3, INFO, ERR = 1, 2, 19, 6, 3


@pytest.mark.parametrize("facility, number", [("on", USER), ("LOG_MAIL", MAILERS), ("LOG_LOCAL3", LOCAL3)])
def test_syslog(serve, syslog, tmp_path, facility, number):
    port = serve()
    for to, level, exitcode in ((port, INFO, "EX_OK"), (1, ERR, "EX_TEMPFAIL")):
        done = in_namespace(tmp_path, ENVOI, "--host=127.0.0.1", f"--port={to}", f"--syslog={facility}", "-f", "a@b.example", "c@d.example")
        assert done.returncode == (0 if exitcode == "EX_OK" else 75), done.stderr
        priority, text = re.fullmatch(r"<(\d+)>(.*)", syslog().rstrip("\0\n")).groups()
        assert int(priority) == number * 8 + level
        assert re.search(rf" envoi: host=127.0.0.1 tls=.* recipients=c@d.example .*exitcode={exitcode}", text), text


def test_no_syslog_changes_nothing(serve, tmp_path, syslog):
    (tmp_path / "log.socket").unlink()
    done = in_namespace(tmp_path, ENVOI, "--host=127.0.0.1", f"--port={serve()}", "--syslog=on", "-f", "a@b.example", "c@d.example")
    assert done.returncode == 0
