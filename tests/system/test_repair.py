"""Another way where one fails, without weakening: ports, families, segments."""

import contextlib

import pytest

import netbed
from client import ENVOI, Result, environment, message
from misserver import NAME, MisServer
from netbed import SERVER, mail_host


@pytest.fixture(scope="module")
def made():
    try:
        with netbed.Bed() as bed:
            yield bed
    except netbed.NotHere as why:
        pytest.skip(f"no bed of network namespaces: {why}")


@pytest.fixture
def bed(made):
    made.reset()
    made.serve_names(mail_host())
    return made


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
    done = send(bed, certs, "--port=auto,2525")
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
    assert send(bed, certs, "-6").status == 75
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


# ---- questions

def test_serverinfo_goes_by_the_next_port(bed, host, certs):
    host({587: "starttls"})
    done = run(bed, ENVOI, "--serverinfo", f"--host={NAME}", "--port=auto", f"--tls-trust-file={certs.ca}", "--json")
    assert (done.status, done.report["port"]) == (0, 587), done
