"""The folders of src/: who may include whom, and who may touch the outside.  doc/HACKING.md has the reasons."""
import pathlib
import re

import pytest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"

MAY_INCLUDE = {
    "base": [],
    "mail": ["base"],
    "conf": ["base", "mail"],
    "show": ["base"],
    "net": ["base"],
    "smtp": ["base", "mail"],
    "auth": ["base", "net"],
    "send": ["base", "mail", "conf", "show", "net", "smtp", "auth"],
    "cmd": ["base", "mail", "conf", "show", "net", "smtp", "auth", "send"],
}

# A word that only the named folders may use as a function call.
ONLY = [
    (r"socket|connect|accept4?|bind", ["net"]),
    (r"getaddrinfo", ["net", "conf"]),  # conf: %C is the host's canonical name
    (r"printf|puts|putchar|fputs|fprintf|vprintf|vfprintf", ["show", "cmd"]),
    (r"exit|abort", ["base", "cmd"]),
    (r"sleep|usleep|nanosleep", ["show"]),  # show_log: no descriptor tells when another's file lock ends
    (r"strcpy|strcat|sprintf|gets|system|popen|tmpnam|mktemp", []),
]

# The session engines do no I/O, know no clock and no file.
NO_IO = r"read|write|open|poll|select|send|recv|clock_gettime|time|gettimeofday|clock_now"

FILES = sorted(SRC.glob("*/*.[ch]"))


def code(path):
    text = path.read_text()
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', text) if path.suffix == ".c" else text


def calls(words, text):
    return re.findall(r"(?<![\w.>])(?:%s)\s*\(" % words, text)


def test_every_folder_is_known():
    assert {p.parent.name for p in FILES} == set(MAY_INCLUDE)


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_includes(path):
    folder = path.parent.name
    for included in re.findall(r'^#include "(\w+)/', path.read_text(), flags=re.M):
        assert included == folder or included in MAY_INCLUDE[folder], f"{folder} must not include {included}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_outside(path):
    folder, text = path.parent.name, code(path)
    for words, folders in ONLY:
        if folder not in folders:
            assert not calls(words, text), f"{folder} must not call {words}"
    if folder == "smtp":
        assert not calls(NO_IO, text)


@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name not in ("send", "cmd", "conf")],
                         ids=lambda p: f"{p.parent.name}/{p.name}")
def test_account_stays_above(path):
    assert "struct account" not in code(path)
