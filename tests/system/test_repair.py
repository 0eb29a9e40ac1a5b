"""Another way where one fails, without weakening: ports, families, segments; and the two sentences behind a failure that nothing
mends."""

import contextlib
import time

import pytest

import netbed
from client import ENVOI, Result, environment, envoi, message, to_port
from faultserver import FaultServer
from misserver import NAME, MisServer
from netbed import SERVER, mail_host


@pytest.fixture
def bed(networks):
    networks.reset()
    networks.serve_names(mail_host())
    return networks


@pytest.fixture
def host(bed, certs):
    """host({port: behaviour}, family=None): a server until the end of the test."""
    with contextlib.ExitStack() as stack:
        def serve(ports, family=None):
            listen = (lambda port: bed.listen(port, address=SERVER[family])) if family else bed.listen
            return stack.enter_context(MisServer(listen, certs, ports))
        yield serve


def run(bed, *command, text=b"", timeout=40):
    process = bed.start("client", command, stdin=-1, stdout=-1, stderr=-1, env=environment())
    with process:
        try:
            out, err = process.communicate(text, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return Result(process.returncode, out.decode(), err.decode())


def send(bed, certs, *options, text=None, timeout=40, login=True):
    """With a login, that asks for TLS; steps take 2 s at most unless the options say otherwise."""
    account = ["--user=joe", "--passwordeval=echo secret"] if login else []
    command = [ENVOI, f"--host={NAME}", "--timeout=2", *account, f"--tls-trust-file={certs.ca}", "--keyring=off", *options,
               "-f", "a@example.org", "b@example.org"]
    return run(bed, *command, text=text or message()[1], timeout=timeout)


def accepted(port):
    """Messages. What a connection has brought is known once its thread has ended."""
    for thread in port.threads:
        thread.join(10)
    return port.accepted


def notes(done):
    return [line.split(": note: ", 1)[1] for line in done.err.splitlines() if ": note: " in line]


# ---- ports

# what stands on 465; what is in the way; the words about it
AUTO = {
    "dropped": ("implicit", "drop", "does not answer"),
    "rejected": ("implicit", "admin-prohibited", "cannot be reached"),
    "closed": (None, None, "cannot be reached"),
    "silent": ("silent", None, "hangs in the TLS handshake"),
    "hang": ("implicit hang", None, "hangs in the TLS handshake"),
    "closes": ("close", None, "breaks the TLS handshake off"),
    "plain": ("starttls", None, "does not come to terms about TLS"),
    "http": ("http", None, "does not come to terms about TLS"),
}


@pytest.mark.parametrize("what", AUTO)
def test_port_auto(bed, host, certs, what):
    behaviour, rule, words = AUTO[what]
    server = host({587: "starttls", **({465: behaviour} if behaviour else {})})
    if rule:
        bed.rule("hop1", rule, ports=[465])
    done = send(bed, certs, "--port=auto")
    assert done.status == 0, done
    assert notes(done) == [f"port 465 of '{NAME}' {words}, port 587 works: write 'port 587'"]
    assert accepted(server[587]) == 1
    assert server[587].verbs()[:3] == ["EHLO", "STARTTLS", "EHLO"]


def test_the_first_port_is_enough(host, certs, bed):
    server = host({465: "implicit", 587: "starttls"})
    done = send(bed, certs, "--port=auto", "--json")
    assert (done.status, done.err, done.report["port"]) == (0, "", 465)
    assert (accepted(server[465]), server[587].connections) == (1, 0)


def test_a_port_that_is_listed(host, certs, bed):
    host({2525: "starttls"})
    assert send(bed, certs, "--port=auto").status == 75
    done = send(bed, certs, "--port=auto,2525", "--json")
    assert (done.status, done.report["port"]) == (0, 2525), done
    assert done.report["advice"] == [f"port 465 of '{NAME}' cannot be reached, port 2525 works: write 'port 2525'"]


def test_a_named_port_is_not_left(host, certs, bed):
    server = host({465: "starttls", 587: "starttls"})
    done = send(bed, certs, "--port=465")
    assert done.status == 76 and accepted(server[587]) == 0
    assert "tls_starttls on" in done.err


def test_the_other_mix_up_is_named(host, certs, bed):
    host({587: "implicit"})
    done = send(bed, certs, "--port=587")
    assert done.status == 75 and "wants TLS from the start" in done.err and "tls_starttls off" in done.err, done


@pytest.mark.parametrize("behaviour", ["starttls-removed", "starttls-masked", "no-tls"])
def test_never_in_clear(host, certs, bed, behaviour):
    """The port with TLS is closed, so that the one without seems to be the way."""
    server = host({587: behaviour})
    for options in (["--port=auto"], ["--port=auto", "--tls-starttls=off"], ["--port=465,587", "--tls=auto"]):
        done = send(bed, certs, *options)
        assert done.status == 69, done
    assert not {"AUTH", "MAIL"} & set(server[587].verbs())
    without_login = send(bed, certs, "--port=auto", login=False)
    assert without_login.status == 69 and "MAIL" not in server[587].verbs()


@pytest.mark.parametrize("behaviour, status", [("implicit expired", 77), ("implicit wrong-name", 77), ("implicit no-auth", 69)])
def test_what_no_port_mends(host, certs, bed, behaviour, status):
    server = host({465: behaviour, 587: "starttls"})
    done = send(bed, certs, "--port=auto")
    assert done.status == status, done
    assert accepted(server[587]) == 0 and not notes(done)


def test_a_refused_login_is_not_repeated(host, certs, bed):
    server = host({465: "implicit", 587: "starttls"})
    server[465].tricks["auth"] = b"535 5.7.8 no\r\n"
    done = send(bed, certs, "--port=auto")
    assert done.status == 77, done
    assert server[465].verbs().count("AUTH") == 1 and not {"AUTH", "MAIL"} & set(server[587].verbs())


def test_all_ports_fail(host, certs, bed):
    host({443: "https"})
    done = send(bed, certs, "--port=auto,2525", "--diagnose=off")
    assert done.status == 75
    assert f"cannot connect to '{NAME}' port 465" in done.err
    assert "; port 587 cannot be reached; port 2525 cannot be reached" in done.err


# ---- families

@pytest.mark.parametrize("behaviour", ["silent", "close"])
def test_ipv6_that_is_accepted_and_leads_nowhere(host, certs, bed, behaviour):
    dead = host({587: behaviour}, family=6)
    alive = host({587: "starttls"}, family=4)
    done = send(bed, certs)
    assert done.status == 0, done
    words = "does not greet" if behaviour == "silent" else "closes the connection"
    assert notes(done) == [f"port 587 of '{NAME}' {words}, port 587 over IPv4 works: write 'ipv4_only on'"]
    assert (dead[587].connections, accepted(alive[587])) == (1, 1)


def test_no_other_family_where_one_is_asked_for(host, certs, bed):
    host({587: "silent"}, family=6)
    alive = host({587: "starttls"}, family=4)
    assert send(bed, certs, "-6", "--diagnose=off").status == 75
    assert alive[587].connections == 0


# ---- segments

# The server's side is what is too big: a certificate of several packets.
@pytest.mark.parametrize("mtu, segments", [(1280, 1200), (700, 536)])
@pytest.mark.parametrize("port, behaviour", [(465, "implicit fat"), (587, "starttls fat")])
def test_mtu_black_hole(bed, host, certs, mtu, segments, port, behaviour):
    server = host({port: behaviour})
    bed.narrow(mtu)
    done = send(bed, certs, f"--port={port}", "-4")
    assert done.status == 0, done
    assert notes(done) == [f"port {port} of '{NAME}' hangs in the TLS handshake, port {port} with segments of {segments} octets "
                           f"works: write 'mss {segments}'"]
    assert accepted(server[port]) == 1
    again = send(bed, certs, f"--port={port}", "-4", f"--mss={segments}")
    assert (again.status, again.err) == (0, "")


def test_mtu_black_hole_for_the_message(bed, host, certs):
    """What the server says fits. The message is big enough not to wait as a whole in the socket, which could have been read."""
    server = host({587: "starttls"})
    bed.narrow()
    bed.nft("router1", "add rule inet bed output icmp type destination-unreachable drop")
    text = message(body=b"x" * 70 + b"\n" + (b"y" * 70 + b"\n") * 100_000)[1]
    done = send(bed, certs, "-4", "--timeout=3", text=text)
    assert done.status == 0, done
    assert notes(done) == [f"port 587 of '{NAME}' stops taking the message, port 587 with segments of 1200 octets works: "
                           "write 'mss 1200'"]
    assert accepted(server[587]) == 1


# ---- what nothing mends

def test_two_sentences(bed, host, certs):
    host({587: "starttls", 443: "https"})
    bed.rule("hop1", "drop", ports=[465])
    begun = time.monotonic()
    done = send(bed, certs, "--port=465")
    assert done.status == 75 and time.monotonic() - begun < 2 + 3.5
    hint = next(line for line in done.err.splitlines() if "hint: " in line)
    assert "port 465" in hint and "587" in hint and "many networks" not in hint, done
    assert "write 'port 587'" in hint


def test_the_two_sentences_can_be_left_out(bed, host, certs):
    server = host({587: "starttls"})
    bed.rule("hop1", "drop", ports=[465])
    begun = time.monotonic()
    done = send(bed, certs, "--port=465", "--diagnose=off")
    assert done.status == 75 and time.monotonic() - begun < 2 + 1
    assert "many networks" in done.err and server[587].connections == 0


def test_no_login_and_no_mail_behind_a_failure(bed, host, certs):
    server = host({465: "silent", 587: "starttls", 25: "starttls no-auth"})
    send(bed, certs, "--port=465")
    for port in (25, 587):
        assert not {"AUTH", "MAIL", "RCPT", "DATA"} & set(server[port].verbs())


# ---- probe and talk

@pytest.mark.parametrize("tool", ["probe", "talk", "serverinfo"])
def test_others_have_the_two_sentences(bed, host, certs, tool):
    host({587: "starttls", 443: "https"})
    bed.rule("hop1", "drop", ports=[25])
    commands = {
        "probe": ([ENVOI, "probe", "--server", NAME, "--to", "b@example.org", "--timeout", "2"], 2, ["--no-diagnose"]),
        "talk": ([ENVOI, "talk", "--timeout=2", NAME], 75, ["--diagnose=off"]),
        "serverinfo": ([ENVOI, "--serverinfo", f"--host={NAME}", "--timeout=2"], 75, ["--diagnose=off"]),
    }
    command, status, off = commands[tool]
    done = run(bed, *command, text=b"C: QUIT\n")
    assert done.status == status, done
    assert "the network drops packets to port 25" in done.err and "use port 587" in done.err, done
    quiet = run(bed, *command, *off, text=b"C: QUIT\n")
    assert quiet.status == status and "the network drops" not in quiet.err and "hint: many networks" in quiet.err, quiet


def test_serverinfo_goes_by_the_next_port(bed, host, certs):
    host({587: "starttls"})
    done = run(bed, ENVOI, "--serverinfo", f"--host={NAME}", "--port=auto", f"--tls-trust-file={certs.ca}", "--json")
    assert (done.status, done.report["port"]) == (0, 587), done


@pytest.mark.parametrize("tool", ["send", "probe", "talk"])
def test_what_a_refused_login_means_is_said_by_all(certs, tool):
    """On loopback: no bed is needed."""
    with FaultServer(auth=True, tricks={"auth": b"535 5.7.8 Username and Password not accepted. BadCredentials\r\n"}) as server:
        where = f"127.0.0.1:{server.port}"
        done = {
            "send": lambda: envoi(*to_port(server.port, auth="plain", user="joe", password="secret"), "b@example.org",
                                  message=message()[1]),
            "probe": lambda: envoi("probe", "--server", where, "--to", "b@example.org", "-a", "PLAIN", "-au", "joe", "-ap", "secret"),
            "talk": lambda: envoi("talk", "--user=joe", "--passwordeval=echo secret", where,
                                  message=b"C: EHLO me\n# @auth plain\n"),
        }[tool]()
    assert "hint: " in done.err, done
