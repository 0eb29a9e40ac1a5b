"""`envoi diagnose` in networks that are broken in one way, and in sound ones: the rows of cases.py. What is
so and what is said are compared in doc/diagnose.md, whose tables are these rows'; UPDATE=1 writes them anew."""

import os
import pathlib
import re
import shutil

import pytest

import client
import netbed
from cases import BROKEN, HEALTHY
from diagnosing import AT_ONCE, HOST, NAMES, SERVERS, WORST, Beds, confusion
from misserver import MisServer

ROWS = [*BROKEN, *HEALTHY]
DOC = pathlib.Path(__file__).parents[2] / "doc/diagnose.md"


@pytest.fixture(scope="module")
def beds(request, certs):
    chosen = [item.callspec.params["s"] for item in request.session.items
              if item.module is request.module and hasattr(item, "callspec")]
    try:
        beds = Beds(certs)
    except netbed.NotHere as why:
        pytest.skip(f"no bed of network namespaces: {why}")
    beds.start(sorted(chosen, key=lambda s: s.at_once))
    yield beds
    beds.stop()


def faults(s, d):
    """What is not as the case wants it."""
    v, said = d.verdict, d.words()
    way = v.get("way", {}).get("port")
    if v["word"] != s.word:
        yield f"the word is not {s.word}"
    if way != s.port:
        yield f"the way is not {s.port}"
    if d.status != v["exit"] or (d.status == 0) != (s.port is not None):
        yield "the exit status is another one"
    for choice in s.names:
        if not any(text in said for text in ([choice] if isinstance(choice, str) else choice)):
            yield f"{choice} is not said"
    for text in s.never:
        if text in said:
            yield f"'{text}' is said"
    if d.report["seconds"] > (AT_ONCE if s.at_once else WORST):
        yield "it takes too long"


@pytest.mark.parametrize("s", ROWS, ids=lambda s: s.name)
def test_says(beds, s, record_property):
    d = beds.results[s.name].result()
    record_property("diagnosis", (s.truth, d.verdict["word"], s.name))
    wrong = list(faults(s, d))
    if wrong:
        pytest.fail(f"{', '.join(wrong)}:\n{d}", pytrace=False)


def test_enough():
    """What issue and manual promise of this list."""
    assert len(BROKEN) >= 40 and len(HEALTHY) >= 20
    assert len({s.name for s in ROWS}) == len(ROWS)
    assert all(s.word == "ok" for s in HEALTHY)


# ---- who asks


def asked(bed, certs, *before, form=("--json",)):
    return bed.run("client", [*before, *form, f"--tls-trust-file={certs.ca}", "--user=u", "--passwordeval=echo secret",
                              f"{HOST}:587"], env=client.environment())


@pytest.fixture
def bed(beds):
    """One that no case uses."""
    with netbed.Bed() as bed:
        bed.serve_names(NAMES)
        yield bed


def test_needs_no_privilege(bed, certs, run_dir):
    """A user who may do nothing is told as much as root."""
    mine = shutil.copy(client.ENVOI, run_dir("diagnose"))
    bed.rule("hop1", "drop", ports=[587])
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    with MisServer(bed.listen, certs, SERVERS, name=HOST):
        done = asked(bed, certs, *nobody, mine, "diagnose")
    assert '"word":"port-filtered"' in done.stdout and "behind hop 1" in done.stdout, done


def test_sends_neither_mail_nor_password(bed, certs):
    with MisServer(bed.listen, certs, SERVERS, name=HOST) as server:
        done = asked(bed, certs, client.ENVOI, "diagnose")
    assert '"word":"ok"' in done.stdout, done
    for port in (25, 465, 587, 2525):
        assert set(server[port].verbs()) <= {"EHLO", "STARTTLS", "QUIT"}
    assert "secret" not in done.stdout + done.stderr


def test_two_sentences(bed, certs):
    """What a stuck user reads first."""
    bed.rule("hop1", "drop", ports=[587])
    with MisServer(bed.listen, certs, SERVERS, name=HOST):
        done = asked(bed, certs, client.ENVOI, "diagnose", form=())
    lines = done.stdout.splitlines()
    assert lines[0] == f"{HOST} port 587: port-filtered"
    assert re.match(r"cause: the network drops packets to port 587", lines[1])
    assert re.match(r"remedy: use port 465", lines[2])


# ---- the page about it


def exceptions():
    """Markdown: where envoi says another word than the right one."""
    for s in ROWS:
        if s.says:
            yield f"- {s.name}: it is `{s.truth}`, and `{s.word}` is said; {s.says[1]}."


def broken():
    yield from ("| what is broken | what is said |", "|---|---|")
    for s in BROKEN:
        yield f"| {s.name} | {s.word} |"


def healthy():
    for s in HEALTHY:
        yield f"- {s.name}"


PARTS = {
    "table": lambda: confusion((s.truth, s.word, s.name) for s in ROWS),
    "exceptions": exceptions,
    "broken": broken,
    "healthy": healthy,
}


def test_page():
    """test_says sees to it that these are the words given."""
    old = new = DOC.read_text()
    for name, lines in PARTS.items():
        text = "\n".join(lines())
        head, begin, rest = new.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition("<!-- end -->")
        assert begin and end, name
        new = f"{head}{begin}{text}\n{end}{tail}"
    if os.environ.get("UPDATE"):
        DOC.write_text(new)
    else:
        assert new == old, "doc/diagnose.md is not what is so: run this once more with UPDATE=1"
