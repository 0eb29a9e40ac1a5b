"""What an attacker on the path, a hostile message or a hostile argument tries, and what must not reach the wire."""

import re
import socket
import ssl
import threading

import pytest

from client import SENDER, envoi, message, to_port
from faultserver import FaultServer

LOGIN = dict(tls="starttls", auth="plain", user="u", password="s3cret-in-clear")


@pytest.fixture
def context(certs):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certs.cert(), certs.key())
    return made


@pytest.mark.parametrize("injected", [b"250 hello\r\n", b"250-AUTH PLAIN\r\n250 OK\r\n", b"2", b"\0", b"\r\n"])
def test_octets_behind_starttls_end_the_session(certs, context, injected):
    _, text = message()
    with FaultServer(tls=context, auth=True, tricks={"starttls": b"220 go ahead\r\n" + injected}) as server:
        done = envoi(*to_port(server.port, ca=certs.ca, **LOGIN), "-f", SENDER, "b@example.org", message=text)
    assert done.status == 76, done
    assert server.verbs()[:2] == ["EHLO", "STARTTLS"] and len(server.lines) <= 3, server.lines


@pytest.mark.parametrize("offered", ["nothing", "masked", "refused", "refused later", "auth only"])
def test_no_starttls_no_credentials(certs, context, offered):
    """TLS is required: without it neither AUTH nor MAIL is said."""
    _, text = message()
    options = {
        "nothing": dict(extensions=("PIPELINING",)),
        "masked": dict(extensions=("PIPELINING", "XXXXXXXA")),
        "refused": dict(tls=context, tricks={"starttls": b"502 5.5.1 what\r\n"}),
        "refused later": dict(tls=context, tricks={"starttls": b"454 4.7.0 not now\r\n"}),
        "auth only": dict(auth=True),
    }[offered]
    with FaultServer(**options) as server:
        done = envoi(*to_port(server.port, ca=certs.ca, **LOGIN), "-f", SENDER, "b@example.org", message=text)
    assert done.status == (75 if offered == "refused later" else 69), done
    assert not {"AUTH", "MAIL", "RCPT", "DATA", "BDAT"} & set(server.verbs()), server.lines
    assert "hint:" in done.err
    assert "s3cret" not in done.err


def test_no_login_in_clear(certs):
    """The peer is not on loopback's name alone: a clear-text login wants TLS unless the user says both words."""
    _, text = message()
    with FaultServer(tricks={"ehlo": b"250-fault.example\r\n250 AUTH LOGIN PLAIN\r\n"}) as server:
        done = envoi("--host=localhost", f"--port={server.port}", "--user=u", "--passwordeval=echo pw", "-f", SENDER,
                     "b@example.org", message=text)
    assert done.status == 69, done
    assert not {"AUTH", "MAIL"} & set(server.verbs()), server.lines


class Socks:
    """A SOCKS5 proxy on loopback that is itself the server it was asked for."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port, self.said = self.listener.getsockname()[1], b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(20)
            connection.recv(100)
            connection.sendall(b"\5\0")
            connection.recv(300)
            connection.sendall(b"\5\0\0\1\0\0\0\0\0\0" b"220 far.example\r\n")
            connection.recv(1000)
            connection.sendall(b"250-far.example\r\n250 AUTH PLAIN\r\n")
            self.said = connection.recv(1000)

    def end(self):
        self.thread.join(20)
        self.listener.close()


@pytest.mark.parametrize("host", ["far.example", "127.0.0.1"])
def test_no_login_in_clear_through_a_proxy(host):
    """The proxy is on loopback, the server behind it is not: 127.0.0.1 is the proxy's own."""
    _, text = message()
    proxy = Socks()
    done = envoi(f"--host={host}", "--port=25", "--proxy-host=127.0.0.1", f"--proxy-port={proxy.port}", "--tls=off", "--user=u",
                 "--passwordeval=echo s3cret", "-f", SENDER, "b@example.org", message=text)
    proxy.end()
    assert done.status == 77 and "TLS" in done.err, done
    assert b"AUTH" not in proxy.said


@pytest.mark.parametrize("certificate,why", [("expired", "expired"), ("othername", "other.example")])
def test_bad_certificate(certs, certificate, why):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert(certificate), certs.key(certificate))
    _, text = message()
    with FaultServer(tls=context, auth=True) as server:
        done = envoi(*to_port(server.port, ca=certs.ca, **LOGIN), "-f", SENDER, "b@example.org", message=text)
    assert done.status == 77, done
    assert why in done.err and "hint:" in done.err
    assert server.verbs() == ["EHLO", "STARTTLS"] or server.verbs() == ["EHLO", "STARTTLS", "QUIT"], server.lines


def test_unknown_issuer(certs, context):
    _, text = message()
    with FaultServer(tls=context, auth=True) as server:
        done = envoi(*to_port(server.port, ca=certs.other_ca, **LOGIN), "-f", SENDER, "b@example.org", message=text)
    assert done.status == 77 and "issuer" in done.err, done
    assert "AUTH" not in server.verbs()


@pytest.mark.parametrize("right", [True, False])
def test_fingerprint(certs, context, right):
    _, text = message()
    pin = certs.fingerprint() if right else "00" * 32
    with FaultServer(tls=context, auth=True) as server:
        done = envoi("--host=localhost", f"--port={server.port}", "--tls=on", "--tls-starttls=on", f"--tls-fingerprint={pin}",
                     "--auth=plain", "--user=u", "--passwordeval=echo pw", "-f", SENDER, "b@example.org", message=text)
    assert done.status == (0 if right else 77), done
    assert ("AUTH" in server.verbs()) == right


# Control characters in whatever reaches the wire. NUL cannot be in an argument; in a file it can.

BREAKS = ["\r\nMAIL FROM:<x@example.org>", "\nRCPT TO:<x@example.org>", "\rx"]


@pytest.mark.parametrize("end", BREAKS, ids=repr)
@pytest.mark.parametrize("where", ["sender", "recipient", "domain", "from-option", "user", "notify", "full-name"])
def test_line_breaks_in_arguments(where, end):
    _, text = message()
    args = {
        "sender": ["-f", f"a@example.org{end}", "b@example.org"],
        "recipient": ["-f", SENDER, f"b@example.org{end}"],
        "domain": ["-f", SENDER, f"--domain=client.example{end}", "b@example.org"],
        "from-option": [f"--from=a@example.org{end}", "b@example.org"],
        "user": ["-f", SENDER, "--auth=plain", f"--user=u{end}", "--passwordeval=echo pw", "b@example.org"],
        "notify": ["-f", SENDER, f"--dsn-notify=success{end}", "b@example.org"],
        "full-name": ["-f", SENDER, "-F", f"A{end}", "b@example.org"],
    }[where]
    with FaultServer(extensions=("PIPELINING", "DSN", "8BITMIME"), auth=True) as server:
        if where == "full-name":  # only used where From is missing
            text = b"X-Test: x\n\nbody\n"
        done = envoi("--host=localhost", f"--port={server.port}", "--tls=off", *args, message=text)
    if where == "full-name" and done.status == 0:
        return check_no_extra_field(server)
    assert done.status in (64, 65, 78), done
    assert not {"MAIL", "RCPT", "AUTH"} & set(server.verbs()), server.lines


def check_no_extra_field(server):
    head = server.data[0].split(b"\r\n\r\n")[0]
    assert not re.search(rb"^(MAIL|RCPT|x)", head, re.M), head


@pytest.mark.parametrize("octet", ["\0", "\r", "\r\nMAIL FROM:<x@y>"], ids=repr)
@pytest.mark.parametrize("setting", ["from", "domain", "user", "host"])
def test_control_octets_in_the_config(tmp_path, setting, octet):
    _, text = message()
    with FaultServer(auth=setting == "user") as server:
        values = {"host": "localhost", "port": server.port, "tls": "off", "domain": "client.example", "from": SENDER}
        if setting == "user":
            values.update(auth="plain", passwordeval="echo pw")
        values[setting] = f"{values.get(setting, 'u')}{octet}"
        config = tmp_path / "config"
        config.write_text("account default\n" + "".join(f"{k} {v}\n" for k, v in values.items()), newline="")
        config.chmod(0o600)
        done = envoi("-C", config, "b@example.org", message=text)
    if octet == "\r" and done.status == 0:
        assert all(b"\r" not in line for line in server.lines)  # a CR before the LF may be taken for a line end
        return
    assert done.status in (64, 65, 78), done
    assert not {"MAIL", "AUTH"} & set(server.verbs()), server.lines


@pytest.mark.parametrize("field", ["To", "Cc", "Bcc"])
def test_control_octets_in_recipients_of_the_message(field):
    text = f"From: a@example.org\n{field}: b@example.org\0 , \"x\ry\"@example.org\n\nbody\n".encode()
    with FaultServer() as server:
        done = envoi(*to_port(server.port), "-t", "-f", SENDER, message=text)
    for line in server.lines:
        assert b"\0" not in line and b"\r" not in line, done


# Smuggling: forms that some receivers take for the end of a message.

SMUGGLE = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nFrom: evil\r\n\r\nsmuggled\r\n"
FORMS = {
    "lf.lf": b"\n.\n", "lf.crlf": b"\n.\r\n", "cr.cr": b"\r.\r", "crlf.lf": b"\r\n.\n", "crlf.crlf": b"\r\n.\r\n",
    "cr.crlf": b"\r.\r\n", "crlf.cr": b"\r\n.\r", "cr.lf": b"\r.\n", "crlf nul . crlf": b"\r\n\0.\r\n",
    "crlf . nul crlf": b"\r\n.\0\r\n", "lf nul . lf": b"\n\0.\n", "crcrlf.crcrlf": b"\r\r\n.\r\r\n", "nel": b"\x85.\x85",
    "lfcr.lfcr": b"\n\r.\n\r",
}

# Ends of a message as receivers of all kinds have read them.
ENDS = re.compile(rb"(\r\n|\n|\r)\0*\.\0*(\r\n|\n|\r)")


@pytest.mark.parametrize("chunking", [False, True], ids=["data", "bdat"])
@pytest.mark.parametrize("form", FORMS)
def test_smuggling(form, chunking):
    _, text = message(body=b"first" + FORMS[form] + SMUGGLE)
    extensions = ("PIPELINING", "8BITMIME") + (("CHUNKING",) if chunking else ())
    with FaultServer(extensions=extensions) as server:
        done = envoi(*to_port(server.port), "-f", SENDER, "b@example.org", message=text)
    if done.status != 0:
        assert done.status == 65 and not server.accepted, done
        return
    wire = b"".join(server.data)
    assert server.accepted == 1 and server.verbs().count("MAIL") == 1
    without_crlf = wire.replace(b"\r\n", b"")
    assert b"\r" not in without_crlf and b"\n" not in without_crlf, "a bare CR or LF on the wire"
    assert b"\0" not in wire
    if not chunking:
        assert wire.endswith(b"\r\n.\r\n")
        assert not ENDS.search(wire[:-5]), "an end of data inside the message"


def test_secrets_do_not_show(certs, context, tmp_path):
    """Not in the transcript, in full debug, in the report, in the log, nor in what the server echoes."""
    _, text = message()
    import base64
    secret, log = "s3cret-in-clear", tmp_path / "log"
    encoded = base64.b64encode(b"\0u\0" + secret.encode()).decode()
    with FaultServer(tls=context, auth=True, tricks={"auth": f"535 5.7.8 no: {encoded} {secret}\r\n".encode()}) as server:
        done = envoi(*to_port(server.port, ca=certs.ca, **LOGIN), "-d", "-v", "--json", f"--transcript={tmp_path}/t",
                     f"--logfile={log}", "-f", SENDER, "b@example.org", message=text)
    assert done.status == 77, done
    shown = done.out + done.err + log.read_text() + (tmp_path / "t").read_text()
    assert secret not in shown and encoded not in shown
