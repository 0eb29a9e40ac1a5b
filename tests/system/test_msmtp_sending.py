"""What goes out is what msmtp would send: envelope and headers of both programs at the same sink."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from test_sink import Sink, stored

ENVOI = pathlib.Path(os.environ.get("ENVOI", "./envoi")).resolve()
pytestmark = pytest.mark.skipif(not shutil.which("msmtp"), reason="msmtp is not installed")

CONFIG = """defaults
host 127.0.0.1
port <PORT>
account plain
account own
from me@own.example
account pattern
from *@pattern.example
account locked
from only@locked.example
allow_from_override off
account set
from me@set.example
set_from_header on
account never
from me@never.example
set_from_header off
set_date_header off
set_msgid_header off
account keep
from me@keep.example
remove_bcc_headers off
account hidden
from me@hidden.example
undisclosed_recipients on
account auto
auto_from on
maildomain auto.example
account old
from me@old.example
add_missing_from_header off
add_missing_date_header off
keepbcc on
account default : own
"""

FULL = "From: Joe <joe@else.example>\nTo: a@x.example, b@x.example\nCc: c@x.example\nBcc: d@x.example\nSubject: s\n" \
       "Date: Sat, 1 Jan 2000 00:00:00 +0000\nMessage-ID: <1@x>\n\nbody\n"
BARE = "Subject: s\n\nbody\n"
RESENT = "Resent-From: r@resent.example\nResent-To: e@x.example\nResent-Bcc: f@x.example\n" + FULL
ODD_BCC = "From: joe@else.example\nbCC: d@x.example,\n\te@x.example\nBcc: f@x.example\nSubject: s\n\nbody\n"
GROUP = "From: joe@else.example\nTo: friends: a@x.example, \"B, b\" <b@x.example>;, c@x.example (comment)\nSubject: s\n\nbody\n"
PATTERN = "From: \"Some, body\" <some.body@pattern.example>\nTo: a@x.example\nSubject: s\n\nbody\n"
DETAIL = "From: me+news@own.example\nTo: a@x.example\n\nbody\n"
NO_TO = "From: joe@else.example\nBcc: d@x.example\nSubject: s\n\nbody\n"

# name: what msmtp sends, what envoi sends instead on purpose, why.
DIFFERENCES = {
    "-t of a resent message": ({"headers": [("resent-bcc", "f@x.example")]}, {"headers": []}, "a Resent-Bcc is as secret as a Bcc"),
    "--read-envelope-from of a resent message": (
        {"envelope": ["X-Envelope-From: <joe@else.example>"], "headers": [("resent-bcc", "f@x.example")]},
        {"envelope": ["X-Envelope-From: <r@resent.example>"], "headers": []},
        "reports about a resent message belong to who resent it"),
    "-F with quoting": ({"headers": [("from", "Doe, Joe <me@own.example>")]}, {"headers": [("from", '"Doe, Joe" <me@own.example>')]},
                        "without quotes it is two addresses, and one of them is none"),
    "pattern and no sender": ({"envelope": ["X-Envelope-From: <*@pattern.example>"]},
                              {"envelope": ["X-Envelope-From: <some.body@pattern.example>"]}, "a pattern is nobody's address"),
    "a Return-Path": ({"headers": [("return-path", "<old@x.example>")]}, {"headers": []}, "the last server writes it"),
    "header of another spelling": ({"headers": [("from", "x@y.example")]}, {"headers": []}, "blanks before the colon change nothing"),
}

# name, arguments, message.
CASES = [
    ("plain recipients", ["-a", "own", "a@x.example", "b@y.example"], FULL),
    ("default account", ["a@x.example"], FULL),
    ("-t", ["-a", "own", "-t"], FULL),
    ("-t and recipients", ["-a", "own", "-t", "--", "z@x.example"], FULL),
    ("-t of a resent message", ["-a", "own", "-t"], RESENT),
    ("-t, folded and odd Bcc", ["-a", "own", "-t"], ODD_BCC),
    ("-t, groups and comments", ["-a", "own", "-t"], GROUP),
    ("-f", ["-a", "own", "-f", "f@f.example", "a@x.example"], FULL),
    ("-f chooses an account", ["-f", "who@pattern.example", "a@x.example"], FULL),
    ("-f chooses none", ["-f", "who@nowhere.example", "a@x.example"], BARE),
    ("-f in other case, with detail", ["-f", "ME+x@SET.example", "a@x.example"], FULL),
    ("-f forbidden", ["-a", "locked", "-f", "f@f.example", "a@x.example"], BARE),
    ("-f with a name", ["-a", "own", "-f", "f@f.example", "-F", "Full Name", "a@x.example"], BARE),
    ("-F with quoting", ["-a", "own", "-F", "Doe, Joe", "a@x.example"], BARE),
    ("--from", ["-a", "own", "--from=f@f.example", "a@x.example"], BARE),
    ("--read-envelope-from", ["--read-envelope-from", "a@x.example"], FULL),
    ("--read-envelope-from chooses", ["--read-envelope-from", "a@x.example"], PATTERN),
    ("--read-envelope-from -t chooses", ["--read-envelope-from", "-t"], PATTERN),
    ("--read-envelope-from with detail", ["--read-envelope-from", "-t"], DETAIL),
    ("--read-envelope-from of a resent message", ["--read-envelope-from", "-t"], RESENT),
    ("no From", ["-a", "own", "a@x.example"], BARE),
    ("set_from_header on", ["-a", "set", "a@x.example"], FULL),
    ("set_from_header on, -f", ["-a", "set", "-f", "f@f.example", "a@x.example"], FULL),
    ("set_from_header on, no From", ["-a", "set", "a@x.example"], BARE),
    ("set nothing", ["-a", "never", "a@x.example"], BARE),
    ("set nothing, full message", ["-a", "never", "a@x.example"], FULL),
    ("obsolete spellings", ["-a", "old", "-t"], ODD_BCC),
    ("auto_from", ["-a", "auto", "a@x.example"], BARE),
    ("Bcc kept", ["-a", "keep", "-t"], FULL),
    ("Bcc removed", ["-a", "own", "a@x.example"], NO_TO),
    ("undisclosed_recipients", ["-a", "hidden", "-t"], FULL),
    ("undisclosed_recipients, no To", ["-a", "hidden", "a@x.example"], BARE),
    ("on the command line", ["-a", "own", "--set-from-header=on", "--remove-bcc-headers=off", "--set-date-header=off", "a@x.example"], NO_TO),
    ("obsolete on the command line", ["-a", "own", "--keepbcc", "--add-missing-date-header=off", "--add-missing-from-header=off",
                                      "a@x.example"], NO_TO),
    ("pattern and no sender", ["-a", "pattern", "-t"], PATTERN),
    ("a Return-Path", ["-a", "own", "a@x.example"], "Return-Path: <old@x.example>\n" + FULL),
    ("header of another spelling", ["-a", "set", "a@x.example"], "FROM : x@y.example\n" + BARE),
    ("two From headers", ["-a", "set", "a@x.example"], "From: x@y.example\nFrom: z@y.example\n" + BARE),
    ("no headers", ["-a", "own", "a@x.example"], "\nbody\n"),
    ("the null sender", ["-a", "plain", "-f", "<>", "a@x.example"], FULL),
]


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sink")
    server = Sink(folder, f"--maildir={folder}/mail")
    server.maildir = folder / "mail"
    yield server
    server.end()
    server.process.stdout.close()


def sent(sink, home, program, argv, message):
    """The envelope, the headers as (name, value), and what is left to say: exit status and stderr."""
    shutil.rmtree(sink.maildir / "new")
    (sink.maildir / "new").mkdir()
    env = {"HOME": str(home), "USER": "joe", "LANG": "C", "PATH": os.environ["PATH"]}
    done = subprocess.run([program, "-C", home / "msmtp.rc", *argv], input=message, capture_output=True, text=True, env=env, timeout=60)
    if done.returncode:
        return None, done.stderr
    [(envelope, data)] = stored(sink.maildir)
    head = data.decode().replace("\r\n", "\n").partition("\n\n")[0]
    headers = re.findall(r"^([^\s:]+)\s*:\s*((?:.|\n[ \t])*)$", head, re.M)
    stamped = {"date", "message-id"} - {n.lower() for n, _ in re.findall(r"^([^\s:]+)\s*:(.*)$", message.partition("\n\n")[0], re.M)}
    return {"envelope": [line for line in envelope if line.startswith(("X-Envelope-From:", "X-Envelope-To:", "X-Envelope-Helo:"))],
            "headers": sorted((n.lower(), "stamped" if n.lower() in stamped else " ".join(v.split())) for n, v in headers)}, done.stderr


@pytest.mark.parametrize("name, argv, message", CASES, ids=[c[0] for c in CASES])
def test_same(sink, tmp_path, name, argv, message):
    (tmp_path / "msmtp.rc").write_text(CONFIG.replace("<PORT>", str(sink.ports[0])))
    (tmp_path / "msmtp.rc").chmod(0o600)
    m, m_says = sent(sink, tmp_path, "msmtp", argv, message)
    e, e_says = sent(sink, tmp_path, ENVOI, argv, message)
    assert m is not None and e is not None, m_says + e_says
    only_m = {k: [x for x in m[k] if x not in e[k]] for k in m if m[k] != e[k]}
    only_e = {k: [x for x in e[k] if x not in m[k]] for k in m if m[k] != e[k]}
    expected_m, expected_e, _ = DIFFERENCES.get(name, ({}, {}, None))
    assert (only_m, only_e) == (expected_m, expected_e)
