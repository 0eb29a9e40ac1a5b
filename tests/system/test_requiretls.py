"""REQUIRETLS (RFC 8689) over a smarthost: asked for, under verified TLS only, or the message stays here."""

import json

import pytest

from client import SENDER, envoi, message
from test_sink import sink  # noqa: F401: a fixture


OFFERED = "--extensions=PIPELINING,SIZE,8BITMIME,STARTTLS,REQUIRETLS"


def send(sink, certs, *options, ca=True):
    trust = [f"--tls-trust-file={certs.ca}"] if ca else []
    return envoi("--host=localhost", f"--port={sink.ports[0]}", "--requiretls", "--diagnose=off", *trust, *options, "-f", SENDER,
                 "b@example.org", message=message()[1])


def with_certificate(certs):
    return "--tls-cert", certs.cert(), "--tls-key", certs.key()


def test_asked_for(sink, certs):
    server = sink("--json", OFFERED, *with_certificate(certs))
    done = send(server, certs)
    assert done.status == 0, done
    event = {}
    while event.get("event") != "received":
        event = json.loads(server.line())
    assert any("REQUIRETLS" in p for p in event["parameters"]), event
    assert event["tls"]


def test_not_offered(sink, certs):
    done = send(sink(*with_certificate(certs)), certs, "--json")
    assert done.status == 69, done
    assert "the server does not offer REQUIRETLS, which the message demands" in done.err
    (recipient,) = done.report["recipients"]
    assert recipient["fate"] == "refused" and recipient["enhanced"] == "5.7.30", recipient


@pytest.mark.parametrize("options, status, said", [
    (["--tls=off"], 64, "'requiretls' needs TLS, and 'tls' is off"),
    (["--tls-certcheck=off"], 64, "'requiretls' needs verified TLS"),
])
def test_contradictions(sink, certs, options, status, said):
    done = send(sink(*with_certificate(certs)), certs, *options)
    assert done.status == status and said in done.err, done


def test_unverified(sink, certs):
    """A server without a user would get its mail under any certificate otherwise."""
    done = send(sink(*with_certificate(certs)), certs, ca=False)
    assert done.status == 77, done


def test_without_starttls(sink, certs):
    done = send(sink("--extensions=-STARTTLS"), certs)
    assert done.status == 69 and "STARTTLS" in done.err, done


def test_in_clear_not_offered(sink, certs):
    """The sink offers it under TLS only."""
    server = sink(OFFERED, *with_certificate(certs))
    done = envoi("--serverinfo", "--host=localhost", f"--port={server.ports[0]}", "--tls=off")
    assert "REQUIRETLS" not in done.out, done
    done = envoi("--serverinfo", "--host=localhost", f"--port={server.ports[0]}", "--tls=on", f"--tls-trust-file={certs.ca}")
    assert "REQUIRETLS" in done.out, done
