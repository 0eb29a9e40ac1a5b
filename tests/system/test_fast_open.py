"""TCP Fast Open, on a network of its own: who has it is counted by the server's kernel."""

import pathlib
import re
import subprocess

import pytest

from client import ENVOI, environment
from netbed import SERVER

ENABLED = {"client": 1, "server": 2} # bits of net.ipv4.tcp_fastopen


@pytest.fixture
def bed(networks):
    networks.spoil() # the kernel's counters, settings and cookies are the namespace's
    networks.reset()
    networks.spoil()
    return networks


@pytest.fixture
def port(bed):
    command = [ENVOI, "sink", "--listen=[::]:0", "--quiet"]
    with bed.start("server", command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            yield int(re.search(r":(\d+)$", process.stdout.readline().strip()).group(1))
        finally:
            process.terminate()


def opened_fast(bed):
    with bed.inside("server"):
        names, values = re.findall(r"^TcpExt: (.*)$", pathlib.Path("/proc/thread-self/net/netstat").read_text(), re.M)
    return int(dict(zip(names.split(), values.split()))["TCPFastOpenPassive"])


def send(bed, port, *more, family=4):
    command = [ENVOI, f"--host={SERVER[family]}", f"--port={port}", "-f", "a@example.org", "--subject=x", "--body=y",
               "b@example.org", *more]
    done = bed.run("client", command, env=environment())
    assert done.returncode == 0, done


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("client, server, more, times", [
    (True, True, [], 2), # the first run gets the cookie
    (True, True, ["--tcp-fast-open=off"], 0),
    (True, False, [], 0),
    (False, True, [], 0),
])
def test_fast_open(bed, port, family, client, server, more, times):
    bed.sysctl("client", "ipv4/tcp_fastopen", ENABLED["client"] if client else 0)
    bed.sysctl("server", "ipv4/tcp_fastopen", ENABLED["server"] if server else 0)
    for _ in range(3):
        send(bed, port, *more, family=family)
    assert opened_fast(bed) == times


def test_dropped_on_the_way(bed, port):
    """A firewall that does not like it: the kernel tries again without."""
    bed.sysctl("server", "ipv4/tcp_fastopen", ENABLED["server"])
    bed.nft("router1", "add rule inet bed forward tcp option 34 exists counter drop")
    send(bed, port)
    assert opened_fast(bed) == 0
    with bed.inside("router1"):
        assert re.search(r"counter packets [1-9]", subprocess.check_output(["nft", "list", "table", "inet", "bed"], text=True))
