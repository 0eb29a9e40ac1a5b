"""The bed itself: each real server takes a message from a client that is not ours and keeps it byte for byte."""

import smtplib
import ssl
import uuid

import pytest

WAYS = [
    ("postfix", "plain"), ("postfix", "starttls"), ("postfix", "implicit"),
    ("opensmtpd", "plain"),
    ("dovecot_submission", "starttls"), ("dovecot_submission", "implicit"), ("dovecot_lmtp", "socket"),
    ("aiosmtpd", "plain"), ("aiosmtpd", "starttls"), ("aiosmtpd", "implicit"),
]


def connect(server, way):
    tls = ssl.create_default_context(cafile=str(server.ca))
    if way == "socket":
        return smtplib.LMTP(server.socket)
    port = getattr(server, way)
    if way == "implicit":
        return smtplib.SMTP_SSL(server.host, port, context=tls)
    client = smtplib.SMTP(server.host, port)
    if way == "starttls":
        client.starttls(context=tls)
    return client


@pytest.mark.parametrize("name,way", WAYS)
def test_bed(request, name, way):
    server = request.getfixturevalue(name)
    token = uuid.uuid4().hex
    body = (f"X-Envoi-Test: {token}\r\nFrom: a@example.org\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{token}@example.org>\r\n\r\n.dot\r\n..\r\nend\r\n").encode()
    with connect(server, way) as client:
        if way in ("starttls", "implicit"):
            client.login(server.user, server.password)
        client.sendmail("a@example.org", ["u@example.org"], body)
    (stored,) = server.wait_for(token)
    kept = stored[stored.index(b"X-Envoi-Test"):].replace(b"\r\n", b"\n")
    assert kept == body.replace(b"\r\n", b"\n")
