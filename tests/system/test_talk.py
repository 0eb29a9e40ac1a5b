"""envoi talk: scripts and plain lines against the sink and against raw sockets, and a person at a terminal."""
import os
import pty
import re
import select
import socket
import subprocess
import threading
import time

import pytest

from client import ENVOI, environment
from test_sink import Sink, sink  # noqa: F401: a fixture

LOGIN = ("--user=me", "--passwordeval=echo secret")
ANY = "--tls-certcheck=off"


def talk(*args, script="", cwd=None, timeout=30, **more):
    done = subprocess.run([ENVOI, "talk", *map(str, args)], input=script.encode(), capture_output=True, cwd=cwd, timeout=timeout,
                          env=environment(**more))
    done.out, done.err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    return done


def lines(done, prefix):
    return [line[len(prefix):] for line in done.out.splitlines() if line.startswith(prefix)]


def port(server):
    return f"127.0.0.1:{server.ports[0]}"


class Raw:
    """A server that says what it is told, one answer for each read; keeps what came, read by read."""

    def __init__(self, *answers, greeting=b"220 raw\r\n", path=None):
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.socket.listen()
        self.reads, self.answers, self.greeting = [], list(answers), greeting
        self.where = path or f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.met = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        client, _ = self.socket.accept()
        self.met.set()
        with client:
            client.settimeout(20)
            client.sendall(self.greeting)
            try:
                while data := client.recv(1 << 20):
                    self.reads.append(data)
                    if not self.answers:
                        return
                    client.sendall(self.answers.pop(0))
            except OSError:
                self.reads.append(None)

    def end(self):
        self.thread.join(20)
        self.socket.close()
        return self.reads


def test_plain_lines(sink):
    done = talk(port(sink("--discard")), script="EHLO me\nVRFY postmaster\nQUIT\n")
    assert done.returncode == 0 and done.err == "", done.err
    assert lines(done, "C: ") == ["EHLO me", "VRFY postmaster", "QUIT"]
    said = [line for line in done.out.splitlines() if line[:2] in ("C:", "S:")]
    assert said[0].startswith("S: 220") and said[1] == "C: EHLO me" and said[-1].startswith("S: 221")


def test_plain_message(sink, tmp_path):
    server = sink("--maildir", tmp_path / "m")
    done = talk(port(server), script="EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nDATA\nSubject: x\n\n..dot\nQUIT\n.\nQUIT\n")
    assert done.returncode == 0, done.err
    stored, = (tmp_path / "m" / "new").iterdir()
    assert stored.read_bytes().endswith(b"\n.dot\nQUIT\n") or stored.read_bytes().endswith(b"\r\n.dot\r\nQUIT\r\n")


def test_refused_message_is_not_said():
    server = Raw(b"554 no\r\n", b"221 bye\r\n")
    done = talk(server.where, script="DATA\nSubject: x\n\nhello\n.\nQUIT\n")
    assert done.returncode == 0 and server.end() == [b"DATA\r\n", b"QUIT\r\n"]


def test_bdat(sink, tmp_path):
    server = sink("--maildir", tmp_path / "m")
    done = talk(port(server), script="EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nBDAT 9\nA: b\nC: \nC: z\nS: 250\nBDAT 3 LAST\n.\nS: 250\nQUIT\nS: 221\n"
                .replace("BDAT 9", "BDAT 11"))
    assert done.returncode == 0, done.out + done.err
    stored, = (tmp_path / "m" / "new").iterdir()
    assert stored.read_bytes().replace(b"\r\n", b"\n").endswith(b"A: b\n\nz\n.\n")


@pytest.mark.parametrize("script, line, expected, got", [
    ("C: EHLO me\nS: 250-vm\nS: 250\nC: NOOP\nS: 354\n", 5, "354", "250 2.0.0 ok"),
    ("S: 421\n", 1, "421", "220 "),
    ("EHLO me\nS: /nothing like it/\n", 2, "/nothing like it/", "250 "),
    ("EHLO me\nNOOP\nQUIT\nS: 250\nS: 500\nS: 221\n", 5, "500", "250 2.0.0 ok"),
    ("# @set who you\nEHLO $who\nVRFY $who\nS: 550 $who\n", 4, "550 $who", "252 "),
])
def test_wrong_expectations(sink, tmp_path, script, line, expected, got):
    path = tmp_path / "script"
    path.write_text(script.replace("250-vm", "250-"))
    done = talk(port(sink("--discard")), path)
    assert done.returncode == 1
    assert re.search(rf"^envoi talk: {path}:{line}: expected '{re.escape(expected)}', got '{re.escape(got)}", done.err), done.err


@pytest.mark.parametrize("script", [
    "S: 220\nC: EHLO me\nS: 2\nC: NOOP\nS: 250 2.0.0\nC: QUIT\nS: 221\n",
    "C: EHLO me\nC: NOOP\nS: 250 2.0.0 ok\nC: QUIT\n",              # no word on EHLO
    "C: EHLO me\nS: 250-\nS: 250-PIPELINING\nC: QUIT\nS: 221\n",    # of a reply some lines only
    "C: EHLO me\nS: /^250[ -]DSN/\nC: QUIT\nS: /^221 .*bye$/\n",
    "C: EHLO me\nC: MAIL FROM:<a@x>\nC: RCPT TO:<b@x>\nC: DATA\nS: 250\nS: 250\nS: 250\nS: 354\nC: .\nC: QUIT\nS: 250\n",
    "C: EHLO me\nC: MAIL FROM:<a@x>\nC: RCPT TO:<b@x>\nS: 250 2.1.0\nC: DATA\nS: 250 2.1.5\nS: 354\nC: hello\nC: .\nS: 250\n",
    "# @repeat 3\nC: NOOP\nS: 250\n# @end\nC: QUIT\nS: 221\n",
    "EHLO me\n# @close\nS: 220\nC: HELO me\nS: 250\n# @reset\nHELO me\nQUIT\n# @expect-close\n",
    "C: EHLO me\nS: /^250-(.*)$/\n# @set name <$1>\n# @timeout 5\nC: VRFY $name\nS: 252\n",
])
def test_expectations_that_hold(sink, script):
    done = talk(port(sink("--discard")), script=script)
    assert done.returncode == 0, done.out + done.err


@pytest.mark.parametrize("script, words", [
    ("# @wiat 3\n", "standard input:1: '@wiat' is no directive of talk"), ("S: /(/\n", "standard input:1: '(' is no regular expression"),
    ("# @set a b\nC: $b\n", "nothing sets '$b'"), ("# @pipeline\nC: NOOP\n", "'@pipeline' without '@end'"),
])
def test_bad_scripts(script, words):
    done = talk("127.0.0.1:9", script=script)
    assert done.returncode == 78 and words in done.err, done.err


def test_bad_command_lines(tmp_path):
    for args, status in ((["h:0"], 64), ([], 64), (["h", "a", "b"], 64), (["--set=1x=y", "h"], 64), (["--pipe=a 'b"], 64),
                         (["--tls", "--starttls", "h"], 64), (["127.0.0.1:9", tmp_path / "none"], 66), (["-a", "x", "--pipe=y"], 64)):
        done = talk(*args)
        assert done.returncode == status, f"{args}: {done.returncode} {done.err}"


def test_variables_of_the_command_line():
    server = Raw(b"250 ok\r\n")
    done = talk("--set=who=a b", "--set=x=1", server.where, script="VRFY ${who}$x $$\nS: 250\n")
    assert done.returncode == 0 and server.end()[0] == b"VRFY a b1 $\r\n", done.err


@pytest.mark.parametrize("way", ["starttls", "by line", "option", "implicit"])
def test_tls(sink, way):
    server = sink("--discard", "--listen", ":0", "--listen-tls", ":0")
    fingerprint = f"--tls-fingerprint={server.read_fingerprint()}"
    if way == "implicit":
        done = talk("--tls", fingerprint, f"127.0.0.1:{server.tls_ports[0]}", script="S: 220\nEHLO me\nS: 250\nQUIT\n")
    elif way == "option":
        done = talk("--starttls", fingerprint, port(server), script="S: 220\nC: EHLO me\nS: 250\nQUIT\n")
    else:
        word = "# @starttls" if way == "starttls" else "C: STARTTLS\nS: 220\n# @starttls"
        done = talk(fingerprint, port(server), script=f"EHLO me\n{word}\nEHLO me\nS: 250\nQUIT\nS: 221\n")
    assert done.returncode == 0, done.out + done.err
    assert "# TLS1.3" in done.out and "(fingerprint)" in done.out


def test_certificate_that_nobody_trusts(sink):
    done = talk(port(sink("--discard")), script="EHLO me\n# @starttls\nEHLO me\n")
    assert done.returncode == 77 and lines(done, "C: ")[-1] == "STARTTLS"


def test_injection_behind_starttls():
    server = Raw(b"220 go\r\n250 injected\r\n")
    done = talk(ANY, server.where, script="C: STARTTLS\nS: 220\nNOOP\nS: 250 injected\n")
    assert done.returncode != 0 and "injected" not in "".join(lines(done, "S: "))


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "XOAUTH2", ""])
def test_auth(sink, mechanism):
    server = sink("--discard", "--auth", "me:secret")
    done = talk(*LOGIN, port(server), script=f"EHLO x\n# @auth {mechanism}\nS: 235\nMAIL FROM:<a@x>\nS: 250\n")
    assert done.returncode == 0, done.out + done.err
    assert "secret" not in done.out and "c2VjcmV0" not in done.out and "***" in done.out


def test_auth_refused(sink):
    server = sink("--discard", "--auth", "me:other")
    assert talk(*LOGIN, port(server), script="EHLO x\n# @auth PLAIN\nS: 535\nQUIT\n").returncode == 0
    done = talk(*LOGIN, port(server), script="EHLO x\n# @auth PLAIN\nQUIT\n")
    assert done.returncode == 77 and "refused the login of 'me'" in done.err
    assert talk(*LOGIN, port(server), script="EHLO x\n# @auth PLAIN you\nS: 535\n").returncode == 0


def test_login_by_hand_is_not_shown(sink):
    server = sink("--discard", "--auth", "me:secret")
    done = talk(port(server), script="EHLO x\nAUTH PLAIN AG1lAHNlY3JldA==\nS: 235\nC: QUIT\n")
    assert done.returncode == 0 and "AG1l" not in done.out and "C: AUTH PLAIN ***" in done.out
    done = talk(port(server), script="EHLO x\nAUTH LOGIN\nbWU=\nc2VjcmV0\nS: 235\n")
    assert done.returncode == 0 and "c2VjcmV0" not in done.out and done.out.count("C: ***") == 2, done.out


def test_account(sink, tmp_path):
    server = sink("--discard", "--auth", "me:secret")
    rc = tmp_path / "rc"
    rc.write_text(f"account x\nhost 127.0.0.1\nport {server.ports[0]}\nuser me\npassword secret\ntls_fingerprint {server.read_fingerprint()}\n")
    rc.chmod(0o600)
    script = tmp_path / "script"
    script.write_text("S: 220\nEHLO me\n# @auth\nS: 235\nQUIT\nS: 221\n")
    done = talk("-C", rc, "-a", "x", script)
    assert done.returncode == 0 and "# TLS1.3" in done.out, done.out + done.err


@pytest.mark.parametrize("options, sink_options", [
    (["-v"], []), (["-d"], []), (["-v"], ["--extensions=-CHUNKING"]), (["-d"], ["--extensions=-CHUNKING"]), (["-d", "--auth=login"], []),
    (["-v", "--auth=plain"], []), (["-d"], ["--extensions=SIZE"]), (["-d", "--tls=on", ANY], []), (["-v", "--tls=on", ANY, "--auth=plain"], []),
])
def test_transcripts_replay(sink, tmp_path, options, sink_options):
    auth = [*LOGIN] if any("auth" in o for o in options) else ["--auth=off"]
    tls = [] if "--tls=on" in options else ["--tls=off"]
    server = sink("--discard", "--auth", "any", *sink_options)
    sent = subprocess.run([ENVOI, "--host=127.0.0.1", f"--port={server.ports[0]}", "--from=a@example.org", *options, *auth, *tls,
                           "b@example.org", "c@example.org"], input=b"Subject: x\n\nhello\n.dot\n", capture_output=True, env=environment())
    assert sent.returncode == 0, sent.stderr
    path = tmp_path / "transcript"
    path.write_bytes(sent.stderr)
    replayed = talk(ANY, *LOGIN, port(sink("--discard", "--auth", "any", *sink_options)), path)
    assert replayed.returncode == 0, replayed.out + replayed.err
    path.write_text(replayed.out)
    again = talk(ANY, *LOGIN, port(sink("--discard", "--auth", "any", *sink_options)), path)
    assert again.returncode == 0, again.out + again.err


def test_raw_is_exact():
    server = Raw(b"250 ok\r\n", b"354 go\r\n", b"250 one\r\n250 two\r\n")
    done = talk(server.where, script='NOOP\nDATA\nS: 354\n# @raw "a\\n.\\n\\0\\r\\xff\\r\\n.\\r\\n"\nS: 250 one\nS: 250 two\n')
    assert done.returncode == 0, done.out + done.err
    assert server.end() == [b"NOOP\r\n", b"DATA\r\n", b"a\n.\n\0\r\xff\r\n.\r\n"]
    assert '# @raw "a\\n.\\n\\0\\r\\xff\\r\\n.\\r\\n"' in done.out


def test_pipeline_is_one_write():
    server = Raw(b"250 hello\r\n", b"250-a\r\n250 b\r\n250 c\r\n503 d\r\n", b"221 bye\r\n")
    done = talk(server.where, script="EHLO me\n# @pipeline\nEHLO me\nMAIL FROM:<a@x>\nDATA\n# @end\nS: 250-\nS: 250 b\nS: 250 c\nS: 503\nC: QUIT\nS: 221\n")
    assert done.returncode == 0, done.out + done.err
    assert server.end() == [b"EHLO me\r\n", b"EHLO me\r\nMAIL FROM:<a@x>\r\nDATA\r\n", b"QUIT\r\n"]


def test_body(sink, tmp_path):
    body = tmp_path / "body"
    body.write_bytes(b"Subject: x\n\n.dot\n..\r\n" + b"0123456789\n" * 300000 + b".")
    server = sink("--maildir", tmp_path / "m")
    done = talk(port(server), script=f"EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nDATA\nS: 354\n# @body {body}\nS: 250\nQUIT\nS: 221\n")
    assert done.returncode == 0, done.out + done.err
    stored, = (tmp_path / "m" / "new").iterdir()
    kept = stored.read_bytes().replace(b"\r\n", b"\n")
    assert kept[kept.index(b"Subject"):] == body.read_bytes().replace(b"\r\n", b"\n") + b"\n"
    done = talk(port(server), script="EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nDATA\nS: 354\n# @body /nonexistent\n")
    assert done.returncode == 66


def test_a_big_pipeline_against_a_server_that_talks_back(sink):
    done = talk(port(sink("--discard")), script="EHLO me\n# @pipeline\n" + "NOOP\n" * 50000 + "# @end\nQUIT\nS: 221\n")
    assert done.returncode == 0 and done.out.count("S: 250 2.0.0 ok") == 50000


def test_timeouts():
    server = Raw(b"")
    assert talk("--timeout=0.2", server.where, script="NOOP\nQUIT\n").returncode == 75
    server = Raw(b"")
    done = talk(server.where, script="# @timeout 0.2\nNOOP\nS: 250\n")
    assert done.returncode == 1 and "expected '250', got nothing in time" in done.err
    server = Raw(greeting=b"")
    assert talk("--timeout=0.2", server.where, script="NOOP\n").returncode == 75


def test_a_handshake_has_a_deadline():
    server = Raw(b"220 go\r\n", b"", b"")
    done = talk("--timeout=0.3", server.where, script="STARTTLS\nNOOP\n")
    assert done.returncode == 75 and "handshake did not end in time" in done.err


def test_a_server_that_does_not_read():
    listener = socket.create_server(("127.0.0.1", 0))
    done = talk("--timeout=0.5", f"127.0.0.1:{listener.getsockname()[1]}", script="# @pipeline\n" + "NOOP " + "x" * 200000 + "\n" +
                ("NOOP " + "x" * 200000 + "\n") * 40 + "# @end\nQUIT\n")
    listener.close()
    assert done.returncode == 75 and "does not read" in done.err


def test_greeting_of_the_next_connection(sink):
    done = talk(port(sink("--discard")), script="S: 220\nC: EHLO me\nS: 250\n# @close\n# @wait 0.1\nS: 220\nC: EHLO me\nS: 250\n")
    assert done.returncode == 0 and done.out.count("S: 220") == 2, done.out + done.err


def test_server_that_closes():
    server = Raw()
    done = talk(server.where, script="NOOP\nNOOP\n")
    assert done.returncode == 75 and "closed the connection" in done.err
    server = Raw()
    done = talk(server.where, script="NOOP\nS: 250\n")
    assert done.returncode == 1 and "got the end of the connection" in done.err
    server = Raw(b"421 bye\r\n")
    assert talk(server.where, script="NOOP\nS: 421\nNOOP\n# @expect-close\n").returncode == 0
    server = Raw()
    assert talk(server.where, script="QUIT\n").returncode == 0
    server = Raw(b"250 a\r\n", b"250 b\r\n", b"")
    done = talk(server.where, script="# @timeout 0.3\nNOOP\n# @expect-close\n")
    assert done.returncode == 1 and "got an open connection" in done.err
    assert talk("127.0.0.1:9", script="NOOP\n").returncode == 75


def test_reset():
    server = Raw(b"250 ok\r\n")
    assert talk(server.where, script="NOOP\nS: 250\n# @reset\n").returncode == 0
    assert server.end() == [b"NOOP\r\n", None]


def test_unix_socket(sink, tmp_path):
    path = str(tmp_path / "s")
    server = Raw(b"250 ok\r\n", path=path)
    assert talk(path, script="LHLO me\nS: 250\n").returncode == 0
    server.end()
    os.unlink(path)
    server = Raw(b"250 ok\r\n", path=path)
    assert talk(f"--socket={path}", script="LHLO me\nS: 250\n").returncode == 0 and server.end() == [b"LHLO me\r\n"]


def test_lmtp_replies(sink):
    server = sink("--discard", "--lmtp")
    done = talk(port(server), script="LHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nRCPT TO:<c@x>\nDATA\nS: 354\nhello\n.\nS: 250\nS: 250\nQUIT\nS: 221\n")
    assert done.returncode == 0, done.out + done.err


def test_pipe():
    child = "sh -c 'printf \"220 child\\r\\n\"; read x; printf \"250 $x\\r\\n\"; read x; printf \"221 bye\\r\\n\"'"
    done = talk("--pipe", child, script="S: 220 child\nC: EHLO me\nS: 250 EHLO me\nC: QUIT\nS: 221\n# @expect-close\n")
    assert done.returncode == 0, done.out + done.err


def test_transcript_file(sink, tmp_path):
    path = tmp_path / "t"
    done = talk(f"--transcript={path}", port(sink("--discard")), script="EHLO me\nQUIT\n")
    assert done.returncode == 0 and path.read_text() == done.out and path.stat().st_mode & 0o777 == 0o600


class Flood(Raw):
    """A server that never stops; all that it may fill is bounded."""

    def serve(self):
        client, _ = self.socket.accept()
        self.met.set()
        with client:
            try:
                while True:
                    client.sendall(self.greeting)
            except OSError:
                pass


@pytest.mark.parametrize("line, script", [(b"250-spam\r\n" * 5000, "EHLO me\nS: /nothing/\n"), (b"2" * 65536, "EHLO me\n")],
                         ids=["lines", "octets"])
def test_a_reply_without_end(line, script):
    server = Flood(greeting=line)
    done = talk(server.where, script=script)
    assert done.returncode == 76 and "the server says" in done.err
    server.end()


@pytest.mark.parametrize("greeting, script", [
    (b"220 hello\r\n", "# @raw x\n# @repeat\n# @set a b\n# @end\n"), (b"250 spam\r\n" * 5000, "# @raw x\n# @wait 1000\n"),
], ids=["loop", "flood"])
def test_signals_end_what_never_waits(tmp_path, greeting, script):
    server = (Flood if b"spam" in greeting else Raw)(greeting=greeting)
    path = tmp_path / "script"
    path.write_text(script)
    process = subprocess.Popen([ENVOI, "talk", server.where, path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=environment())
    assert server.met.wait(20)
    process.terminate()
    try:
        assert process.wait(20) != 0
    finally:
        process.kill()
        server.end()


def test_a_value_that_doubles_itself():
    done = talk(Raw().where, script="# @set a x\n# @repeat 60\n# @set a $a$a\n# @end\nNOOP\n")
    assert done.returncode == 1 and "a value that is too long" in done.err


def test_an_empty_script_looks_at_the_server(sink):
    server = sink("--discard")
    assert lines(talk(port(server)), "S: 220")
    done = talk("--starttls", port(server))
    assert done.returncode == 77 and "C: STARTTLS" in done.out


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_body_that_is_no_file(sink, tmp_path, kind):
    path = tmp_path / kind
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    done = talk(port(sink("--discard")), script=f"EHLO me\nMAIL FROM:<a@x>\nRCPT TO:<b@x>\nDATA\n# @body {path}\n")
    assert done.returncode == 66 and f"'{path}': it is no regular file" in done.err


def test_a_login_that_is_given_up_says_so():
    server = Raw(b"250-x\r\n250 AUTH LOGIN\r\n", b"334 !\r\n")
    done = talk(*LOGIN, server.where, script="EHLO me\n# @auth\n")
    assert done.returncode == 76 and lines(done, "C: ")[-1] == "*" and server.end()[-1] == b"*\r\n"


@pytest.mark.parametrize("script", [
    "AUTH\tPLAIN\tAG1lAHNlY3JldA==\n", "# @pipeline\nAUTH LOGIN\nbWU=\nc2VjcmV0\n# @end\n",
])
def test_no_secret_of_an_odd_login_is_shown(script):
    done = talk(Raw(b"334 a\r\n334 b\r\n235 c\r\n").where, script=script)
    assert "***" in done.out and not re.search("AG1l|bWU|c2Vj", done.out)


# ---- a person ----

class Person:
    def __init__(self, *args, **env):
        self.seen = b""
        variables = {**environment(), "TERM": "xterm", "INPUTRC": "/dev/null", **env}
        variables.pop("NO_COLOR", None) if "NO_COLOR" not in env else None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(ENVOI, ["envoi", "talk", *map(str, args)], variables)

    def read(self, pattern, timeout=20):
        """Reads on until the pattern comes; what was read since the last one."""
        end, new = time.monotonic() + timeout, b""
        while not (found := re.search(pattern, new)):
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {pattern} in {new}"
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                data = b""
            assert data, f"the end, and no {pattern} in {new}"
            new += data
        self.seen += new
        return found

    def type(self, text, pattern):
        os.write(self.fd, text.encode())
        return self.read(pattern)

    def end(self):
        try:
            while data := os.read(self.fd, 1 << 16):
                self.seen += data
        except OSError:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def state(tmp_path):
    return {"XDG_STATE_HOME": str(tmp_path / "state")}


def test_person(sink, tmp_path, state):
    version = subprocess.run([ENVOI, "--version"], capture_output=True, text=True).stdout
    if re.search(r"readline +left out", version):
        pytest.skip("readline is left out")
    server = sink("--discard", "--auth", "any")
    p = Person(ANY, *LOGIN, port(server), **state)
    p.read(rb"\x1b\[32mS: 220 [^\n]*\x1b\[0m\r\nC: ")
    p.type("EHLO nobody\x7f\x7f\x7f\x7f\x7f\x7fme\r", rb"S: 250 [^\n]*\n")
    p.type("STA\t\r", rb"# TLS1.3[^\n]*\n")
    p.type("EHLO me\r", rb"S: 250 [^\n]*\n")
    p.type("AUTH XO\t\x15", rb"AUTH XOAUTH2 ")
    p.type("MAIL F\t\x15", rb"MAIL FROM:<")
    p.type("MAIL FROM:<> SI\t\x15", rb"SIZE=")
    p.type(".au\tLO\t\r", rb"S: 235 [^\n]*\n")
    p.type("\x1b[A\x1b[A\r", rb"EHLO me\r\n(?s:.*)S: 250 [^\n]*\n")
    p.type(".raw \"NOOP\\r\\n\"\r", rb"S: 250 2.0.0 ok")
    p.type("NONSENSE\r", rb"\x1b\[31mS: 500 ")
    p.type(".wrong\r", rb"'@wrong' is no directive")
    p.type(".help\r", rb"\.quit +end")
    saved = tmp_path / "saved"
    p.type(f".save {saved}\r", rb"# saved")
    p.type("QUIT\r", rb"S: 221 ")
    assert p.end() == 0
    assert saved.stat().st_mode & 0o777 == 0o600 and b"secret" not in p.seen
    replayed = talk(ANY, *LOGIN, port(sink("--discard", "--auth", "any")), saved)
    assert replayed.returncode == 0, replayed.out + replayed.err + saved.read_text()
    history = tmp_path / "state" / "envoi" / "talk_history"
    assert history.stat().st_mode & 0o777 == 0o600
    kept = history.read_text().splitlines()
    assert kept[:2] == ["EHLO me", "STARTTLS "] or kept[:2] == ["EHLO me", "STARTTLS"], kept


def test_no_secret_in_the_history(sink, tmp_path, state):
    p = Person(port(sink("--discard", "--auth", "me:secret")), **state)
    p.read(rb"S: 220 ")
    p.type("EHLO me\r", rb"S: 250 [^\n]*\n")
    p.type("AUTH LOGIN\r", rb"S: 334 ")
    p.type("bWU=\r", rb"S: 334 ")
    p.type("c2VjcmV0\r", rb"S: 235 ")
    p.type("AUTH PLAIN AG1lAHNlY3JldA==\r", rb"S: 503 ")
    p.type(f".save {tmp_path / 's'}\r", rb"# saved")
    p.type("\x04", rb"")
    assert p.end() == 0
    for text in ((tmp_path / "state" / "envoi" / "talk_history").read_text(), (tmp_path / "s").read_text()):
        assert "AUTH LOGIN" in text and not re.search("bWU|c2Vj|AG1l", text), text


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour(sink, state, env):
    p = Person(port(sink("--discard")), **state, **env)
    p.read(rb"S: 220 ")
    p.type("QUIT\r", rb"S: 221 ")
    assert p.end() == 0 and not re.search(rb"\x1b\[[0-9;]*[0-9]m", p.seen)


def test_message_at_the_terminal(sink, tmp_path, state):
    p = Person(port(sink("--maildir", tmp_path / "m")), **state)
    p.read(rb"S: 220 ")
    for line, reply in (("EHLO me", rb"S: 250 "), ("MAIL FROM:<a@x>", rb"S: 250 "), ("RCPT TO:<b@x>", rb"S: 250 "), ("DATA", rb"S: 354 ")):
        p.type(line + "\r", reply)
    p.type("Subject: x\r\r.quit\r.\r", rb"S: 250 2.0.0 ")
    p.type(".quit\r", rb"")
    assert p.end() == 0
    stored, = (tmp_path / "m" / "new").iterdir()
    assert b"Subject: x" in stored.read_bytes() and b"quit" in stored.read_bytes()


def test_server_speaks_while_a_line_is_edited(state):
    said = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        client, _ = listener.accept()
        with client:
            client.sendall(b"220 hello\r\n")
            said.wait(20)
            client.sendall(b"421 too slow\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    p = Person(f"127.0.0.1:{listener.getsockname()[1]}", **state)
    p.read(rb"S: 220 hello")
    p.type("EHLO half", rb"EHLO half")
    said.set()
    p.read(rb"\x1b\[33mS: 421 too slow")
    assert p.end() == 0
    thread.join()
    listener.close()


def test_a_login_that_is_pasted_is_not_kept(sink, tmp_path, state):
    p = Person(port(sink("--discard", "--auth", "me:secret")), **state)
    p.read(rb"S: 220 ")
    p.type("EHLO me\r", rb"S: 250 [^\n]*\n")
    p.type("AUTH LOGIN\rbWU=\rc2VjcmV0\r", rb"S: 235 ")
    p.type(f".save {tmp_path / 's'}\r", rb"# saved")
    p.type(".quit \r", rb"")
    assert p.end() == 0
    for text in ((tmp_path / "state" / "envoi" / "talk_history").read_text(), (tmp_path / "s").read_text()):
        assert "AUTH LOGIN" in text and not re.search("bWU|c2Vj", text), text


def test_save_touches_no_device_or_link(sink, tmp_path, state):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    os.mkfifo(tmp_path / "fifo")
    p = Person(port(sink("--discard")), **state)
    p.read(rb"S: 220 ")
    before = os.stat("/dev/null").st_mode
    p.type(".save /dev/null\r", rb"# saved")
    for name in ("link", "fifo"):
        p.type(f".save {tmp_path / name}\r", rb"# cannot write ")
    p.type(".quit\r", rb"")
    assert p.end() == 0 and not (tmp_path / "there").exists() and os.stat("/dev/null").st_mode == before
