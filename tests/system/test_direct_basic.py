"""Straight to the mail exchangers: who goes with whom, which host is next, and what becomes of everybody. The DNS is dnsbed's, the
hosts are sinks on 127.0.0.2 and the following, all on one port."""

import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pytest

import client
from client import ENVOI, envoi
from dnsbed import Between, DnsBed, free_port
from servers import NotHere

HOSTS = {name: f"127.0.0.{n}" for n, name in enumerate(("one", "two", "three", "four", "dead"), 2)}

ZONES = {
    "hosts.test": "\n".join(f"{name} A {address}" for name, address in HOSTS.items()) + "\nfive A 127.0.0.7",
    # the same host
    "a.test": "@ MX 10 one.hosts.test.",
    "b.test": "@ MX 20 one.hosts.test.",
    "c.test": "@ MX 10 two.hosts.test.",
    "d.test": "@ MX 10 three.hosts.test.",
    # two of different worth
    "pair.test": "@ MX 10 one.hosts.test.\n@ MX 20 two.hosts.test.",
    "pair2.test": "@ MX 1 one.hosts.test.\n@ MX 2 two.hosts.test.",
    "turned.test": "@ MX 20 one.hosts.test.\n@ MX 10 two.hosts.test.",
    "deadfirst.test": "@ MX 10 dead.hosts.test.\n@ MX 20 two.hosts.test.",
    "deadlast.test": "@ MX 10 one.hosts.test.\n@ MX 20 dead.hosts.test.",
    "dead.test": "@ MX 10 dead.hosts.test.",
    "null.test": "@ MX 0 .",
    "implicit.test": "@ A 127.0.0.3",
    "broken.test": ("broken", ""),
}


class Exchanger:
    """A sink, and what it received."""

    def __init__(self, address, port, *options):
        self.events = []
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([ENVOI, "sink", "--json", "--verbose", f"--listen={address}:{port}", *options], text=True,
                                        stdout=subprocess.PIPE, stderr=self.log, env=client.environment())
        assert json.loads(self.process.stdout.readline())["event"] == "listening"
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def stop(self):
        """What is in the pipe is read, too."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        self._reader.join(20)
        self.process.stdout.close()

    @property
    def received(self):
        return [e for e in self.events if e["event"] == "received"]

    @property
    def recipients(self):
        return sorted(r for e in self.received for r in e["recipients"])

    @property
    def connections(self):
        self.log.seek(0)
        return len(set(re.findall(r"^\[(\d+)\]", self.log.read(), re.M)))


class Bed:
    def __init__(self, dns):
        self.dns, self.port, self.hosts = dns, free_port(tuple(HOSTS.values())), {}

    def up(self, **options):
        """Hosts by name, with a sink's options; none: as it is."""
        for name, more in options.items():
            self.hosts[name] = Exchanger(HOSTS[name], self.port, *([more] if isinstance(more, str) else more))
        return [self.hosts[name] for name in options]

    def down(self):
        for host in self.hosts.values():
            host.stop()

    def options(self, *more, server=None):
        return ["--mx", f"--port={self.port}", f"--dns-server={server or self.dns.server}", f"--dns-anchor={self.dns.anchor}",
                "--domain=client.hosts.test", "--from=a@example.org", *more]

    def send(self, *arguments, server=None, message=None, env=None, timeout=60):
        """Sends, and ends the hosts, so that all that they received is known."""
        text = message or client.message()[1]
        got = envoi(*self.options(server=server), "--diagnose=off", "--json", *arguments, message=text, env=env, timeout=timeout)
        self.down()
        return got


@pytest.fixture(scope="module")
def dns():
    try:
        with DnsBed(ZONES) as bed:
            yield bed
    except NotHere as why:
        pytest.skip(str(why))


@pytest.fixture
def bed(dns):
    made = Bed(dns)
    yield made
    made.down()


def fates(report):
    return {r["address"]: r["fate"] for r in report["recipients"]}


def of(report, address):
    return next(r for r in report["recipients"] if r["address"] == address)


def test_domains_with_the_same_hosts_share_a_connection(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@a.test", "y@b.test", "z@c.test", "X@A.TEST")
    assert got.status == 0, got
    assert one.connections == 1 and one.recipients == ["X@A.TEST", "x@a.test", "y@b.test"]
    assert two.connections == 1 and two.recipients == ["z@c.test"]
    report = got.report
    assert report["host"] == "one.hosts.test,two.hosts.test"
    assert of(report, "z@c.test")["host"] == "two.hosts.test"
    assert report["port"] == bed.port


def test_the_order_of_hosts_is_part_of_a_group(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@pair.test", "y@pair2.test", "z@turned.test")
    assert got.status == 0, got
    assert one.recipients == ["x@pair.test", "y@pair2.test"] and one.connections == 1
    assert two.recipients == ["z@turned.test"]


def test_the_next_host_where_one_is_dead(bed):
    [two] = bed.up(two=[])
    got = bed.send("x@deadfirst.test")
    assert got.status == 0, got
    assert two.recipients == ["x@deadfirst.test"]
    assert got.report["host"] == "two.hosts.test"


@pytest.mark.parametrize("fault", ["--reject=connect:554:no", "--reject=connect:450:busy", "--reject=ehlo:550:no", "--reject=mail:451:later",
                                   "--reject=rcpt:450:greylisted", "--reject=data:451:later", "--drop=connect", "--drop=mail",
                                   "--drop=rcpt", "--drop=data", "--reject=message:451:later"])
def test_the_next_host_where_one_does_not_take_it_now(bed, fault):
    one, two = bed.up(one=[fault, "--extensions=-CHUNKING"], two=[])
    got = bed.send("x@pair.test")
    assert got.status == 0, got
    assert not one.received and two.recipients == ["x@pair.test"]


@pytest.mark.parametrize("fault, fate, status", [("--reject=rcpt:550:nobody", "refused", 67), ("--reject=mail:553:not you", "refused", 69),
                                                 ("--reject=data:554:no", "refused", 65), ("--reject=message:554:spam", "refused", 65),
                                                 ("--drop=stored", "uncertain", 75)])
def test_a_final_word_is_final(bed, fault, fate, status):
    one, two = bed.up(one=fault, two=[])
    got = bed.send("x@pair.test")
    assert got.status == status, got
    assert two.connections == 0
    assert fates(got.report) == {"x@pair.test": fate}
    assert got.report["fate"] == ("maybe-sent" if fate == "uncertain" else "not-sent")


def test_each_recipient_goes_as_far_as_it_must(bed):
    """The first host takes one, refuses one and puts one off; only this one is asked about again."""
    one, two = bed.up(one=["--reject=rcpt=no@pair.test:550:nobody", "--reject=rcpt=later@pair.test:450:greylisted"], two=[])
    got = bed.send("yes@pair.test", "no@pair.test", "later@pair.test")
    assert got.status == 79, got
    assert one.recipients == ["yes@pair.test"] and two.recipients == ["later@pair.test"]
    report = got.report
    assert fates(report) == {"yes@pair.test": "accepted", "no@pair.test": "refused", "later@pair.test": "accepted"}
    assert [r["host"] for r in report["recipients"]] == ["one.hosts.test", "one.hosts.test", "two.hosts.test"]


@pytest.mark.parametrize("domain, host", [("deadfirst.test", "two"), ("deadlast.test", "one")])
def test_what_was_said_last_stays(bed, domain, host):
    """One host puts it off, the other is dead: that it was put off is the news."""
    bed.up(**{host: "--reject=rcpt:450:greylisted"})
    got = bed.send(f"x@{domain}")
    assert got.status == 75, got
    assert of(got.report, f"x@{domain}")["reply"].startswith("450 ")
    assert of(got.report, f"x@{domain}")["host"] == f"{host}.hosts.test"
    assert "does not take the recipient" in got.report["errormsg"]


def test_all_hosts_are_dead(bed):
    got = bed.send("x@dead.test", "y@deadfirst.test")
    assert got.status == 75, got
    assert all(r["fate"] == "deferred" and r["enhanced"] == "4.4.1" for r in got.report["recipients"])
    assert got.report["stage"] == "connect"


@pytest.mark.parametrize("address, status, enhanced, fate", [
    ("x@null.test", 68, "5.1.10", "refused"), ("x@nowhere.test", 68, "5.1.2", "refused"), ("x@broken.test", 75, "4.4.3", "deferred"),
])
def test_a_domain_that_takes_no_mail(bed, address, status, enhanced, fate):
    got = bed.send(address)
    assert got.status == status, got
    assert of(got.report, address)["enhanced"] == enhanced
    assert fates(got.report) == {address: fate}


def test_good_and_bad_domains(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@a.test", "y@nowhere.test", "z@null.test", "w@broken.test", "v@c.test")
    assert got.status == 79, got
    assert one.recipients == ["x@a.test"] and two.recipients == ["v@c.test"]
    assert fates(got.report) == {"x@a.test": "accepted", "y@nowhere.test": "refused", "z@null.test": "refused",
                                 "w@broken.test": "deferred", "v@c.test": "accepted"}
    assert of(got.report, "z@null.test")["code"] == 556
    assert "3 of 5 recipients" in got.report["errormsg"]


def test_a_common_failure_is_told_as_such(bed):
    got = bed.send("x@nowhere.test", "y@elsewhere.test")
    assert got.status == 68, got
    got = bed.send("x@nowhere.test", "y@broken.test")
    assert got.status == 75, got
    got = bed.send("x@nowhere.test", "y@null.test")
    assert got.status == 68, got


def test_no_name_server_answers(bed):
    with Between(bed.dns.server, "refused") as between:
        got = bed.send("x@a.test", "y@b.test", server=between.server)
    assert got.status == 75, got
    assert all(r["enhanced"] == "4.4.3" for r in got.report["recipients"])


def test_the_name_server_is_silent_until_the_deadline(bed):
    with Between(bed.dns.server, "silent") as between:
        begun = time.monotonic()
        got = bed.send("--deadline=2", "x@a.test", server=between.server)
    assert got.status == 75, got
    assert time.monotonic() - begun < 6


def test_one_domain_without_an_answer_leaves_time_for_the_others(bed):
    [one] = bed.up(one=[])
    with Between(bed.dns.server, lambda name, kind: "silent" if name == "c.test" else "pass") as between:
        got = bed.send("--deadline=4", "x@a.test", "y@c.test", server=between.server)
    assert got.status == 79, got
    assert fates(got.report) == {"x@a.test": "accepted", "y@c.test": "deferred"}
    assert one.recipients == ["x@a.test"]


@pytest.mark.parametrize("option, recipient, words", [
    ("--source-ip=::1", "x@a.test", "(-4, -6, 'source_ip')"),
    ("--source-ip=::1", "x@[127.0.0.2]", "(-4, -6, 'source_ip')"),
    ("-4", "x@[127.0.0.1]", "hand the mail to it ('host localhost')"),
])
def test_a_hint_says_what_is_to_be_changed(bed, option, recipient, words):
    got = bed.send(option, recipient)
    assert got.status == 68, got
    assert words in got.err and "DNS records" not in got.err, got


def test_the_domain_itself_and_a_literal(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@implicit.test", "y@[127.0.0.2]")
    assert got.status == 0, got
    assert two.recipients == ["x@implicit.test"] and one.recipients == ["y@[127.0.0.2]"]


def test_nobody_logs_in(bed):
    [one] = bed.up(one=["--auth=u:p"])
    got = bed.send("x@a.test", "-v")
    assert got.status == 0, got
    assert "C: AUTH" not in got.err


def test_300_recipients_in_three_domains_each_once(bed):
    hosts = bed.up(one=[], two=[], three=[])
    wanted = [f"r{i}@{'acd'[i % 3]}.test" for i in range(300)]
    got = bed.send(*wanted)
    assert got.status == 0, got
    assert sorted(r for h in hosts for r in h.recipients) == sorted(wanted)
    assert all(h.connections == 1 for h in hosts)


# TLS

def test_where_tls_breaks_it_is_tried_in_clear(bed):
    [one] = bed.up(one="--tls=drop")
    got = bed.send("x@a.test", "--dnssec=off")
    assert got.status == 0, got
    assert one.connections == 2 and one.recipients == ["x@a.test"]
    assert of(got.report, "x@a.test")["policy"] == "may:none"
    assert any("in clear" in w for w in got.report["warnings"])


def test_tls_where_it_comes_up(bed):
    one, two = bed.up(one=[], two="--extensions=-STARTTLS")
    log = pathlib.Path(bed.dns.anchor).parent / "log-of-envoi"
    got = bed.send("x@a.test", "y@c.test", f"--logfile={log}")
    assert got.status == 0, got
    assert of(got.report, "x@a.test")["policy"] == "may:encrypt"
    assert of(got.report, "y@c.test")["policy"] == "may:none"
    assert got.report["tlspolicy"] == "a.test=may:encrypt,c.test=may:none"
    line = log.read_text()
    assert " tlspolicy=a.test=may:encrypt,c.test=may:none " in line and " host=one.hosts.test,two.hosts.test tls=off " in line


@pytest.mark.parametrize("fault", ["--tls=drop", "--extensions=-STARTTLS", "--reject=starttls:454:no"])
def test_a_level_is_never_lowered(bed, fault):
    one, two = bed.up(one=fault, two=[])
    got = bed.send("x@pair.test", "z@a.test", "--tls=on")
    assert got.status == 79, got
    assert not one.received and two.recipients == ["x@pair.test"]
    assert fates(got.report)["z@a.test"] == "deferred"
    assert of(got.report, "x@pair.test")["policy"] == "encrypt:encrypt"


def test_a_certificate_that_is_not_good_is_passed_by(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@pair.test", "--tls-policy=verify")
    assert got.status == 77, got
    assert not one.received and not two.received and one.connections == two.connections == 1
    assert of(got.report, "x@pair.test")["enhanced"] == "4.7.5"


# the message

def test_a_big_message_to_three_groups(bed, tmp_path):
    big = tmp_path / "big"
    line = b"0123456789abcdef" * 4 + b"\n"
    with open(big, "wb") as f:
        f.write(client.message()[1])
        for _ in range(50):
            f.write(line * ((1 << 20) // len(line)))
    hosts = bed.up(one=[], two=[], three=[])
    reading, writing = os.pipe()
    feeder = subprocess.Popen(["cat", big], stdout=writing)
    os.close(writing)
    process = subprocess.Popen([ENVOI, *bed.options("--diagnose=off"), "x@a.test", "y@c.test", "z@d.test"], stdin=reading,
                               env=client.environment())
    os.close(reading)
    peak = client.peak_memory(process)
    feeder.wait()
    bed.down()
    assert process.returncode == 0
    sums = {e["sha256"] for h in hosts for e in h.received}
    assert sums == {hashlib.sha256(big.read_bytes().replace(b"\n", b"\r\n")).hexdigest()}
    assert all(len(h.received) == 1 for h in hosts)
    if "ENVOI_SANITIZED" not in os.environ:
        assert 0 < peak < 60000


def test_a_message_that_cannot_be_read_goes_to_nobody(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("x@a.test", "y@c.test", message=client.message()[1] + b"x" * 70 + b"\n" + b"y\n" * (1 << 20) + b"\0")
    assert got.status == 65, got
    assert not one.received and not two.received


def test_all_or_nothing(bed):
    one, two = bed.up(one=[], two=[])
    got = bed.send("--all-or-nothing=on", "x@a.test", "y@c.test")
    assert got.status == 69, got
    assert not one.received and not two.received
    [one] = bed.up(one=[])
    got = bed.send("--all-or-nothing=on", "x@a.test", "y@nowhere.test")
    assert got.status == 69, got
    assert not one.received
    [one] = bed.up(one=[])
    got = bed.send("--all-or-nothing=on", "x@a.test", "y@b.test")
    assert got.status == 0 and one.recipients == ["x@a.test", "y@b.test"]


def test_a_signal_leaves_a_whole_report(bed, tmp_path):
    one, two = bed.up(one=[], two="--delay=message:30")
    transcript = tmp_path / "transcript"
    transcript.touch()
    process = subprocess.Popen([ENVOI, *bed.options("--json", f"--transcript={transcript}"), "x@a.test", "y@c.test"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.environment())
    process.stdin.write(client.message()[1])
    process.stdin.close()
    end = time.monotonic() + 20
    while time.monotonic() < end and not ("message stored" in transcript.read_text() and transcript.read_text().count("# the message, ") == 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out = process.stdout.read()
    process.wait(20)
    process.stdout.close()
    process.stderr.close()
    report = json.loads(out)
    assert process.returncode == 79, report
    assert fates(report)["x@a.test"] == "accepted"
    assert fates(report)["y@c.test"] in ("uncertain", "deferred")
    assert "interrupted" in report["errormsg"]


# elsewhere

@pytest.mark.parametrize("option", ["--serverinfo", "--rmqs=example.org"])
def test_there_is_no_server_to_ask(bed, option):
    got = envoi(*bed.options(), option)
    assert got.status == 64, got
    assert "envoi mx DOMAIN" in got.err


def test_sendmail(bed, tmp_path):
    one, two = bed.up(one=[], two=[])
    rc = tmp_path / "rc"
    rc.write_text(f"account default\nhost mx\nport {bed.port}\ndns_server {bed.dns.server}\ndns_anchor {bed.dns.anchor}\nfrom a@example.org\n"
                  "domain client.hosts.test\n")
    rc.chmod(0o600)
    text = client.message()[1].replace(b"To: B <b@example.org>", b"To: x@a.test\nCc: y@c.test")
    program = tmp_path / "sendmail"
    program.symlink_to(ENVOI)
    done = subprocess.run([program, "-C", rc, "-t"], input=text, env=client.environment(), capture_output=True, timeout=60)
    bed.down()
    assert done.returncode == 0, done
    assert one.recipients == ["x@a.test"] and two.recipients == ["y@c.test"]


def test_the_transcript_tells_connections_apart(bed):
    bed.up(one=[], two=[])
    got = bed.send("-v", "x@a.test", "y@c.test")
    assert got.status == 0, got
    assert "[1] C: QUIT" in got.err and "[2] C: QUIT" in got.err
    bed.up(one=[])
    got = bed.send("-v", "x@a.test")
    assert "\nC: QUIT" in got.err


def test_replies_in_json_are_told_apart(bed):
    """What is said on several connections at once comes as it comes; each reply still knows its command."""
    bed.up(one=[], two=[], three=[])
    got = bed.send("x@a.test", "y@c.test", "z@d.test")
    assert got.status == 0, got
    replies = got.report["replies"]
    for connection in (1, 2, 3):
        own = [r for r in replies if r["connection"] == connection]
        assert "command" not in own[0] and own[0]["code"] == 220
        assert [r["command"].split()[0] for r in own[1:]] == ["EHLO", "STARTTLS", "EHLO", "MAIL", "RCPT", "BDAT"]
        assert "STARTTLS" in own[1]["text"].split("\n")
    assert got.out.count('"greeting":') == 1


def test_why_there_was_no_connection_is_looked_into(bed):
    got = envoi(*bed.options("x@dead.test", "y@dead.test"), message=client.message()[1])
    assert got.status == 75, got
    assert "nobody listens on port" in got.err and "try again later" in got.err and "465" not in got.err


def test_a_signal_while_domains_are_looked_up(bed):
    with Between(bed.dns.server, "silent") as between:
        process = subprocess.Popen([ENVOI, *bed.options("--json", server=between.server), "x@a.test", "y@c.test"],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.environment())
        process.stdin.write(client.message()[1])
        process.stdin.close()
        end = time.monotonic() + 20
        while not between.asked and time.monotonic() < end:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        report = json.loads(process.stdout.read())
        process.wait(20)
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 75 and "interrupted" in report["errormsg"], report
    assert set(fates(report).values()) == {"not-tried"}


def test_a_proxy_is_told_the_address(bed):
    """The lookup was ours; a proxy's own might lead elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        heard = []

        def serve():
            with listener.accept()[0] as s:
                heard.append(s.recv(4096))
                s.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        got = bed.send("x@a.test", f"--proxy-host=http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(20)
    assert got.status in (69, 75), got
    assert heard[0].startswith(f"CONNECT 127.0.0.2:{bed.port} ".encode())


def test_in_the_hands_of_sendmail_bs(bed, tmp_path):
    one, two = bed.up(one=[], two="--reject=rcpt:550:nobody")
    rc = tmp_path / "rc"
    rc.write_text(f"account default\nhost mx\nport {bed.port}\ndns_server {bed.dns.server}\ndns_anchor {bed.dns.anchor}\nfrom a@example.org\n"
                  "domain client.hosts.test\n")
    rc.chmod(0o600)
    program = tmp_path / "sendmail"
    program.symlink_to(ENVOI)
    dialogue = "EHLO c\nMAIL FROM:<a@example.org>\nRCPT TO:<x@a.test>\nDATA\n{}.\nMAIL FROM:<a@example.org>\nRCPT TO:<y@c.test>\nDATA\n{}.\nQUIT\n"
    text = client.message()[1].decode()
    done = subprocess.run([program, "-C", rc, "-bs"], input=dialogue.format(text, text).replace("\n", "\r\n").encode(), capture_output=True,
                          env=client.environment(), timeout=60)
    bed.down()
    codes = [line[:3] for line in done.stdout.decode().splitlines() if line[3:4] == " "]
    assert codes == ["220", "250", "250", "250", "354", "250", "250", "250", "354", "550", "221"] or codes[9] in ("550", "554"), done
    assert one.recipients == ["x@a.test"]
