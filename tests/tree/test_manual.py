"""Every option of every table is in the manual."""
import os
import pathlib
import re
import subprocess

import pytest

ENVOI = pathlib.Path(os.environ.get("ENVOI", "./envoi")).resolve()
DOC = pathlib.Path(__file__).resolve().parents[2] / "doc"
ROWS = [row.split("\t") for row in subprocess.run([ENVOI, "completions", "list"], check=True, capture_output=True, text=True).stdout.splitlines()]


def manual():
    """All of the pages in one string; mdoc's `Fl Fl name` and `Cm name` as they are read."""
    pages = (*DOC.glob("*.1"), DOC / "envoi-config.5")
    text = "\n".join(page.read_text() for page in pages)
    text = text.replace("\\-", "-").replace("\\&", "")
    return re.sub(r"\bFl (?:Fl |-)", "Fl --", text)


TEXT = manual()
SENDMAIL = (DOC.parent / "src/cmd/sendmail.c").read_text()
LETTERS = re.findall(r"\{ '([^b\W])', (?:NOTHING|JOINED|VALUE),", SENDMAIL) + ["b" + m for m in re.findall(r"\{ '(\w)', (?:SENDMAIL_\w+|0),", SENDMAIL)]


@pytest.mark.parametrize("letter", LETTERS)
def test_sendmail_letter_documented(letter):
    """`Fl f`, or among the letters behind one `Fl`."""
    text = (DOC / "envoi-sendmail.8").read_text()
    assert any(re.search(r"(?<!\w)%s(?!\w)" % letter, line) for line in re.findall(r"Fl (.*)", text)), letter


FIRST = "0.1"
COMMANDS = {name for where, name, *_ in ROWS if where == "file"}


@pytest.mark.parametrize("where, name, letter, since", ROWS, ids=lambda v: v)
def test_documented(where, name, letter, since):
    words = [name]
    if name.startswith("--") and name[2:].replace("-", "_") in COMMANDS:
        words.append(name[2:].replace("-", "_"))  # a command of the file is described there, once
    assert any(re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(word), TEXT) for word in words), f"{name} ({where})"
    if since != FIRST:  # the pages say once what holds for the others
        paragraphs = [p for p in re.split(r"^\.It ", TEXT, flags=re.M) if re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(words[-1]), p)]
        assert any(f"Since version {since}." in p for p in paragraphs), f"{name} ({where}) came with {since}"


@pytest.mark.parametrize("page", ["envoi.1", "envoi-config.5", "envoi-sink.1"])
def test_first_version(page):
    assert f"since version {FIRST} unless its paragraph says otherwise" in " ".join((DOC / page).read_text().split())
