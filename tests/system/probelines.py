"""The table of command lines in tests/system/probe/*.txt: read, run, compared. README there says how it is written."""

import dataclasses
import fcntl
import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import termios

from client import ENVOI
from probeserver import Behaviour, ProbeServer

TABLE = pathlib.Path(__file__).parent / "probe"
SWAKS, PROBE = "S", "E"
# A second look at a server that cannot be reached would be one more connection.
COMMANDS = {SWAKS: ["swaks"], PROBE: [ENVOI, "probe", "--no-diagnose"]}
MARK = re.compile(r"^([SE])\| ?")
PATIENCE = 20

OCTETS = {"r": "\r", "n": "\n", "\\": "\\"}
SECRET = re.compile(r"\{([^{}]+)\}")
SENT = re.compile(r"^( ->|\*\*>| ~>|\*~>)(?: |$)(.*)")
PLACES = {
    "…": ".*", "<DATE>": r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<ID>": r"[^<>@\s]+@[^<>@\s]+", "<SECONDS>": r"\d+\.\d{3}",
    "<BOUNDARY>": r"[-=_.+'()/:?,\w]+", "<SP>": " ", "<NULS>": r"\x00{102}",
}
PLACE = re.compile("|".join(PLACES))


@dataclasses.dataclass
class Case:
    """One block as one of the programs sees it."""
    name: str
    place: str
    fields: list = dataclasses.field(default_factory=list)      # (word, argument, lines behind "| ")
    transcript: list = dataclasses.field(default_factory=list)
    sent: list = dataclasses.field(default_factory=list)        # the transcript with its secrets
    differs: list = dataclasses.field(default_factory=list)     # keys of the reasons in envoi-migrate(7)
    marked: bool = False                                        # it has lines for one program alone

    def all(self, word):
        return [(argument, lines) for w, argument, lines in self.fields if w == word]

    def one(self, word, otherwise=None):
        found = self.all(word)
        return found[-1][0] if found else otherwise

    def lines(self, word):
        found = self.all(word)
        return found[-1][1] if found else None

    def words(self, word):
        return [w.strip() for w in (self.one(word) or "").split(",") if w.strip()]


def blocks(path):
    """(name, line number, lines) of each block; texts are the ones that cases refer to."""
    found, texts = [], {}
    lines = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("== "):
            lines = []
            found.append((line[3:], number, lines))
        elif line.startswith(":: "):
            lines = texts.setdefault(line[3:], [])
        elif lines is not None:
            lines.append(line)
    return found, texts


def trimmed(lines):
    """Without the CR that swaks prints at the end of the message's lines, the blank behind a hint that has nothing to tell, and empty lines
    at the end. An error is a `***`: each program has its own words for it, in as many lines as it likes. Hints are ours alone."""
    lines = [line.removesuffix("\r") for line in lines if not line.startswith("*** hint: ")]
    lines = ["***" if line.startswith("*** ") or line == "***" else line for line in lines]
    lines = [line for before, line in zip([None, *lines], lines) if not before == line == "***"]
    lines = [line.rstrip() if len(line) == 4 else line for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def expanded(lines, texts):
    """`(name a b)` stands for the text of that name, $1 and $2 in it for a and b."""
    for line in lines:
        call = re.fullmatch(r"\((\S+)((?: \S+)*)\)", line)
        if not call or call[1] not in texts:
            yield line
            continue
        values = call[2].split()
        for text in expanded(trimmed(texts[call[1]]), texts):
            yield re.sub(r"\$([1-9])", lambda m: values[int(m[1]) - 1], text)


def of(program, lines):
    return [MARK.sub("", line) for line in lines if not (m := MARK.match(line)) or m[1] == program]


def parse(name, place, lines, texts, program):
    case = Case(name, place)
    case.marked = any(MARK.match(line) for line in lines)
    lines = of(program, lines)
    head = lines.index("--") if "--" in lines else len(lines)
    for line in lines[:head]:
        if line.startswith("$ "):
            case.fields.append(("$", line[2:], []))
        elif line == "|" or line.startswith("| "):
            case.fields[-1][2].append(line[2:])
        elif m := re.fullmatch(r"([a-z-]+):(?: +(.*))?", line.rstrip()):
            case.fields.append((m[1], m[2] or "", []))
        else:
            assert not line.strip() or line.startswith("#"), f"{place}: '{line}' is not part of a case"
    case.sent = trimmed(of(program, expanded(lines[head + 1:], texts)))
    case.transcript = [SECRET.sub(r"\1" if program == SWAKS else "***", line) for line in case.sent]
    case.differs = case.words("differs")
    return case


def table(program):
    _, common = blocks(TABLE / "texts.txt")
    for path in sorted(TABLE.glob("*.txt")):
        found, own = blocks(path)
        for name, number, lines in found:
            yield parse(name, f"{path.name}:{number}", lines, {**common, **own}, program)


# what is compared

def pattern(text):
    at, out = 0, ""
    for m in PLACE.finditer(text):
        out += re.escape(text[at:m.start()]) + PLACES[m[0]]
        at = m.end()
    return re.compile(out + re.escape(text[at:]))


def differences(expected, got):
    """Lines against patterns; a line of … alone stands for any number of lines. Returns the first that differs, or None."""
    def fit(i, j):
        while i < len(expected):
            if expected[i] == "…":
                return any(fit(i + 1, k) for k in range(j, len(got) + 1))
            if j >= len(got) or not pattern(expected[i]).fullmatch(got[j]):
                worst[0] = max(worst[0], (j, i))
                return False
            i, j = i + 1, j + 1
        if j < len(got):
            worst[0] = max(worst[0], (j, i))
        return j == len(got)

    worst = [(-1, -1)]
    if fit(0, 0):
        return None
    j, i = worst[0]
    return (f"line {j + 1}: expected {expected[i]!r}" if i < len(expected) else f"line {j + 1}: expected nothing more") \
        + (f", got {got[j]!r}" if j < len(got) else ", got nothing more")


def unescaped(text):
    return re.sub(r"\\(x[0-9a-f]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" else OCTETS[m[1]], text)


def wire(case, tls):
    """The lines that the server got, in clear or under TLS, as patterns: `wire:` has them with CR LF understood (a line that ends in \\ has
    none) and escapes; without it they are those of the transcript."""
    lines = case.lines("wire")
    if lines is None:
        sent = [m for m in map(SENT.match, (SECRET.sub(r"\1", line) for line in case.sent)) if m]
        return [m[2] + "\r\n" for m in sent if (m[1] in (" ~>", "*~>")) == tls]
    lines = [line.removeprefix("~ ") for line in lines if line.startswith("~ ") == tls]
    return [unescaped(line[:-1] if line.endswith("\\") else line + "\\r\\n") for line in lines]


def octets(expected, got):
    """The patterns, joined, against all that was got: no line end is taken for another. What is not UTF-8 is compared octet by octet."""
    try:
        text = got.decode()
    except UnicodeDecodeError:
        text = got.decode("latin-1")
    if re.fullmatch("".join(pattern(line).pattern for line in expected), text):
        return None
    return differences(expected, text.splitlines(keepends=True)) or f"line ends: {text!r}"


# running

@dataclasses.dataclass
class Run:
    status: int
    out: str
    err: str
    plain: bytes
    secret: bytes
    facts: dict
    dir: pathlib.Path
    values: dict


def behaviour(case):
    answers = [a.split(" => ", 1) for a, _ in case.all("answer")]
    tls = case.one("tls-server")
    return Behaviour(mode=set(case.words("mode")), keywords=case.words("server"), answers=answers,
                     tls_keywords=None if tls is None else [w.strip() for w in tls.split(",") if w.strip()], flight=(case.one("flight") or "").split())


def values_of(case, directory, server, certs):
    return {"PORT": str(server.port), "DIR": str(directory), "CA": str(certs.ca), "OTHERCA": str(certs.other_ca), "CERT": str(certs.cert("client")),
            "KEY": str(certs.key("client")), "CERTS": str(certs.dir)}


def substituted(text, values):
    return re.sub(r"\$([A-Z]+)\b", lambda m: values.get(m[1], m[0]), text)


def environment(case, directory, values):
    env = {k: os.environ[k] for k in ("PATH", "LSAN_OPTIONS", "ASAN_OPTIONS", "PERL5LIB") if k in os.environ}
    env |= {"HOME": str(directory), "LOGNAME": "tester", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    return env | dict(substituted(e, values).split("=", 1) for e, _ in case.all("env"))


def run(case, program, directory, context, certs):
    host = "::1" if "v6" in case.words("mode") else "127.0.0.1"
    path = directory / "socket" if "socket" in case.words("mode") else None
    with ProbeServer(behaviour(case), context, path, host) as server:
        values = values_of(case, directory, server, certs)
        for name, lines in case.all("file"):
            (directory / name).write_text("".join(f"{substituted(line, values)}\n" for line in lines))
        if netrc := case.one("netrc"):
            (directory / ".netrc").write_text(netrc + "\n")
            (directory / ".netrc").chmod(0o600)
        for name, size in (f.split() for f, _ in case.all("big-file")):
            (directory / name).write_bytes(bytes(i * 7 % 256 for i in range(int(size))))
        args = [substituted(a, values) for a in shlex.split(case.one("$"))]
        assert args.pop(0) == "swaks", case.place
        command = [*COMMANDS[program], *args]
        env = environment(case, directory, values)
        if case.all("type"):
            status, out, err = at_terminal(command, env, directory, [substituted(t, values).split(" => ") for t, _ in case.all("type")])
        else:
            status, out, err = with_pipes(command, env, directory, case)
    return Run(status, out, err, bytes(server.plain), bytes(server.secret), {**server.facts, "connections": str(server.connections)}, directory, values)


def with_pipes(command, env, directory, case):
    stdin = case.lines("stdin")
    err = subprocess.PIPE if case.lines("stderr") is not None else subprocess.STDOUT
    done = subprocess.run(command, env=env, cwd=directory, input=None if stdin is None else "".join(f"{line}\n" for line in stdin).encode(),
                          stdin=subprocess.DEVNULL if stdin is None else None, stdout=subprocess.PIPE, stderr=err, timeout=PATIENCE)
    return done.returncode, done.stdout.decode(errors="replace"), (done.stderr or b"").decode(errors="replace")


def at_terminal(command, env, directory, typed):
    """All three streams are a terminal, which is also the controlling one. An answer is typed when its prompt has been printed."""
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, mode)

    def own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(command, env={**env, "TERM": "dumb"}, cwd=directory, stdin=slave, stdout=slave, stderr=slave,
                               preexec_fn=own_terminal)
    os.close(slave)
    out, seen = b"", 0
    try:
        while True:
            assert select.select([master], [], [], PATIENCE)[0], f"silence behind {out!r}"
            try:
                got = os.read(master, 65536)
            except OSError:
                break
            if not got:
                break
            out += got
            while typed and (at := out.find(typed[0][0].encode(), seen)) >= 0:
                seen = at + len(typed[0][0])
                os.write(master, typed.pop(0)[1].encode() + b"\n")
    finally:
        os.close(master)
        if process.poll() is None:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
    return process.wait(), out.decode(errors="replace"), ""


def complaints(case, done):
    """What is not as the case says, in words."""
    found = []

    def compare(what, expected, got):
        if why := differences([substituted(line, done.values) for line in expected], got):
            found.append(f"{what}: {why}")

    if done.status != int(case.one("exit", "0")):
        found.append(f"exit status: expected {case.one('exit', '0')}, got {done.status}")
    compare("transcript", case.transcript, trimmed(done.out.split("\n")))
    if case.lines("stderr") is not None:
        compare("standard error", trimmed(case.lines("stderr")), trimmed(done.err.split("\n")))
    for what, tls, got in (("wire", False, done.plain), ("wire under TLS", True, done.secret)):
        if case.one("wire") != "whatever" and (why := octets([substituted(line, done.values) for line in wire(case, tls)], got)):
            found.append(f"{what}: {why}")
    for name, lines in case.all("makes"):
        path = done.dir / name
        compare(name, lines, trimmed(path.read_text().split("\n")) if path.exists() else ["(it is not there)"])
    for fact, _ in case.all("fact"):
        name, value = fact.split("=", 1)
        if not pattern(substituted(value, done.values)).fullmatch(str(done.facts.get(name) or "")):
            found.append(f"{name}: expected {value!r}, got {done.facts.get(name)!r}")
    return found
