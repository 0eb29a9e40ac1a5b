"""The examples of envoi-dialogue(7) are played: a line `.\\" check: …` in front of each says against what.

talk sink [OPTION…]   by talk, against the sink with these options
talk script NAME      by talk, against the server of that name below
sink STATUS           by the sink; an envoi that sends to it ends with this status
text                  is no script"""
import pathlib
import re
import subprocess

import pytest

from client import ENVOI, environment
from test_sink import Sink, sink  # noqa: F401: a fixture
from test_talk import talk

PAGE = pathlib.Path(__file__).resolve().parents[2] / "doc" / "envoi-dialogue.7"
BLOCK = re.compile(r'(?:^\.\\" check: (?P<check>.*)\n)?^\.Bd -literal.*\n(?P<text>(?:.*\n)*?)\.Ed$', re.M)
ESCAPES = {r"\e": "\\", r"\-": "-", r"\&": ""}
HELLO = "S: 220 mx.example\nC: EHLO\nS: 250-mx.example\n"

SERVERS = {
    "closed": HELLO + "S: 250 8BITMIME\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 554 5.7.1 relay access denied\nC: QUIT\nS: 221 bye\n",
    "greylist": HELLO + "S: 250 8BITMIME\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 450 4.7.1 greylisted\nC: RCPT\nS: 250 ok\nC: QUIT\nS: 221 bye\n",
    "xclient": HELLO + "S: 250 XCLIENT NAME ADDR PROTO HELO\nC: /^XCLIENT ADDR=([0-9.]+)/\n# @set address $1\nS: 220 mx.example\nC: EHLO spike\n"
                       "S: 250 mx.example\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 554 5.7.1 <$address>: client host rejected\nC: QUIT\nS: 221 bye\n",
    "silent": HELLO + "S: 250 8BITMIME\nC: VRFY root\nS: 252 2.0.0 try\nC: EXPN root\nS: 502 5.5.1 no\nC: VRFY nobody\nS: 252 2.0.0 try\nC: QUIT\n"
                      "S: 221 bye\n",
}
# What the example is there to find.
FAULTS = {
    "closed": HELLO + "S: 250 8BITMIME\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 2.1.5 ok\n",
    "silent": HELLO + "S: 250 8BITMIME\nC: VRFY root\nS: 250 2.1.5 <root@mx.example>\n",
    "xclient": HELLO + "S: 250 8BITMIME\n",
    "greylist": HELLO + "S: 250 8BITMIME\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\n",
}


def blocks():
    text = PAGE.read_text()
    for found in BLOCK.finditer(text):
        plain = re.sub(r"\\[e&-]", lambda m: ESCAPES[m[0]], found["text"])
        yield pytest.param(found["check"], plain, id=f"line {text.count(chr(10), 0, found.start()) + 1}: {found['check']}")


def serve(sink, tmp_path, text):
    path = tmp_path / "server"
    path.write_text(text)
    return sink("--script", path)


def play_talk(sink, tmp_path, example, words):
    server = serve(sink, tmp_path, SERVERS[words[1]]) if words[0] == "script" else sink("--discard", *words[1:])
    where = f"127.0.0.1:{server.ports[0]}"
    done = talk("--tls-certcheck=off", where, example)
    assert done.returncode == 0, done.out + done.err
    if words[0] == "script":
        done = talk("--timeout=2", f"127.0.0.1:{serve(sink, tmp_path, FAULTS[words[1]]).ports[0]}", example)
        assert done.returncode == 1 and "expected" in done.err, done.out + done.err


def play_sink(sink, example, status):
    server = sink("--script", example)
    done = subprocess.run([ENVOI, "--host=127.0.0.1", f"--port={server.ports[0]}", "--tls=off", "--timeout=1", "--from=a@example.org",
                           "b@example.org"], input=b"Subject: x\n\nx\n", capture_output=True, env=environment(), timeout=30)
    assert done.returncode == int(status), done.stderr


@pytest.mark.parametrize("check, text", blocks())
def test_example(check, text, sink, tmp_path):
    assert check, 'put a line .\\" check: … in front of the block'
    kind, *words = check.split()
    example = tmp_path / "example"
    example.write_text(text)
    if kind == "talk":
        play_talk(sink, tmp_path, example, words)
    elif kind == "sink":
        play_sink(sink, example, *words)
    else:
        assert kind == "text"


def test_ten_examples():
    assert sum(not check.values[0].startswith("text") for check in blocks()) >= 10


def test_every_directive_is_in_the_manual():
    """Each side's table, as the source has it, in its own section."""
    root = PAGE.parents[1]
    text = PAGE.read_text()
    for source, section in (("talk_steps.c", "SCRIPTS FOR TALK"), ("sink_script.c", "SCRIPTS FOR SINK")):
        part = text[text.index(f".Sh {section}"):]
        part = part[:part.index("\n.Sh", 5)]
        words = re.findall(r'^    { "([a-z-]+)", SCRIPT_', (root / "src" / "cmd" / source).read_text(), re.M)
        assert len(words) > 10
        for word in words:
            assert f"Cm @{word}" in part, f"@{word} in {section}"
