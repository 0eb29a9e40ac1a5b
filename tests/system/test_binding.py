"""Logins tied to the TLS connection, against servers written from the RFCs: SCRAM with channel binding, and EXTERNAL."""

import ssl

import pytest

from client import SENDER, environment, envoi, message, to_port
from faultserver import FaultServer

pytest.importorskip("OpenSSL", reason="python3-openssl is not installed")
import scramserver  # noqa: E402

BINDING = {"1.2": "p=tls-unique", "1.3": "p=tls-exporter"}


def login(certs, server, *more, auth="on", password="pencil", env=None):
    return envoi(*to_port(server.port, ca=certs.ca, tls="starttls", auth=auth, user="u", password=password), *more, "-f", SENDER,
                 "b@example.org", message=message()[1], env=env)


@pytest.mark.parametrize("version", BINDING)
def test_bound(certs, version):
    with scramserver.ScramServer(certs, version, "pencil") as server:
        done = login(certs, server)
    assert done.status == 0 and server.gs2 == BINDING[version], (done, server.gs2)


@pytest.mark.parametrize("version", BINDING)
def test_bound_to_resumed_session(certs, tmp_path, version):
    """The binding is that of the connection, not of the session."""
    with scramserver.ScramServer(certs, version, "pencil") as server:
        for resumed in (False, True, True):
            done = login(certs, server, "--tls-session-cache=on", env=environment(XDG_CACHE_HOME=str(tmp_path)))
            assert done.status == 0 and server.gs2 == BINDING[version], (done, server.gs2)
            assert server.resumed[-1] == resumed


@pytest.mark.parametrize("version", BINDING)
def test_session_not_borne(certs, tmp_path, version):
    """OpenSSL breaks the handshake off where a session is offered to a server that asks for certificates and has no name for its
    sessions: the message goes there all the same, and from then on no session is offered."""
    with scramserver.ScramServer(certs, version, "pencil") as server:
        for tries in (1, 2, 1):
            server.context.set_verify(scramserver.SSL.VERIFY_PEER if server.connections else scramserver.SSL.VERIFY_NONE,
                                      lambda *_: True)
            before = server.connections
            done = login(certs, server, "--tls-session-cache=on", env=environment(XDG_CACHE_HOME=str(tmp_path)))
            assert done.status == 0 and done.err == "", done
            assert server.connections == before + tries
    assert not any(server.resumed)


@pytest.mark.parametrize("version", BINDING)
def test_without_plus(certs, version):
    with scramserver.ScramServer(certs, version, "pencil", plus=False) as server:
        done = login(certs, server)
    assert done.status == 0 and server.gs2 in ("y", "n"), (done, server.gs2)


@pytest.mark.parametrize("version", BINDING)
@pytest.mark.parametrize("trouble", ["wrong password", "man in the middle", "liar"])
def test_refused(certs, version, trouble):
    options = {"man in the middle": dict(man_in_the_middle=True), "liar": dict(liar=True)}.get(trouble, {})
    with scramserver.ScramServer(certs, version, "pencil", **options) as server:
        done = login(certs, server, password="crayon" if trouble == "wrong password" else "pencil")
    assert done.status == 77, done
    assert server.verbs().count("AUTH") == 1, "the next mechanism would hand the password to whoever this is"
    assert "MAIL" not in server.verbs()


def test_external(certs):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert(), certs.key())
    context.load_verify_locations(certs.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with FaultServer(tls=context, auth=True) as server:
        server.mechanisms = "EXTERNAL PLAIN"
        done = envoi("--host=localhost", f"--port={server.port}", "--tls=on", "--tls-starttls=on", f"--tls-trust-file={certs.ca}",
                     f"--tls-cert-file={certs.cert('client')}", f"--tls-key-file={certs.key('client')}", "--auth=external",
                     "-f", SENDER, "b@example.org", message=message()[1])
    assert done.status == 0, done
    assert b"AUTH EXTERNAL =" in server.lines
