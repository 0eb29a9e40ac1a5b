"""What people get wrong: each has its own sentence and hint, and nothing is sent."""

import ssl

import pytest

from client import SENDER, environment, envoi, message, to_port
from faultserver import FaultServer

TEXT = message()[1]


def refused(done, status, *words):
    assert done.status in (status if isinstance(status, tuple) else (status,)), done
    lowered = done.err.lower()
    for word in words:
        assert word.lower() in lowered, f"'{word}' is not said:\n{done}"
    assert "hint:" in done.err, done
    assert done.err.startswith("envoi: "), done


def test_unknown_option_names_the_nearest():
    refused(envoi("--recieve-recipients", "b@example.org", message=TEXT), 64, "--recieve-recipients")
    refused(envoi("--tls-trustfile=x", "b@example.org", message=TEXT), 64, "--tls-trust-file")


def test_unknown_command_names_the_nearest():
    refused(envoi("snik", message=TEXT), 64, "snik", "sink")


@pytest.mark.parametrize("lines,line,column,words", [
    ("account a\nhost localhost\nprot 25\n", 3, 1, ["prot", "port", "^"]),
    ("account a\nport 99999\n", 2, 6, ["99999", "^"]),
    ("account a\ntls maybe\n", 2, 5, ["maybe", "^"]),
    ("account a : b\n", 1, 13, ["'b'", "^"]),
    ("account a\nhost=localhost\n", 2, 1, ["'host='", "host=localhost", "write it as 'host VALUE'"]),
    ("account a\npassword=hunter2\n", 2, 1, ["'password='", "password=***", "write it as 'password VALUE'"]),
    ("account a\npasswort: hunter2\n", 2, 1, ["'passwort:'", "passwort:***", "write it as 'password VALUE'"]),
])
def test_rc_error_has_line_column_and_caret(tmp_path, lines, line, column, words):
    config = tmp_path / "config"
    config.write_text(lines)
    done = envoi("-C", config, "-a", "a", "b@example.org", message=TEXT)
    assert done.status == 78, done
    assert f"{config}:{line}:{column}" in done.err, done
    for word in words:
        assert word in done.err, done
    assert "hunter2" not in done.err, done


def test_no_account(tmp_path):
    done = envoi("b@example.org", message=TEXT, env=environment(HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path / "c")))
    refused(done, 78, str(tmp_path / "c" / "envoi" / "config"), "host", "from")


@pytest.mark.parametrize("args,status", [
    (["--no-such-option", "b@example.org"], 64), (["--port=x", "b@example.org"], 64), (["--host=localhost"], 64),
    (["--host=localhost", "b@@example.org"], 64), (["-C", "/nonexistent", "b@example.org"], 66), (["b@example.org"], 78),
    (["--host=localhost", "--transcript=/nonexistent/t", "b@example.org"], 73), (["--serverinfo"], 78), (["snik"], 64),
])
def test_json_tells_what_fails_before_there_is_a_connection(args, status):
    done = envoi("--json", *args, message=TEXT)
    assert done.status == status, done
    assert done.report["exit"] == status and done.report["fate"] == "not-sent", done
    assert done.err.startswith(f"envoi: {done.report['errormsg']}\n"), done


def test_account_that_does_not_exist(tmp_path):
    config = tmp_path / "config"
    config.write_text("account work\nhost localhost\n")
    refused(envoi("-C", config, "-a", "wrok", "b@example.org", message=TEXT), 78, "wrok", "work")


def test_no_recipient():
    with FaultServer() as server:
        refused(envoi(*to_port(server.port), "-f", SENDER, message=TEXT), 64, "recipient")
        refused(envoi(*to_port(server.port), "-f", SENDER, "-t", message=b"From: a@example.org\n\nx\n"), (64, 65), "recipient")
    assert not server.connections


def test_empty_stdin():
    with FaultServer() as server:
        refused(envoi(*to_port(server.port), "-f", SENDER, "b@example.org", message=b""), 66, "no message")
    assert not server.connections


@pytest.mark.parametrize("option", ["--tls-trust-file", "--tls-cert-file", "--tls-key-file"])
@pytest.mark.parametrize("content", [None, "not a PEM file\n"], ids=["missing", "not PEM"])
def test_unreadable_key_file(tmp_path, certs, option, content):
    path = tmp_path / "file"
    if content:
        path.write_text(content)
    args = [f"{option}={path}"]
    if option != "--tls-trust-file":
        other = {"--tls-cert-file": f"--tls-key-file={certs.key('client')}", "--tls-key-file": f"--tls-cert-file={certs.cert('client')}"}
        args += [other[option], f"--tls-trust-file={certs.ca}"]
    with FaultServer(tls=server_context(certs)) as server:
        done = envoi("--host=localhost", f"--port={server.port}", "--tls=on", "--tls-starttls=on", "--auth=off", *args,
                     "-f", SENDER, "b@example.org", message=TEXT)
    refused(done, (66, 78), str(path))
    assert "MAIL" not in server.verbs()


def server_context(certs):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs.cert(), certs.key())
    return context


def test_tls_to_a_plain_port(certs):
    with FaultServer() as server:
        refused(envoi(*to_port(server.port, ca=certs.ca, tls="implicit"), "--timeout=3", "-f", SENDER, "b@example.org",
                      message=TEXT), 76, "tls_starttls")


def test_plain_to_a_tls_port(certs):
    with FaultServer(tls=server_context(certs), implicit=True) as server:
        refused(envoi(*to_port(server.port, ca=certs.ca, tls="starttls"), "--timeout=1", "-f", SENDER, "b@example.org",
                      message=TEXT), 75, "tls_starttls")


def test_wrong_password(certs):
    with FaultServer(tls=server_context(certs), auth=True, tricks={"auth": b"535 5.7.8 bad credentials\r\n"}) as server:
        done = envoi(*to_port(server.port, ca=certs.ca, tls="starttls", auth="plain", user="u", password="wrong"),
                     "-f", SENDER, "b@example.org", message=TEXT)
    refused(done, 77, "535 5.7.8 bad credentials")
    assert server.verbs().count("AUTH") == 1 and "MAIL" not in server.verbs()


def test_nobody_listens():
    from servers import free_ports
    refused(envoi(*to_port(free_ports(1)[0]), "-f", SENDER, "b@example.org", message=TEXT), 75, "refused")


def test_passwordeval_fails(certs):
    with FaultServer(tls=server_context(certs), auth=True) as server:
        done = envoi("--host=localhost", f"--port={server.port}", "--tls=on", f"--tls-trust-file={certs.ca}", "--auth=plain",
                     "--user=u", "--passwordeval=echo the safe is shut >&2; exit 3", "-f", SENDER, "b@example.org", message=TEXT)
    refused(done, (77, 78), "the safe is shut")
    assert "AUTH" not in server.verbs()


@pytest.mark.parametrize("fault,status,sentence", [
    ("4xx", 75, "the server does not take the recipient 'b@example.org' now"),
    ("5xx", 67, "the server refused the recipient 'b@example.org'"),
])
def test_recipient_refused(fault, status, sentence):
    with FaultServer("rcpt", fault) as server:
        done = envoi(*to_port(server.port), "-f", SENDER, "b@example.org", message=TEXT)
        assert done.status == status and done.err.startswith(f"envoi: {sentence}\n  server: "), done
