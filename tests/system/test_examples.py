"""No example of the manuals rots: a block behind a line `.\\" check: KIND` is read by what it is written for. Nothing is sent."""

import configparser
import pathlib
import re
import shutil
import subprocess

import pytest

from client import ENVOI, environment, envoi

DOC = pathlib.Path(__file__).resolve().parents[2] / "doc"
PAGES = ("envoi-config.5", "envoi-direct.7", "envoi-examples.7", "envoi-migrate.7", "envoi-probe.1", "envoi-sink.1")
BLOCK = re.compile(r'(?:^\.\\" check: (?P<kind>\w+)\n)?^\.Bd -literal.*\n(?P<text>(?:.*\n)*?)\.Ed$', re.M)
ESCAPES = {r"\e": "\\", r"\-": "-", r"\&": "", r"\(dq": '"', r"\(aq": "'"}


def blocks():
    for page in PAGES:
        text = (DOC / page).read_text()
        for found in BLOCK.finditer(text):
            plain = re.sub(r"\\(?:[e&-]|\(..)", lambda m: ESCAPES[m[0]], found["text"])
            yield pytest.param(found["kind"], plain, id=f"{page}:{text.count(chr(10), 0, found.start()) + 1}")


def tool(name):
    return shutil.which(name) or pytest.skip(f"{name} is not here")


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def options_of(command):
    rows = (line.split("\t") for line in run(ENVOI, "completions", "list").splitlines())
    return {name for where, name, *_ in rows if where == command}


def config(path):
    checked = envoi("config", "--check", "-C", path)
    assert checked.status == 0 and checked.err == "" and " 0 errors" in checked.out, checked
    accounts = envoi("config", "--accounts", "-C", path).out.split()
    assert accounts
    for account in accounts:
        shown = envoi("--pretend", "-C", path, "-a", account)
        assert shown.status == 0 and shown.err == "", shown
        for line, text in enumerate(path.read_text().splitlines(), 1):
            word = (text.split() or ["account"])[0]
            if word != "account" and len(accounts) == 1:
                assert re.search(rf"^{word} .*{path.name}:{line}\b", shown.out, re.M), f"{text} has no effect: {shown}"


def shell(path):
    run("sh", "-n", path)
    for call in re.findall(r"\benvoi ((?:[^|&;'\n\\]|\\\n)*)", path.read_text()):
        words = call.split()
        command = words[0] if words and words[0] in ("sink", "config", "completions", "help", "mx", "password", "probe") else "send"
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", call):
            assert option in options_of(command), f"envoi {call}"


def gitconfig(path):
    assert "sendemail.sendmailcmd=/usr/bin/envoi" in run(tool("git"), "config", "-f", path, "--list")


def ini(path):
    parser = configparser.ConfigParser()
    parser.read(path)
    assert parser.sections()


def muttrc(path):
    assert "/usr/bin/envoi" in run(tool("mutt"), "-n", "-F", path, "-Q", "sendmail", env=environment())


def php(path):
    assert run(tool("php"), "-n", "-c", path, "-r", 'echo ini_get("sendmail_path");') == "/usr/bin/envoi -t -i"


def lisp(path):
    text = re.sub(r'"[^"]*"', "", path.read_text())
    assert text.count("(") == text.count(")") > 0


def systemd(path):
    unit = path.with_name("mail-about@.service")
    path.rename(unit)
    assert run(tool("systemd-analyze"), "verify", "--man=no", unit).strip() == ""


def text(path):
    """For a reader other than a program, or one that is on no test machine."""


@pytest.mark.parametrize("kind, example", blocks())
def test_example(kind, example, tmp_path):
    readers = {f.__name__: f for f in (config, shell, gitconfig, ini, muttrc, php, lisp, systemd, text)}
    assert kind in readers, 'put a line .\\" check: KIND in front of the block'
    path = tmp_path / "example"
    path.write_text(example)
    readers[kind](path)


def test_example_file():
    checked = envoi("config", "--check", "-C", DOC / "examples" / "envoirc")
    assert checked.status == 0 and checked.err == "" and " 0 errors" in checked.out, checked
