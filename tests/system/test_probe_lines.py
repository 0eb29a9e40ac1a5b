"""Command lines as people write them for swaks: envoi probe does as the table in tests/system/probe says, and so does swaks where it is
installed. Each line is checked on the octets that the server got, on what was printed and on the exit status."""

import pathlib
import re
import shutil
import subprocess

import pytest

from probelines import PROBE, SWAKS, complaints, run, table
from probeserver import context

MANUAL = pathlib.Path(__file__).resolve().parents[2] / "doc" / "envoi-migrate.7"
CASES = {program: [pytest.param(case, id=f"{case.place.split('.')[0]}: {case.name}") for case in table(program)] for program in (PROBE, SWAKS)}


@pytest.fixture(scope="module")
def tls(certs):
    return context(certs)


@pytest.fixture(scope="module")
def lacking():
    """What this swaks cannot do for want of a Perl module."""
    said = subprocess.run(["swaks", "--support"], capture_output=True, text=True)
    return re.findall(r"^\*\*\* (.*) not available", said.stdout + said.stderr, re.M)


def told(case, done):
    found = complaints(case, done)
    assert not found, "\n".join([f"{case.place}: {case.one('$')}", *found, f"-- exit {done.status}", done.out, done.err])


@pytest.mark.parametrize("case", CASES[PROBE])
def test_envoi(case, tmp_path, tls, certs):
    told(case, run(case, PROBE, tmp_path, tls, certs))


@pytest.mark.skipif(not shutil.which("swaks"), reason="there is no swaks")
@pytest.mark.parametrize("case", CASES[SWAKS])
def test_swaks(case, tmp_path, tls, certs, lacking):
    if reason := case.one("skip"):
        pytest.skip(reason)
    if needs := set(case.words("needs")) & set(lacking):
        pytest.skip(f"this swaks has no {', '.join(needs)}")
    told(case, run(case, SWAKS, tmp_path, tls, certs))


def test_differences_have_reasons():
    """Where the two differ a case names the reason, and the manual gives it to those who come from swaks."""
    used = set()
    for case in table(PROBE):
        assert case.marked == bool(case.differs), f"{case.place}: what is marked needs its 'differs:', and the other way round"
        used |= set(case.differs)
    given = set(re.findall(r'^\.\\" differs: (\S+)', MANUAL.read_text(), re.M))
    assert used | {"secrets", "certificate", "mailer", "words"} == given


def test_table_is_big_enough():
    assert len(CASES[PROBE]) >= 150
