"""A TLS session of one run is taken up again by the next, and only by one that asks for the same."""

import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import threading

import pytest

import client
from client import SENDER, envoi, environment, message, to_port

CACHED = "--tls-session-cache=on"


@pytest.fixture
def cache(tmp_path):
    path = tmp_path / "cache" / "envoi" / "tls"
    return path


def env(cache, **more):
    return environment(XDG_CACHE_HOME=str(cache.parents[1]), **more)


def kept(cache):
    return sorted(p.name for p in cache.iterdir()) if cache.is_dir() else []


@pytest.fixture
def sink(certs):
    with contextlib.ExitStack() as started:
        def start(*more, name="server", port=0):
            return started.enter_context(client.sink("--listen=127.0.0.1:0", f"--listen-tls=127.0.0.1:{port}", f"--tls-cert={certs.cert(name)}",
                                                     f"--tls-key={certs.key(name)}", *more))
        start.end = started.close
        yield start


PRE_SHARED_KEY = 41


def extensions(hello):
    """Their numbers, in a ClientHello from the cipher suites on."""
    at = 2 + int.from_bytes(hello[:2], "big")
    at += 1 + hello[at] + 2
    while at < len(hello):
        number, size = struct.unpack_from(">HH", hello, at)
        yield number
        at += 4 + size


class Older:
    """A server in TLS 1.2 that says that it knows whatever session it is offered."""

    def __init__(self, port):
        self.offered, self.answers = [], []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as file:
                head = file.read(5)
                if not head:  # whoever only looks whether somebody listens
                    continue
                hello = file.read(struct.unpack(">xxxH", head)[0])
                session_id = hello[38:39 + hello[38]]
                self.offered.append(PRE_SHARED_KEY in extensions(hello[38 + len(session_id):]))
                said = b"\3\3" + os.urandom(32) + session_id + bytes.fromhex("c030 00 0005 ff01000100")
                said = b"\2" + struct.pack(">I", len(said))[1:] + said
                file.write(b"\x16\3\3" + struct.pack(">H", len(said)) + said + bytes.fromhex("140303000101 1603030028") + bytes(40))
                file.flush()
                self.answers.append(file.read(7))


def run(cache, *args, **more):
    """The facts of TLS: (resumed, verified, fingerprint of the certificate)."""
    done = envoi(*args, "-f", SENDER, "--transcript=-", "--transcript-format=json", "b@example.org", message=message()[1],
                 env=env(cache, **more))
    assert done.status == 0, done
    events = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    tls = [e for e in events if e["event"] == "tls"]
    certificates = [e for e in events if e["event"] == "certificate"]
    assert len(tls) == 1 and certificates, done
    return tls[0]["resumed"], tls[0]["verified"], certificates[0]["sha256"].replace(":", "").lower()


@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_resumed(sink, certs, cache, way, version):
    port = sink("--tls", version)[way == "implicit"]
    args = [*to_port(port, ca=certs.ca, tls=way), CACHED]
    assert run(cache, *args) == (False, True, certs.fingerprint())
    (name,) = kept(cache)
    assert name.startswith(f"localhost_{port}_") and (cache / name).stat().st_mode & 0o777 == 0o600
    for _ in range(3):
        assert run(cache, *args) == (True, True, certs.fingerprint())
    assert len(kept(cache)) == 1


def test_transcript(sink, certs, cache):
    args = [*to_port(sink()[0], ca=certs.ca, tls="starttls"), CACHED, "-v", "-f", SENDER, "b@example.org"]
    first, second = (envoi(*args, message=message()[1], env=env(cache)) for _ in range(2))
    assert "resumed" not in first.err and ", resumed, verified (trust)" in second.err
    assert "# certificate 0: " in second.err


@pytest.mark.parametrize("version", ["tls1.2", "tls1.3"])
def test_bound_login(sink, certs, cache, version):
    port = sink("--tls", version, "--auth=u:pencil", "--auth-required")[0]
    args = [*to_port(port, ca=certs.ca, tls="starttls", auth="scram-sha-256-plus", user="u", password="pencil"), CACHED]
    for resumed in (False, True, True):
        assert run(cache, *args)[0] == resumed


def directory(certs, tmp):
    (tmp / "trust").mkdir()
    shutil.copy(certs.ca, tmp / "trust" / "ca.pem")
    return [f"--tls-trust-file={tmp / 'trust'}"]


def revocation_list(certs, tmp):
    """Nobody's certificate is on it."""
    template, crl = tmp / "crl.cfg", tmp / "crl.pem"
    template.write_text("crl_next_update = 30\ncrl_number = 1\n")
    subprocess.run(["certtool", "--generate-crl", "--load-ca-privkey", certs.dir / "ca.key", "--load-ca-certificate", certs.ca,
                    "--template", template, "--outfile", crl], check=True, capture_output=True)
    return [f"--tls-crl-file={crl}"]


# What is another, or less, than in the run before: its session is not for this one, nor this one's for the next.
CHANGES = {
    "trust file": lambda certs, tmp: [f"--tls-trust-file={shutil.copy(certs.ca, tmp / 'ca.pem')}"],
    "trust directory": directory,
    "revocation list": revocation_list,
    "fingerprint": lambda certs, tmp: [f"--tls-fingerprint={certs.fingerprint()}"],
    "no check": lambda certs, tmp: ["--tls-certcheck=off"],
    "host": lambda certs, tmp: ["--host=127.0.0.1"],
    "name": lambda certs, tmp: ["--tls-host-override=127.0.0.1"],
    "priorities": lambda certs, tmp: ["--tls-priorities=NORMAL"],
    "own certificate": lambda certs, tmp: [f"--tls-cert-file={certs.cert('client')}", f"--tls-key-file={certs.key('client')}"],
    "user": lambda certs, tmp: ["--user=other", "--auth=off"],
    "source": lambda certs, tmp: ["--source-ip=127.0.0.1"],
    "off": lambda certs, tmp: ["--tls-session-cache=off"],
    "off for root": lambda certs, tmp: ["--tls-session-cache=auto"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed(sink, certs, cache, tmp_path, change):
    if change == "off for root" and os.geteuid() != 0:
        pytest.skip("not root")
    args = [*to_port(sink()[0], ca=certs.ca, tls="starttls"), CACHED]
    assert not run(cache, *args)[0]
    assert not run(cache, *args, *CHANGES[change](certs, tmp_path))[0]
    assert run(cache, *args)[0]


def test_port(sink, certs, cache):
    """Two ports of one process, which would know the session."""
    starttls, implicit = sink()
    run(cache, *to_port(starttls, ca=certs.ca, tls="starttls"), CACHED)
    assert not run(cache, *to_port(implicit, ca=certs.ca, tls="implicit"), CACHED)[0]


# A verdict that cannot stand, and no verdict at all.
UNKEPT = {
    "no check": lambda certs, tmp: ["--tls-certcheck=off"],
    "opportunistic": lambda certs, tmp: ["--tls=auto"],
    "trust directory": directory,
    "revocation list": revocation_list,
    "named by a URL": lambda certs, tmp: [f"--tls-trust-file={shutil.copy(certs.ca, tmp / 'ca.pem')}", "--tls-key-file=pkcs11:object=x",
                                          "--tls-cert-file=pkcs11:object=x"],
}


@pytest.mark.parametrize("what", UNKEPT)
def test_unkept(sink, certs, cache, tmp_path, what):
    args = [*to_port(sink()[0], ca=certs.ca, tls="starttls"), CACHED, *UNKEPT[what](certs, tmp_path)]
    done = [envoi(*args, "-f", SENDER, "b@example.org", message=message()[1], env=env(cache)) for _ in range(2)]
    assert what == "named by a URL" or all(d.status == 0 for d in done), done
    assert kept(cache) == []


def test_fingerprint_alone(sink, certs, cache):
    """Pinned certificates are verified ones, whatever tls_certcheck says."""
    args = [*to_port(sink()[0], ca=certs.other_ca, tls="starttls"), CACHED, f"--tls-fingerprint={certs.fingerprint()}",
            "--tls-certcheck=off"]
    assert [run(cache, *args)[:2] for _ in range(2)] == [(False, True), (True, True)]


def test_written_anew(sink, certs, cache, tmp_path):
    """The trust file has another time, then another inode."""
    ca = tmp_path / "ca.pem"
    shutil.copy(certs.ca, ca)
    args = [*to_port(sink()[0], ca=ca, tls="starttls"), CACHED]
    assert [run(cache, *args)[0] for _ in range(2)] == [False, True]
    os.utime(ca, (1, 1))
    assert [run(cache, *args)[0] for _ in range(2)] == [False, True]
    shutil.copy(certs.ca, tmp_path / "new.pem")
    os.utime(tmp_path / "new.pem", (1, 1))
    os.replace(tmp_path / "new.pem", ca)
    assert [run(cache, *args)[0] for _ in range(2)] == [False, True]


def test_no_longer_trusted(sink, certs, cache, tmp_path):
    ca = tmp_path / "ca.pem"
    shutil.copy(certs.ca, ca)
    args = [*to_port(sink()[0], ca=ca, tls="starttls"), CACHED]
    assert not run(cache, *args)[0]
    shutil.copy(certs.other_ca, ca)
    done = envoi(*args, "-f", SENDER, "b@example.org", message=message()[1], env=env(cache))
    assert done.status == 77 and "not among the trusted" in done.err, done


def test_system_account(sink, certs, cache, tmp_path):
    """A user's account keeps sessions where `auto` is said, root's do not; `on` is on."""
    config = tmp_path / "config"
    port = sink()[0]
    for word, expected in (("auto", os.geteuid() != 0), ("on", True), ("off", False)):
        config.write_text(f"account x\nhost localhost\nport {port}\ntls on\ntls_trust_file {certs.ca}\n"
                          f"tls_session_cache {word}\n")
        config.chmod(0o600)
        assert [run(cache, "-C", config, "-a", "x")[0] for _ in range(2)] == [False, expected], word


def test_who_looks_sees_all(sink, certs, cache):
    port = sink()[0]
    args = [*to_port(port, ca=certs.ca, tls="starttls"), CACHED]
    run(cache, *args)
    before = kept(cache)
    done = envoi("--serverinfo", *args, env=env(cache))
    assert done.status == 0 and "resumed" not in done.out + done.err, done
    done = envoi("probe", "-s", "localhost", "-p", port, "-tls", "-q", "tls", env=env(cache))
    assert "resumed" not in done.out + done.err
    assert kept(cache) == before


def test_answer_in_another_version(sink, certs, cache):
    """To a session of TLS 1.3 nothing that TLS 1.2 has to say is an answer."""
    starttls, port = sink("--tls", "tls1.3")
    args = [*to_port(port, ca=certs.ca, tls="implicit"), CACHED]
    run(cache, *args)
    sink.end()
    server = Older(port)
    done = envoi(*args, "-f", SENDER, "b@example.org", message=message()[1], env=env(cache))
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    assert done.status == 76 and server.offered[:2] == [True, False], (done, server.offered)
    assert server.answers[0] == bytes.fromhex("15030300020246"), server.answers  # fatal: protocol_version


def test_older_server(sink, certs, cache):
    """It speaks TLS 1.2 only, by now: once more without a session."""
    port = sink("--tls", "tls1.3")[1]
    args = [*to_port(port, ca=certs.ca, tls="implicit"), CACHED]
    assert not run(cache, *args)[0]
    sink.end()
    sink("--tls", "tls1.2", port=port)
    done = envoi(*args, "-v", "-f", SENDER, "b@example.org", message=message()[1], env=env(cache))
    assert done.status == 0 and "TLS1.2" in done.err and "resumed" not in done.err, done


def test_many(sink, certs, cache):
    """No more than so many files; what was not used for longest goes."""
    port = sink()[0]
    cache.mkdir(parents=True, mode=0o700)
    for folder in (cache, cache.parent, cache.parents[1]):
        folder.chmod(0o700)
    for i in range(70):
        (cache / f"h{i}").touch(0o600)
        os.utime(cache / f"h{i}", (i + 1, i + 1))
    run(cache, *to_port(port, ca=certs.ca, tls="starttls"), CACHED)
    assert len(kept(cache)) == 64 and "h6" not in kept(cache) and "h7" in kept(cache)


# Postfix gives no new ticket in a session that was taken up, and one of TLS 1.3 is used once; each of Dovecot's logins is a
# process with tickets of its own.
REAL = {"postfix": [False, True, False, True], "aiosmtpd": [False, True, True, True], "dovecot_submission": [False] * 4}


def to_real(server, way):
    return [*to_port(getattr(server, way), ca=server.ca, tls=way, auth="on", user=server.user, password=server.password), CACHED]


@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("name", REAL)
def test_real_servers(request, cache, name, way):
    server = request.getfixturevalue(name)
    facts = [run(cache, *to_real(server, way)) for _ in REAL[name]]
    assert [f[0] for f in facts] == REAL[name]
    assert all(f[1:] == facts[0][1:] for f in facts)


@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("name", ["postfix", "aiosmtpd"])
def test_real_servers_tls12(request, cache, name, way):
    """The session stays usable."""
    args = [*to_real(request.getfixturevalue(name), way), "--tls-priorities=NORMAL:-VERS-ALL:+VERS-TLS1.2"]
    assert [run(cache, *args)[0] for _ in range(4)] == [False, True, True, True]
