"""What one small message costs in numbers that do not depend on the machine: instructions, system calls, round trips, octets on the
wire, peak memory. The limits are what was counted and a tenth (of instructions: a fifth, as compilers differ); who changes a count changes its limit in the same commit, and says why.

bench/run has the times. Only for a build without sanitizers ($ENVOI_SANITIZED unset)."""

import os
import re
import shutil
import subprocess

import pytest

import callgrind
from client import ENVOI, environment
from delayproxy import DelayProxy

pytestmark = pytest.mark.skipif("ENVOI_SANITIZED" in os.environ or "valgrind" in os.path.basename(ENVOI), reason="a sanitized build costs more")

LINE = b"MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3\n"
MESSAGE = (b"From: a@example.org\nTo: b@example.org\nSubject: small\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n"
           b"Message-ID: <x@example.org>\n\n" + LINE * 25)
ON_THE_WIRE = len(MESSAGE) + MESSAGE.count(b"\n")
WAYS = ("plain", "starttls", "implicit")


@pytest.fixture(scope="module")
def sink(certs):
    """Ports of envoi's own sink, by way."""
    process = subprocess.Popen([ENVOI, "sink", "--listen=127.0.0.1:0", "--listen-tls=127.0.0.1:0", "--auth=any", "--quiet",
                                f"--tls-cert={certs.cert()}", f"--tls-key={certs.key()}"], stdout=subprocess.PIPE, text=True, env=environment())
    clear, tls = (int(process.stdout.readline().split(":")[1].split()[0]) for _ in range(2))
    yield dict(plain=clear, starttls=clear, implicit=tls)
    process.terminate()
    process.wait()


@pytest.fixture
def command(tmp_path, certs):
    """The command that sends to a port in one of the ways."""
    def make(port, way, others=0):
        trust = tmp_path / "trust.pem"
        trust.write_text(certs.other_ca.read_text() * others + certs.ca.read_text())
        login = ["auth plain", "user u", "password p", "tls on", f"tls_starttls {'off' if way == 'implicit' else 'on'}", f"tls_trust_file {trust}"]
        rc = tmp_path / f"{way}-{port}"
        rc.write_text("\n".join(["account default", "host localhost", f"port {port}", "from a@example.org", *(["tls off"] if way == "plain" else login), ""]))
        rc.chmod(0o600)
        return [ENVOI, f"--file={rc}", "b@example.org"]
    return make


def run(command):
    done = subprocess.run(command, input=MESSAGE, capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stderr.decode(errors="replace")


@pytest.mark.skipif(callgrind.missing() is not None, reason=str(callgrind.missing()))
@pytest.mark.parametrize("way,most", [("plain", 370_000), ("starttls", 11_800_000)])
def test_instructions(sink, command, way, most):
    """Without the dynamic loader's. What a handshake takes varies by some per cent, and with GnuTLS."""
    total, loader = callgrind.instructions(run, command(sink[way], way))
    print(f"{way}: {total:,} instructions, {loader:,} of them the dynamic loader's")
    assert total - loader <= most
    assert way != "plain" or total - loader <= 600_000


@pytest.mark.skipif(callgrind.missing() is not None, reason=str(callgrind.missing()))
def test_instructions_of_a_store(sink, command):
    """What each certificate of the trust file takes that has nothing to do with the server's."""
    others = 1000
    few, many = (callgrind.instructions(run, command(sink["starttls"], "starttls", n))[0] for n in (0, others))
    print(f"{(many - few) / others:,.0f} instructions for each certificate")
    assert many - few <= 4_500 * others


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("way,most", [("plain", 82), ("starttls", 218)])
def test_system_calls(sink, command, way, most):
    """The fewest of three runs: who finds the answer not there yet has to wait, which are some calls more."""
    counts = []
    for _ in range(3):
        told = run(["strace", "-f", "-c", *command(sink[way], way)])
        counts.append(int(re.search(r"(\d+)(?:\s+\d+)? total$", told, re.M)[1]))
    print(f"{way}: {counts} system calls")
    assert min(counts) <= most


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("way,writes", [("plain", 2), ("starttls", 7), ("implicit", 6)])
def test_writes(sink, command, way, writes):
    """One for each flight, and TLS's goodbye: our Finished and EHLO leave together, and MAIL to QUIT."""
    told = run(["strace", "-f", "-e", "trace=sendmsg", *command(sink[way], way)])
    assert told.count("sendmsg(") == writes, told


@pytest.mark.parametrize("way,flights,up,down", [("plain", 4, ON_THE_WIRE + 110, 300), ("starttls", 8, ON_THE_WIRE + 740, 1860),
                                                 ("implicit", 6, ON_THE_WIRE + 710, 1680)])
def test_round_trips_and_octets(sink, command, way, flights, up, down):
    """The floor that bench/README.md derives, and what goes over the line each way."""
    with DelayProxy("127.0.0.1", sink[way], 0.05) as proxy:
        run(command(proxy.port, way))
        (connection,) = proxy.connections
    print(f"{way}: {connection.flights} round trips, {connection.up - ON_THE_WIRE} octets up beside the message, {connection.down} down")
    assert connection.flights <= flights
    assert connection.up <= up and connection.down <= down


def counted_messages(tmp_path, n):
    box = tmp_path / f"{n}.mbox"
    box.write_bytes((b"From a@example.org\n" + MESSAGE + b"\n") * n)
    return f"--batch={box}"


@pytest.mark.skipif(callgrind.missing() is not None, reason=str(callgrind.missing()))
def test_instructions_of_a_batch(sink, command, tmp_path):
    """One message more, of a few hundred."""
    few, many = (callgrind.instructions(run, [*command(sink["plain"], "plain"), counted_messages(tmp_path, n)])[0] for n in (100, 300))
    print(f"batch: {(many - few) / 200:,.0f} instructions a message")
    assert (many - few) / 200 <= 115_000


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_system_calls_of_a_batch(sink, command, tmp_path):
    """One message more: a write, the answer, a look whether the connection is still there, the report; and waiting."""
    few, many = (int(re.search(r"(\d+)(?:\s+\d+)? total$", run(["strace", "-f", "-c", *command(sink["plain"], "plain"),
                                                                counted_messages(tmp_path, n)]), re.M)[1]) for n in (100, 300))
    print(f"batch: {(many - few) / 200:.2f} system calls a message")
    assert (many - few) / 200 <= 8


@pytest.mark.skipif(not os.path.exists("/usr/bin/time"), reason="time is not installed")
@pytest.mark.parametrize("way,most", [("plain", 2_900), ("starttls", 7_300)])
def test_peak_memory(sink, command, way, most):
    peak = int(run(["/usr/bin/time", "-f", "%M", *command(sink[way], way)]).split()[-1])
    print(f"{way}: {peak} KiB")
    assert peak <= most
