"""What a small message, one to many, a large one and one of a batch cost in numbers that do not depend on the machine:
instructions, system calls, round trips, octets on the wire, peak memory. The limits are what was counted and a tenth (of
instructions: a fifth, as compilers differ); who changes a count changes its limit in the same commit, and says why.

bench/run has the times. Only for a build without sanitizers ($ENVOI_SANITIZED unset)."""

import os
import re
import shutil
import subprocess
from typing import NamedTuple, Optional

import pytest

import callgrind
import client
from client import ENVOI, environment
from delayproxy import DelayProxy

pytestmark = pytest.mark.skipif("ENVOI_SANITIZED" in os.environ or "valgrind" in os.path.basename(ENVOI), reason="a sanitized build costs more")
by_callgrind = pytest.mark.skipif(callgrind.missing() is not None, reason=str(callgrind.missing()))
by_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")

LINE = b"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\n"
MESSAGE = (b"From: a@example.org\nTo: b@example.org\nSubject: small\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n"
           b"Message-ID: <x@example.org>\n\n" + LINE * 25)
ON_THE_WIRE = len(MESSAGE) + MESSAGE.count(b"\n")
LARGE = 32 << 20


class Run(NamedTuple):
    """What is sent, and how."""
    way: str             # plain, starttls, implicit, resumed: by STARTTLS, in the session of the run before
    recipients: int = 1
    size: int = 0        # octets beside MESSAGE
    strangers: int = 0   # certificates in the trust file that have nothing to do with the server's
    messages: int = 0    # in a batch; 0: one from stdin


class Cost(NamedTuple):
    """What it takes at most; None: it depends on the machine."""
    run: Run
    instructions: int             # without the dynamic loader's. A handshake's vary by some per cent, and with GnuTLS
    calls: Optional[int] = None   # to the system
    peak: Optional[int] = None    # KiB
    trips: Optional[int] = None   # the floor that bench/README.md derives
    up: int = 0                   # octets on the line beside the message
    down: int = 0
    writes: Optional[int] = None  # one for each flight, and TLS's goodbye; just as many


COSTS = {
    "plain": Cost(Run("plain"), 350_000, 92, 2_900, 4, 110, 300, 2),
    "starttls": Cost(Run("starttls"), 11_800_000, 224, 7_300, 8, 740, 1860, 7),
    "implicit": Cost(Run("implicit"), 11_800_000, 228, 7_300, 6, 710, 1680, 6),
    "resumed": Cost(Run("resumed"), 5_500_000, 270, 7_300, 8, 1070, 1220, 7),
    "1,000 recipients": Cost(Run("plain", recipients=1000), 5_700_000, 98, 3_100, 4, 28_100, 24_700, 3),
    "32 MiB": Cost(Run("plain", size=LARGE), 75_000_000, peak=4_250),
    "32 MiB, TLS": Cost(Run("implicit", size=LARGE), 250_000_000, peak=9_000),
}

# one more of what, few and many of them, at most instructions and calls
EACH = {
    "trusted certificate": (Run("starttls"), Run("starttls", strangers=1000), 1000, 4_500, None),
    # a write, the answer, a look whether the connection is still there, the report; and waiting
    "message of a batch": (Run("plain", messages=100), Run("plain", messages=300), 200, 115_000, 8),
}


def costs(what):
    """The cases that have a limit for it."""
    return pytest.mark.parametrize("case", [name for name, c in COSTS.items() if getattr(c, what) is not None])


@pytest.fixture(scope="module")
def sink(certs):
    """Ports of envoi's own sink, by way."""
    with client.sink("--listen=127.0.0.1:0", "--listen-tls=127.0.0.1:0", "--auth=any", f"--tls-cert={certs.cert()}",
                     f"--tls-key={certs.key()}") as (clear, tls):
        yield dict(plain=clear, starttls=clear, implicit=tls, resumed=clear)


@pytest.fixture
def send(tmp_path, certs, sink):
    """Sends, envoi's command behind others; returns what is printed."""
    def write(run, port):
        rc, message, trust = tmp_path / "rc", tmp_path / "message", tmp_path / "trust.pem"
        login = ["auth plain", "user u", "password p", "tls on", f"tls_starttls {'off' if run.way == 'implicit' else 'on'}",
                 f"tls_trust_file {trust}", f"tls_session_cache {'on' if run.way == 'resumed' else 'off'}"]
        rc.write_text("\n".join(["account default", "host localhost", f"port {port}", "from a@example.org",
                                 *(["tls off"] if run.way == "plain" else login), ""]))
        rc.chmod(0o600)
        trusted = certs.other_ca.read_text() * run.strangers + certs.ca.read_text()
        if not trust.exists() or trust.read_text() != trusted: # a session is kept for a file that stays
            trust.write_text(trusted)
        one = MESSAGE + LINE * (run.size // len(LINE))
        message.write_bytes((b"From a@example.org\n" + one + b"\n") * run.messages if run.messages else one)
        batch = [f"--batch={message}"] if run.messages else []
        return [ENVOI, f"--file={rc}", *batch, *(f"b{i}@example.org" for i in range(run.recipients))], message

    def execute(command, message):
        with open(message, "rb") as text:
            done = subprocess.run(command, stdin=text, capture_output=True, text=True, timeout=300,
                                  env=environment(XDG_CACHE_HOME=str(tmp_path)))
        assert done.returncode == 0, done.stderr
        return done.stderr

    def send(run, *before, port=None):
        command, message = write(run, port or sink[run.way])
        if run.way == "resumed":
            execute(command, message)
            assert ", resumed, verified" in execute([*command, "-v"], message)
        return execute([*before, *command], message)
    return send


def instructions(send, run):
    """(all, the dynamic loader's)"""
    return callgrind.instructions(lambda argv: send(run, *argv), [])


def calls(send, run):
    return int(re.search(r"(\d+)(?:\s+\d+)? total$", send(run, "strace", "-f", "-c"), re.M)[1])


@by_callgrind
@costs("instructions")
def test_instructions(send, case):
    total, loader = instructions(send, COSTS[case].run)
    print(f"{case}: {total:,} instructions, {loader:,} of them the dynamic loader's")
    assert total - loader <= COSTS[case].instructions
    assert case != "plain" or total - loader <= 600_000


@by_callgrind
@pytest.mark.parametrize("one", EACH)
def test_instructions_of_each(send, one):
    few, many, n, most, _ = EACH[one]
    each = (instructions(send, many)[0] - instructions(send, few)[0]) / n
    print(f"{one}: {each:,.0f} instructions")
    assert each <= most


@by_strace
@costs("calls")
def test_system_calls(send, case):
    """The fewest of three runs: who finds the answer not there yet has to wait, which are some calls more."""
    counts = [calls(send, COSTS[case].run) for _ in range(3)]
    print(f"{case}: {counts} system calls")
    assert min(counts) <= COSTS[case].calls


@by_strace
@pytest.mark.parametrize("one", [name for name, row in EACH.items() if row[4] is not None])
def test_system_calls_of_each(send, one):
    few, many, n, _, most = EACH[one]
    each = (calls(send, many) - calls(send, few)) / n
    print(f"{one}: {each:.2f} system calls")
    assert each <= most


@by_strace
@costs("writes")
def test_writes(send, case):
    """Our Finished and EHLO leave together, and MAIL to QUIT where that is short."""
    told = send(COSTS[case].run, "strace", "-f", "-e", "trace=sendmsg")
    assert told.count("sendmsg(") == COSTS[case].writes, told


@costs("trips")
def test_round_trips_and_octets(send, sink, case):
    c = COSTS[case]
    with DelayProxy("127.0.0.1", sink[c.run.way], 0.05) as proxy:
        send(c.run, port=proxy.port)
        connection = proxy.connections[-1]
    print(f"{case}: {connection.flights} round trips, {connection.up - ON_THE_WIRE} octets up beside the message, {connection.down} down")
    assert connection.flights <= c.trips
    assert connection.up - ON_THE_WIRE <= c.up and connection.down <= c.down


@pytest.mark.skipif(not os.path.exists("/usr/bin/time"), reason="time is not installed")
@costs("peak")
def test_peak_memory(send, case):
    """However long the message is."""
    peak = int(send(COSTS[case].run, "/usr/bin/time", "-f", "%M").split()[-1])
    print(f"{case}: {peak} KiB")
    assert peak <= COSTS[case].peak
