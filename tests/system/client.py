"""envoi as its users start it: a process, its options, a message on its standard input."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import uuid

ENVOI = os.environ.get("ENVOI", "envoi")
SENDER = "a@example.org"


@dataclasses.dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def report(self):
        """The object that --json prints."""
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.status}\n{self.out}{self.err}"


def environment(**more):
    """No configuration of the user who runs the tests."""
    home = pathlib.Path(tempfile.gettempdir()) / "envoi-no-home"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "DBUS_", "EMAIL", "SMTPSERVER", "CREDENTIALS"))}
    return {**env, "HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "LC_ALL": "C.UTF-8", **more}


def envoi(*args, message=b"", timeout=60, env=None):
    """message: octets, or a path for a big one."""
    command = [ENVOI, *(a if isinstance(a, bytes) else str(a) for a in args)]
    options = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, env=env or environment())
    if isinstance(message, pathlib.Path):
        with open(message, "rb") as f:
            done = subprocess.run(command, stdin=f, **options)
    else:
        done = subprocess.run(command, input=message, **options)
    return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


@contextlib.contextmanager
def sink(*options):
    """envoi's own server, which is quiet: its ports, in the order of the options that name them."""
    process = subprocess.Popen([ENVOI, "sink", "--quiet", *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env=environment())
    try:
        yield [int(re.search(r":(\d+)", process.stdout.readline())[1]) for option in options if option.startswith("--listen")]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def peak_memory(process):
    """Waits for its end. The peak of its memory in KiB, as often as it was looked at: in what wait4 tells, the memory of who started
    it counts as well."""
    peak = 0
    while process.poll() is None:
        found = re.search(r"^VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.005)
    return peak


def to_port(port, *, ca=None, tls="off", auth="off", user=None, password=None, host="localhost"):
    """Options for a server. tls: off, starttls, implicit."""
    args = [f"--host={host}", f"--port={port}", f"--auth={auth}", f"--tls={'off' if tls == 'off' else 'on'}"]
    if tls != "off":
        args += [f"--tls-starttls={'on' if tls == 'starttls' else 'off'}", f"--tls-trust-file={ca}"]
    if auth != "off":
        args += [f"--user={user}", f"--passwordeval=printf %s\\\\n '{password}'"]
    return args


def to_server(server, way, auth="on", password=None):
    """Options for one way into a real server: plain, starttls, implicit, socket."""
    if way == "socket":
        return [f"--socket={server.socket}", "--protocol=lmtp", "--tls=off", "--auth=off"]
    if way == "plain":
        return to_port(server.plain)
    return to_port(getattr(server, way), ca=server.ca, tls=way, auth=auth, user=server.user,
                   password=password or server.password)


def message(token=None, body=b"one line\n", head=b""):
    """A message that needs no repair. Its first field holds the token."""
    token = token or uuid.uuid4().hex
    return token, (f"X-Envoi-Test: {token}\nFrom: A <a@example.org>\nTo: B <b@example.org>\nSubject: test\n"
                   f"Date: Sat, 21 Nov 2026 12:00:00 +0000\nMessage-ID: <{token}@example.org>\n").encode() + head + b"\n" + body


def canonical(octets):
    """Line ends made LF, the last line ended: what two copies of a message have in common."""
    text = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text if text.endswith(b"\n") else text + b"\n"


def kept(stored):
    """A stored message without what the server put in front."""
    return canonical(stored[stored.index(b"X-Envoi-Test:"):])
