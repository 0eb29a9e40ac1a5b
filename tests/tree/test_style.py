"""How the source is laid out, as far as a program can tell.  doc/HACKING.md has the rest."""
import pathlib

import pytest

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
COLUMNS = 120


@pytest.mark.parametrize("path", sorted(SRC.glob("*/*.[ch]")), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_lines_are_not_long(path):
    lines = path.read_text(encoding="utf-8").split("\n")
    long = [f"{path.name}:{n}: {len(line)} columns" for n, line in enumerate(lines, 1) if len(line) > COLUMNS]
    assert not long, "\n".join(long)
