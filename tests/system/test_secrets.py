"""The keyring: a real gnome-keyring-daemon on a bus of its own. $SECRET_PROBE names the built secret_probe."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:dir={}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"""  # no service folders: nothing is started that a test did not start

OWN = ["org.envoi.password", "host", "mail.example", "service", "smtp", "user", "me"]
SECRET_TOOL = ["org.freedesktop.Secret.Generic", "host", "mail.example", "service", "smtp", "user", "me"]
NETWORK = ["org.gnome.keyring.NetworkPassword", "server", "mail.example", "protocol", "smtp", "user", "me"]


@pytest.fixture
def probe():
    beside = pathlib.Path(os.environ.get("ENVOI", "./envoi")).parent / "tests/system/secret_probe"
    path = pathlib.Path(os.environ.get("SECRET_PROBE", beside)).resolve()
    if not path.exists():
        pytest.skip("secret_probe is not built (libsecret left out?)")
    return path


class Session:
    def __init__(self, probe, folder):
        self.probe, self.folder = probe, folder
        for name in ("run", "home"):
            (folder / name).mkdir(mode=0o700)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "run")}
        self.started = []

    def start_bus(self):
        (self.folder / "bus.conf").write_text(BUS.format(self.folder / "run"))
        bus = subprocess.Popen(["dbus-run-session", f"--config-file={self.folder / 'bus.conf'}", "--",
                                "sh", "-c", 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat'],
                               env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.started.append(bus)
        self.env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().strip()

    def start_keyring(self):
        keyring = subprocess.Popen(["gnome-keyring-daemon", "--unlock", "--components=secrets", "--foreground"],
                                   env=self.env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.started.append(keyring)
        keyring.stdin.write(b"master")
        keyring.stdin.close()
        until = time.monotonic() + 20
        while "true" not in self.ask_bus():
            assert time.monotonic() < until, "gnome-keyring-daemon does not come up"
            time.sleep(0.05)

    def ask_bus(self):
        return subprocess.run(["gdbus", "call", "--session", "--dest", "org.freedesktop.DBus", "--object-path",
                               "/org/freedesktop/DBus", "--method", "org.freedesktop.DBus.NameHasOwner",
                               "org.freedesktop.secrets"], env=self.env, capture_output=True, text=True).stdout

    def run(self, *arguments, stdin=""):
        return subprocess.run([self.probe, *arguments], env=self.env, input=stdin, capture_output=True, text=True, timeout=30)

    def store(self, item, password):
        done = self.run("store", *item, stdin=password)
        assert done.returncode == 0, done.stderr

    def lock(self):
        done = self.run("lock")
        assert done.returncode == 0, done.stderr

    def get(self, host="mail.example", user="me"):
        done = self.run("get", host, user)
        assert done.returncode == 0, done.stderr
        status, source, text, hint = done.stdout.split("\n")[:4]
        return status, source, text, hint

    def stop(self):
        for process in reversed(self.started):
            if process.stdin and not process.stdin.closed:
                process.stdin.close()  # the bus ends with its shell
            else:
                process.terminate()
            process.wait(timeout=20)
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def session(probe, tmp_path):
    for program in ("dbus-run-session", "gdbus", "gnome-keyring-daemon"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    s = Session(probe, tmp_path)
    yield s
    s.stop()


@pytest.fixture
def keyring(session):
    session.start_bus()
    session.start_keyring()
    return session


@pytest.mark.parametrize("item", [OWN, SECRET_TOOL, NETWORK], ids=lambda item: item[0])
def test_found(keyring, item):
    keyring.store(item, "pässwörd")
    assert keyring.get() == ("found", "keyring", "pässwörd", "")


def test_own_schema_goes_first(keyring):
    keyring.store(NETWORK, "network")
    keyring.store(SECRET_TOOL, "secret-tool")
    keyring.store(OWN, "own")
    assert keyring.get()[2] == "own"


@pytest.mark.parametrize("host, user", [("other.example", "me"), ("mail.example", "you")])
def test_missing(keyring, host, user):
    keyring.store(OWN, "own")
    status, _, text, hint = keyring.get(host, user)
    assert (status, text) == ("none", f"no password for '{user}' at '{host}'")
    assert "keyring: it has no entry for this host and user" in hint


@pytest.mark.parametrize("item", [OWN, SECRET_TOOL, NETWORK], ids=lambda item: item[0])
def test_locked(keyring, item):
    keyring.store(item, "secret")
    keyring.lock()
    status, source, text, hint = keyring.get()
    assert (status, source) == ("error", "keyring")
    assert text == "the keyring has the password for 'me' at 'mail.example' but is locked"
    assert "unlock it" in hint


def test_locked_but_missing(keyring):
    keyring.store(OWN, "secret")
    keyring.lock()
    assert keyring.get("other.example")[0] == "none"


def test_no_service(session):
    session.start_bus()
    begin = time.monotonic()
    status, _, _, hint = session.get()
    assert status == "none" and "keyring: the keyring does not answer" in hint
    assert time.monotonic() - begin < 5


def test_no_bus(session):
    begin = time.monotonic()
    status, _, _, hint = session.get()
    assert status == "none" and "keyring: there is no D-Bus session" in hint
    assert time.monotonic() - begin < 5


def test_bus_gone(session):
    session.env["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={session.folder}/nothing"
    status, _, _, hint = session.get()
    assert status == "none" and "keyring: the keyring does not answer" in hint


def test_netrc_after_keyring(keyring):
    netrc = keyring.folder / "home" / ".netrc"
    netrc.write_text("machine mail.example login me password fromnetrc\n")
    netrc.chmod(0o600)
    assert keyring.get() == ("found", "netrc", "fromnetrc", "")
    keyring.store(OWN, "fromkeyring")
    assert keyring.get() == ("found", "keyring", "fromkeyring", "")
