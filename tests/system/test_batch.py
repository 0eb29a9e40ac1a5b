"""envoi send --batch: each message arrives once, in whatever the server does; the report is in order; what was left is taken up again."""
import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time

import pytest

import client
from client import envoi
from delayproxy import DelayProxy
from test_sink import sink as any_sink  # noqa: F401: a fixture

COUNT = re.compile(r"X-Number: (\d+)")


# ---- messages ----

def letter(n, to=None, more=""):
    return (f"X-Number: {n}\nFrom: a@example.org\nTo: {to or f'r{n}@example.net'}\nSubject: n {n}\nMessage-ID: <{n}@example.org>\n"
            f"Date: Sat, 21 Nov 2026 12:00:00 +0000\n{more}\nbody {n}\n")


def quoted(text):
    return re.sub(r"^(>*From )", r">\1", text, flags=re.M)


def mbox(path, letters):
    path.write_text("".join(f"From a@example.org Sat Nov 21 12:00:00 2026\n{quoted(text)}\n" for text in letters))
    return path


def maildir(path, letters):
    for part in ("new", "cur", "tmp"):
        (path / part).mkdir(parents=True)
    for n, text in enumerate(letters):
        name = f"{1000000 + n}.x.host" + (":2,S" if n % 2 else "")
        (path / ("cur" if n % 2 else "new") / name).write_text(text)
    return path


def names(path, letters):
    path.mkdir()
    for n, text in enumerate(letters):
        (path / f"{n}.eml").write_text(text)
    (path / "list").write_text("".join(f"{path / f'{n}.eml'}\n" for n in range(len(letters))))
    return f"@{path / 'list'}"


# ---- servers ----

class Heard:
    """What a sink tells in JSON, read as it is asked for."""

    def __init__(self, sink):
        self.end, self.port, self.octets = sink.end, sink.ports[0], b""
        self.pipe = sink.process.stdout
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self.pipe.fileno(), False)

    @property
    def received(self):
        while not self.pipe.closed and (more := self.pipe.read(1 << 16)):
            self.octets += more
        told = [json.loads(line) for line in self.octets.splitlines(keepends=True) if line.endswith(b"}\n")]
        return [e for e in told if e["event"] == "received"]

    def ids(self):
        return sorted(int(e["message_id"].strip("<>").split("@")[0]) for e in self.received)


@pytest.fixture
def sink(any_sink):  # noqa: F811
    return lambda *options: Heard(any_sink("--listen", "127.0.0.1:0", "--json", *options))


class Server(socketserver.ThreadingTCPServer):
    """A server with limits of its own: messages over a connection, connections at once."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, per_connection=10**9, at_once=10**9, last_word=b"", at_limit="close", offers=b"PIPELINING", deaf=0, unread=False,
                 says=b"250 2.0.0 ok\r\n"):
        super().__init__(("127.0.0.1", 0), Unread if unread or deaf else Talk)
        self.deaf, self.says = deaf, says
        self.ehlo = b"250-here\r\n250-" + offers.replace(b" ", b"\r\n250-") + b"\r\n250 SMTPUTF8"
        self.per_connection, self.at_once, self.last_word, self.at_limit = per_connection, at_once, last_word, at_limit
        self.lock, self.open, self.most, self.connections, self.got = threading.Lock(), 0, 0, [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


class Talk(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text + b"\r\n")

    def handle(self):
        server = self.server
        with server.lock:
            server.open += 1
            if server.open > server.at_once:
                server.open -= 1
                self.say(b"421 too many connections")
                return
            server.most = max(server.most, server.open)
            server.connections.append(0)
            mine = len(server.connections) - 1
        try:
            self.talk(mine)
        except (ConnectionError, ValueError):
            pass
        finally:
            with server.lock:
                server.open -= 1

    def keep(self, mine, text):
        """True: the connection ends with it."""
        server = self.server
        with server.lock:
            server.got.append(int(COUNT.search(text.decode())[1]))
            server.connections[mine] += 1
        full = server.connections[mine] == server.per_connection and server.at_limit == "close"
        if server.deaf:  # to so many octets behind the message
            with contextlib.suppress(BlockingIOError):
                self.connection.recv(server.deaf, socket.MSG_DONTWAIT)
        self.wfile.write(server.says + (server.last_word if full else b""))
        return full

    def talk(self, mine):
        mailed = False
        self.say(b"220 here")
        while line := self.rfile.readline().upper():
            if line.startswith(b"EHLO"):
                self.say(self.server.ehlo)
            elif line.startswith(b"MAIL") and self.server.connections[mine] == self.server.per_connection and self.server.at_limit == "421":
                self.say(b"421 4.7.0 enough")
                return
            elif line.startswith(b"BDAT"):
                if self.keep(mine, self.rfile.read(int(line.split()[1]))):
                    return
            elif line.startswith(b"RCPT") and b"<NO@" in line:
                self.say(b"550 5.1.1 no")
            elif line.startswith((b"RCPT", b"DATA")) and not mailed:
                self.say(b"503 5.5.1 MAIL first")
            elif line.startswith(b"DATA"):
                mailed = False
                self.say(b"354 go")
                text = b""
                while (line := self.rfile.readline()) != b".\r\n":
                    if not line:
                        return
                    text += line
                if self.keep(mine, text):
                    return
            elif line.startswith(b"QUIT"):
                self.say(b"221 bye")
                return
            elif line.startswith((b"MAIL", b"RCPT", b"RSET")):
                mailed = mailed or line.startswith(b"MAIL")
                self.say(b"250 ok")
            else:
                self.say(b"500 5.5.2 what")


class Unread(Talk):
    """What it has not come to when it closes is in the kernel, which then resets the connection."""
    rbufsize = 0


@pytest.fixture
def server():
    started = []

    def start(**limits):
        started.append(Server(**limits))
        return started[-1]
    yield start
    for one in started:
        one.shutdown()
        one.server_close()


def batch(port, source, *options, **how):
    return envoi("send", "--host=127.0.0.1", f"--port={port}", "--tls=off", f"--batch={source}", *options, **how)


def lines(got):
    return [json.loads(line) for line in got.out.splitlines()]


# ---- sources ----

@pytest.mark.parametrize("kind", ["mbox", "mbox on stdin", "maildir", "list", "nul"])
def test_every_source(tmp_path, sink, kind):
    letters = [letter(n, more="Bcc: secret@example.net\n") + ("From the middle\n>From quoted\n" if n == 3 else "") for n in range(30)]
    source, octets = "-", b""
    if kind == "mbox":
        source = mbox(tmp_path / "in", letters)
    elif kind == "mbox on stdin":
        octets = mbox(tmp_path / "in", letters).read_bytes()
    elif kind == "maildir":
        source = maildir(tmp_path / "in", letters)
    elif kind == "list":
        source = names(tmp_path / "in", letters)
    else:
        octets = b"".join(text.encode() + b"\0" for text in letters)
    at = sink(f"--maildir={tmp_path / 'box'}")
    got = batch(at.port, source, "-t", message=octets)
    assert got.status == 0, got
    assert at.ids() == list(range(30))
    report = lines(got)
    assert [line["number"] for line in report] == list(range(1, 31))
    assert [line["msgid"] for line in report] == [f"<{n}@example.org>" for n in range(30)]
    assert all(line["outcome"] == "sent" and line["fault" if "fault" in line else "fate"] == "sent" for line in report)
    assert all({r["address"] for r in line["recipients"]} == {f"r{line['number'] - 1}@example.net", "secret@example.net"} for line in report)
    assert "30 of 30 messages sent" in got.err
    for path in (tmp_path / "box/new").iterdir():
        text = path.read_text()
        assert "secret" not in text[text.index("X-Number"):]
        if "X-Number: 3\n" in text.replace("\r", ""):
            assert text.replace("\r", "").endswith("body 3\nFrom the middle\n>From quoted\n")


def test_one_envelope_for_all(tmp_path, sink):
    at = sink()
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(3)]), "--from=me@example.org", "x@example.net", "y@example.net")
    assert got.status == 0, got
    assert [(e["from"], e["recipients"]) for e in at.received] == [("me@example.org", ["x@example.net", "y@example.net"])] * 3


def test_the_sender_of_each(tmp_path, sink):
    at = sink()
    letters = [letter(n).replace("a@example.org", f"a{n}@example.org") for n in range(3)]
    got = batch(at.port, mbox(tmp_path / "in", letters), "--read-envelope-from", "-t")
    assert got.status == 0, got
    assert sorted(e["from"] for e in at.received) == ["a0@example.org", "a1@example.org", "a2@example.org"]


def test_nothing(tmp_path):
    (tmp_path / "empty").write_text("")
    got = batch(1, tmp_path / "empty", "-t")  # not even a connection
    assert got.status == 0 and got.out == "" and "0 of 0 messages sent" in got.err, got


@pytest.mark.parametrize("source, options, status, words", [
    ("letter", ["-t"], 64, "no mbox"),
    ("none", ["-t"], 66, "cannot read"),
    ("folder", ["-t"], 66, "Maildir"),
    ("mbox", [], 64, "no recipient"),
    ("mbox", ["-t", "--subject=x"], 64, "does not go with what composes"),
    ("mbox", ["-t", "--retry-uncertain"], 64, "--resume"),
    ("mbox", ["-t", "--resume=letter"], 64, "no journal"),
    ("mbox", ["-t", "--rate=fast"], 64, "30/min"),
])
def test_refused_at_once(tmp_path, source, options, status, words):
    (tmp_path / "letter").write_text(letter(1))
    (tmp_path / "folder").mkdir()
    mbox(tmp_path / "mbox", [letter(1)])
    options = [o.replace("--resume=letter", f"--resume={tmp_path / 'letter'}") for o in options]
    got = batch(1, tmp_path / source, *options)
    assert got.status == status and words in got.err, got
    assert "Subject" in (tmp_path / "letter").read_text()


def test_no_mail_exchangers(tmp_path):
    got = envoi("send", "--mx", f"--batch={mbox(tmp_path / 'in', [letter(1)])}", "-t")
    assert got.status == 64 and "host mx" in got.err, got


def test_options_without_a_batch():
    got = envoi("send", "--host=localhost", "--resume=/nonexistent/x", "b@example.org", message=letter(1).encode())
    assert got.status == 64 and "--batch" in got.err, got


def test_bad_ones_between_good_ones(tmp_path, sink):
    at = sink()
    folder = tmp_path / "in"
    source = names(folder, [letter(n) for n in range(10)])
    (folder / "2.eml").unlink()
    (folder / "4.eml").write_bytes(b"To: b@example.net\n\n\0\n")
    (folder / "6.eml").write_text("")
    (folder / "8.eml").write_text("Subject: nobody\n\nx\n")
    got = batch(at.port, source, "-t")
    assert got.status == 79, got
    assert at.ids() == [0, 1, 3, 5, 7, 9]
    report = lines(got)
    assert [line["number"] for line in report] == list(range(1, 11))
    assert {line["number"] - 1: line["fault"] for line in report if line["outcome"] != "sent"} == {2: "no-input", 4: "message", 6: "no-input", 8: "usage"}
    assert "6 of 10 messages sent, 4 refused" in got.err


# ---- what the server says ----

def test_some_are_refused(tmp_path, sink):
    at = sink("--reject=rcpt=r3@*:550:5.1.1 no", "--reject=rcpt=r5@*:450:4.2.0 later", "--reject=mail=bad@*:550:5.7.1 not you")
    letters = [letter(n) for n in range(8)]
    letters[1] = letter(1, to="r1@example.net, r3@example.net")
    got = batch(at.port, mbox(tmp_path / "in", letters), "-t")
    assert got.status == 79, got
    outcomes = {line["number"] - 1: line["outcome"] for line in lines(got)}
    assert outcomes == {0: "sent", 1: "partial", 2: "sent", 3: "refused", 4: "sent", 5: "deferred", 6: "sent", 7: "sent"}
    assert at.ids() == [0, 1, 2, 4, 6, 7]
    manual = (pathlib.Path(__file__).parents[2] / "doc/envoi-batch.1").read_text()
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"Cm ([^\n]*)", manual))))
    members = {name for line in lines(got) for name in (*line, *(name for r in line["recipients"] for name in r))}
    assert members <= documented, members - documented


@pytest.mark.parametrize("extensions", ["PIPELINING", "PIPELINING,CHUNKING", "none"])
def test_more_recipients_than_a_transaction_takes(tmp_path, sink, extensions):
    """The next message does not come between the transactions of one."""
    at = sink("--recipients=2", f"--extensions={extensions}")
    letters = [letter(n, to=", ".join(f"r{n}{x}@example.net" for x in "abcde"[:1 + 2 * (n % 3)])) for n in range(6)]
    got = batch(at.port, mbox(tmp_path / "in", letters), "-t", "--connections=1")
    assert got.status == 0, got
    wanted = sorted((f"<{n}@example.org>", f"r{n}{x}@example.net") for n in range(6) for x in "abcde"[:1 + 2 * (n % 3)])
    assert sorted((e["message_id"], r) for e in at.received for r in e["recipients"]) == wanted


@pytest.mark.parametrize("code, status", [(550, 67), (450, 75)])
def test_all_are_refused(tmp_path, sink, code, status):
    at = sink(f"--reject=rcpt:{code}")
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(8)]), "-t")
    assert got.status == status, got
    assert len(lines(got)) == 8 and not at.received


def test_log_of_each(tmp_path, sink):
    at = sink()
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(5)]), "-t", f"--logfile={tmp_path / 'log'}", f"--report={tmp_path / 'report'}")
    assert got.status == 0 and got.out == "", got
    assert (tmp_path / "log").read_text().count("exitcode=EX_OK") == 5
    assert len((tmp_path / "report").read_text().splitlines()) == 5


# ---- connections ----

def test_messages_over_one_connection(tmp_path, server):
    at = server()
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(20)]), "-t", "--connections=2", "--max-per-connection=3")
    assert got.status == 0, got
    assert sorted(at.got) == list(range(20))
    assert max(at.connections) == 3 and sum(at.connections) == 20
    assert at.most <= 2 + 2  # of those that were left a QUIT may still be unread


@pytest.mark.parametrize("limits", [{"at_limit": "421"}, {"last_word": b"421 4.7.0 enough\r\n"}], ids=["instead of MAIL", "behind the message"])
def test_a_server_that_ends_connections(tmp_path, server, limits):
    at = server(per_connection=4, **limits)
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=2")
    assert got.status == 0, got
    assert sorted(at.got) == list(range(40))


@pytest.mark.parametrize("unread", [False, True], ids=["end", "reset"])
def test_a_server_that_hangs_up(tmp_path, server, unread):
    """Without a word: the message after the last may have been sent into the void, but DATA is answered first, so it was not."""
    at = server(per_connection=4, unread=unread)
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=2")
    assert got.status == 0, got
    assert sorted(at.got) == list(range(40))


def test_a_server_that_forgets_what_is_behind_a_message(tmp_path, server):
    """It says PIPELINING and does not mean it. That costs each connection one timeout."""
    at = server(deaf=1 << 16)
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=2", "--timeout=1", timeout=30)
    assert got.status == 0, got
    assert sorted(at.got) == list(range(40)) and len(at.connections) <= 4


@pytest.mark.parametrize("octets", [4, 40], ids=["a word", "all of MAIL"])
def test_a_server_that_forgets_the_beginning_of_it(tmp_path, server, octets):
    """The 500 and 503 that it says to the rest are no verdict on the message."""
    at = server(deaf=octets)
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=2", "--timeout=1", f"--resume={tmp_path / 'j'}")
    assert got.status == 0, got
    assert sorted(at.got) == list(range(40))


def test_a_server_that_answers_a_message_twice(tmp_path, server):
    """Of the next one nobody knows what was said. Over another connection it is the first, and each has its own fate."""
    at = server(says=b"250 2.0.0 ok\r\n" * 2)
    letters = [letter(n, to=["no@example.net, r@example.net", "r@example.net, no@example.net", "r@example.net"][n % 3]) for n in range(12)]
    got = batch(at.port, mbox(tmp_path / "in", letters), "-t", "--connections=1")
    assert sorted(at.got) == list(range(12)), got
    fates = {r["address"].split("@")[0]: r["fate"] for line in lines(got) for r in line["recipients"]}
    assert fates == {"r": "accepted", "no": "refused"} and got.status == 79, got


def test_a_server_that_hangs_up_with_chunking(tmp_path, server):
    """One that leaves with the connection it was sent over is in doubt, at most on the connections that told of it."""
    at = server(per_connection=4, offers=b"PIPELINING CHUNKING")
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=2")
    uncertain = {line["number"] - 1 for line in lines(got) if line["outcome"] == "uncertain"}
    assert len(at.got) == len(set(at.got)) and set(at.got) | uncertain == set(range(40)), got
    assert len(uncertain) <= 3, got


def test_a_server_that_takes_one_connection(tmp_path, server):
    at = server(at_once=1)
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(40)]), "-t", "--connections=4")
    assert got.status == 0, got
    assert sorted(at.got) == list(range(40)) and at.most == 1


def test_no_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    got = batch(port, mbox(tmp_path / "in", [letter(n) for n in range(10)]), "-t")
    assert got.status == 75, got
    report = lines(got)
    assert [line["outcome"] for line in report] == ["deferred"] * 10
    assert {line["fault"] for line in report} == {"connect"}


def test_a_server_that_drops_some(tmp_path, sink):
    at = sink("--drop=data:7", "--drop=mail:11")
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(60)]), "-t")
    assert len(lines(got)) == 60
    uncertain = {line["number"] - 1 for line in lines(got) if line["outcome"] == "uncertain"}
    ids = at.ids()
    assert len(ids) == len(set(ids)) and set(ids) | uncertain == set(range(60)), got


# ---- rate ----

def test_rate(tmp_path, sink):
    at = sink()
    began = time.monotonic()
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(8)]), "-t", "--rate=5/s")
    assert got.status == 0, got
    assert time.monotonic() - began >= 7 * 0.2
    times = [e["t"] for e in at.received]
    assert times[-1] - times[0] >= 7 * 0.2 - 0.1


@pytest.mark.parametrize("how", ["mbox", "nul", "list"])
def test_the_last_is_not_followed_by_a_pause(tmp_path, sink, how):
    at = sink()
    source = {"mbox": mbox(tmp_path / "mbox", [letter(0)]), "nul": "-", "list": names(tmp_path / "in", [letter(0)])}[how]
    got = batch(at.port, source, "-t", "--rate=1/h", message=letter(0).encode() + b"\0", timeout=20)
    assert got.status == 0 and at.ids() == [0], got


# ---- resuming ----

def test_resume(tmp_path, sink):
    at = sink("--reject=rcpt=r5@*:450:4.2.0 later", "--reject=rcpt=r3@*:550:5.1.1 no")
    letters = [letter(n) for n in range(10)]
    letters[7] = letter(7, to="r7@example.net, r5@example.net")
    source, journal = mbox(tmp_path / "in", letters), tmp_path / "journal"
    got = batch(at.port, source, "-t", f"--resume={journal}")
    assert got.status == 79 and journal.stat().st_mode & 0o777 == 0o600, got
    at.end()
    again = sink()
    got = batch(again.port, source, "-t", f"--resume={journal}")
    assert got.status == 0, got
    outcomes = {line["number"] - 1: line["outcome"] for line in lines(got)}
    assert outcomes == {n: "sent" if n in (5, 7) else "skipped" for n in range(10)}
    assert sorted((e["message_id"], tuple(e["recipients"])) for e in again.received) == [
        ("<5@example.org>", ("r5@example.net",)), ("<7@example.org>", ("r5@example.net",))]
    third = batch(again.port, source, "-t", f"--resume={journal}")
    assert third.status == 0 and len(again.received) == 2, third


@pytest.mark.parametrize("kind", ["mbox", "maildir"])
def test_killed_and_resumed(tmp_path, sink, kind):
    at = sink("--delay=message:0.005")
    letters = [letter(n) for n in range(300)]
    source = mbox(tmp_path / "in", letters) if kind == "mbox" else maildir(tmp_path / "in", letters)
    journal = tmp_path / "journal"
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={source}", "-t", f"--resume={journal}"]
    for enough in (50, 120, 200):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=client.environment())
        while len(at.received) < enough and running.poll() is None:
            time.sleep(0.005)
        running.kill()
        running.wait(20)
    if kind == "maildir":  # somebody reads the mail meanwhile
        for path in (source / "new").iterdir():
            path.rename(source / "cur" / f"{path.name}:2,S")
    got = batch(at.port, source, "-t", f"--resume={journal}")
    uncertain = {line["number"] - 1 for line in lines(got) if line["outcome"] == "uncertain"}
    ids = at.ids()
    assert len(ids) == len(set(ids))
    assert set(ids) | uncertain == set(range(300)) and len(uncertain) <= 3 * 4
    assert got.status in (0, 79, 75), got
    got = batch(at.port, source, "-t", f"--resume={journal}", "--retry-uncertain")
    assert got.status == 0, got
    assert set(at.ids()) == set(range(300))
    assert {line["number"] - 1 for line in lines(got) if line["outcome"] == "sent"} == uncertain


def test_uncertain_is_left_alone(tmp_path, sink):
    at = sink("--drop=stored:3")
    source, journal = mbox(tmp_path / "in", [letter(n) for n in range(4)]), tmp_path / "journal"
    got = batch(at.port, source, "-t", "--connections=1", f"--resume={journal}")
    assert [line["outcome"] for line in lines(got)] == ["sent", "sent", "uncertain", "sent"], got
    assert got.status == 79 and "look whether the uncertain ones arrived; --retry-uncertain sends them again\n" in got.err, got
    got = batch(at.port, source, "-t", f"--resume={journal}")
    assert [line["outcome"] for line in lines(got)] == ["skipped", "skipped", "uncertain", "skipped"], got
    assert got.status == 75 and at.ids() == [0, 1, 2, 3], got
    assert "look whether the uncertain ones arrived; --retry-uncertain sends them again\n" in got.err, got


# ---- the end ----

def test_interrupted(tmp_path, sink):
    at = sink("--delay=message:0.3")
    source = mbox(tmp_path / "in", [letter(n) for n in range(50)])
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={source}", "-t", "--connections=2"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=client.environment())
    while len(at.received) < 3:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=20)
    report = [json.loads(line) for line in out.splitlines()]
    assert [line["number"] for line in report] == list(range(1, 51))
    assert {line["outcome"] for line in report} == {"sent", "not-tried"}
    assert sorted(line["number"] - 1 for line in report if line["outcome"] == "sent") == at.ids()
    assert running.returncode == 79, err


def test_interrupted_twice(tmp_path, sink):
    at = sink("--delay=message:30")
    source = mbox(tmp_path / "in", [letter(n) for n in range(5)])
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={source}", "-t", "-v", "--connections=1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=client.environment())
    for line in running.stderr:
        if "BDAT" in line:
            break
    running.send_signal(signal.SIGTERM)
    for line in running.stderr:
        if "a second signal" in line:
            break
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert [json.loads(line)["outcome"] for line in out.splitlines()] == ["uncertain"] + ["not-tried"] * 4, err
    assert running.returncode == 75


def test_a_slow_pipe(tmp_path, sink):
    """A line of the report comes as soon as its message is over, though the source has not ended."""
    at = sink()
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", "--batch=-", "-t"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=client.environment())
    for n in range(3):
        running.stdin.write(letter(n) + "\0")
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["msgid"] == f"<{n}@example.org>"
    running.stdin.close()
    assert running.wait(20) == 0 and at.ids() == [0, 1, 2]
    running.stdout.close()


def test_progress(tmp_path, sink):
    at = sink("--delay=message:0.2", "--reject=rcpt=r1@*:550:5.1.1 no")
    source = names(tmp_path / "in", [letter(n) for n in range(12)])
    got = batch(at.port, source, "-t", "--connections=2", "--progress=on")
    bars = [part for part in got.err.split("\r") if part.startswith("[")]
    assert re.match(r"\[#* *\] \d+ of 12, 0\.0 MB", bars[0]), got
    assert any(", 1 not sent" in bar and "/s" in bar and " left" in bar for bar in bars), got
    assert "11 of 12 messages sent, 1 refused" in got.err.split("\r")[-1]


def bars(progress, port, source):
    """What a run shows on a terminal."""
    ours, theirs = os.openpty()
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={port}", "--tls=off", f"--batch={source}", "-t", *progress]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=client.environment()) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            while more := os.read(ours, 4096):
                shown += more
    os.close(ours)
    assert running.returncode == 0, shown
    return [part for part in shown.decode().split("\r") if part.startswith("[")]


def test_progress_on_a_terminal_alone(tmp_path, sink):
    at = sink()
    source = names(tmp_path / "in", [letter(n) for n in range(3)])
    assert bars([], at.port, source) and not bars(["--progress=off"], at.port, source)
    got = batch(at.port, source, "-t")
    assert got.status == 0 and re.fullmatch(r"envoi: 3 of 3 messages sent, in \S+ s\n", got.err), got


# ---- what goes wrong on this side ----

@pytest.mark.parametrize("kind", ["mbox", "maildir", "list", "nul"])
def test_none_at_all(tmp_path, kind):
    source = {"mbox": mbox, "maildir": maildir, "list": names}.get(kind, lambda *_: "-")(tmp_path / "in", [])
    got = batch(1, source, "-t")
    assert got.status == 0 and got.out == "" and "0 of 0 messages sent" in got.err, got


def test_a_stream_that_ends_in_the_middle(tmp_path, sink):
    """The last message may lack its NUL; what came of it is all there is."""
    at = sink()
    octets = b"".join(letter(n).encode() + b"\0" for n in range(3)).rstrip(b"\0")
    got = batch(at.port, "-", "-t", message=octets)
    assert got.status == 0 and at.ids() == [0, 1, 2], got


def test_one_of_100_mb_in_the_middle(tmp_path, sink):
    at = sink()
    source = tmp_path / "in"
    with source.open("w") as out:
        for n in range(5):
            out.write(f"From a@example.org\n{letter(n)}" + ("x" * 77 + "\n") * (1280000 if n == 2 else 1) + "\n")
    got = batch(at.port, source, "-t", "--connections=2")
    assert got.status == 0 and at.ids() == list(range(5)), got
    sizes = {line["number"]: line["mailsize"] for line in lines(got)}
    assert sizes[3] > 100_000_000 and max(sizes[n] for n in (1, 2, 4, 5)) < 1000


def test_odd_names(tmp_path, sink):
    """Each line is JSON, and a journal knows each again."""
    at = sink()
    source, journal = maildir(tmp_path / "in", []), tmp_path / "journal"
    odd = [b'quote"\\', b"line\nend", b"tab\tend", b"latin\xe9", b"\xff\xfe", b"100%", b"escape\x1b[31m", "ümläut".encode(), b"colon:2,S"]
    for n, name in enumerate(odd):
        (pathlib.Path(os.fsdecode(os.fsencode(source / "new") + b"/" + name))).write_text(letter(n))
    got = batch(at.port, source, "-t", f"--resume={journal}")
    assert got.status == 0 and at.ids() == list(range(len(odd))), got
    assert len(lines(got)) == len(odd) and "\x1b" not in got.out and "\x1b" not in got.err
    got = batch(at.port, source, "-t", f"--resume={journal}")
    assert {line["outcome"] for line in lines(got)} == {"skipped"} and len(lines(got)) == len(odd), got


def test_a_journal_without_room(tmp_path, sink):
    """What was sent is known, what was under way in doubt, and nothing is sent that cannot be written down."""
    at = sink()
    source, journal = mbox(tmp_path / "in", [letter(n) for n in range(40)]), tmp_path / "journal"
    command = ["prlimit", "--fsize=600:600", client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={source}", "-t",
               f"--resume={journal}"]
    done = subprocess.run(command, capture_output=True, text=True, env=client.environment(), timeout=60)
    assert done.returncode == 79 and "cannot write to the journal: File too large" in done.stderr and "hint" in done.stderr, done
    report = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(report) == 40
    sent = {line["number"] - 1 for line in report if line["outcome"] == "sent"}
    assert at.ids() == sorted(sent) and 0 < len(sent) < 20
    assert all(line["fault"] == "io" for line in report if line["outcome"] == "deferred")
    got = batch(at.port, source, "-t", f"--resume={journal}")
    uncertain = {line["number"] - 1 for line in lines(got) if line["outcome"] == "uncertain"}
    assert len(at.ids()) == len(set(at.ids())) and len(uncertain) <= 5, got
    assert set(at.ids()) | uncertain == set(range(40)), got


def test_two_runs_with_one_journal(tmp_path, sink):
    at = sink("--delay=message:0.2")
    source, journal = mbox(tmp_path / "in", [letter(n) for n in range(12)]), tmp_path / "journal"
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={source}", "-t", f"--resume={journal}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=client.environment()) as first:
        while not at.received:
            time.sleep(0.01)
        got = batch(at.port, source, "-t", f"--resume={journal}")
        assert got.status == 64 and "in use by another run" in got.err and got.out == "", got
    assert first.returncode == 0 and at.ids() == list(range(12))


def test_a_report_without_room(tmp_path, sink):
    at = sink()
    got = batch(at.port, mbox(tmp_path / "in", [letter(n) for n in range(3)]), "-t", "--report=/dev/full")
    assert got.status == 74 and "cannot write the report: No space left on device\n" in got.err and at.ids() == [0, 1, 2], got
    assert "3 of 3 messages sent" in got.err and "the messages are not held up by it" in got.err


def test_a_report_that_nobody_reads(tmp_path, sink):
    at = sink()
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", f"--batch={mbox(tmp_path / 'in', [letter(n) for n in range(3)])}", "-t"]
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, text=True, env=client.environment(), timeout=60)
    os.close(theirs)
    assert done.returncode == 74 and "cannot write the report: Broken pipe\n" in done.stderr and at.ids() == [0, 1, 2], done


@pytest.mark.parametrize("busy", [True, False], ids=["a message under way", "nothing under way"])
def test_a_pipe_is_interrupted(tmp_path, sink, busy):
    """What was read is reported, that there may be more is said, and the journal goes on from there."""
    at = sink(*["--delay=message:0.3"] * busy)
    journal = tmp_path / "journal"
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={at.port}", "--tls=off", "--batch=-", "-t", "--connections=1", f"--resume={journal}"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.environment())
    octets = b"".join(letter(n).encode() + b"\0" for n in range(6))
    running.stdin.write((octets if busy else octets[:octets.index(b"\0") + 1]) + b"X-Number: 99\nTo: half")
    running.stdin.flush()
    while len(at.received) < 1:
        time.sleep(0.01)
    first = b"" if busy else running.stdout.readline()
    running.send_signal(signal.SIGINT)
    assert running.wait(20) == 79
    running.stdin.close()
    with running.stdout, running.stderr:
        report, err = [json.loads(line) for line in (first + running.stdout.read()).splitlines()], running.stderr.read().decode()
    assert [line["number"] for line in report] == list(range(1, 7 if busy else 2))
    assert "the rest was not read" in err and "follows message" in err and "the same command goes on from here" in err, err
    sent = at.ids()
    got = batch(at.port, "-", "-t", "--connections=1", f"--resume={journal}", message=octets)
    assert got.status == 0 and at.ids() == list(range(6)), got
    assert [line["number"] - 1 for line in lines(got) if line["outcome"] == "skipped"] == sent


# ---- memory ----

def peak(port, letters):
    """KiB, when all letters are through."""
    command = [client.ENVOI, "send", "--host=127.0.0.1", f"--port={port}", "--tls=off", "--batch=-", "-t"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=client.environment())

    def write():
        for text in letters:
            running.stdin.write(text.encode() + b"\0")
        running.stdin.flush()
    writer = threading.Thread(target=write)
    writer.start()
    for _ in letters:
        assert json.loads(running.stdout.readline())["outcome"] == "sent"
    writer.join(20)
    kib = int(re.search(r"VmHWM:\s*(\d+)", pathlib.Path(f"/proc/{running.pid}/status").read_text())[1])
    running.stdin.close()
    assert running.wait(20) == 0
    running.stdout.close()
    return kib


@pytest.mark.skipif("ENVOI_SANITIZED" in os.environ, reason="a sanitizer keeps what was freed")
def test_constant_memory(sink):
    at = sink("--quiet")
    few = peak(at.port, [letter(n) for n in range(200)])
    many = peak(at.port, [letter(n) for n in range(10000)])
    big = peak(at.port, [letter(0) + "x" * 70 + "\n" * (8 << 20)] * 8)
    assert many < few + 512, (few, many)
    assert big < few + 24 * 1024, (few, big)


@pytest.mark.parametrize("way", ["plain", "starttls"])
def test_postfix(tmp_path, postfix, way):
    letters = [client.message(f"batch{n:03d}x{os.getpid()}")[1].decode() for n in range(100)]
    source = mbox(tmp_path / "in", letters)
    got = envoi("send", *client.to_server(postfix, way), f"--batch={source}", "-f", client.SENDER, "b@example.org")
    assert got.status == 0, got
    assert len({line["queueid"] for line in lines(got)}) == 100


@pytest.mark.parametrize("kind", ["postfix", "postfix without CHUNKING", "postfix, larger than a flight", "opensmtpd", "aiosmtpd"])
def test_each_message_arrives_once(tmp_path, request, kind):
    """Where the next envelope leaves behind the message, and where it does not."""
    server = request.getfixturevalue(kind.split()[0].strip(","))
    body = b"x" * 70 + b"\n"
    tokens = [f"once{n:02d}x{kind.count(' ')}{os.getpid()}" for n in range(20)]
    letters = [client.message(token, body * (1000 if "larger" in kind else 3))[1].decode() for token in tokens]
    port = server.extra["data"] if "without" in kind else server.plain
    got = batch(port, mbox(tmp_path / "in", letters), "-f", client.SENDER, "--connections=2", "b@example.org")
    assert got.status == 0, got
    for token in tokens:
        assert len(server.wait_for(token)) == 1


# ---- round trips ----

@pytest.mark.parametrize("extensions, size", [("CHUNKING,PIPELINING", 1), ("PIPELINING", 1), ("CHUNKING,PIPELINING", 1200)],
                         ids=["BDAT", "DATA", "more than joins the envelope"])
def test_one_round_trip_for_each(tmp_path, sink, extensions, size):
    """Behind the first: two messages at once would put two in doubt."""
    at = sink(f"--extensions={extensions}")
    letters = [letter(n) + ("x" * 70 + "\n") * size for n in range(12)]
    with DelayProxy("127.0.0.1", at.port, 0.05) as proxy:
        got = batch(proxy.port, mbox(tmp_path / "in", letters), "-t", "--connections=1", "--max-per-connection=12")
        assert got.status == 0, got
        (connection,) = proxy.connections
    assert at.ids() == list(range(12))
    assert connection.flights <= 3 + 12 + 1 + (size > 1000 and 6), connection
