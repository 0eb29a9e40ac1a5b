"""The errors a new user is most likely to meet, with their exact texts: tests/errors.txt holds them side by side.

CASES brings each about. UPDATE_ERRORS=1 writes the texts that are printed now into the file, for the reviewer to read."""
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

from test_secrets import keyring, probe, session  # noqa: F401: fixtures
from test_sink import Sink

ENVOI = pathlib.Path(os.environ.get("ENVOI", "./envoi")).resolve()
TEXTS = pathlib.Path(__file__).parent.parent / "errors.txt"
NOBODY = 65534

MAIL = "From: you@example.org\nSubject: hello\n\nbody\n"
HELLO = "S: 220 mail.example.org ESMTP\nC: EHLO\nS: 250-mail.example.org\n"
ACCOUNT = "host 127.0.0.1\nport <PORT>\nfrom you@example.org\n"
LOGIN = ACCOUNT + "user you@example.org\n"
IN_CLEAR = "tls off\n"
COMMAND = "$ envoi friend@example.net"


def login(mechanism, *server):
    """A server that refuses the login with these lines."""
    return HELLO + f"S: 250 AUTH {mechanism}\nC: AUTH {mechanism}\n" + "".join(f"S: {line}\n" for line in server)


def case(name, config=None, **more):
    """script: of the server; sink: its options instead. mode, path: of the configuration. files: others, with their mode.
    mail: on stdin. refused: the port is closed. keyring: "locked". as_nobody: root would not see the error.
    in_namespace: the server is not on loopback."""
    return pytest.param({"name": name, "config": config, "command": COMMAND, "mail": MAIL} | more, id=name)


CASES = [
    # ---- configuration ----
    case("no configuration"),
    case("the configuration cannot be read", ACCOUNT, mode=0o000, as_nobody=True),
    case("a password in a file that others may read", LOGIN + "password hunter22\n", mode=0o644),
    case("account not found", "account work\n" + ACCOUNT + "account home\n" + ACCOUNT, command="$ envoi -a wrok friend@example.net"),
    case("several accounts and no default", "account work\n" + ACCOUNT + "account home\n" + ACCOUNT),
    case("host missing", "account default\nfrom you@example.org\n"),
    case("misspelt command", "hsot mail.example.org\n"),
    case("a value that cannot be", "host mail.example.org\nport smtp\n"),
    case("misspelt option", ACCOUNT, command="$ envoi --hots=mail.example.org friend@example.net"),
    case("auth without user", ACCOUNT + "auth on\n"),
    case("a login at mail exchangers", "host mx\nuser you\nfrom you@example.org\n"),
    case("a level of TLS that is none", "host mx\ntls_policy example.org dane-olny\nfrom you@example.org\n"),
    case("REQUIRETLS and no TLS", ACCOUNT + "tls off\nrequiretls\n"),

    # ---- message and recipients ----
    case("no from", "host 127.0.0.1\nport <PORT>\n" + IN_CLEAR, mail="Subject: hello\n\nbody\n",
         script=HELLO + "S: 250 8BITMIME\nC: MAIL FROM\nS: 504 5.5.2 <root@laptop>: Sender address rejected: need fully-qualified address\n"),
    case("the sender is not the one that logs in", LOGIN + "password hunter22\nauth plain\n" + IN_CLEAR,
         script=login("PLAIN", "235 2.7.0 ok") + "C: MAIL FROM\nS: 553 5.7.1 <you@example.org>: Sender address rejected: not owned by user\n"),
    case("no recipient", ACCOUNT, command="$ envoi -t"),
    case("recipient without domain", ACCOUNT, command="$ envoi -- friend"),
    case("recipient unknown", ACCOUNT + IN_CLEAR,
         script=HELLO + "S: 250 8BITMIME\nC: MAIL FROM\nS: 250 ok\nC: RCPT TO\nS: 550 5.1.1 <friend@example.net>: Recipient address rejected: User unknown\n"),
    case("greylisted", ACCOUNT + IN_CLEAR,
         script=HELLO + "S: 250 8BITMIME\nC: MAIL FROM\nS: 250 ok\nC: RCPT TO\n"
                        "S: 450 4.2.0 <friend@example.net>: Recipient address rejected: Greylisted for 300 seconds\n"),
    case("relaying denied", ACCOUNT + IN_CLEAR,
         script=HELLO + "S: 250 8BITMIME\nC: MAIL FROM\nS: 250 ok\nC: RCPT TO\nS: 554 5.7.1 <friend@example.net>: Relay access denied\n"),
    case("empty mail", ACCOUNT, mail=""),
    case("too big for the server", ACCOUNT + IN_CLEAR, mail=MAIL + "x" * 70 + "\n", sink=["--size=100"]),

    # ---- connection ----
    case("name does not resolve", ACCOUNT.replace("127.0.0.1", "mial.exa..mple.org")),
    case("connection refused", ACCOUNT + IN_CLEAR, refused=True),
    case("silence", ACCOUNT + IN_CLEAR + "timeout 0.3\n", script="# @wait 5\nS: 220 late\n"),
    case("465 with STARTTLS", ACCOUNT + "tls on\ntls_starttls on\ntimeout 0.5\n", sink_tls=True),
    case("587 with implicit TLS", ACCOUNT + "tls on\ntls_starttls off\n", script=HELLO),
    case("no TLS offered", ACCOUNT + "tls on\n", script=HELLO + "S: 250 8BITMIME\n"),
    case("certificate nobody vouches for", ACCOUNT + "tls on\ntls_starttls off\ntls_trust_file <HOME>/ca.pem\n", sink_tls=True),

    # ---- login ----
    case("tls off with auth", LOGIN.replace("127.0.0.1", "192.0.2.1").replace("<PORT>", "587") + "password hunter22\nauth on\n" + IN_CLEAR,
         in_namespace=True),
    case("auth without tls in an msmtp file", LOGIN.replace("127.0.0.1", "192.0.2.1").replace("<PORT>", "587") + "password hunter22\nauth plain\n",
         in_namespace=True, path=".msmtprc"),
    case("login not offered", LOGIN + "password hunter22\n" + IN_CLEAR, script=HELLO + "S: 250 8BITMIME\n"),
    case("wrong password", LOGIN + "password hunter22\nauth plain\n" + IN_CLEAR,
         script=login("PLAIN", "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6")),
    case("app password needed", LOGIN + "password hunter22\nauth plain\n" + IN_CLEAR,
         script=login("PLAIN", "534-5.7.9 Application-specific password required. For more information, go to",
                      "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor - gsmtp")),
    case("expired token", LOGIN + "password ya29.secret\nauth xoauth2\n" + IN_CLEAR,
         script=login("XOAUTH2", "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiQmVhcmVyIn0=") + "C:\nS: 535 5.7.8 Username and Password not accepted.\n"),
    case("basic authentication switched off", LOGIN + "password hunter22\nauth plain\n" + IN_CLEAR,
         script=login("PLAIN", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")),

    # ---- secrets ----
    case("no password anywhere", LOGIN + "auth plain\nkeyring off\n" + IN_CLEAR, script=login("PLAIN")),
    case("keyring locked", LOGIN + "auth plain\n" + IN_CLEAR, script=login("PLAIN"), keyring="locked"),
    case("gpg without a terminal", LOGIN + "auth plain\npasswordeval gpg --quiet --decrypt mail.gpg\n" + IN_CLEAR, script=login("PLAIN"),
         files={"bin/gpg": ("#!/bin/sh\necho 'gpg: public key decryption failed: Inappropriate ioctl for device' >&2\n"
                            "echo 'gpg: decryption failed: No secret key' >&2\nexit 2\n", 0o755)}),
    case("passwordeval may not run", LOGIN + "auth plain\npasswordeval <HOME>/bin/secret\n" + IN_CLEAR, script=login("PLAIN"),
         files={"bin/secret": ("#!/bin/sh\necho secret\n", 0o644)}),
    case("passwordeval is not there", LOGIN + "auth plain\npasswordeval pas show mail\n" + IN_CLEAR, script=login("PLAIN")),
    case("passwordeval prints nothing", LOGIN + "auth plain\npasswordeval true\n" + IN_CLEAR, script=login("PLAIN")),

    # ---- reports ----
    case("the log file may not be written", ACCOUNT + IN_CLEAR + "logfile <HOME>/log/envoi.log\n", sink=[], files={"log/x": ("", 0o644)},
         as_nobody=True),
]


def texts():
    """name -> the lines of its block."""
    blocks, name = {}, None
    for line in TEXTS.read_text().splitlines() if TEXTS.exists() else []:
        if line.startswith("== "):
            name = line[3:]
            blocks[name] = []
        elif name:
            blocks[name].append(line)
    return {name: "\n".join(lines).rstrip("\n") for name, lines in blocks.items()}


HEAD = """The errors a new user is most likely to meet, as envoi prints them. tests/system/test_errors.py brings each about and
compares; with UPDATE_ERRORS=1 it writes this file. What differs from run to run
stands between angle brackets.
"""


def keep(name, text):
    """In the order of CASES."""
    blocks = texts() | {name: text}
    order = [p.id for p in CASES]
    TEXTS.write_text(HEAD + "".join(f"\n== {n}\n{blocks[n]}\n" for n in order if n in blocks))


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture
def home(run_dir):
    return run_dir("home")


def start_server(c, home, tmp_path):
    if "script" in c:
        (tmp_path / "script").write_text(c["script"])
        return Sink(tmp_path, "--script", tmp_path / "script")
    if "sink_tls" in c:
        return Sink(tmp_path, "--listen-tls=127.0.0.1:0")
    return Sink(tmp_path, *c["sink"]) if "sink" in c else None


def write(home, name, text, mode, owner):
    path = home / name
    for folder in reversed(path.relative_to(home).parents[:-1]):
        (home / folder).mkdir(exist_ok=True, mode=0o755)
    path.write_text(text)
    if os.geteuid() == 0 and owner:
        os.chown(path, owner, owner)
    path.chmod(mode)


# The address is the machine's own, in a network namespace without any other.
ELSEWHERE = """
ip link set lo up && ip addr add 192.0.2.1/32 dev lo || exit 99
"$0" sink --listen=192.0.2.1:587 --auth=any >sink.out 2>&1 &
until grep -qs listening sink.out; do sleep 0.05; done
"$0" "$@"
status=$?
kill $!
exit $status
"""


def run(c, home, port, env):
    argv = c["command"].removeprefix("$ ").split()
    argv[0] = str(ENVOI)
    if c.get("in_namespace"):
        if subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode:
            pytest.skip("no network namespaces here")
        argv = ["unshare", "-rn", "sh", "-c", ELSEWHERE] + argv
    more = {}
    if c.get("as_nobody") and os.geteuid() == 0:
        more = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    env = {"HOME": str(home), "PATH": f"{home}/bin:{os.environ['PATH']}", "LANG": "C", "USER": "root", "HOSTNAME": "laptop"} | env
    done = subprocess.run(argv, input=c["mail"], capture_output=True, text=True, timeout=60, env=env, cwd=home, start_new_session=True, **more)
    text = done.stderr.replace(str(home), "<HOME>").replace(str(port), "<PORT>")
    text = re.sub(r"\w+@" + re.escape(socket.gethostname()), "<LOGIN>", text)
    return re.sub(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", "<SHA256>", text), done.returncode


@pytest.mark.parametrize("c", CASES)
def test_error(c, home, tmp_path, certs, request):
    env, owner = {}, NOBODY if c.get("as_nobody") else 0
    if c.get("keyring"):
        s = request.getfixturevalue("keyring")
        s.store(["org.envoi.password", "host", "127.0.0.1", "service", "smtp", "user", "you@example.org"], "secret")
        s.lock()
        env = {name: s.env[name] for name in ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")}
    server = start_server(c, home, tmp_path)
    port = closed_port() if "refused" in c or not server else (server.ports + server.tls_ports)[0]
    shutil.copy(certs.ca, home / "ca.pem")
    if c["config"] is not None:
        text = c["config"].replace("<PORT>", str(port)).replace("<HOME>", str(home))
        if "host 127.0.0.1\n" in text:  # what else this machine runs would be told
            text += "diagnose off\n"
        write(home, c.get("path", ".envoirc"), text, c.get("mode", 0o600), owner)
    for name, (text, mode) in c.get("files", {}).items():
        write(home, name, text, mode, 0)
    stderr, status = run(c, home, port, env)
    if server:
        server.end()
        server.process.stdout.close()
    text = f"{c['command']}\n{stderr}exit {status}"
    if os.environ.get("UPDATE_ERRORS"):
        keep(c["name"], text)
    assert text == texts().get(c["name"])


def test_file_is_complete():
    assert list(texts()) == [p.id for p in CASES]
