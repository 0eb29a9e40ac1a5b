"""probe where others fail: proxies with passwords, servers that vanish in the handshake, name servers that say nothing, FIFOs."""

import os
import socket
import subprocess
import threading
import time

import pytest

from client import ENVOI, environment

FROM, TO = "x@y.example", "a@b.example"
PASSWORD = "keep-this-word"


def probe(*args, timeout=60):
    return subprocess.run([ENVOI, "probe", "-f", FROM, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=environment(), timeout=timeout)


@pytest.fixture
def listener():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(10)
        yield s


# ---- secrets ----

@pytest.mark.parametrize("args", [
    ["--via", f"socks5://u:{PASSWORD}@127.0.0.1:1", "--dump"],
    ["--via", f"socks5://u:{PASSWORD}@127.0.0.1:1", "--dump-as-body", "--dump-mail"],
    ["--via", f"u:{PASSWORD}@127.0.0.1:1"],
    [f"--no-auth-password={PASSWORD}"],
])
def test_no_password_is_shown(args):
    assert PASSWORD not in probe("-s", "127.0.0.1:1", "-t", TO, *args).stdout


def test_dump_tells_the_proxy():
    assert "socks5://127.0.0.1:1\n" in probe("-s", "127.0.0.1", "-t", TO, "--via", f"socks5://u:{PASSWORD}@127.0.0.1:1", "--dump=transport").stdout


def test_no_password_of_a_proxy_in_argv(listener):
    url = f"socks5://u:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}"
    with subprocess.Popen([ENVOI, "probe", "-s", "127.0.0.1", "-t", TO, "--via", url], stdout=subprocess.DEVNULL, env=environment()) as p:
        listener.accept()[0].recv(1)  # it is past its options
        with open(f"/proc/{p.pid}/cmdline", "rb") as f:
            assert PASSWORD.encode() not in f.read()
        p.kill()


# ---- those who do not answer ----

def test_handshake_cut(listener):
    def cut():
        client = listener.accept()[0]
        client.recv(1)
        client.close()
    threading.Thread(target=cut, daemon=True).start()
    done = probe("-s", f"127.0.0.1:{listener.getsockname()[1]}", "-t", TO, "-tlsc")
    assert done.returncode == 29 and "*** TLS startup failed (" in done.stdout and "failed (Remote host)" not in done.stdout, done.stdout


def test_timeout_of_a_silent_name_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        start = time.monotonic()
        done = probe("-t", TO, "--timeout", "1", "--dns-server", "127.0.0.1:%d" % s.getsockname()[1])
    if "MX records cannot be looked up" in done.stdout:
        pytest.skip("without libunbound")
    assert done.returncode == 2 and time.monotonic() - start < 8 and "in time" in done.stdout, done.stdout


# ---- what is read ----

@pytest.mark.parametrize("option", ["--attach", "--attach-body"])
def test_fifo(tmp_path, option):
    os.mkfifo(tmp_path / "fifo")
    threading.Thread(target=lambda: (tmp_path / "fifo").write_text("from a fifo\n"), daemon=True).start()
    done = probe("-s", "127.0.0.1", "-t", TO, "--dump-mail", "--attach-type", "text/plain", option, f"@{tmp_path / 'fifo'}", timeout=20)
    assert done.returncode == 0 and "from a fifo" in done.stdout


def test_only_commas_are_no_recipients():
    done = probe("-s", "127.0.0.1:1", "-t", ",")
    assert done.returncode == 1 and "recipient" in done.stdout


# ---- what must not get onto the wire ----

@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_no_command_behind_the_proxy_header(end):
    done = probe("-s", "127.0.0.1:1", "-t", TO, "--proxy", f"TCP4 192.0.2.1 192.0.2.2 1 2{end}QUIT")
    assert done.returncode == 35 and "line break" in done.stdout


def test_nul_in_a_file_of_options(tmp_path):
    (tmp_path / "rc").write_bytes(b"helo me\nfrom x@y\0.example\n")
    done = probe("-s", "127.0.0.1:1", "-t", TO, "--config", tmp_path / "rc")
    assert done.returncode == 1 and f"{tmp_path / 'rc'}:2: " in done.stdout
