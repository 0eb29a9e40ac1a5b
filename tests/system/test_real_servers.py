"""Mail through real servers: what they store is what was sent, octet by octet."""

import random
import re

import pytest

import client
from client import SENDER, canonical, envoi, kept, message, to_server
from servers import MECHANISMS, OAUTH_MECHANISMS, jwt
from test_servers_up import WAYS

ALL_OCTETS = bytes(i for i in range(1, 256) if i not in b"\r\n")

BODIES = {
    "simple": b"one line\n",
    "crlf": b"one\r\ntwo\r\n\r\nthree\r\n",
    "mixed-line-ends": b"one\ntwo\r\nthree\n\r\nfour\r\n",
    "no-body": b"",
    "8-bit": "Grüße, Łódź, 東京\n".encode() + bytes(range(0x80, 0x100)) + b"\n",
    "every-octet": ALL_OCTETS + b"\n",
    "998": b"x" * 998 + b"\n" + b"." + b"y" * 997 + b"\n" + b"\xe9" * 998 + b"\n",
    "dots": b".\n..\n...\n. \n.a\nb.\n.\r\n\n.\n",
    "no-final-newline": b"one\ntwo",
    "no-final-newline-dot": b"one\n.",
    "from-line": b"From here on\n>From there\n",
    "blank-lines": b"\n\n\n\nend\n\n\n",
}


def send(server, way, text, recipients=("b@example.org",), *args, sender=SENDER, **how):
    done = envoi(*to_server(server, way, **how), "-f", sender, *args, "--", *recipients, message=text)
    assert done.status == 0, f"{done}\n{server.log_tail()}"
    return done


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("name,way", WAYS)
def test_stored_as_sent(request, name, way, body):
    server = request.getfixturevalue(name)
    token, text = message(body=BODIES[body])
    send(server, way, text)
    (stored,) = server.wait_for(token)
    assert kept(stored) == canonical(text)


@pytest.mark.parametrize("name,way", WAYS)
def test_hundred_recipients(request, name, way):
    server = request.getfixturevalue(name)
    token, text = message()
    send(server, way, text, [f"r{i}@example.org" for i in range(100)])
    for stored in server.wait_for(token, 100):
        assert kept(stored) == canonical(text)


@pytest.fixture(scope="module")
def fifty_megabytes():
    lines = [bytes(random.Random(i).choices(b".abcdefghij klmnop\xc3", k=i % 200)) for i in range(1000)]
    return (b"\n".join(lines) + b"\n") * (50_000_000 // sum(len(line) + 1 for line in lines))


# In Python, or behind it: there what is far more than the window of src/mail/message.c has to do.
SLOW = ("aiosmtpd", "dovecot_submission")


@pytest.mark.parametrize("name,way", WAYS)
def test_big_message(request, name, way, fifty_megabytes):
    server = request.getfixturevalue(name)
    token, text = message(body=fifty_megabytes[:10_000_000 if name in SLOW else None])
    send(server, way, text)
    (stored,) = server.wait_for(token, timeout=60)
    same = kept(stored) == canonical(text)
    assert same  # not in one expression: pytest would print the difference
    for path in server.stored(token):
        path.unlink()


# Logins

LOGINS = [("postfix", m) for m in MECHANISMS + OAUTH_MECHANISMS] + [("aiosmtpd", m) for m in ("PLAIN", "LOGIN")] + \
         [("dovecot_submission", m) for m in MECHANISMS + OAUTH_MECHANISMS]


@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("name,mechanism", LOGINS)
def test_login(request, name, mechanism, way):
    server = request.getfixturevalue(name)
    token, text = message()
    done = send(server, way, text, ["b@example.org"], "-v", auth=mechanism.lower(),
                password=jwt() if mechanism in OAUTH_MECHANISMS else None)
    assert f"AUTH {mechanism}" in done.out + done.err
    assert server.password not in done.out + done.err
    server.wait_for(token)


@pytest.mark.parametrize("name,mechanism", LOGINS)
def test_wrong_password(request, name, mechanism):
    server = request.getfixturevalue(name)
    token, text = message()
    done = envoi(*to_server(server, "starttls", auth=mechanism.lower(), password="wrong-password"), "-v", "-f", SENDER,
                 "b@example.org", message=text)
    assert done.status == 77, done
    assert "535" in done.err and "hint:" in done.err, done
    assert "wrong-password" not in done.out + done.err
    assert "MAIL FROM" not in done.out + done.err
    assert len(re.findall(r"C: AUTH", done.out + done.err)) == 1, "a second guess locks accounts"


def test_strongest_first(postfix):
    token, text = message()
    done = send(postfix, "starttls", text, ["b@example.org"], "-v", auth="on")
    assert "AUTH SCRAM-SHA-256" in done.out + done.err
    assert "AUTH=" not in postfix.wait_for(token)[0].decode()


def test_expired_token_is_explained(dovecot_submission):
    _, text = message()
    done = envoi(*to_server(dovecot_submission, "starttls", auth="oauthbearer", password=jwt(life=-10)), "-f", SENDER,
                 "b@example.org", message=text)
    assert done.status == 77, done
    assert "invalid_token" in done.err, done


# Envelopes

def test_null_sender(postfix):
    token, text = message()
    send(postfix, "plain", text, sender="<>")
    assert b"Return-Path: <>" in postfix.wait_for(token)[0]


@pytest.mark.parametrize("name,way", [("postfix", "plain"), ("postfix", "starttls"), ("aiosmtpd", "plain")])
@pytest.mark.parametrize("recipient", ["jörg@müller.example", "b@müller.example", "用户@例子.example"])
def test_utf8_addresses(request, name, way, recipient):
    server = request.getfixturevalue(name)
    token, text = message(head="X-Name: Jörg\n".encode())
    send(server, way, text, [recipient])
    (stored,) = server.wait_for(token)
    assert kept(stored) == canonical(text)
    assert recipient.encode() in stored[:stored.index(b"X-Envoi-Test")] or b"@xn--" in stored


@pytest.mark.parametrize("name,way", [("dovecot_lmtp", "socket"), ("dovecot_submission", "starttls"), ("opensmtpd", "plain")])
def test_no_smtputf8(request, name, way):
    """Only the domain is not ASCII: its ASCII form goes out. More than that: refused before anything is sent."""
    server = request.getfixturevalue(name)
    token, text = message()
    send(server, way, text, ["b@müller.example"])
    assert b"xn--mller-kva.example" in server.wait_for(token)[0]
    token, text = message()
    done = envoi(*to_server(server, way), "-v", "-f", SENDER, "jörg@example.org", message=text)
    assert done.status in (65, 67, 69), done
    assert "SMTPUTF8" in done.err and "jörg@example.org" in done.err
    assert "C: DATA" not in done.out + done.err and "C: BDAT" not in done.out + done.err


def test_dsn(postfix):
    """NOTIFY=SUCCESS makes Postfix report the delivery to the sender, with the headers only (RET=HDRS)."""
    token, text = message(body=b"the body must not come back\n")
    sender = f"s{token}@example.org"
    send(postfix, "plain", text, ["b@example.org"], "--dsn-notify=success", "--dsn-return=hdrs", sender=sender)
    stored = postfix.wait_for(token, 2)
    (dsn,) = [m for m in stored if b"multipart/report" in m]
    assert b"Action: delivered" in dsn and b"Final-Recipient: rfc822; b@example.org" in dsn
    assert b"the body must not come back" not in dsn


def test_from_recipients_of_the_message(postfix):
    token, text = message(head=b"Cc: c1@example.org, Group: d1@example.org, \"D, 2\" <d2@example.org>;\nBcc : hidden@example.org\n")
    send(postfix, "plain", text, [], "-t")
    stored = postfix.wait_for(token, 5)
    to = sorted(re.search(rb"X-Original-To: (\S+)", m)[1] for m in stored)
    assert to == [b"b@example.org", b"c1@example.org", b"d1@example.org", b"d2@example.org", b"hidden@example.org"]
    assert all(b"Bcc" not in m for m in stored)


def test_one_refused_recipient_does_not_stop_the_others(dovecot_lmtp, certs):
    from faultserver import FaultServer
    token, text = message()
    with FaultServer(refused=["bad@example.org"]) as server:
        done = envoi(*client.to_port(server.port), "--json", "-f", SENDER, "b@example.org", "bad@example.org", message=text)
    assert done.status == 79 and server.accepted == 1, done
    fates = {r["address"]: r["fate"] for r in done.report["recipients"]}
    assert fates["b@example.org"] == "accepted" and fates["bad@example.org"] == "refused", done


def test_missing_headers_are_added(postfix):
    token, _ = message()
    done = envoi(*to_server(postfix, "plain"), "-f", SENDER, "-F", "Doe, Joe", "b@example.org",
                 message=f"X-Envoi-Test: {token}\n\nbody\n".encode())
    assert done.status == 0, done
    head = postfix.wait_for(token)[0].decode()
    assert re.search(r"^From: \"Doe, Joe\" <a@example\.org>$", head, re.M), head
    assert re.search(r"^Date: \w{3}, [ \d]\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$", head, re.M), head
    assert re.search(r"^Message-ID: <[^@>\s]+@[^@>\s]+>$", head, re.M | re.I), head
