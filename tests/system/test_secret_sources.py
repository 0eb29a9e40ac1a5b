"""Every source of a password through the real binary: a real login at `envoi sink`, a real keyring, a real terminal."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from test_secrets import NETWORK, OWN, SECRET_TOOL, keyring, probe, session  # noqa: F401 (fixtures)

ENVOI = os.environ.get("ENVOI", "./envoi")
MAIL = "Subject: hello\n\nthe first line\nthe second line\n"
PASSWORD = "p4ssw0rd of mine"
CONFIG = """account a
host 127.0.0.1
port {port}
auth plain
tls off
user me
from me@example.org
"""


class Place:
    """A home with a configuration, a sink that takes one login, and the mail that arrived there."""

    def __init__(self, folder, login):
        self.home, self.box = folder / "h", folder / "box"
        self.config = self.home / ".config/envoi/config"
        self.config.parent.mkdir(parents=True)
        self.sink = subprocess.Popen([ENVOI, "sink", "--listen=:0", f"--auth={login}", "--auth-required", f"--maildir={self.box}"],
                                     stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)", self.sink.stdout.readline()).group(1))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home)}
        self.write("")

    def write(self, more):
        self.config.write_text(CONFIG.format(port=self.port) + more)
        self.config.chmod(0o600)

    def join(self, keyring_session):
        self.env |= {k: v for k, v in keyring_session.env.items() if k != "HOME"}
        return self

    def run(self, *arguments, stdin="", **env):
        done = subprocess.run([ENVOI, *arguments], env=self.env | env, input=stdin, capture_output=True, text=True, timeout=60,
                              start_new_session=True)  # no terminal to ask on
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def send(self, *options, **env):
        return self.run("-a", "a", *options, "you@example.net", stdin=MAIL, **env)

    def received(self):
        mails = list((self.box / "new").glob("*")) if (self.box / "new").exists() else []
        return [m.read_bytes().decode() for m in mails]

    def stop(self):
        self.sink.terminate()
        self.sink.communicate(timeout=20)


@pytest.fixture
def place(tmp_path):
    places = []

    def make(login=f"me:{PASSWORD}"):
        places.append(Place(tmp_path, login))
        return places[-1]

    yield make
    for p in places:
        p.stop()


# ---- the keyring ----

def test_stored_found_removed(place, keyring):
    p = place().join(keyring)
    name = "the password for 'me' at '127.0.0.1'"
    missing = p.run("password", "--show-presence", "a")
    assert missing.returncode == 77 and missing.stderr.startswith("envoi: the keyring has no password for 'me' at '127.0.0.1'\n")
    stored = p.run("password", "a", stdin=PASSWORD + "\n")
    assert (stored.returncode, stored.stdout, stored.stderr) == (0, f"the keyring has {name}\n", "")
    assert keyring.get("127.0.0.1") == ("found", "keyring", PASSWORD, "")
    assert p.run("password", "--show-presence").stdout == f"the keyring has {name}\n"  # the only account
    sent = p.send("-v")
    assert sent.returncode == 0 and len(p.received()) == 1 and "from keyring" in sent.stderr
    removed = p.run("password", "--remove", "a")
    assert (removed.returncode, removed.stdout) == (0, f"the keyring has forgotten {name}\n")
    assert p.run("password", "--remove", "a").returncode == 77
    assert p.send().returncode == 77


def test_stored_again_replaces(place, keyring):
    p = place().join(keyring)
    for password in ("old one", PASSWORD):
        assert p.run("password", "--set", "a", stdin=password).returncode == 0
    assert p.send().returncode == 0


@pytest.mark.parametrize("schema", [SECRET_TOOL, NETWORK], ids=lambda item: item[0])
def test_stored_by_another_program(place, keyring, schema):
    p = place().join(keyring)
    keyring.store([w.replace("mail.example", "127.0.0.1") for w in schema], PASSWORD)
    assert p.send().returncode == 0
    assert p.run("password", "--show-presence", "a").stdout.endswith(", stored by another program\n")
    removed = p.run("password", "--remove", "a")
    assert removed.returncode == 77 and "another program stored" in removed.stderr
    assert p.send().returncode == 0


def test_three_answers_of_three_states(place, keyring):
    """Missing, locked, gone: each says what it is, when sending and when storing."""
    p = place().join(keyring)
    missing = p.send()
    assert missing.returncode == 77 and "no password for 'me' at '127.0.0.1'" in missing.stderr
    assert "keyring: it has no entry for this host and user" in missing.stderr and "envoi password a" in missing.stderr
    p.run("password", "a", stdin=PASSWORD)
    keyring.lock()
    locked = p.send()
    assert locked.returncode == 77
    assert "the keyring has the password for 'me' at '127.0.0.1' but is locked\n  hint: unlock it" in locked.stderr
    for verb in ("--set", "--remove"):
        done = p.run("password", verb, "a", stdin=PASSWORD)
        assert done.returncode == 77 and done.stderr.startswith("envoi: the keyring is locked\n  hint: unlock it"), done
    assert p.run("password", "--show-presence", "a").stdout.endswith(" and is locked\n")
    assert p.received() == []


@pytest.mark.parametrize("verb", ["--set", "--show-presence", "--remove"])
def test_no_keyring(place, session, verb):
    p = place().join(session)
    nobus = p.run("password", verb, "a", stdin=PASSWORD)
    assert nobus.returncode == 77 and "there is no D-Bus session" in nobus.stderr
    session.start_bus()
    noservice = p.join(session).run("password", verb, "a", stdin=PASSWORD)
    assert noservice.returncode == 77 and "the keyring does not answer" in noservice.stderr


@pytest.mark.parametrize("stdin, text", [
    ("", "there is no password on standard input"),
    ("\n", "there is no password on standard input"),
    ("one\ntwo\n", "it has to be one line of text"),
    ("one\r\n", "it has to be one line of text"),
    ("x" * (65 << 10), "longer than"),
])
def test_what_cannot_be_stored(place, stdin, text):
    done = place().run("password", "a", stdin=stdin)
    assert done.returncode in (64, 66, 74) and text in done.stderr, done


@pytest.mark.parametrize("arguments, status, text", [
    (["a", PASSWORD], 64, "'password' takes one account"),
    (["--set", "--remove", "a"], 64, "only one of"),
    (["b"], 78, "'b'"),
    (["--key", "a"], 78, "has no private key"),
    (["--host=127.0.0.1"], 78, "no user name"),
])
def test_usage(place, arguments, status, text):
    done = place().run("password", *arguments, stdin="x\n")
    assert done.returncode == status and text in done.stderr


# ---- the terminal ----

def on_terminal(place, arguments, answers, stdin=None):
    """Runs envoi on a terminal of its own; each prompt that ends in ': ' gets the next answer. Returns status and all it showed."""
    controller, terminal = pty.openpty()

    def own_terminal():
        os.setsid()
        os.close(os.open(os.ttyname(terminal), os.O_RDWR))

    process = subprocess.Popen([ENVOI, *arguments], env=place.env, stdin=terminal if stdin is None else subprocess.PIPE,
                               stdout=terminal, stderr=terminal, preexec_fn=own_terminal)
    os.close(terminal)
    if stdin is not None:
        process.stdin.write(stdin.encode())
        process.stdin.close()
    shown, seen, until = b"", 0, time.monotonic() + 60
    while time.monotonic() < until:
        if select.select([controller], [], [], 0.1)[0]:
            try:
                block = os.read(controller, 4096)
            except OSError:  # the other side is closed
                break
            shown += block
        if shown[seen:].endswith(b": ") and answers:
            seen = len(shown)
            os.write(controller, answers.pop(0).encode() + b"\n")
    status = process.wait(timeout=20)
    os.close(controller)
    assert PASSWORD.encode() not in shown, "the terminal echoed the password"
    return status, shown.decode()


def test_password_is_asked_for_while_the_mail_comes_from_a_pipe(place):
    p = place()
    status, shown = on_terminal(p, ["-a", "a", "you@example.net"], [PASSWORD], stdin=MAIL)
    assert status == 0 and "password for me at 127.0.0.1: " in shown
    assert "the second line" in p.received()[0]


def test_wrong_password_on_the_terminal(place):
    status, shown = on_terminal(place(), ["-a", "a", "you@example.net"], ["not this"], stdin=MAIL)
    assert status == 77 and "refused the login of 'me'" in shown


def test_stored_from_the_terminal(place, keyring):
    p = place().join(keyring)
    status, shown = on_terminal(p, ["password", "a"], [PASSWORD, PASSWORD])
    assert status == 0 and "password for me at 127.0.0.1: " in shown and "the same again: " in shown
    assert keyring.get("127.0.0.1")[2] == PASSWORD


def test_two_that_differ(place, keyring):
    p = place().join(keyring)
    status, shown = on_terminal(p, ["password", "a"], [PASSWORD, "other"])
    assert status == 64 and "the two passwords differ; nothing was stored" in shown
    assert keyring.get("127.0.0.1")[0] == "none"


# ---- commands, files, credentials ----

def test_command_does_not_eat_the_mail(place, tmp_path):
    p = place()
    p.write(f"passwordeval cat > {tmp_path}/eaten; echo '{PASSWORD}'\n")
    assert p.send().returncode == 0
    assert (tmp_path / "eaten").read_text() == ""
    assert "the first line\nthe second line\n" in p.received()[0].replace("\r\n", "\n")


def test_command_leaves_an_agent_behind(place, tmp_path):
    p = place()
    p.write(f"passwordeval sleep 300 & echo $! > {tmp_path}/agent; echo '{PASSWORD}'\ndeadline 60\n")
    try:
        assert p.send().returncode == 0 and len(p.received()) == 1
    finally:
        os.kill(int((tmp_path / "agent").read_text()), signal.SIGKILL)


def test_command_that_does_not_end(place):
    p = place()
    p.write(f"passwordeval echo '{PASSWORD}'; exec >&- 2>&- sleep 300\ndeadline 2\n")
    done = p.send()
    assert done.returncode == 75 and "did not end before the run's deadline" in done.stderr, done.stderr


@pytest.mark.parametrize("command, text", [
    ("echo first; echo the agent is not there >&2; exit 3",
     "failed with status 3: 'echo'\n  hint: it said: the agent is not there\n"),
    ("kill -9 $$", "was killed by signal 9"),
    ("true", "prints is empty: 'true'\n  hint: it has to print the password, and nothing before it\n"),
    ("echo; echo late", "prints is empty"),
    ("/nonexistent/helper", "failed with status 127"),
])
def test_command_that_fails(place, command, text):
    p = place()
    p.write(f"passwordeval {command}\n")
    done = p.send()
    assert done.returncode == 77 and text in done.stderr, done.stderr
    assert p.received() == []


@pytest.mark.parametrize("octets", [1000, 9000])
def test_command_prints_a_long_token(place, octets):
    """9000 octets are the most that a line of AUTH takes in base64 (RFC 4954 4: 12288)."""
    p = place(f"me:{'k' * octets}")
    p.write(f"passwordeval printf 'k%.0s' $(seq {octets}); echo\n")
    done = p.send("-v")
    assert done.returncode == 0, done.stderr
    assert "kkkk" not in done.stderr and len(p.received()) == 1


def test_command_prints_ten_kilobytes(place, tmp_path):
    """A server that takes longer lines than the standard's gets it whole."""
    script = tmp_path / "script"
    script.write_text("S: 220 mx.example\nC: EHLO\nS: 250-mx.example\nS: 250 AUTH PLAIN\nC: AUTH PLAIN\nS: 334\n"
                      "C: /^[A-Za-z0-9+\\/=]{13660}$/\nS: 235 ok\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\n# @body\n"
                      "S: 250 ok\nC: QUIT\n")
    p = place()
    server = subprocess.Popen([ENVOI, "sink", "--listen=:0", f"--script={script}", "--once=1"], stdout=subprocess.PIPE, text=True)
    p.port = int(re.search(r":(\d+)", server.stdout.readline()).group(1))
    p.write("passwordeval printf 'k%.0s' $(seq 10240); echo\n")
    done = p.send("-v")
    assert server.wait(timeout=20) == 0 and done.returncode == 0, done.stderr
    assert "kkkk" not in done.stderr and "a2tra2tra2tr" not in done.stderr
    server.stdout.close()


def test_command_prints_more_than_the_password(place):
    p = place()
    p.write(f"passwordeval echo '{PASSWORD}'; echo second; seq 1000\n")
    assert p.send().returncode == 0


def test_netrc(place):
    p = place()
    netrc = p.home / ".netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password \"{PASSWORD}\"\n")
    netrc.chmod(0o600)
    assert p.send().returncode == 0
    netrc.chmod(0o644)
    done = p.send()
    assert done.returncode == 78 and "others may read it" in done.stderr and "chmod 600" in done.stderr


def test_systemd_credential(place, tmp_path):
    p = place()
    (tmp_path / "envoi.a").write_text(PASSWORD + "\n")
    assert p.send(CREDENTIALS_DIRECTORY=str(tmp_path)).returncode == 0
    (tmp_path / "envoi.a").write_text("")
    done = p.send(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert done.returncode == 77 and "is empty" in done.stderr


@pytest.mark.skipif(not (shutil.which("systemd-run") and os.path.isdir("/run/systemd/system")), reason="systemd does not run here")
def test_systemd_itself_hands_it_over(place, tmp_path):
    p = place()
    (tmp_path / "secret").write_text(PASSWORD)
    (tmp_path / "mail").write_text(MAIL)
    done = subprocess.run(["systemd-run", "--wait", "--collect", "--pipe", f"--setenv=HOME={p.home}",
                           f"--property=LoadCredential=envoi.a:{tmp_path}/secret", os.path.abspath(ENVOI), "-a", "a", "you@example.net"],
                          input=MAIL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# ---- an encrypted client key ----

@pytest.fixture(scope="module")
def client_key(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=me", "-days", "2",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-passout", f"pass:{PASSWORD}"],
                   check=True, capture_output=True)
    assert "ENCRYPTED" in (folder / "key.pem").read_text()
    return folder


@pytest.fixture
def keyed(place, client_key):
    p = place("any")
    p.sink.terminate()
    p.sink.communicate(timeout=20)
    p.sink = subprocess.Popen([ENVOI, "sink", "--listen=:0", f"--maildir={p.box}"], stdout=subprocess.PIPE, text=True)
    p.port = int(re.search(r":(\d+)", p.sink.stdout.readline()).group(1))
    fingerprint = p.sink.stdout.readline().split()[1]
    p.config.write_text(f"account a\nhost 127.0.0.1\nport {p.port}\ntls on\nfrom me@example.org\ntls_fingerprint {fingerprint}\n"
                        f"tls_key_file {client_key}/key.pem\ntls_cert_file {client_key}/cert.pem\n")
    return p


def test_key_without_its_password(keyed, client_key):
    done = keyed.send()
    assert done.returncode == 77 and f"no password for the private key '{client_key}/key.pem'\n" in done.stderr
    assert "envoi password --key a" in done.stderr and keyed.received() == []


def test_key_password_from_the_terminal(keyed, client_key):
    status, shown = on_terminal(keyed, ["-a", "a", "you@example.net"], [PASSWORD], stdin=MAIL)
    assert status == 0 and shown.count(f"password of the private key {client_key}/key.pem: ") == 1, shown
    assert len(keyed.received()) == 1


def test_key_password_that_is_wrong_costs_no_connection(keyed):
    status, shown = on_terminal(keyed, ["-v", "-a", "a", "you@example.net"], ["not this"], stdin=MAIL)
    assert status == 78 and "the password of the client key" in shown and "is wrong" in shown and "connecting" not in shown


def test_key_password_from_the_keyring(keyed, keyring):
    keyed.join(keyring)
    assert keyed.run("password", "--key", "a", stdin=PASSWORD).returncode == 0
    assert keyed.send().returncode == 0 and len(keyed.received()) == 1
    keyring.lock()
    done = keyed.send()
    assert done.returncode == 77 and "the keyring has the password of" in done.stderr and "but is locked" in done.stderr


def test_key_password_from_systemd(keyed, tmp_path):
    (tmp_path / "envoi.a.key").write_text(PASSWORD + "\n")
    assert keyed.send(CREDENTIALS_DIRECTORY=str(tmp_path)).returncode == 0
