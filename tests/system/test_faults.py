"""A server that goes wrong at every stage in every way: envoi ends in time, says where and what, and its exit status
tells whether a later try can help."""

import concurrent.futures
import os
import ssl
import time

import pytest

from client import SENDER, envoi, message, to_port
from faultserver import FAULTS, STAGES, FaultServer

TIMEOUT = 1                                              # seconds per step
PATIENCE = float(os.environ.get("ENVOI_PATIENCE", "4"))  # more than a step, until the test gives up (sanitizers are slow)
WORKERS = 16

# What a fault leads to, wherever it happens …
USUAL = {
    "close": 75, "reset": 75, "silence": 75, "slow": 75, "421": 75, "4xx": 75,
    "garbage": 76, "binary": 76, "long-line": 76, "endless": 76, "mixed": 76,
    "drip": 0, "nul": 0, "lf": 0,
}
# … but a refusal for good means something else at each stage,
PERMANENT = {"greeting": 69, "ehlo": 69, "starttls": 69, "ehlo2": 69, "auth": 77, "mail": 69, "rcpt": 67, "data": 65,
             "body": 65, "dot": 65}
# and so do a few pairs. In the handshake every text is no TLS; while the message is on its way no reply is due.
SPECIAL = {
    **{("handshake", fault): 76 for fault in FAULTS if fault not in ("close", "reset", "silence", "slow", "drip")},
    ("handshake", "slow"): {75, 76},  # its first octets are no TLS record: either may come first
    ("body", "nul"): 76,
    ("body", "lf"): {75, 76},         # a message accepted before it was there
}

VARIANTS = {
    # name: (stages, how the server is made, the client's TLS and login)
    "starttls+auth": (STAGES, dict(tls=True, auth=True), dict(tls="starttls", auth="plain")),
    "implicit+auth": (("handshake", "greeting", "ehlo2", "auth", "dot"), dict(tls=True, implicit=True, auth=True),
                      dict(tls="implicit", auth="plain")),
    "plain": (("greeting", "ehlo", "mail", "rcpt", "data", "body", "dot", "quit"), {}, {}),
    "no-pipelining": (("ehlo", "mail", "rcpt", "data", "dot", "quit"), dict(extensions=()), {}),
    "chunking": (("mail", "rcpt", "dot", "quit"), dict(extensions=("PIPELINING", "CHUNKING", "8BITMIME")), {}),
}


def expected(variant, stage, fault):
    if stage == "quit":
        return {0}
    if variant in ("plain", "no-pipelining", "chunking") and (stage, fault) == ("ehlo", "5xx"):
        return {0}  # HELO will do where neither TLS nor a login is needed
    status = SPECIAL.get((stage, fault), PERMANENT.get(stage) if fault == "5xx" else USUAL[fault])
    return status if isinstance(status, set) else {status}


# Sanitized: under TLS only, for the others differ in the dialogue alone, and the dialogue files are played sanitized too.
CASES = [(variant, stage, fault) for variant, (stages, _, client) in VARIANTS.items() for stage in stages for fault in FAULTS
         if "tls" in client or "ENVOI_SANITIZED" not in os.environ]
SAYS = {"421": "421 4.3.2 fault closes", "4xx": "451 4.3.0 fault says later", "5xx": "fault says no"}


def one_case(variant, stage, fault, certs):
    _, server_options, client_options = VARIANTS[variant]
    server_options, client_options = dict(server_options), dict(client_options)
    if server_options.get("tls"):
        server_options["tls"] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_options["tls"].load_cert_chain(certs.cert(), certs.key())
        client_options.update(ca=certs.ca)
    if server_options.get("auth"):
        client_options.update(user="u", password="pw")
    body = b"line of the message\n" * (400_000 if stage == "body" else 20)
    _, text = message(body=body)
    with FaultServer(stage, fault, **server_options) as server:
        start = time.monotonic()
        try:
            done = envoi(*to_port(server.port, **client_options), f"--timeout={TIMEOUT}", "--json", "-f", SENDER,
                         "b@example.org", message=text, timeout=TIMEOUT + PATIENCE + 6)
        except Exception as why:
            return why, time.monotonic() - start, server
        return done, time.monotonic() - start, server


@pytest.fixture(scope="module")
def outcomes(certs):
    """Every case, many at once: most of the time is spent in waiting for a deadline."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        waiting = {case: pool.submit(one_case, *case, certs) for case in CASES}
        return {case: future.result() for case, future in waiting.items()}


@pytest.mark.parametrize("variant,stage,fault", CASES)
def test_fault(outcomes, variant, stage, fault):
    done, seconds, server = outcomes[variant, stage, fault]
    assert not isinstance(done, Exception), f"did not end: {done}"
    allowed = expected(variant, stage, fault)
    assert done.status in allowed, f"wanted {allowed}, got {done}\nserver heard {server.verbs()[-6:]}"
    assert seconds < TIMEOUT + PATIENCE, f"took {seconds:.1f} s"
    if done.status == 0:
        assert server.accepted == 1
        return
    report = done.report
    if stage not in ("body", "data"):  # a reply during the message may be taken for that to DATA's end
        words = ["ehlo" if stage == "ehlo2" else "tls" if stage == "handshake" else stage]
        if stage == "handshake" and variant.startswith("starttls"):
            words.append("starttls")  # octets that are there before our first word count as injected behind the 220
        if fault == "reset" and stage in ("greeting", "handshake"):
            words.append("connect")  # a reset right behind accept() can be there before connect() has returned
        assert report["stage"] in words, done
    if fault in SAYS and stage != "handshake":
        assert SAYS[fault] in done.err, done
    # With CHUNKING the whole message is in the flight of MAIL.
    if (stage == "dot" or variant == "chunking") and fault not in SAYS:
        assert report["fate"] == "maybe-sent", done
    elif stage not in ("dot", "body"):
        assert report["fate"] == "not-sent", done


SMTP_SINK = {  # option: (what it does, exit status by the command it is done to)
    "-f": ("500", {"ehlo": 0, "mail": 69, "rcpt": 67, "data": 65, ".": 65, "quit": 0}),
    "-r": ("450", {"ehlo": 75, "mail": 75, "rcpt": 75, "data": 75, ".": 75, "quit": 0}),
    "-q": (None, {"ehlo": 75, "mail": 75, "rcpt": 75, "data": 75, ".": 75, "quit": 0}),
    "-Q": ("421", {"ehlo": 75, "mail": 75, "rcpt": 75, "data": 75, ".": 75, "quit": 0}),
}


@pytest.mark.parametrize("option,command,status", [(option, command, status) for option, (_, rows) in SMTP_SINK.items()
                                                   for command, status in rows.items()])
def test_smtp_sink(smtp_sink, option, command, status):
    """The same again from a server of another family."""
    server = smtp_sink(option, command)
    done = envoi(*to_port(server.plain), f"--timeout={TIMEOUT}", "-f", SENDER, "b@example.org", message=message()[1])
    assert done.status == status, done
    if status and SMTP_SINK[option][0]:
        assert f"server: {SMTP_SINK[option][0]}" in done.err, done


def test_the_table_is_whole():
    assert len(CASES) >= 250
    assert {stage for _, stage, _ in CASES} == set(STAGES)
