"""The sink serves other people's clients: curl, swaks, smtplib, msmtp, nodemailer, each in clear, with STARTTLS, with TLS from the
start, with every mechanism it has, and by LMTP where it can."""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import shutil
import smtplib
import subprocess

import pytest

from client import environment
from client import envoi as run_envoi
from test_sink import insecure, sink, stored  # noqa: F401

USER, PASSWORD = "user@example.org", "pa:ss=word"
FROM, TO = "me@example.org", ["a@example.org", "b@example.org"]
BODY = b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: me@example.org\r\nTo: a@example.org\r\nSubject: test\r\nMessage-ID: <one@example.org>\r\n\r\n.dot\r\n..dots\r\nlast\r\n"
WAYS = ("plain", "starttls", "implicit")
SERVERS = pathlib.Path(os.environ.get("ENVOI_SERVERS", "build/servers")).resolve()


def program(name):
    return shutil.which(name) or pytest.skip(f"{name} is not here")


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, timeout=60, **{"env": environment(), **options})
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def curl(s, way, mechanism, lmtp):
    port = s.tls_ports[0] if way == "implicit" else s.ports[0]
    oauth = mechanism in ("XOAUTH2", "OAUTHBEARER")
    login = ["--user", f"{USER}:{PASSWORD}", "--login-options", f"AUTH={mechanism}"] if mechanism else []
    if oauth:
        login = ["--user", USER, "--oauth2-bearer", PASSWORD, "--login-options", f"AUTH={mechanism}"]
    run(program("curl"), "-sS", "-k", *(["--ssl-reqd"] if way == "starttls" else []), *login, "--mail-from", FROM,
        *(x for to in TO for x in ("--mail-rcpt", to)), "-T", "-", f"smtp{'s' if way == 'implicit' else ''}://127.0.0.1:{port}/me", input=BODY)


def swaks(s, way, mechanism, lmtp):
    server = ["--socket", s.path] if lmtp else ["--server", "127.0.0.1", "--port", s.tls_ports[0] if way == "implicit" else s.ports[0]]
    tls = {"plain": [], "starttls": ["-tls"], "implicit": ["-tlsc"]}[way]
    login = ["--auth", mechanism, "--auth-user", USER, "--auth-password", PASSWORD] if mechanism else []
    run(program("swaks"), *server, *tls, *login, *(["--protocol", "LMTP"] if lmtp else []), "--from", FROM, "--to", ",".join(TO),
        "--helo", "me", "--data", "-", input=BODY.replace(b"\r\n", b"\n"))


def scram(c):
    """SCRAM-SHA-256 (RFC 7677) by hand: smtplib has none."""
    nonce = secrets.token_hex(9)
    first = f"n={USER},r={nonce}"
    code, text = c.docmd("AUTH", "SCRAM-SHA-256 " + base64.b64encode(f"n,,{first}".encode()).decode())
    assert code == 334, text
    challenge = base64.b64decode(text).decode()
    r, salt, rounds = re.fullmatch(r"r=(%s[^,]+),s=([^,]+),i=(\d+)" % nonce, challenge).groups()
    assert int(rounds) >= 4096
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(rounds))

    def sign(key, data):
        return hmac.new(key, data, "sha256").digest()

    final = f"c=biws,r={r}"
    said = f"{first},{challenge},{final}".encode()
    key = sign(salted, b"Client Key")
    proof = bytes(a ^ b for a, b in zip(key, sign(hashlib.sha256(key).digest(), said)))
    code, text = c.docmd(base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode()).decode())
    assert code == 334 and base64.b64decode(text) == b"v=" + base64.b64encode(sign(sign(salted, b"Server Key"), said))
    assert c.docmd("")[0] == 235


def python(s, way, mechanism, lmtp):
    c = smtplib.LMTP(str(s.path)) if lmtp else smtplib.SMTP_SSL("127.0.0.1", s.tls_ports[0], context=insecure()) if way == "implicit" \
        else smtplib.SMTP("127.0.0.1", s.ports[0])
    with c:
        if way == "starttls":
            c.starttls(context=insecure())
        c.ehlo_or_helo_if_needed()
        c.user, c.password = USER, PASSWORD
        if mechanism == "SCRAM-SHA-256":
            scram(c)
        elif mechanism:
            c.auth(mechanism, {"PLAIN": c.auth_plain, "LOGIN": c.auth_login}[mechanism])
        assert c.sendmail(FROM, s.to, BODY) == {}


def msmtp(s, way, mechanism, lmtp):
    server = [f"--socket={s.path}", "--host=x", "--port=24", "--protocol=lmtp"] if lmtp \
        else ["--host=127.0.0.1", f"--port={s.tls_ports[0] if way == 'implicit' else s.ports[0]}"]
    tls = ["--tls=off"] if way == "plain" else ["--tls=on", f"--tls-starttls={'on' if way == 'starttls' else 'off'}", "--tls-trust-file=",
                                                f"--tls-fingerprint={s.fingerprint}"]
    login = [f"--auth={mechanism.lower()}", f"--user={USER}", f"--passwordeval=echo '{PASSWORD}'"] if mechanism else ["--auth=off"]
    run(program("msmtp"), "-C", "/dev/null", *server, *tls, *login, f"--from={FROM}", "--", *TO, input=BODY.replace(b"\r\n", b"\n"))


def nodemailer(s, way, mechanism, lmtp):
    options = {"host": "127.0.0.1", "port": s.tls_ports[0] if way == "implicit" else s.ports[0], "secure": way == "implicit",
               "requireTLS": way == "starttls", "ignoreTLS": way == "plain", "tls": {"rejectUnauthorized": False}, "lmtp": lmtp}
    if mechanism:
        options["authMethod"] = mechanism
        options["auth"] = {"type": "OAuth2", "user": USER, "accessToken": PASSWORD} if mechanism == "XOAUTH2" \
            else {"user": USER, "pass": PASSWORD}
    mail = {"envelope": {"from": FROM, "to": TO}, "raw": BODY.decode()}
    run(program("node"), "-e", """
        const [options, mail] = JSON.parse(process.argv[1]);
        require("nodemailer").createTransport(options).sendMail(mail).catch(e => { console.error(e); process.exitCode = 1 });
        """, json.dumps([options, mail]), env=environment(NODE_PATH=node_package("nodemailer")))


def node_package(name):
    """The folder where node finds it: unpacked beside the servers, or the system's."""
    places = [p / "usr/share/nodejs" for p in (SERVERS / name, pathlib.Path("/"))]
    return next((str(p) for p in places if (p / name).is_dir()), None) or pytest.skip(f"{name} is not here: see tests/servers/fetch")


def envoi(s, way, mechanism, lmtp):
    server = [f"--socket={s.path}", "--protocol=lmtp", "--tls=off"] if lmtp \
        else ["--host=127.0.0.1", f"--port={s.tls_ports[0] if way == 'implicit' else s.ports[0]}"]
    tls = [] if lmtp else ["--tls=off"] if way == "plain" else ["--tls=on", f"--tls-starttls={'on' if way == 'starttls' else 'off'}",
                                                                f"--tls-fingerprint={s.fingerprint}"]
    login = [f"--auth={mechanism.lower()}", f"--user={USER}", f"--passwordeval=echo '{PASSWORD}'"] if mechanism else ["--auth=off"]
    done = run_envoi(*server, *tls, *login, f"--from={FROM}", *TO, message=BODY)
    assert done.status == 0, done


# How each can come in: its mechanisms, and whether it speaks LMTP (and to what).
CLIENTS = {
    curl: (["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"], None),
    swaks: (["PLAIN", "LOGIN"], "socket"),
    python: (["PLAIN", "LOGIN", "SCRAM-SHA-256"], "socket"),
    msmtp: (["PLAIN", "LOGIN", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER"], "socket"),
    nodemailer: (["PLAIN", "LOGIN", "XOAUTH2"], "port"),
    envoi: (["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER"], "socket"),
}


def rows():
    for client, (mechanisms, lmtp) in CLIENTS.items():
        for way in WAYS:
            yield pytest.param(client, way, None, None, id=f"{client.__name__}-{way}")
        for mechanism in mechanisms:
            yield pytest.param(client, "starttls", mechanism, None, id=f"{client.__name__}-{mechanism}")
        if lmtp:
            yield pytest.param(client, "plain", None, lmtp, id=f"{client.__name__}-lmtp")


@pytest.mark.parametrize("client, way, mechanism, lmtp", rows())
def test_client(sink, tmp_path, client, way, mechanism, lmtp):  # noqa: F811
    path = tmp_path / "socket"
    listen = [path] if lmtp == "socket" else ["127.0.0.1:0"]
    login = ["--auth", f"{USER}:{PASSWORD}", "--auth-required"] if mechanism else []
    s = sink("--listen", *listen, "--listen-tls", "127.0.0.1:0", "--maildir", tmp_path / "md", *login, *(["--lmtp"] if lmtp else []))
    s.path = path
    s.to = TO[:1] if client is python and lmtp else TO  # smtplib takes one reply for all
    s.read_fingerprint()
    client(s, way, mechanism, lmtp)
    (envelope, data), = stored(tmp_path / "md")
    assert data.rstrip(b"\r\n") == BODY.rstrip(b"\r\n")
    assert [line for line in envelope if "-From:" in line or "-To:" in line] == [
        f"X-Envelope-From: <{FROM}>", *(f"X-Envelope-To: <{to}>" for to in s.to)]
    protocol = ("LMTP" if lmtp else "ESMTP") + ("" if way == "plain" else "S") + ("A" if mechanism else "")
    assert f"X-Envelope-Protocol: {protocol}" in envelope
    assert (f"X-Envelope-User: {USER}" in envelope) == bool(mechanism)


@pytest.mark.parametrize("way", ["plain", "starttls", "implicit"])
def test_scram_refuses(sink, way):  # noqa: F811
    """A wrong password, another's name with the right one; and the line goes on."""
    s = sink("--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0", "--auth", f"{USER}:{PASSWORD}", "--auth-mechanisms",
             "SCRAM-SHA-256,SCRAM-SHA-256-PLUS")
    port = s.tls_ports[0] if way == "implicit" else s.ports[0]
    tls = ["--tls=off"] if way == "plain" else ["--tls=on", f"--tls-starttls={'on' if way == 'starttls' else 'off'}",
                                                f"--tls-fingerprint={s.read_fingerprint()}"]
    for user, password, status in [(USER, "wrong", 77), ("other@example.org", PASSWORD, 77), (USER, PASSWORD, 0)]:
        done = run_envoi("--host=127.0.0.1", f"--port={port}", *tls, "--auth=on", f"--user={user}", f"--passwordeval=echo '{password}'",
                         f"--from={FROM}", "-v", *TO, message=BODY)
        assert done.status == status, done
        assert f"AUTH SCRAM-SHA-256{'' if way == 'plain' else '-PLUS'}" in done.err


def test_mechanisms(sink):  # noqa: F811
    def offered(*options):
        s = sink(*options)
        with smtplib.SMTP("127.0.0.1", s.ports[0]) as c:
            c.ehlo("x")
            clear = c.esmtp_features["auth"].split()
            c.starttls(context=insecure())
            c.ehlo("x")
            return clear, c.esmtp_features["auth"].split()

    shown = ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"]
    assert offered("--auth", "u:p") == (["SCRAM-SHA-256", *shown], ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", *shown])
    assert offered("--auth", "any") == (shown, shown)
    assert offered("--auth", "any", "--auth-mechanisms", "login") == (["LOGIN"], ["LOGIN"])


def test_json(sink, tmp_path):  # noqa: F811
    """Every field of the line about a message, and nothing that has nothing to say."""
    p = subprocess.Popen([os.environ.get("ENVOI", "envoi"), "sink", "--json", "--once", "2", "--maildir", tmp_path / "md", "--auth", "u:p"],
                         stdout=subprocess.PIPE)
    listening = json.loads(p.stdout.readline())
    with smtplib.SMTP("127.0.0.1", listening["port"]) as c:
        c.ehlo("me")
        c.sendmail("", ["c@d"], b"no header\r\n")
        c.starttls(context=insecure())
        c.login("u", "p")
        c.ehlo("[192.0.2.1]")
        c.sendmail(FROM, TO, BODY, ["BODY=8BITMIME"], ["NOTIFY=NEVER"])
    short, full = (json.loads(p.stdout.readline()) for _ in range(2))
    assert p.wait(20) == 0
    p.stdout.close()
    for line in (short, full):
        assert isinstance(line.pop("t"), float)
        assert pathlib.Path(line.pop("stored")).parent == tmp_path / "md" / "new"
    assert short == {"event": "received", "connection": 1, "from": "", "recipients": ["c@d"], "octets": 11, "peer": "127.0.0.1", "helo": "me",
                     "protocol": "ESMTP", "parameters": ["MAIL size=11"], "sha256": hashlib.sha256(b"no header\r\n").hexdigest()}
    assert full == {"event": "received", "connection": 1, "from": FROM, "recipients": TO, "octets": len(BODY), "peer": "127.0.0.1",
                    "helo": "[192.0.2.1]", "protocol": "ESMTPSA", "tls": "TLS1.3", "user": "u", "message_id": "<one@example.org>",
                    "sha256": hashlib.sha256(BODY).hexdigest(),
                    "parameters": [f"MAIL size={len(BODY)} BODY=8BITMIME", *(f"RCPT <{to}> NOTIFY=NEVER" for to in TO)]}


def test_limits(sink):  # noqa: F811
    s = sink("--recipients", 2, "--idle", "0.3")
    with s.connect() as c:
        c.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<1@d>\r\nRCPT TO:<2@d>\r\nRCPT TO:<3@d>\r\n")
        text = b""
        while part := c.recv(4096):
            text += part
    assert [line[:3] for line in text.split(b"\r\n")[-5:-1]] == [b"250", b"250", b"452", b"421"]


def test_connections(sink):  # noqa: F811
    s = sink("--connections", 1)
    with s.connect() as c, s.connect() as d:
        assert c.recv(100).startswith(b"220")
        d.settimeout(0.2)
        with pytest.raises(TimeoutError):
            d.recv(100)
        c.close()
        d.settimeout(20)
        assert d.recv(100).startswith(b"220")
